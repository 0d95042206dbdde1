"""Attempts to make a result, by the vendor and by the buyer: each is caught, and named where the result is read."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError, InputError
from forecasteval.studies.vendor_claim.blind_pack import claims_ledger, freeze_scores, make_pack, read_key
from forecasteval.studies.vendor_claim.claim import Claim, as_yaml
from forecasteval.studies.vendor_claim.study import Trial
from forecasteval.tables import ledger
from forecasteval.tables.organisation import Org

DEMO = Path(__file__).parents[2] / "data" / "demo"
DAY = "2025-11-28"


@pytest.fixture(scope="module")
def source():
    return fe.read(DEMO)


@pytest.fixture
def buyer(source, tmp_path):
    """The demo with a ledger of its own."""
    (tmp_path / "data").mkdir()
    return replace(source, folder=tmp_path / "data")


@pytest.fixture
def then(buyer):
    """What the buyer's export knew on the day of the pack."""
    cut = buyer.history[buyer.history["valid_from"] <= pd.Timestamp("2025-11-29 05:00")]
    return replace(buyer, history=cut, forecasts=None, snapshots=None)


def sent(pack, path, value):
    """The vendor's file; a value for all deals, or a function of the pack."""
    deals = pd.read_csv(pack.folder / "deals.csv")
    scores = value(deals) if callable(value) else value
    deals[["deal"]].assign(value=scores).dropna().to_csv(path, index=False)
    return path


