"""What ``organisation.yaml`` says about an organisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator

from forecasteval.errors import Problem, nearest
from forecasteval.tables.columns import normal
from forecasteval.tables.document import Document, read_document, said

SETTINGS_FILE = "organisation.yaml"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


_CORRECT = "Correct the value."


def _is_zone(value: str) -> bool:
    try:
        ZoneInfo(value)
    except (KeyError, OSError, ValueError):
        return False
    return True


def _zone_guess(value: Any) -> str:
    zones = sorted(available_timezones())
    # a city by itself is the commonest slip, and too far from its zone for its spelling to show it
    cities = {normal(zone.rsplit("/", 1)[-1]): zone for zone in reversed(zones) if "/" in zone}
    city = cities.get(normal(str(value)))
    return (f"Did you mean {city}? " if city else nearest(str(value), zones)) + _CORRECT


def _whole(low: int, high: int) -> WrapValidator:
    words = f"a whole number from {low} to {high}"
    return said(words, _CORRECT, allowed=lambda value: low <= value <= high)


_Words = Annotated[str | None, said("words", _CORRECT)]
_Zone = Annotated[
    str, BeforeValidator(str), said("a time zone such as Europe/Berlin or UTC", _zone_guess, allowed=_is_zone)
]
_Hour = Annotated[float, said("an hour above 0, at most 24", _CORRECT, allowed=lambda value: 0 < value <= 24)]
_Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: tuple(map(str, value)) if isinstance(value, list) else value),
    said("a list such as [region, size]", _CORRECT),
]
_Day = Annotated[
    str | None,
    BeforeValidator(lambda value: None if value is None else str(value)),
    said(
        "a day such as 2024-02-01",
        _CORRECT,
        allowed=lambda value: value is None or bool(_DAY.fullmatch(value)),
    ),
]


Rates = Annotated[
    dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    said("{EUR: 1, USD: 0.92}, what a unit of each is worth"),
]
_Mark = Annotated[str | None, said('"." or ","', _CORRECT, allowed=lambda value: value in (None, ".", ","))]


class Settings(BaseModel):
    """What ``organisation.yaml`` says; every key is optional.

    Parameters
    ----------
    name : how reports call the organisation
    contact : whom to ask about a report, as its page says it
    timezone : IANA name of the one zone that days are counted in
    cut_off_hour : the hour at which a day ends; 24 = midnight
    currency : ISO code, for labels only
    currency_rates : what one unit of each currency is worth in the one of the report, for amounts in several
    fiscal_year_start_month : 1 to 12
    grace_business_days : between the end of a period and its freeze
    max_age_days : older data is stale; 0 = any age, for an example that is not renewed
    segments : columns of the export that become segments; empty = chosen by the importer
    deal_type : the column of the export that tells new business, expansion and renewal apart
    snapshot_max_age_days : how long a dated copy is taken to hold when the next one is missing
    owners_tracked_since : the day (YYYY-MM-DD) on which the CRM began to record owner changes; without it,
        the day of the first owner change in the export
    decimal_mark : "." or ",", for columns of numbers that do not show it
    system : which CRM the export comes from, where its files do not say it
    allow_cut : take files that look cut as they are
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: _Words = None
    contact: _Words = None
    timezone: _Zone = "UTC"
    cut_off_hour: _Hour = 24
    currency: _Words = None
    currency_rates: Rates | None = None
    fiscal_year_start_month: Annotated[int, _whole(1, 12)] = 1
    grace_business_days: Annotated[int, _whole(0, 366)] = 10
    max_age_days: Annotated[int, _whole(0, 100_000)] = 14
    segments: _Names = ()
    deal_type: _Words = None
    snapshot_max_age_days: Annotated[int, _whole(1, 366)] = 7
    owners_tracked_since: _Day = None
    decimal_mark: _Mark = None
    system: _Words = None
    allow_cut: Annotated[bool, said("true or false", _CORRECT)] = False

    @property
    def days_in(self) -> str:
        """The zone in which times with a zone are counted as days, where one is stated."""
        return self.timezone if "timezone" in self.model_fields_set else ""


def read_settings(folder: Path) -> tuple[Settings, list[Problem]]:
    """The settings of a folder's ``organisation.yaml`` and what is wrong with them.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "organisation.yaml").write_text("name: Acme\\ntimezon: UTC\\n")
    >>> settings, problems = read_settings(place)
    >>> print(problems[0])
    organisation.yaml, row 2, column timezon: found an unknown key; expected one of name, contact, timezone, cut_off_hour, \
currency, currency_rates, fiscal_year_start_month, grace_business_days, max_age_days, segments, deal_type, \
snapshot_max_age_days, owners_tracked_since, \
decimal_mark, system, allow_cut. Did you mean \
timezone? Correct or remove the line.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        return Settings(), []
    document = read_document(path, "a YAML file", "Write lines of the form key: value.", "Write name: Acme.")
    return document.read_as(Settings), document.problems


def check_options(given: Mapping[str, Any], names: Mapping[str, str]) -> list[Problem]:
    """What is wrong with settings that were given in a call; ``names`` is what the call calls each of them.

    >>> print(check_options({"timezone": "Berlin"}, {"timezone": "--timezone"})[0])
    --timezone: found 'Berlin'; expected a time zone such as Europe/Berlin or UTC. Did you mean Europe/Berlin?
    """
    document = Document("", dict(given))
    document.read_as(Settings)
    return [
        replace(
            problem,
            file=names[str(problem.column)],
            column=None,
            advice=problem.advice.removesuffix(_CORRECT).strip(),
        )
        for problem in document.problems
    ]
