"""One spelling for each id, as each CRM writes its own."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def _numbers(ids: pd.Series) -> pd.Series:
    """Without the prefix of exported records, and without the ``.0`` of a column that once was floats.

    >>> _numbers(pd.Series(["17.0", "zcrm_4876876000000123456", "D1.0"])).tolist()
    ['17', '4876876000000123456', 'D1.0']
    """
    return ids.str.replace(r"^(?:zcrm_)?(\d+)(?:\.0)?$", r"\1", regex=True)


def _guids(ids: pd.Series) -> pd.Series:
    """Lower case, without the braces of old tools and the entity that an audit puts before.

    >>> _guids(pd.Series(["systemuser,{4026BE43-6B69-E111-8F65-78E7D1620F5E}", "D1"])).tolist()
    ['4026be43-6b69-e111-8f65-78e7d1620f5e', 'D1']
    """
    found = ids.str.extract(rf"^(?:[a-z_]+,)?\{{?({GUID})\}}?$", expand=False)
    return found.str.lower().fillna(ids)


def eighteen(ids: pd.Series) -> pd.Series:
    """Ids of 15 case-sensitive characters turned into the 18 that ignore case; others are left alone.

    >>> eighteen(pd.Series(["0061G00000Ja7B6", "006q000000HddohAAB", "D1"])).tolist()
    ['0061G00000Ja7B6QAJ', '006q000000HddohAAB', 'D1']
    """
    short = ids.str.fullmatch(r"[A-Za-z0-9]{15}", na=False) & ids.str.contains(r"\d", na=False)
    if not short.any():
        return ids
    return ids.where(~short, ids.map({value: value + _suffix(value) for value in ids[short].unique()}))


def _suffix(value: str) -> str:
    """One character for each five: which of them are capitals."""
    fives = (value[start : start + 5] for start in (0, 5, 10))
    return "".join(_ALPHABET[sum(letter.isupper() << at for at, letter in enumerate(five))] for five in fives)


CANONICAL: dict[str, Callable[[pd.Series], pd.Series]] = {
    "numbers": _numbers, "guids": _guids, "eighteen": eighteen, "any": lambda ids: ids,
}  # fmt: skip
