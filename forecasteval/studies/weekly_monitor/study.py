"""The weekly report: one frozen forecast per deal, cohorts that enter whole, a verdict that may be read every week.

**Cohort.** A deal is frozen at the first weekly look at which both forecasters speak, and belongs to the cohort of that
look only; its later forecasts do not count. A candidate that scores once a week is silent when a deal first
appears, so such a deal waits: while its target is open, that is until the end of the period, or for N days. If the
candidate never speaks by then, the deal stays in the cohort of the first look at which the baseline spoke, with
the baseline's value standing in, and is counted as filled. A deal that closes while it waits is such a one: it counts
as no difference, so it favours neither. What both say is frozen while the deal is open, at the first moment at
which it can be, whatever becomes of it.

**Order.** A cohort enters when the target of every deal in it is known: N days after the look, or at the freeze
of its period, when all looks of the period enter together. Never deal by deal as they close: wins close
early, so that a forecaster that leans high would lead at first whatever it is worth.

**Question.** For `generalise_to` ("deal", "period"), the default: these reps, in coming weeks, which lie in quarters
that may be better or worse than those seen; the sequence is :func:`~forecasteval.sequences.over_blocks` over
periods, whose sums hold the deals' own chance as well. For ("deal",): these reps, in weeks like those
seen; :func:`~forecasteval.sequences.asymptotic` over cohorts. Both are always computed; the one that was
declared gives the verdict. Reps are the ones in the data: neither speaks about new reps.

**Verdict.** Of the sequence at each look: a side as soon as 0 is outside, and for as long as it stays outside.
The average that is estimated may drift, so a verdict can be withdrawn, and intervals of earlier looks
are not intersected with later ones. That any look at all gives a false verdict has probability 1 - `level`.

**Ledger.** Rules first; then each look, its forecasts, and each outcome on the day that it is frozen
(:mod:`forecasteval.ledger`). Everything reported is computed from the ledger, so what was frozen counts for good:

- a deal on which the candidate is silent is written at once, with the baseline's value; if it speaks in time, a
  second line follows, and the last line of a deal is the one that counts. No week that was reported holds a
  deal that may still move: its cohort enters only when waiting is over;
- two runs in a week: the second finds nothing new, writes nothing and reports the same;
- a missed week: its cohort is taken up from the history as of its own week, marked late (by more than a week); deals whose state at
  that moment cannot be rebuilt are first met at the next look that knows them;
- a deal that turns up afterwards in a week already taken never enters that week's cohort; counted;
- other rules: refused, since rules chosen after looking void the guarantee; another ledger must be named;
- a later flip (today's record contradicts the frozen outcome), a vanished deal, a restated forecast: counted
  and shown, and without effect. A deal that vanished *before* its outcome was known is frozen as void;
- an earlier `through` than the ledger's own last day: refused, it would be another history.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.compare.verdicts import UNSURE
from forecasteval.errors import CallError
from forecasteval.matching.deals_as_of import Record, Target, closings, looks_at, with_outcome
from forecasteval.matching.match import match
from forecasteval.matching.matched import META
from forecasteval.studies.weekly_monitor.rules import (
    Rules,
    cohorts_of,
    day_of,
    doubts_of,
    forecasts_of,
    frozen,
    looks_of,
)
from forecasteval.tables import calendar as cal
from forecasteval.tables import ledger as books
from forecasteval.tables.ledger import Entry, Ledger
from forecasteval.tables.organisation import Org, newest_record

DIGITS = 6  # of a frozen probability: below any difference that matters, above the noise of a refit
QUIET_DAYS = 4  # without a record that a long weekend explains
WEEK = pd.Timedelta(days=7)
LEDGER = Path("ledger") / "weekly_monitor.jsonl"
# written beside the rules: a ledger begun otherwise is not continued
FREEZE = "first look at which both speak"


@dataclass(frozen=True, eq=False)
class Watch:
    """What one run knows: the ledger with what this run adds, and what follows from it.

    Attributes
    ----------
    rules : Rules
    day : the last day that counts
    book : the ledger as it was read; :func:`keep` writes `added` to it
    added : entries that this run adds
    cohorts : DataFrame, one row per cohort whose target is known, in the order in which they became known
    looks : DataFrame, one row per day on which a cohort became known: estimate, intervals, verdict
    doubts : why the last look carries no verdict whatever the numbers
    flips, restated, appeared : what today's data say otherwise than the ledger
    deals : DataFrame, one row per deal of the ledger, as :func:`forecasteval.looks.frozen` gives it
    about : the forecasters' descriptions
    nouns : what the periods are called
    """

    rules: Rules
    day: pd.Timestamp
    book: Ledger
    added: list[Entry]
    cohorts: pd.DataFrame
    looks: pd.DataFrame
    doubts: list[dict[str, str]]
    flips: pd.DataFrame
    restated: pd.DataFrame
    appeared: int
    deals: pd.DataFrame
    about: Mapping[str, Any]
    nouns: Mapping[str, str] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """All entries, those of this run included."""
        return [*self.book.entries, *self.added]

    @property
    def head(self) -> str:
        """The hash of the ledger's last entry once this run is kept."""
        return str(self.entries[-1]["hash"])

    @property
    def last(self) -> dict[str, Any] | None:
        """The newest look, None before the first."""
        return None if self.looks.empty else {str(k): v for k, v in self.looks.iloc[-1].items()}

    @property
    def changes(self) -> list[tuple[pd.Timestamp, str]]:
        """The days on which the verdict changed, with the new one; what holds at the start is no change."""
        said = [UNSURE, *self.looks["verdict"]] if len(self.looks) else []
        moved = [i for i in range(1, len(said)) if said[i] != said[i - 1]]
        return [(self.looks["known_on"].iloc[i - 1], said[i]) for i in moved]

    @property
    def next_on(self) -> pd.Timestamp | None:
        """The day on which the next cohort becomes known, None where none is under way."""
        due = self.deals.loc[~self.deals["known"], "due_on"]
        return None if due.empty else due.min()

    @property
    def cost(self) -> float:
        """Width of the sequence in units of the interval of one look; NaN where either is missing."""
        row = self.last
        if row is None or not math.isfinite(row["high"] - row["low"]):
            return math.nan
        one = row["fixed_high"] - row["fixed_low"]
        return float((row["high"] - row["low"]) / one) if one > 0 else math.nan


