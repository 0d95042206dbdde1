"""From per-deal terms to an estimate and its spread, for each answer to "what may differ next time?".

One pass over the rows sums every term per cell (rep x period); what follows costs O(cells). The area under
the ROC curve takes the same road with counts of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasteval import intervals, scores
from forecasteval.intervals import Clusters, Spread

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]


ROUNDING = 1e-12  # relative: what floating point leaves of a zero


@dataclass(frozen=True, eq=False)
class Grouping:
    """Which cluster each row belongs to.

    ``cell`` numbers the finest cells, shape (rows,); ``member`` maps a cell to its cluster, per dimension.
    ``unit`` numbers the deals where a deal has several rows (else None: each row is a unit);
    ``stratum`` is the rep of each unit, the fixed strata of "new deals, same reps".
    """

    cell: Codes
    member: dict[str, Codes]
    unit: Codes | None
    stratum: Codes

    @property
    def cells(self) -> int:
        """Number of cells."""
        return int(self.member["cell"].size)

    def sums(self, values: Floats | None) -> Floats:
        """Sum of a per-row array in each cell; rows in each cell for ``None``."""
        counted: NDArray[Any] = np.bincount(self.cell, weights=values, minlength=self.cells)
        return counted.astype(np.float64)

    def by(self, dimension: str, cell_sums: Floats) -> Floats:
        """Cell sums added up to the clusters of a dimension."""
        summed: NDArray[Any] = np.bincount(self.member[dimension], weights=cell_sums)
        return summed.astype(np.float64)

    def row_codes(self, dimension: str) -> Codes:
        """The cluster of each row."""
        return self.member[dimension][self.cell]

    def unit_sums(self, values: Floats) -> Floats:
        """Sum of a per-row array in each unit."""
        return values if self.unit is None else np.bincount(self.unit, weights=values).astype(float)


def grouping(
    rep: Codes | None, period: Codes | None, account: Codes | None, unit: Codes | None, rows: int
) -> Grouping:
    """Cross the dimensions that are there into cells.

    Parameters
    ----------
    rep, period, account : integer arrays of shape (rows,) or None
    unit : integer array of shape (rows,) or None
        The deal of each row where a deal has several.
    rows : int

    Returns
    -------
    Grouping
    """
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
    return Grouping(cell_of_row, member, unit, stratum)


@dataclass(frozen=True, eq=False)
class Triple:
    """The same quantity for the candidate, the baseline and their difference."""

    candidate: Floats
    baseline: Floats
    difference: Floats


@dataclass(frozen=True, eq=False)
class Estimate:
    """Values of one metric, with what every spread is computed from."""

    candidate: float
    baseline: float
    difference: float
    identical: bool
    groups: Grouping
    without: dict[str, Triple]
    share: dict[str, Floats]
    sums: dict[str, tuple[Floats, Floats]]  # x and z of the difference, for the wild bootstrap
    kept: dict[str, NDArray[np.intp]]  # the clusters that carry weight, by number
    residual: Triple | None
    total: float
    is_ratio: bool

    def clusters(self, dimension: str) -> Clusters:
        """Number, effective number and largest share of a dimension's clusters."""
        return intervals.clusters(self.share[dimension])

    def defined(self, dimension: str) -> bool:
        """Can the estimate be formed without each of the clusters?"""
        share = self.share[dimension]
        enough = share.size > 1 and share.max() < 1 - ROUNDING
        return bool(enough and np.isfinite(self.without[dimension].difference).all())

    def _over(self, dimension: str, which: str) -> Spread:
        without = getattr(self.without[dimension], which)
        se = intervals.cr3j(getattr(self, which), without)
        df = intervals.bell_mccaffrey_df(self.share[dimension]) if self.is_ratio else without.size - 1.0
        return Spread(se, df, dimension)

    def spread(self, generalise_to: tuple[str, ...], which: str = "difference") -> Spread:
        """Standard error and degrees of freedom; 0 where it is nothing but rounding."""
        spread = self._spread(generalise_to, which)
        noise = ROUNDING * (abs(self.candidate) + abs(self.baseline))
        return spread if spread.se > noise else replace(spread, se=0.0)

    def _spread(self, generalise_to: tuple[str, ...], which: str) -> Spread:
        """Standard error and degrees of freedom when these things may be different next time.

        Parameters
        ----------
        generalise_to : tuple of str
            One of the keys of :data:`QUESTIONS`.
        which : "difference", "candidate" or "baseline"

        Returns
        -------
        Spread
        """
        if "deal" in generalise_to:
            assert self.residual is not None
            units = intervals.stratified(getattr(self.residual, which), self.groups.stratum, self.total)
            units = replace(units, method="deal")
            return intervals.largest(units, self._over("period", which)) if len(generalise_to) > 1 else units
        if len(generalise_to) == 1:
            return self._over(generalise_to[0], which)
        rep, period, cell = (self._over(d, which) for d in ("rep", "period", "cell"))
        return intervals.largest(rep, period, intervals.two_way(rep, period, cell))


