"""Pictures of a closer look: segments and reps; nothing is computed here."""

from __future__ import annotations

import textwrap

from forecasteval.compare import wording
from forecasteval.compare.rep_bias import RepBias
from forecasteval.compare.segments import Family
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.report.figures import (
    FAINT,
    GREY,
    INK,
    Absent,
    Picture,
    axis_label,
    canvas,
    colour,
    short,
    stacked,
    title,
)

MOST_REPS = 30


def segments(family: Family | str) -> Picture | Absent:
    """The difference in each segment of the family, with intervals that hold together.

    Parameters
    ----------
    family : Family, or the reason why there is none

    Returns
    -------
    Picture
    """
    if isinstance(family, str):
        return Absent(family)
    table = family.table[family.table["in_family"] & family.table["difference"].notna()]
    if table.empty:
        return Absent(
            f"No segment of {family.by} has enough reps for an interval; the estimates are in the table."
        )
    of = {s: family.comparisons[s] for s in table["segment"]}
    any_one = next(iter(of.values()))
    parts = []
    for verdict, name in ((CANDIDATE, any_one.candidate), (BASELINE, any_one.baseline)):
        ahead = [s for s, c in of.items() if c.verdict == verdict]
        if ahead:
            parts.append(
                f"{name} is ahead in {', '.join(short(s, 20) for s in ahead[:4])}{' …' * (len(ahead) > 4)}"
            )
    message = "; ".join(parts) or f"In no {short(family.by, 20)} can a difference be told"
    shade = colour(any_one.candidate, (any_one.candidate, any_one.baseline))
    rows = [
        (f"{textwrap.fill(short(s), 18)}\n{deals:,} deals, {reps} {_noun(reps)}", of[s], shade)
        for s, deals, reps in zip(table["segment"], table["deals"], table["reps"], strict=True)
    ]
    note = f"Intervals hold together at {wording.percent(family.level)} for the {family.size} segments that count."
    if not table["reliable"].all():
        note += " Hollow and dashed: not reliable."
    return stacked("segments", message, rows, axis_label(any_one), note)


def _noun(reps: int) -> str:
    return "rep" if reps == 1 else "reps"


def rep_bias(found: RepBias | str) -> Picture | Absent:
    """Each rep's bias, pulled towards that of all, with its interval; most deals on top, not a ranking.

    Parameters
    ----------
    found : RepBias, or the reason why there is none

    Returns
    -------
    Picture
    """
    if isinstance(found, str) or found.reason:
        return Absent(found if isinstance(found, str) else f"Nothing is shown by rep. {found.reason}")
    table = found.table.head(MOST_REPS)
    shade = colour(found.forecaster, (found.forecaster,))
    direction = "too much" if found.mean.value > 0 else "too little"
    name = short(found.forecaster, 24)
    average = f"{name} promises {abs(100 * found.mean.value):.0f} points {direction} for the typical rep"
    if found.mean.low <= 0 <= found.mean.high:
        average = f"{name} is not shown to be off for the typical rep"
    apart = "reps are not shown to differ" if found.tau.low == 0 else "and reps differ"
    message = f"{average}; {apart}" if found.tau.low == 0 else f"{average}, {apart}"
    with canvas(1.7 + 0.235 * len(table)) as (figure, ax):
        title(figure, message)
        ax.axvspan(100 * found.mean.low, 100 * found.mean.high, color=FAINT, lw=0)
        ax.axvline(0, color=INK, lw=1)
        y = range(len(table), 0, -1)
        ax.hlines(list(y), 100 * table["low"], 100 * table["high"], color=shade, lw=2.2)
        ax.plot(100 * table["shrunken"], list(y), "o", ms=5.5, color=shade, ls="none")
        ax.plot(100 * table["bias"], list(y), "|", ms=8, color=GREY, ls="none")
        labels = [f"{short(n, 18)} ({d:,})" for n, d in zip(table["name"], table["deals"], strict=True)]
        ax.set_yticks(list(y), labels, fontsize=8.5)
        ax.set_ylim(0.3, len(table) + 0.7)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(
            "Promised minus won, in percentage points\n← too cautious   |   too optimistic →", fontsize=9
        )
        ax.margins(x=0.06)
        ax.locator_params(axis="x", nbins=6)
        note = (
            f"Dots: pulled towards the typical rep (grey band), the more the fewer deals. Ticks: the rep's own mean, from "
            f"{found.least} deals. In brackets: deals. The order says nothing about quality."
        )
        if len(found.table) > MOST_REPS:
            note += f" The {MOST_REPS} reps with most deals of {len(found.table)}; all are in the table."
        figure.supxlabel(textwrap.fill(note, 82), fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(
        f"{r['name']}, {r['deals']} deals: {_points(r['shrunken'])} ({_points(r['low'])} to {_points(r['high'])})"
        for r in table.to_dict("records")
    )
    return Picture("rep_bias", f"{message}. Bias by rep in points, shrunken, with intervals: {said}.", figure)


def _points(value: float) -> str:
    return wording.number(100 * value, 0)
