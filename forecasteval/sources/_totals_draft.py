"""A draft of the mapping of totals: a row per period and unit, with amounts and without an outcome of deals."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from forecasteval.sources._draft_column import ASK, Column, Draft, as_yaml, listed, mark_lines, plain
from forecasteval.sources._draft_words import tokens, without
from forecasteval.sources._mapping import OPEN
from forecasteval.tables.period_labels import in_order_of_time
from forecasteval.tables.schemas import RESERVED

_OPTIONAL = [
    "# Keys that may be added: as_of (the day of the call) or week (of the period), unit: {column: ..., level: rep | team},",
    "# period_order: [...], currency, currency_rates, decimal_mark; low, high and level of a forecast that gives a range.",
]


def totals_lines(file: str, columns: Sequence[Column]) -> list[str] | None:
    """The draft, or None for a table that speaks of single deals."""
    draft = _TotalsDraft(columns)
    return draft.lines(file) if draft.fits else None


class _TotalsDraft(Draft):
    """What each column would be in a table of totals."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__(columns)
        rows = max((len(c.cells) + c.blank for c in columns), default=0)
        of_deals = any(
            c.decides
            or (c.is_flag and c.named("outcome", "closed", "lost"))
            or (c.distinct in (0, rows) and c.named("id", "deal") and not c.named("period"))
            for c in columns
        )
        self.period = None if of_deals else self._period()
        self.week = self.take([c for c in self.those("week") if not c.is_date])
        self.as_of = self.take([c for c in self.those("as_of") if c.is_date])
        self.year = next(iter(self.those("year")), None)
        self.amounts = [c for c in self.left.values() if _is_total(c)]
        self.units = self._units()

    @property
    def fits(self) -> bool:
        """Whether every row is another period, unit and moment, with two amounts at least."""
        return self.period is not None and len(self.amounts) > 1 and self.units is not None

    def _period(self) -> Column | None:
        whole = [c for c in self.left.values() if not c.blank]
        called = [c for c in whole if c.named("period")]
        in_time = [c for c in whole if c.distinct > 1 and in_order_of_time(c.words)]
        both = [c for c in called if c in in_time]
        return self.take(both or called or [c for c in in_time if not c.is_number])

    def _units(self) -> list[Column] | None:
        """The fewest columns of words that tell the rows of one period and moment apart."""
        words = [c for c in self.left.values() if not c.is_number and not c.is_date and not c.blank]
        words.sort(key=lambda c: not c.named("rep", "unit", "segment"))
        fixed = [c for c in (self.period, self.week, self.as_of) if c is not None]
        for chosen in (*([c] for c in words), [], *map(list, combinations(words[:4], 2))):
            for more in ([], [self.year] if self.year else []):
                cells = {column.name: column.cells for column in [*fixed, *chosen, *more]}
                if cells and not pd.DataFrame(cells).duplicated().any():
                    return chosen
        return None

    def lines(self, file: str) -> list[str]:
        """The draft."""
        head = [
            f"# Mapping of {plain(file)}, drafted from its columns: check every line. It holds totals by period, not deals.",
            'description: ""  # what the rows are, in a sentence',
        ]
        body = [self._period_line(), *self._unit_line()]
        body += [f"{key}: {as_yaml(c.name)}" for key, c in (("week", self.week), ("as_of", self.as_of)) if c]
        body += self._money()
        used = {c.name for c in (*self.amounts, *(self.units or ()))}
        rest = listed(name for name in self.left if name not in used)
        return [*head, *body, *([f"# Not used: {rest}"] if rest else []), *self.asked, *_OPTIONAL]

    def _period_line(self) -> str:
        assert self.period is not None
        if in_order_of_time(self.period.words) is None and self.period.distinct > 1:
            if self.year is not None:
                both = f"{plain(self.period.name)} and {plain(self.year.name)}"
                return f"period: {OPEN}  # {ASK} {both} make the period together: add a column with values such as 2026-Q1"
            some = listed(self.period.words[:6])
            self.ask(f"In which order do the periods come ({some})? Write period_order: [...].")
        return f"period: {as_yaml(self.period.name)}"

    def _unit_line(self) -> list[str]:
        if not self.units:
            return []
        if len(self.units) == 2:
            both = " and ".join(plain(c.name) for c in self.units)
            return [f"unit: {OPEN}  # {ASK} {both} name the unit together: add a column that joins them"]
        level = "rep" if self.units[0].named("rep") else "team"
        return [f"unit: {{column: {as_yaml(self.units[0].name)}, level: {level}}}"]

    def _money(self) -> list[str]:
        """What was booked, and the calls, each with its range where it has one."""
        booked = [c for c in self.amounts if c.named("booked", "total_booked") and not c.named("low", "high")]
        quotas = [c for c in self.amounts if c.named("quota") and c not in booked]
        calls = [c for c in self.amounts if c not in (*booked[:1], *quotas)]
        if quotas:
            self.ask(f"Is {listed(c.name for c in quotas)} a goal rather than a forecast? Left out.")
        names = listed(c.name for c in self.amounts)
        actual = f"{OPEN}  # {ASK} which of {names} is what was booked? Take it out of forecasts"
        actual = f"{as_yaml(booked[0].name)}  # what was booked" if booked else actual
        ends = {(side, without(c.name, side)): c for side in ("low", "high") for c in calls if c.named(side)}
        entries = []
        for call in [c for c in calls if not c.named("low", "high")]:
            name = tokens(call.name)
            own = {side: ends.pop((side, name)) for side in ("low", "high") if (side, name) in ends}
            said = "".join(f", {side}: {as_yaml(c.name)}" for side, c in own.items())
            key = name.replace(" ", "_") or "forecast"
            key = f"{key}_forecast" if key in RESERVED else key
            entries.append(f"  {as_yaml(key)}: {{column: {as_yaml(call.name)}, kind: amount{said}}}")
        if ends:
            lost = listed(c.name for c in ends.values())
            self.ask(f"Of which forecast are {lost} the ends of a range? Write low: or high: there.")
        forecasts = ["forecasts:", *entries] if entries else [f"forecasts: {OPEN}  # {ASK} which columns?"]
        return [f"actual: {actual}", *mark_lines(self.amounts), *forecasts]


def _is_total(column: Column) -> bool:
    other = column.percent or column.is_flag or column.named("id", "currency", "year", "share")
    return column.is_number and not other and bool(column.numbers.max() > 1)
