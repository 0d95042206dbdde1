"""What the plan of a pilot says in words and tables: written from its numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.inference import power as planning
from forecasteval.inference.limits import FEW_PERIODS, MIN_CLUSTERS
from forecasteval.report.blocks import Html, bullets, card, paragraphs, table, terms
from forecasteval.studies.plan_pilot.study import Plan

_WHAT = {
    "rep": "from rep to rep",
    "period": "from {period} to {period}",
    "rep_period": "within a rep, from {period} to {period}",
    "deal": "from deal to deal",
}
HARDLY = 0.9  # with endless deals more than this share of today's figure is left
HARDLY_MORE = 1.05  # below this the plan is the same for either forecaster


def _one(plan: Plan) -> str:
    return plan.nouns["period"].removesuffix("s")


def _own_words(plan: Plan, text: str) -> str:
    """The package's word for a block of time replaced by the organisation's."""
    return text.replace("periods", plan.nouns["period"])


def _size(number: float) -> str:
    return f"{number:,.0f}" if number >= 5 or number == round(number) else f"{number:.1f}"


def _told(value: float) -> str:
    """A smallest difference, with the digits it deserves."""
    if value < 5e-5:
        return "0"
    return wording.number(value, 3 if value >= 0.002 else 4)


def headline(plan: Plan) -> str:
    """One sentence: the pilot's size, the smallest difference it can tell, and for whom.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    str
    """
    d = plan.design
    size = (
        f"{wording.count(d.reps, 'reps')}, {wording.count(d.periods, plan.nouns['period'])} and about "
        f"{_size(d.deals)} {'deal' if _size(d.deals) == '1' else 'deals'} per rep and {_one(plan)}"
    )
    scope = wording.scope(plan.question, plan.nouns)
    if plan.doubt:
        return f"With {size} no difference can be told from none for {scope}: {_own_words(plan, plan.doubt)}."
    return (
        f"With {size} you can tell a difference in Brier score of {_told(plan.detectable)} from none for {scope}: "
        f"{plan.pilot.power:.0%} of such pilots would find it."
    )


def needs(plan: Plan) -> str:
    """How many reps, periods or deals the wanted difference takes.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    str
    """
    wanted, quarters = plan.pilot.difference, plan.nouns["period"]
    words = {"reps": "reps", "periods": quarters, "deals": f"deals per rep and {_one(plan)}"}
    counted = {"rep": ("reps",), "period": ("periods",)}
    first = [w for d in plan.question for w in counted.get(d, ())] or ["deals"]
    order = [*first, *(w for w in words if w not in first)]
    ways = [f"{plan.needed[w]:,} {words[w]}" for w in order if plan.needed[w] is not None]
    never = [w for w in order if plan.needed[w] is None]
    if not ways:
        return (
            f"For a difference of {wanted:g} no change of one number alone is enough; it takes more reps and more "
            f"{quarters} at once, or a larger difference."
        )
    text = f"For a difference of {wanted:g} you need about {' or '.join(ways)}, all else as it is."
    most = {"reps": f"{planning.MOST['reps']} reps", "periods": f"{planning.MOST['periods']} {quarters}"}
    beyond = [most[w] for w in never if w in most]
    return text + (f" Even {' or '.join(beyond)} would not do it alone." if beyond else "")


def more_deals(plan: Plan) -> str:
    """Whether more deals of the same reps in the same periods would help.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    str
    """
    if plan.doubt:
        return ""
    c, quarters = plan.components, plan.nouns["period"]
    spreads = (("rep", "reps", c.rep), ("period", quarters, c.period))
    differ = [noun for dimension, noun, spread in spreads if dimension in plan.question and spread > 0]
    if differ:
        who = f"{' and '.join(differ)} differ among themselves"
    else:
        who = f"a rep does not do alike from {_one(plan)} to {_one(plan)}"
    floor = f"even endlessly many would leave it at {_told(plan.endless)}, because {who}."
    if plan.endless > plan.pilot.difference:
        return f"More deals of the same reps will not help: {floor}"
    if plan.endless > HARDLY * plan.detectable:
        return f"More deals of the same reps will hardly help: {floor}"
    twice = planning.detectable(
        replace(plan.design, deals=2 * plan.design.deals),
        plan.components,
        plan.question,
        level=plan.pilot.level,
        power=plan.pilot.power,
    )
    return f"More deals of the same reps do help: twice as many bring it down to {_told(twice)}."


def _range(plan: Plan) -> str:
    if plan.past is None or plan.between is None:
        return "This rests on assumptions. A folder with past deals (`data`) would put measured numbers in their place."
    low, high = (_told(v) for v in plan.between)
    h = plan.past.history
    have = (
        ""
        if plan.at_hand is None
        else f" With reps, {plan.nouns['period']} and deals as there it is {_told(plan.at_hand)}."
    )
    return (
        f"Measured on {h.rows:,} past forecasts of {wording.count(h.reps, 'reps')} in "
        f"{wording.count(h.periods, plan.nouns['period'])}; four of five such histories would have put the figure "
        f"between {low} and {high}.{have}"
    )


def _limits(plan: Plan) -> str:
    """Which wider questions the pilot leaves open, and why."""
    quarters = plan.nouns["period"]
    open_questions = [
        f"about new {noun} it can say nothing, having {_own_words(plan, why)}"
        for dimension, noun in (("rep", "reps"), ("period", quarters))
        if dimension not in plan.question and (why := planning.doubt(plan.design, (dimension,)))
    ]
    if not open_questions:
        return ""
    text = "; ".join(open_questions)
    return f"{text[0].upper()}{text[1:]}."


def answer_card(plan: Plan) -> Html:
    """The card that answers the question.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    wanted = f"{plan.pilot.difference:g}"
    badge = f"{wanted} can be told" if plan.enough else f"{wanted} cannot be told with this pilot"
    if plan.enough:
        deals = wording.scope(plan.question, plan.nouns)
        ways = f"The wanted difference of {wanted} is within reach for {deals}."
        fewest = plan.needed["reps"]
        if fewest is not None and fewest < plan.design.reps:
            ways += f" About {wording.count(fewest, 'reps')} would be enough."
    else:
        ways = needs(plan)
    lines = (ways, more_deals(plan), _range(plan), _limits(plan))
    return card("same" if plan.enough else "unsure", badge, headline(plan), lines)


