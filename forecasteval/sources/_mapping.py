"""The mapping of a flat table: which of its columns is what, as a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WrapValidator

from forecasteval.errors import absent
from forecasteval.tables.document import Document, read_document, said
from forecasteval.tables.schemas import RESERVED
from forecasteval.tables.settings import Rates, check_options

_KINDS = ("probability", "rank_score", "amount", "category")
_SETTINGS = ("timezone", "decimal_mark")  # as in organisation.yaml
_OUTCOME = "{column: Status, won: [Won], lost: [Lost]}"
_OUTCOME_ADVICE = "Say which column holds the outcome, in which words."
_FORECAST_KEYS = (
    "keys among column, kind, scale, missing, by, categories, low, high, level, points, column first"
)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _column_alone(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


def _reserved(value: Any) -> str:
    return "Call the rep's own forecast rep_forecast." if value == "rep" else "Choose another name."


_Header = str | int | float | bool  # as YAML reads the name of a column
_Listed = Annotated[list[Any], BeforeValidator(_listed)]


class Decided(BaseModel):
    """A second flag (closed, or lost): a deal that is not won is a lost one where it says closed."""

    model_config = ConfigDict(extra="forbid")

    column: _Header
    closed: _Listed
    open: _Listed = []


class Outcome(BaseModel):
    """The column of the outcome, and the words in which it says won, lost or neither; or a date, with a window.

    With `within_days` the column is the day on which it came true: so many days after the row's own date decide, and a row
    that is younger on the last day of the data (`through`; the newest date of the table) is undecided, not lost.
    """

    column: _Header
    won: _Listed = []
    lost: _Listed = []
    undecided: _Listed = []
    lost_where: Decided | None = None
    within_days: Annotated[int, Field(ge=1)] | None = None
    through: Annotated[str | None, BeforeValidator(lambda v: None if v is None else str(v))] = None


class Blocks(BaseModel):
    """Periods of so many days, from the first date of a column."""

    model_config = ConfigDict(extra="forbid", strict=True)

    column: _Header
    block_days: Annotated[int, Field(ge=1)]


def _one_of(key: str, values: tuple[Any, ...], expected: str, advice: str = "") -> WrapValidator:
    return said(expected, advice, allowed=values.__contains__, found=f"{key} {{!r}}")


_Kind = Annotated[Any, _one_of("kind", _KINDS, f"one of {', '.join(_KINDS)}", "Correct the kind.")]
_Scale = Annotated[Any, _one_of("scale", (1, 100), "1 (shares) or 100 (percentages)")]
_MAKERS = "people (somebody's judgement) or model"
_Maker = Annotated[Any, _one_of("by", (None, "people", "model"), _MAKERS, "Correct it or leave by out.")]


_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Categories = Annotated[
    dict[str, _Share] | list[str] | None,
    said("{Commit: 0.9, Best Case: 0.5}, chances from 0 to 1; or [Commit, Best Case], the surest first"),
]
_GLOSSES = {
    "NoneType": "the forecast category, read as the share of it that was won in earlier periods",
    "dict": "the forecast category, read as the chance that the mapping gives it",
    "list": "the forecast category, in the order that the mapping gives",
}


class Forecast(BaseModel):
    """The column of a forecast, and how it speaks."""

    model_config = ConfigDict(extra="forbid")

    column: _Header = ""
    points: str = ""  # a points table instead of a column: hand-written rules, whose sum ranks
    kind: _Kind = "probability"
    scale: _Scale = 1
    missing: _Listed = []
    by: _Maker = None
    categories: _Categories = None
    low: _Header | None = None  # the ends of a range around an amount, and what is promised of it
    high: _Header | None = None
    level: Any = None

    def speaks(self) -> dict[str, str]:
        """What a matched table says of the forecaster; a category has become a chance, or a rank."""
        said = {"kind": self.kind}
        if self.points:
            return {"kind": "rank_score", "by": "people", "gloss": "the points of the hand-written rules"}
        if self.kind == "category":
            said = {"kind": "rank_score"} if isinstance(self.categories, list) else {"kind": "probability"}
            said["gloss"] = _GLOSSES[type(self.categories).__name__]
        return said | ({} if self.by is None else {"by": self.by})


class Unit(BaseModel):
    """The column of those who were forecast for, in a table of totals, and what they are."""

    model_config = ConfigDict(extra="forbid")

    column: _Header
    level: Literal["rep", "team", "company"] | None = None


_Name = Annotated[
    str,
    BeforeValidator(str),
    said(
        "a name that the matched table does not reserve",
        _reserved,
        allowed=lambda name: name not in RESERVED,
        found="the name {}",
    ),
]
_Forecast = Annotated[Forecast, BeforeValidator(_column_alone), said(_FORECAST_KEYS)]


OPEN = "TODO"  # in the place of an answer that only a person has


class Mapped(BaseModel):
    """Which column of a flat table is what; only the outcome must be named."""

    model_config = ConfigDict(extra="forbid")

    description: Any = ""
    file: Annotated[str | None, said("the name of a file beside the mapping", "Correct it.")] = None
    target: Any = ""
    table: Annotated[str | None, said("the name of a sheet or table", "Correct it.")] = None
    max_age_days: Any = None
    deal_id: Any = None
    as_of: Any = None
    closed_on: Any = None
    period: Annotated[
        Blocks | _Header | None, said("a column, or {column: ..., block_days: 14}", "Correct it.")
    ] = None
    rep: Any = None
    account: Any = None
    won: Annotated[Outcome | None, said(_OUTCOME, _OUTCOME_ADVICE)] = None
    amount: Any = None
    amount_won: Any = None
    currency: Any = None
    currency_rates: Rates = {}
    period_order: _Listed = []
    categories: _Categories = None
    unit: Annotated[Unit | _Header | None, said("a column, or {column: ..., level: rep}", "Correct it.")] = (
        None
    )
    week: Any = None
    actual: Any = None
    timezone: Any = None
    decimal_mark: Any = None
    segments: _Listed = []
    forecasts: Annotated[
        dict[_Name, _Forecast],
        BeforeValidator(lambda value: value or {}),
        said("{name: {column: ..., kind: probability}}"),
    ] = {}
    features: _Listed = []
    fields_as_of: Any = None
    group_duplicates: Any = None


# a table of leads speaks in words of its own
_OF_LEADS = {
    "lead_id": "deal_id",
    "scored_on": "as_of",
    "owner": "rep",
    "campaign": "period",
    "converted": "won",
}


def _read_leads(document: Document) -> Document:
    """A mapping in the words of leads, read as one of deals; problems keep the words in which it was written."""
    given = {str(key): value for key, value in document.given.items()}
    if "converted" not in given:
        return document
    both = [key for key, deal in _OF_LEADS.items() if key in given and deal in given]
    for key in both:
        document.wrong(key, f"{_OF_LEADS[key]} as well", "one of the two", "Write it in the words of leads.")
    document.words = {deal: key for key, deal in _OF_LEADS.items()}
    given = {_OF_LEADS.get(key, key): value for key, value in given.items() if key not in both}
    if isinstance(won := given.get("won"), Mapping):
        given["won"] = {"won" if key == "converted" else key: value for key, value in won.items()}
    document.given = given
    return document


def nouns(mapped: Mapped, document: Document) -> dict[str, str]:
    """What rows, owners and periods are called, where that is not deals, reps and periods."""
    if not document.words:
        return {}
    days = mapped.period.block_days if isinstance(mapped.period, Blocks) else 0
    blocks = {0: "campaigns", 7: "weeks"}.get(days, f"blocks of {days} days")
    return {"deal": "leads", "rep": "owners", "period": blocks, "won": "converted"}


def document_of(mapping: str | Path | Mapping[str, Any], first_line: str) -> Document:
    """The keys of a mapping, or of the YAML file that holds it; ``first_line`` says how to begin one."""
    if isinstance(mapping, Mapping):
        return Document("mapping", dict(mapping))
    path = Path(mapping)
    if not path.exists():
        return Document(path.name, {}, problems=[absent(path, "file", "a YAML mapping", first_line)])
    return read_document(path, "YAML", "Correct the line.", first_line)


def read_mapping(mapping: str | Path | Mapping[str, Any]) -> tuple[Mapped, Document]:
    """A mapping, or the YAML file that holds it; what is wrong with it stands in the document."""
    document = document_of(mapping, "Draft one with --explain.")
    unread = bool(document.problems)
    if _open_questions(document):
        return Mapped(), replace(document, given={})
    document = _read_leads(document)
    mapped = document.read_as(Mapped)
    for forecast in mapped.forecasts.values():
        if forecast.points and not isinstance(mapping, Mapping):
            forecast.points = str(Path(mapping).parent / forecast.points)
    if mapped.actual is not None:
        _refuse_deals(mapped, document)
    elif mapped.won is None and not unread:
        key = document.words.get("won", "won")
        if key not in [problem.column for problem in document.problems]:
            document.wrong("won", "nothing", _OUTCOME, _OUTCOME_ADVICE)
    stated = {key: getattr(mapped, key) for key in _SETTINGS}
    for problem in check_options(stated, {key: key for key in _SETTINGS}):
        document.wrong(problem.file, problem.found, problem.expected, problem.advice)
        setattr(mapped, problem.file, None)
    _refuse_contradictions(mapped, document)
    return mapped, document


def _refuse_deals(mapped: Mapped, document: Document) -> None:
    """Totals by period speak of no single deal, and each forecast of them is an amount."""
    of_deals = ("won", "deal_id", "account", "amount", "amount_won", "features", "segments")
    for key in (key for key in of_deals if getattr(mapped, key)):
        document.wrong(
            key, "a key of deals beside actual", "keys of totals", "Take out the one or the other."
        )
    if mapped.period is None or isinstance(mapped.period, Blocks):
        document.wrong("period", "no column", "the column of the period", "Name it.")
    for name, forecast in mapped.forecasts.items():
        if forecast.kind != "amount" and "kind" in forecast.model_fields_set:
            document.wrong(
                f"forecasts.{name}", f"kind {forecast.kind!r}", "kind: amount for totals", "Correct it."
            )


def _open_questions(document: Document) -> bool:
    """Whether a draft still holds questions; each is a problem."""
    asked = [key for key, answer in _leaves("", document.given) if answer == OPEN]
    for key in asked:
        document.wrong(key, "a question that is still open", "an answer", f"Write it instead of {OPEN}.")
    return bool(asked)


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{place}.{key}" if place else str(key), inner)
    else:
        yield from ((place, one) for one in _listed(value))


def _refuse_contradictions(mapped: Mapped, document: Document) -> None:
    """One word with two meanings, one column in two places, a scale where there is none."""
    columns = {key: getattr(mapped, key) for key in ("deal_id", "as_of", "rep", "amount")}
    if mapped.won is not None:
        _refuse_words(mapped.won, mapped.as_of, document)
        second = mapped.won.lost_where
        columns = {"won": mapped.won.column, "won.lost_where": second.column if second else None} | columns
    forecasts = {f"forecasts.{name}": forecast for name, forecast in mapped.forecasts.items()}
    columns |= {key: forecast.column for key, forecast in forecasts.items() if not forecast.points}
    uses: dict[str, list[str]] = {}
    for key, column in ((key, column) for key, column in columns.items() if column is not None):
        before = uses.setdefault(str(column), [])
        # one column may hold a probability whose rank is looked at as well
        taken = [
            k
            for k in before
            if k not in forecasts or key not in forecasts or forecasts[k].kind == forecasts[key].kind
        ]
        if taken:
            found = f"the column {column}, which is {taken[0]} already"
            document.wrong(key, found, "a column of its own", "Name another column, or take one of them out.")
        before.append(key)
    for key, forecast in forecasts.items():
        if bool(forecast.points) == (forecast.column != ""):
            found = "column and points" if forecast.points else "neither column nor points"
            document.wrong(key, found, "a column, or a points table", "Correct it.")
        if mapped.actual is None and (forecast.low is not None or forecast.high is not None):
            expected = "a range around totals alone"
            document.wrong(key, "low or high of single deals", expected, "Take low and high out.")
        if forecast.scale != 1 and forecast.kind != "probability":
            found, advice = f"scale {forecast.scale} of kind {forecast.kind}", "Take out scale, or kind."
            document.wrong(key, found, "a scale for probabilities only", advice)


def _refuse_words(won: Outcome, as_of: Any, document: Document) -> None:
    """Words that say two things, or none; and a window of days beside words, or without a day from which it counts."""
    lists = {meaning: getattr(won, meaning) for meaning in ("won", "lost", "undecided")}
    seen: dict[str, str] = {}
    for meaning, words in lists.items():
        for word in sorted({spelling for one in words for spelling in spellings(one)}):
            other = seen.setdefault(word, meaning)
            if other != meaning:
                found = f"{word!r} under {other} and under {meaning}"
                document.wrong("won", found, "each word once", "Say which of them it means.")
    empty = [meaning for meaning in ("won", "lost") if not lists[meaning]]
    if won.within_days is None and empty:
        document.wrong("won", f"no word for {' and '.join(empty)}", _OUTCOME, _OUTCOME_ADVICE)
    if won.within_days is not None and (len(empty) < 2 or as_of is None):
        found = f"a window of days {'without as_of' if as_of is None else 'beside words'}"
        expected = "{column: Converted On, within_days: 30}, a column of dates, and as_of"
        document.wrong("won", found, expected, "Name the day from which the window counts (as_of).")


# what YAML turns into true and false
_TRUE_WORDS, _FALSE_WORDS = ("true", "yes", "on"), ("false", "no", "off")


def spellings(word: Any) -> tuple[str, ...]:
    """A word in small letters; an unquoted Yes or No of YAML in all the ways in which it may be meant."""
    if isinstance(word, bool):
        return _TRUE_WORDS if word else _FALSE_WORDS
    return (str(word).strip().lower(),)
