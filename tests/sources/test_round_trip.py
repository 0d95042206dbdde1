"""The demo as each system would export it, imported: equal to the demo itself, up to losses that are stated."""

import shutil

import numpy as np
import other_systems
import pandas as pd
import pytest
from other_systems import CLOSED, DEMO, Demo

from forecasteval.sources.folder import import_export
from forecasteval.sources.history import states
from forecasteval.sources.salesforce import import_folder

SETTINGS = "name: Halden\ntimezone: America/New_York\nfiscal_year_start_month: 2\nmax_age_days: 0\nsegments: [region, segment]\n"
OPEN = ["stage", "amount", "close_on", "rep_probability", "rep_category", "rep"]
# what each system keeps: who owned a deal from its first day on, and what it lacks
SYSTEMS = {
    "hubspot": {"lacks": ()},
    "dynamics": {"lacks": (), "own_status": True},
    "pipedrive": {"lacks": ("rep_category",), "own_status": True},
    "zoho": {"lacks": ()},
    "field_history": {"lacks": ()},
}


@pytest.fixture(scope="module")
def demo():
    return Demo.of(every=25)


@pytest.fixture(scope="module")
def truth(demo, tmp_path_factory):
    """The same deals out of the Salesforce export."""
    folder = tmp_path_factory.mktemp("salesforce")
    (folder / "organisation.yaml").write_text(SETTINGS)
    shutil.copy(DEMO / "calendar.csv", folder)
    shutil.copy(DEMO / "OpportunityStage.csv", folder)
    shutil.copy(DEMO / "User.csv", folder)
    demo.deals.to_csv(folder / "Opportunity.csv", index=False)
    demo.versions.to_csv(folder / "OpportunityHistory.csv", index=False)
    own = demo.changes[(demo.changes["field"] == "OwnerId") & demo.changes["old"].notna()]
    pd.DataFrame({
        "Id": "017" + pd.Series(range(len(own))).astype(str), "OpportunityId": own["deal"].to_numpy(), "Field": "Owner",
        "OldValue": own["old"].to_numpy(), "NewValue": own["new"].to_numpy(), "CreatedDate": own["at"].to_numpy(),
    }).to_csv(folder / "OpportunityFieldHistory.csv", index=False)  # fmt: skip
    return import_folder(folder)


def imported(system, demo, folder):
    """The organisation by way of a system, with the demo's own ids."""
    (folder / "organisation.yaml").write_text(SETTINGS)
    shutil.copy(DEMO / "calendar.csv", folder)
    ids, people = getattr(other_systems, system)(demo, folder)
    org = import_export(folder)
    back, persons = {v: k for k, v in ids.items()}, {v: k for k, v in people.items()}
    return org, back, persons


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_demo_comes_back(system, demo, truth, tmp_path):
    org, back, persons = imported(system, demo, tmp_path)
    deals = org.deals.assign(deal_id=org.deals["deal_id"].map(back), rep=org.deals["rep"].map(persons))
    columns = ["deal_id", "rep", "outcome", "closed_on", "created_on", "region", "segment"]
    there = truth.deals.sort_values("deal_id", ignore_index=True)
    pd.testing.assert_frame_equal(deals.sort_values("deal_id", ignore_index=True)[columns], there[columns])
    days = pd.date_range("2024-03-01", "2026-03-20", freq="W")
    ours = states(org.history, days, org.settings)
    ours = ours.assign(deal_id=ours["deal_id"].map(back), rep=ours["rep"].map(persons))
    theirs = states(truth.history, days, truth.settings)
    both = theirs.merge(ours, on=["deal_id", "as_of"], how="outer", suffixes=("", "_ours"), indicator=True)
    assert (both["_merge"] == "both").all()
    assert (both["status"] == both["status_ours"]).all()
    still = both[(both["status"] == "open") & (both["values_state_ours"] != "unknown")]
    for column in set(OPEN) - set(SYSTEMS[system]["lacks"]):
        known = still[still["rep_state"] != "unknown"] if column == "rep" else still
        a, b = known[column], known[f"{column}_ours"]
        same = np.isclose(a, b, equal_nan=True) if a.dtype == float else (a.eq(b) | (a.isna() & b.isna()))
        assert same.all(), (column, known.loc[~same, ["deal_id", "as_of", column, f"{column}_ours"]].head())
    won = both[both["status"] == "won"]
    if SYSTEMS[system].get("own_status"):
        # of a close that was undone only the day remains on which it was recorded
        closes = demo.versions[demo.versions["StageName"].isin(CLOSED)].drop_duplicates(
            "OpportunityId", keep="last"
        )
        since = pd.to_datetime(closes.set_index("OpportunityId")["CreatedDate"]).dt.tz_localize(None)
        undone = won["as_of"] < won["deal_id"].map(since).dt.floor("D")
        assert undone.mean() < 0.01
        won = won[~undone]
    assert (won["close_on"] == won["close_on_ours"]).all()
    np.testing.assert_allclose(won["amount"], won["amount_ours"])
    assert (both["values_state_ours"] == "unknown").mean() < 0.03
