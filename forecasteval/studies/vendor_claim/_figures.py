"""Pictures of a claim held against evidence; nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, colour, short, title
from forecasteval.report.section import Section
from forecasteval.studies.vendor_claim._evidence import Found
from forecasteval.studies.vendor_claim._held import Held
from forecasteval.studies.vendor_claim._labels import interval, label, shown


class Beside(Section):
    """The candidate beside what costs nothing."""

    def figure(self) -> Picture | Absent:
        """By how much the candidate is better than each."""
        answer: Held = self.answer
        drawn = [(label(n), f) for n, f in answer.free.items() if math.isfinite(f.better_by[1])]
        if not drawn:
            return Absent("Nothing that costs nothing could be held beside it with an interval.")
        who = label(answer.trial.candidate)
        ahead = [name for name, f in drawn if f.better_by[1] > 0 and f.row["reliable"]]
        message = f"{who} is shown to be ahead of {len(ahead)} of {len(drawn)} forecasts that cost nothing"
        axis = f"<- {who} worse | better ->\n({answer.first.measure.label})"
        return _forest(drawn, message, axis, answer.trial.candidate, "beside")


class Definitions(Section):
    """The claim under all definitions."""

    def figure(self) -> Picture | Absent:
        """What each definition makes of a claim to be better, each in units of its own interval."""
        answer: Held = self.answer
        drawn = [(f.measure.label, f) for f in answer.definitions if math.isfinite(f.claimed[1])]
        if not drawn or answer.absolute:
            return Absent("The table holds each definition with its interval.")
        told = [f for _, f in drawn if f.verdict == "supported"]
        message = f"The claim is supported under {len(told)} of {len(drawn)} definitions"
        who = label(answer.trial.candidate)
        where = f"<- {who} worse | better ->\n(in half-widths of each interval)"
        return _forest(drawn, message, where, answer.trial.candidate, "definitions", scaled=True)


def _forest(
    drawn: Sequence[tuple[str, Found]], message: str, axis: str, who: str, name: str, *, scaled: bool = False
) -> Picture:
    with canvas(1.5 + 0.45 * len(drawn)) as (figure, ax):
        title(figure, message)
        ax.axvline(0, color=INK, lw=1)
        for at, (_, f) in enumerate(drawn):
            value, low, high = f.better_by
            unit = (high - low) / 2 if scaled else 1.0
            solid = bool(f.row["reliable"])
            ax.plot([low / unit, high / unit], [at, at], color=colour(who), lw=2.2, alpha=1 if solid else 0.4)
            ax.plot([value / unit], [at], "o", ms=7, color=colour(who), mfc=colour(who) if solid else "white")
        ax.set_yticks(
            range(len(drawn)), [textwrap.fill(short(text, 60), 26) for text, _ in drawn], fontsize=8.5
        )
        ax.set_ylim(len(drawn) - 0.5, -0.5)
        ax.set_xlabel(axis, fontsize=8, color=GREY)
        ax.grid(axis="x", color=FAINT, lw=0.6)
        ax.set_axisbelow(True)
    said = "; ".join(f"{text}: {shown(f.better_by[0])} ({interval(*f.better_by[1:])})" for text, f in drawn)
    return Picture(name, f"{message}. Better by, with interval: {said}.", figure)
