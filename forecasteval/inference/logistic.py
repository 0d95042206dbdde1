"""Logistic regression of the outcome, with standard errors that know of clusters of deals.

What calibration and encompassing share: the fit is statsmodels'; the spread comes from leaving out one
cluster at a time, by one Newton step from the full fit, in closed form.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread
from forecasteval.scores.probability import Floats

EPSILON = 0.001  # probabilities are moved into [EPSILON, 1 - EPSILON] before their log-odds are taken
TOO_ALIKE = 0.98  # correlation of two regressors beyond which their coefficients mean nothing
_ENDLESS = 50.0  # standard error per standard deviation of a regressor: the likelihood has no maximum


class NotEstimable(ValueError):
    """The data cannot give this estimate; `code` is for programs, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        """Keep the code beside the text."""
        super().__init__(text)
        self.code = code


def logit(probability: ArrayLike, *, epsilon: float = EPSILON) -> tuple[Floats, int]:
    """Log-odds of probabilities, and how many were moved because they lay within `epsilon` of 0 or 1.

    log(p / (1 - p)), after p is moved into [epsilon, 1 - epsilon]: at 0 and 1 the log-odds are infinite.

    >>> values, moved = logit([0.5, 1.0])
    >>> values.round(3).tolist(), moved
    ([0.0, 6.907], 1)
    """
    p = np.asarray(probability, dtype=float)
    wrong = ~((p >= 0) & (p <= 1))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{int(wrong.sum())} probabilities are missing or outside [0, 1]; the first is {p[first]:g} at "
            f"position {first}."
        )
    moved = (p < epsilon) | (p > 1 - epsilon)
    p = np.clip(p, epsilon, 1 - epsilon)
    return np.log(p) - np.log1p(-p), int(moved.sum())


@dataclass(frozen=True, eq=False)
class _Logistic:
    """A fitted logistic regression.

    Attributes
    ----------
    coefficients : array of shape (regressors,)
    independent : array of shape (regressors, regressors)
        Covariance if deals were independent of each other.
    cr0 : the same by summing scores within clusters, without correction; too small with few clusters
    jackknife : the same by leaving out one cluster at a time (CR3J, one Newton step)
    spreads : tuple of Spread, one for each regressor
        The jackknife's standard error with its Bell-McCaffrey degrees of freedom, ready for reps that differ.
    """

    coefficients: Floats
    independent: Floats
    cr0: Floats
    jackknife: Floats
    spreads: tuple[Spread, ...]
    clusters: int
    log_likelihood: float

    def estimate(self, at: int, *, null: float = 0.0, level: float = 0.95) -> Estimate:
        """One coefficient with its interval over clusters, tested against a value."""
        return interval(float(self.coefficients[at]), self.spreads[at], level, null=null)


def _estimable(design: Floats, won: Floats) -> None:
    """Refuse what has no unique finite maximum before it is fitted."""
    if won.size == 0 or won.min() == won.max():
        outcome = "Every deal was won" if won.size and won.min() == 1 else "No deal was won"
        raise NotEstimable("one_class", f"{outcome}, so nothing can be fitted.")
    varying = design[:, 1:]
    if varying.shape[1] == 0:
        return
    if (np.ptp(varying, axis=0) <= 1e-12 * np.abs(varying).max(axis=0, initial=1.0)).any():
        raise NotEstimable("constant", "A forecast that says the same of every deal has no slope.")
    for column in varying.T:
        _refuse_one_sided(column if column[won == 1].mean() > column[won == 0].mean() else -column, won)
    if (
        varying.shape[1] == 2
        and abs(r := float(np.corrcoef(varying[:, 0], varying[:, 1]).flat[1])) > TOO_ALIKE
    ):
        raise NotEstimable(
            "collinear",
            f"The two forecasts move together so closely (correlation {r:.3f} of their log-odds) that what one adds "
            "to the other cannot be told.",
        )


def _refuse_one_sided(said: Floats, won: Floats) -> None:
    """Refuse a regressor with only wins above a value and only losses below it: its best slope is infinite."""
    edge = float(said[won == 1].min())
    if said[won == 0].max() > edge:
        return
    above, below, at = said > edge, said < edge, said == edge
    if not at.any() or won[at].min() == won[at].max():
        return  # no value is mixed: told by the fit, as any other separation
    parts = [
        f"all {int(side.sum()):,} deals with a {word} one were {end}"
        for side, word, end in ((above, "higher", "won"), (below, "lower", "not won"))
        if side.any()
    ]
    raise NotEstimable(
        "separation",
        f"Only deals with one and the same forecast were partly won: {int(won[at].sum()):,} of {int(at.sum()):,}; "
        f"{' and '.join(parts)}. A curve through that can be as steep as one likes, so it has no slope. A yes or no is "
        "better judged by its score, its ranking, and how often each answer came true.",
    )


