import json
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

import forecasteval as fe
from forecasteval.cli import _app, main

ROOT = Path(__file__).parents[1]
EXPORT = "Id,StageName,CloseDate,IsClosed,IsWon,Amount,Probability,CreatedDate\nD1,Won,2026-02-03,true,true,10,100,2026-01-02\n"


@pytest.fixture
def run(capsys):
    """Run a command line; its exit code, stdout and stderr."""

    def call(*words):
        code = main([str(w) for w in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def small(write_notebook):
    cell = 'region: str = "EMEA"  # where\nweeks: list[int] = [4]\nlevel: float = 0.95'
    done = "from forecasteval.report import publish\npublish({'got': [region, weeks, level]})"
    return write_notebook("# A question", cell, done)


def test_help_names_every_command_and_the_exit_codes(run):
    code, out, _ = run("--help")
    assert code == 0
    for word in (
        "import",
        "check",
        "report",
        "--version",
        "0 done, 1 a run failed, 2 the input or the call is wrong",
        "3 what was asked cannot be compared, 4 a condition of --fail-on came true",
    ):
        assert word in " ".join(out.split())
    assert run("--version")[1].startswith("forecasteval 0.")
    assert run("import", "--help")[0] == 0


def test_every_option_says_what_it_does():
    def options(command, path=()):
        for name, inner in getattr(command, "commands", {}).items():
            yield from options(inner, (*path, name))
        yield from ((*path, p.name) for p in command.params if p.param_type_name == "option" and not p.help)

    assert list(options(get_command(_app))) == []


def test_help_needs_none_of_the_heavy_packages():
    heavy = (
        "papermill",
        "nbconvert",
        "IPython",
        "matplotlib",
        "jsonschema",
        "pandera",
        "PIL",
        "ipywidgets",
        "narwhals",
        "duckdb",
    )
    script = f"import sys; from forecasteval.cli import main; main(['report', '--help']); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_report_is_made_and_its_place_is_the_only_output(run, small, tmp_path):
    code, out, err = run(
        "report",
        small,
        "-p",
        "region",
        "007",
        "-p",
        "weeks",
        "4,8",
        "-p",
        "level",
        "0.9",
        "--out",
        tmp_path / "out",
    )
    assert (code, err) == (0, "")
    page = Path(out.strip())
    assert page == tmp_path / "out" / "small" / "report.html"
    assert page.is_file()
    results = json.loads((page.parent / "results.json").read_text())
    assert results == {"status": "done", "data_problems": 0, "got": ["007", [4, 8], 0.9]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["-p", "regoin", "x"],
            "no parameter 'regoin'. Did you mean region? Its parameters: region, weeks, level.",
        ),
        (["-p", "level", "high"], "Parameter level: 'high' is not a number such as 0.05."),
        (["-p", "level"], "-p level: a value is missing."),
        (["-p", "level=0.9", "-p", "level", "0.8"], "Parameter level is given twice."),
        (["--data", "nowhere"], "no parameter 'data'"),
    ],
)
def test_a_wrong_call_is_a_sentence_and_exit_code_2(run, small, tmp_path, words, message):
    code, out, err = run("report", small, "--out", tmp_path / "out", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("notebook", "words", "message"),
    [
        ("compare_forecasts", ["-p", "level", "95"], "level: 95.0 is not between 0.5 and 1; 0.95 is usual."),
        ("compare_forecasts", ["-p", "candidate", "rep_forecast"], "name another forecaster"),
        ("plan_pilot", ["-p", "power", "1.5"], "power: 1.5 is not between"),
        ("data_sufficiency", ["-p", "target", "lost"], "target"),
        ("coverage_study", ["-p", "runs", "7"], "runs: 7 is too few to say anything"),
        ("vendor_claim", ["-p", "costs", "300"], 'not an object such as {"attention": 300, "gain": 4000}'),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(run, tmp_path, notebook, words, message):
    code, out, err = run(
        "report", ROOT / "notebooks" / f"{notebook}.ipynb", "--out", tmp_path / "out", *words
    )
    assert (code, out) == (2, "")
    assert message in err
    assert "error.txt" not in err
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_said_all_at_once(run, tmp_path):
    words = ["-p", "level", "95", "-p", "metrics", "briar,auc", "-p", "seed", "-1"]
    code, _, err = run("report", "compare_forecasts", "--out", tmp_path / "out", *words)
    assert code == 2
    assert "level: 95.0 is not" in err
    assert "Did you mean 'brier'?" in err


def test_a_study_is_asked_what_only_the_data_can_tell_where_it_can_answer(run, tmp_path):
    words = ["--data", ROOT / "data" / "demo", "--out", tmp_path / "out", "--allow-stale"]
    code, _, err = run("report", "compare_forecasts", *words, "-p", "candidate", "modle")
    assert code == 2
    assert "modle" in err
    assert (tmp_path / "out").exists() != hasattr(fe.Question, "check")


def test_somebody_elses_notebook_is_asked_for_kinds_only(run, small, tmp_path):
    code, _, err = run("report", small, "-p", "level", "95", "--out", tmp_path / "out")
    assert (code, err) == (0, "")


# --- the outcome: last lines, gate, exit code, summary passed on ----------------------------------------

COMPARED = """
from forecasteval.report import publish
row = {"primary": True, "verdict": verdict, "candidate": "model", "baseline": "reps", "difference": 0.02}
publish({"headline": "reps are\\nahead.", "comparisons": [{**row, "low": low, "high": 0.03, "level": 0.95}]})
"""


@pytest.fixture
def compared(write_notebook):
    cell = "verdict: str = 'baseline better'\nlow: float | None = 0.01"
    return write_notebook("# Who?", cell, COMPARED)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--fail-on", "low > 0.5"], 0, ""),
        (["--fail-on", "low > 0.5", "--fail-on", "verdict == 'baseline better'"], 4, "verdict =="),
        (["-p", "low", "none", "--fail-on", "low > 0"], 0, "this report has no low"),
        (["-p", "verdict", "cannot be compared", "--fail-on", "status == failed"], 3, ""),
    ],
)
def test_a_gate_sets_the_exit_code_and_the_verdict_stands_last(run, compared, tmp_path, words, code, said):
    got, out, err = run("report", compared, "--out", tmp_path / "out", *words)
    assert got == code
    assert said in err
    assert bool(said) == bool(err)
    page, headline, verdict = out.splitlines()
    assert page.endswith("report.html")
    assert headline == "reps are ahead."
    assert verdict.startswith(("Verdict: reps better; difference 0.020", "Verdict: cannot be compared; "))


