"""compare_forecasts as its users run it: through papermill, on the demo, on awkward choices, on real tables."""

import json
import re
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from forked import make_forked

import forecasteval as fe
from forecasteval.cli import _asked as asked
from forecasteval.errors import CallError, RunFailed
from forecasteval.report.make import make_report
from forecasteval.sources import folder as tables
from forecasteval.sources.flat_table import import_table
from forecasteval.tables.organisation import Org

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "compare_forecasts.ipynb"
REAL = ROOT.parent / "shared" / "samples" / "forecasts"
real_tables = pytest.mark.skipif(not REAL.is_dir(), reason="the real tables are not beside the checkout")


def run(out, data=ROOT / "data" / "demo", make=make_forked, **parameters):
    folder = make(NOTEBOOK, out=out, data=data, parameters=parameters, allow_stale=True)
    return json.loads((folder / "results.json").read_text()), (folder / "report.html").read_text(), folder


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return run(tmp_path_factory.mktemp("demo"), make=make_report)


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_answer_comes_first_and_is_the_tables(demo):
    results, page, _ = demo
    words = text_of(page)
    assert results["headline"].startswith(
        "At the end of week 4, model is better than rep_forecast: Brier score"
    )
    answer = "the model is ahead of the reps as entered, not of the reps corrected by their own past: on a typical deal"
    assert results["fair_twin"]["verdict"] == "not enough evidence"
    row = results["comparisons"][0]
    near, far = sorted((-row["low"], -row["high"]))
    score = f"{-row['difference']:.3f} lower (95% interval {near:.3f} to {far:.3f}), for new reps and new quarters"
    assert words.index(answer) < words.index(score) < words.index("How sure, and about what")


def test_the_first_screen_says_whose_data_when_and_what_weighs_most_against_the_verdict(demo):
    words = text_of(demo[1])
    first = words[: words.index("How sure, and about what")]
    assert "Demo organisation · FY2025-Q3 to FY2026-Q4 · data until 20 March 2026 · made on" in first
    assert "of the probabilities in the reps' own forecast equal their stage's default" in first
    assert "Of 100 such deals" in first
    assert "Why this verdict?" in first
    assert "rep_forecast" not in words[: words.index("What this report was made from")]


def test_the_table_of_metrics_holds_what_the_results_hold(demo):
    results, _, folder = demo
    metrics = pd.read_csv(folder / "tables" / "metrics.csv")
    assert metrics["verdict"][0] == "candidate better"
    assert metrics["difference"][0] == pytest.approx(results["comparisons"][0]["difference"], rel=1e-11)


def test_results_have_what_others_rely_on(demo):
    results = demo[0]
    assert set(results) >= {
        "schema_version",
        "headline",
        "primary",
        "question",
        "estimand",
        "parameters",
        "flow",
        "comparisons",
    }
    assert [r["generalise_to"] for r in results["ladder"]] == [
        ["deal"],
        ["rep"],
        ["period"],
        ["rep", "period"],
    ]
    assert results["flow"][-1]["deals"] == results["comparisons"][0]["deals"]
    assert len(results["by_week"]) >= 12


def test_the_method_holds_on_these_deals_and_says_how_often_it_errs(demo):
    results, page, folder = demo
    first, *others = results["does_it_hold"]["checks"]
    assert first["headline"] in text_of(page)
    assert first["reasons"] == []
    assert [r["swapped"] for r in first["rates"]] == ["rep", "period"]
    assert len(others) == 3
    assert len(pd.read_csv(folder / "tables" / "does_it_hold.csv")) == 5


def test_every_picture_has_a_text_alternative_and_a_file(demo):
    _, page, folder = demo
    pictures = {p.stem for p in (folder / "figures").iterdir()}
    assert pictures == {
        "ladder",
        "by_week",
        "reliability",
        "rep_bias",
        "forest",
        "few_reps",
        "flow",
        "by_chance",
        "segments",
        "who_was_right",
    }
    assert page.count("<img") == 10
    assert all(len(alt) > 40 for alt in re.findall(r'<img[^>]+alt="([^"]*)"', page))


def test_reps_are_numbers_unless_names_are_asked_for(demo):
    results, page, folder = demo
    owners = tables.read(ROOT / "data" / "demo").deals["rep"].dropna().unique()
    everything = page + json.dumps(results) + "".join(p.read_text() for p in (folder / "tables").iterdir())
    everything += (folder / "report.ipynb").read_text()
    assert not [o for o in owners if o in everything]


