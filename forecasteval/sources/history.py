"""What was known about each deal at a moment, rebuilt from what a CRM recorded.

The history table holds versions: a deal's state from ``valid_from`` until ``valid_to``. It is put together
field by field from statements, each of which is *known* (recorded by then), *carried* (one of the two
permitted ways to reach past the moment) or *unknown*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from forecasteval.tables.calendar import moment
from forecasteval.tables.schemas import STATES, canonical

_VALUES = ("stage", "amount", "close_on", "rep_probability", "rep_category")
FIELDS = ("rep", *_VALUES)
_KNOWN, _CARRIED, _UNKNOWN, _GONE = 0, 1, 2, 3
_NEVER = np.datetime64("NaT", "us")
_ALMOST_AT_ONCE = pd.Timedelta(seconds=60)


def states(history: pd.DataFrame, days: ArrayLike, settings: Any, open_only: bool = False) -> pd.DataFrame:
    """The state of every deal at the end of each day, one row per deal and day on which the deal existed.

    With ``open_only`` deals that are known to be closed by then are left out. A deal of which nothing is known
    is not known to be closed; its ``state`` says so: it is the worse of ``values_state`` and ``rep_state``.

    >>> from types import SimpleNamespace
    >>> versions = canonical("history", pd.DataFrame({"deal_id": ["D1", "D1"], "amount": [5.0, 9.0],
    ...     "valid_from": pd.to_datetime(["2026-01-05 10:00", "2026-02-03 09:00"]),
    ...     "valid_to": pd.to_datetime(["2026-02-03 09:00", None]), "status": "open",
    ...     "values_state": "known", "rep_state": "carried"}))
    >>> utc = SimpleNamespace(timezone="UTC", cut_off_hour=24)
    >>> states(versions, ["2026-01-01", "2026-02-02", "2026-02-03"], utc)[["amount", "state"]].values.tolist()
    [[5.0, 'carried'], [9.0, 'carried']]
    """
    unique_days = np.unique(np.asarray(days, dtype="datetime64[D]"))
    moments = _last_instants(unique_days, settings)
    versions = history
    if open_only:
        versions = history[~history["status"].isin(["won", "lost"]).to_numpy()]
    first = np.searchsorted(moments, versions["valid_from"].to_numpy("datetime64[us]"), side="left")
    ends = versions["valid_to"].to_numpy("datetime64[us]")
    last = np.where(np.isnat(ends), len(moments), np.searchsorted(moments, ends, side="left"))
    counts = np.maximum(last - first, 0)
    version = np.repeat(np.arange(len(versions)), counts)
    day = np.arange(len(version)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    by_day = np.argsort(day, kind="stable")
    version, day = version[by_day], day[by_day]
    taken = {column: versions[column].array.take(version) for column in ("deal_id", *FIELDS)}
    names = np.array(STATES, dtype=object)
    codes = {
        column: pd.Index(names).get_indexer(pd.Index(versions[column].to_numpy(object)))
        for column in ("values_state", "rep_state")
    }
    worst = np.maximum(codes["values_state"], codes["rep_state"])[version]
    return pd.DataFrame(
        {
            "deal_id": taken["deal_id"],
            "as_of": unique_days[day].astype("datetime64[s]"),
            **{column: taken[column] for column in FIELDS},
            "state": pd.array(names[worst], dtype="str"),
            **{
                column: versions[column].array.take(version)
                for column in ("status", "values_state", "rep_state")
            },
        }
    )


def _last_instants(days: NDArray[np.datetime64], settings: Any) -> NDArray[np.datetime64]:
    """The last microsecond of each day: what is recorded at the cut-off itself belongs to the next."""
    return (moment(days, settings) - pd.Timedelta(microseconds=1)).to_numpy("datetime64[us]")


def from_snapshots(snapshots: pd.DataFrame, settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Dated copies of the open deals, with their states filled in, and the versions that they show.

    A copy holds from the end of its day until the next copy. An open deal that is missing from the next copy
    ends there. A copy older than ``settings.snapshot_max_age_days`` says nothing any more: unknown until the
    next. A closed deal keeps its last sight, marked unknown, where copies leave closed deals out. ``state``
    and ``status`` are taken as known and open where absent.

    >>> from types import SimpleNamespace
    >>> zone = SimpleNamespace(timezone="UTC", cut_off_hour=24, snapshot_max_age_days=7)
    >>> copies = pd.DataFrame({"deal_id": ["D1"], "as_of": pd.to_datetime(["2026-01-05"]), "amount": [5.0]})
    >>> _, versions = from_snapshots(copies, zone)
    >>> states(versions, ["2026-01-04", "2026-01-12", "2026-01-13"], zone)["values_state"].tolist()
    ['known', 'unknown']
    """
    copies = canonical("snapshots", snapshots).sort_values(["deal_id", "as_of"], ignore_index=True)
    given = copies["state"].fillna("known")
    for column in ("values_state", "rep_state"):
        copies[column] = copies[column].fillna(given)
    copies["status"] = copies["status"].fillna("open")
    codes = [copies[column].map(STATES.index).to_numpy(int) for column in ("values_state", "rep_state")]
    copies["state"] = pd.Series(np.array(STATES, dtype=object)[np.maximum(*codes)], dtype="str")
    dates = np.unique(copies["as_of"].to_numpy("datetime64[D]"))
    position = np.searchsorted(dates, copies["as_of"].to_numpy("datetime64[D]"))
    starts = _last_instants(dates, settings)
    next_copy = np.append(starts[1:], _NEVER)[position]
    too_old = moment(dates + np.timedelta64(settings.snapshot_max_age_days, "D"), settings).to_numpy(
        "datetime64[us]"
    )
    too_old = too_old[position]
    same_deal = np.append(copies["deal_id"].to_numpy()[1:] == copies["deal_id"].to_numpy()[:-1], False)
    own_next = np.where(same_deal, np.append(starts[position][1:], _NEVER), _NEVER)
    closed = copies["status"].isin(["won", "lost"]).to_numpy()

    known_until = np.fmin(next_copy, too_old)
    doubt_until = np.where(closed, own_next, next_copy)
    doubtful = np.isnat(doubt_until) | (known_until < doubt_until)
    doubtful &= closed | (known_until != next_copy)
    known = copies.drop(columns=["as_of", "state"]).assign(valid_from=starts[position], valid_to=known_until)
    after = known.assign(
        valid_from=known_until, valid_to=doubt_until, values_state="unknown", rep_state="unknown"
    )
    after[list(FIELDS)] = after[list(FIELDS)].where(pd.Series(closed, index=after.index), axis=0)
    history = pd.concat([known, after[doubtful]]).sort_values(["deal_id", "valid_from"], ignore_index=True)
    return copies, canonical("history", history)


