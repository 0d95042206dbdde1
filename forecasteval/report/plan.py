"""The plan of a batch: which notebooks, with which parameters, for each of what. What is wrong is said with its row."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecasteval.errors import CallError, InputError, Problem, nearest
from forecasteval.report._harvest import slug
from forecasteval.report.make import DATA, data_folder, find_notebook
from forecasteval.report.parameters import Parameter, check_values, parameters_of
from forecasteval.sources import folder as folders
from forecasteval.tables.document import Document, read_document
from forecasteval.tables.organisation import Org

_MOST = 1000  # reports of one line of a plan: more is a column of ids
_SEGMENT = "segment"
ARCHIVE = "archive"  # the folder of the dated copies
_CUT = 57  # characters from which a slug may have lost its end
_PEOPLE = re.compile(r"\s*rep\s*[:=]\s*(.+)")
_EXPECTED = {
    "reports": "a list of reports, at least one",
    "notebook": "the name of a notebook in notebooks/, or the path of one",
    "parameters": "lines of the form name: value",
    "for_each": "the name of a column, or a list of parameter sets",
}
_FIRST_LINES = "Write reports:, and below it - notebook: compare_forecasts."


class _Entry(BaseModel):
    """One notebook with its parameters; for_each makes several reports of it."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Report")

    notebook: str = Field(min_length=1, description="Name of a notebook in notebooks/, or the path of one.")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="Any of the notebook's parameters; the others stay as they stand."
    )
    for_each: str | list[dict[str, Any]] | None = Field(
        default=None,
        description="A column: one report for each of its values, set as the parameter segment. Or a list of parameter "
        "sets: one report for each.",
    )


class Plan(BaseModel):
    """What `forecasteval batch` makes."""

    model_config = ConfigDict(extra="forbid", strict=True, title="Plan of forecasteval batch")

    reports: list[_Entry] = Field(min_length=1, description="The notebooks to run.")


class Question(Protocol):
    """What the batch asks of a study whose notebook is in a plan."""

    def share(self, org: Org) -> None:
        """Compute once what its reports have in common."""

    def segments_by(self, org: Org, column: str) -> tuple[dict[str, str], list[str]]:
        """The values of a column that have a report, with what people read; and those that can have none."""


# of a notebook's name and its known values: the study's question, or None for a notebook of somebody else's
Asked = Callable[[str, Mapping[str, Any], Org | None], Question | None]


@dataclass(frozen=True)
class Job:
    """One report of a batch: its folder's name, what readers read, and what the notebook is given."""

    notebook: Path
    name: str
    label: str
    given: dict[str, Any]
    question: Question | None = None
    data: Path | None = None
    org: Org | None = field(default=None, repr=False, compare=False)

    @property
    def about_person(self) -> str:
        """The person whose deals it is about, if one is and the name is not to be shown."""
        person = _PEOPLE.fullmatch(str(self.given.get(_SEGMENT, "")))
        return person[1] if person and not self.given.get("show_names") else ""

    @property
    def alone(self) -> Job:
        """What another process needs of it."""
        return replace(self, question=None, org=None)


@dataclass
class Work:
    """All reports of a plan, and what is to be said about them."""

    jobs: list[Job] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_plan(path: Path, asked: Asked) -> Work:
    """The reports that a plan asks for.

    Raises
    ------
    InputError
        Everything that is wrong with the plan, each with its row.
    """
    document = read_document(path, "a plan in YAML", "Correct the line.", _FIRST_LINES)
    plan = None if document.problems else _valid(document)
    work = Work()
    for at, entry in enumerate(plan.reports if plan else ()):
        _Line(document, f"reports.{at}", entry, asked).expand(work)
    if document.problems:
        raise InputError(document.problems)
    return replace(work, jobs=_apart(work.jobs))


