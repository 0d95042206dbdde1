"""Where an interval stops being believed: the one place where doubts are decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.jackknife import Clusters
from forecasteval.scores.probability import Floats

MIN_CLUSTERS = {"rep": 5, "account": 5, "period": 4}  # fewer: no interval
FEW_PERIODS = 6  # fewer: an interval, flagged


@dataclass(frozen=True)
class _Limits:
    """Beyond any of these an interval is flagged unreliable."""

    effective: float = 4.0  # effective number of clusters, 1 / sum w^2 ...
    evenness: float = 0.25  # ... where that is also less than this share of their number
    largest_share: float = 0.8  # of one cluster
    events: int = 10  # deals won, and deals not won
    deals: float = 20.0  # effective number of deals, (sum w)^2 / sum w^2, where they weigh differently

    def uneven(self, clusters: Clusters) -> bool:
        """Do so few clusters hold so much that the others hardly count?"""
        return clusters.effective < min(self.effective, self.evenness * clusters.count)


LIMITS = _Limits()
_EVEN = 1e-3  # relative: weights that differ by less are equal
EVENTS_FOR_A_FIT = 20  # won, and not won: a fit of intercept and slope asks more than a mean


def few_events(won: int, other: int, fewest: int = LIMITS.events) -> list[Reason]:
    """The doubt where too few deals were won, or not won."""
    if min(won, other) >= fewest:
        return []
    few, what = (won, "were won") if won <= other else (other, "were not won")
    text = f"Only {few} of {won + other:,} deals {what}; intervals are trusted from {fewest}."
    return [reason("few_events", text)]


@dataclass(frozen=True)
class Weights:
    """How many deals weigh anything, their weights' sum and sum of squares, and the largest."""

    count: int
    total: float
    square: float
    largest: float

    @classmethod
    def of(cls, weight: Floats) -> Weights:
        """Sum weights of deals up."""
        return cls(
            int((weight > 0).sum()),
            float(weight.sum()),
            float(weight @ weight),
            float(weight.max(initial=0.0)),
        )


def few_effective_deals(weights: Weights, of: str) -> tuple[bool, list[Reason]]:
    """Whether an interval is possible with deals of these weights, and the doubt where a few deals hold most.

    Equal deals are left to :func:`few_events`.

    >>> possible, found = few_effective_deals(Weights(3, 1e6 + 2, 1e12 + 2, 1e6), "amount")
    >>> possible, found[0]["code"]
    (False, 'dominant_deal')
    >>> few_effective_deals(Weights(12, 12.0, 12.0, 1.0), "amount")
    (True, [])
    """
    if weights.count == 0:
        return True, []
    largest, effective = weights.largest / weights.total, weights.total**2 / weights.square
    if largest > LIMITS.largest_share:
        text = (
            f"One deal holds {_share(largest)} of the {of}: the result is that of this deal, so there is no "
            "interval."
        )
        return False, [reason("dominant_deal", text)]
    if effective >= LIMITS.deals or effective > (1 - _EVEN) * weights.count:
        return True, []
    text = (
        f"The {weights.count:,} deals count for only {effective:.1f}, since the largest holds "
        f"{_share(largest)} of the {of}; verdicts are given from {LIMITS.deals:g}."
    )
    return True, [reason("few_effective_deals", text)]


def _share(share: float) -> str:
    """A share in percent that never reads as all where it is not."""
    return f"{share:.0%}" if share < 0.995 else f"{100 * share:.10g}%"


def too_few(clusters: int, dimension: str, noun: str) -> list[Reason]:
    """The reason for no interval where there are too few clusters to speak about new ones."""
    least = MIN_CLUSTERS[dimension]
    if clusters >= least:
        return []
    text = f"{clusters:,} {noun.removesuffix('s') if clusters == 1 else noun}: at least {least} are needed to speak about new {noun}."
    return [reason(f"too_few_{dimension}s", text)]


def doubts(
    clusters: Mapping[str, Clusters],
    nouns: Mapping[str, str],
    *,
    undefined: Collection[str] = (),
    weight: str = "weight",
) -> tuple[bool, list[Reason]]:
    """Whether an interval over new clusters is possible, and what speaks against believing it.

    >>> [r["code"] for r in doubts({"period": Clusters(5, 4.8, 0.3)}, {"period": "quarters"})[1]]
    ['few_periods']
    """
    possible, found = True, []
    for dimension, c in clusters.items():
        noun = nouns[dimension]
        if missing := too_few(c.count, dimension, noun):
            possible = False
            found += missing
            continue
        if dimension in undefined:
            possible = False
            text = f"One of the {noun} holds everything that the score rests on; nothing is left without it."
            found.append(reason("one_cluster", text))
            continue
        if dimension == "period" and c.count < FEW_PERIODS:
            text = f"Only {c.count} {noun}: intervals about new {noun} are trusted from {FEW_PERIODS}."
            found.append(reason("few_periods", text))
        if LIMITS.uneven(c):
            text = f"The {c.count} {noun} are so uneven that they count for only {c.effective:.1f}."
            found.append(reason(f"few_effective_{dimension}s", text))
        if c.largest_share > LIMITS.largest_share:
            text = f"One of the {noun} holds {c.largest_share:.0%} of the {weight}."
            found.append(reason(f"dominant_{dimension}", text))
    return possible, found
