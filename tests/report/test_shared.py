"""What leaves the house beside the page: a workbook, a PDF."""

import io
import json
import logging
import re
import zlib

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from python_calamine import CalamineWorkbook

from forecasteval.errors import CallError
from forecasteval.report import _pdf, _workbook
from forecasteval.report.make import make_report
from forecasteval.report.published import csv_text


def read(content):
    book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    return {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}


def test_numbers_are_numbers_and_everything_else_stays_text():
    pytest.importorskip("xlsxwriter")
    hostile = [
        '=HYPERLINK("http://x")',
        "+1",
        "@SUM(A1)",
        "http://example.org",
        "007",
        "1e5",
        "a\x01\x0b<b>&",
    ]
    ids = ["0012", "12345678901234567890", "1", "2", "3", "4", ""]
    table = pd.DataFrame({"text": hostile, "id": ids, "n": range(7), "x": [0.5, None, -1e-3, 2, 3, 4, 5e10]})
    sheets = read(_workbook.workbook("Acme: who?\n=1+1\n", {"hostile": csv_text(table)}))
    assert sheets["Summary"] == [["Acme: who?"], ["=1+1"]]
    head, *body = sheets["hostile"]
    assert head == ["text", "id", "n", "x"]
    assert [row[0].lstrip("'") for row in body] == hostile
    assert [row[1] for row in body] == ids
    assert [row[2] for row in body] == [0, 1, 2, 3, 4, 5, 6]
    assert [row[3] for row in body] == [0.5, "", -0.001, 2, 3, 4, 5e10]


def test_no_formula_and_no_link_is_written():
    pytest.importorskip("xlsxwriter")
    import zipfile

    content = _workbook.workbook("=1+1 http://example.org", {"t": "a,b\n=1+1,http://example.org\n"})
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        sheets = b"".join(parts.read(n) for n in parts.namelist() if n.startswith("xl/worksheets"))
        assert not [n for n in parts.namelist() if "external" in n.lower()]
    assert b"<f>" not in sheets
    assert b"hyperlink" not in sheets
    assert b"autoFilter" in sheets
    assert b'state="frozen"' in sheets


def test_names_and_sizes_that_excel_refuses_are_made_to_fit():
    pytest.importorskip("xlsxwriter")
    long = "a" * 40
    tables = {
        "history": "x\n1\n",
        "Summary": "",
        long: "x\n",
        f"{long}b": "x\n1\n",
        "a/b:c": f"x\n{'y' * 200_000}\n",
    }
    sheets = read(_workbook.workbook("s", tables))
    assert list(sheets) == ["Summary", "history-2", "Summary-2", "a" * 31, "a" * 29 + "-2", "a-b-c"]
    assert len(sheets["a-b-c"][1][0]) == 32_767


PAGE = "<!DOCTYPE html><html lang='en'><head><title>Who?</title></head><body><h1>Who?</h1>{}</body></html>"


def renderer():
    try:
        return _pdf.require()
    except CallError as error:
        pytest.skip(str(error))


def streams(content):
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            yield packed


def test_the_pdf_is_tagged_and_asks_nobody(tmp_path):
    renderer()
    secret = tmp_path / "secret.svg"
    secret.write_text("<svg xmlns='http://www.w3.org/2000/svg'><text>secret</text></svg>")
    evil = f"<img src='file://{secret}' alt='x'><img src='http://127.0.0.1:9/x.png' alt='y'>"
    level = logging.getLogger("weasyprint").level
    found = _pdf.pdfs(PAGE.format(evil))
    assert list(found) == ["report.pdf"]
    made = found["report.pdf"]
    assert logging.getLogger("weasyprint").level == level
    whole = made + b"".join(streams(made))
    assert b"/StructTreeRoot" in whole
    assert b"/Marked true" in whole
    assert b"secret" not in whole


def test_what_is_folded_on_the_page_goes_into_a_pdf_of_its_own():
    renderer()
    fold = "<details{}><summary>{}</summary><p>{}</p><details><summary>Deeper</summary><p>deep</p></details></details>"
    inside = f"<main><h2>How</h2>{fold.format('', 'As a table', 'long')}<h2>Why</h2>"
    inside += fold.format(" class='appendix'", "<h2>Method</h2>", "longer") + "</main>"
    found = _pdf.pdfs(PAGE.format(inside))
    assert list(found) == ["report.pdf", "appendix.pdf"]
    kept = BeautifulSoup(_pdf._appendix(PAGE.format(inside)), "html.parser")
    assert [h.get_text() for h in kept.find_all(["h1", "h2"])] == [
        "Appendix: Who?",
        "How \N{EN DASH} as a table",
        "Method",
    ]
    assert all(fold.has_attr("open") for fold in kept.find_all("details"))
    assert [p.get_text() for p in kept.find_all("p")] == ["long", "deep", "longer", "deep"]


@pytest.mark.parametrize(
    ("raised", "tool", "option", "message"),
    [
        (ImportError("no"), _pdf, "pdf", "package weasyprint, which is not installed"),
        (OSError("no"), _pdf, "pdf", "needs Pango, a library of the system"),
        (ImportError("no"), _workbook, "xlsx", "package xlsxwriter, which is not installed"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(
    write_notebook, tmp_path, monkeypatch, raised, tool, option, message
):
    import builtins

    real = builtins.__import__

    def without(name, *rest, **named):
        if name in ("weasyprint", "xlsxwriter"):
            raise raised
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CallError, match=message):
        make_report(write_notebook("a: int = 1", "a"), out=tmp_path / "out", **{option: True})
    assert not (tmp_path / "out").exists()


def test_both_lie_in_the_folder_and_in_its_manifest(write_notebook, tmp_path):
    pytest.importorskip("xlsxwriter")
    renderer()
    cell = "from forecasteval.report import publish\nimport pandas as pd\npublish({}, {'t': pd.DataFrame({'x': [1]})})"
    folder = make_report(write_notebook("# T", "a: int = 1", cell), out=tmp_path, pdf=True, xlsx=True)
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")
    assert read((folder / "tables.xlsx").read_bytes())["t"] == [["x"], [1]]
    assert {"report.pdf", "tables.xlsx"} <= set(json.loads((folder / "manifest.json").read_text())["files"])
