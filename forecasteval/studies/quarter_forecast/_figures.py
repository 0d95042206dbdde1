"""Pictures of a quarter: each says its message in the title and draws what it is handed; nothing is computed here."""

from __future__ import annotations

import math
import re
import textwrap
from typing import Any

import pandas as pd

from forecasteval.compare.accuracy import GREEN
from forecasteval.compare.wording import capital, count
from forecasteval.report.figures import FAINT, GREY, INK, Absent, Picture, canvas, colour, note, short, title
from forecasteval.studies.quarter_forecast._wording import called, points

_MOST = 20  # more can be read neither on a phone nor on paper
_GAIN, _LOSS = "#009E73", "#D55E00"
_STEPS = {"closed": "closed by then", "open": "in the list", "booked": "booked"}


def _shades(section: Any) -> dict[str, str]:
    """Everybody's colour, the same in every picture of the page."""
    a = section.answer
    known = {a.machine: colour("model"), "rep_forecast": colour("rep_forecast")}
    names = [n for n in dict.fromkeys([*a.people, a.machine, *a.shown, a.primary]) if n]
    others = iter(["#CC79A7", "#8b5a2b", "#5e3c99", "#E69F00", "#56B4E9", "#1b7837", "#000000", "#7a7a7a"])
    if a.people and a.people[0] not in known:
        known[a.people[0]] = colour("rep_forecast")
    return {n: known[n] if n in known else next(others, INK) for n in names}


def _in_money(section: Any) -> Any:
    """Amounts on an axis."""
    return lambda value, _: re.sub(r"\.0(?=\D|$)", "", section.money(value)) if value else "0"


def _beside(ax: Any, text: str, at: tuple[float, float], off: tuple[float, float], **how: Any) -> None:
    """A label so many points from a place."""
    ax.annotate(text, at, off, textcoords="offset points", **({"fontsize": 8.5} | how))


def _shares(axis: Any) -> None:
    """Percent on an axis."""
    axis.set_major_formatter(lambda v, _: f"{v:.0%}")


def _apart(ends: list[tuple[float, Any]], least: float) -> list[tuple[float, Any]]:
    """Labels moved up until none hides another."""
    placed: list[tuple[float, Any]] = []
    for at, what in sorted(ends, key=lambda e: e[0]):
        placed.append((max(at, placed[-1][0] + least) if placed else at, what))
    return placed


def path(section: Any) -> Picture | Absent:
    """Who said what week by week, with the range and what was closed."""
    rows, band, a = section.rows, section.band, section.answer
    if not section.period or rows.empty:
        return Absent("")  # the first picture says why
    if rows["week"].nunique() < 2:
        return _ranges(section)
    actual = rows["actual"].dropna()
    shades = _shades(section)
    if len(actual):
        message = (
            f"{section.period}: {section.money(actual.iloc[0])} was booked; the numbers on the way there"
        )
    else:
        expect = f"expect {section.money(*band.iloc[-1][['low', 'high']])}" if len(band) else "no range yet"
        message = f"{section.period}, week {int(rows['week'].max())}: {expect}"
    height = 3.0 if len(actual) else 2.4  # the open one stands on the first printed page, with the card
    with canvas(height) as (figure, ax):
        title(figure, message)
        if len(band):
            ax.fill_between(
                band["week"], band["low"], band["high"], color=shades[a.primary], alpha=0.18, lw=0
            )
        ends: dict[float, list[tuple[float, str]]] = {}  # labels by the week in which their line ends
        for name in section.names:
            own = rows[rows["forecaster"] == name]
            if len(own):
                ax.plot(own["week"], own["amount"], "o-", ms=3.5, lw=1.8, color=shades[name])
                ends.setdefault(own["week"].iloc[-1], []).append((float(own["amount"].iloc[-1]), name))
        closed = rows.dropna(subset=["closed_to_date"]).drop_duplicates("week")
        if len(closed):
            ax.step(closed["week"], closed["closed_to_date"], where="post", color=INK, lw=2)
            ends.setdefault(closed["week"].iloc[-1], []).append((float(closed["closed_to_date"].iloc[-1]), "closed"))  # fmt: skip
        first, right = (float(v) for v in (rows["week"].min(), rows["week"].max()))
        if len(actual):
            ax.plot([first, right], [float(actual.iloc[0])] * 2, color=INK, lw=1.2, ls=(0, (4, 3)))
        ax.set_ylim(bottom=0)
        for week, labels in ends.items():
            for at, name in _apart(labels, ax.get_ylim()[1] * 0.22 / height):
                said = "closed" if name == "closed" else called(name).removeprefix("the ")
                shade = INK if name == "closed" else shades[name]
                _beside(
                    ax, short(said, 20), (week, at), (6, 0), va="center", color=shade, annotation_clip=False
                )
        ax.yaxis.set_major_formatter(_in_money(section))
        ax.set_xlabel(f"Week of the {a.one}", fontsize=9)
        ax.locator_params(axis="x", integer=True)
        if len(actual):
            note(figure, f"Band: the range around {called(a.primary)}. Dashed: what was booked in the end.")
    said = "; ".join(
        f"{called(n)}: " + ", ".join(f"week {w} {section.money(v)}" for w, v in zip(own["week"], own["amount"], strict=True))
        for n in section.names if len(own := rows[rows["forecaster"] == n])
    )  # fmt: skip
    return Picture(type(section).__name__.lower(), f"{message}. {said}.", figure)


