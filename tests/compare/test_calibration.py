"""Calibration with tests: R's numbers, and the traps in which other tools are caught."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import forecasteval as fe
from forecasteval.compare import calibration as ct
from forecasteval.inference import logistic
from forecasteval.scores.reliability import reliability


def calibrated(reps=12, deals=40, alike=0.0, seed=0, round_to=None):
    """A forecast that is right on average, for reps whose deals resemble each other."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(reps), deals)
    p = rng.beta(1.2, 2.6, g.size).clip(0.01, 0.99)
    if round_to:
        p = (np.round(p * round_to) / round_to).clip(0.05, 0.95)
    latent = np.sqrt(alike) * rng.normal(size=reps)[g] + np.sqrt(1 - alike) * rng.normal(size=g.size)
    return p, (latent < stats.norm.ppf(p)).astype(float), g


@pytest.mark.parametrize(("column", "name"), [("model", "p_model"), ("rep_forecast", "p_rep")])
def test_against_r(known, toy_deals, column, name):
    expected = known("calibration")[name]
    c = ct.calibrate(toy_deals[column], toy_deals["won"], toy_deals["rep"], epsilon=1e-14)
    assert c.in_the_large.value == pytest.approx(expected["calibration_in_the_large"], rel=1e-9)
    assert c.intercept.value == pytest.approx(expected["intercept"], rel=1e-9)
    assert c.slope.value == pytest.approx(expected["slope"], rel=1e-9)
    assert c.likelihood_ratio[0] == pytest.approx(expected["LR_test_0_1"]["chi2"], rel=1e-9)
    assert c.likelihood_ratio[1] == pytest.approx(expected["LR_test_0_1"]["p"], rel=1e-9)
    assert c.spiegelhalter[0] == pytest.approx(expected["spiegelhalter"]["z"], rel=1e-9)
    assert c.spiegelhalter[1] == pytest.approx(expected["spiegelhalter"]["p"], rel=1e-8)
    assert c.moved == 0


@pytest.mark.parametrize(("column", "name"), [("model", "p_model"), ("rep_forecast", "p_rep")])
def test_cluster_standard_errors_against_r(known, toy_deals, column, name):
    """R's are CR0 and CR0 x sqrt(G/(G - 1)); what is reported is the jackknife, wider than both."""
    expected = known("calibration")[name]
    y, g = toy_deals["won"].to_numpy(float), ct.codes(toy_deals["rep"], len(toy_deals))
    said, _ = logistic.logit(toy_deals[column], epsilon=1e-14)
    one = np.ones((y.size, 1))
    large = logistic.fit(one, y, g, offset=said)
    assert np.sqrt(large.independent[0, 0]) == pytest.approx(expected["se"], rel=1e-7)
    assert np.sqrt(large.cr0[0, 0]) == pytest.approx(expected["cluster_CR0"], rel=1e-9)
    assert np.sqrt(large.cr0[0, 0] * 12 / 11) == pytest.approx(expected["cluster_HC1"], rel=1e-9)
    free = logistic.fit(np.column_stack([one, said]), y, g)
    np.testing.assert_allclose(np.sqrt(np.diag(free.independent)), expected["se_int_slope"], rtol=1e-7)
    # R takes the weights of its last step but one: ours are those of a Newton search to the last digit
    np.testing.assert_allclose(np.sqrt(np.diag(free.cr0)), expected["cluster_CR0_int_slope"], rtol=1e-8)
    np.testing.assert_allclose(
        np.sqrt(np.diag(free.cr0) * 12 / 11), expected["cluster_CR1_int_slope"], rtol=1e-8
    )
    assert (np.diag(free.jackknife) > np.diag(free.cr0)).all()


def test_in_the_large_is_not_the_free_intercept(toy_deals):
    c = ct.calibrate(toy_deals["model"], toy_deals["won"], toy_deals["rep"], epsilon=1e-14)
    assert c.in_the_large.value == pytest.approx(0.326, abs=5e-4)
    assert c.intercept.value == pytest.approx(0.726, abs=5e-4)


def test_the_gap_is_the_bias_of_a_comparison(toy_deals):
    c = ct.calibrate(toy_deals["model"], toy_deals["won"], toy_deals["rep"])
    row = fe.compare(toy_deals, "model", "rep_forecast", metrics=["bias"], generalise_to=("rep",)).primary
    assert c.gap.value == pytest.approx(row["candidate_value"], rel=1e-12)
    assert (c.gap.low, c.gap.high) == (
        pytest.approx(row["candidate_low"], rel=1e-9),
        pytest.approx(row["candidate_high"], rel=1e-9),
    )


def test_in_the_large_says_only_whether_the_mean_is_right():
    """A forecast with the right mean and the wrong slope is fine in the large, and caught by its slope."""
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, 6000)
    y = (rng.random(6000) < 1 / (1 + np.exp(-x))) * 1.0
    c = ct.calibrate(1 / (1 + np.exp(-2 * x)), y, np.arange(6000) % 25)
    assert c.in_the_large.low < 0 < c.in_the_large.high
    assert c.slope.high < 1
    assert c.slope.low < 0.5 < c.slope.high


def test_a_perfect_forecast_has_miscalibration_too_and_is_not_accused_of_it():
    rejected, shown = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        p = rng.random(50)
        found = ct.word_test(p, rng.random(50) < p, draws=39, seed=seed)
        shown.append(found.miscalibration)
        rejected += found.p_value <= 0.05
        assert found.expected > 0.02  # what chance alone shows at 50 deals
    assert np.mean(shown) > 0.02
    assert rejected <= 7  # 2 expected; 8 or more in 1 of 1,000 such studies


