"""What was agreed before the outcomes: the claim and how it is judged, hashed and dated in the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forecasteval.studies.vendor_claim.blind_pack import claims_ledger, now, receipt
from forecasteval.studies.vendor_claim.claim import Claim
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Ledger

RULES = {
    "Abstentions": "where the vendor is silent the comparator's forecast stands in and is counted; past 20% there is no verdict. "
    "Silence that goes with the outcome is tested and named.",
    "Verdict": "supported where the whole interval reaches what is claimed; contradicted where none of it does; else undecided "
    "by this evidence. Whatever is not reliable is undecided.",
    "Guardrail": "worse by more than the margin in any of the parts that are named, with intervals that hold together: supported, "
    "but not everywhere.",
    "Who sees the scores": "where half of the reps were drawn not to see them, the claim is judged on the deals of that half; what the "
    "sight of the scores changes is measured between the halves.",
    "Outcomes": "as recorded when the period is frozen, some business days after its end; later changes do not count.",
    "Exclusions": "only those of the table From the export to the deals, each counted with its reason.",
    "Everything else": "other definitions, weeks and parts than those named here are exploratory.",
}
# what may change without changing what was agreed
NOT_AGREED = ("seed", "claim", "also", "receipts")
# parameters that older agreements do not know: what they had agreed without saying so
_DEFAULTS: dict[str, Any] = {"costs": {}, "blind_half": False, "exposed": ""}


def fingerprint(content: Mapping[str, Any]) -> str:
    """The SHA-256 of what was agreed.

    >>> fingerprint({"margin": 0.01})[:12]
    'ed640268a724'
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def agreed(claim: Claim, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is agreed: the sentence, the parameters and the rules."""
    kept = {name: value for name, value in parameters.items() if name not in NOT_AGREED}
    return {"sentence": claim.sentence, "parameters": kept, "rules": RULES}


def register(
    folder: Path, claim: Claim, parameters: Mapping[str, Any], more: Mapping[str, Any]
) -> tuple[Ledger, str]:
    """Write the agreement into the ledger of a data folder; the ledger and what to say. The same one twice is one.

    ``more`` is written with it: what such evidence can tell, and which half of the reps was drawn.
    """
    book = ledger.read(claims_ledger(folder))
    content = agreed(claim, parameters)
    sha = fingerprint(content)
    same = [e for e in book.of("claim") if e["sha256"] == sha]
    if same:
        entry = same[0]
        return (
            book,
            f"Registered already, on {entry['registered_at']}: sha256 {sha}{_halves(entry)}{receipt(entry)}",
        )
    book = ledger.append(book, [{"kind": "claim", **content, "sha256": sha, "registered_at": now(), **more}])
    entry = book.entries[-1]
    line = f"line {len(book.entries)} of {book.path}."
    return book, f"Registered: sha256 {sha}; {line}{_halves(entry)}{receipt(entry)}"


def _halves(entry: Mapping[str, Any]) -> str:
    if "halves" not in entry:
        return ""
    drawn = entry["halves"]
    return (
        f"\nDrawn with seed {drawn['seed']}: do not show the scores to {', '.join(drawn['blind'])}; show them to "
        f"{', '.join(drawn['seeing'])}."
    )


@dataclass(frozen=True)
class Registration:
    """What was registered for a candidate, and what of it differs from what was run.

    ``changes`` has name, registered, now; ``entry`` is empty where nothing was registered.
    """

    entry: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[tuple[str, str, str], ...] = ()

    @property
    def seal(self) -> list[tuple[str, str]]:
        """The receipt of the agreement."""
        return [("Agreement", str(self.entry["hash"]))] if self.entry else []

    @property
    def before(self) -> bool:
        """Was all of what was run agreed?"""
        return bool(self.entry) and not self.changes

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        changes = [dict(zip(("what", "registered", "now"), c, strict=True)) for c in self.changes]
        return {
            "sha256": self.entry.get("sha256"),
            "registered_at": self.entry.get("registered_at"),
            "changes": changes,
        }


def registration(book: Ledger, claim: Claim, parameters: Mapping[str, Any]) -> Registration:
    """The first agreement about this candidate: a later one cannot mend it, and is a change like any other."""
    content = agreed(claim, parameters)
    mine = [e for e in book.of("claim") if e["parameters"].get("candidate") == parameters["candidate"]]
    if not mine:
        return Registration()
    entry = mine[0]
    then, run = ({"sentence": c["sentence"], **c["parameters"]} for c in (entry, content))
    then |= {n: value for n, value in _DEFAULTS.items() if n not in then}
    names = [n for n in {**then, **run} if then.get(n) != run.get(n)]
    return Registration(entry, tuple((n, str(then.get(n, "-")), str(run.get(n, "-"))) for n in names))
