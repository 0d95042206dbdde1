"""Pictures of the weekly report; nothing is computed here."""

from __future__ import annotations

import math
import textwrap

import matplotlib.dates as mdates
import numpy as np
import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME
from forecasteval.inference import confidence_sequences as sequences
from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, colour, short, title
from forecasteval.studies.weekly_monitor.rules import PERIODS, verdict_of
from forecasteval.studies.weekly_monitor.study import Watch


def message(found: Watch) -> str:
    """What the sequence says at its newest look, in one line.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    str
    """
    row, rules = found.last, found.rules
    if row is None:
        return "No week has all its outcomes yet"
    if row["verdict"] in (CANDIDATE, BASELINE):
        winner = rules.candidate if row["verdict"] == CANDIDATE else rules.baseline
        return f"{winner} is ahead, and has been since {found.changes[-1][0]:%B %Y}"
    if row["verdict"] == SAME:
        return "The difference is too small to matter"
    given = [v for _, v in found.changes]
    return "No difference can be told" + (" any more" if given else " yet")


def running(found: Watch) -> Picture | Absent:
    """The running difference with the interval of one look and the one for all looks together.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Picture
    """
    looks = found.looks
    if looks.empty:
        return Absent("There is nothing to draw: no week has all its outcomes yet.")
    rules = found.rules
    shade = colour(rules.candidate, (rules.candidate, rules.baseline))
    day = looks["known_on"].to_numpy()
    formed = np.isfinite(looks["low"].to_numpy())
    low, high = (looks[e].where(formed) for e in ("low", "high"))
    one_low, one_high = (looks[e].where(np.isfinite(looks[e])) for e in ("fixed_low", "fixed_high"))
    with canvas(3.9) as (figure, ax):
        title(figure, message(found))
        ax.axhline(0, color=INK, lw=1)
        ax.fill_between(day, low, high, color=shade, alpha=0.18, lw=0, label="all looks together")
        ax.plot(day, low, color=shade, lw=1.2)
        ax.plot(day, high, color=shade, lw=1.2)
        ax.fill_between(day, one_low, one_high, color=GREY, alpha=0.3, lw=0, label="one look only")
        ax.plot(day, looks["difference"], color=shade, lw=2, marker="o" if len(looks) < 16 else None, ms=4)
        for changed, verdict in found.changes:
            at = looks.loc[looks["known_on"] == changed, "difference"].iloc[0]
            won = verdict in (CANDIDATE, BASELINE)
            ax.plot([changed], [at], "o", ms=8, mfc=shade if won else "white", mec=shade, mew=1.6, zorder=4)
        ax.set_ylim(*_limits(found))
        ax.margins(x=0.02)
        ax.xaxis.set_major_locator(mdates.AutoDateLocator(minticks=3, maxticks=6))
        ax.set_xticks(ax.get_xticks(), [_tick(found, t) for t in ax.get_xticks()], fontsize=8)
        ax.set_xlim(day[0] - np.timedelta64(10, "D"), day[-1] + np.timedelta64(10, "D"))
        ax.set_xlabel("When outcomes became known; below it, deals so far", fontsize=9)
        ax.set_ylabel("Brier score difference so far", fontsize=9)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
        for text, y, va in (
            (f"↑ {short(rules.baseline, 18)} better", 0.99, "top"),
            (f"↓ {short(rules.candidate, 18)} better", 0.01, "bottom"),
        ):
            ax.text(
                0.995, y, text, transform=ax.transAxes, ha="right", va=va, fontsize=9, color=INK, bbox=box
            )
        note = (
            f"Between the lines: the {wording.percent(rules.level)} interval for all looks together. Grey: what one look alone "
            "would show, too narrow to be read every week."
        )
        note += _silence(found)
        if rules.margin:
            for at in (-rules.margin, rules.margin):
                ax.axhline(at, color=INK, lw=0.8, ls=":")
            note += " Dotted: the margin."
        if found.changes:
            note += " Dots: the verdict changed (full: a side is ahead; hollow: withdrawn)."
        figure.supxlabel(textwrap.fill(note, 84), fontsize=8, color=GREY, x=0.01, ha="left")
    return Picture("running", _alt(found), figure)


def _silence(found: Watch) -> str:
    """Why the band begins later than the data, if it does."""
    if math.isfinite(found.looks["low"].iloc[0]):
        return ""
    if tuple(found.rules.generalise_to) != PERIODS:
        return f" No band before week {found.rules.burn_in}: fewer weeks cannot show how far chance reaches."
    noun = found.nouns.get("period", "periods")
    return f" No band before {sequences.MIN_BLOCKS} {noun} are in: fewer cannot show how much {noun} differ."