def glossary(plan: Plan) -> Html:
    """The few terms that the page needs, each explained once.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    level, power = wording.percent(plan.pilot.level), f"{plan.pilot.power:.0%}"
    return terms(
        [
            (
                "Brier score",
                "the mean squared distance between the probability that was given and what happened (1 won, 0 not); "
                "lower is better. Differences between useful forecasters are mostly 0.005 to 0.05.",
            ),
            (
                "can be told",
                f"a true difference of that size would put the {level} interval wholly on its side of 0 in {power} of "
                "such pilots. A smaller one may be found by luck; a plan should not count on it.",
            ),
            (
                "SD",
                "standard deviation: how far single values typically lie from their mean.",
            ),
        ],
        "gloss",
    )


def _needed(value: Any, most: str) -> str:
    return most if value is None or pd.isna(value) else f"{value:,}"


def ladder_table(plan: Plan) -> Html:
    """What can be told for each thing that may be different next time, and what the wanted difference needs.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    wanted, quarters = f"{plan.pilot.difference:g}", plan.nouns["period"]
    rows = []
    for row in plan.ladder.to_dict("records"):
        question = tuple(row["generalise_to"].split(" and "))
        now = (
            _told(row["detectable"]) if not row["doubt"] else f"no verdict: {_own_words(plan, row['doubt'])}"
        )
        rows.append(
            [
                wording.scope(question, plan.nouns),
                now,
                "–" if math.isnan(row["endless"]) else _told(row["endless"]),
                _needed(row["reps_needed"], "none"),
                _needed(row["periods_needed"], "none"),
                _needed(row["deals_needed"], "none"),
            ]
        )
    columns = [
        "For",
        "Can be told",
        "With endless deals",
        f"Reps for {wanted}",
        f"{quarters.capitalize()} for {wanted}",
        f"Deals for {wanted}",
    ]
    shown = table(columns, rows, "rungs", columns[2:])
    note = paragraphs(
        [
            f"The last three columns change one number and leave the others: reps, {quarters}, or deals per rep and "
            f"{_one(plan)}. “none”: no number up to {planning.MOST['reps']:,} reps, {planning.MOST['periods']} "
            f"{quarters} or {planning.MOST['deals']:,} deals is enough."
        ],
        "note",
    )
    return Html(shown.html + note.html, f"{shown.text}\n{note.text}")


def spread_table(plan: Plan) -> Html:
    """Where the difference varies, how that is known, and how much of the uncertainty comes from it.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    source = {"measured": "your history", "assumed": "assumed", "given": "given by you"}
    rows = []
    for r in plan.spread.to_dict("records"):
        known = "–" if math.isnan(r["low"]) else f"{wording.number(r['low'])} to {wording.number(r['high'])}"
        what = _WHAT[r["component"]].format(period=_one(plan))
        rows.append([what, wording.number(r["sd"]), known, source[r["source"]], f"{r['share']:.0%}"])
    columns = ["The difference varies", "SD", "Range", "From", "Of the uncertainty"]
    shown = table(columns, rows, "rungs", ("SD", "Range", "Of the uncertainty"))
    lines = [] if plan.past is None else list(plan.past.history.notes)
    if any(s == "measured" for s in plan.sources.values()):
        lines.insert(
            0, "Range: where four of five histories of this size would have put it, were the SD true."
        )
    note = paragraphs([_own_words(plan, line) for line in lines], "note")
    return Html(shown.html + note.html, f"{shown.text}\n{note.text}")


def assumptions(plan: Plan) -> Html:
    """How the assumed components follow from numbers that a sales team can judge.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    p, c = plan.pilot, plan.pilot.assumed
    one = _one(plan)
    entries = [
        (
            f"from deal to deal: {wording.number(c.deal)}",
            f"twice the typical gap between the two forecasts of a deal (apart {p.apart:g}) times the spread of "
            f"won and not won at a win rate of {p.win_rate:.0%}.",
        ),
        (
            f"from rep to rep: {wording.number(c.rep)}",
            f"reps say {100 * p.optimism:.0f} points too much on average, and differ by {100 * p.optimism_differs:.0f} "
            "points in that (SD); what an optimistic rep loses grows with the square of it.",
        ),
        (
            f"from {one} to {one}: {wording.number(c.period)}; within a rep: {wording.number(c.rep_period)}",
            f"the share that is won moves by {100 * p.swing:.0f} points from {one} to {one} (SD) beyond what anybody "
            "foresaw; it helps or hurts whoever says too much.",
        ),
    ]
    used = [n for n, s in plan.sources.items() if s == "assumed"]
    lead = (
        "These stand where the history cannot say."
        if used
        else "None of these was used: your history, or what you gave, stands in their place."
    )
    shown, said = terms(entries, "method"), paragraphs([lead])
    return Html(said.html + shown.html, f"{said.text}\n{shown.text}")


