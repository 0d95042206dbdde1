"""A claim computed on the buyer's deals: under the definition that was registered, and under all others in circulation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.accuracy import accuracy
from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.segments import Family, family
from forecasteval.compare.totals import TEST_FROM
from forecasteval.errors import CallError
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters
from forecasteval.matching.forecasters import BurnIn, logistic
from forecasteval.matching.matched import Matched
from forecasteval.scores.amounts import ACCURACIES, accuracies, error_floor
from forecasteval.scores.probability import METRICS

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided by this evidence"
NOT_EVERYWHERE = "supported, but not everywhere"


@dataclass(frozen=True)
class Measure:
    """One definition of how good a forecast of deals is; ``metric`` is what is computed, on rounded calls if ``called``."""

    name: str
    label: str
    formula: str
    metric: str
    gloss: str = ""
    called: bool = False
    own: bool = True  # has each forecaster a value of its own (a skill has not)

    def shown(self, value: float) -> float:
        """The value as it is shown: a share of right calls is 1 less the Brier score of the calls."""
        return 1 - value if self.called else value

    @property
    def sign(self) -> int:
        """1 where a larger difference of the metric is better."""
        return 1 if METRICS[self.metric].better == "higher" else -1


MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("brier", "Brier score", "mean (p - won)²; lower is better", "brier",
                "how far the probability lay from what happened, squared, on average: 0 is perfect"),
        Measure("brier_skill", "less Brier score, as a share", "1 - Brier score over the other's", "brier_skill", own=False),
        Measure("log_score", "log score", "mean -log of the probability given to what happened; lower is better", "log_score"),
        Measure("auc", "ranking (AUC)", "share of pairs in which the won deal is ranked above the other", "auc"),
        Measure("called_right", "deals called right", "share of deals on the right side of 50%", "brier", called=True),
        Measure("brier_by_amount", "Brier score by amount", "mean (p - won)², weighted by amount; lower is better", "brier_by_amount"),
    )
}  # fmt: skip
ABSOLUTE = ("called_right", "auc", *ACCURACIES)  # numbers that "95% accurate" may mean
_EPSILON = 0.001  # a probability of 0 that comes true costs no more than this one


def judged(low: float, high: float, at_least: float, *, reliable: bool) -> str:
    """The rule: supported where the whole interval reaches what is claimed, contradicted where none of it does.

    >>> judged(0.01, 0.05, 0.0, reliable=True), judged(0.01, 0.05, 0.1, reliable=True), judged(-0.01, 0.05, 0.0, reliable=True)
    ('supported', 'contradicted', 'undecided by this evidence')
    >>> judged(0.01, 0.05, 0.0, reliable=False), judged(-0.05, 0.0, 0.0, reliable=True)
    ('undecided by this evidence', 'contradicted')
    """
    if not reliable or not (math.isfinite(low) and math.isfinite(high)):
        return UNDECIDED
    if low > at_least or (at_least != 0 and low == at_least):
        return SUPPORTED
    return CONTRADICTED if high < at_least or (at_least == 0 and high <= 0) else UNDECIDED


# --- deals --------------------------------------------------------------------------------------------


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

    @property
    def reasons(self) -> list[str]:
        """Why the interval may not be believed, and what else there is to say of it."""
        return [r["text"] for r in self.row["reasons"]]

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


def called(matched: Matched, names: Iterable[str]) -> Matched:
    """The same deals with forecasts rounded to a call: won from 50% on."""
    table = matched.table
    calls = {n: (table[n] >= 0.5).astype(float).where(table[n].notna()) for n in names if n in table}
    return replace(matched, table=table.assign(**calls))


def on_deals(
    matched: Matched, candidate: str, baseline: str, measure: Measure, options: Mapping[str, Any]
) -> Comparison:
    """The comparison behind one definition."""
    rows = called(matched, (candidate, baseline)) if measure.called else matched
    return compare(rows, candidate, baseline, metrics=[measure.metric], epsilon=_EPSILON, **options)


def guarded(
    matched: Matched, by: str, candidate: str, baseline: str, measure: Measure, options: Mapping[str, Any]
) -> Family:
    """The same within each part, with intervals that hold together."""
    rows = called(matched, (candidate, baseline)) if measure.called else matched
    metric = "brier" if measure.metric == "brier_skill" else measure.metric
    return family(rows, by, candidate, baseline, metrics=[metric], **options)


def broken(found: Family, measure: Measure, margin: float) -> list[str]:
    """The parts in which the candidate is worse by more than the margin, the whole simultaneous interval says so."""
    table = found.table[found.table["reliable"]]
    worse = -table["high"] if measure.sign > 0 else table["low"]
    return [str(s) for s in table.loc[worse > margin, "segment"]]


def mapped(matched: Matched, name: str) -> Matched:
    """A rank score as probabilities: in each period by a logistic mapping fitted on the periods before it.

    Periods before which too little is known are left out.
    """
    table = matched.table
    if "period" not in table or "as_of" not in table:
        raise CallError(
            f"{name} only ranks, and without periods there are no earlier ones to fit a mapping on: measure = auc."
        )
    order = table.groupby("period")["as_of"].min().sort_values(kind="stable").index
    said, won = matched.numbers(name), table["won"].to_numpy(float)
    place = table["period"].map({p: i for i, p in enumerate(order)}).to_numpy()
    p = np.full(len(table), np.nan)
    enough = BurnIn()
    kept = np.zeros(len(table), dtype=bool)
    for at in range(1, len(order)):
        before, now = (place < at) & np.isfinite(said), place == at
        wins, deals = won[before].sum(), int(before.sum())
        if deals < enough.deals or wins < enough.won or deals - wins < enough.not_won:
            continue
        kept |= now
        speaks = now & np.isfinite(said)
        p[speaks] = logistic(said[before, None], won[before], said[speaks, None])
    about = dict(matched.forecasters)
    about[name] = {**about.get(name, {}), "kind": "probability"}
    table = table.assign(**{name: p})
    step = {
        "step": f"{name} mapped to probabilities", "deals": int(table.loc[kept, "deal_id"].nunique()),
        "dropped": int(table["deal_id"].nunique() - table.loc[kept, "deal_id"].nunique()),
        "why": "too few earlier deals to fit the mapping on",
    }  # fmt: skip
    flow = [*matched.flow, step] if matched.flow else []
    return replace(matched, table=table, forecasters=about).rows(kept, flow=flow)


# --- totals -------------------------------------------------------------------------------------------


NO_BETTER_ABOVE_1 = ("actual_over_forecast", "forecast_over_actual", "signed_miss_over_actual")


def _nearness(low: float, high: float) -> tuple[float, float]:
    """An interval of a ratio as that of 1 less its distance from 1: 120% is as far off as 80%.

    >>> [round(v, 2) for v in _nearness(0.9, 1.2)], [round(v, 2) for v in _nearness(1.3, 1.4)]
    ([0.8, 1.0], [0.6, 0.7])
    """
    ends = sorted((1 - abs(low - 1), 1 - abs(high - 1)))
    return ends[0], 1.0 if low <= 1 <= high else ends[1]


def accuracy_by_name(totals: pd.DataFrame, who: str, at_least: float, level: float) -> pd.DataFrame:
    """A forecaster's totals under each definition of accuracy, with the interval for new periods and what it makes of a claim."""
    rows = totals[totals["forecaster"] == who].dropna(subset=["amount", "actual"])
    found = []
    for name, values in accuracies(rows["amount"], rows["actual"]).items() if len(rows) else ():
        known = values[np.isfinite(values)]
        mean, low, high = float(known.mean()) if known.size else math.nan, math.nan, math.nan
        if known.size >= MIN_CLUSTERS["period"] and np.ptp(known) > 0:
            e = mean_over_clusters(mean, known, np.ones(known.size), level)
            low, high = e.low, e.high
        enough = known.size >= TEST_FROM
        verdict = ""
        if at_least:
            near = _nearness(low, high) if name in NO_BETTER_ABOVE_1 else (low, high)
            verdict = judged(*near, at_least, reliable=enough)
        found.append({"definition": name, "formula": ACCURACIES[name][0], "periods": known.size, "value": mean,
                      "low": low, "high": high, "reliable": enough, "verdict": verdict})  # fmt: skip
    return pd.DataFrame(found)


