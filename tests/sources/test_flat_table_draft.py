"""Drafts of mappings can be trusted: what they say imports, and what a table cannot tell they ask."""

import pytest
import yaml
from cases import CASES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from forecasteval.errors import InputError
from forecasteval.sources._draft_words import named, side
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.flat_table_draft import explain
from forecasteval.sources.totals import import_totals

WORDS = {
    "won": "Won|Closed Won|closedwon|Closed - Won|Gewonnen|Gagné|Gagnée|Fermé gagné|Ganado|Cerrada ganada|Ganho|Fechado e ganho|"
    "Vinto|Chiusa vinta|gewonnen|Success",
    "lost": "Lost|Closed Lost|closedlost|Closed-Lost to Competition|Verloren|Perdu|Fermée perdue|Perdido|Cierre perdido|Perdida|"
    "Perso|Chiusa persa|verloren|Out-Sold|Loss",
    "undecided": "Open|Pending|contractsent|Negotiation/Review|Proposal/Price Quote|Qualification|In Progress|On Hold|Offen|"
    "In Verhandlung|En cours|Ouvert|Abierto|Em andamento|In corso|Lopend|New|Proposition|appointmentscheduled|Deleted",
    None: "Not won|Signed|Cancelled|Nicht gewonnen|Won or lost|Abgesagt|Phase 3|No decision|Yes",
}


@pytest.mark.parametrize(
    ("meaning", "word"), [(m, w) for m, words in WORDS.items() for w in words.split("|")]
)
def test_words_of_outcomes_in_seven_languages_and_five_systems(meaning, word):
    assert side(word) == meaning


def test_codes_of_states_count_in_their_own_columns_alone():
    assert [side(code, "statecode") for code in "012"] == ["undecided", "won", "lost"]
    assert side("1", "Region") is None
    assert [side(word, "statecode") for word in ("Open", "Won", "Lost", "7")] == [
        "undecided",
        "won",
        "lost",
        None,
    ]


@pytest.mark.parametrize(
    ("role", "headers"),
    [
        ("rep", "Owner|Sales Rep|OwnerId|hubspot_owner_id|ownerid|Verkäufer|Verkaeufer|Zuständiger Mitarbeiter|Vendeur|"
         "Propriétaire|Vendedor|Responsável|Venditore|Responsabile|Verkoper|Eigenaar|user_id"),
        ("amount", "Amount|Deal Value|Betrag|Auftragswert|Umsatz|Montant|Valeur|Importe|Valor|Importo|Bedrag|estimatedvalue|"
         "expected_revenue|Orderwaarde"),
        ("outcome", "Status|StageName|dealstage|statecode|Ergebnis|Résultat|Statut|Étape|Resultado|Estado|Situação|Esito|"
         "Uitkomst|won_status|IsWon"),
        ("period", "Quarter|Quartal|Trimestre|Kwartaal|Fiscal Period|Monat|Mês"),
        ("probability", "Probability|closeprobability|hs_deal_stage_probability|Wahrscheinlichkeit|Abschlusswahrscheinlichkeit|"
         "Probabilité|Probabilidad|Probabilidade|Probabilità|Kans|Win chance"),
        ("account", "AccountId|Customer|Kunde|Client|Cliente|Klant|Firma|partner_id"),
    ],
)  # fmt: skip
def test_headers_in_seven_languages_and_five_systems(role, headers):
    assert [header for header in headers.split("|") if not named(header, role)] == []


def drafted(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    draft = explain(tmp_path / "t.csv")
    return draft, yaml.safe_load(draft)


def rows(header, *columns, times=12):
    """A table that repeats its rows, each with an id of its own."""
    lines = [line for _ in range(times) for line in columns]
    return "\n".join([f"id,{header}", *(f"D{i},{line}" for i, line in enumerate(lines))]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        rows("IsWon,IsClosed", "true,true", "false,true", "true,false", "false,false"),
        rows("is_won,Phase", "1,Verhandlung", "0,Verhandlung"),
        rows("won,closed_on", "1,2026-01-05", "0,2026-01-06", "0,"),
        rows("hs_is_closed_won,hs_is_closed_lost", "true,false", "true,true", "false,false"),
    ],
)
def test_open_deals_are_never_lost_ones(tmp_path, text):
    draft, plan = drafted(tmp_path, text)
    assert plan["won"] == "TODO"
    assert "an open deal is not a lost one" in draft


