"""How many closed deals until the model is better than the reps: the parameters of a notebook, and the answer.

`metric` is any score that has a winner: each size goes through `compare`, which knows them all, and the crossing needs
no more than its verdicts. A bias has no winner, and the Brier skill crosses where the Brier score does. The log score is
clipped as calibration is, so that one sure miss of a model that learned from few deals does not end the curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from forecasteval.compare.results import plain
from forecasteval.compare.sizes import LEAST, learned
from forecasteval.compare.verdicts import CANNOT
from forecasteval.errors import CallError
from forecasteval.inference.logistic import EPSILON
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import RESERVED, Matched
from forecasteval.matching.rolling_origin import Learning
from forecasteval.report.blocks import Html, flow_table
from forecasteval.report.section import said
from forecasteval.studies.data_sufficiency import _sections as sections
from forecasteval.studies.data_sufficiency._curve import Curve
from forecasteval.studies.parameters import (
    Apart,
    GeneraliseTo,
    Level,
    Names,
    Parameters,
    Population,
    Seed,
    TargetName,
    one_of,
    only,
)
from forecasteval.tables.organisation import Org, about

_RULES = ("stage_rate", "base_rate", "rep_category", "rep_recalibrated")
_TWIN = "rep_recalibrated"  # what the reps are once corrected by their own past
_SCORES = ("brier", "log_score", "auc", "brier_by_amount")
_NO_CROSSING = {
    "brier_skill": "has no crossing: it is 0 where the Brier score crosses, so brier answers the same question",
    "bias": "has no crossing: nearer to 0 is better, from either side, so neither is ahead",
    "bias_by_amount": "has no crossing: nearer to 0 is better, from either side, so neither is ahead",
}
_NO_WEEK = "{value!r} is not a week of the period, such as 'week 4'."
_VALUES = range(2, 9)  # a column with this many values is a segment
_STATE = {"stage", "category", "state", "week"}


def _enough(value: Any) -> Any:
    """Numbers of deals, by name or not, that a model can be fitted to."""
    numbers = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    bad = [n for n in numbers if not isinstance(n, int) or isinstance(n, bool) or n < LEAST]
    if bad:
        raise ValueError("\n".join(f"{n!r} is not a whole number of at least {LEAST} deals." for n in bad))
    return list(value) if isinstance(value, tuple) else value


class Sufficiency(Parameters):
    """How much data the model needs; `rule` is what could be used until then, `scores` a vendor's by training size.

    Examples
    --------
    >>> Sufficiency(rule="rule of thumb", sizes=[50, 5])
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - rule: 'rule of thumb' is not one of stage_rate, base_rate, rep_category, rep_recalibrated.
    - sizes: 5 is not a whole number of at least 10 deals.
    """

    baseline: str = "rep_forecast"
    rule: Annotated[str, one_of(_RULES)] = "stage_rate"
    as_of: Annotated[str, only(lambda v: v.startswith("week "), _NO_WEEK)] = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    sizes: Annotated[list[int], BeforeValidator(_enough)] = Field(default_factory=list)
    scores: Annotated[dict[str, int], BeforeValidator(_enough)] = Field(default_factory=dict)
    segments: Names = Field(default_factory=list)
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    seed: Seed = Field(default=0, validate_default=True)
    metric: Annotated[str, one_of(_SCORES, _NO_CROSSING)] = "brier"

    @field_validator("scores")
    @classmethod
    def _one_for_each_size(cls, scores: dict[str, int]) -> dict[str, int]:
        if len(set(scores.values())) < len(scores):
            raise ValueError("two forecasters were trained on the same number of deals; leave one out.")
        return scores

    @field_validator("seed")
    @classmethod
    def _another_baseline(cls, seed: int, info: ValidationInfo) -> int:
        """The last field knows all others: the baseline is none of those that are compared with it."""
        baseline = info.data.get("baseline")
        if baseline in ("model", info.data.get("rule", "model"), *info.data.get("scores", ())):
            raise Apart("baseline", f"{baseline!r} is what is compared with it; name another forecaster.")
        return seed

    def run(self, org: Org) -> SufficiencyAnswer:
        """Let the model learn, and answer.

        Raises
        ------
        CallError
            If more deals are asked for than were ever known, or for a segment that the deals do not have.
        """
        learning = self._learned(org)
        table = None if learning.stop else learning.table
        periods = table["period"] if table is not None and table.has("period") else None
        return SufficiencyAnswer(
            learning,
            self.baseline,
            self.rule,
            "the vendor's model" if self.scores else "the model",
            tuple(self.generalise_to),
            self.metric,
            self.level,
            self.seed,
            bool(self.sizes),
            [] if table is None else self._segment_columns(table),
            self,
            about(org, periods),
        )

    def _panel(self, org: Org) -> Panel:
        options: dict[str, Any] = {"as_of": self.as_of, "target": self.target, "population": self.population}
        return Panel(org, **options, seed=self.seed)

    def _learned(self, org: Org) -> Learning:
        """Forecasts of the model and of the rule by the number of deals that they learned from."""
        if self.scores:
            return self._given(org)
        if org.matched is not None:
            lacks = "gives no order in time"
            if "as_of" in org.matched and org.matched["as_of"].notna().any():
                lacks = "says when deals were forecast, not when their outcome became known"
            return Learning(
                stop=f"The table {lacks}, so nothing can be learned from the past and tried on what came after; a random "
                "split would promise too much. Name a vendor's scores by training size (scores), or bring the deals "
                "with their history."
            )
        twin = _TWIN if self.baseline == "rep_forecast" else ""
        return learned(
            self._panel(org), self.baseline, self.rule, seed=self.seed, asked=self.sizes, twin=twin
        )

    def _given(self, org: Org) -> Learning:
        """A vendor's scores by training size, beside the rule fitted to all that was known."""
        ordered = dict(sorted(self.scores.items(), key=lambda item: item[1]))
        names = [*ordered, self.baseline]
        asked = names if org.matched is not None else [*names, self.rule]
        table = self._panel(org).view(list(dict.fromkeys(asked)))
        if table.stop:
            return Learning(stop=table.stop[0]["text"])
        if absent := [n for n in names if n not in table]:
            return Learning(stop=f"There is no forecast named {', '.join(absent)}.")
        sizes = tuple(ordered.values())
        rule = dict.fromkeys(sizes, self.rule) if self.rule in table else {}
        table = table.rows(table[self.baseline].notna())
        return Learning(table, sizes, {n: name for name, n in ordered.items()}, rule)

    def _segment_columns(self, matched: Matched) -> list[str]:
        taken = RESERVED | _STATE | set(matched.forecasters)
        there = [str(c) for c in matched.table if c not in taken]
        if unknown := [c for c in self.segments if c not in there]:
            raise CallError(
                f"segments: there is no column {unknown[0]!r}; the deals have {', '.join(there) or 'none'}."
            )
        return list(self.segments) or [c for c in there if matched[c].nunique() in _VALUES]


