"""How many reps, periods and deals until a difference of a given size can be told from none.

Before a pilot: from the components of the per-deal difference (assumed, or measured in past deals) to the
standard error, the degrees of freedom and the power that :func:`forecasteval.compare` would have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasteval.inference.few_clusters import reach, under_effects
from forecasteval.inference.jackknife import bell_mccaffrey_df, clusters, t_quantile
from forecasteval.inference.limits import FEW_PERIODS, LIMITS, MIN_CLUSTERS
from forecasteval.inference.variance_components import Components

Floats = NDArray[np.float64]
Question = tuple[str, ...]

QUESTIONS: tuple[Question, ...] = (("deal",), ("rep",), ("period",), ("rep", "period"))
ENDLESS = 1e9  # deals per rep and period
MOST = {"reps": 500, "periods": 60, "deals": 10_000}  # what a plan looks through
DRAWS = 2000  # simulated pilots that say how long the arms of an interval become
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_LEVELS = (_NODES + 1) / 2


@dataclass(frozen=True)
class Design:
    """A pilot: reps, periods, and deals per rep and period on average.

    ``uneven`` is the standard deviation of the logarithm of a rep's number of deals (0: all equal); where
    ``sizes`` are given, deals of past reps, reps are as uneven as these.
    """

    reps: int
    periods: int
    deals: float
    uneven: float = 0.5
    sizes: tuple[float, ...] = ()

    @property
    def share(self) -> Floats:
        """Each rep's share of the deals: the middle quantiles of the sizes.

        Examples
        --------
        >>> Design(4, 2, 10, uneven=0.0).share.tolist()
        [0.25, 0.25, 0.25, 0.25]
        """
        from scipy.special import ndtri

        at = (np.arange(self.reps) + 0.5) / self.reps
        size = np.quantile(self.sizes, at) if self.sizes else np.exp(self.uneven * ndtri(at))
        return np.asarray(size / size.sum(), dtype=float)

    @property
    def rows(self) -> float:
        """Deals, each counted once in every period that it is seen in."""
        return self.reps * self.periods * self.deals


def doubt(design: Design, question: Question) -> str:
    """Why the comparison would give no verdict on such a pilot, whatever it finds; empty where it would.

    Parameters
    ----------
    design : Design
    question : one of QUESTIONS

    Returns
    -------
    str

    Examples
    --------
    >>> doubt(Design(12, 2, 10), ("rep", "period"))
    'fewer than 6 periods'
    """
    if "rep" in question:
        c = clusters(design.share)
        if design.reps < MIN_CLUSTERS["rep"]:
            return f"fewer than {MIN_CLUSTERS['rep']} reps"
        if c.largest_share > LIMITS.largest_share:
            return f"one rep with {c.largest_share:.0%} of the deals"
        if LIMITS.uneven(c):
            return f"reps so uneven that they count for {c.effective:.1f}"
    if "period" in question and design.periods < FEW_PERIODS:
        return f"fewer than {FEW_PERIODS} periods"
    return ""


# --- the interval that a pilot would get --------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """A variance estimate that an interval may take: as a scaled chi-square, and in simulated pilots.

    ``mean`` of SE^2, the df that it truly has, and the df of the jackknife (Bell-McCaffrey). ``drawn`` are SE^2, the
    interval's df and its skewness in pilots with normal effects; None where the interval adds nothing.
    """

    mean: float
    true_df: float
    df: float
    drawn: tuple[Floats, Floats, Floats] | None = None


def _jackknifed(share: Floats, between: float, row: float, inside: float, rows: float, seed: int) -> Part:
    """CR3J over clusters with these shares of the rows, whose own effects and rows have these variances.

    ``inside`` is what rows vary by around their cluster's mean, which may be more than what averages out.
    SE^2 = a'Aa for independent cluster means a; mean tr(A S), df by Satterthwaite 2 mean^2 / (2 tr(A S A S)).
    """
    g, n = share.size, share * rows
    variance = between + row / n
    u = np.square(share / (1 - share)) * (g - 1) / g
    cross = share * variance
    spread = np.diag(variance) - cross[:, None] - cross[None, :] + (share * cross).sum()
    mean = float((u * np.diag(spread)).sum())
    square = float((u[:, None] * u[None, :] * np.square(spread)).sum())
    jackknife = bell_mccaffrey_df(share)
    x = np.random.default_rng(seed).normal(size=(DRAWS, g)) * np.sqrt(variance)
    e = (x - (x @ share)[:, None]) * n
    df, skewness = under_effects(share, e, n, inside * max(rows - g, 0.0) + np.square(e) @ (1 / n))
    squared = (g - 1) / g * np.square(e / (1 - share)).sum(axis=1) / rows**2
    drawn = squared, np.minimum(df, jackknife), skewness
    return Part(mean, mean**2 / square if square > 0 else g - 1.0, jackknife, drawn)


@dataclass(frozen=True, eq=False)
class Expected:
    """What a pilot's interval is made of.

    ``variance`` is that of the estimate around what the question asks for; ``parts`` estimate it, each alone
    or, where reps and periods are both random, the largest of rep, period and two-way.
    """

    variance: float
    parts: tuple[Part, ...]
    crossed: tuple[int, int] | None = None  # numbers of reps and periods, for two-way

    @property
    def se(self) -> float:
        """Standard error that the interval is expected to have (root of the mean SE^2)."""
        if self.crossed is None:
            return math.sqrt(self.parts[0].mean)
        squared, _, weight = self._largest()
        return math.sqrt(float((weight * squared).sum()))

    def power(self, difference: float, level: float = 0.95, lean: float = 0.0) -> float:
        """Chance that the interval lies wholly on the true difference's side of 0.

        ``lean``, from 0 to 1, is how much more the bias of the forecaster who is ahead varies between clusters than the
        other's: then the arm towards zero is the longer one (:func:`forecasteval.caution.lean`).
        """
        from scipy.special import nctdtr, ndtr

        if self.variance <= 0:
            return 1.0 if difference else 0.0
        sd = math.sqrt(self.variance)
        noncentral = abs(difference) / sd
        if all(part.drawn for part in self.parts[:2]):
            return float(ndtr(noncentral - self._arms(level, lean) / sd).mean())
        if self.crossed is None:
            part = self.parts[0]
            reached = t_quantile(0.5 + level / 2, part.df) * math.sqrt(part.mean / self.variance)
            return float(1 - nctdtr(part.true_df, noncentral, reached))
        squared, taken, weight = self._largest()
        rep, period = self.parts[:2]
        quantile = np.array(
            [t_quantile(0.5 + level / 2, df) for df in (rep.df, period.df, min(rep.df, period.df))]
        )
        return float((weight * ndtr(noncentral - quantile[taken] * np.sqrt(squared) / sd)).sum())

    def by_students_t(self) -> Expected:
        """The same for an interval that is Student's t alone: the textbook's plan."""
        parts = tuple(replace(p, df=min(p.df, p.true_df), drawn=None) for p in self.parts)
        return replace(self, parts=parts)

    def _arms(self, level: float, lean: float) -> Floats:
        """Lengths of the arm towards zero in the simulated pilots."""
        from scipy.special import stdtrit

        parts = [p.drawn for p in self.parts[:2] if p.drawn]
        squared, df, skewness = (np.stack(of) for of in zip(*parts, strict=True))
        if self.crossed is None:
            taken = np.zeros(squared.shape[1], dtype=np.intp)
        else:
            rest = self.parts[2]
            df_left = max(rest.true_df, 1.0)
            chi = np.asarray(np.random.default_rng(2).standard_gamma(df_left / 2, squared.shape[1]))
            both = self._two_way(squared[0], squared[1], chi * (2 * rest.mean / df_left))
            leading = squared.argmax(axis=0)[None]
            taken = np.vstack([squared, both]).argmax(axis=0)
            squared = np.vstack([squared, np.maximum(both, 0.0)])
            df = np.vstack([df, df.min(axis=0)])
            skewness = np.vstack([skewness, np.take_along_axis(skewness, leading, axis=0)])
        squared, df, skewness = (
            np.take_along_axis(v, taken[None], axis=0)[0] for v in (squared, df, skewness)
        )
        quantile = stdtrit(df, 0.5 + level / 2)
        return reach(quantile, skewness, -lean)[0] * np.sqrt(squared)

    def _two_way(self, rep: Floats, period: Floats, rest: Floats) -> Floats:
        """rep + period - cells; cells = (G - 1)/(GT - 1) rep + (T - 1)/(GT - 1) period + what is left within both."""
        assert self.crossed is not None
        g, t = self.crossed
        return rep * (1 - (g - 1) / (g * t - 1)) + period * (1 - (t - 1) / (g * t - 1)) - rest

    def _largest(self) -> tuple[Floats, NDArray[np.intp], Floats]:
        """SE^2 that may come out, which of rep, period and two-way it is, and the weights of these cases."""
        from scipy.special import gammaincinv

        weight = np.prod(np.meshgrid(*[_WEIGHTS / 2] * 3, indexing="ij"), axis=0)
        rep, period, rest = (
            np.broadcast_to(
                (p.mean * 2 / p.true_df * gammaincinv(p.true_df / 2, _LEVELS)).reshape(
                    [-1 if i == axis else 1 for i in range(3)]
                ),
                weight.shape,
            )
            for axis, p in enumerate(self.parts)
        )
        ways = np.stack([rep, period, self._two_way(rep, period, rest)])
        return ways.max(axis=0), ways.argmax(axis=0), weight

    def detectable(self, *, level: float = 0.95, power: float = 0.8, lean: float = 0.0) -> float:
        """The smallest true difference that is found with this power; 0 where nothing varies."""
        from scipy.optimize import brentq

        if self.variance <= 0:
            return 0.0
        far = math.sqrt(self.variance)
        while self.power(far, level, lean) < power:
            far *= 2
        return float(brentq(lambda d: self.power(d, level, lean) - power, 0.0, far, xtol=far * 1e-9))


def expected(design: Design, components: Components, question: Question) -> Expected:
    """The interval that :func:`forecasteval.compare` is expected to give on a pilot.

    The variance of the pilot's mean difference, with N deals, shares w of the reps and v = 1/T of the periods:

    - new reps (R): (s_rep^2 + s_rp^2 sum v^2) sum w^2 + s_deal^2 / N
    - new periods (P): (s_period^2 + s_rp^2 sum w^2) sum v^2 + s_deal^2 / N
    - both: s_rep^2 sum w^2 + s_period^2 sum v^2 + s_rp^2 sum w^2 sum v^2 + s_deal^2 / N
    - new deals: s_deal^2 / N

    What is not drawn anew belongs to the question. The interval's own SE^2 is a quadratic form in the clusters'
    means; its mean and variance follow from the same components. How long the interval's arms become is drawn with a
    fixed seed: cluster means with normal effects, judged by the interval's own formulas.

    Parameters
    ----------
    design : Design
    components : Components
    question : ("deal",), ("rep",), ("period",) or ("rep", "period")

    Returns
    -------
    Expected

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114; Bell & McCaffrey (2002), Survey Methodology 28(2);
    Moerbeek & Teerenstra (2015), Power Analysis of Trials with Multilevel Data.

    Examples
    --------
    >>> e = expected(Design(20, 4, 25, uneven=0.0), Components(0.04, 0.0, 0.0, 0.2), ("rep",))
    >>> round(e.se, 5), round(e.parts[0].df, 6), round(e.detectable(), 4)
    (0.01, 19.0, 0.0303)
    """
    rep, period, both, deal = components.variances
    w = design.share
    v = np.full(design.periods, 1 / design.periods)
    n = design.rows
    w2, v2 = float(np.square(w).sum()), float(np.square(v).sum())
    if question == ("deal",):
        m = np.maximum(n * w, 2.0)
        df = float(m.sum() ** 2 / (np.square(m) / (m - 1)).sum())
        # the strata are reps: what differs from period to period inside them is counted as chance
        mean = (deal + (period + both) * (1 - v2)) / n
        return Expected(deal / n, (Part(mean, df, df),))
    inside_reps, inside_periods = deal + (period + both) * (1 - v2), deal + (rep + both) * (1 - w2)
    of_reps = _jackknifed(w, rep + both * v2, deal, inside_reps, n, 0) if design.reps > 1 else None
    of_periods = (
        _jackknifed(v, period + both * w2, deal, inside_periods, n, 1) if design.periods > 1 else None
    )
    if question == ("rep",) and of_reps:
        return Expected((rep + both * v2) * w2 + deal / n, (of_reps,))
    if question == ("period",) and of_periods:
        return Expected((period + both * w2) * v2 + deal / n, (of_periods,))
    if not (of_reps and of_periods):
        raise ValueError(f"{question} needs at least two of each.")
    g, t = design.reps, design.periods
    cell = np.outer(w, v)
    u = np.square(cell / (1 - cell)) * (g * t - 1) / (g * t)
    spread = (
        rep * (1 - 2 * w + w2)[:, None]
        + period * (1 - 2 * v + v2)[None, :]
        + both * (1 - 2 * cell + w2 * v2)
        + deal * (1 / (n * cell) - 1 / n)
    )
    left = (u * spread).sum() - ((g - 1) * of_reps.mean + (t - 1) * of_periods.mean) / (g * t - 1)
    rest = Part(max(float(left), 0.0), (g - 1.0) * (t - 1), math.nan)
    variance = rep * w2 + period * v2 + both * w2 * v2 + deal / n
    return Expected(variance, (of_reps, of_periods, rest), (g, t))


def detectable(
    design: Design,
    components: Components,
    question: Question,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> float:
    """The smallest true difference that a pilot would tell from none.

    About (t_(1+level)/2 + t_power) SE; exactly the difference at which the interval lies wholly on the right
    side of 0 with that power.

    Parameters
    ----------
    design, components, question : as in :func:`expected`
    level, power : float

    Returns
    -------
    float

    References
    ----------
    Bloom (1995), Evaluation Review 19(5), 547-556, for the minimum detectable effect.

    Examples
    --------
    >>> only_reps = Components(0.04, 0.0, 0.0, 0.0)
    >>> round(detectable(Design(12, 1, 10, uneven=0.0), only_reps, ("rep",)) / 0.04, 4)
    0.9266
    """
    return expected(design, components, question).detectable(level=level, power=power)


def endless(
    design: Design,
    components: Components,
    question: Question,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> float:
    """The smallest detectable difference with any number of deals of the same reps in the same periods.

    Parameters
    ----------
    design, components, question, level, power : as in :func:`detectable`

    Returns
    -------
    float

    Examples
    --------
    >>> round(endless(Design(12, 4, 10, uneven=0.0), Components(0.04, 0.0, 0.0, 0.2), ("rep",)), 4)
    0.0371
    """
    return detectable(replace(design, deals=ENDLESS), components, question, level=level, power=power)


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
    """The smallest number of reps, periods or deals that is enough, all else as in the design.

    Parameters
    ----------
    what : "reps", "periods" or "deals"
    design, components, question : as in :func:`expected`
    difference : float
        The difference that is to be told from none.
    level, power : float

    Returns
    -------
    int, or None where no number up to MOST is enough

    Examples
    --------
    >>> flat = Design(12, 4, 10, uneven=0.0)
    >>> c = Components(0.04, 0.0, 0.0, 0.2)
    >>> fewest("reps", flat, c, ("rep",), 0.03), fewest("deals", flat, c, ("rep",), 0.03)
    (26, None)
    """

    def varied(number: int) -> Design:
        if what == "reps":
            return replace(design, reps=number)
        return replace(design, periods=number) if what == "periods" else replace(design, deals=float(number))

    def enough(number: int) -> bool:
        tried = varied(number)
        if doubt(tried, question):
            return False
        return detectable(tried, components, question, level=level, power=power) <= difference

    least = {"reps": 2, "periods": 1, "deals": 1}
    if "rep" in question:
        least["reps"] = MIN_CLUSTERS["rep"]
    if "period" in question:
        least["periods"] = FEW_PERIODS
    low, high = least[what] - 1, MOST[what]
    if not enough(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def answerable(design: Design) -> Question:
    """The most cautious question that a pilot could answer with a verdict.

    Examples
    --------
    >>> answerable(Design(12, 2, 10)), answerable(Design(12, 8, 10)), answerable(Design(3, 2, 10))
    (('rep',), ('rep', 'period'), ('deal',))
    """
    order: Sequence[Question] = (("rep", "period"), ("rep",), ("period",), ("deal",))
    return next(q for q in order if not doubt(design, q))
