"""Pictures of a comparison: each says its message in the title and draws what it is handed; nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison
from forecasteval.compare.null_check import NullCheck
from forecasteval.compare.rep_bias import RepBias
from forecasteval.compare.segments import Family
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.compare.wording import capital, number, percent, scope
from forecasteval.report.blocks import difference_words
from forecasteval.report.figures import (
    FAINT,
    GREY,
    INK,
    Absent,
    Picture,
    ahead,
    axis_label,
    canvas,
    colour,
    difference_axis,
    labelled,
    note,
    short,
    sides,
    stacked,
    title,
)
from forecasteval.report.labels import on_axis
from forecasteval.scores.probability import METRICS
from forecasteval.scores.reliability import Reliability

_MOST_REPS = 30


def _drawable(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return [c for c in comparisons if math.isfinite(c.primary["difference"])]


def _shade(comparison: Comparison) -> str:
    return colour(comparison.candidate, (comparison.candidate, comparison.baseline))


def _winner(comparison: Comparison) -> str:
    """Who is ahead, where one of the two is; else empty."""
    return {CANDIDATE: comparison.candidate, BASELINE: comparison.baseline}.get(str(comparison.verdict), "")


def _hollow_note(comparisons: Iterable[Comparison]) -> str:
    return "" if all(c.primary["reliable"] for c in comparisons) else "Hollow and dashed: not reliable."


# --- one comparison after another ---------------------------------------------------------------------


def ladder(rungs: Sequence[Comparison]) -> Picture | Absent:
    """How sure, about what: the same difference for new deals, new reps and new periods."""
    rungs = _drawable(rungs)
    if not rungs:
        return Absent("There is no difference to draw: nothing could be compared.")
    last, settled = rungs[-1], [c for c in rungs if _winner(c)]
    about = [scope(c.generalise_to, last.nouns) for c in rungs]
    message = "No difference can be told, whatever may change next time"
    if last in settled:
        message = f"{_winner(last)} is ahead even for {about[-1]}"
    elif settled:
        sure = about[rungs.index(settled[-1])]
        message = f"{_winner(settled[-1])} is ahead for {sure}; not shown for {about[-1]}"
    labels = [textwrap.fill(capital(words), 18) for words in about]
    rows = [(label, c.primary, _shade(c)) for label, c in zip(labels, rungs, strict=True)]
    return stacked("ladder", message, rows, axis_label(last), _hollow_note(rungs))


def forest(comparisons: Mapping[str, Comparison]) -> Picture | Absent:
    """Every other forecaster against the same baseline, best first."""
    ordered = sorted(_drawable(comparisons.values()), key=lambda c: c.primary["difference"])
    if not ordered:
        return Absent("There is no other forecaster to draw.")
    metric = METRICS[str(ordered[0].primary["metric"])]
    if metric.better == "higher":
        ordered = ordered[::-1]
    better = [c.candidate for c in ordered if c.verdict == CANDIDATE]
    baseline = ordered[0].baseline
    message = f"No forecaster is shown to beat {baseline}"
    if better:
        who = better[0] if len(ordered) == 1 else f"{len(better)} of {len(ordered)} forecasters"
        message = f"{who} beat{'s' if len(ordered) == 1 or len(better) == 1 else ''} {baseline}"
    rows = [
        (
            textwrap.fill(short(on_axis(c.candidate), 40), 18),
            c.primary,
            colour(c.candidate, list(comparisons)),
        )
        for c in ordered
    ]
    left, right = (s if s == short(on_axis(baseline), 20) else "the other" for s in sides(ordered[0]))
    axis = difference_axis(f"{metric.label} from {short(on_axis(baseline))}", left, right)
    return stacked("forest", message, rows, axis, _hollow_note(ordered))


def segments(family: Family | str) -> Picture | Absent:
    """The difference in each segment of the family, with intervals that hold together; or why there is none."""
    if isinstance(family, str):
        return Absent(family)
    table = family.table[family.table["in_family"] & family.table["difference"].notna()]
    if table.empty:
        return Absent(
            f"No segment of {family.by} has enough reps for an interval; the estimates are in the table."
        )
    of = {s: family.comparisons[s] for s in table["segment"]}
    any_one = next(iter(of.values()))
    told = _ahead_in(of, lambda found: ", ".join(short(s, 20) for s in found[:4]) + " …" * (len(found) > 4))
    message = told or f"In no {short(family.by, 20)} can a difference be told"
    rows = [
        (
            f"{textwrap.fill(short(s), 18)}\n{deals:,} deals, {reps} rep{'' if reps == 1 else 's'}",
            of[s].primary,
            _shade(of[s]),
        )
        for s, deals, reps in zip(table["segment"], table["deals"], table["reps"], strict=True)
    ]
    below = f"Intervals hold together at {percent(family.level)} for the {family.size} segments that count."
    if not table["reliable"].all():
        below += " Hollow and dashed: not reliable."
    return stacked("segments", message, rows, axis_label(any_one), below)


def by_week(weeks: Mapping[int, Comparison]) -> Picture | Absent:
    """The difference by week of the period, with intervals and numbers of deals."""
    weeks = {w: c for w, c in weeks.items() if math.isfinite(c.primary["difference"])}
    if not weeks:
        return Absent("There is no week of a period in which the two can be compared.")
    any_one = next(iter(weeks.values()))
    message, shade = _ahead_in(weeks, lambda found: _runs(found, list(weeks))), _shade(any_one)
    if not all(_winner(c) for c in weeks.values()):
        message += (
            "; no difference can be told in the others"
            if message
            else "In no single week can a difference be told"
        )
    with canvas(3.6) as (figure, ax):
        title(figure, message)
        ax.axhline(0, color=INK, lw=1)
        for week, c in weeks.items():
            row = c.primary
            face, style = (shade, "-") if row["reliable"] else ("white", (0, (3, 2)))
            if math.isfinite(row["low"]):
                ax.plot([week, week], [row["low"], row["high"]], color=shade, lw=2.2, ls=style)
            ax.plot([week], [row["difference"]], "o", ms=6, mfc=face, mec=shade, mew=1.5)
        ax.set_xticks(list(weeks), [f"{w}\n{c.primary['deals']}" for w, c in weeks.items()], fontsize=8)
        ax.set_xlabel("Week of the period; below it the number of deals", fontsize=9)
        down, up = sides(any_one)
        ax.set_ylabel(f"{METRICS[str(any_one.primary['metric'])].label} difference", fontsize=9)
        ahead(ax, f"{up} better", f"{down} better")
        ax.margins(y=0.18)
        note(figure, f"{_hollow_note(weeks.values())} Each week is judged by itself.".strip())
    said = "; ".join(f"week {w}: {difference_words(c.primary)}" for w, c in weeks.items())
    return Picture("by_week", f"{message}. Difference by week with intervals: {said}.", figure)


def _ahead_in(of: Mapping[Any, Comparison], said: Callable[[list[Any]], str]) -> str:
    """Who is ahead in which of several comparisons, in one line; empty where nobody is."""
    any_one = next(iter(of.values()))
    parts = []
    for name in (any_one.candidate, any_one.baseline):
        if found := [key for key, c in of.items() if _winner(c) == name]:
            parts.append(f"{name} is ahead in {said(found)}")
    return "; ".join(parts)


def _runs(found: list[int], possible: list[int]) -> str:
    """Weeks as ranges: "weeks 1-6, 9"."""
    ranges: list[list[int]] = []
    for week in found:
        follows = ranges and possible.index(week) == possible.index(ranges[-1][1]) + 1
        if follows:
            ranges[-1][1] = week
        else:
            ranges.append([week, week])
    words = ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in ranges)
    return f"week{'s' if len(found) > 1 else ''} {words}"


# --- probabilities, reps, deals -----------------------------------------------------------------------


def reliability(
    curves: Mapping[str, Reliability], bands: Mapping[str, tuple[Any, Any, Any]]
) -> Picture | Absent:
    """Reliability curves side by side, with the numbers of deals below.

    `bands` holds, by forecaster, where the curve of a perfectly calibrated forecast would lie by chance.
    """
    if not curves:
        return Absent("There are no probabilities of deals with a known outcome to judge.")
    names, message = list(curves), _word_message(curves)
    several = {"nrows": 2, "sharex": True, "sharey": "row", "height_ratios": (3.4, 1), "squeeze": False}
    with canvas(3.9, len(names), **several) as (figure, grid):
        title(figure, message)
        for i, (name, curve) in enumerate(curves.items()):
            ax, counts, shade = grid[0][i], grid[1][i], colour(name, names)
            if name in bands:
                at, low, high = bands[name]
                ax.fill_between(at, low, high, color=FAINT, lw=0, label="if it could be taken at its word")
            ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 3)))
            ax.plot(curve.probability, curve.recalibrated, color=shade, lw=2)
            for said, happened, deals in curve.bins():
                ax.plot([said], [happened], "o", color=shade, ms=min(3 + deals**0.5 / 4, 10), alpha=0.85)
            ax.set_title(short(on_axis(name)), fontsize=10, color=shade)
            ax.set_xlim(-0.02, 1.02)
            ax.set_ylim(-0.02, 1.02)
            counts.hist(curve.probability, bins=20, range=(0, 1), weights=curve.deals, color=shade, alpha=0.8)
            counts.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
            counts.set_xlabel("What was said", fontsize=9)
        grid[0][0].set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        grid[0][0].set_ylabel("What happened\n(share won)", fontsize=9)
        grid[1][0].set_ylabel("Deals", fontsize=9)
        note(
            figure,
            "Dashed: perfect. Grey: where a perfect forecaster would land by chance (90%). Larger dots: more deals.",
        )
    points = {
        n: ", ".join(f"{p:.0%} said, {w:.0%} won ({d} deals)" for p, w, d in c.bins())
        for n, c in curves.items()
    }
    lines = "; ".join(f"{name}: {said}" for name, said in points.items())
    return Picture("reliability", f"{message}. Reliability curves. {lines}.", figure)


def _word_message(curves: Mapping[str, Reliability]) -> str:
    """Which forecaster can rather be taken at its word."""
    if len(curves) < 2:
        return "Can it be taken at its word?"
    closer, other = sorted(curves, key=lambda n: curves[n].miscalibration)
    if curves[other].miscalibration - curves[closer].miscalibration < 0.005:
        return "Both lie about equally far from what happens"
    return f"{closer} is closer to what happens than {other}"


def reps(found: RepBias | str) -> Picture | Absent:
    """Each rep's bias, pulled towards that of all, with its interval; most deals on top, not a ranking."""
    if isinstance(found, str) or found.reason:
        return Absent(found if isinstance(found, str) else f"Nothing is shown by rep. {found.reason}")
    table = found.table.head(_MOST_REPS)
    shade, name = colour(found.forecaster, (found.forecaster,)), short(found.forecaster, 24)
    direction = "too much" if found.mean.value > 0 else "too little"
    average = f"{name} promises {abs(100 * found.mean.value):.0f} points {direction} for the typical rep"
    if found.mean.low <= 0 <= found.mean.high:
        average = f"{name} is not shown to be off for the typical rep"
    message = average + ("; reps are not shown to differ" if found.tau.low == 0 else ", and reps differ")
    with canvas(1.7 + 0.235 * len(table)) as (figure, ax):
        title(figure, message)
        ax.axvspan(100 * found.mean.low, 100 * found.mean.high, color=FAINT, lw=0)
        ax.axvline(0, color=INK, lw=1)
        y = labelled(
            ax, [f"{short(n, 18)} ({d:,})" for n, d in zip(table["name"], table["deals"], strict=True)]
        )
        ax.hlines(y, 100 * table["low"], 100 * table["high"], color=shade, lw=2.2)
        ax.plot(100 * table["shrunken"], y, "o", ms=5.5, color=shade, ls="none")
        ax.plot(100 * table["bias"], y, "|", ms=8, color=GREY, ls="none")
        ax.set_ylim(0.3, len(table) + 0.7)
        ax.set_xlabel(
            "Promised minus won, in percentage points\n← too cautious   |   too optimistic →", fontsize=9
        )
        ax.margins(x=0.06)
        ax.locator_params(axis="x", nbins=6)
        below = (
            f"Dots: pulled towards the typical rep (grey band), the more the fewer deals. Ticks: the rep's own mean, from "
            f"{found.least} deals. In brackets: deals. The order says nothing about quality."
        )
        if len(found.table) > _MOST_REPS:
            below += f" The {_MOST_REPS} reps with most deals of {len(found.table)}; all are in the table."
        note(figure, below)
    points = table[["shrunken", "low", "high"]].map(lambda v: number(100 * v, 0))
    said = "; ".join(
        f"{name}, {deals} deals: {shrunken} ({low} to {high})"
        for name, deals, shrunken, low, high in zip(
            table["name"], table["deals"], *(points[c] for c in points), strict=True
        )
    )
    return Picture("rep_bias", f"{message}. Bias by rep in points, shrunken, with intervals: {said}.", figure)


