"""One organisation: its settings, its tidy tables, and how old they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import Problem
from forecasteval.tables import calendar
from forecasteval.tables.settings import Settings

_APART, _SLIPS = (
    366,
    0.01,
)  # days after all others, and the share of the stamps that may be; of ten one may be, too


@dataclass(frozen=True)
class Org:
    """The tidy tables of one organisation; a table that the source does not have is None.

    ``audit`` is what the rebuilding of the past found (check, count, of, share, what_it_means); ``matched`` a
    matched table that came in as such, everything else is None then; ``notes`` what the reader was told;
    ``warnings`` the problems that did not stop the reading; ``sources`` the rows of each file that was read.
    """

    name: str
    folder: Path | None
    settings: Settings = field(default_factory=Settings)
    deals: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    snapshots: pd.DataFrame | None = None
    forecasts: pd.DataFrame | None = None
    calls: pd.DataFrame | None = None
    actuals: pd.DataFrame | None = None
    periods: pd.DataFrame | None = None
    stages: pd.DataFrame | None = None
    users: pd.DataFrame | None = None
    outcomes: pd.DataFrame | None = None
    activity: pd.DataFrame | None = None
    audit: pd.DataFrame | None = None
    matched: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)

    @property
    def outside(self) -> list[str]:
        """The forecasters that come from files, by name."""
        return [] if self.forecasts is None else sorted(self.forecasts["forecaster"].unique())


def names_of(org: Org) -> dict[str, str]:
    """The people's names by their ids; of two who are called alike each has the end of the id with the name.

    >>> users = pd.DataFrame({"rep": ["r1", "r2", "r3"], "name": ["Ann", "Bo", "Bo"]})
    >>> names_of(Org("acme", None, users=users))
    {'r1': 'Ann', 'r2': 'Bo (r2)', 'r3': 'Bo (r3)'}
    """
    if org.users is None:
        return {}
    users = org.users.dropna(subset="name")
    alike = users["name"].duplicated(keep=False)
    shown = users["name"].mask(alike, users["name"] + " (" + users["rep"].str[-4:] + ")")
    return dict(zip(users["rep"], shown, strict=True))


def newest_record(org: Org) -> pd.Timestamp | None:
    """The day of the newest record that the organisation's data holds, or None if nothing is dated.

    >>> newest_record(Org("acme", None)) is None
    True
    """
    if org.history is not None and len(org.history):
        known = org.history["values_state"].eq("known") | org.history["rep_state"].eq("known")
        if known.any():
            return calendar.local_dates(_together(org.history.loc[known, "valid_from"]), org.settings).max()
    columns = [
        (org.snapshots, "as_of"),
        (org.deals, "created_on"),
        (org.forecasts, "issued_at"),
        (org.matched, "as_of"),
        (org.outcomes, "on"),
        (org.activity, "on"),
    ]
    newest = [
        _together(table[column]).max()
        for table, column in columns
        if table is not None and column in table and table[column].notna().any()
    ]
    return pd.Timestamp(max(newest)).floor("D") if newest else None


def about(org: Org, periods: Any = None) -> dict[str, Any]:
    """Whose data a report speaks of: organisation, the periods that it compares, the newest record, whom to ask.

    >>> about(Org("acme", None), pd.Series(["FY2026-Q2", "FY2026-Q1"]))
    {'organisation': 'acme', 'periods': ['FY2026-Q1', 'FY2026-Q2'], 'data_until': None, 'contact': None}
    """
    there = [] if periods is None else sorted(pd.Series(periods).dropna().astype(str).unique())
    if org.periods is not None:
        order = {str(period): at for at, period in enumerate(org.periods["period"])}
        there = sorted(there, key=lambda period: order.get(period, -1))
    newest = newest_record(org)
    return {
        "organisation": org.settings.name or org.name,
        "periods": there,
        "data_until": None if newest is None else f"{newest:%Y-%m-%d}",
        "contact": org.settings.contact,
    }


def comparable(org: Org, least: int) -> str:
    """From which date on forecasts can be compared with what is known of the past; ``least`` periods for new ones.

    >>> deals = pd.DataFrame({"created_on": pd.to_datetime(["2026-01-05"]), "closed_on": pd.to_datetime([None])})
    >>> comparable(with_calendar(Org("acme", None, deals=deals)), 4)
    'Nothing is known of the past: forecasts can be compared from 2026-04-14 on, when FY2026-Q1 is frozen, if a weekly \
copy is kept from now on (data/README.md says how).'
    """
    newest = newest_record(org)
    if org.matched is not None or newest is None or org.periods is None:
        return ""
    start, said, condition = newest, "Nothing is known of the past", ", if a weekly copy is kept from now on"
    if org.history is not None and org.history["values_state"].ne("unknown").any():
        known = org.history.loc[org.history["values_state"].ne("unknown"), "valid_from"]
        start, condition = calendar.local_dates(known, org.settings).min(), ""
        said = f"Deals are known from {start:%Y-%m-%d} on"
    since = org.periods[org.periods["ends_on"] > start]
    frozen = int((since["freezes_on"] <= newest).sum())
    if frozen >= least:
        first, last = since["period"].iloc[0], since["period"].iloc[frozen - 1]
        return f"{said}: forecasts can be compared now, over {frozen} frozen periods, {first} to {last}."
    wanted = since.iloc[0 if frozen == 0 else least - 1 :]
    if wanted.empty:
        return f"{said}: the calendar ends before enough periods are frozen; add periods to calendar.csv."
    when = f"from {wanted['freezes_on'].iloc[0]:%Y-%m-%d} on, when {wanted['period'].iloc[0]} is frozen"
    if frozen:
        return f"{said}: forecasts can be compared now, over {frozen} frozen periods; for new periods {when}."
    how = " (data/README.md says how)" if condition else ""
    return f"{said}: forecasts can be compared {when}{condition}{how}."


def _together(stamps: pd.Series) -> pd.Series:
    """The stamps without a few that lie more than a year after all others: slips such as 2050."""
    numbers = stamps.dropna().to_numpy("datetime64[D]").view(np.int64)
    days = np.sort(numbers).view("datetime64[D]")  # days themselves are sorted in ten times the time
    after = len(days) - 1 - np.flatnonzero(np.diff(days).astype(int) > _APART)
    few = after[after <= max(_SLIPS * len(days), len(days) >= 10)]
    return stamps[stamps < days[len(days) - few.max()]] if len(few) else stamps


def of_the_future(org: Org) -> list[Problem]:
    """Stamps far after all others, as warnings; they do not move the newest record."""
    named = (
        ("history", "valid_from"), ("deals", "created_on"), ("snapshots", "as_of"), ("forecasts", "issued_at"),
        ("matched", "as_of"),
    )  # fmt: skip
    problems = []
    for name, column in named:
        table = getattr(org, name)
        if table is None or column not in table or table[column].isna().all():
            continue
        late = table[column].drop(_together(table[column]).index).dropna()
        if len(late):
            found = f"{len(late):,} of {len(table):,} stamps years after all others, the last {late.max():%Y-%m-%d}"
            advice = "Correct them: they are not taken for the newest record."
            problems.append(Problem(name, None, column, found, "days until today", advice, "warning"))
    return problems


def stale(org: Org, today: Any) -> Problem | None:
    """The problem that the newest record is older than ``settings.max_age_days``, or None.

    >>> old = Org("acme", Path("acme"), deals=pd.DataFrame({"created_on": pd.to_datetime(["2026-01-01"])}))
    >>> stale(old, "2026-03-01").found
    'a newest record of 2026-01-01, 59 days before 2026-03-01'
    """
    limit = org.settings.max_age_days
    newest = newest_record(org)
    if org.matched is not None or limit == 0 or newest is None:
        return None
    age = (pd.Timestamp(today) - newest).days
    if age <= limit:
        return None
    return Problem(
        org.folder.name if org.folder else org.name,
        None,
        None,
        f"a newest record of {newest:%Y-%m-%d}, {age} days before {pd.Timestamp(today):%Y-%m-%d}",
        f"data at most {limit} days old",
        "Export again; or set max_age_days in organisation.yaml (0 = any age).",
    )


def with_calendar(org: Org) -> Org:
    """The organisation with its calendar; without one, with fiscal quarters and a note that says so.

    >>> deals = pd.DataFrame({"created_on": pd.to_datetime(["2026-01-05"]), "closed_on": pd.to_datetime([None])})
    >>> with_calendar(Org("acme", None, deals=deals)).periods["period"].tolist()
    ['FY2026-Q1', 'FY2026-Q2', 'FY2026-Q3', 'FY2026-Q4', 'FY2027-Q1']
    """
    newest = newest_record(org)
    if org.periods is not None or newest is None or org.deals is None:
        return org
    days = [org.deals["created_on"].min(), org.deals["closed_on"].min(), newest]
    if org.snapshots is not None and len(org.snapshots):
        days.append(org.snapshots["as_of"].min())
    first = min(pd.Timestamp(day) for day in days if not pd.isna(day))
    settings = org.settings
    made = calendar.fiscal_quarters(
        settings.fiscal_year_start_month, first, newest + pd.Timedelta(days=366), settings.grace_business_days
    )
    note = (
        "There is no calendar.csv: fiscal quarters were made from fiscal_year_start_month = "
        f"{settings.fiscal_year_start_month}."
    )
    return replace(org, periods=made, notes=[*org.notes, note])
