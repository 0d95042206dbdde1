"""How many closed deals until the model is better than the reps: its learning curve, by rolling origin.

At each look of each period the reference model is fitted to the last n deals whose outcome was known by then,
and speaks about that period's deals. Every n speaks about the same deals at the same moments.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.calibration import calibrate
from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.results import plain
from forecasteval.compare.verdicts import CANDIDATE
from forecasteval.errors import CallError
from forecasteval.inference.limits import FEW_PERIODS, MIN_CLUSTERS
from forecasteval.inference.questions import QUESTIONS
from forecasteval.matching.deals_as_of import Target
from forecasteval.matching.match import POPULATIONS, match
from forecasteval.matching.matched import META, RESERVED, has
from forecasteval.matching.rolling_origin import (
    GRID,
    LEAST,
    Learning,
    onto,
    panel_of_learning,
    pasts_of,
    roll,
    stopped,
)
from forecasteval.scores.reliability import reliability
from forecasteval.tables.organisation import Org

RULES = ("stage_rate", "base_rate", "rep_category", "rep_recalibrated")
VALUES = range(2, 9)  # a column with this many values is a segment
_STATE = {"stage", "category", "state", "week"}


@dataclass(frozen=True)
class Curve:
    """The learning curve and its answer.

    Attributes
    ----------
    against_baseline, against_rule, rule : dict of Comparison by size
        Model against baseline, model against rule, rule against baseline.
    reached : int or None
        The smallest size from which on the model is better than the baseline; None: not reached.
    beats_rule : int or None
        The same against the rule.
    table : DataFrame, one row per size
    segments : DataFrame, one row per segment
    """

    learning: Learning
    against_baseline: Mapping[int, Comparison]
    against_rule: Mapping[int, Comparison]
    rule: Mapping[int, Comparison]
    reached: int | None
    beats_rule: int | None
    table: pd.DataFrame
    segments: pd.DataFrame


def reached(comparisons: Mapping[int, Comparison]) -> int | None:
    """The smallest size from which on the candidate is better, sizes being tested from the largest down.

    A fixed sequence: the next smaller size is looked at only while every larger one is better. So the chance
    of any false "better" stays at that of a single interval, without a correction for the number of sizes.

    Parameters
    ----------
    comparisons : dict of Comparison by size

    Returns
    -------
    int, or None where not even the largest is better: not reached

    References
    ----------
    Maurer, Hothorn & Lehmacher (1995), Biometrie in der chemisch-pharmazeutischen Industrie 6, 3-18; Westfall &
    Krishen (2001), Journal of Statistical Planning and Inference 99(1), 25-40.

    Examples
    --------
    >>> reached({}) is None
    True
    """
    found = None
    for size in sorted(comparisons, reverse=True):
        if comparisons[size].verdict != CANDIDATE:
            break
        found = size
    return found


@dataclass(frozen=True)
class Sufficiency:
    """How much data the model needs; every value is checked when it is made.

    Parameters
    ----------
    baseline, rule : str
        Who has to be beaten, and the rule that could be used until then.
    as_of, target, population : str
        As in :class:`forecasteval.Question`; `as_of` is a week of the period.
    sizes : list of int
        Numbers of closed deals to learn from; empty for a grid as far as the data carry it.
    scores : dict
        A vendor's forecasters by the number of deals that each was trained on, instead of the reference model.
    segments : list of str
        Columns whose values are looked at by themselves; empty for all with two to eight values.
    generalise_to : list of str
    level : float
    seed : int
        Of the order of deals that became known on the same day.

    Raises
    ------
    CallError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Sufficiency(rule="rule of thumb", sizes=[50, 5])
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - rule: 'rule of thumb' is not one of stage_rate, base_rate, rep_category, rep_recalibrated.
    - sizes: 5 is not a whole number of at least 10 deals.
    """

    baseline: str = "rep_forecast"
    rule: str = "stage_rate"
    as_of: str = "week 4"
    target: str = "won in period"
    population: str = "closing in period"
    sizes: Sequence[int] = ()
    scores: Mapping[str, int] = field(default_factory=dict)
    segments: Sequence[str] = ()
    generalise_to: Sequence[str] = ()
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be used, all at once."""
        wrong: list[str] = []
        if self.rule not in RULES:
            wrong.append(f"rule: {self.rule!r} is not one of {', '.join(RULES)}.")
        if self.baseline == self.rule or self.baseline in self.scores or self.baseline == "model":
            wrong.append(f"baseline: {self.baseline!r} is what is compared with it; name another forecaster.")
        if not str(self.as_of).startswith("week "):
            wrong.append(f"as_of: {self.as_of!r} is not a week of the period, such as 'week 4'.")
        if self.population not in POPULATIONS:
            wrong.append(f"population: {self.population!r} is not one of {', '.join(POPULATIONS)}.")
        for name, found in (("sizes", self.sizes), ("scores", self.scores.values())):
            bad = [n for n in found if not isinstance(n, int) or isinstance(n, bool) or n < LEAST]
            wrong += [f"{name}: {n!r} is not a whole number of at least {LEAST} deals." for n in bad]
        if len(set(self.scores.values())) < len(self.scores):
            wrong.append("scores: two forecasters were trained on the same number of deals; leave one out.")
        if self.generalise_to and tuple(self.generalise_to) not in QUESTIONS:
            allowed = "; ".join(str(list(q)) for q in QUESTIONS)
            wrong.append(f"generalise_to: {list(self.generalise_to)} is not one of {allowed}.")
        try:
            Target.parse(self.target)
        except ValueError as error:
            wrong.append(f"target: {error}")
        if not 0.5 <= self.level < 1:
            wrong.append(f"level: {self.level!r} is not between 0.5 and 1; 0.95 is usual.")
        if wrong:
            count = f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:"
            raise CallError("\n- ".join([count, *wrong]))

    # --- learning ---------------------------------------------------------------------------------------

    def _match(self, org: Org, names: Sequence[str]) -> pd.DataFrame:
        options = {
            "as_of": self.as_of,
            "target": self.target,
            "population": self.population,
            "seed": self.seed,
        }
        return match(org, forecasters=list(dict.fromkeys(names)), **options)  # type: ignore[arg-type]

    def learn(self, org: Org) -> Learning:
        """Forecasts of the model and of the rule by the number of deals that they learned from."""
        if self.scores:
            return self._given(org)
        if org.matched is not None:
            return stopped(
                "The table gives no order in time, so nothing can be learned from the past and tried on what came after; "
                "a random split would promise too much. Name a vendor's scores by training size (scores), or bring "
                "the deals with their history."
            )
        rows = self._match(org, ["rep_forecast"])
        stop = rows.attrs[META].get("stop")
        if stop:
            return stopped(str(stop[0]["text"]))
        panel = panel_of_learning(org, rows, self.as_of, self.target)
        pasts = pasts_of(panel, self.seed)
        sizes, why = sizes_for(self.sizes, [len(train) for _, train in pasts])
        if why:
            return stopped(why)
        rolled = roll(panel, [p for p in pasts if len(p[1]) >= sizes[-1]], sizes, self.rule)
        return onto(self._match(org, [self.baseline]), rolled, sizes, self.baseline)

    def _given(self, org: Org) -> Learning:
        """A vendor's scores by training size, beside the rule fitted to all that was known."""
        ordered = dict(sorted(self.scores.items(), key=lambda item: item[1]))
        names = [*ordered, self.baseline]
        table = self._match(org, names if org.matched is not None else [*names, self.rule])
        meta = table.attrs.get(META, {})
        absent = [n for n in names if n not in table]
        if meta.get("stop") or absent:
            why = f"There is no forecast named {', '.join(absent)}."
            return stopped(str(meta["stop"][0]["text"]) if meta.get("stop") else why)
        sizes = tuple(ordered.values())
        rule = dict.fromkeys(sizes, self.rule) if self.rule in table else {}
        table = table[table[self.baseline].notna()].reset_index(drop=True)
        table.attrs[META] = meta
        return Learning(table, sizes, {n: name for name, n in ordered.items()}, rule, pd.DataFrame())

    # --- judging ----------------------------------------------------------------------------------------

    def _compare(
        self, table: pd.DataFrame, candidate: str, baseline: str, level: float | None = None
    ) -> Comparison:
        return compare(
            table,
            candidate,
            baseline,
            metrics=["brier"],
            generalise_to=tuple(self.generalise_to) or None,
            level=level or self.level,
            seed=self.seed,
        )

    def judge(self, learning: Learning) -> Curve | None:
        """The curve with its intervals and its answer; None where there is nothing to judge."""
        if learning.stop:
            return None
        table = learning.table
        model = {n: self._compare(table, c, self.baseline) for n, c in learning.model.items()}
        rule = {n: self._compare(table, c, self.baseline) for n, c in learning.rule.items()}
        versus = {n: self._compare(table, learning.model[n], c) for n, c in learning.rule.items()}
        return Curve(
            learning,
            model,
            versus,
            rule,
            reached(model),
            reached(versus),
            _by_size(learning, model, rule, self.level),
            self._by_segment(learning),
        )

    def _segment_columns(self, table: pd.DataFrame) -> list[str]:
        taken = RESERVED | _STATE | set(table.attrs.get(META, {}).get("forecasters", {}))
        there = [str(c) for c in table if c not in taken]
        unknown = [c for c in self.segments if c not in there]
        if unknown:
            raise CallError(
                f"segments: there is no column {unknown[0]!r}; the deals have {', '.join(there) or 'none'}."
            )
        return list(self.segments) or [c for c in there if table[c].nunique() in VALUES]

    def _by_segment(self, learning: Learning) -> pd.DataFrame:
        """The answer in each segment; the chance of a false one is shared among them (Bonferroni)."""
        table = learning.table
        parts = [
            (c, v) for c in self._segment_columns(table) for v in sorted(table[c].dropna().unique(), key=str)
        ]
        level = 1 - (1 - self.level) / max(len(parts), 1)
        meta = {k: v for k, v in table.attrs[META].items() if k != "flow"}
        rows = []
        for column, value in parts:
            part = table[table[column] == value].reset_index(drop=True)
            part.attrs[META] = meta
            found = {n: self._compare(part, c, self.baseline, level) for n, c in learning.model.items()}
            largest = found[learning.sizes[-1]].primary
            numbers = {
                k: largest[k] for k in ("difference", "low", "high", "verdict", "reliable", "deals", "wins")
            }
            why = " ".join(r["text"] for r in largest["reasons"]) if not largest["reliable"] else ""
            reps = int(part["rep"].nunique()) if has(part, "rep") else 0
            rows.append(
                {
                    "segment": column,
                    "value": str(value),
                    "reps": reps,
                    "reached": reached(found),
                    "level": level,
                }
                | numbers
                | {"why": why}
            )
        found_table = pd.DataFrame(rows)
        return found_table if found_table.empty else found_table.astype({"reached": "Int64"})

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def results(self, learning: Learning, curve: Curve | None, headline: str) -> dict[str, Any]:
        """The content of `results.json`."""
        answer: dict[str, Any] = {
            "reached": None,
            "beats_rule": None,
            "curve": [],
            "segments": [],
            "comparisons": [],
        }
        if curve is not None:
            last = curve.against_baseline[learning.sizes[-1]]
            answer = {
                "reached": curve.reached,
                "beats_rule": curve.beats_rule,
                "estimand": last.estimand,
                "flow": [plain(r) for r in last.flow.to_dict("records")],
                "curve": [plain(r) for r in curve.table.to_dict("records")],
                "segments": [plain(r) for r in curve.segments.to_dict("records")],
                "comparisons": [plain(c.primary) for c in curve.against_baseline.values()],
            }
        return {
            "schema_version": 1,
            "question": f"From how many closed deals on is the model better than {self.baseline}?",
            "headline": headline,
            "primary": "brier",
            "parameters": plain(self.parameters),
            "stop": learning.stop,
            "sizes": list(learning.sizes),
        } | answer


