"""People who review what a machine suggests: who was right where they changed it, and what became of what they took."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.compare import Comparison, compare
from forecasteval.compare.segments import Family, family
from forecasteval.errors import CallError, InputError
from forecasteval.inference.estimate import Estimate
from forecasteval.inference.limits import MIN_CLUSTERS, too_few
from forecasteval.inference.statistic import difference_over_clusters, mean_over_clusters
from forecasteval.matching.matched import Matched
from forecasteval.tables.reading import read_sheet

MACHINE, PERSON = "machine_said", "person_said"
_TEXT = ("person", "reason")
_YES, _NO = ("yes", "true", "1", "accepted"), ("no", "false", "0", "rejected")


@dataclass(frozen=True, eq=False)
class Reviewed:
    """What people's reviews were worth, as far as the outcomes are known.

    Attributes
    ----------
    changed : Comparison of the person against the machine where the person changed what it said; None where nobody did
    by_reason : Family, the same for each reason in the log; None without reasons
    accepted, turned_down, difference : Estimate
        Share that came true of the suggestions that were taken, of those turned down, and the first minus the second.
    counts : dict
        Reviews; known (outcome), changed, accepted and turned down among these; people.
    reasons : DataFrame with reason, reviews, accepted, known, won
    """

    changed: Comparison | None
    by_reason: Family | None
    accepted: Estimate
    turned_down: Estimate
    difference: Estimate
    counts: dict[str, int]
    reasons: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `results.json`."""
        taken = {n: getattr(self, n).to_dict() for n in ("accepted", "turned_down", "difference")}
        return {
            "counts": self.counts,
            "changed": None if self.changed is None else self.changed.primary,
            "by_reason": None if self.by_reason is None else self.by_reason.to_dict(),
            **taken,
            "reasons": self.reasons.to_dict("records"),
        }


def read_reviews(path: Path) -> pd.DataFrame:
    """A log of reviews as :func:`reviewed` takes it: lead_id or deal_id, person, and what it has of the rest."""
    sheet, _ = read_sheet(path, path.name)
    found = {}
    deal = sheet.find("deal_id") or sheet.find("lead_id")
    if deal is None and not sheet.problems:
        sheet.wrong(1, "lead_id", "no such column", "lead_id or deal_id, and person", "Add it.")
    for name, column in {
        "deal_id": deal,
        **{n: sheet.find(n) for n in (*_TEXT, MACHINE, PERSON, "accepted")},
    }.items():
        if column is None:
            continue
        if name in (MACHINE, PERSON):
            found[name] = sheet.shares(column, percent=False)
            continue
        found[name] = sheet.text(column)
        if name == "accepted":
            words = found[name].str.lower()
            found[name] = words.map({**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)})
            sheet.pin(column, words[words.notna() & found[name].isna()], "yes or no", "Correct the word.")
        elif name in ("deal_id", "person"):
            blank = found[name][found[name].isna()]
            sheet.pin(column, blank, "who or what was reviewed", "Fill the cell, or take the row out.")
    if sheet.problems:
        raise InputError(sheet.problems)
    return pd.DataFrame(found)


