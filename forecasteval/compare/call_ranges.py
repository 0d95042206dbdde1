"""The ranges that forecasters give with their amounts: how often they hold, and what they cost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval.errors import CallError
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters
from forecasteval.scores.amounts import _checked_level, _range, interval_score


@dataclass(frozen=True)
class Coverage:
    """How often ranges held what came.

    Attributes
    ----------
    ranges, held, below, above : int
        Ranges with an outcome; those that held it; outcomes below and above their range.
    wilson, clopper_pearson : (low, high)
        Intervals of the share if ranges are independent of each other.
    by_cluster : (low, high)
        Interval of the share for new clusters (reps), by leaving out one at a time; NaN without clusters,
        or with fewer than 5.
    level : float
        What was promised; NaN where the forecaster did not say.
    p_value : float
        Exact binomial test against `level`, two-sided; NaN without a level, or where clusters repeat.
    mean_width, mean_score : float
        Mean width and mean interval score; the score is NaN without a level.
    left_out : int
        Ranges without an outcome, or without both ends.
    """

    ranges: int
    held: int
    below: int
    above: int
    share: float
    wilson: tuple[float, float]
    clopper_pearson: tuple[float, float]
    by_cluster: tuple[float, float]
    clusters: int
    level: float
    p_value: float
    mean_width: float
    mean_score: float
    left_out: int


def _new_clusters(
    inside: NDArray[np.bool_], cluster: NDArray[np.str_], confidence: float
) -> tuple[tuple[float, float], int]:
    """Interval of the share for new clusters, and how many there are; NaN where these are too few."""
    g = np.unique(cluster, return_inverse=True)[1]
    size = np.bincount(g).astype(float)
    if size.size < MIN_CLUSTERS["rep"]:
        return (math.nan, math.nan), int(size.size)
    n, held = inside.size, int(inside.sum())
    hits = np.bincount(g, weights=inside)
    i = mean_over_clusters(held / n, hits, size, confidence)
    return (max(i.low, 0.0), min(i.high, 1.0)) if i.has_interval else (math.nan, math.nan), int(size.size)


def coverage(
    low: ArrayLike,
    high: ArrayLike,
    actual: ArrayLike,
    *,
    level: float | None = None,
    cluster: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Coverage:
    """Share of ranges that held what came, with intervals, and the test of what was promised.

    An outcome on the edge of a range is held. Eight of twelve is 67%, and 35% to 90% by Clopper-Pearson: a
    few quarters say little about a promise.

    Parameters
    ----------
    low, high, actual : arrays of shape (ranges,)
    level : float, optional
        The share that was promised.
    cluster : array of shape (ranges,), optional
        Whose range it is, where one person gave several: these are not independent, so the binomial test is
        left out and the interval is for new clusters.

    Raises
    ------
    ValueError
        If a range ends below its start, or the level is no share.

    References
    ----------
    Wilson (1927), JASA 22(158), 209-212; Clopper & Pearson (1934), Biometrika 26(4), 404-413.

    Examples
    --------
    >>> c = coverage([0] * 12, [1] * 12, [0.5] * 8 + [2] * 4, level=0.8)
    >>> c.held, c.above, [round(v, 3) for v in c.clopper_pearson], round(c.p_value, 3)
    (8, 4, [0.349, 0.901], 0.274)
    """
    from statsmodels.stats.proportion import binom_test, proportion_confint

    a, b, x = (np.atleast_1d(v) for v in _range(low, high, actual))
    usable = np.isfinite(a) & np.isfinite(b) & np.isfinite(x)
    left_out = int((~usable).sum())
    a, b, x = a[usable], b[usable], x[usable]
    promised = math.nan if level is None else _checked_level(level)
    nothing = (math.nan, math.nan)
    inside = (a <= x) & (x <= b)
    n, held = int(inside.size), int(inside.sum())
    if n == 0:
        nan = math.nan
        return Coverage(0, 0, 0, 0, nan, nothing, nothing, nothing, 0, promised, nan, nan, nan, left_out)
    alpha = 1 - confidence
    wilson, exact = (
        tuple(float(v) for v in proportion_confint(held, n, alpha, method=m)) for m in ("wilson", "beta")
    )
    by_cluster, clusters = nothing, 0
    if cluster is not None:
        by_cluster, clusters = _new_clusters(inside, np.asarray(cluster).astype(str)[usable], confidence)
    independent = clusters in (0, n)
    p = float(binom_test(held, n, promised)) if level is not None and independent else math.nan
    score = math.nan if level is None else float(interval_score(a, b, x, level=promised).mean())
    return Coverage(
        n,
        held,
        int((x < a).sum()),
        int((x > b).sum()),
        held / n,
        (wilson[0], wilson[1]),
        (exact[0], exact[1]),
        by_cluster,
        clusters,
        promised,
        p,
        float((b - a).mean()),
        score,
        left_out,
    )


def stated_level(text: object) -> float:
    """The share that a range promises, read from what was written; NaN where no number was.

    Examples
    --------
    >>> stated_level("80%"), stated_level(0.9), stated_level("P90"), stated_level("commit")
    (0.8, 0.9, 0.9, nan)
    """
    found = re.fullmatch(r"\s*p?\s*(\d+(?:\.\d+)?)\s*%?\s*", str(text), re.IGNORECASE)
    value = float(found[1]) if found else math.nan
    value = value / 100 if value > 1 else value
    return value if 0 < value < 1 else math.nan


def of_calls(
    calls: pd.DataFrame, booked: pd.DataFrame, week_ends: pd.DataFrame, *, week: int
) -> pd.DataFrame:
    """Each unit's last range by the end of a week of the period, beside what was booked.

    Parameters
    ----------
    calls : the table `calls`: unit, unit_id, period, as_of, forecaster, amount, low, high, level
    booked : DataFrame with unit_id, period and booked
        A period that is not in it is not over yet, and is left out; a unit that is not, booked nothing.
    week_ends : DataFrame with period, week, ends_on

    Returns
    -------
    DataFrame with unit, unit_id, period, forecaster, amount, low, high, level (a share or NaN), booked

    Raises
    ------
    CallError
        If no call gives a range.

    Examples
    --------
    >>> day = pd.Timestamp
    >>> calls = pd.DataFrame({"unit": "rep", "unit_id": "r1", "period": "Q1", "forecaster": "rep_forecast",
    ...     "as_of": [day("2026-01-05"), day("2026-01-12")], "amount": [10.0, 20], "low": [8.0, 15],
    ...     "high": [12.0, 25], "level": "80%"})
    >>> weeks = pd.DataFrame({"period": "Q1", "week": [1, 2], "ends_on": [day("2026-01-04"), day("2026-01-11")]})
    >>> booked = pd.DataFrame({"unit_id": ["r1"], "period": ["Q1"], "booked": [11.0]})
    >>> of_calls(calls, booked, weeks, week=2)[["low", "high", "level", "booked"]].values.tolist()
    [[8.0, 12.0, 0.8, 11.0]]
    """
    ranged = calls[calls["low"].notna() & calls["high"].notna()]
    if ranged.empty:
        raise CallError("No call gives a range: the columns low and high are empty.")
    ends = week_ends.loc[week_ends["week"] == week].set_index("period")["ends_on"]
    early = ranged[ranged["as_of"] <= ranged["period"].map(ends)]
    key = ["unit", "unit_id", "period", "forecaster"]
    last = early.sort_values("as_of", kind="stable").groupby(key, sort=True, dropna=False).tail(1)
    last = last[last["period"].isin(booked["period"])]
    found = last.merge(booked, on=["unit_id", "period"], how="left", validate="many_to_one")
    found["booked"] = found["booked"].fillna(0.0)
    found["level"] = found["level"].map(stated_level).astype(float)
    columns = [*key, "amount", "low", "high", "level", "booked"]
    return found[columns].sort_values(key, ignore_index=True)
