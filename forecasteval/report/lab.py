"""JupyterLab on copies of the notebooks: what is tried there does not change the notebooks that reports are made from."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from forecasteval.errors import CallError
from forecasteval.report._place import save
from forecasteval.report.make import find_notebook

_KEPT_IN = "local"  # ignored by git
_MARK = "copy_of"  # in a copy's metadata: what the notebook was when it was copied
_QUIET = ("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None")
_NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


def copies(notebook: str) -> Path:
    """Copy a notebook and those beside it to `notebooks/local`; the path of its copy.

    A copy is kept as long as its notebook is the same. One that is older is kept under another name.
    """
    chosen = find_notebook(notebook)
    checkout = (chosen.parents[1] / "data").is_dir()
    local = (chosen.parent if checkout else Path("notebooks")) / _KEPT_IN
    try:
        local.mkdir(parents=True, exist_ok=True)
        for each in sorted(chosen.parent.glob("*.ipynb")):
            _copy(each, local / each.name)
    except OSError as error:
        raise CallError(f"Cannot write to {error.filename or local}: {error.strerror}.") from error
    return local / chosen.name


def _copy(notebook: Path, copy: Path) -> None:
    import nbformat

    content = notebook.read_bytes()
    mark = hashlib.sha256(content).hexdigest()
    if copy.exists():
        try:
            known = nbformat.reads(copy.read_text("utf-8"), as_version=4).metadata
        except Exception:  # half written, or not a notebook: somebody's all the same
            known = {}
        if known.get("forecasteval", {}).get(_MARK) == mark:
            return
        n = 1
        while (older := copy.with_name(f"{copy.stem}.older-{n}.ipynb")).exists():
            n += 1
        copy.rename(older)
        print(f"{notebook.name} has changed since it was copied: your copy is {older} now.", file=sys.stderr)
    fresh = nbformat.reads(content.decode(), as_version=4)
    fresh.metadata["forecasteval"] = {_MARK: mark}
    copy.write_text(nbformat.writes(fresh) + "\n", "utf-8")


def open_lab(notebook: str, options: Sequence[str]) -> None:
    """Start JupyterLab on the copy of a notebook; `options` are its own, such as `--port 8889`. Returns when it ends.

    No news is fetched and nothing is asked for about it; root may start it, as containers do.
    """
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise CallError("JupyterLab is not installed: pip install 'deal-forecasteval[lab]'.") from None
    copy = copies(notebook)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this Python, whatever others are installed
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with TemporaryDirectory(prefix="forecasteval-lab-") as settings:
        # without these it asks whether it may fetch the news that the options forbid
        save(Path(settings, "labconfig", "default_setting_overrides.json"), json.dumps(_NO_NEWS))
        others = os.environ.get("JUPYTER_CONFIG_PATH", "")
        os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(path for path in (others, settings) if path)
        LabApp.launch_instance([*_QUIET, *root, *options, str(copy)])
