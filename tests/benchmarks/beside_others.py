"""fe.compare beside what users would otherwise take: python tests/benchmarks/beside_others.py [deals] [--large].

Seconds and peak extra memory of a 95% interval for the Brier (and AUC) difference on the same deals, and how often
each held the truth in the same simulated pilots of 20 uneven reps. `--large` adds 10 million deals from Parquet.
Resampling is timed on fewer draws and scaled to 2,000.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from compare_speed import matched
from scipy import stats

import forecasteval as fe
from forecasteval import scores
from forecasteval.compare.pair import biases_of, pair_of
from forecasteval.inference.grouping import Grouping
from forecasteval.studies.coverage_study._pilots import Simulator
from forecasteval.studies.coverage_study.design import Cell

DRAWS = 2000


def timed(call):
    """Seconds of a call, and what it gave."""
    start = time.perf_counter()
    found = call()
    return time.perf_counter() - start, found


def median_of_five(call):
    """Median seconds of a quick call, and what it gave: the first may pay for memory that is new."""
    runs = [timed(call) for _ in range(5)]
    return sorted(seconds for seconds, _ in runs)[2], runs[-1][1]


def scipy_paired(d, draws):
    """scipy.stats.bootstrap on the paired differences, each deal on its own."""
    r = stats.bootstrap((d,), np.mean, n_resamples=draws, method="percentile", batch=1, random_state=0)
    return r.confidence_interval


def sklearn_loop(y, c, b, draws):
    """The loop of many recipes: resample deals, score both with scikit-learn."""
    from sklearn.metrics import brier_score_loss

    rng, found = np.random.default_rng(0), []
    for _ in range(draws):
        i = rng.integers(0, y.size, y.size)
        found.append(brier_score_loss(y[i], c[i]) - brier_score_loss(y[i], b[i]))
    return np.quantile(found, [0.025, 0.975])


def arch_iid(d, draws):
    """arch's bootstrap of independent deals."""
    from arch.bootstrap import IIDBootstrap  # here, because arch takes seconds and the tests read this file

    return IIDBootstrap(d, seed=0).conf_int(np.mean, draws, method="percentile")[:, 0]


def delong(y, c, b):
    """DeLong's interval of a difference in AUC, deals independent."""
    placed = [scores.placements(scores.rank(p, y)) for p in (c, b)]
    won = y == 1
    m, n = won.sum(), (~won).sum()
    v10 = (placed[0][won] - placed[1][won]) / n
    v01 = (placed[0][~won] - placed[1][~won]) / m
    half = 1.96 * np.sqrt(v10.var(ddof=1) / m + v01.var(ddof=1) / n)
    return v10.mean() - half, v10.mean() + half


def cluster_sums(x, z, draws):
    """Percentile bootstrap of whole reps on their sums."""
    i = np.random.default_rng(0).integers(0, x.size, (draws, x.size))
    return np.quantile(x[i].sum(1) / z[i].sum(1), [0.025, 0.975])


