"""How often equally good totals are told apart, and how often ranges hold: python tests/benchmarks/false_alarms_totals.py [RUNS]

All forecasters of a run are drawn alike, or (marked "shapes differ") one leans and the other scatters, so that both miss by
as much in expectation. Teams of unequal size share a shock of the quarter. All runs are drawn at once; each is judged by the
code that reports use. In brackets twice the simulation error.
"""

import gc
import sys

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm

from forecasteval.compare.chain import UNSURE, chain, move_of
from forecasteval.compare.totals import Two
from forecasteval.compare.track_record import conformal_range, track_record
from forecasteval.inference.statistic import share_interval

TOTALS = [  # quarters, units, sd of a unit's own lean, do shapes differ
    (6, 1, 0.0, False), (8, 1, 0.0, False), (12, 1, 0.0, False), (8, 1, 0.0, True), (12, 1, 0.0, True),
    (8, 4, 0.0, False), (12, 4, 0.0, False), (8, 8, 0.1, False), (12, 8, 0.1, False), (12, 8, 0.0, True),
]  # fmt: skip
STEPS = [("rep", "manager"), ("manager", "cro"), ("cro", "model")]
RANGES = ["alike", "autocorrelated .5", "leaning", "wilder of late"]


def share(hits, runs):
    """A share with twice its simulation error."""
    p = hits / runs
    return f"{100 * p:4.1f}% ({200 * np.sqrt(max(p * (1 - p), 1 / runs) / runs):.1f})"


def frame(periods, units):
    """Periods and units in order of time."""
    quarters = [f"{2020 + i // 4}-Q{i % 4 + 1}" for i in range(periods)]
    return pd.DataFrame(
        {"period": np.repeat(quarters, units), "unit": [f"t{u}" for u in range(units)] * periods}
    )


def booked(rng, runs, periods, units):
    """What was booked: shape (runs, periods, units)."""
    size = rng.lognormal(13, 0.7, (runs, 1, units))
    return size * np.exp(rng.normal(0, 0.2, (runs, periods, units)) + rng.normal(0, 0.15, (runs, periods, 1)))


def relative_errors(rng, runs, periods, units, lean):
    """log(forecast / actual): of the quarter, of the unit, of both."""
    return (
        0.1 + rng.normal(0, 0.15, (runs, periods, 1)) + rng.normal(0, 0.2, (runs, periods, units))
        + rng.normal(0, lean, (runs, 1, units))
    )  # fmt: skip


def as_far_off(lean, scatter):
    """The scatter at which errors without a lean miss by as much as those that lean: E|exp(e) - 1|, e normal."""

    def miss(mean, sd):
        up = np.exp(mean + sd * sd / 2)
        return up * (1 - 2 * norm.cdf(-mean / sd - sd)) - (1 - 2 * norm.cdf(-mean / sd))

    return brentq(lambda sd: miss(0.0, sd) - miss(lean, scatter), 0.01, 3)


def called_totals(runs):
    """Verdicts and intervals that miss, by number of quarters and units."""
    print(f"{'compare_totals':50} called        interval misses 0")
    for periods, units, lean, differ in TOTALS:
        rng = np.random.default_rng([periods, units, differ])
        actual, rows = booked(rng, runs, periods, units), frame(periods, units)
        if differ:
            wide = as_far_off(0.35, 0.15)
            a = rng.normal(0.35, 0.15, actual.shape)
            b = rng.normal(0, wide, actual.shape)
        else:
            a, b = (relative_errors(rng, runs, periods, units, lean) for _ in "ab")
        flow = [{"step": "", "deals": len(rows), "dropped": 0, "why": ""}] * 2
        two = Two("a", "b", "quarters", "team" if units > 1 else "company", 0.95)
        told = missed = 0
        for i in range(runs):
            y = actual[i].ravel()
            said = {"candidate": y * np.exp(a[i].ravel()), "baseline": y * np.exp(b[i].ravel()), "actual": y}
            row = two.compared(rows.assign(**said), flow).primary
            told += "better" in row["verdict"]
            missed += not row["low"] <= 0 <= row["high"]
        name = f"{periods} quarters, {units} units{', which lean apart' if lean else ''}{', shapes differ' if differ else ''}"
        print(f"{name:50} {share(told, runs):13} {share(missed, runs)}", flush=True)


