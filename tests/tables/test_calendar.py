"""The fiscal calendar, its weeks, freeze dates and the end of a day."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from forecasteval.tables.calendar import (
    complete,
    fiscal_quarters,
    freeze,
    local_dates,
    moment,
    week_ends,
)
from forecasteval.tables.schemas import canonical
from forecasteval.tables.tidy_table import problems_of


def calendar_problems(periods, file):
    return problems_of("periods", canonical("periods", periods), file)


def calendar(*spans):
    days = np.array(spans, dtype="datetime64[s]")
    names = [f"P{number}" for number in range(1, len(spans) + 1)]
    table = pd.DataFrame({"period": names, "starts_on": days[:, 0], "ends_on": days[:, 1]})
    table.index = pd.RangeIndex(2, len(table) + 2)
    return table


@pytest.mark.parametrize(
    ("start_month", "day", "name", "starts", "ends"),
    [
        (1, "2026-02-10", "FY2026-Q1", "2026-01-01", "2026-03-31"),
        (1, "2026-12-31", "FY2026-Q4", "2026-10-01", "2026-12-31"),
        (2, "2026-01-31", "FY2026-Q4", "2025-11-01", "2026-01-31"),
        (2, "2026-02-01", "FY2027-Q1", "2026-02-01", "2026-04-30"),
        (7, "2026-06-30", "FY2026-Q4", "2026-04-01", "2026-06-30"),
        (7, "2026-07-01", "FY2027-Q1", "2026-07-01", "2026-09-30"),
        (12, "2026-12-01", "FY2027-Q1", "2026-12-01", "2027-02-28"),
        (12, "2026-11-30", "FY2026-Q4", "2026-09-01", "2026-11-30"),
    ],
)
def test_a_fiscal_year_is_named_by_the_year_in_which_it_ends(start_month, day, name, starts, ends):
    row = fiscal_quarters(start_month, day, day).iloc[0]
    assert (row["period"], row["starts_on"], row["ends_on"]) == (
        name,
        pd.Timestamp(starts),
        pd.Timestamp(ends),
    )


@pytest.mark.parametrize("start_month", range(1, 13))
def test_quarters_follow_each_other_without_gap_or_overlap(start_month):
    table = fiscal_quarters(start_month, "2019-03-05", "2027-08-09")
    assert calendar_problems(table, "made") == []
    assert not table["period"].duplicated().any()
    assert table["starts_on"].iloc[0] <= pd.Timestamp("2019-03-05")
    assert table["ends_on"].iloc[-1] >= pd.Timestamp("2027-08-09")


def test_a_calendar_that_cannot_be_made_is_refused():
    with pytest.raises(ValueError, match="month from 1 to 12"):
        fiscal_quarters(13, "2026-01-01", "2026-02-01")
    with pytest.raises(ValueError, match="before it starts"):
        fiscal_quarters(1, "2026-03-01", "2026-02-01")


@pytest.mark.parametrize(
    ("end", "grace", "frozen"),
    [
        ("2026-03-31", 10, "2026-04-14"),  # a Tuesday
        ("2026-05-31", 10, "2026-06-12"),  # a Sunday: the tenth working day after it is a Friday
        ("2026-01-31", 1, "2026-02-02"),  # a Saturday: the first working day after it is the Monday
        ("2026-03-31", 0, "2026-03-31"),
    ],
)
def test_the_freeze_counts_working_days_after_the_end(end, grace, frozen):
    assert freeze([end], grace)[0] == np.datetime64(frozen)


def test_weeks_are_counted_from_the_first_day_and_the_last_may_be_short():
    ends = week_ends(fiscal_quarters(1, "2026-07-01", "2026-09-30")).set_index("week")["ends_on"]
    assert [f"{ends[week]:%Y-%m-%d}" for week in (1, 13, 14)] == ["2026-07-07", "2026-09-29", "2026-09-30"]
    assert ends.index.tolist() == list(range(1, 15))


def test_every_day_lies_in_the_week_whose_end_comes_next():
    """Weeks by search and weeks by arithmetic agree, on a 4-4-5 calendar with a gap."""
    periods = calendar(
        ("2026-02-01", "2026-02-28"), ("2026-03-01", "2026-04-04"), ("2026-04-10", "2026-05-02")
    )
    ends = week_ends(periods.sample(frac=1, random_state=1))
    for _, period in periods.iterrows():
        own = ends[ends["period"] == period["period"]]
        for day in pd.date_range(period["starts_on"], period["ends_on"]):
            week = own.loc[own["ends_on"] >= day, "week"].min()
            assert week == (day - period["starts_on"]).days // 7 + 1


@pytest.mark.parametrize(
    ("day", "hour", "utc"),
    [
        ("2026-03-28", 24, "2026-03-28 23:00"),
        ("2026-03-29", 24, "2026-03-29 22:00"),  # 23 hours long
        ("2026-10-25", 24, "2026-10-25 23:00"),  # 25 hours long
        ("2026-03-29", 2.5, "2026-03-29 01:00"),  # half past two does not exist: three o'clock is next
        ("2026-10-25", 2.5, "2026-10-25 01:30"),  # half past two comes twice: the later one
        ("2026-07-01", 18, "2026-07-01 16:00"),
    ],
)
def test_a_day_ends_by_the_clock_on_the_wall(day, hour, utc):
    zone = SimpleNamespace(timezone="Europe/Berlin", cut_off_hour=hour)
    assert moment(day, zone) == pd.Timestamp(utc)
    assert moment(pd.Series(pd.to_datetime([day, day])), zone).tolist() == [pd.Timestamp(utc)] * 2


def test_a_stamp_belongs_to_the_day_whose_end_comes_next():
    days = pd.date_range("2026-03-25", "2026-04-02")
    for hour in (24, 18, 6):
        zone = SimpleNamespace(timezone="Europe/Berlin", cut_off_hour=hour)
        ends = moment(days, zone)
        before = local_dates(pd.Series(ends - pd.Timedelta(seconds=1)), zone)
        after = local_dates(pd.Series(ends), zone)
        assert before.tolist() == days.tolist()
        assert after.tolist() == (days + pd.Timedelta(days=1)).tolist()


def test_a_calendar_is_completed_and_its_faults_are_named():
    bad = calendar(("2026-01-01", "2026-03-31"), ("2026-03-31", "2026-03-01"), ("2026-04-15", "2026-06-30"))
    found = [
        (problem.row, problem.column, problem.severity) for problem in calendar_problems(bad, "calendar.csv")
    ]
    assert found == [(3, "ends_on", "error"), (3, "starts_on", "error"), (4, "starts_on", "warning")]
    early = calendar(("2026-01-01", "2026-03-31")).assign(freezes_on=pd.to_datetime(["2026-03-01"]))
    assert [problem.column for problem in calendar_problems(early, "calendar.csv")] == ["freezes_on"]
    given = calendar(("2026-04-01", "2026-06-30"), ("2026-01-01", "2026-03-31"))
    given["freezes_on"] = pd.to_datetime(["2026-07-31", None])
    whole = complete(given, 10)
    assert whole["starts_on"].is_monotonic_increasing
    assert whole["freezes_on"].dt.strftime("%m-%d").tolist() == ["04-14", "07-31"]
