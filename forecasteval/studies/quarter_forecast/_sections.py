"""The sections of the page about a quarter: each shows its words, and its picture where it has one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecasteval.compare.accuracy import GREEN, over_periods
from forecasteval.compare.wording import capital, count, money, number
from forecasteval.report.blocks import Html, table
from forecasteval.report.section import Card, Section
from forecasteval.studies.quarter_forecast._wording import called, points, says, whose

if TYPE_CHECKING:
    from forecasteval.report.figures import Absent, Picture

_STEPS = {
    "won": "won beyond the list", "lost": "lost", "slipped": "slipped", "pulled_in": "pulled in", "amount": "amount",
    "new": "new", "re_opened": "re-opened", "unknown": "not known",
}  # fmt: skip


class _Section(Section):
    most = 12  # periods in a table

    def money(self, *amounts: float) -> str:
        """In the organisation's currency."""
        return money(*amounts, currency=self.answer.currency)


class _Drawn(_Section):
    drawn = ""  # its picture in _figures

    def figure(self) -> Picture | Absent:
        """Its picture; only a section that is drawn needs Matplotlib."""
        from forecasteval.studies.quarter_forecast import _figures

        drawn: Picture | Absent = getattr(_figures, self.drawn)(self)
        return drawn


# --- the first screen ---------------------------------------------------------------------------------


class Outlook(_Section, Card):
    """What to expect, who says what, whom to believe, what is in dispute."""

    @cached_property
    def says(self) -> dict[str, float]:
        """The company's number by forecaster, of those on the first screen."""
        a = self.answer
        rows = a.now.set_index("forecaster")["amount"]
        return {
            n: float(rows[n])
            for n in dict.fromkeys([*a.people, a.machine, a.primary])
            if n in rows and n not in a.knew
        }

    @property
    def open(self) -> bool:
        """Is the period still open?"""
        return bool(self.answer.now["actual"].isna().all())

    @property
    def closed(self) -> float | None:
        """Booked to date."""
        known = self.answer.now["closed_to_date"].dropna()
        return float(known.iloc[0]) if len(known) else None

    @property
    def actual(self) -> float:
        """What was booked, of a period that is over."""
        known = self.answer.now["actual"].dropna()
        return float(known.iloc[0]) if len(known) else math.nan

    @cached_property
    def range(self) -> dict[str, Any] | None:
        """The range of this week, with how often such ranges held; None where there is none."""
        a = self.answer
        if isinstance(a.record, str):
            return None
        t = a.record.table
        row = t[(t["period"] == a.period) & (t["week"] == a.week)]
        if row.empty:
            return None
        r = row.iloc[0]
        c = a.record.coverage(a.week)
        return {
            "forecaster": a.primary, "amount": float(r["amount"]), "low": float(r["low"]), "high": float(r["high"]),
            "promised": float(r["promised"]), "past": int(r["past"]), "held": c.held, "of": c.ranges,
            "share_low": c.interval[0], "share_high": c.interval[1],
        }  # fmt: skip

    @property
    def judged(self) -> str:
        """How many periods the misses are known of; empty before the first is over."""
        a = self.answer
        known = sorted(int(a.accuracies[n].table["totals"].iloc[0]) for n in self.says if n in a.accuracies)
        least = f"{known[0]} to " if known and known[0] < known[-1] else ""
        return least + count(known[-1], a.noun) if known else ""

    @property
    def who_says(self) -> str:
        """Everybody's number in one sentence."""
        said = [f"{called(n)} {says(n)} {self.money(v)}" for n, v in self.says.items()]
        return capital(", ".join(said)) + "."

    @cached_property
    def steps(self) -> list[str]:
        """What each hand-over did, one sentence each."""
        c = self.answer.chain
        return [] if isinstance(c, str) else [self._step(r) for r in c.steps.to_dict("records")]

    def _step(self, r: Mapping[Any, Any]) -> str:
        a = self.answer
        before, after, gain = r["before"], r["after"], -100 * r["difference"]
        over = f"over {count(r['periods'], a.noun)}"
        if r["level"] != "company":  # or a reader subtracts the misses of the company's totals in the table
            over += f", {r['level']} by {r['level']}"
        known = math.isfinite(r["low"])
        interval = f" ({points(r['low'], r['high'])})" if known else ""
        told = known and r["verdict"] != "cannot tell"
        side = "better" if gain >= 0 else "worse"
        size = count(round(abs(gain)), "points") if abs(gain) >= 0.5 else "less than a point"
        if after == a.machine and after not in a.people:
            ahead = f"{called(after)} is {'ahead of' if gain >= 0 else 'behind'} {called(before)} by {size}{interval} {over}"
        else:
            ahead = f"{whose(after)} changes made {whose(before)} number {side} by {size}{interval} {over}"
        if not known:
            return capital(f"{ahead}: too few {a.noun} to tell.")
        alone = not told and (r["low"] > 0 or r["high"] < 0)  # shown by itself, not as one of several
        many = (
            f", since {len(a.chain.steps)} steps are judged at once"
            if alone and len(a.chain.steps) > 1
            else ""
        )
        return capital(ahead + ("." if told else f": cannot tell{many}."))

    @cached_property
    def table(self) -> Html:
        """Who says what, and how far off they usually are at this week."""
        a, rows = self.answer, []
        for name, amount in self.says.items():
            row = [capital(called(name)), self.money(amount)]
            t = a.accuracies[name].table.iloc[0] if name in a.accuracies else None
            rows.append([*row, *(["–", "–"] if t is None else [_share(t["wmape"]), _bias(t)])])
        columns = ["Who", "Number", "Usual miss", "Leaning"]
        return table(columns, rows, "says", columns[1:])


