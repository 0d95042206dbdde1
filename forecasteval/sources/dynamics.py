"""Dynamics 365 Sales: opportunities by logical or display name, and the audit of their changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd

from forecasteval.sources.dialect import Dialect
from forecasteval.tables.columns import Sheet


def _guids(ids: pd.Series) -> pd.Series:
    """Lower case, without the braces of old tools and the entity that the audit puts before.

    >>> _guids(pd.Series(["systemuser,{4026BE43-6B69-E111-8F65-78E7D1620F5E}", "D1"])).tolist()
    ['4026be43-6b69-e111-8f65-78e7d1620f5e', 'D1']
    """
    found = ids.str.extract(rf"^(?:[a-z_]+,)?\{{?({_GUID})\}}?$", expand=False)
    return found.str.lower().fillna(ids)


def _one_change_a_row(kind: str, sheet: Sheet) -> Sheet:
    """The audit of the Web API: each row holds its changes as JSON in one cell."""
    column = sheet.headers().get("changedata")
    if kind != "changes" or column is None:
        return sheet
    cells = sheet.cells[sheet.cells[column].notna()]
    rows = []
    for row, text in cells[column].items():
        try:
            found = json.loads(text).get("changedAttributes", [])
        except (ValueError, AttributeError):
            sheet.wrong(
                int(str(row)), column, repr(text[:40]), "JSON with changedAttributes", "Export it again."
            )
            continue
        rows += [(row, one.get("logicalName"), one.get("oldValue"), one.get("newValue")) for one in found]
    changes = pd.DataFrame(rows, columns=["row", "logicalName", "oldValue", "newValue"], dtype="str")
    rest = cells.drop(columns=column).loc[changes.pop("row").astype(int)].reset_index(drop=True)
    unfolded = pd.concat([rest, changes], axis=1)
    return replace(sheet, cells=unfolded.set_axis(pd.RangeIndex(2, len(unfolded) + 2, name="row")))


_GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

DYNAMICS = Dialect(
    name="Dynamics 365",
    objects={
        "deals": ("opportunity", "opportunities", "All Opportunities", "Open Opportunities", "My Open Opportunities"),
        "values": ("opportunity_values",),
        "changes": ("audit", "audits", "opportunity_audit", "Audit History"),
        "stages": ("opportunity_stages",),
        "users": ("systemuser", "systemusers", "users"),
    },
    file_prefixes=("dynamics", "dataverse", "d365"),
    fields={
        "deal_id": ("opportunityid", "(Do Not Modify) Opportunity"),
        "account": ("_customerid_value", "customerid", "_parentaccountid_value", "parentaccountid", "Account"),
        "stage": ("stepname", "Pipeline Phase", "salesstage", "Sales Stage"),
        "amount": ("estimatedvalue_base", "estimatedvalue", "Est. Revenue"),
        "booked": ("actualvalue_base", "actualvalue", "Actual Revenue"),
        "probability": ("closeprobability", "Probability"),
        "close_on": ("estimatedclosedate", "Est. Close Date"),
        "closed_on": ("actualclosedate", "Actual Close Date"),
        "status": ("statecode", "Status"),
        "rep": ("_ownerid_value", "ownerid"),
        "rep_name": ("owneridname", "Owner"),
        "created_at": ("createdon", "Created On"),
        "category": ("msdyn_forecastcategory", "Forecast Category"),
        "is_deleted": ("IsDelete", "isdeleted", "_fivetran_deleted"),
    },
    change_fields={
        "deal_id": ("_objectid_value", "objectid", "Record", "opportunityid"),
        "created_at": ("createdon", "Changed Date"),
        "field": ("logicalName", "attributename", "Changed Field"),
        "old": ("oldValue",),
        "new": ("newValue",),
        "row_id": ("auditid",),
    },
    stage_fields={"label": ("name", "stagename"), "default_probability": ("probability",)},
    user_fields={
        "user_id": ("systemuserid",), "name": ("fullname", "Full Name"),
        "first_name": ("firstname",), "last_name": ("lastname",),
        "manager": ("parentsystemuserid", "_parentsystemuserid_value", "Manager"),
    },
    tracked={
        "ownerid": "rep", "owner": "rep", "stepname": "stage", "pipelinephase": "stage", "salesstage": "stage",
        "estimatedvalue": "amount", "estrevenue": "amount", "estimatedclosedate": "close_on",
        "estclosedate": "close_on", "closeprobability": "rep_probability", "probability": "rep_probability",
        "msdynforecastcategory": "rep_category", "forecastcategory": "rep_category", "statecode": "status",
        "status": "status",
    },
    categories={
        "100000001": "Pipeline", "pipeline": "Pipeline", "100000002": "Best Case", "bestcase": "Best Case",
        "100000003": "Commit", "committed": "Commit", "100000004": "Omitted", "omitted": "Omitted",
        "100000005": "Closed", "won": "Closed", "100000006": "Omitted", "lost": "Omitted",
    },
    record="opportunity",
    records="opportunities",
    canonical_id=_guids,
    id_shape=rf"\{{?{_GUID}\}}?",
    id_words="32 hexadecimal digits in five groups",
    owner_shape=rf"(?:[a-z]+,)?\{{?{_GUID}\}}?",
    report_headers=frozenset({"(Do Not Modify) Opportunity", "Est. Close Date", "Est. Revenue"}),
    custom_field=r"(?!)",
    required=("deal_id", "status", "close_on"),
    status_words={"0": "open", "1": "won", "2": "lost", "open": "open", "won": "won", "lost": "lost"},
    own_status=True,
    unfold=_one_change_a_row,
    cannot_know=(
        "Dynamics 365 audits a field from the day on which auditing was switched on for it, and as long as its audit "
        "log is kept: what came before is unknown."
    ),
)  # fmt: skip
