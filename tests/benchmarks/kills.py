"""Reports killed at random moments: python kills.py [200]. Prints how many were lost, torn, or left something behind.

Real runs of a small notebook into one folder, each ended with SIGKILL at a moment drawn over its whole course; half of
the moments are drawn in its last tenth, where files are written and the folders change places. After each, the report
in place must be whole: every file as its manifest says. In the end one more run must leave nothing beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELLS = (
    ("parameters", "n: int = 0"),
    ("", "from forecasteval.report import publish\nimport pandas as pd"),
    ("", "publish({'n': n, 'headline': f'run {n}'}, {'t': pd.DataFrame({'n': [n] * 5000})})"),
)


def notebook(path: Path) -> Path:
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {"tags": [tag] if tag else []}, "source": source}
        | {"outputs": [], "execution_count": None}
        for i, (tag, source) in enumerate(CELLS)
    ]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5}))
    return path


def run(place: Path, n: int) -> subprocess.Popen[bytes]:
    call = "import sys; from forecasteval.cli import main; sys.exit(main(sys.argv[1:]))"
    words = [
        sys.executable,
        "-c",
        call,
        "report",
        place / "small.ipynb",
        "--out",
        place / "out",
        "-p",
        "n",
        str(n),
    ]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(place)})


def fault(report: Path) -> str:
    if not (report / "manifest.json").is_file():
        return "lost"
    record = json.loads((report / "manifest.json").read_text())
    whole = all(
        hashlib.sha256((report / f).read_bytes()).hexdigest() == h for f, h in record["files"].items()
    )
    same = json.loads((report / "results.json").read_text())["n"] == record["parameters"]["n"]
    return "" if whole and same else "torn"


def main(kills: int) -> int:
    chance, counts = random.Random(12), {"lost": 0, "torn": 0, "": 0}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        notebook(place / "small.ipynb")
        started = time.monotonic()
        assert run(place, 0).wait() == 0
        course = time.monotonic() - started
        ended = 0
        for n in range(1, kills + 1):
            process = run(place, n)
            low = 0.9 * course if n % 2 else 0.0
            try:
                process.wait(chance.uniform(low, 1.1 * course))
                ended += 1
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            counts[fault(place / "out" / "small")] += 1
        time.sleep(3)  # orphaned kernels end by themselves
        assert run(place, kills + 1).wait() == 0
        left = sorted(p.name for p in (place / "out").iterdir() if p.name != "small")
        left += sorted(p.name for p in place.iterdir() if p.name.startswith("forecasteval-"))
    print(
        f"{kills} runs of {course:.1f} s, {kills - ended} killed: {counts['lost']} lost, {counts['torn']} torn."
    )
    print(f"Left behind after one more run: {', '.join(left) or 'nothing'}.")
    return int(counts["lost"] + counts["torn"] + len(left) > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
