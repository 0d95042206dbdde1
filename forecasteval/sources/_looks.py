"""A table with one row per deal and day, of which only the last knows the outcome, as rows that can be forecast.

Field histories and the daily tables of warehouses look so: the outcome stands where the deal was closed, and beside it
the probability of that day, which is 0 or 100. The rows before are what can be compared, with the outcome that came.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

_SHARE = 0.5  # of the decided deals: so many with open rows before the close make a history
_FEWEST = 5  # deals
_DAYS = 8  # between the looks at a deal, at the median: a history is kept daily or weekly


def as_seen_while_open(
    outcome: pd.Series, deal: pd.Series, as_of: pd.Series
) -> tuple[pd.Series, pd.Series] | None:
    """The outcome that came, on the rows before it; and which rows, the closing ones, speak too late.

    A deal closes with the last of its decided rows; one that was opened again and is still open has no outcome.

    Parameters
    ----------
    outcome : 1, 0 or empty where the deal was open
    deal, as_of : of each row

    Returns
    -------
    outcome, closed : or None where the table is no such history

    Examples
    --------
    >>> deal, day = pd.Series(list("abcdef") * 2), pd.to_datetime(pd.Series(["2026-01-01"] * 6 + ["2026-01-08"] * 6))
    >>> outcome, closed = as_seen_while_open(pd.Series([np.nan] * 6 + [1, 0] * 3), deal, day)
    >>> outcome.tolist()[:6], closed.sum()
    ([1.0, 0.0, 1.0, 0.0, 1.0, 0.0], np.int64(6))
    """
    rows = pd.DataFrame({"outcome": outcome, "deal": deal, "as_of": as_of, "decided": outcome.notna()})
    rows = rows[rows["deal"].notna() & rows["as_of"].notna()]
    rows = rows.sort_values(["as_of", "decided"], kind="stable")  # on one day the close comes last
    last = rows.groupby("deal", sort=False).tail(1).set_index("deal")
    open_rows = rows.loc[~rows["decided"], "deal"]
    decided = rows.loc[rows["decided"], "deal"].nunique()
    closed_after = last.index[last["decided"]].isin(open_rows).sum()
    if closed_after < max(_FEWEST, _SHARE * decided):
        return None
    came = rows["deal"].map(last["outcome"])
    return came.reindex(outcome.index), outcome.notna()


def won_in_the_last_row_alone(
    outcome: pd.Series, deal: pd.Series, as_of: pd.Series, period: pd.Series | None
) -> int:
    """Of how many deals the outcome is won in the last row and lost in all before; 0 where that is no pattern.

    So looks a history whose open deals count as lost. A table of several weeks of one period does not; one look at a
    deal in each of several periods may, so only looks within one period count, where that is known.

    Examples
    --------
    >>> deal = pd.Series(list("abcdefghijkl") * 3)
    >>> day = pd.to_datetime(pd.Series(np.repeat(["2026-01-01", "2026-01-08", "2026-01-15"], 12)))
    >>> won_in_the_last_row_alone(pd.Series([0.0] * 24 + [1.0] * 12), deal, day, None)
    12
    """
    known = outcome.notna() & deal.notna() & as_of.notna()
    rows = pd.DataFrame({"outcome": outcome, "deal": deal, "as_of": as_of})[known].sort_values(
        "as_of", kind="stable"
    )
    if period is not None:
        rows["deal"] = rows["deal"].astype(str) + " " + period[known].astype(str)
    by = rows.groupby("deal", sort=False)
    looks, wins, last = (
        by["outcome"].transform("size"),
        by["outcome"].transform("sum"),
        by["outcome"].transform("last"),
    )
    several = (looks >= 2) & (wins > 0)
    deals = int(rows.loc[several, "deal"].nunique())
    alone = int(rows.loc[several & (wins == 1) & (last == 1), "deal"].nunique())
    gap = by["as_of"].diff().dt.days[several].median()
    return alone if alone >= max(2 * _FEWEST, 0.9 * deals) and gap <= _DAYS else 0


def final(values: pd.Series, deal: pd.Series, as_of: pd.Series) -> pd.Series:
    """What the last row of each deal says, on all its rows."""
    order = np.argsort(as_of.to_numpy(), kind="stable")
    return values.iloc[order].groupby(deal.iloc[order]).transform("last").reindex(values.index)
