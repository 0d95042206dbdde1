"""Margins: the one-sided bound, two one-sided tests, and the words for what is not shown."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

import forecasteval as fe
from forecasteval import equivalence
from forecasteval.errors import CallError


def row(difference, se=0.01, df=9.0, better="lower", reliable=True):
    return {
        "difference": difference, "se": se, "df": df, "better": better, "reliable": reliable, "reasons": [],
    }  # fmt: skip


def test_agrees_with_statsmodels_tost_on_a_paired_mean():
    d = np.random.default_rng(0).normal(0.01, 0.05, 12)
    p, lower, upper = DescrStatsW(d).ttost_mean(-0.05, 0.05)
    found = equivalence.within_margin(row(d.mean(), d.std(ddof=1) / np.sqrt(12), 11), 0.05)
    assert found.p_equivalent == pytest.approx(p, rel=1e-9)
    assert found.p_inferior == pytest.approx(upper[1], rel=1e-9)
    assert max(lower[1], upper[1]) == pytest.approx(p)


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1), st.floats(2, 50), st.floats(0.001, 0.3))
def test_test_and_bound_agree(difference, se, df, margin):
    found = equivalence.within_margin(row(difference, se, df), margin)
    assert found.not_inferior == (found.bound < margin)
    if abs(found.p_inferior - 0.05) > 1e-9:
        assert found.not_inferior == (found.p_inferior < 0.05)
    low, high = (difference + s * stats.t.ppf(0.95, df) * se for s in (-1, 1))
    if min(abs(low + margin), abs(high - margin)) > 1e-9:
        assert found.equivalent == (-margin < low and high < margin)  # the 90% interval, not the 95%


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1))
def test_higher_is_better_turns_the_direction(difference, se):
    a = equivalence.within_margin(row(difference, se), 0.05)
    b = equivalence.within_margin(row(-difference, se, better="higher"), 0.05)
    assert (a.bound, a.not_inferior, a.p_equivalent) == (b.bound, b.not_inferior, b.p_equivalent)


def test_not_significant_is_not_equal():
    found = equivalence.within_margin(row(0.001, se=0.03), 0.01)  # p = .97, and nothing is shown
    assert not found.not_inferior
    assert not found.equivalent
    words = equivalence.in_words(found, "model", "reps")
    assert "not shown to be as good" in words
    assert "Not telling them apart does not make them equal." in words


def test_significantly_worse_can_still_be_good_enough():
    found = equivalence.within_margin(row(0.004, se=0.001, df=30), 0.01)
    assert found.not_inferior
    assert found.equivalent
    better = equivalence.within_margin(row(-0.08, se=0.01), 0.01)
    assert better.not_inferior
    assert not better.equivalent
    assert "not worse than reps at all" in equivalence.in_words(better, "model", "reps")
    close = equivalence.within_margin(row(0.0, se=0.01, df=9), 0.0185)
    assert close.not_inferior
    assert "by at most" in equivalence.in_words(
        equivalence.within_margin(row(-0.005, se=0.015, df=9), 0.03), "m", "r"
    )


def test_nothing_is_claimed_from_what_is_not_reliable_or_has_no_interval():
    flagged = equivalence.within_margin(row(0.0, reliable=False), 0.1)
    missing = equivalence.within_margin(row(0.0, se=math.nan), 0.1)
    bias = equivalence.within_margin(row(0.0, better="nearer_zero"), 0.1)
    for found in (flagged, missing, bias):
        assert found.reason
        assert not found.not_inferior
        assert not found.equivalent
        assert found.reason in equivalence.in_words(found, "a", "b")


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_is_above_zero(margin):
    with pytest.raises(CallError, match="largest difference that does not matter"):
        equivalence.within_margin(row(0.0), margin)


def test_from_a_comparison_of_identical_forecasters():
    deals = pd.DataFrame(
        {"deal_id": range(80), "rep": np.arange(80) % 8, "won": [0, 1] * 40, "a": 0.4, "b": 0.4}
    )
    c = fe.compare(deals, "a", "b", metrics=["brier"], generalise_to=("rep",))
    found = equivalence.within_margin(c.primary, 0.01)
    assert found.equivalent
    assert found.p_equivalent == 0


def test_error_rate_at_the_margin():
    """A candidate that is worse by exactly the margin is passed in 1 of 20 studies."""
    rng = np.random.default_rng(0)
    d = rng.normal(0.05, 0.1, size=(2000, 12))
    passed = [
        equivalence.within_margin(row(x.mean(), x.std(ddof=1) / np.sqrt(12), 11), 0.05).not_inferior
        for x in d
    ]
    assert 0.035 <= np.mean(passed) <= 0.065
