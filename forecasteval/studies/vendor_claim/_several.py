"""Several vendors at once: on deals on which not all of them speak, and with intervals that hold together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from forecasteval.compare.compare import MAX_FILLED, compare
from forecasteval.compare.pair import biases_of, pair_of
from forecasteval.compare.rows import Rows
from forecasteval.compare.wording import number
from forecasteval.inference.estimate import Estimate, against
from forecasteval.inference.grouping import Grouping
from forecasteval.inference.jackknife import Strata
from forecasteval.inference.questions import needed
from forecasteval.inference.silence import SILENCE_LEVEL, silence
from forecasteval.inference.statistic import LeftOut, Statistic
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import Floats, Metric
from forecasteval.studies.vendor_claim._evidence import EPSILON, MEASURES, Measure, estimate_of

_MOST_SILENT = 0.5  # of the deals: who speaks on fewer is not compared
_ALLOWED_FOR = ("silence_tells", "filled_too_much")  # doubts about gaps that a deal's own effect answers
_LEAST_SILENT = 10  # deals; with fewer nothing can be told of them


@dataclass(frozen=True)
class Lead:
    """By how much the first is better than the second, the deals and everybody's silence allowed for."""

    first: str
    second: str
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        e = self.estimate
        return {"vendor": self.first, "over": self.second, "better_by": e.value, "low": e.low, "high": e.high,
                "reliable": e.reliable, "reasons": [r["text"] for r in e.reasons]}  # fmt: skip


@dataclass(frozen=True)
class Several:
    """All pairs of vendors and of a vendor with the baseline; or, in ``stop``, why they are not comparable.

    The loss of a forecaster on a deal is taken as the deal's plus the forecaster's: l_dv = a_d + b_v, fitted by least squares to
    the deals and forecasters that are there (the intra-block analysis of an incomplete block design). Who is silent on the
    hard deals gains nothing by it, as long as a deal is hard for all alike; where somebody's lead over the baseline is
    another one where the others are silent, that does not hold, and there is no comparison. Intervals leave out one cluster at
    a time; m pairs each get 1 - (1 - level) / m, so that all hold together.

    References
    ----------
    Yates (1936), Annals of Eugenics 7(2), 121-140 (incomplete blocks); Bonferroni for the pairs.
    """

    measure: Measure
    leads: tuple[Lead, ...]
    silent: Mapping[str, float]  # share of the deals, by vendor
    stop: str = ""


def _losses(rows: Sequence[Rows], measure: Measure) -> tuple[Floats, Floats]:
    """Losses by row and forecaster, the baseline's first; and weights of the rows."""
    found, weight = [], np.ones(len(rows[0]))
    for own in rows:
        assert measure.metric.terms is not None
        terms = measure.metric.terms(own.deals)
        weight = weight if terms.z is None else terms.z
        found.append(terms.candidate)
    return np.column_stack([terms.baseline, *found]) / weight[:, None], weight


def several(
    matched: Matched,
    names: Sequence[str],
    baseline: str,
    measure: Measure,
    question: tuple[str, ...],
    level: float,
) -> Several:
    """Vendors against the baseline and each other, on all deals of which the baseline speaks.

    Where the measure is no loss on single deals the Brier score stands in; of scores that only rank the AUC.
    """
    if measure.metric.terms is None or measure.metric.better != "lower":
        measure = MEASURES["brier"]
    metric = measure.metric
    table = matched.table[matched.table[baseline].notna()]
    spoke = table[list(names)].notna().to_numpy()
    silent = {n: float(1 - s) for n, s in zip(names, spoke.mean(axis=0), strict=True)}
    silent["any"] = float(1 - spoke.all(axis=1).mean()) if len(table) else 0.0
    rare = [n for n in names if silent[n] > _MOST_SILENT]
    if rare:
        return Several(measure, (), silent, f"{rare[0]} is silent on {silent[rare[0]]:.0%} of the deals")
    if not all(matched.is_probability(n) for n in (*names, baseline)):
        return _by_rank(matched, names, baseline, silent, question, level)
    made = measure.of(matched.rows(matched[baseline].notna()), [*names, baseline])
    amounts = bool(metric.needs)
    rows = [Rows.of(made, n, baseline, question, amounts=amounts, epsilon=EPSILON) for n in names]
    if amounts:
        amount = np.asarray(rows[0].deals.amount, dtype=float)
        usable = np.isfinite(amount) & (amount > 0)
        rows, spoke = [r.only(usable) for r in rows], spoke[usable]
    losses, weight = _losses(rows, measure)
    there = np.column_stack([np.ones(len(spoke), dtype=bool), spoke])
    groups = rows[0].groups
    stop = _not_additive(losses, there, names, rows[0])
    if stop:
        return Several(measure, (), silent, stop)
    effects = _Effects.of(np.where(there, losses, 0.0), there, weight, groups, question)
    order = [baseline, *names]
    pairs = [(n, 0) for n in range(1, len(order))] + list(combinations(range(1, len(order)), 2))
    shared = 1 - (1 - level) / len(pairs)
    nouns = {"rep": "reps", "account": "accounts", "period": "periods", **matched.nouns}
    leads = []
    for first, second in pairs:
        own = Rows.of(made, order[first], order[second], question, amounts=amounts, epsilon=EPSILON)
        skews = _skews(own.with_amounts(metric) if amounts else own, metric, question)
        e = effects.lead(first, second, skews, question, shared, nouns)
        told = [r for r in against(own.reasons) if r["code"] not in _ALLOWED_FOR]
        leads.append(Lead(order[first], order[second], e.noted(*told)))
    return Several(measure, tuple(leads), silent)


