"""Excel workbooks as text cells: one sheet with one header, dates as dates; what is not a table is refused."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import Problem, nearest
from forecasteval.tables.columns import told_apart
from forecasteval.tables.not_data import rows_above, said_above

_Cells = list[list[Any]]
_SHOWN = 8
_FIRST = 30  # rows among which the header is looked for
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")  # not 00123, which is an id
_BOOK = ("workbook.xml", "_rels/workbook.xml.rels")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ERROR_CELL = re.compile(rb'<c\s(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)(\d+)"')


def read_workbook(
    path: Path, name: str, sheet: str | None = None
) -> tuple[pd.DataFrame, list[Problem], list[str]]:
    """One sheet of an Excel workbook as text, indexed by spreadsheet row: the one named, or the only one with a table."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        with CalamineWorkbook.from_path(path) as book:
            chosen, problems, notes = _chosen(book, name, sheet)
            if chosen is None:
                return pd.DataFrame(), problems, notes
            rows = chosen.to_python(skip_empty_area=False)
            merged = _merged(chosen)
    except PasswordError:
        return _refused(name, "a workbook with a password", "Save it without one.")
    except (CalamineError, ValueError) as error:
        reason = f"what cannot be read as a workbook ({str(error).splitlines()[0]})"
        return _refused(name, reason, "Save it again as .xlsx, or as CSV.")
    cells, problems, above = _table(name, rows, merged)
    notes += above
    if problems:
        return pd.DataFrame(), problems, notes
    text, said = _as_text(cells)
    lost = _error_cells(path, chosen.name)
    return text, [], [*notes, *said, *([f"{name}: {lost}"] if lost else [])]


def _refused(name: str, found: str, advice: str) -> tuple[pd.DataFrame, list[Problem], list[str]]:
    return pd.DataFrame(), [Problem(name, None, None, found, "an Excel workbook", advice)], []


