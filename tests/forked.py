"""Reports in kernels forked from one process, as a batch makes them: their start is not what most tests are about.

One report of each notebook is made with a kernel that is started, and others of the same inputs have its bytes.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import forkserver

import pytest

from forecasteval.report._execute import environment
from forecasteval.report._spare_kernel import SpareKernel
from forecasteval.report.make import make_report


def _made(notebook, options):
    assert "warm" in sys.modules, "the process to fork from could not import it"
    with environment():
        return make_report(notebook, kernel=SpareKernel(), **options)


def make_forked(notebook, **options):
    """``make_report``, elsewhere; patches of this process do not reach it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_made, notebook, options).result()
