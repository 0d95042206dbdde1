"""A folder of dated copies of Opportunity.csv as a source of the past."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources import audit as audits
from forecasteval.sources.audit import Row
from forecasteval.sources.history import FIELDS, from_snapshots
from forecasteval.sources.records import current_records, is_report, segment_columns
from forecasteval.sources.stages import Labels
from forecasteval.tables.calendar import moment
from forecasteval.tables.columns import Sheet
from forecasteval.tables.schemas import canonical

if TYPE_CHECKING:
    from forecasteval.sources.importing import Import
    from forecasteval.tables.organisation import Org

WEEK = 7


def import_copies(run: Import, copies: dict[pd.Timestamp, Path]) -> Org:
    """The organisation as a series of dated copies shows it.

    Every copy gives the state of all its deals at the end of its day, owner included. The deals table holds
    the last sight of each deal; one that was open when it was last seen and is missing from the newest copy
    is deleted.

    Parameters
    ----------
    run : the import that found the copies
    copies : the files by day

    Returns
    -------
    Org
    """
    newest = max(copies)
    sheets = {day: run.sheet(path) for day, path in sorted(copies.items())}
    run.bar.set_description("Rebuilding the past")
    seen, segments, labels = _sightings(run, sheets)
    run.problems += _no_closed_deals(seen, sheets[newest].file)
    snapshots, versions = from_snapshots(_states(seen), run.settings)

    last = seen.drop_duplicates("deal_id", keep="last").reset_index(drop=True)
    vanished = (last["as_of"] < newest) & last["status"].eq("open")
    gone = last.assign(is_deleted=last["is_deleted"] | vanished)
    deals = run.deals(gone, {name: last[name] for name in segments}, labels)
    today = last["as_of"] == newest
    run.check_deals(deals[today].set_axis(last.loc[today, "row"]), sheets[newest])
    beside = run.beside(deals)
    run.refuse()

    days = sorted(copies)
    run.notes.append(
        f"The past comes from {len(days)} dated copies, {days[0]:%Y-%m-%d} to {newest:%Y-%m-%d}."
    )
    if "opportunity" in run.found.files:
        name = run.found.files["opportunity"].name
        run.notes.append(
            f"{name} has no date in its name and was left out; the newest copy stands for today."
        )
    org = run.assembled(deals, versions, canonical("snapshots", snapshots), labels, beside)
    facts = audits.Facts(run.tally, labels, None, None, last, run.outside)
    own_rows = audits.table([*_gaps(days), *_comings_and_goings(seen, vanished, days), *_backdated(seen)])
    return replace(org, audit=pd.concat([own_rows, audits.audit(org, facts)], ignore_index=True))


def _sightings(run: Import, sheets: dict[pd.Timestamp, Sheet]) -> tuple[pd.DataFrame, list[str], Labels]:
    """Every deal in every copy, the names of the segments, and the labels; refuses what is wrong."""
    newest = max(sheets)
    records = {day: current_records(sheet) for day, sheet in sheets.items() if not sheet.problems}
    records = {day: table for day, table in records.items() if len(table)}
    everything = pd.concat(records.values()) if records else pd.DataFrame(columns=["stage"])
    labels = run.labels(everything, sheets[newest])
    parts, segments = [], []
    for day, table in records.items():
        chosen = run.settings.segments if day == newest else ()
        own = segment_columns(sheets[day], chosen, is_report(sheets[day]))
        settled = run.settle(table, labels, sheets[day], moment(day, run.settings))
        status = run.status(settled, labels.status_of())
        parts.append(settled.assign(as_of=day, status=status, row=table.index, **own))
        segments += list(own)
    for sheet in sheets.values():
        run.keep(sheet)
    run.refuse()
    return pd.concat(parts, ignore_index=True), list(dict.fromkeys(segments)), labels


def _states(seen: pd.DataFrame) -> pd.DataFrame:
    """What each copy says of its deals: all of it is known, the owner where one is given."""
    present = seen[~seen["is_deleted"]]
    owner = pd.Series("known", index=present.index).mask(present["rep"].isna(), "unknown")
    return present[["deal_id", "as_of", *FIELDS, "status"]].assign(values_state="known", rep_state=owner)


def _no_closed_deals(seen: pd.DataFrame, file: str) -> list[Problem]:
    if seen["status"].ne("open").any():
        return []
    return [
        Problem(
            file,
            None,
            "StageName",
            "no closed deal in any copy",
            "won and lost deals among the rows",
            "Without them no outcome is known: keep copies of all opportunities, not of the open ones alone.",
            "warning",
        )
    ]


def _gaps(days: Iterable[pd.Timestamp]) -> list[Row]:
    ordered = np.sort(np.array([day.to_datetime64() for day in days]).astype("datetime64[D]"))
    between = np.diff(ordered).astype(int)
    missing = int(np.maximum(-(-between // WEEK) - 1, 0).sum())
    weeks = int(between.sum() // WEEK) + 1
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
