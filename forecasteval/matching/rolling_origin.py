"""Rolling origin: forecasts of the model and of a rule by the number of closed deals that they learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.matching import forecasters as fc
from forecasteval.matching.deals_as_of import Record, Target, looks_at, panel_of, with_outcome
from forecasteval.matching.matched import META
from forecasteval.tables.organisation import Org, newest_record

Floats = NDArray[np.float64]
Past = tuple[pd.Timestamp, NDArray[np.intp]]  # a look, and the rows that were known by then

GRID = (25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1100, 1600, 2200, 3200, 4500, 6400, 9000, 12800)
LEAST = 10  # deals that any model is fitted to
RESOLVE_AFTER_DAYS = 365  # as in `match`


@dataclass(frozen=True)
class Learning:
    """What the learning curve is drawn from.

    Attributes
    ----------
    table : DataFrame
        Matched table with a column for each size of the model and of the rule.
    sizes : tuple of int, ascending
    model, rule : dict
        Name of the column by size.
    fits : DataFrame
        size, period, deals, won, parameters: what each fit had seen.
    stop : str
        Why there is no curve; empty where there is one.
    """

    table: pd.DataFrame
    sizes: tuple[int, ...]
    model: Mapping[int, str]
    rule: Mapping[int, str]
    fits: pd.DataFrame
    stop: str = ""


@dataclass(frozen=True)
class Rolled:
    """What was said at every size, before it meets the baseline."""

    columns: pd.DataFrame
    model: dict[int, str]
    rule: dict[int, str]
    about: dict[str, Any]
    fits: pd.DataFrame


def stopped(why: str) -> Learning:
    """No learning curve, and why."""
    return Learning(pd.DataFrame(), (), {}, {}, pd.DataFrame(), why)


def panel_of_learning(org: Org, rows: pd.DataFrame, as_of: str, target: str) -> pd.DataFrame:
    """What a model may see of every row that can be learned from or spoken about, and when it was known.

    Parameters
    ----------
    org : Org, with a history
    rows : DataFrame of :func:`forecasteval.match` without a fitted forecaster: the rows that count
    as_of : str
        A week of the period.
    target : str

    Returns
    -------
    DataFrame with won and known_on, one row per deal and look
    """
    assert org.deals is not None
    assert org.history is not None
    assert org.periods is not None
    record = Record(org.deals, org.history, org.periods, org.settings)
    newest = newest_record(org)
    assert newest is not None
    through = pd.Timestamp(newest)
    looks = looks_at(record.periods, as_of)
    panel = panel_of(record, looks[looks["as_of"] <= through])
    panel = with_outcome(record, panel, Target.parse(target), through, RESOLVE_AFTER_DAYS)
    kept = panel.merge(rows[["deal_id", "as_of"]], on=["deal_id", "as_of"])
    return kept.sort_values(["as_of", "deal_id"], kind="stable", ignore_index=True)


def pasts_of(panel: pd.DataFrame, seed: int) -> list[Past]:
    """Each look with the rows whose outcome was known by then, the latest known last; ties in a drawn order."""
    as_of, known = panel["as_of"].to_numpy(), panel["known_on"].to_numpy()
    drawn = np.random.default_rng(seed).permutation(len(panel))
    found = []
    for day in np.unique(as_of):
        train = np.flatnonzero((as_of < day) & (known <= day))
        found.append((pd.Timestamp(day), train[np.lexsort((drawn[train], known[train]))]))
    return found


def fit(past: fc.Seen) -> tuple[int, Callable[[fc.Seen, fc.Seen], Floats]]:
    """The reference model's number of fitted columns, and how it speaks; without both outcomes a bare rate."""
    won = past.won.sum()
    if won in (0, len(past.won)):
        return 0, fc.BUILT_IN["base_rate"].speak
    used = ((past.design != 0).sum(axis=0) >= 10) & (past.design.std(axis=0) > 0)
    return int(used.sum()), fc.BUILT_IN["model"].speak


def roll(panel: pd.DataFrame, pasts: Sequence[Past], sizes: tuple[int, ...], rule: str) -> Rolled:
    """Fit model and rule to the last n known deals of each look, for every n, and let them speak about it.

    Parameters
    ----------
    panel : DataFrame of :func:`panel_of_learning`
    pasts : the looks that are judged, each with what was known
    sizes : tuple of int
    rule : str

    Returns
    -------
    Rolled
    """
    seen = fc.see(panel)
    names = {role: {n: f"{role}_n{n}" for n in sizes} for role in ("model", rule)}
    said = {name: np.full(len(panel), np.nan) for by_size in names.values() for name in by_size.values()}
    fits = []
    for day, train in pasts:
        now = np.flatnonzero(panel["as_of"] == day)
        period = panel["period"].iloc[now[0]]
        for n in sizes:
            past, present = seen.take(train[-n:]), seen.take(now).unaware()
            parameters, speak = fit(past)
            said[names["model"][n]][now] = speak(past, present)
            said[names[rule][n]][now] = fc.BUILT_IN[rule].speak(past, present)
            won = int(past.won.sum())
            fits.append({"size": n, "period": period, "deals": n, "won": won, "parameters": parameters})
    about = {
        name: {
            "kind": "probability",
            "from_file": False,
            "gloss": f"{role}, fitted to the last {n} closed deals",
        }
        for role, by_size in names.items()
        for n, name in by_size.items()
    }
    judged = panel["as_of"].isin([day for day, _ in pasts])
    columns = panel[["deal_id", "as_of"]].assign(**said)[judged]
    return Rolled(columns, names["model"], names[rule], about, pd.DataFrame(fits))


def onto(table: pd.DataFrame, rolled: Rolled, sizes: tuple[int, ...], baseline: str) -> Learning:
    """Put the forecasts by size beside the baseline's, with what fell out on the way.

    Parameters
    ----------
    table : matched table of the baseline
    rolled : Rolled
    sizes : tuple of int
    baseline : str

    Returns
    -------
    Learning
    """
    meta = dict(table.attrs[META])
    if meta.get("stop"):
        return stopped(str(meta["stop"][0]["text"]))
    joined = table.merge(rolled.columns, on=["deal_id", "as_of"], how="inner")
    flow = list(meta["flow"])
    for step, kept, why in (
        (f"{sizes[-1]:,} closed deals to learn from", joined, "too few outcomes were known by then"),
        (f"{baseline} gives a forecast", joined[joined[baseline].notna()], f"no forecast by {baseline}"),
    ):
        deals = int(kept["deal_id"].nunique())
        flow.append({"step": step, "deals": deals, "dropped": flow[-1]["deals"] - deals, "why": why})
        joined = kept.reset_index(drop=True)
    joined.attrs[META] = meta | {"flow": flow, "forecasters": {**meta.get("forecasters", {}), **rolled.about}}
    return Learning(joined, sizes, rolled.model, rolled.rule, rolled.fits)
