"""The area under the ROC curve without each cluster in turn, exact with ties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecasteval.inference.grouping import Grouping
from forecasteval.inference.statistic import LeftOut, Statistic
from forecasteval.scores.probability import Floats, placements, rank, rank_pairs


@dataclass(frozen=True, eq=False)
class Ranked:
    """How well one forecast ranks: its AUC, what each row adds to it, and its value without each cluster."""

    value: float
    placed: Floats
    influence: Floats
    without: Mapping[str, Floats]

    def __sub__(self, other: Ranked) -> Ranked:
        """The difference of two forecasts of the same rows."""
        return Ranked(
            self.value - other.value,
            self.placed - other.placed,
            self.influence - other.influence,
            {d: w - other.without[d] for d, w in self.without.items()},
        )

    def statistic(self, groups: Grouping, scale: float, *, units: bool) -> Statistic:
        """The AUC with what its spread is computed from; `units` keeps what single deals add."""
        counts, total = groups.sums(None), float(self.placed.size)
        over = {d: LeftOut(without, groups.by(d, counts) / total) for d, without in self.without.items()}
        return Statistic(
            self.value,
            over,
            groups.unit_sums(self.influence) if units else None,
            groups.stratum,
            total,
            scale,
        )


def ranked(forecast: Floats, won: Floats, groups: Grouping, dimensions: tuple[str, ...]) -> Ranked:
    """AUC of a forecast, and its value without each cluster: T - S_g + M_gg pairs remain of T.

    Parameters
    ----------
    forecast, won : arrays of shape (rows,), with at least one row won and one not
    dimensions : those whose clusters are left out in turn

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3), 837-845, for the placements; the delete-one-
    cluster form counts T - S_g + M_gg pairs.
    """
    ranking = rank(forecast, won)
    placed = placements(ranking)
    won_cells = groups.sums(ranking.won)
    placed_cells = groups.sums(placed)
    wins, rows = won_cells.sum(), float(placed.size)
    lost = rows - wins
    total = placed_cells.sum() / 2  # every pair is placed once from either side
    counts = groups.sums(None)
    without = {}
    for dimension in dimensions:
        w = groups.by(dimension, won_cells)
        losses = groups.by(dimension, counts) - w
        inside = rank_pairs(ranking, groups.row_codes(dimension), w.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            without[dimension] = (total - groups.by(dimension, placed_cells) + inside) / (
                (wins - w) * (rows - wins - losses)
            )
    value = float(total / (wins * lost))
    is_won = ranking.won == 1
    influence = (np.where(is_won, placed / lost, placed / wins) - value) * np.where(
        is_won, rows / wins, rows / lost
    )
    return Ranked(value, placed, influence, without)
