"""Flat tables with outcomes and forecasts, and the drafts of their mappings."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table, shortcomings
from forecasteval.sources.flat_table_draft import explain
from forecasteval.sources.folder import read, write_tables
from forecasteval.tables.organisation import Org

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "forecasts"
FLARES = {
    "description": "Days with or without a C1 flare",
    "target": "a C1 flare on the day",
    "as_of": "VALID_DATE",
    "won": {"column": "rlz.C1", "won": [1], "lost": [0]},
    "period": {"column": "VALID_DATE", "block_days": 14},
    "forecasts": {
        "noaa": {"column": "NOAA", "kind": "probability"},
        "daffs": {"column": "DAFFS"},
        "mcstat": {"column": "MCSTAT", "missing": [-0.01]},
    },
}
MAPPING = {
    "deal_id": "ID", "as_of": "Date", "rep": "Seller", "amount": "Value",
    "won": {"column": "Status", "won": ["Won"], "lost": ["Lost"], "undecided": ["Open"]},
    "segments": ["Product"], "forecasts": {"model": {"column": "Score", "scale": 100}},
}  # fmt: skip
TABLE = """ID;Date;Seller;Value;Status;Product;Score
D1;31.01.2026;s1;1.200,50;Won;A;62
D2;31.01.2026;s1;900;lost;B;
D3;31.01.2026;s2;;Open;A;10
D4;28.02.2026;s2;5;;A;20
D1;28.02.2026;s1;1.200,50;Won;A;NA
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "deals.csv"
    path.write_text(TABLE)
    return path


def sample(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip("the samples of real forecasts are not beside the project")
    return path


def test_a_table_becomes_matched_and_says_what_fell_out(table):
    matched = import_table(table, MAPPING)
    assert matched["deal_id"].tolist() == ["D1", "D2", "D1"]
    assert matched["won"].tolist() == [1, 0, 1]
    assert matched["amount"].tolist() == [1200.5, 900, 1200.5]
    np.testing.assert_allclose(matched["model"], [0.62, np.nan, np.nan])
    meta = matched.attrs["forecasteval"]
    assert [(step["deals"], step["dropped"]) for step in meta["flow"]] == [(5, 0), (3, 2), (3, 0)]
    assert meta["forecasters"] == {"model": {"kind": "probability"}}
    assert meta["source"] == "deals.csv"


def test_what_is_said_of_a_table_survives_being_stored(table, tmp_path):
    matched = import_table(table, MAPPING)
    write_tables(Org("bought", None, matched=matched), tmp_path / "bought")
    again = read(tmp_path / "bought").matched
    pd.testing.assert_frame_equal(again, matched, check_dtype=False)
    assert again.attrs == matched.attrs == json.loads(json.dumps(matched.attrs))


def test_all_problems_come_at_once_with_their_lines(tmp_path):
    (tmp_path / "deals.csv").write_text(
        "ID,Date,Status,Score\nD1,2026-01-31,Won,62\nD1,2026-01-31,Lost,162\n,never,Perhaps,x\n"
    )
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "deal_id: ID\nas_of: Date\nreps: Seller\nrep: Sellr\n"
        "won: {column: Status, won: [Won], lost: [Lost]}\n"
        "forecasts:\n  model: {column: Score, scale: 100}\n  rep: {column: Score}\n  vague: {column: Score, kind: mood}\n"
    )
    with pytest.raises(InputError) as caught:
        import_table(tmp_path / "deals.csv", mapping)
    text = str(caught.value)
    for words in (
        "mapping.yaml, row 3, column reps: found an unknown key",
        "mapping.yaml, row 4, column rep: found 'Sellr'; expected a column of deals.csv: ID, Date, Status, Score",
        "mapping.yaml, row 8, column forecasts.rep: found the name rep",
        "Call the rep's own forecast rep_forecast",
        "mapping.yaml, row 9, column forecasts.vague: found kind 'mood'; expected one of probability, rank_score, amount",
        "deals.csv, row 3, column Score: found '162'; expected a number from 0 to 100",
        "deals.csv, row 4, column Score: found 'x'",
        "deals.csv, row 4, column Date: found 'never'",
        "deals.csv, row 4, column Status: found 'Perhaps'; expected one of Won, Lost",
        "deals.csv, row 4, column ID: found nothing; expected an id in every row",
        "deals.csv, row 3, column ID: found 'D1' again; expected each deal once per as_of",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("won: [", "expected YAML"),
        ("just words", "lines of the form key: value"),
        ("", "column won: found nothing"),
        ("rep: Seller", "column won: found nothing"),
        ("won: Status", "column won: found 'Status'; expected {column: Status"),
        (
            "won: {column: Status, won: [Won], lost: [Lost]}\nperiod: {column: Date, block_days: 0}",
            "'block_days': 0}; expected a column, or",
        ),
        (
            "won: {column: Status, won: [Won], lost: [Lost]}\nforecasts: {p: {colum: Score}}",
            "column forecasts.p: found {'colum': 'Score'}; expected keys among column, kind",
        ),
        (
            "won: {column: Status, won: [Won], lost: [Lost]}\nforecasts: [Score]",
            "column forecasts: found ['Score']; expected {name",
        ),
        ("won: {column: Status, won: [Won], lost: [Lost]}\nperiod: {column: Date}", "block_days"),
        (
            "won: {column: Status, won: [Won], lost: [Lost], undecided: [Open]}\nforecasts: {p: {column: Score, scale: 10}}",
            "1 (shares) or 100",
        ),
        (
            "won: {column: Status, won: [Won], lost: [Lost], undecided: [Open]}\nforecasts: {p: {column: Score}}",
            "If these are percentages write scale: 100 in the mapping; if they are scores or ranks write kind: rank_score.",
        ),
    ],
)
def test_a_mapping_that_cannot_be_used_is_explained(table, tmp_path, mapping, words):
    (tmp_path / "m.yaml").write_text(mapping)
    with pytest.raises(InputError) as caught:
        import_table(table, tmp_path / "m.yaml")
    assert words in str(caught.value)


