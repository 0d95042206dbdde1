"""The states that an engine finds by a range join are those that memory finds, row by row."""

from decimal import Decimal
from pathlib import Path

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from postgres import running

import forecasteval as fe
from forecasteval.errors import CallError, InputError
from forecasteval.sources.history import Records, build, from_snapshots, states
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings

CONNECTION = duckdb.connect()
NIGHT = pd.Timestamp("2026-03-28 23:00")  # in Berlin a day ends, and the next has 23 hours
DAYS = [f"2026-03-{d}" for d in (26, 27, 28, 29, 30, 31)]  # the first before everything, the last after it
BERLIN = Settings(timezone="Europe/Berlin")
EARLY = Settings(timezone="America/New_York", cut_off_hour=17.5)
SHOWN = [
    "deal_id",
    "as_of",
    "rep",
    "stage",
    "amount",
    "close_on",
    "status",
    "values_state",
    "rep_state",
    "state",
]

# around the end of a day: at it, a microsecond or a part of a second before it, and at one moment with another
when = st.sampled_from([-86400, -1, -0.6, -0.5, -0.000001, 0, 0.000001, 0.5, 3600, 82800, 86400, 169200]).map(
    lambda seconds: NIGHT + pd.Timedelta(seconds=seconds)
)
deal = st.sampled_from(["D1", "D2", "D3", "D4", "D5"])
amount = st.none() | st.integers(1, 3).map(float)
full_rows = st.tuples(deal, when, st.sampled_from(["Talk", "Won", "Lost"]), amount, st.none() | when)
owners = st.tuples(deal, when, st.sampled_from(["r1", "r2"]), st.sampled_from(["r1", "r2"]))


def history_of(full, changes, created):
    """Versions as an import builds them; an end after the last values is where a deal was deleted."""
    told = pd.DataFrame(full, columns=["deal_id", "at", "stage", "amount", "ends"])
    told = told.astype({"deal_id": "str", "stage": "str", "amount": float})
    told = told.astype({"at": "datetime64[us]", "ends": "datetime64[us]"})
    moved = pd.DataFrame(changes, columns=["deal_id", "at", "old", "new"]).assign(field="rep")
    moved = moved.astype({"deal_id": "str", "at": "datetime64[us]"})
    today = pd.DataFrame(created, columns=["deal_id", "created_at"]).assign(
        rep="r2", stage="Talk", amount=2.0, close_on=pd.Timestamp("2026-04-30"), is_deleted=False
    )
    today = today.astype({"deal_id": "str", "created_at": "datetime64[us]", "close_on": "datetime64[s]"})
    order = {"by": ["deal_id", "at"], "kind": "stable"}
    records = Records(today, told.sort_values(**order), moved.sort_values(**order))
    return build(records, {"Talk": "open", "Won": "won", "Lost": "lost"})


def plain(history):
    """Versions as they lie in a warehouse: words instead of codes."""
    words = {c: "str" for c, kind in history.dtypes.items() if isinstance(kind, pd.CategoricalDtype)}
    return history.astype(words)


def on_duckdb(versions):
    return CONNECTION.from_df(versions)


def on_polars(versions):
    return pytest.importorskip("polars").from_pandas(versions).lazy()


def rows(table):
    """Rows of a result in an order of their own, times as text."""
    table = nw.from_native(table).lazy().collect("pandas").to_native()
    table = table[SHOWN].assign(
        as_of=pd.to_datetime(table["as_of"]).dt.strftime("%Y-%m-%d"),
        close_on=pd.to_datetime(table["close_on"]).dt.strftime("%Y-%m-%d"),
    )
    table = table.astype(object).where(table.notna(), None)
    return sorted(map(tuple, table.to_numpy()), key=str)


def in_memory(history, settings_, *, open_only=False):
    return rows(states(history, DAYS, settings_, open_only))


def asked(versions, settings_, **options):
    zone = {"timezone": settings_.timezone, "cut_off_hour": settings_.cut_off_hour}
    return rows(fe.states(versions, DAYS, **zone, **options))


