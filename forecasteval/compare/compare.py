"""The centre: a matched table goes in, a :class:`Comparison` with verdicts comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecasteval.compare import _parquet, wording
from forecasteval.compare.pair import Biases, Pair, pair_of
from forecasteval.compare.results import plain
from forecasteval.compare.rows import Rows
from forecasteval.compare.verdicts import CANNOT, SAME, UNSURE, decide
from forecasteval.errors import CallError, nearest
from forecasteval.inference.cluster_size import per_cluster
from forecasteval.inference.estimate import Estimate, Reason, against, reason
from forecasteval.inference.few_clusters import lean
from forecasteval.inference.grouping import Grouping
from forecasteval.inference.jackknife import clusters, wild_p_value
from forecasteval.inference.limits import few_effective_deals, few_events
from forecasteval.inference.questions import QUESTIONS, needed
from forecasteval.matching.matched import RESERVED, Matched, StrangeCells, numbers
from forecasteval.scores.probability import DEFAULT_METRICS, METRICS, Metric
from forecasteval.tables.organisation import Org

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

MAX_FILLED = 0.20
_KINDS = ("probability", "rank_score")


COLUMNS: dict[str, Any] = {
    "metric": "",
    "better": "",
    "primary": False,
    "candidate": "",
    "baseline": "",
    "candidate_value": math.nan,
    "baseline_value": math.nan,
    "difference": math.nan,
    "low": math.nan,
    "high": math.nan,
    "level": math.nan,
    "margin": math.nan,
    "df": math.nan,
    "p_value": math.nan,
    "p_wild": math.nan,
    "verdict": CANNOT,
    "reliable": False,
    "reasons": (),
    "method": "",
    "estimand": "",
    "generalise_to": (),
    "rows": 0,
    "deals": 0,
    "wins": 0,
    "filled": 0,
    "clusters": (),
    "se": math.nan,
    "skew": math.nan,
    "lean": math.nan,
    "candidate_low": math.nan,
    "candidate_high": math.nan,
    "baseline_low": math.nan,
    "baseline_high": math.nan,
    "p_alike": math.nan,
    "per_rep": None,
}


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` found.

    Attributes
    ----------
    candidate, baseline : str
    table : DataFrame, one row per metric, the primary one first
    headline : str
        One sentence from the primary metric: verdict, estimate, interval, estimand.
    flow : DataFrame with columns step, deals, dropped, why
    estimand : str
        The question that the intervals answer.
    generalise_to : tuple of str
    level : float
    nouns : dict
        What the clusters are called, such as "quarters" for periods.
    """

    candidate: str
    baseline: str
    table: pd.DataFrame
    headline: str
    flow: pd.DataFrame
    estimand: str
    generalise_to: tuple[str, ...]
    level: float
    nouns: Mapping[str, str]

    @property
    def primary(self) -> dict[str, Any]:
        """The row of the primary metric."""
        return {str(k): v for k, v in self.table.iloc[0].to_dict().items()}

    @property
    def verdict(self) -> str | None:
        """Verdict of the primary metric; None for a bias, which has none."""
        verdict = self.primary["verdict"]
        return None if pd.isna(verdict) else str(verdict)

    def to_dict(self) -> dict[str, Any]:
        """The comparison's part of `results.json`: plain values, null where there is no number."""
        return {
            "headline": self.headline,
            "primary": str(self.primary["metric"]),
            "estimand": self.estimand,
            "flow": [plain(r) for r in self.flow.to_dict("records")],
            "comparisons": [plain(r) for r in self.table.to_dict("records")],
        }


# --- one metric -------------------------------------------------------------------------------------


def _certain_and_wrong(rows: Rows, candidate: str, baseline: str) -> list[Reason]:
    found = []
    for who, p in ((candidate, rows.deals.candidate), (baseline, rows.deals.baseline)):
        sure = int((((p == 0) & (rows.deals.won == 1)) | ((p == 1) & (rows.deals.won == 0))).sum())
        if sure:
            text = f"{who} was certain and wrong {sure:,} times: its log score is infinite unless epsilon is given."
            found.append(reason("infinite_log_score", text))
    return found


def _cluster_report(pair: Pair, groups: Grouping) -> dict[str, dict[str, float]]:
    found = {d: pair.difference.clusters(d) for d in pair.difference.over if d != "cell"}
    for dimension in ("rep", "period", "account"):
        if dimension in groups.member and dimension not in found:
            rows = groups.by(dimension, groups.sums(None))
            found[dimension] = clusters(rows[rows > 0] / rows.sum())
    return {
        d: {"count": c.count, "effective": c.effective, "largest_share": c.largest_share}
        for d, c in found.items()
    }


