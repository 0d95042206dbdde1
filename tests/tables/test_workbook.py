"""Excel workbooks as people save them: one sheet with a header is read, everything else is refused in words."""

from datetime import date, datetime
from pathlib import Path

import pytest
import statsmodels
import xlsxwriter

from forecasteval.tables.reading import read_sheet

DEALS = [
    ["ID", "Closed", "Chance", "Amount"],
    ["D1", date(2026, 1, 31), 0.62, 1200.5],
    ["D2", None, 0.1, 900],
]
FORMATS = {"default_date_format": "dd/mm/yyyy", "remove_timezone": True}


@pytest.fixture
def saved(tmp_path):
    """Writes sheets (lists of rows) as a workbook; `touch` may do more to one of them."""

    def save(sheets, touch=None, hidden=()):
        path = tmp_path / "deals.xlsx"
        with xlsxwriter.Workbook(path, FORMATS) as book:
            for name, rows in sheets.items():
                sheet = book.add_worksheet(name)
                for number, row in enumerate(rows):
                    sheet.write_row(number, 0, row)
                if name in hidden:
                    sheet.hide()
                if touch:
                    touch(sheet)
        return path

    return save


def read(path, table=None):
    sheet, notes = read_sheet(path, path.name, table=table)
    return sheet, [str(problem) for problem in sheet.problems], notes


def test_a_sheet_is_read_with_its_rows_dates_and_numbers(saved):
    sheet, problems, notes = read(saved({"Pipeline": DEALS, "Remarks": [["none"]]}))
    assert problems == []
    assert notes == ["deals.xlsx: the sheet Pipeline was read; left out: Remarks."]
    assert sheet.cells.index.tolist() == [2, 3]
    assert sheet.cells.loc[2].tolist() == ["D1", "2026-01-31", "0.62", "1200.5"]
    assert sheet.dates("Closed").tolist()[0] == datetime(2026, 1, 31)
    assert sheet.numbers("Amount").tolist() == [1200.5, 900]


def test_several_sheets_with_tables_are_asked_about_and_one_can_be_named(saved):
    path = saved({"2025": DEALS, "2026": DEALS[:2]})
    _, problems, _ = read(path)
    assert len(problems) == 1
    assert "found 2 sheets with tables: 2025 (2 rows), 2026 (1 rows)" in problems[0]
    assert "--table '2025'" in problems[0]
    assert len(read(path, "2026")[0].cells) == 1
    _, problems, _ = read(path, "2027")
    assert "no sheet '2027'; expected one of 2025, 2026. Did you mean 202" in problems[0]


def test_a_hidden_sheet_counts_only_where_no_other_has_a_table(saved):
    notes = read(saved({"Now": DEALS[:2], "Old": DEALS}, hidden=["Old"]))[2]
    assert notes == ["deals.xlsx: the sheet Now was read; left out: Old."]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [["Pipeline, 3 March"], [], ["ID", 2026, 2027], ["D1", 1, 2]],
            "row 1: found 'Pipeline, 3 March' above the table",
        ),
        ([["Pipeline, 3 March"], [], ["ID", 2026, 2027], ["D1", 1, 2]], "which seems to stand in row 3"),
        ([["", "Report", "of", "March"], *DEALS], "row 1: found 3 names over 4 columns; none over A"),
        ([["ID", "", "Chance"], ["D1", "x", 0.5]], "row 1: found 2 names over 3 columns; none over B"),
        ([["ID", "Chance"], ["", ""]], "no sheet with a table"),
    ],
)
def test_what_is_no_table_with_one_header_is_refused_with_its_row(saved, rows, words):
    sheet, problems, _ = read(saved({"Sheet1": rows}))
    assert sheet.cells.empty
    assert words in "\n".join(problems)


@pytest.mark.parametrize("above", [["Pipeline, 3 March"], ["", "Report", "of March"]])
def test_what_stands_above_a_certain_header_is_left_out_and_said(saved, above):
    sheet, problems, notes = read(saved({"Sheet1": [above, [], *DEALS]}))
    assert problems == []
    assert sheet.cells.loc[4].tolist() == ["D1", "2026-01-31", "0.62", "1200.5"]
    assert "deals.xlsx: the header was found in row 3; what stands above it was left out" in notes[-1]


def test_merged_cells_are_refused_with_their_place(saved):
    path = saved({"Sheet1": DEALS}, touch=lambda sheet: sheet.merge_range("B1:C1", "Forecast"))
    assert "row 1, column B: found the merged cells B1:C1" in "\n".join(read(path)[1])


def test_numbers_stored_as_text_and_cells_with_errors_are_said(saved):
    def touch(sheet):
        sheet.write_string(2, 3, "900")
        sheet.write_formula(1, 2, "=NA()", None, "#N/A")

    sheet, problems, notes = read(saved({"Sheet1": DEALS}, touch=touch))
    assert problems == []
    assert "Numbers stored as text, read as they stand: Amount (1 cells, first in row 3)." in notes
    assert "deals.xlsx: 1 cells hold an error such as #N/A and count as empty, the first in C2." in notes
    assert sheet.numbers("Chance").isna().tolist() == [True, False]


def test_a_workbook_is_known_by_its_bytes_and_a_broken_one_is_refused(saved, tmp_path):
    disguised = saved({"Sheet1": DEALS}).rename(tmp_path / "deals.csv")
    assert len(read(disguised)[0].cells) == 2
    (tmp_path / "cut.xlsx").write_bytes(disguised.read_bytes()[:2000])
    assert "cut.xlsx: found what cannot be read as a workbook" in read(tmp_path / "cut.xlsx")[1][0]


def test_the_older_format_is_read_too():
    path = Path(statsmodels.__file__).parent / "datasets/macrodata/src/macrodata.xls/macrodata.xls"
    if not path.exists():
        pytest.skip("statsmodels came without its .xls file")
    sheet, problems, _ = read(path, "Quarterly")
    assert problems == []
    assert sheet.cells.loc[2, "DATE"] == "1947-01-01"
    assert sheet.numbers("GDPC96").iloc[-1] == pytest.approx(12990.3, abs=0.1)