# --- what is new since the last run ----------------------------------------------------------------------


def last_whole_day(org: Org, through: str = "") -> pd.Timestamp:
    """The last day that counts: `through`, or the day before the newest record, whose own day may go on.

    Parameters
    ----------
    org : Org
    through : a day such as "2026-02-28", or empty

    Returns
    -------
    Timestamp

    Raises
    ------
    CallError
        If it is not a day, or the data end long before it.
    """
    newest = newest_record(org)
    if newest is None:
        raise CallError("The data hold no dated record.")
    if not through:
        return newest - pd.Timedelta(days=1)
    day = day_of(through)
    if day is None:
        raise CallError(f"through: {through!r} is not a day such as 2026-02-28.")
    if day > newest + pd.Timedelta(days=QUIET_DAYS):
        raise CallError(f"through: the data end on {newest:%Y-%m-%d}, long before {through}. Export again.")
    return day


def _calendar(record: Record, day: pd.Timestamp, aim: Target) -> pd.DataFrame:
    """Every week's end up to a day, with the day on which the target of that week is known."""
    looks = looks_at(record.periods, _weeks(record.periods)).drop_duplicates("as_of").sort_values("as_of")
    looks = looks[looks["as_of"] <= day].reset_index(drop=True)
    due = looks["freezes_on"] if aim.kind == "in period" else looks["as_of"] + pd.Timedelta(days=aim.days)
    return looks.assign(due_on=due)


def _weeks(periods: pd.DataFrame) -> list[str]:
    return [f"week {w}" for w in range(1, int(cal.weeks_in(periods).max()) + 1)]


def _spoken(org: Org, rules: Rules, day: pd.Timestamp) -> tuple[pd.DataFrame, dict[str, Any]]:
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
    return pd.DataFrame(
        {
            "deal_id": spoken["deal_id"],
            "as_of": spoken["as_of"],
            "candidate": spoken[rules.candidate].round(DIGITS),
            "baseline": spoken[rules.baseline].round(DIGITS),
        }
    ), meta


def _check_rules(book: Ledger, rules: Rules, day: pd.Timestamp) -> None:
    if not book.entries:
        return
    kept = book.entries[0].get("rules")
    if not isinstance(kept, dict):
        raise CallError(f"{book.path} is not a ledger of the weekly monitor; name another file.")
    now = rules.plain
    other = [f"{k} was {kept.get(k)!r} and is {now[k]!r}" for k in now if kept.get(k) != now[k]]
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


