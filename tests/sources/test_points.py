"""Hand-written rules: what they give to whom, why, and what is said of those that cannot be used."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecasteval as fe
from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.points import PointsTable, read_points

DEMO = Path(__file__).parents[2] / "data" / "demo"


def given_by(rules, leads, folder):
    """The points of a few leads under a rule or two."""
    (folder / "rules.yaml").write_text("rules:\n" + "".join(f"- {{{r}}}\n" for r in rules))
    table = pd.DataFrame(leads)
    table = table.assign(
        lead_id=[f"L{i}" for i in range(len(table))], came=[1, 0] * (len(table) // 2) + [1] * (len(table) % 2)
    )
    outcome = {"column": "came", "converted": [1], "lost": [0]}
    mapping = {
        "lead_id": "lead_id",
        "converted": outcome,
        "forecasts": {"rules": {"points": str(folder / "rules.yaml")}},
    }
    return import_table(table, mapping)


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("{is: DIRECTOR}", [1, 0, 0, 0]),
        ("[Director, manager]", [1, 1, 0, 0]),
        ("{is_not: Director}", [0, 1, 1, 0]),
        ("{contains: [nag, rect]}", [1, 1, 0, 0]),
        ("{known: false}", [0, 0, 0, 1]),
        ("{known: true}", [1, 1, 1, 0]),
    ],
)
def test_words_fit_without_case_and_an_empty_field_fits_only_not_known(tmp_path, condition, fits):
    found = given_by(
        [f"field: title, condition: {condition}, points: 7"],
        {"title": ["Director", "Manager", "Chief", None]},
        tmp_path,
    )
    assert found["rules"].tolist() == [7 * f for f in fits]


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("{at_least: 200}", [0, 1, 1, 0]), ("{above: 200}", [0, 0, 1, 0]), ("{at_most: 200}", [1, 1, 0, 0]),
        ("{below: 200}", [1, 0, 0, 0]), ("{at_least: 20, below: 300}", [1, 1, 0, 0]), ("200", [0, 1, 0, 0]),
    ],
)  # fmt: skip
def test_numbers_are_compared_as_numbers(tmp_path, condition, fits):
    found = given_by(
        [f"field: staff, condition: {condition}, points: -4"], {"staff": ["20", "200", "1,000", ""]}, tmp_path
    )
    assert found["rules"].tolist() == [-4 * f for f in fits]


def test_a_lead_is_explained_by_the_rules_that_gave_it_points(tmp_path):
    rules = [
        "field: staff, condition: {at_least: 200}, points: 15",
        "field: mail, condition: yes, points: -20, because: a free address",
    ]
    found = given_by(rules, {"staff": [500, 5, 500, 5], "mail": ["yes", "yes", "no", "no"]}, tmp_path)
    assert found["rules"].tolist() == [-5, -20, 15, 0]
    assert found["rules_because"].tolist() == [
        "+15 staff at least 200; -20 a free address", "-20 a free address", "+15 staff at least 200", "no rule fits",
    ]  # fmt: skip
    assert found.attrs["forecasteval"]["forecasters"]["rules"]["kind"] == "rank_score"


def test_the_points_of_the_demo_are_those_that_its_generator_counts_itself():
    spec = importlib.util.spec_from_file_location("generate", DEMO / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    raw = pd.read_csv(DEMO / "leads" / "leads.csv").set_index("lead_id")
    found = fe.read(DEMO / "leads").matched.set_index("deal_id")["rules"]
    assert found.to_list() == generate.lead_points(raw.loc[found.index]).to_list()


@settings(max_examples=6)
@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 9)), min_size=1, max_size=6),
    st.permutations(range(10)),
)
def test_the_order_of_rules_and_leads_does_not_matter(tmp_path_factory, rules, order):
    folder = tmp_path_factory.mktemp("points")
    lines = [f"field: n, condition: {{at_least: {limit}}}, points: {points}" for points, limit in rules]
    one = given_by(lines, {"n": list(range(10))}, folder)["rules"].to_numpy()
    other = given_by(lines[::-1], {"n": list(order)}, folder)["rules"].to_numpy()
    assert np.array_equal(one[list(order)], other)


def test_everything_that_is_wrong_with_a_points_table_is_said_at_once_with_its_line(tmp_path):
    (tmp_path / "rules.yaml").write_text(
        "rules:\n"
        "- {field: title, condition: {is: Director}, points: many}\n"
        "- {field: title, condition: {is: Director, atleast: 3}, points: 5}\n"
        "- {field: title, points: 5}\n"
        "- {feild: title, condition: Director, points: 5}\n"
        "- just words\n"
    )
    problems = read_points(tmp_path / "rules.yaml")[1].problems
    assert [p.row for p in problems] == [2, 3, 4, 5, 6, 6, 6]
    told = "\n".join(map(str, problems))
    assert "column points: found 'many'; expected a number" in told
    assert "column atleast: found an unknown key" in told
    assert "Did you mean at_least?" in told
    assert "Did you mean field?" in told


def test_a_field_that_is_not_there_or_that_tells_the_outcome_is_refused_with_the_line_of_the_rule(tmp_path):
    rules = ["field: titel, condition: Director, points: 5", "field: came, condition: 1, points: 50"]
    with pytest.raises(InputError) as refused:
        given_by(rules, {"title": ["Director", "x"]}, tmp_path)
    assert "rules.yaml, row 2, column field: found 'titel'" in str(refused.value)
    assert "Did you mean title?" in str(refused.value)
    assert "rules.yaml, row 3, column field: found came, which is the outcome" in str(refused.value)


def test_a_cell_that_is_no_number_is_pinned_and_a_rule_that_fits_nobody_is_said(tmp_path):
    with pytest.raises(InputError, match="row 3, column n: found 'many'; expected a number"):
        given_by(["field: n, condition: {above: 1}, points: 1"], {"n": ["1", "many"]}, tmp_path)
    found = given_by(["field: n, condition: blue, points: 1"], {"n": ["red", "green"]}, tmp_path)
    assert any("no row fits row 2, n is blue" in note for note in found.attrs["forecasteval"]["notes"])


@pytest.mark.parametrize("text", ["", "rules:\n", "rules: 3\n", "- {field: a}\n", "rules: [\n"])
def test_a_file_without_rules_is_refused(tmp_path, text):
    (tmp_path / "rules.yaml").write_text(text)
    rules, document = read_points(tmp_path / "rules.yaml")
    assert not rules
    assert document.problems


def test_the_schema_says_what_may_stand_in_a_points_table():
    schema = PointsTable.model_json_schema()
    condition = schema["$defs"]["Condition"]["properties"]
    assert set(condition) == {"is", "is_not", "contains", "at_least", "at_most", "above", "below", "known"}
