"""What a page calls a forecaster or another report: words where the tables have a name such as `rep_forecast`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

LAB = "JPY_SESSION_NAME"  # what a Jupyter server tells the kernels that people open notebooks with
offered: set[str] = set()  # forecasters that the form of this kernel's notebook offers
_LABELS = {
    "model": "the model",
    "rep_forecast": "the reps' own forecast",
    "rep_recalibrated": "the reps corrected by their own past",
    "rep_category": "the reps' forecast category",
    "stage_rate": "the stage's past win rate",
    "base_rate": "the overall past win rate",
    "mix": "half model, half reps",
    "rules": "the rules",
    "compare_forecasts": "the comparison report",
    "measured_outcome": "the report on a measured outcome",
    "pipeline_review": "the pipeline review",
    "plan_pilot": "the plan of a pilot",
    "vendor_claim": "the report on a claim",
    "weekly_monitor": "the weekly report",
    "data_sufficiency": "the report on enough data",
}
_SNAKE = r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+"
_TOKEN = re.compile(rf"(?<![\w./\\<-])(?:{_SNAKE}|model)(?![\w/(=]|-\w|\.\w)")
# English puts no singular noun without one of these: a "model" that stands bare is the forecaster of that name
_NOT_A_NAME = re.compile(
    r"(?:^|[\s(\u201c\"'])(?:the|an?|no|any|each|every|one|this|its|their|your|own|other|better|best|new|frozen|"
    r"reference|good|\w+(?:'s|s'))\s+$",
    re.IGNORECASE,
)
_LEARNED = re.compile(r"(\w+)_n(\d+)")  # a forecaster that has learned from so many deals
_STARTS = re.compile(r"(?:^|[.!?]\s+|[.!?]\N{NO-BREAK SPACE})$")


def names_in(results: Mapping[str, Any]) -> set[str]:
    """The forecasters that results speak about."""
    found = {str(results[key]) for key in ("candidate", "baseline") if results.get(key)}
    for key in ("parameters", "forecasters", "others"):
        part = results.get(key)
        if isinstance(part, Mapping):
            of = part if key != "parameters" else {part.get("candidate"): 0, part.get("baseline"): 0}
            found |= {str(name) for name in of if name}
    return found


def label(name: str) -> str:
    """A forecaster in words: its own, or its name without underscores.

    >>> label("rep_forecast"), label("vendor_x"), label("model_n200")
    ("the reps' own forecast", 'Vendor X', 'the model from 200 closed deals')
    """
    if name in _LABELS:
        return _LABELS[name]
    if (learned := _LEARNED.fullmatch(name)) and learned[1] in _LABELS:
        return f"{_LABELS[learned[1]]} from {int(learned[2]):,} closed deals"
    if not re.fullmatch(_SNAKE, name):
        return name
    words = " ".join(w.upper() if len(w) == 1 else w for w in name.split("_"))
    return words[0].upper() + words[1:]


def in_words(text: str, names: Iterable[str] = (), *, starts: bool = True, bare: bool = False) -> str:
    """A text with every name that it holds in words.

    `names` are those of files, `starts` says that a sentence begins, `bare` leaves the article of its first word out.

    >>> in_words("model is better than rep_forecast. Give the model more than vendor_x had; set show_names.", ["vendor_x"])
    "The model is better than the reps' own forecast. Give the model more than Vendor X had; set show names."
    """
    known = set(names)

    def said(found: re.Match[str]) -> str:
        name, before = found[0], text[: found.start()]
        if before.endswith(("named ", "called ", "report ")) or (
            name == "model" and _NOT_A_NAME.search(before)
        ):
            return name  # what stands after these is there to be typed
        words = label(name) if name in _LABELS or name in known else name.replace("_", " ")
        if words.startswith("the ") and re.search(r"\b(?:the|an?)\s+$", before, re.IGNORECASE):
            words = words.removeprefix("the ")
        begins = starts if not before.strip() else bool(_STARTS.search(before))
        return words[0].upper() + words[1:] if begins else words

    alone = text.strip()
    told = label(alone) if alone in _LABELS else _TOKEN.sub(said, text)
    if told == text:
        return text
    if bare:
        told = re.sub(r"^\s*[Tt]he ", "", told)
    return told[0].upper() + told[1:] if starts else told


def on_axis(name: str) -> str:
    """A forecaster where room is short: without its article."""
    return label(name).removeprefix("the ")


# --- in markup ----------------------------------------------------------------------------------------

_BLOCKS = ("p", "li", "td", "th", "dt", "dd", "figcaption", "summary")


def say_names(part: Any, names: Iterable[str]) -> None:
    """Words for the names of forecasters in a part of a page, but where a name stands as something to type."""
    for text in part.find_all(string=True):
        if in_words(text, names) == text or text.find_parent(["code", "pre", "style"]):
            continue
        cell = text.find_parent(["td", "th", "dt"]) is not None
        text.replace_with(in_words(text, names, starts=_begins(text), bare=cell))
    for picture in part.find_all("img", alt=True):
        picture["alt"] = in_words(picture["alt"], names)


def _begins(text: Any) -> bool:
    """Does this text begin its paragraph or cell?"""
    place = text
    while place is not None and place.name not in _BLOCKS:
        before = place.previous_sibling
        if before is not None and str(before).strip():
            return False
        place = place.parent
    return place is None or place.name != "dd"


def for_a_person(markup: str) -> str:
    """A block as it is shown in JupyterLab: with words for names, as on the page; elsewhere as it is.

    What a report stores keeps the names, and its page says the words for them.
    """
    if LAB not in os.environ:
        return markup
    from bs4 import BeautifulSoup

    part = BeautifulSoup(markup, "html.parser")
    say_names(part, offered)
    return str(part)