def _skews(rows: Rows, metric: Metric, question: tuple[str, ...]) -> dict[str, float]:
    """Where far-off clusters would lie, as in a comparison of the two; a lead is the difference the other way round."""
    groups = rows.groups
    biases = biases_of(rows.deals, groups)
    pair = pair_of(metric, rows.deals, groups, needed(question), units=False, biases=biases)
    return {d: -over.skew for d, over in pair.difference.over.items()}


def _by_rank(
    matched: Matched,
    names: Sequence[str],
    baseline: str,
    silent: Mapping[str, float],
    question: tuple[str, ...],
    level: float,
) -> Several:
    """Scores that only rank have no loss on a single deal: they are compared on the deals on which all of them speak."""
    measure = MEASURES["auc"]
    if silent["any"] > MAX_FILLED:
        why = f"on {silent['any']:.0%} of the deals not all of them speak, and the silence of a score that only ranks cannot be allowed for"
        return Several(measure, (), silent, why)
    rows = matched.rows(matched.table[[*names, baseline]].notna().all(axis=1), flow=[])
    pairs = [(n, baseline) for n in names] + list(combinations(names, 2))
    shared = 1 - (1 - level) / len(pairs)
    leads = []
    for first, second in pairs:
        found = compare(rows, first, second, metrics=["auc"], generalise_to=question, level=shared)
        leads.append(Lead(first, second, estimate_of(found.primary)))
    return Several(measure, tuple(leads), silent)


def _not_additive(losses: Floats, there: Any, names: Sequence[str], rows: Rows) -> str:
    """Whose lead over the baseline is another one where others are silent; empty where that is not seen."""
    deal = np.arange(len(rows)) if rows.unit is None else rows.unit
    clusters = [deal, *(c for c in (rows.rep, rows.period) if c is not None)]
    for at, name in enumerate(names, start=1):
        for other_at, other in enumerate(names, start=1):
            own = there[:, at]
            alone = own & ~there[:, other_at]
            if other == name or min(alone.sum(), (own & ~alone).sum()) < _LEAST_SILENT:
                continue
            lead = losses[own, 0] - losses[own, at]
            found = silence(alone[own], lead, [c[own] for c in clusters])
            if found.p_value < SILENCE_LEVEL:
                return (
                    f"{name} is better by {number(found.silent)} where {other} is silent and by {number(found.spoken)} where both speak "
                    f"(p below {SILENCE_LEVEL:g}): the deals that {other} leaves out are not only harder, they are hard for some"
                )
    return ""


def _added(codes: Any, values: Floats) -> Floats:
    """Of each cluster the sum of its rows."""
    found = np.zeros((int(codes.max()) + 1, *values.shape[1:]))
    np.add.at(found, codes, values)
    return found


@dataclass(frozen=True, eq=False)
class _Effects:
    """Normal equations of l = a_d + b_v with the deals swept out, whole and without each cluster; b of the baseline is 0."""

    whole: Floats
    without: Mapping[str, Floats]
    share: Mapping[str, Floats]
    residual: Floats | None
    groups: Grouping

    @classmethod
    def of(
        cls, losses: Floats, there: Any, weight: Floats, groups: Grouping, question: tuple[str, ...]
    ) -> _Effects:
        """From losses, 0 where a forecaster is silent."""
        s = there.astype(float)
        spoke = s.sum(axis=1, keepdims=True)
        right = weight[:, None] * s * (losses - losses.sum(axis=1, keepdims=True) / spoke)
        left = weight[:, None, None] * (
            s[:, :, None] * np.eye(s.shape[1]) - s[:, :, None] * s[:, None, :] / spoke[:, :, None]
        )
        left, right = left[:, 1:, 1:], right[:, 1:]  # the baseline's effect is 0
        a, c = left.sum(axis=0), right.sum(axis=0)
        whole = np.linalg.solve(a, c)
        without, share = {}, {}
        for d in needed(question):
            gone_a, gone_c, held = (_added(groups.row_codes(d), v) for v in (left, right, weight))
            try:
                without[d] = np.linalg.solve(a - gone_a, (c - gone_c)[..., None])[..., 0]
            except np.linalg.LinAlgError:  # a vendor speaks in one cluster alone
                without[d] = np.full(gone_c.shape, np.nan)
            share[d] = held / held.sum()
        residual = None
        if "deal" in question:
            residual = (right - np.einsum("rij,j->ri", left, whole)) @ np.linalg.inv(a).T
        return cls(whole, without, share, residual, groups)

    def lead(
        self,
        first: int,
        second: int,
        skews: Mapping[str, float],
        question: tuple[str, ...],
        level: float,
        nouns: Mapping[str, str],
    ) -> Estimate:
        """By how much the first loses less than the second."""
        contrast = np.zeros(self.whole.size + 1)
        contrast[first], contrast[second] = -1.0, 1.0
        w = contrast[1:]
        over = {d: LeftOut(b @ w, self.share[d], skews.get(d, 0.0)) for d, b in self.without.items()}
        strata = None
        if self.residual is not None:
            strata = Strata.of(self.groups.unit_sums(self.residual @ w), self.groups.stratum)
        scale = float(np.abs(self.whole).max())
        statistic = Statistic(float(self.whole @ w), over, strata, 1.0, scale)
        possible, found = statistic.doubts(question, nouns)
        if not possible:
            return Estimate(statistic.value, level=level, reasons=tuple(found))
        e = statistic.estimate(question, level)
        return Estimate(e.value, e.low, e.high, level, e.df, e.se, e.p_value, e.has_interval).noted(*found)
