"""Stage and category labels: what each means, what it used to be called, and which ones nobody explains."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forecasteval.errors import Problem, pinned
from forecasteval.tables.calendar import local_dates, moment
from forecasteval.tables.columns import Sheet, normal

CATEGORY_WORDS = {
    "omitted": "Omitted",
    "pipeline": "Pipeline",
    "bestcase": "Best Case",
    "mostlikely": "Most Likely",
    "forecast": "Commit",
    "commit": "Commit",
    "closed": "Closed",
}
OPEN_CATEGORIES = ("Pipeline", "Best Case", "Most Likely", "Commit")
UNDECIDED = "?"
RENAMES = "stage_renames.csv"
RENAME_COLUMNS = ["old_label", "new_label", "changed_on"]


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
    guesses : unknown label -> the stage that its rows point to, or ``?``

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
Put this into stage_renames.csv, with the label of today in place of the ? (the first line only if the file is new):
    old_label,new_label,changed_on
    Bid,?,YYYY-MM-DD
    """

    stages: pd.DataFrame
    renames: pd.DataFrame
    settings: Any
    synonyms: dict[str, str] = field(default_factory=dict)
    source: str = "OpportunityStage.csv"
    guesses: dict[str, str] = field(default_factory=dict)
    renamed: int = 0
    translated: int = 0

    def status_of(self) -> dict[str, str]:
        """Stage -> open, won or lost."""
        closed = self.stages["is_closed"].map({True: "lost", False: "open"})
        status = closed.where(~self.stages["is_won"], "won")
        return dict(zip(self.stages["stage"], status, strict=True))

    def stage(
        self,
        labels: pd.Series,
        at: pd.Series | None,
        file: str,
        column: str,
        problems: list[Problem],
        evidence: pd.DataFrame | None = None,
    ) -> pd.Series:
        """Stage labels as they are called today; one that nobody explains is a problem.

        Parameters
        ----------
        labels : as written
        at : when each was recorded, or None
        file, column : where they stand
        problems : the list that new problems are added to
        evidence : ``rep_probability`` and ``rep_category`` of the same rows, as far as they are known
        """
        known = set(self.stages["stage"])
        written = labels.replace(self.synonyms)
        mapped = self._renamed(written, at, known)
        changed = mapped.notna() & (mapped != written)
        self.translated += int(labels.notna().sum())
        self.renamed += int(changed.sum())
        said = _evidence(evidence, labels.index)
        problems += self._open_renamed_to_closed(written[changed], mapped[changed], said, file, column)
        unknown = mapped[mapped.notna() & ~mapped.isin(known) & (mapped != UNDECIDED)]
        for label, rows in unknown.groupby(unknown, sort=False):
            guess = self._guess(str(label), rows.index, mapped, said)
            expected = f"a stage of {self.source}"
            problems.append(self._unmapped(str(label), rows, at, guess, expected, file, column))
        return mapped

    def category(
        self, labels: pd.Series, at: pd.Series | None, file: str, column: str, problems: list[Problem]
    ) -> pd.Series:
        """Forecast categories, API values or labels, as the labels of the tidy tables."""
        known = sorted(set(CATEGORY_WORDS.values()))
        words = self._renamed(labels, at, set())
        keys = {word: CATEGORY_WORDS.get(normal(str(word))) for word in words.dropna().unique()}
        unknown = words[words.notna() & words.map(keys).isna() & (words != UNDECIDED)]
        for label, rows in unknown.groupby(unknown, sort=False):
            expected = f"one of {', '.join(known)} or their API values"
            problems.append(self._unmapped(str(label), rows, at, UNDECIDED, expected, file, column))
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

    def _guess(self, label: str, rows: pd.Index, mapped: pd.Series, said: pd.DataFrame) -> str:
        """What the rows point to; rows that give no evidence follow those of another file."""
        if said.loc[rows].isna().all(axis=None):
            return self.guesses.get(label, UNDECIDED)
        self.guesses[label] = self._alike(rows, mapped, said)
        return self.guesses[label]

    def _alike(self, rows: pd.Index, mapped: pd.Series, said: pd.DataFrame) -> str:
        """The one stage whose rows usually have the label's Probability and category, or ``?``."""
        usual = _usual(said.loc[rows])
        if usual is None:
            return UNDECIDED
        stages = self.stages
        if _is_open(said.loc[rows]).any():
            stages = stages[~stages["is_closed"]]
        of_today = stages.reindex(columns=["default_probability", "category"]).set_axis(stages["stage"])
        fits = [
            stage
            for stage in stages["stage"]
            if usual in (_pair(of_today.loc[stage]), _usual(said[mapped == stage]))
        ]
        return fits[0] if len(fits) == 1 else UNDECIDED

    def _open_renamed_to_closed(
        self, old: pd.Series, new: pd.Series, said: pd.DataFrame, file: str, column: str
    ) -> list[Problem]:
        """A rename that makes closed deals of rows that were open by their own Probability or category."""
        closed = set(self.stages.loc[self.stages["is_closed"], "stage"])
        wrong = new.isin(closed) & _is_open(said.loc[new.index])
        problems = []
        for (was, now), rows in old[wrong].groupby([old[wrong], new[wrong]], sort=False):
            most = len(rows) > ((old == was) & (new == now)).sum() / 2
            found = f"'{was}', renamed to the closed stage '{now}', in {_rows(len(rows))} that were open"
            advice = f"Their category or Probability is that of an open deal: correct the line in {RENAMES}."
            severity = "error" if most else "warning"
            row = int(rows.index[0])
            problems.append(Problem(file, row, column, found, "an open stage", advice, severity))
        return problems

    def _unmapped(
        self,
        label: str,
        rows: pd.Series,
        at: pd.Series | None,
        guess: str,
        expected: str,
        file: str,
        column: str,
    ) -> Problem:
        day = "YYYY-MM-DD"
        if at is not None and at[rows.index].notna().any():
            day = f"{local_dates(at[rows.index], self.settings).max() + pd.Timedelta(days=1):%Y-%m-%d}"
        check = "with the label of today in place of the ?"
        if guess != UNDECIDED:
            check = f"after checking it: {guess} has the same Probability and category"
        lines = _csv_lines([RENAME_COLUMNS, [label, guess, day]])
        advice = f"Put this into {RENAMES}, {check} (the first line only if the file is new):\n{lines}"
        found = f"'{label}' in {_rows(len(rows))}"
        return Problem(file, int(rows.index[0]), column, found, expected, advice)


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


