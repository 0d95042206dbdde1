"""Estimates with intervals from sums over clusters. Knows nothing of deals.

The centre is the delete-one-cluster jackknife (CR3J) of a ratio of sums: closed form, no resampling, the same
cost for a thousand rows as for a million. Around it stands an interval that expects clusters to differ: degrees
of freedom under random cluster effects, and a longer arm on the side on which far-off clusters may be missing,
told by the skewness of those that are there and by how differently the two forecasters are biased in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


# Found in simulated pilots, where less and more were tried (notebooks/coverage_study.ipynb).
SKEW_GAIN = 1.5  # few clusters show less skewness than they were drawn from
LEAN_GAIN = (
    0.7  # how much longer the arm is on the side to which biases that differ lean an estimate, at most
)
LONGEST_ARM = 2.0  # how much longer than Student's an arm of the interval may be for skewness


@dataclass(frozen=True, slots=True)
class Spread:
    """A standard error with what an interval around it needs, and where they come from.

    ``df`` are those of the jackknife itself (Bell-McCaffrey); ``cautious_df``, never more, expect clusters to
    differ; ``skewness`` is that of the estimate, so far as it comes from differing clusters; ``lean``, in [-1, 1],
    says on which side of the estimate far-off clusters would lie (:func:`lean`).
    """

    se: float
    df: float
    method: str
    cautious_df: float = math.inf
    skewness: float = 0.0
    lean: float = 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval and the p-value of the test that agrees with it."""

    low: float
    high: float
    p_value: float


def leave_one_out(x: ArrayLike, z: ArrayLike) -> Floats:
    """The ratio of sums without each cluster in turn.

    R_(g) = (X - x_g) / (Z - z_g)

    Parameters
    ----------
    x, z : arrays of shape (clusters,)
        Numerator and denominator summed within each cluster.

    Returns
    -------
    array of shape (clusters,); not finite where one cluster holds all of the denominator

    Examples
    --------
    >>> leave_one_out([1.0, 2.0, 3.0], [1.0, 1.0, 2.0]).tolist()
    [1.6666666666666667, 1.3333333333333333, 1.5]
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (x.sum() - x) / (z.sum() - z)


def bell_mccaffrey_df(share: ArrayLike) -> float:
    """Degrees of freedom of the CR3J variance of a ratio, from the clusters' shares of the denominator.

    (sum u)^2 / (sum u^2 + sum_{g != h} (w_g w_h)^2 / ((1 - w_g)^2 (1 - w_h)^2)),  u_g = w_g / (1 - w_g)

    Parameters
    ----------
    share : array of shape (clusters,), summing to 1

    Returns
    -------
    float; ``clusters - 1`` where all shares are equal

    References
    ----------
    Bell & McCaffrey (2002), Survey Methodology 28(2), 169-181.

    Examples
    --------
    >>> round(bell_mccaffrey_df([0.25, 0.25, 0.25, 0.25]), 6)
    3.0
    """
    w = np.asarray(share, dtype=float)
    u = w / (1 - w)
    a = np.square(u)
    cross = np.square(a.sum()) - np.square(a).sum()
    return float(np.square(u.sum()) / (a.sum() + cross))


def cr3j(estimate: float, without: ArrayLike) -> float:
    """Standard error by deleting one cluster at a time, around the full estimate.

    SE^2 = (G - 1) / G * sum_g (R_(g) - R)^2

    For a ratio this equals (G - 1)/G * sum e_g^2 / (1 - w_g)^2 / Z^2 with e_g = x_g - R z_g: the CR3 of the
    regression literature times (G - 1)/G.

    Parameters
    ----------
    estimate : float
    without : array of shape (clusters,)
        The estimate without each cluster.

    Returns
    -------
    float

    References
    ----------
    Bell & McCaffrey (2002); MacKinnon, Nielsen & Webb (2023), Journal of Applied Econometrics 38(5).

    Examples
    --------
    >>> cr3j(2.0, [2.5, 2.0, 1.5])
    0.5773502691896257
    """
    r = np.asarray(without, dtype=float)
    return float(np.sqrt((r.size - 1) / r.size * np.square(r - estimate).sum()))


def components(residual: ArrayLike, rows: ArrayLike, square: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Variance of rows within clusters and of the clusters' own effects, by the method of moments.

    within = (sum r^2 - sum e_g^2 / n_g) / (N - G); between = [sum e_g^2/n_g - (G-1) within] / (N - sum n_g^2 / N),
    not below 0. Where clusters have no effects of their own, chance alone spreads the latter by
    within sqrt(2 (G-1)) / (N - sum n_g^2 / N), its standard deviation.

    Parameters
    ----------
    residual : array of shape (..., clusters)
        e_g, the sum of the rows' residuals r = x - R z in each cluster.
    rows : array of shape (clusters,)
    square : array of shape (...)
        Sum of r^2 over all rows.

    Returns
    -------
    within, between, by_chance : arrays of shape (...)

    References
    ----------
    Searle, Casella & McCulloch (1992), Variance Components, section 3.6; DerSimonian & Laird (1986), Controlled
    Clinical Trials 7(3).

    Examples
    --------
    >>> [round(float(v), 4) for v in components([2.0, -2.0, 0.0], [4, 4, 4], 12.0)]
    [1.1111, 0.0, 0.2778]
    """
    e, n = np.asarray(residual, dtype=float), np.asarray(rows, dtype=float)
    total, count = n.sum(), n.size
    around = np.square(e) @ (1 / n)
    within = np.maximum((np.asarray(square) - around) / max(total - count, 1), 0.0)
    spare = total - np.square(n).sum() / total
    if not spare > 0:
        return within, np.zeros_like(within), np.zeros_like(within)
    between = np.maximum((around - (count - 1) * within) / spare, 0.0)
    return within, between, within * math.sqrt(2 * (count - 1)) / spare


