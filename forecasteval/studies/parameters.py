"""Parameters of a study, typed once: every value is checked when it is made, and all that is wrong is said at once.

The fields that several studies share stand here with their sentences; a study's own class adds the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar

import pandas as pd
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from forecasteval.errors import CallError, nearest
from forecasteval.inference.questions import QUESTIONS
from forecasteval.matching.deals_as_of import Target
from forecasteval.matching.match import POPULATIONS, Panel
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import METRICS
from forecasteval.tables.organisation import Org

_KINDS = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "list_type": "a list",
    "dict_type": 'an object such as {"rep": 0.03}',
    "finite_number": "a finite number",
}


class Parameters(BaseModel):
    """Checked parameters: a wrong value is refused with what is allowed, all of them in one error.

    Raises
    ------
    CallError
        Lists every value that is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, ser_json_inf_nan="null")

    def __init__(self, *values: Any, **named: Any) -> None:
        """Take values by position, in the order of the fields, or by name."""
        given = dict(zip(type(self).model_fields, values, strict=False)) | named
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise CallError(_all_at_once(_sentences(error, list(type(self).model_fields)))) from None

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as plain values."""
        return self.model_dump()

    _spoken: ClassVar[tuple[str, ...]] = (
        "candidate",
        "baseline",
        "also",
        "scores",
    )  # fields that name forecasters

    def check(self, org: Org) -> None:
        """Refuse what only the data can judge, before anything is matched: a forecaster that is not there.

        Raises
        ------
        CallError
            With the forecasters there are.
        """
        named = [getattr(self, field) for field in self._spoken if field in type(self).model_fields]
        names = [n for one in named for n in ([one] if isinstance(one, str) else one)]
        if org.matched is None:
            Panel(org, as_of=[]).outside(names)
            return
        there = Matched.of(org).names
        if unknown := [n for n in names if n not in there]:
            hint = "".join(nearest(n, there) for n in unknown)
            raise CallError(
                f"There is no forecaster {', '.join(unknown)} in the table. {hint}There are {', '.join(there)}."
            )

    def share(self, org: Org) -> None:
        """Compute once what reports on segments have in common, for processes that are forked from this one."""

    def segments_by(self, org: Org, column: str) -> tuple[dict[str, str], list[str]]:
        """The values of a column that a report can be about, with what people read; and those without deals."""
        raise CallError("this notebook cannot be made for each value of a column")


class Apart(ValueError):
    """Two fields that cannot stand together; a later field's validator says it of the one that is named."""

    def __init__(self, field: str, text: str) -> None:
        """Keep the field beside the text."""
        super().__init__(text)
        self.field = field


