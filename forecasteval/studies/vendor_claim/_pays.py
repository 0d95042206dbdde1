"""Does it pay? The value of a stated rule, where costs are given: which deals get attention, which number is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.matching.matched import Matched
from forecasteval.scores.decisions import attention_value, commitment_cost
from forecasteval.scores.probability import Deals, Floats, Metric, Terms
from forecasteval.studies.vendor_claim._evidence import estimate_of, on_the_list
from forecasteval.studies.vendor_claim._totals import mean_over_periods
from forecasteval.studies.vendor_claim.claim import Costs

ALL, NOBODY = "all_deals", "no_deal"


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention to deals by a rule: what it brings per period, with the vendor's forecasts in the place of others.

    ``per_period`` is how many deals a period has; it is taken as given. Values are money per period.
    """

    costs: Costs
    matched: Matched
    candidate: str
    per_period: float
    against: Mapping[str, Comparison]

    @property
    def threshold(self) -> float | None:
        """The probability from which on attention is worth its cost, where it is the same for all deals."""
        c = self.costs
        return (
            None if c.gain is None or c.attended is not None or c.attention is None else c.attention / c.gain
        )

    def gained(self, over: str) -> Estimate:
        """What the rule brings more with the candidate than with another forecast, per period."""
        return estimate_of(self.against[over].primary, self.per_period)

    def own(self, over: str) -> tuple[float, float]:
        """What the rule brings with the candidate and with the other, per period."""
        r = self.against[over].primary
        return self.per_period * r["candidate_value"], self.per_period * r["baseline_value"]


def attention(
    costs: Costs, matched: Matched, candidate: str, others: Sequence[str], options: Mapping[str, Any]
) -> Attention | None:
    """The value of the rule about attention; None where no cost of attention is given.

    With ``attended`` the highest share of each period's list gets it; else every deal whose probability times the gain is no
    less than the cost; where the candidate is silent the first of the others decides. Held against the same rule with other forecasts, and against attention to all and to none.

    Raises
    ------
    CallError
        For a rule that needs amounts, or probabilities, that are not there.
    """
    if costs.attention is None:
        return None
    if costs.gain is None and not matched.has("amount"):
        raise CallError(
            "costs: gain_share is a share of the amount, and these deals have none. Give gain, in money."
        )
    if costs.attended is None and not matched.is_probability(candidate):
        raise CallError(
            f"costs: {candidate} only ranks, so nobody knows from which score on attention is worth its cost. Give attended, the "
            "share of each list that gets it."
        )
    share, cost = costs.attended, costs.attention
    names = [candidate, *others]
    rows = _attending(matched, names, costs) if share is None else on_the_list(matched, names, share)
    mine = rows.table[candidate].fillna(rows.table[others[0]]) if others else rows.table[candidate]
    columns: dict[str, Any] = {candidate: mine, ALL: 1.0, NOBODY: 0.0}
    rows = replace(rows, table=rows.table.assign(**columns))

    def terms(d: Deals) -> Terms:
        gain = costs.gain if costs.gain is not None else costs.gain_share * d.amount  # type: ignore[operator]
        c, b = (attention_value(a, d.won, gain=gain, cost=cost) for a in (d.candidate, d.baseline))
        return Terms(c, b, None)

    needs = () if costs.gain is not None else ("amount",)
    metric = Metric("value", "Value of attention", "higher", "gain where won, less cost", terms, needs)
    found = {n: compare(rows, candidate, n, metrics=[metric], **options) for n in (*others, ALL, NOBODY)}
    period = next((c for c in ("period", "as_of") if matched.has(c)), None)
    periods = matched[period].nunique() if period else 1
    return Attention(costs, matched, candidate, found[NOBODY].primary["rows"] / periods, found)


def _attending(matched: Matched, names: Sequence[str], costs: Costs) -> Matched:
    """The deals with 1 in the place of a forecast by which attention is worth its cost, 0 by which it is not."""
    assert costs.attention is not None
    gain: Any = costs.gain if costs.gain is not None else costs.gain_share * matched.numbers("amount")  # type: ignore[operator]
    told = {n: matched.numbers(n) for n in names}
    calls = {n: np.where(np.isnan(p), np.nan, p * gain >= costs.attention) for n, p in told.items()}
    return replace(matched, table=matched.table.assign(**calls))


@dataclass(frozen=True, eq=False)
class Commitment:
    """The candidate's total committed instead of the baseline's: costs per period, and what it saves."""

    costs: Costs
    candidate: Floats
    baseline: Floats
    level: float

    @property
    def saved(self) -> Estimate:
        """What it saves per period; a test from 8 periods on, an interval from 4."""
        x = self.baseline - self.candidate
        return mean_over_periods(x, np.ones(x.size), self.level)


def commitment(costs: Costs, pairs: pd.DataFrame, level: float) -> Commitment | None:
    """The value of committing the candidate's total; None where no cost of missing is given, or there are no totals."""
    both = pairs.dropna(subset=["baseline"])
    if costs.over is None or costs.under is None or both.empty:
        return None
    a = both["actual"].to_numpy(float)
    c, b = (
        commitment_cost(both[who].to_numpy(float), a, over=costs.over, under=costs.under)
        for who in ("candidate", "baseline")
    )
    return Commitment(costs, c, b, level)


def net(gained: Estimate, price: float) -> Estimate:
    """The same after a price per period."""
    return replace(gained, value=gained.value - price, low=gained.low - price, high=gained.high - price)
