"""Many reports at once: what they share is computed once, each is made in a process of its own, a page lists them."""

from __future__ import annotations

import ctypes
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from forecasteval.errors import Busy, CallError, told
from forecasteval.report import _execute, _failure, _index, _manifest, _page, _pdf, _workbook, executor
from forecasteval.report._index import Made
from forecasteval.report._place import in_use, made_aside
from forecasteval.report._spare_kernel import SpareKernel
from forecasteval.report.blocks import Words
from forecasteval.report.gate import Condition
from forecasteval.report.make import make_report
from forecasteval.report.plan import ARCHIVE, Asked, Job, read_plan
from forecasteval.report.time_limit import time_limit

_GRACE = 10.0  # seconds that a report gets to say why it was stopped, and then to end
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG of Linux
_IMPORTED = (
    *("papermill", "papermill.clientwrap", "nbclient", "ipykernel.kernelapp", "ipykernel.ipkernel"),
    *("tornado.ioloop", "matplotlib.pyplot", "forecasteval.report.published"),
    *("ipykernel.debugger", "psutil", "IPython.extensions.storemagic"),  # of every kernel at its start
    *("IPython.core.completerlib", "IPython.core.debugger", "IPython.core.oinspect"),
)


@dataclass(frozen=True)
class Options:
    """How a batch is made."""

    workers: int = 0  # 0 for one more than there are cores: they wait now and then
    time_limit: float = 3600.0  # seconds for each report; 0 for none
    fork: bool = True
    allow_stale: bool = False
    allow_shrunk: bool = False
    pdf: bool = False
    xlsx: bool = False
    progress: bool = True
    archive: bool = False
    keep: int = 0  # dated copies to keep; 0 for all
    executor: str = ""  # module:name of one of concurrent.futures; empty for processes of this machine
    conditions: tuple[Condition, ...] = ()  # of --fail-on


def make_batch(plan: Path, out: Path, asked: Asked, options: Options) -> list[Made]:
    """Make the reports of a plan and their index; one that fails does not stop the others.

    Raises
    ------
    InputError
        Everything that is wrong with the plan. Nothing has been run.
    Busy
        If another batch is writing to the same folder.
    """
    for wanted, tool in ((options.pdf, _pdf), (options.xlsx, _workbook)):
        if wanted:
            tool.require()
    if options.executor:
        executor.check(options.executor)
    work = read_plan(plan, asked)
    _index.refuse_foreign(out)
    with in_use(out) as free:
        if not free:
            raise Busy(f"Another batch is writing to {out}. Nothing was made; run again when it is done.")
        started = datetime.now(UTC)
        last = _index.last(out)
        forked = options.fork and hasattr(os, "fork") and not options.executor
        with _execute.environment():
            if forked:
                _share(work.jobs)
            if options.executor:
                found = _elsewhere(work.jobs, out, options)
            else:
                found = _Pool(out, options, forked).run(work.jobs)
            made = [one.gated(options.conditions) for one in found]
        order = {job.name: at for at, job in enumerate(work.jobs)}
        made.sort(key=lambda one: order[one.job.name])
        _index.write(out, made, work.notes, last, started)
        if options.archive:
            _archive(out, made, started, options.keep)
    return made


def outcome(made: Sequence[Made]) -> int:
    """The exit code of a batch: 1 when any report failed, else 4 for a gate, else 3 when nothing could be compared."""
    if any(one.failed for one in made):
        return 1
    if any(one.came_true for one in made):
        return 4
    return 3 if made and all(one.cannot for one in made) else 0


# --- what is shared -----------------------------------------------------------------------------------


def _share(jobs: Sequence[Job]) -> None:
    """Import, read, match and draw once what every report would; processes that are forked then have it."""
    _execute.quick_imports()
    with _execute.without("debugpy"):  # nobody debugs these kernels, and each would import it
        for name in _IMPORTED:
            importlib.import_module(name)
    _page.warm_up()
    if any(job.question is not None for job in jobs):
        from forecasteval.report import figures

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
        with _execute.bar("reports", shown=self.options.progress) as say:
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
                    doing = ", ".join([f"{failed} failed"] * (failed > 0) + [r.job.label for r in running])
                    say(len(jobs) - len(waiting) - len(running), len(jobs), doing)
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
        said: Mapping[str, Any] = {}
        with suppress(EOFError):
            said = one.said.recv()
        one.process.join(_GRACE)
        _end(one, getattr(signal, "SIGKILL", signal.SIGTERM))  # and whatever it has started
        if not said and not one.asked_to_stop and one.attempt == 1:
            return None
        died = "Its process was ended from outside, twice."
        if one.asked_to_stop:
            died = f"Stopped after {self.options.time_limit:g} seconds. For longer: --time-limit SECONDS."
        return _made(one.job, self.out, said or {"code": 1, "text": died}, time.monotonic() - one.started)


