"""How often a side is called right where neither is: false alarms of the section on disagreement, with simulation error.

    python tests/benchmarks/who_was_right.py [RUNS]

Rep and model stray from the truth by the same law: each by a bias of its own for every rep, one for every quarter, and noise
of its own for every deal, so by symmetry neither is better in expectation on the deals that are far apart. A run errs where
the far deals, any band, or any segment or rep is called for one of them. A band with a direction is not symmetric: where the
rep says more than the model, the truth lies between, and who is nearer follows from the law; its truth is taken from a large
sample of the same law, and the band errs where its verdict has the wrong sign or the truth is 0 within error.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from forecasteval.compare.disagreement import disagreement
from forecasteval.compare.verdicts import BASELINE, CANDIDATE

KINDS = [  # reps, quarters, deals a quarter, sd of a rep's bias, of a quarter's, of a deal's noise (log odds)
    ("12 reps, 6 quarters", 12, 6, 150, 0.3, 0.0, 1.0),
    ("24 reps, 8 quarters", 24, 8, 200, 0.3, 0.0, 1.0),
    ("24 reps, 8 quarters, reps differ much", 24, 8, 200, 0.8, 0.0, 0.8),
    ("24 reps, 8 quarters, quarters differ", 24, 8, 200, 0.3, 0.4, 0.8),
    ("8 reps, 4 quarters", 8, 4, 150, 0.3, 0.0, 1.0),
]


def world(rng, reps, quarters, deals, by_rep, by_quarter, noise):
    """Deals with two forecasts that err alike."""
    n = quarters * deals
    rep, quarter = rng.integers(0, reps, n), np.repeat(np.arange(quarters), deals)
    pi = expit(rng.normal(-0.9, 1.1, n))
    table = {"deal_id": np.arange(n), "rep": rep.astype(str), "period": np.char.add("2025-Q", quarter.astype(str)),
             "region": np.array(["East", "West", "South"])[rep % 3], "won": (rng.random(n) < pi).astype(int)}  # fmt: skip
    for name in ("model", "rep_forecast"):
        off = (
            rng.normal(0, by_rep, reps)[rep]
            + rng.normal(0, by_quarter, quarters)[quarter]
            + rng.normal(0, noise, n)
        )
        table[name] = expit(logit(pi) + off)
    return pd.DataFrame(table)


def main(runs: int) -> None:
    """Print the share of runs with a false verdict, by kind."""
    told = (CANDIDATE, BASELINE)
    print(
        f"{runs} runs; in brackets twice the simulation error\n{'kind':40} far apart      any region or rep"
    )
    for kind, *law in KINDS:
        rng, far, parts = np.random.default_rng(7), 0, 0
        for _ in range(runs):
            found = disagreement(world(rng, *law), "model", "rep_forecast", by=["region", "rep"])
            far += found.far is not None and found.far.verdict in told
            parts += any(f.table["verdict"].isin(told).any() for f in found.parts.values())
        shares = [
            f"{100 * k / runs:4.1f}% ({200 * math.sqrt(max(k, 1) / runs * (1 - k / runs) / runs):.1f})"
            for k in (far, parts)
        ]
        print(f"{kind:40} {shares[0]:14} {shares[1]}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
