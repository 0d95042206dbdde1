"""Pictures of comparisons; nothing is computed here.

Every picture says its message in the title, draws intervals, shows numbers of deals and carries a text
alternative.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.report.figures import (
    FAINT,
    GREY,
    INK,
    Absent,
    Picture,
    _direction,
    _in_words,
    axis_label,
    canvas,
    colour,
    short,
    stacked,
    title,
)
from forecasteval.scores.probability import METRICS
from forecasteval.scores.reliability import Reliability


def _drawable(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return [c for c in comparisons if math.isfinite(c.primary["difference"])]


def _hollow_note(comparisons: Sequence[Comparison]) -> str:
    return "" if all(c.primary["reliable"] for c in comparisons) else "Hollow and dashed: not reliable."


def _rung_label(comparison: Comparison) -> str:
    words = wording.scope(comparison.generalise_to, comparison.nouns)
    return textwrap.fill(words[0].upper() + words[1:], 18)


def ladder(rungs: Sequence[Comparison]) -> Picture | Absent:
    """How sure, about what: the same difference for new deals, new reps and new periods.

    Parameters
    ----------
    rungs : list of Comparison, from :func:`forecasteval.ladder`

    Returns
    -------
    Picture
    """
    rungs = _drawable(rungs)
    if not rungs:
        return Absent("There is no difference to draw: nothing could be compared.")
    first, last = rungs[0], rungs[-1]
    settled = [c for c in rungs if c.verdict in (CANDIDATE, BASELINE)]
    scope = wording.scope(last.generalise_to, last.nouns)
    if not settled:
        message = "No difference can be told, whatever may change next time"
    elif last in settled:
        winner = last.candidate if last.verdict == CANDIDATE else last.baseline
        message = f"{winner} is ahead even for {scope}"
    else:
        winner = settled[-1].candidate if settled[-1].verdict == CANDIDATE else settled[-1].baseline
        message = f"{winner} is ahead for {wording.scope(settled[-1].generalise_to, last.nouns)}; not shown for {scope}"
    shade = colour(first.candidate, (first.candidate, first.baseline))
    rows = [(_rung_label(c), c, shade) for c in rungs]
    return stacked("ladder", message, rows, axis_label(first), _hollow_note(rungs))


def forest(comparisons: Mapping[str, Comparison]) -> Picture | Absent:
    """Every other forecaster against the same baseline.

    Parameters
    ----------
    comparisons : dict of Comparison by candidate, from :func:`forecasteval.against`

    Returns
    -------
    Picture
    """
    ordered = sorted(_drawable(comparisons.values()), key=lambda c: c.primary["difference"])
    if not ordered:
        return Absent("There is no other forecaster to draw.")
    if METRICS[str(ordered[0].primary["metric"])].better == "higher":
        ordered = ordered[::-1]
    better = [c.candidate for c in ordered if c.verdict == CANDIDATE]
    baseline = ordered[0].baseline
    message = f"No forecaster is shown to beat {baseline}"
    if better:
        who = better[0] if len(ordered) == 1 else f"{len(better)} of {len(ordered)} forecasters"
        message = f"{who} beat{'s' if len(ordered) == 1 or len(better) == 1 else ''} {baseline}"
    names = list(comparisons)
    rows = [(textwrap.fill(short(c.candidate), 18), c, colour(c.candidate, names)) for c in ordered]
    left, right = _direction(ordered[0])
    label = METRICS[str(ordered[0].primary["metric"])].label
    left, right = (s if s == short(baseline, 18) else "the other" for s in (left, right))
    axis = f"Difference in {label} from {baseline}\n← {left} better   |   {right} better →"
    return stacked("forest", message, rows, axis, _hollow_note(ordered))


def by_week(weeks: Mapping[int, Comparison]) -> Picture | Absent:
    """The difference by week of the period, with intervals and numbers of deals.

    Parameters
    ----------
    weeks : dict of Comparison by week, from :func:`forecasteval.by_group`

    Returns
    -------
    Picture
    """
    weeks = {w: c for w, c in weeks.items() if math.isfinite(c.primary["difference"])}
    if not weeks:
        return Absent("There is no week of a period in which the two can be compared.")
    any_one = next(iter(weeks.values()))
    message = week_message(weeks)
    shade = colour(any_one.candidate, (any_one.candidate, any_one.baseline))
    with canvas(3.6) as (figure, ax):
        title(figure, message)
        ax.axhline(0, color=INK, lw=1)
        for week, c in weeks.items():
            row = c.primary
            face = shade if row["reliable"] else "white"
            style = "-" if row["reliable"] else (0, (3, 2))
            if math.isfinite(row["low"]):
                ax.plot([week, week], [row["low"], row["high"]], color=shade, lw=2.2, ls=style)
            ax.plot([week], [row["difference"]], "o", ms=6, mfc=face, mec=shade, mew=1.5)
        ax.set_xticks(list(weeks), [f"{w}\n{c.primary['deals']}" for w, c in weeks.items()], fontsize=8)
        ax.set_xlabel("Week of the period; below it the number of deals", fontsize=9)
        down, up = _direction(any_one)
        ax.set_ylabel(f"{METRICS[str(any_one.primary['metric'])].label} difference", fontsize=9)
        for text, y, va in ((f"↑ {up} better", 0.99, "top"), (f"↓ {down} better", 0.01, "bottom")):
            ax.text(0.995, y, text, transform=ax.transAxes, ha="right", va=va, fontsize=9, color=GREY)
        ax.margins(y=0.18)
        note = " ".join([_hollow_note(list(weeks.values())), "Each week is judged by itself."]).strip()
        figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(f"week {w}: {_in_words(c.primary)}" for w, c in weeks.items())
    return Picture("by_week", f"{message}. Difference by week with intervals: {said}.", figure)


def week_message(weeks: Mapping[int, Comparison]) -> str:
    """Who is ahead in which weeks, in one line.

    Parameters
    ----------
    weeks : dict of Comparison by week

    Returns
    -------
    str
    """
    any_one = next(iter(weeks.values()))
    parts = []
    for verdict, name in ((CANDIDATE, any_one.candidate), (BASELINE, any_one.baseline)):
        ahead = [w for w, c in weeks.items() if c.verdict == verdict]
        if ahead:
            parts.append(f"{name} is ahead in {_runs(ahead, list(weeks))}")
    if not parts:
        return "In no single week can a difference be told"
    undecided = len(weeks) - sum(c.verdict in (CANDIDATE, BASELINE) for c in weeks.values())
    return "; ".join(parts) + ("; no difference can be told in the others" if undecided else "")


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


def reliability(
    curves: Mapping[str, Reliability], bands: Mapping[str, tuple[Any, Any, Any]], message: str
) -> Picture | Absent:
    """Reliability curves side by side, with the numbers of deals below.

    Parameters
    ----------
    curves : dict of Reliability by forecaster
    bands : dict of (grid, low, high) by forecaster
        Where the curve of a perfectly calibrated forecast would lie by chance.
    message : str

    Returns
    -------
    Picture
    """
    if not curves:
        return Absent("There are no probabilities of deals with a known outcome to judge.")
    names = list(curves)
    several = {"nrows": 2, "sharex": True, "sharey": "row", "height_ratios": (3.4, 1), "squeeze": False}
    with canvas(3.9, len(names), **several) as (figure, grid):
        title(figure, message)
        for i, name in enumerate(names):
            curve, shade = curves[name], colour(name, names)
            ax, counts = grid[0][i], grid[1][i]
            if name in bands:
                at, low, high = bands[name]
                ax.fill_between(at, low, high, color=FAINT, lw=0, label="if it could be taken at its word")
            ax.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 3)))
            ax.plot(curve.probability, curve.recalibrated, color=shade, lw=2)
            for said, happened, deals in curve.bins():
                ax.plot([said], [happened], "o", color=shade, ms=min(3 + deals**0.5 / 4, 10), alpha=0.85)
            ax.set_title(short(name), fontsize=10, color=shade)
            ax.set_xlim(-0.02, 1.02)
            ax.set_ylim(-0.02, 1.02)
            counts.hist(curve.probability, bins=20, range=(0, 1), weights=curve.deals, color=shade, alpha=0.8)
            counts.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
            counts.set_xlabel("What was said", fontsize=9)
        grid[0][0].set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        grid[0][0].set_ylabel("What happened\n(share won)", fontsize=9)
        grid[1][0].set_ylabel("Deals", fontsize=9)
        figure.supxlabel(
            "Dashed: perfect. Grey: where a perfect forecaster would land by\nchance (90%). Larger dots: more deals.",
            fontsize=8,
            color=GREY,
            x=0.01,
            ha="left",
        )
    lines = []
    for name, curve in curves.items():
        points = ", ".join(f"{p:.0%} said, {w:.0%} won ({n} deals)" for p, w, n in curve.bins())
        lines.append(f"{name}: {points}")
    return Picture("reliability", f"{message}. Reliability curves. {'; '.join(lines)}.", figure)


def flow(steps: pd.DataFrame) -> Picture:
    """How many deals were left at each step.

    Parameters
    ----------
    steps : DataFrame with step, deals, dropped, why

    Returns
    -------
    Picture
    """
    first, last = int(steps["deals"].iloc[0]), int(steps["deals"].iloc[-1])
    message = f"{last:,} of {first:,} deals are compared"
    ends = steps.index.isin([steps.index[0], steps.index[-1]])
    steps = steps[ends | (steps["dropped"] > 0)]  # the table has them all
    with canvas(1.2 + 0.42 * len(steps)) as (figure, ax):
        title(figure, message)
        y = range(len(steps), 0, -1)
        shades = [FAINT] * (len(steps) - 1) + ["#0072B2"]
        ax.barh(list(y), steps["deals"], color=shades, height=0.62)
        for at, deals in zip(y, steps["deals"], strict=True):
            ax.annotate(
                f"{deals:,}", (deals, at), (4, 0), textcoords="offset points", va="center", fontsize=9
            )
        ax.set_yticks(list(y), [textwrap.fill(short(s, 44), 26) for s in steps["step"]], fontsize=9)
        ax.tick_params(axis="both", length=0)
        ax.set_xticks([])
        for side in ("bottom", "left"):
            ax.spines[side].set_visible(False)
        ax.margins(x=0.12)
    said = "; ".join(f"{s}: {d:,}" for s, d in zip(steps["step"], steps["deals"], strict=True))
    return Picture("flow", f"{message}. {said}.", figure)


def few_reps(influence: pd.DataFrame | None, comparison: Comparison, noun: str = "rep") -> Picture | Absent:
    """How much hangs on few: the difference without each of the largest clusters.

    Parameters
    ----------
    influence : DataFrame with name, share and without, largest first; None where there are no clusters
    comparison : Comparison
        The headline comparison, whose interval is drawn as a band.
    noun : str

    Returns
    -------
    Picture
    """
    if influence is None or not math.isfinite(comparison.primary["difference"]):
        return Absent("There is nothing whose weight could be shown.")
    row = comparison.primary
    shown = influence.head(12)
    flips = (shown["without"] * row["difference"] < 0).any()
    top = shown["share"].head(3).sum()
    turn = "turns the difference around" if flips else "changes who is ahead"
    weight = f"The 3 largest {noun}s hold {top:.0%} of the weight; " if len(influence) > 3 else ""
    message = weight + f"leaving out any one of the largest {'' if flips else 'never '}{turn}"
    message = message[0].upper() + message[1:]
    shade = colour(comparison.candidate, (comparison.candidate, comparison.baseline))
    with canvas(1.7 + 0.27 * len(shown)) as (figure, ax):
        title(figure, message)
        if math.isfinite(row["low"]):
            ax.axvspan(row["low"], row["high"], color=shade, alpha=0.12, lw=0)
        ax.axvline(0, color=INK, lw=1)
        ax.axvline(row["difference"], color=shade, lw=1, ls=(0, (4, 3)))
        y = range(len(shown), 0, -1)
        ax.scatter(shown["without"], list(y), color=shade, s=30 + 400 * shown["share"], zorder=3)
        labels = [
            f"without {short(n, 18)} ({s:.0%})" for n, s in zip(shown["name"], shown["share"], strict=True)
        ]
        ax.set_yticks(list(y), labels, fontsize=8.5)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(axis_label(comparison), fontsize=9)
        ax.margins(x=0.1)
        ax.locator_params(axis="x", nbins=5)
        figure.supxlabel(
            "Dashed: with everyone. Band: the interval of the headline.\nIn brackets: share of the deals.",
            fontsize=8,
            color=GREY,
            x=0.01,
            ha="left",
        )
    said = "; ".join(
        f"without {n} ({s:.0%}): {wording.number(w)}"
        for n, s, w in zip(shown["name"], shown["share"], shown["without"], strict=True)
    )
    return Picture("few_reps", f"{message}. {said}.", figure)
