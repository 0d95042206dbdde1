"""Pipedrive: deals by API name or UI label, and their changelog (or the changes of their flow)."""

from __future__ import annotations

from forecasteval.sources.dialect import Dialect

PIPEDRIVE = Dialect(
    name="Pipedrive",
    objects={
        "deals": ("deals", "deal"),
        "values": ("deal_values",),
        "changes": ("deal_changelog", "deals_changelog", "changelog", "deal_flow", "deal_updates", "deal_change"),
        "stages": ("stages", "stage"),
        "users": ("users", "user"),
    },
    file_prefixes=("pipedrive",),
    header_form=r"deal(.+)",  # "Deal - Stage"
    fields={
        "deal_id": ("id", "ID", "deal_id"),
        "account": ("org_id", "Organization ID", "org_name", "Organization"),
        "stage": ("stage_id", "Stage"),
        "amount": ("value", "Value"),
        "probability": ("probability", "Probability"),
        "close_on": ("expected_close_date", "Expected close date"),
        "closed_at": ("close_time", "Deal closed on", "Closed on", "won_time", "Won time"),
        "status": ("status", "Status"),
        "rep": ("owner_id", "user_id", "user_id.id", "Owner ID"),
        "rep_name": ("owner_name", "Owner", "user_id.name"),
        "created_at": ("add_time", "Deal created", "created"),
        "currency": ("currency", "Currency", "Currency of Value"),
        "is_deleted": ("is_deleted", "deleted", "_fivetran_deleted"),
    },
    change_fields={
        "deal_id": ("deal_id", "item_id", "data.item_id"),
        "created_at": ("time", "log_time", "data.log_time", "timestamp"),
        "field": ("field_key", "data.field_key"),
        "old": ("old_value", "data.old_value"),
        "new": ("new_value", "data.new_value"),
        "row_id": ("data.id",),
    },
    stage_fields={
        "label": ("name", "Stage"),
        "api_name": ("id",),
        "default_probability": ("deal_probability",),
        "is_active": ("active_flag",),
        "pipeline": ("pipeline_name", "pipeline_id"),
    },
    user_fields={"user_id": ("id",), "name": ("name",)},
    tracked={
        "userid": "rep", "ownerid": "rep", "stageid": "stage", "value": "amount", "expectedclosedate": "close_on",
        "probability": "rep_probability", "status": "status",
    },
    categories={},
    report_headers=frozenset({"Deal - ID", "Deal - Title", "Deal - Stage", "Deal - Status"}),
    segments=("pipelineid", "pipeline", "label"),
    required=("deal_id", "stage", "status", "close_on"),
    status_words={"open": "open", "won": "won", "lost": "lost", "deleted": "deleted"},
    own_status=True,
    cannot_know=(
        "Pipedrive shows the probability of a stage as it is today: where nobody typed one into a deal, its "
        "probability in the past is unknown. Deleted deals leave after 30 days, with their changes."
    ),
)  # fmt: skip
