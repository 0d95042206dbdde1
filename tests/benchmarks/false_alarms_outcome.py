"""How often a feature that did nothing is called an effect: python tests/benchmarks/false_alarms_outcome.py [RUNS]

Units of equal or unequal size, whose months resemble each other (AR .8) or not; in half a year something happens to everyone at
once. `interval`: 0 outside the 95% interval; `verdict`: called by fe.measured_outcome with all its checks.
"""

import sys

import numpy as np
import pandas as pd
from scipy.special import expit

import forecasteval as fe
from forecasteval.inference.difference_in_differences import difference_in_differences

MONTHS = 12


def simulated(rng, units, kind, alike, uneven, apart=1.0):
    """Sums and cases by unit and month, in which a feature does nothing and month 6 changes everything for all."""
    e = np.empty((units, MONTHS))
    e[:, 0] = rng.normal(size=units)
    for m in range(1, MONTHS):
        e[:, m] = alike * e[:, m - 1] + np.sqrt(1 - alike**2) * rng.normal(size=units)
    cases = 1 + rng.poisson(np.exp(rng.normal(np.log(15), uneven, units))[:, None] * np.ones(MONTHS))
    all_at_once = rng.normal(0, 1, MONTHS) + 2.0 * (np.arange(MONTHS) >= MONTHS // 2)
    level = rng.normal(0, 1, (units, 1))
    if kind == "mean":
        return cases * (level + all_at_once + 0.5 * apart * e) + 2 * np.sqrt(cases) * rng.normal(
            size=e.shape
        ), cases
    if kind == "share":
        return rng.binomial(cases, expit(-1 + 0.3 * level + 0.2 * all_at_once + 0.3 * apart * e)), cases
    return rng.gamma(cases * 0.5, 2 * np.exp(1 + 0.3 * level + 0.2 * all_at_once + 0.3 * apart * e)), cases


def change(sums, cases):
    """One change per unit, and its weight."""
    half = MONTHS // 2
    (x0, x1), (n0, n1) = ((v[:, :half].sum(axis=1), v[:, half:].sum(axis=1)) for v in (sums, cases))
    return x1 / n1 - x0 / n0, n0 * n1 / (n0 + n1)


def table(sums, cases, treated):
    """The same as a table for fe.measured_outcome."""
    unit, month = (i.ravel() for i in np.indices(sums.shape))
    on = pd.Timestamp("2025-07-01") + pd.to_timedelta((month - MONTHS // 2) * 28, unit="D")
    since = np.where(unit < treated, "2025-07-01", None)
    rows = {
        "unit": unit.astype(str),
        "on": on,
        "value": sums.ravel() * 1.0,
        "of": cases.ravel(),
        "since": since,
    }
    return pd.DataFrame(rows)


def rate(hits, runs):
    """A share with its simulation error."""
    p = hits / runs
    return f"{p:.3f} (+-{1.96 * np.sqrt(max(p * (1 - p), 1 / runs) / runs):.3f})"


def main(runs):
    """Print both rates by number of units, kind of outcome, resemblance and size."""
    kinds = [
        (units, treated, kind, *life)
        for units, treated in [(6, 3), (20, 10), (20, 3), (60, 30), (60, 6), (60, 3)]
        for kind in ("mean", "share", "time")
        for life in ((0.0, 0.0), (0.8, 0.0), (0.8, 1.0))
    ]
    called = {}
    for of in kinds:
        units, treated, *life = of
        rng = np.random.default_rng([units, treated])
        drawn = (simulated(rng, units, *life) for _ in range(runs))
        called[of] = [each for each in drawn if found(*each, treated).p_value < 0.05]
        print(f"{told(of)}: interval {rate(len(called[of]), runs)}", flush=True)
    for units, treated, factor in [(6, 3, 3.0), (20, 10, 3.0), (20, 4, 3.0), (20, 4, 1 / 3)]:
        rng = np.random.default_rng(units)
        spread = np.where(np.arange(units) < treated, factor, 1.0)
        hits = sum(
            difference_in_differences(
                rng.normal(size=units) * spread, np.ones(units), spread == factor
            ).p_value
            < 0.05
            for _ in range(runs)
        )
        print(
            f"{units} units, {treated} with it that vary {factor:.2g} times as much: interval {rate(hits, runs)}",
            flush=True,
        )
    for of, tables in called.items():  # a verdict needs an interval beside 0: no other run can have one
        hits = sum(
            fe.measured_outcome(table(*each, of[1])).verdict != "not enough evidence" for each in tables
        )
        print(f"{told(of)}: verdict {rate(hits, runs)}", flush=True)


def found(sums, cases, treated):
    """The estimate from sums and cases."""
    return difference_in_differences(*change(sums, cases), np.arange(len(cases)) < treated)


def told(of):
    """The kind of life in words."""
    return "{} units, {} with it, {}, months alike {}, sizes sd {}".format(*of)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2500)
