"""Cells of files as people and systems write them."""

from dataclasses import replace

import pandas as pd
import pytest

from forecasteval.tables.columns import Sheet
from forecasteval.tables.reading import read_header, read_sheet, read_text


def column(*cells, file="t.csv", zone="UTC"):
    return Sheet(
        file, pd.DataFrame({"x": list(cells)}, index=range(2, len(cells) + 2), dtype="str"), [], zone
    )


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "1.5", "-2", "1e3"], [1, 1.5, -2, 1000]),
        (["$1,234.50", "USD 7", "(5)", "3,000,190.00"], [1234.5, 7, -5, 3000190]),
        (["1.234,50", "1.234", "7"], [1234.5, 1234, 7]),
        (["12,5", "€ 3"], [12.5, 3]),
        (["1 234", "5'000"], [1234, 5000]),
        (["0,555", "0,1"], [0.555, 0.1]),
        (["12,3456"], [12.3456]),
        (["1,234", "56,789"], [1234, 56789]),
    ],
)
def test_numbers_in_the_notations_of_several_countries(cells, values):
    sheet = column(*cells)
    assert sheet.numbers("x").tolist() == values
    assert sheet.problems == []


@pytest.mark.parametrize(
    "cells",
    [
        ["1,5", "1.5"],
        ["1.23.4"],
        ["five"],
        ["inf"],
        ["1,2,3"],
        ["Tier 1"],
        ["<b>(1)</b>"],
        ["n12"],
        ["5 deals"],
    ],
)
def test_numbers_that_are_none_are_named(cells):
    sheet = column(*cells)
    sheet.numbers("x")
    assert sheet.problems[-1].expected == "a number"


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1.250", "950", "250.000"], [1250, 950, 250000]),  # decimals would be padded, or cut, in every cell
        (["1,250", "950"], [1250, 950]),
        (["1.255", "12000"], [1.255, 12000]),  # thousands would be marked in both
        (["1.250", "0.5", "2.125"], [1.25, 0.5, 2.125]),
        (["€ 1.250", "€ 2.500"], [1250, 2500]),  # money has two decimals
        (["€ 1.200,50", "€ 3"], [1200.5, 3]),
        (["R$ 1.000,00", "R$ 1.250"], [1000, 1250]),
        (["1,00,000", "12,345"], [100000, 12345]),  # as in India
        (["CHF 1'250.50", "CHF 7"], [1250.5, 7]),
        (["1.234,50-", "(2,5)", "-€ 3"], [-1234.5, -2.5, -3]),
        (["1\u202f234,5 €", "2 €"], [1234.5, 2]),
        (["$ 5", "CAD 6"], [5, 6]),
    ],
)
def test_marks_are_decided_by_all_cells_of_a_column(cells, values):
    sheet = column(*cells)
    assert sheet.numbers("x").tolist() == values
    assert sheet.problems == []


@pytest.mark.parametrize("cells", [["1.250", "2.500"], ["1.250", "1,250"], ["1.250", "950", "0.5"]])
def test_marks_that_nothing_decides_are_asked(cells):
    sheet = column(*cells)
    sheet.numbers("x")
    (problem,) = sheet.problems
    assert problem.found == "'1.250'"
    assert "decimal_mark" in problem.advice
    sheet = column(*cells)
    sheet.decimal = ","
    assert sheet.numbers("x").iloc[0] == 1250


def test_commas_taken_for_thousands_are_said_and_asked_where_commas_may_be_decimals():
    sheet = column("1,234", "56,789")
    sheet.numbers("x")
    assert "commas were taken to mark thousands, as in 1,234" in sheet.notes[0]
    sheet = column("1,234", "56,789")
    sheet.separator = ";"
    sheet.numbers("x")
    assert len(sheet.problems) == 1


def test_several_currencies_need_their_rates():
    sheet = column("JPY 320000", "€ 20000", "5")
    sheet.numbers("x")
    assert sheet.problems[0].found == "JPY (1), € (1)"
    sheet = column("JPY 320000", "€ 20000")
    sheet.rates = {"EUR": 1, "JPY": 1 / 160}
    assert sheet.numbers("x").tolist() == [2000, 20000]
    assert "JPY = 0.00625" in sheet.notes[0]
    sheet = column("JPY 320000", "€ 20000", "5")
    sheet.rates = {"EUR": 1, "JPY": 1 / 160}
    sheet.numbers("x")
    assert sheet.problems[0].row == 4


