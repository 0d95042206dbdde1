"""What would decide a claim that the evidence leaves open, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.totals import TEST_FROM, periods_needed
from forecasteval.compare.variance_of_history import measure
from forecasteval.errors import CallError
from forecasteval.inference import power
from forecasteval.inference.power import Design
from forecasteval.inference.statistic import share_interval
from forecasteval.matching.matched import Matched
from forecasteval.studies.vendor_claim._evidence import EPSILON, Found
from forecasteval.studies.vendor_claim._totals import Total
from forecasteval.tables.organisation import Org

_POWER = 0.8
_MOST = 200  # quarters that a test of totals looks through


@dataclass(frozen=True)
class Decidable:
    """What a claim needs: ``apart`` is how far the estimate lies from what is claimed, in the unit of its definition.

    ``told`` is the smallest distance that evidence of this size tells in four of five cases; ``periods`` and ``reps`` are
    how many would tell ``apart``, None where no number that was looked through does; ``on`` is the day on which the periods
    are frozen at the present rate. Totals have no reps: then ``deals`` and ``have_reps`` are 0.
    """

    apart: float
    told: float
    periods: int | None
    reps: int | None
    have_periods: int
    have_reps: int
    deals: float
    on: str = ""

    @property
    def more(self) -> int | None:
        """How many more periods."""
        return None if self.periods is None else max(self.periods - self.have_periods, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {"apart": self.apart, "told_with_this": self.told, "periods_needed": self.periods, "reps_needed": self.reps,
                "periods": self.have_periods, "reps": self.have_reps, "decidable_on": self.on or None}  # fmt: skip


def of_deals(
    org: Org, matched: Matched, found: Found, pair: tuple[str, str], apart: float, *, level: float, seed: int
) -> Decidable | None:
    """What it would take, from how what is claimed varied in these deals; None where that cannot be measured."""
    question, rows = found.comparison.generalise_to, found.measure.of(matched, pair)
    if question not in power.PLANNED or not apart > 0:
        return None
    try:
        past = measure(
            rows, *pair, seed=seed, metric=found.measure.metric, epsilon=EPSILON,
            which="candidate" if found.absolute else "difference",
        )  # fmt: skip
    except CallError:
        return None
    design = Design(past.reps, past.periods, past.deals, sizes=past.sizes)
    if past.reps < 2 or past.periods < 2:
        return None
    told = math.nan
    if not design.doubt(question):
        told = power.detectable(design, past.components, question, level=level, power=_POWER)
    periods, reps = (
        power.fewest(what, design, past.components, question, apart, level=level, power=_POWER)
        for what in ("periods", "reps")
    )
    day = _decided_on(org, matched, past.periods, periods)
    return Decidable(apart, told, periods, reps, past.periods, past.reps, past.deals, day)


def of_totals(
    org: Org,
    matched: Matched,
    pairs: pd.DataFrame,
    total: Total,
    at_least: float,
    *,
    absolute: bool,
    level: float,
) -> Decidable | None:
    """The same of a claim about totals, of which every quarter is one case."""
    f, b, a = (pairs[c].to_numpy(float) for c in ("candidate", "baseline", "actual"))
    if not absolute:
        f, b, a = (v[np.isfinite(b)] for v in (f, b, a))
    have = f.size
    if have < 2:
        return None
    if absolute and total.kind == "share":
        share = float(np.mean(total.each(f, a)))
        needed = _quarters_of_a_share(share, at_least, level)
        at = _decided_on(org, matched, have, needed)
        return Decidable(abs(share - at_least), math.nan, needed, None, have, 0, 0.0, at)
    if total.kind == "pooled":
        e = (np.abs(f - a) if absolute else np.abs(f - a) - np.abs(b - a)) / a.mean()
        value = 1 - e.mean() if absolute else -e.mean()
    else:
        e = total.near(f, a) - (0.0 if absolute else total.near(b, a))
        value = float(e.mean())
    sd, apart = float(e.std(ddof=1)), abs(float(value) - at_least)
    needed = periods_needed(sd, apart, most=_MOST) or None if apart > 0 and sd > 0 else None
    return Decidable(apart, math.nan, needed, None, have, 0, 0.0, _decided_on(org, matched, have, needed))


def _quarters_of_a_share(share: float, at_least: float, level: float) -> int | None:
    """The fewest quarters in which such a share would decide."""
    for n in range(TEST_FROM, _MOST + 1):
        low, high = share_interval(round(share * n), n, level)
        if low >= at_least or high < at_least:
            return n
    return None


def _decided_on(org: Org, matched: Matched, have: int, needed: int | None) -> str:
    """The day on which so many periods are frozen, by the calendar and beyond it at its pace; empty where nothing tells.

    A table without a calendar goes on at the pace of its own moments, and a period is over one pace after its moment.
    """
    if needed is None or needed <= have or not matched.has("period"):
        return ""
    labels = matched["period"].astype(str)
    if org.periods is not None:
        ends = org.periods.astype({"period": str}).set_index("period")["freezes_on"].sort_values()
        pace = org.periods["starts_on"].sort_values().diff().median()
    elif matched.has("as_of") and pd.api.types.is_datetime64_any_dtype(matched["as_of"]):
        moments = matched["as_of"].groupby(labels).min().sort_values()
        pace = moments.diff().median()
        ends = moments + pace
    else:
        return ""
    there = np.flatnonzero(ends.index.isin(labels))
    if pd.isna(pace) or not there.size:
        return ""
    at = there.max() + needed - have
    beyond = max(at - len(ends) + 1, 0)
    return f"{ends.iloc[at - beyond] + beyond * pace:%Y-%m-%d}"
