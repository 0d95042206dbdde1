"""A dialect: what one CRM calls things and how it writes them. Everything else about an export is the same for all."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem, nearest
from forecasteval.sources._draft_words import plain_flags, side
from forecasteval.tables.coded import each_word
from forecasteval.tables.columns import Sheet, normal

_SIDES = {"won": "won", "lost": "lost", "undecided": "open"}
_SHOWN = 4  # spellings of a header that is missing
RENAMES = "stage_renames.csv"  # written by the analyst, whatever the CRM

# how the fields of a record are read, by their meaning; all others are text
_KINDS = {
    "created_at": "moment", "from": "moment", "to": "moment", "close_on": "date", "amount": "number",
    "probability": "share", "default_probability": "share", "is_closed": "flag", "is_won": "flag",
    "is_deleted": "flag", "is_active": "flag", "is_lost": "flag", "deal_id": "id", "rep": "id", "account": "id",
    "closed_on": "date", "closed_at": "day", "booked": "number", "rep_probability": "share",
}  # fmt: skip


def whole_ids(ids: pd.Series) -> pd.Series:
    """Ids that are numbers, without the ``.0`` of a column that once was floats.

    >>> whole_ids(pd.Series(["17.0", "17", "D1.0"])).tolist()
    ['17', '17', 'D1.0']
    """
    return ids.str.replace(r"^(\d+)\.0$", r"\1", regex=True)


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """The names, units and quirks of one CRM's exports; of several spellings the first is used in messages."""

    name: str
    # deals, values, changes, stages, users, ... -> what its files are called
    objects: Mapping[str, tuple[str, ...]]
    fields: Mapping[str, tuple[str, ...]]  # meaning -> headers, the first that is there counts
    stage_fields: Mapping[str, tuple[str, ...]]
    user_fields: Mapping[str, tuple[str, ...]]
    tracked: Mapping[str, str]  # what the history of changes calls a field -> column of the tidy tables
    categories: Mapping[str, str]  # forecast categories in normal form -> those of the tidy tables
    record: str = "deal"  # in the CRM's word
    records: str = "deals"
    file_prefixes: tuple[str, ...] = ()  # put before these names by the tools that export
    # meaning -> its field in messages, where that is not the first header
    called: Mapping[str, str] = field(default_factory=dict)
    canonical_id: Callable[[pd.Series], pd.Series] = whole_ids  # one spelling for each id
    id_shape: str = r"\d+"  # what a deal's id looks like
    id_words: str = "digits"
    owner_shape: str = r"\d+"
    # that only a report has: it has a footer, and times in the organisation's zone
    report_headers: frozenset[str] = frozenset()
    custom_field: str = r"(?!)"  # how the names of an organisation's own fields end
    segments: tuple[str, ...] = ()  # standard fields that become segments, in normal form
    endless: int = 2050  # an end in this year or later stands for "still valid"
    in_percent: bool | None = True  # probabilities, from 0 to 100; None: as each column shows
    required: tuple[str, ...] = ("deal_id", "stage", "close_on")  # of a file of deals
    # where they differ from ``fields``
    value_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    change_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header_form: str = ""  # what tools put around a header in normal form; the header is its one group
    # words in normal form -> open, won, lost or deleted: of a field, or of stages where nothing else tells
    status_words: Mapping[str, str] = field(default_factory=dict)
    own_status: bool = False  # a field of its own says whether a deal is won; else its stage does
    close_has_time: bool = False  # the close date is a moment, its day that of the organisation's zone
    kept_values: int | None = None  # how many values of a field the history keeps
    # what a file is before its rows are read: some hold several changes in one cell
    unfold: Callable[[str, Sheet], Sheet] | None = None
    # tables that would tell of the past what is only known today, in normal form -> why they are left aside
    left_aside: Mapping[str, str] = field(default_factory=dict)
    cannot_know: str = ""  # of the past, in a sentence

    def object_name(self, kind: str) -> str:
        """What the CRM calls one kind of object."""
        return self.objects[kind][0]

    def file_name(self, kind: str) -> str:
        """The usual name of its file."""
        return f"{self.object_name(kind)}.csv"

    def field_name(self, meaning: str) -> str:
        """What messages call a field."""
        places = (self.fields, self.change_fields, self.value_fields, self.stage_fields, self.user_fields)
        return self.called.get(meaning) or next(
            (place[meaning][0] for place in places if meaning in place), meaning
        )

    def kind_of(self, stem: str) -> str | None:
        """What a file holds, by its name without ending and date."""
        name = normal(stem)
        for prefix in self.file_prefixes:
            name = name.removeprefix(prefix)
        for suffix in ("data", "export"):
            name = name.removesuffix(suffix)
        if name == normal(Path(RENAMES).stem):
            return "renames"
        kinds = (kind for kind, names in self.objects.items() if name in map(normal, names))
        return next(kinds, None)

    def unread(self, names: Iterable[str]) -> list[str]:
        """What to say of files that are no object of the system, by their names."""
        told, others = [], []
        for name in names:
            stem = normal(Path(name).stem)
            for prefix in self.file_prefixes:
                stem = stem.removeprefix(prefix)
            if stem in self.left_aside:
                told.append(f"{name} was left aside: {self.left_aside[stem]}")
            else:
                others.append(name)
        if others:
            told.append(
                f"Not read, since no object of {self.name} is known to be called so: {', '.join(others)}."
            )
        return told

    def fields_of(self, kind: str) -> Mapping[str, tuple[str, ...]]:
        """The headers of one kind of file by their meaning."""
        return {"values": self.value_fields, "changes": self.change_fields}.get(kind) or self.fields

    def status(self, words: pd.Series) -> pd.Series:
        """Open, won, lost or deleted, as far as the words say it; a field of its own speaks the language of its users."""
        known = {word: self.status_words.get(normal(str(word))) for word in words.dropna().unique()}
        if self.own_status:
            known = {word: said or _SIDES.get(side(str(word)) or "") for word, said in known.items()}
        return words.map(known).astype("str")

    def read(self, sheet: Sheet, header: str, meaning: str) -> pd.Series:
        """A column as the values that its meaning asks for."""
        kind = _KINDS.get(meaning, "text")
        if kind == "id":
            return each_word(sheet.read(header, "text"), self.canonical_id)
        if kind == "flag":
            sheet = sheet.part(each_word(sheet.cells[header], plain_flags).rename(header))
        if meaning == "close_on" and self.close_has_time:
            kind = "day"
        percent = self.in_percent
        if percent is None:
            percent = bool(pd.to_numeric(sheet.text(header).str.rstrip("% "), errors="coerce").max() > 1)
        return sheet.read(header, kind, percent=percent)

    def is_report(self, sheet: Sheet) -> bool:
        """Whether the headers are the labels of a report rather than the names of fields."""
        return bool(self.report_headers & set(sheet.cells.columns))

    def category(self, word: object) -> str | None:
        """A forecast category, API value or label, as the tidy tables call it."""
        return self.categories.get(normal(str(word)))

    def headers_of(self, kind: str, headers: Iterable[str]) -> dict[str, str]:
        """The headers of one kind of file, by meaning, of those that are there."""
        there = {normal(header): header for header in reversed(list(headers))}
        return _by_meaning(self, there, self.fields_of(kind))

    def complete(self, kind: str, headers: Iterable[str]) -> bool:
        """Whether a file with these headers has what this kind of file must have."""
        needed = {"deals": self.required, "changes": ("deal_id", "created_at", "field", "new")}
        return kind in needed and set(needed[kind]) <= set(self.headers_of(kind, headers))


