"""Ids that are one are joined and said; what is none is refused."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.matching.ids import joined_ids
from forecasteval.matching.matched import Matched

sys.path.append(str(Path(__file__).parents[1]))
from cases import case


def deals(n=240, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 2.5, n)
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": "2026-02-28",
            "period": [f"2025Q{i % 4 + 1}" for i in range(n)],
            "rep": [f"r{i % 10}" for i in range(n)],
            "account": [f"a{i % 40}" for i in range(n)],
            "won": (rng.random(n) < truth).astype(int),
            "model": np.clip(truth + rng.normal(0, 0.1, n), 0.01, 0.99),
            "rep_forecast": np.clip(truth + rng.normal(0.1, 0.2, n), 0.01, 0.99),
        }
    )


def joined(comparison):
    return [r["text"] for r in comparison.primary["reasons"] if r["code"] == "ids_joined"]


def test_the_case_of_ten_reps_written_in_three_ways():
    table = case("rep_ids")
    clean = table.assign(rep=table["rep"].str.strip().str.lower())
    found, right = (
        fe.compare(t, "model", "rep_forecast", generalise_to="rep", metrics=["brier", "auc"])
        for t in (table, clean)
    )
    assert found.primary["clusters"]["rep"]["count"] == 10
    assert joined(found) == [
        "30 ids in rep are read as 10, since some differ only in spaces, in case or in being a number or text: 'R1', "
        "'r1 ', 'r1'."
    ]
    for column in ("difference", "low", "high", "se", "df", "p_value", "reliable"):
        assert found.primary[column] == right.primary[column]
    assert joined(right) == []


@pytest.mark.parametrize("column", ["rep", "account", "period"])
def test_spaces_case_and_type_do_not_make_two_of_one(column):
    table = deals()
    mixed = table.assign(
        **{column: table[column].mask(table.index % 3 == 0, " " + table[column].str.upper())}
    )
    a, b = (fe.compare(t, "model", "rep_forecast", generalise_to=column) for t in (table, mixed))
    assert a.primary["clusters"] == b.primary["clusters"]
    assert a.primary["se"] == pytest.approx(b.primary["se"], rel=1e-12)
    assert len(joined(b)) == 1
    assert joined(b)[0].split(" are read as ")[0].endswith(f"ids in {column}")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([3, "3", 3.0, "3.0"], 1),
        ([7, "07"], 2),
        (["1.5", 1.5], 2),
        (["0051A000008xYzA", "0051A000008xYza"], 2),  # 62 digits: two people
        (["Ann Lee", "ann lee ", "Bo\xa0"], 2),
        (["MÜLLER", "müller"], 1),
    ],
)
def test_what_is_one(cells, expected):
    column, said = joined_ids(pd.Series(cells, dtype=object), "rep")
    assert column.nunique() == expected
    assert bool(said) == (len(set(map(repr, cells))) > column.nunique() and expected < len(cells))


def test_blanks_are_empty_and_categories_stay_categories():
    column, said = joined_ids(pd.Series(["a", " ", "", None, "a "], dtype="category"), "rep")
    assert isinstance(column.dtype, pd.CategoricalDtype)
    assert column.isna().tolist() == [False, True, True, True, False]
    assert said.startswith("2 ids in rep are read as 1")
    table = deals()
    with pytest.raises(CallError, match="rep is empty in 1 rows, the first is row 6"):
        fe.compare(table.assign(rep=table["rep"].mask(table.index == 5, "  ")), "model", "rep_forecast")
    assert not Matched.of(table.assign(rep=" ")).has("rep")
    assert fe.compare(table.assign(rep=" "), "model", "rep_forecast").generalise_to == ("period",)


def test_the_commonest_spelling_names_them_whatever_the_order_of_rows():
    cells = pd.Series(["Ann", "ann", "Ann", "ANN "])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        assert set(joined_ids(cells.iloc[order], "rep")[0]) == {"Ann"}


def test_deals_that_become_one_by_trimming_repeat_a_deal():
    table = deals()
    twice = pd.concat([table, table.iloc[[7]].assign(deal_id="D7 ")])
    with pytest.raises(
        CallError, match="1 rows repeat a deal at the same as-of; the first is row 241, deal 'D7'"
    ):
        fe.compare(twice, "model", "rep_forecast")


def test_clean_columns_are_not_touched():
    table = deals()
    matched = Matched.of(table)
    assert matched.joined == {}
    for name in ("deal_id", "rep", "account", "period"):
        pd.testing.assert_series_equal(matched[name], table[name])
    assert Matched.of(table.assign(rep=np.arange(240) % 10))["rep"].dtype.kind == "i"


def test_what_was_joined_is_still_known_to_who_takes_the_frame():
    table = deals()
    frame = Matched.of(table.assign(rep=table["rep"].mask(table.index == 0, "R0"))).frame()
    assert len(joined(fe.compare(frame, "model", "rep_forecast"))) == 1


@pytest.mark.parametrize("cell", [["r1", "r2"], ("r1", "r2"), {"r1"}, {"id": 1}, np.array(["r1", "r2"])])
@pytest.mark.parametrize("column", ["rep", "deal_id"])
def test_cells_of_several_values_are_refused(cell, column):
    table = deals()
    cells = table[column].astype(object).tolist()
    cells[3] = cell
    with pytest.raises(CallError, match=f"{column} holds cells of more than one value; the first is"):
        fe.compare(table.assign(**{column: pd.Series(cells, dtype=object)}), "model", "rep_forecast")