# what may differ next time, in words; without reps, deals count as independent
WITHOUT_REPS = {
    ("deal",): "new deals in the same {periods}",
    ("deal", "period"): "new deals in new {periods}",
}
QUESTIONS: dict[tuple[str, ...], str] = {
    ("deal",): "new deals of the same reps in the same {periods}",
    ("account",): "new accounts",
    ("rep",): "new reps",
    ("period",): "new {periods}",
    ("deal", "period"): "the same reps in new {periods}",
    ("rep", "period"): "new reps and new {periods}",
}


def needed(generalise_to: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions over which clusters are left out to answer the question.

    Examples
    --------
    >>> needed(("rep", "period"))
    ('rep', 'period', 'cell')
    """
    if generalise_to == ("rep", "period"):
        return ("rep", "period", "cell")
    return tuple(d for d in generalise_to if d != "deal")


def of_ratio(
    metric: scores.Metric, deals: scores.Deals, groups: Grouping, dimensions: tuple[str, ...], *, units: bool
) -> Estimate:
    """Estimate of a metric that is a ratio of sums.

    Parameters
    ----------
    metric : Metric
    deals : Deals
    groups : Grouping of the same rows
    dimensions : the dimensions whose clusters are left out in turn
    units : are the residuals of single deals wanted (for "new deals, same reps")?

    Returns
    -------
    Estimate
    """
    assert metric.terms is not None
    terms = metric.terms(deals)
    cells = {
        "candidate": groups.sums(terms.candidate),
        "baseline": groups.sums(terms.baseline),
        "z": groups.sums(terms.z),
    }

    def values(candidate: Floats, baseline: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):  # one cluster may hold everything
            if metric.is_skill:
                skill = (baseline - candidate) / baseline
                return skill, np.zeros_like(skill), skill
            return candidate / z, baseline / z, (candidate - baseline) / z

    totals = {k: np.atleast_1d(v.sum()) for k, v in cells.items()}
    candidate, baseline, difference = (float(v[0]) for v in values(**totals))
    if not (np.isfinite(candidate) and np.isfinite(baseline)):  # a sure miss: nothing to spread
        return Estimate(candidate, baseline, difference, False, groups, {}, {}, {}, {}, None, 0.0, True)
    denominator = cells["baseline"] if metric.is_skill else cells["z"]
    difference_sums = (cells["candidate"] - cells["baseline"]) * (-1 if metric.is_skill else 1)
    without, share, sums, kept = {}, {}, {}, {}
    for dimension in dimensions:
        by = {k: groups.by(dimension, v) for k, v in cells.items()}
        # clusters that add nothing (no amounts, say) neither count nor can be left out
        carry = (by["z"] != 0) | (by["candidate"] != 0) | (by["baseline"] != 0)
        by = {k: v[carry] for k, v in by.items()}
        kept[dimension] = np.flatnonzero(carry)
        without[dimension] = Triple(*values(**{k: totals[k] - by[k] for k in by}))
        z = groups.by(dimension, denominator)[carry]
        share[dimension] = z / z.sum()
        sums[dimension] = (groups.by(dimension, difference_sums)[carry], z)
    residual = None
    if units:
        z_rows = np.ones_like(terms.baseline) if terms.z is None else terms.z
        if metric.is_skill:
            own = terms.baseline - terms.candidate - difference * terms.baseline
            residual = Triple(
                groups.unit_sums(own), groups.unit_sums(np.zeros_like(own)), groups.unit_sums(own)
            )
        else:
            c = groups.unit_sums(terms.candidate - candidate * z_rows)
            b = groups.unit_sums(terms.baseline - baseline * z_rows)
            residual = Triple(c, b, c - b)
    return Estimate(
        candidate,
        baseline,
        difference,
        identical=bool(np.array_equal(terms.candidate, terms.baseline)),
        groups=groups,
        without=without,
        share=share,
        sums=sums,
        kept=kept,
        residual=residual,
        total=float(denominator.sum()),
        is_ratio=True,
    )


@dataclass(frozen=True)
class _Auc:
    value: float
    placed: Floats
    without: dict[str, Floats]


def _auc(ranking: scores.Ranking, groups: Grouping, dimensions: tuple[str, ...]) -> _Auc:
    """AUC and its value without each cluster: T - S_g + M_gg pairs remain of T (exact with ties)."""
    placed = scores.placements(ranking)
    won_cells = groups.sums(ranking.won)
    placed_cells = groups.sums(placed)
    wins, rows = won_cells.sum(), float(placed.size)
    total = placed_cells.sum() / 2  # every pair is placed once from either side
    counts = groups.sums(None)
    without = {}
    for dimension in dimensions:
        w = groups.by(dimension, won_cells)
        losses = groups.by(dimension, counts) - w
        codes = groups.row_codes(dimension)
        inside = scores.rank_pairs(ranking, codes, w.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            without[dimension] = (total - groups.by(dimension, placed_cells) + inside) / (
                (wins - w) * (rows - wins - losses)
            )
    return _Auc(float(total / (wins * (rows - wins))), placed, without)


def of_auc(deals: scores.Deals, groups: Grouping, dimensions: tuple[str, ...], *, units: bool) -> Estimate:
    """Estimate of the area under the ROC curve of both forecasters, by exact cluster jackknife.

    Parameters
    ----------
    deals : Deals, with at least one won and one not won
    groups : Grouping of the same rows
    dimensions : the dimensions whose clusters are left out in turn
    units : are the residuals of single deals wanted?

    Returns
    -------
    Estimate

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3), 837-845, for the placements; the delete-one-
    cluster form counts T - S_g + M_gg pairs.
    """
    won = deals.won
    c = _auc(scores.rank(deals.candidate, won), groups, dimensions)
    b = _auc(scores.rank(deals.baseline, won), groups, dimensions)
    rows, wins = float(won.size), float(won.sum())
    residual = None
    if units:

        def influence(a: _Auc) -> Floats:
            mean = np.where(won == 1, a.placed / (rows - wins), a.placed / wins) - a.value
            return groups.unit_sums(mean * np.where(won == 1, rows / wins, rows / (rows - wins)))

        of_c, of_b = influence(c), influence(b)
        residual = Triple(of_c, of_b, of_c - of_b)
    counts = groups.sums(None)
    return Estimate(
        c.value,
        b.value,
        c.value - b.value,
        identical=bool(np.array_equal(c.placed, b.placed)),
        groups=groups,
        without={d: Triple(c.without[d], b.without[d], c.without[d] - b.without[d]) for d in dimensions},
        share={d: groups.by(d, counts) / rows for d in dimensions},
        sums={},
        kept={d: np.arange(groups.by(d, counts).size) for d in dimensions},
        residual=residual,
        total=rows,
        is_ratio=False,
    )
