"""A claim held against evidence: everything that the page shows, computed when it is asked for."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison
from forecasteval.compare.segments import Family
from forecasteval.inference.estimate import against
from forecasteval.matching.matched import Matched
from forecasteval.matching.rollups import rollups
from forecasteval.scores.amounts import ACCURACIES
from forecasteval.studies.vendor_claim import _evidence as evidence
from forecasteval.studies.vendor_claim._decide import Decidable, decidable
from forecasteval.studies.vendor_claim._evidence import (
    ABSOLUTE,
    MEASURES,
    NOT_EVERYWHERE,
    SUPPORTED,
    UNDECIDED,
    Found,
    Measure,
)
from forecasteval.studies.vendor_claim._register import Registration
from forecasteval.studies.vendor_claim._terms import Terms
from forecasteval.studies.vendor_claim.claim import Claim, Score, score
from forecasteval.tables.organisation import Org

FREE = ("rep_forecast", "rep_recalibrated", "stage_rate", "base_rate")  # what costs nothing
_TWIN = "rep_recalibrated"
_USUAL = 0.01  # a difference in Brier score that matters, where no margin says
_MOST_APART = 0.2  # of the deals, on which vendors may be silent apart from each other


@dataclass(frozen=True, eq=False)
class Held:
    """What the evidence says of a claim, each part worked out when it is asked for.

    ``where`` is the kind of evidence: frozen (before the outcomes), backtest (frozen afterwards), history (scores in the
    data folder) or flat (a table).
    """

    trial: Terms
    org: Org
    claim: Claim
    claim_sha256: str
    matched: Matched
    everyone: Matched
    where: str
    late: tuple[str, ...]
    registration: Registration
    frozen: tuple[tuple[str, str], ...] = ()  # day and hash of each file of scores that was taken

    # --- what is computed ---------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, str]:
        """Candidate and baseline."""
        return self.trial.candidate, self.trial.baseline

    @cached_property
    def card(self) -> Score:
        """The card's score."""
        return score(self.claim)

    @cached_property
    def deals_sha256(self) -> str:
        """The hash of the deals that were compared: who said what, and how they ended."""
        columns = [c for c in ("deal_id", "as_of", "won", *self.names) if c in self.matched.table]
        return hashlib.sha256(self.matched.table[columns].to_csv(index=False).encode()).hexdigest()

    @property
    def absolute(self) -> bool:
        """Is the claim a number on its own?"""
        return self.claim.says == "accuracy"

    @cached_property
    def first(self) -> Found:
        """The claim by its definition on deals; of a claim about totals, by the share of deals called right."""
        name = self.trial.measure
        return self._found(
            MEASURES[name if name in MEASURES else "called_right"], registered=name in MEASURES
        )

    @cached_property
    def definitions(self) -> list[Found]:
        """The claim under every definition on deals, the registered one first."""
        ranks = self.matched.kinds.get(self.trial.candidate) == "rank_score" and not self.trial.map_ranks
        others = [
            m
            for m in MEASURES.values()
            if m.name != self.first.measure.name
            and not (ranks and m.name != "auc")
            and not (m.metric == "brier_by_amount" and "amount" not in self.matched)
        ]
        return [self.first, *(self._found(m, registered=False) for m in others)]

    def _found(self, measure: Measure, *, registered: bool) -> Found:
        absolute = self.absolute and measure.name in ABSOLUTE
        at_least = self.trial.at_least if registered or absolute else 0.0
        options = {**self.trial.options, "level": self.trial.level}
        comparison = evidence.on_deals(self.matched, *self.names, measure, options)
        return Found(measure, comparison, at_least, absolute, registered)

    @cached_property
    def totals(self) -> pd.DataFrame:
        """Company totals at the week of the trial; empty for another moment, or without a history of deals."""
        week = re.fullmatch(r"week (\d+)", self.trial.as_of)
        if week is None or self.org.history is None or self.where not in ("history",):
            return pd.DataFrame(
                columns=["period", "week", "forecaster", "amount", "actual", "closed_to_date"]
            )
        return rollups(self.org, weeks=[int(week[1])], models=("rep_recalibrated", self.trial.candidate)).at()

    @cached_property
    def by_name(self) -> pd.DataFrame:
        """The candidate's totals under every definition of accuracy."""
        at_least = self.trial.at_least if self.absolute else 0.0
        return evidence.accuracy_by_name(self.totals, self.trial.candidate, at_least, self.trial.level)

    @cached_property
    def for_nothing(self) -> pd.DataFrame:
        """Totals beside those that cost nothing."""
        return (
            evidence.for_nothing(self.totals, self.trial.candidate) if len(self.by_name) else pd.DataFrame()
        )

    @cached_property
    def floor(self) -> float:
        """What a perfect forecast with the candidate's own probabilities would miss."""
        return evidence.floor(self.matched, self.totals, self.trial.candidate)

    @cached_property
    def free(self) -> dict[str, Comparison]:
        """The candidate against each forecast that costs nothing, under the main definition on deals."""
        there = [n for n in FREE if n in self.everyone.table and n != self.trial.candidate]
        options = {**self.trial.options, "level": self.trial.level}
        measure = self.first.measure
        return {n: evidence.on_deals(self.everyone, self.trial.candidate, n, measure, options) for n in there}

    @cached_property
    def guard(self) -> Family | None:
        """The same in each of the parts that must not be worse; None where none is named or there is no margin."""
        by, measure = self.trial.guard, self.first.measure
        if (
            not by
            or not self.trial.margin
            or by not in self.matched.table
            or self.matched.table[by].isna().all()
        ):
            return None
        options = {**self.trial.options, "level": self.trial.level}
        return evidence.guarded(self.matched, by, *self.names, measure, options)

    @property
    def worse_in(self) -> list[str]:
        """The parts in which the candidate is worse by more than the margin."""
        if self.guard is None or self.absolute:
            return []
        return evidence.broken(self.guard, self.first.measure, self.trial.margin)

    @property
    def not_excluded(self) -> list[str]:
        """The parts in which it may be worse by more than the margin, though that is not shown."""
        if self.guard is None:
            return []
        sign, table = self.first.measure.sign, self.guard.table
        least = table["low"] if sign > 0 else -table["high"]
        return [
            str(s) for s in table.loc[~(least >= -self.trial.margin), "segment"] if s not in self.worse_in
        ]

    @cached_property
    def main(self) -> dict[str, Any]:
        """What the claim is judged by: value, low, high, reliable, reasons, and the verdict before the guardrail."""
        if self.trial.measure in ACCURACIES:
            line = (
                self.by_name[self.by_name["definition"] == self.trial.measure]
                if len(self.by_name)
                else self.by_name
            )
            if line.empty:
                why = [
                    "There are no totals of this forecaster: they need deals with a history, amounts, and a week."
                ]
                return {
                    "value": None,
                    "low": None,
                    "high": None,
                    "reliable": False,
                    "reasons": why,
                    "verdict": UNDECIDED,
                }
            row = line.iloc[0]
            why = (
                []
                if row["reliable"]
                else [f"Too few periods: {row['periods']}, and a test of totals needs 8."]
            )
            return {name: row[name] for name in ("value", "low", "high", "reliable", "verdict")} | {
                "reasons": why
            }
        found = self.first
        value, low, high = found.claimed
        head = {"value": value, "low": low, "high": high, "reliable": bool(found.row["reliable"])}
        why = [r["text"] for r in against(found.row["reasons"])]
        return head | {"reasons": why, "verdict": found.verdict}

    @property
    def outcome(self) -> str:
        """The verdict on the claim."""
        verdict = str(self.main["verdict"])
        return NOT_EVERYWHERE if verdict == SUPPORTED and self.worse_in else verdict

    @cached_property
    def decide(self) -> Decidable | None:
        """What would decide what is left open: of claims about the Brier score."""
        value, name = self.main["value"], self.first.measure.name
        if (
            self.outcome != UNDECIDED
            or name not in ("brier", "brier_skill")
            or self.absolute
            or not self.main["reliable"]
        ):
            return None
        apart = abs(value - self.trial.at_least)
        if name == "brier_skill":  # a share of the other's Brier score
            apart *= self._found(MEASURES["brier"], registered=False).row["baseline_value"]
        options: dict[str, Any] = {"level": self.trial.level, "seed": self.trial.seed}
        return decidable(
            self.org, self.matched, self.names, apart, self.first.comparison.generalise_to, **options
        )

    @cached_property
    def told(self) -> float:
        """The difference in Brier score that evidence of this size finds in four of five cases; NaN where that is unknown."""
        if self.absolute or self.first.measure.name not in ("brier", "brier_skill") or self.matched.stop:
            return math.nan
        options: dict[str, Any] = {"level": self.trial.level, "seed": self.trial.seed}
        question, apart = self.first.comparison.generalise_to, self.trial.margin or _USUAL
        found = decidable(self.org, self.matched, self.names, apart, question, **options)
        return math.nan if found is None else found.told

    @cached_property
    def vendors(self) -> list[Found]:
        """All vendors against the baseline on the deals on which all of them speak, with intervals that hold together."""
        every = [self.trial.candidate, *self.trial.also]
        if len(every) == 1:
            return []
        rows = self.matched.rows(self.matched.table[every].notna().all(axis=1).to_numpy(), flow=[])
        level = 1 - (1 - self.trial.level) / len(every)
        measure = self.first.measure
        options = {**self.trial.options, "level": level}
        return [
            Found(
                measure,
                evidence.on_deals(rows, n, self.trial.baseline, measure, options),
                self.trial.at_least,
                False,
            )
            for n in every
        ]

    @property
    def apart(self) -> float:
        """The share of the deals on which not all vendors speak."""
        every = [self.trial.candidate, *self.trial.also]
        return float(self.matched.table[every].isna().any(axis=1).mean()) if len(self.matched.table) else 0.0

    @property
    def comparable(self) -> bool:
        """May several vendors be held against each other on the deals that they share?"""
        return self.apart <= _MOST_APART

    @property
    def twin(self) -> Comparison | None:
        """Against the reps corrected by their own past, where that is not the baseline itself."""
        return None if self.trial.baseline == _TWIN else self.free.get(_TWIN)
