"""How often a claim is judged wrongly: pilots with a planted truth through the door of the notebook vendor_claim.

    python tests/benchmarks/claims_judged_wrongly.py [runs] [reps ...]

Every kind of claim is made at its hardest: exactly what is true of the population that the pilots are drawn from. As "at least
that much" it is true, and *contradicted* is wrong; "more than that" is false, and *supported* is wrong. A claim further from the
truth is judged wrongly less often. At most 5% of the pilots each. The kind "better at all" has a vendor who is as good as the reps.
Reps differ in their bias, quarters in their luck, deals in their amount. The door is asked once for each pilot: the interval of
every kind stands in its answer, and the notebook's rule judges it (tests/studies/test_claim_worth.py: as if each were asked for). Halves: how often the sight of scores that nobody acts on is
said to change something. Printed with the Monte Carlo error; seeds are fixed.
"""

import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from forecasteval.studies.vendor_claim._evidence import MEASURES
from forecasteval.studies.vendor_claim._rule import judged
from forecasteval.studies.vendor_claim._totals import TOTALS, nearness
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.tables.organisation import Org

QUARTERS, DEALS = 8, 12
SPREAD = 0.12  # of the errors of either forecaster
BETTER = ("brier", "brier_skill", "log_score", "auc", "called_right", "precision", "lift", "brier_by_amount")
ACCURACY = ("called_right", "auc", "precision", "precision_at_the_top", "lift")
NEAR = (
    "miss_over_actual",
    "all_misses_over_all_booked",
    "smaller_over_larger",
    "forecast_over_actual",
    "within_10_percent",
)
OF_DEALS = [("better", n) for n in BETTER] + [("accuracy", n) for n in ACCURACY]
OF_TOTALS = [("accuracy", n) for n in NEAR] + [("better", n) for n in NEAR[:2]]


def logistic(x):
    return 1 / (1 + np.exp(-x))


def pilot(reps, seed, ahead=0.006, quarters=QUARTERS, deals=DEALS):
    """A pilot in which the vendor's expected Brier score lies about `ahead` below that of the reps."""
    rng = np.random.default_rng(seed)
    rep = np.repeat(np.arange(reps), quarters * deals)
    quarter = np.tile(np.repeat(np.arange(quarters), deals), reps)
    truth = logistic(rng.normal(-0.9, 1.0, rep.size) + rng.normal(0, 0.2, quarters)[quarter])
    won = (rng.random(rep.size) < truth).astype(int)
    own = 0.7 * rng.normal(0, 1, reps)[rep] + math.sqrt(0.51) * rng.normal(0, 1, rep.size)
    theirs = rng.normal(0, 1, rep.size) * math.sqrt(SPREAD**2 - ahead)
    return pd.DataFrame(
        {"deal_id": np.arange(rep.size), "rep": rep, "period": np.array([f"{2000 + q // 4}-Q{q % 4 + 1}" for q in range(quarters)])[quarter],
         "won": won, "amount": rng.lognormal(10, 0.8, rep.size), "segment": np.where(rep % 2, "a", "b"),
         "vendor": (truth + theirs).clip(0, 1), "rep_forecast": (truth + SPREAD * own).clip(0, 1)}
    )  # fmt: skip


def fixed_reps(reps, seed, quarters=QUARTERS):
    """The same with the reps' biases at their quantiles: totals are about the coming quarters of these reps."""
    table = pilot(reps, seed, quarters=quarters)
    bias = ndtri((np.arange(reps) + 0.5) / reps)
    noise = np.random.default_rng(seed + 1_000_000).normal(0, math.sqrt(0.51), len(table))
    truth_like = table["vendor"] + np.random.default_rng(seed + 2_000_000).normal(0, 0.02, len(table))
    return table.assign(rep_forecast=(truth_like + SPREAD * (0.7 * bias[table["rep"]] + noise)).clip(0, 1))


class Door:
    """The notebook's door, asked with a claim to be better."""

    def __init__(self):
        self.claim = Path(tempfile.mkdtemp()) / "claim.yaml"
        self.claim.write_text("sentence: a claim\nsays: better\n")

    def ask(self, table, **parameters):
        """The answer on one pilot."""
        trial = Trial(claim=str(self.claim), candidate="vendor", guard="", **parameters)
        return trial.run(Org("pilot", None, matched=table))