def _ranges(section: Any) -> Picture | Absent:
    """Where each period is known at one moment only: its range, the number in it, and what was booked."""
    a, t = section.answer, section.ranged
    if t.empty:
        return Absent("One moment of each only, and no range yet: there is nothing to draw.")
    over = t.dropna(subset=["actual"])
    message = f"{int(over['held'].sum())} of {len(over)} ranges held what was booked"
    with canvas(2.4) as (figure, ax):
        title(figure, message)
        x = range(len(t))
        ax.vlines(x, t["low"], t["high"], color=_shades(section)[a.primary], alpha=0.3, lw=7)
        ax.plot(x, t["amount"], "_", ms=9, color=_shades(section)[a.primary])
        for held, shade in ((1, _GAIN), (0, _LOSS)):
            own = t["held"].eq(held).to_numpy()
            ax.plot([i for i in x if own[i]], t["actual"][own], "o", ms=5, color=shade)
        ax.set_xticks(x, t["period"].map(lambda p: short(p, 10)), fontsize=7.5, rotation=30, ha="right")
        ax.yaxis.set_major_formatter(_in_money(section))
        note(figure, f"Bars: the range around {called(a.primary)}. Dots: booked; green inside, red outside.")
    said = "; ".join(f"{r['period']} {section.money(r['low'], r['high'])}, booked {section.money(r['actual'])}" for r in t.to_dict("records"))  # fmt: skip
    return Picture("path", f"{message}. {said}.", figure)


def by_week(section: Any) -> Picture | Absent:
    """The usual miss by week, one small picture for each."""
    t, a = section.by_week, section.answer
    if t.empty:
        return Absent("No period with a number is over yet, so nobody's miss is known.")
    names = [n for n in a.shown if n in set(t["forecaster"])]
    now = t[t["week"] == a.week].set_index("forecaster")["wmape"].reindex(names).dropna().sort_values()
    message = "How far everybody usually is off"
    if len(now) > 1:
        message = f"At week {a.week} {called(now.index[0])} missed least ({now.iloc[0]:.0%}), {called(now.index[-1])} most ({now.iloc[-1]:.0%})"
    across, down = 2, math.ceil(len(names) / 2)
    shades = _shades(section)
    if len(set(t["week"])) == 1:
        return _one_week(section, t.set_index("forecaster").loc[names], message, shades)
    grid = {"nrows": down, "sharex": True, "sharey": True, "squeeze": False}
    top = min(float(t["wmape"].max()) * 1.25, 2.5)
    with canvas(1.1 + 0.95 * down, across, **grid) as (figure, axes):
        title(figure, message)
        for i, ax in enumerate(axes.ravel()):
            if i >= len(names):
                ax.set_visible(False)
                continue
            for other in names:
                own = t[t["forecaster"] == other].sort_values("week")
                if other != names[i]:
                    ax.plot(own["week"], own["wmape"], color=FAINT, lw=1)
            own = t[t["forecaster"] == names[i]].sort_values("week")
            shade = shades[names[i]]
            ax.fill_between(own["week"], own["low"], own["high"], color=shade, alpha=0.18, lw=0)
            ax.plot(own["week"], own["wmape"], color=shade, lw=2)
            if a.week:
                ax.axvline(a.week, color=GREY, lw=0.8, ls=(0, (2, 2)))
            ax.set_title(short(capital(called(names[i])), 30), fontsize=9, color=shade)
            ax.set_ylim(0, top)
            _shares(ax.yaxis)
            ax.locator_params(axis="x", integer=True, nbins=6)
            ax.locator_params(axis="y", nbins=4)
        for ax in axes[-1]:
            ax.set_xlabel("Week", fontsize=9)
        note(figure, f"Miss as a share of what was booked; bands: {a.question.level:.0%} intervals for {a.noun} to come, from "
                      f"{int(t['periods'].min())} to {int(t['periods'].max())} {a.noun}. Dotted: this week.")  # fmt: skip
    said = "; ".join(f"{called(n)} {v:.0%}" for n, v in now.items())
    return Picture("accuracy", f"{message}. Usual miss at this week: {said}.", figure)


