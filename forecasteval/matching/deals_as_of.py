"""Deals as they stood at each look, and how they ended: what forecasters speak about and are judged by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import CallError
from forecasteval.sources.history import states, version_of, versions_at
from forecasteval.tables.calendar import local_dates, moment, week_ends, weeks_in
from forecasteval.tables.coded import coded, codes_in, is_coded
from forecasteval.tables.settings import Settings


@dataclass(frozen=True, eq=False)
class Record:
    """The tables that matching needs, none of them missing."""

    deals: pd.DataFrame
    history: pd.DataFrame
    periods: pd.DataFrame
    settings: Settings


@dataclass(frozen=True)
class Target:
    """What a forecast is a probability of, and when that is known."""

    name: str
    kind: str
    days: int = 0

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read "won in period", "won at all" or "won within N days".

        >>> Target.parse("won within 90 days").days
        90
        """
        if text in ("won in period", "won at all"):
            return cls(text, text.removeprefix("won "))
        within = re.fullmatch(r"won within (\d+) days", text)
        if within:
            return cls(text, "within", int(within[1]))
        raise CallError(
            f"target {text!r} is not one of 'won in period', 'won at all' or 'won within N days' (such as 90)."
        )


# --- the moments -----------------------------------------------------------------------------------


def looks_at(periods: pd.DataFrame, as_of: Any) -> pd.DataFrame:
    """One row per moment at which the deals are looked at: period, series, as_of, evaluated.

    `as_of` is a week, a date, or a list of these. A series is what a fitted forecaster learns from: the same week, or
    the same day, of earlier periods.
    """
    asked = dict.fromkeys(as_of if isinstance(as_of, list | tuple) else [as_of])
    days = [a for a in asked if not isinstance(a, str) or re.fullmatch(r"\d{4}-\d{2}-\d{2}", a.strip())]
    weeks = [_week(str(a), periods) for a in asked if a not in days]
    ends = week_ends(periods)
    ends = ends[ends["week"].isin(weeks)].assign(evaluated=True)
    looks = [ends.rename(columns={"week": "series", "ends_on": "as_of"})] if weeks else []
    for at, day in enumerate(map(pd.Timestamp, days)):
        inside = (periods["starts_on"] <= day) & (day <= periods["ends_on"])
        if not inside.any():
            raise CallError(f"as_of {day:%Y-%m-%d} lies in no period of the calendar.")
        offset = day - periods.loc[inside, "starts_on"].iloc[0]
        earlier = periods[periods["starts_on"] <= day]
        moments = (earlier["starts_on"] + offset).clip(upper=earlier["ends_on"])
        looks.append(earlier[["period"]].assign(series=-at, as_of=moments, evaluated=moments == day))
    return pd.concat(looks).merge(periods, on="period")[
        ["period", "series", "as_of", "evaluated", "starts_on", "ends_on", "freezes_on"]
    ]


def _week(text: str, periods: pd.DataFrame) -> int:
    most = int(weeks_in(periods).max())
    found = re.fullmatch(r"week (\d+)", text.strip())
    if not found or not 1 <= int(found[1]) <= most:
        raise CallError(
            f"as_of {text!r} is neither 'week 1' to 'week {most}' nor a date such as '2026-02-28'."
        )
    return int(found[1])


# --- the panel: states, outcomes, what a model may see ------------------------------------------------


def _journey(history: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.datetime64]]:
    """For each version, how often the close date was pushed before and since when the deal is in its stage."""
    deal, stage = (coded(history[column]).cat.codes.to_numpy() for column in ("deal_id", "stage"))
    starts, close_on = (history[column].to_numpy() for column in ("valid_from", "close_on"))
    order = np.lexsort((starts, deal))
    deal, stage, starts, close_on = deal[order], stage[order], starts[order], close_on[order]
    first = np.append(True, deal[1:] != deal[:-1])[: len(deal)]
    pushed = ~first
    pushed[1:] &= close_on[1:] > close_on[:-1]
    moved = first.copy()
    moved[1:] |= (stage[1:] != stage[:-1]) | (stage[1:] < 0)  # a stage that is not known is no stage to be in
    place = np.arange(len(deal))
    begun = np.maximum.accumulate(np.where(first, place, 0))
    count = np.cumsum(pushed)
    pushes, since = np.empty(len(deal)), np.empty(len(deal), dtype=starts.dtype)
    pushes[order] = count - count[begun]
    since[order] = starts[np.maximum.accumulate(np.where(moved, place, 0))]
    return pushes, since