@dataclass(frozen=True)
class Records:
    """What a CRM recorded about deals, in one zone (naive UTC), in tidy units, in order within a tie."""

    # today, one row per deal: deal_id, created_at, rep, stage, amount, close_on, rep_probability, rep_category,
    # is_deleted
    current: pd.DataFrame
    # full values from ``at`` until superseded: deal_id, at, any of the fields, and ends where a deal stops existing;
    # with lost where nothing is known from there on
    full: pd.DataFrame | None
    # tracked changes: deal_id, at, field, old, new; with silent where they say nothing of the time before
    changes: pd.DataFrame | None = None
    # the moment from which owner changes were recorded, where it is known to lie before the first of them
    owners_since: pd.Timestamp | None = None
    own_status: bool = False  # status is a field of its own, in ``current`` and the changes


def _nothing(**kinds: str) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=kind) for column, kind in kinds.items()})


def build(records: Records, status_of: dict[str, str]) -> pd.DataFrame:
    """The versions of every deal, by the rules above; ``status_of`` is stage -> open, won or lost.

    >>> current = pd.DataFrame({"deal_id": ["D1"], "created_at": pd.to_datetime(["2026-01-05"]), "rep": ["r2"],
    ...                         "stage": ["Won"], "is_deleted": [False]})
    >>> values = pd.DataFrame({"deal_id": ["D1", "D1"], "at": pd.to_datetime(["2026-01-05", "2026-02-01"]),
    ...                        "stage": ["Talk", "Won"], "close_on": pd.to_datetime(["2026-02-28", "2026-02-01"])})
    >>> versions = build(Records(current, values), {"Talk": "open", "Won": "won"})
    >>> versions[["stage", "status", "rep", "values_state", "rep_state"]].values.tolist()
    [['Talk', 'open', 'r2', 'known', 'carried'], ['Won', 'won', 'r2', 'known', 'carried']]
    """
    book = _Book(records)
    names = (*FIELDS, "status") if records.own_status else FIELDS
    timelines = {name: book.timeline(name) for name in names}
    deal, at = _starts(list(timelines.values()))
    columns: dict[str, Any] = {}
    worst = {
        "values_state": np.zeros(len(deal), dtype=np.int8),
        "rep_state": np.zeros(len(deal), dtype=np.int8),
    }
    for name, line in timelines.items():
        values, state = line.read(deal, at)
        columns[name] = values
        if not book.has(name):
            continue
        group = "rep_state" if name == "rep" else "values_state"
        worst[group] = np.maximum(worst[group], state)
    gone = np.maximum(worst["values_state"], worst["rep_state"]) == _GONE
    same_deal = np.append(deal[1:] == deal[:-1], False)
    valid_to = np.where(same_deal, np.append(at[1:], at[:1]), _NEVER)
    states = np.array([*STATES, "unknown"], dtype=object)
    status = columns.pop("status", columns["stage"].map(status_of)).fillna("open")
    table = pd.DataFrame(
        {
            "deal_id": book.deals.take(deal),
            "valid_from": at,
            "valid_to": valid_to,
            **columns,
            "status": status,
        },
    )
    for name, codes in worst.items():
        table[name] = states[codes]
    return canonical("history", table[~gone].reset_index(drop=True))


