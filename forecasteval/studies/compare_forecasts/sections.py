"""A closer look at one comparison: its other questions, each answered or refused with the reason.

Whatever cannot be answered from the data at hand is a sentence that says why, so that a report degrades
section by section and never stops.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from forecasteval.compare import call_ranges as ranges
from forecasteval.compare import period_totals as series
from forecasteval.compare import rows as sample
from forecasteval.compare.calibration import Calibration, WordTest, calibrate, word_test
from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.encompassing import Encompassing, encompassing
from forecasteval.compare.margin import ONE_SIDED, WithinMargin, within_margin
from forecasteval.compare.rep_bias import RepBias, rep_bias
from forecasteval.compare.results import plain
from forecasteval.compare.segments import Family, family
from forecasteval.errors import CallError
from forecasteval.matching.matched import META, Matched


def has(m, d):
    return Matched.of(m).has(d)


def forecaster_columns(m):
    return Matched.of(m).names


from forecasteval.tables import calendar as cal
from forecasteval.tables.organisation import Org, newest_record


@dataclass(frozen=True, eq=False)
class CloserLook:
    """What else can be said of candidate and baseline; a text stands where there is nothing, and says why.

    Attributes
    ----------
    calibrations : dict of (Calibration, WordTest) by forecaster
    added : Encompassing or str
    segments : Family or str
    rep_bias : RepBias or str
    totals : Totals or str
    ranges : dict of Coverage by what was promised, or str
    margin : WithinMargin or None
        None where no margin was fixed.
    """

    calibrations: Mapping[str, tuple[Calibration, WordTest]]
    added: Encompassing | str
    segments: Family | str
    rep_bias: RepBias | str
    totals: series.Totals | str
    ranges: Mapping[str, ranges.Coverage] | str
    margin: WithinMargin | None

    def to_dict(self) -> dict[str, Any]:
        """Its part of `results.json`: plain values; ``{"reason": ...}`` where there is nothing."""
        calibrations = {
            name: found.to_dict() | {"word_test": asdict(test)}
            for name, (found, test) in self.calibrations.items()
        }
        coverage = (
            self.ranges if isinstance(self.ranges, str) else {k: asdict(c) for k, c in self.ranges.items()}
        )
        parts = {
            "calibration_tests": calibrations,
            "encompassing": self.added if isinstance(self.added, str) else self.added.to_dict(),
            "segments": self.segments if isinstance(self.segments, str) else self.segments.to_dict(),
            "rep_bias": self.rep_bias if isinstance(self.rep_bias, str) else self.rep_bias.to_dict(),
            "totals": self.totals if isinstance(self.totals, str) else self.totals.to_dict(),
            "ranges": coverage,
            "margin": None if self.margin is None else asdict(self.margin),
        }
        return {k: plain({"reason": v} if isinstance(v, str) else v) for k, v in parts.items()}

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report."""
        found = {}
        if not isinstance(self.segments, str):
            found["segments"] = self.segments.table
        if not isinstance(self.rep_bias, str) and not self.rep_bias.reason:
            found["rep_bias"] = self.rep_bias.table
        if not isinstance(self.totals, str) and not self.totals.test.reason:
            found["totals"] = self.totals.table
        return found


def _reasons(reasons: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"code": code, "text": text} for code, text in reasons]


def _of_encompassing(e: Encompassing) -> dict[str, Any]:
    return {
        "candidate": None if e.candidate is None else asdict(e.candidate),
        "baseline": None if e.baseline is None else asdict(e.baseline),
        "correlation": e.correlation,
        "best_mix": asdict(e.mix),
        "half_and_half": {against: c.primary for against, c in e.half.items()},
        "reasons": _reasons(e.reasons),
    }


def _of_family(f: Family) -> dict[str, Any]:
    return {
        "by": f.by,
        "level": f.level,
        "size": f.size,
        "without_value": f.without_value,
        "table": f.table.to_dict("records"),
    }


def _of_rep_bias(b: RepBias) -> dict[str, Any]:
    values = {k: v for k, v in vars(b).items() if k != "table"}
    return values | {"reps": b.table.to_dict("records")}


def _of_totals(t: series.Totals) -> dict[str, Any]:
    if t.test.reason:
        return {"periods": t.test.periods, "reason": t.test.reason}
    return {"loss": t.loss, "wmape": t.wmape, "test": asdict(t.test), "left_out": t.left_out}


# --- the questions ------------------------------------------------------------------------------------


def against_margin(matched: pd.DataFrame, comparison: Comparison, margin: float) -> WithinMargin:
    """Non-inferiority and equivalence by the primary metric, from the comparison's own interval.

    Parameters
    ----------
    matched : DataFrame
    comparison : Comparison of the same table
    margin : float, above 0

    Returns
    -------
    WithinMargin
    """
    again = compare(
        matched,
        comparison.candidate,
        comparison.baseline,
        metrics=[str(comparison.primary["metric"])],
        generalise_to=comparison.generalise_to,
        level=ONE_SIDED,
    )
    return within_margin(again.primary, margin)


