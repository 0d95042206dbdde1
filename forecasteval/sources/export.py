"""The files of a CRM's export: which is what, read without footers, and what several of them say together."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from forecasteval.errors import InputError, Problem
from forecasteval.sources.dialect import Dialect, Fields
from forecasteval.sources.raw import Raw
from forecasteval.sources.records import Tally
from forecasteval.sources.stages import Labels, read_renames, read_stages, stages_of_records
from forecasteval.tables.calendar import local_dates
from forecasteval.tables.columns import Sheet
from forecasteval.tables.reading import read_sheet
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings, read_settings
from forecasteval.tables.tidy_table import problems_of

_DATED = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")


@dataclass
class Files:
    """The files of an export by what they hold, and the dated copies of the deals."""

    by_kind: dict[str, Path] = field(default_factory=dict)
    copies: dict[pd.Timestamp, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def of_deals(self) -> bool:
        """Whether there is a file of deals, today's or dated ones."""
        return "deals" in self.by_kind or bool(self.copies)

    @property
    def dated(self) -> bool:
        """Whether the past comes from the copies; a history holds more than they do."""
        return bool(self.copies) and "values" not in self.by_kind


def find_files(folder: Path, dialect: Dialect) -> Files:
    """What each file is, by its name; a date in the name (or in the folder's) makes it a dated copy."""
    files = Files()
    undated: dict[str, list[Path]] = {}
    dated: dict[str, dict[str, Path]] = {}
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".csv"]
    paths += [path for path in sorted(folder.glob("*/*.csv")) if _DATED.search(path.parent.name)]
    for path in paths:
        nested = path.parent != folder
        date = _DATED.search(path.parent.name if nested else path.stem)
        kind = dialect.kind_of(path.stem if nested else _DATED.sub("", path.stem))
        if date and kind == "deals":
            files.problems += _add_copy(files.copies, date, path, folder)
        elif date and kind:
            dated.setdefault(kind, {})["".join(date.groups())] = path
        elif kind:
            undated.setdefault(kind, []).append(path)
    files.by_kind = {kind: copies[max(copies)] for kind, copies in dated.items()}
    for kind, several in undated.items():
        files.by_kind[kind] = several[0]
        if len(several) > 1:
            names = " and ".join(path.name for path in several)
            found, advice = "several files of one object", "Remove all but one of them."
            files.problems.append(Problem(names, None, None, found, "one", advice))
    if files.copies and not files.dated:
        files.by_kind.setdefault("deals", files.copies[max(files.copies)])
    return files


def _add_copy(
    copies: dict[pd.Timestamp, Path], date: re.Match[str], path: Path, folder: Path
) -> list[Problem]:
    name = str(path.relative_to(folder))
    try:
        day = pd.Timestamp("-".join(date.groups()))
    except ValueError:
        return [Problem(name, None, None, date.group(), "a date that exists", "Rename the copy.")]
    if day in copies:
        both = f"{copies[day].relative_to(folder)} and {name}"
        return [Problem(both, None, None, "two copies of one day", "one", "Remove one of them.")]
    copies[day] = path
    return []