def reviewed(log: pd.DataFrame, known: Matched | pd.DataFrame, *, level: float = 0.95) -> Reviewed:
    """Whether human judgement added: people's reviews of a machine's word, held against what it alone would have said.

    **Selection.** People choose what to review, what to change and what to take. That the changed ones came closer is a
    fact about these reviews; it does not say that changing the others would help. Suggestions that were taken may do better
    than those turned down because people take what is promising anyway: the difference is *not* the effect of the
    suggestion, and is no smaller where that effect is none. For the effect compare before and after with a group that had no
    suggestions, or let chance decide who gets one.

    Parameters
    ----------
    log : DataFrame, one row per review
        ``deal_id`` and ``person`` (who reviewed: the clusters); and, for edits, ``machine_said`` and ``person_said``, two
        probabilities; for suggestions, ``accepted`` (True or False, empty where none was made); and ``reason``. Of several
        reviews of one deal the first counts.
    known : table with ``deal_id`` and ``won`` of those whose outcome is known, and ``period`` where there are any
    level : float

    Returns
    -------
    Reviewed; below 5 people the shares stand without intervals

    Raises
    ------
    CallError
        For a log without deals, people, or anything to judge.

    Examples
    --------
    >>> ids = [str(i) for i in range(40)]
    >>> log = pd.DataFrame({"deal_id": ids, "person": list("abcdefgh") * 5, "accepted": [True, True, False, False] * 10})
    >>> won = pd.DataFrame({"deal_id": ids, "won": ([1] * 4 + [0] * 4 + [1, 0] * 6) * 2})
    >>> found = reviewed(log, won)
    >>> found.accepted.value, found.turned_down.value, found.difference.has_interval
    (0.5, 0.5, True)
    """
    lacking = [c for c in ("deal_id", "person") if c not in log]
    edits, suggests = {MACHINE, PERSON} <= set(log), "accepted" in log
    if lacking or not (edits or suggests):
        missing = ", ".join(lacking) or f"{MACHINE} and {PERSON}, nor accepted"
        raise CallError(f"The log of reviews has no column {missing}; it has {', '.join(map(str, log))}.")
    about = Matched.of(known)
    table = about.table
    told = [c for c in ("deal_id", "won", "period", "as_of") if c in table]
    first = log.drop_duplicates("deal_id").astype({"deal_id": "str"})
    rows = first.merge(
        table[told].drop_duplicates("deal_id").astype({"deal_id": "str"}), on="deal_id", how="left"
    )
    rows = rows.assign(rep=rows["person"])
    done = rows[rows["won"].notna()]
    changed = by_reason = None
    count = {"reviews": len(log), "known": len(done), "people": int(log["person"].nunique())}
    if edits:
        moved = done[(done[MACHINE] - done[PERSON]).abs() > 0].astype({"won": "int64"})
        count["changed"] = len(moved)
        options: dict[str, Any] = {"metrics": ["brier"], "level": level}
        both = Matched(moved.reset_index(drop=True), nouns={**about.nouns, "rep": "people"})
        if len(moved):
            changed = compare(both, PERSON, MACHINE, **options)
        if len(moved) and "reason" in moved and moved["reason"].notna().any():
            by_reason = family(both, "reason", PERSON, MACHINE, **options)
    taken = done[done["accepted"].notna()] if suggests else done.iloc[:0].assign(accepted=[])
    shares = _shares(taken, level)
    yes = taken["accepted"].astype(bool)
    count |= {"accepted": int(yes.sum()), "turned_down": int((~yes).sum())} if suggests else {}
    return Reviewed(changed, by_reason, *shares, count, _reasons(rows, suggests=suggests))


def _shares(taken: pd.DataFrame, level: float) -> tuple[Estimate, Estimate, Estimate]:
    """The share that came true of what was taken, of what was not, and their difference, for new people."""
    people = pd.factorize(taken["person"])[0]
    number = int(people.max(initial=-1)) + 1
    yes, won = taken["accepted"].to_numpy(dtype=bool), taken["won"].to_numpy(dtype=float)
    sums = [
        (np.bincount(people[g], won[g], number), np.bincount(people[g], minlength=number).astype(float))
        for g in (yes, ~yes)
    ]
    few = too_few(number, "rep", "people")
    if few or not all(n.sum() for _, n in sums):
        rates = [float(x.sum() / n.sum()) if n.sum() else math.nan for x, n in sums]
        plain = [Estimate(v, level=level, reasons=tuple(few)) for v in (*rates, rates[0] - rates[1])]
        return plain[0], plain[1], plain[2]
    least = MIN_CLUSTERS["rep"]
    of_each = [
        mean_over_clusters(float(x.sum() / n.sum()), x[n > 0], n[n > 0], level, least=least) for x, n in sums
    ]
    return of_each[0], of_each[1], difference_over_clusters(sums[0], sums[1], level)


def _reasons(rows: pd.DataFrame, *, suggests: bool) -> pd.DataFrame:
    """How often each reason was given, and what became of it."""
    if "reason" not in rows:
        return pd.DataFrame(columns=["reason", "reviews", "known", "won"])
    by = rows.dropna(subset="reason").groupby("reason", sort=False)
    found = by.agg(reviews=("won", "size"), known=("won", "count"), won=("won", "sum"))
    if suggests:
        found["accepted"] = by["accepted"].agg(lambda a: int(a.dropna().astype(bool).sum()))
    return found.reset_index().sort_values("reviews", ascending=False, kind="stable", ignore_index=True)
