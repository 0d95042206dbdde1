"""The weekly monitor: cohorts, ledger and verdict, on the demo's history run week by week."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forked import make_forked

from forecasteval.errors import CallError, RunFailed
from forecasteval.inference import confidence_sequences as sequences
from forecasteval.report.figures import Absent
from forecasteval.report.labels import in_words
from forecasteval.report.make import make_report
from forecasteval.sources.folder import read
from forecasteval.studies.weekly_monitor._entries import forecasts_of, frozen
from forecasteval.studies.weekly_monitor._looks import cohorts_of, doubts_of, looks_of, stands, verdict_of
from forecasteval.studies.weekly_monitor._rules import Rules
from forecasteval.studies.weekly_monitor._watch import last_whole_day
from forecasteval.studies.weekly_monitor.study import Monitor
from forecasteval.tables import ledger as books

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "weekly_monitor.ipynb"
RULES = Rules("vendor_x", "rep_forecast")
FITTED = Rules("stage_rate", "rep_forecast")
FREEZE = Rules("vendor_x", "rep_forecast", target="won in period")


def day(text):
    return pd.Timestamp(text)


@pytest.fixture(scope="module")
def demo():
    return read(ROOT / "data" / "demo")


@pytest.fixture(scope="module")
def small(demo):
    """A fifth of the demo's deals: the same mess, in less time."""
    keep = set(demo.deals["deal_id"].iloc[::5])
    cut = {
        n: t[t["deal_id"].isin(keep)]
        for n in ("deals", "history", "forecasts")
        if (t := getattr(demo, n)) is not None
    }
    return replace(demo, **cut)


def look(org, path, through="", rules=RULES):
    """What one weekly run finds; nothing is written."""
    return Monitor(**rules.plain, ledger=str(path), through=str(through)[:10]).run(org)


def run(org, path, through="", rules=RULES):
    """One weekly run: look, then keep."""
    found = look(org, path, through, rules)
    found.keep()
    return found


def with_rules(rules, **other):
    return Rules(**(rules.plain | other))


def written(found):
    """The file looks.csv, to the byte."""
    return found.tables()["looks"].to_csv(index=False)


def same(a, b):
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))


def copied(path, place):
    """A ledger with its head file, in another folder."""
    for file in (path, path.with_name(f"{path.name}.head")):
        shutil.copy(file, place)
    return place / path.name


@pytest.fixture(scope="module")
def begun(small, tmp_path_factory):
    """A ledger that was begun on 4 June 2025, and what that run found; tests take a copy."""
    path = tmp_path_factory.mktemp("begun") / "ledger.jsonl"
    return path, run(small, path, "2025-06-04")


@pytest.fixture
def june(begun, tmp_path):
    return copied(begun[0], tmp_path)


# --- week by week --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weekly(small, tmp_path_factory):
    """A ledger that was begun in November 2025 and then run every Wednesday until the end of the data."""
    path = tmp_path_factory.mktemp("weekly") / "ledger.jsonl"
    days = pd.date_range("2025-11-05", "2026-03-18", freq="7D")
    return path, days, [run(small, path, d) for d in days]


@pytest.fixture(scope="module")
def replayed(small, tmp_path_factory):
    """The same days from a fresh ledger, in one go."""
    return run(small, tmp_path_factory.mktemp("replay") / "ledger.jsonl", "2026-03-18")


def test_replaying_all_weeks_gives_what_running_them_gave(weekly, replayed):
    last = weekly[2][-1]
    same(last.looks, replayed.looks)
    assert written(last) == written(replayed)
    same(last.cohorts.drop(columns="late"), replayed.cohorts.drop(columns="late"))
    assert last.changes == replayed.changes
    assert np.isfinite(last.looks["low"]).sum() > 20


@pytest.mark.parametrize("rules", [FREEZE, FITTED])
def test_replaying_holds_for_frozen_quarters_and_refitted_forecasters(small, tmp_path, rules):
    for at in ("2025-03-05", "2025-08-20", "2025-09-02", "2025-11-30", "2026-03-01"):
        last = run(small, tmp_path / "a.jsonl", at, rules)
    fresh = run(small, tmp_path / "b.jsonl", "2026-03-01", rules)
    same(last.looks, fresh.looks)
    assert written(last) == written(fresh)
    assert len(last.restated) == len(fresh.restated) == 0


def test_what_is_written_of_looks_has_no_digits_that_come_by_chance(replayed):
    shaken = replace(
        replayed, looks=replayed.looks.map(lambda v: v * (1 + 3e-16) if isinstance(v, float) else v)
    )
    assert not shaken.looks.equals(replayed.looks)
    assert written(shaken) == written(replayed)


def test_all_weeks_of_a_frozen_quarter_enter_together(small, tmp_path):
    fresh = run(small, tmp_path / "b.jsonl", "2026-03-01", FREEZE)
    frozen_on = small.periods["freezes_on"].tolist()
    assert all(d in frozen_on for d in fresh.looks["known_on"])
    assert fresh.looks["cohorts"].diff().max() > 5  # all weeks of a quarter enter together


def test_what_an_earlier_week_reported_never_changes(weekly):
    _, _, runs = weekly
    assert not runs[-1].deals["deal"].duplicated().any()
    for earlier, later in pairwise(runs):
        same(earlier.looks, later.looks.head(len(earlier.looks)))
        assert written(later).startswith(
            written(earlier)
        )  # sums of other lengths differ in digits that are cut off
        assert later.entries[: len(earlier.entries)] == earlier.entries
    assert len(runs[-1].looks) > len(runs[0].looks) + 8


