"""Which cluster each row belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasteval.scores.probability import Floats

Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Grouping:
    """The finest cells of the rows, and the clusters that these belong to.

    ``cell`` numbers the cells, shape (rows,); ``member`` maps a cell to its cluster, by dimension. ``unit`` numbers
    what may have several rows (else None: each row is a unit); ``stratum`` is the rep of each unit, the fixed
    strata of "new deals, same reps".
    """

    cell: Codes
    member: dict[str, Codes]
    unit: Codes | None
    stratum: Codes

    @classmethod
    def of(
        cls, rep: Codes | None, period: Codes | None, account: Codes | None, unit: Codes | None, rows: int
    ) -> Grouping:
        """Cross the dimensions that are there into cells."""
        dimensions = {
            name: codes
            for name, codes in (("rep", rep), ("period", period), ("account", account))
            if codes is not None
        }
        cell = np.zeros(rows, dtype=np.int64)
        for codes in dimensions.values():
            cell = cell * (int(codes.max(initial=0)) + 1) + codes
        span = int(cell.max(initial=0)) + 1
        if span <= 4 * rows + 1024:  # dense: number the used cells by counting, in linear time
            used = np.flatnonzero(np.bincount(cell, minlength=span))
            number = np.zeros(span, dtype=np.int32)
            number[used] = np.arange(used.size, dtype=np.int32)
            cell_of_row = number[cell]
        else:
            used, inverse = np.unique(cell, return_inverse=True)
            cell_of_row = inverse.astype(np.int32)
        member: dict[str, Codes] = {"cell": np.arange(used.size, dtype=np.int32)}
        for name, codes in dimensions.items():
            member[name] = np.zeros(used.size, dtype=np.int32)
            member[name][cell_of_row] = codes
        stratum = np.zeros(rows, dtype=np.int32) if rep is None else rep
        if unit is not None:
            of_unit = np.zeros(int(unit.max(initial=0)) + 1, dtype=np.int32)
            of_unit[unit[::-1]] = stratum[::-1]  # the first row of a unit decides
            stratum = of_unit
        return cls(cell_of_row, member, unit, stratum)

    def sums(self, values: Floats | None) -> Floats:
        """Sum of a per-row array in each cell; rows in each cell for ``None``."""
        counted: NDArray[Any] = np.bincount(self.cell, weights=values, minlength=self.member["cell"].size)
        return counted.astype(np.float64)

    def by(self, dimension: str, cell_sums: Floats) -> Floats:
        """Cell sums added up to the clusters of a dimension."""
        return added(self.member[dimension], cell_sums)

    def row_codes(self, dimension: str) -> Codes:
        """The cluster of each row."""
        return self.member[dimension][self.cell]

    def unit_sums(self, values: Floats) -> Floats:
        """Sum of a per-row array in each unit."""
        return values if self.unit is None else np.bincount(self.unit, weights=values).astype(float)

    @property
    def dimensions(self) -> list[str]:
        """The dimensions that are there, without the cells that they make."""
        return [d for d in self.member if d != "cell"]

    @cached_property
    def _parts(self) -> dict[str, Codes]:
        """The part of a unit that lies in one cluster, by row: the unit itself, unless it crosses clusters."""
        if self.unit is None:
            return {}
        found = {}
        for dimension in self.dimensions:
            of_row = self.row_codes(dimension)
            home = np.zeros(int(self.unit.max(initial=0)) + 1, dtype=np.int32)
            home[self.unit] = of_row
            if np.array_equal(home[self.unit], of_row):
                found[dimension] = self.unit
                continue
            crossed = self.unit.astype(np.int64) * self.member[dimension].size + of_row
            found[dimension] = np.unique(crossed, return_inverse=True)[1].astype(np.int32)
        return found

    @cached_property
    def looks(self) -> int:
        """The most rows that a unit has."""
        return 1 if self.unit is None else int(np.bincount(self.unit).max(initial=1))

    def parts(self, dimension: str) -> Codes | None:
        """The part of a unit that lies in one cluster, by row; None where every row is a unit."""
        return None if self.unit is None else self._parts[dimension]

    def part_sums(self, dimension: str, values: Floats | None) -> Floats:
        """Sum of a per-row array over each unit's rows within one cluster of a dimension; rows for ``None``.

        A deal's later looks hold little news, so what varies within clusters is counted over these.
        """
        if self.unit is None:
            return np.ones(self.cell.size) if values is None else values
        return added(self._parts[dimension], values)

    def units(self, dimension: str) -> Floats:
        """Number of units in each cluster of a dimension."""
        if self.unit is None:
            return self.by(dimension, self.sums(None))
        _, first = np.unique(self._parts[dimension], return_index=True)
        of_part = self.row_codes(dimension)[first]
        return np.bincount(of_part, minlength=int(self.member[dimension].max(initial=-1)) + 1).astype(float)


def added(codes: Codes, values: Floats | None) -> Floats:
    """Values added up by code; how often each code stands there for ``None``."""
    sums: NDArray[Any] = np.bincount(codes, weights=values)
    return sums.astype(np.float64)
