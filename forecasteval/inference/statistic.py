"""One number, and the number without each cluster in turn: all that its spread is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate, Reason
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import (
    Clusters,
    Spread,
    Strata,
    bell_mccaffrey_df,
    clusters,
    cr3j,
    largest,
    leave_one_out,
    two_way,
)
from forecasteval.inference.limits import doubts
from forecasteval.inference.resemblance import Resemblance, alike, resemblance
from forecasteval.scores.probability import Floats

_ROUNDING = 1e-12  # relative: what floating point leaves of a zero


@dataclass(frozen=True, eq=False)
class LeftOut:
    """A number without each cluster of one dimension, and what each cluster holds; arrays of shape (clusters,).

    ``share`` is of the denominator; ``skew`` says where far-off clusters would lie
    (:func:`forecasteval.inference.few_clusters.skewness`).
    """

    without: Floats
    share: Floats
    skew: float = 0.0

    def residual(self, value: float) -> Floats:
        """e_g / Z of each cluster, from how the number moves without it: R - R_(g) = e_g / (Z - z_g)."""
        return (value - self.without) * (1 - self.share)

    @property
    def defined(self) -> bool:
        """Can the number be formed without each of the clusters?"""
        enough = self.share.size > 1 and self.share.max() < 1 - _ROUNDING
        return bool(enough and np.isfinite(self.without).all())


@dataclass(frozen=True, eq=False)
class Statistic:
    """One number with what every spread of it is computed from.

    Attributes
    ----------
    over : dict of LeftOut by dimension
    strata : Strata, optional
        Residuals of units by the rep they belong to, for "new deals, same reps".
    total : float
        The denominator.
    scale : float
        Size of what the number is a difference of: a spread below its rounding is none.
    """

    value: float
    over: Mapping[str, LeftOut] = field(default_factory=dict)
    strata: Strata | None = None
    total: float = 0.0
    scale: float = 0.0

    def clusters(self, dimension: str) -> Clusters:
        """Number, effective number and largest share of a dimension's clusters."""
        return clusters(self.over[dimension].share)

    def _over(self, dimension: str) -> Spread:
        over = self.over[dimension]
        return Spread(cr3j(self.value, over.without), bell_mccaffrey_df(over.share), dimension, over.skew)

    def _units(self) -> Spread:
        assert self.strata is not None
        return replace(self.strata.spread(self.total), method="deal")

    def spread(self, generalise_to: tuple[str, ...]) -> Spread:
        """Standard error and degrees of freedom when these things may be different next time."""
        found = [self._units() if d == "deal" else self._over(d) for d in generalise_to]
        if generalise_to == ("rep", "period"):
            both = two_way(found[0], found[1], self._over("cell"))
            found += [both] if both else []
        spread = largest(*found)
        if spread.method == "deal" and len(found) > 1:  # the coming periods may still lie where these do not
            spread = replace(spread, skew=found[1].skew)
        return spread if spread.se > _ROUNDING * self.scale else replace(spread, se=0.0)

    def doubts(self, generalise_to: tuple[str, ...], nouns: Mapping[str, str]) -> tuple[bool, list[Reason]]:
        """Whether an interval is possible when these things may be different, and what speaks against it."""
        over = {d: self.clusters(d) for d in generalise_to if d != "deal"}
        possible, found = doubts(over, nouns, undefined=[d for d in over if not self.over[d].defined])
        if possible and "period" in over:
            se, taken = cr3j(self.value, self.over["period"].without), self.spread(generalise_to).se
            found += alike(self.neighbours, self.value, se, taken, nouns["period"])
        return possible, found

    @property
    def neighbours(self) -> Resemblance | None:
        """How much periods resemble the ones before them; None where they are not asked about or too few."""
        periods = self.over.get("period")
        return None if periods is None else resemblance(periods.residual(self.value), periods.share)

    def estimate(self, generalise_to: tuple[str, ...], level: float = 0.95) -> Estimate:
        """The number with its interval when these things may be different next time."""
        return interval(self.value, self.spread(generalise_to), level)


