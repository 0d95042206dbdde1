"""The sections of the answer: each holds what was found, draws it with `figure` and says it with `words`.

A section that cannot be answered from the data at hand holds a sentence that says why, so that a report degrades
section by section and never stops. Prose stands in ``words.html.j2``, pictures in ``figures.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecasteval.compare.calibration import Calibration, WordTest, calibrate, word_test
from forecasteval.compare.compare import Comparison
from forecasteval.compare.disagreement import disagreement, open_disagreements
from forecasteval.compare.encompassing import Encompassing, encompassing
from forecasteval.compare.hindsight import CODE as HINDSIGHT
from forecasteval.compare.margin import in_words
from forecasteval.compare.null_check import NullCheck, NullRate
from forecasteval.compare.proof import proof
from forecasteval.compare.rep_bias import RepBias, rep_bias
from forecasteval.compare.rows import Rows
from forecasteval.compare.segments import Family, family
from forecasteval.compare.totals import PeriodTotals, period_totals
from forecasteval.compare.track_record import Coverage, coverage, of_calls
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT, SAME, UNSURE
from forecasteval.compare.wording import capital, count, decimals, doubts, ends, in_unit, number, scope, size
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Estimate, against
from forecasteval.inference.jackknife import t_quantile
from forecasteval.inference.limits import FEW_PERIODS, LIMITS, MIN_CLUSTERS
from forecasteval.inference.resemblance import ALIKE_LEVEL, shown_once_in
from forecasteval.inference.unseen import Unseen, unseen
from forecasteval.matching.forecasters import BurnIn
from forecasteval.matching.match import STALE_AFTER_DAYS, Panel
from forecasteval.matching.matched import shown_as
from forecasteval.report.blocks import Html, Words, difference_cells, flow_table, verdict_words
from forecasteval.report.section import OrWhy, Section
from forecasteval.report.who_was_right import WhoWasRight
from forecasteval.scores.probability import METRICS, Metric
from forecasteval.scores.reliability import Reliability, at_their_word, consistency_band, reliability
from forecasteval.studies.compare_forecasts._numbers import Numbers
from forecasteval.tables.calendar import week_ends
from forecasteval.tables.organisation import Org, newest_record

if TYPE_CHECKING:
    from forecasteval.report.figures import Absent, Picture

SAY = Words(
    __file__,
    metrics=METRICS,
    limits=LIMITS,
    least=MIN_CLUSTERS,
    few_periods=FEW_PERIODS,
    burn_in=BurnIn,
    stale_after=STALE_AFTER_DAYS,
    proof=proof,
)
_DRAWS = 199  # of the test of a forecast's word
_ON_CARD = 2  # caveats on the first screen


def _figures() -> ModuleType:
    """The pictures; only a section that is drawn needs Matplotlib."""
    from forecasteval.studies.compare_forecasts import _figures as figures

    return figures


class _Section(Section):
    answer: Numbers


def _metric(comparison: Comparison) -> Metric:
    return METRICS[str(comparison.primary["metric"])]


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _held_by_three(influence: pd.DataFrame | None) -> float:
    """The share of the deals that the three largest hold; 0 where there are no more than three."""
    if influence is None or len(influence) <= 3:
        return 0.0
    return float(influence["share"].head(3).sum())


# --- the answer ---------------------------------------------------------------------------------------

_STATES = {
    SAME: ("same", "Practically the same"),
    UNSURE: ("unsure", "Not enough evidence"),
    CANNOT: ("cannot", "Cannot be compared"),
}


class Verdict(_Section):
    """The card that answers the question: verdict, fair twin, a unit to act on, what weighs against it, what would turn it."""

    @property
    def least(self) -> float:
        """The smallest difference that data of this size would show four times in five; NaN without an interval."""
        return math.nan if self._knew else _least(self.answer.comparison)

    @property
    def _knew(self) -> bool:
        """Did one of the two know the outcome? Then nothing is said of how good it is."""
        return any(r["code"] == HINDSIGHT for r in self.answer.comparison.primary["reasons"])

    @property
    def care(self) -> list[Html]:
        """The caveats that could move the verdict farthest."""
        return [Html.of(text) for text in _on_card(self.answer)]

    @property
    def unseen(self) -> Unseen | None:
        """What reps of a kind that the data do not hold would have to be like to turn the verdict; None without one."""
        c, row = self.answer.comparison, self.answer.comparison.primary
        told = c.verdict in (CANDIDATE, BASELINE) and "rep" in row["generalise_to"]
        if not told or _metric(c).better != "lower" or row["metric"] == "brier_by_amount":
            return None
        return unseen(row["low"], row["high"], row["clusters"]["rep"]["count"])

    @property
    def counted_on(self) -> tuple[float, float, float] | None:
        """Of 100 such deals: how many were won, and how many either counted on; None where the bias is not known."""
        bias = self.answer.comparison.table.query("metric == 'bias'").to_dict("records")
        if self._knew or not bias or not math.isfinite(bias[0]["candidate_value"]):
            return None
        won = float(self.answer.pair["won"].mean())
        return 100 * won, 100 * (won + bias[0]["candidate_value"]), 100 * (won + bias[0]["baseline_value"])

    def words(self) -> Html:
        a, c, row = self.answer, self.answer.comparison, self.answer.comparison.primary
        fair = a.fair_twin
        ahead, behind = (c.candidate, c.baseline) if c.verdict == CANDIDATE else (c.baseline, c.candidate)
        twin = fair.primary if fair is not None and not self._knew else None
        if twin is not None and not math.isfinite(twin["difference"]):
            twin = None
        beside = str(fair.verdict) if fair is not None and twin and c.verdict == CANDIDATE else ""
        told = c.verdict in (CANDIDATE, BASELINE)
        opening = ", ".join(w for w in (a.pair.when, a.pair.where) if w)
        badge = f"{ahead} is better" + (" than the reps as entered" if beside not in ("", CANDIDATE) else "")
        values = (row["candidate_value"], row["baseline_value"])
        return SAY(
            "verdict",
            self,
            *_STATES.get(str(c.verdict), ("better", badge)),
            told=told,
            ahead=ahead,
            behind=behind,
            beside=beside,
            when=capital(opening),
            unit=in_unit(row["metric"], values if ahead == c.candidate else values[::-1]),
            label=_metric(c).label,
            direction="lower" if _metric(c).better == "lower" else "higher",
            about=scope(c.generalise_to, c.nouns),
            size=size(row, c.nouns),
            fair=[*difference_cells(twin), verdict_words(twin)] if twin else [],
            fair_least=number(_least(fair), decimals(twin["low"], twin["high"])) if fair and twin else "",
            margin="" if a.margin is None else in_words(a.margin, c.candidate, c.baseline),
        )


def _least(comparison: Comparison) -> float:
    """The smallest true difference that data of this size would show four times in five; NaN without an interval.

    The interval's arm towards zero plus t_.8 SE, with the standard error and degrees of freedom of the
    comparison; about the data's size, not about the difference that was found.
    """
    row = comparison.primary
    if not math.isfinite(row["se"]) or row["se"] <= 0:
        return math.nan
    arm = row["high"] - row["difference"] if row["difference"] < 0 else row["difference"] - row["low"]
    return float(arm + t_quantile(0.8, row["df"]) * row["se"])


class Ladder(_Section):
    """The same difference for each thing that may be different next time."""

    def figure(self) -> Picture | Absent:
        return _figures().ladder(self.answer.rungs)

    def words(self) -> Html:
        rungs = [(scope(c.generalise_to, c.nouns), c.primary) for c in self.answer.rungs]
        return SAY("ladder", [[about, *difference_cells(r), verdict_words(r)] for about, r in rungs])


class Weeks(_Section):
    """The difference in each week of the period."""

    def figure(self) -> Picture | Absent:
        return _figures().by_week(self.answer.by_week)

    def words(self) -> Html:
        why: dict[str, list[int]] = {}
        for week, c in self.answer.by_week.items():
            for r in against(c.primary["reasons"]):
                why.setdefault(r["text"], []).append(week)
        return SAY("weeks", why)


class Others(_Section):
    """Every forecaster against the same baseline, and who they are."""

    @property
    def knew(self) -> dict[str, str]:
        """Those who knew the outcome, with what shows it: they are named, and not drawn beside the honest ones."""
        return {
            n: r["text"]
            for n, c in self.answer.against_all.items()
            for r in c.primary["reasons"]
            if r["code"] == HINDSIGHT and r["text"].startswith(f"{n} ")
        }

    def figure(self) -> Picture | Absent:
        return _figures().forest({n: c for n, c in self.answer.against_all.items() if n not in self.knew})

    def words(self) -> Html:
        about, any_one = self.answer.everyone.forecasters, next(iter(self.answer.against_all.values()), None)
        met = any_one is not None and math.isfinite(any_one.primary["difference"])
        return SAY(
            "others",
            [
                (n, str(a.get("gloss", "a column of the table")))
                for n, a in about.items()
                if n not in self.knew
            ],
            left_out=list(self.knew.values()),
            learned=next((a["learned"] for a in about.values() if a.get("learned")), []),
            behind=size(any_one.primary, any_one.nouns) if any_one is not None and met else "",
        )


class Few(_Section):
    """How much hangs on each of the largest reps, or periods where reps are not known."""

    def figure(self) -> Picture | Absent:
        a = self.answer
        return _figures().few(a.influence, a.comparison, "rep" if a.pair.has("rep") else "period")


class Scores(_Section):
    """All scores: both values, the difference with its interval, the verdict."""

    def words(self) -> Html:
        c, rows = self.answer.comparison, []
        for r in c.table.to_dict("records"):
            places = decimals(r["low"], r["high"])
            values = [number(r["candidate_value"], places), number(r["baseline_value"], places)]
            label = METRICS[r["metric"]].label + (" (headline)" if r["primary"] else "")
            rows.append([label, *values, *difference_cells(r), verdict_words(r)])
        return SAY("scores", c, rows)

    def glossary(self) -> Html:
        """What each score of the table means."""
        return self.say("glossary")


# --- the probabilities --------------------------------------------------------------------------------


class Curves(_Section):
    """What happened where each forecaster said so much, and where chance alone would let a perfect one land."""

    @cached_property
    def said(self) -> dict[str, pd.Series]:
        """What those said that give probabilities."""
        spoken = {n: self.answer.pair[n].dropna() for n in self.answer.names if n in self.answer.pair}
        return {n: p for n, p in spoken.items() if len(p) and p.between(0, 1).all()}

    @cached_property
    def curves(self) -> dict[str, Reliability]:
        """The curves of those that give probabilities."""
        won = self.answer.pair["won"]
        return {n: reliability(p, won.loc[p.index]) for n, p in self.said.items()}

    def figure(self) -> Picture | Absent:
        bands = {n: consistency_band(p, seed=self.answer.question.seed) for n, p in self.said.items()}
        return _figures().reliability(self.curves, bands)

    def words(self) -> Html:
        return SAY("reliability", [(name, c, at_their_word(c)) for name, c in self.curves.items()])

    def results(self) -> dict[str, Any]:
        parts = ("miscalibration", "discrimination", "uncertainty")
        return {
            name: {"brier": c.score}
            | {part: getattr(c, part) for part in parts}
            | {"curve": [{"said": p, "won": w, "deals": n} for p, w, n in c.bins()]}
            for name, c in self.curves.items()
        }


class Calibrations(_Section):
    """For each forecaster: is it right on average, too sure of itself, and more than chance would make it?"""

    @property
    def level(self) -> float:
        """Of the intervals."""
        return float(self.answer.question.level)

    @cached_property
    def tests(self) -> dict[str, tuple[Calibration, WordTest]]:
        """The tests of those that give probabilities."""
        tests, matched = {}, self.answer.pair
        for name in filter(matched.is_probability, self.answer.names):
            rows = Rows.of(matched, name, name, ("rep",) if matched.has("rep") else ())
            p, y, rep = rows.deals.candidate, rows.deals.won, rows.rep
            found = calibrate(p, y, rep, deal=rows.unit, level=self.level)
            tests[name] = found, word_test(p, y, rep, draws=_DRAWS, seed=self.answer.question.seed)
        return tests

    def words(self) -> Html:
        rows = [_calibration_row(name, c) for name, (c, _) in self.tests.items()]
        tests = [(name, c, test, _p(test.p_value or 0)) for name, (c, test) in self.tests.items()]
        independent = any(r["code"] == "no_reps" for c, _ in self.tests.values() for r in c.reasons)
        return SAY("calibration", self, rows, tests, independent)

    def results(self) -> dict[str, Any]:
        return {name: c.to_dict() | {"word_test": asdict(test)} for name, (c, test) in self.tests.items()}


def _calibration_row(name: str, c: Calibration) -> list[str]:
    """Name, what can be told, gap with interval, slope with interval."""
    gap, slope, row = c.gap, c.slope, [name]
    why = doubts(c.reasons)
    if gap is None or why:
        row.append(f"cannot be told: {why}".removesuffix(": "))
    else:
        told = {
            "too optimistic": gap.low > 0,
            "too cautious": gap.high < 0,
            "overconfident": slope is not None and slope.high < 1,
            "underconfident": slope is not None and slope.low > 1,
        }
        row.append(" and ".join(word for word, true in told.items() if true) or "not shown to be off")
    if gap is None:
        row += ["–", "–"]
    else:
        points = number(100 * gap.value, 0)
        one = points in ("1", "−1")
        row += [f"{points} point{'' if one else 's'}", ends(100 * gap.low, 100 * gap.high, 0)]
    return row + (["–", "–"] if slope is None else [number(slope.value, 2), ends(slope.low, slope.high, 2)])


class Added(_Section, OrWhy):
    """Does either know anything that the other does not, and how would the two be mixed best?"""

    @cached_property
    def found(self) -> Encompassing | str:
        """What either adds, or why it cannot be told."""
        a, c = self.answer, self.answer.comparison
        options: dict[str, Any] = {
            "generalise_to": c.generalise_to,
            "level": c.level,
            "seed": a.question.seed,
        }
        return a.no_pair or encompassing(a.pair, *a.names, **options)

    def words(self) -> Html:
        pair, a = self._of_the_pair(), self.answer.beside
        if a is None:
            return pair
        inside = a.weight and ends(a.weight.low, a.weight.high, 2)
        said = SAY("beside", a, self.answer.question.level, inside, " ".join(r["text"] for r in a.reasons))
        return Html.of(said.html if isinstance(self.found, str) else pair.html + said.html)

    def _of_the_pair(self) -> Html:
        e, c = self.found, self.answer.comparison
        if isinstance(e, str):
            return SAY("reason", e)
        known = []
        if e.candidate is not None and e.baseline is not None:
            known = [(c.candidate, c.baseline, e.candidate), (c.baseline, c.candidate, e.baseline)]
        rows = [[me, _adds(k, e.reliable), number(k.value, 2), ends(k.low, k.high, 2)] for me, _, k in known]
        half = [_told(e.half["candidate"], c.candidate), _told(e.half["baseline"], c.baseline)]
        about = scope(c.generalise_to, c.nouns)
        return SAY("added", e, c, known, rows, doubts(e.reasons), about, half if all(half) else [])

    def results(self) -> dict[str, Any]:
        beside = self.answer.beside
        return super().results() | ({} if beside is None else {"beside": beside.to_dict()})


def _adds(k: Estimate, reliable: bool) -> str:
    if not reliable:
        return "not reliable"
    return "yes" if k.low > 0 else "it points the wrong way" if k.high < 0 else "not shown"


def _told(half: Comparison, name: str) -> str:
    """How half and half does against one of its parts; empty where they cannot be compared."""
    told = {CANDIDATE: f"beats {name}", BASELINE: f"is worse than {name}", CANNOT: ""}
    return told.get(str(half.verdict), f"cannot be told from {name}")


# --- segments, reps, totals ---------------------------------------------------------------------------

_NO_FAMILY = (
    "No family of segments was named before the run. To have one, name columns that divide the deals under segments in "
    "organisation.yaml, or one in the parameter segments, before you look."
)


class Segments(_Section, OrWhy):
    """The comparison within each segment of the family that was declared; else of those in organisation.yaml."""

    @cached_property
    def _families(self) -> list[str]:
        a = self.answer
        there = [by for by in a.org.settings.segments if by in a.pair.segments and by != a.segment[0]]
        return [a.question.segments] if a.question.segments else there or [""]

    @cached_property
    def found(self) -> Family | str:
        """The first family, or why there is none."""
        return self._family(self._families[0])

    @cached_property
    def more(self) -> dict[str, Family]:
        """The others."""
        found = {by: self._family(by) for by in self._families[1:]}
        return {by: f for by, f in found.items() if not isinstance(f, str)}

    def _family(self, by: str) -> Family | str:
        a, matched = self.answer, self.answer.pair
        if by == "rep" and matched.has("rep"):
            shown = matched["rep"].map(shown_as(matched["rep"].dropna().astype(str), a.people))
            matched = replace(matched, table=matched.table.assign(rep=shown))
        if not by or matched.table.empty:
            return a.no_pair if by else _NO_FAMILY
        options = {**a.options, "generalise_to": a.comparison.generalise_to}
        return family(matched, by, *a.names, **options)

    def figure(self) -> Picture | Absent:
        return _figures().segments(self.found)

    def words(self) -> Html:
        found = [f for f in (self.found, *self.more.values()) if not isinstance(f, str)]
        return SAY("segments", [_family_rows(f) for f in found]) if found else SAY("nothing")

    def results_of_more(self) -> dict[str, Any]:
        return {by: f.to_dict() for by, f in self.more.items()}


def _family_rows(f: Family) -> tuple[Family, list[list[str]], list[list[str]], list[str], list[str]]:
    """A family with its rows, their adjusted p-values, the segments too small to count, and those where it is worse."""
    small = f.table.loc[~f.table["in_family"], "segment"].tolist()
    worse = f.table.loc[f.table["worse_here"], "segment"].tolist()
    rows, adjusted = [], []
    for row in f.table.to_dict("records"):
        verdict = "too small to count"
        if row["in_family"]:
            c = f.comparisons[row["segment"]]
            verdict = verdict_words(row | {"candidate": c.candidate, "baseline": c.baseline})
            p_values = (row[p] for p in ("p_worse_holm", "q_value"))
            adjusted.append([row["segment"], *("–" if math.isnan(p) else _p(p) for p in p_values)])
        counts = [f"{row['deals']:,}", f"{row['reps']:,}"]
        rows.append([row["segment"], verdict, *counts, *difference_cells(row)])
    return f, rows, adjusted, small, worse


def apart(a: Numbers) -> WhoWasRight:
    """Who was right where the two disagree, by the organisation's segments and by rep; and the open deals in dispute."""
    question, org, matched = a.question, a.org, a.pair
    if a.no_pair:
        return WhoWasRight(a.no_pair, pd.DataFrame(), org.settings.currency)
    options = {"level": question.level, "generalise_to": a.comparison.generalise_to, "seed": question.seed}
    by = [*org.settings.segments, "rep"]
    found = disagreement(matched, *a.names, by=by, show_names=a.people, **options)
    listed = pd.DataFrame()
    if org.history is not None and org.matched is None and not question.segment:
        moment = {"target": question.target, "population": question.population}
        view = Panel(org, as_of=question.as_of, pending=True, **moment).view(a.names)
        listed = open_disagreements(view, *a.names)
    if len(listed) and "rep" in listed:
        shown = shown_as(matched["rep"].dropna().astype(str), a.people)
        listed["rep"] = listed["rep"].map(lambda r: shown.get(str(r), "a new rep"))
    how = "Its last two columns are for whoever decides; the page quarter_forecast takes it and keeps what was decided."
    return WhoWasRight(found.reason or found, listed, org.settings.currency, {}, how)


