"""Scores of forecasts of amounts: totals, ranges and quantiles, and what is called accuracy in the trade."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Deals, Floats, Metric, each, there


def _range(low: ArrayLike, high: ArrayLike, actual: ArrayLike) -> tuple[Floats, Floats, Floats]:
    a, b, x = (np.asarray(v, dtype=float) for v in (low, high, actual))
    upside_down = b < a
    if upside_down.any():
        first = int(np.argmax(np.atleast_1d(upside_down)))
        raise ValueError(
            f"{int(upside_down.sum())} ranges end below their start; the first is {np.atleast_1d(a)[first]:g} to "
            f"{np.atleast_1d(b)[first]:g} at position {first}."
        )
    return a, b, x


def _checked_level(level: ArrayLike) -> Floats:
    share = np.asarray(level, dtype=float)
    if not ((share > 0) & (share < 1)).all():
        raise ValueError(f"level must lie between 0 and 1, not {level!r}; a range of 80% is 0.8.")
    return share


def interval_score(low: ArrayLike, high: ArrayLike, actual: ArrayLike, *, level: ArrayLike) -> Floats:
    """Cost of a range: its width, and a fine for missing; in the unit of the amounts, lower is better.

    (high - low) + 2/a (low - x)+ + 2/a (x - high)+,  a = 1 - level

    This is Winkler's score; some print it times a/2.

    Parameters
    ----------
    low, high, actual : arrays of shape (ranges,)
    level : float or array of shape (ranges,), in (0, 1)
        The share that such ranges are meant to hold.

    Returns
    -------
    array of shape (ranges,)

    Raises
    ------
    ValueError
        If a range ends below its start, or the level is no share.

    References
    ----------
    Winkler (1972), Journal of the American Statistical Association 67(337), 187-191; Gneiting & Raftery
    (2007), Journal of the American Statistical Association 102(477), 359-378, section 6.2.

    Examples
    --------
    >>> interval_score([0.0, 0.0], [0.4, 0.4], [0.1, 0.5], level=0.5).round(3).tolist()
    [0.4, 0.8]
    """
    a, b, x = _range(low, high, actual)
    fine = 2 / (1 - _checked_level(level))
    return (b - a) + fine * np.maximum(a - x, 0) + fine * np.maximum(x - b, 0)


def quantile_score(forecast: ArrayLike, actual: ArrayLike, *, quantile: float) -> Floats:
    """Cost of one end of a range, or of any quantile; lower is better.

    (1[x < q] - quantile)(q - x). The interval score is 2/a times the sum of those of its two ends.

    Parameters
    ----------
    forecast, actual : arrays of shape (forecasts,)

    Returns
    -------
    array of shape (forecasts,)

    References
    ----------
    Koenker & Bassett (1978), Econometrica 46(1), 33-50; Gneiting & Raftery (2007), section 6.1.

    Examples
    --------
    >>> quantile_score([0.5, 0.1], [0.3, 0.3], quantile=0.2).round(3).tolist()
    [0.16, 0.04]
    """
    q, x = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    return ((x < q) - _checked_level(quantile)) * (q - x)


# --- totals by period and unit ------------------------------------------------------------------------


def _missed(d: Deals, total: Floats) -> Floats:
    return np.abs(total - there(d.amount_won))


TOTAL_METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("wmape", "Error as a share of what was booked", "lower", "sum |F - A| over sum A",
               each(_missed, "amount_won")),
        Metric("bias_share", "Bias as a share of what was booked", "nearer_zero", "sum (F - A) over sum A",
               each(lambda d, total: total - there(d.amount_won), "amount_won")),
        Metric("within_10", "Share of totals within 10%", "higher", "|F - A| at most 0.1 A",
               each(lambda d, total: within(total, there(d.amount_won), 0.1))),
        Metric("mape", "Mean error in percent of each total", "lower", "mean |F - A| / A",
               each(lambda d, total: _missed(d, total) / there(d.amount_won))),
    )
}  # fmt: skip


def wmape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Weighted absolute percentage error of totals; 0 is perfect, lower is better.

    sum |F - A| / sum A

    Parameters
    ----------
    forecast, actual : arrays of shape (totals,)
        Sums over deals. Never single deals: there it rewards saying that nobody wins.

    Returns
    -------
    float; infinite where nothing was booked

    References
    ----------
    Kolassa & Schuetz (2007), Foresight 6, 40-43.

    Examples
    --------
    >>> wmape([110.0, 180.0], [100.0, 200.0])
    0.1
    """
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    total = float(a.sum())
    return float(np.abs(f - a).sum() / total) if total > 0 else math.inf


