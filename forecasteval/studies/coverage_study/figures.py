"""Pictures of the coverage study: how often intervals held the truth, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MultipleLocator

from forecasteval.report.figures import INK, Absent, Picture, canvas, title
from forecasteval.studies.coverage_study.study import GOALS, LEVEL

OURS, MISSED, PLAIN = "#0072B2", "#D55E00", "#9aa1a9"
FAMILIES = {
    "reps": "number, size and\nbias of reps",
    "wins": "rare and\ncommon wins",
    "deals": "50 to 100,000\ndeals",
    "periods": "quarters with\nand without shocks",
    "amounts": "large amounts",
    "accounts": "several deals\nof an account",
    "looks": "deals seen in\nseveral weeks",
    "equal": "equally good\nforecasters",
    "real tables": "real tables",
}


def coverage(table: pd.DataFrame) -> Picture | Absent:
    """Coverage of every interval of the study, with that of the plain jackknife interval behind it.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`

    Returns
    -------
    Picture
    """
    known = table[table["coverage"].notna()]
    if known.empty:
        return Absent("No cell has been run yet.")
    families = [f for f in FAMILIES if (known["family"] == f).any()]
    low = known["misses"].str.contains("coverage")
    message = (
        f"{(~low).sum():,} of {len(known):,} kinds of 95% interval held the truth at least 93% of the time, "
        f"within simulation error; {low.sum():,} did not"
    )
    least = float(np.floor(20 * min(known["coverage"].min(), known["coverage_plain"].min())) / 20)
    with canvas(1.4 + 0.52 * len(families)) as (figure, ax):
        title(figure, message)
        ax.axvspan(GOALS["coverage"], 1, color="#eef3f7", lw=0)
        ax.axvline(LEVEL, color=INK, lw=1, ls=(0, (4, 3)))
        rng = np.random.default_rng(0)
        for i, family in enumerate(families):
            rows = known[known["family"] == family]
            y = -i + rng.uniform(-0.3, 0.3, len(rows))
            ax.plot(rows["coverage_plain"], y, "o", ms=3, color=PLAIN, alpha=0.55, mew=0)
            bad = rows["misses"].str.contains("coverage").to_numpy()
            ax.plot(rows["coverage"][~bad], y[~bad], "o", ms=3, color=OURS, alpha=0.85, mew=0)
            ax.plot(rows["coverage"][bad], y[bad], "X", ms=5.5, color=MISSED, mew=0)
        ax.set_yticks([-i for i in range(len(families))], [FAMILIES[f] for f in families], fontsize=8.5)
        ax.set_ylim(-len(families) + 0.45, 0.55)
        ax.set_xlim(max(0.0, least - 0.01), 1.005)
        ax.xaxis.set_major_locator(MultipleLocator(0.05))
        ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(
            "How often the interval held the truth\n(dashed: nominal 95%; shaded: 93% and more;\n"
            "a blue dot left of it may be simulation error)",
            fontsize=9,
        )
        handles = [
            ax.plot([], [], "o", color=OURS, ms=4, label="meets the goal")[0],
            ax.plot([], [], "X", color=MISSED, ms=6, label="misses it")[0],
            ax.plot([], [], "o", color=PLAIN, ms=4, label="plain jackknife interval")[0],
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    said = "; ".join(
        f"{f}: {known['coverage'][known['family'] == f].min():.3f} to {known['coverage'][known['family'] == f].max():.3f}"
        for f in families
    )
    return Picture("coverage", f"{message}. Lowest and highest coverage by family: {said}.", figure)


def widths(table: pd.DataFrame) -> Picture | Absent:
    """How wide the intervals are beside those of somebody who knew the truth about the spread.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`

    Returns
    -------
    Picture
    """
    known = table[table["width"].notna()]
    if known.empty:
        return Absent("No cell has been run yet.")
    families = [f for f in FAMILIES if (known["family"] == f).any()]
    wide = int((known["width"] > GOALS["width"]).sum())
    message = (
        f"Beside an oracle's, the intervals are {known['width'].median():.2f} times as wide in the middle; "
        f"{wide:,} of {len(known):,} are more than {GOALS['width']:g} times as wide"
    )
    with canvas(1.6 + 0.5 * len(families)) as (figure, ax):
        title(figure, message)
        ax.axvspan(0, GOALS["width"], color="#eef3f7", lw=0)
        ax.axvline(1, color=INK, lw=1, ls=(0, (4, 3)))
        rng = np.random.default_rng(0)
        for i, family in enumerate(families):
            rows = known[known["family"] == family]
            y = -i + rng.uniform(-0.3, 0.3, len(rows))
            far = (rows["width"] > GOALS["width"]).to_numpy()
            ax.plot(rows["width"][~far], y[~far], "o", ms=3, color=OURS, alpha=0.85, mew=0)
            ax.plot(rows["width"][far], y[far], "X", ms=5.5, color=MISSED, mew=0)
        ax.set_yticks([-i for i in range(len(families))], [FAMILIES[f] for f in families], fontsize=8.5)
        ax.set_ylim(-len(families) + 0.45, 0.55)
        ax.set_xlim(0, max(1.6, float(known["width"].max()) * 1.03))
        ax.tick_params(axis="y", length=0)
        ax.set_xlabel(
            f"Width, in widths of an oracle's interval\n(dashed: as wide; shaded: up to {GOALS['width']:g} times)",
            fontsize=9,
        )
        handles = [
            ax.plot([], [], "o", color=OURS, ms=4, label=f"up to {GOALS['width']:g} times as wide")[0],
            ax.plot([], [], "X", color=MISSED, ms=6, label="wider")[0],
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return Picture("widths", f"{message}.", figure)
