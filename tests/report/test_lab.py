"""JupyterLab as an analyst uses it: on copies, in a real browser."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest

from forecasteval.report.lab import copies

ROOT = Path(__file__).parents[2]


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
