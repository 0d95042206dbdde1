"""Half of the reps do not see the scores: who was drawn, and what seeing them changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.few_clusters import interval
from forecasteval.inference.jackknife import Spread
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters
from forecasteval.matching.matched import Matched

_LEAST = 3  # reps in a half: fewer give no interval
_YES, _NO = {"1", "1.0", "true", "yes"}, {"0", "0.0", "false", "no"}


def draw(reps: Sequence[str], seed: int) -> dict[str, list[str]]:
    """Half of the reps at random, the larger half where they are odd: these do not see the scores.

    >>> found = draw(["a", "b", "c", "d", "e"], seed=1)
    >>> len(found["blind"]), sorted(found["blind"] + found["seeing"])
    (3, ['a', 'b', 'c', 'd', 'e'])
    """
    names = sorted(map(str, set(reps)))
    if len(names) < 2:
        raise CallError("blind_half: the data know fewer than two reps, so there are no halves to draw.")
    order = np.random.default_rng(seed).permutation(len(names))
    half = (len(names) + 1) // 2
    blind, seeing = (sorted(names[i] for i in part) for part in (order[:half], order[half:]))
    return {"blind": blind, "seeing": seeing}


@dataclass(frozen=True, eq=False)
class Halves:
    """The deals of the reps who do not see the scores and of those who do; ``other`` reps were not drawn."""

    blind: Matched
    seeing: Matched
    other: int
    drawn_on: str = ""

    @classmethod
    def drawn(cls, matched: Matched, entry: Mapping[str, Any]) -> Halves | None:
        """By what the ledger says was drawn; None where nothing was."""
        halves = entry.get("halves")
        if not halves or not matched.has("rep"):
            return None
        rep = matched["rep"].astype(str)
        return cls._of(matched, rep.isin(halves["blind"]), rep.isin(halves["seeing"]), entry["registered_at"])

    @classmethod
    def told(cls, matched: Matched, column: str) -> Halves | None:
        """By a column that says which deals' reps saw the scores; None where none is named."""
        if not column or matched.stop:
            return None
        if column not in matched.table or not matched.has("rep"):
            there = ", ".join(matched.segments)
            raise CallError(f"exposed: the deals have no column {column!r} beside reps; they have {there}.")
        said = matched[column].astype("string").str.strip().str.lower().fillna("")
        strange = said[~said.isin([*_YES, *_NO, ""])]
        if len(strange):
            raise CallError(
                f"exposed: {column} holds {strange.iloc[0]!r}; expected is yes or no: did the rep see the score?"
            )
        return cls._of(matched, said.isin(_NO), said.isin(_YES), "")

    @classmethod
    def _of(cls, matched: Matched, blind: pd.Series, seeing: pd.Series, drawn_on: str) -> Halves:
        parts = [matched.rows(rows.to_numpy(dtype=bool)) for rows in (blind, seeing)]
        return cls(parts[0], parts[1], int((~(blind | seeing)).sum()), drawn_on)

    def judged(self, matched: Matched) -> Matched:
        """The deals of the reps who did not see the scores, on which the claim is judged."""
        rows, blind = (
            pd.MultiIndex.from_frame(m.table[["deal_id", "rep"]].astype(str)) for m in (matched, self.blind)
        )
        left = matched.rows(rows.isin(blind))
        step = {
            "step": "reps who did not see the scores", "deals": left.deals, "dropped": matched.deals - left.deals,
            "why": "the rep saw the scores" + (", or was not drawn" if self.other else ""),
        }  # fmt: skip
        return replace(left, flow=[*matched.flow, step]) if matched.flow else left

    def effects(self, candidate: str, baseline: str, level: float) -> list[Effect]:
        """What seeing the scores changes: the lead of the candidate, the baseline's own score, how near they stand."""
        found = []
        for name in EFFECTS:
            blind, seeing = (
                _by_rep(half, candidate, baseline, name, level) for half in (self.blind, self.seeing)
            )
            found.append(Effect(name, blind, seeing, level))
        return found


EFFECTS = {
    "ahead": "by how much the vendor's Brier score is better",
    "own": "Brier score of those it is compared with",
    "apart": "distance between the two, on average",
}


@dataclass(frozen=True)
class Effect:
    """A mean per deal in either half, and the difference: those who saw the scores less those who did not.

    The halves hold different reps, drawn at random, so that their errors add: SE^2 = SE_b^2 + SE_s^2, with Welch's degrees of
    freedom (Welch 1947, Biometrika 34, 28-35) of the two jackknives over reps.
    """

    name: str
    blind: Estimate
    seeing: Estimate
    level: float

    @property
    def difference(self) -> Estimate:
        """Seeing less blind, with its interval for new reps; not reliable with fewer than 5 reps in a half."""
        a, b = self.blind, self.seeing
        value = b.value - a.value
        if not (a.has_interval and b.has_interval):
            return Estimate(value, level=self.level)
        parts = (a.se**2, b.se**2)
        se = math.sqrt(sum(parts))
        df = sum(parts) ** 2 / (parts[0] ** 2 / a.df + parts[1] ** 2 / b.df) if se > 0 else math.nan
        found = interval(value, Spread(se, df, "rep"), self.level)
        return replace(found, reliable=found.has_interval and a.reliable and b.reliable)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        d = self.difference
        return {"what": self.name, "blind": self.blind.value, "seeing": self.seeing.value, "difference": d.value,
                "low": d.low, "high": d.high, "p_value": d.p_value, "reliable": d.reliable}  # fmt: skip


def _by_rep(half: Matched, candidate: str, baseline: str, name: str, level: float) -> Estimate:
    """A mean over deals on which both speak, with its interval for new reps."""
    c, b, y = half.numbers(candidate), half.numbers(baseline), half["won"].to_numpy(float)
    x = {"ahead": (b - y) ** 2 - (c - y) ** 2, "own": (b - y) ** 2, "apart": np.abs(c - b)}[name]
    known = np.isfinite(x)
    if not known.any():
        return Estimate(math.nan, level=level)
    by = pd.Series(x[known]).groupby(half["rep"].to_numpy()[known]).agg(["sum", "size"])
    found = mean_over_clusters(float(x[known].mean()), by["sum"], by["size"], level, least=_LEAST)
    return replace(found, reliable=found.has_interval and len(by) >= MIN_CLUSTERS["rep"])