def mean_over_clusters(
    value: float, x: ArrayLike, rows: ArrayLike, level: float = 0.95, *, least: int = 2, skew: float = 0.0
) -> Estimate:
    """A mean over rows, or another ratio of sums, with its interval for new clusters.

    SE by leaving out one cluster at a time (CR3J), Student's t with Bell-McCaffrey degrees of freedom.

    Parameters
    ----------
    value : float
        The mean.
    x, rows : arrays of shape (clusters,)
        Sums, and numbers of rows (or what else the sums are divided by).
    least : int
        Fewer clusters give no interval, and neither does one that holds nothing.
    skew : float
        Skewness that a cluster's own value is known to have; the mean of G clusters has it over sqrt(G).

    Examples
    --------
    >>> e = mean_over_clusters(0.2, np.array([1.0, 3, 2, 2, 2]), np.full(5, 10.0))
    >>> round(e.se, 4), e.low < 0.2 < e.high
    (0.0316, True)
    """
    x, rows = np.asarray(x, dtype=float), np.asarray(rows, dtype=float)
    if x.size < least or not (rows > 0).all():
        return Estimate(value, level=level)
    share = rows / rows.sum()
    of_mean = skew * float((share**3).sum() / np.square(share).sum() ** 1.5)
    spread = Spread(cr3j(value, leave_one_out(x, rows)), bell_mccaffrey_df(share), "rep", of_mean)
    return interval(value, spread, level)


def difference_over_clusters(
    one: tuple[ArrayLike, ArrayLike], other: tuple[ArrayLike, ArrayLike], level: float = 0.95
) -> Estimate:
    """The mean of one group of rows minus that of another, for new clusters; a cluster may hold rows of both.

    d = sum x1 / sum n1 - sum x0 / sum n0; SE by leaving out one cluster at a time (CR3J), Student's t with the smaller of
    the groups' Bell-McCaffrey degrees of freedom.

    Parameters
    ----------
    one, other : pairs of arrays of shape (clusters,)
        Sums and numbers of rows in each cluster; a cluster without rows of a group has 0 and 0.

    Returns
    -------
    Estimate; without an interval where a group has fewer than two clusters or lies in one of them

    Examples
    --------
    >>> e = difference_over_clusters(([3, 4, 5, 4, 4], [10] * 5), ([1, 4, 1, 2, 2], [10] * 5))
    >>> round(e.value, 3), round(e.se, 3), e.df  # of equal clusters: a paired t test
    (0.2, 0.063, 4.0)
    """
    (x1, n1), (x0, n0) = (tuple(np.asarray(a, dtype=float) for a in group) for group in (one, other))
    with np.errstate(invalid="ignore"):
        value = float(x1.sum() / n1.sum() - x0.sum() / n0.sum())
    if min((n1 > 0).sum(), (n0 > 0).sum()) < 2:
        return Estimate(value, level=level)
    without = leave_one_out(x1, n1) - leave_one_out(x0, n0)
    df = min(bell_mccaffrey_df(n[n > 0] / n.sum()) for n in (n1, n0))
    return interval(value, Spread(cr3j(value, without), df, "rep"), level)


def share_interval(hits: float, of: int, level: float = 0.95, *, exact: bool = True) -> tuple[float, float]:
    """Interval of a share whose cases are independent of each other: Clopper and Pearson's exact one, or Wilson's.

    Parameters
    ----------
    hits, of : int
        Cases that are counted, and all; at least one.
    level : float

    Returns
    -------
    low, high

    References
    ----------
    Clopper & Pearson (1934), Biometrika 26(4), 404-413; Wilson (1927), JASA 22(158), 209-212.

    Examples
    --------
    >>> [round(v, 3) for v in share_interval(8, 12)], [round(v, 3) for v in share_interval(8, 12, exact=False)]
    ([0.349, 0.901], [0.391, 0.862])
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(hits, of, 1 - level, method="beta" if exact else "wilson")
    return float(low), float(high)
