"""Tables of a DuckDB file or a PostgreSQL warehouse as text cells: read, never written to."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import Problem, nearest
from forecasteval.tables.frames import cells_of

_Read = tuple[pd.DataFrame, list[Problem], list[str]]
_SHOWN = 12
_WRITER = "If a program is writing to it, close that; else write the file again."
_OWN_SCHEMA = {"duckdb": "main", "postgresql": "public"}
# tables, parts, views, kept views and foreign tables that this user may read
_POSTGRES_TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') order by 1, 2
"""
_DUCKDB_TABLES = """
select table_schema, table_name from information_schema.tables
where table_schema not in ('information_schema', 'pg_catalog') order by 1, 2
"""


def is_url(source: object) -> bool:
    """Whether this is the address of a PostgreSQL database."""
    return isinstance(source, str) and re.match(r"postgres(ql)?://", source) is not None


def read_duckdb(path: Path, name: str, table: str | None) -> _Read:
    """A table or view of a DuckDB file; what it would read from elsewhere stays closed."""
    import duckdb

    shut: dict[str, Any] = {"enable_external_access": "false", "autoinstall_known_extensions": "false"}
    try:
        with duckdb.connect(str(path), read_only=True, config=shut) as base:
            known = base.execute(_DUCKDB_TABLES).fetchall()
            chosen = _chosen(name, table, known, "duckdb")
            if isinstance(chosen, Problem):
                return pd.DataFrame(), [chosen], []
            found = base.sql(f"select * from {_quoted(chosen)}").to_arrow_table()
    except duckdb.Error as error:
        return _refused(name, f"a DuckDB file that cannot be read ({_first_line(error)})", _WRITER)
    return cells_of(found), [], [f"{name}: the table {chosen[1]} was read."]


def read_postgresql(url: str, table: str | None) -> tuple[str, _Read]:
    """A table or view of a PostgreSQL database in one read-only transaction, and how messages call it.

    The password comes from PGPASSWORD or the password file of PostgreSQL, never from the address.
    """
    name = _without_secrets(url)
    try:
        import psycopg
    except ImportError:
        return name, _missing(name, "PostgreSQL database", "psycopg[binary]")
    try:
        if psycopg.conninfo.conninfo_to_dict(url).get("password") or re.search(r"//[^/@]*:[^/@]*@", url):
            advice = "Take it out and set PGPASSWORD, or keep it in ~/.pgpass."
            return name, _refused(name, "a password in the address", advice)
        with psycopg.connect(url, connect_timeout=10) as base:
            base.read_only = True
            base.execute("set local datestyle to iso")
            base.execute("set local timezone to 'UTC'")
            chosen = _chosen(name, table, base.execute(_POSTGRES_TABLES).fetchall(), "postgresql")
            if isinstance(chosen, Problem):
                return name, (pd.DataFrame(), [chosen], [])
            copied = _copied(base, f"copy (select * from {_quoted(chosen)}) to stdout (format csv, header)")
    except psycopg.Error as error:
        advice = "Check the address, the user, PGPASSWORD and whether the server can be reached."
        return name, _refused(name, f"no answer that can be used ({_first_line(error)})", advice)
    cells = pd.read_csv(copied, dtype=str, keep_default_na=False, na_values=[""])
    # a database has no order of its own: sorted, the same rows give the same answer
    cells = cells.sort_values(list(cells.columns), kind="stable", ignore_index=True)
    cells.index = pd.RangeIndex(2, len(cells) + 2, name="row")
    return chosen[1], (
        cells,
        [],
        [f"{name}: the table {'.'.join(chosen)} was read, {len(cells):,} rows, sorted."],
    )


def _copied(base: Any, statement: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with base.cursor() as cursor, cursor.copy(statement) as rows:
        for part in rows:
            buffer.write(part)
    buffer.seek(0)
    return buffer


def _chosen(
    name: str, wanted: str | None, known: Sequence[tuple[str, str]], kind: str
) -> tuple[str, str] | Problem:
    """The schema and table that are meant: the one named, or the only one there is."""
    own = _OWN_SCHEMA[kind]
    spoken = {f"{schema}.{table}" if schema != own else table: (schema, table) for schema, table in known}
    listed = ", ".join(list(spoken)[:_SHOWN]) + (", ..." if len(spoken) > _SHOWN else "")
    if not spoken:
        return Problem(
            name, None, None, "no table that can be read", "a table", "Ask for the right to read it."
        )
    if wanted is None and len(spoken) == 1:
        return next(iter(spoken.values()))
    if wanted is None:
        advice = f"Name it: --table {next(iter(spoken))} (or table: in the mapping)."
        return Problem(name, None, None, f"{len(spoken)} tables: {listed}", "the name of one", advice)
    plain = wanted.removeprefix(f"{own}.")
    if plain in spoken:
        return spoken[plain]
    advice = f"{nearest(plain, list(spoken))}Name one of them."
    return Problem(name, None, None, f"no table {wanted!r}", f"one of {listed}", advice)


def _quoted(names: Sequence[str]) -> str:
    return ".".join('"' + one.replace('"', '""') + '"' for one in names)


def _without_secrets(url: str) -> str:
    """The address as it may be shown: neither user nor password nor options."""
    return re.sub(r"//[^/]*@", "//", url).split("?")[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _refused(name: str, found: str, advice: str) -> _Read:
    return pd.DataFrame(), [Problem(name, None, None, found, "a table that can be read", advice)], []


def _missing(name: str, what: str, package: str) -> _Read:
    return _refused(
        name, f"a {what}, which needs the package {package}", f"Install it: pip install '{package}'."
    )