@dataclass(frozen=True)
class _Timeline:
    """The statements about one field, sorted by deal and time; of a tie the last one holds."""

    deal: NDArray[np.int64]
    at: NDArray[np.datetime64]
    value: pd.Series
    state: NDArray[np.int8]

    @classmethod
    def empty(cls, name: str) -> _Timeline:
        """A field that nothing was ever said about."""
        at = np.zeros(0, dtype="datetime64[us]")
        return cls(np.zeros(0, np.int64), at, _typed(name, pd.Series(dtype=object)), np.zeros(0, np.int8))

    def read(self, deal: NDArray[np.int64], at: NDArray[np.datetime64]) -> tuple[pd.Series, NDArray[np.int8]]:
        """The statement in force for each deal and moment: value and state."""
        times = np.unique(np.concatenate([self.at, at]))
        own = self.deal * len(times) + np.searchsorted(times, self.at)
        asked = deal * len(times) + np.searchsorted(times, at)
        row = np.searchsorted(own, asked, side="right") - 1
        found = row >= 0
        found[found] = self.deal[row[found]] == deal[found]
        row = np.where(found, row, -1)
        value = pd.Series(pd.api.extensions.take(self.value.array, row, allow_fill=True))
        state = np.where(found, np.append(self.state, _UNKNOWN)[row], _UNKNOWN).astype(np.int8)
        return value, state


def _starts(timelines: list[_Timeline]) -> tuple[NDArray[np.int64], NDArray[np.datetime64]]:
    """Every deal and moment at which any field says something new, sorted, each once."""
    deal = np.concatenate([line.deal for line in timelines])
    at = np.concatenate([line.at for line in timelines])
    order = np.lexsort((at, deal))
    deal, at = deal[order], at[order]
    new = np.append(True, (deal[1:] != deal[:-1]) | (at[1:] != at[:-1]))[: len(deal)]
    return deal[new], at[new]