def _one_week(section: Any, t: pd.DataFrame, message: str, shades: dict[str, str]) -> Picture:
    """The usual miss where only one week is known."""
    with canvas(1.3 + 0.45 * len(t)) as (figure, ax):
        title(figure, message)
        for i, (name, r) in enumerate(t.iterrows()):
            ax.plot([r["low"], r["high"]], [-i, -i], color=shades[str(name)], lw=2.4)
            ax.plot([r["wmape"]], [-i], "o", ms=7, color=shades[str(name)])
        ax.set_yticks([-i for i in range(len(t))], [short(capital(called(str(n))), 24) for n in t.index])
        ax.set_ylim(-len(t) + 0.4, 0.6)
        ax.set_xlim(left=0)
        _shares(ax.xaxis)
        ax.set_xlabel("Miss as a share of what was booked", fontsize=9)
    said = "; ".join(
        f"{called(str(n))} {r['wmape']:.0%} ({r['low']:.0%} to {r['high']:.0%})" for n, r in t.iterrows()
    )
    return Picture("accuracy", f"{message}. {said}.", figure)


def staircase(section: Any) -> Picture | Absent:
    """What each hand-over did to the error: from step to step."""
    c = section.answer.chain
    if isinstance(c, str):
        return Absent(c)
    steps, shades = c.steps.to_dict("records"), _shades(section)
    told = sorted((r for r in steps if r["verdict"] != "cannot tell"), key=lambda r: r["verdict"])
    message = "; ".join(f"{called(r['after'])} {r['verdict']}" for r in told)
    message = capital(message) if message else "At no step can it be told whether the number became better"
    with canvas(3.3) as (figure, ax):
        title(figure, message)
        at, ticks = 0.0, []
        for r in steps:
            for x, name, value in (
                (at, r["before"], r["before_value"]),
                (at + 1, r["after"], r["after_value"]),
            ):
                ax.bar([x], [value], width=0.72, color=shades.get(name, GREY), alpha=0.85)
                _beside(ax, f"{value:.0%}", (x, value), (0, 2), ha="center", color=INK)
                ticks.append((x, textwrap.fill(short(capital(called(name).removeprefix("the ")), 22), 9)))
            known = math.isfinite(r["low"])
            said = f"{count(round(abs(100 * r['difference'])), 'points')} {'better' if r['difference'] < 0 else 'worse'}"
            more = f"\n({points(r['low'], r['high'])} better)" if known else "\n(too few to tell)"
            peak = max(r["before_value"], r["after_value"])
            shade = INK if r["verdict"] != "cannot tell" else GREY
            _beside(
                ax, said + more, (at + 0.5, peak), (0, 15), ha="center", va="bottom", fontsize=8, color=shade
            )
            at += 2.7
        ax.set_xticks([t[0] for t in ticks], [t[1] for t in ticks], fontsize=8)
        ax.set_ylim(0, ax.get_ylim()[1] * 1.28)
        _shares(ax.yaxis)
        ax.set_ylabel("Miss, share of what was booked", fontsize=9)
        levels = ", ".join(f"{called(r['before'])} to {called(r['after'])} by {r['level']}" for r in steps)
        note(figure, f"Each pair on the same totals: {levels}. In brackets the interval; grey: cannot tell.")
    said = " ".join(section.answer.verdict.steps)
    return Picture("chain", f"{message}. {said}", figure)


