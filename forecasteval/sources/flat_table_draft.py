"""A draft of the mapping of a flat table: guesses with their reasons, and questions where only a person can know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import yaml

from forecasteval.errors import InputError
from forecasteval.sources._draft_column import ASK, Column, Draft, as_yaml, listed, mark_lines, plain
from forecasteval.sources._draft_words import side, tokens, yes_and_no
from forecasteval.sources._mapping import OPEN
from forecasteval.sources._totals_draft import totals_lines
from forecasteval.sources.flat_table import import_table, read_flat
from forecasteval.sources.totals import import_totals, speaks_of_totals
from forecasteval.tables.columns import Sheet
from forecasteval.tables.numerals import may_be, read_numerals
from forecasteval.tables.period_labels import in_order_of_time
from forecasteval.tables.schemas import CATEGORIES, RESERVED

_MANY_WORDS = 20
_FEW = 10
_ENOUGH = 4  # decided rows for each value of a column, from which on telling won from lost is no chance
_MOSTLY = 0.5
_ALIKE = 0.95  # of the things that come back have one outcome
_BY = "# by: people or by: model can be added to each forecast, to say who makes it"
_OPTIONAL = [
    "# Keys that may be added: as_of (the date of the forecast), period (a column, or {column: ..., block_days: 14}),",
    "# rep, account, amount, amount_won (what was booked), segments: [...], features: [...] (for a reference model),",
    "# group_duplicates: true, timezone: Europe/Berlin, max_age_days: 14 (older data is refused).",
]


def explain(file: Any, table: str | None = None) -> str:
    """A draft of the YAML mapping of a flat table, each guess with its reason; to be checked by a person.

    What the table alone cannot tell is a line that starts with ``# QUESTION:``, or the word TODO where nothing can be
    imported without an answer.

    Parameters
    ----------
    file, table : as :func:`import_table` takes them

    Returns
    -------
    YAML text

    Raises
    ------
    InputError
        If the file cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "deals.csv"
    >>> _ = file.write_text("Deal ID,Owner,Status,Score\\nD1,r1,Won,62\\nD2,r1,Lost,10\\nD3,r2,Won,50\\n")
    >>> print(explain(file).splitlines()[3])
    won: {column: Status, won: [Won], lost: [Lost]}  # its two values
    """
    sheet, notes = read_flat(file, table)
    if sheet.problems:
        raise InputError(sheet.problems)
    columns = [Column.of(sheet, str(header)) for header in sheet.cells.columns]
    lines = totals_lines(sheet.file, columns) or _Draft(sheet, columns).lines()
    lines[1:1] = [f"# {plain(note)}" for note in notes]
    return _tried("\n".join(lines) + "\n", sheet)


def _tried(draft: str, sheet: Sheet) -> str:
    """The draft, with whatever an import still objects to as questions at its head."""
    given = yaml.safe_load(draft)
    if OPEN in draft:
        return draft
    try:
        (import_totals if speaks_of_totals(given) else import_table)(sheet, given)
    except InputError as error:
        said = [f"# {ASK} {plain(problem)}" for problem in error.problems if problem.severity == "error"]
        first, rest = draft.split("\n", 1)
        return "\n".join([first, *said, rest])
    return draft


class _Draft(Draft):
    """The guesses, in the order in which they rule each other out."""

    def __init__(self, sheet: Sheet, columns: Iterable[Column]) -> None:
        super().__init__(columns)
        self.sheet, self.rows = sheet, len(sheet.cells)
        self.moment: str | None = None
        self.won = pd.Series(dtype=float)  # of the decided rows
        self.names: set[str] = set()
        self.has_account = False

    def lines(self) -> list[str]:
        """The draft."""
        head = [
            f"# Mapping of {plain(self.sheet.file)} ({self.rows:,} rows), drafted from its columns: check every line.",
            'description: ""  # what the rows are, in a sentence',
            "target: won  # what came true when the outcome is a win, e.g. won in period",
        ]
        outcome = self._outcome()
        self._leave_out_what_tells_the_outcome()
        body = [outcome, *self._identity(), *self._dates(), *self._people(), *self._money()]
        forecasts = self._forecasts()
        rest = self._rest(bool(forecasts))
        if empty := [column.name for column in self.columns if not column.distinct]:
            rest.append(f"# Empty columns, left out: {listed(empty)}")
        nothing = ["forecasts: {}  # none found: name columns, or fit a model to features"]
        return [*head, *body, *(forecasts or nothing), *rest, *self.asked, *_OPTIONAL]

    def _key(self, key: str, column: Column, note: str = "") -> str:
        """The line of a key, whose column then is used."""
        self.drop([column])
        return f"{key}: {as_yaml(column.name)}" + (f"  # {note}" if note else "")

    def _first(self, role: str, *, distinct: tuple[float, float]) -> Column | None:
        return next((c for c in self.those(role) if distinct[0] <= c.distinct <= distinct[1]), None)

    # --- the outcome

    def _outcome(self) -> str:
        left = list(self.left.values())
        worded = [c for c in left if c.decides]
        flags = [c for c in left if c.is_flag and c.is_won_flag]
        suspects = [c for c in left if c.may_be_outcome or c.decides]
        # what is called like an outcome and says nothing of one (a state of Texas) is none
        if worded or flags:
            suspects = [c for c in suspects if c.is_flag or any(c.sides.values())]
        closed = [c for c in left if c.is_flag and c.named("closed", "lost") and c not in flags]
        if worded:
            column = max(worded, key=lambda c: (c.named("outcome"), -c.distinct))
            line = self._worded_line(column, [c.name for c in suspects if c is not column])
        elif flags:
            column = max(flags, key=lambda c: (c.named("won"), -c.blank))
            beside = dict.fromkeys(c for c in (*closed, *suspects) if c is not column)
            line = self._flag_line(column, list(beside))
        else:
            words = [c for c in left if 1 < c.distinct <= _FEW and not c.is_number and not c.is_date]
            others = suspects or [c for c in left if c.is_flag] or sorted(words, key=lambda c: c.distinct)
            found = "; ".join(f"{c.name} ({listed(c.words)})" for c in others[:6])
            why = f"is it {found}?" if found else "no column has values such as Won and Lost"
            line = f"won: {OPEN}  # {{column: ..., won: [...], lost: [...], undecided: [...]}}: {plain(why)}"
        # a second account of the outcome is neither feature nor forecast
        self.drop([*suspects, *flags, *closed])
        return line

    def _worded_line(self, column: Column, others: list[str]) -> str:
        lists: dict[str, list[str]] = {"won": [], "lost": [], "undecided": []}
        for word, meaning in column.sides.items():
            lists[meaning or "undecided"].append(word)
        if unknown := [word for word, meaning in column.sides.items() if meaning is None]:
            self.ask(
                f"{column.name} also says {listed(unknown)}: deals that are still open, or lost (or won) ones? They are "
                "left out as undecided until you move the word."
            )
        self._decide(column, lists["won"], lists["lost"])
        note = "its two values" if column.distinct == 2 else "its values"
        return _outcome_line(column, lists, f"{note}; or {listed(others)}" if others else note)

    def _flag_line(self, column: Column, others: list[Column]) -> str:
        """A flag for won; what is not won is lost where a second flag says so, or where no deal can be open."""
        answer = yes_and_no(column.words)
        assert answer is not None
        yes, no = answer
        lists = {"won": [yes], "lost": [no]}
        for second in (c for c in others if c.named("closed", "lost")):
            if line := self._two_flags_line(column, second, answer):
                return line
        if still_open := self._open_where_not_won(column, no, others):
            known = _outcome_line(column, lists, "").rstrip(" #").removeprefix("won: ")
            return (
                f"won: {OPEN}  # {ASK} {plain(column.name)} is {plain(no)} for deals that are still open as well "
                f"({plain(still_open)}), and an open deal is not a lost one: take these rows out and write {plain(known)}, "
                "or name a column with a word for open deals"
            )
        self._decide(column, [yes], [no])
        if column.named("won"):
            self.ask(
                f"Is every deal with {column.name} = {no} closed? One that is still open must not count as lost."
            )
        names = listed(c.name for c in others)
        return _outcome_line(column, lists, "its two values" + (f"; or {names}" if names else ""))

    def _two_flags_line(self, won: Column, second: Column, answer: tuple[str, str]) -> str:
        """A flag for won and one for closed (or lost): a deal is lost where the second says so, else undecided."""
        said = yes_and_no(second.words)
        if said is None:
            return ""
        yes, no = answer
        both = pd.DataFrame({"won": won.cells, "second": second.cells}).dropna()
        odd = both["won"].eq(yes) & both["second"].eq(said[0 if second.named("lost") else 1])
        if odd.any():
            return ""
        lost = both.index[both["won"].eq(no) & both["second"].eq(said[0])]
        known = won.cells.eq(yes).astype(float).where(won.cells.eq(yes) | won.cells.index.isin(lost))
        self.won = known.dropna()
        closed, open_ = map(as_yaml, said)
        where = f"{{column: {as_yaml(second.name)}, closed: [{closed}], open: [{open_}]}}"
        undecided = int((both["won"].eq(no) & both["second"].eq(said[1])).sum())
        note = f"not won counts as lost only where {plain(second.name)} says so; {undecided:,} are undecided"
        return _outcome_line(won, {"won": [yes], "lost": [no]}, note, f", lost_where: {where}")

    def _open_where_not_won(self, column: Column, no: str, others: list[Column]) -> str:
        """The sign that some deals without a win are not lost but open."""
        rows = column.cells.index[column.cells == no]
        for other in others:
            answer, here = yes_and_no(other.words), other.cells.reindex(rows)
            open_ = here[here.map(lambda word: isinstance(word, str) and side(word) == "undecided")]
            word = open_.iloc[0] if len(open_) and not answer else None
            if answer and other.named("closed", "lost"):
                word = answer[1]
            if word is not None and here.eq(word).any():
                return f"{other.name} is {word} in {int(here.eq(word).sum()):,} of them"
        for other in (c for c in self.those("closing") if c.is_date):
            if blank := len(rows.difference(other.cells.index)):
                return f"{other.name} is blank in {blank:,} of them"
        return ""

    def _decide(self, column: Column, won: list[str], lost: list[str]) -> None:
        known = column.cells.isin(won).astype(float).where(column.cells.isin([*won, *lost]))
        self.won = known.dropna()

    def _leave_out_what_tells_the_outcome(self) -> None:
        """Columns of few values, each of which goes with one outcome alone."""
        told = []
        for column in (c for c in self.left.values() if not c.is_date):  # dates have questions of their own
            rates = self.won.groupby(column.cells).mean()
            decided = self.won.index.isin(column.cells.index).sum()
            few = decided >= _ENOUGH and 2 <= len(rates) <= min(_FEW, decided / _ENOUGH)
            pure = few and rates.isin([0, 1]).all()
            if column.named("reason") or (pure and not column.named("rep", "account", "period", "amount")):
                told.append(column)
        if names := self.drop(told):
            self.ask(
                f"{listed(names)} divides won from lost deals without exception, or is written after the close: "
                "left out. Was it known before?"
            )

    # --- deals, moments, people

    def _identity(self) -> list[str]:
        unique = [
            c for c in self.left.values() if c.distinct == self.rows > 1 and not c.is_date and not c.percent
        ]
        whole = [c for c in unique if not c.is_number or ((c.numbers % 1 == 0).all() and not c.currencies)]
        called = [c for c in whole if c.named("id", "deal") and not c.named("amount", "probability", "score")]
        called.sort(key=lambda c: c.named("rep", "account"))
        if not any(c.named("id") and c.named("deal") for c in called) and (
            looks := self._repeated_identity("deal")
        ):
            return looks
        text = [c for c in unique if not c.is_number and not c.named("rep", "account", "as_of", "period")]
        text.sort(key=lambda column: float(column.cells.str.len().mean()))
        if called or text:
            return [self._key("deal_id", [*called, *text][0], "different in every row")]
        if again := self._repeated_identity("deal", "id"):
            return again
        ids = [c for c in self.those("id") if c.named("deal") and c.distinct > 1]
        if ids:
            repeated = self.rows - ids[0].distinct
            self.ask(
                f"{ids[0].name} looks like a deal's id, but {repeated:,} rows repeat one or have none: are they the same "
                "deals at other moments (then as_of has to be named)?"
            )
            self.drop(ids[:1])
        self._ask_for_a_name_of_looks()
        return ["# deal_id: no column has a different value in every row; the row number is used"]

    def _ask_for_a_name_of_looks(self) -> None:
        """Rows that agree in all words, have one outcome and come back on several days may be looks at one thing."""
        words = [c for c in self.left.values() if not c.is_number and not c.is_date and c.distinct > 1]
        if not words or not any(column.is_date for column in self.left.values()) or self.won.empty:
            return
        cells = pd.DataFrame({column.name: column.cells for column in words}).loc[self.won.index]
        thing = cells.groupby(list(cells), dropna=False, sort=False).ngroup()
        again = self.won.groupby(thing).agg(["size", "nunique"])
        again = again[again["size"] > 1]
        if again["size"].sum() > len(cells) / 2 and again["nunique"].eq(1).mean() > _ALIKE:
            self.ask(
                f"{again['size'].sum():,} rows agree with others in {listed([c.name for c in words])} and in the outcome: are "
                "they looks at the same thing on several days? Then add a column that names it, as deal_id; else each "
                "row counts as a thing of its own."
            )

    def _repeated_identity(self, *roles: str) -> list[str]:
        """An id that comes back with another date: one row per deal and moment."""
        no_deal = ("rep", "account", "amount", "probability", "score", "segment", "created", "closing")
        ids = [c for c in self.those(*roles) if not c.named(*no_deal) and not c.is_date and not c.blank]
        dates = [c for c in self.left.values() if c.is_date and not c.named("changed")]
        for column, date in product(ids, sorted(dates, key=lambda c: not c.named("as_of"))):
            pairs = pd.DataFrame({"id": column.cells, "date": date.cells})
            if 1 < column.distinct < self.rows and not pairs.duplicated().any():
                self.moment = date.name
                return [self._key("deal_id", column, "repeats with different dates, see as_of")]
        return []

    def _days(self, column: Column) -> pd.Series | None:
        """The days of a date that is read without an objection; if there is one, it is a question."""
        sheet = replace(self.sheet, problems=[], notes=[])
        days = sheet.dates(column.name)
        if sheet.problems:
            self.ask(f"{column.name} is not used yet: {sheet.problems[0]}")
        return None if sheet.problems else days

    def _dates(self) -> list[str]:
        written = [c for c in self.left.values() if c.is_date and c.named("changed") and not c.named("as_of")]
        if names := self.drop(written):
            self.ask(
                f"{listed(names)} says when a row was last written, often after the close: no moment of a forecast, left out."
            )
        dates = [column for column in self.left.values() if column.is_date]
        order = ("as_of", "created", "closing")
        dates.sort(key=lambda c: (c.name != self.moment, not c.named(order[0]), *map(c.named, order[1:])))
        days = {column: read for column in dates if (read := self._days(column)) is not None}
        self.drop(dates)
        self._leave_out_what_counts_to_the_close(days)
        if not days:
            nothing = "# as_of: no column holds usable dates; nothing can be said about new periods then"
            return [nothing, *self._period()]
        first = next(iter(days))
        others, name = [column for column in dates if column is not first], as_yaml(first.name)
        note = f"; other dates: {listed(c.name for c in others)}" if others else ""
        period = self._period() or [
            f"period: {{column: {name}, block_days: 14}}  # a span in which shocks may be shared"
        ]
        if first.named("closing") and first.name != self.moment:
            self.ask(
                f"{first.name} is when a deal closes; on which day was the forecast made? Then write as_of."
            )
            period = [] if "block_days" in period[0] and self._has_gaps(first, "period") else period
            return [f"# as_of: {name} is the close, not the moment of a forecast{note}", *period]
        if first.name != self.moment and not first.named("as_of"):
            when = "when the deal was entered" if first.named("created") else "on that day"
            self.ask(f"{first.name} is taken for the day of the forecast: was it made {when}?")
        for close in (c for c in others if c in days and c.named("closing")):
            if late := int((days[first] >= days[close]).reindex(self.won.index).sum()):
                self.ask(
                    f"{late:,} decided rows are dated on the day in {close.name} or later: is that when the deal closed? Then "
                    f"write closed_on: {close.name}, and they are left out: what is said then is no forecast."
                )
        if first.blank:
            self.ask(
                f"{first.name} is blank in {first.blank:,} rows, which are left out: what is their date?"
            )
        return [f"as_of: {name}  # the moment of the forecast{note}", *period]

    def _leave_out_what_counts_to_the_close(self, days: Mapping[Column, pd.Series]) -> None:
        """Columns that hold the days from some date to that of the close, as only a closed deal has them."""
        closes = [column for column in days if column.named("closing")]
        for close, date in ((close, date) for close in closes for date in days if date is not close):
            between = (days[close] - days[date]).dt.days.dropna()
            for column in [c for c in self.left.values() if c.is_number]:
                off = (column.numbers - between).dropna().abs()
                if len(off) >= _ENOUGH and column.distinct > 2 and (off <= 1).mean() > _ALIKE:
                    self.drop([column])
                    self.ask(
                        f"{column.name} counts the days from {date.name} to {close.name}, which are known at the close alone: "
                        "left out. Was the date of the close known before?"
                    )

    def _period(self) -> list[str]:
        column = self._first("period", distinct=(2, max(self.rows / 3, 2)))
        labelled = (
            c for c in self.left.values()
            if not c.is_number and 2 <= c.distinct <= self.rows / 3 and in_order_of_time(c.words)
        )  # fmt: skip
        column = column or next(labelled, None)
        if column is None or self._has_gaps(column, "period"):
            return []
        if not in_order_of_time(column.words):
            some = listed(column.words[:6])
            self.ask(
                f"In which order do the periods of {column.name} come ({some})? Write period_order: [...]."
            )
        return [self._key("period", column)]

    def _has_gaps(self, column: Column, key: str) -> bool:
        """Whether decided deals have a gap here; then it can only be asked for."""
        decided = self.won.index if len(self.won) else self.sheet.cells.index
        blank = decided.difference(self.sheet.text(column.name).dropna().index)
        if len(blank):
            self.ask(
                f"{column.name} would be the {key}, but is blank in {len(blank):,} rows, the first is row {blank[0]}: fill "
                f"the cells, then write {key}: {column.name}."
            )
            self.drop([column])
        return len(blank) > 0

    def _people(self) -> list[str]:
        lines = []
        rep = self._first("rep", distinct=(2, max(self.rows / 2, 2)))
        if rep and not self._has_gaps(rep, "rep"):
            lines.append(self._key("rep", rep, f"{rep.distinct} of them"))
        account = self._first("account", distinct=(max(self.rows / 10, 2), self.rows))
        if account and not account.is_number:
            lines.append(self._key("account", account))
            self.has_account = True
        return lines

    def _money(self) -> list[str]:
        for name in self.drop([c for c in self.those("booked") if not c.named("probability")]):
            self.ask(
                f"Is {name} what was booked in the end? Then write amount_won: {name}. It is no feature."
            )
        currency = self._first("currency", distinct=(1, _MANY_WORDS))
        column = next((c for c in self.left.values() if _is_amount(c) and c.distinct >= 2), None)
        if column is None:
            for odd in (c for c in self.those("amount") if not c.is_number and not c.is_date):
                numbers = read_numerals(odd.cells).amounts
                if numbers.notna().mean() > _MOSTLY:
                    row = numbers.index[numbers.isna()][0]
                    self.ask(
                        f"{odd.name} would be the amount, but {int(numbers.isna().sum()):,} cells are no number, the first in row "
                        f"{row} is {odd.cells[row]}: correct them, then write amount: {odd.name}."
                    )
            return []
        if int(below := (column.numbers < 0).sum()):
            self.ask(f"{column.name} is below 0 in {below:,} rows: credits, or mistakes?")
        lines, codes = [self._key("amount", column)], column.currencies
        if currency is not None and all(may_be(word) for word in currency.words):
            self.drop([currency])
            codes = currency.words
            if currency.distinct > 1:
                lines.append(f"currency: {as_yaml(currency.name)}")
        if codes and not frozenset.intersection(*map(may_be, codes)):
            rates = ", ".join(f"{as_yaml(min(may_be(code)))}: {OPEN}" for code in dict.fromkeys(codes))
            lines.append(
                f"currency_rates: {{{rates}}}  # {ASK} what is one unit of each worth in one currency?"
            )
        return [*lines, *mark_lines([column])]

    # --- forecasts and the rest

    def _forecasts(self) -> list[str]:
        lines, taken = [], list[Column]()
        for column in list(self.left.values()):
            entry = self._forecast(column)
            other = next((one for one in taken if entry and _mirrored(one, column)), None)
            if other is not None:
                self.ask(
                    f"{column.name} is what {other.name} leaves of certainty in every row, the other side of one forecast: "
                    "which of the two is the chance of a win? Only that one may stand here."
                )
            elif entry:
                lines.append(f"  {as_yaml(self._name(column))}: {entry}")
                taken.append(column)
            if entry:
                self.drop([column])
        return ["forecasts:", *lines, f"  {_BY}"] if lines else []

    def _name(self, column: Column) -> str:
        """A name that neither the matched table nor another column has."""
        name = re.sub(r"\W+", "_", column.name.lower()).strip("_") or "forecast"
        name = f"{name}_forecast" if name in RESERVED else name
        taken = self.names | {str(header) for header in self.sheet.cells.columns} - {column.name}
        number = 2
        unique = name
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        self.names.add(unique)
        return unique

    def _forecast(self, column: Column) -> str | None:
        """The mapping of a column that looks like a forecast."""
        known, name = {tokens(word) for word in CATEGORIES}, as_yaml(column.name)
        if all(tokens(word) in known for word in column.words):
            return f"{{column: {name}, kind: category}}  # as won before; or categories: {{Commit: 0.9, ...}}"
        other = column.currencies or column.named("no_chance", "amount", "booked", "id", "currency")
        if not column.is_number or other:
            return None
        numbers = column.numbers
        below, usable = sorted({float(n) for n in numbers[numbers < 0]}), numbers[numbers >= 0]
        missing = f", missing: [{below[0]:g}]" if len(below) == 1 else ""
        is_chance, is_score = column.named("probability"), column.named("score", "rank")
        rank = f"{{column: {name}, kind: rank_score{missing}}}" if is_chance or is_score else None
        if len(below) > 1 or usable.empty:
            return rank
        top = float(usable.max())
        if column.named("rank") or ((usable % 1 == 0).all() and 1 < top <= 10):
            if rank:
                self.ask(
                    f"{column.name} runs from {usable.min():g} to {top:g}: taken for a rank, not for a chance."
                )
            return rank
        chance = f"{{column: {name}, kind: probability, scale: {{}}{missing}}}".replace
        if column.percent or (is_chance and 1 < top <= 100) or ("%" in column.name and top <= 100):
            return chance("{}", "100") if top <= 100 else None
        if top <= 1:
            if not usable.isin([0, 1]).all() or is_chance:
                return chance("{}", "1")
            if column.is_flag:
                self.ask(
                    f"{column.name} holds 0 and 1 alone: a forecast (yes or no), or something else? Left out."
                )
            return None
        if is_score:
            if top <= 100:
                self.ask(
                    f"Does {column.name} = {numbers.iloc[0]:g} mean a chance of {numbers.iloc[0]:g}%? Then write kind: "
                    "probability, scale: 100; as a rank score only its order counts."
                )
            return rank
        if is_chance:
            self.ask(f"{column.name} goes up to {top:g}: an amount, or a score (kind: rank_score)? Left out.")
        return None

    def _rest(self, has_forecasts: bool) -> list[str]:
        left = [c for c in self.left.values() if c.name not in RESERVED and c.name not in self.names]
        few = [c for c in left if 2 <= c.distinct <= min(20, self.rows / 2) and not c.is_number]
        segments = [column.name for column in few if column.named("segment")] or [c.name for c in few[:2]]
        listing, lines = ", ".join(map(as_yaml, segments)), []
        if segments:
            lines.append(f"segments: [{listing}]  # few values each")
        others = [column for column in left if column.name not in segments]
        # what stands once teaches a model nothing
        used = [c.name for c in others if c.is_number or c.is_date or c.distinct <= self.rows / 2]
        unused = [c.name for c in others if has_forecasts or c.name not in used]
        if unused:
            lines.append(f"# Not used: {listed(unused)}")
        if used and not has_forecasts:
            listing = ", ".join(map(as_yaml, [*segments, *used]))
            lines.append(f"features: [{listing}]  # kept for a reference model")
            if not self.has_account:
                lines.append("group_duplicates: true  # rows that agree in every attribute stay together")
        return lines


def _outcome_line(column: Column, lists: dict[str, list[str]], note: str, beside: str = "") -> str:
    """The mapping of the outcome: which words are won and lost, and which say neither."""
    said = "".join(f", {key}: [{', '.join(map(as_yaml, value))}]" for key, value in lists.items() if value)
    return f"won: {{column: {as_yaml(column.name)}{said}{beside}}}  # {note}"


def _mirrored(one: Column, other: Column) -> bool:
    """Whether two columns always add up to certainty, as the chances of two sides do."""
    if not one.is_number or not other.is_number:
        return False
    both = (one.numbers + other.numbers).dropna()
    return len(both) > 1 and any(np.allclose(both, sure, atol=sure * 1e-6) for sure in (1, 100))


def _is_amount(column: Column) -> bool:
    if not column.is_number or column.percent or column.named("id", "score", "probability"):
        return False
    money = bool(column.currencies) or column.named("amount")
    return money and bool((column.numbers >= 0).mean() > _MOSTLY and column.numbers.max() > 1)
