"""Ranges that forecasters give: R's intervals, Winkler's score, and what a few quarters can say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasteval.compare import track_record as ranges
from forecasteval.errors import CallError
from forecasteval.scores.amounts import interval_score, quantile_score
from forecasteval.scores.probability import brier, log_score

numbers = st.floats(-1e4, 1e4)


def held(k, n, **options):
    return ranges.coverage([0.0] * n, [1.0] * n, [0.5] * k + [2.0] * (n - k), **options)


def test_intervals_against_r(known):
    for row in known("proportions")["rows"]:
        c = held(row["k"], row["n"])
        assert list(c.wilson) == pytest.approx(row["wilson"], rel=1e-9, abs=1e-12)
        assert list(c.clopper_pearson) == pytest.approx(row["clopper_pearson"], rel=1e-9, abs=1e-12)
        for level in (0.8, 0.9):
            if f"binom_p_vs_{level}" in row:
                c = held(row["k"], row["n"], level=level)
                assert c.p_value == pytest.approx(row[f"binom_p_vs_{level}"], rel=1e-9)


def test_scores_against_known_numbers(known):
    listed = known("scores")
    expected = listed["interval_score(obs .1, lower 0, upper .4, alpha .5)"]
    assert interval_score(0, 0.4, 0.1, level=0.5) == pytest.approx(expected, rel=1e-12)
    for q in (0.5, 0.1):
        expected = listed[f"quantile_score(0.3,{q},0.2)"]
        assert quantile_score(q, 0.3, quantile=0.2) == pytest.approx(expected, rel=1e-12)


def test_scores_against_scoringrules():
    witness = pytest.importorskip("scoringrules", reason="scoringrules stands in the lock of the tests")
    rng = np.random.default_rng(0)
    low, width, actual = rng.normal(0, 9, 500), rng.exponential(9, 500), rng.normal(0, 20, 500)
    for level in (0.5, 0.8, 0.95):
        mine = interval_score(low, low + width, actual, level=level)
        assert mine == pytest.approx(witness.interval_score(actual, low, low + width, 1 - level), rel=1e-9)
        mine = quantile_score(low, actual, quantile=level)
        assert mine == pytest.approx(witness.quantile_score(actual, low, level), rel=1e-9)
    chance, won = rng.uniform(0.01, 0.99, 500), rng.integers(0, 2, 500)
    assert brier(chance, won) == pytest.approx(witness.brier_score(won, chance), rel=1e-9)
    assert log_score(chance, won) == pytest.approx(witness.log_score(won, chance), rel=1e-9)


@given(numbers, st.floats(0, 1e4), numbers, st.floats(0.05, 0.95))
def test_interval_score_is_the_pinball_loss_of_both_ends(low, width, actual, level):
    a = 1 - level
    ends = quantile_score(low, actual, quantile=a / 2) + quantile_score(
        low + width, actual, quantile=1 - a / 2
    )
    score = interval_score(low, low + width, actual, level=level)
    assert score == pytest.approx(2 / a * ends, rel=1e-7, abs=1e-6)


def test_the_true_quantiles_have_the_lowest_score():
    x = np.random.default_rng(0).normal(size=20_000)
    z = stats.norm.ppf(0.9)
    score = {k: interval_score(-k * z, k * z, x, level=0.8).mean() for k in (0.7, 1.0, 1.4)}
    assert min(score, key=score.get) == 1.0


def test_eight_of_twelve_says_little():
    c = held(8, 12, level=0.8)
    assert [round(v, 2) for v in c.clopper_pearson] == [0.35, 0.90]
    assert c.p_value > 0.05  # 67% where 80% was promised: twelve quarters cannot tell
    assert (c.below, c.above, c.held) == (0, 4, 8)


def test_an_outcome_on_the_edge_is_held_and_gaps_are_counted():
    c = ranges.coverage([0, 0, 0, np.nan, 0], [1, 1, 1, 1, 1], [0, 1, 1.0001, 0.5, np.nan], level=0.5)
    assert (c.ranges, c.held, c.above, c.left_out) == (3, 2, 1, 2)
    assert c.mean_width == 1
    assert ranges.coverage([], [], []).ranges == 0


def test_ranges_of_one_person_are_not_independent():
    """Ten reps with 8 ranges each, all alike within a rep: the binomial interval is far too narrow."""
    good = np.repeat([1, 1, 1, 1, 1, 0, 0, 0, 0, 0], 8)
    c = ranges.coverage(
        np.zeros(80), np.ones(80), np.where(good, 0.5, 2.0), level=0.8, cluster=np.repeat(np.arange(10), 8)
    )
    by_hand = 0.5 + np.array([-1, 1]) * stats.t.ppf(0.975, 9) * np.sqrt(0.5 * 0.5 / 9)
    assert list(c.by_cluster) == pytest.approx(by_hand, rel=1e-9)
    assert np.diff(c.by_cluster)[0] > 2.5 * np.diff(c.clopper_pearson)[0]
    assert np.isnan(c.p_value)  # the binomial test would be wrong
    assert np.isnan(
        ranges.coverage([0] * 8, [1] * 8, [0.5] * 8, cluster=[0, 1, 2, 3] * 2).by_cluster[0]
    )  # 4 reps


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="2 ranges end below their start; the first is 3 to 1 at position 0"):
        ranges.coverage([3, 0, 5], [1, 1, 2], [1, 1, 1])
    with pytest.raises(ValueError, match=r"a range of 80% is 0\.8"):
        interval_score(0, 1, 0.5, level=80)


def test_calls_meet_what_was_booked():
    day = pd.Timestamp
    weeks = pd.DataFrame(
        {
            "period": ["Q1", "Q1", "Q2"],
            "week": [1, 2, 2],
            "ends_on": [day("2026-01-11"), day("2026-01-18"), day("2026-04-18")],
        }
    )
    calls = pd.DataFrame(
        {
            "unit": "rep",
            "unit_id": ["r1", "r1", "r1", "r2", "r1"],
            "period": ["Q1", "Q1", "Q1", "Q1", "Q2"],
            "as_of": [day(d) for d in ("2026-01-05", "2026-01-12", "2026-01-26", "2026-01-05", "2026-04-06")],
            "forecaster": "rep_forecast",
            "amount": [10.0, 20, 30, 5, 9],
            "low": [8.0, 15, 25, 4, 8],
            "high": [12.0, 25, 35, 6, 10],
            "level": ["80%", "80%", "80%", "commit", "80%"],
        }
    )
    booked = pd.DataFrame({"unit_id": ["r1"], "period": ["Q1"], "booked": [22.0]})
    found = ranges.of_calls(calls, booked, weeks, week=2)
    assert found[["unit_id", "low", "high", "booked"]].to_numpy().tolist() == [
        ["r1", 15.0, 25.0, 22.0],  # the last by then, not a later one
        ["r2", 4.0, 6.0, 0.0],  # nothing booked is an outcome
    ]  # Q2 is not over, so it does not count
    assert found["level"].tolist()[0] == 0.8
    assert np.isnan(found["level"].tolist()[1])
    with pytest.raises(CallError, match="No call gives a range"):
        ranges.of_calls(calls.assign(low=np.nan), booked, weeks, week=2)
