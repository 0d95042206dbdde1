"""Whether a report says what its data say: its results are computed again and compared, key by key."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from forecasteval.compare.wording import count
from forecasteval.errors import CallError, RunFailed
from forecasteval.report import _execute, _failure, _manifest
from forecasteval.report._harvest import collect
from forecasteval.report._machine import Machine
from forecasteval.report._place import temporary
from forecasteval.report.changes import Run
from forecasteval.report.make import (
    DATA,
    RESULTS,
    data_folder,
    find_notebook,
    insert_checks,
    results_of,
)
from forecasteval.report.parameters import check_values, parameters_of
from forecasteval.tables import ledger

_LEDGER = ".jsonl"  # a file that is only added to: what came later is left out
_SHOWN = 20
_ROUNDING = 1e-9  # relative: below this two machines may differ


@dataclass(frozen=True)
class Verification:
    """What was found: inputs that are not those of the report, else keys that differ, and what may explain it."""

    inputs: tuple[str, ...]
    differences: tuple[str, ...]
    notes: tuple[str, ...]
    files: int

    @property
    def exit_code(self) -> int:
        """0 the same, 1 something differs, 2 the inputs are missing or changed."""
        return 2 if self.inputs else 1 if self.differences else 0

    def __str__(self) -> str:
        """What was found, as lines for a person."""
        if self.inputs:
            head, found = (
                f"Not computed: {count(len(self.inputs), 'inputs')} of the report differ here.",
                self.inputs,
            )
        elif self.differences:
            head, found = f"Differs in {count(len(self.differences), 'places')}.", self.differences
        else:
            return f"Same: results.json follows from its {count(self.files, 'input files')}, computed again."
        rest = len(found) - _SHOWN
        listed = [*found[:_SHOWN], *([f"and {rest:,} more"] if rest > 0 else []), *self.notes]
        return "\n".join([head, *(f"- {line}" for line in listed)])


def verify(folder: str | Path, *, data: str | Path | None = None, progress: bool = False) -> Verification:
    """Compute the results of a report again, from the inputs that its manifest names, and compare.

    The notebook is the one that is installed here, never the copy in the folder, which may be anybody's code. Only the
    named inputs are read, from a folder of links; nothing is written where the data lie.

    Parameters
    ----------
    folder : a report's folder
    data : the data folder; the notebook's own if left out
    progress : draw a bar on stderr

    Raises
    ------
    CallError
        If the folder holds no report, or one that cannot be computed again.
    RunFailed
        If a cell failed.
    """
    place = Path(folder)
    report = Run.read(place)
    if report is None or report.results.get("status") == "failed":
        raise CallError(f"{place} holds no finished report: it needs {RESULTS} and {_manifest.NAME}.")
    record = report.record
    name, parameters = _asked(place, record)
    path = find_notebook(name)
    declared = parameters_of(path)
    own = {n: v for n, v in parameters.items() if n != DATA and (n not in declared or declared[n].value != v)}
    values = check_values(declared, own, name)
    inputs = _inputs(place, record)
    source = None
    if inputs or DATA in declared:
        given = {} if data is None else {DATA: Path(data).as_posix()}
        source = data_folder(declared, given, named=data is not None) if parameters.get(DATA) else None
    wrong = [] if source is None else list(_not_the_same(source, inputs))
    if wrong:
        return Verification(tuple(wrong), (), (), len(inputs))
    with temporary("forecasteval-verify-", Path(tempfile.gettempdir())) as aside:
        notebook = _execute.load(path)
        if source is not None:
            staged = _staged(aside, str(record.get("organisation") or ""), source, inputs)
            insert_checks(notebook, str(staged), {"allow_stale": True, "allow_shrunk": True})
            values |= {DATA: staged.as_posix()}
        run = _execute.execute(notebook, values, progress=progress)
        if run.failure is not None:
            error = _failure.error(run.failure)
            raise RunFailed(f"It could not be computed again. {error}", exit_code=error.exit_code)
        called = {} if source is None else {str(staged): str(record.get("organisation"))}
        Machine(called).without(run.notebook)
        found = json.loads(_manifest.as_json(results_of(collect(run.notebook))))
    keys = [_told(key, old, new) for key, old, new in _different(report.results, found)]
    near = bool(keys) and all(_near(old, new) for _, old, new in _different(report.results, found))
    differences = [*_torn(place, record), *keys]
    return Verification((), tuple(differences), tuple(_notes(record, path, near)), len(inputs))


# --- what the manifest says, which may be anybody's -----------------------------------------------------


def _asked(place: Path, record: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    about, parameters = record.get("notebook"), record.get("parameters")
    name = about.get("name") if isinstance(about, Mapping) else None
    if not (isinstance(name, str) and re.fullmatch(r"[\w-]+", name) and isinstance(parameters, dict)):
        raise CallError(
            f"{place / _manifest.NAME} does not say which notebook was run with which parameters."
        )
    if parameters.get("ledger"):
        raise CallError(
            f"This report kept its ledger outside its data ({parameters['ledger']}), so it cannot be computed again here."
        )
    return name, parameters


def _inputs(place: Path, record: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """File, hash and size of every input; a name that leads out of the data folder is refused."""
    found = []
    for entry in record.get("inputs") or ():
        try:
            file, digest, size = str(entry["file"]), str(entry["sha256"]), int(entry["bytes"])
        except (TypeError, KeyError, ValueError) as error:
            raise CallError(f"{place / _manifest.NAME} does not say what its inputs were.") from error
        parts = PurePosixPath(file)
        if parts.is_absolute() or ".." in parts.parts or "\\" in file or ":" in file:
            raise CallError(f"{place / _manifest.NAME} names an input outside the data folder: {file!r}.")
        found.append((file, digest, size))
    return found


def _not_the_same(source: Path, inputs: list[tuple[str, str, int]]) -> Iterator[str]:
    for file, digest, size in inputs:
        path = source / file
        if not path.is_file():
            yield f"{file}: missing"
        elif path.suffix == _LEDGER:
            if _manifest.sha256(path, size) != digest:
                yield f"{file}: its first {size:,} bytes are not those that the report was made from"
        elif _manifest.sha256(path) != digest:
            yield f"{file}: changed since the report was made"


def _staged(aside: Path, organisation: str, source: Path, inputs: list[tuple[str, str, int]]) -> Path:
    """A data folder of nothing but the named inputs; where a folder's name names the organisation, it has that name."""
    plain = organisation == Path(organisation).name and organisation not in ("", ".", "..")
    folder = aside / (organisation if plain and len(organisation.encode()) < 200 else DATA)
    folder.mkdir()
    for file, _, size in inputs:
        there = (source / file).resolve()
        here = folder / file
        here.parent.mkdir(parents=True, exist_ok=True)
        if here.suffix == _LEDGER:
            ledger.copy(there, here, size)
            continue
        try:
            os.symlink(there, here)
        except OSError:  # Windows, without the right to
            shutil.copyfile(there, here)
    return folder


