"""From the text of a cell to a value, with what is wrong pinned to file, row and column.

Every file is read as text first. A :class:`Sheet` then hands out its columns as dates, numbers, shares
or flags, decides formats from a column's own evidence, and collects problems instead of stopping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from forecasteval.errors import Problem, pinned
from forecasteval.tables.coded import each_word, is_coded
from forecasteval.tables.numerals import TYPED as TYPED
from forecasteval.tables.numerals import Numerals, may_be, read_numerals
from forecasteval.tables.period_labels import month_named

_PLACE = re.compile(r" \(column \d+\)$")  # tells columns of one name apart
_WORDS = ("na", "n/a", "nan", "null", "none", "#n/a")
_NOTHING = {r"\N", "NaN", "-None-", "--None--", "0000-00-00", "0000-00-00 00:00:00"}
_NOTHING |= {form for word in _WORDS for form in (word, word.upper(), word.capitalize())}
_DASHES = {"-", "--", "–", "—"}
_DIVIDE = "It looks like a percentage: divide by 100?"


def normal(header: str) -> str:
    """A header without case, spaces and punctuation, so that spellings of one name meet.

    >>> {normal(h) for h in ["CloseDate", "close_date", "Close Date"]}
    {'closedate'}
    >>> normal("Probability (%)")
    'probability'
    """
    return re.sub(r"[\W_]", "", header.lower())


def without_place(header: str) -> str:
    """A header as the file has it, without the number of its column."""
    return _PLACE.sub("", header)


def told_apart(headers: Sequence[str]) -> list[str]:
    """Every name once: those that stand over several columns with the number of the column."""
    return [
        f"{name} (column {place})" if headers.count(name) > 1 else name
        for place, name in enumerate(headers, start=1)
    ]


@dataclass
class Sheet:
    """One file as text, its columns on demand as values; what is wrong is added to ``problems``.

    ``cells`` are indexed by spreadsheet row; ``zone`` is that of times which carry none. ``days_in`` is the zone in
    which times that carry one are counted as days; where none is stated, the day as written counts. ``decimal`` is the
    mark where a column's own cells do not decide, ``rates`` what a unit of each currency is worth; ``told_in`` names
    the file that states them.

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
    days_in: str = ""
    decimal: str = ""
    rates: Mapping[str, float] = field(default_factory=dict)
    told_in: str = "organisation.yaml"
    separator: str = ","
    notes: list[str] = field(default_factory=list)

    def read(self, column: str, kind: str, *, percent: bool = False) -> pd.Series:
        """The column as its kind says: text, name, number, date, moment, its day, share (of 100: ``percent``) or flag."""
        cells = self.cells[column]
        if is_coded(cells):
            once = replace(self, problems=[], notes=[])
            values = each_word(
                cells, lambda words: once.part(words.rename(column)).read(column, kind, percent=percent)
            )
            if (
                once.problems or once.notes
            ):  # each wrong cell is pinned, each empty one counted, not each word
                return self.part(cells.astype("str")).read(column, kind, percent=percent)
            return values
        if kind == "share":
            return self.shares(column, percent=percent)
        readers = {
            "text": self.text, "name": self.names, "number": self.numbers, "date": self.dates, "moment": self.moments,
            "day": self.days, "flag": self.flags,
        }  # fmt: skip
        return readers[kind](column)

    def text(self, column: str) -> pd.Series:
        """The column as stripped text; blank cells are missing."""
        stripped = self.cells[column].astype("str").str.strip()
        hard = stripped.str.contains("\u00a0", regex=False, na=False)  # as pages and some tools write spaces
        if hard.any():
            stripped = stripped.mask(hard, stripped.str.replace("\u00a0", " ", regex=False))
        guarded = stripped.str.startswith('="', na=False)
        if guarded.any():  # ="0061": so that a spreadsheet keeps the zeros
            stripped = stripped.mask(
                guarded, stripped.str.replace(r'^="(.*)"$', r"\1", regex=True).str.strip()
            )
        return stripped.where(stripped.ne("") & self.cells[column].notna())

    def names(self, column: str) -> pd.Series:
        """The column as text of people, things and labels: a word for nothing, such as NULL, is none of them."""
        text = self.given(column)
        rounded = text[text.str.contains("+", regex=False, na=False)]
        rounded = rounded[rounded.str.fullmatch(_ROUNDED)]
        advice = "A spreadsheet rounded it, so that several may look alike: export it again, and read it as text there."
        self.pin(column, rounded, "an id with all its digits", advice)
        return text

    def given(self, column: str, *, dashes: bool = True) -> pd.Series:
        """The text of a column, without the words (and dashes) that stand for nothing; they are counted."""
        text = self.text(column)
        blank = text.isin(_NOTHING | _DASHES if dashes else _NOTHING)
        if blank.any():
            words = ", ".join(text[blank].unique())
            self.say(
                f"{self.file}, column {column}: {int(blank.sum()):,} cells of {words} were taken as empty."
            )
        return text.mask(blank)

    def numbers(self, column: str) -> pd.Series:
        """The column as floats; currencies, thousands, brackets of a loss are understood.

        Whether a comma marks decimals is decided from the whole column, and asked where that does not decide.
        """
        text = self.given(column, dashes=False)
        found = self._numerals(column, text)
        wrong = text[text.notna() & found.amounts.isna()]
        advice = "Correct the cell or leave it empty."
        if wrong.str.fullmatch(_DASH).any():
            advice = (
                "A dash means 0 in some spreadsheets and nothing in others: write 0, or leave the cell empty."
            )
        if found.both:
            advice = "Other cells of the column mark decimals differently: use one mark in all of them."
        self.pin(column, wrong, "a number", advice)
        return self.converted(column, found.amounts, found.currencies)

    def _numerals(self, column: str, text: pd.Series, most: float = np.inf) -> Numerals:
        """The figures of a column; what they leave open is asked or said."""
        found = read_numerals(text, stated=self.decimal, comma_is_thousands=self.separator != ";", most=most)
        if found.example:
            advice = (
                f"Nothing in the column shows whether the mark stands before decimals or between thousands: write "
                f'decimal_mark: "." or decimal_mark: "," in {self.told_in}.'
            )
            row = int(text.index[text.str.contains(found.example, regex=False, na=False)][0])
            self.wrong(row, column, repr(text[row]), "a number that can be read in one way", advice)
        if found.scaled:
            self.say(
                f"{self.file}, column {column}: letters after numbers were multiplied out, as in {found.scaled}."
            )
        if found.assumed:
            self.say(
                f"{self.file}, column {column}: commas were taken to mark thousands, as in {found.assumed}; if they mark "
                f'decimals, write decimal_mark: "," in {self.told_in}.'
            )
        return found

    def converted(self, column: str, amounts: pd.Series, currencies: pd.Series) -> pd.Series:
        """Amounts in one currency as they are, and in several as amounts in the one of the rates; refused without."""
        spellings = list(currencies.dropna().unique())
        alike = len(spellings) < 2 or frozenset.intersection(*map(may_be, spellings))
        if not spellings or (not self.rates and alike):
            return amounts
        worth = {spelling: self._rate(spelling) for spelling in spellings}
        unknown = currencies[currencies.isin([name for name, rate in worth.items() if rate is None])].astype(
            "str"
        )
        if len(unknown):
            expected = "a currency of which the rate is stated" if self.rates else "amounts in one currency"
            said = ", ".join(f"{name} ({count:,})" for name, count in unknown.value_counts().items())
            codes = ", ".join(f"{_likely(name)}: ..." for name in unknown.unique())
            advice = (
                f"Write currency_rates: {{{codes}}} in {self.told_in}, a rate table: what one unit of each is worth in the "
                "currency of the report."
            )
            self.wrong(int(str(unknown.index[0])), column, said, expected, advice)
            return amounts
        bare = amounts.notna() & currencies.isna()
        expected = "an amount with its currency, as in the other rows"
        self.pin(column, self.cells.loc[bare, column], expected, "Add the currency.")
        rates = ", ".join(f"{name} = {rate:g}" for name, rate in worth.items())
        self.say(f"{self.file}, column {column}: amounts were converted with {rates}.")
        return amounts * currencies.map(worth).astype(float)

    def _rate(self, currency: str) -> float | None:
        """The rate of a currency, by its code or sign."""
        codes = may_be(currency)
        fit = [rate for name, rate in self.rates.items() if name == currency or name.upper() in codes]
        return fit[0] if len(fit) == 1 else None

    def numbers_or_text(self, column: str) -> pd.Series:
        """The column as floats if every cell is a plain number, else as text."""
        text = self.text(column)
        found = read_numerals(text)
        words = found.amounts[text.notna()].isna().any() or found.currencies.notna().any()
        words |= text.isna().all() or bool(found.scaled)
        return text if words else self._numerals(column, text).amounts

    def shares(self, column: str, *, percent: bool, percent_advice: str = _DIVIDE) -> pd.Series:
        """The column as numbers between 0 and 1; the file holds 0-100 when ``percent``.

        ``percent_advice`` is what to do about shares that look like percentages.
        """
        text = self.given(column)
        sign = text.str.endswith("%", na=False)
        percent |= bool(sign.any()) and bool((sign | text.isna() | text.eq("0")).all())
        top = 100.0 if percent else 1.0
        found = self._numerals(column, text.str.rstrip("% "), most=top)
        values = found.amounts.mask(found.currencies.notna())
        wrong = text[text.notna() & values.isna()]
        self.pin(column, wrong, "a number", "Correct the cell or leave it empty.")
        outside = values.notna() & ~values.between(0, top)
        if percent:
            advice = "Correct the probability in the CRM, or leave the cell empty."
        elif sign.any():
            advice = "Other cells of the column have no sign: write all of them with it, or none."
        elif values.between(0, 100).all() or (values[outside] <= 100).all():
            advice = percent_advice
        else:
            advice = "Correct the cell or leave it empty."
        self.pin(column, text[outside], f"a number from 0 to {top:g}", advice)
        used = values[values.notna()]
        signed = bool(sign.any())
        bare = text[values.notna() & ~sign & values.ne(0)]
        if signed:
            advice = "Other cells of the column have the sign: write all of them with it, or none."
            self.pin(column, bare, "a percentage with its sign", advice)
        if percent and not signed:
            whole = ~text.str.contains("[.,]", na=False)
            odd = used[(used > 0) & (used < 1)]
            if (used > 1).any() and whole[used.index[used > 1]].all():
                advice = "It seems to be a share: multiply it by 100; if it is less than 1%, write the others with a decimal too, as 45.0."
                self.pin(column, text[odd.index], "a percentage, as in the other cells", advice)
        if percent and not signed and len(used) > 0 and used.max() <= 1 and (used % 1 != 0).any():
            self.wrong(
                None,
                column,
                f"nothing above {used.max():g}",
                "percentages from 0 to 100",
                "The column seems to hold shares from 0 to 1: multiply it by 100"
                + (
                    " (a spreadsheet shows 0.1 as 10% where the cell has that format)."
                    if self.decimal == TYPED
                    else "."
                ),
            )
        return values.mask(outside) / top

    def flags(self, column: str) -> pd.Series:
        """The column as booleans (true/TRUE/1/yes against false/0/no); missing is False."""
        text = self.given(column)
        lower = text.str.lower()
        true = lower.isin(["true", "1", "yes", "y", "t", "1.0"])
        false = lower.isin(["false", "0", "no", "n", "f", "0.0"])
        self.pin(
            column, text[text.notna() & ~true & ~false], "true or false", "Write true or false (or 1 and 0)."
        )
        return true.astype(bool)

    def dates(self, column: str) -> pd.Series:
        """The column as calendar days; a time of day that is given is dropped.

        A time with a zone lies on the day that it is in ``days_in``, or else on the day as written. A column of which
        every time is midnight in UTC holds days that a system could not write without a time.
        """
        stamps, zoned, text = self._stamps(column)
        if zoned.any():
            bare = stamps[zoned].eq(stamps[zoned].dt.floor("D")) & text[zoned].str.contains(_UTC)
            if self.days_in and not bare.all():
                local = stamps[zoned].dt.tz_localize("UTC").dt.tz_convert(self.days_in).dt.tz_localize(None)
            else:
                written = pd.to_datetime(text[zoned].str[:10], format="%Y-%m-%d", errors="coerce")
                local = written.astype("datetime64[us]").fillna(stamps[zoned])
            stamps = stamps.astype("datetime64[us]").where(~zoned, local.reindex(stamps.index))
        days = stamps.dt.floor("D").astype("datetime64[s]")
        none = days.isin(_NO_DAYS)
        if none.any():
            self.say(
                f"{self.file}, column {column}: {int(none.sum()):,} cells such as {days[none].iloc[0]:%Y-%m-%d} were taken as empty."
            )
        days = days.mask(none)
        far = days.notna() & ~days.dt.year.between(*_LIVES)
        advice = "Correct the year, or leave the cell empty."
        self.pin(column, text[far], "a date from {} to {}".format(*_LIVES), advice)
        return days

    def moments(self, column: str) -> pd.Series:
        """The column as naive UTC stamps; times without a zone are read in the sheet's zone."""
        stamps, zoned, _ = self._stamps(column)
        stamps = stamps.astype("datetime64[us]")
        if self.zone == "UTC" or zoned.all():
            return stamps
        local = stamps.where(~zoned).dt.tz_localize(
            self.zone, ambiguous=np.zeros(len(stamps), dtype=bool), nonexistent="shift_forward"
        )
        return stamps.where(zoned, local.dt.tz_convert("UTC").dt.tz_localize(None))

    def days(self, column: str) -> pd.Series:
        """The day of each moment in the organisation's zone; a bare date is itself."""
        bare = self.text(column).str.fullmatch(r"[^T:]*", na=False)
        utc = self.moments(column)
        local = utc.dt.tz_localize("UTC").dt.tz_convert(self.days_in or "UTC").dt.tz_localize(None)
        return local.where(~bare, self.dates(column)).dt.floor("D").astype("datetime64[s]")

    def _stamps(self, column: str) -> tuple[pd.Series, pd.Series, pd.Series]:
        """The stamps in UTC, which of them say their zone, and their text as ISO 8601 where a machine wrote it otherwise."""
        text = self.given(column)
        iso = text.str.match(_ISO, na=False) & ~text.str.endswith(("UTC", "GMT"), na=False)
        if not iso[text.notna()].all():
            told, counted = _machine_stamps(text[~iso])
            text = text.mask(~iso, told.reindex(text.index))
            iso = text.str.match(_ISO, na=False)
            if counted.any():
                row, first = counted.idxmax(), told[counted].iloc[0]
                self.say(
                    f"{self.file}, column {column}: {int(counted.sum()):,} cells were read as seconds since 1970 (in row {row}, "
                    f"{first[:10]})."
                )
        stamps = pd.to_datetime(text.where(iso), format="ISO8601", utc=True, errors="coerce").astype(
            "datetime64[us, UTC]"
        )
        values = stamps.dt.tz_localize(None)
        zoned = text.str.contains(_ZONE, na=False) & (values.notna() | text.str.endswith("Z", na=False))
        left = text.notna() & values.isna()
        if left.any():
            values = values.mask(left, self._locale_stamps(column, text[left], values).reindex(text.index))
        return values, zoned.astype(bool) & values.notna(), text

    def _locale_stamps(self, column: str, text: pd.Series, others: pd.Series) -> pd.Series:
        """Dates in the forms that spreadsheets and reports use; day and month from the evidence, ``others`` included."""
        told = _spelled_out(text)
        year_first, year_last = told.str.extract(_YEAR_FIRST), told.str.extract(_YEAR_LAST)
        known = year_first["year"].notna() | year_last["year"].notna()
        advice = "Write dates as YYYY-MM-DD."
        if (serial := text[text.str.fullmatch(r"[34]\d{4}(?:\.\d+)?")]).any():
            day = pd.Timestamp("1899-12-30") + pd.Timedelta(days=int(float(serial.iloc[0])))
            advice = f"A spreadsheet's number of a day ({serial.iloc[0]} is {day:%Y-%m-%d}): format the column as a date there."
        self.pin(column, text[~known], "a date such as 2026-02-23", advice)
        short = year_last["year"].str.len().eq(2)
        if short.any() and self._year_leads(column, text[short], year_last[short]):
            year_last.loc[short, ["a", "year"]] = year_last.loc[short, ["year", "a"]].to_numpy()
            year_last.loc[short, "sep"] = "."
        by_day = self._by_day(column, text[year_last["year"].notna()], year_last, others)
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

    def _year_leads(self, column: str, text: pd.Series, parts: pd.DataFrame) -> bool:
        """Whether 24-03-15 is a day of 2024 rather than of 2015: as years vary less than days; asked where few cells say so."""
        first, month, last = (parts[name].astype(int) for name in ("a", "b", "year"))
        if not (first.between(10, 39) & month.between(1, 12) & last.between(1, 31)).all():
            return False
        few, many = int(np.ptp(first)), int(np.ptp(last))
        ends = pd.to_datetime({"year": 2000 + last, "month": month, "day": first}, errors="coerce")
        if few >= min(many, _YEARS) or ends.dt.is_month_end.all():
            return False
        if many < _YEARS:
            expected = "a date of which one can tell the year"
            advice = "It may be the first or the last number: export the dates again as YYYY-MM-DD."
            self.wrong(int(str(text.index[0])), column, repr(text.iloc[0]), expected, advice)
        return True

    def _by_day(self, column: str, text: pd.Series, parts: pd.DataFrame, others: pd.Series) -> pd.Series:
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
            every, days = len(day_first) + len(month_first) == len(slashed), others.dt.day.dropna()
            if every and min(len(slashed), len(days)) >= _FEWEST_SWAPPED and days.max() <= _MONTHS:
                found = f"{text[slashed.index[0]]!r}, as all with a day above 12, but {others.dropna().iloc[0]:%Y-%m-%d} in row {days.index[0]}"
                advice = (
                    "A spreadsheet took the day for the month wherever it could, so that half of the dates are others: export "
                    "them again as YYYY-MM-DD."
                )
                self.wrong(int(slashed.index[0]), column, found, "dates in one form", advice)
        elif len(slashed):
            row = int(slashed.index[0])
            expected = "a date whose day and month can be told apart"
            advice = (
                "No value of this column has a day above 12, so the order is ambiguous: export the dates "
                "again as YYYY-MM-DD."
            )
            self.wrong(row, column, repr(text[row]), expected, advice)
        return verdict

    def say(self, note: str) -> None:
        """Add one note, once."""
        if note not in self.notes:
            self.notes.append(note)

    def pin(
        self, column: str, cells: pd.Series, expected: str, advice: str, *,
        severity: str = "error", found: str = "{}",
    ) -> None:  # fmt: skip
        """Add a problem for each of these cells, and no more than a handful."""
        self.problems += pinned(self.file, column, cells, expected, advice, severity=severity, found=found)

    def alike(self, name: str) -> list[str]:
        """The headers that differ from a name in case, spaces and punctuation alone, unless they hold the same cells."""
        wanted = normal(without_place(name))
        headers = [str(header) for header in self.cells.columns]
        found = [header for header in headers if normal(without_place(header)) == wanted != ""]
        same = all(self.cells[found[0]].equals(self.cells[other]) for other in found[1:])
        return found[:1] if same else found

    def headers(self) -> dict[str, str]:
        """The headers by their normal form; of two that are alike the first."""
        headers = [str(header) for header in reversed(list(self.cells.columns))]
        return {normal(_PLACE.sub("", header)): header for header in headers}

    def find(self, name: str) -> str | None:
        """The header of this very name, else the one alike; a problem where there are several."""
        if name in self.cells.columns:
            return name
        alike = self.alike(name)
        self.refuse_twins(name, alike)
        return alike[0] if alike else None

    def refuse_twins(self, name: str, alike: list[str]) -> None:
        """Add the problem that several columns may be meant by a name, where there are several."""
        if len(alike) > 1:
            expected, advice = f"one column named {name}", "Rename the others, or leave them out of the file."
            self.wrong(1, name, f"{len(alike)} that may be meant: {', '.join(alike)}", expected, advice)

    def part(self, cells: pd.Series) -> Sheet:
        """One column as a sheet of its own, which keeps its problems here."""
        return replace(self, cells=cells.to_frame())

    def wrong(
        self, row: int | None, column: str | None, found: str, expected: str, advice: str,
        severity: str = "error",
    ) -> None:  # fmt: skip
        """Add one problem of this file."""
        self.problems.append(Problem(self.file, row, column, found, expected, advice, severity))


