"""The effect of a feature: known answers, a feature that did nothing, everyone at once, few treated, other starts."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError, InputError

START = pd.Timestamp("2025-07-01")


def history(
    rng,
    units=20,
    treated=10,
    effect=0.0,
    everyone=0.0,
    cases=3,
    months=12,
    drift=0.0,
    chosen=False,
    alike=0.0,
    apart=2.0,
):
    """Cases of a year, half before the start: units differ, months too, and a unit's months resemble each other."""
    level, month = rng.normal(10, apart, units), rng.normal(0, 1, months)
    e = np.zeros((units, months))
    for m in range(months):
        e[:, m] = (alike * e[:, m - 1] if m else 0) + rng.normal(0, 1, units) * np.sqrt(1 - alike**2)
    before = (level[:, None] + e)[:, : months // 2].mean(axis=1)
    has = np.argsort(before).argsort() < treated if chosen else rng.permutation(units) < treated
    unit, m, k = (i.ravel() for i in np.indices((units, months, cases)))
    after = m >= months // 2
    value = (
        level[unit] + month[m] + e[unit, m] + after * (everyone + effect * has[unit]) + drift * m * has[unit]
    )
    on = START + pd.to_timedelta((m - months // 2) * 28 + k, unit="D")
    since = np.where(has[unit], "2025-07-01", None)
    return pd.DataFrame(
        {"unit": unit.astype(str), "on": on, "value": value + rng.normal(size=unit.size), "since": since}
    )


def card_and_krueger():
    """Twelve units in the proportions of their table: plain numbers, so that the answer can be seen."""
    rows = [(f"n{i}", 20.0 + i, 20.5 + i + i % 2, True) for i in range(6)]
    rows += [(f"p{i}", 23.0 + i, 21.0 + i - i % 3, False) for i in range(6)]
    long = [
        (u, d, v, "1992-04-01" if t else None)
        for u, a, b, t in rows
        for d, v in (("1992-02-15", a), ("1992-11-15", b))
    ]
    return pd.DataFrame(long, columns=["unit", "on", "value", "since"])


def test_by_hand_and_by_regression():
    import statsmodels.formula.api as smf

    table = card_and_krueger()
    found = fe.measured_outcome(table)
    assert found.estimate.value == pytest.approx((0.5 + 0.5) - (-2 - 1.0))  # 4.0
    rows = table.assign(after=table["on"] > "1992-04-01", treated=table["since"].notna())
    fit = smf.ols(
        "value ~ C(unit) + after + after:treated", rows.astype({"after": int, "treated": int})
    ).fit()
    assert found.estimate.value == pytest.approx(fit.params["after:treated"])
    sides = found.sides
    change = {s: sides[s]["after"] - sides[s]["before"] for s in sides}
    assert change["treated"] - change["others"] == pytest.approx(found.estimate.value)


def test_a_feature_that_worked_is_found_and_everyone_at_once_is_not():
    rng = np.random.default_rng(1)
    worked = fe.measured_outcome(history(rng, effect=3.0, everyone=5.0))
    assert worked.verdict == "candidate better"
    assert worked.estimate.low < 3 < worked.estimate.high
    assert fe.measured_outcome(history(rng, effect=3.0), better="lower").verdict == "baseline better"
    nothing = fe.measured_outcome(history(rng, everyone=5.0))
    assert nothing.verdict == "not enough evidence"
    assert nothing.sides["treated"]["after"] - nothing.sides["treated"]["before"] > 3
    same = fe.measured_outcome(
        history(np.random.default_rng(2), units=60, treated=30, everyone=5.0, cases=9), margin=2.0
    )
    assert same.verdict == "practically the same"


def test_false_alarms_of_the_whole_verdict():
    """Ten of them; tests/benchmarks/false_alarms_outcome.py counts thousands."""
    rng = np.random.default_rng(20)
    tables = [history(rng, everyone=2.0, alike=0.8, cases=1) for _ in range(10)]
    assert sum(fe.measured_outcome(t).verdict != "not enough evidence" for t in tables) <= 2


def test_a_drift_before_the_start_takes_the_verdict_away():
    found = fe.measured_outcome(history(np.random.default_rng(3), drift=0.6, cases=6))
    assert found.estimate.low > 0
    assert found.verdict == "not enough evidence"
    assert {"pre_trend", "placebo_date"} & {r["code"] for r in found.reasons}


def test_units_chosen_for_a_bad_past_come_back_by_themselves():
    """Levels alike, months noisy: the worst half of before rises without any feature."""
    rng, runs = np.random.default_rng(4), 12
    found = [
        fe.measured_outcome(history(rng, 40, 20, cases=1, months=4, chosen=True, apart=0.0))
        for _ in range(runs)
    ]
    assert sum(f.estimate.low > 0 for f in found) > 0.5 * runs
    assert sum(f.verdict != "not enough evidence" for f in found) <= 2
    assert any("regression_to_the_mean" in {r["code"] for r in f.reasons} for f in found)


def test_one_treated_unit_has_no_verdict_but_a_place_among_the_others():
    rng = np.random.default_rng(5)
    found = fe.measured_outcome(history(rng, 20, 1, effect=8.0))
    assert found.verdict == "not enough evidence"
    assert found.reasons[0]["code"] == "too_few_treated"
    groups = found.placebo_groups
    assert groups["size"] == 1
    assert groups["larger"] < 0.1 * groups["groups"]


def test_without_others_it_cannot_be_compared():
    table = history(np.random.default_rng(6))
    assert fe.measured_outcome(table.assign(since="2025-07-01")).verdict == "cannot be compared"
    with pytest.raises(CallError, match="nothing was switched on"):
        fe.measured_outcome(table.assign(since=None))


def test_staggered_starts_are_refused_until_one_is_named():
    table = history(np.random.default_rng(7), effect=3.0)
    first = table.loc[table["since"].notna(), "unit"].iloc[0]
    table.loc[table["unit"] == first, "since"] = "2025-09-01"
    with pytest.raises(CallError, match=r"2 different days: 2025-07-01 \(9\), 2025-09-01 \(1\)"):
        fe.measured_outcome(table)
    found = fe.measured_outcome(table, since="2025-07-01")
    assert first not in found.units.index
    assert [step["dropped"] for step in found.flow] == [0, 1, 0]


def test_times_that_still_run_count_for_as_long_as_they_ran():
    rng, rows = np.random.default_rng(8), []
    for unit in range(16):
        for day in range(0, 300, 3):
            has, after = unit < 8, day >= 150
            hours = rng.exponential(10 * (0.5 if has and after else 1.0))
            seen = rng.uniform(5, 40)  # lost from sight, whatever the unit
            rows.append((f"u{unit}", day, min(hours, seen), hours <= seen, "2025-06-30" if has else None))
    table = pd.DataFrame(rows, columns=["unit", "day", "value", "ended", "since"])
    table["on"] = pd.Timestamp("2025-01-31") + pd.to_timedelta(table.pop("day"), unit="D")
    found = fe.measured_outcome(table, better="lower", horizon=24.0)
    true = 10 * (1 - np.exp(-2.4)) - 5 * (1 - np.exp(-4.8))
    assert found.verdict == "candidate better"
    assert found.estimate.low < -true < found.estimate.high
    assert found.sides["others"]["before"] == pytest.approx(10 * (1 - np.exp(-2.4)), abs=1.0)
    with pytest.raises(CallError, match="one row per case"):
        fe.measured_outcome(table.assign(of=2), horizon=24.0)


def test_sums_over_cases_give_what_the_cases_give():
    rng = np.random.default_rng(9)
    cases = history(rng, effect=2.0)
    cases["value"] = (cases["value"] > 10).astype(float)
    sums = cases.groupby(["unit", "on", "since"], dropna=False, as_index=False).agg(
        value=("value", "sum"), of=("value", "size")
    )
    one, other = fe.measured_outcome(cases), fe.measured_outcome(sums)
    assert one.estimate.value == pytest.approx(other.estimate.value)
    assert one.estimate.low == pytest.approx(other.estimate.low)
    assert one.share
    assert other.share


def test_every_wrong_cell_is_named_by_row():
    table = pd.DataFrame(
        {
            "unit": ["a", "a", "b", None], "on": ["2025-01-01", "soon", "2025-01-03", "2025-01-04"],
            "value": [1.0, 2.0, float("inf"), 1.0], "of": [1, 0, 2, 2],
            "since": ["2025-02-01", None, None, None],
        }
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        fe.measured_outcome(table)
    said = [(p.row, p.column) for p in error.value.problems]
    assert {(5, "unit"), (3, "on"), (4, "value"), (3, "of"), (3, "since")} <= set(said)


@pytest.mark.parametrize(
    "asked",
    [
        {"better": "more"},
        {"weigh": "deals"},
        {"horizon": 0},
        {"every": 0},
        {"outcome": "nps"},
        {"since": "2024-01-01"},
    ],
)
def test_what_is_not_allowed_is_refused(asked):
    with pytest.raises(CallError):
        fe.measured_outcome(history(np.random.default_rng(10)), **asked)


def test_waits_that_nobody_followed_to_the_horizon_are_no_answer():
    """A table in which cases are lost from sight: up to 30 all can be told, up to 500 hardly any."""
    rng = np.random.default_rng(8)
    n = 20 * 40
    unit = np.arange(n) % 20
    on = START + pd.to_timedelta(rng.integers(-180, 180, n), unit="D")
    wait, seen = rng.exponential(20, n), rng.uniform(0, 100, n)
    table = pd.DataFrame({"unit": unit.astype(str), "on": on, "value": np.minimum(wait, seen), "ended": wait <= seen,
                          "since": np.where(unit < 10, "2025-07-01", None)})  # fmt: skip
    with pytest.raises(CallError, match=r"cases still run .* Give a horizon"):
        fe.measured_outcome(table, better="lower")
    far = fe.measured_outcome(table, better="lower", horizon=500)
    assert far.flow[-1]["dropped"] > 4
    assert "lost_from_sight" in {r["code"] for r in far.reasons}
    assert not far.reliable
    text = next(r["text"] for r in far.reasons if r["code"] == "lost_from_sight")
    longest = float(text.split("Up to ")[1].split()[0])
    near = fe.measured_outcome(table, better="lower", horizon=longest)
    assert near.flow[-1]["dropped"] == 0
    assert "lost_from_sight" not in {r["code"] for r in near.reasons}
