"""The page and the file that list what a batch has made: verdict, interval, what has changed, and what failed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT, SAME
from forecasteval.errors import CallError
from forecasteval.report._failure import rendered
from forecasteval.report._manifest import content_of
from forecasteval.report._place import save
from forecasteval.report.changes import estimate_in_words, verdict_in_words
from forecasteval.report.gate import primary_row
from forecasteval.report.make import DATA as DATA_FOLDER
from forecasteval.report.make import as_json, failed_folder
from forecasteval.report.plan import Job

PAGE, DATA = "index.html", "index.json"
_ROW = (
    "metric",
    "candidate",
    "baseline",
    "verdict",
    "reliable",
    "difference",
    "low",
    "high",
    "level",
    "deals",
)
_TONES = {CANDIDATE: "better", BASELINE: "better", SAME: "same", CANNOT: "cannot"}


@dataclass(frozen=True)
class Made:
    """A report of a batch as it stands now: what it found, or why it failed."""

    job: Job
    folder: Path
    error: str
    seconds: float
    results: Mapping[str, Any] = field(default_factory=dict, repr=False)
    summary: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def failed(self) -> bool:
        """Whether it was not made."""
        return bool(self.error)

    @property
    def cannot(self) -> bool:
        """Whether what was asked cannot be compared."""
        return not self.failed and self.results.get("status") == CANNOT

    @property
    def failed_folder(self) -> Path:
        """Where it says why it failed."""
        return failed_folder(self.folder)

    def entry(self) -> dict[str, Any]:
        """What the index says of it, as plain values."""
        row = primary_row(self.results) or {}
        given = {k: v for k, v in self.job.given.items() if k != DATA_FOLDER}
        if self.job.about_person:
            given["segment"] = self.job.label
        return {
            "folder": self.folder.name,
            "label": self.job.label,
            "notebook": self.job.notebook.stem,
            "organisation": self.summary.get("organisation"),
            "parameters": given,
            "status": "failed" if self.failed else self.results.get("status", "done"),
            "headline": "" if self.failed else self.results.get("headline", ""),
            **{key: row[key] for key in _ROW if key in row and not self.failed},
            "changed": None if self.failed else self.summary.get("changed"),
            "error": self.error or None,
            "seconds": round(self.seconds, 1),
        }


def made(job: Job, out: Path, error: str, seconds: float) -> Made:
    """What became of a job; a report that is there from before is not taken for one that failed now."""
    folder = out / job.name
    if error:
        return Made(job, folder, re.sub(r"\n*More in \S+\.$", "", error), seconds)
    return Made(
        job, folder, "", seconds, content_of(folder / "results.json"), content_of(folder / "summary.json")
    )


def refuse_foreign(out: Path) -> None:
    """An index that no batch has written is somebody's work."""
    if (out / PAGE).exists() and "reports" not in content_of(out / DATA):
        raise CallError(
            f"{out / PAGE} is there and is not a batch's: it will not be replaced. Choose another --out."
        )


def last(out: Path) -> dict[str, Any]:
    """The index of the last run; empty if there was none."""
    return content_of(out / DATA)


def write(
    out: Path, reports: Sequence[Made], notes: Sequence[str], last: Mapping[str, Any], started: datetime
) -> None:
    """Write the two files, each in one step."""
    now = datetime.now(UTC)
    entries = [one.entry() for one in reports]
    before = {e["folder"]: e for e in last.get("reports", []) if isinstance(e, Mapping) and "folder" in e}
    kept = [e for name, e in before.items() if name not in {e["folder"] for e in entries}]
    index = {
        "schema_version": 1,
        "made": now.isoformat(timespec="seconds"),
        "seconds": round((now - started).total_seconds(), 1),
        "last": last.get("made"),
        "notes": list(notes),
        "reports": entries,
    }
    groups: dict[str, list[dict[str, Any]]] = {}
    for one, entry in zip(reports, entries, strict=True):
        row = _row(one, entry, before.get(entry["folder"], {}))
        groups.setdefault(entry["notebook"].replace("_", " ").capitalize(), []).append(row)
    counted = Counter(row["status"] for rows in groups.values() for row in rows)
    about = {
        "groups": groups,
        "counted": sorted(counted.items(), key=lambda one: (one[0] != "failed", -one[1])),
        "total": len(entries),
        "organisations": sorted({e["organisation"] for e in entries if e["organisation"]}),
        "made": f"{now:%Y-%m-%d} at {now:%H:%M} UTC",
        "last": str(last.get("made", ""))[:10],
        "notes": list(notes),
        "kept": [e for e in kept if (out / e["folder"] / "report.html").is_file()],
        "changed": sum(row["moved"] for rows in groups.values() for row in rows),
    }
    _replace(out / DATA, as_json(index))
    _replace(out / PAGE, rendered("index.html.j2", about))


def _replace(path: Path, content: str) -> None:
    aside = path.with_name(f".{path.name}.new")
    save(aside, content)
    os.replace(aside, path)


def _row(one: Made, entry: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of one report."""
    place = one.failed_folder if one.failed else one.folder
    page = place / "report.html"
    old = one.folder / "report.html"
    words = "failed" if one.failed else verdict_in_words(one.results) or "done"
    moved, changed = _changed(one, entry, before)
    return {
        "label": entry["label"],
        "link": f"{place.name}/report.html" if page.is_file() else "",
        "old": f"{one.folder.name}/report.html" if one.failed and old.is_file() else "",
        "status": words,
        "tone": "failed" if one.failed else _TONES.get(str(entry.get("verdict")), "unsure"),
        "estimate": "" if one.failed else estimate_in_words(one.results),
        "text": _first(one.error) if one.failed else "" if primary_row(one.results) else entry["headline"],
        "changed": changed,
        "moved": moved,
    }


def _changed(one: Made, entry: Mapping[str, Any], before: Mapping[str, Any]) -> tuple[bool, str]:
    """What is different from the last run, in a few words; and whether it is more than a number that moved."""
    if not before:
        return False, "new"
    if before.get("status") != entry["status"]:
        return True, f"was: {before.get('status')}"
    if one.failed:
        return False, "failed before as well"
    old = {"status": before.get("status"), "comparisons": [{**before, "primary": True}]}
    verdict, estimate = verdict_in_words(old), estimate_in_words(old)
    if primary_row(one.results) and verdict != verdict_in_words(one.results):
        return True, f"was: {verdict}"
    if primary_row(one.results) and estimate != estimate_in_words(one.results):
        return False, f"was {estimate}"
    if before.get("headline") != entry["headline"]:
        return False, "headline"
    kinds = [kind for kind in (entry["changed"] or {}) if kind != "since"]
    return False, ", ".join(kinds) or "nothing"


def _first(text: str) -> str:
    """The first paragraph of an error, cut where it is long."""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph if len(paragraph) <= 240 else f"{paragraph[:239]}…"