def test_weeks_taken_when_they_ended_are_not_late(weekly):
    path, days, _ = weekly
    marked = {e["as_of"]: e["late"] for e in books.read(path).of("look")}
    week = f"{days[0] - pd.Timedelta(days=7):%Y-%m-%d}"
    assert {late for as_of, late in marked.items() if as_of < week} == {True}
    assert {late for as_of, late in marked.items() if as_of >= week} == {False}


def test_two_runs_in_a_week_add_nothing_and_say_the_same(small, tmp_path):
    path = tmp_path / "ledger.jsonl"
    first = run(small, path, "2025-06-06")
    written = path.read_bytes()
    again = run(small, path, "2025-06-06")
    assert again.added == []
    assert path.read_bytes() == written
    assert json.dumps(first.results()) == json.dumps(again.results())
    between = run(small, path, "2025-06-08")  # two days later, before the next week ends
    assert between.added == []
    assert path.read_bytes() == written
    same(between.looks, first.looks)


def test_a_missed_week_is_taken_up_as_of_its_own_week_and_marked_late(small, begun, june, tmp_path):
    (tmp_path / "steady").mkdir()
    steady = copied(begun[0], tmp_path / "steady")
    for at in ("2025-06-11", "2025-06-18", "2025-06-25"):
        full = run(small, steady, at)
    missed = run(small, june, "2025-06-25")

    def late(found):
        return [
            e["as_of"]
            for e in found.entries
            if e["kind"] == "look" and e["as_of"] > "2025-06-04" and e["late"]
        ]

    assert late(full) == []
    assert late(missed) == ["2025-06-11"]
    keys = ["deal", "as_of", "candidate", "baseline", "won"]
    same(full.deals[keys], missed.deals[keys])
    same(full.looks, missed.looks)


def test_other_rules_are_refused_and_named(small, june, tmp_path):
    with pytest.raises(
        CallError, match=r"level was 0\.95 and is 0\.9; .*void what the sequence promises"
    ) as refused:
        look(small, june, "2025-06-11", with_rules(RULES, level=0.9, tuned_for=26))
    assert "tuned_for was 52 and is 26" in str(refused.value)
    other = look(small, tmp_path / "new.jsonl", "2025-06-11", with_rules(RULES, level=0.9))
    assert other.book.entries == ()


def test_an_earlier_day_than_the_ledgers_is_refused(small, june):
    with pytest.raises(CallError, match="already holds what was known on 2025-06-04, after 2025-05-28"):
        look(small, june, "2025-05-28")


def test_a_strange_file_is_not_a_ledger_of_the_monitor(small, tmp_path):
    path = tmp_path / "ledger.jsonl"
    books.append(books.read(path), [{"kind": "other"}])
    with pytest.raises(CallError, match="not a ledger of the weekly monitor"):
        look(small, path)


def test_nothing_is_written_before_it_is_kept(small, tmp_path):
    found = look(small, tmp_path / "ledger.jsonl", "2025-06-04")
    found.verdict.words()
    found.running.figure()
    assert not list(tmp_path.iterdir())
    assert found.keep().head == found.head


# --- cohorts -------------------------------------------------------------------------------------------


def test_every_deal_is_in_one_cohort_with_its_first_forecast(replayed):
    deals = replayed.deals
    assert not deals["deal"].duplicated().any()
    assert (deals["due_on"] - deals["as_of"] == pd.Timedelta(days=90)).all()
    known = deals["known"]
    assert deals.loc[known, "due_on"].max() <= day("2026-03-18") < deals.loc[~known, "due_on"].min()
    for entry in replayed.entries:
        assert entry["kind"] != "outcome" or entry["known_on"] <= entry["frozen_on"]


def test_frozen_values_are_those_of_match(small, replayed):
    """The same moment through the front door: `match` at one date gives the same forecasts and outcomes."""
    import forecasteval as fe

    at = replayed.cohorts["as_of"].iloc[-1]
    front = fe.match(
        small, as_of=f"{at:%Y-%m-%d}", target=RULES.target, forecasters=["rep_forecast", "base_rate"]
    )
    mine = replayed.deals[replayed.deals["as_of"] == at].set_index("deal")
    theirs = front.set_index("deal_id").loc[mine.index]
    assert len(mine)
    np.testing.assert_allclose(mine["baseline"], theirs["rep_forecast"], atol=1e-6)
    np.testing.assert_array_equal(mine["won"], theirs["won"])


def test_a_cohort_enters_whole_and_never_by_a_deals_own_close(small, replayed):
    """Wins are known early, losses late: neither may move a deal before the others of its week."""
    for _, cohort in replayed.deals[replayed.deals["known"]].groupby("as_of"):
        assert (cohort["due_on"] == cohort["due_on"].iloc[0]).all()
    assert replayed.cohorts["due_on"].is_monotonic_increasing
    known = replayed.deals[replayed.deals["known"]]
    won_early = known["won"].eq(1)
    assert won_early.any()
    assert (~won_early).any()


