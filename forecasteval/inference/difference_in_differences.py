"""Did those that got something change more than those that did not? One change per unit, two groups of units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Estimate, reason
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread, bell_mccaffrey_df, cr3j, leave_one_out
from forecasteval.inference.limits import LIMITS
from forecasteval.scores.probability import Floats

_FEWEST_A_SIDE = 3  # units: fewer on either side cannot show how much units differ, and give no interval


def difference_in_differences(
    change: ArrayLike, weight: ArrayLike, treated: ArrayLike, *, level: float = 0.95
) -> Estimate:
    """Mean change of the treated units less that of the others, with its interval for new units of both kinds.

    D = sum_T w d / sum_T w - sum_C w d / sum_C w,  d_u the change of unit u from before to after
    SE^2 = SE_T^2 + SE_C^2, each by leaving out one unit of its group at a time (CR3J),
    df = (v_T + v_C)^2 / (v_T^2 / df_T + v_C^2 / df_C), each group's df Bell-McCaffrey's, the smaller of two: with
    v = sum w^2 / (sum w)^2, as if all units varied alike (Bell & McCaffrey), and with v = SE^2 as found (Welch)

    With equal weights the standard error is Welch's (HC2). Each of the two df fails alone: where units vary alike, Welch's call
    7% of nothing an effect at 3 treated of 60; where a feature works on some units only, so that 3 of 6 vary three times as much,
    Bell and McCaffrey's call 8% one. With the smaller it is at most 5.5%, and power at 3 of 6 alike .51 instead of .62.
    Periods are summed into one change for each unit beforehand, so that resemblance of a unit's own periods cannot
    make the interval too narrow. What happens to all units at once cancels; what happens to the treated ones alone at
    the same time, whatever its cause, does not.

    **Few treated units.** Below three on either side there is no interval: how much treated units differ cannot be
    seen from one or two, and borrowing it from the others (Conley & Taber) needs both groups to be alike. The
    estimate is still given.

    Parameters
    ----------
    change, weight : arrays of shape (units,)
        Change from before to after; weights are above 0. With n_0 n_1 / (n_0 + n_1), the cases of a unit before and
        after, D is the coefficient of a regression on units, time and treatment, case by case.
    treated : boolean array of shape (units,)
    level : float

    Returns
    -------
    Estimate; without an interval where a side has fewer than three units or nothing varies, the reason in `reasons`

    Raises
    ------
    ValueError
        For changes that are not finite, and weights that are not above 0.

    References
    ----------
    Bertrand, Duflo & Mullainathan (2004), Quarterly Journal of Economics 119(1), 249-275 (one change per unit); Bell &
    McCaffrey (2002); Imbens & Kolesar (2016), Review of Economics and Statistics 98(4), 701-712, whose 3 treated of 30
    have 2.5 degrees of freedom; Welch (1947), Biometrika 34, 28-35; Conley & Taber (2011), the same 93(1), 113-125.

    Examples
    --------
    >>> e = difference_in_differences([3.0, 5.0, 4.0, 1.0, 0.0, 2.0], np.ones(6), [1, 1, 1, 0, 0, 0])
    >>> e.value, round(e.se, 4), round(e.df, 4), round(e.p_value, 4)
    (3.0, 0.8165, 4.0, 0.0213)
    >>> difference_in_differences([3.0, 1.0, 0.0, 2.0], np.ones(4), [1, 0, 0, 0]).reasons[0]["code"]
    'too_few_treated'
    """
    d, w = (np.asarray(v, dtype=float) for v in (change, weight))
    t = np.asarray(treated, dtype=bool)
    if not np.isfinite(d).all() or not (w > 0).all():
        raise ValueError("Every change must be finite and every weight above 0.")
    sides = [_Side.of(d[of], w[of]) for of in (t, ~t)]
    value = sides[0].mean - sides[1].mean
    for side, code, who in zip(
        sides, ("too_few_treated", "too_few_others"), ("with it", "without it"), strict=True
    ):
        if side.units < _FEWEST_A_SIDE:
            text = f"{side.units} of the units {who}: at least {_FEWEST_A_SIDE} are needed to see how much units differ."
            return Estimate(value, level=level).noted(reason(code, text))
    variance = [side.se**2 for side in sides]
    total = sum(variance)
    if not total > (1e-12 * float(np.abs(d).max(initial=0.0))) ** 2:
        why = "All units of a side changed by the same, so no interval can be formed."
        return Estimate(value, level=level).noted(reason("no_spread", why))
    df = min(
        sum(each) ** 2 / sum(v**2 / side.df for v, side in zip(each, sides, strict=True))
        for each in ([side.alike for side in sides], variance)
    )
    found = interval(value, Spread(math.sqrt(total), df, "unit"), level)
    for side, who in zip(sides, ("with it", "without it"), strict=True):
        if side.largest > LIMITS.largest_share:
            text = f"One of the units {who} holds {side.largest:.0%} of the cases: the result is that of this unit."
            found = found.noted(reason("dominant_unit", text))
    return found


@dataclass(frozen=True)
class _Side:
    """Mean change of one group of units, and how far it can be trusted."""

    mean: float
    se: float
    df: float
    units: int
    largest: float
    alike: float  # its variance where all units vary alike, up to a factor

    @classmethod
    def of(cls, d: Floats, w: Floats) -> _Side:
        if not d.size:
            return cls(math.nan, math.nan, math.nan, 0, math.nan, math.nan)
        share = w / w.sum()
        mean, alike = float(share @ d), float(share @ share)
        if d.size < _FEWEST_A_SIDE:
            return cls(mean, math.nan, math.nan, d.size, float(share.max()), alike)
        spread = cr3j(mean, leave_one_out(w * d, w))
        return cls(mean, spread, bell_mccaffrey_df(share), d.size, float(share.max()), alike)


def restricted_mean(time: ArrayLike, ended: ArrayLike, horizon: float) -> float:
    """Mean time until something happens, counted up to a horizon; cases that still run count for as long as they ran.

    integral from 0 to horizon of S(t) dt, S Kaplan and Meier's estimate

    Parameters
    ----------
    time : array of shape (cases,), at least 0
        Until it happened, or until the case was last seen.
    ended : boolean array of shape (cases,)
        It happened then.
    horizon : float
        In the unit of `time`.

    Returns
    -------
    float; NaN where the last case was lost from sight before the horizon, so that nothing is known of what follows

    References
    ----------
    Kaplan & Meier (1958), JASA 53(282), 457-481; Royston & Parmar (2013), BMC Medical Research Methodology 13:152.

    Examples
    --------
    >>> round(restricted_mean([1.0, 2.0, 9.0], [True, True, False], 5.0), 4)
    2.6667
    >>> restricted_mean([1.0, 2.0], [True, False], 5.0)
    nan
    """
    t, e = np.asarray(time, dtype=float), np.asarray(ended, dtype=bool)
    if t.size == 0:
        return math.nan
    at, place = np.unique(np.minimum(t, horizon), return_inverse=True)
    happened = np.bincount(place, weights=e & (t <= horizon), minlength=at.size)
    at_risk = t.size - np.append(0, np.bincount(place, minlength=at.size).cumsum()[:-1])
    surviving = np.cumprod(1 - happened / at_risk)
    if surviving[-1] > 0 and at[-1] < horizon:
        return math.nan
    steps = np.diff(np.append(0.0, np.append(at, horizon)))
    return float(steps @ np.append(1.0, surviving))
