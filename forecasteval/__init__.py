"""Measure deal forecasts against each other, on the same deals, with intervals that can be believed."""

from forecasteval import scores
from forecasteval.compare.compare import Comparison, cells, compare, compare_cells
from forecasteval.compare.encompassing import adds
from forecasteval.compare.measured_outcome import measured_outcome
from forecasteval.compare.null_check import does_it_hold
from forecasteval.compare.repeated import against, by_group, influence, ladder
from forecasteval.compare.reviews import reviewed
from forecasteval.compare.totals import compare_totals
from forecasteval.matching.match import match
from forecasteval.matching.rollups import rollups
from forecasteval.sources.folder import read
from forecasteval.sources.states import states
from forecasteval.studies.compare_forecasts.study import Question

__version__ = "0.1.0"
__all__ = [
    "Comparison",
    "Question",
    "adds",
    "against",
    "by_group",
    "cells",
    "compare",
    "compare_cells",
    "compare_totals",
    "does_it_hold",
    "influence",
    "ladder",
    "match",
    "measured_outcome",
    "read",
    "reviewed",
    "rollups",
    "scores",
    "states",
]
