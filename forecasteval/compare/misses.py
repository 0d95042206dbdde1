"""Why a quarter was missed: from what was expected at a week to what was booked, deal by deal, to the cent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.errors import CallError
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.inference.statistic import mean_over_clusters
from forecasteval.matching.deals_as_of import Record, closings
from forecasteval.sources.history import states
from forecasteval.tables.calendar import moment, week_ends
from forecasteval.tables.organisation import Org, newest_record

# the steps of the bridge, in the order in which they are drawn
STEPS: dict[str, str] = {
    "won": "won, beyond what was expected of these deals",
    "lost": "lost",
    "slipped": "still open, or won in a later period",
    "pulled_in": "dated into another period then, won in this one",
    "amount": "won for another amount than was in the list",
    "new": "created after that week and won",
    "re_opened": "closed then and open or lost later, or lost then and won after all",
    "unknown": "not known at that week: the records do not say how the deal stood",
}
_LISTS = {"all": (), "commit": ("Commit",), "best_case": ("Commit", "Most Likely", "Best Case")}


@dataclass(frozen=True, eq=False)
class Misses:
    """The way from expected to booked, by period.

    ``table`` has period, step, amount, deals: first `closed` and `open` (what was expected of the open deals of the list),
    then each of :data:`STEPS`, and last `booked`, which is the sum of all before it to the cent. ``deals`` has the same
    deal by deal.
    """

    table: pd.DataFrame
    deals: pd.DataFrame

    def of(self, period: str) -> pd.DataFrame:
        """The waterfall of one period: step, amount, deals, and where its bar starts and ends."""
        t = self.table[self.table["period"] == period].reset_index(drop=True)
        ends = t["amount"].cumsum().where(t["step"] != "booked", t["amount"])
        starts = (ends - t["amount"]).where(t["step"] != "booked", 0.0)
        return t.assign(start=starts.round(2), end=ends.round(2))


def _cents(amount: pd.Series) -> pd.Series:
    return (amount.fillna(0.0).astype(float) * 100).round().astype("int64")


def _standing(org: Org, days: Any) -> pd.DataFrame:
    """Every deal's state at the end of each day; where only open deals were copied, today's record says how they ended."""
    assert org.history is not None
    assert org.deals is not None
    assert org.periods is not None
    found = states(org.history, days, org.settings)
    columns = [
        "deal_id",
        "as_of",
        "rep",
        "status",
        "close_on",
        "amount",
        "rep_category",
        "stage",
        "values_state",
    ]
    if org.history["status"].ne("open").any():
        return found[columns]
    ended = closings(Record(org.deals, org.history, org.periods, org.settings))
    ended = ended[ended["status"] != "open"].merge(org.deals[["deal_id", "rep"]], on="deal_id")
    ended = ended.merge(pd.DataFrame({"as_of": pd.DatetimeIndex(days).unique()}), how="cross")
    ended = ended[ended["known_on"] <= ended["as_of"]].assign(values_state="known")
    gone = found.merge(ended[["deal_id", "as_of"]], on=["deal_id", "as_of"], how="left", indicator=True)
    return pd.concat([found[(gone["_merge"] == "left_only").to_numpy()], ended])[columns]


def misses(org: Org, *, week: int, deals: str = "all", through: Any = None) -> Misses:
    """The way from what was expected at a week to what was booked, for every period that is frozen.

    ``deals`` says which open deals dated into the period were expected to be won: all, those in Commit, or Best Case and
    better. All is counted in whole cents, so the steps add up exactly. A deal with an expectation e and an amount a at the
    week, booked for b: won b = a adds a - e to `won` and b - a to `amount`; not won takes e away.
    """
    if org.history is None or org.deals is None or org.periods is None:
        raise CallError("Why a quarter was missed can only be told from deals with a history.")
    if deals not in _LISTS:
        raise CallError(f"deals: {deals!r} is not one of {', '.join(_LISTS)}.")
    last = newest_record(org) if through is None else pd.Timestamp(through)
    looks = week_ends(org.periods)
    looks = looks[looks["week"] == week].rename(columns={"ends_on": "as_of"}).merge(org.periods, on="period")
    looks = looks[looks["freezes_on"] <= last]
    if looks.empty:
        raise CallError(f"No period with a week {week} is frozen yet, so none can be explained.")
    key = ["period", "deal_id"]
    then, end = (
        _standing(org, looks[day])
        .merge(looks[["period", day]].rename(columns={day: "as_of"}), on="as_of")
        .set_index(key)
        for day in ("as_of", "freezes_on")
    )
    found = _steps(then.add_suffix("_then").join(end.add_suffix("_end"), how="outer"), looks, deals)
    sums = found.groupby(["period", "step"])["cents"].agg(["sum", "size"])
    order = pd.MultiIndex.from_product([looks["period"], ["closed", "open", *STEPS, "booked"]])
    table = sums.reindex(order, fill_value=0).rename_axis(["period", "step"]).reset_index()
    table = table.assign(amount=table["sum"] / 100, deals=table["size"])[
        ["period", "step", "amount", "deals"]
    ]
    return Misses(table, found.assign(amount=found.pop("cents") / 100))


def _steps(d: pd.DataFrame, looks: pd.DataFrame, deals: str) -> pd.DataFrame:
    """Each period's deals, each with its steps in cents."""
    ends = looks.set_index("period")[["starts_on", "ends_on"]].reindex(d.index.get_level_values("period"))

    def inside(suffix: str) -> pd.Series:
        day = d[f"close_on_{suffix}"]
        return day.ge(ends["starts_on"].to_numpy()) & day.le(ends["ends_on"].to_numpy())

    known = d["values_state_then"].isin(["known", "carried"])
    booked = d["status_end"].eq("won") & inside("end")
    closed = known & d["status_then"].eq("won") & inside("then")
    was_open = known & d["status_then"].eq("open")
    listed = was_open & inside("then")
    a, b = _cents(d["amount_then"]), _cents(d["amount_end"]).where(booked, 0)
    e = a.where(listed if deals == "all" else listed & d["rep_category_then"].isin(_LISTS[deals]), 0)
    lost = d["status_end"].eq("lost")
    early = booked & ~closed & ~listed
    steps = {
        "closed": a.where(closed, 0),
        "open": e,
        "won": (a - e).where(listed & booked, 0),
        "lost": (-e).where(listed & ~booked & lost, 0),
        "slipped": (-e).where(listed & ~booked & ~lost, 0),
        "pulled_in": a.where(early & was_open, 0),
        "amount": (b - a).where(booked & (listed | closed | (early & was_open)), 0),
        "new": b.where(early & d["status_then"].isna(), 0),
        "re_opened": b.where(early & known & ~was_open, 0).mask(closed & ~booked, -a),
        "unknown": b.where(early & d["status_then"].notna() & ~known, 0),
        "booked": b,
    }  # fmt: skip
    long = pd.DataFrame(steps).melt(ignore_index=False, var_name="step", value_name="cents")
    rep = d["rep_then"].fillna(d["rep_end"]).rename("rep")
    return long[long["cents"] != 0].join(rep).reset_index()[["period", "deal_id", "rep", "step", "cents"]]


