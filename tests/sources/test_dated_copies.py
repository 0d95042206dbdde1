"""A folder of dated copies of Opportunity.csv."""

import pandas as pd
import pytest

from forecasteval.errors import InputError
from forecasteval.sources.history import states
from forecasteval.sources.salesforce import import_folder

OPEN = {
    "StageName": "Discovery", "IsClosed": "false", "IsWon": "false", "Probability": "20", "ForecastCategory": "Pipeline",
    "CloseDate": "2026-03-31",
}  # fmt: skip
D1, D2, D3 = (f"00600000000000{n}AAA" for n in (1, 2, 3))


@pytest.fixture
def copies(export):
    """Three copies: the second week is there, two weeks are missing; names in all the usual forms."""
    export.usual()
    export.rows("2026-02-02/Opportunity", OPEN, OPEN | {"Id": D2, "OwnerId": ""})
    export.rows("Opportunity_2026-02-09", OPEN | {"Amount": "", "OwnerId": "005000000000001AAA"})
    export.rows("Opportunity-20260302", {}, OPEN | {"Id": D3, "CreatedDate": "2026-02-20T10:00:00Z"})
    return export


@pytest.fixture(autouse=True)
def _example_rows(monkeypatch):
    import conftest

    names = (
        "2026-02-02/Opportunity",
        "Opportunity_2026-02-09",
        "Opportunity-20260302",
        "Opportunity 2026-03-09",
    )
    monkeypatch.setattr(conftest, "EXAMPLES", conftest.EXAMPLES | dict.fromkeys(names, conftest.OPPORTUNITY))


def at(org, day):
    table = states(org.history, [day], org.settings)
    return {row.deal_id: (row.amount, row.status, row.values_state) for row in table.itertuples()}


def count(org, check):
    return int(org.audit.set_index("check").loc[check, "count"])


def test_each_copy_holds_from_the_end_of_its_day_until_the_next(copies):
    org = import_folder(copies.folder)
    assert at(org, "2026-02-01") == {}
    assert at(org, "2026-02-02") == {D1: (1000, "open", "known"), D2: (1000, "open", "known")}
    assert at(org, "2026-02-08")[D1] == (1000, "open", "known")
    amount, status, state = at(org, "2026-02-09")[D1]
    assert pd.isna(amount)
    assert (status, state) == ("open", "known")
    # a deal that is missing from the next copy ends there
    assert D2 not in at(org, "2026-02-09")


def test_a_copy_that_is_too_old_says_nothing(copies):
    org = import_folder(copies.folder)
    assert at(org, "2026-02-16")[D1][2] == "known"
    assert at(org, "2026-02-17")[D1][2] == "unknown"
    assert at(org, "2026-03-02")[D1] == (1000, "won", "known")
    copies.text("organisation.yaml", "snapshot_max_age_days: 14\n")
    assert at(import_folder(copies.folder), "2026-02-17")[D1][2] == "known"


def test_deals_are_what_was_last_seen_of_them(copies):
    org = import_folder(copies.folder)
    deals = org.deals.set_index("deal_id")
    assert deals["outcome"].to_dict() == {D1: "won", D2: "deleted", D3: "open"}
    assert deals["closed_on"].dropna().to_dict() == {D1: pd.Timestamp("2026-02-03")}
    assert count(org, "deals that vanished") == 1
    assert count(org, "weeks without a copy") == 2
    # the win is dated 3 February, and the copy of the 9th still shows the deal open
    assert count(org, "backdated closes") == 1
    owners = org.snapshots.set_index(["deal_id", "as_of"])["rep_state"]
    assert owners[D2].tolist() == ["unknown"]
    assert org.snapshots["as_of"].dt.strftime("%m-%d").unique().tolist() == ["02-02", "02-09", "03-02"]


def test_a_closed_deal_that_later_copies_leave_out_keeps_its_outcome(copies):
    copies.rows("Opportunity 2026-03-09", OPEN | {"Id": D3})
    org = import_folder(copies.folder)
    assert org.deals.set_index("deal_id")["outcome"][D1] == "won"
    assert at(org, "2026-04-30")[D1] == (1000, "won", "unknown")


def test_every_problem_of_every_copy_is_named_with_its_file(copies):
    copies.rows("Opportunity_2026-02-09", OPEN | {"Probability": "-5"})
    copies.rows("2026-02-02/Opportunity", OPEN | {"StageName": "Haggling"})
    copies.raw("Opportunity 2026-02-09.csv", [OPEN])
    with pytest.raises(InputError) as caught:
        import_folder(copies.folder)
    text = str(caught.value)
    assert "two copies of one day" in text
    (copies.folder / "Opportunity 2026-02-09.csv").unlink()
    with pytest.raises(InputError) as caught:
        import_folder(copies.folder)
    text = str(caught.value)
    assert "2026-02-02/Opportunity.csv, row 2, column StageName: found 'Haggling' in 1 row" in text
    assert "Haggling,Closed Won,2026-02-04" in text or "Haggling," in text
    assert "Opportunity_2026-02-09.csv, row 2, column Probability: found '-5'" in text


def test_weekly_folders_of_everything_are_read_by_the_newest_history(copies, told, monkeypatch):
    """Who exports all objects every week has the history too, which holds more than the copies."""
    import shutil

    weekly = told.folder.parent / "weekly"
    for week in ("2026-02-02", "2026-02-09"):
        shutil.copytree(told.folder, weekly / week, ignore=shutil.ignore_patterns("*2026*"))
    org = import_folder(weekly)
    assert org.history["valid_from"].min() == pd.Timestamp("2026-01-05 10:00")
    assert set(org.history["values_state"]) == {"known"}


def test_copies_of_open_deals_alone_are_warned_about(export, monkeypatch):
    export.usual().rows("Opportunity_2026-02-09", OPEN)
    org = import_folder(export.folder)
    assert any("no closed deal" in problem.found for problem in org.warnings)
