"""A difference of losses, period by period: a paired test for few periods, refused where they are too few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate, reason
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread, leave_one_out
from forecasteval.inference.statistic import LeftOut, Statistic

TEST_FROM = 8  # periods: fewer give no test of totals


@dataclass(frozen=True)
class SeriesTest:
    """Mean difference of losses over periods: the paired t, and beside it a check that never replaces it.

    `p_ewc`, with `df_ewc` degrees of freedom, allows periods to resemble their neighbours; `p_alike` is that of
    periods that do not (:func:`forecasteval.inference.resemblance.resemblance`).
    """

    mean: Estimate
    periods: int
    p_ewc: float = math.nan
    df_ewc: float = math.nan
    p_alike: float = math.nan

    @property
    def reason(self) -> str:
        """Why there is no test; empty where there is one."""
        return "" if self.mean.has_interval else self.mean.reasons[0]["text"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        names = ("se", "df", "low", "high", "p_value")
        found = {"mean": self.mean.value} | {name: getattr(self.mean, name) for name in names}
        found |= {"p_ewc": self.p_ewc, "df_ewc": self.df_ewc, "periods": self.periods}
        found |= {"p_alike": self.p_alike, "reliable": self.mean.reliable, "reasons": list(self.mean.reasons)}
        return found | {"level": self.mean.level, "reason": self.reason}


def _ewc(difference: ArrayLike, *, cosines: int | None = None) -> Spread:
    """Standard error of a mean over time by equal-weighted cosines; never negative.

    Omega = 1/B sum_j [sqrt(2/T) sum_t d_t cos(pi j (t - 1/2)/T)]^2, SE = sqrt(Omega/T), t with B degrees of
    freedom, B = the whole part of 0.4 T^(2/3), at least 1.

    Lazarus, Lewis, Stock & Watson (2018), Journal of Business & Economic Statistics 36(4), 541-559.

    >>> s = _ewc([1.0, 2.0, 0.0, 1.5, 0.5, 1.0, 2.5, -0.5])
    >>> s.df, round(s.se, 4)
    (1, 0.1229)
    """
    d = np.asarray(difference, dtype=float)
    t = d.size
    b = max(int(0.4 * t ** (2 / 3)), 1) if cosines is None else cosines
    if not 1 <= b < t:
        raise ValueError(f"{b} cosines for {t} periods; from 1 to {t - 1} can be used.")
    waves = np.cos(np.pi * np.outer(np.arange(1, b + 1), np.arange(t) + 0.5) / t)
    omega = float(np.square(math.sqrt(2 / t) * waves @ d).mean())
    return Spread(math.sqrt(omega / t), b, "EWC")


def paired_t(difference: ArrayLike, *, level: float = 0.95) -> SeriesTest:
    """Paired t test on losses by period, with the equal-weighted-cosine test beside it.

    t = mean / (s / sqrt(T)), T - 1 degrees of freedom. For forecasts one period ahead this is the Diebold-
    Mariano statistic with the correction of Harvey, Leybourne and Newbold: DM sqrt((T - 1)/T).

    Parameters
    ----------
    difference : array of shape (periods,), in order of time
        One loss minus the other. Fewer than 8 are refused.

    Raises
    ------
    ValueError
        If a difference is not finite.

    References
    ----------
    Diebold & Mariano (1995), Journal of Business & Economic Statistics 13(3), 253-263; Harvey, Leybourne &
    Newbold (1997), International Journal of Forecasting 13(2), 281-291.

    Examples
    --------
    >>> paired_t([1.0, 2.0, 0.0, 1.5, 0.5, 1.0, 2.5, -0.5]).mean.p_value.__round__(4)
    0.0255
    >>> paired_t([1.0, 2.0, 0.0]).reason
    'Too few periods: 3, at least 8 are needed for a test of period totals.'
    """
    d = np.asarray(difference, dtype=float)
    if not np.isfinite(d).all():
        raise ValueError(f"{int((~np.isfinite(d)).sum())} of {d.size} periods have no finite difference.")
    mean = float(d.mean()) if d.size else math.nan

    def none(code: str, why: str) -> SeriesTest:
        return SeriesTest(Estimate(mean, level=level).noted(reason(code, why)), d.size)

    if d.size < TEST_FROM:
        why = f"Too few periods: {d.size}, at least {TEST_FROM} are needed for a test of period totals."
        return none("too_few_periods", why)
    even = np.ones(d.size)
    over = {"period": LeftOut(leave_one_out(d, even), even / d.size)}
    of = Statistic(mean, over, scale=float(np.abs(d).max()))
    if not of.spread(("period",)).se:
        return none("no_spread", "The difference is the same in every period, so no interval can be formed.")
    check, shown = _ewc(d), of.neighbours
    found = of.estimate(("period",), level).noted(*of.doubts(("period",), {"period": "periods"})[1])
    p_ewc = interval(mean, check, level).p_value
    return SeriesTest(found, d.size, p_ewc, check.df, math.nan if shown is None else shown.p_value)
