"""One pilot to be planned: the parameters of a notebook, checked, and what they lead to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.results import plain
from forecasteval.compare.variance_of_history import History, measure
from forecasteval.errors import CallError
from forecasteval.inference import power as planning
from forecasteval.inference import variance_components as variance
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.inference.power import Design, Question
from forecasteval.inference.variance_components import NAMES, Components
from forecasteval.matching.match import match
from forecasteval.matching.matched import META
from forecasteval.sources.folder import read

WITHOUT_HISTORY = {"reps": 12, "quarters": 4, "deals": 15.0}
REPS_SHOWN = (5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 70, 100)
DEALS_SHOWN = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500)


@dataclass(frozen=True)
class Past:
    """A history with what its table says of itself."""

    history: History
    name: str
    when: str
    nouns: Mapping[str, str]


@dataclass(frozen=True)
class Plan:
    """What a pilot of this size can tell.

    Attributes
    ----------
    design : Design
    components : Components
    sources : dict
        "assumed", "measured" or "given" by component.
    question : tuple of str
        What the answer is about; see :data:`forecasteval.estimates.QUESTIONS`.
    detectable, endless : float
        The smallest difference that can be told, and that with any number of deals of the same reps.
    between : (float, float) or None
        Where four of five histories of this size would have put `detectable`.
    at_hand : float or None
        The smallest difference that can be told with as much as the history has, where the pilot differs from it.
    needed : dict
        Fewest reps, quarters and deals that are enough for the wanted difference; None where none is.
    ladder, by_reps, by_deals, spread : DataFrame
    """

    pilot: Pilot
    past: Past | None
    design: Design
    components: Components
    sources: Mapping[str, str]
    question: Question
    doubt: str
    detectable: float
    endless: float
    between: tuple[float, float] | None
    at_hand: float | None
    needed: Mapping[str, int | None]
    ladder: pd.DataFrame
    by_reps: pd.DataFrame
    by_deals: pd.DataFrame
    spread: pd.DataFrame
    nouns: Mapping[str, str]

    @property
    def enough(self) -> bool:
        """Can the wanted difference be told?"""
        return not self.doubt and self.detectable <= self.pilot.difference


@dataclass(frozen=True)
class Pilot:
    """How large a pilot has to be; every value is checked when it is made.

    Parameters
    ----------
    difference : float
        The difference in Brier score that should be told from none.
    candidate, baseline, as_of, target, population : str
        Whose history is measured; as in :class:`forecasteval.Question`.
    reps, quarters : int
        Of the pilot; 0 for as many as in the history.
    deals : float
        Per rep and quarter; 0 for as many as in the history.
    uneven : float
        How unequal reps are (SD of the logarithm of their deals), where no history says.
    generalise_to : list of str
        Empty for the most cautious question that a pilot of this size can answer.
    level, power : float
    apart, win_rate, optimism, optimism_differs, swing : float
        Assumptions; see :func:`forecasteval.variance.assumed`.
    sds : dict
        Standard deviations that replace what is assumed or measured: rep, period, rep_period, deal.
    seed : int

    Raises
    ------
    CallError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Pilot(difference=-1.0, level=95)
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - difference: -1.0 is not between 0 and 1; differences in Brier score are mostly 0.005 to 0.05.
    - level: 95 is not between 0.5 and 1; 0.95 is usual.
    """

    difference: float = 0.02
    candidate: str = "model"
    baseline: str = "rep_forecast"
    as_of: str = "week 4"
    target: str = "won in period"
    population: str = "closing in period"
    reps: int = 0
    quarters: int = 0
    deals: float = 0.0
    uneven: float = 0.5
    generalise_to: Sequence[str] = ()
    level: float = 0.95
    power: float = 0.8
    apart: float = 0.2
    win_rate: float = 0.25
    optimism: float = 0.1
    optimism_differs: float = 0.1
    swing: float = 0.05
    sds: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be used, all at once."""
        wrong: list[str] = []

        def within(name: str, low: float, high: float, advice: str, *, ends: bool = False) -> None:
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and (low < value < high or (ends and low <= value <= high))):
                wrong.append(f"{name}: {value!r} is not between {low:g} and {high:g}; {advice}")

        within("difference", 0, 1, "differences in Brier score are mostly 0.005 to 0.05.")
        within("level", 0.5, 1, "0.95 is usual.")
        within("power", 0.5, 1, "0.8 is usual: found in four of five such pilots.")
        within("reps", 0, 2000, "0 takes as many as in the history.", ends=True)
        within("quarters", 0, 200, "0 takes as many as in the history.", ends=True)
        within("deals", 0, 1e6, "deals per rep and quarter; 0 takes as many as in the history.", ends=True)
        within("uneven", 0, 2, "0 for equal reps, 0.5 as is usual, 0.8 for very unequal ones.", ends=True)
        within("apart", 0, 1, "0.2 where the two forecasts of a deal are typically 20 points apart.")
        within("win_rate", 0, 1, "0.25 where a quarter of the deals is won.")
        within("optimism", -1, 1, "0.1 where reps say 10 points too much.")
        within("optimism_differs", 0, 1, "0.1 where reps differ by some 10 points in that.", ends=True)
        within("swing", 0, 0.5, "0.05 where the share won moves by 5 points.", ends=True)
        if self.generalise_to and tuple(self.generalise_to) not in planning.QUESTIONS:
            allowed = "; ".join(str(list(q)) for q in planning.QUESTIONS)
            wrong.append(f"generalise_to: {list(self.generalise_to)} is not one of {allowed}.")
        for name, value in self.sds.items():
            number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2
            if name not in NAMES or not number:
                wrong.append(
                    f"sds: {name}: {value!r} is not one of {', '.join(NAMES)} with a number of 0 or more."
                )
        if wrong:
            count = f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:"
            raise CallError("\n- ".join([count, *wrong]))

    def past(self, data: str) -> Past | None:
        """What the deals of a data folder tell; None where no folder is named.

        Raises
        ------
        CallError
            If the two cannot be measured there; says why.
        """
        if not data:
            return None
        org = read(data)
        matched = match(
            org,
            as_of=self.as_of,
            target=self.target,
            population=self.population,
            forecasters=[self.candidate, self.baseline],
            seed=self.seed,
        )
        meta = matched.attrs.get(META, {})
        if meta.get("stop"):
            raise CallError(f"The history cannot be measured. {meta['stop'][0]['text']}")
        history = measure(matched, self.candidate, self.baseline, seed=self.seed)
        return Past(history, org.name, str(meta.get("when", "")), meta.get("nouns", {}))

    def _design(self, history: History | None) -> Design:
        if history is None:
            there = WITHOUT_HISTORY
        else:
            there = {"reps": history.reps, "quarters": history.periods, "deals": history.deals}
        return Design(
            self.reps or int(there["reps"]),
            self.quarters or int(there["quarters"]),
            self.deals or float(there["deals"]),
            uneven=self.uneven,
            sizes=() if history is None else history.sizes,
        )

    @property
    def assumed(self) -> Components:
        """The components that the assumptions amount to."""
        return variance.assumed(
            apart=self.apart,
            win_rate=self.win_rate,
            optimism=self.optimism,
            optimism_differs=self.optimism_differs,
            swing=self.swing,
        )

    def _components(self, history: History | None) -> tuple[Components, dict[str, str]]:
        source = dict.fromkeys(NAMES, "assumed")
        found = self.assumed
        if history is not None:
            measured = [n for n in NAMES if n not in history.unmeasured]
            found = variance.with_sds(found, {n: getattr(history.components, n) for n in measured})
            source |= dict.fromkeys(measured, "measured")
        source |= dict.fromkeys(self.sds, "given")
        return variance.with_sds(found, self.sds), source

    @property
    def _aim(self) -> dict[str, float]:
        return {"level": self.level, "power": self.power}

    def plan(self, past: Past | None = None) -> Plan:
        """What a pilot of this size can tell, and what size the wanted difference needs."""
        history = None if past is None else past.history
        design = self._design(history)
        components, sources = self._components(history)
        if not any(asdict(components).values()):
            raise CallError("Nothing varies: every component is 0, so any difference would be told at once.")
        question = tuple(self.generalise_to) or planning.answerable(design)
        few = {"rep": design.reps, "period": design.periods}
        alone = [d for d in question if few.get(d, 2) < 2]
        if alone:
            noun = {"rep": "rep", "period": "quarter"}[alone[0]]
            raise CallError(
                f"generalise_to: a pilot with one {noun} says nothing about new {noun}s; plan at least two."
            )
        between = None
        if history is not None:
            told = [
                planning.detectable(
                    design, self._restudied(study, sources, components), question, **self._aim
                )
                for study in history.studies
            ]
            low, high = np.quantile(told, variance.RANGE)
            between = (float(low), float(high))
        wanted = {
            what: planning.fewest(what, design, components, question, self.difference, **self._aim)
            for what in ("reps", "periods", "deals")
        }
        return Plan(
            pilot=self,
            past=past,
            design=design,
            components=components,
            sources=sources,
            question=question,
            doubt=planning.doubt(design, question),
            detectable=planning.detectable(design, components, question, **self._aim),
            endless=planning.endless(design, components, question, **self._aim),
            between=between,
            at_hand=self._at_hand(history, design, components),
            needed=wanted,
            ladder=self._ladder(design, components),
            by_reps=self._by_reps(design, components, question),
            by_deals=self._by_deals(design, components, question),
            spread=_spread(design, components, sources, question, history),
            nouns={"rep": "reps", "period": "quarters"} | dict({} if past is None else past.nouns),
        )

    def _at_hand(self, history: History | None, design: Design, components: Components) -> float | None:
        if history is None:
            return None
        there = replace(design, reps=history.reps, periods=history.periods, deals=history.deals)
        question = tuple(self.generalise_to) or planning.answerable(there)
        if there == design or planning.doubt(there, question):
            return None
        return planning.detectable(there, components, question, **self._aim)

    def _restudied(self, study: Components, sources: Mapping[str, str], components: Components) -> Components:
        kept = {n: getattr(components, n) for n in NAMES if sources[n] != "measured"}
        return variance.with_sds(study, kept)

    def _ladder(self, design: Design, components: Components) -> pd.DataFrame:
        """Every question: what can be told, with endless deals, and what the wanted difference needs."""
        rows = []
        for question in planning.QUESTIONS:
            enough = ("rep" not in question or design.reps > 1) and (
                "period" not in question or design.periods > 1
            )
            row: dict[str, Any] = {
                "generalise_to": " and ".join(question),
                "doubt": planning.doubt(design, question),
                "detectable": math.nan,
                "endless": math.nan,
            }
            if enough:
                row["detectable"] = planning.detectable(design, components, question, **self._aim)
                row["endless"] = planning.endless(design, components, question, **self._aim)
            tried = (
                design
                if enough
                else replace(design, reps=max(design.reps, 2), periods=max(design.periods, 2))
            )
            for what in ("reps", "periods", "deals"):
                number = planning.fewest(what, tried, components, question, self.difference, **self._aim)
                row[f"{what}_needed"] = number
            rows.append(row)
        found = pd.DataFrame(rows)
        whole = [c for c in map(str, found.columns) if c.endswith("_needed")]
        return found.astype(dict.fromkeys(whole, "Int64"))

    def _by_reps(self, design: Design, components: Components, question: Question) -> pd.DataFrame:
        """The smallest detectable difference by reps, for some numbers of quarters."""
        usual = (FEW_PERIODS, 8, 12, 20) if "period" in question else (1, 2, 4, 8)
        near = [t for t in usual if t != design.periods][:3]
        reps = sorted(
            {*REPS_SHOWN, design.reps} if "rep" in question else {2, 3, 4, *REPS_SHOWN, design.reps}
        )
        rows = [
            {
                "quarters": t,
                "reps": g,
                "detectable": planning.detectable(tried, components, question, **self._aim),
            }
            for t in sorted({*near, design.periods})
            for g in reps
            if not planning.doubt(tried := replace(design, reps=g, periods=t), question)
        ]
        return pd.DataFrame(rows, columns=["quarters", "reps", "detectable"])

    def _by_deals(self, design: Design, components: Components, question: Question) -> pd.DataFrame:
        """The smallest detectable difference by deals per rep and quarter."""
        deals = sorted({*DEALS_SHOWN, design.deals})
        told = [
            planning.detectable(replace(design, deals=n), components, question, **self._aim) for n in deals
        ]
        return pd.DataFrame({"deals": deals, "detectable": told})

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def results(self, plan: Plan, headline: str) -> dict[str, Any]:
        """The content of `results.json`."""
        past = plan.past
        return {
            "schema_version": 1,
            "question": f"How large a pilot tells a difference of {self.difference:g} in Brier score from none?",
            "headline": headline,
            "primary": "brier",
            "parameters": plain(self.parameters),
            "generalise_to": list(plan.question),
            "design": plain({k: v for k, v in asdict(plan.design).items() if k != "sizes"}),
            "components": plain(
                {k: {"sd": v, "source": plan.sources[k]} for k, v in asdict(plan.components).items()}
            ),
            "enough": plan.enough,
            "doubt": plan.doubt,
            "detectable": plain(plan.detectable),
            "detectable_between": plain(plan.between),
            "detectable_with_endless_deals": plain(plan.endless),
            "detectable_with_what_history_has": plain(plan.at_hand),
            "needed": plain(dict(plan.needed)),
            "history": None
            if past is None
            else plain(
                {
                    "name": past.name,
                    "reps": past.history.reps,
                    "quarters": past.history.periods,
                    "rows": past.history.rows,
                    "notes": list(past.history.notes),
                }
            ),
        }


def _spread(
    design: Design,
    components: Components,
    sources: Mapping[str, str],
    question: Question,
    history: History | None,
) -> pd.DataFrame:
    """Each component: its SD, where it comes from, how well it is known, its share of the uncertainty."""
    none = Components(0.0, 0.0, 0.0, 0.0)
    part = {
        n: planning.expected(design, variance.with_sds(none, {n: getattr(components, n)}), question).variance
        for n in NAMES
    }
    total = sum(part.values())
    rows = []
    for n in NAMES:
        low, high = (
            history.within(n) if history is not None and sources[n] == "measured" else (math.nan, math.nan)
        )
        sd = getattr(components, n)
        rows.append(
            {
                "component": n,
                "sd": sd,
                "source": sources[n],
                "low": low,
                "high": high,
                "share": part[n] / total,
            }
        )
    return pd.DataFrame(rows)
