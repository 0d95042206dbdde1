"""Pictures of the coverage study: one dot for each interval, family by family; they draw what they are handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from forecasteval.report.figures import INK, Picture, canvas, title
from forecasteval.studies.coverage_study._goals import GOALS, LEVEL

_OURS, _MISSED, _PLAIN = "#0072B2", "#D55E00", "#9aa1a9"
_Families = Mapping[str, pd.DataFrame]


def _dots(
    ax: Axes, families: _Families, column: str, misses: Callable[[pd.DataFrame], pd.Series], behind: str = ""
) -> None:
    """A row of dots for each family, moved apart up and down; those that miss are marked."""
    rng = np.random.default_rng(0)
    for i, rows in enumerate(families.values()):
        y = -i + rng.uniform(-0.3, 0.3, len(rows))
        if behind:
            ax.plot(rows[behind], y, "o", ms=3, color=_PLAIN, alpha=0.55, mew=0)
        bad = misses(rows).to_numpy()
        ax.plot(rows[column][~bad], y[~bad], "o", ms=3, color=_OURS, alpha=0.85, mew=0)
        ax.plot(rows[column][bad], y[bad], "X", ms=5.5, color=_MISSED, mew=0)
    ax.set_yticks([-i for i in range(len(families))], list(families), fontsize=8.5)
    ax.set_ylim(-len(families) + 0.45, 0.55)
    ax.tick_params(axis="y", length=0)


def _legend(figure: Figure, ax: Axes, marks: Mapping[str, tuple[str, str, int]]) -> None:
    handles = [
        ax.plot([], [], form, color=tone, ms=size, label=label)[0]
        for label, (form, tone, size) in marks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(marks), fontsize=8, frameon=False)


def coverage(families: _Families, said: str, alt: str) -> Picture:
    """Coverage of every interval of the study, with that of the plain jackknife interval behind it."""
    known = pd.concat(families.values())
    least = float(np.floor(20 * min(known["coverage"].min(), known["coverage_plain"].min())) / 20)
    with canvas(1.4 + 0.52 * len(families)) as (figure, ax):
        title(figure, said)
        ax.axvspan(GOALS["coverage"], 1, color="#eef3f7", lw=0)
        ax.axvline(LEVEL, color=INK, lw=1, ls=(0, (4, 3)))
        _dots(
            ax, families, "coverage", lambda rows: rows["misses"].str.contains("coverage"), "coverage_plain"
        )
        ax.set_xlim(max(0.0, least - 0.01), 1.005)
        ax.xaxis.set_major_locator(MultipleLocator(0.05))
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        ax.set_xlabel(
            "How often the interval held the truth\n(dashed: nominal 95%; shaded: 93% and more;\n"
            "a blue dot left of it may be simulation error)",
            fontsize=9,
        )
        marks = {"meets the goal": ("o", _OURS, 4), "misses it": ("X", _MISSED, 6)}
        _legend(figure, ax, marks | {"plain jackknife interval": ("o", _PLAIN, 4)})
    return Picture("coverage", alt, figure)


def widths(families: _Families, said: str) -> Picture:
    """How wide the intervals are beside those of somebody who knew the truth about the spread."""
    known, goal = pd.concat(families.values()), GOALS["width"]
    with canvas(1.6 + 0.5 * len(families)) as (figure, ax):
        title(figure, said)
        ax.axvspan(0, goal, color="#eef3f7", lw=0)
        ax.axvline(1, color=INK, lw=1, ls=(0, (4, 3)))
        _dots(ax, families, "width", lambda rows: rows["width"] > goal)
        ax.set_xlim(0, max(1.6, float(known["width"].max()) * 1.03))
        ax.set_xlabel(
            f"Width, in widths of an oracle's interval\n(dashed: as wide; shaded: up to {goal:g} times)",
            fontsize=9,
        )
        marks = {f"up to {goal:g} times as wide": ("o", _OURS, 4), "wider": ("X", _MISSED, 6)}
        _legend(figure, ax, marks)
    return Picture("widths", f"{said}.", figure)
