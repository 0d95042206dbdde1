"""What the quarter will book, in what range, and whose number to believe: the question, checked, and its answer.

The page speaks about one week of one period. The range is made of the errors that the same forecaster made at the same
week of earlier periods; people's numbers are followed from hand to hand; and where rep and model disagree about a deal,
past deals of that kind say who tends to be right. What needs deals is left out where there are totals only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field

from forecasteval.compare.accuracy import Accuracy, accuracy, by_person, floor
from forecasteval.compare.chain import Chain, chain
from forecasteval.compare.compare import compare
from forecasteval.compare.disagreement import Disagreement, disagreement, open_disagreements
from forecasteval.compare.hindsight import CODE as HINDSIGHT
from forecasteval.compare.misses import Misses, misses
from forecasteval.compare.overrides import Paid, decisions, not_yet_kept, which_paid
from forecasteval.compare.results import plain
from forecasteval.compare.totals import in_time
from forecasteval.compare.track_record import TrackRecord, own_ranges, track_record
from forecasteval.compare.wording import capital
from forecasteval.errors import CallError, nearest
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.matched import Matched, shown_as
from forecasteval.matching.rollups import QUOTA, Rollups, rollups
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.report.section import said
from forecasteval.report.who_was_right import WhoWasRight
from forecasteval.studies.parameters import Level, Names, Parameters, between
from forecasteval.studies.quarter_forecast import _pipeline as pipeline
from forecasteval.studies.quarter_forecast import _sections as sections
from forecasteval.studies.quarter_forecast._wording import called
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org, about, names_of
from forecasteval.tables.period_labels import period_noun

_LEDGER = Path("ledger") / "decisions.jsonl"
_LEVELS = ("rep", "team", "company")
_MACHINES = re.compile(r"(?i)vendor|model|score|predict|einstein|gong|clari|\bai\b|_ai\b")
_RULES = ("closed_and_conversion", "stage_weighted", "category_conversion", "commit")
_HOW = (
    "Fill its last two columns (who or what is believed, and why) and hand it in as the parameter overrides: the ledger "
    "keeps it, and later reports say which decisions paid."
)
_OWN = "rep_forecast"  # the probability that the reps entered


def _lengthened(table: pd.DataFrame) -> pd.DataFrame:
    """Periods that are over and shorter than another one: their last week stands for the weeks that they do not have."""
    over = table[table["actual"].notna() & table["as_of"].notna()]
    if over.empty:
        return table
    ends = over[over["week"] == over.groupby("period")["week"].transform("max")]
    weeks = range(int(ends["week"].min()) + 1, int(table["week"].max()) + 1)
    return pd.concat([table, *(ends[ends["week"] < w].assign(week=w) for w in weeks)], ignore_index=True)


class Quarter(Parameters):
    """What will the period book, in what range, and whose number should be believed?

    Parameters
    ----------
    people : list of str
        Who calls, in the order in which a number is handed on; empty for all that called, from rep to company.
    model : str
        A forecaster that gives probabilities of deals, or totals; it stands beside the people.
    week : int
        Of the period; 0 for the last one that is over.
    period : str
        Empty for the newest.
    team : str
        The column of the deals that makes a team; empty for the one whose values the calls name.
    range_level : float
        The share of ranges that is meant to hold.
    level : float
        Of all other intervals.
    overrides : str
        A filled list of open disagreements; its decisions go into the ledger.
    ledger : str
        The file that is only added to; empty for `ledger/decisions.jsonl` in the data folder.
    show_names : bool
        Names of reps instead of pseudonyms.

    Raises
    ------
    CallError
        Lists every value that is not allowed.
    """

    people: Names = Field(default_factory=list)
    model: str = "model"
    week: Annotated[int, between(0, 60, "0 for the last one that is over.", ends=True)] = 0
    period: str = ""
    team: str = ""
    range_level: Annotated[float, between(0.5, 0.99, "0.8 is usual.", ends=True)] = 0.8
    level: Level = 0.95
    overrides: str = ""
    ledger: str = ""
    show_names: bool = False

    def run(self, org: Org) -> QuarterAnswer:
        """Put the question to an organisation's data, as :func:`forecasteval.read` gives them.

        Raises
        ------
        CallError
            Where there are no totals at all, and for a forecaster, week or period that is not there.
        """
        return QuarterAnswer(self, org)


@dataclass(frozen=True, eq=False)
class QuarterAnswer(Answer):
    """What the data say about the period; everything is computed when it is asked for, and once."""

    question: Quarter
    org: Org

    say = Words(__file__, called=called)

    # --- who speaks, and when -------------------------------------------------------------------------

    @cached_property
    def rollups(self) -> Rollups:
        """Everybody's totals; one row per period, week, unit and forecaster."""
        q = self.question
        models = [q.model] if q.model in BUILT_IN else []
        found = rollups(self.org, team=q.team or None, kind=self.kinds.column or None, models=models)
        table = found.table.assign(week=found.table["week"].fillna(0).astype(int))
        if (table["week"] == 0).all() and table[
            "as_of"
        ].notna().any():  # dated, without a calendar: the last word of each
            key = ["period", "level", "unit", "forecaster"]
            table = table.sort_values("as_of", kind="stable").drop_duplicates(key, keep="last")
        if table.empty:
            raise CallError(
                "There are no totals: nobody called a number (a quota is none), and no deal has a history."
            )
        quota = found.quota.assign(week=found.quota["week"].fillna(0).astype(int))
        return replace(found, table=_lengthened(table), quota=quota)

    @cached_property
    def period(self) -> str:
        """The period that the page is about."""
        order, asked = self.order, self.question.period
        if asked and asked not in order:
            raise CallError(
                f"period: {asked!r} is not one of {', '.join(order)}. {nearest(asked, list(order))}".rstrip()
            )
        return asked or max(order, key=order.__getitem__)

    @cached_property
    def week(self) -> int:
        """The week that the page is about; 0 where the data know no weeks."""
        table, asked = self.rollups.table, self.question.week
        own = table[table["period"] == self.period].sort_values("week", kind="stable")
        there = sorted(own[sections.first_seen(own)]["week"].unique())
        if asked and asked not in there:
            raise CallError(
                f"week: {self.period} has no week {asked} that is over; it has {', '.join(map(str, there))}."
            )
        return int(asked or there[-1])

    @cached_property
    def calls(self) -> list[str]:
        """Everybody who called a number, the finest level first."""
        calls = self.org.calls
        if calls is None or calls.empty:
            return []
        finest = (
            calls.assign(place=calls["unit"].map(_LEVELS.index))
            .groupby("forecaster", sort=False)["place"]
            .min()
        )
        return [str(n) for n in finest.sort_values(kind="stable").index if n != QUOTA]

    @cached_property
    def people(self) -> list[str]:
        """Those who hand a number on, in that order."""
        asked, there = self.question.people, set(self.rollups.table["forecaster"])
        if unknown := [n for n in asked if n not in there]:
            listed = ", ".join(sorted(there))
            raise CallError(f"people: there is no {', '.join(unknown)}; these give totals: {listed}.")
        return list(asked) or [n for n in self.calls if not _MACHINES.search(n) and n in there]

    @cached_property
    def machine(self) -> str:
        """The model's or vendor's total; empty where there is none."""
        there, asked = set(self.rollups.table["forecaster"]), self.question.model
        machines = [n for n in self.calls if n not in self.people and _MACHINES.search(n)]
        wanted = [f"{asked}_and_new", asked, *machines]
        known = asked in BUILT_IN or any(n in there for n in wanted[:2])
        if asked and not known:
            raise CallError(
                f"model: there is no {asked}; {nearest(asked, sorted(there))}name one of the forecasters."
            )
        return next((n for n in wanted if n in there), "")

    @cached_property
    def primary(self) -> str:
        """Whose number carries the range: by a fixed order, never by who did best."""
        there = set(self.now["forecaster"])
        return next((n for n in (self.machine, *_RULES, *self.people[::-1]) if n and n in there), "")

    @cached_property
    def shown(self) -> list[str]:
        """Those that stand in the pictures."""
        there = set(self.company["forecaster"])
        names = [*self.people, self.machine, *_RULES[:2]]
        return [n for n in dict.fromkeys(names) if n in there][:6]

    @property
    def handed(self) -> str:
        """Who hands a number to whom."""
        return capital(" → ".join(called(n) for n in self.people))

    @property
    def explained(self) -> list[tuple[str, str]]:
        """What each of those who are shown knew."""
        found: dict[str, list[str]] = {}
        for n in dict.fromkeys([*self.path.names, *self.shown]):
            if n in self.rollups.knew:
                found.setdefault(self.rollups.knew[n], []).append(called(n))
        return [(capital(", ".join(names)), capital(knew)) for knew, names in found.items()]

    # --- totals ---------------------------------------------------------------------------------------

    @cached_property
    def company(self) -> pd.DataFrame:
        """The company's totals at every week, without those who knew the outcome."""
        rows = self.rollups.at()
        out = [n for n in rows["forecaster"].unique() if self._by_one_who_knew(n)]
        return rows[~rows["forecaster"].isin(out)].reset_index(drop=True)

    def _by_one_who_knew(self, name: str) -> bool:
        return any(name == k or name.startswith(f"{k}_") or f"_{k}_" in name for k in self.knew)

    @cached_property
    def this_week(self) -> pd.DataFrame:
        """The company's totals at this week of every period."""
        return self.company[self.company["week"] == self.week].reset_index(drop=True)

    @cached_property
    def now(self) -> pd.DataFrame:
        """The company's totals at this week of this period."""
        rows = self.rollups.at(self.week)
        return rows[rows["period"] == self.period].reset_index(drop=True)

    @cached_property
    def before(self) -> list[str]:
        """The periods that are over, oldest first."""
        over = self.company.dropna(subset=["actual"])["period"].unique()
        return sorted((str(p) for p in over if p != self.period), key=self.order.__getitem__)

    @cached_property
    def order(self) -> dict[str, int]:
        """The place of each period in time."""
        return in_time(self.rollups.table)

    @cached_property
    def noun(self) -> str:
        """What periods are called."""
        return period_noun(self.order, self.org.periods)

    @property
    def one(self) -> str:
        """What one period is called."""
        return self.noun.removesuffix("s")

    @property
    def currency(self) -> str | None:
        """The organisation's currency."""
        return self.org.settings.currency

    def people_shown(self, units: pd.Series) -> Mapping[Any, str]:
        """Names of reps, or what stands for them; teams keep their names."""
        names = names_of(self.org) if self.question.show_names else False
        return shown_as(units.dropna().astype(str), names)

    @cached_property
    def record(self) -> TrackRecord | str:
        """The primary range at every week of every period, or why there is none."""
        if not self.primary:
            return "Nobody gave a number at this week."
        try:
            return track_record(self.company, self.primary, level=self.question.range_level)
        except CallError:
            return f"No range: it is made of relative errors, and no number of {called(self.primary)} lies above 0."

    @cached_property
    def below_zero(self) -> int:
        """Periods with a number of 0 or less of whoever carries the range: they can have no part in it."""
        rows = self.this_week[self.this_week["forecaster"] == self.primary]
        return int((rows["amount"] <= 0).sum())

    @cached_property
    def own(self) -> dict[str, TrackRecord]:
        """The ranges that people or vendors gave themselves: at the company's level, else the reps' own."""
        found = {}
        for level in ("company", "team", "rep"):
            rows = self.rollups.at(self.week, level)
            for name in rows.loc[rows["low"].notna(), "forecaster"].unique():
                if name not in found:
                    found[name] = own_ranges(rows, name)
        return found

    @cached_property
    def chain(self) -> Chain | str:
        """What each hand-over did to the error at this week, or why nobody knows."""
        people = [n for n in self.people if n in set(self.this_week["forecaster"])]
        beside = [self.machine] if self.machine and self.machine not in people and not self.knew_model else []
        if len(people) + len(beside) < 2 or not people:
            return "A chain needs two who give a number: nobody handed one on."
        rows = self.rollups.table
        try:
            found = chain(rows[rows["week"] == self.week], people, beside=beside, level=self.question.level)
        except CallError as error:
            return str(error)
        told = found.steps["difference"].notna().all()
        return found if told else "Nothing was booked, so no error is a share of it."

    @cached_property
    def accuracies(self) -> dict[str, Accuracy]:
        """Accuracy of everybody who spoke at this week of a period that is over."""
        rows = self.this_week.dropna(subset=["actual"])
        return {n: accuracy(rows, n) for n in dict.fromkeys([*self.shown, *rows["forecaster"].unique()])
                if n in set(rows["forecaster"])}  # fmt: skip

    @cached_property
    def by_unit(self) -> pd.DataFrame | None:
        """Forecast over actual of each rep, or of each team: the first of the chain's, at this week."""
        for level in ("rep", "team"):
            rows = self.rollups.at(self.week, level)
            rows = rows[rows["forecaster"].isin(self.people[:1])].dropna(subset=["actual"])
            if len(set(rows["unit"])) > 1:
                found = by_person(rows, self.people[0], level=self.question.level)
                units = found["unit"]
                shown = units.map(self.people_shown(rows["unit"])) if level == "rep" else units
                found = found.assign(unit=shown, level=level)
                return found.sort_values("actual", ascending=False, kind="stable", ignore_index=True)
        return None

    @property
    def listed(self) -> str:
        """Which open deals were expected to be won: those in Commit, or all where no categories are kept."""
        history = self.org.history
        return "commit" if history is not None and history["rep_category"].notna().any() else "all"

    @cached_property
    def floor(self) -> float:
        """What even a calibrated forecast would have missed at this week; NaN without probabilities."""
        return floor(self.this_week, self.machine) if self.machine else math.nan

    @cached_property
    def missed(self) -> Misses | str:
        """Why each period that is over was missed, from this week's list to what was booked; or why nobody knows."""
        return self._missed_from(self.week)

    @cached_property
    def missed_from_start(self) -> Misses | str:
        """The same from the first week on, the way of the whole period."""
        return self.missed if self.week == 1 else self._missed_from(1)

    def _missed_from(self, week: int) -> Misses | str:
        if self.org.history is None or self.org.deals is None:
            return "This needs deals with a history; here are totals only."
        try:
            return misses(self.org, week=week, deals=self.listed)
        except CallError as error:
            return str(error)

    # --- deals ----------------------------------------------------------------------------------------

    @property
    def _scorer(self) -> str:
        """Who gives probabilities of deals beside the reps."""
        return self.question.model if self.question.model in [*BUILT_IN, *self.org.outside] else ""

    def _view(self, name: str) -> Matched | None:
        panel = self.rollups.panel
        if panel is None or self.org.deals is None or self.week == 0 or not name:
            return None
        return panel.view([name, _OWN], f"week {self.week}")

    @cached_property
    def knew(self) -> dict[str, str]:
        """Scores that knew how the deals ended, with what shows it: no number of theirs is shown."""
        found: dict[str, str] = {}
        for name in self.org.outside:
            view = self._view(name)
            if view is None or view.stop or not view.is_probability(name) or not view.is_probability(_OWN):
                continue
            view = view.rows(view["won"].notna().to_numpy(), flow=[])
            if len(view.table):
                told = compare(view, name, _OWN, metrics=["brier"]).primary["reasons"]
                said = [r["text"] for r in told if r["code"] == HINDSIGHT and r["text"].startswith(name)]
                found |= dict.fromkeys([name], said[0]) if said else {}
        return found

    @property
    def knew_model(self) -> bool:
        """Did the model itself know the outcome?"""
        return self.question.model in self.knew

    @cached_property
    def _deals(self) -> Matched | str:
        """The deals of this week with what rep and model said, those still open with them; or why there are none."""
        view = self._view(self._scorer)
        if view is None:
            return "This needs deals, each with a rep's and a model's probability; here are totals only."
        return str(view.stop[0]["text"]) if view.stop else view

    @cached_property
    def disagreement(self) -> Disagreement | str:
        """Who was right where rep and model were apart, or why nobody knows."""
        if isinstance(self._deals, str):
            return self._deals
        by = [*self.org.settings.segments, "rep"]
        names = names_of(self.org) if self.question.show_names else False
        found = disagreement(
            self._deals, self._scorer, _OWN, by=by, level=self.question.level, show_names=names
        )
        return found.reason or found

    @cached_property
    def _disputed(self) -> pd.DataFrame:
        if isinstance(self._deals, str):
            return pd.DataFrame()
        found = open_disagreements(self._deals, self._scorer, _OWN)
        return found[found["period"].astype(str) == self.period].reset_index(drop=True)

    @cached_property
    def disputed(self) -> pd.DataFrame:
        """The open deals on which rep and model are far apart, for a person to decide; reps as they are shown."""
        if self._disputed.empty or "rep" not in self._disputed:
            return self._disputed
        assert isinstance(self._deals, Matched)
        shown = self.people_shown(self._deals["rep"])
        return self._disputed.assign(rep=self._disputed["rep"].map(lambda r: shown.get(str(r), r)))

    # --- the ledger of decisions ----------------------------------------------------------------------

    @cached_property
    def book(self) -> Ledger:
        """The ledger as it stands."""
        path = Path(self.question.ledger) if self.question.ledger else (self.org.folder or Path()) / _LEDGER
        return ledger.read(path)

    @cached_property
    def decided(self) -> list[dict[str, Any]]:
        """The decisions of the filled list that the ledger does not hold yet."""
        if not self.question.overrides:
            return []
        made = decisions(self.question.overrides, self._scorer, _OWN, self.disputed)
        return not_yet_kept(self.book, [e | {"week": self.week} for e in made])

    @cached_property
    def paid(self) -> Paid:
        """Which decisions paid, of those whose deals have ended."""
        known = pd.DataFrame(columns=["deal_id", "period", "won"])
        if not isinstance(self._deals, str):
            known = self._outcomes()
        return which_paid(self.book, known, self._scorer, level=self.question.level)

    def _outcomes(self) -> pd.DataFrame:
        """How the deals of the ledger ended, whatever week they were decided in."""
        weeks = {int(e.get("week", self.week)) for e in self.book.of("decision")} | {self.week}
        panel = self.rollups.panel
        assert panel is not None
        looks = [f"week {w}" for w in sorted(weeks)]
        return panel.view([_OWN], looks, pool=True).table[["deal_id", "period", "won"]]

    def keep(self) -> Ledger:
        """Write the decisions of the filled list into the ledger; nothing, where there is nothing new.

        Raises
        ------
        CallError
            If another run has written meanwhile.
        """
        return ledger.append(self.book, self.decided)

    # --- the sections ---------------------------------------------------------------------------------

    verdict = cached_property(sections.Outlook)
    path = cached_property(sections.Path)
    last = cached_property(sections.Last)
    ranges = cached_property(sections.Ranges)
    accuracy = cached_property(sections.Accurate)
    steps = cached_property(sections.Steps)
    overrides = cached_property(sections.Overrides)
    why = cached_property(sections.Why)
    reps = cached_property(sections.Callers)
    pacing = cached_property(pipeline.Pacing)
    at_its_word = cached_property(pipeline.AtItsWord)
    kinds = cached_property(pipeline.Kinds)
    method = said("method")
    caveats = cached_property(sections.Raised)

    @cached_property
    def apart(self) -> WhoWasRight:
        """Where rep and model disagree: who was right, and which deals are in dispute today."""
        say = {_OWN: "the rep", self._scorer: called(self._scorer)}
        return WhoWasRight(self.disagreement, self.disputed, self.currency, say, _HOW, unfolded=True)

    # --- what leaves with the report ------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        v, c = self.verdict, self.chain
        steps = {} if isinstance(c, str) else c.comparisons
        last = list(steps.values())[-1] if steps else None
        return plain({
            "schema_version": 1,
            "question": "What will be booked, in what range, and whose number should be believed?",
            "parameters": self.question.parameters,
            "headline": v.headline,
            "about": about(self.org, self.rollups.table["period"]) | self.of_itself("inputs", "change"),
            "primary": "wmape",
            "estimand": last.estimand if last else v.headline,
            "flow": last.flow.to_dict("records") if last else [],
            "comparisons": [s.primary for s in reversed(list(steps.values()))],
            "period": self.period,
            "week": self.week,
            "open": v.open,
            "range": v.range,
            "closed_to_date": v.closed,
            "says": v.says,
            "track_record": self.ranges.results(),
            "accuracy": self.accuracy.results(),
            "chain": {"reason": c} if isinstance(c, str) else c.to_dict(),
            "who_was_right": self.apart.results(),
            "open_disagreements": self.apart.open,
            "overrides": {"entries": len(self.book.entries), "new": len(self.decided), **self.paid.to_dict()},
            "why_missed": self.why.results(),
            "reps": None if self.by_unit is None else self.by_unit.to_dict("records"),
            "quota": self.pacing.results(),
            "at_its_word": self.at_its_word.results(),
            "kinds": self.kinds.results(),
            "error_floor": self.floor,
            "knew_the_outcome": self.knew,
        })  # fmt: skip

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        word, chained = self.at_its_word, getattr(self.chain, "steps", None)
        found = {
            "totals": self.rollups.at(self.week).drop(columns=["booked_squares"]),
            "accuracy": self.accuracy.table,
            "by_week": self.accuracy.by_week,
            "track_record": getattr(self.record, "table", None),
            "chain": None if chained is None else chained.drop(columns="reasons"),
            "who_was_right": getattr(self.disagreement, "bands", None),
            "open_disagreements": self.disputed,
            "why_missed": getattr(self.missed, "table", None),
            "reps": self.by_unit,
            "pacing": self.pacing.table,
            "close_dates": word.dates,
            "pushes": word.pushes,
            "kinds": self.kinds.table,
        }
        return {name: table for name, table in found.items() if table is not None and len(table)}
