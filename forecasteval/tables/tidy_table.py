"""A tidy table: made from a file's cells, checked by its schema, and checked against the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from forecasteval.errors import Problem, nearest, pinned
from forecasteval.tables._rules import RULES
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.schemas import CATEGORIES, KEYS, TABLES, Column, canonical


def from_sheet(name: str, sheet: Sheet) -> pd.DataFrame:
    """A table of the tidy set from a file's cells, indexed by spreadsheet row; problems are added to the sheet.

    It is empty where a required column is missing. Other columns are kept with the deals, as segments.

    >>> cells = pd.DataFrame({"Deal ID": ["D1", "D2"], "outcome": ["Won", "win"]}, index=[2, 3])
    >>> sheet = Sheet("deals.csv", cells)
    >>> table = from_sheet("deals", sheet)
    >>> print(sheet.problems[0])
    deals.csv, row 3, column outcome: found 'win'; expected won, lost, open or deleted. Did you mean won? Correct the word.
    """
    if sheet.problems:
        return pd.DataFrame()
    schema = TABLES[name]
    headers = sheet.headers()
    required = [column for column, spec in schema.items() if spec.required]
    missing = [column for column in required if normal(column) not in headers]
    for column in missing:
        advice = f"{nearest(column, list(map(str, sheet.cells.columns)))}Rename or add the column."
        sheet.wrong(1, column, "no such column", f"the columns {', '.join(required)}", advice)
    if missing:
        return pd.DataFrame()
    own = {column: header for column in schema if (header := sheet.find(column)) is not None}
    if sheet.problems:
        return pd.DataFrame()
    columns: dict[str, pd.Series] = {}
    for column, header in own.items():
        if (name, column) == ("forecasts", "value"):
            columns |= _forecast_values(sheet, header, columns["kind"])
        else:
            columns[column] = _values(sheet, header, schema[column])
    columns |= _extra(name, sheet, own)
    frame = canonical(name, pd.DataFrame(columns, index=sheet.cells.index))
    said = {(problem.row, problem.column) for problem in sheet.problems}
    found = problems_of(name, frame, sheet.file)
    sheet.problems += [problem for problem in found if (problem.row, problem.column) not in said]
    return frame


def _values(sheet: Sheet, header: str, spec: Column) -> pd.Series:
    if spec.choices:
        by_case = {normal(choice): choice for choice in spec.choices}
        text = sheet.text(header)
        words = text.str.lower().str.replace(r"[^a-z0-9]", "", regex=True)
        return words.map(by_case).fillna(text).astype("str")
    return sheet.read(header, "name" if spec.kind == "text" else spec.kind)


def _forecast_values(sheet: Sheet, header: str, kinds: pd.Series) -> dict[str, pd.Series]:
    """Numbers for every kind but ``category``, whose words go to a column of their own."""
    text = sheet.text(header)
    is_category = kinds.eq("category")
    columns = {"value": sheet.part(text.where(~is_category)).numbers(header)}
    if is_category.any():
        part = sheet.part(text.where(is_category))
        words = _values(part, header, Column("text", choices=CATEGORIES))
        sheet.problems += _unknown_words(sheet.file, header, words, CATEGORIES)
        columns["category"] = words
    return columns


def _extra(name: str, sheet: Sheet, own: Mapping[str, str]) -> dict[str, pd.Series]:
    """The columns that the schema does not have; one that is nearly one of it is spoken of."""
    extra = [str(header) for header in sheet.cells.columns if header not in own.values()]
    for header in extra:
        guess = nearest(header, [column for column in TABLES[name] if column not in own])
        if guess:
            advice = f"{guess}It is {'kept as an extra column' if name == 'deals' else 'left out'}."
            sheet.wrong(1, header, "an unknown column", f"a column of the table {name}", advice, "warning")
    return {header: sheet.text(header) for header in extra} if name == "deals" else {}


def problems_of(name: str, frame: pd.DataFrame, file: str) -> list[Problem]:
    """Everything that a table's schema objects to: empty cells, unknown words, keys that repeat, broken rules.

    >>> twice = canonical("users", pd.DataFrame({"rep": ["r1", "r1"]}, index=[2, 3]))
    >>> print(problems_of("users", twice, "User.csv")[0])
    User.csv, row 3, column rep: found 'r1' again; expected each rep once. Remove the duplicate row.
    """
    problems: list[Problem] = []
    for column in (column for column in TABLES[name] if column in frame):
        spec, cells = TABLES[name][column], frame[column]
        if spec.filled:
            expected = f"a value in every row of {column}"
            problems += pinned(file, column, cells[cells.isna()], expected, "Fill the cell.")
        if column in KEYS[name][:1]:
            problems += _repeated(name, frame, file)
        problems += _unknown_words(file, column, cells, spec.choices)
    for rule in (rule for rule in RULES if rule.table == name):
        cells = frame.loc[rule.broken(frame), rule.column]
        advice = rule.advice(cells) if callable(rule.advice) else rule.advice
        problems += pinned(file, rule.column, cells, rule.expected, advice, severity=rule.severity)
    return problems


def _repeated(name: str, frame: pd.DataFrame, file: str) -> list[Problem]:
    first = KEYS[name][0]
    used = [part for part in KEYS[name] if frame[part].notna().any()]
    again = frame.loc[frame.duplicated(KEYS[name]) & frame[first].notna(), first]
    expected = f"each {' + '.join(used)} once"
    return pinned(file, first, again, expected, "Remove the duplicate row.", found="{} again")


_MANY = 0.2  # of the deals that a file of forecasts speaks of, more than are deleted as a rule


def _unknown_words(file: str, column: str, cells: pd.Series, choices: Sequence[str]) -> list[Problem]:
    if not choices:
        return []
    unknown = cells[cells.notna() & ~cells.isin(choices)]
    expected = ", ".join(choices[:-1]) + f" or {choices[-1]}"
    problems: list[Problem] = []
    for word, rows in unknown.groupby(unknown, sort=False):
        advice = f"{nearest(str(word).lower(), choices)}Correct the word."
        problems += pinned(file, column, rows, expected, advice)
    return problems


def cross_checks(tables: Mapping[str, Any], files: Mapping[str, str]) -> list[Problem]:
    """What is wrong between tables: deals that do not exist, snapshots after the close, unknown periods.

    ``files`` is how problems call the tables, whose rows are numbered as in a spreadsheet.

    >>> deals = canonical("deals", pd.DataFrame({"deal_id": ["D1"], "outcome": ["open"]}))
    >>> scores = canonical("forecasts", pd.DataFrame({"deal_id": ["D1", "D9"]}))
    >>> [p.found for p in cross_checks({"deals": deals, "forecasts": scores}, {})]
    ['1 of 2 rows speak of 1 deals that the deals table lacks, first D9']
    """
    there = {name: table for name, table in tables.items() if table is not None and len(table)}
    if "deals" not in there:
        return []
    deals, problems = there["deals"], []
    for name, severity in (("snapshots", "error"), ("forecasts", "warning")):
        if name in there:
            problems += _unknown_deals(there[name], deals, files.get(name, name), severity)
    if "snapshots" in there:
        snapshots = there["snapshots"]
        closed_on = deals.drop_duplicates("deal_id").set_index("deal_id")["closed_on"]
        closed = closed_on.reindex(snapshots["deal_id"]).set_axis(snapshots.index)
        still_open = snapshots["status"].isna() | snapshots["status"].eq("open")
        late = snapshots.loc[(snapshots["as_of"] > closed) & still_open, "as_of"]
        expected = "a day on or before the deal's closed_on"
        advice = "A snapshot shows the deal open after it had closed: check both dates."
        file = files.get("snapshots", "snapshots")
        problems += pinned(file, "as_of", late, expected, advice, severity="warning")
    for name in ("calls", "actuals"):
        if name not in there or tables.get("periods") is None:
            continue
        named = there[name]["period"]
        odd = named[~named.isin(tables["periods"]["period"])]
        advice = "Use the calendar's names, or add the period to it."
        file = files.get(name, name)
        problems += pinned(file, "period", odd, "a period of the calendar", advice, severity="warning")
    return problems


def _unknown_deals(table: pd.DataFrame, deals: pd.DataFrame, file: str, severity: str) -> list[Problem]:
    unknown = table.loc[~table["deal_id"].isin(deals["deal_id"]), "deal_id"]
    if unknown.empty:
        return []
    found = (
        f"{len(unknown):,} of {len(table):,} rows speak of {unknown.nunique():,} deals that the deals "
        f"table lacks, first {unknown.iloc[0]}"
    )
    advice = "Add the deals or remove the rows." if severity == "error" else "These rows are left out."
    if severity == "warning" and unknown.nunique() > _MANY * table["deal_id"].nunique():
        advice += (
            " So many: the file of deals was cut, or the two files are of different days or organisations."
        )
    return [Problem(file, None, "deal_id", found, "deals that exist", advice, severity)]
