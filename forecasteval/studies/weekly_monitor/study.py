"""The weekly report: one frozen forecast per deal, cohorts that enter whole, a verdict that may be read every week.

**Cohort.** A deal is frozen at the first weekly look at which both forecasters speak, and belongs to the cohort of that
look only; its later forecasts do not count. A candidate that scores once a week is silent when a deal first
appears, so such a deal waits: while its target is open, that is until the end of the period, or for N days. If the
candidate never speaks by then, the deal stays in the cohort of the first look at which the baseline spoke, with
the baseline's value standing in, and is counted as filled. A deal that closes while it waits is such a one: it counts
as no difference, so it favours neither. What both say is frozen while the deal is open, at the first moment at
which it can be, whatever becomes of it.

**Order.** A cohort enters when the target of every deal in it is known: N days after the look, or at the freeze
of its period, when all looks of the period enter together. Never deal by deal as they close: wins close
early, so that a forecaster that leans high would lead at first whatever it is worth.

**Question.** For `generalise_to` ("deal", "period"), the default: these reps, in coming weeks, which lie in quarters
that may be better or worse than those seen; the sequence is `over_blocks` over periods, whose sums hold the deals' own
chance as well. For ("deal",): these reps, in weeks like those seen; `asymptotic` over cohorts
(:mod:`forecasteval.inference.confidence_sequences`). Both are always computed; the one that was declared gives the
verdict. Reps are the ones in the data: neither speaks about new reps.

**Verdict.** Of the sequence at each look: a side as soon as 0 is outside, and for as long as it stays outside.
The average that is estimated may drift, so a verdict can be withdrawn, and intervals of earlier looks
are not intersected with later ones. That any look at all gives a false verdict has probability 1 - `level`, if
periods are independent. Where a good one follows a good one, few periods cannot show it; so a verdict about coming
periods is given, and called reliable, only if it would stand with the interval that they may need at the upper quartile of
what they allow (reason `periods_alike`). Where the autocorrelation of 8 periods is .5 this leaves .03-.06 of runs with
a false verdict instead of .05-.11; at .8 .07-.15 instead of .13-.31, which no rule that leaves independent periods any
power brings down to .06. Its price: a difference that .68 of independent histories told within 104 weeks is told by .47
(tests/benchmarks/false_alarms_weekly.py prints all cells).

**Scores.** `metric` is any that is a mean over deals and bounded: Brier score, Brier score by amount (amounts frozen with
the forecasts) and the log score clipped at `epsilon`, which bounds it. Not AUC, which compares pairs of deals and is no
mean of what deals add; not the Brier skill, which divides by a loss that is unknown before the outcomes; and no bias,
where neither side of 0 is better. Each is refused with its reason.

**Ledger.** Rules first; then each look, its forecasts, and each outcome on the day that it is frozen
(:mod:`forecasteval.tables.ledger`). Everything reported is computed from the ledger, so what was frozen counts for
good. Other rules are refused, since rules chosen after looking void the guarantee; so is an earlier `through` than the
ledger's own last day: it would be another history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import UNSURE
from forecasteval.report.section import Card, said
from forecasteval.studies.weekly_monitor import _sections as sections
from forecasteval.studies.weekly_monitor._rules import Day, Rules
from forecasteval.studies.weekly_monitor._watch import Watch, watch
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org

_LEDGER = Path("ledger") / "weekly_monitor.jsonl"


class Monitor(Rules):
    """Is the candidate better than the baseline by now, read every week?

    Parameters
    ----------
    target : "won within N days" or "won in period"
    population : "closing in period" or "all open"
    generalise_to : ["deal", "period"] or ["deal"]
        Coming quarters, or weeks like those seen.
    level : float
        Of all looks together.
    margin : float
        The largest difference that does not matter; 0 for none.
    tuned_for, burn_in : int
        Cohorts at which the weekly sequence is narrowest, and before which it says nothing.
    since : str
        Weeks that end before this day do not count; empty for all.
    metric : "brier", "log_score" or "brier_by_amount"
        What the two are compared by.
    epsilon : float
        For the log score only: probabilities are moved into [epsilon, 1 - epsilon], which bounds it.
    through : str
        The last day that counts; empty for the day before the newest record.
    ledger : str
        The file that is only added to; empty for `ledger/weekly_monitor.jsonl` in the data folder.

    Raises
    ------
    CallError
        Lists every value that is not allowed.
    """

    through: Day = ""
    ledger: str = ""

    def run(self, org: Org) -> MonitorAnswer:
        """Look at the data with the ledger in hand; nothing is written before :meth:`MonitorAnswer.keep`.

        Raises
        ------
        CallError
            For data without a history, a ledger that is damaged or was begun under other rules, and forecasts that
            are no probabilities.
        """
        path = Path(self.ledger) if self.ledger else (org.folder or Path()) / _LEDGER
        return MonitorAnswer(**vars(watch(org, self, path=path, through=self.through)))


@dataclass(frozen=True, eq=False)
class MonitorAnswer(Watch):
    """What the weekly monitor found: its tables, and its sections, each made when it is asked for."""

    verdict = cached_property(Card)
    who = said("who")
    running = cached_property(sections.Running)
    questions = cached_property(sections.Questions)
    by_period = cached_property(sections.ByPeriod)
    later = cached_property(sections.Later)
    flipped = cached_property(sections.Flipped)
    method = said("method")
    caveats = said("caveats")

    def keep(self) -> Ledger:
        """Write what this run adds to the ledger; nothing, if it adds nothing.

        Raises
        ------
        CallError
            If another run has written meanwhile.
        """
        return ledger.append(self.book, self.added)

    def flow(self) -> list[dict[str, Any]]:
        """The way from the deals that were met to those in the sequence."""
        deals = self.deals
        known, void = int(deals["known"].sum()), int(deals["void"].sum())
        weightless = self.later.counts["weightless"]
        steps = [
            ("met by a weekly look", len(deals), 0, ""),
            ("outcome known for the whole week", known, len(deals) - known, "the target of their week is not known yet"),
            ("in the sequence", known - void, void, "not on record any more when the outcome became known"),
        ]  # fmt: skip
        if weightless:
            left = known - void - weightless
            steps.append(("weighed by amount", left, weightless, "no amount when they were frozen"))
        return [dict(zip(("step", "deals", "dropped", "why"), step, strict=True)) for step in steps]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Name to table; looks to 12 digits, below which sums differ by chance."""
        looks = self.looks.map(lambda v: float(f"{v:.12g}") if isinstance(v, float) else v)
        flow = pd.DataFrame(self.flow())
        return {
            "looks": looks, "cohorts": self.cohorts, "flips": self.flips, "restated": self.restated, "flow": flow
        }  # fmt: skip

    def results(self) -> dict[str, Any]:
        """The content of ``results.json``."""
        looks = self.looks.assign(known_on=self.looks["known_on"].astype(str))
        lines = self.questions.lines
        return {
            "schema_version": 1,
            "question": self.text("question"),
            "parameters": plain({"metric": self.rules.metric} | self.rules.plain),
            "headline": self.verdict.headline,
            "about": {**self.organisation, **self.of_itself("inputs", "change")},
            "primary": self.rules.metric,
            "estimand": self.text("estimand"),
            "through": f"{self.day:%Y-%m-%d}",
            "flow": self.flow(),
            "comparisons": [plain(self._comparison())],
            "ladder": [{"about": self.text("scope", x.name == "periods"), **x.ends} for x in lines[1:3]],
            "without_a_limit": [
                {
                    "name": x.name,
                    "assumes": self.questions.assumes(x.name),
                    "difference": x.difference,
                    **x.ends,
                }
                for x in lines[3:]
            ],
            "changes": [{"known_on": f"{d:%Y-%m-%d}", "verdict": v} for d, v in self.changes],
            "looks": [plain(r) for r in looks.to_dict("records")],
            "ledger": {
                "entries": len(self.entries),
                "head": self.head,
                "weeks": len(self.weeks),
                "late_weeks": self.late_weeks,
                "flips": len(self.flips),
                "restated": len(self.restated),
                "appeared_afterwards": self.appeared,
                "void": int(self.deals["void"].sum()),
            },
            "forecasters": plain(dict(self.about)),
        }

    def _comparison(self) -> dict[str, Any]:
        rules, row = self.rules, self.last
        found = {
            "candidate": rules.candidate,
            "baseline": rules.baseline,
            "metric": rules.metric,
            "better": "lower",
            "primary": True,
            "generalise_to": rules.generalise_to,
            "level": rules.level,
            "margin": rules.margin or None,
            "verdict": UNSURE,
            "reliable": False,
            "reasons": self.doubts,
            "estimand": self.text("estimand"),
        }
        if row is None:
            return found
        taken = (
            "candidate_value",
            "baseline_value",
            "difference",
            "low",
            "high",
            "verdict",
            "deals",
            "wins",
            "filled",
        )
        return found | {k: row[k] for k in taken} | {
            "rows": row["deals"],
            "reliable": not self.doubts and math.isfinite(row["low"]),
            "clusters": {"week": {"count": row["cohorts"]}, "period": {"count": row["periods"]}},
            "one_look": [row["fixed_low"], row["fixed_high"]],
            "width_of_one_look": self.cost,
            "neighbours": {"p_value": row["alike_p_value"], "widening": row["widening"]},
        }  # fmt: skip
