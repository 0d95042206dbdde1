"""The reports of a batch on an executor of the user's own, by name: threads, processes, or a cluster that is there.

Every report is made in a process that is started for it, wherever the executor puts it: a worker may be a thread, and
threads run notebooks in the wrong folder. What the executor's machines must have in common is the folders and the packages.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from forecasteval.errors import CallError

_EXAMPLE = "as in concurrent.futures:ThreadPoolExecutor or dask.distributed:Client"
_MARK = "forecasteval-result:"
_CHILD = "from forecasteval.report.executor import _child; _child()"
_TRIES = 2
Task = TypeVar("Task")


def check(name: str) -> Callable[[], Any]:
    """What makes the executor of this name.

    Raises
    ------
    CallError
        If it is not of the form module:name, or is not there.
    """
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise CallError(f"--executor {name!r} is not of the form module:name, {_EXAMPLE}.")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise CallError(f"--executor {name}: {module} cannot be imported here ({error}).") from error
    except AttributeError as error:
        raise CallError(f"--executor {name}: {module} has no {attribute}.") from error
    if not callable(factory):
        raise CallError(
            f"--executor {name}: this is no class or function that makes an executor, {_EXAMPLE}."
        )
    return factory  # type: ignore[no-any-return]


def results(
    name: str, tasks: Sequence[Task], work: Callable[[Task], Mapping[str, Any]], limit: float
) -> Iterator[tuple[Task, Mapping[str, Any] | str]]:
    """What `work` makes of each task, as it is done, or the sentence why nothing came of it.

    `work` and the tasks travel by pickle; `limit` is in seconds, 0 for none.
    """
    with _opened(name) as executor:
        here = str(Path.cwd())
        asked = {executor.submit(_apart, pickle.dumps((work, task)), here, limit): task for task in tasks}
        for future in as_completed(asked):
            try:
                found: Mapping[str, Any] | str = future.result()
            except Exception as error:  # a lost worker, a broken pool: each executor has its own
                found = f"The executor lost it: {type(error).__name__}: {error}".strip(": ")
            yield asked[future], found


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    """The executor, shut down in the end; what has not begun when something goes wrong is given up."""
    with ExitStack() as stack:
        made = check(name)()
        if hasattr(made, "get_executor"):  # a client of a cluster, which has one
            stack.enter_context(made)
            made = made.get_executor()
        if not hasattr(made, "submit") or not hasattr(made, "shutdown"):
            raise CallError(f"--executor {name}: this is no executor of concurrent.futures, {_EXAMPLE}.")
        try:
            yield made
        except BaseException:
            made.shutdown(wait=False, cancel_futures=True)
            raise
        made.shutdown()


def _apart(pickled: bytes, folder: str, limit: float) -> Mapping[str, Any] | str:
    """Run a task in a process of its own, once more if that is ended from outside."""
    for _ in range(_TRIES):
        process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(pickled, timeout=limit or None)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"Stopped after {limit:g} seconds."
        except BaseException:
            _end(process)
            raise
        told = [line for line in said.decode().splitlines() if line.startswith(_MARK)]
        if told:
            found: Mapping[str, Any] = json.loads(told[-1].removeprefix(_MARK))
            return found
    return "Its process was ended from outside, twice."


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.communicate()


def _child() -> None:
    """What runs in that process."""
    work, task = pickle.load(sys.stdin.buffer)
    print(_MARK + json.dumps(work(task)), flush=True)