def _share(rows: pd.DataFrame, hits: str, of: str, cluster: str) -> dict[str, float]:
    """sum hits / sum of, with its interval for new periods (reps)."""
    by = rows.groupby(cluster)[[hits, of]].sum()
    total = by.sum()
    share = float(total[hits] / total[of]) if total[of] > 0 else np.nan
    e = mean_over_clusters(share, by[hits], by[of], least=MIN_CLUSTERS[cluster])
    return {"share": share, "low": float(np.maximum(e.low, 0.0)), "high": float(np.minimum(e.high, 1.0))}


def conversion(table: Misses) -> pd.DataFrame:
    """Of the listed deals of each period (Commit, say), the share won in it: by count and by amount.

    One row per period: period, deals, won, share, amount, won_amount, amount_share.
    """
    wide = table.deals.pivot_table("amount", ["period", "deal_id"], "step", aggfunc="sum", fill_value=0.0)
    wide = wide.reindex(columns=["open", "won", "booked"], fill_value=0.0)
    listed = wide[wide["open"] > 0]
    won = listed["booked"] > 0
    by = listed.assign(won=won, got=listed["open"].where(won, 0.0)).groupby(level="period", sort=False)
    found = by.agg(
        deals=("open", "size"), won=("won", "sum"), amount=("open", "sum"), won_amount=("got", "sum")
    )
    return found.assign(
        share=found["won"] / found["deals"], amount_share=found["won_amount"] / found["amount"]
    ).reset_index()


def converted(table: pd.DataFrame) -> pd.DataFrame:
    """All periods of :func:`conversion` together, by count and by amount, each share with its interval for new periods.

    >>> periods = pd.DataFrame({"period": list("abcd"), "deals": 10, "won": [6, 5, 7, 6], "amount": 1.0, "won_amount": 0.5})
    >>> converted(periods)[["by", "share"]].values.tolist()
    [['deals', 0.6], ['amount', 0.5]]
    """
    pairs = (("deals", "won"), ("amount", "won_amount"))
    return pd.DataFrame([{"by": of, **_share(table, hits, of, "period")} for of, hits in pairs])


