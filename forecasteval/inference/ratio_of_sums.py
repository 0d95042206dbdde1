"""From per-deal terms to an estimate and its spread, for each answer to "what may differ next time?".

One pass over the rows sums every term per cell (rep x period), into :class:`Sums`; what follows costs O(cells).
The area under the ROC curve takes the same road with counts of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasteval import scores
from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as intervals
from forecasteval.inference.jackknife import Clusters, Interval, Spread

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]


SORTED_IN_TURN = 100_000  # with more rows both forecasters are sorted at once: NumPy lets go of the lock
ROUNDING = 1e-12  # relative: what floating point leaves of a zero


def _added(codes: Codes, values: Floats) -> Floats:
    """Values added up by code."""
    added: NDArray[Any] = np.bincount(codes, weights=values)
    return added.astype(np.float64)


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
        return _added(self.member[dimension], cell_sums)

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
class Over:
    """One way of leaving clusters out: what each of them holds, and the estimates without it."""

    share: Floats  # of the denominator
    rows: Floats
    residual: Triple  # e_g, the sum of the rows' residuals
    without: Triple
    sums: tuple[Floats, Floats] | None  # x and z of the difference, for the wild bootstrap
    kept: NDArray[np.intp]  # the clusters that carry weight, by number
    lean: Mapping[str, float] = field(default_factory=dict)  # of each value: see caution.lean

    @property
    def defined(self) -> bool:
        """Can the estimate be formed without each of the clusters?"""
        enough = self.share.size > 1 and self.share.max() < 1 - ROUNDING
        return bool(enough and np.isfinite(self.without.difference).all())


@dataclass(frozen=True, eq=False)
class Estimate:
    """Values of one metric, with what every spread is computed from."""

    candidate: float
    baseline: float
    difference: float
    identical: bool = False
    over: dict[str, Over] = field(default_factory=dict)
    square: dict[str, float] = field(default_factory=dict)  # sum of the rows' squared residuals
    units: Triple | None = None  # residuals by deal, for "new deals, same reps"
    stratum: Codes | None = None
    total: float = 0.0
    is_ratio: bool = True

    def clusters(self, dimension: str) -> Clusters:
        """Number, effective number and largest share of a dimension's clusters."""
        return intervals.clusters(self.over[dimension].share)

    def _over(self, dimension: str, which: str) -> Spread:
        over = self.over[dimension]
        without = getattr(over.without, which)
        se = intervals.cr3j(getattr(self, which), without)
        df = intervals.bell_mccaffrey_df(over.share) if self.is_ratio else without.size - 1.0
        spread = Spread(se, df, dimension)
        if dimension == "cell":  # only ever taken away
            return spread
        spread = caution.cautious(
            spread, over.share, getattr(over.residual, which), over.rows, self.square[which]
        )
        return replace(spread, lean=over.lean.get(which, 0.0))

    def _deals(self, which: str) -> Spread:
        assert self.units is not None
        assert self.stratum is not None
        spread = intervals.stratified(getattr(self.units, which), self.stratum, self.total)
        return replace(spread, method="deal")

    def spread(self, generalise_to: tuple[str, ...], which: str = "difference") -> Spread:
        """Standard error and degrees of freedom when these things may be different next time.

        Parameters
        ----------
        generalise_to : tuple of str
            One of the keys of :data:`QUESTIONS`.
        which : "difference", "candidate" or "baseline"

        Returns
        -------
        Spread; its standard error is 0 where it is nothing but rounding
        """
        found = [self._deals(which) if d == "deal" else self._over(d, which) for d in generalise_to]
        if generalise_to == ("rep", "period"):
            both = intervals.two_way(found[0], found[1], self._over("cell", which))
            found += [both] if both else []
        spread = intervals.largest(*found)
        if spread.method == "deal" and len(found) > 1:  # the coming periods may still lie where these do not
            spread = replace(spread, skewness=found[1].skewness, lean=found[1].lean)
        noise = ROUNDING * (abs(self.candidate) + abs(self.baseline))
        return spread if spread.se > noise else replace(spread, se=0.0)

    def interval(
        self, generalise_to: tuple[str, ...], which: str = "difference", level: float = 0.95
    ) -> Interval:
        """The interval around one of the values when these things may be different next time."""
        return caution.interval(getattr(self, which), self.spread(generalise_to, which), level)


