"""Which system an export is of: guessed from names and headers, with the reason; asked where two fit equally."""

from pathlib import Path

import pandas as pd
import pytest

from forecasteval.cli import main
from forecasteval.errors import InputError
from forecasteval.sources.folder import check, import_export
from forecasteval.sources.system import guess, system_of
from forecasteval.tables.settings import read_settings

SAMPLE = Path(__file__).parents[3] / "shared" / "samples" / "crm"
HUBSPOT_LABELS = "Record ID,Deal Name,Deal Stage,Close Date,Create Date,Deal owner,Amount\n7,A,Closed Won,2026-02-03 10:00,2026-01-05 10:00,Ann,5\n"
DYNAMICS = "opportunityid,statecode,estimatedclosedate\n00000000-0000-0000-0000-000000000001,0,2026-03-31\n"
EITHER = (
    "id,stage,amount,expected_close_date,status,add_time,owner_id\n1,Talk,5,2026-03-31,open,2026-01-05,7\n"
)
HEADERS = {
    "salesforce": ("Opportunity.csv", "Id,StageName,CloseDate,IsClosed,IsWon\n"),
    "hubspot": ("hubspot-crm-exports-my-deals-2026-02-02.csv", HUBSPOT_LABELS),
    "dynamics": ("opportunities.csv", DYNAMICS),
    "pipedrive": ("deals-123.csv", EITHER),
    "zoho": ("Deals_001.csv", "Record Id,Stage,Amount,Closing Date,Created Time\n"),
    "history": ("crm_deals.csv", "deal_id,stage,amount,close_on,status\n"),
}


@pytest.mark.parametrize("system", HEADERS)
def test_names_and_headers_show_the_system(system, tmp_path):
    name, text = HEADERS[system]
    (tmp_path / name).write_text(text)
    assert guess(tmp_path) == system
    dialect, why = system_of(tmp_path)
    assert f"Read as {dialect.name}: {name} has " in why


def test_two_that_fit_equally_are_asked_about_and_the_answer_counts(tmp_path):
    (tmp_path / "opportunities.csv").write_text(
        "opportunityid,statecode,estimatedclosedate,createdon,Id,StageName,CloseDate\nx,0,2026-03-31,2026-01-05,y,Talk,2026-03-31\n"
    )
    with pytest.raises(InputError) as caught:
        system_of(tmp_path)
    assert "headers that fit Salesforce and Dynamics 365 equally" in str(caught.value)
    assert "`system: salesforce` or `system: dynamics`" in str(caught.value)
    (tmp_path / "organisation.yaml").write_text("system: dynamics\n")
    assert system_of(tmp_path, read_settings(tmp_path)[0].system)[0].name == "Dynamics 365"
    with pytest.raises(InputError) as caught:
        system_of(tmp_path, "hubspott")
    assert "Did you mean hubspot?" in str(caught.value)


def test_a_folder_alone_is_imported_and_says_what_it_is(tmp_path, capsys):
    export = tmp_path / "export"
    export.mkdir()
    (export / "deals.csv").write_text(HUBSPOT_LABELS)
    assert main(["import", str(export), "--out", str(tmp_path / "acme"), "--timezone", "Europe/Berlin"]) == 0
    assert "Read as HubSpot: deals.csv has Deal Stage" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "acme")]) == 0
    assert (
        "Nothing is known of the past: forecasts can be compared from 2026-04-14 on"
        in capsys.readouterr().out
    )


def test_a_history_whose_values_were_left_out_is_refused(tmp_path):
    (tmp_path / "Opportunity.csv").write_text(
        "Id,StageName,CloseDate,IsClosed,IsWon\nD1,Talk,2026-02-03,false,false\n"
    )
    (tmp_path / "OpportunityFieldHistory.csv").write_text(
        "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\nH1,D1,Amount,,,2026-01-05T10:00:00Z\n"
    )
    with pytest.raises(InputError) as caught:
        import_export(tmp_path)
    assert "no value in any row" in str(caught.value)


