"""How results leave a notebook: as an output of a type of its own, which survives in the executed file.

:func:`publish` is called in the last cell of a notebook; the report collects it from the executed notebook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from forecasteval.report._harvest import MIME

if TYPE_CHECKING:
    import pandas as pd

    from forecasteval.report.answer import Answer

# marks that turn round all text after them, until another ends it: no name in any script needs them
TURNS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class _Published:
    """Results and tables as a notebook displays them: one line for a reader, everything for the report."""

    results: dict[str, Any]
    tables: dict[str, str]

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {MIME: {k: v for k, v in vars(self).items() if v}, "text/plain": repr(self)}

    def __repr__(self) -> str:
        """What is published, in one line."""
        tables = ", ".join(self.tables) or "none"
        return f"Published for results.json: {', '.join(self.results) or 'nothing'}; tables: {tables}"


def publish(
    results: Answer | Mapping[str, Any] | None = None, tables: Mapping[str, pd.DataFrame] | None = None
) -> _Published:
    """Hand an answer, or results and tables, to the report: as the last value of a cell they become its files.

    Parameters
    ----------
    results : a study's answer, which brings its own tables; or what goes into ``results.json``, in this order: numbers
        are kept to 12 digits, what is not finite becomes null, dates become ISO text
    tables : name to table; each becomes ``tables/<name>.csv``

    Returns
    -------
    _Published
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
    return _Published(plain(dict(results or {})), {str(k): csv_text(t) for k, t in (tables or {}).items()})


def csv_text(table: pd.DataFrame) -> str:
    r"""A table as CSV that a spreadsheet opens without running anything; an index is written if it has a name.

    Text that starts like a formula gets an apostrophe in front; numbers stay.

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
    """Text that no spreadsheet takes for a formula."""
    if text.startswith(_FORMULA_STARTS) and not _NUMBER.fullmatch(text):
        text = f"'{text}"
    return text.replace("\r\n", "\n").replace("\r", "\n")  # a lone \r is a new row to some readers
