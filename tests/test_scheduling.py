"""The files in reports/scheduling: read by what reads them, with commands and parameters that exist."""

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from forecasteval.cli import main
from forecasteval.report.make import find_notebook
from forecasteval.report.parameters import check_values, parameters_of

ROOT = Path(__file__).parents[1]
FILES = ROOT / "reports" / "scheduling"
PROJECT = "/srv/forecasteval"
AIRFLOW = os.environ.get("FORECASTEVAL_AIRFLOW")
JUPYTER_SCHEDULER = os.environ.get("FORECASTEVAL_JUPYTER_SCHEDULER")


def accepted(command):
    """Does the command line take these words?"""
    words = shlex.split(command.partition(" >")[0].partition(" ||")[0])
    at = next(i for i, w in enumerate(words) if w.endswith("forecasteval"))
    return main([*words[at + 1 :], "--help"]) == 0


@pytest.fixture
def site(tmp_path):
    """A project as the files expect it: a .venv, the notebooks, and data that are far too old."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    acme = tmp_path / "data" / "acme"
    acme.mkdir(parents=True)
    (acme / "deals.csv").write_text("deal_id,outcome,created_on,closed_on\nD1,won,2020-01-03,2020-02-03\n")
    return tmp_path


def cells_of(notebook):
    found = json.loads((FILES / notebook).read_text("utf-8"))["cells"]
    return ["".join(c["source"]) for c in found if c["cell_type"] == "code"]


def test_every_file_is_in_the_overview():
    told = (FILES / "README.md").read_text("utf-8")
    assert [p.name for p in FILES.iterdir() if p.is_file() and f"({p.name})" not in told] == ["README.md"]


def test_options_that_do_not_exist_are_found(capsys):
    assert not accepted("forecasteval report compare_forecasts --time-limits 5")


def test_the_crontab_has_one_job_and_no_bare_per_cent_sign(capsys):
    lines = [
        line for line in (FILES / "crontab").read_text().splitlines() if line and not line.startswith("#")
    ]
    jobs = [line for line in lines if "=" not in line.split()[0]]
    assert len(jobs) == 1
    *when, command = jobs[0].split(None, 5)
    assert when == ["30", "6", "*", "*", "1"]
    assert accepted(command)
    assert "%" not in command
    assert all(word.lstrip(">").startswith("/") for word in command.split() if "forecasteval" in word)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path, capsys):
    service = (FILES / "forecasteval.service").read_text()
    run = next(line for line in service.splitlines() if line.startswith("ExecStart="))
    assert accepted(run.partition("=")[2])
    (tmp_path / "forecasteval.service").write_text(
        service.replace(f"{PROJECT}/.venv/bin/forecasteval", shutil.which("true")).replace(
            PROJECT, str(tmp_path)
        )
    )
    shutil.copy(FILES / "forecasteval.timer", tmp_path)
    units = [tmp_path / "forecasteval.timer", tmp_path / "forecasteval.service"]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_workflow_asks_for_what_exists(capsys):
    workflow = yaml.safe_load((FILES / "github_actions.yml").read_text())
    assert workflow[True]["schedule"][0]["cron"] == "30 5 * * 1"  # YAML reads `on` as true
    steps = workflow["jobs"]["report"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert accepted(next(run for run in runs if run.startswith("forecasteval report")))
    assert "--require-hashes -r requirements.lock" in runs[0]
    if (checker := shutil.which("check-jsonschema")) is not None:
        schema = ["--builtin-schema", "vendor.github-workflows"]
        assert subprocess.run([checker, *schema, FILES / "github_actions.yml"], check=False).returncode == 0


def test_the_dag_gives_the_notebook_parameters_that_it_has(capsys):
    calls = [
        n for n in ast.walk(ast.parse((FILES / "airflow_dag.py").read_text())) if isinstance(n, ast.Call)
    ]
    options = {k.arg: k.value for call in calls for k in call.keywords}
    names = [key.value for key in options["parameters"].keys]
    given = dict(zip(names, ["data/demo", "week 4"], strict=True))
    assert (
        check_values(parameters_of(find_notebook("compare_forecasts")), given, "compare_forecasts") == given
    )
    assert "check '{DATA}' --fresh" in ast.unparse(options["bash_command"]).replace("\\", "")
    assert accepted("forecasteval check data --fresh")


def test_the_notebook_for_jupyter_scheduler_fails_where_the_report_failed(site):
    parameters, run, end = cells_of("jupyter_scheduler.ipynb")
    values = {}
    exec(parameters.replace(PROJECT, str(site)), values)
    exec(run, values)
    with pytest.raises(RuntimeError, match="expected data at most 14 days old"):
        exec(end, values)
    failed = site / "reports" / "acme" / "compare_forecasts.failed" / "results.json"
    assert json.loads(failed.read_text())["status"] == "failed"
    assert accepted(" ".join(["forecasteval report x", *values["options"]]))


def test_the_papermill_script_refuses_old_data_and_leaves_the_last_notebook(site):
    last = site / "reports" / "papermill" / "compare_forecasts.ipynb"
    last.parent.mkdir(parents=True)
    last.write_text("the last one")
    done = subprocess.run(["sh", FILES / "papermill.sh", site], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected data at most 14 days old" in done.stderr
    assert last.read_text() == "the last one"


# --- opt-in: each needs an environment of its own -------------------------------------------------------


@pytest.mark.skipif(AIRFLOW is None, reason="FORECASTEVAL_AIRFLOW names no airflow")
def test_airflow_runs_the_dag(tmp_path):
    (tmp_path / "dags").mkdir()
    shutil.copy(FILES / "airflow_dag.py", tmp_path / "dags")
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    settings = {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
        "FORECASTEVAL_PROJECT": str(tmp_path),
        "FORECASTEVAL_DATA": str(ROOT / "data" / "demo"),
    }
    for words in (["db", "migrate"], ["dags", "test", "forecasts", "2026-11-23"]):
        done = subprocess.run(
            [AIRFLOW, *words], cwd="/", env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (made,) = (tmp_path / "reports" / "airflow").glob("*.ipynb")
    assert "vnd.forecasteval" in made.read_text("utf-8")


@pytest.mark.skipif(JUPYTER_SCHEDULER is None, reason="FORECASTEVAL_JUPYTER_SCHEDULER names no Python")
def test_jupyter_scheduler_runs_a_notebook_as_it_stands_with_a_whole_path(tmp_path):
    script = """if True:
        import nbformat, sys
        from jupyter_scheduler.parameterize import add_parameters
        from nbconvert.preprocessors import ExecutePreprocessor
        notebook = add_parameters(nbformat.read(sys.argv[1], 4), {"data": repr(sys.argv[2]), "as_of": '"week 6"'})
        ExecutePreprocessor(kernel_name="python3", store_widget_state=True, cwd=".").preprocess(notebook, {})
        print(nbformat.writes(notebook))
    """
    words = [
        JUPYTER_SCHEDULER,
        "-c",
        script,
        ROOT / "notebooks" / "compare_forecasts.ipynb",
        ROOT / "data" / "demo",
    ]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "At the end of week 6" in done.stdout
