"""The centre: a matched table goes in, a :class:`Comparison` with verdicts comes out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.cells import Cells
from forecasteval.compare.pair import Pair
from forecasteval.compare.results import plain
from forecasteval.compare.rows import Rows
from forecasteval.compare.scored import Evidence, Scored
from forecasteval.compare.verdicts import CANNOT, SAME, UNSURE, decide
from forecasteval.errors import CallError, nearest
from forecasteval.inference.auc import EXACT_ROWS, STEPS
from forecasteval.inference.cluster_size import per_cluster
from forecasteval.inference.estimate import Estimate, Reason, against, reason
from forecasteval.inference.few_clusters import lean
from forecasteval.inference.jackknife import Spread, clusters, wild_p_value
from forecasteval.inference.limits import few_effective_deals, few_events
from forecasteval.inference.questions import QUESTIONS, needed
from forecasteval.matching.matched import RESERVED, Matched
from forecasteval.scores.probability import DEFAULT_METRICS, METRICS, Floats, Metric
from forecasteval.tables.organisation import Org

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

    from forecasteval.compare.remote import Remote

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
        return dict(self._primary)

    @cached_property
    def _primary(self) -> dict[str, Any]:
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


def _certain_and_wrong(scored: Scored, names: Iterable[str]) -> list[Reason]:
    text = "{} was certain and wrong {:,} times: its log score is infinite unless epsilon is given."
    said = zip(names, scored.sure(), strict=True)
    return [reason("infinite_log_score", text.format(who, sure)) for who, sure in said if sure]


def _cluster_report(pair: Pair, rows_by: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    found = {d: pair.difference.clusters(d) for d in pair.difference.over if d != "cell"}
    for dimension in ("rep", "period", "account"):
        if dimension in rows_by and dimension not in found:
            rows = rows_by[dimension]
            found[dimension] = clusters(rows[rows > 0] / rows.sum())
    return {d: asdict(c) for d, c in found.items()}


def own_intervals(
    pair: Pair, question: tuple[str, ...], level: float, *, skill: bool = False
) -> dict[str, Any]:
    """Either forecaster's own interval (of a skill the candidate's alone), and whether periods are alike."""
    shown = pair.difference.neighbours
    found: dict[str, Any] = {"p_alike": math.nan if shown is None else shown.p_value}
    for which in ("candidate",) if skill else ("candidate", "baseline"):
        own = getattr(pair, which).estimate(question, level)
        found |= {f"{which}_low": own.low, f"{which}_high": own.high}
    return found


def interval_columns(e: Estimate, spread: Spread) -> dict[str, Any]:
    """An interval of the difference, with the method that made it."""
    return {
        **{name: getattr(e, name) for name in ("low", "high", "p_value", "df", "se")},
        "skew": spread.skew,
        "lean": float(lean(spread.skew)),
        "method": wording.method(spread.method, longer=bool(spread.skew)),
    }


def _wild(pair: Pair, taken: str, seed: int) -> float:
    """Wild-bootstrap cross-check over the clusters that made the interval."""
    sums = {d: xz for d, xz in (pair.sums or {}).items() if d != "cell"}
    if not sums or taken == "deal":
        return math.nan
    dimension = taken if taken in sums else min(sums, key=lambda d: pair.difference.clusters(d).count)
    return wild_p_value(*sums[dimension], seed=seed)


def _unscored(metric: Metric, evidence: Evidence) -> list[Reason]:
    """Why a metric cannot be formed of these forecasts."""
    if not evidence.same_kind and metric.name != "auc":
        text = f"{metric.label} needs two probabilities; a rank score takes AUC only. Ask for auc as the first metric."
        return [reason("kinds_differ", text)]
    missing = ", ".join(evidence.lacks(metric))
    return [reason("missing_column", f"{metric.label} needs a column {missing}.")] if missing else []


def _untold(scored: Scored) -> list[Reason]:
    """Why these rows tell nothing."""
    if not scored.rows:
        return [reason("no_common_deals", "There is no deal that both have forecast.")]
    if scored.wins and scored.others:
        return []
    all_or_none = "Every deal was" if scored.wins else "No deal was"
    return [reason("one_class", f"{all_or_none} won, so nothing tells good forecasts from bad ones.")]


@dataclass(frozen=True)
class _Call:
    """A call that has been understood: what every metric of one comparison shares."""

    names: tuple[str, str]
    about: Matched
    question: tuple[str, ...]
    margins: Mapping[str, float | None]
    level: float
    beyond_margin: bool
    seed: int

    @cached_property
    def nouns(self) -> Mapping[str, str]:
        """What the clusters are called."""
        nouns = {"rep": "reps", "account": "accounts", "period": "periods", **self.about.nouns}
        return nouns if self.about.has("rep") else nouns | {"rep": ""}

    @cached_property
    def estimand(self) -> str:
        """The question in words."""
        return wording.estimand(self.question, *self.names, self.about, self.nouns)

    def empty(self, metric: Metric) -> dict[str, Any]:
        """A row of the table in which nothing is found yet."""
        about = {"metric": metric.name, "better": metric.better, "level": self.level, "clusters": {}}
        asked = {"generalise_to": self.question, "estimand": self.estimand}
        return COLUMNS | about | asked | dict(zip(("candidate", "baseline"), self.names, strict=True))

    def row(self, metric: Metric, evidence: Evidence) -> dict[str, Any]:
        """One row of the table."""
        row, margin = self.empty(metric), self.margins[metric.name]
        row["margin"] = math.nan if margin is None else float(margin)
        if why := _unscored(metric, evidence):
            return row | {"reasons": [*evidence.reasons, *why]}
        scored = evidence.scored(metric)
        row |= {name: getattr(scored, name) for name in ("rows", "deals", "wins", "filled")}
        found = [*scored.reasons, *_untold(scored)]
        if len(found) > len(scored.reasons):
            return row | {"reasons": found}
        pair = scored.pair(needed(self.question), "deal" in self.question)
        row |= {f"{which}_value": getattr(pair, which).value for which in ("candidate", "baseline")}
        row |= {"difference": pair.difference.value, "clusters": _cluster_report(pair, scored.rows_by)}
        row["verdict"] = None if metric.better == "nearer_zero" else UNSURE
        if not pair.finite:
            text = f"{metric.label} divides by zero: what it is measured against sums to nothing."
            infinite = metric.name == "log_score"
            why = _certain_and_wrong(scored, self.names) if infinite else [reason("zero_denominator", text)]
            return row | {"reasons": [*found, *why]}
        possible, doubts = self._doubts(metric, scored, pair)
        found += doubts
        if possible:
            row |= self._beside(metric, pair)
        if pair.tied:
            text = (
                f"More than {EXACT_ROWS:,} rows are ranked by steps of {1 / STEPS:g}; the AUC is off by less than "
                f"{pair.tied / 2:.1g}."
            )
            found.append(reason("ranked_by_steps", text))
        few_gaps = scored.filled <= MAX_FILLED * scored.rows and scored.dropped <= MAX_FILLED
        if pair.identical and not scored.knew and few_gaps:
            same = reason("identical", "The two forecasts score the same on every deal.")
            verdict = row["verdict"] and SAME
            return row | {"reasons": [*scored.reasons, same], "verdict": verdict, "reliable": True}
        if possible:
            interval = self._interval(pair)
            if not interval:
                text = "The difference does not vary between the clusters, so no interval can be formed."
                found.append(reason("no_spread", text))
            row |= interval | {"reliable": not against(found)}
            if interval and row["per_rep"] and row["per_rep"]["informative"]:
                found.append(reason("size_tells", wording.size_tells(row, self.nouns["rep"])))
        ends = row["low"], row["high"], row["reliable"]
        row["verdict"] = decide(metric.better, *ends, margin, beyond_margin=self.beyond_margin)
        return row | {"reasons": found}

    def _doubts(self, metric: Metric, scored: Scored, pair: Pair) -> tuple[bool, list[Reason]]:
        """Whether an interval is possible, and what speaks against believing it."""
        possible, found = pair.difference.doubts(self.question, self.nouns)
        found += few_events(scored.wins, scored.others)
        enough, few = few_effective_deals(scored.weights, "amount" if metric.needs else "rows")
        found += few
        filled = scored.filled / scored.rows
        if filled > MAX_FILLED:
            text = f"{filled:.0%} of the candidate's forecasts are missing; past {MAX_FILLED:.0%} no verdict is given."
            found.append(reason("filled_too_much", text))
        if scored.dropped > MAX_FILLED:
            text = (
                f"{scored.dropped:.0%} of the rows are left out for want of a forecast or of an amount; past "
                f"{MAX_FILLED:.0%} no verdict is given."
            )
            found.append(reason("dropped_too_much", text))
        return possible and enough, found

    def _beside(self, metric: Metric, pair: Pair) -> dict[str, Any]:
        """Either forecaster's own interval, the difference with every rep counted once, and whether periods are alike."""
        found = own_intervals(pair, self.question, self.level, skill=metric.is_skill)
        if not metric.is_skill and pair.sums is not None and "rep" in pair.sums:
            each = per_cluster(*pair.sums["rep"], self.level)
            found["per_rep"] = None if each is None else each.to_dict() | {"informative": each.informative}
        return found

    def _interval(self, pair: Pair) -> dict[str, Any]:
        """Interval, p-values and method of the difference; nothing where its standard error is zero."""
        e = pair.difference.estimate(self.question, self.level)
        spread = pair.difference.spread(self.question)
        if not e.has_interval:
            return {}
        return interval_columns(e, spread) | {"p_wild": _wild(pair, spread.method, self.seed)}

    def answered(
        self, chosen: list[Metric], rows: list[dict[str, Any]], flow: Sequence[dict[str, Any]]
    ) -> Comparison:
        """The comparison, in the words of the table."""
        rows[0]["primary"] = True
        for row in rows:
            row["reasons"] = [r | {"text": wording.spoken(r["text"], self.nouns)} for r in row["reasons"]]
            row["method"] = wording.spoken(row["method"], self.nouns)
        return Comparison(
            *self.names,
            pd.DataFrame(rows, columns=list(COLUMNS)),
            wording.headline(rows[0], chosen[0], self.nouns, self.about),
            pd.DataFrame(flow, columns=["step", "deals", "dropped", "why"]),
            self.estimand,
            self.question,
            self.level,
            self.nouns,
        )


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
    """The dimensions asked for, or what of the default the table can answer; and what is to be said of them."""
    asked = (generalise_to,) if isinstance(generalise_to, str) else tuple(generalise_to or ())
    told = []
    if generalise_to is None:
        there = tuple(d for d in ("rep", "period") if matched.has(d))
        asked = there or ("deal",)
        if len(there) < 2:
            lacking = " and no ".join(d for d in ("rep", "period") if d not in there)
            text = f"The table knows no {lacking}; the interval is about new {asked[0]}s only."
            told.append(reason("default_dropped", text))
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
    if "deal" in asked and not matched.has("rep"):
        text = "The table knows no reps, so deals count as independent of each other; those of one rep rarely are."
        told.append(reason("no_reps", text))
    return asked, tuple(told)


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


