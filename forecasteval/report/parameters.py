"""A notebook's parameters: read from its own cell, and the only names and kinds that a run may set.

The cell is parsed here and not by papermill, which leaves out every parameter whose annotation is more
than one word (``str | None``, ``Literal[...]``), and reads ``007`` as a number and ``no`` as False.
"""

from __future__ import annotations

import ast
import io
import json
import math
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from forecasteval.errors import CallError

_SCALARS = ("str", "int", "float", "bool", "None")
_LISTS = frozenset(["list", "List", "Sequence", "tuple", "Tuple"])
_DICTS = frozenset(["dict", "Dict", "Mapping"])
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?")
_NOTHING: Any = object()
_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_WORDS = {
    "str": "text",
    "int": "a whole number such as 7",
    "float": "a number such as 0.05",
    "bool": "true or false",
    "None": "none",
}


@dataclass(frozen=True)
class Kind:
    """What a parameter may be: a scalar, a list or dict of kinds, or one of a few values."""

    name: str
    items: tuple[Kind, ...] = ()
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """The kind in the words of an error message."""
        if self.name == "literal":
            return "one of " + ", ".join(str(c) for c in self.choices)
        if self.name == "list":
            return "a list such as " + ("a,b,c" if self.items == (Kind("str"),) else "[1, 2]")
        return {"dict": 'an object such as {"brier": 0.01}'}.get(self.name) or _WORDS[self.name]


@dataclass(frozen=True)
class Parameter:
    """One line of a notebook's parameters cell."""

    name: str
    annotation: str
    default: str
    help: str
    kinds: tuple[Kind, ...]
    value: Any = None

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        return " or ".join(str(kind) for kind in self.kinds)


# --- the cell ---------------------------------------------------------------------------------------