@pytest.mark.parametrize(
    "text",
    [
        rows("IsWon,IsClosed,p", "true,true,0.5", "false,true,0.4", "false,false,0.6"),
        rows("hs_is_closed_won,hs_is_closed_lost,p", "true,false,0.5", "false,true,0.4", "false,false,0.6"),
        rows("Gewonnen,Abgeschlossen,p", 'ja,ja,"0,5"', 'nein,ja,"0,4"', 'nein,nein,"0,6"'),
    ],
)
def test_a_flag_for_won_and_one_for_closed_are_joined(tmp_path, text):
    draft, plan = drafted(tmp_path, text)
    assert "12 are undecided" in draft
    matched = import_table(tmp_path / "t.csv", plan)
    assert (len(matched), matched["won"].sum()) == (24, 12)
    assert plan["won"]["lost_where"]["column"] not in plan.get("features", [])
    plan["features"] = [plan["won"]["lost_where"]["column"]]
    with pytest.raises(InputError, match="which is the sign of the close"):
        import_table(tmp_path / "t.csv", plan)


def test_what_a_second_flag_cannot_say_is_pinned(tmp_path):
    _, plan = drafted(
        tmp_path, rows("IsWon,IsClosed,p", "true,true,0.5", "false,true,0.4", "false,false,0.6")
    )
    (tmp_path / "t.csv").write_text(
        rows("IsWon,IsClosed,p", "true,true,0.5", "false,perhaps,0.4", "false,,0.6")
    )
    with pytest.raises(
        InputError, match="row 3, column IsClosed: found 'perhaps'; expected one of true, false"
    ):
        import_table(tmp_path / "t.csv", plan)


QUARTERS = [f"{year}-Q{part}" for year in (2024, 2025) for part in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        ("quarter,team,reps,vendor,actual", "{q},{u},90{i},80{i},85{i}",
         {"period": "quarter", "unit": {"column": "team", "level": "team"}, "actual": "actual",
          "forecasts": {"reps": {"column": "reps", "kind": "amount"}, "vendor": {"column": "vendor", "kind": "amount"}}}),
        ("Quartal,Verkäufer,Prognose,Prognose von (low),Soll,Ist", "{q},{u},90{i},80{i},100,85{i}",
         {"period": "Quartal", "unit": {"column": "Verkäufer", "level": "rep"}, "actual": "Ist"}),
        ("Quarter,region,Call,Call low,Call high,Booked", "{q},{u},90{i},80{i},99{i},85{i}",
         {"forecasts": {"call": {"column": "Call", "kind": "amount", "low": "Call low", "high": "Call high"}}}),
        ("Quarter,region,reps,vendor", "{q},{u},90{i},80{i}", {"actual": "TODO"}),
        ("Year,Quarter,region,reps,Closed", "2024,{q},{u},90{i},80{i}", {"actual": "Closed", "period": "Quarter"}),
    ],
)  # fmt: skip
def test_totals_are_drafted_as_totals_and_import(tmp_path, header, line, expected):
    lines = [
        line.format(q=q, u=u, i=i)
        for i, (q, u) in enumerate((q, u) for q in QUARTERS for u in ("East", "West"))
    ]
    _, plan = drafted(tmp_path, "\n".join([header, *lines]) + "\n")
    assert {key: plan[key] for key in expected} == expected
    assert "won" not in plan
    if "TODO" not in plan.values():
        found = import_totals(tmp_path / "t.csv", plan)
        assert (len(found.actuals), len(found.calls)) == (16, 16 * len(plan["forecasts"]))
        if "Call low" in header:
            assert (found.calls["low"] < found.calls["amount"]).all()
            assert (found.calls["high"] > found.calls["amount"]).all()