def method(plan: Plan) -> Html:
    """How it was worked out; enough for a stranger to repeat it.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    p = plan.pilot
    largest = float(plan.design.share.max())
    sizes = (
        "as unequal as in your history"
        if plan.design.sizes
        else f"unequal by {plan.design.uneven:g} (SD of log)"
    )
    entries = [
        (
            "Model",
            "Each deal's difference in Brier score is a mean plus a rep's, a period's, a rep's-in-a-period's and its "
            "own deviation, independent of each other.",
        ),
        (
            "Interval",
            "The one that compare_forecasts gives: whole reps and periods left out in turn (CR3J), Bell-McCaffrey "
            "degrees of freedom, the largest of rep, period and two-way where both are new.",
        ),
        (
            "Smallest difference",
            f"That with which {p.power:.0%} of pilots have their {wording.percent(p.level)} interval wholly on its side "
            "of 0: about (t of the interval + t of the power) times the standard error, worked out with the noncentral "
            "t, for new reps and new periods by averaging over the standard errors that may come out.",
        ),
        ("Reps", f"{sizes}; the largest of {plan.design.reps} holds {largest:.0%} of the deals."),
        (
            "Measured components",
            "Henderson's first method (analysis of variance for unequal numbers), set to 0 where it came out below.",
        ),
        (
            "No verdict",
            f"Fewer than {MIN_CLUSTERS['rep']} reps say nothing about new reps, fewer than {FEW_PERIODS} periods nothing "
            "that is trusted about new periods.",
        ),
        (
            "Checked",
            "Against simulated pilots that the package itself judged; tests/benchmarks holds them.",
        ),
        ("Seed", str(p.seed)),
    ]
    return terms([(term, _own_words(plan, said)) for term, said in entries], "method")


def caveats(plan: Plan) -> Html:
    """Only the caveats that this plan raises.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    Html
    """
    quarters = plan.nouns["period"]
    lines = [
        "A plan looks ahead. Once the pilot has run, its interval says what it found; the chance that it had of "
        "finding it adds nothing.",
        "Where reps differ mostly by how far too much they say, a few are far off and the rest are alike. The plan is "
        "then cautious: in simulation such pilots found a model that was ahead up to 10 points more often than planned.",
    ]
    leant = planning.expected(plan.design, plan.components, plan.question).detectable(
        level=plan.pilot.level, power=plan.pilot.power, lean=1.0
    )
    if leant > HARDLY_MORE * plan.detectable:
        lines.append(
            "An interval reaches further on the side of the forecaster whose bias differs more from rep to rep, which is "
            "usually the reps themselves. Where that one is ahead, the smallest difference that can be told is larger "
            f"than planned: up to {_told(leant)}."
        )
    if plan.past is not None:
        lines.append(
            "compare_forecasts says what could be told as well, from the one standard error that it found. The plan says "
            "what to expect of pilots like it, so the two differ somewhat."
        )
        h = plan.past.history
        if h.periods < 8:
            lines.append(
                f"{wording.count(h.periods, quarters)} of history hardly show how much {quarters} differ. A year unlike "
                "them would need a larger pilot."
            )
        if h.reps < 12:
            lines.append(f"{h.reps} reps of history hardly show how much reps differ.")
        lines.append(
            f"The history is about {plan.pilot.candidate} and {plan.pilot.baseline}. Another pair that lies further apart "
            "varies more."
        )
    else:
        lines.append(
            "Everything here is assumed. The typical gap between the two forecasts and how much reps differ matter most."
        )
    return bullets(lines, "caveats")


def tables(plan: Plan) -> dict[str, pd.DataFrame]:
    """The tables that leave with the report, by name.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    dict of DataFrame
    """
    return {
        "ladder": plan.ladder,
        "by_reps": plan.by_reps,
        "by_deals": plan.by_deals,
        "components": plan.spread,
    }
