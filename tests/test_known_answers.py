"""The package against R: the reference numbers beside the checkout, and what follows from them by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval import scores
from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as intervals
from forecasteval.scores import reliability as calibration

KNOWN = Path(__file__).parents[2] / "shared" / "known_answers"
pytestmark = pytest.mark.skipif(
    not KNOWN.is_dir(), reason="the reference numbers are not beside the checkout"
)


def known(name):
    return json.loads((KNOWN / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def deals():
    table = pd.read_csv(KNOWN / "deals_toy.csv")
    return table.rename(columns={"p_model": "model", "p_rep": "rep_forecast", "quarter": "period"})


@pytest.fixture(scope="module")
def toy():
    return known("cluster")["deals_toy"]


def row(deals, metric, generalise_to, **options):
    c = fe.compare(deals, "model", "rep_forecast", metrics=[metric], generalise_to=generalise_to, **options)
    return c.primary


@pytest.mark.parametrize(("metric", "name"), [("brier", "d_brier"), ("log_score", "d_log")])
def test_difference_and_its_standard_error_over_reps(deals, toy, metric, name):
    found = row(deals, metric, ("rep",))
    cr3 = toy[name]["CR3"]["se"]  # clubSandwich's CR3 has no (G - 1)/G
    assert -found["difference"] == pytest.approx(toy[name]["mean"], rel=1e-9)
    assert found["se"] == pytest.approx(cr3 * np.sqrt(11 / 12), rel=1e-9)
    assert found["df"] == pytest.approx(toy["d_brier"]["CR3"]["df_bm"], rel=1e-9)


def test_the_arm_towards_zero_is_students_t_with_the_numbers_of_r(deals, toy):
    """Here reps differ in bias more than the model does, so only the arm away from zero is longer."""
    from scipy import stats

    found, df = row(deals, "brier", ("rep",)), toy["d_brier"]["CR3"]["df_bm"]
    se = toy["d_brier"]["CR3"]["se"] * np.sqrt(11 / 12)
    half = stats.t.ppf(0.975, df) * se
    assert found["high"] == pytest.approx(-toy["d_brier"]["mean"] + half, rel=1e-9)
    assert found["p_value"] == pytest.approx(2 * stats.t.sf(toy["d_brier"]["mean"] / se, df), rel=1e-9)
    assert 1 < (found["difference"] - found["low"]) / half <= caution.LONGEST_ARM + 1e-9


def test_two_way_standard_error(deals):
    found = row(deals, "brier", ("rep", "period"))
    assert found["se"] == pytest.approx(0.02427, abs=5e-6)  # known to four digits
    assert "two-way" in found["method"]
    assert found["df"] == pytest.approx(row(deals, "brier", ("rep",))["df"])  # the smaller of the two


def test_skill_score_jackknife(deals, toy):
    found = row(deals, "brier_skill", ("rep",))
    assert found["difference"] == pytest.approx(toy["skill_score"]["skill"], rel=1e-9)
    assert found["se"] == pytest.approx(toy["skill_score"]["jackknife_se_around_theta"], rel=1e-9)
    assert found["candidate_value"] == found["difference"]
    assert found["baseline_value"] == 0


def test_wild_bootstrap_enumerates_all_sign_vectors(deals, toy):
    assert row(deals, "brier", ("rep",))["p_wild"] == pytest.approx(
        toy["d_brier"]["WCR_full_enum_p"], rel=1e-9
    )
    assert row(deals, "log_score", ("rep",))["p_wild"] == toy["d_log"]["WCR_full_enum_p"]


def test_per_deal_scores(deals):
    listed = known("scores")
    assert scores.brier([0.271], [0])[0] == pytest.approx(listed["brier(0,0.271)"], rel=1e-9)
    assert scores.log_score([0.481], [0])[0] == pytest.approx(listed["log_score(0,0.481)"], abs=5e-8)
    mean = scores.brier([0.1, 0.9, 0.8, 0.3], [0, 1, 1, 0]).mean()
    assert mean == pytest.approx(listed["sklearn_brier([0,1,1,0],[.1,.9,.8,.3])"], rel=1e-9)
    rep, model = (scores.brier(deals[c], deals["won"]) for c in ("rep_forecast", "model"))
    np.testing.assert_allclose(rep - model, deals["d_brier"], rtol=0, atol=1e-12)
    rep, model = (scores.log_score(deals[c], deals["won"]) for c in ("rep_forecast", "model"))
    np.testing.assert_allclose(rep - model, deals["d_log"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("column", "name"), [("model", "p_model"), ("rep_forecast", "p_rep")])
def test_corp_decomposition(deals, column, name):
    expected = known("calibration")[name]["brier"]
    found = calibration.reliability(deals[column], deals["won"])
    assert found.score == pytest.approx(expected["S"], rel=1e-9)
    assert found.miscalibration == pytest.approx(expected["MCB"], rel=1e-9)
    assert found.discrimination == pytest.approx(expected["DSC"], rel=1e-9)
    assert found.uncertainty == pytest.approx(expected["UNC"], rel=1e-9)


def test_degrees_of_freedom_by_the_published_formula(toy):
    w = np.array(toy["sizes"]) / toy["n"]
    u = w / (1 - w)
    cross = sum(
        (w[g] * w[h]) ** 2 / ((1 - w[g]) ** 2 * (1 - w[h]) ** 2)
        for g in range(12)
        for h in range(12)
        if g != h
    )
    assert intervals.bell_mccaffrey_df(w) == pytest.approx(u.sum() ** 2 / ((u**2).sum() + cross), rel=1e-12)