def waterfall(section: Any) -> Picture | Absent:
    """From what was expected at the first week to what was booked."""
    if isinstance(section.answer.missed_from_start, str):
        return Absent(section.answer.missed_from_start)
    t, named = section.bars, section.named | _STEPS
    steps = t[~t["step"].isin(["closed", "open", "booked"])]
    worst, best = steps.loc[steps["amount"].idxmin()], steps.loc[steps["amount"].idxmax()]
    message = (
        f"{section.period}: {section.money(abs(worst['amount']))} {named[worst['step']]}, "
        f"{section.money(best['amount'])} {named[best['step']]}"
    )
    with canvas(1.2 + 0.34 * len(t)) as (figure, ax):
        title(figure, message)
        for i, r in enumerate(t.to_dict("records")):
            total = r["step"] in ("closed", "open", "booked")
            shade = GREY if total else _GAIN if r["amount"] > 0 else _LOSS
            low, high = min(r["start"], r["end"]), max(r["start"], r["end"])
            ax.barh([-i], [high - low], left=low, color=shade, height=0.62)
            sign = "" if total else "+" if r["amount"] > 0 else "−"
            _beside(ax, sign + section.money(abs(r["amount"])), (high, -i), (4, 0), va="center")
            if i + 1 < len(t):
                ax.plot([r["end"], r["end"]], [-i - 0.31, -i - 0.69], color=GREY, lw=0.8)
        ax.set_yticks([-i for i in range(len(t))], [capital(named[s]) for s in t["step"]], fontsize=8.5)
        ax.tick_params(axis="y", length=0)
        ax.set_xlim(0, float(t[["start", "end"]].max().max()) * 1.17)
        ax.xaxis.set_major_formatter(_in_money(section))
        ax.locator_params(axis="x", nbins=6)
        note(
            figure,
            "From what was closed and in the list at the end of week 1 to what was booked; the bars add up to the cent.",
        )
    said = "; ".join(f"{named[s]}: {section.money(v)}" for s, v in zip(t["step"], t["amount"], strict=True))
    return Picture("why_missed", f"{message}. {said}.", figure)


def reps(section: Any) -> Picture | Absent:
    """Forecast over actual for each, with the interval and the green zone of the products."""
    t = section.answer.by_unit
    if t is None:
        return Absent("Nobody's own numbers can be held against what they booked yet.")
    t = t[t["ratio"].notna()]
    most = f"The {_MOST} who booked most of {len(t)}" if len(t) > _MOST else "Most booked on top"
    t = t.head(_MOST)
    message = section.message
    shade = colour("rep_forecast")
    with canvas(1.6 + 0.2 * len(t)) as (figure, ax):
        title(figure, message)
        ax.axvspan(*GREEN, color="#009E73", alpha=0.15, lw=0)
        ax.axvline(1, color=INK, lw=1)
        y = range(len(t), 0, -1)
        ax.set_xscale("log")
        ax.hlines(y, t["low"].clip(lower=0.2), t["high"].clip(upper=8), color=shade, lw=2.2)
        ax.plot(t["ratio"], y, "o", ms=5.5, color=shade, ls="none")
        ax.set_xlim(
            max(min(0.6, float(t["low"].min(skipna=True)) * 0.9), 0.2),
            min(max(1.7, float(t["high"].max(skipna=True)) * 1.1), 8),
        )
        left, right = ax.get_xlim()
        steps = (0.25, 0.5, 1, 2, 4) if right > 5 * left else (0.75, 1, 1.25, 1.5, 2)
        ticks = [v for v in steps if left <= v <= right]
        ax.set_xticks(ticks, [f"{v:.0%}" for v in ticks], fontsize=8.5)
        ax.minorticks_off()
        ax.set_yticks(
            list(y),
            [f"{short(str(u), 18)} ({n})" for u, n in zip(t["unit"], t["periods"], strict=True)],
            fontsize=8.5,
        )
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.set_ylim(0.3, len(t) + 0.7)
        ax.set_xlabel("Called, as a share of what was booked\n← too little   |   too much →", fontsize=9)
        note(
            figure,
            f"Green: 85 to 115%, as products print it. In brackets: {section.answer.noun}. {most}; not a ranking.",
        )
    said = "; ".join(
        f"{r['unit']} {r['ratio']:.0%}"
        + (f" ({r['low']:.0%} to {r['high']:.0%})" if math.isfinite(r["low"]) else "")
        for r in t.to_dict("records")
    )
    return Picture("rep_bias", f"{message}. {said}.", figure)


