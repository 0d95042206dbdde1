"""A small form for a notebook's parameters, where a person sits before it; nothing where nobody does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, MutableMapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from forecasteval.errors import InputError
from forecasteval.matching.forecasters import BUILT_IN
from forecasteval.matching.matched import RESERVED, Matched
from forecasteval.report import labels
from forecasteval.report.blocks import Html
from forecasteval.sources import folder as folders
from forecasteval.tables import calendar
from forecasteval.tables.organisation import Org

_ASKED = {
    "data": "Data folder",
    "candidate": "Forecaster",
    "model": "Beside the people",
    "baseline": "Held against",
    "as_of": "Moment",
    "week": "Week",
    "segment": "Only deals of",
}
_NONE = {"model": "nobody", "week": "the last one that is over", "segment": "all"}
_MOST = 12  # values of a column that can still be chosen from
_form: Form | None = None  # of this kernel's notebook


def choose(namespace: MutableMapping[str, Any]) -> Any:
    """A form for data folder, forecasters, week and segment: what is chosen is put into the notebook's variables.

    It shows itself in JupyterLab only. Under papermill, a scheduler or `forecasteval report` nothing is shown, and the
    parameters are those that were given. What was chosen holds until the kernel restarts or the cell with the
    parameters says something else.

    Parameters
    ----------
    namespace : ``globals()`` of the notebook

    Returns
    -------
    The form to be displayed, a hint where ipywidgets (extra ``lab``) is missing, or None

    Examples
    --------
    >>> choose({"data": "data/demo", "candidate": "model"})  # nobody sits before a doctest
    """
    if labels.LAB not in os.environ:
        return None
    if find_spec("ipywidgets") is None:
        return Html.of("<p>A form for these parameters comes with ipywidgets (extra <code>lab</code>).</p>")
    global _form
    given = {name: namespace[name] for name in _ASKED if name in namespace}
    if _form is None or given not in (_form.given, _form.chosen):
        _form = Form(given)
    _form.speak_to(namespace)
    return _form.box


class Form:
    """Its widgets, the values that the notebook gave it, and those that a person has chosen since."""

    def __init__(self, given: dict[str, Any]) -> None:
        """Build the widgets; what may be chosen comes from the data."""
        import ipywidgets

        self.given, self.chosen = given, dict(given)
        self._namespace: MutableMapping[str, Any] = {}
        self._filling = False
        self._said = ipywidgets.HTML()
        self._widgets: dict[str, Any] = {}
        wide = {"style": {"description_width": "10em"}, "layout": {"width": "36em", "max_width": "100%"}}
        for name in given:
            kind = (
                partial(ipywidgets.Combobox, continuous_update=False)
                if name == "data"
                else ipywidgets.Dropdown
            )
            widget = self._widgets[name] = kind(description=_ASKED[name], **wide)
            widget.observe(partial(self._picked, name), "value")
        self._fill(self._read(given.get("data", "")))
        self.box = ipywidgets.VBox([*self._widgets.values(), self._said])

    def speak_to(self, namespace: MutableMapping[str, Any]) -> None:
        """Put what was chosen into a notebook's variables, now and from now on."""
        self._namespace = namespace
        namespace.update(self.chosen)

    def _picked(self, name: str, change: Any) -> None:
        if self._filling or change["new"] == self.chosen[name]:
            return
        if name == "data":
            org = self._read(change["new"])
            if org is None:
                return  # what is wrong stands below; the last folder stays
            self.chosen[name] = change["new"]
            self._fill(org)
        self.chosen[name] = change["new"]
        self._namespace.update(self.chosen)
        changed = "\n".join(f"{n} = {v!r}" for n, v in self.chosen.items() if v != self.given[n])
        self._say(
            "Chosen. Now: Run, Run Selected Cell and All Below. To keep it, write into the cell of parameters:"
            if changed
            else "As the cell of parameters says.",
            changed,
        )

    def _read(self, folder: str) -> Org | None:
        if not folder:
            return None
        try:
            return folders.read(folder)
        except InputError as error:
            self._say(str(error))
            return None

    def _fill(self, org: Org | None) -> None:
        """Offer what the data know; what is chosen now is always among it."""
        offered = dict(_offered(org)) if org is not None else {}
        labels.offered |= set(offered.get("candidate", []))
        self._filling = True
        for name, widget in self._widgets.items():
            now = self.chosen[name]
            if name == "data":
                widget.options, widget.value = _folders(), str(now)
                continue
            values = list(
                dict.fromkeys([*([type(now)()] if name in _NONE else []), *offered.get(name, []), now])
            )
            widget.options = [(_called(name, value), value) for value in values]
            widget.value = now
        self._filling = False

    def _say(self, text: str, code: str = "") -> None:
        from html import escape

        self._said.value = f"<p>{escape(text)}</p>" + (f"<pre>{escape(code)}</pre>" if code else "")


def _called(name: str, value: Any) -> str:
    if value in ("", 0) and name in _NONE:
        return _NONE[name]
    return labels.label(value) if name in ("candidate", "baseline", "model") else str(value)


def _offered(org: Org) -> Iterator[tuple[str, list[Any]]]:
    """What can be chosen for each parameter."""
    names = [*BUILT_IN, *org.outside] if org.matched is None else Matched.of(org).names
    yield from ((parameter, names) for parameter in ("candidate", "baseline", "model"))
    if org.matched is None and org.periods is not None and len(org.periods):
        weeks = range(1, int(calendar.weeks_in(org.periods).min()) + 1)
        yield "as_of", [f"week {week}" for week in weeks]
        yield "week", list(weeks)
    yield "segment", list(_segments(org))


def _segments(org: Org) -> Iterator[str]:
    table = org.deals if org.matched is None else org.matched
    if table is None:
        return
    own = [str(c) for c in table if c not in RESERVED | {"created_on", "closed_on", "outcome"}]
    for column in [c for c in org.settings.segments if c in own] or own:
        values = table[column].astype("string").dropna().value_counts().index
        if 2 <= len(values) <= _MOST:
            yield from (f"{column}: {value}" for value in values)


def _folders() -> list[str]:
    """Data folders that lie beside the demo, as a notebook would name them."""
    here = Path.cwd()
    places: Iterable[Path] = (above / "data" for above in (here, *here.parents))
    found = next((place for place in places if place.is_dir()), None)
    folders_there = (
        [] if found is None else sorted(f for f in found.iterdir() if f.is_dir() and f.name != "claims")
    )
    return [f"data/{folder.name}" for folder in folders_there if not folder.name.startswith(".")]
