"""Tables that people write by hand: whole data folders, and what is laid beside an export."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem, nearest
from forecasteval.sources.raw import Raw
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.reading import SUFFIXES
from forecasteval.tables.schemas import KEYS, RESERVED
from forecasteval.tables.settings import SETTINGS_FILE, read_settings
from forecasteval.tables.tidy_table import from_sheet

_TABLES = ("deals", "snapshots", "forecasts", "calls", "actuals", "periods", "stages", "outcomes", "activity")
_BESIDE = (
    ("periods", "calendar"), ("calls", "calls"), ("actuals", "actuals"), ("outcomes", "outcomes"), ("activity", "activity")
)  # fmt: skip
_TOTALS = ("calls", "actuals")  # what can be read without any deal, both of them
_ALONE = ("outcomes", "activity")  # and each of these


def lay_beside(raw: Raw, folder: Path | None, done: Collection[Path] = ()) -> Raw:
    """Add what lies beside: ``calendar``, ``calls``, ``actuals``, ``outcomes``, ``activity``, ``forecasts/*``, ``totals/``; but for files that are done."""
    assert folder is not None
    files = [(name, path) for name, stem in _BESIDE for path in _tables_in(folder) if path.stem == stem]
    files += [("forecasts", path) for path in _tables_in(folder / "forecasts")]
    files += [(path.stem, path) for path in _tables_in(folder / "totals") if path.stem in _TOTALS]
    parts = {name: [raw.given[name]] for name in _TOTALS if name in raw.given}
    for name, path in files:
        if path not in done and (name not in raw.given or path.parent.name == "totals"):
            parts.setdefault(name, []).extend(_read(raw, name, path, str(path.relative_to(folder))))
    for name, tables in parts.items():
        if tables:
            raw.given[name] = pd.concat(tables, ignore_index=len(tables) > 1)
            again = int(raw.given[name].duplicated(KEYS[name] or None).sum()) if len(tables) > 1 else 0
            if again:
                found, advice = f"{again:,} rows that stand in two files", "Keep one of the files."
                raw.problems.append(
                    Problem(f"{name} of {folder.name}", None, None, found, "each row once", advice)
                )
    return raw


def _read(raw: Raw, name: str, path: Path, file: str) -> list[pd.DataFrame]:
    """One file of a tidy table, unless something is wrong with it; what there is to say goes to the others."""
    sheet = raw.sheet(path, file, zone=raw.settings.timezone)
    table = from_sheet(name, sheet)
    raw.problems += sheet.problems
    return [] if any(problem.severity == "error" for problem in sheet.problems) else [table]


def _tables_in(folder: Path) -> list[Path]:
    """The files of a folder that may hold a table; what a spreadsheet keeps open has another beside it."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.suffix in SUFFIXES and not path.name.startswith((".", "~$"))]


def table_files(folder: Path) -> dict[str, list[Path]]:
    """The files of tidy tables in a folder, by table."""
    files = _tables_in(folder)
    found = {name: [path for path in files if normal(path.stem) == name] for name in _TABLES}
    return {name: paths for name, paths in found.items() if paths}


def matched_file(folder: Path) -> Path | None:
    """The file of a matched table in a folder, if there is one."""
    paths = [folder / "matched.parquet", folder / "matched.csv"]
    return next((path for path in paths if path.exists()), None)


def read_tables(folder: Path, place: Path) -> Raw:
    """Tables that somebody wrote, as CSV or Parquet, in a data folder or in its ``tables/``."""
    own, problems = read_settings(folder if (folder / SETTINGS_FILE).exists() else place)
    raw = Raw(own.name or place.name, place, own, problems=problems)
    matched = matched_file(folder)
    if matched is not None:
        raw.matched = _read_matched(raw, matched)
        return lay_beside(raw, place)
    files = table_files(folder)
    for name, paths in files.items():
        raw.files[name] = paths[0].name
        if len(paths) > 1:
            both = " and ".join(path.name for path in paths)
            problem = Problem(both, None, None, "two files of one table", "one", "Remove one of them.")
            raw.problems.append(problem)
        else:
            for table in _read(raw, name, paths[0], paths[0].name):
                raw.given[name] = table
    lay_beside(raw, place, [path for paths in files.values() for path in paths])
    if "deals" not in files and not (set(_TOTALS) <= set(raw.given) or set(_ALONE) & set(files)):
        advice = "Write one row per deal with deal_id and outcome."
        expected = "deals.csv or deals.parquet"
        raw.problems.append(Problem(str(place), None, None, "no deals table", expected, advice))
    if "deals" in files and "snapshots" not in files:
        raw.notes.append("There are no snapshots: nothing can be known about the past of a deal.")
    return raw


def _read_matched(raw: Raw, path: Path) -> pd.DataFrame:
    """A matched table that somebody wrote: the columns of the contract, everything else as it is."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        sheet = Sheet(path.name, table.set_axis(pd.RangeIndex(2, len(table) + 2)), raw.problems)
    else:
        sheet = raw.sheet(path, path.name, zone=raw.settings.timezone)
        raw.problems += sheet.problems
        if sheet.problems:
            return pd.DataFrame()
        sheet.problems = raw.problems
        columns = {str(column): _matched_column(sheet, str(column)) for column in sheet.cells.columns}
        table = pd.DataFrame(columns).reset_index(drop=True)
    for column in ("deal_id", "won"):
        if column not in table:
            advice = f"{nearest(column, [str(header) for header in table.columns])}Add it."
            sheet.wrong(1, column, "no such column", "the columns deal_id and won", advice)
    if "won" in table:
        rows = table["won"].set_axis(sheet.cells.index)
        wrong = rows[~rows.isin([0, 1])]
        expected, advice = "1 (it came true) or 0", "Leave out undecided deals."
        sheet.pin("won", wrong, expected, advice)
    if "as_of" in table:
        table["as_of"] = table["as_of"].astype("datetime64[s]")
    return table


def _matched_column(sheet: Sheet, column: str) -> pd.Series:
    if column == "as_of":
        return sheet.dates(column)
    if column in ("won", "amount", "amount_won"):
        return sheet.numbers(column)
    return sheet.text(column) if column in RESERVED else sheet.numbers_or_text(column)
