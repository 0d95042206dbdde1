"""Intervals that expect clusters to differ, and to be missing from the sample where they are far off.

Around the jackknife's standard error: degrees of freedom under random cluster effects, and a longer arm on the side
on which far-off clusters may be missing, told by the skewness of those that are there and by how differently two
forecasters are biased in them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate
from forecasteval.inference.jackknife import Spread, t_quantile
from forecasteval.scores.probability import Floats

# Chosen in simulated pilots; tests/benchmarks/other_intervals.py shows what each part adds.
SKEW_GAIN = 1.5  # few clusters show less skewness than they were drawn from
LEAN_GAIN = 0.7  # how much longer the arm is, at most, on the side to which differing biases lean
LONGEST_ARM = 2.0  # how much longer than Student's an arm of the interval may be for skewness


def components(residual: ArrayLike, rows: ArrayLike, square: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Variance of rows within clusters and of the clusters' own effects, by the method of moments.

    within = (sum r^2 - sum e_g^2 / n_g) / (N - G); between = [sum e_g^2/n_g - (G-1) within] / (N - sum n_g^2 / N),
    not below 0. Where clusters have no effects of their own, chance alone spreads the latter by
    within sqrt(2 (G-1)) / (N - sum n_g^2 / N), its standard deviation.

    Parameters
    ----------
    residual : array of shape (..., clusters)
        e_g, the sum of the rows' residuals r = x - R z in each cluster.
    rows : array of shape (clusters,)
    square : array of shape (...)
        Sum of r^2 over all rows.

    Returns
    -------
    within, between, by_chance : arrays of shape (...)

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, section 3.6; DerSimonian & Laird (1986), Controlled
    Clinical Trials 7(3).

    Examples
    --------
    >>> [round(float(v), 4) for v in components([2.0, -2.0, 0.0], [4, 4, 4], 12.0)]
    [1.1111, 0.0, 0.2778]
    """
    e, n = np.asarray(residual, dtype=float), np.asarray(rows, dtype=float)
    total, count = n.sum(), n.size
    around = np.square(e) @ (1 / n)
    within = np.maximum((np.asarray(square) - around) / max(total - count, 1), 0.0)
    spare = total - np.square(n).sum() / total
    if not spare > 0:
        return within, np.zeros_like(within), np.zeros_like(within)
    between = np.maximum((around - (count - 1) * within) / spare, 0.0)
    return within, between, within * math.sqrt(2 * (count - 1)) / spare


def lean(mine: tuple[float, float], theirs: tuple[float, float]) -> float:
    """On which side of a difference in loss, mine minus theirs, clusters lie that a sample may have missed.

    (t_m - t_t) / (t_m + t_t + s),  t_f the variance between clusters of forecaster f's bias, p - y, and s what
    chance makes of it, the mean of both.

    A proper score charges the square of a bias, whatever its sign. So the forecaster whose bias varies more from
    cluster to cluster has rare clusters that are much worse and none that are much better: the difference is skewed
    towards them, and a sample without them looks harmless. The spread of a bias is seen in every cluster, long
    before its square shows its tail.

    Parameters
    ----------
    mine, theirs : pairs of float
        Variance between clusters, and its standard deviation by chance, from :func:`components` of p - y.

    Returns
    -------
    float, in [-1, 1]; above 0 where the difference may be larger than it seems

    Examples
    --------
    >>> round(lean((0.0, 0.001), (0.009, 0.001)), 2), lean((0.01, 0.001), (0.01, 0.001)), lean((0.0, 0.0), (0.0, 0.0))
    (-0.9, 0.0, 0.0)
    """
    (a, a_chance), (b, b_chance) = mine, theirs
    total = a + b + (a_chance + b_chance) / 2
    return (a - b) / total if total > 0 else 0.0


