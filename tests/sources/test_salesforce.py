"""Salesforce exports as files, from the usual to the awkward."""

from pathlib import Path

import pandas as pd
import pytest

from forecasteval.errors import InputError
from forecasteval.sources._ids import eighteen
from forecasteval.sources.history import states
from forecasteval.sources.salesforce import import_folder
from forecasteval.tables.settings import Settings

SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "crm" / "dbt_salesforce"
D1 = "006000000000001AAA"


def problems(export):
    with pytest.raises(InputError) as caught:
        import_folder(export.folder)
    return caught.value.problems


def count(org, check):
    return int(org.audit.set_index("check").loc[check, "count"])


def at(org, day):
    row = states(org.history, [day], org.settings).iloc[0]
    return row["stage"], row["amount"], row["status"], row["rep"], row["values_state"], row["rep_state"]


def test_the_state_follows_what_was_recorded_by_then(told):
    org = import_folder(told.folder)
    ann, bob = "005000000000001AAA", "005000000000002AAA"
    assert states(org.history, ["2026-01-04"], org.settings).empty
    assert at(org, "2026-01-19") == ("Discovery", 900, "open", ann, "known", "carried")
    assert at(org, "2026-01-20") == ("Discovery", 900, "open", bob, "known", "known")
    assert at(org, "2026-02-04") == ("Discovery", 900, "open", bob, "known", "known")
    assert at(org, "2026-02-05") == ("Closed Won", 1000, "won", bob, "known", "known")
    deal = org.deals.iloc[0]
    assert (deal["outcome"], deal["closed_on"], deal["created_on"]) == (
        "won", pd.Timestamp("2026-02-03"), pd.Timestamp("2026-01-05"),
    )  # fmt: skip
    assert count(org, "backdated closes") == 1
    assert count(org, "owner changes without ids") == 0


def test_files_of_an_export_may_be_workbooks_or_parquet(told):
    """A moment in a workbook has no zone; the export's are in UTC, as in the CSV."""
    as_csv = import_folder(told.folder)
    for name, suffix in (("Opportunity", "xlsx"), ("OpportunityHistory", "xlsx"), ("User", "parquet")):
        table = pd.read_csv(told.folder / f"{name}.csv", dtype=str)
        if suffix == "parquet":
            table.to_parquet(told.folder / f"{name}.parquet")
        else:
            table["CreatedDate"] = pd.to_datetime(table["CreatedDate"]).dt.tz_localize(None)
            table["Amount"] = table["Amount"].astype(float)
            table.to_excel(told.folder / f"{name}.xlsx", index=False)
        (told.folder / f"{name}.csv").unlink()
    org = import_folder(told.folder)
    for name in ("deals", "history", "users"):
        pd.testing.assert_frame_equal(getattr(org, name), getattr(as_csv, name))
    assert "Opportunity.xlsx: the sheet Sheet1 was read." in org.notes


def test_a_day_ends_in_the_organisations_zone(told):
    told.text("organisation.yaml", "timezone: America/Los_Angeles\ncut_off_hour: 2\n")
    org = import_folder(told.folder)
    # 2026-01-05T10:00Z is two o'clock in the morning there, the moment at which the 6th begins
    assert len(states(org.history, ["2026-01-05"], org.settings)) == 0
    assert len(states(org.history, ["2026-01-06"], org.settings)) == 1
    assert org.deals["created_on"].item() == pd.Timestamp("2026-01-06")


def test_headers_of_pipelines_and_of_the_api_give_the_same_tables(told, tmp_path):
    by_api = import_folder(told.folder)
    snake = tmp_path / "snake"
    snake.mkdir()
    for path in told.folder.glob("*.csv"):
        header, rest = path.read_text().split("\n", 1)
        words = [
            pd.Series([name]).str.replace(r"(?<=[a-z])(?=[A-Z])", "_", regex=True).item()
            for name in header.split(",")
        ]
        (snake / f"sf_{path.stem.lower()}_data.csv").write_text(",".join(words).lower() + "\n" + rest)
    by_pipeline = import_folder(snake)
    pd.testing.assert_frame_equal(by_api.deals, by_pipeline.deals)
    pd.testing.assert_frame_equal(by_api.history, by_pipeline.history)


