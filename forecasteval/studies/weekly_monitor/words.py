"""What the weekly report says in words and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME, UNSURE
from forecasteval.inference import confidence_sequences as sequences
from forecasteval.report.blocks import Html, bullets, card, paragraphs, table, terms
from forecasteval.scores.probability import METRICS
from forecasteval.studies.weekly_monitor.headline import estimand, flow, headline, on, results, scope
from forecasteval.studies.weekly_monitor.rules import PERIODS, Rules, verdict_of
from forecasteval.studies.weekly_monitor.study import Watch
from forecasteval.tables.organisation import Org

__all__ = [
    "caveats",
    "flips_table",
    "headline",
    "history",
    "later",
    "method",
    "questions",
    "results",
    "tables",
    "verdict_card",
    "who_is_who",
]

_STATE = {CANDIDATE: "better", BASELINE: "better", SAME: "same", UNSURE: "unsure"}


def _firm(block: Html) -> Html:
    """The same with dates that no line end can break; the plain text keeps its spaces."""
    return Html(re.sub(r"\b(\d{1,2}) ([A-Z]\w+) (\d{4})\b", r"\1&nbsp;\2&nbsp;\3", block.html), block.text)


# --- the answer ---------------------------------------------------------------------------------------


def _called(verdict: str, rules: Rules) -> str:
    """A verdict under the forecasters' own names."""
    who = {CANDIDATE: rules.candidate, BASELINE: rules.baseline}.get(verdict)
    return f"{who} better" if who else verdict


def verdict_card(found: Watch) -> Html:
    """The card that answers the question: verdict, sentence, what looking every week costs, what comes next.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    rules, row = found.rules, found.last
    verdict = UNSURE if row is None else str(row["verdict"])
    badge = {SAME: "Practically the same", UNSURE: "Not enough evidence"}.get(
        verdict, f"{_called(verdict, rules).removesuffix(' better')} is better"
    )
    lines = (_weakest(found), _cost(found), _next(found))
    return _firm(card(_STATE[verdict], badge, headline(found), lines))


def _cost(found: Watch) -> str:
    if math.isnan(found.cost):
        return ""
    return (
        f"This verdict may be read every week: the interval is {found.cost:.1f} times as wide as one that is right for a "
        "single look only, and in return the chance that any look at all is wrong is held at "
        f"{wording.percent(round(1 - found.rules.level, 10))}."
    )


def _weakest(found: Watch) -> str:
    row = found.last
    periods = found.nouns.get("period", "periods")
    if row is not None and tuple(found.rules.generalise_to) == PERIODS:
        n = int(row["periods"])
        if n < sequences.MIN_BLOCKS:
            return (
                f"A good {periods.removesuffix('s')} lifts all its weeks, so what counts is {periods}: {n} so far, and "
                f"nothing can be told before {sequences.MIN_BLOCKS}."
            )
        if n < 8:
            return f"Weakest point: it rests on {n} {periods}, the newest of which may still be filling."
    return ""


def _next(found: Watch) -> str:
    waiting = found.deals[~found.deals["known"]]
    if waiting.empty or found.next_on is None:
        return ""
    return (
        f"{wording.count(len(waiting), 'deals')} already met still wait for their outcome; the next week's "
        f"become known on {on(found.next_on)}."
    )


def who_is_who(found: Watch) -> Html:
    """The two forecasters and the terms of the report, each explained once.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    rules, metric = found.rules, METRICS["brier"]
    entries = [
        (n, found.about[n]["gloss"])
        for n in (rules.candidate, rules.baseline)
        if found.about.get(n, {}).get("gloss")
    ]
    level = wording.percent(rules.level)
    return terms(
        [
            *entries,
            (metric.label, metric.gloss),
            (
                "Weekly cohort",
                "the deals on which both speak for the first time in that week; their forecasts of that week are frozen",
            ),
            (
                f"{level} interval for all looks together",
                f"a range for each look; in {level} of such histories every one of them holds the true running "
                "difference, so it may be read at any time and as often as one likes",
            ),
        ],
        "gloss",
    )


# --- the evidence -------------------------------------------------------------------------------------


