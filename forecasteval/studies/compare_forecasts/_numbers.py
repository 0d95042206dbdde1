"""What the data say to the question in numbers: the deals, the comparisons, and what every section draws on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.encompassing import Adds, adds
from forecasteval.compare.margin import WithinMargin, against_margin
from forecasteval.compare.null_check import NullCheck, does_it_hold
from forecasteval.compare.repeated import against, by_group, influence, ladder
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Reason
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import Matched
from forecasteval.report.answer import Answer
from forecasteval.tables import calendar
from forecasteval.tables.organisation import Org, names_of

_STAGES = "stage_rate"


def divided(text: str) -> tuple[str, str]:
    """Column and value of a segment, divided at the first colon or equals sign."""
    column, value = [*re.split("[:=]", text, maxsplit=1), ""][:2]
    return column.strip(), value.strip()


def weeks_of(org: Org) -> list[str]:
    """The weeks that every period has; none where the data know no weeks."""
    if org.history is None or org.periods is None:
        return []
    return [f"week {w}" for w in range(1, int(calendar.weeks_in(org.periods).min()) + 1)]


def check_value(table: pd.DataFrame, column: str, value: str) -> None:
    if column in table and not (table[column].astype("string") == value).any():
        counts = table[column].astype("string").value_counts()
        there = ", ".join(counts.head(12).index)
        if column == "rep":  # names of people are personal data
            there = f"{len(counts):,} reps, written as in the data"
        raise CallError(f"segment: no deal has {column} = {value!r}; there are {there}.")


def _selected(matched: Matched, column: str, value: str, shown: str) -> Matched:
    """The rows of a segment, refused with the values there are; ``shown`` stands for its value in words."""
    check_value(matched.table, column, value)
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
class Numbers(Answer):
    """What the data say to a question; everything is computed when it is asked for, and once."""

    question: Any
    org: Org

    @property
    def names(self) -> tuple[str, str]:
        """Candidate and baseline."""
        return self.question.candidate, self.question.baseline

    # --- the deals ------------------------------------------------------------------------------------

    @cached_property
    def _panel(self) -> Panel:
        panel: Panel = self.question.panel(self.org)
        return panel

    def _view(self, names: Sequence[str], as_of: Any, *, pool: bool = False) -> Matched:
        """The segment's rows of a view of the panel."""
        matched = self._panel.view(names, as_of, pool=pool)
        if not self.question.segment or matched.table.empty:
            return matched
        return _selected(matched, *self.segment, self._shown(*self.segment))

    @property
    def segment(self) -> tuple[str, str]:
        """Column and value of the segment."""
        return divided(self.question.segment)

    @property
    def segment_in_words(self) -> str:
        """The segment as a reader reads it; empty without one."""
        column, value = self.segment
        return f"{column}: {self._shown(column, value)}" if column == "rep" else self.question.segment

    def _shown(self, column: str, value: str) -> str:
        """The value of a segment as a reader reads it: people by name where names are shown, and not at all elsewhere."""
        if column != "rep":
            return value
        return names_of(self.org).get(value, value) if self.question.show_names else "the one asked for"

    @cached_property
    def pair(self) -> Matched:
        """The matched deals of candidate and baseline, not narrowed by anybody else's silence."""
        return self._view(self.names, self.question.as_of)

    @cached_property
    def everyone(self) -> Matched:
        """The matched deals about which all forecasters could speak."""
        return self._view(self.question.forecasters(self.org), self.question.as_of)

    @cached_property
    def all_weeks(self) -> Matched | None:
        """The matched deals of candidate and baseline in every week; None where the data know no weeks."""
        weeks = weeks_of(self.org)
        return self._view(self.names, weeks, pool=True) if weeks else None

    @property
    def people(self) -> bool | dict[str, str]:
        """The names of the reps where they are asked for."""
        return names_of(self.org) if self.question.show_names else False

    @cached_property
    def no_pair(self) -> str:
        """Why two probabilities cannot be held against each other; empty where they can."""
        missing = [n for n in self.names if not self.pair.is_probability(n)]
        if self.pair.table.empty or len(missing) == 2:
            return "There are no probabilities of deals with a known outcome to judge."
        if missing:
            return f"{missing[0]} gives no probabilities of these deals."
        if self.pair["won"].nunique() < 2:
            return "All deals ended alike, so nothing tells good forecasts from bad ones."
        return ""

    # --- the comparisons ------------------------------------------------------------------------------

    @property
    def options(self) -> dict[str, Any]:
        """Those of a comparison by the primary metric, but what may differ next time."""
        q = self.question
        return {"metrics": q.metrics[:1], "level": q.level, "margin": q.margin or None, "seed": q.seed}

    @property
    def _primary(self) -> dict[str, Any]:
        return self.options | {"generalise_to": tuple(self.question.generalise_to) or None}

    @cached_property
    def comparison(self) -> Comparison:
        """Candidate against baseline, on all metrics."""
        return compare(self.pair, *self.names, **(self._primary | {"metrics": self.question.metrics}))

    @cached_property
    def rungs(self) -> list[Comparison]:
        """The primary metric for new deals, new reps, new periods."""
        return ladder(self.pair, *self.names, **self.options)

    @cached_property
    def by_week(self) -> dict[int, Comparison]:
        """The primary metric in each week of the period."""
        if self.all_weeks is None or self.all_weeks.table.empty:
            return {}
        found = by_group(self.all_weeks, "week", *self.names, **self._primary)
        return {int(week): c for week, c in found.items()}

    @cached_property
    def against_all(self) -> dict[str, Comparison]:
        """Every forecaster against the same baseline."""
        return against(self.everyone, self.everyone.names, self.question.baseline, **self._primary)

    @cached_property
    def influence(self) -> pd.DataFrame | None:
        """How much hangs on each rep, or each period where reps are not known; None without either."""
        by = next((d for d in ("rep", "period") if self.pair.has(d)), None)
        if by is None or pd.isna(self.comparison.primary["difference"]):
            return None
        names = self.people if by == "rep" else True
        return influence(self.pair, *self.names, by=by, metric=self.question.metrics[0], show_names=names)

    @cached_property
    def fair_twin(self) -> Comparison | None:
        """The candidate against the reps' own probability corrected by their past, if they are the baseline."""
        twin = "rep_recalibrated"
        candidate, baseline = self.names
        if baseline != "rep_forecast" or twin not in self.everyone or candidate == twin:
            return None
        return compare(self.everyone, candidate, twin, **self._primary)

    @cached_property
    def margin(self) -> WithinMargin | None:
        """Is the candidate not worse, or equal, as far as the margin allows? By the primary metric; None without a margin."""
        return (
            against_margin(self.pair, self.comparison, self.question.margin) if self.question.margin else None
        )

    @cached_property
    def beside(self) -> Adds | None:
        """What a score from a file adds to the baseline and the stages together."""
        candidate, baseline = self.names
        if self.org.matched is not None or candidate in BUILT_IN:
            return None
        table = self._view([candidate, baseline, _STAGES], self.question.as_of)
        known = [n for n in dict.fromkeys((baseline, _STAGES)) if table.is_probability(n)]
        found = known and not table.table.empty
        return adds(table, candidate, known, level=self.question.level) if found else None

    @cached_property
    def checked(self) -> tuple[list[NullCheck], str]:
        """How often nothing is called something, for the headline's question and each rung's; or why that is not known."""
        own = self.comparison
        questions = dict.fromkeys([own.generalise_to, *(c.generalise_to for c in self.rungs)])
        options = {"metric": own.primary["metric"], "level": own.level, "seed": self.question.seed}
        options["margin"] = self.question.margin or None
        try:
            found = [does_it_hold(self.pair, *self.names, generalise_to=q, **options) for q in questions]
        except CallError as error:
            return [], str(error)
        return found, "" if found[0].rates else found[0].headline

    @property
    def doubts(self) -> Sequence[Reason]:
        """The caveat where the method does not hold for the headline's question."""
        return [r for check in self.checked[0][:1] for r in check.reasons]
