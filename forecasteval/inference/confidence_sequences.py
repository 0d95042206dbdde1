"""Intervals that hold at every look: confidence sequences for a running ratio of cohort sums.

Knows nothing of deals. Cohorts come in the order in which they become known, each as a numerator x (a sum
of score differences) and a denominator z (the number of scores, or what else they are weighed by). After n
cohorts the estimate is R_n = (x_1 + ... + x_n) / (z_1 + ... + z_n).

**What is estimated.** M_n = sum E[x_i | earlier cohorts] / sum z_i: the difference that was to be expected,
averaged over the cohorts so far. It may drift; nothing is assumed to stay the same. A fixed-time interval
holds M_n with probability `level` at one look that was chosen beforehand. A sequence holds M_n at *all*
looks together with that probability, so that looking, stopping and going on cost nothing further.

**Four of them**. Two from the less to the more careful about what cohorts share:

- :func:`asymptotic` takes each cohort's surprise as new: right where nothing but chance is shared by the
  cohorts of one stretch of time. Unequal cohorts are met by ratios of sums and a delete-one variance.
- :func:`over_blocks` lets whole blocks (quarters) differ: a good quarter lifts all its weeks, so weeks are
  no independent witnesses, and :func:`asymptotic` then answers for the quarters that happened to come. It
  needs the spread between blocks, of which there are few, so it is built on Student's t.

Two without a limit theorem, for bounded cohort means. Both weigh cohorts alike, so they need no spread:

- :func:`empirical_bernstein`, the strict one, assumes nothing but the bound. The average may drift.
- :func:`betting` assumes besides that the difference to be expected is the same in every cohort, whatever came
  before; about 45% narrower. Where it drifts, 0 outside says only that a side was ahead in *some* cohort.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special
from scipy.stats import t as student

from forecasteval.inference.resemblance import UPPER_QUARTILE, Resemblance, resemblance
from forecasteval.scores.probability import Floats


class _Looks(NamedTuple):
    """At how many a sequence is narrowest, and before how many it says nothing."""

    tuned_for: int
    fewest: int


COHORTS = _Looks(tuned_for=52, fewest=13)
BLOCKS = _Looks(tuned_for=6, fewest=4)
_STAKES = np.geomspace(
    0.02, 0.99, 12
)  # shares of the capital that are bet: small ones for noisy, long sequences
_GUESSED_SPREAD = 0.05  # of a cohort's mean difference; only sets where empirical_bernstein is narrowest


@dataclass(frozen=True, eq=False)
class _Band:
    """Estimate and interval after each cohort, arrays of shape (cohorts,); infinite ends where none is formed."""

    estimate: Floats
    low: Floats
    high: Floats


def _checked(x: ArrayLike, z: ArrayLike, level: float) -> tuple[Floats, Floats]:
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    if x.shape != z.shape or x.ndim != 1:
        raise ValueError(
            f"x and z must be two rows of the same length; they have shapes {x.shape} and {z.shape}."
        )
    if not (np.isfinite(x).all() and np.isfinite(z).all() and (z > 0).all()):
        raise ValueError("Every cohort needs a finite sum and a weight above 0; leave empty cohorts out.")
    if not 0.5 <= level < 1:
        raise ValueError(f"level is {level!r}; it lies between 0.5 and 1, such as 0.95.")
    return x, z


def _spread(x: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
    """Ratio, CR3J standard error and Bell-McCaffrey df of running sums; rows are looks, columns clusters.

    The closed forms of :mod:`forecasteval.inference.jackknife`
    for all looks at once; clusters that a look has not met have z = 0.
    """
    met, total = z > 0, z.sum(axis=1)
    ratio, n = x.sum(axis=1) / total, met.sum(axis=1)
    w = z / total[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):  # a first cluster holds everything
        moved = np.where(met, (x - ratio[:, None] * z) / (1 - w), 0.0)
        se = np.sqrt((n - 1) / n * np.square(moved).sum(axis=1)) / total
        u = w / (1 - w)
        a = np.square(u)
        cross = np.square(a.sum(axis=1)) - np.square(a).sum(axis=1)
        df = np.square(u.sum(axis=1)) / (a.sum(axis=1) + cross)
    alone = n < 2
    return ratio, np.where(alone, np.nan, se), np.where(alone, np.nan, df)


def _around(estimate: Floats, reach: Floats, se: Floats) -> _Band:
    formed = np.isfinite(reach) & np.isfinite(se)
    half = np.where(formed, reach, 1.0) * np.where(formed, se, np.inf)
    return _Band(estimate, estimate - half, estimate + half)


def _over(x: Floats, z: Floats, block: ArrayLike | None) -> tuple[Floats, Floats]:
    """Running sums of each block at each look; every cohort is a block of its own where none is given."""
    member = np.arange(x.size) if block is None else np.unique(np.asarray(block), return_inverse=True)[1]
    if member.shape != x.shape:
        raise ValueError(f"There are {x.size} cohorts but {member.size} labels of blocks.")
    mine = member[:, None] == np.arange(member.max(initial=-1) + 1)
    sums, weights = (np.cumsum(v[:, None] * mine, axis=0) for v in (x, z))
    return sums, weights


def fixed_time(x: ArrayLike, z: ArrayLike, block: ArrayLike | None = None, *, level: float = 0.95) -> _Band:
    """The interval of a single look, after each cohort: what must *not* be read again and again.

    R_n -+ t_((1 + level)/2, df) SE_n, with the CR3J standard error over cohorts or blocks and Bell-McCaffrey df.

    Parameters
    ----------
    x, z : arrays of shape (cohorts,)
    block : array of shape (cohorts,), optional
        Stretches of time whose cohorts share their luck.

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28(2), 169-181.

    Examples
    --------
    >>> band = fixed_time([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
    >>> [round(float(v[-1]), 3) for v in (band.estimate, band.low, band.high)]
    [2.0, -0.484, 4.484]
    """
    x, z = _checked(x, z, level)
    ratio, se, df = _spread(*_over(x, z, block))
    return _around(ratio, student.ppf((1 + level) / 2, df), se)


# --- how many standard errors ---------------------------------------------------------------------------


def _student_multiplier(df: ArrayLike, *, level: float = 0.95, scale: float) -> Floats:
    """How many standard errors the sequence over blocks reaches with so many degrees of freedom.

    Under a normal law with unknown spread the mixed likelihood ratio of the t statistic of n = df + 1 blocks,
    with an effect in units of the spread drawn from N(0, 1/scale),

    B_n = sqrt(s/(n + s)) [ (1 + t^2/df) / (1 + t^2 s / (df (n + s))) ]^(n/2),  s = scale

    is a martingale that starts at 1, so that it ever reaches 1/alpha with probability alpha at most. Solved
    for t: with a = ((n + s)/(s alpha^2))^(1/n), t^2 = df (a - 1) / (1 - a s/(n + s)), infinite where the
    denominator is not positive. Lai (1976), Annals of Statistics 4(2), 265-280. Wang & Ramdas (2025), Anytime-valid
    t-tests and confidence sequences for Gaussian means with unknown variance, Sequential Analysis 44(1), 56-110. The
    Bayes factor is that of Gonen, Johnson, Lu & Westfall (2005), American Statistician 59(3), 252-257.
    """
    df = np.asarray(df, dtype=float)
    n = df + 1
    with np.errstate(divide="ignore", invalid="ignore"):
        a = ((n + scale) / (scale * (1 - level) ** 2)) ** (1 / n)
        left = 1 - a * scale / (n + scale)
        return np.where(left > 0, np.sqrt(df * (a - 1) / np.where(left > 0, left, 1)), np.inf)


@cache
def _student_scale(tuned_for: float = BLOCKS.tuned_for, level: float = 0.95) -> float:
    """The scale at which the sequence over blocks is narrowest after `tuned_for` equal blocks."""

    def reach(log_scale: float) -> float:
        return float(_student_multiplier(tuned_for - 1, level=level, scale=math.exp(log_scale)))

    grid = np.linspace(-8, 2, 41)
    best = float(grid[np.argmin([reach(s) for s in grid])])
    found = optimize.minimize_scalar(reach, bounds=(best - 0.25, best + 0.25), method="bounded")
    return math.exp(float(found.x))


def _mixture_scale(tuned_for: float, level: float = 0.95) -> float:
    """rho^2 of the normal mixture whose sequence is narrowest after `tuned_for` cohorts.

    rho^2 = (-2 log alpha + log(1 - 2 log alpha)) / tuned_for,  alpha = 1 - level. Waudby-Smith, Arbour, Sinha, Kennedy
    & Ramdas (2024), Annals of Statistics 52(6), section on tuning.
    """
    surprise = -2 * math.log(1 - level)
    return (surprise + math.log(1 + surprise)) / tuned_for


def _asymptotic_multiplier(
    n: ArrayLike, *, level: float = 0.95, tuned_for: float = COHORTS.tuned_for
) -> Floats:
    """How many standard errors the asymptotic sequence reaches after n cohorts.

    sqrt( (n rho^2 + 1) / (n rho^2) log((n rho^2 + 1) / alpha^2) ): 3.04 at n = `tuned_for` and level .95, which is 1.55
    times the 1.96 of a single look.
    """
    m = np.asarray(n, dtype=float) * _mixture_scale(tuned_for, level)
    return np.sqrt((m + 1) / m * np.log((m + 1) / (1 - level) ** 2))


# --- the sequences over cohorts and over blocks ---------------------------------------------------------


def asymptotic(
    x: ArrayLike,
    z: ArrayLike,
    *,
    level: float = 0.95,
    tuned_for: float = COHORTS.tuned_for,
    burn_in: int = COHORTS.fewest,
) -> _Band:
    """Asymptotic confidence sequence of a running ratio of cohort sums, guarded where cohorts are few.

    R_n -+ SE_n max( sqrt( (n rho^2 + 1) / (n rho^2) log((n rho^2 + 1) / alpha^2) ), m(df_n) )

    with SE_n the CR3J standard error over the n cohorts. The first term is the published sequence; its
    guarantee is that of a central limit theorem that holds at all looks from `burn_in` on. The second,
    :func:`_student_multiplier` at the Bell-McCaffrey df of the cohorts' weights, is for the looks at which that
    limit is far: cohorts of very unequal size count for fewer than they are. With equal cohorts it adds 15% at
    13 and 5% at 52 cohorts. The cohorts' surprises x_i - E[x_i | earlier] must not be shared between cohorts;
    where they are, use :func:`over_blocks`.

    Parameters
    ----------
    x, z : arrays of shape (cohorts,), in the order in which they become known
    level : float
        Of all looks together.
    tuned_for : float
        Cohorts at which the sequence is narrowest; fixed before the first look.
    burn_in : int
        Looks before this many cohorts have no interval; fixed before the first look.

    Returns
    -------
    _Band
        Infinite ends during the burn-in.

    Raises
    ------
    ValueError
        For sums that are not finite, weights that are not above 0, or a level outside [0.5, 1).

    References
    ----------
    Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2024), Time-uniform central limit theory and asymptotic
    confidence sequences, Annals of Statistics 52(6), 2613-2640. Robbins (1970), Annals of Mathematical
    Statistics 41(5), 1397-1409, for the normal mixture.

    Examples
    --------
    >>> band = asymptotic([1.0, -1.0] * 26, [2.0] * 52)
    >>> round(float(band.high[-1]), 3), float(band.high[11])
    (0.224, inf)
    """
    x, z = _checked(x, z, level)
    ratio, se, df = _spread(*_over(x, z, None))
    n = np.arange(1, x.size + 1)
    published = _asymptotic_multiplier(n, level=level, tuned_for=tuned_for)
    guard = _student_multiplier(df, level=level, scale=_student_scale(tuned_for / 2, level))
    reach = np.maximum(published, guard)
    return _around(ratio, np.where(n < burn_in, np.inf, reach), se)


def over_blocks(
    x: ArrayLike, z: ArrayLike, block: ArrayLike, *, level: float = 0.95, tuned_for: float = BLOCKS.tuned_for
) -> _Band:
    """Confidence sequence of a running ratio where cohorts of one block share their luck.

    R_n -+ SE_n m(df_n), with the CR3J standard error over *blocks*, the one that is still filling included,
    its Bell-McCaffrey df (which counts unequal and half-filled blocks for less) and m of
    :func:`_student_multiplier`. Exact for equal, normal block sums; how far it carries else is measured in
    tests/benchmarks/false_alarms_weekly.py.

    Parameters
    ----------
    x, z : arrays of shape (cohorts,), in the order in which they become known
    block : array of shape (cohorts,)
        Label of the stretch of time that the cohort belongs to.
    tuned_for : float
        Blocks at which the sequence is narrowest; fixed before the first look.

    Returns
    -------
    _Band
        Infinite ends with fewer than 4 blocks.

    Raises
    ------
    ValueError
        As :func:`asymptotic`.

    Examples
    --------
    >>> band = over_blocks([1.0, -1.0] * 4, [2.0] * 8, ["a", "b", "c", "d", "e", "f", "g", "h"])
    >>> round(float(band.high[-1]), 2), float(band.high[2])
    (0.79, inf)
    """
    x, z = _checked(x, z, level)
    sums, weights = _over(x, z, block)
    ratio, se, df = _spread(sums, weights)
    reach = _student_multiplier(df, level=level, scale=_student_scale(tuned_for, level))
    reach = np.where((weights > 0).sum(axis=1) < BLOCKS.fewest, np.inf, reach)
    return _around(ratio, reach, se)


def neighbours(x: ArrayLike, z: ArrayLike, block: ArrayLike) -> list[Resemblance | None]:
    """How much blocks resemble the ones before them, at each look; None with fewer than 4 blocks.

    :func:`over_blocks` takes blocks for independent. Where a good quarter follows a good one it is too narrow, and so
    few blocks cannot disprove it. So `widening` is read at the upper quartile of what the blocks allow: a verdict
    that would not stand with an interval as much wider should not be called reliable.

    >>> found = neighbours(np.arange(8.0), np.ones(8), np.arange(8))
    >>> found[2], round(found[-1].widening, 1)
    (None, 7.1)
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    _, first, member = np.unique(np.asarray(block), return_index=True, return_inverse=True)
    in_time = np.argsort(np.argsort(first))[member]
    sums, weights = _over(x, z, in_time)
    found = []
    for by_block, size in zip(sums, weights, strict=True):
        met, total = size > 0, size.sum()
        residual = by_block - by_block.sum() / total * size
        found.append(resemblance(residual[met], size[met] / total, doubt=UPPER_QUARTILE))
    return found


# --- the sequences for bounded means --------------------------------------------------------------------


def _log_mixture(s: float, v: float, c: float, rho: float) -> float:
    """Log of the gamma-exponential mixture of exp(lambda s - v psi(lambda)), psi sub-exponential of scale c."""
    k, y = (v + rho) / c**2, (c * s + v + rho) / c**2
    k0 = rho / c**2
    top = (c * s + v) / c**2 - k * math.log(y) + special.gammaln(k) + math.log(special.gammainc(k, y))
    bottom = -k0 * math.log(k0) + special.gammaln(k0) + math.log(special.gammainc(k0, k0))
    return float(top - bottom)


def _crossing(v: float, c: float, rho: float, ceiling: float) -> float:
    """The sum at which the log mixture, which increases with it, reaches the ceiling."""

    def excess(s: float) -> float:
        return _log_mixture(s, v, c, rho) - ceiling

    top = 1.0
    while excess(top) < 0:
        top *= 2
    return float(optimize.brentq(excess, 0.0, top))


def _bounded(mean: ArrayLike, bound: float, level: float) -> Floats:
    d, _ = _checked(mean, np.ones(np.size(mean)), level)
    if (np.abs(d) > bound).any():
        raise ValueError(f"A mean difference of {np.abs(d).max():g} lies outside the bound of {bound:g}.")
    return d


def empirical_bernstein(
    mean: ArrayLike, *, bound: float = 1.0, level: float = 0.95, tuned_for: float = COHORTS.tuned_for
) -> _Band:
    """Confidence sequence of the running average of bounded cohort means; no limit theorem, any dependence.

    With c = 2 bound, D_n the average of the n means d_i, g_i the average of those before i (0 for the first)
    and V_n = sum (d_i - g_i)^2, the interval is D_n -+ u(V_n)/n, where u solves

    log integral exp(lambda u - V (-log(1 - c lambda) - c lambda)/c^2) dF(lambda) = log(2/alpha)

    and F is a truncated gamma law that makes the integral closed (gamma-exponential mixture). Each cohort
    counts alike here, so it answers for the average *week*, not the average deal.

    Parameters
    ----------
    mean : array of shape (cohorts,), in [-bound, bound]
    bound : float
        Of the absolute mean difference; 1 for the Brier score.
    tuned_for : float
        Cohorts at which it is narrowest if the means spread by about 0.05; fixed before the first look.

    Raises
    ------
    ValueError
        If a mean lies outside the bound, or the level outside [0.5, 1).

    References
    ----------
    Choe & Ramdas (2024), Comparing sequential forecasters, Operations Research 72(4), 1368-1387, Theorem 2.
    Howard, Ramdas, McAuliffe & Sekhon (2021), Annals of Statistics 49(2), 1055-1080, Theorem 4 and
    Proposition 9 (the mixture).

    Examples
    --------
    >>> band = empirical_bernstein([0.0] * 52)
    >>> bool(0.1 < band.high[-1] < 0.3), bool(band.high[-1] < band.high[0])
    (True, True)
    """
    d = _bounded(mean, bound, level)
    c, n = 2 * bound, np.arange(1, d.size + 1)
    average = np.cumsum(d) / n
    before = np.concatenate([[0.0], average[:-1]])
    v = np.cumsum(np.square(d - before))
    rho = tuned_for * _GUESSED_SPREAD**2 / (tuned_for * _mixture_scale(tuned_for, level))
    ceiling = math.log(2 / (1 - level))
    reach = [_crossing(float(w), c, rho, ceiling) for w in v]
    return _around(average, np.asarray(reach), 1 / n)


def _betting_end(above: Floats, ceiling: float, top: float) -> float:
    """The mean above which betting on a larger one has not reached the ceiling; `above` counts from the bound."""

    def excess(mean: float) -> float:
        wealth = np.log1p(_STAKES[:, None] * (above / mean - 1)).sum(axis=1)
        return float(np.logaddexp.reduce(wealth) - math.log(_STAKES.size) - ceiling)

    least = 1e-9 * top
    return float(optimize.brentq(excess, least, top, xtol=1e-12 * top)) if excess(least) > 0 else 0.0


def betting(mean: ArrayLike, *, bound: float = 1.0, level: float = 0.95) -> _Band:
    """Confidence sequence of a constant mean of bounded cohort means, by betting against every other mean.

    Who doubts the mean m bets a share f of the capital on larger values in each cohort: K_n(m) = average over f of
    prod (1 - f + f (d_i + b) / (m + b)), b the bound; twelve fixed shares from 0.02 to 0.99. If E[d_i | earlier] = m in
    every cohort, the game is fair, so K_n(m) ever reaches 2/alpha with probability alpha/2 at most. It falls with m, so
    the lower end is where K_n(m) = 2/alpha; the upper end is that of the bets on smaller values. The running
    average always lies inside, and the order of cohorts does not matter.

    Assumes that the expected difference is the same in every cohort, given all earlier ones. Where it drifts, a lower end
    above 0 still says, with the same certainty, that it was above 0 in some cohort, but not that its average is.

    Parameters
    ----------
    mean : array of shape (cohorts,), in [-bound, bound]
    bound : float
        Of the absolute mean difference; 1 for the Brier score.
    level : float
        Of all looks together.

    Returns
    -------
    _Band

    Raises
    ------
    ValueError
        If a mean lies outside the bound, or the level outside [0.5, 1).

    References
    ----------
    Waudby-Smith & Ramdas (2024), Estimating means of bounded random variables by betting, Journal of the Royal
    Statistical Society B 86(1), 1-27: the hedged grid-Kelly sequence, here with a geometric grid.

    Examples
    --------
    >>> bet, strict = betting([0.1, -0.1] * 26), empirical_bernstein([0.1, -0.1] * 26)
    >>> round(float(bet.high[-1]), 3), bool(bet.high[-1] < 0.6 * strict.high[-1])
    (0.113, True)
    """
    d = _bounded(mean, bound, level)
    n, ceiling = np.arange(1, d.size + 1), math.log(2 / (1 - level))
    low = [_betting_end(bound + d[:k], ceiling, 2 * bound) - bound for k in n]
    high = [bound - _betting_end(bound - d[:k], ceiling, 2 * bound) for k in n]
    return _Band(np.cumsum(d) / n, np.asarray(low), np.asarray(high))
