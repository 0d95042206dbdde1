"""Salesforce: API and Bulk exports, snake_case copies of data pipelines, and report CSVs, read alike."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from forecasteval.sources._crm_export import read_export
from forecasteval.sources.dialect import Dialect
from forecasteval.sources.raw import assemble
from forecasteval.tables.organisation import Org
from forecasteval.tables.settings import Settings


def import_folder(export_dir: str | Path, settings: Settings | None = None) -> Org:
    """The tidy tables of a Salesforce export.

    Parameters
    ----------
    export_dir : folder with ``Opportunity.csv``; and, for the past, ``OpportunityHistory.csv`` and
        ``OpportunityFieldHistory.csv``, or dated copies (``2026-02-02/Opportunity.csv`` or
        ``Opportunity_2026-02-02.csv``). ``OpportunityStage.csv``, ``User.csv``, ``stage_renames.csv``,
        ``organisation.yaml``, ``calendar.csv``, ``calls.csv`` and ``forecasts/*.csv`` are taken along
    settings : used instead of the folder's ``organisation.yaml``

    Raises
    ------
    InputError
        Lists every problem of every file.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "Opportunity.csv").write_text(
    ...     "Id,StageName,CloseDate,IsClosed,IsWon\\nD1,Won,2026-02-03,true,true\\n")
    >>> org = import_folder(place)
    >>> org.deals["outcome"].tolist(), org.history is None
    (['won'], True)
    """
    return assemble(read_export(Path(export_dir), SALESFORCE, settings))


def eighteen(ids: pd.Series) -> pd.Series:
    """Ids of 15 case-sensitive characters turned into the 18 that ignore case; others are left alone.

    >>> eighteen(pd.Series(["0061G00000Ja7B6", "006q000000HddohAAB", "D1"])).tolist()
    ['0061G00000Ja7B6QAJ', '006q000000HddohAAB', 'D1']
    """
    short = ids.str.fullmatch(r"[A-Za-z0-9]{15}", na=False) & ids.str.contains(r"\d", na=False)
    if not short.any():
        return ids
    mapping = {value: value + _suffix(value) for value in ids[short].unique()}
    return ids.where(~short, ids.map(mapping))


def _suffix(value: str) -> str:
    """One character for each five: which of them are capitals."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    fives = (value[start : start + 5] for start in (0, 5, 10))
    return "".join(
        alphabet[sum(letter.isupper() << place for place, letter in enumerate(five))] for five in fives
    )


_CATEGORY = ("ForecastCategory", "ForecastCategoryName")
_FLAGS = {"is_closed": ("IsClosed", "Closed"), "is_won": ("IsWon", "Won")}

SALESFORCE = Dialect(
    name="Salesforce",
    objects={
        "deals": ("Opportunity", "Opportunities"),
        "values": ("OpportunityHistory", "OpportunityHistories"),
        "changes": ("OpportunityFieldHistory", "OpportunityFieldHistories"),
        "stages": ("OpportunityStage", "OpportunityStages"),
        "users": ("User", "Users"),
        "daily": ("opportunity_daily_history",),
        "submissions": ("ForecastingSubmission", "ForecastingSubmissions"),
        "submission_items": ("ForecastingSubmissionItem", "ForecastingSubmissionItems"),
    },
    file_prefixes=("salesforce", "sfdc", "sf"),
    fields={
        "deal_id": ("OpportunityId", "Id", "OpportunityId18", "CaseSafeId"),
        "account": ("AccountId", "AccountName", "Account"),
        "stage": ("StageName", "Stage"),
        "amount": ("Amount",),
        "probability": ("Probability",),
        "close_on": ("CloseDate",),
        **_FLAGS,
        "rep": ("OwnerId", "OpportunityOwnerId"),
        "rep_name": ("OpportunityOwner", "OwnerName", "Owner"),
        "created_at": ("CreatedDate", "Created"),
        "currency": ("CurrencyIsoCode", "AmountCurrency", "OpportunityCurrency"),
        "category": _CATEGORY,
        "is_deleted": ("IsDeleted", "Deleted", "_fivetran_deleted"),
        "row_id": ("Id",),
        "from": ("_fivetran_start",),
        "to": ("_fivetran_end",),
        "field": ("Field",),
        "old": ("OldValue",),
        "new": ("NewValue",),
    },
    stage_fields={
        "label": ("MasterLabel", "Label", "StageName", "ApiName"),
        "api_name": ("ApiName",),
        "default_probability": ("DefaultProbability",),
        "category": _CATEGORY,
        "is_active": ("IsActive",),
        **_FLAGS,
    },
    user_fields={
        "user_id": ("Id",), "name": ("Name",), "first_name": ("FirstName",), "last_name": ("LastName",),
        "manager": ("ManagerId", "Manager ID"),
    },
    called={"deal_id": "Id", "user_id": "Id"},
    tracked={
        "owner": "rep",
        "ownerid": "rep",
        "stagename": "stage",
        "amount": "amount",
        "closedate": "close_on",
        "probability": "rep_probability",
        "forecastcategory": "rep_category",
        "forecastcategoryname": "rep_category",
    },
    categories={
        "omitted": "Omitted",
        "pipeline": "Pipeline",
        "bestcase": "Best Case",
        "mostlikely": "Most Likely",
        "forecast": "Commit",
        "commit": "Commit",
        "closed": "Closed",
    },
    canonical_id=eighteen,
    id_shape=r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?",
    id_words="15 or 18 letters and digits",
    owner_shape=r"(?:005|00G)[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?",
    record="opportunity",
    records="opportunities",
    report_headers=frozenset(
        {"Opportunity ID", "Close Date", "Opportunity Owner", "Created Date", "Opportunity Name"}
    ),
    custom_field=r"(__c|_c)$",
    segments=("type", "leadsource"),
    endless=2050,
)  # fmt: skip
