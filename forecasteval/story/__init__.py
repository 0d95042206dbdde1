"""What a report says in words and tables: written from results, escaped, ready to show in a notebook."""

from forecasteval.story.caveats import caveats, method, provenance
from forecasteval.story.closer_look import added, calibrations, rep_bias, segments, totals
from forecasteval.story.comparison import (
    about_weeks,
    at_word,
    audit_table,
    cluster_noun,
    fair_twin,
    flow_table,
    forecasters,
    metrics_glossary,
    metrics_table,
    reliability_message,
    rungs,
    tables,
    verdict_card,
    weakest_point,
    what_could_be_told,
    who_is_who,
)
from forecasteval.story.html import Html

__all__ = [
    "Html",
    "about_weeks",
    "added",
    "at_word",
    "audit_table",
    "calibrations",
    "caveats",
    "cluster_noun",
    "fair_twin",
    "flow_table",
    "forecasters",
    "method",
    "metrics_glossary",
    "metrics_table",
    "provenance",
    "reliability_message",
    "rep_bias",
    "rungs",
    "segments",
    "tables",
    "totals",
    "verdict_card",
    "weakest_point",
    "what_could_be_told",
    "who_is_who",
]
