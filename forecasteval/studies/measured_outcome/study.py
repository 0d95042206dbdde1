"""Did breach rates fall, close rates rise, response times tighten after a feature was switched on? Beside units without it.

Everything is computed by :func:`forecasteval.measured_outcome`; here it is asked for, said and drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import pandas as pd

from forecasteval.compare.measured_outcome import Effect, Terms
from forecasteval.compare.results import plain
from forecasteval.compare.wording import number
from forecasteval.errors import CallError
from forecasteval.matching.matched import pseudonyms
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.report.section import Card, said
from forecasteval.studies.measured_outcome import _sections as sections
from forecasteval.studies.parameters import Day, Level, Margin, Parameters, Seed, between, one_of
from forecasteval.tables.organisation import Org, about


class Measured(Parameters):
    """Did an outcome change where a feature was switched on, more than where it was not?

    Parameters
    ----------
    outcome : str
        Which of the table's outcomes; empty where it holds one.
    feature, instead : str
        What the units got, and what the others had, in words.
    better : "higher" or "lower"
    measured_in : str
        The unit of the values, such as hours; shares need none.
    horizon : float
        For times: waiting counts up to here; 0 for what is no time.
    since : str
        The start that is meant, where units started on different days.
    settle : int
        Days after the start that do not count.
    every : int
        Days in a block of time of the pictures and of the trends before the start.
    weigh : "cases" or "units"
    level : float
    margin : float
        The largest effect that does not matter; 0 for none.
    seed : int
        Of the groups that are drawn.
    """

    outcome: str = ""
    feature: str = "the feature"
    instead: str = "without it"
    better: Annotated[str, one_of(("higher", "lower"))] = "higher"
    measured_in: str = ""
    horizon: Annotated[
        float, between(0, 1e9, "in the unit of the values; 0 for what is no time.", ends=True)
    ] = 0.0
    since: Day = ""
    settle: Annotated[int, between(0, 3660, "days after the start that do not count.", ends=True)] = 0
    every: Annotated[int, between(1, 366, "28 days are usual.", ends=True)] = 28
    weigh: Annotated[str, one_of(("cases", "units"))] = "cases"
    level: Level = 0.95
    margin: Margin = 0.0
    seed: Seed = 0

    @property
    def terms(self) -> Terms:
        """The same for the estimator."""
        return Terms(
            outcome=self.outcome or None, better=self.better, since=pd.Timestamp(self.since) if self.since else None,
            horizon=self.horizon or None, settle=self.settle, every=self.every, weigh=self.weigh, level=self.level,
            margin=self.margin or None, seed=self.seed, names=(self.feature, self.instead),
        )  # fmt: skip

    def run(self, org: Org) -> MeasuredAnswer:
        """Measure it in the organisation's outcomes.

        Raises
        ------
        CallError
            Without ``outcomes.csv``, for several outcomes or starts of which none is named, and for what cannot be measured.
        """
        if org.outcomes is None:
            raise CallError(
                f"{org.name} has no outcomes. Write outcomes.csv into the data folder: one row per case, or per unit and day, "
                "with unit, on, value and since (the day on which the unit got the feature; empty for units without it)."
            )
        return MeasuredAnswer(self, org, Effect.of(org.outcomes, self.terms))


@dataclass(frozen=True, eq=False)
class MeasuredAnswer(Answer):
    """What the feature did, and how the past of the same table speaks to it."""

    say = Words(__file__)
    question: Measured
    org: Org
    effect: Effect

    verdict = cached_property(Card)
    groups = cached_property(sections.Groups)
    past = said("past")
    otherwise = cached_property(sections.Otherwise)
    method = said("method")
    caveats = said("caveats")

    # --- numbers as people say them ------------------------------------------------------------------------

    def at(self, value: float) -> str:
        """A level of the outcome."""
        if math.isnan(value):
            return "–"
        return f"{100 * value:.1f}%" if self.effect.share else f"{self._figure(value)}{self._unit}"

    def by(self, value: float, *, signed: bool = False, unit: bool = True) -> str:
        """A change of the outcome; shares in points."""
        if math.isnan(value):
            return "–"
        text = number(100 * value, 1) if self.effect.share else self._figure(value)
        text = f"+{text}" if signed and value > 0 and text.strip("0.") else text
        return f"{text}{' points' if self.effect.share else self._unit}" if unit else text

    @property
    def _unit(self) -> str:
        return f" {self.question.measured_in}" if self.question.measured_in else ""

    def _figure(self, value: float) -> str:
        """Digits for a number of the size of the outcome's."""
        size = abs(self.effect.sides["treated"]["after"]) or 1.0
        return number(value, min(max(2 - math.floor(math.log10(size)), 0), 4) if size < 1000 else 0)

    @property
    def changes(self) -> tuple[float, float]:
        """How the treated units and the others changed."""
        sides = self.effect.sides
        return tuple(sides[s]["after"] - sides[s]["before"] for s in ("treated", "others"))  # type: ignore[return-value]

    @property
    def found_on_dates(self) -> int:
        """On how many of the dates on which nothing happened an effect is found."""
        dates = self.effect.placebo_dates
        return int(((dates["low"] > 0) | (dates["high"] < 0)).sum())

    # --- what leaves ------------------------------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        effect = self.effect
        row = effect.to_dict()
        checks = row.pop("checks")
        return plain({
            "schema_version": 1,
            "question": f"Did {effect.name} change because of {self.question.feature}?",
            "headline": self.verdict.headline,
            "about": {**about(self.org), **self.of_itself("inputs", "judges", "people", "change")},
            "primary": effect.name,
            "counted": "cases",
            "estimand": self.text("estimand"),
            "parameters": self.question.parameters,
            "started_on": f"{effect.start:%Y-%m-%d}",
            "flow": effect.flow,
            "comparisons": [row],
            "checks": checks,
        })  # fmt: skip

    def tables(self) -> dict[str, pd.DataFrame]:
        """Units (under pseudonyms), blocks of time, and the effect in other ways."""
        names = pseudonyms(self.effect.units.sort_values("weight").index, "unit")
        units = self.effect.units.rename(index=names).rename_axis("unit").reset_index()
        blocks, dates = self.groups.course, self.effect.placebo_dates
        return {"units": units, "blocks": blocks, "otherwise": self.otherwise.table, "placebo_dates": dates}
