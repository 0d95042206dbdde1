"""What can be wrong with a call or with input: errors whose message is written for the analyst."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


class Refusal(ValueError):
    """Something that cannot be used; the message says what was found, what is allowed, and what to do."""

    exit_code = 2  # of a command that was refused

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message alone, for the frames inside the package help nobody."""
        return [f"{type(self).__name__}: {self}"]


class CallError(Refusal):
    """A call or a table that cannot be used; the sentence says what was found and what is allowed."""


class Busy(CallError):
    """Another run is at work in the same place: nothing is wrong with the call, and it can be tried again."""

    exit_code = 1


class EngineStopped(CallError):
    """The engine that holds a table gave no answer: there are no figures then, rather than some of part of the rows."""

    exit_code = 1


_SHOWN = 5


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the input: where (rows as a spreadsheet counts them), what, and what to do.

    >>> print(Problem("deals.csv", 7, "outcome", "'win'", "won, lost or open", "Correct the word."))
    deals.csv, row 7, column outcome: found 'win'; expected won, lost or open. Correct the word.
    """

    file: str
    row: int | None
    column: str | None
    found: str
    expected: str
    advice: str
    severity: str = "error"

    def __str__(self) -> str:
        """The problem as one line."""
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: found {self.found}; expected {self.expected}. {self.advice}".rstrip()


class InputError(Refusal):
    """The input cannot be used; ``problems`` says everything that is wrong with it at once, errors first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep the problems and put the errors into the message, one per line."""
        self.problems: list[Problem] = sorted(problems, key=lambda problem: problem.severity != "error")
        errors = [problem for problem in self.problems if problem.severity == "error"]
        super().__init__("\n".join(str(problem) for problem in errors))


def pinned(
    file: str, column: str | None, cells: pd.Series, expected: str, advice: str, *,
    severity: str = "error", found: str = "{}",
) -> list[Problem]:  # fmt: skip
    """One problem for each offending cell (the index holds its row), five at most, and one that counts the others.

    >>> bad = pd.Series(["x"] * 42, index=range(2, 44))
    >>> many = pinned("a.csv", "amount", bad, "a number", "Correct it.")
    >>> len(many), many[-1].found
    (6, '37 more rows like these')
    """
    shown = cells.iloc[:_SHOWN]
    problems = [
        Problem(file, int(str(row)), column, found.format(_quoted(value)), expected, advice, severity)
        for row, value in shown.items()
    ]
    rest = len(cells) - len(shown)
    if rest > 0:
        words = f"{rest:,} more row{'s' if rest > 1 else ''} like these"
        problems.append(Problem(file, None, column, words, expected, "", severity))
    return problems


def _quoted(value: Any) -> str:
    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return "nothing"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float | np.floating):
        return f"{value:.10g}"
    return f"'{value}'" if isinstance(value, str) else str(value)


def nearest(word: str, words: Sequence[str]) -> str:
    """A did-you-mean for a misspelt word, or an empty string.

    >>> nearest("timezon", ["timezone", "currency"])
    'Did you mean timezone? '
    """
    import difflib

    close = difflib.get_close_matches(word, list(words), n=1)
    return f"Did you mean {close[0]}? " if close else ""


def absent(path: Path, wanted: str, expected: str, advice: str) -> Problem:
    """The problem that a path does not lead to a "file" or a "folder", whichever is wanted."""
    other = path.is_dir() if wanted == "file" else path.is_file()
    found = f"a {'folder' if wanted == 'file' else 'file'}" if other else f"no such {wanted}"
    return Problem(str(path), None, None, found, expected, advice)


def unreadable(path: Path, file: str, expected: str) -> Problem | None:
    """The problem that a path leads to something that cannot be read as a file (a pipe would be waited for)."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
            return None
    except OSError as error:
        advice = "Correct the name, or the permissions."
        return Problem(file, None, None, f"a file that cannot be read ({error.strerror})", expected, advice)
    found = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device"
    return Problem(file, None, None, found, expected, "Put a file in its place.")


class RunFailed(Exception):
    """A cell of the notebook raised an error, or not every cell was run."""

    def __init__(self, message: str, *, exit_code: int = 1, folder: Path | None = None) -> None:
        """Keep the sentence, the exit code (2 if the cell found the input to be wrong) and where more is said."""
        super().__init__(message)
        self.exit_code = exit_code
        self.folder = folder


def told(error: Exception) -> tuple[str, int]:
    """An error as a sentence, and the exit code that is due."""
    if isinstance(error, Refusal | RunFailed):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'}: {error.strerror or error}.", 1
    return f"{type(error).__name__}: {error}", 1
