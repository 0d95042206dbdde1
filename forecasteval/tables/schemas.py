"""The tidy tables, declared: what each column holds, and what is the key; the declarations stand in schemas.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.tables.coded import coded
from forecasteval.tables.document import read_facts

_DTYPES = {
    "text": "str", "date": "datetime64[s]", "moment": "datetime64[us]", "number": "float64", "share": "float64",
    "flag": "bool",
}  # fmt: skip
_LARGE = ("history", "snapshots")  # their words are kept by code
RESERVED = ("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won")


@dataclass(frozen=True)
class Column:
    """What a column holds; a required one stands in every file, one that is filled has no empty cell."""

    kind: str  # text | date | moment | number | share | flag
    required: bool = False
    filled: bool = False
    choices: tuple[str, ...] = ()  # the only words allowed; letter case is put right

    @classmethod
    def declared(cls, words: str) -> Column:
        """A column as it is declared.

        >>> Column.declared("filled won | lost")
        Column(kind='text', required=True, filled=True, choices=('won', 'lost'))
        """
        held = words.removeprefix("filled ").removeprefix("required ")
        choices = () if held in _DTYPES else tuple(held.split(" | "))
        return cls("text" if choices else held, held != words, words.startswith("filled "), choices)


_DECLARED = read_facts(Path(__file__).with_suffix(".yaml"))
KEYS: dict[str, list[str]] = {name: columns.pop("key") for name, columns in _DECLARED.items()}
TABLES = {
    name: {column: Column.declared(words) for column, words in columns.items()}
    for name, columns in _DECLARED.items()
}
STATES = TABLES["history"]["values_state"].choices
CATEGORIES = TABLES["stages"]["category"].choices


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
