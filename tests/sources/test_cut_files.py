"""Files that lack what others speak of, tables that nobody may replace, and paths that are no files."""

import os
import shutil

import other_systems
import pytest
from other_systems import Demo
from test_mangled import DEALS, VALUES, write_export

from forecasteval.errors import CallError, InputError
from forecasteval.sources.flat_table import import_table
from forecasteval.sources.folder import check, read, write_tables
from forecasteval.tables.settings import read_settings


@pytest.fixture
def place(tmp_path):
    write_export(tmp_path / "acme" / "export")
    return tmp_path / "acme"


def keep(path, share):
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: int(len(lines) * share)]), "utf-8")


@pytest.mark.parametrize("file", [DEALS, VALUES])
def test_a_cut_file_is_named_before_its_gaps_become_deletions(place, file):
    keep(place / "export" / file, 0.5)
    with pytest.raises(InputError) as refused:
        read(place)
    assert any(problem.file == file and "allow_cut" in problem.advice for problem in refused.value.problems)


@pytest.fixture(scope="module")
def demo():
    return Demo.of(every=100)


END, MIDDLE = (0.8, 1.0), (0.4, 0.6)


@pytest.mark.parametrize(
    ("system", "file", "part"),
    [
        ("dynamics", "audits.csv", END),
        ("dynamics", "audits.csv", MIDDLE),
        ("pipedrive", "deals_changelog.csv", MIDDLE),
        ("hubspot", "deal_property_history.csv", END),
        ("field_history", "field_history.csv", MIDDLE),
        ("zoho", "Stage_History.csv", END),
    ],
)
def test_a_history_that_lacks_rows_is_named_whatever_the_system(demo, tmp_path, system, file, part):
    getattr(other_systems, system)(demo, tmp_path)
    (tmp_path / "organisation.yaml").write_text("max_age_days: 0\nfiscal_year_start_month: 2\n")
    if system == "field_history":
        flags = {"MasterLabel": "label", "IsClosed": "is_closed", "IsWon": "is_won"}
        demo.stages[[*flags]].rename(columns=flags).to_csv(tmp_path / "stages.csv", index=False)
    assert not check(tmp_path)
    lines = (tmp_path / file).read_text("utf-8").splitlines(keepends=True)
    first, last = (int(len(lines) * share) for share in part)
    (tmp_path / file).write_text("".join(lines[:first] + lines[last:]), "utf-8")
    assert any(file in str(problem) for problem in check(tmp_path))


def test_a_history_that_ends_before_the_records_is_refused(place):
    path = place / "export" / VALUES
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text(
        "".join([lines[0], *(line for line in lines[1:] if "T10:" in line and "2025-01" in line)]), "utf-8"
    )
    problems = [problem for problem in check(place) if problem.file == VALUES]
    assert any("created since its first row" in problem.found for problem in problems)


def test_a_file_that_is_a_little_shorter_than_last_time_is_spoken_of(place):
    read(place)
    keep(place / "export" / DEALS, 1)
    keep(place / "export" / VALUES, 0.99)
    org = read(place)
    assert [problem.found for problem in org.warnings if "last time" in problem.expected] == ["197 rows"]


def test_who_insists_gets_the_cut_file_and_is_told(place):
    keep(place / "export" / DEALS, 0.5)
    (place / "organisation.yaml").write_text("allow_cut: true\nmax_age_days: 0\n")
    org = read(place)
    assert org.deals["outcome"].eq("deleted").sum() > 50
    assert any("no record of" in problem.found for problem in org.warnings)


def test_a_file_is_held_against_last_time(place):
    read(place)
    for file in (DEALS, VALUES):
        keep(place / "export" / file, 1)
    rows = (place / "export" / DEALS).read_text("utf-8").splitlines(keepends=True)
    ids = {row[:18] for row in rows[1:60]}
    (place / "export" / DEALS).write_text("".join(rows[:60]), "utf-8")
    versions = (place / "export" / VALUES).read_text("utf-8").splitlines(keepends=True)
    kept = [row for row in versions[1:] if row.split(",")[1] in ids]
    (place / "export" / VALUES).write_text("".join([versions[0], *kept]), "utf-8")
    with pytest.raises(InputError, match="rows of last time"):
        read(place)


