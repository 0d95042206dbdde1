"""Queries for a warehouse that data may not leave: what they give there is what the rows give here."""

import functools
import io
import re

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pytest
from postgres import loaded, running
from test_engines import METRICS as ALL
from test_engines import deals

import forecasteval as fe
from forecasteval.cli import main
from forecasteval.compare import sql
from forecasteval.errors import CallError

pytest.importorskip("sqlglot")
METRICS = [m for m in ALL if m != "brier_skill"]
PAIR = ("model", "rep_forecast")


def asked(**more):
    return sql.Ask(*PAIR, sql.metrics_of(METRICS), **more)


@functools.cache
def queries(table="matched", **more):
    return sql.queries(table, asked(**more), "duckdb")


def answers(table, **more):
    """What DuckDB answers to the two queries about a table."""
    connection = duckdb.connect()
    connection.register("matched", table)
    return [connection.sql(query).df() for query in queries(**more)]


def close(ours, theirs):
    """The same words and verdicts, and numbers to ten digits: products have a grain of their own there."""
    for a, b in zip(ours["comparisons"], theirs["comparisons"], strict=True):
        for name in ("metric", "verdict", "reliable", "rows", "deals", "wins", "filled", "estimand"):
            assert a[name] == b[name], (a["metric"], name)
        for name in ("difference", "low", "high", "se", "df", "p_value", "candidate_low", "baseline_high"):
            assert b[name] == pytest.approx(a[name], rel=1e-9, nan_ok=True), (a["metric"], name)
        assert [r["code"] for r in a["reasons"]] == [r["code"] for r in b["reasons"]]
    assert ours["flow"] == theirs["flow"]


@pytest.mark.parametrize("looks", [1, 3])
def test_the_queries_give_the_comparison_of_the_rows(tmp_path, looks):
    table = deals(looks=looks)
    connection = duckdb.connect()
    connection.register("here", table)
    connection.execute("create schema crm; create table crm.matched as select * from here")
    results = []
    for name, query in zip(("cells", "curve"), queries("crm.matched"), strict=True):
        results.append(tmp_path / f"{name}.csv")
        connection.sql(query).df().to_csv(results[-1], index=False)
    found = fe.compare_cells(*results, metrics=METRICS)
    close(fe.compare(table, *PAIR, metrics=METRICS).to_dict(), found.to_dict())
    without = fe.compare_cells(results[0])
    assert without.table["metric"].tolist() == [
        "brier",
        "log_score",
        "brier_by_amount",
        "bias",
        "bias_by_amount",
    ]


def test_what_systems_compare_differently_is_a_gap_and_names_are_text(tmp_path):
    table = deals(looks=2)
    table.loc[(table.index % 31 == 0) & (table["won"] == 1), "model"] = 1 + 1e-12
    written = table.assign(
        rep=table["rep"].map(
            {f"rep {i}": ["NA", "3.5", "null", "7"][i] if i < 4 else f"r{i}" for i in range(12)}
        )
    )
    connection = duckdb.connect()
    columns = ", ".join(
        f"coalesce({c}, 'nan'::double) as {c}" if c in (*PAIR, "amount") else c
        for c in written
        if c != "region"
    )
    connection.register("here", written)
    connection.execute(f"create table matched as select {columns} from here")
    results = []
    for name, query in zip(("cells", "curve"), queries(), strict=True):
        results.append(tmp_path / f"{name}.csv")
        connection.sql(query).df().to_csv(results[-1], index=False)
    found = fe.compare_cells(*results, metrics=METRICS)
    close(fe.compare(written, *PAIR, metrics=METRICS).to_dict(), found.to_dict())


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("rep", None, "rep is empty in 1 rows"),
        ("period", " ", "period is empty in 1 rows"),
        ("deal_id", None, "deal_id is empty in 1 rows"),
        ("as_of", pd.NaT, "as_of is empty in 1 rows.* Deals that are seen several times need the moment"),
        ("rep", "REP 3", "13 ids in rep are read as 12.* in one way in a view"),
        ("amount", 2e15, "amount holds 1 values that are no amounts of money"),
        ("amount", -np.inf, "amount holds 1 values that are no amounts of money"),
    ],
)
def test_what_memory_refuses_is_refused_of_sums(column, value, said):
    table = deals(looks=2)
    table[column] = table[column].where(table.index != 5, value)
    with pytest.raises(CallError, match=said):
        fe.compare_cells(*answers(table))
    if "view" not in said:
        with pytest.raises(CallError, match=said):
            fe.compare(table, *PAIR, metrics=METRICS)


