"""How often a weekly report says something false: python tests/benchmarks/false_alarms_weekly.py [runs].

104 weekly looks at deals of 20 drawn reps, each with a bias of its own that stays. The baseline leans high
and the candidate low, so far that over these reps and the quarters to come neither is better: then every
verdict is false. Won deals close after about 20 days, lost ones are known after 90. In some cells whole
quarters are good or bad for everybody (sd of log-odds), which favours the one or the other forecaster for 13
weeks on end; then quarters that resemble their neighbours, an AR(1), where "if they stand" counts what the monitor
says: a verdict of the sequence over quarters that would stand if they resembled each other as much as they allow.
Then the weeks until a true difference is told.
"""

import sys
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from forecasteval.inference import confidence_sequences as sequences

WEEKS, REPS, QUARTER, WINDOW = 104, 20, 13, 90
LOOKS = (13, 26, 52, 78, 104)


@dataclass(frozen=True)
class World:
    """One kind of organisation."""

    shock: float = 0.0  # sd of what a quarter adds to everybody's log-odds
    skewed: bool = False  # rare very good quarters instead of normal ones
    alike: float = 0.0  # autocorrelation of normal shocks from quarter to quarter
    new_quarter: float = 4.0  # deals met in the first week of a quarter, in units of an average week
    deals: float = 25.0  # a week
    difference: float = 0.0


def share(odds):
    """Probability from log-odds."""
    return 1 / (1 + np.exp(-odds))


def shocks(rng, world, n):
    """What quarters add."""
    return world.shock * (rng.exponential(1, n) - 1 if world.skewed else rng.normal(0, 1, n))


def in_a_row(rng, world, n):
    """What quarters add, one after another: an AR(1) that has the same spread in every quarter."""
    found = shocks(rng, world, n)
    for t in range(1, n):
        found[t] = world.alike * found[t - 1] + np.sqrt(1 - world.alike**2) * found[t]
    return found


def drawn_reps(rng, world):
    """Reps' sizes and what each adds to the two forecasts, so that the expected difference is the world's."""
    size = rng.lognormal(0, 0.6, REPS)
    high, low = 0.5 + rng.normal(0, 0.5, REPS), rng.normal(0, 0.3, REPS)
    n = 6000
    rep = rng.choice(REPS, n, p=size / size.sum())
    odds = rng.normal(-1, 1, n)
    said_b, said_c = odds + high[rep] + rng.normal(0, 0.6, n), odds + low[rep] + rng.normal(0, 0.6, n)
    win = share(odds + shocks(rng, world, n))

    def expected(lean_c, lean_b=0.0):
        candidate, baseline = share(said_c - lean_c), share(said_b + lean_b)
        return np.mean(np.square(candidate - win) - np.square(baseline - win))

    if expected(0.0) >= 0:  # reps who lean so little that the candidate has nothing to give away
        return drawn_reps(rng, world)
    lean_c = brentq(expected, 0, 6)
    lean_b = 0.0
    if world.difference:
        lean_b = brentq(lambda b: expected(lean_c, b) + world.difference, 0, 6)
    return size / size.sum(), high + lean_b, low - lean_c