def truth_of_moves(names, amounts, actual):
    """What each kind of move did in all runs together, by step: the mean change and twice its error."""
    found = {}
    for before, after in STEPS:
        b, a = (amounts[names.index(n)].ravel() for n in (before, after))
        y = actual.ravel()
        kind = move_of(pd.Series(b), pd.Series(a))
        change = pd.Series((np.abs(a - y) - np.abs(b - y)) / y.mean()).groupby(kind)
        for move, mean in change.mean().items():
            found[f"{before} to {after}", move] = mean, 2 * change.sem()[move]
    return found


def called_chains(runs):
    """Any step or unit called, and any kind of move called against the truth: Holm is over each table.

    Before and after err alike, symmetrically. Which moves are large follows from the number before, so that large moves
    help a little by selection alone: their truth is taken from all runs together, and a verdict on one errs where its sign
    is wrong or the truth is 0 within error.
    """
    print(f"\n{'chain of three steps, 3 teams':50} any step      any team      any move")
    for periods in (6, 8, 12):
        rng, names = np.random.default_rng(periods), ["rep", "manager", "cro", "model"]
        actual, rows = booked(rng, runs, periods, 3), frame(periods, 3)
        amounts = [actual * (1 + relative_errors(rng, runs, periods, 3, 0.0) - 0.1) for _ in names]
        truth = truth_of_moves(names, amounts, actual)
        long = pd.concat([rows.assign(forecaster=n) for n in names], ignore_index=True)
        hits = {"steps": 0, "units": 0, "moves": 0}
        for i in range(runs):
            of_run = np.concatenate([a[i].ravel() for a in amounts])
            found = chain(
                long.assign(actual=np.tile(actual[i].ravel(), 4), amount=of_run), names[:3], beside=names[3:]
            )
            for part in ("steps", "units"):
                hits[part] += (getattr(found, part)["verdict"] != UNSURE).any()
            told = found.moves[found.moves["verdict"] != UNSURE]
            real = [truth[key] for key in zip(told["step"], told["move"], strict=True)]
            hits["moves"] += any(
                abs(m) < sure or m * d < 0 for (m, sure), d in zip(real, told["difference"], strict=True)
            )
        said = [share(k, runs) for k in hits.values()]
        print(f"{periods:2} quarters {'':38} {said[0]:13} {said[1]:13} {said[2]}", flush=True)


def ranges(runs):
    """Do ranges hold at their stated rate, and does the interval of that rate hold it?"""
    print(f"\n{'ranges of 80% from past errors':50} stated  held")
    for past in (6, 8, 12):
        for kind in RANGES:
            rng = np.random.default_rng([past, RANGES.index(kind)])
            e = rng.normal(0, 0.2, (runs, past + 1))
            if kind == "autocorrelated .5":
                for t in range(1, past + 1):
                    e[:, t] = 0.5 * e[:, t - 1] + np.sqrt(0.75) * e[:, t]
            e = e + 0.3 if kind == "leaning" else e
            e[:, past // 2 :] *= 1.5 if kind == "wilder of late" else 1.0
            said = rng.lognormal(0, 0.3, e.shape)
            came = said * np.exp(e)
            made = [
                conformal_range(f[-1], f[:-1], a[:-1], level=0.8) for f, a in zip(said, came, strict=True)
            ]
            held = sum(r.low <= a <= r.high for r, a in zip(made, came[:, -1], strict=True))
            print(
                f"{f'{past} past quarters, {kind}':50} {100 * made[0].level:4.1f}%   {share(held, runs)}",
                flush=True,
            )
    print(f"\n{'how often such ranges held: 95% interval of it':50} holds the share that was stated")
    for quarters in (8, 12):
        rng, hits, n = np.random.default_rng(quarters), 0, min(runs, 1000)
        for _ in range(n):
            a = rng.lognormal(0, 0.3, quarters)
            table = frame(quarters, 1).assign(
                forecaster="x", amount=a, actual=a * np.exp(rng.normal(0, 0.2, quarters))
            )
            found = track_record(table, "x")
            c, stated = found.coverage(), found.table["promised"].mean()
            low, high = share_interval(c.held, c.ranges)
            hits += low <= stated <= high
        print(f"{quarters:2} quarters{'':39} {share(hits, n)}", flush=True)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    gc.freeze()  # statsmodels collects on every call
    ranges(max(asked, 2000))
    called_totals(asked)
    called_chains(asked)
