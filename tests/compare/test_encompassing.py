"""Who knows something that the other does not, and the best mix: independent fits, refusals, coverage."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import forecasteval as fe
from forecasteval.compare import encompassing as en
from forecasteval.errors import CallError


def expit(x):
    return 1 / (1 + np.exp(-x))


def deals(reps=20, n=60, seed=0, model=(1.0, 1.0), rep=(1.0, 0.0), alike=0.3):
    """Two things can be known of a deal; either forecaster sees them with its own weights."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(reps), n)
    known, extra = rng.normal(size=(2, g.size))
    won = rng.random(g.size) < expit(-0.5 + known + extra + rng.normal(0, alike, reps)[g])
    return pd.DataFrame(
        {
            "deal_id": range(g.size),
            "rep": g,
            "period": np.arange(g.size) % 6,
            "won": won.astype(int),
            "model": expit(-0.5 + model[0] * known + model[1] * extra),
            "rep_forecast": expit(-0.5 + rep[0] * known + rep[1] * extra),
        }
    )


def codes_of(found):
    return [r["code"] for r in found.reasons]


def test_coefficients_are_those_of_an_independent_fit():
    table = deals(model=(0.3, 1.0), rep=(1.0, 0.2))
    found = en.encompassing(table, "model", "rep_forecast")
    x = sm.add_constant(np.log(table[["rep_forecast", "model"]] / (1 - table[["rep_forecast", "model"]])))
    fitted = sm.Logit(table["won"], x).fit(disp=0, tol=1e-12)
    assert found.baseline.value == pytest.approx(fitted.params["rep_forecast"], rel=1e-7)
    assert found.candidate.value == pytest.approx(fitted.params["model"], rel=1e-7)


def test_both_know_something():
    found = en.encompassing(deals(model=(0.2, 1.0), rep=(1.0, 0.1)), "model", "rep_forecast")
    assert found.candidate.low > 0
    assert found.baseline.low > 0
    assert 0.3 < found.mix.weight.value < 0.7
    assert found.half["candidate"].verdict == "candidate better"
    assert found.half["baseline"].verdict == "candidate better"


def test_the_reps_add_nothing_to_a_model_that_knows_all_they_know():
    found = en.encompassing(deals(), "model", "rep_forecast")
    assert found.candidate.low > 0
    assert found.baseline.low < 0 < found.baseline.high
    assert found.mix.weight.value == pytest.approx(1, abs=0.1)


def test_swapping_the_two_exchanges_everything():
    table = deals(model=(0.3, 1.0), rep=(1.0, 0.2))
    a, b = (en.encompassing(table, *pair) for pair in (("model", "rep_forecast"), ("rep_forecast", "model")))
    assert a.candidate.value == pytest.approx(b.baseline.value, rel=1e-9)
    assert a.candidate.low == pytest.approx(b.baseline.low, rel=1e-9)
    assert a.mix.weight.value == pytest.approx(1 - b.mix.weight.value, rel=1e-9)
    assert (a.mix.weight.low, a.mix.weight.high) == (
        pytest.approx(1 - b.mix.weight.high, rel=1e-9),
        pytest.approx(1 - b.mix.weight.low, rel=1e-9),
    )


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_no_other_weight_scores_better(seed):
    table = deals(reps=8, n=25, seed=seed, model=(0.3, 1.0))
    mix = en.best_mix(table, "model", "rep_forecast", generalise_to=("rep",))

    def brier(w):
        return np.square(
            table["rep_forecast"] + w * (table["model"] - table["rep_forecast"]) - table["won"]
        ).mean()

    assert brier(mix.weight.value) <= min(brier(mix.weight.value + 0.01), brier(mix.weight.value - 0.01))
    assert mix.use == np.clip(mix.weight.value, 0, 1)


def test_weight_and_its_spread_by_regression_and_by_leaving_out():
    table = deals(model=(0.3, 1.0), rep=(1.0, 0.2))
    gap = table["model"] - table["rep_forecast"]
    ols = sm.OLS(table["won"] - table["rep_forecast"], gap).fit()
    mix = en.best_mix(table, "model", "rep_forecast", generalise_to=("rep",))
    assert mix.weight.value == pytest.approx(ols.params.iloc[0], rel=1e-9)
    without = [
        en.best_mix(table[table["rep"] != r], "model", "rep_forecast", generalise_to=("rep",)).weight.value
        for r in range(20)
    ]
    se = np.sqrt(19 / 20 * np.square(np.array(without) - mix.weight.value).sum())
    # t with almost 19 degrees of freedom, the arms lengthened a little for what skewness there is
    assert 2.09 <= (mix.weight.high - mix.weight.low) / 2 / se < 2.4


def test_a_weight_outside_0_to_1_is_reported_and_clipped_only_for_use():
    table = deals(model=(-0.5, 0.0), rep=(1.0, 1.0))
    mix = en.best_mix(table, "model", "rep_forecast", generalise_to=("rep",))
    assert mix.weight.value < 0
    assert mix.weight.low < 0
    assert mix.use == 0


