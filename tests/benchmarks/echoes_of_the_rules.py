"""How often a lead score that knows nothing more than the rules is called better than they are.

    python tests/benchmarks/echoes_of_the_rules.py [runs]

Leads of 18 months convert by their points alone, beside shocks of owners and campaigns. `echo` is the points with noise, so
that it is truly worse; `equal` are two scores, each the points with a noise of its own. Both go through what the notebook
does: chances by logistic regressions on earlier leads, the comparison for new owners and campaigns, the family of three
categories. Rates in percent, with Monte Carlo errors of two standard deviations.
"""

import sys

import numpy as np
import pandas as pd

from forecasteval.compare.compare import compare
from forecasteval.compare.segments import family
from forecasteval.matching.earlier import KNOWN_AFTER, learned
from forecasteval.matching.matched import Matched


def leads(owners, rng, each=60):
    """Leads of so many owners of unequal size, in three categories and twenty campaigns."""
    n = owners * each
    weight = np.exp(0.5 * rng.normal(size=owners))
    owner, campaign = rng.choice(owners, n, p=weight / weight.sum()), rng.integers(0, 20, n)
    day = campaign * 27 + rng.integers(0, 40, n)
    points = 10.0 * rng.integers(0, 8, n)
    shocks = rng.normal(0, 0.3, owners)[owner] + rng.normal(0, 0.3, 20)[campaign]
    won = rng.random(n) < 1 / (1 + np.exp(2.4 - 0.03 * points - shocks))
    table = pd.DataFrame(
        {
            "deal_id": np.arange(n), "as_of": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, unit="D"),
            "period": campaign, "rep": owner, "won": won.astype(int), "kind": rng.choice(list("abc"), n),
            "rules": points, "echo": points + rng.normal(0, 12, n),
            "one": points + rng.normal(0, 12, n), "other": points + rng.normal(0, 12, n),
        }
    )  # fmt: skip
    return Matched(table.sort_values("as_of", ignore_index=True), more={KNOWN_AFTER: 30})


def main(runs=1000):
    """Print the rates by number of owners."""
    print("owners  echo better  echo worse  echo better in a category  equal: one better  other better")
    for owners in (6, 20, 60):
        counts = np.zeros(5)
        for seed in range(runs):
            rng = np.random.default_rng([owners, seed])
            said = learned(leads(owners, rng), ["rules", "echo", "one", "other"])
            echo = compare(said, "echo", "rules", metrics=["brier"]).verdict
            equal = compare(said, "one", "other", metrics=["brier"]).verdict
            parts = family(said, "kind", "echo", "rules").table["verdict"]
            counts += [
                echo == "candidate better", echo == "baseline better", (parts == "candidate better").any(),
                equal == "candidate better", equal == "baseline better",
            ]  # fmt: skip
        rate = counts / runs
        error = 2 * np.sqrt(rate * (1 - rate) / runs)
        print(
            f"{owners:6}  "
            + "  ".join(f"{100 * r:5.1f} +- {100 * e:.1f}" for r, e in zip(rate, error, strict=True)),
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
