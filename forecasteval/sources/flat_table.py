"""Any flat table that already holds outcomes and forecasts, as a matched table.

A small YAML mapping names the columns; :func:`explain` drafts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError, InputError, Problem
from forecasteval.sources._looks import as_seen_while_open, final, won_in_the_last_row_alone
from forecasteval.sources._mapping import Blocks, Forecast, Mapped, Outcome, nouns, read_mapping, spellings
from forecasteval.sources._open_as_lost import open_as_lost
from forecasteval.sources._reader import Reader, read_flat
from forecasteval.sources.categories import ENOUGH, Moments, past_conversion
from forecasteval.sources.points import points_of
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.document import Document
from forecasteval.tables.giveaways import gives_away, knows
from forecasteval.tables.not_data import drop_copies
from forecasteval.tables.numerals import read_numerals
from forecasteval.tables.organisation import Org, of_the_future
from forecasteval.tables.period_labels import in_order_of_time
from forecasteval.tables.schemas import RESERVED

_PERCENT = "If these are percentages write scale: 100 in the mapping; if they are scores or ranks write kind: rank_score."
_IN_THOUSANDS = r"(?i)(?<![^\W\d_])(?:k|t|tsd\.?|m|mn|mio\.?) ?[€$£¥]|[€$£¥] ?(?:k|m|mn|mio)\b|thousand|million|tausend|milliers|万円|千円"
_PLAIN = {
    "deal_id": "name", "rep": "name", "account": "name", "as_of": "date", "closed_on": "date", "amount": "number",
    "amount_won": "number",
}  # fmt: skip


def import_table(
    file: Any, mapping: str | Path | Mapping[str, Any], table: str | None = None
) -> pd.DataFrame:
    """A flat table of outcomes and forecasts as a matched table.

    Parameters
    ----------
    file : path of a CSV (any of the usual delimiters), an Excel workbook, a Parquet file or folder or a DuckDB
        file; the address of a PostgreSQL database (postgresql://user@host/name); or a frame of any library
    mapping : the mapping, or the YAML file that holds it. Keys: ``won`` (required: ``{column, won, lost}``
        and, if need be, ``undecided``, each a list of the column's words, and ``lost_where: {column, closed, open}``, a flag
        for closed or lost without which a deal that is not won is undecided; or ``{column, within_days, through}`` for a
        column of the days on which it came true: rows younger than the window on the last day are undecided),
        ``forecasts`` (``{name: {column,
        kind: probability | rank_score | amount | category, scale: 1 or 100, missing: [values], by: people | model,
        categories: {Commit: 0.9, ...} or [Commit, ...]}}``, or ``{points: rules.yaml}`` for hand-written rules), and, all
        optional, ``deal_id, as_of, closed_on, rep, account, amount, amount_won`` (columns; rows dated on the day of the close
        or later are left out), ``period`` (a column, or ``{column,
        block_days}``), ``segments``, ``features`` (lists of columns), ``fields_as_of`` (the day on which a row's fields
        were recorded; refused after as_of), ``group_duplicates`` (true, or the
        columns: rows that agree in all of them share an ``account``), ``currency`` (a column) and ``currency_rates``
        (``{EUR: 1, USD: 0.92}``), ``period_order`` (the periods in their order, where their names do not show it),
        ``timezone`` (in which times with a zone are counted as days), ``decimal_mark`` (where a column does not show
        it), ``file`` (of a mapping.yaml in a data folder: the table beside it), ``table`` (the sheet or table to read),
        ``description, target, max_age_days``. Leads have words of their own: ``lead_id, scored_on, owner, campaign,
        converted`` for deal_id, as_of, rep, period and won
    table : the sheet of a workbook, or the table of a database, where there are several

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
    reader = reader_of(file, mapping, table)
    if reader.mapped.actual is not None:
        raise CallError("The mapping is one of totals (it has the key actual): read it with import_totals.")
    return reader.table()


def reader_of(file: Any, mapping: str | Path | Mapping[str, Any], table: str | None) -> Matching:
    """A flat table and its mapping, read; refused where there is nothing to go on with."""
    mapped, document = read_mapping(mapping)
    sheet, notes = read_flat(file, table or mapped.table)
    unread = bool(document.problems) and not document.given
    if sheet.problems or unread:
        raise InputError(document.problems + sheet.problems)
    return Matching(mapped, document, sheet, notes)


def shortcomings(matched: pd.DataFrame) -> list[Problem]:
    """What a matched table lacks for a comparison, and what knew the outcome in it, as warnings."""
    said = matched.attrs.get("forecasteval", {})
    if said.get("forecasters") or said.get("features"):
        won = matched["won"].to_numpy(dtype=float)
        numbers = matched[list(said.get("forecasters", {}))].select_dtypes("number")
        known = {name: knows(numbers[name].to_numpy(dtype=float, na_value=np.nan), won) for name in numbers}
        expected = "a forecast made while the deals were open"
        advice = "It will be compared without a verdict: map its values as they stood before the close."
        told = {f"forecasts.{name}": f"{name}, which {how}" for name, how in known.items() if how}
        hindsight = [Problem("mapping", None, k, v, expected, advice, "warning") for k, v in told.items()]
        return of_the_future(Org("", None, matched=matched)) + hindsight
    advice = "Without them nothing can be compared: add one of them to the mapping."
    expected = "forecasts, or features for a model"
    return [Problem("mapping", None, None, "neither forecasts nor features", expected, advice, "warning")]


class Matching(Reader):
    """One flat table on its way to a matched one; every problem is kept until the end."""

    def __init__(self, mapped: Mapped, document: Document, sheet: Sheet, notes: list[str]) -> None:
        """Nothing is read yet but the marks and rates that the mapping states."""
        super().__init__(document, sheet)
        self.mapped, self.notes = mapped, list(notes)
        sheet.notes = self.notes
        if (ids := sheet.headers().get(normal(str(mapped.deal_id)))) and mapped.deal_id is not None:
            drop_copies(sheet, ids)
        self.columns: dict[str, pd.Series] = {}
        self.sources: dict[str, str] = {}  # of each forecast the column
        self.flow: list[dict[str, Any]] = []
        self.periods: list[str] = []  # in their order in time, where that is known
        self.waiting: dict[str, pd.Series] = {}  # categories whose past conversion is asked for
        self.burn_in = pd.Series(False, index=sheet.cells.index)
        sheet.days_in, sheet.told_in = mapped.timezone or "", "the mapping"
        sheet.rates = mapped.currency_rates
        sheet.decimal = mapped.decimal_mark or sheet.decimal
        self.late = (pd.Series(False, index=sheet.cells.index), "")
        self.undecided = "the outcome is blank or undecided"
        self.words: dict[str, pd.Series] = {}  # of points tables, which rules gave the points
        self.point_fields: dict[str, list[str]] = {}  # and what they look at

    def table(self) -> pd.DataFrame:
        """The matched table, or one error that says all that is wrong."""
        if self.sheet.cells.empty:
            self.sheet.wrong(None, None, "a header and no rows", "one row per deal", "Export it again.")
        currency = self.column("currency", self.mapped.currency)
        for name, kind in _PLAIN.items():
            column = self.column(name, getattr(self.mapped, name))
            if column:
                values = self.sheet.read(column, kind)
                self.columns[name] = self.converted(column, values, currency) if kind == "number" else values
        if self.mapped.amount and re.search(_IN_THOUSANDS, str(self.mapped.amount)):
            self.notes.append(
                f"{self.mapped.amount}: amounts are taken as they stand; by its name they are thousands or millions."
            )
        if (below := self.columns.get("amount", pd.Series(dtype=float)) < 0).any():
            self.notes.append(
                f"{int(below.sum()):,} amounts are below 0, the first in row {below.idxmax()}: what is weighted by money leaves "
                "them out."
            )
        outcome = self._outcome()
        self.read_periods()
        for name, forecast in self.mapped.forecasts.items():
            self._forecast(name, forecast)
        closed = self.columns.get("closed_on")
        segments, features = self._extra("segments"), self._extra("features")
        self._groups()
        self.notes += open_as_lost(self.mapped, self.sheet, outcome, self.columns.get("as_of"))
        outcome = self._while_open(outcome)
        self._identity(outcome)
        self._gaps(outcome)
        self._recorded()
        self._given_away(features, outcome)
        self._conversions(outcome, closed)
        problems = self.document.problems + self.sheet.problems
        if problems:
            raise InputError(problems)
        return self._finished(outcome, segments, features)

    def _outcome(self) -> pd.Series:
        said = self.mapped.won
        empty = pd.Series(index=self.sheet.cells.index, dtype=float)
        column = self.column("won", said.column) if said is not None else None
        if said is None or column is None:
            return empty
        if said.within_days is not None:
            return self._dated_outcome(column, said.within_days, said.through)
        known = ["/".join(spellings(w)) if isinstance(w, bool) else str(w) for w in said.won + said.lost]
        sides = {"won": said.won, "lost": said.lost, "undecided": said.undecided}
        advice = "Add the word to won, lost or undecided in the mapping."
        found = self.told(column, sides, f"one of {', '.join(known)}", advice)
        lost = found["lost"] & self._decided(said, found["won"])
        return empty.mask(found["won"], 1.0).mask(lost, 0.0)

    def _dated_outcome(self, column: str, days: int, through: str | None) -> pd.Series:
        """What came true within so many days of the row's own day; undecided where these days are not over yet."""
        began = self.columns.get("as_of")
        if began is None:
            return pd.Series(index=self.sheet.cells.index, dtype=float)
        came = self.present(column).dates(column)
        last = pd.to_datetime(through, errors="coerce") if through else max(began.max(), came.max())
        if pd.isna(last):
            expected = "the last day of the data, as 2026-03-31"
            self.document.wrong("won", f"through {through!r}", expected, "Correct it.")
            return pd.Series(index=began.index, dtype=float)
        decides = began + pd.Timedelta(days=days)
        before, young = came < began, decides > last
        if not through:
            self.notes.append(
                f"The data are taken to end on {last:%Y-%m-%d}, their newest date: state the day of the export as through."
            )
        if same := int((came == began).sum()):
            self.notes.append(f"{same:,} came true on the row's own day, and count as after it.")
        self.late = (before, "it had come true before the row's own day")
        self.undecided = f"younger than {days} days on {last:%Y-%m-%d}: undecided, not lost"
        return (came.notna() & (came <= decides)).astype(float).mask(young | began.isna())

    def _decided(self, said: Outcome, won: pd.Series) -> pd.Series:
        """Where a deal that is not won is a lost one: everywhere, or where a second flag says so."""
        second = said.lost_where
        column = self.column("won.lost_where", second.column) if second is not None else None
        if second is None or column is None:
            return pd.Series(True, index=self.sheet.cells.index)
        expected = f"one of {', '.join(map(str, second.closed + second.open))}"
        sides = {"closed": second.closed, "open": second.open}
        found = self.told(column, sides, expected, "Add the word to closed or open of lost_where.")
        return found["closed"] & ~won

    def converted(self, column: str, amounts: pd.Series, currency: str | None) -> pd.Series:
        """Amounts in one currency, where a column says in which each is; those that say it themselves are converted."""
        if currency is None or read_numerals(self.sheet.text(column)).currencies.notna().any():
            return amounts
        return self.sheet.converted(column, amounts, self.sheet.text(currency).where(amounts.notna()))

    def _gaps(self, outcome: pd.Series) -> None:
        """Deals that nobody owns or that lie in no period cannot be compared over reps or periods."""
        decided = outcome.notna()
        if "as_of" in self.columns:
            decided &= self.columns["as_of"].notna()
        for name in ("rep", "period"):
            values = self.columns.get(name)
            if values is not None and values.notna().any():
                wanted = getattr(self.mapped, name)
                column = str(wanted.column if isinstance(wanted, Blocks) else wanted)
                advice = (
                    f"Fill the cells, take these rows out of the file, or take {name} out of the mapping."
                )
                expected = f"a {name} for every deal that is decided"
                self.sheet.pin(column, self.sheet.text(column)[decided & values.isna()], expected, advice)
        if not len(outcome) or outcome.notna().any() or self.document.problems or self.sheet.problems:
            return
        assert self.mapped.won is not None
        found = f"{len(outcome):,} rows, and in none of them an outcome"
        advice = "Import the table again when deals are decided, or correct the words of won and lost."
        self.sheet.wrong(None, str(self.mapped.won.column), found, "deals that were won or lost", advice)

    def read_periods(self) -> None:
        """The period of each row, and the periods in their order in time."""
        period = self.mapped.period
        column = self.column("period", period.column if isinstance(period, Blocks) else period)
        if column is None:
            return
        if not isinstance(period, Blocks):
            self.columns["period"] = self.sheet.text(column)
            self._order()
            return
        days = period.block_days
        dates = self.columns.get("as_of") if period.column == self.mapped.as_of else None
        dates = self.present(column).dates(column) if dates is None else dates
        first = dates.min()
        if pd.isna(first):
            return
        starts = first + pd.to_timedelta((dates - first).dt.days // days * days, unit="D")
        self.columns["period"] = starts.dt.strftime("%Y-%m-%d").astype("str")
        self.periods = sorted(self.columns["period"].dropna().unique())
        self.notes.append(
            f"Periods are blocks of {days} days from {first:%Y-%m-%d}, named by their first day."
        )

    def _order(self) -> None:
        """The periods in their order in time: as the mapping states it, as their names or their dates show it."""
        labels = list(self.columns["period"].dropna().unique())
        stated = [str(label) for label in self.mapped.period_order]
        if stated:
            lacking = [label for label in labels if label not in stated]
            if lacking:
                expected, advice = "every period of the table", "Add them in their order in time."
                self.document.wrong("period_order", f"no {', '.join(lacking)}", expected, advice)
            self.periods = [label for label in stated if label in labels]
            return
        self.periods = in_order_of_time(labels) or self._by_dates() or []
        dated = self.mapped.won is not None and self.mapped.won.within_days is not None
        if not self.periods and len(labels) > 1 and not dated:
            some = ", ".join(labels[:4]) + (", ..." if len(labels) > 4 else "")
            self.notes.append(
                f"The order of the periods in time is not known ({some}): write period_order: [...] in the mapping where "
                "it matters."
            )

    def _by_dates(self) -> list[str] | None:
        """The periods by their dates, where these do not overlap."""
        if "as_of" not in self.columns:
            return None
        spans = self.columns["as_of"].groupby(self.columns["period"]).agg(["min", "max"]).sort_values("min")
        apart = (spans["max"].shift() < spans["min"]) | ~spans["max"].shift().notna()
        return [str(label) for label in spans.index] if spans.notna().all(axis=None) and apart.all() else None

    def _forecast(self, name: str, said: Forecast) -> None:
        if said.points:
            if found := points_of(self, name, said.points, self._leaks("features")):
                self.columns[name] = pd.Series(found.total, index=self.sheet.cells.index)
                self.words[f"{name}_because"] = pd.Series(found.because, self.sheet.cells.index, dtype="str")
                self.sources[name] = ""
                self.point_fields[name] = list(dict.fromkeys(rule.field for rule in found.rules))
                self.notes += found.notes
            return
        column = self.column(f"forecasts.{name}", said.column)
        if column is None:
            return
        if self.mapped.won is not None and column == self.sheet.find(str(self.mapped.won.column)):
            same = f"{column}, which is the outcome"
            self.document.wrong(f"forecasts.{name}", same, "a forecast of it", "Take it out.")
            return
        present = self.present(column, said.missing)
        if said.kind == "category":
            values = self._category(name, column, present, said)
        elif said.kind == "probability":
            values = present.shares(column, percent=said.scale == 100, percent_advice=_PERCENT)
        else:
            values = present.numbers(column)
        self.columns[name], self.sources[name] = values, column
        if values.isna().all() and name not in self.waiting:
            self.notes.append(f"{name} says nothing in any row.")

    def _while_open(self, outcome: pd.Series) -> pd.Series:
        """The outcome of the rows that speak before the close; where only closing rows know it, they hand it on."""
        closed_on = self.columns.pop("closed_on", None)
        deal, as_of = self.columns.get("deal_id"), self.columns.get("as_of")
        if as_of is None:
            return outcome
        closed = self.late[0] if closed_on is None else as_of >= closed_on
        why = self.late[1] or "dated on the day of the close or later"
        if deal is not None:
            if deals := won_in_the_last_row_alone(outcome, deal, as_of, self.columns.get("period")):
                found = f"{deals:,} deals that are won in their last row and lost in every row before"
                advice = "Name a column of which a value says that the deal was open (a stage) and list it under undecided."
                self.document.wrong("won", found, "an outcome that open deals do not have yet", advice)
                return outcome
            if seen := as_seen_while_open(outcome, deal, as_of):
                outcome, closing = seen
                closed = closed | closing
                why = "of deals that are closed: what is said there is no forecast"
                self.notes.append(
                    "The table follows each deal until it closes: its rows before the close have the outcome that came, "
                    "and the rows from the close on are left out."
                )
                if "amount_won" in self.columns:
                    self.columns["amount_won"] = final(self.columns["amount_won"], deal, as_of)
        self.late = (closed & outcome.notna(), why)
        return outcome.mask(closed)

    def _recorded(self) -> None:
        """Refuse rows whose fields were recorded after the moment that they speak of."""
        column, as_of = self.column("fields_as_of", self.mapped.fields_as_of), self.columns.get("as_of")
        if column is None or as_of is None:
            return
        recorded = self.present(column).dates(column)
        late = self.sheet.text(column)[recorded > as_of]
        word = self.document.words.get("as_of", "as_of")
        advice = f"Take the fields as they stood on {word}; or leave fields_as_of out, and reports say that this is not known."
        self.sheet.pin(column, late, f"fields recorded by {word}", advice)

    def _given_away(self, features: list[str], outcome: pd.Series) -> None:
        """Refuse the features that give the outcome away."""
        for name in features:
            if told := gives_away(self.columns[name], outcome):
                expected, advice = "what was known before the outcome", "Take it out of the list."
                self.document.wrong("features", f"{name}, which {told}", expected, advice)

    def _category(self, name: str, column: str, present: Sheet, said: Forecast) -> pd.Series:
        """What the mapping makes of each category; one without chance or rank waits for its past conversion."""
        given = self.mapped.categories if said.categories is None else said.categories
        self.mapped.forecasts[name] = said.model_copy(update={"categories": given})
        words = present.text(column)
        by_case = words.groupby(words.map(normal, na_action="ignore")).transform("first")
        if given is None:
            self.waiting[name] = by_case
            return pd.Series(np.nan, index=words.index, dtype=float)
        ranks = given if isinstance(given, dict) else {word: -place for place, word in enumerate(given)}
        known = {normal(word): rank for word, rank in ranks.items()}
        values = words.map(normal, na_action="ignore").map(known)
        expected, advice = f"one of {', '.join(ranks)}", "Add it to categories, or to missing."
        self.sheet.pin(column, words[words.notna() & values.isna()], expected, advice)
        return values.astype(float)

    def _conversions(self, outcome: pd.Series, closed: pd.Series | None) -> None:
        """Categories as the share of them that was won in earlier periods; where nothing was known is burn-in."""
        if not self.waiting or self.document.problems or self.sheet.problems:
            return
        names, first = ", ".join(self.waiting), f"forecasts.{next(iter(self.waiting))}"
        chances = "or give chances: categories: {Commit: 0.9, ...}."
        if not self.periods:
            found, expected = "categories without periods in time", "earlier periods to learn from"
            self.document.wrong(first, found, expected, f"Map period (or period_order), {chances}")
            return
        places = {label: place for place, label in enumerate(self.periods)}
        rank = self.columns["period"].map(places).fillna(-1).astype(int)
        deals = self.columns["deal_id"].fillna("")
        in_period = "in period" in str(self.mapped.target).lower()
        dates = self.columns.get("as_of")
        moments = Moments.of(deals, outcome, rank, in_period=in_period, as_of=dates, closed_on=closed)
        for name, words in self.waiting.items():
            self.columns[name], speaks = past_conversion(words, outcome.mask(self.late[0]), deals, moments)
            self.burn_in |= ~rank.isin(speaks)
        if self.burn_in.all():
            found = f"{len(self.periods)} periods, and in none of them enough decided ones before"
            self.document.wrong(
                first, found, f"{ENOUGH} in earlier periods", f"Add earlier periods, {chances}"
            )
        until = "" if closed is not None else "; an outcome counts as known once its period is over"
        self.notes.append(
            f"{names}: a category is read as the share of it that was won in earlier periods{until}."
        )

    def _leaks(self, key: str) -> dict[str, str]:
        """The columns that must not be segments or features, and what each of them is."""
        mapped = self.mapped
        named = {"outcome": mapped.won.column if mapped.won else None, "booked amount": mapped.amount_won}
        if mapped.won is not None and mapped.won.lost_where is not None:
            named |= {"sign of the close": mapped.won.lost_where.column}
        if key == "features":
            named |= {"deal_id": mapped.deal_id, "as_of": mapped.as_of, "day of the close": mapped.closed_on}
            named |= {f"forecast {name}": column for name, column in self.sources.items()}
        same = {normal(str(column)): what for what, column in named.items() if column is not None}
        return {header: same[normal(header)] for header in self.headers if normal(header) in same}

    def _extra(self, key: str) -> list[str]:
        """Segments or features, kept under their own headers as text or numbers."""
        names, leaks = [], self._leaks(key)
        for column in (self.column(key, wanted) for wanted in getattr(self.mapped, key)):
            if column is None:
                continue
            if column in leaks:
                found = f"{column}, which is the {leaks[column]}"
                self.document.wrong(key, found, "what was known besides", "Take it out of the list.")
            elif column in RESERVED or column in self.sources or column in self.words:
                expected, advice = "a column whose name is not taken", "Rename the column in the file."
                self.document.wrong(key, column, expected, advice)
            else:
                numbers = self.present(column).numbers_or_text(column)
                # a word such as NA is missing among numbers and may be a value among words
                self.columns[column] = self.sheet.text(column) if numbers.dtype == "str" else numbers
                names.append(column)
        return names

    def _groups(self) -> None:
        wanted = self.mapped.group_duplicates
        if not wanted:
            return
        if "account" in self.columns:
            found = "an account as well"
            self.document.wrong("group_duplicates", found, "one of the two", "Remove one of them.")
            return
        if wanted is True:
            outcome = self.mapped.won.column if self.mapped.won else None
            used = {self.mapped.deal_id, outcome, *self.sources.values()}
            attributes = [header for header in self.headers if header not in used]
        else:
            names = wanted if isinstance(wanted, list | tuple) else [wanted]
            attributes = [c for name in names if (c := self.column("group_duplicates", name)) is not None]
        if not attributes:
            return
        cells = self.sheet.cells[attributes].fillna("")
        group = cells.groupby(attributes, sort=False).ngroup()
        first_row = pd.Series(cells.index, index=cells.index).groupby(group).transform("first")
        self.columns["account"] = "row " + first_row.astype("str")
        if repeats := int((first_row.to_numpy() != cells.index.to_numpy()).sum()):
            self.notes.append(
                f"{repeats:,} of {len(cells):,} rows repeat another one in all {len(attributes)} attributes; they "
                "share its account and stay together."
            )

    def _identity(self, outcome: pd.Series) -> None:
        """Deal ids (row numbers where there are none) and each deal once per as-of."""
        rows, column = self.sheet.cells.index, str(self.mapped.deal_id)
        if "deal_id" not in self.columns:
            if self.mapped.deal_id is None:
                self.notes.append("There is no deal_id: the row number stands for it.")
            self.columns["deal_id"] = pd.Series([f"row {row}" for row in rows], rows, dtype="str")
            return
        ids, key = self.columns["deal_id"], [n for n in ("deal_id", "as_of") if n in self.columns]
        column = self.sheet.find(column) or column
        self.sheet.pin(column, self.sheet.text(column)[ids.isna()], "an id in every row", "Fill the cell.")
        ends = outcome.groupby(ids).agg(["min", "max"])
        if both := list(ends.index[ends["min"] < ends["max"]]):
            self.notes.append(
                f"{len(both):,} deals are won in one row and lost in another, the first is {both[0]}: each row keeps its own outcome."
            )
        twice = pd.DataFrame({name: self.columns[name] for name in key}).duplicated()
        words, advice = "each deal once" + " per as_of" * (len(key) - 1), "Remove the row, or map as_of."
        again = ids[twice & ids.notna() & outcome.notna()]
        self.sheet.pin(column, again, words, advice, found="{} again")

    def _finished(self, outcome: pd.Series, segments: list[str], features: list[str]) -> pd.DataFrame:
        kept = pd.Series(True, index=outcome.index)
        self.step("rows of the file", kept, kept, "")
        late, why = self.late
        if late.any():
            kept = self.step("before the close", kept, ~late, why)
        kept = self.step("outcome stated", kept, outcome.notna(), self.undecided)
        if "as_of" in self.columns:
            kept = self.step("date stated", kept, self.columns["as_of"].notna(), "the date is blank")
        else:
            self.notes.append("There is no date: as_of is empty, and nothing can be said about new periods.")
            self.columns["as_of"] = pd.Series(pd.NaT, index=outcome.index, dtype="datetime64[s]")
        if self.waiting:
            why = f"{', '.join(self.waiting)} had too few decided deals of earlier periods to learn from"
            kept = self.step("after the burn-in", kept, ~self.burn_in, why)
        order = ["deal_id", "as_of", "period", "rep", "account"]
        front = {name: self.columns.pop(name) for name in order if name in self.columns}
        table = pd.DataFrame({**front, "won": outcome, **self.columns, **self.words})[kept].reset_index(
            drop=True
        )
        table["won"] = table["won"].astype("int64")
        mapped = self.mapped
        table.attrs["forecasteval"] = {
            "source": self.sheet.file,
            "target": str(mapped.target or "") or self._target(),
            "description": str(mapped.description or ""),
            "max_age_days": mapped.max_age_days,
            "forecasters": {name: mapped.forecasts[name].speaks() for name in self.sources},
            "segments": segments,
            "features": features,
            "periods": self.periods,
            "flow": self.flow,
            "notes": list(dict.fromkeys(self.notes)),
        }
        if self.point_fields:
            table.attrs["forecasteval"]["points_fields"] = self.point_fields
        if named := nouns(mapped, self.document):
            table.attrs["forecasteval"] |= {"nouns": named, "fields_known": mapped.fields_as_of is not None}
        if mapped.won is not None and mapped.won.within_days is not None:
            table.attrs["forecasteval"]["known_after_days"] = mapped.won.within_days
        return table

    def _target(self) -> str:
        """What came true, in words."""
        days = self.mapped.won.within_days if self.mapped.won else None
        came = nouns(self.mapped, self.document).get("won", "won")
        return came if days is None else f"{came} within {days} days"

    def step(self, step: str, before: pd.Series, stated: pd.Series, why: str) -> pd.Series:
        """Which rows are left, written down with how many are not."""
        left = before & stated
        dropped = int((before & ~stated).sum())
        self.flow.append({"step": step, "deals": int(left.sum()), "dropped": dropped, "why": why})
        return left
