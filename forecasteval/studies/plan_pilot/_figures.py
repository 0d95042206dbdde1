"""Pictures of a pilot's plan; nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from forecasteval.compare import wording
from forecasteval.report.figures import FAINT, GREY, INK, Picture, canvas, note, title
from forecasteval.studies.plan_pilot._plan import Plan

_LINES = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")
_OWN = "#0072B2"


def _axes(ax: Axes, plan: Plan, ticks: Sequence[float], label: str, top: float) -> None:
    """Axes with the wanted difference as a line."""
    ax.axhline(plan.difference, color=INK, lw=1, ls=(0, (4, 3)))
    ax.annotate(
        f"wanted: {plan.difference:g}", (0.01, plan.difference), (0, 3),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8.5, color=INK,
    )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel(label, fontsize=9)
    ax.set_ylabel("Smallest difference in Brier score\nthat such a pilot shows", fontsize=9)
    ax.set_ylim(0, top)
    ax.grid(axis="y", color=FAINT, lw=0.6)
    ax.set_axisbelow(True)


def _own(ax: Axes, x: float, plan: Plan) -> None:
    """The pilot itself, with the range that its components leave open."""
    if plan.between:
        ax.plot([x, x], plan.between, color=_OWN, lw=2.4, solid_capstyle="butt", zorder=4)
    ax.plot([x], [plan.detectable], "o", ms=8, color=_OWN, zorder=5)


def by_reps(plan: Plan, table: pd.DataFrame, message: str, alt: str, below: str) -> Picture:
    """The smallest difference that can be told, by reps, a line for each number of periods."""
    top = max(2.6 * plan.difference, 1.7 * plan.detectable, 1.1 * max(plan.between or (0.0,)))
    with canvas(4.0) as (figure, ax):
        title(figure, message)
        lines = iter(_LINES)
        for periods, line in table.groupby("quarters"):
            mine = periods == plan.design.periods
            style: dict[str, Any] = {"color": _OWN, "lw": 2.6} if mine else {"color": next(lines), "lw": 1.4}
            label = wording.count(int(str(periods)), plan.quarters)
            ax.plot(line["reps"], line["detectable"], label=label, **style)
        first = int(table["reps"].min())
        _axes(ax, plan, [t for t in (2, 5, 10, 20, 50, 100) if t >= first], "Reps", top)
        if not plan.doubt:
            _own(ax, plan.design.reps, plan)
        ax.legend(frameon=False, fontsize=8.5, loc="upper right")
        note(figure, below)
    return Picture("by_reps", alt, figure)


def by_deals(plan: Plan, table: pd.DataFrame, message: str, alt: str, below: str) -> Picture:
    """The smallest difference that can be told, by deals of the same reps, and what it cannot fall below."""
    top = max(2.6 * plan.difference, 1.9 * plan.detectable, 1.1 * max(plan.between or (0.0,)))
    with canvas(3.7) as (figure, ax):
        title(figure, message)
        ax.plot(table["deals"], table["detectable"], color=_OWN, lw=2.2)
        if plan.endless > top / 50:
            ax.axhspan(0, plan.endless, color=FAINT, lw=0)
            ax.text(
                0.98, plan.endless / top / 2, "out of reach, however many deals", transform=ax.transAxes,
                ha="right", va="center", fontsize=8.5, color=GREY,
            )  # fmt: skip
        _axes(ax, plan, [1, 3, 10, 30, 100, 500], f"Deals per rep and {plan.quarter}", top)
        _own(ax, plan.design.deals, plan)
        note(figure, below)
    return Picture("by_deals", alt, figure)
