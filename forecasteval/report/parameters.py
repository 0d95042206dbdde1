"""A notebook's parameters: read from its own cell, and the only names and kinds that a run may set.

The cell is parsed here and not by papermill, which leaves out every parameter whose annotation is more
than one word (``str | None``, ``Literal[...]``), and reads ``007`` as a number and ``no`` as False. Nothing in it is
executed. What its annotations allow becomes types, and pydantic holds the values against them.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from forecasteval.errors import CallError, nearest

_SCALARS = {"str": str, "int": int, "float": float, "bool": bool, "None": NoneType}
_LISTS = ("list", "List", "Sequence", "tuple", "Tuple")
_DICTS = ("dict", "Dict", "Mapping")
_NUMBERS = {
    int: re.compile(r"[+-]?[0-9]+"),
    float: re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?"),
}
_BOOLS = {"true": True, "yes": True, "false": False, "no": False}
_OBJECT = '{"brier": 0.01}'
_WORDS = {
    str: "text",
    int: "a whole number such as 7",
    float: "a number such as 0.05",
    bool: "true or false",
    NoneType: "none",
    list: "a list such as [1, 2]",
    dict: f"an object such as {_OBJECT}",
}
_NOTHING: Any = object()


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell; `kinds` are the types that it allows."""

    name: str
    annotation: str
    default: str
    help: str
    kinds: tuple[Any, ...]
    value: Any = None  # of the default, where it is written out

    @property
    def known(self) -> bool:
        """Whether the default is written out: not the name of something, or a call."""
        return self.value is not None or self.default == "None"

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        said = " or ".join(_in_words(kind) for kind in self.kinds)
        own = re.search(r"\{.*?\}", self.help)  # its help may show what kind of object
        return said.replace(_OBJECT, own[0]) if own else said


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    return "a list such as a,b,c" if kind == list[str] else _WORDS[get_origin(kind) or kind]


# --- the cell ---------------------------------------------------------------------------------------


