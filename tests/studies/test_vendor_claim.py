"""A claim held against evidence: planted truths, attempts to cheat, and the notebook as it is run."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.cli import main
from forecasteval.errors import CallError
from forecasteval.report.make import make_report
from forecasteval.scores.amounts import ACCURACIES
from forecasteval.studies.vendor_claim._totals import TOTALS, by_definition
from forecasteval.studies.vendor_claim.blind_pack import claims_ledger, freeze_scores, make_pack, read_key
from forecasteval.studies.vendor_claim.claim import Claim, as_yaml
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.tables import ledger
from forecasteval.tables.organisation import Org

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "data" / "demo"


@pytest.fixture(scope="module")
def claims(tmp_path_factory):
    """A claim to be better, and one of a number."""
    place = tmp_path_factory.mktemp("claims")
    (place / "better.yaml").write_text(as_yaml(Claim(sentence="more precise than your reps", says="better")))
    (place / "accuracy.yaml").write_text(as_yaml(Claim(sentence="95% accurate", says="accuracy")))
    return place


def pilot(ahead=0.0, seed=0, reps=20, quarters=8, deals=12):
    """Deals of which the vendor knows a share `ahead` of what the reps get wrong; each rep is somewhat off."""
    rng = np.random.default_rng(seed)
    n = reps * quarters * deals
    rep, quarter = np.repeat(np.arange(reps), n // reps), np.tile(np.repeat(np.arange(quarters), deals), reps)
    truth = 1 / (1 + np.exp(-rng.normal(-0.9, 1.2, n)))
    off = rng.normal(0, 0.1, reps)[rep] + rng.normal(0, 0.1, n)
    table = pd.DataFrame({"deal_id": np.arange(n), "rep": rep, "won": (rng.random(n) < truth).astype(int)})
    return table.assign(
        period=[f"{2024 + q // 4}-Q{q % 4 + 1}" for q in quarter],
        as_of=[pd.Timestamp(2024, 1, 28) + pd.DateOffset(months=3 * int(q)) for q in quarter],
        segment=np.where(rep % 2 == 0, "Enterprise", "Mid-Market"),
        rep_forecast=(truth + off).clip(0, 1),
        vendor=(truth + (1 - ahead) * off[rng.permutation(n)]).clip(0, 1),
    )


def put(table, claims, sentence="better", about=None, **parameters):
    if about:
        table.attrs["forecasteval"] = about
    trial = Trial(claim=str(claims / f"{sentence}.yaml"), candidate="vendor", **parameters)
    return trial.run(Org("pilot", None, matched=table))


# --- planted truths -----------------------------------------------------------------------------------


def test_a_true_claim_is_supported_a_wrong_one_contradicted_and_a_thin_one_left_open(claims):
    good = put(pilot(ahead=0.9), claims)
    assert good.outcome == "supported"
    assert (
        "Vendor was better" in good.results()["headline"] or "vendor was better" in good.results()["headline"]
    )
    bad = pilot(ahead=0.9).rename(columns={"vendor": "rep_forecast", "rep_forecast": "vendor"})
    assert put(bad, claims).outcome == "contradicted"
    assert put(pilot(ahead=0.0), claims).outcome == "undecided by this evidence"


def test_a_claim_of_a_size_is_held_against_the_size(claims):
    table = pilot(ahead=0.9)
    claimed = put(table, claims).main["value"]
    assert put(table, claims, at_least=3 * claimed).outcome == "contradicted"
    assert put(table, claims, at_least=claimed / 4).outcome == "supported"
    assert put(table, claims, at_least=claimed).outcome == "undecided by this evidence"


def test_better_but_worse_in_enterprise_is_an_answer_of_its_own(claims):
    table = pilot(reps=36)
    there = table["rep"] < 8
    table["segment"] = np.where(there, "Enterprise", "Mid-Market")
    table.loc[there, "vendor"] = (table.loc[there, "vendor"] + 0.3).clip(0, 1)
    table.loc[~there, "rep_forecast"] = (table.loc[~there, "rep_forecast"] + 0.4).clip(0, 1)
    answer = put(table, claims, margin=0.01)
    assert answer.outcome == "supported, but not everywhere"
    assert answer.worse_in == ["Enterprise"]
    assert "in Enterprise" in answer.verdict.words().text
    assert "worse by more than the margin" in answer.everywhere.words().text
    assert put(table, claims, margin=0.0).outcome == "supported"  # no margin, no guardrail


def test_a_number_on_its_own_is_held_against_deals_called_right(claims):
    table = pilot()
    right = ((table["vendor"] >= 0.5) == table["won"]).mean()
    answer = put(table, claims, "accuracy", measure="called_right", at_least=0.95)
    assert answer.main["value"] == pytest.approx(right)
    assert answer.outcome == "contradicted"
    assert put(table, claims, "accuracy", measure="called_right", at_least=0.6).outcome == "supported"


def test_totals_under_every_name_agree_with_the_formulas_by_hand():
    totals = pd.DataFrame({"period": [f"Q{i}" for i in range(9)], "candidate": [120.0, 80.0, 100.0] * 3})
    totals = totals.assign(baseline=[150.0, 100.0, 130.0] * 3, actual=100.0)
    claimed = dict.fromkeys(TOTALS, 0.95)
    found = by_definition(totals, claimed, 0.95, absolute=True).set_index("definition")
    assert found.loc["miss_over_actual", "value"] == pytest.approx((0.8 + 0.8 + 1) / 3)
    assert found.loc["signed_miss_over_actual", "value"] == pytest.approx(1)
    assert found.loc["signed_miss_over_actual", "verdict"] == "undecided by this evidence"
    assert found.loc["miss_over_actual", "verdict"] == "contradicted"
    assert found.loc["all_misses_over_all_booked", "value"] == pytest.approx(1 - 120 / 900)
    assert found.loc["within_5_percent", ["value", "verdict"]].tolist() == [
        pytest.approx(1 / 3),
        "contradicted",
    ]
    assert found.loc["forecast_over_actual", "baseline_value"] == pytest.approx(3.8 / 3)
    assert found.loc["forecast_over_actual", "better_by"] == pytest.approx((0.3 - 0.2 + 0.3) / 3)
    few = by_definition(totals[:6], claimed, 0.95, absolute=True)
    assert set(few["verdict"]) == {"undecided by this evidence"}  # fewer than 8 are not a test


def test_measures_that_do_not_fit_the_claim_are_refused(claims):
    for sentence, options, words in (
        ("accuracy", {"measure": "brier", "at_least": 0.9}, "compares two"),
        ("accuracy", {"measure": "auc"}, "the number that the claim names"),
    ):
        with pytest.raises(CallError, match=words):
            put(pilot(), claims, sentence, **options)
    with pytest.raises(CallError, match="no forecast named rep_foreca"):
        put(pilot(), claims, baseline="rep_foreca")


def test_what_is_left_open_has_a_number_of_quarters_and_of_reps(claims):
    answer = put(pilot(ahead=0.5, reps=10, quarters=7), claims)
    assert answer.outcome == "undecided by this evidence"
    found = answer.decide
    assert found.have_periods == 7
    assert found.apart == pytest.approx(abs(answer.main["value"]))
    assert found.told > found.apart
    assert (found.have_reps, found.reps) == (10, 30)
    assert (
        "No number of further quarters of these 10 reps would decide it: 30 reps would"
        in answer.when.words().text
    )
    sooner = put(pilot(ahead=0.8, reps=6, quarters=7), claims)
    assert sooner.decide.more == sooner.decide.periods - 7
    assert f"{sooner.decide.more} more" in sooner.when.words().text


# --- ranks and several vendors ------------------------------------------------------------------------

RANKS = {"forecasters": {"vendor": {"kind": "rank_score"}, "rep_forecast": {"kind": "probability"}}}


def test_a_score_that_ranks_is_judged_by_rank_unless_earlier_periods_map_it(claims):
    table = pilot(ahead=0.9)
    ranks = table.assign(vendor=(table["vendor"].rank(pct=True) * 99).round())
    with pytest.raises(CallError, match="measure = auc"):
        put(ranks, claims, about=RANKS)
    answer = put(ranks, claims, measure="auc", about=RANKS)
    assert [f.measure.name for f in answer.definitions] == [
        "auc",
        "precision_at_the_top",
        "lift",
    ]  # all of them ranks
    mapped = put(ranks, claims, map_ranks=True, about=RANKS)
    assert mapped.matched["vendor"].between(0, 1).all()
    assert mapped.matched["period"].nunique() < table["period"].nunique()  # the first has no earlier one
    changed = ranks.assign(won=np.where(ranks["period"] == "2025-Q4", 1 - ranks["won"], ranks["won"]))
    again = put(changed, claims, map_ranks=True, about=RANKS)
    assert np.array_equal(
        again.matched["vendor"], mapped.matched["vendor"]
    )  # nothing is learned from later periods


def test_several_vendors_stand_on_the_same_deals_with_wider_intervals(claims):
    table = pilot(ahead=0.9).assign(vendor_b=pilot(ahead=0.5, seed=0)["vendor"])
    alone, both = put(table, claims), put(table, claims, also=["vendor_b"])
    one, other, between = both.vendors.leads
    assert one.estimate.value == pytest.approx(alone.first.better_by[0])
    assert one.estimate.high - one.estimate.low > alone.first.better_by[2] - alone.first.better_by[1]
    assert (other.first, other.second) == ("vendor_b", "rep_forecast")
    assert between.estimate.value == pytest.approx(one.estimate.value - other.estimate.value)


# --- cheats -------------------------------------------------------------------------------------------


def test_outcomes_in_the_scores_are_named_and_decide_nothing(claims):
    table = pilot().assign(vendor=lambda t: t["won"])
    answer = put(table, claims)
    assert answer.outcome == "undecided by this evidence"
    assert "hindsight" in answer.results()["headline"]
    assert answer.decide is None


def test_silence_on_bad_deals_is_named(claims):
    table = pilot(ahead=0.5)
    hard = (table["won"] == 1) & (table["vendor"] < 0.35)
    answer = put(table.assign(vendor=table["vendor"].mask(hard)), claims)
    assert "are not like the others" in answer.trusted.words().text
    assert not answer.main["reliable"]
    assert answer.outcome == "undecided by this evidence"


@pytest.fixture
def source(tmp_path):
    """The demo with a ledger of its own."""
    (tmp_path / "data").mkdir()
    return replace(fe.read(DEMO), folder=tmp_path / "data")


def test_a_changed_metric_is_shown_beside_what_was_registered(source):
    told = Trial().register(source)
    assert told.startswith("Registered: sha256")
    assert Trial().register(source).startswith("Registered already")
    kept = Trial(seed=3).run(source)  # a seed is not agreed upon
    assert kept.registration.before
    assert "run as registered" in kept.registered.words().text
    assert ledger.read(claims_ledger(source.folder)).of("claim")[0]["told"]["told_with_this"] > 0
    changed = Trial(measure="auc", margin=0.02).run(source)
    assert {c[0] for c in changed.registration.changes} == {"measure", "margin"}
    said = changed.registered.words().text
    assert "Changed since it was registered" in said
    assert "exploratory" in said
    Trial(measure="auc", margin=0.02).register(source)  # afterwards does not mend it
    assert Trial(measure="auc", margin=0.02).run(source).registration.changes


def test_an_edited_ledger_stops_the_run(source):
    Trial().register(source)
    path = claims_ledger(source.folder)
    path.write_text(path.read_text().replace('"margin":0.01', '"margin":0.05'))
    with pytest.raises(CallError, match="was changed"):
        Trial().run(source)


def test_frozen_scores_are_joined_with_outcomes_at_the_freeze(source, tmp_path):
    """Made and frozen when the record ended on the day of the pack; judged when outcomes are known."""
    cut = source.history[source.history["valid_from"] <= pd.Timestamp("2025-11-29 05:00")]
    then = replace(source, history=cut, forecasts=None, snapshots=None)
    pack = make_pack(then, "2025-11-28", tmp_path / "pack")
    deals = pd.read_csv(tmp_path / "pack" / "deals.csv")
    scored = deals[["deal"]].assign(value=0.3)
    scored.to_csv(tmp_path / "vz.csv", index=False)
    freeze_scores(then, tmp_path / "vz.csv", "vendor_z")
    answer = Trial(candidate="vendor_z", baseline="rep_forecast").run(source)
    assert answer.where == "frozen"
    assert answer.late  # frozen today, when the deals of 2025 were closed: named, and left out
    assert not set(answer.late) & set(answer.matched["deal_id"])
    assert "were closed when their scores were frozen" in answer.trusted.words().text
    assert answer.matched.flow[-1]["step"] == "scored before the close"
    assert "Scores of 2025-11-28" in answer.document.words().text
    entry = ledger.read(claims_ledger(source.folder)).of("pack")[0]
    assert set(answer.matched["deal_id"]) <= set(read_key(source.folder, entry))
    assert answer.matched["vendor_z"].dropna().eq(0.3).all()
    assert pack.about["deals"] == len(deals)


def test_a_backtest_is_labelled_and_complete(source, tmp_path):
    make_pack(source, "2025-11-28", tmp_path / "pack")
    deals = pd.read_csv(tmp_path / "pack" / "deals.csv")
    deals[["deal"]].assign(value=0.3).to_csv(tmp_path / "vz.csv", index=False)
    freeze_scores(source, tmp_path / "vz.csv", "vendor_z", retrospective=True)
    answer = Trial(candidate="vendor_z").run(source)
    assert answer.where == "backtest"
    assert "a backtest" in answer.verdict.words().text
    assert not answer.late  # all outcomes existed, which the label says
    assert answer.matched["won"].sum() > 10


def test_a_claim_is_registered_from_the_command_line(claims, tmp_path, capsys):
    data = tmp_path / "acme"
    data.mkdir()
    table = pilot().drop(columns="as_of")
    table.to_csv(data / "t.csv", index=False)
    mapping = "deal_id: deal_id\nwon: {column: won, won: ['1'], lost: ['0']}\nrep: rep\nperiod: period\nforecasts:\n"
    mapping += "  vendor: {column: vendor, kind: probability}\n  rep_forecast: {column: rep_forecast, kind: probability}\n"
    (data / "m.yaml").write_text(mapping)
    assert (
        main(["import", "table", str(data / "t.csv"), "--mapping", str(data / "m.yaml"), "--out", str(data)])
        == 0
    )
    call = [
        "freeze",
        str(claims / "better.yaml"),
        "--data",
        str(data),
        "-p",
        "candidate",
        "vendor",
        "-p",
        "margin",
        "0.02",
    ]
    assert main(call) == 0
    assert "Registered: sha256" in capsys.readouterr().out
    (entry,) = ledger.read(claims_ledger(data)).of("claim")
    assert (entry["parameters"]["candidate"], entry["parameters"]["margin"]) == ("vendor", 0.02)
    assert main([*call, "-p", "measure", "accuracy"]) == 2


# --- the notebook -------------------------------------------------------------------------------------


def test_the_notebook_runs_on_the_demo_with_no_parameter_changed(tmp_path):
    folder = make_report(ROOT / "notebooks" / "vendor_claim.ipynb", out=tmp_path, data=DEMO, allow_stale=True)
    results, page = json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text()
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert results["verdict"] == "supported"
    assert results["headline"] in said
    assert results["claim"]["card"] == "checkable"
    assert results["judged_by"]["low"] > 0
    assert results["beside"]["rep_recalibrated"] == "not enough evidence"  # the fair twin
    assert "; not shown to be better than the reps corrected by their own past" in said
    names = [r["definition"] for r in results["accuracy_by_name"]]
    assert names[:7] == list(ACCURACIES)
    assert names[7:] == ["all_misses_over_all_booked", "within_5_percent", "within_10_percent"]
    assert {"closed_to_date", "last_quarter", "stage_weighted"} <= {
        r["forecaster"] for r in results["totals_beside"]
    }
    assert 0 < results["error_floor"] < 1
    assert "For the buyer: name, date, signature" in said
    assert "vendor_x" not in re.sub(
        r"vendor_x\.yaml", "", said.split("To be signed")[0].split("What is stated")[1]
    )
    assert "<script" not in page
    assert str(tmp_path) not in (folder / "results.json").read_text()


def test_hostile_claims_stay_text(tmp_path):
    hostile = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}'
    (tmp_path / "c.yaml").write_text(
        as_yaml(Claim(sentence=hostile, says="better", said_by=hostile, answers={"formula": hostile}))
    )
    table = pilot().assign(segment=hostile)
    answer = Trial(claim=str(tmp_path / "c.yaml"), candidate="vendor").run(Org("pilot", None, matched=table))
    for section in (
        "verdict",
        "facts",
        "registered",
        "everywhere",
        "several",
        "trusted",
        "when",
        "document",
        "every_definition",
        "beside",
    ):
        html = getattr(answer, section).words().html
        assert "<script" not in html
        assert "<img" not in html


@pytest.mark.parametrize(
    "name", ["miss_over_actual", "miss_over_actual_not_below_0", "all_misses_over_all_booked"]
)
def test_quarters_that_hold_no_large_miss_do_not_support_more_than_is_true(name):
    """Few quarters rarely hold the miss that makes a mean accuracy what it is: the low end allows for it."""
    rng, total, f = np.random.default_rng(0), TOTALS[name], np.ones(8)
    many = np.exp(0.25 * rng.standard_normal(200_000))
    weight = many if total.kind == "pooled" else np.ones_like(many)
    truth = np.average(total.each(np.ones_like(many), many), weights=weight)
    lows = np.array([total.own(f, np.exp(0.25 * rng.standard_normal(8)), 0.95)[1] for _ in range(100)])
    assert (lows > truth).mean() <= 0.05
    assert (lows > truth - 0.3).mean() > 0.5  # and yet they say something