def test_a_report_loses_its_footer_and_is_read_in_the_zone_of_the_organisation(export):
    export.usual().text("organisation.yaml", "timezone: America/New_York\n")
    export.text(
        "Opportunity.csv",
        '"Opportunity ID","Opportunity Owner","Stage","Amount","Probability (%)","Close Date","Created Date","Région"\n'
        '"006q000000Hddoh","Ann Able","Closed Won","1,234.50","100","2/23/2026","01/15/26 08:55 PM","Île"\n'
        '"006q000000HdPzp","Nobody Known","Proposal","","60","3/31/2026","1/6/2026, 9:00 AM","Sud"\n'
        '"Grand Totals (2 records)","","","1,234.50","","","",""\n"Sales pipeline"\n"Copyright (c) 2000-2026 salesforce.com, inc."\n"Confidential"\n',
        encoding="iso-8859-1",
    )
    org = import_folder(export.folder)
    assert org.deals["deal_id"].tolist() == ["006q000000HddohAAB", "006q000000HdPzpAAF"]
    assert org.deals["rep"].tolist() == ["005000000000001AAA", "Nobody Known"]
    assert org.deals["amount"].tolist()[0] == 1234.5
    assert org.deals["created_on"].dt.day.tolist() == [15, 6]
    assert org.deals["r_gion"].tolist() == ["Île", "Sud"]
    assert count(org, "report footer rows") == 4
    assert any("ISO-8859-1" in note for note in org.notes)
    assert any("4 footer rows" in note for note in org.notes)


@pytest.mark.parametrize(
    ("dates", "words"),
    [
        (["02/03/2026", "04/05/2026"], "ambiguous"),
        (["23/02/2026", "02/23/2026"], "one order"),
        (["31.02.2026", "01.01.2026"], "a date that exists"),
        (["soon", "2026-01-01"], "a date such as"),
    ],
)
def test_dates_that_cannot_be_read_are_refused(export, dates, words):
    export.usual().rows(
        "Opportunity", {"CloseDate": dates[0]}, {"Id": "006000000000002AAA", "CloseDate": dates[1]}
    )
    (problem,) = problems(export)
    assert words in str(problem)
    assert problem.column == "CloseDate"


def test_all_problems_of_all_files_come_at_once(told):
    told.rows(
        "Opportunity",
        *({"Id": f"00600000000000{n}AAA", "Probability": "1000"} for n in range(10, 60)),
        {"Id": D1, "Amount": "lots", "IsWon": "perhaps"},
        {"Id": D1},
    )
    told.rows("OpportunityHistory", {"StageName": "Haggling"}, {"CloseDate": "x"})
    told.rows("OpportunityFieldHistory", {"CreatedDate": "yesterday"})
    told.text("organisation.yaml", "timezone: Europe/Berlim\nfiscal_start: 2\n")
    told.text("calls.csv", "unit,period,as_of,forecaster,amount\nhouse,Q1,2026-01-01,rep,5\n")
    told.text(
        "forecasts/vendor.csv", "deal_id,forecaster,issued_at,kind,value\nD1,v,2026-01-01,probability,62\n"
    )
    found = problems(told)
    text = "\n".join(str(problem) for problem in found)
    for words in (
        "Opportunity.csv, row 2, column Probability: found '1000'; expected a number from 0 to 100",
        "45 more rows like these",
        "row 52, column Amount: found 'lots'; expected a number",
        "row 52, column IsWon: found 'perhaps'",
        f"row 53, column Id: found '{D1}' again; expected each opportunity once",
        "OpportunityHistory.csv, row 2, column StageName: found 'Haggling' in 1 row",
        "OpportunityHistory.csv, row 3, column CloseDate: found 'x'",
        "OpportunityFieldHistory.csv, row 2, column CreatedDate: found 'yesterday'",
        "organisation.yaml, row 1, column timezone: found 'Europe/Berlim'; expected a time zone such as Europe/Berlin or UTC. Did you mean Europe/Berlin?",
        "organisation.yaml, row 2, column fiscal_start: found an unknown key",
        "calls.csv, row 2, column unit: found 'house'; expected rep, team or company",
        "forecasts/vendor.csv, row 2, column value: found 62; expected a probability from 0 to 1. If these are percentages divide them by 100; if they are scores or ranks write rank_score in the column kind.",
    ):
        assert words in text


PASTE = "old_label,new_label,changed_on"


