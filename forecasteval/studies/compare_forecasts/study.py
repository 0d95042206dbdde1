"""Whose deal forecasts are better: the question with its parameters, checked, and the answer with its sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, field_validator

from forecasteval.compare.results import plain
from forecasteval.compare.wording import size
from forecasteval.errors import CallError
from forecasteval.matching.deals_as_of import looks_at
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import RESERVED, Matched, pseudonyms
from forecasteval.report.section import said
from forecasteval.scores.probability import DEFAULT_METRICS
from forecasteval.studies.compare_forecasts import _sections as sections
from forecasteval.studies.compare_forecasts._numbers import Numbers, check_value, divided, weeks_of
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
    only,
)
from forecasteval.tables.organisation import Org, about

# panels that reports in this process have in common, each of which holds its organisation
_shared: dict[tuple[Any, ...], Panel] = {}


_NO_SEGMENT = "{value!r} is not of the form 'column: value', such as 'region: West'."


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
    segment: Annotated[str, only(lambda v: not v or all(divided(v)), _NO_SEGMENT)] = ""
    segments: str = ""
    show_names: bool = False
    seed: Seed = 0

    _two = field_validator("baseline")(another_than("candidate"))

    def check(self, org: Org) -> None:
        """Refuse what only the data can judge, before anything is matched."""
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
            column, value = divided(self.segment)
            _check_column("segment", column, "the deals have", columns)
            if org.matched is not None or column not in RESERVED:  # who owned a deal depends on the moment
                check_value(table, column, value)
        if self.segments:
            _check_column("segments", self.segments, "the deals can be divided by", columns)

    def run(self, org: Org) -> ComparisonAnswer:
        """Put the question to an organisation's data, as :func:`forecasteval.read` gives them."""
        self.check(org)
        return ComparisonAnswer(self, org)

    def panel(self, org: Org) -> Panel:
        """The deals at the question's moment, and in every week that all periods have: matched once."""
        options: dict[str, Any] = {"target": self.target, "population": self.population, "seed": self.seed}
        shared = _shared.get(self._moment(org))
        return shared or Panel(org, as_of=[self.as_of, *weeks_of(org)], **options)

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


class ComparisonAnswer(Numbers):
    """What the data say to a question, with the sections of the page."""

    say = sections.SAY
    verdict = cached_property(sections.Verdict)
    who = said("who")
    ladder = cached_property(sections.Ladder)
    weeks = cached_property(sections.Weeks)
    reliability = cached_property(sections.Curves)
    calibration = cached_property(sections.Calibrations)
    added = cached_property(sections.Added)
    apart = cached_property(sections.apart)
    segments = cached_property(sections.Segments)
    reps = cached_property(sections.Reps)
    totals = cached_property(sections.Totals)
    others = cached_property(sections.Others)
    few = cached_property(sections.Few)
    holds = cached_property(sections.Holds)
    scores = cached_property(sections.Scores)
    deals = cached_property(sections.Deals)
    method = said("method")
    caveats = cached_property(sections.Caveats)

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
                "ladder": [c.primary for c in self.rungs],
                "by_week": {str(w): c.primary for w, c in self.by_week.items()},
                "fair_twin": None if fair is None else fair.primary,
                "others": {n: c.primary for n, c in self.against_all.items()},
                "calibration": self.reliability.results(),
                "forecasters": self.everyone.forecasters,
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
        weeks = [c.table.assign(week=w) for w, c in self.by_week.items()]
        more = {f"segments_{by}": family.table for by, family in self.segments.more.items()}
        found = {
            "metrics": _flat([self.comparison.table]),
            "flow": self.comparison.flow,
            "ladder": _flat([c.table for c in self.rungs]),
            "others": _flat([c.table for c in self.against_all.values()]),
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
