"""Deals that a mapping counts as lost and that may be open still: what other columns and the calendar say of them."""

from __future__ import annotations

import pandas as pd

from forecasteval.sources._draft_words import side
from forecasteval.sources._mapping import Mapped
from forecasteval.tables.columns import Sheet

_WORDS = 40  # of a column that says where a deal stands
_NEWEST, _CHANCE = 0.2, 1e-6  # the rows that may be open still; a difference that is no accident
_ADVICE = "If they are open, name them under undecided, or say with lost_where which are closed."


def open_as_lost(mapped: Mapped, sheet: Sheet, outcome: pd.Series, as_of: pd.Series | None) -> list[str]:
    """What there is to say of rows with a lost outcome that may have none."""
    said = mapped.won
    lost = outcome.eq(0)
    if said is None or not lost.any() or not outcome.eq(1).any():
        return []
    column = sheet.find(str(said.column))
    notes = []
    doubtful = [str(word) for word in said.lost if side(str(word), str(said.column)) == "undecided"]
    if doubtful:
        notes.append(f"The mapping counts {', '.join(doubtful)} as lost, which reads as undecided. {_ADVICE}")
    for header in map(str, sheet.cells.columns):
        if header == column or notes or said.lost_where is not None:
            continue
        text = sheet.text(header)
        words = text.dropna().unique()
        if not 2 <= len(words) <= _WORDS:
            continue
        says = text.map({word: side(str(word), header) for word in words})
        speaks = says[lost].eq("lost").any() and says[outcome.eq(1)].eq("won").mean() > 1 - _NEWEST
        still = text[lost & text.notna() & ~says.isin(["won", "lost"])]
        if speaks and len(still):
            shown = ", ".join(still.value_counts().index[:3])
            notes.append(
                f"{len(still):,} of the {int(lost.sum()):,} rows that count as lost are not lost by {header} ({shown}). {_ADVICE}"
            )
    return notes or _newest(outcome, as_of)


def _newest(outcome: pd.Series, as_of: pd.Series | None) -> list[str]:
    """Whether hardly any of the newest rows is won, where many of those before are."""
    if as_of is None or as_of.isna().all():
        return []
    known = outcome[outcome.notna() & as_of.notna()]
    recent = as_of[known.index] > as_of[known.index].quantile(1 - _NEWEST)
    before, after = known[~recent], known[recent]
    if not len(before) or not len(after) or after.mean() > before.mean() / 3:
        return []
    from scipy.stats import binom

    if binom.cdf(int(after.sum()), len(after), before.mean()) > _CHANCE:
        return []
    return [
        f"Of the newest {len(after):,} rows {after.mean():.0%} are won, of those before {before.mean():.0%}: deals that are "
        f"open still may count as lost. {_ADVICE}"
    ]
