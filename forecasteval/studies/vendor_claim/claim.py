"""A claim as data: the exact sentence, and what is stated about it; "not stated" is an answer and counts."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from forecasteval.errors import InputError
from forecasteval.studies.vendor_claim._texts import TEXTS
from forecasteval.tables.document import read_document, said

NOT_STATED = "not stated"
CHECKABLE, ONCE_STATED, NOT_CHECKABLE = "checkable", "checkable once these facts are stated", "not checkable"
_SAYS_NOTHING = {"", "-", "–", "?", "n/a", "na", "tbd", "tba", "tbc", "unknown", "not stated", "none stated"}
_LONGEST = 4000
# what a terminal or a spreadsheet would obey, or show otherwise than it is
_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True)
class Row:
    """One question of the card; ``needed`` says of which claims the number cannot be recomputed without its answer."""

    title: str
    question: str
    needed: Literal["always", "better", "never"] = "never"
    yes_or_no: bool = False


ROWS: dict[str, Row] = {key: Row(**row) for key, row in TEXTS["card"].items()}


def _text(value: Any) -> Any:
    """Text without what a terminal or a spreadsheet would obey; a date or a number as it was written."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.date | int | float):
        value = str(value)
    return _OBEYED.sub("", value).replace("\t", " ").strip() if isinstance(value, str) else value


def _answer(value: Any) -> Any:
    value = _text(value)
    if not isinstance(value, str):
        return value
    word = value.lower().rstrip(".")
    yes_or_no = {"true": "yes", "false": "no"}  # as a spreadsheet keeps them
    return NOT_STATED if word in _SAYS_NOTHING else yes_or_no.get(word, value)


_SHORT = said(f"text of at most {_LONGEST:,} characters", "Write it as text."), StringConstraints(max_length=_LONGEST)  # fmt: skip
Text = Annotated[str, _SHORT[0], BeforeValidator(_text), _SHORT[1]]
_Answer = Annotated[str, _SHORT[0], BeforeValidator(_answer), _SHORT[1]]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Answers: Any = create_model(  # type: ignore[call-overload]
    "Answers",
    __base__=_Part,
    **{
        key: (_Answer, Field(NOT_STATED, title=row.title, description=row.question))
        for key, row in ROWS.items()
    },
)


_Money = Annotated[float, said("a number above 0", "Write it without a currency.", allowed=lambda v: v > 0)]
_Share = Annotated[
    float, said("a number above 0 and not above 1", "0.2 is a fifth.", allowed=lambda v: 0 < v <= 1)
]
_Count = Annotated[int, said("a whole number, not below 0", "Write a number.", allowed=lambda v: v >= 0)]


class Costs(_Part):
    """What it costs and brings to act on a forecast, in the currency of the amounts; only the buyer knows it."""

    attention: Annotated[_Money | None, Field(description="What attention to one deal costs.")] = None
    gain: Annotated[_Money | None, Field(description="What attention to a deal that is won brings.")] = None
    gain_share: Annotated[_Share | None, Field(description="The same as a share of the deal's amount.")] = (
        None
    )
    attended: Annotated[
        _Share | None,
        Field(
            description="Share of each list that gets attention; without it every deal of which it is worth the cost."
        ),
    ] = None
    over: Annotated[_Money | None, Field(description="Cost of each unit committed and not booked.")] = None
    under: Annotated[_Money | None, Field(description="Cost of each unit booked beyond the commitment.")] = (
        None
    )
    price: Annotated[_Money | None, Field(description="What the vendor's product costs per quarter.")] = None

    @property
    def given(self) -> bool:
        """Is any of them given?"""
        return self.attention is not None or self.over is not None

    @model_validator(mode="after")
    def _whole(self) -> Costs:
        """A rule needs all of its numbers."""
        gains = (self.gain is not None) + (self.gain_share is not None)
        if self.attention is not None and gains != 1:
            raise _lacks("a cost of attention", "gain or gain_share beside it", "What does a won deal bring?")
        if self.attention is None and (gains or self.attended is not None):
            raise _lacks("a gain without its cost", "attention: what it costs for one deal", "Add it.")
        if (self.over is None) != (self.under is None):
            raise _lacks("one of over and under", "both", "What does a unit too much and too little cost?")
        if self.price is not None and not self.given:
            raise _lacks("a price alone", "attention and gain, or over and under", "What is it used for?")
        return self


def _lacks(found: str, expected: str, advice: str) -> PydanticCustomError:
    words = {"found": found, "expected": expected, "advice": advice}
    return PydanticCustomError("said", "{found}; expected {expected}. {advice}", words)


class Minimum(_Part):
    """How much data the vendor itself asks for before its scores are to be used."""

    won: Annotated[_Count | None, Field(description="Deals that were won.")] = None
    lost: Annotated[_Count | None, Field(description="Deals that were lost.")] = None
    months: Annotated[_Count | None, Field(description="Within the last so many months.")] = None


