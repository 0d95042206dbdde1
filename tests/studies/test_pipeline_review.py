"""The review finds what was planted in the demo, comes back with answers, and never writes over a person's."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError, InputError
from forecasteval.studies.pipeline_review._signals import key_of, signals
from forecasteval.studies.pipeline_review.study import Review

DEMO = Path(__file__).parents[2] / "data" / "demo"
TRUTH = json.loads((DEMO / "truth.json").read_text())["review"]
EARLIER = "2026-01-16"


@pytest.fixture(scope="module")
def org():
    return fe.read(DEMO)


@pytest.fixture(scope="module")
def answer(org, tmp_path_factory):
    from dataclasses import replace

    return Review().run(replace(org, folder=tmp_path_factory.mktemp("demo")))


@pytest.fixture
def folder(tmp_path):
    """A folder with nothing but activity: ten reps over 80 weeks, one of whom stops."""
    weeks = pd.date_range("2024-09-02", periods=80, freq="W-MON")
    rng = np.random.default_rng(1)
    rows = [
        ("rep", f"r{i}", day, 0 if i == 3 and day > weeks[-5] else rng.poisson(14))
        for i in range(10)
        for day in weeks
    ]
    table = pd.DataFrame(rows, columns=["kind", "unit", "on", "count"])
    table.to_csv(tmp_path / "activity.csv", index=False)
    return tmp_path


def test_what_was_planted_stands_on_the_first_page(answer):
    rows = answer.rows
    planted = {key_of(kind, unit) for kind, unit in TRUTH["falls"].items() if isinstance(unit, str)}
    planted |= {key_of("account", name) for name in TRUTH["falls"]["account"]}
    assert planted <= set(rows["key"])
    counts = rows[rows["kind"].isin(["inbound", "rep", "account"])]
    assert len(counts) <= len(planted) + 4
    assert (rows["worth_it"] == "").all()
    assert rows["false_alarms"].max() <= answer.each


def test_what_became_of_deals_that_past_reviews_would_have_listed(answer):
    fates = answer.fates
    share = {name: fate.hits / fate.of for name, fate in fates.items()}
    assert fates["listed"].of >= 10
    assert share["listed"] > share["others"]
    assert fates["listed"].low < share["listed"] < fates["listed"].high


def test_names_of_reps_are_shown_only_when_asked(org, answer):
    page = answer.listed.words().text + answer.course.figure().alt
    assert "Claire Dubreuil" not in page
    assert "Claire Dubreuil" in set(Review(show_names=True).run(answer.org).rows["who"])


def test_units_with_a_short_past_are_counted_and_not_listed(org):
    early = signals(org, pd.Timestamp("2024-06-30"), "region")
    assert not any(s.judged for s in early)
    assert sum(s.short for s in early) > 0
    answer = Review(through="2024-06-30").run(org)
    assert answer.rows.empty
    assert "too short" in answer.verdict.headline


def test_the_loop(folder):
    """A review, a person's answers, the next review; a second run of the same day writes nothing anew."""
    first = Review(through="2026-02-06").run(fe.read(folder))
    assert first.track.precision == []
    path = first.keep()
    table = pd.read_csv(path)
    assert table["worth_it"].isna().all()
    answered = table.assign(worth_it=["yes", *["no"] * (len(table) - 1)]) if len(table) else table
    answered.to_csv(path, index=False)
    before = path.read_bytes()
    Review(through="2026-02-06").run(fe.read(folder)).keep()
    assert path.read_bytes() == before
    second = Review().run(fe.read(folder))
    assert [e["day"] for e in second.track.earlier] == ["2026-02-06"]
    assert key_of("rep", "r3") in set(second.rows["key"])
    if len(table):
        assert second.track.precision[0][1].hits == 1
    second.keep()
    final = Review(through="2026-04-01").run(fe.read(folder))
    assert len(final.track.earlier) == 2


def test_precision_counts_what_was_answered_and_what_was_missed(folder):
    third = Review(through="2025-12-21").run(fe.read(folder))
    third.keep()
    now = Review().run(fe.read(folder))
    assert set(now.missed["unit"]) == {"r3"}  # it fell after the last list, which could not know
    now.keep()
    listed = pd.read_csv(folder / "reviews" / f"{now.day:%Y-%m-%d}.csv")
    listed["worth_it"] = ["Yes" if k == key_of("rep", "r3") else "n" for k in listed["key"]]
    listed.to_excel(folder / "reviews" / f"{now.day:%Y-%m-%d}.xlsx", index=False)
    later = Review(through="2026-05-01").run(fe.read(folder))
    name, share = later.track.precision[0]
    assert (name, share.hits) == ("All", 1)
    assert share.low < 1 / share.of < share.high or share.of == 1


def test_answers_that_cannot_be_read_are_named_by_row(folder):
    path = Review().run(fe.read(folder)).keep()
    table = pd.read_csv(path).astype({"worth_it": object})
    table.loc[0, "worth_it"] = "perhaps"
    table.to_csv(path, index=False)
    with pytest.raises(InputError, match=r"reviews/.*csv, row 2, column worth_it: found 'perhaps'"):
        Review().run(fe.read(folder))


def test_bad_tables_and_bad_calls(tmp_path, org):
    (tmp_path / "activity.csv").write_text(
        "kind,unit,on,count\nrep,r1,2026-01-05,3\nreps,r1,2026-01-12,-1\nrep,,soon,1.5\n"
    )
    with pytest.raises(InputError) as error:
        fe.read(tmp_path)
    said = {(p.row, p.column) for p in error.value.problems}
    assert {(3, "kind"), (3, "count"), (4, "unit"), (4, "on"), (4, "count")} <= said
    with pytest.raises(CallError, match="no column 'regio'"):
        Review(by="regio").run(org)
    with pytest.raises(CallError, match="2 parameters"):
        Review(false_alarms=-1.0, through="yesterday")


def test_a_history_alone_is_enough(org, tmp_path):
    from dataclasses import replace

    found = Review().run(replace(org, activity=None, folder=tmp_path))
    assert {s.kind for s in found.judged} == {"inbound", "rep", "quiet", "pushed"}
    assert "entries in the record" in found.caveats.words().text


def test_of_few_units_no_more_are_listed_by_chance_than_one_in_ten(folder):
    """One kind has the whole of the false alarms to itself, and would list 4 of 10 reps on whom there is nothing to see."""
    answer = Review().run(fe.read(folder))
    assert answer.each == 4
    assert answer.expected == answer.results()["expected_false_alarms"] == 1
    assert answer.rows["false_alarms"].max() <= 1
    assert "about 1 would be listed too" in answer.verdict.headline