def _wild(pair: Pair, taken: str, seed: int) -> float:
    """Wild-bootstrap cross-check over the clusters that made the interval."""
    sums = {d: xz for d, xz in (pair.sums or {}).items() if d != "cell"}
    if not sums or taken == "deal":
        return math.nan
    dimension = taken if taken in sums else min(sums, key=lambda d: pair.difference.clusters(d).count)
    return wild_p_value(*sums[dimension], seed=seed)


@dataclass(frozen=True)
class _Measured:
    """One metric on the rows: what :func:`compare` asks of each of them in turn."""

    metric: Metric
    rows: Rows
    groups: Grouping
    biases: Biases | None
    generalise_to: tuple[str, ...]
    level: float
    seed: int

    def pair(self) -> Pair:
        """Both values and their difference."""
        dimensions, units = needed(self.generalise_to), "deal" in self.generalise_to
        return pair_of(self.metric, self.rows.deals, self.groups, dimensions, units=units, biases=self.biases)

    def why_not(self, pair: Pair, nouns: Mapping[str, str]) -> tuple[bool, list[Reason]]:
        """Whether an interval is possible, and what speaks against believing it."""
        possible, found = pair.difference.doubts(self.generalise_to, nouns)
        won, other = (self.rows.count(self.rows.deals.won == outcome) for outcome in (1, 0))
        found += few_events(won, other)
        enough, few = few_effective_deals(
            self.rows.weights(self.metric), "amount" if self.metric.needs else "rows"
        )
        found += few
        gaps, rows = self.rows.gaps, len(self.rows)
        if gaps > MAX_FILLED * rows:
            text = (
                f"{gaps / rows:.0%} of the candidate's forecasts are missing; past {MAX_FILLED:.0%} no verdict is "
                "given."
            )
            found.append(reason("filled_too_much", text))
        if self.rows.dropped > MAX_FILLED:
            text = (
                f"{self.rows.dropped:.0%} of the rows are left out for want of a forecast or of an amount; past "
                f"{MAX_FILLED:.0%} no verdict is given."
            )
            found.append(reason("dropped_too_much", text))
        return possible and enough, found

    def per_rep(self, pair: Pair) -> dict[str, Any] | None:
        """The difference with every rep counted once, and whether it differs from that per deal for a reason.

        None without reps, with fewer than 5, and for what is no sum over deals.
        """
        if self.metric.is_skill or "rep" not in (pair.sums or {}):
            return None
        assert pair.sums is not None
        found = per_cluster(*pair.sums["rep"], self.level)
        return None if found is None else found.to_dict() | {"informative": found.informative}

    def own_intervals(self, pair: Pair) -> dict[str, float]:
        """The interval of either forecaster's own value."""
        found: dict[str, float] = {}
        for which in ("candidate",) if self.metric.is_skill else ("candidate", "baseline"):
            e: Estimate = getattr(pair, which).estimate(self.generalise_to, self.level)
            found |= {f"{which}_low": e.low, f"{which}_high": e.high}
        return found

    def interval(self, pair: Pair) -> dict[str, Any]:
        """Interval, p-values and method of the difference; nothing where its standard error is zero."""
        e = pair.difference.estimate(self.generalise_to, self.level)
        if not e.has_interval:
            return {}
        spread = pair.difference.spread(self.generalise_to)
        return {
            **{name: getattr(e, name) for name in ("low", "high", "p_value", "df", "se")},
            "skew": spread.skew,
            "lean": float(lean(spread.skew)),
            "p_wild": _wild(pair, spread.method, self.seed),
            "method": wording.method(spread.method, longer=bool(spread.skew)),
        }


