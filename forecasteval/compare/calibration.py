"""Is a forecast calibrated? In the large, by intercept and slope, and as a whole; reps count as clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasteval.inference.estimate import Estimate, Reason, against, reason
from forecasteval.inference.grouping import Codes, Grouping
from forecasteval.inference.jackknife import clusters
from forecasteval.inference.limits import EVENTS_FOR_A_FIT, MIN_CLUSTERS, doubts, few_events, too_few
from forecasteval.inference.logistic import EPSILON, NotEstimable, fit, logit
from forecasteval.inference.statistic import mean_over_clusters
from forecasteval.scores.probability import Floats, brier
from forecasteval.scores.reliability import reliability

NO_REPS = "The table knows no reps, so deals count as independent of each other."


@dataclass(frozen=True)
class Calibration:
    """How far a forecast can be taken at its word.

    Attributes
    ----------
    gap : Estimate or None
        Mean probability minus share won; above 0: too optimistic.
    in_the_large : Estimate or None
        Shift of the log-odds that would make the mean right, slope fixed at 1. Below 0: too optimistic.
        Not the intercept of the fit with a free slope.
    intercept, slope : Estimate or None
        log-odds of winning = intercept + slope x log-odds that were said. Slope below 1: too sure of itself.
    likelihood_ratio : (chi2, p) of intercept 0 and slope 1 together, deals taken as independent; or None
    spiegelhalter : (z, p) of the Brier score being what the forecast itself expects, deals independent
    moved : int
        Probabilities that were moved into [epsilon, 1 - epsilon] for their log-odds.
    deals, reps : int
        Units and clusters.
    reasons : tuple of {code, text}
        Why something is missing or not to be believed.
    """

    gap: Estimate | None
    in_the_large: Estimate | None
    intercept: Estimate | None
    slope: Estimate | None
    likelihood_ratio: tuple[float, float] | None
    spiegelhalter: tuple[float, float]
    moved: int
    epsilon: float
    deals: int
    reps: int
    reasons: tuple[Reason, ...]

    @property
    def reliable(self) -> bool:
        """Does nothing speak against believing the intervals?"""
        return not against(self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {k: v.to_dict() if isinstance(v, Estimate) else v for k, v in values.items()}


def _spiegelhalter(
    probability: ArrayLike, won: ArrayLike, groups: Grouping | None = None
) -> tuple[float, float]:
    """Does the Brier score differ from what the forecast itself expects? Deals are taken as independent.

    z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)); two-sided p from the normal distribution. The looks at
    one deal end alike, so their roots are added before they are squared.

    Spiegelhalter (1986), Statistics in Medicine 5(5), 421-433.

    >>> z, p = _spiegelhalter([0.2, 0.2, 0.7], [0, 1, 1])
    >>> round(z, 4), round(p, 4)
    (0.6222, 0.5338)
    """
    brier(probability, won)  # refuses what is not a forecast
    p, y = np.asarray(probability, dtype=float), np.asarray(won, dtype=float)
    root = (1 - 2 * p) * np.sqrt(p * (1 - p))
    variance = float(np.square(root if groups is None else groups.unit_sums(root)).sum())
    if not variance > 0:
        return math.nan, math.nan
    z = float(((y - p) * (1 - 2 * p)).sum() / math.sqrt(variance))
    return z, math.erfc(abs(z) / math.sqrt(2))


def codes(cluster: ArrayLike | None, rows: int) -> NDArray[np.intp]:
    """Clusters numbered from 0; every row its own where there are none.

    >>> codes(["b", "a", "b"], 3).tolist(), codes(None, 2).tolist()
    ([1, 0, 1], [0, 1])
    """
    if cluster is None:
        return np.arange(rows)
    return np.unique(np.asarray(cluster).astype(str), return_inverse=True)[1].astype(np.intp)


def _gap(off: Floats, groups: Grouping, level: float) -> Estimate:
    """Mean of p - y with its interval over clusters."""
    mean = float(off.mean())
    sums, size = (groups.by("rep", groups.sums(values)) for values in (off, None))
    return mean_over_clusters(mean, sums, size, level)


def doubts_of_fit(won: Floats, cluster: NDArray[np.intp], unit: Codes | None = None) -> list[Reason]:
    """What speaks against a fit with intervals over these reps: the limits of a comparison, and more events."""
    deal = np.arange(won.size) if unit is None else unit
    wins, other = (int(np.unique(deal[won == outcome]).size) for outcome in (1, 0))
    found = few_events(wins, other, EVENTS_FOR_A_FIT)
    shares = clusters(np.bincount(cluster) / cluster.size)
    return found + doubts({"rep": shares}, {"rep": "reps"}, weight="deals")[1]


def _fits(
    found: dict[str, Estimate],
    said: Floats,
    y: Floats,
    g: NDArray[np.intp],
    level: float,
    looks: float,
) -> tuple[float, float]:
    """Put the coefficients into what was found so far; the likelihood ratio of intercept 0 and slope 1, with its p."""
    one = np.ones((y.size, 1))
    found["in_the_large"] = fit(one, y, g, offset=said).estimate(0, level=level)
    free = fit(np.column_stack([one, said]), y, g)
    found["intercept"] = free.estimate(0, level=level)
    found["slope"] = free.estimate(1, null=1.0, level=level)
    exact = -np.logaddexp(0.0, np.where(y == 1, -said, said)).sum()
    chi2 = max(2 * (free.log_likelihood - float(exact)) / looks, 0.0)  # looks at one deal say the same again
    return chi2, math.exp(-chi2 / 2)  # two degrees of freedom


def calibrate(
    probability: ArrayLike,
    won: ArrayLike,
    rep: ArrayLike | None = None,
    *,
    deal: ArrayLike | None = None,
    level: float = 0.95,
    epsilon: float = EPSILON,
) -> Calibration:
    """Calibration in the large, intercept and slope, with intervals for new reps.

    In the large: log-odds(won) = a + log-odds(p). Free: log-odds(won) = a + b log-odds(p). Intervals by
    leaving out one rep at a time (CR3J), as in a comparison.

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    won : array of shape (deals,), 0 or 1
    rep : array of shape (deals,), optional
        Without it deals count as independent, which `reasons` says.
    deal : array of shape (deals,), optional
        The id of each deal, where deals are seen several times: all looks enter the estimates, but what varies is
        counted over deals.
    epsilon : float
        Probabilities closer to 0 or 1 than this are moved there; how many is in the result.

    Raises
    ------
    ValueError
        As for :func:`forecasteval.scores.brier`.

    References
    ----------
    Cox (1958), Biometrika 45(3/4), 562-565; Van Calster et al. (2016), Journal of Clinical Epidemiology 74,
    167-176 (in the large is not the free intercept).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.05, 0.95, 2000)
    >>> c = calibrate(p, rng.random(2000) < p, np.arange(2000) % 20)
    >>> c.slope.low < 1 < c.slope.high, c.in_the_large.low < 0 < c.in_the_large.high
    (True, True)
    """
    brier(probability, won)
    y = np.asarray(won, dtype=float)
    said, moved = logit(probability, epsilon=epsilon)
    unit = None if deal is None else codes(deal, y.size).astype(np.int32)
    g = codes(deal if rep is None else rep, y.size)
    reps = int(g.max(initial=-1)) + 1
    groups = Grouping.of(g.astype(np.int32), None, None, unit, y.size)
    deals = y.size if unit is None else int(unit.max(initial=-1)) + 1
    found: dict[str, Estimate] = {}
    ratio: tuple[float, float] | None = None
    reasons: list[Reason] = []
    if rep is None:
        reasons.append(reason("no_reps", NO_REPS))
    if moved:
        text = f"{moved:,} of {y.size:,} probabilities lie within {epsilon:g} of 0 or 1 and are read as {epsilon:g} or {1 - epsilon:g}."
        reasons.append(reason("moved_from_the_edge", text))
    if missing := too_few(reps, "rep", "reps"):
        reasons += missing
    else:
        found["gap"] = _gap(np.asarray(probability, dtype=float) - y, groups, level)
        try:
            ratio = _fits(found, said, y, g, level, y.size / deals)
        except NotEstimable as refused:
            reasons.append(reason(refused.code, str(refused)))
        reasons += doubts_of_fit(y, g, unit) if y.min() != y.max() else []
    gap, in_the_large, intercept, slope = map(found.get, ("gap", "in_the_large", "intercept", "slope"))
    z = _spiegelhalter(probability, won, groups)
    return Calibration(
        gap, in_the_large, intercept, slope, ratio, z, moved, epsilon, deals, reps, tuple(reasons)
    )


@dataclass(frozen=True)
class WordTest:
    """Is the miscalibration more than chance makes of a calibrated forecast?

    ``expected`` is the mean of `miscalibration` over the draws: what a calibrated forecast would show too;
    ``resemblance`` is how alike the deals of one rep are (correlation of the normal variable behind the
    outcome). ``p_value`` is None where `reason` says why.
    """

    miscalibration: float
    expected: float
    resemblance: float
    p_value: float | None
    draws: int
    reason: str = ""


def _resemblance(probability: ArrayLike, won: ArrayLike, cluster: ArrayLike) -> float:
    """How alike the outcomes of one cluster are, beyond what was said: correlation of the latent normals.

    With r the residuals of an isotonic recalibration and f the normal density at the quantile of what it
    says: rho = sum_g [(sum r)^2 - sum r^2] / sum_g [(sum f)^2 - sum f^2] x G/(G - 1), cut to [0, 0.9]; the
    covariance of two outcomes is rho f_i f_j to first order.

    >>> _resemblance([0.5] * 40, [1] * 10 + [0] * 10 + [1] * 10 + [0] * 10, np.repeat([0, 1, 2, 3], 10)) > 0.8
    True
    """
    from scipy.special import ndtri

    p, y, g = np.asarray(probability, dtype=float), np.asarray(won, dtype=float), np.asarray(cluster)
    curve = reliability(p, y)
    recalibrated = curve.recalibrated[np.searchsorted(curve.probability, p)]
    residual = y - recalibrated
    inside = np.clip(recalibrated, 1e-6, 1 - 1e-6)
    density = np.exp(-np.square(ndtri(inside)) / 2) / math.sqrt(2 * math.pi)

    def pairs(values: Floats) -> float:
        return float(
            (np.square(np.bincount(g, weights=values)) - np.bincount(g, weights=np.square(values))).sum()
        )

    below = pairs(density)
    n = int(g.max(initial=0)) + 1
    if not below > 0 or n < 2:
        return 0.0
    return float(np.clip(pairs(residual) / below * n / (n - 1), 0.0, 0.9))


def word_test(
    probability: ArrayLike,
    won: ArrayLike,
    rep: ArrayLike | None = None,
    *,
    draws: int = 499,
    seed: int = 0,
) -> WordTest:
    """Is the miscalibration (MCB) larger than that of a calibrated forecast for deals of the same reps?

    Outcomes are drawn from the probabilities themselves, with the deals of one rep as alike as they are in
    the data: y = 1 where sqrt(rho) u_rep + sqrt(1 - rho) e < Phi^-1(p), with u and e standard normal, so
    that every deal is still won with probability p. rho is drawn as rho (G - 1)/chi2 with G - 1 degrees of
    freedom around its estimate, for G reps do not tell it exactly. p = (1 + k) / (draws + 1), with k the draws whose MCB is
    at least the observed.

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    won : array of shape (deals,), 0 or 1
    rep : array of shape (deals,), optional
        Without it deals are drawn independently.

    Returns
    -------
    WordTest; without a p-value for fewer than 5 reps or one class of outcomes

    References
    ----------
    Dimitriadis, Gneiting & Jordan (2021), PNAS 118(8), e2016191118, for MCB; Phipson & Smyth (2010), SAGMB
    9(1), 39, for p = (1 + k)/(B + 1). Emrich & Piedmonte (1991), The American Statistician 45(4), 302-304,
    for drawing correlated outcomes with given means.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(0.05, 0.95, 600)
    >>> calibrated = word_test(p, rng.random(600) < p, np.arange(600) % 12, draws=99)
    >>> off = word_test(p**3, rng.random(600) < p, np.arange(600) % 12, draws=99)
    >>> calibrated.p_value > 0.05, off.p_value
    (True, 0.01)
    """
    from scipy.optimize import isotonic_regression
    from scipy.special import ndtr, ndtri

    p, y = np.asarray(probability, dtype=float), np.asarray(won, dtype=float)
    observed = reliability(p, y).miscalibration
    g = codes(rep, y.size)
    reps = int(g.max()) + 1

    def none(why: str) -> WordTest:
        return WordTest(observed, math.nan, math.nan, None, 0, why)

    if y.min() == y.max():
        return none("All deals ended alike, so nothing tells what was said from what happened.")
    least = MIN_CLUSTERS["rep"]
    if rep is not None and reps < least:
        return none(f"{reps} reps: at least {least} are needed to know how alike the deals of one rep are.")
    rho = 0.0 if rep is None else _resemblance(p, y, g)
    # deals of one rep with the same probability are drawn as one count
    values, at = np.unique(p, return_inverse=True)
    cells, size = np.unique(g * values.size + at, return_counts=True)
    of_rep, of_value = cells // values.size, cells % values.size
    deals = np.bincount(of_value, weights=size)
    threshold = ndtri(values)[of_value]
    rng = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        # few reps say little about how alike their deals are: that is drawn too
        alike = min(rho * (reps - 1) / rng.chisquare(reps - 1), 0.9) if rho else 0.0
        shared = math.sqrt(alike) * rng.standard_normal(reps)[of_rep]
        chance = ndtr((threshold - shared) / math.sqrt(1 - alike))
        wins = np.bincount(of_value, weights=rng.binomial(size, chance))
        happened = wins / deals
        curve = isotonic_regression(happened, weights=deals).x
        # the spread within equal probabilities is the same before and after recalibration
        drawn[i] = (deals * (np.square(values - happened) - np.square(curve - happened))).sum() / p.size
    k = int((drawn >= observed * (1 - 1e-12)).sum())
    return WordTest(observed, float(drawn.mean()), rho, (1 + k) / (1 + draws), draws)
