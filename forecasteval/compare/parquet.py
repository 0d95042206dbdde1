"""Parquet files and folders of them, as a relation of DuckDB: nothing is read before something is asked."""

from __future__ import annotations

import json
import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import CallError

_MEMORY = "380MB"  # of DuckDB, so that the whole stays below 600 MB; what does not fit is put on disk


def _files(path: str | PathLike[str]) -> list[Path]:
    there = Path(path)
    return sorted(there.rglob("*.parquet")) if there.is_dir() else [there]


def first_empty(path: str | PathLike[str], column: str) -> str:
    """Where a column is first empty: the row, and the file where there are several."""
    import pyarrow.parquet as pq

    files = _files(path)
    for file in files:
        at = 0
        for batch in pq.ParquetFile(file).iter_batches(columns=[column]):
            values = batch.column(0).to_pandas()
            empty = values.isna() | (values.astype("str").str.strip() == "")
            if empty.any():
                row = at + int(empty.to_numpy().argmax()) + 1
                return f"row {row}" + (f" of {file.name}" if len(files) > 1 else "")
            at += len(values)
    return "not found again"


def relation_of(table: pd.DataFrame) -> Any:
    """A frame in memory as a relation."""
    import duckdb
    import pyarrow as pa

    connection = duckdb.connect()
    return connection.from_arrow(pa.Table.from_pandas(table, preserve_index=False))


def opened(path: str | PathLike[str]) -> tuple[Any, dict[str, Any]]:
    """A file, or all Parquet files of a folder, and what the table was written with in its `attrs`.

    Raises
    ------
    CallError
        Where nothing is there, or what is there is not Parquet; says what was found.
    """
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = _files(path)
    if not files:
        raise CallError(f"The folder {path} holds no Parquet file (*.parquet).")
    told: bytes | None = None
    for file in files:
        try:
            told = told or (pq.read_schema(file).metadata or {}).get(b"PANDAS_ATTRS")
        except FileNotFoundError as error:
            raise CallError(f"There is no file {file}.") from error
        except (pa.ArrowInvalid, OSError) as error:
            raise CallError(
                f"{file} cannot be read as Parquet ({error}). Other tables come in with `forecasteval import table`."
            ) from error
    connection = duckdb.connect()
    spill = Path(tempfile.gettempdir()) / f"forecasteval-{os.getpid()}"  # not the folder that a job runs in
    for option, value in (
        ("enable_progress_bar", "false"),
        ("disabled_optimizers", "statistics_propagation"),  # files' statistics leave NaN out
        ("memory_limit", _MEMORY),
        ("temp_directory", str(spill).replace("'", "''")),
    ):
        connection.execute(f"set {option} = '{value}'")
    relation = connection.read_parquet([str(f) for f in files], union_by_name=True)
    return relation, json.loads(told) if told else {}
