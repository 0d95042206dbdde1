"""Pictures of lead scores; nothing is computed here."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from forecasteval.compare import wording
from forecasteval.report.figures import FAINT, GREY, INK, Picture, canvas, short, title
from forecasteval.studies.lead_scoring._categories import Category

_SHADES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def wrapped(text: object) -> str:
    """A label in two lines at most."""
    return textwrap.fill(short(str(text), 36), 18)


def curves(categories: Sequence[Category], message: str) -> Picture:
    """A model's difference from the rules by the number of closed leads that it learned from, a panel for each category."""
    drawn = [c for c in categories if c.curve][:4]
    said = []
    with canvas(1.2 + 1.55 * len(drawn), 1, nrows=len(drawn), sharex=True, squeeze=False) as (figure, axes):
        title(figure, message)
        for c, ax, shade in zip(drawn, axes[:, 0], _SHADES, strict=False):
            rows = [(n, found.primary) for n, found in c.curve.items()]
            for n, r in rows:
                ax.plot([n, n], [r["low"], r["high"]], color=shade, lw=2)
                ax.plot([n], [r["difference"]], "o", ms=5, mec=shade, mfc=shade if r["reliable"] else "white")
            if c.crossing.high is not None:
                ax.axvspan(c.crossing.high / 1.1, rows[-1][0] * 1.2, color=FAINT, alpha=0.5, lw=0, zorder=0)
            ax.axhline(0, color=INK, lw=1)
            ax.set_title(f"{short(c.name, 40)}: {c.closed:,} closed leads", fontsize=9, fontweight="normal")
            ax.locator_params(axis="y", nbins=4)
            ax.tick_params(axis="y", labelsize=8)
            ends = f"{rows[0][0]} leads {wording.number(rows[0][1]['difference'])}, {rows[-1][0]:,} leads "
            said.append(f"{c.name}: {ends}{wording.number(rows[-1][1]['difference'])}")
        sizes = sorted({n for c in drawn for n in c.curve})
        kept = sizes[::2] if len(sizes) > 6 else sizes
        axes[-1, 0].set_xscale("log")
        axes[-1, 0].set_xticks(kept, [f"{n:,}" for n in kept], fontsize=8.5)
        axes[-1, 0].minorticks_off()
        axes[-1, 0].set_xlabel("Closed leads that the model has learned from", fontsize=9)
        figure.supylabel(
            "Brier score, model minus rules\n(below 0: the model is better)", fontsize=8.5, color=GREY
        )
    return Picture("learning_curves", f"{message} Model minus rules. {'; '.join(said)}.", figure)
