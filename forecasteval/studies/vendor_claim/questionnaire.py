"""The card and the questionnaire of a claim: Markdown and a workbook that go out, and the answers that come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from forecasteval.errors import CallError, InputError, Problem, nearest
from forecasteval.report.sheet import on_paper, row_height
from forecasteval.studies.vendor_claim._texts import TEXTS
from forecasteval.studies.vendor_claim.claim import NOT_STATED, ROWS, Claim, needed, score
from forecasteval.tables.document import Document
from forecasteval.tables.workbook import read_workbook

_SHEET = "Questions"
_COLUMNS = {
    "No.": 5,
    "Question": 62,
    "Needed": 9,
    "Your answer": 62,
    "Key": 16,
    "As sent": 0,
}  # with their widths; 0 is hidden
_ORIGIN: dict[str, str] = TEXTS["origin"]
_MINIMUM: dict[str, str] = TEXTS["minimum"]
_FOR_THE_FILE = ("who_gains", "about", "says", "read_on", "study_found")


# --- the card -----------------------------------------------------------------------------------------


def card(claim: Claim) -> str:
    """The card of a claim as Markdown: the sentence, the score by its rule, and every row with its answer."""
    found = score(claim)
    address = "" if claim.url == NOT_STATED else f" ({_cell(claim.url)})"
    study = f"Can the study be found? {_cell(claim.study_found)}\n\n" if claim.about == "study" else ""
    named = "; ".join(ROWS[key].title.lower() for key in found.missing)
    lacking = f" Not stated and needed: {named}." if named else ""
    words = found.words[0].upper() + found.words[1:]
    head = (
        f"# Claim card\n\n> {_cell(claim.sentence)}\n\nSaid by: {_cell(claim.said_by)}. Place: {_cell(claim.place)}{address}. "
        f"Date: {_cell(claim.said_on)}; read on: {_cell(claim.read_on)}. Who gains: {_cell(claim.who_gains)}.\n\n"
        f"**{words}.** {found.why} {found.stated} of {found.asked} rows are stated.{lacking}\n\n{study}{TEXTS['rule']}\n\n"
    )
    return head + "\n".join(_table(claim)) + "\n"


def _table(claim: Claim) -> list[str]:
    asked = needed(claim)
    origin = "stated" if not claim.origin_missing else "not stated: " + ", ".join(
        {"place": "place", "said_on": "date", "who_gains": "who gains"}[name] for name in claim.origin_missing
    )  # fmt: skip
    lines = ["| | Row | Answer |", "|---|---|---|", f"| 1 | Sentence, place, date, who gains | {origin} |"]
    for number, (key, row) in enumerate(ROWS.items(), start=2):
        mark = "*" if key in asked else ""
        lines.append(f"| {number}{mark} | {_cell(row.title)} | {_cell(getattr(claim.answers, key))} |")
    return lines


def _asked(claim: Claim) -> list[tuple[str, str, str, str]]:
    """Every question: key, words, * where the number needs it, and the answer that is there already."""
    asked, least = needed(claim), claim.minimum.model_dump()
    rows = [(key, words, "", getattr(claim, key)) for key, words in _ORIGIN.items()]
    rows += [
        (k, row.question, "*" if k in asked else "", getattr(claim.answers, k)) for k, row in ROWS.items()
    ]
    rows += [(k, words, "", str(least[k.split(".")[1]] or "")) for k, words in _MINIMUM.items()]
    return [(key, words, mark, "" if answer == NOT_STATED else answer) for key, words, mark, answer in rows]


def _cell(text: str) -> str:
    """Text that stays text in a Markdown table."""
    for mark in "\\`*_[]<>|#!~":
        text = (
            text.replace(mark, f"\\{mark}")
            if mark not in "<>"
            else text.replace(mark, f"&{'lg'[mark == '>']}t;")
        )
    return " ".join(text.split())


# --- out ----------------------------------------------------------------------------------------------


def write_questions(claim: Claim, path: Path) -> None:
    """The questionnaire as a workbook (.xlsx) or as Markdown (.md), with the answers that are there already.

    Raises
    ------
    CallError
        For another ending of the name, or where xlsxwriter is not installed.
    """
    if path.suffix not in (".xlsx", ".md"):
        raise CallError(f"--out {path}: name a file that ends in .xlsx or .md.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".md":
        head = f"# {TEXTS['title']}\n\n> {_cell(claim.sentence)}\n\n" + "\n\n".join(TEXTS["how"])
        lines = [f"{head}\n\n| | Question | Your answer |\n|---|---|---|"]
        for number, (_, words, mark, answer) in enumerate(_asked(claim), start=1):
            lines.append(f"| {number}{mark} | {_cell(words)} | {_cell(answer)} |")
        path.write_text("\n".join(lines) + "\n", "utf-8")
        return
    try:
        import xlsxwriter
    except ImportError:
        raise CallError(
            f"A workbook needs xlsxwriter (the extra `share`). Without it: --out {path.with_suffix('.md')}."
        ) from None
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(path, options) as book:
        _fill(book, claim)


def _fill(book: Any, claim: Claim) -> None:
    """A sheet to read first, and one to answer on."""
    looks: list[dict[str, Any]] = [
        {},
        {"bold": True, "bg_color": "#e5e7eb", "border": 1},
        {"locked": False, "num_format": "@", "bg_color": "#fffbe6", "border": 1, "border_color": "#d1d5db"},
        {"font_color": "#9ca3af", "font_size": 8},
        {"bold": True, "font_size": 14},
        {"italic": True, "left": 5, "left_color": "#9ca3af", "indent": 1},
    ]
    forms = [book.add_format({"text_wrap": True, "valign": "top", **look}) for look in looks]
    wrap, head, open_, grey, title, quote = forms
    about = book.add_worksheet("Read me")
    about.set_column(0, 0, 100)
    said = "; ".join(v for v in (claim.said_by, claim.place, claim.said_on) if v != NOT_STATED)
    lines = [(TEXTS["title"], title), ("", wrap), (claim.sentence, quote), (said, grey), ("", wrap)]
    for at, (line, form) in enumerate(
        [*lines, *((text, wrap) for text in (*TEXTS["how"], *TEXTS["in_the_workbook"]))]
    ):
        about.write_string(at, 0, line, form)
        about.set_row(at, row_height(line, 100))
    sheet = book.add_worksheet(_SHEET)
    for column, (name, width) in enumerate(_COLUMNS.items()):
        sheet.set_column(column, column, width, None, {} if width else {"hidden": True})
        sheet.write_string(0, column, name, head)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    for each in (about, sheet):
        on_paper(each)
    rows = _asked(claim)
    for at, (key, words, mark, answer) in enumerate(rows, start=1):
        for column, (text, form) in enumerate(
            [(str(at), wrap), (words, wrap), (mark, wrap), (answer, open_), (key, grey), (answer, grey)]
        ):
            sheet.write_string(at, column, text, form)
        heights = row_height(words, _COLUMNS["Question"]), row_height(answer, _COLUMNS["Your answer"])
        sheet.set_row(at, max(30, *heights))
        if key in ROWS and ROWS[key].yes_or_no:
            told = {"input_title": ROWS[key].title, "input_message": "Begin with yes or no."}
            sheet.data_validation(at, 3, at, 3, {"validate": "any", **told})
    for at, name in enumerate(_FOR_THE_FILE, start=len(rows) + 1):
        was = getattr(claim, name)
        for column, text in enumerate(("", "For the buyer's file; please leave it.", "", was, name, was)):
            sheet.write_string(at, column, text, wrap)
        sheet.set_row(at, None, None, {"hidden": True})
    sheet.protect("", {"format_cells": True, "format_columns": True, "format_rows": True})


# --- back ---------------------------------------------------------------------------------------------


def read_questions(path: Path) -> tuple[Claim, list[str]]:
    """A claim from a workbook that came back, and what was changed in it beside the answers.

    A row without an answer, or a row that is gone, is not stated.

    Raises
    ------
    InputError
        Lists everything that is wrong with the file, with row and column.
    """
    if not path.is_file():
        problem = Problem(
            str(path), None, None, "no such file", "the workbook that came back", "Correct the name."
        )
        raise InputError([problem])
    cells, problems, _ = read_workbook(path, path.name, _SHEET)
    if problems:
        raise InputError(problems)
    absent = [name for name in ("Key", "Your answer") if name not in cells]
    if absent:
        expected = "the columns Key and Your answer"
        raise InputError(
            [Problem(path.name, 1, None, f"no column {', '.join(absent)}", expected, "Put the header back.")]
        )
    document = Document(path.name, {"answers": {}, "minimum": {}})
    changed = _take(document, cells)
    if not document.given.get("sentence"):
        document.wrong("sentence", "nothing", "the exact sentence", "Write it as it was said.")
    claim = None if document.problems else document.read_as(Claim)
    if claim is None or document.problems:
        raise InputError(document.problems)
    return claim, changed


def _take(document: Document, cells: Any) -> list[str]:
    """The answers of a sheet into a document, with the row of each; what has no place is a problem, what was changed is said."""
    own = [*_ORIGIN, *_FOR_THE_FILE, *_MINIMUM]
    asked = _ORIGIN | {key: row.question for key, row in ROWS.items()} | _MINIMUM
    changed = []
    nothing = pd.Series(None, cells.index, dtype=object)
    words, before = (cells.get(name, nothing) for name in ("Question", "As sent"))

    def wrong(row: int, found: str, expected: str, advice: str) -> None:
        document.problems.append(Problem(document.file, row, "Key", found, expected, advice))

    for row, *line in zip(cells.index, cells["Key"], cells["Your answer"], words, before, strict=True):
        key, text, question, was = (None if v is None or v != v else str(v) for v in line)
        key = (key or "").strip()
        place = f"answers.{key}" if key in ROWS else key
        if not key:
            if text:
                wrong(int(row), "an answer without a key", "the key of its question", "Put it back.")
        elif key not in ROWS and key not in own:
            told = f"{nearest(key, [*own, *ROWS])}Put it back as it was sent."
            wrong(int(row), repr(key[:60]), "a key of the questionnaire", told)
        elif place in document.rows:
            again = f"the key {key} again, as in row {document.rows[place]}"
            wrong(int(row), again, "each key once", "Remove one of them.")
        else:
            document.rows[place] = int(row)
            if question is not None and key in asked and question.split() != asked[key].split():
                changed.append(f"Row {row}: the question {key} does not read as it was sent.")
            if was is not None and key in _FOR_THE_FILE and text != was:
                wrong(
                    int(row), f"{key} {text!r}", f"{was!r}, as it was sent", "It is the buyer's: put it back."
                )
            if was is not None and key in _ORIGIN and (text or "") != was:
                changed.append(f"Row {row}: {key} was sent as {was!r} and came back as {text or ''!r}.")
            part, _, name = place.rpartition(".")
            if text is not None and not (part == "minimum" and not text.strip()):
                (document.given[part] if part else document.given)[name] = text
    gone = [k for k in asked if k not in document.rows and f"answers.{k}" not in document.rows]
    return changed + ([f"Questions that are gone, so not stated: {', '.join(gone)}."] if gone else [])
