"""What can be wrong with a call or with input: errors whose message is written for the analyst."""

from __future__ import annotations


class Refusal(ValueError):
    """Something that cannot be used; the message says what was found, what is allowed, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message alone, for the frames inside the package help nobody."""
        return [f"{type(self).__name__}: {self}"]


class CallError(Refusal):
    """A call or a table that cannot be used; the sentence says what was found and what is allowed."""
