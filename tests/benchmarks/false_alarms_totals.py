"""How often equally good totals are told apart: python tests/benchmarks/false_alarms_totals.py [RUNS]

Teams of unequal size share a shock of the quarter; both forecasters, and both ends of each step of the chain, are drawn alike.
"""

import sys

import numpy as np
import pandas as pd

from forecasteval.compare.chain import UNSURE, chain
from forecasteval.compare.totals import compare_totals


def totals(rng, names, periods, units, unit_bias=0.0):
    """Totals of exchangeable forecasters, long."""
    size = rng.lognormal(13, 0.7, (1, units))
    actual = size * np.exp(rng.normal(0, 0.2, (periods, units)) + rng.normal(0, 0.15, (periods, 1)))
    period = np.repeat([f"{2020 + i // 4}-Q{i % 4 + 1}" for i in range(periods)], units)
    unit = np.tile([f"t{u}" for u in range(units)], periods)
    parts = []
    for name in names:
        off = (
            rng.normal(0, 0.15, (periods, 1))
            + rng.normal(0, 0.2, (periods, units))
            + rng.normal(0, unit_bias, (1, units))
        )
        amount = actual * np.exp(0.1 + off)
        parts.append(pd.DataFrame({"period": period, "unit": unit, "forecaster": name, "amount": amount.ravel(),
                                   "actual": actual.ravel()}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def rate(hits, runs):
    """A share with its simulation error."""
    p = hits / runs
    return f"{p:.1%} (+-{1.96 * np.sqrt(max(p * (1 - p), 1 / runs) / runs):.1%})"


def main(runs):
    """Print verdicts and intervals that miss, by number of quarters and units."""
    for periods, units, bias in [
        (6, 1, 0.0),
        (8, 1, 0.0),
        (12, 1, 0.0),
        (8, 4, 0.0),
        (12, 4, 0.0),
        (8, 8, 0.1),
        (12, 8, 0.1),
    ]:
        rng = np.random.default_rng([periods, units])
        called = missed = 0
        for _ in range(runs):
            row = compare_totals(totals(rng, "ab", periods, units, bias), "a", "b", metrics=["wmape"]).primary
            called += "better" in row["verdict"]
            missed += not row["low"] <= 0 <= row["high"]
        print(
            f"compare_totals, {periods} quarters, {units} units: called {rate(called, runs)}, interval misses {rate(missed, runs)}"
        )
    for periods in (6, 8, 12):
        rng = np.random.default_rng(periods)
        steps = moves = 0
        for _ in range(runs):
            found = chain(
                totals(rng, ["rep", "manager", "cro", "model"], periods, 3),
                ["rep", "manager", "cro"],
                beside=["model"],
            )
            steps += (found.steps["verdict"] != UNSURE).any()
            moves += runs <= 200 and (found.moves["verdict"] != UNSURE).any()
        said = f", any by direction and size {rate(moves, runs)}" if runs <= 200 else ""
        print(f"chain of three steps, {periods} quarters, 3 teams: any step called {rate(steps, runs)}{said}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