def test_a_stage_that_might_be_a_close_is_asked_about(tmp_path):
    (tmp_path / "Deals.csv").write_text(
        "Record Id,Stage,Probability,Closing Date,Created Time\nzcrm_1,Verloren,0,2026-02-03,2026-01-05\n"
        "zcrm_2,Verhandlung,60,2026-02-03,2026-01-05\n"
    )
    with pytest.raises(InputError) as caught:
        import_export(tmp_path)
    assert "'Verloren'; expected a stage that says whether it is open, won or lost, or Stages.csv" in str(
        caught.value
    )
    assert "Verhandlung" not in str(caught.value)


@pytest.mark.skipif(not SAMPLE.exists(), reason="needs ../shared/samples")
def test_the_seeds_of_a_dbt_package_are_known_for_what_they_are(tmp_path):
    for name in ("deal_data", "deal_property_history_data", "deal_pipeline_stage_data", "owner_data"):
        (tmp_path / f"{name}.csv").write_bytes((SAMPLE / "dbt_hubspot" / f"{name}.csv").read_bytes())
    assert guess(tmp_path) == "hubspot"
    assert all(problem.file and problem.found for problem in check(tmp_path))


def test_a_table_of_no_system_is_sent_to_the_import_of_tables(tmp_path):
    (tmp_path / "deals.csv").write_text("id,etapa,importe\n1,Propuesta,5\n")
    with pytest.raises(
        InputError, match=r"headers of no system that is known .* import table .*deals.csv --explain"
    ):
        system_of(tmp_path)


def test_a_title_above_the_header_is_the_reason_that_is_given(tmp_path):
    (tmp_path / "Opportunity.csv").write_text("Pipeline FY26\nId,StageName,Id\nD1,Talk,2026-02-03\n")
    with pytest.raises(InputError, match=r"'Pipeline FY26' above the table.* row 2"):
        system_of(tmp_path)


def test_closed_deals_of_which_nothing_says_won_or_lost_are_no_open_ones(tmp_path):
    (tmp_path / "deals.csv").write_text(
        "ID,STAGE_ID,CLOSEDATE,CLOSED\n1,Сделка провалена,2026-02-03,Y\n2,Выдано,2026-02-03,Y\n3,Звонок,2026-02-03,N\n"
    )
    with pytest.raises(InputError) as caught:
        import_export(tmp_path)
    assert "'Сделка провалена'" in str(caught.value)
    assert "label,is_closed,is_won" in str(caught.value)
    assert "Звонок" not in str(caught.value)
    (tmp_path / "stages.csv").write_text(
        "label,is_closed,is_won\nСделка провалена,true,false\nВыдано,true,true\nЗвонок,false,false\n"
    )
    assert import_export(tmp_path).deals["outcome"].tolist() == ["lost", "won", "open"]


def test_an_export_without_any_outcome_or_amount_says_so(tmp_path):
    (tmp_path / "deals.csv").write_text("Record ID,Deal Stage,Amount,Close Date\n1,Angebot,,2026-02-03\n")
    said = "\n".join(map(str, import_export(tmp_path).warnings))
    assert "no deal that is won or lost" in said
    assert "Angebot" in said
    assert "column Amount: found nothing in any row" in said


DEALS = [f"D{n},{('Won', 'Lost', 'Open')[n % 3]},{n}00,2026-02-{n:02},r{n % 2}\n" for n in range(1, 10)]


