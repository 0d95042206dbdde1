"""What a study found: its table, counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from forecasteval.compare.proof import Counts, proof
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.studies.coverage_study._goals import GOALS, counted, least_told
from forecasteval.studies.coverage_study.design import FULL

_FULL_RUNS = 2000  # of each cell in the full study


@dataclass(frozen=True, eq=False)
class Found(Answer):
    """The table of the cells that are done, and how many wait."""

    table: pd.DataFrame
    waiting: int = 0

    say = Words(__file__)
    goals = GOALS

    @cached_property
    def counts(self) -> Counts:
        """Rows, and how many miss."""
        return counted(self.table)

    @cached_property
    def known(self) -> pd.DataFrame:
        """Rows that were ever called reliable; none where nothing has been run."""
        return self.table[self.table["coverage"].notna()] if len(self.table) else self.table

    @property
    def proof(self) -> str:
        """What the committed study counted."""
        return proof()

    @property
    def is_full(self) -> bool:
        """Is this the whole declared design, with as many runs as the committed study? Else it is a quick look."""
        return {c.name for c in FULL} <= set(self.table["cell"]) and self.table["runs"].min() >= _FULL_RUNS

    @property
    def runs(self) -> int:
        """Of each cell."""
        return int(self.table["runs"].max())

    @property
    def kinds(self) -> int:
        """Cells that are done."""
        return int(self.table["cell"].nunique())

    @property
    def least_told(self) -> float:
        """The share below which a row of so many runs counts as a miss."""
        return least_told(self.runs)

    def missing(self, goal: str) -> pd.DataFrame:
        """Rows that miss a goal, by a word of `misses`, the lowest coverage first."""
        return self.table[self.table["misses"].str.contains(goal)].sort_values("coverage")