def _chosen(book: Any, name: str, wanted: str | None) -> tuple[Any, list[Problem], list[str]]:
    """The sheet to read; several with tables are asked about, hidden ones count where no other has a table."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    visible = [one.name for one in sheets if one.visible == SheetVisibleEnum.Visible]
    hidden = [one.name for one in sheets if one.visible != SheetVisibleEnum.Visible]
    every = [*visible, *hidden]
    if wanted is not None:
        same = [one for one in every if one.strip().lower() == wanted.strip().lower()]
        if same:
            return book.get_sheet_by_name(same[0]), [], []
        found, advice = f"no sheet {wanted!r}", f"{nearest(wanted, every)}Name one of them."
        return None, [Problem(name, None, None, found, f"one of {', '.join(every)}", advice)], []
    by_name = {one: book.get_sheet_by_name(one) for one in every}
    # a sheet of remarks has fewer than two columns
    holds = [one for one in every if by_name[one].height >= 2 and by_name[one].width >= 2]
    tables = [one for one in visible if one in holds] or holds
    if len(tables) == 1:
        others = [one for one in every if one != tables[0]]
        rest = f"; left out: {', '.join(others[:_SHOWN])}" if others else ""
        return by_name[tables[0]], [], [f"{name}: the sheet {tables[0]} was read{rest}."]
    if not tables:
        found, expected = "no sheet with a table", "a header and rows below it"
        return None, [Problem(name, None, None, found, expected, "Export it again.")], []
    sizes = ", ".join(f"{one} ({by_name[one].height - 1:,} rows)" for one in tables[:_SHOWN])
    advice = (
        f"Name the sheet: --table {tables[0]!r} (or table: in the mapping); or save it as a file of its own."
    )
    found = f"{len(tables)} sheets with tables: {sizes}"
    return None, [Problem(name, None, None, found, "one sheet with a table", advice)], []


def _merged(sheet: Any) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    try:
        return list(sheet.merged_cell_ranges or [])
    except Exception:  # formats that do not tell
        return []


def _table(name: str, rows: _Cells, merged: Sequence[Any]) -> tuple[pd.DataFrame, list[Problem], list[str]]:
    """The cells below the header, and what is left out above it; merged cells and columns without a name are refused."""
    filled = np.array([[cell != "" and cell is not None for cell in row] for row in rows], dtype=bool)
    if filled.size == 0 or not filled.any():
        nothing = Problem(name, None, None, "an empty sheet", "a table", "Name another sheet.")
        return pd.DataFrame(), [nothing], []
    first = int(filled.any(axis=1).argmax())
    notes = []
    if above := rows_above([[_cell(cell) or "" for cell in row] for row in rows[first : first + _FIRST]]):
        notes.append(
            said_above(name, next(str(cell) for cell in rows[first] if cell not in ("", None)), first + above)
        )
        first += above
        filled[:first] = False
    used = np.flatnonzero(filled.any(axis=0)).tolist()
    problems = [
        Problem(
            name, top + 1, letters(left), f"the merged cells {letters(left)}{top + 1}:{letters(right)}{bottom + 1}",
            "one cell for each row and column", "Unmerge them and write the value into each cell.",
        )
        for (top, left), (bottom, right) in merged[:_SHOWN]
        if top >= first
    ]  # fmt: skip
    nameless = [column for column in used if not filled[first, column]]
    if nameless:
        problems.append(_no_header(name, rows, filled, first, nameless))
    headers = [str(rows[first][column]).strip() for column in used]
    if not filled[first + 1 :].any():
        found, advice = "a header and no rows", "Export it again with its rows."
        problems.append(Problem(name, first + 1, None, found, "rows below the header", advice))
    if problems:
        return pd.DataFrame(), problems, notes
    table = pd.DataFrame([[row[column] for column in used] for row in rows[first + 1 :]], dtype=object)
    table.columns = pd.Index(told_apart(headers))
    table.index = pd.RangeIndex(first + 2, len(rows) + 1, name="row")
    return table.iloc[np.flatnonzero(filled[first + 1 :].any(axis=1))], [], notes


def _no_header(name: str, rows: _Cells, filled: np.ndarray, first: int, nameless: Sequence[int]) -> Problem:
    """The problem of a first row that does not name every column: a title, or a gap in the header."""
    named = int(filled[first].sum())
    columns = named + len(nameless)
    words = filled.sum(axis=1)
    likely = next(
        (row for row in range(first + 1, min(first + 30, len(rows))) if words[row] >= max(2, 0.8 * columns)),
        None,
    )
    shown = next(str(cell) for cell in rows[first] if cell not in ("", None))
    if named < max(2, columns / 2) and likely is not None:
        found = f"{shown[:60]!r} above the table"
        advice = f"Delete the rows above the header, which seems to stand in row {likely + 1}."
    else:
        found = f"{named} names over {columns} columns; none over {letters(nameless[0])}"
        advice = "Give each column a name, or delete it."
    return Problem(name, first + 1, None, found, "a header with a name for each column", advice)


def letters(column: int) -> str:
    """The letters of a spreadsheet column, counted from 0.

    >>> letters(0), letters(27)
    ('A', 'AB')
    """
    return (letters(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


def _as_text(cells: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Every cell as text that is read back as what it was; numbers that were stored as text are counted."""
    stored = []
    for header, column in cells.items():
        odd = column.map(
            lambda cell: isinstance(cell, str) and bool(cell.strip() and _NUMBER.fullmatch(cell.strip()))
        )
        if odd.any():
            stored.append(f"{header} ({int(odd.sum()):,} cells, first in row {odd.idxmax()})")
    text = pd.DataFrame({header: column.map(_cell) for header, column in cells.items()}, dtype="str")
    return text, [f"Numbers stored as text, read as they stand: {', '.join(stored)}."] if stored else []


def _cell(value: Any) -> str | None:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    return None if value is None or value == "" else str(value)


def _error_cells(path: Path, sheet: str) -> str:
    """Which cells of an .xlsx hold an error such as #N/A, in words: they come in as empty ones."""
    if not zipfile.is_zipfile(path):
        return ""  # .xls keeps them elsewhere
    with zipfile.ZipFile(path) as parts:
        file = _file_of_sheet(parts, sheet)
        found = _ERROR_CELL.findall(parts.read(file)) if file in parts.namelist() else []
    if not found:
        return ""
    column, row = (part.decode() for part in found[0])
    return f"{len(found):,} cells hold an error such as #N/A and count as empty, the first in {column}{row}."


def _file_of_sheet(parts: zipfile.ZipFile, sheet: str) -> str:
    from xml.etree import ElementTree

    try:
        book, relations = (ElementTree.fromstring(parts.read(f"xl/{file}")) for file in _BOOK)
    except KeyError:  # an .xlsb
        return ""
    number = {node.get("name"): node.get(_RELATION) for node in book.iter() if node.get(_RELATION)}.get(sheet)
    target = next((node.get("Target", "") for node in relations.iter() if node.get("Id") == number), "")
    return target[1:] if target.startswith("/") else f"xl/{target}"
