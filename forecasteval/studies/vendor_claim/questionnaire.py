"""The card and the questionnaire of a claim: Markdown and a workbook that go out, and the answers that come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forecasteval.errors import CallError, InputError, Problem, nearest
from forecasteval.studies.vendor_claim.claim import NOT_STATED, ROWS, Claim, Row, needed, score
from forecasteval.tables.document import Document
from forecasteval.tables.workbook import read_workbook

_SHEET = "Questions"
_HEADERS = ("Key", "Question", "Needed", "Your answer")
_RULE = (
    "The rule, in this order. A finding of a study that cannot be found, or a number that the buyer may not recompute: not "
    "checkable. Facts missing without which the number cannot be computed again (marked *): checkable once they are stated. "
    "Otherwise: checkable. An answer that says nothing (empty, n/a, tbd, unknown) is not stated, and counts. The card never says "
    "that a claim is false, and gives no marks."
)
_HOW = (
    "Questions about a claim",
    "Please answer on the sheet Questions, in the column Your answer. Every question may be left open.",
    "What is left open counts as not stated: a valid answer, printed as such.",
    "Questions marked * are those without which nobody can compute the number again.",
    "Please leave the column Key as it is: the answers are found by it. Nothing here is a calculation.",
)
# what the buyer knows of the sentence itself; the vendor may correct it
_ORIGIN = {
    "sentence": "The exact sentence. Please correct it if it was not said so.",
    "said_by": "Who says it?",
    "place": "Where was it said: page, slide, call?",
    "url": "Its address, where it has one.",
    "said_on": "When was it said, as 2026-03-20?",
    "who_gains": "Who gains if it is believed?",
}
# numbers that are held beside the buyer's own
_MINIMUM = {
    "minimum.won": "How many won deals does your model ask for before its scores are to be used? A number.",
    "minimum.lost": "How many lost deals? A number.",
    "minimum.months": "Within the last how many months? A number; empty for any time.",
}
_FOR_THE_FILE = ("about", "says", "read_on", "study_found")


# --- the card -----------------------------------------------------------------------------------------


def card(claim: Claim) -> str:
    """The card of a claim as Markdown: the sentence, the score by its rule, and every row with its answer."""
    found = score(claim)
    named = "; ".join(ROWS[key].title.lower() for key in found.missing)
    lines = [
        "# Claim card",
        "",
        f"> {_cell(claim.sentence)}",
        "",
        f"Said by: {_cell(claim.said_by)}. Place: {_cell(claim.place)}{_address(claim.url)}. Date: {_cell(claim.said_on)}; "
        f"read on: {_cell(claim.read_on)}. Who gains: {_cell(claim.who_gains)}.",
        "",
        f"**{found.words[0].upper()}{found.words[1:]}.** {found.why} {found.stated} of {found.asked} rows are stated."
        + (f" Not stated and needed: {named}." if named else ""),
        "",
        *_study(claim),
        _RULE,
        "",
        *_table(claim),
    ]
    return "\n".join(lines) + "\n"


def _address(url: str) -> str:
    return "" if url == NOT_STATED else f" ({_cell(url)})"


def _study(claim: Claim) -> list[str]:
    return [f"Can the study be found? {_cell(claim.study_found)}", ""] if claim.about == "study" else []


def _table(claim: Claim, *, questions: bool = False) -> list[str]:
    asked = needed(claim)
    lines = ["| | Row | Answer |", "|---|---|---|"]
    if not questions:
        origin = "stated" if not claim.origin_missing else "not stated: " + ", ".join(
            {"place": "place", "said_on": "date", "who_gains": "who gains"}[name] for name in claim.origin_missing
        )  # fmt: skip
        lines.append(f"| 1 | Sentence, place, date, who gains | {origin} |")
    for number, (key, row) in enumerate(ROWS.items(), start=2):
        answer = getattr(claim.answers, key)
        shown = "" if questions and answer == NOT_STATED else _cell(answer)
        words = row.question if questions else row.title
        lines.append(f"| {number}{'*' if key in asked else ''} | {_cell(words)} | {shown} |")
    return lines


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
        head = ["# Questions about a claim", "", f"> {_cell(claim.sentence)}", "", *_HOW[2:4], ""]
        path.write_text("\n".join([*head, *_table(claim, questions=True)]) + "\n", "utf-8")
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
    wrap, head, open_ = (
        book.add_format({"text_wrap": True, "valign": "top", **more})
        for more in (
            {},
            {"bold": True, "bg_color": "#e5e7eb"},
            {"locked": False, "num_format": "@", "bg_color": "#fffbe6"},
        )
    )
    sheet = book.add_worksheet(_SHEET)
    for column, width in enumerate((16, 62, 9, 62)):
        sheet.set_column(column, column, width)
        sheet.write_string(0, column, _HEADERS[column], head)
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    asked = needed(claim)
    rows = [(key, question, "", getattr(claim, key)) for key, question in _ORIGIN.items()]
    rows += [
        (k, row.question, "*" if k in asked else "", getattr(claim.answers, k)) for k, row in ROWS.items()
    ]
    least = claim.minimum.model_dump()
    rows += [(k, q, "", str(least[k.split(".")[1]] or "")) for k, q in _MINIMUM.items()]
    for at, (key, question, mark, answer) in enumerate(rows, start=1):
        for column, text in enumerate((key, question, mark)):
            sheet.write_string(at, column, text, wrap)
        sheet.write_string(at, 3, "" if answer == NOT_STATED else answer, open_)
        if (row := ROWS.get(key, Row("", ""))).yes_or_no:
            words = {"title": row.title, "message": "Begin with yes or no."}
            sheet.data_validation(
                at,
                3,
                at,
                3,
                {"validate": "any", "input_title": words["title"], "input_message": words["message"]},
            )
    for at, name in enumerate(_FOR_THE_FILE, start=len(rows) + 1):
        for column, text in enumerate(
            (name, "For the buyer's file; please leave it.", "", getattr(claim, name))
        ):
            sheet.write_string(at, column, text, wrap)
        sheet.set_row(at, None, None, {"hidden": True})
    sheet.protect("", {"format_cells": True, "format_columns": True, "format_rows": True})
    about = book.add_worksheet("Read me")
    about.set_column(0, 0, 110)
    for at, line in enumerate(_HOW):
        about.write_string(at, 0, line, head if at == 0 else wrap)


# --- back ---------------------------------------------------------------------------------------------


def read_questions(path: Path) -> Claim:
    """A claim from a workbook that came back; a row without an answer, or a row that is gone, is not stated.

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
    _take(document, cells)
    if not document.given.get("sentence"):
        document.wrong("sentence", "nothing", "the exact sentence", "Write it as it was said.")
    claim = None if document.problems else document.read_as(Claim)
    if claim is None or document.problems:
        raise InputError(document.problems)
    return claim


def _take(document: Document, cells: Any) -> None:
    """The answers of a sheet into a document, with the row of each; what has no place is a problem."""
    own = [*_ORIGIN, *_FOR_THE_FILE, *_MINIMUM]

    def wrong(row: int, found: str, expected: str, advice: str) -> None:
        document.problems.append(Problem(document.file, row, "Key", found, expected, advice))

    for row, key, answer in zip(cells.index, cells["Key"], cells["Your answer"], strict=True):
        key = "" if key is None or key != key else str(key).strip()
        text = None if answer is None or answer != answer else str(answer)
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
            part, _, name = place.rpartition(".")
            if text is not None and not (part == "minimum" and not text.strip()):
                (document.given[part] if part else document.given)[name] = text
