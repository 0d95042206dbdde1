"""Files that were damaged on their way: each kind of damage is refused or spoken of, never taken in silence.

The whole sweep is `python tests/sources/test_mangled.py 300`; it prints every file that gave other numbers and no word.
"""

import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from forecasteval.errors import InputError
from forecasteval.sources.folder import read

DEALS, VALUES = "Opportunity.csv", "OpportunityHistory.csv"
STAGES = "MasterLabel,DefaultProbability,ForecastCategoryName,IsClosed,IsWon\n" + "\n".join(
    [
        "Discovery,20,Pipeline,false,false",
        "Closed Won,100,Closed,true,true",
        "Closed Lost,0,Omitted,true,false",
        "",
    ]
)


def write_export(folder: Path, deals: int = 120) -> Path:
    """A small whole export: two thirds of the deals are closed."""
    folder.mkdir(parents=True)
    rng = random.Random(0)
    records = [
        "Id,StageName,Amount,Probability,CloseDate,IsClosed,IsWon,ForecastCategory,OwnerId,CreatedDate,Region__c"
    ]
    versions = ["Id,OpportunityId,StageName,Amount,CloseDate,Probability,ForecastCategory,CreatedDate"]
    for number in range(deals):
        deal, amount = f"006{number:012d}AAA", rng.randint(1000, 99999)
        start, end = (
            f"2025-{1 + number % 6:02d}-{1 + number % 28:02d}",
            f"2025-{7 + number % 5:02d}-{1 + number % 28:02d}",
        )
        stage, probability, category = [
            ("Closed Won", 100, "Closed"),
            ("Closed Lost", 0, "Omitted"),
            ("Discovery", 20, "Pipeline"),
        ][number % 3]
        closed, won = str(number % 3 < 2).lower(), str(number % 3 == 0).lower()
        records.append(
            f"{deal},{stage},{amount}.5,{probability},{end},{closed},{won},{category},005{number % 7:012d}AAA,"
            f"{start}T10:00:00.000Z,{'East' if number % 2 else 'Südwest'}"
        )
        versions.append(
            f"008{2 * number:012d}AAA,{deal},Discovery,{amount}.5,{end},20,Pipeline,{start}T10:00:00.000Z"
        )
        if number % 3 < 2:
            last = f"008{2 * number + 1:012d}AAA,{deal},{stage},{amount}.5,{end},{probability},{category},{end}T09:00:00.000Z"
            versions.append(last)
    (folder / DEALS).write_text("\n".join(records) + "\n", "utf-8")
    (folder / VALUES).write_text("\n".join(versions) + "\n", "utf-8")
    (folder / "OpportunityStage.csv").write_text(STAGES, "utf-8")
    (folder / "organisation.yaml").write_text("max_age_days: 0\n", "utf-8")
    return folder


def lines_of(raw):
    return raw.decode("utf-8").splitlines(keepends=True)


def joined(lines):
    return "".join(lines).encode("utf-8")


def cut(raw, rng):
    return raw[: rng.randint(len(raw) // 4, len(raw) - 2)]


def cut_rows(raw, rng):
    lines = lines_of(raw)
    return joined(lines[: rng.randint(len(lines) // 4, len(lines) * 4 // 5)])


def stray_quotes(raw, rng):
    lines = lines_of(raw)
    first = rng.randint(1, len(lines) - 4)
    for at in (first, first + rng.randint(1, 3)):
        cells = lines[at].split(",")
        cells[3] = '"' + cells[3]
        lines[at] = ",".join(cells)
    return joined(lines)


def nul_bytes(raw, rng):
    at = rng.randint(len(raw) // 4, len(raw) - 2)
    return raw[:at] + b"\0" * rng.randint(1, 4) + raw[at:]


def short_row(raw, rng):
    lines = lines_of(raw)
    at = rng.randint(1, len(lines) - 3)
    lines[at] = ",".join(lines[at].split(",")[: rng.randint(3, 6)]) + "\n"
    return joined(lines)


def repeated_block(raw, rng):
    lines = lines_of(raw)
    at = rng.randint(1, len(lines) - 20)
    return joined(lines[: at + 15] + lines[at:])


def decimal_commas(raw, rng):
    lines = [line.replace(".5,", ',"5",' if rng.random() < 0.5 else ",") for line in lines_of(raw)]
    return joined(lines)


def other_encoding(raw, rng):
    return raw.decode("utf-8").encode(rng.choice(["latin-1", "cp1252", "utf-16-le", "utf-16"]))


def of_the_future(raw, rng):
    lines = lines_of(raw)
    at = rng.randint(1, len(lines) - 1)
    lines[at] = lines[at].replace("T10:00", "T10:00").replace("2025-", "2050-")
    return joined(lines)


def swapped_cells(raw, rng):
    lines = lines_of(raw)
    at = rng.randint(1, len(lines) - 1)
    cells = lines[at].split(",")
    cells[2], cells[4] = cells[4], cells[2]
    lines[at] = ",".join(cells)
    return joined(lines)


KINDS = [
    cut, cut_rows, stray_quotes, nul_bytes, short_row, repeated_block, decimal_commas, other_encoding, of_the_future,
    swapped_cells,
]  # fmt: skip


def outcome_of(folder):
    """What became of a read: a refusal, words, and the numbers that a comparison would start from."""
    try:
        org = read(folder)
    except InputError as error:
        return "refused", [str(problem) for problem in error.problems], None
    deals, history = org.deals, org.history
    numbers = (
        len(deals), len(history), float(deals["amount"].sum()), tuple(deals["outcome"].value_counts().sort_index()),
        float(history["amount"].sum()), str(history["valid_from"].max()),
    )  # fmt: skip
    return "read", org.notes + [str(problem) for problem in org.warnings], numbers


def silent(whole, kind, file, seed, place):
    """Whether this damage gave other numbers and no word; and what was said."""
    folder = place / f"{kind.__name__}-{seed}"
    shutil.copytree(whole, folder)
    raw = (folder / file).read_bytes()
    (folder / file).write_bytes(kind(raw, random.Random(seed)))
    became, said, numbers = outcome_of(folder)
    shutil.rmtree(folder)
    _, before, right = outcome_of_whole(whole)
    return became == "read" and numbers != right and len(said) <= len(before), said


_known = {}


def outcome_of_whole(whole):
    if whole not in _known:
        _known[whole] = outcome_of(whole)
    return _known[whole]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("whole") / "export")


def test_a_whole_export_is_read(whole):
    assert outcome_of_whole(whole)[0] == "read"


@pytest.mark.parametrize("file", [DEALS, VALUES])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_damage_is_taken_in_silence(whole, tmp_path, kind, file):
    bad, said = silent(whole, kind, file, 7, tmp_path)
    assert not bad, said


def sweep(files):
    """All kinds over many seeds; returns those that were silent."""
    place = Path(tempfile.mkdtemp())
    whole = write_export(place / "whole")
    found = []
    for seed in range(files):
        kind, file = KINDS[seed % len(KINDS)], (DEALS, VALUES)[seed // len(KINDS) % 2]
        bad, said = silent(whole, kind, file, seed, place)
        if bad:
            found.append((kind.__name__, file, seed, said))
    return found


if __name__ == "__main__":
    for one in sweep(int(sys.argv[1])):
        print(*one)
