"""Matplotlib pictures of results, one module for each notebook's; nothing is computed here."""

from forecasteval.plots.canvas import Absent, Picture, colour, short
from forecasteval.plots.closer_look import rep_bias, segments
from forecasteval.plots.comparison import (
    by_week,
    few_reps,
    flow,
    forest,
    ladder,
    reliability,
    week_message,
)

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
