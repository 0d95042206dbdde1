"""A claim as data: the card's rule, the file, the questionnaire that goes out and comes back."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasteval.cli import main
from forecasteval.errors import InputError
from forecasteval.studies.vendor_claim.claim import (
    NOT_STATED,
    ROWS,
    Claim,
    as_yaml,
    needed,
    read_claim,
    schema,
    score,
)
from forecasteval.studies.vendor_claim.questionnaire import card, read_questions, write_questions
from forecasteval.tables.workbook import read_workbook

CLAIMS = Path(__file__).parents[2] / "data" / "claims"
HOSTILE = '=HYPERLINK("http://x","y")|<script>alert(1)</script>\n# no: "yes" \x1b[31m`rm` {{ 7 * 7 }}'
ALL = dict.fromkeys(ROWS, "as agreed") | {"recompute": "Yes, on own data"}


# --- the rule -----------------------------------------------------------------------------------------


def test_a_claim_of_which_all_is_stated_is_checkable():
    assert score(Claim(sentence="95% accurate", answers=ALL)).words == "checkable"


@pytest.mark.parametrize("key", ROWS)
def test_only_facts_that_are_needed_to_recompute_decide(key):
    found = score(Claim(sentence="better", says="better", answers=ALL | {key: "n/a"}))
    rule = needed(Claim(sentence="better", says="better"))
    assert found.words == ("checkable once this 1 fact is stated" if key in rule else "checkable")
    assert found.missing == ((key,) if key in rule else ())


def test_a_claim_without_a_comparator_needs_none():
    assert "comparator" in needed(Claim(sentence="better", says="better"))
    assert "comparator" not in needed(Claim(sentence="95%", says="accuracy"))


@pytest.mark.parametrize("nothing", ["", " - ", "N/A", "tbd.", "Unknown", "not stated", None])
def test_an_answer_that_says_nothing_is_not_stated(nothing, tmp_path):
    shown = "" if nothing is None else json.dumps(nothing)
    (tmp_path / "c.yaml").write_text(f"sentence: 95%\nanswers:\n  formula: {shown}\n")
    assert read_claim(tmp_path / "c.yaml").answers.formula == NOT_STATED


def test_what_may_not_be_recomputed_and_what_nobody_can_find_is_not_checkable():
    assert score(Claim(sentence="95%", answers=ALL | {"recompute": "No"})).verdict == "not checkable"
    assert (
        score(Claim(sentence="95%", answers=ALL | {"recompute": "Nothing speaks against it"})).verdict
        == "checkable"
    )
    unseen = Claim(
        sentence="10% more revenue", about="study", study_found="no: neither title nor link", answers=ALL
    )
    assert score(unseen).verdict == "not checkable"


def test_the_claims_in_circulation_ship_with_their_sources():
    found = {p.stem: read_claim(p) for p in CLAIMS.glob("*.yaml")}
    assert len(found) >= 8
    assert all(c.url.startswith("https://") for name, c in found.items() if name != "vendor_x")
    verdicts = {name: score(c).verdict for name, c in found.items()}
    assert verdicts["vendor_x"] == "checkable"
    assert verdicts["mckinsey_five_times"] == verdicts["ai_79_against_51_percent"] == "not checkable"
    assert verdicts["gong_21_percent"].startswith("checkable once")
    assert not any(
        "false" in card(c).replace("never says that a claim is false", "").lower() for c in found.values()
    )


# --- the file -----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(list(ROWS)), TEXT, max_size=6),
    TEXT.filter(lambda t: t.strip() and t.isprintable()),
)
def test_any_claim_survives_its_file(tmp_path, answers, sentence):
    claim = Claim(sentence=sentence, answers=answers)
    (tmp_path / "c.yaml").write_text(as_yaml(claim), "utf-8")
    assert read_claim(tmp_path / "c.yaml") == claim


def test_everything_that_is_wrong_is_said_at_once_with_its_row(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "sentence: 95%\nabout: producct\nsays: [1]\nanswers:\n  formular: x\n  actual: [1, 2]\nvendor: Gong\n"
    )
    with pytest.raises(InputError) as refused:
        read_claim(path)
    told = str(refused.value)
    for part in ("row 2, column about", "row 3, column says", "row 5, column answers.formular", "Did you mean formula?",
                 "row 6, column answers.actual", "row 7, column vendor"):  # fmt: skip
        assert part in told, told


def test_a_file_without_a_sentence_is_refused(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("said_by: Gong\n")
    assert main(["claim", "card", str(tmp_path / "c.yaml")]) == 2
    assert "the exact sentence" in capsys.readouterr().err
    assert main(["claim", "card", str(tmp_path / "none.yaml")]) == 2


def test_the_schema_describes_every_key(capsys):
    assert main(["claim", "schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(schema()))
    assert set(printed["$defs"]["Answers"]["properties"]) == set(ROWS)
    assert all("description" in p for p in printed["properties"].values())


# --- the questionnaire --------------------------------------------------------------------------------


def test_the_questionnaire_goes_out_and_comes_back(tmp_path, capsys):
    sent, back = tmp_path / "q.xlsx", tmp_path / "back.yaml"
    assert main(["claim", "questions", str(CLAIMS / "gong_21_percent.yaml"), "--out", str(sent)]) == 0
    assert main(["claim", "read", str(sent), "--out", str(back)]) == 0
    assert "6 of 21 rows are stated; checkable once these 4 facts are stated." in capsys.readouterr().out
    assert read_claim(back) == read_claim(CLAIMS / "gong_21_percent.yaml")
    assert main(["claim", "read", str(sent), "--out", str(back)]) == 2  # nothing is written over
    assert main(["claim", "questions", str(back), "--out", str(tmp_path / "q.docx")]) == 2


def answered(path, **cells):
    """The workbook as a vendor sends it back: saved anew, only the two columns that count."""
    import xlsxwriter

    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Questions")
        sheet.write_row(0, 0, ["Key", "Your answer"])
        for at, (key, value) in enumerate(cells.items(), start=1):
            sheet.write(at, 0, key)
            (sheet.write_string if isinstance(value, str) else sheet.write)(at, 1, value)
    return path


def test_unanswered_rows_stay_not_stated_and_numbers_are_read_as_written(tmp_path):
    claim, changed = read_questions(
        answered(tmp_path / "q.xlsx", sentence="95%", formula="", numbers=1250, interval=0.5, recompute=True)
    )
    assert changed == [changed[0]]
    assert changed[0].startswith("Questions that are gone")
    assert (claim.answers.numbers, claim.answers.interval, claim.answers.recompute) == ("1250", "0.5", "yes")
    assert set(claim.stated) == {"numbers", "interval", "recompute"}


def test_hostile_text_stays_text(tmp_path):
    claim = Claim(sentence=HOSTILE, answers=dict.fromkeys(ROWS, HOSTILE))
    write_questions(claim, tmp_path / "q.xlsx")
    assert read_questions(tmp_path / "q.xlsx") == (claim, [])
    write_questions(claim, tmp_path / "q.md")
    for text in (card(claim), (tmp_path / "q.md").read_text()):
        assert "<script" not in text
        assert "\x1b" not in text
        assert all(
            line.count(" | ") == 2
            for line in text.splitlines()
            if line.startswith("| ") and line[2].isdigit()
        )


def test_what_cannot_be_read_back_is_named(tmp_path):
    with pytest.raises(InputError) as refused:
        read_questions(answered(tmp_path / "q.xlsx", sentence="95%", formular="x", **{"": "lost"}))
    assert "row 3, column Key" in str(refused.value)
    assert "Did you mean formula?" in str(refused.value)
    assert "row 4, column Key: found an answer without a key" in str(refused.value)
    with pytest.raises(InputError, match="no such file"):
        read_questions(tmp_path / "none.xlsx")
    (tmp_path / "no.xlsx").write_text("no workbook")
    with pytest.raises(InputError):
        read_questions(tmp_path / "no.xlsx")


def test_what_is_changed_beside_the_answers_is_named(tmp_path):
    """The vendor waters the sentence down, rewords a question, drops one, and makes the claim one of another kind."""
    import xlsxwriter

    sent = tmp_path / "q.xlsx"
    write_questions(Claim(sentence="98% accurate", said_by="V", says="better"), sent)
    cells, _, _ = read_workbook(sent, sent.name, "Questions")

    def back(**changes):
        with xlsxwriter.Workbook(tmp_path / "back.xlsx") as book:
            sheet = book.add_worksheet("Questions")
            rows = [
                list(cells),
                *(list(map(str, r)) for r in cells.fillna("").to_numpy() if r[4] != "rights"),
            ]
            for at, row in enumerate(rows):
                column, value = changes.get(row[4], (0, row[0]))
                sheet.write_row(at, 0, [*row[:column], value, *row[column + 1 :]])
        return read_questions(tmp_path / "back.xlsx")

    claim, changed = back(sentence=(3, "good"), target=(1, "Is it nice?"))
    assert claim.sentence == "good"
    assert "sentence was sent as '98% accurate' and came back as 'good'" in changed[0]
    assert "the question target does not read as it was sent" in changed[1]
    assert changed[2:] == ["Questions that are gone, so not stated: rights."]
    with pytest.raises(InputError, match="says 'accuracy'; expected 'better', as it was sent"):
        back(says=(3, "accuracy"))
