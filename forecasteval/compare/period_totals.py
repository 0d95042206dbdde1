"""Two forecasters' amounts, period by period: a test for few periods, refused where they are too few."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate, reason
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread
from forecasteval.inference.resemblance import alike, resemblance
from forecasteval.matching.matched import Matched

_LEAST_PERIODS = 8  # fewer: "too few", no test and no interval
_LOSSES = ("absolute", "squared")


@dataclass(frozen=True)
class _SeriesTest:
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

    Parameters
    ----------
    difference : array of shape (periods,), in order of time
    cosines : int, optional
        B, where another than the standard choice is wanted.

    References
    ----------
    Lazarus, Lewis, Stock & Watson (2018), Journal of Business & Economic Statistics 36(4), 541-559.

    Examples
    --------
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


def _paired_t(difference: ArrayLike, *, level: float = 0.95, least: int = _LEAST_PERIODS) -> _SeriesTest:
    """Paired t test on losses by period, with the equal-weighted-cosine test beside it.

    t = mean / (s / sqrt(T)), T - 1 degrees of freedom. For forecasts one period ahead this is the Diebold-
    Mariano statistic with the correction of Harvey, Leybourne and Newbold: DM sqrt((T - 1)/T).

    Parameters
    ----------
    difference : array of shape (periods,), in order of time
        Candidate's loss minus the baseline's.
    least : int
        Fewer periods are refused.

    References
    ----------
    Diebold & Mariano (1995), Journal of Business & Economic Statistics 13(3), 253-263; Harvey, Leybourne &
    Newbold (1997), International Journal of Forecasting 13(2), 281-291.

    Examples
    --------
    >>> _paired_t([1.0, 2.0, 0.0, 1.5, 0.5, 1.0, 2.5, -0.5]).mean.p_value.__round__(4)
    0.0255
    >>> _paired_t([1.0, 2.0, 0.0]).reason
    'Too few periods: 3, at least 8 are needed for a test of period totals.'
    """
    d = np.asarray(difference, dtype=float)
    if not np.isfinite(d).all():
        raise ValueError(f"{int((~np.isfinite(d)).sum())} of {d.size} periods have no finite difference.")
    mean = float(d.mean()) if d.size else math.nan

    def none(code: str, why: str) -> _SeriesTest:
        return _SeriesTest(Estimate(mean, level=level).noted(reason(code, why)), d.size)

    if d.size < max(least, 2):
        why = f"Too few periods: {d.size}, at least {max(least, 2)} are needed for a test of period totals."
        return none("too_few_periods", why)
    se = float(d.std(ddof=1) / math.sqrt(d.size))
    if se <= 1e-12 * np.abs(d).max():
        return none("no_spread", "The difference is the same in every period, so no interval can be formed.")
    check = _ewc(d)
    p_ewc = interval(mean, check, level).p_value
    shown = resemblance(d - mean, np.full(d.size, 1 / d.size))
    found = interval(mean, Spread(se, d.size - 1, "period"), level).noted(
        *alike(shown, mean, se, se, "periods")
    )
    return _SeriesTest(found, d.size, p_ewc, check.df, math.nan if shown is None else shown.p_value)


@dataclass(frozen=True, eq=False)
class Totals:
    """Expected and booked amounts by period, and who was closer.

    ``table`` has period, deals, booked, one column per forecaster with what it expected, and `difference`,
    candidate's loss minus baseline's. ``wmape`` is sum |expected - booked| / sum booked by forecaster;
    ``test`` is about the mean of `difference`. ``left_out`` counts rows without a usable amount or forecast.
    """

    candidate: str
    baseline: str
    loss: str
    table: pd.DataFrame
    wmape: dict[str, float]
    test: _SeriesTest
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        if self.test.reason:
            return {"periods": self.test.periods, "reason": self.test.reason}
        head = {"loss": self.loss, "wmape": self.wmape}
        return head | {"test": self.test.to_dict(), "left_out": self.left_out}


def wmape(expected: ArrayLike, booked: ArrayLike) -> float:
    """Weighted absolute percentage error of amounts by period; 0 is perfect, lower is better.

    sum |expected - booked| / sum booked

    Parameters
    ----------
    expected, booked : arrays of shape (periods,)
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
    e, b = np.asarray(expected, dtype=float), np.asarray(booked, dtype=float)
    total = float(b.sum())
    return float(np.abs(e - b).sum() / total) if total > 0 else math.inf


