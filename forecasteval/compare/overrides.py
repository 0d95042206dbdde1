"""Whom a person believed where rep and model disagreed, and why: kept in a ledger, so that next quarter says what paid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.errors import InputError, absent
from forecasteval.tables.ledger import Ledger
from forecasteval.tables.reading import read_sheet

_BELIEVED = "believed"  # the forecaster that a person's decisions are, beside the model
_ADVICE = "Fill the column as the list says, and leave the others as they were."


@dataclass(frozen=True, eq=False)
class Paid:
    """Which decisions paid: those whose deals have ended, against the candidate that they set aside.

    ``table`` has reason, decisions, known, paid (known ones that came closer to what happened than the candidate), gain (the
    mean fall of the squared error). ``comparison`` is of all that are known, None where there is none.
    """

    table: pd.DataFrame
    deals: pd.DataFrame
    comparison: Comparison | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        primary = None if self.comparison is None else self.comparison.primary
        return {"reasons": self.table.to_dict("records"), "comparison": primary}


def decisions(path: str | Path, candidate: str, baseline: str, pending: pd.DataFrame) -> list[dict[str, Any]]:
    """The decisions in a filled list of open disagreements, as entries of a ledger; rows without one are passed over.

    `believed` names one of the two forecasters, or gives a probability of its own, 0.65 or 65%; `reason` says why.
    """
    path = Path(path)
    if not path.is_file():
        wanted = "the list with the columns believed and reason filled"
        raise InputError([absent(path, "file", wanted, "Correct the path.")])
    sheet, _ = read_sheet(path, path.name)
    columns = {n: sheet.find(n) for n in ("deal_id", "believed", "reason")}
    lacking = [n for n, column in columns.items() if column is None]
    if lacking and not sheet.problems:
        expected = "the columns of the list that was handed out, believed and reason filled"
        sheet.wrong(1, None, f"no column {' and '.join(lacking)}", expected, _ADVICE)
    if sheet.problems:
        raise InputError(sheet.problems)
    said = pd.DataFrame({n: sheet.text(column).fillna("") for n, column in columns.items() if column})
    today = {str(r["deal_id"]): {str(k): v for k, v in r.items()} for r in pending.to_dict("records")}
    entries: list[dict[str, Any]] = []
    filled = said[said["believed"].ne("") | said["reason"].ne("")]
    for number, row in zip(map(int, filled.index), filled.to_dict("records"), strict=True):
        about = today.get(row["deal_id"])
        if about is None:
            gone = "It has ended, or the two agree by now; only what is in dispute today can be decided."
            sheet.wrong(number, "deal_id", f"'{row['deal_id']}'", "an open deal of today's list", gone)
            continue
        share = _share(row["believed"], about, candidate, baseline)
        if share is None:
            expected = f"{candidate}, {baseline}, or a probability such as 0.65"
            sheet.wrong(number, "believed", f"'{row['believed']}'", expected, _ADVICE)
        if not row["reason"]:
            advice = "A decision without a reason teaches nothing."
            sheet.wrong(number, "reason", "nothing", "why, in a few words", advice)
        if share is not None and row["reason"]:
            entries.append(_entry(about, candidate, baseline, row, share))
    if sheet.problems:
        raise InputError(sheet.problems)
    return entries


def _share(believed: str, about: Mapping[str, Any], candidate: str, baseline: str) -> float | None:
    """The probability that was believed; None for what is none."""
    if believed in (candidate, baseline):
        return float(about.get(believed, math.nan))
    text, percent = believed.removesuffix("%").strip(), believed.endswith("%")
    try:
        value = float(text) / (100 if percent else 1)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _entry(
    about: Mapping[str, Any], candidate: str, baseline: str, row: Mapping[Any, Any], share: float
) -> dict[str, Any]:
    amount = about["amount"]
    return {
        "kind": "decision",
        "deal_id": str(about["deal_id"]),
        "period": str(about["period"]),
        "as_of": f"{pd.Timestamp(about['as_of']):%Y-%m-%d}",
        "rep": str(about["rep"]),
        "amount": None if pd.isna(amount) else float(amount),
        "candidate": candidate,
        "candidate_said": float(about[candidate]),
        "baseline": baseline,
        "baseline_said": float(about[baseline]),
        "believed": row["believed"],
        "probability": share,
        "reason": row["reason"],
    }


def not_yet_kept(book: Ledger, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The entries that the ledger does not hold: the same list handed in twice adds nothing."""
    kept = [{k: v for k, v in e.items() if k != "hash"} for e in book.of("decision")]
    return [dict(e) for e in entries if dict(e) not in kept]


def which_paid(book: Ledger, known: pd.DataFrame, candidate: str, *, level: float = 0.95) -> Paid:
    """What became of the decisions against a candidate; the first one about a deal and a period counts.

    >>> from forecasteval.tables.ledger import Ledger
    >>> entry = {"kind": "decision", "deal_id": "a", "period": "Q1", "as_of": "2026-02-28", "rep": "r", "amount": 10.0,
    ...     "candidate": "model", "candidate_said": 0.2, "believed": "rep_forecast", "probability": 0.8, "reason": "signed"}
    >>> won = pd.DataFrame({"deal_id": ["a"], "period": ["Q1"], "won": [1]})
    >>> which_paid(Ledger(Path("x"), (entry,), "", 0), won, "model").table.values.tolist()
    [['signed', 1, 1, 1, 0.6]]
    """
    rows = [e for e in book.of("decision") if e["candidate"] == candidate and e["believed"] != candidate]
    columns = ["reason", "decisions", "known", "paid", "gain"]
    if not rows:
        return Paid(pd.DataFrame(columns=columns), pd.DataFrame(), None)
    made = pd.DataFrame(rows).drop_duplicates(["deal_id", "period"]).reset_index(drop=True)
    outcome = known.dropna(subset=["won"])[["deal_id", "period", "won"]].drop_duplicates(
        ["deal_id", "period"]
    )
    made = made.merge(outcome.astype({"deal_id": str, "period": str}), on=["deal_id", "period"], how="left")
    gain = (made["candidate_said"] - made["won"]) ** 2 - (made["probability"] - made["won"]) ** 2
    made = made.assign(gain=gain.astype(float).round(12), paid=gain > 0)
    by = made.groupby("reason", sort=False)
    table = by.agg(
        decisions=("won", "size"), known=("won", "count"), paid=("paid", "sum"), gain=("gain", "mean")
    )
    over = made.dropna(subset=["won"])
    deals = over.assign(
        won=over["won"].astype(int), **{_BELIEVED: over["probability"], candidate: over["candidate_said"]}
    )
    columns = ["deal_id", "as_of", "period", "rep", "won", _BELIEVED, candidate]
    found = (
        compare(deals[columns], _BELIEVED, candidate, metrics=["brier"], level=level) if len(deals) else None
    )
    table = table.reset_index().sort_values("decisions", ascending=False, kind="stable", ignore_index=True)
    return Paid(table, made, found)
