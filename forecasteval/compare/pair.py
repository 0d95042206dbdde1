"""One score of two forecasters and of their difference, each a statistic of its own on the same cells.

One pass over the rows sums every term per cell (rep x period), into :class:`Sums`; what follows costs O(cells).
The area under the ROC curve takes the same road with counts of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, replace
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from forecasteval.inference.auc import Ranks, ranked
from forecasteval.inference.exact_sums import Grain, Size, whole
from forecasteval.inference.few_clusters import components, skewness, tail_of_biases, tail_of_losses
from forecasteval.inference.grouping import Codes, Grouping, added
from forecasteval.inference.jackknife import Strata, leave_one_out
from forecasteval.inference.statistic import LeftOut, Statistic
from forecasteval.scores.probability import Deals, Floats, Metric, Terms

_SORTED_IN_TURN = 100_000  # with more rows both forecasters are sorted at once: NumPy lets go of the lock
_LARGEST_LOG = 745.2  # of a probability above 0, however small
_WHICH = ("candidate", "baseline", "difference")


@dataclass(frozen=True, eq=False)
class Pair:
    """A score of the candidate, of the baseline, and candidate minus baseline.

    ``kept`` numbers the clusters that carry weight, by dimension; ``sums`` holds x and z of the difference over
    them, for the wild bootstrap (absent for what counts pairs). ``tied`` is the share of pairs that ranking by steps
    has tied at most.
    """

    candidate: Statistic
    baseline: Statistic
    difference: Statistic
    _: KW_ONLY
    identical: bool = False
    kept: Mapping[str, Codes] | None = None
    sums: Mapping[str, tuple[Floats, Floats]] | None = None
    tied: float = 0.0

    @property
    def finite(self) -> bool:
        """Have both a value?"""
        return math.isfinite(self.candidate.value) and math.isfinite(self.baseline.value)


@dataclass(frozen=True, eq=False)
class Moments:
    """What the deals of each rep sum to, for "new deals, same reps".

    ``deals`` has shape (reps,), ``sums`` (reps, 3) those of candidate, baseline and z, ``products`` (reps, 3, 3) those of
    their products, each summed over a deal's rows first.
    """

    deals: Floats
    sums: Floats
    products: Floats

    def strata(self, weights: tuple[float, float, float]) -> Strata:
        """Residuals a candidate + b baseline + c z of the deals, by rep."""
        w = np.array(weights)
        return Strata(self.deals, self.sums @ w, np.einsum("a,gab,b->g", w, self.products, w))


# --- ratios of sums ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Sums:
    """All that an interval needs to know of the rows: sums by cell, and what varies within clusters.

    ``candidate, baseline, z`` have shape (cells,). By dimension, ``units`` counts the deals in each cluster, and
    ``products``, of shape (3, 3), holds the sums over deals of the products of candidate, baseline and z, each summed over
    a deal's rows first. Parts of a table that share no deal add up to the whole. All of them are sums of whole multiples
    of one grain (:mod:`forecasteval.inference.exact_sums`).
    """

    candidate: Floats
    baseline: Floats
    z: Floats
    units: Mapping[str, Floats]
    products: Mapping[str, Floats]
    identical: bool = False
    moments: Moments | None = None

    @classmethod
    def of(cls, terms: Terms, groups: Grouping, *, size: Size | None = None, moments: bool = False) -> Sums:
        """Sum the rows' terms by cell; `moments` by rep are for "new deals, same reps".

        ``size`` is that of the terms, looked for in them where it is not given.
        """
        exact = _Exact.of(terms, groups, size)
        by_cell = [exact.by(groups.cell, c, groups.member["cell"].size) for c in exact.columns]
        products: dict[str, Floats] = {}
        for d in groups.dimensions:
            same = groups.unit is None and products  # every row is a deal, whatever the dimension
            products[d] = next(iter(products.values())) if same else exact.products(groups.parts(d))[0]
        units = {d: groups.units(d) for d in groups.dimensions}
        identical = bool(np.array_equal(exact.columns[0], exact.columns[1]))  # type: ignore[arg-type]
        by_rep = exact.moments(groups) if moments else None
        return cls(by_cell[0], by_cell[1], by_cell[2], units, products, identical, by_rep)

    def squared(self, dimension: str, weights: tuple[float, float, float]) -> float:
        """Sum over the deals of each cluster of (a candidate + b baseline + c z)^2."""
        w = np.array(weights)
        return float(max(w @ self.products[dimension] @ w, 0.0))

    def between(
        self, dimension: str, member: Codes, weights: tuple[float, float, float]
    ) -> tuple[float, float]:
        """Variance between clusters of a candidate + b baseline + c z, and what chance adds to it."""
        exact = (added(member, column) for column in (self.candidate, self.baseline, self.z))
        by = np.array(weights) @ np.array([*exact])
        units = self.units[dimension]
        kept = (units > 0) & (added(member, self.z) != 0)
        if units[kept].sum() <= kept.sum():  # of single deals, own effect and chance cannot be told apart
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
        biases: Sums,
        share: Floats,
    ) -> dict[str, float]:
        """Skewness that both losses and their difference may have, as biases and losses differ between clusters."""
        losses, promised = (s._around_mean(dimension, member) for s in (self, biases))
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
        biases: Sums | None = None,
    ) -> Pair:
        """Both forecasters' ratios and their difference; costs O(cells), however many rows there were."""
        total = {k: np.atleast_1d(getattr(self, k).sum()) for k in ("candidate", "baseline", "z")}
        values = {k: float(v[0]) for k, v in _ratios(**total, is_skill=is_skill).items()}
        if not (math.isfinite(values["candidate"]) and math.isfinite(values["baseline"])):
            return Pair(*(Statistic(values[w]) for w in _WHICH))  # a sure miss: nothing to spread
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
        strata = {w: None if self.moments is None else self.moments.strata(weights[w]) for w in _WHICH}
        found = (
            Statistic(values[w], over[w], strata=strata[w], total=denominator, scale=scale) for w in _WHICH
        )
        return Pair(*found, identical=self.identical, kept=kept, sums=sums)


