"""The tidy tables of one organisation: reading a data folder, checking it, writing it.

A data folder holds an ``export/`` (what the CRM gave out), ``tables/`` (built from it), tidy tables that
somebody wrote by hand, or a matched table. :func:`read` takes any of them; what is wrong is said all at
once, with file, row, column, value, and what was expected.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import InputError, Problem
from forecasteval.sources.by_hand import (
    in_terms_of,
    matched_file,
    only_warnings,
    read_beside,
    read_handwritten,
    table_files,
)
from forecasteval.tables.checks import cross_checks
from forecasteval.tables.organisation import Org
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import missing_folder, read_settings

STORED = ("deals", "history", "snapshots", "forecasts", "calls", "periods", "stages", "users")


def read(folder: str | Path) -> Org:
    """The organisation in a data folder; an export that is newer than its tables is imported first.

    Parameters
    ----------
    folder : a data folder such as ``data/demo``; a relative one is looked up from the working directory
        upwards, so that notebooks find it too

    Returns
    -------
    Org

    Raises
    ------
    InputError
        Lists everything that is wrong with the folder or its files.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "deals.csv").write_text("deal_id,outcome,closed_on\\nD1,won,2026-02-03\\n")
    >>> read(place).deals["outcome"].tolist()
    ['won']
    """
    place = find_folder(folder)
    if (place / "export").is_dir():
        org = _built_or_imported(place)
    elif (place / "tables").is_dir():
        org = _stored(place) or read_handwritten(place / "tables", place)
    elif table_files(place) or matched_file(place):
        org = read_handwritten(place, place)
    else:
        org = _bare_export(place)
    return org


def check(folder: str | Path) -> list[Problem]:
    """Every problem of a data folder (or of a bare export), errors first; bad input never raises.

    Parameters
    ----------
    folder : as for :func:`read`

    Returns
    -------
    list of Problem; empty when all is well

    Examples
    --------
    >>> check("no/such/folder")[0].found
    'no such folder'
    """
    try:
        org = read(folder)
    except InputError as error:
        return error.problems
    return list(org.warnings)


def find_folder(folder: str | Path) -> Path:
    """The folder itself; a relative one is looked up from the working directory upwards.

    Raises
    ------
    InputError
        Says where it looked.

    Examples
    --------
    >>> find_folder(Path.cwd()) == Path.cwd()
    True
    """
    wanted = Path(folder).expanduser()
    here = Path.cwd()
    places = [wanted] if wanted.is_absolute() else [base / wanted for base in (here, *here.parents)]
    for place in places:
        if place.is_dir():
            return place
    file = next((place for place in places if place.is_file()), None)
    if file is not None:
        raise InputError([missing_folder(file, "a data folder", "Name the folder that holds the file.")])
    looked = "; ".join(str(place) for place in places)
    raise InputError([missing_folder(wanted, "a data folder", f"Looked for {looked}.")])


def write_tables(org: Org, folder: str | Path, fingerprint: str | None = None) -> Path:
    """Write the tables to ``folder/tables``: made aside, then moved into place.

    Parameters
    ----------
    org : what to write; a matched table is written as ``matched.parquet``
    folder : the data folder, made if it does not exist
    fingerprint : of the export that the tables were built from

    Returns
    -------
    the folder ``tables``

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> deals = canonical("deals", pd.DataFrame({"deal_id": ["D1"], "outcome": ["open"]}))
    >>> _ = write_tables(Org("acme", None, deals=deals), place)
    >>> read(place).deals["deal_id"].tolist()
    ['D1']
    """
    import yaml

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=place, prefix=".tables-"))
    try:
        aside.chmod(0o755)
        for name in (*STORED, "matched"):
            table = getattr(org, name)
            if table is not None:
                table.to_parquet(aside / f"{name}.parquet", index=False)
        given = {key: value for key, value in asdict(org.settings).items() if value not in (None, ())}
        given["segments"] = list(org.settings.segments)
        (aside / "organisation.yaml").write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
        record = {
            "name": org.name,
            "fingerprint": fingerprint,
            "notes": org.notes,
            "warnings": [asdict(problem) for problem in org.warnings],
            "audit": [] if org.audit is None else json.loads(org.audit.to_json(orient="records")),
        }
        (aside / "audit.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        _move_into_place(aside, place / "tables")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place / "tables"


def _move_into_place(new: Path, target: Path) -> None:
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=".tables-"))
    try:
        for attempt in range(5):
            try:
                if target.exists():
                    os.rename(target, old / str(attempt))
                os.rename(new, target)
                return
            except OSError as error:
                # two reports may build the same tables at once: the loser tries again
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                    raise
        raise OSError(errno.EBUSY, "another process keeps writing it", str(target))
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _built_or_imported(place: Path) -> Org:
    # the one step to the right: reading an export is an importer's job, deciding when is this one's
    from forecasteval.sources.salesforce import import_folder

    fingerprint = _fingerprint(place)
    stored = _stored(place, fingerprint)
    if stored is not None:
        return stored
    settings = read_settings(place)[0] if (place / "organisation.yaml").exists() else None
    org = import_folder(place / "export", settings=settings)
    reason = (
        "it has changed since tables/ was built" if (place / "tables").is_dir() else "there was no tables/"
    )
    name = org.settings.name or place.name
    org = replace(org, name=name, folder=place)
    try:
        write_tables(org, place, fingerprint)
    except OSError as error:
        reason += f"; tables/ could not be written ({error.strerror}), so the next reading imports again"
    org = replace(org, notes=[f"Imported from export/: {reason}.", *org.notes])
    return _with_files_beside(org, place)


def _fingerprint(place: Path) -> str:
    """Of the export's contents, of the settings beside it, and of the code that reads them."""
    digest = hashlib.sha256()
    export = place / "export"
    files = [path for path in sorted(export.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    package = Path(__file__).parent
    code = [
        package / f"{name}.py"
        for name in ("cells", "schemas", "periods", "organisation", "handwritten", "tables")
    ]
    code += sorted((package / "crm").glob("*.py"))
    for path in [*files, place / "organisation.yaml", *code]:
        if path.exists():
            digest.update(path.name.encode() if path in code else str(path.relative_to(place)).encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _stored(place: Path, fingerprint: str | None = None) -> Org | None:
    """What :func:`write_tables` wrote, or None where there is no such thing or it is of another export."""
    folder = place / "tables"
    try:
        record = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = (folder / "deals.parquet").exists() or (folder / "matched.parquet").exists()
    if not whole or (fingerprint is not None and record.get("fingerprint") != fingerprint):
        return None
    tables: dict[str, Any] = {
        name: canonical(name, pd.read_parquet(folder / f"{name}.parquet"))
        for name in STORED
        if (folder / f"{name}.parquet").exists()
    }
    matched = folder / "matched.parquet"
    org = Org(
        name=record["name"],
        folder=place,
        settings=read_settings(folder)[0],
        audit=pd.DataFrame(record["audit"]).astype({"share": float}) if record["audit"] else None,
        matched=pd.read_parquet(matched) if matched.exists() else None,
        notes=list(record["notes"]),
        warnings=[Problem(**problem) for problem in record["warnings"]],
        **tables,
    )
    return _with_files_beside(org, place)


def _with_files_beside(org: Org, place: Path) -> Org:
    """What lies in the data folder itself is read anew each time: settings win, forecasts and calls add."""
    problems: list[Problem] = []
    if (place / "organisation.yaml").exists():
        settings, problems = read_settings(place)
        org = replace(org, settings=settings, name=settings.name or org.name)
    beside, found, notes = read_beside(place, org.settings)
    problems += found
    if org.deals is None or not (beside or problems):
        return replace(org, warnings=[*org.warnings, *only_warnings(problems)])
    files = {"forecasts": "forecasts/", "calls": "calls.csv", "periods": "calendar.csv"}
    problems += cross_checks({"deals": org.deals, "periods": org.periods, **beside}, files)
    tables: dict[str, Any] = in_terms_of(beside, org.deals, org.users)
    for name in ("forecasts", "calls"):
        if name in tables and getattr(org, name) is not None:
            tables[name] = pd.concat([getattr(org, name), tables[name]], ignore_index=True)
    return replace(
        org, notes=[*org.notes, *notes], warnings=[*org.warnings, *only_warnings(problems)], **tables
    )


def _bare_export(place: Path) -> Org:
    """A folder that is itself an export: imported in memory, nothing is written into it."""
    from forecasteval.sources.salesforce import import_folder, is_export

    if not is_export(place):
        here = ", ".join(sorted(path.name for path in place.iterdir())[:8]) or "nothing"
        expected = "export/, tables/, deals.csv or matched.parquet"
        advice = "Run `forecasteval import` with this folder as --out, or write the tables by hand."
        raise InputError([Problem(str(place), None, None, here, expected, advice)])
    org = import_folder(place)
    note = f"{place.name} is itself an export; it was read without writing tables."
    return replace(org, notes=[note, *org.notes])
