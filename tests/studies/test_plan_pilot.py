"""A pilot's plan: known answers, what must hold whatever the numbers, simulation, and the notebook as it is run."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import planning_against_simulation as simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import forecasteval as fe
from forecasteval.compare.variance_of_history import measure
from forecasteval.errors import CallError, RunFailed
from forecasteval.inference import power as planning
from forecasteval.inference import variance_components as variance
from forecasteval.inference.few_clusters import satterthwaite_df
from forecasteval.inference.jackknife import bell_mccaffrey_df, t_quantile
from forecasteval.inference.power import Design
from forecasteval.inference.variance_components import Components
from forecasteval.report.make import make_report
from forecasteval.studies.plan_pilot import figures as pictures
from forecasteval.studies.plan_pilot import words
from forecasteval.studies.plan_pilot.study import Pilot

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "plan_pilot.ipynb"
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
    plan = planning.expected(Design(reps, 1, 9, uneven=0.0), ONLY_REPS, ("rep",))
    assert plan.by_students_t().detectable() == pytest.approx(expected, rel=1e-7)
    assert plan.detectable() > expected  # chance makes reps look skewed, and the interval allows for it


@known_power
def test_power_is_that_of_r():
    """power.t.test(n = 12, delta = .5, type = "paired")."""
    expected = json.loads(KNOWN.read_text())["paired_n12_delta.5_power"]
    plan = planning.expected(Design(12, 1, 9, uneven=0.0), ONLY_REPS, ("rep",))
    assert plan.by_students_t().power(0.5) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("reps", "level", "power"), [(6, 0.95, 0.8), (15, 0.9, 0.9), (60, 0.99, 0.7)])
def test_power_is_that_of_statsmodels(reps, level, power):
    from statsmodels.stats.power import TTestPower

    expected = TTestPower().solve_power(nobs=reps, alpha=(1 - level) / 2, power=power, alternative="larger")
    plan = planning.expected(Design(reps, 3, 9, uneven=0.0), ONLY_REPS, ("rep",)).by_students_t()
    assert plan.detectable(level=level, power=power) == pytest.approx(expected, rel=1e-6)


def test_two_quantiles_times_the_standard_error_are_close():
    plan = planning.expected(Design(20, 4, 12, uneven=0.0), USUAL, ("rep",))
    rough = (stats.t.ppf(0.975, 19) + stats.t.ppf(0.8, 19)) * plan.se
    assert plan.by_students_t().detectable() == pytest.approx(rough, rel=0.01)


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
        crossed = variance._Crossed(
            {"rep": np.repeat(np.arange(15), 8), "period": np.tile(np.arange(8), 15), "cell": np.arange(120)},
            n.ravel().astype(float),
        )
        sums = np.bincount(rep * 8 + period, effect, 120)
        found.append(crossed.variances(sums, (effect**2).sum() - (sums**2 / n.ravel()).sum()))
    error = np.std(found, axis=0, ddof=1) / np.sqrt(200)
    assert (np.abs(np.mean(found, axis=0) - truth.variances) < 3 * error).all()


# --- what must hold -------------------------------------------------------------------------------------

designs = st.builds(
    Design, st.integers(5, 40), st.integers(6, 12), st.floats(2, 60), st.sampled_from([0.0, 0.4, 0.8])
)
components = st.builds(
    Components, st.floats(0.002, 0.1), st.floats(0.0, 0.05), st.floats(0.0, 0.05), st.floats(0.05, 0.4)
)
questions = st.sampled_from(planning.QUESTIONS)


@settings(max_examples=60, deadline=None)
@given(designs, components, questions, st.floats(0.1, 10))
def test_units_do_not_matter(design, c, question, by):
    scaled = Components(*(by * s for s in (c.rep, c.period, c.rep_period, c.deal)))
    assert planning.detectable(design, scaled, question) == pytest.approx(
        by * planning.detectable(design, c, question), rel=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(designs, components, questions)
def test_power_at_the_smallest_difference_is_the_power_that_was_asked_for(design, c, question):
    plan = planning.expected(design, c, question)
    assert plan.power(plan.detectable(power=0.8)) == pytest.approx(0.8, abs=1e-6)
    assert plan.power(plan.detectable() / 2) < 0.8 < plan.power(plan.detectable() * 2)


@settings(max_examples=60, deadline=None)
@given(designs, components, questions)
def test_more_of_anything_never_hurts(design, c, question):
    """But where reps are uneven: more deals show that they differ, which costs degrees of freedom, and no more."""
    now, w = planning.detectable(design, c, question), design.share
    fewest = float(satterthwaite_df(w, w * w))  # where nothing but the reps' own effects is left
    most = bell_mccaffrey_df(w)
    cost = max(t_quantile(0.975, min(fewest, most)) / t_quantile(0.975, most), 1.0)
    allowed = now * (1.01 if design.uneven == 0 else 1.03 * cost)
    assert planning.detectable(replace(design, deals=2 * design.deals), c, question) <= allowed
    assert planning.endless(design, c, question) <= allowed
    if design.uneven == 0:
        assert planning.detectable(replace(design, reps=2 * design.reps), c, question) <= now * 1.01
        assert planning.detectable(replace(design, periods=2 * design.periods), c, question) <= now * 1.01


@settings(max_examples=30, deadline=None)
@given(designs, components, st.floats(0.005, 0.2))
def test_the_fewest_is_enough_and_one_less_is_not(design, c, difference):
    number = planning.fewest("reps", design, c, ("rep",), difference)

    def told(reps):
        return planning.detectable(replace(design, reps=reps), c, ("rep",)) <= difference

    if number is None:
        assert not told(planning.MOST["reps"])
    else:
        assert told(number)
        assert (
            number == 5 or planning.doubt(replace(design, reps=number - 1), ("rep",)) or not told(number - 1)
        )


def test_deals_help_the_same_reps_and_not_new_ones():
    design = Design(12, 4, 15)
    assert planning.endless(design, USUAL, ("deal",)) < 1e-5
    assert planning.endless(design, USUAL, ("rep",)) > 0.02
    assert planning.fewest("deals", design, USUAL, ("rep",), 0.02) is None


def test_too_small_a_pilot_gets_no_verdict_and_says_why():
    assert planning.doubt(Design(4, 8, 50), ("rep",)) == "fewer than 5 reps"
    assert planning.doubt(Design(20, 5, 50), BOTH) == "fewer than 6 periods"
    assert planning.doubt(Design(5, 8, 9, sizes=(1.0, 1.0, 1.0, 1.0, 90.0)), ("rep",)).startswith(
        "one rep with 9"
    )
    assert planning.fewest("reps", Design(20, 4, 50), USUAL, BOTH, 0.5) is None


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
    plan = planning.expected(design, USUAL, question)
    told = plan.detectable()
    differences = [0.6 * told, told]
    found = simulation.normal_pilots(design, USUAL, question, differences, runs, seed=3)
    for difference, share in zip(differences, found, strict=True):
        power = plan.power(difference)
        assert abs(share - power) < 3 * np.sqrt(power * (1 - power) / runs)


def test_compare_finds_what_was_predicted_where_deals_are_won_or_lost():
    design, slip, differs, runs = Design(12, 4, 15, uneven=0.5), 0.08, 0.03, 400
    difference, c = simulation.components_of(slip, differs, 0.0, reps=500)
    plan = planning.expected(design, c, ("rep",))
    rng = np.random.default_rng(4)
    options = {"metrics": ["brier"], "generalise_to": ("rep",)}
    drawn = [
        fe.compare(
            simulation.deals_of(design, slip, differs, 0.0, rng), "model", "rep_forecast", **options
        ).primary
        for _ in range(runs)
    ]
    power, se = plan.power(difference), np.sqrt(np.mean([r["se"] ** 2 for r in drawn]))
    share = np.mean([r["verdict"] == "candidate better" for r in drawn])
    assert abs(share - power) < 3 * np.sqrt(power * (1 - power) / runs)
    assert se == pytest.approx(plan.se, rel=0.03)
    assert np.std([r["difference"] for r in drawn]) == pytest.approx(np.sqrt(plan.variance), rel=0.12)


def test_showing_the_reps_ahead_takes_more_where_their_bias_varies_more():
    """The longer arm then lies towards zero: what is found lies between the plans without and with a full lean."""
    design, slip, differs, worse, runs = Design(12, 4, 15, uneven=0.5), 0.05, 0.05, 0.18, 200

    def pilot(design, rng):
        table = simulation.deals_of(design, slip, differs, 0.0, rng)
        return table.assign(model=(table["model"] + rng.choice((-worse, worse), len(table))).clip(0, 1))

    rng = np.random.default_rng(0)
    many = pilot(Design(800, 20, 10, uneven=0.0), rng)
    d = (many["model"] - many["won"]) ** 2 - (many["rep_forecast"] - many["won"]) ** 2
    _, c = simulation.components_of(slip, differs, 0.0, reps=400)
    deal = np.sqrt(d.var() - c.rep**2 - c.rep_period**2)
    plan = planning.expected(design, replace(c, deal=float(deal)), ("rep",))
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
    assert 1 < plan.detectable(lean=1.0) / plan.detectable() < 1.8


# --- the plan in words and pictures -----------------------------------------------------------------------


def test_the_card_says_what_the_numbers_say():
    plan = Pilot(difference=0.02, reps=12, quarters=2, deals=20, uneven=0.0).plan()
    card = words.answer_card(plan).text
    assert "0.02 cannot be told with this pilot" in card
    assert f"difference in Brier score of {plan.detectable:.3f} from none for new reps" in card
    assert "More deals of the same reps will not help" in card
    assert f"you need about {plan.needed['reps']} reps" in card
    assert "This rests on assumptions" in card
    assert "About new quarters it can say nothing, having fewer than 6 quarters" in card


def test_the_card_of_a_pilot_that_is_large_enough():
    plan = Pilot(difference=0.05, reps=30, quarters=8, deals=5).plan()
    card = words.answer_card(plan).text
    assert card.startswith("0.05 can be told")
    assert "for new reps and new quarters" in card
    assert "More deals of the same reps do help" in card


def test_a_question_that_cannot_be_answered_is_not_answered():
    plan = Pilot(difference=0.05, reps=20, quarters=3, deals=50, generalise_to=["rep", "period"]).plan()
    assert not plan.enough
    assert "no difference can be told from none" in words.headline(plan)
    assert "fewer than 6 quarters" in words.headline(plan)


def test_pictures_draw_what_the_plan_holds():
    plan = Pilot(reps=12, quarters=4, deals=20).plan()
    lines, floor = pictures.by_reps(plan), pictures.by_deals(plan)
    drawn = lines.figure.axes[0].lines[0]
    assert list(drawn.get_xdata()) == list(plan.by_reps[plan.by_reps["quarters"] == 1]["reps"])
    assert "needs about" in lines.alt
    assert floor.alt.startswith("More deals of the same reps never get to 0.02")
    nothing = Pilot(reps=12, quarters=6, sds={"rep": 0.0, "deal": 0.1}, generalise_to=["period"]).plan()
    assert len(pictures.by_reps(nothing).png()) > 1000


def test_wrong_values_are_refused_all_at_once():
    with pytest.raises(CallError) as refused:
        Pilot(difference=0.0, power=80, generalise_to=["quarter"], sds={"reps": 0.1}, uneven=-1)
    for sentence in (
        "5 parameters",
        "difference: 0.0",
        "power: 80",
        "['quarter'] is not one of",
        "sds: reps: 0.1",
    ):
        assert sentence in str(refused.value)
    with pytest.raises(CallError, match="Nothing varies"):
        Pilot(sds=dict.fromkeys(variance.NAMES, 0.0)).plan()
    with pytest.raises(CallError, match="plan at least two"):
        Pilot(reps=1, generalise_to=["rep"]).plan()


# --- the notebook -----------------------------------------------------------------------------------------


def run(out, data=ROOT / "data" / "demo", *, no_data=False, **parameters):
    if no_data:
        parameters["data"] = ""
    folder = make_report(NOTEBOOK, out=out, data=data, parameters=parameters, allow_stale=True)
    return json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text(), folder


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo"))


def test_the_history_of_the_demo_plans_a_pilot(demo):
    results, page, folder = demo
    said = text_of(page)
    assert results["headline"] in said
    assert results["history"]["reps"] == 24
    assert results["components"]["deal"]["source"] == "measured"
    low, high = results["detectable_between"]
    assert low < results["detectable"] < high
    assert {p.stem for p in (folder / "figures").iterdir()} == {"by_reps", "by_deals"}
    assert all(len(alt) > 40 for alt in re.findall(r'<img[^>]+alt="([^"]*)"', page))
    ladder = pd.read_csv(folder / "tables" / "ladder.csv")
    assert ladder["detectable"].iloc[-1] == pytest.approx(results["detectable"], rel=1e-9)
    assert "<script" not in page


def test_the_prediction_is_near_the_interval_that_the_demo_got(demo):
    """The interval of the demo itself came from the same 24 reps and 6 quarters: its SE is one draw."""
    org = fe.read(ROOT / "data" / "demo")
    matched = fe.match(org, as_of="week 4", forecasters=["model", "rep_forecast"])
    history = measure(matched, "model", "rep_forecast")
    design = Design(history.reps, history.periods, history.deals, sizes=history.sizes)
    for question in planning.QUESTIONS:
        c = fe.compare(matched, "model", "rep_forecast", metrics=["brier"], generalise_to=question)
        assert planning.expected(design, history.components, question).se == pytest.approx(
            c.primary["se"], rel=0.35
        )


def test_the_same_input_gives_the_same_results(demo):
    """Worked out again in another process, to the last digit."""
    pilot = Pilot()
    plan = pilot.plan(pilot.past(str(ROOT / "data" / "demo")))
    again = pilot.results(plan, words.headline(plan))
    assert json.dumps(again) == json.dumps(demo[0])


def test_assumptions_alone_and_other_sizes(tmp_path):
    results, page, _ = run(tmp_path, data=None, no_data=True, reps=12, quarters=2, difference=0.03)
    assert results["history"] is None
    assert {c["source"] for c in results["components"].values()} == {"assumed"}
    assert results["generalise_to"] == ["rep"]
    assert "With 12 reps, 2 quarters" in text_of(page)


def test_the_notebook_refuses_in_a_sentence(tmp_path):
    with pytest.raises(RunFailed) as refused:
        run(tmp_path, candidate="modle", difference=0.01)
    assert refused.value.exit_code == 2
    assert "There is no forecaster modle" in str(refused.value)


def test_papermill_explains_the_parameters():
    from papermill.inspection import inspect_notebook

    found = inspect_notebook(str(NOTEBOOK))
    assert len(found) == 21
    assert all(
        p["help"] and p["inferred_type_name"] in {"str", "list", "float", "int", "dict"}
        for p in found.values()
    )


def test_cells_are_thin():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    text = ["".join(c["source"]) for c in cells if "parameters" not in c["metadata"].get("tags", ())]
    assert not [t for t in text if re.search(r"^\s*(for|while|def|if)\b|groupby", t, re.M)]
