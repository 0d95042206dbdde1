"""Kinds of clusters that a sample does not hold: how many they may be, and what they would have to lose."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasteval.inference.unseen import largest_unseen_share, unseen

counts, levels = st.integers(1, 2000), st.floats(0.5, 0.999)


@given(counts, levels)
def test_the_share_is_clopper_and_pearsons_end_for_none(clusters, level):
    exact = stats.binomtest(0, clusters).proportion_ci(confidence_level=2 * level - 1, method="exact").high
    assert largest_unseen_share(clusters, level) == pytest.approx(exact, rel=1e-6)


def test_it_is_the_rule_of_three():
    assert largest_unseen_share(300) == pytest.approx(3 / 300, rel=0.01)
    assert unseen(0.1, 0.2, 20).one_in == 7


def test_samples_without_the_kind_are_as_rare_as_promised():
    rng = np.random.default_rng(0)
    none = rng.binomial(20, largest_unseen_share(20), 100_000) == 0
    assert none.mean() == pytest.approx(0.05, abs=0.003)


@given(st.floats(0.001, 1), st.floats(0.001, 1), counts, levels)
def test_clusters_as_far_off_as_that_bring_the_near_end_to_zero(near, width, clusters, level):
    for low, high in ((near, near + width), (-near - width, -near)):
        found = unseen(low, high, clusters, level)
        end, side = (low, -1) if low > 0 else (high, 1)
        assert (1 - found.share) * end + found.share * side * found.loss == pytest.approx(0, abs=1e-9)
    assert unseen(near, near + width, clusters, level) == unseen(-near - width, -near, clusters, level)


@given(st.floats(0.001, 1), st.integers(1, 500), st.floats(1.1, 10))
def test_more_clusters_and_a_clearer_verdict_ask_more_of_them(near, clusters, times):
    found = unseen(near, 2.0, clusters)
    assert unseen(near, 2.0, clusters + 1).loss > found.loss
    assert unseen(near * times, 20.0, clusters).loss == pytest.approx(times * found.loss)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.1), (0.0, 0.1), (-0.1, 0.0), (math.nan, math.nan)])
def test_without_a_verdict_there_is_nothing_to_turn(low, high):
    found = unseen(low, high, 20)
    assert math.isnan(found.loss)
