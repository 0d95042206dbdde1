"""Evidence that lies in sums: the rows of two forecasters by rep and period, wherever these rows are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.pair import Moments, Pair, Sums, pair_of_ranks
from forecasteval.compare.rows import in_time
from forecasteval.compare.scored import Scored
from forecasteval.errors import CallError
from forecasteval.inference.auc import Ranks
from forecasteval.inference.estimate import Reason
from forecasteval.inference.exact_sums import Grain
from forecasteval.inference.grouping import Codes, added
from forecasteval.inference.limits import Weights
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import Floats, Metric
from forecasteval.scores.reliability import Reliability, reliability_of_counts

PRODUCTS = ("cc", "cb", "bb", "cz", "bz", "zz")


@dataclass(frozen=True, eq=False)
class Ranking:
    """How one forecast ranks: rows, wins and placements by cell, and pairs within each cluster by its labels.

    ``curve`` has the rows and wins at each value; ``tied`` is the share of pairs that steps have tied at most.
    """

    cells: pd.DataFrame
    inside: Mapping[str, pd.Series]
    curve: pd.DataFrame
    tied: float = 0.0

    @property
    def value(self) -> float:
        """The AUC."""
        wins, rows = float(self.cells["won"].sum()), float(self.cells["rows"].sum())
        return float(self.cells["placed"].sum() / 2 / (wins * (rows - wins)))

    def ranks(self, labels: Mapping[str, list[Any]], dimensions: tuple[str, ...]) -> Ranks:
        """In the order in which clusters are numbered."""
        inside = {
            d: self.inside[d].to_numpy() if d == "cell" else self.inside[d].reindex(labels[d]).to_numpy()
            for d in dimensions
        }
        rows, won, placed = (self.cells[n].to_numpy(dtype=float) for n in ("rows", "won", "placed"))
        return Ranks(rows, won, placed, inside, self.tied)


@dataclass(frozen=True, eq=False)
class Cells:
    """What the rows of two forecasters sum to, which is all that a comparison needs.

    ``cells`` has a row for each rep, period and account that occurs together, ``deals`` one for each cluster of a
    dimension ("rep"; "" stands for all): sums over deals. Their columns are named "metric__what", in multiples of
    the grain that ``grains`` names by metric, and "mark__what" for the rows that metrics can use, which ``marks`` names;
    ``identical`` are the metrics under which both score the same in every row. ``rankings`` are those of candidate and
    baseline. ``metrics`` are those that were asked for, which some tables cannot answer.
    """

    cells: pd.DataFrame
    deals: Mapping[str, pd.DataFrame]
    grains: Mapping[str, Grain]
    marks: Mapping[str, str]
    identical: frozenset[str]
    dimensions: tuple[str, ...]
    names: tuple[str, str]
    kinds: tuple[str, str]
    columns: frozenset[str]
    rankings: tuple[Ranking, Ranking] | None = None
    reasons: tuple[Reason, ...] = ()
    flow: tuple[dict[str, Any], ...] = ()
    notes: Mapping[str, tuple[Reason, ...]] = field(default_factory=dict)
    asked: int = 0
    about: Matched | None = None
    question: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def outline(self) -> Matched:
        """What is known of the table: its own outline, or one with the columns that the sums are about."""
        if self.about is not None:
            return self.about
        columns = {d: ["there"] for d in self.dimensions} | {n: [0.5] for n in self.names}
        return Matched(pd.DataFrame({"deal_id": ["d"], "won": [0], **columns}))

    @property
    def same_kind(self) -> bool:
        """Are both probabilities?"""
        return self.kinds == ("probability", "probability")

    def lacks(self, metric: Metric) -> list[str]:
        """Columns that a metric needs and that are not there."""
        return [c for c in metric.needs if c not in self.columns]

    def reliability(self, forecaster: str) -> Reliability:
        """Whether a forecaster can be taken at its word, on the rows compared: as `fe.scores.reliability` of these rows.

        Where the candidate is silent the baseline's value stands in; of more than a million rows values are rounded to
        1e-4.

        Raises
        ------
        CallError
            For another forecaster, one who gives no probabilities, and without AUC among the metrics.

        Examples
        --------
        >>> import forecasteval as fe
        >>> deals = pd.DataFrame({"deal_id": list("abcd"), "won": [0, 1, 0, 1], "rep": list("xxyy"),
        ...     "model": [0.1, 0.4, 0.4, 0.9], "rep_forecast": [0.9, 0.6, 0.5, 0.4]})
        >>> fe.cells(deals, "model", "rep_forecast").reliability("model").bins()
        [(0.1, 0.0, 1), (0.4, 0.5, 2), (0.9, 1.0, 1)]
        """
        said = dict(zip(self.names, zip(self.kinds, self.rankings or (), strict=False), strict=False))
        kind, ranking = said.get(forecaster, ("", None))
        if kind != "probability" or ranking is None:
            raise CallError(
                f"There is no reliability curve of {forecaster!r}: the sums are of {' and '.join(self.names)}, as "
                f"{' and '.join(self.kinds)}, and hold a curve where the AUC is among the metrics."
            )
        return reliability_of_counts(*(ranking.curve[n] for n in ("value", "rows", "won")))

    @property
    def home(self) -> str:
        """The dimension whose clusters hold whole deals: reps, or the whole table."""
        return "rep" if "rep" in self.dimensions else ""

    def _member(self, cells: pd.DataFrame) -> tuple[dict[str, Codes], dict[str, list[Any]]]:
        """Cluster numbers of cells, by dimension, and the labels of the clusters."""
        member = {"cell": np.arange(len(cells), dtype=np.int32)}
        labels: dict[str, list[Any]] = {}
        for d in self.dimensions:
            order = sorted(cells[d].unique(), key=str)
            if d == "period":
                first = cells.groupby("period")["first"].min()
                order = in_time(order, first.reindex(order).tolist())
            labels[d] = order
            member[d] = pd.Categorical(cells[d], categories=order).codes.astype(np.int32)
        return member, labels

    def _sums(self, block: str, cells: pd.DataFrame, labels: Mapping[str, list[Any]], *, units: bool) -> Sums:
        grain, mark = self.grains[block], self.marks[block]
        c, b = (_scaled(cells[f"{block}__{w}"], grain.terms) for w in "cb")
        z = _scaled(cells[f"{block}__z"], grain.terms) if f"{block}__z" in cells else cells[f"{mark}__rows"]
        count, products = {}, {}
        for d in self.dimensions:
            of = self.deals[d]
            of = of[of[f"{mark}__deals"] > 0]
            count[d] = of.set_index(d)[f"{mark}__deals"].reindex(labels[d]).to_numpy(dtype=float)
            # where every row is a deal they are the same for each dimension
            whole = of if f"{block}__cc" in of else self.deals[""]
            products[d] = self._products(block, whole, lambda column: column.sum())
        same = block in self.identical
        moments = self._moments(block) if units else None
        return Sums(c, b, np.asarray(z, dtype=float), count, products, same, moments)

    def _products(self, block: str, of: pd.DataFrame, how: Callable[[pd.Series], Any]) -> Floats:
        """Matrices of the sums of products of candidate, baseline and z; whole numbers add up without rounding."""
        grain, rows = self.grains[block], f"{self.marks[block]}__rows"
        found = {}
        for pair in PRODUCTS:
            if f"{block}__{pair}" in of:
                found[pair] = _scaled(how(of[f"{block}__{pair}"]), grain.products)
            elif pair == "zz":  # 1 a row
                found[pair] = _scaled(how(of[rows]), 0)
            else:
                found[pair] = _scaled(how(of[f"{block}__{pair[0]}"]), grain.terms)
        matrix = [[found["".join(sorted((a, b), key="cbz".index))] for b in "cbz"] for a in "cbz"]
        return np.moveaxis(np.array(matrix), (0, 1), (-2, -1))

    def _moments(self, block: str) -> Moments:
        of, grain, mark = self.deals[self.home], self.grains[block], self.marks[block]
        of = of[of[f"{mark}__deals"] > 0]
        z = _scaled(of[f"{block}__z"], grain.terms) if f"{block}__z" in of else of[f"{mark}__rows"]
        summed = np.column_stack([*(_scaled(of[f"{block}__{w}"], grain.terms) for w in "cb"), z])
        products = self._products(block, of, lambda column: column.to_numpy())
        return Moments(of[f"{mark}__deals"].to_numpy(dtype=float), summed.astype(float), products)

    def scored(self, metric: Metric) -> Scored:
        """The rows under one metric."""
        block = metric.name
        mark = self.marks[block]
        cells = self.cells[self.cells[f"{mark}__rows"] > 0].reset_index(drop=True)
        member, labels = self._member(cells)
        rows = cells[f"{mark}__rows"].to_numpy(dtype=float)
        names = ("deals", "wins", "others", "weighing", "total", "square")
        of = self.deals.get("", self.deals[self.home])
        total = {n: float(of[f"{mark}__{n}"].sum()) for n in names}
        heaviest = float(of[f"{mark}__heaviest"].max()) if len(of) else 0.0
        sure = [int(cells[s].sum()) if (s := f"{block}__sure_{who}") in cells else 0 for who in "cb"]
        count = int(rows.sum())

        def pair(dimensions: tuple[str, ...], units: bool) -> Pair:
            if metric.terms is None:
                assert self.rankings is not None
                moments = self._moments("auc") if units else None
                mine, theirs = (r.ranks(labels, dimensions) for r in self.rankings)
                same = mine.value == theirs.value and bool(np.array_equal(mine.placed, theirs.placed))
                return pair_of_ranks(mine, theirs, member, moments, identical=same)
            found = self._sums(block, cells, labels, units=units)
            if metric.name == "log_score" and any(sure):
                said = zip("cb", (found.candidate, found.baseline), strict=True)
                c, b = (np.where(cells[f"{block}__sure_{who}"] > 0, math.inf, v) for who, v in said)
                found = replace(found, candidate=c, baseline=b)
            biases = f"{block}_and_bias" if f"{block}_and_bias" in self.grains else "bias"
            promised = self._sums(biases, cells, labels, units=False) if self.same_kind else None
            return found.pair(
                member, dimensions, better=metric.better, is_skill=metric.is_skill, biases=promised
            )

        return Scored(
            count,
            int(total["deals"]),
            int(total["wins"]),
            int(total["others"]),
            int(cells[f"{mark}__filled"].sum()) if f"{mark}__filled" in cells else 0,
            1 - count / self.asked if self.asked else 0.0,
            (*self.reasons, *self.notes.get(block, ())),
            Weights(int(total["weighing"]), total["total"], total["square"], heaviest),
            {d: added(member[d], rows) for d in self.dimensions},
            pair,
            lambda: (sure[0], sure[1]),
        )


def in_seconds(first: pd.DataFrame) -> pd.DataFrame:
    """The first moment of each period as a number; names of moments, such as "week 4", have no order of their own."""
    try:
        moments = pd.to_datetime(first["first"]).to_numpy(dtype="datetime64[s]").astype(np.int64)
    except (ValueError, TypeError):
        moments = np.zeros(len(first), dtype=np.int64)
    return first.assign(first=moments)


def _scaled(values: Any, at: int) -> Floats:
    """Whole multiples of a grain as numbers."""
    return np.asarray(values, dtype=np.float64) * 2.0**-at
