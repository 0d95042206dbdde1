"""Do the deals on which somebody is silent differ from the others?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasteval.inference.grouping import Codes, added
from forecasteval.inference.jackknife import clusters
from forecasteval.scores.probability import Floats

SILENCE_LEVEL = 0.01  # several such tests stand beside each other, and each may take a verdict away


@dataclass(frozen=True)
class Silence:
    """A mean over the silent rows and over the others, and the p-value of their difference (NaN: cannot be told)."""

    silent: float
    spoken: float
    p_value: float


@dataclass(frozen=True)
class Left:
    """A gap between two means without each cluster in turn: how many there are, the sum of squared changes, and the
    smaller of the effective numbers of those that hold the silent and the other rows; ``whole`` where one holds all."""

    clusters: int
    square: float
    effective: float
    whole: bool = False


def judged(silent: float, spoken: float, left: Iterable[Left]) -> Silence:
    """The p-value of a gap between two means: the largest of several ways of clustering."""
    from scipy.special import stdtr

    gap, p_value = silent - spoken, 0.0
    for each in left:
        if each.whole:
            return Silence(silent, spoken, math.nan)
        se = math.sqrt((each.clusters - 1) / each.clusters * each.square)
        p = 2 * float(stdtr(each.effective - 1, -abs(gap) / se)) if se > 0 else float(gap == 0)
        p_value = max(p_value, p)
    return Silence(silent, spoken, p_value)


def silence(silent: NDArray[np.bool_], values: Floats, groupings: Iterable[Codes]) -> Silence:
    """Compare the mean of something over silent rows with that over the others, knowing of clusters.

    The difference of the two means, with the standard error of leaving out one cluster at a time; t with the smaller
    of the effective numbers of clusters that hold the silent and the other rows, less 1. Of several ways of clustering
    the largest p-value counts: deals of one rep, or of one period, are alike anyway. Where one cluster holds all silent
    rows, its silence cannot be told from what it is otherwise, and there is no p-value: the weakness of the test.

    >>> won = np.repeat([1.0, 0.0], 100)
    >>> s = silence(np.arange(200) % 5 < won + 1, won, [np.arange(200), np.arange(200) % 7])
    >>> round(s.silent, 3), round(s.spoken, 3), s.p_value < 0.01
    (0.667, 0.429, True)
    """
    means = _means(silent, values)
    left = []
    for codes in groupings:
        used = np.unique(codes, return_inverse=True)[1].astype(np.int32)
        sums = [
            (added(used, mask * values), added(used, mask))
            for mask in (silent.astype(float), (~silent).astype(float))
        ]
        left.append(left_by(sums))
    return judged(*means, left)


def left_by(sums: Sequence[tuple[Floats, Floats]]) -> Left:
    """The gap without each cluster, from the values' sums and the numbers of the silent and of the other rows by cluster."""
    if any(n.max(initial=0.0) >= n.sum() for _, n in sums):
        return Left(0, 0.0, 0.0, whole=True)
    gap = [x.sum() / n.sum() for x, n in sums]
    without = [(x.sum() - x) / (n.sum() - n) for x, n in sums]
    square = float(np.square(without[0] - without[1] - (gap[0] - gap[1])).sum())
    return Left(sums[0][0].size, square, min(clusters(n / n.sum()).effective for _, n in sums))


def _means(silent: NDArray[np.bool_], values: Floats) -> tuple[float, float]:
    """Mean over the silent rows and over the others; NaN where there are none."""
    return tuple(float(values[m].mean()) if m.any() else math.nan for m in (silent, ~silent))  # type: ignore[return-value]