def test_rows_without_date_or_id_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("won,p\n1,0.5\n0,0.1\n")
    matched = import_table(
        tmp_path / "t.csv",
        {"won": {"column": "won", "won": [True], "lost": [0]}, "forecasts": {"model": "p"}},
    )
    assert matched["deal_id"].tolist() == ["row 2", "row 3"]
    assert matched["as_of"].isna().all()
    assert len(matched.attrs["forecasteval"]["notes"]) == 2


def test_flares_people_against_systems():
    path = sample("solar_flares_c1.csv")
    matched = import_table(path, FLARES)
    assert len(matched) == 731
    assert matched["won"].mean() == pytest.approx(0.257, abs=5e-4)
    error = {name: np.mean((matched[name] - matched["won"]) ** 2) for name in ("noaa", "daffs")}
    assert error["noaa"] == pytest.approx(0.1249, abs=5e-5)
    assert error["daffs"] == pytest.approx(0.1469, abs=5e-5)
    assert matched["period"].nunique() == 53
    assert matched["mcstat"].min() >= 0
    with pytest.raises(InputError, match=r"MCEVOL: found '-0.01'; expected a number from 0 to 1"):
        import_table(path, FLARES | {"forecasts": {"mcevol": {"column": "MCEVOL"}}})


def test_b2b_deals_without_dates_or_forecasts():
    path = sample("salvirt_b2b_deals.csv")
    mapping = {
        "won": {"column": "Status", "won": ["Won"], "lost": ["Lost"]}, "rep": "Seller",
        "segments": ["Product"], "group_duplicates": True, "features": ["Comp_size", "Competitors"],
    }  # fmt: skip
    matched = import_table(path, mapping)
    assert len(matched) == 448
    assert matched["won"].sum() == 227
    assert matched["rep"].nunique() == 18
    # 83 rows repeat another one in all attributes and in the outcome; one more pair differs in the outcome
    text = pd.read_csv(path, sep=";")
    repeats = text.drop(columns="Status").duplicated().sum()
    assert matched["account"].nunique() == 448 - repeats
    assert matched.attrs["forecasteval"]["features"] == ["Comp_size", "Competitors"]


