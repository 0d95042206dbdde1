"""Text blocks that show themselves in a notebook: paragraphs, lists, terms, tables; everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any


@dataclass(frozen=True)
class Html:
    """Text that shows itself in a notebook; everything that came from data is escaped before."""

    html: str
    text: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def card(state: str, badge: str, said: str, lines: Sequence[str]) -> Html:
    """The card that answers a page's question: a badge in the state's colour, one sentence, and what belongs to it."""
    lines = [line for line in lines if line]
    html = (
        f'<div class="verdict-card {state}"><p class="badge"><strong>{escape(badge)}</strong></p>'
        f'<p class="headline"><strong>{escape(said)}</strong></p>'
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + "</div>"
    )
    return Html(html, "\n".join([badge, said, *lines]))


def paragraphs(lines: Sequence[str], css: str = "") -> Html:
    """Lines as paragraphs."""
    attribute = f' class="{css}"' if css else ""
    return Html("".join(f"<p{attribute}>{escape(line)}</p>" for line in lines), "\n".join(lines))


def bullets(lines: Sequence[str], css: str) -> Html:
    """Lines as a list."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return Html(f'<ul class="{css}">{items}</ul>', "\n".join(f"- {line}" for line in lines))


def terms(entries: Sequence[tuple[str, str]], css: str) -> Html:
    """Terms and what is said of each."""
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(said)}</dd>" for term, said in entries)
    return Html(f'<dl class="{css}">{items}</dl>', "\n".join(f"{term}: {said}" for term, said in entries))


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