def pacing(section: Any) -> Picture | Absent:
    """The share of the quota that was booked, week by week, beside the periods before."""
    now, t, a = section.now, section.company, section.answer
    if now is None:
        return Absent(section.why)
    if t["week"].nunique() < 2:
        return Absent("One moment only: there is no pace to draw.")
    before = section.before
    message = f"{now['reached']:.0%} of the quota is booked at week {a.week}"
    if len(before):
        message += f"; {before['reached'].min():.0%} to {before['reached'].max():.0%} at this week before"
    with canvas(2.9) as (figure, ax):
        title(figure, message)
        end = int(t["week"].max())
        for _, own in t[t["period"] != a.period].groupby("period", sort=False):
            own = own.sort_values("week")
            ax.plot(own["week"], own["reached"], color=FAINT, lw=1.2)
            final = float((own["actual"] / own["quota"]).iloc[-1])
            if math.isfinite(final):
                ax.plot(
                    [own["week"].iloc[-1], end + 1], [own["reached"].iloc[-1], final], color=FAINT, lw=1.2
                )
                ax.plot([end + 1], [final], "o", ms=4, color=_GAIN if final >= 1 else _LOSS)
        own = t[t["period"] == a.period].sort_values("week")
        ax.plot(own["week"], own["reached"], "o-", ms=4, lw=2.2, color=INK)
        end_of = (own["week"].iloc[-1], own["reached"].iloc[-1])
        _beside(ax, short(a.period, 14), end_of, (6, -3), color=INK, va="top")
        ax.axhline(1, color=INK, lw=1, ls=(0, (4, 3)))
        ax.set_ylim(bottom=0)
        _shares(ax.yaxis)
        ax.set_xlabel(f"Week of the {a.one}; last dots: booked in the end", fontsize=9)
        ax.locator_params(axis="x", integer=True)
        note(
            figure,
            f"Booked to date as a share of the quota. Grey: earlier {a.noun}; green dots reached it, red ones did not.",
        )
    said = "; ".join(f"{p}: {r:.0%}" for p, r in zip(before["period"], before["reached"], strict=True))
    return Picture("pacing", f"{message}. At this week before: {said}.", figure)


def at_its_word(section: Any) -> Picture | Absent:
    """Close dates' own calibration, and what pushes say."""
    d, p = section.dates, section.pushes
    if d.empty:
        return Absent(section.why)
    first = d.iloc[0]
    ahead = "a week" if first["ahead"] == 1 else f"{first['ahead']} weeks"
    message = f"Of deals dated {ahead} ahead, {first['closed']:.0%} had closed by then"
    with canvas(2.7, 2) as (figure, (left, right)):
        title(figure, message)
        left.fill_between(d["ahead"], d["low"], d["high"], color=INK, alpha=0.12, lw=0)
        left.plot(d["ahead"], d["closed"], "o-", ms=3.5, color=INK, lw=1.8)
        left.plot(d["ahead"], d["won"], "o-", ms=3.5, color=_GAIN, lw=1.8)
        for name, shade in (("closed", INK), ("won", _GAIN)):
            end_of = (d["ahead"].iloc[-1], d[name].iloc[-1])
            _beside(left, name, end_of, (5, 0), va="center", color=shade, annotation_clip=False)
        left.set_xlabel("Weeks ahead that it is dated", fontsize=8.5)
        left.set_title("Closed by its date", fontsize=9)
        right.vlines(p["pushes"], p["low"], p["high"], color=colour("rep_forecast"), lw=2.2)
        right.plot(p["pushes"], p["share"], "o", ms=5.5, color=colour("rep_forecast"))
        right.set_xlabel("Times the date moved back", fontsize=8.5)
        right.set_title("Won in the end", fontsize=9)
        right.set_xticks(p["pushes"], [f"{n}+" if n == 5 else str(n) for n in p["pushes"]])
        for ax in (left, right):
            ax.set_ylim(0, 1)
            _shares(ax.yaxis)
        left.locator_params(axis="x", integer=True)
    said = "; ".join(f"{count(r['ahead'], 'weeks')} ahead {r['closed']:.0%}" for r in d.to_dict("records"))
    back = [f"moved back {count(r['pushes'], 'times')} {r['share']:.0%} won" for r in p.to_dict("records")]
    more = "; ".join(back)
    return Picture("at_its_word", f"{message}. Closed by then: {said}. {more}.", figure)
