"""Raw: the tables as a source gave them; and the one way from there to an organisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from forecasteval.errors import InputError, Problem
from forecasteval.sources import history
from forecasteval.sources._audit import Facts, audit
from forecasteval.sources._cut_files import between_files
from forecasteval.sources.dialect import Dialect
from forecasteval.tables import calendar
from forecasteval.tables.coded import codes_in
from forecasteval.tables.columns import Sheet
from forecasteval.tables.memory import give_back
from forecasteval.tables.organisation import Org, newest_record, of_the_future, with_calendar
from forecasteval.tables.reading import read_sheet
from forecasteval.tables.schemas import TABLES, canonical
from forecasteval.tables.settings import Settings
from forecasteval.tables.tidy_table import cross_checks

_FILES = {
    "forecasts": "forecasts/",
    "calls": "calls.csv",
    "actuals": "actuals.csv",
    "periods": "calendar.csv",
    "outcomes": "outcomes.csv",
    "activity": "activity.csv",
}


@dataclass
class Raw:
    """The tables of one organisation as they were found, with everything that was said about them.

    ``tables`` are those that a source vouches for (an export's own, or what was stored); ``given`` those that
    a person wrote, whose rows are numbered as in the spreadsheet: they are checked against the others.
    """

    name: str
    folder: Path | None
    settings: Settings
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    given: dict[str, pd.DataFrame] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=lambda: dict(_FILES))  # how problems call the tables given
    matched: pd.DataFrame | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    audit: pd.DataFrame | None = None
    facts: Facts | None = None  # what an export says of the past
    dialect: Dialect | None = None
    sources: dict[str, int] = field(default_factory=dict)  # rows of each file that was read
    canonical_id: Callable[[pd.Series], pd.Series] = pd.Series.copy  # one spelling for each id

    @classmethod
    def of(cls, org: Org) -> Raw:
        """What is known of an organisation already."""
        tables = {name: table for name in TABLES if (table := getattr(org, name)) is not None}
        return cls(
            org.name, org.folder, org.settings, tables, matched=org.matched, problems=list(org.warnings),
            notes=list(org.notes), audit=org.audit, sources=dict(org.sources),
        )  # fmt: skip

    def sheet(self, path: Path, name: str = "", **how: Any) -> Sheet:
        """A file of the organisation, read as its settings state; what is assumed of it goes to the notes."""
        assert self.folder is not None
        sheet, notes = read_sheet(path, name or str(path.relative_to(self.folder)), **how)
        self.notes += notes
        settings = self.settings
        sheet.days_in, sheet.rates = settings.days_in, settings.currency_rates or {}
        sheet.decimal, sheet.notes = settings.decimal_mark or sheet.decimal, self.notes
        return sheet

    def id_of_name(self) -> dict[str, str]:
        """The users whose names are unique."""
        users = self.tables.get("users")
        if users is None:
            return {}
        single = users[users["name"].notna() & ~users["name"].duplicated(keep=False)]
        return dict(zip(single["name"], single["rep"], strict=True))

    def refuse(self) -> None:
        """Stop if anything is wrong."""
        if any(problem.severity == "error" for problem in self.problems):
            raise InputError(self.problems)


def assemble(raw: Raw) -> Org:
    """The organisation: checked as a whole, in one set of ids, with its past, calendar and weekly snapshots.

    Raises
    ------
    InputError
        Lists everything that is wrong, whichever file it stands in.
    """
    said: dict[str, Any] = {"audit": raw.audit, "notes": raw.notes, "warnings": raw.problems}
    said["sources"] = raw.sources
    if raw.matched is not None:
        raw.refuse()
        said |= {name: raw.given.get(name) for name in ("calls", "actuals", "outcomes", "activity")}
        return Org(raw.name, raw.folder, raw.settings, matched=raw.matched, **said)
    given = _with_known_ids(raw)
    own = {name: raw.tables.get(name) for name in ("deals", "periods")}
    raw.problems += cross_checks(own | given, raw.files)
    raw.refuse()  # labels that nobody explains would look like files that differ
    if raw.facts is not None and raw.facts.recorded:
        raw.problems += between_files(raw.facts, allowed=raw.settings.allow_cut)
    raw.refuse()
    tables, outside = _joined(raw, given)
    tables = _with_past(raw, tables)
    org = with_calendar(Org(raw.name, raw.folder, raw.settings, **said, **tables))
    said_before = set(map(str, org.warnings))
    org.warnings.extend(problem for problem in of_the_future(org) if str(problem) not in said_before)
    if org.history is not None and org.snapshots is None and org.periods is not None:
        org = replace(org, snapshots=_weekly(org))
    if raw.facts is None:
        return org
    found = audit(org, raw.facts, outside)
    return replace(
        org, audit=found if raw.audit is None else pd.concat([raw.audit, found], ignore_index=True)
    )


def _with_known_ids(raw: Raw) -> dict[str, pd.DataFrame]:
    """The tables given, with the ids of their deals and owners as the other tables spell them."""
    given = dict(raw.given)
    deals = given.get("deals", raw.tables.get("deals"))
    if "forecasts" in given and deals is not None:
        ids = given["forecasts"]["deal_id"]
        other = raw.canonical_id(ids)
        told = ids.mask(~ids.isin(deals["deal_id"]) & other.isin(deals["deal_id"]), other)
        given["forecasts"] = given["forecasts"].assign(deal_id=told)
    for name in ("calls", "actuals"):
        if name in given:
            table = given[name]
            ids = table["unit_id"].map(raw.id_of_name()).astype("str").where(table["unit"] == "rep")
            given[name] = table.assign(unit_id=ids.fillna(table["unit_id"]))
    return given


def _joined(raw: Raw, given: dict[str, pd.DataFrame]) -> tuple[dict[str, Any], pd.Series | None]:
    """All tables in one, and the ids of the deals that forecast files speak of, known or not."""
    tables: dict[str, Any] = dict(raw.tables)
    outside = None
    for name, table in given.items():
        if name == "forecasts":
            outside = table["deal_id"]
            deals = given.get("deals", raw.tables.get("deals"))
            table = table[outside.isin(deals["deal_id"])] if deals is not None else table
        elif name == "periods":
            table = calendar.complete(table, raw.settings.grace_business_days)
        if name in ("forecasts", "calls", "actuals") and name in tables:
            table = pd.concat([tables[name], table])
        tables[name] = table.reset_index(drop=True)
    return tables, outside


def _with_past(raw: Raw, tables: dict[str, Any]) -> dict[str, Any]:
    """The versions of every deal, from whatever tells of the past: a history, or dated copies."""
    facts = raw.facts
    if "history" in tables:
        return tables
    if "snapshots" in tables:
        copies, versions = history.from_snapshots(tables["snapshots"], raw.settings)
        tables = {**tables, "snapshots": copies, "history": versions}
    elif facts is not None and facts.recorded:
        with tqdm(desc="Rebuilding the past", disable=None, leave=False):
            own_status = facts.dialect.own_status
            give_back()
            records = history.Records(
                facts.current, facts.full, facts.changes, facts.owners_since, own_status
            )
            versions = history.build(records, facts.labels.status_of())
            if own_status:
                versions = _with_undone_closes(versions, raw.settings)
        deals = _with_vanished(tables["deals"], versions, raw.settings)
        tables = {**tables, "deals": deals, "history": versions}
        give_back()
    if raw.dialect is not None and "history" in tables and tables["history"]["rep_probability"].isna().all():
        field_name = raw.dialect.field_name("probability")
        raw.notes.append(
            f"The export has no {field_name}: there is no rep forecast as entered (rep_category may do)."
        )
    return tables


def _with_undone_closes(versions: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """A close that was undone later was of the day on which it was recorded; the record keeps the last close alone."""
    closed = versions["status"].isin(["won", "lost"])
    turns = (versions["deal_id"] != versions["deal_id"].shift()) | (closed != closed.shift())
    spell = turns.cumsum()
    undone = closed & ~spell.isin(spell.groupby(versions["deal_id"]).max())
    day = calendar.local_dates(versions.groupby(spell)["valid_from"].transform("first"), settings)
    return versions.assign(close_on=versions["close_on"].mask(undone, day))


def _with_vanished(deals: pd.DataFrame, versions: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Deals that the history knows and today's table does not: deleted since."""
    gone = versions[codes_in(versions["deal_id"], pd.Index(deals["deal_id"].unique())) < 0]
    if gone.empty:
        return deals
    first = gone.drop_duplicates("deal_id").reset_index(drop=True)
    last = gone.drop_duplicates("deal_id", keep="last").reset_index(drop=True)
    vanished = (
        last[["deal_id", "rep", "amount"]]
        .astype({"deal_id": "str", "rep": "str"})
        .assign(created_on=calendar.local_dates(first["valid_from"], settings), outcome="deleted")
    )
    return canonical("deals", pd.concat([deals, canonical("deals", vanished)], ignore_index=True))


def _weekly(org: Org) -> pd.DataFrame:
    """The open deals at the end of every week of the calendar, from the first version to the newest record."""
    assert org.history is not None
    assert org.periods is not None
    days = calendar.week_ends(org.periods)["ends_on"]
    first, newest = org.history["valid_from"].min().floor("D"), newest_record(org)
    days = days[(days >= first) & (days <= newest)]
    return history.states(org.history, days, org.settings, open_only=True, by_words=False)