@dataclass(frozen=True, eq=False)
class Biases:
    """How much two forecasters promised beyond what was won, p - y, by cell.

    Attributes
    ----------
    candidate, baseline, rows : arrays of shape (cells,)
    squares : pair of float
        Sums of (p - y)^2 over all rows, for either forecaster.
    """

    candidate: Floats
    baseline: Floats
    rows: Floats
    squares: tuple[float, float]

    def lean(self, member: Codes) -> dict[str, float]:
        """Where a loss leans over these clusters, for both forecasters' own and for the difference.

        Parameters
        ----------
        member : integer array of shape (cells,)
            The cluster of each cell.

        Returns
        -------
        dict by "candidate", "baseline" and "difference"
        """
        rows = _added(member, self.rows)
        kept = rows > 0
        rows, total = rows[kept], self.rows.sum()
        if total <= rows.size:  # single rows: what is a cluster's bias and what is chance cannot be told
            return dict.fromkeys(("candidate", "baseline", "difference"), 0.0)
        found = []
        for promised, square in zip((self.candidate, self.baseline), self.squares, strict=True):
            sums = _added(member, promised)[kept]
            mean = sums.sum() / total
            _, between, by_chance = caution.components(sums - mean * rows, rows, square - total * mean**2)
            found.append((float(between), float(by_chance)))
        candidate, baseline = found
        own = {w: caution.lean(f, (0.0, f[1])) for w, f in (("candidate", candidate), ("baseline", baseline))}
        return own | {"difference": caution.lean(candidate, baseline)}


def biases(deals: scores.Deals, groups: Grouping) -> Biases | None:
    """The biases of two forecasters by cell; None where one of them does not give probabilities.

    Parameters
    ----------
    deals : Deals
    groups : Grouping of the same rows

    Returns
    -------
    Biases or None
    """
    pair = (deals.candidate, deals.baseline)
    if any(p.size == 0 or not (p.min() >= 0 and p.max() <= 1) for p in pair):
        return None
    promised = [p - deals.won for p in pair]
    candidate, baseline = (groups.sums(p) for p in promised)
    squares = (float(promised[0] @ promised[0]), float(promised[1] @ promised[1]))
    return Biases(candidate, baseline, groups.sums(None), squares)


def _leans(biases: Biases | None, member: Codes, better: str, *, is_skill: bool = False) -> dict[str, float]:
    """Leans of a metric's values: biases raise a loss and lower what is better when higher."""
    sign = {"lower": 1.0, "higher": -1.0}.get(better, 0.0)
    if biases is None or not sign:
        return {}
    found = {k: sign * v for k, v in biases.lean(member).items()}
    return dict.fromkeys(found, found["difference"]) if is_skill else found  # a skill is itself a difference


@dataclass(frozen=True, eq=False)
class Sums:
    """All that an interval needs to know of the rows: sums by cell, and sums of products over all rows.

    Parts of a table that are summed apart add up, cell by cell, to the sums of the whole.

    Attributes
    ----------
    candidate, baseline, z, rows : arrays of shape (cells,)
    products : array of shape (3, 3)
        Sums over all rows of the products of candidate, baseline and z.
    """

    candidate: Floats
    baseline: Floats
    z: Floats
    rows: Floats
    products: Floats

    def squared(self, weights: tuple[float, float, float]) -> float:
        """Sum over all rows of (a candidate + b baseline + c z)^2."""
        w = np.array(weights)
        return float(max(w @ self.products @ w, 0.0))


def sums_of(terms: scores.Terms, groups: Grouping) -> Sums:
    """Sum the rows' terms by cell.

    Parameters
    ----------
    terms : Terms
    groups : Grouping of the same rows

    Returns
    -------
    Sums
    """
    rows = groups.sums(None)
    columns = (terms.candidate, terms.baseline, terms.z)
    by_cell = [rows if c is None else groups.sums(c) for c in columns]

    def product(a: Floats | None, b: Floats | None) -> float:
        if a is None or b is None:
            one = b if a is None else a
            return float(rows.sum()) if one is None else float(one.sum())
        return float(a @ b)

    with np.errstate(invalid="ignore", over="ignore"):  # a sure miss has an infinite log score
        products = np.array([[product(a, b) for b in columns] for a in columns])
    return Sums(by_cell[0], by_cell[1], by_cell[2], rows, products)


