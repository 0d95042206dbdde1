"""Many reports at once: what they share is computed once, each is made in a process of its own, a page lists them."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from forecasteval.errors import Busy, Refusal, RunFailed
from forecasteval.report import _execute, _index, _manifest, _page, figures
from forecasteval.report._index import Made
from forecasteval.report._place import in_use
from forecasteval.report._spare_kernel import SpareKernel
from forecasteval.report.blocks import Words
from forecasteval.report.make import make_report
from forecasteval.report.plan import Asked, Job, read_plan
from forecasteval.report.time_limit import time_limit

_GRACE = 10.0  # seconds that a report gets to say why it was stopped, and then to end
_ARCHIVE = "archive"
_IMPORTED = (
    *("papermill", "papermill.clientwrap", "nbclient", "ipykernel.kernelapp", "ipykernel.ipkernel"),
    *("tornado.ioloop", "matplotlib.pyplot", "forecasteval.report.published"),
)


@dataclass(frozen=True)
class Options:
    """How a batch is made."""

    workers: int = 0  # 0 for one more than there are cores: they wait now and then
    time_limit: float = 3600.0  # seconds for each report; 0 for none
    fork: bool = True
    allow_stale: bool = False
    allow_shrunk: bool = False
    progress: bool = True
    archive: bool = False
    keep: int = 0  # dated copies to keep; 0 for all


def make_batch(plan: Path, out: Path, asked: Asked, options: Options) -> list[Made]:
    """Make the reports of a plan and their index; one that fails does not stop the others.

    Raises
    ------
    InputError
        Everything that is wrong with the plan. Nothing has been run.
    Busy
        If another batch is writing to the same folder.
    """
    work = read_plan(plan, asked)
    _index.refuse_foreign(out)
    with in_use(out) as free:
        if not free:
            raise Busy(f"Another batch is writing to {out}. Nothing was made; run again when it is done.")
        started = datetime.now(UTC)
        last = _index.last(out)
        forked = options.fork and hasattr(os, "fork")
        with _execute.environment():
            if forked:
                _share(work.jobs)
            made = list(_Pool(out, options, forked).run(work.jobs))
        order = {job.name: at for at, job in enumerate(work.jobs)}
        made.sort(key=lambda one: order[one.job.name])
        _index.write(out, made, work.notes, last, started)
        if options.archive:
            _archive(out, made, started, options.keep)
    return made


def outcome(made: Sequence[Made], gates: int = 0) -> int:
    """The exit code of a batch; `gates` is how many conditions came true.

    1 when any report failed, else 4 for a gate, else 3 when nothing could be compared, else 0.
    """
    if any(one.failed for one in made):
        return 1
    if gates:
        return 4
    return 3 if made and all(one.cannot for one in made) else 0


# --- what is shared -----------------------------------------------------------------------------------


def _share(jobs: Sequence[Job]) -> None:
    """Import, read, match and draw once what every report would; processes that are forked then have it."""
    _execute.quick_imports()
    for name in _IMPORTED:
        importlib.import_module(name)
    _page.warm_up()
    if any(job.question is not None for job in jobs):
        importlib.import_module("statsmodels.api")
        figures.warm_up()
        Words.warm_up()
    seen = set()
    for job in jobs:
        key = (job.notebook, job.data, repr({k: v for k, v in job.given.items() if k != "segment"}))
        if key in seen:
            continue
        seen.add(key)
        _manifest.hold(job.notebook, job.data)
        if job.question is not None and job.org is not None:
            with suppress(Exception):  # its reports will say what is wrong
                job.question.share(job.org)
    gc.collect()
    gc.freeze()  # what is shared is not looked through again in each process


# --- the pool -----------------------------------------------------------------------------------------


@dataclass
class _Running:
    """A report that is being made."""

    job: Job
    process: Any
    said: Connection
    started: float = field(default_factory=time.monotonic)
    attempt: int = 1
    asked_to_stop: float = 0.0


class _Pool:
    """A few processes at a time, one for each report, so that none can harm another."""

    def __init__(self, out: Path, options: Options, forked: bool) -> None:
        self.out, self.options, self.forked = out, options, forked
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.workers = options.workers or cores + 1

    def run(self, jobs: Sequence[Job]) -> Iterator[Made]:
        """Make all, each as soon as there is room; what was made comes as it is done."""
        waiting, running = deque((job, 1) for job in jobs), list[_Running]()
        failed = 0
        with _bar(len(jobs), shown=self.options.progress) as say:
            try:
                while waiting or running:
                    while waiting and len(running) < self.workers:
                        running.append(self._start(*waiting.popleft()))
                    wait([r.said for r in running] + [r.process.sentinel for r in running], timeout=0.5)
                    for one in [r for r in running if self._ended(r)]:
                        running.remove(one)
                        made = self._made(one)
                        if made is None:  # its process died, and it has not been tried twice
                            waiting.append((one.job, one.attempt + 1))
                            continue
                        failed += made.failed
                        yield made
                    say(len(jobs) - len(waiting) - len(running), failed, [r.job.label for r in running])
            finally:
                for one in running:
                    _end(one, signal.SIGTERM)
                for one in running:
                    one.process.join(_GRACE)
                    _end(one, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _start(self, job: Job, attempt: int) -> _Running:
        """A process that makes one report; a second attempt shares nothing with the first."""
        forked = self.forked and attempt == 1
        context: Any = multiprocessing.get_context("fork" if forked else "spawn")
        said, say = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(job.alone, self.out, self.options, forked, say))
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # threads of libraries, which know about forks
            process.start()
        say.close()
        return _Running(job, process, said, attempt=attempt)

    def _ended(self, one: _Running) -> bool:
        """Whether a report is done or dead; one that is far over its time is stopped from outside."""
        limit, now = self.options.time_limit, time.monotonic()
        if limit and now - one.started > limit + _GRACE and not one.asked_to_stop:
            one.asked_to_stop = now
            _end(one, signal.SIGTERM)
        if one.asked_to_stop and now - one.asked_to_stop > _GRACE:
            _end(one, getattr(signal, "SIGKILL", signal.SIGTERM))
        return not one.process.is_alive() or one.said.poll()

    def _made(self, one: _Running) -> Made | None:
        try:
            code, text = one.said.recv()
        except EOFError:
            code, text = 1, ""
        one.process.join(_GRACE)
        _end(one, getattr(signal, "SIGKILL", signal.SIGTERM))  # and whatever it has started
        seconds = time.monotonic() - one.started
        if not code and not text:
            return _index.made(one.job, self.out, "", seconds)
        if not text and one.asked_to_stop:
            text = f"Stopped after {self.options.time_limit:g} seconds. For longer: --time-limit SECONDS."
        elif not text and one.attempt == 1:
            return None
        return _index.made(one.job, self.out, text or "Its process was ended from outside, twice.", seconds)


def _work(job: Job, out: Path, options: Options, forked: bool, say: Connection) -> None:
    """Make one report in a process of its own, and say how it went."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that it can be ended with all that it has started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kernel = SpareKernel() if forked else None
    try:
        with time_limit(options.time_limit):
            make_report(
                job.notebook,
                out=out,
                parameters=job.given,
                allow_stale=options.allow_stale,
                allow_shrunk=options.allow_shrunk,
                name=job.name,
                kernel=kernel,
                again=True,
            )
        said = (0, "")
    except (Refusal, RunFailed) as error:
        said = (error.exit_code, str(error))
    except OSError as error:
        said = (1, f"{error.filename or 'A file'}: {error.strerror or error}.")
    except Exception as error:
        said = (1, f"{type(error).__name__}: {error}")
    say.send(said)
    say.close()


