"""The tidy tables of one organisation: reading a data folder, checking it, writing it.

A data folder holds an ``export/`` (what the CRM gave out), ``tables/`` (built from it), tidy tables that
somebody wrote by hand, a flat table with its ``mapping.yaml``, or a matched table. :func:`read` takes any of them; what is wrong is said all at
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
import yaml

from forecasteval.errors import CallError, InputError, Problem, absent
from forecasteval.sources._by_hand import lay_beside, matched_file, read_tables, table_files
from forecasteval.sources._crm_export import read_export
from forecasteval.sources._cut_files import since_last_time
from forecasteval.sources._mapping import read_mapping
from forecasteval.sources.dialect import dialect_of
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.raw import Raw, assemble
from forecasteval.sources.system import SYSTEMS, fits_of, system_of
from forecasteval.tables.columns import normal
from forecasteval.tables.organisation import Org
from forecasteval.tables.reading import read_header
from forecasteval.tables.schemas import TABLES, canonical
from forecasteval.tables.settings import SETTINGS_FILE, Settings, read_settings

MAPPING_FILE = "mapping.yaml"


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
    place = _find_folder(folder)
    stamp, org = _held.get(place.resolve(), (None, None))
    return org if org is not None and stamp == _stamp(place) else assemble(_raw(place))


_held: dict[Path, tuple[object, Org]] = {}


def hold(folder: str | Path) -> Org:
    """Read a folder once for this process and those forked from it; files that change are read again."""
    place = _find_folder(folder)
    read(place)  # imports an export that is newer than its tables, and says so; reports come after that
    org = read(place)
    _held[place.resolve()] = (_stamp(place), org)
    return org


def _stamp(place: Path) -> object:
    """What changes when a file is added, taken out or written."""
    found = [(path, path.stat()) for path in sorted(place.rglob("*")) if path.is_file()]
    return [(str(path), about.st_size, about.st_mtime_ns) for path, about in found]


def _raw(place: Path) -> Raw:
    """What a data folder holds: an export, tables built from one, tables written by hand, or a bare export."""
    if (place / "export").is_dir():
        raw = _built_or_imported(place)
    elif (place / "tables").is_dir():
        raw = _stored(place) or read_tables(place / "tables", place)
    elif (place / MAPPING_FILE).is_file():
        raw = _mapped(place)
    elif matched_file(place) or _is_tidy(place):
        raw = read_tables(place, place)
    else:
        raw = _bare_export(place)
    raw.canonical_id = _any_id
    return raw


def _mapped(place: Path) -> Raw:
    """A flat table that lies beside the mapping that says which of its columns is what."""
    own, problems = read_settings(place)
    mapping = place / MAPPING_FILE
    file = read_mapping(mapping)[0].file or ""
    if not (place / file).is_file():
        expected, advice = "file: the name of the table that lies beside it", "Add the line, or correct it."
        raise InputError([Problem(MAPPING_FILE, None, "file", repr(file), expected, advice)])
    matched = import_table(place / file, mapping)
    raw = Raw(own.name or place.name, place, own, matched=matched, problems=problems)
    return replace(raw, sources={file: int(matched.attrs["forecasteval"]["flow"][0]["deals"])})


def _is_tidy(place: Path) -> bool:
    """Whether there is a table of deals that somebody wrote, rather than one that a CRM exported."""
    deals = table_files(place).get("deals")
    if not deals:
        return False
    written = {"dealid", "outcome"} <= {normal(header) for header in read_header(deals[0])}
    return written or not any(fit.complete for fit in fits_of(place))


def _any_id(ids: pd.Series) -> pd.Series:
    """Ids in tables that somebody wrote, which may come from any CRM."""
    for system in SYSTEMS:
        ids = dialect_of(system).canonical_id(ids)
    return ids


def import_export(export: str | Path, system: str | None = None, settings: Settings | None = None) -> Org:
    """The tidy tables of a CRM's export.

    Parameters
    ----------
    export : folder of the exported files; ``data/README.md`` says how each CRM writes them
    system : salesforce, hubspot, dynamics, pipedrive, zoho or history (any table of deals with a history of its
        fields); guessed from names and headers where left out, the reason stands in ``notes``
    settings : used instead of the folder's ``organisation.yaml``

    Raises
    ------
    InputError
        Lists every problem of every file; or two systems that fit equally.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "deals.csv").write_text("Record ID,Deal Stage,Close Date,Create Date\\n7,closedwon,2026-02-03,2026-01-05\\n")
    >>> org = import_export(place)
    >>> org.deals["outcome"].tolist(), org.notes[0]
    (['won'], 'Read as HubSpot: deals.csv has Deal Stage, Create Date, which no other system has.')
    """
    return assemble(_exported(Path(export), system, settings))


def _exported(export: Path, system: str | None = None, settings: Settings | None = None) -> Raw:
    """An export by the dialect of its system, the reason for which is said unless only one was ever in question."""
    if not export.is_dir():
        return read_export(export, dialect_of("salesforce"), settings)
    stated = settings if settings is not None else read_settings(export)[0]
    dialect, why = system_of(export, system or stated.system)
    raw = read_export(export, dialect, settings)
    if why and dialect is not dialect_of("salesforce"):
        raw.notes.insert(0, why)
    return raw


def check(folder: str | Path) -> list[Problem]:
    """Every problem of a data folder (or of a bare export), errors first; bad input never raises.

    >>> check("no/such/folder")[0].found
    'no such folder'
    """
    try:
        org = read(folder)
    except InputError as error:
        return error.problems
    return list(org.warnings)


def _find_folder(folder: str | Path) -> Path:
    """The folder itself; a relative one is looked up from the working directory upwards."""
    wanted = Path(folder).expanduser()
    here = Path.cwd()
    places = [wanted] if wanted.is_absolute() else [base / wanted for base in (here, *here.parents)]
    for place in places:
        if place.is_dir():
            return place
    file = next((place for place in places if place.is_file()), None)
    if file is not None:
        raise InputError([absent(file, "folder", "a data folder", "Name the folder that holds the file.")])
    looked = "; ".join(str(place) for place in places)
    raise InputError([absent(wanted, "folder", "a data folder", f"Looked for {looked}.")])


def write_tables(org: Org, folder: str | Path, fingerprint: str | None = None) -> Path:
    """Write the tables to ``folder/tables``, made aside and then moved into place; returns that folder.

    A matched table is written as ``matched.parquet``; ``fingerprint`` is that of the export behind the tables.
    """
    place = Path(folder)
    _refuse_to_replace(place, org)
    place.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=place, prefix=".tables-"))
    try:
        aside.chmod(0o755)
        for name in (*TABLES, "matched"):
            table = getattr(org, name)
            if table is not None:
                table.to_parquet(aside / f"{name}.parquet", index=False)
        given = {
            key: value for key, value in org.settings.model_dump(mode="json").items() if value is not None
        }
        (aside / SETTINGS_FILE).write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
        record = {
            "name": org.name,
            "fingerprint": fingerprint,
            "sources": org.sources,
            "notes": org.notes,
            "warnings": [asdict(problem) for problem in org.warnings],
            "audit": [] if org.audit is None else json.loads(org.audit.to_json(orient="records")),
        }
        (aside / "audit.json").write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding="utf-8")
        _move_into_place(aside, place / "tables")
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place / "tables"


def _refuse_to_replace(place: Path, org: Org) -> None:
    """Stop before tables that somebody wrote, and before an export that is much shorter than last time."""
    target = place / "tables"
    own = {"audit.json", SETTINGS_FILE, *(f"{name}.parquet" for name in (*TABLES, "matched"))}
    record = _record(target)
    there = {path.name for path in target.iterdir()} if target.is_dir() else set()
    if strange := sorted(there - own if record else there):
        raise CallError(
            f"{target} holds what no import wrote ({', '.join(strange[:5])}): it will not be replaced. Move it away, or "
            "choose another folder."
        )
    by_hand = table_files(place).get("deals", []) if place.is_dir() else []
    if not record and (written := matched_file(place) or next(iter(by_hand), None)):
        raise CallError(
            f"{written} was written by hand, and tables/ beside it would be read in its place. Move it away, or choose "
            "another folder."
        )
    last_rows = record.get("sources") if org.sources and not org.settings.allow_cut else None
    shorter = since_last_time(org.sources, last_rows or {})
    if any(problem.severity == "error" for problem in shorter):
        raise InputError(shorter)
    org.warnings.extend(shorter)


def _record(tables: Path) -> dict[str, Any]:
    """What was written beside the tables when they were built; nothing where nobody built them."""
    path = tables / "audit.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (OSError, ValueError):
        return {}


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


def _built_or_imported(place: Path) -> Raw:
    fingerprint = _fingerprint(place)
    stored = _stored(place, fingerprint)
    if stored is not None:
        return stored
    settings = read_settings(place)[0] if (place / SETTINGS_FILE).exists() else None
    export = place / "export"
    org = assemble(_exported(export, None, settings))
    org = replace(org, name=org.settings.name or place.name, folder=place)
    built = (place / "tables").is_dir()
    reason = "it has changed since tables/ was built" if built else "there was no tables/"
    try:
        write_tables(org, place, fingerprint)
    except OSError as error:
        reason += f"; tables/ could not be written ({error.strerror}), so the next reading imports again"
    org = replace(org, notes=[f"Imported from export/: {reason}.", *org.notes])
    return _with_files_beside(Raw.of(org), place)


def _fingerprint(place: Path, package: Path = Path(__file__).parents[1]) -> str:
    """Of the export's contents, of the settings beside it, and of the rooms that read them."""
    files = [path for path in sorted((place / "export").rglob("*")) if path.is_file()]
    read_from = [(path, place) for path in files if not path.name.startswith(".")]
    read_from += [(path, place) for path in [place / SETTINGS_FILE] if path.exists()]
    rooms = (package / room for room in ("tables", "sources"))
    code = (path for room in rooms for path in sorted(room.rglob("*")) if path.suffix in (".py", ".yaml"))
    read_from += [(path, package) for path in code]
    digest = hashlib.sha256()
    for path, base in read_from:
        digest.update(path.relative_to(base).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _stored(place: Path, fingerprint: str | None = None) -> Raw | None:
    """What :func:`write_tables` wrote, or None where there is no such thing or it is of another export."""
    folder = place / "tables"
    record = _record(folder)
    if not record:
        return None
    found = {path.stem: path for path in folder.glob("*.parquet")}
    whole = "deals" in found or "matched" in found
    if not whole or (fingerprint is not None and record.get("fingerprint") != fingerprint):
        return None
    audit = pd.DataFrame(record["audit"]).astype({"share": float}) if record["audit"] else None
    raw = Raw(
        record["name"],
        place,
        read_settings(folder)[0],
        {name: canonical(name, pd.read_parquet(found[name])) for name in TABLES if name in found},
        matched=pd.read_parquet(found["matched"]) if "matched" in found else None,
        problems=[Problem(**problem) for problem in record["warnings"]],
        notes=list(record["notes"]),
        audit=audit,
        sources=dict(record.get("sources") or {}),
    )
    return _with_files_beside(raw, place)


def _with_files_beside(raw: Raw, place: Path) -> Raw:
    """What lies in the data folder itself is read anew each time: settings win, forecasts and calls add."""
    if (place / SETTINGS_FILE).exists():
        raw.settings, problems = read_settings(place)
        raw.name = raw.settings.name or raw.name
        raw.problems += problems
    return lay_beside(raw, place)


def _bare_export(place: Path) -> Raw:
    """A folder that is itself an export: imported in memory, nothing is written into it."""
    if not fits_of(place):
        if table_files(place) or (place / "totals").is_dir():
            return read_tables(place, place)
        here = ", ".join(sorted(path.name for path in place.iterdir())[:8]) or "nothing"
        expected = "export/, tables/, deals.csv or matched.parquet"
        advice = "Run `forecasteval import` with this folder as --out, or write the tables by hand."
        raise InputError([Problem(str(place), None, None, here, expected, advice)])
    raw = _exported(place)
    raw.notes.insert(0, f"{place.name} is itself an export; it was read without writing tables.")
    return raw
