"""The sections of the page: words of the template, and what they are drawn from."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from forecasteval.compare import wording
from forecasteval.inference.estimate import Estimate
from forecasteval.report.blocks import flow_table
from forecasteval.studies.vendor_claim._agreement import (
    Annex,
    Registration,
    agreed_rows,
    freezes,
    in_words,
    parameter,
)
from forecasteval.studies.vendor_claim._halves import EFFECTS
from forecasteval.studies.vendor_claim._held import Held
from forecasteval.studies.vendor_claim._labels import apart, interval, is_share, label, shown
from forecasteval.studies.vendor_claim._several import Several
from forecasteval.studies.vendor_claim.claim import ROWS, needed


def readable(text: str, answer: Held) -> str:
    """A sentence with the forecasters under the names that readers know."""
    for name in sorted({*answer.everyone.names, *answer.names}, key=len, reverse=True):
        text = text.replace(name, label(name))
    return text


def _changes(registration: Registration) -> list[list[str]]:
    return [[parameter(what), then, now] for what, then, now in registration.changes]


def _against(answer: Held) -> list[tuple[str, tuple[float, float, float], str]]:
    return [(name, f.better_by, _says(f.comparison.verdict)) for name, f in answer.free.items()]


def _says(verdict: str | None) -> str:
    words = {"candidate better": "vendor ahead", "baseline better": "vendor behind"}
    return words.get(str(verdict), str(verdict))


def _doubts(several: Several) -> list[str]:
    """What speaks against believing any of the leads, each said once."""
    return list(dict.fromkeys(r["text"] for lead in several.leads for r in lead.estimate.reasons))[:3]


def _worth(e: Estimate) -> str:
    """What an interval of money says."""
    if not e.reliable:
        return "not enough evidence"
    return "worth more" if e.low > 0 else "worth less" if e.high < 0 else "not told apart"


def _exact(value: float) -> str:
    return f"{value:,.10g}"


def _parts(answer: Held) -> list[list[str]]:
    assert answer.guard is not None
    sign = answer.guarded_by.sign
    rows = []
    for r in answer.guard.table.to_dict("records"):
        ends = sorted((sign * r["low"], sign * r["high"]))
        words = "worse by more than the margin" if r["segment"] in answer.worse_in else _says(r["verdict"])
        rows.append([r["segment"], f"{r['deals']:,}", shown(sign * r["difference"]), interval(*ends), words])
    return rows


def _agreed(answer: Held) -> list[list[str]]:
    comparison = answer.first.comparison
    scope = [f"new {comparison.nouns.get(d) or f'{d}s'}" for d in comparison.generalise_to]
    parameters = {
        **answer.trial.parameters,
        "as_of": answer.moment,
        "costs": answer.costs.model_dump(exclude_none=True),
    }
    return agreed_rows(parameters, answer.org, " and ".join(scope))


def _annex(answer: Held) -> Annex:
    """The annex as it was run."""
    entry = answer.registration.entry
    power = in_words(answer.told, answer.trial.measure)
    changed = bool(answer.registration.changes)
    return Annex(answer.claim, _agreed(answer), freezes(answer.org, entry), power, entry, changed)


def _hashes(answer: Held) -> list[list[str]]:
    rows = [["Claim", answer.claim_sha256], ["Deals compared", answer.deals_sha256]]
    if answer.registration.entry:
        rows.append(["Registration", str(answer.registration.entry["sha256"])])
    return [*rows, *([f"Scores of {day}", sha] for day, sha in answer.frozen)]


# what the template calls, beside what every template knows
TOOLS: dict[str, Any] = {
    "readable": readable, "label": label, "interval": interval, "shown": shown, "is_share": is_share, "parameter": parameter,
    "card_rows": ROWS, "needed": needed, "changes": _changes, "against": _against, "parts": _parts, "annex": _annex,
    "hashes": _hashes, "agreed": _agreed, "doubts": _doubts, "worth": _worth, "effects": EFFECTS, "money": wording.money,
    "exact": _exact, "apart": apart, "flow_table": flow_table, "version": version("deal-forecasteval"),
}  # fmt: skip
