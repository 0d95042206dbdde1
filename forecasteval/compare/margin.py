"""Is the candidate at least not worse, or as good as equal? Against a margin that was fixed beforehand.

From the very interval of the comparison, at the level that makes one end of it a one-sided 95% bound. A
difference that is not significant is not thereby equal: only an interval inside the margin says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import CallError
from forecasteval.matching.matched import Matched

_ONE_SIDED = 0.9  # the level of a comparison whose ends are one-sided 95% bounds


@dataclass(frozen=True)
class WithinMargin:
    """Non-inferiority and equivalence of a candidate.

    Attributes
    ----------
    bound : float
        How much worse the candidate may be, one-sided at `confidence`; above 0 is worse, whatever the metric.
    least : float
        How much worse it is at least, one-sided at `confidence`; below 0 it may be better.
    not_inferior : bool
        The bound lies below the margin.
    equivalent : bool
        Both bounds lie within the margin: two one-sided tests reject.
    confidence : float
        Of each bound.
    reason : str
        Why there is nothing to say, if so.
    """

    margin: float
    bound: float
    least: float
    not_inferior: bool
    equivalent: bool
    confidence: float
    reason: str = ""


def within_margin(row: Mapping[str, Any], margin: float) -> WithinMargin:
    """Non-inferiority by a one-sided bound, equivalence by two one-sided tests.

    With low and high the interval in the direction of worse, at level 1 - 2 alpha: not inferior where
    high < margin; equivalent where also low > -margin. Each end is a one-sided bound at 1 - alpha, so that
    standard error, degrees of freedom and skewness are those of the comparison.

    Parameters
    ----------
    row : one row of `comparison.table`, of a comparison at level 0.9 for one-sided 95% bounds
    margin : float, above 0
        The largest difference that does not matter, fixed before the data were seen.

    Raises
    ------
    CallError
        If the margin is not above 0.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15(6), 657-680.

    Examples
    --------
    >>> row = {"difference": 0.002, "low": -0.005, "high": 0.009, "level": 0.9, "better": "lower",
    ...     "reliable": True, "reasons": []}
    >>> w = within_margin(row, 0.01)
    >>> w.bound, w.not_inferior, w.equivalent, w.confidence
    (0.009, True, True, 0.95)
    """
    if not (math.isfinite(margin) and margin > 0):
        raise CallError(
            f"margin: {margin!r} is not above 0; give the largest difference that does not matter."
        )
    confidence = round((1 + row["level"]) / 2, 12)

    def none(why: str) -> WithinMargin:
        return WithinMargin(margin, math.nan, math.nan, False, False, confidence, why)

    if row["better"] == "nearer_zero":
        return none("A bias is described, not won.")
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        if row["difference"] == 0 and any(r["code"] == "identical" for r in row["reasons"]):
            return WithinMargin(margin, 0.0, 0.0, True, True, confidence)
        return none("There is no interval to judge by.")
    if not row["reliable"]:
        return none("The interval is not reliable, so neither can be claimed.")
    least, bound = float(row["low"]), float(row["high"])
    if row["better"] == "higher":
        least, bound = -bound, -least
    not_inferior = bound < margin
    return WithinMargin(margin, bound, least, not_inferior, not_inferior and least > -margin, confidence)


def against_margin(matched: Matched | pd.DataFrame, comparison: Comparison, margin: float) -> WithinMargin:
    """Non-inferiority and equivalence by the primary metric of a comparison of the same table."""
    again = compare(
        matched,
        comparison.candidate,
        comparison.baseline,
        metrics=[str(comparison.primary["metric"])],
        generalise_to=comparison.generalise_to,
        level=_ONE_SIDED,
    )
    return within_margin(again.primary, margin)


def in_words(found: WithinMargin, candidate: str, baseline: str) -> str:
    """What the margin allows to say, in one or two sentences.

    >>> row = {"difference": 0.002, "low": -0.053, "high": 0.057, "level": 0.9, "better": "lower",
    ...     "reliable": True, "reasons": []}
    >>> in_words(within_margin(row, 0.01), "model", "reps")
    'Margin 0.01: model is not shown to be as good as reps; it may be worse by as much as 0.057 (one-sided 95% bound). Not telling them apart does not make them equal.'
    """
    opening = f"Margin {found.margin:g}: "
    if found.reason:
        return f"{opening}{found.reason}"
    bound = wording.number(found.bound, wording.decimals(-found.margin, found.margin))
    sure = f"one-sided {wording.percent(found.confidence)} bound"
    if found.equivalent:
        return (
            f"{opening}{candidate} and {baseline} differ by less than the margin either way "
            f"(two one-sided tests, each at {wording.percent(round(1 - found.confidence, 10))})."
        )
    if found.not_inferior:
        ahead = wording.number(-found.bound, wording.decimals(-found.margin, found.margin))
        if found.bound < -found.margin:
            return f"{opening}{candidate} is better than {baseline} by at least {ahead}, more than the margin ({sure})."
        if found.bound <= 0:
            return (
                f"{opening}{candidate} is better than {baseline} by at least {ahead} ({sure}), which is not shown to be "
                "more than the margin, so the gain may be too small to matter."
            )
        return f"{opening}{candidate} is worse than {baseline} by at most {bound}, less than the margin ({sure})."
    return (
        f"{opening}{candidate} is not shown to be as good as {baseline}; it may be worse by as much as {bound} "
        f"({sure}). Not telling them apart does not make them equal."
    )
