"""Files as typed columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecasteval.errors import nearest
from forecasteval.tables.checks import _unknown_words, problems_of
from forecasteval.tables.columns import Sheet, normal, read_text
from forecasteval.tables.schemas import CATEGORIES, TABLES, Column, canonical


def read_sheet(path: Path, name: str, zone: str = "UTC") -> tuple[Sheet, list[str]]:
    """A CSV or Parquet file as text cells, indexed by spreadsheet row (for Parquet: row + 1).

    Parameters
    ----------
    path : the file
    name : how problems call it
    zone : time zone of times without one

    Returns
    -------
    sheet, notes
    """
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
        cells = frame.astype("str").where(frame.notna())
        cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
        return Sheet(name, cells, [], zone), []
    cells, problems, notes = read_text(path, name)
    return Sheet(name, cells, problems, zone), notes


def from_sheet(name: str, sheet: Sheet) -> pd.DataFrame:
    """A table of the tidy set from a file's cells; problems are added to the sheet.

    Parameters
    ----------
    name : a table of :data:`TABLES`
    sheet : the file

    Returns
    -------
    DataFrame in canonical columns, indexed by spreadsheet row; empty where a required column is missing

    Examples
    --------
    >>> cells = pd.DataFrame({"Deal ID": ["D1", "D2"], "outcome": ["Won", "win"]}, index=[2, 3])
    >>> sheet = Sheet("deals.csv", cells)
    >>> table = from_sheet("deals", sheet)
    >>> print(sheet.problems[0])
    deals.csv, row 3, column outcome: found 'win'; expected won, lost, open or deleted. Did you mean won? Correct the word.
    """
    if sheet.problems:
        return pd.DataFrame()
    spec = TABLES[name]
    headers = {normal(column): column for column in reversed(list(sheet.cells.columns))}
    missing = [column for column, wanted in spec.items() if wanted.required and normal(column) not in headers]
    if missing:
        for column in missing:
            guess = nearest(column, [str(header) for header in sheet.cells.columns])
            sheet.wrong(
                1,
                column,
                "no such column",
                f"the columns {', '.join(c for c, wanted in spec.items() if wanted.required)}",
                f"{guess}Rename or add the column.",
            )
        return pd.DataFrame()
    columns: dict[str, pd.Series] = {}
    used = set()
    for column, wanted in spec.items():
        header = headers.get(normal(column))
        if header is None:
            continue
        used.add(header)
        if (name, column) == ("forecasts", "value"):
            columns |= _forecast_values(sheet, header, columns["kind"])
        else:
            columns[column] = _values(sheet, header, wanted)
    extra = [str(column) for column in sheet.cells.columns if column not in used]
    for column in extra:
        guess = nearest(column, [known for known in spec if known not in columns])
        if guess:
            advice = (
                f"{guess}It is kept as an extra column." if name == "deals" else f"{guess}It is left out."
            )
            known_names = "a column of the table " + name
            sheet.wrong(1, column, "an unknown column", known_names, advice, "warning")
    if name == "deals":
        columns |= {column: sheet.text(column) for column in extra}
    frame = canonical(name, pd.DataFrame(columns, index=sheet.cells.index))
    known = {(problem.row, problem.column) for problem in sheet.problems}
    found = problems_of(name, frame, sheet.file)
    sheet.problems += [problem for problem in found if (problem.row, problem.column) not in known]
    return frame


def _values(sheet: Sheet, header: str, wanted: Column) -> pd.Series:
    if wanted.kind == "share":
        return sheet.shares(header, percent=False)
    if wanted.choices:
        by_case = {normal(choice): choice for choice in wanted.choices}
        text = sheet.text(header)
        return (
            text.str.lower().str.replace(r"[^a-z0-9]", "", regex=True).map(by_case).fillna(text).astype("str")
        )
    readers = {
        "text": sheet.text, "number": sheet.numbers, "date": sheet.dates, "moment": sheet.moments,
        "flag": sheet.flags,
    }  # fmt: skip
    return readers[wanted.kind](header)


def _forecast_values(sheet: Sheet, header: str, kinds: pd.Series) -> dict[str, pd.Series]:
    """Numbers for every kind but ``category``, whose words go to a column of their own."""
    text = sheet.text(header)
    is_category = kinds.eq("category")
    numeric = Sheet(sheet.file, text.where(~is_category).to_frame(header), sheet.problems)
    columns = {"value": numeric.numbers(header)}
    if is_category.any():
        words = Sheet(sheet.file, text.where(is_category).to_frame(header), sheet.problems)
        columns["category"] = _values(words, header, Column("text", choices=CATEGORIES))
        unknown = columns["category"].notna() & ~columns["category"].isin(CATEGORIES)
        sheet.problems += _unknown_words(sheet.file, header, columns["category"][unknown], CATEGORIES)
    return columns
