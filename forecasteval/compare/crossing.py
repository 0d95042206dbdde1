"""Where a learning curve crosses the baseline, with its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import BASELINE, CANDIDATE


def crossing(comparisons: Mapping[int, Comparison]) -> int | None:
    """The smallest size from which on the candidate is better, sizes being tested from the largest down.

    A fixed sequence: the next smaller size is looked at only while every larger one is better. So the chance of any
    false "better" stays at that of a single interval, without a correction for the number of sizes. None where not even
    the largest is better. Maurer, Hothorn & Lehmacher (1995), Biometrie in der chemisch-pharmazeutischen Industrie 6,
    3-18; Westfall & Krishen (2001), Journal of Statistical Planning and Inference 99(1), 25-40.
    """
    return _run(comparisons, sorted(comparisons, reverse=True), CANDIDATE)


def _run(comparisons: Mapping[int, Comparison], sizes: Iterable[int], wanted: str) -> int | None:
    """The last size of the unbroken run of a verdict."""
    found = None
    for size in sizes:
        if comparisons[size].verdict != wanted:
            break
        found = size
    return found


@dataclass(frozen=True)
class Crossing:
    """The size at which a candidate that learns passes the baseline, with an interval.

    It lies above ``low``, up to which the baseline is better at every size, and not above ``high``, from which on the
    candidate is; None where that is shown at no size: the interval is open there. ``value`` is the best guess, None where
    the differences change sides nowhere between the sizes that were tried.

    Both ends come from a fixed sequence (:func:`crossing`; for ``low`` from the smallest size up). The upper end is wrong
    only if the largest size below the true crossing is falsely called better, the lower one only if the smallest size
    above it is falsely called worse: half of 1 - level each. The ends are sizes that were tried, so nothing is
    assumed of the curve between them but that it crosses once. Coverage where the crossing is known:
    tests/benchmarks/crossing_of_a_known_curve.py.
    """

    value: float | None
    low: int | None
    high: int | None

    @classmethod
    def of(cls, comparisons: Mapping[int, Comparison]) -> Crossing:
        """The crossing of comparisons by size; the guess joins the monotone differences on a logarithmic scale."""
        sizes = sorted(comparisons)
        low, high = _run(comparisons, sizes, BASELINE), crossing(comparisons)
        rows = [comparisons[n].primary for n in sizes]
        behind = np.array([r["difference"] for r in rows], dtype=float)
        if not rows or not np.isfinite(behind).all():
            return cls(None, low, high)
        if rows[0]["better"] == "higher":
            behind = -behind
        falling = isotonic_regression(behind, increasing=False).x
        if falling[0] <= 0 or falling[-1] >= 0:
            return cls(None, low, high)
        i = int(np.argmax(falling <= 0))
        part = falling[i - 1] / (falling[i - 1] - falling[i])
        at = np.exp(np.log(sizes[i - 1]) + part * np.log(sizes[i] / sizes[i - 1]))
        return cls(float(np.clip(at, low or 0, high or np.inf)), low, high)
