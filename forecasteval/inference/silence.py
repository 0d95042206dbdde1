"""Do the deals on which somebody is silent differ from the others?"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasteval.inference.grouping import Codes
from forecasteval.inference.jackknife import clusters, cr3j
from forecasteval.scores.probability import Floats

SILENCE_LEVEL = 0.01  # several such tests stand beside each other, and each may take a verdict away


@dataclass(frozen=True)
class Silence:
    """A mean over the silent rows and over the others, and the p-value of their difference (NaN: cannot be told)."""

    silent: float
    spoken: float
    p_value: float


def silence(silent: NDArray[np.bool_], values: Floats, groupings: Iterable[Codes]) -> Silence:
    """Compare the mean of something over silent rows with that over the others, knowing of clusters.

    The difference of the two means, with the standard error of leaving out one cluster at a time; t with the smaller
    of the effective numbers of clusters that hold the silent and the other rows, less 1. Of several ways of clustering
    the largest p-value counts: deals of one rep, or of one period, are alike anyway. Where one cluster holds all silent
    rows, its silence cannot be told from what it is otherwise, and there is no p-value: the weakness of the test.

    Parameters
    ----------
    groupings : for each way of clustering the cluster of each row

    Examples
    --------
    >>> won = np.repeat([1.0, 0.0], 100)
    >>> s = silence(np.arange(200) % 5 < won + 1, won, [np.arange(200), np.arange(200) % 7])
    >>> round(s.silent, 3), round(s.spoken, 3), s.p_value < 0.01
    (0.667, 0.429, True)
    """
    from scipy.special import stdtr

    means, p_value = _means(silent, values), 0.0
    for codes in groupings:
        used = np.unique(codes, return_inverse=True)[1]
        sums = [
            (np.bincount(used, weights=mask * values), np.bincount(used, weights=mask))
            for mask in (silent.astype(float), (~silent).astype(float))
        ]
        if any(n.max(initial=0.0) >= n.sum() for _, n in sums):
            return Silence(*means, math.nan)
        without = [(x.sum() - x) / (n.sum() - n) for x, n in sums]
        gap = means[0] - means[1]
        se = cr3j(gap, without[0] - without[1])
        df = min(clusters(n / n.sum()).effective for _, n in sums) - 1
        p_value = max(p_value, 2 * float(stdtr(df, -abs(gap) / se)) if se > 0 else float(gap == 0))
    return Silence(*means, p_value)


def _means(silent: NDArray[np.bool_], values: Floats) -> tuple[float, float]:
    """Mean over the silent rows and over the others; NaN where there are none."""
    return tuple(float(values[m].mean()) if m.any() else math.nan for m in (silent, ~silent))  # type: ignore[return-value]
