"""Hand-written rules as a points table: a YAML file of field, condition and points; each lead gets the sum of what fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from forecasteval.errors import CallError, Problem, absent, nearest
from forecasteval.tables.columns import Sheet
from forecasteval.tables.document import Document, read_document, said
from forecasteval.tables.organisation import Org

_EXAMPLE = "{field: employees, condition: {at_least: 200}, points: 15}"
_Number = Annotated[
    float | None, said("a number", "Correct it.", allowed=lambda v: v is None or np.isfinite(v))
]
_Words = Annotated[
    list[str | float | bool] | None,
    BeforeValidator(lambda v: v if v is None or isinstance(v, list) else [v]),
    said("a value or a list of values", "Correct it."),
]
_Text = Annotated[str, BeforeValidator(lambda v: "" if v is None else str(v)), said("words", "Correct it.")]


class Condition(BaseModel):
    """When a rule fits; several keys must all hold. A field that is empty fits `known: false` and nothing else."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    one_of: _Words = Field(default=None, alias="is", description="one of these values; case does not matter")
    none_of: _Words = Field(default=None, alias="is_not", description="filled, and none of these values")
    contains: _Words = Field(default=None, description="a text that holds one of these")
    at_least: _Number = None
    at_most: _Number = None
    above: _Number = None
    below: _Number = None
    known: Annotated[bool | None, said("true or false", "Correct it.")] = Field(
        default=None, description="true: the field is filled; false: it is empty"
    )

    def __str__(self) -> str:
        """The condition in words."""
        parts = [
            f"{name.replace('_', ' ')} {' or '.join(map(_plain, value)) if isinstance(value, list) else _plain(value)}"
            for name, value in self.model_dump(by_alias=True, exclude_none=True).items()
            if name != "known"
        ]
        return " and ".join(
            parts + ([] if self.known is None else ["is known" if self.known else "is not known"])
        )


class Rule(BaseModel):
    """One line of a points table."""

    model_config = ConfigDict(extra="forbid")

    field: _Text = Field(default="", description="a column of the table of leads")
    condition: Annotated[Condition | None, Field(description="a bare value stands for {is: value}")] = None
    points: _Number = Field(default=None, description="added where the condition holds; below 0 to take away")
    because: _Text = Field(default="", description="what an explanation says in place of field and condition")

    @property
    def words(self) -> str:
        """What the rule looks at, in words."""
        return self.because or f"{self.field.replace('_', ' ')} {self.condition}"


class PointsTable(BaseModel):
    """Hand-written rules, in a YAML file."""

    model_config = ConfigDict(extra="forbid")

    description: _Text = ""
    rules: list[Rule] = []


class _Reader(Protocol):
    """A flat table that is being read."""

    sheet: Sheet
    headers: list[str]

    def present(self, column: str) -> Sheet:
        """The column with words for "missing" blanked."""

    def equal(self, column: str, words: Sequence[Any]) -> pd.Series:
        """Where a cell is one of the words."""


@dataclass(frozen=True, eq=False)
class Points:
    """The points of each row, which rules gave them (rows x rules), and what there is to say."""

    rules: tuple[Rule, ...]
    fits: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum of the points."""
        each: NDArray[np.float64] = np.array([rule.points for rule in self.rules], dtype=float)
        return np.asarray(self.fits @ each, dtype=float)

    @property
    def because(self) -> NDArray[np.object_]:
        """Of each row the rules that gave points, in words."""
        patterns, which = np.unique(self.fits, axis=0, return_inverse=True)
        told = [
            "; ".join(f"{r.points:+g} {r.words}" for r, fits in zip(self.rules, row, strict=True) if fits)
            or "no rule fits"
            for row in patterns
        ]
        return np.array(told, dtype=object)[which.ravel()]


def read_points(path: str | Path) -> tuple[list[tuple[Rule, int]], Document]:
    """The rules of a points table, each with its row in the file; what is wrong stands in the document.

    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "rules.yaml"
    >>> _ = file.write_text("rules:\\n- {field: size, condition: {at_leest: 200}, points: 15}\\n- {field: mail, condition: work}\\n")
    >>> for problem in read_points(file)[1].problems: print(problem)
    rules.yaml, row 2, column at_leest: found an unknown key; expected one of is, is_not, contains, at_least, at_most, above, \
