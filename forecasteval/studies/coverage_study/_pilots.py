"""Pilots whose truth is known: reps with biases, quarters with shocks, accounts, amounts, repeated looks.

A deal has log-odds o ~ N(logit(wins), 1) and is won with that probability. The reps say o + v + noise, where v is
what they get wrong: their own bias, the period's shock and the account's. The model shrinks towards the base rate;
in a null cell it is another rep-like forecaster with errors of its own. What a score is worth for a given v is found
by quadrature once, so the truth for these reps in these periods, for new reps and for new periods is a mean of it.
Where reps differ in more than a bias, what is true of new ones is found in a large population of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import CallError
from forecasteval.scores.probability import METRICS, Deals, Floats, auc
from forecasteval.studies.coverage_study.design import Cell, Drawn

Question = tuple[str, ...]
Truth = tuple[str, Question]  # what is true is told by metric and question
_NOISE = 0.5  # sd of a forecast's own error, in log-odds
_SHRINK = 0.8  # of the model towards the base rate
_GRID = np.linspace(-8, 14, 881)
_LOSS = {"brier_by_amount": "brier", "brier_skill": "brier", "bias_by_amount": "bias"}


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-x))


def _law(name: str, rng: np.random.Generator, shape: tuple[int, ...] | int) -> Floats:
    """Biases with mean 0 and standard deviation 1."""
    if name == "normal":
        return rng.normal(size=shape)
    if name == "exponential":
        return rng.exponential(size=shape) - 1
    if name == "t3":
        return rng.standard_t(3, size=shape) / np.sqrt(3)
    if name == "lognormal":
        return (rng.lognormal(0, 0.8, shape) - np.exp(0.32)) / np.sqrt((np.exp(0.64) - 1) * np.exp(0.64))
    return np.where(rng.random(shape) < 0.1, 3.0, -1 / 3)


@cache
def _worth(wins: float, shrink: float) -> dict[str, Floats]:
    """Expected loss of one deal for every error on the grid, by Gauss-Hermite quadrature over deal and noise."""
    base = np.log(wins / (1 - wins))
    at, weight = np.polynomial.hermite_e.hermegauss(31)
    weight = weight / weight.sum()
    o = (base + at)[:, None, None]
    said = shrink * o + (1 - shrink) * base + _NOISE * at[None, :, None] + _GRID
    p, true = _sigmoid(said), _sigmoid(o)
    mass = weight[:, None, None] * weight[None, :, None]
    brier = p * p - 2 * p * true + true
    log = np.logaddexp(0, said) - said * true
    return {
        "brier": (mass * brier).sum((0, 1)),
        "log_score": (mass * log).sum((0, 1)),
        "bias": (mass * (p - true)).sum((0, 1)),
        "won": np.full(_GRID.size, float((weight[:, None, None] * true).sum())),
    }


@cache
def _ahead(wins: float, shrink: float) -> tuple[Floats, Floats]:
    """Chance that a won deal is ranked above a lost one, by how much more its rep overstates."""
    rng = np.random.default_rng(7)
    base = np.log(wins / (1 - wins))
    o = base + rng.normal(size=400_000)
    won = rng.random(o.size) < _sigmoid(o)
    said = shrink * o + _NOISE * rng.normal(size=o.size)
    lost = np.sort(said[~won])
    chosen = said[won][:40_000]
    shift = np.linspace(-14, 14, 141)
    return shift, np.array([np.searchsorted(lost, chosen + s).mean() / lost.size for s in shift])


@dataclass(frozen=True, eq=False)
class Pilot:
    """One simulated pilot: its rows and what is true of it for each thing that may differ next time."""

    deals: Deals
    rep: NDArray[np.int32]
    period: NDArray[np.int32]
    account: NDArray[np.int32] | None
    unit: NDArray[np.int32] | None
    truth: dict[Truth, float]


_STAGES = np.array([0.05, 0.1, 0.25, 0.5, 0.8])  # what stages say, and where one ends
_BETWEEN_STAGES = np.array([0.075, 0.17, 0.35, 0.65])
_SURE = 0.05
_MANY = 3_000_000  # reps with one deal each, of whom one learns what is true of new reps


@dataclass(frozen=True, eq=False)
class _People:
    """What reps and periods are like: biases and shocks of both forecasters, and what only reps have."""

    bias: dict[str, Floats]
    shock: dict[str, Floats]
    noise: Floats | float
    sure: NDArray[np.bool_] | bool


class Simulator:
    """Draws pilots of a cell."""

    def __init__(self, cell: Cell) -> None:
        """Lay out the laws of biases, shocks and accounts."""
        self.cell = cell
        self._shrink = {"candidate": 1.0 if cell.null else _SHRINK, "baseline": 1.0}
        drawn = np.sort(_law(cell.bias, np.random.default_rng(11), 40_000))[20::40] * cell.bias_sd
        at, weight = np.polynomial.hermite_e.hermegauss(21)
        even = np.full(drawn.size, 1 / drawn.size)
        self._laws = {
            "bias": (drawn, even),
            "shock": (cell.shock_sd * at, weight / weight.sum()),
            "account": (cell.account_sd * at, weight / weight.sum()),
        }
        self._curves: dict[tuple[str, str, Question], Floats] = {}

    def _curve(self, which: str, what: str, over: tuple[str, ...]) -> Floats:
        """Expected worth on the grid of errors, averaged over the laws named."""
        if (which, what, over) not in self._curves:
            curve = _worth(self.cell.wins, self._shrink[which])[what]
            for law in over:
                at, weight = self._laws[law]
                if np.ptp(at):
                    curve = np.array([np.interp(_GRID + a, _GRID, curve) for a in at]).T @ weight
            self._curves[which, what, over] = curve
        return self._curves[which, what, over]

    def people(self, rng: np.random.Generator, size: Floats, periods: int) -> _People:
        """Reps of these sizes, in standard deviations of its logarithm, and periods in a row."""
        c, reps = self.cell, size.size
        bias = {w: c.bias_sd * _law(c.bias, rng, reps) for w in ("candidate", "baseline")}
        shock = {w: rng.normal(0, c.shock_sd, periods) for w in bias}
        if not c.null:
            bias["candidate"], shock["candidate"] = np.zeros(reps), np.zeros(periods)
        bias["baseline"] = bias["baseline"] + c.follow * size
        for moved in shock.values() if c.ar else ():
            for t in range(1, periods):
                moved[t] = c.ar * moved[t - 1] + np.sqrt(1 - c.ar**2) * moved[t]
        noise: Floats | float = _NOISE
        if c.skill == "exponential":
            noise = 0.2 + rng.exponential(0.7, reps)
        elif c.skill == "lognormal":
            noise = 0.5 * rng.lognormal(0, 0.7, reps)
        return _People(bias, shock, noise, rng.random(reps) < c.sure if c.sure else False)

    def said(
        self, rng: np.random.Generator, odds: Floats, wrong: Floats, who: _People, at: tuple[Any, Any]
    ) -> tuple[Floats, Floats]:
        """What model and reps say of deals with these odds; `at` holds the rep and the period of each."""
        rep, period = at
        error = {w: who.bias[w][rep] + who.shock[w][period] for w in who.bias}
        error["baseline"] = error["baseline"] + wrong
        noise = {w: rng.normal(size=odds.size) for w in error}
        own = who.noise if isinstance(who.noise, float) else who.noise[rep]
        shrink, base = self._shrink["candidate"], np.log(self.cell.wins / (1 - self.cell.wins))
        candidate = _sigmoid(
            shrink * odds + (1 - shrink) * base + error["candidate"] + _NOISE * noise["candidate"]
        )
        baseline = _sigmoid(odds + error["baseline"] + own * noise["baseline"])
        if not isinstance(who.sure, bool):
            baseline = np.where(who.sure[rep], _SURE, baseline)
        if self.cell.stages:
            baseline = _STAGES[np.searchsorted(_BETWEEN_STAGES, baseline)]
        if self.cell.drawn:  # errors so large that a probability would be 1
            candidate, baseline = (p.clip(1e-6, 1 - 1e-6) for p in (candidate, baseline))
        return candidate, baseline

    def draw(self, rng: np.random.Generator) -> Pilot:
        """One pilot."""
        c = self.cell
        spread = rng.normal(size=c.reps) if c.size_sd else np.zeros(c.reps)
        weight = np.exp(c.size_sd * spread)
        size = np.maximum(1, np.round(weight / weight.sum() * c.deals)).astype(int)
        rep = np.repeat(np.arange(c.reps, dtype=np.int32), size)
        n = rep.size
        period = rng.integers(0, c.periods, n).astype(np.int32)
        who = self.people(rng, spread, c.periods)
        account, wrong = self._accounts(rng, size)
        odds = np.log(c.wins / (1 - c.wins)) + rng.normal(size=n)
        won = (rng.random(n) < _sigmoid(odds)).astype(float)
        amount = rng.lognormal(0, c.amount_sd, n)
        unit = None
        if c.looks > 1:
            again = np.repeat(np.arange(n), c.looks)
            unit = again.astype(np.int32)
            rep, period, won, odds = rep[again], period[again], won[again], odds[again]
            amount, wrong = amount[again], wrong[again]
            account = None if account is None else account[again]
        candidate, baseline = self.said(rng, odds, wrong, who, (rep, period))
        deals = Deals(won, candidate, baseline, amount, amount * won)
        if c.drawn:
            truth = {(m, q): _of_new_reps(c)[m] for m in c.metrics for q in c.questions}
        else:
            count = np.bincount(rep * c.periods + period, minlength=c.reps * c.periods)
            truth = self._truth(count, who.bias, who.shock)
        return Pilot(deals, rep, period, account, unit, truth)

    def _accounts(
        self, rng: np.random.Generator, size: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32] | None, Floats]:
        """Each deal's account, and by how much the reps are wrong about it."""
        c, n = self.cell, int(size.sum())
        if not c.per_account:
            return None, np.zeros(n)
        if c.cross:
            account = rng.integers(0, max(1, round(n / c.per_account)), n)
            wrong = rng.normal(0, c.account_sd, int(account.max()) + 1)[account]
        else:
            accounts = np.maximum(1, np.round(size / c.per_account)).astype(int)
            first = np.concatenate([[0], np.cumsum(accounts)[:-1]])
            rep = np.repeat(np.arange(size.size), size)
            account = first[rep] + (rng.random(n) * accounts[rep]).astype(int)
            wrong = rng.normal(0, c.account_sd, int(accounts.sum()))[account]
        return np.unique(account, return_inverse=True)[1].astype(np.int32), wrong

    def _truth(
        self, count: NDArray[np.int64], bias: dict[str, Floats], shock: dict[str, Floats]
    ) -> dict[Truth, float]:
        """What is true of the pilot, by metric and question."""
        c = self.cell
        share = (count / count.sum()).reshape(c.reps, c.periods)

        def mean(which: str, what: str, question: Question) -> float:
            """Expected worth: reps and periods are these, unless the question lets them differ."""
            if which == "candidate" and not c.null:  # the model has neither biases nor shocks
                return float(np.interp(0.0, _GRID, self._curve(which, what, ())))
            new = (("bias",) if "rep" in question else ()) + (("shock",) if "period" in question else ())
            curve = self._curve(which, what, (*new, "account") if which == "baseline" else new)
            b = bias[which][:, None] if "bias" not in new else np.zeros((c.reps, 1))
            s = shock[which][None, :] if "shock" not in new else np.zeros((1, c.periods))
            return float((share * np.interp(b + s, _GRID, curve)).sum())

        found: dict[Truth, float] = {}
        for question in c.questions:
            for metric in c.metrics:
                if metric == "auc":
                    found |= self._auc_truth(question, share, bias, shock)
                    continue
                what = _LOSS.get(metric, metric)
                mine, theirs = mean("candidate", what, question), mean("baseline", what, question)
                if metric == "brier_skill":
                    found[metric, question] = 1 - mine / theirs
                elif metric == "bias_by_amount":
                    found[metric, question] = (mine - theirs) / mean("baseline", "won", ())
                else:
                    found[metric, question] = mine - theirs
        return found

    def _auc_truth(
        self, question: Question, share: Floats, bias: dict[str, Floats], shock: dict[str, Floats]
    ) -> dict[Truth, float]:
        """Difference in AUC, where it is known: for these reps and periods, for new reps, for all in a null."""
        if question == ("deal",):
            mine, theirs = (self._auc(w, share, bias[w], shock[w]) for w in ("candidate", "baseline"))
            return {("auc", question): mine - theirs}
        if question == ("rep", "period") and self.cell.null:
            return {("auc", question): 0.0}
        if question == ("rep",) and not self.cell.shock_sd:
            return {("auc", question): 0.0 if self.cell.null else self._auc_of_all}
        return {}

    def _auc(self, which: str, share: Floats, bias: Floats, shock: Floats) -> float:
        """AUC over all pairs of cells, each in its share."""
        error, inverse = np.unique(bias[:, None] + shock[None, :], return_inverse=True)
        weight = np.bincount(inverse.ravel(), weights=share.ravel())
        shift, ahead = _ahead(self.cell.wins, self._shrink[which])
        pairs = np.interp(error[:, None] - error[None, :], shift, ahead)
        return float(weight @ pairs @ weight)

    @cached_property
    def _auc_of_all(self) -> float:
        at, weight = self._laws["bias"]
        none = np.zeros(1)
        mine = self._auc("candidate", np.ones((1, 1)), none, none)
        return mine - self._auc("baseline", weight[:, None], at, none)


