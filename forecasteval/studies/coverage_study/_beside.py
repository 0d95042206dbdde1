"""One interval of the four that the study sets side by side: how often it holds, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study._goals import GOALS

EASY = 0.945  # where CR2 covers as much, it needs no help, and power can be compared


@dataclass(frozen=True, eq=False)
class Interval:
    """An interval by the ending of its columns, in rows in which all four could be formed."""

    name: str
    label: str
    rows: pd.DataFrame

    def _column(self, what: str) -> str:
        return f"{what}_{self.name}" if self.name else what

    @property
    def coverage(self) -> pd.Series:
        """Of each row; none where it cannot be formed."""
        return self.rows[self._column("coverage")].dropna()

    @property
    def low(self) -> int:
        """Rows below the goal, beyond simulation error."""
        share = self.coverage.clip(0, 1)
        counted = self.rows.loc[share.index, "runs"] * (1 - self.rows.loc[share.index, "flagged"])
        error = np.sqrt(share * (1 - share) / counted.clip(lower=1))
        return int((share + 1.96 * error < GOALS["coverage"]).sum())

    @property
    def power(self) -> pd.DataFrame:
        """Of each row that has a verdict and is easy, where the candidate is worse, and where it is better."""
        better = self.rows["metric"].map(lambda m: METRICS[m].better)
        rows = self.rows[(better != "nearer_zero") & (self.rows["coverage_cr2"] >= EASY)]
        lower = better[rows.index] == "lower"
        above, below = (rows.get(self._column(f"power_{side}")) for side in ("above", "below"))
        if above is None or below is None:
            return pd.DataFrame({"worse": [], "better": []})
        return pd.DataFrame(
            {"worse": above.where(lower, below), "better": below.where(lower, above)}
        ).dropna()

    @property
    def told(self) -> list[str]:
        """A row of the table."""
        power = self.power
        found = " / ".join(f"{power[side].mean():.2f}" for side in power) if len(power) else "not told"
        return [self.label, f"{self.low:,} of {len(self.coverage):,}", found]
