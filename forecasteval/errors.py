"""What can be wrong with a call."""


class CallError(ValueError):
    """A call or a table that cannot be used; the sentence says what was found and what is allowed."""