def _stops(table: Matched | Remote, candidate: str, baseline: str) -> list[Reason]:
    """Why the two cannot be compared at all, if so."""
    matched = table if isinstance(table, Matched) else table.outline
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
        if said := table.no_numbers(name):
            stops.append(reason("kinds_differ", f"{said} Only probabilities and rank scores can be scored."))
    return stops


def _refuse(
    names: tuple[str, str], chosen: list[Metric], level: float, epsilon: float, *, here: bool
) -> None:
    """A call that asks for what has no meaning, or for what only rows in memory can give."""
    if not (_is_number(level) and 0 < level < 1):
        raise CallError(f"level must lie between 0 and 1, not {level!r}; 0.95 is usual.")
    if not (_is_number(epsilon) and 0 <= epsilon < 0.5):
        raise CallError(f"epsilon must lie in [0, 0.5), not {epsilon!r}.")
    if names[0] == names[1]:
        raise CallError(f"candidate and baseline are both {names[0]!r}; name two forecasters.")
    own = [m.name for m in chosen if METRICS.get(m.name) is not m]
    if own and not here:
        raise CallError(
            f"{', '.join(own)} is a metric of your own, which works on rows in memory; a table on an engine or in files takes "
            f"{', '.join(METRICS)}."
        )


def _opened(matched: Any, *, one_row_per_deal: bool) -> Matched | Remote:
    """The matched table itself, or what is to be known of one that lies on an engine or in files."""
    if isinstance(matched, pd.DataFrame | Matched | Org):
        found: Matched | Remote = Matched.of(matched)
    else:
        from forecasteval.compare import remote  # engines are not imported unless they are used

        found = remote.opened(matched, one_row_per_deal=one_row_per_deal)
    outline = found if isinstance(found, Matched) else found.outline
    absent = [c for c in ("deal_id", "won") if c not in outline]
    if absent:
        columns = list(map(str, outline.table.columns))
        raise CallError(
            f"The matched table has no column {' or '.join(absent)}; it has {', '.join(columns)}."
        )
    return found


