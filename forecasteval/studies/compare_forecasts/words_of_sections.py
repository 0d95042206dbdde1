"""What a closer look says in words and small tables: calibration, what each adds, segments, reps, totals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from forecasteval.compare import wording
from forecasteval.compare.calibration import Calibration, WordTest
from forecasteval.compare.call_ranges import Coverage
from forecasteval.compare.compare import Comparison
from forecasteval.compare.encompassing import Encompassing, Mix
from forecasteval.compare.period_totals import Totals
from forecasteval.compare.segments import Family
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT
from forecasteval.inference.estimate import INFORMS as INFORMATION
from forecasteval.inference.estimate import Estimate as Coefficient
from forecasteval.report.blocks import Html, paragraphs, table
from forecasteval.studies.compare_forecasts.sections import CloserLook

PROOF = 0.05  # a test speaks below this p


def _interval(c: Coefficient, places: int = 2, scale: float = 1.0) -> str:
    return f"{wording.number(scale * c.low, places)} to {wording.number(scale * c.high, places)}"


def _range(low: float, high: float) -> str:
    return f"{wording.number(100 * low, 0)}% to {wording.number(100 * high, 0)}%"


def _joined(*blocks: Html) -> Html:
    return Html("".join(b.html for b in blocks), "\n".join(b.text for b in blocks if b.text))


# --- calibration --------------------------------------------------------------------------------------


def calibrations(look: CloserLook, level: float) -> Html:
    """For each forecaster: is it right on average, too sure of itself, and more than chance would make it?

    Parameters
    ----------
    look : CloserLook
    level : float, of the intervals

    Returns
    -------
    Html
    """
    if not look.calibrations:
        return paragraphs([])
    rows = [_calibration_row(name, c) for name, (c, _) in look.calibrations.items()]
    numbers = ("Said minus won", f"{wording.percent(level)} interval", "Slope", "Interval")
    html = table(["Forecaster", "In words", *numbers], rows, "calibration", numbers)
    lines = [_whole(name, c, test) for name, (c, test) in look.calibrations.items()]
    gloss = (
        "The slope says how far outcomes follow what is said: 1 is right; below 1 the high values are too high and the "
        "low ones too low (overconfident); above 1 it is the reverse (underconfident). "
    )
    independent = any(code == "no_reps" for c, _ in look.calibrations.values() for code, _ in c.reasons)
    gloss += (
        "No reps are known, so deals count as independent."
        if independent
        else "The intervals are for new reps."
    )
    return _joined(html, paragraphs([gloss], "note"), paragraphs([line for line in lines if line]))


def _calibration_row(name: str, c: Calibration) -> list[str]:
    gap, slope = c.gap, c.slope
    return [
        name,
        calibration_words(c),
        "–" if gap is None else _points(100 * gap.value),
        "–" if gap is None else _interval(gap, 0, 100),
        "–" if slope is None else wording.number(slope.value, 2),
        "–" if slope is None else _interval(slope),
    ]


def _points(value: float) -> str:
    said = wording.number(value, 0)
    return f"{said} point{'' if said in ('1', '−1') else 's'}"


def calibration_words(c: Calibration) -> str:
    """Too optimistic, overconfident, or neither shown; nothing where the intervals are not to be believed.

    Parameters
    ----------
    c : Calibration

    Returns
    -------
    str
    """
    against = [r["text"] for r in c.reasons if r["code"] not in INFORMATION]
    if c.gap is None or against:
        return f"cannot be told: {' '.join(against)}".removesuffix(": ")
    words = []
    if c.gap.low > 0:
        words.append("too optimistic")
    if c.gap.high < 0:
        words.append("too cautious")
    if c.slope is not None and c.slope.high < 1:
        words.append("overconfident")
    if c.slope is not None and c.slope.low > 1:
        words.append("underconfident")
    return " and ".join(words) or "not shown to be off"


def _whole(name: str, c: Calibration, test: WordTest) -> str:
    if test.p_value is None:
        return f"{name}, taken as a whole: {test.reason}"
    if not c.reliable:
        return ""
    if test.p_value <= PROOF:
        verdict = "more than a forecast that is true to its word would by chance"
    else:
        verdict = "no more than a forecast that is true to its word may by chance"
    edge = f" {c.moved:,} of its values, at or near 0 or 1, were read as {c.epsilon:g} or {1 - c.epsilon:g} for the slope."
    return (
        f"{name}, taken as a whole, strays from its word {verdict} (miscalibration {wording.number(test.miscalibration)}; "
        f"chance alone makes about {wording.number(test.expected)}; p {_p(test.p_value)})."
        + (edge if c.moved else "")
    )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


# --- what each adds -----------------------------------------------------------------------------------


def added(look: CloserLook, comparison: Comparison) -> Html:
    """Does either know anything that the other does not, and how would the two be mixed best?

    Parameters
    ----------
    look : CloserLook
    comparison : Comparison

    Returns
    -------
    Html
    """
    e = look.added
    if isinstance(e, str):
        return paragraphs([e], "note")
    c, b = comparison.candidate, comparison.baseline
    level = wording.percent(comparison.level)
    against = " ".join(r["text"] for r in e.reasons if r["code"] not in INFORMATION)
    lines, rows = [], []
    if e.candidate is None or e.baseline is None:
        lines.append(f"What either adds to the other cannot be told. {against}")
    else:
        for me, other, k in ((c, b, e.candidate), (b, c, e.baseline)):
            rows.append([me, _adds(k, e.reliable), wording.number(k.value, 2), _interval(k)])
            lines.append(_knows(me, other, k, e.reliable, level))
        if against:
            lines.append(against)
    lines.append(_mix(e.mix, c, b, level, wording.scope(comparison.generalise_to, comparison.nouns)))
    lines.append(_half(e, c, b))
    shown = table(
        ["Forecaster", "Adds to the other?", "Weight (0 adds nothing)", f"{level} interval"],
        rows,
        "added",
        ("Weight (0 adds nothing)", f"{level} interval"),
    )
    blocks = [paragraphs([line for line in lines if line])]
    return _joined(*blocks, shown) if rows else blocks[0]


def _adds(k: Coefficient, reliable: bool) -> str:
    if not reliable:
        return "not reliable"
    if k.low > 0:
        return "yes"
    return "it points the wrong way" if k.high < 0 else "not shown"


def _knows(me: str, other: str, k: Coefficient, reliable: bool, level: str) -> str:
    if not reliable:
        return ""
    if k.low > 0:
        return f"{me} knows something that {other} does not: beside {other}, its own word still counts."
    if k.high < 0:
        return f"Once {other} is known, {me} points the wrong way: the more it says, the fewer are won."
    return f"{me} is not shown to know anything that {other} does not (at {level})."


def _mix(mix: Mix, candidate: str, baseline: str, level: str, scope: str) -> str:
    if math.isnan(mix.weight.value):
        return mix.reason
    share = f"{wording.number(100 * mix.weight.value, 0)}%"
    if mix.weight.value > 1:
        best = f"The best mix is {candidate} alone (the sum would give it {share})"
    elif mix.weight.value < 0:
        best = f"The best mix is {baseline} alone (the sum would give {candidate} {share})"
    else:
        best = f"The best mix on these deals takes {share} of {candidate} and the rest of {baseline}"
    if math.isnan(mix.weight.low):
        return f"{best}. {mix.reason}"
    return f"{best}; {level} interval of {candidate}'s share for {scope}: {_range(mix.weight.low, mix.weight.high)}."


def _half(e: Encompassing, candidate: str, baseline: str) -> str:
    words = []
    for name, against in ((candidate, "candidate"), (baseline, "baseline")):
        row = e.half[against].primary
        if row["verdict"] == CANNOT:
            return ""
        told = {CANDIDATE: f"beats {name}", BASELINE: f"is worse than {name}"}
        words.append(told.get(str(row["verdict"]), f"cannot be told from {name}"))
    return f"Half and half, with nothing to fit, {words[0]} and {words[1]} by Brier score."


# --- segments, reps, totals ---------------------------------------------------------------------------


def segments(look: CloserLook) -> Html:
    """The family of segments: verdicts, adjusted p-values, and who is too small to count.

    Parameters
    ----------
    look : CloserLook

    Returns
    -------
    Html
    """
    family = look.segments
    if isinstance(family, str):
        return paragraphs([])
    rows = [
        [
            r["segment"],
            _segment_verdict(r, family),
            f"{r['deals']:,}",
            f"{r['reps']:,}",
            wording.number(r["difference"], wording.decimals(r["low"], r["high"])),
            _simultaneous(r["low"], r["high"]),
            "–" if math.isnan(r["p_worse_holm"]) else _p(r["p_worse_holm"]),
            "–" if math.isnan(r["q_value"]) else _p(r["q_value"]),
        ]
        for r in family.table.to_dict("records")
    ]
    columns = ["Segment", "Verdict", "Deals", "Reps", "Difference", "Interval", "Worse here?", "Screen"]
    numbers = ["Deals", "Reps", "Difference", "Interval", "Worse here?", "Screen"]
    return _joined(table(columns, rows, "segments", numbers), paragraphs(_about_family(family), "note"))


def _simultaneous(low: float, high: float) -> str:
    if math.isnan(low):
        return "none"
    places = wording.decimals(low, high)
    return f"{wording.number(low, places)} to {wording.number(high, places)}"


def _segment_verdict(row: Mapping[Any, Any], family: Family) -> str:
    if not row["in_family"]:
        return "too small to count"
    c = family.comparisons[str(row["segment"])]
    names = {CANDIDATE: f"{c.candidate} better", BASELINE: f"{c.baseline} better"}
    return names.get(str(row["verdict"]), str(row["verdict"]))


def _about_family(family: Family) -> list[str]:
    small = family.table.loc[~family.table["in_family"], "segment"].tolist()
    worse = family.table.loc[family.table["worse_here"], "segment"].tolist()
    lines = [
        f"{family.size} segments of {family.by} count as one family: all their intervals together hold at "
        f"{wording.percent(family.level)}. 'Worse here?' is the p of the first forecaster being worse in that segment, "
        "adjusted by Holm for the family; 'Screen' is adjusted by Benjamini and Hochberg: below 0.05 it deserves a second "
        "look. This is evidence only if the family was named before its results were seen."
    ]
    if small:
        lines.append(f"Too few reps for more than an estimate, and not counted: {', '.join(small)}.")
    if worse:
        lines.append(f"Shown to be worse in: {', '.join(worse)}.")
    if family.without_value:
        lines.append(f"{wording.count(family.without_value, 'deals')} belong to no segment of {family.by}.")
    return lines


def rep_bias(look: CloserLook) -> Html:
    """How far reps stray, and how far they truly differ.

    Parameters
    ----------
    look : CloserLook

    Returns
    -------
    Html
    """
    b = look.rep_bias
    if isinstance(b, str) or b.reason:
        return paragraphs([])
    points = [
        wording.number(100 * v, 0)
        for v in (b.mean.value, b.mean.low, b.mean.high, b.tau.value, b.tau.low, b.tau.high)
    ]
    level = wording.percent(b.level)
    differ = (
        f"Reps are not shown to differ at all: the spread between them may be anything from 0 to {points[5]} points."
        if b.tau.low == 0
        else f"Reps truly differ, with a standard deviation of about {points[3]} points ({points[4]} to {points[5]})."
    )
    return paragraphs(
        [
            f"For the typical rep {b.forecaster} lies {points[0]} points above what is won ({level} interval {points[1]} to "
            f"{points[2]}). {differ}",
            f"A rep with few deals is mostly luck: each is pulled towards the typical rep, and the own mean of a rep with "
            f"fewer than {b.least} deals is not shown.",
        ]
    )


def totals(look: CloserLook, noun: str) -> Html:
    """Expected bookings against bookings by period, and the ranges that the reps gave themselves.

    Parameters
    ----------
    look : CloserLook
    noun : what periods are called

    Returns
    -------
    Html
    """
    lines = [_ranges(look.ranges)] if not isinstance(look.ranges, str) else []
    found = look.totals
    if isinstance(found, str):
        return paragraphs([found, *[line for line in lines if line]])
    return _joined(paragraphs([_totals(found, noun)]), _totals_table(found), paragraphs(lines))


def _totals(t: Totals, noun: str) -> str:
    test = t.test
    missed = {n: f"{100 * w:.0f}%" for n, w in t.wmape.items() if math.isfinite(w)}
    missing = ", ".join(f"{n} by {w}" for n, w in missed.items())
    words = (
        f"Over {test.periods} {noun} the totals are missed, in all, {missing} of what was booked (wMAPE). "
    )
    closer = t.candidate if test.mean.value < 0 else t.baseline
    if test.mean.p_value <= 1 - test.mean.level:
        verdict = f"{closer} is closer to the totals (p {_p(test.mean.p_value)}"
    else:
        verdict = f"Who is closer to the totals cannot be told (p {_p(test.mean.p_value)}"
    return (
        f"{words}{verdict}; {_p(test.p_ewc)} if neighbouring {noun} may resemble each other). Deals that were not open at "
        "the moment of the forecast are in neither sum."
    )


def _totals_table(t: Totals) -> Html:
    names = [t.candidate, t.baseline]
    rows = [
        [str(r["period"]), f"{r['booked']:,.0f}", *(f"{r[n]:,.0f}" for n in names)]
        for r in t.table.to_dict("records")
    ]
    columns = ["Period", "Booked", *names]
    return table(columns, rows, "totals", columns[1:])


def _ranges(found: Mapping[str, Coverage]) -> str:
    lines = []
    for promised, c in found.items():
        if not c.ranges:
            continue
        low, high = c.by_cluster if math.isfinite(c.by_cluster[0]) else c.wilson
        told = (
            "how often they were meant to hold is not stated"
            if promised == "not stated"
            else f"{promised} was promised"
        )
        lines.append(
            f"The ranges that reps gave for their own total held what came in {c.share:.0%} of {c.ranges:,} cases (95% "
            f"interval {_range(low, high)}; {told}); it came in below {c.below:,} and above {c.above:,} of them."
        )
    return " ".join(lines)