@cache
def _of_new_reps(cell: Cell) -> dict[str, float]:
    """What is true of new reps in new periods: many with one deal each, large ones as often as they have deals."""
    rng, n, simulator = np.random.default_rng(13), _MANY, Simulator(cell)
    size = cell.size_sd + rng.normal(size=n) if cell.size_sd else np.zeros(n)
    who = simulator.people(rng, size, 1)
    shock = {w: rng.normal(0, cell.shock_sd if s.any() else 0, n) for w, s in who.shock.items()}
    odds = np.log(cell.wins / (1 - cell.wins)) + rng.normal(size=n)
    at, wrong = np.arange(n), rng.normal(0, cell.account_sd, n)
    candidate, baseline = simulator.said(rng, odds, wrong, replace(who, shock=shock), (at, at))
    chance = _sigmoid(odds)
    brier = [float((p * p - 2 * p * chance + chance).mean()) for p in (candidate, baseline)]
    log = [-float((chance * np.log(p) + (1 - chance) * np.log1p(-p)).mean()) for p in (candidate, baseline)]
    found = {
        "brier": brier[0] - brier[1],
        "brier_by_amount": brier[0] - brier[1],
        "brier_skill": 1 - brier[0] / brier[1],
        "log_score": log[0] - log[1],
        "bias": float((candidate - baseline).mean()),
    }
    if "auc" in cell.metrics:
        won = (rng.random(n) < chance).astype(float)
        found["auc"] = auc(candidate, won) - auc(baseline, won)
    return found


