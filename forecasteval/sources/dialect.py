"""A dialect: what one CRM calls things and how it writes them. Everything else about an export is the same for all.

The facts stand in ``dialects/``, a YAML file for each system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict

from forecasteval.errors import Problem, nearest
from forecasteval.sources._draft_words import plain_flags, side
from forecasteval.sources._ids import CANONICAL
from forecasteval.tables.coded import each_word
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.document import read_facts

_SIDES = {"won": "won", "lost": "lost", "undecided": "open"}
_SHOWN = 4  # spellings of a header that is missing
RENAMES = "stage_renames.csv"  # written by the analyst, whatever the CRM

# how the fields of a record are read, by their meaning; all others are names
_KINDS = {
    "created_at": "moment", "from": "moment", "to": "moment", "close_on": "date", "amount": "number",
    "probability": "share", "default_probability": "share", "is_closed": "flag", "is_won": "flag",
    "is_deleted": "flag", "is_active": "flag", "is_lost": "flag", "deal_id": "id", "rep": "id", "account": "id",
    "closed_on": "date", "closed_at": "day", "lost_at": "day", "booked": "number", "rep_probability": "share", "starts_on": "day",
    "as_of": "date", "at": "moment",
}  # fmt: skip


def _turned_round(words: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Word in normal form -> what it means, from the words of each meaning."""
    return {normal(word): meaning for meaning, spellings in words.items() for word in spellings}


_Spellings = dict[str, tuple[str, ...]]  # meaning -> headers, the first that is there counts
_Words = Annotated[dict[str, str], BeforeValidator(_turned_round)]  # the words of each meaning, turned round


