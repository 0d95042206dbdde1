"""Pure functions that score forecasts against what happened; no interval here."""

from forecasteval.scores.probability import (
    DEFAULT_METRICS,
    METRICS,
    Deals,
    Floats,
    Metric,
    Terms,
    auc,
    brier,
    log_score,
    placements,
    rank,
    rank_pairs,
)

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "Deals",
    "Floats",
    "Metric",
    "Terms",
    "auc",
    "brier",
    "log_score",
    "placements",
    "rank",
    "rank_pairs",
]
