"""A result in a line: the verdict, the estimate, a day, each as people say them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from datetime import date
from typing import Any

from forecasteval.compare import wording
from forecasteval.report.gate import primary_row
from forecasteval.report.labels import on_axis
from forecasteval.scores.amounts import TOTAL_METRICS


def cut(text: str, most: int) -> str:
    """A text in one line of so many characters at most, cut between words where it can be.

    >>> cut("a long line", 8), cut("abcdefghij", 8)
    ('a long…', 'abcdefg…')
    """
    found = textwrap.shorten(text, most, placeholder="…")
    return found if found != "…" else f"{text.strip()[: most - 1]}…"


def verdict_in_words(results: Mapping[str, Any]) -> str:
    """The verdict of a report with the winner in words; its status where it has none, empty if it is just done."""
    row = primary_row(results) or {}
    verdict = str(row.get("verdict") or "")
    for role in ("candidate", "baseline"):
        if verdict == f"{role} better":
            return f"{on_axis(str(row.get(role, role)))} better"
    status = str(results.get("status", ""))
    return verdict or ("" if status == "done" else status)


def estimate_in_words(results: Mapping[str, Any]) -> str:
    """The primary difference with its interval; empty where there is none.

    >>> row = {"primary": True, "difference": -0.021, "low": -0.033, "high": -0.009, "level": 0.95}
    >>> estimate_in_words({"comparisons": [row]})
    '−0.021 (95% interval −0.033 to −0.009)'
    """
    row = primary_row(results) or {}
    difference, low, high, level = (_number(row.get(k)) for k in ("difference", "low", "high", "level"))
    if math.isnan(difference):
        return ""
    if math.isnan(low):
        return f"{wording.number(difference)}, without an interval"
    places = wording.decimals(low, high)
    sure = "interval" if math.isnan(level) else f"{100 * level:g}% interval"
    return f"{wording.number(difference, places)} ({sure} {wording.ends(low, high)})"


def verdict_line(summary: Mapping[str, Any]) -> str:
    """The verdict of a summary with its estimate; empty where nothing was compared."""
    results = {"status": summary["status"], "comparisons": [{**summary, "primary": True}]}
    verdict, estimate = verdict_in_words(results), estimate_in_words(results)
    if not (verdict or estimate):
        return ""
    deals = summary.get("deals")
    noun = summary.get("counted") or ("totals" if summary.get("metric") in TOTAL_METRICS else "deals")
    over = f"; {wording.count(deals, noun)}" if isinstance(deals, int) else ""
    return f"Verdict: {verdict or 'none'}" + (f"; difference {estimate}{over}" if estimate else "")


def day_in_words(text: Any) -> str:
    """A day as people write it."""
    try:
        found = date.fromisoformat(str(text)[:10])
    except ValueError:
        return str(text)
    return f"{found.day} {found:%B %Y}"


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
