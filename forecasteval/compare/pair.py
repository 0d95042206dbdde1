"""One score of two forecasters and of their difference, each a statistic of its own on the same cells.

One pass over the rows sums every term per cell (rep x period), into :class:`Sums`; what follows costs O(cells).
The area under the ROC curve takes the same road with counts of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from forecasteval.inference.auc import ranked
from forecasteval.inference.few_clusters import components, skewness, tail_of_biases, tail_of_losses
from forecasteval.inference.grouping import Codes, Grouping, added
from forecasteval.inference.jackknife import leave_one_out
from forecasteval.inference.statistic import LeftOut, Statistic
from forecasteval.scores.probability import Deals, Floats, Metric, Terms

_SORTED_IN_TURN = 100_000  # with more rows both forecasters are sorted at once: NumPy lets go of the lock
_WHICH = ("candidate", "baseline", "difference")


@dataclass(frozen=True, eq=False)
class Pair:
    """A score of the candidate, of the baseline, and candidate minus baseline.

    ``kept`` numbers the clusters that carry weight, by dimension; ``sums`` holds x and z of the difference over
    them, for the wild bootstrap (absent for what counts pairs).
    """

    candidate: Statistic
    baseline: Statistic
    difference: Statistic
    identical: bool = False
    kept: Mapping[str, Codes] | None = None
    sums: Mapping[str, tuple[Floats, Floats]] | None = None

    @property
    def finite(self) -> bool:
        """Have both a value?"""
        return math.isfinite(self.candidate.value) and math.isfinite(self.baseline.value)


@dataclass(frozen=True, eq=False)
class Biases:
    """How much two forecasters promised beyond what was won, p - y."""

    sums: Sums

    @classmethod
    def of(cls, deals: Deals, groups: Grouping) -> Biases | None:
        """Those of two forecasters; None where one of them does not give probabilities."""
        pair = (deals.candidate, deals.baseline)
        if any(p.size == 0 or not (p.min() >= 0 and p.max() <= 1) for p in pair):
            return None
        candidate, baseline = (p - deals.won for p in pair)
        return cls(Sums.of(Terms(candidate, baseline, None), groups))


# --- ratios of sums ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sums:
    """All that an interval needs to know of the rows: sums by cell, and what varies within clusters.

    ``candidate, baseline, z`` have shape (cells,). By dimension, ``units`` counts the deals in each cluster, and
    ``products``, of shape (3, 3), holds the sums over deals of the products of candidate, baseline and z, each summed over
    a deal's rows first. Parts of a table that share no deal add up to the whole.
    """

    candidate: Floats
    baseline: Floats
    z: Floats
    units: Mapping[str, Floats]
    products: Mapping[str, Floats]

    @classmethod
    def of(cls, terms: Terms, groups: Grouping) -> Sums:
        """Sum the rows' terms by cell."""
        rows = groups.sums(None)
        columns = (terms.candidate, terms.baseline, terms.z)
        by_cell = [rows if c is None else groups.sums(c) for c in columns]
        products: dict[str, Floats] = {}
        for d in groups.dimensions:
            same = groups.unit is None and products  # every row is a deal, whatever the dimension
            products[d] = next(iter(products.values())) if same else _products(groups, d, columns)
        units = {d: groups.units(d) for d in groups.dimensions}
        return cls(by_cell[0], by_cell[1], by_cell[2], units, products)

    def squared(self, dimension: str, weights: tuple[float, float, float]) -> float:
        """Sum over the deals of each cluster of (a candidate + b baseline + c z)^2."""
        w = np.array(weights)
        return float(max(w @ self.products[dimension] @ w, 0.0))

    def between(
        self, dimension: str, member: Codes, weights: tuple[float, float, float]
    ) -> tuple[float, float]:
        """Variance between clusters of a candidate + b baseline + c z, and what chance adds to it."""
        by = added(member, np.array(weights) @ np.array([self.candidate, self.baseline, self.z]))
        units = self.units[dimension]
        kept = (units > 0) & (added(member, self.z) != 0)
        if (
            units[kept].sum() <= kept.sum()
        ):  # single deals: a cluster's own effect and chance cannot be told apart
            return 0.0, 0.0
        _, between, chance = components(by[kept], units[kept], self.squared(dimension, weights))
        return float(between), float(chance)

    def _around_mean(self, dimension: str, member: Codes) -> list[tuple[float, float]]:
        """The same of candidate and of baseline, each around its own mean."""
        z = float(self.z.sum())
        means = float(self.candidate.sum()) / z, float(self.baseline.sum()) / z
        around = (1.0, 0.0, -means[0]), (0.0, 1.0, -means[1])
        return [self.between(dimension, member, weights) for weights in around]

    def _skews(
        self,
        dimension: str,
        member: Codes,
        difference: tuple[float, float, float],
        biases: Biases,
        share: Floats,
    ) -> dict[str, float]:
        """Skewness that both losses and their difference may have, as biases and losses differ between clusters."""
        losses, promised = (s._around_mean(dimension, member) for s in (self, biases.sums))
        found = {
            w: skewness(share, tail_of_biases(bias, (0.0, 0.0)), tail_of_losses(loss[0], 0.0, loss))
            for w, bias, loss in zip(_WHICH, promised, losses, strict=False)
        }
        gap = tail_of_losses(losses[0][0], losses[1][0], self.between(dimension, member, difference))
        return found | {"difference": skewness(share, tail_of_biases(*promised), gap)}

    def pair(
        self,
        member: Mapping[str, Codes],
        dimensions: tuple[str, ...],
        *,
        better: str = "nearer_zero",
        is_skill: bool = False,
        biases: Biases | None = None,
    ) -> Pair:
        """Both forecasters' ratios and their difference; costs O(cells), however many rows there were.

        Parameters
        ----------
        member : the cluster of each cell, by dimension
        dimensions : the dimensions whose clusters are left out in turn
        better : "lower", "higher" or "nearer_zero"
        is_skill : is it (baseline - candidate) / baseline instead of (candidate - baseline) / z?
        biases : of the same cells, which say where far-off clusters would lie
        """
        total = {k: np.atleast_1d(getattr(self, k).sum()) for k in ("candidate", "baseline", "z")}
        values = {k: float(v[0]) for k, v in _ratios(**total, is_skill=is_skill).items()}
        if not (math.isfinite(values["candidate"]) and math.isfinite(values["baseline"])):
            return Pair(*_three(Statistic(values[w]) for w in _WHICH))  # a sure miss: nothing to spread
        weights = _weights(values, is_skill=is_skill)
        over: dict[str, dict[str, LeftOut]] = {w: {} for w in _WHICH}
        kept, sums = {}, {}
        for d in dimensions:
            by = {k: added(member[d], getattr(self, k)) for k in ("candidate", "baseline", "z")}
            # clusters that add nothing (no amounts, say) neither count nor can be left out
            carry = (by["z"] != 0) | (by["candidate"] != 0) | (by["baseline"] != 0)
            by = {k: v[carry] for k, v in by.items()}
            below = by["baseline"] if is_skill else by["z"]
            above = by["baseline"] - by["candidate"] if is_skill else by["candidate"] - by["baseline"]
            without = _ratios(**{k: total[k] - by[k] for k in by}, is_skill=is_skill)
            share, skews = below / below.sum(), dict.fromkeys(_WHICH, 0.0)
            # not of cells, which are only ever taken away
            if biases is not None and d in self.units and (is_skill or better == "lower"):
                skews = self._skews(d, member[d], weights["difference"], biases, share)
            if is_skill:  # itself a difference, of the losses the other way round
                skews = dict.fromkeys(_WHICH, -skews["difference"])
            for w in _WHICH:
                over[w][d] = LeftOut(without[w], share, skews[w])
            kept[d], sums[d] = np.flatnonzero(carry).astype(np.int32), (above, below)
        scale = abs(values["candidate"]) + abs(values["baseline"])
        denominator = float(total["baseline" if is_skill else "z"][0])
        found = (Statistic(values[w], over[w], total=denominator, scale=scale) for w in _WHICH)
        return Pair(*_three(found), kept=kept, sums=sums)


