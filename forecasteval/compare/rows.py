"""The rows that two forecasters are judged on: the matched table checked and turned into arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasteval.compare.hindsight import knew, stamped_late
from forecasteval.compare.pair import Pair, Sums, biases_of, pair_of
from forecasteval.compare.scored import Scored
from forecasteval.errors import CallError
from forecasteval.inference.estimate import Reason, reason
from forecasteval.inference.grouping import Codes, Grouping, added
from forecasteval.inference.limits import Weights
from forecasteval.inference.silence import SILENCE_LEVEL, Silence, silence
from forecasteval.matching.matched import DAYS_AHEAD, ROUNDING, Matched, numbers, refuse_rows, single_cells
from forecasteval.scores.probability import Deals, Floats, Metric
from forecasteval.tables.period_labels import in_order_of_time

LARGEST_AMOUNT = 1e15  # beyond it no sum of amounts is exact to the unit
_PERCENT = 10.0  # a score that stays below is no percentage
_LEAST_SILENT = 10  # deals; with fewer nothing can be told
_SHARE_SILENT = 0.01  # of the deals; less hardly moves a result


BOOKED_ASSUMED = reason(
    "amount_won_assumed", "There is no amount_won: a won deal is booked at its amount as of the forecast."
)


def no_amount(rows: int) -> Reason:
    """That rows are left out for want of an amount."""
    return reason("amount_missing", f"{rows:,} rows have no usable amount and are left out.")


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as arrays, with what was done to them on the way.

    ``rep``, ``period`` and ``account`` number the clusters, None where unknown; ``unit`` numbers the deals,
    None where every row is another deal, and ``when`` orders their rows; ``labels`` names the clusters by
    number; ``filled`` marks the candidate's gaps that the baseline's value stands in for; ``asked`` is how many rows
    the table had; ``names`` and ``kinds`` are those of candidate and baseline.
    """

    deals: Deals
    rep: Codes | None
    period: Codes | None
    account: Codes | None
    unit: Codes | None
    when: NDArray[np.int64] | None = None
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    filled: NDArray[np.bool_] | None = None
    reasons: tuple[Reason, ...] = ()
    flow: tuple[dict[str, Any], ...] = ()
    asked: int = 0
    names: tuple[str, str] = ("candidate", "baseline")
    kinds: tuple[str, str] = ("probability", "probability")

    @classmethod
    def of(
        cls,
        matched: Matched,
        candidate: str,
        baseline: str,
        dimensions: tuple[str, ...],
        *,
        amounts: bool = False,
        epsilon: float = 0.0,
        kinds: Mapping[str, str] | None = None,
        reasons: tuple[Reason, ...] = (),
    ) -> Rows:
        """The rows of a comparison: checked, gaps settled, each deal with the rep of its first row."""
        read = _read(matched.table, candidate, baseline, dimensions, amounts=amounts, epsilon=epsilon)
        declared = matched.kinds | dict(kinds or {})
        kind_c, note_c = _kind(candidate, read.deals.candidate, declared)
        kind_b, note_b = _kind(baseline, read.deals.baseline, declared)
        flow = tuple(matched.counted_flow(read.distinct, len(read)))
        if read.unit is not None:
            _refuse_looks(matched.table)
        told = stamped_late(matched)
        for name, said in ((candidate, read.deals.candidate), (baseline, read.deals.baseline)):
            told += knew(name, said, read.deals.won, read.unit, read.when, matched.more.get(DAYS_AHEAD))
        asked = ("deal_id", *(d for d in ("rep", "period", "account") if getattr(read, d) is not None))
        joined = [reason("ids_joined", matched.joined[d]) for d in asked if d in matched.joined]
        read = read.noted(*told, *reasons, *joined, *note_c, *note_b)
        names = (candidate, baseline)
        read = replace(read, names=names, kinds=(kind_c, kind_b), flow=flow, asked=len(read))
        return _united(_settled(read))

    @property
    def same_kind(self) -> bool:
        """Are both probabilities?"""
        return self.kinds == ("probability", "probability")

    def only(self, keep: NDArray[np.bool_]) -> Rows:
        """The rows of a mask."""

        def cut(a: NDArray[Any] | None) -> Any:
            return None if a is None else a[keep]

        arrays = ("won", "candidate", "baseline", "amount", "amount_won")
        deals = replace(self.deals, **{name: cut(getattr(self.deals, name)) for name in arrays})
        codes: dict[str, Any] = {}
        labels: dict[str, NDArray[Any]] = {}
        for name in ("rep", "period", "account", "unit"):
            old = cut(getattr(self, name))
            codes[name] = None
            if old is None:
                continue
            used, new = np.unique(old, return_inverse=True)
            codes[name] = new.astype(np.int32)
            if name in self.labels:
                labels[name] = self.labels[name][used]
        return replace(
            self, deals=deals, **codes, when=cut(self.when), labels=labels, filled=cut(self.filled)
        )

    def noted(self, *reasons: Reason) -> Rows:
        """The same rows with more to say about them."""
        return replace(self, reasons=(*self.reasons, *reasons))

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.deals.won.size)

    @property
    def distinct(self) -> int:
        """Number of deals."""
        return self.count(np.ones(len(self), dtype=bool))

    def count(self, rows: NDArray[np.bool_]) -> int:
        """Number of deals in the rows of a mask."""
        return int(rows.sum()) if self.unit is None else int(np.unique(self.unit[rows]).size)

    def lacks(self, metric: Metric) -> list[str]:
        """Columns that a metric needs and that are not there."""
        return [c for c in metric.needs if getattr(self.deals, c) is None]

    def scored(self, metric: Metric) -> Scored:
        """The rows under one metric: those whose amounts it can use, where it needs them."""
        kept = self.with_amounts(metric) if metric.needs else self
        cut = len(kept) < len(self)
        groups, biases = (kept.groups, kept.biases) if cut else (self.groups, self.biases)
        won = kept.deals.won == 1
        weight = kept.deals.amount if metric.needs else None
        weight = np.ones(len(kept)) if weight is None else weight
        if kept.unit is not None:
            weight = added(kept.unit, weight)

        def pair(dimensions: tuple[str, ...], units: bool) -> Pair:
            return pair_of(metric, kept.deals, groups, dimensions, units=units, biases=biases)

        def sure() -> tuple[int, int]:
            d = kept.deals
            candidate, baseline = (
                int((((p == 0) & won) | ((p == 1) & ~won)).sum()) for p in (d.candidate, d.baseline)
            )
            return candidate, baseline

        return Scored(
            len(kept),
            kept.distinct,
            kept.count(won),
            kept.count(~won),
            0 if kept.filled is None else int(kept.filled.sum()),
            1 - len(kept) / kept.asked if kept.asked else 0.0,
            kept.reasons,
            Weights.of(weight),
            {d: groups.by(d, groups.sums(None)) for d in groups.dimensions},
            pair,
            sure,
        )

    def silence(self, silent: NDArray[np.bool_], gap: str, *others: str) -> list[Reason]:
        """What tells that the deals with a gap are not like the others: their outcome, or the others' loss on them."""
        if not enough_silence(self.count(silent), self.distinct):
            return []
        deal = np.arange(len(self)) if self.unit is None else self.unit
        clusters = [deal, *(c for c in (self.rep, self.period, self.account) if c is not None)]
        found = {}
        for name, values in {"": self.deals.won, **self._losses(others)}.items():
            known = np.isfinite(values)
            found[name] = silence(silent[known], values[known], [c[known] for c in clusters])
        return silence_tells(gap, found)

    def _losses(self, names: Iterable[str]) -> dict[str, Floats]:
        """Squared errors of those who give probabilities, NaN where they are silent."""
        said = zip(self.names, self.kinds, (self.deals.candidate, self.deals.baseline), strict=True)
        return {
            n: np.square(p - self.deals.won) for n, kind, p in said if n in names and kind == "probability"
        }

    @cached_property
    def groups(self) -> Grouping:
        """The clusters of the rows."""
        return Grouping.of(self.rep, self.period, self.account, self.unit, len(self))

    @cached_property
    def biases(self) -> Sums | None:
        """How much both promised beyond what was won, where both give probabilities."""
        return biases_of(self.deals, self.groups) if self.same_kind else None

    def with_amounts(self, metric: Metric) -> Rows:
        """The rows whose amounts a metric can use: present and not negative."""
        d, rows = self.deals, self
        assert d.amount is not None
        usable = np.isfinite(d.amount) & (d.amount >= 0)
        if metric.name == "bias_by_amount":
            if d.amount_won is None:
                rows = rows.noted(BOOKED_ASSUMED)
                d = replace(d, amount_won=np.where(d.won == 1, d.amount, 0.0))
            assert d.amount_won is not None
            usable &= np.isfinite(d.amount_won) & (d.amount_won >= 0)
        rows = replace(rows, deals=d)
        if usable.all():
            return rows
        told = rows.silence(~usable, "the amount is missing", *self.names)
        return rows.only(usable).noted(no_amount(int((~usable).sum())), *told)


