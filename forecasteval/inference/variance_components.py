"""Where a difference varies: between reps, between periods, within both, and from row to row."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasteval.scores.probability import Floats

_Codes = NDArray[np.intp]

_STUDIES = 200  # drawn to say how well a component could be measured


@dataclass(frozen=True)
class Components:
    """Standard deviations of a difference d, each named after what brings it; ``deal`` is a single row's own.

    d_rtk = mean + rep_r + period_t + rep_period_rt + deal_rtk, all independent, with mean 0.
    """

    rep: float
    period: float
    rep_period: float
    deal: float

    @classmethod
    def of(cls, variances: ArrayLike) -> Components:
        """From estimated variances; those below 0 become 0."""
        return cls(*(float(sd) for sd in np.sqrt(np.clip(variances, 0, None))))

    @property
    def variances(self) -> tuple[float, float, float, float]:
        """The four squared, in the order of the fields."""
        return self.rep**2, self.period**2, self.rep_period**2, self.deal**2


NAMES = tuple(field.name for field in fields(Components))


@dataclass(frozen=True, eq=False)
class Crossed:
    """Cells of reps and periods, and Henderson's first method on them.

    The sums of squares of reps, periods and cells are set equal to their expectations. For equal numbers it is the
    classical analysis of variance, and REML wherever no estimate is below 0. ``rep`` and ``period`` number the
    clusters of each cell, ``rows`` counts what it holds. Henderson (1953), Biometrics 9(2), 226-252; Searle, Casella &
    McCulloch (1992), Variance Components, ch. 5.
    """

    rep: _Codes
    period: _Codes
    rows: Floats

    @property
    def _codes(self) -> dict[str, _Codes]:
        return {"rep": self.rep, "period": self.period, "rep_period": np.arange(self.rows.size)}

    def _member(self, codes: _Codes) -> Any:
        from scipy.sparse import csr_array

        cells = np.arange(self.rows.size)
        return csr_array((np.ones(cells.size), (cells, codes)), shape=(cells.size, int(codes.max()) + 1))

    def _squares(self, sums: Floats, codes: _Codes) -> Floats:
        """Sum over clusters of (sum of d)^2 / rows; any leading axes of `sums` are kept."""
        member = self._member(codes)
        return np.asarray((np.square(sums @ member) / (self.rows @ member)).sum(axis=-1))

    def _weight(self, of: _Codes, part: _Codes) -> float:
        """Sum over clusters `of` of the sum of squared sizes of their parts, divided by their own size."""
        crossed = self._member(of).T @ (self._member(part) * self.rows[:, None])
        return float(((crossed * crossed).sum(axis=1) / crossed.sum(axis=1)).sum())

    def variances(self, sums: Floats, inside: Floats | float) -> Floats:
        """Variances in the order of NAMES, shape (..., 4), not truncated at zero.

        `sums`, shape (..., cells): d summed in each cell; `inside`, shape (...): squares within cells.
        """
        codes, whole = self._codes, np.zeros(self.rows.size, dtype=np.intp)
        deal = np.asarray(inside / (self.rows.sum() - self.rows.size))
        wanted = [name for name in ("rep", "period") if codes[name].max() > 0]
        if len(wanted) == 2:
            wanted.append("rep_period")
        mean = self._squares(sums, whole)
        left = [self._squares(sums, codes[k]) - mean - codes[k].max() * deal for k in wanted]
        matrix = [
            [self._weight(codes[k], codes[j]) - self._weight(whole, codes[j]) for j in wanted] for k in wanted
        ]
        found = np.zeros((*deal.shape, len(NAMES)))
        if wanted:
            # the pseudo-inverse: where each rep is seen in one period only, the two cannot be told apart
            solved = np.stack(left, axis=-1) @ np.linalg.pinv(np.array(matrix)).T
            found[..., [NAMES.index(name) for name in wanted]] = solved
        found[..., NAMES.index("deal")] = deal
        return found

    def studies(self, components: Components, seed: int) -> tuple[Components, ...]:
        """What studies of this size would measure, were these the components."""
        c, rng = components, np.random.default_rng(seed)
        spread = np.sqrt(c.rep_period**2 * self.rows**2 + c.deal**2 * self.rows)
        sums = rng.normal(0, 1, (_STUDIES, self.rows.size)) * spread
        for sd, codes in ((c.rep, self.rep), (c.period, self.period)):
            each = rng.normal(0, sd, (_STUDIES, int(codes.max()) + 1))
            sums += each[:, codes] * self.rows
        inside = c.deal**2 * rng.chisquare(self.rows.sum() - self.rows.size, _STUDIES)
        return tuple(Components.of(v) for v in self.variances(sums, inside))