def lean(candidate: tuple[float, float], baseline: tuple[float, float]) -> float:
    """On which side of a difference in loss the clusters lie that a sample may have missed, from -1 to 1.

    (t_c - t_b) / (t_c + t_b + s),  t_f the variance between clusters of forecaster f's bias, p - y, and s what
    chance makes of it, the mean of both.

    A proper score charges the square of a bias, whatever its sign. So the forecaster whose bias varies more from
    cluster to cluster has rare clusters that are much worse and none that are much better: the difference is skewed
    towards them, and a sample without them looks harmless. The spread of a bias is seen in every cluster, long
    before its square shows its tail.

    Parameters
    ----------
    candidate, baseline : pairs of float
        Variance between clusters, and its standard deviation by chance, from :func:`components` of p - y.

    Returns
    -------
    float; above 0 where the difference in loss, candidate minus baseline, may be larger than it seems

    Examples
    --------
    >>> round(lean((0.0, 0.001), (0.009, 0.001)), 2), lean((0.01, 0.001), (0.01, 0.001)), lean((0.0, 0.0), (0.0, 0.0))
    (-0.9, 0.0, 0.0)
    """
    (mine, my_chance), (theirs, their_chance) = candidate, baseline
    total = mine + theirs + (my_chance + their_chance) / 2
    return (mine - theirs) / total if total > 0 else 0.0


def satterthwaite_df(share: ArrayLike, variance: ArrayLike) -> Floats:
    """Degrees of freedom of the CR3J variance when the clusters' sums have these variances.

    tr(C)^2 / tr(C^2) for C = cov(k_g e_g), k_g = 1/(1 - w_g), e = (I - w 1')x, cov(x) = diag(V). With V
    proportional to w it is :func:`bell_mccaffrey_df`.

    Parameters
    ----------
    share : array of shape (clusters,), summing to 1
    variance : array of shape (..., clusters)

    Returns
    -------
    array of shape (...)

    References
    ----------
    Satterthwaite (1946), Biometrics Bulletin 2(6); Imbens & Kolesar (2016), Review of Economics and Statistics
    98(4), 701-712, for a working covariance with cluster effects.

    Examples
    --------
    >>> w = [0.5, 0.3, 0.2]
    >>> round(float(satterthwaite_df(w, w)), 6) == round(bell_mccaffrey_df(w), 6)
    True
    """
    w, v = np.asarray(share, dtype=float), np.asarray(variance, dtype=float)
    k = 1 / np.square(1 - w)
    total, vw, ww = v.sum(-1, keepdims=True), v * w, w * w
    own = v - 2 * vw + total * ww
    a, b, c = (v * v) @ k, ww @ k, vw @ k
    # sum over all pairs of k_g k_h (V_g w_h + w_g V_h - total w_g w_h)^2, less its diagonal, plus the true one
    t = total[..., 0]
    pairs = 2 * a * b + 2 * c * c + t * t * b * b - 4 * t * c * b
    diagonal = (np.square(own) - np.square(2 * vw - total * ww)) @ np.square(k)
    return np.asarray(np.square(own @ k) / (pairs + diagonal))


