"""A vendor's claim held against the buyer's own evidence: parameters, computation, and the sections of the page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from forecasteval.compare.results import plain
from forecasteval.errors import CallError, nearest
from forecasteval.matching.deals_as_of import looks_at
from forecasteval.matching.match import Panel
from forecasteval.matching.matched import Matched
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words
from forecasteval.report.section import Card, said
from forecasteval.studies.vendor_claim import _evidence as evidence
from forecasteval.studies.vendor_claim import _figures as figures
from forecasteval.studies.vendor_claim import _sections as sections
from forecasteval.studies.vendor_claim._agreement import Annex, Registration, register, registration
from forecasteval.studies.vendor_claim._evidence import ABSOLUTE, MEASURES
from forecasteval.studies.vendor_claim._halves import Halves, draw
from forecasteval.studies.vendor_claim._held import FREE, Held, Terms
from forecasteval.studies.vendor_claim._noticed import of_frozen, of_late, of_ledger, of_packs, of_scores
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.blind_pack import (
    Scores,
    claims_ledger,
    closed_by,
    read_scores,
    record_of,
)
from forecasteval.studies.vendor_claim.claim import Claim, read_claim
from forecasteval.tables import ledger
from forecasteval.tables.calendar import moment
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org, about


class Trial(Terms):
    """How a claim is judged: everything that a contract has to fix before the outcomes exist.

    Raises
    ------
    CallError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Trial(measure="accuracy")
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 1 parameter cannot be used:
    - measure: 'accuracy' is not one of brier, brier_skill, log_score, auc, called_right, precision, recall, precision_at_the_top, \
