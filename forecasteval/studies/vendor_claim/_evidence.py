"""A claim computed on the buyer's deals: under the definition that was registered, and under all others in circulation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate, against
from forecasteval.matching.earlier import learned
from forecasteval.matching.matched import Matched
from forecasteval.scores.decisions import CALL, PRECISION, RECALL, highest, lift, precision_at
from forecasteval.scores.probability import METRICS, Metric
from forecasteval.studies.vendor_claim._rule import judged
from forecasteval.studies.vendor_claim._totals import TOTALS

TOP = 0.2  # of a list
EPSILON = 0.001  # a probability of 0 that comes true costs no more than this one


@dataclass(frozen=True)
class Measure:
    """One definition of how good a forecast of deals is; ``metric`` is what is computed, of forecasts changed by ``made``."""

    name: str
    label: str
    formula: str
    metric: Metric
    gloss: str = ""
    made: Callable[[Matched, Iterable[str]], Matched] | None = None
    own: bool = True  # has each forecaster a value of its own (a skill has not)
    share: bool = False  # is it shown in percent?
    ranks: bool = False  # does it take a score that only ranks?

    def shown(self, value: float) -> float:
        """The value as it is shown: a share of right calls is 1 less the Brier score of the calls."""
        return 1 - value if self.made is called else value

    @property
    def sign(self) -> int:
        """1 where a larger difference of the metric is better."""
        return 1 if self.metric.better == "higher" else -1

    def of(self, matched: Matched, names: Iterable[str]) -> Matched:
        """The deals with what the metric is computed of in the place of the forecasts."""
        return matched if self.made is None else self.made(matched, names)


def called(matched: Matched, names: Iterable[str]) -> Matched:
    """The same deals with forecasts rounded to a call: won from 50% on."""
    table = matched.table
    calls = {n: (table[n] >= CALL).astype(float).where(table[n].notna()) for n in names if n in table}
    return replace(matched, table=table.assign(**calls))


def on_the_list(matched: Matched, names: Iterable[str], share: float = TOP) -> Matched:
    """The same deals with how much each belongs to the highest share of its period's list."""
    table, kinds = matched.table, dict(matched.forecasters)
    by = next((c for c in ("period", "as_of") if matched.has(c)), None)
    parts = [np.arange(len(table))] if by is None else table.groupby(by).indices.values()
    lists: dict[str, Any] = {}
    for n in (n for n in names if n in table):
        said, belongs = matched.numbers(n), np.full(len(table), np.nan)
        for rows in parts:
            belongs[rows] = highest(said[rows], share)
        lists[n] = np.where(np.isnan(said), np.nan, belongs)
        kinds[n] = {**kinds.get(n, {}), "kind": "probability"}
    return replace(matched, table=table.assign(**lists), forecasters=kinds if matched.forecasters else {})


_FIFTH = f"the highest {TOP:.0%} of each quarter's list"
MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("brier", "Brier score", "mean (p - won)²; lower is better", METRICS["brier"],
                "how far the probability lay from what happened, squared, on average: 0 is perfect"),
        Measure("brier_skill", "less Brier score, as a share", "1 - Brier score over the other's", METRICS["brier_skill"],
                own=False, share=True),
        Measure("log_score", "log score", "mean -log of the probability given to what happened; lower is better", METRICS["log_score"]),
        Measure("auc", "ranking (AUC)", "share of pairs in which the won deal is ranked above the other", METRICS["auc"], ranks=True),
        Measure("called_right", "deals called right", "share of deals on the right side of 50%", METRICS["brier"], made=called,
                share=True),
        Measure("precision", "precision", "of the deals called won (from 50% on), the share that was won (Gong)", PRECISION,
                share=True),
        Measure("recall", "won deals found", "of the deals that were won, the share called won (from 50% on)", RECALL, share=True),
        Measure("precision_at_the_top", "precision at the top", f"of {_FIFTH}, the share that was won", precision_at(TOP),
                made=on_the_list, share=True, ranks=True),
        Measure("lift", "lift", f"share won of {_FIFTH}, over the share won of all", lift(TOP), made=on_the_list, ranks=True),
        Measure("brier_by_amount", "Brier score by amount", "mean (p - won)², weighted by amount; lower is better",
                METRICS["brier_by_amount"]),
    )
}  # fmt: skip
# numbers that "95% accurate" may mean
ABSOLUTE = ("called_right", "auc", "precision", "recall", "precision_at_the_top", "lift", *TOTALS)


@dataclass(frozen=True, eq=False)
class Found:
    """One definition on the deals: both values, by how much the candidate is better, and what that makes of the claim."""

    measure: Measure
    comparison: Comparison
    at_least: float
    absolute: bool
    registered: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """The row of the comparison."""
        return self.comparison.primary

    def own(self, which: str) -> tuple[float, float, float]:
        """Value and interval of "candidate" or "baseline", as shown."""
        if not self.measure.own:
            return math.nan, math.nan, math.nan
        value, low, high = (
            self.measure.shown(self.row[f"{which}{end}"]) for end in ("_value", "_low", "_high")
        )
        return value, min(low, high), max(low, high)

    @property
    def better_by(self) -> tuple[float, float, float]:
        """By how much the candidate is better, with its interval; below 0 it is worse."""
        sign = self.measure.sign
        ends = sorted((sign * self.row["low"], sign * self.row["high"]))
        return sign * self.row["difference"], ends[0], ends[1]

    @property
    def claimed(self) -> tuple[float, float, float]:
        """What the claim is about: the candidate's own value, or by how much it is better."""
        return self.own("candidate") if self.absolute else self.better_by

    @property
    def verdict(self) -> str:
        """What this definition makes of the claim."""
        return judged(*self.claimed[1:], self.at_least, reliable=bool(self.row["reliable"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        found: dict[str, Any] = {
            "definition": self.measure.name,
            "formula": self.measure.formula,
            "registered": self.registered,
        }
        for who in ("candidate", "baseline"):
            found |= dict(zip((f"{who}_value", f"{who}_low", f"{who}_high"), self.own(who), strict=True))
        found |= dict(zip(("better_by", "low", "high"), self.better_by, strict=True))
        return found | {
            "at_least": self.at_least,
            "reliable": bool(self.row["reliable"]),
            "verdict": self.verdict,
        }


def estimate_of(row: Mapping[str, Any], times: float = 1.0) -> Estimate:
    """The difference in a row of a comparison, as it is or in another unit."""
    value, low, high, se = (times * row[name] for name in ("difference", "low", "high", "se"))
    reasons = tuple(against(row["reasons"]))
    return Estimate(
        value, low, high, row["level"], row["df"], se, row["p_value"], bool(row["reliable"]), reasons
    )


def on_deals(
    matched: Matched, candidate: str, baseline: str, measure: Measure, options: Mapping[str, Any]
) -> Comparison:
    """The comparison behind one definition."""
    rows = measure.of(matched, (candidate, baseline))
    return compare(rows, candidate, baseline, metrics=[measure.metric], epsilon=EPSILON, **options)


def mapped(matched: Matched, name: str) -> Matched:
    """A rank score as probabilities: in each period by a logistic mapping fitted on the periods before it."""
    if "period" not in matched.table or "as_of" not in matched.table:
        raise CallError(
            f"{name} only ranks, and without periods there are no earlier ones to fit a mapping on: measure = auc."
        )
    return learned(matched, [name], by_period=True)
