"""Seconds and peak memory of `fe.compare` on a million matched deals: python tests/benchmarks/compare_speed.py."""

import resource
import sys
import time

import numpy as np
import pandas as pd

import forecasteval as fe


def matched(deals: int, reps: int = 200, periods: int = 12) -> pd.DataFrame:
    """A matched table of a large organisation, reps uneven, rep forecasts in tenths."""
    rng = np.random.default_rng(0)
    truth = rng.beta(1, 3, deals)
    return pd.DataFrame(
        {
            "deal_id": np.char.add("D", np.arange(deals).astype(str)),
            "as_of": pd.Timestamp("2026-02-28"),
            "period": np.char.add("Q", rng.integers(0, periods, deals).astype(str)),
            "rep": np.char.add("r", rng.choice(reps, deals, p=rng.dirichlet(np.full(reps, 2.0))).astype(str)),
            "won": (rng.random(deals) < truth).astype(int),
            "amount": rng.lognormal(10, 1, deals),
            "model": np.clip(truth + rng.normal(0, 0.1, deals), 0.01, 0.99),
            "rep_forecast": np.clip(truth + rng.normal(0.1, 0.2, deals), 0.05, 0.95).round(1),
        }
    )


def main() -> None:
    """Print one line for each question."""
    deals = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    table = matched(deals)
    size = table.memory_usage(deep=True).sum() / 1e6
    fe.compare(table.head(2000), "model", "rep_forecast")  # imports
    print(f"{deals:,} deals, table {size:.0f} MB, all default metrics")
    for question in (("rep", "period"), ("rep",), ("period",), ("deal",)):
        start = time.perf_counter()
        fe.compare(table, "model", "rep_forecast", generalise_to=question)
        print(f"  {' and '.join(question):<16} {time.perf_counter() - start:5.2f} s")
    print(f"  peak of the whole process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3:.0f} MB")


if __name__ == "__main__":
    main()
