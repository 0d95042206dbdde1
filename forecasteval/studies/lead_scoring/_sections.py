"""The sections of the page on lead scores: what each of them holds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.compare import Comparison
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.inference.estimate import against
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.matching.forecasters import BurnIn
from forecasteval.report.blocks import difference_cells, flow_table
from forecasteval.report.figures import Absent, Picture, axis_label, colour, stacked
from forecasteval.report.labels import label
from forecasteval.report.section import Card, Section
from forecasteval.studies.lead_scoring import _figures as figures
from forecasteval.studies.lead_scoring._categories import RULES, USE, Category
from forecasteval.studies.lead_scoring._numbers import Numbers

_BANDS = 5


def about_leads(a: Numbers) -> dict[str, Any]:
    """What the first screen says of the time, of inputs, of what would change it, and of people."""
    days = a.leads["as_of"].dropna()
    return {
        "inputs": "It compares what the score and the rules said of the same leads at the same moment with what became of them.",
        "periods": [f"{day:%B %Y}" for day in (days.min(), days.max())] if len(days) else [],
        "change": "More closed leads in a category, and more owners and campaigns, would make its answer surer.",
        "people": "Leads are profiled, by " + ", ".join(n.replace("_", " ") for n in a.profiled)
        + f"; owners only as groups, without names. Below {MIN_CLUSTERS['rep']} owners a category gets no verdict, below "
        f"{BurnIn().deals} decided leads no fit of its own.",
    }  # fmt: skip


class _Section(Section):
    answer: Numbers

    @property
    def score(self) -> str:
        """The score, as people call it."""
        return label(self.answer.question.candidate)


class Verdict(Card, _Section):
    """Where to use the score, and where to stay with the rules."""

    @property
    def use(self) -> list[str]:
        """Categories in which the score is better."""
        return [c.name for c in self.answer.categories if c.advice == USE]

    @property
    def stay(self) -> list[Category]:
        """The others."""
        return [c for c in self.answer.categories if c.advice != USE]

    @staticmethod
    def cells(c: Category) -> list[str]:
        """The difference in a category and its interval."""
        return difference_cells(c.comparison.primary)

    @property
    def state(self) -> str:
        """The colour of the card."""
        return "cannot" if self.answer.stop else "better" if self.use else "unsure"

    @property
    def doubts(self) -> list[str]:
        """The two strongest doubts: fields of another time, no order in time, and what the comparison says of itself."""
        a = self.answer
        found = [] if a.timed else [self.say("no_order").text]
        found += [] if a.decided.more.get("fields_known") else [self.say("fields_unknown").text]
        found += [r["text"] for r in against(a.comparison.primary["reasons"])]
        return found[:2]


class Where(_Section):
    """The score against the rules in each category, and what follows."""

    def figure(self) -> Picture | Absent:
        """One line per category."""
        a = self.answer
        if a.stop:
            return Absent(a.stop)
        found = a.families[a.by]
        shade = colour(a.question.candidate, a.names)
        rows = [
            (f"{figures.wrapped(r['segment'])}\n{r['deals']:,} leads", r, shade)
            for r in found.table.to_dict("records")
            if r["in_family"]
        ]
        if not rows:
            return Absent(self.say("too_small").text)
        level = next(iter(found.comparisons.values())).level
        note = f"Intervals hold together for all {len(rows)}: {wording.percent(round(level, 4))} each."
        return stacked("categories", self.say("where_title").text, rows, axis_label(a.comparison), note)


class Sizes(_Section):
    """From how many closed leads on a model of one's own passes the rules, in each category."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per category and size."""
        kept = ("difference", "low", "high", "verdict", "reliable")
        return pd.DataFrame(
            [
                {"category": c.name, "size": n, **{k: found.primary[k] for k in kept}}
                for c in self.answer.categories
                for n, found in c.curve.items()
            ]
        )

    def figure(self) -> Picture | Absent:
        """A learning curve for each category."""
        if self.table.empty:
            return Absent(self.say("no_curve").text)
        return figures.curves(self.answer.categories, self.say("sizes_title").text)


class Markets(_Section):
    """The same by the other columns that were named beforehand."""

    @property
    def rows(self) -> list[list[str]]:
        """One row per value of each column."""
        return [
            [str(r["segment"]), told(r, self.score), f"{r['deals']:,}", *difference_cells(r)]
            for name, f in self.answer.families.items()
            if name != self.answer.by
            for r in f.table.to_dict("records")
        ]