def questions(found: Watch) -> Html:
    """The same difference under each assumption about what weeks share.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    row, rules = found.last, found.rules
    if row is None:
        return paragraphs(["There is no interval yet."], "note")
    one = f"one look only, for {scope(rules, found.nouns)}"
    rows = [
        [f"{one} (not to be read weekly)", *_cells(row, "difference", "fixed_"), "none: it counts one look"]
    ]
    for which in ("weeks", "periods"):
        rows.append(
            [
                f"all looks, for {scope(rules, found.nouns, which)}"
                + (" (headline)" if scope(rules, found.nouns, which) == scope(rules, found.nouns) else ""),
                *_cells(row, "difference", f"{which}_"),
                _called(verdict_of(row, rules, f"{which}_"), rules),
            ]
        )
    rows.append(
        [
            "all looks, strict",
            *_cells(row, "strict_difference", "strict_"),
            _called(verdict_of(row, rules, "strict_"), rules),
        ]
    )
    columns = ["Right for", "Difference", "Interval", "Verdict"]
    shown = table(columns, rows, "rungs", ("Difference", "Interval"))
    notes = [
        "Strict: right without assuming that chance evens out over many weeks, and so wide. It counts every week alike, "
        "however many its deals, so its difference is another average; the picture leaves it out."
    ]
    widths = [row[f"{w}_high"] - row[f"{w}_low"] for w in ("weeks", "periods")]
    if math.isfinite(widths[0]) and widths[0] > widths[1]:
        periods = found.nouns.get("period", "periods")
        notes.append(
            f"Here the {periods} agree better than their weeks do. The weeks of one of them differ in size and in a regular way "
            "(its first meets most deals); an interval over weeks takes that for chance and is wider."
        )
    note = paragraphs(notes, "note")
    return Html(shown.html + note.html, f"{shown.text}\n{note.text}")


def _cells(row: Mapping[str, Any], estimate: str, which: str) -> list[str]:
    low, high = row[f"{which}low"], row[f"{which}high"]
    places = wording.decimals(low, high)
    difference = wording.number(row[estimate], places)
    if not math.isfinite(low):
        return [difference, "none yet"]
    return [difference, f"{wording.number(low, places)} to {wording.number(high, places)}"]


def history(found: Watch) -> Html:
    """When the verdict changed.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    if not found.changes:
        return paragraphs(
            [f"In {wording.count(len(found.looks), 'looks')} no verdict has been given."], "note"
        )
    lines = [
        f"{on(day)}: "
        + ("withdrawn, 0 is inside again" if verdict == UNSURE else _called(verdict, found.rules))
        for day, verdict in found.changes
    ]
    said = paragraphs(["How the verdict went:"])
    listed = bullets(lines, "changes")
    return _firm(Html(said.html + listed.html, f"{said.text}\n{listed.text}"))


def later(found: Watch) -> Html:
    """What the ledger holds and what today's data say otherwise; none of it changes what was reported.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    looks = [e for e in found.entries if e["kind"] == "look"]
    late = sum(e["late"] for e in looks)
    lines = [
        f"{wording.count(len(looks), 'weeks')} and {wording.count(len(found.deals), 'deals')} are in the ledger.",
    ]
    if late:
        lines.append(
            f"{late:,} of these weeks were taken up afterwards, from what the history says of them, not when they ended."
        )
    void = int(found.deals["void"].sum())
    if void:
        lines.append(
            f"{wording.count(void, 'deals')} were gone from the records before their outcome was known; left out."
        )
    deals, who, other = found.deals, found.rules.candidate, found.rules.baseline
    filled, waiting = (int((deals["filled"] & k).sum()) for k in (deals["known"], ~deals["known"]))
    if filled:
        lines.append(
            f"{who} never spoke in time on {wording.count(filled, 'deals')} of {int(deals['known'].sum()):,} whose outcome is "
            f"known; {other}'s value stands in."
        )
    if waiting:
        lines.append(
            f"{wording.count(waiting, 'deals')} of those whose outcome is not known yet had no word from {who} so far. Each is "
            f"frozen in the first week in which both speak; if that never comes, {other}'s value stands in."
        )
    flips = len(found.flips)
    lines.append(
        f"{wording.count(flips, 'frozen outcomes')} would be different by today's records (below)."
        if flips
        else "No frozen outcome is contradicted by today's records."
    )
    if len(found.restated):
        lines.append(
            f"{wording.count(len(found.restated), 'frozen forecasts')} would be different if they were rebuilt today: history or "
            "code has changed since. The frozen ones count."
        )
    if found.appeared:
        lines.append(
            f"{wording.count(found.appeared, 'deals')} turned up afterwards in weeks that had been taken; they do not enter those weeks."
        )
    return bullets(lines, "note")


def flips_table(found: Watch) -> Html:
    """The frozen outcomes that today's records contradict, the newest first.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    if found.flips.empty:
        return paragraphs([])
    newest = found.flips.sort_values(["known_on", "deal"], ascending=[False, True]).head(12)
    rows = [
        [r["deal"], on(r["as_of"]), on(r["known_on"]), r["frozen"], r["today"]]
        for r in newest.to_dict("records")
    ]
    return _firm(table(["Deal", "Forecast of", "Frozen on", "Frozen as", "Today"], rows, "flips"))


# --- how it was done -----------------------------------------------------------------------------------


