"""What the committed coverage study counted, for the sentences that cite it.

``proof.json`` is written from reports/example/coverage_study.csv by ``python -m forecasteval.studies.coverage_study``,
so that a package that is installed without that folder knows it too; a test holds the two together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_suffix(".json")


@dataclass(frozen=True)
class Counts:
    """Rows of (pilot, score, question) of a finished study that were ever called reliable, and how many miss a goal.

    `low` and `plain_low` held the truth less than 93% of the time beyond simulation error, with our intervals and with
    the plain jackknife's; `one_sided` miss too much on one side; `wide` are more than 1.3 times an oracle's. `false` is
    the share of runs in which one of two equally good forecasters was called better, on average, `false_most` at most.
    """

    rows: int
    low: int
    plain_low: int
    one_sided: int
    wide: int
    false: float
    false_most: float


@cache
def committed() -> Counts:
    """The committed study's counts."""
    return Counts(**json.loads(_FILE.read_text("utf-8")))


def proof() -> str:
    """Why the interval is believed, in the words of a report: what the committed study counted."""
    p = committed()
    return (
        f"In simulated pilots, and pilots drawn from real tables, {p.rows - p.low:,} of {p.rows:,} kinds of such "
        f"intervals held the truth at least 93% of the time; of plain jackknife intervals {p.plain_low:,} did not. The "
        f"{p.low} that fail are mostly those in which a few far-off reps decide, who may be missing from a sample. "
        f"Where two forecasters were equally good, one was called better in {p.false:.1%} of the runs, "
        f"{p.false_most:.1%} at most. Every kind is in reports/example/coverage_study.csv of the project."
    )