def biases_of(deals: Deals, groups: Grouping) -> Sums | None:
    """How much two forecasters promised beyond what was won, p - y; None where one gives no probabilities."""
    pair = (deals.candidate, deals.baseline)
    if any(p.size == 0 or not (p.min() >= 0 and p.max() <= 1) for p in pair):
        return None
    candidate, baseline = (p - deals.won for p in pair)
    return Sums.of(Terms(candidate, baseline, None), groups, size=Size.counted(deals.won.size))


@dataclass(frozen=True, eq=False)
class _Exact:
    """Terms as whole multiples of a grain, None for 1 a row."""

    columns: tuple[Floats | None, ...]
    grain: Grain

    @classmethod
    def of(cls, terms: Terms, groups: Grouping, size: Size | None = None) -> _Exact:
        columns = (terms.candidate, terms.baseline, terms.z)
        if size is None:
            sizes = [Size.counted(groups.cell.size) if c is None else Size.of(c) for c in columns]
            size = Size(max(s.largest for s in sizes), max(s.total for s in sizes))
        grain = Grain.of(size, groups.looks)
        return cls(tuple(None if c is None else whole(c, grain.terms) for c in columns), grain)

    def by(self, codes: Codes, counted: Floats | None, size: int) -> Floats:
        """Sums by code; how often each stands there for ``None``."""
        if counted is None:
            return np.bincount(codes, minlength=size).astype(float)
        return np.asarray(
            np.bincount(codes, weights=counted, minlength=size) * 2.0**-self.grain.terms, dtype=float
        )

    def _deals(self, parts: Codes | None) -> list[Floats | None]:
        """Each column summed over a deal's rows."""
        if parts is None:
            return [None if c is None else c * 2.0**-self.grain.terms for c in self.columns]
        # a deal's looks count: what is 1 a row is no longer 1 a deal
        return [self.by(parts, c, int(parts.max(initial=-1)) + 1) for c in self.columns]

    def products(self, parts: Codes | None, stratum: Codes | None = None) -> Floats:
        """Sums over the deals of each stratum of the products of each two columns, shape (strata, 3, 3).

        They have a grain of their own; what is 1 a row is multiplied exactly.
        """
        deals = self._deals(parts)
        assert deals[0] is not None
        count = np.bincount(stratum) if stratum is not None else np.array([deals[0].size])
        found = np.empty((count.size, 3, 3))
        with np.errstate(invalid="ignore", over="ignore"):  # a sure miss has an infinite log score
            for a, b in combinations_with_replacement(range(3), 2):
                mine, theirs = deals[a], deals[b]
                each: Any = count
                if mine is not None:
                    at = self.grain.terms if theirs is None else self.grain.products
                    product = whole(mine if theirs is None else mine * theirs, at)
                    each = product.sum() if stratum is None else np.bincount(stratum, product, count.size)
                    each = each * 2.0**-at
                found[:, a, b] = found[:, b, a] = each
        return found

    def moments(self, groups: Grouping) -> Moments:
        """Sums of the deals and of their products, by rep."""
        products = self.products(groups.unit, groups.stratum)
        reps, of_row = len(products), groups.stratum
        if groups.unit is not None:
            of_row = of_row[groups.unit]
        count = np.bincount(groups.stratum, minlength=reps).astype(float)
        return Moments(count, np.column_stack([self.by(of_row, c, reps) for c in self.columns]), products)


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
    biases: Sums | None = None,
) -> Pair:
    """A metric of two forecasters on the same rows."""
    if metric.terms is None:
        return _pair_of_ranks(deals, groups, dimensions, units=units)
    terms = metric.terms(deals)
    if terms.z_baseline is not None:
        return _pair_of_own(terms, groups, dimensions, units=units)
    amount, booked = (Size.of(a if metric.needs else None) for a in (deals.amount, deals.amount_won))
    said, log = (deals.candidate, deals.baseline), 1.0
    if metric.name == "log_score":
        least, most = min(p.min(initial=1.0) for p in said), max(p.max(initial=0.0) for p in said)
        log = largest_log(float(least), float(most), deals.epsilon)
    size = size_of(metric.name, deals.won.size, amount, booked, log)
    return Sums.of(terms, groups, size=size, moments=units).pair(
        groups.member, dimensions, better=metric.better, is_skill=metric.is_skill, biases=biases
    )


