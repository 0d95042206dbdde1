"""Does a score of leads beat the rules that people wrote down, where, and with how many leads to learn from?"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import CANNOT
from forecasteval.errors import CallError, nearest
from forecasteval.matching.matched import Matched
from forecasteval.report.blocks import Words
from forecasteval.report.section import said
from forecasteval.studies.lead_scoring import _sections as sections
from forecasteval.studies.lead_scoring._categories import RULES
from forecasteval.studies.lead_scoring._numbers import Numbers, Terms
from forecasteval.tables.organisation import Org, about


class Leads(Terms):
    """Which score is held against which rules, by which columns.

    Examples
    --------
    >>> Leads(candidate="rules")
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 1 parameter cannot be used:
    - candidate: 'rules' are what it has to beat; name a score, or model.
    """

    def check(self, org: Org) -> None:
        """Refuse what only the data can judge.

        Raises
        ------
        CallError
            For a folder without leads, and a score or a column that is not there.
        """
        if org.matched is None:
            raise CallError(
                "Lead scoring needs a table of leads: a folder with mapping.yaml and the table that it names."
            )
        matched = Matched.of(org)
        there = [*matched.names, *(["model"] if matched.features else [])]
        for name in (RULES, self.candidate):
            if name not in there:
                raise CallError(
                    f"There is no {name} among the forecasts; there are {', '.join(there)}. {nearest(name, there)}"
                    "forecasts: {rules: {points: rules.yaml}} in mapping.yaml names the points table."
                )
        for column in filter(None, [self.category, *self.segments]):
            if column not in matched:
                have = ", ".join(matched.segments)
                raise CallError(f"The leads have no column {column!r} to be divided by; they have {have}.")

    def run(self, org: Org) -> Answer:
        """Hold the score against the rules, on the leads of a folder as :func:`forecasteval.read` gives them.

        Raises
        ------
        CallError
            As for :meth:`check`, and for a log of reviews that cannot be read.
        """
        self.check(org)
        return Answer(self, org)


class Answer(Numbers):
    """What the leads say, with the sections of the page; everything is computed when it is asked for, and once."""

    say = Words(__file__)
    verdict = cached_property(sections.Verdict)
    terms = said("terms")
    where = cached_property(sections.Where)
    sizes = cached_property(sections.Sizes)
    markets = cached_property(sections.Markets)
    points = cached_property(sections.Points)
    added = cached_property(sections.Added)
    others = cached_property(sections.Others)
    people = cached_property(sections.People)
    flow = cached_property(sections.Flow)
    method = said("method")
    caveats = cached_property(sections.Caveats)

    def explained(self) -> pd.DataFrame:
        """Of each lead the points, which rules gave them, and the chances; not among what leaves with the report."""
        columns = ["deal_id", "as_of", *[n for n in self.names if n in self.leads], f"{RULES}_because"]
        points = self.decided.table.set_index("deal_id")[RULES]
        table = self.leads.table[[c for c in columns if c in self.leads]].rename(
            columns={RULES: "rules_chance"}
        )
        return table.assign(points=table["deal_id"].map(points)).rename(columns={"deal_id": "lead_id"})

    def results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        base = self.comparison.to_dict()
        found = {
            "schema_version": 1,
            "status": CANNOT if self.stop else "done",
            "headline": self.verdict.headline,
            "about": about(self.org, None) | sections.about_leads(self),
            "question": f"Where does {self.question.candidate} beat the rules that people wrote down?",
            "primary": base["primary"],
            "counted": "leads",
            "estimand": base["estimand"],
            "parameters": self.question.parameters,
            "in_time": self.timed,
            "categories": [c.to_dict() for c in self.categories],
            "families": {name: f.to_dict() for name, f in self.families.items()},
            "rules": self.points.table.to_dict("records"),
            "encompassing": None if self.both is None else self.both.to_dict(),
            "others": {n: c.primary for n, c in self.everyone.items()},
            "reviews": None if self.reviews is None else self.reviews.to_dict(),
            "flow": base["flow"],
            "comparisons": base["comparisons"],
        }
        return plain(found)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        found = {
            "flow": self.comparison.flow,
            "rules": self.points.table,
            "learning_curves": self.sizes.table,
        }
        found |= {f"by_{name.replace(' ', '_')}": f.table for name, f in self.families.items()}
        return {name: t for name, t in found.items() if len(t)}