def under_effects(
    share: ArrayLike, residual: ArrayLike, rows: ArrayLike, square: ArrayLike
) -> tuple[Floats, Floats]:
    """Degrees of freedom of the jackknife, and skewness of the estimate, where clusters differ from each other.

    With V_g = n_g within + n_g^2 between, where the variance between clusters is taken less what chance alone makes
    of it (:func:`components`): degrees of freedom by Satterthwaite under V, and the skewness of the estimate from
    that of the clusters' jackknife contributions h_g = e_g/(1 - w_g), s = sum h^3 / (sum h^2)^1.5, as
    SKEW_GAIN sqrt(b) s s^2/(s^2 + c): b is the share of V that lies between clusters (what lies within is a sum over
    many rows and nearly symmetric), c = 6 sum V^3 / (sum V)^3 the variance that s has by chance where clusters are
    symmetric.

    Parameters
    ----------
    share, rows : arrays of shape (clusters,)
        Shares of the denominator, numbers of rows.
    residual : array of shape (..., clusters)
        Sums of residuals.
    square : array of shape (...)
        Sum of the rows' squared residuals.

    Returns
    -------
    df, skewness : arrays of shape (...); df is infinite and skewness 0 where nothing varies

    References
    ----------
    Imbens & Kolesar (2016); Hall (1992), Journal of the Royal Statistical Society B 54(1), 221-228.

    Examples
    --------
    >>> df, skewness = under_effects(np.full(8, 1 / 8), [1, -1, 2, -2, 1, -1, 3, -3], np.full(8, 50.0), 100.0)
    >>> round(float(df), 6), abs(round(float(skewness), 6))
    (7.0, 0.0)
    """
    w, e, n = (np.asarray(a, dtype=float) for a in (share, residual, rows))
    within, between, by_chance = components(e, n, square)
    of_clusters = n * n * np.maximum(between - by_chance, 0.0)[..., None]
    variance = n * within[..., None] + of_clusters
    total = variance.sum(-1)
    h = e / (1 - w)
    squares = np.square(h).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = (h**3).sum(-1) / squares**1.5
        chance = 6 * (variance**3).sum(-1) / total**3
        skewness = SKEW_GAIN * np.sqrt(of_clusters.sum(-1) / total) * s**3 / (s * s + chance)
        df = satterthwaite_df(w, variance)
    known = (total > 0) & (squares > 0)
    return np.where(known, df, np.inf), np.where(known, skewness, 0.0)


def cautious(spread: Spread, share: ArrayLike, residual: ArrayLike, rows: ArrayLike, square: float) -> Spread:
    """The same spread, ready for clusters that differ from each other: see :func:`under_effects`.

    Parameters
    ----------
    spread : Spread
        Of the jackknife over these clusters.
    share, residual, rows : arrays of shape (clusters,)
    square : float

    Returns
    -------
    Spread

    Examples
    --------
    >>> share = np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    >>> s = cautious(Spread(0.1, bell_mccaffrey_df(share), "rep"), share, [9, -8, 1, -3, 1], 100 * share, 40.0)
    >>> round(s.df, 2), round(s.cautious_df, 2), round(s.skewness, 2)
    (2.33, 1.73, 0.02)
    """
    df, skewness = under_effects(share, residual, rows, square)
    return replace(spread, cautious_df=min(spread.df, float(df)), skewness=float(skewness))