def test_the_look_is_its_cohorts_through_the_sequence(replayed):
    x, z = (replayed.cohorts[c].to_numpy(float) for c in ("difference", "deals"))
    band = sequences.over_blocks(x, z, replayed.cohorts["period"])
    assert replayed.last["low"] == band.low[-1]
    assert replayed.last["difference"] == pytest.approx(x.sum() / z.sum())
    assert replayed.last["deals"] == z.sum() == replayed.deals["won"].notna().sum()


def test_swapping_the_forecasters_swaps_the_verdict(small, tmp_path):
    ours = look(small, tmp_path / "a", "2026-03-18", FITTED)
    swapped = Rules("rep_forecast", "stage_rate")
    theirs = look(small, tmp_path / "b", "2026-03-18", swapped)
    both = set(ours.deals["deal"]) & set(theirs.deals["deal"])
    assert len(both) == len(ours.deals) == len(theirs.deals)  # both speak on every deal of the demo
    np.testing.assert_allclose(ours.looks["weeks_low"], -theirs.looks["weeks_high"])


def test_since_begins_a_sequence_of_the_weeks_to_come(small, tmp_path):
    found = run(small, tmp_path / "a.jsonl", "2026-03-18", with_rules(RULES, since="2025-08-01"))
    assert found.deals["as_of"].min() >= day("2025-08-01")
    assert found.deals["as_of"].min() < day("2025-08-08")


def test_the_last_line_of_a_deal_counts():
    lines = [
        {"kind": "forecast", "deal": "D1", "as_of": "2026-01-07", "candidate": None, "baseline": 0.4},
        {"kind": "forecast", "deal": "D1", "as_of": "2026-01-14", "candidate": 0.3, "baseline": 0.5},
    ]
    assert forecasts_of(lines) == lines[1:]


def test_a_silent_candidate_is_given_the_baselines_value():
    entries = [
        {"kind": "look", "as_of": "2026-01-07", "period": "Q1", "due_on": "2026-04-07", "late": False},
        {"kind": "forecast", "deal": "D1", "as_of": "2026-01-07", "candidate": None, "baseline": 0.4},
        {"kind": "outcome", "deal": "D1", "won": 1},
    ]
    columns = ["candidate", "filled", "won", "known"]
    assert frozen(entries)[columns].to_numpy().tolist() == [[0.4, True, 1.0, True]]


def test_a_cohort_sums_its_deals():
    weeks = {"as_of": ["w1", "w1", "w2"], "due_on": ["d1", "d1", "d2"], "period": "Q1", "late": False}
    said = {"candidate": [0.5, 0.0, 0.9], "baseline": [1.0, 0.0, 0.9], "filled": False, "void": False}
    became = {"won": [0.0, 0.0, np.nan], "known": [True, True, False]}
    table = cohorts_of(pd.DataFrame(weeks | said | became))
    assert table[["as_of", "deals", "difference"]].to_numpy().tolist() == [["w1", 2, -0.75]]


# --- what happens to records later -----------------------------------------------------------------------


def changed(org, deal, after, **values):
    """The organisation after somebody has edited a deal on a later day."""
    history = org.history.copy()
    mine = history[history["deal_id"] == deal].sort_values("valid_from")
    stamp = day(after) + pd.Timedelta(hours=15)
    last = mine.index[-1]
    row = mine.loc[[last]].assign(valid_from=stamp, valid_to=pd.NaT, **values)
    history.loc[last, "valid_to"] = stamp
    row = row.astype(history.dtypes.to_dict())
    return replace(org, history=pd.concat([history, row], ignore_index=True))


def final_record_of(org, deal):
    return org.history[org.history["deal_id"] == deal].sort_values("valid_from").iloc[-1]


