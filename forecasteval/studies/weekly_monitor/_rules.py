"""What is fixed before the first look, and stands in the first line of the ledger."""

from __future__ import annotations

import math
from datetime import date
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, field_validator

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
)

_SUMS = ("brier", "log_score", "brier_by_amount")
_NO_SUMS = {
    "auc": "it compares deals in pairs, across weeks too, so it is no sum over the deals of a week",
    "brier_skill": "the baseline's loss, by which it divides, is known with the outcomes only and has no lower bound",
    "bias": "nearer to 0 is better, from either side, so no side can lead",
    "bias_by_amount": "nearer to 0 is better, from either side, so no side can lead",
}
PERIODS, WEEKS = ["deal", "period"], ["deal"]


def day_of(text: Any) -> pd.Timestamp | None:
    """A day from ISO text, None where it is none."""
    try:
        return pd.Timestamp(date.fromisoformat(str(text)))
    except ValueError:
        return None


def _a_day(value: str) -> str:
    if value and day_of(value) is None:
        raise ValueError(f"{value!r} is not a day such as 2026-02-28.")
    return value


def _known_on_a_day(value: str) -> str:
    if Target.parse(value).kind == "at all":
        raise ValueError(
            f"{value!r} has no day on which it is known for every deal of a week; use 'won within 90 days' or "
            "'won in period'."
        )
    return value


def _periods_or_weeks(value: list[str]) -> list[str]:
    if value not in (PERIODS, WEEKS):
        raise ValueError(
            f"{value} is neither ['deal', 'period'] (these reps, coming quarters) nor ['deal'] (these reps, weeks "
            "like those seen)."
        )
    return value


def _a_sum(value: str) -> str:
    if value in _NO_SUMS:
        raise ValueError(
            f"{value} cannot be watched: {_NO_SUMS[value]}. Use {', '.join(_SUMS[:-1])} or {_SUMS[-1]}."
        )
    return value


def _weeks(fewest: int, usual: int) -> AfterValidator:
    def check(value: int) -> int:
        if value < fewest:
            raise ValueError(f"{value!r} is below {fewest} weeks; {usual} is usual.")
        return value

    return AfterValidator(check)


Day = Annotated[str, AfterValidator(_a_day)]


class Rules(Parameters):
    """The rules of one sequence of looks: a ledger that was begun under other ones is not continued."""

    candidate: str
    baseline: str
    target: Annotated[TargetName, AfterValidator(_known_on_a_day)] = "won within 90 days"
    population: Population = "closing in period"
    generalise_to: Annotated[Names, AfterValidator(_periods_or_weeks)] = PERIODS
    level: Level = 0.95
    margin: Margin = 0.0
    tuned_for: Annotated[int, _weeks(4, COHORTS.tuned_for)] = COHORTS.tuned_for
    burn_in: Annotated[int, _weeks(2, COHORTS.fewest)] = COHORTS.fewest
    since: Day = ""
    metric: Annotated[str, AfterValidator(_a_sum), one_of(_SUMS)] = "brier"
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