def told(row: Mapping[Any, Any], score: str) -> str:
    """A verdict with the names that people use, and why there is none where the interval is not reliable."""
    if not row.get("in_family", True):
        return "too few owners to say"
    better = {CANDIDATE: score, BASELINE: "the rules"}
    if row["verdict"] in better:
        return f"{better[row['verdict']]} better"
    return str(row["verdict"]) if row["reliable"] else f"{row['verdict']}: the interval is not reliable"


class Points(_Section):
    """What each rule and what their sum is worth."""

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per rule: how many leads it fits, and how many of these convert, beside all others."""
        table = self.answer.decided.table
        because = f"{RULES}_because"
        if because not in table:
            return pd.DataFrame(columns=["rule", "points", "leads", "converted", "others"])
        parts = table[because].str.split("; ")
        rows = []
        for text in dict.fromkeys(part for found in parts for part in found):
            fits = parts.map(lambda found, text=text: text in found).to_numpy(dtype=bool)
            points, _, words = text.partition(" ")
            if text == "no rule fits":
                points, words = "0", text
            won = table["won"]
            rows.append({"rule": words, "points": float(points), "leads": int(fits.sum()),
                         "converted": won[fits].mean(), "others": won[~fits].mean()})  # fmt: skip
        return pd.DataFrame(rows).sort_values(["points", "leads"], ascending=False, ignore_index=True)

    @property
    def bands(self) -> list[list[str]]:
        """The sum of the points in fifths of the leads, what they were taken for, and what became of them."""
        t = self.answer.leads.table
        points = t["deal_id"].map(self.answer.decided.table.set_index("deal_id")[RULES])
        band = pd.qcut(points, _BANDS, duplicates="drop")
        by = pd.DataFrame({"points": points, "said": t[RULES], "won": t["won"]}).groupby(band, observed=True)
        return [
            [_span(g["points"]), f"{len(g):,}", f"{g['said'].mean():.0%}", f"{g['won'].mean():.0%}"]
            for _, g in by
        ]

    @property
    def example(self) -> dict[str, Any] | None:
        """One lead explained: of the newest those with most points."""
        table = self.answer.decided.table
        if f"{RULES}_because" not in table:
            return None
        row = table.tail(50).sort_values(RULES, ascending=False, kind="stable").iloc[0]
        return {"points": f"{row[RULES]:g}", "because": row[f"{RULES}_because"]}


def _span(points: pd.Series) -> str:
    """From the fewest to the most points, with true minus signs."""
    ends = dict.fromkeys(f"{v:g}".replace("-", "\N{MINUS SIGN}") for v in (points.min(), points.max()))
    return " to ".join(ends)


class Added(_Section):
    """Does the score know anything that the rules do not?"""

    @property
    def rows(self) -> list[list[str]]:
        """What either adds to the other, with intervals for new owners."""
        e = self.answer.both
        if e is None or e.candidate is None or e.baseline is None:
            return []
        named = ((self.score, e.candidate), ("the rules", e.baseline))
        return [
            [who, "yes" if k.low > 0 else "not shown", wording.number(k.value, 2),
             f"{wording.number(k.low, 2)} to {wording.number(k.high, 2)}"]
            for who, k in named
        ]  # fmt: skip


class Others(_Section):
    """Every score against the rules on the same leads."""

    @property
    def rows(self) -> list[list[str]]:
        """One row per score."""
        return [
            [label(n), told(c.primary, label(n)), *difference_cells(c.primary), *_order(c)]
            for n, c in self.answer.everyone.items()
        ]


def _order(c: Comparison) -> list[str]:
    """How often either puts a converted lead first."""
    row = c.table.set_index("metric").loc["auc"].to_dict()
    return [wording.number(float(row[f"{who}_value"]), 2) for who in ("candidate", "baseline")]


class People(_Section):
    """What people did with suggestions, and who was right where they changed what the machine said."""

    @property
    def by_reason(self) -> list[list[str]]:
        """One row per reason."""
        found = self.answer.reviews
        if found is None or found.by_reason is None:
            return []
        better = {CANDIDATE: "the person was nearer", BASELINE: "the machine was nearer"}
        return [
            [
                str(r["segment"]),
                f"{r['deals']:,}",
                better.get(str(r["verdict"]), str(r["verdict"])),
                *difference_cells(r),
            ]
            for r in found.by_reason.table.to_dict("records")
        ]


class Flow(_Section):
    """From the export to the leads that are compared."""

    def words(self) -> Any:
        """The table of steps."""
        return flow_table(self.answer.comparison)


class Caveats(_Section):
    """Only the caveats that this data raises."""

    @property
    def reasons(self) -> list[str]:
        """What the comparison says of itself, and what the reader of the table was told."""
        texts = [r["text"] for r in self.answer.comparison.primary["reasons"]]
        return list(dict.fromkeys([*texts, *self.answer.decided.notes]))