@pytest.fixture(scope="module")
def december(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("december") / "ledger.jsonl"
    return path, run(small, path, "2025-12-03")


@pytest.fixture
def kept(december, tmp_path):
    path, before = december
    return copied(path, tmp_path), before


def test_a_later_flip_is_shown_and_changes_nothing(small, kept):
    path, before = kept
    known = before.deals[before.deals["known"] & before.deals["won"].eq(0)]
    was_lost = next(d for d in known["deal"] if final_record_of(small, d)["status"] == "lost")
    due = known.set_index("deal").loc[was_lost, "due_on"]
    edited = changed(small, was_lost, "2025-12-04", status="won", close_on=due - pd.Timedelta(days=1))
    after = run(edited, path, "2025-12-10")
    same(before.looks, after.looks.head(len(before.looks)))
    new = after.flips[~after.flips["deal"].isin(before.flips["deal"])]
    assert new[["deal", "frozen", "today"]].to_numpy().tolist() == [[was_lost, "not won", "won"]]
    assert was_lost in after.flipped.words().text
    assert "would be different by today's records" in after.later.words().text


def test_an_earlier_day_does_not_know_what_was_edited_later(small, kept, tmp_path):
    _, before = kept
    deal = before.deals.loc[before.deals["known"] & before.deals["won"].eq(1), "deal"].iloc[-1]
    edited = changed(small, deal, "2025-12-04", status="lost")
    then = look(edited, tmp_path / "again", "2025-12-03")
    same(then.flips, before.flips)
    same(then.looks, before.looks)
    assert deal in set(look(edited, tmp_path / "again", "2025-12-05").flips["deal"])


def test_a_slipped_deal_that_is_won_after_the_window_is_no_flip(small, kept):
    path, before = kept
    known = before.deals[before.deals["known"] & before.deals["won"].eq(0)]
    lost = next(d for d in known["deal"] if final_record_of(small, d)["status"] == "lost")
    edited = changed(small, lost, "2025-12-04", status="won", close_on=day("2025-12-04"))
    after = look(edited, path, "2025-12-10")
    assert lost not in set(after.flips["deal"])


def test_a_deal_that_vanishes_after_its_outcome_stays_in_the_sequence(small, kept):
    path, before = kept
    gone = before.deals.loc[before.deals["known"], "deal"].iloc[0]
    without = replace(
        small,
        history=small.history[small.history["deal_id"] != gone],
        deals=small.deals[small.deals["deal_id"] != gone],
    )
    after = run(without, path, "2025-12-10")
    same(before.looks, after.looks.head(len(before.looks)))
    assert after.flips.set_index("deal").loc[gone, "today"] == "not on record"
    assert gone in set(after.restated["deal"])


def test_a_deal_that_vanishes_before_its_outcome_is_void(small, kept):
    path, before = kept
    waiting = before.deals[~before.deals["known"]]
    gone, due = waiting["deal"].iloc[0], waiting["due_on"].iloc[0]
    without = replace(
        small,
        history=small.history[small.history["deal_id"] != gone],
        deals=small.deals[small.deals["deal_id"] != gone],
    )
    after = run(without, path, due + pd.Timedelta(days=1))
    assert after.deals.set_index("deal").loc[gone, ["known", "void"]].tolist() == [True, True]
    assert after.cohorts["void"].sum() == 1
    assert "gone from the records before" in after.later.words().text
    back = run(small, path, due + pd.Timedelta(days=8))  # restored from the bin: still void, and shown
    assert back.cohorts["void"].sum() == 1
    assert gone in set(back.flips["deal"])


def test_a_restated_forecast_is_counted_and_does_not_count(small, kept):
    path, before = kept
    history = small.history.copy()
    deal = before.deals["deal"].iloc[0]
    history.loc[history["deal_id"] == deal, "rep_probability"] = 0.123
    after = run(replace(small, history=history), path, "2025-12-10")
    same(before.looks, after.looks.head(len(before.looks)))
    assert set(after.restated["deal"]) == {deal}
    assert after.restated["baseline_today"].tolist() == [0.123]
    assert (
        "frozen forecast would" in after.later.words().text or "1 frozen forecast" in after.later.words().text
    )


def test_a_deal_that_turns_up_afterwards_does_not_enter_a_week_already_taken(small, december, tmp_path):
    path, everything = tmp_path / "ledger.jsonl", december[1]
    hidden = everything.deals.loc[everything.deals["known"], "deal"].iloc[-1]
    without = replace(small, history=small.history[small.history["deal_id"] != hidden])
    before = run(without, path, "2025-12-03")
    after = run(small, path, "2025-12-10")
    same(before.looks, after.looks.head(len(before.looks)))
    assert after.appeared == 1
    assert "turned up afterwards" in after.later.words().text


# --- verdicts --------------------------------------------------------------------------------------------


def cohorts_with(differences, per=50, quarter=13):
    """Cohorts that end on consecutive Wednesdays."""
    n = len(differences)
    due = pd.date_range("2024-01-03", periods=n, freq="7D").astype("datetime64[s]")
    return pd.DataFrame(
        {
            "due_on": due,
            "as_of": due - pd.Timedelta(days=90),
            "period": [f"Q{i // quarter}" for i in range(n)],
            "late": False,
            "deals": per,
            "wins": per // 4,
            "filled": 0,
            "void": 0,
            "candidate": (0.15 + np.array(differences)) * per,
            "baseline": 0.15 * per,
            "difference": np.array(differences) * per,
        }
    )


def test_a_verdict_is_given_and_withdrawn_with_the_interval():
    rng = np.random.default_rng(1)
    d = np.concatenate([rng.normal(-0.05, 0.02, 65), rng.normal(0.12, 0.02, 60)])
    table = looks_of(cohorts_with(d), RULES)
    said = table["verdict"].tolist()
    outside = ((table["low"] > 0) | (table["high"] < 0)).tolist()
    stand = [stands(row, RULES) for row in table.to_dict("records")]
    assert [v != "not enough evidence" for v in said] == [
        o and s for o, s in zip(outside, stand, strict=True)
    ]
    assert "candidate better" in said
    assert said[-1] != "candidate better"  # the average has drifted to the other side of 0
    assert np.isinf(table["low"][:39]).all()  # three quarters tell nothing


def test_weeks_like_those_seen_are_told_sooner():
    rng = np.random.default_rng(2)
    cohorts = cohorts_with(rng.normal(-0.03, 0.03, 60))
    weeks = looks_of(cohorts, with_rules(RULES, generalise_to=["deal"]))
    quarters = looks_of(cohorts, RULES)
    first = [t["verdict"].eq("candidate better").idxmax() for t in (weeks, quarters)]
    assert 12 <= first[0] < 39 <= first[1]
    same(weeks[["weeks_low", "periods_low"]], quarters[["weeks_low", "periods_low"]])


def test_a_margin_and_identical_forecasters():
    rng = np.random.default_rng(3)
    cohorts = cohorts_with(rng.normal(0, 0.01, 104))
    assert looks_of(cohorts, with_rules(RULES, margin=0.02))["verdict"].iloc[-1] == "practically the same"
    assert looks_of(cohorts, RULES)["verdict"].iloc[-1] == "not enough evidence"
    assert looks_of(cohorts_with(np.zeros(60)), RULES)["verdict"].iloc[-1] == "practically the same"


def test_cohorts_that_become_known_on_one_day_enter_together():
    days = pd.to_datetime(["2026-01-07", "2026-01-07", "2026-01-14"])
    cohorts = cohorts_with([-0.05] * 3, per=10).assign(due_on=days, period="Q1")
    table = looks_of(cohorts, RULES)
    assert table["cohorts"].tolist() == [2, 3]
    assert table["difference"].tolist() == pytest.approx([-0.05, -0.05])
    assert set(table["verdict"]) == {"not enough evidence"}


def test_a_verdict_needs_twenty_deals_of_each_outcome():
    row = {"low": -0.03, "high": -0.01, "deals": 500, "wins": 100, "filled": 0, "widening": 1.0}
    assert verdict_of(row, RULES) == "candidate better"
    assert verdict_of(row | {"wins": 12}, RULES) == "not enough evidence"
    assert doubts_of(row | {"wins": 12})[0]["text"] == "Only 12 of 500 deals were won; a verdict needs 20."


def test_too_few_wins_or_too_many_gaps_carry_no_verdict():
    cohorts = cohorts_with(np.random.default_rng(4).normal(-0.05, 0.01, 60))
    assert looks_of(cohorts, RULES)["verdict"].iloc[-1] == "candidate better"
    assert looks_of(cohorts.assign(wins=0), RULES)["verdict"].iloc[-1] == "not enough evidence"
    assert looks_of(cohorts.assign(filled=11), RULES)["verdict"].iloc[-1] == "not enough evidence"


def test_a_candidate_that_stays_silent_is_filled_counted_and_capped(small, tmp_path):
    silenced = set(small.forecasts["deal_id"].drop_duplicates().iloc[::3])
    muted = replace(small, forecasts=small.forecasts[~small.forecasts["deal_id"].isin(silenced)])
    found = look(muted, tmp_path / "a", rules=FREEZE)
    silent = found.deals[found.deals["filled"]]
    assert (silent["candidate"] == silent["baseline"]).all()
    assert found.last["filled"] > 0.2 * found.last["deals"]
    assert "past 20% no verdict is given" in found.verdict.headline
    assert "value stands in" in found.later.words().text


# --- a candidate that scores once a week ----------------------------------------------------------------------


def lines_of(found, deal):
    return [e for e in found.entries if e["kind"] == "forecast" and e["deal"] == deal]


@pytest.fixture(scope="module")
def quarterly(small, tmp_path_factory):
    """The vendor's scores, each quarter frozen as a whole; a deal may appear days before its first score."""
    return run(small, tmp_path_factory.mktemp("quarterly") / "ledger.jsonl", rules=FREEZE)


def test_a_deal_waits_until_both_have_spoken(quarterly):
    """The vendor scores on Mondays: a new deal is silent in its first week and frozen in the next one."""
    twice = [d for d in quarterly.deals["deal"] if len(lines_of(quarterly, d)) == 2]
    assert len(twice) > 0.2 * len(
        quarterly.deals
    )  # all of them would be missing if the first look were final
    assert quarterly.last["filled"] < 0.1 * quarterly.last["deals"]
    weeks = {e["as_of"]: e for e in quarterly.entries if e["kind"] == "look"}
    counted = quarterly.deals.set_index("deal")
    for deal in twice:
        met, heard = lines_of(quarterly, deal)
        assert met["candidate"] is None
        assert counted.loc[deal, ["candidate", "baseline"]].tolist() == [
            heard["candidate"],
            heard["baseline"],
        ]
        assert weeks[met["as_of"]]["period"] == weeks[heard["as_of"]]["period"]
        assert met["as_of"] < heard["as_of"] < weeks[met["as_of"]]["due_on"]
    assert all(len(lines_of(quarterly, d)) == 1 for d in counted.index.difference(twice))


def muted_until(org, deal, first):
    """The organisation if the vendor had not scored one deal before a day."""
    early = (org.forecasts["deal_id"] == deal) & (
        org.forecasts["issued_at"].dt.tz_localize(None) < day(first)
    )
    return replace(org, forecasts=org.forecasts[~early])


@pytest.fixture(scope="module")
def talkative(small, replayed):
    """A deal that the vendor scores for long: when it was met, and the organisation."""
    spoken = small.forecasts.groupby("deal_id")["issued_at"].agg(["min", "max"])
    long = spoken[(spoken["max"] - spoken["min"]) > pd.Timedelta(days=150)].index
    deals = replayed.deals[replayed.deals["known"] & ~replayed.deals["filled"]].set_index("deal")
    candidates = deals.loc[deals.index.intersection(long)]
    return candidates.index[0], candidates["as_of"].iloc[0]


def test_a_score_that_comes_in_time_moves_the_deal_to_its_week(small, talkative, tmp_path):
    deal, met = talkative
    found = run(muted_until(small, deal, met + pd.Timedelta(days=20)), tmp_path / "a.jsonl", "2026-03-18")
    row = found.deals.set_index("deal").loc[deal]
    assert not row["filled"]
    assert pd.Timedelta(days=20) < row["as_of"] - met < pd.Timedelta(days=90)
    assert row["due_on"] == row["as_of"] + pd.Timedelta(
        days=90
    )  # its outcome is that of the week that counts


def test_a_score_that_comes_after_the_outcome_changes_nothing(small, talkative, tmp_path):
    deal, met = talkative
    late = run(muted_until(small, deal, met + pd.Timedelta(days=91)), tmp_path / "a.jsonl", "2026-03-18")
    never = run(muted_until(small, deal, "2030-01-01"), tmp_path / "b.jsonl", "2026-03-18")
    row = late.deals.set_index("deal").loc[deal]
    assert (row["filled"], row["as_of"], row["candidate"]) == (True, met, row["baseline"])
    same(late.looks, never.looks)


def test_who_waits_does_not_depend_on_what_became_of_it(small, quarterly, tmp_path):
    """Frozen forecasts are the same when nothing that came later is known."""
    for at in ("2024-12-04", "2025-06-11", "2026-01-15"):
        then = look(small, tmp_path / at, at, FREEZE)
        lines = [{k: v for k, v in e.items() if k != "hash"} for e in then.entries if e["kind"] == "forecast"]
        now = [
            {k: v for k, v in e.items() if k != "hash"} for e in quarterly.entries if e["kind"] == "forecast"
        ]
        assert lines == now[: len(lines)]


def test_no_deal_leaves_a_week_that_was_reported(small, tmp_path):
    path, reported = tmp_path / "ledger.jsonl", {}
    for at in pd.date_range("2025-07-02", "2025-12-31", freq="28D"):
        found = run(small, path, at, FREEZE)
        now = found.deals[found.deals["known"]].set_index("deal")[["as_of", "candidate"]].T.to_dict("list")
        assert reported.items() <= now.items()
        reported = now
    assert len(reported) > 100


def test_a_ledger_begun_under_the_older_freeze_is_not_continued(small, begun, tmp_path):
    old = books.read(tmp_path / "old")
    kept = [{k: v for k, v in e.items() if k not in ("hash", "freeze")} for e in begun[1].added]
    books.append(old, kept)
    with pytest.raises(CallError, match="a deal was frozen at the first look that met it, and now"):
        look(small, old.path, "2025-06-11")


# --- words that the numbers call for --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ahead(demo, tmp_path_factory):
    """The demo's model, ahead by 0.017 (0.009 to 0.026)."""
    return look(demo, tmp_path_factory.mktemp("ahead") / "a", rules=Rules("model", "rep_forecast"))


def with_margin(found, margin):
    rules = with_rules(found.rules, margin=margin)
    return replace(found, rules=rules, looks=looks_of(found.cohorts, rules))


@pytest.mark.parametrize(
    ("margin", "badge", "sentence"),
    [
        (
            0.005,
            "model is better",
            "The lead is larger than the margin of 0.005: the whole interval lies beyond it.",
        ),
        (
            0.02,
            "model is better",
            "Better, but not shown to be by more than the margin of 0.02: the interval begins",
        ),
        (
            0.03,
            "Practically the same",
            "the whole interval lies inside the margin: it is too small to matter.",
        ),
    ],
)
def test_the_card_holds_a_lead_against_the_margin(ahead, margin, badge, sentence):
    card = with_margin(ahead, margin).verdict.words().text
    assert card.startswith(badge)
    assert sentence in card
    assert "margin" not in ahead.verdict.words().text


def test_without_a_verdict_the_card_says_that_the_margin_is_not_kept(quarterly):
    card = with_margin(quarterly, 0.001).verdict.words().text
    assert "beyond the margin of 0.001: a difference that matters is not ruled out" in card


def test_the_strict_row_is_explained(ahead):
    table, note = ahead.questions.words().text.split("Strict: ")
    assert "all looks, strict\t" in table
    assert "counts every week alike" in note
    assert "its difference is another average" in note
    assert "if the difference to be expected is the same every week" in table


def test_the_strict_and_the_betting_sequence_say_what_they_assume(ahead):
    strict, betting = ahead.results()["without_a_limit"]
    assert strict["name"] == "strict"
    assert "it may drift" in strict["assumes"]
    assert "the same in every week" in betting["assumes"]
    assert (
        strict["low"]
        < betting["low"]
        < betting["difference"]
        == strict["difference"]
        < betting["high"]
        < strict["high"]
    )


# --- other scores ----------------------------------------------------------------------------------------


def test_a_cohort_sums_any_score_that_is_a_mean_over_deals():
    weeks = {"as_of": ["w1"] * 3, "due_on": ["d1"] * 3, "period": "Q1", "late": False, "void": False}
    said = {"candidate": [0.5, 0.0, 0.9], "baseline": [1.0, 0.2, 0.9], "filled": False}
    deals = pd.DataFrame(
        weeks | said | {"won": [0.0, 1.0, 1.0], "known": True, "amount": [10.0, 30.0, np.nan]}
    )
    log = cohorts_of(deals, "log_score", 0.01)["difference"].iloc[0]
    assert log == pytest.approx(-np.log(0.5) + np.log(0.01) - np.log(0.01) + np.log(0.2))
    money = cohorts_of(deals, "brier_by_amount").iloc[0]
    assert money["difference"] == pytest.approx(10 * (0.25 - 1) + 30 * (1 - 0.64))
    assert money[["deals", "wins", "weight", "squares"]].tolist() == [2, 1, 40, 1000]


def test_a_few_large_deals_carry_no_verdict():
    cohorts = cohorts_with(np.random.default_rng(4).normal(-0.05, 0.01, 60))
    weighed = cohorts.assign(weight=cohorts["deals"], squares=cohorts["deals"])
    rules = with_rules(RULES, metric="brier_by_amount")
    assert looks_of(weighed, rules)["verdict"].iloc[-1] == "candidate better"
    few = looks_of(weighed.assign(squares=100 * 40.0**2), rules)
    assert few["verdict"].iloc[-1] == "not enough evidence"
    assert "count for only" in doubts_of(few.iloc[-1])[0]["text"]


@pytest.mark.parametrize("metric", ["log_score", "brier_by_amount"])
def test_other_scores_on_the_demo(demo, ahead, tmp_path, metric):
    found = look(demo, tmp_path / "a", rules=Rules("model", "rep_forecast", metric=metric))
    label = found.rules.score.label
    assert label in found.verdict.headline
    assert "Brier score difference" not in found.running.figure().alt
    left_out = sum(s["dropped"] for s in found.flow() if s["step"] == "weighed by amount")
    assert found.last["deals"] + left_out == ahead.last["deals"] == found.deals["known"].sum()
    assert bool(left_out) == (metric == "brier_by_amount")
    assert found.last["difference"] != ahead.last["difference"]
    (row,) = found.results()["comparisons"]
    assert row["metric"] == metric
    for section in (found.verdict, found.who, found.questions, found.later, found.caveats):
        section.words()
    found.keep()
    with pytest.raises(CallError, match=f"metric was '{metric}' and is 'brier'"):
        look(demo, tmp_path / "a", rules=Rules("model", "rep_forecast"))


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("auc", "compares deals in pairs"),
        ("brier_skill", "known with the outcomes"),
        ("bias", "no side can lead"),
    ],
)
def test_scores_that_no_sequence_can_watch_are_refused_with_the_reason(metric, why):
    with pytest.raises(CallError, match=why):
        Rules("model", "rep_forecast", metric=metric)


