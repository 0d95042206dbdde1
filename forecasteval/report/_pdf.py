"""A report's page as a tagged PDF, by WeasyPrint, which needs Pango from the system."""

from __future__ import annotations

import logging
from typing import Any

from forecasteval.errors import CallError

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


def pdf(page: str) -> bytes:
    """The page as PDF/UA-1: tagged, with a language and a title; nothing is fetched from anywhere."""
    weasyprint = require()
    logger = logging.getLogger("weasyprint")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # it names every rule of the screen that paper does not know
    try:
        own = weasyprint.URLFetcher(
            allowed_protocols=["data"]
        )  # pictures that stand in the page: no file, no host
        return bytes(weasyprint.HTML(string=page, url_fetcher=own).write_pdf(pdf_variant="pdf/ua-1"))
    finally:
        logger.setLevel(level)
