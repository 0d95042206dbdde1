"""Stage and category labels: what each means, what it used to be called, and which ones nobody explains."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forecasteval.errors import Problem
from forecasteval.sources._draft_words import side
from forecasteval.sources.dialect import RENAMES, Dialect, Fields
from forecasteval.tables.calendar import local_dates, moment
from forecasteval.tables.coded import coded, each_word, is_coded
from forecasteval.tables.columns import Sheet, normal
from forecasteval.tables.schemas import canonical

_OPEN = ("Pipeline", "Best Case", "Most Likely", "Commit")
_UNDECIDED = "?"
_SHOWN = 8  # stages
_RENAME_COLUMNS = ["old_label", "new_label", "changed_on"]
NO_RENAMES = pd.DataFrame({column: [] for column in _RENAME_COLUMNS})
_FLAGS = ["is_closed", "is_won"]


@dataclass
class Labels:
    """The stages of today, the dated renames, and a tally of what was translated."""

    dialect: Dialect
    stages: pd.DataFrame  # stage, default_probability, category, is_closed, is_won
    renames: pd.DataFrame  # old_label, new_label, changed_on
    settings: Any  # the zone of the dates
    synonyms: dict[str, str]  # internal names of stages -> labels
    source: str  # where the stages come from, for messages
    # unknown label -> the stage its rows point to, or ?
    guesses: dict[str, str] = field(default_factory=dict)
    renamed: int = 0
    translated: int = 0

    def status_of(self) -> dict[str, str]:
        """Stage -> open, won or lost."""
        closed = self.stages["is_closed"].map({True: "lost", False: "open"})
        status = closed.where(~self.stages["is_won"], "won")
        return dict(zip(self.stages["stage"], status, strict=True))

    def table(self) -> pd.DataFrame:
        """The stages as a tidy table."""
        return canonical("stages", self.stages)

    def stage(
        self, sheet: Sheet, column: str, labels: pd.Series, at: pd.Series | None = None,
        evidence: pd.DataFrame | None = None,
    ) -> pd.Series:  # fmt: skip
        """Stage labels as they are called today; one that nobody explains is a problem of the sheet.

        ``at`` is when each was recorded, ``evidence`` holds ``rep_probability`` and ``rep_category`` of the
        same rows, as far as they are known.
        """
        known = set(self.stages["stage"])
        written = each_word(labels, lambda words: words.replace(self.synonyms))
        mapped = self._renamed(written, at, known)
        changed = pd.Series(False, index=labels.index)
        if mapped is not written:
            changed = mapped.notna() & (mapped.astype("str") != written.astype("str"))
        self.translated += int(labels.notna().sum())
        self.renamed += int(changed.sum())
        said = _evidence(evidence, labels.index)
        sheet.problems += self._closed_by_rename(written[changed], mapped[changed], said, sheet.file, column)
        if self.dialect.own_status:
            return mapped  # no stage decides anything
        unknown = mapped[mapped.notna() & ~mapped.isin(known) & (mapped != _UNDECIDED)]
        for label, rows in unknown.astype("str").groupby(unknown.astype("str"), sort=False):
            guess = self._guess(str(label), rows.index, mapped, said)
            self._unmapped(sheet, column, rows, at, guess, f"a stage of {self.source}")
        return mapped

    def category(self, sheet: Sheet, column: str, labels: pd.Series, at: pd.Series | None) -> pd.Series:
        """Forecast categories, API values or labels, as the labels of the tidy tables."""
        words = self._renamed(labels, at, set())
        keys = {word: self.dialect.category(word) for word in words.dropna().unique()}
        meant = each_word(words, lambda each: each.map(keys).astype("str"))
        unknown = words[words.notna() & meant.isna() & (words != _UNDECIDED)].astype("str")
        known = ", ".join(sorted(set(self.dialect.categories.values())))
        for _, rows in unknown.groupby(unknown, sort=False):
            self._unmapped(sheet, column, rows, at, _UNDECIDED, f"one of {known} or their API values")
        return meant

    def _renamed(self, labels: pd.Series, at: pd.Series | None, known: set[str]) -> pd.Series:
        mapped = labels
        for old, new, changed_on in self.renames.sort_values("changed_on").itertuples(index=False):
            hit = mapped == old
            if old in known:
                # the label lives on: only what was recorded under its old meaning is translated
                hit &= (at < moment(changed_on, self.settings)) if at is not None else False
            if is_coded(mapped) and isinstance(new, str) and new not in mapped.cat.categories:
                mapped = mapped.cat.add_categories([new])
            mapped = mapped.mask(hit, new)
        return coded(mapped) if is_coded(mapped) else mapped

    def _guess(self, label: str, rows: pd.Index, mapped: pd.Series, said: pd.DataFrame) -> str:
        """What the rows point to; rows that give no evidence follow those of another file."""
        if said.loc[rows].isna().all(axis=None):
            return self.guesses.get(label, _UNDECIDED)
        self.guesses[label] = self._alike(rows, mapped, said)
        return self.guesses[label]

    def _alike(self, rows: pd.Index, mapped: pd.Series, said: pd.DataFrame) -> str:
        """The one stage whose rows usually have the label's Probability and category, or ``?``."""
        usual = _usual(said.loc[rows])
        if usual is None:
            return _UNDECIDED
        stages = self.stages
        if _is_open(said.loc[rows]).any():
            stages = stages[~stages["is_closed"]]
        of_today = stages.reindex(columns=["default_probability", "category"]).set_axis(stages["stage"])
        fits = [
            stage
            for stage in stages["stage"]
            if usual in (_pair(of_today.loc[stage]), _usual(said[mapped == stage]))
        ]
        return fits[0] if len(fits) == 1 else _UNDECIDED

    def _closed_by_rename(
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
        self, sheet: Sheet, column: str, rows: pd.Series, at: pd.Series | None, guess: str, expected: str
    ) -> None:
        """The problem of one unknown label, with the lines that explain it, ready to be pasted."""
        label, day = str(rows.iloc[0]), "YYYY-MM-DD"
        if at is not None and at[rows.index].notna().any():
            day = f"{local_dates(at[rows.index], self.settings).max() + pd.Timedelta(days=1):%Y-%m-%d}"
        check = "with the label of today in place of the ?"
        if guess != _UNDECIDED:
            check = f"after checking it: {guess} has the same Probability and category"
        lines = _csv_lines([_RENAME_COLUMNS, [label, guess, day]])
        advice = f"Put this into {RENAMES}, {check} (the first line only if the file is new):\n{lines}"
        sheet.wrong(int(rows.index[0]), column, f"'{label}' in {_rows(len(rows))}", expected, advice)


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
    return between | said["rep_category"].isin(_OPEN)


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