def test_a_wrong_condition_stops_before_anything_runs(run, compared, tmp_path):
    code, out, err = run("report", compared, "--out", tmp_path / "out", "--fail-on", "verdict == better")
    assert (code, out) == (2, "")
    assert "verdict is never 'better'" in err
    assert not (tmp_path / "out").exists()


def test_the_summary_is_printed_as_json_and_handed_to_a_command(run, compared, tmp_path):
    keep = tmp_path / "keep.py"
    keep.write_text(
        "import os, sys; open(sys.argv[1], 'w').write(os.environ['FORECASTEVAL_REPORT'] + sys.stdin.read())"
    )
    command = shlex.join([sys.executable, str(keep), str(tmp_path / "said $HOME; x")])
    call = ["report", compared, "--out", tmp_path / "out", "--json", "--notify"]
    code, out, err = run(*call, command)
    assert (code, err) == (0, "")
    folder = tmp_path / "out" / "small"
    assert json.loads(out)["headline"] == "reps are\nahead."
    assert json.loads(out)["folder"] == str(folder)
    said = (tmp_path / "said $HOME; x").read_text()
    assert said == str(folder) + (folder / "summary.txt").read_text()

    code, out, err = run(*call, shlex.join([sys.executable, "-c", "import sys; sys.exit('no such room')"]))
    assert code == 0
    assert (
        err
        == f"--notify: {Path(sys.executable).name} ended with 1: no such room; the report is not touched by that.\n"
    )
    assert json.loads(out)["changed"]["since"]

    for wrong, why in (
        ("'", "No closing quotation"),
        ("", "names no program"),
        ("no-such-program x", "there is no"),
    ):
        code, _, err = run(*call, wrong)
        assert code == 2
        assert why in err


