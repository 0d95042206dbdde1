"""A YAML file of keys and values that becomes a model; all that is wrong with it is said, with its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from forecasteval.errors import Problem, nearest, unreadable

_MOST_VALUES = 100_000
_Model = TypeVar("_Model", bound=BaseModel)


def said(
    expected: str,
    advice: str | Callable[[Any], str] = "",
    *,
    allowed: Callable[[Any], bool] = lambda value: True,
    found: str = "{!r}",
) -> WrapValidator:
    """Only values that the type and ``allowed`` let through; what is expected is said in our own words."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            read = handler(value)
            if allowed(read):
                return read
        except ValidationError as error:
            if any(one["type"] == "said" for one in error.errors()):
                raise  # a part has said it already
        told = advice(value) if callable(advice) else advice
        words = {"found": found.format(value), "expected": expected, "advice": told}
        raise PydanticCustomError("said", "expected {expected}", words)

    return WrapValidator(check)


@dataclass
class Document:
    """Keys and values as they were given, the row of each key, and what is wrong with them.

    ``words`` says how the file calls a key, where it has a word of its own for it.
    """

    file: str
    given: dict[str, Any]
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)

    def wrong(self, key: str, found: str, expected: str, advice: str) -> None:
        """Add the problem of one key; the parts of a nested one are joined by dots."""
        parts = key.split(".")
        parts[0] = self.words.get(parts[0], parts[0])
        key = ".".join(parts)
        heads = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
        row = next((self.rows[head] for head in heads if head in self.rows), None)
        self.problems.append(Problem(self.file, row, key, found, expected, advice))

    def read_as(self, model: type[_Model], advice: str = "Correct it.") -> _Model:
        """The values as a model; what cannot be used is said and left out, and so is a key without a value."""
        values = {str(k): _there(v) for k, v in self.given.items() if v is not None}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            found = error.errors(include_url=False)
        for one in found:
            place = [str(part) for part in one["loc"][:2]]
            if one["type"] == "said":
                context = one["ctx"]
                told = context["advice"] or advice
                self.wrong(".".join(place), context["found"], context["expected"], told)
            elif one["type"] == "missing":
                self.wrong(".".join(place), "nothing", f"a line {place[-1]}: ...", "Write it.")
            elif one["type"] == "model_type":
                told = f"Indent them below {place[0]}."
                self.wrong(place[0], repr(one["input"])[:60], "lines of the form key: value", told)
            else:
                inside: Any = model.model_fields[place[0]].annotation if len(place) > 1 else model
                fields = getattr(inside, "model_fields", model.model_fields)
                known = [self.words.get(name, name) for name in fields]
                told = f"{nearest(place[-1], known)}Correct or remove the line."
                self.wrong(".".join(place), "an unknown key", f"one of {', '.join(known)}", told)
            inner = values.get(place[0])
            if len(place) > 1 and isinstance(inner, Mapping):
                values[place[0]] = {key: value for key, value in inner.items() if str(key) != place[1]}
            else:
                values.pop(place[0], None)
        try:
            return model.model_validate(values)
        except ValidationError:  # without what it cannot do without: the problems say so
            return model.model_construct(**values)


def _there(value: Any) -> Any:
    """Of a part of a document the keys that have a value."""
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else value


def read_facts(path: Path) -> Any:
    """A YAML file of the package itself, in which nothing can be wrong; the loader in C takes a fifth of the time."""
    return yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def read_document(path: Path, expected: str, advice: str, first_line: str) -> Document:
    """A YAML file of keys; ``advice`` is for one that cannot be parsed, ``first_line`` for one without keys."""
    if problem := unreadable(path, path.name, expected):
        return Document(path.name, {}, problems=[problem])
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        if problem := _bloated(tree, path.name, expected):
            return Document(path.name, {}, problems=[problem])
        given = yaml.safe_load(text)
    except RecursionError:
        problem = Problem(path.name, None, None, "brackets within brackets without end", expected, advice)
        return Document(path.name, {}, problems=[problem])
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error).splitlines()[0]
        problem = Problem(path.name, mark.line + 1 if mark else None, None, reason, expected, advice)
        return Document(path.name, {}, problems=[problem])
    if not given:
        return Document(path.name, {})
    if not isinstance(given, dict) or not isinstance(tree, yaml.MappingNode):
        problem = Problem(path.name, None, None, "no keys", "lines of the form key: value", first_line)
        return Document(path.name, {}, problems=[problem])
    return Document(path.name, given, _rows(tree), _twice(tree, path.name))


def _rows(node: Any, above: str = "") -> dict[str, int]:
    """The row of each key and of each item of a list, at any depth."""
    if isinstance(node, yaml.MappingNode):
        inside = [(str(key.value), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        inside = [(str(at), item, item) for at, item in enumerate(node.value)]
    else:
        return {}
    rows: dict[str, int] = {}
    for name, place, value in inside:
        rows[f"{above}{name}"] = place.start_mark.line + 1
        rows |= _rows(value, f"{above}{name}.")
    return rows


def _bloated(tree: Any, file: str, expected: str) -> Problem | None:
    """A file whose aliases, written out, would make it endless or very long."""
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        if id(node) not in sizes:
            sizes[id(node)] = float("inf")  # until it is known: a node within itself has no end
            children = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if tree is None or size(tree) <= _MOST_VALUES:
        return None
    found = f"aliases that stand for more than {_MOST_VALUES:,} values"
    return Problem(file, tree.start_mark.line + 1, None, found, expected, "Write the values out.")


def _twice(tree: Any, file: str, above: str = "") -> list[Problem]:
    """Keys that stand twice: YAML would take the last of them without a word."""
    if isinstance(tree, yaml.SequenceNode):
        return [p for at, item in enumerate(tree.value) for p in _twice(item, file, f"{above}{at}.")]
    if not isinstance(tree, yaml.MappingNode):
        return []
    problems, seen = [], dict[str, int]()
    for key, value in tree.value:
        name, row = f"{above}{key.value}", key.start_mark.line + 1
        if name in seen:
            found = f"the key again, as in row {seen[name]}"
            problems.append(Problem(file, row, name, found, "each key once", "Remove one of them."))
        seen.setdefault(name, row)
        problems += _twice(value, file, f"{name}.")
    return problems