def test_an_unmapped_stage_comes_with_lines_to_paste_and_a_guess_from_probability_and_category(told):
    haggling = {"StageName": "Haggling, late", "Probability": "60", "ForecastCategory": "BestCase"}
    told.rows(
        "OpportunityHistory",
        haggling | {"CreatedDate": "2026-01-05T10:00:00Z"},
        haggling | {"CreatedDate": "2026-01-09T10:00:00Z"},
    )
    (problem,) = problems(told)
    assert "found 'Haggling, late' in 2 rows" in str(problem)
    lines = problem.advice.split(":\n")[-1]
    assert lines == f'{PASTE}\n"Haggling, late",Proposal,2026-01-10'
    told.text("stage_renames.csv", lines)
    org = import_folder(told.folder)
    assert org.history["stage"].unique().tolist() == ["Proposal"]
    assert count(org, "stage labels renamed") == 2


def test_tracked_changes_follow_the_guess_from_the_history(told):
    told.rows("OpportunityHistory", {"StageName": "Old", "Probability": "60", "ForecastCategory": "BestCase"})
    told.rows("OpportunityFieldHistory", {"Field": "StageName", "OldValue": "Old", "NewValue": "Closed Won"})
    assert [p.advice.split("\n")[-1][:13] for p in problems(told)] == ["Old,Proposal,"] * 2


@pytest.mark.parametrize(
    "row",
    [
        {"Probability": "75", "ForecastCategory": "Forecast"},  # no stage is like that
        {"Probability": "", "ForecastCategory": ""},
        {"Probability": "0", "ForecastCategory": "Pipeline"},  # like Closed Lost, but open
    ],
)
def test_a_stage_that_nothing_points_to_is_left_to_the_reader(told, row):
    told.rows("OpportunityHistory", {"StageName": "Technical Validation"} | row)
    (problem,) = problems(told)
    assert "Technical Validation,?,2026-01-06" in problem.advice
    assert "in place of the ?" in problem.advice


def test_no_closed_stage_is_guessed_for_open_rows_even_if_the_record_says_so(told):
    path = told.folder / "OpportunityStage.csv"
    path.write_text(path.read_text().replace("Closed Won,100,Closed", "Closed Won,90,Commit"))
    told.rows(
        "OpportunityHistory", {"StageName": "Verbal", "Probability": "90", "ForecastCategory": "Forecast"}
    )
    (problem,) = problems(told)
    assert "Verbal,?," in problem.advice


def test_a_question_mark_left_in_the_renames_is_an_error_that_says_what_to_do(told):
    told.rows("OpportunityHistory", {"StageName": "Verbal"})
    told.text("stage_renames.csv", f"{PASTE}\nVerbal,?,2026-02-01\n")
    (problem,) = problems(told)
    assert (problem.row, problem.column) == (2, "new_label")
    assert "write a stage (or category) of today there" in problem.advice


def test_open_rows_cannot_be_renamed_into_a_closed_stage(told):
    told.rows(
        "OpportunityHistory", {"StageName": "Verbal", "Probability": "90", "ForecastCategory": "Forecast"}
    )
    told.text("stage_renames.csv", f"{PASTE}\nVerbal,Closed Won,2026-02-01\n")
    (problem,) = problems(told)
    assert "'Verbal', renamed to the closed stage 'Closed Won', in 1 row that were open" in problem.found
    signed = {"StageName": "Verbal", "Probability": "100", "ForecastCategory": "Closed"}
    days = [{"CreatedDate": f"2026-01-{day}T10:00:00Z"} for day in (10, 12)]
    told.rows("OpportunityHistory", {}, *(signed | day for day in days))
    org = import_folder(told.folder)
    assert org.history["stage"].tolist()[-1] == "Closed Won"
    assert not any("renamed" in problem.found for problem in org.warnings)
    odd = {"StageName": "Verbal", "ForecastCategory": "Forecast"}
    told.rows("OpportunityHistory", *(signed | day for day in days), odd)
    assert [problem.severity for problem in import_folder(told.folder).warnings] == ["warning"]


def test_footer_rows_under_field_names_are_dropped_and_told(told):
    path = told.folder / "Opportunity.csv"
    whole = import_folder(told.folder).deals
    text = path.read_text()
    path.write_text(text + "Grand Totals (1 record)" + "," * 11 + "\nCopyright (c) 2026" + "," * 11 + "\n")
    org = import_folder(told.folder)
    pd.testing.assert_frame_equal(org.deals, whole)
    assert count(org, "report footer rows") == 2
    assert "Opportunity.csv is a report: 2 footer rows were left out." in org.notes