def test_the_picture_says_why_its_band_begins_late(ahead):
    assert "No band before 4 quarters are in: fewer cannot show" in ahead.running.figure().alt
    weekly = with_rules(ahead.rules, generalise_to=["deal"])
    seen = replace(ahead, rules=weekly, looks=looks_of(ahead.cohorts, weekly))
    assert "No band before week 13: fewer weeks cannot show" in seen.running.figure().alt
    whole = replace(ahead, looks=ahead.looks[np.isfinite(ahead.looks["low"])])
    assert "No band" not in whole.running.figure().alt


def test_dates_have_one_form_and_do_not_break(ahead):
    blocks = [s.words() for s in (ahead.verdict, ahead.running, ahead.flipped, ahead.method)]
    for block in blocks:
        assert not re.search(r"\d{4}-\d\d-\d\d", block.html)
        assert not re.search(r"\d [A-Z][a-z]+ \d{4}", block.html)
        assert "\N{NO-BREAK SPACE}" not in block.text
    assert "<td>7&nbsp;February&nbsp;2025</td>" in blocks[2].html


# --- bad calls, and little data ----------------------------------------------------------------------------


def test_too_little_data_is_a_result(small, tmp_path):
    short = look(small, tmp_path / "b", "2024-09-04", FREEZE)
    assert "too few quarters yet" in short.verdict.headline
    assert "nothing can be told before 4" in short.verdict.words().text
    short.running.figure().png()
    short.questions.words()