def two_way(first: Spread, second: Spread, cells: Spread) -> Spread | None:
    """Spread when two ways of clustering are both random: first + second - cells.

    Parameters
    ----------
    first, second : Spread
        Over the clusters of either dimension.
    cells : Spread
        Over the non-empty cells of the two.

    Returns
    -------
    Spread or None
        None where the variance is not positive; the degrees of freedom are the smaller of the two.

    References
    ----------
    Cameron, Gelbach & Miller (2011), Journal of Business & Economic Statistics 29(2), 238-249.

    Examples
    --------
    >>> both = two_way(Spread(3, 9, "rep"), Spread(4, 5, "period"), Spread(0, 40, "cell"))
    >>> both.se, both.df, both.method
    (5.0, 5, 'two-way')
    """
    variance = first.se**2 + second.se**2 - cells.se**2
    if not variance > 0:
        return None
    leading = largest(first, second)
    return Spread(
        float(np.sqrt(variance)),
        min(first.df, second.df),
        "two-way",
        min(first.cautious_df, second.cautious_df),
        leading.skewness,
        leading.lean,
    )


def largest(*spreads: Spread | None) -> Spread:
    """The spread with the largest standard error, with its own degrees of freedom.

    Examples
    --------
    >>> largest(Spread(1.0, 9, "rep"), None, Spread(2.0, 4, "period")).method
    'period'
    """
    return max((s for s in spreads if s is not None), key=lambda s: s.se)


def stratified(residual: ArrayLike, stratum: ArrayLike, total: float) -> Spread:
    """Spread over units drawn anew within fixed strata.

    SE^2 = Z^-2 sum_g v_g,  v_g = m_g / (m_g - 1) sum_u (e_gu - mean_g)^2,
    df = (sum v_g)^2 / sum v_g^2 / (m_g - 1)

    Strata with a single unit are pooled into one; where that leaves one unit alone it joins the smallest
    other stratum (of equal ones that with the larger spread, so that the order of strata cannot matter).

    Parameters
    ----------
    residual : array of shape (units,)
        e_u = x_u - R z_u.
    stratum : integer array of shape (units,), in 0..strata-1
    total : float
        The denominator Z.

    Returns
    -------
    Spread; its standard error is NaN for fewer than two units

    References
    ----------
    Cochran (1977), Sampling Techniques, 3rd ed., sections 5.4 and 5.12 (Satterthwaite's df).

    Examples
    --------
    >>> s = stratified([1.0, -1.0, 0.5, -0.5], [0, 0, 1, 1], 4.0)
    >>> round(s.se, 6), round(s.df, 6)
    (0.559017, 1.470588)
    """
    e = np.asarray(residual, dtype=float)
    g = np.asarray(stratum, dtype=np.intp)
    if e.size < 2:
        return Spread(float("nan"), float("nan"), "stratified")
    size = np.bincount(g)
    lonely = size == 1
    if lonely.any():
        target = int(np.flatnonzero(lonely)[0])
        others = np.flatnonzero(size > 1)
        if lonely.sum() == 1 and others.size:
            smallest = others[size[others] == size[others].min()]
            target = int(max(smallest, key=lambda stratum: np.var(e[g == stratum])))
        g = np.where(lonely[g], target, g)
        size = np.bincount(g, minlength=size.size)
    used = size > 1
    mean = np.bincount(g, weights=e, minlength=size.size) / np.maximum(size, 1)
    square = np.bincount(g, weights=np.square(e - mean[g]), minlength=size.size)[used]
    m = size[used]
    v = m / (m - 1) * square
    if not v.sum() > 0:
        return Spread(0.0, float(e.size - m.size), "stratified")
    df = np.square(v.sum()) / (np.square(v) / (m - 1)).sum()
    return Spread(float(np.sqrt(v.sum()) / abs(total)), float(df), "stratified")


