"""Scores of forecasts of amounts: ranges and quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.scores.probability import Floats


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


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level!r}; a range of 80% is 0.8.")
    return level


def interval_score(low: ArrayLike, high: ArrayLike, actual: ArrayLike, *, level: float) -> Floats:
    """Cost of a range: its width, and a fine for missing; in the unit of the amounts, lower is better.

    (high - low) + 2/a (low - x)+ + 2/a (x - high)+,  a = 1 - level

    This is Winkler's score; some print it times a/2.

    Parameters
    ----------
    low, high, actual : arrays of shape (ranges,)
    level : float, in (0, 1)
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
