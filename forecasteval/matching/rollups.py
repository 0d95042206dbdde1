"""What each way of calling the quarter would have said at every week, from what was known then.

Everybody speaks about the same totals: a period, a unit (the company, a team, a rep) and the end of a week. A rule that
learns from the past sees only periods that were frozen before it speaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError
from forecasteval.matching.deals_as_of import Record, closings
from forecasteval.matching.match import STALE_AFTER_DAYS, Panel
from forecasteval.sources.history import states
from forecasteval.tables.calendar import week_ends, weeks_in
from forecasteval.tables.organisation import Org, newest_record

COLUMNS = ["period", "week", "as_of", "unit", "level", "forecaster", "amount", "actual", "closed_to_date"]
QUOTA = "quota"  # a call under this name is a target, not a forecast
# how far off the start of the same period a year before may lie (53 weeks)
_A_YEAR_AGO = pd.Timedelta(days=21)
# a period whose first booking comes later may have begun before the records
_SETTLES = np.timedelta64(31, "D")
_KEY = ["period", "week", "as_of", "level", "unit"]
_LOOK = ["as_of", "level", "unit"]
_FACTS = ["closed_to_date", "actual", "booked_squares", "freezes_on"]
_GOAL = ["period", "week", "level", "unit", "quota"]
_MORE = ["stale", "low", "high", "promised", "booked_squares", "chance", "freezes_on"]
_CATEGORIES = {"commit": ("Commit",), "best_case": ("Commit", "Most Likely", "Best Case"), "pipeline": ()}
_CALLED = "what was submitted, the latest by then; a number carried on from an earlier week is marked"
_GLOSSES = {
    "commit": "closed to date and the amounts of the deals in Commit, as categories and amounts stood then",
    "best_case": "closed to date, Commit, Most Likely and Best Case, as they stood then",
    "pipeline": "closed to date and all open deals dated into the period, as they stood then",
    "category_conversion": "closed to date and, of each category's open amount, the share that was won from it at the same "
    "week of periods frozen by then",
    "stage_weighted": "closed to date and, of each stage's open amount, the share that was won from it at the same week of "
    "periods frozen by then",
    "closed_and_conversion": "closed to date, the share of the open amount that was won at the same week of periods frozen by "
    "then, and the new business that came after that week in those periods, on average",
    "last_quarter": "what the period before had booked, so far as it was recorded then",
    "same_quarter_last_year": "what the same period of the year before had booked",
}


@dataclass(frozen=True, eq=False)
class Rollups:
    """Totals by period, week, unit and forecaster.

    ``table`` has period, week, as_of, unit, level (rep, team or company), forecaster, amount, actual (booked by the
    freeze; empty for a period that is not frozen), closed_to_date, stale (a call carried on from an earlier week), fitted
    (by a forecaster that learns from past periods and is silent in the first ones) and low, high, promised (a person's or
    vendor's own range and what was written of it), booked_squares (the sum of the squared amounts booked), chance (of sums
    of probabilities: the standard deviation that independent deals with these chances leave), freezes_on. ``knew`` says of
    each forecaster what it knew. ``quota`` has period, week, unit, level, quota: what was to be reached, which is no forecast.
    """

    table: pd.DataFrame
    knew: dict[str, str]
    notes: list[str] = field(default_factory=list)
    quota: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=_GOAL))
    panel: Panel | None = None  # the deals behind it at every look, for who looks closer

    def at(self, week: int | None = None, level: str = "company") -> pd.DataFrame:
        """The totals of one week and level, which :func:`forecasteval.compare_totals` takes."""
        rows = self.table[self.table["level"] == level]
        return rows if week is None else rows[rows["week"] == week]


def rollups(
    org: Org,
    *,
    weeks: Iterable[int] | None = None,
    team: str | None = None,
    kind: str | None = None,
    models: Sequence[str] = ("model",),
    through: Any = None,
) -> Rollups:
    """What people called, and what each rule and model would have said, at every week of every period.

    Parameters
    ----------
    org : Org
        With deals and their history; or with `calls` and `actuals` alone, which come back as they are.
    weeks : the weeks of the period that are wanted; all where left out
    team : str, optional
        The column of the deals that makes the level "team" (a region, a product, new or renewal), or of users ("manager");
        where left out, the column `team` of users, or the one of users or deals whose values the calls of teams name.
    kind : str, optional
        A column of the deals that makes a further level, "kind" (new business, expansion, renewal)
    models : forecasters that give probabilities, built in or from files; every outside one is added
    through : date, optional
        The last day that counts; the day of the newest record if left out.

    Returns
    -------
    Rollups

    Raises
    ------
    CallError
        Where there are neither deals with a history nor calls and booked totals, or no such column.

    Examples
    --------
    >>> day = pd.Timestamp("2026-01-28")
    >>> calls = pd.DataFrame({"unit": "team", "unit_id": "East", "period": ["2025-Q4"], "week": 4, "as_of": day,
    ...     "forecaster": "reps", "amount": 12.0})
    >>> booked = pd.DataFrame({"unit": "team", "unit_id": "East", "period": ["2025-Q4"], "amount": [10.0]})
    >>> rollups(Org("acme", None, calls=calls, actuals=booked)).at(4, "team")[["amount", "actual"]].values.tolist()
    [[12.0, 10.0]]
    """
    actuals = org.actuals
    if org.history is None or org.deals is None or org.periods is None:
        if org.calls is None or actuals is None:
            raise CallError("Roll-ups need deals with a history, or the tables calls and actuals.")
        return _of_plain(org.calls, actuals, weeks)
    notes: list[str] = []
    if team is None and (team := _named_by_calls(org, notes)):
        notes.append(f"The calls of teams name values of {team}: a team is the deals of one {team}.")
    if team is not None and team not in org.deals and not _known_of_reps(org, team):
        raise CallError(f"team: the deals have no column {team!r}; they have {', '.join(org.deals.columns)}.")
    if kind and kind not in org.deals:
        raise CallError(f"kind: the deals have no column {kind!r}; they have {', '.join(org.deals.columns)}.")
    last = newest_record(org) if through is None else pd.Timestamp(through)
    assert last is not None
    book = _Book(org, weeks, team, kind, last)
    book.notes += notes
    return book.rollups(models)


def _named_by_calls(org: Org, notes: list[str]) -> str | None:
    """The column whose values the calls of teams name, of the deals or of users; None where users have teams, or none fits.

    Half of the names are enough, since a manager who has left stands in no table of users; the others are said.
    """
    if org.calls is None or (org.users is not None and "team" in org.users):
        return None
    named = set(org.calls.loc[org.calls["unit"] == "team", "unit_id"].dropna().astype(str))
    found: dict[str, set[str]] = {}
    beside = {"deal_id", "account", "outcome", "rep", "name"}
    for table in (org.users, org.deals) if named else ():
        if table is not None:
            found |= {str(c): named & set(table[c].dropna().astype(str)) for c in table if c not in beside}
    best = max(found, key=lambda c: len(found[c]), default="")
    known = found[best] if best and 2 * len(found[best]) >= len(named) else set[str]()
    if strange := len(named - known):
        where = best if known else "any column of the deals or users"
        notes.append(
            f"{strange} of {len(named)} teams in the calls are no value of {where}: nobody knows what they booked."
        )
    return best if known else None


def _of_plain(calls: pd.DataFrame, actuals: pd.DataFrame, weeks: Iterable[int] | None) -> Rollups:
    """Calls beside what was booked, where that is all there is."""
    table = calls.merge(
        actuals.rename(columns={"amount": "actual"}), on=["unit", "unit_id", "period"], how="left"
    )
    table = table.rename(columns={"unit": "level", "level": "promised"})
    table["unit"] = table["unit_id"].fillna("company")
    table["stale"], table["freezes_on"] = False, pd.NaT
    table = table.reindex(columns=[*COLUMNS, *_MORE])
    if weeks is not None:
        table = table[table["week"].isin(list(weeks))]
    notes = []
    if len(table) and "company" not in set(table["level"]):
        table = pd.concat([table, summed := _company(table)], ignore_index=True)
        said = "The company's totals are the sums of its units, where all of them have one."
        notes = [said] if len(summed) else []
    goal = table["forecaster"] == QUOTA
    table, quota = table[~goal].reset_index(drop=True), table[goal].rename(columns={"amount": "quota"})
    return Rollups(table, dict.fromkeys(table["forecaster"].unique(), _CALLED), notes, quota[_GOAL])


def _company(table: pd.DataFrame) -> pd.DataFrame:
    """Totals of units added up to the company's, at the coarsest level there is; only where no unit is missing."""
    level = "team" if "team" in set(table["level"]) else "rep"
    rows = table[table["level"] == level]
    look = ["period", "week", "as_of"]
    of = rows.groupby([*look, "forecaster"], dropna=False, sort=False)
    sums = of[["amount", "actual"]].sum(min_count=1)
    sums["units"], sums["known"] = of["unit"].nunique(), of["actual"].count()
    sums = sums.reset_index()
    everyone = rows.groupby(look, dropna=False)["unit"].nunique().rename("everyone").reset_index()
    sums = sums.merge(everyone, on=look, how="left")
    sums["actual"] = sums["actual"].where(sums["known"] == sums["everyone"])
    return sums[sums["units"] == sums["everyone"]].assign(level="company", unit="company", stale=False)


