"""The coverage study: it judges as fe.compare does, its truths are true, and it goes on where it stopped."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.compare import proof as proofs
from forecasteval.compare.pair import biases_of, pair_of
from forecasteval.errors import CallError
from forecasteval.inference.grouping import Grouping
from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study.__main__ import summarise
from forecasteval.studies.coverage_study._goals import GOALS, counted, least_told, missed, read
from forecasteval.studies.coverage_study._judge import COLUMNS, judge, summary
from forecasteval.studies.coverage_study._pilots import Simulator
from forecasteval.studies.coverage_study._runs import Runs, chunk
from forecasteval.studies.coverage_study.design import FULL, QUICK, Cell, Drawn
from forecasteval.studies.coverage_study.study import Study, StudyAnswer

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "reports" / "example" / "coverage_study.csv"
QUESTIONS = (("deal",), ("rep",), ("period",), ("deal", "period"), ("rep", "period"))


def table_of(pilot):
    deals = pilot.deals
    unit = np.arange(deals.won.size) if pilot.unit is None else pilot.unit
    table = pd.DataFrame(
        {
            "deal_id": unit,
            "rep": pilot.rep,
            "period": pilot.period,
            "won": deals.won.astype(int),
            "amount": deals.amount,
            "amount_won": deals.amount_won,
            "model": deals.candidate,
            "rep_forecast": deals.baseline,
        }
    )
    table["as_of"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(table.groupby("deal_id").cumcount(), "D")
    return table if pilot.account is None else table.assign(account=pilot.account)


def said(table, waiting=0):
    return StudyAnswer(table, waiting)


@pytest.mark.parametrize("looks", [1, 3])
def test_a_run_is_judged_as_the_public_surface_judges_it(looks):
    cell = Cell("", "", 9, 400, 7, bias_sd=0.6, shock_sd=0.3, looks=looks, questions=QUESTIONS)
    pilot = Simulator(cell).draw(np.random.default_rng(1))
    for metric in cell.metrics:
        ours = judge(pilot, metric, QUESTIONS)
        for question in QUESTIONS:
            theirs = fe.compare(
                table_of(pilot), "model", "rep_forecast", metrics=[metric], generalise_to=question
            ).primary
            row = dict(zip(COLUMNS, ours[question], strict=True))
            assert row["estimate"] == pytest.approx(theirs["difference"], rel=1e-12)
            assert (row["low"], row["high"]) == pytest.approx((theirs["low"], theirs["high"]), rel=1e-9)
            assert row["reliable"] == theirs["reliable"]


@pytest.mark.parametrize("null", [False, True])
def test_what_is_taken_for_true_is_what_many_deals_say(null):
    """A pilot so large that chance is gone shows its own truth, for these reps in these periods."""
    cell = Cell(
        "", "", 10, 400_000, 4, bias_sd=0.6, shock_sd=0.4, null=null, amount_sd=0.5, questions=(("deal",),)
    )
    pilot = Simulator(cell).draw(np.random.default_rng(2))
    table = fe.compare(
        table_of(pilot), "model", "rep_forecast", metrics=list(cell.metrics), generalise_to=("deal",)
    ).table.set_index("metric")
    for metric in cell.metrics:
        row = table.loc[metric]
        assert abs(row["difference"] - pilot.truth[metric, ("deal",)]) < 4 * row["se"] + 3e-4
        assert row["se"] < 0.01


def test_new_reps_are_true_on_average_over_many_reps():
    cell = Cell("", "", 4000, 400_000, 1, 0.8, bias_sd=0.5, bias="exponential", metrics=("brier", "auc"))
    pilot = Simulator(cell).draw(np.random.default_rng(3))
    for metric in cell.metrics:
        row = fe.compare(
            table_of(pilot), "model", "rep_forecast", metrics=[metric], generalise_to=("rep",)
        ).primary
        assert abs(row["difference"] - pilot.truth[metric, ("rep",)]) < 4 * row["se"]


def test_the_notebook_declares_what_the_package_does():
    """Its parameters stand in the order of the class, which takes them by position, with the same defaults."""
    from forecasteval.report.parameters import parameters_of

    declared = {n: p.value for n, p in parameters_of(ROOT / "notebooks" / "coverage_study.ipynb").items()}
    assert list(declared) == list(Study.model_fields)
    assert Study().parameters == declared


def test_a_row_of_the_design_is_read_with_its_kinds():
    one = next(
        c for c in FULL if c.name == "equally good: 20 reps, sd 0, exponential 0.5, 6 quarters, shocks 0"
    )
    assert one == Cell(
        one.name, "equal", 20, 1800, 6, 0.0, bias_sd=0.5, bias="exponential", null=True, questions=QUESTIONS
    )
    with pytest.raises(ValueError, match="exponential"):
        Cell("a", "reps", 6, 120, bias="odd")


def test_the_design_is_the_declared_one():
    assert 100 <= len(FULL) <= 140
    assert len({c.name for c in FULL}) == len(FULL)
    assert set(QUICK) <= set(FULL)
    assert {c.reps for c in FULL} >= {5, 8, 12, 20, 40, 80}
    assert {c.periods for c in FULL} >= {2, 4, 6, 8, 12}
    assert min(c.deals for c in FULL) == 50
    assert max(c.deals for c in FULL) == 100_000
    assert {c.wins for c in FULL} >= {0.02, 0.5}
    assert {c.amount_sd for c in FULL} >= {1.5, 2, 2.5}
    assert {c.reps for c in FULL if c.sure} == {10, 20, 50}
    assert {c.reps for c in FULL} >= {120, 400}
    for kind in ("follow", "skill", "ar", "stages", "cross"):
        assert any(getattr(c, kind) for c in FULL)


def test_a_study_that_was_stopped_goes_on_and_gives_the_same(tmp_path):
    cells = (
        Cell("a", "reps", 6, 120, 1, metrics=("brier",)),
        Cell("b", "wins", 6, 120, 1, metrics=("bias",)),
    )
    whole = Runs(cells, 40, tmp_path / "whole", workers=2)  # how many work makes no difference
    assert {c.name for c in whole.run()} == {"a", "b"}
    assert list(Runs(cells[:1], 40, tmp_path / "parts", workers=1).run()) == [cells[0]]
    second = Runs(cells, 40, tmp_path / "parts", workers=1)
    assert second.waiting == [cells[1]]
    assert list(second.run()) == [cells[1]]
    pd.testing.assert_frame_equal(second.table(), whole.table())
    assert Runs(cells, 40, tmp_path / "whole", seed=1).waiting == list(cells)
    answer = said(whole.table())
    assert "2 kinds of pilot" in answer.verdict.words().text
    assert answer.coverage.figure().alt
    assert "new reps" in answer.coverage.words().text


def test_real_tables_are_populations(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"rep": rng.integers(0, 30, 900), "won": rng.integers(0, 2, 900)})
    table["m"], table["r"] = rng.random(900), rng.random(900)
    table.to_csv(tmp_path / "t.csv", index=False)
    cells = Drawn.parse(f"{tmp_path}/t.csv: m, r, rep")
    study = Runs(cells[:1], 60, tmp_path / "s", workers=1)
    assert len(list(study.run())) == 1
    found = study.table().set_index("metric")
    assert found.loc["brier", "coverage"] > 0.8
    with pytest.raises(CallError, match=r"write 'file\.csv"):
        Drawn.parse("t.csv")
    with pytest.raises(
        CallError, match=r"2 parameters cannot be used:(.|\n)*neither quick nor full(.|\n)*no file"
    ):
        Study("all", tables=["nowhere.csv: a, b, c"])


def test_reports_and_readme_say_what_the_committed_study_counted(committed, tmp_path):
    found, told = counted(committed), proofs.committed()
    assert (found.rows, found.low, found.plain_low) == (told.rows, told.low, told.plain_low)
    assert (found.one_sided, found.wide) == (told.one_sided, told.wide)
    assert (found.false, found.false_most) == pytest.approx((told.false, told.false_most), abs=5e-5)
    assert set(committed["cell"]) >= {c.name for c in FULL}
    readme = (ROOT / "README.md").read_text()
    for figure in (
        f"{told.rows:,}",
        f"{told.rows - told.low:,}",
        f"**{told.low} miss**",
        f"{told.one_sided} miss",
    ):
        assert figure in readme
    summarise(COMMITTED, tmp_path / "proof.json")
    assert (tmp_path / "proof.json").read_bytes() == Path(proofs.__file__).with_suffix(".json").read_bytes()


def test_the_committed_misses_are_those_of_the_goals(committed):
    assert committed["misses"].equals(pd.read_csv(COMMITTED)["misses"].fillna(""))


@pytest.fixture(scope="module")
def committed():
    return read(COMMITTED)


@pytest.fixture(scope="module")
def quick(committed):
    """A quick look in which nothing misses."""
    few = committed[committed["cell"].isin([c.name for c in QUICK])]
    held = {"coverage": (0.93, 1), "below": (0, 0.045), "above": (0, 0.045)}
    return missed(
        few.assign(runs=200.0, **{c: few[c].clip(*k) for c, k in held.items()}).drop(columns="misses")
    )


def test_a_quick_look_says_so_and_leads_to_the_evidence(quick, committed):
    card = said(quick).verdict.words()
    assert 'class="verdict-card unsure"' in card.html
    assert "7 kinds of pilot with 200 runs each only show that the machinery works." in card.text
    assert proofs.proof() in card.text
    assert "-p setting full" in card.text
    whole = said(committed).verdict
    assert whole.words().text.startswith("Full study: 40 of 1,454 miss\n1,414 of 1,454 kinds")
    assert "machinery" not in whole.words().text
    assert "machinery" in said(committed.assign(runs=200)).verdict.headline
    assert "machinery" in said(committed[committed["cell"] != FULL[0].name]).verdict.headline
    unfinished = said(pd.DataFrame(), 7).verdict.words()
    assert "7 cells not run yet" in unfinished.text
    assert proofs.proof() in unfinished.text


@pytest.mark.parametrize("runs", [20, 200, 2000])
def test_what_few_runs_can_tell_is_where_rows_begin_to_miss(runs):
    edge = least_told(runs)
    for share, word in ((edge - 0.001, "coverage"), (edge + 0.001, "")):
        error = (share * (1 - share) / runs) ** 0.5
        assert (share + 1.96 * error < GOALS["coverage"]) == bool(word)


def test_where_it_fails_is_written_from_the_table(quick, committed):
    words = said(committed).failing.words()
    lines = re.findall("<li>(.*?)</li>", words.html)
    low = committed["misses"].str.contains("coverage")
    assert words.text.startswith(f"{low.sum()} rows held the truth less than 93%")
    assert sum(int(line.split()[0]) for line in lines) == low.sum()
    assert "has none of them in one case out of 8" in lines[0]
    assert "One seller holds 40%" in next(line for line in lines if "salvirt" in line)
    fewer = said(committed[committed["family"] == "reps"]).failing.words().text
    assert fewer.startswith("9 rows held")
    assert "one case out of" not in fewer
    assert "salvirt" not in fewer
    none = said(quick).failing.words().text
    assert none.startswith("No row misses the 93%")
    assert "the full study does" in none


def test_a_share_that_rounds_to_the_goal_shows_on_which_side_it_lies(quick):
    first = quick.index[0]
    table = quick.assign(coverage=quick["coverage"].where(quick.index != first, 0.925))
    shown = said(table).coverage.words().text
    assert "0.925–" in shown
    assert "0.93–" not in shown
    other = said(table.assign(coverage=table["coverage"].where(table.index != first, 0.931)))
    assert "0.931–" in other.coverage.words().text


def test_the_table_uses_words_that_the_glossary_explains(committed):
    explained = said(committed).glossary.words().html
    header = said(committed).coverage.words().text.splitlines()[0].split("\t")
    assert len(header) <= 4
    for column in [*header[1:], "Width", "Flagged", "oracle"]:
        assert f"<dt>{column}</dt>" in explained


def test_pictures_explain_their_marks(committed):
    answer = said(committed)
    first = answer.coverage.figure().figure
    low, high = first.axes[0].get_xlim()
    ticks = [t for t in first.axes[0].get_xticks() if low <= t <= high]
    assert np.allclose(np.diff(ticks), 0.1)
    assert len(ticks) <= 7  # else they run into each other
    assert "simulation error" in first.axes[0].get_xlabel()
    words = ["meets the goal", "misses it", "plain jackknife interval"]
    assert [t.get_text() for t in first.legends[0].get_texts()] == words


def test_misses_are_counted_by_hand():
    truth = np.zeros(200)
    rows = np.zeros((200, len(COLUMNS)))
    rows[:, COLUMNS.index("estimate")] = np.linspace(-1, 1, 200)
    for name, value in (("se", 0.5), ("possible", 1), ("reliable", 1)):
        rows[:, COLUMNS.index(name)] = value
    rows[:, COLUMNS.index("low")] = rows[:, 1] - 0.8
    rows[:, COLUMNS.index("high")] = rows[:, 1] + 0.8
    for name, half in (("cr3j", 0.8), ("cr2", 0.7), ("effects", np.nan)):
        rows[:, COLUMNS.index(name)] = half
    found = summary(rows)
    outside = np.abs(rows[:, 1] - truth) > 0.8
    assert found["coverage"] == pytest.approx(1 - outside.mean())
    assert found["below"] == found["above"] == pytest.approx(outside.mean() / 2)
    assert found["false_better"] == pytest.approx(outside.mean())
    assert found["coverage_cr3j"] == found["coverage"]
    assert found["coverage_cr2"] == pytest.approx((np.abs(rows[:, 1]) <= 0.7).mean())
    assert np.isnan(found["coverage_effects"])
    for side in ("above", "below"):  # by what CR3J finds in 80% of runs, the same interval finds as much
        assert found[f"power_{side}"] == found[f"power_{side}_cr3j"] == pytest.approx(0.8, abs=0.006)
        assert found[f"power_{side}_cr2"] == pytest.approx(0.85, abs=0.006)
        assert f"power_{side}_effects" not in found
    marked = missed(pd.DataFrame([found | {"false_better": 0.2}]))["misses"].iloc[0]
    assert "false better" in marked
    assert "coverage" in marked
    assert GOALS["coverage"] == 0.93
    row = {"runs": 2000, "flagged": 0.1, "coverage": 0.90, "mc_error": 0.007, "below": 0.01, "above": 0.09}
    narrow = missed(pd.DataFrame([row | {"width": 0.9, "false_better": float("nan")}]))
    assert narrow["misses"].tolist() == ["coverage, one side"]


def test_the_notebook_reports_through_the_real_path(tmp_path):
    from forecasteval.report.make import make_report

    place = make_report(
        "coverage_study", out=tmp_path, texts={"runs": "20", "store": str(tmp_path / "cells"), "workers": "1"}
    )
    page = (place / "report.html").read_text()
    assert "How often do the intervals hold the truth?" in page
    assert "7 kinds of pilot with 20 runs each only show that the machinery works" in page
    table = pd.read_csv(place / "tables" / "coverage_study.csv")
    assert set(table["cell"]) == {c.name for c in QUICK}


# --- which way far-off reps would lie -----------------------------------------------------------------


def biased(sd_model, sd_rep, seed=0, reps=30, each=80):
    rng = np.random.default_rng(seed)
    rep = np.repeat(np.arange(reps), each)
    odds = rng.normal(-1, 1, rep.size)
    said = {
        name: 1 / (1 + np.exp(-odds - rng.normal(0, sd, reps)[rep]))
        for name, sd in (("model", sd_model), ("rep_forecast", sd_rep))
    }
    won = (rng.random(rep.size) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame({"deal_id": range(rep.size), "rep": rep, "won": won, **said})


def arms(table, metric, **options):
    c = fe.compare(table, "model", "rep_forecast", metrics=[metric], generalise_to=("rep",), **options)
    row = c.primary
    return row["difference"] - row["low"], row["high"] - row["difference"]


@pytest.mark.parametrize(("metric", "sign"), [("brier", 1), ("log_score", 1), ("brier_skill", -1)])
def test_an_interval_reaches_further_where_the_more_variable_forecaster_may_be_worse(metric, sign):
    """Rare reps whose forecasts are far off make the reps' own forecasts worse, never better."""
    down, up = arms(biased(0.0, 1.0), metric)
    assert (down - up) * sign > 0.3 * min(down, up)
    down, up = arms(biased(1.0, 0.0), metric)
    assert (up - down) * sign > 0.3 * min(down, up)


