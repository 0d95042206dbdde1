"""What past deals tell about how the difference of two forecasters varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecasteval.compare.pair import influences
from forecasteval.compare.rows import Rows
from forecasteval.errors import CallError
from forecasteval.inference.variance_components import NAMES, Components, Crossed, Floats
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import METRICS, Metric, brier

_WORDS = {
    "rep": "between reps",
    "period": "between periods",
    "rep_period": "within reps from period to period",
}


@dataclass(frozen=True, eq=False)
class History:
    """How the difference varied in past deals, and how well that could be measured.

    ``components`` are estimates, 0 where they came out below; ``studies`` what histories of the same size would have
    measured, were these true; ``sizes`` the deals of each rep, ascending; ``notes`` say what could not be measured.
    """

    components: Components
    studies: tuple[Components, ...]
    periods: int
    sizes: tuple[float, ...]
    rows: int
    notes: tuple[str, ...]

    @property
    def reps(self) -> int:
        """Number of reps."""
        return len(self.sizes)

    @property
    def deals(self) -> float:
        """Deals per rep and period."""
        return self.rows / (self.reps * self.periods)

    @property
    def measured(self) -> tuple[str, ...]:
        """Components that this history can tell; with one rep or one period it is not all of them."""
        several = {"rep": self.reps > 1, "period": self.periods > 1, "deal": True}
        several["rep_period"] = several["rep"] and several["period"]
        return tuple(name for name in NAMES if several[name])

    def within(self, name: str) -> tuple[float, float]:
        """Where four of five such studies would have put a component's SD."""
        return four_of_five([getattr(study, name) for study in self.studies])


def four_of_five(values: Sequence[float]) -> tuple[float, float]:
    """The range that leaves out the lowest and the highest tenth."""
    low, high = np.quantile(values, (0.1, 0.9))
    return float(low), float(high)


def measure(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    seed: int = 0,
    metric: Metric = METRICS["brier"],
    which: str = "difference",
    epsilon: float = 0.0,
) -> History:
    """Estimate the components of a score's difference from matched deals, with `rep`, and `period` if there is one.

    What a deal adds to the difference of the means; of a score that is no mean over deals, its influence: how far the score
    moves with the deal, in the score's own unit (Hampel 1974, JASA 69(346), 383-393).

    >>> rng = np.random.default_rng(1)
    >>> t = pd.DataFrame({"rep": np.repeat(range(40), 50), "period": np.tile(range(10), 200)})
    >>> t = t.assign(deal_id=range(2000), won=(rng.random(2000) < 0.3).astype(int), model=0.3)
    >>> t["rep_forecast"] = (0.4 + 0.15 * rng.normal(size=40)[t["rep"]]).clip(0, 1)
    >>> history = measure(t, "model", "rep_forecast")
    >>> history.reps, history.periods, history.deals, 0.03 < history.components.rep < 0.06
    (40, 10, 5.0, True)
    """
    matched = Matched.of(matched)
    absent = [n for n in (candidate, baseline) if n not in matched]
    if absent or not matched.has("rep"):
        what = "no reps, so it cannot say how the difference varies from rep to rep"
        if absent:
            what = f"no forecast named {absent[0]}; it has {', '.join(matched.names) or 'none'}"
        raise CallError(
            f"The history has {what}. Name two forecasters that it has (candidate, baseline), or leave `data` empty to "
            "plan from assumptions."
        )
    dimensions = ("rep", "period") if matched.has("period") else ("rep",)
    rows = Rows.of(matched, candidate, baseline, dimensions, amounts=bool(metric.needs), epsilon=epsilon)
    rows = rows.with_amounts(metric) if metric.needs and rows.deals.amount is not None else rows
    groups = rows.groups
    d = _added(rows, metric, which)
    cells = groups.member["cell"].size
    # looks at a deal within a cell are one: their mean
    part = np.arange(d.size) if rows.unit is None else rows.unit.astype(np.int64) * cells + groups.cell
    _, first, of_row = np.unique(part, return_index=True, return_inverse=True)
    d, cell = np.bincount(of_row, weights=d) / np.bincount(of_row), groups.cell[first]
    size = np.bincount(cell, minlength=cells).astype(float)
    periods = groups.member.get("period", np.zeros(cells))
    crossed = Crossed(groups.member["rep"].astype(np.intp), periods.astype(np.intp), rows=size)
    if not size.sum() > cells:
        raise CallError(
            "The history has no rep with two deals in a period; leave `data` empty to plan without it."
        )
    sums = np.bincount(cell, weights=d, minlength=cells).astype(float)
    estimate = crossed.variances(sums, float(np.square(d).sum() - (np.square(sums) / size).sum()))
    components = Components.of(estimate)
    history = History(
        components,
        crossed.studies(components, seed),
        periods=int(crossed.period.max()) + 1,
        sizes=tuple(float(n) for n in np.sort(groups.by("rep", size))),
        rows=int(size.sum()),
        notes=(),
    )
    return replace(history, notes=_notes(history.measured, estimate))


def _added(rows: Rows, metric: Metric, which: str) -> Floats:
    """What each row adds to the score, on the scale of the score."""
    if metric.name == "brier" and which == "difference":
        return brier(rows.deals.candidate, rows.deals.won) - brier(rows.deals.baseline, rows.deals.won)
    found = influences(metric, rows.deals, which)
    if not np.isfinite(found).all():
        raise CallError(
            f"{metric.label} has no value in this history, so nothing can be said of how it varies."
        )
    return found


def _notes(measured: Sequence[str], estimate: Floats) -> tuple[str, ...]:
    """What a reader should know of the estimates."""
    unmeasured = [name for name in _WORDS if name not in measured]
    notes = [f"The spread {_WORDS[n]} cannot be measured here; the assumption stands in." for n in unmeasured]
    notes += [
        f"The spread {_WORDS[n]} came out as 0: too small to be seen in these data, which is not proof that it is none."
        for n, v in zip(NAMES, estimate, strict=True)
        if n in _WORDS and n in measured and v <= 0
    ]
    return tuple(notes)
