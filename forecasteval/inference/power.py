"""How many reps, periods and rows until a difference of a given size can be told from none.

Before a pilot: from the components of a row's difference (assumed, or measured in the past) to the standard error,
the degrees of freedom and the power that the interval of a comparison would have. A design counts rows as ``deals``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from forecasteval.inference import questions
from forecasteval.inference.few_clusters import lean as lean_of
from forecasteval.inference.few_clusters import skewness
from forecasteval.inference.jackknife import bell_mccaffrey_df, clusters, t_quantile
from forecasteval.inference.limits import FEW_PERIODS, LIMITS, MIN_CLUSTERS
from forecasteval.inference.variance_components import Components
from forecasteval.scores.probability import Floats

Question = tuple[str, ...]

# those that a design of reps and periods can be planned for
PLANNED: tuple[Question, ...] = tuple(
    q for q in questions.QUESTIONS if q == ("deal",) or set(q) <= {"rep", "period"}
)
MOST = {"reps": 500, "periods": 60, "deals": 10_000}  # what a plan looks through
_ENDLESS = 1e9  # rows per rep and period
_DRAWS = 2000  # simulated pilots that say which of several standard errors an interval takes


@dataclass(frozen=True)
class Design:
    """A pilot: reps, periods, and rows (deals) per rep and period on average.

    ``uneven`` is the standard deviation of the logarithm of a rep's number of rows (0: all equal); where
    ``sizes`` are given, rows of past reps, reps are as uneven as these.
    """

    reps: int
    periods: int
    deals: float
    uneven: float = 0.5
    sizes: tuple[float, ...] = ()

    @cached_property
    def share(self) -> Floats:
        """Each rep's share of the rows: the middle quantiles of the sizes."""
        from scipy.special import ndtri

        at = (np.arange(self.reps) + 0.5) / self.reps
        size = np.quantile(self.sizes, at) if self.sizes else np.exp(self.uneven * ndtri(at))
        return np.asarray(size / size.sum(), dtype=float)

    @property
    def rows(self) -> float:
        """All rows, each counted once in every period that it is seen in."""
        return self.reps * self.periods * self.deals

    @property
    def endless(self) -> Design:
        """The same reps in the same periods with any number of rows."""
        return replace(self, deals=_ENDLESS)

    def doubt(self, question: Question) -> str:
        """Why the comparison would give no verdict on such a pilot, whatever it finds; empty where it would.

        >>> Design(12, 2, 10).doubt(("rep", "period"))
        'fewer than 6 periods'
        """
        if "rep" in question:
            c = clusters(self.share)
            if self.reps < MIN_CLUSTERS["rep"]:
                return f"fewer than {MIN_CLUSTERS['rep']} reps"
            if c.largest_share > LIMITS.largest_share:
                return f"one rep with {c.largest_share:.0%} of the deals"
            if LIMITS.uneven(c):
                return f"reps so uneven that they count for {c.effective:.1f}"
        if "period" in question and self.periods < FEW_PERIODS:
            return f"fewer than {FEW_PERIODS} periods"
        return ""

    @property
    def answerable(self) -> Question:
        """The most cautious question that the pilot could answer with a verdict.

        >>> Design(12, 2, 10).answerable, Design(12, 8, 10).answerable, Design(3, 2, 10).answerable
        (('rep',), ('rep', 'period'), ('deal',))
        """
        order: tuple[Question, ...] = (("rep", "period"), ("rep",), ("period",), ("deal",))
        return next(q for q in order if not self.doubt(q))


# --- the interval that a pilot would get --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Part:
    """A variance estimate that an interval may take: as a scaled chi-square, and in simulated pilots.

    ``mean`` of SE^2, the df that it truly has, and the df of the jackknife (Bell-McCaffrey). ``drawn`` is SE^2 in pilots
    with normal effects. ``skew`` is the skewness that the comparison assumes where all that differs between these clusters is
    one forecaster's.
    """

    mean: float
    true_df: float
    df: float
    drawn: Floats | None = None
    skew: float = 0.0


@lru_cache(maxsize=8)
def _effects(clusters: int, seed: int) -> Floats:
    """The clusters' effects in the simulated pilots, the same for every size of these effects."""
    return np.random.default_rng(seed).normal(size=(_DRAWS, clusters))


