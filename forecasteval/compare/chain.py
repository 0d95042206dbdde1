"""From the rep's number to the manager's to the company's: where the error enters, and which changes helped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import Comparison
from forecasteval.compare.totals import Two, in_time
from forecasteval.compare.verdicts import holm
from forecasteval.errors import CallError, nearest
from forecasteval.tables.period_labels import period_noun

_LARGE = 0.10  # fixed beforehand: a change of 10% and more is large
_ALONE = 0.01  # and one below 1% is none
_LEVELS = ("rep", "team", "company")  # the finest first
HELPED, HURT, UNSURE = "made it better", "made it worse", "cannot tell"
_MOVES = ("up, large", "up, small", "left alone", "down, small", "down, large")
_COLUMNS = ["level", "rows", "periods", "before_value", "after_value", "difference", "low", "high", "p_value"]


@dataclass(frozen=True, eq=False)
class Chain:
    """What each hand-over did to the error, paired by period and unit; no sign is assumed beforehand.

    ``rows`` has step, from, to, period, unit, baseline (before), candidate (after), actual of every total that both ends
    of a step speak about. ``comparisons`` has one for each step, after minus before: below 0 the error became smaller.
    """

    rows: pd.DataFrame
    flows: dict[str, list[dict[str, Any]]]
    level: float
    noun: str

    @cached_property
    def comparisons(self) -> dict[str, Comparison]:
        """One comparison for each step."""
        steps = {str(step): rows for step, rows in self.rows.groupby("step", sort=False)}
        return {s: self._two(rows).compared(rows, self.flows[s]) for s, rows in steps.items()}

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row per step: error before and after as a share of what was booked, the change with its interval, verdict."""
        found = [self._row(step, c) for step, c in self.comparisons.items()]
        return self._judged(pd.DataFrame(found, columns=["step", "before", "after", *_COLUMNS, "reasons"]))

    @cached_property
    def moves(self) -> pd.DataFrame:
        """The steps by direction and size of the change (1% and 10% are the borders), with the share that helped."""
        return self._judged(self._parts(move_of(self.rows["baseline"], self.rows["candidate"]), "move"))

    @cached_property
    def units(self) -> pd.DataFrame:
        """The steps by unit: which manager's changes helped."""
        return self._judged(self._parts(self.rows["unit"], "unit"))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {n: getattr(self, n).to_dict("records") for n in ("steps", "moves", "units")}

    def _two(self, rows: pd.DataFrame) -> Two:
        """Both ends of a step, the later one as the candidate."""
        first = rows.iloc[0]
        return Two(first["to"], first["from"], self.noun, first["level"], self.level)

    def _parts(self, of: pd.Series, name: str) -> pd.DataFrame:
        """Each step, part by part."""
        found = []
        for step, rows in self.rows.groupby("step", sort=False):
            own = of[rows.index]
            order = [m for m in _MOVES if m in set(own)] if name == "move" else sorted(own.unique())
            for part in order:
                mine = rows[own == part]
                closer = (mine["candidate"] - mine["actual"]).abs() < (
                    mine["baseline"] - mine["actual"]
                ).abs()
                c = self._two(mine).compared(mine, _flow(len(mine)))
                found.append(self._row(str(step), c) | {name: part, "helped": float(closer.mean())})
        columns = ["step", name, "before", "after", "helped", *_COLUMNS, "reasons"]
        return pd.DataFrame(found, columns=columns)

    def _row(self, step: str, c: Comparison) -> dict[str, Any]:
        p, mine = c.primary, self.rows[self.rows["step"] == step].iloc[0]
        clusters = p["clusters"] or {"period": {"count": 0}}
        taken = {k: p[k] for k in ("difference", "low", "high", "p_value", "rows")}
        return taken | {
            "step": step, "before": mine["from"], "after": mine["to"], "level": mine["level"],
            "periods": int(clusters["period"]["count"]), "before_value": p["baseline_value"],
            "after_value": p["candidate_value"], "reasons": p["reasons"] if not p["reliable"] else [],
        }  # fmt: skip

    def _judged(self, table: pd.DataFrame) -> pd.DataFrame:
        """With verdicts: of all rows of a table together, at most one in twenty tables errs (Holm)."""
        p = table["p_value"].astype(float)
        adjusted = pd.Series(math.nan, index=table.index)
        tested = p.notna() & table["reasons"].map(len).eq(0)
        if tested.any():
            adjusted[tested] = holm(p[tested])
        better = np.where(table["difference"] < 0, HELPED, HURT)
        verdict = pd.Series(better, index=table.index).where(adjusted <= 1 - self.level, UNSURE)
        return table.assign(p_adjusted=adjusted, verdict=verdict)


