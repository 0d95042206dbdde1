"""The rule by which an interval speaks about a claim."""

from __future__ import annotations

import math

SUPPORTED, CONTRADICTED, UNDECIDED = "supported", "contradicted", "undecided by this evidence"
NOT_EVERYWHERE = "supported, but not everywhere"


def judged(low: float, high: float, at_least: float, *, reliable: bool) -> str:
    """The rule: supported where the whole interval reaches what is claimed, contradicted where none of it does.

    >>> judged(0.01, 0.05, 0.0, reliable=True), judged(0.01, 0.05, 0.1, reliable=True), judged(-0.01, 0.05, 0.0, reliable=True)
    ('supported', 'contradicted', 'undecided by this evidence')
    >>> judged(0.01, 0.05, 0.0, reliable=False), judged(-0.05, 0.0, 0.0, reliable=True)
    ('undecided by this evidence', 'contradicted')
    """
    if not reliable or not (math.isfinite(low) and math.isfinite(high)):
        return UNDECIDED
    if low > at_least or (at_least != 0 and low == at_least):
        return SUPPORTED
    return CONTRADICTED if high < at_least or (at_least == 0 and high <= 0) else UNDECIDED