@cache
def t_quantile(probability: float, df: float) -> float:
    """Quantile of Student's t.

    Examples
    --------
    >>> round(t_quantile(0.975, 10), 4)
    2.2281
    """
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def t_interval(estimate: float, spread: Spread, level: float = 0.95) -> Interval:
    """Student's t interval and the two-sided p-value against zero.

    Parameters
    ----------
    estimate : float
    spread : Spread
    level : float, in (0, 1)

    Returns
    -------
    Interval; all NaN where the standard error is not positive and finite

    Examples
    --------
    >>> i = t_interval(2.0, Spread(1.0, 10, "rep"))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.2281, 0.0734)
    """
    from scipy.special import stdtr

    if not (np.isfinite(spread.se) and spread.se > 0 and spread.df > 0):
        return Interval(float("nan"), float("nan"), float("nan"))
    half = t_quantile(0.5 + level / 2, spread.df) * spread.se
    p_value = 2 * float(stdtr(spread.df, -abs(estimate) / spread.se))
    return Interval(estimate - half, estimate + half, p_value)


def skewed_quantile(quantile: ArrayLike, skewness: ArrayLike) -> Floats:
    """Where a statistic with this skewness has the given quantile of a symmetric one.

    The inverse of Hall's transform g(t) = t + a t^2/3 + a^2 t^3/27 + a/6, which removes skewness a:
    t = 3/a ((1 + a (q - a/6))^(1/3) - 1).

    Parameters
    ----------
    quantile, skewness : float or arrays of one shape

    Returns
    -------
    array of that shape

    References
    ----------
    Hall (1992), Journal of the Royal Statistical Society B 54(1), 221-228.

    Examples
    --------
    >>> [round(float(skewed_quantile(q, a)), 4) for q, a in ((2.0, 0.0), (2.0, 0.3), (-2.0, 0.3))]
    [2.0, 1.6594, -2.7252]
    """
    q, a = np.asarray(quantile, dtype=float), np.asarray(skewness, dtype=float)
    symmetric = np.abs(a) < 1e-8
    a = np.where(symmetric, 1.0, a)
    return np.where(symmetric, q, 3 / a * (np.cbrt(1 + a * (q - a / 6)) - 1))


def reach(quantile: ArrayLike, skewness: ArrayLike, lean: ArrayLike) -> tuple[Floats, Floats]:
    """How far an interval reaches below and above its estimate, in standard errors.

    q, or more on the side on which clusters may be missing: -g^-1(-q) above and g^-1(q) below where they are skewed
    (:func:`skewed_quantile`), though not beyond LONGEST_ARM q; (1 + LEAN_GAIN |lean|) q where their biases lean it;
    the longer of these.

    Parameters
    ----------
    quantile : array of shape (...)
        Student's, above 0.
    skewness, lean : arrays of shape (...)

    Returns
    -------
    below, above : arrays of shape (...)

    Examples
    --------
    >>> [round(float(v), 4) for v in reach(2.0, 0.0, -0.5)], [round(float(v), 4) for v in reach(2.0, 0.3, 0.0)]
    ([2.7, 2.0], [2.0, 2.7252])
    """
    q, a, side = (np.asarray(v, dtype=float) for v in (quantile, skewness, lean))
    below, above = skewed_quantile(q, a), -skewed_quantile(-q, a)
    return (
        np.maximum((1 + LEAN_GAIN * np.maximum(-side, 0)) * q, np.minimum(below, LONGEST_ARM * q)),
        np.maximum((1 + LEAN_GAIN * np.maximum(side, 0)) * q, np.minimum(above, LONGEST_ARM * q)),
    )