def test_a_table_of_many_days_is_read_as_a_copy_for_each(tmp_path):
    long, apart = tmp_path / "long", tmp_path / "apart"
    for folder in (long, apart):
        folder.mkdir()
    head = "deal_id,stage,amount,close_date,owner\n"
    copies = {
        f"2026-01-{day:02}": [
            f"D{n},{'Won' if n < week else 'Open'},{n}00,2026-02-{n + week:02},r{n % 2}\n"
            for n in range(1, 9)
        ]
        for week, day in enumerate((5, 12, 19, 26))
    }
    for day, lines in copies.items():
        (apart / f"deals_{day}.csv").write_text(head + "".join(lines))
    lines = [f"{day},{line}" for day, rows in copies.items() for line in rows]
    (long / "deals_weekly.csv").write_text("snapshot_date," + head + "".join(lines))
    one, several = import_export(long), import_export(apart)
    pd.testing.assert_frame_equal(one.deals, several.deals)
    pd.testing.assert_frame_equal(one.history, several.history)
    assert "The past comes from 4 dated copies, 2026-01-05 to 2026-01-26." in one.notes


def test_rows_that_repeat_another_in_every_cell_are_left_out_and_others_refused(tmp_path):
    file, head = tmp_path / "deals.csv", "deal_id,stage,amount,close_date,owner\n"
    file.write_text(head + "".join(DEALS) + DEALS[3])
    org = import_export(tmp_path)
    assert len(org.deals) == 9
    assert (
        "deals.csv: 1 rows repeat another one in every cell and were left out, the first is row 11."
        in org.notes
    )
    file.write_text(head + "".join(DEALS) + DEALS[3].replace("Lost", "Won"))
    with pytest.raises(InputError, match="row 11, column deal_id: found 'D4' again"):
        import_export(tmp_path)


def test_stages_of_salesforce_speak_where_no_flags_do(tmp_path):
    file, head = tmp_path / "Opportunity.csv", "Id,StageName,CloseDate,Amount\n"
    file.write_text(head + "1,Closed Won,2026-02-03,5\n2,Closed Lost,2026-02-03,5\n3,Signing,2026-02-03,5\n")
    org = import_export(tmp_path)
    assert org.deals["outcome"].tolist() == ["won", "lost", "open"]
    assert "found stages whose names do not say so: Signing (1)" in "\n".join(map(str, org.warnings))
    file.write_text(file.read_text() + "4,Lost to competitor,2026-02-03,5\n")
    with pytest.raises(
        InputError, match=r"row 5, column StageName: found 'Lost to competitor'.*OpportunityStage\.csv"
    ):
        import_export(tmp_path)


def test_a_lost_deal_of_pipedrive_closed_when_it_was_lost_and_no_segment_knows(tmp_path):
    (tmp_path / "deals-77.csv").write_text(
        "Deal - ID,Deal - Value,Deal - Status,Deal - Stage,Deal - Label,Deal - Expected close date,Deal - Won time,Deal - Lost time,"
        "Deal - Lost reason\n"
        "1,5,Won,Talk,a,2026-02-01,2026-03-01 10:00,,\n2,5,Lost,Talk,b,2026-02-01,,2026-03-02 10:00,price\n"
        "3,5,Lost,Talk,b,2026-02-01,,2026-03-02 10:00,time\n4,5,Open,Talk,b,2026-02-01,,,\n"
    )
    deals = import_export(tmp_path).deals
    assert deals["closed_on"].dt.strftime("%m-%d").tolist()[:2] == ["03-01", "03-02"]
    assert not {"deal_status", "deal_value", "deal_lost_reason"} & set(deals)


def test_words_for_nobody_are_no_rep_and_an_amount_of_another_name_is_hinted_at(tmp_path):
    (tmp_path / "deals.csv").write_text(
        "deal_id,stage,deal_sum,close_date,owner\nD1,Won,5,2026-02-03,NULL\nD2,Lost,5,2026-02-03,Ann\n"
    )
    org = import_export(tmp_path)
    assert org.deals["rep"].isna().tolist() == [True, False]
    assert "deals.csv, column owner: 1 cells of NULL were taken as empty." in org.notes
    assert "column amount: found no such column" in "\n".join(map(str, org.warnings))
