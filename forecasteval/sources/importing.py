"""One import: from raw records to the tidy tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from forecasteval.errors import InputError, Problem
from forecasteval.sources import audit as audits
from forecasteval.sources import history
from forecasteval.sources.by_hand import in_terms_of, read_beside
from forecasteval.sources.records import (
    Tally,
    current_records,
    full_values,
    is_report,
    odd_ids,
    segment_columns,
    stage_table,
    stages_of_records,
    tracked_changes,
    without_footer,
)
from forecasteval.sources.stages import Labels, read_renames
from forecasteval.tables.calendar import local_dates, moment, week_ends
from forecasteval.tables.checks import cross_checks, problems_of
from forecasteval.tables.columns import Sheet, eighteen, normal
from forecasteval.tables.organisation import Org, newest_record, with_calendar
from forecasteval.tables.reading import read_sheet
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings, read_settings

NO_PROBABILITY = "The export has no Probability: there is no rep forecast as entered (rep_category may do)."


@dataclass
class Found:
    """The files of an export by what they hold, and the dated copies of Opportunity."""

    files: dict[str, Path] = field(default_factory=dict)
    copies: dict[pd.Timestamp, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Import:
    """One import: every file is read and every problem kept before anything is refused."""

    def __init__(self, folder: Path, found: Found, settings: Settings | None) -> None:
        """Read the settings, and the users whom every other file may name."""
        self.folder = folder
        self.found = found
        self.problems = self.found.problems
        if settings is None:
            settings, problems = read_settings(folder)
            self.problems += problems
        self.settings = settings
        self.notes: list[str] = []
        self.tally = Tally()
        self.outside: pd.DataFrame | None = None
        self.bar = tqdm(desc="Reading the export", unit=" files", disable=None, leave=False)
        self.users: pd.DataFrame | None = None

    def start(self) -> None:
        """Stop where there is nothing about deals; else read the users."""
        if "opportunity" not in self.found.files and not self.found.copies:
            here = ", ".join(sorted(path.name for path in self.folder.iterdir())[:8]) or "nothing"
            advice = "Export the Opportunity object (or a folder of dated copies of it) into this folder."
            raise InputError(
                [*self.problems, Problem(str(self.folder), None, None, here, "Opportunity.csv", advice)]
            )
        self.users = self._users()

    def sheet(self, path: Path, *, of_deals: bool = True) -> Sheet:
        """A file of the export without footer; reports are read in the organisation's zone."""
        sheet, notes = read_sheet(path, str(path.relative_to(self.folder)))
        self.bar.update()
        self.notes += notes
        if sheet.problems:
            return sheet
        if is_report(sheet):
            sheet.zone = self.settings.timezone
        dropped = without_footer(sheet)
        if dropped:
            self.tally.footers += dropped
            rows = f"{dropped} footer row{'s were' if dropped > 1 else ' was'}"
            self.notes.append(f"{sheet.file} is a report: {rows} left out.")
        if of_deals:
            sheet.problems += odd_ids(sheet)
        return sheet

    def _optional(self, kind: str) -> Sheet | None:
        path = self.found.files.get(kind)
        return self.sheet(path, of_deals=kind in ("values", "changes")) if path else None

    def keep(self, sheet: Sheet | None) -> None:
        """Take over what was found wrong in a file."""
        if sheet is not None:
            self.problems += sheet.problems

    def _users(self) -> pd.DataFrame | None:
        sheet = self._optional("users")
        if sheet is None or sheet.problems:
            self.keep(sheet)
            return None
        headers = {normal(str(header)): str(header) for header in sheet.cells.columns}
        if "id" not in headers:
            sheet.wrong(1, "Id", "no such column", "the field Id", "Add the field to the export.")
            self.keep(sheet)
            return None
        if "name" in headers:
            names = sheet.text(headers["name"])
        else:
            blank = pd.Series("", index=sheet.cells.index, dtype="str")
            first, last = (
                sheet.text(headers[part]).fillna("") if part in headers else blank
                for part in ("firstname", "lastname")
            )
            names = (first + " " + last).str.strip().replace("", None)
        users = canonical("users", pd.DataFrame({"rep": eighteen(sheet.text(headers["id"])), "name": names}))
        sheet.problems += problems_of("users", users, sheet.file)
        self.keep(sheet)
        return users

    def id_of_name(self) -> dict[str, str]:
        """The users whose names are unique."""
        if self.users is None:
            return {}
        single = self.users[self.users["name"].notna() & ~self.users["name"].duplicated(keep=False)]
        return dict(zip(single["name"], single["rep"], strict=True))

    def labels(self, current: pd.DataFrame, sheet: Sheet) -> Labels:
        """Stages of OpportunityStage.csv, else as today's records show them."""
        renames_sheet = self._optional("renames")
        renames = read_renames(renames_sheet)
        self.keep(renames_sheet)
        stage_sheet = self._optional("stages")
        if stage_sheet is not None:
            stages, synonyms = stage_table(stage_sheet) if not stage_sheet.problems else (pd.DataFrame(), {})
            self.keep(stage_sheet)
            if len(stages):
                return Labels(stages, renames, self.settings, synonyms)
        else:
            self.notes.append(
                "There is no OpportunityStage.csv: closed and won flags and usual probabilities of the stages "
                "come from today's records."
            )
        return Labels(
            stages_of_records(current, sheet), renames, self.settings, source="today's Opportunity.csv"
        )

    def settle(
        self, current: pd.DataFrame, labels: Labels, sheet: Sheet, seen_at: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """The records with the labels of today and one name for each owner; dated copies give their moment."""
        at = None if seen_at is None else pd.Series(seen_at, index=current.index)
        columns = {normal(str(header)): str(header) for header in sheet.cells.columns}
        stage = next(columns[name] for name in ("stagename", "stage") if name in columns)
        category = next(
            (columns[name] for name in ("forecastcategory", "forecastcategoryname") if name in columns), ""
        )
        words = labels.category(current["rep_category"], at, sheet.file, category, sheet.problems)
        settled = current.assign(rep_category=words)
        settled["stage"] = labels.stage(current["stage"], at, sheet.file, stage, sheet.problems, settled)
        by_name = current["rep_name"].map(self.id_of_name()).astype("str").fillna(current["rep_name"])
        settled["rep"] = current["rep"].fillna(by_name)
        return settled

    def status(self, records: pd.DataFrame, status_of: dict[str, str]) -> pd.Series:
        """Open, won or lost, by the records' own flags or else by their stage."""
        if "is_won" not in records or "is_closed" not in records:
            return records["stage"].map(status_of).fillna("open")
        status = pd.Series("open", index=records.index, dtype="str")
        return status.mask(records["is_closed"], "lost").mask(records["is_won"], "won")

    def deals(self, current: pd.DataFrame, segments: dict[str, pd.Series], labels: Labels) -> pd.DataFrame:
        """Today's records as the deals table."""
        outcome = self.status(current, labels.status_of()).mask(current["is_deleted"], "deleted")
        table = current.assign(
            outcome=outcome,
            created_on=local_dates(current["created_at"], self.settings),
            closed_on=current["close_on"].where(outcome.isin(["won", "lost"])),
            **segments,
        )
        wanted = ["deal_id", "rep", "account", *segments, "created_on", "closed_on", "outcome", "amount"]
        return canonical("deals", table[wanted])

    def check_deals(self, deals: pd.DataFrame, sheet: Sheet) -> None:
        """What is odd about the deals, in the words of the file, unless the file has errors already."""
        if any(problem.severity == "error" for problem in sheet.problems):
            return
        headers = {normal(str(header)): str(header) for header in sheet.cells.columns}
        words = {"closed_on": "closedate", "created_on": "createddate"}
        for problem in problems_of("deals", deals, sheet.file):
            header = headers.get(words.get(str(problem.column), ""), problem.column)
            self.problems.append(replace(problem, column=header))

    def refuse(self) -> None:
        """Stop if anything is wrong."""
        if any(problem.severity == "error" for problem in self.problems):
            raise InputError(self.problems)

    def from_records(self) -> Org:
        """The organisation as its records and their history show it."""
        sheet = self.sheet(self.found.files["opportunity"])
        current = current_records(sheet) if not sheet.problems else pd.DataFrame()
        if current.empty:
            self._read_the_rest_for_its_problems()
            self.keep(sheet)
            self.refuse()
        segments = segment_columns(sheet, self.settings.segments, is_report(sheet))
        labels = self.labels(current, sheet)
        current = self.settle(current, labels, sheet)
        self.keep(sheet)
        values, changes = self._recorded(labels, current)
        deals = self.deals(current, segments, labels)
        self.check_deals(deals, sheet)
        beside = self.beside(deals)
        self.refuse()
        if values is None and changes is None:
            versions = None
            self.notes.append(audits.ONLY_TODAY)
        else:
            if values is None:
                values = pd.DataFrame(
                    {"deal_id": pd.Series(dtype="str"), "at": pd.Series(dtype="datetime64[us]")}
                )
                self.notes.append(
                    "There is no OpportunityHistory.csv: values come from tracked fields alone."
                )
            day = self.settings.owners_tracked_since
            # the end of the day before is the beginning of the day
            since = moment(pd.Timestamp(day) - pd.Timedelta(days=1), self.settings) if day else None
            records = history.Records(current, values, changes, since)
            self.bar.set_description("Rebuilding the past")
            versions = history.build(records, labels.status_of())
            deals = _with_vanished(deals, versions, self.settings)
        org = self.assembled(deals, versions, None, labels, beside)
        facts = audits.Facts(self.tally, labels, values, changes, current, self.outside)
        return replace(org, audit=audits.audit(org, facts))

    def _read_the_rest_for_its_problems(self) -> None:
        for kind in ("values", "changes", "stages", "renames"):
            self.keep(self._optional(kind))

    def _recorded(
        self, labels: Labels, current: pd.DataFrame
    ) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
        values = changes = None
        sheet = self._optional("values")
        if sheet is not None:
            values = full_values(sheet, labels, self.tally) if not sheet.problems else None
            self._warn_if_empty(sheet)
            self.keep(sheet)
        sheet = self._optional("changes")
        if sheet is not None:
            ids = set(current["rep"].dropna()) | (set(self.users["rep"]) if self.users is not None else set())
            ids -= set(self.users["name"].dropna()) if self.users is not None else set()
            if not sheet.problems:
                changes = tracked_changes(sheet, labels, self.tally, ids, self.id_of_name())
            self.keep(sheet)
        versioned = values is not None and "rep" in values
        if not versioned and (changes is None or changes.empty or not (changes["field"] == "rep").any()):
            self.notes.append(
                "No owner changes were exported: today's owner is carried back over the whole past of a deal."
            )
        return values, changes

    def _warn_if_empty(self, sheet: Sheet) -> None:
        if sheet.cells.empty and not sheet.problems:
            advice = "Without its rows only tracked fields tell of the past: export it again."
            sheet.wrong(None, None, "a header and no rows", "the values of the past", advice, "warning")

    def beside(self, deals: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Calendar, calls and forecasts of the export, in the ids of its deals and owners."""
        tables, problems, notes = read_beside(self.folder, self.settings)
        self.notes += notes
        self.outside = tables.get("forecasts")
        files = {"forecasts": "forecasts/", "calls": "calls.csv"}
        self.problems += problems + cross_checks({"deals": deals, **tables}, files)
        return in_terms_of(tables, deals, self.users)

    def assembled(
        self, deals: pd.DataFrame, versions: pd.DataFrame | None, copies: pd.DataFrame | None, labels: Labels,
        beside: dict[str, pd.DataFrame],
    ) -> Org:  # fmt: skip
        """The organisation, with its calendar and weekly snapshots."""
        if versions is not None and versions["rep_probability"].isna().all():
            self.notes.append(NO_PROBABILITY)
        org = Org(
            name=self.settings.name or self.folder.name,
            folder=self.folder,
            settings=self.settings,
            deals=deals.reset_index(drop=True),
            history=versions,
            snapshots=copies,
            forecasts=beside.get("forecasts"),
            calls=beside.get("calls"),
            stages=canonical("stages", labels.stages),
            users=self.users.reset_index(drop=True) if self.users is not None else None,
            notes=self.notes,
            warnings=self.problems,
        )
        org = with_calendar(org, beside.get("periods"))
        if versions is not None and copies is None and org.periods is not None:
            org = replace(org, snapshots=weekly(org))
        return org


def weekly(org: Org) -> pd.DataFrame:
    """The open deals at the end of every week of the calendar, from the first version to the newest record."""
    assert org.history is not None
    assert org.periods is not None
    days = week_ends(org.periods)["ends_on"]
    newest = newest_record(org)
    first = org.history["valid_from"].min().floor("D")
    return history.states(org.history, days[(days >= first) & (days <= newest)], org.settings, open_only=True)


def _with_vanished(deals: pd.DataFrame, versions: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Deals that the history knows and today's table does not: deleted since."""
    gone = versions[~versions["deal_id"].isin(deals["deal_id"])]
    if gone.empty:
        return deals
    first = gone.drop_duplicates("deal_id")
    last = gone.drop_duplicates("deal_id", keep="last")
    vanished = pd.DataFrame(
        {
            "deal_id": last["deal_id"].to_numpy(),
            "rep": last["rep"].to_numpy(),
            "created_on": local_dates(first["valid_from"], settings).to_numpy(),
            "outcome": "deleted",
            "amount": last["amount"].to_numpy(),
        }
    )
    return canonical("deals", pd.concat([deals, canonical("deals", vanished)], ignore_index=True))