@dataclass(frozen=True, eq=False)
class _Dimension:
    """Reps or periods of a design: shares of the rows, variance of their own effects, and of rows inside them."""

    share: Floats
    between: float
    inside: float  # around their cluster's mean: more than what averages out
    seed: int

    @property
    def own(self) -> float:
        """Variance of the estimate that the clusters' own effects bring."""
        return self.between * float(np.square(self.share).sum())

    def jackknifed(self, row: float, rows: float) -> _Part:
        """CR3J over these clusters.

        SE^2 = a'Aa for independent cluster means a; mean tr(A S), df by Satterthwaite 2 mean^2 / (2 tr(A S A S)).
        """
        share, g = self.share, self.share.size
        n = share * rows
        variance = self.between + row / n
        u = np.square(share / (1 - share)) * (g - 1) / g
        cross = share * variance
        spread = np.diag(variance) - cross[:, None] - cross[None, :] + (share * cross).sum()
        mean = float((u * np.diag(spread)).sum())
        square = float((u[:, None] * u[None, :] * np.square(spread)).sum())
        x = _effects(g, self.seed) * np.sqrt(variance)
        moved = (x - (x @ share)[:, None]) * share / (1 - share)
        squared = (g - 1) / g * np.square(moved).sum(axis=1)
        # what chance adds to the spread of the clusters' means: (G - 1) within / (N - sum n^2 / N)
        chance = (g - 1) * self.inside / (rows - np.square(n).sum() / rows)
        tail = self.between / (self.between + chance) if self.between > 0 else 0.0
        df = mean**2 / square if square > 0 else g - 1.0
        return _Part(mean, df, bell_mccaffrey_df(share), squared, skewness(share, tail, tail))


def _dimensions(design: Design, components: Components) -> dict[str, _Dimension]:
    rep, period, both, deal = components.variances
    w, v = design.share, np.full(design.periods, 1 / design.periods)
    w2, v2 = float(np.square(w).sum()), float(np.square(v).sum())
    return {
        "rep": _Dimension(w, rep + both * v2, deal + (period + both) * (1 - v2), 0),
        "period": _Dimension(v, period + both * w2, deal + (rep + both) * (1 - w2), 1),
    }


@lru_cache(maxsize=64)
def _over(name: str, design: Design, components: Components) -> _Part:
    """The jackknife over reps or over periods, which several questions share."""
    return _dimensions(design, components)[name].jackknifed(components.variances[3], design.rows)


@dataclass(frozen=True, eq=False)
class _Expected:
    """What a pilot's interval is made of.

    ``variance`` is that of the estimate around what the question asks for; ``parts`` estimate it, each alone
    or, where reps and periods are both random, the largest of rep, period and two-way.
    """

    variance: float
    parts: tuple[_Part, ...]
    crossed: tuple[int, int] | None = None  # numbers of reps and periods, for two-way

    @property
    def se(self) -> float:
        """Standard error that the interval is expected to have (root of the mean SE^2)."""
        return math.sqrt(self.parts[0].mean if self.crossed is None else float(self._taken[0].mean()))

    def power(self, difference: float, level: float = 0.95, lean: float = 0.0) -> float:
        """Chance that the interval lies wholly on the true difference's side of 0.

        ``lean``, from 0 to 1, is how much of what differs between clusters belongs to the forecaster who is ahead: then
        the arm towards zero is the longer one (:func:`forecasteval.inference.few_clusters.lean`).
        """
        return self._chance(level, lean)(difference)

    def detectable(self, *, level: float = 0.95, power: float = 0.8, lean: float = 0.0) -> float:
        """The smallest true difference that is found with this power; 0 where nothing varies."""
        from scipy.optimize import brentq

        if self.variance <= 0:
            return 0.0
        chance, far = self._chance(level, lean), math.sqrt(self.variance)
        while chance(far) < power:
            far *= 2
        return float(brentq(lambda d: chance(d) - power, 0.0, far, xtol=far * 1e-9))

    def _chance(self, level: float, lean: float) -> Callable[[float], float]:
        """Power by the true difference, with what does not depend on it worked out once."""
        from scipy.special import nctdtr, ndtr

        if self.variance <= 0:
            return lambda difference: 1.0 if difference else 0.0
        sd, part = math.sqrt(self.variance), self.parts[0]
        if self.crossed is not None:
            arms = self._arms(level, lean) / sd
            return lambda difference: float(ndtr(abs(difference) / sd - arms).mean())
        reached = t_quantile(0.5 + level / 2, part.df) * math.sqrt(part.mean / self.variance)
        reached *= 1 + float(lean_of(lean**3 * part.skew))
        return lambda difference: float(1 - nctdtr(part.true_df, abs(difference) / sd, reached))

    def _arms(self, level: float, lean: float) -> Floats:
        """Lengths of the arm towards zero in the simulated pilots."""
        from scipy.special import stdtrit

        squared, df, skew = self._taken
        longer = 1 + lean_of(lean**3 * skew)
        return np.asarray(stdtrit(df, 0.5 + level / 2) * longer * np.sqrt(squared))

    @cached_property
    def _taken(self) -> tuple[Floats, Floats, Floats]:
        """SE^2, df and skewness of the way that the interval takes in each simulated pilot."""
        assert self.crossed is not None
        (g, t), rest = self.crossed, self.parts[2]
        squared = np.stack([part.drawn for part in self.parts[:2] if part.drawn is not None])
        df_left = max(rest.true_df, 1.0)
        chi = np.asarray(np.random.default_rng(2).standard_gamma(df_left / 2, squared.shape[1]))
        # rep + period - cells; cells = (G - 1)/(GT - 1) rep + (T - 1)/(GT - 1) period + what is left within both
        both = squared[0] * (1 - (g - 1) / (g * t - 1)) + squared[1] * (1 - (t - 1) / (g * t - 1))
        both = both - chi * (2 * rest.mean / df_left)
        ways = np.vstack([squared, np.maximum(both, 0.0)])
        taken = ways.argmax(axis=0)
        df = np.array([part.df for part in self.parts[:2]])
        skews = np.array([part.skew for part in self.parts[:2]])
        skew = skews[np.where(taken == 2, squared.argmax(axis=0), taken)]
        return ways.max(axis=0), np.append(df, df.min())[taken], skew