def _csv_lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().rstrip("\n")


def _evidence(given: pd.DataFrame | None, index: pd.Index) -> pd.DataFrame:
    if given is None:
        return pd.DataFrame({"rep_probability": float("nan"), "rep_category": None}, index=index)
    return given.reindex(index=index, columns=["rep_probability", "rep_category"])


def _is_open(said: pd.DataFrame) -> pd.Series:
    between = said["rep_probability"].gt(0) & said["rep_probability"].lt(1)
    return between | said["rep_category"].isin(OPEN_CATEGORIES)


def _pair(said: pd.Series) -> tuple[float, str]:
    probability, category = said.iloc[0], said.iloc[1]
    share = float("nan") if pd.isna(probability) else round(float(probability), 6)
    return share, "" if pd.isna(category) else str(category)


def _usual(said: pd.DataFrame) -> tuple[float, str] | None:
    """The Probability and category that more than half of the rows have, if both are given."""
    full = said.dropna()
    counts = full.value_counts()
    if counts.empty or counts.iloc[0] <= len(said) / 2:
        return None
    return _pair(pd.Series(counts.index[0], dtype=object))


def read_renames(sheet: Sheet | None) -> pd.DataFrame:
    """The dated renames of ``stage_renames.csv``; empty where there is none.

    Examples
    --------
    >>> read_renames(None).columns.tolist()
    ['old_label', 'new_label', 'changed_on']
    """
    columns = RENAME_COLUMNS
    empty = pd.DataFrame({column: [] for column in columns})
    if sheet is None or sheet.problems:
        return empty
    headers = {normal(str(header)): str(header) for header in sheet.cells.columns}
    missing = [column for column in columns if normal(column) not in headers]
    for column in missing:
        sheet.wrong(1, column, "no such column", ", ".join(columns), "Write the header as expected.")
    if missing:
        return empty
    new = sheet.text(headers["newlabel"])
    sheet.problems += pinned(
        sheet.file,
        headers["newlabel"],
        new[new.isna() | (new == UNDECIDED)],
        "the label of today",
        "Nobody has said yet what the old label is called today: write a stage (or category) of today there.",
    )
    return pd.DataFrame(
        {
            "old_label": sheet.text(headers["oldlabel"]),
            "new_label": new,
            "changed_on": sheet.dates(headers["changedon"]),
        }
    )
