"""From frozen forecasts to cohorts, running intervals and the verdict of each look: the weekly report's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import MAX_FILLED
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, SAME, UNSURE
from forecasteval.errors import CallError
from forecasteval.inference import confidence_sequences as sequences
from forecasteval.matching.deals_as_of import Target
from forecasteval.matching.match import POPULATIONS
from forecasteval.tables.ledger import Entry

PERIODS, WEEKS = ("deal", "period"), ("deal",)
FEWEST = 20  # deals won, and deals not won, before a verdict: sequences lean on sums being nearly normal


@dataclass(frozen=True)
class Rules:
    """What is fixed before the first look, and written into the first line of the ledger.

    Parameters
    ----------
    candidate, baseline : str
    target : "won within N days" or "won in period"
    population : "closing in period" or "all open"
    generalise_to : ["deal", "period"] or ["deal"]
        Coming quarters, or weeks like those seen.
    level : float
        Of all looks together.
    margin : float
        The largest difference that does not matter; 0 for none.
    tuned_for, burn_in : int
        Cohorts at which the weekly sequence is narrowest, and before which it says nothing.
    since : str
        Weeks that end before this day do not count; empty for all.

    Raises
    ------
    CallError
        Lists every value that is not allowed.

    Examples
    --------
    >>> Rules("model", "rep_forecast").target
    'won within 90 days'
    >>> Rules("model", "model", target="won at all", level=95)
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: 3 parameters cannot be used:
    - baseline: 'model' is the candidate as well; name another forecaster.
    - target: 'won at all' has no day on which it is known for every deal of a week; use 'won within 90 days' \
or 'won in period'.
    - level: 95 is not between 0.5 and 1; 0.95 is usual.
    """

    candidate: str
    baseline: str
    target: str = "won within 90 days"
    population: str = "closing in period"
    generalise_to: Sequence[str] = PERIODS
    level: float = 0.95
    margin: float = 0.0
    tuned_for: int = sequences.TUNED_FOR
    burn_in: int = sequences.BURN_IN
    since: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be used, all at once."""
        wrong = []
        if self.candidate == self.baseline:
            wrong.append(f"baseline: {self.baseline!r} is the candidate as well; name another forecaster.")
        try:
            if Target.parse(self.target).kind == "at all":
                wrong.append(
                    f"target: {self.target!r} has no day on which it is known for every deal of a week; use 'won within "
                    "90 days' or 'won in period'."
                )
        except ValueError as error:
            wrong.append(f"target: {error}")
        if self.population not in POPULATIONS:
            wrong.append(f"population: {self.population!r} is not one of {', '.join(POPULATIONS)}.")
        if tuple(self.generalise_to) not in (PERIODS, WEEKS):
            wrong.append(
                f"generalise_to: {list(self.generalise_to)} is neither ['deal', 'period'] (these reps, coming quarters) "
                "nor ['deal'] (these reps, weeks like those seen)."
            )
        if not 0.5 <= self.level < 1:
            wrong.append(f"level: {self.level!r} is not between 0.5 and 1; 0.95 is usual.")
        if not self.margin >= 0:
            wrong.append(
                f"margin: {self.margin!r} is below 0; give the largest difference that does not matter."
            )
        if not self.tuned_for >= 4:
            wrong.append(f"tuned_for: {self.tuned_for!r} is below 4 weeks; 52 is usual.")
        if not self.burn_in >= 2:
            wrong.append(f"burn_in: {self.burn_in!r} is below 2 weeks; 13 is usual.")
        if self.since and day_of(self.since) is None:
            wrong.append(f"since: {self.since!r} is not a day such as 2026-02-28.")
        if wrong:
            count = f"{len(wrong)} parameter{'s' if len(wrong) > 1 else ''} cannot be used:"
            raise CallError("\n- ".join([count, *wrong]))

    @property
    def plain(self) -> dict[str, Any]:
        """The rules as JSON knows them."""
        return asdict(self) | {"generalise_to": list(self.generalise_to)}


def day_of(text: Any) -> pd.Timestamp | None:
    """A day from ISO text, None where it is none.

    Examples
    --------
    >>> day_of("2026-02-28"), day_of("next week")
    (Timestamp('2026-02-28 00:00:00'), None)
    """
    try:
        return pd.Timestamp(date.fromisoformat(str(text)))
    except ValueError:
        return None


