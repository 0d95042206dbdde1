"""An executed notebook as one self-contained HTML page: no code, no script, no request to any host."""

from __future__ import annotations

import copy
import csv
import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from forecasteval.report import _first_screen
from forecasteval.report._harvest import MIME, free_slug, slug
from forecasteval.report.changes import Changes
from forecasteval.report.labels import in_words, names_in, say_names
from forecasteval.report.published import TURNS, inert

_APPENDIX = "data-appendix"  # of what page.html.j2 writes before a cell that is folded
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
    from nbconvert.exporters.templateexporter import TemplateExporter

    names = names_in(results)
    title = str(results.get("title") or title_of(notebook, name))
    organisation = str(_first_screen.about_of(results).get("organisation") or "")
    about = {
        "title": title,
        "headline": in_words(str(results.get("headline", "")), names),
        "running_head": _css_text(" \N{MIDDLE DOT} ".join(w for w in (title, organisation) if w)),
        "provenance": provenance,
        "changes": changes,
    }
    # not by HTMLExporter's own method, which parses the page once more for what this template has already
    page, _ = TemplateExporter.from_notebook_node(
        _exporter(), _for_readers(notebook), resources={"report": about}
    )
    soup = BeautifulSoup(page, "html.parser")
    _disarm(soup.body)
    say_names(soup.main, names)
    _first_screen.put(soup, results, str(provenance.get("finished", "")))
    _mark_headings(soup)
    _gather_silent(soup)
    _fold(soup)
    _wrap_tables(soup)
    _contents(soup)
    _before_the_sections(soup)
    return f"<!DOCTYPE html>\n{soup.html}\n".translate(TURNS)


def warm_up() -> None:
    """Import what a page needs; in the time that a notebook takes, this costs nothing."""
    from forecasteval.report._execute import quick_imports

    quick_imports()
    import bs4  # noqa: F401
    import nbformat
    from nbconvert.exporters.templateexporter import TemplateExporter

    about: dict[str, Any] = {
        "title": "",
        "headline": "",
        "running_head": "",
        "provenance": {},
        "changes": None,
    }
    TemplateExporter.from_notebook_node(_exporter(), nbformat.v4.new_notebook(), resources={"report": about})


@cache
def _exporter() -> Any:
    from nbconvert.exporters.html import HTMLExporter

    return HTMLExporter(
        template_name="base",
        template_file="page.html.j2",
        extra_template_paths=[str(Path(__file__).parent)],
        exclude_anchor_links=True,
        default_preprocessors=[],
        filters={"escaped_markdown": _escaped},
    )


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
    data = output.get("data", {})
    return output.output_type != "error" and (MIME not in data or "image/png" in data)


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


def _css_text(text: str) -> str:
    """A text as a CSS string that can neither end the string nor the style sheet."""
    return "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text[:120])


# --- silent sections, the appendix ----------------------------------------------------------------------


def _sections(soup: Any) -> list[tuple[Any, list[Any]]]:
    """Each heading of a section with everything up to the next."""
    found = []
    for heading in soup.main.find_all("h2"):
        inside, at = [], heading.next_sibling
        while at is not None and at.name not in ("h2", "footer"):
            inside.append(at)
            at = at.next_sibling
        found.append((heading, inside))
    return found


def _mark_headings(soup: Any) -> None:
    """The mark that a cell of the appendix begins with goes to its heading, and then goes wherever that goes."""
    for mark in soup.main.find_all("hr", attrs={_APPENDIX: True}):
        if (heading := mark.find_next("h2")) is not None:
            heading[_APPENDIX] = ""
        mark.decompose()


