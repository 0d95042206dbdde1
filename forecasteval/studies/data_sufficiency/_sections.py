"""The sections of a learning curve: what each of them holds, drawn and said."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.crossing import Crossing
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.report.blocks import Html
from forecasteval.report.figures import Absent, Picture
from forecasteval.report.section import Card, Section
from forecasteval.studies.data_sufficiency import _figures as figures
from forecasteval.studies.data_sufficiency._curve import Curve


class OfCurve(Section):
    """A section that has nothing to say where there is no curve."""

    answer: Curve

    def words(self) -> Html:
        """The section as text."""
        return self.say("nothing") if self.answer.stop else super().words()


class Reached(Card):
    """The card that answers the question: from how many deals on, or that it is not reached, and how far."""

    @property
    def until_then(self) -> str:
        """What to use until the model is better: the rule, or the reps' own word."""
        return self.say("until_then").text


class Sizes(OfCurve):
    """The learning curve: the difference from the baseline by number of deals learned from; the rule beside it."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per size; empty without a curve."""
        return self.answer.table

    @property
    def rows(self) -> list[dict[Any, Any]]:
        """The same for a template."""
        return self.table.to_dict("records")

    def figure(self) -> Picture | Absent:
        """Estimates with intervals, shaded where the model is ahead."""
        if self.table.empty or not self.table["difference"].notna().any():
            return Absent("There is no learning curve to draw.")
        title, alt, note = (self.say(f"curve_{part}").text for part in ("title", "alt", "note"))
        return figures.learning_curve(self.answer, title, alt, note)


class Overconfidence(OfCurve):
    """Calibration slope and miscalibration by number of deals learned from: too sure of itself on few."""

    def figure(self) -> Picture | Absent:
        """The slope above, what is lost by miscalibration below."""
        curve = self.answer
        if curve.stop or not curve.slope_is_known:
            return Absent("There is no calibration to draw.")
        rows = curve.table.to_dict("records")
        title, alt = (self.say(f"slope_{part}", rows).text for part in ("title", "alt"))
        note = f"{int(curve.last.primary['rows']):,} forecasts at each size. "
        note += "Miscalibration is in points of Brier score and never quite 0."
        return figures.overconfidence(curve, title, alt, note)


class InSegments(OfCurve):
    """The answer in each segment; the chance of a false one is shared among them (Bonferroni)."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per value of each column."""
        curve, learning = self.answer, self.answer.learning
        whole = learning.table
        parts = [(c, v) for c in curve.segment_columns for v in sorted(whole[c].dropna().unique(), key=str)]
        level = 1 - (1 - curve.level) / max(len(parts), 1)
        rows = []
        for column, value in parts:
            part = whole.rows(whole[column] == value, flow=[])
            found = curve.compared(part, learning.model, level)
            largest = found[learning.sizes[-1]].primary
            kept = ("difference", "low", "high", "verdict", "reliable", "deals", "wins")
            why = "" if largest["reliable"] else " ".join(r["text"] for r in largest["reasons"])
            row: dict[str, Any] = {"segment": column, "value": str(value)}
            row |= {"reps": int(part["rep"].nunique()) if part.has("rep") else 0}
            at = Crossing.of(found)
            row |= {"reached": at.high, "not_before": at.low, "crosses_at": at.value, "level": level}
            rows.append(row | {k: largest[k] for k in kept} | {"why": why})
        table = pd.DataFrame(rows)
        return table if table.empty else table.astype({"reached": "Int64", "not_before": "Int64"})

    def figure(self) -> Picture | Absent:
        """The difference in each segment at the largest size, with intervals wide enough for all of them at once."""
        if self.table.empty:
            return Absent(self.say("no_segments").text)
        drawn = self.table[self.table["low"].notna()]
        if drawn.empty:
            return Absent("No segment is large enough for an interval of its own.")
        title, alt = (self.say(f"segments_{part}", drawn).text for part in ("title", "alt"))
        return figures.in_segments(self.answer, drawn, title, alt)

    def words(self) -> Html:
        """The deals that each segment needs."""
        return self.say("nothing") if self.table.empty else self.say("segments")

    @property
    def rows(self) -> list[dict[Any, Any]]:
        """The table for a template."""
        return [
            row | {k: None if pd.isna(row[k]) else int(row[k]) for k in ("reached", "not_before")}
            for row in self.table.to_dict("records")
        ]


class Limits(OfCurve):
    """Only the caveats that this data raises."""

    @property
    def reasons(self) -> list[str]:
        """What the comparison at the largest size says of itself, each once."""
        return list(dict.fromkeys(r["text"] for r in self.answer.last.primary["reasons"]))

    @property
    def periods(self) -> int:
        """How many periods the curve is judged on."""
        return int(self.answer.last.primary["clusters"].get("period", {}).get("count", 0))

    @property
    def too_few_periods(self) -> bool:
        """Are these fewer than an interval is trusted with?"""
        return self.periods < FEW_PERIODS

    @property
    def events(self) -> float:
        """Events per variable at the largest size."""
        each = float(self.answer.table["events_per_variable"].iloc[-1])
        return math.inf if math.isnan(each) else each
