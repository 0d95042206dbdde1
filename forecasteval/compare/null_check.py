"""Does the method hold on these deals? Comparisons of the same deals in which nothing differs, by construction.

Whole clusters swap the two forecasters at random, so that neither can be better; what is then called better is false.
A swap moves sums of cells and nothing else, so a draw costs O(cells) and is judged by the very interval of a report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.pair import Sums
from forecasteval.compare.rows import Rows
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME, decide
from forecasteval.compare.wording import count
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Reason, against, reason
from forecasteval.inference.grouping import Codes, Grouping, added
from forecasteval.inference.jackknife import Strata, stratified, t_quantile
from forecasteval.inference.questions import needed
from forecasteval.inference.statistic import Statistic, share_interval
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import METRICS, Floats, Metric, Terms

_Ways = NDArray[np.bool_]  # which groups change sides, shape (draws, groups)

_DIMENSIONS = ("rep", "period", "account")
_WORK, _FEWEST = (
    2e7,
    200,
)  # draws times groups: beyond it there are fewer draws, though never fewer than these
_NEAR = 0.85  # of the normal quantile: no interval is so short that it would leave out 0 nearer than that
_CLEARLY = 1.5  # times what is allowed: tables of one kind scatter by that much around their common rate
_ENOUGH = 10  # draws that may be false by chance; with fewer ways to swap, no share of them tells anything
_AT_ONCE = 4_000_000  # signs of draws that are held in memory
_SWAPPED = np.ix_([1, 0, 2], [1, 0, 2])  # candidate and baseline change places in a matrix of products


@dataclass(frozen=True)
class NullRate:
    """How often one of two forecasters was called better though nothing differed.

    ``swapped`` says what changed sides as a whole, ``groups`` how many of these there are. ``called`` is the share of
    the draws with a false verdict, ``low`` and ``high`` Wilson's 95% interval for its Monte Carlo error (none where the
    draws are ``exact``: every way to swap was gone through). ``outside`` is the share of the draws whose interval
    leaves out 0, believed or not; ``p_value`` that of the draws that are as many standard errors from 0 as the real
    difference.
    """

    generalise_to: tuple[str, ...]
    swapped: str
    groups: int
    draws: int
    exact: bool
    called: float
    low: float
    high: float
    outside: float
    p_value: float


@dataclass(frozen=True, eq=False)
class NullCheck:
    """What :func:`does_it_hold` found.

    Attributes
    ----------
    comparison : Comparison
        The real one, by the metric of the check.
    rates : tuple of NullRate
        One for each thing that was swapped; empty where nothing can be drawn, which `why` says.
    differences : array of shape (draws,), optional
        Those of the worst rate's draws.
    reasons : tuple of {code, text}
        "false_verdicts" where they are more than 1.5 times what the level allows, beyond Monte Carlo error.
    """

    comparison: Comparison
    rates: tuple[NullRate, ...] = ()
    differences: Floats | None = None
    why: str = ""

    @property
    def _telling(self) -> list[NullRate]:
        """Those with enough ways to swap."""
        return [r for r in self.rates if not r.exact or r.draws * self.allowed >= _ENOUGH]

    @property
    def worst(self) -> NullRate | None:
        """What was swapped with the most false verdicts, where there are enough ways to swap it."""
        return max(self._telling, key=lambda r: (r.called, r.outside), default=None)

    def noun(self, rate: NullRate) -> str:
        """What changed sides, in words."""
        return self.comparison.nouns.get(rate.swapped) or f"{rate.swapped}s"

    @property
    def p_value(self) -> float:
        """The real result's place among the draws, the largest where several things were swapped."""
        return max((r.p_value for r in self._telling or self.rates), default=math.nan)

    @property
    def allowed(self) -> float:
        """The share of false verdicts that the level promises at most."""
        return 1 - self.comparison.level

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The caveat where the method does not hold here."""
        r = self.worst
        if r is None or (r.called if r.exact else r.low) <= _CLEARLY * self.allowed:
            return ()
        return (reason("false_verdicts", f"{self.headline} Take the verdict with care."),)

    @property
    def table(self) -> pd.DataFrame:
        """One row for each thing that was swapped."""
        return pd.DataFrame([asdict(r) for r in self.rates], columns=[f.name for f in fields(NullRate)])

    @property
    def headline(self) -> str:
        """One sentence: how often nothing was called something, beside what the level promises."""
        r = self.worst
        if r is None and self.rates:
            groups = " and ".join(count(r.groups, self.noun(r)) for r in self.rates)
            return f"{groups} can be swapped in too few ways to tell how often one would be called better for nothing."
        if r is None:
            return self.why
        told, share = "would have called one better", r.called
        if not self.comparison.primary["reliable"]:
            told, share = "would have left out 0 (no verdict is given here)", r.outside
        error = "" if r.exact or share != r.called else f" ({100 * r.low:.1f}% to {100 * r.high:.1f}%)"
        return (
            f"Of {r.draws:,} comparisons on these deals in which nothing differs, {100 * share:.1f}%{error} {told}; "
            f"{100 * self.allowed:.3g}% is what the method promises at most."
        )

    def to_dict(self) -> dict[str, Any]:
        """Its part of `results.json`."""
        return {
            "headline": self.headline,
            "generalise_to": self.comparison.generalise_to,
            "rates": [asdict(r) for r in self.rates],
            "p_value": self.p_value,
            "reasons": list(self.reasons),
        }


# --- sums of a table in which groups of deals change sides ---------------------------------------------


@dataclass(frozen=True, eq=False)
class _Swap:
    """The sums of a table, and by group what changes in them when its deals change sides.

    ``home`` is the group of each cell: cells are crossed with groups. ``products`` are those of :class:`Sums` by
    dimension and group, of shape (groups, 9).
    """

    sums: Sums
    home: Codes
    products: Mapping[str, Floats]

    @classmethod
    def of(cls, terms: Terms, groups: Grouping, cell: Codes, home: Codes, group: Codes) -> _Swap:
        """Sum the rows; `cell` and `group` are by row, `home` by cell. A deal's rows are all in one group."""
        rows = np.ones(cell.size)
        columns = [rows if c is None else c for c in (terms.candidate, terms.baseline, terms.z)]
        products, count = {}, int(group.max(initial=-1)) + 1
        for d in groups.dimensions:
            parts = [groups.part_sums(d, c) for c in columns]
            of_part = np.rint(groups.part_sums(d, group.astype(float)) / groups.part_sums(d, rows)).astype(
                int
            )
            each = [np.bincount(of_part, a * b, count) for a in parts for b in parts]
            products[d] = np.array(each, dtype=float).T
        candidate, baseline, z = (added(cell, c) for c in columns)
        units = {d: groups.units(d) for d in groups.dimensions}
        return cls(Sums(candidate, baseline, z, units, {}), home, products)

    def after(self, way: NDArray[np.bool_]) -> Sums:
        """The sums when these groups have changed sides."""
        s, moved = self.sums, way[self.home]
        products = {}
        for d, each in self.products.items():
            changed = (way @ each).reshape(3, 3)
            products[d] = each.sum(0).reshape(3, 3) - changed + changed[_SWAPPED]
        candidate, baseline = (
            np.where(moved, a, b) for a, b in ((s.baseline, s.candidate), (s.candidate, s.baseline))
        )
        return Sums(candidate, baseline, s.z, s.units, products)


