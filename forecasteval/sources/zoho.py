"""Zoho CRM: deals by API name or by label, their stage history, and the changes of their timeline."""

from __future__ import annotations

import pandas as pd

from forecasteval.sources.dialect import Dialect, whole_ids


def _without_prefix(ids: pd.Series) -> pd.Series:
    """Exported records are called zcrm_ and their id.

    >>> _without_prefix(pd.Series(["zcrm_4876876000000123456", "17"])).tolist()
    ['4876876000000123456', '17']
    """
    return whole_ids(ids.str.replace(r"^zcrm_(\d+)$", r"\1", regex=True))


_STATE = {
    "stage": ("Stage",),
    "amount": ("Amount",),
    "probability": ("Probability",),
    "close_on": ("Closing_Date", "Close_Date"),
    "currency": ("Currency", "Currency Code"),
}

ZOHO = Dialect(
    name="Zoho CRM",
    objects={
        "deals": ("Deals", "Deal", "Potentials"),
        "values": ("Stage_History", "Deals_Stage_History", "DealHistory", "Deal_History", "PotStageHistory"),
        "changes": ("Timeline", "Deals_Timeline", "Audit_Log", "Field_History"),
        "stages": ("Stages", "Stage", "Stage_Probability_Mapping"),
        "users": ("Users", "User"),
    },
    file_prefixes=("zoho", "zohocrm"),
    fields={
        "deal_id": ("Record Id", "Deal Id", "id"),
        "account": ("Account Name.id", "Account Name"),
        **_STATE,
        "close_on": ("Closing_Date",),
        "rep": ("Owner.id", "Deal Owner.id", "Deal Owner Id", "Owner Id"),
        "rep_name": ("Deal Owner", "Owner.name", "Owner"),
        "created_at": ("Created_Time",),
        "category": ("Forecast Category", "Forecast_Category__s", "Forecast Category.name"),
    },
    value_fields={
        "deal_id": ("Deal Id", "Deal_Name.id", "Parent_Id.id", "Parent Id", "Potential Id", "Record Id"),
        **_STATE,
        "created_at": ("Modified_Time", "Last Modified Time", "Changed Time"),
        "category": ("Forecast Category",),
    },
    change_fields={
        "deal_id": ("record.id", "Record Id", "Deal Id"),
        "created_at": ("audited_time", "Modified_Time"),
        "field": ("api_name", "field_label", "Field Name"),
        "old": ("_value.old", "old_value", "old"),
        "new": ("_value.new", "new_value", "new"),
    },
    stage_fields={
        "label": ("display_value", "Stage Name", "Stage"),
        "api_name": ("actual_value", "reference_value"),
        "default_probability": ("probability",),
        "category": ("forecast_category.name", "Forecast Category"),
        "status": ("forecast_type", "Deal Category"),
    },
    user_fields={
        "user_id": ("id", "User Id"), "name": ("full_name", "Name"), "first_name": ("first_name",),
        "last_name": ("last_name",), "manager": ("Reporting_To", "Reporting To"),
    },
    tracked={
        "owner": "rep", "dealowner": "rep", "stage": "stage", "amount": "amount", "closingdate": "close_on",
        "probability": "rep_probability", "forecastcategory": "rep_category",
    },
    categories={
        "pipeline": "Pipeline", "bestcase": "Best Case", "committed": "Commit", "commit": "Commit",
        "closed": "Closed", "omitted": "Omitted", "omit": "Omitted",
    },
    canonical_id=_without_prefix,
    id_shape=r"(?:zcrm_)?\d+",
    owner_shape=r"(?:zcrm_)?\d+",
    report_headers=frozenset({"Record Id", "Deal Owner", "Closing Date"}),
    segments=("type", "leadsource", "pipeline"),
    status_words={
        "open": "open", "closedwon": "won", "won": "won", "closedlost": "lost", "closedlosttocompetition": "lost",
        "lost": "lost",
    },
    cannot_know=(
        "Zoho CRM's stage history holds no owner, and none of deals that were deleted: owners of the past are known "
        "as far as the timeline was exported."
    ),
)  # fmt: skip
