"""HubSpot keeps 20 values of a property: what came before is unknown, and said; today's stage odds are no history."""

import pandas as pd

from forecasteval.sources.folder import import_export
from forecasteval.sources.history import states

REVISIONS = 30


def write_export(folder):
    """Two deals: the amount of the first was changed 29 times, of which the export holds the last 20 values."""
    (folder / "organisation.yaml").write_text("max_age_days: 0\n")
    (folder / "deals.csv").write_text(
        "hs_object_id,dealstage,amount,closedate,createdate,hubspot_owner_id,hs_is_closed_won,hs_is_closed_lost\n"
        "1,talk,129,2026-03-31T10:00:00Z,2026-01-01T08:00:00Z,9,false,false\n"
        "2,talk,50,2026-03-31T10:00:00Z,2026-01-01T08:00:00Z,9,false,false\n"
    )
    days = pd.date_range("2026-01-01T08:00", periods=REVISIONS, freq="D")
    rows = [f"1,amount,{day:%Y-%m-%dT%H:%M:%SZ},{100 + i}" for i, day in enumerate(days)][-20:]
    rows += [f"2,amount,{days[0]:%Y-%m-%dT%H:%M:%SZ},50"]
    for deal in (1, 2):
        rows += [
            f"{deal},dealstage,{days[0]:%Y-%m-%dT%H:%M:%SZ},talk",
            f"{deal},closedate,{days[0]:%Y-%m-%dT%H:%M:%SZ},2026-03-31T10:00:00Z",
        ]
    (folder / "deal_property_history.csv").write_text(
        "deal_id,name,timestamp,value\n" + "\n".join(rows) + "\n"
    )
    (folder / "deal_pipeline_stage.csv").write_text(
        "stage_id,label,probability,is_closed,closed_won\ntalk,talk,0.2,false,false\n"
    )
    return folder


def test_a_field_at_the_cap_is_unknown_before_its_oldest_value_and_counted(tmp_path):
    org = import_export(write_export(tmp_path))
    at_cap = org.audit.set_index("check").loc["fields at the cap of kept values"]
    assert (at_cap["count"], at_cap["of"]) == (1, 6)
    shown = states(org.history, ["2026-01-05", "2026-01-10", "2026-01-11", "2026-01-30"], org.settings)
    busy = shown[shown["deal_id"] == "1"].set_index("as_of")
    assert busy["values_state"].tolist() == ["unknown", "unknown", "known", "known"]
    assert busy["amount"].tolist()[2:] == [110, 129]
    assert busy["amount"].isna().tolist()[:2] == [True, True]
    assert shown.loc[shown["deal_id"] == "2", "values_state"].eq("known").all()


def test_tables_that_nobody_reads_are_named_and_hindsight_is_left_aside(tmp_path):
    write_export(tmp_path)
    (tmp_path / "hubspot__deal_stages.csv").write_text(
        "deal_id,pipeline_stage_label,probability\n1,talk,0.2\n"
    )
    (tmp_path / "companies.csv").write_text("id,name\n1,Acme\n")
    notes = import_export(tmp_path).notes
    assert any(
        note.startswith("hubspot__deal_stages.csv was left aside: it joins today's probability")
        for note in notes
    )
    assert "Not read, since no object of HubSpot is known to be called so: companies.csv." in notes