def satterthwaite_df(share: ArrayLike, variance: ArrayLike) -> Floats:
    """Degrees of freedom of the CR3J variance when the clusters' sums have these variances.

    tr(C)^2 / tr(C^2) for C = cov(k_g e_g), k_g = 1/(1 - w_g), e = (I - w 1')x, cov(x) = diag(V). With V
    proportional to w it is :func:`forecasteval.inference.jackknife.bell_mccaffrey_df`.

    Parameters
    ----------
    share : array of shape (clusters,), summing to 1
    variance : array of shape (..., clusters)

    Returns
    -------
    array of shape (...)

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2(6); Imbens & Kolesar (2016), Review of Economics and Statistics
    98(4), 701-712, for a working covariance with cluster effects.

    Examples
    --------
    >>> from forecasteval.inference.jackknife import bell_mccaffrey_df
    >>> w = [0.5, 0.3, 0.2]
    >>> round(float(satterthwaite_df(w, w)), 6) == round(bell_mccaffrey_df(w), 6)
    True
    """
    w, v = np.asarray(share, dtype=float), np.asarray(variance, dtype=float)
    k = 1 / np.square(1 - w)
    total, vw, ww = v.sum(-1, keepdims=True), v * w, w * w
    own = v - 2 * vw + total * ww
    a, b, c = (v * v) @ k, ww @ k, vw @ k
    # sum over all pairs of k_g k_h (V_g w_h + w_g V_h - total w_g w_h)^2, less its diagonal, plus the true one
    t = total[..., 0]
    pairs = 2 * a * b + 2 * c * c + t * t * b * b - 4 * t * c * b
    diagonal = (np.square(own) - np.square(2 * vw - total * ww)) @ np.square(k)
    return np.asarray(np.square(own @ k) / (pairs + diagonal))


def under_effects(
    share: ArrayLike, residual: ArrayLike, rows: ArrayLike, square: ArrayLike
) -> tuple[Floats, Floats]:
    """Degrees of freedom of the jackknife, and skewness of the estimate, where clusters differ from each other.

    With V_g = n_g within + n_g^2 between, where the variance between clusters is taken less what chance alone makes
    of it (:func:`components`): degrees of freedom by Satterthwaite under V, and the skewness of the estimate from
    that of the clusters' jackknife contributions h_g = e_g/(1 - w_g), s = sum h^3 / (sum h^2)^1.5, as
    SKEW_GAIN sqrt(b) s s^2/(s^2 + c): b is the share of V that lies between clusters (what lies within is a sum over
    many rows and nearly symmetric), c = 6 sum V^3 / (sum V)^3 the variance that s has by chance where clusters are
    symmetric.

    Parameters
    ----------
    share, rows : arrays of shape (clusters,)
        Shares of the denominator, numbers of rows.
    residual : array of shape (..., clusters)
        Sums of residuals.
    square : array of shape (...)
        Sum of the rows' squared residuals.

    Returns
    -------
    df, skewness : arrays of shape (...); df is infinite and skewness 0 where nothing varies

    References
    ----------
    Imbens & Kolesar (2016); Hall (1992), Journal of the Royal Statistical Society B 54(1), 221-228.

    Examples
    --------
    >>> df, skewness = under_effects(np.full(8, 1 / 8), [1, -1, 2, -2, 1, -1, 3, -3], np.full(8, 50.0), 100.0)
    >>> round(float(df), 6), abs(round(float(skewness), 6))
    (7.0, 0.0)
    """
    w, e, n = (np.asarray(a, dtype=float) for a in (share, residual, rows))
    within, between, by_chance = components(e, n, square)
    of_clusters = n * n * np.maximum(between - by_chance, 0.0)[..., None]
    variance = n * within[..., None] + of_clusters
    total = variance.sum(-1)
    h = e / (1 - w)
    squares = np.square(h).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (h * np.square(h)).sum(-1) / squares**1.5
        chance = 6 * (variance * np.square(variance)).sum(-1) / total**3
        skewness = SKEW_GAIN * np.sqrt(of_clusters.sum(-1) / total) * s**3 / (s * s + chance)
        df = satterthwaite_df(w, variance)
    known = (total > 0) & (squares > 0)
    return np.where(known, df, np.inf), np.where(known, skewness, 0.0)


def cautious(spread: Spread, share: ArrayLike, residual: ArrayLike, rows: ArrayLike, square: float) -> Spread:
    """The same spread, ready for clusters that differ from each other: see :func:`under_effects`.

    Parameters
    ----------
    spread : Spread
        Of the jackknife over these clusters.
    share, residual, rows : arrays of shape (clusters,)

    Examples
    --------
    >>> from forecasteval.inference.jackknife import bell_mccaffrey_df
    >>> share = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    >>> s = cautious(Spread(0.1, bell_mccaffrey_df(share), "rep"), share, [9, -8, 1, -3, 1], 100 * share, 40.0)
    >>> round(s.df, 2), round(s.cautious_df, 2), round(s.skewness, 2)
    (2.33, 1.73, 0.02)
    """
    df, skewness = under_effects(share, residual, rows, square)
    return replace(spread, cautious_df=min(spread.df, float(df)), skewness=float(skewness))


