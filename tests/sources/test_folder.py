"""Data folders: what is read, what is refused and in which words, what is built and kept."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from forecasteval.errors import InputError
from forecasteval.sources import folder as tables
from forecasteval.sources.folder import check, read, write_tables
from forecasteval.sources.history import states
from forecasteval.tables.organisation import Org, newest_record, stale
from forecasteval.tables.settings import read_settings

DEALS = """deal_id,rep,account,region,created_on,closed_on,outcome,amount
D1,r1,a1,East,2026-01-05,2026-02-20,Won,1000
D2,r1,a2,West,2026-01-07,,open,
D3,r2,a2,East,2026-01-07,2026-02-10,LOST,50
"""
SNAPSHOTS = """deal_id,as_of,rep,stage,amount,close_on,rep_probability,rep_category
D1,2026-02-02,r1,Talk,900,2026-03-31,0.4,bestcase
D2,2026-02-02,r1,Talk,,2026-03-31,0.2,Pipeline
D3,2026-02-02,r2,Talk,50,2026-03-31,0.2,Pipeline
D1,2026-02-09,r1,Talk,900,2026-03-31,0.6,Commit
D2,2026-02-09,r2,Talk,,2026-03-31,0.2,Pipeline
"""
PERIODS = "period,starts_on,ends_on\nQ1,2026-01-01,2026-03-31\nQ2,2026-04-01,2026-06-30\n"
FORECASTS = """deal_id,forecaster,issued_at,kind,value,target
D1,vendor,2026-02-01T08:00:00Z,probability,0.3,won in period
D9,vendor,2026-02-01T08:00:00Z,probability,0.3,won in period
D2,vendor,2026-02-01T08:00:00Z,category,commit,
"""
OPPORTUNITY = (
    "Id,StageName,CloseDate,IsClosed,IsWon,CreatedDate,Amount\nD1,Won,2026-02-03,true,true,2026-01-05,{}\n"
)


@pytest.fixture
def place(tmp_path):
    """A folder of tables written by hand."""
    folder = tmp_path / "acme"
    folder.mkdir()
    for name, text in {
        "deals": DEALS,
        "snapshots": SNAPSHOTS,
        "periods": PERIODS,
        "forecasts": FORECASTS,
    }.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


@pytest.fixture
def exported(tmp_path):
    """A folder with an export and nothing else."""
    folder = tmp_path / "acme"
    (folder / "export").mkdir(parents=True)
    (folder / "export" / "Opportunity.csv").write_text(OPPORTUNITY.format(5))
    return folder


def refused(folder):
    with pytest.raises(InputError) as caught:
        read(folder)
    return str(caught.value)


def test_tables_written_by_hand_become_an_organisation(place):
    org = read(place)
    assert org.name == "acme"
    assert org.deals["outcome"].tolist() == ["won", "open", "lost"]
    assert org.deals["region"].tolist() == ["East", "West", "East"]
    assert org.deals["closed_on"].dtype == "datetime64[s]"
    assert org.snapshots["rep_category"].tolist()[:2] == ["Best Case", "Commit"]
    assert org.periods["freezes_on"].dt.strftime("%m-%d").tolist() == ["04-14", "07-14"]
    seen = states(org.history, ["2026-02-08", "2026-02-09"], org.settings)
    assert seen["deal_id"].tolist() == ["D1", "D2", "D3", "D1", "D2"]
    assert seen["rep"].tolist() == ["r1", "r1", "r2", "r1", "r2"]
    assert set(seen["state"]) == {"known"}
    assert org.forecasts["deal_id"].tolist() == ["D1", "D2"]
    assert org.forecasts["category"].tolist()[1] == "Commit"
    assert [problem.found for problem in org.warnings] == [
        "1 of 3 rows speak of 1 deals that the deals table lacks, first D9"
    ]


@pytest.mark.parametrize("inside", [".", "tables"])
def test_tables_may_be_csv_or_parquet_here_or_in_tables(place, tmp_path, inside):
    by_csv = read(place)
    folder = tmp_path / "other" / inside
    folder.mkdir(parents=True)
    for name in ("deals", "snapshots", "periods", "forecasts"):
        pd.read_csv(place / f"{name}.csv").to_parquet(folder / f"{name}.parquet")
    by_parquet = read(tmp_path / "other")
    for name in ("deals", "snapshots", "history", "periods", "forecasts"):
        pd.testing.assert_frame_equal(getattr(by_csv, name), getattr(by_parquet, name))


PROBLEMS = [
    ("deals", "Won,1000", "win,1000", "row 2, column outcome: found 'win'; expected won, lost, open or deleted. Did you mean won?"),
    ("deals", "D2,r1", "D1,r1", "row 3, column deal_id: found 'D1' again; expected each deal_id once"),
    ("deals", "D2,r1", ",r1", "row 3, column deal_id: found nothing; expected a value in every row"),
    ("deals", "2026-02-20", "20 Feb", "row 2, column closed_on: found '20 Feb'; expected a date such as 2026-02-23"),
    ("deals", ",1000", ",much", "row 2, column amount: found 'much'; expected a number"),
    ("deals", "outcome,", "outcom,", "row 1, column outcome: found no such column; expected the columns deal_id, outcome. Did you mean outcom?"),
    ("snapshots", ",0.4,", ",40,", "row 2, column rep_probability: found '40'; expected a number from 0 to 1. It looks like a percentage: divide by 100?"),
    ("snapshots", "Commit", "Comit", "row 5, column rep_category: found 'Comit'"),
    ("snapshots", "D3,", "D7,", "column deal_id: found 1 of 5 rows speak of 1 deals that the deals table lacks, first D7"),
    ("snapshots", "D1,2026-02-09", "D1,2026-02-02", "row 5, column deal_id: found 'D1' again; expected each deal_id + as_of once"),
    ("periods", "2026-04-01", "2026-03-01", "row 3, column starts_on: found 2026-03-01; expected a day after the end of the period before"),
    ("periods", "Q2", "Q1", "row 3, column period: found 'Q1' again"),
    ("forecasts", "0.3,won in period\nD9", "30,won in period\nD9", "row 2, column value: found 30; expected a probability from 0 to 1. If these are percentages divide them by 100; if they are scores or ranks write rank_score in the column kind."),
    ("forecasts", "probability", "odds", "row 2, column kind: found 'odds'; expected probability, rank_score, category or amount"),
    ("forecasts", "commit,", "sure,", "row 4, column value: found 'sure'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "words"), PROBLEMS)
def test_each_problem_is_said_with_its_place(place, name, old, new, words):
    path = place / f"{name}.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    said = refused(place)
    assert f"{name}.csv, {words}" in said
    assert said.count("\n") == 0


def test_all_problems_of_all_files_come_at_once_and_repeats_are_counted(place):
    for name, old, new, _ in (PROBLEMS[0], PROBLEMS[10], PROBLEMS[11]):
        path = place / f"{name}.csv"
        path.write_text(path.read_text().replace(old, new, 1))
    rows = "".join(f"D1,2025-01-{day:02},r1,Talk,x,,,\n" for day in range(1, 31))
    (place / "snapshots.csv").write_text(SNAPSHOTS + rows)
    said = refused(place).splitlines()
    assert len(said) == 3 + 5 + 1
    assert "25 more rows like these" in said[6] + said[7] + said[8]


def test_oddities_are_warnings_that_check_lists(place):
    (place / "deals.csv").write_text(
        DEALS.replace("2026-01-05,2026-02-20", "2026-01-05,2026-01-01") + "D4,,,,,,won,\n"
    )
    (place / "periods.csv").write_text(PERIODS.replace("2026-04-01", "2026-04-11"))
    (place / "calls.csv").write_text(
        "unit,unit_id,period,as_of,forecaster,amount\nrep,r1,Q7,2026-02-02,rep_forecast,5\n"
    )
    found = check(place)
    assert {problem.severity for problem in found} == {"warning"}
    text = "\n".join(map(str, found))
    for words in (
        "deals.csv, row 2, column closed_on: found 2026-01-01; expected a day on or after created_on",
        "deals.csv, row 5, column closed_on: found nothing; expected the day on which a won or lost deal closed",
        "periods.csv, row 3, column starts_on: found 2026-04-11; expected the day after the period before ends",
        "snapshots.csv, row 2, column as_of: found 2026-02-02; expected a day on or before the deal's closed_on",
        "calls.csv, row 2, column period: found 'Q7'; expected a period of the calendar",
    ):
        assert words in text


def test_without_a_calendar_quarters_are_made_and_said(place):
    (place / "periods.csv").unlink()
    (place / "organisation.yaml").write_text("fiscal_year_start_month: 2\nname: Acme Ltd\n")
    org = read(place)
    assert org.name == "Acme Ltd"
    assert org.periods["period"].iloc[0] == "FY2026-Q4"
    assert any("fiscal_year_start_month = 2" in note for note in org.notes)


def test_a_matched_table_is_handed_on_as_such(tmp_path):
    (tmp_path / "matched.csv").write_text(
        "deal_id,as_of,period,rep,won,model,size\n1,2026-02-28,2026Q1,7,1,0.62,big\n"
    )
    org = read(tmp_path)
    assert org.deals is None
    row = org.matched.iloc[0]
    assert (row["deal_id"], row["rep"], row["won"], row["model"], row["size"]) == ("1", "7", 1, 0.62, "big")
    assert stale(org, "2030-01-01") is None
    (tmp_path / "matched.csv").write_text("deal,won\n1,2\n")
    said = refused(tmp_path)
    assert "matched.csv, row 1, column deal_id: found no such column" in said
    assert "matched.csv, row 2, column won: found 2; expected 1 (it came true) or 0" in said


def test_an_export_is_imported_once_and_again_when_its_contents_change(exported):
    first = read(exported)
    assert first.notes[0] == "Imported from export/: there was no tables/."
    assert (exported / "tables" / "deals.parquet").exists()
    second = read(exported)
    assert not any("Imported" in note for note in second.notes)
    for name in ("deals", "periods", "stages", "audit"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), check_dtype=False)
    path = exported / "export" / "Opportunity.csv"
    os.utime(path, (1, 1))
    assert not any("Imported" in note for note in read(exported).notes)
    path.write_text(OPPORTUNITY.format(6))
    third = read(exported)
    assert third.notes[0] == "Imported from export/: it has changed since tables/ was built."
    assert third.deals["amount"].item() == 6
    assert sorted(item.name for item in exported.iterdir()) == ["export", "tables"]


def test_a_failed_import_leaves_the_old_tables(exported):
    read(exported)
    before = (exported / "tables" / "deals.parquet").read_bytes()
    (exported / "export" / "Opportunity.csv").write_text(OPPORTUNITY.format("much"))
    assert "column Amount: found 'much'" in refused(exported)
    assert (exported / "tables" / "deals.parquet").read_bytes() == before
    assert sorted(item.name for item in exported.iterdir()) == ["export", "tables"]


def test_a_folder_that_cannot_be_written_is_still_read(exported, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tables, "write_tables", full)
    org = read(exported)
    assert "No space left on device" in org.notes[0]
    assert len(org.deals) == 1


def test_the_loser_of_a_race_for_tables_tries_again(exported, monkeypatch):
    read(exported)
    rename, calls = os.rename, []

    def contested(source, target):
        calls.append(target)
        if len(calls) == 1:
            shutil.rmtree(source)
            raise FileNotFoundError(2, "No such file or directory")
        rename(source, target)

    monkeypatch.setattr(os, "rename", contested)
    (exported / "export" / "Opportunity.csv").write_text(OPPORTUNITY.format(7))
    assert read(exported).deals["amount"].item() == 7
    assert read(exported).deals["amount"].item() == 7
    assert len(calls) == 2


def test_forecasts_calls_and_settings_may_be_laid_beside(exported):
    read(exported)
    (exported / "forecasts").mkdir()
    (exported / "forecasts" / "new.csv").write_text(
        "deal_id,forecaster,issued_at,kind,value\nD1,v,2026-01-06,probability,0.5\nD2,v,2026-01-06,probability,0.5\n"
    )
    (exported / "calendar.csv").write_text(PERIODS)
    (exported / "organisation.yaml").write_text("name: Acme Ltd\n")
    for _ in range(2):
        org = read(exported)
        assert org.name == "Acme Ltd"
        assert org.forecasts["deal_id"].tolist() == ["D1"]
        assert org.periods["period"].tolist() == ["Q1", "Q2"]
        assert len(org.warnings) == 1


def test_a_relative_folder_is_looked_up_from_here_upwards(exported, monkeypatch):
    deep = exported.parent / "notebooks" / "mine"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert read("acme").deals["deal_id"].tolist() == ["D1"]
    said = refused("amce")
    assert "no such folder" in said
    for looked in (deep, deep.parent, exported.parent):
        assert str(looked / "amce") in said


def test_a_bare_export_is_read_without_writing_into_it(exported):
    org = read(exported / "export")
    assert "itself an export" in org.notes[0]
    assert [path.name for path in (exported / "export").iterdir()] == ["Opportunity.csv"]


def test_a_bare_export_with_calls_beside_it_is_an_export(exported):
    (exported / "export" / "calls.csv").write_text(
        "unit,unit_id,period,as_of,forecaster,amount\ncompany,,Q7,2026-02-02,rep_forecast,5\n"
    )
    (exported / "export" / "calendar.csv").write_text(PERIODS)
    org = read(exported / "export")
    assert "itself an export" in org.notes[0]
    assert org.calls["amount"].tolist() == [5]
    assert "calls.csv, row 2, column period: found 'Q7'" in str(org.warnings[0])


def test_built_tables_are_those_of_the_code_that_reads_them(exported, tmp_path):
    """Every file of the two rooms counts, whatever it is called."""
    package = Path(tables.__file__).parents[1]
    for room in ("tables", "sources"):
        shutil.copytree(package / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    marks = {tables._fingerprint(exported), tables._fingerprint(exported, tmp_path)}
    assert len(marks) == 1
    for path in [*(tmp_path / "tables").glob("*.py"), *(tmp_path / "sources").glob("*.py")]:
        path.write_text(path.read_text() + "# changed\n")
        marks.add(tables._fingerprint(exported, tmp_path))
    assert len(marks) == 1 + len([*(package / "tables").glob("*.py"), *(package / "sources").glob("*.py")])


def test_whole_numbers_of_parquet_stay_whole_and_what_is_no_parquet_is_said(tmp_path):
    deals = pd.DataFrame(
        {
            "deal_id": [7, 8, 9],
            "rep": pd.array([1, None, 3], dtype="Int64"),
            "outcome": ["won", "lost", "open"],
            "amount": [0.1, 1e20, None],
            "closed_on": pd.to_datetime(["2026-02-03", "2026-02-04", None]),
            "created_on": pd.to_datetime(["2026-01-03", "2026-01-04", "2026-01-05"]).date,
        }
    )
    deals[deals["amount"].fillna(1) > 0].to_parquet(tmp_path / "deals.parquet")
    read_back = read(tmp_path).deals
    assert read_back["deal_id"].tolist() == ["7", "8", "9"]
    assert read_back["rep"].fillna("").tolist() == ["1", "", "3"]
    assert read_back["amount"].tolist()[:2] == [0.1, 1e20]
    assert read_back["closed_on"].tolist()[:2] == deals["closed_on"].tolist()[:2]
    assert not [column for column in read_back if column.startswith("__")]
    (tmp_path / "deals.parquet").write_text("deal_id,outcome\n")
    assert "expected a Parquet file" in refused(tmp_path)


def test_a_folder_without_anything_says_what_it_could_hold(tmp_path):
    assert "expected export/, tables/, deals.csv or matched.parquet" in refused(tmp_path)
    (problem,) = check(tmp_path)
    assert problem.severity == "error"


def test_what_is_written_is_what_is_read(place, tmp_path):
    org = read(place)
    write_tables(org, tmp_path / "copy")
    again = read(tmp_path / "copy")
    for name in ("deals", "history", "snapshots", "periods", "forecasts"):
        pd.testing.assert_frame_equal(getattr(org, name), getattr(again, name))
    assert again.settings == org.settings
    assert again.warnings == org.warnings


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("timezone: Europe/Pari", "Did you mean Europe/Paris?"),
        ("max_age_day: 3", "Did you mean max_age_days?"),
        ("fiscal_year_start_month: 13", "a whole number from 1 to 12"),
        ("cut_off_hour: midnight", "an hour above 0"),
        ("grace_business_days: -1", "a whole number from 0"),
        ("segments: region", "a list such as"),
        ("name: [a]", "expected words"),
        ("owners_tracked_since: spring", "a day such as"),
        ("name: 'open", "a YAML file"),
        ("just words", "lines of the form key: value"),
    ],
)
def test_settings_that_cannot_be_used_are_explained(tmp_path, line, words):
    (tmp_path / "organisation.yaml").write_text(f"# settings\n{line}\n")
    _, (problem,) = read_settings(tmp_path)
    assert words in str(problem)


def test_settings_are_read_with_their_kinds(tmp_path):
    (tmp_path / "organisation.yaml").write_text(
        "timezone: Asia/Tokyo\ncut_off_hour: 18\nsegments: [region]\nowners_tracked_since: 2024-02-01\ncurrency:\n"
    )
    settings, problems = read_settings(tmp_path)
    assert problems == []
    assert (settings.timezone, settings.cut_off_hour, settings.segments) == ("Asia/Tokyo", 18, ("region",))
    assert settings.owners_tracked_since == "2024-02-01"


def test_data_that_is_too_old_is_said_to_be(place):
    org = read(place)
    assert newest_record(org) == pd.Timestamp("2026-02-09")
    assert stale(org, "2026-02-23") is None
    assert "15 days before 2026-02-24" in str(stale(org, "2026-02-24"))
    (place / "organisation.yaml").write_text("max_age_days: 0\n")
    assert stale(read(place), "2036-02-24") is None
    assert stale(Org("empty", None), "2036-02-24") is None


DEMO = Path(__file__).parents[2] / "data" / "demo"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo organisation, imported into a folder of the test's own."""
    if not (DEMO / "export").exists():
        pytest.skip("data/demo/export is not there: run data/demo/generate.py")
    folder = tmp_path_factory.mktemp("data") / "demo"
    shutil.copytree(DEMO / "export", folder / "export")
    return read(folder)


def test_the_demo_is_read_whole(demo):
    assert {"deals", "history", "snapshots", "forecasts", "calls", "periods", "stages", "users", "audit"} <= {
        name for name, value in vars(demo).items() if value is not None
    }
    assert stale(demo, "2040-01-01") is None
    audit = demo.audit.set_index("check")
    assert audit.loc["weekly values known", "share"] > 0.95
    assert audit.loc["deleted without history", "count"] > 0
    for field in ("stage", "amount", "close_on"):
        assert audit.loc[f"last version disagrees: {field}", "share"] < 0.01


def test_the_weekly_snapshots_of_the_demo_are_its_states(demo):
    day = demo.snapshots["as_of"].unique()[40]
    own = demo.snapshots[demo.snapshots["as_of"] == day].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        own, states(demo.history, [day], demo.settings, open_only=True, by_words=False)
    )