class Reps(_Section, OrWhy):
    """How far reps stray, and how far they truly differ."""

    @cached_property
    def found(self) -> RepBias | str:
        """The bias of the reps' own forecasts if they are one of the two, else of the baseline's, rep by rep."""
        a = self.answer
        name = next((n for n in a.names[::-1] if n.startswith("rep_")), a.names[1])
        if not a.pair.is_probability(name):
            return f"{name} gives no probabilities of these deals."
        return rep_bias(a.pair, name, level=a.question.level, show_names=a.people)

    @property
    def table(self) -> pd.DataFrame | None:
        return None if isinstance(self.found, str) or self.found.reason else self.found.table

    def figure(self) -> Picture | Absent:
        return _figures().reps(self.found)

    def words(self) -> Html:
        return SAY("nothing") if self.table is None else SAY("reps", self.found)


class Totals(_Section, OrWhy):
    """Expected bookings against bookings by period, and how often the reps' own ranges held."""

    @property
    def noun(self) -> str:
        """What the periods are called."""
        return self.answer.comparison.nouns["period"]

    @cached_property
    def found(self) -> PeriodTotals | str:
        """The totals, or why there are none."""
        a = self.answer
        absent = [n for n in ("period", "amount") if not a.pair.has(n)]
        if a.no_pair or absent:
            return a.no_pair or f"Totals need a column {' and '.join(absent)}, which the table does not have."
        try:
            found = period_totals(a.pair, *a.names, level=a.comparison.level)
        except CallError as error:
            return str(error)
        return found.test.reason.replace("few periods", f"few {self.noun}") or found

    @cached_property
    def ranges(self) -> Mapping[str, Coverage] | str:
        """How often the reps' own ranges for their quarter held, by what they promised; or why there are none."""
        return _ranges(self.answer.org, self.answer.question.as_of)

    def words(self) -> Html:
        held = {} if isinstance(self.ranges, str) else {k: c for k, c in self.ranges.items() if c.ranges}
        t = self.found
        if isinstance(t, str):
            return SAY("no_totals", t, held)
        names = [t.candidate, t.baseline]
        rows = [
            [str(r["period"]), f"{r['booked']:,.0f}", *(f"{r[n]:,.0f}" for n in names)]
            for r in t.table.to_dict("records")
        ]
        missed = [f"{n} by {100 * w:.0f}%" for n, w in t.wmape.items() if math.isfinite(w)]
        return SAY("totals", t, self.noun, rows, missed, _p(t.test.mean.p_value), _p(t.test.p_ewc), held)

    def results_of_ranges(self) -> dict[str, Any]:
        r = self.ranges
        return {"reason": r} if isinstance(r, str) else {promised: asdict(c) for promised, c in r.items()}


