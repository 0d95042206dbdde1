"""Where a learning curve crosses the baseline."""

from __future__ import annotations

from collections.abc import Mapping

from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import CANDIDATE


def crossing(comparisons: Mapping[int, Comparison]) -> int | None:
    """The smallest size from which on the candidate is better, sizes being tested from the largest down.

    A fixed sequence: the next smaller size is looked at only while every larger one is better. So the chance of any
    false "better" stays at that of a single interval, without a correction for the number of sizes. None where not even
    the largest is better. Maurer, Hothorn & Lehmacher (1995), Biometrie in der chemisch-pharmazeutischen Industrie 6,
    3-18; Westfall & Krishen (2001), Journal of Statistical Planning and Inference 99(1), 25-40.
    """
    found = None
    for size in sorted(comparisons, reverse=True):
        if comparisons[size].verdict != CANDIDATE:
            break
        found = size
    return found
