"""How sheets of a workbook lie on paper, and how high their rows are."""

from __future__ import annotations

import textwrap
from typing import Any

_LEGIBLE = 220  # letters of all columns on a page


def row_height(text: str, width: int) -> int:
    """The height of a row in points, of a column's width in letters; LibreOffice does not find it itself.

    >>> row_height("", 20), row_height("three short words, and two more", 20)
    (15, 45)
    """
    return 15 * max(1, len(textwrap.wrap(text, int(0.85 * width))))


def on_paper(sheet: Any, across: int = 0) -> None:
    """A4, the long way; all columns, so many letters wide, on one page where they can still be read there."""
    sheet.set_landscape()
    sheet.set_paper(9)
    if across <= _LEGIBLE:
        sheet.fit_to_pages(1, 0)
