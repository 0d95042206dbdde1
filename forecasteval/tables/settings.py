"""organisation.yaml: settings, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from forecasteval.errors import Problem, nearest
from forecasteval.tables.columns import normal


@dataclass(frozen=True)
class Settings:
    """What ``organisation.yaml`` says; every key is optional.

    Parameters
    ----------
    name : how reports call the organisation
    timezone : IANA name of the one zone that days are counted in
    cut_off_hour : the hour at which a day ends; 24 = midnight
    currency : ISO code, for labels only
    fiscal_year_start_month : 1 to 12
    grace_business_days : between the end of a period and its freeze
    max_age_days : older data is stale; 0 = any age, for an example that is not renewed
    segments : columns of the export that become segments; empty = chosen by the importer
    snapshot_max_age_days : how long a dated copy is taken to hold when the next one is missing
    owners_tracked_since : the day (YYYY-MM-DD) on which the CRM began to record owner changes; without it,
        the day of the first owner change in the export

    Examples
    --------
    >>> Settings(timezone="Europe/Berlin").cut_off_hour
    24
    """

    name: str | None = None
    timezone: str = "UTC"
    cut_off_hour: float = 24
    currency: str | None = None
    fiscal_year_start_month: int = 1
    grace_business_days: int = 10
    max_age_days: int = 14
    segments: tuple[str, ...] = ()
    snapshot_max_age_days: int = 7
    owners_tracked_since: str | None = None


def read_settings(folder: Path) -> tuple[Settings, list[Problem]]:
    """The settings of a folder's ``organisation.yaml`` and what is wrong with them.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "organisation.yaml").write_text("name: Acme\\ntimezon: UTC\\n")
    >>> settings, problems = read_settings(place)
    >>> print(problems[0])
    organisation.yaml, row 2, column timezon: found an unknown key; expected one of name, timezone, cut_off_hour, \
currency, fiscal_year_start_month, grace_business_days, max_age_days, segments, snapshot_max_age_days, owners_tracked_since. Did you mean \
timezone? Correct or remove the line.
    """
    import yaml

    path = folder / "organisation.yaml"
    if not path.exists():
        return Settings(), []
    name = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
        given = yaml.safe_load(text) or {}
        tree = yaml.compose(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        row = mark.line + 1 if mark else None
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        return Settings(), [
            Problem(name, row, None, reason, "a YAML file", "Write lines of the form key: value.")
        ]
    if not isinstance(given, dict):
        return Settings(), [
            Problem(name, None, None, "no keys", "lines of the form key: value", "Write name: Acme.")
        ]
    rows = {key.value: key.start_mark.line + 1 for key, _ in tree.value} if tree is not None else {}
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    known = [item.name for item in fields(Settings)]
    for key, value in given.items():
        row = rows.get(str(key))
        if key not in known:
            advice = f"{nearest(str(key), known)}Correct or remove the line."
            problems.append(
                Problem(name, row, str(key), "an unknown key", f"one of {', '.join(known)}", advice)
            )
            continue
        expected = _setting_expected(key, value)
        if expected:
            guess = _zone_guess(value) if key == "timezone" else ""
            problems.append(Problem(name, row, key, repr(value), expected, f"{guess}Correct the value."))
        elif value is not None:
            values[key] = tuple(str(item) for item in value) if key == "segments" else value
            if key == "owners_tracked_since":
                values[key] = str(value)
    return Settings(**values), problems


def check_options(given: Mapping[str, Any], names: Mapping[str, str]) -> list[Problem]:
    """What is wrong with settings that were given in a call, in the words of the call.

    Parameters
    ----------
    given : keys of ``organisation.yaml`` and their values
    names : what the call calls each key

    Returns
    -------
    list of Problem

    Examples
    --------
    >>> print(check_options({"timezone": "Berlin"}, {"timezone": "--timezone"})[0])
    --timezone: found 'Berlin'; expected a time zone such as Europe/Berlin or UTC. Did you mean Europe/Berlin?
    """
    problems = []
    for key, value in given.items():
        expected = _setting_expected(key, value)
        if expected:
            guess = _zone_guess(value).strip() if key == "timezone" else ""
            problems.append(Problem(names[key], None, None, repr(value), expected, guess))
    return problems


def missing_folder(path: Path, expected: str, advice: str) -> Problem:
    """The problem that there is no folder at a path, or a file in its place.

    Examples
    --------
    >>> missing_folder(Path("no/such"), "an export", "").found
    'no such folder'
    """
    found = "a file" if path.is_file() else "no such folder"
    return Problem(str(path), None, None, found, expected, advice)


_WHOLE_NUMBERS = {
    "fiscal_year_start_month": (1, 12),
    "grace_business_days": (0, 366),
    "max_age_days": (0, 100_000),
    "snapshot_max_age_days": (1, 366),
}


def _setting_expected(key: str, value: Any) -> str | None:
    """What the key expects, when the value is not that."""
    if value is None:
        return None
    if key in _WHOLE_NUMBERS:
        low, high = _WHOLE_NUMBERS[key]
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
        return None if good else f"a whole number from {low} to {high}"
    if key == "cut_off_hour":
        good = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 24
        return None if good else "an hour above 0, at most 24"
    if key == "segments":
        return None if isinstance(value, list) else "a list such as [region, size]"
    if key == "timezone":
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(str(value))
        except (KeyError, OSError, ValueError):
            return "a time zone such as Europe/Berlin or UTC"
        return None
    if key == "owners_tracked_since":
        return None if re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value)) else "a day such as 2024-02-01"
    return None if isinstance(value, str) else "words"


def _zone_guess(value: Any) -> str:
    from zoneinfo import available_timezones

    zones = sorted(available_timezones())
    # a city by itself is the commonest slip, and too far from its zone for its spelling to show it
    cities = {normal(zone.rsplit("/", 1)[-1]): zone for zone in reversed(zones) if "/" in zone}
    city = cities.get(normal(str(value)))
    return f"Did you mean {city}? " if city else nearest(str(value), zones)
