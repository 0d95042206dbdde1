"""Dated copies of a CRM's deals: what a series of them says of the past, and what it cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources._audit import Row, table
from forecasteval.sources._daily_history import DAYS
from forecasteval.sources._export_files import Files
from forecasteval.sources.dialect import Dialect
from forecasteval.sources.history import FIELDS
from forecasteval.tables.columns import Sheet, normal

_WEEK = 7
_DAYS = (*DAYS, "copied_on", "snapshot_on", "snapshot", "as_of", "report_date", "export_date", "week_ending")


def by_day(dialect: Dialect, sheet: Sheet) -> dict[Any, Sheet]:
    """The copies that stand below each other in one table, by their day; none where each deal stands there once."""
    headers = sheet.headers()
    day = next((headers[normal(name)] for name in _DAYS if normal(name) in headers), None)
    ids = dialect.headers_of("deals", map(str, sheet.cells)).get("deal_id")
    if day is None or ids is None or sheet.problems or not sheet.cells[ids].duplicated().any():
        return {}
    days = sheet.dates(day)
    sheet.pin(day, sheet.text(day)[days.isna()], "the day of the copy", "Fill the cell.")
    return {
        key: replace(sheet, cells=sheet.cells.loc[part.index].drop(columns=day), problems=sheet.problems[:])
        for key, part in days.groupby(days)
    }


def notes_on(files: Files) -> list[str]:
    """Which copies were read, and that a table without a date was not."""
    days = sorted(files.copies)
    notes = [f"The past comes from {len(days)} dated copies, {days[0]:%Y-%m-%d} to {days[-1]:%Y-%m-%d}."]
    if "deals" in files.by_kind:
        name = files.by_kind["deals"].name
        notes.append(f"{name} has no date in its name and was left out; the newest copy stands for today.")
    return notes


def states(seen: pd.DataFrame) -> pd.DataFrame:
    """What each copy says of its deals: all of it is known, the owner where one is given."""
    present = seen[~seen["is_deleted"]]
    owner = pd.Series("known", index=present.index).mask(present["rep"].isna(), "unknown")
    return present[["deal_id", "as_of", *FIELDS, "status"]].assign(values_state="known", rep_state=owner)


def problems_of(seen: pd.DataFrame, file: str, dialect: Dialect) -> list[Problem]:
    """Copies of open deals alone tell of no outcome."""
    if seen["status"].ne("open").any():
        return []
    expected = "won and lost deals among the rows"
    advice = (
        f"Without them no outcome is known: keep copies of all {dialect.records}, not of the open ones alone."
    )
    column, found = dialect.field_name("stage"), "no closed deal in any copy"
    return [Problem(file, None, column, found, expected, advice, "warning")]


def audit(seen: pd.DataFrame, vanished: pd.Series, days: Sequence[pd.Timestamp]) -> pd.DataFrame:
    """Weeks without a copy, deals that come and go, and closes dated before they were seen."""
    return table([*_gaps(days), *_comings_and_goings(seen, vanished, days), *_backdated(seen)])


def _gaps(days: Sequence[pd.Timestamp]) -> list[Row]:
    ordered = np.sort(np.array([day.to_datetime64() for day in days]).astype("datetime64[D]"))
    between = np.diff(ordered).astype(int)
    missing = int(np.maximum(-(-between // _WEEK) - 1, 0).sum())
    weeks = int(between.sum() // _WEEK) + 1
    text = "Weeks of which no copy was kept; the state is unknown once the copy before is too old."
    return [("weeks without a copy", missing, weeks, text)]


def _comings_and_goings(seen: pd.DataFrame, vanished: pd.Series, days: Sequence[pd.Timestamp]) -> list[Row]:
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
