"""What every picture shares: its size, its colours, its name and its text alternative.

Forecasters keep their colour (Okabe-Ito, distinct without colour vision and in grey).
"""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from forecasteval.compare.compare import Comparison
from forecasteval.report._harvest import MIME
from forecasteval.report.blocks import difference_words
from forecasteval.report.labels import in_words, on_axis
from forecasteval.scores.probability import METRICS

_WIDTH = 4.8  # inches: letters stay readable where a phone shows it at full width
_DPI = 180
_WHITE = 250  # what a palette makes of white is at least this
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
    "text.hinting": "no_hinting",  # letters are not bent to pixels that no screen shows one by one
    "figure.dpi": _DPI,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its name and its text alternative; shows itself in a notebook."""

    name: str
    alt: str
    figure: Figure

    def png(self) -> bytes:
        """The picture as PNG, in 256 colours: a third of the size, and nobody sees the difference."""
        with mpl.rc_context(_STYLE):
            canvas = FigureCanvasAgg(self.figure)  # before the layout, which then measures letters for it
            self._lay_out()
            canvas.draw()
        image = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
        image = image.convert("RGB").quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        colours = image.getpalette() or []
        paper = {i for i in range(0, len(colours), 3) if min(colours[i : i + 3]) >= _WHITE}
        image.putpalette([255 if i - i % 3 in paper else c for i, c in enumerate(colours)])
        about, buffer = PngInfo(), io.BytesIO()
        about.add_text("Description", self.alt)
        image.save(buffer, format="png", dpi=(_DPI, _DPI), pnginfo=about)
        return buffer.getvalue()

    def _lay_out(self) -> None:
        """Find room for everything, once: letters are measured for it, and Matplotlib would do so before each file."""
        if (engine := self.figure.get_layout_engine()) is not None:
            engine.execute(self.figure)
            self.figure.set_layout_engine(None)

    def svg(self) -> str:
        """The picture as SVG, for slides: letters as outlines, so that it looks the same everywhere."""
        buffer = io.StringIO()
        with mpl.rc_context(_STYLE | {"svg.hashsalt": self.name}):
            self._lay_out()
            about = {"Date": None, "Creator": None, "Title": self.name, "Description": self.alt}
            self.figure.savefig(buffer, format="svg", metadata=about)
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        picture = base64.b64encode(self.png()).decode("ascii")
        data = {"image/png": picture, MIME: {"svg": self.svg()}, "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "name": self.name, "width": 580}}


@dataclass(frozen=True)
class Absent:
    """What stands in a report where there is nothing to draw: the reason; nothing, where another place says it."""

    why: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        said = f'<p class="note absent">{escape(self.why)}</p>' if self.why else ""
        return {"text/html": said, "text/plain": self.why}


def colour(name: str, among: Sequence[str] = ()) -> str:
    """The colour of a forecaster, the same in every picture."""
    if name in _COLOURS:
        return _COLOURS[name]
    others = [n for n in among if n not in _COLOURS]
    return _OTHERS[others.index(name) % len(_OTHERS)] if name in others else _OTHERS[0]


def short(text: str, most: int = 26) -> str:
    """A label that cannot blow a picture up.

    >>> short("a" * 40)
    'aaaaaaaaaaaaaaaaaaaaaaaaa…'
    """
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


@contextmanager
def canvas(height: float, columns: int = 1, **grid: Any) -> Iterator[tuple[Figure, Any]]:
    """A figure and its axes in the style of the reports; `height` in inches, `grid` for `subplots`."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.subplots(ncols=columns, **({"sharey": columns > 1} | grid))