def _by_meaning(
    dialect: Dialect, there: Mapping[str, str], names: Mapping[str, tuple[str, ...]]
) -> dict[str, str]:
    """Meaning -> header, from the headers by their normal form; of several spellings the first that is there."""
    if dialect.header_form:
        inner = {name: re.fullmatch(dialect.header_form, name) for name in there}
        there = {match[1]: there[name] for name, match in inner.items() if match} | dict(there)
    found = {
        meaning: next((there[normal(name)] for name in spellings if normal(name) in there), None)
        for meaning, spellings in names.items()
    }
    return {meaning: header for meaning, header in found.items() if header is not None}


class Fields:
    """The columns of a file by meaning; a required one that is missing is a problem."""

    def __init__(
        self, dialect: Dialect, sheet: Sheet, required: tuple[str, ...] = (),
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:  # fmt: skip
        """Look up every meaning once."""
        self.dialect, self.sheet = dialect, sheet
        headers = sheet.headers()
        self.header = _by_meaning(dialect, headers, names or dialect.fields)
        if not sheet.problems:
            for header in dict.fromkeys(self.header.values()):
                sheet.refuse_twins(header, sheet.alike(header))
            for meaning in required:
                if meaning not in self.header:
                    spellings = (names or dialect.fields).get(meaning, ())
                    self._missing(dialect.field_name(meaning), spellings[1:_SHOWN], list(headers.values()))
        self.complete = not sheet.problems

    def _missing(self, name: str, others: tuple[str, ...], headers: list[str]) -> None:
        known = f" (or {', '.join(others)})" if others else ""
        advice = f"{nearest(name, headers)}Add the field{known} to the export."
        problem = Problem(self.sheet.file, 1, name, "no such column", f"the field {name}", advice)
        self.sheet.problems.append(problem)

    def __contains__(self, meaning: str) -> bool:
        """Whether the file has a column of this meaning."""
        return meaning in self.header

    def take(self, meaning: str) -> pd.Series:
        """The column as values."""
        return self.dialect.read(self.sheet, self.header[meaning], meaning)

    def taken(self, *meanings: str) -> dict[str, pd.Series]:
        """Those of the columns that the file has."""
        return {meaning: self.take(meaning) for meaning in meanings if meaning in self.header}
