"""The ledger: every way to change what was written is seen, and two writers cannot meet."""

import json
import subprocess
import sys
import threading

import pytest

from forecasteval.errors import CallError
from forecasteval.tables import ledger

ENTRIES = [{"kind": "forecast", "deal": f"D{i}", "candidate": i / 10} for i in range(6)]


@pytest.fixture
def book(tmp_path):
    return ledger.append(ledger.read(tmp_path / "deep" / "ledger.jsonl"), ENTRIES)


def lines_of(book):
    return book.path.read_text().splitlines(keepends=True)


def test_what_is_written_is_read(book):
    again = ledger.read(book.path)
    assert again.entries == book.entries
    assert (again.head, again.size) == (book.head, book.path.stat().st_size)
    assert [{k: v for k, v in e.items() if k != "hash"} for e in again.entries] == ENTRIES


def test_adding_leaves_the_bytes_that_are_there(book):
    before = book.path.read_bytes()
    more = ledger.append(book, [{"kind": "outcome", "deal": "D1", "won": 1}])
    assert book.path.read_bytes().startswith(before)
    assert len(ledger.read(book.path).entries) == len(more.entries) == 7


def test_adding_in_two_steps_seals_alike(book, tmp_path):
    first = ledger.append(ledger.read(tmp_path / "b.jsonl"), ENTRIES[:2])
    assert ledger.append(first, ENTRIES[2:]).head == book.head


def test_entries_seal_what_stands_before_them():
    first, second = ledger.sealed([{"kind": "look"}, {"kind": "look"}])
    assert first["hash"] != second["hash"]
    assert ledger.sealed([{"kind": "look"}], first["hash"]) == [second]


def test_nothing_to_add_writes_nothing(tmp_path):
    empty = ledger.read(tmp_path / "none.jsonl")
    assert empty.entries == ()
    assert ledger.append(empty, []) is empty
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", range(6))
def test_a_changed_value_is_named_by_its_line(book, at):
    lines = lines_of(book)
    entry = json.loads(lines[at])
    entry["candidate"] = 0.99
    lines[at] = json.dumps(entry) + "\n"
    book.path.write_text("".join(lines))
    with pytest.raises(CallError, match=rf"Line {at + 1} of the ledger .* does not follow"):
        ledger.read(book.path)


def test_a_changed_value_with_a_new_hash_breaks_the_next_line(book):
    lines = lines_of(book)
    kept = [json.loads(line) for line in lines]
    forged = {k: v for k, v in kept[2].items() if k != "hash"} | {"candidate": 0.99}
    lines[2] = json.dumps(ledger.sealed([forged], kept[1]["hash"])[0]) + "\n"
    book.path.write_text("".join(lines))
    with pytest.raises(CallError, match="Line 4 of the ledger"):
        ledger.read(book.path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: lines[:2] + lines[3:], "Line 3 of the ledger .* does not follow"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "Line 3 of the ledger .* does not follow"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "Line 1 of the ledger .* does not follow"),
        (lambda lines: lines[:-1], "ends after line 5 but had 6 lines: its end is lost"),
        (lambda lines: lines[:1], "ends after line 1 but had 6 lines"),
        (lambda lines: [], "ends after line 0"),
        (lambda lines: [*lines[:-1], lines[-1][:30]], "Line 6 of the ledger .* is not a whole entry"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], "Line 6 of the ledger .* is not a whole entry"),
        (lambda lines: [lines[0], "{}\n", *lines[1:]], "Line 2 of the ledger .* is not a whole entry"),
        (lambda lines: [lines[0], "[]\n", *lines[1:]], "Line 2 of the ledger .* is not a whole entry"),
    ],
)
def test_lines_taken_out_put_in_swapped_or_cut_off(book, change, sentence):
    book.path.write_text("".join(change(lines_of(book))))
    with pytest.raises(CallError, match=sentence):
        ledger.read(book.path)


def test_a_ledger_cut_back_together_with_a_forged_head_is_not_the_one_reported(book):
    """The hash of the last entry stands in every report: that is what an older copy is held against."""
    shorter = lines_of(book)[:3]
    book.path.write_text("".join(shorter))
    head = json.loads(shorter[-1])["hash"]
    book.path.with_name("ledger.jsonl.head").write_text(f"3 {head}\n")
    assert ledger.read(book.path).head != book.head


@pytest.mark.parametrize("gone", ["ledger.jsonl", "ledger.jsonl.head"])
def test_half_a_ledger_is_refused(book, gone):
    book.path.with_name(gone).unlink()
    with pytest.raises(CallError, match="backup"):
        ledger.read(book.path)


def test_a_head_that_cannot_be_read(book):
    book.path.with_name("ledger.jsonl.head").write_text("rubbish")
    with pytest.raises(CallError, match="cannot be read"):
        ledger.read(book.path)


def test_what_a_dying_run_left_behind_is_not_read_and_then_cut_off(book):
    whole = book.path.read_bytes()
    dying = ledger.sealed([{"kind": "forecast", "deal": "ghost"}], book.head)[0]
    book.path.write_bytes(
        whole + json.dumps(dying).encode() + b'\n{"kind": "forecast", "deal": "' + b"ghost" * 99
    )
    again = ledger.read(book.path)
    assert again.entries == book.entries
    ledger.append(again, [{"kind": "look"}])
    assert "ghost" not in book.path.read_text()
    assert len(ledger.read(book.path).entries) == 7


def test_the_very_first_writing_may_die_too(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.with_name("ledger.jsonl.head").write_text(f"0 {ledger._START}\n")
    path.write_text('{"kind": "ru')
    assert ledger.append(ledger.read(path), ENTRIES).entries == ledger.read(path).entries


def test_two_runs_that_read_the_same_ledger_cannot_both_write(book):
    one, two = ledger.read(book.path), ledger.read(book.path)
    ledger.append(one, [{"kind": "look", "as_of": "2026-01-07"}])
    with pytest.raises(CallError, match="Another run has added to the ledger"):
        ledger.append(two, [{"kind": "look", "as_of": "2026-01-07"}])
    assert len(ledger.read(book.path).entries) == 7


HOLD = """
import sys
from pathlib import Path
from forecasteval.tables import ledger
with ledger._locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_that_writes_is_waited_for_by_a_person(book):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(book.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(CallError, match="is writing to the ledger"):
            ledger.append(book, [{"kind": "look"}])
    finally:
        process.communicate("")
    assert len(ledger.append(book, [{"kind": "look"}]).entries) == 7  # the lock went with the process


def test_many_writers_lose_nothing(book):
    done, refused = [], []

    def write(i):
        for _ in range(5):
            try:
                ledger.append(ledger.read(book.path), [{"kind": "look", "writer": i}])
            except CallError as error:
                refused.append(str(error))
            else:
                done.append(i)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(ledger.read(book.path).entries) == 6 + len(done)
    assert len(done) + len(refused) == 20
    assert all("run" in r for r in refused)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CallError, match="Cannot write the ledger"):
        ledger.append(ledger.read(tmp_path / "file" / "ledger.jsonl"), ENTRIES)
    with pytest.raises(CallError, match="is not a file"):
        ledger.read(tmp_path)
