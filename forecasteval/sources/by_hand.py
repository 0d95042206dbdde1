"""Tables that people write by hand: whole data folders, and what is laid beside an export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import InputError, Problem, nearest, pinned
from forecasteval.tables import calendar
from forecasteval.tables.checks import cross_checks
from forecasteval.tables.columns import Sheet, eighteen, normal
from forecasteval.tables.organisation import Org, with_calendar
from forecasteval.tables.reading import from_sheet, read_sheet
from forecasteval.tables.schemas import RESERVED
from forecasteval.tables.settings import Settings, read_settings


def read_beside(
    folder: Path, settings: Settings, within: str = ""
) -> tuple[dict[str, pd.DataFrame], list[Problem], list[str]]:
    """What an analyst lays beside an export: ``calendar.csv``, ``calls.csv`` and ``forecasts/*.csv``.

    Parameters
    ----------
    folder : where to look
    settings : zone and grace
    within : put before the file names in problems

    Returns
    -------
    tables by name (``periods``, ``calls``, ``forecasts``), problems, notes

    Examples
    --------
    >>> import tempfile
    >>> read_beside(Path(tempfile.mkdtemp()), Settings())
    ({}, [], [])
    """
    files = [("periods", folder / "calendar.csv"), ("calls", folder / "calls.csv")]
    files += [("forecasts", path) for path in sorted((folder / "forecasts").glob("*.csv"))]
    found: dict[str, list[pd.DataFrame]] = {}
    problems: list[Problem] = []
    notes: list[str] = []
    for name, path in files:
        if not path.exists():
            continue
        sheet, said = read_sheet(path, within + str(path.relative_to(folder)), settings.timezone)
        table = from_sheet(name, sheet)
        problems += sheet.problems
        notes += said
        if len(table.columns):
            found.setdefault(name, []).append(table)
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    if "periods" in tables:
        tables["periods"] = calendar.complete(tables["periods"], settings.grace_business_days)
    return tables, problems, notes


def only_warnings(problems: list[Problem]) -> list[Problem]:
    """The problems if all of them are warnings."""
    if any(problem.severity == "error" for problem in problems):
        raise InputError(problems)
    return problems


def in_terms_of(
    tables: dict[str, pd.DataFrame], deals: pd.DataFrame, users: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    """Forecasts and calls in the ids of the deals and owners; forecasts of unknown deals are left out.

    Ids of 15 characters meet deals of 18; a rep named in a call becomes the id of the user of that name.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": ["006q000000HddohAAB"]})
    >>> scores = pd.DataFrame({"deal_id": ["006q000000Hddoh", "D9"], "value": [0.5, 0.1]})
    >>> in_terms_of({"forecasts": scores}, deals, None)["forecasts"].values.tolist()
    [['006q000000HddohAAB', 0.5]]
    """
    told = dict(tables)
    if "forecasts" in told:
        ids = told["forecasts"]["deal_id"]
        longer = eighteen(ids)
        known = ids.isin(deals["deal_id"])
        forecasts = told["forecasts"].assign(deal_id=ids.where(known, longer))
        told["forecasts"] = forecasts[known | longer.isin(deals["deal_id"])].reset_index(drop=True)
    if "calls" in told and users is not None:
        single = users[users["name"].notna() & ~users["name"].duplicated(keep=False)]
        calls = told["calls"]
        ids = calls["unit_id"].map(dict(zip(single["name"], single["rep"], strict=True))).astype("str")
        told["calls"] = calls.assign(unit_id=ids.where(calls["unit"] == "rep").fillna(calls["unit_id"]))
    return told


def table_files(folder: Path) -> dict[str, list[Path]]:
    """The files of tidy tables in a folder, by table."""
    files = [path for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".parquet")]
    wanted = ("deals", "snapshots", "forecasts", "calls", "periods", "stages")
    found = {name: [path for path in files if normal(path.stem) == name] for name in wanted}
    return {name: paths for name, paths in found.items() if paths}


def matched_file(folder: Path) -> Path | None:
    """The file of a matched table in a folder, if there is one."""
    paths = [folder / "matched.parquet", folder / "matched.csv"]
    return next((path for path in paths if path.exists()), None)


def read_handwritten(folder: Path, place: Path) -> Org:
    """Tables that somebody wrote, as CSV or Parquet, checked from top to bottom."""
    settings, problems = read_settings(folder if (folder / "organisation.yaml").exists() else place)
    name = settings.name or place.name
    matched = matched_file(folder)
    if matched is not None:
        table, found = _read_matched(matched, settings)
        warnings = only_warnings(problems + found)
        return Org(name, place, settings, matched=table, warnings=warnings)
    files = table_files(folder)
    tables: dict[str, pd.DataFrame] = {}
    notes: list[str] = []
    for table_name, paths in files.items():
        if len(paths) > 1:
            both = " and ".join(path.name for path in paths)
            problems.append(Problem(both, None, None, "two files of one table", "one", "Remove one of them."))
            continue
        sheet, said = read_sheet(paths[0], paths[0].name, settings.timezone)
        table = from_sheet(table_name, sheet)
        if not any(problem.severity == "error" for problem in sheet.problems):
            tables[table_name] = table
        problems += sheet.problems
        notes += said
    if "deals" not in files:
        advice = "Write one row per deal with deal_id and outcome."
        problems.append(
            Problem(str(place), None, None, "no deals table", "deals.csv or deals.parquet", advice)
        )
    beside, found, said = read_beside(place, settings)
    problems += found
    tables = {**beside, **tables}
    problems += cross_checks(tables, {key: paths[0].name for key, paths in files.items()})
    warnings = only_warnings(problems)
    tables = in_terms_of(tables, tables["deals"], None)
    org = Org(name, place, settings, notes=[*notes, *said], warnings=warnings)
    return _assembled(org, {key: table.reset_index(drop=True) for key, table in tables.items()})


def _assembled(org: Org, tables: dict[str, Any]) -> Org:
    # dated copies become versions in the room to the right; hand-made snapshots are dated copies
    from forecasteval.sources.history import from_snapshots

    periods = tables.pop("periods", None)
    if periods is not None:
        periods = calendar.complete(periods, org.settings.grace_business_days)
    notes = org.notes
    if "snapshots" in tables:
        tables["snapshots"], tables["history"] = from_snapshots(tables["snapshots"], org.settings)
    else:
        notes = [*notes, "There are no snapshots: nothing can be known about the past of a deal."]
    return with_calendar(replace(org, notes=notes, **tables), periods)


def _read_matched(path: Path, settings: Settings) -> tuple[pd.DataFrame, list[Problem]]:
    """A matched table that somebody wrote: the columns of the contract, everything else as it is."""
    if path.suffix == ".parquet":
        table = pd.read_parquet(path)
        sheet = Sheet(path.name, table.set_axis(pd.RangeIndex(2, len(table) + 2)))
    else:
        sheet, _ = read_sheet(path, path.name, settings.timezone)
        if sheet.problems:
            return pd.DataFrame(), sheet.problems
        table = pd.DataFrame(
            {str(column): _matched_column(sheet, str(column)) for column in sheet.cells.columns}
        ).reset_index(drop=True)
    problems = sheet.problems
    for column in ("deal_id", "won"):
        if column not in table:
            guess = nearest(column, [str(header) for header in table.columns])
            sheet.wrong(1, column, "no such column", "the columns deal_id and won", f"{guess}Add it.")
    if "won" in table:
        rows = table["won"].set_axis(sheet.cells.index)
        problems += pinned(
            path.name, "won", rows[~rows.isin([0, 1])], "1 (it came true) or 0", "Leave out undecided deals."
        )
    if "as_of" in table:
        table["as_of"] = table["as_of"].astype("datetime64[s]")
    return table, problems


def _matched_column(sheet: Sheet, column: str) -> pd.Series:
    if column == "as_of":
        return sheet.dates(column)
    if column in ("won", "amount", "amount_won"):
        return sheet.numbers(column)
    return sheet.text(column) if column in RESERVED else sheet.numbers_or_text(column)
