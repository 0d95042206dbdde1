"""Clusters in a row: a test that holds its level, and a widening that is what an AR(1) makes of the jackknife."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.inference.jackknife import cr3j, leave_one_out
from forecasteval.inference.resemblance import _GRID, _expected, alike, resemblance, shown_once_in


def in_a_row(rng, runs, n, rho):
    """Series with mean 0 and spread 1 whose neighbours have this correlation."""
    x = rng.normal(size=(runs, n))
    for t in range(1, n):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    return x


def of(series):
    return resemblance(series - series.mean(), np.full(series.size, 1 / series.size))


def rate(series):
    return np.mean([of(s).found for s in series])


@pytest.mark.parametrize("n", [4, 8, 20])
def test_independent_clusters_are_called_alike_in_one_of_twenty_series(n):
    assert rate(in_a_row(np.random.default_rng(1), 600, n, 0.0)) == pytest.approx(0.055, abs=0.03)


def test_the_test_is_weak_as_it_says():
    rng = np.random.default_rng(2)
    assert rate(in_a_row(rng, 400, 8, 0.5)) == pytest.approx(1 / shown_once_in(8), abs=0.07)
    assert rate(in_a_row(rng, 400, 20, 0.5)) == pytest.approx(0.65, abs=0.08)


def test_uneven_clusters_are_not_called_alike_more_often():
    rng = np.random.default_rng(3)
    share = rng.lognormal(0, 0.7, 10)
    share /= share.sum()
    x = rng.normal(size=(400, 10))
    found = [resemblance(share * (row - share @ row), share).found for row in x]
    assert np.mean(found) < 0.08


@pytest.mark.parametrize(("n", "rho"), [(4, 0.5), (8, 0.5), (12, 0.8)])
def test_the_widening_is_what_an_autocorrelation_makes_of_the_jackknife(n, rho):
    rng, share = np.random.default_rng(4), np.linspace(1, 2, n)
    share /= share.sum()
    squares = []
    for correlation in (rho, 0.0):
        x = in_a_row(rng, 20000, n, correlation) * share
        se = [cr3j(row.sum(), leave_one_out(row, share)) for row in x[:3000]]
        squares.append(x.sum(axis=1).var() / np.mean(np.square(se)))
    expected, widening = _expected(share)
    assert np.interp(rho, _GRID, widening) ** 2 == pytest.approx(squares[0] / squares[1], rel=0.06)
    assert (np.diff(expected) > 0).all()
    assert (np.diff(widening) > 0).all()
    assert widening[0] == 1


@settings(max_examples=25)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=12), st.floats(0.01, 100))
def test_direction_sign_and_unit_do_not_matter(values, unit):
    series = np.array(values)
    if np.ptp(series) < 1e-3:
        return
    for other in (series[::-1], -series, unit * series):
        assert of(other).value == pytest.approx(of(series).value, abs=1e-9)
        assert of(other).p_value == pytest.approx(of(series).p_value, abs=1e-9)


def test_doubt_can_only_widen():
    series = in_a_row(np.random.default_rng(5), 1, 8, 0.3)[0]
    even = np.full(8, 1 / 8)
    wide = [resemblance(series - series.mean(), even, doubt=d).widening for d in (0.0, 0.5, 1.0, 2.0)]
    assert wide == sorted(wide)
    assert wide[0] >= 1


def test_too_few_or_nothing_that_varies():
    assert resemblance([1.0, 0.0, -1.0], np.full(3, 1 / 3)) is None
    assert resemblance(np.zeros(8), np.full(8, 1 / 8)) is None
    assert alike(None, 1.0, 1.0, 1.0, "quarters") == []
