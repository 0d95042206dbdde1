"""A CRM's export as :class:`Raw`: today's records, and what its history or dated copies tell of the past."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import InputError, absent
from forecasteval.sources import dated_copies
from forecasteval.sources.audit import Facts, only_today
from forecasteval.sources.by_hand import lay_beside
from forecasteval.sources.dialect import Dialect
from forecasteval.sources.export import Export, find_files
from forecasteval.sources.raw import Raw
from forecasteval.sources.records import current_records, full_values, segment_columns, tracked_changes
from forecasteval.sources.stages import Labels
from forecasteval.tables.calendar import moment
from forecasteval.tables.columns import Sheet
from forecasteval.tables.settings import Settings

_TODAYS_OWNER = "No owner changes were exported: today's owner is carried back over the whole past of a deal."


def is_export(folder: Path, dialect: Dialect) -> bool:
    """Whether a folder holds a file of deals, today's or dated ones."""
    return find_files(folder, dialect).of_deals


def read_export(folder: Path, dialect: Dialect, settings: Settings | None = None) -> Raw:
    """What an export folder holds; ``settings`` are used instead of its own ``organisation.yaml``."""
    if not folder.is_dir():
        advice = "Name the folder that holds the exported files."
        raise InputError([absent(folder, "folder", f"a folder with {dialect.file_name('deals')}", advice)])
    export = Export(folder, dialect, find_files(folder, dialect), settings)
    with export.bar:
        return _read(export)


def _read(export: Export) -> Raw:
    """Today's table, or the newest of a series of dated copies, and what there is besides.

    The deals are the last sight of each; one that was open then and is missing from the newest copy is deleted.
    """
    raw, files, dialect = export.raw, export.files, export.dialect
    paths: dict[Any, Path] = (
        dict(sorted(files.copies.items())) if files.dated else {pd.NaT: files.by_kind["deals"]}
    )
    sheets = {day: export.sheet(path) for day, path in paths.items()}
    newest, newest_sheet = list(sheets.items())[-1]
    seen, segments, labels = _sightings(export, sheets)
    current = seen.drop_duplicates("deal_id", keep="last").reset_index(drop=True)
    today = pd.Series(True, index=current.index)
    values = changes = None
    if files.dated:
        today = current["as_of"] == newest
        vanished = ~today & current["status"].eq("open")
        current["is_deleted"] |= vanished
        raw.problems += dated_copies.problems_of(seen, newest_sheet.file, dialect)
    else:
        values, changes = _read_values(export, labels), _read_changes(export, labels, current)
        tracked = changes is not None and "field" in changes and changes["field"].eq("rep").any()
        if not tracked and (values is None or "rep" not in values):
            raw.notes.append(_TODAYS_OWNER)
    deals = export.deals(current, {name: current[name] for name in segments}, labels)
    export.check_deals(deals[today].set_axis(current.loc[today, "row"]), newest_sheet)
    lay_beside(raw, raw.folder)
    if files.dated:
        raw.notes += dated_copies.notes_on(files)
        raw.tables["snapshots"] = dated_copies.states(seen)
        raw.audit = dated_copies.audit(seen, vanished, list(paths))
    elif values is None:
        lacking = f"There is no {dialect.file_name('values')}: values come from tracked fields alone."
        raw.notes.append(only_today(dialect) if changes is None else lacking)
    day = export.settings.owners_tracked_since
    # the end of the day before is the beginning of the day
    since = moment(pd.Timestamp(day) - pd.Timedelta(days=1), export.settings) if day else None
    raw.tables |= {"deals": deals, "stages": labels.table()}
    raw.facts = Facts(dialect, export.tally, labels, current, values, changes, since)
    return raw


def _sightings(export: Export, sheets: Mapping[Any, Sheet]) -> tuple[pd.DataFrame, list[str], Labels]:
    """Every deal in every table of deals, the names of the segments, and the labels; a table of today has no day."""
    dialect, newest = export.dialect, list(sheets)[-1]
    records = {day: current_records(dialect, sheet) for day, sheet in sheets.items() if not sheet.problems}
    records = {day: rows for day, rows in records.items() if len(rows)}
    if not records:
        # the rest is read for its problems alone
        export.keep(*map(export.optional, ("values", "changes", "stages", "renames")), *sheets.values())
        export.raw.refuse()
    labels = export.labels(pd.concat(records.values()), sheets[newest])
    parts, segments = [], dict[str, pd.Series]()
    for day, rows in records.items():
        sheet = sheets[day]
        own = segment_columns(dialect, sheet, export.settings.segments if day is newest else ())
        seen_at = None if pd.isna(day) else moment(day, export.settings)
        settled = export.settle(rows, labels, sheet, seen_at)
        status = export.status(settled, labels)
        parts.append(settled.assign(as_of=day, status=status, row=rows.index, **own))
        segments |= own
    export.keep(*sheets.values())
    return pd.concat(parts, ignore_index=True), list(segments), labels


def _read_values(export: Export, labels: Labels) -> pd.DataFrame | None:
    sheet = export.optional("values")
    if sheet is None:
        return None
    readable = not sheet.problems
    values = full_values(export.dialect, sheet, labels, export.tally) if readable else None
    if sheet.cells.empty and not sheet.problems:
        advice = "Without its rows only tracked fields tell of the past: export it again."
        sheet.wrong(None, None, "a header and no rows", "the values of the past", advice, "warning")
    export.keep(sheet)
    return values


def _read_changes(export: Export, labels: Labels, current: pd.DataFrame) -> pd.DataFrame | None:
    sheet = export.optional("changes")
    if sheet is None:
        return None
    ids = set(current["rep"].dropna())
    if export.users is not None:
        ids = (ids | set(export.users["rep"])) - set(export.users["name"].dropna())
    changes = None
    if not sheet.problems:
        names = export.raw.id_of_name()
        changes = tracked_changes(export.dialect, sheet, labels, export.tally, ids, names)
    export.keep(sheet)
    return changes
