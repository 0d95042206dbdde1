"""Rows that are no data: what stands above the header, the header again, totals and remarks at the end."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasteval.tables.columns import Sheet, date_like, without_place
from forecasteval.tables.numerals import read_numerals

_VALUE = re.compile(r"[-+$€£¥]?\s?[\d.,/: -]+\s?[%€]?")  # of a cell that names no column
_MOST_ABOVE, _MOST_BELOW = 30, 6  # rows that are looked at
_SEEN = 200
_ALL = 0.9
_TRIED = 4  # columns in which a header that comes again is looked for, and cells that have to be alike
_TOTAL = re.compile(
    r"(?:(?:grand|sub|report|overall)[- ]?)?totals?(?:\s*[:(].*)?|total (?:g[eé]n[eé]ral|geral|generale)|sum|summe|"
    r"(?:ins)?gesamt(?:summe|ergebnis|wert)?|totaux|somme|suma(?: total)?|soma|totale|totaal|razem|"
    r"(?:общий )?итого?:?|всего:?|合計|総計|合计|总计",
    re.IGNORECASE,
)


def rows_above(rows: Sequence[Sequence[str]]) -> int:
    """How many of the first rows stand above the header, where it is certain which row is the header.

    Each of them is at most half as wide, and the header has words alone, each once.

    >>> rows_above([["Pipeline", "EMEA", "", ""], [], ["Id", "Stage", "Amount", "Owner"], ["D1", "Won", "5", "r1"]])
    2
    >>> rows_above([["Id", "Stage", "Amount"], ["D1", "Won", "5"]])
    0
    """
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows[:_MOST_ABOVE]]
    least = max(3, 0.8 * max(filled, default=0))
    header = next((row for row, count in enumerate(filled) if count >= least), 0)
    names = [cell.strip() for cell in rows[header] if cell.strip()] if rows else []
    if not header or 2 * max(filled[:header]) > filled[header] or len(set(names)) < len(names):
        return 0
    return 0 if any(_VALUE.fullmatch(name) for name in names) else header


def said_above(name: str, shown: str, rows: int) -> str:
    """What to say of the rows above the header."""
    return (
        f"{name}: the header was found in row {rows + 1}; what stands above it was left out ({shown[:60]!r})."
    )


def drop_headers(sheet: Sheet) -> list[str]:
    """Leave out rows that are the header again, and say so; a first row that is none is a problem of the sheet."""
    cells = sheet.cells
    names = [without_place(str(header)) for header in cells.columns]
    again = pd.Series(False, cells.index)
    for at, name in enumerate(names[:_TRIED]):
        again |= cells.iloc[:, at] == name
    if again.any():
        alike = cells[again].astype("str").eq(pd.Series(names, cells.columns), axis=1).sum(axis=1)
        same = (alike >= min(_TRIED, len(names))) & (alike > cells[again].notna().sum(axis=1) / 2)
        again = same.reindex(cells.index, fill_value=False)
        sheet.cells = cells = cells[~again]
    if _is_data(names, cells.head(_SEEN)):
        shown = ", ".join(repr(name) for name in names[:_TRIED] if not name.startswith("Unnamed: "))
        found, expected = f"a first row of values ({shown}, ...)", "a row with the names of the columns"
        sheet.wrong(
            1, None, found, expected, "Put a row of names above it, or the first deal is taken for one."
        )
    if not again.any():
        return []
    first = again.index[again.to_numpy()][0]
    return [
        f"{sheet.file}: the header stands in the table again and was left out ({int(again.sum()):,}, the first is row {first})."
    ]


def _is_data(names: Sequence[str], cells: pd.DataFrame) -> bool:
    """Whether a header is a row of the table: a date stands above dates, or two words above themselves."""
    dated = date_like(pd.Series(names, dtype="str"), numbers=False)
    if any(
        date_like(cells.iloc[:, at].dropna().astype("str"), numbers=False).mean() > _ALL
        for at in dated.index[dated]
    ):
        return True
    return sum(bool((cells.iloc[:, at] == name).any()) for at, name in enumerate(names)) > 1


def drop_copies(sheet: Sheet, ids: str) -> None:
    """Leave out rows that repeat another one in every cell, its id included, and say how many."""
    if not sheet.cells[ids].dropna().duplicated().any():
        return
    copies = sheet.cells.duplicated() & sheet.cells[ids].notna()
    if copies.any():
        first = sheet.cells.index[copies.to_numpy()][0]
        sheet.say(
            f"{sheet.file}: {int(copies.sum()):,} rows repeat another one in every cell and were left out, the first is row {first}."
        )
        sheet.cells = sheet.cells[~copies]


def rows_below(cells: pd.DataFrame) -> int:
    """How many rows at the end are totals or remarks.

    A total says so in its first cell, or has numbers alone; it is the sum of a column, or has few cells. A remark is
    one cell of several words.

    >>> rows_below(pd.DataFrame({"id": ["D1", "D2", "Total"], "rep": ["r", "r", None], "amount": ["5", "7", "12"]}))
    1
    """
    usual = cells.head(_SEEN).notna().sum(axis=1).median()
    for below in range(min(_MOST_BELOW, len(cells))):
        last = cells.iloc[len(cells) - 1 - below].dropna().astype(str).str.strip()
        few = len(last) <= usual / 2
        called = len(last) > 0 and _TOTAL.fullmatch(last.iloc[0]) is not None
        numbers = few and read_numerals(last).amounts.notna().all()
        remark = len(last) == 1 and usual > 2 and " " in last.iloc[0]
        total = (called and few) or (
            (called or numbers) and _sums_up(last, cells.iloc[: len(cells) - 1 - below])
        )
        if not (total or remark):
            return below
    return 0  # nothing but such rows is a table of another kind


def _sums_up(row: pd.Series, above: pd.DataFrame) -> bool:
    """Whether a number of the row is the sum of those above it."""
    cells = pd.concat([above[row.index].astype("str"), row.to_frame().T.astype("str")])
    numbers = cells.apply(lambda column: read_numerals(column.reset_index(drop=True)).amounts)
    sums = numbers.iloc[:-1].sum(min_count=2)
    return bool((np.isclose(sums, numbers.iloc[-1], 1e-9, 0.01) & sums.ne(0)).any())
