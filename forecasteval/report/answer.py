"""What a study found: its sections, and everything that leaves with its report."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, ClassVar

import pandas as pd

from forecasteval.report.blocks import Html, Words, table


class Answer:
    """What a study found; a study adds its sections, its `results` and its `tables`.

    A section of words alone is ``caveats = said("caveats")``, any other ``curve = cached_property(Curve)`` with a
    :class:`forecasteval.report.section.Section`; each is made when it is asked for.
    """

    say: ClassVar[Words]  # of the study: Words(__file__)
    question: Any  # the parameters, and the data; where a study has them
    org: Any

    def text(self, macro: str, *more: Any) -> str:
        """A sentence of the template that needs no section."""
        return self.say(macro, None, self, *more).text

    def of_itself(self, *parts: str) -> dict[str, str]:
        """What the report says of itself, by the macros ``about_<part>``: what goes in, what would change it."""
        return {part: self.text(f"about_{part}") for part in parts}

    def results(self) -> Mapping[str, Any]:
        """The content of ``results.json``."""
        raise NotImplementedError

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        raise NotImplementedError

    def source(self, data: str) -> Html:
        """What went in: the data as they were named, and the parameters. Versions and hashes are in the manifest."""
        rows = [
            ["Organisation", self.org.name],
            ["Data", data],
            ["forecasteval", version("deal-forecasteval")],
        ]
        rows += [[k, str(v) if v not in ("", []) else "–"] for k, v in self.question.parameters.items()]
        return table(["What", "Value"], rows, "provenance")
