"""A CRM's files as tidy records: today's record, full values, tracked changes, and what may be a segment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import nearest
from forecasteval.sources._daily_history import LOST
from forecasteval.sources._draft_words import named as named_as
from forecasteval.sources._stages import Labels
from forecasteval.sources.dialect import Dialect, Fields
from forecasteval.tables.coded import coded
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.not_data import drop_copies
from forecasteval.tables.schemas import RESERVED, TABLES

_FEW = 30  # values of a segment
_ENDLESS = 2050  # an end in this year or later stands for "still valid"
_TIDY = {"amount": "amount", "close_on": "close_on", "probability": "rep_probability"}
_DTYPES = {
    "rep": "str", "rep_name": "str", "account": "str", "category": "str", "amount": "float64",
    "probability": "float64", "created_at": "datetime64[us]", "is_deleted": "bool", "stage": "str",
}  # fmt: skip


@dataclass
class Tally:
    """Counts that only the reading of the files can know, for the audit."""

    ties: int = 0  # statements that share deal, field group and second with another one
    statements: int = 0
    names_only: int = 0  # owner changes that gave names and no ids
    footers: int = 0  # rows of a report that were not data


def current_records(dialect: Dialect, sheet: Sheet) -> pd.DataFrame:
    """Today's record of every deal, labels still as written; indexed by spreadsheet row."""
    fields = Fields(dialect, sheet, dialect.required)
    if fields.complete and sheet.cells.empty:
        sheet.wrong(None, None, "a header and no rows", f"one row per {dialect.record}", "Export it again.")
    if sheet.problems:
        return pd.DataFrame()
    drop_copies(sheet, fields.header["deal_id"])
    rates, sheet.rates = sheet.rates, sheet.rates if "currency" not in fields else {}
    table = pd.DataFrame(
        fields.taken(
            "deal_id", "account", "rep", "rep_name", "stage", "amount", "close_on", "probability", "category",
            "created_at", "is_closed", "is_won", "is_lost", "is_deleted", "currency", "status", "closed_on",
            "closed_at", "lost_at", "booked",
        )
    )  # fmt: skip
    if "currency" in fields:
        # a deleted deal may have been of a currency that is not used any more
        deleted = table.get("is_deleted", pd.Series(False, table.index)) & (not rates)
        table = _in_one_currency(fields, table, rates, table["currency"].mask(deleted))
    table = _with_outcome(fields, table)
    for name in (name for name in _DTYPES if name not in table):
        table[name] = pd.Series(False if name == "is_deleted" else None, table.index, dtype=_DTYPES[name])
    header, ids = fields.header["deal_id"], table["deal_id"]
    sheet.pin(header, ids[ids.isna()], f"the {dialect.record}'s id", "Export it again.")
    again = ids[ids.notna() & ids.duplicated()]
    advice = "Remove the duplicate; dated copies go into files with a date in their name."
    sheet.pin(header, again, f"each {dialect.record} once", advice, found="{} again")
    return table.rename(columns={"probability": "rep_probability", "category": "rep_category"})


def _with_outcome(fields: Fields, table: pd.DataFrame) -> pd.DataFrame:
    """The records with the flags that their words of outcome mean, and with what was booked in the end."""
    dialect = fields.dialect
    if "status" in table:
        said = dialect.status(table["status"])
        odd = table["status"][table["status"].notna() & said.isna()]
        expected = f"one of {', '.join(sorted(set(dialect.status_words)))}"
        fields.sheet.pin(fields.header["status"], odd, expected, "Correct the cell.")
        deleted = said.eq("deleted") | table.get("is_deleted", False)
        table = table.assign(**dialect.flags(table["status"]), is_deleted=deleted)
    elif "is_lost" in table and "is_won" in table:
        table["is_closed"] = table.get("is_closed", False) | table["is_won"] | table["is_lost"]
    closed_on = table.get("closed_on", table.get("closed_at"))
    if "lost_at" in table:
        closed_on = table["lost_at"] if closed_on is None else closed_on.fillna(table["lost_at"])
    if "is_closed" not in table or (closed_on is None and "booked" not in table):
        return table
    table["expected_on"], table["expected"] = table["close_on"], table.get("amount")
    if closed_on is not None:
        table["close_on"] = closed_on.where(table["is_closed"]).fillna(table["close_on"])
    if "booked" in table:
        table["amount"] = table["booked"].where(table["is_closed"]).fillna(table["amount"])
    return table


