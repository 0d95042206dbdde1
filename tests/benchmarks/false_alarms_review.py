"""How many rows the pipeline review lists in normal life: python tests/benchmarks/false_alarms_review.py [RUNS]

Counts by unit and week in which nothing happens but what always happens; 0.25 and 1 rows a review are asked for. `found` is the
share of runs in which a unit of usual size that falls to 40% for four weeks is listed at 0.5.
"""

import sys

import numpy as np

from forecasteval.inference.unusual import falls, per_review

LIVES = ("plain", "overdispersed", "trend", "season", "quarters", "alike", "common", "all of it")


def normal_life(rng, units, weeks, life):
    """Poisson counts around a mean that moves as it does in life."""
    t = np.arange(weeks)
    mu = np.exp(rng.normal(np.log(5), 0.6, units))[:, None] * np.ones((1, weeks))
    if life in ("trend", "all of it"):
        mu = mu * np.exp(-0.5 * (t - weeks) / 52)
    if life in ("season", "all of it"):
        mu = mu * (1 + 0.5 * np.sin(2 * np.pi * (t + rng.integers(52)) / 52))
    if life == "quarters":
        mu = mu * (1 + 0.6 * ((t + rng.integers(13)) % 13 > 9))
    if life in ("alike", "all of it", "common"):
        e = np.zeros((1 if life == "common" else units, weeks))
        for k in range(1, weeks):
            e[:, k] = 0.8 * e[:, k - 1] + 0.6 * rng.normal(size=len(e))
        mu = mu * np.exp((0.2 if life == "common" else 0.3) * e)
    if life in ("overdispersed", "all of it"):
        mu = rng.gamma(2, mu / 2)
    return mu


def listed(counts):
    """Rows per review at which each unit would be listed."""
    found = falls(counts).score
    return per_review(found[:, -1], found[:, :-1])


def main(runs):
    """Print rows listed per review, with their simulation error, and falls found."""
    for weeks in (64, 112, 160):
        for life in LIVES:
            said = []
            for units in (6, 20, 60):
                rng, rows, found = np.random.default_rng([units, weeks]), [], 0
                for _ in range(runs):
                    mu = normal_life(rng, units, weeks, life)
                    counts = rng.poisson(mu)
                    rate = listed(counts)
                    rows.append([(rate <= 0.25).sum(), (rate <= 1).sum()])
                    usual = np.argsort(mu[:, -30:].mean(axis=1))[units // 2]
                    counts[usual, -4:] = rng.poisson(0.4 * mu[usual, -4:])
                    found += listed(counts)[usual] <= 0.5
                mean, error = np.mean(rows, axis=0), 1.96 * np.std(rows, axis=0) / np.sqrt(runs)
                said.append(
                    f"{units}: {mean[0]:.2f} (+-{error[0]:.2f}), {mean[1]:.2f} (+-{error[1]:.2f}), found {found / runs:.0%}"
                )
            print(f"{weeks} weeks, {life}: units {'; '.join(said)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
