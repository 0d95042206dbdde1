"""Files of an export held against each other: one that was cut is named, before its gaps become deletions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.errors import Problem
from forecasteval.sources._audit import Facts, beside_records, differs
from forecasteval.tables.coded import codes_in

_FEW, _MANY = 20, 0.05  # so many deals, and this share of them, are no accident
_KEPT = 0.8  # of the rows of last time
_CHANCE = 1e-9  # of a silence that is an accident
_DAYS = 20  # on which deals began after the last row of a history: it is older than the records
_SOON, _NEXT_COPY = np.timedelta64(1, "D"), np.timedelta64(8, "D")  # a history begins with its deal
_FIELDS = ("status", "stage", "amount", "close_on", "rep_probability", "rep_category", "rep")
_INSIST = "If it is meant, write allow_cut: true in organisation.yaml."
_AGAIN = "See whether the file is whole, or export it again."


def between_files(facts: Facts, *, allowed: bool) -> list[Problem]:
    """What one file says of deals and another does not, for each file of the past beside the records and the other."""
    problems = []
    for kind, table in (("values", facts.full), ("changes", facts.changes)):
        if table is not None and len(table):
            problems += _Past(facts, kind, table, allowed).problems()
    return problems


def since_last_time(rows: dict[str, int], before: dict[str, int]) -> list[Problem]:
    """Files that are shorter than when they were imported last, or gone; those that are much shorter stop the import."""
    return [
        Problem(
            file, None, None, f"{rows.get(file, 0):,} rows", f"about the {last:,} rows of last time",
            f"See whether the file is whole. {_INSIST}",
            "error" if last - rows.get(file, 0) >= _FEW and rows.get(file, 0) < _KEPT * last else "warning",
        )
        for file, last in before.items()
        if rows.get(file, 0) < last
    ]  # fmt: skip


@dataclass(frozen=True)
class _Past:
    """One file of the past: its rows in order, of all fields (values) or of one (changes)."""

    facts: Facts
    kind: str
    rows: pd.DataFrame
    allowed: bool

    def problems(self) -> list[Problem]:
        """Everything that a whole file would not show."""
        records = pd.Index(self.facts.current["deal_id"].unique())
        ids = pd.Index(self.rows["deal_id"].unique(), dtype="str")
        lost = int((codes_in(pd.Series(ids), records) < 0).sum())
        found = f"no record of {lost:,} of the {len(ids):,} deals in {self._file}"
        if lost == len(ids) and lost and len(records):
            found += f" (ids such as {ids[0]} there, {records[0]} here)"
        problems = self._told(lost, len(ids), found, "a record of each", file=self._records)
        problems += self._of_values() if self.kind == "values" else self._of_changes()
        return problems + self._without_days()

    @property
    def _file(self) -> str:
        return self.facts.file(self.kind)

    @property
    def _records(self) -> str:
        return self.facts.file("deals")

    @property
    def _alive(self) -> pd.DataFrame:
        return self.facts.current[~self.facts.current["is_deleted"]]

    def _told(self, count: int, of: int, found: str, expected: str, file: str = "") -> list[Problem]:
        """Many stop the import, unless somebody insists; a few are spoken of."""
        if self.allowed or count < _FEW or count <= _MANY * of:
            return self._said(count, found, expected, "Compare some of them with the CRM.", file)
        advice = f"One of the two files was cut, or exported on another day: export both again. {_INSIST}"
        return [Problem(file or self._file, None, None, found, expected, advice)]

    def _said(
        self, count: int, found: str, expected: str, advice: str = _AGAIN, file: str = ""
    ) -> list[Problem]:
        return [Problem(file or self._file, None, None, found, expected, advice, "warning")] if count else []

    def _of_values(self) -> list[Problem]:
        """Deals without a row, those whose rows begin late, and last rows that their records contradict."""
        alive, first = self._alive, self.rows[~self.rows["deal_id"].duplicated()]
        place = codes_in(alive["deal_id"], pd.Index(first["deal_id"].astype("str")))
        since = alive["created_at"].ge(first["at"].min()).to_numpy()
        none = int(((place < 0) & since).sum())
        found = f"no row for {none:,} of the {int(since.sum()):,} deals that were created since its first row"
        problems = self._told(none, int(since.sum()), found, "a row for each")
        begun = first["at"].to_numpy()[place] - alive["created_at"].to_numpy()
        late = begun[(place >= 0) & since] > (_NEXT_COPY if "ends" in self.rows else _SOON)
        found = f"the first row of {int(late.sum()):,} of {len(late):,} deals long after they were created"
        problems += self._said(int(late.sum()), found, "histories that begin with their deals")
        today, last = beside_records(self.facts)
        other = {name: differs(today[name], last[name]) for name in _FIELDS if name in last and name in today}
        return problems + self._stages(today, last, other.pop("stage")) + self._others(other)

    def _stages(self, today: pd.DataFrame, last: pd.DataFrame, other: pd.Series) -> list[Problem]:
        """Where the last row of a deal and its record give different stages; outcomes are named."""
        status = self.facts.labels.status_of()
        was, now = (table["stage"][other].astype("str").map(status) for table in (last, today))
        counts = (was + " there and " + now + " here")[was.ne(now)].value_counts()
        outcomes = "".join(f"; {n:,} {words}" for words, n in counts.items())
        count = int(other.sum())
        found = f"{count:,} of {len(last):,} deals in another stage than the last row of {self._file} gives{outcomes}"
        return self._told(count, len(last), found, "the same stage in both", file=self._records)

    def _of_changes(self) -> list[Problem]:
        """Closed deals without the change that closed them, last changes that the records contradict, broken chains."""
        alive, decides = self._alive.set_index("deal_id"), self._decides
        alive = alive[~alive.index.duplicated()]
        closed = alive["status"].isin(["won", "lost"])
        problems, other, broken = [], dict[str, pd.Series](), dict[str, pd.Series]()
        for key, rows in self.rows.groupby("field", sort=False):
            name = str(key)
            last = rows.drop_duplicates("deal_id", keep="last").set_index("deal_id")["new"]
            now = alive[name].reindex(last.index)
            if "expected_on" in alive and name in ("amount", "close_on"):  # both stand on record once closed
                now = now.where(~closed.reindex(last.index, fill_value=True))
            if name == "rep":  # which may be a name
                last = last.where(last.isin(alive["rep"]))
            other[name] = differs(now, last)
            if name in ("stage", "status", "amount", "close_on"):
                broken[name] = _breaks(rows)
            if name == decides:
                due = alive.index[closed & self._since(alive, rows["at"].min())]
                none = int((~due.isin(last.index)).sum())
                found = f"no change of {name} for {none:,} of the {len(due):,} deals that were created and closed since"
                problems += self._told(none, len(due), found, "the change that closed each")
        if decides in other:
            wrong = other.pop(decides)
            found = f"a last {decides} other than that of {self._records} for {int(wrong.sum()):,} of {len(wrong):,} deals"
            problems += self._told(int(wrong.sum()), len(wrong), found, "the same in both")
        lacking = _counted(broken)
        found = f"changes from another value than the one before: {lacking}"
        said = self._said(len(lacking), found, "unbroken histories")
        return problems + self._others(other) + said + self._without_deals(alive[closed])

    @staticmethod
    def _since(alive: pd.DataFrame, first: pd.Timestamp) -> pd.Series:
        """Deals that were created since the first change, or closed after its day."""
        closed_on = alive.get("closed_on", alive.get("closed_at"))
        since = alive["created_at"].ge(first)
        return since if closed_on is None else since | closed_on.gt(first)

    @property
    def _decides(self) -> str:
        return "status" if self.facts.dialect.own_status else "stage"

    def _others(self, other: dict[str, pd.Series]) -> list[Problem]:
        """What is no outcome may change in ways that no history keeps: it is spoken of."""
        counts = _counted(other)
        found = f"last values other than those of {self._records}: {counts}"
        return self._said(len(counts), found, "the same values in both")

    def _without_deals(self, closed: pd.DataFrame) -> list[Problem]:
        """So many closed deals after each other without any row that it can be no accident."""
        closed = closed[closed["created_at"].ge(self.rows["at"].min())]
        for order in (np.arange(len(closed)), np.argsort(closed.index.to_numpy(), kind="stable")):
            ids = closed.index[order]
            told = ids.isin(self.rows["deal_id"])
            start, length = _longest_silence(told)
            if told.any() and len(ids) * (1 - told.mean()) ** length < _CHANCE:
                rows = f"rows for {told.mean():.0%} of them, as among the others"
                found = f"no row for {length:,} closed deals one after the other, {ids[start]} to {ids[start + length - 1]}"
                return self._said(length, found, rows)
        return []

    def _without_days(self) -> list[Problem]:
        """Days without a row, where there are usually some: in its midst, or after its last."""
        days, created = _active(self.rows["at"]), _active(self.facts.current["created_at"])
        if len(days) < _DAYS:
            return []
        later, within = created[created > days[-1]], created[(created >= days[0]) & (created <= days[-1])]
        usual = np.isin(within, days).mean() if len(within) else 0.0
        if len(later) >= 2 and (1 - usual) ** len(later) < _CHANCE:
            found = f"a last row of {_day(days[-1])}; deals were created on {len(later):,} days after it"
            return self._told(len(later), len(later), found, "a history as new as the records")
        silences = np.diff(days) - 1
        for at in np.flatnonzero(silences >= _DAYS / 2):
            wide = 3 * silences[at]
            before = np.mean(np.isin(np.arange(max(days[0], days[at] - wide), days[at] + 1), days))
            after = np.mean(np.isin(np.arange(days[at + 1], min(days[-1], days[at + 1] + wide) + 1), days))
            usual = min(before, after)
            if (1 - usual) ** silences[at] < _CHANCE:
                found = f"no row from {_day(days[at] + 1)} to {_day(days[at + 1] - 1)}"
                return self._said(1, found, f"rows on {usual:.0%} of the days, as before and after")
        return []


def _breaks(rows: pd.DataFrame) -> pd.Series:
    """Changes from another value than the change before led to; what happened within one second has no order."""
    before = rows[["deal_id", "at", "new"]].shift()
    follows = rows["deal_id"].eq(before["deal_id"]) & rows["at"].gt(before["at"])
    follows &= ~rows.duplicated(["deal_id", "at"], keep=False)
    follows &= rows["old"].notna() & before["new"].notna() & ~rows["silent"].astype(bool)
    return follows & rows["old"].astype("str").ne(before["new"].astype("str"))


def _counted(where: dict[str, pd.Series]) -> str:
    """In how many deals, field by field; a single one is left to the audit."""
    return ", ".join(f"{name} ({int(rows.sum()):,})" for name, rows in where.items() if rows.sum() > 1)


def _active(stamps: pd.Series) -> NDArray[np.int64]:
    """The days, as numbers, on which there is any stamp."""
    known = stamps.to_numpy("datetime64[D]").view(np.int64)
    known = known[known > np.iinfo(np.int64).min]
    return np.flatnonzero(np.bincount(known - known.min())) + known.min() if len(known) else known


def _day(number: Any) -> str:
    return str(np.datetime64(int(number), "D"))


def _longest_silence(told: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the longest run of False begins, and its length."""
    edges = np.flatnonzero(np.concatenate([[True], told, [True]]))
    lengths = np.diff(edges) - 1
    return int(edges[lengths.argmax()]), int(lengths.max())
