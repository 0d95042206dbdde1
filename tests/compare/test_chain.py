"""Where the error enters between rep, manager and CRO: planted helpers are found, planted meddlers too."""

import numpy as np
import pandas as pd
import pytest

from forecasteval.compare.chain import HELPED, HURT, UNSURE, chain
from forecasteval.errors import CallError


def organisation(periods=10, seed=0):
    """Reps over-call; East's manager takes the excess off, West's doubles it; the CRO cuts the sum by 15% too much."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(periods):
        period = f"{2020 + i // 4}-Q{i % 4 + 1}"
        actual = dict(zip(("East", "West"), 1e6 * np.exp(rng.normal(0, 0.2, 2)), strict=True))
        reps = {t: a * (1.2 + rng.normal(0, 0.05)) for t, a in actual.items()}
        managers = {"East": actual["East"] * (1 + rng.normal(0, 0.03)), "West": reps["West"] * 1.2}
        for team, booked in actual.items():
            rows += [
                (period, team, "team", n, v[team], booked) for n, v in (("rep", reps), ("manager", managers))
            ]
        total, booked = sum(managers.values()), sum(actual.values())
        for name, amount in (
            ("rep", sum(reps.values())),
            ("manager", total),
            ("cro", total * 0.7),
            ("model", booked * 1.01),
        ):
            rows.append((period, "company", "company", name, amount, booked))
    return pd.DataFrame(rows, columns=["period", "unit", "level", "forecaster", "amount", "actual"])


@pytest.fixture(scope="module")
def found():
    return chain(organisation(), ["rep", "manager", "cro"], beside=["model"])


def test_each_step_stands_on_the_finest_level_that_both_speak_about(found):
    steps = found.steps.set_index("step")
    assert steps["level"].to_dict() == {
        "rep to manager": "team",
        "manager to cro": "company",
        "cro to model": "company",
    }
    assert steps["rows"].tolist() == [20, 10, 10]
    assert chain(organisation(), ["rep", "manager"], unit_level="company").steps["level"].tolist() == [
        "company"
    ]


def test_a_step_is_the_change_of_the_error_by_hand(found):
    t = organisation()
    t = t[t["level"] == "team"]
    wide = t.pivot_table("amount", ["period", "unit"], "forecaster")
    actual = t.groupby(["period", "unit"])["actual"].first()
    change = ((wide["manager"] - actual).abs() - (wide["rep"] - actual).abs()).sum() / actual.sum()
    assert found.steps.loc[0, "difference"] == pytest.approx(change)


def test_the_manager_who_helps_and_the_one_who_does_not_are_told_apart(found):
    units = found.units.set_index(["step", "unit"])["verdict"]
    assert units["rep to manager", "East"] == HELPED
    assert units["rep to manager", "West"] == HURT


def test_moves_are_told_by_direction_and_size(found):
    moves = found.moves[found.moves["step"] == "rep to manager"].set_index("move")
    assert moves.loc["up, large", "helped"] == 0
    assert moves.loc["down, large", "helped"] == 1
    assert moves["rows"].sum() == 20
    cro = found.moves[found.moves["step"] == "manager to cro"]
    assert cro["move"].tolist() == ["down, large"]


def test_six_periods_give_no_verdict():
    assert chain(organisation(6), ["rep", "manager"]).steps["verdict"].tolist() == [UNSURE]


def test_verdicts_of_a_table_pay_for_each_other(found):
    for table in (found.steps, found.units):
        tested = table["p_adjusted"].notna()
        assert tested.sum() > 1
        assert (table["p_adjusted"] >= table["p_value"])[tested].all()
    assert set(found.to_dict()) == {"steps", "moves", "units"}


def test_nothing_is_asserted_where_nothing_is_planted():
    """Reps and managers drawn alike in 8 quarters and 3 teams; the long run is tests/benchmarks/false_alarms_totals.py."""
    called = 0
    for seed in range(25):
        rng = np.random.default_rng(seed)
        t = organisation(8, seed).query("level == 'team'").reset_index(drop=True)
        shock = t["period"].map(dict(zip(t["period"].unique(), rng.normal(0, 0.1, 8), strict=True)))
        t["amount"] = t["actual"] * np.exp(shock + rng.normal(0, 0.2, len(t)))
        called += chain(t, ["rep", "manager"]).steps.loc[0, "verdict"] != UNSURE
    assert called / 25 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 25)


def test_a_chain_needs_two_who_speak():
    t = organisation()
    with pytest.raises(CallError, match="two people"):
        chain(t, ["rep"])
    with pytest.raises(CallError, match=r"no forecast named manger.*Did you mean manager"):
        chain(t, ["rep", "manger"])
    with pytest.raises(CallError, match="several weeks"):
        chain(pd.concat([t.assign(week=1), t.assign(week=2)]), ["rep", "manager"])
    with pytest.raises(CallError, match="at the level team"):
        chain(t, ["manager", "cro"], unit_level="team")


def test_who_begins_later_is_no_gap_and_who_falls_silent_is_one():
    t = organisation(12)
    manager = t["forecaster"].eq("manager") & t["level"].eq("team")
    late = t[~(manager & t["period"].lt("2020-Q4"))]
    found = chain(late, ["rep", "manager"]).comparisons["rep to manager"]
    flow = found.flow.set_index("step")
    assert flow.loc["the other had begun", "dropped"] == 6
    assert flow.loc["both have spoken", ["deals", "dropped"]].tolist() == [18, 0]
    assert found.primary["reliable"]
    silent = t[~(manager & t["period"].isin(["2020-Q4", "2021-Q2", "2021-Q4"]))]
    found = chain(silent, ["rep", "manager"])
    assert found.comparisons["rep to manager"].flow["dropped"].tolist() == [0, 0, 0, 6]
    assert found.steps["verdict"].tolist() == [UNSURE]  # a quarter of the totals is gone: no verdict
