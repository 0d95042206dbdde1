"""What a report costs beside plain papermill: the demo report, and a notebook that only imports what it imports.

Both run in turn on the same machine, so that other work disturbs them alike. Prints medians of five; CPU seconds
include the kernel's and are what to look at where the machine is shared.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORTS = "import forecasteval\nimport matplotlib.pyplot\nimport pandas\nimport statsmodels.api"
REPORT = "import sys; from forecasteval.cli import main; sys.exit(main())"


def notebook(source):
    """A notebook of one cell."""
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps({"cells": [cell | {"source": source}], **about})


def seconds(command, env):
    """CPU and wall seconds of a command and of all that it starts."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - start


def main(runs=5):
    """Print CPU and wall seconds of both and how many times the one is of the other."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        (here / "imports.ipynb").write_text(notebook(IMPORTS))
        report = [*(sys.executable, "-c", REPORT, "report", "compare_forecasts", "--data", "data/demo")]
        commands = {
            "papermill, the same imports": [
                *(sys.executable, "-m", "papermill", here / "imports.ipynb", here / "out.ipynb"),
            ],
            "the demo report": [*report, "--allow-stale", "--out", here / "reports"],
        }
        for command in commands.values():  # so that caches are warm for both
            seconds(command, env)
        took = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                took[name].append(seconds(command, env))
    medians = {
        name: [statistics.median(kind) for kind in zip(*runs, strict=True)] for name, runs in took.items()
    }
    print(f"{'':30}{'CPU s':>8}{'wall s':>8}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:30}{cpu:8.2f}{wall:8.2f}")
    (cpu, wall), (cpu_report, wall_report) = medians.values()
    print(f"{'times':30}{cpu_report / cpu:8.2f}{wall_report / wall:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