def _end(one: _Running, number: int) -> None:
    """Send a signal to a report's process and all that it has started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(one.process.pid, number)
        elif one.process.is_alive():
            one.process.terminate()


@contextmanager
def _bar(total: int, *, shown: bool) -> Iterator[Callable[[int, int, list[str]], None]]:
    """A bar on stderr, where that is a terminal; drawn without a thread, which a fork would lose."""
    if not (shown and sys.stderr.isatty()):
        yield lambda done, failed, names: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        *(BarColumn(24), TextColumn("{task.completed}/{task.total} reports,"), TimeElapsedColumn()),
        TextColumn("{task.description:<40.40}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=total)

        def say(done: int, failed: int, names: list[str]) -> None:
            told = f"{failed} failed; " if failed else ""
            progress.update(task, completed=done, description=told + ", ".join(names), refresh=True)

        yield say


# --- dated copies -------------------------------------------------------------------------------------


def _archive(out: Path, made: Sequence[Made], started: datetime, keep: int) -> None:
    """A copy of this run under its date; of older ones, as many are kept as are asked for, counted with this one."""
    place = out / _ARCHIVE / f"{started:%Y-%m-%dT%H%M%SZ}"
    aside = place.with_name(f".{place.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in (_index.PAGE, _index.DATA):
        shutil.copy2(out / name, aside / name)
    for one in made:
        for folder in (one.folder, one.failed_folder):
            if folder.is_dir():
                shutil.copytree(folder, aside / folder.name, copy_function=_linked)
    aside.rename(place)
    dated = sorted(p for p in place.parent.iterdir() if p.is_dir() and (p / _index.DATA).is_file())
    for old in dated[:-keep] if keep else []:
        shutil.rmtree(old, ignore_errors=True)


def _linked(source: str, target: str) -> Any:
    """The file itself under another name, which costs no room; a copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        return shutil.copy2(source, target)
    return target
