"""What a batch of segment reports costs beside a pool of plain papermill and nbconvert, on the same data and notebook.

The demo's deals are dealt out to as many segments as reports are asked for. Both sides use one process more than there
are cores; the plain side keeps its processes, so that papermill and nbconvert are imported once. CPU seconds include
everything that was started and are what to look at where the machine is shared.

    python batch_speed.py [REPORTS [ROUNDS]]
"""

import csv
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "compare_forecasts.ipynb"
BATCH = "import sys; from forecasteval.cli import main; sys.exit(main())"
PLAN = "reports:\n  - notebook: compare_forecasts\n    parameters: {data: DATA}\n    for_each: region\n"


def segmented(place, segments):
    """The demo's export with so many regions; imported once, so that neither side pays for it."""
    shutil.copytree(ROOT / "data" / "demo" / "export", place / "export")
    deals = place / "export" / "Opportunity.csv"
    with deals.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["Region__c"] = f"Area {zlib.crc32(row['Id'].encode()) % segments + 1:02d}"
    with deals.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    subprocess.run(
        [sys.executable, "-c", "import sys, forecasteval as fe; fe.read(sys.argv[1])", place],
        check=True,
        cwd=ROOT,
    )


def plain(data, segment, out):
    """One report as papermill and nbconvert make it, each in its usual way."""
    import papermill
    from nbconvert import HTMLExporter

    papermill.execute_notebook(
        NOTEBOOK, out, {"data": str(data), "segment": segment}, kernel_name="python3", progress_bar=False
    )
    page, _ = HTMLExporter().from_filename(str(out))
    out.with_suffix(".html").write_text(page, "utf-8")


POOL = """
import sys, os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
sys.path.insert(0, {here!r})
from batch_speed import plain
data, out, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if __name__ == "__main__":
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)) + 1) as pool:
        made = [
            pool.submit(plain, data, f"region: Area {{i:02d}}", out / f"plain-{{i:02d}}.ipynb") for i in range(1, n + 1)
        ]
        for one in made:
            one.result()
"""


def seconds(command):
    """CPU and wall seconds of a command and of all that it starts."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - start


def main(reports=50, rounds=1):
    """Print CPU and wall seconds of both, and what share the batch takes."""
    took = {"papermill and nbconvert": [], "forecasteval batch": []}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        segmented(here / "data", reports)
        (here / "plan.yaml").write_text(PLAN.replace("DATA", str(here / "data")))
        (here / "pool.py").write_text(POOL.format(here=str(Path(__file__).parent)))
        batch = [sys.executable, "-c", BATCH, "batch", here / "plan.yaml", "--allow-stale"]
        for n in range(rounds):
            out = here / f"batch-{n}"
            took["forecasteval batch"].append(seconds([*batch, "--out", out]))
            assert len(list(out.glob("*/report.html"))) == reports
            (here / f"plain-{n}").mkdir()
            pool = [sys.executable, here / "pool.py", here / "data", here / f"plain-{n}", str(reports)]
            took["papermill and nbconvert"].append(seconds(pool))
    medians = {name: [statistics.median(k) for k in zip(*runs, strict=True)] for name, runs in took.items()}
    print(f"{reports} reports{'':20}{'CPU s':>8}{'wall s':>8}")
    for name, (cpu, wall) in medians.items():
        print(f"{name:30}{cpu:8.1f}{wall:8.1f}")
    (cpu, wall), (own_cpu, own_wall) = medians.values()
    print(f"{'share':30}{own_cpu / cpu:8.3f}{own_wall / wall:8.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
