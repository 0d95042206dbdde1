"""How often a side is called right where neither is: false alarms of the section on disagreement.

    python tests/benchmarks/who_was_right.py [RUNS]

Rep and model stray from the truth by the same law: each by a bias of its own for every rep, one for every quarter, and noise
of its own for every deal, so by symmetry neither is better in expectation on the deals that are far apart. A run errs where
the far deals, any segment or any rep is called for one of them.

A band with a direction is not symmetric: where the rep says more than the model, the truth lies between, and who is nearer
follows from the law. Its truth is taken from all runs together: a band errs where its verdict has the wrong sign, or where
the truth is 0 within error. Segments and reps are judged in half of the runs. In brackets twice the simulation error.
"""

from __future__ import annotations

import gc
import math
import sys

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from forecasteval.compare.disagreement import band_names, band_of, disagreement
from forecasteval.compare.verdicts import BASELINE, CANDIDATE

TOLD = (CANDIDATE, BASELINE)
KINDS = [  # reps, quarters, deals a quarter, sd of a rep's bias, of a quarter's, of a deal's noise (log odds)
    ("12 reps, 6 quarters", 12, 6, 150, 0.3, 0.0, 1.0),
    ("24 reps, 8 quarters", 24, 8, 200, 0.3, 0.0, 1.0),
    ("24 reps, 8 quarters, reps differ much", 24, 8, 200, 0.8, 0.0, 0.8),
    ("24 reps, 8 quarters, quarters differ", 24, 8, 200, 0.3, 0.4, 0.8),
    ("8 reps, 4 quarters", 8, 4, 150, 0.3, 0.0, 1.0),
]


def worlds(rng, runs, reps, quarters, deals, by_rep, by_quarter, noise):
    """Deals with two forecasts that err alike, all runs at once: what stays the same, and won, model, rep_forecast by run."""
    n = quarters * deals
    rep, quarter = rng.integers(0, reps, n), np.repeat(np.arange(quarters), deals)
    pi = expit(rng.normal(-0.9, 1.1, (runs, n)))
    frame = pd.DataFrame({"deal_id": np.arange(n), "rep": rep.astype(str), "period": [f"2025-Q{q}" for q in quarter],
                          "region": np.array(["East", "West", "South"])[rep % 3]})  # fmt: skip
    said = {"won": (rng.random((runs, n)) < pi).astype(int)}
    for name in ("model", "rep_forecast"):
        off = (
            rng.normal(0, by_rep, (runs, reps))[:, rep]
            + rng.normal(0, by_quarter, (runs, quarters))[:, quarter]
        )
        said[name] = expit(logit(pi) + off + rng.normal(0, noise, (runs, n)))
    return frame, said


def truth_of_bands(said):
    """The mean difference of the Brier scores in each band, over all runs, and twice its error."""
    model, reps, won = (said[n].ravel() for n in ("model", "rep_forecast", "won"))
    loss = pd.Series((model - won) ** 2 - (reps - won) ** 2).groupby(band_of(model - reps))
    return dict(enumerate(zip(loss.mean(), 2 * loss.sem(), strict=True)))


def main(runs: int) -> None:
    """Print the share of runs with a false verdict, by kind."""
    gc.freeze()  # statsmodels collects on every call
    print(f"{runs} runs\n{'kind':40} far apart      any band       any region or rep")
    names = band_names("model", "rep_forecast")
    for kind, *law in KINDS:
        far = bands = parts = 0
        frame, said = worlds(np.random.default_rng(7), runs, *law)
        truth = truth_of_bands(said)
        for i in range(runs):
            deals = frame.assign(**{n: v[i] for n, v in said.items()})
            by = ["region", "rep"] if i < runs // 2 else []  # the dearest part
            found = disagreement(deals, "model", "rep_forecast", by=by)
            far += found.far is not None and found.far.verdict in TOLD
            parts += any(f.table["verdict"].isin(TOLD).any() for f in found.parts.values())
            called = found.bands[found.bands["verdict"].isin(TOLD)]
            for band, difference in zip(called["band"], called["difference"], strict=True):
                mean, sure = truth[names.index(band)]
                if abs(mean) < sure or mean * difference < 0:
                    bands += 1
                    break
        shares = [
            f"{100 * k / n:4.1f}% ({200 * math.sqrt(max(k, 1) / n * (1 - k / n) / n):.1f})"
            for k, n in ((far, runs), (bands, runs), (parts, max(runs // 2, 1)))
        ]
        print(f"{kind:40} {shares[0]:14} {shares[1]:14} {shares[2]}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
