"""The centre: a matched table goes in, a :class:`Comparison` with verdicts comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare import parquet, verdicts, wording
from forecasteval.compare import rows as sample
from forecasteval.compare.results import plain
from forecasteval.compare.rows import Reason, Sample, reason
from forecasteval.compare.verdicts import CANNOT, SAME, UNSURE
from forecasteval.errors import CallError, nearest
from forecasteval.inference import jackknife as intervals
from forecasteval.inference import ratio_of_sums as estimates
from forecasteval.inference.questions import QUESTIONS, needed
from forecasteval.inference.ratio_of_sums import Biases, Estimate, Grouping
from forecasteval.matching.matched import META, RESERVED, forecaster_columns, has
from forecasteval.scores.probability import DEFAULT_METRICS, METRICS, Metric
from forecasteval.tables.organisation import Org

MAX_FILLED = 0.20
KINDS = ("probability", "rank_score")


_COLUMNS: dict[str, Any] = {
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
    "candidate_low": math.nan,
    "candidate_high": math.nan,
    "baseline_low": math.nan,
    "baseline_high": math.nan,
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


def _doubts(
    estimate: Estimate, generalise_to: tuple[str, ...], s: Sample, nouns: Mapping[str, str]
) -> tuple[bool, list[Reason]]:
    won, other = (s.count(s.deals.won == outcome) for outcome in (1, 0))
    possible, doubts = verdicts.doubts(estimate, generalise_to, won, other, nouns)
    if s.gaps > MAX_FILLED * s.rows:
        text = f"{s.gaps / s.rows:.0%} of the candidate's forecasts are missing; past {MAX_FILLED:.0%} no verdict is given."
        doubts.append(reason("filled_too_much", text))
    return possible, doubts


def _cluster_report(estimate: Estimate, groups: Grouping) -> dict[str, dict[str, float]]:
    report = {d: estimate.clusters(d) for d in estimate.over if d != "cell"}
    for dimension in ("rep", "period", "account"):
        if dimension in groups.member and dimension not in report:
            rows = groups.by(dimension, groups.sums(None))
            report[dimension] = intervals.clusters(rows[rows > 0] / rows.sum())
    return {
        d: {"count": c.count, "effective": c.effective, "largest_share": c.largest_share}
        for d, c in report.items()
    }


def _certain_and_wrong(s: Sample, candidate: str, baseline: str) -> list[Reason]:
    found = []
    for who, p in ((candidate, s.deals.candidate), (baseline, s.deals.baseline)):
        sure = int((((p == 0) & (s.deals.won == 1)) | ((p == 1) & (s.deals.won == 0))).sum())
        if sure:
            text = f"{who} was certain and wrong {sure:,} times: its log score is infinite unless epsilon is given."
            found.append(reason("infinite_log_score", text))
    return found


def _wild(estimate: Estimate, taken: str, seed: int) -> float:
    """Wild-bootstrap cross-check over the clusters that made the interval."""
    one_way = [d for d, over in estimate.over.items() if d != "cell" and over.sums]
    if not one_way or taken == "deal":
        return math.nan
    dimension = taken if taken in one_way else min(one_way, key=lambda d: estimate.clusters(d).count)
    x, z = estimate.over[dimension].sums or ((), ())
    return intervals.wild_p_value(x, z, seed=seed)


def _own_intervals(estimate: Estimate, metric: Metric, base: Mapping[str, Any]) -> dict[str, float]:
    """The interval of either forecaster's own value."""
    found: dict[str, float] = {}
    for which in ("candidate",) if metric.is_skill else ("candidate", "baseline"):
        i = estimate.interval(base["generalise_to"], which, base["level"])
        found |= {f"{which}_low": i.low, f"{which}_high": i.high}
    return found