def method(found: Watch) -> Html:
    """How it was done; enough for a stranger to repeat it.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    Html
    """
    rules, periods = found.rules, found.nouns.get("period", "periods")
    if tuple(rules.generalise_to) == PERIODS:
        sequence = (
            f"A confidence sequence over {periods}: the delete-one jackknife spread between {periods} (CR3J) times the "
            "multiplier of the anytime-valid t-test (a mixed likelihood ratio that exceeds 1/alpha with probability alpha at "
            f"most), tuned for {sequences.TUNED_FOR_BLOCKS} {periods}, none below {sequences.MIN_BLOCKS}."
        )
        measured = (
            f"In simulated histories of 104 weeks without a true difference for the drawn reps, with early wins, late losses "
            f"and {periods} that are good or bad for everybody, it gave (at 95%) a false verdict in 2-5% of runs; a weekly look at "
            "the usual interval did in 15-78%."
        )
    else:
        sequence = (
            "The asymptotic confidence sequence of Waudby-Smith and others over weekly cohorts, with the delete-one jackknife "
            f"spread (CR3J), narrowest after {rules.tuned_for} cohorts, silent before {rules.burn_in}, and widened by "
            "Student's t where cohorts are few or very unequal."
        )
        measured = (
            "In simulated histories of 104 weeks without a true difference for the drawn reps, with early wins and late "
            f"losses, it gave (at 95%) a false verdict in 1-2% of runs; where whole {periods} are good or bad for everybody, in up to 35%."
        )
    entries = [
        (
            "Which deals",
            f"Each deal once, with the forecasts of the first week in which both had spoken ({rules.population}). Where "
            f"{rules.candidate} never spoke while the target was open, {rules.baseline}'s value of the first week stands in.",
        ),
        ("Target", f"{rules.target}."),
        (
            "Order",
            "A week's deals enter together, on the day on which the target of all of them is known. Ordered by their own "
            "closing days, quick wins would come before slow losses and favour whoever leans high.",
        ),
        ("Estimand", estimand(found)),
        ("Interval", sequence),
        ("Why it is believed", measured + " tests/benchmarks/false_alarms_weekly.py prints the table."),
        (
            "Verdict",
            "Given at a look as soon as its interval leaves 0, and withdrawn as soon as 0 is back inside: the average that is "
            "estimated may drift, so intervals of earlier looks are not held against later ones.",
        ),
        (
            "Ledger",
            "Every frozen forecast and outcome is one line of a file that is only added to; each line is sealed by the next. "
            "Running twice adds nothing; a missed week is taken up later and marked; other rules are refused.",
        ),
        ("Ledger ends with", found.head[:16]),
        ("Data through", on(found.day)),
    ]
    return _firm(terms(entries, "method"))


def caveats(org: Org, found: Watch) -> Html:
    """Only the caveats that this data raises.

    Parameters
    ----------
    org : Org
    found : Watch

    Returns
    -------
    Html
    """
    rules = found.rules
    lines = [d["text"] for d in found.doubts]
    lines.append(
        "It speaks of the reps in the data. Whether it would hold for other reps, compare_forecasts tells."
    )
    looks = [e for e in found.entries if e["kind"] == "look"]
    late = sum(e["late"] for e in looks)
    if 2 * late > len(looks):
        lines.append(
            f"{late:,} of {len(looks):,} weeks were taken from the history and not as they went by. For them the promise holds "
            "only if nobody chose forecasters, target or rules by looking at these weeks first."
        )
    mine = found.about.get(rules.baseline, {}).get("target")
    if rules.baseline == "rep_forecast":
        mine = "won at all"
    if mine and mine != rules.target:
        lines.append(
            f"{rules.baseline} speaks about {mine!r} but is scored on {rules.target!r}, as its entries are used in practice."
        )
    row = found.last
    if row is not None and tuple(rules.generalise_to) != PERIODS:
        lines.append(
            f"It takes each week as new evidence. Where whole {found.nouns.get('period', 'periods')} are good or bad for everybody, it "
            "answers for those that happened to come."
        )
    if len(found.changes) > 1:
        lines.append(
            f"The verdict has changed {len(found.changes)} times; the newest look says what all weeks so far say together."
        )
    return bullets([*lines, *org.notes], "caveats")


def tables(found: Watch) -> dict[str, pd.DataFrame]:
    """The tables that leave with the report, by name; numbers of the looks to 12 digits, below which sums differ by chance.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    dict of DataFrame
    """
    return {
        "looks": found.looks.map(lambda v: float(f"{v:.12g}") if isinstance(v, float) else v),
        "cohorts": found.cohorts,
        "flips": found.flips,
        "restated": found.restated,
        "flow": pd.DataFrame(flow(found)),
    }
