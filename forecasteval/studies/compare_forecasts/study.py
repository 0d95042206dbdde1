"""Whose deal forecasts are better: the question with its parameters, checked, and the answer with its sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, Field, field_validator

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.encompassing import Adds, adds
from forecasteval.compare.margin import WithinMargin, against_margin
from forecasteval.compare.repeated import against, by_group, influence, ladder
from forecasteval.compare.results import plain
from forecasteval.compare.wording import size
from forecasteval.errors import CallError
from forecasteval.matching.deals_as_of import looks_at
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import RESERVED, Matched, pseudonyms
from forecasteval.report.answer import Answer
from forecasteval.report.who_was_right import WhoWasRight
from forecasteval.scores.probability import DEFAULT_METRICS
from forecasteval.studies.compare_forecasts import _sections as sections
from forecasteval.studies.parameters import (
    GeneraliseTo,
    Level,
    Margin,
    Metrics,
    Names,
    Parameters,
    Population,
    Seed,
    TargetName,
    another_than,
)
from forecasteval.tables import calendar
from forecasteval.tables.organisation import Org, about, names_of

_STAGES = "stage_rate"
# panels that reports in this process have in common, each of which holds its organisation
_shared: dict[tuple[Any, ...], Panel] = {}


def _divided(text: str) -> tuple[str, str]:
    """Column and value of a segment, divided at the first colon or equals sign."""
    column, value = [*re.split("[:=]", text, maxsplit=1), ""][:2]
    return column.strip(), value.strip()


def _segment(text: str) -> str:
    if text and not all(_divided(text)):
        raise ValueError(f"{text!r} is not of the form 'column: value', such as 'region: West'.")
    return text


class Question(Parameters):
    """Which forecaster is better, on which deals, at which moment, by which measure.

    Every value is checked when it is made; all that is wrong is said at once, with what is allowed.

    Parameters
    ----------
    candidate, baseline : str
    as_of : str
        "week 4", or a date as "2026-02-28".
    target : str
        "won in period", "won at all" or "won within N days".
    population : str
        "closing in period" or "all open".
    also : list of str
        Further forecasters for the overview; empty for all there are.
    metrics : list of str
        The first carries the headline.
    generalise_to : list of str
        Empty for the cautious default, new reps and new periods.
    level : float
    margin : float
        The largest difference that does not matter; 0 for none.
    segment : str
        "column: value" (or "column=value"); empty for all deals.
    segments : str
        A column whose values are a family of segments, declared before the run; empty for none.
    show_names : bool
        Names of reps instead of pseudonyms.
    seed : int

    Raises
    ------
    CallError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Question("model", "rep_forecast", level=0.9).level
    0.9
    >>> Question("model", "model", metrics=["brie"])
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - baseline: 'model' is the candidate as well; name another forecaster.
    - metrics: 'brie' is not one of brier, log_score, auc, brier_skill, brier_by_amount, bias, bias_by_amount. Did you mean 'brier'?
    """

    candidate: str
    baseline: str
    as_of: str = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    also: Names = Field(default_factory=list)
    metrics: Metrics = Field(default_factory=lambda: list(DEFAULT_METRICS))
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    margin: Margin = 0.0
    segment: Annotated[str, AfterValidator(_segment)] = ""
    segments: str = ""
    show_names: bool = False
    seed: Seed = 0

    _two = field_validator("baseline")(another_than("candidate"))

    def check(self, org: Org) -> None:
        """Refuse what only the data can judge, before anything is matched.

        Raises
        ------
        CallError
            For a forecaster that is not there, a moment outside the calendar, and a segment that no deal is in.
        """
        table = org.deals if org.matched is None else org.matched
        if org.matched is None:
            self.panel(org).outside(self.forecasters(org))
            if org.history is None or org.periods is None:
                return  # the report says so
            looks_at(org.periods, self.as_of)
        if table is None or table.empty:
            return
        columns = Matched.of(org).segments if org.matched is not None else _columns_once_matched(table)
        if self.segment:
            column, value = _divided(self.segment)
            _check_column("segment", column, "the deals have", columns)
            if org.matched is not None or column not in RESERVED:  # who owned a deal depends on the moment
                _check_value(table, column, value)
        if self.segments:
            _check_column("segments", self.segments, "the deals can be divided by", columns)

    def run(self, org: Org) -> ComparisonAnswer:
        """Put the question to an organisation's data, as :func:`forecasteval.read` gives them.

        Returns
        -------
        ComparisonAnswer
            Its sections are computed when they are asked for.

        Raises
        ------
        CallError
            As for :meth:`check`.
        """
        self.check(org)
        return ComparisonAnswer(self, org)

    def panel(self, org: Org) -> Panel:
        """The deals at the question's moment, and in every week that all periods have: matched once."""
        options: dict[str, Any] = {"target": self.target, "population": self.population, "seed": self.seed}
        shared = _shared.get(self._moment(org))
        return shared or Panel(org, as_of=[self.as_of, *_weeks_of(org)], **options)

    def _moment(self, org: Org) -> tuple[Any, ...]:
        return id(org), self.as_of, self.target, self.population, self.seed

    def share(self, org: Org) -> None:
        """Match once, for all segments."""
        _shared.setdefault(self._moment(org), self.panel(org))
        whole = self.model_copy(update={"segment": ""}).run(org)
        _ = whole.pair, whole.everyone, whole.all_weeks

    def segments_by(self, org: Org, column: str) -> tuple[dict[str, str], list[str]]:
        """The values of a column among the compared deals, reps by a stand-in that stays; and those of other deals."""
        self.model_copy(update={"segments": column, "segment": ""}).check(org)
        matched = self.model_copy(update={"segment": ""}).run(org).pair
        table = org.deals if org.matched is None else org.matched
        known = [] if table is None or column not in table else list(_texts(table[column]))
        there = list(_texts(matched[column])) if column in matched.table else []
        there = there or known
        hidden = column == "rep" and not self.show_names
        shown = pseudonyms(matched[column]) if hidden else {}
        return {v: shown.get(v, v) for v in there}, [shown.get(v, v) for v in known if v not in there]

    def forecasters(self, org: Org) -> list[str]:
        """Candidate, baseline, and the others that are shown beside them."""
        there = [*BUILT_IN, *org.outside] if org.matched is None else Matched.of(org).names
        return list(dict.fromkeys([self.candidate, self.baseline, *(self.also or there)]))


