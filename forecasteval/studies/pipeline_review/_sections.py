"""The section of the review that draws: the course of what fell."""

from __future__ import annotations

from typing import Any

import pandas as pd

from forecasteval.report.figures import GREY, INK, Absent, Picture, canvas, short, title
from forecasteval.report.section import Section

_SHOWN, _WEEKS = 6, 52
_FELL = "#D55E00"


class Course(Section):
    """The counts that fell, each beside what was usual."""

    @property
    def drawn(self) -> pd.DataFrame:
        """The first of the listed rows that are counts."""
        return self.answer.rows[self.answer.rows["kind"].isin(["inbound", "rep", "account"])].head(_SHOWN)

    def figure(self) -> Picture | Absent:
        """One small picture for each, on its own scale."""
        rows = self.drawn.to_dict("records")
        if not rows:
            return Absent(self.say("none_drawn").text)
        heading, alt = (self.say(f"course_{part}").text for part in ("title", "alt"))
        lines = -(-len(rows) // 2)
        grid: dict[str, Any] = {"nrows": lines, "sharey": False, "sharex": True, "squeeze": False}
        with canvas(1.0 + 1.55 * lines, 2 if len(rows) > 1 else 1, **grid) as (figure, axes):
            title(figure, heading)
            for ax in axes.flat[len(rows) :]:
                ax.set_visible(False)
            for ax, row in zip(axes.flat, rows, strict=False):
                path = next(s.path for s in self.answer.judged if s.kind == row["kind"])
                seen, usual = (path[part][row["unit"]].iloc[-_WEEKS:] for part in ("seen", "usual"))
                ax.plot(usual.index, usual, color=GREY, lw=1.2, ls=(0, (4, 2)))
                ax.plot(seen.index, seen, color=INK, lw=1.6)
                ax.plot(seen.index[-1], seen.iloc[-1], "o", color=_FELL, ms=6)
                ax.set_ylim(0, 1.15 * max(seen.max(), usual.max()))
                ax.set_title(short(row["who"], 30), fontsize=9, loc="left")
                ax.tick_params(labelsize=8)
                ax.set_xticks([-48, -36, -24, -12, 0], ["48", "36", "24", "12", "now"])
            figure.supxlabel(self.say("course_note").text, fontsize=8, color=GREY, x=0.01, ha="left")
        return Picture("course", alt, figure)
