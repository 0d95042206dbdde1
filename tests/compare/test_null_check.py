"""Comparisons in which nothing differs: the same road as a real one, the right rate, and what is wrong is found."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.compare import null_check
from forecasteval.compare.null_check import NullCheck, NullRate, _table
from forecasteval.errors import CallError
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study._judge import judge
from forecasteval.studies.coverage_study._pilots import Simulator
from forecasteval.studies.coverage_study.design import Cell
from forecasteval.tables.organisation import Org

PAIR = ("model", "rep_forecast")


def table(reps=9, deals=240, periods=6, looks=1, seed=3):
    """Deals with reps, periods, accounts that cross reps, amounts and perhaps several looks."""
    rng = np.random.default_rng(seed)
    deal = np.arange(deals)
    bias = rng.normal(0, 0.5, (2, reps))
    rep = rng.integers(0, reps, deals)
    odds = rng.normal(-0.5, 1, deals)
    frame = pd.DataFrame(
        {
            "deal_id": deal,
            "won": (rng.random(deals) < 1 / (1 + np.exp(-odds))).astype(int),
            "rep": rep,
            "period": rng.integers(0, periods, deals),
            "account": rng.integers(0, deals // 3, deals),
            "amount": rng.lognormal(0, 0.8, deals),
        }
    )
    seen = frame.loc[frame.index.repeat(looks)].reset_index(drop=True)
    seen["as_of"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(7 * (np.arange(len(seen)) % looks), "D")
    for name, b in zip(PAIR, bias, strict=True):
        said = odds[seen["deal_id"]] + b[seen["rep"]] + rng.normal(0, 0.5, len(seen))
        seen[name] = 1 / (1 + np.exp(-said))
    return seen


def swapped(frame, by, values):
    """The table itself after the groups with these values have swapped their forecasts."""
    out, there = frame.copy(), frame[by].isin(values).to_numpy()
    for mine, theirs in (PAIR, PAIR[::-1]):
        out.loc[there, mine] = frame.loc[there, theirs]
    return out


def of_pilot(pilot):
    d = pilot.deals
    named = {"deal_id": np.arange(d.won.size), "won": d.won, "rep": pilot.rep, "period": pilot.period}
    return pd.DataFrame(named | {"model": d.candidate, "rep_forecast": d.baseline})


@pytest.mark.parametrize("looks", [1, 3])
@pytest.mark.parametrize(
    ("question", "by"),
    [
        ("rep", "rep"),
        (None, "rep"),
        (None, "period"),
        ("deal", "deal"),
        (("deal", "period"), "deal"),
        ("account", "account"),
    ],
)
@pytest.mark.parametrize("metric", ["brier", "log_score", "brier_skill", "brier_by_amount"])
def test_a_draw_is_the_comparison_of_a_table_whose_forecasts_were_swapped(metric, question, by, looks):
    frame = table(looks=looks)
    real = fe.compare(frame, *PAIR, metrics=[metric], generalise_to=question)
    sums = _table(Matched.of(frame), real, METRICS[metric], by, {})
    column = "deal_id" if by == "deal" else by
    values = pd.factorize(frame[column], sort=by in ("rep", "period"))[
        1
    ]  # by name, quarters in order of time
    way = np.random.default_rng(5).integers(0, 2, sums.groups, dtype=bool)
    assert sums.groups == len(values)
    there = fe.compare(
        swapped(frame, column, values[way]), *PAIR, metrics=[metric], generalise_to=question
    ).primary
    here = sums.difference(way).estimate(real.generalise_to, 0.95)
    found = [here.value, here.low, here.high, here.p_value]
    assert found == pytest.approx([there[k] for k in ("difference", "low", "high", "p_value")], rel=1e-9)


def test_a_deal_that_is_seen_in_several_periods_changes_sides_as_a_whole():
    frame = table(looks=3)
    frame["period"] = np.arange(len(frame)) % 7
    real = fe.compare(frame, *PAIR, metrics=["brier"])
    sums = _table(Matched.of(frame), real, METRICS["brier"], "period", {})
    first = frame.groupby("deal_id")["period"].transform("first")
    way = np.zeros(sums.groups, dtype=bool)
    way[1] = True
    at = pd.factorize(frame["period"])[1][1]
    there = fe.compare(swapped(frame.assign(first=first), "first", [at]), *PAIR, metrics=["brier"]).primary
    here = sums.difference(way).estimate(real.generalise_to, 0.95)
    assert [here.value, here.low, here.high] == pytest.approx(
        [there[k] for k in ("difference", "low", "high")]
    )


@pytest.mark.parametrize("question", ["rep", None, ("deal", "period")])
def test_no_false_verdict_is_lost_by_looking_only_at_what_is_far_from_zero(question, monkeypatch):
    quick = fe.does_it_hold(table(reps=14), *PAIR, generalise_to=question, draws=400)
    monkeypatch.setattr(null_check, "_NEAR", 0.0)
    pd.testing.assert_frame_equal(
        quick.table, fe.does_it_hold(table(reps=14), *PAIR, generalise_to=question, draws=400).table
    )


def test_few_clusters_are_swapped_in_every_way_and_the_real_result_is_one_of_them():
    frame = table(reps=6)
    check = fe.does_it_hold(frame, *PAIR, generalise_to="rep")
    every = []
    for way in product([False, True], repeat=6):
        row = fe.compare(
            swapped(frame, "rep", np.flatnonzero(way)), *PAIR, metrics=["brier"], generalise_to="rep"
        ).primary
        every.append((row["verdict"].endswith("better"), abs(row["difference"] / row["se"])))
    called, away = np.array(every).T
    (rate,) = check.rates
    assert (rate.exact, rate.draws, rate.groups) == (True, 32, 6)
    assert rate.called == called.mean()
    assert rate.p_value == (away >= away[0] * (1 - 1e-9)).mean()


def of_kind(bias):
    return Cell("", "", reps=14, deals=1000, bias_sd=bias, null=True)


@pytest.mark.parametrize(
    ("cell", "question", "swap", "bad"),
    [
        (of_kind(0.4), ("rep",), None, False),
        (of_kind(0.8), ("deal",), "rep", True),  # deals taken as independent though those of a rep are alike
    ],
)
def test_the_rate_is_that_of_pilots_of_this_kind_in_which_nothing_differs(cell, question, swap, bad):
    simulator, rng = Simulator(cell), np.random.default_rng(8)
    found = [
        fe.does_it_hold(of_pilot(simulator.draw(rng)), *PAIR, generalise_to=question, swap=swap, draws=100)
        for _ in range(25)
    ]
    here = np.array([c.rates[0].called for c in found])
    judged = np.array([judge(simulator.draw(rng), "brier", [question])[question] for _ in range(300)])
    truly = (judged[:, 8] == 1) & ((judged[:, 3] > 0) | (judged[:, 4] < 0))
    error = np.hypot(here.std() / here.size**0.5, truly.std() / truly.size**0.5)
    assert abs(here.mean() - truly.mean()) < 3 * error
    assert (here.mean() > 0.075) == bad
    assert (np.mean([bool(c.reasons) for c in found]) > 0.2) == bad


def test_likeness_between_reps_is_found_by_swapping_what_they_share():
    frame = table(reps=48, deals=1440, seed=2)
    frame["team"] = frame["rep"] % 12
    for name, shift in zip(PAIR, np.random.default_rng(4).normal(0, 1.2, (2, 12)), strict=True):
        odds = np.log(frame[name] / (1 - frame[name])) + shift[frame["team"]]
        frame[name] = 1 / (1 + np.exp(-odds))
    by_rep, by_team = (
        fe.does_it_hold(frame, *PAIR, generalise_to="rep", swap=s, draws=1000) for s in (None, "team")
    )
    assert not by_rep.reasons
    assert by_team.rates[0].groups == 12
    assert by_team.rates[0].called > 0.15
    (reason,) = by_team.reasons
    assert reason["code"] == "false_verdicts"
    answer = fe.Question(*PAIR, metrics=["brier"]).run(Org("acme", None, matched=frame))
    vars(answer)["checked"] = [by_team], ""  # as if the page swapped teams
    assert by_team.headline in answer.verdict.words().text


def test_too_few_ways_to_swap_say_so_and_raise_no_alarm():
    check = fe.does_it_hold(table(reps=5), *PAIR, generalise_to="rep")
    assert check.rates[0].draws == 16
    assert check.headline.startswith("5 reps can be swapped in too few ways")
    assert not check.reasons


def test_where_no_verdict_is_given_none_is_false_and_the_intervals_are_counted():
    frame = table(periods=5)
    check = fe.does_it_hold(frame, *PAIR, generalise_to=("rep", "period"), draws=300)
    assert not check.comparison.primary["reliable"]
    assert all(r.called == 0 for r in check.rates)
    assert "left out 0 (no verdict is given here)" in check.headline


def test_nothing_to_swap_is_said():
    same = table().assign(rep_forecast=lambda f: f["model"])
    assert fe.does_it_hold(same, *PAIR).headline == "The two forecasts score the same on every deal."
    few = fe.does_it_hold(table(reps=3), *PAIR, generalise_to="rep")
    assert few.headline.startswith("3 reps: at least 5")
    assert few.table.empty


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metric": "auc"}, "cannot be checked by swapping"),
        ({"metric": "bias"}, "cannot be checked by swapping"),
        ({"metric": "brie"}, "cannot be checked by swapping"),
        ({"swap": "team"}, "is no column of the table"),
        ({"draws": 0}, "draws must be a whole number from 1"),
    ],
)
def test_a_call_that_cannot_be_understood_is_refused_in_words(options, told):
    with pytest.raises(CallError, match=told):
        fe.does_it_hold(table(), *PAIR, **options)


def test_the_caveat_waits_until_the_rate_is_clearly_above_what_is_allowed():
    real = fe.compare(table(), *PAIR)

    def check(called, low):
        rate = NullRate(("rep",), "rep", 30, 2000, False, called, low, called + 0.01, called, 0.5)
        return NullCheck(real, (rate,))

    assert not check(0.08, 0.07).reasons
    assert check(0.09, 0.08).reasons
