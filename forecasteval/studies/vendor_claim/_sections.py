"""The sections of the page: words of the template, and what they are drawn from."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

from forecasteval.compare import wording
from forecasteval.inference.estimate import Estimate
from forecasteval.report.blocks import flow_table
from forecasteval.report.figures import Absent, Picture
from forecasteval.report.section import Section
from forecasteval.studies.vendor_claim import _figures
from forecasteval.studies.vendor_claim._evidence import Found
from forecasteval.studies.vendor_claim._halves import EFFECTS
from forecasteval.studies.vendor_claim._held import Held
from forecasteval.studies.vendor_claim._labels import apart, interval, is_share, label, shown
from forecasteval.studies.vendor_claim._register import RULES, Registration
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.claim import ROWS, needed

_PARAMETERS = {
    "candidate": "Forecaster", "baseline": "Compared with", "measure": "Definition", "at_least": "Claimed, at least",
    "as_of": "Moment", "target": "Target", "population": "Deals", "margin": "Margin", "guard": "Not worse in any part of",
    "map_ranks": "Ranks mapped to probabilities", "costs": "Costs and gains", "blind_half": "Half of the reps do not see the scores",
    "exposed": "Column that says who saw the scores", "generalise_to": "Holds for", "level": "Level of the intervals",
    "sentence": "Sentence",
}  # fmt: skip


def readable(text: str, answer: Held) -> str:
    """A sentence with the forecasters under the names that readers know."""
    for name in sorted({*answer.everyone.names, *answer.names}, key=len, reverse=True):
        text = text.replace(name, label(name))
    return text


def parameter(name: str) -> str:
    """What a reader calls a parameter."""
    return _PARAMETERS.get(name, name.replace("_", " "))


def _changes(registration: Registration) -> list[list[str]]:
    return [[parameter(what), then, now] for what, then, now in registration.changes]


def _against(answer: Held) -> list[tuple[str, tuple[float, float, float], str]]:
    measure = answer.first.measure
    found = ((name, Found(measure, c, 0.0, absolute=False)) for name, c in answer.free.items())
    return [(name, f.better_by, _says(f.comparison.verdict)) for name, f in found]


def _says(verdict: str | None) -> str:
    return {"candidate better": "vendor ahead", "baseline better": "vendor behind"}.get(
        str(verdict), str(verdict)
    )


def _agreed(registration: Registration) -> list[list[str]]:
    """What was agreed, as it stands in the ledger."""
    return [
        [parameter(k), _plain(v)]
        for k, v in registration.entry["parameters"].items()
        if v not in ("", [], {}, False)
    ]


def _worth(e: Estimate) -> str:
    """What an interval of money says."""
    if not e.reliable:
        return "not enough evidence"
    return "worth more" if e.low > 0 else "worth less" if e.high < 0 else "not told apart"


def _exact(value: float) -> str:
    return f"{value:,.10g}"


def _both(number: int | None, what: str) -> str:
    return "" if number is None else f"{number:,} {what}"


def _parts(answer: Held) -> list[list[str]]:
    assert answer.guard is not None
    sign = answer.guarded_by.sign
    rows = []
    for r in answer.guard.table.to_dict("records"):
        ends = sorted((sign * r["low"], sign * r["high"]))
        words = "worse by more than the margin" if r["segment"] in answer.worse_in else _says(r["verdict"])
        rows.append([r["segment"], f"{r['deals']:,}", shown(sign * r["difference"]), interval(*ends), words])
    return rows


def _agreement(answer: Held) -> list[list[str]]:
    free = ("claim", "also", "seed", "receipts")
    values = {
        **answer.trial.parameters,
        "generalise_to": ["new quarters"] if answer.of_totals else _scope(answer),
        "costs": answer.costs.model_dump(exclude_none=True),
    }
    name = answer.trial.measure
    formula = TOTALS[name].formula if answer.of_totals else answer.first.measure.formula
    values["measure"] = f"{label(name) if answer.of_totals else answer.first.measure.label}: {formula}"
    values |= {who: label(values[who]) for who in ("candidate", "baseline")}
    values |= {
        "population": answer.matched.population or values["population"],
        "level": wording.percent(values["level"]),
    }
    rows = [
        [parameter(k), _plain(v)] for k, v in values.items() if k not in free and v not in ("", [], {}, False)
    ]
    return [*rows, *([k, v] for k, v in RULES.items())]


def _scope(answer: Held) -> list[str]:
    comparison = answer.first.comparison
    return [f"new {comparison.nouns.get(d) or f'{d}s'}" for d in comparison.generalise_to]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k.replace('_', ' ')} {_plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return "yes" if value is True else f"{value:,g}" if isinstance(value, float) else str(value)


def _hashes(answer: Held) -> list[list[str]]:
    rows = [["Claim", answer.claim_sha256], ["Deals compared", answer.deals_sha256]]
    if answer.registration.entry:
        rows.append(["Registration", str(answer.registration.entry["sha256"])])
    return [*rows, *([f"Scores of {day}", sha] for day, sha in answer.frozen)]


# what the template calls, beside what every template knows
TOOLS: dict[str, Any] = {
    "readable": readable, "label": label, "interval": interval, "shown": shown, "is_share": is_share, "parameter": parameter,
    "card_rows": ROWS, "needed": needed, "changes": _changes, "against": _against, "parts": _parts, "agreement": _agreement,
    "hashes": _hashes, "agreed": _agreed, "worth": _worth, "both": _both, "effects": EFFECTS, "money": wording.money,
    "exact": _exact, "apart": apart, "flow_table": flow_table, "version": version("deal-forecasteval"),
}  # fmt: skip


class Definitions(Section):
    """The claim under all definitions."""

    def figure(self) -> Picture | Absent:
        """What each definition makes of the claim, one line each."""
        lines = [f for f in self.answer.definitions if math.isfinite(f.claimed[1])]
        return _figures.definitions(self.answer, lines)


class Beside(Section):
    """The candidate beside what costs nothing."""

    def figure(self) -> Picture | Absent:
        """By how much the candidate is better than each."""
        return _figures.beside(self.answer)


class Pays(Section):
    """What a stated rule is worth."""

    def figure(self) -> Picture | Absent:
        """The decision curve: net benefit by the probability from which on deals get attention."""
        return _figures.decision_curve(self.answer)
