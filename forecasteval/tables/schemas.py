"""The tidy tables, declared: what each column holds, and what is the key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasteval.tables.coded import coded

_OUTCOMES = ("won", "lost", "open", "deleted")
_STATUSES = ("open", "won", "lost")
STATES = ("known", "carried", "unknown")
CATEGORIES = ("Commit", "Best Case", "Most Likely", "Pipeline", "Omitted", "Closed")
_KINDS = ("probability", "rank_score", "category", "amount")
_UNITS = ("rep", "team", "company")
ACTIVITIES = (
    "inbound",
    "rep",
    "account",
)  # new leads or deals by market; what is done by a rep, with an account


@dataclass(frozen=True)
class Column:
    """What a column holds; a required one stands in every file, one that is filled has no empty cell."""

    kind: str  # text | date | moment | number | share | flag
    required: bool = False
    filled: bool = False
    choices: tuple[str, ...] = ()  # the only words allowed; letter case is put right


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
        "as_of": Column("date"),
        "week": Column("number"),
        "forecaster": _key(),
        "amount": _key("number"),
        "low": Column("number"),
        "high": Column("number"),
        "level": Column("text"),
    },
    "actuals": {
        "unit": _key(choices=_UNITS),
        "unit_id": Column("text"),
        "period": _key(),
        "amount": _key("number"),
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
    "users": {"rep": _key(), "name": Column("text"), "manager": Column("text")},
    "outcomes": {
        "outcome": Column("text"),
        "unit": _key(),
        "on": _key("date"),
        "value": _key("number"),
        "of": Column("number"),
        "ended": Column("flag"),
        "since": Column("date"),
    },
    "activity": {
        "kind": _key(choices=ACTIVITIES),
        "unit": _key(),
        "on": _key("date"),
        "count": _key("number"),
    },
}
KEYS: dict[str, list[str]] = {
    "deals": ["deal_id"],
    "history": ["deal_id", "valid_from"],
    "snapshots": ["deal_id", "as_of"],
    "forecasts": ["deal_id", "forecaster", "issued_at", "as_of", "target", "kind"],
    "calls": ["unit", "unit_id", "period", "as_of", "week", "forecaster"],
    "actuals": ["unit", "unit_id", "period"],
    "periods": ["period"],
    "stages": ["stage"],
    "users": ["rep"],
    "outcomes": [],  # one row a case, or one a day: rows may be alike
    "activity": ["kind", "unit", "on"],
}
_DTYPES = {
    "text": "str",
    "date": "datetime64[s]",
    "moment": "datetime64[us]",
    "number": "float64",
    "share": "float64",
    "flag": "bool",
}
_LARGE = ("history", "snapshots")  # their words are kept by code
RESERVED = ("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won")


def canonical(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column of its table present, in order and of its dtype; others come last.

    >>> canonical("users", pd.DataFrame({"rep": ["r1"]})).columns.tolist()
    ['rep', 'name', 'manager']
    """
    typed = {}
    for column, spec in TABLES[name].items():
        dtype: Any = _DTYPES[spec.kind]
        if dtype == "str" and name in _LARGE:
            cells = frame[column] if column in frame else pd.Series(index=frame.index, dtype="str")
            typed[column] = coded(cells)
            continue
        if column in frame:
            typed[column] = frame[column] if frame[column].dtype == dtype else frame[column].astype(dtype)
        elif spec.kind != "flag":
            typed[column] = pd.Series(index=frame.index, dtype=dtype)
    extra = {column: frame[column] for column in frame.columns if column not in TABLES[name]}
    return pd.DataFrame({**typed, **extra}, index=frame.index, copy=False)