def of_sums(
    sums: Sums,
    member: Mapping[str, Codes],
    dimensions: tuple[str, ...],
    *,
    better: str = "nearer_zero",
    is_skill: bool = False,
    biases: Biases | None = None,
) -> Estimate:
    """Estimate of a ratio from its sums by cell; costs O(cells), however many rows there were.

    Parameters
    ----------
    sums : Sums
    member : the cluster of each cell, by dimension
    dimensions : the dimensions whose clusters are left out in turn
    better : "lower", "higher" or "nearer_zero"
    is_skill : is it (baseline - candidate) / baseline instead of (candidate - baseline) / z?
    biases : of the same cells, which say where far-off clusters would lie

    Returns
    -------
    Estimate; without spreads where the ratio is not finite
    """

    def values(candidate: Floats, baseline: Floats, z: Floats) -> Triple:
        with np.errstate(divide="ignore", invalid="ignore"):  # one cluster may hold everything
            if is_skill:
                skill = (baseline - candidate) / baseline
                return Triple(skill, np.zeros_like(skill), skill)
            return Triple(candidate / z, baseline / z, (candidate - baseline) / z)

    cells = {"candidate": sums.candidate, "baseline": sums.baseline, "z": sums.z}
    totals = {k: np.atleast_1d(v.sum()) for k, v in cells.items()}
    at = values(**totals)
    candidate, baseline, difference = (float(v[0]) for v in (at.candidate, at.baseline, at.difference))
    if not (math.isfinite(candidate) and math.isfinite(baseline)):  # a sure miss: nothing to spread
        return Estimate(candidate, baseline, difference)
    # weights of candidate, baseline and z in the residual of each value
    if is_skill:
        own = (-1.0, 1.0 - difference, 0.0)
        weights = {"candidate": own, "baseline": (0.0, 0.0, 0.0), "difference": own}
    else:
        weights = {
            "candidate": (1.0, 0.0, -candidate),
            "baseline": (0.0, 1.0, -baseline),
            "difference": (1.0, -1.0, -difference),
        }
    over = {}
    for dimension in dimensions:
        by = {k: _added(member[dimension], v) for k, v in cells.items()}
        rows = _added(member[dimension], sums.rows)
        # clusters that add nothing (no amounts, say) neither count nor can be left out
        carry = (by["z"] != 0) | (by["candidate"] != 0) | (by["baseline"] != 0)
        by = {k: v[carry] for k, v in by.items()}
        denominator = by["baseline"] if is_skill else by["z"]
        x = by["baseline"] - by["candidate"] if is_skill else by["candidate"] - by["baseline"]
        residual = {
            k: a * by["candidate"] + b * by["baseline"] + c * by["z"] for k, (a, b, c) in weights.items()
        }
        over[dimension] = Over(
            share=denominator / denominator.sum(),
            rows=rows[carry],
            residual=Triple(**residual),
            without=values(**{k: totals[k] - by[k] for k in by}),
            sums=(x, denominator),
            kept=np.flatnonzero(carry),
            lean=_leans(biases, member[dimension], better, is_skill=is_skill),
        )
    total = totals["baseline" if is_skill else "z"]
    return Estimate(
        candidate,
        baseline,
        difference,
        over=over,
        square={k: sums.squared(w) for k, w in weights.items()},
        total=float(total[0]),
    )


def of_ratio(
    metric: scores.Metric,
    deals: scores.Deals,
    groups: Grouping,
    dimensions: tuple[str, ...],
    *,
    units: bool,
    biases: Biases | None = None,
) -> Estimate:
    """Estimate of a metric that is a ratio of sums.

    Parameters
    ----------
    metric : Metric
    deals : Deals
    groups : Grouping of the same rows
    dimensions : the dimensions whose clusters are left out in turn
    units : are the residuals of single deals wanted (for "new deals, same reps")?
    biases : of the same rows, from :func:`biases`

    Returns
    -------
    Estimate
    """
    assert metric.terms is not None
    terms = metric.terms(deals)
    found = of_sums(
        sums_of(terms, groups),
        groups.member,
        dimensions,
        better=metric.better,
        is_skill=metric.is_skill,
        biases=biases,
    )
    found = replace(found, identical=bool(np.array_equal(terms.candidate, terms.baseline)))
    if not (units and math.isfinite(found.difference)):
        return found
    z = np.ones_like(terms.baseline) if terms.z is None else terms.z
    if metric.is_skill:
        c = groups.unit_sums(terms.baseline - terms.candidate - found.difference * terms.baseline)
        residual = Triple(c, np.zeros_like(c), c)
    else:
        c = groups.unit_sums(terms.candidate - found.candidate * z)
        b = groups.unit_sums(terms.baseline - found.baseline * z)
        residual = Triple(c, b, c - b)
    return replace(found, units=residual, stratum=groups.stratum)


