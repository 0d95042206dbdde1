"""Two forecasters' totals: by period and unit as they were called, or as probabilities expected them of deals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import (
    COLUMNS,
    MAX_FILLED,
    Comparison,
    interval_columns,
    margins_of,
    own_intervals,
)
from forecasteval.compare.pair import Pair, Sums
from forecasteval.compare.verdicts import SAME, UNSURE, decide
from forecasteval.errors import CallError, nearest
from forecasteval.inference.estimate import Reason, against, reason
from forecasteval.inference.few_clusters import skewness_of_misses
from forecasteval.inference.grouping import Grouping
from forecasteval.inference.jackknife import clusters, t_quantile, wild_p_value
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.questions import needed
from forecasteval.inference.series import TEST_FROM, SeriesTest, paired_t
from forecasteval.matching.matched import Matched, numbers
from forecasteval.matching.rollups import rollups
from forecasteval.scores.amounts import TOTAL_METRICS, wmape
from forecasteval.scores.probability import Deals, Metric
from forecasteval.tables.frames import frame_of
from forecasteval.tables.organisation import Org
from forecasteval.tables.period_labels import in_order_of_time, period_noun

if TYPE_CHECKING:
    from narwhals.typing import IntoFrame

_MANY_UNITS = 5  # from here on new units are part of the question
_LOSSES = ("absolute", "squared")
_WORTH_TELLING = 0.05  # the difference for which "how many would do" is said, where there is no margin
_QUESTIONS = {("period",): ("period",), ("unit", "period"): ("rep", "period"), ("unit",): ("rep",)}
_EXPECTED = (
    "one row per period, unit and forecaster with the columns period, unit, forecaster, amount, actual"
)

_ROLLUPS = "fe.rollups(org).at(week, level) puts what was booked beside what was called."


def _totals_of(table: Any) -> pd.DataFrame:
    """A table of totals, checked: period, unit, level, forecaster, amount, actual, each period and unit once.

    Raises
    ------
    CallError
        For a missing column, several moments or levels in one table, a total that stands twice, or two booked amounts
        for one period and unit.
    """
    if isinstance(table, Org):
        table = rollups(table).table
    frame = frame_of(table).copy(deep=False)
    frame.attrs = {}
    absent = [c for c in ("period", "forecaster", "amount", "actual") if c not in frame]
    if absent:
        there = ", ".join(map(str, frame.columns))
        raise CallError(f"Totals need {' and '.join(absent)}: {_EXPECTED}. The table has {there}. {_ROLLUPS}")
    if "unit_id" in frame and "unit" in frame:  # the calls of an organisation: the unit says which level
        frame = frame.assign(level=frame["unit"], unit=frame["unit_id"].fillna("company"))
    frame["unit"] = frame["unit"].astype(str) if "unit" in frame else "company"
    frame["level"] = frame["level"].astype(str) if "level" in frame else "unit"
    for column in ("week", "level"):
        several = sorted(frame[column].dropna().unique()) if column in frame else []
        if len(several) > 1:
            said = ", ".join(map(str, several))
            raise CallError(f"The table holds several {column}s ({said}): take one of them at a time.")
    for column in ("amount", "actual"):
        frame[column] = numbers(frame, column)
    frame["period"], frame["forecaster"] = frame["period"].astype(str), frame["forecaster"].astype(str)
    key = ["period", "unit", "forecaster"]
    again = frame[frame.duplicated(key)]
    if len(again):
        first = ", ".join(map(str, again.iloc[0][key]))
        raise CallError(
            f"{len(again):,} totals stand twice, the first for {first}: one number for each period, unit and "
            "forecaster. Where there are several moments take one week or as_of."
        )
    booked = frame.dropna(subset=["actual"]).groupby(["period", "unit"])["actual"].nunique()
    if (booked > 1).any():
        where = " of ".join(reversed(booked[booked > 1].index[0]))
        raise CallError(f"{where} has {int(booked.max())} different booked amounts; one is needed.")
    columns = ["period", "unit", "level", "forecaster", "amount", "actual"]
    return frame[[*columns, *(c for c in ("as_of", "fitted") if c in frame)]]


def in_time(table: pd.DataFrame) -> dict[str, int]:
    """The place of each period in time: by as-of, else by what the names say, else in the order of the alphabet."""
    names = table["period"].astype(str)
    if "as_of" in table and table["as_of"].notna().all():
        first = table["as_of"].groupby(names).min().sort_values(kind="stable")
        return {str(p): i for i, p in enumerate(first.index)}
    return {p: i for i, p in enumerate(in_order_of_time(names) or sorted(names.unique()))}


@dataclass(frozen=True)
class _Totals:
    """The totals that both forecasters speak about, and the question that is asked of them."""

    rows: pd.DataFrame  # period, unit, candidate, baseline, actual
    question: tuple[str, ...]  # in the dimensions of the machinery, where a unit is a "rep"
    nouns: Mapping[str, str]
    base: dict[str, Any]
    level: float
    dropped: float

    def row(self, metric: Metric, margin: float | None) -> dict[str, Any]:
        """One row of the table."""
        row = COLUMNS | self.base | {"metric": metric.name, "better": metric.better}
        row["margin"] = math.nan if margin is None else float(margin)
        found: list[Reason] = []
        rows = self.rows
        if metric.name == "mape":
            rows = rows[rows["actual"] > 0]
            if left := len(self.rows) - len(rows):
                text = f"{wording.count(left, 'totals')} with nothing booked left out: a percentage of nothing is none."
                found.append(reason("actual_zero", text))
        row |= {
            "rows": len(rows),
            "deals": len(rows),
            "verdict": None if metric.better == "nearer_zero" else UNSURE,
        }
        if not len(rows):
            text = "There is no total that both have forecast and that is booked."
            return row | {
                "reasons": [*found, reason("no_common_totals", text)],
                "verdict": COLUMNS["verdict"],
            }
        pair = self._pair(metric, rows)
        values = {f"{w}_value": getattr(pair, w).value for w in ("candidate", "baseline")}
        row |= values | {"difference": pair.difference.value}
        if not pair.finite:
            found.append(reason("zero_denominator", "Nothing was booked, so no error is a share of it."))
            return row | {"reasons": found}
        row["clusters"] = self._clusters(rows, pair)
        possible, doubts = self._doubts(pair, metric, margin)
        found += doubts
        if possible:
            row |= own_intervals(pair, self.question, self.level)
        if np.array_equal(rows["candidate"], rows["baseline"]) and self.dropped <= MAX_FILLED:
            found.append(reason("identical", "The two forecasts are the same in every total."))
            return row | {"reasons": found, "verdict": row["verdict"] and SAME, "reliable": True}
        if possible:
            row |= self._interval(pair, found)
        row["reliable"] = math.isfinite(row["low"]) and not against(found)
        row["verdict"] = decide(metric.better, row["low"], row["high"], row["reliable"], margin)
        return row | {"reasons": found}

    def _pair(self, metric: Metric, rows: pd.DataFrame) -> Pair:
        unit = pd.factorize(rows["unit"], sort=True)[0].astype(np.int32)
        period = pd.factorize(rows["period"])[0].astype(np.int32)  # in order of time, as the rows stand
        groups = Grouping.of(unit if "rep" in self.question else None, period, None, None, len(rows))
        c, b, a = (rows[n].to_numpy(dtype=float) for n in ("candidate", "baseline", "actual"))
        assert metric.terms is not None
        sums = Sums.of(metric.terms(Deals(np.ones(len(a)), c, b, amount_won=a)), groups)
        pair = sums.pair(groups.member, needed(self.question), better=metric.better)
        over = pair.difference.over
        if "period" not in over or metric.better != "lower":
            return pair
        by = rows.groupby(period)[["candidate", "baseline", "actual"]].sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            missed = [by[n].to_numpy() / by["actual"].to_numpy() for n in ("candidate", "baseline")]
        periods = replace(over["period"], skew=skewness_of_misses(over["period"].share, *missed))
        return replace(pair, difference=replace(pair.difference, over={**over, "period": periods}))

    def _clusters(self, rows: pd.DataFrame, pair: Pair) -> dict[str, dict[str, float]]:
        found = {}
        for dimension, column in (("rep", "unit"), ("period", "period")):
            if dimension in pair.difference.over:
                found[column] = asdict(pair.difference.clusters(dimension))
            else:
                found[column] = asdict(clusters(rows[column].value_counts(normalize=True)))
        return found

    def _doubts(self, pair: Pair, metric: Metric, margin: float | None) -> tuple[bool, list[Reason]]:
        possible, found = pair.difference.doubts(self.question, self.nouns)
        found = [r for r in found if r["code"] not in ("few_periods", "too_few_periods")]
        found = [r | {"code": r["code"].replace("rep", "unit")} for r in found]
        periods = self.rows["period"].nunique()
        if "period" in self.question and periods < TEST_FROM:
            found.append(reason("too_few_periods", self._too_few(pair, periods, metric, margin, possible)))
        if self.dropped > MAX_FILLED:
            text = (
                f"{self.dropped:.0%} of the totals are left out because one of the two did not speak; past "
                f"{MAX_FILLED:.0%} no verdict is given."
            )
            found.append(reason("dropped_too_much", text))
        return possible, found

    def _too_few(self, pair: Pair, periods: int, metric: Metric, margin: float | None, possible: bool) -> str:
        """The sentence for fewer periods than a test needs, and how many would do."""
        noun = self.nouns["period"]
        said = f"Too few {noun}: {periods}, and a test needs {TEST_FROM}."
        if periods < MIN_CLUSTERS["period"]:
            said += f" Below {MIN_CLUSTERS['period']} there is no interval either."
        if not possible or metric.better == "nearer_zero":
            return said
        apart = margin or _WORTH_TELLING
        sd = pair.difference.spread(self.question).se * math.sqrt(periods)
        enough = periods_needed(sd, apart)
        many = f"about {enough} {noun} would do" if enough else f"even 200 {noun} would not do"
        return f"{said} To tell a difference of {100 * apart:g} points in four cases of five, {many}."

    def _interval(self, pair: Pair, found: list[Reason]) -> dict[str, Any]:
        e = pair.difference.estimate(self.question, self.level)
        if not e.has_interval:
            text = "The difference does not vary between the clusters, so no interval can be formed."
            found.append(reason("no_spread", text))
            return {}
        spread = pair.difference.spread(self.question)
        few = any(r["code"] == "too_few_periods" for r in found)
        assert pair.sums is not None
        taken = spread.method if spread.method in pair.sums else "period"
        row = interval_columns(e, spread)
        row["method"] = row["method"].replace("reps", self.nouns["rep"] or "units")
        return row | ({"p_value": math.nan} if few else {"p_wild": wild_p_value(*pair.sums[taken])})


def periods_needed(sd: float, apart: float, *, most: int = 200) -> int:
    """Periods until a paired difference can be told from none in four cases of five; 0 where more than `most`.

    The smallest n from 8 on with (t_.975 + t_.8) sd / sqrt(n) <= apart, n - 1 degrees of freedom.

    >>> [periods_needed(sd, 5) for sd in (6, 8, 12)]
    [14, 23, 48]
    """
    for n in range(TEST_FROM, most + 1):
        if (t_quantile(0.975, n - 1) + t_quantile(0.8, n - 1)) * sd <= apart * math.sqrt(n):
            return n
    return 0


def _paired(
    totals: pd.DataFrame, candidate: str, baseline: str, noun: str
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """The totals that both speak about and that are booked, and what fell out on the way."""
    key = ["period", "unit"]
    order = in_time(totals)
    two = totals[totals["forecaster"].isin([candidate, baseline])]
    wide = two.pivot_table("amount", key, "forecaster", aggfunc="first", dropna=False).reindex(
        columns=[candidate, baseline]
    )
    wide.columns = pd.Index(["candidate", "baseline"])
    wide["actual"] = totals.groupby(key)["actual"].first()
    wide = wide.reset_index().sort_values(key, key=lambda c: c.map(order) if c.name == "period" else c)
    learners = two.loc[two["fitted"].eq(True), "forecaster"].unique() if "fitted" in two else ()
    wide["begun"] = 1.0
    for which, name in (("candidate", candidate), ("baseline", baseline)):
        if name in learners:  # silent until there is a past of the unit to learn from
            wide["begun"] *= wide[which].notna().groupby(wide["unit"]).cummax().where(lambda b: b)
    flow: list[dict[str, Any]] = [
        {"step": "totals in the table", "deals": len(wide), "dropped": 0, "why": ""}
    ]
    begun = ("past to learn from", ["begun"], f"before the first number of {' or of '.join(learners)}")
    for step, columns, why in (
        ("booked amount known", ["actual"], f"the {noun} is not over, or nothing says what was booked"),
        *([begun] if len(learners) else []),
        ("both have spoken", ["candidate", "baseline"], f"no number of {candidate} or of {baseline}"),
    ):
        kept = wide.dropna(subset=columns)
        flow.append({"step": step, "deals": len(kept), "dropped": len(wide) - len(kept), "why": why})
        wide = kept
    return wide.reset_index(drop=True), flow


def _question(asked: Sequence[str] | str | None, units: int) -> tuple[str, ...]:
    if asked is None:
        return ("unit", "period") if units >= _MANY_UNITS else ("period",)
    said = (asked,) if isinstance(asked, str) else tuple(asked)
    said = tuple(sorted(said, key=lambda d: d != "unit"))
    if said not in _QUESTIONS:
        raise CallError(f"generalise_to={asked!r} is not one of: {'; '.join(map(str, _QUESTIONS))}.")
    return said


def _chosen(metrics: Sequence[str] | str | None, candidate: str, baseline: str, level: float) -> list[Metric]:
    """The metrics that are asked for, of a call that can be answered."""
    names = [metrics] if isinstance(metrics, str) else list(TOTAL_METRICS if metrics is None else metrics)
    unknown = [m for m in names if m not in TOTAL_METRICS]
    if unknown or not names:
        said = ", ".join(map(repr, unknown))
        raise CallError(f"Unknown metric {said}; choose from {', '.join(TOTAL_METRICS)}.")
    if not (isinstance(level, float | int) and 0 < level < 1):
        raise CallError(f"level must lie between 0 and 1, not {level!r}; 0.95 is usual.")
    if candidate == baseline:
        raise CallError(f"candidate and baseline are both {candidate!r}; name two forecasters.")
    return [TOTAL_METRICS[m] for m in dict.fromkeys(names)]


def _missing(totals: pd.DataFrame, *names: str) -> list[Reason]:
    known = sorted(totals["forecaster"].unique())
    text = "There is no forecast named {}; the table has {}. {}"
    return [
        reason("missing_column", text.format(n, ", ".join(known), nearest(n, known)).rstrip())
        for n in names
        if n not in known
    ]


def compare_totals(
    table: IntoFrame | Org,
    candidate: str,
    baseline: str,
    *,
    metrics: Sequence[str] | None = None,
    generalise_to: Sequence[str] | str | None = None,
    level: float = 0.95,
    margin: float | Mapping[str, float] | None = None,
) -> Comparison:
    """Compare two forecasters' totals, with intervals and a verdict for each metric.

    R = sum x / sum z over rows, one row for each period and unit; the intervals are those of :func:`forecasteval.compare`. For
    new periods the arm on the side of who scatters more is longer: such a forecaster has rare large misses, which few
    periods rarely hold (:func:`forecasteval.inference.few_clusters.skewness_of_misses`).

    Parameters
    ----------
    table : frame with one row per period, unit and forecaster
        Columns `period, forecaster, amount, actual` and, optional, `unit` and `level` (rep, team or company). Several
        weeks or levels in one table are refused. A total that is not booked yet has an empty `actual`. Where `fitted` is
        true the forecaster learns from the past: its first silent periods are a step of the flow, later ones a gap. An
        organisation that has totals alone does as well.
    candidate, baseline : str
        Two forecasters. Every difference is candidate minus baseline.
    metrics : list of str, optional
        From wmape (primary), bias_share, within_10, mape.
    generalise_to : tuple of str, optional
        ("period",), ("unit", "period") or ("unit",); by default the first, with 5 units and more the second.
    level : float
        Of the intervals, in (0, 1).
    margin : float or dict by metric, optional
        The largest difference that does not matter.

    Returns
    -------
    Comparison
        With fewer than 8 periods there is no test and no verdict, the interval is marked as not reliable, and `reasons`
        say how many periods would do; with fewer than 4 there is no interval.

    Raises
    ------
    ValueError
        For a table or a call that cannot be understood; the sentence says what to change.

    References
    ----------
    Kolassa & Schuetz (2007), Foresight 6, 40-43, for the weighted error; Diebold & Mariano (1995), Journal of Business &
    Economic Statistics 13(3), 253-263, for paired losses over periods.

    Examples
    --------
    >>> rows = [(q, f, amount, 100.0) for q in ("2025-Q1", "2025-Q2") for f, amount in (("reps", 120.0), ("model", 105.0))]
    >>> table = pd.DataFrame(rows, columns=["period", "forecaster", "amount", "actual"])
    >>> c = compare_totals(table, "model", "reps", metrics=["wmape"])
    >>> round(c.primary["difference"], 4), c.verdict, c.primary["reasons"][0]["text"][:19]
    (-0.15, 'not enough evidence', 'Too few quarters: 2')
    """
    chosen = _chosen(metrics, candidate, baseline, level)
    margins = margins_of(margin, chosen, TOTAL_METRICS)
    totals = _totals_of(table)
    noun = period_noun(totals["period"])
    rows, flow = _paired(totals, candidate, baseline, noun.removesuffix("s"))
    missing = _missing(totals, candidate, baseline)
    about = Two(candidate, baseline, noun, totals["level"].iloc[0], level)
    return about.compared(rows, flow, chosen, margins, generalise_to, missing)


@dataclass(frozen=True)
class Two:
    """Two forecasters, the totals that they speak about (of companies, teams, reps), and how sure one wants to be."""

    candidate: str
    baseline: str
    noun: str  # what the periods are called
    kind: str
    level: float

    def compared(
        self,
        rows: pd.DataFrame,
        flow: Sequence[Mapping[str, Any]],
        chosen: Sequence[Metric] = (TOTAL_METRICS["wmape"],),
        margins: Mapping[str, float | None] | None = None,
        generalise_to: Sequence[str] | str | None = None,
        missing: Sequence[Reason] = (),
    ) -> Comparison:
        """The comparison on rows of period, unit, candidate, baseline, actual in order of time."""
        units = f"{self.kind}s" if self.kind != "company" else ""
        nouns = {"period": self.noun, "deal": "totals", "rep": units}
        shown = nouns | {"rep": units or "units", "unit": units or "units"}
        asked = _question(generalise_to, rows["unit"].nunique())
        question = _QUESTIONS[asked]
        about = Matched(pd.DataFrame(), population=f"{self.kind} totals by {self.noun.removesuffix('s')}")
        base: dict[str, Any] = {n: getattr(self, n) for n in ("candidate", "baseline", "level")}
        base |= {"clusters": {}, "generalise_to": question}
        base["estimand"] = wording.estimand(question, self.candidate, self.baseline, about, shown)
        if missing:
            found = [
                COLUMNS | base | {"metric": m.name, "better": m.better, "reasons": missing} for m in chosen
            ]
        else:
            gone = flow[-1]["dropped"] / max(flow[-2]["deals"], 1)
            pairs = _Totals(rows, question, nouns, base, self.level, gone)
            found = [pairs.row(m, (margins or {}).get(m.name)) for m in chosen]
        found[0]["primary"] = True
        headline = wording.headline(found[0], chosen[0], shown, Matched(pd.DataFrame()))
        found = [row | {"generalise_to": asked} for row in found]
        return Comparison(
            self.candidate, self.baseline, pd.DataFrame(found, columns=list(COLUMNS)), headline,
            pd.DataFrame(flow, columns=["step", "deals", "dropped", "why"]), str(base["estimand"]), asked, self.level, shown,
        )  # fmt: skip


# --- totals of deals ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class PeriodTotals:
    """What probabilities expected of the deals of each period beside what was booked of the same, and who was closer.

    ``table`` has period, deals, booked, one column per forecaster with what it expected, and `difference`,
    candidate's loss minus baseline's. ``test`` is about the mean of `difference`. ``left_out`` counts rows without
    a usable amount or forecast.
    """

    candidate: str
    baseline: str
    loss: str
    table: pd.DataFrame
    test: SeriesTest
    left_out: int

    @property
    def wmape(self) -> dict[str, float]:
        """The weighted error of both."""
        return {n: wmape(self.table[n], self.table["booked"]) for n in (self.candidate, self.baseline)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        if self.test.reason:
            return {"periods": self.test.periods, "reason": self.test.reason}
        head = {"loss": self.loss, "wmape": self.wmape}
        return head | {"test": self.test.to_dict(), "left_out": self.left_out}


def _of_deals(matched: Matched, candidate: str, baseline: str) -> tuple[pd.DataFrame, int]:
    """The sums by period in order of time, and how many rows have no usable amount or forecast."""
    absent = [c for c in ("period", "amount", candidate, baseline) if not matched.has(c)]
    if absent:
        raise CallError(f"Totals by period need a column {', '.join(absent)}.")
    twice = matched.table.duplicated(["deal_id", "period"])
    if twice.any():
        raise CallError(
            f"{int(twice.sum()):,} rows repeat a deal within a period. Totals need one look at each deal in each "
            "period: take one week."
        )
    c, b, amount = (matched.numbers(name) for name in (candidate, baseline, "amount"))
    outside = {n: v for n, v in ((candidate, c), (baseline, b)) if ((v < 0) | (v > 1)).any()}
    if outside:
        raise CallError(
            f"Totals are expected from probabilities; {' and '.join(outside)} hold other values than 0 to 1."
        )
    won = matched["won"].to_numpy(dtype=float)
    booked = matched.numbers("amount_won") if "amount_won" in matched else won * amount
    c = np.where(np.isnan(c), b, c)  # as in a comparison, the baseline stands in for a silent candidate
    usable = np.isfinite(c) & np.isfinite(b) & np.isfinite(amount) & (amount >= 0) & np.isfinite(booked)
    columns = {"period": matched["period"].astype(str).to_numpy(), "booked": booked}
    columns |= {candidate: c * amount, baseline: b * amount}
    columns |= {"as_of": matched["as_of"].to_numpy()} if "as_of" in matched else {}
    rows = pd.DataFrame(columns)[usable]
    grouped = rows.groupby("period")
    table = grouped[["booked", candidate, baseline]].sum()
    table.insert(0, "deals", grouped.size())
    return table.reindex(pd.Index(in_time(rows), name="period")).reset_index(), int((~usable).sum())


def period_totals(
    matched: Matched | pd.DataFrame,
    candidate: str,
    baseline: str,
    *,
    loss: str = "absolute",
    level: float = 0.95,
) -> PeriodTotals:
    """Sum of probability times amount against what was booked of the same deals, by period.

    The loss of a period's total is its "absolute" or "squared" error. Refused: a deal that is seen twice in one period (the
    looks overlap, so they are no separate forecasts of the total) and what is no probability.

    >>> deals = pd.DataFrame({"deal_id": list("abcd"), "period": ["Q1", "Q1", "Q2", "Q2"], "won": [1, 0, 0, 1],
    ...     "amount": [100.0, 50, 80, 40], "model": [0.9, 0.2, 0.3, 0.5], "rep_forecast": [1, 0.5, 0.5, 0.5]})
    >>> t = period_totals(deals, "model", "rep_forecast")
    >>> t.table["model"].tolist(), t.test.reason
    ([100.0, 44.0], 'Too few periods: 2, at least 8 are needed for a test of period totals.')
    """
    if loss not in _LOSSES:
        raise CallError(f"loss: {loss!r} is not one of {', '.join(_LOSSES)}.")
    table, left_out = _of_deals(Matched.of(matched), candidate, baseline)
    size = np.abs if loss == "absolute" else np.square
    of = [size((table[n] - table["booked"]).to_numpy(dtype=float)) for n in (candidate, baseline)]
    table["difference"] = of[0] - of[1]
    return PeriodTotals(
        candidate, baseline, loss, table, paired_t(table["difference"], level=level), left_out
    )
