"""Forecast categories as chances: what share of each was won before, learned from earlier periods only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

_LEAST_DEALS, _LEAST_OF_EACH = 20, 5  # decided deals, and won and lost ones, before a category says anything
ENOUGH = f"{_LEAST_DEALS} decided deals, {_LEAST_OF_EACH} of them won and {_LEAST_OF_EACH} not"


def past_rate(past: ArrayLike, won: ArrayLike, present: ArrayLike) -> NDArray[np.float64]:
    """Past win rate of each label, drawn to the overall rate as if one more deal had shown it.

    Labels are codes, -1 for none; one never seen before gets the overall rate.

    >>> past_rate([0, 0, 1], [1, 1, 0], [0, 1, 2, -1]).round(3).tolist()
    [0.889, 0.333, 0.667, nan]
    """
    before, y, now = np.asarray(past), np.asarray(won, dtype=float), np.asarray(present)
    known = before >= 0
    size = max(before.max(initial=-1), now.max(initial=-1)) + 1
    wins = np.bincount(before[known], weights=y[known], minlength=size)
    deals = np.bincount(before[known], minlength=size)
    rate = (wins + y.mean()) / (deals + 1)
    return np.where(now >= 0, rate[now], np.nan)


@dataclass(frozen=True)
class Moments:
    """When each row of a table speaks, and from when its outcome may be learned from.

    ``period`` is the place of its period in time, ``known`` the first place at which its outcome was known.
    """

    period: pd.Series
    known: pd.Series

    @classmethod
    def of(
        cls, deals: pd.Series, won: pd.Series, period: pd.Series, *,
        in_period: bool, as_of: pd.Series | None = None, closed_on: pd.Series | None = None,
    ) -> Moments:  # fmt: skip
        """From what a table says of its rows.

        An outcome "in the period" is known when that is over. Any other counts as known after the last period in
        which its deal is seen, and not before the deal had closed, where that day is stated.

        >>> m = Moments.of(pd.Series(["D1", "D1", "D2"]), pd.Series([1, 1, 0]), pd.Series([0, 1, 0]), in_period=False)
        >>> m.known.tolist()
        [2, 2, 1]
        """
        one_outcome = won.groupby(deals).transform("nunique") <= 1
        last = period.groupby(deals).transform("max").where(one_outcome, period)
        known = (period if in_period else last) + 1
        if as_of is not None and closed_on is not None:
            starts = as_of.groupby(period).min().sort_index()
            later = starts.searchsorted(closed_on.fillna(starts.min()), side="right")
            places = np.append(starts.index.to_numpy(), period.max() + 1)
            known = known.where(closed_on.isna(), np.fmax(known, places[later]))
        return cls(period, known)


def past_conversion(
    words: pd.Series, won: pd.Series, deals: pd.Series, moments: Moments
) -> tuple[pd.Series, list[int]]:
    """The chance that each row's category stands for, and the places of the periods in which enough was known.

    At least 20 decided deals, 5 of them won and 5 not, must have been known when its period began.
    """
    codes = pd.Series(pd.factorize(words)[0], index=words.index)
    chance = pd.Series(np.nan, index=words.index, dtype=float)
    speaks = []
    for place in sorted(moments.period.unique()):
        now = moments.period == place
        past = (moments.known <= place) & won.notna() & words.notna()
        ended = won[past].groupby(deals[past]).max()
        wins = int((ended == 1).sum())
        if len(ended) >= _LEAST_DEALS and min(wins, len(ended) - wins) >= _LEAST_OF_EACH:
            chance[now] = past_rate(codes[past], won[past], codes[now])
            speaks.append(int(place))
    return chance, speaks
