"""Reps whose size goes with the difference, and quarters that resemble their neighbours: both are said."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.compare.totals import period_totals
from forecasteval.inference.series import paired_t


def share(odds):
    return 1 / (1 + np.exp(-odds))


def deals_of(seed, *, by_size=0.0, luck=(), reps=30):
    """Deals of reps of very different sizes; a busy rep's own forecast strays by size, a quarter's luck by odds."""
    rng = np.random.default_rng(seed)
    log_size = rng.normal(0, 0.8, reps)
    rep = np.repeat(np.arange(reps), np.maximum(40 * np.exp(log_size), 5).astype(int))
    quarters = max(len(luck), 1)
    quarter = rng.integers(0, quarters, rep.size)
    odds = rng.normal(-1, 1, rep.size)
    won = rng.random(rep.size) < share(odds + np.array([*luck, 0.0])[quarter])
    said = odds + 0.5 + by_size * (1 + log_size[rep]) + rng.normal(0, 0.3, rep.size)
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(rep.size)],
            "as_of": pd.to_datetime("2022-01-31") + pd.to_timedelta(91 * quarter, unit="D"),
            "period": [f"Q{1 + q % 4} {2022 + q // 4}" for q in quarter],
            "rep": [f"r{r}" for r in rep],
            "won": won.astype(int),
            "amount": 100.0,
            "model": share(odds + 0.2 + rng.normal(0, 0.3, rep.size)),
            "rep_forecast": share(said),
        }
    )


def row(deals, metric="brier", **options):
    return fe.compare(deals, "model", "rep_forecast", metrics=[metric], **options).primary


def codes(found):
    return [r["code"] for r in found["reasons"]]


def test_both_differences_are_given_and_said_where_busy_reps_are_others():
    found = row(deals_of(1, by_size=0.6), generalise_to=["rep"])
    each = found["per_rep"]
    assert each["informative"]
    assert each["p_value_informative"] < 0.05
    assert each["low"] < each["difference"] < each["high"]
    assert each["df"] == 29
    assert found["difference"] < each["difference"]  # the model gains most where deals are many
    (text,) = (r["text"] for r in found["reasons"] if r["code"] == "size_tells")
    assert f"{abs(found['difference']):.3f}" in text
    assert f"{abs(each['difference']):.3f}" in text
    assert found["reliable"]  # it is another question, not a fault


def test_per_rep_is_the_mean_of_the_reps_own_differences():
    deals = deals_of(2)
    d = (deals["model"] - deals["won"]) ** 2 - (deals["rep_forecast"] - deals["won"]) ** 2
    found = row(deals, generalise_to=["rep"])
    assert found["per_rep"]["difference"] == pytest.approx(d.groupby(deals["rep"]).mean().mean())
    assert not found["per_rep"]["informative"]
    assert "size_tells" not in codes(found)
    assert row(deals, generalise_to=["period"])["per_rep"] is None  # not asked about reps
    assert row(deals, "auc", generalise_to=["rep"])["per_rep"] is None  # no sum over deals


RISING = np.linspace(-1.5, 1.5, 12)


def test_quarters_in_a_row_are_doubted_whatever_the_order_of_rows():
    deals = deals_of(3, luck=RISING)
    found = row(deals, generalise_to=["period"])
    assert codes(found) == ["periods_alike"]
    assert not found["reliable"]
    assert found["p_alike"] < 0.01
    assert found["verdict"] == "not enough evidence"
    shuffled = row(deals.sample(frac=1, random_state=1), generalise_to=["period"])
    assert shuffled["p_alike"] == pytest.approx(found["p_alike"])
    by_name = row(deals.drop(columns="as_of"), generalise_to=["period"])  # Q1 2023 comes after Q4 2022
    assert by_name["p_alike"] == pytest.approx(found["p_alike"])


def test_a_lead_that_would_stand_all_the_same_is_not_taken_away():
    near, far = (paired_t(lead + 0.1 * RISING).mean for lead in (0.1, 5.0))
    assert [r["code"] for r in near.reasons] == ["periods_alike"]
    assert [r["code"] for r in far.reasons] == ["periods_alike_allowed"]
    assert far.reliable
    assert not near.reliable


def test_the_same_quarters_in_no_order_are_not():
    luck = np.random.default_rng(0).permutation(RISING)
    found = row(deals_of(3, luck=luck), generalise_to=["period"])
    assert found["p_alike"] > 0.05
    assert "periods_alike" not in codes(found)


def test_totals_of_quarters_in_a_row_are_doubted_too():
    test = period_totals(deals_of(3, luck=RISING), "model", "rep_forecast").test
    assert test.mean.has_interval
    assert not test.mean.reliable
    assert test.reason == ""
    told = test.to_dict()
    assert told["p_alike"] < 0.05
    assert [r["code"] for r in told["reasons"]] == ["periods_alike"]
