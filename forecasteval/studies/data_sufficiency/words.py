"""What the learning curve says in words and tables: written from its numbers."""

from __future__ import annotations

import math

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.inference.limits import FEW_PERIODS
from forecasteval.inference.logistic import EPSILON
from forecasteval.matching import forecasters as fc
from forecasteval.matching.rolling_origin import Learning
from forecasteval.report.blocks import Html, bullets, card, flow_table, paragraphs, table, terms
from forecasteval.studies.data_sufficiency.figures import who
from forecasteval.studies.data_sufficiency.study import Curve, Sufficiency

NOTHING = paragraphs(["There is no learning curve, so there is nothing to show here."], "note")
FEW_EVENTS = 10.0  # events per variable; a rule of thumb


def _last(curve: Curve) -> Comparison:
    return curve.against_baseline[curve.learning.sizes[-1]]


def _interval(c: Comparison) -> str:
    row = c.primary
    places = wording.decimals(row["low"], row["high"])
    if math.isnan(row["low"]):
        return f"Brier score difference {wording.number(row['difference'])}, no interval"
    low, high = wording.number(row["low"], places), wording.number(row["high"], places)
    return (
        f"Brier score difference {wording.number(row['difference'], places)} ({wording.percent(c.level)} interval {low} "
        f"to {high}; below 0 is better)"
    )


def _behind(c: Comparison) -> str:
    return f"for {wording.scope(c.generalise_to, c.nouns)}; judged on {wording.size(c.primary, c.nouns)}"


def headline(question: Sufficiency, learning: Learning, curve: Curve | None) -> str:
    """One sentence: from how many deals on the model is better, or that it is not reached, and how far.

    Parameters
    ----------
    question : Sufficiency
    learning : Learning
    curve : Curve or None

    Returns
    -------
    str
    """
    if curve is None:
        return f"It cannot be told how much data the model needs. {learning.stop}"
    name, last, most = who(question), _last(curve), learning.sizes[-1]
    if curve.reached is not None:
        c = curve.against_baseline[curve.reached]
        start = f"From {curve.reached:,} closed deals on"
        if curve.reached == learning.sizes[0]:
            start = f"Already with {curve.reached:,} closed deals, the fewest tried,"
        return f"{start} {name} is better than {question.baseline}: {_interval(c)}, {_behind(c)}."
    if not last.primary["reliable"]:
        return (
            f"It cannot be told from how many closed deals on {name} is better than {question.baseline}. "
            f"{_doubts(last)} With {most:,} deals: {_interval(last)}, {_behind(last)}."
        )
    if last.verdict == BASELINE:
        state = f"{question.baseline} is still better"
    else:
        state = f"{name} is not shown to be better than {question.baseline}"
    return f"Not reached: with {most:,} closed deals {state}. {_interval(last)}, {_behind(last)}."


def _doubts(c: Comparison) -> str:
    return " ".join(r["text"] for r in c.primary["reasons"] if r["code"] not in wording.INFORMATION)


def _how_far(question: Sufficiency, curve: Curve) -> str:
    """How far off the goal is, where it is not reached."""
    last = _last(curve)
    row, periods = last.primary, last.nouns["period"]
    if not row["reliable"]:
        few = any("period" in r["code"] for r in row["reasons"])
        return (
            f"Fewer deals to learn from would leave more {periods} to judge on (sizes)."
            if few and question.sizes
            else ""
        )
    if last.verdict == BASELINE:
        return ""
    best = curve.table.iloc[int(curve.table["difference"].argmin())]
    return (
        f"How far: the interval reaches {wording.number(row['high'])} past 0; the best size was {int(best['size']):,}, with "
        f"a difference of {wording.number(best['difference'])}. More deals, or more reps and {periods} to judge on, may "
        "change that; plan_pilot says how many."
    )


def until_then(question: Sufficiency, curve: Curve) -> str:
    """What to use until the model is better: the rule, or the reps' own word.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve

    Returns
    -------
    str
    """
    if "rule_brier" not in curve.table:
        return ""
    before = curve.table if curve.reached is None else curve.table[curve.table["size"] < curve.reached]
    if before.empty:
        return ""
    row = before.iloc[-1]
    name, n = who(question), int(row["size"])
    rule, model, reps = (float(row[k]) for k in ("rule_brier", "brier", "baseline_brier"))
    values = (
        f"learned from the same {n:,} deals, {question.rule} scores {wording.number(rule)}, {name} "
        f"{wording.number(model)}; {question.baseline} scores {wording.number(reps)}"
    )
    lead = "Until then" if curve.reached is not None else "As long as that is so"
    if rule > reps:
        return f"{lead}, stay with {question.baseline}: {values}."
    proven = (
        ""
        if row["rule_verdict"] == CANDIDATE
        else f" (ahead of {question.baseline}, though not proven to be)"
    )
    return f"{lead}, use {question.rule}, which needs no model{proven}: {values}."


