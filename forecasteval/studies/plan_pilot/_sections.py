"""The sections of a pilot's plan: what each of them holds, drawn and said."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.inference import power
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.inference.variance_components import NAMES, Components
from forecasteval.report.figures import Absent, Picture
from forecasteval.report.section import Section
from forecasteval.studies.plan_pilot import _figures as figures
from forecasteval.studies.plan_pilot._plan import Plan

_REPS_SHOWN = (5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 70, 100)
_DEALS_SHOWN = (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 500)


class _Section(Section):
    answer: Plan


class ByReps(_Section):
    """What can be told by reps, for some numbers of periods."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """Quarters, reps, detectable."""
        design, question = self.answer.design, self.answer.question
        usual = (FEW_PERIODS, 8, 12, 20) if "period" in question else (1, 2, 4, 8)
        near = [t for t in usual if t != design.periods][:3]
        fewer = () if "rep" in question else (2, 3, 4)
        rows = [
            {"quarters": t, "reps": g, "detectable": self.answer.told(tried)}
            for t in sorted({*near, design.periods})
            for g in sorted({*fewer, *_REPS_SHOWN, design.reps})
            if not (tried := replace(design, reps=g, periods=t)).doubt(question)
        ]
        return pd.DataFrame(rows, columns=["quarters", "reps", "detectable"])

    @property
    def shown(self) -> list[dict[Any, Any]]:
        """What the text alternative tells of it."""
        return self.table[self.table["reps"].isin((5, 10, 20, 50, 100))].to_dict("records")

    def figure(self) -> Picture | Absent:
        """A line for each number of periods."""
        if self.table.empty:
            return Absent(self.say("no_reps").text)
        title, alt, note = (self.say(f"reps_{part}").text for part in ("title", "alt", "note"))
        return figures.by_reps(self.answer, self.table, title, alt, note)


class ByDeals(_Section):
    """What can be told by deals of the same reps, and what it cannot fall below."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """Deals per rep and period, detectable."""
        deals = sorted({*_DEALS_SHOWN, self.answer.design.deals})
        told = [self.answer.told(replace(self.answer.design, deals=n)) for n in deals]
        return pd.DataFrame({"deals": deals, "detectable": told})

    def figure(self) -> Picture:
        """One line, and the reach of endlessly many deals."""
        title, alt, note = (self.say(f"deals_{part}").text for part in ("title", "alt", "note"))
        return figures.by_deals(self.answer, self.table, title, alt, note)


class Rungs(_Section):
    """Every question: what can be told, with endless deals, and what the wanted difference needs."""

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each question."""
        design, rows = self.answer.design, []
        for question in power.PLANNED:
            few = {"rep": design.reps, "period": design.periods}
            enough = all(few.get(d, 2) > 1 for d in question)
            tried = replace(design, reps=max(design.reps, 2), periods=max(design.periods, 2))
            row: dict[str, Any] = {
                "generalise_to": " and ".join(question),
                "doubt": design.doubt(question),
                "detectable": self.answer.told(question=question) if enough else math.nan,
                "endless": self.answer.told(design.endless, question=question) if enough else math.nan,
            }
            needed = self.answer.fewest(design if enough else tried, question)
            rows.append(row | {f"{what}_needed": number for what, number in needed.items()})
        return rows

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a table."""
        found = pd.DataFrame(self.rows)
        whole = [c for c in map(str, found.columns) if c.endswith("_needed")]
        return found.astype(dict.fromkeys(whole, "Int64"))


class Origins(_Section):
    """Each component: its SD, where it comes from, how well it is known, its share of the uncertainty."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per component."""
        plan, none = self.answer, Components(0.0, 0.0, 0.0, 0.0)
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
