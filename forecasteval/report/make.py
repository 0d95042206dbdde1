"""One notebook, one folder: run, harvest, render, and only then take the place of the last report."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from forecasteval.compare.verdicts import CANNOT
from forecasteval.errors import CallError, RunFailed, nearest
from forecasteval.report import _execute, _failure, _manifest, _page, _pdf, _workbook
from forecasteval.report._harvest import Harvest, collect, slug
from forecasteval.report._machine import Machine
from forecasteval.report._place import made_aside, refuse_foreign, save, take_place
from forecasteval.report._spare_kernel import SpareKernel
from forecasteval.report.changes import Changes, Run
from forecasteval.report.gate import primary_row
from forecasteval.report.parameters import Parameter, check_values, parameters_of, read_values
from forecasteval.report.summary import Summary

DATA = "data"  # the parameter that names the data folder
RESULTS = "results.json"
_PATHS = (DATA, "ledger", "claim")  # parameters that may hold a path


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
    pdf: bool = False,
    xlsx: bool = False,
    name: str = "",
    kernel: SpareKernel | None = None,
    again: bool = False,
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
    pdf, xlsx : write `report.pdf` and `tables.xlsx` as well, with the packages of the extra `share`
    name : of the report's folder, where it is not the notebook's
    kernel : a process that waits to be the notebook's
    again : run once more if the notebook's process is ended from outside

    Returns
    -------
    Path
        The report's folder: `report.html`, `report.ipynb`, `results.json`, `tables/`, `figures/`,
        `summary.txt`, `.md` and `.json`, `manifest.json`.

    Raises
    ------
    CallError
        If the notebook, a parameter or a folder is not what it should be. Nothing has been run.
    RunFailed
        If a cell failed. The last report is untouched; `out/<notebook>.failed/` says what happened.
    """
    for wanted, tool in ((pdf, _pdf), (xlsx, _workbook)):
        if wanted:
            tool.require()
    path = find_notebook(notebook)
    declared = parameters_of(path)
    values = read_values(declared, texts or {}, path.stem)
    values |= check_values(declared, _with_data(parameters or {}, data, values), path.stem)
    folder = data_folder(declared, values, named=data is not None)
    if check is not None:
        check({p.name: p.value for p in declared.values() if p.known} | values, folder)
    target = Path(out) / (name or slug(path.stem))
    refuse_foreign(target)
    allowed = {"allow_stale": allow_stale, "allow_shrunk": allow_shrunk}
    order = _Order(path, declared, values, folder, target, allowed, today)
    with made_aside(target) as aside:
        started = datetime.now(UTC)
        run = order.executed(progress=progress, kernel=kernel, again=again)
        done = order.published(run, started)
        if done is None:
            raise order.failed(run, aside)
        _write(aside, run.notebook, *done, pdf=pdf, xlsx=xlsx)
        take_place(aside, target)
        shutil.rmtree(_failure.folder_of(target), ignore_errors=True)
    return target


@dataclass(frozen=True)
class _Order:
    """A report that was asked for, checked: which notebook, with which values, from which data, to which place."""

    notebook: Path
    declared: Mapping[str, Parameter]
    values: Mapping[str, Any]
    data: Path | None
    target: Path
    allowed: Mapping[str, bool]
    today: str | None

    def executed(self, *, progress: bool, kernel: SpareKernel | None, again: bool) -> _execute.Run:
        """The notebook, run with the checks of its input; what a page needs is imported in the meantime."""
        source = _execute.load(self.notebook)
        if self.data is not None:
            checks = {"today": self.today, "last_rows": _manifest.last_rows(self.target), **self.allowed}
            insert_checks(source, str(self.values.get(DATA, self.declared[DATA].value)), checks)
        page_tools = threading.Thread(target=_page.warm_up, daemon=True)
        page_tools.start()
        run = _execute.execute(source, self.values, progress=progress, kernel=kernel)
        if again and run.failure is not None and run.failure.kind == _execute.DIED:
            run = _execute.execute(source, self.values, progress=progress)
        page_tools.join()
        return run

    @property
    def given(self) -> dict[str, Any]:
        """Every parameter with the value that the notebook had."""
        return {p.name: self.values.get(p.name, p.value) for p in self.declared.values()}

    def cleaned(self, run: _execute.Run) -> tuple[Machine, Mapping[str, Any]]:
        """What stands for this machine's folders, none of which is left in the notebook; and what was found in its input."""
        inputs = collect(run.notebook).inputs
        machine = _machine(self.given, self.data, inputs)
        machine.without(run.notebook)
        return machine, inputs

    def published(self, run: _execute.Run, started: datetime) -> tuple[Harvest, Run, Summary] | None:
        """What leaves the notebook, and what it was made from; None where it did not come to its end."""
        if run.failure is not None:
            return None
        (machine, inputs), harvest, given = self.cleaned(run), collect(run.notebook), self.given
        record = _manifest.manifest(
            notebook=self.notebook,
            data=self.data,
            parameters=given if self.data is None else given | {DATA: inputs["name"]},
            inputs=inputs,
            allowed=[name.removeprefix("allow_") for name, on in self.allowed.items() if on],
            started=started,
            finished=datetime.now(UTC),
        )
        now, last = Run(results_of(harvest), machine.without(record)), Run.read(self.target)
        changes = None if last is None else Changes.between(last, now)
        title = _page.title_of(run.notebook, self.notebook.stem)
        return harvest, now, Summary.of(self.notebook.stem, title, now, changes, harvest.answer)

    def failed(self, run: _execute.Run, aside: Path) -> RunFailed:
        """Keep the broken notebook and a page that a person can read, beside the last good report."""
        assert run.failure is not None
        machine, inputs = self.cleaned(run)
        error, values = _failure.error(run.failure), machine.without(dict(self.values))
        try:
            place = _failure.keep(run, self.target, aside, values, inputs)
        except OSError as full:
            told = f"What happened could not be kept: {full.filename or self.target}: {full.strerror}."
            return RunFailed(f"{error}\n\n{told}", exit_code=error.exit_code)
        return RunFailed(
            f"{error}\n\nMore in {place / 'error.txt'}.", exit_code=error.exit_code, folder=place
        )


