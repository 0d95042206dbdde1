"""What one run knows: the ledger with what this run adds, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.compare.verdicts import SAME, UNSURE
from forecasteval.errors import CallError
from forecasteval.inference.confidence_sequences import BLOCKS
from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.resemblance import ALIKE_LEVEL, shown_once_in
from forecasteval.matching.deals_as_of import Record, Target, looks_at
from forecasteval.matching.match import match
from forecasteval.matching.matched import META
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.studies.weekly_monitor import _entries as entries
from forecasteval.studies.weekly_monitor._looks import cohorts_of, doubts_of, hindsight_of, looks_of, stands
from forecasteval.studies.weekly_monitor._rules import Rules, day_of
from forecasteval.tables import calendar as cal
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Entry, Ledger
from forecasteval.tables.organisation import Org, newest_record
from forecasteval.tables.organisation import about as about_org

_QUIET_DAYS = 4  # without a record that a long weekend explains
# written beside the rules: a ledger begun otherwise is not continued
FREEZE = "first look at which both speak"


@dataclass(frozen=True, eq=False)
class Watch(Answer):
    """What one run knows.

    `added` are the entries that this run adds to the `book` it read; `deals`, `cohorts` and `looks` follow from all
    entries. `flips`, `restated` and `appeared` are what today's data say otherwise than the ledger. `about` are the
    forecasters' descriptions, `noun` is what the periods are called, `notes` are what the reader of the data was told,
    `organisation` is whose data they are.
    """

    rules: Rules
    day: pd.Timestamp
    book: Ledger
    added: list[Entry]
    deals: pd.DataFrame
    cohorts: pd.DataFrame
    looks: pd.DataFrame
    flips: pd.DataFrame
    restated: pd.DataFrame
    appeared: int
    about: Mapping[str, Any]
    noun: str
    notes: Sequence[str]
    organisation: Mapping[str, Any] = field(default_factory=dict)

    say = Words(__file__)
    fewest_periods, tuned_for_periods = BLOCKS.fewest, BLOCKS.tuned_for

    @property
    def entries(self) -> list[Entry]:
        """All entries, those of this run included."""
        return [*self.book.entries, *self.added]

    @property
    def head(self) -> str:
        """The hash of the ledger's last entry once this run is kept."""
        return str(self.entries[-1]["hash"])

    @property
    def weeks(self) -> list[Entry]:
        """The weeks in the ledger."""
        return [e for e in self.entries if e["kind"] == "look"]

    @property
    def late_weeks(self) -> int:
        """How many of them were taken up afterwards."""
        return sum(e["late"] for e in self.weeks)

    @property
    def last(self) -> dict[str, Any] | None:
        """The newest look, None before the first."""
        return None if self.looks.empty else {str(k): v for k, v in self.looks.iloc[-1].items()}

    @property
    def said(self) -> str:
        """What the newest look says."""
        return UNSURE if self.last is None else str(self.last["verdict"])

    @property
    def same(self) -> bool:
        """Does it say that the difference is too small to matter?"""
        return self.said == SAME

    @property
    def formed(self) -> bool:
        """Is there an interval at the newest look?"""
        return self.last is not None and math.isfinite(self.last["low"])

    @property
    def one_look(self) -> tuple[float, float] | None:
        """The interval that would be right if the newest look were the only one."""
        ends = None if self.last is None else (self.last["fixed_low"], self.last["fixed_high"])
        return ends if ends and math.isfinite(ends[0]) else None

    @property
    def doubts(self) -> list[Reason]:
        """Why the newest look carries no verdict whatever the numbers."""
        if self.last is None:
            return []
        found = doubts_of(self.last)
        if not stands(self.last, self.rules):
            text = (
                f"What the interval says would not stand if {self.noun} resembled their neighbours as much as these "
                f"{self.last['periods']} allow: it would be {min(self.last['widening'], 5):.1f} times as wide."
            )
            found.append(reason("periods_alike", text))
        return found

    @property
    def glosses(self) -> list[tuple[str, str]]:
        """The forecasters that say what they are."""
        names = (self.rules.candidate, self.rules.baseline)
        return [(name, gloss) for name in names if (gloss := self.about.get(name, {}).get("gloss"))]

    @property
    def spoken_of(self) -> str | None:
        """The target that the baseline speaks about, where it is another than the one it is scored on."""
        own = self.about.get(self.rules.baseline, {}).get("target")
        own = "won at all" if self.rules.baseline == "rep_forecast" else own
        return own if own != self.rules.target else None

    @property
    def alike(self) -> bool:
        """Do periods resemble their neighbours by more than chance makes of independent ones?"""
        return self.last is not None and self.last["alike_p_value"] < ALIKE_LEVEL

    @property
    def alike_shown_once_in(self) -> int:
        """In one of how many such histories a strong resemblance would be found."""
        return shown_once_in(0 if self.last is None else self.last["periods"])

    @property
    def changes(self) -> list[tuple[pd.Timestamp, str]]:
        """The days on which the verdict changed, with the new one; what holds at the start is no change."""
        said = [UNSURE, *self.looks["verdict"]] if len(self.looks) else []
        moved = [i for i in range(1, len(said)) if said[i] != said[i - 1]]
        return [(self.looks["known_on"].iloc[i - 1], said[i]) for i in moved]

    @property
    def waiting(self) -> pd.DataFrame:
        """The deals whose outcome is not known yet."""
        return self.deals[~self.deals["known"]]

    @property
    def next_on(self) -> pd.Timestamp | None:
        """The day on which the next cohort becomes known, None where none is under way."""
        return None if self.waiting.empty else self.waiting["due_on"].min()

    @property
    def cost(self) -> float | None:
        """Width of the sequence in units of the interval of one look, None where either is missing."""
        if self.last is None or self.one_look is None or not self.formed:
            return None
        low, high = self.one_look
        return float((self.last["high"] - self.last["low"]) / (high - low)) if high > low else None