def _ranges(org: Org, as_of: str) -> Mapping[str, Coverage] | str:
    """How often the reps' own ranges for their quarter held, by what they promised."""
    none = "No ranges of the reps' own are in the data."
    week = re.fullmatch(r"\s*week (\d+)\s*", as_of)
    if org.calls is None or org.deals is None or org.periods is None or not week:
        return none
    calls = org.calls[org.calls["unit"] == "rep"]
    if calls.empty or not (calls["low"].notna() & calls["high"].notna()).any():
        return none
    found = of_calls(calls, _booked(org, org.deals, org.periods), week_ends(org.periods), week=int(week[1]))
    if found.empty:
        return f"No range had been given by the end of {as_of} for a quarter that is over."
    promised = found["level"].map(lambda v: "not stated" if math.isnan(v) else f"{v:.0%}")
    return {
        str(said): coverage(
            rows["low"],
            rows["high"],
            rows["booked"],
            level=None if said == "not stated" else float(rows["level"].iloc[0]),
            cluster=rows["unit_id"],
        )
        for said, rows in found.groupby(promised, sort=True)
    }


def _booked(org: Org, deals: pd.DataFrame, periods: pd.DataFrame) -> pd.DataFrame:
    """What each rep booked in each period that is over."""
    newest = newest_record(org)
    if newest is not None:
        ends = periods["ends_on"]
        if "freezes_on" in periods:
            ends = periods["freezes_on"].fillna(ends)
        periods = periods[ends <= newest]
    won = deals[(deals["outcome"] == "won") & deals["closed_on"].notna()]
    pairs = won.merge(periods[["period", "starts_on", "ends_on"]], how="cross")
    inside = pairs[pairs["closed_on"].between(pairs["starts_on"], pairs["ends_on"])]
    sums = inside.groupby(["rep", "period"])["amount"].sum().rename_axis(["unit_id", "period"])
    everyone = pd.MultiIndex.from_product(
        [won["rep"].dropna().unique(), periods["period"]], names=sums.index.names
    )
    return sums.reindex(everyone, fill_value=0.0).rename("booked").reset_index()


