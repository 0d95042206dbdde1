"""Commands, and kernels of reports, forked from one process that has imported all: starts are not what most tests are about.

One report of each notebook is made with a kernel that is started, and others of the same inputs have its bytes.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver
from threading import Lock

import pytest

from forecasteval.cli import main
from forecasteval.report._execute import environment
from forecasteval.report._spare_kernel import SpareKernel
from forecasteval.report.make import make_report

_STARTING = Lock()


def elsewhere(call, *given, **named):
    """What a call gives in a process of its own, which patches of this one do not reach."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm"])
    with _STARTING, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_warm, call, *given, **named).result()


def _warm(call, *given, **named):
    assert "warm" in sys.modules, "the process to fork from could not import it"
    return call(*given, **named)


def _made(notebook, **options):
    with environment():
        return make_report(notebook, kernel=SpareKernel(), **options)


def make_forked(notebook, **options):
    """``make_report``, in a kernel that is forked."""
    return elsewhere(_made, notebook, **options)


def _commanded(words, folder):
    os.chdir(folder)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        for stream, number in ((out, 1), (err, 2)):
            os.dup2(stream.fileno(), number)
        code = main(words)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        said = [os.pread(n, 1_000_000, 0).decode() for n in (1, 2)]
        return subprocess.CompletedProcess(words, code, *said)


def command(*words, folder):
    """A command line: its exit code and what it said."""
    return elsewhere(_commanded, [str(w) for w in words], folder)