def move_of(before: pd.Series, after: pd.Series) -> pd.Series:
    """Direction and size of each change: up or down, small or large, or left alone."""
    change = ((after - before) / before.abs().where(before != 0)).fillna(np.sign(after))
    size = np.where(change.abs() >= _LARGE, "large", "small")
    kind = pd.Series(np.where(change > 0, "up, ", "down, "), index=change.index) + size
    return kind.mask(change.abs() < _ALONE, "left alone")


def chain(
    table: pd.DataFrame,
    people: Sequence[str],
    *,
    beside: Sequence[str] = (),
    unit_level: str | None = None,
    level: float = 0.95,
) -> Chain:
    """What each hand-over from one person to the next did to the error of the total.

    Each step is compared on the finest level at which both of its ends speak (or on ``unit_level``): a manager's call of a
    team against the sum of the team's reps, the company's call against the sum of the managers'. Those ``beside`` (a model, a
    vendor) are held against the last of the people. Verdicts of all steps together err at most once in twenty cases (Holm);
    intervals are each step's own. Takes roll-ups of one week.

    References
    ----------
    Fildes, Goodwin, Lawrence & Nikolopoulos (2009), International Journal of Forecasting 25(1), 3-23, who told
    adjustments apart by direction and size; Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70.

    >>> rows = [("2025-Q1", n, a, 100.0) for n, a in (("reps", 130.0), ("manager", 110.0))]
    >>> c = chain(pd.DataFrame(rows, columns=["period", "forecaster", "amount", "actual"]), ["reps", "manager"])
    >>> round(float(c.steps.loc[0, "difference"]), 3), c.moves.loc[0, "move"], c.steps.loc[0, "verdict"]
    (-0.2, 'down, large', 'cannot tell')
    """
    if len(people) + len(beside) < 2 or not people:
        raise CallError("A chain needs two people at least, or one and a model beside.")
    names = list(table["forecaster"].unique())
    missing = [n for n in [*people, *beside] if n not in names]
    if missing:
        hint = nearest(missing[0], names)
        raise CallError(
            f"There is no forecast named {missing[0]}; the table has {', '.join(names)}. {hint}".rstrip()
        )
    if "week" in table and len(table["week"].dropna().unique()) > 1:
        raise CallError("The table holds several weeks: take one of them at a time.")
    table = table.assign(unit=table.get("unit", "company"))
    table["level"] = table.get("level", "unit")
    place, parts, flows = in_time(table), [], {}
    for before, after in [*pairwise(people), *((people[-1], other) for other in beside)]:
        rows = _step(table, before, after, unit_level)
        rows = rows.sort_values(["period", "unit"], key=lambda c: c.map(place) if c.name == "period" else c)
        booked = rows.dropna(subset=["actual"])
        begun = booked[booked["candidate"].notna().groupby(booked["unit"]).cummax()]
        both = begun.dropna(subset=["candidate", "baseline"])
        step = f"{before} to {after}"
        flows[step] = _flow(*map(len, (rows, booked, begun, both)))
        parts.append(both.assign(step=step, **{"from": before, "to": after}))
    return Chain(pd.concat(parts, ignore_index=True), flows, level, period_noun(table["period"]))


def _flow(*left: int) -> list[dict[str, Any]]:
    """What fell out on the way, where so many totals were left after each step; nothing did where one number is given."""
    steps = {
        "totals of whoever hands on": "",
        "booked amount known": "nothing says yet what was booked",
        "the other had begun": "before the first number of whom it is handed to",
        "both have spoken": "one of the two gave no number",
    }
    left = left if len(left) > 1 else left * len(steps)
    gone = (0, *(a - b for a, b in pairwise(left)))
    return [
        {"step": step, "deals": n, "dropped": d, "why": why}
        for (step, why), n, d in zip(steps.items(), left, gone, strict=True)
    ]


def _step(table: pd.DataFrame, before: str, after: str, unit_level: str | None) -> pd.DataFrame:
    """The totals of the one before at the finest level where both speak about something booked."""
    key = ["level", "period", "unit"]
    own = {n: table.loc[table["forecaster"] == n] for n in (before, after)}
    later = own[after].rename(columns={"amount": "candidate"})[[*key, "candidate"]]
    rows = own[before].rename(columns={"amount": "baseline"})[[*key, "baseline", "actual"]]
    rows = rows.merge(later, on=key, how="left")
    both = set(rows.dropna()["level"])
    there = [level for level in (*_LEVELS, "unit") if level in both]
    wanted = unit_level or (there[0] if there else "")
    if wanted not in both:
        at = f" at the level {unit_level}" if unit_level else ""
        raise CallError(f"There is no booked total{at} for which both {before} and {after} gave a number.")
    return rows[rows["level"] == wanted]
