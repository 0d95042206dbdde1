"""A number with its interval, and whether it may be believed: the one shape in which results leave this room."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

Reason = dict[str, str]

# reasons that inform; every other one speaks against believing an interval
_INFORMS = frozenset(
    [
        "amount_missing",
        "amount_won_assumed",
        "common_deals",
        "crossing_reps",
        "default_dropped",
        "filled",
        "identical",
        "ids_joined",
        "moved_from_the_edge",
        "no_reps",
        "periods_alike_allowed",
        "ranked_by_steps",
        "read_as_rank_score",
        "size_tells",
    ]
)


def reason(code: str, text: str) -> Reason:
    """One entry of `reasons`: a code for programs and a sentence for people.

    >>> reason("few_periods", "Only 5 quarters.")
    {'code': 'few_periods', 'text': 'Only 5 quarters.'}
    """
    return {"code": code, "text": text}


def against(reasons: tuple[Reason, ...] | list[Reason]) -> list[Reason]:
    """Those of the reasons that speak against believing."""
    return [r for r in reasons if r["code"] not in _INFORMS]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval.

    Attributes
    ----------
    low, high : float
        NaN where there is no interval; then `reasons` says why.
    p_value : float
        Two-sided, against `null`; below 1 - level just where `null` lies outside the interval.
    reliable : bool
        There is an interval, and nothing speaks against believing it.
    reasons : tuple of {code, text}
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    level: float = math.nan
    df: float = math.nan
    se: float = math.nan
    p_value: float = math.nan
    reliable: bool = False
    reasons: tuple[Reason, ...] = ()
    null: float = 0.0

    @property
    def has_interval(self) -> bool:
        """Is there an interval?"""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def noted(self, *reasons: Reason) -> Estimate:
        """The same with more to say of it; no longer reliable where one of the reasons speaks against it."""
        return replace(
            self, reasons=(*self.reasons, *reasons), reliable=self.reliable and not against(list(reasons))
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        names = {"value": "value", "se": "se", "df": "df", "low": "low", "high": "high", "against": "null"}
        return {k: getattr(self, v) for k, v in names.items()} | {"p_value": self.p_value}