def read_renames(sheet: Sheet) -> pd.DataFrame:
    """The dated renames of ``stage_renames.csv``."""
    headers = {column: sheet.headers().get(normal(column)) for column in _RENAME_COLUMNS}
    for column in (column for column, header in headers.items() if header is None):
        expected = ", ".join(_RENAME_COLUMNS)
        sheet.wrong(1, column, "no such column", expected, "Write the header as expected.")
    if sheet.problems:
        return NO_RENAMES
    old, new, changed_on = map(str, headers.values())
    labels = sheet.text(new)
    advice = (
        "Nobody has said yet what the old label is called today: write a stage (or category) of today there."
    )
    sheet.pin(new, labels[labels.isna() | (labels == _UNDECIDED)], "the label of today", advice)
    columns = (sheet.text(old), labels, sheet.dates(changed_on))
    return pd.DataFrame(dict(zip(_RENAME_COLUMNS, columns, strict=True)))


def read_stages(dialect: Dialect, sheet: Sheet) -> tuple[pd.DataFrame, dict[str, str]]:
    """The stages table, and the internal names of the stages where they differ from the labels."""
    fields = Fields(dialect, sheet, (), dialect.stage_fields)
    required = ("label",) if dialect.own_status or "status" in fields else ("label", "is_closed")
    fields = Fields(dialect, sheet, required, dialect.stage_fields)
    if not fields.complete:
        return pd.DataFrame(), {}
    found = fields.taken(
        "label", "default_probability", "category", "is_closed", "is_won", "api_name", "is_active", "status", "pipeline"
    )  # fmt: skip
    table = pd.DataFrame({"category": None, "default_probability": float("nan"), "is_active": True, **found})
    table = _with_flags(dialect, table)
    table["category"] = table["category"].map(dialect.category, na_action="ignore").astype("str")
    table = table[table["label"].notna()].rename(columns={"label": "stage"})
    synonyms = {}
    if "api_name" in table:
        named = table[table["api_name"].notna() & ~table["api_name"].isin(table["stage"])]
        synonyms = dict(zip(named["api_name"], named["stage"], strict=True))
    # an inactive stage may have the label of one in use
    table = table.sort_values("is_active", ascending=False, kind="stable")
    table = table.drop_duplicates("stage").sort_index().reset_index(drop=True)
    return table[["stage", "default_probability", "category", *_FLAGS]], synonyms


