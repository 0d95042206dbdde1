"""Is there enough data: the vendor's own minimum, the buyer's count, and what the learning curve says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forecasteval.compare.compare import compare
from forecasteval.compare.crossing import Crossing
from forecasteval.compare.sizes import learned
from forecasteval.errors import CallError
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import Matched
from forecasteval.studies.vendor_claim.claim import Minimum
from forecasteval.tables.organisation import Org, newest_record

_RULE = "base_rate"  # what speaks beside the model; nothing is said of it here


@dataclass(frozen=True)
class Enough:
    """Deals that the vendor asks for and the buyer has, and from how many on a model is better than the baseline here.

    ``crossing`` is that of the reference model, which learns from the buyer's own deals: it says how much data this
    organisation's deals ask of a model, not what the vendor's model, which may have learned elsewhere, needs. ``stop`` says
    why there is no curve; ``most`` is the largest size that was tried.
    """

    minimum: Minimum
    won: int
    lost: int
    crossing: Crossing
    most: int
    stop: str = ""

    @property
    def met(self) -> bool | None:
        """Is the vendor's minimum met? None where it states none."""
        if self.minimum.won is None and self.minimum.lost is None:
            return None
        return self.won >= (self.minimum.won or 0) and self.lost >= (self.minimum.lost or 0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {"minimum": self.minimum.model_dump(), "won": self.won, "lost": self.lost, "met": self.met,
                "crossing": vars(self.crossing), "largest_size": self.most, "no_curve": self.stop}  # fmt: skip


def enough(
    minimum: Minimum,
    org: Org,
    matched: Matched,
    baseline: str,
    terms: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Enough:
    """What a claim's minimum is worth here; ``terms`` say which deals, ``options`` how they are compared."""
    won, lost = _counted(minimum, org, matched)
    try:
        crossing, most, stop = _learned(org, baseline, terms, options)
    except CallError as error:
        crossing, most, stop = Crossing(None, None, None), 0, str(error)
    return Enough(minimum, won, lost, crossing, most, stop)


def _counted(minimum: Minimum, org: Org, matched: Matched) -> tuple[int, int]:
    """Closed deals, won and lost, within the months that the vendor names; of a table those that are compared."""
    if org.deals is None:
        won = pd.Series(dtype=float) if matched.stop else matched.table.drop_duplicates("deal_id")["won"]
        return int((won == 1).sum()), int((won == 0).sum())
    deals, newest = org.deals, newest_record(org)
    if minimum.months is not None and newest is not None:
        since = pd.Timestamp(newest) - pd.DateOffset(months=minimum.months)
        deals = deals[pd.to_datetime(deals["closed_on"]) >= since]
    return int((deals["outcome"] == "won").sum()), int((deals["outcome"] == "lost").sum())


def _learned(
    org: Org, baseline: str, terms: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Crossing, int, str]:
    """Where the reference model passes the baseline as it learns from more closed deals."""
    nothing = Crossing(None, None, None)
    if org.history is None or not str(terms["as_of"]).startswith("week "):
        return nothing, 0, "The learning curve needs deals with their history, and a week of the quarter."
    found = learned(Panel(org, **terms), baseline, _RULE, seed=terms["seed"])
    if found.stop:
        return nothing, 0, found.stop
    table, models = found.table, found.model
    compared = {n: compare(table, m, baseline, metrics=["brier"], **options) for n, m in models.items()}
    return Crossing.of(compared), found.sizes[-1], ""
