"""The annex of a contract: what is agreed, by which rules, with what power, and when it is frozen; two pages, to be signed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval import report
from forecasteval.compare import wording
from forecasteval.matching.match import POPULATIONS
from forecasteval.report.blocks import Words
from forecasteval.studies.vendor_claim._evidence import MEASURES
from forecasteval.studies.vendor_claim._labels import is_share, label, shown
from forecasteval.studies.vendor_claim._register import NOT_AGREED, RULES
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.claim import Claim
from forecasteval.tables.organisation import Org, newest_record

_SAY = Words(__file__)
_PARAMETERS = {
    "candidate": "Forecaster", "baseline": "Compared with", "measure": "Definition", "at_least": "Claimed, at least",
    "as_of": "Moment (cut-off)", "target": "Target", "population": "Deals", "margin": "Margin", "guard": "Not worse in any part of",
    "map_ranks": "Ranks mapped to probabilities", "costs": "Costs and gains", "blind_half": "Half of the reps do not see the scores",
    "exposed": "Column that says who saw the scores", "generalise_to": "Holds for", "level": "Level of the intervals",
    "sentence": "Sentence",
}  # fmt: skip
_SHOWN = 4  # quarters whose freeze dates are named
_DEFAULT = "new reps and new quarters, as far as the deals know them"


def parameter(name: str) -> str:
    """What a reader calls a parameter."""
    return _PARAMETERS.get(name, name.replace("_", " "))


def plain(value: Any) -> str:
    """A parameter's value as people read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k.replace('_', ' ')} {plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return "yes" if value is True else f"{value:,.10g}" if isinstance(value, float) else str(value)


def agreed_rows(parameters: Mapping[str, Any], scope: str = "") -> list[list[str]]:
    """What is agreed, a row for each parameter that says something."""
    name = parameters["measure"]
    measure = (TOTALS | MEASURES)[name]
    values = {
        **parameters,
        "measure": f"{measure.label}: {measure.formula}",
        "population": POPULATIONS[parameters["population"]].format(when=f"at the end of {parameters['as_of']}"),
        "level": wording.percent(parameters["level"]),
        "at_least": shown(parameters["at_least"], percent=is_share(name)) if parameters["at_least"] else "better at all",
        "generalise_to": "new quarters" if name in TOTALS else scope or [f"new {d}s" for d in parameters["generalise_to"]] or _DEFAULT,
    }  # fmt: skip
    values |= {who: label(parameters[who]) for who in ("candidate", "baseline")}
    said = {k: v for k, v in values.items() if k not in NOT_AGREED and v not in ("", [], {}, False)}
    return [[parameter(k), plain(said[k])] for k in dict.fromkeys([*_PARAMETERS, *said]) if k in said]


def freezes(org: Org, entry: Mapping[str, Any]) -> str:
    """The days on which the coming quarters are frozen: after the agreement, or after the newest record where that is older."""
    newest = newest_record(org)
    if org.periods is None or newest is None:
        return "when the outcomes of the deals in the table are fixed"
    day = pd.Timestamp(newest)
    if entry:
        day = min(day, pd.Timestamp(str(entry["registered_at"])[:10]))
    coming = org.periods[pd.to_datetime(org.periods["freezes_on"]) > day].sort_values("freezes_on")[:_SHOWN]
    rows = [f"{p}: {d:%Y-%m-%d}" for p, d in zip(coming["period"], coming["freezes_on"], strict=True)]
    return "; ".join(rows) or "the calendar names no quarter beyond the data"


@dataclass(frozen=True)
class Annex:
    """What stands on the two pages."""

    claim: Claim
    agreed: list[list[str]]
    freezes: str
    power: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False
    rules: Mapping[str, str] = field(default_factory=lambda: RULES)

    @classmethod
    def of_entry(cls, claim: Claim, org: Org, entry: Mapping[str, Any]) -> Annex:
        """The annex of an agreement as it stands in the ledger."""
        told = entry.get("told", {})
        parameters = entry["parameters"]
        power = in_words(told.get("told_with_this"), parameters["measure"], told.get("of", ""))
        return cls(claim, agreed_rows(parameters), freezes(org, entry), power, entry)

    def page(self) -> str:
        """A page of its own, to print and sign."""
        css = (Path(report.__file__).parent / "page.css").read_text("utf-8")
        return f"<!DOCTYPE html>\n{_SAY('annex_page', self, css).html}\n"


def in_words(told: float | None, measure: str, of: str = "") -> str:
    """What evidence of the present size tells; empty where nobody knows."""
    if told is None or not math.isfinite(told):
        return ""
    who = f" ({of.replace('model', 'the reference model', 1)})" if of else ""
    return (
        f"Evidence of the present size finds a distance of {shown(told, percent=is_share(measure))} from what is claimed in four of "
        f"five cases{who}."
    )
