"""Anything that turns a known state into a forecast.

A fitted forecaster sees two tables: deals whose outcome was known before the moment it speaks (`train`),
and the deals it speaks about (`now`). Both hold the states as they were; only `train` holds `won`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CERTAIN = 0.01  # a rep's 0 or 1 is read as 1% or 99% before its logarithm is taken


@dataclass(frozen=True)
class Forecaster:
    """A named way to forecast: what a reader is told about it, and the function that speaks."""

    name: str
    gloss: str
    fitted: bool
    speak: Callable[[pd.DataFrame, pd.DataFrame], Floats]
    own_target: str = ""  # where it speaks about something other than the target it is scored on


@dataclass(frozen=True)
class BurnIn:
    """Resolved deals that a fitted forecaster must have seen before it speaks."""

    deals: int = 100
    won: int = 20
    not_won: int = 20

    def over(self, train: pd.DataFrame) -> bool:
        """Is there enough to learn from?

        Examples
        --------
        >>> BurnIn(deals=2, won=1, not_won=1).over(pd.DataFrame({"won": [0, 1]}))
        True
        """
        won = int(train["won"].sum())
        return len(train) >= self.deals and won >= self.won and len(train) - won >= self.not_won


# --- the logistic regression behind the fitted ones ---------------------------------------------------


def logistic(x: pd.DataFrame, won: Floats, now: pd.DataFrame) -> Floats:
    """Win probabilities from a logistic regression with a weak log-F(1, 1) prior on each coefficient.

    The prior is one pseudo-deal per column, half won and half lost: it keeps coefficients finite where a
    column separates wins from losses, and hardly matters elsewhere. Columns are scaled to unit spread.

    Parameters
    ----------
    x : DataFrame of shape (deals, columns)
    won : array of shape (deals,), 0 or 1
    now : DataFrame with the same columns

    Returns
    -------
    array of shape (len(now),)

    References
    ----------
    Greenland & Mansournia (2015), Statistics in Medicine 34(23), 3133-3143.

    Examples
    --------
    >>> x = pd.DataFrame({"a": [0.0, 0.0, 1.0, 1.0] * 25})
    >>> p = logistic(x, np.array([0.0, 1.0, 1.0, 1.0] * 25), pd.DataFrame({"a": [0.0, 1.0]}))
    >>> bool(p[0] < 0.55 < 0.9 < p[1] < 1)
    True
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    mean, spread = x.mean(), x.std(ddof=0)
    used = list(x.columns[(spread > 0).to_numpy()])
    design = ((x[used] - mean[used]) / spread[used]).to_numpy(dtype=float)
    k = len(used)
    rows = np.vstack([np.column_stack([np.ones(len(x)), design]), np.column_stack([np.zeros(k), np.eye(k)])])
    outcome = np.concatenate([won, np.full(k, 0.5)])
    fit = GLM(outcome, rows, family=Binomial()).fit()
    ahead = ((now[used] - mean[used]) / spread[used]).to_numpy(dtype=float)
    return np.asarray(fit.predict(np.column_stack([np.ones(len(now)), ahead])), dtype=float)


def logit(probability: Any) -> Floats:
    """Log-odds, with probabilities first moved into [0.01, 0.99].

    Examples
    --------
    >>> logit([0.5, 0.0]).round(3).tolist()
    [0.0, -4.595]
    """
    p = np.clip(np.asarray(probability, dtype=float), CERTAIN, 1 - CERTAIN)
    return np.log(p / (1 - p))