def test_before_anything_is_known(small, tmp_path):
    nothing = look(small, tmp_path / "a", "2024-03-06")
    assert nothing.last is None
    assert "no week has all its outcomes yet" in nothing.verdict.headline
    for section in (nothing.running, nothing.by_period):
        assert isinstance(section.figure(), Absent)
    assert nothing.questions.words().text
    json.dumps(nothing.results(), allow_nan=False)
    nothing.caveats.words()
    nothing.method.words()


@pytest.mark.parametrize(
    ("through", "sentence"),
    [
        ("tomorrow", "is not a day such as"),
        ("2026-06-01", "the data end on 2026-03-20, long before"),
        ("2019-01-01", "Nothing was recorded by 2019-01-01"),
    ],
)
def test_a_day_that_cannot_be_used(small, tmp_path, through, sentence):
    with pytest.raises(CallError, match=sentence):
        look(small, tmp_path / "a", through)


def test_the_last_whole_day_is_the_one_before_the_newest_record(small):
    assert last_whole_day(small) == day("2026-03-19")
    assert last_whole_day(small, "2026-03-22") == day("2026-03-22")  # a quiet weekend


def test_data_without_a_history_are_refused(small, tmp_path):
    with pytest.raises(CallError, match="needs a history"):
        look(replace(small, history=None), tmp_path / "a")