def test_a_row_without_a_salesforce_id_among_the_others_is_an_error(told):
    ids = [{"Id": f"00600000000000{n}AAA"} for n in range(2, 5)]
    told.rows("Opportunity", {}, {"Id": "Subtotal"}, *ids)
    (problem,) = problems(told)
    assert (problem.row, problem.column) == (3, "Id")
    assert "a Salesforce id" in problem.expected
    told.rows("Opportunity", *ids, {"Id": "D-99"})  # all its cells are filled: a deal, not a footer
    assert problems(told)[0].row == 5


def test_a_report_without_footer_is_not_said_to_have_one(export):
    export.usual().text(
        "Opportunity.csv",
        "Opportunity ID,Opportunity Owner,Stage,Close Date\n006q000000Hddoh,Ann Able,Closed Won,2/23/2026\n",
    )
    assert not any("footer" in note for note in import_folder(export.folder).notes)


def test_an_export_without_probability_or_with_an_empty_history_says_so(told):
    for name in ("Opportunity", "OpportunityHistory"):
        rows = pd.read_csv(told.folder / f"{name}.csv", dtype=str).drop(columns="Probability")
        rows.to_csv(told.folder / f"{name}.csv", index=False)
    assert any("no rep forecast as entered" in note for note in import_folder(told.folder).notes)
    header = (told.folder / "OpportunityHistory.csv").read_text().split("\n")[0]
    told.text("OpportunityHistory.csv", header + "\n")
    (warning,) = import_folder(told.folder).warnings
    assert (warning.file, warning.found) == ("OpportunityHistory.csv", "a header and no rows")


def test_a_folder_that_is_not_there_or_is_a_file_is_said(told):
    for path, words in ((told.folder / "nowhere", "no such folder"), (told.folder / "User.csv", "a file")):
        with pytest.raises(InputError) as caught:
            import_folder(path)
        assert caught.value.problems[0].found == words


def test_a_label_with_a_new_meaning_is_translated_only_before_the_change(told):
    told.text("stage_renames.csv", "old_label,new_label,changed_on\nDiscovery,Proposal,2026-01-10\n")
    told.rows("OpportunityHistory", {}, {"CreatedDate": "2026-01-12T10:00:00Z"})
    org = import_folder(told.folder)
    assert at(org, "2026-01-09")[0] == "Proposal"
    assert at(org, "2026-01-12")[0] == "Discovery"


def test_several_currencies_need_a_rate_table(export):
    export.usual().rows(
        "Opportunity",
        {"CurrencyIsoCode": "EUR"},
        {"Id": "006000000000002AAA", "CurrencyIsoCode": "USD"},
    )
    (problem,) = problems(export)
    assert "EUR (1), USD (1)" in problem.found
    assert "rate table" in problem.advice


@pytest.mark.parametrize("beside", [{"CurrencyIsoCode": "USD"}, {}], ids=["named", "of the deal"])
def test_several_currencies_become_one_by_the_rates_that_are_stated(export, beside):
    other = {"Id": "006000000000002AAA", "CurrencyIsoCode": "USD", "Amount": "50"}
    export.usual().rows("Opportunity", {"CurrencyIsoCode": "EUR", "Amount": "100"}, other)
    export.rows("OpportunityHistory", {"OpportunityId": "006000000000002AAA", "Amount": "40", **beside})
    export.text("organisation.yaml", "currency_rates: {EUR: 1, USD: 0.5}\nmax_age_days: 0\n")
    org = import_folder(export.folder)
    assert org.deals["amount"].tolist() == [100, 25]
    assert org.history["amount"].dropna().tolist() == [20]
    assert any("USD = 0.5" in note for note in org.notes)


def test_without_stages_the_flags_of_todays_records_decide(told):
    (told.folder / "OpportunityStage.csv").unlink()
    told.rows(
        "Opportunity",
        {},
        {"Id": "006000000000002AAA", "StageName": "Discovery", "IsClosed": "0", "IsWon": "FALSE", "Probability": "20",
         "ForecastCategory": "Pipeline"},
    )  # fmt: skip
    org = import_folder(told.folder)
    assert at(org, "2026-02-05")[2] == "won"
    assert org.stages.set_index("stage")["default_probability"].to_dict() == {
        "Closed Won": 1.0,
        "Discovery": 0.2,
    }
    assert any("OpportunityStage.csv" in note for note in org.notes)


