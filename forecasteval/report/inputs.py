"""Checks of the input that a scheduled report needs, because nobody sits beside it: too old, too short."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from forecasteval.errors import InputError, Problem
from forecasteval.report._harvest import MIME
from forecasteval.sources import folder as folders
from forecasteval.tables.organisation import newest_record, stale

_SHRUNK = 0.8  # a table with less than this share of its rows last time is refused
_TABLES = (
    "deals", "history", "snapshots", "forecasts", "calls", "actuals", "outcomes", "activity", "periods", "matched"
)  # fmt: skip


@dataclass(frozen=True, repr=False)
class _Examined:
    """What was found in the input: a line for the reader; rows, newest day and doubts for the report."""

    folder: str
    name: str
    rows: dict[str, int]
    until: str
    problems: int

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        found = {k: v for k, v in vars(self).items() if k != "folder"}
        return {MIME: {"inputs": found}, "text/plain": repr(self)}

    def __repr__(self) -> str:
        rows = ", ".join(f"{table} {n:,}" for table, n in self.rows.items())
        return f"{self.folder}: {rows or 'no tables'}"


def examine(
    folder: str,
    *,
    today: str | None = None,
    last_rows: Mapping[str, int] | None = None,
    allow_stale: bool = False,
    allow_shrunk: bool = False,
) -> _Examined:
    """Read a data folder and refuse, with an InputError, what a report should not be made from.

    Its newest record may not be too old (for `today`, an ISO date), no table much shorter than in `last_rows`.
    """
    org = folders.read(folder)
    rows = {name: len(table) for name in _TABLES if (table := getattr(org, name, None)) is not None}
    found = [] if allow_shrunk else _shrunk(folder, rows, last_rows or {})
    day = date.fromisoformat(today) if today else datetime.now().date()
    if not allow_stale and (problem := stale(org, day)):
        advice = f"{problem.advice} To report on it all the same: --allow-stale.".strip()
        found.append(replace(problem, advice=advice))
    if found:
        raise InputError(found)
    newest = newest_record(org)
    until = "" if newest is None else f"{newest:%Y-%m-%d}"
    return _Examined(str(folder), org.name, rows, until, len(org.warnings))


def _shrunk(folder: str, rows: Mapping[str, int], last_rows: Mapping[str, int]) -> list[Problem]:
    return [
        Problem(
            file=f"{folder}, table {table}",
            row=None,
            column=None,
            found=f"{rows.get(table, 0):,} rows",
            expected=f"at least {_SHRUNK:.0%} of the {before:,} rows of the last report",
            advice="See whether the export is complete. To report on it all the same: --allow-shrunk.",
        )
        for table, before in last_rows.items()
        if rows.get(table, 0) < _SHRUNK * before
    ]
