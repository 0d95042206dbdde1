"""Files as text cells: a CSV of any kind, or a Parquet file; nothing is interpreted yet."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem
from forecasteval.tables.columns import Sheet

_Read = tuple[pd.DataFrame, list[Problem], list[str]]
_QUOTES = "A value that holds the delimiter has to stand in double quotes."


def read_sheet(path: Path, name: str, zone: str = "UTC") -> tuple[Sheet, list[str]]:
    """A CSV or Parquet file as text cells, indexed by spreadsheet row (for Parquet: row + 1), and notes."""
    if path.suffix == ".parquet":
        cells, problems, notes = _parquet(path, name)
        return Sheet(name, cells, problems, zone, decimal="."), notes
    (cells, problems, notes), separator = _text(path, name)
    return Sheet(name, cells, problems, zone, separator=separator), notes


def _parquet(path: Path, name: str) -> _Read:
    """Every column cast to text by Arrow, which keeps whole numbers whole where some are missing."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
    except pyarrow.ArrowInvalid as error:
        reason = str(error).splitlines()[0]
        return pd.DataFrame(), [Problem(name, None, None, reason, "a Parquet file", "Write it again.")], []
    columns = {}
    for header, values in zip(_told_apart(table.column_names), table.columns, strict=True):
        if re.fullmatch(r"__index_level_\d+__", header):
            continue  # the row labels of a DataFrame
        try:
            columns[header] = values.cast("string").to_pandas()
        except pyarrow.ArrowNotImplementedError:  # lists and the like have no text of their own
            columns[header] = values.to_pandas().astype("str").where(values.is_valid().to_pandas())
    cells = pd.DataFrame(columns, dtype="str")
    cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
    return cells, [], []


def read_text(path: Path, name: str | None = None) -> _Read:
    """A delimited file as text: index = spreadsheet rows, blank = missing, nothing interpreted.

    UTF-8 with or without a byte-order mark, UTF-16 with one, else ISO-8859-1 (with a note). The delimiter
    is the one of ``, ; tab |`` that the header uses most. Columns of one name are told apart by their place.
    """
    return _text(path, name or path.name)[0]


def _text(path: Path, name: str) -> tuple[_Read, str]:
    """The same, and the delimiter."""
    text, notes = _decoded(path.read_bytes(), name)
    if re.match(r"\s*<(?:!doctype html|html|\?xml)", text[:200], re.IGNORECASE):
        return (pd.DataFrame(), [_web_page(name, text)], notes), ","
    header = text.split("\n", 1)[0].strip("\r")
    if not header.strip():
        advice = "Export it again with a header."
        problem = Problem(name, 1, None, "an empty first line", "a header row", advice)
        return (pd.DataFrame(), [problem], notes), ","
    outside_quotes = re.sub(r'"[^"]*"', "", header)
    separator = max(",;\t|", key=outside_quotes.count)
    try:
        cells = _parsed(text, separator)
    except pd.errors.ParserWarning:
        return (pd.DataFrame(), [_too_long(name, text, separator)], notes), separator
    except pd.errors.ParserError as error:
        return (pd.DataFrame(), [_unreadable(name, str(error))], notes), separator
    cells.columns = pd.Index(_headers(text, separator, [str(column) for column in cells.columns]))
    cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
    return (cells[cells.notna().any(axis=1)], [], notes), separator


def _headers(text: str, separator: str, given: list[str]) -> list[str]:
    """The headers as they are written; pandas gives the second of one name another."""
    written = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    written = [name.strip() or other for name, other in zip(written, given, strict=False)]
    return _told_apart([*written, *given[len(written) :]])


def _told_apart(headers: Sequence[str]) -> list[str]:
    """Every name once: those that stand over several columns with the number of the column."""
    return [
        f"{name} (column {place})" if headers.count(name) > 1 else name
        for place, name in enumerate(headers, start=1)
    ]


def _parsed(text: str, separator: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # pandas only warns when it drops the values of rows that are too long
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, na_values=[""],
            skip_blank_lines=False, index_col=False,
        )  # fmt: skip


def _decoded(raw: bytes, name: str) -> tuple[str, list[str]]:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16"), []
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1"), [f"{name} is not UTF-8; it was read as ISO-8859-1."]


def _unreadable(name: str, error: str) -> Problem:
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error)
    if match:
        return _wrong_length(name, int(match[2]), int(match[3]), int(match[1]))
    advice = "Export it again as CSV."
    return Problem(name, None, None, error.splitlines()[0], "a delimited text file", advice)


def _wrong_length(name: str, row: int, saw: int, wanted: int) -> Problem:
    return Problem(name, row, None, f"{saw} cells", f"{wanted}, as in the header", _QUOTES)


def _too_long(name: str, text: str, separator: str) -> Problem:
    """The first row that has more cells than the header."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    wanted = len(next(rows))
    long = ((row, cells) for row, cells in enumerate(rows, start=2) if any(cells[wanted:]))
    try:
        row, cells = next(long)
    except (StopIteration, csv.Error):
        return _unreadable(name, "rows with more cells than the header")
    return _wrong_length(name, row, len(cells), wanted)


def _web_page(name: str, text: str) -> Problem:
    start = text.strip()[:60].split(">")[0] + ">"
    advice = "It is a web page (perhaps of a login or an error) saved as CSV: download the export itself."
    return Problem(name, 1, None, f"a file that starts with {start}", "a CSV file", advice)
