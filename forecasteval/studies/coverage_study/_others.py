"""The published intervals that stand beside ours in the study: half-widths, for new clusters of one dimension."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from forecasteval.inference.jackknife import bell_mccaffrey_df, cr3j, t_quantile
from forecasteval.inference.statistic import LeftOut
from forecasteval.scores.probability import Floats
from forecasteval.studies.coverage_study._goals import LEVEL

OTHERS = {
    "cr3j": "delete-one-cluster jackknife (CR3J), Bell-McCaffrey df",
    "cr2": "bias-reduced CR2, Satterthwaite df",
    "effects": "CR3J, Satterthwaite df under random cluster effects",
}


def _satterthwaite(share: Floats, variance: Floats, power: int = 2) -> float:
    """Degrees of freedom of CR3J (power 2) or CR2 (power 1) when the clusters' sums have these variances.

    tr(C)^2 / tr(C^2) for C = cov(k_g e_g), k_g^2 = (1 - w_g)^-power, e = (I - w 1')x, cov(x) = diag(V). Satterthwaite (1946),
    Biometrics Bulletin 2(6); Imbens & Kolesar (2016), Review of Economics and Statistics 98(4), 701-712.

    Examples
    --------
    >>> w = np.array([0.5, 0.3, 0.2])
    >>> round(_satterthwaite(w, w), 6) == round(bell_mccaffrey_df(w), 6)
    True
    """
    w, v, total = share, variance, variance.sum()
    k = (1 - w) ** -power
    vw, ww = v * w, w * w
    own = v - 2 * vw + total * ww
    a, b, c = (v * v) @ k, ww @ k, vw @ k
    # sum over all pairs of k_g k_h (V_g w_h + w_g V_h - total w_g w_h)^2, less its diagonal, plus the true one
    pairs = 2 * a * b + 2 * c * c + total * total * b * b - 4 * total * c * b
    diagonal = (np.square(own) - np.square(2 * vw - total * ww)) @ np.square(k)
    return float((own @ k) ** 2 / (pairs + diagonal))


def halves(value: float, over: LeftOut, effects: tuple[Floats, float, float] | None) -> Mapping[str, float]:
    """Half-widths of the other intervals; `effects` are rows, and variances between clusters and by chance."""
    w = over.share
    se = cr3j(value, over.without)
    found = {"cr3j": t_quantile(0.5 + LEVEL / 2, bell_mccaffrey_df(w)) * se}
    cr2 = math.sqrt(float((np.square(over.residual(value)) / (1 - w)).sum()))
    found["cr2"] = t_quantile(0.5 + LEVEL / 2, _satterthwaite(w, w, 1)) * cr2
    if effects is not None:
        n, between, chance = effects
        within = chance * (n.sum() - np.square(n).sum() / n.sum()) / (n.size - 1)
        variance = n * within + n * n * between
        df = (
            min(bell_mccaffrey_df(w), _satterthwaite(w, variance)) if variance.any() else bell_mccaffrey_df(w)
        )
        found["effects"] = t_quantile(0.5 + LEVEL / 2, df) * se
    return found