# --- pieces ---------------------------------------------------------------------------------------------


def _slope(table: pd.DataFrame, name: str, level: float) -> tuple[float, float, float]:
    """Calibration slope with its interval over reps, or over periods where reps are not known."""
    rows = table[table[name].notna()]
    by = next((d for d in ("rep", "period") if has(rows, d)), None)
    found = calibrate(rows[name], rows["won"], rows[by] if by else None, level=level).slope
    return (math.nan, math.nan, math.nan) if found is None else (found.value, found.low, found.high)


def _by_size(
    learning: Learning, model: Mapping[int, Comparison], rule: Mapping[int, Comparison], level: float
) -> pd.DataFrame:
    """One row per size: scores, difference with interval, events per variable, calibration."""
    rows = []
    for n in learning.sizes:
        row: dict[str, Any] = {"size": n}
        p = model[n].primary
        row |= {"brier": p["candidate_value"], "baseline_brier": p["baseline_value"]}
        row |= {k: p[k] for k in ("difference", "low", "high", "verdict", "reliable")}
        seen = learning.fits[learning.fits["size"] == n] if len(learning.fits) else None
        events, parameters = math.nan, math.nan
        if seen is not None:
            events = float(np.minimum(seen["won"], seen["deals"] - seen["won"]).mean())
            parameters = float(seen["parameters"].mean())
        row |= {
            "events": events,
            "parameters": parameters,
            "events_per_variable": events / parameters if parameters else math.nan,
        }
        for role, columns in (("", learning.model), ("rule_", learning.rule)):
            if n not in columns:
                continue
            said = learning.table[learning.table[columns[n]].notna()]
            b, low, high = _slope(said, columns[n], level)
            curve = reliability(said[columns[n]], said["won"])
            row |= {
                f"{role}slope": b,
                f"{role}slope_low": low,
                f"{role}slope_high": high,
                f"{role}miscalibration": curve.miscalibration,
            }
        if n in rule:
            row["rule_brier"] = rule[n].primary["candidate_value"]
            row |= {
                f"rule_{k}": rule[n].primary[k] for k in ("difference", "low", "high", "verdict", "reliable")
            }
        rows.append(row)
    return pd.DataFrame(rows)


