"""Measure deal forecasts against each other, on the same deals, with intervals that can be believed."""

from forecasteval import scores
from forecasteval.compare import Comparison, against, by_group, compare, ladder

__version__ = "0.1.0"
__all__ = ["Comparison", "against", "by_group", "compare", "ladder", "scores"]
