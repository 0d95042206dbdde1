"""A run that takes too long is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from forecasteval.errors import RunFailed

_AGAIN = 15  # seconds, where the first time came in a place that swallows errors, such as a finaliser


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop what takes longer; where the system has no such clock nothing is stopped."""
    alone = threading.current_thread() is threading.main_thread()
    if seconds <= 0 or not alone or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        raise RunFailed(f"Stopped after {seconds:g} seconds. For longer: --time-limit SECONDS.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
