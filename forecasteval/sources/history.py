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
from forecasteval.tables.coded import by_code, coded, codes_in, each_word, is_coded, sorted_once
from forecasteval.tables.schemas import STATES, canonical

_VALUES = ("stage", "amount", "close_on", "rep_probability", "rep_category")
FIELDS = ("rep", *_VALUES)
_KNOWN, _CARRIED, _UNKNOWN, _GONE = 0, 1, 2, 3
_NEVER = np.datetime64("NaT", "us")
_STATES = pd.Series([*STATES, "unknown"])  # by their codes
_NUMBERS = {"amount": "float64", "rep_probability": "float64", "close_on": "datetime64[s]"}
_ALMOST_AT_ONCE = pd.Timedelta(seconds=60)


def states(
    history: pd.DataFrame, days: ArrayLike, settings: Any, open_only: bool = False, *, by_words: bool = True
) -> pd.DataFrame:
    """The state of every deal at the end of each day, one row per deal and day on which the deal existed.

    With ``open_only`` deals that are known to be closed by then are left out. A deal of which nothing is known
    is not known to be closed; its ``state`` says so: it is the worse of ``values_state`` and ``rep_state``. Without
    ``by_words`` its words stay in codes, as those of ``history`` are.

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
    version, day = versions_at(history, unique_days, settings, open_only)
    shown = ("deal_id", *FIELDS, "status", "values_state", "rep_state")
    taken = {column: history[column].array.take(version) for column in shown}
    worst = np.maximum(*(_state_codes(history[column]) for column in ("values_state", "rep_state")))
    as_of, state = unique_days[day].astype("datetime64[s]"), by_code(worst[version], _STATES)
    table = pd.DataFrame(
        {
            "deal_id": taken.pop("deal_id"),
            "as_of": as_of,
            **{column: taken.pop(column) for column in FIELDS},
            "state": state,
            **taken,
        }
    )
    return table.astype({column: "str" for column in table if is_coded(table[column])} if by_words else {})


def versions_at(
    history: pd.DataFrame, days: NDArray[np.datetime64], settings: Any, open_only: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which version (row) holds at the end of which of the sorted days, day by day."""
    starts, ends = (history[column].to_numpy("datetime64[us]") for column in ("valid_from", "valid_to"))
    if open_only:
        starts = np.where(history["status"].isin(["won", "lost"]), _NEVER, starts)
    return held(starts, ends, moment(days, settings).to_numpy("datetime64[us]"))


