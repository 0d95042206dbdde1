"""Memory that is no longer used, given back to the system between the steps of a large import."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Let the allocators return what they keep for later: without this a third of a large import's peak is nobody's."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # only glibc has this
        ctypes.CDLL("libc.so.6").malloc_trim(0)
