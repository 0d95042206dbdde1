"""The door: whatever holds a table of deals is taken, whatever does not is refused in words."""

import decimal
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.matching.matched import Matched

EXPECTED = "Expected is a table with one row per deal and as-of"


def deals(n=240, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 2.5, n)
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-02-28"),
            "period": [f"2025Q{i % 8 + 1}" for i in range(n)],
            "rep": [f"r{i % 10}" for i in range(n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": rng.lognormal(9, 0.5, n),
            "model": np.clip(truth + rng.normal(0, 0.1, n), 0.01, 0.99),
            "rep_forecast": np.clip(truth + rng.normal(0.1, 0.2, n), 0.01, 0.99),
        }
    )


def compare(table, **options):
    return fe.compare(table, "model", "rep_forecast", **options)


def printed(table):
    return json.dumps(compare(table).to_dict())


@pytest.mark.parametrize(
    ("thing", "what"),
    [
        ({"deal_id": [1]}, "a dict"),
        (np.ones((3, 3)), "an array"),
        (pd.Series([1, 2]), "a Series"),
        (None, "None"),
        ([{"deal_id": 1}], "a list"),
        ((x for x in "ab"), "a generator"),
        (3, "an int"),
        (pa.chunked_array([[1, 2]]), "a ChunkedArray"),
    ],
)
@pytest.mark.parametrize("door", [compare, Matched.of])
def test_what_is_no_table_is_named(thing, what, door):
    with pytest.raises(CallError, match=f"This is {what}, not a table. {EXPECTED}"):
        door(thing)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame(), "The table is empty: it has no columns"),
        (pd.DataFrame(index=range(3)), "The table is empty: it has no columns"),
        (deals().head(0), "The table is empty: it has columns but no rows"),
        (pa.table({}), "The table is empty: it has no columns"),
        (pd.concat([deals(), deals()[["model"]]], axis=1), "There is more than one column named model"),
        (pd.concat([deals(), deals()[["rep"]]], axis=1), "There is more than one column named rep"),
        (deals().astype({"model": complex}), "model holds complex numbers"),
        (pd.concat({"a": deals()}, axis=1), "The table's columns have 2 levels"),
    ],
)
def test_tables_of_no_deals_are_refused_with_what_is_expected(table, message):
    with pytest.raises(CallError, match=f"{message}.*{EXPECTED}"):
        compare(table)


def test_arrow_columns_that_stand_twice_are_named():
    table = pa.Table.from_pandas(deals(), preserve_index=False)
    with pytest.raises(CallError, match="There is more than one column named model"):
        compare(table.append_column("model", table["model"]))


def with_cell(column, cell):
    cells = deals()[column].astype(object).tolist()
    cells[4] = cell
    return deals().assign(**{column: pd.Series(cells, dtype=object)})


@pytest.mark.parametrize("column", ["model", "amount", "won"])
@pytest.mark.parametrize("cell", [0.5 + 1j, [0.5], {"p": 0.5}, np.array([0.5, 0.5])])
def test_cells_that_are_no_number_are_refused_with_what_is_expected(column, cell):
    with pytest.raises(
        CallError,
        match=f"{column} holds 1 cells that are not one real number; the first is row 5.*{EXPECTED}",
    ):
        compare(with_cell(column, cell))


@pytest.mark.parametrize("cell", ["Commit", "13%", "0,13"])
def test_a_forecast_in_words_cannot_be_compared(cell):
    row = compare(with_cell("model", cell)).primary
    assert row["verdict"] == "cannot be compared"
    assert (
        f"model holds 1 cells that are not numbers; the first is row 5: {cell!r}"
        in row["reasons"][-1]["text"]
    )


@pytest.mark.parametrize("amount", [1e300, np.inf, -np.inf, 2e15])
def test_amounts_that_nobody_books_are_refused(amount):
    table = deals()
    huge = table.assign(amount=table["amount"].mask(table.index == 2, amount))
    with pytest.raises(
        CallError, match=r"amount holds 1 values that are no amounts of money; the first is row 3"
    ):
        compare(huge)
    assert compare(huge, metrics=["brier"]).primary["deals"] == 240


def test_rounding_of_a_probability_is_no_rank_score():
    table = deals().assign(model=lambda t: t["model"].where(t.index != 0, 1.0).where(t.index != 1, 0.0))
    nearly = table.assign(
        model=table["model"].where(table.index != 0, 1 + 1e-10).where(table.index != 1, -1e-10)
    )
    assert printed(nearly) == printed(table)
    assert Matched.of(nearly).is_probability("model")
    off = table.assign(model=table["model"].where(table.index != 0, 1 + 1e-8))
    assert "read_as_rank_score" in {r["code"] for r in compare(off, metrics=["auc"]).primary["reasons"]}


def test_percentages_are_not_called_a_rank_score():
    table = deals().assign(model=lambda t: t["model"] * 100)
    with pytest.raises(
        CallError, match=r"it looks like percent. Divide percentages by 100; a score that only ranks"
    ):
        compare(table)
    declared = compare(table, metrics=["auc"], kinds={"model": "rank_score"})
    assert declared.primary["difference"] == pytest.approx(
        compare(deals(), metrics=["auc"]).primary["difference"]
    )
    stars = deals().assign(model=lambda t: (t["model"] * 5).round())
    assert compare(stars, metrics=["auc"]).primary["candidate_value"] > 0.5  # out of five: no percentage


def test_yes_and_no_are_probabilities():
    table = deals().assign(model=lambda t: t["model"] > 0.5)
    assert compare(table).primary["candidate_value"] == pytest.approx((table["model"] != table["won"]).mean())


def test_arrow_gives_what_pandas_gives():
    table = deals().assign(as_of=lambda t: t["as_of"].dt.date)
    assert printed(pa.Table.from_pandas(table, preserve_index=False)) == printed(deals())
    named = pa.Table.from_pandas(deals().assign(rep=deals()["rep"].astype("category")), preserve_index=False)
    assert printed(named) == printed(deals())
    exact = [decimal.Decimal(f"{a:.2f}") for a in deals()["amount"]]
    arrow = pa.Table.from_pandas(deals(), preserve_index=False).drop_columns("amount")
    arrow = arrow.append_column("amount", pa.array(exact))
    assert printed(arrow) == printed(deals().assign(amount=[float(a) for a in exact]))


def test_polars_gives_what_pandas_gives():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame(deals().to_dict("list"))
    assert printed(table) == printed(deals())
    assert printed(table.lazy()) == printed(deals())


def test_a_duckdb_relation_gives_what_pandas_gives():
    duckdb = pytest.importorskip("duckdb")
    table = deals()
    relation = duckdb.from_df(table)
    assert printed(relation) == printed(table)
