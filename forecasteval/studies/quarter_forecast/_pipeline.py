"""The sections about the quota and the list of open deals: how far both can be taken at their word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from forecasteval.compare.accuracy import accuracy, pacing
from forecasteval.compare.misses import Misses, close_dates, conversion, converted, pushes
from forecasteval.compare.track_record import chance_to_reach
from forecasteval.compare.wording import capital
from forecasteval.studies.quarter_forecast._sections import _Drawn, _Section

_AHEAD = (1, 4)  # weeks: the close dates that are told in words
_OFTEN = 3  # pushes


class Pacing(_Drawn):
    """Against the quota: what is booked, what is missing, and the chance to reach it."""

    drawn = "pacing"

    why = "Nobody gave a quota: a call of the forecaster quota in calls.csv, for the company or a team."

    @cached_property
    def table(self) -> pd.DataFrame:
        """Every period, week and unit above the reps."""
        r = self.answer.rollups
        above = [r.table[r.table["level"] == level] for level in ("company", "team")]
        return pd.concat(
            [pacing(t, r.quota[r.quota["level"] == t["level"].iloc[0]]) for t in above if len(t)]
        )

    @cached_property
    def company(self) -> pd.DataFrame:
        """The company's, every period and week."""
        return self.table[self.table["unit"] == "company"]

    @cached_property
    def now(self) -> dict[str, Any] | None:
        """The company's today; None without a quota."""
        a, t = self.answer, self.company
        t = t[(t["period"] == a.period) & (t["week"] == a.week)]
        return None if t.empty else {str(k): v for k, v in t.iloc[0].items()}

    @cached_property
    def before(self) -> pd.DataFrame:
        """The company's at this week of the periods that are over."""
        t = self.company
        return t[(t["week"] == self.answer.week) & t["actual"].notna() & (t["period"] != self.answer.period)]

    @cached_property
    def chance(self) -> dict[str, Any] | None:
        """In how many periods an error like that one's would have brought this number to the quota."""
        a, now = self.answer, self.now
        if now is None or not a.primary or not math.isnan(now["actual"]):
            return None
        own = a.this_week[a.this_week["forecaster"] == a.primary].set_index("period")
        past = own.loc[[p for p in a.before if p in own.index]]
        if past.empty or not now["quota"] > 0:
            return None
        share, low, high = chance_to_reach(
            own.loc[a.period, "amount"], past["amount"], past["actual"], now["quota"]
        )
        return {
            "share": share,
            "low": low,
            "high": high,
            "periods": len(past),
            "reached": round(share * len(past)),
        }

    @property
    def sentence(self) -> str:
        """For the first screen; empty without a quota."""
        return "" if self.now is None else self.say("quota").text

    @property
    def reached(self) -> int:
        """How many of the periods that are over came to their quota."""
        return int((self.before["actual"] >= self.before["quota"]).sum())

    @property
    def rows(self) -> list[list[str]]:
        """The company and its teams today."""
        a, t = self.answer, self.table
        t = t[(t["period"] == a.period) & (t["week"] == a.week)]
        return [
            [
                capital(str(r["unit"])),
                *(self.money(r[n]) for n in ("quota", "closed_to_date", "missing")),
                _times(r["coverage"]),
            ]
            for r in t.to_dict("records")
        ]

    def results(self) -> dict[str, Any] | None:
        """Plain values for `results.json`."""
        if self.now is None:
            return None
        kept = ("quota", "closed_to_date", "reached", "missing", "open", "coverage", "actual")
        return {n: self.now[n] for n in kept} | {
            "chance": self.chance, "periods": len(self.before), "periods_reached": self.reached
        }  # fmt: skip


def _times(coverage: float) -> str:
    return "–" if not math.isfinite(coverage) else f"{coverage:.1f}×"