class Dialect(BaseModel):
    """The names, units and quirks of one CRM's exports; of several spellings the first is used in messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    objects: _Spellings  # deals, values, changes, stages, users, ... -> what its files are called
    fields: _Spellings
    stage_fields: _Spellings
    user_fields: _Spellings
    value_fields: _Spellings = {}  # where they differ from ``fields``
    change_fields: _Spellings = {}
    submission_fields: _Spellings = {}  # of forecasts that people submitted
    tracked: _Words  # column of the tidy tables -> what the history of changes calls the field
    categories: _Words = {}  # forecast categories
    # open, won, lost or deleted: words of a field, or of stages where nothing else tells
    status_words: _Words = {}
    own_status: bool = False  # a field of its own says whether a deal is won; else its stage does
    record: str = "deal"  # in the CRM's word
    records: str = "deals"
    file_prefixes: tuple[str, ...] = ()  # put before these names by the tools that export
    called: dict[str, str] = {}  # meaning -> its field in messages, where that is not the first header
    ids: str = "numbers"
    id_shape: str = r"\d+"  # what a deal's id looks like
    id_words: str = "digits"
    owner_shape: str = r"\d+"
    # that only a report has: it has a footer, and times in the organisation's zone
    report_headers: frozenset[str] = frozenset()
    custom_field: str = r"(?!)"  # how the names of an organisation's own fields end
    segments: tuple[str, ...] = ()  # standard fields that become segments, in normal form
    in_percent: bool | None = True  # probabilities, from 0 to 100; None: as each column shows
    required: tuple[str, ...] = ("deal_id", "stage", "close_on")  # of a file of deals
    header_form: str = ""  # what tools put around a header in normal form; the header is its one group
    close_has_time: bool = False  # the close date is a moment, its day that of the organisation's zone
    kept_values: int | None = None  # how many values of a field the history keeps
    folded: str = ""  # the column in which a row of the changes holds several of them
    # why tables that would tell of the past what is only known today are left aside -> their names
    left_aside: _Words = {}
    cannot_know: str = ""  # of the past, in a sentence

    def canonical_id(self, ids: pd.Series) -> pd.Series:
        """One spelling for each id."""
        return CANONICAL[self.ids](ids)

    def object_name(self, kind: str) -> str:
        """What the CRM calls one kind of object."""
        return self.objects[kind][0]

    def file_name(self, kind: str) -> str:
        """The usual name of its file."""
        return f"{self.object_name(kind)}.csv"

    def field_name(self, meaning: str) -> str:
        """What messages call a field."""
        places = (self.fields, self.change_fields, self.value_fields, self.stage_fields, self.user_fields)
        spelled = next((place[meaning][0] for place in places if meaning in place), meaning)
        return self.called.get(meaning, spelled)

    def _bare(self, stem: str) -> str:
        """A file's name in normal form, without what the tools that export put before it."""
        name = normal(stem)
        for prefix in self.file_prefixes:
            name = name.removeprefix(prefix)
        return name

    def kind_of(self, stem: str) -> str | None:
        """What a file holds, by its name without ending and date."""
        name = self._bare(stem).removesuffix("data").removesuffix("export")
        if name == normal(Path(RENAMES).stem):
            return "renames"
        return next((kind for kind, names in self.objects.items() if name in map(normal, names)), None)

    def unread(self, names: Iterable[str]) -> list[str]:
        """What to say of files that are no object of the system, by their names."""
        why = {name: self.left_aside.get(self._bare(Path(name).stem)) for name in names}
        told = [f"{name} was left aside: {reason}" for name, reason in why.items() if reason]
        others = ", ".join(name for name, reason in why.items() if not reason)
        unknown = f"Not read, since no object of {self.name} is known to be called so: {others}."
        return [*told, unknown] if others else told

    def fields_of(self, kind: str) -> _Spellings:
        """The headers of one kind of file by their meaning."""
        return {"values": self.value_fields, "changes": self.change_fields}.get(kind) or self.fields

    def status(self, words: pd.Series) -> pd.Series:
        """Open, won, lost or deleted, as far as the words say it; a field of its own speaks the language of its users."""
        known = {word: self.status_words.get(normal(str(word))) for word in words.dropna().unique()}
        if self.own_status:
            known = {word: said or _SIDES.get(side(str(word)) or "") for word, said in known.items()}
        return words.map(known).astype("str")

    def flags(self, words: pd.Series) -> dict[str, pd.Series]:
        """Won, and closed, as the words say it."""
        said = self.status(words)
        return {"is_won": said.eq("won"), "is_closed": said.isin(["won", "lost"])}

    def read(self, sheet: Sheet, header: str, meaning: str) -> pd.Series:
        """A column as the values that its meaning asks for."""
        kind = _KINDS.get(meaning, "name")
        if kind == "id":
            return each_word(sheet.read(header, "name"), self.canonical_id)
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

    def by_meaning(self, headers: Mapping[str, str], names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        """Meaning -> header, from the headers by their normal form; of several spellings the first that is there."""
        there = dict(headers)
        if self.header_form:
            inner = {name: re.fullmatch(self.header_form, name) for name in headers}
            there = {match[1]: headers[name] for name, match in inner.items() if match} | there
        known = {
            meaning: [n for s in spelled if (n := normal(s)) in there] for meaning, spelled in names.items()
        }
        return {meaning: there[found[0]] for meaning, found in known.items() if found}

    def headers_of(self, kind: str, headers: Iterable[str]) -> dict[str, str]:
        """The headers of one kind of file, by meaning, of those that are there."""
        there = {normal(header): header for header in reversed(list(headers))}
        return self.by_meaning(there, self.fields_of(kind))

    def complete(self, kind: str, headers: Iterable[str]) -> bool:
        """Whether a file with these headers has what this kind of file must have."""
        needed = {"deals": self.required, "changes": ("deal_id", "created_at", "field", "new")}
        return kind in needed and set(needed[kind]) <= set(self.headers_of(kind, headers))


@cache
def dialect_of(system: str) -> Dialect:
    """The dialect of a system, by the name of its file.

    >>> dialect_of("zoho").file_name("deals")
    'Deals.csv'
    """
    file = Path(__file__).with_name("dialects") / f"{system}.yaml"
    return Dialect.model_validate(read_facts(file))


class Fields:
    """The columns of a file by meaning; a required one that is missing is a problem."""

    def __init__(
        self,
        dialect: Dialect,
        sheet: Sheet,
        required: Iterable[str] = (),
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Look up every meaning once."""
        self.dialect, self.sheet = dialect, sheet
        spelled, headers = names or dialect.fields, sheet.headers()
        self.header = dialect.by_meaning(headers, spelled)
        if not sheet.problems:
            for header in dict.fromkeys(self.header.values()):
                sheet.refuse_twins(header, sheet.alike(header))
            for meaning in (meaning for meaning in required if meaning not in self.header):
                name, others = dialect.field_name(meaning), spelled.get(meaning, ())[1:_SHOWN]
                known = f" (or {', '.join(others)})" if others else ""
                advice = f"{nearest(name, list(headers.values()))}Add the field{known} to the export."
                sheet.problems.append(
                    Problem(sheet.file, 1, name, "no such column", f"the field {name}", advice)
                )
        self.complete = not sheet.problems

    def __contains__(self, meaning: str) -> bool:
        """Whether the file has a column of this meaning."""
        return meaning in self.header

    def take(self, meaning: str) -> pd.Series:
        """The column as values."""
        return self.dialect.read(self.sheet, self.header[meaning], meaning)

    def taken(self, *meanings: str) -> dict[str, pd.Series]:
        """Those of the columns that the file has."""
        return {meaning: self.take(meaning) for meaning in meanings if meaning in self.header}
