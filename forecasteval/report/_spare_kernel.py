"""A kernel forked from a process that has imported what reports need: the same kernel, without its start."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn


class SpareKernel:
    """A process that waits for a connection file and then is the kernel; answers as ``subprocess.Popen`` does."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        """Fork; to be done before this process has an event loop or sockets."""
        files, self._files = os.pipe()
        self.returncode: int | None = None
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._files)
            _become_kernel(files, parent)
        os.close(files)

    def serve(self, connection_file: str) -> None:
        """Start the kernel that listens where this file says."""
        with os.fdopen(self._files, "w") as stream:
            stream.write(connection_file)

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        return self._waited(os.WNOHANG)

    def wait(self) -> int | None:
        """The exit code, when it has ended."""
        return self._waited(0)

    def _waited(self, how: int) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, how)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def managed_by(spare: SpareKernel) -> type[Any]:
    """The class of a manager that launches nothing but hands the connection file to this process."""
    from jupyter_client.manager import AsyncKernelManager

    class SpareKernelManager(AsyncKernelManager):
        """Of one kernel."""

        async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
            provisioner: Any = self.provisioner
            spare.serve(self.connection_file)
            provisioner.process, provisioner.pid = spare, spare.pid
            self._reconcile_connection_info(provisioner.connection_info)

    return SpareKernelManager


def _become_kernel(files: int, parent: int) -> NoReturn:
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(files) as stream:
            connection_file = stream.read()
        if connection_file:
            _serve(connection_file, parent)
        code = 0
    finally:
        os._exit(code)


def _serve(connection_file: str, parent: int) -> None:
    """What `python -m ipykernel_launcher` does, and what its process would not have inherited is set back."""
    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    os.environ["MPLBACKEND"] = os.environ.get("MPLBACKEND") or "module://matplotlib_inline.backend_inline"
    if (matplotlib := sys.modules.get("matplotlib")) is not None:
        matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"]
    np.random.seed()  # noqa: NPY002 - or all notebooks that draw without a seed would draw the same
    sys.argv = ["ipykernel_launcher", "-f", connection_file]
    # not the parent of this moment: a worker that was killed already would leave a kernel that waits for ever
    app = IPKernelApp.instance(parent_handle=parent)
    app.initialize([*sys.argv[1:], "--HistoryManager.hist_file=:memory:"])  # or all would write to one file
    app.start()