def _evidence(
    table: Matched | Remote,
    call: _Call,
    chosen: list[Metric],
    *,
    kinds: Mapping[str, str] | None,
    **options: Any,
) -> Evidence:
    """What the two are judged on, of rows in memory or of sums from an engine."""
    strange = {n: k for n, k in (kinds or {}).items() if n not in call.about or k not in _KINDS}
    if strange:
        raise CallError(
            f"kinds={strange!r}: name forecasters of the table, each with one of {', '.join(_KINDS)}."
        )
    if not isinstance(table, Matched):
        return table.evidence(call.names, call.question, chosen, kinds=kinds, **options)
    amounts = any(m.needs for m in chosen)
    return Rows.of(table, *call.names, call.question, amounts=amounts, kinds=kinds, **options)


def cells(
    matched: Matched | IntoFrame | Org | str | PathLike[str],
    candidate: str,
    baseline: str,
    *,
    metrics: Sequence[str] | None = None,
    generalise_to: Sequence[str] | str | None = None,
    epsilon: float = 0.0,
    kinds: Mapping[str, str] | None = None,
    one_row_per_deal: bool = False,
) -> Cells:
    """What the rows of two forecasters sum to by rep and period: all that :func:`compare_cells` needs of them.

    Parameters
    ----------
    matched, candidate, baseline, metrics, generalise_to, epsilon, kinds, one_row_per_deal : as in :func:`compare`

    Returns
    -------
    Cells; nothing in it is about a single deal where every rep has several

    Raises
    ------
    ValueError
        As :func:`compare`.

    Examples
    --------
    >>> deals = pd.DataFrame({"deal_id": list("abcd"), "won": [1, 0, 0, 1], "rep": list("xxyy"),
    ...     "model": [0.8, 0.2, 0.3, 0.6], "rep_forecast": [0.9, 0.6, 0.5, 0.4]})
    >>> found = cells(deals, "model", "rep_forecast", generalise_to="rep")
    >>> compare_cells(found, metrics=["brier"]).table["difference"].round(4).tolist()
    [-0.1625]
    """
    chosen = _chosen_metrics(metrics)
    table = _opened(matched, one_row_per_deal=one_row_per_deal)
    if isinstance(table, Matched):
        from forecasteval.compare.remote import of_frame

        table = of_frame(table, one_row_per_deal=one_row_per_deal)
    question, dropped = _chosen_question(table.outline, generalise_to)
    if stops := _stops(table, candidate, baseline):
        raise CallError(" ".join(r["text"] for r in stops))
    names = (candidate, baseline)
    made = table.evidence(names, question, chosen, epsilon=epsilon, kinds=kinds, reasons=dropped)
    return replace(made, about=table.outline, question=question, metrics=tuple(m.name for m in chosen))


