"""Power of a pilot: known answers, what must hold whatever the numbers, and simulation."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import planning_against_simulation as simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import forecasteval as fe
from forecasteval.compare.variance_of_history import measure
from forecasteval.inference import power
from forecasteval.inference.power import Design
from forecasteval.inference.variance_components import Components

ROOT = Path(__file__).parents[2]
KNOWN = ROOT.parent / "shared" / "known_answers" / "power.json"
known_power = pytest.mark.skipif(
    not KNOWN.is_file(), reason="the reference numbers are not beside the checkout"
)

ONLY_REPS = Components(1.0, 0.0, 0.0, 0.0)
USUAL = Components(0.03, 0.01, 0.02, 0.2)
BOTH = ("rep", "period")


# --- known answers --------------------------------------------------------------------------------------


@known_power
@pytest.mark.parametrize("reps", [4, 8, 12, 20])
def test_equal_reps_are_a_one_sample_t_test_as_r_plans_it(reps):
    """power.t.test(n, power = .8, type = "one.sample")."""
    expected = json.loads(KNOWN.read_text())["MDE_sd_units_paired_80pct"][str(reps)]
    plan = power.expected(Design(reps, 1, 9, uneven=0.0), ONLY_REPS, ("rep",))
    assert plan.detectable() == pytest.approx(expected, rel=1e-7)


@known_power
def test_power_is_that_of_r():
    """power.t.test(n = 12, delta = .5, type = "paired")."""
    expected = json.loads(KNOWN.read_text())["paired_n12_delta.5_power"]
    plan = power.expected(Design(12, 1, 9, uneven=0.0), ONLY_REPS, ("rep",))
    assert plan.power(0.5) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("reps", "level", "aim"), [(6, 0.95, 0.8), (15, 0.9, 0.9), (60, 0.99, 0.7)])
def test_power_is_that_of_statsmodels(reps, level, aim):
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().solve_power(nobs=reps, alpha=(1 - level) / 2, power=aim, alternative="larger")
    plan = power.expected(Design(reps, 3, 9, uneven=0.0), ONLY_REPS, ("rep",))
    assert plan.detectable(level=level, power=aim) == pytest.approx(expected, rel=1e-6)


def test_two_quantiles_times_the_standard_error_are_close():
    plan = power.expected(Design(20, 4, 12, uneven=0.0), USUAL, ("rep",))
    rough = (stats.t.ppf(0.975, 19) + stats.t.ppf(0.8, 19)) * plan.se
    assert plan.detectable() == pytest.approx(rough, rel=0.01)


# --- what must hold -------------------------------------------------------------------------------------

designs = st.builds(
    Design, st.integers(5, 40), st.integers(6, 12), st.floats(2, 60), st.sampled_from([0.0, 0.4, 0.8])
)
components = st.builds(
    Components, st.floats(0.002, 0.1), st.floats(0.0, 0.05), st.floats(0.0, 0.05), st.floats(0.05, 0.4)
)
questions = st.sampled_from(power.PLANNED)


@settings(max_examples=60)
@given(designs, components, questions, st.floats(0.1, 10))
def test_units_do_not_matter(design, c, question, by):
    scaled = Components(*(by * s for s in (c.rep, c.period, c.rep_period, c.deal)))
    assert power.detectable(design, scaled, question) == pytest.approx(
        by * power.detectable(design, c, question), rel=1e-6
    )


@settings(max_examples=60)
@given(designs, components, questions)
def test_power_at_the_smallest_difference_is_the_power_that_was_asked_for(design, c, question):
    plan = power.expected(design, c, question)
    assert plan.power(plan.detectable(power=0.8)) == pytest.approx(0.8, abs=1e-6)
    assert plan.power(plan.detectable() / 2) < 0.8 < plan.power(plan.detectable() * 2)


@settings(max_examples=60)
@given(designs, components, questions)
def test_more_of_anything_never_hurts(design, c, question):
    """But where reps are uneven: more deals show that they differ, which the standard error overstates a little."""
    now = power.detectable(design, c, question)
    allowed = now * (1.01 if design.uneven == 0 else 1.03)
    assert power.detectable(replace(design, deals=2 * design.deals), c, question) <= allowed
    assert power.detectable(design.endless, c, question) <= allowed
    if design.uneven == 0:
        assert power.detectable(replace(design, reps=2 * design.reps), c, question) <= now * 1.01
        assert power.detectable(replace(design, periods=2 * design.periods), c, question) <= now * 1.01


@settings(max_examples=30)
@given(designs, components, st.floats(0.005, 0.2))
def test_the_fewest_is_enough_and_one_less_is_not(design, c, difference):
    number = power.fewest("reps", design, c, ("rep",), difference)

    def told(reps):
        return power.detectable(replace(design, reps=reps), c, ("rep",)) <= difference

    if number is None:
        assert not told(power.MOST["reps"])
    else:
        assert told(number)
        assert number == 5 or replace(design, reps=number - 1).doubt(("rep",)) or not told(number - 1)


def test_deals_help_the_same_reps_and_not_new_ones():
    design = Design(12, 4, 15)
    assert power.detectable(design.endless, USUAL, ("deal",)) < 1e-5
    assert power.detectable(design.endless, USUAL, ("rep",)) > 0.02
    assert power.fewest("deals", design, USUAL, ("rep",), 0.02) is None


def test_too_small_a_pilot_gets_no_verdict_and_says_why():
    assert Design(4, 8, 50).doubt(("rep",)) == "fewer than 5 reps"
    assert Design(20, 5, 50).doubt(BOTH) == "fewer than 6 periods"
    assert Design(5, 8, 9, sizes=(1.0, 1.0, 1.0, 1.0, 90.0)).doubt(("rep",)).startswith("one rep with 9")
    assert power.fewest("reps", Design(20, 4, 50), USUAL, BOTH, 0.5) is None


# --- simulation -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("design", "question"),
    [
        (Design(5, 2, 30, uneven=0.0), ("rep",)),
        (Design(8, 4, 20, uneven=0.5), ("rep",)),
        (Design(20, 2, 15, uneven=0.8), ("rep",)),
        (Design(12, 8, 10, uneven=0.5), ("period",)),
        (Design(20, 6, 10, uneven=0.5), BOTH),
        (Design(8, 8, 10, uneven=0.0), BOTH),
        (Design(12, 4, 10, uneven=0.5), ("deal",)),
    ],
)
def test_predicted_power_is_what_simulated_pilots_find(design, question):
    runs = 1000
    plan = power.expected(design, USUAL, question)
    told = plan.detectable()
    differences = [0.6 * told, told]
    found = simulation.normal_pilots(design, USUAL, question, differences, runs, seed=3)
    for difference, share in zip(differences, found, strict=True):
        chance = plan.power(difference)
        assert abs(share - chance) < 3 * np.sqrt(chance * (1 - chance) / runs)


def test_compare_finds_what_was_predicted_where_deals_are_won_or_lost():
    design, slip, differs, runs = Design(12, 4, 15, uneven=0.5), 0.08, 0.03, 400
    difference, c = simulation.components_of(slip, differs, 0.0, reps=500)
    plan = power.expected(design, c, ("rep",))
    rng = np.random.default_rng(4)
    options = {"metrics": ["brier"], "generalise_to": ("rep",)}
    drawn = [
        fe.compare(
            simulation.deals_of(design, slip, differs, 0.0, rng), "model", "rep_forecast", **options
        ).primary
        for _ in range(runs)
    ]
    chance, se = plan.power(difference), np.sqrt(np.mean([r["se"] ** 2 for r in drawn]))
    share = np.mean([r["verdict"] == "candidate better" for r in drawn])
    assert abs(share - chance) < 3 * np.sqrt(chance * (1 - chance) / runs)
    assert se == pytest.approx(plan.se, rel=0.03)
    assert np.std([r["difference"] for r in drawn]) == pytest.approx(np.sqrt(plan.variance), rel=0.12)


def test_showing_the_reps_ahead_takes_more_where_their_bias_varies_more():
    """The longer arm then lies towards zero: what is found lies between the plans without and with a full lean."""
    design, slip, differs, worse, runs = Design(12, 4, 15, uneven=0.5), 0.02, 0.15, 0.28, 200

    def pilot(design, rng):
        table = simulation.deals_of(design, slip, differs, 0.0, rng)
        return table.assign(model=(table["model"] + rng.choice((-worse, worse), len(table))).clip(0, 1))

    rng = np.random.default_rng(0)
    many = pilot(Design(800, 20, 10, uneven=0.0), rng)
    d = (many["model"] - many["won"]) ** 2 - (many["rep_forecast"] - many["won"]) ** 2
    _, c = simulation.components_of(slip, differs, 0.0, reps=400)
    deal = np.sqrt(d.var() - c.rep**2 - c.rep_period**2)
    plan = power.expected(design, replace(c, deal=float(deal)), ("rep",))
    options = {"metrics": ["brier"], "generalise_to": ("rep",)}
    found = np.mean(
        [
            fe.compare(pilot(design, rng), "model", "rep_forecast", **options).verdict == "baseline better"
            for _ in range(runs)
        ]
    )
    most, least = plan.power(d.mean()), plan.power(d.mean(), lean=1.0)
    error = 3 * np.sqrt(0.25 / runs)
    assert least - error < found < most + error
    assert most - least > 0.15
    assert 1 < plan.detectable(lean=1.0) / plan.detectable() < 2


def test_the_prediction_is_near_the_interval_that_the_demo_got():
    """The interval of the demo itself came from the same 24 reps and 6 quarters: its SE is one draw."""
    org = fe.read(ROOT / "data" / "demo")
    matched = fe.match(org, as_of="week 4", forecasters=["model", "rep_forecast"])
    history = measure(matched, "model", "rep_forecast")
    design = Design(history.reps, history.periods, history.deals, sizes=history.sizes)
    for question in power.PLANNED:
        c = fe.compare(matched, "model", "rep_forecast", metrics=["brier"], generalise_to=question)
        assert power.expected(design, history.components, question).se == pytest.approx(
            c.primary["se"], rel=0.35
        )