def _work(job: Job, out: Path, options: Options, forked: bool, say: Connection) -> None:
    """Make one report in a process of its own, and say how it went."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that it can be ended with all that it has started
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.platform == "linux":  # a batch that is killed leaves no report that still writes
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGTERM)
        batch = multiprocessing.parent_process()
        if batch is not None and os.getppid() != batch.pid:  # killed before it could be told
            return
    say.send(_tried(job, out, options, SpareKernel() if forked else None))
    say.close()


def _tried(job: Job, out: Path, options: Options, kernel: SpareKernel | None = None) -> dict[str, Any]:
    """Make one report: the exit code, what went wrong, whether a page says so; else the hash of its manifest."""
    try:
        with time_limit(options.time_limit):
            place = make_report(
                job.notebook,
                out=out,
                parameters=job.given,
                allow_stale=options.allow_stale,
                allow_shrunk=options.allow_shrunk,
                pdf=options.pdf,
                xlsx=options.xlsx,
                name=job.name,
                kernel=kernel,
                again=True,
            )
        return {"code": 0, "text": "", "stamp": _manifest.sha256(place / _manifest.NAME)}
    except Exception as error:
        text, code = told(error)
        return {"code": code, "text": text, "told": getattr(error, "folder", None) is not None}


def _made(job: Job, out: Path, said: Mapping[str, Any], seconds: float) -> Made:
    """What became of a job; one that failed without a page gets one."""
    text, target = said["text"], out / job.name
    if text and not said.get("told"):
        with suppress(OSError, CallError), made_aside(target) as aside:
            run = _failure.without_run(_index.without_places(job, text), said["code"])
            _failure.keep(run, target, aside, _index.parameters(job), {})
    return _index.made(job, out, text, seconds)


# --- an executor of the user's --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """What a machine needs to make a report: its working folder is set to this one's."""

    job: Job
    out: Path
    options: Options


def _made_there(task: _Task) -> Mapping[str, Any]:
    begun = time.monotonic()
    with _execute.environment():
        return _tried(task.job, task.out, task.options) | {"seconds": time.monotonic() - begun}


def _elsewhere(jobs: Sequence[Job], out: Path, options: Options) -> Iterator[Made]:
    """Make all where an executor puts them; nothing is shared, for its workers may be other machines."""
    tasks = [_Task(job.alone, out, replace(options, conditions=())) for job in jobs]
    known = {job.name: job for job in jobs}
    limit, failed = options.time_limit and options.time_limit + 2 * _GRACE, 0
    with _execute.bar("reports", shown=options.progress) as say:
        for n, (task, said) in enumerate(
            executor.results(options.executor, tasks, _made_there, limit), start=1
        ):
            found: dict[str, Any] = {"code": 1, "text": said} if isinstance(said, str) else dict(said)
            job, manifest = known[task.job.name], out / task.job.name / _manifest.NAME
            seen = _manifest.sha256(manifest) if manifest.is_file() else ""
            if not found["text"] and found["stamp"] != seen:
                text = f"It was made, and is not in {out.name} here: do the workers have the same folders as this machine?"
                found = {"code": 1, "text": text}
            made = _made(job, out, found, found.get("seconds", 0.0))
            failed += made.failed
            say(n, len(jobs), f"{failed} failed" if failed else "")
            yield made


def _end(one: _Running, number: int) -> None:
    """Send a signal to a report's process and all that it has started."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(one.process.pid, number)
        elif one.process.is_alive():
            one.process.terminate()


# --- dated copies -------------------------------------------------------------------------------------


def _archive(out: Path, made: Sequence[Made], started: datetime, keep: int) -> None:
    """A copy of this run under its date; of older ones, as many are kept as are asked for, counted with this one."""
    place = out / ARCHIVE / f"{started:%Y-%m-%dT%H%M%SZ}"
    aside = place.with_name(f".{place.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in _index.FILES:
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
