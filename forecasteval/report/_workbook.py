"""The tables of a report as one Excel workbook: text stays text, whatever it looks like."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from forecasteval.errors import CallError
from forecasteval.report.sheet import on_paper, row_height

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")  # no leading zero: 007 is a name
_EXACT = 15  # digits that a cell holds; a longer number is an id
_ROWS, _CHARACTERS, _NAME = (
    1_048_576,
    32_767,
    31,
)  # that Excel holds: rows, letters of a cell, of a sheet's name
_WIDEST = 60  # letters of a column
_FORBIDDEN = re.compile(r"[\[\]:*?/\\']")


def require() -> Any:
    """The writer, or a CallError that says what is missing: asked before a report is run."""
    try:
        import xlsxwriter
    except ImportError as error:
        raise CallError(
            "--xlsx needs the package xlsxwriter, which is not installed: pip install '.[share]' in the checkout, "
            "or pip install xlsxwriter."
        ) from error
    return xlsxwriter


def workbook(summary: str, tables: Mapping[str, str]) -> bytes:
    """A workbook with the summary's lines on its first sheet and a formatted sheet for every table (CSV by name)."""
    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": False,
    }
    with require().Workbook(buffer, options) as book:
        book.set_calc_mode("manual")
        formats = {
            "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"}),
            "number_head": book.add_format({"bold": True, "bottom": 1, "align": "right", "valign": "top"}),
            "whole": book.add_format({"num_format": "#,##0"}),
            "fraction": book.add_format({"num_format": "0.000"}),
            "large": book.add_format({"num_format": "#,##0.00"}),
            "text": book.add_format({"num_format": "@"}),
            "wrapped": book.add_format({"text_wrap": True, "valign": "top", "num_format": "@"}),
        }
        first = book.add_worksheet("Summary")
        first.set_column(0, 0, 100)
        on_paper(first, 100)
        for at, line in enumerate(summary.splitlines()):
            first.set_row(at, row_height(line, 100))
            first.write_string(at, 0, line[:_CHARACTERS], formats["head"] if at == 0 else formats["wrapped"])
        taken = {"summary", "history"}  # Excel keeps the second to itself
        for name, text in tables.items():
            _fill(book.add_worksheet(_free(name, taken)), _rows(text), formats)
    return buffer.getvalue()


def _free(name: str, taken: set[str]) -> str:
    base = _FORBIDDEN.sub("-", name).strip() or "table"
    chosen, n = base[:_NAME], 1
    while chosen.casefold() in taken:
        n += 1
        chosen = f"{base[: _NAME - len(str(n)) - 1]}-{n}"
    taken.add(chosen.casefold())
    return chosen


def _rows(text: str) -> list[list[str]]:
    """The cells of a CSV as text; the csv module refuses long ones."""
    if not text.strip():
        return []
    whole: Any = {"header": None, "dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    return [[str(cell) for cell in row] for row in pd.read_csv(io.StringIO(text), **whole).to_numpy()]


def _fill(sheet: Any, rows: Sequence[Sequence[str]], formats: Mapping[str, Any]) -> None:
    if not rows:
        return
    across = 0
    for at, (title, *cells) in enumerate(zip(*rows[:_ROWS], strict=True)):
        kind = _kind(cells)
        sheet.write_string(0, at, title[:_CHARACTERS], formats["head" if kind == "text" else "number_head"])
        for row, cell in enumerate(cells, start=1):
            if cell and kind == "text":
                sheet.write_string(row, at, cell[:_CHARACTERS], formats["text"])
            elif cell:
                sheet.write_number(row, at, float(cell), formats[kind])
        longest = max(map(len, [title, *cells[:1000]]))
        width = min(max(longest if kind == "text" else min(longest, 14), 8) + 2, _WIDEST)
        sheet.set_column(at, at, width)
        across += width
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    on_paper(sheet, across)
    if len(rows) > 1:
        sheet.autofilter(0, 0, min(len(rows), _ROWS) - 1, len(rows[0]) - 1)
    if len(rows) > _ROWS:
        sheet.write_comment(0, 0, f"{len(rows) - _ROWS:,} more rows stand in the CSV; a sheet ends here.")


def _kind(cells: Sequence[str]) -> str:
    """What a column holds: text, unless every cell of it is a number that a cell can hold."""
    filled = [cell for cell in cells if cell]
    numbers = all(_NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in filled)
    if not filled or not numbers:
        return "text"
    if all(re.fullmatch(r"-?\d+(\.0+)?", cell) for cell in filled):
        return "text" if any(len(cell) > _EXACT for cell in filled) else "whole"
    return "large" if max(abs(float(cell)) for cell in filled) >= 1000 else "fraction"
