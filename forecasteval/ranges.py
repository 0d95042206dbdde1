"""The ranges that forecasters give with their amounts: how often they hold, and what they cost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval import caution, intervals
from forecasteval.errors import CallError

Floats = NDArray[np.float64]

LEAST_CLUSTERS = 5


def _range(low: ArrayLike, high: ArrayLike, actual: ArrayLike) -> tuple[Floats, Floats, Floats]:
    a, b, x = (np.asarray(v, dtype=float) for v in (low, high, actual))
    upside_down = b < a
    if upside_down.any():
        first = int(np.argmax(np.atleast_1d(upside_down)))
        raise ValueError(
            f"{int(upside_down.sum())} ranges end below their start; the first is {np.atleast_1d(a)[first]:g} to "
            f"{np.atleast_1d(b)[first]:g} at position {first}."
        )
    return a, b, x


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}; a range of 80% is 0.8.")
    return level


def interval_score(low: ArrayLike, high: ArrayLike, actual: ArrayLike, *, level: float) -> Floats:
    """Cost of a range: its width, and a fine for missing; in the unit of the amounts, lower is better.

    (high - low) + 2/a (low - x)+ + 2/a (x - high)+,  a = 1 - level

    This is Winkler's score; some print it times a/2.

    Parameters
    ----------
    low, high, actual : arrays of shape (ranges,)
    level : float, in (0, 1)
        The share that such ranges are meant to hold.

    Returns
    -------
    array of shape (ranges,)

    Raises
    ------
    ValueError
        If a range ends below its start, or the level is no share.

    References
    ----------
    Winkler (1972), Journal of the American Statistical Association 67(337), 187-191; Gneiting & Raftery
    (2007), Journal of the American Statistical Association 102(477), 359-378, section 6.2.

    Examples
    --------
    >>> interval_score([0.0, 0.0], [0.4, 0.4], [0.1, 0.5], level=0.5).round(3).tolist()
    [0.4, 0.8]
    """
    a, b, x = _range(low, high, actual)
    fine = 2 / (1 - _checked_level(level))
    return (b - a) + fine * np.maximum(a - x, 0) + fine * np.maximum(x - b, 0)


def quantile_score(forecast: ArrayLike, actual: ArrayLike, *, quantile: float) -> Floats:
    """Cost of one end of a range, or of any quantile; lower is better.

    (1[x < q] - quantile)(q - x). The interval score is 2/a times the sum of those of its two ends.

    Parameters
    ----------
    forecast, actual : arrays of shape (forecasts,)
    quantile : float, in (0, 1)

    Returns
    -------
    array of shape (forecasts,)

    References
    ----------
    Koenker & Bassett (1978), Econometrica 46(1), 33-50; Gneiting & Raftery (2007), section 6.1.

    Examples
    --------
    >>> quantile_score([0.5, 0.1], [0.3, 0.3], quantile=0.2).round(3).tolist()
    [0.16, 0.04]
    """
    q, x = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    return ((x < q) - _checked_level(quantile)) * (q - x)


@dataclass(frozen=True)
class Coverage:
    """How often ranges held what came.

    Attributes
    ----------
    ranges, held, below, above : int
        Ranges with an outcome; those that held it; outcomes below and above their range.
    share : float
    wilson, clopper_pearson : (low, high)
        Intervals of the share if ranges are independent of each other.
    by_cluster : (low, high)
        Interval of the share for new clusters (reps), by leaving out one at a time; NaN without clusters,
        or with fewer than 5.
    clusters : int
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
    confidence : float

    Returns
    -------
    Coverage

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
        g = np.unique(np.asarray(cluster).astype(str)[usable], return_inverse=True)[1]
        size = np.bincount(g).astype(float)
        clusters = int(size.size)
        if clusters >= LEAST_CLUSTERS:
            hits = np.bincount(g, weights=inside)
            se = intervals.cr3j(held / n, intervals.leave_one_out(hits, size))
            spread = intervals.Spread(se, intervals.bell_mccaffrey_df(size / n), "rep")
            e, square = hits - held / n * size, held * (1 - held / n)
            i = caution.interval(held / n, caution.cautious(spread, size / n, e, size, square), confidence)
            by_cluster = (max(i.low, 0.0), min(i.high, 1.0)) if math.isfinite(i.low) else nothing
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
    week : int

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