def _in_one_currency(
    fields: Fields, table: pd.DataFrame, rates: Mapping[str, float], currency: pd.Series
) -> pd.DataFrame:
    """Amounts whose currency stands beside them in the one of the rates; several are refused without."""
    sheet = replace(fields.sheet, rates=rates)
    for name in table.columns.intersection(["amount", "booked"]):
        table[name] = sheet.converted(fields.header[name], table[name], currency)
    return table


def by_currency_of_deal(
    table: pd.DataFrame, current: pd.DataFrame, rates: Mapping[str, float] | None
) -> pd.DataFrame:
    """Amounts of the past beside which no currency stands, by that of today's record."""
    if not rates or "currency" not in current or table.empty:
        return table
    worth = current.set_index("deal_id")["currency"].map(rates)
    if "field" not in table:
        return table.assign(amount=table["amount"] * table["deal_id"].astype("str").map(worth).astype(float))
    rows = table["field"].eq("amount")
    factor = table.loc[rows, "deal_id"].map(worth).astype(float)
    for side in ("old", "new"):
        table.loc[rows, side] = (table.loc[rows, side].astype(float) * factor).astype(object)
    return table


def segment_columns(
    dialect: Dialect, sheet: Sheet, chosen: tuple[str, ...], also: str | None = None
) -> dict[str, pd.Series]:
    """The columns that become segments, by their tidy names.

    The organisation's own fields (``Region__c`` -> ``region``) of few values and some standard ones; with
    ``chosen``, those and nothing else, but for the one that is asked for ``also``.
    """
    named = {
        _segment_name(dialect, str(header)): str(header) for header in reversed(list(sheet.cells.columns))
    }
    asked = _chosen_segments(sheet, named, chosen if also is None else (*chosen, also))
    if chosen:
        return asked
    used = {normal(name) for spellings in dialect.fields.values() for name in spellings}
    used |= {normal(header) for header in dialect.headers_of("deals", map(str, sheet.cells)).values()}
    report = dialect.is_report(sheet)
    segments = {}
    for name, header in reversed(named.items()):
        custom = re.search(dialect.custom_field, header) is not None
        standard = normal(header) in dialect.segments
        label = report and normal(header) not in used and not re.search(r"date|name|id$", header.lower())
        if (custom or standard or label) and not named_as(header, "reason"):  # written after the close
            values = sheet.text(header)
            if 1 < values.nunique() <= _FEW or (standard and values.notna().any()):
                segments[name] = values
    return segments | asked


def _chosen_segments(sheet: Sheet, named: Mapping[str, str], chosen: tuple[str, ...]) -> dict[str, pd.Series]:
    by_normal = {normal(name): (name, header) for name, header in named.items()}
    by_normal |= {normal(header): (name, header) for name, header in named.items()}
    for wanted in chosen:
        if normal(wanted) not in by_normal:
            advice = f"{nearest(wanted, list(named))}Add the field to the export or correct segments."
            sheet.wrong(1, wanted, "no such column", "the segment that organisation.yaml names", advice)
    picked = [by_normal[normal(wanted)] for wanted in chosen if normal(wanted) in by_normal]
    return {name: sheet.text(header) for name, header in picked}


def _segment_name(dialect: Dialect, header: str) -> str:
    """A header as a snake_case segment name that no other column of the tables has."""
    bare = re.sub(dialect.custom_field, "", header.strip())
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return f"{name}_segment" if name in (*RESERVED, *TABLES["deals"]) else name