def enough_silence(silent: int, deals: int) -> bool:
    """Are there enough silent deals to tell anything, and enough to move a result?"""
    return silent >= max(_LEAST_SILENT, _SHARE_SILENT * deals)


def silence_tells(gap: str, found: Mapping[str, Silence]) -> list[Reason]:
    """The reason, where outcomes (under no name) or losses by forecaster differ on the silent deals."""
    told = []
    for name, s in found.items():
        if s.p_value < SILENCE_LEVEL:
            told.append(
                f"the Brier score of {name} is {s.silent:.3f} there, {s.spoken:.3f} elsewhere"
                if name
                else f"{s.silent:.0%} of them were won, of the others {s.spoken:.0%}"
            )
    if not told:
        return []
    text = (
        f"The deals on which {gap} are not like the others: {'; '.join(told)} (p below {SILENCE_LEVEL:g}). Gaps "
        "that go with the result can make it."
    )
    return [reason("silence_tells", text)]


def _codes(column: pd.Series) -> Codes:
    return pd.factorize(column, sort=False)[0].astype(np.int32)


def _kind(
    name: str, values: NDArray[np.float64], declared: Mapping[str, str]
) -> tuple[str, tuple[Reason, ...]]:
    outside = (values < -ROUNDING) | (values > 1 + ROUNDING)
    least, most = np.fmin.reduce(values, initial=0.0), np.fmax.reduce(values, initial=0.0)
    row = int(np.argmax(outside)) if outside.any() else 0
    first = f"the first is {values[row]:g}, row {row + 1}" if values.size else ""
    return kind_of(name, int(outside.sum()), least, most, declared, first)


