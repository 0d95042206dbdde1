"""One notebook, one folder: run, harvest, render, and only then take the place of the last report."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecasteval.errors import CallError, RunFailed, nearest
from forecasteval.report import _execute, _manifest, _page
from forecasteval.report._harvest import Harvest, collect, slug
from forecasteval.report.parameters import Parameter, check_values, parameters_of, read_values

_DATA = "data"  # the parameter that names the data folder
_INPUT_ERRORS = ("InputError", "CallError")
_DAY = 24 * 60 * 60


def make_report(
    notebook: str | Path,
    *,
    out: str | Path,
    data: str | Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
    allow_stale: bool = False,
    allow_shrunk: bool = False,
    today: str | None = None,
    check: Callable[[Mapping[str, Any], Path | None], None] | None = None,
    progress: bool = False,
) -> Path:
    """Run a notebook and write its report.

    Parameters
    ----------
    notebook : name of a notebook in `notebooks/`, here or in a folder above, or the path of an .ipynb file
    out : folder; the report is written to `out/<notebook>/`
    data : data folder, handed to the notebook as its parameter `data`
    parameters : values of the notebook's own parameters
    texts : the same from a command line: text, read as the kind that the notebook declares
    allow_stale, allow_shrunk : report on input that is too old, or much shorter than last time
    today : ISO date that the input's age is counted to, for a repeatable run
    check : raises CallError if the parameters cannot be used; called with those whose values are known, and with
        the data folder, before anything is run
    progress : draw a bar on stderr

    Returns
    -------
    Path
        The report's folder: `report.html`, `report.ipynb`, `results.json`, `tables/`, `figures/`,
        `manifest.json`.

    Raises
    ------
    CallError
        If the notebook, a parameter or a folder is not what it should be. Nothing has been run.
    RunFailed
        If a cell failed. The last report is untouched; `out/<notebook>.failed/` says what happened.
    """
    path = find_notebook(notebook)
    declared = parameters_of(path)
    values = read_values(declared, texts or {}, path.stem)
    values |= check_values(declared, _with_data(parameters or {}, data, values), path.stem)
    folder = _data_folder(declared, values, named=data is not None)
    if check is not None:
        check({p.name: p.value for p in declared.values() if p.known} | values, folder)
    target = Path(out) / slug(path.stem)
    _refuse_foreign(target)
    aside = _aside(Path(out), target.name)
    try:
        started = datetime.now(UTC)
        source = _execute.load(path)
        if folder is not None:
            allowed = {"allow_stale": allow_stale, "allow_shrunk": allow_shrunk}
            checks = {"today": today, "last_rows": _manifest.last_rows(target), **allowed}
            _insert_checks(source, str(values.get(_DATA, declared[_DATA].value)), checks)
        page_tools = threading.Thread(target=_page.warm_up, daemon=True)
        page_tools.start()
        run = _execute.execute(source, values, progress=progress)
        page_tools.join()
        if run.failure is not None:
            raise _failed(run, target, aside, values)
        harvest = collect(run.notebook)
        record = _manifest.manifest(
            notebook=path,
            data=folder,
            parameters={p.name: values.get(p.name, p.value) for p in declared.values()},
            rows=harvest.inputs.get("rows", {}),
            allowed=[n for n, on in (("stale", allow_stale), ("shrunk", allow_shrunk)) if on],
            started=started,
            finished=datetime.now(UTC),
        )
        _write(aside, run.notebook, harvest, record, path.stem)
        _take_place(aside, target)
        shutil.rmtree(_failed_folder(target), ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


# --- before the run ---------------------------------------------------------------------------------


def find_notebook(name: str | Path) -> Path:
    """The file of a notebook, by path or by name; if there is none, a CallError says what is there."""
    given = Path(name)
    if given.suffix == ".ipynb":
        if given.is_file():
            return given
        raise CallError(f"No such notebook: {given}.")
    for folder in _here_and_above():
        if (path := folder / "notebooks" / f"{name}.ipynb").is_file():
            return path
    near = next((f for f in _here_and_above() if (f / "notebooks").is_dir()), None)
    if near is None:
        raise CallError(f"No notebook {name}: there is no folder notebooks/ here or above. Give its path.")
    names = sorted(p.stem for p in (near / "notebooks").glob("*.ipynb"))
    listed = ", ".join(names) or "nothing"
    raise CallError(f"No notebook {name}. {nearest(str(name), names)}In {near / 'notebooks'}: {listed}.")


def _with_data(
    parameters: Mapping[str, Any], data: str | Path | None, texts: Mapping[str, Any]
) -> dict[str, Any]:
    values = dict(parameters)
    if data is None:
        return values
    name = Path(data).as_posix()
    if values.get(_DATA, name) != name or texts.get(_DATA, name) != name:
        raise CallError("The data folder is given twice: by --data and as a parameter.")
    return values | {_DATA: name}


def _data_folder(declared: Mapping[str, Parameter], values: Mapping[str, Any], *, named: bool) -> Path | None:
    if _DATA not in declared:
        return None
    folder = values.get(_DATA, declared[_DATA].value)
    if not (isinstance(folder, str) and folder):  # a notebook may do without: a plan from assumptions
        return None
    for above in _here_and_above():
        if (above / folder).is_dir():
            return above / folder
    hint = "" if named or _DATA in values else " Say which with --data."
    raise CallError(f"No such data folder, here or above: {folder}.{hint}")


def _here_and_above() -> tuple[Path, ...]:
    here = Path.cwd()
    return (here, *here.parents)


def _refuse_foreign(target: Path) -> None:
    """A folder that no report lies in is somebody's work: it is never replaced."""
    if target.exists() and not (target / _manifest.NAME).is_file() and not _empty(target):
        raise CallError(
            f"{target} is there and is not a report: it will not be replaced. Choose another --out."
        )


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _aside(out: Path, name: str) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f".{name}.*"):  # by a run that was killed
            if time.time() - left.stat().st_mtime > _DAY:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=out))
        folder.chmod(0o755)
        return folder
    except OSError as error:
        raise CallError(f"Cannot write to {out}: {error.strerror}.") from error


