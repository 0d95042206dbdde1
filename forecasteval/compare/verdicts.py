"""What an interval allows to be said: the verdict."""

from __future__ import annotations

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