def kind_of(
    name: str, outside: int, least: float, most: float, declared: Mapping[str, str], first: str = ""
) -> tuple[str, tuple[Reason, ...]]:
    """Probability or rank score; a column outside [0, 1] that nobody declared is read as a rank score.

    ``first`` tells the first value outside, where rows have numbers; what is said of any table does not depend on their
    order.
    """
    if not outside:
        return declared.get(name, "probability"), ()
    extreme = f"the largest is {most:g}" if most > 1 else f"the smallest is {least:g}"
    found = f"{name} holds {outside:,} values outside 0-1"
    if declared.get(name) == "probability":
        raise CallError(
            f"{found} ({first or extreme}) but is declared a probability. Divide percentages by 100; leave a missing forecast "
            "empty."
        )
    if name in declared:
        return declared[name], ()
    if least >= 0 and _PERCENT < most <= 100:
        raise CallError(
            f"{found} ({first or extreme}): it looks like percent. Divide percentages by 100; a score that only ranks deals is declared "
            f"with kinds={{{name!r}: 'rank_score'}}."
        )
    text = (
        f"{found} ({extreme}), so it is read as a rank score, for which only AUC has a meaning. If these are percentages, divide "
        "them by 100."
    )
    return "rank_score", (reason("read_as_rank_score", text),)


def _united(rows: Rows) -> Rows:
    """Put each deal that changed hands between looks with the rep of its first row."""
    if rows.unit is None or rows.rep is None or rows.when is None:
        return rows
    order = np.lexsort((rows.when, rows.unit))  # stable: equal moments keep the table's order
    first = order[np.flatnonzero(np.diff(rows.unit[order], prepend=-1))]
    rep = rows.rep[first][rows.unit]
    crossing = int(np.unique(rows.unit[rep != rows.rep]).size)
    if not crossing:
        return rows
    everything = np.ones(len(rows), dtype=bool)
    rows = replace(rows, rep=rep).only(everything)  # a rep may have lost all deals to others
    return rows.noted(crossed(crossing, rows.distinct))


def crossed(crossing: int, deals: int) -> Reason:
    """That deals changed hands between looks."""
    text = f"{crossing:,} of {deals:,} deals ({crossing / deals:.1%}) changed hands between looks; each stays with its first rep."
    return reason("crossing_reps", text)


def _all_at_once(*checks: Callable[[], Any]) -> list[Any]:
    """What some checks give; what is wrong with all of them in one error."""
    found, wrong = [], []
    for check in checks:
        try:
            found.append(check())
        except CallError as error:
            wrong.append(str(error))
    if wrong:
        raise CallError(" ".join(wrong))
    return found


