"""The matched table: one row per deal and moment, a column per forecaster."""

from __future__ import annotations

import pandas as pd

META = (
    "forecasteval"  # key of DataFrame.attrs under which `match` and `import table` say where rows come from
)
RESERVED = frozenset(["deal_id", "as_of", "period", "rep", "account", "won", "amount", "amount_won"])


def has(matched: pd.DataFrame, dimension: str) -> bool:
    """Does the table know a dimension: is the column there and not wholly empty?

    Examples
    --------
    >>> has(pd.DataFrame({"rep": [None, None]}), "rep")
    False
    """
    return dimension in matched and bool(matched[dimension].notna().any())


def forecaster_columns(matched: pd.DataFrame) -> list[str]:
    """Names of the columns that hold forecasts: those declared, else every numeric one not reserved.

    Examples
    --------
    >>> forecaster_columns(pd.DataFrame({"deal_id": ["a"], "won": [1], "model": [0.5], "region": ["x"]}))
    ['model']
    """
    declared = matched.attrs.get(META, {}).get("forecasters")
    if declared:
        return [n for n in declared if n in matched]
    return [str(c) for c in matched.select_dtypes("number").columns if c not in RESERVED]
