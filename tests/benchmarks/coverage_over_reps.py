"""How often the 95% interval over reps holds the truth: python tests/benchmarks/coverage_over_reps.py [runs].

Deals are simulated for reps of uneven size with biases of their own; the truth is the mean over many reps.
"""

import sys

import numpy as np

from forecasteval import intervals

# reps, deals a rep, sd of log sizes, sd of rep bias in log-odds, win rate, skewed biases?
CELLS = [
    (8, 50, 0.8, 0.3, 0.25, False),
    (12, 50, 1.0, 0.3, 0.30, False),
    (24, 80, 0.8, 0.5, 0.25, False),
    (40, 50, 0.8, 0.5, 0.04, False),
    (8, 250, 1.0, 0.8, 0.25, False),
    (20, 250, 1.0, 0.8, 0.25, False),
    (20, 250, 1.0, 0.8, 0.25, True),
    (60, 250, 1.0, 0.8, 0.25, True),
]


def draw(rng, reps, deals, size_sd, bias_sd, rate, skewed):
    """Sums of the Brier difference, and deals, by rep."""
    weight = rng.lognormal(0, size_sd, reps)
    n = np.maximum(1, (weight / weight.sum() * reps * deals).round().astype(int))
    bias = bias_sd * (rng.exponential(1, reps) - 1 if skewed else rng.normal(0, 1, reps))
    rep = np.repeat(np.arange(reps), n)
    base = np.log(rate / (1 - rate))
    odds = base + rng.normal(0, 1, rep.size)
    won = rng.random(rep.size) < 1 / (1 + np.exp(-odds))
    said = 1 / (1 + np.exp(-(odds + bias[rep] + rng.normal(0, 0.5, rep.size))))
    model = 1 / (1 + np.exp(-(0.8 * odds + 0.2 * base + rng.normal(0, 0.5, rep.size))))
    return np.bincount(rep, (model - won) ** 2 - (said - won) ** 2, reps), n.astype(float)


def main() -> None:
    """Print one line a cell."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("reps deals/rep size-sd bias-sd  wins skewed  coverage  misses below/above  (MC error)")
    for cell in CELLS:
        many = np.random.default_rng(1)
        x, z = (
            sum(s.sum() for s in side)
            for side in zip(*(draw(many, 200, *cell[1:]) for _ in range(400)), strict=True)
        )
        truth, rng = x / z, np.random.default_rng(2)
        below = above = 0
        for _ in range(runs):
            x, z = draw(rng, *cell)
            ratio = x.sum() / z.sum()
            spread = intervals.Spread(
                intervals.cr3j(ratio, intervals.leave_one_out(x, z)),
                intervals.bell_mccaffrey_df(z / z.sum()),
                "",
            )
            i = intervals.t_interval(ratio, spread)
            below += i.high < truth
            above += i.low > truth
        coverage = 1 - (below + above) / runs
        error = (coverage * (1 - coverage) / runs) ** 0.5
        reps, deals, size_sd, bias_sd, rate, skewed = cell
        print(
            f"{reps:4d} {deals:9d} {size_sd:7.1f} {bias_sd:7.1f} {rate:5.0%} {skewed!s:>6}  {coverage:8.3f}"
            f"  {below / runs:6.3f} / {above / runs:.3f}      ({error:.3f})"
        )


if __name__ == "__main__":
    main()
