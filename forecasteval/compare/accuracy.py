"""One forecaster's accuracy under every name in circulation, beside what a perfect forecast would have missed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.jackknife import t_quantile
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters, share_interval
from forecasteval.scores.amounts import ACCURACIES, accuracies, within, wmape

GREEN = (0.85, 1.15)  # of forecast / actual, as a product prints it
_ALL_GREEN, _ALL_RED, _UNSURE = "green", "red", "cannot be told"


@dataclass(frozen=True, eq=False)
class Accuracy:
    """The same misses under each definition.

    ``definitions`` has definition, formula, mean, worst and best over the totals; ``headlines`` are the best and the worst
    mean (the formula shopper's choice). ``table`` has what (total, open remainder), totals, wmape, bias, bias_low,
    bias_high, within_5, within_10 and the exact 95% interval of the latter.
    """

    forecaster: str
    definitions: pd.DataFrame
    table: pd.DataFrame

    @property
    def headlines(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The definition that makes these misses look best, and the one that makes them look worst."""
        d = self.definitions.dropna(subset=["off"]).sort_values("off", kind="stable")
        best, worst = ({str(k): v for k, v in d.iloc[i].items()} for i in (0, -1))
        return best, worst


def accuracy(table: pd.DataFrame, forecaster: str) -> Accuracy:
    """How accurate a forecaster's totals were, by each name that is in use, in total and in what was still open.

    Takes roll-ups of one week and level, or any table with period, forecaster, amount, actual and, optional,
    closed_to_date. A ratio such as A / F cancels over quarters: its mean may be 1 where every quarter was missed. `off` is
    how far a definition's mean lies from 1, and so what a headline would admit.
    """
    rows = table[table["forecaster"] == forecaster].dropna(subset=["amount", "actual"])
    if rows.empty:
        raise CallError(f"There is no booked total of {forecaster}.")
    f, a = rows["amount"].to_numpy(dtype=float), rows["actual"].to_numpy(dtype=float)
    found = []
    for name, values in accuracies(f, a).items():
        known = values[np.isfinite(values)]
        mean = float(known.mean()) if known.size else math.nan
        span = (
            {"lowest": known.min(initial=math.inf), "highest": known.max(initial=-math.inf)}
            if known.size
            else {}
        )
        found.append(
            {"definition": name, "formula": ACCURACIES[name][0], "mean": mean, "off": abs(mean - 1), **span}
        )
    lines = [_line("total", rows["period"], f, a)]
    if "closed_to_date" in rows and rows["closed_to_date"].notna().all():
        closed = rows["closed_to_date"].to_numpy(dtype=float)
        lines.append(_line("open remainder", rows["period"], f - closed, a - closed))
    return Accuracy(forecaster, pd.DataFrame(found), pd.DataFrame(lines))


def _line(what: str, period: pd.Series, f: Any, a: Any) -> dict[str, Any]:
    e = over_periods(period, f - a, a)
    found: dict[str, Any] = {"what": what, "totals": len(f), "wmape": wmape(f, a)}
    found |= {"bias": e.value, "bias_low": e.low, "bias_high": e.high}
    for share in (0.05, 0.10):
        hits = int(within(f, a, share).sum())
        low, high = share_interval(hits, len(f))
        name = f"within_{100 * share:.0f}"
        found |= {name: hits / len(f), f"{name}_low": low, f"{name}_high": high}
    return found


def over_periods(period: pd.Series, x: Any, z: Any, level: float = 0.95) -> Estimate:
    """sum x / sum z of all rows, with its interval for new periods where there are enough."""
    of = pd.factorize(period, sort=True)[0]
    x, z = np.bincount(of, x), np.bincount(of, z)
    value = float(x.sum()) / float(z.sum()) if z.sum() > 0 else math.nan
    return mean_over_clusters(value, x, z, level, least=MIN_CLUSTERS["period"])


def by_person(table: pd.DataFrame, forecaster: str, *, level: float = 0.95) -> pd.DataFrame:
    """Forecast over actual per person, green at 85 to 115% as products print it, with the interval next to it.

    sum F / sum A. From 4 periods on its interval comes from leaving out one period at a time. With fewer, from the deals
    booked: their number is chance, and the sum of a Poisson number of deals of these sizes has the variance sum a^2, so
    log(F/A) has the standard error sqrt(sum a^2) / A.

    Takes :func:`forecasteval.rollups` at one week and one level (rep or team), with booked_squares for the second. Besides
    the ratio with its interval a row has shown (green or red, as a product would) and told (green, red or "cannot be told":
    does the whole interval lie on one side?).

    >>> rows = pd.DataFrame({"period": "2025-Q1", "unit": ["a", "b"], "forecaster": "reps", "amount": [100.0, 130.0],
    ...     "actual": [100.0, 100.0], "booked_squares": 13 * (100 / 13) ** 2})
    >>> by_person(rows, "reps")[["ratio", "low", "high", "shown", "told"]].round(2).values.tolist()
    [[1.0, 0.58, 1.72, 'green', 'cannot be told'], [1.3, 0.75, 2.24, 'red', 'cannot be told']]
    """
    rows = table[table["forecaster"] == forecaster].dropna(subset=["amount", "actual"])
    found = []
    for unit, own in rows.groupby("unit"):
        f, a = float(own["amount"].sum()), float(own["actual"].sum())
        e = over_periods(own["period"], own["amount"], own["actual"], level)
        ratio, low, high = e.value, e.low, e.high
        if not e.has_interval and "booked_squares" in own and a > 0 and ratio > 0:
            off = t_quantile(0.5 + level / 2, math.inf) * math.sqrt(float(own["booked_squares"].sum())) / a
            low, high = ratio * math.exp(-off), ratio * math.exp(off)
        shown = _ALL_GREEN if GREEN[0] <= ratio <= GREEN[1] else _ALL_RED
        told = _UNSURE
        if GREEN[0] <= low and high <= GREEN[1]:
            told = _ALL_GREEN
        elif high < GREEN[0] or low > GREEN[1]:
            told = _ALL_RED
        found.append({"unit": unit, "periods": own["period"].nunique(), "forecast": f, "actual": a, "ratio": ratio,
                      "low": low, "high": high, "shown": shown, "told": told})  # fmt: skip
    return pd.DataFrame(found)


def floor(table: pd.DataFrame, forecaster: str) -> float:
    """How far even a calibrated forecast misses the totals by chance alone, as a share of them; NaN if unknown.

    mean of sd sqrt(2/pi) / F, sd = sqrt(sum a^2 p (1 - p)) of the deals that were still open, each with the chance p that
    the forecaster gave it (the column `chance` of :func:`forecasteval.rollups`). Deals are taken to be independent, and new
    business to be no surprise: it is a lower bound.

    >>> rows = pd.DataFrame({"forecaster": "model", "amount": [100.0, 200.0], "chance": [10.0, 20.0], "actual": 1.0})
    >>> round(floor(rows, "model"), 3)
    0.08
    """
    rows = table[table["forecaster"] == forecaster] if "chance" in table else table.head(0)
    rows = rows[rows["chance"].notna() & rows["amount"].gt(0) & rows["actual"].notna()] if len(rows) else rows
    return float((rows["chance"] / rows["amount"]).mean()) * math.sqrt(2 / math.pi) if len(rows) else math.nan


def pacing(table: pd.DataFrame, quota: pd.DataFrame, pipeline: str = "pipeline") -> pd.DataFrame:
    """Where each period stood against its quota at each week: share reached, what is missing, and coverage.

    coverage = open pipeline / (quota - closed to date): how many times over what is missing stands in the list. Takes
    the `table` and the `quota` of :func:`forecasteval.rollups`; empty without a quota.

    >>> rows = pd.DataFrame({"period": "2025-Q1", "week": 4, "unit": "company", "forecaster": ["pipeline"],
    ...     "amount": [260.0], "closed_to_date": 20.0, "actual": 90.0})
    >>> goal = pd.DataFrame({"period": ["2025-Q1"], "week": 4, "unit": "company", "quota": 100.0})
    >>> pacing(rows, goal)[["reached", "missing", "coverage"]].values.tolist()
    [[0.2, 80.0, 3.0]]
    """
    key = ["period", "week", "unit"]
    known = table.drop_duplicates(key)[[*key, "closed_to_date", "actual"]]
    listed = table.loc[table["forecaster"] == pipeline, [*key, "amount"]]
    found = quota[[*key, "quota"]].merge(known, on=key).merge(listed, on=key, how="left")
    found["open"] = (found.pop("amount") - found["closed_to_date"]).clip(lower=0)
    found["reached"] = found["closed_to_date"] / found["quota"]
    found["missing"] = (found["quota"] - found["closed_to_date"]).clip(lower=0)
    found["coverage"] = (found["open"] / found["missing"]).where(found["missing"] > 0)
    return found
