"""Files that were damaged on their way: each kind of damage is refused or spoken of, never taken in silence.

The whole sweep is `python tests/sources/test_mangled.py 300`: exports of six systems, a flat table and a workbook, every
kind of damage in turn; it prints every file that gave other numbers and no word.
"""

import csv
import io
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import other_systems
import pytest
import xlsxwriter
from other_systems import Demo

from forecasteval.errors import InputError
from forecasteval.sources.flat_table import import_table, shortcomings
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


TABLE, BOOK = "deals.csv", "deals.xlsx"
MAPPING = {
    "deal_id": "id", "rep": "owner", "period": "quarter", "as_of": "day", "amount": "amount",
    "won": {"column": "status", "won": ["Won"], "lost": ["Lost"], "undecided": ["Open"]},
    "forecasts": {"vendor": "vendor", "ours": {"column": "ours", "scale": 100}},
}  # fmt: skip


def write_table(folder: Path, deals: int = 120) -> Path:
    """A flat table of the same size, with its forecasts beside the outcome."""
    folder.mkdir(parents=True)
    rng = random.Random(1)
    lines = ["id,owner,amount,quarter,day,status,vendor,ours"]
    for number in range(deals):
        quarter, status = 1 + number % 4, ["Won", "Lost", "Lost", "Open"][number * 7 % 4]
        lines.append(
            f"D{number:04d},r{number % 7},{rng.randint(1000, 99999)}.5,2025-Q{quarter},"
            f"2025-{3 * quarter:02d}-{1 + number % 28:02d},{status},{rng.random():.3f},{rng.randint(1, 99)}"
        )
    (folder / TABLE).write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def of_table(folder):
    """What a comparison would start from, of a flat table, and what was said of it."""
    matched = import_table(folder / TABLE, MAPPING)
    about = matched.attrs["forecasteval"]
    said = [f"{step['dropped']} left out: {step['why']}" for step in about["flow"] if step["dropped"]]
    numbers = (
        len(matched), int(matched["won"].sum()), float(matched["amount"].sum()), float(matched["vendor"].sum()),
        float(matched["ours"].sum()), str(matched["as_of"].max()), matched["rep"].nunique(),
    )  # fmt: skip
    return about["notes"] + said + [str(problem) for problem in shortcomings(matched)], numbers


def of_workbook(folder):
    """The same of the table typed into a workbook."""
    rows = list(csv.reader(io.StringIO((folder / TABLE).read_text("utf-8"))))
    with xlsxwriter.Workbook(folder / BOOK, {"strings_to_numbers": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    shutil.move(folder / BOOK, folder / TABLE)  # what it is, its bytes tell
    return of_table(folder)


def of_export(folder):
    """The same of an export."""
    org = read(folder)
    deals, history = org.deals, org.history
    numbers = (
        len(deals), len(history), float(deals["amount"].sum()), tuple(deals["outcome"].value_counts().sort_index()),
        float(history["amount"].sum()), str(history["valid_from"].max()),
    )  # fmt: skip
    return org.notes + [str(problem) for problem in org.warnings], numbers


@dataclass(frozen=True)
class Whole:
    """A source without damage, how it is read, and which of its files may be damaged in which ways."""

    folder: Path
    read: Callable
    files: tuple[str, ...]
    kinds: tuple[Callable, ...] = tuple(KINDS)

    def outcome(self, folder=None):
        """What became of a read: a refusal, words, and the numbers that a comparison would start from."""
        if folder is None and self.folder in _known:
            return _known[self.folder]
        place = folder or self.folder.with_name(f"{self.folder.name}-read")
        if folder is None:
            shutil.copytree(self.folder, place)
        try:
            found = ("read", *self.read(place))
        except InputError as error:
            found = ("refused", [str(problem) for problem in error.problems], None)
        if folder is None:
            _known[self.folder] = found
        return found

    def silent(self, kind, file, seed, place):
        """Whether this damage gave other numbers and no word; and what was said."""
        folder = place / f"{self.folder.name}-{kind.__name__}-{seed}"
        shutil.copytree(self.folder, folder)
        raw = (folder / file).read_bytes()
        (folder / file).write_bytes(kind(raw, random.Random(seed)))
        became, said, numbers = self.outcome(folder)
        shutil.rmtree(folder)
        _, before, right = self.outcome()
        told = len(said) > len(before) or (self.read is not of_export and not set(said) <= set(before))
        return became == "read" and numbers != right and not told, said


_known = {}
# nothing tells that a table alone lacks its last rows
OF_ROWS = tuple(kind for kind in KINDS if kind is not cut_rows)
TYPED = (short_row, repeated_block, swapped_cells)


def whole_of(name, place):
    """One of the sources, written without damage."""
    if name == "salesforce":
        return Whole(write_export(place / name), of_export, (DEALS, VALUES))
    if name == "table":
        return Whole(write_table(place / name), of_table, (TABLE,), OF_ROWS)
    if name == "workbook":
        return Whole(write_table(place / name), of_workbook, (TABLE,), TYPED)
    folder = place / name
    folder.mkdir()
    demo = Demo.of(every=100)
    getattr(other_systems, name)(demo, folder)
    (folder / "organisation.yaml").write_text("max_age_days: 0\nfiscal_year_start_month: 2\n")
    if name == "field_history":
        names = {"MasterLabel": "label", "IsClosed": "is_closed", "IsWon": "is_won"}
        demo.stages.rename(columns=names)[[*names.values()]].to_csv(folder / "stages.csv", index=False)
    files = tuple(
        sorted((path.name for path in folder.glob("*.csv")), key=lambda n: -(folder / n).stat().st_size)[:2]
    )
    return Whole(folder, of_export, files)


NAMES = ("salesforce", "table", "workbook", "hubspot", "dynamics", "pipedrive", "zoho", "field_history")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("whole")


@pytest.fixture(scope="module")
def whole(place):
    return whole_of("salesforce", place)


@pytest.fixture(scope="module")
def table(place):
    return whole_of("table", place)


def test_a_whole_export_is_read(whole, table):
    assert whole.outcome()[0] == "read"
    assert table.outcome()[0] == "read"


@pytest.mark.parametrize("file", [DEALS, VALUES])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_damage_is_taken_in_silence(whole, tmp_path, kind, file):
    bad, said = whole.silent(kind, file, 7, tmp_path)
    assert not bad, said


@pytest.mark.parametrize("kind", OF_ROWS, ids=lambda kind: kind.__name__)
def test_no_damage_of_a_flat_table_is_taken_in_silence(table, tmp_path, kind):
    bad, said = table.silent(kind, TABLE, 7, tmp_path)
    assert not bad, said


def sweep(files):
    """All kinds over all sources and many seeds; prints those that were silent, and the sources that are not read."""
    place = Path(tempfile.mkdtemp())
    sources = [whole_of(name, place) for name in NAMES]
    for source in sources:
        if source.outcome()[0] != "read":
            print(source.folder.name, "is not read whole:", source.outcome()[1])
    for seed in range(files):
        source = sources[seed % len(sources)]
        turn = seed // len(sources)
        kind, file = (
            source.kinds[turn % len(source.kinds)],
            source.files[turn // len(source.kinds) % len(source.files)],
        )
        bad, said = source.silent(kind, file, seed, place)
        if bad:
            print(source.folder.name, kind.__name__, file, seed, said, flush=True)


if __name__ == "__main__":
    sweep(int(sys.argv[1]))
