"""The logistic fit that knows of clusters: R's numbers, statsmodels' sandwich, refits, separation by linear programming."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from forecasteval.inference import jackknife as intervals
from forecasteval.inference import logistic


def clustered(reps=15, deals=40, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    size = np.maximum((deals * rng.lognormal(0, 0.5, reps)).astype(int), 4)
    g = np.repeat(np.arange(reps), size)
    x = rng.normal(-0.5, 1.2, g.size)
    eta = 0.2 + 0.8 * x + rng.normal(0, spread, reps)[g]
    return np.column_stack([np.ones(g.size), x]), (rng.random(g.size) < 1 / (1 + np.exp(-eta))) * 1.0, g


def test_cr0_and_the_independent_covariance_are_statsmodels_own():
    x, y, g = clustered()
    found = logistic.fit(x, y, g)
    model = sm.GLM(y, x, family=sm.families.Binomial())
    plain, clustered_fit = (
        model.fit(tol=1e-12),
        model.fit(
            tol=1e-12,
            cov_type="cluster",
            cov_kwds={"groups": g, "use_correction": False, "df_correction": False},
        ),
    )
    np.testing.assert_allclose(found.coefficients, plain.params, rtol=1e-9)
    np.testing.assert_allclose(found.independent, plain.cov_params(), rtol=1e-7)
    np.testing.assert_allclose(found.cr0, clustered_fit.cov_params(), rtol=1e-7)
    assert found.log_likelihood == pytest.approx(plain.llf, rel=1e-12)


def test_one_newton_step_is_close_to_fitting_anew_without_each_rep():
    x, y, g = clustered(reps=24, deals=60)
    found = logistic.fit(x, y, g)
    without = [
        sm.GLM(y[g != h], x[g != h], family=sm.families.Binomial()).fit(tol=1e-12).params for h in range(24)
    ]
    moved = np.array(without) - found.coefficients
    refitted = np.sqrt(np.diag(23 / 24 * moved.T @ moved))
    np.testing.assert_allclose(np.sqrt(np.diag(found.jackknife)), refitted, rtol=0.03)


def test_degrees_of_freedom_of_a_mean_are_those_of_the_ratio():
    _, y, g = clustered()
    found = logistic.fit(np.ones((y.size, 1)), y, g)
    assert found.spreads[0].df == pytest.approx(
        intervals.bell_mccaffrey_df(np.bincount(g) / g.size), rel=1e-9
    )


def test_degrees_of_freedom_by_the_matrices_that_define_them():
    """tr(C)^2 / tr(C^2) with C = Q W Q', built over deals instead of over clusters."""
    x, y, g = clustered(reps=7, deals=12)
    found = logistic.fit(x, y, g)
    mu = 1 / (1 + np.exp(-x @ found.coefficients))
    w = mu * (1 - mu)
    m = x.T @ (x * w[:, None])
    rows = []
    for h in range(7):
        inside = g == h
        m_h = x[inside].T @ (x[inside] * w[inside, None])
        score_of_error = x.T * inside - m_h @ np.linalg.inv(m) @ x.T
        rows.append(np.linalg.inv(m - m_h)[1] @ score_of_error)
    q = np.array(rows)
    c = (q * w) @ q.T
    assert found.spreads[1].df == pytest.approx(np.trace(c) ** 2 / np.trace(c @ c), rel=1e-9)


