"""What a report says in words and tables: written from results, escaped, ready to show in a notebook."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from forecasteval import forecasters as fc
from forecasteval import intervals, wording
from forecasteval.calibration import Reliability, at_their_word
from forecasteval.compare import BASELINE, CANDIDATE, CANNOT, META, SAME, UNSURE, Comparison, has
from forecasteval.match import STALE_AFTER_DAYS
from forecasteval.scores import METRICS
from forecasteval.tables import Org

_STATE = {CANDIDATE: "better", BASELINE: "better", SAME: "same", UNSURE: "unsure", CANNOT: "cannot"}
_BADGE = {SAME: "Practically the same", UNSURE: "Not enough evidence", CANNOT: "Cannot be compared"}


@dataclass(frozen=True)
class Html:
    """Text that shows itself in a notebook; everything that came from data is escaped before."""

    html: str
    text: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.html, "text/plain": self.text}


def _paragraphs(lines: Sequence[str], css: str = "") -> Html:
    attribute = f' class="{css}"' if css else ""
    return Html("".join(f"<p{attribute}>{escape(line)}</p>" for line in lines), "\n".join(lines))


def _list(lines: Sequence[str], css: str) -> Html:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return Html(f'<ul class="{css}">{items}</ul>', "\n".join(f"- {line}" for line in lines))


def _terms(entries: Sequence[tuple[str, str]], css: str) -> Html:
    """Terms and what is said of each."""
    items = "".join(f"<dt>{escape(term)}</dt><dd>{escape(said)}</dd>" for term, said in entries)
    return Html(f'<dl class="{css}">{items}</dl>', "\n".join(f"{term}: {said}" for term, said in entries))


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], css: str, numbers: Sequence[str] = ()
) -> Html:
    """A table; the columns named in `numbers` stand right-aligned."""

    def cells(row: Sequence[str], tag: str) -> str:
        kinds = [' class="num"' if c in numbers else "" for c in columns]
        return "".join(
            f"<{tag}{kind}>{escape(str(value))}</{tag}>" for kind, value in zip(kinds, row, strict=True)
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    html = f'<table class="{css}"><thead><tr>{cells(columns, "th")}</tr></thead><tbody>{body}</tbody></table>'
    text = "\n".join("\t".join(str(v) for v in row) for row in [columns, *rows])
    return Html(html, text)


# --- the answer ---------------------------------------------------------------------------------------


def what_could_be_told(comparison: Comparison) -> str:
    """The smallest difference that data of this size would show four times in five.

    (t_(1+level)/2 + t_.8) SE, with the standard error and degrees of freedom of the comparison; about the
    data's size, not about the difference that was found.

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
    half = (row["high"] - row["low"]) / 2
    quantile = half / row["se"]
    least = (quantile + intervals.t_quantile(0.8, row["df"])) * row["se"]
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
    influence : DataFrame of :func:`forecasteval.compare.influence`, or None

    Returns
    -------
    str
    """
    row = comparison.primary
    doubts = [r["text"] for r in row["reasons"] if r["code"] not in wording.INFORMATION]
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
    comparison: Comparison, influence: pd.DataFrame | None = None, fair: Comparison | None = None
) -> Html:
    """The card that answers the question: verdict, sentence, fair twin, what could be told, weakest point.

    Parameters
    ----------
    comparison : Comparison
    influence : DataFrame of :func:`forecasteval.compare.influence`, or None
    fair : Comparison of the candidate with the recalibrated reps, or None

    Returns
    -------
    Html
    """
    verdict = str(comparison.verdict)
    winner = comparison.candidate if verdict == CANDIDATE else comparison.baseline
    badge = _BADGE.get(verdict, f"{winner} is better")
    more = (fair_twin(fair), what_could_be_told(comparison), weakest_point(comparison, influence))
    lines = [line for line in more if line]
    html = (
        f'<div class="verdict-card {_STATE[verdict]}"><p class="badge"><strong>{escape(badge)}</strong></p>'
        f'<p class="headline"><strong>{escape(comparison.headline)}</strong></p>'
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + "</div>"
    )
    return Html(html, "\n".join([badge, comparison.headline, *lines]))


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
            if r["code"] not in wording.INFORMATION:
                why.setdefault(r["text"], []).append(week)
    lines = [f"Week{'s' if len(w) > 1 else ''} {', '.join(map(str, w))}: {text}" for text, w in why.items()]
    return _list(lines, "note") if lines else _paragraphs([])


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
    return _terms(entries, "gloss")


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
    return _table(["For", "Difference", "Interval", "Verdict"], rows, "rungs", ("Difference", "Interval"))


# --- tables -------------------------------------------------------------------------------------------


def _difference_cells(row: Mapping[Any, Any]) -> list[str]:
    places = wording.decimals(row["low"], row["high"])
    interval = (
        "none"
        if math.isnan(row["low"])
        else f"{wording.number(row['low'], places)} to {wording.number(row['high'], places)}"
    )
    return [wording.number(row["difference"], places), interval]


def _verdict_words(row: Mapping[Any, Any]) -> str:
    if row["verdict"] is None or (isinstance(row["verdict"], float) and math.isnan(row["verdict"])):
        return "described, no verdict"
    words = str(row["verdict"])
    if words in (CANDIDATE, BASELINE):
        winner = row["candidate"] if words == CANDIDATE else row["baseline"]
        words = f"{winner} better"
    return words


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
    return _table(columns, rows, "metrics", columns[1:-1])


def metrics_glossary(comparison: Comparison) -> Html:
    """What each score of the table means.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Html
    """
    return _terms([(METRICS[m].label, METRICS[m].gloss) for m in comparison.table["metric"]], "gloss")


def flow_table(comparison: Comparison) -> Html:
    """The way from the export to the compared deals, each exclusion with its reason and count.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    Html
    """
    rows = [
        [step["step"], step["why"] if step["dropped"] else "", f"{step['dropped']:,}", f"{step['deals']:,}"]
        for step in comparison.flow.to_dict("records")
    ]
    return _table(["Step", "Left out because", "Left out", "Deals"], rows, "flow", ("Left out", "Deals"))


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
    table = _terms([(n, str(a.get("gloss", "a column of the table"))) for n, a in about.items()], "gloss")
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
    note = _paragraphs(lines)
    return Html(table.html + note.html, f"{table.text}\n{note.text}")


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
        return _paragraphs(["The table came matched; there was no history to check."], "note")
    rows = []
    for r in org.audit.to_dict("records"):
        share = "" if pd.isna(r["share"]) else f"{r['share']:.1%}"
        rows.append([r["check"], f"{r['count']:,.0f}", share, r["what_it_means"]])
    html = _table(["Check", "Found", "Share", "What it means"], rows, "audit", ("Found", "Share"))
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
    return _paragraphs(lines)


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


def caveats(
    org: Org,
    matched: pd.DataFrame,
    comparison: Comparison,
    others: Mapping[str, Comparison],
    weeks: Mapping[int, Comparison],
    influence: pd.DataFrame | None,
    segment: str = "",
) -> Html:
    """Only the caveats that this data raises.

    Parameters
    ----------
    org : Org
    matched : DataFrame
    comparison : Comparison
    others : comparisons of other forecasters with the same baseline
    weeks : comparisons by week
    influence : DataFrame of :func:`forecasteval.compare.influence`, or None
    segment : str

    Returns
    -------
    Html
    """
    lines = [
        line
        for part in (
            _about_forecasts(matched, comparison, others),
            _about_evidence(comparison, influence),
            _about_data(org, matched),
            _about_looks(comparison, others, weeks, segment),
        )
        for line in part
    ]
    return _list(list(dict.fromkeys(lines)) or ["This data raises none beyond the method's own."], "caveats")


def _about_forecasts(
    matched: pd.DataFrame, comparison: Comparison, others: Mapping[str, Comparison]
) -> list[str]:
    meta = matched.attrs.get(META, {})
    about, lines = meta.get("forecasters", {}), []
    for name in (comparison.candidate, comparison.baseline):
        mine = about.get(name, {})
        share = mine.get("stage_default_share")
        if share is not None and share >= 0.5:
            lines.append(
                f"{share:.0%} of the probabilities in {name} equal their stage's default: this is mostly a table of "
                "stages, not a judgement of the rep."
            )
        if mine.get("target") and mine["target"] != meta.get("target"):
            lines.append(
                f"{name} speaks about {mine['target']!r} but is scored on {meta.get('target')!r}, as reps' entries are "
                "used in practice; rep_recalibrated is its fair twin."
            )
        if mine.get("stale"):
            lines.append(
                f"{mine['stale']:,} forecasts of {name} were too old to count and are read as silence."
            )
        learned = mine.get("learned") or []
        if learned and learned[0]["won"] < 100:
            lines.append(
                f"{name} had learned from only {learned[0]['won']:,} won deals when it first spoke; its early forecasts "
                "are its weakest."
            )
    made_here = [a.get("from_file") is False or a.get("by") == "model" for a in about.values()]
    if made_here and all(made_here) and not any(n.startswith("rep_") for n in about):
        lines.append(
            "No forecast by people is in this table: it says how these forecasts compare with each other, and nothing "
            "about how either compares with the reps."
        )
    return lines


def _about_evidence(comparison: Comparison, influence: pd.DataFrame | None) -> list[str]:
    row = comparison.primary
    lines = [r["text"] for r in row["reasons"] if r["code"] not in ("identical",)]
    if influence is not None and len(influence) > 3 and influence["share"].head(3).sum() > 0.4:
        lines.append(f"3 of {len(influence)} reps hold {influence['share'].head(3).sum():.0%} of the deals.")
    periods = row["clusters"].get("period", {}).get("count")
    if periods and periods < 8:
        lines.append(
            f"Only {wording.count(periods, comparison.nouns['period'])}: what a year unlike these would bring, they can "
            "hardly say."
        )
    flips = math.isfinite(row["p_wild"]) and (row["p_wild"] <= 1 - row["level"]) != (
        row["p_value"] <= 1 - row["level"]
    )
    if flips:
        lines.append(
            f"A second test that flips whole clusters gives p = {row['p_wild']:.3f} where the interval's test gives "
            f"{row['p_value']:.3f}: they disagree, so take the verdict with care."
        )
    for other in comparison.table.to_dict("records")[1:]:
        lines += [
            f"{METRICS[other['metric']].label}: {r['text']}"
            for r in other["reasons"]
            if r["code"] in ("infinite_log_score", "amount_missing", "amount_won_assumed", "missing_column")
        ]
    return lines


def _about_data(org: Org, matched: pd.DataFrame) -> list[str]:
    meta = matched.attrs.get(META, {})
    lines = [*meta.get("notes", [])]
    if meta.get("carried_share"):
        lines.append(
            f"For {meta['carried_share']:.0%} of the compared states a value, mostly the owner, is carried from a later "
            "record, because no change of it had been recorded by then."
        )
    return [*lines, *org.notes]


def _about_looks(
    comparison: Comparison, others: Mapping[str, Comparison], weeks: Mapping[int, Comparison], segment: str
) -> list[str]:
    lines = []
    drawn = sum(math.isfinite(c.primary["low"]) for c in (*weeks.values(), *others.values()))
    if drawn > 1:
        lines.append(
            "Only the headline is a verdict fixed beforehand. The pictures by week and of the other forecasters show "
            f"{drawn} more intervals; at {wording.percent(comparison.level)} some would miss by chance alone."
        )
    if segment:
        lines.append(
            f"The segment {segment} counts as evidence only if it was chosen before its result was seen."
        )
    return lines


def method(comparison: Comparison, matched: pd.DataFrame, parameters: Mapping[str, Any]) -> Html:
    """How it was done, with every choice that was made; enough for a stranger to repeat it.

    Parameters
    ----------
    comparison : Comparison
    matched : DataFrame
    parameters : the notebook's parameters

    Returns
    -------
    Html
    """
    row, meta = comparison.primary, matched.attrs.get(META, {})
    margin = parameters.get("margin") or 0
    entries = [
        ("Which deals", str(meta.get("population", "the deals of the table")) + "."),
        ("Target", f"{meta.get('target', 'won, as the table says')}."),
        (
            "Same deals",
            f"Where {comparison.candidate} is silent, {comparison.baseline}'s value stands in; where "
            f"{comparison.baseline} is silent, the deal is left out for both.",
        ),
        ("No hindsight", _hindsight(meta)),
        (
            "Difference",
            f"{METRICS[str(row['metric'])].label} of {comparison.candidate} minus that of {comparison.baseline}.",
        ),
        ("Estimand", comparison.estimand),
        (
            "Interval",
            f"{row['method'] or 'none could be formed'}. Deals of one rep resemble each other, and so do deals of one "
            "period; whole reps and whole periods are left out in turn, and the interval widens by how much the "
            "difference moves. Treating deals as independent would make it too narrow.",
        ),
        ("What counts", _what_counts(comparison)),
        (
            "When it is not believed",
            "Fewer than 5 reps or 4 periods: no interval. Flagged: fewer than 6 periods, fewer than 20 deals won or "
            "not won, an effective number of clusters below 4, or one with more than half of the weight.",
        ),
        (
            "Verdict",
            f"From the interval at {wording.percent(comparison.level)}"
            + (f", with differences below {margin:g} counted as none" if margin else ", without a margin")
            + ". One score carries it; the others support.",
        ),
        ("Seed", str(parameters.get("seed", 0))),
    ]
    return _terms(entries, "method")


def _what_counts(comparison: Comparison) -> str:
    """How many clusters there are, how many they count for, and how large the largest is."""
    parts = [
        f"{wording.count(int(c['count']), comparison.nouns.get(d) or d)} count for {c['effective']:.1f} of equal size, the "
        f"largest holds {c['largest_share']:.0%}"
        for d, c in comparison.primary["clusters"].items()
    ]
    return "; ".join(parts) + "." if parts else "Every deal counts as one."


def _hindsight(meta: Mapping[str, Any]) -> str:
    if "as_of" not in meta:
        about = meta.get("forecasters", {}).values()
        if about and all(a.get("from_file") is False for a in about):
            return (
                "Each deal is forecast by a fit that has not seen it, nor any row of the same account; the table gives no "
                "order in time, so whether the past would have foretold the future is not tested."
            )
        return "The table came with its forecasts; when they were made is for its maker to show."
    return (
        "Every deal is taken as it was recorded at that moment. Fitted forecasters learn only from deals whose outcome "
        f"was known before, and speak once these are {fc.BurnIn.deals}, with {fc.BurnIn.won} won and "
        f"{fc.BurnIn.not_won} not won. A score in a file counts for {STALE_AFTER_DAYS} days; one issued later, or trained "
        "on later outcomes, is refused."
    )


def provenance(org: Org, data: str, parameters: Mapping[str, Any]) -> Html:
    """What went in: the data and the parameters. Versions and hashes are in the manifest beside the report.

    Parameters
    ----------
    org : Org
    data : the folder, as it was named
    parameters : the notebook's parameters

    Returns
    -------
    Html
    """
    from forecasteval import __version__

    entries = [("Organisation", org.name), ("Data", data), ("forecasteval", __version__)]
    entries += [
        (name, str(value) if value not in ("", [], ()) else "–") for name, value in parameters.items()
    ]
    rows = [list(e) for e in entries]
    return _table(["What", "Value"], rows, "provenance")


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
) -> dict[str, pd.DataFrame]:
    """The tables that leave with the report, by name.

    Parameters
    ----------
    org, comparison, rungs, weeks, others, influence : the results of a study

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
    return found
