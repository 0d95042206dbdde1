"""How a claim is judged: everything that a contract has to fix before the outcomes exist."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, field_validator

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
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.claim import Costs


def _costs(value: dict[str, float]) -> dict[str, float]:
    """Only what the rules about money need, and all of it."""
    known = list(Costs.model_fields)
    wrong = [f"{k!r} is not one of {', '.join(known)}." for k in value if k not in known]
    try:
        Costs.model_validate({k: v for k, v in value.items() if k in known})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            where, c = ".".join(map(str, one["loc"])), one.get("ctx", {})
            wrong.append(
                f"{where + ': ' if where else ''}{c.get('found')}; expected {c.get('expected')}. {c.get('advice', '')}".strip()
            )
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


class Terms(Parameters):
    """The parameters of the notebook, but for its data."""

    claim: str = "data/claims/vendor_x.yaml"
    candidate: str = "vendor_x"
    baseline: str = "rep_forecast"
    measure: Annotated[str, one_of([*MEASURES, *TOTALS])] = "brier"
    at_least: float = 0.0
    as_of: str = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    margin: Margin = 0.01
    guard: str = "segment"
    also: Names = Field(default_factory=list)
    map_ranks: bool = False
    costs: Annotated[dict[str, float], AfterValidator(_costs)] = Field(default_factory=dict)
    blind_half: bool = False
    exposed: str = ""
    receipts: Names = Field(default_factory=list)
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    seed: Seed = 0

    _two = field_validator("baseline")(another_than("candidate"))

    @property
    def options(self) -> dict[str, Any]:
        """What every comparison of this trial shares."""
        return {"generalise_to": tuple(self.generalise_to) or None, "seed": self.seed}