def test_what_cannot_be_told_is_refused_with_its_reason():
    table = deals()
    collinear = en.encompassing(
        table.assign(model=lambda t: t["rep_forecast"] * 0.98 + 0.01), "model", "rep_forecast"
    )
    assert codes_of(collinear) == ["collinear"]
    assert collinear.candidate is None
    assert np.isfinite(collinear.mix.weight.value)
    separated = en.encompassing(table.assign(model=lambda t: t["won"] * 0.6 + 0.2), "model", "rep_forecast")
    assert codes_of(separated) == ["separation"]
    assert codes_of(en.encompassing(table.assign(model=0.3), "model", "rep_forecast")) == ["constant"]
    assert codes_of(en.encompassing(table.assign(won=0), "model", "rep_forecast")) == ["one_class"]
    few = en.encompassing(table[table["rep"] < 4], "model", "rep_forecast")
    assert codes_of(few) == ["too_few_reps"]
    assert "4 reps: at least 5" in few.mix.reason
    assert np.isnan(few.mix.weight.low)
    same = en.encompassing(table.assign(model=table["rep_forecast"]), "model", "rep_forecast")
    assert same.mix.reason == "The two say the same of every deal; every mix is the same."
    assert same.candidate is None
    unknown = en.encompassing(table.drop(columns=["rep", "period"]), "model", "rep_forecast")
    assert codes_of(unknown) == ["no_reps"]
    with pytest.raises(CallError, match="needs two probabilities"):
        en.encompassing(table.assign(model=table["model"] * 100), "model", "rep_forecast")


def test_silence_and_certainty_are_counted():
    table = deals()
    table.loc[:9, "model"] = np.nan
    table.loc[10:12, "rep_forecast"] = [0.0, 1.0, 0.0]
    found = en.encompassing(table, "model", "rep_forecast")
    assert found.deals == len(table) - 10
    assert found.moved >= 3
    assert "moved_from_the_edge" in codes_of(found)


def test_half_and_half_is_scored_like_any_forecaster():
    table = deals(model=(0.3, 1.0))
    found = en.encompassing(table, "model", "rep_forecast", generalise_to=("rep",))
    mixed = table.assign(mixed=(table["model"] + table["rep_forecast"]) / 2)
    by_hand = fe.compare(mixed, "mixed", "model", metrics=["brier"], generalise_to=("rep",)).primary
    assert found.half["candidate"].primary["difference"] == pytest.approx(by_hand["difference"], rel=1e-12)
    assert found.half["candidate"].primary["low"] == pytest.approx(by_hand["low"], rel=1e-12)


def test_error_rate_where_the_candidate_adds_nothing():
    """100 pilots with 10 uneven reps whose deals resemble each other: one of twenty may err."""
    wrong = inside = 0
    for seed in range(100):
        table = deals(reps=10, n=50, seed=seed, model=(1.0, 0.0), rep=(1.0, 1.0), alike=0.5)
        noisy = table.assign(
            model=lambda t: expit(
                np.log(t["model"] / (1 - t["model"])) + np.random.default_rng(1).normal(size=len(t))
            )
        )
        found = en.encompassing(noisy, "model", "rep_forecast", generalise_to=("rep",))
        wrong += not found.candidate.low <= 0 <= found.candidate.high
        inside += found.mix.weight.low <= 0.0 <= found.mix.weight.high
    assert wrong / 100 <= 0.1
    assert inside / 100 >= 0.88


def test_what_a_score_adds_is_the_coefficient_of_an_independent_fit():
    table = deals(model=(0.3, 1.0), rep=(1.0, 0.2))
    found = en.adds(table, "model", ["rep_forecast"])
    pair = en.encompassing(table, "model", "rep_forecast")
    for name in ("value", "low", "high", "df", "se", "p_value"):
        assert getattr(found.weight, name) == pytest.approx(getattr(pair.candidate, name), rel=1e-12)
    assert (found.weight.reliable, found.weight.reasons) == (pair.candidate.reliable, pair.candidate.reasons)
    ranks = en.adds(table.assign(model=np.exp(5 * table["model"])), "model", ["rep_forecast"])
    x = pd.DataFrame({"one": 1.0, "rep": np.log(table["rep_forecast"] / (1 - table["rep_forecast"]))})
    x["said"] = stats.norm.ppf(table["model"].rank() / (len(table) + 1))
    assert ranks.ranks
    assert ranks.weight.value == pytest.approx(
        sm.Logit(table["won"], x).fit(disp=0, tol=1e-12).params["said"], rel=1e-6
    )


def test_a_score_beside_two_and_one_that_the_two_tell_already():
    table = deals(model=(0.3, 1.0), rep=(1.0, 0.2)).assign(
        stage_rate=lambda t: expit(np.log(t["model"] / (1 - t["model"])) / 2)
    )
    assert (
        en.adds(table.assign(heard=np.random.default_rng(1).normal(size=len(table))), "heard").verdict
        == "not shown"
    )
    told = en.adds(table.assign(same=table["rep_forecast"] ** 0.999), "same", ["rep_forecast", "stage_rate"])
    assert told.verdict == "cannot be told"
    assert codes_of(told) == ["collinear"]


def test_silence_is_counted_and_who_is_not_there_is_named():
    table = deals().assign(heard=lambda t: np.where(t.index % 4 == 0, np.nan, t.index % 7))
    found = en.adds(table, "heard", ["rep_forecast", "stage_rate"])
    assert found.share == 0.75
    assert found.beside == ("rep_forecast",)
    assert "stage_rate does not speak" in found.reasons[0]["text"]
    with pytest.raises(CallError, match="no forecast named herd"):
        en.adds(table, "herd")
