"""The rows that two forecasters are judged on: the matched table checked and turned into arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval import scores
from forecasteval.compare.parquet import all_differ
from forecasteval.errors import CallError
from forecasteval.inference import ratio_of_sums as estimates
from forecasteval.inference.ratio_of_sums import Codes, Grouping

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
    None where every row is another deal, and ``when`` orders their rows; ``labels`` names the clusters by
    number; ``filled`` marks the candidate's gaps that the baseline's value stands in for.
    """

    deals: scores.Deals
    rep: Codes | None
    period: Codes | None
    account: Codes | None
    unit: Codes | None
    when: NDArray[np.int64] | None = None
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    filled: NDArray[np.bool_] | None = None
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
            when=cut(self.when),
            labels=labels,
            filled=cut(self.filled),
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
        return self.count(np.ones(self.rows, dtype=bool))

    def count(self, rows: NDArray[np.bool_]) -> int:
        """Number of deals in the rows of a mask."""
        return int(rows.sum()) if self.unit is None else int(np.unique(self.unit[rows]).size)

    @property
    def gaps(self) -> int:
        """Number of rows in which the baseline's value stands in for the candidate."""
        return 0 if self.filled is None else int(self.filled.sum())

    def grouping(self) -> Grouping:
        """The clusters of the rows."""
        return estimates.grouping(self.rep, self.period, self.account, self.unit, self.rows)


def _codes(column: pd.Series) -> Codes:
    return pd.factorize(column, sort=False)[0].astype(np.int32)


def kind(
    name: str, values: NDArray[np.float64], declared: Mapping[str, str]
) -> tuple[str, tuple[Reason, ...]]:
    """Probability or rank score; a column outside [0, 1] that nobody declared is read as a rank score.

    Parameters
    ----------
    name : str
    values : array of shape (rows,)
    declared : kind by forecaster, where it is known

    Returns
    -------
    kind, and what is to be said about it

    Raises
    ------
    CallError
        If it is declared a probability and is none.

    Examples
    --------
    >>> kind("gong", np.array([57.0, 99.0]), {})[0]
    'rank_score'
    """
    outside = (values < 0) | (values > 1)
    if not outside.any():
        return declared.get(name, "probability"), ()
    first = int(np.argmax(outside))
    found = (
        f"{name} holds {int(outside.sum()):,} values outside 0-1 (the first is "
        f"{values[first]:g}, row {first + 1})"
    )
    if declared.get(name) == "probability":
        raise CallError(
            f"{found} but is declared a probability. Divide percentages by 100; leave a missing forecast empty."
        )
    if name in declared:
        return declared[name], ()
    text = f"{found}, so it is read as a rank score, for which only AUC has a meaning. If these are percentages, divide them by 100."
    return "rank_score", (reason("read_as_rank_score", text),)


def united(sample: Sample) -> Sample:
    """Put each deal that changed hands between looks with the rep of its first row.

    Parameters
    ----------
    sample : Sample

    Returns
    -------
    Sample
    """
    if sample.unit is None or sample.rep is None or sample.when is None:
        return sample
    order = np.lexsort((sample.when, sample.unit))  # stable: equal moments keep the table's order
    first = order[np.flatnonzero(np.diff(sample.unit[order], prepend=-1))]
    rep = sample.rep[first][sample.unit]
    crossing = int(np.unique(sample.unit[rep != sample.rep]).size)
    if not crossing:
        return sample
    everything = np.ones(sample.rows, dtype=bool)
    sample = replace(sample, rep=rep).only(everything)  # a rep may have lost all deals to others
    share = crossing / sample.distinct
    text = (
        f"{crossing:,} of {sample.distinct:,} deals ({share:.1%}) changed hands between looks; each stays with its "
        "first rep."
    )
    return sample.noted(reason("crossing_reps", text))


