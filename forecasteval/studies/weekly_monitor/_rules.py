"""What is fixed before the first look, and stands in the first line of the ledger."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any

import pandas as pd
from pydantic import field_validator

from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.inference.confidence_sequences import COHORTS
from forecasteval.matching.deals_as_of import Target
from forecasteval.scores.probability import METRICS, Metric
from forecasteval.studies.parameters import (
    Level,
    Margin,
    Names,
    Parameters,
    Population,
    TargetName,
    another_than,
    between,
    one_of,
    only,
)

_SUMS = ("brier", "log_score", "brier_by_amount")
_NO_SUMS = {
    "auc": "cannot be watched: it compares deals in pairs, across weeks too, so it is no sum over the deals of a week",
    "brier_skill": "cannot be watched: the baseline's loss, by which it divides, is known with the outcomes only and has no lower bound",
    "bias": "cannot be watched: nearer to 0 is better, from either side, so no side can lead",
    "bias_by_amount": "cannot be watched: nearer to 0 is better, from either side, so no side can lead",
}
PERIODS, WEEKS = ["deal", "period"], ["deal"]


def day_of(text: Any) -> pd.Timestamp | None:
    """A day from ISO text, None where it is none."""
    try:
        return pd.Timestamp(date.fromisoformat(str(text)))
    except ValueError:
        return None


_NO_DAY_KNOWN = "{value!r} has no day on which it is known for every deal of a week; use 'won within 90 days' or 'won in period'."
_NEITHER = "{value} is neither ['deal', 'period'] (these reps, coming quarters) nor ['deal'] (these reps, weeks like those seen)."


def _weeks(fewest: int, usual: int) -> Any:
    return only(lambda v: v >= fewest, f"{{value!r}} is below {fewest} weeks; {usual} is usual.")


Day = Annotated[str, only(lambda v: not v or day_of(v) is not None, "{value!r} is not a day such as 2026-02-28.")]  # fmt: skip


class Rules(Parameters):
    """The rules of one sequence of looks: a ledger that was begun under other ones is not continued."""

    candidate: str
    baseline: str
    target: Annotated[TargetName, only(lambda v: Target.parse(v).kind != "at all", _NO_DAY_KNOWN)] = (
        "won within 90 days"
    )
    population: Population = "closing in period"
    generalise_to: Annotated[Names, only(lambda v: v in (PERIODS, WEEKS), _NEITHER)] = PERIODS
    level: Level = 0.95
    margin: Margin = 0.0
    tuned_for: Annotated[int, _weeks(4, COHORTS.tuned_for)] = COHORTS.tuned_for
    burn_in: Annotated[int, _weeks(2, COHORTS.fewest)] = COHORTS.fewest
    since: Day = ""
    metric: Annotated[str, one_of(_SUMS, _NO_SUMS)] = "brier"
    epsilon: Annotated[float, between(0, 0.5, "0.01 is usual: a probability of 0 is read as 1%.")] = 0.01

    _another = field_validator("baseline")(another_than("candidate"))

    @property
    def plain(self) -> dict[str, Any]:
        """The rules as the ledger keeps them; a score only where it is not the usual one, as older ledgers have none."""
        usual = {"brier": {"metric", "epsilon"}, "brier_by_amount": {"epsilon"}}.get(self.metric, set())
        return self.model_dump(include=set(Rules.model_fields) - usual)

    @property
    def over_periods(self) -> bool:
        """Is the question about coming periods, or about weeks like those seen?"""
        return self.generalise_to == PERIODS

    @property
    def score(self) -> Metric:
        """What the two are compared by."""
        return METRICS[self.metric]

    @property
    def bound(self) -> float:
        """The largest difference that a deal can make; of the log score it is finite for it is clipped."""
        return math.log(1 / self.epsilon - 1) if self.metric == "log_score" else 1.0

    def leader(self, verdict: str) -> str | None:
        """Who is better by a verdict."""
        return {CANDIDATE: self.candidate, BASELINE: self.baseline}.get(verdict)
