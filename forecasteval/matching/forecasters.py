"""Anything that turns a known state into a forecast.

A fitted forecaster sees deals whose outcome was known before the moment it speaks (`train`), and the deals
it speaks about (`now`). Both are states as they were at the time; only `train` knows what was won.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.sources.categories import past_rate

Floats = NDArray[np.float64]

_CERTAIN = 0.01  # a rep's 0 or 1 is read as 1% or 99% before its logarithm is taken


@dataclass(frozen=True)
class Seen:
    """What a forecaster may see of some deals, as arrays of shape (deals,); labels as codes, -1 for none."""

    design: Floats  # (deals, columns) of the reference model
    stage: NDArray[np.integer]
    category: NDArray[np.integer]
    rep_probability: Floats
    won: Floats  # NaN where a forecaster speaks

    def take(self, rows: NDArray[Any]) -> Seen:
        """Some of the deals."""
        return Seen(*(getattr(self, f.name)[rows] for f in fields(self)))

    def unaware(self) -> Seen:
        """The same deals with their outcomes hidden."""
        return replace(self, won=np.full(len(self.won), np.nan))


@dataclass(frozen=True)
class _Forecaster:
    """A named way to forecast: what a reader is told about it, and the function that speaks."""

    name: str
    gloss: str
    fitted: bool
    speak: Callable[[Seen, Seen], Floats]
    own_target: str = ""  # where it speaks about something other than the target it is scored on
    parts: tuple[str, ...] = ()  # forecasters whose mean it is


@dataclass(frozen=True)
class BurnIn:
    """Resolved deals that a fitted forecaster must have seen before it speaks."""

    deals: int = 100
    won: int = 20
    not_won: int = 20

    def over(self, outcomes: Floats) -> bool:
        """Is there enough to learn from, where 1 is won?"""
        won, deals = int(outcomes.sum()), len(outcomes)
        return deals >= self.deals and won >= self.won and deals - won >= self.not_won


def see(panel: pd.DataFrame) -> Seen:
    """The panel as forecasters see it.

    The reference model's columns are log amount (0 and a flag where there is none), log age, days to the
    expected close, log of 1 + pushes, log days in the stage, and one column per stage.
    """
    stage, labels = pd.factorize(panel["stage"], sort=True)
    amount = panel["amount"].to_numpy(dtype=float, na_value=np.nan)
    numbers = [
        np.log(np.fmax(np.nan_to_num(amount, nan=1.0), 1.0)),
        np.isnan(amount).astype(float),
        np.log1p(panel["age_days"].to_numpy(dtype=float).clip(min=0)),
        panel["days_to_close"].to_numpy(dtype=float),
        np.log1p(panel["pushes"].to_numpy(dtype=float)),
        np.log1p(panel["days_in_stage"].to_numpy(dtype=float).clip(min=0)),
    ]
    stages = [(stage == i).astype(float) for i in range(len(labels))]
    return Seen(
        np.column_stack([*numbers, *stages]),
        stage,
        pd.factorize(panel["rep_category"], sort=True)[0],
        panel["rep_probability"].to_numpy(dtype=float, na_value=np.nan),
        panel["won"].to_numpy(dtype=float),
    )


# --- the logistic regression behind the fitted ones ---------------------------------------------------


def logistic(x: Floats, won: Floats, now: Floats) -> Floats:
    """Win probabilities from a logistic regression with a weak log-F(1, 1) prior on each coefficient.

    The prior is one pseudo-deal per column, half won and half lost: it keeps coefficients finite where a
    column separates wins from losses, and hardly matters elsewhere. Columns are scaled to unit spread.

    Greenland & Mansournia (2015), Statistics in Medicine 34(23), 3133-3143.

    >>> x = np.tile([[0.0], [0.0], [1.0], [1.0]], (25, 1))
    >>> p = logistic(x, np.array([0.0, 1.0, 1.0, 1.0] * 25), np.array([[0.0], [1.0]]))
    >>> bool(p[0] < 0.55 < 0.9 < p[1] < 1)
    True
    """
    from statsmodels.discrete.discrete_model import Logit

    mean, spread = x.mean(axis=0), x.std(axis=0)
    used = spread > 0
    k = int(used.sum())

    def scaled(raw: Floats, weight: float) -> Floats:
        return np.column_stack([np.full(len(raw), weight), raw])

    rows = np.vstack([scaled((x - mean)[:, used] / spread[used], 1.0), scaled(np.eye(k), 0.0)])
    # the prior gives the columns full rank: looking for it in a large table takes ten times as long as the fit
    fit = Logit(np.concatenate([won, np.full(k, 0.5)]), rows, check_rank=False, hasconst=False).fit(
        method="newton", tol=1e-10, disp=0, skip_hessian=True
    )
    return np.asarray(fit.predict(scaled((now - mean)[:, used] / spread[used], 1.0)), dtype=float)


def _logit(probability: Any) -> Floats:
    """Log-odds, with probabilities first moved into [0.01, 0.99].

    >>> _logit([0.5, 0.0]).round(3).tolist()
    [0.0, -4.595]
    """
    p = np.clip(np.asarray(probability, dtype=float), _CERTAIN, 1 - _CERTAIN)
    return np.log(p / (1 - p))


# --- how each of them speaks --------------------------------------------------------------------------


def _model(train: Seen, now: Seen) -> Floats:
    seen = (train.design != 0).sum(axis=0) >= 10  # a stage (or flag) that hardly occurs teaches nothing
    return logistic(train.design[:, seen], train.won, now.design[:, seen])


def _past_rate(label: str) -> Callable[[Seen, Seen], Floats]:
    """Past win rate of each label, drawn to the overall rate as if one more deal had shown it."""

    def speak(train: Seen, now: Seen) -> Floats:
        return past_rate(getattr(train, label), train.won, getattr(now, label))

    return speak


def _rep_recalibrated(train: Seen, now: Seen) -> Floats:
    said, saying = ~np.isnan(train.rep_probability), ~np.isnan(now.rep_probability)
    p = np.full(len(now.won), np.nan)
    if said.any() and saying.any():
        x, ahead = (_logit(v)[:, None] for v in (train.rep_probability[said], now.rep_probability[saying]))
        p[saying] = logistic(x, train.won[said], ahead)
    return p


BUILT_IN: dict[str, _Forecaster] = {
    f.name: f
    for f in (
        _Forecaster(
            "rep_forecast",
            "the probability that the rep had entered, as it stood",
            False,
            lambda train, now: now.rep_probability,
            "won at all",
        ),
        _Forecaster(
            "rep_recalibrated",
            "the rep's probability, corrected by how often such probabilities came true before",
            True,
            _rep_recalibrated,
        ),
        _Forecaster(
            "rep_category",
            "the rep's forecast category, read as the share of that category that was won before",
            True,
            _past_rate("category"),
        ),
        _Forecaster(
            "stage_rate",
            "the share of deals in the same stage that was won before",
            True,
            _past_rate("stage"),
        ),
        _Forecaster(
            "base_rate",
            "the share of all deals that was won before",
            True,
            lambda train, now: np.full(len(now.won), (train.won.sum() + 0.5) / (len(train.won) + 1)),
        ),
        _Forecaster(
            "model",
            "a logistic regression on stage, amount, age, time to the expected close, times pushed and time in "
            "stage, refitted each period; it never sees what the rep believes",
            True,
            _model,
        ),
        _Forecaster(
            "mix",
            "the mean of model and rep_forecast",
            True,
            lambda train, now: (_model(train, now) + now.rep_probability) / 2,
            parts=("model", "rep_forecast"),
        ),
    )
}


# --- tables without a time order ------------------------------------------------------------------------


def out_of_fold(
    table: pd.DataFrame, names: list[str], features: list[str], *, folds: int = 10, seed: int = 0
) -> pd.DataFrame:
    """Forecasts of `model` and `base_rate` for a flat table without an order in time.

    The model forecasts each deal by a fit that has not seen it; rows of one account stay in one fold, so that no twin of a
    deal is learned from. The base rate is the share of all deals that was won: taken fold by fold it would be lower
    where more was won, and so rank deals backwards.

    >>> t = pd.DataFrame({"won": [0, 1] * 20, "size": ["big", "small"] * 20})
    >>> out_of_fold(t, ["base_rate"], ["size"])["base_rate"].unique().tolist()
    [0.5]
    """
    won = table["won"].to_numpy(dtype=float)
    out = {"base_rate": np.full(len(table), won.mean())} if "base_rate" in names else {}
    if "model" in names:
        fold, design = folds_of(table, folds, seed), design_of(table, features)
        out["model"] = np.full(len(table), np.nan)
        for k in np.unique(fold):
            out["model"][fold == k] = taught(design, won, fold != k, fold == k)
    return pd.DataFrame(out, index=table.index)


def taught(design: Floats, won: Floats, train: NDArray[Any], now: NDArray[Any]) -> Floats:
    """What a logistic regression says of some rows after others; a column that is hardly ever filled teaches nothing."""
    seen = (design[train] != 0).sum(axis=0) >= 5
    return logistic(design[train][:, seen], won[train], design[now][:, seen])


def folds_of(table: pd.DataFrame, folds: int, seed: int) -> NDArray[np.intp]:
    """The fold of each row; rows of one account stay together."""
    group = table["account"] if "account" in table else pd.Series(range(len(table)), index=table.index)
    alone = pd.Series(range(len(table)), index=table.index).astype(str).radd("row ")
    code = pd.factorize(group.astype("string").fillna(alone))[0]
    return np.asarray(np.random.default_rng(seed).permutation(np.arange(code.max() + 1) % folds)[code])


def design_of(table: pd.DataFrame, features: list[str]) -> Floats:
    """Columns as numbers, text as one column per value; an empty number is the median, an empty text no category."""
    columns = table[features]
    columns = columns.fillna(columns.median(numeric_only=True))
    return np.asarray(pd.get_dummies(columns, dtype=float).to_numpy(dtype=float))
