"""The sections of the weekly report: each shows its words, and its picture where it has one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import UNSURE
from forecasteval.report.figures import Absent, Picture
from forecasteval.report.section import Section
from forecasteval.studies.weekly_monitor import _figures as figures
from forecasteval.studies.weekly_monitor._looks import verdict_of
from forecasteval.studies.weekly_monitor._watch import Watch


class _Section(Section):
    answer: Watch


class Running(_Section):
    """The running difference with its intervals, and when the verdict changed."""

    withdrawn = UNSURE

    @property
    def begins_late(self) -> bool:
        """Do the first looks have no interval?"""
        return not math.isfinite(self.answer.looks["low"].iloc[0])

    def figure(self) -> Picture | Absent:
        """One look's interval inside that of all looks together."""
        if self.answer.looks.empty:
            return Absent("There is nothing to draw: no week has all its outcomes yet.")
        title, note, alt = (self.say(f"running_{part}").text for part in ("title", "note", "alt"))
        return figures.running(self.answer, title, note, alt)


@dataclass(frozen=True)
class _Line:
    """One way to read the newest look."""

    name: str
    difference: float
    low: float
    high: float
    verdict: str | None
    declared: bool

    @property
    def interval(self) -> str:
        """Its ends, empty where there are none."""
        return wording.ends(self.low, self.high) if math.isfinite(self.low) else ""

    @property
    def ends(self) -> dict[str, Any]:
        """The same as plain values, with what they say."""
        return plain({"low": self.low, "high": self.high, "verdict": self.verdict})


class Questions(_Section):
    """The newest difference under each assumption about what weeks share."""

    @property
    def lines(self) -> list[_Line]:
        """One look, all looks by weeks and by periods, the strict sequence and the betting one; none before the first look."""
        row, rules = self.answer.last, self.answer.rules
        if row is None:
            return []
        declared = "periods" if rules.over_periods else "weeks"
        return [
            _Line(
                name,
                row.get(f"{name}_difference", row["difference"]),
                row[f"{name}_low"],
                row[f"{name}_high"],
                None if name == "fixed" else verdict_of(row, rules, f"{name}_"),
                name == declared,
            )
            for name in ("fixed", "weeks", "periods", "strict", "betting")
        ]

    def assumes(self, name: str) -> str:
        """What one of the last two takes for granted, in words."""
        return self.say("assumes", name).text

    @property
    def weeks_wider(self) -> bool:
        """Is the interval over weeks wider than the one over periods, against what is usual?"""
        weeks, periods = (line.high - line.low for line in self.lines[1:3])
        return math.isfinite(weeks) and weeks > periods


class ByPeriod(_Section):
    """What each period by itself showed: what the quarters had to agree on."""

    @property
    def periods(self) -> pd.DataFrame:
        """One row per period: difference, deals, filling."""
        cohorts = self.answer.cohorts
        weight = cohorts["weight" if "weight" in cohorts else "deals"]
        sums = (
            cohorts.assign(weight=weight)
            .groupby("period", sort=False)[["difference", "deals", "weight"]]
            .sum()
        )
        each = sums["difference"] / sums["weight"]
        return sums.drop(columns="weight").assign(
            difference=each, filling=sums.index.isin(self.answer.waiting["period"])
        )

    @property
    def leader(self) -> tuple[str, int]:
        """Who was ahead in more periods, and in how many."""
        ahead, n = int((self.periods["difference"] < 0).sum()), len(self.periods)
        rules = self.answer.rules
        return (rules.candidate, ahead) if 2 * ahead >= n else (rules.baseline, n - ahead)

    def figure(self) -> Picture | Absent:
        """The difference of each period, without intervals."""
        if self.answer.cohorts.empty:
            return Absent("There is no period to draw yet.")
        title, alt = (self.say(f"by_period_{part}").text for part in ("title", "alt"))
        return figures.by_period(self.answer.rules, self.periods, title, alt)


class Later(_Section):
    """What the ledger holds and what today's data say otherwise; none of it changes what was reported."""

    @property
    def counts(self) -> dict[str, int]:
        """Deals by what became of them; filled: without a word from the candidate in time, silent: so far."""
        deals = self.answer.deals
        known, filled = deals["known"], deals["filled"]
        marks = {"known": known, "void": deals["void"], "filled": filled & known, "silent": filled & ~known}
        marks["weightless"] = (
            known & ~deals["void"] & ~deals["amount"].gt(0) & bool(self.answer.rules.score.needs)
        )
        return {name: int(mark.sum()) for name, mark in marks.items()}


class Flipped(_Section):
    """The frozen outcomes that today's records contradict."""

    @property
    def newest(self) -> Sequence[Mapping[Any, Any]]:
        """Twelve of them at most, the newest first."""
        newest = self.answer.flips.sort_values(["known_on", "deal"], ascending=[False, True])
        return newest.head(12).to_dict("records")
