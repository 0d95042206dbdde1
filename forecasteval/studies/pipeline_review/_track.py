"""What became of earlier lists: which rows a person found worth it, and what went wrong without having been listed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from forecasteval.errors import CallError, InputError, Problem
from forecasteval.inference.statistic import share_interval
from forecasteval.studies.pipeline_review._signals import KINDS, Signal, key_of, lost_since
from forecasteval.tables.ledger import Entry
from forecasteval.tables.organisation import Org
from forecasteval.tables.reading import SUFFIXES, read_sheet

ANSWERS = "reviews"  # the folder of the lists, in the data folder
_HALF = 0.5  # of what is usual: what fell below without having been listed was missed


@dataclass(frozen=True)
class Share:
    """A share of cases with its interval."""

    hits: int
    of: int
    low: float = np.nan
    high: float = np.nan

    @classmethod
    def over(cls, hits: pd.Series, level: float) -> Share:
        """How many of them are true."""
        n, k = len(hits), int(hits.sum())
        return cls(k, n, *share_interval(k, n, level)) if n else cls(0, 0)


@dataclass(frozen=True, eq=False)
class Track:
    """The lists of earlier reviews, as the ledger holds them, and what people answered."""

    org: Org
    day: pd.Timestamp
    level: float
    earlier: list[Entry]
    answers: pd.Series  # by review and key: true where worth it

    @property
    def last(self) -> Entry | None:
        """The last list before this one."""
        return self.earlier[-1] if self.earlier else None

    @cached_property
    def answered(self) -> pd.DataFrame:
        """Every row that was ever listed: review, key, kind, worth_it (missing where nobody said)."""
        rows = [{"review": e["day"], **row} for e in self.earlier for row in e["listed"]]
        table = pd.DataFrame(rows, columns=["review", "key", "kind"])
        said = [self.answers.get((row.review, row.key)) for row in table.itertuples()]
        return table.assign(worth_it=pd.array(said, dtype="boolean"))

    @cached_property
    def precision(self) -> list[tuple[str, Share]]:
        """Rows that were worth it, of those that somebody answered: all, and by kind."""
        known = self.answered.dropna(subset="worth_it").astype({"worth_it": bool})
        parts = [
            ("All", known),
            *((KINDS.get(str(kind), str(kind)), part) for kind, part in known.groupby("kind")),
        ]
        return [(name, Share.over(part["worth_it"], self.level)) for name, part in parts if len(part)]

    def missed(self, signals: list[Signal]) -> pd.DataFrame:
        """What went wrong since the last list and did not stand on it: deals lost, units below half of what is usual."""
        columns = ["what", "unit", "happened"]
        if self.last is None:
            return pd.DataFrame(columns=columns)
        keys, rows = {row["key"] for row in self.last["listed"]}, []
        for signal in signals:
            if signal.path is not None:
                low = signal.units[signal.units["seen"] < _HALF * signal.units["usual"]]
                rows += [
                    (KINDS[signal.kind], u, "fell below half")
                    for u in low.index
                    if key_of(signal.kind, u) not in keys
                ]
        if self.org.history is not None:
            lost = lost_since(self.org, pd.Timestamp(self.last["day"]), self.day)
            gone = [
                d for d in lost.index[lost] if not {key_of(kind, d) for kind in ("quiet", "pushed")} & keys
            ]
            rows += [("Deal", d, "lost") for d in gone]
        return pd.DataFrame(rows, columns=columns)


def fates(signals: list[Signal], rate: float, level: float) -> dict[str, Share]:
    """Of the deals in past reviews, how many were lost in eight weeks: of those as rare as a row, and of the others."""
    parts = [s.past for s in signals if s.past is not None]
    past = pd.concat(parts) if parts else pd.DataFrame({"deal": [], "rate": [], "lost": []})
    rows, rest = past[past["rate"] <= rate], past[~past["deal"].isin(past.loc[past["rate"] <= rate, "deal"])]
    found = {"listed": rows.groupby("deal")["lost"].first(), "others": rest.groupby("deal")["lost"].first()}
    return {name: Share.over(lost.astype(bool), level) for name, lost in found.items()}


def read_answers(folder: Path | None) -> pd.Series:
    """What people wrote into the lists that lie in ``reviews/`` of a data folder; refused with every wrong cell.

    An empty cell is no answer.
    """
    place = None if folder is None else folder / ANSWERS
    paths = [] if place is None or not place.is_dir() else sorted(place.iterdir())
    found: dict[tuple[str, str], bool] = {}
    problems: list[Problem] = []
    for path in (p for p in paths if p.suffix in SUFFIXES and not p.name.startswith((".", "~$"))):
        sheet, _ = read_sheet(path, f"{ANSWERS}/{path.name}")
        columns = {name: sheet.find(name) for name in ("review", "key", "worth_it")}
        for name in [name for name, header in columns.items() if header is None and not sheet.problems]:
            sheet.wrong(
                1, name, "no such column", "the columns of the list as it was written", "Put the column back."
            )
        if not sheet.problems:
            review, key, worth = (str(header) for header in columns.values())
            said, told = sheet.text(worth), sheet.flags(worth)
            days = sheet.dates(review).dt.strftime("%Y-%m-%d")
            rows = zip(days, sheet.text(key), told, said.notna(), strict=True)
            found |= {(day, k): bool(yes) for day, k, yes, answered in rows if answered}
        problems += sheet.problems
    if problems:
        raise InputError(problems)
    return pd.Series(found, dtype=bool)


def write_list(folder: Path | None, day: pd.Timestamp, content: str) -> Path | None:
    """The list for a person, as ``reviews/<day>.csv``; one that is there already is left as it is."""
    if folder is None:
        return None
    path = folder / ANSWERS / f"{day:%Y-%m-%d}.csv"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="") as stream:
            stream.write(content)
    except FileExistsError:
        pass
    except OSError as error:
        raise CallError(f"Cannot write the list {path}: {error.strerror}.") from error
    return path
