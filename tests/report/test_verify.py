"""A report and its data at somebody else's: computed again, and compared."""

import json
import shutil
import subprocess

import pandas as pd
import pytest
from forked import make_forked

from forecasteval.errors import CallError
from forecasteval.report.verify import _different, _near, verify
from forecasteval.tables import ledger

COUNTS = (
    "# How many?\n",
    "data: str = 'nowhere'\nfactor: int = 2",
    """
import forecasteval as fe
from pathlib import Path
from forecasteval.report import publish
from forecasteval.tables import ledger
org = fe.read(data)
book = ledger.read(org.folder / "ledger" / "looks.jsonl")
deals = factor * len(org.deals)
if all(e["deals"] != deals for e in book.entries):
    book = ledger.append(book, [{"kind": "look", "deals": deals}])
publish({"deals": deals, "who": org.name, "looks": len(book.entries), "where": str(org.folder)})
""",
)


@pytest.fixture
def report(write_notebook, tmp_path, monkeypatch):
    """A report of three deals, made where its notebook is found by name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    write_notebook(*COUNTS).rename(tmp_path / "notebooks" / "small.ipynb")
    folder = tmp_path / "seller" / "acme"
    folder.mkdir(parents=True)
    rows = {"deal_id": ["D1", "D2", "D3"], "created_on": "2026-03-01", "outcome": "open"}
    pd.DataFrame(rows).to_csv(folder / "deals.csv", index=False)
    return make_forked("small", out="out", data=folder, parameters={"factor": 3}, allow_stale=True)


def test_a_copy_elsewhere_gives_the_same_and_is_left_as_it_was(report, tmp_path):
    theirs = shutil.copytree(tmp_path / "seller" / "acme", tmp_path / "buyer" / "data")
    (theirs / "calendar.csv").write_text("not,named\n1,2\n")  # the manifest knows nothing of it
    before = {p: p.read_bytes() for p in theirs.rglob("*") if p.is_file()}
    found = verify(report, data=theirs)
    assert (found.exit_code, found.differences, found.files) == (0, (), 2)
    assert str(found) == "Same: results.json follows from its 2 input files, computed again."
    assert {p: p.read_bytes() for p in theirs.rglob("*") if p.is_file()} == before
    assert json.loads((report / "results.json").read_text())["where"] == "acme"


def test_a_ledger_that_has_grown_since_is_read_as_it_was_then(report, tmp_path):
    path = tmp_path / "seller" / "acme" / "ledger" / "looks.jsonl"
    ledger.append(ledger.read(path), [{"kind": "look", "deals": 1}])
    assert verify(report, data=tmp_path / "seller" / "acme").exit_code == 0
    path.write_text(path.read_text().replace('"deals":9', '"deals":8'))
    found = verify(report, data=tmp_path / "seller" / "acme")
    assert found.exit_code == 2
    assert "ledger/looks.jsonl: its first" in str(found)


def test_what_was_changed_in_the_report_is_named_by_key(report, tmp_path):
    written = (report / "results.json").read_text()
    (report / "results.json").write_text(written.replace('"deals": 9', '"deals": 10'))
    (report / "report.html").unlink()
    (tmp_path / "notebooks" / "small.ipynb").write_text(
        (tmp_path / "notebooks" / "small.ipynb").read_text() + " "
    )
    found = verify(report, data=tmp_path / "seller" / "acme")
    assert found.exit_code == 1
    assert found.differences == (
        "report.html is missing from the report",
        "results.json was changed after the report was made",
        "deals: 10 in the report, 9 computed now",
    )
    assert "small.ipynb here is another version" in str(found)


def test_inputs_that_are_missing_or_changed_are_named_and_nothing_runs(report, tmp_path):
    theirs = shutil.copytree(tmp_path / "seller" / "acme", tmp_path / "buyer")
    (theirs / "deals.csv").write_text("deal_id,outcome\n")
    shutil.rmtree(theirs / "ledger")
    found = verify(report, data=theirs)
    assert found.exit_code == 2
    assert found.inputs == ("deals.csv: changed since the report was made", "ledger/looks.jsonl: missing")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"notebook": {"name": "../evil"}}, "does not say which notebook"),
        ({"notebook": {"name": "/tmp/evil.ipynb"}}, "does not say which notebook"),
        ({"notebook": None}, "does not say which notebook"),
        ({"notebook": {"name": "nobody"}}, "No notebook nobody"),
        ({"inputs": [{"file": "../secret", "sha256": "", "bytes": 1}]}, "outside the data folder"),
        ({"inputs": [{"file": "/etc/passwd", "sha256": "", "bytes": 1}]}, "outside the data folder"),
        ({"inputs": ["deals.csv"]}, "does not say what its inputs were"),
        ({"parameters": {"data": "acme", "factor": "__import__('os')"}}, "Parameter factor"),
        ({"parameters": {"data": "acme", "evil": 1}}, "no parameter 'evil'"),
        ({"parameters": {"data": "acme", "ledger": "elsewhere.jsonl"}}, "kept its ledger outside"),
    ],
)
def test_a_manifest_can_lead_nowhere(write_notebook, tmp_path, monkeypatch, parts, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebooks").mkdir()
    write_notebook(*COUNTS).rename(tmp_path / "notebooks" / "small.ipynb")
    (tmp_path / "results.json").write_text('{"status": "done"}')
    record = {"notebook": {"name": "small"}, "parameters": {"data": "acme"}, "inputs": []}
    (tmp_path / "manifest.json").write_text(json.dumps(record | parts))
    with pytest.raises(CallError, match=message):
        verify(tmp_path, data=tmp_path)


def test_a_folder_without_a_finished_report_is_refused(tmp_path):
    with pytest.raises(CallError, match="holds no finished report"):
        verify(tmp_path)


def test_differences_are_found_at_any_depth():
    old = {"a": [1, {"b": None}], "c": 1, "d": True, "gone": 0, "list": [1]}
    new = {"a": [1, {"b": 2}], "c": 1.0, "d": 1, "list": [1, 2], "new": 0}
    assert [key for key, _, _ in _different(old, new)] == ["a[1].b", "d", "gone", "list", "new"]
    assert _near(0.123456789012, 0.123456789011)
    assert not _near(None, 0.0)


def test_the_command_says_same_differs_or_other_inputs(report, tmp_path):
    from forecasteval.cli import main

    data = ["--data", str(tmp_path / "seller" / "acme")]
    assert main(["verify", str(report), *data]) == 0
    (tmp_path / "seller" / "acme" / "deals.csv").unlink()
    assert main(["verify", str(report), *data]) == 2
    assert subprocess.run(["ls", "-A", tmp_path / "out"], capture_output=True, text=True).stdout == "small\n"
