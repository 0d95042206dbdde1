"""Pictures of the coverage study: one dot for each interval, family by family; they draw what they are handed."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from forecasteval.report.figures import INK, Picture, canvas, title
from forecasteval.studies.coverage_study._beside import Interval
from forecasteval.studies.coverage_study._goals import GOALS, LEVEL

_OURS, _MISSED, _PLAIN = "#0072B2", "#D55E00", "#9aa1a9"


def coverage(families: Mapping[str, pd.DataFrame], said: str, alt: str) -> Picture:
    """Coverage of every interval of the study, with that of the plain jackknife interval behind it."""
    known, rng = pd.concat(families.values()), np.random.default_rng(0)
    least = float(np.floor(20 * min(known["coverage"].min(), known["coverage_cr3j"].min())) / 20)
    with canvas(1.4 + 0.52 * len(families)) as (figure, ax):
        title(figure, said)
        ax.axvspan(GOALS["coverage"], 1, color="#eef3f7", lw=0)
        ax.axvline(LEVEL, color=INK, lw=1, ls=(0, (4, 3)))
        for i, rows in enumerate(families.values()):
            y = -i + rng.uniform(-0.3, 0.3, len(rows))
            bad = rows["misses"].str.contains("coverage").to_numpy()
            ax.plot(rows["coverage_cr3j"], y, "o", ms=3, color=_PLAIN, alpha=0.55, mew=0)
            ax.plot(rows["coverage"][~bad], y[~bad], "o", ms=3, color=_OURS, alpha=0.85, mew=0)
            ax.plot(rows["coverage"][bad], y[bad], "X", ms=5.5, color=_MISSED, mew=0)
        ax.set_yticks([-i for i in range(len(families))], list(families), fontsize=8.5)
        ax.set_ylim(-len(families) + 0.45, 0.55)
        ax.tick_params(axis="y", length=0)
        ax.set_xlim(max(0.0, least - 0.01), 1.005)
        ax.xaxis.set_major_locator(MultipleLocator(0.05 if least > 0.75 else 0.1))
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        ax.set_xlabel(
            "How often the interval held the truth\n(dashed: nominal 95%; shaded: 93% and more;\n"
            "a blue dot left of it may be simulation error)",
            fontsize=9,
        )
        marks = {"meets the goal": ("o", _OURS, 4), "misses it": ("X", _MISSED, 6)}
        marks["plain jackknife interval"] = ("o", _PLAIN, 4)
        handles = [
            ax.plot([], [], form, color=tone, ms=size, label=label)[0]
            for label, (form, tone, size) in marks.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return Picture("coverage", alt, figure)


def others(intervals: Sequence[Interval], said: str, alt: str) -> Picture:
    """Coverage, and power where the candidate is worse and better, of every interval: one dot for each kind."""
    rng = np.random.default_rng(0)
    with canvas(4.4, columns=2) as (figure, (left, right)):
        title(figure, said)
        left.axvspan(GOALS["coverage"], 1, color="#eef3f7", lw=0)
        left.axvline(LEVEL, color=INK, lw=1, ls=(0, (4, 3)))
        for i, interval in enumerate(intervals):
            tone = _PLAIN if interval.name else _OURS
            y = -i + rng.uniform(-0.3, 0.3, len(interval.coverage))
            left.plot(interval.coverage, y, "o", ms=3, color=tone, alpha=0.7, mew=0)
            power = interval.power
            for side, mark, shift in (("worse", "v", 0.16), ("better", "^", -0.16)):
                y = -i + shift + rng.uniform(-0.1, 0.1, len(power))
                right.plot(power[side], y, mark, ms=3.5, color=tone, alpha=0.7, mew=0)
        for ax in (left, right):
            ax.set_yticks([-i for i in range(len(intervals))])
            ax.set_ylim(-len(intervals) + 0.45, 0.55)
            ax.tick_params(axis="y", length=0)
            ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        left.set_yticklabels([textwrap.fill(interval.label, 24) for interval in intervals], fontsize=8.5)
        right.tick_params(labelleft=False)
        least = min(float(interval.coverage.min()) for interval in intervals)
        left.set_xlim(np.floor(20 * least) / 20 - 0.01, 1.005)
        right.axvline(0.8, color=INK, lw=1, ls=(0, (4, 3)))
        left.set_xlabel("How often it held the truth\n(shaded: 93% and more)", fontsize=9)
        right.set_xlabel("Power, where plain CR3J has 80%\n(▼ candidate worse, ▲ better)", fontsize=9)
    return Picture("others", alt, figure)
