"""What an interval allows to be said: the verdict."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats

CANNOT, SAME, UNSURE = "cannot be compared", "practically the same", "not enough evidence"
CANDIDATE, BASELINE = "candidate better", "baseline better"


def decide(
    better: str, low: float, high: float, reliable: bool, margin: float | None, *, beyond_margin: bool = False
) -> str | None:
    """The verdict, in the order of precedence: without reliability none, then sameness, then who is better.

    >>> decide("lower", -0.05, -0.01, True, None), decide("lower", -0.05, -0.01, True, 0.1)
    ('candidate better', 'practically the same')
    >>> decide("higher", -0.05, 0.01, True, None), decide("higher", 0.01, 0.02, False, None)
    ('not enough evidence', 'not enough evidence')
    """
    if better == "nearer_zero":
        return None
    if not reliable:
        return UNSURE
    if margin is not None and -margin < low and high < margin:
        return SAME
    bar = margin if beyond_margin and margin is not None else 0.0
    if low > bar:
        return CANDIDATE if better == "higher" else BASELINE
    if high < -bar:
        return BASELINE if better == "higher" else CANDIDATE
    return UNSURE


def holm(p_values: ArrayLike) -> Floats:
    """P-values of a family, Holm's (1979): statsmodels collects all garbage of the process each time.

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted
