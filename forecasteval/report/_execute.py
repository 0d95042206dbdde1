"""Run a notebook with papermill, in a process of its own, and say what became of every cell."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forecasteval.errors import RunFailed
from forecasteval.report._place import temporary
from forecasteval.report._spare_kernel import SpareKernel, managed_by

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# the message is the whole story
_SAID_IN_FULL = ("InputError", "ValueError", "RunFailed", "CallError", "Busy", "EngineStopped")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DIED = "Died"  # a failure by this name is of the notebook's process, not of the notebook
_SAID_OF_DEATH = "The notebook's process was ended in {}; often the machine has run out of memory."
_LONGEST_PLACE = 60  # characters; the path of a Unix socket may have about 100


@dataclass(frozen=True)
class Failure:
    """Why a run did not reach its end."""

    sentence: str
    kind: str
    place: str
    section: str
    source: str
    traceback: str


@dataclass(frozen=True)
class Run:
    """An executed notebook, and why it stopped if it did."""

    notebook: Any
    failure: Failure | None


def execute(
    notebook: Any, parameters: Mapping[str, Any], *, progress: bool = True, kernel: SpareKernel | None = None
) -> Run:
    """Run a notebook as :func:`load` gives it from top to bottom, with values that have been checked.

    `kernel` is a process that waits to be the notebook's; otherwise one is started.
    """
    quick_imports()
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    running, ended = notebook, None  # papermill fills a copy
    options = {} if kernel is None else {"kernel_manager_class": managed_by(kernel)}

    def follow(notebook: Any, **_: Any) -> None:
        nonlocal running
        running = notebook

    with _quiet_log(), environment(), _sockets() as config, bar("cells", shown=progress) as say:
        try:
            papermill.execute_notebook(
                notebook,
                None,
                dict(parameters),
                kernel_name="python3",
                progress_bar=False,
                request_save_on_cell_execute=False,
                autosave_cell_every=0,
                shutdown_kernel="immediate",
                config=config,
                on_notebook_start=follow,
                on_cell_start=lambda cell_index, **_: say(
                    cell_index, len(running.cells), _section(running.cells, cell_index)
                ),
                **options,
            )
        except PapermillExecutionError:
            pass  # the cells tell more than the exception
        except DeadKernelError:
            ended = (DIED, _SAID_OF_DEATH)
        except RunFailed as error:  # the time that it may take is over
            ended = ("Stopped", f"{error} It was in {{}} then.")
    _tidy(running)
    return Run(running, _failure(running, ended))


def load(path: Path) -> Any:
    """A notebook as papermill wants it; its path is read here, because papermill formats paths."""
    quick_imports()
    import nbformat
    from papermill.iorw import load_notebook_node

    return load_notebook_node(nbformat.reads(path.read_text("utf-8"), as_version=4))


def quick_imports() -> None:
    """Import what nbformat needs without the grammars that JupyterLab installs and nothing here uses.

    jsonschema builds parsers for web addresses at import if ``rfc3987_syntax`` is there: a second per run.
    """
    if "jsonschema" not in sys.modules:
        with without("rfc3987_syntax"):
            import nbformat  # noqa: F401


@contextmanager
def without(module: str) -> Iterator[None]:
    """While others are imported that would import a module if it were there."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Without papermill's log: it warns of every parameter whose annotation it cannot read."""
    from papermill.log import logger

    level = logger.level
    logger.setLevel("CRITICAL")
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def environment() -> Iterator[None]:
    """With the kernel of this environment, whatever others are installed, and one thread for linear algebra.

    Two threads that fight over many small fits on a busy machine took 19 s where one takes 3; what the user has set
    stays.
    """
    before = os.environ.copy()
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    if not any(name in before for name in _THREADS):
        os.environ.update(dict.fromkeys(_THREADS, "1"))
    os.environ.pop("JPY_SESSION_NAME", None)  # of a notebook that runs this one: here nobody fills in a form
    try:
        yield
    finally:
        for name in ("JUPYTER_PREFER_ENV_PATH", *_THREADS):
            os.environ.pop(name, None)
        os.environ.update(before)


