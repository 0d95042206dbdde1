"""What is to be done in each category of leads: follow the score, or the rules, and until when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.crossing import Crossing
from forecasteval.compare.encompassing import adds
from forecasteval.compare.segments import Family
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.matching.earlier import in_time, looks
from forecasteval.matching.forecasters import Floats, Seen, design_of
from forecasteval.matching.matched import Matched
from forecasteval.matching.rolling_origin import GRID, pasts_of, roll

RULES = "rules"
ECHO = 0.7  # rank correlation with the rules from which a score that is not better is called an echo of them
FIRST = 0.2  # the share of leads that somebody calls first
_EVENTS = 10  # leads of the rarer outcome for each fitted number, the usual rule of thumb
USE, WORSE, ECHOES, FEW, UNSHOWN = "use", "worse", "echo", "few", "unshown"


@dataclass(frozen=True, eq=False)
class Category:
    """One category: the comparison there, how much there is to learn from, and what follows.

    ``needed`` is from how many closed leads on a model of one's own is seen to be ahead of the rules, None where that cannot
    be told; ``borrowed`` says where it comes from if not from the category itself: another category, or the rule of thumb.
    """

    name: str
    closed: int
    converted: int
    comparison: Comparison
    curve: Mapping[int, Comparison]
    crossing: Crossing
    needed: int | None
    borrowed: str
    alike: float
    knows: bool  # does the score add to the rules, be it better or not?
    first: Mapping[str, float]  # share that converts among those called first, by forecaster
    counted: bool  # has it enough owners for a verdict of its own?

    @property
    def advice(self) -> str:
        """What follows: use the score, or stay with the rules and why."""
        if self.counted and self.comparison.verdict == CANDIDATE:
            return USE
        if self.needed is not None and self.closed < self.needed:
            return FEW
        if self.alike >= ECHO and not self.knows:
            return ECHOES
        return WORSE if self.worse else UNSHOWN

    @property
    def worse(self) -> bool:
        """Are the rules better here?"""
        return self.counted and self.comparison.verdict == BASELINE

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        names = ("name", "closed", "converted", "advice", "needed", "borrowed", "alike", "knows")
        kept = ("difference", "low", "high", "level", "verdict", "reliable")
        row = self.comparison.primary
        ends = {
            "crosses_at": self.crossing.value,
            "not_before": self.crossing.low,
            "reached": self.crossing.high,
        }
        return (
            {n: getattr(self, n) for n in names}
            | {k: row[k] for k in kept}
            | ends
            | {"first": dict(self.first)}
        )


def categories_of(matched: Matched, closed: Matched, family: Family, candidate: str, options: Mapping[str, Any], seed: int) -> list[Category]:  # fmt: skip
    """Every category of a family, with the number of leads that it takes there.

    ``closed`` holds all decided leads, ``matched`` those about which candidate and rules speak.
    """
    found = []
    for name in family.table["segment"]:
        rows = matched.rows((matched[family.by].astype(str) == name).to_numpy(), flow=[])
        every = closed.rows((closed[family.by].astype(str) == name).to_numpy(), flow=[])
        counted = name in family.comparisons
        there = family.comparisons.get(name) or compare(rows, candidate, RULES, **options)
        curve = _curve(rows, every, options, seed)
        at = Crossing.of(curve)
        said = rows.table[[candidate, RULES]].corr("spearman").iloc[0, 1] if len(rows.table) > 2 else math.nan
        first = {n: _first(rows.numbers(n), rows["won"].to_numpy(float)) for n in (candidate, RULES)}
        won = int(every["won"].sum())
        told = rows.is_probability(candidate) and rows.is_probability(RULES)
        knows = told and adds(rows, candidate, [RULES], level=there.level).verdict == "yes"
        found.append(
            Category(
                name,
                len(every.table),
                won,
                there,
                curve,
                at,
                at.high,
                "",
                float(np.asarray(said)),
                knows,
                first,
                counted,
            )
        )
    own = max((c for c in found if c.needed is not None), key=lambda c: c.closed, default=None)
    return [c if c.needed is not None else replace(c, **_borrowed(c, own, closed)) for c in found]


def _borrowed(c: Category, own: Category | None, closed: Matched) -> dict[str, Any]:
    """How many leads it takes, from the category in which it was seen; else by the rule of thumb."""
    if own is not None:
        needed, source = own.needed, own.name
    elif closed.features and 0 < c.converted < c.closed:
        fitted = design_of(closed.table, closed.features).shape[1]
        rare = min(c.converted, c.closed - c.converted) / c.closed
        needed, source = round(_EVENTS * fitted / rare, -2), "rule of thumb"
    else:
        return {}
    too_few = needed is not None and c.crossing.low is not None and needed <= c.crossing.low
    return {} if too_few else {"needed": needed, "borrowed": source}


def _curve(rows: Matched, every: Matched, options: Mapping[str, Any], seed: int) -> dict[int, Comparison]:
    """A model of one's own against the rules by the number of closed leads of the category that it learned from.

    Judged on the later half of the category's leads, the same at every size.
    """
    if not (in_time(every) and every.features) or rows.table.empty:
        return {}
    panel = pd.concat([every.table[["deal_id", "won"]], looks(every)], axis=1)
    panel = panel.assign(period=every["period"] if every.has("period") else "")
    pasts = pasts_of(panel, seed)
    most = len(pasts[len(pasts) // 2][1])
    sizes = tuple(n for n in GRID if n <= most)
    if len(sizes) < 2:
        return {}
    none: np.ndarray[Any, Any] = np.full(len(panel), -1)
    seen = Seen(
        design_of(every.table, every.features), none, none, none.astype(float), panel["won"].to_numpy(float)
    )
    rolled = roll(panel, pasts, sizes, "base_rate", seen=seen)
    table = rows.table.merge(rolled.columns.drop(columns="as_of"), on="deal_id", how="inner")
    judged = replace(rows, table=table, forecasters={})
    return (
        {n: compare(judged, name, RULES, **options) for n, name in rolled.model.items()} if len(table) else {}
    )


def _first(score: Floats, won: Floats) -> float:
    """Share that converts among the fifth with the highest scores; ties count in part.

    >>> _first(np.array([3.0, 2, 2, 1, 1, 1, 1, 1, 1, 1]), np.array([1.0, 1, 0, 0, 0, 0, 0, 0, 0, 0]))
    0.75
    """
    there = np.isfinite(score)
    by = pd.DataFrame({"score": score[there], "won": won[there]}).groupby("score")["won"].agg(["size", "sum"])
    by = by.sort_index(ascending=False)
    wanted = FIRST * there.sum()
    taken = (wanted - by["size"].cumsum().shift(fill_value=0)).clip(0, by["size"])
    return float((taken / by["size"] * by["sum"]).sum() / wanted) if wanted else math.nan
