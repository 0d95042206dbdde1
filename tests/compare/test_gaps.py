"""Where somebody is silent: how much of it is borne, and when it tells the result."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe


def codes(row):
    return {r["code"] for r in row["reasons"]}


def said(row, code):
    return next(r["text"] for r in row["reasons"] if r["code"] == code)


def pilot(n=1200, reps=12, seed=0, gap=0.12):
    rng = np.random.default_rng(seed)
    truth = rng.beta(1.5, 2.5, n)
    return pd.DataFrame(
        {
            "deal_id": range(n),
            "period": [f"P{i}" for i in rng.integers(0, 8, n)],
            "rep": [f"r{i}" for i in rng.integers(0, reps, n)],
            "won": (rng.random(n) < truth).astype(int),
            "amount": rng.lognormal(9, 0.5, n),
            "model": np.clip(truth + rng.normal(0, 0.1, n), 0.02, 0.98),
            "rep_forecast": np.clip(truth + gap + rng.normal(0, 0.15, n), 0.02, 0.98),
            "chance": rng.random(n),
        }
    )


def compare(table, **options):
    return fe.compare(table, "model", "rep_forecast", **({"generalise_to": "rep"} | options))


@pytest.mark.parametrize("column", ["rep_forecast", "amount"])
@pytest.mark.parametrize("share", [0.15, 0.25])
def test_past_a_fifth_lost_to_the_baseline_or_to_amounts_there_is_no_verdict(column, share):
    table = pilot()
    gaps = table.assign(**{column: table[column].mask(table["chance"] < share)})
    row = compare(gaps, metrics=["brier_by_amount"]).primary
    assert ("dropped_too_much" in codes(row)) == (share > 0.2)
    assert "silence_tells" not in codes(row)
    assert row["verdict"] == ("not enough evidence" if share > 0.2 else "candidate better")
    assert np.isfinite(row["low"])
    if share > 0.2:
        lost = gaps[column].isna().mean()
        assert said(row, "dropped_too_much").startswith(f"{lost:.0%} of the rows are left out")


def test_gaps_of_both_kinds_add_up():
    table = pilot()
    gaps = table.assign(
        rep_forecast=table["rep_forecast"].mask(table["chance"] < 0.12),
        amount=table["amount"].mask(table["chance"] > 0.88),
    )
    rows = compare(gaps).table.set_index("metric")
    assert "dropped_too_much" in codes(rows.loc["brier_by_amount"])
    assert "dropped_too_much" not in codes(rows.loc["brier"])


def test_across_kinds_the_cap_holds_for_what_either_leaves_out():
    table = pilot()
    ranks = table.assign(gong=(table["model"] * 100).mask(table["chance"] < 0.3))
    row = fe.compare(
        ranks, "gong", "rep_forecast", metrics=["auc"], generalise_to="rep", kinds={"gong": "rank_score"}
    ).primary
    assert "dropped_too_much" in codes(row)
    assert row["verdict"] == "not enough evidence"


def test_a_candidate_silent_on_its_worst_deals_is_not_believed():
    table = pilot()
    loss = (table["model"] - table["won"]) ** 2
    worst = table.assign(model=table["model"].mask(loss >= loss.quantile(0.81)))
    random = table.assign(model=table["model"].mask(table["chance"] < 0.19))
    for question in ("deal", "rep", "period", ("rep", "period")):
        row = compare(worst, generalise_to=question).primary
        assert not row["reliable"]
        assert row["verdict"] == "not enough evidence"
        assert said(row, "silence_tells").startswith(
            "The deals on which model is silent are not like the others"
        )
        assert "the Brier score of rep_forecast is" in said(row, "silence_tells")
        harmless = compare(random, generalise_to=question).primary
        assert "silence_tells" not in codes(harmless)
        assert harmless["verdict"] == "candidate better"


def test_a_baseline_silent_on_its_worst_deals_is_not_believed():
    table = pilot(gap=0.0)
    loss = (table["rep_forecast"] - table["won"]) ** 2
    row = compare(table.assign(rep_forecast=table["rep_forecast"].mask(loss >= loss.quantile(0.85)))).primary
    assert "silence_tells" in codes(row)
    assert not row["reliable"]


def test_amounts_that_are_missing_where_nothing_was_won_are_said():
    table = pilot()
    gaps = table.assign(amount=table["amount"].mask((table["won"] == 0) & (table["chance"] < 0.25)))
    rows = compare(gaps).table.set_index("metric")
    assert "0% of them were won" in said(rows.loc["brier_by_amount"], "silence_tells")
    assert rows.loc["brier_by_amount", "verdict"] == "not enough evidence"
    assert rows.loc["brier", "verdict"] == "candidate better"  # which asks for no amounts


def test_silence_of_a_whole_rep_is_not_taken_for_silence_about_the_outcome():
    table = pilot()
    lucky = table["rep"] == "r0"
    table["won"] = table["won"].mask(lucky, 1)
    row = compare(table.assign(model=table["model"].mask(lucky))).primary
    assert "silence_tells" not in codes(row)


def test_a_few_gaps_tell_nothing():
    table = pilot()
    few = table.index.isin(table.index[table["won"] == 0][:9])
    assert "silence_tells" not in codes(compare(table.assign(model=table["model"].mask(few))).primary)


def test_copies_of_a_silent_deal_are_no_more_silence():
    table = pilot(n=300, seed=3)
    silent = table.index.isin(table.index[table["won"] == 0][:9])
    table = table.assign(model=table["model"].mask(silent))
    days = pd.date_range("2026-01-01", periods=6, freq="7D")
    row = compare(pd.concat([table.assign(as_of=day) for day in days])).primary
    assert row["filled"] == 54
    assert "silence_tells" not in codes(row)


def test_twins_that_are_silent_too_often_are_not_called_the_same():
    table = pilot().assign(rep_forecast=lambda t: t["model"])
    assert compare(table).verdict == "practically the same"
    row = compare(table.assign(rep_forecast=table["model"].mask(table["chance"] < 0.3))).primary
    assert row["verdict"] == "not enough evidence"
    assert "dropped_too_much" in codes(row)
