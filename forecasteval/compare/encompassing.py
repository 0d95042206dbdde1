"""Does the candidate know anything that the baseline does not, and the reverse? And how to mix them best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.compare import rows as sample
from forecasteval.compare.calibration import INFORMATION, LEAST_REPS, codes, doubts
from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import CallError
from forecasteval.inference import ratio_of_sums as estimates
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.logistic import EPSILON, Coefficient, NotEstimable, fit, logit
from forecasteval.inference.questions import needed
from forecasteval.inference.ratio_of_sums import Estimate
from forecasteval.matching.matched import META, has
from forecasteval.scores.probability import Deals, Metric, Terms

Floats = NDArray[np.float64]
HALF = "half and half"


@dataclass(frozen=True)
class Mix:
    """The candidate's weight in the mix with the lowest Brier score: 0 is the baseline alone, 1 the candidate.

    `weight`, `low` and `high` are not clipped: a weight below 0 says that the candidate points the wrong
    way. `use` is the weight within [0, 1]. `reason` says why there is no interval, or no weight.
    """

    weight: float
    low: float
    high: float
    use: float
    method: str
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Encompassing:
    """What each forecaster adds to the other.

    Attributes
    ----------
    candidate, baseline : Coefficient or None
        Coefficient of either's log-odds when both are in the regression; 0 means that it adds nothing.
        Intervals for new reps.
    correlation : float, of the two log-odds
    mix : Mix
    half : dict of Comparison by "candidate" and "baseline"
        The mean of the two against either, by Brier score.
    moved, deals, reps : int
        Probabilities moved from the edge; rows; clusters.
    reasons : tuple of (code, text)
    """

    candidate: Coefficient | None
    baseline: Coefficient | None
    correlation: float
    mix: Mix
    half: dict[str, Comparison]
    moved: int
    deals: int
    reps: int
    reasons: tuple[tuple[str, str], ...]

    @property
    def reliable(self) -> bool:
        """Does nothing speak against believing the intervals?"""
        return all(code in INFORMATION for code, _ in self.reasons)


def _mix_terms(d: Deals) -> Terms:
    gap = d.candidate - d.baseline
    return Terms(gap * (d.won - d.baseline), np.zeros_like(gap), np.square(gap))


_WEIGHT = Metric("mix_weight", "Weight", "higher", "weight of the candidate in the best mix", _mix_terms)


def best_mix(
    matched: pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    generalise_to: tuple[str, ...],
    level: float = 0.95,
) -> Mix:
    """The candidate's weight in the linear mix with the lowest Brier score, with its interval.

    Brier of b + w (c - b) is lowest at w = sum (c - b)(y - b) / sum (c - b)^2: a ratio of sums, so the
    interval is the comparison's own, by leaving out whole clusters.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`forecasteval.compare`, two probabilities
    generalise_to : tuple of str
    level : float

    Returns
    -------
    Mix

    References
    ----------
    Bates & Granger (1969), Operational Research Quarterly 20(4), 451-468; Granger & Ramanathan (1984),
    Journal of Forecasting 3(2), 197-204.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": range(4), "won": [1, 0, 1, 0], "m": [1.0, 0, 0.5, 0.5], "r": [0.5] * 4})
    >>> best_mix(deals, "m", "r", generalise_to=("deal",)).weight
    1.0
    """
    s = sample.united(_pair(matched, candidate, baseline, generalise_to))
    gap = np.square(s.deals.candidate - s.deals.baseline).sum()
    nan = math.nan
    if not gap > 0:
        return Mix(nan, nan, nan, nan, "", "The two say the same of every deal; every mix is the same.")
    units = "deal" in generalise_to
    e = estimates.of_ratio(_WEIGHT, s.deals, s.grouping(), needed(generalise_to), units=units)
    weight, use = e.difference, float(np.clip(e.difference, 0, 1))
    why = _too_few(e, generalise_to)
    if why:
        return Mix(weight, nan, nan, use, "", why)
    i = e.interval(generalise_to, level=level)
    if math.isnan(i.low):
        return Mix(weight, nan, nan, use, "", "The weight does not vary between the clusters.")
    return Mix(weight, i.low, i.high, use, e.spread(generalise_to).method)


def _pair(matched: pd.DataFrame, candidate: str, baseline: str, dimensions: tuple[str, ...]) -> sample.Sample:
    s = sample.read(matched, candidate, baseline, dimensions)
    s = s.only(~(np.isnan(s.deals.candidate) | np.isnan(s.deals.baseline)))
    for name, p in ((candidate, s.deals.candidate), (baseline, s.deals.baseline)):
        if ((p < 0) | (p > 1)).any():
            raise CallError(f"{name} holds values outside 0-1: a mix needs two probabilities.")
    return s


def _too_few(e: Estimate, generalise_to: tuple[str, ...]) -> str:
    for dimension in generalise_to:
        if dimension != "deal":
            n, least = e.clusters(dimension).count, MIN_CLUSTERS[dimension]
            if n < least:
                return f"{n} {dimension}s: at least {least} are needed for an interval of the weight."
            if not e.over[dimension].defined:
                return f"One {dimension} holds all that the weight rests on."
    return ""


def encompassing(
    matched: pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    generalise_to: tuple[str, ...] | None = None,
    level: float = 0.95,
    epsilon: float = EPSILON,
    seed: int = 0,
) -> Encompassing:
    """Does either forecaster add to what the other says?

    log-odds(won) = a + b log-odds(baseline) + c log-odds(candidate). Where c is 0 the baseline encompasses
    the candidate: whoever has the one needs the other no more. Intervals by leaving out one rep at a time
    (CR3J), as in a comparison. Deals on which one of the two is silent are left out.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`forecasteval.compare`, two probabilities
    generalise_to : tuple of str, optional
        For the weight of the mix and the scores of half and half; as in :func:`forecasteval.compare`.
    level : float
    epsilon : float
        Probabilities closer to 0 or 1 are moved there for their log-odds, and counted.
    seed : int

    Returns
    -------
    Encompassing; `reasons` says why a coefficient is missing (collinear, separation, too few reps, one class)

    Raises
    ------
    CallError
        If one of the two gives no probabilities.

    References
    ----------
    Chong & Hendry (1986), Review of Economic Studies 53(4), 671-690; Clements & Harvey (2010), Journal of
    Applied Econometrics 25(6), 1028-1062, for probabilities.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> known, extra = rng.normal(size=(2, 3000))
    >>> won = (rng.random(3000) < 1 / (1 + np.exp(-known - extra))).astype(int)
    >>> deals = pd.DataFrame({"deal_id": range(3000), "rep": np.arange(3000) % 20, "won": won,
    ...     "model": 1 / (1 + np.exp(-known - extra)), "rep_forecast": 1 / (1 + np.exp(-known))})
    >>> e = encompassing(deals, "model", "rep_forecast")
    >>> e.candidate.low > 0, e.baseline.low < 0 < e.baseline.high, 0.9 < e.mix.weight < 1.1
    (True, True, True)
    """
    both = matched.loc[matched[candidate].notna() & matched[baseline].notna()].reset_index(drop=True)
    half = both.copy(deep=False)
    meta = matched.attrs.get(META, {})
    half.attrs = {META: {k: v for k, v in meta.items() if k != "flow"}}
    if generalise_to is None:
        there = tuple(d for d in ("rep", "period") if has(matched, d))
        generalise_to = there or ("deal",)
    s = _pair(both, candidate, baseline, generalise_to)
    c, b, y = s.deals.candidate, s.deals.baseline, s.deals.won
    half[HALF] = (c + b) / 2
    options: dict[str, Any] = {"metrics": ["brier"], "generalise_to": generalise_to, "level": level}
    scored = {
        "candidate": compare(half, HALF, candidate, seed=seed, **options),
        "baseline": compare(half, HALF, baseline, seed=seed, **options),
    }
    (said_c, moved_c), (said_b, moved_b) = logit(c, epsilon=epsilon), logit(b, epsilon=epsilon)
    known = has(both, "rep")
    g = codes(sample.united(_pair(both, candidate, baseline, ("rep",))).rep if known else None, y.size)
    reps = int(g.max(initial=-1)) + 1
    reasons: list[tuple[str, str]] = []
    if not known:
        reasons.append(("no_reps", "The table knows no reps, so deals count as independent of each other."))
    if moved_c + moved_b:
        text = f"{moved_c + moved_b:,} probabilities lie within {epsilon:g} of 0 or 1 and are moved there."
        reasons.append(("moved_from_the_edge", text))
    varies = y.size > 1 and np.ptp(said_c) > 0 and np.ptp(said_b) > 0
    correlation = float(np.corrcoef(said_c, said_b)[0, 1]) if varies else math.nan
    of_candidate = of_baseline = None
    if reps < LEAST_REPS:
        text = f"{reps} reps: at least {LEAST_REPS} are needed to speak about new reps."
        reasons.append(("too_few_reps", text))
    else:
        try:
            fitted = fit(np.column_stack([np.ones(y.size), said_b, said_c]), y, g)
            of_baseline, of_candidate = (fitted.coefficient(k, level=level) for k in (1, 2))
        except NotEstimable as refused:
            reasons.append((refused.code, str(refused)))
        reasons += doubts(y, g) if y.min() != y.max() else []
    return Encompassing(
        of_candidate,
        of_baseline,
        correlation,
        best_mix(both, candidate, baseline, generalise_to=generalise_to, level=level),
        scored,
        moved_c + moved_b,
        int(y.size),
        reps,
        tuple(reasons),
    )
