"""How often a claim is judged wrongly: pilots with a planted truth through the door of the notebook vendor_claim.

    python tests/benchmarks/claims_judged_wrongly.py [runs] [reps ...]

A false claim ("better" of a vendor who is exactly as good as the reps, or a little worse) that comes out as supported, and a
true one (a little better; and "at least x better" where it is exactly x) that comes out as contradicted: at most 5% of the pilots each.
Reps differ in their bias and quarters in their luck. Printed with its Monte Carlo error.
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from forecasteval.studies.vendor_claim.claim import Claim, as_yaml
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.tables.organisation import Org

QUARTERS, DEALS = 8, 12


def logistic(x):
    return 1 / (1 + np.exp(-x))


def pilot(reps, ahead, seed):
    """A pilot in which the vendor's expected Brier score lies `ahead` below that of the reps."""
    rng = np.random.default_rng(seed)
    rep = np.repeat(np.arange(reps), QUARTERS * DEALS)
    quarter = np.tile(np.repeat(np.arange(QUARTERS), DEALS), reps)
    truth = logistic(rng.normal(-0.9, 1.0, rep.size) + rng.normal(0, 0.2, QUARTERS)[quarter])
    won = (rng.random(rep.size) < truth).astype(int)
    # both miss the truth by errors of the same size in expectation, then the vendor by less or more
    spread = 0.12
    own = rng.normal(0, 0.7, reps)[rep] * spread + rng.normal(0, math.sqrt(1 - 0.49), rep.size) * spread
    theirs = rng.normal(0, 1, rep.size) * math.sqrt(max(spread**2 - ahead, 0))
    return pd.DataFrame(
        {"deal_id": np.arange(rep.size), "rep": rep, "period": [f"2024-Q{q + 1}" if q < 4 else f"2025-Q{q - 3}" for q in quarter],
         "won": won, "vendor": truth + theirs, "rep_forecast": truth + own, "truth": truth}
    )  # fmt: skip


def judged(table, claim, **parameters):
    """The verdict on the claim; forecasts are kept as they are, so that the truth is what was planted."""
    kept = table.assign(vendor=table["vendor"].clip(0, 1), rep_forecast=table["rep_forecast"].clip(0, 1))
    trial = Trial(claim=str(claim), candidate="vendor", guard="", **parameters)
    return trial.run(Org("pilot", None, matched=kept.drop(columns="truth"))).outcome


def ahead_of(reps, ahead):
    """By how much the vendor is truly better once forecasts are probabilities: over many pilots, without their luck."""
    found = []
    for seed in range(100):
        t = pilot(reps, ahead, 10_000 + seed)
        loss = [np.square(t[n].clip(0, 1) - t["truth"]).mean() for n in ("rep_forecast", "vendor")]
        found.append(loss[0] - loss[1])
    return float(np.mean(found))


def main(runs, sizes):
    claim = Path(tempfile.mkdtemp()) / "claim.yaml"
    claim.write_text(as_yaml(Claim(sentence="better", says="better")))
    print(f"{'truth':<34}{'reps':>5}{'supported':>20}{'contradicted':>16}{'undecided':>12}")
    for reps in sizes:
        for words, ahead, exactly in (
            ("as good: claim false", 0.0, False),
            ("worse by about .003: claim false", -0.003, False),
            ("better by about .003: claim true", 0.003, False),
            ("exactly what is claimed: true", 0.006, True),
            ("better by about .012: claim true", 0.012, False),
        ):
            true = ahead_of(reps, ahead)
            at_least = round(true, 6) if exactly else 0.0
            found = [judged(pilot(reps, ahead, seed), claim, at_least=at_least) for seed in range(runs)]
            rate = {
                v: found.count(v) / runs for v in ("supported", "contradicted", "undecided by this evidence")
            }
            error = {v: math.sqrt(r * (1 - r) / runs) for v, r in rate.items()}
            s, c, u = rate
            print(
                f"{words:<34}{reps:>5}{rate[s]:>12.3f} ±{error[s]:.3f}{rate[c]:>9.3f} ±{error[c]:.3f}{rate[u]:>12.3f}",
                flush=True,
            )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 400, given[1:] or (6, 20, 60))
