"""A PostgreSQL server of Debian's package for as long as a test needs it."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def running():
    """The folder and the port of a server of one's own, whose owner is `owner`."""
    places = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found = shutil.which("initdb")
    programs = Path(found).parent if found else max(places, default=None)
    if programs is None:
        if os.environ.get("FORECASTEVAL_NEED_POSTGRESQL"):
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("PostgreSQL is not installed")
    user = {"user": "postgres"} if os.geteuid() == 0 else {}  # the server refuses to run as root
    place = Path(tempfile.mkdtemp())
    if user:
        shutil.chown(place, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *words):
        subprocess.run([programs / program, *words], check=True, cwd=place, stdout=subprocess.DEVNULL, **user)

    owner = ("-U", "owner", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
    run("initdb", "-D", place / "data", *owner)
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off"
    run("pg_ctl", "-D", place / "data", "-l", place / "log", "-w", "-o", options, "start")
    try:
        yield place, port
    finally:
        run("pg_ctl", "-D", place / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(place)


def loaded(base, name, table):
    """Write a matched table into a table of a schema of its own."""
    kinds = {"won": "integer", "as_of": "timestamp"}
    numbers = {c for c in table if table[c].dtype == float}
    columns = ", ".join(f"{c} {kinds.get(c, 'double precision' if c in numbers else 'text')}" for c in table)
    base.execute(f"create schema {name.partition('.')[0]}")
    base.execute(f"create table {name} ({columns})")
    with base.cursor().copy(f"copy {name} from stdin with (format csv)") as copy:
        copy.write(table.to_csv(index=False, header=False))
