"""One pilot to be planned: the parameters of a notebook, and the answer with its sections."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import BeforeValidator, Field

from forecasteval.compare.results import plain
from forecasteval.compare.variance_of_history import measure
from forecasteval.compare.wording import in_unit
from forecasteval.errors import CallError
from forecasteval.inference.limits import FEW_PERIODS, MIN_CLUSTERS
from forecasteval.inference.power import PLANNED, Design
from forecasteval.inference.variance_components import NAMES, Components
from forecasteval.matching.match import Panel
from forecasteval.report.section import Card, said
from forecasteval.scores.probability import brier
from forecasteval.sources.folder import read
from forecasteval.studies.parameters import (
    Level,
    Names,
    Parameters,
    Population,
    Seed,
    TargetName,
    asked_of,
    between,
)
from forecasteval.studies.plan_pilot import _sections as sections
from forecasteval.studies.plan_pilot._plan import Past, Plan
from forecasteval.tables.organisation import about

_WITHOUT_HISTORY = {"reps": 12, "quarters": 4, "deals": 15.0}
_AS_THERE = "0 takes as many as in the history."


def _known_sds(value: Any) -> Any:
    def usable(name: str, sd: Any) -> bool:
        return name in NAMES and isinstance(sd, int | float) and not isinstance(sd, bool) and 0 <= sd < 2

    wrong = [(n, sd) for n, sd in value.items() if not usable(n, sd)] if isinstance(value, dict) else []
    if wrong:
        allowed = f"is not one of {', '.join(NAMES)} with a number of 0 or more."
        raise ValueError("\n".join(f"{name}: {sd!r} {allowed}" for name, sd in wrong))
    return value


class Pilot(Parameters):
    """How large a pilot has to be, for a difference in Brier score that should be told from none.

    In Brier score alone: what is assumed of a pilot (:attr:`assumed`) follows from quantities that a sales team can judge,
    which no other score allows. An AUC is no mean over deals, a bias has no winner.

    Examples
    --------
    >>> Pilot(difference=-1.0, level=95)
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - difference: -1.0 is not between 0 and 1; differences in Brier score are mostly 0.005 to 0.05.
    - level: 95 is not between 0.5 and 1; 0.95 is usual.
    """

    difference: Annotated[float, between(0, 1, "differences in Brier score are mostly 0.005 to 0.05.")] = 0.02
    # whose history is measured
    candidate: str = "model"
    baseline: str = "rep_forecast"
    as_of: str = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    # of the pilot
    reps: Annotated[int, between(0, 2000, _AS_THERE, ends=True)] = 0
    quarters: Annotated[int, between(0, 200, _AS_THERE, ends=True)] = 0
    deals: Annotated[float, between(0, 1e6, f"deals per rep and quarter; {_AS_THERE}", ends=True)] = 0.0
    uneven: Annotated[
        float, between(0, 2, "0 for equal reps, 0.5 as is usual, 0.8 for very unequal ones.", ends=True)
    ] = 0.5
    generalise_to: Annotated[Names, asked_of(PLANNED)] = Field(default_factory=list)
    level: Level = 0.95
    power: Annotated[float, between(0.5, 1, "0.8 is usual: found in four of five such pilots.")] = 0.8
    # assumptions, where no history says
    apart: Annotated[
        float, between(0, 1, "0.2 where the two forecasts of a deal are typically 20 points apart.")
    ] = 0.2
    win_rate: Annotated[float, between(0, 1, "0.25 where a quarter of the deals is won.")] = 0.25
    optimism: Annotated[float, between(-1, 1, "0.1 where reps say 10 points too much.")] = 0.1
    optimism_differs: Annotated[
        float, between(0, 1, "0.1 where reps differ by some 10 points in that.", ends=True)
    ] = 0.1
    swing: Annotated[float, between(0, 0.5, "0.05 where the share won moves by 5 points.", ends=True)] = 0.05
    sds: Annotated[dict[str, float], BeforeValidator(_known_sds)] = Field(default_factory=dict)
    seed: Seed = 0

    @property
    def assumed(self) -> Components:
        """Components of the Brier difference from quantities that a sales team can judge.

        With p_c, p_b the two probabilities and y the outcome, d = (p_c - p_b) (p_c + p_b - 2 y). Hence

        - deal: 2 apart sqrt(w (1 - w)), the spread of d where both are right on average and w is the win rate;
        - rep: a rep whose probabilities are too high by h costs the baseline h^2, and h varies around the mean
          optimism o with SD s, so the SD is sqrt(4 o^2 s^2 + 2 s^4);
        - period: where fewer deals are won than usual by an unforeseen swing v, d moves by 2 o v;
        - rep_period: the same swing within single reps, 2 sqrt(o^2 + s^2) v.
        """
        o, s = self.optimism, self.optimism_differs
        return Components(
            rep=math.sqrt(4 * o**2 * s**2 + 2 * s**4),
            period=2 * abs(o) * self.swing,
            rep_period=2 * math.sqrt(o**2 + s**2) * self.swing,
            deal=2 * self.apart * math.sqrt(self.win_rate * (1 - self.win_rate)),
        )

    def run(self, data: str = "") -> PilotAnswer:
        """Plan from the deals of a data folder; from assumptions alone where none is named.

        Raises
        ------
        CallError
            If the two cannot be measured there, if nothing varies, or if the pilot says nothing about the question.
        """
        past = self._past(data) if data else None
        there, history = _WITHOUT_HISTORY, None if past is None else past.history
        if history is not None:
            there = {"reps": history.reps, "quarters": history.periods, "deals": history.deals}
        design = Design(
            self.reps or int(there["reps"]),
            self.quarters or int(there["quarters"]),
            self.deals or float(there["deals"]),
            uneven=self.uneven,
            sizes=() if history is None else history.sizes,
        )
        components, sources = self.assumed, dict.fromkeys(NAMES, "assumed")
        if history is not None:
            measured = {name: getattr(history.components, name) for name in history.measured}
            components, sources = (
                replace(components, **measured),
                sources | dict.fromkeys(measured, "measured"),
            )
        components, sources = replace(components, **self.sds), sources | dict.fromkeys(self.sds, "given")
        if not any(components.variances):
            raise CallError("Nothing varies: every component is 0, so any difference would be told at once.")
        few = {"rep": design.reps, "period": design.periods}
        if alone := [d for d in self.generalise_to if few.get(d, 2) < 2]:
            noun = {"rep": "rep", "period": "quarter"}[alone[0]]
            raise CallError(
                f"generalise_to: a pilot with one {noun} says nothing about new {noun}s; plan at least two."
            )
        asked = tuple(self.generalise_to)
        wanted = (self.difference, self.level, self.power)
        return PilotAnswer(design, components, sources, asked, *wanted, past, self)

    def _past(self, data: str) -> Past:
        org = read(data)
        options: dict[str, Any] = {"as_of": self.as_of, "target": self.target, "population": self.population}
        matched = Panel(org, **options, seed=self.seed).view([self.candidate, self.baseline])
        if matched.stop:
            raise CallError(f"The history cannot be measured. {matched.stop[0]['text']}")
        history = measure(matched, self.candidate, self.baseline, seed=self.seed)
        periods = matched["period"] if matched.has("period") else None
        return Past(history, matched, org.name, matched.nouns, about(org, periods))


@dataclass(frozen=True, eq=False)
class PilotAnswer(Plan):
    """A plan with the sections of its page; each is worked out when it is asked for."""

    pilot: Pilot

    fewest_reps, fewest_periods = MIN_CLUSTERS["rep"], FEW_PERIODS

    verdict = cached_property(Card)
    glossary = said("glossary")
    reps = cached_property(sections.ByReps)
    deals = cached_property(sections.ByDeals)
    ladder = cached_property(sections.Rungs)
    spread = cached_property(sections.Origins)
    assumptions = said("assumptions")
    method = said("method")
    caveats = said("caveats")

    @property
    def misses(self) -> list[str]:
        """The baseline's miss on a typical deal less the wanted difference, and as it is, in points; none without a history."""
        if self.past is None:
            return []
        deals = self.past.matched
        now = float(brier(deals[self.pilot.baseline], deals["won"]).mean())
        return in_unit("brier", [max(now - self.difference, 0.0), now])[1:]

    @property
    def matched(self) -> pd.DataFrame:
        """The deals of the history that the two forecasters were measured on; none without a history."""
        return pd.DataFrame() if self.past is None else self.past.matched.frame()

    def results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        past = self.past
        sds = asdict(self.components)
        history = None
        if past is not None:
            h = past.history
            history = {"name": past.name, "reps": h.reps, "quarters": h.periods, "rows": h.rows}
            history["notes"] = list(h.notes)
        return plain({
            "schema_version": 1,
            "question": f"How large a pilot tells a difference of {self.difference:g} in Brier score from none?",
            "headline": self.verdict.headline,
            "about": {
                **({} if past is None else past.organisation),
                **self.of_itself("inputs", "change"),
            },
            "primary": "brier",
            "parameters": self.pilot.parameters,
            "generalise_to": self.question,
            "design": {k: v for k, v in asdict(self.design).items() if k != "sizes"},
            "components": {k: {"sd": sd, "source": self.sources[k]} for k, sd in sds.items()},
            "enough": self.enough,
            "doubt": self.doubt,
            "detectable": self.detectable,
            "detectable_between": self.between,
            "detectable_with_endless_deals": self.endless,
            "detectable_with_what_history_has": self.at_hand,
            "needed": self.needed,
            "history": history,
        })  # fmt: skip

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        return {
            "ladder": self.ladder.table,
            "by_reps": self.reps.table,
            "by_deals": self.deals.table,
            "components": self.spread.table,
        }
