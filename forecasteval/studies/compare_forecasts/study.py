"""One question put to an organisation's data: the parameters of a notebook, checked, and what they ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.margin import WithinMargin
from forecasteval.compare.repeated import against, by_group, influence, ladder
from forecasteval.compare.results import plain
from forecasteval.errors import CallError
from forecasteval.inference.questions import QUESTIONS
from forecasteval.matching import forecasters as fc
from forecasteval.matching.deals_as_of import Target
from forecasteval.matching.match import POPULATIONS, match
from forecasteval.matching.matched import META, RESERVED, Matched


def has(m, d):
    return Matched.of(m).has(d)


def forecaster_columns(m):
    return Matched.of(m).names


from forecasteval.scores.probability import DEFAULT_METRICS, METRICS
from forecasteval.scores.reliability import Reliability, consistency_band, reliability
from forecasteval.studies.compare_forecasts.sections import CloserLook, against_margin, look_closer
from forecasteval.tables import calendar as cal
from forecasteval.tables.organisation import Org


@dataclass(frozen=True)
class Question:
    """Which forecaster is better, on which deals, at which moment, by which measure.

    Every value is checked when it is made; all that is wrong is said at once, with what is allowed.

    Parameters
    ----------
    candidate, baseline : str
    as_of : str
        "week 4", or a date as "2026-02-28".
    target : str
        "won in period", "won at all" or "won within N days".
    population : str
        "closing in period" or "all open".
    also : list of str
        Further forecasters for the overview; empty for all there are.
    metrics : list of str
        The first carries the headline.
    generalise_to : list of str
        Empty for the cautious default, new reps and new periods.
    level : float
    margin : float
        The largest difference that does not matter; 0 for none.
    segment : str
        "column: value" (or "column=value"); empty for all deals.
    segments : str
        A column whose values are a family of segments, declared before the run; empty for none.
    show_names : bool
        Names of reps instead of pseudonyms.
    seed : int

    Raises
    ------
    ValueError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Question("model", "rep_forecast", level=0.9).level
    0.9
    >>> Question("model", "model", metrics=["brie"])
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 2 parameters cannot be used:
    - baseline: 'model' is the candidate as well; name another forecaster.
    - metrics: 'brie' is not one of brier, log_score, auc, brier_skill, brier_by_amount, bias, bias_by_amount. Did you mean 'brier'?
    """

    candidate: str
    baseline: str
    as_of: str = "week 4"
    target: str = "won in period"
    population: str = "closing in period"
    also: Sequence[str] = ()
    metrics: Sequence[str] = DEFAULT_METRICS
    generalise_to: Sequence[str] = ()
    level: float = 0.95
    margin: float = 0.0
    segment: str = ""
    segments: str = ""
    show_names: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be used, all at once."""
        wrong: list[str] = []
        for name in ("metrics", "also", "generalise_to"):  # one name is a list of one
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, [value] if value else [])

        def choose(name: str, values: Sequence[str], allowed: Sequence[str]) -> None:
            for value in values:
                if value not in allowed:
                    near = get_close_matches(str(value), allowed, 1)
                    hint = f" Did you mean {near[0]!r}?" if near else ""
                    wrong.append(f"{name}: {value!r} is not one of {', '.join(allowed)}.{hint}")

        if self.candidate == self.baseline:
            wrong.append(f"baseline: {self.baseline!r} is the candidate as well; name another forecaster.")
        choose("metrics", self.metrics, list(METRICS))
        if not self.metrics:
            wrong.append(f"metrics: none is named; choose from {', '.join(METRICS)}.")
        elif METRICS.get(self.metrics[0]) and METRICS[self.metrics[0]].better == "nearer_zero":
            wrong.append(f"metrics: {self.metrics[0]} cannot come first; a bias has no verdict.")
        choose("population", [self.population], list(POPULATIONS))
        if self.generalise_to and tuple(self.generalise_to) not in QUESTIONS:
            allowed = "; ".join(str(list(q)) for q in QUESTIONS)
            words = {word for question in QUESTIONS for word in question}
            meant = [(get_close_matches(str(w), words, 1) or [str(w)])[0] for w in self.generalise_to]
            hint = f" Did you mean {meant}?" if tuple(meant) in QUESTIONS else ""
            wrong.append(f"generalise_to: {list(self.generalise_to)} is not one of {allowed}.{hint}")
        try:
            Target.parse(self.target)
        except ValueError as error:
            wrong.append(f"target: {error}")
        if not 0.5 <= self.level < 1:
            wrong.append(f"level: {self.level!r} is not between 0.5 and 1; 0.95 is usual.")
        if not self.margin >= 0:
            wrong.append(
                f"margin: {self.margin!r} is below 0; give the largest difference that does not matter."
            )
        if self.segment and not all(self._segment):
            wrong.append(
                f"segment: {self.segment!r} is not of the form 'column: value', such as 'region: West'."
            )
        if wrong:
            count = f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:"
            raise CallError("\n- ".join([count, *wrong]))

    @property
    def _segment(self) -> tuple[str, str]:
        """Column and value of the segment, divided at the first colon or equals sign."""
        column, value = [*re.split("[:=]", self.segment, maxsplit=1), ""][:2]
        return column.strip(), value.strip()

    def _forecasters(self, org: Org) -> list[str]:
        if self.also:
            return list(dict.fromkeys([self.candidate, self.baseline, *self.also]))
        if org.matched is not None:
            return list(dict.fromkeys([self.candidate, self.baseline, *forecaster_columns(org.matched)]))
        files = [] if org.forecasts is None else sorted(org.forecasts["forecaster"].unique())
        return list(dict.fromkeys([self.candidate, self.baseline, *fc.BUILT_IN, *files]))

    def _selected(self, matched: pd.DataFrame) -> pd.DataFrame:
        """The rows of the segment, refused with the values there are."""
        if not self.segment or matched.empty:
            return matched
        column, value = self._segment
        named = set(forecaster_columns(matched)) | (RESERVED - {"period", "rep", "account"})
        segments = [str(c) for c in matched.columns if c not in named]
        if column not in segments:
            near = [c for c in segments if c.lower() == column.lower()] or get_close_matches(
                column, segments, 1
            )
            hint = f" Did you mean {near[0]}?" if near else ""
            raise CallError(
                f"segment: there is no column {column!r}; the deals have {', '.join(segments)}.{hint}"
            )
        values = matched[column].astype("string")
        if not (values == value).any():
            there = values.value_counts().head(12).index.tolist()
            raise CallError(f"segment: no deal has {column} = {value!r}; there are {', '.join(there)}.")
        selected = matched[(values == value).to_numpy()].reset_index(drop=True)
        meta = matched.attrs.get(META, {})
        words = f"{meta.get('population', 'the deals of the table')}, where {column} is {value}"
        deals, before = int(selected["deal_id"].nunique()), int(matched["deal_id"].nunique())
        step = {
            "step": f"{column} is {value}",
            "deals": deals,
            "dropped": before - deals,
            "why": f"another {column}",
        }
        selected.attrs[META] = meta | {
            "population": words,
            "where": f"where {column} is {value}",
            "flow": [
                *Matched.of(matched).counted_flow(int(matched["deal_id"].nunique()), len(matched)),
                step,
            ],
        }
        return selected

    def match(self, org: Org) -> pd.DataFrame:
        """The matched table of candidate and baseline: their deals, not narrowed by anybody else's silence."""
        return self._matched(org, [self.candidate, self.baseline])

    def match_everyone(self, org: Org) -> pd.DataFrame:
        """The matched table of all forecasters, on the deals about which all of them could speak."""
        return self._matched(org, self._forecasters(org))

    def _matched(self, org: Org, names: list[str], **looks: Any) -> pd.DataFrame:
        """The segment's rows of a matched table; `looks` are other moments than the question's."""
        matched = match(
            org,
            **({"as_of": self.as_of} | looks),
            target=self.target,
            population=self.population,
            forecasters=names,
            seed=self.seed,
        )
        return self._selected(matched)

    @property
    def _options(self) -> dict[str, Any]:
        return {"level": self.level, "margin": self.margin or None, "seed": self.seed}

    @property
    def _primary(self) -> dict[str, Any]:
        """The options of a comparison by the primary metric alone."""
        question = tuple(self.generalise_to) or None
        return {"metrics": self.metrics[:1], "generalise_to": question, **self._options}

    def compare(self, matched: pd.DataFrame) -> Comparison:
        """Candidate against baseline, on all metrics."""
        return compare(matched, self.candidate, self.baseline, **(self._primary | {"metrics": self.metrics}))

    def ladder(self, matched: pd.DataFrame) -> list[Comparison]:
        """The primary metric for new deals, new reps, new periods."""
        return ladder(matched, self.candidate, self.baseline, metrics=self.metrics[:1], **self._options)

    def against_baseline(self, everyone: pd.DataFrame) -> dict[str, Comparison]:
        """Every forecaster of the table against the baseline, on the primary metric."""
        names = [n for n in forecaster_columns(everyone) if n != self.baseline]
        return against(everyone, names, self.baseline, **self._primary)

    def against_fair_twin(self, everyone: pd.DataFrame) -> Comparison | None:
        """The candidate against the reps' own probability corrected by their past, if they are the baseline."""
        twin = "rep_recalibrated"
        if self.baseline != "rep_forecast" or twin not in everyone or self.candidate == twin:
            return None
        return compare(everyone, self.candidate, twin, **self._primary)

    def by_week(self, org: Org) -> dict[int, Comparison]:
        """The primary metric in each week of the period; empty where the data know no weeks."""
        if org.history is None or org.periods is None:
            return {}
        weeks = [f"week {w}" for w in range(1, int(cal.weeks_in(org.periods).min()) + 1)]
        pooled = self._matched(org, [self.candidate, self.baseline], as_of=weeks, pool=True)
        if pooled.empty:
            return {}
        found = by_group(pooled, "week", self.candidate, self.baseline, **self._primary)
        return {int(week): c for week, c in found.items()}

    def curves(self, matched: pd.DataFrame) -> dict[str, Reliability]:
        """Reliability of candidate and baseline, where they give probabilities."""
        found = {}
        for name in (self.candidate, self.baseline):
            said = matched[name].dropna() if name in matched else pd.Series(dtype=float)
            if len(said) and said.between(0, 1).all():
                found[name] = reliability(said, matched.loc[said.index, "won"])
        return found

    def bands(self, matched: pd.DataFrame, curves: Mapping[str, Reliability]) -> dict[str, Any]:
        """Where the curves would lie by chance alone, were they perfect."""
        return {n: consistency_band(matched[n].dropna(), seed=self.seed) for n in curves}

    def influence(self, matched: pd.DataFrame, comparison: Comparison) -> pd.DataFrame | None:
        """How much hangs on each rep, or each period where reps are not known; None without either."""
        by = next((d for d in ("rep", "period") if has(matched, d)), None)
        if by is None or pd.isna(comparison.primary["difference"]):
            return None
        return influence(
            matched,
            self.candidate,
            self.baseline,
            by=by,
            metric=self.metrics[0],
            show_names=self.show_names or by == "period",
        )

    def against_margin(self, matched: pd.DataFrame, comparison: Comparison) -> WithinMargin | None:
        """Is the candidate not worse, or equal, as far as the margin allows? None without a margin."""
        return against_margin(matched, comparison, self.margin) if self.margin else None

    def look_closer(
        self, org: Org, matched: pd.DataFrame, comparison: Comparison, within: WithinMargin | None
    ) -> CloserLook:
        """Beyond the headline: calibration, what either adds, the declared segments, reps, totals, the margin."""
        return look_closer(
            org,
            matched,
            comparison,
            as_of=self.as_of,
            by=self.segments,
            margin=within,
            show_names=self.show_names,
            seed=self.seed,
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as plain values."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def results(
        self,
        comparison: Comparison,
        curves: Mapping[str, Reliability],
        rungs: Sequence[Comparison],
        weeks: Mapping[int, Comparison],
        others: Mapping[str, Comparison],
        fair: Comparison | None,
        everyone: pd.DataFrame,
        look: CloserLook,
    ) -> dict[str, Any]:
        """The content of `results.json`."""
        meta = everyone.attrs.get(META, {})
        head = {
            "schema_version": 1,
            "question": f"Whose forecasts are better, {self.candidate}'s or {self.baseline}'s?",
            "parameters": plain(self.parameters),
        }
        calibration = {
            name: {
                "brier": c.score,
                "miscalibration": c.miscalibration,
                "discrimination": c.discrimination,
                "uncertainty": c.uncertainty,
                "curve": [{"said": p, "won": w, "deals": n} for p, w, n in c.bins()],
            }
            for name, c in curves.items()
        }
        return (
            head
            | comparison.to_dict()
            | {
                "ladder": [plain(c.primary) for c in rungs],
                "by_week": {str(w): plain(c.primary) for w, c in weeks.items()},
                "fair_twin": None if fair is None else plain(fair.primary),
                "others": {n: plain(c.primary) for n, c in others.items()},
                "calibration": plain(calibration),
                "forecasters": plain(meta.get("forecasters", {})),
            }
            | look.to_dict()
        )
