"""A report's page as a tagged PDF, by WeasyPrint, which needs Pango from the system."""

from __future__ import annotations

import logging
from typing import Any

from forecasteval.errors import CallError

# on paper nothing can be unfolded, and WeasyPrint would print all of it
_FOLDED = """
details:not([open]) > :not(summary) { display: none !important }
details:not([open]) > summary { list-style: none }
details:not([open]) > summary::after { content: " (in the appendix)"; color: #566273; font-weight: 400 }
"""
_EXTRA = "pip install '.[share]' in the checkout, or pip install weasyprint"


def require() -> Any:
    """The renderer, or a CallError that says what is missing: asked before a report is run."""
    try:
        import weasyprint
    except ImportError as error:
        raise CallError(f"--pdf needs the package weasyprint, which is not installed: {_EXTRA}.") from error
    except OSError as error:  # it is there, and a library of the system is not
        raise CallError(
            "--pdf needs Pango, a library of the system, which is not there. Debian and Ubuntu: apt install "
            "libpango-1.0-0 libpangoft2-1.0-0; macOS: brew install pango; Windows: see WeasyPrint's first steps."
        ) from error
    return weasyprint


def pdfs(page: str) -> dict[str, bytes]:
    """The page as it is read first, `report.pdf`; and, where parts of it are folded, those as `appendix.pdf`.

    Both are PDF/UA-1: tagged, with a language and a title; nothing is fetched from anywhere.
    """
    found = {"report.pdf": _printed(page, _FOLDED)}
    if appendix := _appendix(page):
        found["appendix.pdf"] = _printed(appendix)
    return found


def _appendix(page: str) -> str:
    """A page of everything that is folded on this one, each part under the heading that it has there; empty without one."""
    from bs4 import BeautifulSoup

    soup: Any = BeautifulSoup(page, "html.parser")
    folded = [fold for fold in soup.body.find_all("details") if fold.find_parent("details") is None]
    if not folded:
        return ""
    main = soup.new_tag("main")
    if (title := soup.find("h1")) is not None:
        main.append(title.extract())
        title.insert(0, "Appendix: ")
    for fold in folded:
        summary = fold.summary.extract()
        alone = "appendix" in fold.get("class", []) or fold.find_parent("footer") is not None
        above = None if alone else fold.find_previous("h2")
        told = [t.get_text(" ", strip=True).rstrip(".") for t in (above, summary) if t is not None]
        heading = soup.new_tag("h2")
        heading.string = (
            told[0] if len(told) == 1 else f"{told[0]} \N{EN DASH} {told[1][:1].lower()}{told[1][1:]}"
        )
        for inner in fold.find_all("details"):
            inner["open"] = ""
        main.extend([heading, *list(fold.children)])
    soup.body.clear()
    soup.body.append(main)
    return str(soup)


def _printed(page: str, style: str = "") -> bytes:
    weasyprint = require()
    logger = logging.getLogger("weasyprint")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it names every rule of the screen that paper does not know
    try:
        own = weasyprint.URLFetcher(
            allowed_protocols=["data"]
        )  # pictures that stand in the page: no file, no host
        document = weasyprint.HTML(string=page, url_fetcher=own)
        sheets = [weasyprint.CSS(string=style)] if style else []
        return bytes(document.write_pdf(stylesheets=sheets, pdf_variant="pdf/ua-1"))
    finally:
        logger.setLevel(level)
