"""Does a cluster's size go together with what is measured in it? Then a mean over rows and one over clusters differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread, cr3j
from forecasteval.scores.probability import Floats

_INFORMATIVE_LEVEL = 0.05  # below it size and measure are said to go together
_FEWEST = 5  # clusters


@dataclass(frozen=True, slots=True)
class _PerCluster:
    """The unweighted mean over clusters, and the test of whether it differs from that over rows for a reason.

    ``mean`` is for new clusters; ``slope`` is the change of a cluster's ratio when its size doubles, and ``p_value``
    that of no slope (NaN where all clusters are of one size).
    """

    mean: Estimate
    clusters: int
    slope: float
    p_value: float

    @property
    def informative(self) -> bool:
        """Do size and measure go together?"""
        return self.p_value < _INFORMATIVE_LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        names = {
            "difference": "value",
            "low": "low",
            "high": "high",
            "se": "se",
            "df": "df",
            "p_value": "p_value",
        }
        found = {k: getattr(self.mean, v) for k, v in names.items()}
        return found | {"clusters": self.clusters, "slope": self.slope, "p_value_informative": self.p_value}


def per_cluster(x: ArrayLike, z: ArrayLike, level: float = 0.95) -> _PerCluster | None:
    """The mean of the clusters' own ratios, each counted once, and whether size and ratio go together.

    M = sum_g r_g / G,  r_g = x_g / z_g; the interval by leaving out one cluster at a time, t with G - 1. A ratio of sums
    weighs each r_g by z_g instead; the two have one expectation only where size tells nothing of r_g.

    The test: least squares of r_g on log2 z_g with weights z_g / (z_g + m), m the median size, which is what a cluster's
    ratio holds where its own effect and the chance of m rows are alike; the standard error leaves out one cluster at a
    time; t with G - 2. A slope is what makes the two means differ, and it is told better than their difference, which
    rests on the few largest clusters: of the tests that were tried (the jackknife of the difference, slopes on the
    size, its root, its logarithm and its rank, the rank correlation) this one held its level and had the most power.
    Simulated reps with lognormal sizes (sd of the log .8) and 50 deals on average; the baseline's bias in log-odds grows
    by 0, .4 or .8 for each sd of log size, beside effects with sd .5. Share of 2,000 runs with p below .05 (Monte Carlo
    error .005 without a slope, .011 at most):

    | reps | 0: normal effects, exponential ones, these with sd of log size 1.2 | .4 | .8 |
    |---|---|---|---|
    | 6 | .042, .035, .027 | .08 | .12 |
    | 20 | .040, .037, .033 | .25 | .54 |
    | 60 | .046, .045, .044 | .74 | .97 |

    With few reps it can hardly find anything: silence does not say that size tells nothing.

    Parameters
    ----------
    x, z : arrays of shape (clusters,)
        Numerator and denominator summed within each cluster; clusters with z = 0 are left out.
    level : float
        Of the interval.

    Returns
    -------
    _PerCluster, or None with fewer than 5 clusters, or sums that are not finite

    References
    ----------
    Williamson, Datta & Satten (2003), Biometrics 59(1), 36-42; Seaman, Pavlou & Copas (2014), Statistics in Medicine
    33(30), 5371-5387, on what either mean answers.

    Examples
    --------
    >>> sizes = np.array([10.0, 20, 40, 80, 160, 320])
    >>> found = per_cluster(sizes * [-0.031, -0.018, -0.012, 0.001, 0.008, 0.022], sizes)
    >>> round(found.mean.value, 3), round(found.slope, 3), found.informative
    (-0.005, 0.01, True)
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    x, z = x[z > 0], z[z > 0]
    n = x.size
    if n < _FEWEST or not np.isfinite(x).all():
        return None
    ratio = x / z
    mean = float(ratio.mean())
    se = cr3j(mean, (ratio.sum() - ratio) / (n - 1))
    slope, p_value = _slope(np.log2(z), ratio, z / (z + np.median(z)))
    return _PerCluster(interval(mean, Spread(se, n - 1.0, "rep"), level), n, slope, p_value)


def _slope(size: Floats, ratio: Floats, weight: Floats) -> tuple[float, float]:
    """Weighted slope and the p-value of none, by leaving out one point at a time; NaN where sizes do not vary."""
    share = weight / weight.sum()
    off = size - share @ size
    square = float(weight @ (off * off))
    leverage = share + weight * off * off / square if square > 1e-12 * weight.sum() else np.ones_like(share)
    if leverage.max() > 1 - 1e-9:  # without one cluster there is no slope
        return math.nan, math.nan
    slope = float((weight * off) @ ratio) / square
    rest = ratio - share @ ratio - slope * off
    moved = weight * off * rest / (1 - leverage) / square
    n = ratio.size
    se = cr3j(slope, slope - moved)
    return slope, interval(slope, Spread(se, n - 2.0, "slope")).p_value