def _products(groups: Grouping, dimension: str, columns: Iterable[Floats | None]) -> Floats:
    """Sums over the deals of each cluster of the products of columns, each summed over a deal's rows."""
    if groups.unit is not None:
        summed: list[Floats | None] = [groups.part_sums(dimension, c) for c in columns]
    else:
        summed = list(columns)

    def product(a: Floats | None, b: Floats | None) -> float:
        if a is None or b is None:
            one = b if a is None else a
            return float(groups.cell.size) if one is None else float(one.sum())
        return float(a @ b)

    with np.errstate(invalid="ignore", over="ignore"):  # a sure miss has an infinite log score
        return np.array([[product(a, b) for b in summed] for a in summed])


def _three(found: Iterable[Statistic]) -> tuple[Statistic, Statistic, Statistic]:
    candidate, baseline, difference = found
    return candidate, baseline, difference


def _ratios(candidate: Floats, baseline: Floats, z: Floats, *, is_skill: bool) -> dict[str, Floats]:
    """The three values from their sums."""
    with np.errstate(divide="ignore", invalid="ignore"):  # one cluster may hold everything
        if is_skill:
            skill = (baseline - candidate) / baseline
            return {"candidate": skill, "baseline": np.zeros_like(skill), "difference": skill}
        return {
            "candidate": candidate / z,
            "baseline": baseline / z,
            "difference": (candidate - baseline) / z,
        }


