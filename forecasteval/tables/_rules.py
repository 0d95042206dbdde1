"""Rows of a tidy table that contradict themselves or each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

_LONGEST_PERIOD = 3 * 366  # days
_PERCENT = "If these are percentages divide them by 100; if they are scores or ranks write rank_score in the column kind."


@dataclass(frozen=True)
class Rule:
    """Rows of a table that contradict themselves or each other: where they are broken, and what is said."""

    table: str
    column: str
    broken: Callable[[pd.DataFrame], pd.Series]
    expected: str
    advice: str | Callable[[pd.Series], str]  # what to do, or how the broken cells tell it
    severity: str = "error"


def _no_probability(forecasts: pd.DataFrame) -> pd.Series:
    value = forecasts["value"]
    return forecasts["kind"].eq("probability") & value.notna() & ~value.between(0, 1)


def _percent_or_fault(cells: pd.Series) -> str:
    return _PERCENT if cells.between(0, 100).all() else "Correct the cell or leave it empty."


def _since_the_period_before(periods: pd.DataFrame) -> pd.Series:
    """Days from the end of the period before to the start: 1 where they follow each other."""
    ordered = periods.sort_values("starts_on")
    return (ordered["starts_on"] - ordered["ends_on"].shift()).dt.days.reindex(periods.index)


def _someone_says_when(calls: pd.DataFrame) -> bool:
    """Totals may have one call for each period and no moment; what is filled for some is needed for all."""
    return bool(calls[["as_of", "week"]].notna().any(axis=None))


def _switched_on_twice(outcomes: pd.DataFrame) -> pd.Series:
    """Where another day, or none, is named than in the unit's first row."""
    by = [outcomes["outcome"].fillna(""), outcomes["unit"].fillna("")]
    first = outcomes["since"].groupby(by).transform(lambda since: since.iloc[0])
    return outcomes["since"].ne(first) & (outcomes["since"].notna() | first.notna())


RULES = [
    Rule("periods", "ends_on", lambda t: t["ends_on"] < t["starts_on"],
         "a day on or after starts_on", "Correct the date."),
    Rule("periods", "ends_on", lambda t: (t["ends_on"] - t["starts_on"]).dt.days > _LONGEST_PERIOD,
         "an end within three years of starts_on", "Correct the date."),
    Rule("periods", "freezes_on", lambda t: t["freezes_on"] < t["ends_on"],
         "a day on or after ends_on", "Correct the date."),
    Rule("periods", "starts_on", lambda t: _since_the_period_before(t) <= 0,
         "a day after the end of the period before", "Two periods share days: correct the calendar."),
    Rule("periods", "starts_on", lambda t: _since_the_period_before(t) > 1,
         "the day after the period before ends",
         "Days between two periods belong to none: add a period if that is not meant.", "warning"),
    Rule("deals", "closed_on", lambda t: t["closed_on"] < t["created_on"],
         "a day on or after created_on", "The deal closes before it was created: check both dates.", "warning"),
    Rule("deals", "closed_on", lambda t: t["outcome"].isin(["won", "lost"]) & t["closed_on"].isna(),
         "the day on which a won or lost deal closed",
         "Without it the deal cannot be placed in a period: fill the cell.", "warning"),
    Rule("deals", "amount", lambda t: t["amount"] < 0, "an amount of 0 or more",
         "What is weighted by money leaves these deals out: correct them if they are no credits.", "warning"),
    Rule("forecasts", "value", _no_probability, "a probability from 0 to 1", _percent_or_fault),
    Rule("forecasts", "trained_through", lambda t: t["trained_through"] > t["issued_at"],
         "a day before issued_at",
         "A model cannot be trained through a day after its forecast: check both dates.", "warning"),
    Rule("calls", "amount", lambda t: (t["low"] > t["amount"]) | (t["high"] < t["amount"]),
         "an amount between low and high", "Correct the range of the call."),
    Rule("calls", "as_of", lambda t: t["as_of"].isna() & t["week"].isna() & _someone_says_when(t),
         "the day of the call, or the week of the period", "Without it nothing is known of when it was made: fill it."),
    Rule("history", "valid_to", lambda t: t["valid_to"] <= t["valid_from"],
         "a moment after valid_from", "Correct the version."),
    Rule("outcomes", "of", lambda t: t["of"] <= 0,
         "a number of cases above 0", "Leave out days without cases."),
    Rule("outcomes", "value", lambda t: np.isinf(t["value"]), "a finite number", "Correct the cell."),
    Rule("outcomes", "since", _switched_on_twice, "the same day in every row of a unit, or an empty cell in all of them",
         "Name the day on which the feature was switched on for the unit; leave it empty for units without it."),
    Rule("activity", "count", lambda t: (t["count"] < 0) | (t["count"] % 1 != 0) & t["count"].notna(),
         "a whole number, 0 or more", "Count what was done that day or week."),
]  # fmt: skip