@dataclass(frozen=True)
class _Auc:
    value: float
    placed: Floats
    influence: Floats
    without: dict[str, Floats]


def _auc(ranking: scores.Ranking, groups: Grouping, dimensions: tuple[str, ...]) -> _Auc:
    """AUC and its value without each cluster: T - S_g + M_gg pairs remain of T (exact with ties)."""
    placed = scores.placements(ranking)
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
        codes = groups.row_codes(dimension)
        inside = scores.rank_pairs(ranking, codes, w.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            without[dimension] = (total - groups.by(dimension, placed_cells) + inside) / (
                (wins - w) * (rows - wins - losses)
            )
    value = float(total / (wins * lost))
    won = ranking.won == 1
    influence = (np.where(won, placed / lost, placed / wins) - value) * np.where(
        won, rows / wins, rows / lost
    )
    return _Auc(value, placed, influence, without)


def of_auc(
    deals: scores.Deals,
    groups: Grouping,
    dimensions: tuple[str, ...],
    *,
    units: bool,
    biases: Biases | None = None,
) -> Estimate:
    """Estimate of the area under the ROC curve of both forecasters, by exact cluster jackknife.

    Parameters
    ----------
    deals : Deals, with at least one won and one not won
    groups : Grouping of the same rows
    dimensions : the dimensions whose clusters are left out in turn
    units : are the residuals of single deals wanted?
    biases : of the same rows, from :func:`biases`

    Returns
    -------
    Estimate

    References
    ----------
    DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44(3), 837-845, for the placements; the delete-one-
    cluster form counts T - S_g + M_gg pairs.
    """

    def one(forecast: Floats) -> _Auc:
        return _auc(scores.rank(forecast, deals.won), groups, dimensions)

    if deals.won.size < SORTED_IN_TURN:
        c, b = one(deals.candidate), one(deals.baseline)
    else:
        with ThreadPoolExecutor(2) as pool:
            c, b = pool.map(one, (deals.candidate, deals.baseline))
    influence = Triple(c.influence, b.influence, c.influence - b.influence)
    cells = Triple(*(groups.sums(i) for i in (influence.candidate, influence.baseline, influence.difference)))
    counts = groups.sums(None)
    total = float(deals.won.size)
    over = {}
    for d in dimensions:
        rows = groups.by(d, counts)
        over[d] = Over(
            share=rows / total,
            rows=rows,
            residual=Triple(*(groups.by(d, v) for v in (cells.candidate, cells.baseline, cells.difference))),
            without=Triple(c.without[d], b.without[d], c.without[d] - b.without[d]),
            sums=None,
            kept=np.arange(rows.size),
            lean=_leans(biases, groups.member[d], "higher"),
        )
    return Estimate(
        c.value,
        b.value,
        c.value - b.value,
        identical=bool(np.array_equal(c.placed, b.placed)),
        over=over,
        square={k: float(v @ v) for k, v in vars(influence).items()},
        units=Triple(*(groups.unit_sums(v) for v in vars(influence).values())) if units else None,
        stratum=groups.stratum,
        total=total,
        is_ratio=False,
    )


def of_metric(
    metric: scores.Metric,
    deals: scores.Deals,
    groups: Grouping,
    dimensions: tuple[str, ...],
    *,
    units: bool,
    biases: Biases | None = None,
) -> Estimate:
    """Estimate of any metric, by the road that it takes: :func:`of_auc` or :func:`of_ratio`."""
    if metric.name == "auc":
        return of_auc(deals, groups, dimensions, units=units, biases=biases)
    return of_ratio(metric, deals, groups, dimensions, units=units, biases=biases)
