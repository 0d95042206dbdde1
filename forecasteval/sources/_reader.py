"""A flat table that is being read: its columns by the names of a mapping, every problem kept until the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import InputError, absent, nearest
from forecasteval.sources._mapping import spellings
from forecasteval.tables.columns import TYPED, Sheet
from forecasteval.tables.database import is_url, read_postgresql
from forecasteval.tables.document import Document
from forecasteval.tables.frames import cells_of
from forecasteval.tables.not_data import rows_below
from forecasteval.tables.reading import read_sheet


def read_flat(file: Any, table: str | None = None) -> tuple[Sheet, list[str]]:
    """A flat table as text cells, and notes; refuses a path at which there is nothing; a sheet is taken as it was read."""
    if isinstance(file, Sheet):
        return replace(file, problems=[], notes=[]), []
    if is_url(file):
        name, (cells, problems, notes) = read_postgresql(file, table)
        return Sheet(name, cells, problems, decimal=TYPED), notes
    if not isinstance(file, str | Path):
        return Sheet("the table", cells_of(file), decimal=TYPED), []
    path = Path(file)
    if not path.exists() or (path.is_dir() and not any(path.rglob("*.parquet"))):
        expected = "a CSV, an Excel workbook, a Parquet file or folder, or a DuckDB file"
        raise InputError([absent(path, "file", expected, "")])
    sheet, notes = read_sheet(path, path.name, table=table, footer=True)
    if not sheet.problems and (below := rows_below(sheet.cells)):
        row = sheet.cells.index[-below]
        first = sheet.cells.loc[row].dropna().iloc[0]
        notes.append(
            f"{sheet.file}: {below} row{'s' if below > 1 else ''} at the end, from row {row} on ({str(first)[:60]!r}), was left "
            "out as total or remark."
        )
        sheet.cells = sheet.cells.iloc[:-below]
    return sheet, notes


class Reader:
    """A sheet and the document that says which of its columns is what."""

    def __init__(self, document: Document, sheet: Sheet) -> None:
        """Nothing is read yet."""
        self.document, self.sheet = document, sheet
        self.headers = [str(header) for header in sheet.cells.columns]

    def column(self, key: str, wanted: Any) -> str | None:
        """The header that a key names, or a problem where the file has no such column."""
        if wanted is None:
            return None
        found = self.sheet.find(str(wanted))
        if found is not None:
            return found
        known = ", ".join(self.headers[:12]) + (", ..." if len(self.headers) > 12 else "")
        advice = f"{nearest(str(wanted), self.headers)}Name one of the file's columns."
        self.document.wrong(key, repr(wanted), f"a column of {self.sheet.file}: {known}", advice)
        return None

    def equal(self, column: str, words: Sequence[Any]) -> pd.Series:
        """Where a cell of a column is one of the words."""
        return _equal(self.present(column).text(column), words)

    def present(self, column: str, missing: Sequence[Any] = ()) -> Sheet:
        """The column with words and numbers that stand for "missing" blanked."""
        text = self.sheet.given(column)
        return self.sheet.part(text.mask(_equal(text, missing)) if len(missing) else text)

    def told(
        self, column: str, sides: Mapping[str, Sequence[Any]], expected: str, advice: str
    ) -> dict[str, pd.Series]:
        """Where a column says one side and where another, by their words; a problem for each word of none."""
        text = self.present(column).text(column)
        found = {side: _equal(text, words) for side, words in sides.items()}
        strange = text[text.notna() & ~np.logical_or.reduce(list(found.values()))]
        for _, rows in strange.groupby(strange, sort=False):
            self.sheet.pin(column, rows, expected, advice)
        return found


def _equal(text: pd.Series, words: Sequence[Any]) -> pd.Series:
    """Where a cell is one of the words; 1, 1.0 and true are written in many ways."""
    lower = {spelling for word in words for spelling in spellings(word)}
    equal = text.str.lower().isin(lower)
    numbers = pd.to_numeric(
        pd.Series([str(float(w)) if isinstance(w, bool) else str(w) for w in words]), errors="coerce"
    )
    values = pd.to_numeric(text, errors="coerce").to_numpy(float)
    for number in numbers.dropna():
        equal |= np.isclose(values, number, rtol=0, atol=1e-9)
    return equal.astype(bool)
