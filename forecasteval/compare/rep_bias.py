"""Each rep's bias, pulled towards that of all in proportion to how little is known of the rep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.jackknife import t_quantile
from forecasteval.matching.matched import Matched, shown_as

_LEAST_REPS = 5  # fewer: nothing is known of how reps differ
_COLUMNS = ["name", "deals", "wins", "bias", "shrunken", "low", "high", "pulled"]
LEAST_DEALS = 20  # fewer: a rep's own raw bias is not shown


@dataclass(frozen=True)
class _Between:
    """Random effects over groups: their mean, and their standard deviation `tau`."""

    mean: Estimate
    tau: Estimate


def between(effect: ArrayLike, variance: ArrayLike, *, level: float = 0.95) -> _Between:
    """How much groups truly differ, given what chance alone would make of them.

    Q(t) = sum (y - mu_t)^2 / (v + t) with mu_t weighted by 1/(v + t). tau^2 solves Q = k - 1 (Paule and
    Mandel), its interval Q = the quantiles of chi2 with k - 1 degrees of freedom (Q-profile); 0 where Q(0)
    is smaller already.

    Parameters
    ----------
    effect : array of shape (groups,)
    variance : array of shape (groups,), above 0
        Of each effect by chance.

    References
    ----------
    Paule & Mandel (1982), Journal of Research of the NBS 87(5), 377-385; Viechtbauer (2007), Statistics in
    Medicine 26(1), 37-52.

    Examples
    --------
    >>> b = between([0.1, 0.3, -0.1, 0.2, 0.5, 0.0], [0.01] * 6)
    >>> round(b.tau.value, 3), b.tau.low < b.tau.value < b.tau.high
    (0.191, True)
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    y, v = np.asarray(effect, dtype=float), np.asarray(variance, dtype=float)
    if y.size < 2 or not (v > 0).all() or not np.isfinite(y).all():
        raise ValueError("At least two effects, each with a variance above 0, are needed.")

    def q(t: float) -> float:
        w = 1 / (v + t)
        return float((w * np.square(y - (w * y).sum() / w.sum())).sum())

    def solve(target: float) -> float:
        if q(0.0) <= target:
            return 0.0
        top = max(float(np.var(y)), float(v.max()))
        while q(top) > target:
            top *= 4
        return float(brentq(lambda t: q(t) - target, 0.0, top, xtol=1e-14, rtol=1e-12))

    k = y.size - 1
    alpha = (1 - level) / 2
    low, high = (solve(float(chdtri(k, a))) for a in (alpha, 1 - alpha))
    tau2 = solve(k)
    w = 1 / (v + tau2)
    mean = float((w * y).sum() / w.sum())
    half = t_quantile(0.5 + level / 2, k) * (se := float(w.sum() ** -0.5))
    return _Between(
        Estimate(mean, mean - half, mean + half, level, k, se, reliable=True),
        Estimate(math.sqrt(tau2), math.sqrt(low), math.sqrt(high), level, reliable=True),
    )


def _shrink(effect: ArrayLike, variance: ArrayLike, *, level: float = 0.95) -> pd.DataFrame:
    """Each group's effect pulled towards the mean of all, with an interval that the one most looked at may have.

    B = (k - 3)/(k - 1) v/(v + tau^2), shrunken = y - B (y - mean), variance = v (1 - B) + B^2 se(mean)^2
    + 2/(k - 3) B^2 (y - mean)^2 (v_bar + tau^2)/(v + tau^2): the last term is what is not known of tau.
    The mean is weighted by 1/(v + tau^2).

    The interval reaches over both shrunken -+ z sqrt(variance) and y -+ z sqrt(v). Whoever stands out is looked at, and
    each of the two is wrong there on a side of its own: y is too far out where luck chose the group (the winner's
    curse), shrunken too far in where the group is of another kind than the normal law that B assumes. So the far end
    is the group's own, as in Efron and Morris's limited translation, and the near end the pooled one. For the group that
    truly strays most the far end holds whatever the law of effects, for it is chosen without looking at y.

    Parameters
    ----------
    effect : array of shape (groups,), at least 5
    variance : array of shape (groups,), above 0

    Returns
    -------
    DataFrame with shrunken, low, high, pulled (the share B of the way to the mean)

    References
    ----------
    Morris (1983), Journal of the American Statistical Association 78(381), 47-55, section 5; Efron & Morris (1972),
    the same journal 67(337), 130-139 (limited translation). Coverage: tests/benchmarks/bias_of_the_extreme_rep.py.

    Examples
    --------
    >>> _shrink([0.1, 0.3, -0.1, 0.2, 0.5, 0.0], [0.001] * 5 + [1.0])["pulled"].round(2).tolist()
    [0.01, 0.01, 0.01, 0.01, 0.01, 0.58]
    """
    y, v = np.asarray(effect, dtype=float), np.asarray(variance, dtype=float)
    if y.size < _LEAST_REPS:
        raise ValueError(f"{y.size} groups; at least {_LEAST_REPS} are needed to know how they differ.")
    b = between(y, v, level=level)
    k, tau2 = y.size, b.tau.value**2
    pulled = (k - 3) / (k - 1) * v / (v + tau2)
    away = y - b.mean.value
    weight = 1 / (v + tau2)
    typical = float((weight * v).sum() / weight.sum())
    unknown = 2 / (k - 3) * np.square(pulled * away) * (typical + tau2) / (v + tau2)
    se = np.sqrt(v * (1 - pulled) + np.square(pulled * b.mean.se) + unknown)
    z = t_quantile(0.5 + level / 2, math.inf)
    shrunken, own = y - pulled * away, np.sqrt(v)
    low, high = np.minimum(shrunken - z * se, y - z * own), np.maximum(shrunken + z * se, y + z * own)
    return pd.DataFrame({"shrunken": shrunken, "low": low, "high": high, "pulled": pulled})