def refusal(x, y):
    try:
        logistic.fit(x, y, np.arange(len(y)))
    except logistic.NotEstimable as error:
        return error.code
    return None


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=6, max_size=25))
def test_separation_is_refused_exactly_where_linear_programming_finds_it(pairs):
    x = np.column_stack([np.ones(len(pairs)), [a for a, _ in pairs]]).astype(float)
    y = np.array([float(b) for _, b in pairs])
    if y.min() == y.max() or np.ptp(x[:, 1]) == 0:
        return
    signed = (2 * y - 1)[:, None] * x
    best = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(y)), bounds=[(-1, 1)] * 2)
    separated = -best.fun > 1e-9
    code = refusal(x, y)
    if code != "one_cluster":  # a single deal decides the slope: refused first
        assert (code == "separation") == separated


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda x, y, g: (x, np.ones_like(y), g), "one_class"),
        (lambda x, y, g: (np.column_stack([x[:, 0], np.full(y.size, 0.3)]), y, g), "constant"),
        (lambda x, y, g: (np.column_stack([x, x[:, 1] * 2 + 1]), y, g), "collinear"),
        (lambda x, y, g: (np.column_stack([x[:, 0], y * 2 - 1]), y, g), "separation"),
        (lambda x, y, g: (x, y, np.zeros_like(g)), "one_cluster"),
    ],
)
def test_what_cannot_be_estimated_is_refused_by_name(change, code):
    with pytest.raises(logistic.NotEstimable) as refused:
        logistic.fit(*change(*clustered()))
    assert refused.value.code == code
    assert str(refused.value).endswith(".")


@settings(max_examples=15)
@given(st.integers(0, 1000))
def test_order_of_rows_and_sign_of_the_outcome(seed):
    x, y, g = clustered(seed=seed)
    found = logistic.fit(x, y, g)
    order = np.random.default_rng(seed).permutation(y.size)
    again = logistic.fit(x[order], y[order], g[order])
    np.testing.assert_allclose(again.jackknife, found.jackknife, rtol=1e-7)
    turned = logistic.fit(x, 1 - y, g)
    np.testing.assert_allclose(turned.coefficients, -found.coefficients, rtol=1e-7, atol=1e-9)
    for a, b in zip(turned.spreads, found.spreads, strict=True):
        assert a.df == pytest.approx(b.df, rel=1e-6)


def test_log_odds_at_the_edge_are_moved_and_counted():
    values, moved = logistic.logit([0.0, 0.5, 1.0, 0.2], epsilon=0.01)
    assert moved == 2
    assert np.isfinite(values).all()
    assert values[0] == pytest.approx(-values[2])
    with pytest.raises(ValueError, match=r"2 probabilities are missing or outside \[0, 1\]; the first is 40"):
        logistic.logit([0.1, 40, np.nan])


def test_coverage_over_uneven_reps():
    """400 draws of 10 uneven reps whose log-odds differ; the slope is 1. Monte Carlo error about 1.1 points."""
    rng = np.random.default_rng(5)
    hits = naive = 0
    for _ in range(400):
        size = np.maximum((40 * rng.lognormal(0, 0.8, 10)).astype(int), 5)
        g = np.repeat(np.arange(10), size)
        x = rng.normal(-0.8, 1, g.size)
        tilt = rng.normal(1, 0.4, 10)[g]  # reps differ in their slope
        y = (rng.random(g.size) < 1 / (1 + np.exp(-tilt * x))) * 1.0
        found = logistic.fit(np.column_stack([np.ones(g.size), x]), y, g)
        slope = found.estimate(1, null=0.9126)  # the slope of the mixture, from 4 million deals
        hits += slope.low <= 0.9126 <= slope.high
        naive += abs(slope.value - 0.9126) <= 1.96 * np.sqrt(found.independent[1, 1])
    assert 0.925 <= hits / 400 <= 0.985
    assert naive / 400 < 0.88


def test_a_yes_or_no_of_which_one_answer_was_always_won_says_so_in_words():
    x, y, g = clustered()
    flag = np.where((y == 1) & (np.arange(y.size) % 2 == 0), 6.9, -6.9)
    with pytest.raises(
        logistic.NotEstimable, match=rf"all {(flag > 0).sum()} deals with a higher one were won"
    ) as said:
        logistic.fit(np.column_stack([x[:, 0], flag]), y, g)
    assert said.value.code == "separation"
    with pytest.raises(logistic.NotEstimable, match="deals with a lower one were not won"):
        logistic.fit(np.column_stack([x[:, 0], flag]), 1 - y, g)