@dataclass(frozen=True, eq=False)
class _Table:
    """The rows of a question, ready to change sides by group; the last three are by deal, for "new deals, same reps"."""

    metric: Metric
    question: tuple[str, ...]
    swap: _Swap
    biases: _Swap | None
    member: Mapping[str, Codes]
    groups: int
    deal: Sums | None
    group_of_deal: Codes
    stratum: Codes

    @classmethod
    def of(cls, rows: Rows, metric: Metric, question: tuple[str, ...], group: Codes) -> _Table:
        """Sum the rows, whose groups are by row; a deal changes sides as a whole, with its first row."""
        groups = rows.groups
        assert metric.terms is not None
        terms, of_deal = metric.terms(rows.deals), group
        if groups.unit is not None:
            of_deal = group[np.unique(groups.unit, return_index=True)[1]]
            group = of_deal[groups.unit]
        count = int(group.max(initial=-1)) + 1
        crossed, cell = np.unique(groups.cell.astype(np.int64) * count + group, return_inverse=True)
        home = (crossed % count).astype(np.int32)
        biases = deal = None
        if rows.same_kind and needed(question):
            mine, theirs = (p - rows.deals.won for p in (rows.deals.candidate, rows.deals.baseline))
            biases = _Swap.of(Terms(mine, theirs, None), groups, cell, home, group)
        if "deal" in question:
            z = np.ones(len(rows)) if terms.z is None else terms.z
            candidate, baseline, z = (groups.unit_sums(v) for v in (terms.candidate, terms.baseline, z))
            deal = Sums(candidate, baseline, z, {}, {})
        swap = _Swap.of(terms, groups, cell, home, group)
        member = {d: m[crossed // count] for d, m in groups.member.items()}
        return cls(metric, question, swap, biases, member, count, deal, of_deal, groups.stratum)

    def difference(self, way: NDArray[np.bool_]) -> Statistic:
        """The difference when these groups have changed sides."""
        found = (
            self.swap.after(way)
            .pair(
                self.member,
                needed(self.question),
                better=self.metric.better,
                is_skill=self.metric.is_skill,
                biases=None if self.biases is None else self.biases.after(way),
            )
            .difference
        )
        if self.deal is None:
            return found
        return replace(found, strata=Strata.of(self._residuals(way, found.value), self.stratum))

    def _residuals(self, way: NDArray[np.bool_], value: float) -> Floats:
        """Those of the deals."""
        d, moved = self.deal, way[self.group_of_deal]
        assert d is not None
        gap = np.where(moved, d.baseline - d.candidate, d.candidate - d.baseline)
        if self.metric.is_skill:
            return -gap - value * np.where(moved, d.candidate, d.baseline)
        return gap - value * d.z

    def away(self, ways: _Ways) -> tuple[Floats, Floats]:
        """Each draw's difference, and how many standard errors it is from 0 by the largest of its jackknives.

        The numerator alone changes sides; of a skill, what it is divided by does so as well, and is left as it is.
        """
        from scipy.sparse import csr_array

        s, signs = self.swap.sums, 1.0 - 2.0 * ways
        gap, total = s.candidate - s.baseline, s.z.sum()
        value = signs @ added(self.swap.home, gap) / total
        largest = np.zeros(len(ways))
        for d in (d for d in self.question if d != "deal"):
            held = csr_array((gap, (self.swap.home, self.member[d])))
            z = added(self.member[d], s.z)
            k = (z.size - 1) / z.size / np.square(1 - z / total)
            largest = np.maximum(largest, np.square(signs @ held - np.outer(value, z)) @ k)
        largest = np.sqrt(largest) / total
        if "deal" in self.question:
            found = ((w, v) for w, v in zip(ways, value, strict=True))
            se = [stratified(self._residuals(w, v), self.stratum, total).se for w, v in found]
            largest = np.maximum(largest, se)
        with np.errstate(divide="ignore", invalid="ignore"):
            return value, np.abs(value) / largest


def _ways(groups: int, draws: int, seed: int) -> tuple[_Ways, bool]:
    """Which groups change sides, draw by draw; every way once where these are no more than the draws."""
    if groups <= math.log2(draws) + 1:
        # to change all of them once more changes whose verdict it is and nothing else
        return np.array([(False, *way) for way in product((False, True), repeat=groups - 1)]), True
    draws = min(draws, max(_FEWEST, int(_WORK / groups)))
    return np.random.default_rng(seed).integers(0, 2, (draws, groups), dtype=np.bool_), False


def _rate(
    table: _Table, swapped: str, real: Comparison, draws: int, seed: int, *, beyond_margin: bool
) -> tuple[NullRate, Floats]:
    """Draw after draw through the interval and the verdict of a comparison."""
    row, question = real.primary, table.question
    margin = None if math.isnan(row["margin"]) else float(row["margin"])
    none = np.zeros(table.groups, dtype=bool)
    of_clusters = {r["code"] for r in table.difference(none).doubts(question, real.nouns)[1]}
    doubted = any(r["code"] not in of_clusters for r in against(row["reasons"]))

    def judged(way: NDArray[np.bool_]) -> tuple[float, bool, bool]:
        found = table.difference(way)
        e = found.estimate(question, real.level)
        outside = e.low > 0 or e.high < 0
        if doubted or not outside:  # then nobody is called better, and doubts take as long as the interval
            return e.value, False, outside
        reliable = not against(found.doubts(question, real.nouns)[1])
        verdict = decide(row["better"], e.low, e.high, reliable, margin, beyond_margin=beyond_margin)
        return e.value, verdict in (CANDIDATE, BASELINE), outside

    ways, exact = _ways(table.groups, draws, seed)
    parts = np.array_split(ways, 1 + ways.size // _AT_ONCE)
    difference, away = (np.concatenate(p) for p in zip(*(table.away(w) for w in parts), strict=True))
    near = away < (0 if table.metric.is_skill else _NEAR * t_quantile(0.5 + real.level / 2, math.inf))
    called, outside = np.zeros((2, len(ways)))
    for i in np.flatnonzero(~near):
        difference[i], called[i], outside[i] = judged(ways[i])
    low, high = share_interval(called.sum(), len(ways), exact=False)
    as_far = int((away >= table.away(none[None])[1] * (1 - 1e-9)).sum())
    p = as_far / len(ways) if exact else (1 + as_far) / (1 + len(ways))
    shares = float(called.mean()), low, high, float(outside.mean())
    return NullRate(question, swapped, table.groups, len(ways), exact, *shares, p), difference


# --- the public door ------------------------------------------------------------------------------------


def _understood(matched: Matched, metric: str, swap: str | None, draws: int) -> Metric:
    """The metric of a call; refused in words where there is no such call."""
    if not isinstance(draws, int) or draws < 1:
        raise CallError(f"draws must be a whole number from 1, not {draws!r}; 2000 is usual.")
    chosen = METRICS.get(metric)
    usable = [m.name for m in METRICS.values() if m.terms is not None and m.better != "nearer_zero"]
    if chosen is None or metric not in usable:
        raise CallError(
            f"metric={metric!r} cannot be checked by swapping: it needs a verdict and sums over deals; choose from "
            f"{', '.join(usable)}."
        )
    if swap is not None and swap != "deal" and not matched.has(swap):
        raise CallError(
            f"swap={swap!r} is no column of the table; it has {', '.join(map(str, matched.table.columns))}."
        )
    return chosen


def does_it_hold(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    metric: str = "brier",
    generalise_to: Sequence[str] | str | None = None,
    swap: str | None = None,
    draws: int = 2000,
    seed: int = 0,
    **options: Any,
) -> NullCheck:
    """How often would one be called better on these very deals if nothing differed? An A/A test of the method.

    In each draw every rep, with all its deals, swaps the two forecasters or keeps them, as a coin falls (every period,
    or every deal, where the question is about new ones). Afterwards neither is better: whatever is called better is
    called so falsely. Each draw is judged by the interval, the doubts and the verdict of :func:`compare`.

    Where two forecasters are exchangeable and the clusters that are swapped are independent, the share of false verdicts
    is, on average over such tables, exactly the method's rate of false verdicts. What it cannot show: swapping makes
    the two alike, so it says nothing of a side that would be favoured because they differ in kind; nothing of clusters
    that are missing from the table; and nothing of likeness between the clusters that are swapped. The last is what
    `swap` is for: a column that is coarser than the reps (a team, a region) shows whether it matters.

    Parameters
    ----------
    matched, candidate, baseline : as in :func:`compare`
    metric : str
        One that is a ratio of sums and has a verdict: not auc, nor a bias.
    generalise_to : as in :func:`compare`
    swap : str, optional
        What changes sides as a whole: a column of the table, or "deal". Each dimension of the question by default.
    draws : int
        Where there are no more ways to swap than these, each is gone through once. Fewer are drawn where more than
        10,000 deals change sides one by one.
    seed : int
    **options : further arguments of :func:`compare`

    Returns
    -------
    NullCheck

    Raises
    ------
    CallError
        For a metric without sums or without a verdict, a column that is not there, or no draws.

    References
    ----------
    Canay, Romano & Shaikh (2017), Econometrica 85(3), 1013-1030, for the randomisation test under sign changes of
    clusters; Kohavi, Tang & Xu (2020), Trustworthy Online Controlled Experiments, chapter 19, for A/A tests.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> deals = pd.DataFrame({"deal_id": range(300), "rep": np.repeat(range(10), 30), "won": rng.integers(0, 2, 300),
    ...     "model": rng.random(300), "rep_forecast": rng.random(300)})
    >>> check = does_it_hold(deals, "model", "rep_forecast", generalise_to="rep")
    >>> check.headline.split(";")[0]
    'Of 512 comparisons on these deals in which nothing differs, 5.1% would have called one better'
    """
    matched = Matched.of(matched)
    chosen = _understood(matched, metric, swap, draws)
    asked: dict[str, Any] = {**options, "metrics": [metric], "generalise_to": generalise_to, "seed": seed}
    real = compare(matched, candidate, baseline, **asked)
    row = real.primary
    if not math.isfinite(row["low"]):
        said = row["reasons"] if row["verdict"] == SAME else against(row["reasons"])
        return NullCheck(real, why=" ".join(r["text"] for r in said))
    beyond = bool(options.get("beyond_margin"))
    found = [
        _rate(_table(matched, real, chosen, by, options), by, real, draws, seed, beyond_margin=beyond)
        for by in (real.generalise_to if swap is None else (swap,))
    ]
    check = NullCheck(real, tuple(rate for rate, _ in found))
    shown = check.worst or check.rates[0]
    return replace(check, differences=next(d for rate, d in found if rate is shown))


def _table(matched: Matched, real: Comparison, metric: Metric, by: str, options: Mapping[str, Any]) -> _Table:
    """The rows of a comparison with the groups that change sides; a column that is no dimension travels as the account."""
    question, as_account = real.generalise_to, by not in ("deal", *_DIMENSIONS)
    if as_account:
        if "account" in question:
            raise CallError(f"swap={by!r} cannot be asked for where accounts are new; swap accounts.")
        matched = replace(matched, table=matched.table.assign(account=matched[by]))
    known = {k: v for k, v in options.items() if k in ("epsilon", "kinds")}
    wanted = (*question, "account" if as_account else by)
    rows = Rows.of(matched, real.candidate, real.baseline, wanted, amounts=bool(metric.needs), **known)
    rows = rows.with_amounts(metric) if metric.needs else rows
    group = getattr(rows, "account" if as_account else {"deal": "unit"}.get(by, by))
    if group is None:  # every row is another deal
        group = np.arange(len(rows), dtype=np.int32)
    counts = {*question, "rep"} if "deal" in question else set(question)
    unasked: dict[str, Any] = dict.fromkeys(set(_DIMENSIONS) - counts)
    return _Table.of(replace(rows, **unasked), metric, question, group)