def _weights(values: Mapping[str, float], *, is_skill: bool) -> dict[str, tuple[float, float, float]]:
    """Weights of candidate, baseline and z in the residual of each value."""
    if is_skill:
        own = (-1.0, 1.0 - values["difference"], 0.0)
        return {"candidate": own, "baseline": (0.0, 0.0, 0.0), "difference": own}
    return {
        "candidate": (1.0, 0.0, -values["candidate"]),
        "baseline": (0.0, 1.0, -values["baseline"]),
        "difference": (1.0, -1.0, -values["difference"]),
    }


# --- any metric ----------------------------------------------------------------------------------------


def pair_of(
    metric: Metric,
    deals: Deals,
    groups: Grouping,
    dimensions: tuple[str, ...],
    *,
    units: bool,
    biases: Biases | None = None,
) -> Pair:
    """A metric of two forecasters on the same rows.

    Parameters
    ----------
    dimensions : the dimensions whose clusters are left out in turn
    units : are the residuals of single deals wanted (for "new deals, same reps")?
    biases : of the same rows
    """
    if metric.terms is None:
        return _pair_of_ranks(deals, groups, dimensions, units=units)
    terms = metric.terms(deals)
    if terms.z_baseline is not None:
        return _pair_of_own(terms, groups, dimensions, units=units)
    found = Sums.of(terms, groups).pair(
        groups.member, dimensions, better=metric.better, is_skill=metric.is_skill, biases=biases
    )
    found = replace(found, identical=bool(np.array_equal(terms.candidate, terms.baseline)))
    if not (units and math.isfinite(found.difference.value)):
        return found
    z = np.ones_like(terms.baseline) if terms.z is None else terms.z
    if metric.is_skill:
        c = groups.unit_sums(terms.baseline - terms.candidate - found.difference.value * terms.baseline)
        residual = (c, np.zeros_like(c), c)
    else:
        c = groups.unit_sums(terms.candidate - found.candidate.value * z)
        b = groups.unit_sums(terms.baseline - found.baseline.value * z)
        residual = (c, b, c - b)
    by_unit = {
        w: replace(getattr(found, w), units=e, stratum=groups.stratum)
        for w, e in zip(_WHICH, residual, strict=True)
    }
    return replace(found, **by_unit)


def _pair_of_own(terms: Terms, groups: Grouping, dimensions: tuple[str, ...], *, units: bool) -> Pair:
    """Two ratios of sums with denominators of their own, and their difference; clusters weigh by their rows."""
    counts = groups.sums(None)
    rows = counts.sum()
    values, without, influence = [], [], []
    for x, z in ((terms.candidate, terms.z), (terms.baseline, terms.z_baseline)):
        assert z is not None
        above, below = groups.sums(x), groups.sums(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(float(above.sum() / below.sum()))
            without.append({d: leave_one_out(groups.by(d, above), groups.by(d, below)) for d in dimensions})
            influence.append(groups.unit_sums((x - values[-1] * z) * rows / below.sum()))

    def statistic(sign: tuple[int, int]) -> Statistic:
        a, b = sign
        over = {
            d: LeftOut(a * without[0][d] + b * without[1][d], groups.by(d, counts) / rows) for d in dimensions
        }
        residual = a * influence[0] + b * influence[1] if units else None
        value, scale = a * values[0] + b * values[1], abs(values[0]) + abs(values[1])
        return Statistic(value, over, residual, groups.stratum, float(rows), scale)

    same = np.array_equal(terms.candidate, terms.baseline) and np.array_equal(terms.z, terms.z_baseline)  # type: ignore[arg-type]
    if not np.isfinite(values).all():
        return Pair(*_three(Statistic(v) for v in (*values, values[0] - values[1])))
    return Pair(*_three(statistic(s) for s in ((1, 0), (0, 1), (1, -1))), identical=bool(same))


def _pair_of_ranks(deals: Deals, groups: Grouping, dimensions: tuple[str, ...], *, units: bool) -> Pair:
    forecasts = (deals.candidate, deals.baseline)
    workers = 1 if deals.won.size < _SORTED_IN_TURN else 2
    with ThreadPoolExecutor(workers) as pool:
        c, b = pool.map(lambda f: ranked(f, deals.won, groups, dimensions), forecasts)
    scale = abs(c.value) + abs(b.value)
    found = (r.statistic(groups, scale, units=units) for r in (c, b, c - b))
    return Pair(*_three(found), identical=bool(np.array_equal(c.placed, b.placed)))
