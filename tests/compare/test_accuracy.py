"""Accuracy is a named definition: the same misses look like 99% and like 55%."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from forecasteval.compare.accuracy import accuracy, by_person, floor, pacing
from forecasteval.errors import CallError
from forecasteval.scores.amounts import error_floor


def table(amounts, actuals, closed=0.0, unit="company"):
    n = len(amounts)
    return pd.DataFrame({"period": [f"{2020 + i // 4}-Q{i % 4 + 1}" for i in range(n)], "unit": unit, "forecaster": "reps",
                         "amount": np.array(amounts, float), "actual": np.array(actuals, float), "closed_to_date": closed})  # fmt: skip


def test_the_formula_shopper_finds_both_headlines():
    found = accuracy(table([150, 50, 150, 50], [100] * 4), "reps")
    best, worst = found.headlines
    assert best["definition"] == "forecast_over_actual"
    assert best["mean"] == 1.0  # misses of half of everything, and a headline of 100%
    assert worst["off"] >= 0.5 - 1e-12
    assert found.definitions.set_index("definition").loc["miss_over_actual", "mean"] == 0.5


def test_the_open_remainder_is_scored_apart():
    """With 90 of 100 booked a miss of 5 is 5% of the total and half of what was open."""
    found = accuracy(table([105] * 4, [100] * 4, closed=90.0), "reps").table.set_index("what")
    assert found.loc["total", "wmape"] == pytest.approx(0.05)
    assert found.loc["open remainder", "wmape"] == pytest.approx(0.5)
    assert found.loc["total", ["within_5", "within_10"]].tolist() == [1, 1]
    assert found.loc["open remainder", "within_10"] == 0
    assert found.loc["total", "within_5_low"] == pytest.approx(
        stats.beta.ppf(0.025, 4, 1)
    )  # .398, as in the field


def test_bias_has_an_interval_from_four_quarters_on():
    line = accuracy(table([120, 110, 130, 105, 118], [100] * 5), "reps").table.iloc[0]
    f = np.array([0.2, 0.1, 0.3, 0.05, 0.18])
    half = stats.t.ppf(0.975, 4) * f.std(ddof=1) / np.sqrt(5)
    assert [line["bias_low"], line["bias_high"]] == pytest.approx([f.mean() - half, f.mean() + half])
    assert np.isnan(accuracy(table([120] * 3, [100] * 3), "reps").table.loc[0, "bias_low"])
    with pytest.raises(CallError, match="no booked total of model"):
        accuracy(table([1], [1]), "model")


def test_thirteen_deals_cannot_tell_green_from_red():
    found = pd.concat([table([r * 100], [100], unit=u) for u, r in (("a", 1.0), ("b", 1.3), ("c", 0.7))])
    found["booked_squares"] = 13 * (100 / 13) ** 2
    got = by_person(found, "reps").set_index("unit")
    assert got["shown"].to_dict() == {"a": "green", "b": "red", "c": "red"}
    assert (got["told"] == "cannot be told").all()
    many = by_person(found.assign(booked_squares=1000 * 0.1**2), "reps").set_index("unit")
    assert many["told"].to_dict() == {"a": "green", "b": "red", "c": "red"}


def test_the_interval_per_person_holds_for_a_chance_number_of_deals():
    """Calibrated forecasts, about 30 lognormal deals a quarter: the true ratio is 1 and lies inside nearly as promised."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(200):
        a = rng.lognormal(0, 0.5, rng.poisson(30))
        rows.append(
            table([30 * np.exp(0.125)], [a.sum()], unit=f"u{i}").assign(booked_squares=np.square(a).sum())
        )
    got = by_person(pd.concat(rows), "reps")
    held = ((got["low"] <= 1) & (got["high"] >= 1)).mean()
    assert held == pytest.approx(0.95, abs=0.04)


def test_pacing_needs_a_quota():
    rows = table([100], [90]).assign(week=4, closed_to_date=20.0)
    goal = rows[["period", "week", "unit"]].assign(quota=50.0)
    assert pacing(rows, goal.head(0)).empty
    assert pacing(rows, goal)[["reached", "missing"]].to_numpy().tolist() == [[0.4, 30.0]]


def test_the_floor_of_totals_is_that_of_their_deals():
    rng = np.random.default_rng(1)
    p, a = rng.uniform(0, 1, 80), rng.lognormal(0, 1, 80)
    rows = pd.DataFrame({"forecaster": "model", "amount": [5 + (a * p).sum()], "actual": 1.0,
                         "chance": [np.sqrt((a * a * p * (1 - p)).sum())]})  # fmt: skip
    assert floor(rows, "model") == pytest.approx(error_floor(p, a, 5.0)["error"])
    assert np.isnan(floor(rows, "reps"))