@pytest.mark.parametrize("name", ["solar_flares_c1.csv", "salvirt_b2b_deals.csv"])
def test_a_draft_can_be_used_as_it_stands(name, tmp_path):
    path = sample(name)
    draft = tmp_path / "mapping.yaml"
    draft.write_text(explain(path))
    matched = import_table(path, draft)
    assert len(matched) == len(pd.read_csv(path, sep=None, engine="python"))
    plan = yaml.safe_load(draft.read_text())
    if "solar" in name:
        assert plan["won"] == FLARES["won"]
        assert plan["as_of"] == "VALID_DATE"
        assert {"noaa", "daffs", "sidc", "mcstat"} < set(plan["forecasts"])
        assert plan["forecasts"]["mcstat"]["missing"] == [-0.01]
    else:
        assert plan["won"] == {"column": "Status", "won": ["Won"], "lost": ["Lost"]}
        assert plan["rep"] == "Seller"
        assert len(plan["features"]) == 21


def test_a_draft_guesses_percentages_ids_amounts_and_awkward_names(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(
        "Deal ID,Quarter,Account: name,Sales Rep,Deal Value,Is closed won?,Win probability,Rep\n"
        "1,2026Q1,Acme,ann,5000,yes,62,0.5\n2,2026Q1,Brix,bob,100,no,5,0.25\n3,2026Q1,Cord,ann,70,no,35,0.1\n"
        "4,2026Q2,Dune,bob,800,yes,80,0.9\n5,2026Q2,Elm,ann,9,no,10,0.2\n6,2026Q2,Fir,bob,30,yes,90,0.7\n"
    )
    draft = explain(path)
    plan = yaml.safe_load(draft)
    assert plan["deal_id"] == "Deal ID"
    assert plan["won"] == {"column": "Is closed won?", "won": [True], "lost": [False]} or plan["won"][
        "won"
    ] == ["yes"]
    assert plan["account"] == "Account: name"
    assert plan["rep"] == "Sales Rep"
    assert plan["amount"] == "Deal Value"
    assert plan["forecasts"]["win_probability"]["scale"] == 100
    assert plan["forecasts"]["rep_forecast"]["column"] == "Rep"
    (tmp_path / "m.yaml").write_text(draft)
    assert import_table(path, tmp_path / "m.yaml")["won"].tolist() == [1, 0, 0, 1, 0, 1]


def test_a_draft_says_when_there_is_no_outcome(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n3,z\n")
    assert "TODO" in explain(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("key", "column", "what"),
    [
        ("features", "Status", "outcome"),
        ("segments", "Status", "outcome"),
        ("features", "ID", "deal_id"),
        ("features", "Date", "as_of"),
        ("features", "Score", "forecast model"),
    ],
)
def test_outcome_and_forecasts_are_refused_as_attributes(table, key, column, what):
    with pytest.raises(InputError, match=f"column {key}: found {column}, which is the {what}"):
        import_table(table, MAPPING | {key: [column]})


def test_words_that_yaml_takes_for_booleans_are_words(tmp_path):
    (tmp_path / "t.csv").write_text("id,closed,p\n1,Yes,0.5\n2,no,0.1\n3,YES,0.2\n")
    (tmp_path / "m.yaml").write_text(
        "deal_id: id\nwon: {column: closed, won: [Yes], lost: [No]}\nforecasts: {m: p}\n"
    )
    assert import_table(tmp_path / "t.csv", tmp_path / "m.yaml")["won"].tolist() == [1, 0, 1]


def test_who_makes_a_forecast_can_be_said(table):
    forecast = {"column": "Score", "scale": 100, "by": "people"}
    matched = import_table(table, MAPPING | {"forecasts": {"crowd": forecast}})
    assert matched.attrs["forecasteval"]["forecasters"] == {"crowd": {"kind": "probability", "by": "people"}}
    with pytest.raises(InputError, match="found by 'robots'; expected people"):
        import_table(table, MAPPING | {"forecasts": {"crowd": forecast | {"by": "robots"}}})


def test_a_mapping_without_forecasts_and_features_is_warned_of(table):
    bare = {key: value for key, value in MAPPING.items() if key != "forecasts"}
    (warning,) = shortcomings(import_table(table, bare))
    assert warning.severity == "warning"
    assert shortcomings(import_table(table, MAPPING)) == []


def drafted(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    draft = explain(tmp_path / "t.csv")
    (tmp_path / "m.yaml").write_text(draft)
    return draft, yaml.safe_load(draft)


def test_a_draft_reads_percent_signs_decimal_commas_and_money(tmp_path):
    draft, plan = drafted(
        tmp_path,
        "Opp;Size;Result;Rep view;Tool;Discount\nAcme;$23,751;Won;56%;0,555;10%\nBrix;$1,200;Lost;5%;0,25;5%\n"
        "Cord;$900;Won;70%;0,9;0%\nDune;$2,000;Lost;20%;0,1;20%\n",
    )
    assert plan["deal_id"] == "Opp"  # text, but another one in every row
    assert plan["amount"] == "Size"
    assert plan["forecasts"] == {
        "rep_view": {"column": "Rep view", "kind": "probability", "scale": 100},
        "tool": {"column": "Tool", "kind": "probability", "scale": 1},
    }
    assert "by: people" in draft
    assert "group_duplicates: true" in draft
    matched = import_table(tmp_path / "t.csv", tmp_path / "m.yaml")
    assert matched["amount"].tolist() == [23751, 1200, 900, 2000]
    np.testing.assert_allclose(matched["rep_view"], [0.56, 0.05, 0.7, 0.2])
    np.testing.assert_allclose(matched["tool"], [0.555, 0.25, 0.9, 0.1])


def test_a_draft_proposes_ids_that_come_back_with_another_date(tmp_path):
    _, plan = drafted(
        tmp_path,
        "created,week,deal,won,p\n2026-01-01,2026-01-05,D1,yes,0.2\n2026-01-01,2026-01-12,D1,yes,0.4\n"
        "2026-01-01,2026-01-05,D2,no,0.2\n2026-01-01,2026-01-12,D2,no,0.1\n",
    )
    assert (plan["deal_id"], plan["as_of"]) == ("deal", "week")
    assert len(import_table(tmp_path / "t.csv", tmp_path / "m.yaml")) == 4


def test_a_draft_takes_three_words_for_an_outcome_and_lists_the_undecided(tmp_path):
    draft, plan = drafted(
        tmp_path,
        "Region,Stage,Is Won,Size\nEast,Closed Won,1,5\nWest,Closed Lost,0,7\nEast,Open,0,9\nWest,Open,0,5\n",
    )
    assert plan["won"] == {
        "column": "Stage", "won": ["Closed Won"], "lost": ["Closed Lost"], "undecided": ["Open"],
    }  # fmt: skip
    assert "or Is Won" in draft
    assert not {"Stage", "Is Won"} & set(plan["features"])


def test_a_draft_never_proposes_what_may_be_the_outcome(tmp_path):
    draft, plan = drafted(
        tmp_path,
        "Region,Status,Size\nEast,Signed,5\nWest,Dropped,7\nEast,Waiting,9\nWest,Waiting,5\n",
    )
    assert plan["won"] == "TODO"
    assert "is it Status (Signed, Dropped, Waiting)?" in draft
    assert plan["segments"] == ["Region"]
    assert plan["features"] == ["Region", "Size"]


DEALS = {"deal_id": "id", "won": {"column": "status", "won": ["Won"], "lost": ["Lost"]}}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"won": DEALS["won"] | {"undecided": ["won"]}}, "found 'won' under won and under undecided"),
        ({"won": DEALS["won"] | {"lost": []}}, "found no word for lost"),
        ({"forecasts": {"a": "status"}}, "found the column status, which is won already"),
        ({"forecasts": {"a": "p", "b": {"column": "p", "scale": 100}}}, "which is forecasts.a already"),
        ({"amount": "id"}, "found the column id, which is deal_id already"),
        ({"forecasts": {"a": {"column": "p", "kind": "rank_score", "scale": 100}}}, "scale 100 of kind rank_score"),
        ({"timezone": "Berlin"}, "Did you mean Europe/Berlin?"),
        ({"decimal_mark": "comma"}, "found 'comma'; expected \".\" or \",\""),
        ({"currency_rates": {"EUR": 0}}, "expected {EUR: 1, USD: 0.92}"),
        ({"forecasts": {"a": {"column": "p", "kind": "TODO"}}}, "column forecasts.a.kind: found a question that is"),
    ],
)  # fmt: skip
def test_a_mapping_that_contradicts_itself_is_refused(tmp_path, mapping, words):
    (tmp_path / "t.csv").write_text("id,status,p\nD1,Won,0.5\nD2,Lost,0.2\n")
    with pytest.raises(InputError) as caught:
        import_table(tmp_path / "t.csv", DEALS | mapping)
    assert words in str(caught.value)