def test_a_failure_is_handed_on_as_well(run, write_notebook, tmp_path):
    path = write_notebook("a: int = 1", "1 / 0")
    code, _, _ = run("report", path, "--out", tmp_path / "out", "--notify", f"tee {tmp_path / 'said'}")
    assert code == 1
    assert (tmp_path / "said").read_text().startswith("FAILED: Small\nZeroDivisionError")


def test_a_failed_run_is_a_sentence_and_exit_code_1(run, write_notebook, tmp_path):
    path = write_notebook("a: int = 1", "raise ValueError('Only 3 deals in week 4; 20 are needed.')")
    code, out, err = run("report", path, "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    assert err.startswith("Only 3 deals in week 4; 20 are needed.\n")
    assert "small.failed" in err
    assert "Traceback" not in err


def test_unknown_words_and_missing_ones_are_exit_code_2(run):
    assert run("reprot")[0] == 2
    assert run("report")[0] == 2
    code, _, err = run("report", "compare_forecast")
    assert code == 2
    assert "Did you mean compare_forecasts?" in err


def test_an_error_of_our_own_is_short_unless_debugging(run, monkeypatch, tmp_path):
    monkeypatch.setattr("forecasteval.sources.folder.check", lambda folder: {}["oops"])
    monkeypatch.delenv("FORECASTEVAL_DEBUG", raising=False)
    code, _, err = run("check", tmp_path)
    assert code == 1
    assert err == "KeyError: 'oops'\nWhere this happened: run again with FORECASTEVAL_DEBUG=1.\n"
    monkeypatch.setenv("FORECASTEVAL_DEBUG", "1")
    with pytest.raises(KeyError):
        run("check", tmp_path)


def test_the_parameters_of_a_notebook_are_listed(run, small):
    code, out, _ = run("report", small, "--help-parameters")
    assert code == 0
    assert re.search(r"^region +text; default 'EMEA'\n +where$", out, re.MULTILINE)
    assert re.search(r"^weeks +a list such as \[1, 2\]; default \[4\]$", out, re.MULTILINE)


def test_a_terminal_gets_one_line_of_progress(write_notebook, tmp_path):
    path = write_notebook("a: int = 1", "## Long sums", "a", "a")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    script = "import sys; from forecasteval.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", script, "report", path, "--out", tmp_path / "out"]
    done = subprocess.run(words, stderr=theirs, stdout=subprocess.PIPE, check=False)
    said = os.read(ours, 100_000).decode()
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert "Long sums" in said
    assert "4 cells" in said
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert "\n" not in plain.rstrip()
    assert said.endswith("\x1b[1A\x1b[2K")  # and the line is gone in the end


# --- import and check -------------------------------------------------------------------------------


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "Opportunity.csv").write_text(EXPORT)
    return folder


def test_import_check_and_settings_from_options(run, export, tmp_path):
    options = ["--timezone", "Europe/Berlin", "--fiscal-start-month", "2", "--name", "Ácme"]
    for _ in range(2):  # a second time changes nothing
        code, out, _ = run("import", "salesforce", export, "--out", tmp_path / "acme", *options)
        assert code == 0
        assert "1 deal," in out
        assert f"Next: forecasteval report compare_forecasts --data {tmp_path / 'acme'}" in out

    from forecasteval.sources import folder as tables

    org = tables.read(tmp_path / "acme")
    assert (org.name, org.settings.timezone, org.settings.fiscal_year_start_month) == (
        "Ácme",
        "Europe/Berlin",
        2,
    )

    code, out, err = run("check", tmp_path / "acme")
    assert code == 0
    assert err == ""
    assert "1 deal," in out

    code, _, err = run("import", "salesforce", export, "--out", tmp_path / "acme", "--name", "Other")
    assert code == 2
    assert "organisation.yaml has the settings already" in err