# --- what differs ---------------------------------------------------------------------------------------


def _torn(place: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Files of the report that are not as they were written."""
    written = record.get("files")
    for file, digest in (written if isinstance(written, dict) else {}).items():
        path = place / file
        if ".." in PurePosixPath(file).parts or not path.is_file():
            yield f"{file} is missing from the report"
        elif _manifest.sha256(path) != digest:
            yield f"{file} was changed after the report was made"


def _different(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Key, value in the report and value now, wherever two plain values differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _different(
                old.get(name, ...), new.get(name, ...), f"{key}.{name}" if key else str(name)
            )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _different(one, other, f"{key}[{at}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield key, old, new


def _told(key: str, old: Any, new: Any) -> str:
    here, now = (
        "nothing" if v is ... else f"{len(v):,} entries" if isinstance(v, list) else repr(v)[:80]
        for v in (old, new)
    )
    return f"{key}: {here} in the report, {now} computed now"


def _near(old: Any, new: Any) -> bool:
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    return numbers and abs(old - new) <= _ROUNDING * max(abs(old), abs(new))


def _notes(record: Mapping[str, Any], notebook: Path, near: bool) -> Iterator[str]:
    """What may explain a difference."""
    if near:
        yield f"All of it is below {_ROUNDING:g} of the value: the rounding of another machine"
    if record.get("notebook", {}).get("sha256") != _manifest.sha256(notebook):
        yield f"The notebook {notebook.name} here is another version than the report's"
    then, now = record.get("versions") or {}, _manifest.versions()
    other = [
        f"{n} {then.get(n, 'none')} (here {now.get(n, 'none')})"
        for n in {**then, **now}
        if then.get(n) != now.get(n)
    ]
    if other:
        yield f"Made with other versions: {', '.join(other)}"
