"""Windows and macOS, as far as Linux allows: the same reports where the mechanisms are missing that they lack."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

# run by Python at its start, in every process: no fork, no locks of Unix, no links, no clock that interrupts, no
# exchange of folders; in the place of msvcrt's lock, of one byte at the current position, Linux' own of the same kind
WITHOUT = """
import asyncio, ctypes, mmap, multiprocessing.context, os, signal, subprocess, sys, types
sys.modules["fcntl"] = None
lock = lambda handle, mode, size: os.lockf(handle, os.F_TLOCK, size)
sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=lock)
for module, names in ((os, "fork symlink geteuid register_at_fork"), (signal, "setitimer SIGALRM")):
    for name in names.split():
        delattr(module, name)
class Library(ctypes.CDLL):
    def __getattr__(self, name):
        if name.startswith("rename"):
            raise AttributeError(name)
        return super().__getattr__(name)
ctypes.CDLL = Library
"""
BATCH = "from forecasteval.cli import main; raise SystemExit(main(['batch', 'plan.yaml', '--out', 'out']))"


def test_a_batch_without_what_windows_lacks_gives_the_same_and_replaces_it(write_notebook, tmp_path, request):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    append = (
        "from forecasteval.tables import ledger\n"
        "written = ledger.append(ledger.read(f'ledger{n}.jsonl'), [{'kind': 'look', 'n': n}])"
    )
    notebook = write_notebook(
        "# A question", "n: int = 0", append, "from forecasteval.report import publish\npublish({'n': n})"
    )
    plan = f"  - notebook: {notebook}\n    for_each:\n      - {{n: 1}}\n      - {{n: 2}}\n"
    (tmp_path / "plan.yaml").write_text(f"reports:\n{plan}")
    # without locks its temporary folders look abandoned to runs that have them, so it gets a place of its own;
    # a short one, for the paths of sockets are limited
    own = tempfile.mkdtemp(prefix="bare-")
    request.addfinalizer(lambda: shutil.rmtree(own, ignore_errors=True))
    paths = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "TMPDIR": own}
    for _ in range(2):  # the second takes the place of the first
        done = subprocess.run(
            [sys.executable, "-c", BATCH],
            cwd=tmp_path,
            env=os.environ | paths,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    made = sorted(p for p in (tmp_path / "out").iterdir() if p.is_dir())
    assert [json.loads((p / "results.json").read_text())["n"] for p in made] == [1, 2]
    assert [p.name for p in (tmp_path / "out").iterdir() if p.name.startswith(".")] == []
