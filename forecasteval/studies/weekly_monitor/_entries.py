"""Entries of the ledger: looks, the forecasts frozen at each, the outcomes frozen when they are due.

- a deal on which the candidate is silent is written at once, with the baseline's value; if it speaks in time, a
  second line follows, and the last line of a deal is the one that counts. No week that was reported holds a
  deal that may still move: its cohort enters only when waiting is over;
- two runs in a week: the second finds nothing new, writes nothing and reports the same;
- a missed week: its cohort is taken up from the history as of its own week, marked late (by more than a week);
  deals whose state at that moment cannot be rebuilt are first met at the next look that knows them;
- a deal that turns up afterwards in a week already taken never enters that week's cohort; counted;
- a later flip (today's record contradicts the frozen outcome), a vanished deal, a restated forecast: counted
  and shown, and without effect. A deal that vanished *before* its outcome was known is frozen as void.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from forecasteval.matching.deals_as_of import Record, Target, closings, with_outcome
from forecasteval.studies.weekly_monitor._rules import Rules
from forecasteval.tables.ledger import Entry, Ledger

DIGITS = 6  # of a frozen probability: below any difference that matters, above the noise of a refit
_WEEK = pd.Timedelta(days=7)


def _stamped(days: pd.Series) -> pd.Series:
    return pd.to_datetime(days).astype("datetime64[s]")


def forecasts_of(entries: Sequence[Entry]) -> list[Entry]:
    """The forecast that counts for each deal: its last line, since a silent candidate may have spoken after."""
    return list({e["deal"]: e for e in entries if e["kind"] == "forecast"}.values())


def frozen(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row per deal of the ledger; `won` is NaN where the outcome is not known yet or void.

    Columns: deal, as_of, candidate, baseline, amount (only where it weighs), period, due_on, late, known, won, filled, void.
    """
    looks = pd.DataFrame(
        [e for e in entries if e["kind"] == "look"], columns=["as_of", "period", "due_on", "late"]
    )
    said = pd.DataFrame(forecasts_of(entries), columns=["deal", "as_of", "candidate", "baseline", "amount"])
    known = pd.DataFrame([e for e in entries if e["kind"] == "outcome"], columns=["deal", "won"])
    known = known.assign(known=True, won=known["won"].astype(float))
    table = said.merge(looks, on="as_of", how="left").merge(known, on="deal", how="left")
    candidate, is_known = table["candidate"].astype(float), table["known"].eq(True)
    return table.assign(
        as_of=_stamped(table["as_of"]),
        due_on=_stamped(table["due_on"]),
        filled=candidate.isna(),
        candidate=candidate.fillna(table["baseline"]),
        void=is_known & table["won"].isna(),
        known=is_known,
        late=table["late"].eq(True),
    )


# --- what is new since the last run -------------------------------------------------------------------


def new_looks(
    book: Ledger, calendar: pd.DataFrame, spoken: pd.DataFrame, rules: Rules, day: pd.Timestamp
) -> list[Entry]:
    """Looks since the last one taken, with the forecasts for deals met for the first time or no longer waiting."""
    taken = [e["as_of"] for e in book.of("look")]
    fresh = calendar[calendar["as_of"] > pd.Timestamp(taken[-1])] if taken else calendar
    if rules.since:
        fresh = fresh[fresh["as_of"] >= pd.Timestamp(rules.since)]
    said = spoken.merge(fresh[["as_of", "period", "due_on"]], on="as_of")
    met = frozen(book.entries)
    first = said[~said["deal"].isin(met["deal"])].drop_duplicates("deal")
    if not taken:  # the ledger begins with the first week that has deals
        fresh = fresh[fresh["as_of"] >= first["as_of"].min()]
    silent = pd.concat([met[met["filled"] & ~met["known"]], first[first["candidate"].isna()]])
    heard = _heard(said, silent, Target.parse(rules.target))
    lines = pd.concat([first, heard]).sort_values(["as_of", "deal"], kind="stable")
    forecasts: dict[str, list[Entry]] = {}
    columns = (lines[c].tolist() for c in ("as_of", "deal", "candidate", "baseline", "amount"))
    for met_on, deal, candidate, baseline, amount in zip(*columns, strict=True):
        as_of, said_so = f"{met_on:%Y-%m-%d}", None if math.isnan(candidate) else candidate
        line = {
            "kind": "forecast",
            "deal": str(deal),
            "as_of": as_of,
            "candidate": said_so,
            "baseline": baseline,
        }
        if rules.score.needs:
            line["amount"] = None if math.isnan(amount) else amount
        forecasts.setdefault(as_of, []).append(line)
    entries: list[Entry] = []
    for look in fresh.assign(late=fresh["as_of"] < day - _WEEK).itertuples():
        as_of = f"{look.as_of:%Y-%m-%d}"
        deals = forecasts.get(as_of, [])
        entries.append(
            {
                "kind": "look",
                "as_of": as_of,
                "period": str(look.period),
                "due_on": f"{look.due_on:%Y-%m-%d}",
                "deals": len(deals),
                "taken_on": f"{day:%Y-%m-%d}",
                "late": bool(look.late),
            }
        )
        entries += deals
    return entries