def _known_of_reps(org: Org, column: str) -> bool:
    """Whether the users' table says to which team, or to whom, a rep belongs."""
    return org.users is not None and column in org.users and bool(org.users[column].notna().any())


class _Book:
    """Deals, calls and bookings of one organisation at the end of each week."""

    def __init__(
        self,
        org: Org,
        weeks: Iterable[int] | None,
        team: str | None,
        kind: str | None,
        through: pd.Timestamp,
    ) -> None:
        assert org.deals is not None
        assert org.history is not None
        assert org.periods is not None
        self.org, self.through, self.team, self.kind = org, through, team, kind
        periods = org.periods.sort_values("starts_on", ignore_index=True)
        self.periods = periods
        self.record = Record(org.deals, org.history, periods, org.settings)
        ends = week_ends(periods).rename(columns={"ends_on": "as_of"}).merge(periods, on="period")
        ends["last_week"] = ends["period"].map(dict(zip(periods["period"], weeks_in(periods), strict=True)))
        ends = ends[ends["as_of"] <= through]
        self.wanted = sorted(ends["week"].unique()) if weeks is None else list(weeks)
        # of a shorter period the last week stands for one that it does not have
        short = ends["week"].eq(ends["last_week"]) & (ends["last_week"] < max(self.wanted, default=0))
        self.looks = ends[ends["week"].isin(self.wanted) | short].reset_index(drop=True)
        self.asked = self.looks[self.looks["week"].isin(self.wanted)]
        self.notes: list[str] = []

    # --- deals as they stood --------------------------------------------------------------------------

    def _of_deals(self, rows: pd.DataFrame, column: str) -> pd.Series:
        """What a column of the deals says of each row's deal."""
        return rows["deal_id"].map(self.record.deals.set_index("deal_id")[column])

    def _teams(self, rows: pd.DataFrame) -> pd.Series:
        """The team of each row: its deal's column, or that of its rep."""
        users = self.org.users
        if self.team is not None and self.team in self.record.deals:
            return self._of_deals(rows, self.team)
        if users is not None and _known_of_reps(self.org, self.team or "team"):
            self.notes.append(
                "Who belongs to which team is known as of today: earlier teams are today's too."
            )
            return rows["rep"].map(users.set_index("rep")[self.team or "team"])
        return pd.Series(None, index=rows.index, dtype="str")

    def _of_units(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with a column for each level that says to which unit they belong."""
        rows = rows.reset_index(drop=True).assign(company="company", team=self._teams(rows).to_numpy())
        if self.kind:
            rows["kind"] = self._of_deals(rows, self.kind)
        return rows

    def _by_unit(self, rows: pd.DataFrame, *values: str) -> pd.DataFrame:
        """These values of each row once for every unit that it belongs to: level and unit."""
        kept = rows[[*(c for c in ("period", "week", "as_of", "freezes_on") if c in rows), *values]]
        levels = [c for c in ("company", "team", "rep", "kind") if c in rows]
        parts = [kept.assign(level=level, unit=rows[level].astype("str")) for level in levels]
        return pd.concat(parts).dropna(subset=["unit"])

    @cached_property
    def open(self) -> pd.DataFrame:
        """Open deals dated into the period of the look, with what was booked of them by its freeze (NaN before it)."""
        days = pd.DatetimeIndex(self.looks["as_of"])
        then = states(self.record.history, days, self.record.settings, open_only=True)
        then = then[then["values_state"] != "unknown"].merge(self.looks, on="as_of")
        then = then[then["close_on"].between(then["starts_on"], then["ends_on"])]
        then["amount"] = then["amount"].fillna(0.0)
        final = self.booked[self.booked["as_of"] == self.booked["freezes_on"]]
        final = final[["deal_id", "period", "amount"]].rename(columns={"amount": "later"})
        then = then.merge(final, on=["deal_id", "period"], how="left")
        then["later"] = then["later"].fillna(0.0).where(then["freezes_on"] <= self.through)
        return self._of_units(then)

    @cached_property
    def booked(self) -> pd.DataFrame:
        """Deals recorded as won with a close date in a period, at every look from its start on, and at its freeze."""
        history, periods = self.record.history, self.periods
        if (
            history["status"].eq("open").all()
        ):  # dated copies of open deals: today's record says how they ended
            closed = closings(self.record)
            won = closed[closed["status"] == "won"].rename(columns={"known_on": "since"})
            won = won.merge(self.record.deals[["deal_id", "rep"]], on="deal_id")
        else:
            won = history[history["status"].eq("won")]
        place = np.searchsorted(periods["starts_on"], won["close_on"], side="right") - 1
        inside = won["close_on"].notna().to_numpy() & (place >= 0)
        inside &= won["close_on"].to_numpy() <= periods["ends_on"].to_numpy()[place]
        won = won[inside]
        days = pd.DatetimeIndex([*self.looks["as_of"], *periods["freezes_on"]]).unique()
        days = days[days <= self.through]
        if "since" in won:
            then = won.merge(pd.DataFrame({"as_of": days}), how="cross")
            then = then[then["since"] <= then["as_of"]]
        else:
            then = states(won, days, self.record.settings)
        place = np.searchsorted(periods["starts_on"], then["close_on"], side="right") - 1
        then["period"] = periods["period"].to_numpy()[place]
        then["freezes_on"] = periods["freezes_on"].to_numpy()[place]
        then["amount"] = then["amount"].fillna(0.0)
        return self._of_units(then[["deal_id", "as_of", "period", "freezes_on", "close_on", "rep", "amount"]])

    # --- sums by unit ---------------------------------------------------------------------------------

    @cached_property
    def sums(self) -> pd.DataFrame:
        """One row per look and unit: closed to date, open, booked by the freeze (with the sum of squares), booked of others."""
        looks = self.looks[["period", "week", "as_of", "freezes_on"]]
        by = self._by_unit(self.booked, "amount")
        so_far = by.merge(looks[["period", "as_of", "week"]], on=["period", "as_of"])
        closed = so_far.groupby(_KEY)["amount"].sum().rename("closed_to_date")
        opened = self._by_unit(self.open, "amount", "later")
        # a deal that goes to another rep is booked by that one: what a unit's own open deals brought stands in `later`
        of_open = opened.groupby(_KEY)[["amount", "later"]].sum(min_count=1)
        of_open = of_open.rename(columns={"amount": "open", "later": "from_open"})
        final = by[by["as_of"] == by["freezes_on"]].assign(squares=lambda t: t["amount"] ** 2)
        final = final.groupby(["period", "level", "unit"])[["amount", "squares"]].sum()
        final.columns = pd.Index(["actual", "booked_squares"])
        units = pd.concat([t[["level", "unit"]] for t in (by, opened, self.calls)]).drop_duplicates()
        found = looks.merge(units, how="cross").merge(closed.reset_index(), on=_KEY, how="left")
        found = found.merge(of_open.reset_index(), on=_KEY, how="left")
        found = found.merge(final.reset_index(), on=["period", "level", "unit"], how="left")
        amounts = ["closed_to_date", "open", "from_open", "actual", "booked_squares"]
        found[amounts] = found[amounts].fillna(0.0)
        # a team to which no deal belongs was not without business: nobody knows what it booked
        teams = set(self._teams(self.record.history).dropna().astype(str))
        found.loc[found["level"].eq("team") & ~found["unit"].isin(teams), amounts] = np.nan
        told = self.org.actuals
        if told is not None:  # what an organisation says that it booked goes before what its deals add up to
            said = told.assign(level=told["unit"], unit=told["unit_id"].fillna("company"))
            said = said[["period", "level", "unit", "amount"]].rename(columns={"amount": "told"})
            found = found.merge(said, on=["period", "level", "unit"], how="left")
            found["actual"] = found.pop("told").fillna(found["actual"])
        frozen = found["freezes_on"] <= self.through
        pending = ["from_open", "actual", "booked_squares"]
        found[pending] = found[pending].where(frozen)
        return found

    @cached_property
    def calls(self) -> pd.DataFrame:
        """Each unit's latest call at each look; where a level is silent, the sum of the reps' own."""
        columns = [*_KEY, "forecaster", "amount", "low", "high", "promised", "stale"]
        calls = self.org.calls
        if calls is None or calls.empty:
            return pd.DataFrame(columns=columns).astype({"amount": float})
        said = calls.rename(columns={"unit": "level", "level": "promised", "as_of": "said_on"})
        said["unit"] = said["unit_id"].fillna("company").astype("str")
        if "week" in said:
            by_week = week_ends(self.periods).rename(columns={"ends_on": "of_week"})
            said = said.merge(by_week, on=["period", "week"], how="left")
            said["said_on"] = said["said_on"].fillna(said["of_week"])
        looks = self.looks[["period", "week", "as_of"]].rename(columns={"week": "at"})
        found = said.drop(columns="week", errors="ignore").merge(looks, on="period")
        found = found[found["said_on"] <= found["as_of"]].rename(columns={"at": "week"})
        found = found.sort_values("said_on", kind="stable").groupby([*_KEY, "forecaster"], sort=False).tail(1)
        age = (found["as_of"] - found["said_on"]).dt.days
        found["stale"] = age >= 7
        target = found["forecaster"] == QUOTA  # holds for its whole period
        if "updated" in found:  # some tools say so themselves
            found["stale"] |= found["updated"].astype(str).str.lower().isin(["no", "false", "0"])
        found["stale"] &= ~target
        old = (age > STALE_AFTER_DAYS) & ~target
        if old.any():
            self.notes.append(
                f"{int(old.sum()):,} calls older than {STALE_AFTER_DAYS} days count as silence."
            )
        found = found[~old]
        return pd.concat([found[columns], *self._summed(found)], ignore_index=True)[columns]

    def _summed(self, found: pd.DataFrame) -> list[pd.DataFrame]:
        """Calls of a level below, added up for the levels at which their forecaster gave none."""
        parts = []
        for name, own in found.groupby("forecaster"):
            there = set(own["level"])
            rows = own[own["level"] == ("rep" if "rep" in there else "team")]
            up_to: list[str] = []
            for level in ("company", "team"):
                if level in there or rows.empty or (level == "team" and "rep" not in there):
                    continue
                unit = "company" if level == "company" else rows["unit"].map(self._team_of_rep)
                up = rows.assign(level=level, unit=unit).dropna(subset=["unit"])
                summed = up.groupby([*_KEY, "forecaster"], as_index=False).agg(
                    amount=("amount", "sum"), stale=("stale", "mean")
                )
                summed["stale"] = summed["stale"] >= 0.5
                parts.append(summed.assign(low=np.nan, high=np.nan, promised=None))
                up_to.append("the company" if level == "company" else "teams")
            if up_to and name != QUOTA:
                self.notes.append(f"For {' and '.join(up_to)} the {name} is the sum of those who gave one.")
        return parts

    @cached_property
    def _team_of_rep(self) -> dict[str, str]:
        """The team to which a rep's deals belong, the commonest one."""
        history = self.record.history[["deal_id", "rep"]].dropna().drop_duplicates()
        pairs = history.assign(team=self._teams(history)).dropna()
        if pairs.empty:
            return {}
        commonest = pairs.groupby("rep")["team"].agg(lambda t: t.mode().iloc[0])
        return {str(rep): str(team) for rep, team in commonest.items()}

    # --- those who speak ------------------------------------------------------------------------------

    @cached_property
    def _pasts(self) -> pd.DataFrame:
        """Of each look that is asked for, those at the same week of periods frozen by then; the last week of a shorter one."""
        before = self.looks.rename(columns={"as_of": "past", "week": "at"})
        pairs = self.asked[["as_of", "week"]].merge(before.drop(columns="period"), how="cross")
        same = pairs["at"] == np.minimum(pairs["week"], pairs["last_week"])
        return pairs.loc[same & (pairs["freezes_on"] <= pairs["as_of"]), ["as_of", "past"]]

    def _of_the_past(self, rows: pd.DataFrame) -> pd.DataFrame:
        """For each look what rows of past looks say; a look stands once for each row of its past."""
        return self._pasts.merge(rows.rename(columns={"as_of": "past"}), on="past", how="left")

    def _converted(self, column: str | None) -> pd.DataFrame:
        """Open amount times the share of such amounts that was won at the same week before; a sum per look and unit."""
        rows = self.open.assign(label=self.open[column].fillna("none") if column else "all")
        sums = ["amount", "later"]
        past = self._of_the_past(rows.groupby(["as_of", "label"])[sums].sum().reset_index())
        of_look = past.groupby("as_of")[sums]
        total, by_label = of_look.sum(), past.groupby(["as_of", "label"])[sums].sum()
        # a label seldom seen is drawn to the rate of all, as if one period's share of it had shown that
        overall = (total["later"] / total["amount"]).where(total["amount"] > 0, 0.0)
        typical = total["amount"] / of_look.count()["amount"].clip(lower=1) * 0.5
        drawn = by_label.add(pd.DataFrame({"amount": typical, "later": overall * typical}), level="as_of")
        rate = (drawn["later"] / drawn["amount"]).rename("rate")
        rows = rows[rows["as_of"].isin(overall.index)].merge(rate, on=["as_of", "label"], how="left")
        rows["expected"] = rows["amount"] * rows["rate"].fillna(rows["as_of"].map(overall))
        nothing = {"as_of": overall.index, "level": "company", "unit": "company", "expected": 0.0}
        return _expected(
            pd.concat([self._by_unit(rows, "expected"), pd.DataFrame(nothing)])
        )  # even where nothing is open

    def _new_business(self) -> pd.Series:
        """What came to each unit, at the same week of the periods frozen by then, beyond what was closed or open; mean."""
        s = self.sums.assign(beyond=lambda t: t["actual"] - t["closed_to_date"] - t["from_open"])
        past = self._of_the_past(s[[*_LOOK, "beyond"]])
        return past.groupby(_LOOK)["beyond"].mean()

    @cached_property
    def panel(self) -> Panel:
        """Every open deal at every look."""
        weeks = [f"week {w}" for w in sorted(self.asked["week"].unique())]
        return Panel(self.org, as_of=weeks, through=self.through, pending=True)

    def _probabilities(self, name: str) -> pd.DataFrame | None:
        """Sum of amount times probability of the open deals; a deal without one gets the mean of its look."""
        view = self.panel.view([name], pool=True)
        if view.stop or view.table.empty:
            self.notes.append(
                f"{name} says nothing: {view.stop[0]['text'] if view.stop else 'no deal was scored'}"
            )
            return None
        if view.forecasters[name]["kind"] != "probability":
            return None
        said = view.table[["deal_id", "as_of", name]].dropna()
        rows = self.open[self.open["as_of"].isin(said["as_of"].unique())]
        rows = rows.merge(said, on=["deal_id", "as_of"], how="left")
        silent = rows[name].isna()
        if silent.any():
            self.notes.append(
                f"{silent.mean():.0%} of the open deals have no chance from {name}; each counts with the mean of its week."
            )
        p = rows[name].fillna(rows.groupby("as_of")[name].transform("mean"))
        rows["expected"], rows["chance"] = rows["amount"] * p, rows["amount"] ** 2 * p * (1 - p)
        return (
            self._by_unit(rows, "expected", "chance")
            .groupby(_LOOK)[["expected", "chance"]]
            .sum()
            .reset_index()
        )

    def _earlier(self, before: dict[str, str]) -> pd.Series:
        """What the period that stands before each one had booked by each look; empty where records began within it."""
        by = (
            self._by_unit(self.booked, "amount").groupby(["period", "as_of", "level", "unit"])["amount"].sum()
        )
        names = self.sums["period"].map(before)
        index = pd.MultiIndex.from_arrays([names, self.sums["as_of"], self.sums["level"], self.sums["unit"]])
        starts = names.map(self.periods.set_index("period")["starts_on"])
        known = starts >= self.booked["close_on"].min() - _SETTLES
        return pd.Series(by.reindex(index).fillna(0.0).to_numpy(), index=self.sums.index).where(known)

    def _before(self, days: int) -> dict[str, str]:
        """Of each period the one that started so many days earlier, give or take three weeks; for 0 the one just before."""
        p = self.periods
        if not days:
            return dict(zip(p["period"][1:], p["period"][:-1], strict=True))
        found = {}
        for name, start in zip(p["period"], p["starts_on"], strict=True):
            off = (p["starts_on"] - (start - pd.Timedelta(days=days))).abs()
            if off.min() <= _A_YEAR_AGO:
                found[name] = p["period"][int(off.to_numpy().argmin())]
        return found

    def rollups(self, models: Sequence[str]) -> Rollups:
        """Everybody's totals in one table."""
        base, knew = self.sums, dict(_GLOSSES)
        said: dict[str, pd.Series] = {}
        chance: dict[str, pd.Series] = {}

        def add(name: str, expected: pd.DataFrame | None) -> None:
            if expected is None or expected.empty:
                return
            e = base[_LOOK].merge(expected, on=_LOOK, how="left")
            spoke = base["as_of"].isin(expected["as_of"].unique())
            said[name] = (base["closed_to_date"] + e["expected"].fillna(0.0)).where(spoke)
            if "chance" in e:
                chance[name] = chance[f"{name}_and_new"] = np.sqrt(e["chance"].fillna(0.0))

        for name, labels in _CATEGORIES.items():
            rows = self.open if name == "pipeline" else self.open[self.open["rep_category"].isin(labels)]
            if name == "pipeline" or self.open["rep_category"].notna().any():
                sums = self._by_unit(rows.assign(expected=rows["amount"]), "expected")
                add(name, _expected(pd.concat([sums, base[_LOOK].assign(expected=0.0)])))
        if self.open["rep_category"].notna().any():
            add("category_conversion", self._converted("rep_category"))
        add("stage_weighted", self._converted("stage"))
        new = pd.MultiIndex.from_frame(base[_LOOK])
        beyond = pd.Series(self._new_business().reindex(new).to_numpy(), index=base.index)
        add("closed_and_conversion", self._converted(None))
        if "closed_and_conversion" in said:
            said["closed_and_conversion"] += beyond
        said["last_quarter"] = self._earlier(self._before(0))
        said["same_quarter_last_year"] = self._earlier(self._before(365))
        scored = [n for n in dict.fromkeys([*models, *self.org.outside]) if n not in said]
        for name in list(scored):
            add(name, self._probabilities(name))
            if name not in said:
                scored.remove(name)
                continue
            knew[name] = (
                f"closed to date and the sum of {name}'s probabilities times amounts, each as of that day"
            )
            said[f"{name}_and_new"] = said[name] + beyond
            knew[f"{name}_and_new"] = (
                f"{knew[name]}, and the new business that came after that week before, on average"
            )
        parts = [
            base[[*_KEY, *_FACTS]].assign(forecaster=n, amount=v, chance=chance.get(n, np.nan))
            for n, v in said.items()
        ]
        return self._long(base, parts, {n: said[f"{n}_and_new"] for n in scored}, knew)

    def _long(
        self,
        base: pd.DataFrame,
        parts: list[pd.DataFrame],
        scored: dict[str, pd.Series],
        knew: dict[str, str],
    ) -> Rollups:
        """One row per forecaster, with the calls, the calls corrected by their own past, and mixes."""
        key = [*_KEY, *_FACTS]
        calls = self.calls.merge(base[key], on=_KEY, how="left")
        goal = calls["forecaster"] == QUOTA
        calls, quota = calls[~goal], calls.loc[goal & calls["week"].isin(self.wanted)]
        people = list(calls["forecaster"].unique())
        for name in people:
            knew[name] = _CALLED
            own = calls[calls["forecaster"] == name]
            corrected = self._corrected(own)
            knew[f"{name}_corrected"] = (
                f"{name} times booked over called at the same week of periods frozen by then"
            )
            parts.append(own[key].assign(forecaster=f"{name}_corrected", amount=corrected))
            for other, new in scored.items():
                both = own[[*key, "amount"]].merge(base[_KEY].assign(other=new), on=_KEY, how="left")
                mixed = both[key].assign(
                    forecaster=f"{name}_{other}_mix", amount=(both["amount"] + both["other"]) / 2
                )
                knew[f"{name}_{other}_mix"] = f"the mean of {name} and of {other} with new business"
                parts.append(mixed)
        table = pd.concat([calls, *parts], ignore_index=True).dropna(subset=["amount"])
        table["stale"] = table["stale"].eq(True)
        given = {*_CATEGORIES, *people, *self.org.outside}
        table["fitted"] = table["forecaster"].isin(set(knew) - given)
        table = table[table["week"].isin(self.wanted)]
        table = table.reindex(columns=[*COLUMNS, "fitted", *_MORE]).sort_values(
            [*_LOOK, "forecaster"], ignore_index=True
        )
        spoke = set(table["forecaster"])
        knew = {n: k for n, k in knew.items() if n in spoke}
        quota = quota.rename(columns={"amount": "quota"})[_GOAL]
        return Rollups(table, knew, list(dict.fromkeys(self.notes)), quota, self.panel)

    def _corrected(self, own: pd.DataFrame) -> pd.Series:
        """A call times booked over called at the same week before; empty before the unit's second frozen period."""
        past = self._of_the_past(own[[*_LOOK, "amount", "actual"]]).dropna(subset=["actual"])
        sums = past.groupby(_LOOK).agg(f=("amount", "sum"), a=("actual", "sum"), n=("actual", "size"))
        ratio = (sums["a"] / sums["f"]).where((sums["n"] >= 2) & (sums["f"] > 0))
        return own["amount"] * ratio.reindex(pd.MultiIndex.from_frame(own[_LOOK])).to_numpy()


def _expected(rows: pd.DataFrame) -> pd.DataFrame:
    """What is expected, by look and unit."""
    return rows.groupby(_LOOK)["expected"].sum().reset_index()
