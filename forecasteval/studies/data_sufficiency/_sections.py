"""The sections of a learning curve: what each of them holds, drawn and said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.crossing import Crossing
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.inference.estimate import against
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.report.blocks import Html, Words
from forecasteval.report.figures import Absent, Picture
from forecasteval.studies.data_sufficiency import _figures as figures
from forecasteval.studies.data_sufficiency._curve import Curve

SAY = Words(__file__)


@dataclass(frozen=True, eq=False)
class Verdict:
    """The card that answers the question."""

    curve: Curve
    sizes_were_asked: bool

    @property
    def headline(self) -> str:
        """One sentence: from how many deals on the model is better, or that it is not reached, and how far."""
        return SAY("headline", self, self.curve).text

    @property
    def behind(self) -> bool:
        """Is the baseline still better at the largest size?"""
        return self.curve.last.verdict == BASELINE

    @property
    def doubts(self) -> str:
        """What speaks against the interval at the largest size."""
        reasons = self.curve.last.primary["reasons"]
        return " ".join(r["text"] for r in against(reasons))

    @property
    def too_few_periods(self) -> bool:
        """Would fewer deals to learn from leave enough periods to judge on?"""
        reasons = self.curve.last.primary["reasons"]
        return self.sizes_were_asked and any("period" in r["code"] for r in reasons)

    @property
    def best(self) -> dict[str, Any]:
        """The size with the best difference."""
        table = self.curve.table
        best = table["difference"].argmax() if self.curve.higher_is_better else table["difference"].argmin()
        return dict(table.iloc[int(best)])

    @property
    def before(self) -> dict[str, Any] | None:
        """The largest size at which the model is not ahead yet, where the rule spoke too."""
        table, reached = self.curve.table, self.curve.reached
        rows = table if reached is None else table[table["size"] < reached]
        return None if rows.empty or f"rule_{self.curve.metric}" not in rows else dict(rows.iloc[-1])

    @property
    def rule_is_worse(self) -> bool:
        """Does the rule score worse than the baseline there?"""
        row, metric = self.before or {}, self.curve.metric
        off = row.get(f"rule_{metric}", math.nan) - row.get(f"baseline_{metric}", math.nan)
        return bool(off < 0 if self.curve.higher_is_better else off > 0)

    @property
    def rule_is_proven(self) -> bool:
        """Is the rule shown to be better than the baseline there?"""
        return self.before is not None and self.before["rule_verdict"] == CANDIDATE

    @property
    def until_then(self) -> str:
        """What to use until the model is better: the rule, or the reps' own word."""
        return SAY("until_then", self, self.curve).text

    def words(self) -> Html:
        """The card."""
        return SAY("card", self, self.curve)


@dataclass(frozen=True, eq=False)
class Sizes:
    """The learning curve: the difference from the baseline by number of deals learned from; the rule beside it."""

    curve: Curve

    @property
    def table(self) -> pd.DataFrame:
        """One row per size; empty without a curve."""
        return self.curve.table

    @property
    def title(self) -> str:
        """Where the model gets ahead, in one line."""
        return SAY("curve_title", self.curve).text

    def figure(self) -> Picture | Absent:
        """Estimates with intervals, shaded where the model is ahead."""
        if self.table.empty or not self.table["difference"].notna().any():
            return Absent("There is no learning curve to draw.")
        alt = SAY("curve_alt", self.title, self.table.to_dict("records"), self.curve).text
        return figures.learning_curve(self.curve, self.title, alt, SAY("curve_note", self.curve).text)

    def words(self) -> Html:
        """One row per number of deals learned from."""
        if self.curve.stop:
            return SAY("nothing")
        until_then = Verdict(self.curve, False).until_then
        return SAY("sizes", self.table.to_dict("records"), self.curve, until_then)