def full_values(dialect: Dialect, sheet: Sheet, labels: Labels, tally: Tally) -> pd.DataFrame:
    """A history of values (or a pipeline's versioned copy of the deals) as statements of full values."""
    spelled = dialect.fields_of("values")
    fields = Fields(dialect, sheet, ("deal_id", "stage", "close_on", "created_at"), spelled)
    if not fields.complete:
        return pd.DataFrame()
    versioned = "from" in fields
    moment = "from" if versioned else "created_at"
    table = pd.DataFrame({"deal_id": coded(fields.take("deal_id")), "at": fields.take(moment)})
    names = _TIDY | ({"rep": "rep"} if versioned else {})
    rates, sheet.rates = sheet.rates, sheet.rates if "currency" not in fields else {}
    for meaning, values in fields.taken(*names).items():
        table[names[meaning]] = values
    header, at = fields.header, table["at"]
    if "category" in fields:
        table["rep_category"] = labels.category(sheet, header["category"], fields.take("category"), at)
    table["stage"] = labels.stage(sheet, header["stage"], fields.take("stage"), at, table)
    if LOST in sheet.cells:
        table["lost"] = sheet.cells[LOST].eq("True")
        table.loc[table["lost"], [c for c in table if c not in ("deal_id", "at", "lost")]] = None
    if versioned and "to" in fields:
        ends = fields.take("to")
        table["ends"] = ends.mask(ends.dt.year >= _ENDLESS)
    for name, meaning in (("deal_id", "deal_id"), ("at", moment)):
        missing = table.loc[table[name].isna(), name]
        sheet.pin(header[meaning], missing, "a value in every row", "Export the row again.")
    if "currency" in fields:
        table = _in_one_currency(fields, table, rates, fields.take("currency"))
    table["row_id"] = fields.take("row_id") if "row_id" in fields and not versioned else ""
    return _ordered(table, ["deal_id", "at"], tally)


def _ordered(table: pd.DataFrame, key: list[str], tally: Tally) -> pd.DataFrame:
    """By deal and second; ties by the row's own id, then as they stand in the file."""
    ranks = [_rank(table[column]) for column in key]
    order = np.lexsort(ranks[::-1])
    again = np.logical_and.reduce([np.diff(rank[order]) == 0 for rank in ranks])
    tied = np.append(again, False)[: len(order)] | np.append(False, again)[: len(order)]
    if tied.any():
        rows = table.iloc[order[tied]].assign(place=order[tied])
        order[tied] = rows.sort_values([*key, "row_id"], kind="stable")["place"]
    tally.statements += len(table)
    tally.ties += int(tied.sum())
    return table.drop(columns="row_id").iloc[order]


def _rank(column: pd.Series) -> NDArray[Any]:
    """Numbers that are ordered as the cells are."""
    if column.dtype.kind == "M":
        return column.to_numpy("datetime64[us]").view("int64")
    return coded(column).cat.codes.to_numpy()


