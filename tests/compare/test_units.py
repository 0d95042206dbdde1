"""A deal is one unit, however often it was seen and whatever it weighs."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecasteval as fe
from forecasteval.compare.calibration import calibrate
from forecasteval.compare.encompassing import encompassing
from forecasteval.compare.rep_bias import rep_bias
from forecasteval.compare.repeated import influence
from forecasteval.compare.variance_of_history import measure
from forecasteval.inference.few_clusters import lean
from forecasteval.inference.grouping import Grouping
from forecasteval.inference.jackknife import t_quantile
from forecasteval.inference.questions import QUESTIONS
from forecasteval.scores.probability import METRICS

sys.path.append(str(Path(__file__).parents[1]))
from cases import case

NUMBERS = [
    "candidate_value",
    "baseline_value",
    "difference",
    "low",
    "high",
    "level",
    "df",
    "p_value",
]
NUMBERS += ["se", "skew", "lean", "candidate_low", "candidate_high", "baseline_low", "baseline_high"]
ALL = [m for m in METRICS if m != "bias_by_amount"] + ["bias_by_amount"]


def codes(row):
    return {r["code"] for r in row["reasons"]}


def pilot(n=160, reps=9, periods=6, seed=0, gap=0.08):
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 2.5, n)
    rep = rng.integers(0, reps, n)
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-02-28"),
            "period": [f"P{i}" for i in rng.integers(0, periods, n)],
            "rep": [f"r{i}" for i in rep],
            "account": [f"a{i}" for i in rng.integers(0, 40, n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": rng.lognormal(9, 0.7, n).round(2),
            "model": np.clip(truth + rng.normal(0, 0.1, n), 0.02, 0.98).round(2),
            "rep_forecast": np.clip(truth + gap + rng.normal(0, 0.15, reps)[rep], 0.1, 0.9).round(1),
        }
    )


def seen(table, times):
    """The same rows again at later as-ofs."""
    return pd.concat(
        [table.assign(as_of=table["as_of"] + pd.Timedelta(days=7 * i)) for i in range(times)],
        ignore_index=True,
    )


def agree(a, b):
    for column in NUMBERS:
        np.testing.assert_allclose(
            a[column].astype(float), b[column].astype(float), rtol=1e-6, atol=1e-10, err_msg=column
        )
    # beyond 12 clusters signs are drawn, and rounding decides which cluster a draw flips
    np.testing.assert_allclose(a["p_wild"].astype(float), b["p_wild"].astype(float), atol=0.01)
    for column in ("verdict", "reliable", "deals", "wins", "method"):
        assert a[column].tolist() == b[column].tolist(), column
    for mine, theirs in zip(a["clusters"], b["clusters"], strict=True):
        assert mine.keys() == theirs.keys()
        for dimension in mine:
            assert mine[dimension] == pytest.approx(theirs[dimension], rel=1e-9)
    assert [[r["code"] for r in reasons] for reasons in a["reasons"]] == [
        [r["code"] for r in reasons] for reasons in b["reasons"]
    ]


@pytest.mark.parametrize("generalise_to", list(QUESTIONS))
@settings(max_examples=6)
@given(seed=st.integers(0, 10_000), times=st.integers(2, 9), gap=st.sampled_from([0.0, 0.08, 0.2]))
def test_looks_hold_no_news(generalise_to, seed, times, gap):
    table = pilot(seed=seed, gap=gap)
    once, often = (
        fe.compare(t, "model", "rep_forecast", metrics=ALL, generalise_to=generalise_to).table
        for t in (table, seen(table, times))
    )
    agree(once, often)
    assert often["rows"].tolist() == [times * r for r in once["rows"]]


@pytest.mark.parametrize("generalise_to", list(QUESTIONS))
def test_the_case_of_thirteen_looks(generalise_to):
    table = case("looks_are_not_units")
    if "account" in generalise_to:
        table["account"] = table["rep"]
    metrics = ["brier", "log_score", "auc", "brier_skill", "bias"]
    once, often = (
        fe.compare(t, "model", "rep_forecast", metrics=metrics, generalise_to=generalise_to).table
        for t in (table.drop_duplicates("deal_id"), table)
    )
    agree(once, often)


def test_looks_that_differ_enter_the_estimate_each_and_the_spread_by_deal():
    rng = np.random.default_rng(1)
    table = seen(pilot(), 4)
    table["model"] = np.clip(table["model"] + rng.normal(0, 0.05, len(table)), 0, 1)
    loss = (table["model"] - table["won"]) ** 2 - (table["rep_forecast"] - table["won"]) ** 2
    row = fe.compare(table, "model", "rep_forecast", generalise_to="rep").primary
    assert row["difference"] == pytest.approx(loss.mean())
    # the mean loss of each deal holds all there is to know where all deals are seen equally often
    by_deal = loss.groupby(table["deal_id"]).sum()
    groups = Grouping.of(
        pd.factorize(table["rep"])[0].astype(np.int32),
        None,
        None,
        pd.factorize(table["deal_id"])[0].astype(np.int32),
        len(table),
    )
    np.testing.assert_allclose(
        np.sort(groups.part_sums("rep", loss.to_numpy())), np.sort(by_deal), rtol=1e-12
    )
    assert groups.units("rep").sum() == 160
    assert groups.by("rep", groups.sums(None)).sum() == 640


def test_a_deal_that_crosses_clusters_is_one_unit_in_each():
    unit = np.array([0, 0, 1, 1, 2], dtype=np.int32)
    period = np.array([0, 1, 0, 0, 1], dtype=np.int32)
    groups = Grouping.of(None, period, None, unit, 5)
    assert groups.units("period").tolist() == [2, 2]
    assert sorted(groups.part_sums("period", np.array([1.0, 2, 3, 4, 5]))) == [1, 2, 5, 7]
    alone = Grouping.of(None, period, None, None, 5)
    assert alone.units("period").tolist() == [3, 2]


# --- deals that weigh differently ---------------------------------------------------------------------


def test_the_case_of_one_deal_with_all_the_money():
    table = case("dominant_deal")
    for question in ("deal", "rep", ("rep", "period")):
        row = fe.compare(
            table, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to=question
        ).primary
        assert np.isnan([row["low"], row["high"], row["p_value"], row["df"]]).all()
        assert row["verdict"] == "not enough evidence"
        assert not row["reliable"]
        text = next(r["text"] for r in row["reasons"] if r["code"] == "dominant_deal")
        share = table["amount"].max() / table["amount"].sum()
        assert f"One deal holds {100 * share:.10g}% of the amount" in text


def test_few_effective_deals_give_no_verdict_and_name_the_largest():
    table = pilot(n=400, gap=0.3).assign(amount=1.0)
    table.loc[table.index[:5], "amount"] = [300, 200, 100, 100, 100]
    c = fe.compare(table, "model", "rep_forecast", metrics=["brier_by_amount", "brier"], generalise_to="deal")
    row = c.primary
    effective = table["amount"].sum() ** 2 / (table["amount"] ** 2).sum()
    assert effective < 20
    assert np.isfinite(row["low"])
    assert row["verdict"] == "not enough evidence"
    text = next(r["text"] for r in row["reasons"] if r["code"] == "few_effective_deals")
    share = 300 / table["amount"].sum()
    assert f"The 400 deals count for only {effective:.1f}" in text
    assert f"the largest holds {share:.0%} of the amount" in text
    assert (
        c.table.set_index("metric").loc["brier", "verdict"] == "candidate better"
    )  # each deal counts one there


def test_a_deal_seen_far_more_often_than_others_weighs_as_much():
    table = pilot(gap=0.3)
    more = seen(table[table.index == 0], 60)
    row = fe.compare(
        pd.concat([table[table.index != 0], more]), "model", "rep_forecast", generalise_to="deal"
    ).primary
    assert "few_effective_deals" not in codes(
        fe.compare(table, "model", "rep_forecast", generalise_to="deal").primary
    )
    assert "few_effective_deals" in codes(row)
    assert "27% of the rows" in next(r["text"] for r in row["reasons"] if r["code"] == "few_effective_deals")


def test_lognormal_amounts_give_no_false_verdicts():
    """Two forecasters alike, 150 deals, amounts of log-sd 2: without effective deals 9-12% false verdicts."""
    rng = np.random.default_rng(7)
    false = 0
    for _ in range(200):
        truth = rng.beta(1.2, 2.8, 150)
        table = pd.DataFrame(
            {
                "deal_id": range(150),
                "rep": np.arange(150) % 10,
                "won": (rng.random(150) < truth).astype(int),
                "amount": rng.lognormal(9, 2, 150),
                "model": np.clip(truth + rng.normal(0, 0.15, 150), 0.01, 0.99),
                "rep_forecast": np.clip(truth + rng.normal(0, 0.15, 150), 0.01, 0.99),
            }
        )
        row = fe.compare(table, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to="deal")
        false += row.verdict != "not enough evidence"
    assert false / 200 <= 0.05


# --- the row holds what made its interval ---------------------------------------------------------------


@pytest.mark.parametrize("generalise_to", list(QUESTIONS))
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_low_and_high_can_be_rebuilt_from_the_row(generalise_to, level):
    table = pilot(n=300, gap=0.05)
    rows = fe.compare(
        table, "model", "rep_forecast", metrics=ALL, generalise_to=generalise_to, level=level
    ).table.to_dict("records")
    if generalise_to == ("rep",):
        assert all((r["skew"] != 0) == (r["metric"] != "auc" and "bias" not in r["metric"]) for r in rows)
    for r in rows:
        assert r["lean"] == lean(r["skew"])
        arm = t_quantile(0.5 + r["level"] / 2, r["df"]) * r["se"]
        below, above = ((1 + max(side * r["lean"], 0)) * arm for side in (-1, 1))
        assert r["low"] == pytest.approx(r["difference"] - below, rel=1e-9, abs=1e-12)
        assert r["high"] == pytest.approx(r["difference"] + above, rel=1e-9, abs=1e-12)
        assert (r["p_value"] < 1 - level) == (r["low"] > 0 or r["high"] < 0)


def test_without_an_interval_the_row_says_nothing_of_it():
    row = fe.compare(pilot(reps=4), "model", "rep_forecast", generalise_to="rep").primary
    assert np.isnan([row[c] for c in ("low", "high", "df", "p_value", "se", "skew", "lean")]).all()


# --- what else counts deals ------------------------------------------------------------------------------


def same(a, b):
    """Two results with the same numbers, wherever these stand in them."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            if key != "rows":
                same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for mine, theirs in zip(a, b, strict=True):
            same(mine, theirs)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-6, abs=1e-9, nan_ok=True)
    else:
        assert a == b


