"""An executed notebook as one self-contained HTML page: no code, no script, no request to any host."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecasteval.report._harvest import MIME, free_slug
from forecasteval.report.changes import Changes

_ONLY_IN_NOTEBOOK = "notebook-only"  # tag of cells that a report leaves out
_NUMBER = re.compile(r"([+\-\u2212]?[\d.,]+( ?%| ?[kMB])?|NaN|nan|None|\u2013|)")
# nbconvert's SanitizeHTML is not used: it leaves the text of scripts and styles on the page, and takes Markdown for
# HTML, so that code and quotations in text cells are spoilt while [x](javascript:...) gets through.
_NEVER = ("script", "style", "iframe", "object", "embed", "link", "meta", "base", "form", "input", "button")
_HARMLESS = ("#", "https:", "mailto:", "data:image/")
_URLS = ("href", "src", "xlink:href", "action", "formaction", "srcset", "poster", "background")


def render(
    notebook: Any,
    *,
    results: Mapping[str, Any],
    provenance: Mapping[str, Any],
    name: str,
    changes: Changes | None = None,
) -> str:
    """The page of an executed notebook, a complete HTML document.

    Of what it published, ``title`` and ``headline`` stand in the page's head; the manifest is told in the footer, and
    what has changed since the last report before the first section.
    """
    warm_up()
    from bs4 import BeautifulSoup
    from nbconvert.exporters.html import HTMLExporter
    from nbconvert.exporters.templateexporter import TemplateExporter

    exporter = HTMLExporter(
        template_name="base",
        template_file="page.html.j2",
        extra_template_paths=[str(Path(__file__).parent)],
        exclude_anchor_links=True,
        default_preprocessors=[],
        filters={"escaped_markdown": _escaped},
    )
    about = {
        "title": str(results.get("title") or title_of(notebook, name)),
        "headline": str(results.get("headline", "")),
        "provenance": provenance,
        "changes": changes,
    }
    # not by HTMLExporter's own method, which parses the page once more for what this template has already
    page, _ = TemplateExporter.from_notebook_node(
        exporter, _for_readers(notebook), resources={"report": about}
    )
    soup = BeautifulSoup(page, "html.parser")
    _disarm(soup.body)
    _wrap_tables(soup)
    _contents(soup)
    _before_the_sections(soup)
    return f"<!DOCTYPE html>\n{soup.html}\n"


def warm_up() -> None:
    """Import what a page needs; in the time that a notebook takes, this costs nothing."""
    from forecasteval.report._execute import quick_imports

    quick_imports()
    import nbconvert.exporters.html  # noqa: F401


def _escaped(text: str) -> str:
    """Markdown from an output may hold text from the data: its angle brackets are shown, never obeyed."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _for_readers(notebook: Any) -> Any:
    """A copy without what only a notebook's author reads: some cells, stderr, published data."""
    page = copy.deepcopy(notebook)
    page.cells = [c for c in page.cells if _ONLY_IN_NOTEBOOK not in c.metadata.get("tags", ())]
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if _is_for_readers(o)]
    return page


def title_of(notebook: Any, name: str) -> str:
    """The first heading of a notebook, or its name in words."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return str(line[2:].strip())
    return name.replace("_", " ").capitalize()


def _is_for_readers(output: Any) -> bool:
    if output.output_type == "stream":
        return bool(output.name != "stderr")
    return output.output_type != "error" and MIME not in output.get("data", {})


def _disarm(body: Any) -> None:
    """Drop what could act, should a value have escaped escaping: the page's policy is the first barrier."""
    for tag in body.find_all(_NEVER):
        tag.decompose()
    for tag in body.find_all(True):
        for attribute in [name for name, value in tag.attrs.items() if _acts(name.lower(), value)]:
            del tag[attribute]


def _acts(attribute: str, value: str | list[str]) -> bool:
    address = "".join("".join(value).split()).lower()
    return attribute.startswith("on") or (attribute in _URLS and not address.startswith(_HARMLESS))


def _wrap_tables(soup: Any) -> None:
    """A table wider than the page scrolls in a frame of its own; digits stand right-aligned."""
    for table in soup.body.find_all("table"):
        table.attrs.pop("border", None)
        _align(table)
        if table.find_parent(class_="scroll"):
            continue
        caption = table.find("caption")
        label = caption.get_text(" ", strip=True) if caption else "Table"
        wide = len(max((row.find_all(["td", "th"]) for row in table.find_all("tr")), key=len, default=[])) > 3
        frame = soup.new_tag(
            "div",
            attrs={
                "class": "scroll wide" if wide else "scroll",
                "tabindex": "0",
                "role": "region",
                "aria-label": label,
            },
        )
        table.wrap(frame)
        hint = soup.new_tag("span", attrs={"class": "hint", "aria-hidden": "true"})
        hint.string = "More to the right \u2192"
        frame.append(hint)


def _align(table: Any) -> None:
    """Mark the columns of numbers of a table that does not say which they are."""
    for cell in table.find_all(style=True):
        del cell["style"]
    if table.find(class_="num"):
        return
    rows = [row.find_all(["td", "th"]) for row in table.find_all("tr")]
    width = max(map(len, rows), default=0)
    body = [row for row in rows if len(row) == width and row[-1].find_parent("thead") is None]
    for at in range(width):
        texts = [row[at].get_text(strip=True) for row in body]
        if any(texts) and all(_NUMBER.fullmatch(text) for text in texts):
            for row in rows:
                if len(row) == width:
                    row[at]["class"] = [*row[at].get("class", []), "num"]


def _before_the_sections(soup: Any) -> None:
    """What has changed since the last report: above the contents, or at the end of a page without sections."""
    told = soup.find(id="since")
    if told is None:
        return
    below = soup.find("nav", id="contents") or soup.main.find("h2")
    if below is not None:
        below.insert_before(told.extract())
    else:
        soup.main.append(told.extract())


def _contents(soup: Any) -> None:
    """Links to the sections, in the place that the template keeps for them."""
    place = soup.find("nav", id="contents")
    sections = soup.main.find_all("h2")
    if len(sections) < 3:
        place.decompose()
        return
    taken = {tag["id"] for tag in soup.find_all(id=True)}
    sections[0].insert_before(place.extract())
    for heading in sections:
        heading["id"] = heading.get("id") or free_slug(heading.get_text(), taken)
        link = soup.new_tag("a", attrs={"href": f"#{heading['id']}"})
        link.string = heading.get_text(" ", strip=True)
        place.find("ul").append(soup.new_tag("li"))
        place.find_all("li")[-1].append(link)
