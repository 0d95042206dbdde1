"""A table of totals, one row per period and unit: what was called for it, and what was booked."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError, InputError
from forecasteval.sources._mapping import Unit, read_mapping
from forecasteval.sources.flat_table import Matching, reader_of
from forecasteval.tables.columns import normal
from forecasteval.tables.schemas import canonical

_PLACE = "totals"
_ABOUT = "about.json"
_COMPANY = (
    "total",
    "totals",
    "all",
    "company",
    "overall",
    "sum",
    "grandtotal",
    "gesamt",
    "summe",
    "insgesamt",
)
_REP = ("rep", "reps", "seller", "owner", "salesrep", "person", "verkäufer", "mitarbeiter", "name")
_LEAST_SUMS = 3  # periods in which a unit equals the sum of the others before it is taken for their total


@dataclass(frozen=True)
class Totals:
    """What was called and what was booked, in order of time, and what there is to say of the rows."""

    calls: pd.DataFrame
    actuals: pd.DataFrame
    flow: list[dict[str, Any]]
    notes: list[str]

    def write(self, folder: str | Path) -> Path:
        """Both tables to ``folder/totals``, which no hand may have changed since they were last written."""
        place = Path(folder) / _PLACE
        if place.exists() and not _ours(place):
            raise CallError(
                f"{place} holds files that no import wrote: move them away, or choose another --out."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=place.parent, prefix=f".{_PLACE}-"))
        aside.chmod(0o755)
        for name, table in (("calls", self.calls), ("actuals", self.actuals)):
            table.dropna(axis=1, how="all").to_csv(aside / f"{name}.csv", index=False)
        about = {"files": _digests(aside), "flow": self.flow, "notes": self.notes}
        (aside / _ABOUT).write_text(json.dumps(about, indent=1, ensure_ascii=False), "utf-8")
        if place.exists():
            shutil.rmtree(place)
        aside.rename(place)
        return place


def _digests(place: Path) -> dict[str, str]:
    files = [path for path in sorted(place.iterdir()) if path.name != _ABOUT]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _ours(place: Path) -> bool:
    try:
        return bool(json.loads((place / _ABOUT).read_text("utf-8"))["files"] == _digests(place))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def import_totals(file: Any, mapping: str | Path | Mapping[str, Any], table: str | None = None) -> Totals:
    """Totals by period and unit as the tables ``calls`` and ``actuals``.

    Parameters
    ----------
    file, table : as for :func:`import_table`
    mapping : keys ``period``, ``actual`` (columns), ``forecasts`` (``{name: {column, kind: amount}}``, with ``low``,
        ``high`` (columns) and ``level`` (a word or a share) where it gives a range) and, optional, ``unit`` (a column, or ``{column, level: rep | team | company}``), ``week`` (of the period) or
        ``as_of``, ``period_order``, ``currency``, ``currency_rates``, ``decimal_mark``

    Raises
    ------
    InputError
        Lists every problem of the mapping and of the table.

    Examples
    --------
    >>> rows = pd.DataFrame({"quarter": ["Q2 2025", "Q1 2025"], "reps": [90, 120], "booked": [80, 100]})
    >>> found = import_totals(rows, {"period": "quarter", "actual": "booked", "forecasts": {"reps": "reps"}})
    >>> found.calls[["period", "forecaster", "amount"]].values.tolist()
    [['Q1 2025', 'reps', 120.0], ['Q2 2025', 'reps', 90.0]]
    """
    return _Reading(reader_of(file, mapping, table)).totals()


def speaks_of_totals(mapping: str | Path | Mapping[str, Any]) -> bool:
    """Whether a mapping is one of totals: it names what was booked, and no outcome of deals."""
    return read_mapping(mapping)[0].actual is not None


class _Reading:
    """One table of totals on its way to the tidy tables; every problem is kept until the end."""

    def __init__(self, reader: Matching) -> None:
        self.reader, self.mapped, self.sheet = reader, reader.mapped, reader.sheet
        self.rows = pd.DataFrame(index=self.sheet.cells.index)

    def totals(self) -> Totals:
        """The tables, or one error that says all that is wrong."""
        reader, rows = self.reader, self.rows
        currency = reader.column("currency", self.mapped.currency)
        self._moment()
        reader.read_periods()
        rows["period"] = reader.columns.get("period")
        self._units()
        rows["actual"] = self._amount("actual", self.mapped.actual, currency)
        names = list(self.mapped.forecasts)
        for name, said in self.mapped.forecasts.items():
            rows[f"called {name}"] = self._amount(f"forecasts.{name}", said.column, currency, said.missing)
            for end, wanted in (("low", said.low), ("high", said.high)):
                if wanted is not None:
                    rows[f"{end} {name}"] = self._amount(f"forecasts.{name}.{end}", wanted, currency)
        if not names:
            reader.document.wrong(
                "forecasts", "nothing", "{name: {column: ..., kind: amount}}", "Name a column."
            )
        if not reader.periods and len(rows["period"].dropna().unique()) > 1:
            found, advice = (
                "periods whose order in time is not known",
                "Write period_order: [first, ..., last].",
            )
            reader.document.wrong("period", found, "names such as 2026-Q1", advice)
        self._checked()
        problems = reader.document.problems + self.sheet.problems
        if problems:
            raise InputError(problems)
        return self._finished(names)

    def _amount(self, key: str, wanted: Any, currency: str | None, missing: Any = ()) -> pd.Series | None:
        column = self.reader.column(key, wanted)
        if column is None:
            return None
        return self.reader.converted(column, self.reader.present(column, missing).numbers(column), currency)

    def _moment(self) -> None:
        """The day of the calls, or the week of the period: 4, W4 or week 4."""
        column = self.reader.column("as_of", self.mapped.as_of)
        if column:
            self.rows["as_of"] = self.reader.columns["as_of"] = self.reader.present(column).dates(column)
        column = self.reader.column("week", self.mapped.week)
        if column:
            text = self.sheet.text(column)
            self.rows["week"] = text.str.extract(r"^\D*(\d{1,2})(?:\.0)?$")[0].astype(float)
            wrong = text[text.notna() & ~self.rows["week"].between(1, 53)]
            self.sheet.pin(column, wrong, "the number of a week of the period", "Correct the cell.")

    def _units(self) -> None:
        """Whom each row is about: rows named Total are the company, the others reps or teams."""
        rows, said = self.rows, self.mapped.unit
        column = self.reader.column("unit", said.column if isinstance(said, Unit) else said)
        rows["unit"], rows["unit_id"] = "company", None
        if column is None:
            return
        names = self.sheet.text(column)
        advice = "Write the unit, or Total where the row is the sum of all."
        self.sheet.pin(column, names[names.isna()], "a unit in every row", advice)
        level = said.level if isinstance(said, Unit) else None
        if level is None:
            level = "rep" if any(normal(word) in _REP for word in [column, *column.split()]) else "team"
            other = "rep" if level == "team" else "team"
            self.reader.notes.append(
                f"{column} is read as {level}s; write unit: {{column: {column}, level: {other}}} if that is wrong."
            )
        whole = names.map(normal, na_action="ignore").isin(_COMPANY)
        if whole.any() and not whole.all():
            found = ", ".join(sorted(names[whole].unique()))
            self.reader.notes.append(
                f"{int(whole.sum()):,} rows named {found} are those of the whole company."
            )
        rows["unit"] = np.where(whole, "company", level)
        rows["unit_id"] = names.mask(whole)

    def _checked(self) -> None:
        """One row for each period, unit and moment; one booked amount; no unit that is the sum of the others."""
        rows = self.rows
        if not {"period", "actual"} <= set(rows) or rows["period"].isna().all():
            return
        column = str(self.mapped.period)
        key = [name for name in ("unit", "unit_id", "period", "as_of", "week") if name in rows]
        again = rows.loc[rows.duplicated(key) & rows["period"].notna(), "period"]
        words = " + ".join(name for name in ("unit", "period", "as_of", "week") if name in rows)
        self.sheet.pin(
            column, again, f"each {words} once", "Remove the row, or map week or as_of.", found="{} again"
        )
        booked = rows["actual"].groupby([rows["unit"], rows["unit_id"], rows["period"]], dropna=False)
        differs = rows.loc[rows["actual"].notna() & (booked.transform("first") != rows["actual"]), "actual"]
        expected = "one booked amount for each unit and period"
        self.sheet.pin(str(self.mapped.actual), differs, expected, "Correct the cell.")
        self._ranges_checked()
        parts = rows[rows["unit"] != "company"].dropna(subset=["actual"])
        wide = parts.pivot_table(index="period", columns="unit_id", values="actual", aggfunc="first").dropna()
        for name in wide.columns if wide.shape[1] > 2 and len(wide) >= _LEAST_SUMS else ():
            if np.allclose(wide[name] * 2, wide.sum(axis=1), rtol=1e-9) and wide[name].any():
                found, advice = (
                    f"{name}, which is the sum of the others",
                    "Call it Total, or take its rows out.",
                )
                self.reader.document.wrong("unit", found, "units that do not hold each other", advice)

    def _ranges_checked(self) -> None:
        """Ranges that hold the amount that they are of."""
        for name, said in self.mapped.forecasts.items():
            for end, sign in (("low", 1), ("high", -1)):
                if f"{end} {name}" in self.rows:
                    ends = self.rows[f"{end} {name}"]
                    wrong = ends[sign * ends > sign * self.rows[f"called {name}"]]
                    expected = f"a {end} end on its side of {said.column}"
                    self.sheet.pin(str(getattr(said, end)), wrong, expected, "Correct the range.")

    def _finished(self, names: list[str]) -> Totals:
        reader, rows = self.reader, self.rows
        kept = pd.Series(True, index=rows.index)
        reader.step("rows of the file", kept, kept, "")
        kept = reader.step("period stated", kept, rows["period"].notna(), "the period is blank")
        rows = rows[kept]
        order = {label: place for place, label in enumerate(reader.periods)}
        rows = rows.iloc[np.argsort(rows["period"].map(order).fillna(0), kind="stable")]
        key = [name for name in ("unit", "unit_id", "period", "as_of", "week") if name in rows]
        actuals = rows.dropna(subset=["actual"]).drop_duplicates(["unit", "unit_id", "period"])
        actuals = actuals[["unit", "unit_id", "period"]].assign(amount=actuals["actual"])
        parts = [
            rows[key].assign(
                forecaster=name, amount=rows[f"called {name}"], low=rows.get(f"low {name}"), high=rows.get(f"high {name}"),
                level=None if self.mapped.forecasts[name].level is None else str(self.mapped.forecasts[name].level),
                place=range(len(rows)),
            )
            for name in names
        ]  # fmt: skip
        calls = pd.concat(parts).sort_values("place", kind="stable")
        silent = calls.loc[calls["amount"].isna(), "forecaster"].value_counts(sort=False)
        reader.notes += [
            f"{name} says nothing in {number:,} of {len(rows):,} rows." for name, number in silent.items()
        ]
        open_rows = int(rows["actual"].isna().sum())
        if open_rows:
            reader.notes.append(f"{open_rows:,} rows have no booked amount yet; their calls are kept.")
        calls = calls.dropna(subset=["amount"]).drop(columns="place")
        tables = [canonical(n, t.reset_index(drop=True)) for n, t in (("calls", calls), ("actuals", actuals))]
        return Totals(tables[0], tables[1], reader.flow, list(dict.fromkeys(reader.notes)))
