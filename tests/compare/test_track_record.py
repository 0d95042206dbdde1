"""Ranges from past errors hold at the rate that they promise, from the fewest quarters on, and say how sure that is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from forecasteval.compare.track_record import chance_to_reach, conformal_range, own_ranges, track_record
from forecasteval.errors import CallError


def table(ratios, week=4, forecaster="reps"):
    """A forecaster who always says 100; what was booked is given."""
    n = len(ratios)
    starts = pd.date_range("2020-01-01", periods=n, freq="QS")
    return pd.DataFrame({
        "period": [f"{d.year}-Q{d.quarter}" for d in starts], "week": week, "unit": "company", "forecaster": forecaster,
        "as_of": starts + pd.Timedelta(days=7 * week - 1), "freezes_on": starts + pd.Timedelta(days=104),
        "amount": 100.0, "actual": np.array(ratios, dtype=float) * 100, "closed_to_date": 0.0,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("past", "asked", "given_level"),
    [(2, 0.8, 2 / 3), (3, 0.95, 0.75), (4, 0.8, 0.8), (9, 0.8, 0.8), (8, 0.8, 8 / 9)],
)
def test_few_quarters_allow_for_few_levels(past, asked, given_level):
    r = conformal_range(100, [100] * past, [90 - i for i in range(past)], level=asked)
    assert r.level == pytest.approx(given_level)
    assert r.level <= 1 - 1 / (past + 1) + 1e-12
    with pytest.raises(ValueError, match="1 past errors"):
        conformal_range(100, [100], [90])


@pytest.mark.parametrize("past", [6, 9, 12])
def test_ranges_hold_at_the_stated_rate_whatever_the_errors_look_like(past):
    """Skewed errors with a bias, 6,000 quarters each: the promise within simulation error, since conformal is exact."""
    rng = np.random.default_rng(past)
    runs = 6000
    ratio = np.exp(0.3 + 0.4 * rng.standard_t(3, (runs, past + 1)))
    held = 0
    for a in ratio:
        r = conformal_range(100, np.full(past, 100.0), 100 * a[:-1], level=0.8)
        held += r.low <= 100 * a[-1] <= r.high
    assert held / runs == pytest.approx(r.level, abs=3 * np.sqrt(0.16 / runs))
    assert r.level >= 0.8


@given(st.lists(st.floats(0.2, 3), min_size=3, max_size=9), st.floats(0.1, 1000))
@settings(max_examples=25, deadline=None)
def test_a_range_scales_with_money_and_never_starts_below_what_is_booked(ratios, scale):
    past = np.ones(len(ratios))
    a = conformal_range(100, past, ratios)
    b = conformal_range(100 * scale, past * scale, np.array(ratios) * scale, closed=90 * scale)
    assert b.high == pytest.approx(a.high * scale)
    assert b.low == pytest.approx(max(a.low, 90) * scale)


def test_the_record_is_made_of_what_was_known_then():
    found = track_record(table([0.9, 1.2, 1.05, 0.98, 1.5, np.nan]), "reps").table
    assert found["period"].tolist() == ["2020-Q3", "2020-Q4", "2021-Q1", "2021-Q2"]
    assert found["high"].tolist() == pytest.approx([120, 120, 120, 150])
    assert found["held"].tolist()[:3] == [1, 1, 0]
    assert np.isnan(found["held"].iloc[-1])
    early = track_record(table([0.9, 1.2, 1.05, 0.98, 1.5, np.nan], week=1), "reps").table
    assert early["period"].tolist()[0] == "2020-Q4"  # in week 1 the quarter before is not frozen
    assert early["past"].tolist()[0] == 2


def test_the_label_says_how_often_and_how_sure():
    found = track_record(table([0.9, 1.2, 1.05, 0.98, 1.5, np.nan]), "reps", level=0.95)
    low, high = stats.beta.ppf([0.025, 0.975], [2, 3], [2, 1])
    assert f"2 of 3 such ranges held, so between {low:.0%} and {high:.0%} of them do" in found.label(4)
    assert "With 5 past quarters no range of more than 83% exists." in found.label(4)
    assert "has met its result yet" in track_record(table([0.9, 1.1, np.nan]), "reps").label()
    with pytest.raises(CallError, match="no total of model"):
        track_record(table([1, 1, 1]), "model")


def test_the_score_of_a_week_is_width_and_fines():
    t = table([0.9, 1.2, 1.05, 0.98, 1.5])
    week = track_record(t, "reps").by_week().iloc[0]
    rows = track_record(t, "reps").table
    mine = [(h - low) + 2 / (1 - p) * (max(low - a, 0) + max(a - h, 0))
            for low, h, p, a in rows[["low", "high", "promised", "actual"]].to_numpy()]  # fmt: skip
    assert week["score"] == pytest.approx(sum(mine) / rows["actual"].sum())
    assert (week["ranges"], week["held"], week["above"]) == (3, 2, 1)
    assert track_record(t, "reps").score(4) == pytest.approx(week["score"])
    unstated = t.assign(low=90.0, high=110.0, promised="commit")
    assert np.isnan(own_ranges(unstated, "reps").score())  # a fine for a miss needs a promise


def test_peoples_own_ranges_stand_beside():
    t = table([0.9, 1.2, 1.05, 0.98, 1.5]).assign(low=95.0, high=110.0, promised="P80")
    found = own_ranges(t, "reps")
    assert found.coverage().held == 2
    assert found.coverage().level == 0.8
    assert "80% was promised" in found.label()
    assert "no share was promised" in own_ranges(t.assign(promised="commit"), "reps").label()


def test_units_of_one_quarter_count_as_one_piece_of_evidence():
    t = pd.concat([table([0.9, 1.2, 1.05, 0.98, 1.5, 1.1, 0.8, 1]).assign(unit=u) for u in "abc"])
    found = track_record(t, "reps").coverage(4)
    assert (found.ranges, found.clusters) == (18, 6)
    assert np.isnan(found.p_value)


def test_a_target_that_was_always_reached_is_not_certain():
    value, low, high = chance_to_reach(100, [100] * 8, [101] * 8, 100)
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(0.631, abs=5e-4)  # 8 of 8, in the field's table
