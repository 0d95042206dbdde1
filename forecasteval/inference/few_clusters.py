"""Intervals that expect clusters far off to be missing from the sample.

Student's t around the jackknife's standard error, with one longer arm: on the side of the forecaster whose bias and whose
loss differ more from cluster to cluster.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate
from forecasteval.inference.jackknife import Spread, t_quantile
from forecasteval.scores.probability import Floats

# Chosen on simulated pilots that the coverage study does not contain; the study shows what it is worth.
TAIL = 16.0  # skewness of a cluster's effect where all that differs is one forecaster's bias and loss
_NORMAL = 1.959964
_PER_SKEWNESS = (2 * _NORMAL**2 + 1) / (
    6 * _NORMAL
)  # Johnson (1978): by how much t is shifted, in its own quantile
LONGEST_ARM = 2.0  # in arms of Student's interval
OF_A_MISS = 2.0  # skewness of an exponential: the size of an error that is Laplace's
OF_A_NORMAL_MISS = math.sqrt(2) * (4 - math.pi) / (math.pi - 2) ** 1.5  # of a normal one: 0.995


def components(residual: ArrayLike, rows: ArrayLike, square: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Variance of rows within clusters and of the clusters' own effects, by the method of moments.

    within = (sum r^2 - sum e_g^2 / n_g) / (N - G); between = [sum e_g^2/n_g - (G-1) within] / (N - sum n_g^2 / N),
    not below 0. What single rows add to the spread of the clusters' means, and between is without, is
    (G-1) within / (N - sum n_g^2 / N).

    Searle, Casella & McCulloch (1992), Variance Components, section 3.6; DerSimonian & Laird
    (1986), Controlled Clinical Trials 7(3).

    >>> [round(float(v), 4) for v in components([2.0, -2.0, 0.0], [4, 4, 4], 12.0)]
    [1.1111, 0.0, 0.2778]
    """
    e, n = np.asarray(residual, dtype=float), np.asarray(rows, dtype=float)
    total, count = n.sum(), n.size
    around = np.sort(np.square(e) / n, axis=-1).sum(axis=-1)  # in whatever order clusters are numbered
    within = np.maximum((np.asarray(square) - around) / max(total - count, 1), 0.0)
    spare = total - np.square(n).sum() / total
    if not spare > 0:
        return within, np.zeros_like(within), np.zeros_like(within)
    by_chance = (count - 1) * within / spare
    return within, np.maximum(around / spare - by_chance, 0.0), by_chance


def tail_of_biases(mine: tuple[float, float], theirs: tuple[float, float]) -> float:
    """How much more one forecaster's bias, p - y, differs from cluster to cluster than the other's.

    (b_m - b_t) / (b_m + b_t + c),  b_f the variance between clusters, c what chance adds to it, the mean of both.

    A proper score charges the square of a bias, whatever its sign. So the forecaster whose bias differs more has
    rare clusters that are much worse and none that are much better: the difference is skewed towards them, and a
    sample without them looks harmless. The spread of a bias is seen in every cluster, long before its square shows
    its tail.

    >>> round(tail_of_biases((0.0, 0.001), (0.009, 0.001)), 2), tail_of_biases((0.01, 0.001), (0.01, 0.001))
    (-0.9, 0.0)
    """
    (a, a_chance), (b, b_chance) = mine, theirs
    total = a + b + (a_chance + b_chance) / 2
    return (a - b) / total if total > 0 else 0.0


def tail_of_losses(mine: float, theirs: float, difference: tuple[float, float]) -> float:
    """The same of losses, which also differ by skill: max(-b, min(b, l_m - l_t)) / (b + c).

    >>> round(tail_of_losses(0.0, 0.004, (0.003, 0.001)), 2), tail_of_losses(0.0, 0.0, (0.0, 0.0))
    (-0.75, 0.0)
    """
    between, chance = difference
    total = between + chance
    return max(-between, min(between, mine - theirs)) / total if total > 0 else 0.0


