"""Does the interval hold the crossing? python tests/benchmarks/crossing_of_a_known_curve.py [runs] [judged] [reps].

Worlds in which the expected learning curve is known: a logistic model with seven numbers to learn, refitted for each of
eight periods to the last n deals of a stream; reps know the deals better or worse, with a bias of their own each. How
well they know them is solved for, so that the expected Brier scores cross at a given number of deals, or never.
"""

import sys

import numpy as np
import pandas as pd
from scipy.optimize import brentq

import forecasteval as fe
from forecasteval.compare.crossing import Crossing

SIZES = (25, 50, 100, 200, 400, 800, 1600, 3200)
SLOPES = np.array([-0.8, 0.9, -0.6, 0.4, 0.3, 0.0, 0.0])
SHOCK, BIAS, PERIODS = 0.15, 0.3, 8


def share(odds):
    """Odds on the log scale to probabilities."""
    return 1 / (1 + np.exp(-odds))


def deals(rng, n, shock=0.0):
    """Design and true log-odds of deals."""
    x = np.column_stack([np.ones(n), rng.normal(size=(n, SLOPES.size - 1))])
    return x, x @ SLOPES + shock


def fit(x, won, ridge=1.0):
    """Coefficients of a logistic regression with a weak ridge."""
    b = np.zeros(x.shape[1])
    for _ in range(8):
        p = share(x @ b)
        w = p * (1 - p)
        b += np.linalg.solve((x.T * w) @ x + ridge * np.eye(b.size), x.T @ (won - p) - ridge * b)
    return b


def expected_loss(n, runs=1500):
    """Expected Brier score of the model learned from n deals, without the part that no forecast can avoid."""
    rng = np.random.default_rng([n, 5])
    x, odds = deals(rng, 2000)
    loss = []
    for _ in range(max(runs * 25 // n, 60)):
        xs, os = deals(rng, n, np.repeat(rng.normal(0, SHOCK, -(-n // 100)), 100)[:n])
        shifted = share(odds + rng.normal(0, SHOCK))
        loss.append(np.square(share(x @ fit(xs, rng.random(n) < share(os))) - shifted).mean())
    return float(np.mean(loss))


def reps_noise(loss):
    """How noisy reps are whose expected loss is this one."""
    rng = np.random.default_rng(6)
    n = 400_000
    _, odds = deals(rng, n)
    shock, bias, noise = rng.normal(0, SHOCK, n), rng.normal(0, BIAS, n), rng.normal(size=n)

    def off(sd):
        return np.square(share(odds + bias + sd * noise) - share(odds + shock)).mean() - loss

    return brentq(off, 0, 5) if off(0) < 0 else 0.0


def run(rng, sd, judged, reps):
    """The crossing as it is found in one world; reps whose noise is None know each period's luck, which no model learns."""
    stream = max(SIZES) + PERIODS * judged
    period = np.maximum(np.arange(stream) - max(SIZES), -1) // judged
    at = np.arange(stream) // judged
    x, odds = deals(rng, stream, rng.normal(0, SHOCK, at.max() + 1)[at])
    won = (rng.random(stream) < share(odds)).astype(int)
    rep = rng.choice(reps, stream, p=rng.dirichlet(np.full(reps, 3.0)))
    bias = rng.normal(0, BIAS, reps)[rep]
    said = share(odds + bias / 3) if sd is None else share(x @ SLOPES + bias + rng.normal(0, sd, stream))
    table = pd.DataFrame(
        {"deal_id": np.arange(stream), "rep": rep, "period": period, "won": won, "reps": said}
    )
    model = {n: np.full(stream, np.nan) for n in SIZES}
    for k in range(PERIODS):
        now = period == k
        end = int(np.argmax(now))
        for n in SIZES:
            model[n][now] = share(x[now] @ fit(x[end - n : end], won[end - n : end]))
    table = table.assign(**{f"n{n}": m for n, m in model.items()})[period >= 0].astype(
        {"period": str, "rep": str}
    )
    return Crossing.of({n: fe.compare(table, f"n{n}", "reps", metrics=["brier"]) for n in SIZES})


def main(runs, judged, reps):
    """Coverage, open ends and the median interval; Monte Carlo error (p (1 - p) / runs)^.5."""
    for truth in (15, 120, 400, np.inf):
        sd = reps_noise(expected_loss(truth)) if np.isfinite(truth) else None
        rng = np.random.default_rng(9)
        found = [run(rng, sd, judged, reps) for _ in range(runs)]
        low = np.array([0 if f.low is None else f.low for f in found])
        high = np.array([np.inf if f.high is None else f.high for f in found])
        held = (low < truth) & (truth <= high)
        value = np.nanmedian([np.nan if f.value is None else f.value for f in found] + [np.nan])
        print(
            f"truth {truth}: held {held.mean():.3f} ({(held.mean() * (1 - held.mean()) / runs) ** 0.5:.3f}), "
            f"open below {np.mean(low == 0):.2f}, above {np.mean(np.isinf(high)):.2f}; median {np.median(low):g} to "
            f"{np.median(high):g}, value {value:g}",
            flush=True,
        )


if __name__ == "__main__":
    asked = [int(a) for a in sys.argv[1:]]
    main(*asked, *(200, 100, 15)[len(asked) :])
