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
from forecasteval.compare import margin as equivalence
from forecasteval.errors import CallError
from forecasteval.tables.organisation import Org


def row(difference, se=0.01, df=9.0, better="lower", reliable=True, level=0.9):
    """A row whose interval is Student's."""
    half = stats.t.ppf((1 + level) / 2, df) * se
    return {
        "difference": difference, "low": difference - half, "high": difference + half, "level": level,
        "better": better, "reliable": reliable, "reasons": [],
    }  # fmt: skip


@given(st.floats(-0.08, 0.08), st.floats(0.005, 0.1), st.integers(0, 50))
def test_agrees_with_statsmodels_tost_on_a_paired_mean(mean, spread, seed):
    d = np.random.default_rng(seed).normal(mean, spread, 12)
    p, _, upper = DescrStatsW(d).ttost_mean(-0.05, 0.05)
    found = equivalence.within_margin(row(d.mean(), d.std(ddof=1) / np.sqrt(12), 11), 0.05)
    if min(abs(p - 0.05), abs(upper[1] - 0.05)) > 1e-9:
        assert found.equivalent == (p < 0.05)
        assert found.not_inferior == (upper[1] < 0.05)


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1), st.floats(2, 50), st.floats(0.001, 0.3))
def test_claims_follow_from_the_bounds(difference, se, df, margin):
    found = equivalence.within_margin(row(difference, se, df), margin)
    assert found.not_inferior == (found.bound < margin)
    assert found.equivalent == (found.bound < margin and found.least > -margin)
    assert found.least < found.bound
    assert found.confidence == 0.95


@given(st.floats(-0.2, 0.2), st.floats(0.001, 0.1))
def test_higher_is_better_turns_the_direction(difference, se):
    a = equivalence.within_margin(row(difference, se), 0.05)
    b = equivalence.within_margin(row(-difference, se, better="higher"), 0.05)
    assert (a.bound, a.least) == (pytest.approx(b.bound), pytest.approx(b.least))
    assert (a.not_inferior, a.equivalent) == (b.not_inferior, b.equivalent)


def test_the_bound_is_the_end_of_the_comparison_s_own_interval():
    rng = np.random.default_rng(0)
    deals = pd.DataFrame({"deal_id": range(400), "rep": np.arange(400) % 16, "won": rng.integers(0, 2, 400)})
    deals = deals.assign(a=rng.random(400), b=rng.random(400))
    ninety = fe.compare(deals, "a", "b", metrics=["brier"], level=0.9).primary
    question = fe.Question("a", "b", metrics=["brier", "auc"], margin=0.01)
    found = question.run(Org("acme", None, matched=deals)).margin
    assert (found.least, found.bound) == (ninety["low"], ninety["high"])


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
    assert "by at least 0.062, more than the margin" in equivalence.in_words(better, "model", "reps")
    slight = equivalence.within_margin(row(-0.08, se=0.01), 0.07)
    assert "not shown to be more than the margin" in equivalence.in_words(slight, "model", "reps")
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
    assert found.bound == 0


def test_error_rate_at_the_margin():
    """A candidate that is worse by exactly the margin is passed in 1 of 20 studies."""
    rng = np.random.default_rng(0)
    d = rng.normal(0.05, 0.1, size=(2000, 12))
    passed = [
        equivalence.within_margin(row(x.mean(), x.std(ddof=1) / np.sqrt(12), 11), 0.05).not_inferior
        for x in d
    ]
    assert 0.035 <= np.mean(passed) <= 0.065
