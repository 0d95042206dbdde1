"""What would decide a claim that the evidence leaves open, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasteval.compare.variance_of_history import measure
from forecasteval.errors import CallError
from forecasteval.inference import power
from forecasteval.inference.power import Design
from forecasteval.matching.matched import Matched
from forecasteval.tables.organisation import Org


@dataclass(frozen=True)
class Decidable:
    """What a claim about the Brier score needs: ``apart`` is how far the estimate lies from what is claimed.

    ``told`` is the smallest difference that evidence of this size tells in four of five cases; ``periods`` and ``reps`` are
    how many would tell ``apart``, None where no number that was looked through does; ``on`` is the day on which the periods
    are frozen at the present rate.
    """

    apart: float
    told: float
    periods: int | None
    reps: int | None
    have_periods: int
    have_reps: int
    deals: float
    on: str
    period: str

    @property
    def more(self) -> int | None:
        """How many more periods."""
        return None if self.periods is None else max(self.periods - self.have_periods, 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {"apart": self.apart, "told_with_this": self.told, "periods_needed": self.periods, "reps_needed": self.reps,
                "periods": self.have_periods, "reps": self.have_reps, "decidable_on": self.on or None}  # fmt: skip


def decidable(
    org: Org,
    matched: Matched,
    pair: tuple[str, str],
    apart: float,
    question: tuple[str, ...],
    *,
    level: float,
    seed: int,
) -> Decidable | None:
    """What it would take, from how the difference varied in these deals; None where that cannot be measured."""
    if question not in power.PLANNED or not apart > 0:
        return None
    try:
        past = measure(matched, *pair, seed=seed)
    except CallError:
        return None
    design = Design(past.reps, past.periods, past.deals, sizes=past.sizes)
    if past.reps < 2 or past.periods < 2:
        return None
    told = (
        math.nan
        if design.doubt(question)
        else power.detectable(design, past.components, question, level=level, power=0.8)
    )
    periods, reps = (
        power.fewest(what, design, past.components, question, apart, level=level, power=0.8)
        for what in ("periods", "reps")
    )
    on, period = ("", "") if periods is None else _frozen_on(org, matched, max(periods - past.periods, 0))
    return Decidable(apart, told, periods, reps, past.periods, past.reps, past.deals, on, period)


def _frozen_on(org: Org, matched: Matched, more: int) -> tuple[str, str]:
    """The day on which so many further periods are frozen, by the calendar and beyond it at its pace; empty without one."""
    if org.periods is None or "period" not in matched or more == 0:
        return "", ""
    periods = org.periods.sort_values("starts_on", ignore_index=True)
    last = periods.index[periods["period"].isin(matched["period"].astype(str))].max()
    if pd.isna(last):
        return "", ""
    at = int(last) + more
    if at < len(periods):
        return f"{periods['freezes_on'].iloc[at]:%Y-%m-%d}", str(periods["period"].iloc[at])
    length = (periods["starts_on"].diff().median()) * (at - len(periods) + 1)
    return f"{periods['freezes_on'].iloc[-1] + length:%Y-%m-%d}", ""
