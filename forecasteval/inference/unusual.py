"""What is unusual beside its own past, and how often as much came up when nobody asked: a rate of false alarms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats

WINDOW, BLOCKS, YEAR = (
    4,
    6,
    52,
)  # weeks that are looked at; blocks of as many weeks before; weeks after which a season returns
_FEWEST = 2.0  # events usual in a window: below, nothing less would be seen
FEWEST_REVIEWS = (
    26  # weeks of past reviews from which a rate of false alarms is read; as many for one with the season
)
_OF_ALL = 20.0  # events that a season of all units counts for beside the unit's own
_FOR_ALL, _LEAST = 3, 0.1  # units from which there is a movement of all; what it is not read below
_TO_SD = 1.4826  # of a normal law from its median absolute deviation


@dataclass(frozen=True, eq=False)
class Falls:
    """How far each unit fell below its own past, at each week; arrays of shape (units, weeks), NaN where it cannot be told.

    `seen` is the sum over the window, `usual` what was to be expected; `seasonal` says that the season was allowed for.
    `together`, of shape (weeks,), is where all units stand beside their own past, 1 where they stand as usual: that much is
    taken off each of them.
    """

    score: Floats
    seen: Floats
    usual: Floats
    seasonal: bool
    together: Floats


def falls(counts: ArrayLike, *, window: int = WINDOW, blocks: int = BLOCKS, year: int = YEAR) -> Falls:
    """How far counts of the last weeks lie below the unit's own past, in robust standard deviations.

    score = (r(usual) - r(seen)) / scale,  r(y) = 2 sqrt(y + 3/8), under which a Poisson count has variance 1 (Anscombe)
    usual = median of the blocks before; scale^2 = mean of (1.4826 MAD of the blocks' r)^2 of the unit and its median over
    all units, at least 1, a Poisson count's own

    With two years of history each window is divided by the season of the same window a year before, the unit's own drawn
    towards that of all units, who count for 20 events. Then it is divided by what all units did in it (the median of three
    and more), so that what happens to all of them lists none: a season that is not known, or a market that shrinks.

    Parameters
    ----------
    counts : array of shape (units, weeks), oldest first; NaN before a unit's beginning
    window, blocks : int
        Weeks that are looked at, and blocks of as many weeks before them; a unit with fewer is not judged.

    References
    ----------
    Anscombe (1948), Biometrika 35, 246-254; Rousseeuw & Croux (1993), JASA 88(424), for the scale.

    Examples
    --------
    >>> steady = np.full((2, 40), 5.0)
    >>> steady[1, -4:] = 0.0
    >>> found = falls(steady)
    >>> found.score[:, -1].round(1).tolist(), found.usual[:, -1].tolist()
    ([0.0, 7.8], [20.0, 20.0])
    """
    c = np.asarray(counts, dtype=float)
    units, weeks = c.shape
    sums = np.full((units, weeks), np.nan)
    if weeks >= window:
        sums[:, window - 1 :] = np.lib.stride_tricks.sliding_window_view(c, window, axis=1).sum(axis=2)
    first = (blocks + 1) * window - 1
    seasonal = weeks - first - year >= FEWEST_REVIEWS
    mean = np.asarray(np.ma.masked_invalid(sums).mean(axis=1, keepdims=True).filled(np.nan))
    season = _season(sums, mean, year) if seasonal else np.ones_like(sums)
    moved = _movement(sums / season, mean)
    season = season * moved
    score, usual = np.full((2, units, weeks), np.nan)
    t = np.arange(first + (year if seasonal else 0), weeks)
    before = t[:, None] - window * np.arange(1, blocks + 1)
    level = np.median(sums[:, before] / season[:, before], axis=2)
    together = np.full(weeks, np.nan)
    together[t] = (moved[:, t] / np.median(moved[:, before], axis=2))[0] if units else np.nan
    usual[:, t] = level * season[:, t]
    off = _root(sums[:, before]) - _root(level[..., None] * season[:, before])
    own = np.square(_TO_SD * np.median(np.abs(off - np.median(off, axis=2, keepdims=True)), axis=2))
    scale = np.sqrt(np.maximum((own + _middle(own)) / 2, 1.0))
    score[:, t] = (_root(usual[:, t]) - _root(sums[:, t])) / scale
    score[~(usual >= _FEWEST)] = np.nan
    return Falls(score, sums, usual, seasonal, together)


def _root(count: Floats) -> Floats:
    return 2 * np.sqrt(count + 3 / 8)


def _season(sums: Floats, mean: Floats, year: int) -> Floats:
    """What each window of a year before was beside the unit's mean, drawn towards that of all units."""
    then, usual = sums[:, :-year], np.where(np.isnan(sums[:, :-year]), np.nan, mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_all = np.nansum(then, axis=0) / np.nansum(usual, axis=0)
    season = np.full_like(sums, np.nan)
    season[:, year:] = (then + _OF_ALL * of_all) / (mean + _OF_ALL)
    return season


def _movement(sums: Floats, mean: Floats) -> Floats:
    """What all units did in each window beside their means: the median, of three and more."""
    ratio = np.divide(sums, mean, out=np.full_like(sums, np.nan), where=mean > 0)
    enough = np.isfinite(ratio).sum(axis=0) >= _FOR_ALL
    return np.ones_like(sums) * np.where(enough, np.maximum(_middle(ratio), _LEAST), 1.0)


def _middle(values: Floats) -> Floats:
    """The median over units at each week; 1 where there is none."""
    held = np.ma.masked_invalid(values)
    return np.asarray(np.ma.median(held, axis=0).filled(1.0)) if values.size else np.ones(values.shape[1:])


def per_review(now: ArrayLike, past: ArrayLike, *, again: int = 1) -> Floats:
    """How many units as unusual as this come up in a review in which nothing has happened.

    U (r + #{past >= s}) / (r + N),  U units judged now, N their scores in past reviews

    Where the same thing stands in r reviews one after the other (`again`), the N scores are as good as N / r, and what
    was never seen in them is as likely to come up as one of N / r.

    The past is the user's own, all units together, so that trends, seasons, and counts that vary more than chance are in it
    as they are. What was unusual then is in it too, which makes the rate too high rather than too low. Listing whatever
    is at or below f gives f false alarms a review where scores now and then come from one law (a permutation
    argument; Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World).

    Parameters
    ----------
    now : array of shape (units,)
        Scores, large where unusual; NaN where a unit is not judged.
    past : array of shape (units, reviews)
    again : int
        Past reviews in which the same thing stands.

    Returns
    -------
    array of shape (units,); NaN where a unit is not judged

    Examples
    --------
    >>> per_review([9.0, 0.5], [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 0.0, 4.0]]).round(2).tolist()
    [0.22, 1.56]
    """
    s, then = np.asarray(now, dtype=float), np.asarray(past, dtype=float)
    then = np.sort(then[np.isfinite(then)])
    judged = np.isfinite(s)
    as_much = then.size - np.searchsorted(then, np.where(judged, s, 0.0), side="left")
    return np.where(judged, judged.sum() * (again + as_much) / (again + then.size), np.nan)