def few(influence: pd.DataFrame | None, comparison: Comparison, noun: str) -> Picture | Absent:
    """How much hangs on few: the difference without each of the largest; the headline's interval is a band."""
    row = comparison.primary
    if influence is None or not math.isfinite(row["difference"]):
        return Absent("There is nothing whose weight could be shown.")
    shown, shade = influence.head(12), _shade(comparison)
    each = list(zip(shown["name"], shown["share"], shown["without"], strict=True))
    flips = (shown["without"] * row["difference"] < 0).any()
    message = f"leaving out any one of the largest {'turns the difference around' if flips else 'never changes who is ahead'}"
    if len(influence) > 3:
        message = f"The 3 largest {noun}s hold {shown['share'].head(3).sum():.0%} of the weight; {message}"
    message = capital(message)
    with canvas(1.7 + 0.27 * len(shown)) as (figure, ax):
        title(figure, message)
        if math.isfinite(row["low"]):
            ax.axvspan(row["low"], row["high"], color=shade, alpha=0.12, lw=0)
        ax.axvline(0, color=INK, lw=1)
        ax.axvline(row["difference"], color=shade, lw=1, ls=(0, (4, 3)))
        y = labelled(ax, [f"without {short(name, 18)} ({share:.0%})" for name, share, _ in each])
        ax.scatter(shown["without"], y, color=shade, s=30 + 400 * shown["share"], zorder=3)
        ax.set_xlabel(axis_label(comparison), fontsize=9)
        ax.margins(x=0.1)
        ax.locator_params(axis="x", nbins=5)
        note(
            figure,
            "Dashed: with everyone. Band: the interval of the headline. In brackets: share of the deals.",
        )
    said = "; ".join(f"without {name} ({share:.0%}): {number(without)}" for name, share, without in each)
    return Picture("few_reps", f"{message}. {said}.", figure)


