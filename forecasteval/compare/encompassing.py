"""Does the candidate know anything that the baseline does not, and the reverse? And how to mix them best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.compare.calibration import NO_REPS, codes, doubts_of_fit
from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.pair import pair_of
from forecasteval.compare.rows import Rows
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate, Reason, against, reason
from forecasteval.inference.grouping import Codes
from forecasteval.inference.limits import too_few
from forecasteval.inference.logistic import EPSILON, TOO_ALIKE, NotEstimable, fit, logit
from forecasteval.inference.questions import needed
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import Deals, Floats, Metric, Terms

_HALF = "half and half"
_NOUNS = {"rep": "reps", "account": "accounts", "period": "periods"}


@dataclass(frozen=True)
class _Mix:
    """The candidate's weight in the mix with the lowest Brier score: 0 is the baseline alone, 1 the candidate.

    `weight` is not clipped: one below 0 says that the candidate points the wrong way; its reasons say why there is
    no interval, or no weight. `use` is the weight within [0, 1].
    """

    weight: Estimate
    use: float
    method: str = ""

    @property
    def reason(self) -> str:
        """Why there is no interval; empty where there is one."""
        return self.weight.reasons[0]["text"] if self.weight.reasons else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        w = self.weight
        ends = {"weight": w.value, "low": w.low, "high": w.high}
        return ends | {"use": self.use, "method": self.method, "reason": self.reason}


@dataclass(frozen=True, eq=False)
class Encompassing:
    """What each forecaster adds to the other.

    Attributes
    ----------
    candidate, baseline : Estimate or None
        Coefficient of either's log-odds when both are in the regression; 0 means that it adds nothing.
        Intervals for new reps.
    correlation : float, of the two log-odds
    half : dict of Comparison by "candidate" and "baseline"
        The mean of the two against either, by Brier score.
    moved, deals, reps : int
        Probabilities moved from the edge; units; clusters.
    reasons : tuple of {code, text}
    """

    candidate: Estimate | None
    baseline: Estimate | None
    correlation: float
    mix: _Mix
    half: dict[str, Comparison]
    moved: int
    deals: int
    reps: int
    reasons: tuple[Reason, ...]

    @property
    def reliable(self) -> bool:
        """Does nothing speak against believing the intervals?"""
        return not against(self.reasons)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {
            "candidate": self.candidate and self.candidate.to_dict(),
            "baseline": self.baseline and self.baseline.to_dict(),
            "correlation": self.correlation,
            "best_mix": self.mix.to_dict(),
            "half_and_half": {name: c.primary for name, c in self.half.items()},
            "reasons": self.reasons,
        }


def _mix_terms(d: Deals) -> Terms:
    gap = d.candidate - d.baseline
    return Terms(gap * (d.won - d.baseline), np.zeros_like(gap), np.square(gap))


_WEIGHT = Metric("mix_weight", "Weight", "higher", "weight of the candidate in the best mix", _mix_terms)


def best_mix(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    generalise_to: tuple[str, ...],
    level: float = 0.95,
) -> _Mix:
    """The candidate's weight in the linear mix with the lowest Brier score, with its interval.

    Brier of b + w (c - b) is lowest at w = sum (c - b)(y - b) / sum (c - b)^2: a ratio of sums, so the
    interval is the comparison's own, by leaving out whole clusters.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`forecasteval.compare`, two probabilities

    References
    ----------
    Bates & Granger (1969), Operational Research Quarterly 20(4), 451-468; Granger & Ramanathan (1984),
    Journal of Forecasting 3(2), 197-204.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": range(4), "won": [1, 0, 1, 0], "m": [1.0, 0, 0.5, 0.5], "r": [0.5] * 4})
    >>> best_mix(deals, "m", "r", generalise_to=("deal",)).weight.value
    1.0
    """
    rows = Rows.of(_both(Matched.of(matched), candidate, baseline), candidate, baseline, generalise_to)
    nothing = Estimate(math.nan, level=level)
    if not np.square(rows.deals.candidate - rows.deals.baseline).sum() > 0:
        text = "The two say the same of every deal; every mix is the same."
        return _Mix(nothing.noted(reason("identical", text)), math.nan)
    units = "deal" in generalise_to
    weight = pair_of(_WEIGHT, rows.deals, rows.groups, needed(generalise_to), units=units).difference
    use = float(np.clip(weight.value, 0, 1))
    possible, why = weight.doubts(generalise_to, _NOUNS)
    if not possible:
        return _Mix(replace(nothing, value=weight.value).noted(*why), use)
    found = weight.estimate(generalise_to, level)
    if not found.has_interval:
        text = "The weight does not vary between the clusters."
        return _Mix(found.noted(reason("no_spread", text)), use)
    return _Mix(found, use, weight.spread(generalise_to).method)


def _both(matched: Matched, candidate: str, baseline: str) -> Matched:
    """The rows on which both give a probability."""
    for name in (candidate, baseline):
        p = matched.numbers(name)
        if ((p < 0) | (p > 1)).any():
            raise CallError(f"{name} holds values outside 0-1: a mix needs two probabilities.")
    return matched.rows((matched[candidate].notna() & matched[baseline].notna()).to_numpy(), flow=[])


def _correlation(a: Floats, b: Floats) -> float:
    varies = a.size > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
    return float(np.corrcoef(a, b)[0, 1]) if varies else math.nan


def _halves(
    both: Matched, names: tuple[str, str], half: Floats, question: tuple[str, ...], level: float, seed: int
) -> dict[str, Comparison]:
    """The mean of the two against either of them, by Brier score."""
    mixed = replace(both, table=both.table.assign(**{_HALF: half}))
    options: dict[str, Any] = {"metrics": ["brier"], "generalise_to": question, "level": level, "seed": seed}
    return {
        who: compare(mixed, _HALF, name, **options)
        for who, name in zip(("candidate", "baseline"), names, strict=True)
    }


def encompassing(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    generalise_to: Sequence[str] | None = None,
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
    epsilon : float
        Probabilities closer to 0 or 1 are moved there for their log-odds, and counted.

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
    >>> e.candidate.low > 0, e.baseline.low < 0 < e.baseline.high, 0.9 < e.mix.weight.value < 1.1
    (True, True, True)
    """
    both = _both(Matched.of(matched), candidate, baseline)
    known = both.has("rep")
    if generalise_to is None:
        generalise_to = tuple(d for d in ("rep", "period") if both.has(d)) or ("deal",)
    question = tuple(generalise_to)
    rows = Rows.of(both, candidate, baseline, ("rep",) if known else ())
    c, b, y = rows.deals.candidate, rows.deals.baseline, rows.deals.won
    scored = _halves(both, (candidate, baseline), (c + b) / 2, question, level, seed)
    (said_c, moved_c), (said_b, moved_b) = logit(c, epsilon=epsilon), logit(b, epsilon=epsilon)
    g = codes(rows.unit if rows.rep is None else rows.rep, y.size)
    reasons: list[Reason] = [] if known else [reason("no_reps", NO_REPS)]
    if moved_c + moved_b:
        text = f"{moved_c + moved_b:,} probabilities lie within {epsilon:g} of 0 or 1 and are moved there."
        reasons.append(reason("moved_from_the_edge", text))
    design = np.column_stack([np.ones(y.size), said_b, said_c])
    weights, reps, missing = _weights(design, y, g, rows.unit, level)
    of_baseline, of_candidate = weights or (None, None)
    reasons += missing
    mix = best_mix(both, candidate, baseline, generalise_to=question, level=level)
    together = _correlation(said_c, said_b)
    moved = moved_c + moved_b
    return Encompassing(
        of_candidate, of_baseline, together, mix, scored, moved, rows.distinct, reps, tuple(reasons)
    )


