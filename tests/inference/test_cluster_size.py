"""Size and what is measured: the mean over clusters, and a test of whether it differs from that over rows."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forecasteval.inference.cluster_size import per_cluster

SIZES = np.array([10.0, 25, 40, 60, 90, 130, 200, 333])


def drawn(rng, n, slope):
    """Sums and sizes of clusters whose mean changes by `slope` for each sd of log size."""
    log_size = rng.normal(0, 0.8, n)
    z = np.maximum(np.round(40 * np.exp(log_size)), 3)
    ratio = slope * log_size / 0.8 + rng.normal(0, 0.05, n) + rng.normal(0, 0.2, n) / np.sqrt(z)
    return ratio * z, z


def test_the_mean_is_that_of_the_ratios_with_students_interval():
    ratio = np.array([0.1, 0.3, -0.2, 0.0, 0.2, 0.1, 0.05, -0.1])
    found = per_cluster(ratio * SIZES, SIZES)
    low, high = stats.t.interval(0.95, 7, ratio.mean(), stats.sem(ratio))
    assert (found.mean.value, found.mean.low, found.mean.high) == pytest.approx((ratio.mean(), low, high))
    assert found.mean.df == 7
    assert found.clusters == 8


def test_the_slope_is_that_of_weighted_least_squares():
    rng = np.random.default_rng(1)
    x, z = drawn(rng, 12, 0.03)
    weight = z / (z + np.median(z))
    fit = sm.WLS(x / z, sm.add_constant(np.log2(z)), weights=weight).fit(cov_type="HC3", use_t=True)
    found = per_cluster(x, z)
    assert found.slope == pytest.approx(fit.params[1])
    t = fit.params[1] / (fit.bse[1] * np.sqrt(11 / 12))  # the jackknife is HC3 times (G - 1)/G
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(t), 10))


@pytest.mark.parametrize("reps", [6, 20, 60])
def test_size_that_tells_nothing_is_said_to_tell_in_one_of_twenty_at_most(reps):
    rng = np.random.default_rng(2)
    hits = np.mean([per_cluster(*drawn(rng, reps, 0.0)).informative for _ in range(600)])
    assert hits < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 600)


def test_size_that_tells_is_found_where_reps_are_many():
    rng = np.random.default_rng(3)
    power = [
        np.mean([per_cluster(*drawn(rng, n, 0.05)).informative for _ in range(100)]) for n in (6, 20, 60)
    ]
    assert power == sorted(power)
    assert power[2] > 0.9


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.01, 1000))
def test_order_unit_and_side_do_not_matter(seed, unit):
    rng = np.random.default_rng(seed)
    x, z = drawn(rng, 8, 0.02)
    found, order = per_cluster(x, z), rng.permutation(8)
    same = [per_cluster(x[order], z[order]), per_cluster(-x, z), per_cluster(unit * x, z)]
    assert [s.p_value for s in same] == pytest.approx([found.p_value] * 3, rel=1e-6)
    assert same[1].mean.value == -found.mean.value


def test_where_there_is_nothing_to_tell():
    assert per_cluster(np.ones(4), np.ones(4)) is None  # too few
    assert per_cluster(np.array([1.0, np.inf, 2, 3, 4]), np.ones(5)) is None
    even = per_cluster(np.arange(6.0), np.full(6, 10.0))
    assert np.isnan(even.p_value)
    assert not even.informative
    assert per_cluster([1.0, 2, 3, 4, 5, 0], [1.0, 1, 1, 1, 1, 0]).clusters == 5  # one that weighs nothing
