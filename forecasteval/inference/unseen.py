"""What no sample can show: kinds of clusters that it does not hold, and how far off they must be to turn a verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unseen:
    """The largest share of clusters that may be of a kind not seen, and what it takes of them to turn the verdict.

    Attributes
    ----------
    share : float
        Up to this share of new clusters may be of a kind that the sample does not hold.
    loss : float
        By how much the forecaster who is ahead must lose in them, per unit of weight, for the interval's near end to
        reach 0; NaN where the interval holds 0, as there is no verdict to turn.
    """

    share: float
    loss: float

    @property
    def one_in(self) -> int:
        """The share as one in so many clusters; rounded down, so that it is never said too small."""
        return max(math.floor(1 / self.share + 1e-9), 1)


def largest_unseen_share(clusters: int, level: float = 0.95) -> float:
    """How much of a population a kind may be of which a sample of so many clusters holds none: the rule of three.

    q = 1 - (1 - level)^(1 / G), the upper end of Clopper and Pearson's interval for none of G; about 3 / G at 95%.

    Hanley & Lippman-Hand (1983), Journal of the American Medical Association 249(13), 1743-1745.

    >>> [round(largest_unseen_share(g), 4) for g in (5, 20, 100)]
    [0.4507, 0.1391, 0.0295]
    """
    return float(-math.expm1(math.log1p(-level) / clusters))


def unseen(low: float, high: float, clusters: int, level: float = 0.95) -> Unseen:
    """How far off clusters of a kind not seen would have to be for a verdict to turn.

    If a share q of the population's weight is of a kind that the sample does not hold, the difference over all is
    (1 - q) D + q U with D that of the kinds seen and U that of the others. The interval is one for D; with e the end of
    it that is nearer to 0, the verdict turns where (1 - q) e + q U = 0, that is at

        |U| = |e| (1 - q) / q, on the other side of 0.

    The largest q that the sample allows asks the smallest U. Clusters not seen are taken to weigh as much as the others
    do on average.

    Parameters
    ----------
    low, high : float
        The ends of the interval.
    clusters : int
    level : float
        Of the share: 0.95 for one that is larger in 1 of 20 samples at most.

    Returns
    -------
    Unseen

    References
    ----------
    Rosenbaum (2002), Observational Studies, chapter 4, for asking how large an unseen influence must be.

    Examples
    --------
    >>> u = unseen(-0.09, -0.01, 20)
    >>> u.one_in, round(u.share, 4), round(u.loss, 4)
    (7, 0.1391, 0.0619)
    >>> unseen(-0.12, 0.02, 20).loss
    nan
    """
    share = largest_unseen_share(clusters, level)
    near = low if low > 0 else high if high < 0 else math.nan
    return Unseen(share, abs(near) * (1 - share) / share)
