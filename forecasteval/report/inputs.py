"""Checks of the input that a scheduled report needs, because nobody sits beside it: too old, too short."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd

from forecasteval.errors import InputError, Problem
from forecasteval.report.published import MIME
from forecasteval.tables.organisation import stale

SHRUNK = 0.8  # a table with less than this share of its rows last time is refused
_TABLES = ("deals", "history", "snapshots", "forecasts", "calls", "periods", "matched")


class Examined:
    """What was found in the input: a line for the reader, the numbers of rows for the manifest."""

    def __init__(self, folder: str, name: str, rows: Mapping[str, int]) -> None:
        """Keep the numbers."""
        self.folder, self.name, self.rows = folder, name, dict(rows)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {MIME: {"inputs": {"name": self.name, "rows": self.rows}}, "text/plain": repr(self)}

    def __repr__(self) -> str:
        """The numbers of rows in one line."""
        rows = ", ".join(f"{table} {n:,}" for table, n in self.rows.items())
        return f"{self.folder}: {rows or 'no tables'}"


def examine(
    folder: str,
    *,
    today: str | None = None,
    last_rows: Mapping[str, int] | None = None,
    allow_stale: bool = False,
    allow_shrunk: bool = False,
) -> Examined:
    """Read a data folder and refuse what a report should not be made from.

    Parameters
    ----------
    folder : data folder, as `forecasteval check` takes it
    today : ISO date that the age of the input is counted to; the machine's own day if left out
    last_rows : rows by table of the last report
    allow_stale, allow_shrunk : leave the check out

    Returns
    -------
    Examined

    Raises
    ------
    InputError
        If the folder cannot be read, its newest record is too old, or a table is much shorter than last time.
    """
    from forecasteval.sources import folder as tables

    org = tables.read(folder)
    rows = {name: len(table) for name in _TABLES if (table := getattr(org, name, None)) is not None}
    found = [] if allow_shrunk else _shrunk(folder, rows, last_rows or {})
    day = date.fromisoformat(today) if today else pd.Timestamp.now().date()
    if not allow_stale and (problem := stale(org, day)):
        found.append(_with_flag(problem, "--allow-stale"))
    if found:
        raise InputError(found)
    return Examined(str(folder), str(getattr(org, "name", "")), rows)


def _with_flag(problem: Any, flag: str) -> Any:
    from dataclasses import replace

    return replace(problem, advice=f"{problem.advice} To report on it all the same: {flag}.".strip())


def _shrunk(folder: str, rows: Mapping[str, int], last_rows: Mapping[str, int]) -> list[Any]:

    return [
        Problem(
            file=f"{folder}, table {table}",
            row=None,
            column=None,
            found=f"{rows.get(table, 0):,} rows",
            expected=f"at least {SHRUNK:.0%} of the {before:,} rows of the last report",
            advice="See whether the export is complete. To report on it all the same: --allow-shrunk.",
        )
        for table, before in last_rows.items()
        if rows.get(table, 0) < SHRUNK * before
    ]
