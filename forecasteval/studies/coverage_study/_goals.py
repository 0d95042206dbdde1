"""What the intervals are held to, and which rows of a study's table miss it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from forecasteval.compare.proof import Counts

LEVEL = 0.95
GOALS = {"coverage": 0.93, "one_sided": 0.045, "false_better": 0.07, "width": 1.3}


def missed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `misses`: coverage, one side, false better, width, joined by commas.

    A row misses when its Monte Carlo interval (1.96 errors) lies wholly beyond the goal; fewer than 50 runs that
    count are no evidence either way.
    """
    counted = table["runs"] * (1 - table["flagged"])

    def beyond(share: pd.Series, goal: float) -> pd.Series:
        error = np.sqrt(share * (1 - share) / counted.clip(lower=1))
        return (share - 1.96 * error > goal) & (counted >= 50)

    marks = {
        "coverage": (table["coverage"] + 1.96 * table["mc_error"] < GOALS["coverage"]) & (counted >= 50),
        "one side": beyond(table[["below", "above"]].max(axis=1), GOALS["one_sided"]),
        "false better": beyond(table["false_better"], GOALS["false_better"]),
        "width": (table["width"] > GOALS["width"]) & (counted >= 50),
    }
    return table.assign(
        misses=[", ".join(k for k, v in marks.items() if v.iloc[i]) for i in range(len(table))]
    )


def read(file: Path | str) -> pd.DataFrame:
    """A finished study's table."""
    return missed(pd.read_csv(file).drop(columns="misses", errors="ignore"))


def counted(table: pd.DataFrame) -> Counts:
    """A study's rows, counted."""
    share = table["coverage_cr3j"].clip(0, 1)
    error = (share * (1 - share) / (table["runs"] * table["possible"]).clip(lower=1)) ** 0.5
    plain = (share + 1.96 * error < GOALS["coverage"]) & table["coverage"].notna()
    low, side, wide = (int(table["misses"].str.contains(w).sum()) for w in ("coverage", "one side", "width"))
    nulls = table["false_better"].dropna()
    rows = int(table["coverage"].notna().sum())
    return Counts(rows, low, int(plain.sum()), side, wide, float(nulls.mean()), float(nulls.max()))


def least_told(runs: int) -> float:
    """The share below which a row counts as a miss: lower than the goal, as few runs tell little.

    Examples
    --------
    >>> round(least_told(200), 2), round(least_told(2000), 2)
    (0.89, 0.92)
    """
    share = np.linspace(0, GOALS["coverage"], 10_000)
    return float(share[share + 1.96 * np.sqrt(share * (1 - share) / runs) < GOALS["coverage"]].max())
