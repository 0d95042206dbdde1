"""What every page says, whatever its question: whose data, of which time, made when, why this verdict; and of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecasteval.compare.rep_bias import LEAST_DEALS
from forecasteval.compare.wording import capital
from forecasteval.inference.limits import MIN_CLUSTERS
from forecasteval.report.brief import day_in_words

_PEOPLE = (
    "No person is scored here: reps are groups of deals, shown by number unless names were asked for; below "
    f"{MIN_CLUSTERS['rep']} reps nothing is said about reps, and a rep with fewer than {LEAST_DEALS} deals is not judged."
)
_SIMULATED = "No person's data stand behind this page."
_DECIDES = "What follows a person decides. This is no legal advice; data/README.md says what to weigh."
_NOBODY = "whoever sent you this page"


def about_of(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a notebook published of whose data these are and whom to ask; nothing where it published none."""
    about = results.get("about")
    return about if isinstance(about, Mapping) else {}


def put(soup: Any, results: Mapping[str, Any], made: str) -> None:
    """Write on a page what its notebook published under `about`: below its title, in its card, and on people at its end.

    `made` is the moment of the run; what is not known is left out.
    """
    about = about_of(results)
    said = {key: str(about.get(key) or "") for key in ("organisation", "inputs", "change", "contact")}
    periods = [str(p) for p in about.get("periods") or []]
    dates = (("data until", about.get("data_until")), ("made on", made[:10]))
    facts = [
        said["organisation"],
        " to ".join(dict.fromkeys([periods[0], periods[-1]])) if periods else "",
        *(f"{what} {day_in_words(day)}" for what, day in dates if day),
    ]
    title = soup.main.find("h1")
    if title is not None and any(facts):
        line = soup.new_tag("p", attrs={"class": "facts"})
        told = " \N{MIDDLE DOT} ".join(filter(None, facts))
        line.string = told if said["organisation"] else capital(told)
        title.insert_after(line)
    card = soup.main.find(class_="verdict-card")
    if card is not None and said["inputs"]:
        line, name = soup.new_tag("p", attrs={"class": "why"}), soup.new_tag("strong")
        name.string = "Why this verdict?"
        judges = about.get("judges") or "It judges forecasts, not people."
        ask = f"{judges} Ask {said['contact'] or _NOBODY}."
        line.extend([name, f" {' '.join(filter(None, [said['inputs'], said['change'], ask]))}"])
        card.append(line)
    if about:
        people = about.get("people") or (_PEOPLE if said["organisation"] else _SIMULATED)
        line = soup.new_tag("p", attrs={"class": "note people"})
        line.string = f"People: {people} {_DECIDES}"
        soup.main.append(line)
