"""What is different from the last report in the same folder: verdict, estimate, data, parameters, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecasteval.compare import wording
from forecasteval.report._manifest import NAME, content_of
from forecasteval.report.brief import cut, estimate_in_words, verdict_in_words

_LONGEST = 80  # characters of a value that is shown
_MOST = 6  # of a kind; the others are counted


@dataclass(frozen=True)
class Run:
    """The results and the manifest of one report."""

    results: Mapping[str, Any]
    record: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Run | None:
        """The report that lies in a folder; None if there is none."""
        results, record = content_of(folder / "results.json"), content_of(folder / NAME)
        return cls(results, record) if results and record else None

    @property
    def made_on(self) -> str:
        """The day it was made, as ISO text."""
        return str(self.record.get("finished", ""))[:10]


@dataclass(frozen=True)
class Changes:
    """Sentences by what they are about; empty where nothing has changed."""

    since: str
    found: Mapping[str, tuple[str, ...]]

    @classmethod
    def between(cls, before: Run, now: Run) -> Changes:
        """What the later of two reports has that the earlier had not, or had otherwise."""
        told = {
            "verdict": _verdict(before, now),
            "estimate": _estimate(before, now),
            "data": _data(before, now),
            "parameters": _values(before.record.get("parameters"), now.record.get("parameters")),
            "versions": _versions(before.record, now.record),
        }
        kept = {kind: _few(list(sentences)) for kind, sentences in told.items()}
        return cls(before.made_on, {kind: sentences for kind, sentences in kept.items() if sentences})

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        kinds = list(self.found)
        if not kinds:
            return f"Nothing has changed since the last report, of {self.since}."
        listed = " and ".join([", ".join(kinds[:-1]), kinds[-1]] if kinds[1:] else kinds)
        return f"Changed since the last report, of {self.since}: {listed}."

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {"since": self.since, **{kind: list(sentences) for kind, sentences in self.found.items()}}


def _few(sentences: list[str]) -> tuple[str, ...]:
    rest = len(sentences) - _MOST
    return tuple(sentences if rest <= 0 else [*sentences[:_MOST], f"and {rest:,} more"])


def _verdict(before: Run, now: Run) -> Iterator[str]:
    old, new = verdict_in_words(before.results), verdict_in_words(now.results)
    if old != new:
        yield f"{new or 'none'}; before: {old or 'none'}"


def _estimate(before: Run, now: Run) -> Iterator[str]:
    old, new = estimate_in_words(before.results), estimate_in_words(now.results)
    if old != new:
        yield f"{new or 'none'}; before: {old or 'none'}"


def _data(before: Run, now: Run) -> Iterator[str]:
    rows = _values(before.record.get("rows"), now.record.get("rows"), "rows of {}")
    yield from rows
    old, new = before.record.get("data_until"), now.record.get("data_until")
    if old != new:
        yield f"newest record: {new or 'none'}; before: {old or 'none'}"
    then, today = (_hashes(run.record) for run in (before, now))
    for said, names in (
        ("new", today.keys() - then.keys()),
        ("gone", then.keys() - today.keys()),
        ("changed", {name for name in today.keys() & then.keys() if today[name] != then[name]}),
    ):
        if names:
            listed = cut(", ".join(sorted(names)), _LONGEST)
            yield f"{said}: {wording.count(len(names), 'files')} ({listed})"


def _hashes(record: Mapping[str, Any]) -> dict[str, Any]:
    files = record.get("inputs")
    listed = files if isinstance(files, list) else []
    files = {str(f["file"]): f.get("sha256") for f in listed if isinstance(f, Mapping) and "file" in f}
    return {
        name: digest for name, digest in files.items() if not name.endswith(".jsonl")
    }  # ledgers always grow


def _values(old: Any, new: Any, name: str = "{}") -> Iterator[str]:
    old, new = (v if isinstance(v, Mapping) else {} for v in (old, new))
    for key in dict.fromkeys([*new, *old]):
        if (key in old) != (key in new) or old.get(key) != new.get(key):
            then, today = (_shown(values[key]) if key in values else "none" for values in (old, new))
            yield f"{name.format(key)}: {today}; before: {then}"


def _shown(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return cut(text, _LONGEST) or "empty"


def _versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    yield from _values(old.get("versions"), new.get("versions"))
    then, today = (record.get("notebook") for record in (old, new))
    if then != today:
        yield "the notebook"
    if old.get("git_commit") != new.get("git_commit"):
        yield f"commit: {str(new.get('git_commit'))[:12]}; before: {str(old.get('git_commit'))[:12]}"
