"""What the rebuilding of the past found: shares, gaps, ties and disagreements, each with what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.sources._records import Tally
from forecasteval.sources._stages import Labels
from forecasteval.sources.dialect import Dialect
from forecasteval.tables.calendar import local_dates
from forecasteval.tables.coded import coded, codes_in, each_word
from forecasteval.tables.organisation import Org

Row = tuple[str, int, int, str]
_COLUMNS = ["check", "count", "of", "share", "what_it_means"]


@dataclass(frozen=True)
class Facts:
    """What an export says of its past, and what was counted on the way."""

    dialect: Dialect
    tally: Tally
    labels: Labels
    current: pd.DataFrame  # today's records
    full: pd.DataFrame | None = None  # full values and tracked changes, None where the export has none
    changes: pd.DataFrame | None = None
    owners_since: pd.Timestamp | None = None  # the moment from which owner changes are known to be recorded
    files: Mapping[str, str] = field(default_factory=dict)  # what the file of a kind is called here

    @property
    def recorded(self) -> bool:
        """Whether the export has a history at all."""
        return self.full is not None or self.changes is not None

    def file(self, kind: str) -> str:
        """The name of a file of the export, or the usual one where there is none."""
        return self.files.get(kind, self.dialect.file_name(kind))


def only_today(dialect: Dialect) -> str:
    """What an export without a past is good for, and what it lacks."""
    values, changes = dialect.object_name("values"), dialect.object_name("changes")
    return (
        f"Only today's {dialect.file_name('deals')} was exported: nothing can be known about the past, so forecasts "
        f"cannot be compared. Export {values} and {changes}, or keep weekly copies."
    )


def audit(org: Org, facts: Facts, outside: pd.Series | None) -> pd.DataFrame:
    """One row per check: ``check, count, of, share, what_it_means``; no share where there is nothing to count.

    ``outside`` holds the ids of the deals that the forecast files speak of.
    """
    rows: list[Row] = []
    if org.history is None:
        rows.append(("past states known", 0, len(facts.current), only_today(facts.dialect)))
    else:
        rows += _states(org) + _spells(org)
        if facts.recorded:
            rows += _recording(org.history, facts) + _disagreements(facts) + _backdated(org)
    return table(rows + _records(org, facts) + _outside(org, outside) + _footers(facts))


def table(rows: list[Row]) -> pd.DataFrame:
    """The audit's rows with their shares."""
    frame = pd.DataFrame(rows, columns=["check", "count", "of", "what_it_means"])
    frame["share"] = frame["count"] / frame["of"].where(frame["of"] > 0)
    return frame[_COLUMNS]


def _states(org: Org) -> list[Row]:
    if org.snapshots is None:
        return []
    still_open = org.snapshots[~org.snapshots["status"].isin(["won", "lost"])]
    meaning = {
        "known": "recorded by the end of that week",
        "carried": "taken back from a later record, by one of the two permitted ways",
        "unknown": "not recoverable: such deals cannot be compared at that week",
    }
    rows = []
    for column, subject in (("values_state", "values"), ("rep_state", "owner")):
        counts = still_open[column].value_counts()
        for state, words in meaning.items():
            text = f"The {subject} of an open deal at a week's end: {words}."
            rows.append((f"weekly {subject} {state}", int(counts.get(state, 0)), len(still_open), text))
    return rows


def _spells(org: Org) -> list[Row]:
    """Deals that were deleted and deals that were closed more than once."""
    assert org.history is not None
    assert org.deals is not None
    deal, status = coded(org.history["deal_id"]).cat.codes, org.history["status"]
    reopened = status.eq("open") & status.shift().isin(["won", "lost"]) & (deal == deal.shift())
    deleted = org.deals.loc[org.deals["outcome"] == "deleted", "deal_id"]
    silent = int((codes_in(deleted, pd.Index(org.history["deal_id"].unique(), dtype="str")) < 0).sum())
    lost_past = "Deals that are in no snapshot because their past was deleted with them: survivorship."
    kept_past = "Deleted deals whose past survived; they are in the snapshots of their time."
    spells = "Deals that were closed and then open again; every spell is kept, the freeze decides."
    return [
        ("deleted without history", silent, len(org.deals), lost_past),
        ("deleted with history", len(deleted) - silent, len(org.deals), kept_past),
        ("re-opened", int(deal[reopened].nunique()), int(deal.nunique()), spells),
    ]


def _recording(versions: pd.DataFrame, facts: Facts) -> list[Row]:
    """How the history was recorded: beginnings, ties, owners by name."""
    first = versions[~versions["deal_id"].duplicated()]
    late = int(first["values_state"].ne("known").sum())
    owners = 0 if facts.changes is None else int((facts.changes["field"] == "rep").sum())
    gap = "Deals whose values between creation and the first history row were not recorded."
    tie = "Records of one deal within one second; the order of their ids decides."
    names = "Owner changes that gave names only; a name shared by two users stays a name."
    kept = facts.dialect.kept_values
    if kept is not None and facts.changes is not None:
        sizes = facts.changes.groupby(["deal_id", "field"]).size()
        capped = f"Fields of a deal with {kept} values or more, of which the system keeps the last {kept}: what came before is unknown."
        cut = [("fields at the cap of kept values", int((sizes >= kept).sum()), len(sizes), capped)]
    else:
        cut = []
    return [
        *cut,
        ("first version missing", late, len(first), gap),
        ("same-second ties", facts.tally.ties, facts.tally.statements, tie),
        ("owner changes without ids", facts.tally.names_only, owners, names),
    ]


