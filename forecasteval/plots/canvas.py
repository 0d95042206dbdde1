"""What every picture shares: its size, its colours, its name and its text alternative.

Forecasters keep their colour (Okabe-Ito, distinct without colour vision and in grey).
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WIDTH = 4.8  # inches: letters stay readable where a phone shows it at full width
INK, GREY, FAINT = "#1f2933", "#6b7280", "#d5d9de"
_COLOURS = {
    "model": "#0072B2",
    "rep_forecast": "#D55E00",
    "rep_recalibrated": "#E69F00",
    "rep_category": "#CC79A7",
    "stage_rate": "#009E73",
    "base_rate": "#7a7a7a",
    "mix": "#56B4E9",
}
_OTHERS = ("#000000", "#8b5a2b", "#5e3c99", "#1b7837")
_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "text.parse_math": False,  # a name with $ signs is a name
    "figure.dpi": 100,
    "savefig.dpi": 180,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its name and its text alternative; shows itself in a notebook."""

    name: str
    alt: str
    figure: Figure

    def png(self) -> bytes:
        """The picture as PNG."""
        buffer = io.BytesIO()
        with mpl.rc_context(_STYLE):
            self.figure.savefig(buffer, format="png", metadata={"Software": None, "Description": self.alt})
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png()).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "name": self.name, "width": 580}}


@dataclass(frozen=True)
class Absent:
    """What stands in a report where there is nothing to draw: the reason."""

    why: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": f'<p class="note">{escape(self.why)}</p>', "text/plain": self.why}


def colour(name: str, among: Sequence[str] = ()) -> str:
    """The colour of a forecaster, the same in every picture.

    Examples
    --------
    >>> colour("model")
    '#0072B2'
    """
    if name in _COLOURS:
        return _COLOURS[name]
    others = [n for n in among if n not in _COLOURS]
    return _OTHERS[others.index(name) % len(_OTHERS)] if name in others else _OTHERS[0]


def short(text: str, most: int = 26) -> str:
    """A label that cannot blow a picture up.

    Examples
    --------
    >>> short("a" * 40)
    'aaaaaaaaaaaaaaaaaaaaaaaaa…'
    """
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


@contextmanager
def canvas(height: float, columns: int = 1, **grid: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure and its axes in the style of the reports; `height` in inches, `grid` for `subplots`."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots(ncols=columns, **({"sharey": columns > 1} | grid))


def title(figure: Figure, message: str) -> None:
    """Write the message of a picture above it."""
    figure.suptitle(
        textwrap.fill(short(message, 150), 46), x=0.01, ha="left", fontsize=11.5, fontweight="bold", color=INK
    )
