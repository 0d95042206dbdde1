"""What forecasts are worth to somebody who acts on them, and how good the calls are that they lead to."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Deals, Floats, Metric, Terms, each

CALL = 0.5  # a deal is called won from this probability on


def attention_value(attended: ArrayLike, won: ArrayLike, *, gain: ArrayLike, cost: float) -> Floats:
    """What attention brings, per deal: its gain where the deal is won, less its cost; higher is better.

    a (g y - c). With one gain for all deals and attention from the probability c / g on, its mean is (g - c) times the net
    benefit TP/n - FP/n t / (1 - t) of a decision curve at the threshold t = c / g.

    It takes attention to a deal that is not won as lost, and the gain as due to the attention: deals that were observed
    cannot show what they would have been without it.

    Parameters
    ----------
    attended : array of shape (deals,), in [0, 1]
        How much of the attention a deal gets: all or none, or a part where ties share.
    won : array of shape (deals,), 0 or 1
    gain : float or array of shape (deals,)
        What attention to a deal that is won brings, in money.
    cost : float
        Of attention to one deal, in the same money.

    Returns
    -------
    array of shape (deals,), in money

    References
    ----------
    Vickers & Elkin (2006), Medical Decision Making 26(6), 565-574.

    Examples
    --------
    >>> attention_value([1, 1, 0], [1, 0, 1], gain=400.0, cost=100.0).tolist()
    [300.0, -100.0, 0.0]
    """
    a, y = np.asarray(attended, dtype=float), np.asarray(won, dtype=float)
    return np.asarray(a * (np.asarray(gain, dtype=float) * y - cost), dtype=float)


def commitment_cost(committed: ArrayLike, booked: ArrayLike, *, over: float, under: float) -> Floats:
    """What a committed total costs: so much per unit promised and not booked, so much per unit booked beyond; lower is better.

    over (F - A)+ + under (A - F)+: (over + under) times the quantile score at under / (over + under), the quantile that it
    pays to commit.

    Parameters
    ----------
    committed, booked : arrays of shape (totals,), in money
    over, under : float, not below 0
        Cost of one unit of money.

    Returns
    -------
    array of shape (totals,), in money

    References
    ----------
    Koenker & Bassett (1978), Econometrica 46(1), 33-50, for the loss; Arrow, Harris & Marschak (1951), Econometrica 19(3),
    250-272, for the choice of a quantity under such costs.

    Examples
    --------
    >>> commitment_cost([120.0, 80.0], [100.0, 100.0], over=0.5, under=0.1).tolist()
    [10.0, 2.0]
    """
    f, a = np.asarray(committed, dtype=float), np.asarray(booked, dtype=float)
    return np.asarray(over * np.maximum(f - a, 0) + under * np.maximum(a - f, 0), dtype=float)


def highest(forecast: ArrayLike, share: float) -> Floats:
    """How much each deal belongs to the highest share of a list; ties at the edge share what is left.

    Parameters
    ----------
    forecast : array of shape (deals,)
        NaN belongs to the end of the list.
    share : float, in (0, 1]

    Returns
    -------
    array of shape (deals,), in [0, 1]; sums to share x deals

    Examples
    --------
    >>> highest([0.9, 0.5, 0.5, 0.1], 0.5).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    f = np.asarray(forecast, dtype=float)
    f = np.where(np.isnan(f), -np.inf, f)
    values, of, count = np.unique(-f, return_inverse=True, return_counts=True)
    before = np.cumsum(count) - count
    part = np.clip((share * f.size - before) / count, 0.0, 1.0)
    return np.asarray(part[of], dtype=float) if values.size else np.zeros(0)


# --- as metrics of a comparison: forecasts are calls (0 or 1) or parts of a list ------------------------


def _precision_terms(d: Deals) -> Terms:
    c, b = ((p >= CALL).astype(float) for p in (d.candidate, d.baseline))
    return Terms(c * d.won, b * d.won, c, b)


PRECISION = Metric(
    "precision", "Precision", "higher", "of the deals called won, the share that was won", _precision_terms
)
RECALL = Metric(
    "recall",
    "Recall",
    "higher",
    "of the deals that were won, the share called won",
    each(lambda d, p: (p >= CALL) * d.won, "won"),
)


def lift(share: float) -> Metric:
    """Share won of the highest share of each list, as a multiple of the share won of all: sum a y / (share sum y).

    ``a`` is :func:`highest`, which stands in the place of the forecasts.
    """

    def terms(d: Deals) -> Terms:
        return Terms(d.candidate * d.won, d.baseline * d.won, share * d.won)

    return Metric("lift", "Lift", "higher", f"share won of the highest {share:.0%}, over that of all", terms)


def precision_at(share: float) -> Metric:
    """Share won of the highest share of each list: sum a y / (share n)."""

    what = f"of the highest {share:.0%}, the share won"

    def terms(d: Deals) -> Terms:
        return Terms(d.candidate * d.won, d.baseline * d.won, np.full(d.won.size, share))

    return Metric("precision_at", "Precision at the top", "higher", what, terms)
