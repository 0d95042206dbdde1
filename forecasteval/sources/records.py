"""Salesforce's opportunity files as tidy records: today's record, full values, tracked changes, stages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from forecasteval.errors import Problem, nearest, pinned
from forecasteval.sources.stages import CATEGORY_WORDS, Labels
from forecasteval.tables.columns import Sheet, eighteen, normal
from forecasteval.tables.schemas import RESERVED, TABLES

ALIASES: dict[str, tuple[str, ...]] = {
    "deal_id": ("opportunityid", "id", "opportunityid18", "casesafeid"),
    "account": ("accountid", "accountname", "account"),
    "stage": ("stagename", "stage"),
    "amount": ("amount",),
    "probability": ("probability",),
    "close_on": ("closedate",),
    "is_closed": ("isclosed", "closed"),
    "is_won": ("iswon", "won"),
    "rep": ("ownerid", "opportunityownerid"),
    "rep_name": ("opportunityowner", "ownername", "owner"),
    "created_at": ("createddate", "created"),
    "currency": ("currencyisocode", "amountcurrency", "opportunitycurrency"),
    "category": ("forecastcategory", "forecastcategoryname"),
    "is_deleted": ("isdeleted", "deleted", "fivetrandeleted"),
    "row_id": ("id",),
    "from": ("fivetranstart",),
    "to": ("fivetranend",),
    "field": ("field",),
    "old": ("oldvalue",),
    "new": ("newvalue",),
}
FIELD_NAMES = {
    "owner": "rep",
    "ownerid": "rep",
    "stagename": "stage",
    "amount": "amount",
    "closedate": "close_on",
    "probability": "rep_probability",
    "forecastcategory": "rep_category",
    "forecastcategoryname": "rep_category",
}
FEW = 30
ID = r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?"


@dataclass
class Tally:
    """Counts that only the reading of the files can know, for the audit.

    Parameters
    ----------
    ties : statements that share deal, field group and second with another one
    statements : all statements
    names_only : owner changes that gave names and no ids
    footers : rows of a report that were not data
    """

    ties: int = 0
    statements: int = 0
    names_only: int = 0
    footers: int = 0
    notes: list[str] = field(default_factory=list)


class Columns:
    """The headers of a file by meaning; a required one that is missing is a problem."""

    def __init__(self, sheet: Sheet, required: tuple[str, ...]) -> None:
        """Look up every alias once; the first alias of a meaning wins."""
        self.sheet = sheet
        headers = {normal(str(header)): str(header) for header in reversed(list(sheet.cells.columns))}
        self.header = {
            meaning: next(headers[alias] for alias in aliases if alias in headers)
            for meaning, aliases in ALIASES.items()
            if any(alias in headers for alias in aliases)
        }
        self.complete = not sheet.problems
        for meaning in required:
            if meaning not in self.header and not sheet.problems:
                self.complete = False
        if not self.complete and not sheet.problems:
            for meaning in required:
                if meaning not in self.header:
                    sheet.problems.append(self._missing(meaning, list(headers.values())))

    def _missing(self, meaning: str, headers: list[str]) -> Problem:
        names = {
            "deal_id": "Id", "stage": "StageName", "close_on": "CloseDate", "created_at": "CreatedDate",
            "field": "Field", "old": "OldValue", "new": "NewValue",
        }  # fmt: skip
        name = names.get(meaning, meaning)
        advice = f"{nearest(name, headers)}Add the field to the export."
        return Problem(self.sheet.file, 1, name, "no such column", f"the field {name}", advice)

    def __contains__(self, meaning: str) -> bool:
        """Whether the file has a column of this meaning."""
        return meaning in self.header

    def take(self, meaning: str) -> pd.Series:
        """The column as values."""
        header = self.header[meaning]
        if meaning in ("created_at", "from", "to"):
            return self.sheet.moments(header)
        if meaning == "close_on":
            return self.sheet.dates(header)
        if meaning == "amount":
            return self.sheet.numbers(header)
        if meaning == "probability":
            return self.sheet.shares(header, percent=True)
        if meaning in ("is_closed", "is_won", "is_deleted"):
            return self.sheet.flags(header)
        text = self.sheet.text(header)
        return eighteen(text) if meaning in ("deal_id", "rep", "account") else text


def without_footer(sheet: Sheet) -> int:
    """Drop the rows at the end of a file that are not data, as reports have them; returns how many.

    Examples
    --------
    >>> cells = pd.DataFrame({"Id": ["006q000000HddohAAB", "Copyright (c)"], "StageName": ["Won", None]}, index=[2, 3])
    >>> sheet = Sheet("Opportunity.csv", cells)
    >>> without_footer(sheet), len(sheet.cells)
    (1, 1)
    """
    cells = sheet.cells
    shaped = _shaped_ids(sheet)
    if shaped is not None and shaped.any():
        # a last row with most of its cells filled is a deal with a broken id rather than a footer
        data = shaped | (cells.notna().sum(axis=1) > cells.shape[1] / 2)
    elif is_report(sheet) and cells.shape[1] > 2:
        data = cells.notna().sum(axis=1) > 1
    else:
        return 0
    kept = len(data) - int(data[::-1].to_numpy().argmax()) if data.any() else 0
    sheet.cells = cells.iloc[:kept]
    return len(cells) - kept


def _id_header(sheet: Sheet) -> str | None:
    headers = {normal(str(header)): str(header) for header in reversed(list(sheet.cells.columns))}
    return next((headers[alias] for alias in ALIASES["deal_id"] if alias in headers), None)


def _shaped_ids(sheet: Sheet) -> pd.Series | None:
    """Which rows have an id of the form that Salesforce gives out, if there is a column of ids."""
    header = _id_header(sheet)
    return None if header is None else sheet.text(header).str.fullmatch(ID, na=False).astype(bool)


def odd_ids(sheet: Sheet) -> list[Problem]:
    """The ids that Salesforce cannot have given out, in a file in which most ids are Salesforce's.

    Examples
    --------
    >>> cells = pd.DataFrame({"Id": ["006q000000HddohAAB", "total", "006q000000HdPzpAAF"]}, index=[2, 3, 4])
    >>> [problem.row for problem in odd_ids(Sheet("Opportunity.csv", cells))]
    [3]
    """
    header, shaped = _id_header(sheet), _shaped_ids(sheet)
    if header is None or shaped is None or shaped.mean() <= 0.5:
        return []
    ids = sheet.text(header)
    expected = "a Salesforce id of 15 or 18 letters and digits"
    return pinned(sheet.file, header, ids[ids.notna() & ~shaped], expected, "Correct or remove the row.")


def is_report(sheet: Sheet) -> bool:
    """Whether the headers are the labels of a report rather than field names.

    Examples
    --------
    >>> is_report(Sheet("r.csv", pd.DataFrame(columns=["Opportunity ID", "Close Date"])))
    True
    """
    labels = {"Opportunity ID", "Close Date", "Opportunity Owner", "Created Date", "Opportunity Name"}
    return bool(labels & set(sheet.cells.columns))


def current_records(sheet: Sheet) -> pd.DataFrame:
    """Today's record of every opportunity, labels still as written; indexed by spreadsheet row.

    Examples
    --------
    >>> cells = pd.DataFrame({"Id": ["D1"], "StageName": ["Won"], "CloseDate": ["2026-02-03"], "Amount": ["5"]}, index=[2])
    >>> current_records(Sheet("Opportunity.csv", cells))[["deal_id", "amount"]].values.tolist()
    [['D1', 5.0]]
    """
    columns = Columns(sheet, ("deal_id", "stage", "close_on"))
    if columns.complete and sheet.cells.empty:
        sheet.wrong(None, None, "a header and no rows", "one row per opportunity", "Export it again.")
    if sheet.problems:
        return pd.DataFrame()
    wanted = ("deal_id", "account", "rep", "rep_name", "stage", "amount", "close_on", "probability", "category",
              "created_at", "is_closed", "is_won", "is_deleted", "currency")  # fmt: skip
    table = pd.DataFrame(
        {name: columns.take(name) for name in wanted if name in columns}, index=sheet.cells.index
    )
    for name, empty in {
        "rep": "str", "rep_name": "str", "account": "str", "category": "str", "amount": "float64",
        "probability": "float64", "created_at": "datetime64[us]",
    }.items():  # fmt: skip
        if name not in table:
            table[name] = pd.Series(index=table.index, dtype=empty)  # type: ignore[call-overload]
    if "is_deleted" not in table:
        table["is_deleted"] = False
    blank = table.loc[table["deal_id"].isna(), "deal_id"]
    again = table.loc[table["deal_id"].notna() & table["deal_id"].duplicated(), "deal_id"]
    sheet.problems += pinned(
        sheet.file, columns.header["deal_id"], blank, "the opportunity's id", "Export it again."
    )
    sheet.problems += pinned(
        sheet.file,
        columns.header["deal_id"],
        again,
        "each opportunity once",
        "Remove the duplicate; dated copies go into files with a date in their name.",
        found="{} again",
    )
    _one_currency(sheet, columns, table)
    return table.rename(columns={"probability": "rep_probability", "category": "rep_category"})


def _one_currency(sheet: Sheet, columns: Columns, table: pd.DataFrame) -> None:
    if "currency" not in table:
        return
    counts = table.loc[~table["is_deleted"], "currency"].value_counts()
    if len(counts) > 1:
        found = ", ".join(f"{name} ({count:,})" for name, count in counts.items())
        sheet.wrong(
            None,
            columns.header["currency"],
            found,
            "one currency",
            "A rate table is needed and is not read here: export the amounts converted to one currency.",
        )


def segment_columns(sheet: Sheet, chosen: tuple[str, ...], report: bool) -> dict[str, pd.Series]:
    """The columns that become segments, by their tidy names.

    Custom fields (``Region__c`` -> ``region``) of few values, Type and LeadSource; with ``chosen``, those and
    nothing else.

    Examples
    --------
    >>> cells = pd.DataFrame({"Id": ["D1", "D2"], "Region__c": ["East", "West"]}, index=[2, 3])
    >>> list(segment_columns(Sheet("Opportunity.csv", cells), (), report=False))
    ['region']
    """
    used = {alias for aliases in ALIASES.values() for alias in aliases}
    named = {segment_name(str(header)): str(header) for header in reversed(list(sheet.cells.columns))}
    if chosen:
        by_normal = {normal(name): (name, header) for name, header in named.items()}
        by_normal |= {normal(header): (name, header) for name, header in named.items()}
        for wanted in chosen:
            if normal(wanted) not in by_normal:
                sheet.wrong(
                    1,
                    wanted,
                    "no such column",
                    "the segment that organisation.yaml names",
                    f"{nearest(wanted, list(named))}Add the field to the export or correct segments.",
                )
        picked = [by_normal[normal(wanted)] for wanted in chosen if normal(wanted) in by_normal]
        return {name: sheet.text(header) for name, header in picked}
    found = {}
    for name, header in reversed(named.items()):
        custom = re.search(r"(__c|_c)$", header) is not None
        standard = normal(header) in ("type", "leadsource")
        other_label = (
            report and normal(header) not in used and not re.search(r"date|name|id$", header.lower())
        )
        if custom or standard or other_label:
            values = sheet.text(header)
            if 1 < values.nunique() <= FEW or (standard and values.notna().any()):
                found[name] = values
    return found


def segment_name(header: str) -> str:
    """A header as a snake_case segment name that no other column of the tables has.

    Examples
    --------
    >>> [segment_name(header) for header in ["Region__c", "LeadSource", "Deal Size", "amount_c"]]
    ['region', 'lead_source', 'deal_size', 'amount_segment']
    """
    bare = re.sub(r"(__c|_c)$", "", header.strip())
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", bare)
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return f"{name}_segment" if name in (*RESERVED, *TABLES["deals"]) else name


def full_values(sheet: Sheet, labels: Labels, tally: Tally) -> pd.DataFrame:
    """OpportunityHistory (or a pipeline's versioned copy of Opportunity) as statements of full values.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> stages = pd.DataFrame({"stage": ["Talk"], "is_closed": [False], "is_won": [False]})
    >>> labels = Labels(stages, pd.DataFrame({"old_label": [], "new_label": [], "changed_on": []}), None)
    >>> cells = pd.DataFrame({"OpportunityId": ["D1"], "CreatedDate": ["2026-02-03T10:00:00.000Z"],
    ...                       "StageName": ["Talk"], "CloseDate": ["2026-03-31"]}, index=[2])
    >>> full_values(Sheet("OpportunityHistory.csv", cells), labels, Tally())["at"].tolist()
    [Timestamp('2026-02-03 10:00:00')]
    """
    columns = Columns(sheet, ("deal_id", "stage", "close_on", "created_at"))
    if not columns.complete:
        return pd.DataFrame()
    versioned = "from" in columns
    table = pd.DataFrame(
        {"deal_id": columns.take("deal_id"), "at": columns.take("from" if versioned else "created_at")}
    )
    wanted = {"amount": "amount", "close_on": "close_on", "probability": "rep_probability"}
    if versioned and "rep" in columns:
        wanted["rep"] = "rep"
    for meaning, name in wanted.items():
        if meaning in columns:
            table[name] = columns.take(meaning)
    if "category" in columns:
        table["rep_category"] = labels.category(
            columns.take("category"), table["at"], sheet.file, columns.header["category"], sheet.problems
        )
    table["stage"] = labels.stage(
        columns.take("stage"), table["at"], sheet.file, columns.header["stage"], sheet.problems, table
    )
    if versioned and "to" in columns:
        ends = columns.take("to")
        table["ends"] = ends.mask(ends.dt.year >= 2050)
    for name in ("deal_id", "at"):
        missing = table.loc[table[name].isna(), name]
        header = columns.header["deal_id" if name == "deal_id" else "from" if versioned else "created_at"]
        sheet.problems += pinned(sheet.file, header, missing, "a value in every row", "Export the row again.")
    _one_currency(sheet, columns, table.assign(is_deleted=False, **_currency(columns)))
    table["row_id"] = columns.take("row_id") if "row_id" in columns and not versioned else ""
    return _ordered(table, ["deal_id", "at"], tally)


def _currency(columns: Columns) -> dict[str, pd.Series]:
    return {"currency": columns.take("currency")} if "currency" in columns else {}


def _ordered(table: pd.DataFrame, key: list[str], tally: Tally) -> pd.DataFrame:
    """By deal and second; ties by the row's own id, then as they stand in the file."""
    tally.statements += len(table)
    tally.ties += int(table.duplicated(key, keep=False).sum())
    return table.sort_values([*key, "row_id"], kind="stable").drop(columns="row_id")


def tracked_changes(
    sheet: Sheet, labels: Labels, tally: Tally, ids: set[str], id_of_name: dict[str, str]
) -> pd.DataFrame:
    """OpportunityFieldHistory as statements of old and new values in tidy units.

    An owner change writes a row of names and a row of ids within one second: the ids are used, names
    only where there are no ids.

    Parameters
    ----------
    sheet : the file
    labels : stages and categories
    tally : counts ties and changes that gave names only
    ids : owner ids seen elsewhere in the export
    id_of_name : the users whose names are unique

    Returns
    -------
    DataFrame with ``deal_id, at, field, old, new`` (the last two hold values of mixed kinds)
    """
    columns = Columns(sheet, ("deal_id", "created_at", "field", "old", "new"))
    if not columns.complete:
        return pd.DataFrame()
    names = columns.take("field").str.lower().str.replace(r"[^a-z]", "", regex=True).map(FIELD_NAMES)
    kept = names.notna()
    sheet = Sheet(sheet.file, sheet.cells[kept], sheet.problems, sheet.zone)
    columns = Columns(sheet, ())
    header = columns.header
    table = pd.DataFrame(
        {
            # the file's own Id is the row's, never the opportunity's
            "deal_id": columns.take("deal_id"),
            "at": columns.take("created_at"),
            "field": names[kept],
            "old": sheet.text(header["old"]).astype(object),
            "new": sheet.text(header["new"]).astype(object),
            "row_id": columns.take("row_id") if "row_id" in columns else "",
        }
    )
    for side in ("old", "new"):
        for name in table["field"].unique():
            rows = table.index[table["field"] == name]
            if name != "rep":
                part = Sheet(sheet.file, sheet.cells.loc[rows], sheet.problems, sheet.zone)
                table.loc[rows, side] = _tidy(name, part, header[side], labels, table["at"][rows])
    owners = _owner_changes(table[table["field"] == "rep"], tally, ids, id_of_name)
    others = table[table["field"] != "rep"]
    return _ordered(pd.concat([owners, others]), ["deal_id", "at", "field"], tally)


def _tidy(name: str, sheet: Sheet, header: str, labels: Labels, at: pd.Series) -> pd.Series:
    if name == "stage":
        values: Any = labels.stage(sheet.text(header), at, sheet.file, header, sheet.problems)
    elif name == "rep_category":
        values = labels.category(sheet.text(header), at, sheet.file, header, sheet.problems)
    elif name == "close_on":
        values = sheet.dates(header)
    elif name == "rep_probability":
        values = sheet.shares(header, percent=True)
    else:
        values = sheet.numbers(header)
    return values.astype(object)


def _owner_changes(
    rows: pd.DataFrame, tally: Tally, ids: set[str], id_of_name: dict[str, str]
) -> pd.DataFrame:
    sides = pd.concat([rows["old"], rows["new"]]).dropna().astype("str")
    shaped = sides.str.fullmatch(r"(?:005|00G)[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")
    words = pd.Series(sides.unique(), dtype="str")
    known_ids = set(sides[shaped]) | {
        word for word, long in zip(words, eighteen(words), strict=True) if long in ids
    }
    is_id = rows[["old", "new"]].isin(known_ids).any(axis=1)
    seconds = pd.MultiIndex.from_frame(rows[["deal_id", "at"]])
    doubled = ~is_id & seconds.isin(seconds[is_id])
    tally.names_only += int((~is_id & ~doubled).sum())
    kept = rows[~doubled].copy()
    for side in ("old", "new"):
        values = kept[side].astype("str")
        named = values.map(id_of_name).astype("str").fillna(values)
        kept[side] = eighteen(values).where(values.isin(known_ids), named).astype(object)
    return kept


def stage_table(sheet: Sheet) -> tuple[pd.DataFrame, dict[str, str]]:
    """OpportunityStage as the stages table, and its API names where they differ from the labels.

    Examples
    --------
    >>> cells = pd.DataFrame({"MasterLabel": ["Won"], "DefaultProbability": ["100"], "IsClosed": ["true"],
    ...                       "IsWon": ["1"], "ForecastCategoryName": ["Closed"]}, index=[2])
    >>> stage_table(Sheet("OpportunityStage.csv", cells))[0].values.tolist()
    [['Won', 1.0, 'Closed', True, True]]
    """
    headers = {normal(str(header)): str(header) for header in sheet.cells.columns}
    label = next(
        (headers[name] for name in ("masterlabel", "label", "stagename", "apiname") if name in headers), None
    )
    for name, wanted in {
        "MasterLabel": label,
        "IsClosed": headers.get("isclosed"),
        "IsWon": headers.get("iswon"),
    }.items():
        if wanted is None:
            sheet.wrong(1, name, "no such column", f"the field {name}", "Add the field to the export.")
    if sheet.problems or label is None:
        return pd.DataFrame(), {}
    category = next(
        (headers[name] for name in ("forecastcategory", "forecastcategoryname") if name in headers), None
    )
    words = sheet.text(category) if category else None
    table = pd.DataFrame(
        {
            "stage": sheet.text(label),
            "default_probability": sheet.shares(headers["defaultprobability"], percent=True)
            if "defaultprobability" in headers
            else float("nan"),
            "category": words.map(lambda word: CATEGORY_WORDS.get(normal(str(word)))).astype("str")
            if words is not None
            else None,
            "is_closed": sheet.flags(headers["isclosed"]),
            "is_won": sheet.flags(headers["iswon"]),
        }
    )
    active = sheet.flags(headers["isactive"]) if "isactive" in headers else pd.Series(True, index=table.index)
    table = table[table["stage"].notna()]
    table = table.loc[active[table.index].sort_values(ascending=False, kind="stable").index]
    table = table.drop_duplicates("stage").sort_index()
    synonyms = {}
    if "apiname" in headers:
        api = sheet.text(headers["apiname"])
        pairs = zip(api[table.index], table["stage"], strict=True)
        synonyms = {name: stage for name, stage in pairs if isinstance(name, str) and name != stage}
    return table.reset_index(drop=True), {
        old: new for old, new in synonyms.items() if old not in set(table["stage"])
    }


def stages_of_records(current: pd.DataFrame, sheet: Sheet) -> pd.DataFrame:
    """The stages as far as today's records show them: closed and won flags, the most usual probability.

    Examples
    --------
    >>> current = pd.DataFrame({"stage": ["Won", "Won"], "is_closed": True, "is_won": True,
    ...                         "rep_probability": [1.0, 1.0], "rep_category": ["Closed", None]})
    >>> stages_of_records(current, Sheet("Opportunity.csv", pd.DataFrame()))["default_probability"].tolist()
    [1.0]
    """
    if "is_closed" not in current or "is_won" not in current:
        sheet.wrong(
            1,
            "IsClosed",
            "no IsClosed and IsWon and no OpportunityStage.csv",
            "one of the two",
            "Export OpportunityStage.csv, or add IsClosed and IsWon.",
        )
        return pd.DataFrame(
            {"stage": current["stage"].dropna().unique(), "is_closed": False, "is_won": False}
        )
    flags = current[["stage", "is_closed", "is_won"]].drop_duplicates()
    torn = flags.loc[flags["stage"].duplicated(), "stage"]
    sheet.problems += pinned(
        sheet.file,
        "StageName",
        torn,
        "one IsClosed and IsWon per stage",
        "The same stage is open in one row and closed in another: export OpportunityStage.csv.",
    )
    modes = current.groupby("stage").agg(
        default_probability=("rep_probability", _mode),
        category=("rep_category", _mode),
    )
    modes["category"] = (
        modes["category"].map(lambda word: CATEGORY_WORDS.get(normal(str(word)))).astype("str")
    )
    table = flags.drop_duplicates("stage").merge(modes, left_on="stage", right_index=True)
    return table[["stage", "default_probability", "category", "is_closed", "is_won"]].reset_index(drop=True)


def _mode(values: pd.Series) -> Any:
    usual = values.mode()
    return usual.iloc[0] if len(usual) else None