def by_chance(check: NullCheck | None, why: str) -> Picture | Absent:
    """Where the differences of comparisons lie in which nothing differs, and where the real one does."""
    if check is None or check.differences is None:
        return Absent(why)
    real, shade = check.comparison.primary["difference"], _shade(check.comparison)
    drawn = [*check.differences, *(-d for d in check.differences)]  # to swap all once more is as likely
    often = "less than 0.1%" if check.p_value < 0.001 else f"{check.p_value:.1%}"
    message = f"Chance alone makes so clear a difference {often} of the time"
    with canvas(2.3) as (figure, ax):
        title(figure, message)
        ax.hist(drawn, bins=41, color=FAINT, edgecolor=GREY, lw=0.4)
        ax.axvline(0, color=INK, lw=1)
        ax.axvline(real, color=shade, lw=2.2)
        at = ax.get_xlim()
        side = "left" if real < sum(at) / 2 else "right"
        ax.annotate(
            "the real one", (real, 1), (4 if side == "left" else -4, -4), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha=side, va="top", fontsize=9, color=shade,
        )  # fmt: skip
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(axis_label(check.comparison), fontsize=9)
        ax.locator_params(axis="x", nbins=5)
    said = f"{check.headline} The real difference is {number(real)}."
    return Picture("by_chance", f"{message}. {said}", figure)


def flow(steps: pd.DataFrame) -> Picture:
    """How many deals were left at each step."""
    message = f"{int(steps['deals'].iloc[-1]):,} of {int(steps['deals'].iloc[0]):,} deals are compared"
    ends = steps.index.isin([steps.index[0], steps.index[-1]])
    steps = steps[ends | (steps["dropped"] > 0)]  # the table has them all
    with canvas(1.2 + 0.42 * len(steps)) as (figure, ax):
        title(figure, message)
        y = labelled(ax, [textwrap.fill(short(s, 44), 26) for s in steps["step"]], 9)
        ax.barh(y, steps["deals"], color=[FAINT] * (len(steps) - 1) + ["#0072B2"], height=0.62)
        for at, deals in zip(y, steps["deals"], strict=True):
            ax.annotate(
                f"{deals:,}", (deals, at), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
        ax.set_xticks([])
        ax.spines["bottom"].set_visible(False)
        ax.margins(x=0.12)
    said = "; ".join(f"{s}: {d:,}" for s, d in zip(steps["step"], steps["deals"], strict=True))
    return Picture("flow", f"{message}. {said}.", figure)
