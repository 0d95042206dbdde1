"""Losses by period: the paired t, its equality with Diebold-Mariano, and the refusal of short series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasteval.inference import series

differences = st.lists(st.floats(-100, 100), min_size=8, max_size=40).filter(lambda d: np.std(d) > 1e-3)


def dm_hln(loss_a, loss_b, h=1):
    """Diebold-Mariano with the Harvey-Leybourne-Newbold correction, from their papers."""
    d = np.asarray(loss_a) - np.asarray(loss_b)
    t, mean = d.size, d.mean()
    gamma = [((d[k:] - mean) * (d[: t - k] - mean)).sum() / t for k in range(h)]
    dm = mean / np.sqrt((gamma[0] + 2 * sum(gamma[1:])) / t)
    corrected = dm * np.sqrt((t + 1 - 2 * h + h * (h - 1) / t) / t)
    return corrected, 2 * stats.t.sf(abs(corrected), t - 1)


@given(differences)
def test_equals_diebold_mariano_with_the_correction_at_one_period_ahead(d):
    found = series.paired_t(d)
    statistic, p = dm_hln(np.array(d) + 7, np.full(len(d), 7.0))
    assert found.mean.value / found.mean.se == pytest.approx(statistic, rel=1e-6, abs=1e-9)
    assert found.mean.p_value == pytest.approx(p, rel=1e-5, abs=1e-12)


def test_against_r(known):
    r = known("power")["paired_t_depression"]
    found = series.paired_t(np.array(r["x"]) - np.array(r["y"]))
    assert found.mean.value / found.mean.se == pytest.approx(r["t"], rel=1e-9)
    assert found.mean.p_value == pytest.approx(r["p"], rel=1e-9)
    assert [found.mean.low, found.mean.high] == pytest.approx(r["ci95"], rel=1e-9)


@given(differences)
def test_equal_weighted_cosines_by_the_definition(d):
    t = len(d)
    b = max(int(0.4 * t ** (2 / 3)), 1)
    sums = [
        np.sqrt(2 / t) * sum(d[i] * np.cos(np.pi * j * (i + 0.5) / t) for i in range(t))
        for j in range(1, b + 1)
    ]
    found = series._ewc(d)
    assert found.df == b
    assert found.se**2 * t == pytest.approx(np.mean(np.square(sums)), rel=1e-6, abs=1e-9)
    assert found.se >= 0  # no long-run variance below 0, so nothing to change silently


@given(differences, st.floats(0.1, 50), st.floats(-20, 20))
def test_scale_sign_and_shift(d, scale, shift):
    d = np.array(d)
    a, turned, scaled = series.paired_t(d), series.paired_t(-d), series.paired_t(d * scale)
    assert turned.mean.value == -a.mean.value
    assert (turned.mean.p_value, turned.p_ewc) == (pytest.approx(a.mean.p_value), pytest.approx(a.p_ewc))
    assert scaled.mean.p_value == pytest.approx(a.mean.p_value, rel=1e-6, abs=1e-12)
    assert series._ewc(d + shift).se == pytest.approx(series._ewc(d).se, rel=1e-6, abs=1e-7)
    assert 0 <= a.mean.p_value <= 1


@pytest.mark.parametrize("periods", range(8))
def test_short_series_give_no_number_that_could_mislead(periods):
    found = series.paired_t(np.arange(periods, dtype=float) + 1)
    assert found.reason.startswith(f"Too few periods: {periods}")
    assert np.isnan([found.mean.se, found.mean.low, found.mean.high, found.mean.p_value, found.p_ewc]).all()


def test_the_same_difference_each_time_is_refused():
    found = series.paired_t([2.0] * 12)
    assert np.isnan(found.mean.p_value)
    assert "the same in every period" in found.reason
    with pytest.raises(ValueError, match="1 of 9 periods have no finite difference"):
        series.paired_t([1.0] * 8 + [np.nan])


def test_size_where_plain_diebold_mariano_rejects_too_often():
    """At 8 periods the normal DM rejects a true null in about 1 of 9; the paired t in 1 of 20."""
    d = np.random.default_rng(0).normal(size=(4000, 8))
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / np.sqrt(8))
    ours = np.mean([series.paired_t(row).mean.p_value <= 0.05 for row in d[:1000]])
    plain = np.mean(np.abs(t * np.sqrt(8 / 7)) > 1.96)
    assert 0.03 <= ours <= 0.07
    assert plain > 0.1


def test_cosines_hold_their_size_where_neighbours_resemble_each_other():
    """AR(1) with .6 over 20 periods: the paired t is no longer right, which is why the check stands beside it."""
    rng = np.random.default_rng(1)
    t_rejects = ewc_rejects = 0
    for _ in range(1000):
        e = rng.normal(size=60)
        d = np.zeros(60)
        for i in range(1, 60):
            d[i] = 0.6 * d[i - 1] + e[i]
        found = series.paired_t(d[-20:])
        t_rejects += found.mean.p_value <= 0.05
        ewc_rejects += found.p_ewc <= 0.05
    assert t_rejects / 1000 > 0.2
    assert ewc_rejects / 1000 < 0.12
