"""Did an outcome change because a feature was switched on? Before and after, beside units that did not get it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import MAX_FILLED
from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import CANNOT, decide
from forecasteval.errors import CallError, InputError
from forecasteval.inference.difference_in_differences import difference_in_differences, restricted_mean
from forecasteval.inference.estimate import Estimate, against, reason
from forecasteval.inference.jackknife import t_quantile
from forecasteval.inference.limits import few_events
from forecasteval.tables.columns import TYPED, Sheet
from forecasteval.tables.frames import cells_of
from forecasteval.tables.tidy_table import from_sheet

_FOR_A_SLOPE = 3  # blocks of time before the start, for a trend of each unit
_A_SIDE = 2  # blocks on either side of a date on which nothing happened
_GROUPS = 400  # groups of comparison units that are drawn as if they had got the feature
_FOR_GROUPS = 6  # comparison units
_DRIFT = 0.05  # level of each check of the past
_TESTED_TOGETHER = "Two things that differ before the start cannot be told from the feature."


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How an outcome is measured; see :func:`measured_outcome`."""

    outcome: str | None = None
    better: str = "higher"
    since: pd.Timestamp | None = None
    horizon: float | None = None
    settle: int = 0
    every: int = 28
    weigh: str = "cases"
    level: float = 0.95
    margin: float | None = None
    seed: int = 0
    names: tuple[str, str] = ("with the feature", "without it")

    def __post_init__(self) -> None:
        """Refuse what is not allowed."""
        allowed = {"better": ("higher", "lower"), "weigh": ("cases", "units")}
        for name, words in allowed.items():
            if getattr(self, name) not in words:
                raise CallError(f"{name} {getattr(self, name)!r} is not one of {' or '.join(words)}.")
        if self.horizon is not None and not self.horizon > 0:
            raise CallError(
                f"horizon {self.horizon!r} is not above 0: give the time up to which waiting counts."
            )
        if self.every < 1 or self.settle < 0:
            raise CallError("every must be at least one day, and settle 0 days or more.")


