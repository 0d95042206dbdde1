"""A CRM's export as :class:`Raw`: from its history, from dated copies, or from today's records alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecasteval.errors import InputError, absent
from forecasteval.sources.audit import Facts, only_today
from forecasteval.sources.by_hand import lay_beside
from forecasteval.sources.dated_copies import read_copies
from forecasteval.sources.dialect import Dialect
from forecasteval.sources.export import Export, find_files
from forecasteval.sources.raw import Raw
from forecasteval.sources.records import current_records, full_values, segment_columns, tracked_changes
from forecasteval.sources.stages import Labels
from forecasteval.tables.calendar import moment
from forecasteval.tables.settings import Settings


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
        if export.files.copies and "values" not in export.files.by_kind:
            return read_copies(export)
        return _read_records(export)


def _read_records(export: Export) -> Raw:
    """Today's records, and what the CRM recorded of their past."""
    dialect, raw = export.dialect, export.raw
    sheet = export.sheet(export.files.by_kind["deals"])
    current = current_records(dialect, sheet) if not sheet.problems else pd.DataFrame()
    if current.empty:
        # the rest is read for its problems alone
        export.keep(*map(export.optional, ("values", "changes", "stages", "renames")), sheet)
        raw.refuse()
    segments = segment_columns(dialect, sheet, export.settings.segments)
    labels = export.labels(current, sheet)
    current = export.settle(current, labels, sheet)
    export.keep(sheet)
    values, changes = _read_values(export, labels), _read_changes(export, labels, current)
    tracked = changes is not None and "field" in changes and changes["field"].eq("rep").any()
    if not tracked and (values is None or "rep" not in values):
        raw.notes.append(
            "No owner changes were exported: today's owner is carried back over the whole past of a deal."
        )
    deals = export.deals(current, segments, labels)
    export.check_deals(deals, sheet)
    lay_beside(raw, raw.folder)
    if values is None and changes is None:
        raw.notes.append(only_today(dialect))
    elif values is None:
        raw.notes.append(f"There is no {dialect.file_name('values')}: values come from tracked fields alone.")
    day = export.settings.owners_tracked_since
    # the end of the day before is the beginning of the day
    since = moment(pd.Timestamp(day) - pd.Timedelta(days=1), export.settings) if day else None
    raw.tables |= {"deals": deals.reset_index(drop=True), "stages": labels.table()}
    raw.facts = Facts(dialect, export.tally, labels, current, values, changes, since)
    return raw


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