def test_segments_are_few_valued_custom_fields_or_those_that_were_named(export):
    rows = [
        {"Id": f"00600000000{n:04}AAA", "Type": "New", "Region__c": "East" if n % 2 else "West", "Note__c": f"n{n}",
         "Rep__c": "x" if n % 2 else "y", "HasOpenActivity": "true"}
        for n in range(40)
    ]  # fmt: skip
    export.usual().rows("Opportunity", *rows)
    org = import_folder(export.folder)
    segments = set(org.deals.columns) - {
        "deal_id",
        "rep",
        "account",
        "created_on",
        "closed_on",
        "outcome",
        "amount",
    }
    assert segments == {"type", "region", "rep_segment"}
    export.text("organisation.yaml", "segments: [region, sise]\n")
    (problem,) = problems(export)
    assert problem.column == "sise"
    export.text("organisation.yaml", "segments: [Region__c, note]\n")
    assert list(import_folder(export.folder).deals.columns)[-2:] == ["region", "note"]


@pytest.mark.parametrize("name", ["Opportunity", "Opportunity_2026-02-09"])
def test_a_segment_may_be_called_as_a_column_of_the_records_is(export, name, monkeypatch):
    import conftest

    monkeypatch.setitem(conftest.EXAMPLES, name, conftest.OPPORTUNITY)
    fields = {"Status__c": "hot", "Stage__c": "late", "Row__c": "a", "As_Of__c": "x"}
    second = {"Id": "006000000000002AAA", "StageName": "Discovery", "IsClosed": "false", "IsWon": "false"}
    export.usual().rows(name, fields, dict.fromkeys(fields, "other") | second)
    deals = import_folder(export.folder).deals
    assert deals[["status", "stage", "row", "as_of_segment"]].iloc[0].tolist() == list(fields.values())
    assert deals["outcome"].tolist() == ["won", "open"]


def test_owner_by_name_falls_back_on_unique_users_only(told):
    told.rows(
        "OpportunityFieldHistory",
        {"OldValue": "Ann Able", "NewValue": "Bob Best", "CreatedDate": "2026-01-10T10:00:00Z"},
    )
    org = import_folder(told.folder)
    # two users are called Bob Best, so the name stays a name
    assert at(org, "2026-01-09")[3] == "005000000000001AAA"
    assert at(org, "2026-01-10")[3] == "Bob Best"
    assert count(org, "owner changes without ids") == 1


def test_managers_come_along_by_id_or_by_name(told):
    told.raw("User.csv", [
        {"Id": "005000000000001AAA", "Name": "Ann Able", "ManagerId": "005000000000003"},
        {"Id": "005000000000002AAA", "Name": "Bob Best", "ManagerId": "Cy Chief"},
        {"Id": "005000000000003AAA", "Name": "Cy Chief", "ManagerId": ""},
    ])  # fmt: skip
    users = import_folder(told.folder).users
    assert users["manager"].tolist()[:2] == ["005000000000003AAA"] * 2
    assert users["manager"].isna().tolist() == [False, False, True]


def test_without_owner_changes_todays_owner_is_carried_and_the_reader_is_told(told):
    (told.folder / "OpportunityFieldHistory.csv").unlink()
    org = import_folder(told.folder)
    assert set(org.history["rep_state"]) == {"carried"}
    assert any("today's owner" in note for note in org.notes)


def test_an_owner_that_never_changed_is_known_to_be_so_only_while_changes_were_tracked(told):
    second = {"Id": "006000000000002AAA", "CreatedDate": "2026-01-06T10:00:00Z"}
    told.rows("Opportunity", {}, second)
    told.rows("OpportunityHistory", {}, {"OpportunityId": second["Id"], "CreatedDate": second["CreatedDate"]})
    org = import_folder(told.folder)
    owner = org.history.set_index("deal_id")["rep_state"]
    assert owner[second["Id"]] == "unknown"
    told.text("organisation.yaml", "owners_tracked_since: 2025-01-01\n")
    owner = import_folder(told.folder).history.set_index("deal_id")["rep_state"]
    assert owner[second["Id"]] == "carried"