def _against_rule(question: Sufficiency, curve: Curve) -> str:
    if not curve.against_rule:
        return ""
    last = curve.against_rule[curve.learning.sizes[-1]]
    if curve.beats_rule is not None:
        return f"From {curve.beats_rule:,} deals on {who(question)} is better than {question.rule} too."
    return (
        f"It is not shown to be better than {question.rule}, which needs no model: with {curve.learning.sizes[-1]:,} deals "
        f"{_interval(last)}."
    )


def overconfident(question: Sufficiency, curve: Curve | None) -> str:
    """What the calibration slope says at the smallest and the largest size.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    str
    """
    if curve is None or not curve.table["slope"].notna().any():
        return ""
    first, last = curve.table.iloc[0], curve.table.iloc[-1]
    name = who(question)
    if first["slope_high"] < 1:
        text = (
            f"With {int(first['size']):,} deals {name} is far too sure of itself: calibration slope "
            f"{wording.number(first['slope'], 2)}, where 1 is right"
        )
    else:
        text = f"Calibration slope {wording.number(first['slope'], 2)} with {int(first['size']):,} deals"
    if len(curve.table) == 1:
        return f"{text}."
    return f"{text}; with {int(last['size']):,} it is {wording.number(last['slope'], 2)}."


def answer_card(question: Sufficiency, learning: Learning, curve: Curve | None) -> Html:
    """The card that answers the question.

    Parameters
    ----------
    question : Sufficiency
    learning : Learning
    curve : Curve or None

    Returns
    -------
    Html
    """
    if curve is None:
        badge, state, lines = "Cannot be told", "cannot", []
    elif curve.reached is None:
        told = _last(curve).primary["reliable"]
        badge, state = ("Not reached", "unsure") if told else ("Cannot be told", "cannot")
        lines = [_how_far(question, curve), until_then(question, curve), overconfident(question, curve)]
    else:
        badge, state = f"{curve.reached:,} closed deals", "better"
        lines = [until_then(question, curve), _against_rule(question, curve), overconfident(question, curve)]
    return card(state, badge, headline(question, learning, curve), lines)


def glossary(question: Sufficiency, learning: Learning) -> Html:
    """The terms that the page needs, each explained once.

    Parameters
    ----------
    question : Sufficiency
    learning : Learning

    Returns
    -------
    Html
    """
    model = fc.BUILT_IN["model"].gloss.replace(
        "refitted each period", "fitted anew for each period and each number of deals"
    )
    entries = [
        (who(question), "scores from a file, by the deals they were trained on" if question.scores else model)
    ]
    named = [question.rule, question.baseline] if learning.rule else [question.baseline]
    entries += [(name, fc.BUILT_IN[name].gloss) for name in named if name in fc.BUILT_IN]
    brier = (
        "the mean squared distance between the probability that was given and what happened (1 won, 0 not); lower is "
        "better"
    )
    events = (
        "deals won or deals not won, whichever are fewer, for each number that the model has to learn; with fewer than "
        f"about {FEW_EVENTS:g} it learns much chance"
    )
    slope = (
        "1 where a forecaster is as sure as it should be; 0.5 where its log-odds are twice as large as what happened "
        "bears out"
    )
    lost = "the part of the Brier score that is lost by saying 80% where 60% are won (MCB of the CORP decomposition)"
    entries.append(("Brier score", brier))
    if learning.fits.size:
        entries.append(("events per variable", events))
    return terms([*entries, ("calibration slope", slope), ("miscalibration", lost)], "gloss")


def size_table(question: Sufficiency, curve: Curve | None) -> Html:
    """One row per number of deals learned from.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Html
    """
    if curve is None:
        return NOTHING
    rows = []
    for r in curve.table.to_dict("records"):
        places = wording.decimals(r["low"], r["high"])
        interval = f"{wording.number(r['low'], places)} to {wording.number(r['high'], places)}"
        rows.append(
            [
                f"{r['size']:,}",
                wording.number(r["events_per_variable"], 1),
                wording.number(r["brier"]),
                wording.number(r.get("rule_brier", math.nan)),
                wording.number(r["difference"], places),
                "none" if math.isnan(r["low"]) else interval,
                wording.number(r["slope"], 2),
            ]
        )
    columns = [
        "Deals",
        "Events per variable",
        "Model",
        question.rule,
        "Difference",
        "Interval",
        "Slope",
    ]
    shown = table(columns, rows, "sizes", columns)
    base = wording.number(float(curve.table["baseline_brier"].iloc[-1]))
    text = f"Difference: {who(question)} minus {question.baseline}, which scores {base} on the same deals at every size."
    note = paragraphs([text], "note")
    return Html(shown.html + note.html, f"{shown.text}\n{note.text}")


