"""Measure deal forecasts against each other, on the same deals, with intervals that can be believed."""

from forecasteval import scores
from forecasteval.compare import Comparison, compare
from forecasteval.match import match
from forecasteval.overviews import against, by_group, influence, ladder
from forecasteval.study import Question
from forecasteval.tables import read

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Question",
    "against",
    "by_group",
    "compare",
    "influence",
    "ladder",
    "match",
    "read",
    "scores",
]