def _all_at_once(wrong: Sequence[str]) -> str:
    """One message of several sentences.

    Examples
    --------
    >>> print(_all_at_once(["level: 95 is too much."]))
    1 parameter cannot be used:
    - level: 95 is too much.
    """
    return "\n- ".join([f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:", *wrong])


def _sentences(error: ValidationError, fields: Sequence[str]) -> list[str]:
    found = []
    for e in error.errors(include_url=False):
        name = str(e["loc"][0]) if e["loc"] else ""
        if e["type"] == "value_error":
            name = getattr(e["ctx"]["error"], "field", name)
            found += [f"{name}: {line}" for line in str(e["ctx"]["error"]).split("\n")]
        elif e["type"] == "extra_forbidden":
            found.append(f"{name}: there is no such parameter.{_did_you_mean(name, fields)}")
        elif e["type"] == "missing":
            found.append(f"{name}: must be given.")
        else:
            found.append(f"{name}: {e['input']!r} is not {_KINDS.get(e['type'], e['msg'])}.")
    return found


def _did_you_mean(word: object, allowed: Sequence[str]) -> str:
    """A hint at the nearest allowed word, with a space before it; empty where none is near."""
    near = get_close_matches(str(word), list(allowed), 1)
    return f" Did you mean {near[0]!r}?" if near else ""


# --- rules ------------------------------------------------------------------------------------------


def only(
    allowed: Callable[[Any], bool], told: str, *, typed: bool = True
) -> AfterValidator | BeforeValidator:
    """Only what is allowed; ``told`` says of another ``{value}`` what it is not, where it is ``typed`` of the right type only."""

    def check(value: Any) -> Any:
        if not allowed(value):
            raise ValueError(told.format(value=value))
        return value

    return AfterValidator(check) if typed else BeforeValidator(check)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def between(low: float, high: float, advice: str, *, ends: bool = False) -> Any:
    """Only numbers between two others; with `ends`, these count as between."""
    told = f"{{value!r}} is not between {low:g} and {high:g}; {advice}"
    return only(lambda v: _number(v) and (low < v < high or (ends and low <= v <= high)), told, typed=False)


def one_of(allowed: Sequence[str], others: Mapping[str, str] | None = None) -> AfterValidator:
    """Only these words; ``others`` are refused for reasons of their own."""

    def check(value: str) -> str:
        if others and value in others:
            raise ValueError(f"{value} {others[value]}. Use {', '.join(allowed)}.")
        if value not in allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(allowed)}.{_did_you_mean(value, allowed)}")
        return value

    return AfterValidator(check)


def asked_of(questions: Mapping[tuple[str, ...], Any] | Sequence[tuple[str, ...]]) -> AfterValidator:
    """Only what may differ next time by one of these questions; empty for the default."""

    def check(value: list[str]) -> list[str]:
        if not value or tuple(value) in questions:
            return value
        allowed = "; ".join(str(list(q)) for q in questions)
        words = sorted({word for question in questions for word in question})
        meant = [(get_close_matches(str(w), words, 1) or [str(w)])[0] for w in value]
        hint = f" Did you mean {meant}?" if tuple(meant) in questions else ""
        raise ValueError(f"{list(value)} is not one of {allowed}.{hint}")

    return AfterValidator(check)


def _listed(value: Any) -> Any:
    """One name is a list of one; a tuple is a list."""
    if isinstance(value, str):
        return [value] if value else []
    return list(value) if isinstance(value, tuple) else value


def _target(value: str) -> str:
    Target.parse(value)
    return value


def _day(text: str) -> str:
    try:
        return text and f"{pd.Timestamp(text):%Y-%m-%d}"
    except ValueError:
        raise ValueError(f"{text!r} is not a day such as 2026-02-28.") from None


def _known_metrics(value: list[str]) -> list[str]:
    if not value:
        raise ValueError(f"none is named; choose from {', '.join(METRICS)}.")
    unknown = [m for m in value if m not in METRICS]
    wrong = [f"{m!r} is not one of {', '.join(METRICS)}.{_did_you_mean(m, list(METRICS))}" for m in unknown]
    if value[0] in METRICS and METRICS[value[0]].better == "nearer_zero":
        wrong.append(f"{value[0]} cannot come first; a bias has no verdict.")
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


# --- fields that several studies share ----------------------------------------------------------------

Names = Annotated[list[str], BeforeValidator(_listed)]
Metrics = Annotated[Names, AfterValidator(_known_metrics)]
GeneraliseTo = Annotated[Names, asked_of(QUESTIONS)]
TargetName = Annotated[str, AfterValidator(_target)]
Population = Annotated[str, one_of(POPULATIONS)]
_USUAL = "{value!r} is not between 0.5 and 1; 0.95 is usual."
Level = Annotated[float, only(lambda v: _number(v) and 0.5 <= v < 1, _USUAL, typed=False)]
_LARGEST = "{value!r} is below 0; give the largest difference that does not matter."
Margin = Annotated[float, only(lambda v: _number(v) and v >= 0, _LARGEST, typed=False)]
Seed = Annotated[int, Field(ge=0)]
Day = Annotated[str, AfterValidator(_day)]  # kept as ISO text, however it is written; empty for none


def another_than(first: str) -> Callable[[type[Any], str, Any], str]:
    """For a validator of the second of two forecasters: it cannot be the first as well."""

    def check(cls: type[Any], value: str, info: Any) -> str:
        if value == info.data.get(first):
            raise ValueError(f"{value!r} is the {first} as well; name another forecaster.")
        return value

    return check
