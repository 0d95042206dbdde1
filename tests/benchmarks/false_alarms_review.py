"""How many rows the pipeline review lists in normal life: python tests/benchmarks/false_alarms_review.py [RUNS]

Counts by unit and week in which nothing happens but what always happens; 0.25 and 1 rows a review are asked for. `found` is the
share of runs in which a unit of usual size that falls to 40% for four weeks is listed at 0.5. The deals' signals (gone quiet, pushed
again) are counted in the same way in histories of deals that come, are worked on, pushed and closed; `found` is then an open deal
that falls silent for 80 days, ten of the usual gaps.
"""

import sys

import numpy as np
import pandas as pd

from forecasteval.inference.unusual import falls, per_review
from forecasteval.studies.pipeline_review._signals import signals
from forecasteval.tables.organisation import Org

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


def with_error(rows):
    """The mean of each column with its simulation error."""
    mean, error = np.mean(rows, axis=0), 1.96 * np.std(rows, axis=0) / np.sqrt(len(rows))
    return [f"{m:.2f} (+-{e:.2f})" for m, e in zip(mean, error, strict=True)]


DEALS = ("plain", "paces differ", "bursts", "growth", "slowing down", "holidays", "quarter ends", "all of it")
DAY = pd.Timestamp("2026-01-10")
_BEFORE = 600  # days of deals before the record begins


def normal_deals(rng, open_at_once, days, life):
    """Histories of deals: each lives some months, something is entered at its own pace, and its close date is pushed at times.

    The record begins on day 0, with the deals that are open then.
    """
    every = life == "all of it"
    n = int(open_at_once * (days + _BEFORE) / 120)
    born = rng.uniform(0, 1, n) ** (0.6 if life == "growth" or every else 1.0) * (days + _BEFORE) - _BEFORE
    ends = born + rng.gamma(2, 60, n)
    pace = rng.gamma(2, 4, n) if life in ("paces differ", "bursts") or every else np.full(n, 8.0)
    at, deal = [born], [np.arange(n)]
    when, left = born.copy(), np.arange(n)
    while len(left):
        gap = rng.exponential(pace[left])
        if life == "bursts" or every:
            gap = gap * rng.choice([0.2, 3.0], len(left), p=[0.7, 0.3])
        if life == "slowing down" or every:
            gap = gap * (1 + (when[left] - born[left]) / 120)
        when[left] += gap
        if life == "holidays" or every:  # a fortnight at the end of each year, and three weeks of August
            of_year = (when[left] + DAY.day_of_year - days) % 365
            when[left] += np.where(
                of_year > 351, 365 - of_year, np.where((of_year > 213) & (of_year < 234), 234 - of_year, 0)
            )
        left = left[(when[left] < ends[left]) & (when[left] < days)]
        at.append(when[left].copy())
        deal.append(left)
    t = pd.DataFrame({"deal": np.concatenate(deal), "at": np.concatenate(at)})
    pushed = rng.uniform(size=len(t)) < (
        rng.beta(1, 9, n)[t["deal"]] if life == "paces differ" or every else 0.1
    )
    if life == "quarter ends" or every:
        pushed = pushed | ((t["at"] % 91 > 77) & (rng.uniform(size=len(t)) < 0.3))
    t["by"] = np.where(pushed & (t["at"] > born[t["deal"]]), rng.integers(7, 60, len(t)), 0)
    closed = pd.DataFrame(
        {"deal": np.arange(n), "at": ends, "by": 0, "status": rng.choice(["won", "lost"], n)}
    )
    t = pd.concat([t.assign(status="open"), closed[closed["at"] < days]]).sort_values(
        ["deal", "at"], ignore_index=True
    )
    t["close"] = born[t["deal"]] + 90 + t.groupby("deal")["by"].cumsum()
    t = t[
        t["at"].groupby(t["deal"]).shift(-1, fill_value=np.inf).gt(0)
    ]  # the state on day 0, and what came after
    t = t.assign(at=t["at"].clip(lower=0.0))
    return t[~((t["at"] == 0) & (t["status"] != "open"))]


def review_of(t, days):
    """The deals' signals on the last day, as the notebook works them out."""
    first = DAY - pd.Timedelta(days=days)
    start = (first + pd.to_timedelta(t["at"], unit="D")).dt.floor("us")
    until = start.groupby(t["deal"]).shift(-1).mask(t["status"] != "open")
    ids = t["deal"].map("D{}".format)
    history = pd.DataFrame(
        {"deal_id": ids, "valid_from": start, "valid_to": until, "status": t["status"], "amount": 1e4, "rep": "r",
         "close_on": (first + pd.to_timedelta(t["close"], unit="D")).dt.floor("D"), "values_state": "known"}
    )  # fmt: skip
    ended = start.dt.floor("D").where(t["status"] != "open")
    deals = pd.DataFrame({"deal_id": ids, "created_on": start.dt.floor("D"), "closed_on": ended})
    deals = deals.groupby("deal_id", as_index=False).agg({"created_on": "min", "closed_on": "max"})
    found = signals(Org("simulated", None, deals=deals, history=history), DAY, None)
    return {s.kind: s for s in found if s.kind in ("quiet", "pushed")}


def main_of_deals(runs):
    """The same for deals."""
    for days in (450, 900):
        for life in DEALS:
            said = []
            for units in (20, 60, 300):
                rng, rows, found = np.random.default_rng([units, days]), [], 0
                for _ in range(runs):
                    t = normal_deals(rng, units, days, life)
                    each = review_of(t, days)
                    rows.append([(s.units["rate"] <= f).sum() for s in each.values() for f in (0.25, 1)])
                    last = t.groupby("deal").agg(
                        status=("status", "last"), at=("at", "last"), entries=("at", "size")
                    )
                    busy = last[(last["status"] == "open") & (last["at"] > days - 30)]["entries"].idxmax()
                    quiet = t[(t["deal"] != busy) | (t["at"] < days - 80)]
                    found += review_of(quiet, days)["quiet"].units["rate"].get(f"D{busy}", np.inf) <= 0.5
                told = with_error(rows)
                said.append(
                    f"{units}: quiet {told[0]}, {told[1]}; pushed {told[2]}, {told[3]}; found {found / runs:.0%}"
                )
            print(f"{days} days of deals, {life}: open at once {' | '.join(said)}", flush=True)


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
                said.append(f"{units}: {', '.join(with_error(rows))}, found {found / runs:.0%}")
            print(f"{weeks} weeks, {life}: units {'; '.join(said)}", flush=True)


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    main_of_deals(asked // 5)
    main(asked)