def close_dates(org: Org, *, ahead: int = 8, through: Any = None) -> pd.DataFrame:
    """Of the deals dated into a week, how many had closed by its end: close dates' own calibration, by weeks ahead.

    Every look at every open deal counts whose expected date lies 0 to `ahead` weeks after the week of the look; the
    interval is for new periods (a delete-one jackknife), since the deals of one period share its fate. A deal that was
    open again at the look is judged by how it ended after it.

    Returns
    -------
    DataFrame with ahead, looks, closed (share closed by the end of that week), low, high, won (share won by then)
    """
    if org.history is None or org.periods is None or org.deals is None:
        raise CallError("Close dates can only be judged from deals with a history.")
    last = newest_record(org) if through is None else pd.Timestamp(through)
    weeks = week_ends(org.periods)
    weeks = weeks[weeks["ends_on"] <= last].rename(columns={"ends_on": "as_of"})
    then = states(org.history, weeks["as_of"], org.settings, open_only=True).merge(weeks, on="as_of")
    then = then[then["values_state"] != "unknown"].dropna(subset=["close_on"])
    then["ahead"] = np.ceil((then["close_on"] - then["as_of"]).dt.days / 7).astype(int)
    then["due"] = then["as_of"] + pd.to_timedelta(7 * then["ahead"], unit="D")
    then = then[then["ahead"].between(1, ahead) & (then["due"] <= last)]
    looked = then[["deal_id", "as_of", "due", "ahead", "period"]].assign(
        at=moment(then["as_of"], org.settings)
    )
    looked, ends = looked.astype({"deal_id": "str"}).sort_values("at", kind="stable"), _endings(org)
    looked["at"] = looked["at"].astype(ends["at"].dtype)
    found = pd.merge_asof(looked, ends, on="at", by="deal_id", direction="forward")
    by_then = found["ended"] < moment(found["due"], org.settings)
    found = found.assign(closed=by_then.astype(float), won=by_then & found["status"].eq("won"), looks=1)
    rows = []
    for weeks_ahead, part in found.groupby("ahead"):
        share = _share(part, "closed", "looks", "period")
        rows.append(
            {
                "ahead": weeks_ahead,
                "looks": len(part),
                "closed": share.pop("share"),
                **share,
                "won": part["won"].mean(),
            }
        )
    return pd.DataFrame(rows, columns=["ahead", "looks", "closed", "low", "high", "won"])


def _endings(org: Org) -> pd.DataFrame:
    """When deals were recorded as closed, each time, and how: deal_id, status, ended; `at` is the same for the merge."""
    assert org.history is not None
    assert org.deals is not None
    assert org.periods is not None
    h = org.history[org.history["status"] != "open"]
    if h.empty:  # copies of open deals only: today's record says how they ended
        h = closings(Record(org.deals, org.history, org.periods, org.settings))
        h = h[h["status"] != "open"].dropna(subset=["known_on"])
        h = h.assign(valid_from=moment(h["known_on"], org.settings) - pd.Timedelta(seconds=1))
    h = h[["deal_id", "status", "valid_from"]].rename(columns={"valid_from": "ended"})
    return h.assign(at=h["ended"]).astype({"deal_id": "str"}).sort_values("at", kind="stable")


def pushes(org: Org, *, through: Any = None) -> pd.DataFrame:
    """How the deals that were decided had moved their close date before: pushes (5 and more are one), deals, won, share.

    The interval of the share is for new reps.
    """
    if org.history is None or org.deals is None:
        raise CallError("Pushes can only be counted from deals with a history.")
    h = org.history.sort_values(["deal_id", "valid_from"], kind="stable")
    if through is not None:
        h = h[h["valid_from"] <= pd.Timestamp(through)]
    same = h["deal_id"].eq(h["deal_id"].shift()) & h["status"].eq("open")
    back = (same & (h["close_on"] > h["close_on"].shift())).groupby(h["deal_id"]).sum()
    deals = org.deals.set_index("deal_id").reindex(back.index)
    decided = pd.DataFrame({"pushes": back.clip(upper=5), "won": deals["outcome"].eq("won"), "deals": 1})
    decided = decided.assign(rep=deals["rep"].fillna(""))[deals["outcome"].isin(["won", "lost"])]
    return pd.DataFrame(
        [
            {
                "pushes": number,
                "deals": len(own),
                "won": int(own["won"].sum()),
                **_share(own, "won", "deals", "rep"),
            }
            for number, own in decided.groupby("pushes")
        ],
        columns=["pushes", "deals", "won", "share", "low", "high"],
    )
