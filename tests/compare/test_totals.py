"""Totals by period and unit: a table of promised against booked gets its answer, and few quarters say so."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecasteval as fe
from forecasteval.compare.totals import periods_needed
from forecasteval.errors import CallError

CASE = Path(__file__).parents[2] / ".." / "shared" / "cases" / "quarter_totals" / "totals.csv"


def table(periods=10, units=3, seed=0, spread=(0.1, 0.3), unit_bias=0.0):
    """Totals with two forecasters, long; the first misses by less."""
    rng = np.random.default_rng(seed)
    actual = 1e6 * np.exp(rng.normal(0, 0.3, (periods, units)))
    names = [f"{2020 + i // 4}-Q{i % 4 + 1}" for i in range(periods)]
    parts = []
    for name, sd in zip(("model", "reps"), spread, strict=True):
        shift = rng.normal(0, unit_bias, (1, units)) + rng.normal(0, sd, (periods, 1))
        amount = actual * np.exp(shift + rng.normal(0, sd, (periods, units)))
        wide = {"period": np.repeat(names, units), "unit": np.tile([f"t{u}" for u in range(units)], periods)}
        parts.append(pd.DataFrame(wide).assign(forecaster=name, amount=amount.ravel(), actual=actual.ravel()))
    return pd.concat(parts, ignore_index=True)


def by_hand(rows):
    """wmape, bias, within 10% and mape of one forecaster, written out."""
    f, a = rows["amount"].to_numpy(), rows["actual"].to_numpy()
    miss = np.abs(f - a)
    return [miss.sum() / a.sum(), (f - a).sum() / a.sum(), (miss <= 0.1 * a).mean(), (miss / a).mean()]


def test_each_metric_is_what_the_contract_says():
    t = table()
    found = fe.compare_totals(t, "model", "reps").table
    assert found["metric"].tolist() == ["wmape", "bias_share", "within_10", "mape"]
    for side, name in (("candidate", "model"), ("baseline", "reps")):
        assert found[f"{side}_value"].tolist() == pytest.approx(by_hand(t[t["forecaster"] == name]))
    assert found["difference"].tolist() == pytest.approx(
        (found["candidate_value"] - found["baseline_value"]).tolist()
    )
    assert found["verdict"].isna().tolist() == [False, True, False, False]
    assert found.columns.tolist() == fe.compare(deals(), "model", "reps").table.columns.tolist()


def deals():
    return pd.DataFrame(
        {"deal_id": range(4), "won": [1, 0, 0, 1], "model": [0.8, 0.2, 0.3, 0.6], "reps": 0.5}
    )


def test_the_interval_is_the_jackknife_over_quarters():
    t = table()
    row = fe.compare_totals(t, "model", "reps").primary
    t["miss"] = (t["amount"] - t["actual"]).abs() * t["forecaster"].map({"model": 1, "reps": -1})
    x = t.groupby("period")["miss"].sum()
    z = t[t["forecaster"] == "model"].groupby("period")["actual"].sum()
    without = (x.sum() - x) / (z.sum() - z)
    se = np.sqrt((len(x) - 1) / len(x) * np.square(without - x.sum() / z.sum()).sum())
    assert row["se"] == pytest.approx(se)
    assert row["low"] < row["difference"] < row["high"]
    assert row["generalise_to"] == ("period",)


def test_the_case_of_a_company_that_has_only_totals():
    if not CASE.exists():
        pytest.skip("the case is not beside the checkout")
    wide = pd.read_csv(CASE)
    long = wide.melt(["quarter", "team", "actual"], ["rep_submission", "manager_call", "vendor_forecast"],
                     "forecaster", "amount").rename(columns={"quarter": "period", "team": "unit"})  # fmt: skip
    found = fe.compare_totals(long, "vendor_forecast", "rep_submission")
    assert found.primary["candidate_value"] == pytest.approx(0.0641903712)
    assert found.primary["baseline_value"] == pytest.approx(0.1735928038)
    assert found.verdict == "candidate better"
    assert "36 totals, 3 units, 12 quarters" in found.headline
    assert fe.compare_totals(long, "vendor_forecast", "manager_call").verdict == "not enough evidence"
    assert (
        fe.compare_totals(pa.Table.from_pandas(long), "vendor_forecast", "rep_submission").to_dict()
        == found.to_dict()
    )


@pytest.mark.parametrize(
    ("periods", "interval", "test"), [(3, False, False), (4, True, False), (7, True, False), (8, True, True)]
)
def test_few_quarters_give_estimates_and_say_how_many_would_do(periods, interval, test):
    row = fe.compare_totals(table(periods), "model", "reps").primary
    assert np.isfinite(row["difference"])
    assert np.isfinite(row["low"]) == interval
    assert np.isfinite(row["p_value"]) == row["reliable"] == test
    if not test:
        assert row["verdict"] == "not enough evidence"
        said = row["reasons"][-1]
        assert said["code"] == "too_few_periods"
        assert f"Too few quarters: {periods}, and a test needs 8" in said["text"]
        assert ("would do" in said["text"]) == interval


def test_quarters_for_five_points_are_those_of_the_field_and_two_for_few_degrees_of_freedom():
    normal = [int(np.ceil(((1.959964 + 0.841621) * sd / 5) ** 2)) for sd in (6, 8, 12)]
    assert normal == [12, 21, 46]
    assert [periods_needed(sd, 5) - n for sd, n in zip((6, 8, 12), normal, strict=True)] == [2, 2, 2]
    assert periods_needed(100, 5) == 0


def test_what_one_forecaster_lacks_is_dropped_for_both_and_counted():
    t = table()
    silent = (t["forecaster"] == "reps") & (t["period"] == "2020-Q1")
    t.loc[t["period"] == "2022-Q2", "actual"] = np.nan
    found = fe.compare_totals(t[~silent], "model", "reps")
    assert found.flow["dropped"].tolist() == [0, 3, 3]
    assert found.primary["rows"] == 24
    gone = t[~((t["forecaster"] == "reps") & (t["period"] < "2020-Q4"))]
    codes = [r["code"] for r in fe.compare_totals(gone, "model", "reps").primary["reasons"]]
    assert "dropped_too_much" in codes


def test_the_burn_in_of_what_learns_is_a_step_and_no_gap():
    """A model is silent in its first three quarters, and of one team in the fourth as well: it had no past of it."""
    t = table()
    silent = (t["period"] < "2020-Q4") | ((t["unit"] == "t0") & (t["period"] == "2020-Q4"))
    t = t[~((t["forecaster"] == "model") & silent)].assign(fitted=lambda x: x["forecaster"] == "model")
    found = fe.compare_totals(t, "model", "reps")
    assert found.flow["step"].tolist()[2] == "past to learn from"
    assert found.flow["dropped"].tolist() == [0, 0, 10, 0]
    assert "dropped_too_much" not in [r["code"] for r in found.primary["reasons"]]
    assert found.primary["rows"] == 20
    gap = t[~((t["forecaster"] == "model") & (t["period"] > "2021-Q4"))]
    codes = [r["code"] for r in fe.compare_totals(gap, "model", "reps").primary["reasons"]]
    assert "dropped_too_much" in codes  # silence later on is a gap


def test_five_units_make_new_units_part_of_the_question():
    found = fe.compare_totals(table(units=5, unit_bias=0.2), "model", "reps")
    assert found.generalise_to == ("unit", "period")
    assert set(found.primary["clusters"]) == {"unit", "period"}
    assert "new units and new quarters" in found.headline
    assert fe.compare_totals(table(units=5), "model", "reps", generalise_to="period").generalise_to == (
        "period",
    )


def test_nothing_booked_is_no_percentage():
    t = table()
    t.loc[(t["period"] == "2020-Q1") & (t["unit"] == "t0"), "actual"] = 0.0
    found = fe.compare_totals(t, "model", "reps").table.set_index("metric")
    assert found.loc["mape", "rows"] == 29
    assert found.loc["mape", "reasons"][0]["code"] == "actual_zero"
    assert found.loc["wmape", "rows"] == 30
    row = fe.compare_totals(t.assign(actual=0.0), "model", "reps").primary
    assert row["reasons"][-1]["code"] == "zero_denominator"


def test_what_cannot_be_read_is_refused_in_words():
    t = table()
    with pytest.raises(CallError, match="Totals need actual"):
        fe.compare_totals(t.drop(columns="actual"), "model", "reps")
    with pytest.raises(CallError, match="one of them at a time"):
        fe.compare_totals(pd.concat([t.assign(week=1), t.assign(week=2)]), "model", "reps")
    with pytest.raises(CallError, match="stand twice, the first for 2020-Q1, t0, model"):
        fe.compare_totals(pd.concat([t, t]), "model", "reps")
    with pytest.raises(CallError, match="different booked amounts"):
        fe.compare_totals(t.assign(actual=t["actual"] + t.index), "model", "reps")
    with pytest.raises(CallError, match="Unknown metric 'brier'"):
        fe.compare_totals(t, "model", "reps", metrics=["brier"])
    with pytest.raises(CallError, match="generalise_to"):
        fe.compare_totals(t, "model", "reps", generalise_to=("rep",))
    found = fe.compare_totals(t, "modle", "reps")
    assert found.verdict == "cannot be compared"
    assert "Did you mean model?" in found.primary["reasons"][0]["text"]


@given(seed=st.integers(0, 10**6), units=st.integers(1, 6))
@settings(max_examples=6)
def test_swapping_turns_the_sign_and_order_and_currency_do_not_matter(seed, units):
    t = table(8, units, seed)
    a = fe.compare_totals(t, "model", "reps").table
    b = fe.compare_totals(t.sample(frac=1, random_state=seed), "reps", "model").table
    c = fe.compare_totals(t.assign(amount=t["amount"] * 7, actual=t["actual"] * 7), "model", "reps").table
    for name, sign, other in (("low", -1, "high"), ("difference", -1, "difference"), ("se", 1, "se")):
        assert a[name].to_numpy() == pytest.approx((sign * b[other]).to_numpy(), nan_ok=True, abs=1e-12)
        assert a[name].to_numpy() == pytest.approx(c[name].to_numpy(), nan_ok=True, abs=1e-12)


def test_the_same_numbers_are_practically_the_same():
    t = table()
    twin = t[t["forecaster"] == "model"]
    row = fe.compare_totals(pd.concat([twin, twin.assign(forecaster="twin")]), "model", "twin").primary
    assert (row["verdict"], row["difference"], row["reliable"]) == ("practically the same", 0.0, True)


def test_two_equally_good_forecasters_are_rarely_told_apart():
    """A shock shared by the teams of a quarter; 80 runs at 8 quarters: at most 5% beyond simulation error."""
    called = sum("better" in fe.compare_totals(table(8, 3, s, (0.2, 0.2)), "model", "reps", metrics=["wmape"]).verdict
                 for s in range(80))  # fmt: skip
    assert called / 80 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 80)
