"""A report in a few lines, for a chat or a mail: as plain text, as Markdown and as plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecasteval.compare.wording import count
from forecasteval.report._manifest import as_json
from forecasteval.report.brief import cut, verdict_line
from forecasteval.report.changes import Changes, Run
from forecasteval.report.gate import primary_row
from forecasteval.report.labels import in_words, names_in

ROW = (  # what leaves of the primary comparison
    *("metric", "candidate", "baseline", "verdict", "reliable"),
    *("difference", "low", "high", "level", "p_value", "deals"),
)
_HEADLINE, _LINE = 600, 240  # characters
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~@&])")


@dataclass(frozen=True)
class Summary:
    """What a reader who opens nothing has to know."""

    values: Mapping[str, Any]
    changes: Changes | None

    @classmethod
    def of(cls, name: str, title: str, run: Run, changes: Changes | None = None, answer: str = "") -> Summary:
        """The summary of a report: what its first screen answers, and what has changed since the last one."""
        row, record = primary_row(run.results) or {}, run.record
        values = {
            "schema_version": 1,
            "report": name,
            "title": title,
            "organisation": record.get("organisation"),
            "made_on": record.get("finished"),
            "data_until": record.get("data_until"),
            "status": run.results.get("status"),
            "data_problems": run.results.get("data_problems", 0),
            "headline": in_words(answer or str(run.results.get("headline", "")), names_in(run.results)),
            **{key: row[key] for key in ROW if key in row},
            # what deals are called here
            **{key: run.results[key] for key in ("counted",) if key in run.results},
            "changed": None if changes is None else changes.to_dict(),
        }
        return cls(values, changes)

    def files(self) -> dict[str, str]:
        """The three files of a report's folder, by name."""
        return {
            "summary.txt": self.text(),
            "summary.md": self.markdown(),
            "summary.json": as_json(self.values),
        }

    def text(self) -> str:
        """Plain text, a thought a line."""
        head, headline, lines, changed = self._parts()
        listed = [f"- {line}" for line in changed]
        return "\n".join(filter(None, [head, headline, *lines, *listed])) + "\n"

    def markdown(self) -> str:
        """Markdown in which everything that came from data stays text."""
        head, headline, lines, changed = (
            [_escaped(t) for t in part] if isinstance(part, list) else _escaped(part)
            for part in self._parts()
        )
        strong = [f"**{head}**", headline, *lines]
        listed = "\n".join(f"- {line}" for line in changed)
        return "\n\n".join(filter(None, [*map(str, strong), listed])) + "\n"

    def _parts(self) -> tuple[str, str, list[str], list[str]]:
        values = self.values
        failed = "FAILED: " if values["status"] == "failed" else ""
        who = f"{values['organisation']}: " if values["organisation"] else ""
        until = f"Data until {values['data_until']}. " if values["data_until"] else ""
        doubts = values["data_problems"]
        told = f" {count(doubts, 'things')} in the data to look at." if doubts else ""
        made = f"{until}Made on {str(values['made_on'])[:10]}.{told}" if values["made_on"] else ""
        lines = [verdict_line(values), made, "" if self.changes is None else self.changes.sentence]
        changed = [
            f"{k}: {s}" for k, found in (self.changes.found if self.changes else {}).items() for s in found
        ]
        return (
            cut(f"{failed}{who}{values['title']}", _LINE),
            cut(str(values["headline"]), _HEADLINE),
            [cut(line, _LINE) for line in lines if line],
            [cut(line, _LINE) for line in changed],
        )


def _escaped(text: str) -> str:
    return _MARKUP.sub(r"\\\1", text)
