"""A folder of Salesforce exports as the tidy tables.

API and Bulk exports, snake_case copies of data pipelines and report CSVs are read alike. The past comes from
OpportunityHistory and OpportunityFieldHistory, or from a folder of dated copies of Opportunity.csv; with
only today's table nothing can be said about it, and the organisation is told so.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from forecasteval.errors import InputError, Problem
from forecasteval.sources.dated_copies import import_copies
from forecasteval.sources.importing import Found, Import
from forecasteval.tables.columns import normal
from forecasteval.tables.organisation import Org
from forecasteval.tables.settings import Settings, missing_folder

OBJECTS = {
    "opportunity": "opportunity",
    "opportunities": "opportunity",
    "opportunityhistory": "values",
    "opportunityhistories": "values",
    "opportunityfieldhistory": "changes",
    "opportunityfieldhistories": "changes",
    "opportunitystage": "stages",
    "opportunitystages": "stages",
    "user": "users",
    "users": "users",
    "stagerenames": "renames",
}


DATED = re.compile(r"(?<!\d)(\d{4})[-_]?(\d{2})[-_]?(\d{2})(?!\d)")


def is_export(folder: str | Path) -> bool:
    """Whether a folder holds an Opportunity file, today's or dated ones.

    Examples
    --------
    >>> import tempfile
    >>> is_export(tempfile.mkdtemp())
    False
    """
    found = _find(Path(folder))
    return "opportunity" in found.files or bool(found.copies)


def import_folder(export_dir: str | Path, settings: Settings | None = None) -> Org:
    """The tidy tables of a Salesforce export.

    Parameters
    ----------
    export_dir : folder with ``Opportunity.csv``; and, for the past, ``OpportunityHistory.csv`` and
        ``OpportunityFieldHistory.csv``, or dated copies (``2026-02-02/Opportunity.csv`` or
        ``Opportunity_2026-02-02.csv``). ``OpportunityStage.csv``, ``User.csv``, ``stage_renames.csv``,
        ``organisation.yaml``, ``calendar.csv``, ``calls.csv`` and ``forecasts/*.csv`` are taken along
    settings : used instead of the folder's ``organisation.yaml``

    Returns
    -------
    Org

    Raises
    ------
    InputError
        Lists every problem of every file.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "Opportunity.csv").write_text(
    ...     "Id,StageName,CloseDate,IsClosed,IsWon\\nD1,Won,2026-02-03,true,true\\n")
    >>> org = import_folder(place)
    >>> org.deals["outcome"].tolist(), org.history is None
    (['won'], True)
    """
    folder = Path(export_dir)
    if not folder.is_dir():
        advice = "Name the folder that holds the exported files."
        raise InputError([missing_folder(folder, "a folder with Opportunity.csv", advice)])
    run = Import(folder, _find(folder), settings)
    with run.bar:
        run.start()
        if run.found.copies and "values" not in run.found.files:
            return import_copies(run, run.found.copies)
        return run.from_records()


def _find(folder: Path) -> Found:
    """What each file is, by its name; a date in the name (or in the folder's) makes it a dated copy."""
    found = Found()
    undated: dict[str, list[Path]] = {}
    dated: dict[str, dict[str, Path]] = {}
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".csv"]
    paths += [path for path in sorted(folder.glob("*/*.csv")) if DATED.search(path.parent.name)]
    for path in paths:
        nested = path.parent != folder
        date = DATED.search(path.parent.name if nested else path.stem)
        kind = OBJECTS.get(_object_name(path.stem if nested else DATED.sub("", path.stem)))
        if date and kind == "opportunity":
            found.problems += _add_copy(found.copies, date, path, folder)
        elif date and kind:
            dated.setdefault(kind, {})["".join(date.groups())] = path
        elif kind:
            undated.setdefault(kind, []).append(path)
    found.files = {kind: copies[max(copies)] for kind, copies in dated.items()}
    for kind, several in undated.items():
        found.files[kind] = several[0]
        if len(several) > 1:
            names = " and ".join(path.name for path in several)
            found.problems.append(
                Problem(
                    names, None, None, "several files of one object", "one", "Remove all but one of them."
                )
            )
    if found.copies and "values" in found.files:
        # the history of the newest export holds more than the copies do
        found.files.setdefault("opportunity", found.copies[max(found.copies)])
    return found


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


def _object_name(stem: str) -> str:
    name = normal(stem)
    for prefix in ("salesforce", "sfdc", "sf"):
        name = name.removeprefix(prefix)
    for suffix in ("data", "export"):
        name = name.removesuffix(suffix)
    return name
