"""What an interval allows to be said: the verdict, and the doubts that keep it back."""

from __future__ import annotations

from collections.abc import Mapping

from forecasteval.compare import wording
from forecasteval.compare.rows import Reason, reason
from forecasteval.inference.limits import FEW_PERIODS, LIMITS, MIN_CLUSTERS, Limits
from forecasteval.inference.ratio_of_sums import Estimate

CANNOT, SAME, UNSURE = "cannot be compared", "practically the same", "not enough evidence"
CANDIDATE, BASELINE = "candidate better", "baseline better"


def _cluster_doubts(
    estimate: Estimate, dimension: str, noun: str, limits: Limits
) -> tuple[bool, list[Reason]]:
    """Is an interval over these clusters possible, and what speaks against believing it?"""
    c = estimate.clusters(dimension)
    minimum = MIN_CLUSTERS[dimension]
    if c.count < minimum:
        text = f"{wording.count(c.count, noun)}: at least {minimum} are needed to speak about new {noun}."
        return False, [reason(f"too_few_{dimension}s", text)]
    if not estimate.over[dimension].defined:
        text = f"One of the {noun} holds everything that the score rests on; nothing is left without it."
        return False, [reason("one_cluster", text)]
    found = []
    if dimension == "period" and c.count < FEW_PERIODS:
        text = f"Only {c.count} {noun}: intervals about new {noun} are trusted from {FEW_PERIODS}."
        found.append(reason("few_periods", text))
    if limits.uneven(c):
        text = f"The {c.count} {noun} are so uneven that they count for only {c.effective:.1f}."
        found.append(reason(f"few_effective_{dimension}s", text))
    if c.largest_share > limits.largest_share:
        text = f"One of the {noun} holds {c.largest_share:.0%} of the weight."
        found.append(reason(f"dominant_{dimension}", text))
    return True, found


def doubts(
    estimate: Estimate, generalise_to: tuple[str, ...], won: int, other: int, nouns: Mapping[str, str]
) -> tuple[bool, list[Reason]]:
    """Whether an interval is possible, and why it should not be believed.

    Parameters
    ----------
    estimate : Estimate
    generalise_to : tuple of str
    won, other : int
        Deals won, and deals not won.
    nouns : what the clusters of each dimension are called

    Returns
    -------
    possible, reasons
    """
    possible, found = True, []
    for dimension in generalise_to:
        if dimension != "deal":
            can, more = _cluster_doubts(estimate, dimension, nouns[dimension], LIMITS)
            possible &= can
            found += more
    if min(won, other) < LIMITS.events:
        fewest, what = (won, "were won") if won <= other else (other, "were not won")
        text = f"Only {fewest} of {won + other:,} deals {what}; intervals are trusted from {LIMITS.events}."
        found.append(reason("few_events", text))
    return possible, found


def decide(
    better: str, low: float, high: float, reliable: bool, margin: float | None, *, beyond_margin: bool = False
) -> str | None:
    """The verdict, in the order of precedence: without reliability none, then sameness, then who is better.

    Parameters
    ----------
    better : "lower", "higher" or "nearer_zero"
        Which values of the metric are better; there is no verdict on what should be near zero.
    low, high : float
        The interval of candidate minus baseline.
    reliable : bool
    margin : float or None
        The largest difference that does not matter.
    beyond_margin : bool
        Call a forecaster better only where the interval lies beyond the margin.

    Returns
    -------
    str or None

    Examples
    --------
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