# --- the data, the method, what to be careful of ------------------------------------------------------


class Holds(_Section):
    """How often one would be called better on these deals if nothing differed: the headline's question, then others."""

    @property
    def checks(self) -> Sequence[NullCheck]:
        """The check of the headline's question and of each rung's."""
        return self.answer.checked[0]

    @property
    def why(self) -> str:
        """Why there is none; empty where there is one."""
        return self.answer.checked[1]

    @property
    def table(self) -> pd.DataFrame | None:
        tables = [c.table.assign(generalise_to=" and ".join(c.comparison.generalise_to)) for c in self.checks]
        return pd.concat(tables, ignore_index=True) if tables else None

    def figure(self) -> Picture | Absent:
        return _figures().by_chance(None if self.why else self.checks[0], self.why)

    def words(self) -> Html:
        if self.why:
            return SAY("nothing")
        first = self.checks[0]
        rows = [_null_row(c, r) for c in self.checks for r in c.rates]
        return SAY("holds", first, rows, [first.noun(r) for r in first.rates])

    def results(self) -> dict[str, Any]:
        return {"reason": self.why} if self.why else {"checks": [c.to_dict() for c in self.checks]}


def _null_row(check: NullCheck, r: NullRate) -> list[str]:
    called = f"{r.called:.1%}" if r.exact else f"{r.called:.1%} ({100 * r.low:.1f} to {100 * r.high:.1f}%)"
    about = scope(r.generalise_to, check.comparison.nouns)
    return [about, f"{count(r.groups, check.noun(r))}, {r.draws:,} times", called]