def speed(deals):
    """One line a method."""
    table = matched(deals)
    y, c, b = (table[k].to_numpy(float) for k in ("won", "model", "rep_forecast"))
    d = (c - y) ** 2 - (b - y) ** 2
    few = 20
    fe.compare(table.head(3000), "model", "rep_forecast")
    ours, _ = median_of_five(
        lambda: fe.compare(table, "model", "rep_forecast", metrics=["brier"], generalise_to="rep")
    )
    rep = pd.factorize(table["rep"])[0]

    def from_arrays():
        deals_ = scores.Deals(y, c, b)
        groups = Grouping.of(rep.astype(np.int32), None, None, None, y.size)
        biases = biases_of(deals_, groups)
        pair = pair_of(scores.METRICS["brier"], deals_, groups, ("rep",), units=False, biases=biases)
        return pair, pair.difference.estimate(("rep",))

    arrays, (pair, _) = median_of_five(from_arrays)
    sums, _ = median_of_five(lambda: pair.difference.estimate(("rep",)))
    lines = [
        ("fe.compare, Brier, new reps, from the table", ours),
        ("  the same from arrays (one pass, then closed form)", arrays),
        ("  the interval alone, once the sums are there", sums),
        ("scipy.stats.bootstrap, paired deals", timed(lambda: scipy_paired(d, few))[0] * DRAWS / few),
        ("arch, independent deals", timed(lambda: arch_iid(d, few))[0] * DRAWS / few),
        ("scikit-learn loop", timed(lambda: sklearn_loop(y, c, b, 3))[0] * DRAWS / 3),
        (
            "resampling whole reps on their sums",
            timed(lambda: cluster_sums(*pair.sums["rep"], DRAWS))[0],
        ),
        ("DeLong (AUC)", timed(lambda: delong(y, c, b))[0]),
        (
            "fe.compare, AUC, new reps",
            timed(lambda: fe.compare(table, "model", "rep_forecast", metrics=["auc"], generalise_to="rep"))[
                0
            ],
        ),
    ]
    print(f"{deals:,} deals, 200 reps; resampling scaled to {DRAWS:,} draws")
    for name, seconds in lines:
        print(
            f"  {name:<55} {seconds:10.4f} s   {seconds / ours:9.2f} x fe.compare, {seconds / arrays:9.2f} x from arrays"
        )
    print(f"  peak of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


def coverage(runs=300):
    """How often each held the truth, new reps, on the same pilots."""
    cell = Cell("20 reps", "", 20, 2000, 1, 0.8, bias_sd=0.5, metrics=("brier", "auc"), questions=(("rep",),))
    simulator, rng = Simulator(cell), np.random.default_rng(3)
    hits: dict[str, list[bool]] = {}
    for _ in range(runs):
        p = simulator.draw(rng)
        y, c, b = p.deals.won, p.deals.candidate, p.deals.baseline
        d = (c - y) ** 2 - (b - y) ** 2
        truth, of_auc = p.truth["brier", ("rep",)], p.truth["auc", ("rep",)]
        table = pd.DataFrame(
            {"deal_id": np.arange(y.size), "rep": p.rep, "won": y.astype(int), "m": c, "r": b}
        )
        t = fe.compare(table, "m", "r", metrics=["brier", "auc"], generalise_to="rep").table
        x, z = np.bincount(p.rep, d), np.bincount(p.rep).astype(float)
        found = {
            "fe.compare, Brier": (*t.loc[0, ["low", "high"]], truth),
            "fe.compare, AUC": (*t.loc[1, ["low", "high"]], of_auc),
            "scipy.stats.bootstrap, paired deals": (*scipy_paired(d, 400), truth),
            "arch, independent deals": (*arch_iid(d, 400), truth),
            "scikit-learn loop": (*sklearn_loop(y, c, b, 100), truth),
            "resampling whole reps on their sums": (*cluster_sums(x, z, 1000), truth),
            "plain t-test on deals": (*stats.ttest_1samp(d, 0).confidence_interval(), truth),
            "DeLong (AUC)": (*delong(y, c, b), of_auc),
        }
        for name, (low, high, true) in found.items():
            hits.setdefault(name, []).append(low <= true <= high)
    print(
        f"share of {runs} pilots whose 95% interval held the truth for new reps (20 uneven reps, 2,000 deals)"
    )
    for name, hit in hits.items():
        print(f"  {name:<55} {np.mean(hit):.3f}")


def large():
    """Ten million deals from Parquet, each call in a process of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory() as folder:
        file, writer = Path(folder) / "matched.parquet", None
        for i in range(10):
            part = matched(1_000_000).assign(deal_id=lambda t, i=i: t["deal_id"] + f"-{i}")
            part = pa.Table.from_pandas(part, preserve_index=False)
            writer = writer or pq.ParquetWriter(file, part.schema)
            writer.write_table(part)
            del part
        writer.close()
        print(f"10,000,000 deals in a Parquet file of {file.stat().st_size / 1e9:.2f} GB")
        for name, call in (
            (
                "fe.compare on the file, Brier",
                f"fe.compare({str(file)!r}, 'model', 'rep_forecast', metrics=['brier'])",
            ),
            (
                "fe.compare on the file, five default metrics",
                f"fe.compare({str(file)!r}, 'model', 'rep_forecast')",
            ),
            (
                "pandas.read_parquet, then fe.compare, Brier",
                f"fe.compare(pd.read_parquet({str(file)!r}), 'model', 'rep_forecast', metrics=['brier'])",
            ),
        ):
            seconds, imported, peak = in_its_own_process(call)
            print(f"  {name:<55} {seconds:6.1f} s, peak {peak:.2f} GB ({imported:.2f} GB of it imports)")


def in_its_own_process(call):
    """Seconds, GB before and GB at the peak of one expression in a new process."""
    code = (
        "import time, pandas as pd, forecasteval as fe, pyarrow.parquet, scipy.special\n"
        "status = lambda: dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "peak = lambda: int(status()['VmHWM'].split()[0]) / 1e6\n"
        f"before, start = peak(), time.perf_counter()\n{call}\nprint(time.perf_counter() - start, before, peak())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(v) for v in found.stdout.split()]


if __name__ == "__main__":
    numbers = [a for a in sys.argv[1:] if a.isdigit()]
    speed(int(numbers[0]) if numbers else 1_000_000)
    coverage()
    if "--large" in sys.argv:
        large()
