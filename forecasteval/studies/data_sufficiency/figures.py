"""Pictures of how much data the model needs; nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from forecasteval.compare import wording
from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, colour, short, title
from forecasteval.studies.data_sufficiency.study import Curve, Sufficiency

_ABSENT = "There is no learning curve to draw."


def _ticks(sizes: Sequence[int]) -> list[int]:
    """Sizes that can stand beside each other on a logarithmic axis."""
    kept = [sizes[0]]
    for n in sizes[1:]:
        if n / kept[-1] >= 1.9:
            kept.append(n)
    return kept


def _sizes_axis(ax: Axes, sizes: Sequence[int], label: bool = True) -> None:
    ax.set_xscale("log")
    ax.set_xticks(_ticks(sizes), [f"{n:,}" for n in _ticks(sizes)])
    ax.minorticks_off()
    ax.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)
    if label:
        ax.set_xlabel("Closed deals that the model has learned from", fontsize=9)


def _series(ax: Axes, table: pd.DataFrame, prefix: str, shade: str, shift: float, label: str) -> None:
    """Estimates with intervals at each size; hollow where no interval is reliable."""
    x = table["size"] * shift
    y, low, high = (table[f"{prefix}{k}"] for k in ("difference", "low", "high"))
    ax.vlines(x, low, high, color=shade, lw=2)
    ax.plot(x, y, color=shade, lw=1.2, alpha=0.6)
    sure = table[f"{prefix}reliable"].astype(bool)
    ax.plot(x[sure], y[sure], "o", ms=6, color=shade, label=label)
    ax.plot(x[~sure], y[~sure], "o", ms=6, mfc="white", mec=shade, label="" if sure.any() else label)


def message(question: Sufficiency, curve: Curve) -> str:
    """Where the model gets ahead, in one line.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve

    Returns
    -------
    str
    """
    if not curve.against_baseline[curve.learning.sizes[-1]].primary["reliable"]:
        return f"It cannot be told when {who(question)} gets ahead of {question.baseline}"
    if curve.reached is None:
        return (
            f"Not reached: up to {curve.learning.sizes[-1]:,} deals {who(question)} is not shown to be ahead"
        )
    start = "Already with" if curve.reached == curve.learning.sizes[0] else "From"
    on = "" if start == "Already with" else " on"
    return f"{start} {curve.reached:,} closed deals{on} {who(question)} is ahead of {question.baseline}"


def who(question: Sufficiency) -> str:
    """What is learning: the reference model, or a vendor's.

    Examples
    --------
    >>> who(Sufficiency())
    'the model'
    """
    return "the vendor's model" if question.scores else "the model"


def learning_curve(question: Sufficiency, curve: Curve | None) -> Picture | Absent:
    """The difference from the baseline by number of deals learned from, with intervals; the rule beside it.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Picture
    """
    if curve is None or not curve.table["difference"].notna().any():
        return Absent(_ABSENT)
    table, said = curve.table, message(question, curve)
    with canvas(4.2) as (figure, ax):
        title(figure, said)
        ax.axhline(0, color=INK, lw=1)
        if "rule_difference" in table:
            _series(ax, table, "rule_", colour(question.rule), 1.05, f"{question.rule}, from the same deals")
        _series(ax, table, "", colour("model"), 1 / 1.03, who(question))
        if curve.reached is not None:
            ax.axvspan(
                curve.reached / 1.12, curve.learning.sizes[-1] * 1.25, color=FAINT, alpha=0.5, lw=0, zorder=0
            )
        _sizes_axis(ax, curve.learning.sizes)
        ax.set_ylabel(f"Brier score minus that of {short(question.baseline, 18)}", fontsize=9)
        for text, y, va in (
            ("↑ reps better", 0.99, "top"),
            ("↓ below 0: better than the reps", 0.01, "bottom"),
        ):
            if question.baseline != "rep_forecast":
                text = text.replace("the reps", question.baseline).replace("reps", question.baseline)
            ax.text(0.995, y, text, transform=ax.transAxes, ha="right", va=va, fontsize=9, color=GREY)
        ax.margins(y=0.15)
        ax.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
        row = curve.against_baseline[curve.learning.sizes[-1]]
        shaded = "" if curve.reached is None else "Shaded: ahead at every size. "
        note = f"{shaded}Every point: the same {wording.size(row.primary, row.nouns)}."
        figure.supxlabel(textwrap.fill(note, 78), fontsize=8, color=GREY, x=0.01, ha="left")
    words = "; ".join(f"{r['size']:,} deals {_words(r)}" for r in table.to_dict("records"))
    return Picture(
        "learning_curve", f"{said}. Difference from {question.baseline} with intervals: {words}.", figure
    )


def _words(row: Any) -> str:
    places = wording.decimals(row["low"], row["high"])
    if math.isnan(row["low"]):
        return f"{wording.number(row['difference'])}, no interval"
    low, high = wording.number(row["low"], places), wording.number(row["high"], places)
    return f"{wording.number(row['difference'], places)} ({low} to {high})"


def overconfidence(question: Sufficiency, curve: Curve | None) -> Picture | Absent:
    """Calibration slope and miscalibration by number of deals learned from: too sure of itself on few.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Picture
    """
    if curve is None or not curve.table["slope"].notna().any():
        return Absent("There is no calibration to draw.")
    table = curve.table
    first, last = table["slope"].iloc[0], table["slope"].iloc[-1]
    small, large = table["size"].iloc[0], table["size"].iloc[-1]
    over = table["slope_high"].iloc[0] < 1
    said = "Too sure of itself on few deals: slope" if over else "Calibration slope"
    said += f" {wording.number(first, 2)} with {small:,}"
    if large > small:
        said += f", {wording.number(last, 2)} with {large:,}"
    with canvas(4.6, 1, nrows=2, sharex=True, height_ratios=(1.6, 1)) as (figure, (top, below)):
        title(figure, said)
        top.axhline(1, color=INK, lw=1)
        top.text(
            0.01, 1, "as sure as it should be", transform=top.get_yaxis_transform(), fontsize=8.5, va="bottom"
        )
        for prefix, shade, shift, label in (
            ("rule_", colour(question.rule), 1.05, question.rule),
            ("", colour("model"), 1 / 1.03, who(question)),
        ):
            if f"{prefix}slope" not in table:
                continue
            x = table["size"] * shift
            top.vlines(x, table[f"{prefix}slope_low"], table[f"{prefix}slope_high"], color=shade, lw=2)
            top.plot(x, table[f"{prefix}slope"], "o-", ms=5, lw=1.2, color=shade, label=label)
            below.plot(x, table[f"{prefix}miscalibration"], "o-", ms=5, lw=1.2, color=shade)
        top.set_ylim(0, max(1.25, 1.05 * float(table["slope_high"].max(skipna=True) or 1.25)))
        top.set_ylabel("Calibration slope\n↓ too sure", fontsize=9)
        top.legend(frameon=False, fontsize=8.5, loc="lower right")
        below.set_ylim(0, None)
        below.set_ylabel("Lost by\nmiscalibration", fontsize=9)
        _sizes_axis(top, curve.learning.sizes, label=False)
        _sizes_axis(below, curve.learning.sizes)
        rows = int(curve.against_baseline[curve.learning.sizes[-1]].primary["rows"])
        note = (
            f"{rows:,} forecasts at each size. Miscalibration is in points of Brier score and never quite 0."
        )
        figure.supxlabel(textwrap.fill(note, 78), fontsize=8, color=GREY, x=0.01, ha="left")
    words = "; ".join(
        f"{r['size']:,} deals slope {wording.number(r['slope'], 2)}, miscalibration {wording.number(r['miscalibration'])}"
        for r in table.to_dict("records")
    )
    return Picture("overconfidence", f"{said}. {words}.", figure)


def segments(question: Sufficiency, curve: Curve | None) -> Picture | Absent:
    """The difference in each segment at the largest size, with intervals wide enough for all of them at once.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Picture
    """
    if curve is None or curve.segments.empty:
        return Absent(
            "There are no segments to look at: no column has two to eight values, or there is no curve."
        )
    drawn = curve.segments[curve.segments["low"].notna()]
    if drawn.empty:
        return Absent("No segment is large enough for an interval of its own.")
    ahead = int(drawn["reached"].notna().sum())
    largest = curve.learning.sizes[-1]
    said = f"With {largest:,} deals to learn from, {who(question)} is ahead in {ahead} of {len(curve.segments)} segments"
    shade = colour("model")
    with canvas(1.7 + 0.5 * len(drawn)) as (figure, ax):
        title(figure, said)
        ax.axvline(0, color=INK, lw=1)
        for i, r in enumerate(drawn.to_dict("records")):
            ax.plot(
                [r["low"], r["high"]], [-i, -i], color=shade, lw=2.4, ls="-" if r["reliable"] else (0, (3, 2))
            )
            ax.plot([r["difference"]], [-i], "o", ms=7, mfc=shade if r["reliable"] else "white", mec=shade)
        labels = [
            f"{short(r['value'], 20)}\n{r['deals']:,} deals, {r['reps']} reps"
            for r in drawn.to_dict("records")
        ]
        ax.set_yticks([-i for i in range(len(drawn))], labels, fontsize=9)
        ax.set_ylim(-len(drawn) + 0.4, 0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_xlabel(
            f"Difference in Brier score\n← {who(question)} better   |   {question.baseline} better →",
            fontsize=9,
        )
        ax.locator_params(axis="x", nbins=5)
        level = wording.percent(round(float(drawn["level"].iloc[0]), 4))
        note = f"Intervals at {level} each, so that all of them hold together."
        figure.supxlabel(note, fontsize=8, color=GREY, x=0.01, ha="left")
    words = "; ".join(f"{r['segment']} {r['value']}: {_words(r)}" for r in drawn.to_dict("records"))
    return Picture("segments", f"{said}. {words}.", figure)