def _row(metric: Metric, rows: Rows, call: _Call, margin: float | None) -> dict[str, Any]:
    """One row of the table."""
    row = COLUMNS | call.base | {"metric": metric.name, "better": metric.better}
    row["margin"] = math.nan if margin is None else float(margin)

    def because(*reasons: Reason) -> dict[str, Any]:
        return row | {"reasons": [*rows.reasons, *reasons]}

    if not rows.same_kind and metric.name != "auc":
        text = f"{metric.label} needs two probabilities; a rank score takes AUC only. Ask for auc as the first metric."
        return because(reason("kinds_differ", text))
    missing = [c for c in metric.needs if getattr(rows.deals, c) is None]
    if missing:
        return because(reason("missing_column", f"{metric.label} needs a column {', '.join(missing)}."))
    groups, biases = call.groups, call.biases
    if metric.needs:
        kept = rows.with_amounts(metric)
        if len(kept) < len(rows):
            groups = kept.grouping()
            biases = call.biases and Biases.of(kept.deals, groups)
        rows = kept
    won = rows.deals.won == 1
    row |= {"rows": len(rows), "deals": rows.distinct, "wins": rows.count(won), "filled": rows.gaps}
    if not len(rows):
        return because(reason("no_common_deals", "There is no deal that both have forecast."))
    if won.all() or not won.any():
        all_or_none = "Every deal was" if won.any() else "No deal was"
        text = f"{all_or_none} won, so nothing tells good forecasts from bad ones."
        return because(reason("one_class", text))
    measured = _Measured(
        metric, rows, groups, biases, call.base["generalise_to"], call.base["level"], call.seed
    )
    pair = measured.pair()
    row |= {
        "candidate_value": pair.candidate.value,
        "baseline_value": pair.baseline.value,
        "difference": pair.difference.value,
        "clusters": _cluster_report(pair, groups),
        "verdict": None if metric.better == "nearer_zero" else UNSURE,
    }
    if not pair.finite:
        if metric.name == "log_score":
            return because(*_certain_and_wrong(rows, row["candidate"], row["baseline"]))
        text = f"{metric.label} divides by zero: what it is measured against sums to nothing."
        return because(reason("zero_denominator", text))
    possible, found = measured.why_not(pair, call.nouns)
    if possible:
        neighbours = pair.difference.neighbours
        row |= measured.own_intervals(pair) | {
            "per_rep": measured.per_rep(pair),
            "p_alike": math.nan if neighbours is None else neighbours.p_value,
        }
    if (
        pair.identical
        and not rows.knew
        and rows.gaps <= MAX_FILLED * len(rows)
        and rows.dropped <= MAX_FILLED
    ):
        text = "The two forecasts score the same on every deal."
        return because(reason("identical", text)) | {"verdict": row["verdict"] and SAME, "reliable": True}
    if possible:
        interval = measured.interval(pair)
        if not interval:
            text = "The difference does not vary between the clusters, so no interval can be formed."
            found.append(reason("no_spread", text))
        row |= interval | {"reliable": not against([*rows.reasons, *found])}
        if interval and row["per_rep"] and row["per_rep"]["informative"]:
            found.append(reason("size_tells", wording.size_tells(row, call.nouns["rep"])))
    row["verdict"] = decide(
        metric.better, row["low"], row["high"], row["reliable"], margin, beyond_margin=call.beyond_margin
    )
    return because(*found)


@dataclass(frozen=True)
class _Call:
    """What every metric of one comparison shares."""

    base: dict[str, Any]
    beyond_margin: bool
    seed: int
    nouns: Mapping[str, str]
    groups: Grouping
    biases: Biases | None


# --- the public door --------------------------------------------------------------------------------


def _chosen_metrics(metrics: Sequence[str | Metric] | None) -> list[Metric]:
    names = [metrics] if isinstance(metrics, str) else list(DEFAULT_METRICS if metrics is None else metrics)
    unknown = [m for m in names if not isinstance(m, Metric) and m not in METRICS]
    if unknown or not names:
        said = f"Unknown metric {', '.join(map(repr, unknown))}" if unknown else "No metric is named"
        raise CallError(f"{said}; choose from {', '.join(METRICS)}.")
    return [m if isinstance(m, Metric) else METRICS[m] for m in dict.fromkeys(names)]


