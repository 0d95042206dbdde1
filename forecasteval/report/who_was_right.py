"""The section on deals about which two forecasters disagree, which several pages share."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecasteval.compare.disagreement import FAR, Disagreement
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.compare.wording import capital, money
from forecasteval.report.blocks import Html, Words
from forecasteval.report.labels import label, on_axis
from forecasteval.report.section import OrWhy

if TYPE_CHECKING:
    from forecasteval.report.figures import Absent, Picture

_SAY = Words(__file__)
_SHOWN = 15


@dataclass(frozen=True, eq=False)
class WhoWasRight(OrWhy):
    """Who was right where two were apart, and the open deals on which they are far apart now.

    ``found`` is why there is nothing, where it is a text; ``say`` holds what the two are called, where a page has words of
    its own for them.
    """

    found: Disagreement | str
    disputed: pd.DataFrame
    currency: str | None = None
    say: Mapping[str, str] = field(default_factory=dict)
    how: str = ""  # how decisions are handed back
    unfolded: bool = False  # does the list of deals stand open, where it is what the page is for?

    far = round(100 * FAR)

    def called(self, text: str) -> str:
        """A text with the two as people speak of them."""
        assert isinstance(self.found, Disagreement)
        names = sorted((self.found.candidate, self.found.baseline), key=len, reverse=True)
        either = rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])"
        return capital(re.sub(either, lambda m: self.say.get(m[0], label(m[0])), text))

    def money(self, amount: float) -> str:
        """In the organisation's currency."""
        return money(amount, currency=self.currency)

    @property
    def two(self) -> tuple[str, str]:
        """Candidate and baseline, as they are called."""
        assert isinstance(self.found, Disagreement)
        candidate, baseline = (self.say.get(n, label(n)) for n in (self.found.candidate, self.found.baseline))
        return candidate, baseline

    @property
    def open(self) -> dict[str, Any]:
        """How many open deals are in dispute, and for how much."""
        amounts = self.disputed["amount"].astype(float) if len(self.disputed) else pd.Series(dtype=float)
        return {
            "deals": len(self.disputed),
            "amount": float(amounts.sum()),
            "without_amount": int(amounts.isna().sum()),
        }

    @property
    def sentence(self) -> str:
        """How many open deals are in dispute, and how such deals ended; empty where nobody knows."""
        return "" if isinstance(self.found, str) else _SAY("dispute", self, self.found).text

    @property
    def rows(self) -> list[list[str]]:
        """The bands as people read them."""
        found = []
        assert isinstance(self.found, Disagreement)
        for r in self.found.bands.to_dict("records"):
            interval = (
                f" ({r['closer_low']:.0%} to {r['closer_high']:.0%})"
                if math.isfinite(r["closer_low"])
                else ""
            )
            shares = [f"{r[c]:.0%}" for c in ("baseline_said", "candidate_said", "won")]
            found.append(
                [
                    self.called(r["band"]),
                    f"{r['deals']:,}",
                    *shares,
                    f"{r['closer']:.0%}{interval}",
                    self._told(r["verdict"]),
                ]
            )
        return found

    def _told(self, verdict: str) -> str:
        better = dict(zip((CANDIDATE, BASELINE), self.two, strict=True))
        return f"{capital(better[verdict])} better" if verdict in better else capital(verdict)

    @property
    def parts(self) -> list[list[str]]:
        """Segments and reps in which one of the two is shown to be better on such deals."""
        assert isinstance(self.found, Disagreement)
        return [
            [capital(by), str(r["segment"]), f"{r['deals']:,}", self._told(r["verdict"])]
            for by, f in self.found.parts.items()
            for r in f.table.to_dict("records")
            if r["in_family"] and r["verdict"] in (CANDIDATE, BASELINE)
        ]

    @property
    def by(self) -> str:
        """The columns by which such deals were told apart, in words."""
        assert isinstance(self.found, Disagreement)
        return ", ".join(label(name) for name in self.found.parts).lower()

    @property
    def listed(self) -> list[list[str]]:
        """The disputed deals with most at stake."""
        assert isinstance(self.found, Disagreement)
        said = (self.found.baseline, self.found.candidate)
        return [
            [
                str(r["deal_id"]),
                str(r["rep"]).replace(" ", "\N{NO-BREAK SPACE}"),
                self.money(r["amount"]),
                *(f"{r[n]:.0%}" for n in said),
                "",
                "",
            ]
            for r in self.disputed.head(_SHOWN).to_dict("records")
        ]

    def words(self) -> Html:
        """The section as text."""
        return (
            _SAY("nothing", self.found)
            if isinstance(self.found, str)
            else _SAY("who_was_right", self, self.found)
        )

    def figure(self) -> Picture | Absent:
        """What the two said and how many were won, by how far they were apart."""
        from forecasteval.report.figures import FAINT, INK, Absent, Picture, canvas, colour, short, title

        d = self.found
        if isinstance(d, str):
            return Absent(d)
        (candidate, baseline), t = self.two, d.bands
        shades = {n: colour(n, (d.candidate, d.baseline)) for n in (d.candidate, d.baseline)}
        ahead = {CANDIDATE: candidate, BASELINE: baseline}.get(str(d.far.verdict)) if d.far else None
        message = "Where they are far apart, it cannot be told who is right"
        if ahead:
            message = f"Where they are far apart, {ahead} is nearer to what happens"
        with canvas(1.8 + 0.55 * len(t)) as (figure, ax):
            title(figure, message if d.far else "The two are never far apart")
            for i, r in enumerate(t.to_dict("records")):
                ax.plot(
                    [r["candidate_said"], r["baseline_said"]],
                    [-i, -i],
                    color=FAINT,
                    lw=5,
                    solid_capstyle="round",
                    zorder=1,
                )
                for who, name in (("candidate", d.candidate), ("baseline", d.baseline)):
                    ax.plot([r[f"{who}_said"]], [-i], "o", ms=8, color=shades[name], zorder=2)
                ax.plot([r["won_low"], r["won_high"]], [-i - 0.24] * 2, color=INK, lw=2)
                ax.plot([r["won"]], [-i - 0.24], "D", ms=5, color=INK, zorder=3)
            labels = [
                f"{textwrap.fill(short(self.called(b), 48), 22)}\n{n:,} deals"
                for b, n in zip(t["band"], t["deals"], strict=True)
            ]
            ax.set_yticks([-i for i in range(len(t))], labels, fontsize=8)
            ax.tick_params(axis="y", length=0)
            ax.spines["left"].set_visible(False)
            ax.set_xlim(-0.02, 1.02)
            ax.set_ylim(-len(t) + 0.4, 1.05)
            ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])
            ax.set_xlabel("Chance to win", fontsize=9)
            spoke = [f"● {short(on_axis(name), 20)}" for name in self.two]
            legend = (
                (0.0, spoke[0], shades[d.candidate]),
                (0.36, spoke[1], shades[d.baseline]),
                (0.8, "◆ won", INK),
            )
            for x, said, shade in legend:
                ax.text(x, 0.995, said, transform=ax.transAxes, va="top", fontsize=8.5, color=shade)
        told = "; ".join(
            f"{self.called(r['band'])}, {r['deals']} deals: {baseline} said {r['baseline_said']:.0%}, {candidate} "
            f"{r['candidate_said']:.0%}, won {r['won']:.0%}"
            for r in t.to_dict("records")
        )
        return Picture("who_was_right", f"{message}. {told}.", figure)