def test_a_quarter_that_lacks_its_year_is_asked_for(tmp_path):
    lines = [f"{y},{q},{u},90{q},80{q}" for y in (2024, 2025) for q in (1, 2, 3, 4) for u in ("East", "West")]
    draft, plan = drafted(tmp_path, "\n".join(["Year,Quarter,region,reps,Closed", *lines]) + "\n")
    assert plan["period"] == "TODO"
    assert "Quarter and Year make the period together" in draft


@pytest.mark.parametrize("words", ["Signed,Dropped", "Won,Not won", "A,B"])
def test_two_unknown_words_are_asked_about(tmp_path, words):
    one, other = words.split(",")
    draft, plan = drafted(tmp_path, rows("Status,p", f"{one},0.4", f"{other},0.7"))
    assert plan["won"] == "TODO"
    assert f"is it Status ({one}, {other})?" in draft


def test_an_unknown_word_beside_known_ones_is_left_out_and_asked_about(tmp_path):
    draft, plan = drafted(tmp_path, rows("Ergebnis,p", "Gewonnen,0.4", "Verloren,0.7", "Abgesagt,0.1"))
    assert plan["won"]["undecided"] == ["Abgesagt"]
    assert "# QUESTION: Ergebnis also says Abgesagt" in draft


def test_a_second_account_of_the_outcome_is_neither_forecast_nor_feature(tmp_path):
    text = rows("status,winflag,code,p", "won,1,5,0.4", "lost,0,6,0.4", "won,1,7,0.8", "lost,0,6,0.8")
    draft, plan = drafted(tmp_path, text)
    assert list(plan["forecasts"]) == ["p"]
    assert "features" not in plan
    assert "code divides won from lost deals without exception" in draft


@pytest.mark.parametrize(
    ("header", "cells", "kind"),
    [
        ("Decile", ["1", "10", "4"], {"kind": "rank_score"}),
        ("Score", ["3", "9", "10"], {"kind": "rank_score"}),
        ("vendor_score", ["62", "17", "80"], {"kind": "rank_score"}),
        ("Win probability", ["62", "17", "80"], {"kind": "probability", "scale": 100}),
        ("Score (%)", ["62", "17", "80"], {"kind": "probability", "scale": 100}),
        ("Wahrscheinlichkeit", ['"62,5 %"', '"17,0 %"', '"8,5 %"'], {"kind": "probability", "scale": 100}),
        ("closeprobability", ["0.25", "0.5", "0.75"], {"kind": "probability", "scale": 1}),
        ("Rabatt", ["5%", "10%", "15%"], None),
        ("has_demo", ["1", "0", "1"], None),
        ("Amount", ["62", "17", "80"], None),
    ],
)
def test_what_a_column_of_numbers_forecasts(tmp_path, header, cells, kind):
    status = ["Won", "Lost", "Lost", "Won", "Won"]
    lines = [f"{status[i % 5]},{cells[i % 3]}" for i in range(30)]
    _, plan = drafted(tmp_path, rows(f"Status,{header}", *lines, times=1))
    (entry,) = [*plan["forecasts"].values()] or [None]
    assert entry == (None if kind is None else {"column": header, **kind})


def test_what_cannot_be_known_stands_in_the_file(tmp_path):
    draft, plan = drafted(
        tmp_path,
        "id,Status,Amount,Quarter,closedate\nD1,Won,1.250,KW 1,2026-01-03\nD2,Lost,2.500,KW 2,2026-02-04\n"
        "D3,Won,3.750,KW 1,2026-01-03\nD4,Lost,2.500,KW 2,2026-02-04\nD5,Won,1.255,KW 1,2026-01-03\n"
        "D6,Lost,2.500,KW 2,2026-02-04\n",
    )
    assert plan["decimal_mark"] == "TODO"
    assert plan["period"] == "Quarter"
    assert "as_of" not in plan
    assert "In which order do the periods of Quarter come (KW 1, KW 2)? Write period_order" in draft
    assert "on which day was the forecast made?" in draft
    draft, plan = drafted(
        tmp_path,
        rows("Status,Amount,Currency", "Won,5,EUR", "Lost,5,EUR", "Won,7,USD", "Lost,6,USD", "Won,6,USD"),
    )
    assert (plan["currency"], plan["currency_rates"]) == ("Currency", {"EUR": "TODO", "USD": "TODO"})