def test_an_unknown_forecaster_is_refused_by_name(small, tmp_path):
    with pytest.raises(CallError, match="no forecaster modle"):
        look(small, tmp_path / "a", rules=Rules("modle", "rep_forecast"))


def test_rank_scores_are_refused(small, tmp_path):
    ranked = replace(small, forecasts=small.forecasts.assign(kind="rank_score"))
    with pytest.raises(CallError, match="vendor_x gives a rank score; the monitor needs probabilities"):
        look(ranked, tmp_path / "a", rules=FREEZE)


# --- the notebook --------------------------------------------------------------------------------------------


def made(out, make=make_forked, **parameters):
    folder = make(NOTEBOOK, out=out, data=ROOT / "data" / "demo", parameters=parameters, allow_stale=True)
    return json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text(), folder


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    place = tmp_path_factory.mktemp("report")
    return place, made(place / "first", make_report, ledger=str(place / "ledger.jsonl"))


def plain_text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_report_says_what_the_results_say(reported):
    _, (results, page, folder) = reported
    assert results["headline"].startswith(
        "model is better than rep_forecast, and has been since 12 February 2026"
    )
    assert in_words(results["headline"]) in plain_text(page)
    assert "Fixed beforehand as the answer: the row for these reps in coming quarters" in plain_text(page)
    first = results["comparisons"][0]
    assert first["verdict"] == "candidate better"
    assert first["low"] < first["difference"] < first["high"] < 0
    assert first["width_of_one_look"] > 1.3
    assert results["ledger"]["flips"] == 4
    assert {p.stem for p in (folder / "figures").iterdir()} == {"running", "by_period"}
    assert all(len(alt) > 40 for alt in re.findall(r'<img[^>]+alt="([^"]*)"', page))
    assert len(pd.read_csv(folder / "tables" / "looks.csv")) == len(results["looks"])
    assert "answer.keep" not in page


