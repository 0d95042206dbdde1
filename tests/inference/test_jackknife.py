"""Intervals from cluster sums: invariants, and the corner cases that other tools get wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.inference import jackknife as iv
from forecasteval.inference.few_clusters import interval

sums = st.lists(
    st.tuples(st.floats(-5, 5, allow_nan=False), st.floats(0.1, 20)), min_size=3, max_size=30
).map(lambda pairs: tuple(np.array(column) for column in zip(*pairs, strict=True)))


@given(sums)
def test_jackknife_agrees_with_the_regression_form(xz):
    """CR3J is CR3, sum e^2/(1 - w)^2 / Z^2, times (G - 1)/G."""
    x, z = xz
    ratio, w = x.sum() / z.sum(), z / z.sum()
    e = x - ratio * z
    cr3 = np.sqrt(np.square(e / (1 - w)).sum()) / z.sum()
    assert iv.cr3j(ratio, iv.leave_one_out(x, z)) == pytest.approx(
        cr3 * np.sqrt((x.size - 1) / x.size), rel=1e-7, abs=1e-12
    )


@given(sums, st.floats(0.01, 100), st.floats(-3, 3))
def test_scale_and_shift(xz, scale, shift):
    x, z = xz
    ratio = x.sum() / z.sum()
    se = iv.cr3j(ratio, iv.leave_one_out(x, z))
    scaled = iv.cr3j(ratio * scale, iv.leave_one_out(x * scale, z))
    shifted = iv.cr3j(ratio + shift, iv.leave_one_out(x + shift * z, z))
    assert scaled == pytest.approx(se * scale, rel=1e-6, abs=1e-9)
    assert shifted == pytest.approx(se, rel=1e-5, abs=1e-9)


@given(st.integers(2, 60))
def test_degrees_of_freedom_of_equal_clusters(n):
    assert iv.bell_mccaffrey_df(np.full(n, 1 / n)) == pytest.approx(n - 1)


@given(sums)
def test_uneven_clusters_have_fewer_degrees_of_freedom(xz):
    w = xz[1] / xz[1].sum()
    assert 0 < iv.bell_mccaffrey_df(w) <= w.size - 1 + 1e-9
    c = iv.clusters(w)
    assert 1 <= c.effective <= c.count + 1e-9


def test_equal_clusters_give_the_textbook_t_interval():
    from scipy import stats

    x = np.array([1.2, 0.4, 0.9, 1.7, 0.1, 0.8])
    spread = iv.Spread(
        iv.cr3j(x.mean(), iv.leave_one_out(x, np.ones(6))), iv.bell_mccaffrey_df(np.full(6, 1 / 6)), ""
    )
    i = interval(float(x.mean()), spread)
    low, high = stats.t.interval(0.95, 5, loc=x.mean(), scale=stats.sem(x))
    assert (i.low, i.high) == (pytest.approx(low), pytest.approx(high))
    assert i.p_value == pytest.approx(stats.ttest_1samp(x, 0).pvalue)


def test_a_two_way_variance_that_is_not_positive_is_left_out():
    small, large = iv.Spread(1.0, 9, "rep"), iv.Spread(3.0, 50, "cell")
    assert iv.two_way(small, small, large) is None
    assert iv.largest(small, iv.two_way(small, small, large)) is small


def test_reps_with_one_deal_are_pooled_into_one_stratum():
    e, rep = np.array([1.0, -1.0, 0.5, 0.2, -0.7]), np.array([0, 0, 1, 2, 3])
    pooled = iv.stratified(e, np.array([0, 0, 1, 1, 1]), 5.0)
    assert iv.stratified(e, rep, 5.0) == pooled


def test_a_rep_left_alone_joins_the_smallest_other():
    e, rep = np.array([1.0, -1.0, 0.5, 0.2, -0.7, 0.1]), np.array([0, 0, 0, 1, 1, 2])
    assert iv.stratified(e, rep, 6.0) == iv.stratified(e, np.array([0, 0, 0, 1, 1, 1]), 6.0)


def test_no_spread_is_no_interval():
    i = interval(1.0, iv.Spread(0.0, 5, "rep"))
    assert np.isnan([i.low, i.high, i.p_value]).all()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(6, 30))
def test_wild_bootstrap_is_never_zero_and_symmetric(seed, n):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(3, 1, n), rng.uniform(1, 5, n)
    p = iv.wild_p_value(x, z, seed=seed)
    assert 0 < p <= 1
    assert iv.wild_p_value(-x, z, seed=seed) == p


def test_wild_bootstrap_draws_from_its_own_seed():
    rng = np.random.default_rng(0)
    x, z = rng.normal(0.5, 1, 20), np.ones(20)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state must stay untouched
    assert iv.wild_p_value(x, z, seed=1) == iv.wild_p_value(x, z, seed=1)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_coverage_of_the_jackknife_on_uneven_clusters():
    """A small study: 600 draws of 10 uneven clusters; Monte Carlo error .9 points."""
    rng = np.random.default_rng(11)
    size = rng.lognormal(0, 0.8, 10).clip(0.2)
    w = size / size.sum()
    df, hits = iv.bell_mccaffrey_df(w), 0
    for _ in range(600):
        x = size * rng.normal(0, 0.3, 10) + np.sqrt(size) * rng.normal(0, 0.3, 10)
        ratio = x.sum() / size.sum()
        i = interval(ratio, iv.Spread(iv.cr3j(ratio, iv.leave_one_out(x, size)), df, ""))
        hits += i.low <= 0 <= i.high
    assert 0.925 <= hits / 600 <= 0.985
