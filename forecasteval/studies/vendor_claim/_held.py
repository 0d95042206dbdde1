"""A claim held against evidence: everything that the page shows, computed when it is asked for."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import pandas as pd
from pydantic import AfterValidator, Field, ValidationError, field_validator

from forecasteval.compare.compare import Comparison
from forecasteval.compare.hindsight import CODE as HINDSIGHT
from forecasteval.compare.segments import Family, family
from forecasteval.inference.estimate import Estimate, against
from forecasteval.matching.matched import Matched
from forecasteval.matching.rollups import rollups
from forecasteval.studies.parameters import (
    GeneraliseTo,
    Level,
    Margin,
    Names,
    Parameters,
    Population,
    Seed,
    TargetName,
    another_than,
    one_of,
)
from forecasteval.studies.vendor_claim import _decide, _pays, _totals
from forecasteval.studies.vendor_claim import _evidence as evidence
from forecasteval.studies.vendor_claim._agreement import Registration
from forecasteval.studies.vendor_claim._decide import Decidable
from forecasteval.studies.vendor_claim._enough import Enough, enough
from forecasteval.studies.vendor_claim._evidence import ABSOLUTE, MEASURES, Found, Measure
from forecasteval.studies.vendor_claim._halves import Effect, Halves
from forecasteval.studies.vendor_claim._rule import NOT_EVERYWHERE, SUPPORTED, UNDECIDED
from forecasteval.studies.vendor_claim._several import Several, several
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.blind_pack import closed_by, record_of
from forecasteval.studies.vendor_claim.claim import Claim, Costs, Score, score
from forecasteval.tables.organisation import Org

FREE = ("rep_forecast", "rep_recalibrated", "stage_rate", "base_rate")  # what costs nothing
_TWIN = "rep_recalibrated"
# reasons that more evidence of the same kind does away with
_FEW = ("few_", "too_few_")


def _costs(value: dict[str, float]) -> dict[str, float]:
    """Only what the rules about money need, and all of it."""
    known = list(Costs.model_fields)
    wrong = [f"{k!r} is not one of {', '.join(known)}." for k in value if k not in known]
    try:
        Costs.model_validate({k: v for k, v in value.items() if k in known})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            where, c = ".".join(map(str, one["loc"])), one.get("ctx", {})
            wrong.append(
                f"{where + ': ' if where else ''}{c.get('found')}; expected {c.get('expected')}. {c.get('advice', '')}".strip()
            )
    if wrong:
        raise ValueError("\n".join(wrong))
    return value


class Terms(Parameters):
    """The parameters of the notebook, but for its data."""

    claim: str = "data/claims/vendor_x.yaml"
    candidate: str = "vendor_x"
    baseline: str = "rep_forecast"
    measure: Annotated[str, one_of([*MEASURES, *TOTALS])] = "brier"
    at_least: float = 0.0
    as_of: str = "week 4"
    target: TargetName = "won in period"
    population: Population = "closing in period"
    margin: Margin = 0.01
    guard: str = "segment"
    also: Names = Field(default_factory=list)
    map_ranks: bool = False
    costs: Annotated[dict[str, float], AfterValidator(_costs)] = Field(default_factory=dict)
    blind_half: bool = False
    exposed: str = ""
    receipts: Names = Field(default_factory=list)
    generalise_to: GeneraliseTo = Field(default_factory=list)
    level: Level = 0.95
    seed: Seed = 0

    _two = field_validator("baseline")(another_than("candidate"))


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
    moment: str  # at which the scores speak
    late: tuple[str, ...]
    registration: Registration
    frozen: tuple[tuple[str, str], ...] = ()  # day and hash of each file of scores that was taken
    halves: Halves | None = None
    noticed: tuple[str, ...] = ()  # what looks like somebody's attempt to make a result
    joinable: tuple[str, ...] = ()  # what somebody who sees the CRM could have joined the packs by
    seals: tuple[tuple[str, str], ...] = ()  # of lines of the ledger: what they hold, and their receipts

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

    @cached_property
    def known_then(self) -> list[str]:
        """Deals whose outcome was known when the agreement was registered: it may have been chosen by them."""
        entry = self.registration.entry
        if not entry or self.org.history is None or self.matched.stop:
            return []
        first = f"{pd.to_datetime(self.matched['as_of']).min():%Y-%m-%d}"
        return closed_by(record_of(self.org), self.matched["deal_id"].unique(), first, entry["registered_at"])

    @property
    def confirmatory(self) -> bool:
        """Was it run as agreed, and agreed before the outcomes?"""
        return self.registration.before and not self.known_then

    @property
    def absolute(self) -> bool:
        """Is the claim a number on its own?"""
        return self.claim.says == "accuracy"

    @property
    def of_totals(self) -> bool:
        """Is the claim judged by totals?"""
        return self.trial.measure in TOTALS

    @property
    def options(self) -> dict[str, Any]:
        """What every comparison of this trial shares."""
        t = self.trial
        return {"generalise_to": tuple(t.generalise_to) or None, "seed": t.seed, "level": t.level}

    @cached_property
    def first(self) -> Found:
        """The claim by its definition on deals; of a claim about totals, by the share of deals called right."""
        name = "called_right" if self.of_totals else self.trial.measure
        return self._found(MEASURES[name], registered=not self.of_totals)

    @cached_property
    def definitions(self) -> list[Found]:
        """The claim under every definition on deals, the registered one first."""
        ranks = self.matched.kinds.get(self.trial.candidate) == "rank_score" and not self.trial.map_ranks
        others = [
            m
            for m in MEASURES.values()
            if m.name != self.first.measure.name
            and (m.ranks or not ranks)
            and not (m.metric.needs and "amount" not in self.matched)
        ]
        return [self.first, *(self._found(m, registered=False) for m in others)]

    def _found(self, measure: Measure, *, registered: bool) -> Found:
        # a lift of 2 and a share of 95% are numbers of different kinds
        same_kind = (measure.name == "lift") == (self.trial.measure == "lift")
        absolute = self.absolute and measure.name in ABSOLUTE and same_kind
        at_least = self.trial.at_least if registered or absolute else 0.0
        comparison = evidence.on_deals(self.matched, *self.names, measure, self.options)
        return Found(measure, comparison, at_least, absolute, registered)

    @cached_property
    def knew(self) -> list[str]:
        """Why the scores themselves, before anything is made of them, look as if the outcomes had been known."""
        if self.matched.stop:
            return []
        made = self.first.measure.made is not None
        raw = self._found(MEASURES["auc"], registered=False) if made else self.first
        return [r["text"] for r in raw.row["reasons"] if r["code"] == HINDSIGHT]

    @cached_property
    def totals(self) -> pd.DataFrame:
        """Company totals at the week of the trial; empty for another moment, or without a history of deals."""
        week = re.fullmatch(r"week (\d+)", self.trial.as_of)
        if week is None or self.org.history is None or self.where != "history":
            return pd.DataFrame(
                columns=["period", "week", "forecaster", "amount", "actual", "closed_to_date"]
            )
        return rollups(self.org, weeks=[int(week[1])], models=("rep_recalibrated", self.trial.candidate)).at()

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Totals of candidate and baseline by quarter beside what was booked; of a table, those of its deals."""
        return _totals.in_pairs(self.totals, self.matched, *self.names)

    @cached_property
    def by_name(self) -> pd.DataFrame:
        """The totals under every definition of accuracy."""
        at_least = {
            t: self.trial.at_least if self.absolute or t == self.trial.measure else 0.0 for t in TOTALS
        }
        return _totals.by_definition(self.pairs, at_least, self.trial.level, absolute=self.absolute)

    @cached_property
    def for_nothing(self) -> pd.DataFrame:
        """Totals beside those that cost nothing."""
        return _totals.for_nothing(self.totals, self.trial.candidate) if len(self.totals) else pd.DataFrame()

    @cached_property
    def floor(self) -> float:
        """What a perfect forecast with the candidate's own probabilities would miss."""
        return _totals.floor(self.matched, self.totals, self.trial.candidate)

    @cached_property
    def free(self) -> dict[str, Found]:
        """The candidate against each forecast that costs nothing, under the main definition on deals."""
        there = [n for n in FREE if n in self.everyone.table and n != self.trial.candidate]
        who, measure = self.trial.candidate, self.first.measure
        found = {n: evidence.on_deals(self.everyone, who, n, measure, self.options) for n in there}
        return {n: Found(measure, c, 0.0, absolute=False) for n, c in found.items()}

    @cached_property
    def guard(self) -> Family | None:
        """The same in each of the parts that must not be worse; None where none is named or there is no margin."""
        by = self.trial.guard
        there = by and self.trial.margin and by in self.matched.table
        if not there or self.matched.table[by].isna().all():
            return None
        rows = self.guarded_by.of(self.matched, self.names)
        return family(rows, by, *self.names, metrics=[self.guarded_by.metric], **self.options)

    @property
    def guarded_by(self) -> Measure:
        """What the parts are compared by: of a share of the Brier score, the Brier score."""
        measure = self.first.measure
        return MEASURES["brier"] if measure.metric.is_skill else measure

    def _worse(self, end: int) -> pd.Series:
        """By how much the candidate may be worse in each part that has an interval: at least (0), at most (1)."""
        assert self.guard is not None
        table = self.guard.table.set_index("segment")
        ends = table[["low", "high"]] if self.guarded_by.sign < 0 else -table[["high", "low"]]
        return ends.iloc[:, end]

    @property
    def worse_in(self) -> list[str]:
        """The parts in which the candidate is worse by more than the margin: the whole simultaneous interval says so."""
        if self.guard is None or self.absolute:
            return []
        sure = (self._worse(0) > self.trial.margin) & self.guard.table["reliable"].to_numpy(bool)
        return [str(s) for s in sure.index[sure]]

    @property
    def not_excluded(self) -> list[str]:
        """The parts in which it may be worse by more than the margin, though that is not shown."""
        if self.guard is None:
            return []
        open_ = ~(self._worse(1) <= self.trial.margin)
        return [str(s) for s in open_.index[open_] if s not in self.worse_in]

    @cached_property
    def main(self) -> dict[str, Any]:
        """What the claim is judged by: value, low, high, reliable, reasons, and the verdict before the guardrail."""
        found = self._of_totals() if self.of_totals else self._of_deals()
        others = [text for text in found["reasons"] if text not in self.knew]
        knew = {"reliable": False, "verdict": UNDECIDED} if self.knew else {}
        return found | {"reasons": [*self.knew, *others]} | knew

    def _of_totals(self) -> dict[str, Any]:
        line = (
            self.by_name[self.by_name["definition"] == self.trial.measure]
            if len(self.by_name)
            else self.by_name
        )
        if line.empty:
            lacks = "There are no totals of this forecaster: they need amounts, periods, and probabilities or calls."
            nothing = dict.fromkeys(("value", "low", "high"))
            return {**nothing, "reliable": False, "reasons": [lacks], "verdict": UNDECIDED}
        row = line.iloc[0]
        ends = ("value", "low", "high") if self.absolute else ("better_by", "better_low", "better_high")
        why = [] if row["reliable"] else [f"Too few periods: {row['periods']}, and a test of totals needs 8."]
        head = {name: row[of] for name, of in zip(("value", "low", "high"), ends, strict=True)}
        return {**head, "reliable": bool(row["reliable"]), "reasons": why, "verdict": row["verdict"]}

    def _of_deals(self) -> dict[str, Any]:
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
        """What would decide what is left open; None where it is decided, or where more of the same would not help."""
        if self.outcome != UNDECIDED or self.knew or self.matched.stop or self.main["value"] is None:
            return None
        if not self.of_totals:
            codes = [r["code"] for r in against(self.first.row["reasons"])]
            if not all(code.startswith(_FEW) for code in codes):
                return None
        apart = abs(self.main["value"] - self.trial.at_least)
        return self._needed(apart) if math.isfinite(apart) else None

    def _needed(self, apart: float) -> Decidable | None:
        level = self.trial.level
        if self.of_totals:
            total, at_least = TOTALS[self.trial.measure], self.trial.at_least
            return _decide.of_totals(
                self.org, self.matched, self.pairs, total, at_least, absolute=self.absolute, level=level
            )
        options: dict[str, Any] = {"level": level, "seed": self.trial.seed}
        return _decide.of_deals(self.org, self.matched, self.first, self.names, apart, **options)

    @cached_property
    def told(self) -> float:
        """The difference that evidence of this size finds in four of five cases; NaN where that is unknown."""
        if self.of_totals or self.matched.stop:
            return math.nan
        found = self.decide or self._needed(self.trial.margin or 0.01)
        return math.nan if found is None else found.told

    @cached_property
    def vendors(self) -> Several | None:
        """All vendors against the baseline and each other; None where one alone was tried."""
        every = [self.trial.candidate, *self.trial.also]
        if len(every) == 1 or self.matched.stop:
            return None
        question = self.first.comparison.generalise_to
        return several(
            self.matched, every, self.trial.baseline, self.first.measure, question, self.trial.level
        )

    @cached_property
    def seeing(self) -> list[Effect]:
        """What it changes to see the scores, where half of the reps do not."""
        probabilities = all(self.matched.is_probability(n) for n in self.names)
        return self.halves.effects(*self.names, self.trial.level) if self.halves and probabilities else []

    @cached_property
    def enough(self) -> Enough:
        """The vendor's minimum of data, the buyer's count, and what the learning curve says."""
        t = self.trial
        terms = {"as_of": t.as_of, "target": t.target, "population": t.population, "seed": t.seed}
        return enough(self.claim.minimum, self.org, self.matched, t.baseline, terms, self.options)

    @property
    def costs(self) -> Costs:
        """What acting on the forecast costs and brings: of the trial, else of the claim's file."""
        return Costs.model_validate(self.trial.costs) if self.trial.costs else self.claim.costs

    @property
    def after_price(self) -> list[tuple[str, Estimate]]:
        """What each rule brings over the baseline after the price of the product."""
        price, found = self.costs.price or 0.0, []
        if self.attention is not None and self.trial.baseline in self.attention.against:
            found.append(("Attention", _pays.net(self.attention.gained(self.trial.baseline), price)))
        if self.commitment is not None:
            found.append(("The committed number", _pays.net(self.commitment.saved, price)))
        return found

    @cached_property
    def attention(self) -> _pays.Attention | None:
        """What the rule about attention is worth; None where no costs are given."""
        if self.matched.stop:
            return None
        others = [n for n in (self.trial.baseline, _TWIN) if n in self.everyone.table]
        return _pays.attention(self.costs, self.everyone, self.trial.candidate, others, self.options)

    @cached_property
    def commitment(self) -> _pays.Commitment | None:
        """What it is worth to commit the candidate's total; None where no costs are given."""
        return _pays.commitment(self.costs, self.pairs, self.trial.level)

    @property
    def twin(self) -> Comparison | None:
        """Against the reps corrected by their own past, where that is not the baseline itself."""
        if self.trial.baseline == _TWIN or _TWIN not in self.free:
            return None
        return self.free[_TWIN].comparison