@dataclass(frozen=True, eq=False)
class Overconfidence:
    """Calibration slope and miscalibration by number of deals learned from: too sure of itself on few."""

    curve: Curve

    def figure(self) -> Picture | Absent:
        """The slope above, what is lost by miscalibration below."""
        if self.curve.stop or not self.curve.slope_is_known:
            return Absent("There is no calibration to draw.")
        rows = self.curve.table.to_dict("records")
        title = SAY("slope_title", rows).text
        note = f"{int(self.curve.last.primary['rows']):,} forecasts at each size. "
        note += "Miscalibration is in points of Brier score and never quite 0."
        return figures.overconfidence(self.curve, title, SAY("slope_alt", title, rows).text, note)


@dataclass(frozen=True, eq=False)
class Segments:
    """The answer in each segment; the chance of a false one is shared among them (Bonferroni)."""

    curve: Curve
    columns: Sequence[str]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per value of each column."""
        whole, learning = self.curve.learning.table, self.curve.learning
        parts = [(c, v) for c in self.columns for v in sorted(whole[c].dropna().unique(), key=str)]
        level = 1 - (1 - self.curve.level) / max(len(parts), 1)
        rows = []
        for column, value in parts:
            part = whole.rows(whole[column] == value, flow=[])
            found = self.curve.compared(part, learning.model, level)
            largest = found[learning.sizes[-1]].primary
            kept = ("difference", "low", "high", "verdict", "reliable", "deals", "wins")
            why = "" if largest["reliable"] else " ".join(r["text"] for r in largest["reasons"])
            row: dict[str, Any] = {"segment": column, "value": str(value)}
            row |= {"reps": int(part["rep"].nunique()) if part.has("rep") else 0}
            at = Crossing.of(found)
            row |= {"reached": at.high, "not_before": at.low, "crosses_at": at.value, "level": level}
            rows.append(row | {k: largest[k] for k in kept} | {"why": why})
        found_table = pd.DataFrame(rows)
        return (
            found_table
            if found_table.empty
            else found_table.astype({"reached": "Int64", "not_before": "Int64"})
        )

    def figure(self) -> Picture | Absent:
        """The difference in each segment at the largest size, with intervals wide enough for all of them at once."""
        if self.table.empty:
            return Absent(SAY("no_segments").text)
        drawn = self.table[self.table["low"].notna()]
        if drawn.empty:
            return Absent("No segment is large enough for an interval of its own.")
        title = SAY("segments_title", int(drawn["reached"].notna().sum()), len(self.table), self.curve).text
        alt = SAY("segments_alt", title, drawn.to_dict("records")).text
        return figures.segments(self.curve, drawn, title, alt)

    def words(self) -> Html:
        """The deals that each segment needs."""
        if self.table.empty:
            return SAY("nothing")
        rows = [
            row | {k: None if pd.isna(row[k]) else int(row[k]) for k in ("reached", "not_before")}
            for row in self.table.to_dict("records")
        ]
        return SAY("segments", rows, self.curve)


@dataclass(frozen=True, eq=False)
class Caveats:
    """Only the caveats that this data raises."""

    curve: Curve
    sizes_were_asked: bool

    @property
    def reasons(self) -> list[str]:
        """What the comparison at the largest size says of itself, each once."""
        return list(dict.fromkeys(r["text"] for r in self.curve.last.primary["reasons"]))

    @property
    def periods(self) -> int:
        """How many periods the curve is judged on."""
        return int(self.curve.last.primary["clusters"].get("period", {}).get("count", 0))

    @property
    def too_few_periods(self) -> bool:
        """Are these fewer than an interval is trusted with?"""
        return self.periods < FEW_PERIODS

    @property
    def events(self) -> float:
        """Events per variable at the largest size."""
        each = float(self.curve.table["events_per_variable"].iloc[-1])
        return math.inf if math.isnan(each) else each

    def words(self) -> Html:
        """The list."""
        return SAY("nothing") if self.curve.stop else SAY("caveats", self, self.curve)