class Deals(_Section):
    """From the export to the deals that are compared, and what the checks of the import found."""

    def figure(self) -> Picture | Absent:
        return _figures().flow(self.answer.comparison.flow)

    def words(self) -> Html:
        return flow_table(self.answer.comparison)

    def audit(self) -> Html:
        """What the checks found."""
        checks = self.answer.org.audit
        if checks is None or checks.empty:
            return SAY("reason", "The table came matched; there was no history to check.")
        rows = []
        for r in checks.to_dict("records"):
            share = "" if pd.isna(r["share"]) else f"{r['share']:.1%}"
            rows.append([r["check"], f"{r['count']:,.0f}", share, r["what_it_means"]])
        return SAY("audit", rows)


class Caveats(_Section):
    """Only the caveats that this data raises."""

    def words(self) -> Html:
        a = self.answer
        notes = [*a.org.notes, *(r["text"] for r in a.doubts)]
        said, above = _weighed(a, [*a.by_week.values(), *a.against_all.values()], notes), _on_card(a)
        return SAY("all_caveats", [Html.of(text) for _, text in said if text not in above], len(above))


def _on_card(a: Numbers) -> list[str]:
    """The weightiest caveats of the headline's comparison; they stand on the first screen."""
    return [text for _, text in _weighed(a, [], a.org.notes)[:_ON_CARD]]


