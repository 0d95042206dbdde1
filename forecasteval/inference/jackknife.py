"""Estimates with intervals from sums over clusters. Knows nothing of deals.

The centre is the delete-one-cluster jackknife (CR3J) of a ratio of sums: closed form, no resampling, the same
cost for a thousand rows as for a million. :mod:`forecasteval.inference.few_clusters` makes intervals of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats

_NOISE = 1e-13  # relative: what floating point leaves where all residuals of a stratum are equal


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard error with what an interval around it needs, and where they come from.

    ``df`` are Bell & McCaffrey's; ``skew`` is the skewness that the estimate may have, positive where far-off
    clusters would raise it (:func:`forecasteval.inference.few_clusters.skewness`).
    """

    se: float
    df: float
    method: str
    skew: float = 0.0


def leave_one_out(x: ArrayLike, z: ArrayLike) -> Floats:
    """The ratio of sums without each cluster in turn.

    R_(g) = (X - x_g) / (Z - z_g)

    >>> leave_one_out([1.0, 2.0, 3.0], [1.0, 1.0, 2.0]).tolist()
    [1.6666666666666667, 1.3333333333333333, 1.5]
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x.sum() - x) / (z.sum() - z)


def bell_mccaffrey_df(share: ArrayLike) -> float:
    """Degrees of freedom of the CR3J variance of a ratio, from the clusters' shares of the denominator.

    (sum u)^2 / (sum u^2 + sum_{g != h} (w_g w_h)^2 / ((1 - w_g)^2 (1 - w_h)^2)),  u_g = w_g / (1 - w_g)

    Parameters
    ----------
    share : array of shape (clusters,), summing to 1

    Returns
    -------
    float; ``clusters - 1`` where all shares are equal

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28(2), 169-181.

    Examples
    --------
    >>> round(bell_mccaffrey_df([0.25, 0.25, 0.25, 0.25]), 6)
    3.0
    """
    w = np.asarray(share, dtype=float)
    u = w / (1 - w)
    a = np.square(u)
    cross = np.square(a.sum()) - np.square(a).sum()
    return float(np.square(u.sum()) / (a.sum() + cross))


def cr3j(estimate: float, without: ArrayLike) -> float:
    """Standard error by deleting one cluster at a time, around the full estimate.

    SE^2 = (G - 1) / G * sum_g (R_(g) - R)^2

    For a ratio this equals (G - 1)/G * sum e_g^2 / (1 - w_g)^2 / Z^2 with e_g = x_g - R z_g: the CR3 of the
    regression literature times (G - 1)/G.

    Parameters
    ----------
    without : array of shape (clusters,)
        The estimate without each cluster.

    References
    ----------
    Bell & McCaffrey (2002); MacKinnon, Nielsen & Webb (2023), Journal of Applied Econometrics 38(5).

    Examples
    --------
    >>> cr3j(2.0, [2.5, 2.0, 1.5])
    0.5773502691896257
    """
    r = np.asarray(without, dtype=float)
    return float(np.sqrt((r.size - 1) / r.size * np.square(r - estimate).sum()))


def two_way(first: Spread, second: Spread, cells: Spread) -> Spread | None:
    """Spread when two ways of clustering are both random: first + second - cells; None where that is not positive.

    Cameron, Gelbach & Miller (2011), Journal of Business & Economic Statistics 29(2), 238-249.

    >>> both = two_way(Spread(3, 9, "rep"), Spread(4, 5, "period"), Spread(0, 40, "cell"))
    >>> both.se, both.df, both.method
    (5.0, 5, 'two-way')
    """
    variance = first.se**2 + second.se**2 - cells.se**2
    if not variance > 0:
        return None
    skew = largest(first, second).skew
    return Spread(float(np.sqrt(variance)), min(first.df, second.df), "two-way", skew)


def largest(*spreads: Spread | None) -> Spread:
    """The spread with the largest standard error, with its own degrees of freedom.

    >>> largest(Spread(1.0, 9, "rep"), None, Spread(2.0, 4, "period")).method
    'period'
    """
    return max((s for s in spreads if s is not None), key=lambda s: s.se)


@dataclass(frozen=True, eq=False)
class Strata:
    """How many units there are in each stratum, what their residuals sum to, and their squares; shape (strata,)."""

    count: Floats
    total: Floats
    square: Floats

    @classmethod
    def of(cls, residual: ArrayLike, stratum: ArrayLike) -> Strata:
        """Sum residuals by stratum; both arrays have shape (units,)."""
        e, g = np.asarray(residual, dtype=float), np.asarray(stratum, dtype=np.intp)
        count = np.bincount(g).astype(float)
        square = np.bincount(g, weights=np.square(e)).astype(np.float64)
        return cls(count, np.bincount(g, weights=e).astype(np.float64), square)

    def spread(self, total: float) -> Spread:
        """Spread over units drawn anew within the strata, whose denominator is Z (:func:`stratified`)."""
        m, e, square = (v[self.count > 0] for v in (self.count, self.total, self.square))
        if m.sum() < 2:
            return Spread(float("nan"), float("nan"), "stratified")
        lonely = m == 1
        if lonely.any():
            together = np.array([v[lonely].sum() for v in (m, e, square)])
            m, e, square = (v[~lonely] for v in (m, e, square))
            if together[0] > 1 or not m.size:
                m, e, square = (np.append(v, t) for v, t in zip((m, e, square), together, strict=True))
            else:
                smallest = np.flatnonzero(m == m.min())
                joined = max(smallest, key=lambda g: square[g] / m[g] - np.square(e[g] / m[g]))
                for v, t in zip((m, e, square), together, strict=True):
                    v[joined] += t
        around = square - np.square(e) / m
        v = m / (m - 1) * np.where(around > _NOISE * square, around, 0.0)
        if not v.sum() > 0:
            return Spread(0.0, float(m.sum() - m.size), "stratified")
        df = np.square(v.sum()) / (np.square(v) / (m - 1)).sum()
        return Spread(float(np.sqrt(v.sum()) / abs(total)), float(df), "stratified")


def stratified(residual: ArrayLike, stratum: ArrayLike, total: float) -> Spread:
    """Spread over units drawn anew within fixed strata.

    SE^2 = Z^-2 sum_g v_g,  v_g = m_g / (m_g - 1) sum_u (e_gu - mean_g)^2,
    df = (sum v_g)^2 / sum v_g^2 / (m_g - 1)

    Strata with a single unit are pooled into one; where that leaves one unit alone it joins the smallest
    other stratum (of equal ones that with the larger spread, so that the order of strata cannot matter).

    Parameters
    ----------
    residual : array of shape (units,)
        e_u = x_u - R z_u.
    stratum : integer array of shape (units,), in 0..strata-1
    total : float
        The denominator Z.

    Returns
    -------
    Spread; its standard error is NaN for fewer than two units

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., sections 5.4 and 5.12 (Satterthwaite's df).

    Examples
    --------
    >>> s = stratified([1.0, -1.0, 0.5, -0.5], [0, 0, 1, 1], 4.0)
    >>> round(s.se, 6), round(s.df, 6)
    (0.559017, 1.470588)
    """
    return Strata.of(residual, stratum).spread(total)


@cache
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t.

    >>> round(t_quantile(0.975, 10), 4)
    2.2281
    """
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


@dataclass(frozen=True, slots=True)
class Clusters:
    """How many clusters carry an estimate: their count, effective number and the largest one's share."""

    count: int
    effective: float
    largest_share: float


def clusters(share: ArrayLike) -> Clusters:
    """Effective number of clusters, 1 / sum w^2, from their shares of the denominator.

    Kish (1965), Survey Sampling, section 11.7: the same form for unequal weights.

    >>> clusters([0.5, 0.25, 0.25])
    Clusters(count=3, effective=2.6666666666666665, largest_share=0.5)
    """
    w = np.asarray(share, dtype=float)
    return Clusters(int(w.size), float(1 / np.square(w).sum()), float(w.max()))


@cache
def _every_sign(clusters: int) -> Floats:
    """Every vector of signs, a row each."""
    signs = np.array(list(product((1.0, -1.0), repeat=clusters)))
    signs.flags.writeable = False
    return signs


def wild_p_value(x: ArrayLike, z: ArrayLike, *, seed: int = 0, draws: int = 1999) -> float:
    """p-value of the restricted wild cluster bootstrap for a ratio of zero: a cross-check of the t test.

    Each cluster's sum keeps or flips its sign (Rademacher); every sign vector up to 12 clusters, drawn ones
    beyond. Ties count against the null, and the observed data are one of the vectors, so it is never 0.

    Parameters
    ----------
    x, z : arrays of shape (clusters,)

    Returns
    -------
    float in (0, 1]; NaN for fewer than 6 clusters

    References
    ----------
    Cameron, Gelbach & Miller (2008), Review of Economics and Statistics 90(3), 414-427.

    Examples
    --------
    >>> wild_p_value([1.0, 1.1, 0.9, 1.2, 0.8, 1.0], np.ones(6))
    0.03125
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    if x.size < 6 or not np.isfinite(x).all():
        return float("nan")
    order = np.lexsort((x, z))  # the order of clusters must not decide which of them a draw flips
    x, z = x[order], z[order]
    if enumerated := x.size <= 12:
        signs = _every_sign(x.size)
    else:
        rng = np.random.default_rng(seed)
        signs = rng.choice((-1.0, 1.0), size=(draws, x.size))
    total = z.sum()
    k = 1 / (1 - z / total)

    def t(sums: Floats) -> Floats:
        ratio = sums.sum(axis=-1, keepdims=True) / total
        se = np.sqrt(np.square((sums - ratio * z) * k).sum(axis=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(ratio[..., 0] * total) / se

    observed = float(t(x))
    if np.isnan(observed):
        return float("nan")
    hits = int((t(signs * x) >= observed * (1 - 1e-12)).sum())
    return hits / len(signs) if enumerated else (1 + hits) / (1 + len(signs))