def look_closer(
    org: Org,
    matched: pd.DataFrame,
    comparison: Comparison,
    *,
    as_of: str = "",
    by: str = "",
    margin: WithinMargin | None = None,
    show_names: bool = False,
    draws: int = 199,
    seed: int = 0,
) -> CloserLook:
    """Everything beyond the headline, from the same matched table.

    Parameters
    ----------
    org : Org
    matched : DataFrame
    comparison : Comparison of the same table
    as_of : str
        "week 4": the moment, for the ranges of calls.
    by : str
        Column of the family of segments that was declared beforehand; empty for none.
    margin : WithinMargin or None
        What :func:`against_margin` found; None where no margin was fixed.
    show_names : bool
    draws : int
        Of the test of calibration.
    seed : int

    Returns
    -------
    CloserLook

    Raises
    ------
    CallError
        If `by` is no column that can divide the deals.
    """
    c, b, level = comparison.candidate, comparison.baseline, comparison.level
    missing = [n for n in (c, b) if not _is_probability(matched, n)]
    one_class = matched.empty or matched["won"].nunique() < 2
    no_pair = (
        f"{' and '.join(missing)} {'give' if len(missing) > 1 else 'gives'} no probabilities of these deals."
    )
    if matched.empty or len(missing) == 2:
        no_pair = "There are no probabilities of deals with a known outcome to judge."
    elif not missing and one_class:
        missing, no_pair = [c], "All deals ended alike, so nothing tells good forecasts from bad ones."
    options: dict[str, Any] = {"generalise_to": comparison.generalise_to, "level": level, "seed": seed}
    metric = str(comparison.primary["metric"])
    divided: Family | str = (
        "No family of segments was named before the run. To have one, name a column that divides the deals in the parameter "
        "segments, before you look."
    )
    if by:
        divided = family(
            matched, by, c, b, metrics=[metric], margin=margin.margin if margin else None, **options
        ) if not matched.empty else no_pair  # fmt: skip
    return CloserLook(
        {n: _calibration(matched, n, level, draws, seed) for n in (c, b) if _is_probability(matched, n)},
        no_pair if missing else encompassing(matched, c, b, **options),
        divided,
        _rep_bias(matched, c, b, level, show_names),
        no_pair if missing else _totals(matched, c, b, level, comparison.nouns["period"]),
        _ranges(org, as_of),
        margin,
    )


def _is_probability(matched: pd.DataFrame, name: str) -> bool:
    if name not in matched or not pd.api.types.is_numeric_dtype(matched[name]):
        return False
    kind = matched.attrs.get(META, {}).get("forecasters", {}).get(name, {}).get("kind", "probability")
    said = matched[name].dropna()
    return kind == "probability" and len(said) > 0 and bool(said.between(0, 1).all())


def _calibration(
    matched: pd.DataFrame, name: str, level: float, draws: int, seed: int
) -> tuple[Calibration, WordTest]:
    rows = matched[matched[name].notna()]
    rep = sample.Rows.of(Matched.of(rows), name, name, ("rep",)).rep if has(rows, "rep") else None
    p, y = rows[name].to_numpy(dtype=float), rows["won"].to_numpy(dtype=float)
    return calibrate(p, y, rep, level=level), word_test(p, y, rep, draws=draws, seed=seed)


def _rep_bias(
    matched: pd.DataFrame, candidate: str, baseline: str, level: float, show_names: bool
) -> RepBias | str:
    """The bias of the reps' own forecasts if they are one of the two, else of the baseline's, rep by rep."""
    own = [n for n in (baseline, candidate) if n.startswith("rep_")]
    name = (own or [baseline])[0]
    if not _is_probability(matched, name):
        return f"{name} gives no probabilities of these deals."
    return rep_bias(matched, name, level=level, show_names=show_names)


def _totals(
    matched: pd.DataFrame, candidate: str, baseline: str, level: float, noun: str
) -> series.Totals | str:
    absent = [c for c in ("period", "amount") if not has(matched, c)]
    if absent:
        return f"Totals need a column {' and '.join(absent)}, which the table does not have."
    try:
        found = series.period_totals(matched, candidate, baseline, level=level)
    except CallError as error:
        return str(error)
    if found.test.reason:
        return found.test.reason.replace("few periods", f"few {noun}")
    return found


def _ranges(org: Org, as_of: str) -> Mapping[str, ranges.Coverage] | str:
    """How often the reps' own ranges for their quarter held, by what they promised."""
    none = "No ranges of the reps' own are in the data."
    week = re.fullmatch(r"\s*week (\d+)\s*", as_of)
    if org.calls is None or org.deals is None or org.periods is None or not week:
        return none
    calls = org.calls[org.calls["unit"] == "rep"]
    if calls.empty or not (calls["low"].notna() & calls["high"].notna()).any():
        return none
    booked = _booked(org)
    found = ranges.of_calls(calls, booked, cal.week_ends(org.periods), week=int(week[1]))
    if found.empty:
        return f"No range had been given by the end of {as_of} for a quarter that is over."
    promised = found["level"].map(lambda v: "not stated" if math.isnan(v) else f"{v:.0%}")
    return {
        str(said): ranges.coverage(
            rows["low"],
            rows["high"],
            rows["booked"],
            level=None if said == "not stated" else float(rows["level"].iloc[0]),
            cluster=rows["unit_id"],
        )
        for said, rows in found.groupby(promised, sort=True)
    }


def _booked(org: Org) -> pd.DataFrame:
    """What each rep booked in each period that is over."""
    assert org.deals is not None
    assert org.periods is not None
    newest = newest_record(org)
    over = org.periods
    if newest is not None:
        ends = over["freezes_on"].fillna(over["ends_on"]) if "freezes_on" in over else over["ends_on"]
        over = over[ends <= newest]
    won = org.deals[(org.deals["outcome"] == "won") & org.deals["closed_on"].notna()]
    pairs = won.merge(over[["period", "starts_on", "ends_on"]], how="cross")
    inside = pairs[(pairs["starts_on"] <= pairs["closed_on"]) & (pairs["closed_on"] <= pairs["ends_on"])]
    sums = inside.groupby(["rep", "period"])["amount"].sum()
    sums.index = sums.index.set_names(["unit_id", "period"])
    everyone = pd.MultiIndex.from_product(
        [won["rep"].dropna().unique(), over["period"]], names=["unit_id", "period"]
    )
    return sums.reindex(everyone, fill_value=0.0).rename("booked").reset_index()
