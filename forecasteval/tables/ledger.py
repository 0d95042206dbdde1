"""A file that is only ever added to: what was forecast, and what became of it, each line sealed by the next.

One JSON object a line. Every line carries `hash`, the SHA-256 of the line before it together with its own
content, so that nothing in the middle can be changed, added or taken out unseen. A small file beside it
(`<name>.head`) names the last line that was written whole: without it a ledger that has lost its end could
not be told from a shorter one. What stands after the head comes from a run that died while it wrote; it was
never reported, is not read, and is cut off when the next run writes.

What the lines mean is the business of who writes them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from forecasteval.errors import Busy, CallError

_START = hashlib.sha256(b"forecasteval ledger 1").hexdigest()  # what the first line follows
_SHORTEST = 16  # digits of a receipt that tell it from others
Entry = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Ledger:
    """The entries of a ledger that has been checked, oldest first, and the hash of the last."""

    path: Path
    entries: tuple[Entry, ...]
    head: str
    size: int  # bytes up to the end of the last entry

    def __repr__(self) -> str:
        """How long it is and how it ends."""
        return f"Ledger({self.path}, {len(self.entries):,} entries, ends with {self.head[:16]})"

    def of(self, kind: str) -> list[Entry]:
        """The entries of one kind."""
        return [e for e in self.entries if e["kind"] == kind]


def sealed(entries: Sequence[Mapping[str, Any]], head: str = _START) -> list[Entry]:
    """Entries with their hashes; one that has a hash is sealed anew.

    hash_i = SHA-256(hash_(i-1) + JSON of entry i with sorted keys)

    >>> first, second = sealed([{"kind": "look"}, {"kind": "look"}])
    >>> first["hash"] == second["hash"], sealed([{"kind": "look"}], first["hash"]) == [second]
    (False, True)
    """
    done = []
    for entry in entries:
        content = {k: v for k, v in entry.items() if k != "hash"}
        head = hashlib.sha256((head + _text(content)).encode()).hexdigest()
        done.append({**content, "hash": head})
    return done


def _broken(found: str, restore: str = "Put the file back from a backup") -> CallError:
    return CallError(f"{found} {restore}; to start anew, name another ledger.")


def _text(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def _head_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.head")


def read(path: str | Path) -> Ledger:
    """A ledger, checked from its first line to its last; an empty one where there is no file yet.

    >>> read("no/such/ledger.jsonl").entries
    ()
    """
    path = Path(path)
    there, known = path.is_file(), _head_file(path).exists()
    if not there and not known and not path.exists():
        return Ledger(path, (), _START, 0)
    if path.exists() and not there:
        raise CallError(f"The ledger {path} is not a file. Name a file, such as ledger/weekly_monitor.jsonl.")
    if not known:
        found = f"{_head_file(path)} is missing, so it cannot be told whether the ledger has lost its end."
        raise _broken(found, "The two files belong together: put it back from a backup")
    lines, head = _head_of(path)
    if not lines:  # the first writing died
        return Ledger(path, (), _START, 0)
    if not there:
        found = f"The ledger {path} is gone, but {_head_file(path).name} says that it had {lines} lines."
        raise _broken(found, "Put it back from a backup")
    entries: list[Entry] = []
    before, size = _START, 0
    with path.open("rb") as stream:
        for number in range(1, lines + 1):
            raw = stream.readline()
            entry = _entry(path, number, raw, lines)
            if sealed([entry], before)[0]["hash"] != entry["hash"]:
                raise _broken(
                    f"Line {number} of the ledger {path} does not follow from the line before it: it was changed, or a "
                    "line was added or taken out there."
                )
            before, size = entry["hash"], size + len(raw)
            entries.append(entry)
    if before != head:
        found = f"Line {lines} of the ledger {path} is not the one that {_head_file(path).name} names as the last."
        raise _broken(found, "Put both files back from the same backup")
    return Ledger(path, tuple(entries), head, size)


def _head_of(path: Path) -> tuple[int, str]:
    try:
        lines, head = _head_file(path).read_text("utf-8").split()
        return int(lines), head
    except ValueError as error:
        restore = "Put it and the ledger back from the same backup"
        raise _broken(f"{_head_file(path)} cannot be read.", restore) from error


def _entry(path: Path, number: int, raw: bytes, lines: int) -> Entry:
    if not raw:
        raise _broken(
            f"The ledger {path} ends after line {number - 1} but had {lines} lines: its end is lost."
        )
    try:
        entry = json.loads(raw)
        if raw.endswith(b"\n") and isinstance(entry["hash"], str) and isinstance(entry["kind"], str):
            return dict(entry)
    except (ValueError, KeyError, TypeError):
        pass
    raise _broken(f"Line {number} of the ledger {path} is not a whole entry.")


def append(ledger: Ledger, entries: Sequence[Mapping[str, Any]]) -> Ledger:
    """Add entries to the ledger that was read, all of them or none.

    The lines are written and flushed first; only then does the head move on to the last of them.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "ledger.jsonl"
    >>> book = append(read(path), [{"kind": "look", "as_of": "2026-01-07"}])
    >>> len(append(book, [{"kind": "look", "as_of": "2026-01-14"}]).entries), len(read(path).entries)
    (2, 2)
    """
    if not entries:
        return ledger
    path, new = ledger.path, sealed(entries, ledger.head)
    content = "".join(_text(e) + "\n" for e in new).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path):
            if read(path).head != ledger.head:
                raise Busy(
                    f"Another run has added to the ledger {path} since this one read it. Nothing was written; run again."
                )
            if not ledger.entries:
                _move_head(path, 0, _START)
            with path.open("r+b" if path.exists() else "w+b") as stream:
                stream.truncate(ledger.size)
                stream.seek(ledger.size)
                _write(stream, content)
            _move_head(path, len(ledger.entries) + len(new), new[-1]["hash"])
    except OSError as error:
        raise CallError(f"Cannot write the ledger {path}: {error.strerror}.") from error
    return Ledger(path, (*ledger.entries, *new), new[-1]["hash"], ledger.size + len(content))


def vouch(ledger: Ledger, receipts: Sequence[str]) -> None:
    """Refuse a ledger that lacks a line of which somebody holds the receipt, its hash: it was written anew, or another one.

    A ledger that is rebuilt from its first line holds together in itself; only what was given away before can tell.

    >>> vouch(Ledger(Path("claims.jsonl"), (), _START, 0), ["5e1f" * 16])
    Traceback (most recent call last):
    ...
    forecasteval.errors.CallError: The ledger claims.jsonl has no line with the receipt 5e1f5e1f5e1f5e1f...: it was written anew since \