class _Book:
    """The records by number of deal, and when each deal began."""

    def __init__(self, records: Records) -> None:
        current, full, changes = records.current, records.full, records.changes
        self.owners_since = records.owners_since
        self.owners_tracked = changes is not None and bool((changes["field"] == "rep").any())
        stated = {"deal_id": "str", "at": "datetime64[us]"}
        if full is None:
            full = _nothing(**stated)
        if changes is None:
            changes = _nothing(**stated, field="str", old="object", new="object")
        recorded = pd.Index(full["deal_id"]).union(pd.Index(changes["deal_id"].astype(full["deal_id"].dtype)))
        alive = current.loc[~current["is_deleted"], "deal_id"]
        self.deals = pd.Index(recorded.union(pd.Index(alive)).unique(), dtype="str")
        self.full = full.assign(deal=self.deals.get_indexer(pd.Index(full["deal_id"])))
        self.changes = changes.assign(deal=self.deals.get_indexer(pd.Index(changes["deal_id"])))
        columns = ["created_at", *FIELDS, "status"]
        self.current = current.set_index("deal_id").reindex(index=self.deals, columns=columns)
        self.listed = self.deals.isin(current["deal_id"])
        self.created = self.current["created_at"].to_numpy("datetime64[us]")
        self.first_full = self._first(self.full)
        self.start = self._start()
        self.changes = self._from_the_start(self.changes)

    def _from_the_start(self, changes: pd.DataFrame) -> pd.DataFrame:
        """A value without one before it that was written with the deal itself holds from its start."""
        if "silent" not in changes:
            return changes.assign(silent=False)
        at, start = changes["at"].to_numpy("datetime64[us]"), self.start[changes["deal"].to_numpy(np.int64)]
        with_it = changes["silent"].to_numpy(bool) & (at - start <= _ALMOST_AT_ONCE.to_numpy())
        return changes.assign(at=np.where(with_it, start, at))

    def _first(self, rows: pd.DataFrame) -> NDArray[np.datetime64]:
        first = rows.groupby("deal")["at"].min().reindex(range(len(self.deals)))
        return first.astype("datetime64[us]").to_numpy()

    def _start(self) -> NDArray[np.datetime64]:
        """The first sign of life: creation, or an earlier statement, or a version written with it."""
        start = np.fmin(self.created, np.fmin(self.first_full, self._first(self.changes)))
        at_once = self.first_full - start <= _ALMOST_AT_ONCE.to_numpy()
        return np.where(at_once, self.first_full, start)

    def has(self, name: str) -> bool:
        """Whether the export can speak of the field at all; one that it never had makes no state unknown."""
        if name in ("rep", "status") or name in self.full:
            return True
        if self.full.columns.intersection(list(_VALUES)).size:
            return False
        # what was never tracked cannot be known; only a forecast can be done without
        return name in ("stage", "amount", "close_on") or bool((self.changes["field"] == name).any())

    def timeline(self, name: str) -> _Timeline:
        """All statements about a field: those recorded, and what is carried back to the start."""
        own = self.changes[self.changes["field"] == name]
        parts = [self.full.rename(columns={name: "new"})] if name in self.full else []
        if not self.has(name):
            own = own.iloc[:0]
        elif parts:
            # full values take over from the first of them
            first_full = self.first_full[own["deal"].to_numpy(np.int64)]
            parts.append(own[~(own["at"].to_numpy("datetime64[us]") >= first_full)])
        else:
            parts.append(own)
        recorded = [
            part[["deal", "at", "new"]].assign(state=_UNKNOWN * part["lost"] if "lost" in part else _KNOWN)
            for part in parts
            if len(part)
        ]
        first_known = self._first(pd.concat(recorded)) if recorded else np.full(len(self.deals), _NEVER)
        carried = [self._carried(name, own, first_known)] if self.has(name) else []
        gone = [self._gone()] if "ends" in self.full else []
        statements = [part for part in (*carried, *recorded, *gone) if len(part)]
        if not statements:
            return _Timeline.empty(name)
        table = pd.concat(statements, ignore_index=True)
        deal = table["deal"].to_numpy(np.int64)
        at = table["at"].to_numpy("datetime64[us]")
        order = np.lexsort((at, deal))
        values = _typed(name, table["new"].take(order))
        return _Timeline(deal[order], at[order], values, table["state"].to_numpy(np.int8)[order])

    def _carried(self, name: str, own: pd.DataFrame, first_known: NDArray[np.datetime64]) -> pd.DataFrame:
        """What is said of the time before a field's first recorded value: the rules' two ways, or unknown."""
        deal = np.flatnonzero(np.isnat(first_known) | (first_known > self.start))
        lead = pd.DataFrame({"deal": deal, "at": self.start[deal], "state": _UNKNOWN})
        first = own.sort_values("at", kind="stable").drop_duplicates("deal").set_index("deal")
        first_change = first["old"]
        changed = lead["deal"].isin(first_change.index)
        told = lead["deal"].isin(first.index[~first["silent"].astype(bool)])
        since = own["at"].min() if len(own) else pd.NaT
        if name == "rep" and self.owners_since is not None:
            since = min(self.owners_since, since)
        tracked = pd.Series(self.created[deal]).ge(since)
        if name == "rep" and not self.owners_tracked:
            tracked |= True
        unchanged = ~changed & tracked & pd.Series(self.listed[deal])
        today = _typed(name, self.current[name].take(deal))
        if name == "rep":
            unchanged &= today.notna()
        lead["new"] = _typed(name, lead["deal"].map(first_change).where(told)).where(~unchanged, today)
        lead.loc[told | unchanged, "state"] = _CARRIED
        return lead[lead["at"].notna()]

    def _gone(self) -> pd.DataFrame:
        """Where a deal stops existing: an end that no next version takes up."""
        rows = self.full.sort_values(["deal", "at"], kind="stable")
        next_at = rows["at"].shift(-1).where(rows["deal"].shift(-1) == rows["deal"])
        open_end = rows["ends"].notna() & (next_at.isna() | (next_at > rows["ends"] + _ALMOST_AT_ONCE))
        ended = rows.loc[open_end, ["deal", "ends"]].rename(columns={"ends": "at"})
        return ended.assign(new=None, state=_GONE)


def _typed(name: str, values: pd.Series) -> pd.Series:
    dtype = {"amount": "float64", "rep_probability": "float64", "close_on": "datetime64[s]"}.get(name, "str")
    return values.astype(dtype).reset_index(drop=True)  # type: ignore[call-overload]
