"""What a report says in words and tables: written from results, escaped, ready to show in a notebook."""

from __future__ import annotations

from forecasteval.report.blocks import Html, flow_table
from forecasteval.studies.compare_forecasts.caveats import caveats, method, provenance
from forecasteval.studies.compare_forecasts.words import (
    about_weeks,
    at_word,
    audit_table,
    cluster_noun,
    fair_twin,
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
from forecasteval.studies.compare_forecasts.words_of_sections import (
    added,
    calibrations,
    rep_bias,
    segments,
    totals,
)

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
