"""The fiscal calendar as a table: weeks of a period, freeze dates, and the moment at which a day ends."""

from __future__ import annotations

from datetime import date
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_COLUMNS = ["period", "starts_on", "ends_on", "freezes_on"]


def fiscal_quarters(
    start_month: int, first_day: Any, last_day: Any, grace_business_days: int = 10
) -> pd.DataFrame:
    """The fiscal quarters that touch a span of days.

    A fiscal year is named by the calendar year in which it ends.

    >>> fiscal_quarters(2, "2026-01-15", "2026-03-01")["period"].tolist()
    ['FY2026-Q4', 'FY2027-Q1']
    """
    if not 1 <= start_month <= 12:
        raise ValueError(f"start_month is {start_month}; a fiscal year starts in a month from 1 to 12.")
    first, last = pd.Timestamp(first_day).normalize(), pd.Timestamp(last_day).normalize()
    if last < first:
        raise ValueError(f"The calendar would end ({last:%Y-%m-%d}) before it starts ({first:%Y-%m-%d}).")
    quarter = _months(first) - (first.month - start_month) % 3
    starts = np.arange(quarter, _months(last) + 1, 3).astype("datetime64[M]")
    ends = (starts + np.timedelta64(3, "M")).astype("datetime64[D]") - np.timedelta64(1, "D")
    months = starts.astype(int)
    fiscal_year = 1970 + (months - (start_month - 1)) // 12 + (start_month > 1)
    number = (months - (start_month - 1)) % 12 // 3 + 1
    return pd.DataFrame(
        {
            "period": [f"FY{year}-Q{quarter}" for year, quarter in zip(fiscal_year, number, strict=True)],
            "starts_on": starts.astype("datetime64[s]"),
            "ends_on": ends.astype("datetime64[s]"),
            "freezes_on": freeze(ends, grace_business_days),
        }
    )


def _months(day: pd.Timestamp) -> int:
    return 12 * (day.year - 1970) + day.month - 1


def freeze(ends_on: ArrayLike, grace_business_days: int) -> NDArray[np.datetime64]:
    """The freeze dates of periods: so many Mondays to Fridays after the end.

    >>> freeze(["2026-03-31"], 10).astype("datetime64[D]").tolist()
    [datetime.date(2026, 4, 14)]
    """
    days = np.asarray(ends_on, dtype="datetime64[D]")
    return np.busday_offset(days, grace_business_days, roll="backward").astype("datetime64[s]")


def weeks_in(periods: pd.DataFrame) -> NDArray[np.int64]:
    """How many weeks each period has, a shorter last one included.

    >>> weeks_in(fiscal_quarters(1, "2026-01-01", "2026-12-31")).tolist()
    [13, 13, 14, 14]
    """
    days = (periods["ends_on"] - periods["starts_on"]).dt.days.to_numpy() + 1
    return np.asarray(-(-days // 7), dtype=np.int64)


def week_ends(periods: pd.DataFrame) -> pd.DataFrame:
    """Every week of every period: ``period, week, ends_on``.

    >>> week_ends(fiscal_quarters(1, "2026-01-01", "2026-03-31")).tail(1)["week"].item()
    13
    """
    counts = weeks_in(periods)
    rows = np.repeat(np.arange(len(periods)), counts)
    week = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    starts = periods["starts_on"].to_numpy("datetime64[D]")[rows]
    ends = np.minimum(
        starts + (7 * week - 1).astype("timedelta64[D]"), periods["ends_on"].to_numpy("datetime64[D]")[rows]
    )
    return pd.DataFrame(
        {"period": periods["period"].to_numpy()[rows], "week": week, "ends_on": ends.astype("datetime64[s]")}
    )


@overload
def moment(day: str | date | pd.Timestamp | np.datetime64, settings: Any) -> pd.Timestamp: ...
@overload
def moment(day: pd.Series | pd.DatetimeIndex | np.ndarray | list[Any], settings: Any) -> pd.DatetimeIndex: ...
def moment(day: Any, settings: Any) -> pd.Timestamp | pd.DatetimeIndex:
    """The end of a day (its cut-off) in the organisation's zone, as a naive UTC stamp.

    The cut-off is wall-clock time: a day on which clocks change is 23 or 25 hours long. A cut-off that the
    clock skips moves to the next one that exists; one that it shows twice is the later.

    >>> from types import SimpleNamespace
    >>> moment("2026-03-29", SimpleNamespace(timezone="Europe/Berlin", cut_off_hour=24))
    Timestamp('2026-03-29 22:00:00')
    """
    several = isinstance(day, pd.Series | pd.DatetimeIndex | np.ndarray | list)
    days = pd.DatetimeIndex(
        np.asarray(day if several else [day], dtype="datetime64[D]").astype("datetime64[us]")
    )
    wall = days + pd.Timedelta(hours=settings.cut_off_hour)
    stamps = _to_utc(wall, settings.timezone)
    return stamps if several else stamps[0]


def _to_utc(wall: pd.DatetimeIndex, timezone: str) -> pd.DatetimeIndex:
    if timezone == "UTC":
        return wall
    second_time = np.zeros(len(wall), dtype=bool)
    local = wall.tz_localize(timezone, ambiguous=second_time, nonexistent="shift_forward")
    return local.tz_convert("UTC").tz_localize(None)


def local_dates(stamps: pd.Series, settings: Any) -> pd.Series:
    """The calendar days of UTC stamps in the organisation's zone; a day lasts until its cut-off.

    >>> from types import SimpleNamespace
    >>> stamps = pd.Series(pd.to_datetime(["2026-03-29 22:30"]))
    >>> zone = SimpleNamespace(timezone="Europe/Berlin", cut_off_hour=24)
    >>> local_dates(stamps, zone).dt.strftime("%Y-%m-%d").item()
    '2026-03-30'
    """
    local = stamps
    if settings.timezone != "UTC":
        local = stamps.dt.tz_localize("UTC").dt.tz_convert(settings.timezone).dt.tz_localize(None)
    shifted = local + pd.Timedelta(hours=24 - settings.cut_off_hour)
    return shifted.dt.floor("D").astype("datetime64[s]")


def complete(periods: pd.DataFrame, grace_business_days: int) -> pd.DataFrame:
    """The calendar with freeze dates filled in where they are missing, sorted by start.

    >>> bare = pd.DataFrame({"period": ["P1"], "starts_on": pd.to_datetime(["2026-01-01"]),
    ...                      "ends_on": pd.to_datetime(["2026-03-31"])})
    >>> complete(bare, 10)["freezes_on"].dt.strftime("%Y-%m-%d").item()
    '2026-04-14'
    """
    table = periods.copy()
    made = pd.Series(freeze(table["ends_on"], grace_business_days), index=table.index)
    table["freezes_on"] = table["freezes_on"].fillna(made) if "freezes_on" in table else made
    others = [column for column in table.columns if column not in _COLUMNS]
    return table.sort_values("starts_on")[_COLUMNS + others].reset_index(drop=True)