HEADERS = [
    "Deal ID", "id", "Owner", "Verkäufer", "Status", "Ergebnis", "IsWon", "IsClosed", "closedate", "created_at", "Stichtag",
    "Quarter", "Amount", "Betrag", "Currency", "Score", "Score (%)", "score", "Probability", "Region", "account", "won",
    "rep", "amount", "007", "yes", "", "a: b # c", "[x]", "'q\"", "预测", "Importe", "Decile",
]  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "Won", "Lost", "Open", "Gewonnen", "0", "1", "true", "False", "Yes", "no", "0.5", "0,5", "62", "62%", "7",
         "1.250", "2.500", "1,234", "950", "€ 5", "JPY 5", "EUR", "USD", "2026-01-05", "11/6/18", "31.01.2026", "Q1 FY24",
         "KW 12", "r1", "2026-04-01T00:00:00+02:00", "Commit", "-1", "1e3", "- x: [", "#", "\u2028"]
    ),
    st.integers(0, 200).map(str),
    st.floats(0, 1).map("{:.3f}".format),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6),
)  # fmt: skip


@st.composite
def tables(draw):
    headers = draw(st.lists(st.sampled_from(HEADERS), min_size=1, max_size=8))
    count = draw(st.integers(1, 30))
    columns = []
    for _ in headers:
        few = draw(st.lists(CELLS, min_size=1, max_size=4))
        columns.append(draw(st.lists(st.sampled_from(few), min_size=count, max_size=count)))
    quoted = [
        '"' + cell.replace('"', '""') + '"' for row in (headers, *zip(*columns, strict=True)) for cell in row
    ]
    width = len(headers)
    return "\n".join(",".join(quoted[i : i + width]) for i in range(0, len(quoted), width)) + "\n"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(table='"Owner","Quarter","Owner","Ergebnis","Owner","account"\n"","Won","","1,234","","62"\n')
@given(table=tables())
def test_a_draft_imports_or_states_every_question(tmp_path, table):
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    try:
        draft = explain(tmp_path / "t.csv")
    except InputError:
        return  # the file itself cannot be read
    (tmp_path / "m.yaml").write_text(draft, encoding="utf-8")
    plan = yaml.safe_load(draft)
    totals = "actual" in plan
    if not totals and isinstance(plan["won"], dict):
        assert not {"Open", "KW 12"} & set(plan["won"]["lost"])
        assert plan["won"]["column"] not in [entry["column"] for entry in plan["forecasts"].values()]
    try:
        (import_totals if totals else import_table)(tmp_path / "t.csv", tmp_path / "m.yaml")
    except InputError as error:
        for problem in error.problems:
            open_question = problem.found == "a question that is still open"
            assert open_question or f"QUESTION: {' '.join(str(problem).split())}"[:60] in draft, problem


@pytest.mark.parametrize(
    ("name", "undecided", "rows"),
    [("draft_open_counted_lost", ["contractsent"], 40), ("draft_leaks_outcome", ["open"], 118)],
)
def test_drafts_of_the_cases(tmp_path, name, undecided, rows):
    if not CASES.exists():
        pytest.skip("the cases are not beside the project")
    file = CASES / name / "deals.csv"
    (tmp_path / "m.yaml").write_text(explain(file))
    plan = yaml.safe_load((tmp_path / "m.yaml").read_text())
    assert plan["won"]["undecided"] == undecided
    assert "stage_id" not in plan.get("features", [])
    assert len(import_table(file, tmp_path / "m.yaml")) == rows


