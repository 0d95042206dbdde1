"""What else an interval could be, and how it fares: python tests/benchmarks/other_intervals.py [runs].

The Brier difference for new reps, in pilots of the coverage study's kinds but with other numbers, and in pilots
whose reps differ in ways that the study does not have: guesses of differing wildness, heavy-tailed biases. Every
interval sees the same sums by rep. Prints coverage, the worse side's misses and the median width beside an oracle's.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from forecasteval.compare.pair import biases_of, pair_of
from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as intervals
from forecasteval.inference.grouping import Grouping
from forecasteval.scores.probability import METRICS, Deals
from forecasteval.studies.coverage_study._pilots import Simulator
from forecasteval.studies.coverage_study.design import Cell

REP = ("rep",)
PLAIN = {"metrics": ("brier",), "questions": (REP,)}
CELLS = [
    Cell("10 reps, exponential biases", "", 10, 1500, 1, 0.0, bias_sd=0.5, bias="exponential", **PLAIN),
    Cell("16 uneven, exponential", "", 16, 1600, 1, 0.8, bias_sd=0.6, bias="exponential", **PLAIN),
    Cell("60 uneven, exponential", "", 60, 6000, 1, 0.8, bias_sd=0.5, bias="exponential", **PLAIN),
    Cell("6 reps, large biases", "", 6, 600, 1, 0.0, bias_sd=0.8, **PLAIN),
    Cell("16 very uneven, large", "", 16, 4000, 1, 1.0, bias_sd=0.8, **PLAIN),
    Cell("50 uneven, one in ten far off", "", 50, 5000, 1, 0.8, bias_sd=0.5, bias="few", **PLAIN),
    Cell("15 reps, one in ten far off", "", 15, 3750, 1, 0.5, bias_sd=0.8, bias="few", **PLAIN),
    Cell("15 extreme, mild biases", "", 15, 1200, 1, 1.2, bias_sd=0.3, **PLAIN),
    Cell("16 uneven, all alike", "", 16, 960, 1, 0.8, bias_sd=0.0, **PLAIN),
    Cell("10 uneven, equally good", "", 10, 1000, 1, 0.8, bias_sd=0.8, null=True, **PLAIN),
    Cell("30 reps, 4% wins", "", 30, 1500, 1, 0.6, wins=0.04, bias_sd=0.5, **PLAIN),
]
# reps, deals, sd of log sizes, and what reps differ in
OTHERS = {
    "16 uneven, some guess wildly": (16, 2400, 0.8, "noise"),
    "20 uneven, biases of Student's t(3)": (20, 3000, 0.8, "heavy"),
    "20 uneven, lognormal biases": (20, 3000, 0.8, "lognormal"),
}


@dataclass(frozen=True, eq=False)
class Sums:
    """What an interval may look at: the spread as the package sees it, and sums by rep."""

    estimate: float
    spread: intervals.Spread
    x: np.ndarray
    z: np.ndarray


class Others:
    """Pilots whose reps differ as the study's don't; the truth is that of a population of 4,000 reps."""

    def __init__(self, name: str) -> None:
        self.reps, self.deals, self.size_sd, self.kind = OTHERS[name]
        whole = self._deals(np.random.default_rng(99), np.full(4000, 1000))[0]
        terms = METRICS["brier"].terms(whole)
        self.truth = float((terms.candidate - terms.baseline).mean())

    def _deals(self, rng, size):
        reps, rep = size.size, np.repeat(np.arange(size.size, dtype=np.int32), size)
        base = np.log(1 / 3)
        odds = base + rng.normal(size=rep.size)
        won = (rng.random(rep.size) < 1 / (1 + np.exp(-odds))).astype(float)
        noise = 0.5 * rng.normal(size=(2, rep.size))
        if self.kind == "noise":
            said = odds + rng.exponential(0.8, reps)[rep] * noise[0] / 0.5
        else:
            law = rng.standard_t(3, reps) if self.kind == "heavy" else rng.lognormal(0, 1, reps) - np.exp(0.5)
            said = odds + 0.4 * law[rep] + noise[0]
        model = 0.8 * odds + 0.2 * base + noise[1]
        return Deals(won, 1 / (1 + np.exp(-model)), 1 / (1 + np.exp(-said))), rep

    def draw(self, rng):
        weight = rng.lognormal(0, self.size_sd, self.reps)
        size = np.maximum(1, np.round(weight / weight.sum() * self.deals)).astype(int)
        return *self._deals(rng, size), self.truth


class Kinds:
    """Pilots of one of the study's kinds."""

    def __init__(self, cell: Cell) -> None:
        self.simulator = Simulator(cell)

    def draw(self, rng):
        pilot = self.simulator.draw(rng)
        return pilot.deals, pilot.rep, pilot.truth["brier", REP]


# --- intervals ----------------------------------------------------------------------------------------


def ours(s: Sums, rng) -> tuple[float, float]:
    i = caution.interval(s.estimate, s.spread)
    return i.low, i.high


def student(s: Sums, rng) -> tuple[float, float]:
    i = caution.interval(s.estimate, replace(s.spread, skew=0.0))
    return i.low, i.high


def studentised(x: np.ndarray, z: np.ndarray, around: float) -> np.ndarray:
    """(R - around) / SE of CR3J for sums in the last axis."""
    total = z.sum(-1, keepdims=True)
    ratio = x.sum(-1, keepdims=True) / total
    g = x.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = (x - ratio * z) / (1 - z / total) / total
        return (ratio[..., 0] - around) / np.sqrt((g - 1) / g * np.square(moved).sum(-1))


