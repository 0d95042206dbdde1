"""Where the difference of two forecasters varies: between reps, between periods, within both, deal by deal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

DRAWS = 200  # of the studies that say how well a component could be measured
RANGE = (0.1, 0.9)


@dataclass(frozen=True)
class Components:
    """Standard deviations of the per-deal score difference d = candidate's score minus baseline's.

    d_rtk = mean + rep_r + period_t + rep_period_rt + deal_rtk, all independent, with mean 0.
    """

    rep: float
    period: float
    rep_period: float
    deal: float

    @property
    def variances(self) -> tuple[float, float, float, float]:
        """The four squared, in the order of the fields."""
        return self.rep**2, self.period**2, self.rep_period**2, self.deal**2


NAMES = ("rep", "period", "rep_period", "deal")


def assumed(
    *, apart: float, win_rate: float, optimism: float, optimism_differs: float, swing: float
) -> Components:
    """Components of the Brier difference from quantities that a sales team can judge.

    With p_c, p_b the two probabilities and y the outcome, d = (p_c - p_b) (p_c + p_b - 2 y). Hence

    - deal: 2 apart sqrt(w (1 - w)), the spread of d where both are right on average;
    - rep: a rep whose probabilities are too high by h costs the baseline h^2, and h varies around the mean
      optimism o with SD s, so the SD is sqrt(4 o^2 s^2 + 2 s^4);
    - period: where fewer deals are won than usual by an unforeseen swing v, d moves by 2 o v;
    - rep_period: the same swing within single reps, 2 sqrt(o^2 + s^2) v.

    Parameters
    ----------
    apart : float
        Typical (root mean square) gap between the two probabilities of a deal, 0.2 for 20 points.
    win_rate : float
        Share of the deals that is won, w.
    optimism : float
        By how much the reps' probabilities are too high on average, o.
    optimism_differs : float
        SD between reps of that, s.
    swing : float
        SD between periods of the share that is won, v, beyond what either forecaster foresaw.

    Returns
    -------
    Components

    Examples
    --------
    >>> c = assumed(apart=0.2, win_rate=0.25, optimism=0.1, optimism_differs=0.1, swing=0.05)
    >>> [round(s, 4) for s in (c.rep, c.period, c.rep_period, c.deal)]
    [0.0245, 0.01, 0.0141, 0.1732]
    """
    o, s = optimism, optimism_differs
    return Components(
        rep=float(np.sqrt(4 * o**2 * s**2 + 2 * s**4)),
        period=2 * abs(o) * swing,
        rep_period=float(2 * np.sqrt(o**2 + s**2)) * swing,
        deal=float(2 * apart * np.sqrt(win_rate * (1 - win_rate))),
    )


# --- measured from matched deals ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Crossed:
    """Numbers of deals in the cells of reps and periods, and Henderson's first method on them."""

    codes: Mapping[str, NDArray[np.intp]]  # of each cell: rep, period, cell
    n: Floats

    def _member(self, codes: NDArray[np.intp]) -> Any:
        from scipy.sparse import csr_array

        cells = np.arange(self.n.size)
        return csr_array((np.ones(cells.size), (cells, codes)), shape=(cells.size, int(codes.max()) + 1))

    def _squares(self, sums: Floats, codes: NDArray[np.intp]) -> Floats:
        """Sum over clusters of (sum of d)^2 / deals; any leading axes of `sums` are kept."""
        member = self._member(codes)
        return np.asarray((np.square(sums @ member) / (self.n @ member)).sum(axis=-1))

    def _weight(self, of: NDArray[np.intp], part: NDArray[np.intp]) -> float:
        """Sum over clusters `of` of the sum of squared sizes of their parts, divided by their own size."""
        crossed = self._member(of).T @ (self._member(part) * self.n[:, None])
        return float(((crossed * crossed).sum(axis=1) / crossed.sum(axis=1)).sum())

    def variances(self, sums: Floats, inside: Floats | float) -> Floats:
        """Variances in the order of NAMES, shape (..., 4), not truncated at zero.

        `sums`, shape (..., cells): d summed in each cell; `inside`, shape (...): squares within cells.
        """
        whole = np.zeros(self.n.size, dtype=np.intp)
        deal = np.asarray(inside / (self.n.sum() - self.n.size))
        several = [k for k in ("rep", "period") if self.codes[k].max() > 0]
        wanted = [*several, "cell"] if len(several) == 2 else several
        left = [
            self._squares(sums, self.codes[k]) - self._squares(sums, whole) - self.codes[k].max() * deal
            for k in wanted
        ]
        matrix = np.array(
            [
                [
                    self._weight(self.codes[k], self.codes[j]) - self._weight(whole, self.codes[j])
                    for j in wanted
                ]
                for k in wanted
            ]
        )
        found = np.zeros((*deal.shape, 4))
        # the pseudo-inverse: where each rep is seen in one period only, the two cannot be told apart
        solved = np.stack(left, axis=-1) @ np.linalg.pinv(matrix).T
        for i, k in enumerate(wanted):
            found[..., ("rep", "period", "cell").index(k)] = solved[..., i]
        found[..., 3] = deal
        return found

    def draw(self, components: Components, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
        """Cells' sums and squares within cells of studies of this size, were these the components."""
        c = components
        effect = rng.normal(0, 1, (draws, self.n.size)) * np.sqrt(
            c.rep_period**2 * self.n**2 + c.deal**2 * self.n
        )
        for sd, k in ((c.rep, "rep"), (c.period, "period")):
            each = rng.normal(0, sd, (draws, int(self.codes[k].max()) + 1))
            effect += each[:, self.codes[k]] * self.n
        return effect, c.deal**2 * rng.chisquare(self.n.sum() - self.n.size, draws)


def _as_components(variances: ArrayLike) -> Components:
    return Components(*(float(s) for s in np.sqrt(np.clip(variances, 0, None))))


def with_sds(components: Components, given: Mapping[str, Any]) -> Components:
    """Components with some of their SDs replaced.

    Examples
    --------
    >>> with_sds(Components(0.02, 0.01, 0.01, 0.2), {"rep": 0.05}).rep
    0.05
    """
    return Components(**(asdict(components) | {k: float(v) for k, v in given.items()}))
