"""What every page says first, whatever its question: whose data, of which time, made when, and why this verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

_NOBODY = "whoever sent you this page (name one as contact in organisation.yaml)"


@dataclass(frozen=True)
class FirstScreen:
    """The line below a page's title and the one below its answer; what is not known is left out."""

    organisation: str
    facts: tuple[str, ...]
    inputs: str
    change: str
    contact: str

    @classmethod
    def of(cls, results: Mapping[str, Any], provenance: Mapping[str, Any]) -> FirstScreen:
        """What a notebook published under `about`, and the day of the run."""
        about = results.get("about")
        about = about if isinstance(about, Mapping) else {}
        made = str(provenance.get("finished", ""))[:10]
        dates = [
            f"{said} {_day(day)}"
            for said, day in (("data until", about.get("data_until")), ("made on", made))
            if day
        ]
        periods = [str(p) for p in about.get("periods") or []]
        span = " to ".join(dict.fromkeys([periods[0], periods[-1]])) if periods else ""
        organisation = str(about.get("organisation") or "")
        facts = tuple(fact for fact in (organisation, span, *dates) if fact)
        told = (str(about.get(key) or "") for key in ("inputs", "change", "contact"))
        return cls(organisation, facts, *told)

    def put(self, soup: Any) -> None:
        """Write both lines on a page."""
        title = soup.main.find("h1")
        if title is not None and self.facts:
            line = soup.new_tag("p", attrs={"class": "facts"})
            line.string = " \N{MIDDLE DOT} ".join(self.facts)
            title.insert_after(line)
        card = soup.main.find(class_="verdict-card")
        if card is not None and self.inputs:
            line, name = soup.new_tag("p", attrs={"class": "why"}), soup.new_tag("strong")
            name.string = "Why this verdict?"
            change = f" {self.change}" if self.change else ""
            ask = f" It judges forecasts, not people. Ask {self.contact or _NOBODY}."
            line.extend([name, f" {self.inputs}{change}{ask}"])
            card.append(line)


def _day(text: Any) -> str:
    """A day as people write it."""
    try:
        day = date.fromisoformat(str(text)[:10])
    except ValueError:
        return str(text)
    return f"{day.day} {day:%B %Y}"