def beside_records(facts: Facts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Today's records of the deals that have a history, and the last row of each of them there."""
    assert facts.full is not None
    alive = facts.current[~facts.current["is_deleted"]]
    last = facts.full[~facts.full["deal_id"].duplicated(keep="last")]
    place = codes_in(alive["deal_id"], pd.Index(last["deal_id"].astype("str")))
    alive = alive[place >= 0]
    return alive, last.iloc[place[place >= 0]].set_axis(alive.index)


def differs(now: pd.Series, last: pd.Series) -> pd.Series:
    """Where a record has another value than the last statement of the past; a blank says nothing."""
    if now.dtype.kind == "f":
        equal = pd.Series(np.isclose(now, last.astype(float)), index=now.index)
    else:
        kind: Any = now.dtype if now.dtype.kind == "M" else "str"
        equal = now.astype(kind).eq(last.astype(kind))
    return ~equal & now.notna() & last.notna()


def _disagreements(facts: Facts) -> list[Row]:
    """The last history row against today's record, field by field."""
    if facts.full is None or facts.full.empty:
        return []
    deals = int((~facts.current["is_deleted"]).sum())
    now, last = beside_records(facts)
    text = "Deals in today's table of which no full version was exported."
    rows = [("deals without any history row", deals - len(now), deals, text)]
    for name in ("stage", "amount", "close_on", "rep_probability", "rep_category"):
        if name in last and now[name].notna().any():
            other = differs(now[name], last[name]) | (now[name].isna() ^ last[name].isna())
            text = f"The last history row and today's record give different values of {name}."
            rows.append((f"last version disagrees: {name}", int(other.sum()), len(now), text))
    return rows


def _backdated(org: Org) -> list[Row]:
    assert org.history is not None
    assert org.deals is not None
    won = org.history["status"].eq("won").to_numpy()
    deal = coded(org.history["deal_id"]).cat.codes.to_numpy()
    again = np.append(False, won[:-1] & (deal[1:] == deal[:-1]))[: len(won)]
    booked = org.history.loc[won & ~again, ["deal_id", "valid_from"]]
    last = booked.drop_duplicates("deal_id", keep="last")
    recorded = local_dates(last["valid_from"], org.settings).set_axis(last["deal_id"].astype("str"))
    deals = org.deals[org.deals["outcome"] == "won"]
    recorded_on = recorded.reindex(deals["deal_id"]).set_axis(deals.index)
    early = int((deals["closed_on"] < recorded_on).sum())
    text = "Won deals whose close date lies before the day on which the win was recorded."
    return [("backdated closes", early, int(recorded_on.notna().sum()), text)]


def _records(org: Org, facts: Facts) -> list[Row]:
    """What today's records and the files beside them show."""
    assert org.deals is not None
    labels = facts.labels
    translated = "Labels translated by stage_renames.csv to what the stage is called today."
    missing = "Deals without an amount; measures weighted by amount leave them out."
    rows: list[Row] = [
        ("stage labels renamed", labels.renamed, labels.translated, translated),
        ("amount missing", int(org.deals["amount"].isna().sum()), len(org.deals), missing),
    ]
    snapshots = org.snapshots
    if snapshots is not None and org.stages is not None:
        snapshots = snapshots[~snapshots["status"].isin(["won", "lost"])]
        by_stage = org.stages.set_index("stage")["default_probability"]
        default = each_word(snapshots["stage"], lambda words: words.map(by_stage)).to_numpy(float)
        stated = snapshots["rep_probability"].to_numpy(float)
        usable = ~np.isnan(stated) & ~np.isnan(default)
        same = np.isclose(stated, default) & usable
        text = (
            "Open-deal probabilities equal to their stage's default: near 100% means a stage table, not a "
            "rep's judgement."
        )
        rows.append(("probability equals stage default", int(same.sum()), int(usable.sum()), text))
    return rows


def _outside(org: Org, ids: pd.Series | None) -> list[Row]:
    if ids is None or org.forecasts is None:
        return []
    named = ids.dropna().unique()
    lacking = len(named) - org.forecasts["deal_id"].nunique()
    text = "Deals that only the forecast files name: deleted since, or never in the export; left out."
    return [("forecast deals that the export lacks", lacking, len(named), text)]


def _footers(facts: Facts) -> list[Row]:
    if not facts.tally.footers:
        return []
    return [("report footer rows", facts.tally.footers, len(facts.current), "Rows that were not data.")]
