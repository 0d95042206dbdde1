"""How it was done, and what to read with care: only the caveats that this data raises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.proof import proof
from forecasteval.inference.limits import FEW_PERIODS, LIMITS, MIN_CLUSTERS
from forecasteval.matching import forecasters as fc
from forecasteval.matching.match import STALE_AFTER_DAYS
from forecasteval.matching.matched import META
from forecasteval.report.blocks import Html, bullets, table, terms
from forecasteval.scores.probability import METRICS
from forecasteval.tables.organisation import Org


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
    influence : DataFrame of :func:`forecasteval.overviews.influence`, or None
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
    return bullets(
        list(dict.fromkeys(lines)) or ["This data raises none beyond the method's own."], "caveats"
    )


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
            "difference moves. It reaches further on the side of the forecaster whose bias differs more from rep to "
            "rep or period to period, because the next ones may be far off where these happen not to be. Treating "
            "deals as independent would make it too narrow.",
        ),
        (
            "Why it is believed",
            proof(),
        ),
        ("What counts", _what_counts(comparison)),
        (
            "When it is not believed",
            f"Fewer than {MIN_CLUSTERS['rep']} reps or {MIN_CLUSTERS['period']} periods: no interval. Flagged: fewer "
            f"than {FEW_PERIODS} periods, fewer than {LIMITS.events} deals won or not won, clusters so uneven that "
            f"they count for fewer than {LIMITS.effective:g} and for less than a quarter of their number, or one with "
            f"more than {LIMITS.largest_share:.0%} of the weight.",
        ),
        (
            "Verdict",
            f"From the interval at {wording.percent(comparison.level)}"
            + (f", with differences below {margin:g} counted as none" if margin else ", without a margin")
            + ". One score carries it; the others support.",
        ),
        (
            "Calibration, and what either adds",
            "Logistic regressions of won or not on the log-odds that were said, with whole reps left out in turn. The test "
            "of a forecast's word draws outcomes from its own probabilities, with the deals of one rep as alike as they "
            "are in the data.",
        ),
        ("Seed", str(parameters.get("seed", 0))),
    ]
    return terms(entries, "method")


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

    entries = [("Organisation", org.name), ("Data", data), ("forecasteval", version("deal-forecasteval"))]
    entries += [
        (name, str(value) if value not in ("", [], ()) else "–") for name, value in parameters.items()
    ]
    rows = [list(e) for e in entries]
    return table(["What", "Value"], rows, "provenance")