def compare_cells(
    cells: Cells | pd.DataFrame | str | PathLike[str],
    curve: pd.DataFrame | str | PathLike[str] | None = None,
    *,
    metrics: Sequence[str] | None = None,
    generalise_to: Sequence[str] | str | None = None,
    level: float = 0.95,
    margin: float | Mapping[str, float] | None = None,
    beyond_margin: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two forecasters from sums that were formed elsewhere, with the verdict that the rows themselves give.

    Parameters
    ----------
    cells : Cells, DataFrame or path of a CSV
        What :func:`cells` gives, or the result of the first query of `forecasteval sql compare`.
    curve : DataFrame or path of a CSV, optional
        The result of its second query; without it there is no AUC, and hindsight is not looked for.
    metrics : list of str, optional
        Those that the sums hold; the default is all of them in the usual order. The queries' sums hold no AUC for new
        deals.
    generalise_to : tuple of str, optional
        As in :func:`compare`, for dimensions that the sums hold.
    level, margin, beyond_margin, seed : as in :func:`compare`

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        For sums that lack what is asked; the sentence says what is there.

    Examples
    --------
    See :func:`cells`.
    """
    if isinstance(cells, Cells):
        found = cells
    else:
        from forecasteval.compare import sql

        found = sql.cells_of(sql.table_of(cells), None if curve is None else sql.table_of(curve))
    summed = [m for m in METRICS if m in found.marks and (m != "auc" or found.rankings is not None)]
    there = list(found.metrics) or summed
    usual = [m for m in (*DEFAULT_METRICS, *there) if m in there]
    chosen = _chosen_metrics(list(dict.fromkeys(usual)) if metrics is None else metrics)
    if missing := [m.name for m in chosen if m.name not in there]:
        raise CallError(f"The sums hold no {', '.join(missing)}; they hold {', '.join(there)}.")
    _refuse(found.names, chosen, level, 0.0, here=True)
    about = found.outline
    question, _ = _chosen_question(about, generalise_to or found.question or None)
    lost = [d for d in needed(question) if d != "cell" and d not in found.dimensions]
    if lost or ("deal" in question and found.question and "deal" not in found.question):
        raise CallError(
            f"generalise_to={question!r} needs sums by {' and '.join(lost) or 'deal'}; these are by "
            f"{' and '.join(found.dimensions)}."
        )
    if "deal" in question and "auc__cc" not in found.deals[found.home]:
        if metrics is not None and "auc" in (m.name for m in chosen):
            raise CallError(
                "The AUC of new deals needs what each deal adds to it, which the queries do not sum up."
            )
        chosen = [m for m in chosen if m.name != "auc"]
    call = _Call(found.names, about, question, margins_of(margin, chosen), level, beyond_margin, seed)
    return call.answered(chosen, [call.row(m, found) for m in chosen], found.flow)


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
    one_row_per_deal: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare two forecasters on the same deals, with intervals and a verdict for each metric.

    Parameters
    ----------
    matched : DataFrame, one row per deal and as-of
        Columns `deal_id`, `won` (0 or 1), one per forecaster, and optionally `as_of`, `period`, `rep`,
        `account`, `amount`, `amount_won`; anything else is a segment. What :func:`forecasteval.read` makes
        of an imported table does as well. What lies on an engine (a DuckDB relation, a lazy frame of Polars, a table of
        Spark or ibis) is summed up there, and so is the path of a Parquet file or of a folder of them, which may be
        larger than memory; frames of pandas, Polars and pyarrow are taken as they are. Ids are trimmed, and
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
    one_row_per_deal : bool
        Of a table on an engine or in files: no deal stands there twice, so deals need not be told apart.
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
    table = _opened(matched, one_row_per_deal=one_row_per_deal)
    names = (candidate, baseline)
    outline = table if isinstance(table, Matched) else table.outline
    _refuse(names, chosen, level, epsilon, here=table is outline)
    margins = margins_of(margin, chosen)
    question, told = _chosen_question(outline, generalise_to)
    call = _Call(names, outline, question, margins, level, beyond_margin, seed)
    if stops := _stops(table, candidate, baseline):
        counts = (outline.deals, len(outline.table)) if isinstance(table, Matched) else (table.rows,) * 2
        rows = [call.empty(m) | {"reasons": [*told, *stops]} for m in chosen]
        return call.answered(chosen, rows, outline.counted_flow(*counts))
    evidence = _evidence(table, call, chosen, epsilon=epsilon, kinds=kinds, reasons=told)
    return call.answered(chosen, [call.row(m, evidence) for m in chosen], evidence.flow)