def is_empty(column: str, rows: str, at: str) -> str:
    """That an id or a moment is missing in so many rows; ``at`` tells the first, where rows have numbers."""
    remedy = {
        "deal_id": "Every row needs the deal it is about.",
        "as_of": "Deals that are seen several times need the moment of every look.",
    }.get(column, f"Fill it, leave those rows out, or drop the column {column}.")
    return f"{column} is empty in {rows} rows{at}. {remedy}"


def not_won(rows: str, at: str) -> str:
    """That outcomes are neither 0 nor 1."""
    return f"won must be 0 or 1 in every row; {rows} rows are not{at}. Leave deals without an outcome out of the table."


def no_money(column: str, rows: str, at: str) -> str:
    """That amounts are too large for any."""
    return (
        f"{column} holds {rows} values that are no amounts of money{at}. Expected is a number up to {LARGEST_AMOUNT:g}; leave "
        "unknown amounts empty."
    )


def booked_lost(rows: str, at: str) -> str:
    """That deals which were not won were booked."""
    return f"amount_won must be 0 where a deal was not won; {rows} rows are not{at}."


def repeated(rows: str, at: str) -> str:
    """That the rows of a deal cannot be told apart."""
    return f"{rows} rows repeat a deal at the same as-of{at}. The table holds one row per deal and as-of."


def _outcomes(matched: pd.DataFrame) -> Floats:
    column = single_cells(matched["won"])
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)


def _won(matched: pd.DataFrame) -> Floats:
    won = _outcomes(matched)

    def refused(n: str, row: int) -> str:
        found = matched["won"].iloc[row]
        return not_won(n, f"{_first(row)}: {'empty' if pd.isna(found) else repr(str(found))}")

    refuse_rows(~((won == 0) | (won == 1)), refused)
    return won


def _first(row: int) -> str:
    return f", the first is row {row + 1}"


def _amounts(matched: pd.DataFrame, name: str) -> Floats:
    """Amounts of money, NaN where there are none."""
    values = numbers(matched, name)
    refuse_rows(
        np.abs(values) > LARGEST_AMOUNT,
        lambda n, row: no_money(name, n, f"; the first is row {row + 1}: {values[row]:g}"),
    )
    return values


def _all_differ(values: NDArray[Any]) -> bool:
    """Is no number there twice? By sorting: a hash table of ten million numbers takes four times the memory.

    >>> _all_differ(np.array([3, 1, 2])), _all_differ(np.array([3, 1, 3]))
    (True, False)
    """
    ordered = np.sort(values)
    return not bool((ordered[1:] == ordered[:-1]).any())


def _deal_codes(matched: pd.DataFrame) -> Codes | None:
    """The deal of each row; None where each row is another deal."""
    column = matched["deal_id"]
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu" and _all_differ(column.to_numpy()):
        return None
    unit = _codes(matched["deal_id"])
    refuse_rows(unit < 0, lambda n, row: is_empty("deal_id", n, _first(row)))
    return None if int(unit.max(initial=-1)) + 1 == unit.size else unit


def _refuse_looks(matched: pd.DataFrame) -> None:
    """Refuse a deal that is seen twice at one moment, and a look at no moment."""
    if "as_of" in matched:
        empty = matched["as_of"].isna().to_numpy()
        refuse_rows(empty, lambda n, row: is_empty("as_of", n, _first(row)))
    refuse_rows(
        matched.duplicated([c for c in ("deal_id", "as_of") if c in matched]).to_numpy(),
        lambda n, row: repeated(
            n, f"; the first is row {row + 1}, deal {str(matched['deal_id'].iloc[row])!r}"
        ),
    )


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
    order = sorted(range(len(found)), key=lambda at: str(found[at]))  # not as the rows happen to stand
    labels[name] = np.asarray(found)[order]
    refuse_rows(codes < 0, lambda n, row: is_empty(name, n, _first(row)))
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return place[codes]


def _in_time(matched: pd.DataFrame, labels: dict[str, NDArray[Any]]) -> Codes | None:
    """Cluster numbers of the periods in the order of :func:`in_time`."""
    codes = _dimension(matched, "period", labels)
    if codes is None:
        return None
    try:
        first = pd.Series(_moments(matched)).groupby(codes).min()
    except CallError:  # names of moments, such as "week 4"
        first = pd.Series(0, index=np.unique(codes))

    names = labels["period"]
    ordered = in_time(names.tolist(), first.tolist())
    place = {name: i for i, name in enumerate(ordered)}
    labels["period"] = np.asarray(ordered, dtype=names.dtype)
    return np.array([place[n] for n in names], dtype=np.int32)[codes]


