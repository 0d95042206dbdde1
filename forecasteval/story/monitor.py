"""What the weekly report says in words and tables, and what it leaves in `results.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from forecasteval import sequences, wording
from forecasteval.compare import BASELINE, CANDIDATE, SAME, UNSURE, plain
from forecasteval.looks import PERIODS, Rules, verdict_of
from forecasteval.monitor import Watch
from forecasteval.scores import METRICS
from forecasteval.story.html import Html, bullets, paragraphs, table, terms
from forecasteval.tables import Org

_STATE = {CANDIDATE: "better", BASELINE: "better", SAME: "same", UNSURE: "unsure"}


def on(day: pd.Timestamp) -> str:
    """A day in words.

    Examples
    --------
    >>> on(pd.Timestamp("2026-03-05"))
    '5 March 2026'
    """
    return f"{day.day} {day:%B %Y}"


# --- the answer ---------------------------------------------------------------------------------------


def scope(rules: Rules, nouns: Mapping[str, str], which: str = "") -> str:
    """What the sequence speaks of, in words; of the declared one, or "periods" or "weeks".

    Examples
    --------
    >>> scope(Rules("model", "rep_forecast"), {"period": "quarters"})
    'these reps in coming quarters'
    """
    over = which == "periods" if which else tuple(rules.generalise_to) == PERIODS
    return (
        f"these reps in coming {nouns.get('period', 'periods')}"
        if over
        else "these reps in weeks like those seen"
    )


def headline(found: Watch) -> str:
    """One sentence: verdict, estimate, interval, what it is about, since when.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    str
    """
    rules, row = found.rules, found.last
    names = f"{rules.candidate} from {rules.baseline}"
    if row is None:
        first = found.next_on
        when = f"; the first are known on {on(first)}" if first is not None else ""
        return f"Not enough evidence to tell {names}: no week has all its outcomes yet{when}."
    level, about = wording.percent(rules.level), scope(rules, found.nouns)
    places = wording.decimals(row["low"], row["high"])
    behind = ", ".join(
        [
            wording.count(int(row["deals"]), "deals"),
            wording.count(int(row["cohorts"]), "weekly cohorts"),
            wording.count(int(row["periods"]), found.nouns.get("period", "periods")),
        ]
    )
    difference, low, high = (wording.number(row[k], places) for k in ("difference", "low", "high"))
    if not math.isfinite(row["low"]):
        return (
            f"Not enough evidence to tell {names}: Brier score difference {difference}, with too few "
            f"{found.nouns.get('period', 'periods') if tuple(rules.generalise_to) == PERIODS else 'weeks'} yet for an "
            f"interval about {about}; {behind}."
        )
    if row["verdict"] in (CANDIDATE, BASELINE):
        better, worse = (
            (rules.candidate, rules.baseline)
            if row["verdict"] == CANDIDATE
            else (rules.baseline, rules.candidate)
        )
        a, b = sorted((abs(row["low"]), abs(row["high"])))
        size = wording.number(abs(row["difference"]), places)
        return (
            f"{better} is better than {worse}, and has been since {on(found.changes[-1][0])}: Brier score {size} "
            f"lower ({level} interval for all looks together {wording.number(a, places)} to {wording.number(b, places)}), for "
            f"{about}; {behind}."
        )
    if row["verdict"] == SAME:
        return (
            f"{rules.candidate} and {rules.baseline} are practically the same: Brier score difference {difference} ({level} "
            f"interval for all looks together {low} to {high}), within the margin of {rules.margin:g}, for {about}; {behind}."
        )
    why = " ".join(d["text"] for d in found.doubts)
    return (
        f"Not enough evidence to tell {names}: Brier score difference {difference} ({level} interval for all looks together "
        f"{low} to {high}; above 0 favours {rules.baseline}), for {about}; {behind}. {why}".strip()
    )


def flow(found: Watch) -> list[dict[str, Any]]:
    """The way from the deals that were met to those in the sequence, as `results.json` holds it."""
    deals = found.deals
    known, void = int(deals["known"].sum()), int(deals["void"].sum())
    steps = [
        ("met by a weekly look", len(deals), ""),
        ("outcome known for the whole week", known, "the target of their week is not known yet"),
        ("in the sequence", known - void, "not on record any more when the outcome became known"),
    ]
    before = [len(deals), *(n for _, n, _ in steps)]
    return [
        {"step": step, "deals": n, "dropped": before[i] - n, "why": why}
        for i, (step, n, why) in enumerate(steps)
    ]


def estimand(found: Watch) -> str:
    """The question that the interval answers."""
    rules = found.rules
    return (
        f"{rules.candidate} minus {rules.baseline}, Brier score, averaged over the deals of all weeks so far, for the target "
        f"{rules.target!r}; each deal with the forecasts of the week that first met it. The interval is for "
        f"{scope(rules, found.nouns)} and holds at every look."
    )


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
    lines = [line for line in (_weakest(found), _cost(found), _next(found)) if line]
    sentence = headline(found)
    html = (
        f'<div class="verdict-card {_STATE[verdict]}"><p class="badge"><strong>{escape(badge)}</strong></p>'
        f'<p class="headline"><strong>{escape(sentence)}</strong></p>'
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + "</div>"
    )
    return Html(html, "\n".join([badge, sentence, *lines]))


def _cost(found: Watch) -> str:
    if math.isnan(found.cost):
        return ""
    return (
        f"This verdict may be read every week: the interval is {found.cost:.1f} times as wide as one that is right for a "
        "single look only, and in return the chance that any of all these looks is wrong is at most "
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
        f"{wording.count(len(waiting), 'deals')} already forecast and frozen still wait for their outcome; the next week's "
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
                "the deals that a week meets for the first time; their forecasts of that week are frozen",
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
            "all looks, strict: nothing assumed, each week counted alike",
            *_cells(row, "strict_difference", "strict_"),
            _called(verdict_of(row, rules, "strict_"), rules),
        ]
    )
    return table(
        ["Right for", "Difference", "Interval", "Verdict"], rows, "rungs", ("Difference", "Interval")
    )


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
    return Html(said.html + listed.html, f"{said.text}\n{listed.text}")


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
    filled = found.deals["filled"].mean() if len(found.deals) else 0.0
    if filled:
        lines.append(
            f"{found.rules.candidate} was silent on {filled:.0%} of the deals when they were first met; "
            f"{found.rules.baseline}'s value stands in."
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
        [r["deal"], f"{r['as_of']:%Y-%m-%d}", f"{r['known_on']:%Y-%m-%d}", r["frozen"], r["today"]]
        for r in newest.to_dict("records")
    ]
    return table(["Deal", "Forecast of", "Frozen on", "Frozen as", "Today"], rows, "flips")


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
            f"and {periods} that are good or bad for everybody, it gave a false verdict in 2-5% of runs; a weekly look at "
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
            f"losses, it gave a false verdict in 1-2% of runs; where whole {periods} are good or bad for everybody, in up to 35%."
        )
    entries = [
        (
            "Which deals",
            f"Each deal once, with the forecasts of the first week that met it ({rules.population}).",
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
    return terms(entries, "method")


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
    """The tables that leave with the report, by name.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    dict of DataFrame
    """
    return {
        "looks": found.looks,
        "cohorts": found.cohorts,
        "flips": found.flips,
        "restated": found.restated,
        "flow": pd.DataFrame(flow(found)),
    }


def results(found: Watch) -> dict[str, Any]:
    """The content of `results.json`.

    Parameters
    ----------
    found : Watch

    Returns
    -------
    dict
    """
    rules, row = found.rules, found.last
    about = scope(rules, found.nouns)
    head = {
        "candidate": rules.candidate,
        "baseline": rules.baseline,
        "metric": "brier",
        "better": "lower",
        "primary": True,
        "generalise_to": list(rules.generalise_to),
        "level": rules.level,
        "margin": rules.margin or None,
        "verdict": UNSURE,
        "reliable": False,
        "reasons": found.doubts,
        "estimand": estimand(found),
    }
    if row is not None:
        head |= {
            k: row[k] for k in ("candidate_value", "baseline_value", "difference", "low", "high", "verdict")
        }
        head |= {k: row[k] for k in ("deals", "wins", "filled")}
        head |= {
            "rows": row["deals"],
            "reliable": not found.doubts and math.isfinite(row["low"]),
            "clusters": {"week": {"count": row["cohorts"]}, "period": {"count": row["periods"]}},
            "one_look": [row["fixed_low"], row["fixed_high"]],
            "width_of_one_look": found.cost,
        }
    ladder = [
        {
            "about": scope(rules, found.nouns, which),
            "low": row[f"{which}_low"],
            "high": row[f"{which}_high"],
            "verdict": verdict_of(row, rules, f"{which}_"),
        }
        for which in ("weeks", "periods")
        if row is not None
    ]
    late = [e for e in found.entries if e["kind"] == "look" and e["late"]]
    return {
        "schema_version": 1,
        "question": f"Is {rules.candidate} better than {rules.baseline}, for {about}?",
        "parameters": plain(rules.plain),
        "headline": headline(found),
        "primary": "brier",
        "estimand": estimand(found),
        "through": f"{found.day:%Y-%m-%d}",
        "flow": flow(found),
        "comparisons": [plain(head)],
        "ladder": plain(ladder),
        "changes": [{"known_on": f"{d:%Y-%m-%d}", "verdict": v} for d, v in found.changes],
        "looks": [
            plain(r)
            for r in found.looks.assign(known_on=found.looks["known_on"].astype(str)).to_dict("records")
        ],
        "ledger": {
            "entries": len(found.entries),
            "head": found.head,
            "weeks": sum(e["kind"] == "look" for e in found.entries),
            "late_weeks": len(late),
            "flips": len(found.flips),
            "restated": len(found.restated),
            "appeared_afterwards": found.appeared,
            "void": int(found.deals["void"].sum()),
        },
        "forecasters": plain(dict(found.about)),
    }
