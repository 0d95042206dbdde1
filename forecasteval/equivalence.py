"""Is the candidate at least not worse, or as good as equal? Against a margin that was fixed beforehand.

From the same standard error and degrees of freedom as the comparison's interval. A difference that is not
significant is not thereby equal: only an interval inside the margin says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecasteval import wording
from forecasteval.errors import CallError
from forecasteval.intervals import t_quantile


@dataclass(frozen=True)
class WithinMargin:
    """Non-inferiority and equivalence of a candidate.

    Attributes
    ----------
    margin : float
    bound : float
        How much worse the candidate may be, one-sided at `confidence`; above 0 is worse, whatever the metric.
    not_inferior : bool
        The bound lies below the margin.
    p_inferior : float
        One-sided p of "worse by the margin or more".
    equivalent : bool
        Both one-sided tests reject: the difference lies within the margin either way.
    p_equivalent : float
        The larger of the two one-sided p-values.
    confidence : float
    reason : str
        Why there is nothing to say, if so.
    """

    margin: float
    bound: float
    not_inferior: bool
    p_inferior: float
    equivalent: bool
    p_equivalent: float
    confidence: float
    reason: str = ""


def within_margin(row: Mapping[str, Any], margin: float, *, alpha: float = 0.05) -> WithinMargin:
    """Non-inferiority by a one-sided bound, equivalence by two one-sided tests.

    With d the difference in the direction of worse: bound = d + t_(1-alpha) SE; not inferior where
    bound < margin. Equivalent where both d + t SE < margin and d - t SE > -margin.

    Parameters
    ----------
    row : one row of `comparison.table`: difference, se, df, better, reliable
    margin : float, above 0
        The largest difference that does not matter, fixed before the data were seen.
    alpha : float
        Of each one-sided test.

    Returns
    -------
    WithinMargin

    Raises
    ------
    CallError
        If the margin is not above 0.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15(6), 657-680.

    Examples
    --------
    >>> row = {"difference": 0.002, "se": 0.004, "df": 20, "better": "lower", "reliable": True, "reasons": []}
    >>> w = within_margin(row, 0.01)
    >>> round(w.bound, 4), w.not_inferior, w.equivalent
    (0.0089, True, True)
    """
    from scipy.special import stdtr

    if not (math.isfinite(margin) and margin > 0):
        raise CallError(
            f"margin: {margin!r} is not above 0; give the largest difference that does not matter."
        )
    d, se, df = (float(row[k]) for k in ("difference", "se", "df"))
    nan = math.nan
    if row["better"] == "nearer_zero":
        return WithinMargin(margin, nan, False, nan, False, nan, 1 - alpha, "A bias is described, not won.")
    if not (math.isfinite(d) and math.isfinite(se) and se > 0):
        if d == 0 and any(r["code"] == "identical" for r in row["reasons"]):
            return WithinMargin(margin, 0.0, True, 0.0, True, 0.0, 1 - alpha)
        return WithinMargin(
            margin, nan, False, nan, False, nan, 1 - alpha, "There is no interval to judge by."
        )
    if not row["reliable"]:
        why = "The interval is not reliable, so neither can be claimed."
        return WithinMargin(margin, nan, False, nan, False, nan, 1 - alpha, why)
    worse = -d if row["better"] == "higher" else d
    half = t_quantile(1 - alpha, df) * se
    p_inferior = float(stdtr(df, (worse - margin) / se))
    p_superior = float(stdtr(df, (-worse - margin) / se))
    p_equivalent = max(p_inferior, p_superior)
    not_inferior = worse + half < margin
    equivalent = not_inferior and worse - half > -margin
    return WithinMargin(margin, worse + half, not_inferior, p_inferior, equivalent, p_equivalent, 1 - alpha)


def in_words(found: WithinMargin, candidate: str, baseline: str) -> str:
    """What the margin allows to say, in one or two sentences.

    Examples
    --------
    >>> row = {"difference": 0.002, "se": 0.03, "df": 9, "better": "lower", "reliable": True, "reasons": []}
    >>> in_words(within_margin(row, 0.01), "model", "reps")
    'Margin 0.01: model is not shown to be as good as reps; it may be worse by as much as 0.057 (one-sided 95% bound). Not telling them apart does not make them equal.'
    """
    opening = f"Margin {found.margin:g}: "
    if found.reason:
        return f"{opening}{found.reason}"
    bound = wording.number(found.bound, wording.decimals(-found.margin, found.margin))
    sure = f"one-sided {wording.percent(found.confidence)} bound"
    if found.equivalent:
        return (
            f"{opening}{candidate} and {baseline} differ by less than the margin either way "
            f"(two one-sided tests, each at {wording.percent(round(1 - found.confidence, 10))})."
        )
    if found.not_inferior:
        if found.bound <= 0:
            return f"{opening}{candidate} is not worse than {baseline} at all, let alone by the margin ({sure} {bound})."
        return f"{opening}{candidate} is worse than {baseline} by at most {bound}, less than the margin ({sure})."
    return (
        f"{opening}{candidate} is not shown to be as good as {baseline}; it may be worse by as much as {bound} "
        f"({sure}). Not telling them apart does not make them equal."
    )