def test_a_baseline_that_never_speaks_and_a_booking_of_what_was_lost_are_said():
    table = deals()
    with pytest.raises(
        CallError, match="rep_forecast is silent on all 400 rows: there is nothing to compare"
    ):
        fe.compare_cells(*answers(table.assign(rep_forecast=np.nan)))
    cells, _ = answers(table)
    with pytest.raises(CallError, match="Sums of one rep and period stand twice"):
        fe.compare_cells(cells.assign(rep=cells["rep"].where(cells["rep"].isna(), "3.0")))
    booked = table.assign(amount_won=1.0)
    with pytest.raises(
        CallError, match=f"amount_won must be 0 .*; {int((table['won'] == 0).sum())} rows are not"
    ):
        fe.compare_cells(*answers(booked, amount_won=True))


@functools.cache
def in_their_unit():
    return fe.compare_cells(*answers(deals(looks=2)), metrics=METRICS).table


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_amounts_may_be_written_in_any_unit(unit):
    table = deals(looks=2).assign(amount=lambda t: t["amount"] * unit)
    ours = fe.compare(table, *PAIR, metrics=METRICS).to_dict()
    theirs = fe.compare_cells(*answers(table), metrics=METRICS)
    if unit > 1:  # in memory small amounts have a grain of 1e-12
        close(ours, theirs.to_dict())
    given, found = in_their_unit(), theirs.table
    same = ["brier_by_amount"]  # weights have no unit
    for name in ("difference", "low", "high", "se"):
        a, b = (t.set_index("metric").loc[same, name].to_numpy() for t in (given, found))
        assert b == pytest.approx(a, rel=1e-9)


def test_one_row_per_deal_is_declared_and_asks_less():
    table = deals()
    short, long = queries(one_row_per_deal=True)[0], queries()[0]
    assert len(short) < len(long) / 2
    cells, _ = answers(table, one_row_per_deal=True)
    found = fe.compare_cells(cells, metrics=["brier"])
    close(fe.compare(table, *PAIR, metrics=["brier"]).to_dict(), found.to_dict())


def test_a_real_warehouse_runs_the_text():
    table = deals(looks=2)
    with (
        running() as (place, port),
        psycopg.connect(f"host={place} port={port} user=owner dbname=postgres") as base,
    ):
        loaded(base, "crm.matched", table)
        # truth values, and reps that are numbers
        base.execute("alter table crm.matched alter column won type boolean using won::integer = 1")
        base.execute("alter table crm.matched alter column rep type integer using substr(rep, 5)::integer")
        results = []
        for query in sql.queries("crm.matched", asked(), "postgres"):
            rows = base.execute(query.rstrip().rstrip(";"))
            frame = pd.DataFrame(rows.fetchall(), columns=[c.name for c in rows.description])
            results.append(pd.read_csv(io.StringIO(frame.to_csv(index=False))))
    found = fe.compare_cells(*results, metrics=METRICS)
    close(fe.compare(table, *PAIR, metrics=METRICS).to_dict(), found.to_dict())


@pytest.mark.parametrize("dialect", sql.DIALECTS)
def test_every_dialect_parses_its_own_text_and_people_can_read_it(dialect):
    import sqlglot

    metrics = sql.metrics_of(["brier", "log_score", "auc", "brier_by_amount", "bias"])
    ask = sql.Ask("model", """Rep's "commit" """.strip(), metrics)
    for query, most in zip(sql.queries("crm.matched", ask, dialect), (800, 80), strict=True):
        assert "crm.matched" in query.replace('"', "").replace("`", "")
        assert sqlglot.parse_one(query, read=dialect)
        assert not re.search("matched_rows|duckdb", query, re.IGNORECASE)
        assert query.count("\n") < most
        assert max(map(len, query.splitlines())) <= 112


def test_names_in_small_letters_are_found_where_a_warehouse_keeps_them_in_capitals():
    ask = sql.Ask("model", "Rep Forecast", sql.metrics_of(["brier"]))
    for query in sql.queries("crm.matched", ask, "snowflake"):
        read = query[: query.index("FROM crm.matched")]
        assert 'deal_id AS "u"' in read
        assert "CAST(model AS DOUBLE)" in read
        assert 'CAST("Rep Forecast" AS DOUBLE)' in read
    assert (
        'CAST("order" AS DOUBLE PRECISION)'
        in sql.queries("m", sql.Ask("order", "b", ask.metrics), "postgres")[0]
    )


