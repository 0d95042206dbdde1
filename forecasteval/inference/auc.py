"""The area under the ROC curve without each cluster in turn, exact with ties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasteval.inference.grouping import Codes, Grouping, added
from forecasteval.inference.statistic import LeftOut, Statistic
from forecasteval.scores.probability import Floats, placements, rank, rank_pairs

EXACT_ROWS = 1_000_000  # of longer tables forecasts are ranked by steps ...
STEPS = 10_000  # ... of 1e-4, on every engine
_MOST_RANGES = 1 << 16  # cells x ranges of values that pairs within clusters are counted by


@dataclass(frozen=True, eq=False)
class Ranks:
    """How well one forecast ranks: pairs of a won and another row in which the won one is above, ties half, summed up.

    ``rows``, ``won`` and ``placed`` have shape (cells,); a row's placement counts the pairs it is in that are ranked
    rightly. ``inside`` counts those within each cluster, by dimension. ``tied`` is the share of pairs that rounding has
    tied at most.
    """

    rows: Floats
    won: Floats
    placed: Floats
    inside: Mapping[str, Floats]
    tied: float = 0.0

    @property
    def value(self) -> float:
        """The AUC."""
        wins = self.won.sum()
        # every pair is placed once from either side
        return float(self.placed.sum() / 2 / (wins * (self.rows.sum() - wins)))

    def without(self, dimension: str, member: Codes) -> Floats:
        """The AUC without each cluster: T - S_g + M_gg pairs remain of T.

        DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3), 837-845, for the placements.
        """
        wins, rows = self.won.sum(), self.rows.sum()
        w = added(member, self.won)
        losses = added(member, self.rows) - w
        pairs = self.placed.sum() / 2 - added(member, self.placed) + self.inside[dimension]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(pairs / ((wins - w) * (rows - wins - losses)))

    def statistic(self, member: Mapping[str, Codes], other: Ranks | None = None) -> Statistic:
        """The AUC, or how much it is above another's on the same rows, with what its spread is computed from."""
        rows, over = float(self.rows.sum()), {}
        for d in self.inside:
            without = self.without(d, member[d])
            if other is not None:
                without = without - other.without(d, member[d])
            over[d] = LeftOut(without, added(member[d], self.rows) / rows)
        return Statistic(self.value - (0.0 if other is None else other.value), over, total=rows)


@dataclass(frozen=True, eq=False)
class _Ranked:
    """The sums of one forecast, and by row its placement and what that adds to the AUC."""

    ranks: Ranks
    placed: Floats
    influence: Floats


def influence(placed: Floats, won: NDArray[np.bool_], value: float, wins: float, rows: float) -> Floats:
    """What each row adds to an AUC, given its placement."""
    lost = rows - wins
    return (np.where(won, placed / lost, placed / wins) - value) * np.where(won, rows / wins, rows / lost)


def ranked(forecast: Floats, won: Floats, groups: Grouping, dimensions: tuple[str, ...]) -> _Ranked:
    """How well a forecast ranks the rows, and how well without each cluster of some dimensions."""
    tied = 0.0
    if forecast.size <= EXACT_ROWS:
        ranking = rank(forecast, won)
        placed = placements(ranking)
        inside = {
            d: rank_pairs(ranking, groups.row_codes(d), int(groups.member[d].max(initial=-1)) + 1)
            for d in dimensions
        }
    else:
        level = steps(forecast)
        coarse = ranges(groups.member["cell"].size)
        levels = Levels.of(np.bincount(level), np.bincount(level, weights=won), coarse)
        placed = np.where(won == 1, levels.below[level], levels.above[level])
        inside = {d: _inside(groups.row_codes(d), levels.coarse[level], coarse, won) for d in dimensions}
        tied = levels.tied
    ranks = Ranks(groups.sums(None), groups.sums(won), groups.sums(placed), inside, tied)
    wins, rows = float(won.sum()), float(placed.size)
    return _Ranked(ranks, placed, influence(placed, won == 1, ranks.value, wins, rows))


def steps(forecast: Floats) -> Codes:
    """Forecasts in steps of 1e-4: of the unit interval, or of their own range where they leave it."""
    low, high = span(float(forecast.min()), float(forecast.max()))
    return np.floor((forecast - low) / (high - low) * STEPS + 0.5).astype(np.int32)


def ranges(cells: int) -> int:
    """How many ranges of values are told apart in pairs within clusters; pairs of one range count as ties.

    Of many small cells few are enough: pairs within one are rare beside those that it has with all others.

    >>> ranges(20), ranges(1000), ranges(100_000)
    (1024, 65, 16)
    """
    return min(max(_MOST_RANGES // max(cells, 1), 16), 1024)


def span(least: float, most: float) -> tuple[float, float]:
    """What is divided into steps.

    >>> span(0.2, 0.9), span(-3.0, 5.0)
    ((0.0, 1.0), (-3.0, 5.0))
    """
    return (0.0, 1.0) if least >= 0 and most <= 1 else (least, most)


@dataclass(frozen=True, eq=False)
class Levels:
    """The distinct values of a forecast in their order; arrays of shape (values,).

    ``below`` counts the rows not won below each value, ``above`` the won ones above it, ties half; ``coarse`` numbers
    ranges of values with about the same number of rows.
    """

    below: Floats
    above: Floats
    coarse: Codes
    tied: float

    @classmethod
    def of(cls, rows: NDArray[Any], won: NDArray[Any], coarse: int) -> Levels:
        """Count what lies below and above, from the rows and the won ones at each value."""
        lost = rows - won
        below, above = np.cumsum(lost) - lost / 2, won.sum() - np.cumsum(won) + won / 2
        at = (np.cumsum(rows) - 1) * coarse // max(int(rows.sum()), 1)
        pairs = float(won.sum() * lost.sum())
        return cls(below, above, at.clip(0).astype(np.int32), float(won @ lost) / pairs if pairs else 0.0)


def _inside(codes: Codes, at: Codes, coarse: int, won: Floats) -> Floats:
    """Pairs within clusters, counted by ranges of values."""
    key = codes.astype(np.int64) * coarse + at
    rows, wins = np.bincount(key), np.bincount(key, weights=won)
    there = np.flatnonzero(rows)
    clusters = int(codes.max(initial=-1)) + 1
    return pairs_within(there // coarse, there % coarse, rows[there], wins[there], clusters)


def pairs_within(
    codes: NDArray[np.integer],
    level: NDArray[np.integer],
    rows: NDArray[np.integer],
    won: NDArray[Any],
    clusters: int,
) -> Floats:
    """Pairs of one cluster in which the won row is above, ties half, from the rows and wins at each level.

    >>> pairs_within(np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([1, 2, 2]), np.array([0.0, 1, 1]), 2).tolist()
    [1.5, 0.5]
    """
    order = np.lexsort((level, codes))
    codes, level = codes[order], level[order]
    start = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(level, prepend=-1) != 0))
    codes, rows, won = codes[start], np.add.reduceat(rows[order], start), np.add.reduceat(won[order], start)
    lost = rows - won
    below = np.cumsum(lost) - lost
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    below = below - np.repeat(below[first], np.diff(np.append(first, codes.size)))
    return np.bincount(codes, weights=won * (below + lost / 2), minlength=clusters).astype(np.float64)
