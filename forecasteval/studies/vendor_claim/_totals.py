"""Company totals under every definition of accuracy in circulation; every quarter is one case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd

from forecasteval.compare.accuracy import accuracy
from forecasteval.compare.totals import TEST_FROM, period_totals
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.few_clusters import OF_A_NORMAL_MISS
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.lognormal import lognormal_interval
from forecasteval.inference.statistic import mean_over_clusters, share_interval
from forecasteval.matching.matched import Matched
from forecasteval.scores.amounts import ACCURACIES, error_floor, within
from forecasteval.scores.probability import Floats
from forecasteval.studies.vendor_claim._rule import judged

Triple = tuple[float, float, float]
_NONE = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Total:
    """One definition of how accurate a total is.

    A mean over quarters; a ratio is one of which 120% is as far off as 80%; a share counts quarters; pooled is 1 less the
    sum of the misses over the sum of what was booked.
    """

    name: str
    label: str
    formula: str
    each: Callable[[Floats, Floats], Floats]
    kind: Literal["mean", "ratio", "share", "pooled"] = "mean"

    def near(self, forecast: Floats, actual: Floats) -> Floats:
        """How near each total came: what makes one forecaster better than another."""
        values = np.asarray(self.each(forecast, actual), dtype=float)
        return 1 - np.abs(values - 1) if self.kind == "ratio" else values

    def own(self, forecast: Floats, actual: Floats, level: float) -> Triple:
        """The value of one forecaster, with its interval for new quarters."""
        values = np.asarray(self.each(forecast, actual), dtype=float)
        if self.kind == "share":
            return (float(values.mean()), *share_interval(int(values.sum()), values.size, level))
        if self.kind == "ratio":
            return _mean(values, np.ones(values.size), level)
        weight = actual if self.kind == "pooled" else np.ones(values.size)
        # few quarters rarely hold a large miss, so a mean accuracy looks better than it is
        value, low, high = _mean(values * weight, weight, level, -OF_A_NORMAL_MISS)
        return value, min(low, self._as_if_normal(forecast, actual, level)), high

    def _as_if_normal(self, forecast: Floats, actual: Floats, level: float) -> float:
        """The low end where the log of booked over forecast is normal in all quarters; inf where that cannot be told."""
        over = actual[forecast > 0] / forecast[forecast > 0]
        if over.size < MIN_CLUSTERS["period"]:
            return math.inf

        def accuracy_of(booked: Floats) -> Floats:
            weight = booked if self.kind == "pooled" else np.ones_like(booked)
            values: Floats = self.each(np.ones_like(booked), booked) * weight
            return values.sum(axis=-1) / weight.sum(axis=-1)

        return lognormal_interval(over, accuracy_of, level)[0]

    def better(self, candidate: Floats, baseline: Floats, actual: Floats, level: float) -> Triple:
        """By how much the candidate came nearer, in the same quarters."""
        if self.kind == "pooled":
            return _mean(np.abs(baseline - actual) - np.abs(candidate - actual), actual, level)
        ahead = self.near(candidate, actual) - self.near(baseline, actual)
        return _mean(ahead, np.ones(ahead.size), level)


def _mean(x: Floats, z: Floats, level: float, skew: float = 0.0) -> Triple:
    e = mean_over_periods(x, z, level, skew)
    return e.value, e.low, e.high


def mean_over_periods(x: Floats, z: Floats, level: float, skew: float = 0.0) -> Estimate:
    """A ratio of sums over periods; no interval below 4 or where nothing varies, and a test from 8 on."""
    value = float(x.sum() / z.sum())
    if x.size < MIN_CLUSTERS["period"] or not np.ptp(x / z) > 0:
        return Estimate(value, level=level)
    e = mean_over_clusters(value, x, z, level, skew=skew)
    return replace(e, reliable=e.has_interval and x.size >= TEST_FROM)


_LABELS = {
    "miss_over_actual": "miss over booked",
    "miss_over_actual_not_below_0": "the same, never below 0",
    "miss_over_forecast": "miss over forecast",
    "actual_over_forecast": "booked over forecast",
    "forecast_over_actual": "forecast over booked",
    "signed_miss_over_actual": "signed miss over booked",
    "smaller_over_larger": "the smaller over the larger",
}
_RATIOS = ("actual_over_forecast", "forecast_over_actual", "signed_miss_over_actual")

TOTALS: dict[str, Total] = {
    t.name: t
    for t in (
        *(Total(n, _LABELS[n], formula, each, "ratio" if n in _RATIOS else "mean") for n, (formula, each) in ACCURACIES.items()),
        Total("all_misses_over_all_booked", "all misses over all booked", "1 - sum |F - A| / sum A", lambda f, a: 1 - np.abs(f - a) / a,
              "pooled"),
        *(Total(f"within_{p}_percent", f"within {p}% of booked", f"share of quarters with |F - A| at most {p}% of A",
                partial(within, share=p / 100), "share") for p in (5, 10)),
    )
}  # fmt: skip
_COLUMNS = ["period", "candidate", "baseline", "actual"]


def in_pairs(totals: pd.DataFrame, matched: Matched, candidate: str, baseline: str) -> pd.DataFrame:
    """Both forecasters' totals by quarter beside what was booked: the company's, or those of the deals that were compared."""
    if len(totals):
        wide = totals.pivot_table("amount", "period", "forecaster", aggfunc="first", dropna=False)
        wide = wide.reindex(columns=[candidate, baseline]).set_axis(["candidate", "baseline"], axis=1)
        wide["actual"] = totals.groupby("period")["actual"].first()
        return wide[wide["candidate"].notna() & wide["actual"].gt(0)].reset_index()[_COLUMNS]
    if matched.stop or not {candidate, baseline} <= set(matched.table):
        return pd.DataFrame(columns=_COLUMNS)
    try:
        table = period_totals(matched, candidate, baseline).table
    except CallError:  # no amounts, no periods, several looks in one, or no probabilities
        return pd.DataFrame(columns=_COLUMNS)
    names = {candidate: "candidate", baseline: "baseline", "booked": "actual"}
    return table.loc[table["booked"] > 0].rename(columns=names)[_COLUMNS]


def by_definition(
    pairs: pd.DataFrame, at_least: Mapping[str, float], level: float, *, absolute: bool
) -> pd.DataFrame:
    """Totals under each definition: both values, by how much the candidate is better, and what that makes of the claim."""
    rows = []
    both = pairs.dropna(subset=["baseline"])
    for total in TOTALS.values() if len(pairs) else ():
        f, a = (pairs[c].to_numpy(float) for c in ("candidate", "actual"))
        own = total.own(f, a, level)
        c, b, booked = (both[name].to_numpy(float) for name in ("candidate", "baseline", "actual"))
        theirs = total.own(b, booked, level) if len(both) else _NONE
        better = total.better(c, b, booked, level) if len(both) else _NONE
        periods = len(pairs) if absolute else len(both)
        said = own if absolute else better
        near = nearness(*said[1:]) if absolute and total.kind == "ratio" else said[1:]
        reliable = periods >= TEST_FROM and math.isfinite(near[0])
        rows.append({"definition": total.name, "formula": total.formula, "periods": periods, "value": own[0], "low": own[1],
                     "high": own[2], "baseline_value": theirs[0], "better_by": better[0], "better_low": better[1],
                     "better_high": better[2], "reliable": reliable,
                     "verdict": judged(*near, at_least[total.name], reliable=reliable)})  # fmt: skip
    return pd.DataFrame(rows)


def nearness(low: float, high: float) -> tuple[float, float]:
    """An interval of a ratio as that of 1 less its distance from 1: 120% is as far off as 80%.

    >>> [round(v, 2) for v in nearness(0.9, 1.2)], [round(v, 2) for v in nearness(1.3, 1.4)]
    ([0.8, 1.0], [0.6, 0.7])
    """
    ends = sorted((1 - abs(low - 1), 1 - abs(high - 1)))
    return ends[0], 1.0 if low <= 1 <= high else ends[1]


_BESIDE = (
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
        for name in (who, f"{who}_and_new", *_BESIDE)
        if name in there
    ]
    return pd.DataFrame(rows)


def floor(matched: Matched, totals: pd.DataFrame, name: str) -> float:
    """How far even a perfectly calibrated forecast with these probabilities misses the total, by chance alone: NaN if unknown."""
    if not matched.is_probability(name) or "amount" not in matched or "period" not in matched:
        return math.nan
    closed = pd.Series(dtype=float)
    if len(totals):
        closed = totals.drop_duplicates("period").set_index("period")["closed_to_date"]
    rows = matched.table.dropna(subset=[name, "amount"])
    found = [
        error_floor(np.clip(own[name], 0, 1), own["amount"], float(closed.get(period, 0.0)))["error"]
        for period, own in rows.groupby("period")
    ]
    return float(np.mean(found)) if found else math.nan