def test_an_export_inside_the_data_folder_is_imported_in_place(run, tmp_path):
    (tmp_path / "acme" / "export").mkdir(parents=True)
    (tmp_path / "acme" / "export" / "Opportunity.csv").write_text(EXPORT)
    code, _, _ = run(
        "import", "salesforce", tmp_path / "acme" / "export", "--out", tmp_path / "acme", "--name", "Acme"
    )
    assert code == 0
    assert "name: Acme" in (tmp_path / "acme" / "organisation.yaml").read_text()
    assert (tmp_path / "acme" / "tables" / "deals.parquet").is_file()
    code, _, err = run("import", "salesforce", tmp_path, "--out", tmp_path / "acme")
    assert code == 2
    assert "has an export/ of its own" in err


def test_every_problem_is_listed_with_its_place(run, export):
    (export / "Opportunity.csv").write_text(EXPORT.replace("2026-02-03", "soon"))
    for words in (["check", export], ["import", "salesforce", export, "--out", export.parent / "acme"]):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert "- Opportunity.csv, row 2, column CloseDate: found 'soon'; expected" in err


def test_a_folder_that_is_not_there(run, export, tmp_path):
    file = export / "Opportunity.csv"
    for path, words in (("no/such/folder", "no such folder"), (file, "found a file; expected a")):
        for call in (["check", path], ["import", "salesforce", path, "--out", tmp_path / "acme"]):
            code, _, err = run(*call)
            assert code == 2
            assert words in err
    assert not (tmp_path / "acme").exists()


def test_wrong_options_come_at_once_and_leave_nothing_behind(run, export, tmp_path):
    acme = tmp_path / "acme"
    call = ["import", "salesforce", export, "--out", acme]
    code, _, err = run(*call, "--timezone", "Berlin", "--fiscal-start-month", "13")
    assert code == 2
    assert "--timezone: found 'Berlin'; expected a time zone" in err
    assert "Did you mean Europe/Berlin?" in err
    assert "--fiscal-start-month: found 13; expected a whole number from 1 to 12" in err
    assert not acme.exists()

    good = (export / "Opportunity.csv").read_text()
    (export / "Opportunity.csv").write_text(good.replace("2026-02-03", "soon"))
    assert run(*call, "--timezone", "Europe/Paris")[0] == 2
    assert not acme.exists()
    (export / "Opportunity.csv").write_text(good)
    assert run(*call, "--timezone", "Europe/Berlin")[0] == 0
    assert "Europe/Berlin" in (acme / "organisation.yaml").read_text()


def test_a_failed_import_in_place_leaves_no_settings(run, tmp_path):
    inside = tmp_path / "acme" / "export"
    inside.mkdir(parents=True)
    (inside / "Opportunity.csv").write_text(EXPORT.replace("2026-02-03", "soon"))
    assert run("import", "salesforce", inside, "--out", tmp_path / "acme", "--name", "Acme")[0] == 2
    assert not (tmp_path / "acme" / "organisation.yaml").exists()


# stopped between opening a file and holding it, an import leaves it to the collector, which says so
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_import_keeps_its_time(run, export, tmp_path):
    table, totals = tmp_path / "deals.csv", tmp_path / "totals.csv"
    table.write_text("id,status,p\nD1,Won,0.5\nD2,Lost,0.2\n")
    totals.write_text("quarter,reps,booked\n2025-Q1,90,80\n2025-Q2,70,75\n")
    (tmp_path / "deals.yaml").write_text("deal_id: id\nwon: {column: status, won: [Won], lost: [Lost]}\n")
    (tmp_path / "totals.yaml").write_text("period: quarter\nactual: booked\nforecasts: {reps: reps}\n")
    calls = [["table", table, "--explain"], ["salesforce", export, "--out", tmp_path / "crm"]]
    calls += [
        ["table", file, "--mapping", file.with_suffix(".yaml"), "--out", tmp_path / file.stem]
        for file in (table, totals)
    ]
    for call in calls:
        assert run("import", *call)[0] == 0
        code, _, err = run("import", *call, "--time-limit", "0.001")
        assert (code, err) == (1, "Stopped after 0.001 seconds. For longer: --time-limit SECONDS.\n")