def history(rng, world):
    """104 cohorts of one organisation: sums of the difference, deals; the same by the week of each deal's own close."""
    size, high, low = drawn_reps(rng, world)
    later = (QUARTER - world.new_quarter) / (QUARTER - 1)
    first = np.arange(WEEKS) % QUARTER == 0
    n = np.maximum(rng.poisson(world.deals * np.where(first, world.new_quarter, later)), 1)
    week = np.repeat(np.arange(WEEKS), n)
    rep = rng.choice(REPS, week.size, p=size)
    odds = rng.normal(-1, 1, week.size)
    won = rng.random(week.size) < share(odds + in_a_row(rng, world, WEEKS // QUARTER)[week // QUARTER])
    baseline = share(odds + high[rep] + rng.normal(0, 0.6, week.size))
    candidate = share(odds + low[rep] + rng.normal(0, 0.6, week.size))
    d = np.square(candidate - won) - np.square(baseline - won)
    days = np.where(won, np.minimum(rng.exponential(20, week.size), WINDOW), WINDOW)
    closed = (week + days / 7).astype(int)
    x, z = np.bincount(week, d), np.bincount(week).astype(float)
    return x, z, np.bincount(closed, d), np.bincount(closed).astype(float)


def bands(x, z):
    """The naive interval and the four sequences at every look from the burn-in on."""
    d = x / z
    return _quick(x, z) | {"strict": sequences.empirical_bernstein(d), "betting": sequences.betting(d)}


def published(x, z):
    """The asymptotic sequence without the guard for few and unequal cohorts."""
    one_look = sequences.fixed_time(x, z)
    total, n = np.cumsum(z), np.arange(1, x.size + 1)
    before = np.tril(np.ones((x.size, x.size)))
    with np.errstate(invalid="ignore", divide="ignore"):
        left_out = (x[None, :] - one_look.estimate[:, None] * z) / (1 - z / total[:, None])
        se = np.sqrt((n - 1) / n * (before * np.square(left_out)).sum(axis=1)) / total
    half = np.nan_to_num(sequences._asymptotic_multiplier(n) * se, nan=np.inf)
    return sequences._Band(one_look.estimate, one_look.estimate - half, one_look.estimate + half)


def told(band):
    """Looks at which 0 is outside, the burn-in left out."""
    outside = (band.low > 0) | (band.high < 0)
    outside[: sequences.COHORTS.fewest - 1] = False
    return outside


def standing(x, z, band):
    """Those of these looks at which the verdict would stand with the interval that quarters alike would need."""
    outside = told(band)
    if not outside.any():
        return outside
    found = sequences.neighbours(x, z, np.arange(x.size) // QUARTER)
    wider = np.array([1.0 if f is None else f.widening for f in found])
    with np.errstate(invalid="ignore"):
        return outside & (np.abs(band.estimate) > wider * (band.high - band.low) / 2)


def error(p, runs):
    """Monte Carlo standard error of a share."""
    return np.sqrt(max(p * (1 - p), 1 / runs) / runs)


def false_alarms(runs):
    """Shares of runs with a false verdict at any of the looks, and widths."""
    print(f"False verdicts in any of 104 weekly looks, share of {runs} runs (Monte Carlo error in brackets)")
    names = ("naive", "naive quarters", "by own close", "published", "weeks", "quarters", "strict", "betting")
    print("shock     first week  " + "  ".join(f"{n:15}" for n in names))
    widths = {}
    cells = [(0.0, False), (0.15, False), (0.3, False), (0.3, True)]
    for new_quarter in (1.0, 4.0, 8.5):
        for shock, skewed in cells:
            world, rng = World(shock, skewed, new_quarter), np.random.default_rng(1)
            hits, wide = {}, []
            for run in range(runs):
                x, z, by_close, n_close = history(rng, world)
                found = bands(x, z) if run < runs // 20 else _quick(x, z)
                found["published"] = published(x, z)
                kept = n_close > 0
                found["by own close"] = sequences.asymptotic(by_close[kept], n_close[kept])
                for name, band in found.items():
                    hits.setdefault(name, []).append(told(band).any())
                at = np.array(LOOKS) - 1
                wide.append([_wider(found, *pair)[at] for pair in PAIRS])
            said = [f"{np.mean(hits[k]):.4f} ({error(np.mean(hits[k]), len(hits[k])):.4f})" for k in names]
            label = f"{shock:.2f}{' skew' if skewed else '     '}"
            print(f"{label} {new_quarter:9.1f}   {'  '.join(said)}", flush=True)
            widths[new_quarter, shock, skewed] = np.median(wide, axis=0)
    said = " | ".join(f"{a} / {b}" for a, b in PAIRS)
    print(f"\nMedian ratio of widths at looks {LOOKS}: {said}")
    for (new_quarter, shock, skewed), w in widths.items():
        rows = [" ".join(f"{v:6.2f}" for v in row) for row in w]
        print(f"{shock:.2f}{' skew' if skewed else '     '} {new_quarter:9.1f}   {' | '.join(rows)}")


def alike(runs):
    """Shares of runs with a false verdict where quarters resemble their neighbours, before and after the doubt."""
    print(f"\nQuarters that resemble their neighbours: false verdicts in any look, share of {runs} runs")
    print("AR(1)  shock  first week  quarters          if they stand")
    for similar in (0.0, 0.5, 0.8):
        for shock, new_quarter in ((0.15, 4.0), (0.3, 1.0), (0.3, 4.0), (0.6, 4.0)):
            world = World(shock, new_quarter=new_quarter, alike=similar)
            rng, hits = np.random.default_rng(3), []
            for _ in range(runs):
                x, z, *_ = history(rng, world)
                band = sequences.over_blocks(x, z, np.arange(WEEKS) // QUARTER)
                hits.append((told(band).any(), standing(x, z, band).any()))
            said = [f"{p:.4f} ({error(p, runs):.4f})" for p in np.mean(hits, axis=0)]
            print(f"{similar:5.1f}  {shock:5.2f}  {new_quarter:10.1f}  {'   '.join(said)}", flush=True)


PAIRS = (("weeks", "naive"), ("quarters", "naive quarters"), ("quarters", "naive"))


def _wider(found, one, other):
    """Ratio of widths; infinite where the first has no interval yet."""
    a, b = (found[k].high - found[k].low for k in (one, other))
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(a), a / b, np.inf)


def _quick(x, z):
    """All but the two for bounded means, which take a root for each look."""
    quarter = np.arange(x.size) // QUARTER
    return {
        "naive": sequences.fixed_time(x, z),
        "naive quarters": sequences.fixed_time(x, z, quarter),
        "weeks": sequences.asymptotic(x, z),
        "quarters": sequences.over_blocks(x, z, quarter),
    }


def power(runs):
    """Cohorts until a true difference is told, and the share of runs in which it is told within 104."""
    print(
        "\nTrue difference: share told within 104 weekly cohorts, and the median cohort at which (weeks | quarters | quarters, "
        "if they stand)"
    )
    for shock in (0.0, 0.15, 0.3):
        for difference in (0.01, 0.02, 0.03, 0.05):
            world, rng = replace(World(shock), difference=difference), np.random.default_rng(2)
            first = {"weeks": [], "quarters": [], "if they stand": []}
            for _ in range(runs):
                x, z, *_ = history(rng, world)
                found = _quick(x, z)
                outside = {name: told(found[name]) for name in ("weeks", "quarters")}
                outside["if they stand"] = standing(x, z, found["quarters"])
                for name, calls in outside.items():
                    calls = calls & (found["weeks"].estimate < 0)
                    first[name].append(np.argmax(calls) + 1 if calls.any() else np.inf)
            said = [f"{np.mean(np.isfinite(f)):.2f} at {np.median(f):g}" for f in first.values()]
            print(f"shock {shock:.2f}  difference {difference:.2f}   {' | '.join(said)}", flush=True)


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    false_alarms(count)
    alike(count)
    power(max(count // 4, 50))