def test_percentages_have_their_sign_in_all_cells_or_in_none():
    sheet = column("62%", "0.5", "0")
    sheet.shares("x", percent=True)
    assert [problem.row for problem in sheet.problems] == [3]


@pytest.mark.parametrize(
    ("days_in", "days"),
    [("", ["2026-04-01", "2026-03-31", "2026-04-01"]), ("Europe/Berlin", ["2026-04-01"] * 3)],
)
def test_a_time_with_a_zone_lies_on_the_day_of_the_organisation_or_as_written(days_in, days):
    sheet = column("2026-04-01T00:00:00+02:00", "2026-03-31 23:30:00 -05", "2026-04-01")
    sheet.days_in = days_in
    assert sheet.dates("x").dt.strftime("%Y-%m-%d").tolist() == days
    assert sheet.problems == []


def test_columns_of_one_name_are_told_apart_and_refused_where_either_may_be_meant(tmp_path):
    (tmp_path / "t.csv").write_text("id,score,score,Share (%),share\n1,2,3,4,5\n")
    sheet, _ = read_sheet(tmp_path / "t.csv", "t.csv")
    assert list(sheet.cells) == ["id", "score (column 2)", "score (column 3)", "Share (%)", "share"]
    assert sheet.find("share") == "share"
    assert sheet.find("score (column 3)") == "score (column 3)"
    assert sheet.problems == []
    assert sheet.find("Score") == "score (column 2)"
    sheet.find("SHARE")
    assert [problem.found for problem in sheet.problems] == [
        "2 that may be meant: score (column 2), score (column 3)",
        "2 that may be meant: Share (%), share",
    ]


def test_words_with_figures_stay_words():
    assert column("Tier 1", "2").numbers_or_text("x").tolist() == ["Tier 1", "2"]
    assert column("1", None, "2.5").numbers_or_text("x").fillna(0).tolist() == [1, 0, 2.5]


@pytest.mark.parametrize(
    ("cell", "utc"),
    [
        ("2026-02-03T10:00:00.000Z", "2026-02-03 10:00"),
        ("2026-02-03T10:00:00.000+0000", "2026-02-03 10:00"),
        ("2026-02-03T10:00:00+02:00", "2026-02-03 08:00"),
        ("2026-02-03 10:00:00", "2026-02-03 15:00"),
        ("2026-02-03 9:05:18", "2026-02-03 14:05:18"),
        ("2026-02-03", "2026-02-03 05:00"),
        ("2/23/2026", "2026-02-23 05:00"),
        ("02/23/26 08:55 PM", "2026-02-24 01:55"),
        ("02/23/26 12:05 AM", "2026-02-23 05:05"),
        ("2/23/2026, 12:05 PM", "2026-02-23 17:05"),
        ("23.02.2026 14:30", "2026-02-23 19:30"),
        ("01.02.2026", "2026-02-01 05:00"),
        ("2026/02/03", "2026-02-03 05:00"),
    ],
)
def test_moments_with_and_without_a_zone(cell, utc):
    sheet = column(cell, zone="America/New_York")
    assert sheet.moments("x").tolist() == [pd.Timestamp(utc)]
    assert sheet.problems == []


def test_day_and_month_are_told_from_the_whole_column():
    assert column("01/02/2026", "13/02/2026").dates("x").dt.month.tolist() == [2, 2]
    assert column("01/02/2026", "02/13/2026").dates("x").dt.month.tolist() == [1, 2]


def test_sentinel_dates_of_far_away_years_are_dates():
    assert column("9999-12-31 23:59:59").moments("x").dt.year.tolist() == [9999]


def test_flags_in_all_their_spellings():
    sheet = column("true", "TRUE", "1", "Yes", "false", "FALSE", "0", None)
    assert sheet.flags("x").tolist() == [True] * 4 + [False] * 4
    sheet = column("true", "maybe")
    sheet.flags("x")
    assert sheet.problems[0].row == 3