def _new_looks(
    book: Ledger, calendar: pd.DataFrame, spoken: pd.DataFrame, rules: Rules, day: pd.Timestamp
) -> list[Entry]:
    """Looks since the last one taken, with the forecasts for deals met for the first time or no longer waiting."""
    taken = [e["as_of"] for e in book.of("look")]
    fresh = calendar[calendar["as_of"] > pd.Timestamp(taken[-1])] if taken else calendar
    if rules.since:
        fresh = fresh[fresh["as_of"] >= pd.Timestamp(rules.since)]
    said = spoken.merge(fresh[["as_of", "period", "due_on"]], on="as_of")
    met = frozen(book.entries).rename(columns={"deal": "deal_id"})
    first = said[~said["deal_id"].isin(met["deal_id"])].drop_duplicates("deal_id")
    if not taken:  # the ledger begins with the first week that has deals
        fresh = fresh[fresh["as_of"] >= first["as_of"].min()]
    silent = pd.concat([met[met["filled"] & ~met["known"]], first[first["candidate"].isna()]])
    heard = _heard(said, silent, Target.parse(rules.target))
    lines = pd.concat([first, heard]).sort_values(["as_of", "deal_id"], kind="stable")
    entries: list[Entry] = []
    for look in fresh.assign(late=fresh["as_of"] < day - WEEK).itertuples():
        deals = lines[lines["as_of"] == look.as_of]
        entries.append(
            {
                "kind": "look",
                "as_of": f"{look.as_of:%Y-%m-%d}",
                "period": str(look.period),
                "due_on": f"{look.due_on:%Y-%m-%d}",
                "deals": len(deals),
                "taken_on": f"{day:%Y-%m-%d}",
                "late": bool(look.late),
            }
        )
        entries += [
            {
                "kind": "forecast",
                "deal": str(deal),
                "as_of": f"{look.as_of:%Y-%m-%d}",
                "candidate": None if math.isnan(candidate) else candidate,
                "baseline": baseline,
            }
            for deal, candidate, baseline in zip(
                deals["deal_id"], deals["candidate"].tolist(), deals["baseline"].tolist(), strict=True
            )
        ]
    return entries


def _heard(said: pd.DataFrame, silent: pd.DataFrame, aim: Target) -> pd.DataFrame:
    """The first look at which both speak on each deal that waits for the candidate, if it comes in time."""
    keys = ["deal_id", "period", "due_on"]
    both = said[said["candidate"].notna()].merge(silent[keys], on="deal_id", suffixes=("", "_met"))
    open_ = both["as_of"] < both["due_on_met"]
    if aim.kind == "in period":  # over with the period, some days before the outcomes are frozen
        open_ &= both["period"] == both["period_met"]
    return both.loc[open_, said.columns].drop_duplicates("deal_id")


def _outcomes(
    record: Record, calendar: pd.DataFrame, deals: pd.DataFrame, aim: Target, day: pd.Timestamp
) -> pd.DataFrame:
    """Deals with `won`, as recorded by the day on which the target is known; NaN where the record is gone."""
    panel = deals.merge(calendar.drop(columns="period"), on="as_of", how="left")
    panel = with_outcome(record, panel, aim, day, 0)
    there = panel["deal_id"].isin(record.history["deal_id"])
    return panel.assign(won=panel["won"].astype(float).where(there))


def _new_outcomes(
    entries: Sequence[Entry], record: Record, calendar: pd.DataFrame, aim: Target, day: pd.Timestamp
) -> list[Entry]:
    done = {e["deal"] for e in entries if e["kind"] == "outcome"}
    open_ = [e for e in forecasts_of(entries) if e["deal"] not in done]
    deals = pd.DataFrame(open_, columns=["deal", "as_of"]).rename(columns={"deal": "deal_id"})
    deals["as_of"] = pd.to_datetime(deals["as_of"]).astype("datetime64[s]")
    due = deals[deals["as_of"].isin(calendar.loc[calendar["due_on"] <= day, "as_of"])]
    if due.empty:
        return []
    known = _outcomes(record, calendar, due, aim, day)
    known = known.sort_values(["due_on", "as_of", "deal_id"], kind="stable")
    return [
        {
            "kind": "outcome",
            "deal": str(deal),
            "won": None if math.isnan(won) else int(won),
            "known_on": f"{due_on:%Y-%m-%d}",
            "frozen_on": f"{day:%Y-%m-%d}",
        }
        for deal, won, due_on in zip(known["deal_id"], known["won"].tolist(), known["due_on"], strict=True)
    ]


# --- what today's data say otherwise ----------------------------------------------------------------------


def _today(deals: pd.DataFrame, record: Record, calendar: pd.DataFrame, aim: Target) -> pd.DataFrame:
    """Frozen deals beside today's record of the same target: won_today, there."""
    known = deals[deals["known"]].rename(columns={"deal": "deal_id"})
    now = closings(record)[["deal_id", "status", "close_on"]]
    table = known.merge(now, on="deal_id", how="left").merge(
        calendar[["as_of", "starts_on", "ends_on"]], on="as_of", how="left"
    )
    won = table["status"].eq("won")
    if aim.kind == "in period":
        won &= table["close_on"].between(table["starts_on"], table["ends_on"])
    else:
        won &= table["close_on"] <= table["due_on"]
    there = table["deal_id"].isin(record.history["deal_id"])
    return table.assign(won_today=won.astype(float).where(there), there=there)


