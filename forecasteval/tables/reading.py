"""Files as text cells: a CSV of any kind, a workbook, Parquet, DuckDB; nothing is interpreted yet."""

from __future__ import annotations

import csv
import io
import re
import warnings
from functools import lru_cache
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem, unreadable
from forecasteval.tables._delimited import Scan, arrow_cells, decoded, shortcomings
from forecasteval.tables.columns import TYPED, Sheet, told_apart
from forecasteval.tables.database import read_duckdb
from forecasteval.tables.frames import cells_of
from forecasteval.tables.workbook import read_workbook

_Read = tuple[pd.DataFrame, list[Problem], list[str]]
SUFFIXES = (".csv", ".xlsx", ".xls", ".parquet")  # of files that hold one table
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_QUOTES = "A value that holds the delimiter has to stand in double quotes."


def read_sheet(
    path: Path,
    name: str,
    zone: str = "UTC",
    table: str | None = None,
    *,
    coded: bool = False,
    footer: bool = False,
) -> tuple[Sheet, list[str]]:
    """A file as text cells, indexed by spreadsheet row (where there is none: row + 1), and notes.

    What it is, its first bytes tell, whatever its name; ``table`` names a sheet or a table inside. A folder is
    one of Parquet files. With ``coded`` the columns of a CSV that repeat themselves are categoricals; with ``footer``
    a CSV may end with rows that are no data.
    """
    if problem := None if _is_parts(path) else unreadable(path, name, "a file with a table"):
        return Sheet(name, pd.DataFrame(), [problem], zone), []
    start = b"PAR1" if path.is_dir() else _first_bytes(path)
    if path.suffix == ".parquet" or start.startswith(b"PAR1"):
        cells, problems, notes = _parquet(path, name)
    elif start[8:12] == b"DUCK":
        cells, problems, notes = read_duckdb(path, name, table)
    elif start.startswith(_WORKBOOKS):
        cells, problems, notes = read_workbook(path, name, table)
    else:
        (cells, problems, notes), separator = _text(path, name, coded=coded, footer=footer)
        return Sheet(name, cells, problems, zone, separator=separator), notes
    return Sheet(name, cells, problems, zone, decimal=TYPED), notes


def _is_parts(path: Path) -> bool:
    return path.is_dir() and next(path.rglob("*.parquet"), None) is not None


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def read_header(path: Path) -> list[str]:
    """The headers of a file alone; none of one that cannot be read."""
    if unreadable(path, path.name, "a file"):
        return []
    start = _first_bytes(path)
    if path.suffix == ".parquet" or start.startswith((b"PAR1", *_WORKBOOKS)):
        about = path.stat()
        return list(_header_of_whole(path.absolute(), about.st_size, about.st_mtime_ns))
    with path.open("rb") as file:
        raw = file.read(65_536)
    # a character may be cut in two at the end
    whole = raw if start.startswith((b"\xff\xfe", b"\xfe\xff")) else raw.rsplit(b"\n", 1)[0]
    line = re.split(r"[\r\n]", decoded(whole)[0], maxsplit=1)[0].strip("\x00")
    return [name.strip() for name in next(csv.reader([line], delimiter=_separator(line)), [])]


@lru_cache(maxsize=1000)
def _header_of_whole(path: Path, size: int, written: int) -> tuple[str, ...]:
    """The headers of a file that has to be read whole for them: once, as long as it is not written anew."""
    return tuple(str(column) for column in read_sheet(path, path.name)[0].cells.columns)


def _separator(header: str) -> str:
    """The one of ``, ; tab |`` that a header uses most outside quotes."""
    return max(",;\t|", key=re.sub(r'"[^"]*"', "", header).count)


def _parquet(path: Path, name: str) -> _Read:
    """A Parquet file, or a folder of parts."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path) if path.is_dir() else parquet.ParquetFile(path).read()
    except (pyarrow.ArrowInvalid, ValueError) as error:
        reason = str(error).splitlines()[0]
        return pd.DataFrame(), [Problem(name, None, None, reason, "a Parquet file", "Write it again.")], []
    return cells_of(table), [], []


def read_text(path: Path, name: str | None = None, *, coded: bool = False) -> _Read:
    """A delimited file as text: index = spreadsheet rows, blank = missing, nothing interpreted.

    UTF-8 with or without a byte-order mark, UTF-16, else Windows-1252 or ISO-8859-1 (with a note). The delimiter
    is the one of ``, ; tab |`` that the header uses most. Columns of one name are told apart by their place.
    """
    return _text(path, name or path.name, coded=coded)[0]


def _text(path: Path, name: str, *, coded: bool = False, footer: bool = False) -> tuple[_Read, str]:
    """The same, and the delimiter."""
    scan = Scan.of(path, name)
    header = scan.start.split("\n", 1)[0].strip("\r")
    if not scan.problem and re.match(r"\s*<(?:!doctype html|html|\?xml)", scan.start, re.IGNORECASE):
        scan.problem = _web_page(name, scan.start)
    elif not scan.problem and not header.strip():
        advice = "Export it again with a header."
        scan.problem = Problem(name, 1, None, "an empty first line", "a header row", advice)
    separator = _separator(header)
    if not scan.problem:
        cells, odd = arrow_cells(scan.source(), separator, coded=coded)
        if cells is None:
            cells, scan.problem = _with_odd_rows(scan, separator, name)
    if scan.problem:
        return (pd.DataFrame(), [scan.problem], scan.notes), separator
    assert cells is not None
    cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
    problems, notes = shortcomings(cells, odd, separator, name, ended=scan.ended, footer=footer)
    blank = cells.isna().all(axis=1)
    return (cells[~blank] if blank.any() else cells, problems, scan.notes + notes), separator


def _with_odd_rows(scan: Scan, separator: str, name: str) -> tuple[pd.DataFrame, Problem | None]:
    """A file that has rows of another length than the header's: blank lines, footers, or faults."""
    with scan.source() as source:
        text = source.read().decode("utf-8-sig")
    try:
        cells = _parsed(text, separator)
    except pd.errors.ParserWarning:
        return pd.DataFrame(), _too_long(name, text, separator)
    except pd.errors.ParserError as error:
        return pd.DataFrame(), _unreadable(name, str(error))
    return cells.set_axis(_headers(text, separator, [str(column) for column in cells.columns]), axis=1), None


def _headers(text: str, separator: str, given: list[str]) -> list[str]:
    """The headers as they are written; pandas gives the second of one name another."""
    written = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    written = [name.strip() or other for name, other in zip(written, given, strict=False)]
    return told_apart([*written, *given[len(written) :]])


def _parsed(text: str, separator: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        # pandas only warns when it drops the values of rows that are too long
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(
            io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, na_values=[""],
            skip_blank_lines=False, index_col=False,
        )  # fmt: skip


def _unreadable(name: str, error: str) -> Problem:
    match = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", error)
    if match:
        return _wrong_length(name, int(match[2]), int(match[3]), int(match[1]))
    advice = "Export it again as CSV."
    if quote := re.search(r"EOF inside string starting at row (\d+)", error):
        found = "a double quote that is never closed: all that follows it is one cell"
        return Problem(name, int(quote[1]) + 1, None, found, "quotes in pairs", advice)
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