def _interval(estimate: Estimate, base: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Interval, p-value and method of the difference; nothing where its standard error is zero."""
    i = estimate.interval(base["generalise_to"], level=base["level"])
    if math.isnan(i.low):
        return {}
    spread = estimate.spread(base["generalise_to"])
    return {
        "low": i.low,
        "high": i.high,
        "p_value": i.p_value,
        "df": spread.df,
        "se": spread.se,
        "p_wild": _wild(estimate, spread.method, seed),
        "method": wording.method(spread.method, estimate.is_ratio),
    }


@dataclass(frozen=True)
class _Call:
    """What every metric of one comparison shares."""

    base: dict[str, Any]
    same_kind: bool
    beyond_margin: bool
    seed: int
    nouns: Mapping[str, str]
    groups: Grouping
    biases: Biases | None


def _measure(metric: Metric, s: Sample, call: _Call, margin: float | None) -> dict[str, Any]:
    """One row of the table."""
    base = call.base
    row = _COLUMNS | base | {"metric": metric.name, "better": metric.better}
    row["margin"] = math.nan if margin is None else float(margin)

    def because(*reasons: Reason) -> dict[str, Any]:
        return row | {"reasons": [*s.reasons, *reasons]}

    if not call.same_kind and metric.name != "auc":
        text = f"{metric.label} needs two probabilities; a rank score takes AUC only. Ask for auc as the first metric."
        return because(reason("kinds_differ", text))
    missing = [c for c in metric.needs if getattr(s.deals, c) is None]
    if missing:
        return because(reason("missing_column", f"{metric.label} needs a column {', '.join(missing)}."))
    groups, biases = call.groups, call.biases
    if metric.needs:
        kept = sample.with_amounts(s, metric)
        if kept.rows < s.rows:
            groups = kept.grouping()
            biases = call.biases and estimates.biases(kept.deals, groups)
        s = kept
    rows, wins = s.rows, int(s.deals.won.sum())
    row |= {"rows": rows, "deals": s.distinct, "wins": wins, "filled": s.gaps}
    if rows == 0:
        return because(reason("no_common_deals", "There is no deal that both have forecast."))
    if wins in (0, rows):
        all_or_none = "Every deal was" if wins else "No deal was"
        return because(
            reason("one_class", f"{all_or_none} won, so nothing tells good forecasts from bad ones.")
        )

    generalise_to = base["generalise_to"]
    dimensions, units = needed(generalise_to), "deal" in generalise_to
    estimate = estimates.of_metric(metric, s.deals, groups, dimensions, units=units, biases=biases)
    row |= {
        "candidate_value": estimate.candidate,
        "baseline_value": estimate.baseline,
        "difference": estimate.difference,
        "clusters": _cluster_report(estimate, groups),
        "verdict": None if metric.better == "nearer_zero" else UNSURE,
    }
    if not (math.isfinite(estimate.candidate) and math.isfinite(estimate.baseline)):
        if metric.name == "log_score":
            return because(*_certain_and_wrong(s, base["candidate"], base["baseline"]))
        text = f"{metric.label} divides by zero: what it is measured against sums to nothing."
        return because(reason("zero_denominator", text))
    possible, doubts = _doubts(estimate, generalise_to, s, call.nouns)
    if possible:
        row |= _own_intervals(estimate, metric, base)
    if estimate.identical and s.gaps <= MAX_FILLED * rows:
        text = "The two forecasts score the same on every deal."
        return because(reason("identical", text)) | {"verdict": row["verdict"] and SAME, "reliable": True}
    if possible:
        found = _interval(estimate, base, call.seed)
        if not found:
            text = "The difference does not vary between the clusters, so no interval can be formed."
            doubts.append(reason("no_spread", text))
        row |= found | {"reliable": not doubts}
    row["verdict"] = verdicts.decide(
        metric.better, row["low"], row["high"], row["reliable"], margin, beyond_margin=call.beyond_margin
    )
    return because(*doubts)


# --- the public door --------------------------------------------------------------------------------


def _chosen_metrics(metrics: Sequence[str] | None) -> list[Metric]:
    names = [metrics] if isinstance(metrics, str) else list(DEFAULT_METRICS if metrics is None else metrics)
    unknown = [m for m in names if m not in METRICS]
    if unknown or not names:
        said = f"Unknown metric {', '.join(map(repr, unknown))}" if unknown else "No metric is named"
        raise CallError(f"{said}; choose from {', '.join(METRICS)}.")
    return [METRICS[m] for m in dict.fromkeys(names)]


def _chosen_question(
    matched: pd.DataFrame, generalise_to: Sequence[str] | str | None
) -> tuple[tuple[str, ...], tuple[Reason, ...]]:
    """The dimensions asked for, or what of the default the table can answer."""
    if generalise_to is None:
        there = tuple(d for d in ("rep", "period") if has(matched, d))
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
    missing = [d for d in asked if d != "deal" and not (has(matched, d) or (d == "account" and d in matched))]
    if missing:
        raise CallError(
            f"generalise_to asks for {' and '.join(missing)}, but the table has no such column; it has "
            f"{', '.join(map(str, matched.columns))}."
        )
    return asked, ()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _margins(margin: float | Mapping[str, float] | None, chosen: list[Metric]) -> dict[str, float | None]:
    by_metric = {m.name: margin.get(m.name) if isinstance(margin, Mapping) else margin for m in chosen}
    wrong = {k: v for k, v in by_metric.items() if v is not None and not (_is_number(v) and v > 0)}
    unknown = [k for k in margin if k not in METRICS] if isinstance(margin, Mapping) else []
    if wrong or unknown:
        raise CallError(
            f"margin is the largest difference that does not matter, above 0, for a known metric; found "
            f"{wrong or unknown}."
        )
    return by_metric


def _stops(matched: pd.DataFrame, candidate: str, baseline: str, meta: Mapping[str, Any]) -> list[Reason]:
    """Why the two cannot be compared at all, if so."""
    if meta.get("stop"):
        return [dict(r) for r in meta["stop"]]
    stops = []
    for name in (candidate, baseline):
        if name not in matched or name in RESERVED:
            there = [n for n in meta.get("forecasters", ()) if n in matched] or forecaster_columns(matched)
            text = f"There is no forecast named {name}; the table has {', '.join(there) or 'none'}. {nearest(name, there)}"
            stops.append(reason("missing_column", text.rstrip()))
            continue
        try:
            sample.numbers(matched, name)
        except CallError as error:
            text = f"{error} Only probabilities and rank scores can be scored."
            stops.append(reason("kinds_differ", text))
    return stops


def _opened(
    matched: pd.DataFrame | Org | str | PathLike[str], forecasters: tuple[str, str], chosen: list[Metric]
) -> pd.DataFrame:
    """The matched table itself, wherever it is."""
    if isinstance(matched, str | PathLike):
        columns = ["deal_id", "won", "as_of", "rep", "period", "account", *forecasters]
        if any(m.needs for m in chosen):
            columns += ["amount", "amount_won"]
        there = parquet.columns_of(matched)
        missing = not {"deal_id", "won", *forecasters} <= set(there)
        return parquet.matched_rows(
            matched, there if missing else columns
        )  # what is said names what is there
    if isinstance(matched, Org):
        if matched.matched is None:
            raise CallError(
                f"{matched.name} holds deals, not a matched table; put them through fe.match first."
            )
        return matched.matched
    return matched


def compare(
    matched: pd.DataFrame | Org | str | PathLike[str],
    candidate: str,
    baseline: str,
    *,
    metrics: Sequence[str] | None = None,
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
        count are read.
    candidate, baseline : str
        Names of two forecaster columns. Every difference is candidate minus baseline.
    metrics : list of str, optional
        From :data:`forecasteval.scores.METRICS`; the first is primary and carries the headline.
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
    absent = [c for c in ("deal_id", "won") if c not in matched]
    if absent:
        columns = ", ".join(map(str, matched.columns))
        raise CallError(f"The matched table has no column {' or '.join(absent)}; it has {columns}.")
    if not (_is_number(level) and 0 < level < 1):
        raise CallError(f"level must lie between 0 and 1, not {level!r}; 0.95 is usual.")
    if not (_is_number(epsilon) and 0 <= epsilon < 0.5):
        raise CallError(f"epsilon must lie in [0, 0.5), not {epsilon!r}.")
    if candidate == baseline:
        raise CallError(f"candidate and baseline are both {candidate!r}; name two forecasters.")
    margins = _margins(margin, chosen)
    question, dropped = _chosen_question(matched, generalise_to)
    meta = matched.attrs.get(META, {})
    matched = matched.copy(deep=False)
    matched.attrs = {}  # pandas copies attrs deeply at every step
    nouns = {"rep": "reps", "account": "accounts", "period": "periods"} | meta.get("nouns", {})
    if not has(matched, "rep"):
        nouns["rep"] = ""
        if "deal" in question:
            text = "The table knows no reps, so deals count as independent of each other; those of one rep rarely are."
            dropped = (*dropped, reason("no_reps", text))
    base = {
        "candidate": candidate,
        "baseline": baseline,
        "level": level,
        "generalise_to": question,
        "estimand": wording.estimand(question, candidate, baseline, meta, nouns),
        "clusters": {},
    }
    stops = _stops(matched, candidate, baseline, meta)
    if stops:
        rows = [
            _COLUMNS | base | {"metric": m.name, "better": m.better, "reasons": [*dropped, *stops]}
            for m in chosen
        ]
        flow = wording.flow_of(int(matched["deal_id"].nunique()), len(matched), meta)
    else:
        declared = {n: f["kind"] for n, f in meta.get("forecasters", {}).items() if "kind" in f}
        declared |= dict(kinds or {})
        strange = {n: k for n, k in (kinds or {}).items() if n not in matched or k not in KINDS}
        if strange:
            raise CallError(
                f"kinds={strange!r}: name forecasters of the table, each with one of {', '.join(KINDS)}."
            )
        s = sample.read(
            matched,
            candidate,
            baseline,
            question,
            amounts=any(m.needs for m in chosen),
            epsilon=epsilon,
        )
        flow = wording.flow_of(s.distinct, s.rows, meta)
        kind_c, note_c = sample.kind(candidate, s.deals.candidate, declared)
        kind_b, note_b = sample.kind(baseline, s.deals.baseline, declared)
        same_kind = kind_c == kind_b == "probability"
        s = s.noted(*dropped, *note_c, *note_b)
        s = sample.united(sample.settle_abstentions(s, candidate, baseline, same_kind=same_kind))
        groups = s.grouping()
        biases = estimates.biases(s.deals, groups) if same_kind else None
        call = _Call(base, same_kind, beyond_margin, seed, nouns, groups, biases)
        rows = [_measure(m, s, call, margins[m.name]) for m in chosen]
        flow = [*flow, *s.flow]
    rows[0]["primary"] = True
    return Comparison(
        candidate,
        baseline,
        pd.DataFrame(rows, columns=list(_COLUMNS)),
        wording.headline(rows[0], METRICS[rows[0]["metric"]], nouns, meta),
        pd.DataFrame(flow, columns=["step", "deals", "dropped", "why"]),
        str(base["estimand"]),
        question,
        level,
        nouns,
    )