def watch(org: Org, rules: Rules, *, path: Path, through: str = "") -> Watch:
    """Look at the data with the ledger in hand; nothing is written.

    Raises
    ------
    CallError
        For data without a history, a ledger that is damaged or was begun under other rules, and forecasts that are
        no probabilities.
    """
    if org.history is None or org.deals is None or org.periods is None:
        raise CallError(
            "The weekly monitor needs a history: what was believed week by week. This data folder holds "
            f"{'a matched table' if org.matched is not None else 'only the records of one day'}; import an export with "
            "its history, or keep dated copies."
        )
    day = last_whole_day(org, through)
    book = ledger.read(path)
    _check_rules(book, rules, day)
    # nothing that was recorded later; forecasts issued later speak at no look anyway
    recorded = org.history[(org.history["valid_from"] < cal.moment(day, org.settings)).to_numpy()]
    record = Record(org.deals, recorded, org.periods, org.settings)
    aim = Target.parse(rules.target)
    calendar = _calendar(record, day, aim)
    if calendar.empty or recorded.empty:
        raise CallError(f"Nothing was recorded by {day:%Y-%m-%d}, or the calendar begins after it.")
    spoken, meta = _spoken(replace(org, history=recorded), rules, day)
    added: list[Entry] = [] if book.entries else [{"kind": "rules", "rules": rules.plain, "freeze": FREEZE}]
    added += entries.new_looks(book, calendar, spoken, rules, day)
    added += entries.new_outcomes([*book.entries, *added], record, calendar, aim, day)
    added = ledger.sealed(added, book.head)
    held = [*book.entries, *added]
    deals = entries.frozen(held)
    cohorts = cohorts_of(deals, rules.metric, rules.epsilon)
    return Watch(
        rules,
        day,
        book,
        added,
        deals,
        cohorts,
        looks_of(cohorts, rules, hindsight_of(deals, rules)),
        flips=entries.flips_of(deals, record, calendar, aim),
        restated=entries.restated(held, spoken),
        appeared=entries.appeared(held, spoken),
        about=meta.get("forecasters", {}),
        noun=meta.get("nouns", {}).get("period", "periods"),
        notes=org.notes,
        organisation=about_org(org, deals.loc[deals["known"], "period"] if "period" in deals else None),
    )


