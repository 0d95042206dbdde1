"""The page on lead scores says what was planted in the demo, and what it cannot know of other tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.studies.lead_scoring._categories import ECHO, _first
from forecasteval.studies.lead_scoring.study import Leads
from forecasteval.tables.organisation import Org

DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture(scope="module")
def truth():
    return json.loads((DEMO / "truth.json").read_text())["leads"]


@pytest.fixture(scope="module", params=["model", "lead_score"])
def answer(request):
    return Leads(candidate=request.param).run(fe.read(DEMO / "leads"))


@pytest.fixture
def advice(answer):
    return {c.name: c for c in answer.categories}


def test_each_category_of_the_demo_gets_what_was_planted(advice, truth):
    """A real signal with enough leads, the same with too few, and an echo of the rules."""
    assert set(advice) == set(truth["categories"])
    assert advice["Enterprise"].advice == "use"
    assert advice["Public sector"].advice == "few"
    assert advice["Public sector"].borrowed == "Enterprise"
    assert advice["Public sector"].closed < advice["Public sector"].needed
    assert advice["Small business"].advice == "echo"
    assert advice["Small business"].alike >= ECHO > advice["Enterprise"].alike
    assert not advice["Small business"].knows


def test_the_first_screen_says_it_in_words(answer):
    card = answer.verdict.words().text
    score = answer.verdict.score
    assert f"Use {score} in Enterprise; stay with the rules in Public sector and Small business." in card
    assert "rules until about 280 closed leads (as in Enterprise), here you have 161" in card
    assert f"{score} says much the same as the rules" in card
    words = answer.caveats.words().text + answer.terms.words().text + answer.method.words().text
    assert "deal" not in (card + words).lower().replace("ideal", "")


def test_people_are_judged_by_what_was_planted(answer, truth):
    by_reason = answer.reviews.by_reason.table.set_index("segment")["verdict"]
    assert [r for r, v in by_reason.items() if v == "candidate better"] == truth["reviews"][
        "better_than_machine"
    ]
    assert "not what the suggestion did" in answer.people.words().text


def test_the_fifth_that_is_called_first_counts_ties_in_part():
    rng = np.random.default_rng(0)
    score, won = rng.integers(0, 3, 1000).astype(float), rng.integers(0, 2, 1000).astype(float)
    broken = [_first(score + 1e-9 * rng.permutation(1000), won) for _ in range(40)]
    assert _first(score, won) == pytest.approx(np.mean(broken), abs=0.02)


def bare(folder, **more):
    """Leads without dates and owners, as a spreadsheet of somebody who kept none."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "id": range(900),
            "visits": rng.poisson(2, 900),
            "size": rng.normal(size=900),
            "kind": rng.choice(list("ab"), 900),
        }
    )
    table["came"] = (rng.random(900) < 1 / (1 + np.exp(2 - 0.6 * table["visits"]))).astype(int)
    table.assign(**more).to_csv(folder / "leads.csv", index=False)
    (folder / "rules.yaml").write_text("rules:\n- {field: visits, condition: {at_least: 3}, points: 10}\n")
    (folder / "mapping.yaml").write_text(
        "file: leads.csv\nlead_id: id\nconverted: {column: came, converted: [1], lost: [0]}\nsegments: [kind]\n"
        "features: [size, visits]\nforecasts: {rules: {points: rules.yaml}}\n"
    )
    return fe.read(folder)


def test_what_is_not_known_is_said_first(tmp_path):
    answer = Leads(category="kind", segments=[]).run(bare(tmp_path))
    card = answer.verdict.words().text
    assert "Nothing says when outcomes were known" in card
    assert "Nothing says when the fields of a lead were recorded" in card
    assert answer.sizes.words().text == ""
    assert answer.results()["in_time"] is False


def test_all_leads_can_be_one_category_and_nothing_need_be_reviewed(tmp_path):
    answer = Leads(category="", segments=[]).run(bare(tmp_path))
    assert [c.closed for c in answer.categories] == [900]
    assert answer.reviews is None
    assert "no log of reviews" in answer.people.words().text


def test_a_rule_that_knew_the_outcome_gets_no_verdict(tmp_path):
    org = bare(tmp_path, late=lambda t: t["came"])
    (tmp_path / "rules.yaml").write_text("rules:\n- {field: late, condition: 1, points: 10}\n")
    answer = Leads(category="kind", segments=[]).run(fe.read(tmp_path))
    assert org.matched is not None
    assert any(r["code"] == "hindsight" for r in answer.comparison.primary["reasons"])
    assert all(c.advice != "use" for c in answer.categories)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"candidate": "scoer"}, "There is no scoer among the forecasts"),
        ({"category": "kinds"}, "The leads have no column 'kinds'"),
        ({"segments": ["region"]}, "The leads have no column 'region'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(asked, words):
    with pytest.raises(CallError, match=words):
        Leads(**asked).run(fe.read(DEMO / "leads"))


def test_deals_are_no_leads():
    with pytest.raises(CallError, match=r"a folder with mapping\.yaml"):
        Leads().run(Org("acme", None))
