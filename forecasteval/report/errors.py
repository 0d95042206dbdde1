"""What can go wrong with a report, as sentences for the person who asked for it."""

from __future__ import annotations


class ReportError(Exception):
    """A report could not be made; the message is for its reader, ``exit_code`` for the schedule."""

    exit_code = 1


class CallError(ReportError):
    """The call or the input is wrong: an unknown notebook or parameter, a value of the wrong kind."""

    exit_code = 2


class RunFailed(ReportError):
    """A cell of the notebook raised an error, or not every cell was run."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        """Keep the sentence and the exit code (2 if the cell found the input to be wrong)."""
        super().__init__(message)
        self.exit_code = exit_code