def test_a_bias_has_no_side_and_a_rank_score_has_no_bias():
    table = biased(0.0, 1.0)
    down, up = arms(table.assign(model=table["model"] * 100), "auc", kinds={"model": "rank_score"})
    assert down == pytest.approx(up)
    cell = Cell("", "", 20, 2000, 1, 0.8, bias_sd=0.8, metrics=("bias",), questions=(("rep",),))
    pilot = Simulator(cell).draw(np.random.default_rng(0))
    groups = Grouping.of(pilot.rep, None, None, None, pilot.rep.size)
    biases = biases_of(pilot.deals, groups)
    found = pair_of(METRICS["bias"], pilot.deals, groups, ("rep",), units=False, biases=biases)
    assert found.difference.spread(("rep",)).skew == 0
    found = pair_of(METRICS["brier"], pilot.deals, groups, ("rep",), units=False, biases=biases)
    assert found.difference.spread(("rep",)).skew < -0.5


def test_clusters_of_single_deals_lean_nowhere():
    table = biased(0.0, 1.0).assign(account=lambda t: t["deal_id"])
    row = fe.compare(table, "model", "rep_forecast", metrics=["auc"], generalise_to=("account",)).primary
    down, up = row["difference"] - row["low"], row["high"] - row["difference"]
    assert max(down, up) < 1.1 * min(down, up)


def test_skewed_uneven_reps_are_covered_where_the_plain_jackknife_fails():
    cell = Cell(
        "", "", 16, 1600, 1, 0.8, bias_sd=0.6, bias="exponential", metrics=("brier",), questions=(("rep",),)
    )
    found = summary(chunk(cell, 400, (5,))["brier", ("rep",)])
    assert found["coverage_cr3j"] < 0.88
    assert found["coverage"] > found["coverage_cr3j"] + 0.05
    assert found["width"] < 1
    assert found["flagged"] < 0.02