def _skewed_quantile(quantile: ArrayLike, skewness: ArrayLike) -> Floats:
    """Where a statistic with this skewness has the given quantile of a symmetric one.

    The inverse of Hall's transform g(t) = t + a t^2/3 + a^2 t^3/27 + a/6, which removes skewness a:
    t = 3/a ((1 + a (q - a/6))^(1/3) - 1).

    Parameters
    ----------
    quantile, skewness : float or arrays of one shape

    Returns
    -------
    array of that shape

    References
    ----------
    Hall (1992), Journal of the Royal Statistical Society B 54(1), 221-228.

    Examples
    --------
    >>> [round(float(_skewed_quantile(q, a)), 4) for q, a in ((2.0, 0.0), (2.0, 0.3), (-2.0, 0.3))]
    [2.0, 1.6594, -2.7252]
    """
    q, a = np.asarray(quantile, dtype=float), np.asarray(skewness, dtype=float)
    symmetric = np.abs(a) < 1e-8
    a = np.where(symmetric, 1.0, a)
    return np.where(symmetric, q, 3 / a * (np.cbrt(1 + a * (q - a / 6)) - 1))


def reach(quantile: ArrayLike, skewness: ArrayLike, lean: ArrayLike) -> tuple[Floats, Floats]:
    """How far an interval reaches below and above its estimate, in standard errors.

    q, or more on the side on which clusters may be missing: -g^-1(-q) above and g^-1(q) below where they are skewed
    (:func:`_skewed_quantile`), though not beyond LONGEST_ARM q; (1 + LEAN_GAIN |lean|) q where their biases lean it;
    the longer of these.

    Parameters
    ----------
    quantile : array of shape (...)
        Student's, above 0.
    skewness, lean : arrays of shape (...)

    Returns
    -------
    below, above : arrays of shape (...)

    Examples
    --------
    >>> [round(float(v), 4) for v in reach(2.0, 0.0, -0.5)], [round(float(v), 4) for v in reach(2.0, 0.3, 0.0)]
    ([2.7, 2.0], [2.0, 2.7252])
    """
    q, a, side = (np.asarray(v, dtype=float) for v in (quantile, skewness, lean))
    below, above = _skewed_quantile(q, a), -_skewed_quantile(-q, a)
    return (
        np.maximum((1 + LEAN_GAIN * np.maximum(-side, 0)) * q, np.minimum(below, LONGEST_ARM * q)),
        np.maximum((1 + LEAN_GAIN * np.maximum(side, 0)) * q, np.minimum(above, LONGEST_ARM * q)),
    )


def interval(value: float, spread: Spread, level: float = 0.95, *, null: float = 0.0) -> Estimate:
    """Interval around a number whose clusters may differ, and the p-value that agrees with it.

    Student's t with the cautious degrees of freedom, with a longer arm on the side on which clusters may be missing
    (:func:`reach`). The p-value is below 1 - level just where `null` lies outside.

    Parameters
    ----------
    null : float
        What the p-value is against.

    Returns
    -------
    Estimate; without an interval where the standard error is not positive and finite

    Examples
    --------
    >>> i = interval(2.0, Spread(1.0, 10, "rep"))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.2281, 0.0734)
    >>> i = interval(2.0, Spread(1.0, 10, "rep", skewness=0.2))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.7273, 0.0734)
    >>> i = interval(2.0, Spread(1.0, 10, "rep", lean=-0.5))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-1.008, 4.2281, 0.1693)
    """
    from scipy.special import stdtr

    if not (math.isfinite(spread.se) and spread.se > 0 and spread.df > 0):
        return Estimate(value, level=level, df=spread.df, se=spread.se, null=null)
    away = value - null
    df, a = min(spread.df, spread.cautious_df), spread.skewness
    q, t = t_quantile(0.5 + level / 2, df), away / spread.se
    below, above = reach(q, a, spread.lean)
    towards_null = max(-spread.lean if t > 0 else spread.lean, 0.0)
    untwisted = t + a * t * t / 3 + a * a * t**3 / 27 + a / 6
    leant, skewed, longest = (
        2 * float(stdtr(df, -abs(v)))
        for v in (t / (1 + LEAN_GAIN * towards_null), untwisted, t / LONGEST_ARM)
    )
    low, high = away - float(below) * spread.se + null, away + float(above) * spread.se + null
    p_value = max(leant, min(skewed, longest))
    return Estimate(value, low, high, level, df, spread.se, p_value, True, null=null)