def segment_table(question: Sufficiency, curve: Curve | None) -> Html:
    """The answer in each segment.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Html
    """
    if curve is None or curve.segments.empty:
        return NOTHING
    rows = []
    for r in curve.segments.to_dict("records"):
        needed = "not reached" if pd.isna(r["reached"]) else f"{int(r['reached']):,}"
        if not r["reliable"]:
            needed = f"cannot be told: {r['why']}"
        rows.append([f"{r['segment']}: {r['value']}", needed, f"{r['deals']:,}", f"{r['wins']:,}"])
    shown = table(["Segment", "Closed deals needed", "Deals", "Won"], rows, "rungs", ("Deals", "Won"))
    note = paragraphs(
        [
            "Closed deals of the whole organisation that the model learned from; the segment's own deals judge it. "
            f"“Not reached” holds up to {curve.learning.sizes[-1]:,}."
        ],
        "note",
    )
    return Html(shown.html + note.html, f"{shown.text}\n{note.text}")


def flow(curve: Curve | None) -> Html:
    """The way from the export to the deals that the curve is judged on.

    Parameters
    ----------
    curve : Curve or None

    Returns
    -------
    Html
    """
    return NOTHING if curve is None else flow_table(_last(curve))


def method(question: Sufficiency, learning: Learning, curve: Curve | None) -> Html:
    """How it was done; enough for a stranger to repeat it.

    Parameters
    ----------
    question : Sufficiency
    learning : Learning
    curve : Curve or None

    Returns
    -------
    Html
    """
    if curve is None:
        return NOTHING
    last = _last(curve)
    entries = [
        (
            "Rolling origin",
            f"At the end of {question.as_of} of each period the model is fitted to the last n deals whose outcome was "
            "known by then, and speaks about the deals of that period. Deals are never split at random: that would let "
            "the future teach the past.",
        ),
        (
            "Same deals at every n",
            "Only periods are judged before which the largest n was known, so a larger n never meets easier deals. "
            "Deals that became known on the same day are taken in a drawn order.",
        ),
        ("Sizes", ", ".join(f"{n:,}" for n in learning.sizes) + "."),
        ("Estimand", last.estimand),
        ("Interval", f"{last.primary['method'] or 'none could be formed'}."),
        (
            "Several sizes",
            "Tested from the largest down, each only while all larger ones were better (a fixed sequence). The chance of "
            f"a false answer stays at that of one {wording.percent(question.level)} interval.",
        ),
        (
            "Segments",
            "Each at a level that lets all of them hold together (Bonferroni), with the same sequence of sizes inside.",
        ),
        (
            "Calibration slope",
            "Logistic regression of the outcome on the forecast's log-odds; its interval leaves out whole reps in turn. "
            f"Probabilities within {EPSILON:g} of 0 or 1 are read as {EPSILON:g} or {1 - EPSILON:g}, as on the page of "
            "compare_forecasts.",
        ),
        ("Seed", str(question.seed)),
    ]
    if question.scores:
        entries[:2] = [
            ("Training sizes", "As you named them: what a vendor trained on cannot be checked here.")
        ]
    return terms(entries, "method")


def caveats(question: Sufficiency, curve: Curve | None) -> Html:
    """Only the caveats that this data raises.

    Parameters
    ----------
    question : Sufficiency
    curve : Curve or None

    Returns
    -------
    Html
    """
    if curve is None:
        return NOTHING
    last = _last(curve)
    row, sizes = last.primary, curve.learning.sizes
    lines = [r["text"] for r in row["reasons"]]
    periods = row["clusters"].get("period", {}).get("count", 0)
    lines.append(
        f"The curve ends at {sizes[-1]:,} deals because {wording.count(int(periods), last.nouns['period'])} are judged: a "
        "longer one would leave fewer."
        if not question.sizes and not question.scores
        else f"The curve ends at {sizes[-1]:,} deals, as asked."
    )
    if periods and periods < FEW_PERIODS:
        lines.append(f"It is judged on {periods} {last.nouns['period']} only.")
    epv = curve.table["events_per_variable"].iloc[-1]
    if epv < FEW_EVENTS:
        lines.append(
            f"Even at {sizes[-1]:,} deals the model has {epv:.1f} events per variable, fewer than the {FEW_EVENTS:g} that are "
            "usually asked for. More deals may help it still."
        )
    if not question.scores:
        lines.append(
            "This is the package's reference model. A vendor's may need more or fewer deals; give its scores by training "
            "size (scores) to see."
        )
    if curve.learning.fits.size:
        lines.append(
            "The smallest fits differ much from one draw of deals to the next. The curve shows one draw; another seed "
            "shows another."
        )
    return bullets(list(dict.fromkeys(lines)), "caveats")


def tables(learning: Learning, curve: Curve | None) -> dict[str, pd.DataFrame]:
    """The tables that leave with the report, by name.

    Parameters
    ----------
    learning : Learning
    curve : Curve or None

    Returns
    -------
    dict of DataFrame
    """
    if curve is None:
        return {}
    found = {"learning_curve": curve.table, "flow": _last(curve).flow}
    if not curve.segments.empty:
        found["segments"] = curve.segments
    if len(learning.fits):
        found["fits"] = learning.fits
    return found