def parameters_of(notebook: Path | Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters of a notebook, by name, in the order of its cell tagged ``parameters``.

    Parameters
    ----------
    notebook : path of an .ipynb file, or its content

    Returns
    -------
    dict of Parameter; empty if no cell is tagged

    Examples
    --------
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


def _kinds_of(value: Any) -> tuple[Kind, ...]:
    if isinstance(value, list):
        return (Kind("list"),)
    if isinstance(value, dict):
        return (Kind("dict"),)
    return (Kind("str" if value is None else type(value).__name__),)


def _itemised(kind: Kind, value: Any) -> Kind:
    """A bare list holds what its default holds; text, if that is empty."""
    if kind == Kind("list"):
        return Kind("list", _kinds_of(value[0]) if value else (Kind("str"),))
    return kind


def _kinds(node: ast.expr) -> tuple[Kind, ...]:
    """The kinds that an annotation allows; nothing for one that a report cannot pass."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _kinds(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.Constant) and node.value is None:
        return (Kind("None"),)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _kinds(node.left) + _kinds(node.right)
    name = _name(node.value if isinstance(node, ast.Subscript) else node)
    inner = _inner(node)
    if name == "Literal":
        return (Kind("literal", choices=tuple(_literal(i) for i in inner)),)
    if name == "Optional":
        return (*_kinds(inner[0]), Kind("None"))
    if name == "Union":
        return tuple(k for i in inner for k in _kinds(i))
    if name in _LISTS:
        return (Kind("list", _kinds(inner[0]) if inner else ()),)
    if name in _DICTS:
        return (Kind("dict", _kinds(inner[1]) if len(inner) > 1 else ()),)
    return (Kind(name),) if name in _SCALARS else ()


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _inner(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Subscript):
        return []
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


# --- values -----------------------------------------------------------------------------------------


def read_values(declared: Mapping[str, Parameter], given: Mapping[str, str], notebook: str) -> dict[str, Any]:
    """Text from a command line as values, each by the kind that its notebook declares: nothing is guessed.

    Parameters
    ----------
    declared : the notebook's own parameters
    given : name to text
    notebook : its name, for the message

    Returns
    -------
    dict of values that are safe to write into a notebook

    Raises
    ------
    CallError
        For a name that the notebook does not know, or text of the wrong kind.
    """
    _known(declared, given, notebook)
    return {name: _read(declared[name], text) for name, text in given.items()}


def check_values(
    declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str
) -> dict[str, Any]:
    """Values as they are, if the notebook declares them and they can be written into it without harm.

    Raises
    ------
    CallError
        For a name that the notebook does not know, or a value of the wrong kind.
    """
    _known(declared, given, notebook)
    for name, value in given.items():
        if not any(_fits(value, kind) for kind in declared[name].kinds):
            raise _wrong(declared[name], value)
    return dict(given)


def _known(declared: Mapping[str, Parameter], given: Mapping[str, Any], notebook: str) -> None:
    for name in given:
        if name in declared:
            continue
        close = get_close_matches(name, declared, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        names = ", ".join(declared) or "none"
        raise CallError(f"{notebook} has no parameter {name!r}.{hint} Its parameters: {names}.")


def _wrong(parameter: Parameter, value: Any) -> CallError:
    if not parameter.kinds:
        return CallError(
            f"Parameter {parameter.name} is declared as {parameter.annotation}, which cannot be set from "
            "outside: declare it as str, int, float, bool, a list or a dict of these."
        )
    return CallError(f"Parameter {parameter.name}: {value!r} is not {parameter.expected}.")


def _read(parameter: Parameter, text: str) -> Any:
    value = _parsed_as_any(parameter.kinds, text)
    if value is _NOTHING:
        raise _wrong(parameter, text)
    return value


def _parsed_as_any(kinds: tuple[Kind, ...], text: str) -> Any:
    """The value by the first kind that fits; text last, so that `int | str` can be a number."""
    either_text = any(kind.name == "str" for kind in kinds)
    for kind in sorted(kinds, key=lambda k: k.name == "str"):
        value = _parsed_as(kind, text, bare_lists=not either_text)
        if value is not _NOTHING:
            return value
    return _NOTHING


def _parsed_as(kind: Kind, text: str, *, bare_lists: bool) -> Any:
    bare = text.strip()
    match kind.name:
        case "str":
            return text
        case "int" if re.fullmatch(r"[+-]?[0-9]+", bare):
            return int(bare)
        case "float" if _FLOAT.fullmatch(bare):
            return float(bare)
        case "bool" if bare.lower() in _TRUE + _FALSE:
            return bare.lower() in _TRUE
        case "None" if bare.lower() == "none":
            return None
        case "literal":
            return next((c for c in kind.choices if str(c) == text), _NOTHING)
        case "list" if bare_lists and not bare.startswith("["):
            parts = [part.strip() for part in text.split(",") if part.strip()]
            items = [_parsed_as_any(kind.items or (Kind("str"),), part) for part in parts]
            return _NOTHING if _NOTHING in items else items
        case "list" | "dict":
            value = _from_json(bare)
            return value if _fits(value, kind) else _NOTHING
    return _NOTHING


def _from_json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError:
        return _NOTHING


def _fits(value: Any, kind: Kind) -> bool:
    if kind.name == "literal":
        return any(value == c and type(value) is type(c) for c in kind.choices)
    if kind.name == "list":
        return type(value) is list and all(_any_fits(v, kind.items) for v in value)
    if kind.name == "dict":
        keys = type(value) is dict and all(type(k) is str for k in value)
        return keys and all(_any_fits(v, kind.items) for v in value.values())
    if kind.name == "float":
        return type(value) in (int, float) and math.isfinite(value)
    if kind.name == "None":
        return value is None
    return type(value).__name__ == kind.name and type(value) in (str, int, bool)


def _any_fits(value: Any, kinds: tuple[Kind, ...]) -> bool:
    anything = (*(Kind(s) for s in _SCALARS), Kind("list"), Kind("dict"))
    return any(_fits(value, kind) for kind in kinds or anything)
