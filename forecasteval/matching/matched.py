"""The matched table: one row per deal and moment, a column per forecaster, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval.errors import CallError
from forecasteval.matching.ids import ID_COLUMNS, joined_ids
from forecasteval.tables.frames import EXPECTED, frame_of
from forecasteval.tables.organisation import Org

META = "forecasteval"  # key of DataFrame.attrs under which a table says where its rows come from
RESERVED = frozenset(["deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won"])
DAYS_AHEAD = "days_ahead"  # among what came with a table: at least so many until the target is settled
ROUNDING = 1e-9  # a probability outside [0, 1] by less is one


@dataclass(frozen=True, eq=False)
class Matched:
    """The one value that a comparison takes. `DataFrame.attrs` carries the same at the public door only.

    Attributes
    ----------
    forecasters : dict by name
        Kind, gloss, own target and what each had learned from, where that was declared.
    flow : list of steps from the export to these rows
    target, population, when, where : str
        What is forecast, and of which deals at which moment, in words.
    nouns : dict
        What clusters are called, such as "quarters" for periods.
    stop : list of reasons why nothing can be compared
    joined : dict by column
        Which ids were read as one, in words.
    features : list of str
        Columns that a reference model of a flat table may learn from.
    more : dict
        Whatever else came with the table.
    """

    table: pd.DataFrame
    forecasters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    flow: list[dict[str, Any]] = field(default_factory=list)
    target: str = ""
    population: str = ""
    when: str = ""
    where: str = ""
    nouns: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    stop: list[dict[str, str]] = field(default_factory=list)
    joined: Mapping[str, str] = field(default_factory=dict)
    features: list[str] = field(default_factory=list)
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Any) -> Matched:
        """Whatever a user hands over as a matched table: the one door, where ids are cleaned.

        Raises
        ------
        CallError
            For what is no table of deals; says what it is and what is expected.
        """
        if isinstance(table, Matched):
            return table
        imported = isinstance(table, Org)
        if isinstance(table, Org):
            if table.matched is None:
                raise CallError(
                    f"{table.name} holds deals, not a matched table; put them through fe.match first."
                )
            table = table.matched
        about = dict(table.attrs.get(META, {})) if isinstance(table, pd.DataFrame) else {}
        if not (imported or about.get("stop")):  # a table that says why it is empty may be empty
            table = frame_of(table)
        table = table.copy(deep=False)
        table.attrs = {}  # pandas copies attrs deeply at every step
        known = {name: about.pop(name) for name in _ABOUT if name in about}
        joined = dict(known.pop("joined", {}))
        for name in ID_COLUMNS:
            if name in table:
                table[name], said = joined_ids(table[name], name)
                joined |= {name: said} if said else {}
        return cls(table, **known, joined=joined, more=about)

    def frame(self) -> pd.DataFrame:
        """The table as users hold it, with what is known of it in `attrs`."""
        table = self.table.copy(deep=False)
        known = {name: value for name in _ABOUT if (value := getattr(self, name))}
        table.attrs = {META: {"flow": [], **self.more, **known}}
        return table

    def rows(self, keep: ArrayLike, **changed: Any) -> Matched:
        """The rows of a mask, or at some positions, with what changes by it."""
        at = np.asarray(keep)
        at = np.flatnonzero(at) if at.dtype == bool else at
        return replace(self, table=self.table.iloc[at].reset_index(drop=True), **changed)

    def __contains__(self, column: object) -> bool:
        """Is there such a column?"""
        return column in self.table

    def __getitem__(self, column: str) -> pd.Series:
        """One column."""
        return self.table[column]

    def has(self, dimension: str) -> bool:
        """Does the table know a dimension: is the column there and not wholly empty?"""
        return dimension in self.table and bool(self.table[dimension].notna().any())

    @property
    def names(self) -> list[str]:
        """Names of the columns that hold forecasts: those declared, else every numeric one not reserved."""
        if self.forecasters:
            return [n for n in self.forecasters if n in self.table]
        return [str(c) for c in self.table.select_dtypes("number").columns if c not in RESERVED]

    @property
    def segments(self) -> list[str]:
        """Columns that divide the deals: neither reserved nor a forecaster."""
        named = set(self.names) | (RESERVED - {"period", "rep", "account"})
        return [str(c) for c in self.table.columns if c not in named]

    @property
    def kinds(self) -> dict[str, str]:
        """Declared kind by forecaster."""
        return {n: str(f["kind"]) for n, f in self.forecasters.items() if "kind" in f}

    @property
    def deals(self) -> int:
        """Number of deals, which may be seen several times."""
        return int(self.table["deal_id"].nunique())

    def numbers(self, column: str) -> NDArray[np.float64]:
        """A column as numbers, NaN where it is empty; refused where a cell holds something else."""
        return numbers(self.table, column)

    def no_numbers(self, column: str) -> str:
        """What is to be said of a column in which some cells are no numbers."""
        try:
            self.numbers(column)
        except StrangeCells:
            raise
        except CallError as error:
            return str(error)
        return ""

    def is_probability(self, name: str) -> bool:
        """Does a forecaster give probabilities of these deals?"""
        if name not in self.table or not pd.api.types.is_numeric_dtype(self.table[name]):
            return False
        said = self.table[name].dropna()
        declared = self.kinds.get(name, "probability") == "probability"
        return declared and len(said) > 0 and bool(said.between(-ROUNDING, 1 + ROUNDING).all())

    def counted_flow(self, deals: int, rows: int) -> list[dict[str, Any]]:
        """The flow to so many deals and rows, closed by what was selected since."""
        steps = [dict(s) for s in self.flow]
        if not steps:
            return [{"step": "deals in the table", "deals": deals, "dropped": 0, "why": ""}]
        before = int(steps[-1]["deals"])
        if before not in (deals, rows):  # imported tables count rows
            why = "outside the selection that was compared"
            steps.append({"step": "selected", "deals": deals, "dropped": before - deals, "why": why})
        return steps


_ABOUT = [f.name for f in fields(Matched) if f.name not in ("table", "more")]


def numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where it is empty; an error names the first cell that is none.

    Probabilities outside [0, 1] by no more than rounding are moved there.
    """
    column = table[name]
    if isinstance(column, pd.DataFrame):
        raise CallError(f"There are {column.shape[1]} columns named {name}; rename or drop the others.")
    if not pd.api.types.is_numeric_dtype(column):
        column = single_cells(column.astype(object))
        read = pd.to_numeric(column, errors="coerce")
        refuse_rows(
            (read.isna() & column.notna()).to_numpy(),
            lambda n, row: (
                f"{name} holds {n} cells that are not numbers; the first is row {row + 1}: {str(column.iloc[row])!r}."
            ),
        )
        column = read
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if name in RESERVED:
        return values
    low, high = np.fmin.reduce(values, initial=0.0), np.fmax.reduce(values, initial=1.0)
    rounded = (low < 0 or high > 1) and low >= -ROUNDING and high <= 1 + ROUNDING
    return np.clip(values, 0.0, 1.0) if rounded else values


