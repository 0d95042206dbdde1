"""Ranges for totals, made of past errors or given by people: how often they hold, and what they cost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval.compare.totals import in_time
from forecasteval.errors import CallError
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters, share_interval
from forecasteval.scores.amounts import _checked_level, _range, interval_score
from forecasteval.tables.period_labels import period_noun

_LEAST_PAST = 2  # periods: a range from one past error would be that error
_COLUMNS = ["period", "week", "unit", "amount", "low", "high", "promised", "past", "actual", "held"]


# --- how often ranges hold --------------------------------------------------------------------------


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

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share: for new clusters where there is one, else the exact one."""
        return self.by_cluster if math.isfinite(self.by_cluster[0]) else self.clopper_pearson


def _new_clusters(
    inside: NDArray[np.bool_], cluster: NDArray[np.str_], confidence: float
) -> tuple[tuple[float, float], int]:
    """Interval of the share for new clusters, and how many there are; NaN where these are too few."""
    g = np.unique(cluster, return_inverse=True)[1]
    size, hits = np.bincount(g), np.bincount(g, weights=inside)
    i = mean_over_clusters(float(inside.mean()), hits, size, confidence, least=MIN_CLUSTERS["rep"])
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
    from statsmodels.stats.proportion import binom_test

    a, b, x = (np.atleast_1d(v) for v in _range(low, high, actual))
    usable = np.isfinite(a) & np.isfinite(b) & np.isfinite(x)
    left_out = int((~usable).sum())
    a, b, x = a[usable], b[usable], x[usable]
    promised = math.nan if level is None else float(_checked_level(level))
    nothing = (math.nan, math.nan)
    inside = (a <= x) & (x <= b)
    n, held = int(inside.size), int(inside.sum())
    if n == 0:
        nan = math.nan
        return Coverage(0, 0, 0, 0, nan, nothing, nothing, nothing, 0, promised, nan, nan, nan, left_out)
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
        share_interval(held, n, confidence, exact=False),
        share_interval(held, n, confidence),
        by_cluster,
        clusters,
        promised,
        p,
        float((b - a).mean()),
        score,
        left_out,
    )


def _stated_level(text: object) -> float:
    """The share that a range promises, read from what was written; NaN where no number was.

    Examples
    --------
    >>> _stated_level("80%"), _stated_level(0.9), _stated_level("P90"), _stated_level("commit")
    (0.8, 0.9, 0.9, nan)
    """
    found = re.fullmatch(r"\s*p?\s*(\d+(?:\.\d+)?)\s*%?\s*", str(text), re.IGNORECASE)
    value = float(found[1]) if found else math.nan
    value = value / 100 if value > 1 else value
    return value if 0 < value < 1 else math.nan


# --- ranges made of past errors ---------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """A range with the share of such ranges that holds; ``past`` is how many errors it is made of."""

    low: float
    high: float
    level: float
    past: int


