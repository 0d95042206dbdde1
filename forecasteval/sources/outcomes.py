"""Any flat table of outcomes, a row per case or per unit and day, as the tidy table ``outcomes``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasteval.errors import CallError, InputError, nearest
from forecasteval.sources._mapping import document_of
from forecasteval.sources._reader import Reader, read_flat
from forecasteval.tables.document import said
from forecasteval.tables.schemas import TABLES
from forecasteval.tables.tidy_table import from_sheet

_FILE = "outcomes.csv"
_ADVICE = "Name one of the file's columns."


class _Words(BaseModel):
    """A column whose words say whether something happened."""

    model_config = ConfigDict(extra="forbid")

    column: str
    happened: list[Any]
    did_not: list[Any]


class _Mapped(BaseModel):
    """Which column of a table of outcomes is what; `since` may also be a day for each unit that got the feature."""

    model_config = ConfigDict(extra="forbid")

    unit: str = ""
    on: str = ""
    value: Annotated[
        _Words | str, said("a column, or {column: Status, happened: [Breached], did_not: [In time]}")
    ] = ""
    of: str | None = None
    ended: Annotated[
        _Words | str | None, said("a column, or {column: ..., happened: [...], did_not: [...]}")
    ] = None
    since: Annotated[dict[str, Any] | str | None, said("a column, or {Team A: 2026-02-01}, days by unit")] = (
        None
    )
    outcome: str | None = None
    decimal_mark: str = ""
    table: str | None = None


def speaks_of_outcomes(mapping: str | Path) -> bool:
    """Whether a mapping is one of outcomes: it has units and a value, and no outcome of deals and no totals."""
    given = document_of(mapping, "Write unit: Team.").given
    return {"unit", "value"} <= set(given) and not {"won", "actual", "converted"} & set(given)


def import_outcomes(
    file: Any, mapping: str | Path | Mapping[str, Any], table: str | None = None
) -> pd.DataFrame:
    """A table of outcomes in the columns of the tidy one.

    Parameters
    ----------
    file, table : as for :func:`forecasteval.sources.flat_table.import_table`
    mapping : keys ``unit, on, value`` (columns; ``value`` may be ``{column, happened: [words], did_not: [words]}``) and, optional,
        ``since`` (a column, or days by unit), ``of``, ``ended``, ``outcome``, ``decimal_mark``, ``table``

    Raises
    ------
    InputError
        Lists every problem of the mapping and of the table, by row and by the file's own columns.

    Examples
    --------
    >>> rows = pd.DataFrame({"Queue": ["A", "B"], "Opened": ["2026-01-05", "2026-01-05"], "SLA": ["Breached", "In time"]})
    >>> said = {"unit": "Queue", "on": "Opened", "value": {"column": "SLA", "happened": ["Breached"], "did_not": ["In time"]},
    ...         "since": {"A": "2026-02-01"}}
    >>> import_outcomes(rows, said)[["unit", "value"]].values.tolist()
    [['A', 1.0], ['B', 0.0]]
    """
    document = document_of(mapping, "Write unit: Team.")
    document.given = _plain(document.given)
    if lacking := [key for key in ("unit", "on", "value") if key not in document.given]:
        for key in lacking:
            document.wrong(key, "nothing", "a column of the file", _ADVICE)
        raise InputError(document.problems)
    mapped = document.read_as(_Mapped)
    if document.problems:
        raise InputError(document.problems)
    sheet, _ = read_flat(file, table or mapped.table)
    cells, header_of = _cells(Reader(document, sheet), mapped)
    if document.problems or sheet.cells.empty:
        raise InputError(document.problems + sheet.problems)
    tidy = replace(sheet, cells=pd.DataFrame(cells, index=sheet.cells.index), problems=[])
    tidy.decimal = mapped.decimal_mark or sheet.decimal
    rows = from_sheet("outcomes", tidy)
    wrong = [problem for problem in tidy.problems if problem.severity == "error"]
    if wrong or sheet.problems:
        raise InputError(
            sheet.problems + [replace(p, column=header_of.get(p.column or "", p.column)) for p in wrong]
        )
    return rows


def write_outcomes(rows: pd.DataFrame, folder: str | Path) -> Path:
    """The table as ``outcomes.csv`` of a data folder, which must not be there yet."""
    path = Path(folder) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8", newline="") as stream:
            rows.dropna(axis=1, how="all").to_csv(stream, index=False)
    except FileExistsError:
        raise CallError(
            f"{path} is there already and is not written over. Move it away, or choose another --out."
        ) from None
    return path


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """Days by unit and headers as text, which YAML reads as dates and numbers; a key on, which it reads as true."""
    given = {"on" if key is True else str(key): value for key, value in given.items()}
    text = {k: v if isinstance(v, Mapping | list) or v is None else str(v) for k, v in given.items()}
    if isinstance(since := text.get("since"), Mapping):
        text["since"] = {str(unit): str(day) for unit, day in since.items()}
    return text


def _cells(reader: Reader, mapped: _Mapped) -> tuple[dict[str, pd.Series], dict[str, str]]:
    """The cells under the names of the tidy table, and the file's header for each."""
    cells, header_of = dict[str, pd.Series](), dict[str, str]()
    for name in TABLES["outcomes"]:
        wanted = getattr(mapped, name)
        header = None
        if not isinstance(wanted, dict):
            header = reader.column(name, wanted.column if isinstance(wanted, _Words) else wanted)
        if header is None:
            continue
        cells[name], header_of[name] = reader.sheet.cells[header], header
        if isinstance(wanted, _Words):
            sides = {"1": wanted.happened, "0": wanted.did_not}
            advice = f"Add the word to happened or did_not of {name} in the mapping."
            said = reader.told(header, sides, "one of the mapping's words", advice)
            cells[name] = (
                pd.Series(None, cells[name].index, dtype="str").mask(said["1"], "1").mask(said["0"], "0")
            )
    if isinstance(mapped.since, dict) and "unit" in cells:
        units = reader.sheet.text(header_of["unit"])
        for unit in sorted(set(mapped.since) - set(units.dropna())):
            advice = f"{nearest(unit, list(units.dropna().unique()))}Correct the name."
            reader.document.wrong("since", repr(unit), f"a unit of the column {header_of['unit']}", advice)
        cells["since"] = units.map(mapped.since)
    return cells, header_of