def test_a_table_is_explained_then_imported(run, tmp_path):
    file = tmp_path / "deals.csv"
    rows = {"id": range(30), "status": ["Won", "Lost"] * 15, "score": [n * 3 for n in range(30)]}
    pd.DataFrame(rows).to_csv(file, index=False)
    code, draft, _ = run("import", "table", file, "--explain")
    assert code == 0
    (tmp_path / "mapping.yaml").write_text(draft)

    code, _, err = run("import", "table", file)
    assert code == 2
    assert "--explain > mapping.yaml" in err

    code, out, _ = run(
        "import", "table", file, "--mapping", tmp_path / "mapping.yaml", "--out", tmp_path / "acme"
    )
    assert code == 0
    assert "30 matched rows" in out
    assert run("check", tmp_path / "acme")[0] == 0


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("forecasts: {the tool: score, people: half}", "-p candidate 'the tool' -p baseline people"),
        ("forecasts: {reps: {column: half, by: people}, tool: score}", "-p candidate tool -p baseline reps"),
        ("forecasts: {rep_forecast: half, tool: score}", "-p candidate tool -p baseline rep_forecast"),
        ("features: [score]", "-p candidate model -p baseline base_rate"),
        ("rep: half", "Next: add forecasts (at least two) or features to the mapping, and import again."),
    ],
)
def test_the_next_step_after_a_table_can_be_run(run, tmp_path, mapping, words):
    won = [1, 0] * 15
    rows = {"won": won, "score": [0.3 + 0.3 * w for w in won], "half": 0.5}
    pd.DataFrame(rows).to_csv(tmp_path / "deals.csv", index=False)
    (tmp_path / "m.yaml").write_text(f"won: {{column: won, won: [1], lost: [0]}}\n{mapping}\n")
    call = [
        "import",
        "table",
        tmp_path / "deals.csv",
        "--mapping",
        tmp_path / "m.yaml",
        "--out",
        tmp_path / "x",
    ]
    code, out, err = run(*call)
    assert code == 0
    assert words in out
    assert ("neither forecasts nor features" in err) == ("-p" not in words)
    if "-p" in words:
        from forecasteval.sources.folder import read
        from forecasteval.studies.compare_forecasts.study import Question

        candidate, baseline = shlex.split(out.split("-p candidate ")[1])[0], shlex.split(out)[-1]
        matched = Question(candidate, baseline).run(read(tmp_path / "x")).pair
        assert {candidate, baseline} <= set(matched.table.columns)


def test_the_own_export_path_of_the_readme_can_be_followed_to_the_letter(tmp_path):
    """All but the report itself, which other tests run: here it only has to pass its guards."""
    section = (ROOT / "README.md").read_text("utf-8").split("## On your own export")[1]
    steps = section.split("```")[1].strip().splitlines()
    for name in ("Opportunity", "OpportunityHistory", "OpportunityFieldHistory", "User"):
        (tmp_path / f"{name}.csv").symlink_to(ROOT / "data" / "demo" / "export" / f"{name}.csv")
    call = "import sys; from forecasteval.cli import main; sys.exit(main())"
    program = f"{shlex.quote(sys.executable)} -c '{call}'"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert "--allow-stale" in steps[4]
    for step in steps[:4]:
        command = step.replace(".venv/bin/forecasteval", program)
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "newest record 2026-03-20" in done.stdout