@pytest.mark.parametrize("engine", [on_duckdb, on_polars])
@settings(max_examples=10)
@given(
    st.lists(full_rows, max_size=20),
    st.lists(owners, max_size=9),
    st.dictionaries(deal, when, max_size=5),
    st.sampled_from([BERLIN, EARLY]),
    st.booleans(),
)
@example([("D1", NIGHT, "Talk", 1.0, None), ("D1", NIGHT, "Won", 2.0, None)], [], {}, BERLIN, False)
@example([("D1", NIGHT, "Talk", 1.0, NIGHT + pd.Timedelta(days=1))], [], {}, BERLIN, False)
@example([], [], {"D1": NIGHT}, BERLIN, True)
@example([], [], {}, BERLIN, False)
def test_an_engine_gives_what_memory_gives(engine, full, changes, created, zone, open_only):
    history = history_of(full, changes, list(created.items()))
    expected = in_memory(history, zone, open_only=open_only)
    assert asked(engine(plain(history)), zone, open_only=open_only) == expected


@settings(max_examples=8)
@given(
    st.dictionaries(
        st.tuples(deal, st.sampled_from(DAYS[1:5])),
        st.tuples(
            amount, st.sampled_from(["open", "won", "lost"]), st.sampled_from([None, "known", "carried"])
        ),
        max_size=20,
    ),
    st.integers(1, 3),
)
def test_dated_copies_grow_old_as_in_memory(copies, days):
    told = [(d, pd.Timestamp(at), *values) for (d, at), values in copies.items()]
    table = pd.DataFrame(told, columns=["deal_id", "as_of", "amount", "status", "state"])
    table = table.astype({"deal_id": "str", "as_of": "datetime64[s]", "status": "str", "state": "str"})
    _, history = from_snapshots(table, Settings(timezone="Europe/Berlin", snapshot_max_age_days=days))
    assert asked(on_duckdb(plain(history)), BERLIN) == in_memory(history, BERLIN)


@pytest.fixture(scope="module")
def demo():
    return fe.read(Path(__file__).parents[2] / "data" / "demo")


def coded(versions):
    return versions.astype({"deal_id": "category", "stage": "category", "rep_state": "category"})


def in_arrow(versions):
    return pyarrow.Table.from_pandas(versions, preserve_index=False)


def polars_in_memory(versions):
    return on_polars(versions).collect()


@pytest.mark.parametrize("engine", [coded, in_arrow, polars_in_memory, on_duckdb, on_polars])
def test_the_demo_has_the_same_states_everywhere(demo, engine):
    days = pd.date_range("2024-01-31", periods=3, freq="240D")
    expected = rows(states(demo.history, days, demo.settings))
    versions = engine(plain(demo.history))
    zone = {"timezone": demo.settings.timezone, "cut_off_hour": demo.settings.cut_off_hour}
    found = rows(fe.states(versions, days, **zone))
    assert found == expected
    assert {row[-1] for row in found} > {"known"}


def small():
    """Two deals of which one was deleted, with ties; the states are counted by hand below."""
    stamps = {"valid_from": ["2026-03-01 10:00:00.25", "2026-03-01 10:00:00.25", "2026-03-02"]}
    stamps["valid_to"] = ["2026-03-01 10:00:00.25", "2026-03-03 23:00", None]
    table = pd.DataFrame({"deal_id": ["D1", "D1", "D2"], "amount": [1.0, 2.0, 3.0]})
    return table.assign(**{n: pd.to_datetime(pd.Series(t), format="ISO8601") for n, t in stamps.items()})


def amounts(found):
    return sorted((str(as_of), deal_id, value) for as_of, deal_id, value in found)


def of_relation(versions, moments, **options):
    return amounts(fe.states(versions, moments, **options).select("as_of", "deal_id", "amount").fetchall())


def test_of_two_versions_at_one_instant_the_last_holds_and_a_deleted_deal_is_gone():
    days = ["2026-02-28", "2026-03-01", "2026-03-03"]
    expected = [("2026-03-01", "D1", 2.0), ("2026-03-03", "D2", 3.0)]
    assert of_relation(on_duckdb(small()), days) == expected
    # the end of the day in Berlin is the moment at which the deal was deleted: that belongs to the next day
    berlin = of_relation(on_duckdb(small()), days, timezone="Europe/Berlin")
    assert berlin == [("2026-03-01", "D1", 2.0), ("2026-03-03", "D1", 2.0), ("2026-03-03", "D2", 3.0)]