def warm_up() -> None:
    """Draw something, so that fonts are found and letters known in every process that is forked from this one."""
    with canvas(2) as (figure, ax):
        title(figure, "abcdefghijklmnopqrstuvwxyz 0123456789")
        ax.plot([0, 1], [0, 1], label="ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        ax.legend()
    warm = Picture("warm", "", figure)
    warm.png()
    warm.svg()


def title(figure: Figure, message: str) -> None:
    """Write the message of a picture above it."""
    figure.suptitle(
        textwrap.fill(short(in_words(message), 150), 46),
        x=0.01,
        ha="left",
        fontsize=11.5,
        fontweight="bold",
        color=INK,
    )


def note(figure: Figure, text: str) -> None:
    """Write what the marks of a picture mean below it."""
    if text:
        figure.supxlabel(textwrap.fill(text, 82), fontsize=8, color=GREY, x=0.01, ha="left")


def labelled(ax: Axes, labels: Sequence[str], size: float = 8.5) -> list[int]:
    """Label rows from the top down, without an axis beside them; gives their heights."""
    heights = list(range(len(labels), 0, -1))
    ax.set_yticks(heights, labels, fontsize=size)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return heights


def ahead(ax: Axes, above: str, below: str) -> None:
    """Say in the corners what lies above zero and what below it."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
    for text, y, va in ((f"↑ {above}", 0.99, "top"), (f"↓ {below}", 0.01, "bottom")):
        ax.text(0.995, y, text, transform=ax.transAxes, ha="right", va=va, fontsize=9, color=GREY, bbox=box)


def sides(comparison: Comparison) -> tuple[str, str]:
    """Who is better to the left and to the right of zero."""
    left_is_candidate = METRICS[str(comparison.primary["metric"])].better != "higher"
    names = (short(on_axis(comparison.candidate), 20), short(on_axis(comparison.baseline), 20))
    return names if left_is_candidate else (names[1], names[0])


def difference_axis(measure: str, left: str, right: str) -> str:
    """What the axis measures, and who is better to either side of zero."""
    return f"Difference in {measure}\n← {left} better   |   {right} better →"


def axis_label(comparison: Comparison) -> str:
    """The axis of a comparison's difference."""
    return difference_axis(METRICS[str(comparison.primary["metric"])].label, *sides(comparison))


def _interval(ax: Axes, y: float, row: Mapping[str, Any], shade: str) -> None:
    """One estimate with its interval; hollow where it is not reliable, without bar where there is none."""
    face = shade if row["reliable"] else "white"
    if math.isfinite(row["low"]):
        style = "-" if row["reliable"] else (0, (3, 2))
        ax.plot([row["low"], row["high"]], [y, y], color=shade, lw=2.4, ls=style, solid_capstyle="butt")
    ax.plot([row["difference"]], [y], "o", ms=7, mfc=face, mec=shade, mew=1.6)


_ROOM = 0.5  # share of the axis that an estimate with its interval takes in figures


def stacked(
    name: str,
    message: str,
    rows: Sequence[tuple[str, Mapping[Any, Any], str]],
    axis_label: str,
    below: str = "",
    alt: str = "",
) -> Picture:
    """Estimates with intervals one under the other, around a zero line.

    `rows` are labels, rows of `comparison.table` (of which difference, low, high and reliable are drawn) and colours;
    the text alternative is made of them unless it is given.
    """
    with canvas(1.5 + 0.55 * len(rows)) as (figure, ax):
        title(figure, message)
        ax.axvline(0, color=INK, lw=1)
        heights = labelled(ax, [label for label, *_ in rows], 10)
        for at, (_, row, shade) in zip(heights, rows, strict=True):
            _interval(ax, at, row, shade)
        ax.set_ylim(0.45, len(rows) + 0.6)
        ax.set_xlabel(axis_label, fontsize=9)
        ax.margins(x=0.08)
        ax.locator_params(axis="x", nbins=5)
        lowest, highest = ax.get_xlim()
        zero = -lowest / (highest - lowest)
        # figures stand on the side of the zero line that has room for them, so as not to cross it
        side: Literal["left", "right"] = "left" if zero < 1 - _ROOM else "right"
        edge = zero if zero > _ROOM or side == "left" else 1.0
        away = 0 if edge == 1.0 else 5 if side == "left" else -5
        for at, (_, row, _) in zip(heights, rows, strict=True):
            ax.annotate(
                difference_words(row), (edge, at), (away, 9), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha=side, va="center", fontsize=8.5, color=GREY, zorder=1,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip
        ax.set_xlim(lowest, highest)
        note(figure, below)
    said = "; ".join(f"{label}: {difference_words(row)}".replace("\n", " ") for label, row, _ in rows)
    return Picture(name, alt or f"{message} Differences with intervals. {said}.", figure)
