"""What a pilot of one size can tell, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from forecasteval.compare import wording
from forecasteval.compare.variance_of_history import History, four_of_five
from forecasteval.inference import power
from forecasteval.inference.power import Design, Question
from forecasteval.inference.variance_components import NAMES, Components
from forecasteval.matching.matched import Matched
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words

_HARDLY = 0.9  # with endless deals more than this share of today's figure is left
_HARDLY_MORE = 1.05  # below this the plan is the same for either forecaster


@dataclass(frozen=True, eq=False)
class Past:
    """A history, its matched deals, and what its folder calls itself and its parts."""

    history: History
    matched: Matched
    name: str
    nouns: Mapping[str, str]
    organisation: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Plan(Answer):
    """A pilot's design, what is known of how differences vary, and what follows.

    ``sources`` says of each component where it is from: "assumed", "measured" or "given"; ``asked`` is empty for the
    most cautious question that the pilot can answer.
    """

    design: Design
    components: Components
    sources: Mapping[str, str]
    asked: Question
    difference: float
    level: float
    aim: float  # the power that is wanted
    past: Past | None

    say = Words(__file__)
    most = power.MOST  # that was looked through for a number that is enough

    @property
    def question(self) -> Question:
        """What the answer is about."""
        return self.asked or self.design.answerable

    @property
    def doubt(self) -> str:
        """Why there would be no verdict, whatever the pilot finds; empty where there would."""
        return self.design.doubt(self.question)

    def told(
        self,
        design: Design | None = None,
        components: Components | None = None,
        question: Question | None = None,
    ) -> float:
        """The smallest difference that can be told from none, by this pilot or by one that differs in something."""
        return power.detectable(
            design or self.design,
            components or self.components,
            question or self.question,
            level=self.level,
            power=self.aim,
        )

    def fewest(self, design: Design | None = None, question: Question | None = None) -> dict[str, int | None]:
        """Fewest reps, periods and deals that are enough for the wanted difference; None where none is."""
        question = question or self.question
        aim = {"level": self.level, "power": self.aim}
        return {
            what: power.fewest(what, design or self.design, self.components, question, self.difference, **aim)
            for what in ("reps", "periods", "deals")
        }

    @cached_property
    def detectable(self) -> float:
        """The smallest difference that the pilot can tell from none."""
        return self.told()

    @cached_property
    def endless(self) -> float:
        """The same with any number of deals of the same reps."""
        return self.told(self.design.endless)

    @property
    def enough(self) -> bool:
        """Can the wanted difference be told?"""
        return not self.doubt and self.detectable <= self.difference

    @cached_property
    def needed(self) -> dict[str, int | None]:
        """Fewest reps, periods and deals that are enough."""
        return self.fewest()

    @cached_property
    def between(self) -> tuple[float, float] | None:
        """Where four of five histories of this size would have put what can be told."""
        if self.past is None:
            return None
        kept = {n: getattr(self.components, n) for n in NAMES if self.sources[n] != "measured"}
        return four_of_five(
            [self.told(components=replace(study, **kept)) for study in self.past.history.studies]
        )

    @cached_property
    def at_hand(self) -> float | None:
        """What can be told with as much as the history has, where the pilot differs from it."""
        if self.past is None:
            return None
        h = self.past.history
        there = replace(self.design, reps=h.reps, periods=h.periods, deals=h.deals)
        question = self.asked or there.answerable
        return None if there == self.design or there.doubt(question) else self.told(there, question=question)

    @property
    def leant(self) -> float | None:
        """The same where the forecaster who is ahead is the one whose bias varies; None where that hardly matters."""
        interval = power.expected(self.design, self.components, self.question)
        found = interval.detectable(level=self.level, power=self.aim, lean=1.0)
        return found if found > _HARDLY_MORE * self.detectable else None

    @property
    def ways(self) -> list[str]:
        """What can be changed until it is enough, what the question is about first."""
        about = {"rep": "reps", "period": "periods"}
        first = [about[d] for d in self.question if d in about] or ["deals"]
        order = [*first, *(w for w in self.needed if w not in first)]
        return [w for w in order if self.needed[w] is not None]

    @property
    def beyond(self) -> list[str]:
        """What no number of would be enough, beside others that are."""
        never = [w for w in ("reps", "periods") if self.needed[w] is None]
        first = "period" in self.question and "rep" not in self.question
        return (never[::-1] if first else never) if self.ways else []

    @property
    def differing(self) -> list[str]:
        """Whose differences more deals of the same reps leave as they are."""
        c = self.components
        spreads = (("rep", "reps", c.rep), ("period", self.quarters, c.period))
        return [noun for dimension, noun, sd in spreads if dimension in self.question and sd > 0]

    @property
    def hardly(self) -> bool:
        """Would endlessly many deals leave most of the figure as it is?"""
        return self.endless > _HARDLY * self.detectable

    @property
    def with_twice_the_deals(self) -> float:
        """What could be told with twice as many deals of the same reps."""
        return self.told(replace(self.design, deals=2 * self.design.deals))

    @property
    def left_open(self) -> list[tuple[str, str]]:
        """What the pilot can say nothing about, and why."""
        dimensions = (("rep", "reps"), ("period", self.quarters))
        return [
            (noun, why)
            for dimension, noun in dimensions
            if dimension not in self.question and (why := self.design.doubt((dimension,)))
        ]

    # --- words that stand all over the page -----------------------------------------------------------

    @property
    def nouns(self) -> dict[str, str]:
        """What reps and periods are called."""
        return {"rep": "reps", "period": "quarters"} | dict({} if self.past is None else self.past.nouns)

    @property
    def quarters(self) -> str:
        """The organisation's word for its periods."""
        return self.nouns["period"]

    @property
    def quarter(self) -> str:
        """The same for one of them."""
        return self.quarters.removesuffix("s")

    def scope(self, question: Sequence[str] = ()) -> str:
        """What may be different next time, in words."""
        return wording.scope(tuple(question) or self.question, self.nouns)

    def rounded(self, deals: float) -> str:
        """Deals per rep and period, with a decimal where there are few."""
        return f"{deals:,.0f}" if deals >= 5 or deals == round(deals) else f"{deals:.1f}"