@pytest.fixture
def flat(tmp_path):
    """A table of deals in a folder of its own, and a claim to be better."""
    (tmp_path / "c.yaml").write_text(as_yaml(Claim(sentence="better", says="better")))
    (tmp_path / "flat").mkdir()
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"deal_id": range(400), "won": rng.integers(0, 2, 400), "rep": np.arange(400) % 8})
    table = table.assign(rep_forecast=rng.random(400), vendor=rng.random(400), period=np.arange(400) // 50)
    return Org("pilot", tmp_path / "flat", matched=table)


def of_vendor(flat, **parameters):
    """How the claim about the table is judged."""
    return Trial(claim=str(flat.folder.parent / "c.yaml"), candidate="vendor", guard="", **parameters)


def said(answer):
    """What the reader of the report is told of it."""
    return answer.trusted.words().text


# --- the vendor ---------------------------------------------------------------------------------------


def test_a_pack_joined_by_amounts_and_dates_comes_back_with_outcomes(buyer, tmp_path):
    """The vendor sees the CRM of today: expected close and amount lead from the pack to the deals and their ends."""
    pack = make_pack(buyer, DAY, tmp_path / "pack")
    key = read_key(buyer.folder, ledger.read(claims_ledger(buyer.folder)).of("pack")[0])
    ends = buyer.periods.set_index("period").loc[pack.about["period"], "ends_on"]
    deals = buyer.deals.set_index("deal_id")
    ended = (deals["outcome"].eq("won") & deals["closed_on"].le(ends)).astype(float)
    scores = sent(pack, tmp_path / "z.csv", lambda d: d["deal"].map(key).map(ended) * 0.8 + 0.1)
    freeze_scores(buyer, scores, "vendor_z", retrospective=True)
    answer = Trial(candidate="vendor_z").run(buyer)
    assert answer.where == "backtest"
    assert answer.outcome == "undecided by this evidence"
    assert "hindsight" in answer.results()["headline"]
    assert "could have joined the pack with it" in said(answer)
    assert "the amount" in said(answer)
    assert "the expected close" in said(answer)
    assert "excludes nothing" in said(answer)


def test_the_same_score_for_every_deal_is_named(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    freeze_scores(then, sent(pack, tmp_path / "z.csv", 0.3), "vendor_z")
    answer = Trial(candidate="vendor_z").run(buyer)
    assert "gives every deal the same 0.3" in said(answer)
    assert "gives every deal the same 0.3" in answer.verdict.words().text
    assert answer.results()["noticed"]


def test_somebody_elses_forecast_sent_as_ones_own_is_named(flat):
    copied = flat.matched["rep_forecast"].where(flat.matched.index > 8, 0.5)
    answer = of_vendor(flat).run(replace(flat, matched=flat.matched.assign(vendor=copied)))
    assert "On 98% of the deals vendor says exactly what the reps" in said(answer)


def test_several_tries_under_several_names_are_named(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    for name, value in (("vendor_z", 0.3), ("vendor_z_second", 0.4)):
        freeze_scores(then, sent(pack, tmp_path / f"{name}.csv", value), name)
    answer = Trial(candidate="vendor_z").run(buyer)
    assert "also frozen as vendor z second" in said(answer)
    with pytest.raises(CallError, match="cannot be exchanged"):
        freeze_scores(then, sent(pack, tmp_path / "z.csv", 0.5), "vendor_z")


def test_deals_of_another_pack_and_deals_twice_are_refused(then, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    deals = pd.read_csv(pack.folder / "deals.csv")["deal"]
    (tmp_path / "z.csv").write_text(f"deal,value\n{deals[0]},0.4\n{deals[0]},0.6\nd00000000,0.3\n")
    with pytest.raises(InputError) as refused:
        freeze_scores(then, tmp_path / "z.csv", "vendor_z")
    assert "row 3, column deal" in str(refused.value)
    assert "row 4, column deal" in str(refused.value)


def test_scores_after_the_close_are_named_and_do_not_count(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    freeze_scores(then, sent(pack, tmp_path / "z.csv", 0.3), "vendor_z")
    answer = Trial(candidate="vendor_z").run(buyer)
    assert "were closed when their scores were frozen" in said(answer)
    assert answer.results()["late"] == len(answer.late) > 0
    assert not set(answer.late) & set(answer.matched["deal_id"])


# --- what both sign ------------------------------------------------------------------------------------


def test_the_annex_holds_all_that_was_agreed_on_two_pages(flat, tmp_path):
    agreed = of_vendor(flat, margin=0.02, blind_half=True, costs={"over": 1.0, "under": 0.2})
    with pytest.raises(CallError, match="Nothing is registered"):
        agreed.annex(flat)
    receipt = agreed.register(flat).rsplit(": ", 1)[1]
    page = agreed.annex(flat)
    assert page.count('class="sheet"') == 2
    (entry,) = ledger.read(claims_ledger(flat.folder)).of("claim")
    for said_there in (entry["sha256"], receipt, "For the vendor: name, date, signature", "0.02", "over 1, under 0.2", "better at all",
                       "Abstentions", "Exclusions", "Frozen on", "4 reps do not see the scores"):  # fmt: skip
        assert said_there in page, said_there
    assert "<script" not in page
    with pytest.raises(CallError, match=r"another one \(margin\)"):
        of_vendor(flat, margin=0.03, blind_half=True, costs={"over": 1.0, "under": 0.2}).annex(flat)


def test_who_has_the_data_has_the_claim_that_was_registered(flat):
    """A report names the file without its folder; the copy in the data folder is found by it."""
    of_vendor(flat).register(flat)
    answer = Trial(claim="c.yaml", candidate="vendor", guard="").run(flat)
    assert answer.registration.before
    assert answer.claim_sha256 == hashlib.sha256((flat.folder.parent / "c.yaml").read_bytes()).hexdigest()


# --- the buyer ----------------------------------------------------------------------------------------


def test_a_frozen_file_that_was_changed_afterwards_stops_the_run(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    book, _ = freeze_scores(then, sent(pack, tmp_path / "z.csv", 0.3), "vendor_z")
    (kept,) = (book.path.parent / "scores").glob("*.csv")
    kept.write_text(kept.read_text().replace("0.3", "0.9"))
    with pytest.raises(
        CallError, match="was changed since it was noted in the ledger: the scores of vendor_z"
    ):
        Trial(candidate="vendor_z").run(buyer)


def rewritten(path, change):
    """The ledger as somebody writes it anew, every hash right."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    change(entries)
    new = ledger.sealed(entries)
    path.write_text("".join(json.dumps(e, sort_keys=True, separators=(",", ":")) + "\n" for e in new))
    path.with_name(f"{path.name}.head").write_text(f"{len(new)} {new[-1]['hash']}\n")


def test_a_ledger_written_anew_is_told_by_a_receipt_that_was_given(flat):
    told = of_vendor(flat, margin=0.01).register(flat)
    receipt = told.rsplit(": ", 1)[1]
    path = claims_ledger(flat.folder)
    kept = of_vendor(flat, receipts=[receipt]).run(flat)
    assert kept.registration.before
    assert "so it was not written anew" in said(kept)
    assert dict(kept.seals) == {"Agreement": receipt}

    def softer(entries):
        entries[0]["parameters"]["margin"] = 0.05

    rewritten(path, softer)
    assert of_vendor(flat, margin=0.05).run(flat).registration.changes == ()  # it holds together in itself
    with pytest.raises(CallError, match=f"no line with the receipt {receipt[:16]}.*written anew"):
        of_vendor(flat, margin=0.05, receipts=[receipt]).run(flat)
    with pytest.raises(CallError, match="no line with the receipt"):
        of_vendor(flat, receipts=["ab"]).run(flat)


def test_time_that_runs_backwards_is_named(flat):
    of_vendor(flat).register(flat)
    of_vendor(flat, margin=0.02).register(flat)

    def earlier(entries):
        entries[1]["registered_at"] = "2020-01-01T00:00:00Z"

    rewritten(claims_ledger(flat.folder), earlier)
    answer = of_vendor(flat).run(flat)
    assert "Time runs backwards at line 2" in said(answer)
    assert "2 agreements about vendor stand in the ledger; the first counts" in said(answer)


def test_deals_taken_out_after_they_were_scored_are_named(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    freeze_scores(then, sent(pack, tmp_path / "z.csv", 0.3), "vendor_z")
    key = read_key(buyer.folder, ledger.read(claims_ledger(buyer.folder)).of("pack")[0])
    won = buyer.deals.loc[buyer.deals["deal_id"].isin(key) & buyer.deals["outcome"].eq("won"), "deal_id"][:7]
    thinned = replace(
        buyer,
        deals=buyer.deals[~buyer.deals["deal_id"].isin(won)],
        history=buyer.history[~buyer.history["deal_id"].isin(won)],
    )
    answer = Trial(candidate="vendor_z").run(thinned)
    assert "7 deals that were scored are no longer in the data" in said(answer)
    assert str(won.iloc[0]) in said(answer)


@pytest.mark.parametrize(
    "changed",
    [{"measure": "log_score"}, {"margin": 0.02}, {"costs": {"over": 1.0, "under": 0.2}}, {"at_least": 0.01}, {"level": 0.9},
     {"generalise_to": ["rep"]}, {"baseline": "other"}],
)  # fmt: skip
def test_whatever_is_changed_after_the_agreement_is_shown(flat, changed):
    flat = replace(flat, matched=flat.matched.assign(other=0.5))
    of_vendor(flat).register(flat)
    answer = of_vendor(flat, **changed).run(flat)
    assert [c[0] for c in answer.registration.changes] == list(changed)
    assert "Changed since it was registered" in answer.registered.words().text
    assert "exploratory" in answer.registered.words().text


def test_an_agreement_registered_after_the_outcomes_confirms_nothing(then, buyer, tmp_path):
    pack = make_pack(then, DAY, tmp_path / "pack")
    scores = sent(pack, tmp_path / "z.csv", lambda d: d["amount"] / d["amount"].max())
    freeze_scores(then, scores, "vendor_z", retrospective=True)
    Trial(candidate="vendor_z").register(buyer)
    answer = Trial(candidate="vendor_z").run(buyer)
    assert answer.registration.before
    assert not answer.confirmatory
    known = answer.results()["outcomes_known_when_registered"]
    assert known > 100
    for page in (answer.verdict, answer.registered, answer.document):
        assert f"the outcomes of {known} of" in page.words().text


def test_scores_of_another_moment_than_the_agreed_one_are_a_change(then, buyer, tmp_path):
    """Agreed was week 4; a later moment, at which more is known, is easier."""
    Trial(candidate="vendor_z").register(buyer)
    later = make_pack(then, "2025-11-21", tmp_path / "pack")
    freeze_scores(then, sent(later, tmp_path / "z.csv", 0.3), "vendor_z", retrospective=True)
    answer = Trial(candidate="vendor_z").run(buyer)
    assert answer.registration.changes == (("as_of", "week 4", "2025-11-21"),)
    assert "2025-11-21" in answer.document.words().text