def _share(value: float) -> str:
    return f"{number(100 * value, 0)}%" if math.isfinite(value) else "–"


def _bias(t: Mapping[Any, Any]) -> str:
    """Too much or too little; with a question mark where it may be chance."""
    if not math.isfinite(t["bias"]):
        return "–"
    sign = "" if abs(t["bias"]) < 0.005 else "+" if t["bias"] > 0 else "−"
    sure = math.isfinite(t["bias_low"]) and not t["bias_low"] <= 0 <= t["bias_high"]
    return f"{sign}{abs(t['bias']):.0%}{'' if sure else ' ?'}"


def _within(t: Mapping[Any, Any]) -> str:
    """How many totals lay within 5 and within 10% of what was booked."""
    close, near = (round(t[f"within_{share}"] * t["totals"]) for share in (5, 10))
    return f"{close} and {near} of {t['totals']}"


# --- the quarter, week by week ------------------------------------------------------------------------


def first_seen(rows: pd.DataFrame) -> pd.Series:
    """Rows, in order of the weeks, that no earlier week has said already."""
    return ~rows.duplicated(["forecaster", "level", "unit", "as_of"]) | rows["as_of"].isna()


class Path(_Drawn):
    """This period week by week: who said what, with the range, beside what was closed."""

    drawn = "path"

    @property
    def period(self) -> str:
        """Which period is drawn."""
        return str(self.answer.period)

    @property
    def rows(self) -> pd.DataFrame:
        """The totals of those who are shown."""
        a = self.answer
        rows = a.company[(a.company["period"] == self.period) & a.company["forecaster"].isin(self.names)]
        rows = rows.sort_values("week", kind="stable")
        return rows[first_seen(rows)]

    @property
    def ranged(self) -> pd.DataFrame:
        """The last ranges at this week, in order of time."""
        a = self.answer
        if isinstance(a.record, str):
            return self.band
        t = a.record.table[a.record.table["week"] == a.week]
        return t.sort_values("period", key=lambda p: p.map(a.order), ignore_index=True).tail(self.most)

    @property
    def names(self) -> list[str]:
        """People, model and whoever carries the range: no more, or nothing can be read."""
        a = self.answer
        return [
            n for n in dict.fromkeys([*a.people, a.machine, a.primary]) if n in set(a.company["forecaster"])
        ]

    @property
    def band(self) -> pd.DataFrame:
        """The range by week."""
        a = self.answer
        if isinstance(a.record, str):
            return pd.DataFrame(columns=["week", "low", "high"])
        t = a.record.table
        return t[(t["period"] == self.period) & (t["week"] <= self.rows["week"].max())].sort_values("week")


