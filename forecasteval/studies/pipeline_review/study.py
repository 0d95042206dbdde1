"""The weekly list of what fell off its own past, for a person to look at; it never acts.

**What is looked at.** Leads or deals that come in by market and what reps and accounts are busy with, week by week
(``activity.csv``, or what the record of deals shows); open deals in which nothing was entered for long beside their own pace;
open deals of which the close date was pushed again.

**Its own past.** Counts of four weeks against the median of the unit's six blocks before, in robust standard
deviations on the root scale, on which a count has the same chance variation whatever its size; with two years of history
against the unit's own season (:func:`forecasteval.inference.unusual.falls`). A deal's silence against the median of its own
gaps; its pushes against those of all deals.

**False alarms.** What is as unusual as a row came up so often per review in the past of the same organisation
(:func:`forecasteval.inference.unusual.per_review`): every row says how often, and those beyond `false_alarms`, shared evenly
between the kinds and at most one unit in ten, are not listed. ``tests/benchmarks/false_alarms_review.py`` counts them in simulated normal life.

**The loop.** The list goes to ``reviews/<day>.csv`` of the data folder with an empty column `worth_it`, and what was
listed to a ledger that is only added to. The next run reads both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from forecasteval.compare.results import plain
from forecasteval.compare.wording import count, money
from forecasteval.errors import CallError, nearest
from forecasteval.matching.matched import pseudonyms
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.report.published import csv_text
from forecasteval.report.section import Card, said
from forecasteval.studies.parameters import Day, Level, Parameters, between
from forecasteval.studies.pipeline_review import _sections as sections
from forecasteval.studies.pipeline_review._signals import KINDS, Signal, key_of, signals
from forecasteval.studies.pipeline_review._track import Share, Track, fates, read_answers, write_list
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org, about, names_of, newest_record

_LEDGER = Path("ledger") / "pipeline_review.jsonl"
_COLUMNS = ["review", "key", "kind", "what", "who", "why", "amount", "false_alarms", "worth_it", "note"]


class Review(Parameters):
    """What in the pipeline is worth a look this week?

    Parameters
    ----------
    false_alarms : float
        Rows that may come up in a review of a week in which nothing is wrong.
    most_rows : int
    by : str
        The column of deals that names markets; empty for the first of the organisation's segments.
    show_names : bool
        Names of reps instead of pseudonyms.
    level : float
        Of the interval of the share that was worth it.
    through : str
        The day whose evening is reviewed; empty for the newest record.
    ledger : str
        The file that is only added to; empty for `ledger/pipeline_review.jsonl` in the data folder.
    """

    false_alarms: Annotated[float, between(0, 100, "4 is about a sixth of a full page.")] = 4.0
    most_rows: Annotated[int, between(1, 100, "25 fill a page.", ends=True)] = 25
    by: str = ""
    show_names: bool = False
    level: Level = 0.95
    through: Day = ""
    ledger: str = ""

    def run(self, org: Org) -> ReviewAnswer:
        """Look at the pipeline; nothing is written before :meth:`ReviewAnswer.keep`.

        Raises
        ------
        CallError
            For data in which nothing can be reviewed, or that know no such market.
        InputError
            For a list that came back with cells that cannot be read.
        """
        day = pd.Timestamp(self.through) if self.through else newest_record(org)
        if day is None or (org.activity is None and org.history is None):
            raise CallError(
                "Nothing can be reviewed: it takes deals with a history, or activity.csv with kind, unit, on and count."
            )
        book = ledger.read(Path(self.ledger) if self.ledger else (org.folder or Path()) / _LEDGER)
        earlier = [e for e in book.of("review") if e["day"] < f"{day:%Y-%m-%d}"]
        track = Track(org, day, self.level, earlier, read_answers(org.folder))
        return ReviewAnswer(self, org, day, signals(org, day, self._market(org)), track, book)

    def _market(self, org: Org) -> str | None:
        columns = [] if org.deals is None else [str(column) for column in org.deals.columns]
        if self.by and self.by not in columns:
            raise CallError(f"by: the deals have no column {self.by!r}. {nearest(self.by, columns)}".strip())
        named = [self.by, *org.settings.segments] if self.by else list(org.settings.segments)
        return next((column for column in named if column in columns), None)


@dataclass(frozen=True, eq=False)
class ReviewAnswer(Answer):
    """The list, and what became of earlier ones."""

    say = Words(__file__)
    question: Review
    org: Org
    day: pd.Timestamp
    signals: list[Signal]
    track: Track
    book: Ledger

    verdict = cached_property(Card)
    listed = said("listed")
    course = cached_property(sections.Course)
    checked = said("checked")
    looked_at = said("looked_at")
    method = said("method")
    caveats = said("caveats")

    @cached_property
    def judged(self) -> list[Signal]:
        """The kinds of which the past is long enough."""
        return [s for s in self.signals if s.judged]

    @property
    def each(self) -> float:
        """False alarms that one kind may raise."""
        return self.question.false_alarms / max(len(self.judged), 1)

    def by_chance(self, signal: Signal) -> float:
        """The same of a kind of few units: at most one in ten, or what is usual would fill its share."""
        return min(self.each, len(signal.units) / 10) if signal.judged else 0.0

    @property
    def expected(self) -> float:
        """Rows that come up in a review of a week in which nothing is wrong."""
        return sum(map(self.by_chance, self.judged))

    @cached_property
    def beyond(self) -> pd.DataFrame:
        """Every row that may be listed, the rarest first, of equal ones the largest amount; more than fill a page, too."""
        rows = []
        for signal in self.judged:
            shown = self._names(signal)
            for unit, row in signal.units[signal.units["rate"] <= self.by_chance(signal)].iterrows():
                why = self.text(
                    f"why_{signal.kind if signal.kind in ('quiet', 'pushed') else 'fell'}", row, signal
                )
                rows.append(
                    {
                        "review": f"{self.day:%Y-%m-%d}", "key": key_of(signal.kind, unit), "kind": signal.kind,
                        "what": KINDS[signal.kind], "who": shown.get(unit, str(unit)), "why": why,
                        "amount": row.get("amount"), "false_alarms": round(float(row["rate"]), 2), "worth_it": "", "note": "",
                        "unit": unit,
                    }
                )  # fmt: skip
        found = pd.DataFrame(rows, columns=[*_COLUMNS, "unit"]).astype({"amount": float})
        return found.sort_values(
            ["false_alarms", "amount"], ascending=[True, False], kind="stable", ignore_index=True
        )

    @property
    def rows(self) -> pd.DataFrame:
        """What goes to a person: at most a page."""
        return self.beyond.head(self.question.most_rows)

    def _names(self, signal: Signal) -> dict[Any, str]:
        if signal.kind != "rep":
            return {}
        if self.question.show_names:
            return names_of(self.org)
        return pseudonyms(sorted(signal.path["seen"].columns)) if signal.path is not None else {}

    def money(self, amount: float) -> str:
        """An amount as people say it."""
        return money(amount, currency=self.org.settings.currency)

    @cached_property
    def fates(self) -> dict[str, Share]:
        """What became in eight weeks of deals that past reviews would have listed, and of the other open ones."""
        return fates(self.judged, self.each, self.question.level)

    @cached_property
    def missed(self) -> pd.DataFrame:
        """What went wrong since the last list without having been on it."""
        return self.track.missed(self.judged)

    def keep(self) -> Path | None:
        """Add the list to the ledger and write it for a person; nothing is written twice, nothing of a person's over.

        Raises
        ------
        CallError
            If another run has written meanwhile.
        """
        day = f"{self.day:%Y-%m-%d}"
        if day not in [e["day"] for e in self.book.of("review")]:
            listed = self.rows[["key", "kind"]].to_dict("records")
            ledger.append(self.book, [{"kind": "review", "day": day, "listed": listed}])
        return write_list(self.org.folder, self.day, csv_text(self.rows[_COLUMNS]))

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        return plain({
            "schema_version": 1,
            "question": "What in the pipeline is worth a look this week?",
            "headline": self.verdict.headline,
            "about": {**about(self.org), **self.of_itself("inputs", "change", "judges", "people")},
            "parameters": self.question.parameters,
            "day": f"{self.day:%Y-%m-%d}",
            "listed": len(self.rows),
            "beyond_the_page": len(self.beyond) - len(self.rows),
            "expected_false_alarms": self.expected if self.judged else None,
            "kinds": [
                {
                    "kind": s.kind, "judged": len(s.units) if s.judged else 0, "too_little_history": s.short,
                    "past_reviews": s.reviews, "season": s.seasonal, "together": s.together,
                    "listed": int((self.rows["kind"] == s.kind).sum()),
                }
                for s in self.signals
            ],
            "precision": [{"kind": name, **vars(share)} for name, share in self.track.precision],
            "missed": len(self.missed) if self.track.last is not None else None,
            "lost_in_eight_weeks": {name: vars(share) for name, share in self.fates.items()},
        })  # fmt: skip

    def tables(self) -> dict[str, pd.DataFrame]:
        """The list for a person, and what was missed."""
        return {"review": self.rows[_COLUMNS], "missed": self.missed.assign(unit=self._hidden(self.missed))}

    def _hidden(self, missed: pd.DataFrame) -> pd.Series:
        """Units of what was missed, reps under their pseudonyms."""
        reps = next((self._names(s) for s in self.signals if s.kind == "rep"), {})
        return missed["unit"].where(
            missed["what"] != KINDS["rep"], missed["unit"].map(lambda unit: reps.get(unit, unit))
        )

    @property
    def unjudged(self) -> list[str]:
        """What has too little history, in words."""
        units = sum(s.short for s in self.signals if s.path is not None)
        deals = max((s.short for s in self.signals if s.path is None), default=0)
        return [
            count(n, noun) for n, noun in ((units, "markets, reps or accounts"), (deals, "open deals")) if n
        ]
