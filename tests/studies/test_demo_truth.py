"""The tool is held to the truth that was planted in the demo organisation."""

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.matching.matched import META

DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture(scope="module")
def truth():
    return json.loads((DEMO / "truth.json").read_text())


@pytest.fixture(scope="module")
def latent():
    """Deal by deal, the true chance at each week."""
    spec = importlib.util.spec_from_file_location("generate", DEMO / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return pd.DataFrame(module.generate().latent)


@pytest.fixture(scope="module")
def org():
    return fe.read(DEMO)


def week(org, number, forecasters=("vendor_x", "rep_forecast")):
    return fe.match(org, as_of=f"week {number}", forecasters=list(forecasters))


def test_the_headline_of_the_demo_is_true_and_clear(org, latent):
    matched = week(org, 4, ["model", "rep_forecast"])
    c = fe.compare(matched, "model", "rep_forecast")
    assert c.verdict == "candidate better"
    assert c.primary["reliable"]
    true = latent[latent["week"] == 4][["deal_id", "period", "pi"]]
    known = matched.merge(true, on=["deal_id", "period"])
    assert len(known) == len(matched)
    gap = ((known["model"] - known["pi"]) ** 2 - (known["rep_forecast"] - known["pi"]) ** 2).mean()
    assert c.primary["low"] < gap < c.primary["high"]


@pytest.mark.parametrize("number", range(1, 13))
def test_the_interval_of_each_week_holds_the_planted_difference(org, truth, number):
    planted = next(w for w in truth["weeks"] if w["week"] == number)
    c = fe.compare(week(org, number), "vendor_x", "rep_forecast", metrics=["brier"])
    row = c.primary
    winner = {"candidate better": "vendor_x", "baseline better": "rep_forecast"}.get(c.verdict)
    assert winner in (None, planted["truly_better"])
    if pd.notna(row["low"]):
        # twelve intervals at 95%: one may miss a little, none by much
        slack = 0.5 * (row["high"] - row["low"])
        assert row["low"] - slack < planted["expected_difference"] < row["high"] + slack


def test_the_vendor_is_seen_to_be_ahead_early_and_not_late(org, truth):
    by_week = {
        n: fe.compare(week(org, n), "vendor_x", "rep_forecast", metrics=["brier"]) for n in (5, 6, 7, 11)
    }
    assert [by_week[n].verdict for n in (5, 6, 7)] == ["candidate better"] * 3
    assert by_week[11].verdict != "candidate better"


def test_matching_finds_the_population_that_was_planted(org, latent):
    """Deals, entered probabilities and scores at week 4, against the generator's own record."""
    matched = week(org, 4)
    true = latent[(latent["week"] == 4)]
    both = matched.merge(true, on=["deal_id", "period"], how="outer", suffixes=("", "_true"), indicator=True)
    both = both[both["period"].isin(matched["period"].unique())]
    assert (both["_merge"] != "left_only").all()
    lost = org.deals.set_index("deal_id").loc[both.loc[both["_merge"] == "right_only", "deal_id"]]
    # who owned a deal is not known for those entered before owner changes were recorded
    assert (lost["created_on"] < "2024-02-10").all()
    same = both[both["_merge"] == "both"]
    pd.testing.assert_series_equal(
        same["rep_forecast"], same["rep_probability"], check_names=False, atol=0.0051, rtol=0
    )


def test_the_share_of_stage_defaults_is_measured(org, truth):
    matched = week(org, 4, ["rep_forecast"])
    share = matched.attrs[META]["forecasters"]["rep_forecast"]["stage_default_share"]
    assert share == pytest.approx(truth["stage_default_share"]["deals_at_week_4"], abs=0.03)


def test_biased_reps_are_biased_the_way_they_were_planted(org, truth):
    matched = week(org, 4, ["rep_forecast"])
    planted = pd.DataFrame(truth["reps"]).set_index("rep")["expected_bias_week_4"]
    found = (matched["rep_forecast"] - matched["won"]).groupby(matched["rep"]).agg(["mean", "size", "std"])
    found = found[found["size"] >= 30].join(planted)
    assert len(found) >= 8
    z = (found["mean"] - found["expected_bias_week_4"]) / (found["std"] / found["size"] ** 0.5)
    assert z.abs().max() < 4
    assert found["mean"].corr(found["expected_bias_week_4"]) > 0.5


@pytest.mark.parametrize("number", [4, 8])
def test_the_vendor_that_saw_the_outcome_is_caught_and_the_honest_one_is_not(org, truth, number):
    assert truth["hindsight"] == ["vendor_y"]
    for name in ("vendor_x", "vendor_y"):
        c = fe.compare(week(org, number, (name, "rep_forecast")), name, "rep_forecast")
        caught = "hindsight" in {r["code"] for r in c.primary["reasons"]}
        assert caught == (name in truth["hindsight"])
        assert c.primary["reliable"] != caught
        assert ("looks like hindsight" in c.headline) == caught


def test_what_calls_tell_is_told_from_a_habit(org, truth):
    """The worked example of data/demo/README.md, run as it stands."""
    block = (DEMO / "README.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]
    code, said = {}, []
    for line in block.replace('fe.read("data/demo")', "org").splitlines():
        statement, _, expected = line.partition("  # ")
        if expected:
            said.append((eval(statement, code), expected.strip()))
        else:
            exec(line, code | {"org": org} if "org" not in code else code, code)
    assert [found for found, _ in said] == [expected for _, expected in said] == ["yes", "not shown"]
    planted = truth["call_analysis"]
    assert planted == {"adds_to_reps_and_stages": ["call_score"], "adds_nothing": ["talk_ratio"]}