def tracked_changes(
    dialect: Dialect, sheet: Sheet, labels: Labels, tally: Tally, ids: set[str], id_of_name: Mapping[str, str]
) -> pd.DataFrame:
    """A history of fields as statements ``deal_id, at, field, old, new`` in tidy units.

    An owner change may write a row of names and a row of ids within one second: the ids are used, names only
    where there are no ids. ``ids`` are the owners seen elsewhere in the export, ``id_of_name`` the users
    whose names are unique.
    """
    spelled = dialect.fields_of("changes")
    fields = Fields(dialect, sheet, ("deal_id", "created_at", "field", "new"), spelled)
    if not fields.complete:
        return pd.DataFrame()
    names = fields.take("field").str.lower().str.replace(r"[^a-z]", "", regex=True).map(dialect.tracked)
    kept = names.notna()
    sheet = replace(sheet, cells=sheet.cells[kept])
    fields = Fields(dialect, sheet, (), spelled)
    sides = {side: fields.header[side] for side in ("old", "new") if side in fields}
    if len(sheet.cells) and sheet.cells[list(sides.values())].isna().all(axis=None):
        advice = "The tool that copied it left them out: export the history from the CRM itself."
        sheet.wrong(None, sides["new"], "no value in any row", "the values of the fields", advice)
    table = pd.DataFrame(
        {
            # the file's own id is the row's, never the deal's
            "deal_id": fields.take("deal_id"),
            "at": fields.take("created_at"),
            "field": names[kept],
            "old": None,
            **{side: sheet.text(header).astype(object) for side, header in sides.items()},
            "silent": "old" not in sides,
            "row_id": fields.take("row_id") if "row_id" in fields else "",
        }
    )
    for side, header in sides.items():
        for name in table["field"].unique():
            rows = table.index[table["field"] == name]
            if name != "rep":
                part = sheet.part(sheet.cells.loc[rows, header])
                values = _tidy(dialect, name, part, header, labels, table["at"][rows])
                table.loc[rows, side] = values.astype(object)
    is_owner = table["field"] == "rep"
    owners = _owner_changes(dialect, table[is_owner], tally, ids, id_of_name)
    return _ordered(pd.concat([owners, table[~is_owner]]), ["deal_id", "at", "field"], tally)


def with_closing(changes: pd.DataFrame, current: pd.DataFrame, decides: str) -> pd.DataFrame:
    """The changes, and those that a CRM makes by closing a deal in fields that it keeps apart.

    What was expected stays on record beside what came true: the day and the amount of the close are stated when
    the field that decides (stage or status) last changed.
    """
    if "expected_on" not in current or changes.empty:
        return changes
    last = (
        changes[changes["field"] == decides]
        .drop_duplicates("deal_id", keep="last")
        .set_index("deal_id")["at"]
    )
    closed = current[current["is_closed"]].drop_duplicates("deal_id", keep="last")
    closed = closed.assign(at=closed["deal_id"].map(last)).dropna(subset="at")
    parts = [changes]
    for field, before in (("close_on", "expected_on"), ("amount", "expected")):
        rows = closed[closed[field].notna() & closed[field].ne(closed[before])]
        since = changes.loc[changes["field"] == field, "at"].min()
        tracked = rows["created_at"].ge(since) & (not changes["silent"].any())
        part = rows[["deal_id", "at"]].assign(field=field, old=rows[before], new=rows[field], silent=~tracked)
        parts.append(part.astype({"old": object, "new": object}))
    return pd.concat(parts).sort_values(["deal_id", "at", "field"], kind="stable")


def _tidy(dialect: Dialect, name: str, sheet: Sheet, header: str, labels: Labels, at: pd.Series) -> pd.Series:
    if name == "stage":
        return labels.stage(sheet, header, sheet.text(header), at)
    if name == "rep_category":
        return labels.category(sheet, header, sheet.text(header), at)
    if name == "status":
        return dialect.status(sheet.text(header)).replace("deleted", "lost")
    return dialect.read(sheet, header, name)


def _owner_changes(
    dialect: Dialect, rows: pd.DataFrame, tally: Tally, ids: set[str], id_of_name: Mapping[str, str]
) -> pd.DataFrame:
    words = pd.Series(pd.concat([rows["old"], rows["new"]]).dropna().unique(), dtype="str")
    is_known = words.str.fullmatch(dialect.owner_shape) | dialect.canonical_id(words).isin(ids)
    known = set(words[is_known])
    is_id = rows[["old", "new"]].isin(known).any(axis=1)
    seconds = pd.MultiIndex.from_frame(rows[["deal_id", "at"]])
    doubled = ~is_id & seconds.isin(seconds[is_id])
    tally.names_only += int((~is_id & ~doubled).sum())
    kept = rows[~doubled].copy()
    for side in ("old", "new"):
        values = kept[side].astype("str")
        named = values.map(id_of_name).astype("str").fillna(values)
        kept[side] = dialect.canonical_id(values).where(values.isin(known), named).astype(object)
    return kept
