"""The rows that two forecasters are judged on: the matched table checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval import estimates, scores
from forecasteval.errors import CallError
from forecasteval.estimates import Codes, Grouping

Reason = dict[str, str]


def reason(code: str, text: str) -> Reason:
    """One entry of `reasons`: a code for programs and a sentence for people.

    Examples
    --------
    >>> reason("few_periods", "Only 5 quarters.")
    {'code': 'few_periods', 'text': 'Only 5 quarters.'}
    """
    return {"code": code, "text": text}


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows as arrays, with what was done to them on the way.

    ``rep``, ``period`` and ``account`` number the clusters, None where unknown; ``unit`` numbers the deals,
    None where every row is another deal; ``labels`` names the clusters by number; ``crossing`` counts deals seen under several reps; ``filled`` the
    candidate's gaps that the baseline's value stands in for.
    """

    deals: scores.Deals
    rep: Codes | None
    period: Codes | None
    account: Codes | None
    unit: Codes | None
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    crossing: int = 0
    filled: int = 0
    reasons: tuple[Reason, ...] = ()
    flow: tuple[dict[str, Any], ...] = ()

    def only(self, keep: NDArray[np.bool_]) -> Sample:
        """The rows of a mask."""

        def cut(a: NDArray[Any] | None) -> Any:
            return None if a is None else a[keep]

        d = self.deals
        deals = replace(
            d,
            won=d.won[keep],
            candidate=d.candidate[keep],
            baseline=d.baseline[keep],
            amount=cut(d.amount),
            amount_won=cut(d.amount_won),
        )
        codes: dict[str, Codes | None] = {}
        labels: dict[str, NDArray[Any]] = {}
        for name in ("rep", "period", "account", "unit"):
            old = cut(getattr(self, name))
            if old is None:
                codes[name] = None
                continue
            used, new = np.unique(old, return_inverse=True)
            codes[name] = new.astype(np.int32)
            if name in self.labels:
                labels[name] = self.labels[name][used]
        return Sample(
            deals,
            **codes,
            labels=labels,
            crossing=self.crossing,
            filled=self.filled,
            reasons=self.reasons,
            flow=self.flow,
        )

    def noted(self, *reasons: Reason) -> Sample:
        """The same rows with more to say about them."""
        return replace(self, reasons=(*self.reasons, *reasons))

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.deals.won.size)

    @property
    def distinct(self) -> int:
        """Number of deals."""
        return self.rows if self.unit is None else int(np.unique(self.unit).size)

    def grouping(self) -> Grouping:
        """The clusters of the rows."""
        return estimates.grouping(self.rep, self.period, self.account, self.unit, self.rows)


def _codes(column: pd.Series) -> Codes:
    return pd.factorize(column, sort=False)[0].astype(np.int32)


def kind(name: str, values: pd.Series, declared: Mapping[str, str]) -> tuple[str, tuple[Reason, ...]]:
    """Probability or rank score; a column outside [0, 1] that nobody declared is read as a rank score.

    Parameters
    ----------
    name : str
    values : Series of numbers
    declared : kind by forecaster, where it is known

    Returns
    -------
    kind, and what is to be said about it

    Raises
    ------
    ValueError
        If it is declared a probability and is none.

    Examples
    --------
    >>> kind("gong", pd.Series([57.0, 99.0]), {})[0]
    'rank_score'
    """
    outside = ((values < 0) | (values > 1)).to_numpy(dtype=bool, na_value=False)
    if not outside.any():
        return declared.get(name, "probability"), ()
    first = int(np.argmax(outside))
    found = (
        f"{name} holds {int(outside.sum()):,} values outside 0-1 (the first is "
        f"{float(values.iloc[first]):g}, row {first + 1})"
    )
    if declared.get(name) == "probability":
        raise CallError(
            f"{found} but is declared a probability. Divide percentages by 100; leave a missing forecast empty."
        )
    if name in declared:
        return declared[name], ()
    text = f"{found}, so it is read as a rank score, for which only AUC has a meaning. Divide percentages by 100."
    return "rank_score", (reason("read_as_rank_score", text),)


def _first_rows(matched: pd.DataFrame, unit: Codes) -> NDArray[np.intp]:
    """Position of each deal's first row: the earliest as-of, then the order of the table."""
    when = np.zeros(unit.size, dtype="datetime64[s]")
    if "as_of" in matched:
        when = pd.to_datetime(matched["as_of"]).to_numpy(dtype="datetime64[s]")
    order = np.lexsort((when.astype(np.int64), unit))  # stable: equal moments keep the table's order
    return order[np.flatnonzero(np.diff(unit[order], prepend=-1))]


