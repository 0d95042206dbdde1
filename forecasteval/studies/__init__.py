"""One folder for one notebook: its parameters and answer, its words, its figures. A study imports no other study."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecasteval.studies.parameters import Parameters

# the class whose fields are a notebook's parameters, but for the data folder
QUESTIONS = {
    "compare_forecasts": "Question",
    "coverage_study": "Study",
    "data_sufficiency": "Sufficiency",
    "lead_scoring": "Leads",
    "measured_outcome": "Measured",
    "pipeline_review": "Review",
    "plan_pilot": "Pilot",
    "quarter_forecast": "Quarter",
    "vendor_claim": "Trial",
    "weekly_monitor": "Monitor",
}


def question_of(notebook: str) -> type[Parameters] | None:
    """The class that checks the parameters of one of the notebooks; None for anybody else's notebook."""
    if notebook not in QUESTIONS:
        return None
    found: type[Parameters] = getattr(
        import_module(f"forecasteval.studies.{notebook}.study"), QUESTIONS[notebook]
    )
    return found
