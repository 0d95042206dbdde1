"""What the coverage study says in words and tables."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.proof import Counts, proof
from forecasteval.report.blocks import Html, bullets, paragraphs, terms
from forecasteval.report.blocks import card as html_card
from forecasteval.report.blocks import table as html_table
from forecasteval.scores.probability import METRICS
from forecasteval.studies.coverage_study.design import FULL
from forecasteval.studies.coverage_study.figures import FAMILIES
from forecasteval.studies.coverage_study.study import GOALS

FOR = {
    "deal": "new deals",
    "rep": "new reps",
    "period": "new quarters",
    "account": "new accounts",
    "deal and period": "same reps, new quarters",
    "rep and period": "new reps and quarters",
}
FULL_RUNS = 2000  # of each cell in the full study
_CLUSTERS = r"^\d+ clusters of "  # how pilots drawn from a real table are named
# what is known of the real tables of the committed study that are hard
_REAL = {"salvirt": "One seller holds 40% of that table."}


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


def is_full(table: pd.DataFrame) -> bool:
    """Is this the whole declared design, with as many runs as the committed study? Else it is a quick look."""
    return {c.name for c in FULL} <= set(table["cell"]) and bool(table["runs"].min() >= FULL_RUNS)


def least_told(runs: int) -> float:
    """The share below which a row counts as a miss: lower than the goal, as few runs tell little.

    Parameters
    ----------
    runs : int

    Returns
    -------
    float

    Examples
    --------
    >>> round(least_told(200), 2), round(least_told(2000), 2)
    (0.89, 0.92)
    """
    share = np.linspace(0, GOALS["coverage"], 10_000)
    return float(share[share + 1.96 * np.sqrt(share * (1 - share) / runs) < GOALS["coverage"]].max())


def headline(table: pd.DataFrame) -> str:
    """The study's answer in one sentence; of a quick look, that it is none.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`

    Returns
    -------
    str
    """
    if table.empty:
        return "No kind of pilot has been run yet."
    if is_full(table):
        return f"{_held(counted(table))}."
    return (
        f"{wording.count(table['cell'].nunique(), 'kinds')} of pilot with {int(table['runs'].max()):,} runs each only "
        "show that the machinery works."
    )


def _held(c: Counts) -> str:
    return (
        f"{c.rows - c.low:,} of {c.rows:,} kinds of interval that were called reliable held the truth at least "
        f"{GOALS['coverage']:.0%} of the time, within simulation error; {c.low:,} did not"
    )


def card(table: pd.DataFrame, waiting: int) -> Html:
    """The card that answers the question; for a quick look it leads to the committed study.

    Parameters
    ----------
    table : DataFrame of :meth:`forecasteval.coverage.Study.table`
    waiting : int
        Cells that have not been run.

    Returns
    -------
    Html
    """
    left = (
        f"{wording.count(waiting, 'cells')} not run yet; run the notebook again to go on." if waiting else ""
    )
    if table.empty:
        return html_card(
            "unsure", "Nothing counted yet", headline(table), [left, f"The full study: {proof()}"]
        )
    c, runs = counted(table), int(table["runs"].max())
    plain = f"Of the plain jackknife intervals {c.plain_low:,} did not."
    if not is_full(table):
        here = (
            f"In this quick look: {_held(c)}. {plain} With {runs:,} runs only what held the truth less than "
            f"{least_told(runs):.1%} of the time counts as a miss."
        )
        evidence = f"The evidence is the full study. {proof()}"
        how = "To run the full study again: forecasteval report coverage_study -p setting full"
        return html_card(
            "unsure", "A quick look, not the evidence", headline(table), [evidence, here, how, left]
        )
    wide = (
        f"{c.one_sided:,} miss more than {GOALS['one_sided']:.1%} on one side. {c.wide:,} are more than "
        f"{GOALS['width']:g} times as wide as those of an oracle."
    )
    false = (
        f"Where both forecasters are equally good, one was called better in {c.false:.1%} of the runs on average and "
        f"in {c.false_most:.1%} at most."
    )
    size = (
        f"{table['cell'].nunique()} kinds of pilot, {runs:,} runs each, give {len(table):,} rows: one for each score and "
        f"each answer to what may be different next time. {len(table) - c.rows:,} of them were always flagged; over "
        f"all rows {table['flagged'].mean():.1%} of the runs were."
    )
    badge = f"Full study: {c.low:,} of {c.rows:,} miss" if c.low else "Full study: none misses"
    state = "unsure" if c.low else "same"
    return html_card(state, badge, headline(table), [f"{plain} {wide}", false, size, left])


def glossary() -> Html:
    """What the words of the study mean."""
    goal = f"{GOALS['coverage']:.0%}"
    return terms(
        [
            ("held the truth", "the interval contained the difference that the simulation was built with"),
            ("reliable", "not flagged by fe.compare"),
            (
                "Flagged",
                "share of the runs that fe.compare flagged as unreliable; they do not count towards coverage",
            ),
            ("Coverage", "how often an interval that was called reliable held the truth; 0.95 is promised"),
            (
                "Plain jackknife",
                "coverage of the best standard method: delete-one-cluster jackknife, Student's t with Bell-McCaffrey "
                "degrees of freedom",
            ),
            ("Miss", f"rows whose coverage lies below {goal} by more than simulation error"),
            ("Below / above", "how often the interval lay wholly below the truth, and wholly above it"),
            (
                "oracle",
                "somebody who knows the true spread of the estimate and the ideal quantile of the same statistic in "
                "that kind of pilot",
            ),
            (
                "Width",
                "of the typical interval, in widths of the oracle's. Below 1: the oracle has one width for every pilot "
                "of a kind, and rare pilots that are far off make it wide; ours differs from pilot to pilot, and the "
                "typical one may be narrower. It is no merit where the coverage is low",
            ),
            ("equally good", "both forecasters are drawn from the same law, each with errors of its own"),
        ],
        "gloss",
    )


def _share(value: float) -> str:
    """A share with two digits; with three where two would show the goal.

    Examples
    --------
    >>> _share(0.925), _share(0.931), _share(0.951)
    ('0.925', '0.931', '0.95')
    """
    text = f"{value:.2f}"
    return f"{value:.3f}" if text == f"{GOALS['coverage']:.2f}" else text


def _range(values: pd.Series) -> str:
    return f"{_share(values.min())}–{_share(values.max())}"


def families(table: pd.DataFrame) -> Html:
    """By family: the range of coverage and how many rows miss; folded away, the same by question.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    Html
    """
    known = table[table["coverage"].notna()]
    if known.empty:
        return paragraphs(["No interval has been called reliable yet."], "note")
    rows = [
        [
            _family(family),
            f"{_low(part).sum()} of {len(part):,}",
            _range(part["coverage"]),
            _range(part["coverage_plain"]),
        ]
        for family, part in known.groupby("family", sort=False)
    ]
    columns = ["Pilots differ in", "Miss", "Coverage", "Plain jackknife"]
    shown = html_table(columns, rows, "rungs", columns[1:])
    more = [
        [
            _family(family),
            FOR[str(question)],
            f"{_low(part).sum()} of {len(part):,}",
            _range(part["coverage"]),
            f"{part['width'].median():.2f}",
            f"{part['flagged'].mean():.0%}",
        ]
        for (family, question), part in known.groupby(["family", "for"], sort=False)
    ]
    finer = ["Pilots differ in", "For", "Miss", "Coverage", "Width", "Flagged"]
    folded = _folded(
        "The same by what may be different next time", html_table(finer, more, "rungs", finer[2:])
    )
    false = known.groupby("for", sort=False)["false_better"].max().dropna()
    said = "; ".join(f"{share:.1%} for {FOR[str(question)]}" for question, share in false.items())
    most = [f"Largest share of runs in which one of two equally good forecasters was called better: {said}."]
    note = paragraphs(most if said else [], "note")
    return Html(shown.html + folded.html + note.html, f"{shown.text}\n{folded.text}\n{note.text}")


def _family(name: object) -> str:
    return FAMILIES[str(name)].replace("\n", " ")


def _low(table: pd.DataFrame) -> pd.Series:
    return table["misses"].str.contains("coverage")


def _folded(summary: str, body: Html) -> Html:
    return Html(f"<details><summary>{escape(summary)}</summary>{body.html}</details>", body.text)


def why_low(table: pd.DataFrame) -> Html:
    """Which kinds of pilot miss the goal for coverage, and what is known of each: written from the table.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    Html
    """
    low = table[_low(table)].sort_values("coverage")
    one_sided = table["misses"].str.contains("one side")
    also = (
        f"{wording.count(int((one_sided & ~_low(table)).sum()), 'rows')} that hold the truth often enough miss more than "
        f"{GOALS['one_sided']:.1%} on one side."
        if (one_sided & ~_low(table)).any()
        else ""
    )
    if low.empty:
        none = f"No row misses the {GOALS['coverage']:.0%} by more than simulation error."
        few = (
            ""
            if is_full(table)
            else "So few runs and kinds of pilot would hardly show one; the full study does."
        )
        return paragraphs([" ".join(line for line in (none, few, also) if line)])
    asked = sorted({FOR[str(q)] for q in low["for"]})
    lead = (
        f"{wording.count(len(low), 'rows')} held the truth less than {GOALS['coverage']:.0%} of the time, beyond "
        f"simulation error, each for {' or '.join(asked)}."
    )
    kinds = low["cell"].str.replace(_CLUSTERS, "", regex=True)
    items = [
        f"{wording.count(len(part), 'rows')}: {_kind(str(kind), part)}"
        for kind, part in sorted(low.groupby(kinds, sort=False), key=lambda pair: -len(pair[1]))
    ]
    parts = [paragraphs([lead]), bullets(items, "misses"), *([paragraphs([also])] if also else [])]
    return Html("".join(p.html for p in parts), "\n".join(p.text for p in parts))


def _kind(kind: str, rows: pd.DataFrame) -> str:
    """A kind of pilot that misses: its name, its scores, how often it was flagged, and what makes it hard."""
    lowest, highest = f"{rows['coverage'].min():.1%}", f"{rows['coverage'].max():.1%}"
    held = lowest if lowest == highest else f"{lowest} to {highest}"
    labels = list(dict.fromkeys(METRICS[m].label for m in rows["metric"]))
    name = f"pilots drawn from {kind}, a real table" if (rows["family"] == "real tables").all() else kind
    said = f"{name} ({', '.join(labels)}) held it {held} of the time."
    if rows["flagged"].max() > 0.05:
        said += f" fe.compare called {rows['flagged'].mean():.0%} of these pilots unreliable; the rest are counted."
    return " ".join(part for part in (said, _hard(kind)) if part)


def _hard(kind: str) -> str:
    """What makes a kind of pilot hard, where the design says so."""
    cell = next((c for c in FULL if c.name == kind), None)
    if cell is None:
        return _REAL.get(kind, "")
    if cell.bias == "few":
        return (
            f"One rep in ten is far off there. A pilot of {cell.reps} reps has none of them in one case out of "
            f"{1 / 0.9**cell.reps:.0f}, and then looks harmless."
        )
    if cell.bias == "exponential":
        return f"A few reps are much more biased than the rest; {cell.reps} reps may show none of them."
    return ""


def failing(table: pd.DataFrame) -> Html:
    """Every row that misses the goals for coverage, one side or false verdicts, worst first, folded away.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    Html
    """
    missed = table[table["misses"].str.contains("coverage|one side|false")].sort_values("coverage")
    if missed.empty:
        return paragraphs([])
    rows = [
        [
            r["cell"],
            METRICS[r["metric"]].label,
            FOR[r["for"]],
            f"{r['coverage']:.3f}",
            f"{r['below']:.3f} / {r['above']:.3f}",
            f"{r['flagged']:.0%}",
        ]
        for r in missed.to_dict("records")
    ]
    columns = ["Pilot", "Score", "For", "Coverage", "Below / above", "Flagged"]
    body = html_table(columns, rows, "rungs", columns[3:])
    return _folded(f"{wording.count(len(rows), 'rows')} that miss a goal, one by one", body)
