"""A pilot's plan in words and pictures, and the notebook as it is run."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from forked import make_forked

from forecasteval.errors import CallError, RunFailed
from forecasteval.inference.variance_components import NAMES
from forecasteval.report.figures import Picture
from forecasteval.report.make import make_report
from forecasteval.studies.plan_pilot.study import Pilot

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "plan_pilot.ipynb"


# --- the plan in words and pictures -----------------------------------------------------------------------


def test_the_card_says_what_the_numbers_say():
    answer = Pilot(difference=0.02, reps=12, quarters=2, deals=20, uneven=0.0).run()
    card, plan = answer.verdict.words().text, answer
    assert "A difference of 0.02 is too small for this pilot" in card
    assert f"difference in Brier score that shows is {plan.detectable:.3f}, for new reps" in card
    assert "More deals of the same reps will not help" in card
    assert f"you need about {plan.needed['reps']} reps" in card
    assert "This rests on assumptions" in card
    assert "About new quarters it can say nothing, having fewer than 6 quarters" in card


def test_the_card_of_a_pilot_that_is_large_enough():
    card = Pilot(difference=0.05, reps=30, quarters=8, deals=5).run().verdict.words().text
    assert card.startswith("A difference of 0.05 would show")
    assert "for new reps and new quarters" in card
    assert "More deals of the same reps do help" in card


def test_a_question_that_cannot_be_answered_is_not_answered():
    answer = Pilot(difference=0.05, reps=20, quarters=3, deals=50, generalise_to=["rep", "period"]).run()
    assert not answer.enough
    assert "no difference can be shown" in answer.verdict.headline
    assert "fewer than 6 quarters" in answer.verdict.headline


def test_pictures_draw_what_the_plan_holds():
    answer = Pilot(reps=12, quarters=4, deals=20).run()
    lines, floor = answer.reps.figure(), answer.deals.figure()
    drawn = lines.figure.axes[0].lines[0]
    table = answer.reps.table
    assert list(drawn.get_xdata()) == list(table[table["quarters"] == 1]["reps"])
    assert "needs about" in lines.alt
    assert floor.alt.startswith("More deals of the same reps never get to 0.02")
    nothing = Pilot(reps=12, quarters=6, sds={"rep": 0.0, "deal": 0.1}, generalise_to=["period"]).run()
    assert len(nothing.reps.figure().png()) > 1000


def test_every_section_can_be_asked_for_alone():
    answer = Pilot(reps=12, quarters=3, generalise_to=["rep", "period"], sds=dict.fromkeys(NAMES, 0.1)).run()
    for section in ("glossary", "ladder", "spread", "assumptions", "method", "caveats"):
        assert len(getattr(answer, section).words().text) > 100
    assert isinstance(answer.reps.figure(), Picture)
    assert answer.matched.empty


def test_wrong_values_are_refused_all_at_once():
    with pytest.raises(CallError) as refused:
        Pilot(difference=0.0, power=80, generalise_to=["quarter"], sds={"reps": 0.1}, uneven=-1)
    for sentence in (
        "5 parameters",
        "difference: 0.0",
        "power: 80",
        "['quarter'] is not one of",
        "sds: reps: 0.1",
    ):
        assert sentence in str(refused.value)
    with pytest.raises(CallError, match="Nothing varies"):
        Pilot(sds=dict.fromkeys(NAMES, 0.0)).run()
    with pytest.raises(CallError, match="plan at least two"):
        Pilot(reps=1, generalise_to=["rep"]).run()


# --- the notebook -----------------------------------------------------------------------------------------


def run(out, data=ROOT / "data" / "demo", *, make=make_forked, no_data=False, **parameters):
    if no_data:
        parameters["data"] = ""
    folder = make(NOTEBOOK, out=out, data=data, parameters=parameters, allow_stale=True)
    return json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text(), folder


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo"), make=make_report)


def test_the_history_of_the_demo_plans_a_pilot(demo):
    results, page, folder = demo
    said = text_of(page)
    assert results["headline"] in said
    assert results["history"]["reps"] == 24
    assert results["components"]["deal"]["source"] == "measured"
    low, high = results["detectable_between"]
    assert low < results["detectable"] < high
    assert {p.stem for p in (folder / "figures").iterdir()} == {"by_reps", "by_deals"}
    assert all(len(alt) > 40 for alt in re.findall(r'<img[^>]+alt="([^"]*)"', page))
    ladder = pd.read_csv(folder / "tables" / "ladder.csv")
    assert ladder["detectable"].iloc[-1] == pytest.approx(results["detectable"], rel=1e-9)
    assert "<script" not in page


def test_the_same_input_gives_the_same_results(demo):
    """Worked out again in another process, to the last digit."""
    again = Pilot().run(str(ROOT / "data" / "demo")).results()
    assert json.dumps(again) == json.dumps({key: demo[0][key] for key in again})


def test_assumptions_alone_and_other_sizes(tmp_path):
    results, page, _ = run(tmp_path, data=None, no_data=True, reps=12, quarters=2, difference=0.03)
    assert results["history"] is None
    assert {c["source"] for c in results["components"].values()} == {"assumed"}
    assert results["generalise_to"] == ["rep"]
    assert "With 12 reps, 2 quarters" in text_of(page)


def test_the_notebook_refuses_in_a_sentence(tmp_path):
    with pytest.raises(RunFailed) as refused:
        run(tmp_path, candidate="modle", difference=0.01)
    assert refused.value.exit_code == 2
    assert "There is no forecaster modle" in str(refused.value)


def test_papermill_explains_the_parameters():
    from papermill.inspection import inspect_notebook

    found = inspect_notebook(str(NOTEBOOK))
    assert len(found) == 21
    assert all(
        p["help"] and p["inferred_type_name"] in {"str", "list", "float", "int", "dict"}
        for p in found.values()
    )


def test_cells_are_thin():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    text = ["".join(c["source"]) for c in cells if "parameters" not in c["metadata"].get("tags", ())]
    assert not [t for t in text if re.search(r"^\s*(for|while|def|if)\b|groupby", t, re.M)]
