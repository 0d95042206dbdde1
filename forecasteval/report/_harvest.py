"""What an executed notebook holds for its report: results, tables and pictures, with names that are safe for files."""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

MIME = "application/vnd.forecasteval+json"  # of what a notebook publishes
_IMAGES = {"image/png": "png", "image/svg+xml": "svg"}
_ANSWER = re.compile(r'<p class="headline">(.*?)</p>', re.DOTALL)  # of a card, as blocks.html.j2 writes it


@dataclass(frozen=True)
class Harvest:
    """What goes into the report's folder: results, tables as CSV by name, pictures by file name, and the input."""

    results: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    figures: dict[str, bytes] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    answer: str = ""  # the first sentence of the page's card, where it has one


def collect(notebook: Mapping[str, Any]) -> Harvest:
    """Everything that the cells of an executed notebook published, its pictures and its answer."""
    found, answers = Harvest(), list[str]()
    names: set[str] = set()
    tables: set[str] = set()
    for data, about in _shown(notebook):
        answers += _ANSWER.findall("".join(data.get("text/html", "")))
        if content := data.get(MIME):
            found.results.update(content.get("results", {}))
            found.inputs.update(content.get("inputs", {}))
            found.tables.update(content.get("tables", {}))
        kind = next((kind for kind in _IMAGES if kind in data), None)
        if kind is not None:
            name = free_slug(about.get(kind, {}).get("name") or f"figure-{len(names) + 1}", names)
            found.figures[f"{name}.{_IMAGES[kind]}"] = _decoded(data[kind], kind)
            if outlines := data.get(MIME, {}).get("svg"):
                found.figures[f"{name}.svg"] = _decoded(outlines, "image/svg+xml")
    safe = {free_slug(name, tables): text for name, text in found.tables.items()}
    answer = unescape(re.sub("<[^>]+>", "", answers[0])) if answers else ""
    return Harvest(found.results, safe, found.figures, found.inputs, answer)


def _shown(notebook: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            yield output.get("data", {}), output.get("metadata", {})


def _decoded(content: str | list[str], kind: str) -> bytes:
    text = content if isinstance(content, str) else "".join(content)
    return base64.b64decode(text) if kind == "image/png" else text.encode()


def slug(name: str) -> str:
    """A name as part of a file name: lower case, letters, digits, ``_`` and ``-``.

    >>> slug("Where: EMEA / Großkunden"), slug("../../etc/passwd"), slug("???")
    ('where-emea-grosskunden', 'etc-passwd', 'unnamed')
    """
    words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFKC", name).casefold()).strip("-_")
    return words[:60].rstrip("-_") or "unnamed"


def free_slug(name: str, taken: set[str]) -> str:
    """A name as :func:`slug` makes it, numbered if it is taken already; from now on it is."""
    chosen, n = slug(name), 1
    while chosen in taken:
        n += 1
        chosen = f"{slug(name)}-{n}"
    taken.add(chosen)
    return chosen
