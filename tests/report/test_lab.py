"""JupyterLab as an analyst uses it: on copies, in a real browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import chromium
import nbformat
import pytest

from forecasteval.report.lab import copies

ROOT = Path(__file__).parents[2]
WAIT = 240  # seconds, for a machine that has other things to do


@pytest.fixture
def project(tmp_path, monkeypatch, write_notebook):
    """A checkout with two notebooks."""
    (tmp_path / "data").mkdir()
    (tmp_path / "notebooks").mkdir()
    for name in ("small", "other"):
        write_notebook("# A question", "n: int = 1", name=name).rename(
            tmp_path / "notebooks" / f"{name}.ipynb"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path / "notebooks"


def test_a_copy_is_opened_and_the_notebook_stays_as_it_is(project):
    before = (project / "small.ipynb").read_bytes()
    copy = copies("small")
    assert copy == project / "local" / "small.ipynb"
    assert sorted(os.listdir(copy.parent)) == ["other.ipynb", "small.ipynb"]
    assert nbformat.read(copy, 4).cells == nbformat.reads(before.decode(), 4).cells
    copy.write_text(copy.read_text().replace("n: int = 1", "n: int = 2"))
    assert "n: int = 2" in copies("small").read_text()
    assert (project / "small.ipynb").read_bytes() == before


def test_where_the_notebook_has_changed_the_old_copy_is_kept_under_another_name(project, capsys):
    for n in (2, 3):
        copy = copies("small")
        copy.write_text(copy.read_text().replace("A question", "My question"))
        notebook = project / "small.ipynb"
        notebook.write_text(notebook.read_text().replace(f"n: int = {n - 1}", f"n: int = {n}"))
        assert f"n: int = {n}" in copies("small").read_text()
        assert "small.ipynb has changed since it was copied" in capsys.readouterr().err
    assert "My question" in (project / "local" / "small.older-1.ipynb").read_text()
    assert "My question" in (project / "local" / "small.older-2.ipynb").read_text()


def test_what_is_no_notebook_is_kept_too(project):
    copies("small").write_text("{ half a")
    copies("small")
    assert (project / "local" / "small.older-1.ipynb").read_text() == "{ half a"


def test_git_does_not_see_the_copies():
    asked = ["git", "-C", ROOT, "check-ignore", "notebooks/local/compare_forecasts.ipynb"]
    seen = subprocess.run(asked, capture_output=True, text=True, check=False)
    if seen.returncode == 128:
        pytest.skip("not a git checkout")
    assert seen.returncode == 0


# --- in a browser -------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path):
    """`forecasteval lab` on a project of its own, behind a port, with nobody's settings; its address and its log."""
    if os.environ.get("FORECASTEVAL_LAB") is None:
        pytest.skip("FORECASTEVAL_LAB is not set: a server, a kernel and a browser take a while")
    pytest.importorskip("jupyterlab")
    pytest.importorskip("ipywidgets")
    if chromium.program() is None:
        pytest.skip("chromium is not installed")
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "notebooks").mkdir()
    (project / "data" / "demo").symlink_to(ROOT / "data" / "demo")
    notebook = json.loads((ROOT / "notebooks" / "compare_forecasts.ipynb").read_text("utf-8"))
    first = next(i for i, c in enumerate(notebook["cells"]) if "answer.verdict" in "".join(c["source"]))
    notebook["cells"] = notebook["cells"][: first + 1]
    (project / "notebooks" / "compare_forecasts.ipynb").write_text(json.dumps(notebook))
    own = {f"JUPYTER_{kind}_DIR": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    words = ["lab", "--ip", "127.0.0.1", "--no-browser", "--expose-app-in-browser"]
    words += ["--IdentityProvider.token=abc"]
    log = (tmp_path / "log").open("w+")
    started = subprocess.Popen(
        [sys.executable, "-c", "from forecasteval.cli import main; main()", *words],
        cwd=project,
        env=os.environ | own | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + WAIT
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/lab", (tmp_path / "log").read_text())):
            assert started.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.1)
        yield project, f"http://127.0.0.1:{found[1]}/lab/tree/compare_forecasts.ipynb?token=abc"
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(timeout=30)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        log.close()
        shutil.rmtree(tmp_path / "RUNTIME", ignore_errors=True)


OUTPUTS = "[...document.querySelectorAll('.jp-OutputArea-output')]"


KERNEL = "[...(window.jupyterapp?.shell.widgets('main') ?? [])].map(w => w.sessionContext?.session?.kernel).find(k => k)"
PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent).join()"


def run_all(tab):
    """Run, Run All Cells; again where that came to nothing, as it does while JupyterLab is still settling."""
    deadline = time.monotonic() + WAIT
    tab.until(f"(k => k?.connectionStatus === 'connected' && k.status === 'idle')({KERNEL})", WAIT)
    before = tab.evaluate(PROMPTS)
    while tab.evaluate(PROMPTS) == before:
        assert time.monotonic() < deadline
        tab.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")
        time.sleep(3)


def test_an_analyst_opens_the_lab_chooses_another_week_and_reads_the_answer(lab):
    project, address = lab
    before = (project / "notebooks" / "compare_forecasts.ipynb").read_bytes()
    moment = (
        "[...document.querySelectorAll('.widget-dropdown')].find(e => e.textContent.startsWith('Moment'))"
    )
    with chromium.browser() as tab:
        tab.open(address, height=2600)  # JupyterLab draws only what is seen
        run_all(tab)
        tab.until(f"!!{moment}", WAIT)
        tab.until(
            "document.querySelector('.verdict-card')?.textContent.includes('At the end of week 4')", WAIT
        )
        assert (
            tab.evaluate("document.querySelectorAll('.Toastify__toast, .jp-Dialog').length") == 0
        )  # no news
        tab.evaluate(
            f"(s => {{ s.value = 'week 6'; s.dispatchEvent(new Event('change', {{bubbles: true}})); }})({moment}.querySelector('select'))"
        )
        tab.until("document.body.textContent.includes(\"as_of = 'week 6'\")", WAIT)
        run_all(tab)
        tab.until(
            "document.querySelector('.verdict-card')?.textContent.includes('At the end of week 6')", WAIT
        )
        assert tab.evaluate(f"{OUTPUTS}.every(e => !e.querySelector('style, script'))")
        card = tab.evaluate("document.querySelector('.verdict-card').textContent")
        assert "the reps' own forecast" in card
        assert re.findall(r"[a-z]_[a-z]", card) == []
    assert (project / "notebooks" / "compare_forecasts.ipynb").read_bytes() == before