def intervals(answer, kinds):
    """Low, high and whether they may be believed, by kind of claim."""
    found = {}
    for says, name in kinds:
        if name in TOTALS:
            row = answer.by_name.set_index("definition").loc[name]
            ends = ("low", "high") if says == "accuracy" else ("better_low", "better_high")
            low, high = (row[e] for e in ends)
            low, high = (
                nearness(low, high) if says == "accuracy" and TOTALS[name].kind == "ratio" else (low, high)
            )
            found[says, name] = low, high, bool(row["periods"] >= 8 and math.isfinite(low))
        else:
            f = replace(
                next(d for d in answer.definitions if d.measure.name == name), absolute=says == "accuracy"
            )
            found[says, name] = (*f.claimed[1:], bool(f.row["reliable"]))
    return found


def truths(door, reps):
    """What is true of the population, by kind: of 160,000 deals of many reps in many quarters; of totals of 10,000 quarters."""
    found = {}
    many = [door.ask(pilot(100, 9_000 + i, quarters=100, deals=4)) for i in range(4)]
    for says, name in OF_DEALS:
        of = [
            replace(next(d for d in a.definitions if d.measure.name == name), absolute=says == "accuracy")
            for a in many
        ]
        found[says, name] = float(np.mean([f.claimed[0] for f in of]))
    quarters = []
    for i in range(200):
        t = fixed_reps(reps, 8_000 + i, quarters=50)
        by = t.assign(**{n: t[n] * t["amount"] for n in ("vendor", "rep_forecast", "won")}).groupby("period")
        quarters.append(by[["vendor", "rep_forecast", "won"]].sum())
    f, b, a = pd.concat(quarters).to_numpy().T
    for says, name in OF_TOTALS:
        total, gap = TOTALS[name], np.abs(b - a) - np.abs(f - a)
        if says == "better":
            value = gap.sum() / a.sum() if total.kind == "pooled" else (gap / a).mean()
        else:
            value = 1 - np.abs(f - a).sum() / a.sum() if total.kind == "pooled" else total.each(f, a).mean()
            value = 1 - abs(value - 1) if total.kind == "ratio" else value
        found[says, name] = float(value)
    return found


def rate(found, word):
    """A share with its Monte Carlo error."""
    p = found.count(word) / len(found)
    return f"{p:.3f} ±{math.sqrt(p * (1 - p) / len(found)):.3f}"


def main(runs, sizes):
    door = Door()
    print(f"{'claim':<44}{'reps':>5}{'true value':>12}{'false supported':>19}{'true contradicted':>20}")
    for reps in sizes:
        true, found, alike, moved = truths(door, reps), {}, [], []
        for seed in range(runs):
            deals = pilot(reps, seed)
            saw = np.random.default_rng(seed).permutation(reps)[: reps // 2]
            answer = door.ask(deals)
            said = intervals(answer, OF_DEALS) | intervals(door.ask(fixed_reps(reps, seed)), OF_TOTALS)
            for kind, (low, high, reliable) in said.items():
                found.setdefault(kind, []).append(judged(low, high, true[kind], reliable=reliable))
            alike.append(door.ask(pilot(reps, seed, ahead=0.0)).outcome)
            if reps >= 10:
                seen = deals.assign(saw=deals["rep"].isin(saw).astype(int))
                apart = door.ask(seen, exposed="saw").seeing[2].difference
                moved.append("moved" if apart.p_value < 0.05 else "")
        for (says, name), outcomes in found.items():
            words = f"{'better by, ' if says == 'better' else ''}{(MEASURES | TOTALS)[name].label}"
            both = (rate(outcomes, word) for word in ("supported", "contradicted"))
            print(
                f"{words:<44}{reps:>5}{true[says, name]:>12.4f}{next(both):>19}{next(both):>20}", flush=True
            )
        if moved:
            words = "halves: said to move where nothing does"
            print(f"{words:<44}{reps:>5}{0:>12}{rate(moved, 'moved'):>19}", flush=True)
        print(
            f"{'better at all, of one who is as good':<44}{reps:>5}{0:>12}{rate(alike, 'supported'):>19}",
            flush=True,
        )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(given[0] if given else 1000, given[1:] or (6, 20, 60))