lift, brier_by_amount, miss_over_actual, miss_over_actual_not_below_0, miss_over_forecast, actual_over_forecast, \
forecast_over_actual, signed_miss_over_actual, smaller_over_larger, all_misses_over_all_booked, within_5_percent, \
within_10_percent.
    """

    _spoken: ClassVar = ("baseline", "also")  # the candidate's scores may be frozen ones, in no table yet

    def run(self, org: Org) -> TrialAnswer:
        """Hold the claim against an organisation's data, as :func:`forecasteval.read` gives them.

        Raises
        ------
        CallError
            For a claim that cannot be read, a measure that does not fit it, a forecaster that is not there, and a ledger, key or
            file of scores that was changed.
        """
        path = _found(self.claim, org)
        claim = read_claim(path)
        self._fits(claim)
        book = Ledger(Path(), (), "", 0) if org.folder is None else ledger.read(claims_ledger(org.folder))
        ledger.vouch(book, self.receipts)
        frozen = [] if org.folder is None else read_scores(org.folder, book, self.candidate)
        taken, where = _taken(org, frozen)
        matched, everyone, late = self._matched(org, taken)
        moment = self._moment(org, taken)
        told = registration(book, claim, {**self.agreed_with(claim), "as_of": moment})
        halves = Halves.drawn(matched, told.entry) or Halves.told(matched, self.exposed)
        if halves:
            matched, everyone = halves.judged(matched), halves.judged(everyone)
        looked_for = (
            *of_late(late),
            *of_scores(matched, self.candidate, [self.baseline, *FREE, *self.also]),
            *of_frozen(matched, taken, org.deals),
            *of_ledger(book, self.candidate, self.also, taken),
        )
        sealed = [("Agreement", told.entry), *((f"Scores of {s.entry['as_of']}", s.entry) for s in taken)]
        return TrialAnswer(
            self,
            org,
            claim,
            hashlib.sha256(path.read_bytes()).hexdigest(),
            matched,
            everyone,
            where,
            moment,
            tuple(late),
            told,
            tuple((str(s.entry["as_of"]), str(s.entry["sha256"])) for s in taken),
            halves,
            looked_for,
            tuple(of_packs(book, taken)),
            tuple((what, str(e["hash"])) for what, e in sealed if e),
        )

    def _moment(self, org: Org, taken: list[Scores]) -> str:
        """The moment of the scores that are judged: that of the trial, or the days of the packs where these are others."""
        if not taken or org.periods is None:
            return self.as_of
        agreed = looks_at(org.periods, self.as_of)
        days = set(agreed.loc[agreed["evaluated"], "as_of"].dt.strftime("%Y-%m-%d"))
        packs = sorted({str(s.entry["as_of"]) for s in taken})
        return self.as_of if days.issuperset(packs) else " and ".join(packs)

    def agreed_with(self, claim: Claim) -> dict[str, Any]:
        """The parameters, with the costs of the claim's file where none are given."""
        return {**self.parameters, "costs": self.costs or claim.costs.model_dump(exclude_none=True)}

    def _fits(self, claim: Claim) -> None:
        """Refuse a measure that does not fit the claim."""
        absolute = claim.says == "accuracy"
        if absolute and self.measure not in ABSOLUTE:
            raise CallError(
                f"measure: {self.measure!r} compares two; a claim of accuracy takes one of {', '.join(ABSOLUTE)}."
            )
        if absolute and not self.at_least > 0:
            raise CallError("at_least: give the number that the claim names, such as 0.95 for 95%.")

    def register(self, org: Org) -> str:
        """Write the claim and how it is judged into the ledger, before the outcomes exist; says what was written.

        What evidence of the present size could tell goes with it, where the reference model stands in for the candidate; and
        where half of the reps are not to see the scores, which half was drawn.
        """
        if org.folder is None:
            raise CallError("A registration needs a data folder, which keeps its ledger.")
        path = _found(self.claim, org)
        claim = read_claim(path)
        self._fits(claim)
        more = self._power(org, claim)
        if self.blind_half:
            more["halves"] = {"seed": self.seed, **draw(_reps(org), self.seed)}
        told = register(org.folder, claim, self.agreed_with(claim), more)[1]
        kept = claims_ledger(org.folder).parent / "claims" / path.name
        if not kept.exists():  # so that who has the data can compute the result again
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(path.read_bytes())
        return told

    def annex(self, org: Org) -> str:
        """The two pages of the agreement that was registered, as a page to print and sign.

        Raises
        ------
        CallError
            Where nothing is registered, or something else than these parameters.
        """
        claim = read_claim(_found(self.claim, org))
        book = ledger.read(claims_ledger(org.folder or Path()))
        told = registration(book, claim, self.agreed_with(claim))
        if not told.before:
            changed = ", ".join(c[0] for c in told.changes)
            raise CallError(
                f"The first agreement about {self.candidate} in the ledger is another one ({changed}); it counts, and its annex is the "
                "one to sign."
                if changed
                else f"Nothing is registered about {self.candidate}."
            )
        return Annex.of_entry(claim, org, told.entry).page()

    def _power(self, org: Org, claim: Claim) -> dict[str, Any]:
        """What evidence of the present size could tell, by the deals of the past and the reference model."""
        if org.history is None or self.baseline == "model" or self.measure in TOTALS:
            return {}
        terms: dict[str, Any] = {"as_of": self.as_of, "target": self.target, "population": self.population}
        past = Panel(org, **terms, seed=self.seed).view(["model", self.baseline])
        if past.stop:
            return {}
        as_if = self.model_copy(update={"candidate": "model"})
        answer = TrialAnswer(as_if, org, claim, "", past, past, "history", self.as_of, (), Registration())
        of = "model, in the place of the candidate"
        return {"told": plain({"told_with_this": answer.told, "definition": self.measure, "of": of})}

    def _matched(self, org: Org, taken: list[Scores]) -> tuple[Matched, Matched, list[str]]:
        """The deals of the claim, those on which what costs nothing speaks as well, and deals scored late."""
        names = [self.candidate, self.baseline, *self.also]
        free = [n for n in FREE if org.matched is None or n in org.matched or n == "base_rate"]
        as_of: Any = self.as_of
        closed: list[str] = []
        if taken:
            org, as_of, closed = _with_frozen(org, taken)
        panel = Panel(org, as_of=as_of, target=self.target, population=self.population, seed=self.seed)
        pool = isinstance(as_of, list) and len(as_of) > 1
        matched = panel.view(names, pool=pool)
        absent = [n for n in names if n not in matched.table and not matched.stop]
        if absent:
            there = ", ".join(matched.names)
            raise CallError(
                f"There is no forecast named {absent[0]}; the table has {there}. {nearest(absent[0], matched.names)}".rstrip()
            )
        kind = matched.kinds.get(self.candidate)
        by_rank = self.measure in MEASURES and MEASURES[self.measure].ranks
        if kind == "rank_score" and not self.map_ranks and not by_rank:
            raise CallError(
                f"measure: {self.candidate} only ranks, so it is judged by rank: measure = auc, lift or precision_at_the_top. Or "
                "map_ranks = true: probabilities by a mapping that is fitted on earlier periods."
            )
        everyone = panel.view(list(dict.fromkeys([*names, *free])), pool=pool)
        if closed:
            matched, everyone = _without(matched, closed), _without(everyone, closed)
        if kind == "rank_score" and self.map_ranks:
            matched, everyone = (evidence.mapped(m, self.candidate) for m in (matched, everyone))
        return matched, everyone, closed