def test_shares_outside_their_range_are_named_with_a_hint():
    sheet = column("62", "0.5")
    assert sheet.shares("x", percent=False).isna().tolist() == [True, False]
    assert "divide by 100?" in sheet.problems[0].advice
    sheet = column("0.2", "0.9")
    sheet.shares("x", percent=True)
    assert "multiply it by 100" in sheet.problems[0].advice
    assert column("60%", "5 %").shares("x", percent=True).tolist() == [0.6, 0.05]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "iso-8859-1", "utf-16"])
def test_files_in_the_usual_encodings(tmp_path, encoding):
    path = tmp_path / "t.csv"
    path.write_bytes("name;won\nZoë;1\n".encode(encoding))
    cells, problems, notes = read_text(path)
    assert cells["name"].tolist() == ["Zoë"]
    assert problems == []
    assert len(notes) == (encoding == "iso-8859-1")


def test_rows_keep_the_numbers_that_a_spreadsheet_shows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n"two\nlines",1\n\n,\nx,2\n')
    cells, _, _ = read_text(path)
    assert cells.index.tolist() == [2, 5]


@pytest.mark.parametrize(
    ("text", "row", "words"),
    [("a,b\n1,2\n1,2,3\n", 3, "double quotes"), ("", 1, "header"), ("\n\n", 1, "header")],
)
def test_files_that_are_no_tables_are_refused(tmp_path, text, row, words):
    path = tmp_path / "t.csv"
    path.write_text(text)
    _, (problem,), _ = read_text(path)
    assert problem.row == row
    assert words in problem.advice


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("text", "row", "cells"),
    [("a,b\n1,2,3\n4,5\n", 2, "3 cells"), ('a;b\n"x\ny";2\n1;2;3\n1;2\n', 3, "3 cells")],
)
def test_rows_with_too_many_cells_are_refused_outside_of_tests_too(tmp_path, text, row, cells, recwarn):
    (tmp_path / "t.csv").write_text(text)
    _, (problem,), _ = read_text(tmp_path / "t.csv")
    assert problem.found == cells
    assert problem.expected == "2, as in the header"
    assert problem.row in (row, row + 1)  # a line break inside quotes counts as a line in one of the parsers
    assert not recwarn.list


