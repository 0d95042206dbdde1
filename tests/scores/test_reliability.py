"""Reliability: ties pooled, parts that add up, an independent isotonic fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from forecasteval.scores import reliability as calibration

forecasts = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=80)


def arrays(pairs):
    return np.array([p / 10 for p, _ in pairs]), np.array([float(w) for _, w in pairs])


@given(forecasts)
def test_the_parts_add_up_and_none_is_negative(pairs):
    r = calibration.reliability(*arrays(pairs))
    assert r.miscalibration - r.discrimination + r.uncertainty == pytest.approx(r.score, abs=1e-12)
    assert min(r.miscalibration, r.discrimination) >= -1e-12


@given(forecasts, st.randoms())
def test_the_order_of_tied_deals_does_not_matter(pairs, random):
    shuffled = list(pairs)
    random.shuffle(shuffled)
    a, b = (calibration.reliability(*arrays(p)) for p in (pairs, shuffled))
    assert a.miscalibration == pytest.approx(b.miscalibration, abs=1e-12)
    np.testing.assert_allclose(a.recalibrated, b.recalibrated, atol=1e-12)


@given(forecasts)
def test_the_curve_is_the_isotonic_regression(pairs):
    p, y = arrays(pairs)
    r = calibration.reliability(p, y)
    other = IsotonicRegression(y_min=0, y_max=1).fit(p, y)
    np.testing.assert_allclose(r.recalibrated, other.predict(r.probability), atol=1e-9)
    assert (np.diff(r.recalibrated) >= -1e-12).all()


def test_steps_count_every_deal_once():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    r = calibration.reliability(p, rng.random(500) < p)
    assert sum(n for _, _, n in r.bins()) == 500


def test_a_perfect_forecast_stays_within_its_band():
    rng = np.random.default_rng(1)
    p = np.repeat(np.linspace(0.05, 0.95, 10), 60)
    inside = []
    for _ in range(40):
        r = calibration.reliability(p, rng.random(600) < p)
        grid, low, high = calibration.consistency_band(p, draws=100, seed=2)
        curve = np.interp(grid, r.probability, r.recalibrated)
        inside.append(((curve >= low) & (curve <= high)).mean())
    assert 0.85 <= np.mean(inside) <= 0.95  # 90% at each point
