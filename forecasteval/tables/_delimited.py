"""The bytes of a delimited file: which encoding, whether it is whole, and its cells by Arrow's reader."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from forecasteval.errors import InputError, Problem, unreadable
from forecasteval.tables.coded import by_code, is_coded
from forecasteval.tables.columns import told_apart

_CHUNK = 1 << 24
_BLOCK = 1 << 23
_SHOWN = 5
_TRIMMED = 0.2  # of the rows: then it is how the tool writes that leaves blank cells at the end out
_FEW_ROWS = 30  # below, the last cell cannot be held against the others
_USUAL = 0.9  # of a column's cells have one form
_AGAIN = "The file was cut or damaged on its way: export it again."


@dataclass
class Scan:
    """What one pass over a file's bytes shows, before anything is parsed."""

    path: Path
    start: str = ""
    ended: bool = True  # whether the last line has its end
    text: bytes | None = None  # the file in UTF-8, where it is in another encoding
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path, name: str) -> Scan:
        """Read once, chunk by chunk; only what is not UTF-8 is held as a whole."""
        if problem := unreadable(path, name, "a delimited text file"):
            raise InputError([problem])
        scan = cls(path)
        with path.open("rb") as file:
            first = file.read(4096)
        encoding = _sixteen_bits(first)
        if encoding is None:
            scan._check(name)
        else:
            scan._decode(encoding)
            if first[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                scan.notes.append(f"{name} does not say its encoding; it was read as {encoding.upper()}.")
        scan.start = scan._beginning()
        if "\r" in scan.start and "\n" not in scan.start:  # lines that end as on old Macintoshes
            with scan.source() as file:
                scan.text = file.read().replace(b"\r", b"\n")
            scan.start = scan._beginning()
        return scan

    def _beginning(self) -> str:
        with self.source() as file:
            return file.read(1 << 16).decode("utf-8-sig", errors="replace")

    def source(self) -> BinaryIO:
        """The bytes in UTF-8."""
        return self.path.open("rb") if self.text is None else io.BytesIO(self.text)

    def _decode(self, encoding: str) -> None:
        text = self.path.read_bytes().decode(encoding, errors="replace").lstrip("\ufeff")
        self.text = text.encode("utf-8")
        self.ended = text[-1:] in ("", "\n", "\r")

    def _check(self, name: str) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")()
        lines, chunk, utf_8 = 0, b"", True
        with self.path.open("rb") as file:
            while part := file.read(_CHUNK):
                chunk = part
                at = chunk.find(b"\0")
                if at >= 0:
                    row = lines + chunk.count(b"\n", 0, at) + 1
                    advice = f"{_AGAIN} If the system itself writes it: tr -d '\\000' < {name} > without.csv"
                    raise _refused(name, row, "a NUL byte", "text", advice)
                lines += chunk.count(b"\n")
                try:
                    if utf_8 and not (chunk.isascii() and not decoder.getstate()[0]):
                        decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf_8 = False
        self.ended = chunk[-1:] in (b"", b"\n", b"\r")
        if not utf_8 or decoder.getstate()[0]:
            self._guess(name)

    def _guess(self, name: str) -> None:
        text, encoding = decoded(self.path.read_bytes())
        self.text, self.ended = text.encode("utf-8"), text[-1:] in ("", "\n", "\r")
        self.notes.append(f"{name} is not UTF-8; it was read as {encoding}.")


def decoded(raw: bytes) -> tuple[str, str]:
    """Bytes as text, and the encoding that they were read in."""
    sixteen = _sixteen_bits(raw[:4096])
    # of the last two the first has no quotes and no euro where the other has them, the other not every byte
    own = "cp1252" if re.search(rb"[\x80-\x9f]", raw) else "iso-8859-1"
    for encoding in (sixteen,) if sixteen else ("utf-8-sig", own):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding), {"cp1252": "Windows-1252"}.get(encoding, encoding.upper())
    return raw.decode("iso-8859-1"), "ISO-8859-1"


