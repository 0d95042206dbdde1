"""A batch of 50 reports under faults at random moments: python kills.py [200]. Prints how many reports were lost or torn.

Batches of a small notebook are made into one folder, over and over. While one runs, its processes are killed (SIGKILL,
SIGTERM; a worker, a kernel, the batch itself), files may not grow any more, and, for root on Linux, the disk is full or
cannot be written to for a moment. After each fault every report must be in its place; after each batch every one must be
whole, file by file as its manifest says, and the index must be readable. In the end one batch without a fault must make
all 50 and leave nothing beside them.
"""

from __future__ import annotations

import collections
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPORTS = 50
CELLS = (
    ("parameters", "n: int = 0"),
    ("", "import os, pathlib\nrun = int(pathlib.Path('run').read_text())"),
    ("", "from forecasteval.report import publish\nimport pandas as pd"),
    ("", "publish({'n': n, 'run': run, 'headline': f'{n}'}, {'t': pd.DataFrame({'n': [run] * 2000})})"),
)
CALL = "import sys; from forecasteval.cli import main; sys.exit(main(sys.argv[1:]))"
ROOM = 24  # MB of the small disk: two of all reports


def set_up(place: Path) -> None:
    """The notebook and its plan."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": [tag] if tag else []}, "source": source}
        | {"outputs": [], "execution_count": None}
        for i, (tag, source) in enumerate(CELLS)
    ]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    book = {"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}
    (place / "small.ipynb").write_text(json.dumps(book))
    sets = "".join(f"      - {{n: {n}}}\n" for n in range(REPORTS))
    (place / "plan.yaml").write_text(f"reports:\n  - notebook: small.ipynb\n    for_each:\n{sets}")
    (place / "out").mkdir()


def start(place: Path, run: int) -> subprocess.Popen[bytes]:
    (place / "run").write_text(str(run))
    words = [sys.executable, "-c", CALL, "batch", "plan.yaml", "--out", "out", "--time-limit", "120"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    temporary = place / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(words, cwd=place, env=os.environ | {"TMPDIR": str(temporary)}, **quiet)


def children(pid: int) -> list[int]:
    """The processes that a process has started; Linux only."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def lost(out: Path) -> int:
    return sum(not (out / f"small-n-{n}" / "manifest.json").is_file() for n in range(REPORTS))


def torn(out: Path) -> list[str]:
    """Reports whose files are not those of their manifest, and an index that cannot be read."""
    found = []
    for n in range(REPORTS):
        report = out / f"small-n-{n}"
        if not (report / "manifest.json").is_file():
            continue
        record = json.loads((report / "manifest.json").read_text())
        files = {f: hashlib.sha256((report / f).read_bytes()).hexdigest() for f in record["files"]}
        if files != record["files"] or json.loads((report / "results.json").read_text())["n"] != n:
            found.append(report.name)
    if len(json.loads((out / "index.json").read_text())["reports"]) != REPORTS:
        found.append("index.json")
    return found


# --- faults -------------------------------------------------------------------------------------------


def _send(pids: list[int], number: int, chance: random.Random) -> bool:
    if not pids:
        return False
    try:
        os.kill(chance.choice(pids), number)
    except ProcessLookupError:
        return False
    return True


def no_growth(batch: int, chance: random.Random) -> bool:
    """A worker's files end at 20 kB: what is longer cannot be written."""
    workers = children(batch)
    if not workers:
        return False
    try:
        resource.prlimit(chance.choice(workers), resource.RLIMIT_FSIZE, (20_000, 20_000))
    except (ProcessLookupError, PermissionError):
        return False
    return True


def full_disk(out: Path, chance: random.Random) -> bool:
    """Something else takes all the room for a moment."""
    filler = out / ".filler"
    try:
        with filler.open("wb") as stream:
            while True:
                stream.write(b"0" * 65536)
                stream.flush()
    except OSError:
        time.sleep(chance.uniform(0.1, 1.5))
    filler.unlink(missing_ok=True)
    return True


def unwritable(out: Path, chance: random.Random) -> bool:
    for _ in range(50):
        if not subprocess.run(["mount", "-o", "remount,ro", out], capture_output=True).returncode:
            break
        time.sleep(0.02)
    else:
        return False
    time.sleep(chance.uniform(0.1, 1.5))
    subprocess.run(["mount", "-o", f"remount,rw,size={ROOM}m", out], check=True)
    return True


def fault(kind: str, batch: int, out: Path, chance: random.Random) -> bool:
    """Do it; False where there was nothing to do it to."""
    where, _, how = kind.partition(" ")
    if where in ("worker", "kernel", "batch"):
        workers = children(batch)
        pids = {"batch": [batch], "worker": workers, "kernel": [k for w in workers for k in children(w)]}
        return _send(pids[where], getattr(signal, how), chance)
    if kind == "no growth":
        return no_growth(batch, chance)
    return {"full disk": full_disk, "unwritable": unwritable}[kind](out, chance)


KINDS = [
    *("worker SIGKILL",) * 8,
    *("worker SIGTERM",) * 5,
    *("kernel SIGKILL",) * 4,
    *("no growth",) * 4,
    *("batch SIGKILL",) * 2,
    "batch SIGTERM",
]
OF_ROOT = ["full disk", "full disk", "unwritable", "unwritable"]


def main(wanted: int) -> int:
    chance, done = random.Random(12), collections.Counter[str]()
    gone, broken, batches = 0, [], 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        set_up(place)
        out, kinds = place / "out", list(KINDS)
        small = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "none", out]
        mounted = not subprocess.run(small, capture_output=True).returncode
        kinds += OF_ROOT if mounted else []
        try:
            assert start(place, 0).wait() == 0
            while done.total() < wanted:
                batches += 1
                process = start(place, batches)
                while batches % 5 and process.poll() is None and not children(process.pid):
                    time.sleep(0.1)  # of five batches one is hit while it still imports
                while process.poll() is None and done.total() < wanted:
                    time.sleep(chance.uniform(0, 2.5))
                    kind = chance.choice(kinds)
                    if process.poll() is None and fault(kind, process.pid, out, chance):
                        done[kind] += 1
                        gone += lost(out)
                process.wait()
                time.sleep(2)  # orphaned workers end by themselves
                broken += torn(out)
                print(f"batch {batches}: {done.total()} faults, {gone} lost, {len(broken)} torn", flush=True)
            last = start(place, batches + 1).wait()
            made = [
                json.loads((out / f"small-n-{n}" / "results.json").read_text())["run"] for n in range(REPORTS)
            ]
            left = [p.name for p in out.iterdir() if p.name.startswith(".") or p.name.endswith(".failed")]
            left += [p.name for p in (place / "tmp").iterdir()]
        finally:
            if mounted:
                subprocess.run(["umount", "-l", out], check=False)
    listed = ", ".join(f"{n} {kind}" for kind, n in sorted(done.items()))
    print(
        f"{done.total()} faults over {batches} batches of {REPORTS}: {gone} lost, {len(broken)} torn. {listed}."
    )
    print(
        f"One batch more: exit {last}, {made.count(batches + 1)} of {REPORTS} made, left behind: {left or 'nothing'}."
    )
    return int(gone + len(broken) + len(left) > 0 or last != 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