class AtItsWord(_Drawn):
    """Whether the list can be taken at its word: what Commit, a close date and a push say about a deal."""

    drawn = "at_its_word"

    why = "This needs deals with a history; here are totals only."

    @cached_property
    def commit(self) -> pd.DataFrame:
        """What was won of the deals in Commit at this week, by count and amount; empty where no categories are kept."""
        m = self.answer.missed
        there = not isinstance(m, str) and self.answer.listed == "commit"
        return converted(conversion(m)) if there else pd.DataFrame()

    @cached_property
    def dates(self) -> pd.DataFrame:
        """Close dates' own calibration by weeks ahead."""
        return close_dates(self.answer.org) if self._deals else pd.DataFrame()

    @cached_property
    def pushes(self) -> pd.DataFrame:
        """What became of deals by how often their date was moved back."""
        return pushes(self.answer.org) if self._deals else pd.DataFrame()

    @property
    def _deals(self) -> bool:
        org = self.answer.org
        return org.history is not None and org.deals is not None

    @property
    def told(self) -> list[dict[Any, Any]]:
        """The close dates of the weeks ahead that are told in words."""
        d = self.dates
        return [] if d.empty else d[d["ahead"].isin(_AHEAD)].to_dict("records")

    @property
    def pushed(self) -> tuple[Mapping[Any, Any], Mapping[str, float]] | None:
        """Deals that were never pushed, and those pushed often."""
        t = self.pushes
        often = t[t["pushes"] >= _OFTEN] if len(t) else t
        if often.empty or t["pushes"].iloc[0] != 0:
            return None
        deals = int(often["deals"].sum())
        return t.iloc[0].to_dict(), {
            "deals": deals,
            "share": float(often["won"].sum()) / deals,
            "times": _OFTEN,
        }

    @staticmethod
    def between(row: Mapping[str, float]) -> str:
        """An interval of shares in brackets; nothing where there is none."""
        return f" ({row['low']:.0%} to {row['high']:.0%})" if math.isfinite(row["low"]) else ""

    def results(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        return {n: getattr(self, n).to_dict("records") for n in ("commit", "dates", "pushes")}


class Kinds(_Section):
    """New business, expansion and renewal apart."""

    why = "The deals are not told apart by kind: name the column as deal_type in organisation.yaml."

    @cached_property
    def column(self) -> str:
        """The column that tells kinds apart; empty where there is none."""
        deals = self.answer.org.deals
        if deals is None or self.answer.org.history is None:
            return ""
        named = [self.answer.org.settings.deal_type, *(c for c in deals if str(c).endswith("type"))]
        return next((str(c) for c in named if c in deals and len(set(deals[c].dropna())) > 1), "")

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per kind: booked so far, open, expected, and how far off the number was before."""
        a = self.answer
        if not self.column or not a.week:
            return pd.DataFrame()
        found, won = [], self._won
        for kind, own in a.rollups.at(a.week, "kind").groupby("unit"):
            now = own[own["period"] == a.period].set_index("forecaster")["amount"]
            closed = own.loc[own["period"] == a.period, "closed_to_date"]
            if closed.empty:
                continue
            row: dict[Any, Any] = {"kind": kind, "closed_to_date": float(closed.iloc[0]), "open": now.get("pipeline", math.nan) - float(closed.iloc[0]),
                   "expected": now.get(a.primary, math.nan)}  # fmt: skip
            row |= won.get(str(kind), {})
            if (own["forecaster"].eq(a.primary) & own["actual"].notna()).any():
                row |= (
                    accuracy(own, a.primary)
                    .table.iloc[0][["totals", "wmape", "bias", "bias_low", "bias_high"]]
                    .to_dict()
                )
            found.append(row)
        return pd.DataFrame(found)

    @cached_property
    def _won(self) -> dict[str, dict[str, float]]:
        """Of the deals that were listed at this week, by kind: the share of the amount that was won."""
        m, deals = self.answer.missed, self.answer.org.deals
        if isinstance(m, str):
            return {}
        kind = m.deals["deal_id"].map(deals.set_index("deal_id")[self.column])
        found = {}
        for name, rows in m.deals.groupby(kind.to_numpy()):
            share = converted(conversion(Misses(m.table, rows))).iloc[1]
            found[str(name)] = {"won": share["share"], "won_low": share["low"], "won_high": share["high"]}
        return found

    @property
    def rows(self) -> list[list[str]]:
        """The table as people read it."""
        found = []
        for r in self.table.to_dict("records"):
            known = math.isfinite(r.get("won_low", math.nan))
            won = f"{r['won']:.0%}" + (f" ({r['won_low']:.0%} to {r['won_high']:.0%})" if known else "")
            miss = f"{r['wmape']:.0%}" if math.isfinite(r.get("wmape", math.nan)) else "–"
            expected = self.money(r["expected"]) if math.isfinite(r["expected"]) else "–"
            found.append(
                [r["kind"], self.money(r["closed_to_date"]), self.money(r["open"]), expected, miss, won]
            )
        return found

    def results(self) -> list[dict[Any, Any]]:
        """Plain values for `results.json`."""
        return self.table.to_dict("records")
