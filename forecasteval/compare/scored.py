"""One score on the rows of two forecasters, summed up: all that a comparison needs to know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from forecasteval.compare.hindsight import CODE
from forecasteval.compare.pair import Pair
from forecasteval.inference.estimate import Reason
from forecasteval.inference.limits import Weights
from forecasteval.scores.probability import Floats, Metric


@dataclass(frozen=True, eq=False)
class Scored:
    """The rows that a metric can use.

    ``wins`` and ``others`` are deals won and not won; ``filled`` rows in which the baseline's value stands in for the
    candidate's; ``dropped`` the share of rows left out for want of a forecast or an amount; ``rows_by`` counts rows by
    cluster; ``pair`` gives the values, for the dimensions left out in turn and with or without single deals; ``sure``
    counts how often candidate and baseline were certain and wrong.
    """

    rows: int
    deals: int
    wins: int
    others: int
    filled: int
    dropped: float
    reasons: tuple[Reason, ...]
    weights: Weights
    rows_by: Mapping[str, Floats]
    pair: Callable[[tuple[str, ...], bool], Pair]
    sure: Callable[[], tuple[int, int]]

    @property
    def knew(self) -> bool:
        """Did one of the two know the outcome?"""
        return any(r["code"] == CODE for r in self.reasons)


class Evidence(Protocol):
    """What two forecasters are judged on, wherever its rows are."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What is to be said of the rows."""

    @property
    def flow(self) -> tuple[dict[str, Any], ...]:
        """Steps from the table to the rows."""

    @property
    def same_kind(self) -> bool:
        """Are both probabilities?"""

    def lacks(self, metric: Metric) -> list[str]:
        """Columns that a metric needs and that are not there."""

    def scored(self, metric: Metric) -> Scored:
        """The rows under one metric."""
