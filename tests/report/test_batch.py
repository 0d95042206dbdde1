"""A batch from its plan to its index, through the command line, as a scheduler would run it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from forked import command

from forecasteval.errors import CallError, InputError
from forecasteval.report import executor
from forecasteval.report.plan import Plan, read_plan

COMMAND = [sys.executable, "-c", "import sys; from forecasteval.cli import main; sys.exit(main())", "batch"]
PUBLISH = "from forecasteval import report\nreport.publish({results})"
ROW = '{"primary": True, "metric": "brier", "candidate": "model", "baseline": "rep_forecast", "verdict": VERDICT, '
ROW += '"reliable": True, "difference": low - 0.01, "low": low - 0.02, "high": low, "level": 0.95}'


def batch(folder, plan, *words):
    (folder / "plan.yaml").write_text(plan, "utf-8")
    done = command("batch", "plan.yaml", "--out", "out", *words, folder=folder)
    index = folder / "out" / "index.json"
    return done, {r["label"]: r for r in json.loads(index.read_text())["reports"]} if index.exists() else {}


def compared(verdict, more=""):
    row = ROW.replace("VERDICT", verdict)
    return f"{more}\n" + PUBLISH.format(results='{"headline": "Told.", "comparisons": [' + row + "]}")


@pytest.fixture
def deals(tmp_path):
    """A data folder whose regions are one to a careless file system, and would act on a careless page."""
    regions = [
        "West",
        "west",
        "<b>x</b>",
        "../up",
        "..",
        "CON",
        "nul.txt",
        "\N{SLIGHTLY SMILING FACE}",
        "\N{CAT FACE}",
    ]
    regions += [
        "a/b",
        "a b",
        "a\\b",
        "\u0130",
        "=1+1",
        *["a very long name of a region " * 12 + c for c in "pq"],
    ]
    table = pd.DataFrame(
        {"deal_id": [f"D{i}" for i in range(len(regions))], "outcome": "won", "region": regions}
    )
    table["rep"] = [f"Person {i}" for i in range(len(regions))]
    (tmp_path / "data").mkdir()
    table.assign(created_on="2026-01-02", closed_on="2026-02-03").to_csv(
        tmp_path / "data" / "deals.csv", index=False
    )
    return table


# --- the plan -----------------------------------------------------------------------------------------


def wrong(folder, text):
    (folder / "plan.yaml").write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        read_plan(folder / "plan.yaml", lambda *_: None)
    return [(p.row, p.column) for p in caught.value.problems], str(caught.value)


def test_everything_that_is_wrong_with_a_plan_is_said_at_once_with_its_row(write_notebook, tmp_path):
    small = write_notebook("week: int = 4\nnames: list[str] = []", "week", name="small")
    found, text = wrong(
        tmp_path,
        f"reports:\n  - notebook: {small}\n    parameters:\n      weak: 3\n      week: four\n"
        f"  - notebook: {small}\n    for_each: region\n"
        f"  - notebook: {small}\n    for_each:\n      - week: 5\n      - {{names: 3}}\n"
        "  - notebook: nowhere\n",
    )
    assert found == [(4, "weak"), (5, "week"), (7, "for_each"), (11, "names"), (12, "notebook")]
    assert "Did you mean week?" in text


def test_the_shape_of_a_plan_is_checked_first(tmp_path):
    found, text = wrong(
        tmp_path, "reports:\n  - notebok: x\n  - notebook: y\n    for_each: 3\n    notebook: z\n"
    )
    assert found == [(5, "reports.1.notebook")]
    assert "the key again, as in row 3" in text
    found, text = wrong(tmp_path, "reports:\n  - notebok: x\n  - notebook: y\n    for_each: 3\nreport: 1\n")
    assert sorted(found) == [(2, "notebok"), (2, "notebook"), (4, "for_each"), (5, "report")]
    assert "Did you mean notebook?" in text
    assert "a column, or a list of parameter sets" in text
    for empty in ("", "reports:\n", "reports: []\n", "- notebook: x\n", "reports: {a: 1}\n"):
        assert wrong(tmp_path, empty)[0]


def test_the_schema_is_of_the_plan(tmp_path):
    done = subprocess.run([*COMMAND, "--schema"], capture_output=True, text=True)
    assert json.loads(done.stdout) == Plan.model_json_schema()


def test_no_two_reports_share_a_folder_and_people_go_by_stand_ins(
    write_notebook, tmp_path, deals, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    small = write_notebook('data: str = "data"\nsegment: str = ""', "segment")
    entry = f"  - notebook: {small}\n    for_each: "
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"reports:\n{entry}region\n{entry}rep\n")
    jobs = read_plan(plan, lambda *_: None).jobs
    names = [job.name for job in jobs]
    assert len(names) == 2 * len(deals)
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name == Path(name).name and len(name) < 65 for name in names)
    assert not any("person" in f"{job.name} {job.label}".lower() for job in jobs)
    assert {job.given["segment"] for job in jobs} >= {f"region: {r.strip()}" for r in deals["region"]}
    assert [job.name for job in read_plan(plan, lambda *_: None).jobs] == names
    plan.write_text(f"reports:\n  - notebook: {small}\n  - notebook: {small}\n")
    assert "the same report twice" in wrong(tmp_path, plan.read_text())[1]


def test_a_notebook_may_be_called_as_the_folder_of_the_dated_copies(write_notebook, tmp_path):
    archive = write_notebook("week: int = 4", "week", name="archive")
    (tmp_path / "plan.yaml").write_text(f"reports:\n  - notebook: {archive}\n")
    assert read_plan(tmp_path / "plan.yaml", lambda *_: None).jobs[0].name.startswith("archive-")


# --- the run ------------------------------------------------------------------------------------------


def test_what_fails_does_not_stop_the_others_and_is_told_on_the_index(write_notebook, tmp_path):
    low = "low: float = 0.0"
    write_notebook(low, compared("'candidate better'"), name="good")
    write_notebook(low, "## What is wrong", "1 / 0", name="broken")
    once = "import os, pathlib\nmark = pathlib.Path('mark')\nfirst = not mark.exists()\nmark.touch()\n"
    write_notebook(
        low, f"{once}if first:\n    os.kill(os.getpid(), 9)", compared("'baseline better'"), name="dies_once"
    )
    plan = (
        "reports:\n  - notebook: good.ipynb\n    for_each:\n      - {low: 0.1}\n      - {low: -0.1}\n"
        + "".join(f"  - notebook: {name}.ipynb\n" for name in ("broken", "dies_once"))
    )
    done, index = batch(tmp_path, plan)
    assert done.returncode == 1, done.stderr
    assert {label: r["status"] for label, r in index.items()} == {
        **{
            "low: 0.1": "done",
            "low: -0.1": "done",
            "Broken": "failed",
            "Dies once": "done",
        },
    }
    assert index["low: -0.1"]["high"] == -0.1
    assert "ZeroDivisionError" in index["Broken"]["error"]
    page = (tmp_path / "out" / "index.html").read_text()
    for told in (
        "broken.failed/report.html",
        "good-low-0-1",
        "1 failed",
        "model better",
    ):
        assert told in page
    assert "What is wrong" in (tmp_path / "out" / "broken.failed" / "report.html").read_text()
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")) == []


def test_a_report_that_takes_too_long_is_stopped_and_says_where(write_notebook, tmp_path):
    write_notebook("low: float = 0.0", "import time\ntime.sleep(60)", name="slow")
    done, index = batch(tmp_path, "reports:\n  - notebook: slow.ipynb\n", "--time-limit", "4")
    assert done.returncode == 1
    assert "Stopped after 4 seconds" in index["Slow"]["error"]
    assert "cell 2 of 2" in index["Slow"]["error"]
    assert "slow.failed/report.html" in (tmp_path / "out" / "index.html").read_text()


def test_the_next_run_says_what_has_changed_and_keeps_dated_copies(write_notebook, tmp_path):
    verdict = "'candidate better' if open('now').read() == '1' else 'not enough evidence'"
    write_notebook("low: float = 0.0", compared(verdict), name="moves")
    write_notebook("low: float = 0.0", compared("'cannot be compared'"), name="never")
    plan = "reports:\n  - notebook: moves.ipynb\n  - notebook: never.ipynb\n"
    (tmp_path / "now").write_text("1")
    done, index = batch(tmp_path, plan, "--keep", "1")
    assert done.returncode == 0, done.stderr
    assert index["Moves"]["changed"] is None
    (tmp_path / "now").write_text("2")
    done, index = batch(tmp_path, plan, "--keep", "1")
    assert index["Moves"]["changed"]["verdict"] == ["not enough evidence; before: model better"]
    assert "was: model better" in (tmp_path / "out" / "index.html").read_text()
    (dated,) = (tmp_path / "out" / "archive").iterdir()
    assert (dated / "moves" / "report.html").is_file()
    done, index = batch(tmp_path, "reports:\n  - notebook: never.ipynb\n")
    assert done.returncode == 3
    assert "In the last run and not in this one" in (tmp_path / "out" / "index.html").read_text()


def test_a_batch_has_the_doors_of_a_report(write_notebook, tmp_path):
    table = "report.publish({}, {'t': __import__('pandas').DataFrame({'who': ['=1+1']})})"
    write_notebook("low: float = -0.1", compared("'candidate better'"), table, name="good")
    write_notebook("low: float = 0.0", PUBLISH.format(results="{}"), name="plan")
    plan = "reports:\n  - notebook: good.ipynb\n    for_each:\n      - {low: -0.1}\n      - {low: 0.1}\n"
    conditions = ("--fail-on", "high > 0", "--fail-on", "data_problems > 5")
    told = ("--notify", "tee told.txt", "--json", "--xlsx", *conditions)
    done, index = batch(tmp_path, plan + "  - notebook: plan.ipynb\n", *told)
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout) == json.loads((tmp_path / "out" / "index.json").read_text())
    assert index["low: 0.1"]["came_true"] == ["high > 0"]
    assert index["low: -0.1"]["came_true"] == index["Plan"]["came_true"] == []
    said = (tmp_path / "told.txt").read_text()
    assert said == (tmp_path / "out" / "summary.txt").read_text()
    assert said.splitlines() == ["3 reports: 2 model better, 1 done.", "Came true in 1 report: high > 0"]
    book = pd.read_excel(
        tmp_path / "out" / index["low: 0.1"]["folder"] / "tables.xlsx", sheet_name="t", engine="calamine"
    )
    assert book["who"].tolist() == ["'=1+1"]
    done, _ = batch(tmp_path, plan, "--fail-on", "low ~ 3")
    assert done.returncode == 2
    done, _ = batch(tmp_path, "reports:\n  - notebook: plan.ipynb\n", "--fail-on", "low > 0")
    assert done.returncode == 2
    assert "no report has low" in done.stderr


def test_what_fails_before_its_first_cell_has_a_page_too_and_no_page_names_a_folder_of_the_machine(
    write_notebook, tmp_path
):
    write_notebook("low: float = 0.0", "low", name="there")
    (tmp_path / "out" / "there").mkdir(parents=True)
    (tmp_path / "out" / "there" / "mine.txt").write_text("mine")
    done, index = batch(tmp_path, "reports:\n  - notebook: there.ipynb\n")
    assert done.returncode == 1
    assert "will not be replaced" in index["There"]["error"]
    page = (tmp_path / "out" / "there.failed" / "report.html").read_text()
    assert "will not be replaced" in page
    assert "there.failed/report.html" in (tmp_path / "out" / "index.html").read_text()
    assert "there: failed" in (tmp_path / "out" / "summary.txt").read_text().lower()
    assert (tmp_path / "out" / "there" / "mine.txt").is_file()
    for file in (tmp_path / "out").rglob("*"):
        assert not file.is_file() or str(tmp_path) not in file.read_text("utf-8")


@pytest.mark.parametrize("name", ["concurrent.futures:ThreadPoolExecutor", "dask.distributed:Client"])
def test_reports_can_be_made_on_an_executor_of_the_users(write_notebook, tmp_path, name, monkeypatch):
    if name.startswith("dask"):
        pytest.importorskip("distributed", reason="Dask's cluster is not installed: pip install distributed")
        monkeypatch.setenv("DASK_DISTRIBUTED__DASHBOARD__LINK", "")
    write_notebook("low: float = 0.0", compared("'candidate better'", "import os\nos.getcwd()"), name="good")
    write_notebook("low: float = 0.0", "1 / 0", name="broken")
    plan = "reports:\n  - notebook: good.ipynb\n    for_each: [{low: 0.1}, {low: 0.2}]\n  - notebook: broken.ipynb\n"
    done, index = batch(tmp_path, plan, "--executor", name)
    assert done.returncode == 1, done.stderr
    assert [r["status"] for r in index.values()] == ["done", "done", "failed"]
    assert "ZeroDivisionError" in index["Broken"]["error"]
    results = (tmp_path / "out" / "good-low-0-1" / "results.json").read_bytes()
    subprocess.run(["rm", "-r", tmp_path / "out"], check=True)
    batch(tmp_path, "reports:\n  - notebook: good.ipynb\n    for_each: [{low: 0.1}]\n")
    assert (tmp_path / "out" / "good-low-0-1" / "results.json").read_bytes() == results


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("threads", "not of the form module:name"),
        ("no_such_thing:X", "cannot be imported here"),
        ("concurrent.futures:Pool", "has no Pool"),
        ("concurrent.futures:ALL_COMPLETED", "no class or function"),
        ("builtins:dict", "no executor of concurrent.futures"),
    ],
)
def test_an_executor_that_is_none_is_refused(name, said):
    with pytest.raises(CallError, match=said):
        list(executor.results(name, [], print, 0))


def test_an_index_of_somebody_else_is_not_replaced(write_notebook, tmp_path):
    write_notebook("low: float = 0.0", "low", name="good")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.html").write_text("mine")
    done, _ = batch(tmp_path, "reports:\n  - notebook: good.ipynb\n")
    assert done.returncode == 2
    assert (tmp_path / "out" / "index.html").read_text() == "mine"


FIGURE = "import matplotlib.pyplot as plt\nimport sys\nprint('told')\nprint('aside', file=sys.stderr)\nplt.plot([1, 2])\nplt.show()"


def test_a_forked_kernel_gives_the_bytes_of_one_that_was_started(write_notebook, tmp_path):
    write_notebook(
        "low: float = 0.5",
        "# A page",
        FIGURE,
        "{'a': [low] * 3}",
        compared("'candidate better'"),
        name="same",
    )
    plan = "reports:\n  - notebook: same.ipynb\n"
    found = []
    for words in ((), ("--plain",)):
        done, _ = batch(tmp_path, plan, *words)
        assert done.returncode == 0, done.stderr
        out = tmp_path / "out" / "same"
        notebook = json.loads((out / "report.ipynb").read_text())
        files = [
            p for p in sorted(out.rglob("*")) if p.is_file() and p.suffix in (".png", ".csv", ".txt", ".md")
        ]
        page = (out / "report.html").read_text().split("<footer>")[0]
        results = (out / "results.json").read_bytes()
        found.append(
            [page, results, [c.get("outputs") for c in notebook["cells"]], [p.read_bytes() for p in files]]
        )
        subprocess.run(["rm", "-r", tmp_path / "out"], check=True)
    assert found[0] == found[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals to a group of processes")
def test_a_batch_that_is_stopped_leaves_nothing_running_and_a_second_one_is_told_to_wait(
    write_notebook, tmp_path
):
    write_notebook(
        "low: float = 0.0",
        "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)",
        name="slow",
    )
    (tmp_path / "plan.yaml").write_text("reports:\n  - notebook: slow.ipynb\n")
    first = subprocess.Popen([*COMMAND, "plan.yaml", "--out", "out"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
                break
            time.sleep(0.1)
        kernel = int((tmp_path / "pid").read_text())
        second, _ = batch(tmp_path, "reports:\n  - notebook: slow.ipynb\n")
        assert second.returncode == 1
        assert "Another batch is writing to out" in second.stderr
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 143
    finally:
        first.kill()
    for _ in range(100):
        if not Path(f"/proc/{kernel}").exists():
            break
        time.sleep(0.1)
    assert not Path(f"/proc/{kernel}").exists()
    assert list((tmp_path / "out").glob(".slow.*")) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="/proc tells which processes live")
def test_a_kernel_whose_report_was_killed_before_it_began_ends_by_itself(tmp_path):
    script = """if True:
        import os, signal, sys
        from forecasteval.report._spare_kernel import SpareKernel
        spare = SpareKernel()
        os.kill(spare.pid, signal.SIGSTOP)
        spare.serve(sys.argv[1])
        with open("pid", "w") as file:
            file.write(str(spare.pid))
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", script, "kernel.json"], cwd=tmp_path, check=True)
    kernel = Path("/proc", (tmp_path / "pid").read_text())
    os.kill(int(kernel.name), signal.SIGCONT)
    for _ in range(300):
        if not kernel.exists():
            break
        time.sleep(0.1)
    assert not kernel.exists()