BESIDE = (
    "closed_to_date", "last_quarter", "same_quarter_last_year", "stage_weighted", "category_conversion", "closed_and_conversion",
    "commit", "best_case", "rep_forecast", "rep_recalibrated",
)  # fmt: skip


def for_nothing(totals: pd.DataFrame, who: str) -> pd.DataFrame:
    """The candidate's totals beside those that cost nothing, each on those of the candidate's periods about which it speaks."""
    company = totals.dropna(subset=["actual"])
    closed = company.drop_duplicates(["period", "week"])
    closed = closed.assign(forecaster="closed_to_date", amount=closed["closed_to_date"])
    every = pd.concat([company, closed], ignore_index=True).dropna(subset=["amount"])
    every = every[every["period"].isin(every.loc[every["forecaster"] == who, "period"])]
    there = set(every["forecaster"])
    rows = [
        {"forecaster": name, **accuracy(every, name).table.iloc[0].drop("what").to_dict()}
        for name in (who, f"{who}_and_new", *BESIDE)
        if name in there
    ]
    return pd.DataFrame(rows)


def floor(matched: Matched, totals: pd.DataFrame, name: str) -> float:
    """How far even a perfectly calibrated forecast with these probabilities misses the total, by chance alone: NaN if unknown."""
    if not matched.is_probability(name) or "amount" not in matched or "period" not in matched:
        return math.nan
    closed = (
        totals.drop_duplicates("period").set_index("period")["closed_to_date"]
        if len(totals)
        else pd.Series(dtype=float)
    )
    rows = matched.table.dropna(subset=[name, "amount"])
    found = [
        error_floor(np.clip(own[name], 0, 1), own["amount"], float(closed.get(period, 0.0)))["error"]
        for period, own in rows.groupby("period")
    ]
    return float(np.mean(found)) if found else math.nan
