"""Matplotlib pictures of results, one module for each notebook's; nothing is computed here."""

from __future__ import annotations

from forecasteval.report.figures import Absent, Picture, colour, short
from forecasteval.studies.compare_forecasts.figures import (
    by_week,
    few_reps,
    flow,
    forest,
    ladder,
    reliability,
    week_message,
)
from forecasteval.studies.compare_forecasts.figures_of_sections import rep_bias, segments

__all__ = [
    "Absent",
    "Picture",
    "by_week",
    "colour",
    "few_reps",
    "flow",
    "forest",
    "ladder",
    "reliability",
    "rep_bias",
    "segments",
    "short",
    "week_message",
]