def last_whole_day(org: Org, through: str = "") -> pd.Timestamp:
    """The last day that counts: `through`, or the day before the newest record, whose own day may go on."""
    newest = newest_record(org)
    if newest is None:
        raise CallError("The data hold no dated record.")
    day = day_of(through)
    if day is None:
        return newest - pd.Timedelta(days=1)
    if day > newest + pd.Timedelta(days=_QUIET_DAYS):
        raise CallError(f"through: the data end on {newest:%Y-%m-%d}, long before {through}. Export again.")
    return day


def _check_rules(book: Ledger, rules: Rules, day: pd.Timestamp) -> None:
    if not book.entries:
        return
    kept = book.entries[0].get("rules")
    if not isinstance(kept, dict):
        raise CallError(f"{book.path} is not a ledger of the weekly monitor; name another file.")
    usual = {k: Rules.model_fields[k].default for k in ("metric", "epsilon")}
    was, now = usual | kept, usual | rules.plain
    other = [f"{k} was {was.get(k)!r} and is {v!r}" for k, v in now.items() if was.get(k) != v]
    if book.entries[0].get("freeze") != FREEZE:
        other.append(f"a deal was frozen at the first look that met it, and now at the {FREEZE}")
    if other:
        raise CallError(
            f"The ledger {book.path} was begun under other rules: {'; '.join(other)}. Rules that change after looking "
            "void what the sequence promises. Keep the old ones, or name another ledger to begin a new sequence."
        )
    latest = max((str(e.get("taken_on") or e.get("frozen_on") or "") for e in book.entries), default="")
    if latest > f"{day:%Y-%m-%d}":
        raise CallError(
            f"The ledger {book.path} already holds what was known on {latest}, after {day:%Y-%m-%d}. Name another ledger "
            "to replay an earlier day."
        )


def _calendar(record: Record, day: pd.Timestamp, aim: Target) -> pd.DataFrame:
    """Every week's end up to a day, with the day on which the target of that week is known."""
    looks = looks_at(record.periods, _weeks(record.periods)).drop_duplicates("as_of").sort_values("as_of")
    looks = looks[looks["as_of"] <= day].reset_index(drop=True)
    due = looks["freezes_on"] if aim.kind == "in period" else looks["as_of"] + pd.Timedelta(days=aim.days)
    return looks.assign(due_on=due)


def _weeks(periods: pd.DataFrame) -> list[str]:
    return [f"week {w}" for w in range(1, int(cal.weeks_in(periods).max()) + 1)]


def _spoken(org: Org, rules: Rules, day: pd.Timestamp) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """What both say at every look, where the baseline speaks, and what `match` has to say of it."""
    assert org.periods is not None
    said = match(
        org,
        as_of=_weeks(org.periods),
        pool=True,
        target=rules.target,
        population=rules.population,
        forecasters=[rules.candidate, rules.baseline],
        through=day,
        pending=True,
    )
    meta = said.attrs.get(META, {})
    for stop in meta.get("stop", ()):
        if stop["code"] != "no_common_deals":
            raise CallError(stop["text"])
    for name, about in meta.get("forecasters", {}).items():
        if about["kind"] != "probability":
            raise CallError(
                f"{name} gives a {about['kind'].replace('_', ' ')}; the monitor needs probabilities."
            )
    spoken = said[said[rules.baseline].notna()].sort_values(["as_of", "deal_id"], kind="stable")
    spoken = spoken.assign(amount=spoken["amount"].astype(float) if "amount" in spoken else math.nan)
    spoken = spoken[["deal_id", "as_of", rules.candidate, rules.baseline, "amount"]]
    spoken = spoken.set_axis(["deal", "as_of", "candidate", "baseline", "amount"], axis=1)
    rounded = {who: spoken[who].round(entries.DIGITS) for who in ("candidate", "baseline")}
    return spoken.assign(**rounded), meta