def test_a_moment_with_a_zone_is_that_instant():
    at = "2026-03-01 11:00:00.25+01:00"
    assert of_relation(on_duckdb(small()), at) == [("2026-03-01 10:00:00.250000", "D1", 2.0)]
    just_before = pd.Timestamp(at) - pd.Timedelta(microseconds=1)
    assert of_relation(on_duckdb(small()), [just_before]) == []


def test_versions_may_carry_a_zone_or_be_days():
    zoned = small().assign(**{n: small()[n].dt.tz_localize("UTC") for n in ("valid_from", "valid_to")})
    days = ["2026-03-01", "2026-03-03"]
    assert of_relation(on_duckdb(zoned), days) == of_relation(on_duckdb(small()), days)
    dated = duckdb.sql(
        "select 'D1' as deal_id, date '2026-03-02' as valid_from, null::date as valid_to, 4 as amount"
    )
    assert of_relation(dated, days) == [("2026-03-03", "D1", 4)]


def test_a_thousand_days_are_asked_at_once():
    days = pd.date_range("2026-03-01", periods=1000)
    assert fe.states(on_duckdb(small()), days).aggregate("count(*)").fetchall() == [(2 + 999,)]


def on_a_far_session(versions):
    """DuckDB whose session lives in a zone of its own."""
    connection = duckdb.connect()
    connection.sql("set timezone = 'America/New_York'")
    return connection.from_arrow(in_arrow(versions))


def as_objects(versions):
    return versions.astype(object)


EVERYWHERE = [as_objects, in_arrow, polars_in_memory, on_polars, on_a_far_session]


def found_in(table):
    """Rows of a small result as text."""
    shown = nw.from_native(table).lazy().collect("pyarrow").to_native().to_pylist()
    return sorted((str(r["as_of"]).removesuffix(" 00:00:00"), r["deal_id"], r["state"]) for r in shown)


def to_berlin(stamps):
    return stamps.dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")


def in_ns(stamps):
    return (stamps + pd.Timedelta(microseconds=250_000)).astype("datetime64[ns]") - pd.Timedelta("1ns")


STAMPS = {
    "zone": lambda t: t.assign(valid_from=to_berlin(t["valid_from"]), valid_to=to_berlin(t["valid_to"])),
    "two zones": lambda t: t.assign(
        valid_from=t["valid_from"].dt.tz_localize("UTC"), valid_to=to_berlin(t["valid_to"])
    ),
    "nanoseconds": lambda t: t.assign(valid_from=in_ns(t["valid_from"])),
    "nanoseconds in a zone": lambda t: t.assign(
        valid_from=to_berlin(in_ns(t["valid_from"])),
        valid_to=to_berlin(t["valid_to"].astype("datetime64[ns]")),
    ),
    "the end of time": lambda t: t.assign(
        valid_to=t["valid_to"].astype("datetime64[us]").fillna(pd.Timestamp("9999-12-31"))
    ),
    "seconds": lambda t: t.assign(valid_to=t["valid_to"].astype("datetime64[s]")),
}


@pytest.mark.parametrize("engine", EVERYWHERE)
@pytest.mark.parametrize("kind", STAMPS)
def test_stamps_of_any_kind_are_compared_to_the_microsecond(engine, kind):
    """A nanosecond before 10:00:00.5 lies in the microsecond before it."""
    versions = engine(STAMPS[kind](small()))
    edges = ["2026-03-01 10:00:00.499998Z", "2026-03-01 10:00:00.499999Z", "2026-03-03T00:00:00+01:00"]
    late = "nano" in kind
    expected = [("2026-03-01 10:00:00.499998", "D1", "known")][late:]
    expected += [("2026-03-01 10:00:00.499999", "D1", "known")]
    expected += [("2026-03-02 23:00:00", d, "known") for d in ("D1", "D2")]
    assert found_in(fe.states(versions, edges)) == expected