def _weights(
    design: Floats, won: Floats, g: NDArray[np.intp], unit: Codes | None, level: float, told: str = ""
) -> tuple[list[Estimate], int, list[Reason]]:
    """Coefficients after the constant with intervals for new reps, none where they cannot be had; reps; what speaks against it.

    ``told`` names what the last column says, and is refused where the others tell it all but wholly.
    """
    reps = int(g.max(initial=-1)) + 1
    if missing := too_few(reps, "rep", "reps"):
        return [], reps, missing
    found: list[Estimate] = []
    reasons: list[Reason] = []
    try:
        if told:
            _refuse_told(design, told)
        fitted = fit(design, won, g)
        found = [fitted.estimate(k, level=level) for k in range(1, design.shape[1])]
    except NotEstimable as refused:
        reasons.append(reason(refused.code, str(refused)))
    return found, reps, reasons + (doubts_of_fit(won, g, unit) if won.min() != won.max() else [])


# --- a score of any kind beside several forecasters -----------------------------------------------------


@dataclass(frozen=True, eq=False)
class Adds:
    """What a score adds to what several forecasters say together.

    Attributes
    ----------
    weight : Estimate or None
        Coefficient of the score when all are in the regression, 0 where it adds nothing: of its log-odds, or, for a score
        that only ranks, of one standard deviation of its normal scores. Interval for new reps; None where `reasons` say why.
    beside : tuple of str
        The forecasters that it stands beside.
    share : float
        Of the deals, those about which all of them speak and the score does as well.
    """

    candidate: str
    beside: tuple[str, ...]
    weight: Estimate | None
    ranks: bool
    share: float
    deals: int
    reps: int
    reasons: tuple[Reason, ...]

    @property
    def verdict(self) -> str:
        """Whether it adds anything: yes, not shown, wrong way, or cannot be told."""
        w = self.weight
        if w is None or not w.has_interval or against(self.reasons):
            return "cannot be told"
        return "yes" if w.low > 0 else "wrong way" if w.high < 0 else "not shown"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        names = ("candidate", "beside", "verdict", "ranks", "share", "deals", "reps", "reasons")
        return {n: getattr(self, n) for n in names} | {"weight": self.weight and self.weight.to_dict()}