def imported(tmp_path, text, **mapping):
    (tmp_path / "t.csv").write_text(text)
    return import_table(tmp_path / "t.csv", DEALS | mapping)


def test_amounts_in_several_currencies_are_converted_with_the_rates_of_the_mapping(tmp_path):
    rates = {"EUR": 1, "JPY": 0.00625}
    cells = "id,status,amount\nD1,Won,JPY 320000\nD2,Lost,€ 10\n"
    assert imported(tmp_path, cells, amount="amount", currency_rates=rates)["amount"].tolist() == [2000, 10]
    column = "id,status,amount,cur\nD1,Won,320000,JPY\nD2,Lost,10,EUR\n"
    known = imported(tmp_path, column, amount="amount", currency="cur", currency_rates=rates)
    assert known["amount"].tolist() == [2000, 10]
    with pytest.raises(
        InputError, match=r"JPY \(1\), EUR \(1\); expected amounts in one currency. Write currency_"
    ):
        imported(tmp_path, column, amount="amount", currency="cur")
    with pytest.raises(InputError, match="amounts in one currency"):
        imported(tmp_path, cells, amount="amount")
    both = "id,status,amount,cur\nD1,Won,JPY 320000,JPY\nD2,Lost,EUR 10,EUR\n"  # converted once
    known = imported(tmp_path, both, amount="amount", currency="cur", currency_rates=rates)
    assert known["amount"].tolist() == [2000, 10]