def measured_outcome(
    table: Any,
    *,
    outcome: str | None = None,
    better: str = "higher",
    since: str | None = None,
    horizon: float | None = None,
    settle: int = 0,
    every: int = 28,
    weigh: str = "cases",
    level: float = 0.95,
    margin: float | None = None,
    seed: int = 0,
) -> Effect:
    """Whether an outcome changed more where a feature was switched on than where it was not.

    Each unit (a rep, a team, a queue, a market) gives one change, its mean after the start less its mean before; the mean
    change of the units with the feature less that of the units without it is the effect
    (:func:`forecasteval.inference.difference_in_differences.difference_in_differences`). It rests on one assumption
    that no table can prove: without the feature, both would have changed alike. The past of the same table is tried on it:
    trends before the start, dates on which nothing happened, groups to which nothing happened.

    Parameters
    ----------
    table : a frame of any library, with one row per case or per unit and day
        ``unit``; ``on``, the day on which the case came in, or the first of its period; ``value``; ``since``, the day on
        which the feature was switched on for the unit, empty for units that never had it; where a row stands for several
        cases ``of``, their number, ``value`` then being their sum; for times ``ended``, whether what was waited for
        has happened; where the table holds several outcomes ``outcome``, their names.
    outcome : which of several
    better : "higher" or "lower"
    since : the start that is meant, where units started on different days; units of other days are left out
    horizon : for times: waiting counts up to here, in the unit of ``value`` (restricted mean; cases that still run count for
        as long as they ran)
    settle : days after the start that do not count
    every : days in a block of time, for the trends before the start
    weigh : "cases", each unit by its cases before and after; or "units", each once
    level, margin : of the interval; the largest effect that does not matter
    seed : of the groups that are drawn

    Returns
    -------
    Effect

    Raises
    ------
    InputError
        Lists every cell that cannot be used, by row.
    CallError
        If units started on different days and none is named, or the table lacks what was asked for. Staggered starts are
        refused: a regression on units and periods then compares late starters with early ones that have the feature
        already, and may say the opposite of what happened (Goodman-Bacon 2021, Journal of Econometrics 225(2), 254-277).

    Examples
    --------
    >>> days = pd.to_datetime(["2026-01-10", "2026-03-10"])
    >>> rows = [(u, day, v + up * later, "2026-02-01" if up else None) for u, v, up in [("a", 1.0, 3.0), ("b", 2.0, 4.0),
    ...         ("c", 3.0, 5.0), ("d", 1.0, 0.0), ("e", 2.0, 0.0), ("f", 3.5, 0.0)] for later, day in enumerate(days)]
    >>> found = measured_outcome(pd.DataFrame(rows, columns=["unit", "on", "value", "since"]))
    >>> round(found.estimate.value, 6), found.verdict
    (4.0, 'candidate better')
    """
    when = None if since is None else pd.Timestamp(since)
    return Effect.of(
        _checked(table),
        Terms(
            outcome=outcome, better=better, since=when, horizon=horizon, settle=settle, every=every, weigh=weigh,
            level=level, margin=margin, seed=seed,
        ),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Effect:
    """What a feature did to an outcome.

    Attributes
    ----------
    estimate : Estimate
        The effect, in the unit of the outcome.
    units : DataFrame
        One row per unit: treated, before, after, cases_before, cases_after, change, weight.
    flow : list of {step, units, dropped, why}
    """

    terms: Terms
    name: str
    start: pd.Timestamp
    rows: pd.DataFrame  # unit, on, value, of, ended, treated, of the units that are compared
    units: pd.DataFrame
    estimate: Estimate
    flow: list[dict[str, Any]]

    @classmethod
    def of(cls, table: pd.DataFrame, terms: Terms) -> Effect:
        """Measure it in tidy outcomes."""
        rows = _named(table, terms)
        rows, start, flow = _cohort(rows, terms)
        settled = rows[(rows["on"] < start) | (rows["on"] >= start + pd.Timedelta(days=terms.settle))]
        units = _changes(settled, start, terms)
        _step(flow, units, "seen on both sides of the start", "no case before it or none after it")
        if units.empty:
            raise CallError(
                f"No unit has cases both before and after {start:%Y-%m-%d}, so nothing can be compared."
            )
        units = units.dropna(subset="change")
        if terms.horizon is not None:
            _step(
                flow,
                units,
                f"waits followed up to {terms.horizon:g}",
                "its longest wait still ran before that",
            )
        if units.empty:
            raise CallError(
                f"Of no unit are waits followed up to {terms.horizon:g}. Up to {_followed(settled, start):g} all are: give "
                "that as the horizon."
            )
        name = terms.outcome or _first(rows["outcome"]) or "the outcome"
        return cls(terms, name, start, settled, units, _tested(units, terms), flow)

    # --- the answer -------------------------------------------------------------------------------------

    @cached_property
    def share(self) -> bool:
        """Is the outcome a share of cases?"""
        whole = self.rows["value"] % 1 == 0
        return bool(
            self.terms.horizon is None and (whole & self.rows["value"].between(0, self.rows["of"])).all()
        )

    @cached_property
    def sides(self) -> dict[str, dict[str, float]]:
        """Both groups of units: means before and after, in the weights of the estimate, units and cases."""
        found = {}
        for side, of in (
            ("treated", self.units[self.units["treated"]]),
            ("others", self.units[~self.units["treated"]]),
        ):
            weight = of["weight"] / of["weight"].sum()
            means = {
                when: float((weight * of[when]).sum()) if len(of) else math.nan
                for when in ("before", "after")
            }
            found[side] = means | {
                "units": len(of),
                "cases": int(of[["cases_before", "cases_after"]].sum().sum()),
            }
        return found

    @cached_property
    def reasons(self) -> list[dict[str, str]]:
        """What speaks against a verdict."""
        found = list(self.estimate.reasons)
        lost = self.flow[-1]["dropped"] if self.terms.horizon is not None else 0
        if lost > MAX_FILLED * (lost + len(self.units)):
            text = (
                f"Of {lost} of {lost + len(self.units)} units the longest wait still ran before {self.terms.horizon:g}, so what "
                f"followed is not known. Up to {_followed(self.rows, self.start):g} all can be told: give that as the horizon."
            )
            found.append(reason("lost_from_sight", text))
        if self.share:
            cases = self.rows.groupby("treated")[["value", "of"]].sum()
            for had, row in cases.iterrows():
                who = self.terms.names[0 if had else 1]
                few = few_events(int(row["value"]), int(row["of"] - row["value"]))
                texts = [
                    r["text"].replace("deals were won", "cases count as such").replace("deals", "cases")
                    for r in few
                ]
                found += [reason("few_events", f"{who.capitalize()}: {text}") for text in texts]
        if not self.estimate.has_interval:
            return found
        trend = self.trend
        if trend is not None and trend.p_value < _DRIFT:
            text = (
                "The two groups were drifting apart before the start already "
                f"(p {max(trend.p_value, 0.001):.3f}). {_TESTED_TOGETHER}"
            )
            found.append(reason("pre_trend", text))
        dates = self.placebo_dates
        if len(dates) and dates["p_value"].min() * len(dates) < _DRIFT:
            worst = dates["on"].iloc[int(dates["p_value"].argmin())]
            text = f"On {worst:%Y-%m-%d}, when nothing was switched on, the same sum finds an effect. {_TESTED_TOGETHER}"
            found.append(reason("placebo_date", text))
        found += self._regression()
        return found

    @cached_property
    def reliable(self) -> bool:
        """There is an interval, and nothing speaks against believing it."""
        return self.estimate.has_interval and not against(self.reasons)

    @cached_property
    def verdict(self) -> str:
        """One of the five fixed verdicts; the candidate is the outcome with the feature."""
        if not self.sides["others"]["units"]:
            return CANNOT
        e = self.estimate
        return decide(self.terms.better, e.low, e.high, self.reliable, self.terms.margin) or ""

    def to_dict(self) -> dict[str, Any]:
        """The comparison's part of ``results.json``."""
        e, sides = self.estimate, self.sides
        after = sides["treated"]["after"]
        found = {
            "metric": self.name, "better": self.terms.better, "primary": True, "candidate": self.terms.names[0], "baseline": self.terms.names[1],
            "candidate_value": after, "baseline_value": after - e.value, "difference": e.value, "low": e.low, "high": e.high,
            "level": e.level, "df": e.df, "se": e.se, "p_value": e.p_value, "verdict": self.verdict,
            "reliable": self.reliable, "reasons": self.reasons, "margin": self.terms.margin,
            "method": "change per unit, difference of two groups (CR3J over units, t with the smaller of Welch's and Bell-McCaffrey's df)",
            "generalise_to": ["unit"], "rows": len(self.rows), "deals": sides["treated"]["cases"] + sides["others"]["cases"],
            "clusters": {"unit": {"count": len(self.units)}}, "sides": sides,
        }  # fmt: skip
        checks: dict[str, Any] = {
            "trend_before": None if self.trend is None else self.trend.to_dict(),
            "power_of_trend": self.trend_power,
        }
        dates = self.placebo_dates.assign(on=self.placebo_dates["on"].astype("str").str[:10])
        checks |= {"placebo_dates": dates.to_dict("records"), "placebo_groups": self.placebo_groups}
        checks |= {"otherwise": [{"how": how, **other.to_dict()} for how, other in self.otherwise]}
        told: dict[str, Any] = plain(found | {"checks": checks})
        return told

    # --- the past, tried on it ----------------------------------------------------------------------------

    @cached_property
    def blocks(self) -> pd.DataFrame:
        """Mean and cases by unit and block of time; block 0 begins with the start, those before it are below 0."""
        block = (self.rows["on"] - self.start).dt.days // self.terms.every
        return (
            _means(self.rows, [self.rows["unit"], block.rename("block")], self.terms).dropna().reset_index()
        )

    @cached_property
    def _slopes(self) -> pd.DataFrame:
        """Of each unit's means before the start, by block: slope and information; units with three blocks and more."""
        before = self.blocks[self.blocks["block"] < 0]
        n, at, y = (before[c].to_numpy(dtype=float) for c in ("cases", "block", "mean"))
        sums = pd.DataFrame(
            {"n": n, "nb": n * at, "ny": n * y, "nbb": n * at * at, "nby": n * at * y, "k": 1.0}
        )
        s = sums.groupby(before["unit"].to_numpy()).sum()
        information = s["nbb"] - s["nb"] ** 2 / s["n"]
        slope = (s["nby"] - s["nb"] * s["ny"] / s["n"]) / information
        found = pd.DataFrame({"slope": slope, "information": information, "gap": self._gap.reindex(s.index)})
        found = found[(s["k"] >= _FOR_A_SLOPE) & (information > 0)] if len(found) else found
        return found.join(self.units, how="inner")

    @cached_property
    def _gap(self) -> pd.Series:
        """Blocks between the middle of a unit's cases before and after."""
        b = self.blocks.assign(
            after=self.blocks["block"] >= 0, at=self.blocks["block"] * self.blocks["cases"]
        )
        sums = b.groupby(["unit", "after"])[["at", "cases"]].sum()
        middle = sums["at"] / sums["cases"]
        return middle.xs(True, level="after") - middle.xs(False, level="after")

    @cached_property
    def trend(self) -> Estimate | None:
        """How much faster the treated units rose than the others before the start, per block; None where nothing shows it."""
        s = self._slopes
        found = self._compared(s, s["slope"], s["information"])
        return found if found is not None and found.has_interval else None

    @cached_property
    def trend_power(self) -> float:
        """In which share of such histories a drift that makes up the whole effect would have been seen before the start."""
        from scipy.special import nctdtr

        if self.trend is None or not self.estimate.has_interval:
            return math.nan
        drift = abs(self.estimate.value) / float(self._gap.mean()) / self.trend.se
        return float(1 - nctdtr(self.trend.df, drift, t_quantile(1 - _DRIFT / 2, self.trend.df)))

    @cached_property
    def placebo_dates(self) -> pd.DataFrame:
        """The same sum on dates before the start, with the cases before it alone: on, value, low, high, p_value."""
        before = self.rows[self.rows["on"] < self.start]
        first = int(self.blocks["block"].min())
        found = []
        for block in range(first + _A_SIDE, 1 - _A_SIDE):
            on = self.start + pd.Timedelta(days=block * self.terms.every)
            units = _changes(before, on, self.terms)
            if len(units) and (e := _tested(units, self.terms)).has_interval:
                found.append({"on": on, "value": e.value, "low": e.low, "high": e.high, "p_value": e.p_value})
        return pd.DataFrame(found, columns=["on", "value", "low", "high", "p_value"])

    @cached_property
    def placebo_groups(self) -> dict[str, Any]:
        """Comparison units drawn as if they had got it: how many groups, how many show an effect, how many a larger one."""
        others = self.units[~self.units["treated"]]
        size = min(int(self.units["treated"].sum()), len(others) // 2)
        if len(others) < _FOR_GROUPS or size < 1:
            return {"groups": 0, "size": 0, "found": 0, "larger": 0}
        rng, d, w = (
            np.random.default_rng(self.terms.seed),
            others["change"].to_numpy(),
            others["weight"].to_numpy(),
        )
        estimates = [
            difference_in_differences(d, w, rng.permutation(len(d)) < size, level=self.terms.level)
            for _ in range(_GROUPS)
        ]
        found = sum(
            e.low > 0 or e.high < 0 for e in estimates
        )  # none where a group is too small for an interval
        larger = sum(abs(e.value) >= abs(self.estimate.value) for e in estimates)
        return {"groups": _GROUPS, "size": size, "found": found, "larger": larger}

    @cached_property
    def otherwise(self) -> list[tuple[str, Estimate]]:
        """The effect when it is reckoned in another way."""
        other = "units" if self.terms.weigh == "cases" else "cases"
        said = {"units": "each unit counted once", "cases": "each unit by its cases"}[other]
        last = self.start - pd.Timedelta(days=self.terms.every)
        without = self.rows[(self.rows["on"] < last) | (self.rows["on"] >= self.start)]
        dip = _changes(without, self.start, self.terms)
        ways = [
            ("with units that were seen on one side of the start only", self._pooled),
            (said, _tested(_weighed(self.units, other), self.terms)),
            (
                f"without the last {self.terms.every} days before the start",
                _tested(dip, self.terms) if len(dip) else None,
            ),
            ("with each unit's own trend before the start gone on", self._detrended),
            ("for units that start from the same level", self._levelled),
        ]
        return [(how, e) for how, e in ways if e is not None and math.isfinite(e.value)]

    @cached_property
    def _pooled(self) -> Estimate | None:
        """Means over all cases of each side, as they come; no interval, for the units before and after are not the same."""
        if not any(step["dropped"] for step in self.flow[2:]) or not self.sides["others"]["units"]:
            return None
        after = (self.rows["on"] >= self.start).rename("after")
        mean = _means(self.rows, [self.rows["treated"], after], self.terms)["mean"]
        moved = mean.xs(True, level="after") - mean.xs(False, level="after")
        return Estimate(float(moved[True] - moved[False]), level=self.terms.level)

    @cached_property
    def level_before(self) -> Estimate | None:
        """How much higher the treated units stood before the start."""
        return self._compared(self.units, self.units["before"], self.units["weight"])

    @cached_property
    def _detrended(self) -> Estimate | None:
        s = self._slopes
        return self._compared(s, s["change"] - s["slope"] * s["gap"], s["weight"])

    @cached_property
    def _levelled(self) -> Estimate | None:
        """Analysis of covariance: the change at the same level before, the slope within the two groups."""
        u = self.units
        if len(u) < _FOR_GROUPS:
            return None
        sums = (u[["before", "change"]].mul(u["weight"], axis=0)).groupby(u["treated"]).transform("sum")
        centred = u[["before", "change"]] - sums.div(u.groupby("treated")["weight"].transform("sum"), axis=0)
        square = float((u["weight"] * centred["before"] ** 2).sum())
        slope = (
            float((u["weight"] * centred["before"] * centred["change"]).sum()) / square if square > 0 else 0.0
        )
        return self._compared(u, u["change"] - slope * u["before"], u["weight"])

    def _regression(self) -> list[dict[str, str]]:
        """The doubt that units chosen for a bad (or good) past would have come back by themselves."""
        level, levelled, e = self.level_before, self._levelled, self.estimate
        if level is None or levelled is None or not level.p_value < _DRIFT:
            return []
        if not e.low * e.high > 0 or levelled.low * levelled.high > 0:
            return []
        side = "higher" if level.value > 0 else "lower"
        text = (
            f"The units with the feature stood {side} than the others before it, as if they had been chosen for that, and "
            "units that stand there come back by themselves: among units from the same level no effect can be told."
        )
        return [reason("regression_to_the_mean", text)]

    def _compared(self, of: pd.DataFrame, values: pd.Series, weight: pd.Series) -> Estimate | None:
        if not len(of):
            return None
        weight = weight if self.terms.weigh == "cases" else weight * 0 + 1.0
        return difference_in_differences(values, weight, of["treated"], level=self.terms.level)


# --- from rows to changes --------------------------------------------------------------------------------


def _checked(table: Any) -> pd.DataFrame:
    """The rows as the tidy outcomes; refused with every problem by row."""
    sheet = Sheet("the table", cells_of(table), decimal=TYPED)
    rows = from_sheet("outcomes", sheet)
    if wrong := [problem for problem in sheet.problems if problem.severity == "error"]:
        raise InputError(wrong)
    return rows


def _named(rows: pd.DataFrame, terms: Terms) -> pd.DataFrame:
    """The rows of one outcome, with cases and endings where the table leaves them out."""
    names = list(rows["outcome"].dropna().unique())
    if terms.outcome is not None and terms.outcome not in names:
        raise CallError(
            f"There is no outcome {terms.outcome!r}; the table has {', '.join(names) or 'one without a name: leave outcome empty'}."
        )
    if terms.outcome is None and len(names) > 1:
        raise CallError(f"The table holds several outcomes: {', '.join(names)}. Name one of them.")
    rows = rows if terms.outcome is None else rows[rows["outcome"] == terms.outcome]
    if terms.horizon is not None and (
        rows["of"].notna().any() or "ended" not in rows or (rows["value"] < 0).any()
    ):
        raise CallError(
            "A time needs one row per case: value of 0 or more, ended (whether it was over by then), and no column of."
        )
    over = rows["ended"] if "ended" in rows else pd.Series(True, rows.index)
    if terms.horizon is None and over.any() and not over.all():
        raise CallError(
            f"{int((~over).sum()):,} cases still run (ended is no), so their mean time is not known. Give a horizon: "
            "the time up to which waiting counts."
        )
    return rows.assign(of=rows["of"].fillna(1.0), ended=over)


def _cohort(rows: pd.DataFrame, terms: Terms) -> tuple[pd.DataFrame, pd.Timestamp, list[dict[str, Any]]]:
    """The units of one start and those without any, the start, and the way there."""
    since = rows.groupby("unit")["since"].first()
    flow = [{"step": "units of the table", "units": len(since), "dropped": 0, "why": ""}]
    starts = since.dropna().value_counts().sort_index()
    if starts.empty:
        raise CallError(
            "No unit has a day in since, so nothing was switched on. Fill it for the units with the feature."
        )
    if terms.since is None and len(starts) > 1:
        listed = ", ".join(f"{day:%Y-%m-%d} ({n})" for day, n in starts.head(8).items())
        raise CallError(
            f"The feature was switched on on {len(starts)} different days: {listed}. Before and after are one date in "
            "each analysis: units that have it already are no comparison for those that get it later. Name one as since; "
            "the units of the other days are then left out."
        )
    start = starts.index[0] if terms.since is None else terms.since
    if start not in starts.index:
        days = ", ".join(f"{day:%Y-%m-%d}" for day in starts.index[:8])
        raise CallError(f"since {start:%Y-%m-%d} is not a day on which a unit started; those are {days}.")
    kept = since[since.isna() | (since == start)]
    rows = rows[rows["unit"].isin(kept.index)]
    _step(flow, kept, f"started on {start:%Y-%m-%d}, or never", "started on another day")
    return rows.assign(treated=rows["since"].notna()), start, flow


def _step(flow: list[dict[str, Any]], left: Any, step: str, why: str) -> None:
    flow.append({"step": step, "units": len(left), "dropped": flow[-1]["units"] - len(left), "why": why})


def _means(rows: pd.DataFrame, by: list[Any], terms: Terms) -> pd.DataFrame:
    """Mean and cases in each cell; for times the restricted mean."""
    if terms.horizon is None:
        sums = rows.groupby(by)[["value", "of"]].sum()
        return pd.DataFrame({"mean": sums["value"] / sums["of"], "cases": sums["of"]})
    groups, horizon = rows.groupby(by), terms.horizon
    means = groups[["value", "ended"]].apply(lambda g: restricted_mean(g["value"], g["ended"], horizon))
    return pd.DataFrame({"mean": means, "cases": groups.size().astype(float)})


def _followed(rows: pd.DataFrame, start: pd.Timestamp) -> float:
    """The longest horizon up to which waits were followed in every unit, before the start and after it."""
    last = (
        rows.sort_values(["value", "ended"], ascending=[True, False])
        .groupby(["unit", rows["on"] >= start])
        .last()
    )
    return float(last.loc[~last["ended"], "value"].min())


def _changes(rows: pd.DataFrame, start: pd.Timestamp, terms: Terms) -> pd.DataFrame:
    """One change per unit that has cases on both sides of a date."""
    after = (rows["on"] >= start).rename("after")
    cells = _means(rows, [rows["unit"], after], terms).reset_index()
    sides = [
        cells[cells["after"] == side].set_index("unit")[["mean", "cases"]].set_axis(names, axis=1)
        for side, names in ((False, ["before", "cases_before"]), (True, ["after", "cases_after"]))
    ]
    found = sides[0].join(sides[1], how="inner")
    treated = rows.groupby("unit")["treated"].first()
    found = found.assign(treated=treated.reindex(found.index), change=found["after"] - found["before"])
    return _weighed(found, terms.weigh)


def _weighed(units: pd.DataFrame, weigh: str) -> pd.DataFrame:
    n0, n1 = units["cases_before"], units["cases_after"]
    return units.assign(weight=n0 * n1 / (n0 + n1) if weigh == "cases" else 1.0)


def _tested(units: pd.DataFrame, terms: Terms) -> Estimate:
    units = units.dropna(subset="change")
    return difference_in_differences(units["change"], units["weight"], units["treated"], level=terms.level)


def _first(cells: pd.Series) -> str:
    there = cells.dropna()
    return str(there.iloc[0]) if len(there) else ""
