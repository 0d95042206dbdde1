"""What readers call forecasters, definitions and numbers."""

from __future__ import annotations

import math
from typing import Any

from forecasteval.compare import wording
from forecasteval.studies.vendor_claim._evidence import MEASURES
from forecasteval.studies.vendor_claim._texts import TEXTS
from forecasteval.studies.vendor_claim._totals import TOTALS


def label(name: str) -> str:
    """What a reader calls a forecaster or a definition."""
    if name.endswith("_and_new"):
        return f"{label(name.removesuffix('_and_new'))} + new business as in the past"
    return TOTALS[name].label if name in TOTALS else TEXTS["forecasters"].get(name) or _title(name)


def interval(low: float, high: float, *, percent: bool = False, points: bool = False) -> str:
    """An interval, with the digits that it supports; of differences of shares in points.

    >>> interval(0.012, 0.118, percent=True), interval(0.012, 0.118, percent=True, points=True), interval(-0.02, 0.11)
    ('1% to 12%', '1 to 12', '−0.020 to 0.110')
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "none"
    if percent:
        said = f"{shown(low, percent=True)} to {shown(high, percent=True)}"
        return said.replace("%", "") if points else said
    return wording.ends(low, high)


def shown(value: Any, *, percent: bool = False) -> str:
    """A value, or a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{wording.number(100 * value, 0)}%" if percent else wording.number(value)


def is_share(name: str) -> bool:
    """Is a definition shown in percent?"""
    return name in TOTALS or (name in MEASURES and MEASURES[name].share)


def _title(name: str) -> str:
    words = name.replace("_", " ").strip()
    return f"Vendor {words[7:].upper()}" if words.startswith("vendor ") and len(words) == 8 else words


def apart(value: Any, measure: str) -> str:
    """A difference in the unit of its definition: of shares points, but for a share of another's score."""
    text = shown(value, percent=is_share(measure))
    return text if measure == "brier_skill" else text.replace("%", " points")
