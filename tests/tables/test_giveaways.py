"""Which columns know how the deals ended, and which only look like it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.tables.giveaways import CEILING, ceiling, gives_away, knows

WON = np.repeat([1.0, 0.0], 40)


def a_sign(seed, n, wins, distance):
    """A blurred sign of the outcome: AUC .97 at a distance of 2.66."""
    rng = np.random.default_rng(seed)
    won = (rng.random(n) < wins).astype(float)
    return rng.normal(size=n) + distance * won, won


# --- what is found --------------------------------------------------------------------------------------


@given(st.permutations(range(80)), st.sampled_from([1.0, 100.0, -3.0]), st.floats(-5, 5))
@settings(max_examples=15)
def test_whoever_separates_without_exception_is_found_on_any_scale_in_any_order(order, scale, shift):
    said = scale * (np.linspace(0, 0.4, 80) + 0.5 * WON) + shift
    assert knows(said[order], WON[order])


def test_the_outcome_itself_is_called_so():
    assert knows(WON, WON) == "equals the outcome on all 80 deals"
    assert knows(1 - WON, WON) == "puts each of the 40 won deals below each of the 40 others"


def test_one_that_slips_now_and_then_is_found_with_enough_deals():
    rng = np.random.default_rng(0)
    won = (rng.random(1500) < 0.3).astype(float)
    said = np.where(rng.random(1500) < 0.01, rng.random(1500), 0.5 + (won - 0.5) * rng.uniform(0.1, 1, 1500))
    assert "of all pairs" in knows(said, won)


def test_silence_is_no_evidence():
    said = np.where(np.arange(80) % 40 < 5, WON, np.nan)
    assert knows(said, WON) == ""


def test_long_tables_are_judged_by_a_part_of_their_rows():
    won = np.tile([1.0, 0.0, 0.0], 100_000)
    assert knows(won, won).startswith("equals")


# --- what is let through --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [12, 20, 40])
def test_a_few_deals_prove_nothing(n):
    won = np.repeat([1.0, 0.0], n // 2)
    assert knows(won, won) == ""
    assert knows(np.linspace(1, 0, n), won) == ""


def test_a_category_in_which_everything_was_won_is_no_hindsight():
    flag, won = np.repeat([1.0, 0.0, 0.0], [27, 64, 109]), np.repeat([1.0, 1.0, 0.0], [27, 64, 109])
    assert knows(flag, won) == ""
    assert gives_away(pd.Series(flag), pd.Series(won)) == ""


def test_who_always_says_the_same_knows_nothing():
    assert knows(np.full(80, 0.3), WON) == ""
    assert gives_away(pd.Series(["x"] * 80), pd.Series(WON)) == ""


@pytest.mark.parametrize(("n", "wins"), [(80, 0.5), (80, 0.25), (150, 0.05), (300, 0.5)])
def test_very_good_forecasters_are_accused_in_less_than_one_table_in_a_hundred(n, wins):
    accused = sum(bool(knows(*a_sign(seed, n, wins, 2.66))) for seed in range(400))
    assert accused <= 4


def test_whoever_knows_the_exact_chances_is_accused_in_less_than_one_table_in_a_hundred():
    accused = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        p = rng.beta(0.125, 0.375, 150)  # AUC .967
        accused += bool(knows(p, (rng.random(150) < p).astype(float)))
    assert accused <= 4


# --- the horizon ----------------------------------------------------------------------------------------


def test_the_farther_the_outcome_the_less_can_be_known():
    ahead = [ceiling(d) for d in (0, 14, 56, 400)]
    assert ahead == sorted(ahead, reverse=True)
    assert ceiling(None) == max(ahead) == CEILING


def test_what_may_be_known_on_the_eve_is_not_known_nine_weeks_ahead():
    said, won = a_sign(3, 4000, 0.3, 2.66)
    assert knows(said, won) == ""
    assert "63 days ahead" in knows(said, won, 63)


# --- features -------------------------------------------------------------------------------------------


def test_a_column_of_labels_gives_the_outcome_away_in_any_of_three_ways():
    rng, won = np.random.default_rng(1), pd.Series(WON)
    stage = pd.Series(np.where(WON == 1, rng.choice(["signed", "live"], 80), rng.choice(["gone", "no"], 80)))
    assert "always won or never won" in gives_away(stage, won)
    assert "filled in all deals that were not won" in gives_away(stage.where(WON == 0), won)
    assert "equals the outcome" in gives_away(won, won)


def test_deals_without_an_outcome_do_not_count():
    won = pd.Series(np.concatenate([WON, np.full(40, np.nan)]))
    stage = pd.Series(["signed"] * 40 + ["gone"] * 40 + ["gone", "open"] * 20)
    assert gives_away(stage, won)


@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_labels_that_have_nothing_to_do_with_it_are_let_through(labels, seed):
    rng = np.random.default_rng(seed)
    won = pd.Series((rng.random(200) < 0.4).astype(float))
    label = pd.Series(rng.integers(0, labels, 200))
    assert gives_away(label, won) == ""
    assert gives_away(label.astype(str), won) == ""
    assert gives_away(pd.Series([f"D{i}" for i in range(200)]), won) == ""
