"""Does a planned pilot find what it was planned to find? python tests/benchmarks/planning_against_simulation.py [runs].

Pilots are drawn from known components, judged by the package's own intervals, and the share in which the
better forecaster is found is set beside the power that was predicted. Twice: with normal effects, at the
difference that the plan calls just detectable and at half of it; and with deals that are won or lost, through
`fe.compare`, where no component is normal.
"""

import sys

import numpy as np
import pandas as pd

import forecasteval as fe
from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as intervals
from forecasteval.inference import power
from forecasteval.inference.power import Design
from forecasteval.inference.variance_components import Components

# reps, periods, deals per rep and period, sd of log sizes, components, question
NEW_REPS, BOTH = ("rep",), ("rep", "period")
CELLS = [
    (5, 2, 30, 0.0, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (8, 2, 20, 0.0, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (20, 4, 15, 0.0, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (12, 4, 15, 0.5, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (8, 4, 15, 0.8, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (20, 4, 15, 0.8, Components(0.03, 0.01, 0.01, 0.2), NEW_REPS),
    (12, 8, 10, 0.5, Components(0.02, 0.02, 0.01, 0.2), ("period",)),
    (8, 8, 10, 0.0, Components(0.03, 0.01, 0.01, 0.2), BOTH),
    (20, 6, 10, 0.0, Components(0.02, 0.02, 0.02, 0.2), BOTH),
    (20, 8, 10, 0.5, Components(0.03, 0.01, 0.03, 0.2), BOTH),
    (40, 8, 10, 0.8, Components(0.03, 0.02, 0.01, 0.2), BOTH),
    (12, 4, 10, 0.5, Components(0.03, 0.01, 0.01, 0.2), ("deal",)),
]


def spread(x, z, question):
    """The package's spread for cells of shape (reps, periods)."""
    ratio = x.sum() / z.sum()

    def over(x, z, name):
        se = intervals.cr3j(ratio, intervals.leave_one_out(x, z))
        return intervals.Spread(se, intervals.bell_mccaffrey_df(z / z.sum()), name)

    rep = over(x.sum(1), z.sum(1), "rep")
    if question == NEW_REPS:
        return rep
    period = over(x.sum(0), z.sum(0), "period")
    if question == ("period",):
        return period
    cells = over(x.ravel(), z.ravel(), "cell")
    return intervals.largest(rep, period, intervals.two_way(rep, period, cells))


def normal_pilots(design, c, question, differences, runs, seed):
    """Share of pilots whose interval lies above 0, for each true difference; effects are normal."""
    rng = np.random.default_rng(seed)
    n = np.outer(design.share, np.full(design.periods, 1 / design.periods)) * design.rows
    found = np.zeros(len(differences))
    for _ in range(runs):
        fixed = "deal" in question
        mean = rng.normal(0, c.deal, n.shape) / np.sqrt(n)
        inner = rng.normal(0, c.rep_period, n.shape)
        rep, period = rng.normal(0, c.rep, (design.reps, 1)), rng.normal(0, c.period, (1, design.periods))
        drawn = {"rep": rep + inner, "period": period + inner, "rep period": rep + period + inner}
        if fixed:  # the strata and what happened in them stay; their mean is the question's own
            stays = rep + period + inner
            pilot = mean + stays - (stays * n).sum() / n.sum()
            m = np.maximum(n.sum(1).round().astype(int), 2)
            between = ((pilot - (pilot * n).sum(1, keepdims=True) / n.sum(1, keepdims=True)) ** 2 * n).sum(1)
            within = c.deal**2 * rng.chisquare(m - design.periods)
            v = m / (m - 1) * (within + between)
            taken = intervals.Spread(
                np.sqrt(v.sum()) / m.sum(), v.sum() ** 2 / (v**2 / (m - 1)).sum(), "deal"
            )
        else:
            pilot = mean + drawn[" ".join(question)]
            taken = spread(pilot * n, n, question)
        ratio = (pilot * n).sum() / n.sum()
        for i, difference in enumerate(differences):
            found[i] += caution.interval(ratio + difference, taken).low > 0
    return found / runs


# Deals that are won or lost. The model knows each deal's chance; a rep's probability is off by an optimism of
# the rep's own and by a slip of either sign; what is won swings by period and within reps.
OPTIMISM, SWING = 0.08, 0.05


def deals_of(design, slip, differs, between, rng):
    """A matched table of one pilot; `between` is the swing from period to period."""
    n = np.maximum((design.share * design.rows / design.periods).round().astype(int), 1)
    rep = np.tile(np.repeat(np.arange(design.reps), n), design.periods)
    period = np.repeat(np.arange(design.periods), n.sum())
    optimism = rng.normal(OPTIMISM, differs, design.reps)
    swing = rng.normal(0, between, (1, design.periods)) + rng.normal(0, SWING, (design.reps, design.periods))
    chance = rng.uniform(0.25, 0.6, rep.size)
    said = chance + optimism[rep] + rng.choice((-slip, slip), rep.size)
    won = rng.random(rep.size) < chance + swing[rep, period]
    return pd.DataFrame(
        {
            "deal_id": np.arange(rep.size),
            "rep": rep,
            "period": period,
            "won": won.astype(int),
            "model": chance,
            "rep_forecast": said.clip(0, 1),
        }
    )


def components_of(slip, differs, between, reps=2000):
    """The exact mean difference and components of these deals (but for the spread of single deals: drawn)."""
    o, s, v = OPTIMISM, differs, SWING
    rep = np.sqrt(4 * o**2 * s**2 + 2 * s**4)
    period, inner = 2 * o * between, 2 * np.sqrt((o**2 + s**2) * v**2 + s**2 * between**2)
    rng = np.random.default_rng(0)
    many = deals_of(Design(reps, 50, 10, uneven=0.0), slip, differs, between, rng)
    d = (many["model"] - many["won"]) ** 2 - (many["rep_forecast"] - many["won"]) ** 2
    deal = np.sqrt(d.var() - rep**2 - period**2 - inner**2)
    return o**2 + s**2 + slip**2, Components(rep, period, inner, float(deal))


DEALS = [  # reps, periods, deals per rep and period, sd of log sizes, slip, how optimism differs (SD), question
    (5, 2, 40, 0.0, 0.1, 0.03, NEW_REPS),
    (8, 2, 30, 0.0, 0.1, 0.03, NEW_REPS),
    (12, 4, 15, 0.5, 0.08, 0.03, NEW_REPS),
    (20, 4, 12, 0.8, 0.05, 0.03, NEW_REPS),
    (8, 8, 15, 0.0, 0.1, 0.03, BOTH),
    (20, 6, 12, 0.5, 0.05, 0.03, BOTH),
    (40, 8, 10, 0.5, 0.02, 0.03, BOTH),
    # a wide spread of optimism makes the reps' effects skewed, for they grow with its square
    (5, 2, 40, 0.0, 0.1, 0.06, NEW_REPS),
    (20, 4, 12, 0.8, 0.05, 0.06, NEW_REPS),
    (8, 8, 15, 0.0, 0.1, 0.06, BOTH),
    (20, 8, 12, 0.8, 0.05, 0.06, BOTH),
]


def line(design, question, power, found, runs, about):
    """One line of the table: predicted, found, and their distance in Monte Carlo errors."""
    error = np.sqrt(max(power * (1 - power), 1 / runs) / runs)
    distance = (found - power) / error
    print(
        f"{about:8} {'+'.join(question):10} {design.reps:4d} {design.periods:7d} {design.deals:5.0f} {design.uneven:6.1f}"
        f"   {power:9.3f} {found:6.3f} {error:6.3f} {distance:+6.1f}",
        flush=True,
    )
    return abs(distance)


def main() -> None:
    """Print one line a cell, then how many lie within the Monte Carlo error."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print(
        "effects  question   reps periods deals uneven   predicted  found     MC  found-predicted, in MC errors"
    )
    far = []
    for g, t, n, uneven, c, question in CELLS:
        design = Design(g, t, n, uneven=uneven)
        plan = power.expected(design, c, question)
        differences = [plan.detectable(), plan.detectable() / 2]
        found = normal_pilots(design, c, question, differences, runs, seed=1)
        far += [
            line(design, question, plan.power(d), f, runs, "normal")
            for d, f in zip(differences, found, strict=True)
        ]
    for g, t, n, uneven, slip, differs, question in DEALS:
        design = Design(g, t, n, uneven=uneven)
        between = (
            SWING if question == BOTH else 0.0
        )  # where quarters are not drawn anew their swing is no chance
        difference, c = components_of(slip, differs, between)
        plan = power.expected(design, c, question)
        rng = np.random.default_rng(2)
        drawn = (deals_of(design, slip, differs, between, rng) for _ in range(runs // 2))
        verdicts = [
            fe.compare(d, "model", "rep_forecast", metrics=["brier"], generalise_to=question).verdict
            for d in drawn
        ]
        found = verdicts.count("candidate better") / len(verdicts)
        far.append(
            line(
                design,
                question,
                plan.power(difference),
                found,
                runs // 2,
                "skewed" if differs > 0.05 else "won/lost",
            )
        )
    print(
        f"{sum(f <= 2 for f in far)} of {len(far)} within 2 Monte Carlo errors, {sum(f <= 3 for f in far)} within 3"
    )


if __name__ == "__main__":
    main()