def _of_all(metric: str, deals: Deals) -> float:
    """A metric's difference in a whole table."""
    if metric == "auc":
        return auc(deals.candidate, deals.won) - auc(deals.baseline, deals.won)
    terms = METRICS[metric].terms
    assert terms is not None
    sums = terms(deals)
    mine, theirs = float(sums.candidate.sum()), float(sums.baseline.sum())
    return 1 - mine / theirs if METRICS[metric].is_skill else (mine - theirs) / deals.won.size


class Resampler:
    """Draws pilots from a real table: whole clusters, with replacement; what the whole table says is true."""

    def __init__(self, cell: Drawn) -> None:
        """Read the table."""
        self.cell = cell
        table = (pd.read_parquet if cell.file.endswith(".parquet") else pd.read_csv)(cell.file)
        absent = [c for c in ("won", cell.candidate, cell.baseline, cell.cluster) if c not in table]
        if absent:
            raise CallError(
                f"{cell.file} has no column {', '.join(absent)}; it has {', '.join(table.columns)}."
            )
        table = table.dropna(subset=["won", cell.candidate, cell.baseline, cell.cluster])
        codes, _ = pd.factorize(table[cell.cluster])
        self._rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
        self._columns = [table[c].to_numpy(dtype=float) for c in ("won", cell.candidate, cell.baseline)]
        won, candidate, baseline = self._columns
        deals = Deals(won, candidate, baseline)
        self._truth: dict[Truth, float] = {
            (metric, ("rep",)): _of_all(metric, deals) for metric in cell.metrics
        }

    def draw(self, rng: np.random.Generator) -> Pilot:
        """One pilot."""
        chosen = [self._rows[i] for i in rng.integers(0, len(self._rows), self.cell.reps)]
        rows = np.concatenate(chosen)
        rep = np.repeat(np.arange(len(chosen), dtype=np.int32), [c.size for c in chosen])
        won, candidate, baseline = (c[rows] for c in self._columns)
        deals = Deals(won, candidate, baseline)
        return Pilot(deals, rep, np.zeros(rows.size, np.int32), None, None, self._truth)
