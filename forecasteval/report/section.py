"""A section of a page: it knows the answer that it is about, says it in the study's words, and draws it if it can."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.report.blocks import Html


class Section:
    """A section of a page, said by a macro of its study's template; the macro gets the section and the answer.

    A section that has something to compute or to draw is a class of its own, with properties and `figure`; its macro
    bears its name in lower case. ``answer: TheNumbers`` in its body tells a type checker what it is about.
    """

    answer: Any
    macro = ""

    def __init__(self, answer: Any, macro: str = "") -> None:
        """Name the macro where it is not called like the class."""
        self.answer = answer
        self.macro = macro or self.macro or type(self).__name__.lower()

    def words(self) -> Html:
        """The section as text."""
        return self.say(self.macro)

    def say(self, macro: str, *more: Any) -> Html:
        """Another macro about this section: a title, a note, the text alternative of its picture."""
        said: Html = self.answer.say(macro, self, self.answer, *more)
        return said


class Card(Section):
    """The card that answers a page's question; a macro `headline` says the answer in one sentence."""

    macro = "card"

    @property
    def headline(self) -> str:
        """The answer in one sentence, for ``results.json`` and summaries."""
        return self.say("headline").text


def said(macro: str, kind: type[Section] = Section) -> cached_property[Section]:
    """A section of words alone, as a property of an answer: ``caveats = said("caveats")``."""
    return cached_property(lambda answer: kind(answer, macro))


@dataclass(frozen=True, eq=False)
class OrWhy:
    """A section that holds what was found, or the sentence that says why there is nothing."""

    found: Any

    @property
    def table(self) -> pd.DataFrame | None:
        """What was found as a table; None where there is nothing."""
        return None if isinstance(self.found, str) else self.found.table

    def results(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {"reason": self.found} if isinstance(self.found, str) else self.found.to_dict()
