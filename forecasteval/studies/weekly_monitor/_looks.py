"""From frozen deals to weekly cohorts, running intervals and the verdict of each look."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import MAX_FILLED
from forecasteval.compare.hindsight import CODE as HINDSIGHT
from forecasteval.compare.hindsight import knew
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME, UNSURE
from forecasteval.inference import confidence_sequences as sequences
from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.limits import LIMITS
from forecasteval.scores.probability import METRICS, Deals
from forecasteval.studies.weekly_monitor._rules import Rules

_FEWEST = 20  # deals won, and deals not won, before a verdict: sequences lean on sums being nearly normal


def cohorts_of(deals: pd.DataFrame, metric: str = "brier", epsilon: float = 0.0) -> pd.DataFrame:
    """Sums of each complete cohort, in the order in which the targets became known.

    x = sum of the candidate's frozen scores minus the baseline's over the cohort's deals; z = number of deals, or the sum
    of the amounts frozen with the forecasts (`weight`; `squares` is that of their squares). Void deals are left out of
    both, and deals without an amount where it weighs.
    """
    known = deals[deals["known"]]
    by_amount = bool(METRICS[metric].needs)
    weight = known["amount"].astype(float) if by_amount else pd.Series(1.0, known.index)
    counted = known["won"].notna() & weight.gt(0)
    columns = ["deals", "wins", "filled", "void", "candidate", "baseline"]
    columns += ["weight", "squares"] if by_amount else []
    at = known[counted]
    arrays = {k: np.asarray(at[k], dtype=float) for k in ("won", "candidate", "baseline")}
    scored = METRICS[metric].terms
    assert scored is not None
    terms = scored(Deals(**arrays, amount=np.asarray(weight[counted], dtype=float), epsilon=epsilon))
    said = pd.DataFrame({"candidate": terms.candidate, "baseline": terms.baseline}, at.index)
    sums = known.drop(columns=list(said)).assign(
        deals=counted,
        wins=known["won"].eq(1) & counted,
        filled=known["filled"] & counted,
        weight=weight.where(counted),
        squares=np.square(weight.where(counted)),
    )
    sums = sums.join(said)
    table = sums.groupby(["due_on", "as_of", "period", "late"], sort=True)[columns].sum().reset_index()
    table = table.assign(difference=table["candidate"] - table["baseline"])
    counts = dict.fromkeys(["deals", "wins", "filled", "void"], "int64")
    return table[table["deals"] > 0].astype(counts).reset_index(drop=True)


def hindsight_of(deals: pd.DataFrame, rules: Rules) -> str:
    """What shows that one of the two knew the outcome of the deals that are known by now; else nothing."""
    known = deals[deals["known"] & deals["won"].notna()]
    said = {rules.candidate: known["candidate"].mask(known["filled"]), rules.baseline: known["baseline"]}
    won = known["won"].to_numpy(dtype=float)
    return " ".join(r["text"] for n, s in said.items() for r in knew(n, s.to_numpy(dtype=float), won))


def looks_of(cohorts: pd.DataFrame, rules: Rules, hindsight: str = "") -> pd.DataFrame:
    """One row per day on which cohorts became known: the running estimate, its intervals, the verdict.

    Cohorts that become known on one day enter together. `low` and `high` are those of the declared sequence;
    `fixed_*` answers the same question for one look only; `weeks_*`, `periods_*` and `strict_*` are each sequence.
    """
    if cohorts.empty:
        return pd.DataFrame(columns=["known_on", "verdict"])
    weight = cohorts["weight" if "weight" in cohorts else "deals"]
    x, z = cohorts["difference"].to_numpy(dtype=float), weight.to_numpy(dtype=float)
    level, period = rules.level, cohorts["period"]
    bands = {
        "fixed": sequences.fixed_time(x, z, period if rules.over_periods else None, level=level),
        "weeks": sequences.asymptotic(x, z, level=level, tuned_for=rules.tuned_for, burn_in=rules.burn_in),
        "periods": sequences.over_blocks(x, z, period, level=level),
        "strict": sequences.empirical_bernstein(
            x / z, bound=rules.bound, level=level, tuned_for=rules.tuned_for
        ),
        "betting": sequences.betting(x / z, bound=rules.bound, level=level),
    }
    declared = bands["periods" if rules.over_periods else "weeks"]
    alike = sequences.neighbours(x, z, period)
    so_far = weight.cumsum()
    effective = np.square(so_far) / cohorts["squares"].cumsum() if "squares" in cohorts else np.inf
    table = pd.DataFrame(
        {
            "known_on": cohorts["due_on"],
            "cohorts": np.arange(1, len(cohorts) + 1),
            "periods": (~period.duplicated()).cumsum(),
            **{c: cohorts[c].cumsum() for c in ("deals", "wins", "filled")},
            **{f"{who}_value": cohorts[who].cumsum() / so_far for who in ("candidate", "baseline")},
            "difference": declared.estimate,
            "low": declared.low,
            "high": declared.high,
            **{f"{n}_{end}": getattr(b, end) for n, b in bands.items() for end in ("low", "high")},
            "strict_difference": bands["strict"].estimate,
            "betting_difference": bands["betting"].estimate,
            "effective_deals": effective,
            "hindsight": hindsight,
            "alike_p_value": [np.nan if a is None else a.p_value for a in alike],
            "widening": [np.nan if a is None else a.widening for a in alike],
        }
    )
    table = table[~table["known_on"].duplicated(keep="last")].reset_index(drop=True)
    return table.assign(verdict=[verdict_of(row, rules) for row in table.to_dict("records")])


def verdict_of(row: Mapping[Any, Any], rules: Rules, which: str = "") -> str:
    """The verdict of one look, by the declared sequence or by the one named: "weeks_", "periods_", "strict_", "betting_"."""
    if doubts_of(row) or not stands(row, rules, which):
        return UNSURE
    return _side(row[f"{which}low"], row[f"{which}high"], rules.margin)


def _side(low: float, high: float, margin: float) -> str:
    if (-margin < low and high < margin) or low == high == 0:
        return SAME
    if high < 0:
        return CANDIDATE
    return BASELINE if low > 0 else UNSURE


def stands(row: Mapping[Any, Any], rules: Rules, which: str = "") -> bool:
    """Would what a sequence over periods says be the same if they resembled their neighbours as much as these allow?

    See :func:`forecasteval.inference.confidence_sequences.neighbours`; other sequences do not speak of periods.
    """
    if which != "periods_" and not (which == "" and rules.over_periods):
        return True
    low, high, wider = (row[k] for k in (f"{which}low", f"{which}high", "widening"))
    if not (math.isfinite(low) and wider > 1):
        return True
    centre, half = (low + high) / 2, wider * (high - low) / 2
    said = _side(low, high, rules.margin)
    return said == UNSURE or said == _side(centre - half, centre + half, rules.margin)


def doubts_of(row: Mapping[Any, Any]) -> list[Reason]:
    """Why a look carries no verdict whatever its numbers: hindsight, too few wins or losses, gaps filled."""
    doubts = [reason(HINDSIGHT, row["hindsight"])] if row.get("hindsight") else []
    deals, wins, filled = (int(row[k]) for k in ("deals", "wins", "filled"))
    fewest, what = (wins, "won") if wins <= deals - wins else (deals - wins, "not won")
    if fewest < _FEWEST:
        text = f"Only {fewest} of {deals:,} deals were {what}; a verdict needs {_FEWEST}."
        doubts.append(reason("few_events", text))
    if (effective := row.get("effective_deals", np.inf)) < LIMITS.deals:
        text = f"By their amounts the {deals:,} deals count for only {effective:.1f}; a verdict needs {LIMITS.deals:g}."
        doubts.append(reason("few_effective_deals", text))
    if filled > MAX_FILLED * deals:
        text = f"{filled / deals:.0%} of the candidate's forecasts are missing; past {MAX_FILLED:.0%} no verdict is given."
        doubts.append(reason("filled_too_much", text))
    return doubts
