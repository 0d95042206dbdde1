"""Text blocks that show themselves in a notebook: paragraphs, lists, terms, tables; everything is escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape, unescape
from pathlib import Path
from typing import Any, ClassVar

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.report.labels import for_a_person


@dataclass(frozen=True)
class Html:
    """Text that shows itself in a notebook; everything that came from data is escaped before."""

    html: str
    text: str

    @classmethod
    def of(cls, html: str) -> Html:
        """A block from markup alone; its plain text is the markup without tags, a line for each row or paragraph."""
        rows = re.sub(r"\s*\n\s*", " ", html)
        lines = re.sub(r"</(?:p|li|tr|dd|h\d|summary)>", "\n", re.sub(r"</(?:th|td|dt)>", "\t", rows))
        text = unescape(re.sub(r"<[^>]+>", "", lines)).replace("\N{NO-BREAK SPACE}", " ")
        return cls(html, "\n".join(line.strip() for line in text.split("\n")).strip())

    def __html__(self) -> str:
        """The markup, for a template that holds this block."""
        return self.html

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": for_a_person(self.html), "text/plain": self.text}


class Words:
    """The words of one study: macros of the template beside its code, each a block that shows itself.

    ``say = Words(__file__)`` and then ``say("ladder", section)`` renders the macro `ladder` of ``words.html.j2``.
    Everything is escaped, and a name that the template does not know is an error. ``blocks.html.j2`` holds what
    every page shares.
    """

    _all: ClassVar[list[Words]] = []

    def __init__(self, beside: str, **known: Any) -> None:
        """Name a file of the study's folder, and what of the study its template uses."""
        self.folder, self.known = Path(beside).parent, known
        self._all.append(self)

    @classmethod
    def warm_up(cls) -> None:
        """Compile the templates of all studies at hand, for every process that is forked from this one."""
        for words in cls._all:
            _ = words._macros

    @cached_property
    def _macros(self) -> Any:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader([self.folder, Path(__file__).parent]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"number": wording.number, "percent": wording.percent}
        environment.filters |= {"share": "{:.0%}".format, "thousands": "{:,}".format}
        environment.globals |= {
            "capital": wording.capital,
            "count": wording.count,
            "decimals": wording.decimals,
            "ends": wording.ends,
            "in_unit": wording.in_unit,
        }
        environment.globals |= self.known
        return environment.get_template("words.html.j2").module

    def __call__(self, macro: str, *values: Any, **named: Any) -> Html:
        """Render one macro; a line break in the template is a space."""
        rendered = str(getattr(self._macros, macro)(*values, **named))
        return Html.of(re.sub(r"\s*\n\s*", " ", rendered).strip())


def table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], css: str, numbers: Sequence[str] = ()
) -> Html:
    """A table; the columns named in `numbers` stand right-aligned."""

    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="num"' if c in numbers else "" for c in columns]
        return "".join(
            f"<{tag}{kind}>{escape(str(value))}</{tag}>" for kind, value in zip(kinds, row, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    html = f'<table class="{css}"><thead><tr>{cells(columns, "th")}</tr></thead><tbody>{body}</tbody></table>'
    text = "\n".join("\t".join(str(v) for v in row) for row in [columns, *rows])
    return Html(html, text)


# --- tables -------------------------------------------------------------------------------------------


def difference_cells(row: Mapping[Any, Any]) -> list[str]:
    """Difference and interval of a row of `comparison.table`, with the digits that the interval supports."""
    low, high = row["low"], row["high"]
    interval = "none" if math.isnan(low) else wording.ends(low, high)
    return [wording.number(row["difference"], wording.decimals(low, high)), interval]


def difference_words(row: Mapping[Any, Any]) -> str:
    """The same in a sentence."""
    difference, interval = difference_cells(row)
    if math.isnan(row["difference"]):
        return "cannot be compared"
    return f"{difference}, no interval" if interval == "none" else f"{difference} ({interval})"


def verdict_words(row: Mapping[Any, Any]) -> str:
    """The verdict of a row of `comparison.table`, the forecasters under their own names."""
    if row["verdict"] is None or (isinstance(row["verdict"], float) and math.isnan(row["verdict"])):
        return "described, no verdict"
    words = str(row["verdict"])
    if words in (CANDIDATE, BASELINE):
        winner = row["candidate"] if words == CANDIDATE else row["baseline"]
        words = f"{winner} better"
    return words


def flow_table(comparison: Comparison) -> Html:
    """The way from the export to the compared deals, each exclusion with its reason and count."""
    rows = [
        [step["step"], step["why"] if step["dropped"] else "", f"{step['dropped']:,}", f"{step['deals']:,}"]
        for step in comparison.flow.to_dict("records")
    ]
    what = comparison.nouns.get("deal", "deals").capitalize()
    return table(["Step", "Left out because", "Left out", what], rows, "flow", ("Left out", what))
