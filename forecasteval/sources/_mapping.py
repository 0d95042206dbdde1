"""The mapping of a flat table: which of its columns is what, as a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator

from forecasteval.errors import absent
from forecasteval.tables.document import Document, read_document, said
from forecasteval.tables.schemas import RESERVED

_KINDS = ("probability", "rank_score", "amount")
_OUTCOME = "{column: Status, won: [Won], lost: [Lost]}"
_OUTCOME_ADVICE = "Say which column holds the outcome, in which words."
_FORECAST_KEYS = "keys among column, kind, scale, missing, by, column first"


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _column_alone(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _reserved(value: Any) -> str:
    return "Call the rep's own forecast rep_forecast." if value == "rep" else "Choose another name."


_Header = str | int | float | bool  # as YAML reads the name of a column
_Listed = Annotated[list[Any], BeforeValidator(_listed)]


class Outcome(BaseModel):
    """The column of the outcome, and the words in which it says won, lost or neither."""

    column: _Header
    won: _Listed
    lost: _Listed
    undecided: _Listed = []


class Blocks(BaseModel):
    """Periods of so many days, from the first date of a column."""

    model_config = ConfigDict(extra="forbid", strict=True)

    column: _Header
    block_days: Annotated[int, Field(ge=1)]


def _one_of(key: str, values: tuple[Any, ...], expected: str, advice: str = "") -> WrapValidator:
    return said(expected, advice, allowed=values.__contains__, found=f"{key} {{!r}}")


_Kind = Annotated[Any, _one_of("kind", _KINDS, f"one of {', '.join(_KINDS)}", "Correct the kind.")]
_Scale = Annotated[Any, _one_of("scale", (1, 100), "1 (shares) or 100 (percentages)")]
_Maker = Annotated[
    Any,
    _one_of(
        "by",
        (None, "people", "model"),
        "people (somebody's judgement) or model",
        "Correct it or leave by out.",
    ),
]


class Forecast(BaseModel):
    """The column of a forecast, and how it speaks."""

    model_config = ConfigDict(extra="forbid")

    column: _Header
    kind: _Kind = "probability"
    scale: _Scale = 1
    missing: _Listed = []
    by: _Maker = None

    def speaks(self) -> dict[str, str]:
        """What a matched table says of the forecaster."""
        return {"kind": self.kind} | ({} if self.by is None else {"by": self.by})


_Name = Annotated[
    str,
    BeforeValidator(str),
    said(
        "a name that the matched table does not reserve",
        _reserved,
        allowed=lambda name: name not in RESERVED,
        found="the name {}",
    ),
]
_Forecast = Annotated[Forecast, BeforeValidator(_column_alone), said(_FORECAST_KEYS)]


class Mapped(BaseModel):
    """Which column of a flat table is what; only the outcome must be named."""

    model_config = ConfigDict(extra="forbid")

    description: Any = ""
    target: Any = ""
    table: Annotated[str | None, said("the name of a sheet or table", "Correct it.")] = None
    max_age_days: Any = None
    deal_id: Any = None
    as_of: Any = None
    period: Annotated[
        Blocks | _Header | None, said("a column, or {column: ..., block_days: 14}", "Correct it.")
    ] = None
    rep: Any = None
    account: Any = None
    won: Annotated[Outcome | None, said(_OUTCOME, _OUTCOME_ADVICE)] = None
    amount: Any = None
    amount_won: Any = None
    segments: _Listed = []
    forecasts: Annotated[
        dict[_Name, _Forecast],
        BeforeValidator(lambda value: value or {}),
        said("{name: {column: ..., kind: probability}}"),
    ] = {}
    features: _Listed = []
    group_duplicates: Any = None


def read_mapping(mapping: str | Path | Mapping[str, Any]) -> tuple[Mapped, Document]:
    """A mapping, or the YAML file that holds it; what is wrong with it stands in the document."""
    if isinstance(mapping, Mapping):
        document = Document("mapping", dict(mapping))
    elif not Path(mapping).exists():
        problem = absent(Path(mapping), "file", "a YAML mapping", "Draft one with --explain.")
        document = Document(Path(mapping).name, {}, problems=[problem])
    else:
        document = read_document(Path(mapping), "YAML", "Correct the line.", "Draft one with --explain.")
    unread = bool(document.problems)
    mapped = document.read_as(Mapped)
    if mapped.won is None and not unread and all(problem.column != "won" for problem in document.problems):
        document.wrong("won", "nothing", _OUTCOME, _OUTCOME_ADVICE)
    return mapped, document