def _weeks_of(org: Org) -> list[str]:
    """The weeks that every period has; none where the data know no weeks."""
    if org.history is None or org.periods is None:
        return []
    return [f"week {w}" for w in range(1, int(calendar.weeks_in(org.periods).min()) + 1)]


def _texts(column: pd.Series) -> pd.Index:
    """The values of a column, the commonest first."""
    counts = column.astype("string").str.strip().value_counts()
    return counts[counts.index != ""].index


def _columns_once_matched(deals: pd.DataFrame) -> list[str]:
    """The columns that divide the deals of a table that is yet to be matched."""
    own = [str(c) for c in deals if c not in RESERVED | {"created_on", "closed_on", "outcome"}]
    return ["period", "rep", "account", *own, "stage", "category", "state"]


def _check_column(parameter: str, column: str, they: str, columns: list[str]) -> None:
    if column not in columns:
        near = [c for c in columns if c.lower() == column.lower()] or get_close_matches(column, columns, 1)
        hint = f" Did you mean {near[0]}?" if near and parameter == "segment" else ""
        there = ", ".join(columns) or "none"
        raise CallError(f"{parameter}: there is no column {column!r}; {they} {there}.{hint}")


def _check_value(table: pd.DataFrame, column: str, value: str) -> None:
    if column in table and not (table[column].astype("string") == value).any():
        counts = table[column].astype("string").value_counts()
        there = ", ".join(counts.head(12).index)
        if column == "rep":  # names of people are personal data
            there = f"{len(counts):,} reps, written as in the data"
        raise CallError(f"segment: no deal has {column} = {value!r}; there are {there}.")