@dataclass(frozen=True, eq=False)
class SufficiencyAnswer(Curve):
    """A learning curve with the sections of its page; each is worked out when it is asked for."""

    question: Sufficiency
    organisation: Mapping[str, Any] = field(default_factory=dict)

    built_in, epsilon = BUILT_IN, EPSILON

    verdict = cached_property(sections.Reached)
    glossary = said("glossary")
    curve = cached_property(sections.Sizes)
    overconfidence = cached_property(sections.Overconfidence)
    segments = cached_property(sections.InSegments)
    flow = said("flow", sections.OfCurve)
    method = said("method", sections.OfCurve)
    caveats = cached_property(sections.Limits)

    @property
    def way(self) -> Html:
        """From the export to the deals that the curve is judged on."""
        return flow_table(self.last)

    @property
    def matched(self) -> pd.DataFrame:
        """The deals that the curve is judged on, with a forecast for each size; none without a curve."""
        return self.learning.table.frame()

    def results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        found: dict[str, Any] = {
            "schema_version": 1,
            **({"status": CANNOT} if self.stop else {}),
            "question": f"From how many closed deals on is the model better than {self.baseline}?",
            "headline": self.verdict.headline,
            "about": {**self.organisation, **self.of_itself("inputs", "change")},
            "primary": self.question.metric,
            "parameters": self.question.parameters,
            "stop": self.stop,
            "sizes": self.learning.sizes,
            "reached": self.reached,
            "crossing": vars(self.crossing) | {"level": self.level},
            "beats_rule": self.beats_rule,
            "fair_twin": None if self.fair is None else self.fair.primary,
        }
        model = {} if self.stop else self.model
        at = self.reached or max(model, default=0)
        if not self.stop:
            found |= {"estimand": self.last.estimand, "flow": self.last.flow.to_dict("records")}
        found |= {
            "curve": self.table.to_dict("records"),
            "segments": self.segments.table.to_dict("records"),
            # summaries and gates speak of the size that the headline speaks of
            "comparisons": [c.primary | {"primary": n == at} for n, c in model.items()],
        }
        return plain(found)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        if self.stop:
            return {}
        found = {"learning_curve": self.table, "flow": self.last.flow}
        if not self.segments.table.empty:
            found["segments"] = self.segments.table
        if len(self.learning.fits):
            found["fits"] = self.learning.fits
        return found
