"""Partial pooling of rep bias: R's metafor on a famous table, statsmodels, coverage, and whom it protects."""

import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from forecasteval.compare import rep_bias as pooling
from forecasteval.errors import CallError

# 13 trials of BCG vaccine (Colditz et al. 1994, JAMA 271(9)): cases and others, vaccinated and not
TRIALS = np.array(
    [
        [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619], [33, 5036, 47, 5761],
        [180, 1361, 372, 1079], [8, 2537, 10, 619], [505, 87886, 499, 87892], [29, 7470, 45, 7232],
        [17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338], [27, 16886, 29, 17825],
    ]
)  # fmt: skip


def risk_ratios():
    a, b, c, d = TRIALS.T
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_spread_between_trials_against_metafor():
    """confint(rma(ai, bi, ci, di, data=dat.bcg, measure="RR", method="PM")): tau^2 .3181, .1197 to 1.1115."""
    found = pooling.between(*risk_ratios())
    assert found.tau.value**2 == pytest.approx(0.3181, abs=5e-5)
    assert found.tau.low**2 == pytest.approx(0.1197, abs=5e-5)
    assert found.tau.high**2 == pytest.approx(1.1115, abs=5e-5)


def test_mean_and_spread_against_statsmodels():
    y, v = risk_ratios()
    other = combine_effects(y, v, method_re="pm", atol=1e-9)
    found = pooling.between(y, v)
    assert found.tau.value**2 == pytest.approx(other.tau2, rel=1e-6)
    assert found.mean.value == pytest.approx(other.mean_effect_re, rel=1e-6)
    assert found.mean.se == pytest.approx(other.sd_eff_w_re, rel=1e-6)


effects = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.001, 1)), min_size=5, max_size=30).map(
    lambda pairs: tuple(np.array(c) for c in zip(*pairs, strict=True))
)