def parameters_of(notebook: Path | Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of a notebook or its path, by name, in the order of its cell tagged ``parameters``.

    >>> cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]},
    ...         "source": 'week: int = 4  # week of the quarter'}
    >>> parameters_of({"cells": [cell]})["week"].help
    'week of the quarter'
    """
    content = notebook if isinstance(notebook, Mapping) else json.loads(notebook.read_text("utf-8"))
    for cell in content["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", ()):
            source = cell["source"]
            return _parsed(source if isinstance(source, str) else "".join(source))
    return {}


def _parsed(source: str) -> dict[str, Parameter]:
    comments = {
        t.start[0]: (t.string.lstrip("# ").strip(), t.line.lstrip().startswith("#"))
        for t in tokenize.generate_tokens(io.StringIO(source).readline)
        if t.type == tokenize.COMMENT
    }
    found = {}
    for name, annotation, default, node in _assignments(ast.parse(source)):
        value = _literal(default)
        kinds = _kinds(annotation) if annotation is not None else _kinds_of(value)
        found[name] = Parameter(
            name=name,
            annotation=ast.unparse(annotation) if annotation is not None else "",
            default=ast.unparse(default),
            help=_help(comments, node.lineno, node.end_lineno or node.lineno),
            kinds=tuple(_itemised(kind, value) for kind in kinds),
            value=value,
        )
    return found


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None, ast.expr, ast.stmt]]:
    for node in tree.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as default):
                yield name, annotation, default, node
            case ast.Assign(targets=[ast.Name(id=name)], value=default):
                yield name, None, default, node


def _help(comments: Mapping[int, tuple[str, bool]], first: int, last: int) -> str:
    beside = [comments[line][0] for line in range(last, first - 1, -1) if line in comments]
    if beside:
        return beside[0]
    above: list[str] = []
    line = first - 1
    while line in comments and comments[line][1]:
        above.insert(0, comments[line][0])
        line -= 1
    return " ".join(above)


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _kinds_of(value: Any) -> tuple[Any, ...]:
    """The kinds of a parameter without an annotation: what its default is."""
    kind = str if value is None else type(value)
    return (kind,) if kind in _WORDS else ()


def _itemised(kind: Any, value: Any) -> Any:
    """A bare list holds what its default holds; text, if that is empty."""
    if kind is list:
        return list[_kinds_of(value[0])[0] if value else str]  # type: ignore[misc]
    return dict[str, Any] if kind is dict else kind


def _kinds(node: ast.expr) -> tuple[Any, ...]:
    """The types that an annotation names; nothing for one that a report cannot pass."""
    match node:
        case ast.Constant(value=str(text)):
            return _kinds(ast.parse(text, mode="eval").body)
        case ast.Constant(value=None):
            return (NoneType,)
        case ast.BinOp(op=ast.BitOr()):
            return _kinds(node.left) + _kinds(node.right)
        case ast.Subscript(slice=ast.Tuple(elts=inner)):
            name = _name(node.value)
        case ast.Subscript(slice=only):
            name, inner = _name(node.value), [only]
        case _:
            name, inner = _name(node), []
    if name == "Literal":
        return (Literal[tuple(map(_literal, inner))],)
    if name in ("Optional", "Union"):
        return (*(k for i in inner for k in _kinds(i)), *([NoneType] if name == "Optional" else []))
    if name in _LISTS:
        return (list[_either(_kinds(inner[0]))] if inner else list,)  # type: ignore[misc]
    if name in _DICTS:
        return (dict[str, _either(_kinds(inner[1]))] if len(inner) > 1 else dict,)  # type: ignore[misc]
    return (_SCALARS[name],) if name in _SCALARS else ()


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _either(kinds: tuple[Any, ...]) -> Any:
    return reduce(or_, kinds) if kinds else Any


# --- values -----------------------------------------------------------------------------------------


def read_values(declared: Mapping[str, Parameter], given: Mapping[str, str], notebook: str) -> dict[str, Any]:
    """Text from a command line as values, each by the kind that its notebook declares: nothing is guessed."""
    return _each(declared, given, notebook, _read_as_any)


def check_values(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str
) -> dict[str, Any]:
    """Values as they are, if the notebook declares them and they can be written into it without harm."""
    return _each(declared, given, notebook, lambda kinds, value: value if _fits(value, kinds) else _NOTHING)


def _each(
    declared: Mapping[str, Parameter],
    given: Mapping[str, Any],
    notebook: str,
    take: Callable[[tuple[Any, ...], Any], Any],
) -> dict[str, Any]:
    """What becomes of each value; an unknown name or a wrong kind is a CallError."""
    for name in given:
        if name not in declared:
            raise CallError(
                f"{notebook} has no parameter {name!r}. {nearest(name, list(declared))}"
                f"Its parameters: {', '.join(declared) or 'none'}."
            )
    values = {}
    for name, value in given.items():
        parameter = declared[name]
        if not parameter.kinds:
            raise CallError(
                f"Parameter {name} is declared as {parameter.annotation or parameter.default}, which cannot be set from "
                "outside: declare it as str, int, float, bool, a list or a dict of these."
            )
        values[name] = take(parameter.kinds, value)
        if values[name] is _NOTHING:
            raise CallError(f"Parameter {name}: {value!r} is not {parameter.expected}.")
    return values


def _read_as_any(kinds: tuple[Any, ...], text: str) -> Any:
    """The value by the first kind that fits; text last, so that `int | str` can be a number."""
    for kind in sorted(kinds, key=lambda k: k is str):
        value = _read(kind, text, commas=str not in kinds)
        if value is not _NOTHING:
            return value
    return _NOTHING


def _read(kind: Any, text: str, *, commas: bool) -> Any:
    bare = text.strip()
    if kind in (str, Any):
        return text
    if kind is NoneType:
        return None if bare.lower() == "none" else _NOTHING
    if kind is bool:
        return _BOOLS.get(bare.lower(), _NOTHING)
    if kind in _NUMBERS:
        return kind(bare) if _NUMBERS[kind].fullmatch(bare) else _NOTHING
    if get_origin(kind) is Literal:
        return next((c for c in get_args(kind) if str(c) == text), _NOTHING)
    if get_origin(kind) is list and commas and not bare.startswith("["):
        (item,) = get_args(kind)
        kinds = get_args(item) if get_origin(item) in (Union, UnionType) else (item,)
        items = [_read_as_any(kinds, part.strip()) for part in text.split(",") if part.strip()]
        return _NOTHING if _NOTHING in items else items
    try:
        value = json.loads(bare)
    except ValueError:
        return _NOTHING
    return value if _fits(value, (kind,)) else _NOTHING


def _fits(value: Any, kinds: tuple[Any, ...]) -> bool:
    try:
        TypeAdapter(_either(kinds), config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return _plain(value)


def _plain(value: Any) -> bool:
    """Whether a value is what it seems: no subclass with a way of its own to write itself, no NaN."""
    if type(value) is list:
        return all(map(_plain, value))
    if type(value) is dict:
        return all(type(key) is str and _plain(item) for key, item in value.items())
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (str, int, bool)