@pytest.mark.parametrize("engine", EVERYWHERE)
def test_words_are_read_in_any_case_and_others_are_unknown(engine):
    words = {"values_state": ["x", "Known", "CARRIED"], "rep_state": ["known", "KNOWN", "known"]}
    told = small().assign(**words, status=["open", "open", "Won"], moment="m", place="p")
    found = fe.states(engine(told), "2026-03-03", timezone="Europe/Berlin")
    assert found_in(found) == [("2026-03-03", "D1", "known"), ("2026-03-03", "D2", "carried")]
    assert {"moment", "place"} <= set(nw.from_native(found).collect_schema().names())
    left = fe.states(engine(told), "2026-03-03", timezone="Europe/Berlin", open_only=True)
    assert found_in(left) == [("2026-03-03", "D1", "known")]
    assert {s for *_, s in found_in(fe.states(engine(told.assign(rep_state="?")), "2026-03-03"))} == {
        "unknown"
    }
    empty = told.assign(values_state=None, status=None, valid_to=None)
    found = found_in(fe.states(engine(empty), "2026-03-03", open_only=True))
    assert found == [("2026-03-03", d, "unknown") for d in ("D1", "D1", "D2")]
    with pytest.raises(
        CallError, match=r"rep_state holds Int64, not words.*\n.*status holds Int64, not words"
    ):
        fe.states(engine(told.assign(status=1, rep_state=2)), "2026-03-03", open_only=True)
    with pytest.raises(CallError, match="State is a column of the result; rename it"):
        fe.states(engine(told.assign(State="Texas")), "2026-03-03")


def test_a_frame_keeps_its_types_and_the_order_of_its_rows():
    table = (
        small()
        .iloc[::-1]
        .assign(
            code=pd.Categorical(["b", "a", "b"]),
            n=pd.array([1, None, 2], dtype="Int64"),
            price=[Decimal("1.10"), None, Decimal("2.20")],
            seen=to_berlin(small()["valid_from"]),
        )
    )
    table[7] = [True, None, False]  # a name that is no word
    found = fe.states(table, ["2026-03-02", "2026-03-01"])
    assert list(zip(found["as_of"].dt.day, found["deal_id"], strict=True)) == [
        (1, "D1"),
        (2, "D2"),
        (2, "D1"),
    ]
    assert found.index.tolist() == [0, 1, 2]
    kept = ["deal_id", "code", "n", "price", "seen", 7]
    assert found[kept].dtypes.equals(table[kept].dtypes)
    dates = as_objects(small()).assign(valid_from=[pd.Timestamp("2026-03-02").date()] * 3, valid_to=None)
    assert len(fe.states(dates, ["2026-03-01", "2026-03-02"])) == 3
    offsets = [pd.Timestamp(f"2026-03-0{d} 10:00+0{d}:00").to_pydatetime() for d in (1, 2, 3)]
    zoned = dates.assign(valid_from=pd.Series(offsets, dtype=object))
    assert fe.states(zoned, "2026-03-02 09:00Z")["deal_id"].tolist() == ["D1", "D1"]
    with pytest.raises(CallError, match="deal_id"):
        fe.states(pd.concat([small(), small()], axis=1), "2026-03-01")


def test_an_empty_state_is_unknown_in_memory_too():
    told = {"deal_id": ["D1", "D2"], "valid_from": pd.Timestamp("2026-03-01"), "status": "open"}
    history = canonical(
        "history", pd.DataFrame({**told, "values_state": ["known", None], "rep_state": "known"})
    )
    assert states(history, ["2026-03-02"], BERLIN)["state"].tolist() == ["known", "unknown"]


