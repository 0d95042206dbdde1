"""Files of an export held against each other: one that was cut is named, before its gaps become deletions."""

from __future__ import annotations

import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources._audit import Facts
from forecasteval.tables.coded import codes_in, is_coded

_FEW, _MANY = 20, 0.05  # so many deals, and this share of them, are no accident
_KEPT = 0.8  # of the rows of last time
_INSIST = "If it is meant, write allow_cut: true in organisation.yaml."


def between_files(facts: Facts, *, allowed: bool) -> list[Problem]:
    """Deals that the history knows and today's table does not, the other way round, and stages that differ."""
    current, name = facts.current, facts.dialect.file_name
    problems = []
    for kind, table in (("values", facts.full), ("changes", facts.changes)):
        if table is None or table.empty:
            continue
        known = pd.Index(table["deal_id"].unique(), dtype="str")
        lost = int((codes_in(pd.Series(known), pd.Index(current["deal_id"].unique())) < 0).sum())
        found = f"no record of {lost:,} of the {len(known):,} deals in {name(kind)}"
        problems += _told(name("deals"), lost, len(known), found, "a record of each", allowed)
    if facts.full is None or facts.full.empty:
        lasting = facts.changes is not None and len(facts.changes) > 0
        return problems + (_last_changes(facts, allowed=allowed) if lasting else [])
    alive = current[~current["is_deleted"]]
    last = facts.full[~facts.full["deal_id"].duplicated(keep="last")]
    place = codes_in(alive["deal_id"], pd.Index(last["deal_id"].astype("str")))
    since = alive["created_at"].ge(facts.full["at"].min()).to_numpy()
    silent = int(((place < 0) & since).sum())
    found = f"no row for {silent:,} of the {int(since.sum()):,} deals that were created since its first row"
    problems += _told(name("values"), silent, int(since.sum()), found, "a row for each", allowed)
    return problems + _stages(facts, alive[place >= 0], last.iloc[place[place >= 0]], allowed=allowed)


def _last_changes(facts: Facts, *, allowed: bool) -> list[Problem]:
    """Where a deal's last recorded change of what decides it leads elsewhere than where its record stands."""
    assert facts.changes is not None
    field = "status" if facts.dialect.own_status else "stage"
    alive = facts.current[~facts.current["is_deleted"]].set_index("deal_id")[field]
    own = facts.changes[facts.changes["field"] == field].drop_duplicates("deal_id", keep="last")
    said = own.set_index("deal_id")["new"]
    if facts.dialect.own_status:  # a deal begins as an open one
        said = said.reindex(facts.changes["deal_id"].unique()).fillna("open")
    said = said[said.notna() & said.index.isin(alive.index)].astype("str")
    now = alive.reindex(said.index)
    last, count = said, int((now.notna() & now.astype("str").ne(said)).sum())
    values = facts.dialect.file_name("deals")
    found = f"a last {field} other than that of {values} for {count:,} of {len(last):,} deals"
    return _told(facts.dialect.file_name("changes"), count, len(last), found, "the same in both", allowed)


def _stages(facts: Facts, today: pd.DataFrame, last: pd.DataFrame, *, allowed: bool) -> list[Problem]:
    """Where the last row of a deal's history and its record give different stages; outcomes are named."""
    stage = last["stage"].astype("str") if is_coded(last["stage"]) else last["stage"]
    before, now = stage.reset_index(drop=True), today["stage"].reset_index(drop=True)
    differs = before.notna() & now.notna() & before.ne(now)
    if not differs.any():
        return []
    status = facts.labels.status_of()
    pairs = pd.DataFrame({"was": before[differs].map(status), "now": now[differs].map(status)})
    other = pairs[pairs["was"].ne(pairs["now"])]
    counts = (other["was"] + " there and " + other["now"] + " here").value_counts()
    outcomes = "".join(f"; {n:,} {words}" for words, n in counts.items())
    values, count = facts.dialect.file_name("values"), int(differs.sum())
    found = f"{count:,} of {len(now):,} deals in another stage than the last row of {values} gives{outcomes}"
    file = facts.dialect.file_name("deals")
    return _told(file, count, len(now), found, "the same stage in both", allowed)


def _told(file: str, count: int, of: int, found: str, expected: str, allowed: bool) -> list[Problem]:
    if not count:
        return []
    if allowed or count < _FEW or count <= _MANY * of:
        advice = "Compare some of them with the CRM."
        return [Problem(file, None, None, found, expected, advice, "warning")]
    advice = f"One of the two files was cut, or exported on another day: export both again. {_INSIST}"
    return [Problem(file, None, None, found, expected, advice)]


def since_last_time(rows: dict[str, int], before: dict[str, int]) -> list[Problem]:
    """Files that are much shorter than when they were imported last, or gone."""
    return [
        Problem(
            file, None, None, f"{rows.get(file, 0):,} rows", f"about the {last:,} rows of last time",
            f"See whether the file is whole. {_INSIST}",
        )
        for file, last in before.items()
        if last - rows.get(file, 0) >= _FEW and rows.get(file, 0) < _KEPT * last
    ]  # fmt: skip
