"""The learning curve in numbers: every size compared with the baseline and with the rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare import wording
from forecasteval.compare.calibration import calibrate
from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.crossing import Crossing, crossing
from forecasteval.compare.verdicts import BASELINE, CANDIDATE
from forecasteval.inference.logistic import EPSILON
from forecasteval.matching.matched import Matched
from forecasteval.matching.rolling_origin import Learning
from forecasteval.report.answer import Answer
from forecasteval.report.blocks import Words, difference_words
from forecasteval.scores.probability import METRICS
from forecasteval.scores.reliability import reliability

_JUDGED = ("difference", "low", "high", "verdict", "reliable")


@dataclass(frozen=True, eq=False)
class Curve(Answer):
    """Who learned from how much, judged by the same comparison on the same deals at every size."""

    learning: Learning
    baseline: str
    rule: str
    who: str  # is learning: the reference model, or a vendor's
    generalise_to: tuple[str, ...]
    metric: str
    level: float
    seed: int
    sizes_asked: bool  # or as far as they go
    segment_columns: Sequence[str]

    say = Words(__file__, difference_words=difference_words)

    def compared(
        self, table: Matched, columns: Mapping[int, str], level: float | None = None
    ) -> dict[int, Comparison]:
        """Each size of a forecaster against the baseline."""
        return {n: self._compare(table, name, self.baseline, level) for n, name in columns.items()}

    def _compare(
        self, table: Matched, candidate: str, baseline: str, level: float | None = None
    ) -> Comparison:
        return compare(
            table,
            candidate,
            baseline,
            metrics=[self.metric],
            epsilon=EPSILON if self.metric == "log_score" else 0.0,
            generalise_to=self.generalise_to or None,
            level=level or self.level,
            seed=self.seed,
        )

    @property
    def stop(self) -> str:
        """Why there is no curve; empty where there is one."""
        return self.learning.stop

    @property
    def most(self) -> int:
        """The largest size."""
        return self.learning.sizes[-1]

    @cached_property
    def model(self) -> dict[int, Comparison]:
        """Model against baseline, by size."""
        return self.compared(self.learning.table, self.learning.model)

    @cached_property
    def by_rule(self) -> dict[int, Comparison]:
        """Rule against baseline, by size."""
        return self.compared(self.learning.table, self.learning.rule)

    @cached_property
    def against_rule(self) -> dict[int, Comparison]:
        """Model against rule, by size."""
        table, model = self.learning.table, self.learning.model
        return {n: self._compare(table, model[n], name) for n, name in self.learning.rule.items()}

    @property
    def last(self) -> Comparison:
        """Model against baseline at the largest size."""
        return self.model[self.most]

    @property
    def told(self) -> bool:
        """Can it be told whether the model is ahead?"""
        return not self.stop and bool(self.last.primary["reliable"])

    @property
    def behind(self) -> bool:
        """Is the baseline still better at the largest size?"""
        return self.last.verdict == BASELINE

    @property
    def doubts(self) -> str:
        """What speaks against the interval at the largest size."""
        return wording.doubts(self.last.primary["reasons"])

    @property
    def leaves_few_periods(self) -> bool:
        """Would fewer deals to learn from leave enough periods to judge on?"""
        return self.sizes_asked and any("period" in r["code"] for r in self.last.primary["reasons"])

    @property
    def best(self) -> dict[str, Any]:
        """The size with the best difference."""
        differences = self.table["difference"]
        at = differences.argmax() if self.higher_is_better else differences.argmin()
        return dict(self.table.iloc[int(at)])

    @property
    def before(self) -> dict[str, Any] | None:
        """The largest size at which the model is not ahead yet, where the rule spoke too."""
        rows = self.table if self.reached is None else self.table[self.table["size"] < self.reached]
        return None if rows.empty or f"rule_{self.metric}" not in rows else dict(rows.iloc[-1])

    @property
    def rule_is_worse(self) -> bool:
        """Does the rule score worse than the baseline there?"""
        row = self.before or {}
        off = row.get(f"rule_{self.metric}", math.nan) - row.get(f"baseline_{self.metric}", math.nan)
        return bool(off < 0 if self.higher_is_better else off > 0)

    @property
    def rule_is_proven(self) -> bool:
        """Is the rule shown to be better than the baseline there?"""
        return self.before is not None and self.before["rule_verdict"] == CANDIDATE

    @cached_property
    def reached(self) -> int | None:
        """The smallest size from which on the model is better than the baseline; None: not reached."""
        return None if self.stop else crossing(self.model)

    @cached_property
    def crossing(self) -> Crossing:
        """Where the model passes the baseline, with its interval."""
        return Crossing(None, None, None) if self.stop else Crossing.of(self.model)

    @cached_property
    def beats_rule(self) -> int | None:
        """The same against the rule."""
        return None if self.stop else crossing(self.against_rule)

    @cached_property
    def fair(self) -> Comparison | None:
        """The model, at the size from which it is ahead, against the reps corrected from as few deals."""
        learning, n = self.learning, self.reached
        if n is None or n not in learning.twin:
            return None
        return self._compare(learning.table, learning.model[n], learning.twin[n])

    @property
    def label(self) -> str:
        """The score's name in sentences."""
        return METRICS[self.metric].label

    @property
    def gloss(self) -> str:
        """What the score is."""
        return METRICS[self.metric].gloss

    @property
    def higher_is_better(self) -> bool:
        """Is a difference above 0 the model's?"""
        return METRICS[self.metric].better == "higher"

    def scope(self, comparison: Comparison) -> str:
        """What may be different next time, in words."""
        return wording.scope(comparison.generalise_to, comparison.nouns)

    def size(self, comparison: Comparison) -> str:
        """Deals and clusters behind a comparison."""
        return wording.size(comparison.primary, comparison.nouns)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per size: scores, difference with interval, events per variable, calibration."""
        rows = []
        for n in self.learning.sizes:
            p = self.model[n].primary
            row: dict[str, Any] = {"size": n, self.metric: p["candidate_value"]}
            row |= {f"baseline_{self.metric}": p["baseline_value"]} | {k: p[k] for k in _JUDGED}
            row |= self._events(n)
            for role, columns in (("", self.learning.model), ("rule_", self.learning.rule)):
                if n in columns:
                    row |= {f"{role}{k}": v for k, v in self._calibration(columns[n]).items()}
            if n in self.by_rule:
                p = self.by_rule[n].primary
                row |= {f"rule_{self.metric}": p["candidate_value"]} | {f"rule_{k}": p[k] for k in _JUDGED}
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def slope_is_known(self) -> bool:
        """Is there a calibration slope at any size?"""
        return bool(self.table["slope"].notna().any())

    def _events(self, size: int) -> dict[str, float]:
        """Deals won or not won, whichever are fewer, on average, and for each number that is fitted."""
        events = parameters = math.nan
        if len(self.learning.fits):
            seen = self.learning.fits[self.learning.fits["size"] == size]
            events = float(np.minimum(seen["won"], seen["deals"] - seen["won"]).mean())
            parameters = float(seen["parameters"].mean())
        each = events / parameters if parameters else math.nan
        return {"events": events, "parameters": parameters, "events_per_variable": each}

    def _calibration(self, name: str) -> dict[str, float]:
        """Slope with its interval over reps, or over periods where reps are not known; and miscalibration."""
        rows = self.learning.table.rows(self.learning.table[name].notna())
        by = next((d for d in ("rep", "period") if rows.has(d)), None)
        slope = calibrate(
            rows[name], rows["won"], rows[by] if by else None, deal=rows["deal_id"], level=self.level
        ).slope
        value, low, high = (math.nan,) * 3 if slope is None else (slope.value, slope.low, slope.high)
        lost = reliability(rows[name], rows["won"]).miscalibration
        return {"slope": value, "slope_low": low, "slope_high": high, "miscalibration": lost}