def test_a_missing_first_version_takes_the_old_side_of_the_first_change(told):
    told.rows("OpportunityHistory", {"StageName": "Proposal", "CreatedDate": "2026-01-15T10:00:00Z"})
    told.rows(
        "OpportunityFieldHistory",
        {"Field": "StageName", "OldValue": "Discovery", "NewValue": "Proposal", "CreatedDate": "2026-01-15T10:00:00Z"},
        {"Field": "Amount", "OldValue": "", "NewValue": "900", "CreatedDate": "2026-01-15T10:00:00Z"},
        {"Field": "CloseDate", "OldValue": "2026-06-30", "NewValue": "2026-03-31", "CreatedDate": "2026-01-15T10:00:00Z"},
        {"Field": "Probability", "OldValue": "20", "NewValue": "60", "CreatedDate": "2026-01-15T10:00:00Z"},
        {"Field": "ForecastCategory", "OldValue": "Forecast", "NewValue": "Pipeline", "CreatedDate": "2026-01-15T10:00:00Z"},
    )  # fmt: skip
    org = import_folder(told.folder)
    first = states(org.history, ["2026-01-10"], org.settings).iloc[0]
    assert first["values_state"] == "carried"
    assert (first["stage"], first["close_on"], first["rep_probability"], first["rep_category"]) == (
        "Discovery", pd.Timestamp("2026-06-30"), 0.2, "Commit",
    )  # fmt: skip
    assert pd.isna(first["amount"])
    assert count(org, "first version missing") == 1


def test_deleted_deals_are_counted_and_only_those_with_a_past_are_seen(told):
    told.rows(
        "Opportunity",
        {"IsDeleted": "true"},
        {"Id": "006000000000002AAA", "IsDeleted": "1", "StageName": "Proposal"},
    )
    told.rows("OpportunityHistory", {}, {"OpportunityId": "006000000000003AAA", "Id": "x"})
    told.text(
        "forecasts/v.csv",
        "deal_id,forecaster,issued_at,kind,value\n006000000000001,v,2026-01-06,probability,.5\nD9,v,2026-01-06,probability,.5\n",
    )
    org = import_folder(told.folder)
    assert org.deals.set_index("deal_id")["outcome"].to_dict() == dict.fromkeys(
        [D1, "006000000000002AAA", "006000000000003AAA"], "deleted"
    )
    assert sorted(org.history["deal_id"].unique()) == [D1, "006000000000003AAA"]
    assert (count(org, "deleted without history"), count(org, "deleted with history")) == (1, 2)
    # the vendor's 15 characters find the deal; the unknown one is counted and left out
    assert org.forecasts["deal_id"].tolist() == [D1]
    assert count(org, "forecast deals that the export lacks") == 1


def test_reopened_deals_keep_all_spells(told):
    versions = [("Closed Lost", "10"), ("Proposal", "12"), ("Closed Won", "20")]
    told.rows(
        "OpportunityHistory",
        *({"StageName": stage, "CreatedDate": f"2026-01-{day}T10:00:00Z"} for stage, day in versions),
    )
    org = import_folder(told.folder)
    seen = states(org.history, pd.date_range("2026-01-10", "2026-01-21"), org.settings)
    assert seen["status"].tolist() == ["lost"] * 2 + ["open"] * 8 + ["won"] * 2
    assert count(org, "re-opened") == 1
    assert states(org.history, ["2026-01-11"], org.settings, open_only=True).empty


def test_ties_within_a_second_are_ordered_by_id_and_counted(told):
    rows = [{"Id": "008000000000009AAA", "Amount": "9"}, {"Id": "008000000000005AAA", "Amount": "5"}]
    told.rows("OpportunityHistory", *rows)
    org = import_folder(told.folder)
    assert org.history["amount"].tolist()[-1] == 9
    told.rows("OpportunityHistory", *reversed(rows))
    assert import_folder(told.folder).history["amount"].tolist()[-1] == 9
    assert count(org, "same-second ties") == 2


def test_the_last_version_is_compared_with_todays_record(told):
    told.rows("Opportunity", {"Amount": "777", "CloseDate": "2026-02-04"})
    org = import_folder(told.folder)
    found = {name: count(org, f"last version disagrees: {name}") for name in ("stage", "amount", "close_on")}
    assert found == {"stage": 0, "amount": 1, "close_on": 1}


def test_with_only_todays_table_nothing_is_known_and_the_reader_is_told_why(export):
    org = import_folder(export.usual().rows("Opportunity", {}).folder)
    assert org.history is None
    assert org.snapshots is None
    assert any("cannot be compared" in note for note in org.notes)
    assert "cannot be compared" in org.audit.set_index("check").loc["past states known", "what_it_means"]


