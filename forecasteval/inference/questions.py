"""What may be different next time: the questions that an interval can answer."""

from __future__ import annotations

# what may differ next time, in words; without reps, deals count as independent
WITHOUT_REPS = {
    ("deal",): "new deals in the same {periods}",
    ("deal", "period"): "new deals in new {periods}",
}
QUESTIONS: dict[tuple[str, ...], str] = {
    ("deal",): "new deals of the same reps in the same {periods}",
    ("account",): "new accounts",
    ("rep",): "new reps",
    ("period",): "new {periods}",
    ("deal", "period"): "the same reps in new {periods}",
    ("rep", "period"): "new reps and new {periods}",
}


def needed(generalise_to: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions over which clusters are left out to answer the question.

    >>> needed(("rep", "period"))
    ('rep', 'period', 'cell')
    """
    if generalise_to == ("rep", "period"):
        return ("rep", "period", "cell")
    return tuple(d for d in generalise_to if d != "deal")