def test_a_result_of_another_query_is_refused_in_a_sentence():
    cells, curve = answers(deals())
    with pytest.raises(CallError, match="no rows with `of` no_c, no_b; the query gives them all"):
        fe.compare_cells(cells[~cells["of"].isin(["no_c", "no_b"])], curve)


def test_sums_from_here_give_the_same_bytes():
    table = deals(looks=2)
    for question in (None, "rep", ("deal", "period")):
        sums = fe.cells(table, *PAIR, generalise_to=question)
        ours = fe.compare(table, *PAIR, generalise_to=question).to_dict()
        assert fe.compare_cells(sums).to_dict() == ours
    with pytest.raises(CallError, match=r"The sums hold no brier_skill; they hold brier, log_score"):
        fe.compare_cells(sums, metrics=["brier_skill"])
    with pytest.raises(CallError, match="needs sums by account"):
        fe.compare_cells(fe.cells(table.assign(account="a"), *PAIR), generalise_to="account")


def test_the_queries_sums_hold_no_auc_of_new_deals():
    results = answers(deals())
    assert "auc" not in fe.compare_cells(*results, generalise_to="deal").table["metric"].tolist()
    with pytest.raises(CallError, match="which the queries do not sum up"):
        fe.compare_cells(*results, metrics=["auc"], generalise_to="deal")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.assign(model=1.5 * t["model"]), "model holds .* values outside 0-1. Divide percentages"),
        (
            lambda t: t.assign(won=t["won"].where(t.index > 0, 3)),
            "won must be 0 or 1 in every row; 1 rows are not",
        ),
        (lambda t: pd.concat([t, t.head(3)]), "3 rows repeat a deal at the same as-of"),
    ],
)
def test_rows_that_are_no_matched_table_are_refused_from_their_sums(spoil, words):
    cells, _ = answers(spoil(deals()))
    with pytest.raises(CallError, match=words):
        fe.compare_cells(cells)


def test_what_was_booked_is_taken_where_it_is_known():
    table = deals().assign(amount_won=lambda t: t["won"] * t["amount"].fillna(0) * 0.9)
    cells, _ = answers(table, amount_won=True)
    found = fe.compare_cells(cells, metrics=["bias_by_amount"])
    close(fe.compare(table, *PAIR, metrics=["bias_by_amount"]).to_dict(), found.to_dict())


def is_told(table, looks):
    """Whether silence tells, which the rows say in the same words."""
    connection = duckdb.connect()
    connection.register("matched", table)
    cells = connection.sql(queries(one_row_per_deal=looks == 1)[0]).df()
    found, ours = (
        fe.compare_cells(cells, metrics=METRICS[3:4]),
        fe.compare(table, *PAIR, metrics=METRICS[3:4]),
    )
    close(ours.to_dict(), found.to_dict())
    assert found.primary["reasons"] == ours.primary["reasons"]
    return "silence_tells" in [r["code"] for r in found.primary["reasons"]]


@pytest.mark.parametrize("looks", [1, 2])
def test_silence_that_goes_with_nothing_is_not_told_from_the_sums(looks):
    assert not is_told(deals(1000, looks=looks), looks)


@pytest.mark.parametrize("column", ["model", "rep_forecast", "amount"])
@pytest.mark.parametrize("looks", [1, 2])
def test_silence_that_goes_with_the_result_is_told_from_the_sums(column, looks):
    table = deals(1000, looks=looks)
    hidden = np.random.default_rng(1).random(len(table)) < np.where(table["won"] == 1, 0.4, 0.1)
    assert is_told(table.assign(**{column: table[column].mask(hidden)}), looks)


def test_what_is_no_result_of_the_queries_is_refused():
    with pytest.raises(CallError, match="has no column of, candidate, baseline, asked"):
        fe.compare_cells(pd.DataFrame({"rep": ["a"]}))
    with pytest.raises(CallError, match=r"no dialect 'oracle'; choose from bigquery"):
        sql.queries("m", asked(), "oracle")
    with pytest.raises(CallError, match=r"Unknown metric 'briar'"):
        sql.metrics_of(["briar"])


def test_the_command_prints_both_queries(tmp_path, capsys):
    words = ["sql", "compare", "--candidate", "model", "--baseline", "rep_forecast", "--dialect", "snowflake"]
    assert main([*words, "--table", "CRM.MATCHED"]) == 0
    assert capsys.readouterr().out.count("save the result as") == 2
    assert main([*words, "--out", str(tmp_path / "queries")]) == 0
    assert (tmp_path / "queries" / "cells.sql").stat().st_size > 1000
