import json

from forecasteval.report.brief import verdict_line
from forecasteval.report.changes import Changes, Run
from forecasteval.report.summary import Summary

ROW = {
    "primary": True, "metric": "brier", "candidate": "model", "baseline": "rep_forecast", "verdict": "candidate better",
    "reliable": True, "difference": -0.021, "low": -0.033, "high": -0.009, "level": 0.95, "p_value": 0.001, "deals": 2310,
}  # fmt: skip
RECORD = {
    "organisation": "Acme",
    "data_until": "2026-03-20",
    "finished": "2026-03-23T06:00:00+00:00",
    "parameters": {"as_of": "week 4", "seed": 0},
    "rows": {"deals": 1000},
    "inputs": [{"file": "deals.csv", "sha256": "a"}],
    "versions": {"numpy": "2.4.6"},
    "notebook": {"name": "x", "sha256": "n"},
    "git_commit": None,
}


def run(row=None, status="done", headline="model is better.", **record):
    rows = [] if row is None else [{**ROW, **row}]
    results = {"status": status, "data_problems": 2, "headline": headline, "comparisons": rows}
    return Run(results, {**RECORD, **record})


def test_a_summary_is_a_few_lines_that_stand_alone():
    said = Summary.of("compare_forecasts", "Whose forecasts?", run({}))
    assert said.text().splitlines() == [
        "Acme: Whose forecasts?",
        "The model is better.",
        "Verdict: model better; difference −0.021 (95% interval −0.033 to −0.009); 2,310 deals",
        "Data until 2026-03-20. Made on 2026-03-23. 2 things in the data to look at.",
    ]
    plain = json.loads(said.files()["summary.json"])
    assert (plain["verdict"], plain["low"], plain["changed"]) == ("candidate better", -0.033, None)
    twin = Summary.of(
        "compare_forecasts", "Whose forecasts?", run({}), answer="model is ahead, but not of all."
    )
    assert twin.text().splitlines()[1] == "The model is ahead, but not of all."


def test_a_summary_without_a_comparison_or_an_interval_says_only_what_there_is():
    assert "Verdict" not in Summary.of("plan", "Plan", run()).text()
    assert verdict_line({**ROW, "low": None, "high": None, "status": "done"}).endswith(
        "difference −0.021, without an interval; 2,310 deals"
    )
    lost = {"verdict": "cannot be compared", "difference": None, "low": None, "high": None}
    assert verdict_line({**ROW, **lost, "status": "cannot be compared"}) == "Verdict: cannot be compared"
    assert "leads" in verdict_line({**ROW, "status": "done", "counted": "leads", "deals": 12})
    assert Summary.of("x", "T", run(status="failed")).text().startswith("FAILED: Acme: T\n")


def test_text_from_data_stays_text_and_short_in_every_form():
    evil = "[x](javascript:alert(1)) <!channel> @here **b** `c`\n# h " + "long " * 900
    said = Summary.of("x", evil, run({"candidate": evil}, headline=evil, organisation=evil))
    assert len(said.text()) < 1500
    assert len(said.text().splitlines()) == 4
    markdown = said.markdown()
    assert "](" not in markdown
    assert "<!" not in markdown.replace("\\<\\!", "")
    assert "\n#" not in markdown


def test_what_changed_is_told_by_kind_with_what_was_before():
    after = run(
        {"verdict": "not enough evidence", "low": -0.04, "high": 0.001, "difference": -0.02},
        parameters={"as_of": "week 8", "seed": 0, "margin": 0.01},
        rows={"deals": 1200},
        data_until="2026-03-27",
        inputs=[{"file": "deals.csv", "sha256": "b"}, {"file": "calls.csv", "sha256": "c"}],
        versions={"numpy": "2.5.5"},
        finished="2026-03-30T06:00:00+00:00",
    )
    changes = Changes.between(run({}), after)
    assert changes.since == "2026-03-23"
    assert changes.found == {
        "verdict": ("not enough evidence; before: model better",),
        "estimate": (
            "−0.020 (95% interval −0.040 to 0.001); before: −0.021 (95% interval −0.033 to −0.009)",
        ),
        "data": (
            "rows of deals: 1,200; before: 1,000",
            "newest record: 2026-03-27; before: 2026-03-20",
            "new: 1 file (calls.csv)",
            "changed: 1 file (deals.csv)",
        ),
        "parameters": ("as_of: week 8; before: week 4", "margin: 0.01; before: none"),
        "versions": ("numpy: 2.5.5; before: 2.4.6",),
    }
    said = Summary.of("x", "T", after, changes).text().splitlines()
    assert (
        "Changed since the last report, of 2026-03-23: verdict, estimate, data, parameters and versions."
        in said
    )
    assert "- verdict: not enough evidence; before: model better" in said


def test_nothing_changed_is_said_and_a_broken_report_is_no_last_report(tmp_path):
    assert Changes.between(run({}), run({})).sentence == (
        "Nothing has changed since the last report, of 2026-03-23."
    )
    assert Run.read(tmp_path) is None
    (tmp_path / "results.json").write_text('{"comparisons": 3, "status": []}')
    (tmp_path / "manifest.json").write_text('{"inputs": 7, "rows": [], "parameters": null}')
    old = Run.read(tmp_path)
    assert "verdict" in Changes.between(old, run({})).found
