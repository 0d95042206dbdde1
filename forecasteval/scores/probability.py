"""Per-deal scores, pure functions on arrays, and how each becomes a ratio of sums.

A metric is ``R = sum(x) / sum(z)`` over deals; :data:`METRICS` is the closed list. The area under the
ROC curve is the one exception: it counts pairs, and :func:`rank_pairs` counts them within clusters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_Ints = NDArray[np.intp]


def _checked(probability: ArrayLike, won: ArrayLike) -> tuple[Floats, Floats]:
    """Both arguments as float arrays of one shape, refused with a sentence when they are not a forecast."""
    p, y = np.asarray(probability, dtype=float), np.asarray(won, dtype=float)
    if p.shape != y.shape:
        raise ValueError(f"{p.shape} probabilities for {y.shape} outcomes; one each is needed.")
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        first = int(np.argmax(outside))
        raise ValueError(
            f"{int(outside.sum())} probabilities lie outside [0, 1]; the first is {p.flat[first]:g} at "
            f"position {first}. Percentages are to be divided by 100; a missing forecast is left empty."
        )
    wrong = ~((y == 0) | (y == 1))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ValueError(
            f"{int(wrong.sum())} outcomes are not 0 or 1; the first is {y.flat[first]:g} at position {first}."
        )
    return p, y


def brier(probability: ArrayLike, won: ArrayLike) -> Floats:
    """Squared error of a win probability, per deal; 0 is perfect, lower is better.

    (p - y)^2

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    won : array of shape (deals,), 0 or 1

    Returns
    -------
    array of shape (deals,)

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1] or an outcome is not 0 or 1; says how many, shows the first.

    References
    ----------
    Brier (1950), Monthly Weather Review 78(1), 1-3.

    Examples
    --------
    >>> brier([0.9, 0.2], [1, 0]).round(2).tolist()
    [0.01, 0.04]
    """
    p, y = _checked(probability, won)
    return np.square(p - y)


def log_score(probability: ArrayLike, won: ArrayLike, *, epsilon: float = 0.0) -> Floats:
    """Surprise at what happened, per deal; 0 is perfect, lower is better, infinite for a sure miss.

    -log(p) where won, -log(1 - p) where not. With ``epsilon`` the probabilities are first moved into
    [epsilon, 1 - epsilon]: a declared choice, never a silent one.

    Parameters
    ----------
    probability : array of shape (deals,), in [0, 1]
    won : array of shape (deals,), 0 or 1
    epsilon : float, in [0, 0.5)

    Returns
    -------
    array of shape (deals,), in nats

    Raises
    ------
    ValueError
        As for :func:`brier`.

    References
    ----------
    Good (1952), Journal of the Royal Statistical Society B 14(1), 107-114.

    Examples
    --------
    >>> log_score([0.481, 1.0], [0, 0]).round(4).tolist()
    [0.6559, inf]
    """
    p, y = _checked(probability, won)
    if epsilon > 0:
        p = np.clip(p, epsilon, 1 - epsilon)
    # + 0.0 turns the -0.0 of a sure hit into 0.0
    with np.errstate(divide="ignore"):
        return -np.log(np.where(y == 1, p, 1 - p)) + 0.0


@dataclass(frozen=True, slots=True)
class Deals:
    """What a metric may look at: arrays of shape (deals,), amounts ``None`` where the table has none."""

    won: Floats
    candidate: Floats
    baseline: Floats
    amount: Floats | None = None
    amount_won: Floats | None = None
    epsilon: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Per-deal numerators of candidate and baseline and their common denominator, shape (deals,).

    Where the baseline has a denominator of its own (of the deals that each calls won, say), it is ``z_baseline``.
    """

    candidate: Floats
    baseline: Floats
    z: Floats | None  # None stands for 1 a deal
    z_baseline: Floats | None = None


@dataclass(frozen=True)
class Metric:
    """One entry of the closed list.

    ``better`` is ``lower``, ``higher`` or ``nearer_zero``; ``label`` is what a reader sees; ``terms`` gives
    the sums; ``needs`` names the columns beyond outcome and forecasts; ``digits`` are shown in sentences.
    """

    name: str
    label: str
    better: str
    gloss: str
    terms: Callable[[Deals], Terms] | None
    needs: tuple[str, ...] = ()
    is_skill: bool = False


def each(loss: Callable[[Deals, Floats], Floats], over: str = "") -> Callable[[Deals], Terms]:
    """The terms of a score that is one function of the deals and of what was said, over 1 a deal or over a column."""

    def terms(d: Deals) -> Terms:
        return Terms(loss(d, d.candidate), loss(d, d.baseline), getattr(d, over) if over else None)

    return terms


def there(amounts: Floats | None) -> Floats:
    """Amounts, of a table that has them."""
    assert amounts is not None
    return amounts


_squared_gap = each(lambda d, p: np.square(p - d.won))

METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric(
            "brier",
            "Brier score",
            "lower",
            "mean squared gap between the probability and what happened (1 won, 0 not); 0 is perfect",
            _squared_gap,
        ),
        Metric(
            "log_score",
            "Log score",
            "lower",
            "mean surprise at what happened; punishes being sure and wrong; 0 is perfect",
            each(lambda d, p: log_score(p, d.won, epsilon=d.epsilon)),
        ),
        Metric(
            "auc",
            "AUC",
            "higher",
            "chance that a won deal was ranked above one that was not won; 0.5 is a coin toss, 1 is perfect",
            None,
        ),
        Metric(
            "brier_skill",
            "Brier skill",
            "higher",
            "share of the baseline's Brier score that the candidate removes",
            _squared_gap,
            is_skill=True,
        ),
        Metric(
            "brier_by_amount",
            "Brier score by amount",
            "lower",
            "the Brier score with each deal counted by its amount",
            each(lambda d, p: there(d.amount) * np.square(p - d.won), "amount"),
            needs=("amount",),
        ),
        Metric(
            "bias",
            "Bias",
            "nearer_zero",
            "mean probability minus the share that was won; above 0 is too optimistic",
            each(lambda d, p: p - d.won),
        ),
        Metric(
            "bias_by_amount",
            "Bias by amount",
            "nearer_zero",
            "expected bookings minus bookings, as a share of bookings; above 0 is too optimistic",
            each(lambda d, p: there(d.amount) * p - there(d.amount_won), "amount_won"),
            needs=("amount",),
        ),
    )
}
DEFAULT_METRICS = ("brier", "log_score", "auc", "brier_by_amount", "bias")


@dataclass(frozen=True, slots=True)
class _Ranking:
    """A forecast's order of the deals, computed once: what every count of pairs starts from."""

    order: _Ints  # deals from the lowest forecast to the highest
    tied: NDArray[np.bool_]  # in that order: is this forecast equal to the one before?
    won: Floats  # in the deals' own order


def rank(forecast: ArrayLike, won: ArrayLike) -> _Ranking:
    """Sort the deals by their forecast, remembering ties.

    Parameters
    ----------
    forecast : array of shape (deals,), any scale; higher means likelier to be won
    won : array of shape (deals,), 0 or 1

    Examples
    --------
    >>> rank([0.5, 0.1, 0.5], [1, 0, 0]).tied.tolist()
    [False, False, True]
    """
    # float32 ties and rounding made an AUC above 1 elsewhere; float64 throughout
    f = np.asarray(forecast, dtype=float)
    order = np.argsort(f, kind="stable")
    ordered = f[order]
    tied = np.zeros(f.size, dtype=bool)
    tied[1:] = ordered[1:] == ordered[:-1]
    return _Ranking(order, tied, np.asarray(won, dtype=float))


def placements(ranking: _Ranking) -> Floats:
    """For each won deal the not-won ones below it, for each other the won ones above; ties count half.

    Returns
    -------
    array of shape (deals,), in the deals' own order

    Examples
    --------
    >>> placements(rank([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0])).tolist()
    [2.0, 1.5, 1.5, 2.0]
    """
    won = ranking.won[ranking.order]
    starts = np.flatnonzero(~ranking.tied)
    run = np.cumsum(~ranking.tied) - 1
    wins = np.add.reduceat(won, starts)
    size = np.diff(np.append(starts, won.size))
    losses = size - wins
    losses_below = np.cumsum(losses) - losses / 2
    wins_above = wins.sum() - np.cumsum(wins) + wins / 2
    placed = np.empty(won.size)
    placed[ranking.order] = np.where(won == 1, losses_below[run], wins_above[run])
    return placed


def rank_pairs(ranking: _Ranking, group: NDArray[np.integer], groups: int) -> Floats:
    """Pairs of a won and a not-won deal of one group in which the won one is ranked above, ties half.

    Parameters
    ----------
    group : integer array of shape (deals,), in 0..groups-1

    Returns
    -------
    array of shape (groups,)

    Examples
    --------
    >>> rank_pairs(rank([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0]), np.array([0, 1, 1, 0]), 2).tolist()
    [1.0, 0.5]
    """
    small = np.uint16 if groups <= 2**16 else np.int64  # 16 bits are sorted by radix: linear time
    codes = group.astype(small)[ranking.order]
    within = np.argsort(codes, kind="stable")
    codes = codes[within]
    run = np.cumsum(~ranking.tied, dtype=np.int32)[within]
    won = ranking.won[ranking.order][within]
    new_group = np.ones(codes.size, dtype=bool)
    new_group[1:] = codes[1:] != codes[:-1]
    new_run = new_group.copy()
    new_run[1:] |= run[1:] != run[:-1]
    starts = np.flatnonzero(new_run)
    wins = np.add.reduceat(won, starts)
    losses = np.diff(np.append(starts, won.size)) - wins
    before = np.cumsum(losses) - losses
    first = np.flatnonzero(new_group[starts])  # the run that opens each group
    before -= np.repeat(before[first], np.diff(np.append(first, starts.size)))
    pairs = wins * (before + losses / 2)
    return np.asarray(np.bincount(codes[starts], weights=pairs, minlength=groups), dtype=float)


def auc(forecast: ArrayLike, won: ArrayLike) -> float:
    """Probability that a won deal is ranked above one that was not won, ties half.

    sum over pairs of [f_won > f_lost] + [f_won = f_lost] / 2, over the number of pairs

    Parameters
    ----------
    forecast : array of shape (deals,), probability or rank score
    won : array of shape (deals,), 0 or 1

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        If every deal was won or none was.

    References
    ----------
    Hanley & McNeil (1982), Radiology 143(1), 29-36.

    Examples
    --------
    >>> auc([0.9, 0.4, 0.4, 0.1], [1, 1, 0, 0])
    0.875
    """
    ranking = rank(forecast, won)
    wins = float(ranking.won.sum())
    losses = ranking.won.size - wins
    if wins == 0 or losses == 0:
        raise ValueError("AUC needs at least one deal that was won and one that was not.")
    return float(placements(ranking)[ranking.won == 1].sum() / (wins * losses))