def _with_flags(dialect: Dialect, table: pd.DataFrame) -> pd.DataFrame:
    """The stages with both flags, and with names that tell stages of several pipelines apart."""
    if "status" in table:
        table = table.assign(**dialect.flags(table["status"]))
    elif dialect.own_status:
        table = table.assign(is_won=False, is_closed=False)
    elif "is_won" not in table:
        table["is_won"] = table["is_closed"] & table["default_probability"].eq(1)
    if "pipeline" in table:
        kinds = table.groupby("label")[["default_probability", *_FLAGS]].transform("nunique", dropna=False)
        several = kinds.gt(1).any(axis=1) & table["pipeline"].notna()
        table["label"] = table["label"].mask(several, table["label"] + " (" + table["pipeline"] + ")")
    return table


def _by_words(dialect: Dialect, current: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """The flags of stages of which only the names speak; a name that might mean a close is asked about, one that says nothing said."""
    stage = current["stage"]
    likely = current["rep_probability"].groupby(stage).agg(_mode)
    closed = current.get("is_closed", pd.Series(False, current.index)) | stage.map(likely).isin([0.0, 1.0])
    means = {word: side(str(word)) for word in stage.dropna().unique()}
    closed |= stage.map(means).isin(["won", "lost"]) & ~stage.map(likely).between(0, 1)
    unsaid = dialect.status(stage).isna() & stage.notna()
    silent = stage[unsaid & closed].drop_duplicates()
    file = dialect.file_name("stages")
    taken = stage[unsaid & ~closed & stage.map(means).isna() & ~stage.map(likely).between(0, 1)]
    if len(taken):
        names = ", ".join(f"{name} ({rows:,})" for name, rows in taken.value_counts().head(_SHOWN).items())
        advice = f"They were taken as open: if deals there are closed, export {file}."
        found, expected = f"stages whose names do not say so: {names}", "stages that are open, won or lost"
        sheet.wrong(int(taken.index[0]), dialect.field_name("stage"), found, expected, advice, "warning")
    expected = f"a stage that says whether it is open, won or lost, or {file}"
    advice = f"Export {file}, or write it: {_heads(dialect)}, a row for each stage."
    sheet.pin(dialect.field_name("stage"), silent, expected, advice)
    return current.assign(**dialect.flags(stage))


def stages_of_records(dialect: Dialect, current: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """The stages as far as today's records show them: closed and won flags, the most usual probability."""
    closed, won = map(dialect.field_name, _FLAGS)
    file = dialect.file_name("stages")
    if dialect.own_status:
        current = current[~current["is_closed"]].assign(is_won=False)
    elif not set(_FLAGS) <= set(current) and dialect.status_words:
        current = _by_words(dialect, current, sheet)
    if not set(_FLAGS) <= set(current):
        found = f"no {closed} and {won} and no {file}"
        sheet.wrong(1, closed, found, "one of the two", f"Export {file}, or add {closed} and {won}.")
        names = current["stage"].dropna().unique()
        return pd.DataFrame({"stage": names, "is_closed": False, "is_won": False})
    flags = current[["stage", *_FLAGS]].drop_duplicates()
    torn = flags.loc[flags["stage"].duplicated(), "stage"]
    advice = f"The same stage is open in one row and closed in another: export {file}."
    sheet.pin(dialect.field_name("stage"), torn, f"one {closed} and {won} per stage", advice)
    usual = current.groupby("stage")[["rep_probability", "rep_category"]].agg(_mode)
    usual.columns = pd.Index(["default_probability", "category"])
    usual["category"] = usual["category"].map(dialect.category, na_action="ignore").astype("str")
    table = flags.drop_duplicates("stage").merge(usual, left_on="stage", right_index=True)
    return table[["stage", "default_probability", "category", *_FLAGS]].reset_index(drop=True)


def _heads(dialect: Dialect) -> str:
    known = dialect.stage_fields
    return ",".join(known[meaning][0] for meaning in ("label", *_FLAGS, "status") if meaning in known)


def _mode(values: pd.Series) -> Any:
    usual = values.mode()
    return usual.iloc[0] if len(usual) else None
