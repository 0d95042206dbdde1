"""What may be wrong in a pipeline, each thing beside its own past: markets, reps, accounts, deals that are quiet or pushed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.inference.unusual import FEWEST_REVIEWS, WINDOW, falls, per_review
from forecasteval.scores.probability import Floats
from forecasteval.sources.history import version_of, versions_at
from forecasteval.tables.calendar import local_dates
from forecasteval.tables.coded import coded
from forecasteval.tables.organisation import Org

KINDS = {
    "inbound": "Market",
    "rep": "Rep",
    "account": "Account",
    "quiet": "Deal gone quiet",
    "pushed": "Deal pushed again",
}
FEWEST_GAPS = 3  # between entries of a deal, from which its own pace is known
_DAYS = 7 * WINDOW  # that are looked at
_LOOK_BACK = 182  # days in which pushes count
LATER = 56  # days in which it shows what becomes of a deal
_KNOWN_FOR = 56  # days for which a deal has to be known before a push is judged
_REVIEWS = 52  # weekly reviews of the past, at most
_WORKING_WEEK = 4  # days after its first, from which a week that is dated by its start is complete


@dataclass(frozen=True, eq=False)
class Signal:
    """One kind of thing that may be wrong.

    ``units`` has a row per unit that was judged, by its id: `rate`, how many as unusual come up in a review of normal
    life, and what the reason is made of. ``short`` counts those with too little history, ``reviews`` the past weeks.
    """

    kind: str
    units: pd.DataFrame
    short: int
    reviews: int
    seasonal: bool = False
    together: float = np.nan  # of counts: where all units stand beside their own past
    path: pd.DataFrame | None = None  # of counts: seen and usual, by unit and weeks before the day
    past: pd.DataFrame | None = (
        None  # of deals: deal, rate and whether it was lost in eight weeks, in past reviews
    )

    @property
    def judged(self) -> bool:
        """Is there enough of the past for a rate?"""
        return self.reviews >= FEWEST_REVIEWS and len(self.units) > 0


def lost_since(org: Org, then: pd.Timestamp, day: pd.Timestamp) -> pd.Series:
    """Of the deals that were open on a day, which were lost by a later one."""
    history = org.history
    assert history is not None
    days = np.array([then], dtype="datetime64[D]")
    version, _ = versions_at(history, days, org.settings, open_only=True)
    deals = history["deal_id"].iloc[version].astype("str").reset_index(drop=True)
    now = version_of(history, deals, pd.Series(day, deals.index), org.settings)
    status = history["status"].astype("str").to_numpy()[now]
    return pd.Series((status == "lost") & (now >= 0), index=pd.Index(deals, name="deal_id"))


def key_of(kind: str, unit: Any) -> str:
    """A short name for a row that stays the same from review to review and says nothing of a person."""
    return (
        "r" + hashlib.sha256(f"{kind}:{unit}".encode()).hexdigest()[:9]
    )  # a letter first: no spreadsheet reads a number


def signals(org: Org, day: pd.Timestamp, market: str | None) -> list[Signal]:
    """All of them as they stood at the end of a day; those without a table are left out."""
    found = [_counted(kind, rows, day) for kind, rows in _counts(org, day, market).items() if len(rows)]
    return found + (_deals(org, day) if org.history is not None and len(org.history) else [])


# --- counts ---------------------------------------------------------------------------------------------


def _counts(org: Org, day: pd.Timestamp, market: str | None) -> dict[str, pd.DataFrame]:
    """Rows of unit, on, count by kind: from the table of activity, else from what the record of deals shows."""
    given = (
        org.activity if org.activity is not None else pd.DataFrame(columns=["kind", "unit", "on", "count"])
    )
    found = {
        kind: given[(given["kind"] == kind) & (given["on"] <= day)] for kind in ("inbound", "rep", "account")
    }
    if org.history is None or not len(org.history):
        return found
    known = org.history[org.history["values_state"] == "known"]
    on = local_dates(known["valid_from"], org.settings)
    if found["inbound"].empty and market is not None and org.deals is not None:
        deals = org.deals[(org.deals["created_on"] >= _start(org)) & (org.deals["created_on"] <= day)]
        found["inbound"] = pd.DataFrame(
            {"unit": deals[market], "on": deals["created_on"], "count": 1}
        ).dropna()
    if found["rep"].empty:
        entries = pd.DataFrame({"unit": known["rep"].astype("str"), "on": on, "count": 1}).dropna()
        found["rep"] = entries[(entries["on"] >= _start(org)) & (entries["on"] <= day)]
    return found


def _start(org: Org) -> pd.Timestamp:
    """From when on the record shows all deals: before the first close that it holds, closed ones are missing."""
    assert org.deals is not None
    closed = org.deals["closed_on"].dropna()
    first = org.deals["created_on"].min()
    return max(first, pd.Timestamp(closed.min())) if len(closed) else first


def _counted(kind: str, rows: pd.DataFrame, day: pd.Timestamp) -> Signal:
    """One kind of counts by unit and week; weeks end with the day, or begin where rows are dated by their start."""
    weekdays = rows["on"].dt.day_of_week
    end = day
    if (weekdays == weekdays.iloc[0]).all():
        last = rows["on"].max()
        end = last + pd.Timedelta(days=6 if (day - last).days >= _WORKING_WEEK else -1)
        rows = rows[rows["on"] <= end]
    week = (end - rows["on"]).dt.days // 7
    wide = rows.assign(week=-week).pivot_table(index="unit", columns="week", values="count", aggfunc="sum")
    wide = wide.reindex(columns=range(int(wide.columns.min()) + 1, 1))  # the first week may be a part of one
    counts = wide.to_numpy(dtype=float)
    begun = np.maximum.accumulate(np.isfinite(counts), axis=1)
    counts = np.where(begun, np.nan_to_num(counts), np.nan)
    found = falls(counts)
    rate = per_review(found.score[:, -1], found.score[:, :-1])
    units = pd.DataFrame(
        {"rate": rate, "seen": found.seen[:, -1], "usual": found.usual[:, -1]}, index=wide.index
    )
    alive = np.nansum(counts[:, -_LOOK_BACK // 7 :], axis=1) > 0
    reviews = int(np.isfinite(found.score[:, :-1]).any(axis=0).sum())
    told = [pd.DataFrame(v, wide.index, wide.columns).T for v in (found.seen, found.usual)]
    path = pd.concat(told, axis=1, keys=["seen", "usual"])
    return Signal(
        kind,
        units.dropna(),
        int((np.isnan(rate) & alive).sum()),
        reviews,
        found.seasonal,
        float(found.together[-1]),
        path,
    )


# --- deals ----------------------------------------------------------------------------------------------


def _deals(org: Org, day: pd.Timestamp) -> list[Signal]:
    """Deals that are open on the day and in weekly reviews before: quiet for long, or pushed again."""
    history = org.history
    assert history is not None
    begun = local_dates(history["valid_from"], org.settings)
    first = max(begun.min(), _start(org)) + pd.Timedelta(days=_LOOK_BACK)
    weeks = min(max((day - first).days // 7, 0), _REVIEWS)
    days = (day - pd.to_timedelta(7 * np.arange(weeks, -1, -1), unit="D")).to_numpy("datetime64[D]")
    version, at = versions_at(history, days, org.settings, open_only=True)
    events = _Past.of(history, begun)
    on = days[at].astype(int)
    now = at == weeks
    deal = events.deal[version]
    id_of = coded(history["deal_id"]).cat.categories

    gaps, pace = events.gaps[version], events.pace[version]
    silent = on - events.day[version]
    quiet = np.where(gaps >= FEWEST_GAPS, np.log((silent + 1) / (pace + 1)), np.nan)
    lately, moved = events.pushes(deal, on, _DAYS)
    often, _ = events.pushes(deal, on, _LOOK_BACK)
    again = (lately > 0) & (often > lately)
    pushed = np.where(on - events.born[deal] >= _KNOWN_FOR, np.where(again, often + moved / 1e4, 0.0), np.nan)
    old = ~now & (on + LATER <= days[-1].astype(int))
    ids = pd.Series(id_of[deal[old]].astype("str"))
    then = version_of(history, ids, pd.Series((on[old] + LATER).astype("datetime64[D]")), org.settings)
    lost = (history["status"].astype("str").to_numpy()[then] == "lost") & (then >= 0)
    state = history.iloc[version[now]]
    told = {"amount": state["amount"].to_numpy(), "close_on": state["close_on"].to_numpy()}
    facts = [
        ("quiet", quiet, 1, {"silent": silent[now], "pace": pace[now]}),
        (
            "pushed",
            pushed,
            WINDOW,
            {"often": often[now], "moved": moved[now]},
        ),  # a push stands in so many reviews
    ]
    found = []
    for kind, score, again, about in facts:
        rate = per_review(score[now], score[~now], again=again)
        units = pd.DataFrame({"rate": rate, **about, **told}, index=pd.Index(id_of[deal[now]], name="unit"))
        as_rare = (
            per_review(score[old], score[~now], again=again)
            * np.isfinite(score[now]).sum()
            / max(np.isfinite(score[old]).sum(), 1)
        )
        past = pd.DataFrame({"deal": ids, "rate": as_rare, "lost": lost}).dropna()
        short = int(np.isnan(score[now]).sum())
        found.append(Signal(kind, units[np.isfinite(score[now])], short, weeks, past=past))
    return found


@dataclass(frozen=True, eq=False)
class _Past:
    """Of each version its deal, day, gaps before it and their median; of each deal its first day; all pushes."""

    deal: Any
    day: Any
    gaps: Floats
    pace: Floats
    born: Any
    pushed_at: Any  # deal and day of each push as one number, sorted
    pushed_by: Floats  # days, summed up in that order

    @classmethod
    def of(cls, history: pd.DataFrame, begun: pd.Series) -> _Past:
        deal = coded(history["deal_id"]).cat.codes.to_numpy(np.int64)
        day = begun.to_numpy("datetime64[D]").astype(np.int64)
        order = np.lexsort((history["valid_from"].to_numpy(), deal))
        in_order = pd.DataFrame({"deal": deal[order], "day": day[order]})
        gap = in_order.groupby("deal")["day"].diff()
        pace = gap.groupby(in_order["deal"]).expanding().median().to_numpy()
        gaps, spread = np.empty(len(deal)), np.empty(len(deal))
        gaps[order], spread[order] = in_order.groupby("deal").cumcount(), pace
        close = history["close_on"].to_numpy("datetime64[D]")[order]
        moved = np.append(0, (close[1:] - close[:-1]).astype(float))
        pushed = (in_order["deal"].diff() == 0) & (moved > 0) & ~np.isnat(close)
        at = (in_order["deal"] * _APART + in_order["day"])[pushed].to_numpy()
        by = np.append(0.0, np.cumsum(moved[pushed]))
        born = in_order.groupby("deal")["day"].first().reindex(range(deal.max(initial=-1) + 1)).to_numpy()
        return cls(deal, day, gaps, spread, born, at, by)

    def pushes(self, deal: Any, on: Any, within: int) -> tuple[Any, Any]:
        """How often the close date was pushed in the days up to one, and by how many days."""
        key = deal * _APART + on
        last, first = (np.searchsorted(self.pushed_at, k, side="right") for k in (key, key - within))
        return last - first, self.pushed_by[last] - self.pushed_by[first]


_APART = 10**6  # days: no two deals meet
