"""The tidy tables, declared: what each column holds, what is the key, and which rows contradict themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

_OUTCOMES = ("won", "lost", "open", "deleted")
_STATUSES = ("open", "won", "lost")
STATES = ("known", "carried", "unknown")
CATEGORIES = ("Commit", "Best Case", "Most Likely", "Pipeline", "Omitted", "Closed")
_KINDS = ("probability", "rank_score", "category", "amount")
_UNITS = ("rep", "team", "company")


@dataclass(frozen=True)
class Column:
    """What a column holds; a required one stands in every file, one that is filled has no empty cell."""

    kind: str  # text | date | moment | number | share | flag
    required: bool = False
    filled: bool = False
    choices: tuple[str, ...] = ()  # the only words allowed; letter case is put right


@dataclass(frozen=True)
class Rule:
    """Rows of a table that contradict themselves or each other: where they are broken, and what is said."""

    table: str
    column: str
    broken: Callable[[pd.DataFrame], pd.Series]
    expected: str
    advice: str | Callable[[pd.Series], str]  # what to do, or how the broken cells tell it
    severity: str = "error"


def _key(kind: str = "text", choices: tuple[str, ...] = ()) -> Column:
    return Column(kind, required=True, filled=True, choices=choices)


_STATE_COLUMNS = {
    "rep": Column("text"),
    "stage": Column("text"),
    "amount": Column("number"),
    "close_on": Column("date"),
    "rep_probability": Column("share"),
    "rep_category": Column("text", choices=CATEGORIES),
}
_STATES = {
    "status": Column("text", choices=_STATUSES),
    "values_state": Column("text", choices=STATES),
    "rep_state": Column("text", choices=STATES),
}
TABLES: dict[str, dict[str, Column]] = {
    "deals": {
        "deal_id": _key(),
        "rep": Column("text"),
        "account": Column("text"),
        "created_on": Column("date"),
        "closed_on": Column("date"),
        "outcome": _key(choices=_OUTCOMES),
        "amount": Column("number"),
    },
    "history": {
        "deal_id": _key(),
        "valid_from": _key("moment"),
        "valid_to": Column("moment"),
        **_STATE_COLUMNS,
        **_STATES,
    },
    "snapshots": {
        "deal_id": _key(),
        "as_of": _key("date"),
        **_STATE_COLUMNS,
        "state": Column("text", choices=STATES),
        **_STATES,
    },
    "forecasts": {
        "deal_id": _key(),
        "as_of": Column("date"),
        "forecaster": _key(),
        "issued_at": _key("moment"),
        "kind": _key(choices=_KINDS),
        "value": Column("number", required=True),
        "close_on": Column("date"),
        "target": Column("text"),
        "trained_through": Column("date"),
    },
    "calls": {
        "unit": _key(choices=_UNITS),
        "unit_id": Column("text"),
        "period": _key(),
        "as_of": _key("date"),
        "forecaster": _key(),
        "amount": _key("number"),
        "low": Column("number"),
        "high": Column("number"),
        "level": Column("text"),
    },
    "periods": {
        "period": _key(),
        "starts_on": _key("date"),
        "ends_on": _key("date"),
        "freezes_on": Column("date"),
    },
    "stages": {
        "stage": _key(),
        "default_probability": Column("share"),
        "category": Column("text", choices=CATEGORIES),
        "is_closed": Column("flag"),
        "is_won": Column("flag"),
    },
    "users": {"rep": _key(), "name": Column("text")},
}
KEYS: dict[str, list[str]] = {
    "deals": ["deal_id"],
    "history": ["deal_id", "valid_from"],
    "snapshots": ["deal_id", "as_of"],
    "forecasts": ["deal_id", "forecaster", "issued_at", "as_of", "target", "kind"],
    "calls": ["unit", "unit_id", "period", "as_of", "forecaster"],
    "periods": ["period"],
    "stages": ["stage"],
    "users": ["rep"],
}
_DTYPES = {
    "text": "str",
    "date": "datetime64[s]",
    "moment": "datetime64[us]",
    "number": "float64",
    "share": "float64",
    "flag": "bool",
}
RESERVED = ("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won")
_PERCENT = "If these are percentages divide them by 100; if they are scores or ranks write rank_score in the column kind."


def _no_probability(forecasts: pd.DataFrame) -> pd.Series:
    value = forecasts["value"]
    return forecasts["kind"].eq("probability") & value.notna() & ~value.between(0, 1)


def _percent_or_fault(cells: pd.Series) -> str:
    return _PERCENT if cells.between(0, 100).all() else "Correct the cell or leave it empty."


def _since_the_period_before(periods: pd.DataFrame) -> pd.Series:
    """Days from the end of the period before to the start: 1 where they follow each other."""
    ordered = periods.sort_values("starts_on")
    return (ordered["starts_on"] - ordered["ends_on"].shift()).dt.days.reindex(periods.index)


RULES = [
    Rule("periods", "ends_on", lambda t: t["ends_on"] < t["starts_on"],
         "a day on or after starts_on", "Correct the date."),
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
    Rule("forecasts", "value", _no_probability, "a probability from 0 to 1", _percent_or_fault),
    Rule("forecasts", "trained_through", lambda t: t["trained_through"] > t["issued_at"],
         "a day before issued_at",
         "A model cannot be trained through a day after its forecast: check both dates.", "warning"),
    Rule("calls", "amount", lambda t: (t["low"] > t["amount"]) | (t["high"] < t["amount"]),
         "an amount between low and high", "Correct the range of the call."),
    Rule("history", "valid_to", lambda t: t["valid_to"] <= t["valid_from"],
         "a moment after valid_from", "Correct the version."),
]  # fmt: skip


def canonical(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column of its table present, in order and of its dtype; others come last.

    >>> canonical("users", pd.DataFrame({"rep": ["r1"]})).columns.tolist()
    ['rep', 'name']
    """
    typed = {}
    for column, spec in TABLES[name].items():
        dtype: Any = _DTYPES[spec.kind]
        if column in frame:
            typed[column] = frame[column] if frame[column].dtype == dtype else frame[column].astype(dtype)
        elif spec.kind != "flag":
            typed[column] = pd.Series(index=frame.index, dtype=dtype)
    extra = {column: frame[column] for column in frame.columns if column not in TABLES[name]}
    return pd.DataFrame({**typed, **extra}, index=frame.index)
