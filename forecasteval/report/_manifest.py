"""What a report was made from and with: enough to repeat it, and to notice that something has changed."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import subprocess
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from forecasteval.report._place import WHOLE

NAME = WHOLE
LISTS = "reviews"  # the folder of lists that come back filled in
_READ = (".csv", ".xlsx", ".xls", ".parquet", ".yaml", ".yml", ".json", ".jsonl")
_PACKAGES = (
    "deal-forecasteval",
    "matplotlib",
    "nbclient",
    "nbconvert",
    "numpy",
    "pandas",
    "papermill",
    "pyarrow",
    "scipy",
    "statsmodels",
)


def manifest(
    *,
    notebook: Path,
    data: Path | None,
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    allowed: list[str],
    started: datetime,
    finished: datetime,
) -> dict[str, Any]:
    """The content of `manifest.json`: parameters, what was found in the data, checks left out, all input files."""
    return {
        "schema_version": 1,
        "notebook": {"name": notebook.stem, "sha256": sha256(notebook)},
        "parameters": dict(parameters),
        "seed": parameters.get("seed"),
        "inputs": []
        if data is None
        else [f for f in input_files(data) if not _written(data / f["file"], started)],
        "organisation": inputs.get("name"),
        "data_until": inputs.get("until") or None,
        "rows": dict(inputs.get("rows", {})),
        "allowed": allowed,
        "started": started.isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "seconds": round((finished - started).total_seconds(), 1),
        "versions": versions(),
        "git_commit": git_commit(notebook.parent),
    }


def _written(path: Path, started: datetime) -> bool:
    """Whether the run itself wrote a list for people to fill in: that is no input, and they will change it."""
    return path.parent.name == LISTS and path.stat().st_mtime >= started.timestamp()


def last_rows(folder: Path) -> dict[str, int]:
    """Rows by table of the report that lies in a folder; nothing if there is none."""
    rows = content_of(folder / NAME).get("rows", {})
    return {str(k): n for k, n in rows.items() if type(n) is int} if isinstance(rows, dict) else {}


def content_of(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none, or something else."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def as_json(content: Mapping[str, Any]) -> str:
    """An object as the files of a report write it."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def input_files(folder: Path) -> list[dict[str, Any]]:
    """Every data file of a folder with its hash, size and number of rows (null where rows mean nothing)."""
    named = {
        p.relative_to(folder): p
        for p in sorted(folder.rglob("*"))
        if p.suffix.lower() in _READ and p.is_file()
    }
    built = "tables" if (folder / "export").is_dir() else None  # from the export, so no input of its own
    return [
        {"file": name.as_posix(), **_content(path, path.stat().st_size, path.stat().st_mtime_ns)}
        for name, path in named.items()
        if name.parts[0] != built and not any(part.startswith(".") for part in name.parts)
    ]


@cache
def _content(path: Path, size: int, written: int) -> dict[str, Any]:
    """Hash, size and rows of a file as it was written then."""
    return {"sha256": sha256(path), "bytes": size, "rows": _rows(path)}


def hashes(folder: Path) -> dict[str, str]:
    """Every file of a report with its hash: one that is torn or changed afterwards can be told."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files if path.name != NAME}


def sha256(path: Path, size: int | None = None) -> str:
    """The hash of a file, or of its first bytes."""
    with path.open("rb") as stream:
        if size is None:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        return hashlib.sha256(stream.read(size)).hexdigest()


def _rows(path: Path) -> int | None:
    try:
        if path.suffix.lower() == ".parquet":
            from pyarrow.parquet import read_metadata

            return int(read_metadata(path).num_rows)
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                return max(sum(1 for row in csv.reader(stream) if row) - 1, 0)
    except (OSError, ValueError, csv.Error):
        return None
    return None


@cache
def versions() -> dict[str, str]:
    """Python and the packages that numbers or pages depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


_commits: dict[Path, str | None] = {}


def hold(notebook: Path, data: Path | None) -> None:
    """Look at commit, versions and input once for this process and those forked from it."""
    versions()
    _commits[notebook.parent] = git_commit(notebook.parent)
    if data is not None:
        input_files(data)


def git_commit(folder: Path) -> str | None:
    """The commit that a folder stands at, with `-dirty` if a tracked file has changed since; None outside git."""
    if folder in _commits:
        return _commits[folder]
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
