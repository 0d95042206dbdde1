"""From the text of a cell to a value, with what is wrong pinned to file, row and column.

Every file is read as text first. A :class:`Sheet` then hands out its columns as dates, numbers, shares
or flags, decides formats from a column's own evidence, and collects problems instead of stopping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from forecasteval.errors import Problem, pinned

_DIVIDE = "It looks like a percentage: divide by 100?"


def normal(header: str) -> str:
    """A header without case, spaces and punctuation, so that spellings of one name meet.

    >>> {normal(h) for h in ["CloseDate", "close_date", "Close Date"]}
    {'closedate'}
    >>> normal("Probability (%)")
    'probability'
    """
    return re.sub(r"[^a-z0-9]", "", header.lower())


@dataclass
class Sheet:
    """One file as text, its columns on demand as values; what is wrong is added to ``problems``.

    ``cells`` are indexed by spreadsheet row; ``zone`` is that of times which carry none.

    >>> cells = pd.DataFrame({"p": ["62", "x"], "on": ["31/01/2026", "05/02/2026"]}, index=[2, 3])
    >>> sheet = Sheet("a.csv", cells)
    >>> sheet.dates("on").dt.strftime("%Y-%m-%d").tolist(), sheet.shares("p", percent=True).tolist()
    (['2026-01-31', '2026-02-05'], [0.62, nan])
    >>> print(sheet.problems[0])
    a.csv, row 3, column p: found 'x'; expected a number. Correct the cell or leave it empty.
    """

    file: str
    cells: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    zone: str = "UTC"

    def read(self, column: str, kind: str, *, percent: bool = False) -> pd.Series:
        """The column as its kind says: text, number, date, moment, share (of 100 with ``percent``) or flag."""
        if kind == "share":
            return self.shares(column, percent=percent)
        readers = {
            "text": self.text, "number": self.numbers, "date": self.dates, "moment": self.moments,
            "flag": self.flags,
        }  # fmt: skip
        return readers[kind](column)

    def text(self, column: str) -> pd.Series:
        """The column as stripped text; blank cells are missing."""
        stripped = self.cells[column].astype("str").str.strip()
        return stripped.where(stripped.ne("") & self.cells[column].notna())

    def numbers(self, column: str) -> pd.Series:
        """The column as floats; currency signs and thousands separators are understood.

        Whether a comma marks decimals is decided from the whole column.
        """
        text = self.text(column)
        values = pd.to_numeric(text, errors="coerce").astype(float)
        odd = text.notna() & (values.isna() | np.isinf(values))
        if odd.any():
            values = _locale_numbers(text, odd).where(odd | _comma_decimals(text[odd]), values)
            wrong = text[text.notna() & values.isna()]
            self.pin(column, wrong, "a number", "Correct the cell or leave it empty.")
        return values

    def numbers_or_text(self, column: str) -> pd.Series:
        """The column as floats if every cell is a plain number, else as text."""
        text = self.text(column)
        values = pd.to_numeric(text, errors="coerce").astype(float)
        return text if values[text.notna()].isna().any() or text.isna().all() else values

    def shares(self, column: str, *, percent: bool, percent_advice: str = _DIVIDE) -> pd.Series:
        """The column as numbers between 0 and 1; the file holds 0-100 when ``percent``.

        ``percent_advice`` is what to do about shares that look like percentages.
        """
        text = self.text(column)
        values = self.part(text.str.rstrip("% ")).numbers(column)
        top = 100.0 if percent else 1.0
        outside = values.notna() & ~values.between(0, top)
        if percent:
            advice = "Correct the probability in the CRM, or leave the cell empty."
        elif values.between(0, 100).all() or (values[outside] <= 100).all():
            advice = percent_advice
        else:
            advice = "Correct the cell or leave it empty."
        self.pin(column, text[outside], f"a number from 0 to {top:g}", advice)
        used = values[values.notna()]
        signed = text.str.endswith("%", na=False).any()
        if percent and not signed and len(used) > 0 and used.max() <= 1 and (used % 1 != 0).any():
            self.wrong(
                None,
                column,
                f"nothing above {used.max():g}",
                "percentages from 0 to 100",
                "The column seems to hold shares from 0 to 1: multiply it by 100.",
            )
        return values.mask(outside) / top

    def flags(self, column: str) -> pd.Series:
        """The column as booleans (true/TRUE/1/yes against false/0/no); missing is False."""
        text = self.text(column)
        lower = text.str.lower()
        true = lower.isin(["true", "1", "yes", "y", "t", "1.0"])
        false = lower.isin(["false", "0", "no", "n", "f", "0.0"])
        self.pin(
            column, text[text.notna() & ~true & ~false], "true or false", "Write true or false (or 1 and 0)."
        )
        return true.astype(bool)

    def dates(self, column: str) -> pd.Series:
        """The column as calendar days; a time of day that is given is dropped."""
        stamps, _ = self._stamps(column)
        return stamps.dt.floor("D").astype("datetime64[s]")

    def moments(self, column: str) -> pd.Series:
        """The column as naive UTC stamps; times without a zone are read in the sheet's zone."""
        stamps, zoned = self._stamps(column)
        stamps = stamps.astype("datetime64[us]")
        if self.zone == "UTC" or zoned.all():
            return stamps
        local = stamps.where(~zoned).dt.tz_localize(
            self.zone, ambiguous=np.zeros(len(stamps), dtype=bool), nonexistent="shift_forward"
        )
        return stamps.where(zoned, local.dt.tz_convert("UTC").dt.tz_localize(None))

    def _stamps(self, column: str) -> tuple[pd.Series, pd.Series]:
        text = self.text(column)
        iso = text.where(text.str.match(r"\d{4}-\d{2}-\d{2}(?:$|[T ]\d{2}:)", na=False))
        stamps = pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce").astype(
            "datetime64[us, UTC]"
        )
        values = stamps.dt.tz_localize(None)
        zoned = iso.str.contains(r"(?:[Zz]|:\d{2}(?:\.\d+)?[+-]\d{2}:?\d{2})$", na=False)
        left = text.notna() & values.isna()
        if left.any():
            values = values.mask(left, self._locale_stamps(column, text[left]).reindex(text.index))
        return values, zoned.astype(bool)

    def _locale_stamps(self, column: str, text: pd.Series) -> pd.Series:
        """Dates in the forms that spreadsheets and reports use; day and month from the evidence."""
        year_first, year_last = text.str.extract(_YEAR_FIRST), text.str.extract(_YEAR_LAST)
        known = year_first["year"].notna() | year_last["year"].notna()
        self.pin(column, text[~known], "a date such as 2026-02-23", "Write dates as YYYY-MM-DD.")
        by_day = self._by_day(column, text[year_last["year"].notna()], year_last)
        usable = year_first["year"].notna() | by_day.notna()
        day_first = by_day.eq(True)
        parts = year_last.assign(
            day=year_last["a"].where(day_first, year_last["b"]),
            month=year_last["b"].where(day_first, year_last["a"]),
        )
        parts = year_first.reindex(columns=[*_PARTS, "half"]).fillna(parts[[*_PARTS, "half"]])
        numbers = parts[_PARTS].astype(float).fillna(dict.fromkeys(_PARTS[3:], 0.0))
        numbers["year"] += 2000.0 * (numbers["year"] < 100)
        half = parts["half"].str[0].str.lower()
        numbers["hour"] = numbers["hour"].where(half.isna(), numbers["hour"] % 12) + 12 * (half == "p")
        values = pd.to_datetime(numbers[usable], errors="coerce").astype("datetime64[us]")
        wrong = text[usable][values.isna()]
        self.pin(column, wrong, "a date that exists", "Correct the cell or leave it empty.")
        return values.reindex(text.index)

    def _by_day(self, column: str, text: pd.Series, parts: pd.DataFrame) -> pd.Series:
        """Whether the day comes before the month, per cell; missing where it cannot be told.

        Dots stand between day and month in that order. With slashes and dashes the column's own values
        decide: one above 12 is a day.
        """
        verdict = pd.Series(index=parts.index, dtype="object")
        verdict[parts["sep"] == "."] = True
        slashed = parts[parts["sep"].isin(["/", "-"])]
        day_first = slashed.index[slashed["a"].astype(float) > 12]
        month_first = slashed.index[slashed["b"].astype(float) > 12]
        if len(day_first) and len(month_first):
            row, other = int(month_first[0]), int(day_first[0])
            found = f"{text[row]!r}, but {text[other]!r} in row {other}"
            advice = "Export the dates again as YYYY-MM-DD."
            self.wrong(row, column, found, "day and month in one order", advice)
        elif len(day_first) or len(month_first):
            verdict[slashed.index] = len(day_first) > 0
        elif len(slashed):
            row = int(slashed.index[0])
            expected = "a date whose day and month can be told apart"
            advice = (
                "No value of this column has a day above 12, so the order is ambiguous: export the dates "
                "again as YYYY-MM-DD."
            )
            self.wrong(row, column, repr(text[row]), expected, advice)
        return verdict

    def pin(
        self, column: str, cells: pd.Series, expected: str, advice: str, *,
        severity: str = "error", found: str = "{}",
    ) -> None:  # fmt: skip
        """Add a problem for each of these cells, and no more than a handful."""
        self.problems += pinned(self.file, column, cells, expected, advice, severity=severity, found=found)

    def headers(self) -> dict[str, str]:
        """The headers by their normal form; of two that are alike the first."""
        return {normal(str(header)): str(header) for header in reversed(list(self.cells.columns))}

    def part(self, cells: pd.Series) -> Sheet:
        """One column as a sheet of its own, which keeps its problems here."""
        return Sheet(self.file, cells.to_frame(), self.problems, self.zone)

    def wrong(
        self, row: int | None, column: str | None, found: str, expected: str, advice: str,
        severity: str = "error",
    ) -> None:  # fmt: skip
        """Add one problem of this file."""
        self.problems.append(Problem(self.file, row, column, found, expected, advice, severity))


