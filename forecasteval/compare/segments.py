"""The comparison within each segment of a family that was declared beforehand, multiplicity in hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison
from forecasteval.compare.repeated import by_group
from forecasteval.compare.verdicts import UNSURE, holm
from forecasteval.errors import CallError
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.matching.matched import Matched

_MOST_SEGMENTS = 30


@dataclass(frozen=True, eq=False)
class Family:
    """One comparison for each segment of a declared family.

    Attributes
    ----------
    table : DataFrame, one row per segment
        segment, deals, reps, difference, low, high (simultaneous over the family), p_value (two-sided, this
        segment alone), p_worse (one-sided: the candidate is worse here), p_worse_holm, q_value (Benjamini-
        Hochberg, of the two-sided p), verdict, reliable, in_family, worse_here, stands_out, reasons.
    comparisons : dict of Comparison by segment, those of the family, at the simultaneous level
    level : float
        Of the whole family together.
    size : int
        Segments that count in the family: those with enough reps, whatever came out.
    without_value : int
        Deals that belong to no segment.
    """

    by: str
    table: pd.DataFrame
    comparisons: dict[str, Comparison]
    level: float
    size: int
    without_value: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        head = {name: getattr(self, name) for name in ("by", "level", "size", "without_value")}
        return head | {"table": self.table.to_dict("records")}


def family(
    matched: Matched | pd.DataFrame,
    by: str,
    candidate: str,
    baseline: str,
    *,
    level: float = 0.95,
    **options: Any,
) -> Family:
    """Compare within each segment, with intervals that hold together and p-values adjusted for the family.

    A segment with fewer than 5 reps (4 periods, where no reps are known) gives an estimate only and is not
    counted: who is counted is settled by how many reps there are, never by a result. Each of the m others
    gets the interval at 1 - (1 - level)/m (Bonferroni, valid however the segments hang together), from which
    its verdict follows. Holm's adjustment of the one-sided p answers "is the candidate worse here?";
    Benjamini-Hochberg's of the two-sided p screens for segments worth a second look.

    Parameters
    ----------
    by : str
        The column that was declared beforehand.
    level : float
        Of all intervals together.
    **options : further arguments of :func:`forecasteval.compare`; only the first metric is taken

    Raises
    ------
    CallError
        If there is no such column, or it has more than 30 values.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70; Benjamini & Hochberg (1995), Journal of the
    Royal Statistical Society B 57(1), 289-300.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": range(8), "won": [1, 0] * 4, "rep": list("aabbccdd"),
    ...     "region": "West", "model": [0.8, 0.2] * 4, "rep_forecast": [0.9, 0.6] * 4})
    >>> family(deals, "region", "model", "rep_forecast").table[["segment", "reps", "in_family"]].values.tolist()
    [['West', 4, False]]
    """
    matched = Matched.of(matched)
    if by not in matched:
        there = ", ".join(matched.segments) or "none"
        raise CallError(f"segments: there is no column {by!r}; the deals can be divided by {there}.")
    values = matched[by].dropna().astype(str)
    if values.nunique() > _MOST_SEGMENTS:
        raise CallError(
            f"segments: {by} has {values.nunique():,} values, more than {_MOST_SEGMENTS}; a family is a handful of "
            "segments that somebody can act on."
        )
    if values.empty:
        raise CallError(f"segments: {by} is empty in every row.")
    text = {by: matched[by].astype("string").astype(object)}
    matched = replace(matched, table=matched.table.assign(**text))
    options["metrics"] = list(options.get("metrics") or ["brier"])[:1]
    dimension = next((d for d in ("rep", "period") if d != by and matched.has(d)), None)
    least = MIN_CLUSTERS[dimension] if dimension else 0
    of_segment = matched.table.loc[values.index].groupby(by, sort=True)
    clusters = of_segment[dimension].nunique() if dimension else of_segment.size()
    counted = [str(s) for s in clusters.index[clusters >= least]]
    shared = 1 - (1 - level) / max(len(counted), 1)
    found = by_group(matched, by, candidate, baseline, level=shared, **options)
    noun = {"rep": "reps", "period": "periods"}.get(dimension or "", "deals")
    noun = matched.nouns.get(dimension or "deal", noun)
    rows = [_row(str(s), c, int(clusters[s]), str(s) in counted, noun, least) for s, c in found.items()]
    table = pd.DataFrame(rows)
    return Family(
        by,
        _adjusted(table, level),
        {str(s): c for s, c in found.items() if str(s) in counted},
        level,
        len(counted),
        int(matched.table.loc[matched[by].isna(), "deal_id"].nunique()),
    )


def _row(
    segment: str, comparison: Comparison, clusters: int, counted: bool, noun: str, least: int
) -> dict[str, Any]:
    row = comparison.primary
    reasons = [r["text"] for r in row["reasons"]]
    worse = row["difference"] * (-1 if row["better"] == "higher" else 1)
    half = row["p_value"] / 2  # of the test that agrees with the interval
    testable = counted and math.isfinite(row["p_value"])
    if not counted:
        only = f"{clusters} {noun}, fewer than {least}: an estimate only, not counted in the family."
        reasons = [only, *(r for r in reasons if "at least" not in r)]
    return {
        "segment": segment,
        "deals": row["deals"],
        "reps": clusters,
        "difference": row["difference"],
        "low": row["low"] if counted else math.nan,
        "high": row["high"] if counted else math.nan,
        "p_value": row["p_value"] if testable else math.nan,
        "p_worse": (half if worse > 0 else 1 - half) if testable else math.nan,
        "verdict": row["verdict"] if counted or math.isnan(row["difference"]) else UNSURE,
        "reliable": bool(row["reliable"]) and counted,
        "in_family": counted,
        "reasons": " ".join(reasons),
    }


def _adjusted(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Holm and Benjamini-Hochberg over the family; a segment that cannot be tested counts with p = 1."""
    from statsmodels.stats.multitest import fdrcorrection

    table = table.assign(p_worse_holm=math.nan, q_value=math.nan)
    inside = table["in_family"].to_numpy()
    if inside.any():
        p = table.loc[inside, ["p_worse", "p_value"]].astype(float).fillna(1.0)
        table.loc[inside, "p_worse_holm"] = holm(p["p_worse"])
        table.loc[inside, "q_value"] = fdrcorrection(p["p_value"])[1]
    believed = table["in_family"] & table["reliable"]
    return table.assign(
        worse_here=believed & (table["p_worse_holm"] <= 1 - level),
        stands_out=believed & (table["q_value"] <= 1 - level),
    )