def within(forecast: ArrayLike, actual: ArrayLike, share: float) -> Floats:
    """1 where a forecast missed by no more than this share of what was booked, else 0.

    >>> within([110, 111, 0], [100, 100, 0], 0.1).tolist()
    [1.0, 0.0, 1.0]
    """
    f, a = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    return (np.abs(f - a) <= share * np.abs(a) * (1 + 1e-12)).astype(float)


ACCURACIES: dict[str, tuple[str, Callable[[Floats, Floats], Floats]]] = {
    "miss_over_actual": ("1 - |F - A| / A", lambda f, a: 1 - np.abs(f - a) / a),
    "miss_over_actual_not_below_0": (
        "1 - |F - A| / A, at least 0",
        lambda f, a: np.maximum(1 - np.abs(f - a) / a, 0),
    ),
    "miss_over_forecast": ("1 - |F - A| / F", lambda f, a: 1 - np.abs(f - a) / f),
    "actual_over_forecast": ("A / F", lambda f, a: a / f),
    "forecast_over_actual": ("F / A (Gong)", lambda f, a: f / a),
    "signed_miss_over_actual": ("1 - (F - A) / A (Forecastio)", lambda f, a: 1 - (f - a) / a),
    "smaller_over_larger": ("min / max", lambda f, a: np.minimum(f, a) / np.maximum(f, a)),
}


def accuracies(forecast: ArrayLike, actual: ArrayLike) -> dict[str, Floats]:
    """One miss under each definition of accuracy that is in circulation.

    Parameters
    ----------
    forecast, actual : arrays of shape (totals,)
        Amounts above 0 in one currency; NaN comes out where a definition divides by zero.

    Returns
    -------
    dict of arrays of shape (totals,), by the names of :data:`ACCURACIES`, which holds the formulas

    References
    ----------
    The products' own documentation: Gong (forecast over actual), Forecastio (no absolute value).

    Examples
    --------
    >>> {k: float(v[0].round(3)) for k, v in accuracies([80.0], [100.0]).items() if v[0] != 0.8}
    {'miss_over_forecast': 0.75, 'actual_over_forecast': 1.25, 'signed_miss_over_actual': 1.2}
    """
    f, a = np.atleast_1d(np.asarray(forecast, dtype=float)), np.atleast_1d(np.asarray(actual, dtype=float))
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {name: how(f, a) for name, (_, how) in ACCURACIES.items()}
    return {name: np.where(np.isfinite(v), v, np.nan) for name, v in found.items()}


def error_floor(probability: ArrayLike, amount: ArrayLike, closed: float = 0.0) -> dict[str, float]:
    """How far even a perfectly calibrated forecast of the sum misses, by chance alone.

    sd = sqrt(sum a^2 p (1 - p)), with independent deals. The sum of many deals is nearly normal, so the mean absolute
    error is sd sqrt(2 / pi) and the chance to land within a share s of the expected total is 2 Phi(s T / sd) - 1.

    Parameters
    ----------
    probability, amount : arrays of shape (deals,)
        Of the open deals; probabilities in [0, 1].
    closed : float
        What is booked already: it makes the total larger and the share smaller.

    Returns
    -------
    dict with expected (total), sd, error (mean absolute error as a share of the total), within_5, within_10

    Raises
    ------
    ValueError
        If a probability lies outside [0, 1].

    References
    ----------
    Variance of a sum of independent Bernoulli outcomes (Poisson-binomial); a shock shared by the deals adds to it.

    Examples
    --------
    >>> {k: round(v, 3) for k, v in error_floor([0.3] * 100, [1.0] * 100).items()}
    {'expected': 30.0, 'sd': 4.583, 'error': 0.122, 'within_5': 0.257, 'within_10': 0.487}
    """
    p, a = np.asarray(probability, dtype=float), np.asarray(amount, dtype=float)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"{int(((p < 0) | (p > 1)).sum())} of {p.size} probabilities lie outside 0 to 1.")
    expected = closed + float((p * a).sum())
    sd = math.sqrt(float((a * a * p * (1 - p)).sum()))
    found = {"expected": expected, "sd": sd}
    if not expected > 0:
        return found | dict.fromkeys(("error", "within_5", "within_10"), math.nan)

    def lands(share: float) -> float:
        return math.erf(share * expected / sd / math.sqrt(2)) if sd > 0 else 1.0

    error = sd * math.sqrt(2 / math.pi) / expected
    return found | {"error": error, "within_5": lands(0.05), "within_10": lands(0.1)}