def _valid(document: Document) -> Plan | None:
    try:
        return Plan.model_validate(document.given)
    except ValidationError as error:
        found = error.errors(include_url=False)
    seen = set()
    for one in found:
        parts = [str(part) for part in one["loc"]]
        if one["type"] == "extra_forbidden":
            known = list((Plan if len(parts) == 1 else _Entry).model_fields)
            advice = f"{nearest(parts[-1], known)}Correct or remove the line."
            wrong(document, ".".join(parts), "an unknown key", f"one of {', '.join(known)}", advice)
            continue
        key = next((p for p in reversed(parts) if p in _EXPECTED), "reports")
        place = ".".join(parts[: len(parts) - parts[::-1].index(key)] if key in parts else [key])
        if place in seen:
            continue
        seen.add(place)
        missing = one["type"] == "missing"
        shown = "nothing" if missing or one["input"] in (None, [], "") else repr(one["input"])[:60]
        expected = (
            _EXPECTED[key] if key != "reports" or len(parts) == 1 else "lines that start with notebook:"
        )
        wrong(document, place, shown, expected, _FIRST_LINES if key == "reports" else f"Write {key}: ...")
    return None


def wrong(document: Document, place: str, found: str, expected: str, advice: str) -> None:
    """Add a problem, under the last word of its place."""
    document.wrong(place, found, expected, advice)
    words = [part for part in place.split(".") if not part.isdigit()]
    document.problems[-1] = replace(document.problems[-1], column=words[-1])