def skewness(share: ArrayLike, *tails: float) -> float:
    """Skewness that the estimate may have, by how much more one forecaster differs between clusters.

    TAIL ((G - 3)/(G - 1))^3 sum w^3 / (sum w^2)^1.5 sum tail^3: a sum of G effects, each with the skewness
    TAIL tail^3, has it over sqrt(G). Fewer than four clusters cannot tell.

    >>> round(skewness(np.full(25, 0.04), 0.5), 3), skewness([0.4, 0.3, 0.3], 1.0)
    (0.308, 0.0)
    """
    w = np.asarray(share, dtype=float)
    if w.size < 4:
        return 0.0
    uneven = float((w * np.square(w)).sum() / np.square(w).sum() ** 1.5)
    return TAIL * ((w.size - 3) / (w.size - 1)) ** 3 * uneven * sum(t * t * t for t in tails)


def skewness_of_misses(share: ArrayLike, mine: ArrayLike, theirs: ArrayLike) -> float:
    """Skewness that a mean difference of two misses, abs(error) of mine minus abs(error) of theirs, may have.

    OF_A_MISS (s_m^3 - s_t^3) / (s_m^2 + s_t^2)^1.5 sum w^3 / (sum w^2)^1.5, s_f the standard deviation of an error with
    its sign. Who scatters has rare large misses, and few periods rarely hold one of them; who always errs by as much has
    none. Of two that scatter alike it is 0.

    Parameters
    ----------
    share : array of shape (periods,), summing to 1
    mine, theirs : arrays of shape (periods,)
        Errors with their signs, each as a share of what came.

    Examples
    --------
    >>> w, steady, wild = np.full(4, 0.25), [0.2, 0.2, 0.2, 0.2], [0.3, -0.3, 0.2, -0.2]
    >>> skewness_of_misses(w, wild, steady), skewness_of_misses(w, wild, wild)
    (1.0, 0.0)
    """
    w, m, t = (np.asarray(v, dtype=float) for v in (share, mine, theirs))
    if w.size < 4 or not (np.isfinite(m).all() and np.isfinite(t).all()):
        return 0.0
    a, b = m.std(), t.std()
    apart = float((a**3 - b**3) / (a * a + b * b) ** 1.5) if a or b else 0.0
    return OF_A_MISS * apart * float((w**3).sum() / np.square(w).sum() ** 1.5)


def lean(skew: ArrayLike) -> Floats:
    """By how much an arm of the interval is longer than Student's: above the estimate where positive, below else.

    (2 z^2 + 1) / (6 z) times the skewness, z = 1.96, at most 1. Johnson (1978), Journal of the American Statistical
    Association 73(363), 536-544, shifts both ends by it; here the shorter arm stays, as the skewness is assumed, not seen.

    >>> [round(float(lean(s)), 3) for s in (0.2, -0.2, 5.0)]
    [0.148, -0.148, 1.0]
    """
    most = LONGEST_ARM - 1
    return np.clip(_PER_SKEWNESS * np.asarray(skew, dtype=float), -most, most)


def interval(value: float, spread: Spread, level: float = 0.95, *, null: float = 0.0) -> Estimate:
    """Interval around a number whose clusters may differ, and the p-value that agrees with it.

    value - q se (1 + max(-lean, 0)) to value + q se (1 + max(lean, 0)), q Student's quantile with the spread's degrees
    of freedom (Bell-McCaffrey). The p-value is below 1 - level just where `null` lies outside.

    Parameters
    ----------
    null : float
        What the p-value is against.

    Returns
    -------
    Estimate; without an interval where the standard error is not positive and finite

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28(2), 169-181; Johnson (1978) for the longer arm (:func:`lean`).

    Examples
    --------
    >>> i = interval(2.0, Spread(1.0, 10, "rep"))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.2281, 0.0734)
    >>> i = interval(2.0, Spread(1.0, 10, "rep", skew=-0.5))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-1.0507, 4.2281, 0.1748)
    """
    from scipy.special import stdtr

    if not (math.isfinite(spread.se) and spread.se > 0 and spread.df > 0):
        return Estimate(value, level=level, df=spread.df, se=spread.se, null=null)
    reached = t_quantile(0.5 + level / 2, spread.df) * spread.se
    longer = float(lean(spread.skew))
    below, above = 1 + max(-longer, 0.0), 1 + max(longer, 0.0)
    towards_null = below if value > null else above
    p_value = 2 * float(stdtr(spread.df, -abs(value - null) / spread.se / towards_null))
    low, high = value - below * reached, value + above * reached
    return Estimate(value, low, high, level, spread.df, spread.se, p_value, True, null=null)