class Claim(_Part):
    """What somebody says that a forecast can do, and what is known of how that was found."""

    sentence: Annotated[Text, Field(min_length=1, description="The exact sentence, in the original words.")]
    said_by: Annotated[_Answer, Field(description="Who says it.")] = NOT_STATED
    place: Annotated[_Answer, Field(description="Where: page, slide, call.")] = NOT_STATED
    url: Annotated[_Answer, Field(description="Its address, where it has one.")] = NOT_STATED
    said_on: Annotated[_Answer, Field(description="When it was said, as 2026-03-20.")] = NOT_STATED
    read_on: Annotated[_Answer, Field(description="When it was read there.")] = NOT_STATED
    who_gains: Annotated[_Answer, Field(description="Who gains if it is believed.")] = NOT_STATED
    about: Annotated[
        Literal["product", "study"],
        said("product or study", "product: what the buyer can try; study: a finding about others."),
        Field(description="product: what a buyer can try; study: a finding about somebody else's deals."),
    ] = "product"
    says: Annotated[
        Literal["better", "accuracy"],
        said("better or accuracy", "better: than somebody or something; accuracy: a number on its own."),
        Field(description="better: than somebody or something; accuracy: a number on its own."),
    ] = "accuracy"
    study_found: Annotated[
        _Answer,
        Field(
            description="Only of a study: can it be found and read? Begin with yes or no; say where it was looked for."
        ),
    ] = NOT_STATED
    minimum: Annotated[
        Minimum,
        Field(description="How many deals the vendor itself asks for: won, lost, within how many months."),
    ] = Minimum()
    costs: Annotated[
        Costs,
        Field(
            description="What acting on the forecast costs and brings (attention, gain or gain_share, attended; over, under; price). "
            "Stays with the buyer: it is in no questionnaire."
        ),
    ] = Costs()
    answers: Annotated[
        _Answers,
        Field(default_factory=_Answers, description="The card; what is left out is not stated."),
    ]

    @property
    def stated(self) -> dict[str, str]:
        """The rows of the card that are answered, with their answers."""
        return {key: text for key in ROWS if (text := getattr(self.answers, key)) != NOT_STATED}

    @property
    def origin_missing(self) -> list[str]:
        """What is not stated of row 1: place, date, who gains."""
        return [name for name in ("place", "said_on", "who_gains") if getattr(self, name) == NOT_STATED]


def _says_no(answer: str) -> bool:
    return re.match(r"(?i)no\b", answer) is not None and answer != NOT_STATED


@dataclass(frozen=True)
class Score:
    """The outcome of the card's rule: never that a claim is false, never a mark out of ten."""

    verdict: str
    missing: tuple[str, ...]  # rows that are needed and not stated
    why: str
    stated: int
    asked: int

    @property
    def words(self) -> str:
        """The verdict as it is printed.

        >>> Score(ONCE_STATED, ("formula",), "", 3, 21).words
        'checkable once this 1 fact is stated'
        """
        n = len(self.missing)
        if self.verdict != ONCE_STATED:
            return self.verdict
        return f"checkable once {'this 1 fact is' if n == 1 else f'these {n} facts are'} stated"


def needed(claim: Claim) -> list[str]:
    """The rows without which the number of this claim cannot be recomputed."""
    asked = ("always", "better") if claim.says == "better" else ("always",)
    return [key for key, row in ROWS.items() if row.needed in asked]


def score(claim: Claim) -> Score:
    """The rule of the card, in this order.

    1. A finding of a study that cannot be found, or a number that the buyer may not recompute: not checkable.
    2. Facts missing without which the number cannot be recomputed: checkable once these n facts are stated.
    3. Otherwise: checkable.

    Examples
    --------
    >>> score(Claim(sentence="98% accurate")).words
    'checkable once these 6 facts are stated'
    >>> score(Claim(sentence="10% more revenue", about="study", study_found="no, looked for it in vain")).verdict
    'not checkable'
    """
    stated = claim.stated
    counts = (len(stated) + (not claim.origin_missing), len(ROWS) + 1)
    missing = tuple(key for key in needed(claim) if key not in stated)
    if claim.about == "study" and _says_no(claim.study_found):
        return Score(NOT_CHECKABLE, missing, "The study behind it cannot be found.", *counts)
    if _says_no(claim.answers.recompute):
        return Score(NOT_CHECKABLE, missing, "The buyer may not, or cannot, recompute it.", *counts)
    if missing:
        return Score(ONCE_STATED, missing, "Without them nobody can compute the number again.", *counts)
    return Score(CHECKABLE, (), "All that it takes to compute the number again is stated.", *counts)


# --- as a file ----------------------------------------------------------------------------------------

_HEAD = """\
# A claim as data. "not stated" is an answer and counts; so do an empty line, n/a, tbd and unknown.
# forecasteval claim card THIS_FILE prints the card; forecasteval claim schema describes every key.
"""


def read_claim(path: Path) -> Claim:
    """A claim from its YAML file.

    Raises
    ------
    InputError
        Lists everything that is wrong with the file, with its row.
    """
    document = read_document(path, "the YAML file of a claim", "Correct the line.", 'Write sentence: "...".')
    if document.problems:
        raise InputError(document.problems)
    if not str(document.given.get("sentence") or "").strip():
        document.wrong("sentence", "nothing", "the exact sentence", "Write it as it was said.")
        raise InputError(document.problems)
    claim = document.read_as(Claim)
    if document.problems:
        raise InputError(document.problems)
    return claim


def as_yaml(claim: Claim) -> str:
    """A claim as commented YAML, which :func:`read_claim` reads back as it was."""
    lines = [_HEAD]
    for key, value in claim.model_dump(exclude={"answers"}, exclude_none=True).items():
        lines.append(_comment(Claim.model_fields[key].description or "") + _line(key, value))
    lines.append("answers:\n")
    for key, row in ROWS.items():
        inner = _comment(row.question) + _line(key, getattr(claim.answers, key))
        lines.append("".join(f"  {line}\n" if line else "\n" for line in inner.split("\n")[:-1]))
    return "".join(lines)


def _line(key: str, value: Any) -> str:
    return str(yaml.safe_dump({key: value}, allow_unicode=True, width=100, sort_keys=False))


def _comment(text: str) -> str:
    import textwrap

    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 100))


def schema() -> dict[str, Any]:
    """The JSON schema of a claim's file."""
    found = Claim.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
