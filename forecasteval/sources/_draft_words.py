"""What the words of a table mean, whatever language or system wrote them; the words stand in draft_words.yaml."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.tables.document import read_facts

_SIDES = ("won", "lost", "undecided")


def tokens(text: str) -> str:
    """The words of a header or a cell in small letters, without accents and punctuation.

    >>> tokens("hs_isClosedWon"), tokens("Verkäufer (Größe)")
    ('hs is closed won', 'verkaufer grosse')
    """
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).replace("ß", "ss")
    return " ".join(re.findall(r"[^\W_]+", _bare(text)))


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def named(header: str, *roles: str) -> bool:
    """Whether a header is called as one of the roles usually is."""
    words = tokens(header)
    return any(_pattern(f"headers.{role}").search(words) for role in roles)


def without(header: str, role: str) -> str:
    """A header's words without those that give it a role.

    >>> without("Vendor forecast (low)", "low")
    'vendor forecast'
    """
    return " ".join(_pattern(f"headers.{role}").sub("", tokens(header)).split())


def side(word: str, header: str = "") -> str | None:
    """What a cell of an outcome says: won, lost or undecided; None where the word does not tell.

    >>> side("Closed - Won"), side("Verloren"), side("Not won"), side("2", "statecode"), side("Won", "statecode")
    ('won', 'lost', None, 'lost', 'won')
    """
    codes: Mapping[str, list[str]] = _words()["codes"].get(tokens(header).replace(" ", ""), {})
    if codes and word.strip().isdigit():
        return next((name for name in _SIDES if word in codes[name]), None)
    words = tokens(word)
    if _pattern("outcomes.not").search(words):
        return None
    found = [name for name in _SIDES if _pattern(f"outcomes.{name}").search(words)]
    return found[0] if len(found) == 1 else None


def yes_and_no(words: Iterable[str]) -> tuple[str, str] | None:
    """Which of two words is yes and which is no; None where they are other words."""
    answers = _words()["outcomes"]
    each = list(words)
    if len(each) != 2:
        return None
    yes = [word for word in each if word.strip().lower() in _folded(answers["yes"], word)]
    no = [word for word in each if word.strip().lower() in _folded(answers["no"], word)]
    return (yes[0], no[0]) if len(yes) == len(no) == 1 else None


def plain_flags(words: pd.Series) -> pd.Series:
    """Yes and no in any of the languages as true and false; other words stay as they are."""
    answers = _words()["outcomes"]
    said = {}
    for word in words.dropna().unique():
        forms = {word.strip().lower(), tokens(word)}
        fits = [
            plain for plain, key in (("true", "yes"), ("false", "no")) if not forms.isdisjoint(answers[key])
        ]
        said[word] = fits[0] if len(fits) == 1 else word
    return words.map(said).astype("str")


def _folded(answers: list[str], word: str) -> set[str]:
    return {*answers, *([word.strip().lower()] if tokens(word) in answers else [])}


@cache
def _words() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = read_facts(Path(__file__).with_name("draft_words.yaml"))
    return loaded


@cache
def _pattern(place: str) -> re.Pattern[str]:
    """One of the words of a list, as whole words; a star stands for any letters."""
    kind, name = place.split(".")
    forms = (re.escape(_bare(word)).replace(r"\*", r"\w*") for word in _words()[kind][name])
    return re.compile(rf"(?:^| )(?:{'|'.join(forms)})(?= |$)")