def _likely(currency: str) -> str:
    """The code that a sign most likely stands for."""
    codes = may_be(currency)
    return "USD" if "USD" in codes else min(codes, default=currency)


_ROUNDED = r"\d(?:[.,]\d+)?[eE]\+\d{2,}"
# what systems write for no day, and the years in which deals live
_NO_DAYS = np.array(
    ["0001-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "9999-12-31"], "datetime64[s]"
)
_LIVES = (1980, 2100)
_DASH = r"\W*[-–—]\W*"
_YEARS = 16  # deals lie within fewer years
_MONTHS, _FEWEST_SWAPPED = 12, 4
_UTC = r"(?:[Zz]|[+-]00(?::?00)?)$"
_ISO = r"\d{4}-\d{2}-\d{2}(?:$|[T ]\d{2}:)"
_ZONE = r"(?:[Zz]|:\d{2}(?:\.\d+)? ?[+-]\d{2}(?::?\d{2})?)$"
_WORD = r"[^\W\d_]{3,10}\.?"
# 24-Jun-2024, Mon, June 24th, 2024, 24. Juni 2024, 24 de junio de 2024
_NAMED_MONTH = re.compile(
    rf"^(?:[^\W\d_]{{2,10}}\.?,? )?(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th|er|\.|º|°)?[-/ ](?:de )?(?P<name>{_WORD})[-/ ](?:de )?"
    rf"|(?P<first>{_WORD}) (?P<second>\d{{1,2}})(?:st|nd|rd|th)?,? )(?P<year>\d{{4}}|\d{{2}})(?=\D|$)"
)
_EAST_ASIAN = re.compile(r"^(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]")
_COMPACT = r"^((?:19|20)\d{2})(0[1-9]|1[0-2])([0-2]\d|3[01])(?:T?([0-2]\d)([0-5]\d)([0-5]\d)(Z?))?$"
_SINCE_1970 = r"^(1[0-8]\d{8})(\d{3}|\d{6}|\d{9})?(?:\.0+)?$"  # up to 2030: 19... may be a year and a day


def _day_month_year(found: re.Match[str]) -> str:
    """A date whose month is a word, as day.month.year."""
    month = month_named(found["name"] or found["first"])
    return f"{found['day'] or found['second']}.{month}.{found['year']}"


def _spelled_out(text: pd.Series) -> pd.Series:
    """Dates with words or signs between their numbers, as numbers with marks between them."""
    told = text.str.replace(_NAMED_MONTH, _day_month_year, regex=True)
    return told.str.replace(_EAST_ASIAN, r"\1-\2-\3", regex=True)


def _machine_stamps(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """What machines write in ISO 8601 (20260223, ... UTC, seconds or parts of them since 1970), and which were counted since 1970."""
    text = text.str.replace(r"(?<=\d) ?(?:UTC|GMT)$", "Z", regex=True)
    since = text.str.extract(_SINCE_1970)
    counted = since[0].notna()
    if counted.any():
        whole = pd.to_datetime(since.loc[counted, 0].astype("int64"), unit="s")
        fraction = since.loc[counted, 1].fillna("0")
        text = text.mask(
            counted, (whole.dt.strftime("%Y-%m-%dT%H:%M:%S.") + fraction + "Z").reindex(text.index)
        )
    parts = text.str.extract(_COMPACT)
    day, clock = parts[0] + "-" + parts[1] + "-" + parts[2], "T" + parts[3] + ":" + parts[4] + ":" + parts[5]
    return text.mask(day.notna(), day + (clock + parts[6]).fillna("")), counted


def date_like(text: pd.Series, *, numbers: bool) -> pd.Series:
    """Which cells have the form of a date; with ``numbers`` also 20260223 and what counts since 1970."""
    told = _spelled_out(_machine_stamps(text)[0] if numbers else text)
    return told.str.match(_ISO) | told.str.match(_YEAR_FIRST) | told.str.match(_YEAR_LAST)


_PARTS = ["year", "month", "day", "hour", "minute", "second"]
_CLOCK = r"(?:[T,]?\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?"
_YEAR_FIRST = r"^(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _CLOCK + r"Z?)?$"
_YEAR_LAST = (
    r"^(?P<a>\d{1,2})(?P<sep>[./-])(?P<b>\d{1,2})[./-](?P<year>\d{4}|\d{2})"
    + _CLOCK
    + r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?)?$"
)
