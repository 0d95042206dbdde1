"""Every section answers or says why not, and the words follow the numbers."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.matching.matched import META
from forecasteval.tables.organisation import Org

HOSTILE = "<script>alert('x')</script> $x^2$ _y" + "z" * 500


def pilot(periods=9, seed=0, reps=12):
    rng = np.random.default_rng(seed)
    n = 2000
    known, extra = rng.normal(size=(2, n))
    frame = pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.date_range("2023-02-01", periods=periods, freq="QS").to_numpy()[
                np.arange(n) % periods
            ],
            "period": [f"Q{i % periods}" for i in range(n)],
            "rep": [f"Ann {i}" for i in rng.integers(0, reps, n)],
            "region": rng.choice(["West", "East", "North"], n, p=[0.5, 0.45, 0.05]),
            "won": (rng.random(n) < 1 / (1 + np.exp(1 - known - extra))).astype(int),
            "amount": rng.lognormal(9, 1, n),
            "model": 1 / (1 + np.exp(1 - known - extra)),
            "rep_forecast": (1 / (1 + np.exp(0.2 - 1.6 * known))).round(2).clip(0.01, 0.99),
        }
    )
    frame.loc[(frame["region"] == "North"), "rep"] = frame["rep"].map(lambda r: f"Ann {int(r[4:]) % 3}")
    frame.attrs[META] = {"nouns": {"period": "quarters"}}
    return frame


def asked(table, candidate="model", baseline="rep_forecast", org=None, **options):
    """The answer to a question about a table that came matched."""
    org = replace(org or Org("acme", None), matched=table)
    return fe.Question(candidate, baseline, metrics=["brier"], **options).run(org)


def words_of(answer):
    a = answer
    blocks = (a.calibration, a.added, a.segments, a.reps, a.totals)
    shown = (a.segments.figure(), a.reps.figure())
    return "\n".join([*(b.words().text for b in blocks), *(getattr(p, "alt", None) or p.why for p in shown)])


def test_everything_is_answered_where_the_table_has_it():
    answer = asked(pilot(), segments="region", margin=0.05)
    words = words_of(answer)
    assert "rep_forecast\ttoo optimistic and overconfident" in words
    assert "model knows something that rep_forecast does not" in words
    assert "rep_forecast is not shown to know anything that model does not" in words
    assert "model is ahead in East, West" in words
    assert "not counted: North" in words
    assert "North\ttoo small to count" in words
    assert (
        "rep_forecast promises 15 points too much for the typical rep; reps are not shown to differ" in words
    )
    assert "Over 9 quarters the totals are missed" in words
    assert (
        "Margin 0.05: model is better than rep_forecast by at least 0.068, more than the margin"
        in answer.verdict.words().text
    )
    assert {"segments", "rep_bias", "totals"} <= set(answer.tables())


def test_results_are_plain_and_the_same_each_time():
    table = pilot()
    a, b = (
        json.dumps(asked(table, segments="region", margin=0.05).results(), allow_nan=False) for _ in range(2)
    )
    assert a == b
    assert "Ann" not in a


def test_names_appear_only_where_they_are_asked_for():
    assert "Ann 1" in words_of(asked(pilot(), show_names=True))
    assert "Ann" not in words_of(asked(pilot()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="rep"), "Nothing is shown by rep. The table knows no reps."),
        (lambda t: t.drop(columns="rep"), "deals count as independent"),
        (lambda t: t.drop(columns="amount"), "Totals need a column amount"),
        (lambda t: t.drop(columns=["period", "as_of"]), "Totals need a column period"),
        (lambda t: t[t["period"] < "Q4"].reset_index(drop=True), "Too few quarters: 4, at least 8"),
        (lambda t: t.drop(columns="model"), "model gives no probabilities"),
        (lambda t: t.assign(model=t["model"] * 1000), "model gives no probabilities"),
        (lambda t: t.assign(won=0), "All deals ended alike"),
        (
            lambda t: t.assign(rep_forecast=t["model"] * 0.9 + 0.05),
            "What either adds to the other cannot be told. The two forecasts move together",
        ),
        (lambda t: t.assign(model=0.3), "the same of every deal has no slope"),
        (lambda t: t.assign(rep=t["rep"].str[-1].astype(int) % 3), "3 reps: at least 5 are needed"),
        (lambda t: t[:0], "There are no probabilities of deals"),
        (lambda t: t[t["won"] + (t.index % 100 == 0) > 0][:60], "intervals are trusted from 20"),
    ],
)
def test_what_is_missing_is_said_and_nothing_stops(change, said):
    table = change(pilot())
    table.attrs[META] = {"nouns": {"period": "quarters"}}
    answer = asked(table)
    assert said in words_of(answer)
    json.dumps(answer.results(), allow_nan=False)


def test_unreliable_intervals_make_no_claim():
    table = pilot()
    table["rep"] = np.where(np.arange(len(table)) % 10 < 8, "Ann 1", table["rep"])
    words = words_of(asked(table))
    assert "One of the reps holds" in words
    assert "overconfident\t" not in words
    assert "knows something" not in words
    assert "not reliable" in words


def test_ranges_of_calls_meet_what_reps_booked():
    day = pd.Timestamp
    periods = pd.DataFrame(
        {
            "period": ["Q1", "Q2"],
            "starts_on": [day("2025-01-01"), day("2025-04-01")],
            "ends_on": [day("2025-03-31"), day("2025-06-30")],
            "freezes_on": [day("2025-04-10"), day("2025-07-10")],
        }
    )
    reps = [f"r{i}" for i in range(6)]
    deals = pd.DataFrame(
        {
            "deal_id": range(6),
            "rep": reps,
            "outcome": "won",
            "created_on": day("2025-05-01"),
            "closed_on": day("2025-02-01"),
            "amount": [10.0, 20, 30, 40, 50, 60],
        }
    )
    calls = pd.DataFrame(
        {
            "unit": "rep",
            "unit_id": reps * 2,
            "period": ["Q1"] * 6 + ["Q2"] * 6,
            "as_of": [day("2025-01-06")] * 6 + [day("2025-04-07")] * 6,
            "forecaster": "rep_forecast",
            "amount": 35.0,
            "low": 15.0,
            "high": 45.0,
            "level": "80%",
        }
    )
    org = Org("acme", None, deals=deals, periods=periods, calls=calls)
    answer = asked(pilot(), org=org, as_of="week 4")
    coverage = answer.totals.ranges["80%"]
    assert (coverage.ranges, coverage.held, coverage.below, coverage.above) == (6, 3, 1, 2)  # Q2 is not over
    assert "held what came in 50% of 6 cases" in words_of(answer)
    assert "80% was promised" in words_of(answer)
    assert isinstance(asked(pilot(), org=org, as_of="2025-02-01").totals.ranges, str)


def test_hostile_text_stays_text():
    table = pilot().rename(columns={"model": HOSTILE})
    table["rep"] = table["rep"] + HOSTILE
    table["region"] = table["region"] + HOSTILE
    table.attrs[META] = {}
    answer = asked(table, candidate=HOSTILE, segments="region", show_names=True)
    for section in (answer.calibration, answer.added, answer.segments, answer.totals):
        assert "<script" not in section.words().html
    for picture in (answer.segments.figure(), answer.reps.figure()):
        width, height = np.frombuffer(picture.png()[16:24], dtype=">u4")
        assert width < 1500
        assert height < 3000


def test_everything_is_computed_once_and_only_when_asked_for():
    answer = asked(pilot(), segments="region", margin=0.05)
    assert set(vars(answer)) == {"question", "org"}
    answer.ladder.words()
    assert set(vars(answer)) == {"question", "org", "_panel", "pair", "rungs", "ladder"}
    assert answer.results() == answer.results()
    assert answer.comparison is answer.comparison is answer.scores.answer.comparison
    assert answer.verdict.answer.influence is answer.influence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"segment": "planet: Mars"},
            "segment: there is no column 'planet'; the deals have period, rep, region.",
        ),
        ({"segment": "Region: West"}, "there is no column 'Region'; the deals have .* Did you mean region"),
        ({"segment": "region: Mars"}, "segment: no deal has region = 'Mars'; there are West, East, North."),
        (
            {"segments": "planet"},
            "segments: there is no column 'planet'; the deals can be divided by period, rep",
        ),
    ],
)
def test_what_a_table_cannot_answer_is_refused_before_anything_is_matched(wrong, sentence):
    question = fe.Question("model", "rep_forecast", **wrong)
    with pytest.raises(CallError, match=sentence):
        question.check(Org("acme", None, matched=pilot()))