def largest_log(least: float, most: float, epsilon: float = 0.0) -> float:
    """What no finite log score exceeds, nor 1 a row, given the smallest and the largest probability."""
    if epsilon > 0:
        least, most = max(least, epsilon), min(most, 1 - epsilon)
    return _LARGEST_LOG if least <= 0 or most >= 1 else max(-math.log(min(least, 1 - most)), 1.0)


def size_of(metric: str, rows: int, amount: Size, booked: Size, log: float = _LARGEST_LOG) -> Size | None:
    """The size of a metric's terms, given that of the amounts; None for one that is not on the closed list."""
    known = {
        **dict.fromkeys(("brier", "brier_skill", "bias"), Size.counted(rows)),
        "log_score": Size.counted(rows, log),
        "brier_by_amount": amount,
        "bias_by_amount": amount + booked,
    }
    return known.get(metric)


def influences(metric: Metric, deals: Deals, which: str = "difference") -> Floats:
    """What each row adds to the score of candidate, baseline or their difference, on the scale of the score."""
    n = deals.won.size
    alone = Grouping.of(None, None, None, None, n)
    if metric.terms is None:
        mine, theirs = (ranked(f, deals.won, alone, ()).influence for f in (deals.candidate, deals.baseline))
    else:
        t = metric.terms(deals)
        one = np.ones(n) if t.z is None else t.z
        if metric.is_skill:
            lost = t.baseline.sum()
            mine, theirs = (t.baseline * t.candidate.sum() / lost - t.candidate) * n / lost, np.zeros(n)
        else:
            own = one if t.z_baseline is None else t.z_baseline
            mine, theirs = _moves(t.candidate, one), _moves(t.baseline, own)
    return np.asarray({"candidate": mine, "baseline": theirs, "difference": mine - theirs}[which])


