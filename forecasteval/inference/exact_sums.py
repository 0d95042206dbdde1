"""Sums that come out the same in whatever order their terms are added: in memory, in parallel, on any engine.

Terms are whole multiples of a power of two. As long as their sum stays below 2^53 times that, floats add them without any
rounding, so that no order and no cut can show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from forecasteval.scores.probability import Floats

_FINEST = 40  # binary places: 1e-12
_BITS = 52  # whole numbers up to 2^53 are exact as floats; one is for what rounding adds


@dataclass(frozen=True)
class Size:
    """What no term exceeds, and what the sizes of all of them together do not; known to every engine alike.

    Sizes are added up as whole numbers, rounded up, which come out the same in any order.

    >>> Size.of(np.array([-0.5, 2.25])), Size.of(np.array([1.0, 2.0])) + Size.counted(3)
    (Size(largest=2.25, total=4.0), Size(largest=3.0, total=8.0))
    """

    largest: float
    total: float

    @classmethod
    def of(cls, terms: Floats | None) -> Size:
        """Of terms that are at hand."""
        sizes = np.zeros(0) if terms is None else np.abs(terms)
        return cls(float(sizes.max(initial=0.0)), float(np.floor(sizes).sum()) + sizes.size)

    @classmethod
    def counted(cls, rows: int, largest: float = 1.0) -> Size:
        """Of so many terms that are no larger than something."""
        return cls(largest, largest * rows)

    def __add__(self, other: Size) -> Size:
        """Of sums of two terms."""
        return Size(self.largest + other.largest, self.total + other.total)


@dataclass(frozen=True)
class Grain:
    """Binary places to which terms are rounded, and the products of what each deal's terms sum to."""

    terms: int
    products: int

    @classmethod
    def of(cls, size: Size, looks: int) -> Grain:
        """For terms of a size, so many of which may be of one deal.

        >>> Grain.of(Size.counted(1000), 1), Grain.of(Size.counted(10**7), 60), Grain.of(Size.counted(10**7, 1e6), 1)
        (Grain(terms=40, products=40), Grain(terms=28, products=22), Grain(terms=8, products=-12))
        """
        return cls(_places(size.total), _places(size.largest * looks * size.total))


def _places(bound: float) -> int:
    """As many as keep a sum up to the bound within the bits, and at most 40."""
    return min(_FINEST, _BITS - math.frexp(bound)[1]) if 0 < bound < math.inf else _FINEST


def whole(terms: Floats, at: int) -> Floats:
    """Terms as whole multiples of 2^-at, halves up; infinite ones stay."""
    return np.floor(terms * 2.0**at + 0.5)
