"""Any flat table that already holds outcomes and forecasts, as a matched table.

A small YAML mapping names the columns; :func:`explain` drafts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import InputError, Problem, nearest, pinned
from forecasteval.sources.flat_table_draft import MISSING_WORDS, require_file
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.reading import read_sheet
from forecasteval.tables.schemas import RESERVED

KINDS = ("probability", "rank_score", "amount")
TEXT_KEYS = ("deal_id", "rep", "account")
KEYS = (
    "description",
    "target",
    "max_age_days",
    "deal_id",
    "as_of",
    "period",
    "rep",
    "account",
    "won",
    "amount",
    "amount_won",
    "segments",
    "forecasts",
    "features",
    "group_duplicates",
)
FORECAST_KEYS = ("column", "kind", "scale", "missing", "by")
MAKERS = ("people", "model")
PERCENT_ADVICE = "If these are percentages write scale: 100 in the mapping; if they are scores or ranks write kind: rank_score."
# what YAML turns into true and false
TRUE_WORDS, FALSE_WORDS = ("true", "yes", "on"), ("false", "no", "off")


def import_table(file: str | Path, mapping: str | Path | Mapping[str, Any]) -> pd.DataFrame:
    """A flat table of outcomes and forecasts as a matched table.

    Parameters
    ----------
    file : CSV (any of the usual delimiters) or Parquet
    mapping : the mapping, or the YAML file that holds it. Keys: ``won`` (required: ``{column, won, lost}``
        and, if need be, ``undecided``, each a list of the column's words), ``forecasts`` (``{name: {column,
        kind: probability | rank_score | amount, scale: 1 or 100, missing: [values], by: people | model}}``), and,
        all optional,
        ``deal_id, as_of, rep, account, amount, amount_won`` (columns), ``period`` (a column, or ``{column,
        block_days}``), ``segments``, ``features`` (lists of columns), ``group_duplicates`` (true, or the
        columns: rows that agree in all of them share an ``account``), ``description, target, max_age_days``

    Returns
    -------
    DataFrame in the columns of the matched table; ``attrs["forecasteval"]`` holds ``source, target,
    description, forecasters, segments, features, flow, notes``

    Raises
    ------
    InputError
        Lists every problem of the mapping and of the table.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "deals.csv"
    >>> _ = file.write_text("id;status;score\\nD1;Won;62\\nD2;Lost;10\\nD3;;50\\n")
    >>> matched = import_table(file, {"deal_id": "id", "won": {"column": "status", "won": ["Won"], "lost": ["Lost"]},
    ...                               "forecasts": {"model": {"column": "score", "scale": 100}}})
    >>> matched[["deal_id", "won", "model"]].values.tolist()
    [['D1', 1, 0.62], ['D2', 0, 0.1]]
    >>> matched.attrs["forecasteval"]["flow"][1]
    {'step': 'outcome stated', 'deals': 2, 'dropped': 1, 'why': 'the outcome is blank or undecided'}
    """
    path = Path(file)
    require_file(path)
    plan = _read_mapping(mapping)
    sheet, notes = read_sheet(path, path.name)
    if sheet.problems or not plan.given:
        raise InputError(plan.problems + sheet.problems)
    return _Matching(plan, sheet, notes).table()


def shortcomings(matched: pd.DataFrame) -> list[Problem]:
    """What a matched table lacks for a comparison, as warnings.

    Examples
    --------
    >>> table = pd.DataFrame()
    >>> table.attrs["forecasteval"] = {"source": "deals.csv", "forecasters": {}, "features": []}
    >>> print(shortcomings(table)[0].found)
    neither forecasts nor features
    """
    said = matched.attrs.get("forecasteval", {})
    if said.get("forecasters") or said.get("features"):
        return []
    advice = "Without them nothing can be compared: add one of them to the mapping."
    expected = "forecasts, or features for a model"
    return [Problem("mapping", None, None, "neither forecasts nor features", expected, advice, "warning")]


@dataclass
class _Plan:
    """The mapping, the line of each key in its file, and what is wrong with it."""

    file: str
    given: dict[str, Any]
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, key: str, found: str, expected: str, advice: str) -> None:
        row = self.rows.get(key, self.rows.get(key.split(".")[0]))
        self.problems.append(Problem(self.file, row, key, found, expected, advice))


def _read_mapping(mapping: str | Path | Mapping[str, Any]) -> _Plan:
    plan = _Plan("mapping", dict(mapping)) if isinstance(mapping, Mapping) else _read_yaml(Path(mapping))
    for key in plan.given:
        if key not in KEYS:
            plan.wrong(
                str(key),
                "an unknown key",
                f"one of {', '.join(KEYS)}",
                f"{nearest(str(key), KEYS)}Correct or remove the line.",
            )
    return plan


def _read_yaml(path: Path) -> _Plan:
    import yaml

    if not path.exists():
        problem = Problem(
            str(path), None, None, "no such file", "a YAML mapping", "Draft one with --explain."
        )
        return _Plan(path.name, {}, problems=[problem])
    text = path.read_text(encoding="utf-8-sig")
    try:
        given, tree = yaml.safe_load(text), yaml.compose(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        problem = Problem(
            path.name, mark.line + 1 if mark else None, None, reason, "YAML", "Correct the line."
        )
        return _Plan(path.name, {}, problems=[problem])
    if not isinstance(given, dict) or tree is None:
        problem = Problem(
            path.name, None, None, "no keys", "lines of the form key: value", "Draft one with --explain."
        )
        return _Plan(path.name, {}, problems=[problem])
    rows: dict[str, int] = {}
    for key, value in tree.value:
        rows[key.value] = key.start_mark.line + 1
        if key.value == "forecasts" and isinstance(value.value, list):
            rows |= {f"forecasts.{name.value}": name.start_mark.line + 1 for name, _ in value.value}
    return _Plan(path.name, given, rows)


class _Matching:
    """One flat table on its way to a matched one; every problem is kept until the end."""

    def __init__(self, plan: _Plan, sheet: Sheet, notes: list[str]) -> None:
        self.plan, self.sheet, self.notes = plan, sheet, list(notes)
        self.headers = [str(header) for header in sheet.cells.columns]
        self.columns: dict[str, pd.Series] = {}
        self.forecasters: dict[str, dict[str, Any]] = {}
        self.flow: list[dict[str, Any]] = []

    def table(self) -> pd.DataFrame:
        """The matched table, or one error that says all that is wrong."""
        given = self.plan.given
        outcome = self._outcome()
        for name in TEXT_KEYS:
            column = self._column(name, given.get(name))
            if column:
                self.columns[name] = self.sheet.text(column)
        self._dates()
        for name in ("amount", "amount_won"):
            column = self._column(name, given.get(name))
            if column:
                self.columns[name] = self._present(column).numbers(column)
        self._forecasts()
        segments = self._extra("segments")
        features = self._extra("features")
        self._groups()
        self._identity(outcome)
        problems = self.plan.problems + self.sheet.problems
        if problems:
            raise InputError(problems)
        return self._finished(outcome, segments, features)

    def _column(self, key: str, wanted: Any) -> str | None:
        """The header that a key names, or a problem where the file has no such column."""
        if wanted is None:
            return None
        if str(wanted) in self.headers:
            return str(wanted)
        by_normal = {normal(header): header for header in self.headers}
        if normal(str(wanted)) in by_normal:
            return by_normal[normal(str(wanted))]
        known = ", ".join(self.headers[:12]) + (", ..." if len(self.headers) > 12 else "")
        advice = f"{nearest(str(wanted), self.headers)}Name one of the file's columns."
        self.plan.wrong(key, repr(wanted), f"a column of {self.sheet.file}: {known}", advice)
        return None

    def _present(self, column: str, missing: Sequence[Any] = ()) -> Sheet:
        """The column with words and numbers that stand for "missing" blanked."""
        text = self.sheet.text(column)
        blank = text.str.lower().isin(MISSING_WORDS)
        if len(missing):
            blank |= _equal(text, missing)
        return Sheet(self.sheet.file, text.mask(blank).to_frame(column), self.sheet.problems)

    def _outcome(self) -> pd.Series:
        given = self.plan.given.get("won")
        empty = pd.Series(index=self.sheet.cells.index, dtype=float)
        if not isinstance(given, Mapping) or not {"column", "won", "lost"} <= set(given):
            self.plan.wrong(
                "won",
                "nothing" if given is None else repr(given),
                "{column: Status, won: [Won], lost: [Lost]}",
                "Say which column holds the outcome, in which words.",
            )
            return empty
        column = self._column("won", given["column"])
        if column is None:
            return empty
        words = {key: _listed(given.get(key)) for key in ("won", "lost", "undecided")}
        text = self._present(column).text(column)
        won, lost, undecided = (_equal(text, words[key]) for key in ("won", "lost", "undecided"))
        strange = text[text.notna() & ~won & ~lost & ~undecided]
        for _, rows in strange.groupby(strange, sort=False):
            self.sheet.problems += pinned(
                self.sheet.file,
                column,
                rows,
                f"one of {', '.join('/'.join(_spellings(w)) if isinstance(w, bool) else str(w) for w in words['won'] + words['lost'])}",
                "Add the word to won, lost or undecided in the mapping.",
            )
        return empty.mask(won, 1.0).mask(lost, 0.0)

    def _dates(self) -> None:
        column = self._column("as_of", self.plan.given.get("as_of"))
        if column:
            self.columns["as_of"] = self._present(column).dates(column)
        period = self.plan.given.get("period")
        if isinstance(period, Mapping):
            self._blocks(period)
        elif period is not None:
            column = self._column("period", period)
            if column:
                self.columns["period"] = self.sheet.text(column)

    def _blocks(self, period: Mapping[str, Any]) -> None:
        days = period.get("block_days")
        if not isinstance(days, int) or days < 1 or set(period) != {"column", "block_days"}:
            self.plan.wrong(
                "period", repr(dict(period)), "a column, or {column: ..., block_days: 14}", "Correct it."
            )
            return
        column = self._column("period", period["column"])
        if column is None:
            return
        dates = self.columns.get("as_of") if column == self.plan.given.get("as_of") else None
        dates = self._present(column).dates(column) if dates is None else dates
        first = dates.min()
        block = (dates - first).dt.days // days
        self.columns["period"] = (
            (first + pd.to_timedelta(block * days, unit="D")).dt.strftime("%Y-%m-%d").astype("str")
        )
        self.notes.append(
            f"Periods are blocks of {days} days from {first:%Y-%m-%d}, named by their first day."
        )

    def _forecasts(self) -> None:
        given = self.plan.given.get("forecasts") or {}
        if not isinstance(given, Mapping):
            self.plan.wrong(
                "forecasts", repr(given), "{name: {column: ..., kind: probability}}", "Correct it."
            )
            return
        for name, entry in given.items():
            key = f"forecasts.{name}"
            spec = {"column": entry} if isinstance(entry, str) else entry
            if not isinstance(spec, Mapping) or "column" not in spec or set(spec) - set(FORECAST_KEYS):
                self.plan.wrong(
                    key, repr(entry), f"keys among {', '.join(FORECAST_KEYS)}, column first", "Correct it."
                )
                continue
            if str(name) in RESERVED:
                advice = (
                    "Call the rep's own forecast rep_forecast." if name == "rep" else "Choose another name."
                )
                self.plan.wrong(
                    key, f"the name {name}", "a name that the matched table does not reserve", advice
                )
                continue
            column = self._column(key, spec["column"])
            kind = spec.get("kind", "probability")
            if kind not in KINDS:
                self.plan.wrong(key, f"kind {kind!r}", f"one of {', '.join(KINDS)}", "Correct the kind.")
            elif column:
                self._forecast(str(name), column, kind, spec)

    def _forecast(self, name: str, column: str, kind: str, spec: Mapping[str, Any]) -> None:
        scale = spec.get("scale", 1)
        if scale not in (1, 100):
            self.plan.wrong(
                f"forecasts.{name}", f"scale {scale!r}", "1 (shares) or 100 (percentages)", "Correct it."
            )
            return
        maker = spec.get("by")
        if maker is not None and maker not in MAKERS:
            expected = "people (somebody's judgement) or model"
            self.plan.wrong(f"forecasts.{name}", f"by {maker!r}", expected, "Correct it or leave by out.")
        present = self._present(column, _listed(spec.get("missing")))
        if kind == "probability":
            self.columns[name] = present.shares(column, percent=scale == 100, percent_advice=PERCENT_ADVICE)
        else:
            self.columns[name] = present.numbers(column)
        self.forecasters[name] = {"kind": kind, "column": column}
        if maker is not None:
            self.forecasters[name]["by"] = maker
        if self.columns[name].isna().all():
            self.notes.append(f"{name} says nothing in any row.")

    def _leaks(self, key: str) -> dict[str, str]:
        """The columns that must not be segments or features, and what each of them is."""
        given = self.plan.given
        won = given.get("won")
        named = {"outcome": won.get("column") if isinstance(won, Mapping) else None}
        named["booked amount"] = given.get("amount_won")
        if key == "features":
            named |= {"deal_id": given.get("deal_id"), "as_of": given.get("as_of")}
            named |= {f"forecast {name}": entry["column"] for name, entry in self.forecasters.items()}
        same = {normal(str(column)): what for what, column in named.items() if column is not None}
        return {header: same[normal(header)] for header in self.headers if normal(header) in same}

    def _extra(self, key: str) -> list[str]:
        """Segments or features, kept under their own headers as text or numbers."""
        names = []
        leaks = self._leaks(key)
        for wanted in _listed(self.plan.given.get(key)):
            column = self._column(key, wanted)
            if column is None:
                continue
            if column in leaks:
                found = f"{column}, which is the {leaks[column]}"
                self.plan.wrong(key, found, "what was known besides", "Take it out of the list.")
                continue
            if column in RESERVED or column in self.forecasters:
                self.plan.wrong(
                    key, column, "a column whose name is not taken", "Rename the column in the file."
                )
                continue
            numbers = self._present(column).numbers_or_text(column)
            # a word such as NA is missing among numbers and may be a value among words
            self.columns[column] = self.sheet.text(column) if numbers.dtype == "str" else numbers
            names.append(column)
        return names

    def _groups(self) -> None:
        wanted = self.plan.given.get("group_duplicates")
        if not wanted:
            return
        if "account" in self.columns:
            self.plan.wrong("group_duplicates", "an account as well", "one of the two", "Remove one of them.")
            return
        used = {self.plan.given.get("deal_id"), *(entry["column"] for entry in self.forecasters.values())}
        won = self.plan.given.get("won")
        used |= {won.get("column")} if isinstance(won, Mapping) else set()
        attributes = [header for header in self.headers if header not in used]
        if wanted is not True:
            found = [self._column("group_duplicates", name) for name in _listed(wanted)]
            attributes = [name for name in found if name is not None]
        if not attributes:
            return
        cells = self.sheet.cells[attributes].fillna("")
        group = cells.groupby(attributes, sort=False).ngroup()
        first_row = pd.Series(cells.index, index=cells.index).groupby(group).transform("first")
        self.columns["account"] = "row " + first_row.astype("str")
        repeats = int((first_row.to_numpy() != cells.index.to_numpy()).sum())
        self.notes.append(
            f"{repeats:,} of {len(cells):,} rows repeat another one in all {len(attributes)} attributes; they "
            "share its account and stay together."
        )

    def _identity(self, outcome: pd.Series) -> None:
        """Deal ids (row numbers where there are none) and each deal once per as-of."""
        if "deal_id" not in self.columns:
            if self.plan.given.get("deal_id") is None:
                self.notes.append("There is no deal_id: the row number stands for it.")
            self.columns["deal_id"] = pd.Series(
                [f"row {row}" for row in self.sheet.cells.index], index=self.sheet.cells.index, dtype="str"
            )
            return
        ids = self.columns["deal_id"]
        column = str(self.plan.given["deal_id"])
        self.sheet.problems += pinned(
            self.sheet.file, column, ids[ids.isna()], "an id in every row", "Fill the cell."
        )
        key = pd.DataFrame(
            {name: self.columns[name] for name in ("deal_id", "as_of") if name in self.columns}
        )
        again = ids[key.duplicated() & ids.notna() & outcome.notna()]
        words = "each deal once" + (" per as_of" if "as_of" in key else "")
        self.sheet.problems += pinned(
            self.sheet.file, column, again, words, "Remove the row, or map as_of.", found="{} again"
        )

    def _finished(self, outcome: pd.Series, segments: list[str], features: list[str]) -> pd.DataFrame:
        rows = len(outcome)
        kept = outcome.notna()
        self._step("rows of the file", rows, 0, "")
        self._step("outcome stated", int(kept.sum()), int((~kept).sum()), "the outcome is blank or undecided")
        if "as_of" in self.columns:
            dated = self.columns["as_of"].notna()
            self._step(
                "date stated", int((kept & dated).sum()), int((kept & ~dated).sum()), "the date is blank"
            )
            kept &= dated
        else:
            self.notes.append("There is no date: as_of is empty, and nothing can be said about new periods.")
            self.columns["as_of"] = pd.Series(pd.NaT, index=outcome.index, dtype="datetime64[s]")
        order = ["deal_id", "as_of", "period", "rep", "account"]
        front = {name: self.columns.pop(name) for name in order if name in self.columns}
        table = pd.DataFrame({**front, "won": outcome, **self.columns})[kept].reset_index(drop=True)
        table["won"] = table["won"].astype("int64")
        given = self.plan.given
        table.attrs["forecasteval"] = {
            "source": self.sheet.file,
            "target": str(given.get("target") or "won"),
            "description": str(given.get("description") or ""),
            "max_age_days": given.get("max_age_days"),
            "forecasters": {
                name: {key: value for key, value in entry.items() if key != "column"}
                for name, entry in self.forecasters.items()
            },
            "segments": segments,
            "features": features,
            "flow": self.flow,
            "notes": self.notes,
        }
        return table

    def _step(self, step: str, deals: int, dropped: int, why: str) -> None:
        self.flow.append({"step": step, "deals": deals, "dropped": dropped, "why": why})


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _spellings(word: Any) -> tuple[str, ...]:
    """A word in small letters; an unquoted Yes or No of YAML in all the ways in which it may be meant."""
    if isinstance(word, bool):
        return TRUE_WORDS if word else FALSE_WORDS
    return (str(word).strip().lower(),)


def _equal(text: pd.Series, words: Sequence[Any]) -> pd.Series:
    """Where a cell is one of the words; 1, 1.0 and true are written in many ways."""
    lower = {spelling for word in words for spelling in _spellings(word)}
    equal = text.str.lower().isin(lower)
    numbers = pd.to_numeric(
        pd.Series([str(float(w)) if isinstance(w, bool) else str(w) for w in words]), errors="coerce"
    )
    values = pd.to_numeric(text, errors="coerce").to_numpy(float)
    for number in numbers.dropna():
        equal |= np.isclose(values, number, rtol=0, atol=1e-9)
    return equal.astype(bool)
