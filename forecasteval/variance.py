"""Where the difference of two forecasters varies: between reps, between periods, within both, deal by deal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval import sample, scores
from forecasteval.compare import forecaster_columns, has
from forecasteval.errors import CallError

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


@dataclass(frozen=True, eq=False)
class History:
    """What past deals tell about how the difference varies.

    Attributes
    ----------
    components : Components
        Estimates, truncated at 0.
    studies : list of Components
        What studies of the same size would have measured, were the estimates true.
    reps, periods, rows : int
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


def measure(matched: pd.DataFrame, candidate: str, baseline: str, *, seed: int = 0) -> History:
    """Estimate the components of the Brier difference from matched deals.

    Henderson's first method (analogous ANOVA) for a crossed design with unequal numbers: the sums of squares
    of reps, periods and cells are set equal to their expectations. For equal numbers it is the classical
    analysis of variance, and REML wherever no estimate is below 0; those below are set to 0. How well a
    component can be measured is told by drawing studies of the same size from the estimates.

    Parameters
    ----------
    matched : DataFrame as in :func:`forecasteval.compare`, with `rep`, and `period` if there is one
    candidate, baseline : str
    seed : int
        Of the drawn studies.

    Returns
    -------
    History

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
    absent = [n for n in (candidate, baseline) if n not in matched]
    if absent or not has(matched, "rep"):
        if absent:
            what = f"no forecast named {absent[0]}; it has {', '.join(forecaster_columns(matched)) or 'none'}"
        else:
            what = "no reps, so it cannot say how the difference varies from rep to rep"
        raise CallError(
            f"The history has {what}. Name two forecasters that it has (candidate, baseline), or leave `data` empty to "
            "plan from assumptions."
        )
    dimensions = ("rep", "period") if has(matched, "period") else ("rep",)
    matched = matched.copy(deep=False)
    matched.attrs = {}
    s = sample.read(matched, candidate, baseline, dimensions)
    s = sample.united(sample.settle_abstentions(s, candidate, baseline, same_kind=True))
    assert s.rep is not None
    d = scores.brier(s.deals.candidate, s.deals.won) - scores.brier(s.deals.baseline, s.deals.won)
    groups = s.grouping()
    codes = {k: groups.member[k].astype(np.intp) for k in ("rep", "cell")}
    codes["period"] = groups.member.get("period", np.zeros(groups.cells)).astype(np.intp)
    crossed = _Crossed(codes, groups.sums(None))
    if not crossed.n.sum() > groups.cells:
        raise CallError(
            "The history has no rep with two deals in a period; leave `data` empty to plan without it."
        )
    sums = groups.sums(d)
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
        rows=s.rows,
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


def with_sds(components: Components, given: Mapping[str, Any]) -> Components:
    """Components with some of their SDs replaced.

    Examples
    --------
    >>> with_sds(Components(0.02, 0.01, 0.01, 0.2), {"rep": 0.05}).rep
    0.05
    """
    return Components(**(asdict(components) | {k: float(v) for k, v in given.items()}))
