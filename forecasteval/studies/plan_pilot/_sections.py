"""The sections of a pilot's plan: what each of them holds, drawn and said."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.inference import power
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.inference.variance_components import NAMES, Components
from forecasteval.report.blocks import Html, Words
from forecasteval.report.figures import Absent, Picture
from forecasteval.studies.plan_pilot import _figures as figures
from forecasteval.studies.plan_pilot._plan import Plan

SAY = Words(__file__)

_REPS_SHOWN = (5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 70, 100)
_DEALS_SHOWN = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500)
_HARDLY = 0.9  # with endless deals more than this share of today's figure is left


@dataclass(frozen=True, eq=False)
class Verdict:
    """The card that answers the question."""

    plan: Plan

    @property
    def headline(self) -> str:
        """One sentence: the pilot's size, the smallest difference it can tell, and for whom."""
        return SAY("headline", self.plan).text

    @property
    def ways(self) -> list[str]:
        """What can be changed until it is enough, what the question is about first."""
        about = {"rep": "reps", "period": "periods"}
        first = [about[d] for d in self.plan.question if d in about] or ["deals"]
        order = [*first, *(w for w in self.plan.needed if w not in first)]
        return [w for w in order if self.plan.needed[w] is not None]

    @property
    def beyond(self) -> list[str]:
        """What no number of would be enough, beside others that are."""
        never = [w for w in ("reps", "periods") if self.plan.needed[w] is None]
        first = "period" in self.plan.question and "rep" not in self.plan.question
        return (never[::-1] if first else never) if self.ways else []

    @property
    def differing(self) -> list[str]:
        """Whose differences more deals of the same reps leave as they are."""
        c = self.plan.components
        spreads = (("rep", "reps", c.rep), ("period", self.plan.quarters, c.period))
        return [noun for dimension, noun, sd in spreads if dimension in self.plan.question and sd > 0]

    @property
    def hardly(self) -> bool:
        """Would endlessly many deals leave most of the figure as it is?"""
        return self.plan.endless > _HARDLY * self.plan.detectable

    @property
    def with_twice_the_deals(self) -> float:
        """What could be told with twice as many deals of the same reps."""
        return self.plan.told(replace(self.plan.design, deals=2 * self.plan.design.deals))

    @property
    def left_open(self) -> list[tuple[str, str]]:
        """What the pilot can say nothing about, and why."""
        dimensions = (("rep", "reps"), ("period", self.plan.quarters))
        return [
            (noun, why)
            for dimension, noun in dimensions
            if dimension not in self.plan.question and (why := self.plan.design.doubt((dimension,)))
        ]

    def words(self) -> Html:
        """The card."""
        return SAY("card", self, self.plan, power.MOST)


@dataclass(frozen=True, eq=False)
class Reps:
    """What can be told by reps, for some numbers of periods."""

    plan: Plan

    @cached_property
    def table(self) -> pd.DataFrame:
        """Quarters, reps, detectable."""
        design, question = self.plan.design, self.plan.question
        usual = (FEW_PERIODS, 8, 12, 20) if "period" in question else (1, 2, 4, 8)
        near = [t for t in usual if t != design.periods][:3]
        fewer = () if "rep" in question else (2, 3, 4)
        rows = [
            {"quarters": t, "reps": g, "detectable": self.plan.told(tried)}
            for t in sorted({*near, design.periods})
            for g in sorted({*fewer, *_REPS_SHOWN, design.reps})
            if not (tried := replace(design, reps=g, periods=t)).doubt(question)
        ]
        return pd.DataFrame(rows, columns=["quarters", "reps", "detectable"])

    def figure(self) -> Picture | Absent:
        """A line for each number of periods."""
        if self.table.empty:
            return Absent(SAY("no_reps", self.plan).text)
        title = SAY("reps_title", self.plan).text
        shown = self.table[self.table["reps"].isin((5, 10, 20, 50, 100))].to_dict("records")
        alt = SAY("reps_alt", title, shown, self.plan).text
        return figures.by_reps(self.plan, self.table, title, alt, SAY("reps_note", self.plan).text)


@dataclass(frozen=True, eq=False)
class Deals:
    """What can be told by deals of the same reps, and what it cannot fall below."""

    plan: Plan

    @cached_property
    def table(self) -> pd.DataFrame:
        """Deals per rep and period, detectable."""
        deals = sorted({*_DEALS_SHOWN, self.plan.design.deals})
        told = [self.plan.told(replace(self.plan.design, deals=n)) for n in deals]
        return pd.DataFrame({"deals": deals, "detectable": told})

    def figure(self) -> Picture:
        """One line, and the reach of endlessly many deals."""
        title = SAY("deals_title", self.plan).text
        alt = SAY("deals_alt", title, self.table.to_dict("records"), self.plan).text
        return figures.by_deals(self.plan, self.table, title, alt, SAY("deals_note", self.plan).text)


@dataclass(frozen=True, eq=False)
class Ladder:
    """Every question: what can be told, with endless deals, and what the wanted difference needs."""

    plan: Plan

    @cached_property
    def rungs(self) -> list[dict[str, Any]]:
        """A row for each question."""
        design, rows = self.plan.design, []
        for question in power.PLANNED:
            few = {"rep": design.reps, "period": design.periods}
            enough = all(few.get(d, 2) > 1 for d in question)
            tried = replace(design, reps=max(design.reps, 2), periods=max(design.periods, 2))
            row: dict[str, Any] = {
                "generalise_to": " and ".join(question),
                "doubt": design.doubt(question),
                "detectable": self.plan.told(question=question) if enough else math.nan,
                "endless": self.plan.told(design.endless, question=question) if enough else math.nan,
            }
            needed = self.plan.fewest(design if enough else tried, question)
            rows.append(row | {f"{what}_needed": number for what, number in needed.items()})
        return rows

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a table."""
        found = pd.DataFrame(self.rungs)
        whole = [c for c in map(str, found.columns) if c.endswith("_needed")]
        return found.astype(dict.fromkeys(whole, "Int64"))

    def words(self) -> Html:
        """The table with what its last columns mean."""
        return SAY("ladder", self.rungs, self.plan, power.MOST)


@dataclass(frozen=True, eq=False)
class Spread:
    """Each component: its SD, where it comes from, how well it is known, its share of the uncertainty."""

    plan: Plan

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per component."""
        plan, none = self.plan, Components(0.0, 0.0, 0.0, 0.0)
        sd = {name: getattr(plan.components, name) for name in NAMES}
        alone = {
            name: power.expected(plan.design, replace(none, **{name: sd[name]}), plan.question).variance
            for name in NAMES
        }
        rows = []
        for name in NAMES:
            known = plan.past is not None and plan.sources[name] == "measured"
            low, high = plan.past.history.within(name) if plan.past and known else (math.nan, math.nan)
            share = alone[name] / sum(alone.values())
            row = {"component": name, "sd": sd[name], "source": plan.sources[name]}
            rows.append(row | {"low": low, "high": high, "share": share})
        return pd.DataFrame(rows)

    def words(self) -> Html:
        """The table with what the history could not tell."""
        return SAY("spread", self.table.to_dict("records"), self.plan)
