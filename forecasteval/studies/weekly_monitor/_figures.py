"""Pictures of the weekly report; they draw what they are handed."""

from __future__ import annotations

import math

import matplotlib.dates as mdates
import numpy as np
import pandas as pd

from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.report.figures import (
    FAINT,
    GREY,
    INK,
    Picture,
    ahead,
    canvas,
    colour,
    difference_axis,
    labelled,
    note,
    short,
    title,
)
from forecasteval.report.labels import on_axis
from forecasteval.studies.weekly_monitor._rules import Rules
from forecasteval.studies.weekly_monitor._watch import Watch


def _shade(rules: Rules) -> str:
    return colour(rules.candidate, (rules.candidate, rules.baseline))


def running(watch: Watch, said: str, below: str, alt: str) -> Picture:
    """The running difference with the interval of one look and the one for all looks together."""
    looks, rules, shade = watch.looks, watch.rules, _shade(watch.rules)
    day = looks["known_on"].to_numpy()
    low, high = (looks[e].where(np.isfinite(looks["low"])) for e in ("low", "high"))
    one_low, one_high = (looks[e].where(np.isfinite(looks[e])) for e in ("fixed_low", "fixed_high"))
    with canvas(3.9) as (figure, ax):
        title(figure, said)
        ax.axhline(0, color=INK, lw=1)
        ax.fill_between(day, low, high, color=shade, alpha=0.18, lw=0, label="all looks together")
        ax.plot(day, low, color=shade, lw=1.2)
        ax.plot(day, high, color=shade, lw=1.2)
        ax.fill_between(day, one_low, one_high, color=GREY, alpha=0.3, lw=0, label="one look only")
        ax.plot(day, looks["difference"], color=shade, lw=2, marker="o" if len(looks) < 16 else None, ms=4)
        for changed, verdict in watch.changes:
            at = looks.loc[looks["known_on"] == changed, "difference"].iloc[0]
            won = verdict in (CANDIDATE, BASELINE)
            ax.plot([changed], [at], "o", ms=8, mfc=shade if won else "white", mec=shade, mew=1.6, zorder=4)
        ax.set_ylim(*_limits(looks))
        ax.margins(x=0.02)
        ax.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=6))
        ax.set_xticks(ax.get_xticks(), [_tick(looks, t) for t in ax.get_xticks()], fontsize=8)
        ax.set_xlim(day[0] - np.timedelta64(10, "D"), day[-1] + np.timedelta64(10, "D"))
        ax.set_xlabel("When outcomes became known; below it, deals so far", fontsize=9)
        ax.set_ylabel(f"{rules.score.label} difference so far", fontsize=9)
        candidate, baseline = (short(on_axis(name), 20) for name in (rules.candidate, rules.baseline))
        ahead(ax, f"{baseline} better", f"{candidate} better")
        for at in (-rules.margin, rules.margin) if rules.margin else ():
            ax.axhline(at, color=INK, lw=0.8, ls=":")
        note(figure, below)
    return Picture("running", alt, figure)


def _limits(looks: pd.DataFrame) -> tuple[float, float]:
    """Ends that show the newest looks well; early ones, which are very wide, may run out of the picture."""
    last = looks.iloc[-1]
    ends = [
        abs(last[k])
        for k in ("low", "high", "fixed_low", "fixed_high", "difference")
        if math.isfinite(last[k])
    ]
    later = float(looks["difference"].iloc[len(looks) // 4 :].abs().max())
    reach = max(2.2 * max(ends), 1.15 * later, 1e-6)
    return -reach, reach


def _tick(looks: pd.DataFrame, at: float) -> str:
    day = pd.Timestamp(mdates.num2date(at).replace(tzinfo=None))
    deals = looks.loc[looks["known_on"] <= day, "deals"]
    return f"{day:%b %Y}\n{int(deals.iloc[-1]) if len(deals) else 0:,}"


def by_period(rules: Rules, periods: pd.DataFrame, said: str, alt: str) -> Picture:
    """What each period by itself showed."""
    shade, n = _shade(rules), len(periods)
    with canvas(1.5 + 0.36 * n) as (figure, ax):
        title(figure, said)
        ax.axvline(0, color=INK, lw=1)
        labels = [f"{short(str(p), 14)} ({deals:,})" for p, deals in periods["deals"].items()]
        columns = (periods[c].tolist() for c in ("difference", "deals", "filling"))
        heights = labelled(ax, labels, 8.5)
        ax.margins(x=0.15)
        ax.locator_params(axis="x", nbins=5)
        names = (short(on_axis(name), 20) for name in (rules.candidate, rules.baseline))
        ax.set_xlabel(difference_axis(rules.score.label, *names), fontsize=9)
        for at, difference, deals, filling in zip(heights, *columns, strict=True):
            ax.plot([0, difference], [at, at], color=FAINT, lw=2, zorder=1)
            ax.plot(
                [difference], [at], "o", ms=4 + deals**0.5 / 3, mec=shade, mew=1.6,
                mfc="white" if filling else shade,
            )  # fmt: skip
        ax.set_ylim(0.6, n + 0.6)
        note(
            figure,
            "In brackets: deals. Hollow: still filling. No intervals here: how far these lie apart is what makes the "
            "interval above.",
        )
    return Picture("by_period", alt, figure)
