"""The form in a notebook: what a person chooses becomes the notebook's parameters; nobody there, nothing happens."""

import json
from pathlib import Path

import pytest
from papermill import inspect_notebook

from forecasteval.report import choose, form
from forecasteval.report.blocks import Html
from forecasteval.report.make import find_notebook
from forecasteval.report.parameters import parameters_of
from forecasteval.sources import folder
from forecasteval.studies import question_of

pytest.importorskip("ipywidgets", reason="the extra lab is not installed")
ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb") if "choose(" in p.read_text("utf-8"))


@pytest.fixture
def at_a_desk(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.setenv("JPY_SESSION_NAME", "compare_forecasts.ipynb")
    monkeypatch.setattr(form, "_form", None)


def given(notebook="compare_forecasts"):
    """The variables of a notebook after its cell of parameters."""
    return {name: p.value for name, p in parameters_of(find_notebook(notebook)).items()}


@pytest.mark.parametrize("notebook", sorted(p.stem for p in (ROOT / "notebooks").glob("*.ipynb")))
def test_papermill_explains_every_parameter(notebook):
    told = inspect_notebook(str(find_notebook(notebook)))
    assert [name for name, p in told.items() if not p["help"]] == []


def by_label(box):
    return {w.description: w for w in box.children if hasattr(w, "description")}


def test_under_papermill_it_is_nothing_and_changes_nothing(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    names = given() | {"as_of": "week 6"}
    assert choose(names) is None
    assert names == given() | {"as_of": "week 6"}


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_every_notebook_has_it_after_its_parameters_and_before_it_uses_them(notebook, at_a_desk):
    cells = json.loads(find_notebook(notebook).read_text("utf-8"))["cells"]
    at = next(i for i, c in enumerate(cells) if "choose(" in "".join(c["source"]))
    assert cells[at - 1]["metadata"]["tags"] == ["parameters"]
    names = given(notebook)
    fields = by_label(choose(names))
    assert names == given(notebook)
    assert "Data folder" in fields
    assert len(fields) >= 3


def test_a_notebook_that_asks_for_more_than_data_has_a_form():
    asked = {p.stem: set(given(p.stem)) & set(form._ASKED) for p in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name for name, these in asked.items() if len(these) > 1} == set(NOTEBOOKS)


def test_what_is_chosen_is_the_notebooks_and_stays_until_its_parameters_change(at_a_desk):
    names = given()
    fields = by_label(choose(names))
    assert [label for label, _ in fields["Forecaster"].options][:2] == [
        "the reps' own forecast",
        "the reps corrected by their own past",
    ]
    fields["Moment"].value = "week 6"
    fields["Only deals of"].value = "region: West"
    fields["Forecaster"].value = "vendor_x"
    chosen = {"as_of": "week 6", "segment": "region: West", "candidate": "vendor_x"}
    assert names == given() | chosen

    again = given()  # Run All: the cell of parameters has been run once more
    box = choose(again)
    assert again == given() | chosen
    said = box.children[-1].value
    assert "as_of = &#x27;week 6&#x27;" in said
    assert "Run Selected Cell and All Below" in said

    edited = given() | {"as_of": "week 9"}
    assert by_label(choose(edited))["Moment"].value == "week 9"
    assert edited == given() | {"as_of": "week 9"}


def test_every_value_that_can_be_chosen_is_one_that_the_notebook_takes(at_a_desk):
    org = folder.read(ROOT / "data" / "demo")
    fields = by_label(choose(given()))
    kind = question_of("compare_forecasts")
    for _, segment in fields["Only deals of"].options:
        kind(candidate="model", baseline="rep_forecast", segment=segment).check(org)
    for _, week in fields["Moment"].options:
        kind(candidate="model", baseline="rep_forecast", as_of=week).check(org)
    for _, name in fields["Forecaster"].options:
        if name != "rep_forecast":
            kind(candidate=name, baseline="rep_forecast").check(org)


def test_another_folder_is_read_and_one_that_cannot_be_is_said(at_a_desk, tmp_path):
    (tmp_path / "deals.csv").write_text(
        "deal_id,outcome,closed_on,product\nD1,won,2026-02-03,<b>A\nD2,lost,2026-02-04,B\n"
    )
    names = given()
    box = choose(names)
    fields = by_label(box)
    fields["Data folder"].value = "data/nowhere"
    assert "no such folder" in box.children[-1].value
    assert names["data"] == "data/demo"
    fields["Data folder"].value = str(tmp_path)
    assert names["data"] == str(tmp_path)
    assert ("product: <b>A", "product: <b>A") in fields["Only deals of"].options
    assert "week 4" in [
        value for _, value in fields["Moment"].options
    ]  # what is set stays, also where data say nothing
    fields["Only deals of"].value = "product: <b>A"
    assert "<b>" not in box.children[-1].value


def test_without_the_extra_it_says_where_forms_come_from(at_a_desk, monkeypatch):
    monkeypatch.setattr(form, "find_spec", lambda name: None)
    assert "ipywidgets (extra lab)" in choose(given()).text


# --- what is shown beside the form ------------------------------------------------------------------------


def shown(markup):
    return Html.of(markup)._repr_mimebundle_()["text/html"]


CARD = "<p>vendor_x is behind rep_forecast.</p><p>To see reps, set <code>show_names</code>.</p><td>rep_forecast</td>"


def test_a_card_in_the_lab_says_what_the_page_says(at_a_desk):
    choose(given())
    assert shown(CARD) == (
        "<p>Vendor X is behind the reps' own forecast.</p><p>To see reps, set <code>show_names</code>.</p>"
        "<td>Reps' own forecast</td>"
    )


def test_what_a_report_is_made_from_keeps_the_names(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    assert shown(CARD) == CARD


def test_words_for_names_bring_no_markup_back_to_life(at_a_desk):
    assert shown("<p>rep_forecast &lt;script&gt;</p>") == "<p>The reps' own forecast &lt;script&gt;</p>"