@dataclass(frozen=True, eq=False)
class RepBias:
    """How far each rep strays, as far as it can be told.

    ``table`` has name, deals, wins, bias (NaN below the least number of deals), shrunken, low, high, pulled;
    most looks at deals first, never by bias. ``mean`` is the typical rep's bias, ``tau`` the standard deviation between
    reps with its interval. ``reason`` says why there is nothing.
    """

    forecaster: str
    table: pd.DataFrame
    mean: Estimate
    tau: Estimate
    level: float
    least: int
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        found: dict[str, Any] = {"forecaster": self.forecaster}
        for name, e in (("mean", self.mean), ("tau", self.tau)):
            found |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
        found |= {"level": self.level, "least": self.least, "reason": self.reason}
        return found | {"reps": self.table.to_dict("records")}


def _by_chance(units: pd.DataFrame, bias: pd.Series, n: pd.Series) -> pd.Series | None:
    """Variance of each rep's bias by chance, from the spread of deals within reps; None where nothing varies."""
    residual = units["sum"] - units["size"] * units["rep"].map(bias)
    spare = len(units) - len(n)
    squares = np.square(units["size"])
    if spare < 1 or not np.square(residual).sum() > 1e-12 * squares.sum():
        return None
    spread = float(np.square(residual).sum() / squares.sum()) * len(units) / spare
    found: pd.Series = spread * squares.groupby(units["rep"]).sum() / np.square(n)
    return found


def _by_rep(
    rows: pd.DataFrame, units: pd.DataFrame, bias: pd.Series, names: Mapping[str, str]
) -> pd.DataFrame:
    """Name, deals, wins and own bias of each rep."""
    reps = bias.index
    wins = rows[rows["won"] == 1].groupby("rep")["deal"].nunique().reindex(reps, fill_value=0)
    return pd.DataFrame(
        {
            "name": [names[r] for r in reps],
            "deals": units.groupby("rep").size().to_numpy(),
            "wins": wins.to_numpy(),
            "bias": bias.to_numpy(),
        }
    )


def rep_bias(
    matched: Matched | pd.DataFrame,
    forecaster: str,
    *,
    level: float = 0.95,
    least: int = LEAST_DEALS,
    show_names: bool | Mapping[str, str] = False,
) -> RepBias:
    """Each rep's bias, mean of probability minus outcome, by partial pooling.

    A rep's own bias has the variance s^2 sum_u n_u^2 / n^2, with n_u the looks at deal u and s^2 the spread of
    deals within reps, pooled over all: a rep with five deals cannot have a spread of its own. Small reps are
    pulled to the mean of all; ranking them by their raw bias would rank their luck. The intervals hold for the rep who
    stands out most, too (:func:`_shrink`).

    Parameters
    ----------
    matched : DataFrame with deal_id, rep, won and the forecaster
    forecaster : str, a probability
    least : int
        Reps with fewer deals are shown by the shrunken value only.
    show_names : bool
        Names instead of pseudonyms; a mapping holds the names of those who stand in the table by an id.

    Raises
    ------
    CallError
        If the forecaster is missing or gives other values than probabilities.

    References
    ----------
    Efron & Morris (1975), Journal of the American Statistical Association 70(350), 311-319; Morris (1983).

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": range(200), "rep": np.arange(200) // 25, "won": [0, 1] * 100, "model": 0.6})
    >>> r = rep_bias(deals, "model")
    >>> r.table.loc[0, "name"], round(r.mean.value, 3)
    ('rep 1', 0.1)
    """
    matched = Matched.of(matched)
    if forecaster not in matched:
        raise CallError(f"There is no forecast named {forecaster}.")
    p = matched.numbers(forecaster)

    def none(why: str) -> RepBias:
        nothing = Estimate(math.nan, level=level)
        return RepBias(forecaster, pd.DataFrame(columns=_COLUMNS), nothing, nothing, level, least, why)

    if ((p < 0) | (p > 1)).any():
        raise CallError(f"{forecaster} holds values outside 0-1: a bias needs probabilities.")
    if not matched.has("rep"):
        return none("The table knows no reps.")
    keep = ~np.isnan(p) & matched["rep"].notna().to_numpy()
    rows = pd.DataFrame({"rep": matched["rep"].astype(str).to_numpy(), "deal": matched["deal_id"].to_numpy()})
    rows["won"] = matched["won"].to_numpy(dtype=float)
    rows = rows.assign(off=p - rows["won"])[keep]
    units = rows.groupby(["rep", "deal"], sort=True)["off"].agg(["sum", "size"]).reset_index()
    n = units.groupby("rep")["size"].sum()
    if len(n) < _LEAST_REPS:
        return none(f"{len(n)} reps: at least {_LEAST_REPS} are needed to know how reps differ.")
    bias = units.groupby("rep")["sum"].sum() / n
    variance = _by_chance(units, bias, n)
    if variance is None:
        return none("The deals of no rep differ from each other, so chance cannot be told from bias.")
    b = between(bias, variance, level=level)
    names = shown_as(matched["rep"].dropna().astype(str), show_names)
    table = _by_rep(rows, units, bias.where(units.groupby("rep").size() >= least), names)
    shrunken = _shrink(bias, variance, level=level)
    ends = shrunken[["low", "high"]].clip(-1, 1)  # no bias lies beyond
    table = pd.concat([table, shrunken.assign(**ends)], axis=1)
    order = np.lexsort((n.index.to_numpy(dtype=str), -n.to_numpy()))  # as pseudonyms are numbered
    table = table.iloc[order].reset_index(drop=True)[_COLUMNS]
    return RepBias(forecaster, table, b.mean, b.tau, level, least)