def _moves(x: Floats, z: Floats) -> Floats:
    """What each row adds to a ratio of sums, on the scale of the ratio."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((x - x.sum() / z.sum() * z) * x.size / z.sum())


def _pair_of_own(terms: Terms, groups: Grouping, dimensions: tuple[str, ...], *, units: bool) -> Pair:
    """Two ratios of sums with denominators of their own, and their difference; clusters weigh by their rows."""
    counts = groups.sums(None)
    rows = counts.sum()
    values, without, moved = [], [], []
    for x, z in ((terms.candidate, terms.z), (terms.baseline, terms.z_baseline)):
        assert z is not None
        above, below = groups.sums(x), groups.sums(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(float(above.sum() / below.sum()))
        without.append({d: leave_one_out(groups.by(d, above), groups.by(d, below)) for d in dimensions})
        moved.append(groups.unit_sums(_moves(x, z)) if units else np.zeros(0))
    if not np.isfinite(values).all():
        return Pair(*(Statistic(v) for v in (*values, values[0] - values[1])))
    share = {d: groups.by(d, counts) / rows for d in dimensions}

    def statistic(a: int, b: int) -> Statistic:
        over = {d: LeftOut(a * without[0][d] + b * without[1][d], share[d]) for d in dimensions}
        strata = Strata.of(a * moved[0] + b * moved[1], groups.stratum) if units else None
        return Statistic(
            a * values[0] + b * values[1], over, strata, float(rows), abs(values[0]) + abs(values[1])
        )

    same = np.array_equal(terms.candidate, terms.baseline) and np.array_equal(terms.z, terms.z_baseline)  # type: ignore[arg-type]
    return Pair(*(statistic(*s) for s in ((1, 0), (0, 1), (1, -1))), identical=bool(same))


def _pair_of_ranks(deals: Deals, groups: Grouping, dimensions: tuple[str, ...], *, units: bool) -> Pair:
    forecasts = (deals.candidate, deals.baseline)
    workers = 1 if deals.won.size < _SORTED_IN_TURN else 2
    with ThreadPoolExecutor(workers) as pool:
        c, b = pool.map(lambda f: ranked(f, deals.won, groups, dimensions), forecasts)
    terms = Terms(c.influence, b.influence, None)
    wins, rows = float(deals.won.sum()), deals.won.size
    most = max(rows / wins, rows / (rows - wins))
    moments = _Exact.of(terms, groups, Size.counted(rows, most)).moments(groups) if units else None
    return pair_of_ranks(
        c.ranks, b.ranks, groups.member, moments, identical=bool(np.array_equal(c.placed, b.placed))
    )


def pair_of_ranks(
    candidate: Ranks,
    baseline: Ranks,
    member: Mapping[str, Codes],
    moments: Moments | None = None,
    *,
    identical: bool = False,
) -> Pair:
    """The AUC of two forecasters on the same rows; `moments` are those of what the rows add to it."""
    scale = abs(candidate.value) + abs(baseline.value)
    found = (candidate.statistic(member), baseline.statistic(member), candidate.statistic(member, baseline))
    which = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, -1.0, 0.0))
    strata = (None if moments is None else moments.strata(w) for w in which)
    done = (replace(f, strata=s, scale=scale) for f, s in zip(found, strata, strict=True))
    return Pair(*done, identical=identical, tied=max(candidate.tied, baseline.tied))
