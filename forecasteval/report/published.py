"""How results leave a notebook: as an output of a type of its own, which survives in the executed file.

:func:`publish` is called in the last cells of a notebook; :func:`collect` reads the executed notebook.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd

MIME = "application/vnd.forecasteval+json"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_IMAGES = {"image/png": "png", "image/svg+xml": "svg"}


@dataclass(frozen=True)
class Published:
    """Results and tables as a notebook displays them: one line for a reader, everything for the report."""

    results: dict[str, Any]
    tables: dict[str, str]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        content = {k: v for k, v in (("results", self.results), ("tables", self.tables)) if v}
        return {MIME: content, "text/plain": repr(self)}

    def __repr__(self) -> str:
        """What is published, in one line."""
        tables = ", ".join(self.tables) or "none"
        return f"Published for results.json: {', '.join(self.results) or 'nothing'}; tables: {tables}"


class Answer(Protocol):
    """What a study found: everything that leaves with its report."""

    def results(self) -> Mapping[str, Any]:
        """The content of ``results.json``."""

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Name to table."""


def publish(
    results: Answer | Mapping[str, Any] | None = None, tables: Mapping[str, pd.DataFrame] | None = None
) -> Published:
    """Hand an answer, or results and tables, to the report: as the last value of a cell they become its files.

    Parameters
    ----------
    results : a study's answer, which brings its own tables; or what goes into ``results.json``, in this order; numbers are kept to 12 digits, what is not
        finite becomes null, dates become ISO text
    tables : name to table; each becomes ``tables/<name>.csv``

    Returns
    -------
    Published
        Display it: ``publish(...)`` as the last line of a cell.

    Examples
    --------
    >>> publish({"headline": "model is better", "low": float("nan")}).results
    {'headline': 'model is better', 'low': None}
    """
    from forecasteval.compare.results import plain

    if results is not None and not isinstance(results, Mapping):
        tables = {**results.tables(), **(tables or {})}
        results = results.results()
    return Published(plain(dict(results or {})), {str(k): csv_text(t) for k, t in (tables or {}).items()})


def csv_text(table: pd.DataFrame) -> str:
    r"""A table as CSV that a spreadsheet opens without running anything.

    Text that starts like a formula gets an apostrophe in front; numbers stay. An index is written only if
    it has a name.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"who": ["=1+1", "Ann", "-3"], "n": [-1, 2, 3]}))
    "who,n\n'=1+1,-1\nAnn,2\n-3,3\n"
    """
    named = [name for name in table.index.names if name is not None]
    flat = table.reset_index() if named else table.reset_index(drop=True)
    flat = flat.set_axis([inert(str(name)) for name in flat.columns], axis=1)
    for at, kind in enumerate(flat.dtypes):
        if str(kind) in ("object", "str", "string", "category"):
            flat.isetitem(at, [inert(v) if isinstance(v, str) else v for v in flat.iloc[:, at]])
    return str(flat.to_csv(index=False, lineterminator="\n"))


def inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> inert("=HYPERLINK(1)"), inert("-0.5"), inert("new business")
    ("'=HYPERLINK(1)", '-0.5', 'new business')
    """
    if text.startswith(FORMULA_STARTS) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return text.replace("\r\n", "\n").replace("\r", "\n")  # a lone \r is a new row to some readers


def slug(name: str) -> str:
    """A name as part of a file name: lower case, letters, digits, ``_`` and ``-``.

    Examples
    --------
    >>> slug("Where: EMEA / Großkunden"), slug("../../etc/passwd"), slug("???")
    ('where-emea-grosskunden', 'etc-passwd', 'unnamed')
    """
    words = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFKC", name).casefold()).strip("-_")
    return words[:60].rstrip("-_") or "unnamed"


def free_slug(name: str, taken: set[str]) -> str:
    """A name as :func:`slug` makes it, numbered if it is taken already; it is taken from now on."""
    chosen, n = slug(name), 1
    while chosen in taken:
        n += 1
        chosen = f"{slug(name)}-{n}"
    taken.add(chosen)
    return chosen


@dataclass(frozen=True)
class Figure:
    """One picture of an executed notebook."""

    name: str
    alt: str
    suffix: str
    content: bytes


@dataclass(frozen=True)
class Harvest:
    """What an executed notebook holds for the report's folder."""

    results: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    inputs: dict[str, Any] = field(default_factory=dict)


def _outputs(notebook: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for cell in notebook["cells"]:
        yield from cell.get("outputs", ())


def collect(notebook: Mapping[str, Any]) -> Harvest:
    """Everything that the cells of an executed notebook published, and its pictures.

    Parameters
    ----------
    notebook : an executed notebook, as nbformat or :func:`json.load` gives it

    Returns
    -------
    Harvest
        Names of tables and figures are made safe for file names and unique.
    """
    results: dict[str, Any] = {}
    tables: dict[str, str] = {}
    inputs: dict[str, Any] = {}
    figures: list[Figure] = []
    names: set[str] = set()
    for output in _outputs(notebook):
        data = output.get("data", {})
        if content := data.get(MIME):
            results |= content.get("results", {})
            tables |= content.get("tables", {})
            inputs |= content.get("inputs", {})
        for kind, suffix in _IMAGES.items():
            if kind in data:
                about = output.get("metadata", {}).get(kind, {})
                name = free_slug(about.get("name") or f"figure-{len(figures) + 1}", names)
                figures.append(Figure(name, about.get("alt", ""), suffix, _decoded(data[kind], suffix)))
                break
    taken: set[str] = set()
    return Harvest(results, {free_slug(k, taken): v for k, v in tables.items()}, tuple(figures), inputs)


def _decoded(content: str | list[str], suffix: str) -> bytes:
    text = content if isinstance(content, str) else "".join(content)
    return base64.b64decode(text) if suffix == "png" else text.encode()