def test_deals_of_one_rep_are_drawn_as_alike_as_they_are():
    """120 calibrated forecasts for 10 reps: drawing deals independently accuses far more of them."""
    clustered = naive = 0
    for seed in range(120):
        p, y, g = calibrated(reps=10, deals=60, alike=0.1, seed=seed)
        clustered += ct.word_test(p, y, g, draws=39, seed=seed).p_value <= 0.05
        naive += ct.word_test(p, y, draws=39, seed=seed).p_value <= 0.05
    assert clustered / 120 <= 0.12
    assert naive / 120 >= 0.15
    assert naive > clustered


def test_a_forecast_that_is_off_is_found():
    p, y, g = calibrated(reps=20, deals=60, alike=0.03)
    assert ct.word_test(p**0.5, y, g, draws=99).p_value == 0.01


def test_p_is_one_plus_the_count_over_one_plus_the_draws():
    p, y, g = calibrated()
    found = ct.word_test(p, y, g, draws=19)
    assert (found.p_value * 20) % 1 == pytest.approx(0, abs=1e-9)
    assert 1 / 20 <= found.p_value <= 1


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_neither_row_order_nor_ties_matter(seed):
    p, y, g = calibrated(reps=6, deals=20, alike=0.1, seed=seed, round_to=6)
    order = np.random.default_rng(seed).permutation(p.size)
    a, b = (ct.word_test(p[o], y[o], g[o], draws=19) for o in (slice(None), order))
    assert a.p_value == b.p_value
    assert a.miscalibration == pytest.approx(b.miscalibration, abs=1e-12)
    assert a.resemblance == pytest.approx(b.resemblance, abs=1e-12)


def test_miscalibration_of_the_draws_is_that_of_the_curve():
    """The short form inside the draws equals the decomposition of the whole sample."""
    p, y, g = calibrated(round_to=6)
    found = ct.word_test(p, y, g, draws=9)
    assert found.miscalibration == reliability(p, y).miscalibration


def test_resemblance_is_found_again():
    """The mean of 60 estimates lies near the planted correlation; none is below 0."""
    found = [ct._resemblance(*calibrated(reps=30, deals=60, alike=0.1, seed=s)) for s in range(60)]
    assert np.mean(found) == pytest.approx(0.1, abs=0.02)
    none = [ct._resemblance(*calibrated(reps=30, deals=60, seed=s)) for s in range(20)]
    assert min(none) == 0
    assert np.mean(none) < 0.01


def test_draws_come_from_their_own_seed():
    p, y, g = calibrated()
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state must stay untouched
    assert ct.word_test(p, y, g, seed=3) == ct.word_test(p, y, g, seed=3)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def codes_of(c):
    return [r["code"] for r in c.reasons]


def test_certainty_is_moved_by_a_declared_amount_and_counted():
    p, y, g = calibrated()
    p[:3] = [0.0, 1.0, 0.0]
    c = ct.calibrate(p, y, g, epsilon=0.01)
    assert c.moved == int(((p < 0.01) | (p > 0.99)).sum())
    assert f"{c.moved} of 480 probabilities lie within 0.01 of 0 or 1" in c.reasons[0]["text"]
    assert np.isfinite(c.slope.value)


def test_what_cannot_be_said_is_refused_with_its_reason():
    p, y, g = calibrated()
    assert codes_of(ct.calibrate(p, y, g % 4)) == ["too_few_reps"]
    assert codes_of(ct.calibrate(p, np.ones_like(y), g)) == ["one_class"]
    assert codes_of(ct.calibrate(np.full(y.size, 0.3), y, g)) == ["constant"]
    assert codes_of(ct.calibrate(y * 0.8 + 0.1, y, g)) == ["separation"]
    assert codes_of(ct.calibrate(p, y)) == ["no_reps"]
    constant = ct.calibrate(np.full(y.size, 0.3), y, g)
    assert constant.in_the_large is not None  # a single rate can still be right on average
    assert constant.slope is None
    assert ct.word_test(p, y, g % 4).p_value is None
    assert ct.word_test(p, np.ones_like(y), g).p_value is None
    with pytest.raises(ValueError, match="lie outside"):
        ct.calibrate(p * 100, y, g)


def test_swapping_win_and_loss_turns_the_sign():
    p, y, g = calibrated(alike=0.1)
    a, b = ct.calibrate(p, y, g), ct.calibrate(1 - p, 1 - y, g)
    assert a.in_the_large.value == pytest.approx(-b.in_the_large.value, rel=1e-8)
    assert a.slope.value == pytest.approx(b.slope.value, rel=1e-8)
    assert a.spiegelhalter[0] == pytest.approx(b.spiegelhalter[0], rel=1e-8)


def test_coverage_in_the_large_over_new_reps():
    """200 calibrated forecasts for 12 reps whose deals resemble each other; independence would fail."""
    hits = naive = 0
    for seed in range(200):
        p, y, g = calibrated(reps=12, deals=40, alike=0.05, seed=seed)
        c = ct.calibrate(p, y, g)
        hits += c.in_the_large.low <= 0 <= c.in_the_large.high
        alone = logistic.fit(np.ones((y.size, 1)), y, g, offset=logistic.logit(p)[0])
        naive += abs(alone.coefficients[0]) <= 1.96 * np.sqrt(alone.independent[0, 0])
    assert 0.90 <= hits / 200 <= 0.99
    assert naive / 200 < 0.88