def test_deals_without_an_owner_are_named_at_once(tmp_path):
    with pytest.raises(InputError, match="row 2, column owner: found nothing; expected a rep for every deal"):
        imported(tmp_path, "id,status,owner\nD1,Won,\nD2,Lost,r1\n", rep="owner")
    assert len(imported(tmp_path, "id,status,owner\nD1,,\nD2,Lost,r1\n", rep="owner")) == 1


def test_a_quote_that_is_never_closed_is_named_with_its_row(tmp_path):
    with pytest.raises(InputError, match="row 3: found a double quote that is never closed"):
        imported(tmp_path, 'id,status,owner\n"D\n1",Won,r1\nD2,"Lost,r1\nD3,Won,r2\n')


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,status\nD1,Open\nD2,\n", "2 rows, and in none of them an outcome"),
        ("id,status\n", "a header and no rows"),
    ],
)
def test_a_table_without_decided_deals_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        imported(tmp_path, text, won=DEALS["won"] | {"undecided": ["Open"]})


def test_periods_stand_in_their_order_in_time_or_their_order_is_asked(tmp_path):
    def periods(*labels, **mapping):
        rows = "".join(f"D{i},Won,{label},2026-01-0{i}\n" for i, label in enumerate(labels, start=1))
        table = imported(tmp_path, "id,status,when,day\n" + rows, period="when", **mapping)
        return table.attrs["forecasteval"]

    assert periods("Q1 FY25", "Q4 FY24", "Q2 FY24")["periods"] == ["Q2 FY24", "Q4 FY24", "Q1 FY25"]
    assert periods("KW 52", "KW 1", as_of="day")["periods"] == ["KW 52", "KW 1"]
    asked = periods("KW 52", "KW 1")
    assert asked["periods"] == []
    assert "write period_order" in str(asked["notes"])
    assert periods("KW 52", "KW 1", period_order=["KW 52", "KW 1"])["periods"] == ["KW 52", "KW 1"]


