"""One run, judged as `fe.compare` judges it, and what many runs say about the interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from forecasteval.compare.pair import Pair, Sums, biases_of, pair_of
from forecasteval.inference import few_clusters
from forecasteval.inference.grouping import Grouping, added
from forecasteval.inference.jackknife import t_quantile
from forecasteval.inference.limits import LIMITS, Weights, few_effective_deals, few_events
from forecasteval.inference.questions import needed
from forecasteval.scores.probability import METRICS, Deals, Floats, Metric
from forecasteval.studies.coverage_study._goals import LEVEL
from forecasteval.studies.coverage_study._others import OTHERS, halves
from forecasteval.studies.coverage_study._pilots import Pilot, Question

_NOUNS = {"rep": "reps", "period": "periods", "account": "accounts"}
# what is kept of each run; the names of the other intervals hold half their widths
COLUMNS = ("truth", "estimate", "se", "low", "high", *OTHERS, "possible", "reliable")
_DETECTED = 0.8  # the share of runs in which CR3J finds the difference at which power is told
# a cell that was run by another method is run again
METHOD = [few_clusters.TAIL, few_clusters.LONGEST_ARM, asdict(LIMITS)]


def judge(pilot: Pilot, metric: str, questions: Iterable[Question]) -> dict[Question, Floats]:
    """One pilot under one metric, with the plain interval beside: by question an array in the order of COLUMNS."""
    deals = pilot.deals
    groups = Grouping.of(pilot.rep, pilot.period, pilot.account, pilot.unit, deals.won.size)
    questions = tuple(questions)
    dimensions = tuple(dict.fromkeys(d for q in questions for d in needed(q)))
    units = any("deal" in q for q in questions)
    won = deals.won if pilot.unit is None else deals.won[np.unique(pilot.unit, return_index=True)[1]]
    wins = int(won.sum())
    nothing = np.array([math.nan] * (len(COLUMNS) - 2) + [0.0, 0.0])
    if wins in (0, won.size):
        return dict.fromkeys(questions, nothing)
    biases = biases_of(deals, groups)
    pair = pair_of(METRICS[metric], deals, groups, dimensions, units=units, biases=biases)
    difference, few = pair.difference, few_events(wins, int(won.size) - wins)
    weight = deals.amount if METRICS[metric].needs else None
    if weight is not None:
        of_deal = weight if pilot.unit is None else added(pilot.unit, weight)
        enough, doubt = few_effective_deals(Weights.of(of_deal), "amount")
        few += doubt
    else:
        enough = True
    found = {}
    for question in questions:
        possible, doubts = difference.doubts(question, _NOUNS)
        row = dict(zip(COLUMNS, nothing, strict=True))
        row |= {"truth": pilot.truth.get((metric, question), math.nan), "estimate": difference.value}
        if possible and enough:
            spread = difference.spread(question)
            ours = few_clusters.interval(difference.value, spread, LEVEL)
            row |= {"se": spread.se, "low": ours.low, "high": ours.high}
            row |= {"possible": 1.0, "reliable": float(not doubts + few)}
            if len(question) == 1 and question != ("deal",) and spread.se > 0:
                effects = _effects(METRICS[metric], deals, groups, question[0], pair)
                row |= halves(difference.value, difference.over[question[0]], effects)
            else:  # published for one dimension only
                row["cr3j"] = t_quantile(0.5 + LEVEL / 2, spread.df) * spread.se
        found[question] = np.array([row[c] for c in COLUMNS])
    return found


def _effects(
    metric: Metric, deals: Deals, groups: Grouping, dimension: str, pair: Pair
) -> tuple[Floats, float, float] | None:
    """Rows of each cluster, variance between clusters and by chance; None for what counts pairs, and for a skill."""
    if metric.terms is None or metric.is_skill or pair.kept is None:
        return None
    sums = Sums.of(metric.terms(deals), groups)
    weights = (1.0, -1.0, -pair.difference.value)
    between, chance = sums.between(dimension, groups.member[dimension], weights)
    return sums.units[dimension][pair.kept[dimension]], between, chance


def summary(rows: Floats, *, verdict: bool = True) -> dict[str, float]:
    """What many runs of one cell, metric and question say about the interval.

    The oracle's width is 2 sd(R - truth) q with q the .95 quantile of |R - truth| / SE: the true standard error
    with the ideal quantile of the same statistic. Where a metric has a verdict and the truth is exactly 0, any
    "better" is a false one.
    """
    runs = dict(zip(COLUMNS, rows.T, strict=True))
    possible = runs["possible"] == 1
    formed = np.isfinite(runs["low"])
    reliable = (runs["reliable"] == 1) & formed

    error = runs["estimate"] - runs["truth"]

    def outside(which: NDArray[np.bool_], low: Floats, high: Floats) -> tuple[float, float]:
        """Shares of intervals wholly below and wholly above the truth."""
        if not which.any():
            return math.nan, math.nan
        truth = runs["truth"][which]
        return float((high[which] < truth).mean()), float((low[which] > truth).mean())

    below, above = outside(reliable, runs["low"], runs["high"])
    n, coverage = int(reliable.sum()), 1 - below - above
    spread = possible & (runs["se"] > 0)
    width = math.nan
    if n and spread.sum() > 20:
        ideal = float(np.quantile(np.abs(error[spread]) / runs["se"][spread], LEVEL))
        oracle = 2 * float(error[spread].std()) * ideal
        width = float(np.median((runs["high"] - runs["low"])[reliable])) / oracle
    decided = reliable & ((runs["low"] > 0) | (runs["high"] < 0))
    return {
        "runs": float(rows.shape[0]),
        "possible": float(possible.mean()),
        "flagged": float(1 - reliable.mean()),
        "coverage": coverage,
        "mc_error": math.sqrt(max(coverage * (1 - coverage), 0) / n) if n else math.nan,
        "below": below,
        "above": above,
        "width": width,
        "false_better": float(decided.sum() / n) if verdict and n and not runs["truth"].any() else math.nan,
        "coverage_all": 1 - sum(outside(possible & formed, runs["low"], runs["high"])),
        **_beside(runs, possible, reliable, error, outside),
    }


def _beside(
    runs: dict[str, Floats],
    possible: NDArray[np.bool_],
    reliable: NDArray[np.bool_],
    error: Floats,
    outside: Callable[[NDArray[np.bool_], Floats, Floats], tuple[float, float]],
) -> dict[str, float]:
    """Coverage of the other intervals, and the power of each where the plain jackknife has 80%.

    Power is told at the true difference at which CR3J lies wholly on its side of 0 in 80% of the reliable runs, on either
    side: ``power_above`` where the difference is above 0, ``power_below`` where it is below.
    """
    arms = {"": (runs["estimate"] - runs["low"], runs["high"] - runs["estimate"])}
    arms |= {f"_{name}": (runs[name], runs[name]) for name in OTHERS}
    found = {}
    for name in OTHERS:
        known = possible & np.isfinite(runs[name])
        found[f"coverage_{name}"] = 1 - sum(
            outside(known, runs["estimate"] - runs[name], runs["estimate"] + runs[name])
        )
    told = reliable & np.isfinite(runs["cr3j"])
    if told.sum() < 20:
        return found
    e, plain = error[told], runs["cr3j"][told]
    needed = np.quantile(plain - e, _DETECTED), np.quantile(plain + e, _DETECTED)
    for name, (down, up) in arms.items():
        if np.isfinite(down[told]).all():
            found[f"power_above{name}"] = float((e + needed[0] > down[told]).mean())
            found[f"power_below{name}"] = float((needed[1] - e > up[told]).mean())
    return found