def _flips(today: pd.DataFrame) -> pd.DataFrame:
    def words(won: pd.Series) -> pd.Series:
        return won.map({1.0: "won", 0.0: "not won"}).astype(object).where(won.notna(), "not on record")

    both_gone = today["won"].isna() & today["won_today"].isna()
    flipped = today[today["won"].ne(today["won_today"]) & ~both_gone]
    return pd.DataFrame(
        {
            "deal": flipped["deal_id"],
            "as_of": flipped["as_of"],
            "known_on": flipped["due_on"],
            "frozen": words(flipped["won"]),
            "today": words(flipped["won_today"]),
        }
    ).reset_index(drop=True)


def _restated(entries: Sequence[Entry], spoken: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Frozen forecasts that today's data give otherwise, and deals that turned up in weeks already taken."""
    said = pd.DataFrame(forecasts_of(entries), columns=["deal", "as_of", "candidate", "baseline"])
    said["as_of"] = pd.to_datetime(said["as_of"]).astype("datetime64[s]")
    said = said.astype({"candidate": float, "baseline": float})
    now = spoken.rename(columns={"deal_id": "deal"})[["deal", "as_of", "candidate", "baseline"]]
    both = said.merge(now, on=["deal", "as_of"], how="left", suffixes=("", "_today"), indicator=True)
    away = pd.Series(False, index=both.index)
    for who in ("candidate", "baseline"):
        a, b = both[who], both[f"{who}_today"]
        away |= (a - b).abs().gt(1.5 * 10**-DIGITS) | (a.isna() != b.isna())
    restated = both[away].drop(columns="_merge").reset_index(drop=True)
    taken = {e["as_of"] for e in entries if e["kind"] == "look"}
    first = now.drop_duplicates("deal")
    first = first[first["as_of"].dt.strftime("%Y-%m-%d").isin(taken)]
    met: dict[str, str] = {}
    for e in entries:
        if e["kind"] == "forecast":
            met.setdefault(e["deal"], e["as_of"])
    held = pd.to_datetime(first["deal"].map(met))
    appeared = int((held.isna() | (held > first["as_of"])).sum())
    return restated, appeared


# --- the public door --------------------------------------------------------------------------------------


def ledger_path(org: Org, ledger: str = "") -> Path:
    """Where the ledger lies: the file that is named, or `ledger/weekly_monitor.jsonl` in the data folder.

    Examples
    --------
    >>> ledger_path(Org("acme", Path("data/acme"))).as_posix()
    'data/acme/ledger/weekly_monitor.jsonl'
    """
    return Path(ledger) if ledger else (org.folder or Path()) / LEDGER


def watch(org: Org, rules: Rules, *, ledger: str = "", through: str = "") -> Watch:
    """Look at the data with the ledger in hand. Nothing is written; :func:`keep` does that.

    Parameters
    ----------
    org : Org, from :func:`forecasteval.read`
    rules : Rules
    ledger : path; empty for `ledger/weekly_monitor.jsonl` in the data folder
    through : the last day that counts; empty for the day before the newest record

    Returns
    -------
    Watch

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
    book = books.read(ledger_path(org, ledger))
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
    added += _new_looks(book, calendar, spoken, rules, day)
    added += _new_outcomes([*book.entries, *added], record, calendar, aim, day)
    added = books.sealed(added, book.head)
    entries = [*book.entries, *added]
    deals = frozen(entries)
    cohorts = cohorts_of(deals)
    looks = looks_of(cohorts, rules) if len(cohorts) else pd.DataFrame(columns=["known_on", "verdict"])
    today = _today(deals, record, calendar, aim)
    restated, appeared = _restated(entries, spoken)
    return Watch(
        rules=rules,
        day=day,
        book=book,
        added=added,
        cohorts=cohorts,
        looks=looks,
        doubts=doubts_of(looks.iloc[-1].to_dict()) if len(looks) else [],
        flips=_flips(today),
        restated=restated,
        appeared=appeared,
        deals=deals,
        about=meta.get("forecasters", {}),
        nouns=meta.get("nouns", {"period": "periods"}),
    )


def keep(found: Watch) -> Ledger:
    """Write what a run added to the ledger; nothing, if it added nothing.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Ledger

    Raises
    ------
    CallError
        If another run has written meanwhile.
    """
    bare = [{k: v for k, v in e.items() if k != "hash"} for e in found.added]
    return books.append(found.book, bare)