@pytest.mark.parametrize("reps", [True, False])
def test_looks_hold_no_news_about_calibration(reps):
    table = pilot(n=400)
    once, often = (
        calibrate(t["model"], t["won"], t["rep"] if reps else None, deal=t["deal_id"]).to_dict()
        for t in (table, seen(table, 5))
    )
    assert once["deals"] == 400
    without = calibrate(table["model"], table["won"], table["rep"] if reps else None).to_dict()
    for other in (often, without):
        same(once, other | {"moved": once["moved"]})


def test_looks_hold_no_news_about_who_adds_what():
    table = pilot(n=400)
    once, often = (encompassing(t, "model", "rep_forecast") for t in (table, seen(table, 4)))
    for name in ("candidate", "baseline", "correlation", "deals", "reps"):
        a, b = getattr(once, name), getattr(often, name)
        same(a.to_dict() if hasattr(a, "to_dict") else a, b.to_dict() if hasattr(b, "to_dict") else b)
    same(once.mix.weight.to_dict(), often.mix.weight.to_dict())


def test_looks_hold_no_news_about_reps_or_a_plan():
    table = pilot(n=900)
    once, often = seen(table, 1), seen(table, 5)
    pd.testing.assert_frame_equal(rep_bias(once, "model").table, rep_bias(often, "model").table)
    a, b = (measure(t, "model", "rep_forecast") for t in (once, often))
    assert (a.rows, a.deals, a.sizes) == (b.rows, b.deals, b.sizes)
    for name in ("rep", "period", "deal"):
        assert getattr(a.components, name) == pytest.approx(getattr(b.components, name), rel=1e-9)


def test_influence_counts_deals():
    table = pilot()
    a, b = (influence(t, "model", "rep_forecast") for t in (table, seen(table, 3)))
    pd.testing.assert_frame_equal(a, b)
    assert a["deals"].sum() == 160
