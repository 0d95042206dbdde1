"""A flat table that learns from its own past: whatever is fitted sees only rows whose outcome was known by then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.matching.forecasters import BurnIn, design_of, folds_of, taught
from forecasteval.matching.matched import Matched

KNOWN_AFTER = (
    "known_after_days"  # among what came with a table: so many days after its date a row's outcome is known
)
_STEP, _SHORT_STEP, _YEAR = 28, 7, 365  # days between fits; of a history shorter than a year
_Rows = NDArray[np.intp]


def in_time(matched: Matched) -> bool:
    """Is it known of every row when it speaks and when its outcome was known?"""
    return KNOWN_AFTER in matched.more and bool(matched["as_of"].notna().all())


def looks(matched: Matched) -> pd.DataFrame:
    """Of each row the day of the last fit before it speaks (as_of) and the day on which its outcome was known."""
    day = matched["as_of"]
    step = _STEP if (day.max() - day.min()).days > _YEAR else _SHORT_STEP
    at = day.min() + pd.to_timedelta((day - day.min()).dt.days // step * step, unit="D")
    return pd.DataFrame({"as_of": at, "known_on": day + pd.Timedelta(days=matched.more[KNOWN_AFTER])})


def _turns(matched: Matched, seed: int, by_period: bool) -> Iterator[tuple[_Rows, _Rows]]:
    """Rows that speak, and those that may be learned from by then; without dates, ten folds take turns."""
    if by_period:
        first = matched["as_of"].groupby(matched["period"]).transform("min")
        for day in np.unique(first):
            yield np.flatnonzero(first == day), np.flatnonzero(first < day)
        return
    if not in_time(matched):
        fold = folds_of(matched.table, 10, seed)
        for k in np.unique(fold):
            yield np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        return
    look = looks(matched)
    for day in np.unique(look["as_of"].to_numpy()):
        yield np.flatnonzero(look["as_of"] == day), np.flatnonzero(look["known_on"] <= day)


def learned(
    matched: Matched,
    names: list[str],
    *,
    by: str = "",
    by_period: bool = False,
    burn_in: BurnIn | None = None,
    seed: int = 0,
) -> Matched:
    """The table with these forecasters as probabilities, each fitted by logistic regression to earlier rows.

    A rank score is fitted on itself (so points become the share of such rows that came true), `model` on the table's
    features. Within each value of `by` from the burn-in on, before that on all rows. Rows before any burn-in are left out, as
    a step of the flow; a table that does not say when outcomes were known is fitted out of fold. With ``by_period`` earlier
    rows are those of earlier periods.

    >>> day = pd.Series(pd.date_range("2025-01-01", periods=400).to_numpy("datetime64[s]"))
    >>> leads = pd.DataFrame({"deal_id": range(400), "as_of": day, "points": [0.0, 10.0, 10.0, 10.0] * 100, "won": [0, 0, 1, 1] * 100})
    >>> told = learned(Matched(leads, more={KNOWN_AFTER: 30}), ["points"])
    >>> len(told.table), told["points"].iloc[[0, 1]].round(1).tolist()
    (260, [0.0, 0.7])
    """
    enough, table = burn_in or BurnIn(), matched.table
    won = table["won"].to_numpy(dtype=float)
    designs = {
        n: design_of(table, matched.features) if n == "model" else matched.numbers(n)[:, None] for n in names
    }
    group = pd.factorize(table[by])[0] if by else np.zeros(len(table), dtype=int)
    said = {n: np.full(len(table), np.nan) for n in names}
    begun: NDArray[np.bool_] = np.zeros(len(table), dtype=bool)

    for now, train in _turns(matched, seed, by_period):
        for g in np.unique(group[now]):
            speaks, past = now[group[now] == g], train[group[train] == g]
            past = past if enough.over(won[past]) else train
            begun[speaks] = enough.over(won[past])
            for name, design in designs.items():
                there = np.atleast_1d(np.isfinite(design).all(axis=1))
                seen, speaking = past[there[past]], speaks[there[speaks]]
                if enough.over(won[seen]) and len(speaking):
                    said[name][speaking] = taught(design, won, seen, speaking)
    dated = by_period or in_time(matched)
    how = "fitted to those whose outcome was known by then" if dated else "each by a fit that never saw it"
    own = {"kind": "probability", "from_file": False}
    told = {n: {**own, "gloss": f"{_gloss(matched, n)}, {how}"} for n in names}
    kept = replace(matched, table=table.assign(**said), forecasters={**matched.forecasters, **told})
    if by_period and not matched.flow:
        return kept.rows(begun)
    step = {"step": "enough past to learn from", "deals": int(begun.sum()), "dropped": int((~begun).sum())}
    why = f"fewer than {enough.deals} earlier ones were decided by then"
    return kept.rows(begun, flow=[*matched.flow, {**step, "why": why}])


def _gloss(matched: Matched, name: str) -> str:
    if name == "model":
        return f"a logistic regression on {len(matched.features)} columns"
    return str(matched.forecasters.get(name, {}).get("gloss", name))