def _taken(org: Org, frozen: list[Scores]) -> tuple[list[Scores], str]:
    """The frozen scores that are judged, and the kind of evidence: those that came in time before any that came after."""
    if org.matched is not None:
        return [], "flat"
    in_time = [s for s in frozen if not s.entry["retrospective"]]
    if in_time:
        return in_time, "frozen"
    return frozen, "backtest" if frozen else "history"


def _reps(org: Org) -> list[str]:
    """The reps that the data know: those of open deals, or of a table."""
    if org.matched is not None:
        return [str(r) for r in org.matched["rep"].dropna().unique()] if "rep" in org.matched else []
    if org.deals is None:
        return []
    live = org.deals[org.deals["outcome"] == "open"] if (org.deals["outcome"] == "open").any() else org.deals
    return [str(r) for r in live["rep"].dropna().unique()]


def _without(matched: Matched, closed: list[str]) -> Matched:
    """The deals that were open when their scores were frozen."""
    keep = ~matched["deal_id"].isin(closed).to_numpy()
    left, gone = (int(matched["deal_id"][rows].nunique()) for rows in (keep, ~keep))
    step = {"step": "scored before the close", "deals": left, "dropped": gone}
    return matched.rows(keep, flow=[*matched.flow, {**step, "why": "closed when the score was frozen"}])


