"""A command of the user's that hands a report's summary on: to a chat, a mail, a ticket."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from forecasteval.errors import CallError

_SECONDS = 60
_FOLDER = "FORECASTEVAL_REPORT"  # names the report's folder to the command


@dataclass(frozen=True)
class Messenger:
    """A command as a list of words: no shell reads it, so that nothing in it is expanded."""

    words: tuple[str, ...]

    @classmethod
    def of(cls, command: str) -> Messenger:
        """A command from its text.

        Raises
        ------
        CallError
            If it is empty, its quotes do not match, or there is no such program.
        """
        try:
            words = tuple(shlex.split(command))
        except ValueError as error:
            raise CallError(f"--notify {command!r} cannot be read: {error}.") from error
        if not words or not shutil.which(words[0]):
            there = f"there is no program {words[0]!r}" if words else "it names no program"
            raise CallError(f"--notify {command!r}: {there}. No shell reads it: name a program or a script.")
        return cls(words)

    def send(self, folder: Path | None, text: str = "") -> str:
        """Run the command with the summary on its standard input; empty, or a sentence where it failed."""
        place = folder / "summary.txt" if folder else None
        environment = os.environ | ({_FOLDER: str(folder.resolve())} if folder else {})
        name = Path(self.words[0]).name
        try:
            said = place.read_bytes() if place and place.is_file() else text.encode()
            done = subprocess.run(
                self.words, input=said, capture_output=True, timeout=_SECONDS, check=False, env=environment
            )
        except subprocess.TimeoutExpired:
            return (
                f"--notify: {name} was stopped after {_SECONDS} seconds; the report is not touched by that."
            )
        except OSError as error:
            return f"--notify: {name} could not be run: {error.strerror}; the report is not touched by that."
        if done.returncode == 0:
            return ""
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = f": {last[0][:200]}" if last else ""
        return f"--notify: {name} ended with {done.returncode}{why}; the report is not touched by that."