def test_the_page_holds_no_code_and_no_request(demo):
    page = demo[1]
    assert "<script" not in page
    assert "fe.Question" not in page
    assert "default-src 'none'" in page
    assert not re.findall(r'(?:src|href)="https?:', page)


def test_the_same_input_gives_the_same_results_byte_for_byte(demo, tmp_path):
    again = run(tmp_path)[2]
    assert (again / "results.json").read_bytes() == (demo[2] / "results.json").read_bytes()


def test_a_closer_look_is_in_the_results_and_on_the_page(demo):
    results, page, folder = demo
    words = text_of(page)
    reps = results["calibration_tests"]["rep_forecast"]
    assert reps["slope"]["high"] < 1
    assert reps["gap"]["low"] > 0
    assert "too optimistic and overconfident" in words
    assert reps["word_test"]["p_value"] <= 0.01
    assert results["encompassing"]["baseline"]["low"] > 0  # planted: the reps know something of their own
    assert "The reps' own forecast knows something that the model does not" in words
    assert results["segments"]["by"] == "region"  # organisation.yaml names them
    assert list(results["more_segments"]) == ["segment"]
    assert (
        results["totals"]["reason"]
        == "Too few quarters: 6, at least 8 are needed for a test of period totals."
    )
    assert results["totals"]["reason"] in words
    assert results["ranges"]["not stated"]["ranges"] > 100
    assert results["margin"] is None
    table = pd.read_csv(folder / "tables" / "rep_bias.csv")
    assert table["name"].str.fullmatch(r"rep \d+").all()
    assert table.loc[table["deals"] < 20, "bias"].isna().all()


def test_a_family_of_segments_and_a_margin(tmp_path):
    results, page, folder = run(tmp_path, segments="segment", margin=0.01, generalise_to=["deal"])
    words = text_of(page)
    assert results["segments"]["size"] == 2
    assert "2 segments of segment count as one family" in words
    assert "Margin 0.01: the model is better than the reps' own forecast by at least" in words
    assert results["margin"]["not_inferior"]
    assert not results["margin"]["equivalent"]
    assert (folder / "figures" / "segments.png").exists()
    table = pd.read_csv(folder / "tables" / "segments.csv")
    for row, r in zip(table.to_dict("records"), results["segments"]["table"], strict=True):
        assert row["low"] == pytest.approx(r["low"], rel=1e-9)


def test_another_segment_another_week_another_pair(tmp_path):
    results, page, _ = run(
        tmp_path,
        segment="region: West",
        as_of="week 6",
        candidate="vendor_x",
        baseline="rep_recalibrated",
        metrics=["brier_skill", "auc", "bias_by_amount"],
        generalise_to=["rep"],
        level=0.9,
        margin=0.5,
        also=["mix"],
        show_names=True,
    )
    assert results["headline"].startswith(
        "At the end of week 6, where region is West, vendor_x and rep_recalibrated are practically the same"
    )
    assert results["comparisons"][0]["generalise_to"] == ["rep"]
    assert "region is West" in text_of(page)
    assert results["flow"][-1]["why"] == "another region"