def test_the_same_report_again_is_the_same_byte_for_byte(reported):
    place, (_, _, folder) = reported
    written = (place / "ledger.jsonl").read_bytes()
    again = made(place / "second", ledger=str(place / "ledger.jsonl"))[2]
    assert (again / "results.json").read_bytes() == (folder / "results.json").read_bytes()
    assert (place / "ledger.jsonl").read_bytes() == written


def test_other_rules_on_the_same_ledger_stop_the_report_and_keep_the_last(reported):
    place, (_, _, folder) = reported
    before = (folder / "results.json").read_bytes()
    with pytest.raises(RunFailed, match="begun under other rules") as refused:
        made(place / "first", ledger=str(place / "ledger.jsonl"), level=0.9)
    assert refused.value.exit_code == 2
    assert (folder / "results.json").read_bytes() == before


def test_wrong_values_are_refused_together():
    with pytest.raises(CallError, match="7 parameters cannot be used") as refused:
        Monitor("a", "a", "won at all", "every", ["rep"], 95, -1, since="soon")
    for name in ("baseline", "target", "population", "generalise_to", "level", "margin", "since"):
        assert f"\n- {name}: " in str(refused.value)
    with pytest.raises(CallError) as refused:
        Monitor("model", "model", target="won at all", level=95, tuned_for=3, through="next week")
    assert str(refused.value).split("\n- ") == [
        "5 parameters cannot be used:",
        "baseline: 'model' is the candidate as well; name another forecaster.",
        "target: 'won at all' has no day on which it is known for every deal of a week; use 'won within 90 days' "
        "or 'won in period'.",
        "level: 95 is not between 0.5 and 1; 0.95 is usual.",
        "tuned_for: 3 is below 4 weeks; 52 is usual.",
        "through: 'next week' is not a day such as 2026-02-28.",
    ]


def test_plain_papermill_runs_it(tmp_path):
    values = {
        "data": ROOT / "data" / "demo",
        "candidate": "stage_rate",
        "ledger": tmp_path / "ledger.jsonl",
        "through": "2025-06-04",
    }
    command = [sys.executable, "-m", "papermill", "--log-level", "ERROR", "--no-progress-bar", str(NOTEBOOK)]
    command.append(str(tmp_path / "out.ipynb"))
    for name, value in values.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert books.read(tmp_path / "ledger.jsonl").of("look")


def test_papermill_explains_the_parameters():
    from papermill.inspection import inspect_notebook

    found = inspect_notebook(str(NOTEBOOK))
    assert len(found) == 15
    assert all(
        p["help"] and p["inferred_type_name"] in {"str", "list", "float", "int"} for p in found.values()
    )


def test_the_notebook_declares_what_the_package_does():
    """Its parameters stand in the order of the class, which takes them by position, with the same defaults."""
    from forecasteval.report.parameters import parameters_of

    declared = {n: p.value for n, p in parameters_of(NOTEBOOK).items()}
    assert list(declared) == ["data", *Monitor.model_fields]
    assert Monitor("model", "rep_forecast").parameters == {k: v for k, v in declared.items() if k != "data"}


def test_the_ledgers_first_line_does_not_change(begun):
    assert begun[1].added[0]["hash"] == "5c981f50542a7e428fbc1cadfd7d132e3f6ecbe124a7712a85274155b418a548"


def test_cells_are_thin():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    text = ["".join(c["source"]) for c in cells if "parameters" not in c["metadata"].get("tags", ())]
    assert not [t for t in text if re.search(r"^\s*(for|while|def|if)\b|groupby", t, re.M)]


def test_git_ignores_the_demos_ledger():
    place = ROOT / "data" / "demo" / "ledger" / "weekly_monitor.jsonl"
    done = subprocess.run(["git", "-C", str(ROOT), "check-ignore", "-q", str(place)], check=False)
    assert done.returncode == 0
