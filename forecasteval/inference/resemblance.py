"""Do clusters that come one after another resemble their neighbours, and what does that do to a standard error?

Quarters that are good or bad in a row hold less news than their number says, and few of them can hardly show it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.jackknife import t_quantile
from forecasteval.scores.probability import Floats

ALIKE_LEVEL = 0.05  # one-sided, below which an interval is doubted
UPPER_QUARTILE = 0.674  # standard deviations
_FEWEST = 4  # clusters in a row: fewer show nothing
_GRID = np.linspace(0.0, 0.95, 20)  # autocorrelations; a short series cannot tell more than that from a drift
_FINDS_A_HALF = {4: 0.12, 6: 0.18, 8: 0.24, 12: 0.40, 20: 0.65, 40: 0.91}  # the table of resemblance()


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How much neighbours resemble each other.

    Attributes
    ----------
    value : float
        C of :func:`resemblance`; about 0 where clusters are independent.
    p_value : float
        One-sided, against independence.
    autocorrelation : float
        The one, from 0 to 0.95, that would show this value on average.
    widening : float
        By how much the jackknife's standard error is then too small, at least 1.
    """

    value: float
    p_value: float
    autocorrelation: float
    widening: float
    clusters: int

    @property
    def found(self) -> bool:
        """Is it more than chance makes of independent clusters?"""
        return self.p_value < ALIKE_LEVEL


def shown_once_in(clusters: int) -> int:
    """In one of how many series of this length the test finds an autocorrelation of .5: its weakness.

    >>> shown_once_in(8), shown_once_in(20)
    (4, 2)
    """
    return round(1 / float(np.interp(clusters, [*_FINDS_A_HALF], [*_FINDS_A_HALF.values()])))


def resemblance(residual: ArrayLike, share: ArrayLike, *, doubt: float = 0.0) -> Resemblance | None:
    """Von Neumann's test of clusters in a row, and what the resemblance that they show does to the jackknife.

    C = 1 - sum (d_g - d_(g+1))^2 / (2 sum d_g^2),  d_g = e_g / sqrt(w_g)

    For equal clusters without resemblance C has mean 0, variance (G - 2)/(G^2 - 1) and, nearly, a symmetric beta law
    between -+cos(pi/G). With a cluster's mean an AR(1) of autocorrelation rho, var(R) = w'Aw, A_gh = rho^|g - h|,
    while the jackknife expects (G-1)/G sum k_g^2 (1 - 2 (Aw)_g + w'Aw), k_g = w_g/(1 - w_g); `widening` is the root of
    the ratio of the two, in units of that for rho = 0. The autocorrelation is that at which C is expected.

    **Its weakness.** Share of 4,000 normal series (Monte Carlo error .008) in which p is below .05; the test finds
    little in fewer than 12 clusters, so that silence does not say that there is no resemblance:

    | clusters | rho 0 | .3 | .5 | .8 |
    |---|---|---|---|---|
    | 4 | .06 | .10 | .12 | .17 |
    | 6 | .05 | .11 | .18 | .31 |
    | 8 | .05 | .14 | .24 | .45 |
    | 12 | .05 | .21 | .40 | .71 |
    | 20 | .05 | .31 | .65 | .93 |
    | 40 | .05 | .57 | .91 | 1.00 |

    Parameters
    ----------
    residual : array of shape (clusters,), in order of time
        e_g = x_g - R z_g.
    share : array of shape (clusters,), above 0, summing to 1
    doubt : float
        Standard deviations that are added to C before the autocorrelation is read from it.

    Returns
    -------
    Resemblance, or None where there are fewer than 4 clusters or nothing varies

    References
    ----------
    von Neumann (1941), Annals of Mathematical Statistics 12(4), 367-395; Young (1941), same volume, 293-300 (the
    beta law).

    Examples
    --------
    >>> r = resemblance([3.0, 1.0, 2.0, 0.0, -1.0, -2.0, 0.0, -3.0], np.full(8, 1 / 8))
    >>> round(r.value, 2), round(r.p_value, 3), round(r.autocorrelation, 2), round(r.widening, 1)
    (0.57, 0.029, 0.82, 3.6)
    """
    e, w = np.asarray(residual, dtype=float), np.asarray(share, dtype=float)
    n = e.size
    if n < _FEWEST or not (w > 0).all() or not np.isfinite(e).all():
        return None
    root = np.sqrt(w)
    d = e / root
    square = float(d @ d)
    if not square > 0:
        return None
    expected, widening = _expected(w)
    spread, most = math.sqrt((n - 2) / (n * n - 1)), math.cos(math.pi / n)
    value = 1 - float(np.square(np.diff(d)).sum()) / (2 * square)
    shown = float(value - expected[0])
    found = float(np.interp(value + doubt * spread, expected, _GRID))
    wider = float(np.interp(found, _GRID, widening))
    return Resemblance(shown, _tail(shown, spread, most), found, wider, n)


def alike(shown: Resemblance | None, value: float, se: float, taken: float, noun: str) -> list[Reason]:
    """What is to be said where neighbours resemble each other by more than chance, and the interval should be wider.

    A doubt (`periods_alike`), unless the number would differ from 0 with an interval as wide as they need: then it
    informs (`periods_alike_allowed`).

    >>> rising = resemblance(np.arange(8) - 3.5, np.full(8, 1 / 8))
    >>> [alike(rising, v, 0.02, 0.02, "quarters")[0]["code"] for v in (0.1, 0.5)]
    ['periods_alike', 'periods_alike_allowed']
    >>> alike(rising, 0.1, 0.02, 0.2, "quarters")
    []
    """
    if shown is None or not shown.found or shown.widening * se <= taken:
        return []
    text = (
        f"The {shown.clusters} {noun} resemble their neighbours by more than chance would make them "
        f"(p {max(shown.p_value, 0.001):.3f}): they hold less news than their number says, and the interval about new "
        f"{noun} should be about {min(shown.widening * se / taken, 5):.1f} times as wide"
    )
    if abs(value) > t_quantile(0.975, shown.clusters - 1.0) * shown.widening * se:
        return [reason("periods_alike_allowed", f"{text}; it would still leave 0 outside.")]
    return [reason("periods_alike", f"{text}.")]


def _tail(value: float, spread: float, most: float) -> float:
    """Chance of more than this under a symmetric beta law between -+most with this standard deviation."""
    from scipy.special import betainc

    shape = (most * most / (spread * spread) - 1) / 2
    return float(betainc(shape, shape, min(max((1 - value / most) / 2, 0.0), 1.0)))


def _expected(w: Floats) -> tuple[Floats, Floats]:
    """C as expected, and the widening, at each autocorrelation of the grid."""
    i = np.arange(w.size)
    a = _GRID[:, None, None] ** np.abs(i[:, None] - i)
    aw = a @ w
    variance = aw @ w
    # of the clusters' means around R: a - (aw)1' - 1(aw)' + w'aw
    own = 1 - 2 * aw + variance[:, None]
    next_one = _GRID[:, None] - aw[:, 1:] - aw[:, :-1] + variance[:, None]
    square = own @ w
    steps = square * 2 - own[:, 0] * w[0] - own[:, -1] * w[-1] - 2 * next_one @ np.sqrt(w[1:] * w[:-1])
    k = np.square(w / (1 - w))
    ratio = variance / (own @ k)
    return 1 - steps / (2 * square), np.sqrt(np.maximum(ratio / ratio[0], 1.0))
