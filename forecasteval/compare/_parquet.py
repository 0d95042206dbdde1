"""A matched table in a Parquet file, read in little memory: only the columns that a comparison touches."""

from __future__ import annotations

import json
from collections.abc import Iterable
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import CallError

BATCH = 1 << 19  # rows whose texts are in memory at once


def _open(file: str | PathLike[str]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except FileNotFoundError as error:
        raise CallError(f"There is no file {file}.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise CallError(
            f"{file} cannot be read as Parquet ({error}). Other tables come in with `forecasteval import table`."
        ) from error


def columns_of(file: str | PathLike[str]) -> list[str]:
    """Names of the columns of a Parquet file.

    Raises
    ------
    CallError
        Where the file is not there, or is not Parquet; says what was found.
    """
    return list(_open(file).schema_arrow.names)


def matched_rows(file: str | PathLike[str], columns: Iterable[str]) -> pd.DataFrame:
    """The columns of a matched table that a comparison touches.

    Texts that repeat (rep, period, account) come as categories. Deals, of which there may be as many as rows, come
    as 64-bit hashes of their ids; where none repeats, `as_of` is not needed and left in the file. So some 40 bytes a
    row are kept for one metric without amounts, whatever the file holds besides.

    Parameters
    ----------
    file : path of a Parquet file
    columns : names that are wanted, where they are there

    Returns
    -------
    DataFrame; its `attrs` are those the table was written with

    Raises
    ------
    CallError
        Where the file is not there, is not Parquet, or leaves ids empty; says what was found.
    """
    import pyarrow as pa

    parquet = _open(file)
    schema, rows = parquet.schema_arrow, parquet.metadata.num_rows
    wanted = [c for c in dict.fromkeys(columns) if c in schema.names and c != "as_of"]
    read: dict[str, Any] = {}
    labels: dict[str, dict[Any, int]] = {}
    for column in wanted:
        kind = schema.field(column).type
        if column == "deal_id":
            read[column] = np.empty(rows, dtype=np.uint64)
        elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            read[column] = np.empty(rows)
        else:
            read[column], labels[column] = np.empty(rows, dtype=np.int32), {}
    gaps, at = [], 0
    for batch in parquet.iter_batches(batch_size=BATCH, columns=wanted):
        here = slice(at, at + batch.num_rows)
        for column in wanted:
            values = batch.column(column)
            if column == "deal_id":
                read[column][here] = _hashed(values)
                gaps += (at + np.flatnonzero(values.is_null())).tolist()
            elif column in labels:
                read[column][here] = _coded(values, labels[column])
            else:
                read[column][here] = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
        at = here.stop
    if gaps:
        raise CallError(
            f"deal_id is empty in {len(gaps):,} rows, the first is row {gaps[0] + 1}. Every row needs the deal it is "
            "about."
        )
    found: dict[str, Any] = {
        c: pd.Categorical.from_codes(v, categories=list(labels[c])) if c in labels else v  # type: ignore[call-overload]
        for c, v in read.items()
    }
    several = "deal_id" not in read or not all_differ(read["deal_id"]) or "closed_on" in read
    if several and "as_of" in columns and "as_of" in schema.names:
        found["as_of"] = parquet.read(columns=["as_of"]).column(0).to_pandas()
    told = (schema.metadata or {}).get(b"PANDAS_ATTRS")
    pa.default_memory_pool().release_unused()
    table = pd.DataFrame(found, copy=False)
    table.attrs = json.loads(told) if told else {}
    return table


def _hashed(values: Any) -> NDArray[np.uint64]:
    import pyarrow as pa

    if pa.types.is_integer(values.type):
        return np.asarray(values.fill_null(0).to_numpy(zero_copy_only=False)).astype(np.uint64)
    texts = values.to_pandas().astype(str).str.strip()
    return pd.util.hash_array(texts.to_numpy(dtype=object), categorize=False)


def _coded(values: Any, labels: dict[Any, int]) -> NDArray[np.int32]:
    """A code for each label; labels that are new are added. -1 stands for nothing."""
    import pyarrow as pa

    coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    known = [-1 if v is None else labels.setdefault(v, len(labels)) for v in coded.dictionary.to_pylist()]
    return np.array([*known, -1], dtype=np.int32)[coded.indices.fill_null(len(known)).to_numpy()]


def all_differ(values: NDArray[Any]) -> bool:
    """Is no number there twice? By sorting: a hash table of ten million numbers takes four times the memory.

    Examples
    --------
    >>> all_differ(np.array([3, 1, 2])), all_differ(np.array([3, 1, 3]))
    (True, False)
    """
    ordered = np.sort(values)
    return not bool((ordered[1:] == ordered[:-1]).any())