def forecasts_of(entries: Sequence[Entry]) -> list[Entry]:
    """The forecast that counts for each deal: its last line, since a candidate that was silent may have spoken after.

    Examples
    --------
    >>> forecasts_of([
    ...     {"kind": "forecast", "deal": "D1", "as_of": "2026-01-07", "candidate": None, "baseline": 0.4},
    ...     {"kind": "forecast", "deal": "D1", "as_of": "2026-01-14", "candidate": 0.3, "baseline": 0.5},
    ... ])
    [{'kind': 'forecast', 'deal': 'D1', 'as_of': '2026-01-14', 'candidate': 0.3, 'baseline': 0.5}]
    """
    return list({e["deal"]: e for e in entries if e["kind"] == "forecast"}.values())


def frozen(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row per deal of the ledger: as_of, period, due_on, late, candidate, baseline, filled, won, void.

    Parameters
    ----------
    entries : of a ledger

    Returns
    -------
    DataFrame; `won` is NaN where the outcome is not known yet or void

    Examples
    --------
    >>> entries = [
    ...     {"kind": "look", "as_of": "2026-01-07", "period": "Q1", "due_on": "2026-04-07", "late": False},
    ...     {"kind": "forecast", "deal": "D1", "as_of": "2026-01-07", "candidate": None, "baseline": 0.4},
    ...     {"kind": "outcome", "deal": "D1", "won": 1},
    ... ]
    >>> frozen(entries)[["candidate", "filled", "won", "known"]].to_numpy().tolist()
    [[0.4, True, 1.0, True]]
    """
    looks = pd.DataFrame(
        [e for e in entries if e["kind"] == "look"], columns=["as_of", "period", "due_on", "late"]
    )
    said = pd.DataFrame(forecasts_of(entries), columns=["deal", "as_of", "candidate", "baseline"])
    known = pd.DataFrame([e for e in entries if e["kind"] == "outcome"], columns=["deal", "won"])
    known = known.assign(known=True, won=known["won"].astype(float))
    table = said.merge(looks, on="as_of", how="left").merge(known, on="deal", how="left")
    for column in ("as_of", "due_on"):
        table[column] = pd.to_datetime(table[column]).astype("datetime64[s]")
    candidate = table["candidate"].astype(float)
    known_now = table["known"].eq(True)
    return table.assign(
        filled=candidate.isna(),
        candidate=candidate.fillna(table["baseline"]),
        void=known_now & table["won"].isna(),
        known=known_now,
        late=table["late"].eq(True),
    )


def cohorts_of(deals: pd.DataFrame) -> pd.DataFrame:
    """Sums of each complete cohort, in the order in which the targets became known.

    x = sum (p - y)^2 - sum (q - y)^2 over the cohort's deals, p the candidate's and q the baseline's frozen
    probability, y the frozen outcome; z = number of deals. Void deals are left out of both.

    Parameters
    ----------
    deals : as :func:`frozen` gives them

    Returns
    -------
    DataFrame with as_of, period, due_on, late, deals, wins, filled, void, candidate, baseline (sums of squared
    errors) and difference

    Examples
    --------
    >>> deals = pd.DataFrame({"as_of": ["w1", "w1", "w2"], "due_on": ["d1", "d1", "d2"], "period": "Q1", "late": False,
    ...     "candidate": [0.5, 0.0, 0.9], "baseline": [1.0, 0.0, 0.9], "filled": False, "void": False,
    ...     "won": [0.0, 0.0, np.nan], "known": [True, True, False]})
    >>> cohorts_of(deals)[["as_of", "deals", "difference"]].to_numpy().tolist()
    [['w1', 2, -0.75]]
    """
    known = deals[deals["known"]]
    counted = known["won"].notna()
    sums = known.assign(
        deals=counted,
        wins=known["won"].eq(1),
        filled=known["filled"] & counted,
        candidate=np.square(known["candidate"] - known["won"]),
        baseline=np.square(known["baseline"] - known["won"]),
    )
    keys = ["due_on", "as_of", "period", "late"]
    columns = ["deals", "wins", "filled", "void", "candidate", "baseline"]
    table = sums.groupby(keys, sort=True)[columns].sum().reset_index()
    table = table.assign(difference=table["candidate"] - table["baseline"])
    counts = dict.fromkeys(["deals", "wins", "filled", "void"], "int64")
    return table[table["deals"] > 0].astype(counts).reset_index(drop=True)


def looks_of(cohorts: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """One row per day on which cohorts became known: the running estimate, its intervals, the verdict.

    The estimate is the sum of x over the sum of z of all cohorts so far; the intervals are those of
    :mod:`forecasteval.sequences`. Cohorts that become known on one day enter together.

    Parameters
    ----------
    cohorts : as :func:`cohorts_of` gives them
    rules : Rules

    Returns
    -------
    DataFrame with known_on, cohorts, periods, deals, wins, filled, difference, low, high (the declared sequence),
    fixed_low, fixed_high (the same question, one look only), weeks_*, periods_* and strict_* (each
    sequence), verdict

    Examples
    --------
    >>> day = pd.to_datetime(["2026-01-07", "2026-01-07", "2026-01-14"])
    >>> cohorts = pd.DataFrame({"due_on": day, "period": "Q1", "deals": 10, "wins": 3, "filled": 0,
    ...     "candidate": [1.0, 2.0, 3.0], "baseline": [1.5, 2.5, 3.5], "difference": -0.5})
    >>> looks_of(cohorts, Rules("model", "rep_forecast"))[["cohorts", "difference", "verdict"]].values.tolist()
    [[2, -0.05, 'not enough evidence'], [3, -0.05, 'not enough evidence']]
    """
    x, z = (cohorts[c].to_numpy(dtype=float) for c in ("difference", "deals"))
    level, over = rules.level, tuple(rules.generalise_to) == PERIODS
    bands = {
        "fixed": sequences.fixed_time(x, z, cohorts["period"] if over else None, level=level),
        "weeks": sequences.asymptotic(x, z, level=level, tuned_for=rules.tuned_for, burn_in=rules.burn_in),
        "periods": sequences.over_blocks(x, z, cohorts["period"], level=level),
        "strict": sequences.empirical_bernstein(x / z, level=level, tuned_for=rules.tuned_for),
    }
    declared = bands["periods" if over else "weeks"]
    table = pd.DataFrame(
        {
            "known_on": cohorts["due_on"],
            "cohorts": np.arange(1, len(cohorts) + 1),
            "periods": [*(~cohorts["period"].duplicated()).cumsum()],
            **{c: cohorts[c].cumsum() for c in ("deals", "wins", "filled")},
            "candidate_value": cohorts["candidate"].cumsum() / cohorts["deals"].cumsum(),
            "baseline_value": cohorts["baseline"].cumsum() / cohorts["deals"].cumsum(),
            "difference": declared.estimate,
            "low": declared.low,
            "high": declared.high,
            **{f"{n}_{end}": getattr(b, end) for n, b in bands.items() for end in ("low", "high")},
            "strict_difference": bands["strict"].estimate,
        }
    )
    table = table[~table["known_on"].duplicated(keep="last")].reset_index(drop=True)
    return table.assign(verdict=[verdict_of(row, rules) for row in table.to_dict("records")])


def verdict_of(row: Mapping[Any, Any], rules: Rules, which: str = "") -> str:
    """The verdict of one look, by the declared sequence or the one named by `which` ("weeks_", "periods_").

    Examples
    --------
    >>> row = {"low": -0.03, "high": -0.01, "deals": 500, "wins": 100, "filled": 0}
    >>> verdict_of(row, Rules("model", "rep_forecast"))
    'candidate better'
    """
    low, high = row[f"{which}low"], row[f"{which}high"]
    if doubts_of(row):
        return UNSURE
    if (-rules.margin < low and high < rules.margin) or low == high == 0:
        return SAME
    if high < 0:
        return CANDIDATE
    return BASELINE if low > 0 else UNSURE


def doubts_of(row: Mapping[Any, Any]) -> list[dict[str, str]]:
    """Why a look carries no verdict whatever its numbers: too few wins or losses, or too many gaps filled.

    Examples
    --------
    >>> doubts_of({"deals": 500, "wins": 12, "filled": 0})[0]["text"]
    'Only 12 of 500 deals were won; a verdict needs 20.'
    """
    doubts = []
    deals, wins, filled = (int(row[k]) for k in ("deals", "wins", "filled"))
    fewest, what = (wins, "won") if wins <= deals - wins else (deals - wins, "not won")
    if fewest < FEWEST:
        text = f"Only {fewest} of {deals:,} deals were {what}; a verdict needs {FEWEST}."
        doubts.append({"code": "few_events", "text": text})
    if filled > MAX_FILLED * deals:
        text = f"{filled / deals:.0%} of the candidate's forecasts are missing; past {MAX_FILLED:.0%} no verdict is given."
        doubts.append({"code": "filled_too_much", "text": text})
    return doubts
