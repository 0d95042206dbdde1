"""Small exports written as real files."""

import csv

import pytest

OPPORTUNITY = {
    "Id": "006000000000001AAA", "AccountId": "001000000000001AAA", "StageName": "Closed Won", "Amount": "1000",
    "Probability": "100", "CloseDate": "2026-02-03", "IsClosed": "true", "IsWon": "true",
    "OwnerId": "005000000000002AAA", "CreatedDate": "2026-01-05T10:00:00.000Z", "ForecastCategory": "Closed",
    "IsDeleted": "false",
}  # fmt: skip
HISTORY = {
    "Id": "008000000000001AAA", "OpportunityId": "006000000000001AAA", "StageName": "Discovery", "Amount": "900",
    "Probability": "20", "CloseDate": "2026-03-31", "ForecastCategory": "Pipeline",
    "CreatedDate": "2026-01-05T10:00:00.000Z",
}  # fmt: skip
CHANGE = {
    "Id": "017000000000001AAA", "OpportunityId": "006000000000001AAA", "Field": "Owner",
    "OldValue": "005000000000001AAA", "NewValue": "005000000000002AAA", "CreatedDate": "2026-01-20T10:00:00.000Z",
}  # fmt: skip
EXAMPLES = {"Opportunity": OPPORTUNITY, "OpportunityHistory": HISTORY, "OpportunityFieldHistory": CHANGE}
STAGES = [
    {"MasterLabel": "Discovery", "DefaultProbability": "20", "ForecastCategoryName": "Pipeline", "IsClosed": "false", "IsWon": "false"},
    {"MasterLabel": "Proposal", "DefaultProbability": "60", "ForecastCategoryName": "Best Case", "IsClosed": "0", "IsWon": "FALSE"},
    {"MasterLabel": "Closed Won", "DefaultProbability": "100", "ForecastCategoryName": "Closed", "IsClosed": "TRUE", "IsWon": "1"},
    {"MasterLabel": "Closed Lost", "DefaultProbability": "0", "ForecastCategoryName": "Omitted", "IsClosed": "true", "IsWon": "false"},
]  # fmt: skip
USERS = [
    {"Id": "005000000000001AAA", "Name": "Ann Able"},
    {"Id": "005000000000002AAA", "Name": "Bob Best"},
    {"Id": "005000000000003AAA", "Name": "Bob Best"},
]


def write_rows(path, rows, encoding="utf-8"):
    """Rows of dictionaries as a CSV file with the columns of the first row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


class Export:
    """An export folder; each call writes one file, rows are given as differences from an example row."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def rows(self, name, *differences):
        self.raw(f"{name}.csv", [EXAMPLES[name] | row for row in differences])
        return self

    def raw(self, name, rows, **options):
        write_rows(self.folder / name, rows, **options)
        return self

    def text(self, name, text, encoding="utf-8"):
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_bytes(text.encode(encoding))
        return self

    def usual(self):
        """Stages, users and a zone."""
        return self.raw("OpportunityStage.csv", STAGES).raw("User.csv", USERS)


@pytest.fixture
def export(tmp_path):
    return Export(tmp_path / "acme" / "export")


@pytest.fixture
def told(export):
    """One deal with two versions, a hand-over and a win; the commonest export."""
    export.usual()
    export.rows("Opportunity", {})
    export.rows(
        "OpportunityHistory",
        {},
        {"Id": "008000000000002AAA", "StageName": "Closed Won", "Amount": "1000", "Probability": "100",
         "CloseDate": "2026-02-03", "ForecastCategory": "Closed", "CreatedDate": "2026-02-05T10:00:00.000Z"},
    )  # fmt: skip
    export.rows(
        "OpportunityFieldHistory",
        {"Id": "017000000000001AAA", "OldValue": "Ann Able", "NewValue": "Bob Best"},
        {"Id": "017000000000002AAA"},
    )
    return export
