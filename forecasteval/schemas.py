"""The columns of the tidy tables: what each holds, how a file becomes one, and what makes it wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.cells import Problem, Sheet, eighteen, nearest, normal, pinned, read_text
from forecasteval.periods import calendar_problems

OUTCOMES = ("won", "lost", "open", "deleted")
STATUSES = ("open", "won", "lost")
STATES = ("known", "carried", "unknown")
CATEGORIES = ("Commit", "Best Case", "Most Likely", "Pipeline", "Omitted", "Closed")
KINDS = ("probability", "rank_score", "category", "amount")
UNITS = ("rep", "team", "company")


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Parameters
    ----------
    kind : text | date | moment | number | share | flag
    required : the file must have the column
    filled : no cell may be empty
    choices : the only words allowed; letter case is put right
    """

    kind: str
    required: bool = False
    filled: bool = False
    choices: tuple[str, ...] = ()


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
    "status": Column("text", choices=STATUSES),
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
        "outcome": _key(choices=OUTCOMES),
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
        "kind": _key(choices=KINDS),
        "value": Column("number", required=True),
        "close_on": Column("date"),
        "target": Column("text"),
        "trained_through": Column("date"),
    },
    "calls": {
        "unit": _key(choices=UNITS),
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
DTYPES = {
    "text": "str",
    "date": "datetime64[s]",
    "moment": "datetime64[us]",
    "number": "float64",
    "share": "float64",
    "flag": "bool",
}
PERCENT_ADVICE = "If these are percentages divide them by 100; if they are scores or ranks write rank_score in the column kind."
RESERVED = ("deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won")


def canonical(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with every column of its table present, in order and of its dtype; others come last.

    Parameters
    ----------
    name : a table of :data:`TABLES`
    frame : the rows

    Returns
    -------
    DataFrame, index as given

    Examples
    --------
    >>> canonical("users", pd.DataFrame({"rep": ["r1"]})).columns.tolist()
    ['rep', 'name']
    """
    typed = {}
    for column, spec in TABLES[name].items():
        dtype: Any = DTYPES[spec.kind]
        if column in frame:
            typed[column] = frame[column] if frame[column].dtype == dtype else frame[column].astype(dtype)
        elif spec.kind != "flag":
            typed[column] = pd.Series(index=frame.index, dtype=dtype)
    extra = {column: frame[column] for column in frame.columns if column not in TABLES[name]}
    return pd.DataFrame({**typed, **extra}, index=frame.index)


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


def problems_of(name: str, frame: pd.DataFrame, file: str) -> list[Problem]:
    """Everything that a table's own rules object to: empty keys, unknown words, duplicates, odd ranges.

    Parameters
    ----------
    name : a table of :data:`TABLES`
    frame : the rows, indexed by spreadsheet row
    file : how problems call it

    Returns
    -------
    list of Problem, errors and warnings

    Examples
    --------
    >>> twice = canonical("users", pd.DataFrame({"rep": ["r1", "r1"]}, index=[2, 3]))
    >>> print(problems_of("users", twice, "User.csv")[0])
    User.csv, row 3, column rep: found 'r1' again; expected each rep once. Remove the duplicate row.
    """
    problems = []
    for column, check, cells in _failures(name, frame):
        spec = TABLES[name].get(column, Column("text"))
        if check == "filled":
            problems += pinned(file, column, cells, f"a value in every row of {column}", "Fill the cell.")
        elif check == "choices":
            problems += _unknown_words(file, column, cells, spec.choices)
        elif check == "key":
            key = [part for part in KEYS[name] if frame[part].notna().any()]
            expected = f"each {' + '.join(key)} once"
            problems += pinned(file, column, cells, expected, "Remove the duplicate row.", found="{} again")
    problems += _row_rules(name, frame, file)
    return problems


def _failures(name: str, frame: pd.DataFrame) -> list[tuple[str, str, pd.Series]]:
    """(column, check, offending cells) from the pandera schema of the table."""
    import pandera.pandas as pa

    key = KEYS[name]
    once = ~frame.duplicated(key)
    checks: dict[str, list[Any]] = {key[0]: [pa.Check(lambda cells: once.loc[cells.index], error="key")]}
    for column, spec in TABLES[name].items():
        if spec.choices:
            checks.setdefault(column, []).append(pa.Check.isin(spec.choices, error="choices"))
    columns = {
        column: pa.Column(nullable=not spec.filled, checks=checks.get(column, []))
        for column, spec in TABLES[name].items()
        if column in frame
    }
    try:
        pa.DataFrameSchema(columns).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
    else:
        return []
    cases["check"] = cases["check"].replace({"not_nullable": "filled"})
    found = []
    for (column, check), group in cases.groupby(["column", "check"], sort=False):
        rows = group["index"].astype(int)
        found.append((str(column), str(check), frame.loc[rows, str(column)]))
    return found


def _unknown_words(file: str, column: str, cells: pd.Series, choices: Sequence[str]) -> list[Problem]:
    expected = ", ".join(choices[:-1]) + f" or {choices[-1]}"
    problems: list[Problem] = []
    for word, rows in cells.groupby(cells, sort=False):
        advice = f"{nearest(str(word).lower(), choices)}Correct the word."
        problems += pinned(file, column, rows, expected, advice)
    return problems


def _row_rules(name: str, frame: pd.DataFrame, file: str) -> list[Problem]:
    problems: list[Problem] = []
    if name == "periods":
        problems += calendar_problems(frame, file)
    elif name == "deals":
        early = frame["closed_on"] < frame["created_on"]
        problems += pinned(
            file,
            "closed_on",
            frame.loc[early, "closed_on"],
            "a day on or after created_on",
            "The deal closes before it was created: check both dates.",
            severity="warning",
        )
        undated = frame["outcome"].isin(["won", "lost"]) & frame["closed_on"].isna()
        problems += pinned(
            file,
            "closed_on",
            frame.loc[undated, "closed_on"],
            "the day on which a won or lost deal closed",
            "Without it the deal cannot be placed in a period: fill the cell.",
            severity="warning",
        )
    elif name == "forecasts":
        problems += _forecast_rules(frame, file)
    elif name == "calls":
        wrong = (frame["low"] > frame["amount"]) | (frame["high"] < frame["amount"])
        problems += pinned(
            file,
            "amount",
            frame.loc[wrong, "amount"],
            "an amount between low and high",
            "Correct the range of the call.",
        )
    elif name == "history":
        wrong = frame["valid_to"] <= frame["valid_from"]
        problems += pinned(
            file,
            "valid_to",
            frame.loc[wrong, "valid_to"],
            "a moment after valid_from",
            "Correct the version.",
        )
    return problems


def _forecast_rules(frame: pd.DataFrame, file: str) -> list[Problem]:
    outside = frame["kind"].eq("probability") & frame["value"].notna() & ~frame["value"].between(0, 1)
    cells = frame.loc[outside, "value"]
    percent = len(cells) > 0 and cells.between(0, 100).all()
    advice = PERCENT_ADVICE if percent else "Correct the cell or leave it empty."
    problems = pinned(file, "value", cells, "a probability from 0 to 1", advice)
    ahead = frame["trained_through"] > frame["issued_at"]
    problems += pinned(
        file,
        "trained_through",
        frame.loc[ahead, "trained_through"],
        "a day before issued_at",
        "A model cannot be trained through a day after its forecast: check both dates.",
        severity="warning",
    )
    return problems


def _of_deal(deals: pd.DataFrame, column: str, ids: pd.Series) -> pd.Series:
    by_id = deals.drop_duplicates("deal_id").set_index("deal_id")[column]
    return by_id.reindex(ids).set_axis(ids.index)


def cross_checks(tables: Mapping[str, Any], files: Mapping[str, str]) -> list[Problem]:
    """What is wrong between tables: deals that do not exist, snapshots after the close, unknown periods.

    Parameters
    ----------
    tables : the tidy tables by name, indexed by spreadsheet row (None where there is none)
    files : how problems call them

    Returns
    -------
    list of Problem

    Examples
    --------
    >>> deals = canonical("deals", pd.DataFrame({"deal_id": ["D1"], "outcome": ["open"]}))
    >>> scores = canonical("forecasts", pd.DataFrame({"deal_id": ["D1", "D9"]}))
    >>> [p.found for p in cross_checks({"deals": deals, "forecasts": scores}, {})]
    ['1 of 2 rows speak of 1 deals that the deals table lacks, first D9']
    """
    problems: list[Problem] = []
    deals = tables.get("deals")
    if deals is None or deals.empty:
        return problems
    snapshots, forecasts, calls = (tables.get(name) for name in ("snapshots", "forecasts", "calls"))
    for name, table, severity in (("snapshots", snapshots, "error"), ("forecasts", forecasts, "warning")):
        if table is None or table.empty:
            continue
        ids = table["deal_id"]
        unknown = ids[~ids.isin(deals["deal_id"]) & ~eighteen(ids).isin(deals["deal_id"])]
        if len(unknown):
            found = (
                f"{len(unknown):,} of {len(table):,} rows speak of {unknown.nunique():,} deals that the deals "
                f"table lacks, first {unknown.iloc[0]}"
            )
            advice = (
                "Add the deals or remove the rows." if severity == "error" else "These rows are left out."
            )
            file = files.get(name, name)
            problems.append(Problem(file, None, "deal_id", found, "deals that exist", advice, severity))
    if snapshots is not None and len(snapshots):
        closed = _of_deal(deals, "closed_on", snapshots["deal_id"])
        still_open = snapshots["status"].isna() | snapshots["status"].eq("open")
        late = (snapshots["as_of"] > closed) & still_open
        problems += pinned(
            files.get("snapshots", "snapshots"),
            "as_of",
            snapshots.loc[late, "as_of"],
            "a day on or before the deal's closed_on",
            "A snapshot shows the deal open after it had closed: check both dates.",
            severity="warning",
        )
    periods = tables.get("periods")
    if calls is not None and periods is not None and len(calls):
        odd = calls.loc[~calls["period"].isin(periods["period"]), "period"]
        problems += pinned(
            files.get("calls", "calls"),
            "period",
            odd,
            "a period of the calendar",
            "Use the calendar's names, or add the period to it.",
            severity="warning",
        )
    return problems
