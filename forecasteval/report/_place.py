"""Folders on disk: made aside, exchanged for the last report in one step, and swept up after runs that were killed."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from forecasteval.errors import CallError

WHOLE = "manifest.json"  # written last: a folder that has it is a complete report
_DAY = 24 * 60 * 60
_TRIES = 20
_RANDOM = "?" * 8  # what mkdtemp adds to a name


def refuse_foreign(target: Path) -> None:
    """A folder that no report lies in is somebody's work: it is never replaced."""
    ours = not os.path.lexists(target) or (target / WHOLE).is_file() or _is_empty(target)
    if not ours:
        raise CallError(
            f"{target} is there and is not a report: it will not be replaced. Choose another --out."
        )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


@contextmanager
def made_aside(target: Path) -> Iterator[Path]:
    """A hidden folder beside a report's place, gone in the end; what killed runs have left there is put right first."""
    out = target.parent
    try:
        out.mkdir(parents=True, exist_ok=True)
        _restore(target)
        folder, handle = _held(out, f".{target.name}.")
        folder.chmod(0o755)
    except OSError as error:
        raise CallError(f"Cannot write to {out}: {error.strerror}.") from error
    try:
        yield folder
    finally:
        _remove(folder, handle)


@contextmanager
def temporary(prefix: str, parent: Path) -> Iterator[Path]:
    """A temporary folder, gone in the end; those of runs that were killed go first."""
    for left, handle in _abandoned(parent, prefix):
        _remove(left, handle)
    folder, handle = _held(parent, prefix)
    try:
        yield folder
    finally:
        _remove(folder, handle)


@contextmanager
def in_use(folder: Path) -> Iterator[bool]:
    """A folder that one run at a time writes to: False where another one does; that one is not waited for."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _lock(folder)
    except BlockingIOError:
        yield False
        return
    except OSError as error:
        raise CallError(f"Cannot write to {folder}: {error.strerror}.") from error
    try:
        yield True
    finally:
        _let_go(handle)


def take_place(aside: Path, target: Path) -> None:
    """Move a finished folder into place; what lay there lies aside afterwards, or is gone.

    Linux and macOS exchange the two in one step. Elsewhere there are two, and a run that is killed between them leaves
    both reports aside, whole: the next run puts the newer one into its place.
    """
    old = aside.with_name(f"{aside.name}.old")
    for attempt in range(_TRIES):
        if target.exists() and _exchanged(aside, target):
            return
        try:
            if target.exists():
                target.rename(old)
            aside.rename(target)
            break
        except OSError:  # another run was quicker, or the system says no
            if old.exists() and not target.exists():
                with suppress(OSError):
                    old.rename(target)
            if attempt == _TRIES - 1 or not aside.exists():
                raise
    shutil.rmtree(old, ignore_errors=True)


def save(path: Path, content: str | bytes) -> None:
    """Write a file; an error names it, which the system's own does not on a full disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise OSError(error.errno, error.strerror or "cannot be written", str(path)) from error


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system or the file system cannot."""
    if not sys.platform.startswith(("linux", "darwin")):
        return False
    system = ctypes.CDLL(None, use_errno=True)
    here, there = os.fsencode(one), os.fsencode(other)
    at, swap = ctypes.c_int(-100), ctypes.c_uint(2)  # AT_FDCWD; RENAME_EXCHANGE, RENAME_SWAP
    try:
        if sys.platform == "darwin":
            return bool(system.renamex_np(here, there, swap) == 0)
        return bool(system.renameat2(at, here, at, there, swap) == 0)
    except AttributeError:  # an old C library
        return False


# --- whose folder it is -------------------------------------------------------------------------------


def _held(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """A new folder, locked for as long as this process lives: that is how others know that it is in use."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        try:
            handle = _lock(folder)
        except OSError:  # swept away in the moment before it was locked
            continue
        if folder.exists():
            return folder, handle
        _let_go(handle)
    raise OSError(f"{parent}: folders vanish as soon as they are made")


def _restore(target: Path) -> None:
    """Remove what killed runs left beside a report; one that died between two steps has left it aside, whole."""
    left = list(_abandoned(target.parent, f".{target.name}."))
    whole = [folder for folder, _ in left if (folder / WHOLE).is_file()]
    if whole and not target.exists():
        newest = max(whole, key=lambda folder: (folder / WHOLE).stat().st_mtime)
        with suppress(OSError):
            newest.rename(target)
    for folder, handle in left:
        _remove(folder, handle)


def _abandoned(parent: Path, prefix: str) -> Iterator[tuple[Path, int | None]]:
    """Folders of this user's runs that have ended, each locked; where there are no locks, those older than a day."""
    for pattern in (f"{prefix}{_RANDOM}", f"{prefix}{_RANDOM}.old"):
        for folder in parent.glob(pattern):
            try:
                about = folder.lstat()
                if hasattr(os, "geteuid") and about.st_uid != os.geteuid():
                    continue
                handle = _lock(folder)
            except OSError:  # held by a run that lives, or gone
                continue
            if handle is not None or time.time() - about.st_mtime > _DAY:
                yield folder, handle


def _lock(folder: Path) -> int | None:
    """Lock a folder; the system lets go when the process ends, however it ends. None where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def _remove(folder: Path, handle: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _let_go(handle)


def _let_go(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)
