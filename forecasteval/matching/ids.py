"""Ids as they are meant: trimmed, and one where they differ only in case or in being a number or text."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecasteval.errors import CallError

ID_COLUMNS = ("deal_id", "rep", "account", "period")
# a CRM may count in 62 digits, so that the 15 characters of two records differ only in case
_CASE_COUNTS = re.compile(r"(?=.*\d)[A-Za-z0-9]{15}")
_SEVERAL = (list, tuple, set, frozenset, dict, np.ndarray)
_WHOLE = re.compile(r"(\d+)\.0+")


def _key(value: Any) -> Hashable:
    """What two ids have in common that are one."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        return str(int(value))
    if not isinstance(value, str):
        return value if isinstance(value, Hashable) else str(value)
    text = value.strip()
    if whole := _WHOLE.fullmatch(text):
        return whole[1]
    return text if _CASE_COUNTS.fullmatch(text) else text.lower()


def joined_ids(
    column: pd.Series, name: str, rows: NDArray[np.integer] | None = None
) -> tuple[pd.Series, str]:
    """A column of ids, trimmed, those that are one under one name, blanks empty; and what there is to say of it.

    Two ids are one where they differ only in spaces around them, in case, or in being a number or text (3, 3.0 and
    "3"). Ids of 15 letters and digits, as some CRMs give them, may differ only in case and still be two.

    >>> column, said = joined_ids(pd.Series(["r1", "r1", "R1", "r1 ", 3, "3", " "], dtype=object), "rep")
    >>> column.tolist(), said
    (['r1', 'r1', 'r1', 'r1', '3', '3', nan], "5 ids in rep are read as 2, since some differ only in spaces, in case or \
in being a number or text: '3', 3.")
    """
    named = isinstance(column.dtype, pd.CategoricalDtype)
    texts = pd.Series(column.cat.categories) if named else column
    if not (pd.api.types.is_object_dtype(texts) or isinstance(texts.dtype, pd.StringDtype)) or _is_clean(
        texts
    ):
        return column, ""
    several = next((v for v in texts if isinstance(v, _SEVERAL)), None)
    if several is not None:
        raise CallError(
            f"{name} holds cells of more than one value; the first is {several!r}. Expected is one id, a text or a "
            "number, in each row: a table with one row per deal and as-of."
        )
    codes, found = (column.cat.codes.to_numpy(), texts) if named else pd.factorize(column)
    known = codes >= 0
    often = np.bincount(codes[known], None if rows is None else rows[known], len(found))
    variants: dict[Hashable, list[tuple[int, str, int]]] = {}
    for at, value in enumerate(found):
        if often[at]:
            variants.setdefault(_key(value), []).append((-int(often[at]), str(value), at))
    variants.pop("", None)
    label_of = np.full(len(found) + 1, -1)  # the last is what is empty already
    labels: list[Any] = []
    for same in variants.values():
        commonest = found[min(same)[2]]
        label_of[[at for *_, at in same]] = len(labels)
        labels.append(str(commonest).strip() if isinstance(commonest, str) or len(same) > 1 else commonest)
    new = label_of[codes]
    if named:
        cleaned: Any = pd.Categorical.from_codes(new, categories=pd.Index(labels, dtype=object))  # type: ignore[call-overload]
    else:
        cleaned = np.array([*labels, np.nan], dtype=object)[new]
    groups = [[found[at] for *_, at in same] for same in variants.values()]
    merged = [sorted(map(repr, same)) for same in groups if len(same) > 1]
    said = ids_read_as(name, sum(map(len, groups)), len(groups), min(merged)) if merged else ""
    return pd.Series(cleaned, index=column.index, name=column.name), said


def ids_read_as(name: str, before: int, after: int, example: list[str]) -> str:
    """Which ids were read as one."""
    return (
        f"{before:,} ids in {name} are read as {after:,}, since some differ only in spaces, in case or in being a number or "
        f"text: {', '.join(example[:3])}."
    )


def _is_clean(column: pd.Series) -> bool:
    """Does every text stand for itself? The quick look at millions of deals."""
    arrow = isinstance(column.dtype, pd.StringDtype) and column.dtype.storage == "pyarrow"
    if not arrow and (
        not pd.api.types.is_object_dtype(column.dtype)
        or pd.api.types.infer_dtype(column, skipna=True) != "string"
    ):
        return False
    text = pa.array(column, pa.large_string(), from_pandas=True).drop_null()
    spaced = not pc.utf8_trim_whitespace(text).equals(text)
    if spaced or pc.any(pc.or_(pc.ends_with(text, ".0"), pc.equal(text, ""))).as_py():
        return False
    lower = pc.utf8_lower(text)
    one_case = lower.equals(text) or pc.utf8_upper(text).equals(text)
    return one_case or len(lower.unique()) == len(text.unique())
