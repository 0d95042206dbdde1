"""quarter_forecast as its users run it: on the demo, whose leaders' habits are known, and on totals alone."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from forked import make_forked

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.report.make import make_report
from forecasteval.sources import totals as totals_import
from forecasteval.studies.quarter_forecast._wording import called, whose
from forecasteval.studies.quarter_forecast.study import Quarter
from forecasteval.tables.organisation import Org

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "quarter_forecast.ipynb"
CASE = ROOT.parent / "shared" / "cases" / "quarter_totals" / "totals.csv"
SECTIONS = ("verdict", "path", "ranges", "pacing", "accuracy", "steps", "reps", "apart", "at_its_word", "kinds", "overrides", "why",
            "method", "caveats")  # fmt: skip


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = make_report(
        NOTEBOOK, out=tmp_path_factory.mktemp("demo"), data=ROOT / "data" / "demo", allow_stale=True
    )
    return (
        json.loads((folder / "results.json").read_text()),
        text_of((folder / "report.html").read_text()),
        folder,
    )


def totals(periods=12, last=None, units=("East", "West"), seed=0, **leans):
    """A company that has only totals: each forecaster leans by so much; the last period is open if `last` is None."""
    import numpy as np

    rng = np.random.default_rng(seed)
    names = [f"{2023 + i // 4}-Q{1 + i % 4}" for i in range(periods)]
    calls, actuals = [], []
    for i, period in enumerate(names):
        for unit in units:
            booked = 1e6 * np.exp(rng.normal(0, 0.15))
            about = {"unit": "team", "unit_id": unit, "period": period}
            if i + 1 < periods or last == "booked":
                actuals.append(about | {"amount": booked})
            for name, (lean, noise) in leans.items():
                said = booked * (1 + lean) * np.exp(rng.normal(0, noise))
                calls.append(about | {"week": 4, "as_of": pd.NaT, "forecaster": name, "amount": said})
    return Org("acme", None, calls=pd.DataFrame(calls), actuals=pd.DataFrame(actuals))


# --- the demo, whose truth is planted -----------------------------------------------------------------


def test_the_first_screen_says_what_to_expect_and_whom_to_believe(demo):
    results, page, _ = demo
    assert re.fullmatch(
        r"Week 6\. Expect \$\d\.\d to \d\.\dM; \d of the last \d such ranges held\.", results["headline"]
    )
    first = page[: page.index("How often such ranges held")]
    assert results["headline"] in first
    assert (
        "The reps say $10.6M, the managers say $8.2M, the head of sales says $6.5M, the model says" in first
    )
    assert re.search(
        r"The managers' changes made the reps' number better by \d+ points \(\d+ to \d+\) over 8 quarters, team by team\.",
        first,
    )
    assert re.search(
        r"In \d+ open deals, \$\d\.\dM, the rep and the model are 30 points or more apart", first
    )
    assert re.search(
        r"The model \d+% \+\d+% \? \d+% \d and \d of 6 ", page
    )  # in all, of the open part, within 5 and 10%
    assert results["open"] is True
    assert results["range"]["low"] < results["says"]["model_and_new"] < results["range"]["high"]


def test_results_have_what_others_rely_on(demo):
    results, _, folder = demo
    wanted = {
        "schema_version",
        "status",
        "headline",
        "primary",
        "question",
        "estimand",
        "parameters",
        "flow",
        "comparisons",
    }
    assert set(results) >= wanted
    pairs = [("model_and_new", "cro_call"), ("cro_call", "manager_call"), ("manager_call", "rep_forecast")]
    assert [(c["candidate"], c["baseline"]) for c in results["comparisons"]] == pairs
    listed = pd.read_csv(folder / "tables" / "open_disagreements.csv", keep_default_na=False)
    assert len(listed) == results["open_disagreements"]["deals"]
    assert listed["rep"].str.startswith("rep ").all()
    assert (listed[["believed", "reason"]] == "").all(axis=None)
    figures = {p.stem for p in (folder / "figures").glob("*.png")}
    assert figures >= {
        "accuracy",
        "chain",
        "rep_bias",
        "who_was_right",
        "why_missed",
        "path",
        "last",
    }


def test_the_leaders_habits_are_found_as_they_were_planted(demo):
    chain = demo[0]["chain"]
    steps = {(s["before"], s["after"]): s for s in chain["steps"]}
    assert steps["rep_forecast", "manager_call"]["verdict"] == "made it better"
    assert steps["manager_call", "cro_call"]["difference"] < 0
    units = {u["unit"]: u for u in chain["units"] if u["step"] == "rep_forecast to manager_call"}
    assert units["East"]["difference"] < -0.15  # sees most of the way
    assert units["East"]["helped"] > 0.8
    assert units["Central"]["helped"] == 0.5  # changes that know nothing
    assert units["Central"]["verdict"] == units["West"]["verdict"] == "cannot tell"
    assert abs(units["West"]["difference"]) < 0.03  # hands on what he was given
    assert next(m for m in chain["moves"] if m["move"] == "left alone")["rows"] >= 6


def test_why_it_was_missed_adds_up_to_the_cent(demo):
    steps = pd.DataFrame(demo[0]["why_missed"]["steps"])
    by = steps.pivot_table("amount", "period", "step", aggfunc="sum")
    assert (by.drop(columns="booked").sum(axis=1) - by["booked"]).abs().max() < 0.005
    start = pd.DataFrame(demo[0]["why_missed"]["from_week_1"]).pivot_table(
        "amount", "period", "step", aggfunc="sum"
    )
    assert (start.drop(columns="booked").sum(axis=1) - start["booked"]).abs().max() < 0.005
    assert (start["booked"] - by["booked"]).abs().max() < 0.005
    assert (start["closed"] < by["closed"]).all()  # the way from week 1, not from this week


# --- totals alone -------------------------------------------------------------------------------------


@pytest.mark.skipif(not CASE.is_file(), reason="the cases are not beside the checkout")
def test_a_table_of_totals_gets_its_answer(tmp_path):

    forecasts = "".join(
        f"  {n}: {{column: {n}, kind: amount}}\n"
        for n in ("rep_submission", "manager_call", "vendor_forecast")
    )
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(f"period: quarter\nunit: team\nweek: week\nactual: actual\nforecasts:\n{forecasts}")
    totals_import.import_totals(CASE, mapping).write(tmp_path / "data")
    folder = make_forked(NOTEBOOK, out=tmp_path / "out", data=tmp_path / "data", allow_stale=True)
    results = json.loads((folder / "results.json").read_text())
    page = text_of((folder / "report.html").read_text())
    table = pd.read_csv(CASE)
    off = (table["rep_submission"] - table["actual"]).abs().sum() - (
        table["manager_call"] - table["actual"]
    ).abs().sum()
    step = results["chain"]["steps"][0]
    assert (step["before"], step["after"]) == ("rep_submission", "manager_call")
    assert step["difference"] == pytest.approx(-off / table["actual"].sum())
    assert "here are totals only" in page
    assert results["who_was_right"]["reason"].endswith("here are totals only.")
    assert "2025-Q4 is over" in results["headline"]


def test_an_open_quarter_of_totals_gets_a_range_from_past_errors():
    org = totals(reps=(0.2, 0.05), manager=(0.0, 0.05), vendor_score=(0.0, 0.05))
    answer = Quarter(model="").run(org)
    assert (answer.people, answer.machine, answer.primary) == (
        ["reps", "manager"],
        "vendor_score",
        "vendor_score",
    )
    assert answer.verdict.open
    assert answer.verdict.range["past"] == 11
    assert answer.verdict.headline.startswith("Week 4. Expect ")
    assert "The managers' changes made the reps' number better" in " ".join(answer.verdict.steps)


@pytest.mark.parametrize("periods", [1, 2, 3, 5])
def test_few_quarters_say_so_and_no_section_is_empty(periods):
    answer = Quarter(model="").run(totals(periods, last="booked", reps=(0.2, 0.1), manager=(0.0, 0.1)))
    for name in SECTIONS:
        section = getattr(answer, name)
        assert section.words().text, name
        assert not hasattr(section, "figure") or section.figure() is not None
    assert "better" not in {s["verdict"] for s in answer.results()["chain"]["steps"]}
    assert "Booked" in answer.accuracy.words().text
    if periods < 3:
        assert answer.verdict.range is None


def test_what_is_asked_for_and_not_there_is_refused_by_name():
    org = totals(reps=(0.2, 0.1))
    for wrong, said in (({"week": 5}, "week: 2025-Q4 has no week 5"), ({"period": "2025-Q9"}, "period: '2025-Q9' is not one of"),
                        ({"people": ["boss"]}, "people: there is no boss"), ({"model": "vendro"}, "model: there is no vendro")):  # fmt: skip
        with pytest.raises(CallError, match=re.escape(said)):
            Quarter(**({"model": ""} | wrong)).run(org).results()
    with pytest.raises(CallError, match="range_level: 80 is not between"):
        Quarter(range_level=80)


def test_names_are_spoken_and_hostile_ones_stay_text():
    assert called("rep_forecast_corrected") == "the reps, corrected by their past"
    assert whose("manager_call") == "the managers'"
    org = totals(**{"<script>alert(1)</script>": (0.1, 0.1), "manager": (0.0, 0.1)})
    answer = Quarter(model="").run(org)
    for name in ("verdict", "ranges", "accuracy", "steps", "method"):
        assert "<script" not in getattr(answer, name).words().html


# --- decisions ----------------------------------------------------------------------------------------


def test_a_filled_list_goes_into_the_ledger_once(tmp_path, demo):
    listed = pd.read_csv(demo[2] / "tables" / "open_disagreements.csv", dtype=str, keep_default_na=False)
    listed.loc[0, ["believed", "reason"]] = "rep_forecast", "contract is at legal"
    path, book = tmp_path / "filled.csv", tmp_path / "decisions.jsonl"
    listed.to_csv(path, index=False)
    org = fe.read(ROOT / "data" / "demo")
    for expected in (1, 0):
        answer = Quarter(overrides=str(path), ledger=str(book)).run(org)
        answer.__dict__["week"], answer.__dict__["period"] = 6, "FY2027-Q1"  # without all roll-ups anew
        assert len(answer.decided) == expected
        answer.keep()
    entry = answer.book.of("decision")[0]
    assert (entry["reason"], entry["week"], entry["period"]) == ("contract is at legal", 6, "FY2027-Q1")
    assert answer.paid.table[["decisions", "known"]].to_numpy().tolist() == [[1, 0]]


# --- quota, the list, kinds ---------------------------------------------------------------------------


def test_quota_and_pacing_are_those_that_were_planted(demo):
    results, page, folder = demo
    planted = json.loads((ROOT / "data" / "demo" / "truth.json").read_text())["quota"]
    quota = results["quota"]
    assert quota["quota"] == planted["FY2027-Q1"]
    assert quota["missing"] == pytest.approx(quota["quota"] - results["closed_to_date"])
    assert (quota["periods"], quota["periods_reached"]) == (8, 5)
    assert quota["chance"]["low"] < quota["chance"]["share"] < quota["chance"]["high"]
    teams = pd.read_csv(folder / "tables" / "pacing.csv").query("week == 6 and period == 'FY2027-Q1'")
    assert set(teams["unit"]) == {"company", "East", "Central", "West"}
    assert "quota" not in set(pd.read_csv(folder / "tables" / "totals.csv")["forecaster"])
    assert "is missing to the quota of $5.7M" in page[: page.index("How often such ranges held")]


def test_kinds_add_up_and_convert_as_their_buyers_do(demo):
    results = demo[0]
    kinds = {k["kind"]: k for k in results["kinds"]}
    assert set(kinds) == {"New Business", "Existing Business"}
    assert sum(k["expected"] for k in kinds.values()) == pytest.approx(results["says"]["model_and_new"])
    assert sum(k["closed_to_date"] for k in kinds.values()) == pytest.approx(results["closed_to_date"])
    for k in kinds.values():
        assert k["won_low"] < k["won"] < k["won_high"]


def test_commit_close_dates_and_pushes_are_told_with_intervals(demo):
    found = demo[0]["at_its_word"]
    assert [c["by"] for c in found["commit"]] == ["deals", "amount"]
    for row in (*found["commit"], *found["dates"]):
        assert row["low"] < row.get("share", row.get("closed")) < row["high"]
    assert sum(p["deals"] for p in found["pushes"]) > 2000
    assert (
        0
        < demo[0]["error_floor"]
        < next(
            line["wmape"] for line in demo[0]["accuracy"]["model_and_new"]["lines"] if line["what"] == "total"
        )
    )


def test_a_quota_of_totals_alone_is_paced_and_is_nobodys_forecast():
    org = totals(12, reps=(0.2, 0.05), manager=(0.0, 0.05), quota=(0.1, 0.0))
    answer = Quarter(model="").run(org)
    assert answer.people == ["reps", "manager"]
    assert answer.pacing.sentence.startswith("The quota is ")
    assert f"in {answer.pacing.chance['reached']} of 11" in answer.pacing.sentence
    assert "nan" not in answer.pacing.words().text + answer.pacing.sentence
    assert "quota" not in set(answer.rollups.table["forecaster"])


@pytest.mark.parametrize("booked", [-1.0, 0.0])
def test_totals_of_credits_alone_end_in_an_honest_page(booked):
    org = totals(9, reps=(0.2, 0.1), manager=(0.0, 0.1))
    none = {
        n: t.assign(amount=booked * t["amount"]) for n, t in (("calls", org.calls), ("actuals", org.actuals))
    }
    answer = Quarter(model="").run(replace(org, **none))
    assert "made of relative errors" in answer.verdict.headline
    for name in SECTIONS:
        assert getattr(answer, name).words().text, name
    assert answer.results()["range"] is None


def test_a_credit_in_one_quarter_is_left_out_of_the_range_and_said():
    org = totals(9, reps=(0.2, 0.1))
    credit = {n: t.assign(amount=t["amount"].mask(t["period"] == "2023-Q3", -5e5)) for n, t in (("calls", org.calls), ("actuals", org.actuals))}  # fmt: skip
    answer = Quarter(model="").run(replace(org, **credit))
    assert answer.verdict.range["past"] == 7
    assert "In 1 quarter the number of the reps was 0 or less" in answer.caveats.words().text


def test_months_are_called_months():
    org = totals(14, reps=(0.2, 0.1), manager=(0.0, 0.1))
    of = {p: f"{m:%Y-%m}" for p, m in zip(dict.fromkeys(org.calls["period"]), pd.date_range("2024-02", periods=14, freq="MS"), strict=True)}  # fmt: skip
    months = {
        n: t.assign(period=t["period"].map(of)) for n, t in (("calls", org.calls), ("actuals", org.actuals))
    }
    answer = Quarter(model="").run(replace(org, **months))
    said = " ".join(getattr(answer, name).words().text for name in SECTIONS)
    assert "over 13 months" in said
    assert "quarter" not in said.lower()
    assert called("same_quarter_last_year", answer.one) == "the same month last year"


def test_a_quota_alone_is_no_forecast():
    with pytest.raises(CallError, match="a quota is none"):
        Quarter(model="").run(totals(9, quota=(0.2, 0.1))).results()


def test_the_last_week_of_a_short_quarter_stands_for_week_14():
    org = totals(9, last="booked", reps=(0.2, 0.1))
    starts = pd.date_range("2023-01-02", periods=9, freq="91D")
    of = dict(zip(dict.fromkeys(org.calls["period"]), starts, strict=True))
    calls = pd.concat([
        org.calls.assign(week=w, as_of=org.calls["period"].map(of) + pd.Timedelta(days=7 * w - 1)) for w in (4, 13, 14)
    ])  # fmt: skip
    calls = calls[(calls["week"] < 14) | (calls["period"] == "2025-Q1")]
    answer = Quarter(model="", week=14).run(replace(org, calls=calls))
    assert (answer.period, answer.verdict.range["past"]) == ("2025-Q1", 8)
    assert answer.accuracies["reps"].table["totals"].tolist() == [9]
    assert answer.last.rows["week"].max() == 13
    with pytest.raises(CallError, match="has no week 14 that is over; it has 4, 13"):
        _ = Quarter(model="", week=14, period="2024-Q4").run(replace(org, calls=calls)).week