@contextmanager
def _sockets() -> Iterator[Any]:
    """Sockets in a folder of their own: TCP ports are raced for, shared socket paths mix up kernels."""
    from traitlets.config import Config

    if sys.platform == "win32":  # has no such sockets
        yield Config()
        return
    place = None if len(tempfile.gettempdir()) <= _LONGEST_PLACE else "/tmp"
    with temporary("forecasteval-ipc-", Path(place or tempfile.gettempdir())) as folder:
        yield Config(KernelManager={"transport": "ipc", "connection_file": f"{folder}/kernel.json"})


@contextmanager
def bar(unit: str, *, shown: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr, where that is a terminal: how many of how many, and what is being done; without a thread, which
    a fork would lose."""
    if not (shown and sys.stderr.isatty()):
        yield lambda done, total, doing: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        *(BarColumn(24), TextColumn(f"{{task.completed}}/{{task.total}} {unit},"), TimeElapsedColumn()),
        TextColumn("{task.description:<40.40}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("starting")

        def say(done: int, total: int, doing: str) -> None:
            progress.update(task, completed=done, total=total, description=doing, refresh=True)

        yield say


def _section(cells: Any, index: int) -> str:
    """The last heading above a cell."""
    for cell in reversed(cells[: index + 1]):
        if cell["cell_type"] == "markdown":
            for line in reversed(cell["source"].splitlines()):
                if re.match(r"#{1,3} ", line):
                    return str(line.lstrip("# ").strip())
    return ""


def _tidy(notebook: Any) -> None:
    """Take out what papermill adds for a reader of the raw notebook, and its copy of the input."""
    marker = "papermill-error-cell-tag"
    notebook.cells = [c for c in notebook.cells if marker not in c.metadata.get("tags", [])]
    for name in ("input_path", "output_path", "environment_variables"):
        notebook.metadata.papermill.pop(name, None)


def _failure(notebook: Any, ended: tuple[str, str] | None) -> Failure | None:
    """The cell that stopped the run; papermill marks cells that were never reached as completed."""
    cells = [(i, c) for i, c in enumerate(notebook.cells) if _to_be_run(c)]
    started = [i for i, c in cells if c.metadata.papermill.get("start_time")]
    for index, cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                return _raised(notebook, index, output)
    if ended is not None:
        return _at(notebook, started[-1] if started else 0, *ended)
    for index, cell in cells:
        if index not in started or cell.execution_count is None:
            said = "The notebook stopped before {}; a report needs every cell."
            return _at(notebook, index, "Stopped", said)
    return None


def _to_be_run(cell: Any) -> bool:
    skipped = "skip-execution" in cell.metadata.get("tags", ())
    return cell.cell_type == "code" and bool(cell.source.strip()) and not skipped


def _raised(notebook: Any, index: int, error: Any) -> Failure:
    if error.ename == "SystemExit":
        said = "The notebook ended itself in {} (sys.exit); a report needs every cell."
        return _at(notebook, index, error.ename, said)
    message = _plain(error.evalue).strip()
    whole = error.ename in _SAID_IN_FULL and message
    failure = _at(notebook, index, error.ename, "", _plain("\n".join(error.traceback)))
    return replace(failure, sentence=message if whole else f"{error.ename}: {message}".rstrip(": "))


def _at(notebook: Any, index: int, kind: str, said: str, traceback: str = "") -> Failure:
    """A failure in a cell; its place goes into the sentence."""
    place = f"cell {index + 1} of {len(notebook.cells)}"
    source, section = notebook.cells[index].source, _section(notebook.cells, index)
    return Failure(said.format(place), kind, place, section, source, traceback)


def _plain(text: str) -> str:
    """Text without the colours of a terminal."""
    return _ANSI.sub("", text)