@pytest.mark.parametrize(
    ("parameters", "sentences"),
    [
        (
            {"metrics": ["brie"], "level": 95.0, "segment": "West", "population": "everything"},
            ["4 parameters cannot be used", "Did you mean 'brier'?", "level: 95.0", "of the form 'column: value'", "population: 'everything' is not one of"],
        ),
        ({"segment": "region=Mars"}, ["no deal has region = 'Mars'; there are"]),
        ({"segments": "planet"}, ["segments: there is no column 'planet'; the deals can be divided by", "region"]),
        ({"segment": "planet=Mars"}, ["there is no column 'planet'; the deals have", "region"]),
        ({"candidate": "modle"}, ["There is no forecaster modle", "Did you mean model?"]),
        ({"as_of": "week 40"}, ["neither 'week 1' to 'week 14' nor a date"]),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_with_the_allowed_ones(tmp_path, parameters, sentences):
    """On the command line before a kernel starts; without it, and once here, by the notebook itself."""
    in_notebook = "planet" in str(parameters.get("segment"))

    def check(values, folder):
        asked("compare_forecasts", values, tables.read(folder))

    make = make_forked if in_notebook else partial(make_report, check=check)
    with pytest.raises(RunFailed if in_notebook else CallError) as refused:
        run(tmp_path, make=make, **parameters)
    assert refused.value.exit_code == 2
    for sentence in sentences:
        assert sentence in str(refused.value)
    assert not (tmp_path / "compare_forecasts").exists()


def test_what_only_the_data_can_judge_is_refused_before_anything_is_matched():
    org = tables.read(ROOT / "data" / "demo")
    wrong = {
        "There is no forecaster modle. .* Did you mean model?": {"candidate": "modle"},
        "There is no forecaster gong": {"also": ["mix", "gong"]},
        "as_of 'week 40' is neither 'week 1' to 'week 14' nor a date": {"as_of": "week 40"},
        "as_of 1999-01-01 lies in no period of the calendar": {"as_of": "1999-01-01"},
        "segment: there is no column 'planet'; the deals have period, rep": {"segment": "planet=Mars"},
        "segment: no deal has region = 'Mars'; there are": {"segment": "region=Mars"},
        "segments: there is no column 'planet'; the deals can be divided by": {"segments": "planet"},
    }
    for sentence, parameters in wrong.items():
        question = fe.Question(**{"candidate": "model", "baseline": "rep_forecast"} | parameters)
        with pytest.raises(CallError, match=sentence):
            question.check(org)
    known = fe.Question("model", "rep_forecast").run(org).pair.segments
    for column in known:
        fe.Question("model", "rep_forecast", segments=column).check(org)
    with pytest.raises(CallError, match=re.escape(", ".join(known))):
        fe.Question("model", "rep_forecast", segments="planet").check(org)


def test_papermill_explains_the_parameters():
    from papermill.inspection import inspect_notebook

    found = inspect_notebook(str(NOTEBOOK))
    assert len(found) == 15
    assert all(
        p["help"] and p["inferred_type_name"] in {"str", "list", "float", "bool", "int"}
        for p in found.values()
    )


def test_cells_are_thin():
    cells = [c for c in json.loads(NOTEBOOK.read_text())["cells"] if c["cell_type"] == "code"]
    text = ["".join(c["source"]) for c in cells if "parameters" not in c["metadata"].get("tags", ())]
    assert not [t for t in text if re.search(r"^\s*(for|while|def|if)\b|groupby", t, re.M)]


HOSTILE = "<script>alert(1)</script>"


def imported(source, mapping, folder):
    """A flat table brought in the way `forecasteval import table` does."""
    folder.mkdir()
    path = folder / "mapping.yaml"
    path.write_text(mapping)
    matched = import_table(source, path)
    tables.write_tables(Org(name=Path(source).stem, folder=folder, matched=matched), folder)
    return folder


def test_hostile_text_stays_text(tmp_path):
    rows = pd.DataFrame(
        {
            "id": range(200),
            "won": [0, 1, 0, 0] * 50,
            "$x^2$ <b>vendor</b>": [0.1, 0.8, 0.3, 0.2] * 50,
            "_reps": [0.4, 0.6, 0.5, 0.1] * 50,
            "seller": [f"{HOSTILE}{i % 7}" for i in range(200)],
            "place": HOSTILE,
        }
    )
    rows.to_csv(tmp_path / "deals.csv", index=False)
    mapping = f"""
deal_id: id
won: {{column: won, won: [1], lost: [0]}}
rep: seller
segments: [place]
target: "{HOSTILE}"
forecasts:
  "<img src=x onerror=alert(1)>": {{column: "$x^2$ <b>vendor</b>", kind: probability}}
  _reps: {{column: _reps, kind: probability}}
"""
    data = imported(tmp_path / "deals.csv", mapping, tmp_path / "data")
    _, page, _ = run(
        tmp_path / "out",
        data,
        candidate="<img src=x onerror=alert(1)>",
        baseline="_reps",
        segment=f"place={HOSTILE}",
        show_names=True,
    )
    assert "<script" not in page
    assert "<img src=x" not in page


SOLAR = """
as_of: VALID_DATE
period: {column: VALID_DATE, block_days: 14}
won: {column: rlz.C1, won: [1], lost: [0]}
target: a C1 flare on the day
forecasts:
  noaa: {column: NOAA, kind: probability}
  sidc: {column: SIDC, kind: probability}
  daffs: {column: DAFFS, kind: probability}
"""


@real_tables
def test_people_beat_the_model_at_solar_flares(tmp_path):
    data = imported(REAL / "solar_flares_c1.csv", SOLAR, tmp_path / "data")
    results, page, _ = run(
        tmp_path / "out", data, candidate="noaa", baseline="daffs", generalise_to=["period"]
    )
    first = results["comparisons"][0]
    assert first["verdict"] == "candidate better"
    assert first["reliable"]
    assert first["clusters"]["period"]["count"] == 53
    # .1249 - .1469, and [-.039, -.009] by resampling 14-day blocks
    assert first["difference"] == pytest.approx(-0.022, abs=5e-4)
    assert first["low"] == pytest.approx(-0.039, abs=0.004)
    assert first["high"] == pytest.approx(-0.009, abs=0.004)
    assert "noaa is ahead of daffs" in text_of(page)


@real_tables
def test_people_and_model_cannot_be_told_apart(tmp_path):
    data = imported(REAL / "solar_flares_c1.csv", SOLAR, tmp_path / "data")
    answer = fe.Question("sidc", "daffs").run(fe.read(data))
    first = answer.results()["comparisons"][0]
    assert first["verdict"] == "not enough evidence"
    assert first["generalise_to"] == ["period"]


SALVIRT = """
won: {column: Status, won: [Won], lost: [Lost]}
rep: Seller
target: won
features: [Product, Authority, Comp_size, Competitors, Purch_dept, Partnership, Budgt_alloc, Forml_tend, RFI, RFP,
           Growth, Posit_statm, Source, Client, Scope, Strat_deal, Cross_sale, Up_sale, Deal_type, Needs_def, Att_t_client]
group_duplicates: true
"""


@real_tables
def test_no_rep_forecast_is_invented_where_there_is_none(tmp_path):
    data = imported(REAL / "salvirt_b2b_deals.csv", SALVIRT, tmp_path / "data")
    results, page, _ = run(tmp_path / "out", data)
    assert results["comparisons"][0]["verdict"] == "cannot be compared"
    assert "There is no forecast named rep_forecast" in text_of(page)


@real_tables
def test_reliability_is_the_story_where_three_sellers_hold_most_deals(tmp_path):
    data = imported(REAL / "salvirt_b2b_deals.csv", SALVIRT, tmp_path / "data")
    results, page, folder = run(
        tmp_path / "out", data, candidate="model", baseline="base_rate", generalise_to=["rep"]
    )
    table = {r["metric"]: r for r in results["comparisons"]}
    assert 0.76 < table["auc"]["candidate_value"] < 0.84  # out of fold, duplicates kept together
    assert table["auc"]["baseline_value"] == 0.5  # one rate for all ranks nobody
    assert table["brier"]["clusters"]["rep"]["largest_share"] == pytest.approx(178 / 448)
    assert not table["brier"]["reliable"]
    assert table["brier"]["verdict"] == "not enough evidence"
    words = text_of(page)
    assert "so uneven that they count for only 3.8" in words
    assert "nothing about how either compares with the reps" in words
    influence = pd.read_csv(folder / "tables" / "influence.csv")
    assert influence["share"].head(3).sum() == pytest.approx(0.82, abs=0.005)


def test_a_single_name_is_a_list_of_one_and_near_words_are_told():
    question = fe.Question("model", "rep_forecast", metrics="brier", generalise_to="rep")
    assert (list(question.metrics), list(question.generalise_to)) == (["brier"], ["rep"])
    with pytest.raises(
        CallError, match=r"generalise_to: \['reps', 'period'\] .* Did you mean \['rep', 'period'\]\?"
    ):
        fe.Question("model", "rep_forecast", generalise_to=["reps", "period"])


def test_a_notebook_shows_the_message_and_no_frames():
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "import forecasteval as fe\nfe.Question('model', 'model')",
        "import forecasteval as fe\nfe.read('nowhere/at/all')",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    NotebookClient(book, allow_errors=True, kernel_name="python3").execute()
    for cell, word in zip(book.cells, ("name another forecaster", "nowhere"), strict=True):
        error = cell.outputs[0]
        assert len(error.traceback) == 1
        assert word in error.traceback[0]
        assert word in error.evalue
