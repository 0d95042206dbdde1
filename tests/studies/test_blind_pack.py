"""The blind pack: only what was known, under pseudonyms; and scores that cannot be exchanged afterwards."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.cli import main
from forecasteval.errors import CallError, InputError
from forecasteval.studies.vendor_claim import blind_pack
from forecasteval.studies.vendor_claim.blind_pack import (
    FIELDS,
    closed_by,
    freeze_scores,
    make_pack,
    read_key,
    read_scores,
)
from forecasteval.tables import ledger

DEMO = Path(__file__).parents[2] / "data" / "demo"
THEN, TODAY = "2025-11-28", "2026-03-20"  # a day of the demo's past, and its last


@pytest.fixture(scope="module")
def source():
    return fe.read(DEMO)


@pytest.fixture
def org(source, tmp_path):
    """The demo with a folder of its own to keep a ledger in."""
    (tmp_path / "data").mkdir()
    return replace(source, folder=tmp_path / "data")


def returned(pack, path, **changed):
    """What a vendor sends back: a score for each deal."""
    deals = pd.read_csv(pack.folder / "deals.csv")
    table = deals[["deal"]].assign(value=[round(0.1 + 0.8 * i / len(deals), 3) for i in range(len(deals))])
    table.assign(**changed).to_csv(path, index=False)
    return path


# --- the pack -----------------------------------------------------------------------------------------


def test_the_pack_holds_the_listed_fields_and_nothing_that_names_a_deal(org, tmp_path):
    pack = make_pack(org, TODAY, tmp_path / "pack")
    assert {p.name for p in (tmp_path / "pack").iterdir()} == {"deals.csv", "schema.json", "README.md"}
    content = (tmp_path / "pack" / "deals.csv").read_text()
    deals = pd.read_csv(tmp_path / "pack" / "deals.csv")
    schema = json.loads((tmp_path / "pack" / "schema.json").read_text())
    assert list(deals) == list(FIELDS) == [f["name"] for f in schema["fields"]]
    assert schema["sha256"] == hashlib.sha256(content.encode()).hexdigest()
    everything = content + json.dumps(schema) + (tmp_path / "pack" / "README.md").read_text()
    ids = {
        *org.deals["deal_id"],
        *org.deals["rep"].dropna(),
        *org.deals["account"].dropna(),
        *org.users["name"].dropna(),
    }
    assert not [i for i in ids if i in everything]
    assert deals["deal"].is_monotonic_increasing  # in no order that says something
    key = read_key(org.folder, pack.about | ledger.read(blind_pack.claims_ledger(org.folder)).of("pack")[0])
    assert set(key) <= set(org.deals["deal_id"])


def test_nothing_recorded_later_changes_the_pack(source, tmp_path):
    """The same deals from a record that ends on the day, and from one whose future was rewritten."""

    def content(org, name):
        (tmp_path / name).mkdir()
        org = replace(org, folder=tmp_path / name)
        pack = make_pack(org, THEN, tmp_path / name / "pack")
        entry = ledger.read(blind_pack.claims_ledger(org.folder)).of("pack")[0]
        deals = pd.read_csv(pack.folder / "deals.csv").assign(
            deal_id=lambda d: d["deal"].map(read_key(org.folder, entry))
        )
        same = {c: deals.groupby(c)["deal_id"].transform("min") for c in ("rep", "account")}
        return deals.assign(**same).drop(columns="deal").sort_values("deal_id", ignore_index=True)

    history = source.history.copy()
    after = history["valid_from"] > pd.Timestamp("2025-11-30")
    history.loc[after, "amount"] = 1.0
    history.loc[after, "close_on"] = pd.Timestamp("2030-01-01")
    deals = source.deals.assign(outcome="won", amount=5.0)
    pd.testing.assert_frame_equal(
        content(source, "as is"), content(replace(source, history=history, deals=deals), "rewritten")
    )


def test_what_deals_can_be_recognised_by_is_counted_and_said(org, tmp_path):
    told = make_pack(org, TODAY, tmp_path / "one").words()
    assert "Prospective: none of its deals is closed in your data." in told
    assert "all fields together single out" in told
    past = make_pack(org, THEN, tmp_path / "two")
    assert "Retrospective" in past.words()
    assert 0 < past.about["singled_out"]["amount"] < past.about["singled_out_by_all"] <= 1


def test_two_packs_share_no_pseudonym(org, tmp_path):
    one, two = (pd.read_csv(make_pack(org, TODAY, tmp_path / n).folder / "deals.csv") for n in "ab")
    assert not set(one["deal"]) & set(two["deal"])
    assert not set(one["rep"]) & set(two["rep"])


def test_packs_that_cannot_be_made_are_refused(org, tmp_path):
    with pytest.raises(CallError, match="after the newest record"):
        make_pack(org, "2027-01-01", tmp_path / "p")
    with pytest.raises(CallError, match="not a day"):
        make_pack(org, "week 4", tmp_path / "p")
    with pytest.raises(CallError, match="population"):
        make_pack(org, TODAY, tmp_path / "p", "everything")
    with pytest.raises(CallError, match="no history"):
        make_pack(replace(org, history=None), TODAY, tmp_path / "p")
    make_pack(org, TODAY, tmp_path / "p")
    with pytest.raises(CallError, match="not written over"):
        make_pack(org, TODAY, tmp_path / "p")


# --- scores that come back ----------------------------------------------------------------------------


def test_scores_are_hashed_dated_and_read_back(org, tmp_path):
    file = returned(make_pack(org, TODAY, tmp_path / "p"), tmp_path / "vz.csv")
    book, told = freeze_scores(org, file, "vendor_z")
    entry = book.of("scores")[0]
    assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry["sha256"] in told
    (scores,) = read_scores(org.folder, ledger.read(book.path), "vendor_z")
    assert len(scores.table) == entry["deals"]
    assert entry["silent"] == 0
    assert set(scores.table["deal_id"]) <= set(org.deals["deal_id"])
    again, told = freeze_scores(org, file, "vendor_z")
    assert "frozen already" in told
    assert len(again.entries) == len(book.entries)


def test_columns_that_nobody_asked_for_are_named(org, tmp_path):
    file = returned(make_pack(org, TODAY, tmp_path / "p"), tmp_path / "vz.csv")
    pd.read_csv(file).assign(won=1).to_csv(file, index=False)
    assert "Not read: won; only deal and value count." in freeze_scores(org, file, "vendor_z")[1]


def test_other_scores_for_the_same_pack_are_refused(org, tmp_path):
    pack = make_pack(org, TODAY, tmp_path / "p")
    freeze_scores(org, returned(pack, tmp_path / "vz.csv"), "vendor_z")
    with pytest.raises(CallError, match="cannot be exchanged"):
        freeze_scores(org, returned(pack, tmp_path / "vz.csv", value=0.5), "vendor_z")


def test_scores_that_come_after_the_close_are_refused_and_the_deals_named(org, tmp_path):
    file = returned(make_pack(org, THEN, tmp_path / "p"), tmp_path / "vz.csv")
    with pytest.raises(
        CallError, match=r"Refused: \d+ deals were closed when these scores arrived.*006"
    ) as refused:
        freeze_scores(org, file, "vendor_z")
    assert "--retrospective" in str(refused.value)
    book, told = freeze_scores(org, file, "vendor_z", retrospective=True)
    assert book.of("scores")[0]["retrospective"]
    assert "A backtest" in told


def test_deals_that_turn_out_to_have_been_closed_are_named_later(org, tmp_path):
    """The export of the day did not know it yet; the next one does."""
    cut = org.history[org.history["valid_from"] <= pd.Timestamp("2025-11-29 05:00")]
    then = replace(org, history=cut, forecasts=None, snapshots=None)
    file = returned(make_pack(then, THEN, tmp_path / "p"), tmp_path / "vz.csv")
    book, told = freeze_scores(then, file, "vendor_z")
    assert "Your data end on" in told
    assert not book.of("scores")[0]["retrospective"]
    (scores,) = read_scores(org.folder, book, "vendor_z")
    closed = closed_by(blind_pack.record_of(org), scores.table["deal_id"], THEN, scores.entry["frozen_at"])
    assert len(closed) > 50
    assert set(closed) <= set(scores.table["deal_id"])


def test_silence_is_counted(org, tmp_path):
    pack = make_pack(org, TODAY, tmp_path / "p")
    deals = pd.read_csv(pack.folder / "deals.csv")
    deals[["deal"]].assign(value=0.4)[10:].to_csv(tmp_path / "vz.csv", index=False)
    book, told = freeze_scores(org, tmp_path / "vz.csv", "vendor_z")
    assert book.of("scores")[0]["silent"] == 10
    assert "silent on 10" in told


def test_everything_wrong_with_a_file_is_said_at_once(org, tmp_path):
    pack = make_pack(org, TODAY, tmp_path / "p")
    deals = list(pd.read_csv(pack.folder / "deals.csv")["deal"][:3])
    (tmp_path / "vz.csv").write_text(
        f"deal,value\n{deals[0]},0.4\n{deals[0]},0.5\ndffffffff0,0.2\n{deals[1]},62\n{deals[2]},high\n"
    )
    with pytest.raises(InputError) as refused:
        freeze_scores(org, tmp_path / "vz.csv", "vendor_z")
    for part in (
        "row 3, column deal",
        "row 4, column deal",
        "row 5, column value: found 62",
        "row 6, column value: found 'high'",
    ):
        assert part in str(refused.value)
    (tmp_path / "vz.csv").write_text("id,score\n1,2\n")
    with pytest.raises(InputError, match="the columns deal and value"):
        freeze_scores(org, tmp_path / "vz.csv", "vendor_z")
    with pytest.raises(CallError, match="nobody else bears"):
        freeze_scores(org, tmp_path / "vz.csv", "rep_forecast")


def test_an_edited_ledger_key_or_file_is_noticed_and_named(org, tmp_path):
    book, _ = freeze_scores(
        org, returned(make_pack(org, TODAY, tmp_path / "p"), tmp_path / "vz.csv"), "vendor_z"
    )
    kept = {p: p.read_bytes() for p in book.path.parent.rglob("*") if p.is_file()}
    for part, words in (("scores/*.csv", "was changed"), ("packs/*.csv", "was changed")):
        (path,) = book.path.parent.glob(part)
        path.write_bytes(kept[path].replace(b"d", b"e", 1))
        with pytest.raises(CallError, match=words):
            read_scores(org.folder, ledger.read(book.path), "vendor_z")
        path.unlink()
        with pytest.raises(CallError, match="is gone"):
            read_scores(org.folder, ledger.read(book.path), "vendor_z")
        path.write_bytes(kept[path])
    book.path.write_bytes(kept[book.path].replace(b'"silent":0', b'"silent":1'))
    with pytest.raises(CallError, match="was changed"):
        ledger.read(book.path)


def test_the_command_line_makes_a_pack_and_freezes(tmp_path, capsys):
    data = tmp_path / "acme"
    shutil.copytree(DEMO, data, ignore=shutil.ignore_patterns("ledger", "*.py"))
    assert main(["blind", str(data), "--as-of", TODAY, "--out", str(tmp_path / "p")]) == 0
    deals = pd.read_csv(tmp_path / "p" / "deals.csv")
    deals[["deal"]].assign(value=50).to_csv(tmp_path / "vz.csv", index=False)
    assert main(["freeze", str(tmp_path / "vz.csv"), "--data", str(data), "--name", "vendor_z"]) == 2
    assert "--kind rank_score" in capsys.readouterr().err
    assert (
        main(
            [
                "freeze",
                str(tmp_path / "vz.csv"),
                "--data",
                str(data),
                "--name",
                "vendor_z",
                "--kind",
                "rank_score",
            ]
        )
        == 0
    )
    assert "scores of vendor_z, frozen at" in capsys.readouterr().out