# --- before the run ---------------------------------------------------------------------------------


def find_notebook(name: str | Path) -> Path:
    """The file of a notebook, by path or by name: here, in a folder above, or among those that were installed."""
    given = Path(name)
    if given.suffix == ".ipynb":
        if given.is_file():
            return given
        raise CallError(f"No such notebook: {given}.")
    here = [folder / "notebooks" for folder in _here_and_above()]
    places = [folder for folder in (*here, *_installed()) if folder.is_dir()]
    for folder in places:
        if (path := folder / f"{name}.ipynb").is_file():
            return path
    if not places:
        raise CallError(f"No notebook {name}: there is no folder notebooks/ here or above. Give its path.")
    names = sorted(p.stem for p in places[0].glob("*.ipynb"))
    listed = ", ".join(names) or "nothing"
    raise CallError(f"No notebook {name}. {nearest(str(name), names)}In {places[0]}: {listed}.")


def _installed() -> list[Path]:
    """The folders of the notebooks that came with the package: beside it in a checkout, else where pip put them."""
    beside = Path(__file__).parents[2] / "notebooks"
    try:
        files = metadata.files("deal-forecasteval") or []
    except metadata.PackageNotFoundError:
        files = []
    return [beside, *{Path(str(f.locate())).parent for f in files if f.suffix == ".ipynb"}]


def _with_data(
    parameters: Mapping[str, Any], data: str | Path | None, texts: Mapping[str, Any]
) -> dict[str, Any]:
    values = dict(parameters)
    if data is None:
        return values
    name = Path(data).as_posix()
    if values.get(DATA, name) != name or texts.get(DATA, name) != name:
        raise CallError("The data folder is given twice: by --data and as a parameter.")
    return values | {DATA: name}


def data_folder(declared: Mapping[str, Parameter], values: Mapping[str, Any], *, named: bool) -> Path | None:
    """The data folder that a notebook is to read, looked up here and above; None where it reads none."""
    if DATA not in declared:
        return None
    folder = values.get(DATA, declared[DATA].value)
    if not (isinstance(folder, str) and folder):  # a notebook may do without: a plan from assumptions
        return None
    for above in _here_and_above():
        if (above / folder).is_dir():
            return above / folder
    hint = "" if named or DATA in values else " Say which with --data."
    raise CallError(f"No such data folder, here or above: {folder}.{hint}")


def _here_and_above() -> tuple[Path, ...]:
    here = Path.cwd()
    return (here, *here.parents)


def insert_checks(notebook: Any, folder: str, checks: Mapping[str, Any]) -> None:
    """Put the checks of the input into the notebook: they run in its process and are on record there."""
    import nbformat

    options = ", ".join(f"{name}={value!r}" for name, value in checks.items())
    source = f"from forecasteval.report.inputs import examine as _examine\n\n_examine({folder!r}, {options})"
    cell = nbformat.v4.new_code_cell(source)
    cell.metadata.update({"tags": ["injected-checks"], "papermill": {}})
    at = next(i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", ()))
    notebook.cells.insert(at + 1, cell)


# --- after the run ----------------------------------------------------------------------------------


def _machine(parameters: Mapping[str, Any], folder: Path | None, inputs: Mapping[str, Any]) -> Machine:
    """What is said in the place of this machine's folders: of the data folder, the organisation's name."""
    named = {str(v): Path(v).name for n in _PATHS if isinstance(v := parameters.get(n), str) and v}
    if folder is not None:
        name = str(inputs.get("name") or folder.resolve().name)
        named |= {str(folder): name, str(folder.absolute()): name, str(parameters[DATA]): name}
    return Machine(named)


def results_of(harvest: Harvest) -> dict[str, Any]:
    """The content of `results.json`: what was published, with the report's status and the doubts about its data."""
    found = harvest.results
    row = primary_row(found)
    status = CANNOT if row is not None and row.get("verdict") == CANNOT else "done"
    head = {"schema_version": found["schema_version"]} if "schema_version" in found else {}
    return head | {"status": status, "data_problems": harvest.inputs.get("problems", 0)} | found


def _write(
    folder: Path, notebook: Any, harvest: Harvest, now: Run, summary: Summary, *, pdf: bool, xlsx: bool
) -> None:
    """Everything into the folder, the manifest last: a folder that has it is whole."""
    import nbformat

    name, results = str(summary.values["report"]), now.results
    page = _page.render(notebook, results=results, provenance=now.record, name=name, changes=summary.changes)
    content: dict[str, str | bytes] = {
        "report.ipynb": nbformat.writes(notebook) + "\n",
        RESULTS: _manifest.as_json(results),
        "report.html": page,
        **summary.files(),
        **{f"tables/{table}.csv": text for table, text in harvest.tables.items()},
        **{f"figures/{figure}": picture for figure, picture in harvest.figures.items()},
    }
    if pdf:
        content |= _pdf.pdfs(page)
    if xlsx:
        content["tables.xlsx"] = _workbook.workbook(summary.text(), harvest.tables)
    for kind in ("tables", "figures"):
        (folder / kind).mkdir()
    for file, written in content.items():
        save(folder / file, written)
    save(folder / _manifest.NAME, _manifest.as_json({**now.record, "files": _manifest.hashes(folder)}))
