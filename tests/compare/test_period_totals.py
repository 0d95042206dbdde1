"""Totals that probabilities expect of deals, beside what was booked of the same."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasteval.compare import totals
from forecasteval.errors import CallError


def table(periods=10, deals=30, seed=0):
    rng = np.random.default_rng(seed)
    n = periods * deals
    truth = rng.beta(2, 4, n)
    won = (rng.random(n) < truth).astype(int)
    amount = rng.lognormal(9, 1, n)
    period = np.repeat([f"P{i:02d}" for i in range(periods)], deals)
    return pd.DataFrame(
        {
            "deal_id": range(n),
            "period": period,
            "as_of": np.repeat(pd.date_range("2024-01-31", periods=periods, freq="QE").to_numpy(), deals),
            "won": won,
            "amount": amount,
            "amount_won": won * amount * 1.1,
            "model": truth,
            "rep_forecast": (truth + 0.2).clip(0, 1),
        }
    )


def test_totals_by_hand():
    deals = table()
    found = totals.period_totals(deals, "model", "rep_forecast")
    for row in found.table.to_dict("records"):
        mine = deals[deals["period"] == row["period"]]
        booked = mine["amount_won"].sum()
        assert row["booked"] == pytest.approx(booked)
        assert row["model"] == pytest.approx((mine["model"] * mine["amount"]).sum())
        assert row["difference"] == pytest.approx(
            abs(row["model"] - booked) - abs((mine["rep_forecast"] * mine["amount"]).sum() - booked)
        )
    errors = np.abs(found.table["model"] - found.table["booked"])
    assert found.wmape["model"] == pytest.approx(errors.sum() / found.table["booked"].sum())
    assert found.test.mean.p_value == pytest.approx(stats.ttest_1samp(found.table["difference"], 0).pvalue)
    squared = totals.period_totals(deals, "model", "rep_forecast", loss="squared")
    assert (squared.table["difference"] * found.table["difference"] >= 0).all()


def test_totals_do_not_depend_on_row_order_and_turn_with_the_pair():
    deals = table()
    a = totals.period_totals(deals, "model", "rep_forecast")
    b = totals.period_totals(deals.sample(frac=1, random_state=0), "rep_forecast", "model")
    assert b.test.mean.value == pytest.approx(-a.test.mean.value)
    assert b.test.mean.p_value == pytest.approx(a.test.mean.p_value)
    assert a.table["period"].tolist() == sorted(a.table["period"])


def test_periods_stand_in_order_of_time_whatever_their_names():
    deals = table(periods=8)
    deals["period"] = deals["period"].map(lambda p: f"{'zyxwvuts'[int(p[1:])]}")
    assert totals.period_totals(deals, "model", "rep_forecast").table["period"].tolist() == list("zyxwvuts")


def test_single_deals_would_reward_saying_that_nobody_wins():
    """wMAPE on totals punishes it: the reason why it is never taken over single deals."""
    deals = table().assign(nobody=0.0)
    of_totals = totals.period_totals(deals, "nobody", "model").wmape
    assert of_totals["nobody"] == 1.0
    assert of_totals["model"] < 0.5
    of_deals = {n: np.abs(deals[n] - deals["won"]).mean() for n in ("nobody", "model")}
    assert of_deals["nobody"] < of_deals["model"]


def test_what_cannot_be_summed_is_refused():
    deals = table()
    with pytest.raises(CallError, match="need a column amount"):
        totals.period_totals(deals.drop(columns="amount"), "model", "rep_forecast")
    with pytest.raises(CallError, match="take one week"):
        totals.period_totals(pd.concat([deals, deals]), "model", "rep_forecast")
    with pytest.raises(CallError, match="model hold other values"):
        totals.period_totals(deals.assign(model=deals["model"] * 100), "model", "rep_forecast")
    with pytest.raises(CallError, match="absolute, squared"):
        totals.period_totals(deals, "model", "rep_forecast", loss="percent")
    gaps = deals.assign(amount=deals["amount"].where(deals["deal_id"] > 4))
    assert totals.period_totals(gaps, "model", "rep_forecast").left_out == 5
