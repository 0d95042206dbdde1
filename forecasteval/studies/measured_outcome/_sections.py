"""The sections of a measured outcome that draw."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.report.figures import GREY, INK, Picture, canvas, short, title
from forecasteval.report.section import Section

_WITH, _WITHOUT = "#0072B2", "#E69F00"


class Groups(Section):
    """Both groups before and after, and their course in time."""

    @cached_property
    def course(self) -> pd.DataFrame:
        """Mean of either group by block of time, in the weights of the cases: block, starts_on, treated, mean, cases, units."""
        effect = self.answer.effect
        blocks = effect.blocks.join(effect.units["treated"], on="unit", how="inner")
        blocks = blocks.assign(sum=blocks["mean"] * blocks["cases"])
        found = blocks.groupby(["block", "treated"]).agg(
            sum=("sum", "sum"), cases=("cases", "sum"), units=("unit", "size")
        )
        found = found.assign(mean=found["sum"] / found["cases"]).drop(columns="sum").reset_index()
        on = effect.start + pd.to_timedelta(found["block"] * effect.terms.every, unit="D")
        return found.assign(starts_on=on.dt.strftime("%Y-%m-%d"))[
            ["block", "starts_on", "treated", "mean", "cases", "units"]
        ]

    def figure(self) -> Picture:
        """The two courses, with the start between them."""
        answer, effect = self.answer, self.answer.effect
        scale = 100 if effect.share else 1
        with canvas(3.3) as (figure, ax):
            title(figure, self.say("course_title").text)
            ax.axvline(0, color=GREY, lw=1, ls=(0, (4, 2)))
            for treated, colour, name in (
                (True, _WITH, answer.question.feature),
                (False, _WITHOUT, answer.question.instead),
            ):
                part = self.course[self.course["treated"] == treated]
                if len(part):
                    at = part["block"] + 0.5
                    style = "-" if treated else (0, (5, 1.5))
                    ax.plot(
                        at,
                        scale * part["mean"],
                        color=colour,
                        lw=1.8,
                        ls=style,
                        marker="o" if treated else "s",
                        ms=4,
                        label=short(name, 40),
                    )
            low, high = ax.get_ylim()
            ax.set_ylim(min(low, 0) if low < 0.4 * high else low, high)
            ax.set_xlabel(self.say("course_axis").text, fontsize=9)
            ax.set_ylabel(self.say("course_unit").text, fontsize=9)
            figure.legend(loc="outside lower left", ncols=2, fontsize=9, frameon=False)
        return Picture("course", self.say("course_alt").text, figure)


class Otherwise(Section):
    """The effect as it was fixed, in other ways, and on dates on which nothing happened."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """how, kind (effect, otherwise, placebo), value, low, high."""
        effect = self.answer.effect
        rows: list[dict[str, Any]] = [
            {"how": "the effect, as fixed", "kind": "effect", **_ends(effect.estimate)}
        ]
        rows += [{"how": how, "kind": "otherwise", **_ends(e)} for how, e in effect.otherwise]
        for date in effect.placebo_dates.to_dict("records"):
            how = f"as if it had started on {date['on']:%d %b %Y}".replace(" 0", " ")
            rows.append({"how": how, "kind": "placebo", **{k: date[k] for k in ("value", "low", "high")}})
        return pd.DataFrame(rows)

    def figure(self) -> Picture:
        """All of them around the zero line."""
        import textwrap

        effect = self.answer.effect
        rows, scale = self.table.to_dict("records"), 100 if effect.share else 1
        with canvas(1.4 + 0.42 * len(rows)) as (figure, ax):
            title(figure, self.say("otherwise_title").text)
            ax.axvline(0, color=INK, lw=1)
            for i, row in enumerate(rows):
                shade = {"effect": _WITH, "otherwise": INK, "placebo": GREY}[row["kind"]]
                if math.isfinite(row["low"]):
                    ax.plot(
                        [scale * row["low"], scale * row["high"]],
                        [-i, -i],
                        color=shade,
                        lw=4 if i == 0 else 2,
                        solid_capstyle="butt",
                    )
                face = shade if row["kind"] != "placebo" else "white"
                ax.plot([scale * row["value"]], [-i], "o", ms=6, mfc=face, mec=shade, mew=1.4)
            ax.set_yticks(
                [-i for i in range(len(rows))], [textwrap.fill(r["how"], 34) for r in rows], fontsize=8
            )
            ax.set_ylim(-len(rows) + 0.4, 0.6)
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
            ax.locator_params(axis="x", nbins=5)
            ax.set_xlabel(self.say("otherwise_axis").text, fontsize=9)
        return Picture("otherwise", self.say("otherwise_alt").text, figure)


def _ends(estimate: Any) -> dict[str, float]:
    return {name: getattr(estimate, name) for name in ("value", "low", "high")}
