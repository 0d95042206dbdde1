"""Pictures of how much data the model needs; nothing is computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from forecasteval.compare import wording
from forecasteval.report.figures import (
    FAINT,
    INK,
    Picture,
    ahead,
    canvas,
    colour,
    difference_axis,
    note,
    short,
    stacked,
    title,
)
from forecasteval.report.labels import on_axis
from forecasteval.studies.data_sufficiency._curve import Curve


def _sizes_axis(ax: Axes, sizes: Sequence[int]) -> None:
    """A logarithmic axis with the sizes that can stand beside each other."""
    kept = [sizes[0]]
    for n in sizes[1:]:
        if n / kept[-1] >= 1.9:
            kept.append(n)
    ax.set_xscale("log")
    ax.set_xticks(kept, [f"{n:,}" for n in kept])
    ax.minorticks_off()
    ax.set_xlim(sizes[0] / 1.25, sizes[-1] * 1.25)


def _series(ax: Axes, table: pd.DataFrame, prefix: str, shade: str, shift: float, label: str) -> None:
    """Estimates with intervals at each size; hollow where no interval is reliable."""
    x = table["size"] * shift
    y, low, high = (table[f"{prefix}{k}"] for k in ("difference", "low", "high"))
    ax.vlines(x, low, high, color=shade, lw=2)
    ax.plot(x, y, color=shade, lw=1.2, alpha=0.6)
    sure = table[f"{prefix}reliable"].astype(bool)
    ax.plot(x[sure], y[sure], "o", ms=6, color=shade, label=label)
    ax.plot(x[~sure], y[~sure], "o", ms=6, mfc="white", mec=shade, label="" if sure.any() else label)


def learning_curve(curve: Curve, message: str, alt: str, below: str) -> Picture:
    """The difference from the baseline by number of deals learned from, with intervals; the rule beside it."""
    table, baseline = curve.table, curve.baseline
    others = "the reps" if baseline == "rep_forecast" else baseline
    with canvas(4.2) as (figure, ax):
        title(figure, message)
        ax.axhline(0, color=INK, lw=1)
        if "rule_difference" in table:
            _series(
                ax, table, "rule_", colour(curve.rule), 1.05, f"{on_axis(curve.rule)}, from the same deals"
            )
        _series(ax, table, "", colour("model"), 1 / 1.03, curve.who)
        if curve.reached is not None:
            ax.axvspan(curve.reached / 1.12, curve.most * 1.25, color=FAINT, alpha=0.5, lw=0, zorder=0)
        _sizes_axis(ax, curve.learning.sizes)
        ax.set_xlabel("Closed deals that the model has learned from", fontsize=9)
        ax.set_ylabel(f"{curve.label} minus that of {short(on_axis(baseline), 20)}", fontsize=9)
        better, worse = f"better than {others}", f"{others.removeprefix('the ')} better"
        if curve.higher_is_better:
            ahead(ax, f"above 0: {better}", worse)
        else:
            ahead(ax, worse, f"below 0: {better}")
        ax.margins(y=0.15)
        ax.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2)
        note(figure, below)
    return Picture("learning_curve", alt, figure)


def overconfidence(curve: Curve, message: str, alt: str, below: str) -> Picture:
    """Calibration slope above, what is lost by miscalibration below."""
    table = curve.table
    with canvas(4.6, 1, nrows=2, sharex=True, height_ratios=(1.6, 1)) as (figure, (top, bottom)):
        title(figure, message)
        top.axhline(1, color=INK, lw=1)
        top.text(
            0.01, 1, "as sure as it should be", transform=top.get_yaxis_transform(), fontsize=8.5, va="bottom"
        )
        for prefix, shade, shift, label in (
            ("rule_", colour(curve.rule), 1.05, on_axis(curve.rule)),
            ("", colour("model"), 1 / 1.03, curve.who),
        ):
            if f"{prefix}slope" not in table:
                continue
            x = table["size"] * shift
            top.vlines(x, table[f"{prefix}slope_low"], table[f"{prefix}slope_high"], color=shade, lw=2)
            top.plot(x, table[f"{prefix}slope"], "o-", ms=5, lw=1.2, color=shade, label=label)
            bottom.plot(x, table[f"{prefix}miscalibration"], "o-", ms=5, lw=1.2, color=shade)
        top.set_ylim(0, max(1.25, 1.05 * float(table["slope_high"].max(skipna=True) or 1.25)))
        top.set_ylabel("Calibration slope\n↓ too sure", fontsize=9)
        top.legend(frameon=False, fontsize=8.5, loc="lower right")
        bottom.set_ylim(0, None)
        bottom.set_ylabel("Lost by\nmiscalibration", fontsize=9)
        for ax in (top, bottom):
            _sizes_axis(ax, curve.learning.sizes)
        bottom.set_xlabel("Closed deals that the model has learned from", fontsize=9)
        note(figure, below)
    return Picture("overconfidence", alt, figure)


def in_segments(curve: Curve, drawn: pd.DataFrame, message: str, alt: str) -> Picture:
    """The difference in each segment at the largest size."""
    rows: list[tuple[str, dict[Any, Any], str]] = [
        (f"{short(r['value'], 20)}\n{r['deals']:,} deals, {r['reps']} reps", r, colour("model"))
        for r in drawn.to_dict("records")
    ]
    left, right = [curve.who, short(on_axis(curve.baseline), 20)][:: -1 if curve.higher_is_better else 1]
    axis = difference_axis(curve.label, left, right)
    level = wording.percent(round(float(drawn["level"].iloc[0]), 4))
    return stacked(
        "segments", message, rows, axis, f"Intervals at {level} each, so that all of them hold together.", alt
    )
