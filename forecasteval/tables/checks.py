"""What can be wrong with the tables, row by row and between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from forecasteval.errors import Problem, nearest, pinned
from forecasteval.tables.calendar import calendar_problems
from forecasteval.tables.columns import eighteen
from forecasteval.tables.schemas import KEYS, PERCENT_ADVICE, TABLES, Column


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
    >>> from forecasteval.tables.schemas import canonical
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
    >>> from forecasteval.tables.schemas import canonical
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
