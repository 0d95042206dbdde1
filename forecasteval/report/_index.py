"""The page and the file that list what a batch has made: verdict, interval, what has changed, and what failed."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecasteval.compare.verdicts import BASELINE, CANDIDATE, CANNOT, SAME
from forecasteval.compare.wording import count
from forecasteval.errors import CallError
from forecasteval.report._failure import folder_of, rendered
from forecasteval.report._machine import Machine
from forecasteval.report._manifest import as_json, content_of
from forecasteval.report._place import save
from forecasteval.report.brief import cut, day_in_words, estimate_in_words, verdict_in_words
from forecasteval.report.gate import Condition, primary_row
from forecasteval.report.make import DATA as DATA_FOLDER
from forecasteval.report.plan import Job
from forecasteval.report.summary import ROW

PAGE, DATA, SUMMARY = FILES = ("index.html", "index.json", "summary.txt")
_LONGEST, _LISTED = 240, 12  # characters of an error; lines of the summary
_TONES = {CANDIDATE: "better", BASELINE: "better", SAME: "same", CANNOT: "cannot"}


@dataclass(frozen=True)
class Made:
    """A report of a batch as it stands now: what it found, or why it failed."""

    job: Job
    folder: Path
    error: str
    seconds: float
    came_true: tuple[str, ...] = ()  # conditions of --fail-on
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
        return folder_of(self.folder)

    def gated(self, conditions: Sequence[Condition]) -> Made:
        """With the conditions that came true; a report that compares nothing has none of those about a comparison."""
        if self.failed:
            return self
        asked = [c for c in conditions if c.can_be_asked_of(self.results)]
        return replace(self, came_true=tuple(c.text for c in asked if c.true_of(self.results)))

    def entry(self) -> dict[str, Any]:
        """What the index says of it, as plain values."""
        return {
            "folder": self.folder.name,
            "label": self.job.label,
            "notebook": self.job.notebook.stem,
            "organisation": self.summary.get("organisation"),
            "parameters": parameters(self.job),
            "status": "failed" if self.failed else self.results.get("status", "done"),
            "headline": str(self.summary.get("headline") or ""),
            **{key: self.summary[key] for key in ROW if key in self.summary},
            "changed": self.summary.get("changed"),
            "came_true": list(self.came_true),
            "error": self.error or None,
            "seconds": round(self.seconds, 1),
        }


def parameters(job: Job) -> dict[str, Any]:
    """What a report was asked, without the folder of its data, which is this machine's; people by a stand-in."""
    given = {k: v for k, v in job.given.items() if k != DATA_FOLDER}
    return given | ({"segment": job.label} if job.about_person else {})


def without_places(job: Job, text: str) -> str:
    """An error without the folders of this machine."""
    named = {} if job.data is None else {str(job.data): job.data.name, str(job.data.resolve()): job.data.name}
    told = Machine(named).without(re.sub(r"\n*More in \S+\.$", "", text))
    return str(told)


def made(job: Job, out: Path, error: str, seconds: float) -> Made:
    """What became of a job; a report that is there from before is not taken for one that failed now."""
    folder = out / job.name
    if error:
        return Made(job, folder, without_places(job, error), seconds)
    results, summary = (content_of(folder / name) for name in ("results.json", "summary.json"))
    return Made(job, folder, "", seconds, (), results, summary)


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
    titles: dict[str, str] = {}
    for one, entry in zip(reports, entries, strict=True):
        stem, title = entry["notebook"], str(one.summary.get("title") or "")
        titles[stem] = titles.get(stem) or title
        groups.setdefault(stem, []).append(_row(one, entry, before.get(entry["folder"], {})))
    counted = Counter(row["status"] for rows in groups.values() for row in rows)
    about = {
        "groups": [(titles[s] or s.replace("_", " ").capitalize(), rows) for s, rows in groups.items()],
        "counted": sorted(counted.items(), key=lambda one: (one[0] != "failed", -one[1])),
        "total": len(entries),
        "organisations": sorted({e["organisation"] for e in entries if e["organisation"]}),
        "made": f"{day_in_words(now.isoformat())} at {now:%H:%M} UTC",
        "last": day_in_words(last["made"]) if last.get("made") else "",
        "notes": list(notes),
        "kept": [e for e in kept if (out / e["folder"] / "report.html").is_file()],
        "changed": sum(row["moved"] for rows in groups.values() for row in rows),
        "came_true": Counter(text for one in reports for text in one.came_true),
    }
    _replace(out / DATA, as_json(index))
    _replace(out / SUMMARY, _summary(about))
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
        "text": _text(one),
        "changed": changed,
        "moved": moved,
        "came_true": one.came_true,
    }


def _text(one: Made) -> str:
    """What stands in the place of an estimate: the error, or what the report says first."""
    said = one.error.split("\n\n")[0] if one.failed else str(one.summary.get("headline") or "")
    return cut(said, _LONGEST)


def _summary(about: Mapping[str, Any]) -> str:
    """The index in a few lines, for a chat or a mail: failures and changed verdicts by name, the others counted."""
    rows = [row for _, rows in about["groups"] for row in rows]
    failed = [
        f"- {cut(row['label'], 60)}: failed; {row['text']}" for row in rows if row["status"] == "failed"
    ]
    moved = [
        f"- {cut(row['label'], 60)}: {row['status']}; {row['changed']}"
        for row in rows
        if row["moved"] and row["status"] != "failed"
    ]
    listed = [cut(line, _LONGEST) for line in [*failed, *moved]]
    more = [f"- and {len(listed) - _LISTED:,} more"] if len(listed) > _LISTED else []
    who = f"{', '.join(about['organisations'])}: " if about["organisations"] else ""
    since = ""
    if about["last"]:
        since = f" Since {about['last']} {count(about['changed'], 'verdicts')} changed."
    came_true = [f"Came true in {count(n, 'reports')}: {text}" for text, n in about["came_true"].items()]
    counted = ", ".join(f"{n} {words}" for words, n in about["counted"])
    lines = [f"{who}{count(about['total'], 'reports')}: {counted}.{since}", *came_true]
    return "\n".join([*lines, *listed[:_LISTED], *more]) + "\n"


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