def test_a_real_postgresql_gives_the_same_in_the_zone_of_its_session():
    ibis, psycopg = pytest.importorskip("ibis"), pytest.importorskip("psycopg")
    told = small().assign(values_state=["known", None, "carried"], status=["open", "open", "lost"])
    days = ["2026-02-28", "2026-03-01", "2026-03-03"]
    with running() as (place, port):
        with psycopg.connect(f"host={place} port={port} user=owner dbname=postgres") as base:
            base.execute("alter database postgres set timezone to 'America/New_York'")
            for name, kind in (("plain", "timestamp"), ("zoned", "timestamptz")):
                base.execute(
                    f"create table {name} (deal_id text, amount float, valid_from {kind}, valid_to {kind}, "
                    "values_state text, status text)"
                )
                for row in told[["deal_id", "amount", *told.columns[2:]]].to_numpy():
                    cells = [
                        None if pd.isna(c) else f"{c}Z" if isinstance(c, pd.Timestamp) else c for c in row
                    ]
                    base.execute(f"insert into {name} values (%s, %s, %s, %s, %s, %s)", cells)
        there = ibis.postgres.connect(host=str(place), port=port, user="owner", database="postgres")
        at = "2026-03-01 11:00:00.25+01:00"
        for name, moments, options in (
            ("plain", days, {"timezone": "Europe/Berlin"}),
            ("plain", at, {"open_only": True}),
            ("zoned", [*days, "2026-03-02"], {"open_only": True}),
            ("zoned", at, {}),
        ):
            found = found_in(fe.states(there.table(name), moments, **options))
            assert found == found_in(fe.states(on_duckdb(told), moments, **options))
        there.disconnect()


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
def test_spark_gives_the_same_in_any_zone_of_its_session(spark, zone, kind):
    spark = spark.newSession()  # the others' zone stays as it is
    spark.conf.set("spark.sql.session.timeZone", zone)
    told = small()
    mark = "Z" if kind == "timestamp" else ""
    text = [(*r[:2], *(None if pd.isna(t) else f"{t}{mark}" for t in r[2:])) for r in told.to_numpy()]
    table = spark.createDataFrame(text, "deal_id string, amount double, valid_from string, valid_to string")
    table = table.selectExpr(
        "deal_id", "amount", *(f"cast({n} as {kind}) as {n}" for n in ("valid_from", "valid_to"))
    )
    days = ["2026-02-28", "2026-03-01", "2026-03-03"]
    found = fe.states(table, days, timezone="Europe/Berlin").select("as_of", "deal_id", "amount").collect()
    assert amounts(found) == of_relation(on_duckdb(told), days, timezone="Europe/Berlin")
    at = "2026-03-01 11:00:00.25+01:00"
    found = fe.states(table, at).select("as_of", "deal_id", "amount").collect()
    assert amounts(found) == of_relation(on_duckdb(told), at)


@pytest.mark.parametrize(
    ("change", "moments", "said"),
    [
        (lambda t: t.drop(columns="valid_to"), "2026-03-01", "no column valid_to"),
        (
            lambda t: t.assign(valid_from="2026"),
            "2026-03-01",
            "valid_from holds String, not dates or moments",
        ),
        (lambda t: t.assign(state="x"), "2026-03-01", "state is a column of the result; rename it"),
        (lambda t: t, "2026-03-01 10:00", "2026-03-01 10:00:00: expected are days"),
        (lambda t: t, ["2026-03-01", "2026-03-01 10:00+01:00"], "all carry a time zone"),
        (lambda t: t, [], "moments is empty"),
        *(
            (lambda t: t, m, "neither a day nor a moment")
            for m in ("spring", "2026-03", 20260301, "03/04/2026", pd.Period("2026-03"), "2026-02-30")
        ),
        (lambda t: t, "9999-12-31", "expected are years from 1700 to 2200"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(change, moments, said):
    with pytest.raises(CallError, match=said):
        fe.states(on_duckdb(change(small())), moments)


def test_what_is_no_table_or_zone_is_refused_in_words():
    with pytest.raises(CallError, match="This is a dict, not a table of versions"):
        fe.states({}, "2026-03-01")
    with pytest.raises(InputError, match=r"timezone: found 'Berlin'.*Did you mean Europe/Berlin"):
        fe.states(on_duckdb(small()), "2026-03-01", timezone="Berlin")
    with pytest.raises(InputError, match="timezone: found ''"):
        fe.states(on_duckdb(small()), "2026-03-01", timezone=None)
    with pytest.raises(CallError, match="no column status"):
        fe.states(on_duckdb(small()), "2026-03-01", open_only=True)
    said = small().assign(values_state=["known", None, "carried"], rep_state="known")
    found = fe.states(on_duckdb(said), "2026-03-03", timezone="Europe/Berlin")
    assert sorted(found.select("deal_id", "state").fetchall()) == [("D1", "unknown"), ("D2", "carried")]