def period_totals(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    loss: str = "absolute",
    level: float = 0.95,
) -> Totals:
    """Sum of probability times amount against what was booked of the same deals, by period.

    Parameters
    ----------
    matched : DataFrame, one row per deal, seen once in each period
    candidate, baseline : names of forecasters that give probabilities
    loss : "absolute" or "squared" error of the period's total

    Raises
    ------
    CallError
        For a missing column, a deal that is seen twice in one period (the looks overlap: they are not
        separate forecasts of the total), or an unknown loss.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": list("abcd"), "period": ["Q1", "Q1", "Q2", "Q2"], "won": [1, 0, 0, 1],
    ...     "amount": [100.0, 50, 80, 40], "model": [0.9, 0.2, 0.3, 0.5], "rep_forecast": [1, 0.5, 0.5, 0.5]})
    >>> t = period_totals(deals, "model", "rep_forecast")
    >>> t.table["model"].tolist(), t.test.reason
    ([100.0, 44.0], 'Too few periods: 2, at least 8 are needed for a test of period totals.')
    """
    if loss not in _LOSSES:
        raise CallError(f"loss: {loss!r} is not one of {', '.join(_LOSSES)}.")
    matched = Matched.of(matched)
    absent = [c for c in ("period", "amount", candidate, baseline) if not matched.has(c)]
    if absent:
        raise CallError(f"Totals by period need a column {', '.join(absent)}.")
    twice = matched.table.duplicated(["deal_id", "period"])
    if twice.any():
        raise CallError(
            f"{int(twice.sum()):,} rows repeat a deal within a period. Totals need one look at each deal in each "
            "period: take one week."
        )
    c, b, amount = (matched.numbers(name) for name in (candidate, baseline, "amount"))
    outside = {n: v for n, v in ((candidate, c), (baseline, b)) if ((v < 0) | (v > 1)).any()}
    if outside:
        raise CallError(
            f"Totals are expected from probabilities; {' and '.join(outside)} hold other values than 0 to 1."
        )
    won = matched["won"].to_numpy(dtype=float)
    booked = matched.numbers("amount_won") if "amount_won" in matched else won * amount
    c = np.where(
        np.isnan(c), b, c
    )  # as in a comparison, the baseline stands in where the candidate is silent
    usable = np.isfinite(c) & np.isfinite(b) & np.isfinite(amount) & (amount >= 0) & np.isfinite(booked)
    rows = pd.DataFrame(
        {
            "period": matched["period"].astype(str).to_numpy(),
            "when": matched["as_of"].to_numpy() if "as_of" in matched else 0,
            "booked": booked,
            candidate: c * amount,
            baseline: b * amount,
        }
    )[usable]
    grouped = rows.groupby("period", sort=True)
    table = grouped[["booked", candidate, baseline]].sum()
    table.insert(0, "deals", grouped.size())
    table = table.loc[grouped["when"].min().sort_values(kind="stable").index].reset_index()
    error = {n: (table[n] - table["booked"]).to_numpy(dtype=float) for n in (candidate, baseline)}
    size = np.abs if loss == "absolute" else np.square
    table["difference"] = size(error[candidate]) - size(error[baseline])
    return Totals(
        candidate,
        baseline,
        loss,
        table,
        {n: wmape(table[n], table["booked"]) for n in (candidate, baseline)},
        _paired_t(table["difference"], level=level),
        int((~usable).sum()),
    )