the receipt was given, or it is another one. Put the file back from a backup; to start anew, name another ledger.
    """
    known = [str(e["hash"]) for e in ledger.entries]
    for told in (r.strip().lower() for r in receipts):
        if len(told) < _SHORTEST or not any(h.startswith(told) for h in known):
            raise _broken(
                f"The ledger {ledger.path} has no line with the receipt {told[:16]}...: it was written anew since the receipt was "
                "given, or it is another one."
            )


def copy(path: Path, target: Path, size: int) -> None:
    """A copy of a ledger as it was when it had so many bytes.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> then = append(read(place / "a.jsonl"), [{"kind": "look"}])
    >>> _ = append(then, [{"kind": "look"}])
    >>> copy(place / "a.jsonl", place / "b.jsonl", then.size)
    >>> len(read(place / "b.jsonl").entries)
    1
    """
    with path.open("rb") as stream:
        content = stream.read(size)
    target.write_bytes(content)
    lines = content.splitlines()
    try:
        _move_head(target, len(lines), str(json.loads(lines[-1])["hash"]) if lines else _START)
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(f"Line {len(lines)} of the ledger {path} is not a whole entry.") from error


def _move_head(path: Path, lines: int, head: str) -> None:
    aside = path.with_name(f"{path.name}.head.new")
    with aside.open("wb") as stream:
        _write(stream, f"{lines} {head}\n".encode())
    os.replace(aside, _head_file(path))


def _write(stream: IO[bytes], content: bytes) -> None:
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; the system lets go of the lock when a process ends, however it ends."""
    with path.with_name(f"{path.name}.lock").open("a+b") as lock:
        try:
            _lock(lock)
        except OSError as error:
            raise Busy(
                f"Another run is writing to the ledger {path} right now. Nothing was written; run again when it is done."
            ) from error
        yield


def _lock(stream: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
