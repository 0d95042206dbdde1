"""What is installed, locked, named and committed agrees with itself."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import forecasteval

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11", "3.12", "3.13")
EXTRAS = PROJECT["optional-dependencies"]


def tracked():
    """Files that are, or are about to be, committed."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def locked():
    """Name, version, marker and number of hashes of each entry of the lock."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.lock").read_text().replace("\\\n", " "))
    for entry in entries:
        if found := re.match(r"([a-z0-9][\w.-]*)==(\S+)\s*(?:;\s*(.*?))?\s+--hash", entry):
            yield found[1], found[2], found[3], entry.count("--hash=sha256:")


def test_conda_and_pip_users_get_the_same_packages():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    names = [d for d in conda if isinstance(d, str)]
    assert [d["pip"] for d in conda if isinstance(d, dict)] == [["--editable ."]]
    ours = {r.name: r.specifier for r in map(Requirement, PROJECT["dependencies"] + EXTRAS["lab"])}
    ours["python-duckdb"] = ours.pop("duckdb")  # conda's name for it
    theirs = {r.name: r.specifier for r in map(Requirement, names) if r.name != "pip"}
    assert theirs.pop("python") == Requirement(f"python{PROJECT['requires-python']}").specifier
    assert theirs == ours


def sources_of(folder):
    """The Python of a folder: its files, and the code cells of its notebooks."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.read_text("utf-8")
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                yield "".join(cell["source"])


def imported_by(folder):
    """The distributions that a folder imports from, inside functions too."""
    names = set()
    for node in (node for source in sources_of(folder) for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    packages = packages_distributions()
    ours = {path.stem for path in (ROOT / "tests").rglob("*")} | {"forecasteval", "tests"}
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - ours
    return {canonicalize_name(packages.get(top, [top])[0]) for top in tops}


def named(requirements):
    return {canonicalize_name(Requirement(r).name) for r in requirements}


def test_what_is_imported_is_declared_and_what_is_declared_is_used():
    needed = imported_by("forecasteval") | imported_by("notebooks")
    extras = EXTRAS["postgresql"] + EXTRAS["share"] + EXTRAS["sql"] + EXTRAS["lab"]
    beside = named(extras)  # imported where they are asked for
    assert (needed | {"ipykernel"}) - beside == named(PROJECT["dependencies"])  # a notebook runs in a kernel
    assert beside <= needed
    assert imported_by("tests") <= named([*PROJECT["dependencies"], *chain(*EXTRAS.values())])
    assert named(EXTRAS["lab"]) == {"ipywidgets", "jupyterlab"}


def test_every_entry_of_the_lock_has_hashes():
    entries = list(locked())
    assert len(entries) > 100
    assert all(hashes > 0 for *_, hashes in entries)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_satisfies_the_project(python):
    here = {"python_version": python, "python_full_version": f"{python}.99", "sys_platform": "linux"}
    versions = {n: v for n, v, marker, _ in locked() if not marker or Marker(marker).evaluate(here)}
    wanted = [Requirement(r) for group in (PROJECT["dependencies"], *EXTRAS.values()) for r in group]
    for requirement in wanted:
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, requirement.name
        assert requirement.specifier.contains(version), (str(requirement), version)


def test_the_version_is_said_once():
    assert PROJECT["version"] == forecasteval.__version__


def test_no_host_of_a_registry_and_no_path_of_a_machine_is_committed():
    hosts = [
        ".".join(words)
        for words in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"), ("npmjs", "org"))
    ]
    here = re.compile(
        "|".join([*map(re.escape, hosts), "index" + "-url", r"(?<![\w.])/(root|home|work|Users)/\w"])
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix not in (".png", ".parquet", ".gz", ".zip")
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1)
        if here.search(line)
    ]
    assert found == []


def test_notebooks_are_committed_without_outputs_and_with_their_kernel():
    notebooks = [p for p in tracked() if p.suffix == ".ipynb"]
    assert notebooks
    for path in notebooks:
        content = json.loads(path.read_text())
        assert content["metadata"]["kernelspec"]["name"] == "python3", path
        for cell in content["cells"]:
            assert not cell.get("outputs"), path
            assert cell.get("execution_count") is None, path


# --- make -------------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
def test_make_help_lists_the_targets():
    said = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for target in ("report", "test", "lab", "lint", "types", "lock", "clean", "help"):
        assert f"make {target} " in said


@needs_make
def test_a_shim_that_fails_is_not_taken_for_a_python(tmp_path):
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "find", "echo", "touch", "rm", "mkdir"):
        (tools / name).symlink_to(shutil.which(name))
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        (tools / name).write_text("#!/bin/sh\nexit 127\n")
        (tools / name).chmod(0o755)
    for words in ([], ["PYTHON=/nowhere/python3.12"]):
        done = subprocess.run(
            [shutil.which("make"), "-C", tmp_path, ".venv/.ready", *words],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": str(tools), "HOME": os.environ.get("HOME", "/")},
        )
        assert done.returncode == 2
        assert "No working Python 3.11, 3.12 or 3.13" in done.stderr
        assert "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()
