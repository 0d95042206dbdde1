"""Names of periods, as people write them, in their order in time."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# in English, German, French, Spanish, Portuguese, Italian and Dutch, without accents
_MONTHS = (
    "january januar janner janvier enero janeiro gennaio januari", "february februar fevrier febrero fevereiro febbraio februari",
    "march marz maerz mrz mars marzo marco maart mrt", "april avril abril aprile", "may mai mayo maio maggio mei",
    "june juni juin junio junho giugno", "july juli juillet julio julho luglio", "august aout agosto augustus",
    "september septembre septiembre setiembre setembro settembre", "october oktober octobre octubre outubro ottobre",
    "november novembre noviembre novembro", "december dezember decembre diciembre dezembro dicembre",
)  # fmt: skip
_YEAR = r"(?:fy|gj|ej)?[ '’]?(?P<year>(?:19|20)\d\d|\d\d)(?:[/-]\d\d)?"
_LONG_YEAR = r"(?:fy|gj)? ?(?P<year>(?:19|20)\d\d)"
_GAP = r"[ ./_–-]*"
_QUARTER = (
    r"(?:(?:q|t|k|quarter|quartal|trimestre|trim|kwartaal) ?(?P<part>[1-9])"
    r"|(?P<other>[1-9])(?:\.|e|er|º|°|st|nd|rd|th)? ?(?:q|t|k|quarter|quartal|trimestre|trim|kwartaal))\.?"
)
_HALF = r"(?:(?:h|s|hj) ?(?P<part>[12])|(?P<other>[12])\.? ?(?:h|s|hj|halbjahr|half))"
_WEEK = r"(?:w|kw|wk|cw|week|woche|semaine|semana|settimana|sem) ?(?P<part>\d{1,2})"
_WORD = r"(?P<word>[^\W\d_]{3,10})\.?"
_PATTERNS = [
    (re.compile(form, re.IGNORECASE), parts)
    for whole, parts in ((_QUARTER, 4), (_HALF, 2), (_WEEK, 53), (_WORD, 12))
    for form in (rf"{whole}{_GAP}{_YEAR}", rf"{_YEAR}{_GAP}{whole}")
] + [
    (re.compile(form, re.IGNORECASE), parts)
    for form, parts in (
        (rf"{_LONG_YEAR}[-/.m ]?(?P<part>0?[1-9]|1[0-2])", 12),
        (r"(?P<part>0?[1-9]|1[0-2])[-/. ](?P<year>(?:19|20)\d\d)", 12),
        (r"(?:fy|gj) ?'?(?P<year>(?:19|20)?\d\d)|(?P<other_year>(?:19|20)\d\d)", 1),
    )
]
_DAY = re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?:$|[T ].*)")


_NOUNS = {1: "years", 2: "half-years", 4: "quarters", 12: "months", 53: "weeks"}
_LONG = {"months": (28, 31), "quarters": (80, 100), "half-years": (175, 190), "years": (360, 372)}  # days


def month_named(word: str) -> int | None:
    """The number of the month that a word names, whole or by its first three letters or more.

    >>> month_named("Sept."), month_named("Juin"), month_named("févr"), month_named("Marble"), month_named("jui")
    (9, 6, 2, None, None)
    """
    bare = "".join(c for c in unicodedata.normalize("NFKD", word.lower()) if c.isalpha())
    fits = [
        number
        for number, names in enumerate(_MONTHS, start=1)
        if len(bare) > 2 and any(name.startswith(bare) for name in names.split())
    ]
    return fits[0] if len(fits) == 1 else None


def period_noun(labels: Iterable[str], calendar: Any = None) -> str:
    """What people call such periods: by how long they are where a calendar is given, else by their names.

    A quarter may have 12 to 14 weeks (4-4-5, a year of 53 weeks); periods of four or five weeks are no calendar months.

    >>> period_noun(["FY2025-Q1", "2024 Q3"]), period_noun(["2025-01", "2025-02"]), period_noun(["P1", "P2"])
    ('quarters', 'months', 'periods')
    """
    if calendar is not None and len(calendar):
        days = (calendar["ends_on"] - calendar["starts_on"]).dt.days + 1
        return next((n for n, (least, most) in _LONG.items() if days.between(least, most).all()), "periods")
    names = [str(label).strip() for label in labels]
    if all(re.search(r"(?i)q ?[1-4]|[1-4] ?q", name) for name in names):
        return "quarters"
    kinds = {(_place(name) or (0,))[0] for name in names}
    return _NOUNS.get(kinds.pop(), "periods") if len(kinds) == 1 else "periods"


def in_order_of_time(labels: Iterable[str]) -> list[str] | None:
    """The labels in their order in time; None where it cannot be told from them.

    >>> in_order_of_time(["Q2 FY24", "Q1 FY25", "Q1 FY24"])
    ['Q1 FY24', 'Q2 FY24', 'Q1 FY25']
    >>> in_order_of_time(["Jan-24", "Dez-23"]), in_order_of_time(["KW 12", "KW 3"])
    (['Dez-23', 'Jan-24'], None)
    """
    places: dict[str, tuple[int, ...]] = {}
    for label in dict.fromkeys(labels):
        place = _place(label.strip())
        if place is None:
            return None
        places[label] = place
    one_kind = len({place[0] for place in places.values()}) == 1
    if not one_kind or len(set(places.values())) < len(places):
        return None
    return sorted(places, key=places.__getitem__)


def _place(label: str) -> tuple[int, ...] | None:
    """How many parts a year has, the year, and which part of it a label names."""
    day = _DAY.fullmatch(label)
    if day:
        return 366, int(day["year"]), int(day["month"]), int(day["day"])
    for pattern, parts in _PATTERNS:
        found = pattern.fullmatch(label)
        if found is None:
            continue
        said = found.groupdict()
        text = said.get("year") or said.get("other_year")
        assert text is not None
        year = int(text) + (2000 if len(text) == 2 else 0)
        part = int(said.get("part") or said.get("other") or 1)
        if said.get("word"):
            part = month_named(said["word"]) or 0
        if part:
            return parts, year, part
    return None
