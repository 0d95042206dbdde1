"""A condition on the results of a report, such as `low > 0`: read as words, never evaluated as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT, SAME, UNSURE
from forecasteval.errors import CallError, nearest

_VERDICTS = (CANDIDATE, BASELINE, SAME, UNSURE, CANNOT)
_WORDS = {"verdict": _VERDICTS, "status": ("done", CANNOT, "failed"), "reliable": ("true", "false")}
_NUMBERS = ("difference", "low", "high", "p_value", "data_problems")
_KEYS = (*_WORDS, *_NUMBERS)
_OF_THE_REPORT = ("status", "data_problems")  # the others belong to its primary comparison
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
_SHAPE = re.compile(r"""\s*([\w.]+)\s*(==|!=|<=|>=|<|>)\s*(?:'([^']*)'|"([^"]*)"|([^'"<>=!]+?))\s*""")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Condition:
    """One key of the results, compared with one value.

    >>> loss = Condition.read("verdict == 'baseline better'")
    >>> loss.true_of({"comparisons": [{"primary": True, "verdict": "baseline better"}]})
    True
    """

    text: str
    key: str
    sign: str
    value: str | float

    @classmethod
    def read(cls, text: str) -> Condition:
        """A condition from its text.

        Raises
        ------
        CallError
            Says what is wrong with it and what could stand there.
        """
        found = _SHAPE.fullmatch(text)
        if not found:
            raise CallError(
                f"--fail-on {text!r} is not a condition. Write a key, a sign and a value, such as \"verdict == 'baseline "
                f'better\'" or "low > 0". Keys: {", ".join(_KEYS)}. Signs: {" ".join(_OPERATORS)}.'
            )
        key, sign = found[1], found[2]
        value = next(part for part in found.groups()[2:] if part is not None).strip()
        return cls(text.strip(), key, sign, _value(text, key, sign, value))

    def can_be_asked_of(self, results: Mapping[str, Any]) -> bool:
        """Whether the report has what it speaks of."""
        return self.key in _OF_THE_REPORT or primary_row(results) is not None

    def true_of(self, results: Mapping[str, Any]) -> bool | None:
        """Whether it came true; None where the results have no such value, as the bounds of an interval that is none.

        Raises
        ------
        CallError
            If the report compares nothing, so that the condition could never come true.
        """
        row = results if self.key in _OF_THE_REPORT else primary_row(results)
        if row is None:
            raise CallError(
                f'--fail-on "{self.text}" asks for {self.key}, and this report has no comparison. It was written all the '
                f"same. Such a report has {' and '.join(_OF_THE_REPORT)}."
            )
        found = row.get(self.key)
        if found is None or (isinstance(found, float) and math.isnan(found)):
            return None
        found = str(found).lower() if self.key == "reliable" else found
        return _OPERATORS[self.sign](found, self.value)


def _value(text: str, key: str, sign: str, value: str) -> str | float:
    """The value as the kind that its key has; refused where the two can never meet."""
    wrong = f"--fail-on {text!r}: "
    if key not in _KEYS:
        raise CallError(f"{wrong}there is no key {key!r}. {nearest(key, _KEYS)}Keys: {', '.join(_KEYS)}.")
    if key in _NUMBERS:
        if not _NUMBER.fullmatch(value):
            raise CallError(f"{wrong}{value!r} is not a number, and {key} is one.")
        return float(value)
    if sign not in ("==", "!="):
        raise CallError(f"{wrong}{key} is a word: only == and != can be asked of it.")
    word = value.lower() if key == "reliable" else value
    if word not in _WORDS[key]:
        allowed = ", ".join(repr(w) for w in _WORDS[key])
        raise CallError(f"{wrong}{key} is never {value!r}. {nearest(value, _WORDS[key])}It can be {allowed}.")
    return word


def primary_row(results: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The comparison that carries the headline; of a learning curve the one at its largest size. None if there is none."""
    rows = results.get("comparisons")
    primary = [
        row
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and row.get("primary")
    ]
    return primary[-1] if primary else None
