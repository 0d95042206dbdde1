"""Whether a forecast that is to be compared knew the outcome: the reason that takes its verdict away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.inference.auc import EXACT_ROWS, STEPS, span, steps
from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.grouping import Codes
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import Floats
from forecasteval.tables.giveaways import knows_by_value

CODE = "hindsight"
_ByValue = tuple[Floats, NDArray[np.integer], Floats]  # values, deals at each, and how many of them were won
_REMEDY = "Compare what it said while the deals were open."


def knew(
    name: str,
    said: Floats,
    won: Floats,
    unit: Codes | None = None,
    when: NDArray[np.int64] | None = None,
    days: float | None = None,
) -> list[Reason]:
    """The reason, where a forecast knew the outcome of the deals that it spoke about.

    Of a deal seen several times the last look counts, where a value of the closing day would stand.

    >>> won = np.repeat([1.0, 0.0], 30)
    >>> knew("stage", won, won)[0]["text"]
    'stage looks like hindsight: it equals the outcome on all 60 deals. Compare what it said while the deals were open.'
    >>> knew("model", np.linspace(0, 1, 60), np.roll(won, 20))
    []
    """
    there = np.flatnonzero(~np.isnan(said))
    if unit is None:
        return told(name, (_by_value(said[there], won[there]),), days)
    order = there[np.lexsort((unit[there],) if when is None else (when[there], unit[there]))]
    last = order[np.flatnonzero(np.diff(unit[order], append=-1))]
    first = order[np.flatnonzero(np.diff(unit[order], prepend=-1))]
    looks = (last, first) if last.size < order.size else (last,)
    return told(name, [_by_value(said[look], won[look]) for look in looks], days)


def _by_value(said: Floats, won: Floats) -> _ByValue:
    """Distinct values in their order, with the deals and wins at each; of very many by steps."""
    if said.size > EXACT_ROWS:
        level = steps(said)
        rows = np.bincount(level, minlength=STEPS + 1)
        low, high = span(float(said.min()), float(said.max()))
        values, wins = (
            np.linspace(low, high, STEPS + 1),
            np.bincount(level, weights=won, minlength=STEPS + 1).astype(float),
        )
        return values[rows > 0], rows[rows > 0], wins[rows > 0]
    values, at = np.unique(said, return_inverse=True)
    return values, np.bincount(at), np.bincount(at, weights=won).astype(np.float64)


def told(name: str, looks: Sequence[_ByValue], days: float | None) -> list[Reason]:
    """The reason from the deals' last looks, and from their first ones where there are several."""
    found = knows_by_value(*looks[0], days)
    if not found:
        return []
    late = len(looks) > 1 and not knows_by_value(*looks[1], days)
    when = " at their last look, and not at their first" if late else ""
    return [reason(CODE, f"{name} looks like hindsight: it {found}{when}. {_REMEDY}")]


def stamped_late(matched: Matched) -> list[Reason]:
    """The reason, where rows of a table that knows `closed_on` are dated on the day of the close or later."""
    if not {"as_of", "closed_on"} <= set(matched.table.columns):
        return []
    as_of, closed = (_day(matched[name]) for name in ("as_of", "closed_on"))
    return dated_late(int((as_of >= closed).sum()), len(as_of))


def dated_late(late: int, rows: int) -> list[Reason]:
    """The reason, where so many rows are dated on the day of the close or later."""
    if not late:
        return []
    text = (
        f"{late:,} of {rows:,} rows are dated on the day on which their deal closed, or later: what was said then "
        "is no forecast. Leave these rows out."
    )
    return [reason(CODE, text)]


def _day(column: pd.Series) -> pd.Series:
    """The day of each moment, whatever stands for it; dates as NumPy holds them are not taken apart."""
    moments = column if pd.api.types.is_datetime64_dtype(column) else column.astype(object)
    return pd.to_datetime(moments, errors="coerce", utc=True).dt.normalize()