def _found(name: str, org: Org) -> Path:
    """The file of a claim, from the working directory upwards.

    A name without a folder, as reports hold it, is looked for among the examples too, and where it was kept when it was
    registered.
    """
    wanted, here = Path(name).expanduser(), Path.cwd()
    bases = (here, *here.parents)
    places = [wanted] if wanted.is_absolute() else [base / wanted for base in bases]
    if wanted.name == str(wanted):
        kept = [] if org.folder is None else [claims_ledger(org.folder).parent / "claims" / wanted]
        places += [*kept, *(base / "data" / "claims" / wanted for base in bases)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise CallError(
            f"No claim {name}: not here, nor in a folder above, and no copy is kept with the data. Run this from the folder that holds "
            "it, or give its whole path."
        )
    return found


def _with_frozen(org: Org, frozen: list[Scores]) -> tuple[Org, list[str], list[str]]:
    """The organisation with frozen scores among its forecasts, their moments, and the deals that were closed when they came.

    A score speaks as of the day of its pack, which holds nothing later.
    """
    record = record_of(org)
    days = [str(s.entry["as_of"]) for s in frozen]
    rows = [
        s.table.assign(forecaster=s.entry["forecaster"], kind=s.entry["score_kind"],
                       issued_at=moment(day, org.settings) - pd.Timedelta(seconds=1))
        for s, day in zip(frozen, days, strict=True)
    ]  # fmt: skip
    name = frozen[0].entry["forecaster"]
    others = None if org.forecasts is None else org.forecasts[org.forecasts["forecaster"] != name]
    forecasts = pd.concat([t for t in (others, *rows) if t is not None], ignore_index=True)
    # of a backtest all outcomes existed, which its label says
    closed = [
        deal
        for s, day in zip(frozen, days, strict=True)
        if not s.entry["retrospective"]
        for deal in closed_by(record, s.table["deal_id"], day, s.entry["frozen_at"])
    ]
    return replace(org, forecasts=forecasts), sorted(set(days)), closed


@dataclass(frozen=True, eq=False)
class TrialAnswer(Held, Answer):
    """What the evidence says of a claim, with the sections of its page; each is made when it is asked for."""

    say = Words(__file__, **sections.TOOLS)

    verdict = cached_property(Card)
    facts = said("facts")
    registered = said("registered")
    every_definition = cached_property(figures.Definitions)
    beside = cached_property(figures.Beside)
    everywhere = said("everywhere")
    several = said("several")
    exposure = said("exposure")
    data_enough = said("enough")
    pays = said("pays")
    trusted = said("trusted")
    when = said("when")
    document = said("document")

    def results(self) -> dict[str, Any]:
        """The content of `results.json`."""
        first = self.first.comparison
        cannot = bool(self.matched.stop) or first.verdict == "cannot be compared"
        base = first.to_dict()
        return plain({
            "schema_version": 1,
            "status": "cannot be compared" if cannot else "done",
            "headline": self.verdict.headline,
            "about": about(self.org, self.matched["period"] if self.matched.has("period") else None) | self.of_itself("inputs", "change"),
            "primary": base["primary"],
            "question": "What does this evidence say of the claim?",
            "estimand": base["estimand"],
            "parameters": {**self.trial.parameters, "claim": Path(self.trial.claim).name},
            "claim": {"sentence": self.claim.sentence, "sha256": self.claim_sha256, "card": self.card.verdict,
                      "missing": self.card.missing, "stated": self.card.stated, "asked": self.card.asked},
            "verdict": self.outcome,
            "judged_by": {"definition": self.trial.measure, "at_least": self.trial.at_least, **self.main},
            "evidence": self.where,
            "deals_sha256": self.deals_sha256,
            "late": len(self.late),
            "outcomes_known_when_registered": len(self.known_then),
            "registration": self.registration.to_dict(),
            "definitions": [f.to_dict() for f in self.definitions],
            "accuracy_by_name": self.by_name.to_dict("records"),
            "beside": {n: f.row["verdict"] for n, f in self.free.items()},
            "totals_beside": self.for_nothing.to_dict("records"),
            "error_floor": self.floor,
            "guard": None if self.guard is None else {**self.guard.to_dict(), "worse_in": self.worse_in},
            "vendors": [] if self.vendors is None else [lead.to_dict() for lead in self.vendors.leads],
            "vendors_not_comparable": "" if self.vendors is None else self.vendors.stop,
            "exposure": [e.to_dict() for e in self.seeing],
            "enough": self.enough.to_dict(),
            "pays": self._money(),
            "noticed": list(self.noticed),
            "receipts": dict(self.seals),
            "told_with_this": self.told,
            "decidable": None if self.decide is None else self.decide.to_dict(),
            "flow": base["flow"],
            "comparisons": base["comparisons"],
        })  # fmt: skip

    def _money(self) -> dict[str, Any] | None:
        """The value of the rules in plain values; None where no costs are given."""
        found: dict[str, Any] = {}
        if self.attention is not None:
            names = self.attention.against
            found["attention"] = {n: self.attention.gained(n).to_dict() for n in names}
        if self.commitment is not None:
            found["commitment"] = self.commitment.saved.to_dict()
        if self.costs.price is not None:
            found["after_price"] = {what: e.to_dict() for what, e in self.after_price}
        return found or None

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that leave with the report, by name."""
        found = {"definitions": pd.DataFrame([f.to_dict() for f in self.definitions])}
        return found | {
            n: t for n, t in (("accuracy_by_name", self.by_name), ("totals", self.for_nothing)) if len(t)
        }
