"""Pictures of a pilot's plan; nothing is computed here."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes

from forecasteval.compare import wording
from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, title
from forecasteval.studies.plan_pilot.study import Plan

_LINES = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7")
_OWN = "#0072B2"


def _wanted(ax: Axes, plan: Plan) -> None:
    ax.axhline(plan.pilot.difference, color=INK, lw=1, ls=(0, (4, 3)))
    ax.annotate(
        f"wanted: {plan.pilot.difference:g}", (0.01, plan.pilot.difference), (0, 3),
        xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8.5, color=INK,
    )  # fmt: skip


def _axis(ax: Axes, ticks: list[float], label: str, top: float) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.set_xlabel(label, fontsize=9)
    ax.set_ylabel("Smallest difference in Brier score\nthat can be told from none", fontsize=9)
    ax.set_ylim(0, top)
    ax.grid(axis="y", color=FAINT, lw=0.6)
    ax.set_axisbelow(True)


def _own(ax: Axes, x: float, plan: Plan) -> None:
    """The pilot itself, with the range that its components leave open."""
    if plan.between:
        ax.plot([x, x], plan.between, color=_OWN, lw=2.4, solid_capstyle="butt", zorder=4)
    ax.plot([x], [plan.detectable], "o", ms=8, color=_OWN, zorder=5)


def _note(plan: Plan, text: str) -> str:
    bar = " Bar: what four of five histories like yours would have said." if plan.between else ""
    return textwrap.fill(f"Dot: this pilot.{bar} {text}", 78)


def by_reps(plan: Plan) -> Picture | Absent:
    """The smallest difference that can be told, by reps, a line for each number of periods.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Picture
    """
    table, quarters = plan.by_reps, plan.nouns["period"]
    if table.empty:
        return Absent(f"No number of reps gives a verdict here: {plan.doubt}.".replace("periods", quarters))
    wanted, needed, own = plan.pilot.difference, plan.needed["reps"], plan.design.periods
    message = f"A difference of {wanted:g} needs "
    if needed is None:
        message += f"more than reps: with {wording.count(own, quarters)} no number of them is enough"
    else:
        message += f"about {needed} reps with {wording.count(own, quarters)}"
    top = max(2.6 * wanted, 1.7 * plan.detectable, 1.1 * max(plan.between or (0.0,)))
    with canvas(4.0) as (figure, ax):
        title(figure, message)
        lines = iter(_LINES)
        for periods, line in table.groupby("quarters"):
            mine = periods == own
            style: dict[str, Any] = {"color": _OWN, "lw": 2.6} if mine else {"color": next(lines), "lw": 1.4}
            ax.plot(
                line["reps"], line["detectable"], label=wording.count(int(str(periods)), quarters), **style
            )
        _wanted(ax, plan)
        if not plan.doubt:
            _own(ax, plan.design.reps, plan)
        first = int(table["reps"].min())
        _axis(ax, [t for t in (2, 5, 10, 20, 50, 100) if t >= first], "Reps", top)
        ax.legend(frameon=False, fontsize=8.5, loc="upper right")
        about = f"Each rep has about {_deals(plan.design.deals)} deals per {quarters.removesuffix('s')}."
        figure.supxlabel(_note(plan, about), fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(
        f"{row['reps']:.0f} reps, {wording.count(int(row['quarters']), quarters)}: {wording.number(row['detectable'])}"
        for row in table.to_dict("records")
        if row["reps"] in (5, 10, 20, 50, 100)
    )
    return Picture("by_reps", f"{message}. Smallest difference that can be told: {said}.", figure)


def by_deals(plan: Plan) -> Picture:
    """The smallest difference that can be told, by deals of the same reps, and what it cannot fall below.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Picture
    """
    wanted, endless = plan.pilot.difference, plan.endless
    if endless > wanted:
        message = f"More deals of the same reps never get to {wanted:g}"
    elif plan.needed["deals"] is None:
        message = f"No number of deals that could be had gets to {wanted:g}"
    else:
        message = f"{plan.needed['deals']:,} deals per rep and quarter are enough for {wanted:g}"
        message = message.replace("quarter", plan.nouns["period"].removesuffix("s"))
    table = plan.by_deals
    top = max(2.6 * wanted, 1.9 * plan.detectable, 1.1 * max(plan.between or (0.0,)))
    with canvas(3.7) as (figure, ax):
        title(figure, message)
        ax.plot(table["deals"], table["detectable"], color=_OWN, lw=2.2)
        if endless > top / 50:
            ax.axhspan(0, endless, color=FAINT, lw=0)
            ax.text(
                0.98, endless / top / 2, "out of reach, however many deals", transform=ax.transAxes,
                ha="right", va="center", fontsize=8.5, color=GREY,
            )  # fmt: skip
        _wanted(ax, plan)
        _own(ax, plan.design.deals, plan)
        label = f"Deals per rep and {plan.nouns['period'].removesuffix('s')}"
        _axis(ax, [1.0, 3.0, 10.0, 30.0, 100.0, 500.0], label, top)
        periods = wording.count(plan.design.periods, plan.nouns["period"])
        about = f"{wording.count(plan.design.reps, 'reps')}, {periods}."
        figure.supxlabel(_note(plan, about), fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(
        f"{_deals(r['deals'])} deals: {wording.number(r['detectable'])}" for r in table.to_dict("records")
    )
    floor = f"With endlessly many: {wording.number(endless)}."
    return Picture(
        "by_deals", f"{message}. Smallest difference that can be told by deals: {said}. {floor}", figure
    )


def _deals(number: float) -> str:
    return f"{number:,.0f}" if number >= 5 or float(number).is_integer() else f"{number:.1f}"
