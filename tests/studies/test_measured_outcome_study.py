"""The three features of the demo: one that worked, one that did nothing, one beside something that happened to all."""

import json
from pathlib import Path

import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.studies.measured_outcome.study import Measured

DEMO = Path(__file__).parents[2] / "data" / "demo"
TRUTH = json.loads((DEMO / "truth.json").read_text())["features"]
ASKED = {
    "hours to first reply": {"better": "lower", "horizon": 72.0, "measured_in": "hours"},
    "reply rate": {"feature": "drafts sent automatically", "instead": "drafts edited by a person"},
    "close rate": {"feature": "call coaching", "instead": "no coaching"},
}


@pytest.fixture(scope="module")
def org():
    return fe.read(DEMO)


@pytest.fixture(scope="module")
def answers(org):
    return {name: Measured(outcome=name, **asked).run(org) for name, asked in ASKED.items()}


def test_the_verdicts_are_the_planted_truth(answers):
    for name, answer in answers.items():
        worked = not TRUTH[name]["truth"].startswith("nothing")
        assert answer.effect.verdict == ("candidate better" if worked else "not enough evidence")
        assert answer.effect.sides["treated"]["units"] == TRUTH[name]["treated"]
        assert f"{answer.effect.start:%Y-%m-%d}" == TRUTH[name]["since"]


def test_what_happened_to_everyone_is_said(answers):
    text = answers["close rate"].verdict.words().text
    assert "Before and after alone would say +" in text
    assert "with no coaching it was +" in text
    before, others = answers["close rate"].changes
    assert min(before, others) > 0.03


def test_every_section_speaks_and_draws(answers):
    for answer in answers.values():
        for section in ("verdict", "groups", "past", "otherwise", "method", "caveats"):
            text = getattr(answer, section).words().text
            assert text
            assert "nan" not in text.lower().split()
        for picture in (answer.groups.figure(), answer.otherwise.figure()):
            assert picture.png()
            assert answer.effect.name in picture.alt.lower() or "effect" in picture.alt.lower()
        assert set(answer.tables()) == {"units", "blocks", "otherwise", "placebo_dates"}
        assert not set(answer.tables()["units"]["unit"]) & set(answer.effect.units.index)  # pseudonyms


def test_results_can_be_rebuilt(answers):
    found = answers["hours to first reply"].results()
    row = found["comparisons"][0]
    assert row["candidate_value"] - row["baseline_value"] == pytest.approx(row["difference"])
    assert {"verdict", "reliable", "low", "high", "p_value", "se", "df"} <= set(row)
    json.dumps(found, allow_nan=False)


def test_a_folder_with_outcomes_alone_is_read_and_checked(tmp_path):
    rows = [("a", "2026-01-05", 1, ""), ("a", "2026-03-05", 0, "2026-02-01")]
    pd.DataFrame(rows, columns=["unit", "on", "value", "since"]).to_csv(
        tmp_path / "outcomes.csv", index=False
    )
    from forecasteval.sources.folder import check

    problems = check(tmp_path)
    assert [(p.file, p.row, p.column) for p in problems] == [("outcomes.csv", 3, "since")]
    pd.DataFrame(rows[:1], columns=["unit", "on", "value", "since"]).to_csv(
        tmp_path / "outcomes.csv", index=False
    )
    assert len(fe.read(tmp_path).outcomes) == 1


def test_bad_calls(org, tmp_path):
    with pytest.raises(CallError, match="3 parameters"):
        Measured(better="more", horizon=-1.0, since="then")
    with pytest.raises(CallError, match="Name one of them"):
        Measured().run(org)
    (tmp_path / "deals.csv").write_text("deal_id,outcome,closed_on\nD1,won,2026-02-03\n")
    with pytest.raises(CallError, match="has no outcomes"):
        Measured().run(fe.read(tmp_path))
