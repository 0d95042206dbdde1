"""Forecast categories in flat tables: chances from earlier periods only, or as the mapping says."""

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.flat_table_draft import explain

WORDS = ["Commit", "Best Case", "Pipeline"]
MAPPING = {
    "deal_id": "id", "period": "quarter", "won": {"column": "won", "won": [1], "lost": [0]},
    "forecasts": {"said": {"column": "said", "kind": "category"}, "vendor": "vendor"},
}  # fmt: skip


def deals(seed=1, quarters=4, each=60):
    """Deals of several quarters whose category tells something of how they end."""
    rng = np.random.default_rng(seed)
    word = rng.integers(0, 3, quarters * each)
    return pd.DataFrame({
        "id": [f"D{i}" for i in range(quarters * each)],
        "quarter": np.repeat([f"2025-Q{q + 1}" for q in range(quarters)], each),
        "said": np.array(WORDS)[word], "vendor": 0.5,
        "won": (rng.random(quarters * each) < np.array([0.8, 0.4, 0.1])[word]).astype(int),
    })  # fmt: skip


def test_a_category_is_worth_what_was_won_of_it_before():
    table = deals()
    matched = import_table(table, MAPPING)
    past = table[table["quarter"] < "2025-Q3"]
    for word, rows in past.groupby("said"):
        by_hand = (rows["won"].sum() + past["won"].mean()) / (len(rows) + 1)
        ids = table.loc[(table["said"] == word) & (table["quarter"] == "2025-Q3"), "id"]
        said = matched.loc[matched["deal_id"].isin(ids), "said"]
        np.testing.assert_allclose(said, by_hand)
    about = matched.attrs["forecasteval"]
    assert about["forecasters"]["said"]["kind"] == "probability"
    assert about["flow"][-1] == {
        "step": "after the burn-in", "deals": 180, "dropped": 60,
        "why": "said had too few decided deals of earlier periods to learn from",
    }  # fmt: skip


@given(st.integers(0, 50), st.integers(1, 3))
@settings(max_examples=15)
def test_nothing_that_happens_from_a_period_on_changes_what_is_said_in_it(seed, place):
    table = deals(seed)
    later = table["quarter"] >= f"2025-Q{place + 1}"
    other = table.assign(won=table["won"].where(~later, 1 - table["won"]))
    one, two = (import_table(t, MAPPING) for t in (table, other))
    until = one["period"] <= f"2025-Q{place + 1}"
    pd.testing.assert_series_equal(one.loc[until, "said"], two.loc[until, "said"])


def test_an_outcome_counts_as_known_when_the_deal_is_no_longer_seen_or_has_closed():
    days = {f"2025-Q{q}": f"2025-{3 * q:02d}-01" for q in range(1, 5)}
    table = deals().assign(on=lambda t: t["quarter"].map(days))
    mapping = MAPPING | {"as_of": "on"}
    again = table[table["quarter"] == "2025-Q1"].assign(quarter="2025-Q2", on=days["2025-Q2"])  # still open
    both = pd.concat([again, table])
    assert import_table(both, mapping)["period"].min() == "2025-Q3"
    assert import_table(both, mapping | {"target": "won in period"})["period"].min() == "2025-Q2"
    third = table["quarter"] > "2025-Q2"
    late = table.assign(closed=np.where(third, "2026-02-01", "2025-08-15"))
    assert import_table(late, mapping | {"closed_on": "closed"})["period"].min() == "2025-Q3"


def test_a_mapping_may_fix_chances_or_an_order():
    chances = {"commit": 0.9, "Best case": 0.5, "Pipeline": 0.1}
    matched = import_table(deals(), MAPPING | {"categories": chances})
    assert len(matched) == 240
    assert set(matched["said"]) == {0.9, 0.5, 0.1}
    said = {"column": "said", "kind": "category", "categories": WORDS}
    matched = import_table(deals(), MAPPING | {"forecasts": {"said": said}})
    assert matched.attrs["forecasteval"]["forecasters"]["said"]["kind"] == "rank_score"
    assert matched.groupby("said")["won"].mean().is_monotonic_increasing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"categories": {"Commit": 0.9}}, "expected one of Commit. Add it to categories"),
        ({"categories": {"Commit": 90}}, "chances from 0 to 1"),
        ({"period": None}, "categories without periods in time"),
        ({"period_order": ["2025-Q1"]}, "period_order"),
    ],
)
def test_what_cannot_be_read_as_a_chance_is_asked(change, words):
    with pytest.raises(InputError) as caught:
        import_table(deals(), MAPPING | change)
    assert words in str(caught.value)


def test_a_draft_takes_a_category_for_one(tmp_path):
    deals().rename(columns={"said": "Forecast category"}).to_csv(tmp_path / "deals.csv", index=False)
    plan = yaml.safe_load(explain(tmp_path / "deals.csv"))
    assert plan["forecasts"]["forecast_category"] == {"column": "Forecast category", "kind": "category"}
    assert len(import_table(tmp_path / "deals.csv", plan)) == 180


def test_too_few_decided_deals_are_refused():
    with pytest.raises(InputError, match="in none of them enough decided ones before"):
        import_table(deals(each=4, quarters=3), MAPPING)
