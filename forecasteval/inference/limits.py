"""Where an interval stops being believed."""

from __future__ import annotations

from dataclasses import dataclass

from forecasteval.inference.jackknife import Clusters

MIN_CLUSTERS = {"rep": 5, "account": 5, "period": 4}  # fewer: no interval
FEW_PERIODS = 6  # fewer: an interval, flagged


@dataclass(frozen=True)
class Limits:
    """Where an interval stops being believed: beyond any of these a comparison is flagged unreliable."""

    effective: float = 4.0  # effective number of clusters, 1 / sum w^2 ...
    evenness: float = 0.25  # ... where that is also less than this share of their number
    largest_share: float = 0.8  # of one cluster
    events: int = 10  # deals won, and deals not won

    def uneven(self, clusters: Clusters) -> bool:
        """Do so few clusters hold so much that the others hardly count?"""
        return clusters.effective < min(self.effective, self.evenness * clusters.count)


LIMITS = Limits()