def _weighed(a: Numbers, looks: Sequence[Comparison], notes: Sequence[str]) -> list[tuple[float, str]]:
    """Every caveat with how far it could move the verdict (1 would turn it), the weightiest first.

    `looks` are the comparisons beside the headline's.
    """
    c, row = a.comparison, a.comparison.primary
    about = a.pair.forecasters
    made_here = [a.get("from_file") is False or a.get("by") == "model" for a in about.values()]
    tests = [row[p] <= 1 - row["level"] for p in ("p_wild", "p_value")]
    periods = row["clusters"].get("period", {}).get("count")
    said = SAY(
        "caveats",
        a,
        notes,
        row=row,
        pair=[(n, about.get(n, {})) for n in (c.candidate, c.baseline)],
        no_people=bool(about) and all(made_here) and not any(n.startswith("rep_") for n in about),
        top=_held_by_three(a.influence),
        sway=_sway(a.influence, row["difference"]),
        periods=periods,
        shown_once_in=shown_once_in(periods or 0),
        alike=_p(row["p_alike"]) if row["p_alike"] >= ALIKE_LEVEL else "",
        disagree=math.isfinite(row["p_wild"]) and tests[0] != tests[1],
        other_scores=[(METRICS[r["metric"]].label, r["reasons"]) for r in c.table.to_dict("records")[1:]],
        drawn=sum(math.isfinite(look.primary["low"]) for look in looks),
    )
    found: dict[str, float] = {}
    for moves, text in re.findall(r'<li value="([\d.]+)">(.*?)(?=<li value|$)', said.html, re.DOTALL):
        found.setdefault(text.strip(), float(moves))
    return sorted(((moves, text) for text, moves in found.items()), key=lambda one: -one[0])


def _sway(influence: pd.DataFrame | None, difference: float) -> float:
    """How far leaving out any one moves the difference, as a share of it; at most 1."""
    if influence is None or influence.empty or not difference:
        return 0.0
    moved = float((influence["without"] - difference).abs().max() / abs(difference))
    return min(moved, 1.0) if math.isfinite(moved) else 0.0
