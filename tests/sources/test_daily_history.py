"""One row per deal and day, as dbt models keep it: the same states as the history it was made from, holes unknown."""

import numpy as np
import pandas as pd
import pytest
from other_systems import Demo
from test_round_trip import SETTINGS, truth  # noqa: F401

from forecasteval.sources.folder import import_export
from forecasteval.sources.history import states

UTC = SETTINGS.replace("America/New_York", "UTC")


@pytest.fixture(scope="module")
def demo():
    return Demo.of(every=200)


@pytest.fixture(scope="module")
def daily(truth):  # noqa: F811
    """What the model writes: each day's row is the state at midnight, in the columns of the record."""
    org = truth
    zone = org.settings.model_copy(update={"timezone": "UTC"})
    then = states(org.history, pd.date_range("2024-06-01", "2024-12-31"), zone)
    category = {"Commit": "Forecast", "Best Case": "BestCase"}
    flags = {"is_closed": then["status"] != "open", "is_won": then["status"] == "won"}
    return pd.DataFrame({
        "date_day": then["as_of"] + pd.Timedelta(days=1), "opportunity_id": then["deal_id"], "stage_name": then["stage"],
        "amount": then["amount"], "close_date": then["close_on"], "probability": then["rep_probability"] * 100,
        "forecast_category": then["rep_category"].replace(category), "owner_id": then["rep"], **flags,
        "created_date": then["deal_id"].map(org.deals.set_index("deal_id")["created_on"]),
    })  # fmt: skip


def imported(daily, folder):
    daily.to_csv(folder / "salesforce__opportunity_daily_history.csv", index=False)
    (folder / "organisation.yaml").write_text(UTC.replace("segments: [region, segment]\n", ""))
    return import_export(folder)


def test_the_states_come_back(daily, tmp_path):
    org = imported(daily, tmp_path)
    days = pd.date_range("2024-06-02", "2024-12-29", freq="W")
    ours = states(org.history, days, org.settings)
    given = daily.assign(as_of=daily["date_day"] - pd.Timedelta(days=1)).rename(
        columns={"opportunity_id": "deal_id"}
    )
    both = given[given["as_of"].isin(days)].merge(
        ours, on=["deal_id", "as_of"], how="outer", suffixes=("", "_ours"), indicator=True
    )
    assert (both["_merge"] == "both").all()
    assert (both["values_state"] == "known").all()
    assert (both["stage"] == both["stage_name"]).all()
    np.testing.assert_allclose(both["amount"], both["amount_ours"])
    assert (both["close_date"] == both["close_on"]).all()
    assert (both["owner_id"].fillna("") == both["rep"].fillna("")).all()
    won = daily.loc[daily["is_won"] & (daily["date_day"] == daily["date_day"].max()), "opportunity_id"]
    assert set(org.deals.loc[org.deals["outcome"] == "won", "deal_id"]) == set(won)


def test_days_that_are_missing_are_unknown_and_counted(daily, tmp_path):
    still = daily[~daily["is_closed"]]
    deal = still["opportunity_id"].value_counts().index[0]
    its = still.loc[still["opportunity_id"] == deal, "date_day"].sort_values()
    hole = its.iloc[10:31]
    org = imported(daily[~((daily["opportunity_id"] == deal) & daily["date_day"].isin(hole))], tmp_path)
    counted = org.audit.set_index("check").loc["days missing from the daily history"]
    assert counted["count"] == len(hole)
    seen = states(org.history, hole - pd.Timedelta(days=1), org.settings).query("deal_id == @deal")
    assert (seen["values_state"] == "unknown").all()
    assert seen["amount"].isna().all()
    after = states(org.history, [its.iloc[32]], org.settings).query("deal_id == @deal")
    assert after["values_state"].tolist() == ["known"]


def test_open_deals_that_the_newest_day_lacks_are_deleted(daily, tmp_path):
    last = daily["date_day"].max()
    deal = daily.loc[~daily["is_closed"] & (daily["date_day"] == last), "opportunity_id"].iloc[0]
    org = imported(
        daily[~((daily["opportunity_id"] == deal) & (daily["date_day"] > last - pd.Timedelta(days=9)))],
        tmp_path,
    )
    assert org.deals.set_index("deal_id").loc[deal, "outcome"] == "deleted"