below, known. Did you mean at_least? Correct or remove the line.
    rules.yaml, row 3, column points: found nothing; expected points. Write {field: employees, condition: {at_least: 200}, points: 15}.
    """
    path = Path(path)
    if not path.is_file():
        expected = "a points table"
        return [], Document(
            path.name, {}, problems=[absent(path, "file", expected, f"Write lines - {_EXAMPLE}.")]
        )
    document = read_document(
        path, "a points table", "Correct the line.", f"Write rules: and below it - {_EXAMPLE}."
    )
    entries = document.given.pop("rules", None)
    document.read_as(PointsTable)
    if not isinstance(entries, list) or not entries:
        if not document.problems:
            document.wrong("rules", "no list", f"lines - {_EXAMPLE}", "Write one for each rule.")
        return [], document
    rules = [_rule(document, at, entry) for at, entry in enumerate(entries)]
    return [rule for rule in rules if rule is not None], document


def _rule(document: Document, at: int, entry: Any) -> tuple[Rule, int] | None:
    """One rule and its row; None where something is wrong with it."""
    row = document.rows.get(f"rules.{at}", 0)
    part = Document(document.file, entry if isinstance(entry, dict) else {})
    here = f"rules.{at}."
    part.rows = {k.removeprefix(here): r for k, r in document.rows.items() if k.startswith(here)}
    raw = part.given.pop("condition", None) if isinstance(entry, dict) else None
    inner = Document(document.file, raw if isinstance(raw, dict) else {} if raw is None else {"is": raw})
    inner.rows = {k.removeprefix("condition."): r for k, r in part.rows.items() if k.startswith("condition.")}
    condition = _read_aliased(inner, row)
    rule = part.read_as(Rule).model_copy(update={"condition": condition})
    problems = part.problems + inner.problems
    if not problems:
        lacking = {"field": not rule.field, "condition": not inner.given, "points": rule.points is None}
        for key in (key for key, absent_key in lacking.items() if absent_key):
            part.rows.setdefault(key, row)
            part.wrong(key, "nothing", key, f"Write {_EXAMPLE}.")
    document.problems += part.problems + inner.problems
    return None if part.problems or inner.problems else (rule, row)


def _read_aliased(inner: Document, row: int) -> Condition:
    """A condition; its keys are known by their aliases, and lie in the rule's row where they have none of their own."""
    names = [f.alias or name for name, f in Condition.model_fields.items()]
    inner.rows = {key: inner.rows.get(key, row) for key in map(str, inner.given)}
    for key in [key for key in inner.given if str(key) not in names]:
        advice = f"{nearest(str(key), names)}Correct or remove the line."
        inner.wrong(str(key), "an unknown key", f"one of {', '.join(names)}", advice)
        inner.given.pop(key)
    return inner.read_as(Condition)


def points_of(reader: _Reader, name: str, path: str | Path, leaks: dict[str, str]) -> Points | None:
    """The points that a table of rules gives to each row of a flat table; None where it cannot be read.

    A condition on numbers reads its field as numbers; what is none is a problem with its row.
    """
    rules, document = read_points(path)
    columns, problems = {}, list(document.problems)
    for rule, row in rules:
        column = reader.sheet.find(rule.field)
        columns[rule.field] = str(column)
        if column is None:
            expected, advice = f"a column of {reader.sheet.file}", nearest(rule.field, reader.headers)
            found = repr(rule.field)
        elif column in leaks:
            found = f"{column}, which is the {leaks[column]}"
            expected, advice = "what was known at the scoring moment", "Take the rule out."
        else:
            continue
        problems.append(Problem(document.file, row, "field", found, expected, advice or "Correct the name."))
    reader.sheet.problems += problems
    if problems or not rules:
        return None
    fits = np.column_stack([_fits(reader, columns[rule.field], rule.condition) for rule, _ in rules])
    never = [
        f"row {row}, {rule.words}"
        for (rule, row), any_row in zip(rules, np.atleast_1d(fits.any(axis=0)), strict=True)
        if not any_row
    ]
    notes = (
        [f"{name}: no row fits {'; '.join(never)}. See whether the words are those of the table."]
        if never
        else []
    )
    return Points(tuple(rule for rule, _ in rules), fits, tuple(notes))


def explained(org: Org, lead: str | None = None) -> pd.DataFrame:
    """Of each decided lead, or of one, the points of every points table and the rules that gave them.

    Raises
    ------
    CallError
        Where there are no points tables, or no such lead.
    """
    matched = org.matched
    named = [] if matched is None else list(matched.attrs["forecasteval"].get("points_fields", {}))
    if matched is None or not named:
        raise CallError(
            f"{org.name} has no points table: name one under forecasts in mapping.yaml, as {{points: rules.yaml}}."
        )
    table = matched[["deal_id", *(c for n in named for c in (n, f"{n}_because"))]].rename(
        columns={"deal_id": "lead_id"}
    )
    if lead is not None:
        table = table[table["lead_id"] == lead]
        if table.empty:
            raise CallError(f"There is no decided lead {lead!r} among {len(matched):,}.")
    return table


def _fits(reader: _Reader, column: str, condition: Condition | None) -> NDArray[np.bool_]:
    """Where a condition holds."""
    assert condition is not None
    text = reader.present(column).text(column)
    filled = text.notna().to_numpy()
    if condition.known is False:
        return ~filled
    holds = filled.copy()
    if condition.one_of is not None:
        holds &= reader.equal(column, condition.one_of).to_numpy()
    if condition.none_of is not None:
        holds &= ~reader.equal(column, condition.none_of).to_numpy()
    if condition.contains is not None:
        parts = [text.str.contains(str(w), case=False, regex=False).fillna(False) for w in condition.contains]
        holds &= np.logical_or.reduce([p.to_numpy(dtype=bool) for p in parts])
    limits = (
        (condition.at_least, np.greater_equal), (condition.at_most, np.less_equal),
        (condition.above, np.greater), (condition.below, np.less),
    )  # fmt: skip
    if any(limit is not None for limit, _ in limits):
        numbers = reader.present(column).numbers(column).to_numpy(dtype=float, na_value=np.nan)
        for limit, compared in limits:
            if limit is not None:
                holds &= np.asarray(compared(numbers, limit))
    return holds


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
