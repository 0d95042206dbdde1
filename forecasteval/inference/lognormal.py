"""An interval for a number of a population that is known by a few of its values, if their logs are normal."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats

_EVEN = (np.arange(32) + 0.5) / 32


def lognormal_interval(
    values: ArrayLike, number: Callable[[Floats], Floats], level: float = 0.95
) -> tuple[float, float]:
    """Interval for a number of a lognormal population, such as a mean of what is made of its values.

    The number of a population whose logs have the mean M and the standard deviation S, where these are what they may be by
    the n values, with logs of mean m and standard deviation s: S = s sqrt((n - 1) / U), M = m + S Z / sqrt(n), U chi-squared
    with n - 1 degrees of freedom and Z standard normal. The ends are its quantiles over U and Z (generalized confidence
    interval). U, Z and the population each stand at 32 even quantiles, so nothing is drawn. What few values happen not to
    hold is allowed for by how far they spread.

    Parameters
    ----------
    values : array of shape (n,)
        At least two, above 0.
    number : callable
        Takes populations in the last axis of an array and gives the number of each.
    level : float

    Returns
    -------
    low, high

    References
    ----------
    Weerahandi (1993), JASA 88(423), 899-905; of a lognormal mean Krishnamoorthy & Mathew (2003), Journal of Statistical
    Planning and Inference 115(1), 103-121.

    Examples
    --------
    Of the median nearly Student's interval of the logs, (0.805, 1.237); of the mean it reaches further up:

    >>> few = [0.8, 0.9, 1.0, 1.1, 1.25]
    >>> [round(v, 3) for v in lognormal_interval(few, lambda p: np.median(p, axis=-1))]
    [0.811, 1.229]
    >>> [round(v, 3) for v in lognormal_interval(few, lambda p: p.mean(axis=-1))]
    [0.847, 1.299]
    """
    from scipy.special import chdtri, ndtri

    logs = np.log(np.asarray(values, dtype=float))
    n = logs.size
    sd = logs.std(ddof=1) * np.sqrt((n - 1) / chdtri(n - 1, _EVEN))[:, None]
    mean = logs.mean() + sd * ndtri(_EVEN) / math.sqrt(n)
    population = np.exp(mean[..., None] + sd[..., None] * ndtri(_EVEN))
    low, high = np.quantile(number(population), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
