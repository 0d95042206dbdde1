"""What people submitted, out of each system that keeps it."""

import pandas as pd
import pytest

from forecasteval.sources.folder import import_export

ANN, BOB = "005000000000001AAA", "005000000000002AAA"
CALENDAR = "period,starts_on,ends_on\nQ1,2026-01-01,2026-03-31\nQ2,2026-04-01,2026-06-30\n"


@pytest.fixture
def salesforce(told):
    return told.text("calendar.csv", CALENDAR)


def calls(folder):
    org = import_export(folder)
    table = org.calls.set_index(["unit_id", "as_of", "forecaster"]).sort_index()
    return org, table


def test_submissions_and_their_items(salesforce):
    head = {"ForecastOwnerId": BOB, "PeriodStartDate": "2026-01-01", "IsLatest": "false"}
    salesforce.raw("ForecastingSubmission.csv", [
        head | {"Id": "A", "SubmissionDateTime": "2026-01-12T09:00:00.000Z"},
        head | {"Id": "B", "SubmissionDateTime": "2026-01-19T09:00:00.000Z"},
        head | {"Id": "C", "SubmissionDateTime": "2026-01-19T15:00:00.000Z"},
        head | {"Id": "D", "SubmissionDateTime": "2026-01-19T15:00:00.000Z", "ForecastOwnerId": ANN},
    ])  # fmt: skip
    items = [("A", "CommitForecast", 100), ("A", "BestCaseForecast", 150), ("A", "ClosedOnly", 10),
             ("B", "CommitForecast", 90), ("C", "CommitForecast", 95), ("D", "CommitForecast", 500)]  # fmt: skip
    salesforce.raw("ForecastingSubmissionItem.csv", [
        {"Id": str(i), "ForecastingSubmissionId": a, "ForecastingItemCategory": b, "Amount": c}
        for i, (a, b, c) in enumerate(items)
    ])  # fmt: skip
    org, table = calls(salesforce.folder)
    assert table["amount"].to_dict() == {
        (BOB, pd.Timestamp("2026-01-12"), "rep_forecast"): 100,
        (BOB, pd.Timestamp("2026-01-12"), "rep_forecast_best_case"): 150,
        (BOB, pd.Timestamp("2026-01-19"), "rep_forecast"): 95,
        (ANN, pd.Timestamp("2026-01-19"), "manager_forecast"): 500,
    }
    assert set(table["period"]) == {"Q1"}
    assert table["unit"].to_dict()[(ANN, pd.Timestamp("2026-01-19"), "manager_forecast")] == "team"
    (said,) = [note for note in org.notes if note.startswith("Calls: 4 submissions")]
    assert "1 were replaced on the same day" in said


def test_claris_long_form_keeps_what_was_only_carried_on(salesforce):
    head = {"User": "Bob Best", "Email": "b@example.com", "CRM User ID": BOB, "Role": "Rep", "Parent Role": "West",
            "Timeframe": "Q1", "Field": "Monthly Commit", "Week": "2"}  # fmt: skip
    weeks = [
        ("2026-01-05", "2026-01-11", "$3,000,190.00", "Yes"),
        ("2026-01-12", "2026-01-18", "$3,000,190.00", "No"),
    ]
    salesforce.raw("clari_export.csv", [
        head | {"Start Day": start, "End Day": end, "Data Type": kind, "Data Value": value}
        for start, end, amount, updated in weeks
        for kind, value in (("Forecast Value", amount), ("Forecast Updated", updated))
    ])  # fmt: skip
    org, table = calls(salesforce.folder)
    assert table["amount"].tolist() == [3000190.0, 3000190.0]
    assert table["updated"].tolist() == ["yes", "no"]
    assert table["level"].tolist() == ["monthly commit"] * 2
    assert any("1 carry the last one on unchanged" in note for note in org.notes)


def test_hubspots_forecasts(tmp_path):
    (tmp_path / "deals.csv").write_text(
        "hs_object_id,dealstage,closedate,createdate,hubspot_owner_id\n7,closedwon,2026-02-03T10:00:00Z,2026-01-05T10:00:00Z,44\n"
    )
    (tmp_path / "calendar.csv").write_text(CALENDAR)
    (tmp_path / "forecasts.csv").write_text(
        "id,hubspot_owner_id,hs_amount,hs_forecast_start_date,hs_milestone,hs_createdate\n"
        "1,44,1200,2026-01-01,quarterly,2026-01-20T19:42:51.001Z\n2,44,1300,2031-01-01,quarterly,2026-01-20T19:42:51.001Z\n"
    )
    org, table = calls(tmp_path)
    assert table["amount"].tolist() == [1200]
    assert table.index[0] == ("44", pd.Timestamp("2026-01-20"), "rep_forecast")
    assert any("1 have no amount, day or period" in note for note in org.notes)