def _heard(said: pd.DataFrame, silent: pd.DataFrame, aim: Target) -> pd.DataFrame:
    """The first look at which both speak on each deal that waits for the candidate, if it comes in time."""
    waiting = silent[["deal", "period", "due_on"]]
    both = said[said["candidate"].notna()].merge(waiting, on="deal", suffixes=("", "_met"))
    open_ = both["as_of"] < both["due_on_met"]
    if aim.kind == "in period":  # over with the period, some days before the outcomes are frozen
        open_ &= both["period"] == both["period_met"]
    return both.loc[open_, said.columns].drop_duplicates("deal")


def new_outcomes(
    entries: Sequence[Entry], record: Record, calendar: pd.DataFrame, aim: Target, day: pd.Timestamp
) -> list[Entry]:
    """Outcomes due by a day, as recorded by the day on which the target is known; None where the record is gone."""
    done = {e["deal"] for e in entries if e["kind"] == "outcome"}
    waiting = [(e["deal"], e["as_of"]) for e in forecasts_of(entries) if e["deal"] not in done]
    deals = pd.DataFrame(waiting, columns=["deal_id", "as_of"])
    due = calendar[calendar["due_on"] <= day].drop(columns="period")
    panel = deals.assign(as_of=_stamped(deals["as_of"])).merge(due, on="as_of")
    if panel.empty:
        return []
    panel = with_outcome(record, panel, aim, day, 0)
    there = panel["deal_id"].isin(record.history["deal_id"])
    panel = panel.assign(won=panel["won"].astype(float).where(there))
    panel = panel.sort_values(["due_on", "as_of", "deal_id"], kind="stable")
    return [
        {
            "kind": "outcome",
            "deal": str(deal),
            "won": None if math.isnan(won) else int(won),
            "known_on": f"{due_on:%Y-%m-%d}",
            "frozen_on": f"{day:%Y-%m-%d}",
        }
        for deal, won, due_on in zip(panel["deal_id"], panel["won"].tolist(), panel["due_on"], strict=True)
    ]


# --- what today's data say otherwise ------------------------------------------------------------------


def flips_of(deals: pd.DataFrame, record: Record, calendar: pd.DataFrame, aim: Target) -> pd.DataFrame:
    """Frozen outcomes that today's record of the same target contradicts."""
    now = closings(record)[["deal_id", "status", "close_on"]].rename(columns={"deal_id": "deal"})
    table = deals[deals["known"]].merge(now, on="deal", how="left")
    table = table.merge(calendar[["as_of", "starts_on", "ends_on"]], on="as_of", how="left")
    in_period = table["close_on"].between(table["starts_on"], table["ends_on"])
    in_time = in_period if aim.kind == "in period" else table["close_on"] <= table["due_on"]
    today = (table["status"].eq("won") & in_time).astype(float)
    today = today.where(table["deal"].isin(record.history["deal_id"]))
    other = table["won"].ne(today) & ~(table["won"].isna() & today.isna())

    def words(won: pd.Series) -> pd.Series:
        return won.map({1.0: "won", 0.0: "not won"}).astype(object).where(won.notna(), "not on record")

    said = table[["deal", "as_of"]].assign(
        known_on=table["due_on"], frozen=words(table["won"]), today=words(today)
    )
    return said[other].reset_index(drop=True)


def restated(entries: Sequence[Entry], spoken: pd.DataFrame) -> pd.DataFrame:
    """Frozen forecasts that today's data give otherwise: history or code has changed since."""
    said = pd.DataFrame(forecasts_of(entries), columns=["deal", "as_of", "candidate", "baseline"])
    said = said.assign(as_of=_stamped(said["as_of"])).astype({"candidate": float, "baseline": float})
    both = said.merge(spoken, on=["deal", "as_of"], how="left", suffixes=("", "_today"))
    away = pd.Series(False, index=both.index)
    for who in ("candidate", "baseline"):
        then, now = both[who], both[f"{who}_today"]
        away |= (then - now).abs().gt(1.5 * 10**-DIGITS) | (then.isna() != now.isna())
    return both[away].reset_index(drop=True)


def appeared(entries: Sequence[Entry], spoken: pd.DataFrame) -> int:
    """How many deals turned up afterwards in weeks that had been taken."""
    taken = {e["as_of"] for e in entries if e["kind"] == "look"}
    first = spoken.drop_duplicates("deal")
    first = first[first["as_of"].dt.strftime("%Y-%m-%d").isin(taken)]
    met = {e["deal"]: e["as_of"] for e in reversed(entries) if e["kind"] == "forecast"}  # its first line
    held = pd.to_datetime(first["deal"].map(met))
    return int((held.isna() | (held > first["as_of"])).sum())
