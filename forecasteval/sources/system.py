"""Which system an export comes from: guessed from the names and headers of its files, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from forecasteval.errors import InputError, Problem, nearest
from forecasteval.sources._export_files import find_files
from forecasteval.sources.dialect import Dialect, dialect_of
from forecasteval.tables.columns import normal
from forecasteval.tables.reading import read_header, read_sheet
from forecasteval.tables.settings import SETTINGS_FILE

SYSTEMS = ("salesforce", "hubspot", "dynamics", "pipedrive", "zoho", "history")
_SHOWN = 4


@dataclass(frozen=True)
class Fit:
    """How well an export fits a system: the headers that are its, and those among them that no other system has."""

    name: str
    complete: bool
    known: tuple[str, ...]
    own: tuple[str, ...]
    file: str

    @property
    def dialect(self) -> Dialect:
        """The system's dialect."""
        return dialect_of(self.name)

    @property
    def certain(self) -> bool:
        """Whether it can be no table of anybody's own."""
        return self.complete and bool(self.own) and self.name != "history"

    def why(self) -> str:
        """The reason, in a sentence."""
        words = self.own or self.known
        shown = ", ".join(words[:_SHOWN]) + (
            f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
        )
        only = ", which no other system has" if self.own else ""
        return f"Read as {self.dialect.name}: {self.file} has {shown or 'its name'}{only}."


def system_of(folder: Path, named: str | None = None) -> tuple[Dialect, str]:
    """The dialect of an export and why it is that one; ``named`` by whoever knows.

    Raises
    ------
    InputError
        If two systems fit equally, or ``named`` is none.
    """
    if named is not None:
        if named not in SYSTEMS:
            advice = f"{nearest(named, SYSTEMS)}Correct the value."
            wrong = Problem(
                SETTINGS_FILE, None, "system", repr(named), f"one of {', '.join(SYSTEMS)}", advice
            )
            raise InputError([wrong])
        dialect = dialect_of(named)
        return dialect, f"Read as {dialect.name}, as {SETTINGS_FILE} or the call says."
    fits = fits_of(folder)
    if not fits:
        return dialect_of("salesforce"), ""
    best = fits[0]
    if not best.complete and not best.own:
        problems = read_sheet(folder / best.file, best.file)[0].problems
        if not best.known and problems:  # what stands there is no header
            raise InputError(problems)
        found = f"headers of no system that is known ({', '.join(best.known) or 'none'} might be those of {best.dialect.name})"
        advice = (
            f"Name the system (`forecasteval import {best.name} {folder}`), or draft a mapping, which any table can have: "
            f"`forecasteval import table {folder / best.file} --explain`."
        )
        raise InputError([Problem(best.file, 1, None, found, "an export of one of the systems", advice)])
    equal = [fit for fit in fits if _rank(fit) == _rank(best)]
    if len(equal) > 1 and best.complete:
        names = " and ".join(fit.dialect.name for fit in equal)
        options = " or ".join(f"`system: {fit.name}`" for fit in equal)
        advice = (
            f"Say which it is: `forecasteval import {best.name} {folder}`, or {options} in {SETTINGS_FILE}."
        )
        wrong = Problem(
            best.file, 1, None, f"headers that fit {names} equally", "those of one system", advice
        )
        raise InputError([wrong])
    return best.dialect, best.why()


def guess(folder: Path) -> str | None:
    """The system whose export a folder seems to be; None where two fit equally, or none."""
    fits = fits_of(folder) if folder.is_dir() else []
    if not fits or (len(fits) > 1 and _rank(fits[1]) == _rank(fits[0])):
        return None
    return fits[0].name


def _rank(fit: Fit) -> tuple[bool, bool, int]:
    return fit.certain, fit.complete, len(fit.known)


def fits_of(folder: Path) -> list[Fit]:
    """The systems whose files of deals a folder may hold, the likeliest first."""
    spelled = {name: _spellings(dialect_of(name)) for name in SYSTEMS}
    fits = []
    for name in SYSTEMS:
        dialect = dialect_of(name)
        files = find_files(folder, dialect)
        path = files.of_today
        if path is None:
            continue
        headers = read_header(path)
        known = tuple(dialect.headers_of("deals", headers).values())
        others = set().union(*(words for other, words in spelled.items() if other != name))
        own = tuple(header for header in known if normal(header) not in others)
        fits.append(Fit(name, dialect.complete("deals", headers), known, own, str(path.relative_to(folder))))
    return sorted(fits, key=_rank, reverse=True)


def _spellings(dialect: Dialect) -> set[str]:
    return {normal(name) for spellings in dialect.fields.values() for name in spellings}