def numbers(matched: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where it is empty.

    Raises
    ------
    CallError
        If a cell holds something else; names the first.

    Examples
    --------
    >>> numbers(pd.DataFrame({"amount": ["10", None]}), "amount").tolist()
    [10.0, nan]
    """
    column = matched[name]
    if isinstance(column, pd.DataFrame):
        raise CallError(f"There are {column.shape[1]} columns named {name}; rename or drop the others.")
    if not pd.api.types.is_numeric_dtype(column):
        column = column.astype(object)
        read = pd.to_numeric(column, errors="coerce")
        wrong = (read.isna() & column.notna()).to_numpy()
        if wrong.any():
            row = int(np.argmax(wrong))
            raise CallError(
                f"{name} holds {int(wrong.sum()):,} cells that are not numbers; the first is row {row + 1}: "
                f"{str(column.iloc[row])!r}."
            )
        column = read
    return column.to_numpy(dtype=float, na_value=np.nan)


def _won(matched: pd.DataFrame) -> NDArray[np.float64]:
    won = pd.to_numeric(matched["won"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    wrong = ~((won == 0) | (won == 1))
    if wrong.any():
        row = int(np.argmax(wrong))
        found = matched["won"].iloc[row]
        raise CallError(
            f"won must be 0 or 1 in every row; {int(wrong.sum()):,} rows are not, the first is row {row + 1}: "
            f"{'empty' if pd.isna(found) else repr(str(found))}. Leave deals without an outcome out of the table."
        )
    return won


def _deal_codes(matched: pd.DataFrame) -> Codes | None:
    """The deal of each row; None where each row is another deal."""
    column = matched["deal_id"]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu" and all_differ(column.to_numpy()):
        return None
    unit = _codes(matched["deal_id"])
    gaps = unit < 0
    if gaps.any():
        raise CallError(
            f"deal_id is empty in {int(gaps.sum()):,} rows, the first is row {int(np.argmax(gaps)) + 1}. Every row "
            "needs the deal it is about."
        )
    if int(unit.max(initial=-1)) + 1 == unit.size:
        return None
    repeated = matched.duplicated([c for c in ("deal_id", "as_of") if c in matched]).to_numpy()
    if repeated.any():
        row = int(np.argmax(repeated))
        raise CallError(
            f"{int(repeated.sum()):,} rows repeat a deal at the same as-of; the first is row {row + 1}, deal "
            f"{str(matched['deal_id'].iloc[row])!r}. The table holds one row per deal and as-of."
        )
    return unit


def _moments(matched: pd.DataFrame) -> NDArray[np.int64]:
    """A number for each row's as-of, in their order."""
    if "as_of" not in matched:
        return np.zeros(len(matched), dtype=np.int64)
    column = matched["as_of"]
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    try:
        return pd.to_datetime(column).to_numpy(dtype="datetime64[s]").astype(np.int64)
    except (ValueError, TypeError) as error:
        raise CallError(f"as_of must hold dates, such as 2026-02-28: {error}") from error


def _dimension(matched: pd.DataFrame, name: str, labels: dict[str, NDArray[Any]]) -> Codes | None:
    """Cluster numbers of a column; None where it is absent or wholly empty."""
    if name not in matched or matched[name].isna().all():
        return None
    codes, found = pd.factorize(matched[name], sort=False)
    labels[name] = np.asarray(found)
    gaps = codes < 0
    if gaps.any():
        raise CallError(
            f"{name} is empty in {int(gaps.sum()):,} rows, the first is row {int(np.argmax(gaps)) + 1}. Fill it, "
            f"leave those rows out, or drop the column {name}."
        )
    return codes.astype(np.int32)


def _accounts(matched: pd.DataFrame, unit: Codes | None) -> Codes:
    """Cluster numbers of the accounts; a deal without an account stands alone."""
    account = _codes(matched["account"])
    alone = unit if unit is not None else np.arange(account.size, dtype=np.int32)
    together = np.where(account < 0, account.max(initial=-1) + 1 + alone, account)
    return np.unique(together, return_inverse=True)[1].astype(np.int32)


def read(
    matched: pd.DataFrame,
    candidate: str,
    baseline: str,
    dimensions: tuple[str, ...],
    *,
    amounts: bool = False,
    epsilon: float = 0.0,
) -> Sample:
    """Check a matched table and turn it into arrays.

    Parameters
    ----------
    matched : DataFrame as in :func:`forecasteval.compare`
    candidate, baseline : str
    dimensions : the answer to "what may differ next time?"
    amounts : are `amount` and `amount_won` wanted, where they are there?
    epsilon : float, for the log score

    Returns
    -------
    Sample

    Raises
    ------
    CallError
        For outcomes other than 0 and 1, text among numbers, repeated rows, or gaps in a dimension that counts.
    """
    unit = _deal_codes(matched)
    wants = set(dimensions)
    labels: dict[str, NDArray[Any]] = {}
    rep = _dimension(matched, "rep", labels) if wants & {"rep", "deal"} else None
    period = _dimension(matched, "period", labels) if "period" in wants else None
    account = _accounts(matched, unit) if "account" in wants else None
    has_amount = amounts and "amount" in matched
    has_booked = has_amount and "amount_won" in matched
    deals = scores.Deals(
        _won(matched),
        numbers(matched, candidate),
        numbers(matched, baseline),
        numbers(matched, "amount") if has_amount else None,
        numbers(matched, "amount_won") if has_booked else None,
        epsilon,
    )
    if deals.amount_won is not None:
        wrong = (deals.won == 0) & (np.nan_to_num(deals.amount_won) != 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise CallError(
                f"amount_won must be 0 where a deal was not won; {int(wrong.sum()):,} rows are not, the first is row "
                f"{row + 1}: {deals.amount_won[row]:g}."
            )
    return Sample(deals, rep, period, account, unit, None if unit is None else _moments(matched), labels)


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
        if fill.any():
            text = (
                f"{candidate} is silent on {int(fill.sum()):,} rows ({fill.sum() / keep.sum():.0%}); the value of "
                f"{baseline} stands in."
            )
            deals = replace(d, candidate=np.where(fill, d.baseline, d.candidate))
            sample = replace(sample, deals=deals, filled=fill).noted(reason("filled", text))
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
        usable &= np.isfinite(d.amount_won) & (d.amount_won >= 0)
    sample = replace(sample, deals=d)
    if usable.all():
        return sample
    text = f"{int((~usable).sum()):,} rows have no usable amount and are left out."
    return sample.only(usable).noted(reason("amount_missing", text))
