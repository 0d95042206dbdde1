"""Tables that lie in DuckDB files and in a PostgreSQL server: a real one, started here."""

import duckdb
import psycopg
import pytest
from postgres import running

from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table, read_flat
from forecasteval.tables.reading import read_sheet

ROWS = """select 'D' || i as deal_id, date '2026-01-31' as as_of, case when i % 3 = 0 then 'Won' else 'Lost' end as status,
cast(i as decimal(9, 2)) / 100 as chance, timestamptz '2026-01-31 23:30:00+02' as seen, cast(null as integer) as gap"""
MAPPING = {
    "deal_id": "deal_id", "as_of": "as_of", "won": {"column": "status", "won": ["Won"], "lost": ["Lost"]},
    "forecasts": {"model": "chance"},
}  # fmt: skip


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "crm.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"create table deals as {ROWS} from range(60) t(i)")
        connection.execute("create schema raw")
        connection.execute("create table raw.deals as select 1 as id")
        connection.execute("create view passwords as select * from read_csv('/etc/passwd')")
    return path


def test_a_table_of_a_duckdb_file_is_read_as_the_same_csv_is(base, tmp_path):
    with duckdb.connect(str(base)) as connection:
        connection.execute(f"copy deals to '{tmp_path / 'deals.csv'}' (header)")
    found, notes = read_flat(base, "deals")
    assert notes == ["crm.duckdb: the table deals was read."]
    assert found.cells.loc[2, "deal_id"] == "D0"
    assert str(found.moments("seen").iloc[0]) == "2026-01-31 21:30:00"
    from_base, from_csv = (
        import_table(*source)
        for source in ((base, MAPPING | {"table": "main.deals"}), (tmp_path / "deals.csv", MAPPING))
    )
    assert from_base.equals(from_csv)
    assert len(from_base) == 60


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "found 3 tables: deals, passwords, raw.deals; expected the name of one"),
        ("deal", "found no table 'deal'; expected one of deals, passwords, raw.deals. Did you mean deals?"),
        ("passwords", "found a DuckDB file that cannot be read"),  # nothing outside the file is opened
    ],
)
def test_what_cannot_be_read_from_a_duckdb_file_is_said(base, table, words):
    sheet, _ = read_sheet(base, base.name, table=table)
    assert words in str(sheet.problems[0])


def test_a_file_that_is_cut_is_refused(base, tmp_path):
    (tmp_path / "cut.duckdb").write_bytes(base.read_bytes()[:5000])
    sheet, _ = read_sheet(tmp_path / "cut.duckdb", "cut.duckdb")
    assert "found a DuckDB file that cannot be read" in str(sheet.problems[0])


# --- PostgreSQL --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    """The address of a database, with a password for its reader."""
    with running() as (place, port):
        with psycopg.connect(f"host={place} port={port} user=owner dbname=postgres") as connection:
            connection.execute(f"create table deals as {ROWS} from generate_series(59, 0, -1) t(i)")
            connection.execute("create type stage as enum ('Open', 'Closed')")
            connection.execute(
                "create view staged as select deal_id, 'Open'::stage as stage, 'a,\"b' as odd from deals"
            )
            connection.execute("create table secret as select 1 as id")
            connection.execute(
                "create function spoil() returns int language sql as 'delete from deals; select 1'"
            )
            connection.execute("create view spoiling as select spoil() as one")
            connection.execute("create role reader login password 'p4ss'")
            connection.execute("grant all on deals, staged, spoiling to reader")
        yield f"postgresql://reader@127.0.0.1:{port}/postgres"


@pytest.fixture
def password(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "p4ss")


def test_a_table_of_a_warehouse_is_read_as_that_of_a_file_is(server, base, password):
    found = import_table(server, MAPPING, "deals")
    assert len(found) == 60
    from_file = import_table(base, MAPPING, "deals").sort_values("deal_id", ignore_index=True)
    assert found.equals(from_file)
    sheet, notes = read_flat(server, "public.deals")
    assert str(sheet.moments("seen").iloc[0]) == "2026-01-31 21:30:00"
    assert "reader" not in notes[0]
    staged, _ = read_flat(server, "staged")
    assert staged.cells.loc[2].tolist() == ["D0", "Open", 'a,"b']


def test_the_password_comes_from_the_environment_or_its_file_and_never_from_the_address(
    server, monkeypatch, tmp_path
):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    sheet, _ = read_flat(server, "deals")
    assert "found no answer that can be used" in str(sheet.problems[0])
    (tmp_path / "pgpass").write_text("127.0.0.1:*:*:reader:p4ss\n")
    (tmp_path / "pgpass").chmod(0o600)
    assert len(read_flat(server, "deals")[0].cells) == 60
    for address in (server.replace("reader@", "reader:p4ss@"), f"{server}?password=p4ss"):
        said = str(read_flat(address, "deals")[0].problems[0])
        assert "found a password in the address" in said
        assert "p4ss" not in said


def test_nothing_can_be_written_and_what_may_not_be_read_is_not_offered(server, password):
    sheet, _ = read_flat(server)
    assert "found 3 tables: deals, spoiling, staged; expected the name of one" in str(sheet.problems[0])
    sheet, _ = read_flat(server, "spoiling")
    assert "read-only transaction" in str(sheet.problems[0])
    assert len(read_flat(server, "deals")[0].cells) == 60
    with pytest.raises(InputError, match="no answer that can be used"):
        import_table("postgresql://reader@127.0.0.1:1/postgres", MAPPING, "deals")