def test_the_other_side_of_a_forecast_is_no_second_one(tmp_path):
    rows = "".join(f"G{n},{n % 100 / 100:.2f},{1 - n % 100 / 100:.2f},{n % 2}\n" for n in range(1, 99))
    (tmp_path / "games.csv").write_text("id,prob1,prob2,prob1_outcome\n" + rows)
    text = explain(tmp_path / "games.csv")
    assert "column: prob1, kind: probability" in text
    assert "column: prob2" not in text
    assert "the other side of one forecast" in text


def test_looks_at_things_that_no_column_names_are_asked_about(tmp_path):
    rows = "".join(
        f"{state},{party},2016-11-{1 + day:02d},{(n + day) % 9 / 10 + 0.05:.2f},{int(n % 3 == 0)}\n"
        for n, (state, party) in enumerate((s, p) for s in "ABCDEFGH" for p in ("left", "right"))
        for day in range(10)
    )
    (tmp_path / "night.csv").write_text("place,party,forecast_date,probability,won\n" + rows)
    text = explain(tmp_path / "night.csv")
    assert "160 rows agree with others in place, party and in the outcome" in text


def test_rows_dated_at_or_after_the_close_are_asked_about(tmp_path):
    said = ("2026-01-04,0.7", "2026-01-05,0.2", "2026-02-05,0.4")
    columns = [f"2026-01-05,{status},{rest}" for rest in said for status in ("Won", "Lost")]
    draft, given = drafted(tmp_path, rows("as_of,Status,Close Date,score", *columns))
    assert "48 decided rows are dated on the day in Close Date or later" in draft
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(given | {"closed_on": "Close Date"}))
    assert len(import_table(tmp_path / "t.csv", tmp_path / "t.yaml")) == 24
    draft, _ = drafted(tmp_path, rows("as_of,Status,Close Date,score", *columns[4:]))
    assert "or later" not in draft


def test_an_amount_of_two_values_is_an_amount(tmp_path):
    _, given = drafted(tmp_path, rows("Status,amount,score", "Won,1,0.7", "Lost,1000000000,0.2", "Won,1,0.4"))
    assert given["amount"] == "amount"


@pytest.mark.parametrize("outcome", ["stage", "is_won", "result"])
def test_a_state_of_the_country_is_a_segment_beside_any_outcome(tmp_path, outcome):
    answers = {"stage": ("Won", "Lost"), "is_won": ("1", "0"), "result": ("yes", "no")}[outcome]
    rows = [f"D{i},{('TX', 'NY', 'CA')[i % 3]},0.{i % 8 + 1},{answers[i % 5 == 0]}" for i in range(60)]
    text, given = drafted(tmp_path, "\n".join([f"id,State,score,{outcome}", *rows]))
    assert given["segments"] == ["State"]
    assert "or State" not in text


def test_days_until_the_close_are_no_feature(tmp_path):
    text = "".join(
        f"D{n},{'Won' if n % 3 else 'Lost'},2026-01-05,2026-02-{1 + n:02d},{27 + n},{n * 7 % 11}\n"
        for n in range(24)
    )
    (tmp_path / "t.csv").write_text("id,Status,Created,Close Date,cycle,size\n" + text)
    draft = explain(tmp_path / "t.csv")
    assert "cycle counts the days from Created to Close Date" in draft
    assert "cycle" not in yaml.safe_load(draft)["features"]


def test_when_a_row_was_last_written_is_no_moment_of_a_forecast(tmp_path):
    lines = [f"2026-01-{day:02},2026-03-{day:02},{'Won' if day % 2 else 'Lost'}" for day in range(1, 13)]
    draft, given = drafted(tmp_path, rows("Created,Last Modified Date,Stage", *lines, times=1))
    assert given["as_of"] == "Created"
    assert "QUESTION: Last Modified Date says when a row was last written" in draft


