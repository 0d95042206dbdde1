"""Components of variance: the classical analysis of variance, REML, and unequal cells."""

import numpy as np
import pandas as pd
import pytest

from forecasteval.compare.variance_of_history import measure
from forecasteval.inference.variance_components import Components, Crossed


def matched_of(d_by_row, rep, period):
    """A matched table whose Brier difference is d: the baseline says 0 of deals that are lost."""
    n = len(rep)
    return pd.DataFrame(
        {
            "deal_id": range(n),
            "rep": rep,
            "period": period,
            "won": 0,
            "model": np.sqrt(d_by_row),
            "rep_forecast": 0.0,
        }
    )


@pytest.fixture(scope="module")
def balanced():
    rng = np.random.default_rng(5)
    rep, period = np.repeat(np.arange(12), 60), np.tile(np.repeat(np.arange(6), 10), 12)
    d = 0.4 + (
        rng.normal(0, 0.04, 12)[rep]
        + rng.normal(0, 0.03, 6)[period]
        + rng.normal(0, 0.03, (12, 6))[rep, period]
    )
    return d + rng.normal(0, 0.05, rep.size), rep, period


def test_components_of_equal_cells_are_the_classical_analysis_of_variance(balanced):
    d, rep, period = balanced
    found = measure(matched_of(d, rep, period), "model", "rep_forecast").components
    cube = d.reshape(12, 6, 10)
    cell, by_rep, by_period = cube.mean(2), cube.mean((1, 2)), cube.mean((0, 2))
    inside = ((cube - cell[:, :, None]) ** 2).sum() / (12 * 6 * 9)
    both = 10 * ((cell - by_rep[:, None] - by_period + d.mean()) ** 2).sum() / (11 * 5)
    reps, periods = 60 * by_rep.var(ddof=1), 120 * by_period.var(ddof=1)
    expected = [(reps - both) / 60, (periods - both) / 120, (both - inside) / 10, inside]
    assert min(expected) > 0
    assert found.variances == pytest.approx(expected, rel=1e-9)


def test_components_are_those_of_reml(balanced):
    """statsmodels' MixedLM, one random effect: reps alone, unequal ones."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    d, rep, _ = balanced
    found = measure(matched_of(d, rep, 0), "model", "rep_forecast").components
    fit = MixedLM(10 * d, np.ones(d.size), groups=rep).fit(reml=True)
    assert found.rep**2 == pytest.approx(float(np.asarray(fit.cov_re).item()) / 100, rel=1e-4)
    assert found.deal**2 == pytest.approx(fit.scale / 100, rel=1e-4)


def test_components_of_unequal_cells_are_right_on_average():
    rng = np.random.default_rng(8)
    n = rng.integers(1, 30, (15, 8))
    rep, period = (np.repeat(i, n.ravel()) for i in np.indices(n.shape).reshape(2, -1))
    truth = Components(0.03, 0.02, 0.015, 0.06)
    found = []
    for _ in range(200):
        effect = rng.normal(0, truth.rep, 15)[rep] + rng.normal(0, truth.period, 8)[period]
        effect += rng.normal(0, truth.rep_period, (15, 8))[rep, period] + rng.normal(0, truth.deal, rep.size)
        crossed = Crossed(np.repeat(np.arange(15), 8), np.tile(np.arange(8), 15), n.ravel().astype(float))
        sums = np.bincount(rep * 8 + period, effect, 120)
        found.append(crossed.variances(sums, (effect**2).sum() - (sums**2 / n.ravel()).sum()))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(np.mean(found, axis=0) - truth.variances) < 3 * error).all()