def _chosen_question(
    matched: Matched, generalise_to: Sequence[str] | str | None
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    """The dimensions asked for, or what of the default the table can answer."""
    if generalise_to is None:
        there = tuple(d for d in ("rep", "period") if matched.has(d))
        if len(there) == 2:
            return there, ()
        lacking = " and no ".join(d for d in ("rep", "period") if d not in there)
        text = (
            f"The table knows no {lacking}; the interval is about new {there[0] if there else 'deal'}s only."
        )
        return there or ("deal",), (reason("default_dropped", text),)
    asked = (generalise_to,) if isinstance(generalise_to, str) else tuple(generalise_to)
    order = ["deal", "account", "rep", "period"]
    asked = tuple(sorted(asked, key=lambda d: order.index(d) if d in order else len(order)))
    if asked not in QUESTIONS:
        raise CallError(f"generalise_to={asked!r} is not one of: {'; '.join(map(str, QUESTIONS))}.")
    missing = [d for d in asked if d != "deal" and not (matched.has(d) or (d == "account" and d in matched))]
    if missing:
        raise CallError(
            f"generalise_to asks for {' and '.join(missing)}, but the table has no such column; it has "
            f"{', '.join(map(str, matched.table.columns))}."
        )
    return asked, ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def margins_of(
    margin: float | Mapping[str, float] | None, chosen: list[Metric], known: Mapping[str, Metric] = METRICS
) -> dict[str, float | None]:
    """The margin of each metric, checked."""
    by_metric = {m.name: margin.get(m.name) if isinstance(margin, Mapping) else margin for m in chosen}
    wrong = {k: v for k, v in by_metric.items() if v is not None and not (_is_number(v) and v > 0)}
    unknown = [k for k in margin if k not in known] if isinstance(margin, Mapping) else []
    if wrong or unknown:
        raise CallError(
            f"margin is the largest difference that does not matter, above 0, for a known metric; found "
            f"{wrong or unknown}."
        )
    return by_metric


def _stops(matched: Matched, candidate: str, baseline: str) -> list[Reason]:
    """Why the two cannot be compared at all, if so."""
    if matched.stop:
        return [dict(r) for r in matched.stop]
    stops = []
    for name in (candidate, baseline):
        if name not in matched or name in RESERVED:
            text = (
                f"There is no forecast named {name}; the table has {', '.join(matched.names) or 'none'}. "
                f"{nearest(name, matched.names)}"
            )
            stops.append(reason("missing_column", text.rstrip()))
            continue
        try:
            numbers(matched.table, name)
        except StrangeCells:
            raise
        except CallError as error:
            text = f"{error} Only probabilities and rank scores can be scored."
            stops.append(reason("kinds_differ", text))
    return stops


def _opened(
    matched: Matched | IntoFrame | Org | str | PathLike[str],
    forecasters: tuple[str, str],
    chosen: list[Metric],
) -> Matched:
    """The matched table itself, wherever it is."""
    if isinstance(matched, str | PathLike):
        columns = ["deal_id", "won", "as_of", "closed_on", "rep", "period", "account", *forecasters]
        if any(m.needs for m in chosen):
            columns += ["amount", "amount_won"]
        there = _parquet.columns_of(matched)
        missing = not {"deal_id", "won", *forecasters} <= set(there)
        matched = _parquet.matched_rows(
            matched, there if missing else columns
        )  # an error names what is there
    matched = Matched.of(matched)
    absent = [c for c in ("deal_id", "won") if c not in matched]
    if absent:
        columns = list(map(str, matched.table.columns))
        raise CallError(
            f"The matched table has no column {' or '.join(absent)}; it has {', '.join(columns)}."
        )
    return matched


def _compared(
    matched: Matched,
    names: tuple[str, str],
    chosen: list[Metric],
    margins: Mapping[str, float | None],
    question: tuple[str, ...],
    dropped: tuple[Reason, ...],
    level: float,
    *,
    epsilon: float,
    kinds: Mapping[str, str] | None,
    beyond_margin: bool,
    seed: int,
) -> Comparison:
    """A call that has been understood, metric by metric."""
    candidate, baseline = names
    nouns = {"rep": "reps", "account": "accounts", "period": "periods", **matched.nouns}
    if not matched.has("rep"):
        nouns["rep"] = ""
        if "deal" in question:
            text = "The table knows no reps, so deals count as independent of each other; those of one rep rarely are."
            dropped = (*dropped, reason("no_reps", text))
    base = {
        "candidate": candidate,
        "baseline": baseline,
        "level": level,
        "generalise_to": question,
        "estimand": wording.estimand(question, candidate, baseline, matched, nouns),
        "clusters": {},
    }
    stops = _stops(matched, candidate, baseline)
    if stops:
        reasons = {"reasons": [*dropped, *stops]}
        table = [COLUMNS | base | {"metric": m.name, "better": m.better} | reasons for m in chosen]
        flow = matched.counted_flow(matched.deals, len(matched.table))
    else:
        strange = {n: k for n, k in (kinds or {}).items() if n not in matched or k not in _KINDS}
        if strange:
            raise CallError(
                f"kinds={strange!r}: name forecasters of the table, each with one of {', '.join(_KINDS)}."
            )
        amounts = any(m.needs for m in chosen)
        rows = Rows.of(
            matched,
            candidate,
            baseline,
            question,
            amounts=amounts,
            epsilon=epsilon,
            kinds=kinds,
            reasons=dropped,
        )
        groups = rows.grouping()
        biases = Biases.of(rows.deals, groups) if rows.same_kind else None
        call = _Call(base, beyond_margin, seed, nouns, groups, biases)
        table = [_row(m, rows, call, margins[m.name]) for m in chosen]
        flow = list(rows.flow)
    table[0]["primary"] = True
    return Comparison(
        candidate,
        baseline,
        pd.DataFrame(table, columns=list(COLUMNS)),
        wording.headline(table[0], chosen[0], nouns, matched),
        pd.DataFrame(flow, columns=["step", "deals", "dropped", "why"]),
        str(base["estimand"]),
        question,
        level,
        nouns,
    )


def compare(
    matched: Matched | IntoFrame | Org | str | PathLike[str],
    candidate: str,
    baseline: str,
    *,
    metrics: Sequence[str | Metric] | None = None,
    generalise_to: Sequence[str] | str | None = None,
    level: float = 0.95,
    margin: float | Mapping[str, float] | None = None,
    beyond_margin: bool = False,
    epsilon: float = 0.0,
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two forecasters on the same deals, with intervals and a verdict for each metric.

    Parameters
    ----------
    matched : DataFrame, one row per deal and as-of
        Columns `deal_id`, `won` (0 or 1), one per forecaster, and optionally `as_of`, `period`, `rep`,
        `account`, `amount`, `amount_won`; anything else is a segment. What :func:`forecasteval.read` makes
        of an imported table does as well, and so does the path of a Parquet file, of which only the columns that
        count are read. Polars, pyarrow, DuckDB and whatever else narwhals knows is taken as it is. Ids are trimmed, and
        those that differ only in case or in being a number or text are one, which `reasons` says. A deal that was
        seen several times is one unit.
    candidate, baseline : str
        Names of two forecaster columns. Every difference is candidate minus baseline.
    metrics : list of str, optional
        From :data:`forecasteval.scores.METRICS`, or a :class:`forecasteval.scores.Metric` of one's own; the first is primary
        and carries the headline.
    generalise_to : tuple of str, optional
        What may be different next time: ("deal",), ("account",), ("rep",), ("period",),
        ("deal", "period") or ("rep", "period"). The default is the last, or what of it the table has.
    level : float
        Of the intervals, in (0, 1).
    margin : float or dict by metric, optional
        The largest difference that does not matter.
    beyond_margin : bool
        Call a forecaster better only where the interval lies beyond the margin.
    epsilon : float
        Probabilities are moved into [epsilon, 1 - epsilon] for the log score.
    kinds : dict, optional
        "probability" or "rank_score" by forecaster.
    seed : int
        For the wild bootstrap beyond 12 clusters.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        For a table or a call that cannot be understood; the sentence says what to change.

    Examples
    --------
    >>> deals = pd.DataFrame({
    ...     "deal_id": ["a", "b", "c", "d"], "won": [1, 0, 0, 1],
    ...     "model": [0.8, 0.2, 0.3, 0.6], "rep_forecast": [0.9, 0.6, 0.5, 0.4]})
    >>> compare(deals, "model", "rep_forecast", metrics=["brier"]).table["difference"].round(4).tolist()
    [-0.1625]
    """
    chosen = _chosen_metrics(metrics)
    matched = _opened(matched, (candidate, baseline), chosen)
    if not (_is_number(level) and 0 < level < 1):
        raise CallError(f"level must lie between 0 and 1, not {level!r}; 0.95 is usual.")
    if not (_is_number(epsilon) and 0 <= epsilon < 0.5):
        raise CallError(f"epsilon must lie in [0, 0.5), not {epsilon!r}.")
    if candidate == baseline:
        raise CallError(f"candidate and baseline are both {candidate!r}; name two forecasters.")
    margins = margins_of(margin, chosen)
    question, dropped = _chosen_question(matched, generalise_to)
    options: dict[str, Any] = {
        "epsilon": epsilon,
        "kinds": kinds,
        "beyond_margin": beyond_margin,
        "seed": seed,
    }
    return _compared(matched, (candidate, baseline), chosen, margins, question, dropped, level, **options)