def conformal_range(
    forecast: float,
    past_forecast: ArrayLike,
    past_actual: ArrayLike,
    *,
    level: float = 0.8,
    closed: float = 0.0,
) -> Range:
    """A range around a forecast that is as wide as its own past errors.

    F (1 -+ s_(k)),  s = |A - F| / F of the n past totals, s_(k) the k-th smallest, k = ceil((n + 1) level).

    Where the coming error is drawn as the past ones were, whatever their distribution, such a range holds in k/(n + 1) of
    all cases. So with n past periods only levels up to 1 - 1/(n + 1) exist: a higher one is lowered to that, and `level`
    says so. What is booked already is not lost again: the range starts no lower.

    Parameters
    ----------
    forecast : float, above 0
    past_forecast, past_actual : arrays of shape (periods,)
        What the same forecaster said at the same week, above 0, and what was booked.
    level : float, in (0, 1)
    closed : float
        Booked to date.

    Returns
    -------
    Range

    Raises
    ------
    ValueError
        For fewer than two past errors, or a level that is no share.

    References
    ----------
    Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a Random World, chapter 2; Lei et al. (2018), Journal of the
    American Statistical Association 113(523), 1094-1111.

    Examples
    --------
    >>> conformal_range(100, [100, 100, 100, 100], [90, 120, 105, 98], level=0.8)
    Range(low=80.0, high=120.0, level=0.8, past=4)
    >>> conformal_range(100, [100, 100, 100], [90, 120, 105], level=0.95).level
    0.75
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}; a range of 80% is 0.8.")
    f, a = np.asarray(past_forecast, dtype=float), np.asarray(past_actual, dtype=float)
    usable = np.isfinite(f) & np.isfinite(a) & (f > 0)
    score = np.sort(np.abs(a - f)[usable] / f[usable])
    n = score.size
    if n < _LEAST_PAST:
        raise ValueError(f"{n} past errors; a range needs at least {_LEAST_PAST}.")
    k = min(math.ceil((n + 1) * level - 1e-9), n)
    off = float(score[k - 1]) * forecast
    low = max(forecast - off, 0.0)
    return Range(max(low, min(closed, forecast + off)), forecast + off, k / (n + 1), n)


@dataclass(frozen=True, eq=False)
class TrackRecord:
    """The ranges of one forecaster at every week, and how often they held.

    ``table`` has period, week, unit, amount, low, high, promised, past (errors that the range is made of), actual and held
    (empty where the period is not over). ``made`` is False for ranges that a person or vendor gave.
    """

    forecaster: str
    table: pd.DataFrame
    level: float
    made: bool = True

    def coverage(self, week: int | None = None) -> Coverage:
        """How often the ranges of a week (of all rows without one) held, with intervals."""
        rows = self._rows(week).dropna(subset=["actual"])
        several = rows["period"].nunique() < len(rows)
        promised = rows["promised"].unique()
        one = float(promised[0]) if len(promised) == 1 and not np.isnan(promised[0]) else None
        cluster = rows["period"] if several else None
        return coverage(rows["low"], rows["high"], rows["actual"], level=one, cluster=cluster)

    def _rows(self, week: int | None) -> pd.DataFrame:
        t = self.table
        return t if week is None else t[t["week"] == week]

    def score(self, week: int | None = None) -> float:
        """The interval score of the judged ranges as a share of what was booked; NaN where no share was promised."""
        return _cost(self._rows(week))

    def promised(self, week: int | None = None) -> str:
        """The share that the judged ranges promised, from least to most; empty where none was stated."""
        rows = self._rows(week)
        known = rows.loc[rows["actual"].notna(), "promised"].dropna()
        return " to ".join(dict.fromkeys(f"{v:.0%}" for v in (known.min(), known.max()) if not np.isnan(v)))

    def label(self, week: int | None = None) -> str:
        """How often such ranges held and how sure that is, in one sentence."""
        c, noun = self.coverage(week), period_noun(self.table["period"])
        if not c.ranges:
            return f"No such range has met its result yet: the first {noun} that can be judged are still to come."
        judged, share = self._rows(week), self.promised(week)
        said = f"{share} was promised" if share else "no share was promised"
        low, high = c.interval
        text = f"{c.held} of {c.ranges} such ranges held, so between {low:.0%} and {high:.0%} of them do; {said}."
        promised = judged["promised"].dropna()
        if self.made and len(promised) and promised.iloc[-1] < self.level - 0.005:
            past = int(judged["past"].iloc[-1])
            text += f" With {past} past {noun} no range of more than {1 - 1 / (past + 1):.0%} exists."
        return text

    def by_week(self) -> pd.DataFrame:
        """One row per week: ranges, held, share, low, high, width and score (both as shares of what was booked)."""
        found: list[dict[str, Any]] = []
        over = self.table.dropna(subset=["actual"])
        for week in over["week"].unique():
            rows = over[(over["week"] == week) | (pd.isna(week) & over["week"].isna())]
            c = self.coverage(None if pd.isna(week) else week)
            low, high = c.interval
            total = float(rows["actual"].sum())
            found.append(
                {
                    "week": week, "ranges": c.ranges, "held": c.held, "share": c.share, "low": low, "high": high,
                    "below": c.below, "above": c.above,
                    "promised": rows["promised"].mean(), "width": float((rows["high"] - rows["low"]).sum()) / total,
                    "score": _cost(rows),
                }
            )  # fmt: skip
        return pd.DataFrame(found)


def _cost(rows: pd.DataFrame) -> float:
    """Interval scores over what was booked, of the ranges that promised a share and have met their result."""
    known = rows.dropna(subset=["promised", "actual"])
    booked = float(known["actual"].sum())
    ends = (known[n].to_numpy(dtype=float) for n in ("low", "high", "actual"))
    return float(interval_score(*ends, level=known["promised"]).sum()) / booked if booked > 0 else math.nan


def track_record(table: pd.DataFrame, forecaster: str, *, level: float = 0.8) -> TrackRecord:
    """The range that a forecaster's own past errors would have given at every week of every period, and what came.

    Each range is made of the errors of the same unit at the same week, of periods frozen by then. Takes roll-ups of one
    level, or any table with period, forecaster, amount, actual and, optional, unit, week, as_of, closed_to_date, freezes_on.
    """
    rows = table[(table["forecaster"] == forecaster) & (table["amount"] > 0)].reset_index(drop=True)
    if rows.empty:
        there = sorted(table["forecaster"].unique())
        if forecaster in there:
            raise CallError(f"A range is made of relative errors, and no total of {forecaster} lies above 0.")
        raise CallError(f"There is no total of {forecaster}; the table has {', '.join(there)}.")
    for column, without in (("unit", "company"), ("week", np.nan), ("closed_to_date", 0.0)):
        rows[column] = rows[column].fillna(without) if column in rows else without
    rows = rows.assign(place=rows["period"].map(in_time(table))).sort_values("place", ignore_index=True)
    nothing = np.full(len(rows), np.datetime64("NaT"))
    freezes, said = (
        rows[c].to_numpy("datetime64[s]") if c in rows else nothing for c in ("freezes_on", "as_of")
    )
    place, actual, amount = (rows[c].to_numpy(dtype=float) for c in ("place", "actual", "amount"))
    records, found = rows.to_dict("records"), list[dict[str, Any]]()
    series = rows.groupby(["unit", "week"], dropna=False).ngroup().to_numpy()
    for number in range(series.max() + 1):
        own = np.flatnonzero(series == number)
        for at in own:
            past = own[np.isfinite(actual[own]) & (place[own] < place[at]) & ~(freezes[own] > said[at])]
            if len(past) < _LEAST_PAST:
                continue
            row = records[at]
            r = conformal_range(
                row["amount"], amount[past], actual[past], level=level, closed=row["closed_to_date"]
            )
            held = math.nan if pd.isna(row["actual"]) else float(r.low <= row["actual"] <= r.high)
            made = {"low": r.low, "high": r.high, "promised": r.level, "past": r.past, "held": held}
            found.append({k: row.get(k) for k in _COLUMNS} | made)
    return TrackRecord(forecaster, pd.DataFrame(found, columns=_COLUMNS), level)


def chance_to_reach(
    forecast: float, past_forecast: ArrayLike, past_actual: ArrayLike, target: float
) -> tuple[float, float, float]:
    """The chance that the total reaches a target, from past errors at the same week, with its interval of 95%.

    The share of past periods in which F A'/F' >= target, for past forecasts F' and results A', with the interval of
    Clopper and Pearson: a few quarters say little.

    >>> [round(v, 2) for v in chance_to_reach(100, [100, 100, 100, 100], [90, 120, 105, 98], 100)]
    [0.5, 0.07, 0.93]
    """
    f, a = np.asarray(past_forecast, dtype=float), np.asarray(past_actual, dtype=float)
    usable = np.isfinite(f) & np.isfinite(a) & (f > 0)
    reached = forecast * a[usable] / f[usable] >= target
    n = int(reached.size)
    if not n:
        return math.nan, 0.0, 1.0
    return float(reached.mean()), *share_interval(int(reached.sum()), n)


# --- ranges that people and vendors gave ------------------------------------------------------------


def own_ranges(table: pd.DataFrame, forecaster: str) -> TrackRecord:
    """The ranges that a person or a vendor gave with a number, as a track record of their own.

    >>> rows = pd.DataFrame({"period": ["Q1", "Q2"], "forecaster": "reps", "amount": [10.0, 10.0], "actual": [11.0, 14.0],
    ...     "low": [8.0, 8.0], "high": [12.0, 12.0], "promised": "80%"})
    >>> own_ranges(rows, "reps").label()
    '1 of 2 such ranges held, so between 1% and 99% of them do; 80% was promised.'
    """
    rows = table[table["forecaster"] == forecaster].dropna(subset=["low", "high"]).reset_index(drop=True)
    promised = rows["promised"].map(_stated_level).astype(float)
    held = rows["actual"].between(rows["low"], rows["high"]).astype(float).where(rows["actual"].notna())
    rows = rows.assign(promised=promised, held=held, past=0)
    level = float(promised.iloc[-1]) if len(rows) else math.nan
    return TrackRecord(forecaster, rows.reindex(columns=_COLUMNS), level, made=False)


def of_calls(
    calls: pd.DataFrame, booked: pd.DataFrame, week_ends: pd.DataFrame, *, week: int
) -> pd.DataFrame:
    """Each unit's last range by the end of a week of the period, beside what was booked.

    A period that is not in ``booked`` (unit_id, period, booked) is not over yet and is left out; a unit that is not, booked
    nothing. ``week_ends`` has period, week, ends_on.

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
    found["level"] = found["level"].map(_stated_level).astype(float)
    columns = [*key, "amount", "low", "high", "level", "booked"]
    return found[columns].sort_values(key, ignore_index=True)