def interval(estimate: float, spread: Spread, level: float = 0.95) -> Interval:
    """Interval around an estimate whose clusters may differ, and the p-value against zero that agrees with it.

    Student's t with the cautious degrees of freedom, with a longer arm on the side on which clusters may be missing
    (:func:`reach`). The p-value is below 1 - level just where 0 lies outside.

    Parameters
    ----------
    estimate : float
    spread : Spread
    level : float, in (0, 1)

    Returns
    -------
    Interval; all NaN where the standard error is not positive and finite

    Examples
    --------
    >>> i = interval(2.0, Spread(1.0, 10, "rep"))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.2281, 0.0734)
    >>> i = interval(2.0, Spread(1.0, 10, "rep", skewness=0.2))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-0.2281, 4.7273, 0.0734)
    >>> i = interval(2.0, Spread(1.0, 10, "rep", lean=-0.5))
    >>> round(i.low, 4), round(i.high, 4), round(i.p_value, 4)
    (-1.008, 4.2281, 0.1693)
    """
    from scipy.special import stdtr

    if not (math.isfinite(spread.se) and spread.se > 0 and spread.df > 0):
        return Interval(math.nan, math.nan, math.nan)
    df, a = min(spread.df, spread.cautious_df), spread.skewness
    q, t = t_quantile(0.5 + level / 2, df), estimate / spread.se
    below, above = reach(q, a, spread.lean)
    towards_zero = max(-spread.lean if t > 0 else spread.lean, 0.0)
    untwisted = t + a * t * t / 3 + a * a * t**3 / 27 + a / 6
    leant, skewed, longest = (
        2 * float(stdtr(df, -abs(v)))
        for v in (t / (1 + LEAN_GAIN * towards_zero), untwisted, t / LONGEST_ARM)
    )
    low, high = estimate - float(below) * spread.se, estimate + float(above) * spread.se
    return Interval(low, high, max(leant, min(skewed, longest)))


@dataclass(frozen=True, slots=True)
class Clusters:
    """How many clusters carry an estimate: their count, effective number and the largest one's share."""

    count: int
    effective: float
    largest_share: float


def clusters(share: ArrayLike) -> Clusters:
    """Effective number of clusters, 1 / sum w^2, from their shares of the denominator.

    Parameters
    ----------
    share : array of shape (clusters,), summing to 1

    Returns
    -------
    Clusters

    References
    ----------
    Kish (1965), Survey Sampling, section 11.7: the same form for unequal weights.

    Examples
    --------
    >>> clusters([0.5, 0.25, 0.25])
    Clusters(count=3, effective=2.6666666666666665, largest_share=0.5)
    """
    w = np.asarray(share, dtype=float)
    return Clusters(int(w.size), float(1 / np.square(w).sum()), float(w.max()))


def wild_p_value(x: ArrayLike, z: ArrayLike, *, seed: int = 0, draws: int = 1999) -> float:
    """p-value of the restricted wild cluster bootstrap for a ratio of zero: a cross-check of the t test.

    Each cluster's sum keeps or flips its sign (Rademacher); every sign vector up to 12 clusters, drawn ones
    beyond. Ties count against the null, and the observed data are one of the vectors, so it is never 0.

    Parameters
    ----------
    x, z : arrays of shape (clusters,)
    seed : int
    draws : int

    Returns
    -------
    float in (0, 1]; NaN for fewer than 6 clusters

    References
    ----------
    Cameron, Gelbach & Miller (2008), Review of Economics and Statistics 90(3), 414-427.

    Examples
    --------
    >>> wild_p_value([1.0, 1.1, 0.9, 1.2, 0.8, 1.0], np.ones(6))
    0.03125
    """
    x, z = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    if x.size < 6 or not np.isfinite(x).all():
        return float("nan")
    order = np.lexsort((x, z))  # the order of clusters must not decide which of them a draw flips
    x, z = x[order], z[order]
    if enumerated := x.size <= 12:
        signs = np.array(list(product((1.0, -1.0), repeat=x.size)))
    else:
        rng = np.random.default_rng(seed)
        signs = rng.choice((-1.0, 1.0), size=(draws, x.size))
    total = z.sum()
    k = 1 / (1 - z / total)

    def t(sums: Floats) -> Floats:
        ratio = sums.sum(axis=-1, keepdims=True) / total
        se = np.sqrt(np.square((sums - ratio * z) * k).sum(axis=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(ratio[..., 0] * total) / se

    observed = float(t(x))
    if np.isnan(observed):
        return float("nan")
    hits = int((t(signs * x) >= observed * (1 - 1e-12)).sum())
    return hits / len(signs) if enumerated else (1 + hits) / (1 + len(signs))