class Last(Path):
    """The last period that is over, in the same way, with what was booked."""

    @property
    def period(self) -> str:
        before, weeks = self.answer.before, self.answer.company["week"]
        return before[-1] if before and len(weeks.unique()) > 1 else ""  # else the picture above has them all


class Ranges(_Section):
    """How often ranges held: those made of past errors, and those that people gave."""

    @cached_property
    def by_week(self) -> pd.DataFrame:
        """Week by week."""
        r = self.answer.record
        return pd.DataFrame() if isinstance(r, str) or r.table["actual"].isna().all() else r.by_week()

    @property
    def rows(self) -> list[list[str]]:
        """This week's and all weeks' ranges, and everybody's own."""
        a, found = self.answer, []
        if not isinstance(a.record, str):
            found.append(
                [
                    f"{capital(called(a.primary))}, from past errors",
                    a.record.coverage(a.week),
                    a.record.promised(a.week),
                    a.record.score(a.week),
                ]
            )
        own = a.own.items()
        found += [[f"{capital(called(n))}, as given", r.coverage(), r.promised(), r.score()] for n, r in own]
        return [
            [who, f"{c.held} of {c.ranges}", "{:.0%} to {:.0%}".format(*c.interval), promised or "not stated", f"{c.below} / {c.above}", _share(score)]
            for who, c, promised, score in found if c.ranges
        ]  # fmt: skip

    def results(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        a = self.answer
        found: dict[str, Any] = {"by_week": self.by_week.to_dict("records")}
        if isinstance(a.record, str):
            found["reason"] = a.record
        else:
            found["this_week"] = asdict(a.record.coverage(a.week)) | {
                "label": a.record.label(a.week),
                "score": a.record.score(a.week),
            }
        return found | {"own": {n: asdict(r.coverage()) | {"score": r.score()} for n, r in a.own.items()}}


# --- how accurate -------------------------------------------------------------------------------------


class Accurate(_Drawn):
    """How far off everybody was: at this week, by week, and under each name of accuracy."""

    drawn = "by_week"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per forecaster at this week."""
        found = []
        for name, a in self.answer.accuracies.items():
            total, *remainder = a.table.drop(columns="what").to_dict("records")
            still = {
                f"open_{k}": line[k] for line in remainder for k in ("wmape", "bias", "bias_low", "bias_high")
            }
            found.append({"forecaster": name, **total, **still})
        return pd.DataFrame(found)

    @cached_property
    def by_week(self) -> pd.DataFrame:
        """The error as a share of what was booked, by week, with its interval for new periods."""
        a, found = self.answer, []
        rows = a.company[a.company["forecaster"].isin(a.shown)].dropna(subset=["actual"])
        for (name, week), own in rows.groupby(["forecaster", "week"], sort=False):
            e = over_periods(
                own["period"], (own["amount"] - own["actual"]).abs(), own["actual"], a.question.level
            )
            if math.isfinite(e.value):
                found.append({"forecaster": name, "week": week, "periods": own["period"].nunique(), "wmape": e.value,
                              "low": max(e.low, 0.0), "high": e.high})  # fmt: skip
        columns = ["forecaster", "week", "periods", "wmape", "low", "high"]
        return pd.DataFrame(found, columns=columns)

    @property
    def first(self) -> list[list[str]]:
        """Those that stand in the pictures."""
        names = {capital(called(n)) for n in self.answer.shown}
        return [r for r in self.rows if r[0] in names]

    @property
    def rows(self) -> list[list[str]]:
        """The table as people read it; the smallest miss first."""
        t = self.table
        if t.empty:
            return []
        everyone = set(t["forecaster"])
        bare = {n: ", without new business" for n in everyone if f"{n}_and_new" in everyone}
        return [
            [capital(called(r["forecaster"], self.answer.one)) + bare.get(r["forecaster"], ""), _share(r["wmape"]), _bias(r), _share(r.get("open_wmape", math.nan)), _within(r)]
            for r in t.sort_values("wmape", kind="stable").to_dict("records")
        ]  # fmt: skip

    @property
    def shopper(self) -> tuple[str, Any, Any] | None:
        """The same misses under the kindest and the harshest definition, of the first of the people."""
        a = self.answer
        name = next((n for n in [*a.people, a.machine] if n in a.accuracies), "")
        known = bool(name) and a.accuracies[name].definitions["off"].notna().any()
        return (name, *a.accuracies[name].headlines) if known else None

    @property
    def names(self) -> list[list[str]]:
        """The same misses under every definition in circulation, the kindest first."""
        name = self.shopper[0] if self.shopper else ""
        d = self.answer.accuracies[name].definitions.dropna(subset=["off"]).sort_values("off", kind="stable")
        return [
            [r["formula"], *(_share(r[c]) for c in ("mean", "lowest", "highest"))]
            for r in d.to_dict("records")
        ]

    @property
    def booked(self) -> Html:
        """Promised against booked, from the first period on."""
        a, names = self.answer, self.answer.path.names
        over = a.this_week.dropna(subset=["actual"])
        wide = over.pivot_table("amount", "period", "forecaster", aggfunc="first").reindex(columns=names)
        actual = over.groupby("period")["actual"].first()
        rows = [
            [p, self.money(actual[p]), *(self.money(v) for v in wide.loc[p])]
            for p in sorted(wide.index, key=a.order.__getitem__)[-self.most :]
        ]
        columns = [capital(a.one), "Booked", *(capital(called(n)) for n in names)]
        return table(columns, rows, "booked", columns[1:])

    def results(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {
            n: {"lines": a.table.to_dict("records"), "definitions": a.definitions.to_dict("records")}
            for n, a in self.answer.accuracies.items()
        }


class Callers(_Drawn):
    """Who calls too much and who too little: pattern or chance."""

    drawn = "reps"

    green = GREEN

    @property
    def counted(self) -> dict[str, int]:
        """How many would be shown green or red, and of how many it can be told."""
        t = self.answer.by_unit
        if t is None:
            return {}
        shown, told = t["shown"].eq("red").sum(), t["told"].value_counts()
        found = {n: int(told.get(n, 0)) for n in ("green", "red", "cannot be told")}
        return {"shown_red": int(shown), "all": len(t), **found}

    @property
    def message(self) -> str:
        """What can be told of them, in one line."""
        c = self.counted
        sure = f"{c['red']} of {c['all']} can be told to lie outside 85 to 115%"
        return sure if c["red"] else f"Of none of the {c['all']} can it be told to lie outside 85 to 115%"


# --- the chain ----------------------------------------------------------------------------------------


class Steps(_Drawn):
    """From hand to hand: what each did to the error."""

    drawn = "staircase"

    @property
    def moves(self) -> list[list[str]]:
        """By direction and size of the change."""
        return self._lines("moves", "move")

    @property
    def units(self) -> list[list[str]]:
        """By unit, where a step has several."""
        return self._lines("units", "unit")

    def _lines(self, part: str, column: str) -> list[list[str]]:
        c, found = self.answer.chain, []
        if isinstance(c, str):
            return []
        for r in getattr(c, part).to_dict("records"):
            if r["after"] == self.answer.machine or (column == "unit" and r["level"] != "team"):
                continue
            interval = f"({points(r['low'], r['high'])})" if math.isfinite(r["low"]) else "(too few)"
            helped = "–" if r[column] == "left alone" else f"{r['helped']:.0%}"
            step = capital(f"{called(r['before'])} → {called(r['after'])}".replace("the ", ""))
            gain = f"{number(-100 * r['difference'], 0)} {interval}"
            found.append([step, str(r[column]), f"{r['rows']:,}", helped, gain, r["verdict"]])
        return found


# --- decisions, and why ---------------------------------------------------------------------------------


class Overrides(_Section):
    """Which decisions of people paid."""

    @property
    def rows(self) -> list[list[str]]:
        """By reason."""
        return [
            [r["reason"], f"{r['decisions']:,}", f"{r['known']:,}", f"{r['paid']:,}", number(r["gain"])]
            for r in self.answer.paid.table.to_dict("records")
        ]


class Why(_Drawn):
    """Why periods came out as they did: the last one from its first week to the close, all from this week's list."""

    drawn = "waterfall"

    named = _STEPS

    @cached_property
    def period(self) -> str:
        """The last one that is over."""
        m = self.answer.missed_from_start
        return "" if isinstance(m, str) else str(m.table["period"].iloc[-1])

    @property
    def bars(self) -> pd.DataFrame:
        """The waterfall; steps without an amount are left out."""
        t = self.answer.missed_from_start.of(self.period)
        return t[t["amount"].ne(0) | t["step"].isin(["closed", "open", "booked"])].reset_index(drop=True)

    @property
    def rows(self) -> list[list[str]]:
        """What the steps came to in each period, as shares of what was booked."""
        t = self.answer.missed.table
        wide = t.pivot_table("amount", "period", "step", aggfunc="sum", sort=False)
        booked = wide["booked"].where(wide["booked"] > 0)
        steps = [s for s in _STEPS if s in wide and wide[s].ne(0).any()]
        return [
            [str(p), self.money(wide.loc[p, "booked"]), *(_signed(wide.loc[p, s] / booked[p]) for s in steps)]
            for p in wide.index[-self.most :]
        ]

    @property
    def columns(self) -> list[str]:
        """Headings of the rows."""
        t = self.answer.missed.table
        there = set(t.loc[t["amount"].ne(0), "step"])
        return [capital(self.answer.one), "Booked", *(capital(_STEPS[s]) for s in _STEPS if s in there)]

    def results(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        m, start = self.answer.missed, self.answer.missed_from_start
        if isinstance(m, str) or isinstance(start, str):
            return {"reason": m if isinstance(m, str) else start}
        return {"steps": m.table.to_dict("records"), "from_week_1": start.table.to_dict("records")}


def _signed(share: float) -> str:
    return "–" if not math.isfinite(share) else f"{'+' if share > 0.005 else ''}{number(100 * share, 0)}%"


# --- the method, what to be careful of ----------------------------------------------------------------


class Raised(_Section):
    """Only the caveats that these data raise, the gravest first."""

    @cached_property
    def grave(self) -> list[str]:
        """Those that may move the verdict; they stand on the first screen as well."""
        return self._said("grave_lines")

    @property
    def lines(self) -> list[str]:
        """One sentence each."""
        return [*self.grave, *self._said("lesser_lines")]

    def _said(self, macro: str) -> list[str]:
        return [x.strip() for x in self.say(macro).text.split("\n") if x.strip()]

    @property
    def notes(self) -> list[str]:
        """What was noted about those who stand on the page."""
        a = self.answer
        shown = {n.removesuffix("_and_new") for n in (*a.people, a.machine, a.primary, *a.shown)}
        silent = {n.removesuffix("_and_new") for n in a.rollups.table["forecaster"].unique()} - shown
        said = [n for n in a.rollups.notes if not any(re.search(rf"\b{re.escape(x)}\b", n) for x in silent)]
        for name in sorted(set(a.calls), key=len, reverse=True):
            said = [re.sub(rf"\b{re.escape(name)}\b", f"number of {called(name)}", n) for n in said]
        return said

    @property
    def stale(self) -> list[str]:
        """Whose number of this week is carried on from an earlier one."""
        rows = self.answer.now
        return [
            called(n)
            for n in rows.loc[rows["stale"] & rows["forecaster"].isin(self.answer.people), "forecaster"]
        ]
