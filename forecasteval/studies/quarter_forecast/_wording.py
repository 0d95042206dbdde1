"""What the page calls those who give a number, and how it says a change in points."""

from __future__ import annotations

import re

from forecasteval.compare.wording import ends

_WORDS = {
    "rep_forecast": "the reps", "rep_submission": "the reps", "rep_submissions": "the reps", "reps": "the reps",
    "submission": "the reps", "manager_call": "the managers", "manager": "the managers", "managers": "the managers",
    "cro_call": "the head of sales", "cro": "the head of sales", "model": "the model", "last_quarter": "last quarter again",
    "same_quarter_last_year": "the same quarter last year", "commit": "Commit, as entered", "best_case": "Best Case, as entered",
    "pipeline": "all that is open", "closed_and_conversion": "closed and usual conversion",
    "stage_weighted": "stages at their past rates", "category_conversion": "categories at their past rates",
}  # fmt: skip
_PLURAL = ("the reps", "the managers")


def called(name: str, period: str = "quarter") -> str:
    """A forecaster as people speak of it, where a period is called so.

    >>> called("rep_forecast_corrected"), called("rep_forecast_model_mix"), called("vendor_x_and_new")
    ('the reps, corrected by their past', 'half the reps, half the model', 'vendor x')
    """
    if name in _WORDS:
        return _WORDS[name].replace("quarter", period)
    if name.endswith("_and_new"):
        return called(name.removesuffix("_and_new"))
    if name.endswith("_corrected"):
        return f"{called(name.removesuffix('_corrected'))}, corrected by their past"
    if mixed := re.fullmatch(r"(.+?(?:forecast|call|submission)s?)_(.+)_mix", name):
        return f"half {called(mixed[1])}, half {called(mixed[2])}"
    return name.replace("_", " ")


def whose(name: str) -> str:
    """The genitive: the reps', the model's."""
    said = called(name)
    return f"{said}'" if said.endswith("s") else f"{said}'s"


def says(name: str) -> str:
    """The verb that agrees."""
    return "say" if called(name) in _PLURAL else "says"


def points(low: float, high: float) -> str:
    """An interval of shares in points, the smaller end first.

    >>> points(-0.104, -0.021), points(-0.071, 0.012)
    ('2 to 10', '−1 to 7')
    """
    a, b = sorted((-100 * low, -100 * high))
    return ends(a, b, 0)
