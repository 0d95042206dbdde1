"""Whatever holds a table, as a pandas frame; what holds none is refused in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from forecasteval.errors import CallError
from forecasteval.tables.columns import told_apart

EXPECTED = "Expected is a table with one row per deal and as-of: deal_id, won and a column per forecaster"
_TAKEN = "a DataFrame of pandas or Polars, a pyarrow table, a DuckDB relation or the path of a Parquet file"


def frame_of(table: Any) -> pd.DataFrame:
    """A table of any library that narwhals knows, with one name for each column and at least one row.

    Raises
    ------
    CallError
        For what is no table, and for a table without columns or rows, or with a name that stands twice; says what was
        found and what is expected.

    Examples
    --------
    >>> frame_of({"deal_id": [1]})
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: This is a dict, not a table. Expected is a table with one row per deal and as-of: \
deal_id, won and a column per forecaster (a DataFrame of pandas or Polars, a pyarrow table, a DuckDB relation or the \
path of a Parquet file).
    """
    frame = table if isinstance(table, pd.DataFrame) else _converted(table)
    if frame.columns.nlevels > 1:
        raise CallError(
            f"The table's columns have {frame.columns.nlevels} levels; one name each is needed. {EXPECTED}."
        )
    if frame.columns.has_duplicates:
        raise _twice(map(str, frame.columns[frame.columns.duplicated()]))
    if not len(frame.columns):
        raise CallError(f"The table is empty: it has no columns. {EXPECTED}.")
    if not len(frame):
        raise CallError(f"The table is empty: it has columns but no rows. {EXPECTED}.")
    frame = frame.copy(deep=False)
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.ArrowDtype):  # as a table of pyarrow would come
            frame[name] = frame[name].array.__arrow_array__().to_pandas().array
    strange = [str(c) for c, kind in frame.dtypes.items() if pd.api.types.is_complex_dtype(kind)]
    if strange:
        raise CallError(f"{', '.join(strange)} holds complex numbers; real numbers are needed. {EXPECTED}.")
    return frame


def cells_of(table: Any) -> pd.DataFrame:
    """An Arrow table, or one of any library that narwhals knows, as text cells, row + 1 as the index.

    Arrow writes the text, which keeps whole numbers whole where some are missing.
    """
    import narwhals as nw
    import pyarrow

    if not isinstance(table, pyarrow.Table):
        frame = frame_of(table).copy(deep=False)
        for name, kind in frame.dtypes.items():
            if pd.api.types.is_object_dtype(kind) and pd.api.types.infer_dtype(frame[name]).startswith(
                "mixed"
            ):  # numbers and words in one column
                frame[name] = frame[name].astype("str").where(frame[name].notna())
        table = nw.from_native(frame).to_arrow()
    columns = {}
    for header, values in zip(told_apart(table.column_names), table.columns, strict=True):
        if re.fullmatch(r"__index_level_\d+__", header):
            continue  # the row labels of a DataFrame
        try:
            columns[header] = values.cast("string").to_pandas()
        except pyarrow.ArrowNotImplementedError:  # lists and the like have no text of their own
            columns[header] = values.to_pandas().astype("str").where(values.is_valid().to_pandas())
    cells = pd.DataFrame(columns, dtype="str")
    cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
    return cells


def _converted(table: Any) -> pd.DataFrame:
    import narwhals as nw
    from narwhals.exceptions import DuplicateError

    try:
        found = nw.from_native(table, pass_through=True)
    except DuplicateError as error:
        raise _twice(re.findall(r"'(.+)' \d+ times", str(error))) from None
    if isinstance(found, nw.LazyFrame):
        found = found.collect()
    if not isinstance(found, nw.DataFrame):
        raise CallError(f"This is {_named(table)}, not a table. {EXPECTED} ({_TAKEN}).")
    return found.to_pandas()


def _twice(names: Iterable[str]) -> CallError:
    named = ", ".join(dict.fromkeys(names))
    return CallError(f"There is more than one column named {named}; rename or drop the others. {EXPECTED}.")


def _named(thing: Any) -> str:
    """What something is, with its article."""
    if thing is None:
        return "None"
    name = type(thing).__name__
    name = {"ndarray": "array", "str": "text"}.get(name, name)
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