def fit(
    design: ArrayLike,
    won: ArrayLike,
    cluster: ArrayLike,
    *,
    offset: ArrayLike | None = None,
) -> _Logistic:
    """Logistic regression with a delete-one-cluster jackknife.

    With M = sum of x x' mu (1 - mu), M_g its part in cluster g and s_g the cluster's score at the fit:
    b_(g) - b = -(M - M_g)^-1 s_g and V = (G - 1)/G sum_g (b_(g) - b)(b_(g) - b)'. The degrees of freedom
    of a coefficient are tr(C)^2 / tr(C^2) with C_gh = a_g' ([g = h] M_g - M_g M^-1 M_h) a_h and
    a_g = (M - M_g)^-1 e: those of Bell & McCaffrey; for a mean, the ones of ``bell_mccaffrey_df``.

    Parameters
    ----------
    design : array of shape (deals, regressors); the first column is the intercept's ones
    won : array of shape (deals,), 0 or 1
    cluster : integer array of shape (deals,), in 0..clusters-1
    offset : array of shape (deals,), optional
        Added to the linear predictor with its coefficient fixed at 1.

    Raises
    ------
    NotEstimable
        For one class of outcomes, a regressor that does not vary, two that move together, separation, or
        one cluster that holds all there is to learn from.

    References
    ----------
    MacKinnon, Nielsen & Webb (2024), arXiv 2406.00650: the linearised jackknife for logistic models.
    Bell & McCaffrey (2002), Survey Methodology 28(2), 169-181.

    Examples
    --------
    >>> y = np.array([1, 0, 0, 1, 0, 1, 0, 0.0])
    >>> f = fit(np.ones((8, 1)), y, np.repeat([0, 1, 2, 3], 2))
    >>> round(float(f.coefficients[0]), 4), round(f.spreads[0].df, 6)
    (-0.5108, 3.0)
    """
    x, y = np.asarray(design, dtype=float), np.asarray(won, dtype=float)
    g = np.asarray(cluster, dtype=np.intp)
    b, mu, m, log_likelihood = _fitted(x, y, offset)
    weight = mu * (1 - mu)
    k, n = x.shape[1], int(g.max()) + 1
    own = np.empty((n, k, k))
    for i in range(k):
        for j in range(k):
            own[:, i, j] = np.bincount(g, weights=x[:, i] * x[:, j] * weight, minlength=n)
    score = np.column_stack([np.bincount(g, weights=x[:, i] * (y - mu), minlength=n) for i in range(k)])
    inverse: Floats = np.asarray(np.linalg.inv(m), dtype=float)
    left = m - own
    if n < 2 or (np.linalg.cond(left) > 1e10).any():
        raise NotEstimable(
            "one_cluster",
            "Only one rep (or, where no reps are named, one deal) has forecasts that differ in a way that could be "
            "fitted: without it nothing is left, so no range can be given. It takes differing forecasts from more of them.",
        )
    without: Floats = np.asarray(np.linalg.inv(left), dtype=float)
    moved = np.einsum("gij,gj->gi", without, score)
    jackknife: Floats = np.asarray((n - 1) / n * moved.T @ moved, dtype=float)
    spreads = [
        Spread(float(np.sqrt(jackknife[i, i])), _degrees(without[:, :, i], own, inverse), "cluster")
        for i in range(k)
    ]
    cr0 = inverse @ (score.T @ score) @ inverse
    return _Logistic(b, inverse, cr0, jackknife, tuple(spreads), n, log_likelihood)


def _fitted(x: Floats, y: Floats, offset: ArrayLike | None) -> tuple[Floats, Floats, Floats, float]:
    """Coefficients, fitted values, information and log-likelihood, where there is one finite maximum."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

    _estimable(x, y)
    with warnings.catch_warnings(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        for expected in (ConvergenceWarning, PerfectSeparationWarning, RuntimeWarning):
            warnings.simplefilter("ignore", expected)
        fitted = GLM(y, x, family=Binomial(), offset=offset).fit(tol=1e-12)
    b: Floats = np.asarray(fitted.params, dtype=float)
    mu: Floats = np.asarray(fitted.fittedvalues, dtype=float)
    weight = mu * (1 - mu)
    m = x.T @ (x * weight[:, None])
    scale = np.append(1.0, x[:, 1:].std(axis=0))
    with np.errstate(all="ignore"):
        reach = np.sqrt(np.abs(np.diag(np.linalg.pinv(m)))) * scale
    if not np.isfinite(b).all() or reach.max() > _ENDLESS or weight.max() < 1e-9:
        raise NotEstimable(
            "separation",
            "The forecasts divide won deals from the others without exception, so the best slope is infinite.",
        )
    return b, mu, m, float(fitted.llf)


def _degrees(a: Floats, own: Floats, inverse: Floats) -> float:
    """Bell-McCaffrey degrees of freedom of one coefficient."""
    reached = np.einsum("gij,gj->gi", own, a)
    c = -reached @ inverse @ reached.T
    c[np.diag_indices_from(c)] += np.einsum("gi,gi->g", a, reached)
    return float(np.trace(c) ** 2 / np.square(c).sum())
