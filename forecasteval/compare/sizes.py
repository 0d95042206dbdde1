"""Numbers of deals that a learning curve is drawn at."""

from __future__ import annotations

from collections.abc import Sequence

from forecasteval.errors import CallError
from forecasteval.inference.limits import FEW_PERIODS, MIN_CLUSTERS

LEAST = 10  # deals that any model is fitted to
_GRID = (25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200, 4500, 6400, 9000, 12800)


def sizes_for(asked: Sequence[int], known: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The sizes of the curve, and a sentence where there are none; `known` counts outcomes known at each look.

    Without wishes: the grid as far as six periods can be judged at all of its sizes; four or one where six cannot.

    Examples
    --------
    >>> sizes_for([], [0, 60, 120, 180, 240, 300, 360])[0]
    (25, 35, 50)
    """
    most = max(known, default=0)
    if asked:
        sizes = tuple(sorted(set(asked)))
        if sizes[-1] > most:
            raise CallError(
                f"sizes: {sizes[-1]:,} deals cannot be learned from; by the last period the outcome of {most:,} was known."
            )
        return sizes, ""
    for periods in (FEW_PERIODS, MIN_CLUSTERS["period"], 1):
        if len(known) >= periods and (top := sorted(known, reverse=True)[periods - 1]) >= _GRID[2]:
            return tuple(n for n in _GRID if n <= top), ""
    return (), (
        f"By the last period the outcome of only {most:,} deals was known, too few to draw a curve: at least {_GRID[2]} "
        "are needed before the first period that is judged."
    )