class _Line:
    """One entry of a plan, checked and turned into reports."""

    def __init__(self, document: Document, place: str, entry: _Entry, asked: Asked) -> None:
        self.document, self.place, self.entry, self.asked = document, place, entry, asked
        self._notes: list[str] = []

    def wrong(self, key: str, found: str, expected: str, advice: str) -> None:
        wrong(self.document, f"{self.place}.{key}", found, expected, advice)

    def expand(self, work: Work) -> None:
        """Add the reports of this entry."""
        try:
            path = find_notebook(self.entry.notebook)
            declared = parameters_of(path)
        except CallError as error:
            self.wrong("notebook", f"{self.entry.notebook!r}", "a notebook", str(error))
            return
        before = len(self.document.problems)
        common = self._checked("parameters", declared, self.entry.parameters)
        each = self.entry.for_each
        sets = each if isinstance(each, list) else [{}]
        for at, given in enumerate(sets):
            own = self._checked(f"for_each.{at}", declared, given)
            if len(self.document.problems) > before:
                continue
            found = self._reports(path, declared, common | own, f"for_each.{at}" if given else "parameters")
            shown = " · ".join(_shown(name, value, common | own) for name, value in given.items())
            work.jobs += [replace(job, label=job.label or shown) for job in found]
            if isinstance(each, str) and found:
                work.notes += self._notes

    def _checked(
        self, key: str, declared: Mapping[str, Parameter], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values that the notebook takes; a date, which YAML reads as such, as its text."""
        values: dict[str, Any] = {}
        for name, value in given.items():
            plain = value.isoformat() if isinstance(value, date) else value
            try:
                values |= check_values(declared, {str(name): plain}, self.entry.notebook)
            except CallError as error:
                self.wrong(
                    f"{key}.{name}", repr(value)[:60], "a parameter as the notebook has it", str(error)
                )
        return values

    def _reports(
        self, path: Path, declared: Mapping[str, Parameter], values: dict[str, Any], key: str
    ) -> list[Job]:
        """The reports of one set of values: one, or one for each value of a column."""
        known = {p.name: p.value for p in declared.values() if p.known} | values
        org = None
        try:
            folder = data_folder(declared, values, named=False)
        except CallError as error:
            self.wrong(f"{key}.{DATA}", f"{known.get(DATA)!r}", "a data folder", str(error))
            return []
        with suppress(InputError):  # its reports fail one by one, with all that is wrong; others are made
            org = folders.hold(folder) if folder is not None else None
        try:
            question = self.asked(path.stem, known, org)
        except CallError as error:
            self._said_of(key, str(error))
            return []
        job = Job(path, "", "", values, question, folder, org)
        column = self.entry.for_each
        if not isinstance(column, str) or (org is None and folder is not None):
            return [job]
        return self._by(column, job, declared, org)

    def _said_of(self, key: str, text: str) -> None:
        """What a study says about its parameters, each sentence at the row of the one that it is about."""
        for line in text.splitlines():
            name = line.removeprefix("- ").partition(":")[0]
            if line.endswith(":") and "cannot be used" in line:
                continue
            own = f"{self.place}.{key}.{name}" in self.document.rows
            self.wrong(
                f"{key}.{name}" if own else key, "a value", "one that can be used", line.removeprefix("- ")
            )

    def _by(self, column: str, job: Job, declared: Mapping[str, Parameter], org: Org | None) -> list[Job]:
        """One report for each value of a column."""
        if _SEGMENT not in declared or job.given.get(_SEGMENT) or org is None:
            found = f"{column!r}"
            expected = "a notebook with the parameters data and segment, segment left to for_each"
            self.wrong("for_each", found, expected, "Leave segment out, or give a list of parameter sets.")
            return []
        try:
            if job.question is not None:
                job.question.share(org)
            values, without = (job.question.segments_by if job.question else _values_of)(org, column)
        except CallError as error:
            self.wrong("for_each", f"{column!r}", "a column that the deals can be divided by", str(error))
            return []
        if len(values) > _MOST:
            found = f"{column!r}, with {len(values):,} values"
            self.wrong("for_each", found, f"a column of at most {_MOST:,} values", "Name another column.")
            return []
        if without:
            self._notes.append(f"No deals to compare, so no report: {column} {', '.join(without)}.")
        made = []
        for value, shown in values.items():
            segment = {_SEGMENT: f"{column}: {value}"}
            own = job.given | segment
            label = shown if shown != value else f"{column}: {value}"
            made.append(replace(job, given=own, label=label))
        return made


def _values_of(org: Org, column: str) -> tuple[dict[str, str], list[str]]:
    """The values of a column of the deals, for somebody else's notebook."""
    table = org.matched if org.matched is not None else org.deals
    if table is None or column not in table:
        there = [] if table is None else [str(c) for c in table]
        raise CallError(
            f"There is no column {column!r}. {nearest(column, there)}There are {', '.join(there)}."
        )
    values = pd.Series(table[column]).dropna().astype(str).value_counts().index
    return {value: f"rep {_mark(value)}" if column == "rep" else value for value in values}, []


# --- names of folders ---------------------------------------------------------------------------------


def _shown(name: str, value: Any, values: Mapping[str, Any]) -> str:
    """A parameter as a reader reads it; people by a stand-in, folders by their name."""
    if name == DATA:
        return Path(str(value)).name
    if name == _SEGMENT:
        person = _PEOPLE.fullmatch(str(value))
        return f"rep {_mark(person[1])}" if person and not values.get("show_names") else str(value)
    listed = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{name.replace('_', ' ')}: {listed}"


def _mark(identity: Any) -> str:
    """Six letters that stay the same as long as what they stand for."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def _apart(jobs: list[Job]) -> list[Job]:
    """The jobs with folders of their own, named the same in every run; people only by a stand-in."""
    names = [slug(_wanted(job)) for job in jobs]
    often = Counter(names)
    made, taken = [], set()
    for job, name in zip(jobs, names, strict=True):
        if often[name] > 1 or len(name) > _CUT or name == ARCHIVE:  # one to a file system; cut; taken
            name = f"{name[:52].rstrip('-_')}-{_mark([str(job.notebook.stem), job.given])}"
        if name in taken:
            found = f"the same report twice ({job.label or job.notebook.stem})"
            twice = Problem("the plan", None, "reports", found, "each report once", "Remove one of them.")
            raise InputError([twice])
        taken.add(name)
        title = job.notebook.stem.replace("_", " ").capitalize()
        made.append(replace(job, name=name, label=job.label or title))
    return made


def _wanted(job: Job) -> str:
    if person := job.about_person:
        return f"{job.notebook.stem}-rep-{_mark(person)}"
    return f"{job.notebook.stem}-{job.label}" if job.label else job.notebook.stem
