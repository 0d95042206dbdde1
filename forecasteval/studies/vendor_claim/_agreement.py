"""What was agreed before the outcomes: hashed and dated in the ledger, and printed as an annex of two pages to be signed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval import report
from forecasteval.compare import wording
from forecasteval.matching.match import POPULATIONS
from forecasteval.report.blocks import Words
from forecasteval.studies.vendor_claim._evidence import MEASURES
from forecasteval.studies.vendor_claim._labels import is_share, label, shown
from forecasteval.studies.vendor_claim._texts import TEXTS
from forecasteval.studies.vendor_claim._totals import TOTALS
from forecasteval.studies.vendor_claim.blind_pack import claims_ledger, now, receipt
from forecasteval.studies.vendor_claim.claim import Claim
from forecasteval.tables import ledger
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.organisation import Org, newest_record

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
    return {"sentence": claim.sentence, "parameters": kept, "rules": TEXTS["rules"]}


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


# --- the annex ---------------------------------------------------------------------------------------

_SAY = Words(__file__)
_PARAMETERS: dict[str, str] = TEXTS["parameters"]
_SHOWN = 4  # quarters whose freeze dates are named
_DEFAULT = "new reps and new quarters, as far as the deals know them"


def parameter(name: str) -> str:
    """What a reader calls a parameter."""
    return _PARAMETERS.get(name, name.replace("_", " "))


def plain(value: Any) -> str:
    """A parameter's value as people read it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k.replace('_', ' ')} {plain(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " and ".join(map(str, value))
    return "yes" if value is True else f"{value:,.10g}" if isinstance(value, float) else str(value)


def agreed_rows(parameters: Mapping[str, Any], org: Org, scope: str = "") -> list[list[str]]:
    """What is agreed, a row for each parameter that says something; a table of deals fixes some of them itself."""
    name = parameters["measure"]
    measure = (TOTALS | MEASURES)[name]
    values = {
        **parameters,
        "measure": f"{measure.label}: {measure.formula}",
        "population": POPULATIONS[parameters["population"]].format(when=f"at the end of {parameters['as_of']}"),
        "level": wording.percent(parameters["level"]),
        "at_least": shown(parameters["at_least"], percent=is_share(name)) if parameters["at_least"] else "better at all",
        "generalise_to": "new quarters" if name in TOTALS else scope or [f"new {d}s" for d in parameters["generalise_to"]] or _DEFAULT,
    }  # fmt: skip
    if org.matched is not None:
        values |= {
            "as_of": "",
            "target": "",
            "population": "those of the table, at its moments and with its outcomes",
        }
    values |= {who: label(parameters[who]) for who in ("candidate", "baseline")}
    said = {k: v for k, v in values.items() if k not in NOT_AGREED and v not in ("", [], {}, False)}
    return [[parameter(k), plain(said[k])] for k in dict.fromkeys([*_PARAMETERS, *said]) if k in said]


def freezes(org: Org, entry: Mapping[str, Any]) -> str:
    """The days on which the coming quarters are frozen: after the agreement, or after the newest record where that is older."""
    newest = newest_record(org)
    if org.periods is None or newest is None:
        return "when the outcomes of the deals in the table are fixed"
    day = pd.Timestamp(newest)
    if entry:
        day = min(day, pd.Timestamp(str(entry["registered_at"])[:10]))
    coming = org.periods[pd.to_datetime(org.periods["freezes_on"]) > day].sort_values("freezes_on")[:_SHOWN]
    rows = [f"{p}: {d:%Y-%m-%d}" for p, d in zip(coming["period"], coming["freezes_on"], strict=True)]
    return "; ".join(rows) or "the calendar names no quarter beyond the data"


@dataclass(frozen=True)
class Annex:
    """What stands on the two pages."""

    claim: Claim
    agreed: list[list[str]]
    freezes: str
    power: str
    entry: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False
    rules: Mapping[str, str] = field(default_factory=lambda: TEXTS["rules"])

    @classmethod
    def of_entry(cls, claim: Claim, org: Org, entry: Mapping[str, Any]) -> Annex:
        """The annex of an agreement as it stands in the ledger."""
        told = entry.get("told", {})
        parameters = entry["parameters"]
        power = in_words(told.get("told_with_this"), parameters["measure"], told.get("of", ""))
        return cls(claim, agreed_rows(parameters, org), freezes(org, entry), power, entry)

    def page(self) -> str:
        """A page of its own, to print and sign."""
        css = (Path(report.__file__).parent / "page.css").read_text("utf-8")
        return f"<!DOCTYPE html>\n{_SAY('annex_page', self, css).html}\n"


def in_words(told: float | None, measure: str, of: str = "") -> str:
    """What evidence of the present size tells; empty where nobody knows."""
    if told is None or not math.isfinite(told):
        return ""
    who = f" ({of.replace('model', 'the reference model', 1)})" if of else ""
    return (
        f"Evidence of the present size finds a distance of {shown(told, percent=is_share(measure))} from what is claimed in four of "
        f"five cases{who}."
    )
