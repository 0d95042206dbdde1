"""Leads come in as any flat table does, in their own words, with a window in which they convert."""

import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table

MAPPING = {
    "lead_id": "id",
    "scored_on": "scored",
    "owner": "who",
    "campaign": "campaign",
    "converted": {"column": "came", "within_days": 30, "through": "2026-03-31"},
    "forecasts": {"score": {"column": "score", "kind": "rank_score"}},
}
DAYS = {  # scored, converted
    "in time": ("2026-01-10", "2026-02-09"),
    "a day late": ("2026-01-10", "2026-02-10"),
    "never": ("2026-01-10", None),
    "young": ("2026-03-02", None),
    "young and quick": ("2026-03-02", "2026-03-03"),
    "just old enough": ("2026-03-01", None),
    "the same day": ("2026-01-10", "2026-01-10"),
    "before": ("2026-01-10", "2026-01-09"),
}


def leads(**more):
    scored, came = zip(*DAYS.values(), strict=True)
    table = pd.DataFrame(
        {"id": list(DAYS), "scored": scored, "came": came, "who": "o", "campaign": "c", "score": range(8)}
    )
    return table.assign(**more)


def test_a_lead_converts_within_the_window_or_not_and_a_young_one_is_undecided():
    found = import_table(leads(), MAPPING)
    assert dict(zip(found["deal_id"], found["won"], strict=True)) == {
        "in time": 1, "a day late": 0, "never": 0, "just old enough": 0, "the same day": 1,
    }  # fmt: skip
    about = found.attrs["forecasteval"]
    assert [(s["dropped"], s["why"]) for s in about["flow"] if s["dropped"]] == [
        (1, "it had come true before the row's own day"),
        (2, "younger than 30 days on 2026-03-31: undecided, not lost"),
    ]
    assert about["target"] == "converted within 30 days"
    assert about["nouns"] == {"deal": "leads", "rep": "owners", "period": "campaigns", "won": "converted"}
    assert about["known_after_days"] == 30


def test_without_the_day_of_the_export_the_newest_date_stands_for_it_and_that_is_said():
    mapping = {**MAPPING, "converted": {"column": "came", "within_days": 30}}
    found = import_table(leads(), mapping)
    assert "just old enough" not in set(found["deal_id"])
    assert any("taken to end on 2026-03-03" in note for note in found.attrs["forecasteval"]["notes"])


def test_creation_weeks_can_be_the_clusters():
    found = import_table(leads(), {**MAPPING, "campaign": {"column": "scored", "block_days": 7}})
    assert found.attrs["forecasteval"]["nouns"]["period"] == "weeks"
    assert found["period"].nunique() == 2


def test_fields_that_were_recorded_after_the_scoring_moment_are_refused_by_row():
    table = leads(recorded=["2026-01-10"] * 7 + ["2026-03-01"])
    with pytest.raises(InputError) as refused:
        import_table(table, {**MAPPING, "fields_as_of": "recorded"})
    assert "row 9, column recorded: found '2026-03-01'; expected fields recorded by scored_on" in str(
        refused.value
    )
    known = import_table(leads(recorded="2026-01-10"), {**MAPPING, "fields_as_of": "recorded"})
    assert known.attrs["forecasteval"]["fields_known"]


def test_what_is_wrong_is_said_in_the_words_of_the_mapping():
    wrong = {
        **MAPPING,
        "lead_id": "ident",
        "owner": "whom",
        "converted": {"column": "came", "within_days": 30, "lost": ["x"]},
    }
    with pytest.raises(InputError) as refused:
        import_table(leads(), wrong)
    told = str(refused.value)
    assert "column lead_id: found 'ident'" in told
    assert "column owner: found 'whom'" in told
    assert "column converted: found a window of days beside words" in told
    assert "deal_id" not in told


def test_a_key_of_leads_and_its_twin_of_deals_do_not_stand_together():
    with pytest.raises(InputError, match="column owner: found rep as well"):
        import_table(leads(), {**MAPPING, "rep": "who"})


def test_a_folder_with_a_mapping_and_its_table_is_read_as_it_lies(tmp_path):
    leads().to_csv(tmp_path / "leads.csv", index=False)
    text = "file: leads.csv\nlead_id: id\nscored_on: scored\nconverted: {column: came, within_days: 30}\nforecasts: {s: {column: score, kind: rank_score}}\n"
    (tmp_path / "mapping.yaml").write_text(text)
    org = fe.read(tmp_path)
    assert len(org.matched) == 4
    assert org.sources == {"leads.csv": 8}
    (tmp_path / "mapping.yaml").write_text(text.replace("leads.csv", "lead.csv"))
    with pytest.raises(InputError, match=r"column file: found 'lead\.csv'"):
        fe.read(tmp_path)


def test_a_comparison_of_leads_speaks_of_leads():
    table = pd.concat([leads()] * 12, ignore_index=True)
    table = table.assign(
        id=[f"{i}" for i in range(len(table))], who=[f"o{i % 9}" for i in range(len(table))], other=1.0
    )
    table["score"] = (table["came"].notna() * 0.3 + 0.2 + 0.01 * (table.index % 7)).to_numpy()
    found = import_table(table, {**MAPPING, "forecasts": {"score": "score", "other": "other"}})
    c = fe.compare(found, "score", "other", generalise_to=("rep",))
    assert "60 leads, 9 owners" in c.headline
    assert "deal" not in c.headline + c.primary["method"] + " ".join(r["text"] for r in c.primary["reasons"])
