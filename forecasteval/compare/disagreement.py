"""Where two forecasters are far apart about a deal: who was right, what became of such deals, and which are open today."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.pair import pair_of
from forecasteval.compare.rows import Rows
from forecasteval.compare.segments import Family, family
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.questions import needed
from forecasteval.matching.matched import Matched, shown_as
from forecasteval.scores.probability import Deals, Metric, Terms, brier

# fixed beforehand: within 10 points two forecasters agree; from 30 on they are far apart
APART, FAR = 0.1, 0.3
_MOST_REPS = 30
_ROUND = 9  # 0.8 - 0.5 is 0.3


def _closer_terms(d: Deals) -> Terms:
    """The share of deals in which the baseline was closer, and of those that were won."""
    candidate, baseline = brier(d.candidate, d.won), brier(d.baseline, d.won)
    return Terms((baseline < candidate) + 0.5 * (baseline == candidate), d.won.astype(float), None)


_CLOSER = Metric("closer", "Share of deals in which the baseline was closer", "higher", "", _closer_terms)


@dataclass(frozen=True, eq=False)
class Disagreement:
    """Who was right about the deals on which two forecasters disagree.

    ``bands`` has a row for each band by who said more and by how much: band, deals, candidate_said, baseline_said, won and
    closer (the share in which the baseline was closer) with their ends, difference (Brier score, candidate minus baseline)
    with low and high, which hold together for all bands, verdict, reasons. ``far`` compares the two on the deals that are
    far apart, ``closer`` is the share of those in which the baseline was closer, ``parts`` has them by each column that was
    named, all of which together err at most once in twenty. ``reason`` says why nothing is known.
    """

    candidate: str
    baseline: str
    bands: pd.DataFrame
    far: Comparison | None
    closer: Estimate
    parts: Mapping[str, Family] = field(default_factory=dict)
    level: float = 0.95
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {
            "bands": self.bands.to_dict("records"),
            "far": None if self.far is None else self.far.primary,
            "closer": self.closer.to_dict(),
            "by": {name: f.to_dict() for name, f in self.parts.items()},
            "reason": self.reason,
        }


def band_names(candidate: str, baseline: str) -> list[str]:
    """The bands, from the baseline saying far more to the candidate saying far more."""
    a, b = round(100 * APART), round(100 * FAR)
    return [
        f"{baseline} higher by {b} points and more",
        f"{baseline} higher by {a} to {b}",
        f"less than {a} points apart",
        f"{candidate} higher by {a} to {b}",
        f"{candidate} higher by {b} points and more",
    ]


def band_of(apart: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The number of each deal's band; `apart` is candidate minus baseline."""
    place: np.ndarray[Any, Any] = np.full(apart.shape, 2)
    place[apart <= -APART], place[apart >= APART] = 1, 3
    place[apart <= -FAR], place[apart >= FAR] = 0, 4
    return place


def _spoken(matched: Matched, candidate: str, baseline: str) -> Matched:
    """The rows about which both have spoken, with `apart` and `band`."""
    both = matched.rows(matched.table[[candidate, baseline]].notna().all(axis=1).to_numpy(), flow=[])
    apart = (both.numbers(candidate) - both.numbers(baseline)).round(_ROUND)
    return replace(both, table=both.table.assign(apart=apart, band=band_of(apart)))


def disagreement(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    by: Sequence[str] = (),
    level: float = 0.95,
    show_names: bool | Mapping[str, str] = False,
    **options: Any,
) -> Disagreement:
    """Who was right where two forecasters disagree about a deal, by how far they are apart.

    How often one was closer is what people ask, but it is no proper score: who always says little is closer wherever most
    deals are lost (Gneiting & Raftery 2007, JASA 102(477), 359-378). So verdicts rest on the Brier score of the same deals;
    the share stands beside it with its interval. ``by`` names columns by which the far deals are told apart; "rep" gives one
    line for each of the reps with most such deals. ``options`` go to :func:`forecasteval.compare`.

    >>> deals = pd.DataFrame({"deal_id": list("abcd"), "won": [0, 0, 1, 1], "model": [0.2, 0.2, 0.3, 0.6],
    ...     "rep_forecast": [0.8, 0.7, 0.9, 0.6]})
    >>> d = disagreement(deals, "model", "rep_forecast")
    >>> d.bands.loc[0, ["deals", "won", "closer"]].round(2).tolist()
    [3.0, 0.33, 0.33]
    """
    matched = Matched.of(matched)
    why = _why_not(matched, candidate, baseline)
    if not why:
        matched = matched.rows(matched["won"].notna().to_numpy(), flow=[])
        why = "" if len(matched.table) else "No deal with a known outcome is there yet."
    if why:
        return Disagreement(
            candidate, baseline, pd.DataFrame(), None, Estimate(math.nan), level=level, reason=why
        )
    options = {"metrics": ["brier"], **options}
    spoken = _spoken(matched, candidate, baseline)
    bands = _bands(spoken, candidate, baseline, level, options)
    far = spoken.rows(spoken["apart"].abs().ge(FAR).to_numpy())
    if far.table.empty:
        return Disagreement(candidate, baseline, bands, None, Estimate(math.nan), level=level)
    found = compare(far, candidate, baseline, level=level, **options)
    shares = _shares(far, found)
    parts = _parts(far, found, by, show_names, options)
    return Disagreement(candidate, baseline, bands, found, shares["closer"], parts, level)


