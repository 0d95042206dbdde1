"""Files as text cells: a CSV of any kind, a workbook, Parquet, DuckDB; nothing is interpreted yet."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pandas as pd

from forecasteval.errors import InputError, Problem, unreadable
from forecasteval.tables._delimited import Scan, arrow_cells, decoded, shortcomings
from forecasteval.tables.columns import TYPED, Sheet
from forecasteval.tables.database import read_duckdb
from forecasteval.tables.frames import cells_of
from forecasteval.tables.not_data import drop_headers, rows_above, said_above
from forecasteval.tables.workbook import read_workbook

_Read = tuple[pd.DataFrame, list[Problem], list[str]]
SUFFIXES = (".csv", ".xlsx", ".xls", ".parquet")  # of files that hold one table
_FIRST = 30  # lines among which the header is looked for
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


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
        return Sheet(name, cells, problems, zone, decimal=TYPED), notes
    if start[8:12] == b"DUCK":
        cells, problems, notes = read_duckdb(path, name, table)
        return Sheet(name, cells, problems, zone, decimal=TYPED), notes
    if start.startswith(_WORKBOOKS):
        cells, problems, notes = read_workbook(path, name, table)
        sheet = Sheet(name, cells, problems, zone, decimal=TYPED)
    else:
        (cells, problems, notes), separator = _text(path, name, coded=coded, footer=footer)
        sheet = Sheet(name, cells, problems, zone, separator=separator)
    return sheet, notes + ([] if problems else drop_headers(sheet))


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
    lines = re.split(r"\r\n?|\n", decoded(whole)[0].strip("\x00"))
    return [name.strip() for name in _cells(lines[_lines_above(lines)])]


@lru_cache(maxsize=1000)
def _header_of_whole(path: Path, size: int, written: int) -> tuple[str, ...]:
    """The headers of a file that has to be read whole for them: once, as long as it is not written anew."""
    return tuple(str(column) for column in read_sheet(path, path.name)[0].cells.columns)


def _cells(line: str) -> list[str]:
    return next(csv.reader([line], delimiter=_separator(line)), [])


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
    above = 0
    try:
        scan = Scan.of(path, name)
        lines = re.split(r"\r\n?|\n", scan.start)
        if above := _lines_above(lines):
            scan.notes.append(said_above(name, lines[0].strip(" ,;\t|"), above))
            with scan.source() as file:
                scan.text = file.read().split(b"\n", above)[above]
        separator = _separator(_checked_header("\n".join(lines[above:]), name))
        cells, short = arrow_cells(scan.source(), separator, name, coded=coded)
    except InputError as error:
        return (pd.DataFrame(), _further_down(error.problems, above), []), ","
    problems, notes = shortcomings(cells, short, separator, name, ended=scan.ended, footer=footer)
    cells.index += above
    blank = cells.isna().all(axis=1)
    cells = cells[~blank] if blank.any() else cells
    return (cells, _further_down(problems, above), scan.notes + notes), separator


def _lines_above(lines: list[str]) -> int:
    """How many lines stand above the header; none where a cell of theirs goes over several lines."""
    above = rows_above([_cells(line) for line in lines[:_FIRST]])
    return 0 if any(line.count('"') % 2 for line in lines[:above]) else above


def _further_down(problems: list[Problem], rows: int) -> list[Problem]:
    """Problems of a table that begins so many rows further down."""
    return [
        problem if problem.row is None else replace(problem, row=problem.row + rows) for problem in problems
    ]


def _checked_header(start: str, name: str) -> str:
    """The first line of a file that begins so; refused where that is no header."""
    header = start.split("\n", 1)[0].strip("\r")
    if re.match(r"\s*<(?:!doctype html|html|\?xml)", start, re.IGNORECASE):
        found = f"a file that starts with {start.strip()[:60].split('>')[0]}>"
        advice = "It is a web page (perhaps of a login or an error) saved as CSV: download the export itself."
        raise InputError([Problem(name, 1, None, found, "a CSV file", advice)])
    named = [sum(map(bool, map(str.strip, _cells(line)))) for line in start.splitlines()[:30]]
    likely = next((row for row, count in enumerate(named) if count >= max(3, 0.8 * max(named))), 0)
    if likely and named[0] < 2:
        found = (
            f"{header.strip(', ;').strip()[:60]!r} above the table"
            if header.strip()
            else "an empty first line"
        )
        advice = f"Delete the rows above the header, which seems to stand in row {likely + 1}."
        raise InputError([Problem(name, 1, None, found, "a header row", advice)])
    if not header.strip():
        advice = "Export it again with a header."
        raise InputError([Problem(name, 1, None, "an empty first line", "a header row", advice)])
    return header