def _selected(matched: Matched, column: str, value: str, shown: str) -> Matched:
    """The rows of a segment, refused with the values there are; ``shown`` stands for its value in words."""
    _check_value(matched.table, column, value)
    selected = matched.rows((matched[column].astype("string") == value).fillna(False).to_numpy(dtype=bool))
    step = {
        "step": f"{column} is {shown}",
        "deals": selected.deals,
        "dropped": matched.deals - selected.deals,
        "why": f"another {column}",
    }
    return replace(
        selected,
        population=f"{matched.population or 'the deals of the table'}, where {column} is {shown}",
        where=f"where {column} is {shown}",
        flow=[*matched.counted_flow(matched.deals, len(matched.table)), step],
    )


@dataclass(frozen=True, eq=False)
class ComparisonAnswer(Answer):
    """What the data say to a question; everything is computed when it is asked for, and once."""

    question: Question
    org: Org

    @property
    def _names(self) -> tuple[str, str]:
        return self.question.candidate, self.question.baseline

    # --- the deals ------------------------------------------------------------------------------------

    @cached_property
    def _panel(self) -> Panel:
        return self.question.panel(self.org)

    def _view(self, names: list[str], as_of: Any, *, pool: bool = False) -> Matched:
        """The segment's rows of a view of the panel."""
        matched, segment = self._panel.view(names, as_of, pool=pool), self.question.segment
        if not segment or matched.table.empty:
            return matched
        return _selected(matched, *_divided(segment), self._shown(*_divided(segment)))

    def _shown(self, column: str, value: str) -> str:
        """The value of a segment as a reader reads it: people by name where names are shown, and not at all elsewhere."""
        if column != "rep":
            return value
        return names_of(self.org).get(value, value) if self.question.show_names else "the one asked for"

    @cached_property
    def pair(self) -> Matched:
        """The matched deals of candidate and baseline, not narrowed by anybody else's silence."""
        return self._view([*self._names], self.question.as_of)

    @cached_property
    def everyone(self) -> Matched:
        """The matched deals about which all forecasters could speak."""
        return self._view(self.question.forecasters(self.org), self.question.as_of)

    @cached_property
    def all_weeks(self) -> Matched | None:
        """The matched deals of candidate and baseline in every week; None where the data know no weeks."""
        weeks = _weeks_of(self.org)
        return self._view([*self._names], weeks, pool=True) if weeks else None

    # --- the comparisons ------------------------------------------------------------------------------

    @property
    def _options(self) -> dict[str, Any]:
        q = self.question
        return {"metrics": q.metrics[:1], "level": q.level, "margin": q.margin or None, "seed": q.seed}

    @property
    def _primary(self) -> dict[str, Any]:
        """The options of a comparison by the primary metric alone."""
        return self._options | {"generalise_to": tuple(self.question.generalise_to) or None}

    @cached_property
    def comparison(self) -> Comparison:
        """Candidate against baseline, on all metrics."""
        return compare(self.pair, *self._names, **(self._primary | {"metrics": self.question.metrics}))

    @cached_property
    def influence(self) -> pd.DataFrame | None:
        """How much hangs on each rep, or each period where reps are not known; None without either."""
        by = next((d for d in ("rep", "period") if self.pair.has(d)), None)
        if by is None or pd.isna(self.comparison.primary["difference"]):
            return None
        names = self._people if by == "rep" else True
        return influence(self.pair, *self._names, by=by, metric=self.question.metrics[0], show_names=names)

    @property
    def _people(self) -> bool | dict[str, str]:
        """The names of the reps where they are asked for."""
        return names_of(self.org) if self.question.show_names else False

    @cached_property
    def fair_twin(self) -> Comparison | None:
        """The candidate against the reps' own probability corrected by their past, if they are the baseline."""
        twin = "rep_recalibrated"
        candidate, baseline = self._names
        if baseline != "rep_forecast" or twin not in self.everyone or candidate == twin:
            return None
        return compare(self.everyone, candidate, twin, **self._primary)

    @cached_property
    def margin(self) -> WithinMargin | None:
        """Is the candidate not worse, or equal, as far as the margin allows? None without a margin.

        By the primary metric, at the level that makes each end of the interval a one-sided bound.
        """
        if not self.question.margin:
            return None
        return against_margin(self.pair, self.comparison, self.question.margin)

    # --- the sections, each with .words() and, where there is a picture, .figure() --------------------

    @cached_property
    def verdict(self) -> sections.Verdict:
        """The card that answers the question."""
        care = replace(self._caveats_beside([]), notes=self.org.notes).strongest()
        return sections.Verdict(
            self.comparison, self.influence, self.fair_twin, self.margin, self.holds.reasons, self.pair, care
        )

    @cached_property
    def who(self) -> sections.Who:
        """Who the two are, and what the score means."""
        return sections.Who(self.comparison, self.pair)

    @cached_property
    def ladder(self) -> sections.Ladder:
        """The primary metric for new deals, new reps, new periods."""
        return sections.Ladder(ladder(self.pair, *self._names, **self._options))

    @cached_property
    def weeks(self) -> sections.Weeks:
        """The primary metric in each week of the period."""
        pooled = self.all_weeks
        if pooled is None or pooled.table.empty:
            return sections.Weeks({})
        found = by_group(pooled, "week", *self._names, **self._primary)
        return sections.Weeks({int(week): c for week, c in found.items()})

    @cached_property
    def reliability(self) -> sections.Curves:
        """Can the probabilities be taken at their word?"""
        return sections.Curves.of(self.pair, self._names, self.question.seed)

    @cached_property
    def calibration(self) -> sections.Calibrations:
        """Is each right on average, too sure of itself, and more than chance would make it?"""
        return sections.Calibrations.of(self.pair, self._names, self.question.level, self.question.seed)

    @cached_property
    def added(self) -> sections.Added:
        """What either adds to the other."""
        return sections.Added.of(self.pair, self.comparison, self.question.seed, self._beside)

    @property
    def _beside(self) -> Adds | None:
        """What a score from a file adds to the baseline and the stages together."""
        candidate, baseline = self._names
        if self.org.matched is not None or candidate in BUILT_IN:
            return None
        table = self._view([candidate, baseline, _STAGES], self.question.as_of)
        known = [n for n in dict.fromkeys((baseline, _STAGES)) if table.is_probability(n)]
        return (
            adds(table, candidate, known, level=self.question.level)
            if known and not table.table.empty
            else None
        )

    @cached_property
    def apart(self) -> WhoWasRight:
        """Who was right where the two disagree about a deal, and which open deals are in dispute."""
        return sections.apart(self.org, self.question, self.pair, self._people, self.comparison.generalise_to)

    @cached_property
    def segments(self) -> sections.Segments:
        """The comparison within each segment of the family that was declared; else of those in organisation.yaml."""
        asked, within = self.question.segments, _divided(self.question.segment)[0]
        there = [by for by in self.org.settings.segments if by in self.pair.segments and by != within]
        families = [asked] if asked else there
        return sections.Segments.of(self.pair, self.comparison, families, self._options, self._people)

    @cached_property
    def reps(self) -> sections.Reps:
        """How far each rep strays."""
        return sections.Reps.of(self.pair, self._names, self.question.level, self._people)

    @cached_property
    def totals(self) -> sections.Totals:
        """Do the totals come out, and did the reps' own ranges hold?"""
        return sections.Totals.of(self.org, self.pair, self.comparison, self.question.as_of)

    @cached_property
    def others(self) -> sections.Others:
        """Every forecaster against the same baseline."""
        q = self.question
        found = against(self.everyone, self.everyone.names, q.baseline, **self._primary)
        return sections.Others(found, self.everyone.forecasters)

    @cached_property
    def few(self) -> sections.Few:
        """How much hangs on few reps, or on few periods where reps are not known."""
        return sections.Few(self.influence, self.comparison, "rep" if self.pair.has("rep") else "period")

    @cached_property
    def holds(self) -> sections.Holds:
        """Does the method hold on these deals: how often is nothing called something?"""
        return sections.Holds.of(self.pair, self.ladder.rungs, self.comparison, self.question.seed)

    @cached_property
    def scores(self) -> sections.Scores:
        """All scores, and what each means."""
        return sections.Scores(self.comparison)

    @cached_property
    def deals(self) -> sections.Deals:
        """From the export to the deals that are compared."""
        return sections.Deals(self.comparison, self.org.audit)

    @cached_property
    def method(self) -> sections.Method:
        """How it was done."""
        return sections.Method(self.comparison, self.pair, self.question.margin, self.question.seed)

    @cached_property
    def caveats(self) -> sections.Caveats:
        """Only the caveats that this data raises."""
        return self._caveats_beside([*self.weeks.comparisons.values(), *self.others.comparisons.values()])

    def _caveats_beside(self, looks: Sequence[Comparison]) -> sections.Caveats:
        notes = [*self.org.notes, *(r["text"] for r in self.holds.reasons)]
        column, value = _divided(self.question.segment)
        segment = f"{column}: {self._shown(column, value)}" if column == "rep" else self.question.segment
        return sections.Caveats(self.comparison, self.pair, self.influence, looks, segment, notes)

    @property
    def about(self) -> dict[str, Any]:
        """Whose data, of which time, and what goes into the verdict."""
        rests_on = size(self.comparison.primary, self.comparison.nouns)
        inputs = f"It compares what the two had said by then (explained below) with what became of the deals: {rests_on}. "
        inputs += "Nothing else goes in; what would change it stands above."
        periods = self.pair["period"] if self.pair.has("period") else None
        return about(self.org, periods) | {"inputs": inputs}

    # --- what leaves with the report ------------------------------------------------------------------

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        fair = self.fair_twin
        head = {
            "schema_version": 1,
            "question": f"Whose forecasts are better, {self.question.candidate}'s or {self.question.baseline}'s?",
            "parameters": self.question.parameters,
        }
        return plain(
            head
            | self.comparison.to_dict()
            | {
                "about": self.about,
                "ladder": self.ladder.results(),
                "by_week": self.weeks.results(),
                "fair_twin": None if fair is None else fair.primary,
                "others": self.others.results(),
                "calibration": self.reliability.results(),
                "forecasters": self.others.about,
                "calibration_tests": self.calibration.results(),
                "encompassing": self.added.results(),
                "segments": self.segments.results(),
                "more_segments": self.segments.results_of_more(),
                "who_was_right": self.apart.results(),
                "open_disagreements": self.apart.open,
                "rep_bias": self.reps.results(),
                "does_it_hold": self.holds.results(),
                "totals": self.totals.results(),
                "ranges": self.totals.results_of_ranges(),
                "margin": None if self.margin is None else asdict(self.margin),
                "unseen": None if self.verdict.unseen is None else asdict(self.verdict.unseen),
            }
        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        weeks = [c.table.assign(week=w) for w, c in self.weeks.comparisons.items()]
        more = {f"segments_{by}": family.table for by, family in self.segments.more.items()}
        found = {
            "metrics": _flat([self.comparison.table]),
            "flow": self.comparison.flow,
            "ladder": _flat([c.table for c in self.ladder.rungs]),
            "others": _flat([c.table for c in self.others.comparisons.values()]),
            "by_week": _flat(weeks),
            "influence": self.influence,
            "audit": self.org.audit,
            "segments": self.segments.table,
            "who_was_right": None if isinstance(self.apart.found, str) else self.apart.found.bands,
            "open_disagreements": self.apart.disputed if len(self.apart.disputed) else None,
            "rep_bias": self.reps.table,
            "totals": self.totals.table,
            "does_it_hold": self.holds.table,
        }
        return {name: table for name, table in (found | more).items() if table is not None}


def _flat(tables: Sequence[pd.DataFrame]) -> pd.DataFrame | None:
    """Rows of comparisons as a spreadsheet takes them."""
    if not tables:
        return None
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(
        reasons=rows["reasons"].map(lambda r: " ".join(x["text"] for x in r)),
        generalise_to=rows["generalise_to"].map(" and ".join),
    ).drop(columns=["clusters", "per_rep"])
