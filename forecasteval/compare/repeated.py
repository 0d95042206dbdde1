"""One comparison after another: by question, by group, by candidate; and how much hangs on each cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.pair import pair_of
from forecasteval.compare.rows import Rows
from forecasteval.errors import CallError
from forecasteval.matching.matched import RESERVED, Matched, shown_as
from forecasteval.scores.probability import METRICS


def ladder(
    matched: Matched | pd.DataFrame, candidate: str, baseline: str, **options: Any
) -> list[Comparison]:
    """The same comparison for each thing that may be different next time, from the easiest up.

    New deals; new reps; new periods; new reps and new periods: those that the table can speak about.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`compare`
    **options : further arguments of :func:`compare`, but `generalise_to`

    Returns
    -------
    list of Comparison

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": ["a", "b"], "won": [1, 0], "m": [0.8, 0.2], "r": [0.9, 0.6]})
    >>> [c.generalise_to for c in ladder(deals, "m", "r", metrics=["brier"])]
    [('deal',)]
    """
    matched = Matched.of(matched)
    there = {d for d in ("rep", "period") if matched.has(d)} | {"deal"}
    rungs = [q for q in (("deal",), ("rep",), ("period",), ("rep", "period")) if set(q) <= there]
    return [compare(matched, candidate, baseline, generalise_to=q, **options) for q in rungs]


def by_group(
    matched: Matched | pd.DataFrame, by: str, candidate: str, baseline: str, **options: Any
) -> dict[Any, Comparison]:
    """The same comparison within each value of a column: a week of the period, a segment.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`compare`
    by : str
        A column of the table; rows without a value are left out.
    **options : further arguments of :func:`compare`

    Returns
    -------
    dict of Comparison by value, sorted

    Raises
    ------
    ValueError
        If there is no such column.
    """
    matched = Matched.of(matched)
    if by not in matched:
        segments = [str(c) for c in matched.table.columns if c not in RESERVED]
        raise CallError(f"There is no column {by!r} to compare by; the table has {', '.join(segments)}.")
    groups = matched.table.groupby(by, sort=True).indices
    return {
        value: compare(matched.rows(rows, flow=[]), candidate, baseline, **options)
        for value, rows in groups.items()
    }


def against(
    matched: Matched | pd.DataFrame, candidates: Iterable[str], baseline: str, **options: Any
) -> dict[str, Comparison]:
    """Each of several candidates compared with one baseline, for the forest plot.

    Parameters
    ----------
    matched, baseline : as in :func:`compare`
    candidates : names of forecasters; the baseline itself is passed over
    **options : further arguments of :func:`compare`

    Returns
    -------
    dict of Comparison by candidate
    """
    matched = Matched.of(matched)
    return {c: compare(matched, c, baseline, **options) for c in candidates if c != baseline}


def influence(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    by: str = "rep",
    metric: str = "brier",
    show_names: bool | Mapping[str, str] = False,
) -> pd.DataFrame:
    """How much hangs on each cluster: its share, and the difference without it.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`compare`
    by : "rep" or "period"
    metric : str
    show_names : bool
        Names instead of pseudonyms; a mapping holds the names of those who stand in the table by an id.

    Returns
    -------
    DataFrame with name, deals, share and without, largest share first

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": list("abcd"), "won": [1, 0, 1, 0], "rep": ["x", "x", "x", "y"],
    ...     "model": [0.8, 0.2, 0.7, 0.6], "rep_forecast": [0.9, 0.6, 0.5, 0.4]})
    >>> influence(deals, "model", "rep_forecast")[["name", "share"]].values.tolist()
    [['rep 1', 0.75], ['rep 2', 0.25]]
    """
    matched, chosen = Matched.of(matched), METRICS[metric]
    rows = Rows.of(matched, candidate, baseline, (by,), amounts=bool(chosen.needs))
    if chosen.needs:
        rows = rows.with_amounts(chosen)
    groups = rows.groups
    pair = pair_of(chosen, rows.deals, groups, (by,), units=False)
    over = pair.difference.over[by]
    size = groups.units(by)
    kept = range(size.size) if pair.kept is None else pair.kept[by]
    names = pd.Series(rows.labels[by][list(kept)]).astype(str)
    names = names.map(shown_as(matched[by].dropna().astype(str), show_names, by))
    found = pd.DataFrame(
        {
            "name": names,
            "deals": size[list(kept)].astype(int),
            "share": over.share,
            "without": over.without,
        }
    )
    return found.sort_values(["share", "name"], ascending=[False, True], ignore_index=True)