def in_time(names: Sequence[Any], first: Sequence[Any]) -> list[Any]:
    """Periods in the order of their first as-of, else of what their names say, else of the year and the alphabet."""
    said = [str(name) for name in names]
    by_year = sorted(said, key=lambda n: [*re.findall(r"(?<!\d)\d{4}(?!\d)", n)[:1], n])
    place = {name: at for at, name in enumerate(in_order_of_time(said) or by_year)}
    return [names[at] for at in sorted(range(len(names)), key=lambda at: (first[at], place[said[at]]))]


def _accounts(matched: pd.DataFrame, unit: Codes | None) -> Codes:
    """Cluster numbers of the accounts; a deal without an account stands alone."""
    account = _codes(matched["account"])
    alone = unit if unit is not None else np.arange(account.size, dtype=np.int32)
    together = np.where(account < 0, account.max(initial=-1) + 1 + alone, account)
    return np.unique(together, return_inverse=True)[1].astype(np.int32)


def _read(
    matched: pd.DataFrame,
    candidate: str,
    baseline: str,
    dimensions: tuple[str, ...],
    *,
    amounts: bool,
    epsilon: float,
) -> Rows:
    """Check a table and turn it into arrays."""
    wants = set(dimensions)
    labels: dict[str, NDArray[Any]] = {}
    has_amount = amounts and "amount" in matched
    has_booked = has_amount and "amount_won" in matched

    def booked() -> Floats | None:
        found = _amounts(matched, "amount_won") if has_booked else None
        if found is not None:
            lost = (_outcomes(matched) == 0) & (np.nan_to_num(found) != 0)
            refuse_rows(lost, lambda n, row: booked_lost(n, f"{_first(row)}: {found[row]:g}"))
        return found

    rep, period, unit, won, amount, amount_won = _all_at_once(
        lambda: _dimension(matched, "rep", labels) if wants & {"rep", "deal"} else None,
        lambda: _in_time(matched, labels) if "period" in wants else None,
        lambda: _deal_codes(matched),
        lambda: _won(matched),
        lambda: _amounts(matched, "amount") if has_amount else None,
        booked,
    )
    account = _accounts(matched, unit) if "account" in wants else None
    c, b = (numbers(matched, name) for name in (candidate, baseline))
    deals = Deals(won, c, b, amount, amount_won, epsilon)
    return Rows(deals, rep, period, account, unit, None if unit is None else _moments(matched), labels)


def _settled(rows: Rows) -> Rows:
    """Let the baseline's value stand in where the candidate is silent; drop what the baseline leaves out.

    Across kinds (a rank score against a probability) nothing can stand in, so only common deals stay.
    """
    d, (candidate, baseline) = rows.deals, rows.names
    silent_b, silent_c = np.isnan(d.baseline), np.isnan(d.candidate)
    told = rows.silence(silent_c, f"{candidate} is silent", baseline)
    told += rows.silence(silent_b, f"{baseline} is silent", candidate)
    rows = rows.noted(*told)
    if rows.same_kind:
        keep, who = ~silent_b, baseline
        fill = silent_c & keep
        if fill.any():
            deals = replace(d, candidate=np.where(fill, d.baseline, d.candidate))
            note = stood_in(rows.names, int(fill.sum()), int(keep.sum()))
            rows = replace(rows, deals=deals, filled=fill).noted(note)
    else:
        keep, who = ~silent_b & ~silent_c, f"{candidate} or {baseline}"
    if keep.all():
        return rows
    left = rows.only(keep)
    step, note = left_out(
        who, left.distinct, rows.distinct, int((~keep).sum()), len(rows), both=not rows.same_kind
    )
    return replace(left, flow=(*left.flow, step)).noted(note)


def stood_in(names: tuple[str, str], filled: int, kept: int) -> Reason:
    """That the baseline's value stands in where the candidate is silent."""
    text = (
        f"{names[0]} is silent on {filled:,} rows ({filled / kept:.0%}); the value of {names[1]} stands in."
    )
    return reason("filled", text)


def left_out(
    who: str, deals: int, before: int, silent: int, rows: int, *, both: bool
) -> tuple[dict[str, Any], Reason]:
    """The step of the flow, and the note, where rows without a forecast are left out."""
    step = {
        "step": "both give a forecast" if both else f"{who} gives a forecast",
        "deals": deals,
        "dropped": before - deals,
        "why": f"no forecast by {who}",
    }
    text = f"{who} is silent on {silent:,} rows ({silent / rows:.0%}); they are left out for both."
    return step, reason("common_deals", text)