def _insert_checks(notebook: Any, folder: str, checks: Mapping[str, Any]) -> None:
    """Put the checks of the input into the notebook: they run in its process and are on record there."""
    import nbformat

    options = ", ".join(f"{name}={value!r}" for name, value in checks.items())
    source = f"from forecasteval.report.inputs import examine as _examine\n\n_examine({folder!r}, {options})"
    cell = nbformat.v4.new_code_cell(source)
    cell.metadata.update({"tags": ["injected-checks"], "papermill": {}})
    at = next(i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", ()))
    notebook.cells.insert(at + 1, cell)


# --- after the run ----------------------------------------------------------------------------------


def _write(folder: Path, notebook: Any, harvest: Harvest, record: Mapping[str, Any], name: str) -> None:
    import nbformat

    nbformat.write(notebook, folder / "report.ipynb")
    _write_json(folder / "results.json", harvest.results)
    _write_json(folder / _manifest.NAME, record)
    for kind in ("tables", "figures"):
        (folder / kind).mkdir()
    for table, text in harvest.tables.items():
        (folder / "tables" / f"{table}.csv").write_text(text, "utf-8", newline="")
    for figure, content in harvest.figures.items():
        (folder / "figures" / figure).write_bytes(content)
    html = _page.render(notebook, results=harvest.results, provenance=record, name=name)
    (folder / "report.html").write_text(html, "utf-8")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def _take_place(aside: Path, target: Path) -> None:
    """Move a finished folder into place; the last one is put back if that fails."""
    old = aside.with_name(f"{aside.name}.old")
    if target.exists():
        target.rename(old)
    try:
        aside.rename(target)
    except OSError:
        with suppress(OSError):
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _failed_folder(target: Path) -> Path:
    return target.with_name(f"{target.name}.failed")


def _failed(run: _execute.Run, target: Path, aside: Path, values: Mapping[str, Any]) -> RunFailed:
    """Keep the broken notebook and a page of text that a person can read."""
    import nbformat

    failure, place = run.failure, _failed_folder(target)
    assert failure is not None
    section = f' in the section "{failure.section}"' if failure.section else ""
    given = "\n".join(f"  {name} = {value!r}" for name, value in values.items()) or "  (all as they stand)"
    text = (
        f"{target.name} failed{section} ({failure.place}), "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC.\n\n{failure.sentence}\n\nParameters:\n{given}\n\n"
        f"The cell:\n\n{failure.source}\n\nIn full, for whoever mends it:\n\n{failure.traceback}\n"
    )
    nbformat.write(run.notebook, aside / "report.ipynb")
    (aside / "error.txt").write_text(text, "utf-8")
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    code = 2 if failure.kind in _INPUT_ERRORS else 1
    return RunFailed(f"{failure.sentence}\n\nMore in {place / 'error.txt'}.", exit_code=code)
