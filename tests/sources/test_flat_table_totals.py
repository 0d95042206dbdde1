"""Totals by period and unit: what was called and what was booked, with and without deals."""

import numpy as np
import pandas as pd
import pytest

from forecasteval.errors import CallError, InputError
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.folder import read
from forecasteval.sources.totals import import_totals

MAPPING = {
    "period": "quarter", "unit": "team", "week": "week", "actual": "booked",
    "forecasts": {"reps": {"column": "reps", "kind": "amount"}, "vendor": "vendor"},
}  # fmt: skip


@pytest.fixture
def rows():
    """Two teams over three quarters, the newest first, as spreadsheets often are; one quarter is not over."""
    quarters = np.repeat(["Q1 2026", "Q4 2025", "Q3 2025"], 2)
    return pd.DataFrame({
        "quarter": quarters, "team": ["East", "West"] * 3, "week": "W4", "reps": [90, 50, 100, 70, 110, 60],
        "vendor": [80, None, 90, 75, 100, 66], "booked": [None, None, 95, 80, 105, 60],
    })  # fmt: skip


def test_totals_become_calls_and_actuals_in_order_of_time(rows):
    found = import_totals(rows, MAPPING)
    assert found.calls["period"].drop_duplicates().tolist() == ["Q3 2025", "Q4 2025", "Q1 2026"]
    assert found.calls["week"].unique().tolist() == [4]
    assert found.actuals[["unit", "unit_id", "period", "amount"]].to_numpy().tolist() == [
        ["team", "East", "Q3 2025", 105], ["team", "West", "Q3 2025", 60],
        ["team", "East", "Q4 2025", 95], ["team", "West", "Q4 2025", 80],
    ]  # fmt: skip
    assert "vendor says nothing in 1 of 6 rows." in found.notes
    assert "2 rows have no booked amount yet; their calls are kept." in found.notes
    both = found.calls.merge(found.actuals, on=["unit", "unit_id", "period"], suffixes=("", "_booked"))
    error = (both["amount"] - both["amount_booked"]).abs().groupby(both["forecaster"]).sum()
    assert error.to_dict() == {"reps": 20, "vendor": 21}


def test_what_is_written_is_read_again_and_nothing_of_the_users_is_lost(rows, tmp_path):
    found = import_totals(rows, MAPPING)
    place = found.write(tmp_path / "acme")
    org = read(tmp_path / "acme")
    pd.testing.assert_frame_equal(org.calls, found.calls)
    pd.testing.assert_frame_equal(org.actuals, found.actuals)
    assert org.deals is None
    found.write(tmp_path / "acme")  # as every week
    (place / "calls.csv").write_text("by hand\n")
    with pytest.raises(CallError, match="no import wrote"):
        found.write(tmp_path / "acme")


def test_totals_lie_beside_deals_and_beside_a_matched_table(rows, told):
    found = import_totals(rows, MAPPING)
    found.write(told.folder.parent)
    org = read(told.folder.parent)
    assert len(org.deals) == 1
    assert len(org.calls) == len(found.calls)
    assert any(problem.expected == "a period of the calendar" for problem in org.warnings)


def test_a_row_of_the_company_is_no_team_and_a_hidden_sum_is_refused(rows):
    whole = (
        rows.groupby("quarter", as_index=False, sort=False)
        .sum(numeric_only=True)
        .assign(team="Total", week=4)
    )
    found = import_totals(pd.concat([rows, whole]), MAPPING)
    assert found.actuals.groupby("unit")["amount"].sum().to_dict() == {"company": 340, "team": 340}
    assert found.actuals.loc[found.actuals["unit"] == "company", "unit_id"].isna().all()
    hidden = pd.concat([rows, whole.assign(team="DACH")]).fillna({"booked": 40})
    hidden.loc[(hidden["team"] == "DACH") & (hidden["booked"] == 0), "booked"] = 80
    with pytest.raises(InputError, match="DACH, which is the sum of the others"):
        import_totals(hidden, MAPPING)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"week": None}, None),
        ({"unit": {"column": "team", "level": "rep"}}, None),
        ({"period": {"column": "quarter", "block_days": 14}}, "period: found no column"),
        ({"actual": "boked"}, "Did you mean booked?"),
        (
            {"forecasts": {"v": {"column": "vendor", "kind": "probability"}}},
            "found kind 'probability'; expected kind",
        ),
        ({"forecasts": {}}, "column forecasts: found nothing"),
        ({"won": {"column": "team", "won": ["East"], "lost": ["West"]}}, "a key of deals beside actual"),
        ({"unit": {"column": "team", "level": "planet"}}, "expected a column, or {column: ..., level: rep}"),
    ],
)
def test_mappings_of_totals(rows, change, words):
    if words is None:
        assert len(import_totals(rows, MAPPING | change).calls) == 11
        return
    with pytest.raises(InputError) as caught:
        import_totals(rows, MAPPING | change)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"quarter": ["first", "second"] * 3}, "Write period_order"),
        ({"week": ["end"] * 6}, "the number of a week of the period"),
        ({"team": [None] + ["West"] * 5}, "a unit in every row"),
        ({"team": ["East"] * 6}, "'Q1 2026' again; expected each unit + period + week once"),
        ({"reps": ["x"] * 6}, "expected a number"),
    ],
)
def test_cells_of_totals_that_cannot_be_used_are_named(rows, cells, words):
    with pytest.raises(InputError) as caught:
        import_totals(rows.assign(**cells), MAPPING)
    assert words in str(caught.value)


def test_a_table_of_totals_is_no_table_of_deals(rows):
    with pytest.raises(CallError, match="import_totals"):
        import_table(rows, MAPPING)