def _won(matched: pd.DataFrame) -> NDArray[np.float64]:
    won = pd.to_numeric(matched["won"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~((won == 0) | (won == 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise CallError(
            f"won must be 0 or 1 in every row; {int(wrong.sum()):,} rows are not, the first is row {row + 1}: "
            f"{matched['won'].iloc[row]!r}. Leave deals without an outcome out of the table."
        )
    return won


def _deal_codes(matched: pd.DataFrame) -> Codes | None:
    """The deal of each row; None where each row is another deal."""
    unit = _codes(matched["deal_id"])
    if int(unit.max(initial=-1)) + 1 == unit.size:
        return None
    repeated = matched.duplicated([c for c in ("deal_id", "as_of") if c in matched]).to_numpy()
    if repeated.any():
        row = int(np.argmax(repeated))
        raise CallError(
            f"{int(repeated.sum()):,} rows repeat a deal at the same as-of; the first is row {row + 1}, deal "
            f"{matched['deal_id'].iloc[row]!r}. The table holds one row per deal and as-of."
        )
    return unit


def _dimension(
    matched: pd.DataFrame, name: str, required: bool, labels: dict[str, NDArray[Any]]
) -> Codes | None:
    """Cluster numbers of a column; None where it is absent, or has gaps and is not asked for."""
    if name not in matched:
        return None
    numbers, found = pd.factorize(matched[name], sort=False)
    codes = numbers.astype(np.int32)
    labels[name] = np.asarray(found)
    gaps = codes < 0
    if not gaps.any():
        return codes
    if required:
        raise CallError(
            f"{name} is empty in {int(gaps.sum()):,} rows, the first is row {int(np.argmax(gaps)) + 1}. Fill it, "
            f"leave those rows out, or choose a generalise_to without {name!r}."
        )
    return None


def _accounts(matched: pd.DataFrame, unit: Codes | None) -> Codes:
    """Cluster numbers of the accounts; a deal without an account stands alone."""
    account = _codes(matched["account"])
    alone = unit if unit is not None else np.arange(account.size, dtype=np.int32)
    together = np.where(account < 0, account.max(initial=-1) + 1 + alone, account)
    return np.unique(together, return_inverse=True)[1].astype(np.int32)


def read(
    matched: pd.DataFrame, candidate: str, baseline: str, dimensions: tuple[str, ...], epsilon: float = 0.0
) -> Sample:
    """Check a matched table and turn it into arrays.

    Parameters
    ----------
    matched : DataFrame as in :func:`forecasteval.compare`
    candidate, baseline : str
    dimensions : the answer to "what may differ next time?"
    epsilon : float, for the log score

    Returns
    -------
    Sample

    Raises
    ------
    ValueError
        For outcomes other than 0 and 1, repeated rows, or gaps in a dimension that is asked for.
    """
    unit = _deal_codes(matched)
    wants = set(dimensions)
    labels: dict[str, NDArray[Any]] = {}
    rep = _dimension(matched, "rep", "rep" in wants, labels) if wants & {"rep", "deal"} else None
    crossing = 0
    if unit is not None and rep is not None:
        first = rep[_first_rows(matched, unit)][unit]
        crossing = int(np.unique(unit[first != rep]).size)
        rep = first

    def numbers(name: str) -> Any:
        return matched[name].to_numpy(dtype=float, na_value=np.nan) if name in matched else None

    deals = scores.Deals(
        _won(matched),
        numbers(candidate),
        numbers(baseline),
        numbers("amount"),
        numbers("amount_won") if "amount" in matched else None,
        epsilon,
    )
    period = _dimension(matched, "period", True, labels) if "period" in wants else None
    account = _accounts(matched, unit) if "account" in wants else None
    return Sample(deals, rep, period, account, unit, labels, crossing)


def settle_abstentions(sample: Sample, candidate: str, baseline: str, *, same_kind: bool) -> Sample:
    """Let the baseline's value stand in where the candidate is silent; drop what the baseline leaves out.

    Across kinds (a rank score against a probability) nothing can stand in, so only common deals stay.

    Parameters
    ----------
    sample : Sample
    candidate, baseline : str
    same_kind : bool

    Returns
    -------
    Sample
    """
    d = sample.deals
    silent_b, silent_c = np.isnan(d.baseline), np.isnan(d.candidate)
    if same_kind:
        keep, who = ~silent_b, baseline
        fill = silent_c & keep
        filled = int(fill.sum())
        if filled:
            text = f"{candidate} is silent on {filled:,} rows ({filled / keep.sum():.0%}); {baseline}'s value stands in."
            deals = replace(d, candidate=np.where(fill, d.baseline, d.candidate))
            sample = replace(sample, deals=deals, filled=filled).noted(reason("filled", text))
    else:
        keep, who = ~silent_b & ~silent_c, f"{candidate} or {baseline}"
    if keep.all():
        return sample
    left = sample.only(keep)
    step = {
        "step": f"{who} gives a forecast" if same_kind else "both give a forecast",
        "deals": left.distinct,
        "dropped": sample.distinct - left.distinct,
        "why": f"no forecast by {who}",
    }
    text = (
        f"{who} is silent on {int((~keep).sum()):,} rows ({1 - keep.mean():.0%}); they are left out for both."
    )
    return replace(left, flow=(*left.flow, step)).noted(reason("common_deals", text))


def with_amounts(sample: Sample, metric: scores.Metric) -> Sample:
    """The rows whose amounts a metric can use: present and not negative.

    Parameters
    ----------
    sample : Sample, with amounts
    metric : Metric that needs them

    Returns
    -------
    Sample
    """
    d = sample.deals
    assert d.amount is not None
    usable = np.isfinite(d.amount) & (d.amount >= 0)
    if metric.name == "bias_by_amount":
        if d.amount_won is None:
            text = "There is no amount_won: a won deal is booked at its amount as of the forecast."
            sample = sample.noted(reason("amount_won_assumed", text))
            d = replace(d, amount_won=np.where(d.won == 1, d.amount, 0.0))
        assert d.amount_won is not None
        usable &= np.isfinite(d.amount_won)
    sample = replace(sample, deals=d)
    if usable.all():
        return sample
    text = f"{int((~usable).sum()):,} rows have no usable amount and are left out of {metric.label}."
    return sample.only(usable).noted(reason("amount_missing", text))