def test_a_delimiter_at_the_end_of_each_row_is_no_cell(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2,\n3,4,\n")
    cells, problems, _ = read_text(tmp_path / "t.csv")
    assert problems == []
    assert cells["b"].tolist() == ["2", "4"]


@pytest.mark.parametrize("start", ["<html>", "\n<!DOCTYPE html>\n<html>"])
def test_a_web_page_saved_as_csv_is_called_one(tmp_path, start):
    (tmp_path / "t.csv").write_text(start + "<body>Log in, please</body></html>")
    _, (problem,), _ = read_text(tmp_path / "t.csv")
    assert problem.found == "a file that starts with " + start.split("\n")[-1 if start[0] == "<" else 1]
    assert "web page" in problem.advice


def test_months_may_be_words():
    sheet = column("24-Jun-2024", "3 March 24", "Sept. 5, 2024", "9-May-2025 1:05 PM")
    assert sheet.dates("x").dt.strftime("%Y-%m-%d").tolist() == [
        "2024-06-24", "2024-03-03", "2024-09-05", "2025-05-09",
    ]  # fmt: skip
    assert sheet.problems == []
    sheet = column("31-Jun-2024", "24 Marble 2024")
    assert sheet.dates("x").isna().all()
    assert [problem.row for problem in sheet.problems] == [3, 2]


def test_the_number_of_a_day_is_told_for_what_it_is():
    sheet = column("45467")
    sheet.dates("x")
    assert "45467 is 2024-06-24): format the column as a date" in str(sheet.problems[0])


def test_words_for_nothing_are_empty_cells_and_are_counted():
    sheet = column("5", "NULL", r"\N", "NULL")
    assert sheet.numbers("x").tolist()[0] == 5
    assert sheet.problems == []
    assert sheet.notes == [r"t.csv, column x: 3 cells of NULL, \N were taken as empty."]
    coded = Sheet("t.csv", column("5", "NULL", "NULL", "5").cells.astype("category"))
    assert coded.read("x", "number").notna().sum() == 2
    assert coded.notes == ["t.csv, column x: 2 cells of NULL were taken as empty."]


def test_hard_spaces_are_spaces():
    assert column("Closed\u00a0Won").text("x").tolist() == ["Closed Won"]


ABOVE = [
    ("Pipeline FY26\n", 2),
    ("sep=;\n", 2),
    ("Report;;\n;;\n", 3),
    ("\n", 2),
    ("As of;2026-02-01\nRegion;EMEA\n\n", 4),
]


@pytest.mark.parametrize(("above", "row"), ABOVE)
def test_what_stands_above_a_certain_header_is_left_out_and_said(tmp_path, above, row):
    path = tmp_path / "deals.csv"
    path.write_text(f"{above}Id;Stage;Amount;Owner\nD1;Talk;5;r\nD2;Talk\nD3;Talk;x;r\n" + "D;Talk;7;r\n" * 5)
    sheet, notes = read_sheet(path, path.name)
    assert read_header(path) == list(sheet.cells) == ["Id", "Stage", "Amount", "Owner"]
    assert f"the header was found in row {row}" in notes[0]
    assert sheet.problems[0].row == row + 2  # the short one
    sheet.numbers("Amount")
    assert sheet.problems[-1].row == row + 3


@pytest.mark.parametrize(
    ("above", "found", "row"),
    [("Pipeline FY26\n", "'Pipeline FY26' above", 2), ("\n", "empty first line", 2)],
)
def test_what_stands_above_a_doubtful_header_is_named_with_its_row(tmp_path, above, found, row):
    path = tmp_path / "deals.csv"
    path.write_text(f"{above}Id;Stage;2026\nD1;Talk;5\n")
    problem = read_sheet(path, path.name)[0].problems[0]
    assert found in problem.found
    assert f"row {row}" in problem.advice


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["10. Januar 2024", "6 févr. 2024"], ["2024-01-10", "2024-02-06"]),
        (["10 de enero de 2024", "19 de dezembro de 2024"], ["2024-01-10", "2024-12-19"]),
        (["Wednesday, January 10th, 2024", "2024年2月6日"], ["2024-01-10", "2024-02-06"]),
        (["20240110", "20240206T231500Z"], ["2024-01-10", "2024-02-07"]),
        (["1704844800", "1707261300000"], ["2024-01-10", "2024-02-07"]),
        (["2024-01-10 23:15:00.000000 UTC", "2024/2/6 23:15 UTC"], ["2024-01-11", "2024-02-07"]),
    ],
)
def test_dates_of_people_and_machines_are_days_in_the_stated_zone(cells, days):
    sheet = replace(column(*cells), days_in="Europe/Berlin")
    assert sheet.dates("x").dt.strftime("%Y-%m-%d").tolist() == days
    assert sheet.problems == []
    counted = sum(cell.isdigit() and len(cell) > 8 for cell in cells)
    assert [f"{counted} cells were read as seconds since 1970" in note for note in sheet.notes] == [
        True
    ] * bool(counted)


def test_a_year_of_two_digits_is_found_by_what_varies_less():
    days = pd.date_range("2023-01-10", periods=30, freq="9D").to_series()
    for form in ("%y-%m-%d", "%d-%m-%y", "%y.%m.%d", "%d.%m.%y", "%y/%m/%d", "%m/%d/%y"):
        sheet = column(*days.dt.strftime(form))
        assert sheet.dates("x").tolist() == days.tolist(), form
        assert sheet.problems == []
    ends = column("30-09-23", "31-12-24", "31-03-25")
    assert ends.dates("x").dt.year.tolist() == [2023, 2024, 2025]
    few = column("24-03-15", "24-03-17")
    few.dates("x")
    assert "'24-03-15'; expected a date of which one can tell the year" in str(few.problems[0])