def _limits(found: Watch) -> tuple[float, float]:
    """Ends that show the newest looks well; early ones, which are very wide, may run out of the picture."""
    looks = found.looks
    last = looks.iloc[-1]
    ends = [
        last[k] for k in ("low", "high", "fixed_low", "fixed_high", "difference") if math.isfinite(last[k])
    ]
    reach = max(
        2.2 * max(map(abs, ends)), float(looks["difference"].iloc[len(looks) // 4 :].abs().max()) * 1.15
    )
    return -max(reach, 1e-6), max(reach, 1e-6)


def _tick(found: Watch, at: float) -> str:
    day = pd.Timestamp(mdates.num2date(at).replace(tzinfo=None))
    deals = found.looks.loc[found.looks["known_on"] <= day, "deals"]
    return f"{day:%b %Y}\n{int(deals.iloc[-1]) if len(deals) else 0:,}"


def _alt(found: Watch) -> str:
    row = found.last
    assert row is not None
    places = wording.decimals(row["low"], row["high"])
    numbers = {
        k: wording.number(row[k], places) for k in ("difference", "low", "high", "fixed_low", "fixed_high")
    }
    said = f"The running Brier score difference is {numbers['difference']} after {row['deals']:,} deals"
    if math.isfinite(row["low"]):
        said += f"; interval for all looks together {numbers['low']} to {numbers['high']}"
    if math.isfinite(row["fixed_low"]):
        said += f", for one look {numbers['fixed_low']} to {numbers['fixed_high']}"
    changes = "; ".join(f"{d.day} {d:%B %Y}: {v}" for d, v in found.changes)
    return f"{message(found)}. {said}.{_silence(found)} Changes of the verdict: {changes or 'none'}."


def by_period(found: Watch) -> Picture | Absent:
    """What each period by itself showed: what the quarters had to agree on.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Picture
    """
    if found.cohorts.empty:
        return Absent("There is no period to draw yet.")
    rules = found.rules
    sums = found.cohorts.groupby("period", sort=False)[["difference", "deals"]].sum()
    each = sums["difference"] / sums["deals"]
    names, deals = [str(p) for p in sums.index], sums["deals"].astype(int).tolist()
    noun = found.nouns.get("period", "periods")
    ahead = int((each < 0).sum())
    leader, times = (
        (rules.candidate, ahead) if 2 * ahead >= len(each) else (rules.baseline, len(each) - ahead)
    )
    head = f"{leader} was ahead in {times} of {wording.count(len(each), noun)}"
    filling = set(found.deals.loc[~found.deals["known"], "period"])
    shade = colour(rules.candidate, (rules.candidate, rules.baseline))
    with canvas(1.5 + 0.36 * len(each)) as (figure, ax):
        title(figure, head)
        ax.axvline(0, color=INK, lw=1)
        for i, (period, value, n) in enumerate(zip(names, each, deals, strict=True)):
            ax.plot([0, value], [-i, -i], color=FAINT, lw=2, zorder=1)
            ax.plot(
                [value], [-i], "o", ms=4 + n**0.5 / 3, mec=shade, mew=1.6,
                mfc="white" if period in filling else shade,
            )  # fmt: skip
        labels = [f"{short(p, 14)} ({n:,})" for p, n in zip(names, deals, strict=True)]
        ax.set_yticks([-i for i in range(len(each))], labels, fontsize=8.5)
        ax.set_ylim(-len(each) + 0.4, 0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.margins(x=0.15)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(
            f"Difference in Brier score\n← {short(rules.candidate, 18)} better   |   {short(rules.baseline, 18)} better →",
            fontsize=9,
        )
        note = "In brackets: deals. Hollow: still filling. No intervals here: how far these lie apart is what makes the interval above."
        figure.supxlabel(textwrap.fill(note, 84), fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(
        f"{p}: {wording.number(v)} ({n:,} deals)" for p, v, n in zip(names, each, deals, strict=True)
    )
    return Picture("by_period", f"{head}. Brier score difference of each: {said}.", figure)


def questions(found: Watch) -> Picture | Absent:
    """The newest difference with its interval for one look and for all looks, under each question.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Picture
    """
    row, rules = found.last, found.rules
    if row is None:
        return Absent("There is no interval to draw yet.")
    noun = found.nouns.get("period", "periods")
    declared = "periods" if tuple(rules.generalise_to) == PERIODS else "weeks"
    rows = [
        ("One look only", "fixed_", "difference", GREY),
        ("All looks, weeks like\nthose seen", "weeks_", "difference", INK),
        (f"All looks, coming\n{noun}", "periods_", "difference", INK),
    ]
    shade, spoken = colour(rules.candidate, (rules.candidate, rules.baseline)), []
    told = [w for w in ("weeks", "periods") if verdict_of(row, rules, f"{w}_") in (CANDIDATE, BASELINE)]
    head = {
        0: "Read every week, no difference can be told",
        1: "A difference can be told, but not for every question",
        2: "A difference can be told, for either question",
    }[len(told)]
    with canvas(3.1) as (figure, ax):
        title(figure, head)
        ax.axvline(0, color=INK, lw=1)
        for i, (_, which, estimate, tone) in enumerate(rows):
            tone = shade if which == f"{declared}_" else tone
            low, high = row[f"{which}low"], row[f"{which}high"]
            spoken.append("no interval yet")
            if math.isfinite(low):
                thick = 5 if which == f"{declared}_" else 2
                ax.plot([low, high], [-i, -i], color=tone, lw=thick, solid_capstyle="butt")
                places = wording.decimals(low, high)
                spoken[-1] = f"{wording.number(low, places)} to {wording.number(high, places)}"
            ax.plot([row[estimate]], [-i], "o", ms=7, mfc=tone, mec=tone)
            ax.annotate(
                spoken[-1], (1.0, -i), (0, 11), xycoords=("axes fraction", "data"), textcoords="offset points",
                ha="right", va="center", fontsize=8.5, color=GREY,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
        ax.set_yticks([0, -1, -2], [r[0] for r in rows], fontsize=9)
        ax.set_ylim(-2.5, 0.6)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.margins(x=0.08)
        ax.locator_params(axis="x", nbins=5)
        ax.set_xlabel(
            f"Difference in Brier score\n← {short(rules.candidate, 18)} better   |   {short(rules.baseline, 18)} better →",
            fontsize=9,
        )
        figure.supxlabel("Thick: the question of the headline.", fontsize=8, color=GREY, x=0.01, ha="left")
    said = "; ".join(f"{label}: {w}".replace("\n", " ") for (label, *_), w in zip(rows, spoken, strict=True))
    return Picture("questions", f"{head}. Intervals of the newest look. {said}.", figure)