_PARTS = ["year", "month", "day", "hour", "minute", "second"]
_CLOCK = r"(?:[T,]?\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _CLOCK + r"(?:Z| ?UTC)?)?$"
_YEAR_LAST = (
    r"^(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})[./-](?P<year>\d{4}|\d{2})"
    + _CLOCK
    + r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?$"
)


_MONEY = r"(?:[A-Z]{3}|[A-Z]{0,2}[$€£¥₹₽₩₺₪฿]|kr|zł)"


def _bare(text: pd.Series) -> pd.Series:
    """The figures without the sign or code of a currency, spaces, and the brackets of a loss."""
    bare = text.str.replace(rf"^{_MONEY}\s*|\s*{_MONEY}$", "", regex=True)
    bare = bare.str.replace(r"[ '’\u00a0\u202f]", "", regex=True)
    return bare.str.replace(r"^\((.*)\)$", r"-\1", regex=True)


def _comma_decimals(odd: pd.Series) -> bool:
    """Whether one of the cells can only be read with a comma as the decimal mark."""
    shape = r"^-?(?:0,\d+|(?:\d+|\d{1,3}(?:\.\d{3})+),(?:\d{1,2}|\d{4,}))$"
    return bool(_bare(odd).str.match(shape, na=False).any())


def _locale_numbers(text: pd.Series, odd: pd.Series) -> pd.Series:
    bare = _bare(text)
    decimal, thousands = (",", ".") if _comma_decimals(text[odd]) else (".", ",")
    shape = rf"^-?(?:\d+|\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+)(?:{re.escape(decimal)}\d+)?$"
    shaped = bare.where(bare.str.match(shape, na=False))
    plain = shaped.str.replace(thousands, "", regex=False).str.replace(decimal, ".", regex=False)
    return pd.to_numeric(plain, errors="coerce").astype(float)
