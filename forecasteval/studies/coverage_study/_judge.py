"""One run, judged as `fe.compare` judges it, and what many runs say about the interval."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from forecasteval.compare.pair import Biases, pair_of
from forecasteval.inference import few_clusters, jackknife
from forecasteval.inference.grouping import Grouping, added
from forecasteval.inference.limits import LIMITS, few_effective_deals, few_events
from forecasteval.inference.questions import needed
from forecasteval.scores.probability import METRICS, Floats
from forecasteval.studies.coverage_study._goals import LEVEL
from forecasteval.studies.coverage_study._pilots import Pilot, Question

NOUNS = {"rep": "reps", "period": "periods", "account": "accounts"}
# what is kept of each run
COLUMNS = ("truth", "estimate", "se", "low", "high", "plain_low", "plain_high", "possible", "reliable")
# a cell that was run by another method is run again
METHOD = [few_clusters.SKEW_GAIN, few_clusters.LEAN_GAIN, few_clusters.LONGEST_ARM, asdict(LIMITS)]


def judge(pilot: Pilot, metric: str, questions: Iterable[Question]) -> dict[Question, Floats]:
    """One pilot under one metric, with the plain interval beside: by question an array in the order of COLUMNS."""
    deals = pilot.deals
    groups = Grouping.of(pilot.rep, pilot.period, pilot.account, pilot.unit, deals.won.size)
    questions = tuple(questions)
    dimensions = tuple(dict.fromkeys(d for q in questions for d in needed(q)))
    units = any("deal" in q for q in questions)
    won = deals.won if pilot.unit is None else deals.won[np.unique(pilot.unit, return_index=True)[1]]
    wins = int(won.sum())
    nothing = np.array([math.nan] * 7 + [0.0, 0.0])
    if wins in (0, won.size):
        return dict.fromkeys(questions, nothing)
    biases = Biases.of(deals, groups)
    pair = pair_of(METRICS[metric], deals, groups, dimensions, units=units, biases=biases)
    difference, few = pair.difference, few_events(wins, int(won.size) - wins)
    weight = deals.amount if METRICS[metric].needs else None
    if weight is not None:
        of_deal = weight if pilot.unit is None else added(pilot.unit, weight)
        enough, doubt = few_effective_deals(of_deal, "amount")
        few += doubt
    else:
        enough = True
    found = {}
    for question in questions:
        possible, doubts = difference.doubts(question, NOUNS)
        row = nothing.copy()
        row[0], row[1] = pilot.truth.get((metric, question), math.nan), difference.value
        if possible and enough:
            spread = difference.spread(question)
            ours = few_clusters.interval(difference.value, spread, LEVEL)
            plain = jackknife.t_interval(difference.value, spread, LEVEL)
            row[2:] = spread.se, ours.low, ours.high, plain.low, plain.high, 1.0, not doubts + few
        found[question] = row
    return found


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

    def outside(which: NDArray[np.bool_], kind: str = "") -> tuple[float, float]:
        """Shares of intervals wholly below and wholly above the truth."""
        if not which.any():
            return math.nan, math.nan
        low, high, truth = (runs[k][which] for k in (f"{kind}low", f"{kind}high", "truth"))
        return float((high < truth).mean()), float((low > truth).mean())

    below, above = outside(reliable)
    plain = outside(possible & np.isfinite(runs["plain_low"]), "plain_")
    n, coverage = int(reliable.sum()), 1 - below - above
    error = runs["estimate"] - runs["truth"]
    spread = possible & (runs["se"] > 0)
    width = width_plain = math.nan
    if n and spread.sum() > 20:
        ideal = float(np.quantile(np.abs(error[spread]) / runs["se"][spread], LEVEL))
        oracle = 2 * float(error[spread].std()) * ideal
        width = float(np.median((runs["high"] - runs["low"])[reliable])) / oracle
        width_plain = float(np.median((runs["plain_high"] - runs["plain_low"])[reliable])) / oracle
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
        "coverage_all": 1 - sum(outside(possible & formed)),
        "coverage_plain": 1 - sum(plain),
        "width_plain": width_plain,
    }
