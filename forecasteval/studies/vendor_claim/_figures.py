"""Pictures of a claim held against evidence; nothing is computed here."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from forecasteval.compare.wording import capital
from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, colour, short, title
from forecasteval.studies.vendor_claim._evidence import Found
from forecasteval.studies.vendor_claim._held import Held
from forecasteval.studies.vendor_claim._labels import interval, label, shown
from forecasteval.studies.vendor_claim._pays import ALL


def beside(answer: Held) -> Picture | Absent:
    """By how much the candidate is better than each forecast that costs nothing."""
    drawn = [(label(n), f) for n, f in answer.free.items() if math.isfinite(f.better_by[1])]
    if not drawn:
        return Absent("Nothing that costs nothing could be held beside it with an interval.")
    who = label(answer.trial.candidate)
    ahead = [name for name, f in drawn if f.better_by[1] > 0 and f.row["reliable"]]
    message = f"{who} is shown to be ahead of {len(ahead)} of {len(drawn)} forecasts that cost nothing"
    return _forest(
        drawn,
        message,
        f"<- {who} worse | better ->\n({answer.first.measure.label})",
        answer.trial.candidate,
        "beside",
    )


def definitions(answer: Held, found: Sequence[Found]) -> Picture | Absent:
    """What each definition makes of a claim to be better, each in units of its own interval."""
    drawn = [(f.measure.label, f) for f in found]
    if not drawn or answer.absolute:
        return Absent("The table holds each definition with its interval.")
    told = [f for _, f in drawn if f.verdict == "supported"]
    message = f"The claim is supported under {len(told)} of {len(drawn)} definitions"
    who = label(answer.trial.candidate)
    where = f"<- {who} worse | better ->\n(in half-widths of each interval)"
    return _forest(drawn, message, where, answer.trial.candidate, "definitions", scaled=True)


def _forest(
    drawn: Sequence[tuple[str, Found]], message: str, axis: str, who: str, name: str, *, scaled: bool = False
) -> Picture:
    with canvas(1.5 + 0.45 * len(drawn)) as (figure, ax):
        title(figure, message)
        ax.axvline(0, color=INK, lw=1)
        for at, (_, f) in enumerate(drawn):
            value, low, high = f.better_by
            unit = (high - low) / 2 if scaled else 1.0
            solid = bool(f.row["reliable"])
            ax.plot([low / unit, high / unit], [at, at], color=colour(who), lw=2.2, alpha=1 if solid else 0.4)
            ax.plot([value / unit], [at], "o", ms=7, color=colour(who), mfc=colour(who) if solid else "white")
        ax.set_yticks(
            range(len(drawn)), [textwrap.fill(short(text, 60), 26) for text, _ in drawn], fontsize=8.5
        )
        ax.set_ylim(len(drawn) - 0.5, -0.5)
        ax.set_xlabel(axis, fontsize=8, color=GREY)
        ax.grid(axis="x", color=FAINT, lw=0.6)
        ax.set_axisbelow(True)
    said = "; ".join(f"{text}: {shown(f.better_by[0])} ({interval(*f.better_by[1:])})" for text, f in drawn)
    return Picture(name, f"{message}. Better by, with interval: {said}.", figure)


def decision_curve(answer: Held) -> Picture | Absent:
    """Net benefit by the threshold: of the candidate, of what it is compared with, of attention to all and to none."""
    value = answer.attention
    if value is None or value.costs.attended is not None:
        return Absent("A decision curve is drawn where deals get attention from a probability on.")
    who, other = answer.names
    names = [who, other]
    table = value.curve(names)
    worth = table.loc[(table[[*names, ALL]] > 0).any(axis=1), "threshold"].max()
    table = table[table["threshold"] <= worth + 0.1]
    ahead = table[who] > table[[other, ALL]].max(axis=1).clip(lower=0)
    message = f"{capital(label(who))} brings most at {ahead.mean():.0%} of the thresholds shown"
    with canvas(3.4) as (figure, ax):
        title(figure, message)
        at = table["threshold"] * 100
        for name in names:
            ax.plot(at, table[name], color=colour(name), lw=2, label=capital(label(name)))
        ax.plot(at, table[ALL], color=GREY, lw=1.2, ls="--", label="Attention to all")
        ax.axhline(0, color=INK, lw=1, label="Attention to none")
        if value.threshold is not None and value.threshold < 1:
            ax.axvline(100 * value.threshold, color=GREY, lw=1, ls=":")
            ax.annotate("the costs given", (100 * value.threshold, ax.get_ylim()[1]), (4, -9), textcoords="offset points",
                        fontsize=8, color=GREY)  # fmt: skip
        top = float(table[names].max().max())
        ax.set_ylim(-0.15 * top, 1.12 * max(top, float(table[ALL].max())))
        ax.set_xlabel(
            "attention from this probability on, in %\n(cost of attention over its gain)",
            fontsize=8.5,
            color=GREY,
        )
        ax.set_ylabel("net benefit per deal\n(in gains of a won deal)", fontsize=8.5, color=GREY)
        ax.legend(fontsize=8.5, frameon=False)
    tried = (0, len(table) // 4, len(table) // 2)
    said = "; ".join(
        f"from {table['threshold'][i]:.0%}: " + ", ".join(f"{label(n)} {table[n][i]:.3f}" for n in names)
        for i in tried
    )
    return Picture("decision_curve", f"{message}. Net benefit per deal, {said}.", figure)
