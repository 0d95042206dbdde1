"""Sums that come out the same in whatever order their terms are added: in memory, in parallel, on any engine.

Terms are whole multiples of a power of two. As long as their sum stays below 2^53 times that, floats add them without any
rounding, so that no order and no cut can show.
"""

from __future__ import annotations

import math

import numpy as np

from forecasteval.scores.probability import Floats

_FINEST = 40  # binary places: 1e-12
_BITS = 52  # whole numbers up to 2^53 are exact as floats; one is for what rounding adds


def places(largest: float, terms: int, *, bits: int = _BITS) -> int:
    """Binary places to which terms are rounded: 40, or as many as keep the sum of so many terms within the bits.

    >>> places(1.0, 1000), places(1.0, 10**7), places(1e6, 10**7)
    (40, 28, 8)
    """
    bound = largest * terms
    return min(_FINEST, bits - math.frexp(bound)[1]) if 0 < bound < math.inf else _FINEST


def whole(terms: Floats, at: int) -> Floats:
    """Terms as whole multiples of 2^-at, halves up; infinite ones stay."""
    return np.floor(terms * 2.0**at + 0.5)
