"""What the coverage study says in words and tables."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from forecasteval.coverage.study import GOALS
from forecasteval.plots.coverage import FAMILIES
from forecasteval.scores import METRICS
from forecasteval.story.html import Html, bullets, paragraphs, terms
from forecasteval.story.html import table as html_table

FOR = {
    "deal": "new deals",
    "rep": "new reps",
    "period": "new quarters",
    "account": "new accounts",
    "deal and period": "same reps, new quarters",
    "rep and period": "new reps and quarters",
}


@dataclass(frozen=True)
class Counts:
    """What a finished study counted: rows of (pilot, score, question) that were ever called reliable.

    Attributes
    ----------
    rows, low, plain_low, one_sided, wide : int
        All of them; those that held the truth less than 93% of the time beyond simulation error, as would the plain
        jackknife's; those that miss too much on one side, and those wider than 1.3 times an oracle's.
    false, false_most : float
        Share of runs in which one of two equally good forecasters was called better: on average, and at most.
    """

    rows: int
    low: int
    plain_low: int
    one_sided: int
    wide: int
    false: float
    false_most: float


# the committed study, reports/example/coverage_study.csv (a test holds the two together)
PROOF = Counts(rows=1381, low=10, plain_low=122, one_sided=21, wide=94, false=0.0265, false_most=0.049)


def counted(table: pd.DataFrame) -> Counts:
    """Count a study's rows.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`

    Returns
    -------
    Counts
    """
    share = table["coverage_plain"].clip(0, 1)
    error = (share * (1 - share) / (table["runs"] * table["possible"]).clip(lower=1)) ** 0.5
    plain = (share + 1.96 * error < GOALS["coverage"]) & table["coverage"].notna()
    low, side, wide = (int(table["misses"].str.contains(w).sum()) for w in ("coverage", "one side", "width"))
    nulls = table["false_better"].dropna()
    return Counts(
        int(table["coverage"].notna().sum()), low, int(plain.sum()), side, wide, nulls.mean(), nulls.max()
    )


def proof() -> str:
    """Why the interval is believed, in the words of a report: what the committed study counted."""
    p = PROOF
    return (
        f"In simulated pilots, and pilots drawn from real tables, {p.rows - p.low:,} of {p.rows:,} kinds of such "
        f"intervals held the truth at least 93% of the time; of plain jackknife intervals {p.plain_low:,} did not. The "
        f"{p.low} that fail are mostly those in which a few far-off reps decide, who may be missing from a sample. "
        f"Where two forecasters were equally good, one was called better in {p.false:.1%} of the runs, "
        f"{p.false_most:.1%} at most. Every kind is in reports/example/coverage_study.csv of the project."
    )


def card(table: pd.DataFrame, waiting: int) -> Html:
    """The study's answer in a few sentences.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`
    waiting : int
        Cells that have not been run.

    Returns
    -------
    Html
    """
    if table.empty:
        return paragraphs(["No cell has been run yet."])
    c = counted(table)
    lines = [
        f"{table['cell'].nunique()} kinds of pilot, {int(table['runs'].max()):,} runs each, give {len(table):,} rows: one for "
        f"each score and each answer to what may be different next time. {len(table) - c.rows:,} of them were always flagged.",
        f"{c.rows - c.low:,} of {c.rows:,} intervals that were called reliable held the truth at least 93% of the time, "
        f"within simulation error; {c.low:,} did not. Of the plain jackknife intervals {c.plain_low:,} did not.",
        f"{c.one_sided:,} miss more than {GOALS['one_sided']:.1%} on one side; {c.wide:,} are more than {GOALS['width']:g} times as "
        "wide as an oracle's.",
        f"{(table['flagged'] > 0.5).sum():,} rows are flagged unreliable more often than not; over all rows "
        f"{table['flagged'].mean():.1%} of the runs are.",
    ]
    if math.isfinite(c.false):
        lines.append(
            f"Where both forecasters are equally good, one was called better in {c.false:.1%} of the runs on average "
            f"and in {c.false_most:.1%} at most."
        )
    if waiting:
        lines.append(f"{waiting} cells have not been run yet; run the notebook again to go on.")
    return paragraphs(lines)


def glossary() -> Html:
    """What the words of the study mean."""
    return terms(
        [
            ("held the truth", "the interval contained the difference that the simulation was built with"),
            ("reliable", "not flagged by fe.compare; flagged runs are left out and counted"),
            (
                "oracle",
                "an interval by somebody who knows the true spread of the estimate and the ideal quantile of the same "
                "statistic in that cell",
            ),
            (
                "plain jackknife interval",
                "delete-one-cluster jackknife, Student's t with Bell-McCaffrey degrees of freedom: the best standard "
                "method",
            ),
            ("low", "rows whose coverage is below 93%, beyond simulation error"),
            (
                "false",
                "the largest share of runs in which one of two equally good forecasters was called better",
            ),
            ("equally good", "both forecasters are drawn from the same law, each with errors of its own"),
        ],
        "gloss",
    )


def families(table: pd.DataFrame) -> Html:
    """By family and question: the range of coverage, and how many rows miss which goal.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    Html
    """
    rows = []
    for (family, question), part in table.groupby(["family", "for"], sort=False):
        known = part[part["coverage"].notna()]
        if known.empty:
            continue
        false = known["false_better"].dropna()
        rows.append(
            [
                FAMILIES[str(family)].replace("\n", " "),
                FOR[str(question)],
                f"{len(known)}",
                f"{known['coverage'].min():.2f}–{known['coverage'].max():.2f}",
                f"{known['coverage_plain'].min():.2f}–{known['coverage_plain'].max():.2f}",
                f"{known['misses'].str.contains('coverage').sum()}",
                f"{known['width'].median():.2f}",
                f"{known['flagged'].mean():.0%}",
                f"{false.max():.3f}" if len(false) else "–",
            ]
        )
    columns = [
        "Pilots differ in",
        "For",
        "Rows",
        "Coverage",
        "Plain",
        "Below 93%",
        "Width",
        "Flagged",
        "False better",
    ]
    return html_table(columns, rows, "rungs", columns[2:])


def failing(table: pd.DataFrame) -> Html:
    """Every row that misses the goals for coverage, one side or false verdicts, worst first.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    Html
    """
    missed = table[table["misses"].str.contains("coverage|one side|false")].sort_values("coverage")
    if missed.empty:
        return bullets(["No row misses these goals."], "note")
    rows = [
        [
            r["cell"],
            METRICS[r["metric"]].label,
            FOR[r["for"]],
            f"{r['coverage']:.3f}",
            f"{r['coverage_plain']:.3f}",
            f"{r['below']:.3f} / {r['above']:.3f}",
            f"{r['flagged']:.0%}",
        ]
        for r in missed.to_dict("records")
    ]
    columns = ["Pilot", "Score", "For", "Coverage", "Plain", "Below / above", "Flagged"]
    body = html_table(columns, rows, "rungs", columns[3:])
    return Html(f"<details><summary>{len(rows)} rows that miss</summary>{body.html}</details>", body.text)