def panel_of(record: Record, looks: pd.DataFrame) -> pd.DataFrame:
    """Every open deal at every look, with its state and what follows from it at that moment."""
    days = np.unique(looks["as_of"].to_numpy("datetime64[D]"))
    version, _ = versions_at(record.history, days, record.settings, open_only=True)
    panel = states(record.history, days, record.settings, open_only=True, by_words=False)
    panel["version"] = version
    panel = panel.merge(looks, on="as_of")
    panel["moment"] = moment(panel["as_of"], record.settings).astype("datetime64[us]")
    panel = panel.sort_values(["moment", "deal_id"], kind="stable", ignore_index=True)
    segments = [c for c in record.deals if c not in {"deal_id", "rep", "amount", "closed_on", "outcome"}]
    known = record.deals.drop_duplicates("deal_id")
    place = codes_in(panel["deal_id"], pd.Index(known["deal_id"]))
    told = known[segments].reset_index(drop=True).reindex(place).set_axis(panel.index)
    panel = pd.concat([panel, told], axis=1)
    panel = panel.astype({column: "str" for column in panel if is_coded(panel[column])})
    pushes, since = _journey(record.history)
    version = panel.pop("version").to_numpy()
    panel["pushes"], panel["stage_since"] = pushes[version], since[version]
    panel["age_days"] = (panel["as_of"] - panel["created_on"]).dt.days.fillna(0)
    panel["days_to_close"] = (panel["close_on"] - panel["as_of"]).dt.days
    panel["days_in_stage"] = (panel["moment"] - panel["stage_since"]).dt.days.fillna(0)
    return panel


def closings(record: Record) -> pd.DataFrame:
    """How each deal stands today and since when it is known: deal_id, status, close_on, amount, known_on."""
    if record.history["status"].ne("open").any():
        h = record.history.sort_values(["deal_id", "valid_from"], kind="stable")
        last = h[~h["deal_id"].duplicated(keep="last")].astype({"deal_id": "str", "status": "str"})
        return last[["deal_id", "status", "close_on", "amount"]].assign(
            known_on=local_dates(last["valid_from"], record.settings)
        )
    d = record.deals
    status = d["outcome"].where(d["outcome"].isin(["won", "lost"]), "open")
    return pd.DataFrame(
        {
            "deal_id": d["deal_id"],
            "status": status,
            "close_on": d["closed_on"],
            "amount": d["amount"],
            "known_on": d["closed_on"],
        }
    )


def _at(record: Record, panel: pd.DataFrame, day: pd.Series) -> pd.DataFrame:
    """Status, close date and amount of the panel's deals on given days, as recorded by then."""
    if record.history["status"].eq("open").all():  # hand-made snapshots of open deals: today's record decides
        then = panel[["deal_id"]].merge(closings(record), on="deal_id", how="left")
        open_still = then["close_on"].to_numpy() > day.to_numpy()
        return then.assign(status=then["status"].mask(open_still, "open"))
    version = version_of(record.history, panel["deal_id"], day, record.settings)
    then = record.history[["status", "close_on", "amount"]].reset_index(drop=True).reindex(version)
    then = then.astype({"status": "str"}).reset_index(drop=True)
    return pd.concat([panel[["deal_id"]].reset_index(drop=True), then], axis=1)


def with_outcome(
    record: Record, panel: pd.DataFrame, target: Target, through: pd.Timestamp, resolve_after: int
) -> pd.DataFrame:
    """The panel with won, amount_won, known_on (empty where it is not known yet), complete and unresolved."""
    unresolved = pd.Series(False, index=panel.index)
    if target.kind == "at all":
        then = panel[["deal_id"]].merge(closings(record), on="deal_id", how="left")
        unresolved = pd.Series(~then["status"].isin(["won", "lost"]).to_numpy(), index=panel.index)
        known_on = panel["as_of"] + pd.Timedelta(days=resolve_after)
        known_on = known_on.where(unresolved, then["known_on"].set_axis(panel.index))
        known_on = known_on.where(known_on <= through)
        # a cohort counts when every deal of it is known, else the quick ones would speak for the slow
        known = known_on.notna().groupby(panel["as_of"]).transform("all")
    else:
        within = panel["as_of"] + pd.Timedelta(days=target.days)
        known_on = panel["freezes_on"] if target.kind == "in period" else within
        known_on = known_on.where(known_on <= through)
        then = _at(record, panel, known_on)
        known = known_on.notna()
    won = then["status"].eq("won").to_numpy()
    closed = then["close_on"].to_numpy()
    if target.kind == "in period":
        won = won & (panel["starts_on"].to_numpy() <= closed) & (closed <= panel["ends_on"].to_numpy())
    elif target.kind == "within":
        won = won & (closed <= known_on.to_numpy())
    booked = np.where(won, then["amount"].to_numpy(dtype=float, na_value=np.nan), 0.0)
    return panel.assign(
        won=won.astype(int),
        amount_won=booked,
        known_on=known_on,
        complete=known | ~panel["evaluated"],
        unresolved=unresolved & known,
        known=known,
    )


def unresolved(panel: pd.DataFrame, target: Target, resolve_after: int) -> str:
    """What to say of the deals that count as not won because nobody closed them; empty where none can."""
    if target.kind != "at all":
        return ""
    share = int(panel["unresolved"].sum()) / max(int(panel["known"].sum()), 1)
    return f"{share:.1%} of the deals were unresolved after {resolve_after} days and count as not won."
