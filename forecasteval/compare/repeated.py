"""One comparison after another: by question, by group, by candidate; and how much hangs on each cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from forecasteval.compare import rows as sample
from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import CallError
from forecasteval.inference import ratio_of_sums as estimates
from forecasteval.matching.matched import META, RESERVED, has
from forecasteval.scores.probability import METRICS


def ladder(matched: pd.DataFrame, candidate: str, baseline: str, **options: Any) -> list[Comparison]:
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
    there = {d for d in ("rep", "period") if has(matched, d)} | {"deal"}
    rungs = [q for q in (("deal",), ("rep",), ("period",), ("rep", "period")) if set(q) <= there]
    return [compare(matched, candidate, baseline, generalise_to=q, **options) for q in rungs]


def by_group(
    matched: pd.DataFrame, by: str, candidate: str, baseline: str, **options: Any
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
    if by not in matched:
        segments = [str(c) for c in matched.columns if c not in RESERVED]
        raise CallError(f"There is no column {by!r} to compare by; the table has {', '.join(segments)}.")
    found = {}
    meta = {k: v for k, v in matched.attrs.get(META, {}).items() if k != "flow"}
    matched = matched.copy(deep=False)
    matched.attrs = {}
    for value, rows in matched.groupby(by, sort=True):
        rows.attrs = {META: meta}
        found[value] = compare(rows, candidate, baseline, **options)
    return found


def against(
    matched: pd.DataFrame, candidates: Iterable[str], baseline: str, **options: Any
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
    return {c: compare(matched, c, baseline, **options) for c in candidates if c != baseline}


def pseudonyms(names: pd.Series, noun: str = "rep") -> dict[Any, str]:
    """Stand-ins for names, numbered by how often each occurs: names of people are personal data.

    Examples
    --------
    >>> pseudonyms(pd.Series(["Ann", "Bo", "Bo"]))
    {'Bo': 'rep 1', 'Ann': 'rep 2'}
    """
    seen = names.dropna().astype(str).value_counts().reset_index()
    seen = seen.sort_values(["count", seen.columns[0]], ascending=[False, True])
    return {name: f"{noun} {i}" for i, name in enumerate(seen.iloc[:, 0], start=1)}


def influence(
    matched: pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    by: str = "rep",
    metric: str = "brier",
    show_names: bool = False,
) -> pd.DataFrame:
    """How much hangs on each cluster: its share, and the difference without it.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`compare`
    by : "rep" or "period"
    metric : str
    show_names : bool
        Names instead of pseudonyms.

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
    about = matched.attrs.get(META, {}).get("forecasters", {})
    kinds = {n: f["kind"] for n, f in about.items() if "kind" in f}
    matched = matched.copy(deep=False)
    matched.attrs = {}
    chosen = METRICS[metric]
    s = sample.read(matched, candidate, baseline, (by,), amounts=bool(chosen.needs))
    probabilities = all(
        sample.kind(n, p, kinds)[0] == "probability"
        for n, p in ((candidate, s.deals.candidate), (baseline, s.deals.baseline))
    )
    s = sample.united(sample.settle_abstentions(s, candidate, baseline, same_kind=probabilities))
    if chosen.needs:
        s = sample.with_amounts(s, chosen)
    groups = s.grouping()
    estimate = estimates.of_metric(chosen, s.deals, groups, (by,), units=False)
    over = estimate.over[by]
    kept = over.kept
    size = groups.by(by, groups.sums(None))[kept]
    names = pd.Series(s.labels[by][kept]).astype(str)
    if not show_names:
        names = names.map(pseudonyms(matched[by], by))
    found = pd.DataFrame(
        {
            "name": names,
            "deals": size.astype(int),
            "share": over.share,
            "without": over.without.difference,
        }
    )
    return found.sort_values(["share", "name"], ascending=[False, True], ignore_index=True)