class Export:
    """One export on its way to :class:`Raw`: every file is read and every problem kept before any is refused."""

    def __init__(self, folder: Path, dialect: Dialect, files: Files, settings: Settings | None) -> None:
        """Read the settings, and the users whom every other file may name; stop where there are no deals."""
        self.dialect, self.files = dialect, files
        own, problems = read_settings(folder) if settings is None else (settings, [])
        self.raw = Raw(
            own.name or folder.name, folder, own, problems=files.problems + problems, dialect=dialect,
            canonical_id=dialect.canonical_id,
        )  # fmt: skip
        self.tally = Tally()
        self.bar = tqdm(desc="Reading the export", unit=" files", disable=None, leave=False)
        if not files.of_deals:
            here = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
            deals = dialect.object_name("deals")
            advice = f"Export the {deals} object (or a folder of dated copies of it) into this folder."
            wrong = Problem(str(folder), None, None, here, dialect.file_name("deals"), advice)
            raise InputError([*self.raw.problems, wrong])
        self.users = self._users()

    @property
    def settings(self) -> Settings:
        """The organisation's settings."""
        return self.raw.settings

    def sheet(self, path: Path, *, of_deals: bool = True) -> Sheet:
        """A file of the export without footer; reports are read in the organisation's zone."""
        assert self.raw.folder is not None
        sheet, notes = read_sheet(path, str(path.relative_to(self.raw.folder)))
        self.bar.update()
        self.raw.notes += notes
        if sheet.problems:
            return sheet
        if self.dialect.is_report(sheet):
            sheet.zone = self.settings.timezone
        dropped = _drop_footer(self.dialect, sheet)
        if dropped:
            self.tally.footers += dropped
            rows = f"{dropped} footer row{'s were' if dropped > 1 else ' was'}"
            self.raw.notes.append(f"{sheet.file} is a report: {rows} left out.")
        if of_deals:
            _refuse_odd_ids(self.dialect, sheet)
        return sheet

    def optional(self, kind: str) -> Sheet | None:
        """The file of one kind of object, if there is one."""
        path = self.files.by_kind.get(kind)
        return self.sheet(path, of_deals=kind in ("values", "changes")) if path else None

    def keep(self, *sheets: Sheet | None) -> None:
        """Take over what was found wrong in files."""
        for sheet in sheets:
            self.raw.problems += sheet.problems if sheet is not None else []

    def _users(self) -> pd.DataFrame | None:
        sheet = self.optional("users")
        if sheet is None:
            return None
        fields = Fields(self.dialect, sheet, ("user_id",), self.dialect.user_fields)
        users = None
        if fields.complete:
            if "name" in fields:
                names = fields.take("name")
            else:
                names = pd.Series("", index=sheet.cells.index, dtype="str")
                for part in fields.taken("first_name", "last_name").values():
                    names = names + " " + part.fillna("")
                names = names.str.strip().replace("", None)
            ids = self.dialect.canonical_id(fields.take("user_id"))
            users = canonical("users", pd.DataFrame({"rep": ids, "name": names}))
            sheet.problems += problems_of("users", users, sheet.file)
            self.raw.tables["users"] = users.reset_index(drop=True)
        self.keep(sheet)
        return users

    def labels(self, current: pd.DataFrame, sheet: Sheet) -> Labels:
        """The stages as their own file has them, else as today's records show them."""
        dialect = self.dialect
        renames_sheet = self.optional("renames")
        renames = read_renames(renames_sheet)
        stage_sheet = self.optional("stages")
        stages, synonyms = pd.DataFrame(), dict[str, str]()
        if stage_sheet is None:
            self.raw.notes.append(
                f"There is no {dialect.file_name('stages')}: closed and won flags and usual probabilities of the stages "
                "come from today's records."
            )
        elif not stage_sheet.problems:
            stages, synonyms = read_stages(dialect, stage_sheet)
        self.keep(renames_sheet, stage_sheet)
        source = dialect.file_name("stages")
        if stages.empty:
            stages, source = (
                stages_of_records(dialect, current, sheet),
                f"today's {dialect.file_name('deals')}",
            )
        return Labels(dialect, stages, renames, self.settings, synonyms, source)

    def settle(
        self, current: pd.DataFrame, labels: Labels, sheet: Sheet, seen_at: pd.Timestamp | None = None
    ) -> pd.DataFrame:
        """The records with the labels of today and one name for each owner; dated copies give their moment."""
        at = None if seen_at is None else pd.Series(seen_at, index=current.index)
        header = Fields(self.dialect, sheet).header
        words = labels.category(sheet, header.get("category", ""), current["rep_category"], at)
        settled = current.assign(rep_category=words)
        settled["stage"] = labels.stage(sheet, header["stage"], current["stage"], at, settled)
        by_name = current["rep_name"].map(self.raw.id_of_name()).astype("str").fillna(current["rep_name"])
        settled["rep"] = current["rep"].fillna(by_name)
        return settled

    def status(self, records: pd.DataFrame, labels: Labels) -> pd.Series:
        """Open, won or lost, by the records' own flags or else by their stage."""
        if "is_won" not in records or "is_closed" not in records:
            return records["stage"].map(labels.status_of()).fillna("open")
        status = pd.Series("open", index=records.index, dtype="str")
        return status.mask(records["is_closed"], "lost").mask(records["is_won"], "won")

    def deals(self, current: pd.DataFrame, segments: dict[str, pd.Series], labels: Labels) -> pd.DataFrame:
        """Today's records as the deals table."""
        outcome = self.status(current, labels).mask(current["is_deleted"], "deleted")
        table = current.assign(
            outcome=outcome,
            created_on=local_dates(current["created_at"], self.settings),
            closed_on=current["close_on"].where(outcome.isin(["won", "lost"])),
            **segments,
        )
        wanted = ["deal_id", "rep", "account", *segments, "created_on", "closed_on", "outcome", "amount"]
        return canonical("deals", table[wanted])

    def check_deals(self, deals: pd.DataFrame, sheet: Sheet) -> None:
        """What is odd about the deals, in the words of the file, unless the file has errors already."""
        if any(problem.severity == "error" for problem in sheet.problems):
            return
        header = Fields(self.dialect, sheet).header
        words = {"closed_on": header.get("close_on"), "created_on": header.get("created_at")}
        for problem in problems_of("deals", deals, sheet.file):
            named = words.get(str(problem.column)) or problem.column
            self.raw.problems.append(replace(problem, column=named))


def _shaped_ids(dialect: Dialect, sheet: Sheet) -> tuple[str, pd.Series] | None:
    """The column of ids, if there is one, and which rows have an id of the CRM's own form."""
    header = Fields(dialect, sheet).header.get("deal_id")
    if header is None:
        return None
    return header, sheet.text(header).str.fullmatch(dialect.id_shape, na=False).astype(bool)


def _drop_footer(dialect: Dialect, sheet: Sheet) -> int:
    """Drop the rows at the end of a file that are not data, as reports have them; returns how many."""
    cells = sheet.cells
    found = _shaped_ids(dialect, sheet)
    if found is not None and found[1].any():
        # a last row with most of its cells filled is a deal with a broken id rather than a footer
        data = found[1] | (cells.notna().sum(axis=1) > cells.shape[1] / 2)
    elif dialect.is_report(sheet) and cells.shape[1] > 2:
        data = cells.notna().sum(axis=1) > 1
    else:
        return 0
    kept = len(data) - int(data[::-1].to_numpy().argmax()) if data.any() else 0
    sheet.cells = cells.iloc[:kept]
    return len(cells) - kept


def _refuse_odd_ids(dialect: Dialect, sheet: Sheet) -> None:
    """The ids that the CRM cannot have given out, in a file in which most ids are the CRM's."""
    found = _shaped_ids(dialect, sheet)
    if found is None or found[1].mean() <= 0.5:
        return
    header, shaped = found
    ids = sheet.text(header)
    expected = f"a {dialect.name} id of {dialect.id_words}"
    sheet.pin(header, ids[ids.notna() & ~shaped], expected, "Correct or remove the row.")
