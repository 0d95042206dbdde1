"""CPU seconds, wall seconds and peak memory of `fe.compare` on Parquet files, and how they grow with the rows.

python tests/benchmarks/engines.py [LARGEST] [FOLDER]: 1e4, 1e5 ... LARGEST rows (1e7; 1e8 takes ten minutes to write and
8 GB of disk). Beside each what DuckDB takes to read the same columns, and on the largest the score alone.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

REPS, PERIODS = 400, 12


def write(path: Path, rows: int) -> None:
    """A matched table of a large organisation, a million rows at a time: reps uneven, rep forecasts in tenths."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng, writer = np.random.default_rng(0), None
    share = rng.dirichlet(np.full(REPS, 2.0))
    for start in range(0, rows, 1_000_000):
        n = min(1_000_000, rows - start)
        truth = rng.beta(1, 3, n)
        part = pa.table(
            {
                "deal_id": np.char.add("D", (start + np.arange(n)).astype(str)),
                "as_of": np.full(n, np.datetime64("2026-02-28")),
                "period": np.char.add("Q", rng.integers(0, PERIODS, n).astype(str)),
                "rep": np.char.add("r", rng.choice(REPS, n, p=share).astype(str)),
                "won": (rng.random(n) < truth).astype(np.int8),
                "amount": rng.lognormal(10, 1, n).round(2),
                "model": np.clip(truth + rng.normal(0, 0.1, n), 0.01, 0.99),
                "rep_forecast": np.clip(truth + rng.normal(0.1, 0.2, n), 0.1, 0.9).round(1),
            }
        )
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer:
        writer.close()


CHILD = """
import json, resource, sys, time
path, what, one = sys.argv[1], sys.argv[2], sys.argv[3] == "one"
if what == "read":
    import duckdb
    columns = ("won", "amount", "model", "rep_forecast", "rep", "period") + (() if one else ("deal_id",))
    start = time.process_time(), time.perf_counter()
    text = ("rep", "period", "deal_id")
    asked = ", ".join(f"{'max' if c in text else 'sum'}({c})" for c in columns)
    duckdb.sql(f"select {asked} from '{path}'").fetchall()
else:
    import forecasteval as fe
    metrics = None if what == "all" else [what]
    start = time.process_time(), time.perf_counter()
    fe.compare(path, "model", "rep_forecast", metrics=metrics, one_row_per_deal=one)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(json.dumps([time.process_time() - start[0], time.perf_counter() - start[1], peak]))
"""


def measured(path: Path, what: str, *, one: bool) -> tuple[float, float, float]:
    """CPU and wall seconds and the peak in MB, in a process of its own."""
    words = [sys.executable, "-c", CHILD, str(path), what, "one" if one else "several"]
    cpu, wall, peak = json.loads(
        subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return cpu, wall, peak


def main() -> None:
    """Print one line for each number of rows."""
    largest = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)
        found = []
        print(
            "rows         read (CPU s)   five scores, one row per deal    five scores, deals told apart   Brier alone"
        )
        for power in range(4, round(math.log10(largest)) + 1):
            path = folder / f"{10**power}.parquet"
            if not path.exists():
                write(path, 10**power)
            read = measured(path, "read", one=True)
            one, several, brier = (
                measured(path, what, one=declared)
                for what, declared in (("all", True), ("all", False), ("brier", True))
            )
            found.append((10**power, one[0]))
            said = [f"{c:6.2f} CPU {w:6.2f} wall {m:5.0f} MB" for c, w, m in (one, several, brier)]
            print(
                f"{10**power:<12,} {read[0]:6.2f}        {'   '.join(said)}   x{one[0] / read[0]:.1f} of reading",
                flush=True,
            )
        # up to a million rows are ranked exactly, longer tables by steps: a line through both bends downwards
        for since, what in ((0, "from the first"), (-2, "of the last step")):
            rows, cpu = np.log(np.array(found[since:], dtype=float)).T
            print(f"exponent of growth {what}: {np.polyfit(rows, cpu, 1)[0]:.2f}")


if __name__ == "__main__":
    main()