@given(effects, st.floats(-2, 2), st.floats(0.1, 10))
def test_shift_and_scale(yv, shift, scale):
    y, v = yv
    a, b = pooling._shrink(y, v), pooling._shrink(y * scale + shift, v * scale**2)
    np.testing.assert_allclose(b["shrunken"], a["shrunken"] * scale + shift, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(b["pulled"], a["pulled"], rtol=1e-4, atol=1e-5)


@given(effects)
def test_every_rep_moves_towards_the_mean_and_none_beyond_it(yv):
    y, v = yv
    mean = pooling.between(y, v).mean.value
    found = pooling._shrink(y, v)
    assert ((found["pulled"] > 0) & (found["pulled"] < 1)).all()
    assert (np.abs(found["shrunken"] - mean) <= np.abs(y - mean) + 1e-9).all()
    assert ((found["shrunken"] - mean) * (y - mean) >= -1e-12).all()
    assert (found["low"] < found["shrunken"]).all()


def test_the_less_is_known_of_a_rep_the_further_it_is_pulled():
    found = pooling._shrink([0.3] * 6, [0.001, 0.002, 0.01, 0.02, 0.1, 1.0])
    assert found["pulled"].is_monotonic_increasing


def pilot(tau=0.1, reps=20, per=40, seed=0, bias=0.1):
    rng = np.random.default_rng(seed)
    size = np.maximum((per * rng.lognormal(0, 0.8, reps)).astype(int), 3)
    g = np.repeat(np.arange(reps), size)
    truth = rng.normal(bias, tau, reps)
    p = rng.uniform(0.3, 0.7, g.size)
    won = (rng.random(g.size) < np.clip(p - truth[g], 0, 1)).astype(int)
    return pd.DataFrame(
        {"deal_id": range(g.size), "rep": [f"Ann{i}" for i in g], "won": won, "model": p}
    ), truth


def test_intervals_cover_and_shrinking_helps():
    """60 pilots: intervals of single reps hold the truth, the small ones too, and the error shrinks."""
    inside, small, stands_out, better, of_tau = [], [], [], 0, 0
    for seed in range(60):
        table, truth = pilot(seed=seed)
        found = pooling.rep_bias(table, "model", show_names=True, least=0)
        t = found.table
        true = truth[[int(n.removeprefix("Ann")) for n in t["name"]]]
        held = (t["low"] <= true) & (true <= t["high"])
        inside.append(held.mean())
        small.append(held[t["deals"] < 20].mean())
        stands_out.append(held.iloc[int(t["shrunken"].abs().argmax())])
        better += np.square(t["shrunken"] - true).mean() < np.square(t["bias"] - true).mean()
        of_tau += found.tau.low <= 0.1 <= found.tau.high
    assert 0.93 <= np.mean(inside) <= 0.995  # wider than pooling alone, whose upper bound was 0.98 here
    assert 0.93 <= np.nanmean(small) <= 0.999
    assert np.mean(stands_out) >= 0.93
    assert better >= 50
    assert of_tau >= 52


def test_the_interval_holds_what_the_own_deals_say_and_what_all_say_together():
    """A rep of another kind: pooling alone would pull the whole interval towards the others."""
    y, v = np.array([0.0, 0.01, -0.01, 0.02, -0.02, 0.0, 0.6]), np.full(7, 0.01)
    found = pooling._shrink(y, v)
    assert (found["low"] <= y - 1.95 * 0.1).all()
    assert (found["high"] >= y + 1.95 * 0.1).all()
    assert found["low"].iloc[-1] < found["shrunken"].iloc[-1] < 0.6


@pytest.mark.parametrize("law", ["exponential", "rare kind"])
def test_intervals_hold_for_the_rep_who_is_read(law, monkeypatch):
    """tests/benchmarks/bias_of_the_extreme_rep.py in small: 40 reps, biases that are not normal."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    lab = importlib.import_module("bias_of_the_extreme_rep")
    rng = np.random.default_rng(3)
    found = pd.DataFrame([lab.one(rng, 40, law, 0.08) for _ in range(40)]).mean()
    for who in ("shown", "from all", "truly"):
        assert found["ours", who] >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 40)
        assert found["ours", who] > found["pooled", who]


def test_reps_who_do_not_differ_are_not_told_apart():
    table, _ = pilot(tau=0.0)
    found = pooling.rep_bias(table, "model")
    assert found.tau.low == 0
    assert np.ptp(found.table["shrunken"]) < 0.1


def test_small_reps_are_shown_by_the_shrunken_value_only_and_nobody_is_ranked():
    table, _ = pilot()
    found = pooling.rep_bias(table, "model")
    few = found.table["deals"] < pooling.LEAST_DEALS
    assert few.any()
    assert found.table.loc[few, "bias"].isna().all()
    assert found.table.loc[few, "shrunken"].notna().all()
    assert found.table.loc[~few, "bias"].notna().all()
    assert found.table["deals"].is_monotonic_decreasing  # by deals, never by bias


def test_names_are_numbers_unless_asked_for():
    table, _ = pilot()
    assert pooling.rep_bias(table, "model").table["name"].str.fullmatch(r"rep \d+").all()
    assert pooling.rep_bias(table, "model", show_names=True).table["name"].str.startswith("Ann").all()


def test_a_deal_that_is_seen_twice_counts_once():
    table, _ = pilot()
    once, twice = (pooling.rep_bias(t, "model") for t in (table, pd.concat([table, table])))
    pd.testing.assert_frame_equal(once.table, twice.table, rtol=1e-9)


def test_row_order_does_not_matter():
    table, _ = pilot()
    a, b = (pooling.rep_bias(t, "model") for t in (table, table.sample(frac=1, random_state=1)))
    pd.testing.assert_frame_equal(a.table, b.table, rtol=1e-9)


def test_what_cannot_be_said_is_refused():
    table, _ = pilot()
    assert (
        "4 reps: at least 5"
        in pooling.rep_bias(table[table["rep"].isin(["Ann0", "Ann1", "Ann2", "Ann3"])], "model").reason
    )
    assert pooling.rep_bias(table.drop(columns="rep"), "model").reason == "The table knows no reps."
    assert "differ from each other" in pooling.rep_bias(table.assign(won=0, model=0.3), "model").reason
    with pytest.raises(CallError, match="outside 0-1"):
        pooling.rep_bias(table.assign(model=30), "model")
    with pytest.raises(CallError, match="no forecast named vendor"):
        pooling.rep_bias(table, "vendor")
    with pytest.raises(ValueError, match="at least 5 are needed"):
        pooling._shrink([0.1] * 4, [0.1] * 4)
    with pytest.raises(ValueError, match="variance above 0"):
        pooling.between([0.1, 0.2], [0.0, 1.0])
