"""The weekly report's sentence, its flow, and what it leaves in `results.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME, UNSURE
from forecasteval.studies.weekly_monitor.rules import PERIODS, Rules, verdict_of
from forecasteval.studies.weekly_monitor.study import Watch


def on(day: pd.Timestamp) -> str:
    """A day in words.

    Examples
    --------
    >>> on(pd.Timestamp("2026-03-05"))
    '5 March 2026'
    """
    return f"{day.day} {day:%B %Y}"


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


def estimand(found: Watch) -> str:
    """The question that the interval answers."""
    rules = found.rules
    return (
        f"{rules.candidate} minus {rules.baseline}, Brier score, averaged over the deals of all weeks so far, for the target "
        f"{rules.target!r}; each deal with the forecasts of the first week in which both had spoken. The interval is for "
        f"{scope(rules, found.nouns)} and holds at every look."
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
            f"{about}; {behind}.{_past_margin(rules, a)}"
        )
    if row["verdict"] == SAME:
        return (
            f"{rules.candidate} and {rules.baseline} are practically the same: Brier score difference {difference} ({level} "
            f"interval for all looks together {low} to {high}), within the margin of {rules.margin:g}, for {about}; {behind}.{_inside(row)}"
        )
    why = " ".join(d["text"] for d in found.doubts)
    if rules.margin and not why:
        why = f"The interval reaches beyond the margin of {rules.margin:g}: a difference that matters is not ruled out."
    return (
        f"Not enough evidence to tell {names}: Brier score difference {difference} ({level} interval for all looks together "
        f"{low} to {high}; above 0 favours {rules.baseline}), for {about}; {behind}. {why}".strip()
    )


def _past_margin(rules: Rules, nearest: float) -> str:
    """Whether a lead is one that matters; `nearest` is the end of its interval next to 0."""
    if not rules.margin:
        return ""
    if nearest > rules.margin:
        return f" The lead is larger than the margin of {rules.margin:g}: the whole interval lies beyond it."
    return (
        f" Better, but not shown to be by more than the margin of {rules.margin:g}: the interval begins inside it and ends "
        "beyond it."
    )


def _inside(row: Mapping[str, Any]) -> str:
    """Of an interval inside the margin: whether a lead, too small to matter, can be told all the same."""
    if row["low"] <= 0 <= row["high"]:
        return ""
    return " A lead can be told, but the whole interval lies inside the margin: it is too small to matter."


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
