"""Stage and category labels: what each means, what it used to be called, and which ones nobody explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forecasteval.cells import Problem, Sheet, nearest, normal
from forecasteval.periods import local_dates, moment

CATEGORY_WORDS = {
    "omitted": "Omitted",
    "pipeline": "Pipeline",
    "bestcase": "Best Case",
    "mostlikely": "Most Likely",
    "forecast": "Commit",
    "commit": "Commit",
    "closed": "Closed",
}


@dataclass
class Labels:
    """The stages of today, the dated renames, and a tally of what was translated.

    Parameters
    ----------
    stages : ``stage, default_probability, category, is_closed, is_won``
    renames : ``old_label, new_label, changed_on``
    settings : zone of the dates
    synonyms : API names of stages -> labels
    source : where the stages come from, for messages

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> utc = SimpleNamespace(timezone="UTC", cut_off_hour=24)
    >>> stages = pd.DataFrame({"stage": ["Proposal"], "is_closed": [False], "is_won": [False]})
    >>> renames = pd.DataFrame({"old_label": ["Offer"], "new_label": ["Proposal"],
    ...                         "changed_on": pd.to_datetime(["2025-03-03"])})
    >>> labels, problems = Labels(stages, renames, utc), []
    >>> old = pd.Series(["Offer", "Bid"], index=[2, 3])
    >>> labels.stage(old, None, "OpportunityHistory.csv", "StageName", problems).tolist()
    ['Proposal', 'Bid']
    >>> print(problems[0])
    OpportunityHistory.csv, row 3, column StageName: found 'Bid' in 1 row; expected a stage of OpportunityStage.csv. \
Paste into stage_renames.csv, after checking it: Bid,Proposal,YYYY-MM-DD
    """

    stages: pd.DataFrame
    renames: pd.DataFrame
    settings: Any
    synonyms: dict[str, str] = field(default_factory=dict)
    source: str = "OpportunityStage.csv"
    renamed: int = 0
    translated: int = 0

    def status_of(self) -> dict[str, str]:
        """Stage -> open, won or lost."""
        closed = self.stages["is_closed"].map({True: "lost", False: "open"})
        status = closed.where(~self.stages["is_won"], "won")
        return dict(zip(self.stages["stage"], status, strict=True))

    def stage(
        self, labels: pd.Series, at: pd.Series | None, file: str, column: str, problems: list[Problem]
    ) -> pd.Series:
        """Stage labels as they are called today; one that nobody explains is a problem."""
        known = set(self.stages["stage"])
        mapped = self._renamed(labels.replace(self.synonyms), at, known)
        self.translated += int(labels.notna().sum())
        self.renamed += int((mapped.notna() & (mapped != labels.replace(self.synonyms))).sum())
        unknown = mapped[mapped.notna() & ~mapped.isin(known)]
        for label, rows in unknown.groupby(unknown, sort=False):
            expected = f"a stage of {self.source}"
            problems.append(self._unmapped(str(label), rows, at, sorted(known), expected, file, column))
        return mapped

    def category(
        self, labels: pd.Series, at: pd.Series | None, file: str, column: str, problems: list[Problem]
    ) -> pd.Series:
        """Forecast categories, API values or labels, as the labels of the tidy tables."""
        known = sorted(set(CATEGORY_WORDS.values()))
        words = self._renamed(labels, at, set())
        keys = {word: CATEGORY_WORDS.get(normal(str(word))) for word in words.dropna().unique()}
        unknown = words[words.notna() & words.map(keys).isna()]
        for label, rows in unknown.groupby(unknown, sort=False):
            expected = f"one of {', '.join(known)} or their API values"
            problems.append(self._unmapped(str(label), rows, at, known, expected, file, column))
        return words.map(keys).astype("str")

    def _renamed(self, labels: pd.Series, at: pd.Series | None, known: set[str]) -> pd.Series:
        mapped = labels.copy()
        for old, new, changed_on in self.renames.sort_values("changed_on").itertuples(index=False):
            hit = mapped == old
            if old in known:
                # the label lives on: only what was recorded under its old meaning is translated
                hit &= (at < moment(changed_on, self.settings)) if at is not None else False
            mapped = mapped.mask(hit, new)
        return mapped

    def _unmapped(
        self,
        label: str,
        rows: pd.Series,
        at: pd.Series | None,
        known: list[str],
        expected: str,
        file: str,
        column: str,
    ) -> Problem:
        guess = (
            nearest(label, known).removeprefix("Did you mean ").removesuffix("? ") or known[0]
            if known
            else "?"
        )
        day = "YYYY-MM-DD"
        if at is not None and at[rows.index].notna().any():
            day = f"{local_dates(at[rows.index], self.settings).max() + pd.Timedelta(days=1):%Y-%m-%d}"
        count = f"{len(rows):,} row{'s' if len(rows) > 1 else ''}"
        return Problem(
            file,
            int(rows.index[0]),
            column,
            f"'{label}' in {count}",
            expected,
            f"Paste into stage_renames.csv, after checking it: {label},{guess},{day}",
        )


def read_renames(sheet: Sheet | None) -> pd.DataFrame:
    """The dated renames of ``stage_renames.csv``; empty where there is none.

    Examples
    --------
    >>> read_renames(None).columns.tolist()
    ['old_label', 'new_label', 'changed_on']
    """
    columns = ["old_label", "new_label", "changed_on"]
    empty = pd.DataFrame({column: [] for column in columns})
    if sheet is None or sheet.problems:
        return empty
    headers = {normal(str(header)): str(header) for header in sheet.cells.columns}
    missing = [column for column in columns if normal(column) not in headers]
    for column in missing:
        sheet.wrong(1, column, "no such column", ", ".join(columns), "Write the header as expected.")
    if missing:
        return empty
    return pd.DataFrame(
        {
            "old_label": sheet.text(headers["oldlabel"]),
            "new_label": sheet.text(headers["newlabel"]),
            "changed_on": sheet.dates(headers["changedon"]),
        }
    )
