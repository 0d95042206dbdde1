"""How much data the model needs: its calibration, words and pictures, and the notebook as it is run."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forked import make_forked
from hypothesis import given
from hypothesis import strategies as st

import forecasteval as fe
from forecasteval.compare.calibration import calibrate
from forecasteval.compare.sizes import sizes_for
from forecasteval.errors import CallError
from forecasteval.matching.matched import META
from forecasteval.report.figures import Absent
from forecasteval.report.labels import in_words
from forecasteval.report.make import make_report
from forecasteval.studies.data_sufficiency.study import Sufficiency
from forecasteval.tables.organisation import Org

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "data_sufficiency.ipynb"
KNOWN = ROOT.parent / "shared" / "known_answers"


@pytest.fixture(scope="module")
def org():
    return fe.read(ROOT / "data" / "demo")


@pytest.fixture(scope="module")
def answer(org):
    return Sufficiency(sizes=[30, 60, 200]).run(org)


# --- the calibration slope ------------------------------------------------------------------------------


@pytest.mark.skipif(not KNOWN.is_dir(), reason="the reference numbers are not beside the checkout")
@pytest.mark.parametrize("name", ["p_model", "p_rep"])
def test_slope_is_that_of_r(name):
    """glm(won ~ qlogis(p), binomial)."""
    deals = pd.read_csv(KNOWN / "deals_toy.csv")
    expected = json.loads((KNOWN / "calibration.json").read_text())[name]["slope"]
    found = calibrate(deals[name], deals["won"], deals["rep"]).slope
    assert found.value == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.3, 3.0))
def test_slope_undoes_a_stretch_of_the_log_odds(by):
    rng = np.random.default_rng(2)
    odds = rng.normal(0, 1.5, 400)
    won = (rng.random(400) < 1 / (1 + np.exp(-odds))).astype(float)
    plain, stretched = (
        calibrate(1 / (1 + np.exp(-k * odds)), won, epsilon=1e-6).slope.value for k in (1.0, by)
    )
    assert stretched * by == pytest.approx(plain, rel=1e-3)


def test_slope_says_nothing_where_nothing_differs():
    assert calibrate(np.full(50, 0.3), np.tile([0.0, 1.0], 25)).slope is None
    assert calibrate(np.linspace(0.1, 0.9, 50), np.ones(50)).slope is None


def test_the_slope_is_that_of_the_comparison_s_page(answer):
    """One owner: the same forecasts have the same slope and interval on both pages."""
    row = answer.curve.table.set_index("size").loc[30]
    table = answer.matched
    found = calibrate(table["model_n30"], table["won"], table["rep"], deal=table["deal_id"]).slope
    assert (row["slope"], row["slope_low"], row["slope_high"]) == (found.value, found.low, found.high)


# --- the curve ------------------------------------------------------------------------------------------


def test_every_size_speaks_about_the_same_deals(answer):
    learning = answer.learning
    columns = [*learning.model.values(), *learning.rule.values()]
    assert learning.table.table[columns].notna().all().all()
    assert (learning.fits.groupby("size")["deals"].unique().map(list) == [[30], [60], [200]]).all()


def test_all_that_was_known_is_the_package_s_own_model(org):
    """Learning from every closed deal must give what `match` gives as `model`."""
    matched = fe.match(org, as_of="week 4", forecasters=["model", "rep_forecast"])
    learned = matched.attrs[META]["forecasters"]["model"]["learned"][-1]
    last = Sufficiency(sizes=[learned["deals"]]).run(org).matched
    ours = last.set_index("deal_id")[f"model_n{learned['deals']}"].sort_index()
    theirs = matched[matched["period"] == learned["period"]].set_index("deal_id")["model"].sort_index()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_few_deals_make_it_overconfident_and_more_make_it_better(answer):
    table = answer.curve.table.set_index("size")
    assert table.loc[30, "slope_high"] < 0.6
    assert table.loc[200, "slope"] > table.loc[30, "slope"] + 0.3
    assert table.loc[200, "miscalibration"] < table.loc[30, "miscalibration"]
    assert table.loc[200, "brier"] < table.loc[30, "brier"]
    assert table.loc[30, "events_per_variable"] < table.loc[200, "events_per_variable"] < 10


def test_the_grid_goes_as_far_as_six_periods_can_be_judged():
    known = [0, 58, 226, 425, 657, 860, 1069, 1279]
    assert sizes_for([], known)[0][-1] == 200  # six looks had 226 or more before them
    assert sizes_for([], known[:6])[0][-1] == 200  # four such looks are left
    assert sizes_for([], [0, 20])[1].startswith("By the last period the outcome of only 20 deals")
    with pytest.raises(
        CallError, match="2,000 deals cannot be learned from; by the last period the outcome of 1,279"
    ):
        sizes_for([50, 2000], known)


# --- words and pictures -----------------------------------------------------------------------------------


def test_not_reached_is_said_with_how_far(org):
    answer = Sufficiency(baseline="rep_recalibrated", sizes=[50, 200]).run(org)
    card = answer.verdict.words().text
    assert answer.reached is None
    assert card.startswith("Not reached")
    assert "How far: the interval reaches" in card
    assert "stay with rep_recalibrated" in card
    assert answer.curve.figure().alt.startswith("Not reached: up to 200 deals")


def test_too_few_periods_cannot_be_told_which_is_not_the_same_as_not_reached(org):
    card = Sufficiency(sizes=[100, 650]).run(org).verdict.words().text
    assert card.startswith("Cannot be told")
    assert "trusted from 6" in card
    assert "would leave more quarters" in card


def test_the_rule_is_recommended_until_then(answer):
    curve = answer
    row = curve.table.set_index("size")
    said = answer.verdict.until_then
    before = [n for n in curve.learning.sizes if curve.reached is None or n < curve.reached][-1]
    assert said.startswith("Until then, use stage_rate")
    assert f"{row.loc[before, 'rule_brier']:.3f}" in said
    assert row.loc[before, "rule_brier"] < row.loc[before, "baseline_brier"]


def test_a_table_without_time_is_not_split_at_random():
    rows = pd.DataFrame({"deal_id": range(40), "won": [0, 1] * 20, "rep_forecast": 0.5})
    flat = Org(name="flat", folder=Path(), matched=rows)
    answer = Sufficiency().run(flat)
    assert answer.curve.table.empty
    assert "a random split would promise too much" in answer.verdict.headline
    assert answer.verdict.words().text.startswith("Cannot be told")
    for section in (answer.curve, answer.overconfidence, answer.segments):
        assert isinstance(section.figure(), Absent)
    for section in (answer.curve, answer.segments, answer.flow, answer.method, answer.caveats):
        assert "nothing to show" in section.words().text
    assert answer.results()["reached"] is None
    assert answer.tables() == {}


def test_a_vendor_s_scores_by_training_size():
    rng = np.random.default_rng(3)
    n = 2400
    truth = rng.beta(1.2, 2.8, n)
    rows = pd.DataFrame(
        {
            "deal_id": range(n),
            "period": [f"P{i % 8}" for i in range(n)],
            "rep": [f"r{i % 12}" for i in range(n)],
            "won": (rng.random(n) < truth).astype(int),
            "rep_forecast": (truth + 0.1).clip(0, 1),
            "vendor_50": (truth + rng.normal(0, 0.3, n)).clip(0, 1),
            "vendor_500": truth,
        }
    )
    org = Org(name="flat", folder=Path(), matched=rows)
    answer = Sufficiency(scores={"vendor_500": 500, "vendor_50": 50}).run(org)
    assert answer.learning.sizes == (50, 500)
    assert answer.reached == 500
    assert answer.curve.table.set_index("size").loc[50, "slope"] < 0.9
    assert "From 500 closed deals on the vendor's model is better" in answer.verdict.headline
    missing = Sufficiency(scores={"vendor_7": 77}).run(org)
    assert "no forecast named vendor_7" in missing.stop


def test_wrong_values_are_refused_all_at_once(org):
    with pytest.raises(CallError) as refused:
        Sufficiency(
            rule="gut", as_of="2026-02-28", sizes=[3], scores={"a": 50, "b": 50}, level=95, target="won"
        )
    for sentence in (
        "6 parameters",
        "rule: 'gut'",
        "as_of: '2026-02-28'",
        "sizes: 3",
        "scores: two",
        "level: 95",
    ):
        assert sentence in str(refused.value)
    with pytest.raises(CallError) as refused:
        Sufficiency(baseline="stage_rate", rule="stage_rate", level=95)
    assert "2 parameters" in str(refused.value)
    assert "\n- baseline: 'stage_rate' is what is compared with it; name another" in str(refused.value)
    with pytest.raises(CallError, match="no column 'planet'; the deals have region, segment"):
        Sufficiency(segments=["planet"]).run(org)


# --- the notebook -----------------------------------------------------------------------------------------


def run(out, make=make_forked, **parameters):
    data = ROOT / "data" / "demo"
    folder = make(NOTEBOOK, out=out, data=data, parameters=parameters, allow_stale=True)
    return json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text(), folder


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo"), make=make_report)


def test_the_answer_comes_first_and_is_the_tables(demo):
    results, page, folder = demo
    said = text_of(page)
    answer, crossing, judged = re.split(r"(?<=\.) (?=It passes|With 100:)", in_words(results["headline"]))
    assert (
        said.index(answer)
        < said.index(judged)
        < said.index("The learning curve Each point")
        < said.index(crossing)
    )
    card = said[said.index(answer) : said.index("Why this verdict?")]
    assert "closed deals" not in card.replace(answer, "")  # one number of deals, the answer
    curve = pd.read_csv(folder / "tables" / "learning_curve.csv")
    better = curve.loc[curve["verdict"] == "candidate better", "size"]
    assert results["reached"] == better.min()
    assert f"From {results['reached']} closed deals on" in results["headline"]
    said = (folder / "summary.txt").read_text()  # the verdict is of the same size
    assert f"Verdict: model from {results['reached']} closed deals better" in said
    assert {p.stem for p in (folder / "figures").iterdir()} == {
        "learning_curve",
        "overconfidence",
        "segments",
    }
    assert all(len(alt) > 40 for alt in re.findall(r'<img[^>]+alt="([^"]*)"', page))


def test_the_crossing_and_its_interval_are_in_the_results(demo):
    results, page, _ = demo
    at = results["crossing"]
    assert at["high"] == results["reached"]
    assert at["low"] is None
    assert at["value"] < at["high"]
    assert f"by {at['high']}, with no lower end" in text_of(page)


@pytest.mark.parametrize(("metric", "better"), [("auc", "above 0"), ("log_score", "below 0")])
def test_another_score(org, metric, better):
    answer = Sufficiency(sizes=[30, 200], metric=metric).run(org)
    assert f"{better} is better" in answer.verdict.headline
    assert f"{better}: better than the reps" in " ".join(
        t.get_text() for t in answer.curve.figure().figure.axes[0].texts
    )
    assert answer.results()["comparisons"][0]["metric"] == metric
    with pytest.raises(CallError, match="no crossing: nearer to 0 is better"):
        Sufficiency(metric="bias")


def test_segments_share_the_chance_of_a_false_answer(demo):
    segments = pd.DataFrame(demo[0]["segments"])
    assert segments["level"].to_numpy() == pytest.approx(1 - 0.05 / len(segments))
    assert set(segments["segment"]) == {"region", "segment", "type"}
    assert segments["reached"].isna().any()


def test_reps_stay_unnamed(demo, org):
    results, page, folder = demo
    everything = page + json.dumps(results) + "".join(p.read_text() for p in (folder / "tables").iterdir())
    assert not [o for o in org.deals["rep"].dropna().unique() if o in everything]


def test_the_same_input_gives_the_same_results(demo, org):
    """Worked out again in another process, to the last digit."""
    again = Sufficiency().run(org).results()
    assert json.dumps(again) == json.dumps({key: demo[0][key] for key in again})


def test_other_choices(tmp_path):
    results, _, _ = run(
        tmp_path,
        rule="base_rate",
        as_of="week 8",
        sizes=[40, 120],
        segments=["region"],
        generalise_to=["rep"],
        level=0.9,
    )
    assert results["sizes"] == [40, 120]
    assert {s["segment"] for s in results["segments"]} == {"region"}


def test_papermill_explains_the_parameters():
    from papermill.inspection import inspect_notebook

    found = inspect_notebook(str(NOTEBOOK))
    assert len(found) == 13
    assert all(
        p["help"] and p["inferred_type_name"] in {"str", "list", "list[int]", "float", "int", "dict"}
        for p in found.values()
    )


def test_cells_are_thin():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    text = ["".join(c["source"]) for c in cells if "parameters" not in c["metadata"].get("tags", ())]
    assert not [t for t in text if re.search(r"^\s*(for|while|def|if)\b|groupby", t, re.M)]