def test_files_that_are_ambiguous_or_missing_are_named(export):
    export.usual().rows("Opportunity", {}).raw("sf_opportunity_data.csv", [{"Id": "x"}])
    assert "Opportunity.csv and sf_opportunity_data.csv" in problems(export)[0].file
    for path in export.folder.glob("*pportunity*"):
        path.unlink()
    assert problems(export)[0].expected == "Opportunity.csv"


def test_an_export_without_rows_is_refused(export):
    export.text("Opportunity.csv", "Id,StageName,CloseDate\n")
    assert problems(export)[0].found == "a header and no rows"


def test_a_missing_field_is_named(export):
    export.text("Opportunity.csv", "Id,Stage_Nam,Amount\n1,x,5\n")
    found = {problem.column: problem for problem in problems(export)}
    assert set(found) == {"StageName", "CloseDate"}
    assert "Did you mean Stage_Nam?" in found["StageName"].advice


@pytest.fixture
def sample(tmp_path):
    if not SAMPLE.exists():
        pytest.skip("the samples of real exports are not beside the project")
    for path in SAMPLE.glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_real_pipeline_copy_is_refused_for_its_probability_of_1000(sample):
    with pytest.raises(InputError) as caught:
        import_folder(sample)
    text = str(caught.value)
    assert (
        "sf_opportunity_data.csv, row 2, column probability: found '1000'; expected a number from 0 to 100"
        in text
    )
    assert "sf_opportunity_history_data.csv, row 2, column probability: found '1000'" in text
    # the sample's category labels are hashed, so nobody can explain them
    assert "column forecast_category" in text


def test_a_real_pipeline_copy_with_versions_is_read_once_it_is_mended(sample):
    for name in ("sf_opportunity_data.csv", "sf_opportunity_history_data.csv"):
        text = (sample / name).read_text().replace(",1000,", ",100,")
        for hashed, label in (("A/SkeDD5c3ejUyEFFoUHHg==", "Closed"), ("AloDHjNI+wntE4Eetriz+w==", "Omitted"),
                              ("rq6uxRtOa4gSLxCtlqjecg==", "Forecast")):  # fmt: skip
            text = text.replace(hashed, label)
        (sample / name).write_text(text)
    org = import_folder(sample)
    assert len(org.deals) == 10
    assert set(org.deals["outcome"]) == {"deleted"}
    # sentinel ends of the year 9999 stand for "still valid"; two rows ended on 2019-04-04
    known = org.history[org.history["values_state"] == "known"]
    assert known["valid_to"].notna().sum() == 1 + 1
    assert known["valid_from"].min() == pd.Timestamp("2019-04-03 18:36:06")
    early = states(org.history, ["2019-01-01"], org.settings)
    assert set(early["values_state"]) == {"unknown"}


def test_ids_of_salesforce_are_completed_and_others_left_alone():
    ids = pd.Series(["006q000000Hddoh", "006q000000HddohAAB", "D-1", None, "abcdefghijklmno"])
    assert eighteen(ids).tolist()[:3] == ["006q000000HddohAAB", "006q000000HddohAAB", "D-1"]
    assert eighteen(ids).tolist()[4] == "abcdefghijklmno"


def test_a_close_date_with_a_zone_is_a_day_of_the_organisation(tmp_path):
    (tmp_path / "Opportunity.csv").write_text(
        "Id,StageName,CloseDate,IsClosed,IsWon\n"
        "D1,Won,2026-04-01T00:00:00+02:00,true,true\nD2,Won,2026-03-31T23:30:00-05:00,true,true\n"
    )
    days = {
        zone: import_folder(tmp_path, settings).deals["closed_on"].dt.day.tolist()
        for zone, settings in (("", Settings()), ("Berlin", Settings(timezone="Europe/Berlin")))
    }
    assert days == {"": [1, 31], "Berlin": [1, 1]}


def test_two_columns_of_one_field_are_refused(tmp_path):
    (tmp_path / "Opportunity.csv").write_text(
        "Id,StageName,CloseDate,IsClosed,IsWon,Amount,Amount\nD1,Won,2026-04-01,true,true,1,2\n"
    )
    with pytest.raises(InputError, match=r"2 that may be meant: Amount \(column 6\), Amount \(column 7\)"):
        import_folder(tmp_path)
