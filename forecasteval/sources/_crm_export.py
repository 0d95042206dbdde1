"""A CRM's export as :class:`Raw`: today's records, and what its history or dated copies tell of the past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from tqdm import tqdm

from forecasteval.errors import InputError, Problem, absent, nearest
from forecasteval.sources import _dated_copies
from forecasteval.sources._audit import Facts, only_today
from forecasteval.sources._audit import table as audit_table
from forecasteval.sources._by_hand import lay_beside
from forecasteval.sources._daily_history import DailyHistory, apart
from forecasteval.sources._export_files import (
    Files,
    drop_footer,
    find_files,
    one_change_a_row,
    refuse_odd_ids,
)
from forecasteval.sources._records import (
    Tally,
    by_currency_of_deal,
    current_records,
    full_values,
    segment_columns,
    tracked_changes,
    with_closing,
)
from forecasteval.sources._stages import NO_RENAMES, Labels, read_renames, read_stages, stages_of_records
from forecasteval.sources._submissions import add_calls, is_clari
from forecasteval.sources.dialect import Dialect, Fields
from forecasteval.sources.raw import Raw
from forecasteval.tables.calendar import local_dates, moment
from forecasteval.tables.columns import Sheet
from forecasteval.tables.memory import give_back
from forecasteval.tables.reading import read_header
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings, read_settings
from forecasteval.tables.tidy_table import problems_of

_Read = TypeVar("_Read")
_SEGMENT = "segment "
_SHOWN = 8  # words of a column
_TODAYS_OWNER = "No owner changes were exported: today's owner is carried back over the whole past of a deal."


def read_export(folder: Path, dialect: Dialect, settings: Settings | None = None) -> Raw:
    """What an export folder holds; ``settings`` are used instead of its own ``organisation.yaml``."""
    if not folder.is_dir():
        advice = "Name the folder that holds the exported files."
        raise InputError([absent(folder, "folder", f"a folder with {dialect.file_name('deals')}", advice)])
    export = _Export(folder, dialect, find_files(folder, dialect), settings)
    with export.bar:
        return export.read()


class _Export:
    """One export on its way to :class:`Raw`: every file is read and every problem kept before any is refused."""

    def __init__(self, folder: Path, dialect: Dialect, files: Files, settings: Settings | None) -> None:
        """Read the settings, and the users whom every other file may name; stop where there are no deals."""
        self.dialect, self.files = dialect, files
        own, problems = read_settings(folder) if settings is None else (settings, [])
        self.raw = Raw(
            own.name or folder.name, folder, own, problems=files.problems + problems, dialect=dialect,
            canonical_id=dialect.canonical_id,
        )  # fmt: skip
        self.tally = Tally()
        self.bar = tqdm(desc="Reading the export", unit=" files", disable=None, leave=False)
        if not files.of_deals:
            here = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
            deals = dialect.object_name("deals")
            advice = (
                f"Export the {deals} object (or a folder of dated copies of it) into this folder. A table of your own: "
                "forecasteval import table FILE --explain."
            )
            wrong = Problem(str(folder), None, None, here, dialect.file_name("deals"), advice)
            raise InputError([*self.raw.problems, wrong])
        self.users = self.of("users", self._users)

    def read(self) -> Raw:
        """Today's table, or the newest of a series of dated copies, and what there is besides.

        The deals are the last sight of each; one that was open then and is missing from the newest copy is deleted.
        """
        raw, files, dialect = self.raw, self.files, self.dialect
        paths: dict[Any, Path] = dict(sorted(files.copies.items())) if files.dated else {}
        if not files.dated and "deals" in files.by_kind:
            paths = {pd.NaT: files.by_kind["deals"]}
        sheets = {day: self.sheet(path) for day, path in paths.items()}
        table = None if "values" in files.by_kind else sheets.get(pd.NaT)
        parts = {} if table is None else _dated_copies.by_day(dialect, table)
        if parts:  # one table of many days is as good as a file for each
            paths = files.copies = dict.fromkeys(parts, files.by_kind.pop("deals"))
            sheets = parts
        daily = self._daily() if "values" not in files.by_kind and not files.dated else None
        if daily is not None and not sheets:
            sheets = {pd.NaT: daily.newest}
        newest, newest_sheet = list(sheets.items())[-1]
        seen, labels = self._sightings(sheets)
        current = seen.drop_duplicates("deal_id", keep="last").reset_index(drop=True)
        today = pd.Series(True, index=current.index)
        values = changes = None
        if files.dated:
            today = current["as_of"] == newest
            vanished = ~today & current["status"].eq("open")
            current["is_deleted"] |= vanished
            raw.problems += _dated_copies.problems_of(seen, newest_sheet.file, dialect)
        else:
            if daily is not None:
                current["is_deleted"] |= current["deal_id"].isin(daily.vanished) & current["status"].eq(
                    "open"
                )
                raw.audit = audit_table(daily.audit())
            versions = None if daily is None else daily.versions
            values = self.of("values", lambda sheet: self._values(sheet, labels, current), versions)
            changes = self.of("changes", lambda sheet: self._changes(sheet, labels, current))
            tracked = changes is not None and "field" in changes and changes["field"].eq("rep").any()
            if not tracked and (values is None or "rep" not in values):
                raw.notes.append(_TODAYS_OWNER)
        deals = self.deals(current)
        self.check_deals(deals[today].set_axis(current.loc[today, "row"]), newest_sheet)
        lay_beside(raw, raw.folder)
        self._submitted(current)
        if files.dated:
            raw.notes += _dated_copies.notes_on(files)
            raw.tables["snapshots"] = _dated_copies.states(seen)
            raw.audit = _dated_copies.audit(seen, vanished, list(paths))
        elif values is None:
            lacking = f"There is no {dialect.file_name('values')}: values come from tracked fields alone."
            raw.notes.append(only_today(dialect) if changes is None else lacking)
        left = [path.name for path in files.strange if path.name not in raw.sources]
        raw.notes += dialect.unread(left)
        if dialect.cannot_know:
            raw.notes.append(dialect.cannot_know)
        day = raw.settings.owners_tracked_since
        # the end of the day before is the beginning of the day
        since = moment(pd.Timestamp(day) - pd.Timedelta(days=1), raw.settings) if day else None
        raw.tables |= {"deals": deals, "stages": labels.table()}
        if "expected_on" in current:  # what never changed while the deal was open is what was expected
            current = current.assign(close_on=current["expected_on"], amount=current["expected"])
        assert raw.folder is not None
        called = {kind: str(path.relative_to(raw.folder)) for kind, path in files.by_kind.items()}
        raw.facts = Facts(dialect, self.tally, labels, current, values, changes, since, called)
        return raw

    def _sightings(self, sheets: Mapping[Any, Sheet]) -> tuple[pd.DataFrame, Labels]:
        """Every deal in every table of deals, and the labels; a table of today has no day."""
        dialect, newest = self.dialect, list(sheets)[-1]
        records = {
            day: current_records(dialect, sheet) for day, sheet in sheets.items() if not sheet.problems
        }
        records = {day: rows for day, rows in records.items() if len(rows)}
        if not records:
            # the rest is read for its problems alone
            self.keep(*map(self.optional, ("values", "changes", "stages", "renames")), *sheets.values())
            self.raw.refuse()
        labels = self.labels(pd.concat(records.values()), sheets[newest])
        parts = []
        for day, rows in records.items():
            sheet = sheets[day]
            settings = self.raw.settings if day is newest else Settings()
            own = segment_columns(dialect, sheet, settings.segments, settings.deal_type)
            seen_at = None if pd.isna(day) else moment(day, self.raw.settings)
            settled = self.settle(rows, labels, sheet, seen_at)
            status = self.status(settled, labels)
            # a segment may be called as a column of the records is
            apart = {_SEGMENT + name: values for name, values in own.items()}
            parts.append(settled.assign(as_of=day, status=status, row=rows.index, **apart))
        self.keep(*sheets.values())
        return pd.concat(parts, ignore_index=True), labels

    def _daily(self) -> DailyHistory | None:
        """A table of one row per deal and day, if there is one."""
        daily = self.of("daily", lambda sheet: apart(self.dialect, sheet))
        if "daily" in self.files.by_kind:
            self.raw.refuse()
        return daily

    def _submitted(self, current: pd.DataFrame) -> None:
        """What people submitted, from whatever file holds it."""
        assert self.raw.folder is not None
        sheets = {kind: self.optional(kind) for kind in ("submissions", "submission_items")}
        used = {*self.files.by_kind.values(), self.raw.folder / "calls.csv", self.raw.folder / "calendar.csv"}
        others = [path for path in sorted(self.raw.folder.glob("*.csv")) if path not in used]
        clari = next((path for path in others if is_clari(read_header(path))), None)
        sheets["clari"] = None if clari is None else self.sheet(clari, "submissions")
        there = {kind: sheet for kind, sheet in sheets.items() if sheet is not None and not sheet.problems}
        if "calls" in self.raw.given and there:
            self.raw.notes.append("calls.csv stands beside the export: the submissions were left aside.")
        elif "submissions" in there or "clari" in there:
            add_calls(self.raw, self.dialect, there, set(current["rep"].dropna()))
        self.keep(*sheets.values())

    def _values(self, sheet: Sheet, labels: Labels, current: pd.DataFrame) -> pd.DataFrame:
        """The full values of the past."""
        values = full_values(self.dialect, sheet, labels, self.tally)
        if sheet.cells.empty:
            advice = "Without its rows only tracked fields tell of the past: export it again."
            sheet.wrong(None, None, "a header and no rows", "the values of the past", advice, "warning")
        if "currency" in self.dialect.headers_of("values", map(str, sheet.cells)):
            return values
        return by_currency_of_deal(values, current, self.raw.settings.currency_rates)

    def _changes(self, sheet: Sheet, labels: Labels, current: pd.DataFrame) -> pd.DataFrame:
        """The tracked changes, and those that closing a deal makes."""
        ids = set(current["rep"].dropna())
        if self.users is not None:
            ids = (ids | set(self.users["rep"])) - set(self.users["name"].dropna())
        changes = tracked_changes(self.dialect, sheet, labels, self.tally, ids, self.raw.id_of_name())
        if sheet.problems:
            return changes
        changes = by_currency_of_deal(changes, current, self.raw.settings.currency_rates)
        return with_closing(changes, current, "status" if self.dialect.own_status else "stage")

    def sheet(self, path: Path, kind: str = "deals") -> Sheet:
        """A file of the export without footer; reports are read in the organisation's zone."""
        coded = kind == "values"  # the one table that may have millions of rows
        sheet = self.raw.sheet(path, coded=coded, footer=True)
        give_back()
        self.bar.update()
        self.raw.sources[sheet.file] = len(sheet.cells)
        if sheet.problems:
            return sheet
        if self.dialect.is_report(sheet):
            sheet.zone = self.raw.settings.timezone
        folded = self.dialect.folded if kind == "changes" else ""
        if folded and folded in sheet.headers():
            sheet = one_change_a_row(sheet, sheet.headers()[folded])
        if dropped := drop_footer(self.dialect, sheet, kind):
            self.tally.footers += dropped
            rows = f"{dropped} footer row{'s were' if dropped > 1 else ' was'}"
            self.raw.notes.append(f"{sheet.file} is a report: {rows} left out.")
        if kind in ("deals", "daily", "values", "changes"):
            refuse_odd_ids(self.dialect, sheet, kind)
        return sheet

    def optional(self, kind: str) -> Sheet | None:
        """The file of one kind of object, if there is one."""
        return self.sheet(self.files.by_kind[kind], kind) if kind in self.files.by_kind else None

    def of(self, kind: str, read: Callable[[Sheet], _Read], sheet: Sheet | None = None) -> _Read | None:
        """What is read from the file of one kind, if there is one and it is whole; its problems are kept."""
        sheet = self.optional(kind) if sheet is None else sheet
        found = read(sheet) if sheet is not None and not sheet.problems else None
        self.keep(sheet)
        give_back()
        return found

    def keep(self, *sheets: Sheet | None) -> None:
        """Take over what was found wrong in files."""
        for sheet in sheets:
            self.raw.problems += sheet.problems if sheet is not None else []

    def _users(self, sheet: Sheet) -> pd.DataFrame | None:
        fields = Fields(self.dialect, sheet, ("user_id",), self.dialect.user_fields)
        if not fields.complete:
            return None
        names = fields.taken("name").get("name")
        if names is None:
            names = pd.Series("", index=sheet.cells.index, dtype="str")
            for part in fields.taken("first_name", "last_name").values():
                names = names + " " + part.fillna("")
            names = names.str.strip().replace("", None)
        found = pd.DataFrame({"rep": self.dialect.canonical_id(fields.take("user_id")), "name": names})
        if "manager" in fields:  # by id or, in reports, by name
            by_name = found.drop_duplicates("name", keep=False).dropna().set_index("name")["rep"]
            above = fields.take("manager")
            found["manager"] = self.dialect.canonical_id(above.map(by_name).astype("str").fillna(above))
        users = canonical("users", found.assign(**fields.taken("team")))
        sheet.problems += problems_of("users", users, sheet.file)
        self.raw.tables["users"] = users.reset_index(drop=True)
        return users

    def labels(self, current: pd.DataFrame, sheet: Sheet) -> Labels:
        """The stages as their own file has them, else as today's records show them."""
        dialect = self.dialect
        renames = self.of("renames", read_renames)
        source = dialect.file_name("stages")
        stages, synonyms = self.of("stages", lambda own: read_stages(dialect, own)) or (pd.DataFrame(), {})
        if "stages" not in self.files.by_kind:
            self.raw.notes.append(
                f"There is no {source}: closed and won flags and usual probabilities of the stages come from today's records."
            )
        if stages.empty:
            stages = stages_of_records(dialect, current, sheet)
            source = f"today's {dialect.file_name('deals')}"
        renames = NO_RENAMES if renames is None else renames
        return Labels(dialect, stages, renames, self.raw.settings, synonyms, source)

    def settle(
        self, current: pd.DataFrame, labels: Labels, sheet: Sheet, seen_at: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """The records with the labels of today and one name for each owner; dated copies give their moment."""
        at = None if seen_at is None else pd.Series(seen_at, index=current.index)
        header = Fields(self.dialect, sheet).header
        words = labels.category(sheet, header.get("category", ""), current["rep_category"], at)
        settled = current.assign(rep_category=words)
        settled["stage"] = labels.stage(sheet, header.get("stage", ""), current["stage"], at, settled)
        by_name = current["rep_name"].map(self.raw.id_of_name()).astype("str").fillna(current["rep_name"])
        settled["rep"] = current["rep"].fillna(by_name)
        return settled

    def status(self, records: pd.DataFrame, labels: Labels) -> pd.Series:
        """Open, won or lost, by the records' own flags or else by their stage."""
        if "is_won" not in records or "is_closed" not in records:
            return records["stage"].map(labels.status_of()).fillna("open")
        status = pd.Series("open", index=records.index, dtype="str")
        return status.mask(records["is_closed"], "lost").mask(records["is_won"], "won")

    def deals(self, current: pd.DataFrame) -> pd.DataFrame:
        """Today's records as the deals table."""
        outcome = current["status"].mask(current["is_deleted"], "deleted")
        segments = {
            name.removeprefix(_SEGMENT): current[name]
            for name in map(str, current)
            if name.startswith(_SEGMENT)
        }
        table = current[["deal_id", "rep", "account"]].assign(
            **segments,
            created_on=local_dates(current["created_at"], self.raw.settings),
            closed_on=current["close_on"].where(outcome.isin(["won", "lost"])),
            outcome=outcome,
            amount=current["amount"],
        )
        return canonical("deals", table)

    def check_deals(self, deals: pd.DataFrame, sheet: Sheet) -> None:
        """What is odd about the deals, in the words of the file, unless the file has errors already."""
        if any(problem.severity == "error" for problem in sheet.problems):
            return
        header = Fields(self.dialect, sheet).header
        amount, stage = header.get("amount", self.dialect.field_name("amount")), header.get("stage")
        notable = []
        if not deals["outcome"].isin(["won", "lost"]).any():
            shown = ", ".join(sheet.text(stage).dropna().unique()[:_SHOWN]) if stage else ""
            means = (
                f" If some have, say in {self.dialect.file_name('stages')} which of these mean so: {shown}."
            )
            advice = "Nothing can be scored before deals close." + (means if shown else "")
            notable.append((stage, "no deal that is won or lost", "some that are", advice))
        if deals["amount"].isna().all():
            advice = "Without amounts deals are counted, and no money: add them to the export."
            found = "nothing in any row" if "amount" in header else "no such column"
            notable.append((amount, found, "amounts", nearest(amount, list(map(str, sheet.cells))) + advice))
        for column, found, expected, advice in notable:
            self.raw.problems.append(Problem(sheet.file, None, column, found, expected, advice, "warning"))
        words = {"closed_on": header.get("close_on"), "created_on": header.get("created_at")}
        for problem in problems_of("deals", deals, sheet.file):
            named = words.get(str(problem.column)) or problem.column
            self.raw.problems.append(replace(problem, column=named))
