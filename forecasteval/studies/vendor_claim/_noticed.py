"""What looks like somebody's attempt to make a result: each kind is looked for, and named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from forecasteval.compare.wording import count
from forecasteval.matching.matched import Matched
from forecasteval.studies.vendor_claim._labels import label
from forecasteval.studies.vendor_claim.blind_pack import Scores, listed
from forecasteval.tables.ledger import Ledger

_TIMES = ("registered_at", "made_at", "frozen_at")
_COPIED = 0.95  # of the deals on which two say the same


def of_scores(matched: Matched, candidate: str, others: Iterable[str]) -> list[str]:
    """Scores that say nothing, or what somebody else had said."""
    if matched.stop or candidate not in matched.table:
        return []
    said, found = matched.numbers(candidate), []
    known = said[np.isfinite(said)]
    if known.size and np.ptp(known) == 0:
        return [
            f"{label(candidate)} gives every deal the same {known[0]:g}: it says nothing of which deals are won. What it gains "
            "is only the others' habitual optimism or caution."
        ]
    for other in others:
        if other == candidate or other not in matched.table:
            continue
        theirs = matched.numbers(other)
        both = np.isfinite(said) & np.isfinite(theirs)
        same = float(np.isclose(said[both], theirs[both], atol=1e-9).mean()) if both.any() else 0.0
        if same >= _COPIED:
            found.append(
                f"On {same:.0%} of the deals {label(candidate)} says exactly what {label(other)} says."
            )
    return found


def of_late(deals: Sequence[str]) -> list[str]:
    """Deals whose scores came after they were closed."""
    if not deals:
        return []
    return [
        f"{count(len(deals), 'deals')} were closed when their scores were frozen, as the records now show; these do not count: "
        f"{listed(deals)}."
    ]


def of_frozen(matched: Matched, taken: Sequence[Scores], deals: pd.DataFrame | None) -> list[str]:
    """Deals that were scored and are not judged, by the reason; those that are gone from the data are named."""
    if not taken or matched.stop:
        return []
    scored = list(dict.fromkeys(str(d) for s in taken for d in s.table["deal_id"]))
    there = set() if deals is None else set(deals["deal_id"].astype(str))
    gone = [d for d in scored if d not in there]
    if not gone:
        return []
    return [
        f"{count(len(gone), 'deals')} that were scored are no longer in the data, so that nobody can judge them: {listed(gone)}. Whoever "
        "took them out could have chosen."
    ]


def of_ledger(book: Ledger, candidate: str, also: Sequence[str], taken: Sequence[Scores]) -> list[str]:
    """Other claims and other scores that the ledger knows: one of several tries can always be found that pleases."""
    found = []
    claims = [e for e in book.of("claim") if e["parameters"].get("candidate") == candidate]
    if len(claims) > 1:
        later = ", ".join(str(e["registered_at"])[:10] for e in claims[1:])
        found.append(
            f"{count(len(claims), 'agreements')} about {label(candidate)} stand in the ledger; the first counts, later ones ({later}) "
            "change nothing."
        )
    times = [str(next(e[k] for k in _TIMES if k in e)) for e in book.entries if any(k in e for k in _TIMES)]
    back = next((i for i, (a, b) in enumerate(pairwise(times), start=2) if b < a), None)
    if back is not None:
        found.append(
            f"Time runs backwards at line {back} of the ledger ({times[back - 1]} after {times[back - 2]}): a clock was set, or the "
            "ledger was written anew."
        )
    packs = {s.entry["pack"] for s in taken}
    others = sorted({e["forecaster"] for e in book.of("scores") if e["pack"] in packs} - {candidate, *also})
    if others:
        found.append(
            f"Scores of the same deals were also frozen as {', '.join(label(n) for n in others)} and are not shown here: whoever shows "
            "the best of several tries shows luck. The parameter also sets them beside each other."
        )
    return found


def of_packs(book: Ledger, taken: Sequence[Scores]) -> list[str]:
    """What somebody who sees the CRM could have joined the packs by."""
    used = {s.entry["pack"] for s in taken}
    packs = [e for e in book.of("pack") if e["sha256"] in used]
    if not packs:
        return []
    most: Mapping[str, Any] = max(packs, key=lambda e: e["singled_out_by_all"])
    alone = {"amount": "the amount", "days_to_close": "the expected close"}
    each = " and ".join(f"{words} {most['singled_out'].get(n, 0):.0%}" for n, words in alone.items())
    return [
        f"Whoever sees the CRM could have joined the pack with it: all its fields together single out {most['singled_out_by_all']:.0%} of "
        f"its deals, {each}. "
        + (
            "Its outcomes existed when it was made, so this pack excludes nothing."
            if most["retrospective"]
            else "No outcome existed that could have been joined when the scores came."
        )
    ]