def test_dates_that_cannot_be_told_make_no_periods(tmp_path):
    blocks = {"column": "when", "block_days": 14}
    with pytest.raises(InputError, match="day and month can be told apart"):
        imported(tmp_path, "id,status,when\nD1,Won,11/6/18\n", as_of="when", period=blocks)


CASES = Path(__file__).parents[3] / "shared" / "cases"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ambiguous_dates_block_crash", "day and month can be told apart"),
        ("blank_rep", "row 2, column owner: found nothing"),
        ("duplicate_header", "score (column 3), score (column 4)"),
        ("empty_import_ok", "in none of them an outcome"),
        ("mixed_currency", "JPY (80), EUR (80)"),
    ],
)
def test_cases_that_were_let_through_are_refused(name, words):
    if not CASES.exists():
        pytest.skip("the cases are not beside the project")
    with pytest.raises(InputError) as caught:
        import_table(CASES / name / "deals.csv", CASES / name / "mapping.yaml")
    assert words in str(caught.value)


def test_thousands_and_zones_of_the_cases_are_read_as_they_are_meant():
    if not CASES.exists():
        pytest.skip("the cases are not beside the project")
    case = CASES / "german_thousands"
    matched = import_table(case / "deals.csv", case / "mapping.yaml")
    charge = [matched["amount"] * (matched[name] - matched["won"]) ** 2 for name in ("vendor", "ours")]
    assert (charge[0].sum() - charge[1].sum()) / matched["amount"].sum() == pytest.approx(-0.2087, abs=5e-5)
    case = CASES / "tz_date_shift"
    matched = import_table(case / "deals.csv", case / "mapping.yaml")
    assert matched["as_of"].dt.strftime("%m-%d").tolist() == ["04-01", "03-31", "04-01"]


@pytest.mark.parametrize(
    ("mapping", "table", "said"),
    [
        (
            {"won": {"column": "is_won", "won": [True], "lost": [False]}},
            "id,stage,is_won\n" + "".join(f"D{n},{('closedwon', 'closedlost', 'contractsent')[n % 3]},{str(n % 3 == 0).lower()}\n" for n in range(30)),
            "10 of the 20 rows that count as lost are not lost by stage (contractsent)",
        ),
        (
            {"won": {"column": "status", "won": ["Won"], "lost": ["Lost", "Open"]}},
            "id,status\n" + "".join(f"D{n},{('Won', 'Lost', 'Open')[n % 3]}\n" for n in range(30)),
            "counts Open as lost",
        ),
        (
            {"won": {"column": "won", "won": [1], "lost": [0]}, "as_of": "day"},
            "id,day,won\n" + "".join(f"D{n},2026-{1 + n // 25:02d}-{1 + n % 25:02d},{int(n % 2 and n < 160)}\n" for n in range(200)),
            "rows 0% are won, of those before 50%",
        ),
        (
            {"won": {"column": "won", "won": [1], "lost": [0]}, "as_of": "day"},
            "id,stage,day,won\n" + "".join(f"D{n},{('lost', 'won')[n % 2]},2026-01-{1 + n % 28:02d},{n % 2}\n" for n in range(200)),
            None,
        ),
    ],
    ids=["another column", "a word", "the newest", "none"],
)  # fmt: skip
def test_open_deals_that_a_mapping_counts_as_lost_are_spoken_of(tmp_path, mapping, table, said):
    (tmp_path / "t.csv").write_text(table)
    matched = import_table(tmp_path / "t.csv", {"deal_id": "id", **mapping})
    notes = [note for note in matched.attrs["forecasteval"]["notes"] if "undecided" in note]
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]
