"""Does a column know how the deals ended? What does was written down afterwards, or with the outcome in hand.

No table proves that; what can be told is that no honest forecast is so good. Three limits say what one reaches at best:

* ``_CEILINGS``, the area under the ROC curve (AUC) by the days until the target is settled. They lie above what the exact
  chances of the demo's buyers reach, of which nobody there could know more: .91 to .93 in weeks 1 to 5 of the quarter,
  .93 to .96 to week 11, .97 in the last one.
* ``_YES_NO``: a plain yes or no is right for 90% of the deals, won and lost ones weighing the same.
* ``_SURE``: three of four wins show a sign that no lost deal ever shows, such as a signed contract.

A forecast is called hindsight where chance would let the best honest one do as well in less than 1% of such tables, if
it makes no mistake at all (:func:`_separated_by_chance`), or less than 0.2%, if it makes some
(:func:`_ranked_by_chance`). So a dozen deals, a rep's twenty right calls, or a category in which everything was won prove
nothing. `tests/benchmarks/hindsight_alarms.py` counts how often honest forecasters are accused (in at most 0.8% of the
tables of any kind, 2,000 each) and leaks are found (all, from 40 won and 40 other deals on, if they make no mistake).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_CEILINGS = ((56, 0.95), (14, 0.96))  # days between forecast and outcome, at least: AUC at most ...
CEILING = 0.97  # ... and where they are fewer, or not known
_YES_NO, _SURE = 0.90, 0.75
_WITHOUT_EXCEPTION, _WITH_SOME = 0.01, 0.002
_FEWEST = 10  # won, and not won: with fewer nothing is said
_MOST_ROWS = 100_000  # enough to judge by; of longer tables so many are drawn
_ROWS_OF_A_VALUE = 5  # a value that occurs less often is pure by chance

_Floats = NDArray[np.float64]


def ceiling(days: float | None) -> float:
    """The AUC that no forecast so many days before the outcome exceeds.

    Examples
    --------
    >>> ceiling(60), ceiling(20), ceiling(3), ceiling(None)
    (0.95, 0.96, 0.97, 0.97)
    """
    return next((auc for least, auc in _CEILINGS if days is not None and days >= least), CEILING)


def knows(said: _Floats, won: _Floats, days: float | None = None) -> str:
    """What shows that a forecast knew the outcome, as the end of a sentence that starts with its name; else nothing.

    Parameters
    ----------
    said : array of shape (deals,); NaN where it is silent. Any scale; an order turned round knows as much
    won : array of shape (deals,), 0 or 1
    days : from the forecasts until the target is settled, at least; None where that is not known

    Examples
    --------
    >>> won = np.repeat([1.0, 0.0], 40)
    >>> knows(won, won)
    'equals the outcome on all 80 deals'
    >>> knows(0.4 + 0.1 * won + np.arange(80) / 1e3, won)
    'puts each of the 40 won deals above each of the 40 others'
    >>> knows(won[30:50], won[30:50]), knows(np.linspace(1, 0, 80), np.roll(won, 10))
    ('', '')
    """
    there = np.flatnonzero(~np.isnan(said))
    if there.size > _MOST_ROWS:
        there = there[np.unique(np.random.default_rng(0).integers(0, there.size, _MOST_ROWS))]
    values, at = np.unique(said[there], return_inverse=True)
    return knows_by_value(
        values, np.bincount(at), np.bincount(at, weights=won[there]).astype(np.float64), days
    )


def knows_by_value(
    values: _Floats, rows: NDArray[np.integer], won: _Floats, days: float | None = None
) -> str:
    """The same from the number of deals at each value, and how many of them were won.

    Parameters
    ----------
    values : array of shape (values,), ascending
    rows, won : arrays of shape (values,)

    Examples
    --------
    >>> knows_by_value(np.array([0.0, 1.0]), np.array([40, 40]), np.array([0.0, 40.0]))
    'equals the outcome on all 80 deals'
    """
    wins = int(won.sum())
    others = int(rows.sum()) - wins
    if min(wins, others) < _FEWEST:
        return ""
    lost = rows - won
    auc = float(won @ (np.cumsum(lost) - lost / 2) / (wins * others))
    turned = auc < 0.5
    auc = max(auc, 1 - auc)
    if auc == 1:
        if _separated_by_chance(wins, others, ceiling(days), yes_no=values.size == 2) >= _WITHOUT_EXCEPTION:
            return ""
        if np.array_equal(values, [0.0, 1.0]) and not turned:
            return f"equals the outcome on all {wins + others:,} deals"
        return f"puts each of the {wins:,} won deals {'below' if turned else 'above'} each of the {others:,} others"
    if auc <= ceiling(days) or _ranked_by_chance(auc, wins, others, ceiling(days)) >= _WITH_SOME:
        return ""
    ahead = "" if days is None else f" {days:.0f} days ahead"
    return (
        f"puts won deals {'below' if turned else 'above'} the others in {_nearly(auc)} of all pairs ({wins:,} won, "
        f"{others:,} not), and no forecast{ahead} is known to reach more than {ceiling(days):.0%}"
    )


def gives_away(values: pd.Series, won: pd.Series) -> str:
    """What shows that a column of any kind gives the outcome away, as the end of a sentence; else nothing.

    As :func:`knows` for numbers. Besides, for any column: each of its values stands in won deals only or in others
    only (a stage, a reason for the loss), or it is filled in just those that were won, or were not.

    Parameters
    ----------
    values : a column, numbers or text
    won : 0 or 1, empty where the outcome is not known

    Examples
    --------
    >>> won = pd.Series([1, 0] * 30)
    >>> gives_away(won.map({1: "signed", 0: "gone"}), won)
    'has only values that were always won or never won (60 deals)'
    >>> gives_away(won.map({1: "2026-01-01"}), won)
    'is filled in all deals that were won and in no other (60 deals)'
    >>> gives_away(pd.Series(["a", "b", "b", "a"] * 15), won)
    ''
    """
    known = won.notna()
    values, outcome = values[known], won[known].to_numpy(dtype=float)
    filled = values.notna().to_numpy()
    if filled.any() and knows(filled.astype(float), outcome):
        which = "won" if outcome[filled].all() else "not won"
        return f"is filled in all deals that were {which} and in no other ({outcome.size:,} deals)"
    if pd.api.types.is_numeric_dtype(values) and (
        told := knows(values.to_numpy(dtype=float, na_value=np.nan), outcome)
    ):
        return told
    code = pd.factorize(values, use_na_sentinel=False)[0]
    rows = np.bincount(code)
    wins = np.bincount(code, weights=outcome)
    pure, common = (wins == 0) | (wins == rows), rows >= _ROWS_OF_A_VALUE
    if pure.all() and rows[common].sum() >= 0.9 * outcome.size:
        kept = common[code]
        if knows(outcome[kept], outcome[kept]):
            return f"has only values that were always won or never won ({kept.sum():,} deals)"
    return ""


def _nearly(share: float) -> str:
    """A share below 1 in percent, with the digits that keep it there."""
    return next(text for text in (f"{share:.{n}%}" for n in range(1, 17)) if not text.startswith("100"))


def _separated_by_chance(wins: int, others: int, auc: float, *, yes_no: bool) -> float:
    """How likely the best honest forecast is to separate all won deals from all others.

    A yes or no: the largest s^wins t^others of which s + t is at most twice ``_YES_NO``. Anything finer: two normal
    distributions at a distance that has this AUC, P(max of others < min of won), integrated over the maximum; or that all
    wins happen to be among the sure ones.

    Examples
    --------
    >>> round(_separated_by_chance(20, 20, 0.97, yes_no=True), 4), round(_separated_by_chance(8, 8, 0.97, yes_no=False), 2)
    (0.0148, 0.43)
    """
    from scipy.special import log_ndtr, ndtri

    if yes_no:
        best = np.clip(2 * _YES_NO * wins / (wins + others), 2 * _YES_NO - 1, 1)
        return float(best**wins * (2 * _YES_NO - best) ** others)
    at = np.linspace(-8, 12, 4001)
    density = np.exp(np.log(others) + (others - 1) * log_ndtr(at) - at**2 / 2) / np.sqrt(2 * np.pi)
    apart = float(np.trapezoid(density * np.exp(wins * log_ndtr(np.sqrt(2) * ndtri(auc) - at)), at))
    return max(apart, _SURE ** min(wins, others))


def _ranked_by_chance(found: float, wins: int, others: int, auc: float) -> float:
    """How likely a forecast of this AUC is to show the one found, or more.

    A beta distribution with the mean and the variance of the estimate (Hanley & McNeil 1982, Radiology 143(1), 29-36).

    Examples
    --------
    >>> round(_ranked_by_chance(0.99, 100, 200, 0.97), 3)
    0.017
    """
    from scipy.special import betaincc

    one, two = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (wins - 1) * (one - auc**2) + (others - 1) * (two - auc**2)
    size = auc * (1 - auc) * wins * others / variance - 1
    return float(betaincc(auc * size, (1 - auc) * size, found))
