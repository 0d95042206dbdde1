"""A folder of dated copies of a CRM's deals as a source of the past."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources.audit import Facts, Row, table
from forecasteval.sources.by_hand import lay_beside
from forecasteval.sources.dialect import Dialect
from forecasteval.sources.export import Export
from forecasteval.sources.history import FIELDS
from forecasteval.sources.raw import Raw
from forecasteval.sources.records import current_records, segment_columns
from forecasteval.sources.stages import Labels
from forecasteval.tables.calendar import moment
from forecasteval.tables.columns import Sheet

_WEEK = 7


def read_copies(export: Export) -> Raw:
    """The deals as a series of dated copies shows them.

    Every copy gives the state of all its deals at the end of its day, owner included. The deals table holds
    the last sight of each deal; one that was open when it was last seen and is missing from the newest copy
    is deleted.
    """
    raw, files = export.raw, export.files
    newest = max(files.copies)
    sheets = {day: export.sheet(path) for day, path in sorted(files.copies.items())}
    seen, segments, labels = _sightings(export, sheets)
    if not seen["status"].ne("open").any():
        raw.problems.append(_no_closed_deals(sheets[newest].file, export.dialect))
    last = seen.drop_duplicates("deal_id", keep="last").reset_index(drop=True)
    vanished = (last["as_of"] < newest) & last["status"].eq("open")
    gone = last.assign(is_deleted=last["is_deleted"] | vanished)
    deals = export.deals(gone, {name: last[name] for name in segments}, labels)
    today = last["as_of"] == newest
    export.check_deals(deals[today].set_axis(last.loc[today, "row"]), sheets[newest])
    lay_beside(raw, raw.folder)

    days = sorted(files.copies)
    raw.notes.append(
        f"The past comes from {len(days)} dated copies, {days[0]:%Y-%m-%d} to {newest:%Y-%m-%d}."
    )
    if "deals" in files.by_kind:
        name = files.by_kind["deals"].name
        raw.notes.append(
            f"{name} has no date in its name and was left out; the newest copy stands for today."
        )
    raw.tables |= {"deals": deals, "snapshots": _states(seen), "stages": labels.table()}
    raw.audit = table([*_gaps(days), *_comings_and_goings(seen, vanished, days), *_backdated(seen)])
    raw.facts = Facts(export.dialect, export.tally, labels, last)
    return raw


def _sightings(export: Export, sheets: dict[pd.Timestamp, Sheet]) -> tuple[pd.DataFrame, list[str], Labels]:
    """Every deal in every copy, the names of the segments, and the labels; refuses what is wrong."""
    newest = max(sheets)
    records = {
        day: current_records(export.dialect, sheet) for day, sheet in sheets.items() if not sheet.problems
    }
    records = {day: rows for day, rows in records.items() if len(rows)}
    everything = pd.concat(records.values()) if records else pd.DataFrame(columns=["stage"])
    labels = export.labels(everything, sheets[newest])
    parts, segments = [], []
    for day, rows in records.items():
        chosen = export.settings.segments if day == newest else ()
        own = segment_columns(export.dialect, sheets[day], chosen)
        settled = export.settle(rows, labels, sheets[day], moment(day, export.settings))
        status = export.status(settled, labels)
        parts.append(settled.assign(as_of=day, status=status, row=rows.index, **own))
        segments += list(own)
    export.keep(*sheets.values())
    export.raw.refuse()
    return pd.concat(parts, ignore_index=True), list(dict.fromkeys(segments)), labels


def _states(seen: pd.DataFrame) -> pd.DataFrame:
    """What each copy says of its deals: all of it is known, the owner where one is given."""
    present = seen[~seen["is_deleted"]]
    owner = pd.Series("known", index=present.index).mask(present["rep"].isna(), "unknown")
    return present[["deal_id", "as_of", *FIELDS, "status"]].assign(values_state="known", rep_state=owner)


def _no_closed_deals(file: str, dialect: Dialect) -> Problem:
    expected = "won and lost deals among the rows"
    advice = (
        f"Without them no outcome is known: keep copies of all {dialect.records}, not of the open ones alone."
    )
    column, found = dialect.field_name("stage"), "no closed deal in any copy"
    return Problem(file, None, column, found, expected, advice, "warning")


def _gaps(days: Iterable[pd.Timestamp]) -> list[Row]:
    ordered = np.sort(np.array([day.to_datetime64() for day in days]).astype("datetime64[D]"))
    between = np.diff(ordered).astype(int)
    missing = int(np.maximum(-(-between // _WEEK) - 1, 0).sum())
    weeks = int(between.sum() // _WEEK) + 1
    text = "Weeks of which no copy was kept; the state is unknown once the copy before is too old."
    return [("weeks without a copy", missing, weeks, text)]


def _comings_and_goings(seen: pd.DataFrame, vanished: pd.Series, days: list[pd.Timestamp]) -> list[Row]:
    position = seen["as_of"].map({day: number for number, day in enumerate(days)})
    before = position.groupby(seen["deal_id"]).shift()
    returned = seen.loc[before.notna() & (position - before > 1), "deal_id"].nunique()
    deals = seen["deal_id"].nunique()
    left = "Deals seen open in an earlier copy and missing from the newest; their outcome is deleted."
    back = "Deals missing from a copy and present in a later one; in between open ones do not exist."
    return [
        ("deals that vanished", int(vanished.sum()), deals, left),
        ("deals that came back", int(returned), deals, back),
    ]


def _backdated(seen: pd.DataFrame) -> list[Row]:
    """Wins dated before a day on which a copy still showed the deal open."""
    last_open = seen[seen["status"] == "open"].groupby("deal_id")["as_of"].max()
    won = seen[seen["status"] == "won"].drop_duplicates("deal_id", keep="last").set_index("deal_id")
    shown_open = last_open.reindex(won.index)
    early = int((won["close_on"] < shown_open).sum())
    text = "Won deals whose close date lies before a day on which a copy still shows them open."
    return [("backdated closes", early, int(shown_open.notna().sum()), text)]
