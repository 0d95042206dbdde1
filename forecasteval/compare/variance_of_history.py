"""Variance components of past comparisons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from forecasteval import scores
from forecasteval.compare.rows import Rows
from forecasteval.errors import CallError
from forecasteval.inference.variance_components import (
    DRAWS,
    NAMES,
    RANGE,
    Components,
    Floats,
    _as_components,
    _Crossed,
)
from forecasteval.matching.matched import Matched


@dataclass(frozen=True, eq=False)
class History:
    """What past deals tell about how the difference varies.

    Attributes
    ----------
    components : Components
        Estimates, truncated at 0.
    studies : list of Components
        What studies of the same size would have measured, were the estimates true.
    sizes : tuple of float
        Deals of each rep, ascending.
    notes : tuple of str
        What could not be measured, and why.
    """

    components: Components
    studies: tuple[Components, ...]
    reps: int
    periods: int
    rows: int
    sizes: tuple[float, ...]
    notes: tuple[str, ...] = ()

    @property
    def deals(self) -> float:
        """Deals per rep and period."""
        return self.rows / (self.reps * self.periods)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """Components that this history cannot tell: it has one rep, or one period."""
        few = {
            "rep": self.reps < 2,
            "period": self.periods < 2,
            "rep_period": min(self.reps, self.periods) < 2,
        }
        return tuple(name for name, is_few in few.items() if is_few)

    def within(self, name: str) -> tuple[float, float]:
        """Where four of five such studies would have put a component's SD."""
        low, high = np.quantile([getattr(c, name) for c in self.studies], RANGE)
        return float(low), float(high)


def measure(matched: Matched | pd.DataFrame, candidate: str, baseline: str, *, seed: int = 0) -> History:
    """Estimate the components of the Brier difference from matched deals.

    Henderson's first method (analogous ANOVA) for a crossed design with unequal numbers: the sums of squares
    of reps, periods and cells are set equal to their expectations. For equal numbers it is the classical
    analysis of variance, and REML wherever no estimate is below 0; those below are set to 0. How well a
    component can be measured is told by drawing studies of the same size from the estimates.

    Parameters
    ----------
    matched : DataFrame as in :func:`forecasteval.compare`, with `rep`, and `period` if there is one
    seed : int
        Of the drawn studies.

    Raises
    ------
    CallError
        If the table has no reps, no common deals, or no cell with two deals.

    References
    ----------
    Henderson (1953), Biometrics 9(2), 226-252; Searle, Casella & McCulloch (1992), Variance Components, ch. 5.

    Examples
    --------
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
        if absent:
            what = f"no forecast named {absent[0]}; it has {', '.join(matched.names) or 'none'}"
        else:
            what = "no reps, so it cannot say how the difference varies from rep to rep"
        raise CallError(
            f"The history has {what}. Name two forecasters that it has (candidate, baseline), or leave `data` empty to "
            "plan from assumptions."
        )
    dimensions = ("rep", "period") if matched.has("period") else ("rep",)
    s = Rows.of(matched, candidate, baseline, dimensions)
    d = scores.brier(s.deals.candidate, s.deals.won) - scores.brier(s.deals.baseline, s.deals.won)
    groups = s.grouping()
    codes = {k: groups.member[k].astype(np.intp) for k in ("rep", "cell")}
    codes["period"] = groups.member.get("period", np.zeros(codes["cell"].size)).astype(np.intp)
    # looks at a deal within a cell are one: their mean
    part = np.arange(d.size) if s.unit is None else s.unit.astype(np.int64) * codes["cell"].size + groups.cell
    _, first, of_row = np.unique(part, return_index=True, return_inverse=True)
    d = np.bincount(of_row, weights=d) / np.bincount(of_row)
    cell = groups.cell[first]
    crossed = _Crossed(codes, np.bincount(cell, minlength=codes["cell"].size).astype(float))
    if not crossed.n.sum() > crossed.n.size:
        raise CallError(
            "The history has no rep with two deals in a period; leave `data` empty to plan without it."
        )
    sums = np.bincount(cell, weights=d, minlength=codes["cell"].size).astype(float)
    inside = float(np.square(d).sum() - (np.square(sums) / crossed.n).sum())
    estimate = crossed.variances(sums, inside)
    components = _as_components(estimate)
    drawn = crossed.draw(components, np.random.default_rng(seed), DRAWS)
    sizes = np.sort(groups.by("rep", crossed.n))
    history = History(
        components,
        tuple(_as_components(v) for v in crossed.variances(*drawn)),
        reps=sizes.size,
        periods=int(codes["period"].max()) + 1,
        rows=int(crossed.n.sum()),
        sizes=tuple(float(n) for n in sizes),
    )
    return replace(history, notes=tuple(_notes(history, estimate)))


def _notes(history: History, estimate: Floats) -> list[str]:
    """What a reader should know of the estimates."""
    words = {
        "rep": "between reps",
        "period": "between periods",
        "rep_period": "within reps from period to period",
    }
    unmeasured = history.unmeasured
    notes = [f"The spread {words[n]} cannot be measured here; the assumption stands in." for n in unmeasured]
    notes += [
        f"The spread {words[n]} came out as 0: too small to be seen in these data, which is not proof that it is none."
        for n, v in zip(NAMES, estimate, strict=True)
        if n in words and n not in unmeasured and v <= 0
    ]
    return notes
