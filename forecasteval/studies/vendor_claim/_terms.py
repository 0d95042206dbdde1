"""How a claim is judged: everything that a contract has to fix before the outcomes exist."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from forecasteval.scores.amounts import ACCURACIES
from forecasteval.studies.parameters import (
    GeneraliseTo,
    Level,
    Margin,
    Names,
    Parameters,
    Population,
    Seed,
    TargetName,
    another_than,
    one_of,
)
from forecasteval.studies.vendor_claim._evidence import MEASURES


class Terms(Parameters):
    """The parameters of the notebook, but for its data."""

    claim: str = "data/claims/vendor_x.yaml"
    candidate: str = "vendor_x"
    baseline: str = "rep_forecast"
    measure: Annotated[str, one_of([*MEASURES, *ACCURACIES])] = "brier"
    at_least: float = 0.0
    as_of: str = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    margin: Margin = 0.01
    guard: str = "segment"
    also: Names = Field(default_factory=list)
    map_ranks: bool = False
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    seed: Seed = 0

    _two = field_validator("baseline")(another_than("candidate"))

    @property
    def options(self) -> dict[str, Any]:
        """What every comparison of this trial shares."""
        return {"generalise_to": tuple(self.generalise_to) or None, "seed": self.seed}