def _design(train: pd.DataFrame, now: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference model's columns: stage, amount, age, time to the expected close, pushes, time in stage."""
    stages = train["stage"].value_counts()
    common = stages.index[stages >= 10][1:]  # the commonest stage is what the others are compared with
    median = train["amount"].median() if train["amount"].notna().any() else 1.0

    def columns(t: pd.DataFrame) -> pd.DataFrame:
        amount = t["amount"].clip(lower=1)
        wide = {
            "log_amount": np.log(amount.fillna(max(median, 1.0))),
            "no_amount": t["amount"].isna().astype(float),
            "log_age": np.log1p(t["age_days"].clip(lower=0)),
            "days_to_close": t["days_to_close"].astype(float),
            "pushes": np.log1p(t["pushes"]),
            "log_days_in_stage": np.log1p(t["days_in_stage"].clip(lower=0)),
        }
        wide |= {f"stage {s}": (t["stage"] == s).astype(float) for s in common}
        return pd.DataFrame(wide, index=t.index)

    return columns(train), columns(now)


# --- how each of them speaks --------------------------------------------------------------------------


def _model(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
    x, ahead = _design(train, now)
    return logistic(x, train["won"].to_numpy(dtype=float), ahead)


def _base_rate(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
    return np.full(len(now), (train["won"].sum() + 0.5) / (len(train) + 1))


def _past_rate(column: str) -> Callable[[pd.DataFrame, pd.DataFrame], Floats]:
    """Past win rate of each label, drawn to the overall rate as if one more deal had shown it."""

    def speak(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
        overall = train["won"].mean()
        seen = train.groupby(column)["won"].agg(["sum", "size"])
        rate = (seen["sum"] + overall) / (seen["size"] + 1)
        said = now[column].map(rate).to_numpy(dtype=float, na_value=np.nan)
        known = now[column].notna().to_numpy()
        return np.where(np.isnan(said) & known, overall, said)  # a label never seen before: the overall rate

    return speak


def _rep_forecast(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
    return now["rep_probability"].to_numpy(dtype=float, na_value=np.nan)


def _rep_recalibrated(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
    train = train[train["rep_probability"].notna()]
    said = now["rep_probability"].notna().to_numpy()
    p = np.full(len(now), np.nan)
    if said.any() and len(train):
        x = pd.DataFrame({"said": logit(train["rep_probability"])})
        ahead = pd.DataFrame({"said": logit(now["rep_probability"][said])})
        p[said] = logistic(x, train["won"].to_numpy(dtype=float), ahead)
    return p


def _mix(train: pd.DataFrame, now: pd.DataFrame) -> Floats:
    return (_model(train, now) + _rep_forecast(train, now)) / 2


BUILT_IN: dict[str, Forecaster] = {
    f.name: f
    for f in (
        Forecaster(
            "rep_forecast",
            "the probability that the rep had entered, as it stood",
            False,
            _rep_forecast,
            "won at all",
        ),
        Forecaster(
            "rep_recalibrated",
            "the rep's probability, corrected by how often such probabilities came true before",
            True,
            _rep_recalibrated,
        ),
        Forecaster(
            "rep_category",
            "the rep's forecast category, read as the share of that category that was won before",
            True,
            _past_rate("rep_category"),
        ),
        Forecaster(
            "stage_rate",
            "the share of deals in the same stage that was won before",
            True,
            _past_rate("stage"),
        ),
        Forecaster("base_rate", "the share of all deals that was won before", True, _base_rate),
        Forecaster(
            "model",
            "a logistic regression on stage, amount, age, time to the expected close, times pushed and time in "
            "stage, refitted each period; it never sees what the rep believes",
            True,
            _model,
        ),
        Forecaster("mix", "the mean of model and rep_forecast", True, _mix),
    )
}


# --- tables without a time order ------------------------------------------------------------------------


def out_of_fold(
    table: pd.DataFrame, names: list[str], features: list[str], *, folds: int = 10, seed: int = 0
) -> pd.DataFrame:
    """Forecasts of `model` and `base_rate` for a flat table, each deal by a fit that has not seen it.

    Rows of one account (duplicates among them) stay in one fold, so that no twin of a deal is learned from.

    Parameters
    ----------
    table : DataFrame with `won`, the features and, optionally, `account`
    names : of `model` and `base_rate`
    features : columns that the model may use; text is taken as categories
    folds : int
    seed : int
        Of the assignment to folds.

    Returns
    -------
    DataFrame with one column per name, on the table's index

    Raises
    ------
    ValueError
        For another name, or a model without features.

    Examples
    --------
    >>> t = pd.DataFrame({"won": [0, 1] * 20, "size": ["big", "small"] * 20})
    >>> out_of_fold(t, ["base_rate"], ["size"])["base_rate"].between(0.4, 0.6).all()
    np.True_
    """
    unknown = [n for n in names if n not in ("model", "base_rate")]
    if unknown:
        raise ValueError(f"A flat table allows for model and base_rate only, not {', '.join(unknown)}.")
    if "model" in names and not features:
        raise ValueError("The reference model needs features: name them in the mapping (features: [...]).")
    group = table["account"] if "account" in table else pd.Series(range(len(table)), index=table.index)
    alone = pd.Series(range(len(table)), index=table.index).astype(str).radd("row ")
    code = pd.factorize(group.astype("string").fillna(alone))[0]
    fold = np.random.default_rng(seed).permutation(np.arange(code.max() + 1) % folds)[code]
    wide = pd.get_dummies(table[features], dtype=float).astype(float) if "model" in names else None
    out = pd.DataFrame(np.nan, index=table.index, columns=names)
    for k in np.unique(fold):
        train, now = table[fold != k], table[fold == k]
        if "base_rate" in names:
            out.loc[fold == k, "base_rate"] = _base_rate(train, now)
        if wide is not None:
            x = wide[fold != k]
            x = x.loc[:, (x != 0).sum() >= 5]  # a level that hardly occurs teaches nothing
            won = train["won"].to_numpy(dtype=float)
            out.loc[fold == k, "model"] = logistic(x, won, wide.loc[fold == k, x.columns])
    return out
