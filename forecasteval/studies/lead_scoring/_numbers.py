"""What is asked of a table of leads, and every number that its page rests on; each is worked out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pydantic import Field, field_validator

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.encompassing import Encompassing, encompassing
from forecasteval.compare.repeated import against
from forecasteval.compare.reviews import Reviewed, read_reviews, reviewed
from forecasteval.compare.segments import Family, family
from forecasteval.compare.verdicts import CANNOT
from forecasteval.matching.earlier import in_time, learned
from forecasteval.matching.matched import Matched
from forecasteval.report.answer import Answer
from forecasteval.studies.lead_scoring._categories import RULES, Category, categories_of
from forecasteval.studies.parameters import GeneraliseTo, Level, Margin, Names, Parameters, Seed
from forecasteval.tables.organisation import Org

_EVERYWHERE = "all leads"


class Terms(Parameters):
    """Which score is held against the rules, by which columns."""

    candidate: str = "model"
    category: str = "category"
    segments: Names = Field(default_factory=lambda: ["market"])
    reviews: str = "reviews.csv"
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    margin: Margin = 0.0
    seed: Seed = 0

    @field_validator("candidate")
    @classmethod
    def _not_the_rules(cls, candidate: str) -> str:
        if candidate == RULES:
            raise ValueError(f"{candidate!r} are what it has to beat; name a score, or model.")
        return candidate

    @property
    def options(self) -> dict[str, Any]:
        """Those of every comparison."""
        asked = tuple(self.generalise_to) or None
        return {"level": self.level, "margin": self.margin or None, "generalise_to": asked, "seed": self.seed}


@dataclass(frozen=True, eq=False)
class Numbers(Answer):
    """What the leads say."""

    question: Terms
    org: Org

    @cached_property
    def decided(self) -> Matched:
        """All leads whose outcome is known, with scores and points as they came."""
        matched = Matched.of(self.org)
        if self.question.category:
            return matched
        return replace(matched, table=matched.table.assign(**{_EVERYWHERE: "all"}))

    @property
    def by(self) -> str:
        """The column of the categories."""
        return self.question.category or _EVERYWHERE

    @property
    def names(self) -> list[str]:
        """All scores, the asked one first."""
        own = ["model"] if self.decided.features else []
        return list(dict.fromkeys([self.question.candidate, *self.decided.names, *own, RULES]))

    @cached_property
    def leads(self) -> Matched:
        """The leads about which there was enough past to learn from, everything that ranks turned into a chance."""
        ranks = [n for n in self.names if n not in self.decided or self.decided.kinds.get(n) == "rank_score"]
        return learned(self.decided, ranks, by=self.by, seed=self.question.seed)

    @cached_property
    def comparison(self) -> Comparison:
        """The score against the rules on all leads."""
        metrics = ["brier", "log_score", "auc", "bias"]
        return compare(
            self.leads,
            self.question.candidate,
            RULES,
            metrics=metrics,
            epsilon=0.001,
            **self.question.options,
        )

    @property
    def stop(self) -> str:
        """Why nothing can be compared; empty where it can."""
        return (
            " ".join(r["text"] for r in self.comparison.primary["reasons"])
            if self.comparison.verdict == CANNOT
            else ""
        )

    @cached_property
    def families(self) -> dict[str, Family]:
        """By category and by each further column; all intervals together err at most as often as one."""
        columns = [] if self.stop else list(dict.fromkeys([self.by, *self.question.segments]))
        level = 1 - (1 - self.question.level) / max(len(columns), 1)
        options = {**self.question.options, "level": level}
        return {c: family(self.leads, c, self.question.candidate, RULES, **options) for c in columns}

    @cached_property
    def categories(self) -> list[Category]:
        """What follows in each category."""
        if self.stop:
            return []
        options = {"metrics": ["brier"], **self.question.options}
        candidate = self.question.candidate
        return categories_of(
            self.leads, self.decided, self.families[self.by], candidate, options, self.question.seed
        )

    @cached_property
    def both(self) -> Encompassing | None:
        """What score and rules add to each other."""
        options = {k: self.question.options[k] for k in ("generalise_to", "level", "seed")}
        return None if self.stop else encompassing(self.leads, self.question.candidate, RULES, **options)

    @cached_property
    def everyone(self) -> dict[str, Comparison]:
        """Every score against the rules."""
        return (
            {}
            if self.stop
            else against(self.leads, self.names, RULES, metrics=["brier", "auc"], **self.question.options)
        )

    @cached_property
    def reviews(self) -> Reviewed | None:
        """What people's reviews were worth; None without a log."""
        file = self.question.reviews
        path = None if self.org.folder is None or not file else self.org.folder / file
        if path is None or not (
            path.is_file() or file != type(self.question).model_fields["reviews"].default
        ):
            return None
        return reviewed(read_reviews(path), self.decided, level=self.question.level)

    @property
    def timed(self) -> bool:
        """Is it known when outcomes were known?"""
        return in_time(self.decided)

    @property
    def point_fields(self) -> list[str]:
        """The columns that the rules look at."""
        return list(self.decided.more.get("points_fields", {}).get(RULES, []))

    @property
    def profiled(self) -> list[str]:
        """The columns by which leads are judged."""
        return list(dict.fromkeys([*self.decided.features, *self.point_fields]))
