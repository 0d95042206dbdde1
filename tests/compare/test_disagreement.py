"""Who was right where two disagree: by hand, what cannot change it, and that verdicts go by a proper score."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.compare.disagreement import band_names, disagreement, open_disagreements
from forecasteval.compare.verdicts import CANDIDATE, UNSURE


def world(seed=0, deals=1500, right=0.0):
    """Two who err alike around a truth; `right` moves the model's word towards it."""
    rng = np.random.default_rng(seed)
    pi = rng.beta(1.5, 3, deals)
    noise = rng.normal(0, 0.25, (2, deals))
    model, rep = (np.clip(pi + e, 0.02, 0.98) for e in (noise[0] * (1 - right), noise[1]))
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(deals)],
            "period": [f"2025-Q{1 + i % 8}" for i in range(deals)],
            "rep": [f"r{i % 15}" for i in range(deals)],
            "region": [["East", "West"][i // 15 % 2] for i in range(deals)],
            "won": (rng.random(deals) < pi).astype(int),
            "model": model,
            "rep_forecast": rep,
        }
    )


def test_bands_and_shares_by_hand():
    deals = pd.DataFrame(
        {
            "deal_id": list("abcdef"),
            "won": [0, 0, 1, 1, 0, 1],
            "model": [0.2, 0.2, 0.3, 0.55, 0.9, 0.4],
            "rep_forecast": [0.8, 0.5, 0.9, 0.6, 0.1, 0.55],
        }
    )
    t = disagreement(deals, "model", "rep_forecast").bands.set_index("band")
    far, between, near, _, other = band_names("model", "rep_forecast")
    assert t["deals"].to_dict() == {far: 3, between: 1, near: 1, other: 1}  # .5 - .2 is .3 and not .29999
    assert t.loc[far, "closer"] == pytest.approx(1 / 3)
    assert t.loc[far, "won"] == pytest.approx(1 / 3)
    assert t.loc[other, "closer"] == 1
    assert t.loc[far, "difference"] == pytest.approx(((0.04 - 0.64) + (0.04 - 0.25) + (0.49 - 0.01)) / 3)


def test_the_better_one_is_found_and_equal_ones_are_not_told_apart():
    found = disagreement(world(right=0.9), "model", "rep_forecast", by=["region", "rep"])
    assert found.far.verdict == CANDIDATE
    assert found.closer.high < 0.5
    assert set(found.parts) == {"region", "rep"}
    alike = disagreement(world(), "model", "rep_forecast", by=["region", "rep"])
    assert alike.far.verdict == UNSURE
    assert alike.closer.low < 0.5 < alike.closer.high


def test_whoever_says_little_is_closer_mostly_and_gets_no_verdict_for_it():
    """A truth of 40%: one says 70, the other 10. Both are 30 points off; the low one is closer six times in ten."""
    rng = np.random.default_rng(1)
    n = 3000
    deals = world(deals=n).assign(won=(rng.random(n) < 0.4).astype(int), rep_forecast=0.7, model=0.1)
    found = disagreement(deals, "model", "rep_forecast")
    assert found.closer.high < 0.45
    assert found.far.verdict == UNSURE


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_order_and_names_do_not_matter(seed):
    deals = world(seed, deals=120)
    one = disagreement(deals, "model", "rep_forecast")
    other = disagreement(deals.sample(frac=1, random_state=seed), "rep_forecast", "model")
    assert one.far.primary["difference"] == pytest.approx(-other.far.primary["difference"])
    assert one.closer.value == pytest.approx(1 - other.closer.value)
    turned = other.bands.iloc[::-1].reset_index(drop=True)
    pd.testing.assert_series_equal(one.bands["deals"], turned["deals"])
    pd.testing.assert_series_equal(one.bands["difference"], -turned["difference"])


def test_segments_and_reps_share_the_level():
    found = disagreement(world(), "model", "rep_forecast", by=["region", "rep"])
    assert found.parts["region"].level == pytest.approx(0.975)
    assert found.parts["rep"].table["segment"].str.startswith("rep ").all()
    shown = disagreement(world(), "model", "rep_forecast", by=["rep"], show_names=True)
    assert set(shown.parts["rep"].table["segment"]) == {f"r{i}" for i in range(15)}


def test_what_is_no_probability_is_said_and_not_guessed():
    deals = world(deals=50).assign(model=range(50))
    assert "gives no probabilities" in disagreement(deals, "model", "rep_forecast").reason
    nothing = world(deals=50).assign(won=np.nan)
    assert "No deal with a known outcome" in disagreement(nothing, "model", "rep_forecast").reason


def test_open_deals_in_dispute_stand_by_what_is_at_stake():
    deals = world(deals=4).assign(
        won=[np.nan, np.nan, np.nan, 1], amount=[100.0, 900.0, np.nan, 1e6], as_of=pd.Timestamp("2026-03-14"),
        model=[0.1, 0.2, 0.1, 0.1], rep_forecast=[0.9, 0.5, 0.9, 0.9],
    )  # fmt: skip
    listed = open_disagreements(deals, "model", "rep_forecast")
    assert listed["deal_id"].tolist() == ["D1", "D0", "D2"]
    assert listed["points_apart"].tolist() == [30, 80, 80]
    assert (listed[["believed", "reason"]] == "").all(axis=None)