def held(
    starts: NDArray[np.datetime64], ends: NDArray[np.datetime64], before: NDArray[np.datetime64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which version (row) had begun, and had not ended, before which of the sorted instants, instant by instant.

    What begins never (NaT) does not hold; what ends never holds for good.

    >>> starts, ends, before = (np.array(days, dtype="datetime64[us]") for days in (
    ...     ["2026-01-05", "NaT"], ["2026-01-06", "NaT"], ["2026-01-05", "2026-01-06"]))
    >>> [found.tolist() for found in held(starts, ends, before)]
    [[0], [1]]
    """
    first, last = (np.searchsorted(before, times, side="right") for times in (starts, ends))
    counts = np.maximum(last - first, 0)
    version = np.repeat(np.arange(len(starts)), counts)
    at = np.arange(len(version)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    in_order = np.argsort(at, kind="stable")
    return version[in_order], at[in_order]


def version_of(history: pd.DataFrame, deals: pd.Series, days: pd.Series, settings: Any) -> NDArray[np.int64]:
    """Which version (row) of a deal holds at the end of a day, for each deal and day; -1 for none."""
    ids = coded(history["deal_id"])
    starts, ends = (history[column].to_numpy("datetime64[us]") for column in ("valid_from", "valid_to"))
    unique_days, day = np.unique(days.to_numpy("datetime64[D]"), return_inverse=True)
    asked = np.append(_last_instants(unique_days[~np.isnat(unique_days)], settings), _NEVER)
    now = asked[np.minimum(day, len(asked) - 1)]
    times = sorted_once(starts)
    key = ids.cat.codes.to_numpy(np.int64) * len(times) + np.searchsorted(times, starts)
    order = np.argsort(key, kind="stable")
    deal = codes_in(deals, ids.cat.categories)
    wanted = deal * len(times) + np.searchsorted(times, now, side="right") - 1
    row = np.append(order, -1)[np.searchsorted(key[order], wanted, side="right") - 1]
    holds = (row >= 0) & (deal >= 0) & ~np.isnat(now)
    holds[holds] = ids.cat.codes.to_numpy()[row[holds]] == deal[holds]
    holds[holds] = (starts[row[holds]] <= now[holds]) & ~(ends[row[holds]] <= now[holds])
    return np.where(holds, row, -1)


def _state_codes(column: pd.Series) -> NDArray[np.int64]:
    """States by code: an empty cell is unknown; a column that says nothing at all is -1, below every state."""
    codes = codes_in(column, pd.Index(STATES))
    return np.where(codes < 0, _UNKNOWN, codes) if (codes >= 0).any() else codes


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
    copies = copies.astype({column: "str" for column in copies if is_coded(copies[column])})
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
    return canonical("snapshots", copies), canonical("history", history)


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
    beside = {name: book.beside(name) for name in names}
    news = [part["key"] for parts in beside.values() for part in parts]
    starts = sorted_once(np.concatenate([book.full["key"], *news]))
    deal, at = np.divmod(starts, len(book.times))
    columns: dict[str, Any] = {}
    worst = {name: np.zeros(len(deal), dtype=np.int8) for name in ("values_state", "rep_state")}
    for name in names:
        columns[name], state = book.timeline(name, beside.pop(name)).read(starts, len(book.times))
        if not book.has(name):
            continue
        group = "rep_state" if name == "rep" else "values_state"
        worst[group] = np.maximum(worst[group], state)
    kept = np.flatnonzero(np.maximum(worst["values_state"], worst["rep_state"]) != _GONE)
    valid_from = book.times[at]
    valid_to = np.append(valid_from[1:], _NEVER)[: len(deal)]
    valid_to[np.append(deal[1:] != deal[:-1], True)[: len(deal)]] = _NEVER
    table = {
        "deal_id": pd.Categorical.from_codes(deal[kept], categories=book.deals),
        "valid_from": valid_from[kept],
        "valid_to": valid_to[kept],
        **{name: columns.pop(name).array.take(kept) for name in FIELDS},
    }
    if records.own_status:
        table["status"] = each_word(columns.pop("status").take(kept), lambda words: words.fillna("open"))
    else:
        stages = pd.Series(table["stage"])
        table["status"] = each_word(stages, lambda words: words.map(status_of).fillna("open").astype("str"))
    for name, codes in worst.items():
        table[name] = by_code(codes[kept], _STATES)
    return canonical("history", pd.DataFrame(table, copy=False))


@dataclass(frozen=True)
class _Timeline:
    """The statements about one field, sorted by key (deal, then time); of a tie the last one holds."""

    key: NDArray[np.int64]
    value: pd.Series
    state: NDArray[np.int8]

    def read(self, asked: NDArray[np.int64], times: int) -> tuple[pd.Series, NDArray[np.int8]]:
        """The statement in force for each deal and moment: value and state."""
        row = np.searchsorted(self.key, asked, side="right") - 1
        row[row >= 0] = np.where(
            self.key[row[row >= 0]] // times == asked[row >= 0] // times, row[row >= 0], -1
        )
        value = pd.Series(pd.api.extensions.take(self.value.array, row, allow_fill=True))
        return value, np.append(self.state, np.int8(_UNKNOWN))[row]


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
        alive = current.loc[~current["is_deleted"], "deal_id"]
        self.deals = pd.Index([], dtype="str")
        for ids in (full["deal_id"], changes["deal_id"], alive):
            self.deals = self.deals.union(pd.Index(ids.unique(), dtype="str"))
        self.deals = self.deals.sort_values()
        self.full = full.assign(deal=codes_in(full["deal_id"], self.deals))
        self.changes = changes.assign(deal=codes_in(changes["deal_id"], self.deals))
        columns = ["created_at", *FIELDS, "status"]
        self.current = current.set_index("deal_id").reindex(index=self.deals, columns=columns)
        self.listed = codes_in(pd.Series(self.deals), pd.Index(current["deal_id"].unique())) >= 0
        self.created = self.current["created_at"].to_numpy("datetime64[us]")
        self.first_full = self._first(self.full)
        self.start = self._start()
        self.changes = self._from_the_start(self.changes)
        self.ends = [self._gone()] if "ends" in self.full else []
        spoken = [part["at"].to_numpy("datetime64[us]") for part in (self.full, self.changes, *self.ends)]
        self.times = sorted_once(np.concatenate([*spoken, self.start[~np.isnat(self.start)]]))
        self.full = self._keyed(self.full)

    def _keyed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """With one number for deal and moment, ordered as they are."""
        at = np.searchsorted(self.times, rows["at"].to_numpy("datetime64[us]"))
        return rows.assign(key=rows["deal"].to_numpy(np.int64) * len(self.times) + at)

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

    def beside(self, name: str) -> list[pd.DataFrame]:
        """The statements about a field beside full values: what is carried back to the start, changes and ends."""
        own = self.changes[self.changes["field"] == name]
        told = name in self.full
        if not self.has(name):
            own = own.iloc[:0]
        changes = own
        if told:
            # full values take over from the first of them
            first_full = self.first_full[own["deal"].to_numpy(np.int64)]
            changes = own[~(own["at"].to_numpy("datetime64[us]") >= first_full)]
        first_known = self.first_full if told else np.full(len(self.deals), _NEVER)
        if len(changes):
            first_known = np.fmin(first_known, self._first(changes))
        carried = [self._carried(name, own, first_known)] if self.has(name) else []
        if not carried:
            carried = [own.iloc[:0].assign(state=_KNOWN)]
        return [self._keyed(part) for part in (*carried, _recorded(changes), *self.ends)]

    def timeline(self, name: str, beside: list[pd.DataFrame]) -> _Timeline:
        """All statements about a field; of those at one moment what is carried comes first, an end last."""
        parts = beside
        if name in self.full:
            parts = [beside[0], _recorded(self.full.rename(columns={name: "new"})), *beside[1:]]
        key = np.concatenate([part["key"].to_numpy() for part in parts])
        order = np.argsort(key, kind="stable")
        state = np.concatenate([part["state"].to_numpy(np.int8) for part in parts])[order]
        value = _joined(name, [part["new"] for part in parts]).take(order)
        return _Timeline(key[order], value, state)

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


def _recorded(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(state=_UNKNOWN * rows["lost"] if "lost" in rows else _KNOWN)


def _typed(name: str, values: pd.Series) -> pd.Series:
    return values.astype(_NUMBERS.get(name, "str")).reset_index(drop=True)  # type: ignore[call-overload]


def _joined(name: str, parts: list[pd.Series]) -> pd.Series:
    """The values of several statements one after the other, words by code."""
    if name in _NUMBERS:
        return pd.concat([_typed(name, part) for part in parts], ignore_index=True)
    return pd.Series(pd.api.types.union_categoricals([coded(part) for part in parts], sort_categories=True))