def _sixteen_bits(first: bytes) -> str | None:
    """UTF-16, by its mark or by the zeros at every second place."""
    if first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    zeros = [first[side::2].count(0) for side in (0, 1)]
    if max(zeros) < 0.4 * len(first) / 2 or min(zeros) > 0.1 * max(zeros):
        return None
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def arrow_cells(
    source: BinaryIO, separator: str, name: str, *, coded: bool
) -> tuple[pd.DataFrame, list[Any]]:
    """All cells as text by spreadsheet row, and the rows that are shorter than the header; refuses longer ones."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    odd: list[Any] = []

    def skip(row: Any) -> str:
        odd.append(row)
        return "skip"

    with source:
        names = list(map(str, range(_width(source, separator))))
        try:
            reader = arrow.open_csv(
                source,
                arrow.ReadOptions(use_threads=False, block_size=_BLOCK, column_names=names),
                arrow.ParseOptions(
                    delimiter=separator, newlines_in_values=True, ignore_empty_lines=False,
                    invalid_row_handler=skip,
                ),
                arrow.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )  # fmt: skip
            headers, columns = _gathered(reader, coded=coded)
        except pa.ArrowInvalid as error:
            raise _refused(name, None, str(error).splitlines()[0], "a delimited text file") from None
    frame = pd.DataFrame({at: _joined(parts, plain=bool(odd)) for at, parts in enumerate(columns)})
    frame = frame.set_axis(told_apart(headers), axis=1)
    places = pd.RangeIndex(2, len(frame) + len(odd) + 2, name="row")
    return _with_odd_rows(frame, places, odd, separator, name) if odd else (frame.set_axis(places), [])


def _refused(name: str, row: int | None, found: str, expected: str, advice: str = "") -> InputError:
    return InputError([Problem(name, row, None, found, expected, advice or "Export it again as CSV.")])


def _with_odd_rows(
    frame: pd.DataFrame, places: pd.RangeIndex, odd: list[Any], separator: str, name: str
) -> tuple[pd.DataFrame, list[Any]]:
    """Rows of another length than the header's at their places: short ones end in blanks, long ones are refused.

    A delimiter at the end of every row is no cell.
    """
    width, last = frame.shape[1], odd[-1]
    if last.number == places[-1] and _never_closed(last.text, separator):
        found = "a double quote that is never closed: all that follows it is one cell"
        raise _refused(name, last.number, found, "quotes in pairs")
    cells = {row.number: next(_rows(row.text, separator), []) for row in odd}
    longer = [at for at, found in cells.items() if len(found) > width]
    ends = all(len(cells[at]) == width + 1 and not cells[at][width] for at in longer)
    if longer and not (ends and frame.isna().all(axis=None)):
        advice = "A value that holds the delimiter has to stand in double quotes."
        found, expected = f"{len(cells[longer[0]])} cells", f"{width}, as in the header"
        raise _refused(name, longer[0], found, expected, advice)
    filled = {
        at: [cell or None for cell in (*found, *[""] * (width - len(found)))[:width]]
        for at, found in cells.items()
    }
    others = pd.DataFrame.from_dict(filled, "index", dtype="str").set_axis(frame.columns, axis=1)
    frame = pd.concat([frame.set_axis(places.difference(list(cells), sort=False)), others])
    return frame.reindex(places), [row for row in odd if row.actual_columns < width]


def _rows(text: str, separator: str, *, strict: bool = False) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)


def _never_closed(text: str, separator: str) -> bool:
    try:
        list(_rows(text, separator, strict=True))
    except csv.Error as error:
        return "end of data" in str(error)
    return False


def _width(source: BinaryIO, separator: str) -> int:
    """How many cells the header has."""
    start = source.read(1 << 20).decode("utf-8-sig", errors="replace")
    source.seek(0)
    return len(next(_rows(start, separator)))


def _gathered(reader: Any, *, coded: bool) -> tuple[list[str], list[list[Any]]]:
    """The header and the chunks of every column; with ``coded`` a column that repeats itself is kept by code."""
    headers: list[str] = []
    columns: list[list[Any]] = []
    few: list[bool] = []
    for batch in reader:
        if not headers:
            names = [(column[0].as_py() or "").strip() for column in batch.columns]
            headers = [name or f"Unnamed: {at}" for at, name in enumerate(names)]
            batch = batch.slice(1)
            columns = [[] for _ in headers]
            few = [coded and len(column.unique()) <= len(column) / 2 for column in batch.columns]
        for parts, column, each in zip(columns, batch.columns, few, strict=True):
            parts.append(column.dictionary_encode() if each else column)
    return headers, columns


def _joined(parts: list[Any], *, plain: bool) -> Any:
    """The chunks of a column as one array of pandas, by code unless ``plain``; they are let go on the way."""
    import pyarrow as pa

    column = pa.chunked_array(parts)
    parts.clear()
    if plain or not pa.types.is_dictionary(column.type):
        return pd.array(column.cast(pa.large_string()).combine_chunks(), dtype="str")
    whole = column.unify_dictionaries().combine_chunks()
    words = pd.Series(pd.array(whole.dictionary.cast(pa.large_string()), dtype="str"))
    return by_code(whole.indices.fill_null(-1).to_numpy(), pd.concat([words, pd.Series([None], dtype="str")]))


def shortcomings(
    cells: pd.DataFrame, odd: list[Any], separator: str, name: str, *, ended: bool, footer: bool
) -> tuple[list[Problem], list[str]]:
    """What shows that a file is not whole: rows that swallowed others, too short ones, a last line without its end.

    With ``footer`` short rows at the end are let through, for they are no data.
    """
    problems = _swallowed(cells, separator, name) if cells.shape[1] > 2 else []
    short = [row for row in odd if row.text.strip() and row.actual_columns < row.expected_columns]
    last = len(cells) + 1
    if short and short[-1].number == last and not ended:
        row = short.pop()
        found, expected = f"the end of the file after {row.actual_columns} cells", _wanted(row)
        return [*problems, Problem(name, row.number, None, found, expected, _AGAIN)], []
    blank = {row.number for row in odd if not row.text.strip()}
    while footer and short and short[-1].actual_columns <= short[-1].expected_columns / 2:
        if not set(range(short[-1].number + 1, last + 1)) <= blank:
            break
        blank.add(short.pop().number)
    if len(short) > _TRIMMED * len(cells):
        note = f"{name}: {len(short):,} rows are shorter than the header; the cells that they lack were taken as blank."
        return problems, [note]
    for row in short[:_SHOWN]:
        found = f"{row.actual_columns} cells"
        problems.append(
            Problem(name, row.number, None, found, _wanted(row), "Correct the row, or export it again.")
        )
    if not ended and len(cells):
        return _unended(cells, name, problems)
    return problems, []


def _wanted(row: Any) -> str:
    return f"{row.expected_columns}, as in the header"


def _swallowed(cells: pd.DataFrame, separator: str, name: str) -> list[Problem]:
    """Quoted cells that hold line ends, and as many separators as the rows that ended there would have."""
    found = []
    for column in cells:
        values = cells[column]
        words = values.cat.categories.to_series() if is_coded(values) else values
        long = words[words.str.contains("\n", regex=False, na=False)]
        lines = long.str.count("\n")
        swallowed = long[long.str.count(re.escape(separator)) >= lines * (cells.shape[1] - 1)]
        if len(swallowed):
            rows = values[values.isin(swallowed)]
            found += [(int(str(row)), str(column), str(value)) for row, value in rows.head(_SHOWN).items()]
    advice = "A stray quote joins rows: correct the quotes, or export it again."
    return [
        Problem(name, row, column, f"{text.count(chr(10)) + 1} lines in one cell", "one value", advice)
        for row, column, text in sorted(found)[:_SHOWN]
    ]


def _unended(cells: pd.DataFrame, name: str, problems: list[Problem]) -> tuple[list[Problem], list[str]]:
    """A last line without its end is taken as whole where its last cell looks like the others of its column."""
    column = cells.iloc[:, -1].astype("str")
    last: Any = cells.iloc[-1, -1]
    row, others = int(cells.index[-1]), column.iloc[:-1]
    if len(cells) > _FEW_ROWS and not others.eq(last).any() and not (pd.isna(last) and others.isna().any()):
        shape = others.str.replace(r"[0-9]", "9", regex=True).str.replace(r"[A-Za-z]", "a", regex=True)
        own = re.sub(r"[A-Za-z]", "a", re.sub(r"[0-9]", "9", "" if pd.isna(last) else str(last)))
        if shape.eq(own).mean() < _USUAL:
            found = f"the end of the file within the line, after {'nothing' if pd.isna(last) else repr(last)}"
            advice = f"{_AGAIN} If it is whole, put a line end after its last line."
            wrong = Problem(name, row, str(cells.columns[-1]), found, "a line that ends", advice)
            return [*problems, wrong], []
    return problems, [f"{name} ends without a line end; its last line (row {row}) was taken as whole."]
