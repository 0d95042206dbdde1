"""Sums that come out the same in whatever order their terms are added: in memory, in parallel, on any engine."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from forecasteval.scores.probability import Floats

_FINEST = 40  # binary places: 1e-12
_EXACT = 2.0**53  # whole numbers up to here are exact as floats
_HALF = 2.0**26


def places(largest: float, terms: int) -> int:
    """Binary places to which terms are rounded: 40, or as many as keep the sum of so many terms within 62 bits.

    >>> places(1.0, 1000), places(1.0, 10**7), places(1e6, 10**7)
    (40, 38, 18)
    """
    bound = largest * terms
    return min(_FINEST, 62 - math.frexp(bound)[1]) if 0 < bound < math.inf else _FINEST


def whole(terms: Floats, at: int) -> Floats:
    """Terms as whole multiples of 2^-at, halves up; infinite ones stay."""
    return np.floor(terms * 2.0**at + 0.5)


def sums_by(codes: NDArray[np.integer] | None, counted: Floats, size: int = 1) -> Floats:
    """Sums of whole numbers by code (of all of them for ``None``), rounded once: what adding them as integers gives.

    >>> sums_by(np.array([0, 1, 0]), np.array([2.0**61, 5.0, 1.0]), 2).tolist()
    [2.305843009213694e+18, 5.0]
    """
    exact = float(np.abs(counted).sum()) < _EXACT or not np.isfinite(counted).all()
    if codes is None:
        return np.array([counted.sum() if exact else int(counted.astype(np.int64).sum())], dtype=float)
    if exact:
        return np.bincount(codes, weights=counted, minlength=size).astype(np.float64)
    high = np.floor(counted / _HALF)
    low = np.bincount(codes, weights=counted - high * _HALF, minlength=size)
    return np.asarray(np.bincount(codes, weights=high, minlength=size) * _HALF + low, dtype=float)