def _gather_silent(soup: Any) -> None:
    """Sections that have nothing to say become one line each in a list, with why, below the last unfolded section."""
    silent = []
    for heading, inside in _sections(soup):
        outputs = [
            o
            for part in inside
            if part.name == "div"
            for o in [part]
            if o.get_text(strip=True) or o.find("img")
        ]
        said = [
            o for o in outputs if not o.find(class_="absent") or len(o.find_all(True, recursive=False)) > 1
        ]
        if outputs and not said:
            silent.append((heading, inside, outputs[0].get_text(" ", strip=True)))
    if not silent:
        return
    title, listed = soup.new_tag("h2"), soup.new_tag("ul", attrs={"class": "silent"})
    title.string = "What these data cannot tell"
    for heading, inside, why in silent:
        item, name = soup.new_tag("li"), soup.new_tag("strong")
        name.string = heading.get_text(" ", strip=True)
        stop = "" if name.string.endswith(("?", ".")) else "."
        item.extend([name, f"{stop} {why}"])
        listed.append(item)
        for part in [heading, *inside]:
            part.extract()
    folded = None
    for heading, _ in reversed(_sections(soup)):
        if not heading.has_attr(_APPENDIX):
            break
        folded = heading
    for part in (title, listed):
        if folded is None:
            soup.main.append(part)
        else:
            folded.insert_before(part)


def _fold(soup: Any) -> None:
    """Sections that are marked as appendix are folded; their heading stays."""
    for heading, inside in _sections(soup):
        if heading.attrs.pop(_APPENDIX, None) is not None:
            fold, name = soup.new_tag("details", attrs={"class": "appendix"}), soup.new_tag("summary")
            heading.insert_before(fold)
            name.append(heading.extract())
            fold.append(name)
            fold.extend(part.extract() for part in inside)


# --- tables, contents -----------------------------------------------------------------------------------


def _wrap_tables(soup: Any) -> None:
    """A table wider than the page scrolls in a frame of its own; digits stand right-aligned; it can be taken along."""
    taken: set[str] = set()
    for table in soup.body.find_all("table"):
        table.attrs.pop("border", None)
        _align(table)
        if table.find_parent(class_="scroll"):
            continue
        label = _label(table)
        name = free_slug(label, taken)
        number = name.removeprefix(slug(label)).strip("-")
        rows = table.find_all("tr")
        wide = len(max((row.find_all(["td", "th"]) for row in rows), key=len, default=[])) > 3
        frame = soup.new_tag(
            "div",
            attrs={
                "class": "scroll wide" if wide else "scroll",
                "tabindex": "0",
                "role": "region",
                "aria-label": f"Table: {label}{f', {number}' if number else ''}",
            },
        )
        table.wrap(frame)
        hint = soup.new_tag("span", attrs={"class": "hint", "aria-hidden": "true"})
        hint.string = "More to the right \u2192"
        frame.append(hint)
        if len(rows) > 2 and table.find_parent("main"):
            frame.insert_after(_download(soup, rows, name, f"{label}{f', {number}' if number else ''}"))


def _label(table: Any) -> str:
    """What a table is called: its caption, or the heading above it."""
    caption = table.find("caption")
    above = table.find_previous(["h1", "h2", "h3", "summary"])
    named = caption or above
    return (named.get_text(" ", strip=True) if named else "")[:80] or "Table"


def _download(soup: Any, rows: Any, name: str, label: str) -> Any:
    """A link that saves the rows of a table as a file for a spreadsheet."""
    texts = [[cell.get_text(" ", strip=True) for cell in row.find_all(["td", "th"])] for row in rows]
    plain = [[v.replace("\u2212", "-") if _NUMBER.fullmatch(v) else v for v in row] for row in texts]
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows([inert(v) for v in row] for row in plain)
    place = soup.new_tag("p", attrs={"class": "take"})
    about = {"href": f"data:text/csv;charset=utf-8,{quote(content.getvalue())}", "download": f"{name}.csv"}
    link = soup.new_tag("a", attrs=about | {"aria-label": f"Save as CSV: {label}"})
    link.string = "Save as CSV"
    place.append(link)
    return place


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
    (sections[0].find_parent("details") or sections[0]).insert_before(place.extract())
    for heading in sections:
        heading["id"] = heading.get("id") or free_slug(heading.get_text(), taken)
        link = soup.new_tag("a", attrs={"href": f"#{heading['id']}"})
        link.string = heading.get_text(" ", strip=True)
        place.find("ul").append(soup.new_tag("li"))
        place.find_all("li")[-1].append(link)