class StrangeCells(CallError):
    """Cells that hold neither a number nor a text."""


def refuse_rows(
    wrong: NDArray[np.bool_], say: Callable[[str, int], str], error: type[CallError] = CallError
) -> None:
    """Refuse what some rows hold, in a sentence that is told how many they are and the position of the first."""
    if wrong.any():
        raise error(say(f"{int(wrong.sum()):,}", int(np.argmax(wrong))))


def single_cells(column: pd.Series) -> pd.Series:
    """The column itself, refused where a cell holds several values or a complex number."""
    if pd.api.types.is_object_dtype(column.dtype):
        strange = column.map(lambda cell: isinstance(cell, complex | dict | set) or np.ndim(cell) > 0)
        refuse_rows(
            strange.to_numpy(dtype=bool),
            lambda n, row: (
                f"{column.name} holds {n} cells that are not one real number; the first is row {row + 1}: "
                f"{str(column.iloc[row])!r}. {EXPECTED}."
            ),
            StrangeCells,
        )
    return column


def pseudonyms(names: Iterable[Any], noun: str = "rep") -> dict[Any, str]:
    """Stand-ins for names, numbered by how often each occurs: names of people are personal data.

    >>> pseudonyms(["Ann", "Bo", "Bo"])
    {'Bo': 'rep 1', 'Ann': 'rep 2'}
    """
    seen = pd.Series(list(names)).dropna().astype(str).value_counts().reset_index()
    seen = seen.sort_values(["count", seen.columns[0]], ascending=[False, True])
    return {name: f"{noun} {i}" for i, name in enumerate(seen.iloc[:, 0], start=1)}


def shown_as(names: Iterable[Any], show: bool | Mapping[str, str], noun: str = "rep") -> dict[Any, str]:
    """What people read in the place of names or ids: stand-ins, the names themselves, or those that ``show`` holds.

    >>> shown_as(["005A", "005B"], {"005A": "Ann Able"})
    {'005A': 'Ann Able', '005B': '005B'}
    """
    if isinstance(show, bool):
        return {name: str(name) for name in names} if show else pseudonyms(names, noun)
    return {name: show.get(name, str(name)) for name in names}
