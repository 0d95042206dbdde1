"""The files of a CRM's export: which is what, and their cells without what is not data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources.dialect import Dialect
from forecasteval.tables.coded import each_word
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.not_data import rows_below
from forecasteval.tables.reading import SUFFIXES, read_header

_BY_HAND = (
    "calls",
    "calendar",
    "actuals",
    "forecasts",
    "outcomes",
    "activity",
)  # written beside an export, read by others
_CHANGE = ("logicalName", "oldValue", "newValue")
_DATED = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")


@dataclass
class Files:
    """The files of an export by what they hold, and the dated copies of the deals."""

    by_kind: dict[str, Path] = field(default_factory=dict)
    copies: dict[pd.Timestamp, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    strange: list[Path] = field(default_factory=list)  # tables that nothing is known of

    @property
    def of_deals(self) -> bool:
        """Whether there is a file of deals, today's or dated ones."""
        return bool({"deals", "daily"} & set(self.by_kind)) or bool(self.copies)

    @property
    def of_today(self) -> Path | None:
        """The file that says how deals stand now."""
        newest = self.copies[max(self.copies)] if self.copies else None
        return self.by_kind.get("deals") or newest or self.by_kind.get("daily")

    @property
    def dated(self) -> bool:
        """Whether the past comes from the copies; a history holds more than they do."""
        return bool(self.copies) and "values" not in self.by_kind


def find_files(folder: Path, dialect: Dialect) -> Files:
    """What each file is, by its name, and where no name tells of deals by its headers.

    A date in the name (or in the folder's) makes it a dated copy.
    """
    files = _found(folder, lambda stem, path: dialect.kind_of(stem))
    if files.of_deals:
        return files
    return _found(folder, lambda stem, path: dialect.kind_of(stem) or _kind_by_headers(dialect, path))


def _kind_by_headers(dialect: Dialect, path: Path) -> str | None:
    headers = read_header(path)
    return next((kind for kind in ("changes", "deals") if dialect.complete(kind, headers)), None)


def _found(folder: Path, kind_of: Callable[[str, Path], str | None]) -> Files:
    files = Files()
    undated: dict[str, list[Path]] = {}
    dated: dict[str, dict[str, Path]] = {}
    paths = sorted(folder.iterdir())
    paths += [path for path in sorted(folder.glob("*/*")) if _DATED.search(path.parent.name)]
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith("~$")]
    for path in paths:
        nested = path.parent != folder
        date = _DATED.search(path.parent.name if nested else path.stem)
        kind = kind_of(path.stem if nested else _DATED.sub("", path.stem), path)
        if date and kind == "deals":
            files.problems += _add_copy(files.copies, date, path, folder)
        elif date and kind:
            dated.setdefault(kind, {})["".join(date.groups())] = path
        elif kind:
            undated.setdefault(kind, []).append(path)
        elif normal(path.stem) not in _BY_HAND:
            files.strange.append(path)
    files.by_kind = {kind: copies[max(copies)] for kind, copies in dated.items()}
    for kind, several in undated.items():
        files.by_kind[kind] = several[0]
        if len(several) > 1:
            names = " and ".join(path.name for path in several)
            found, advice = "several files of one object", "Remove all but one of them."
            files.problems.append(Problem(names, None, None, found, "one", advice))
    if files.copies and not files.dated:
        files.by_kind.setdefault("deals", files.copies[max(files.copies)])
    return files


def _add_copy(
    copies: dict[pd.Timestamp, Path], date: re.Match[str], path: Path, folder: Path
) -> list[Problem]:
    name = str(path.relative_to(folder))
    try:
        day = pd.Timestamp("-".join(date.groups()))
    except ValueError:
        return [Problem(name, None, None, date.group(), "a date that exists", "Rename the copy.")]
    if day in copies:
        both = f"{copies[day].relative_to(folder)} and {name}"
        return [Problem(both, None, None, "two copies of one day", "one", "Remove one of them.")]
    copies[day] = path
    return []


def _shaped_ids(dialect: Dialect, sheet: Sheet, kind: str) -> tuple[str, pd.Series] | None:
    """The column of ids, if there is one, and which rows have an id of the CRM's own form."""
    header = dialect.headers_of(kind, map(str, sheet.cells.columns)).get("deal_id")
    if header is None:
        return None

    def shaped(words: pd.Series) -> pd.Series:
        return words.str.strip().str.fullmatch(dialect.id_shape, na=False).astype(bool)

    return header, each_word(sheet.cells[header], shaped)


def drop_footer(dialect: Dialect, sheet: Sheet, kind: str) -> int:
    """Drop the rows at the end of a file that are not data, as reports have them; returns how many."""
    cells = sheet.cells
    found = _shaped_ids(dialect, sheet, kind)
    if found is not None and found[1].any():
        # a last row with most of its cells filled is a deal with a broken id rather than a footer
        data = found[1] | (cells.notna().sum(axis=1) > cells.shape[1] / 2)
    elif dialect.is_report(sheet) and cells.shape[1] > 2:
        data = cells.notna().sum(axis=1) > 1
    else:
        data = pd.Series(True, cells.index)
    kept = len(data) - int(data[::-1].to_numpy().argmax()) if data.any() else 0
    kept -= rows_below(cells.iloc[:kept])
    sheet.cells = cells.iloc[:kept]
    return len(cells) - kept


def refuse_odd_ids(dialect: Dialect, sheet: Sheet, kind: str) -> None:
    """The ids that the CRM cannot have given out, in a file in which most ids are the CRM's."""
    found = _shaped_ids(dialect, sheet, kind)
    if found is None or found[1].mean() <= 0.5:
        return
    header, shaped = found
    ids = replace(sheet, cells=sheet.cells.loc[~shaped, [header]]).text(header)
    expected = f"a {dialect.name} id of {dialect.id_words}"
    sheet.pin(header, ids[ids.notna()], expected, "Correct or remove the row.")


def one_change_a_row(sheet: Sheet, column: str) -> Sheet:
    """An audit of which each row holds its changes as JSON in one cell."""
    cells = sheet.cells[sheet.cells[column].notna()]
    rows = []
    for row, text in cells[column].items():
        try:
            changes = json.loads(text).get("changedAttributes", [])
        except (ValueError, AttributeError):
            expected = "JSON with changedAttributes"
            sheet.wrong(int(str(row)), column, repr(text[:40]), expected, "Export it again.")
            continue
        rows += [{"row": row, **{name: change.get(name) for name in _CHANGE}} for change in changes]
    unfolded = pd.DataFrame(rows, columns=["row", *_CHANGE]).astype(dict.fromkeys(_CHANGE, "str"))
    rest = cells.drop(columns=column).loc[unfolded.pop("row").astype(int)].reset_index(drop=True)
    unfolded = pd.concat([rest, unfolded], axis=1)
    return replace(sheet, cells=unfolded.set_axis(pd.RangeIndex(2, len(unfolded) + 2, name="row")))
