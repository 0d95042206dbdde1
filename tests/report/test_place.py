"""A report's folder: whole at every moment, whoever is killed when."""

import errno
import os
import subprocess
import sys

import pytest

from forecasteval.errors import CallError
from forecasteval.report import _place
from forecasteval.report._place import made_aside, refuse_foreign, save, take_place, temporary

DEAD = ".small.abcdefgh"  # a folder of a run that was killed: nobody holds it


def written(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "page").write_text(text)
    (folder / "manifest.json").write_text("{}")
    return folder


def replace_with(target, text):
    with made_aside(target) as aside:
        take_place(written(aside, text), target)


@pytest.fixture(params=["in one step", "in two steps"])
def system(request, monkeypatch):
    if request.param == "in two steps":
        monkeypatch.setattr(_place, "_exchanged", lambda one, other: False)
    elif not sys.platform.startswith(("linux", "darwin")):
        pytest.skip("this system has no exchange")
    return request.param


def test_a_new_report_takes_the_place_of_the_last_and_nothing_is_left_beside_it(system, tmp_path):
    target = tmp_path / "out" / "small"
    for text in ("first", "second", "third"):
        replace_with(target, text)
        assert (target / "page").read_text() == text
        assert os.listdir(tmp_path / "out") == ["small"]


def test_the_exchange_is_the_systems_own(tmp_path):
    one, other = written(tmp_path / "a", "a"), written(tmp_path / "b", "b")
    if not _place._exchanged(one, other):
        pytest.skip("this file system has no exchange")
    assert ((one / "page").read_text(), (other / "page").read_text()) == ("b", "a")
    assert not _place._exchanged(one, tmp_path / "nowhere")


def test_a_run_that_died_between_two_steps_is_finished_by_the_next(tmp_path):
    target = tmp_path / "small"
    os.utime(written(tmp_path / f"{DEAD}.old", "last") / "manifest.json", (1, 1))
    written(tmp_path / DEAD, "new")
    with made_aside(target):
        assert (target / "page").read_text() == "new"
        assert not list(tmp_path.glob(f"{DEAD}*"))


def test_leftovers_go_but_what_lives_or_is_not_ours_stays(tmp_path):
    written(tmp_path / "small", "last")
    written(tmp_path / DEAD, "half").joinpath("manifest.json").unlink()
    for other in (".small.notes", "small.backup", ".smaller.abcdefgh"):
        written(tmp_path / other, "theirs")
    with made_aside(tmp_path / "small") as living, made_aside(tmp_path / "small") as second:
        assert living.is_dir()
        assert second.is_dir()
        assert not (tmp_path / DEAD).exists()
    assert (tmp_path / "small" / "page").read_text() == "last"
    assert sorted(os.listdir(tmp_path)) == [".small.notes", ".smaller.abcdefgh", "small", "small.backup"]


def test_temporary_folders_of_killed_runs_go_and_links_are_not_followed(tmp_path):
    (tmp_path / "ours-abcdefgh").mkdir()
    written(tmp_path / "precious", "theirs")
    (tmp_path / "ours-12345678").symlink_to(tmp_path / "precious")
    with temporary("ours-", tmp_path) as one, temporary("ours-", tmp_path) as other:
        assert one.is_dir()
        assert other.is_dir()
    assert (tmp_path / "precious" / "page").is_file()
    assert sorted(os.listdir(tmp_path)) == ["ours-12345678", "precious"]


def test_where_there_are_no_locks_only_old_leftovers_go(tmp_path, monkeypatch):
    monkeypatch.setattr(_place, "_lock", lambda folder: None)
    (tmp_path / DEAD).mkdir()
    (tmp_path / ".small.12345678").mkdir()
    os.utime(tmp_path / DEAD, (1, 1))
    with made_aside(tmp_path / "small"):
        assert not (tmp_path / DEAD).exists()
        assert (tmp_path / ".small.12345678").exists()


def test_somebody_elses_file_or_link_is_not_replaced(tmp_path):
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(CallError, match="is not a report"):
            refuse_foreign(tmp_path / name)


def test_a_full_disk_names_the_file():
    with pytest.raises(OSError, match="No space left") as full:
        save(_Full("/dev/full"), "x" * 10)
    assert (full.value.errno, full.value.filename) == (errno.ENOSPC, "/dev/full")


class _Full(type(_place.Path())):
    def write_bytes(self, content):
        with open(self, "wb", buffering=0) as stream:
            return stream.write(content)


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from forecasteval.report._place import made_aside, save, take_place

target, n, chance = Path(sys.argv[1]), 0, random.Random(3)
for kill in range(int(sys.argv[2])):
    if not (writer := os.fork()):
        while True:
            n += 1
            with made_aside(target) as aside:
                for name in ("page", "table", "manifest.json"):
                    save(aside / name, str(n))
                take_place(aside, target)
    end = time.monotonic() + chance.uniform(0.005, 0.04)
    while time.monotonic() < end:
        assert target.is_dir() or not n, "there was a moment without a report"
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    if target.is_dir():
        found = {path.name: path.read_text() for path in target.iterdir()}
        assert set(found) == {"page", "table", "manifest.json"}, found
        assert len(set(found.values())) == 1, found
        assert int(found["page"]) >= n, "an old report is back"
        n = int(found["page"])
with made_aside(target):
    pass
assert n > 10, n
assert os.listdir(target.parent) == [target.name]
"""


def test_reports_survive_kills_at_any_moment(tmp_path):
    """Writers killed while they replace a report in a loop: it is there, and of one run, at every look."""
    words = [sys.executable, "-c", KILLS, tmp_path / "out" / "small", "40"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