def adds(
    matched: Matched | pd.DataFrame,
    candidate: str,
    beside: Sequence[str] = ("rep_forecast", "stage_rate"),
    *,
    level: float = 0.95,
    epsilon: float = EPSILON,
) -> Adds:
    """Does a score add anything to what several forecasters already say, such as call analysis to reps and stages?

    log-odds(won) = a + sum_k b_k log-odds(p_k) + c s, s the log-odds of a probability or the normal scores of ranks
    (van der Waerden). Where c is 0, whoever has the others needs the score no more. Interval by leaving out one rep at a time
    (CR3J), as in :func:`encompassing`. Only the deals about which all of them and the score speak.

    Parameters
    ----------
    matched : as in :func:`forecasteval.compare`
    candidate : a probability or a score that only ranks
    beside : forecasters that give probabilities; those that the table does not have are left out, and said

    Returns
    -------
    Adds; `share` says on how many of the deals it rests, since a call that was not recorded has no score

    Raises
    ------
    CallError
        If the score, or all of the forecasters, are not there, or one of them gives no probabilities.

    References
    ----------
    Clements & Harvey (2010), Journal of Applied Econometrics 25(6), 1028-1062; van der Waerden (1952), Indagationes
    Mathematicae 14, 453-458, for normal scores.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> known, heard = rng.normal(size=(2, 3000))
    >>> won = (rng.random(3000) < 1 / (1 + np.exp(-known - heard))).astype(int)
    >>> deals = pd.DataFrame({"deal_id": range(3000), "rep": np.arange(3000) % 20, "won": won,
    ...     "call_score": heard * 10 + 50, "rep_forecast": 1 / (1 + np.exp(-known))})
    >>> found = adds(deals, "call_score", ["rep_forecast"])
    >>> found.verdict, round(found.weight.value, 1)
    ('yes', 1.1)
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    matched = Matched.of(matched)
    there = tuple(n for n in beside if n in matched and n != candidate)
    if candidate not in matched or not there:
        absent = candidate if candidate not in matched else ", ".join(beside)
        raise CallError(
            f"There is no forecast named {absent}; the table has {', '.join(matched.names) or 'none'}."
        )
    spoken = matched.table[[*there, candidate]].notna().all(axis=1).to_numpy()
    rows = matched.rows(spoken, flow=[])
    reasons: list[Reason] = []
    if silent := [n for n in beside if n not in matched]:
        reasons.append(
            reason(
                "default_dropped", f"{', '.join(silent)} does not speak about these deals and is left out."
            )
        )
    if wrong := [n for n in there if not rows.is_probability(n)]:
        raise CallError(f"{wrong[0]} gives no probabilities: a score is held beside those who do.")
    ranks = not rows.is_probability(candidate)
    said = rows.numbers(candidate)
    own = ndtri(rankdata(said) / (said.size + 1)) if ranks else logit(said, epsilon=epsilon)[0]
    design = np.column_stack(
        [np.ones(said.size), *(logit(rows.numbers(n), epsilon=epsilon)[0] for n in there), own]
    )
    y, known = rows["won"].to_numpy(dtype=float), rows.has("rep")
    g = codes(pd.factorize(rows["rep"] if known else rows["deal_id"])[0], y.size)
    unit = pd.factorize(rows["deal_id"])[0].astype(np.int32)
    weights, reps, missing = _weights(design, y, g, unit, level, told=candidate)
    weight = weights[-1] if weights else None
    reasons += missing if known else [reason("no_reps", NO_REPS), *missing]
    share = rows.deals / matched.deals if matched.deals else math.nan
    return Adds(candidate, there, weight, ranks, share, rows.deals, reps, tuple(reasons))


def _refuse_told(design: Floats, candidate: str) -> None:
    """Refuse a score that the others tell all but wholly."""
    others, own = design[:, :-1], design[:, -1]
    if not np.ptp(own) > 0:
        return
    left = own - others @ np.linalg.lstsq(others, own, rcond=None)[0]
    told = math.sqrt(max(1 - float(np.square(left).sum() / np.square(own - own.mean()).sum()), 0.0))
    if told > TOO_ALIKE:
        text = f"The others tell {candidate} so closely (correlation {told:.3f}) that what it adds cannot be told."
        raise NotEstimable("collinear", text)
