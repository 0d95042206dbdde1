"""What the report of a comparison says in words and tables: written from results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.margin import WithinMargin, in_words
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT, SAME, UNSURE
from forecasteval.inference import jackknife as intervals
from forecasteval.inference.estimate import INFORMS
from forecasteval.matching.matched import META, Matched


def has(m, d):
    return Matched.of(m).has(d)


def forecaster_columns(m):
    return Matched.of(m).names


from forecasteval.report.blocks import (
    Html,
    _difference_cells,
    _verdict_words,
    bullets,
    card,
    paragraphs,
    table,
    terms,
)
from forecasteval.scores.probability import METRICS
from forecasteval.scores.reliability import Reliability, at_their_word
from forecasteval.studies.compare_forecasts.sections import CloserLook
from forecasteval.tables.organisation import Org

_STATE = {CANDIDATE: "better", BASELINE: "better", SAME: "same", UNSURE: "unsure", CANNOT: "cannot"}
_BADGE = {SAME: "Practically the same", UNSURE: "Not enough evidence", CANNOT: "Cannot be compared"}


# --- the answer ---------------------------------------------------------------------------------------


def what_could_be_told(comparison: Comparison) -> str:
    """The smallest difference that data of this size would show four times in five.

    The interval's arm towards zero plus t_.8 SE, with the standard error and degrees of freedom of the comparison;
    about the data's size, not about the difference that was found.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str, empty where there is no interval
    """
    row = comparison.primary
    if not math.isfinite(row["se"]) or row["se"] <= 0:
        return ""
    arm = row["high"] - row["difference"] if row["difference"] < 0 else row["difference"] - row["low"]
    least = arm + intervals.t_quantile(0.8, row["df"]) * row["se"]
    label = METRICS[str(row["metric"])].label
    return (
        f"With data of this size a true difference in {label} of "
        f"{wording.number(least, wording.decimals(row['low'], row['high']))} would be found four times in five."
    )


def weakest_point(comparison: Comparison, influence: pd.DataFrame | None) -> str:
    """What the answer hangs on most.

    Parameters
    ----------
    comparison : Comparison
    influence : DataFrame of :func:`forecasteval.overviews.influence`, or None

    Returns
    -------
    str
    """
    row = comparison.primary
    doubts = [r["text"] for r in row["reasons"] if r["code"] not in INFORMS]
    if doubts:  # the headline says them already
        return ""
    if influence is not None and len(influence) > 3:
        top = influence["share"].head(3).sum()
        noun = "reps" if "rep" in row["clusters"] else comparison.nouns["period"]
        return f"Weakest point: 3 of {len(influence)} {noun} hold {top:.0%} of the deals."
    return ""


def fair_twin(fair: Comparison | None) -> str:
    """How the candidate does against the reps' probabilities once these are corrected by their own past.

    Parameters
    ----------
    fair : Comparison with rep_recalibrated, or None

    Returns
    -------
    str, empty where there is nothing to say
    """
    if fair is None or not math.isfinite(fair.primary["difference"]):
        return ""
    difference, interval = _difference_cells(fair.primary)
    return (
        f"Against {fair.baseline}, the reps' own probabilities corrected by how often such ones came true before: "
        f"difference {difference} (interval {interval}), {_verdict_words(fair.primary)}."
    )


def verdict_card(
    comparison: Comparison,
    influence: pd.DataFrame | None = None,
    fair: Comparison | None = None,
    margin: WithinMargin | None = None,
) -> Html:
    """The card that answers the question: verdict, sentence, fair twin, margin, what could be told, weakest point.

    Parameters
    ----------
    comparison : Comparison
    influence : DataFrame of :func:`forecasteval.overviews.influence`, or None
    fair : Comparison of the candidate with the recalibrated reps, or None
    margin : WithinMargin, or None where no margin was fixed

    Returns
    -------
    Html
    """
    verdict = str(comparison.verdict)
    winner = comparison.candidate if verdict == CANDIDATE else comparison.baseline
    badge = _BADGE.get(verdict, f"{winner} is better")
    more = (
        fair_twin(fair),
        in_words(margin, comparison.candidate, comparison.baseline) if margin else "",
        what_could_be_told(comparison),
        weakest_point(comparison, influence),
    )
    return card(_STATE[verdict], badge, comparison.headline, more)


def about_weeks(weeks: Mapping[int, Comparison]) -> Html:
    """Why some weeks carry no verdict: each reason once, with its weeks.

    Parameters
    ----------
    weeks : dict of Comparison by week

    Returns
    -------
    Html
    """
    why: dict[str, list[int]] = {}
    for week, c in weeks.items():
        for r in c.primary["reasons"]:
            if r["code"] not in INFORMS:
                why.setdefault(r["text"], []).append(week)
    lines = [f"Week{'s' if len(w) > 1 else ''} {', '.join(map(str, w))}: {text}" for text, w in why.items()]
    return bullets(lines, "note") if lines else paragraphs([])


def who_is_who(comparison: Comparison, matched: pd.DataFrame) -> Html:
    """Who the two forecasters are and what the score means, each explained once.

    Parameters
    ----------
    comparison : Comparison
    matched : DataFrame

    Returns
    -------
    Html
    """
    about = matched.attrs.get(META, {}).get("forecasters", {})
    metric = METRICS[str(comparison.primary["metric"])]
    entries = [
        (name, about[name]["gloss"])
        for name in (comparison.candidate, comparison.baseline)
        if about.get(name, {}).get("gloss")
    ]
    entries.append((metric.label, metric.gloss))
    level = f"{wording.percent(comparison.level)} interval"
    entries.append(
        (
            level,
            "the range that would hold the true difference in that share of such studies, were they repeated",
        )
    )
    return terms(entries, "gloss")


def rungs(comparisons: Sequence[Comparison]) -> Html:
    """The ladder in words: the verdict for each thing that may be different next time.

    Parameters
    ----------
    comparisons : list of Comparison

    Returns
    -------
    Html
    """
    rows = []
    for c in comparisons:
        row = c.primary
        rows.append([wording.scope(c.generalise_to, c.nouns), *_difference_cells(row), _verdict_words(row)])
    return table(["For", "Difference", "Interval", "Verdict"], rows, "rungs", ("Difference", "Interval"))


def metrics_table(comparison: Comparison) -> Html:
    """All metrics: both values, the difference with its interval, the verdict.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Html
    """
    rows = []
    for row in comparison.table.to_dict("records"):
        places = wording.decimals(row["low"], row["high"])
        name = METRICS[row["metric"]].label + (" (headline)" if row["primary"] else "")
        rows.append(
            [
                name,
                wording.number(row["candidate_value"], places),
                wording.number(row["baseline_value"], places),
                *_difference_cells(row),
                _verdict_words(row),
            ]
        )
    columns = ["Score", comparison.candidate, comparison.baseline, "Difference", "Interval", "Verdict"]
    return table(columns, rows, "metrics", columns[1:-1])


def metrics_glossary(comparison: Comparison) -> Html:
    """What each score of the table means.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Html
    """
    return terms([(METRICS[m].label, METRICS[m].gloss) for m in comparison.table["metric"]], "gloss")


def forecasters(everyone: pd.DataFrame, others: Mapping[str, Comparison]) -> Html:
    """Every forecaster: what it is, what the fitted ones had learned from, and on how many deals they meet.

    Parameters
    ----------
    everyone : matched table of all forecasters
    others : their comparisons with the baseline

    Returns
    -------
    Html
    """
    about = everyone.attrs.get(META, {}).get("forecasters", {})
    who = terms([(n, str(a.get("gloss", "a column of the table"))) for n, a in about.items()], "gloss")
    lines = []
    learned = next((a["learned"] for a in about.values() if a.get("learned")), None)
    if learned:
        first, last = learned[0], learned[-1]
        grew = (
            ""
            if len(learned) == 1
            else (f", growing to {last['deals']:,} ({last['won']:,} won) before {last['period']}")
        )
        lines.append(
            f"Those that are fitted learn only from deals whose outcome was known: {first['deals']:,} deals "
            f"({first['won']:,} won) before they spoke about {first['period']}{grew}."
        )
    if others:
        any_one = next(iter(others.values()))
        if math.isfinite(any_one.primary["difference"]):
            behind = wording.size(any_one.primary, any_one.nouns)
            lines.append(f"All of them are compared on {behind}.")
    note = paragraphs(lines)
    return Html(who.html + note.html, f"{who.text}\n{note.text}")


def audit_table(org: Org) -> Html:
    """What the checks of the import found.

    Parameters
    ----------
    org : Org

    Returns
    -------
    Html
    """
    if org.audit is None or org.audit.empty:
        return paragraphs(["The table came matched; there was no history to check."], "note")
    rows = []
    for r in org.audit.to_dict("records"):
        share = "" if pd.isna(r["share"]) else f"{r['share']:.1%}"
        rows.append([r["check"], f"{r['count']:,.0f}", share, r["what_it_means"]])
    html = table(["Check", "Found", "Share", "What it means"], rows, "audit", ("Found", "Share"))
    return Html(
        f"<details><summary>{len(rows)} checks of the export</summary>{html.html}</details>", html.text
    )


# --- words about the data -----------------------------------------------------------------------------


def at_word(curves: Mapping[str, Reliability]) -> Html:
    """One sentence for each forecaster: when it says this, that happens.

    Parameters
    ----------
    curves : dict of Reliability by forecaster

    Returns
    -------
    Html
    """
    lines = []
    for name, curve in curves.items():
        step = at_their_word(curve)
        parts = (
            f"Of its Brier score of {wording.number(curve.score)}, {wording.number(curve.miscalibration)} comes from "
            f"not being true to its word (miscalibration); knowing better which deals win takes off "
            f"{wording.number(curve.discrimination)} (discrimination) from {wording.number(curve.uncertainty)}, what "
            "always naming the overall share would score (uncertainty)."
        )
        if step is None:
            lines.append(f"{name}: too few deals at any level to say. {parts}")
        else:
            said, won, deals = step
            lines.append(
                f"{name}: of the {deals:,} times that it says about {said:.0%}, {won:.0%} were won. {parts}"
            )
    return paragraphs(lines)


def reliability_message(curves: Mapping[str, Reliability]) -> str:
    """Which forecaster can rather be taken at its word.

    Parameters
    ----------
    curves : dict of Reliability by forecaster

    Returns
    -------
    str
    """
    if len(curves) < 2:
        return "Can it be taken at its word?"
    closer, other = sorted(curves, key=lambda n: curves[n].miscalibration)
    a, b = curves[closer].miscalibration, curves[other].miscalibration
    if b - a < 0.005:
        return "Both stray about equally from what they say"
    return f"{closer} is closer to its word than {other}"


def cluster_noun(matched: pd.DataFrame) -> str:
    """What the weights are held by: reps, or periods where no reps are known.

    Examples
    --------
    >>> cluster_noun(pd.DataFrame({"rep": ["a"]}))
    'rep'
    """
    return "rep" if has(matched, "rep") else "period"


def tables(
    org: Org,
    comparison: Comparison,
    rungs: Sequence[Comparison],
    weeks: Mapping[int, Comparison],
    others: Mapping[str, Comparison],
    influence: pd.DataFrame | None,
    look: CloserLook,
) -> dict[str, pd.DataFrame]:
    """The tables that leave with the report, by name.

    Parameters
    ----------
    org, comparison, rungs, weeks, others, influence, look : the results of a study

    Returns
    -------
    dict of DataFrame
    """

    def flat(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(
            reasons=rows["reasons"].map(lambda r: " ".join(x["text"] for x in r)),
            generalise_to=rows["generalise_to"].map(" and ".join),
        ).drop(columns="clusters")

    found = {"metrics": flat(comparison.table), "flow": comparison.flow}
    found["ladder"] = flat(pd.concat([c.table for c in rungs], ignore_index=True))
    if others:
        found["others"] = flat(pd.concat([c.table for c in others.values()], ignore_index=True))
    if weeks:
        by_week = [c.table.assign(week=w) for w, c in weeks.items()]
        found["by_week"] = flat(pd.concat(by_week, ignore_index=True))
    if influence is not None:
        found["influence"] = influence
    if org.audit is not None:
        found["audit"] = org.audit
    return found | look.tables()