def sizes_for(asked: Sequence[int], known: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """The sizes of the curve, and why there is none.

    Without wishes: the grid as far as six periods can be judged at all of its sizes; four or one where six
    cannot.

    Parameters
    ----------
    asked : the sizes that are wished for
    known : how many outcomes were known at each look

    Returns
    -------
    sizes, and a sentence where there are none

    Raises
    ------
    CallError
        If more deals are asked for than were ever known.

    Examples
    --------
    >>> sizes_for([], [0, 60, 120, 180, 240, 300, 360])[0]
    (25, 35, 50)
    """
    most = max(known, default=0)
    if asked:
        sizes = tuple(sorted(set(asked)))
        if sizes[-1] > most:
            raise CallError(
                f"sizes: {sizes[-1]:,} deals cannot be learned from; by the last period the outcome of {most:,} was known."
            )
        return sizes, ""
    for periods in (FEW_PERIODS, MIN_CLUSTERS["period"], 1):
        if len(known) >= periods:
            top = sorted(known, reverse=True)[periods - 1]
            if top >= GRID[2]:
                return tuple(n for n in GRID if n <= top), ""
    return (), (
        f"By the last period the outcome of only {most:,} deals was known, too few to draw a curve: at least {GRID[2]} "
        "are needed before the first period that is judged."
    )
