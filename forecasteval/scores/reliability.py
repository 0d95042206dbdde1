"""Can the probabilities be taken at their word? Reliability curve, its decomposition, calibration in the large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats, brier


@dataclass(frozen=True, eq=False)
class Reliability:
    """A CORP reliability curve and the decomposition of the Brier score that goes with it.

    Attributes
    ----------
    probability : array of shape (values,)
        The distinct probabilities, ascending.
    deals, won : arrays of shape (values,)
        Deals at each, and how many of them were won.
    recalibrated : array of shape (values,)
        Share that is won at each, by isotonic regression: what the forecast should have said.
    score, miscalibration, discrimination, uncertainty : float
        score = miscalibration - discrimination + uncertainty.
    """

    probability: Floats
    deals: Floats
    won: Floats
    recalibrated: Floats
    score: float
    miscalibration: float
    discrimination: float
    uncertainty: float

    def bins(self) -> list[tuple[float, float, int]]:
        """The curve's steps: mean probability, share won and number of deals of each.

        Examples
        --------
        >>> reliability([0.2, 0.2, 0.8], [0, 0, 1]).bins()
        [(0.2, 0.0, 2), (0.8, 1.0, 1)]
        """
        steps = []
        for level in np.unique(self.recalibrated):
            at = self.recalibrated == level
            n = self.deals[at].sum()
            steps.append((float((self.probability[at] * self.deals[at]).sum() / n), float(level), int(n)))
        return steps


def reliability(probability: ArrayLike, won: ArrayLike) -> Reliability:
    """Reliability curve by isotonic regression, and the CORP decomposition of the Brier score.

    S = MCB - DSC + UNC, with S the Brier score, S_c that of the recalibrated and S_r that of the constant
    forecast: MCB = S - S_c, DSC = S_r - S_c, UNC = S_r. Equal probabilities are pooled first, so the order
    of tied deals cannot matter. MCB is above 0 even for a perfect forecast: about .03 at 50 deals, .005 at 1,000.

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    won : array of shape (deals,), 0 or 1

    Raises
    ------
    ValueError
        As for :func:`forecasteval.scores.brier`, and without any deal.

    References
    ----------
    Dimitriadis, Gneiting & Jordan (2021), PNAS 118(8), e2016191118.

    Examples
    --------
    >>> r = reliability([0.1, 0.4, 0.4, 0.9], [0, 1, 0, 1])
    >>> r.recalibrated.tolist(), round(r.miscalibration - r.discrimination + r.uncertainty - r.score, 12)
    ([0.0, 0.5, 1.0], 0.0)
    """
    p, y = np.asarray(probability, dtype=float), np.asarray(won, dtype=float)
    brier(p, y)  # refuses what is no probability
    values, at = np.unique(p, return_inverse=True)
    return reliability_of_counts(values, np.bincount(at), np.bincount(at, weights=y))


def reliability_of_counts(probability: ArrayLike, deals: ArrayLike, won: ArrayLike) -> Reliability:
    """The reliability curve of deals that are counted already: by an engine, or by the query for `curve`.

    Parameters
    ----------
    probability : array of shape (values,), in [0, 1]
        In any order; a value may stand there several times.
    deals, won : arrays of shape (values,)
        Deals at each, and how many of them were won.

    Raises
    ------
    ValueError
        Without any deal.

    References
    ----------
    As for :func:`reliability`.

    Examples
    --------
    >>> reliability_of_counts([0.8, 0.2], [1, 2], [1, 0]).bins()
    [(0.2, 0.0, 2), (0.8, 1.0, 1)]
    """
    from scipy.optimize import isotonic_regression

    values, at = np.unique(np.asarray(probability, dtype=float), return_inverse=True)
    counted = (np.bincount(at, weights=np.asarray(c, dtype=float)) for c in (deals, won))
    n, k = (np.asarray(c, dtype=np.float64) for c in counted)
    total = float(n.sum())
    if not total:
        raise ValueError("A reliability curve needs at least one deal.")

    def score(said: Floats) -> float:
        return float((k * np.square(1 - said) + (n - k) * np.square(said)).sum()) / total

    fitted = isotonic_regression(k / n, weights=n).x
    rate = float(k.sum()) / total
    mine, recalibrated, constant = score(values), score(fitted), rate * (1 - rate)
    return Reliability(values, n, k, fitted, mine, mine - recalibrated, constant - recalibrated, constant)


def consistency_band(
    probability: ArrayLike, *, level: float = 0.9, draws: int = 200, points: int = 41, seed: int = 0
) -> tuple[Floats, Floats, Floats]:
    """Where the reliability curve of a perfectly calibrated forecast would lie by chance alone.

    Outcomes are drawn from the probabilities themselves, deal by deal and independently, and the isotonic
    curve is fitted to each draw.

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    points : int
        Points of the grid over the range of the probabilities.

    Returns
    -------
    grid, low, high : arrays of shape (points,)

    References
    ----------
    Dimitriadis, Gneiting & Jordan (2021), PNAS 118(8), e2016191118, consistency bands.

    Examples
    --------
    >>> grid, low, high = consistency_band(np.repeat([0.2, 0.5, 0.8], 200))
    >>> bool(((low <= grid) & (grid <= high))[[0, 20, 40]].all())
    True
    """
    from scipy.optimize import isotonic_regression

    values, deals = np.unique(np.asarray(probability, dtype=float), return_counts=True)
    grid = np.linspace(values[0], values[-1], points)
    rng = np.random.default_rng(seed)
    curves = np.empty((draws, points))
    for i in range(draws):
        wins = rng.binomial(deals, values)
        curves[i] = np.interp(grid, values, isotonic_regression(wins / deals, weights=deals).x)
    low, high = np.quantile(curves, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return grid, low, high


def at_their_word(curve: Reliability, *, least: int = 30) -> tuple[float, float, int] | None:
    """The step of the curve that strays furthest from what was said, weighted by its deals.

    Parameters
    ----------
    least : int
        Steps with fewer deals are passed over.

    Returns
    -------
    (mean probability, share won, deals), or None where every step is smaller

    Examples
    --------
    >>> at_their_word(reliability([0.2] * 40 + [0.8] * 40, [0] * 36 + [1] * 4 + [1] * 20 + [0] * 20))
    (0.8, 0.5, 40)
    """
    steps = [s for s in curve.bins() if s[2] >= least]
    return max(steps, key=lambda s: abs(s[0] - s[1]) * s[2] ** 0.5, default=None)
