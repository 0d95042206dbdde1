"""The cells of the coverage study: a declared fraction of all that pilots can differ in; they stand in ``design.csv``.

Every family varies what it is named after and holds the rest at a plain value; the crossings that are known to be
hard (uneven reps with large or skewed biases, rare wins with few reps) are in it on purpose. `reps` is a half fraction
of number x evenness x bias with all hard corners kept.

A cell is a row, what is left empty is the default of :class:`Cell`. A further kind of effect is a column there, a field
here and a line in the simulator.
"""

from __future__ import annotations

import csv
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from forecasteval.errors import CallError

_SCORES = ("brier", "log_score", "brier_skill", "brier_by_amount", "bias", "auc")


def _words(value: Any) -> Any:
    return tuple(value.split("; ")) if isinstance(value, str) else value


def _questions(value: Any) -> Any:
    return tuple(tuple(q.split(" and ")) for q in _words(value)) if isinstance(value, str) else value


_Metrics = Annotated[tuple[str, ...], BeforeValidator(_words)]
_Questions = Annotated[tuple[tuple[str, ...], ...], BeforeValidator(_questions)]


@dataclass(frozen=True)
class Cell:
    """One kind of pilot.

    `size_sd` is the standard deviation of the logarithm of the reps' numbers of deals, 0 for equal ones, and
    `amount_sd` that of the amounts. `wins` is the win rate at the typical deal, before deals differ. In log-odds:
    `bias_sd` is the sd of the reps' biases (whose law may be "few": one rep in ten is far off), `shock_sd` of what a
    period does to the reps' optimism, `account_sd` of their error about an account. `per_account` is how many deals an
    account has on average, 0 without accounts; where they `cross`, an account's deals belong to any rep. `looks` is in how
    many weeks each deal is seen. In a `null` cell the candidate is as good as the baseline, with biases and shocks of its
    own.

    What makes reps, quarters and forecasts awkward: a rep's bias is larger by `follow` for each standard deviation that the
    rep has more deals; `skill` is the law of the reps' own errors about single deals; a share `sure` of the reps says 5% to
    everything; a period's shock is correlated by `ar` with the one before; reps' forecasts are one of five `stages`.
    """

    name: str
    family: str
    reps: int
    deals: int
    periods: int = 4
    size_sd: float = 0.8
    wins: float = 0.25
    bias_sd: float = 0.3
    bias: Literal["normal", "exponential", "few", "t3", "lognormal"] = "normal"
    shock_sd: float = 0.0
    amount_sd: float = 1.0
    per_account: float = 0.0
    account_sd: float = 0.0
    cross: bool = False
    looks: int = 1
    follow: float = 0.0
    skill: Literal["", "exponential", "lognormal"] = ""
    sure: float = 0.0
    ar: float = 0.0
    stages: bool = False
    null: bool = False
    metrics: _Metrics = _SCORES
    questions: _Questions = (("deal",), ("rep",))

    @property
    def drawn(self) -> bool:
        """Is what is true of it drawn from a large population, and not worked out?"""
        heavy = self.bias in ("t3", "lognormal")
        awkward = self.follow or self.skill or self.sure or self.ar or self.stages or self.cross
        return bool(heavy or awkward)


@dataclass(frozen=True)
class Drawn:
    """Pilots of so many clusters drawn from a real table: each cluster, as often as chance will, stands for a new rep.

    `file` is a CSV or Parquet file with `won`, two forecasters and the column whose values are drawn.
    """

    name: str
    file: str
    candidate: str
    baseline: str
    cluster: str
    reps: int
    family: str = "real tables"
    metrics: tuple[str, ...] = ("brier", "brier_skill", "bias", "auc")
    questions: tuple[tuple[str, ...], ...] = (("rep",),)

    @classmethod
    def parse(cls, told: str) -> tuple[Drawn, ...]:
        """Pilots of 8, 20 and 40 clusters from `"file: candidate, baseline, cluster"`.

        Examples
        --------
        >>> [c.reps for c in Drawn.parse("flares.csv: DAFFS, NOAA, block")]
        [8, 20, 40]
        """
        file, _, columns = told.rpartition(":")
        names = [c.strip() for c in columns.split(",")]
        if not file or len(names) != 3:
            raise CallError(
                f"{told!r} does not say where pilots are to be drawn from; write 'file.csv: candidate, baseline, "
                "cluster', such as 'matched.csv: model, rep_forecast, rep'."
            )
        stem = PurePath(file).stem
        who, whom, by = names
        return tuple(cls(f"{n} clusters of {stem}", file.strip(), who, whom, by, n) for n in (8, 20, 40))


def _declared() -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    """All cells, and those of a quick look."""
    with Path(__file__).with_name("design.csv").open(encoding="utf-8", newline="") as file:
        rows = [{k: v for k, v in row.items() if v} for row in csv.DictReader(file)]
    quick = [row.pop("quick", "") == "yes" for row in rows]
    cells = tuple(Cell(**row) for row in rows)  # type: ignore[arg-type]
    return cells, tuple(cell for cell, few in zip(cells, quick, strict=True) if few)


FULL, QUICK = _declared()
