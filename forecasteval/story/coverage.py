"""What the coverage study says in words and tables."""

from __future__ import annotations

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
    n = int(table["coverage"].notna().sum())
    low = int(table["misses"].str.contains("coverage").sum())
    side = int(table["misses"].str.contains("one side").sum())
    wide = int(table["misses"].str.contains("width").sum())
    nulls = table["false_better"].dropna()
    plain = int((table["coverage_plain"] + 1.96 * table["mc_error"].fillna(0) < GOALS["coverage"]).sum())
    lines = [
        f"{table['cell'].nunique()} kinds of pilot, {int(table['runs'].max()):,} runs each, give {len(table):,} rows: one for "
        f"each score and each answer to what may be different next time. {len(table) - n:,} of them were always flagged.",
        f"{n - low:,} of {n:,} intervals that were called reliable held the truth at least 93% of the time, within "
        f"simulation error; {low:,} did not. Of the plain jackknife intervals {plain:,} did not.",
        f"{side:,} miss more than {GOALS['one_sided']:.1%} on one side; {wide:,} are more than {GOALS['width']:g} times as "
        "wide as an oracle's.",
        f"{(table['flagged'] > 0.5).sum():,} rows are flagged unreliable more often than not; over all rows "
        f"{table['flagged'].mean():.1%} of the runs are.",
    ]
    if len(nulls):
        lines.append(
            f"Where both forecasters are equally good, one was called better in {nulls.mean():.1%} of the runs on average "
            f"and in {nulls.max():.1%} at most."
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