def test_the_deal_of_a_table_of_snapshots_is_the_one_that_comes_back(tmp_path):
    looks = [
        f"S{deal}-{week},2026-01-{7 * week + 1:02},OPP-{deal},{('Won', 'Lost')[deal % 2] if week == 3 else 'Proposal'},{deal}000"
        for deal in range(1, 13)
        for week in range(4)
    ]
    text = "\n".join(["snapshot_id,snapshot_date,opportunity_id,stage,amount", *looks]) + "\n"
    _, given = drafted(tmp_path, text)
    assert (given["deal_id"], given["as_of"]) == ("opportunity_id", "snapshot_date")


def test_a_column_that_is_nearly_an_amount_is_asked_about(tmp_path):
    lines = [f"{'Won' if n % 2 else 'Lost'},{n}00{'x' * (n == 5)}" for n in range(1, 13)]
    draft, given = drafted(tmp_path, rows("Status,Betrag", *lines, times=1))
    assert "amount" not in given
    assert "Betrag would be the amount, but 1 cells are no number, the first in row 6 is 500x" in draft
    draft, given = drafted(
        tmp_path, rows("Status,Betrag", *[line.replace("x", "") for line in lines], "Won,-50", times=1)
    )
    assert given["amount"] == "Betrag"
    assert "QUESTION: Betrag is below 0 in 1 rows" in draft


def test_a_reason_for_the_loss_is_no_feature_and_unknown_words_are_shown(tmp_path):
    lines = [f"{'успех' if n % 2 else 'отказ'},{'' if n % 2 else f'reason {n}'}" for n in range(1, 13)]
    draft, given = drafted(tmp_path, rows("Итоги,Lost reason", *lines, times=1))
    assert "is it Итоги (успех, отказ)" in draft
    assert "Lost reason" not in given.get("features", [])


@pytest.mark.parametrize(
    ("header", "won", "lost"),
    [
        ("商談ID,所有者,取引先名,フェーズ,作成日,金額,確度(%)", "受注", "失注"),
        (
            "ID сделки,Ответственный,Компания,Стадия сделки,Дата создания,Сумма,Вероятность",
            "Сделка успешна",
            "Сделка провалена",
        ),
        ("レコードID,取引担当者,関連する会社,取引ステージ,作成日,金額", "成約", "不成立"),
        (
            "Datensatz-ID,Zuständiger Mitarbeiter,Zugeordnetes Unternehmen,Deal-Phase,Erstellungsdatum,Betrag",
            "Gewonnen",
            "Verloren",
        ),
        (
            "ID,Asignado a,Nombre de cuenta,Etapa de ventas,Fecha de creación,Monto de la oportunidad",
            "Ganado",
            "Perdido",
        ),
        ("ID szansy,Właściciel,Konto,Etap,Data utworzenia,Kwota,Prawdopodobieństwo", "Wygrana", "Przegrana"),
        (
            "ID opportunità,Titolare opportunità,Nome account,Fase,Data creazione,Importo,Probabilità (%)",
            "Chiusa vinta",
            "Chiusa persa",
        ),
        (
            "ID da oportunidade,Proprietário,Nome da conta,Fase,Data de criação,Valor,Probabilidade (%)",
            "Fechado e ganho",
            "Fechado e perdido",
        ),
    ],
)
def test_whole_tables_in_other_languages_are_drafted(tmp_path, header, won, lost):
    lines = [
        f"D{n},r{n % 4},K{n % 9},{won if n % 3 else lost},2026-01-{n:02},{n}000"
        + f",{(35, 50, 75, 20)[n % 4]}" * (header.count(",") == 6)
        for n in range(1, 25)
    ]
    _, given = drafted(tmp_path, "\n".join([header, *lines]) + "\n")
    names = header.split(",")
    assert [given[key] for key in ("deal_id", "rep", "account", "as_of", "amount")] == [
        names[at] for at in (0, 1, 2, 4, 5)
    ]
    assert (given["won"]["column"], given["won"]["won"], given["won"]["lost"]) == (names[3], [won], [lost])
    assert [said["column"] for said in given["forecasts"].values()] == names[6:]