def test_dates_of_which_a_spreadsheet_swapped_half_are_refused():
    days = pd.date_range("2024-01-10", periods=20, freq="9D").to_series()
    swapped = days.map(lambda day: f"{day:%Y-%d-%m}" if day.day <= 12 else f"{day:%d/%m/%Y}")
    sheet = column(*swapped)
    sheet.dates("x")
    assert "'19/01/2024', as all with a day above 12, but 2024-10-01 in row 2" in str(sheet.problems[0])
    mixed = column(*[f"{day:%Y-%m-%d}" if at % 2 else f"{day:%d/%m/%Y}" for at, day in enumerate(days)])
    assert mixed.dates("x").tolist() == days.tolist()
    assert mixed.problems == []


def test_a_guard_for_spreadsheets_is_no_part_of_a_value():
    assert column('="0061"', '=" 7 "', "=5").text("x").tolist() == ["0061", "7", "=5"]
    assert column('="1,250.50"').numbers("x").tolist() == [1250.5]


def test_a_word_for_nothing_is_no_name():
    sheet = column("Ada", "NULL", "-None-", "#N/A", "-")
    assert sheet.read("x", "name").notna().tolist() == [True, False, False, False, False]
    assert sheet.notes == ["t.csv, column x: 4 cells of NULL, -None-, #N/A, - were taken as empty."]
    assert sheet.text("x").notna().all()  # a segment may be called so


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["$133K", "1.2M", "950"], [133_000, 1_200_000, 950]),
        (["1,25 Mio. €", "3,5 Tsd. €", "-2 Mrd. €"], [1_250_000, 3_500, -2e9]),
        (["120万円", "￥1,500,000", "3億"], [1_200_000, 1_500_000, 3e8]),
        (["USD 2.3mn", "(4k)"], [2_300_000, -4_000]),
    ],
)
def test_letters_for_thousands_and_millions_are_multiplied_out_and_said(cells, values):
    sheet = column(*cells)
    assert sheet.numbers("x").tolist() == values
    assert sheet.problems == []
    assert "letters after numbers were multiplied out" in sheet.notes[0]
    assert column("12m", "36m").numbers_or_text("x").tolist() == ["12m", "36m"]  # a term is no amount


def test_letters_that_mean_two_things_and_dashes_among_amounts_are_asked_about():
    sheet = column("5 mil", "5 Kč", "$ -", "-")
    assert sheet.numbers("x").tolist()[1] == 5
    assert [problem.row for problem in sheet.problems] == [2, 4, 5]
    assert "write 0, or leave the cell empty" in sheet.problems[1].advice


def test_shares_among_percentages_are_asked_about():
    sheet = column("45", "0.6", "80", "0")
    sheet.shares("x", percent=True)
    assert "row 3, column x: found '0.6'; expected a percentage" in str(sheet.problems[0])
    honest = column("45.0", "0.6", "12.5")
    assert honest.shares("x", percent=True).tolist() == [0.45, 0.006, 0.125]
    signed = column("45 %", "0.5%", "0")
    assert signed.shares("x", percent=False).tolist() == [0.45, 0.005, 0]
    assert honest.problems + signed.problems == []
    mixed = column("0.45", "60 %")
    mixed.shares("x", percent=False)
    assert "have no sign: write all of them with it" in mixed.problems[0].advice


def test_ids_that_a_spreadsheet_rounded_are_refused():
    sheet = column("1.46163E+10", "14616300001", "E+S Ltd")
    sheet.read("x", "name")
    assert "row 2, column x: found '1.46163E+10'; expected an id with all its digits" in str(
        sheet.problems[0]
    )
    assert len(sheet.problems) == 1


def test_what_systems_write_for_no_day_is_empty_and_other_years_are_refused():
    sheet = column("2024-02-06", "1900-01-01", "9999-12-31", "0000-00-00", "2204-05-01")
    assert sheet.dates("x").notna().tolist() == [True, False, False, False, True]
    assert [problem.row for problem in sheet.problems] == [6]
    assert "a date from 1980 to 2100" in sheet.problems[0].expected
    assert [note.split(": ")[1] for note in sheet.notes] == [
        "1 cells of 0000-00-00 were taken as empty.", "2 cells such as 1900-01-01 were taken as empty.",
    ]  # fmt: skip
