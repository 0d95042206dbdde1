"""Numbers of deals that a learning curve is drawn at, and what was learned from so many."""

from __future__ import annotations

from collections.abc import Sequence

from forecasteval.errors import CallError
from forecasteval.inference.limits import FEW_PERIODS, MIN_CLUSTERS
from forecasteval.matching.match import Panel
from forecasteval.matching.rolling_origin import GRID, Learning, pasts_of, roll

LEAST = 10  # deals that any model is fitted to


def sizes_for(asked: Sequence[int], known: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The sizes of the curve, and a sentence where there are none; `known` counts outcomes known at each look.

    Without wishes: the grid as far as six periods can be judged at all of its sizes; four or one where six cannot.

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
        if len(known) >= periods and (top := sorted(known, reverse=True)[periods - 1]) >= GRID[2]:
            return tuple(n for n in GRID if n <= top), ""
    return (), (
        f"By the last period the outcome of only {most:,} deals was known, too few to draw a curve: at least {GRID[2]} "
        "are needed before the first period that is judged."
    )


def learned(
    panel: Panel, baseline: str, rule: str, *, seed: int, asked: Sequence[int] = (), twin: str = ""
) -> Learning:
    """Forecasts of the reference model and of a rule by the number of deals learned from, beside a baseline."""
    beside = panel.view([baseline])
    if beside.stop:
        return Learning(stop=beside.stop[0]["text"])
    pasts = pasts_of(panel.known, seed)
    sizes, why = sizes_for(asked, [len(train) for _, train in pasts])
    return Learning(stop=why) if why else roll(panel.known, pasts, sizes, rule, twin).beside(beside, baseline)
