"""Do a rep's intervals hold for the one who is read? python tests/benchmarks/bias_of_the_extreme_rep.py [runs].

Pilots of 6, 20 and 60 reps with 5-100 deals each (log-uniform), biases normal, exponential, of a rare kind or t3, chances
to win common, rare or different by rep. `shown`: the rep whose shrunken bias lies furthest from 0; `from all`: furthest
from the typical rep; `truly`: the rep who truly strays most, seen or not. Beside ours: pooling alone (Morris 1983).
"""

import sys

import numpy as np
import pandas as pd

from forecasteval.compare import rep_bias as pooling

LAWS = {
    "normal": lambda rng, k: rng.normal(size=k),
    "exponential": lambda rng, k: rng.exponential(size=k) - 1,
    "rare kind": lambda rng, k: 3 * (rng.random(k) < 0.1) - 0.3 + 0.2 * rng.normal(size=k),
    "t3": lambda rng, k: rng.standard_t(3, k) / 3**0.5,
}
CHANCES = {"common": (0.25, 0.75), "rare": (0.03, 0.2), "by rep": None}


def pilot(rng, reps, law, sd, chances="common", mean=0.05):
    """A matched table and the mean bias of each rep in it."""
    size = np.exp(rng.uniform(np.log(5), np.log(101), reps)).astype(int)
    rep = np.repeat(np.arange(reps), size)
    low, high = CHANCES[chances] or (0.0, 1.0)
    chance = rng.uniform(low, high, rep.size)
    if CHANCES[chances] is None:
        chance = np.clip(rng.uniform(0.05, 0.6, reps)[rep] + rng.uniform(-0.05, 0.05, rep.size), 0.01, 0.99)
    off = mean + sd * LAWS[law](rng, reps)[rep]
    said = np.clip(chance + off, 0, 1)
    truth = np.bincount(rep, said - chance) / size
    won = (rng.random(rep.size) < chance).astype(int)
    return pd.DataFrame({"deal_id": range(rep.size), "rep": rep, "won": won, "p": said}), truth


def pooled_only(table):
    """The interval of pooling alone, from what the table shows."""
    y, v = table["own"], table["v"]
    b = pooling.between(y, v)
    k, tau2 = y.size, b.tau.value**2
    pulled = (k - 3) / (k - 1) * v / (v + tau2)
    weight = 1 / (v + tau2)
    typical = (weight * v).sum() / weight.sum()
    away = y - b.mean.value
    unknown = 2 / (k - 3) * np.square(pulled * away) * (typical + tau2) / (v + tau2)
    half = 1.96 * np.sqrt(v * (1 - pulled) + np.square(pulled * b.mean.se) + unknown)
    return table["shrunken"] - half, table["shrunken"] + half


def one(rng, *world):
    """Held or not, and width, of ours and of pooling alone, for each way to choose a rep and for all."""
    table, truth = pilot(rng, *world)
    found = pooling.rep_bias(table, "p", show_names=True, least=0)
    t = found.table
    truth = truth[t["name"].astype(int)]
    rows = table.assign(off=table["p"] - table["won"])
    own = rows.groupby("rep")["off"].mean().reindex(t["name"].astype(int)).to_numpy()
    units = rows.rename(columns={"off": "sum"}).assign(rep=table["rep"], size=1)
    bias, n = rows.groupby("rep")["off"].mean(), table.groupby("rep").size()
    v = pooling._by_chance(units, bias, n).reindex(t["name"].astype(int)).to_numpy()
    chosen = {
        "shown": int(t["shrunken"].abs().argmax()),
        "from all": int((t["shrunken"] - found.mean.value).abs().argmax()),
        "truly": int(np.abs(truth - truth.mean()).argmax()),
    }
    out = {}
    for who, (low, high) in {
        "ours": (t["low"], t["high"]),
        "pooled": pooled_only(t.assign(own=own, v=v)),
    }.items():
        held, wide = ((low <= truth) & (truth <= high)).to_numpy(), (high - low).to_numpy()
        out |= {(who, k): held[i] for k, i in chosen.items()}
        out |= {
            (who, "average"): held.mean(),
            (who, "width"): wide.mean(),
            (who, "width shown"): wide[chosen["shown"]],
        }
    return out


def main(runs):
    """The table; its Monte Carlo error is (p (1 - p) / runs)^.5."""
    rows = []
    for law in LAWS:
        for chances in CHANCES:
            for sd in (0.0, 0.05, 0.12) if law == "normal" else (0.05, 0.12):
                for reps in (6, 20, 60):
                    rng = np.random.default_rng([7, len(rows)])
                    found = pd.DataFrame([one(rng, reps, law, sd, chances) for _ in range(runs)]).mean()
                    rows.append({"law": law, "wins": chances, "sd": sd, "reps": reps} | found.to_dict())
    table = pd.DataFrame(rows)
    table.columns = [c if isinstance(c, str) else f"{c[0]} {c[1]}" for c in table.columns]
    print(table.round(3).to_string(index=False))
    kept = table[[c for c in table if c.startswith(("ours", "pooled"))]]
    print(pd.DataFrame({"worst": kept.min(), "mean": kept.mean()}).round(3).to_string())
    print(f"{runs} pilots a row; Monte Carlo error of a share at .93: {(0.93 * 0.07 / runs) ** 0.5:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