def drawn(s: Sums, rng, draws: int = 399) -> np.ndarray:
    """Studentised ratios of reps drawn with replacement."""
    of = rng.integers(0, s.x.size, (draws, s.x.size))
    t = studentised(s.x[of], s.z[of], s.estimate)
    return t[np.isfinite(t)]


def bootstrap_t(s: Sums, rng) -> tuple[float, float]:
    low, high = np.quantile(drawn(s, rng), [0.025, 0.975])
    return s.estimate - high * s.spread.se, s.estimate - low * s.spread.se


def symmetric_bootstrap_t(s: Sums, rng) -> tuple[float, float]:
    half = np.quantile(np.abs(drawn(s, rng)), 0.95) * s.spread.se
    return s.estimate - half, s.estimate + half


def double_bootstrap(s: Sums, rng, outer: int = 150, inner: int = 60) -> tuple[float, float]:
    """The percentile interval at the level at which it would hold the sample's own ratio 95% of the time."""
    of = rng.integers(0, s.x.size, (outer, s.x.size))
    x, z = s.x[of], s.z[of]
    again = rng.integers(0, s.x.size, (outer, inner, s.x.size))
    ratio = np.take_along_axis(x[:, None], again, 2).sum(2) / np.take_along_axis(z[:, None], again, 2).sum(2)
    below = (ratio < s.estimate).mean(1)  # where the truth of the outer world lies among the inner draws
    first = x.sum(1) / z.sum(1)
    low, high = np.quantile(below, [0.025, 0.975])
    return float(np.quantile(first, low)), float(np.quantile(first, high))


def wild(weights: Callable) -> Callable:
    """Values of the ratio that the restricted wild cluster bootstrap does not reject, each side at 2.5%."""

    def interval(s: Sums, rng) -> tuple[float, float]:
        v = weights(rng, (399, s.x.size))

        def beyond(at: float, side: int) -> float:
            null = s.x - at * s.z
            t = side * studentised(at * s.z + v * null, s.z, at)
            return float((t >= side * (s.estimate - at) / s.spread.se).mean())

        ends = []
        for side in (1, -1):
            inside, outside = s.estimate, s.estimate - side * 12 * s.spread.se
            for _ in range(18):
                middle = (inside + outside) / 2
                inside, outside = (middle, outside) if beyond(middle, side) > 0.025 else (inside, middle)
            ends.append(inside)
        return ends[0], ends[1]

    return interval


def rademacher(rng, shape):
    return rng.choice((-1.0, 1.0), shape)


def mammen(rng, shape):
    root = np.sqrt(5)
    return np.where(rng.random(shape) < (root + 1) / (2 * root), -(root - 1) / 2, (root + 1) / 2)


INTERVALS = {
    "fe.compare": ours,
    "Student, CR3J + Bell-McCaffrey": student,
    "bootstrap-t": bootstrap_t,
    "symmetric bootstrap-t": symmetric_bootstrap_t,
    "double bootstrap, percentile": double_bootstrap,
    "wild inversion, Rademacher": wild(rademacher),
    "wild inversion, Mammen": wild(mammen),
}


def run(name: str, runs: int) -> dict[str, tuple[float, float, float]]:
    rng = np.random.default_rng([7, sum(map(ord, name))])
    source = Others(name) if name in OTHERS else Kinds(next(c for c in CELLS if c.name == name))
    found = {k: [] for k in INTERVALS}
    errors = []
    for _ in range(runs):
        deals, rep, truth = source.draw(rng)
        groups = Grouping.of(rep, None, None, None, rep.size)
        biases = biases_of(deals, groups)
        pair = pair_of(METRICS["brier"], deals, groups, REP, units=False, biases=biases)
        e = pair.difference
        s = Sums(e.value, e.spread(REP), *pair.sums["rep"])
        errors.append((e.value - truth, s.spread.se))
        for k, interval in INTERVALS.items():
            low, high = interval(s, rng)
            found[k].append((high < truth, low > truth, high - low))
    error, se = np.array(errors).T
    oracle = 2 * error.std() * np.quantile(np.abs(error) / se, 0.95)
    summary = {}
    for k, rows in found.items():
        below, above, width = np.array(rows, dtype=float).T
        summary[k] = (
            1 - below.mean() - above.mean(),
            max(below.mean(), above.mean()),
            np.median(width) / oracle,
        )
    return summary


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    names = [c.name for c in CELLS] + list(OTHERS)
    with ProcessPoolExecutor() as pool:
        results = dict(zip(names, pool.map(run, names, [runs] * len(names)), strict=True))
    print(f"{runs} runs a row; Monte Carlo error {100 * np.sqrt(0.05 * 0.95 / runs):.1f} points.\n")
    for k in INTERVALS:
        table = np.array([results[n][k] for n in names])
        low, side, wide = (table[:, 0] < 0.93).sum(), (table[:, 1] > 0.045).sum(), (table[:, 2] > 1.3).sum()
        print(
            f"{k:32} coverage {table[:, 0].min():.3f} to {table[:, 0].max():.3f}, below .93 in {low} of {len(names)} "
            f"rows, a side above .045 in {side}, wider than 1.3 in {wide}"
        )
    print()
    for n in names:
        print(n)
        for k, (coverage, side, width) in results[n].items():
            print(f"  {k:32} coverage {coverage:.3f}   worse side {side:.3f}   width {width:.2f}")


if __name__ == "__main__":
    main()