def expected(design: Design, components: Components, question: Question) -> _Expected:
    """The interval that a comparison is expected to give on a pilot.

    The variance of the pilot's mean difference, with N rows, shares w of the reps and v = 1/T of the periods:

    - new reps (R): (s_rep^2 + s_rp^2 sum v^2) sum w^2 + s_deal^2 / N
    - new periods (P): (s_period^2 + s_rp^2 sum w^2) sum v^2 + s_deal^2 / N
    - both: s_rep^2 sum w^2 + s_period^2 sum v^2 + s_rp^2 sum w^2 sum v^2 + s_deal^2 / N
    - new rows: s_deal^2 / N

    What is not drawn anew belongs to the question. The interval's own SE^2 is a quadratic form in the clusters'
    means; its mean and variance follow from the same components. Which of several ways the interval takes is drawn with a
    fixed seed, from cluster means with normal effects. Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114; Bell &
    McCaffrey (2002), Survey Methodology 28(2); Moerbeek & Teerenstra (2015), Power Analysis of Trials with Multilevel
    Data.

    >>> e = expected(Design(20, 4, 25, uneven=0.0), Components(0.04, 0.0, 0.0, 0.2), ("rep",))
    >>> round(e.se, 5), round(e.parts[0].df, 6), round(e.detectable(), 4)
    (0.01, 19.0, 0.0295)
    """
    rep, period, both, deal = components.variances
    n, sides = design.rows, _dimensions(design, components)
    w, v = sides["rep"].share, sides["period"].share
    if question == ("deal",):
        m = np.maximum(n * w, 2.0)
        df = float(m.sum() ** 2 / (np.square(m) / (m - 1)).sum())
        # the strata are reps: what differs from period to period inside them is counted as chance
        return _Expected(deal / n, (_Part(sides["rep"].inside / n, df, df),))
    if any(sides[name].share.size < 2 for name in question):
        raise ValueError(f"{question} needs at least two of each.")
    parts = tuple(_over(name, design, components) for name in question)
    if len(question) == 1:
        return _Expected(sides[question[0]].own + deal / n, parts)
    g, t = design.reps, design.periods
    w2, v2 = float(np.square(w).sum()), float(np.square(v).sum())
    cell = np.outer(w, v)
    u = np.square(cell / (1 - cell)) * (g * t - 1) / (g * t)
    spread = (
        rep * (1 - 2 * w + w2)[:, None]
        + period * (1 - 2 * v + v2)[None, :]
        + both * (1 - 2 * cell + w2 * v2)
        + deal * (1 / (n * cell) - 1 / n)
    )
    left = (u * spread).sum() - ((g - 1) * parts[0].mean + (t - 1) * parts[1].mean) / (g * t - 1)
    rest = _Part(max(float(left), 0.0), (g - 1.0) * (t - 1), math.nan)
    return _Expected(rep * w2 + period * v2 + both * w2 * v2 + deal / n, (*parts, rest), (g, t))


@lru_cache(maxsize=4096)
def detectable(
    design: Design, components: Components, question: Question, *, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest true difference that a pilot would tell from none.

    About (t_(1+level)/2 + t_power) SE; exactly the difference at which the interval lies wholly on the right
    side of 0 with that power. Bloom (1995), Evaluation Review 19(5), 547-556: the minimum detectable effect.

    >>> only_reps = Components(0.04, 0.0, 0.0, 0.0)
    >>> round(detectable(Design(12, 1, 10, uneven=0.0), only_reps, ("rep",)) / 0.04, 4)
    0.8887
    """
    return expected(design, components, question).detectable(level=level, power=power)


def fewest(
    what: str,
    design: Design,
    components: Components,
    question: Question,
    difference: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """The smallest number of "reps", "periods" or "deals" that is enough, all else as in the design; None beyond MOST.

    >>> flat = Design(12, 4, 10, uneven=0.0)
    >>> c = Components(0.04, 0.0, 0.0, 0.2)
    >>> fewest("reps", flat, c, ("rep",), 0.03), fewest("deals", flat, c, ("rep",), 0.03)
    (25, None)
    """

    def enough(number: int) -> bool:
        tried = replace(design, **{what: float(number) if what == "deals" else number})  # type: ignore[arg-type]
        if tried.doubt(question):
            return False
        return detectable(tried, components, question, level=level, power=power) <= difference

    least = {
        "reps": MIN_CLUSTERS["rep"] if "rep" in question else 2,
        "periods": FEW_PERIODS if "period" in question else 1,
        "deals": 1,
    }
    low, high = least[what] - 1, MOST[what]
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