def test_outcomes_that_the_history_contradicts_are_spoken_of(place):
    path = place / "export" / DEALS
    lines = path.read_text("utf-8").splitlines(keepends=True)
    lines[1:12] = [
        line.replace("Closed Won", "Closed Lost").replace(",true,true,", ",true,false,")
        for line in lines[1:12]
    ]
    path.write_text("".join(lines), "utf-8")
    assert any("4 won there and lost here" in problem.found for problem in check(place))


def test_tables_written_by_hand_are_never_replaced(place, tmp_path):
    org = read(place / "export")
    mine = tmp_path / "mine" / "tables"
    mine.mkdir(parents=True)
    (mine / "deals.csv").write_text("deal_id,outcome\nD1,won\n")
    with pytest.raises(CallError, match=r"deals\.csv"):
        write_tables(org, mine.parent)
    shutil.move(mine / "deals.csv", mine.parent / "deals.csv")
    mine.rmdir()
    with pytest.raises(CallError, match="by hand"):
        write_tables(org, mine.parent)
    assert (mine.parent / "deals.csv").read_text() == "deal_id,outcome\nD1,won\n"


def test_a_stamp_of_the_future_does_not_move_the_newest_record(place):
    from forecasteval.tables.organisation import newest_record

    newest = newest_record(read(place / "export"))
    path = place / "export" / VALUES
    text = path.read_text("utf-8")
    path.write_text(
        text.replace("2025-06-28T10:00", "2050-06-28T10:00", 1).replace(
            "2025-01-01T10:00", "2050-01-01T10:00", 1
        )
    )
    org = read(place / "export")
    assert newest_record(org) == newest
    assert len(org.periods) < 20
    assert any("after all others" in problem.found for problem in org.warnings)


def bomb(path):
    path.write_text("a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)) + "name: *a11\n")  # fmt: skip


def twice(path):
    path.write_text("name: Acme\ntimezone: UTC\nname: Other\n")


@pytest.mark.parametrize(
    ("make", "found"),
    [(bomb, "aliases"), (twice, "again, as in row 1"), (os.mkdir, "a folder"), (os.mkfifo, "a pipe")],
)
def test_settings_that_are_none_are_refused_by_name(tmp_path, make, found):
    make(tmp_path / "organisation.yaml")
    _, problems = read_settings(tmp_path)
    assert problems[0].file == "organisation.yaml"
    assert found in problems[0].found


@pytest.mark.parametrize(("make", "found"), [(os.mkdir, "a folder"), (os.mkfifo, "a pipe")])
def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_refused(place, make, found):
    (place / "export" / VALUES).unlink()
    make(place / "export" / VALUES)
    with pytest.raises(InputError, match=found):
        read(place)


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("id,status,score\n" + "".join(f"D{n},Won,{n / 100:.6f}\n" for n in range(50)) + "D51,Lost,0.12", 52),
        ("id,status,score\nD1,Won,0.5\nD2,Lost\nD3,Won,0.5\nD4,Lost,0.5\nD5,Won,0.5\nD6,Won,0.2\n", 3),
        ("id,status,score\nD1,Won,0.5\nD2,Lo\0st,0.5\n", 3),
        ('id,status,score\nD1,Won,"0.5\nD2,Lost,0.5\nD3,Won,0.5"\n', 2),
        ("id,status,score\nD1,,0.5\nD2,,0.5\n", None),
    ],
    ids=["cut in a number", "short row", "nul", "stray quotes", "undecided"],
)
def test_a_flat_table_that_is_not_whole_is_refused_with_its_row(tmp_path, text, row):
    (tmp_path / "t.csv").write_text(text)
    mapping = {
        "deal_id": "id", "won": {"column": "status", "won": ["Won"], "lost": ["Lost"]}, "forecasts": {"model": "score"},
    }  # fmt: skip
    with pytest.raises(InputError) as refused:
        import_table(tmp_path / "t.csv", mapping)
    assert row in {problem.row for problem in refused.value.problems}


def test_a_last_line_without_its_end_is_whole_where_it_looks_like_the_others(tmp_path):
    rows = "".join(f"D{n},{('Won', 'Lost')[n % 2]},0.{n % 9 + 1}\n" for n in range(60))
    (tmp_path / "deals.csv").write_text(f"deal_id,outcome,score\n{rows.rstrip()}")
    org = read(tmp_path)
    assert any("without a line end" in note for note in org.notes)