def _why_not(matched: Matched, candidate: str, baseline: str) -> str:
    if matched.stop:
        return str(matched.stop[0]["text"])
    for name in (candidate, baseline):
        if name not in matched:
            raise CallError(
                f"There is no forecast named {name}; the table has {', '.join(matched.names) or 'none'}."
            )
        if not matched.is_probability(name):
            return f"{name} gives no probabilities, so nothing says how far the two are apart."
    return ""


def _bands(
    spoken: Matched, candidate: str, baseline: str, level: float, options: Mapping[str, Any]
) -> pd.DataFrame:
    """One row per band; the differences of all bands hold together (Bonferroni over those that hold deals)."""
    names, found = band_names(candidate, baseline), []
    there = sorted(spoken["band"].unique())
    shared = 1 - (1 - level) / max(len(there), 1)
    for place in there:
        rows = spoken.rows((spoken["band"] == place).to_numpy())
        c = compare(rows, candidate, baseline, **{**options, "level": shared})
        shares = _shares(rows, c, level)
        row = {"band": names[place], "deals": rows.deals}
        row |= {
            f"{w}_said": float(rows[n].mean()) for w, n in (("candidate", candidate), ("baseline", baseline))
        }
        for name, e in shares.items():
            row |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
        row |= {k: c.primary[k] for k in ("difference", "low", "high", "verdict", "reliable")}
        found.append(row | {"reasons": " ".join(r["text"] for r in c.primary["reasons"])})
    return pd.DataFrame(found)


def _shares(rows: Matched, found: Comparison, level: float | None = None) -> dict[str, Estimate]:
    """How often the baseline was closer, and how many were won, for whatever the comparison speaks about."""
    question = found.generalise_to
    read = Rows.of(rows, found.candidate, found.baseline, question)
    pair = pair_of(_CLOSER, read.deals, read.groups, needed(question), units="deal" in question)
    shares = {}
    for name, statistic in (("closer", pair.candidate), ("won", pair.baseline)):
        possible, doubts = statistic.doubts(question, found.nouns)
        e = Estimate(statistic.value, level=level or found.level, reasons=tuple(doubts))
        if possible and (told := statistic.estimate(question, level or found.level)).has_interval:
            e = replace(told, low=max(told.low, 0.0), high=min(told.high, 1.0)).noted(*doubts)
        shares[name] = e
    return shares


def _parts(
    far: Matched,
    found: Comparison,
    by: Sequence[str],
    show_names: bool | Mapping[str, str],
    options: Mapping[str, Any],
) -> dict[str, Family]:
    """The far deals by column; columns share the level, as the segments within each do."""
    columns = [c for c in dict.fromkeys(by) if c in far and far[c].notna().any()]
    parts = {}
    for column in columns:
        rows, asked = far, {**options, "generalise_to": found.generalise_to}
        if column == "rep":
            # the same reps, in periods to come; chosen by how many deals they have, not by the result
            reps = far["rep"].astype("string").astype(object)
            most = reps.value_counts().index[:_MOST_REPS]
            shown = reps.where(reps.isin(most)).map(shown_as(reps.dropna().astype(str), show_names))
            rows = replace(far, table=far.table.assign(rep=shown))
            asked["generalise_to"] = ("deal", "period") if far.has("period") else ("deal",)
        if rows[column].nunique() <= _MOST_REPS:
            shared = 1 - (1 - found.level) / len(columns)
            parts[column] = family(rows, column, found.candidate, found.baseline, level=shared, **asked)
    return parts


def open_disagreements(
    matched: Matched | pd.DataFrame, candidate: str, baseline: str, *, apart: float = FAR
) -> pd.DataFrame:
    """The deals without an outcome yet on which the two are far apart, most money at stake first; for a person to decide.

    Takes what :func:`forecasteval.match` gives with `pending`, at one moment. The columns believed and reason are empty:
    :func:`forecasteval.compare.overrides.decisions` reads them when they are filled.

    >>> deals = pd.DataFrame({"deal_id": ["a", "b"], "period": "Q2", "as_of": pd.Timestamp("2026-05-30"), "won": [None, None],
    ...     "amount": [1e4, 1e5], "model": [0.2, 0.5], "rep_forecast": [0.8, 0.6]})
    >>> open_disagreements(deals, "model", "rep_forecast")[["deal_id", "points_apart", "believed"]].values.tolist()
    [['a', 60, '']]
    """
    matched = Matched.of(matched)
    columns = ["deal_id", "period", "as_of", "rep", "amount", baseline, candidate]
    if matched.table.empty or _why_not(matched, candidate, baseline):
        return pd.DataFrame(columns=[*columns, "points_apart", "believed", "reason"])
    spoken = _spoken(matched, candidate, baseline).table
    rows = spoken[spoken["won"].isna() & spoken["apart"].abs().ge(apart)].reindex(columns=[*columns, "apart"])
    stake = rows["amount"].astype(float).fillna(0.0) * rows["apart"].abs()
    rows = rows.iloc[np.lexsort((rows["deal_id"].to_numpy(dtype=str), -stake.to_numpy()))]
    points = (100 * rows.pop("apart").abs()).round().astype(int)
    return rows.assign(points_apart=points, believed="", reason="").reset_index(drop=True)
