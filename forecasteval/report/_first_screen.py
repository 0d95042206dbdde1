"""What every page says, whatever its question: whose data, of which time, made when, why this verdict; and of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecasteval.compare.rep_bias import LEAST_DEALS
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.report.brief import day_in_words

_PEOPLE = (
    "No person is scored here: reps are groups of deals, shown by number unless names were asked for; below "
    f"{MIN_CLUSTERS['rep']} reps nothing is said about reps, and a rep with fewer than {LEAST_DEALS} deals is not judged."
)
_SIMULATED = "No person's data stand behind this page."
_DECIDES = "What follows a person decides. This is no legal advice; data/README.md says what to weigh."
_NOBODY = "whoever sent you this page (name one as contact in organisation.yaml)"


@dataclass(frozen=True)
class FirstScreen:
    """The line below a page's title, the one below its answer and the last one; what is not known is left out."""

    organisation: str
    facts: tuple[str, ...]
    inputs: str
    change: str
    contact: str
    people: str
    judges: str

    @classmethod
    def of(cls, results: Mapping[str, Any], provenance: Mapping[str, Any]) -> FirstScreen:
        """What a notebook published under `about`, and the day of the run."""
        about = results.get("about")
        about = about if isinstance(about, Mapping) else {}
        made = str(provenance.get("finished", ""))[:10]
        dates = [
            f"{said} {day_in_words(day)}"
            for said, day in (("data until", about.get("data_until")), ("made on", made))
            if day
        ]
        periods = [str(p) for p in about.get("periods") or []]
        span = " to ".join(dict.fromkeys([periods[0], periods[-1]])) if periods else ""
        organisation = str(about.get("organisation") or "")
        facts = tuple(fact for fact in (organisation, span, *dates) if fact)
        inputs, change, contact = (str(about.get(key) or "") for key in ("inputs", "change", "contact"))
        people = str(about.get("people") or (_PEOPLE if organisation else _SIMULATED)) if about else ""
        judges = str(about.get("judges") or "It judges forecasts, not people.")
        return cls(organisation, facts, inputs, change, contact, people, judges)

    def put(self, soup: Any) -> None:
        """Write the lines on a page: below its title, in its card, and on people at its end."""
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
            ask = f" {self.judges} Ask {self.contact or _NOBODY}."
            line.extend([name, f" {self.inputs}{change}{ask}"])
            card.append(line)
        if self.people:
            line = soup.new_tag("p", attrs={"class": "note people"})
            line.string = f"People: {self.people} {_DECIDES}"
            soup.main.append(line)
