"""A dialect: what one CRM calls things and how it writes them. Everything else about an export is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forecasteval.errors import Problem, nearest
from forecasteval.tables.columns import Sheet, normal

RENAMES = "stage_renames.csv"  # written by the analyst, whatever the CRM

# how the fields of a record are read, by their meaning; all others are text
_KINDS = {
    "created_at": "moment", "from": "moment", "to": "moment", "close_on": "date", "amount": "number",
    "probability": "share", "default_probability": "share", "is_closed": "flag", "is_won": "flag",
    "is_deleted": "flag", "is_active": "flag", "deal_id": "id", "rep": "id", "account": "id",
}  # fmt: skip


@dataclass(frozen=True)
class Dialect:
    """The names, units and quirks of one CRM's exports; of several spellings the first is used in messages."""

    name: str
    objects: Mapping[
        str, tuple[str, ...]
    ]  # deals, values, changes, stages, users -> what its files are called
    file_prefixes: tuple[str, ...]  # put before these names by the tools that export
    fields: Mapping[str, tuple[str, ...]]  # meaning -> headers, the first that is there counts
    stage_fields: Mapping[str, tuple[str, ...]]
    user_fields: Mapping[str, tuple[str, ...]]
    called: Mapping[str, str]  # meaning -> its field in messages, where that is not the first header
    tracked: Mapping[str, str]  # what the history of changes calls a field -> column of the tidy tables
    categories: Mapping[str, str]  # forecast categories in normal form -> those of the tidy tables
    canonical_id: Callable[[pd.Series], pd.Series]  # one spelling for each id
    id_shape: str  # what a deal's id looks like
    id_words: str  # ... in words
    owner_shape: str
    record: str  # one deal, in the CRM's word
    records: str
    report_headers: frozenset[str]  # that only a report has: with a footer, in the organisation's zone
    custom_field: str  # how the names of an organisation's own fields end
    segments: tuple[str, ...]  # standard fields that become segments, in normal form
    endless: int  # an end in this year or later stands for "still valid"
    in_percent: bool = True  # probabilities, from 0 to 100

    def object_name(self, kind: str) -> str:
        """What the CRM calls one kind of object."""
        return self.objects[kind][0]

    def file_name(self, kind: str) -> str:
        """The usual name of its file."""
        return f"{self.object_name(kind)}.csv"

    def field_name(self, meaning: str) -> str:
        """What messages call a field."""
        return self.called.get(meaning) or (self.fields.get(meaning) or self.stage_fields[meaning])[0]

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

    def is_report(self, sheet: Sheet) -> bool:
        """Whether the headers are the labels of a report rather than the names of fields."""
        return bool(self.report_headers & set(sheet.cells.columns))

    def category(self, word: object) -> str | None:
        """A forecast category, API value or label, as the tidy tables call it."""
        return self.categories.get(normal(str(word)))


class Fields:
    """The columns of a file by meaning; a required one that is missing is a problem."""

    def __init__(
        self, dialect: Dialect, sheet: Sheet, required: tuple[str, ...] = (),
        names: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:  # fmt: skip
        """Look up every meaning once."""
        self.dialect, self.sheet = dialect, sheet
        headers = sheet.headers()
        found = {
            meaning: next((headers[normal(name)] for name in spellings if normal(name) in headers), None)
            for meaning, spellings in (names or dialect.fields).items()
        }
        self.header = {meaning: header for meaning, header in found.items() if header is not None}
        if not sheet.problems:
            for header in dict.fromkeys(self.header.values()):
                sheet.refuse_twins(header, sheet.alike(header))
            for meaning in required:
                if meaning not in self.header:
                    self._missing(dialect.field_name(meaning), list(headers.values()))
        self.complete = not sheet.problems

    def _missing(self, name: str, headers: list[str]) -> None:
        advice = f"{nearest(name, headers)}Add the field to the export."
        problem = Problem(self.sheet.file, 1, name, "no such column", f"the field {name}", advice)
        self.sheet.problems.append(problem)

    def __contains__(self, meaning: str) -> bool:
        """Whether the file has a column of this meaning."""
        return meaning in self.header

    def take(self, meaning: str) -> pd.Series:
        """The column as values."""
        sheet, header, kind = self.sheet, self.header[meaning], _KINDS.get(meaning, "text")
        if kind == "id":
            return self.dialect.canonical_id(sheet.text(header))
        return sheet.read(header, kind, percent=self.dialect.in_percent)

    def taken(self, *meanings: str) -> dict[str, pd.Series]:
        """Those of the columns that the file has."""
        return {meaning: self.take(meaning) for meaning in meanings if meaning in self.header}
