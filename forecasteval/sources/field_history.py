"""Any CRM's deals with a history of fields: (id, field, value or old and new, changed at), as pipelines copy them."""

from __future__ import annotations

from forecasteval.sources.dialect import Dialect

_STATUS = {
    "is_closed": ("is_closed", "closed"),
    "is_won": ("is_won", "won"),
    "status": ("outcome", "status", "deal_status", "state"),
}

FIELD_HISTORY = Dialect(
    name="a table of deals with a field history",
    objects={
        "deals": ("deals", "deal", "opportunities", "opportunity"),
        "values": ("deal_values", "deal_versions"),
        "changes": (
            "field_history", "deal_field_history", "deal_history", "deals_history", "opportunity_field_history",
            "opportunity_history", "history", "changes", "deal_changes",
        ),
        "stages": ("stages", "stage"),
        "users": ("users", "user", "owners", "reps"),
        "daily": ("daily_history", "deal_daily_history", "deals_daily", "opportunity_daily_history"),
    },
    fields={
        "deal_id": ("deal_id", "opportunity_id", "id"),
        "account": ("account_id", "account", "company_id", "customer_id"),
        "stage": ("stage", "stage_id", "phase"),
        "amount": ("amount", "value", "deal_value", "revenue"),
        "probability": ("probability", "win_probability"),
        "close_on": ("close_on", "close_date", "expected_close_date", "expected_close"),
        **_STATUS,
        "closed_on": ("closed_on", "actual_close_date", "closed_date"),
        "rep": ("owner_id", "rep_id", "rep", "user_id"),
        "rep_name": ("owner", "owner_name", "rep_name"),
        "created_at": ("created_at", "created_on", "created_date", "created"),
        "currency": ("currency", "currency_code"),
        "category": ("forecast_category",),
        "is_deleted": ("is_deleted", "deleted", "_fivetran_deleted"),
    },
    change_fields={
        "deal_id": ("deal_id", "opportunity_id", "record_id", "object_id", "parent_id", "id"),
        "created_at": ("changed_at", "changed_on", "created_date", "timestamp", "created_at", "modified_at", "time"),
        "field": ("field", "field_name", "property", "property_name", "name", "attribute"),
        "old": ("old_value", "old", "from_value", "previous_value"),
        "new": ("new_value", "new", "value", "to_value"),
        "row_id": ("history_id", "row_id", "change_id"),
    },
    stage_fields={
        "label": ("label", "stage", "stage_name", "name"),
        "api_name": ("stage_id", "id", "api_name"),
        "default_probability": ("default_probability", "probability"),
        "category": ("forecast_category", "category"),
        **_STATUS,
    },
    user_fields={
        "user_id": ("user_id", "owner_id", "rep_id", "rep", "id"), "name": ("name", "full_name"),
        "first_name": ("first_name",), "last_name": ("last_name",), "manager": ("manager_id", "manager"),
        "team": ("team",),
    },
    tracked={
        "owner": "rep", "ownerid": "rep", "rep": "rep", "repid": "rep", "userid": "rep", "hubspotownerid": "rep",
        "stage": "stage", "stagename": "stage", "dealstage": "stage", "stageid": "stage",
        "amount": "amount", "value": "amount", "dealvalue": "amount",
        "closeon": "close_on", "closedate": "close_on", "expectedclosedate": "close_on", "closingdate": "close_on",
        "probability": "rep_probability", "winprobability": "rep_probability", "forecastcategory": "rep_category",
    },
    categories={
        "omitted": "Omitted", "pipeline": "Pipeline", "bestcase": "Best Case", "mostlikely": "Most Likely",
        "commit": "Commit", "committed": "Commit", "forecast": "Commit", "closed": "Closed",
    },
    canonical_id=lambda ids: ids,
    id_shape=r".+",
    id_words="any form",
    owner_shape=r"\d+|[0-9A-Za-z]{15,}",
    in_percent=None,
    status_words={
        "open": "open", "inprogress": "open", "won": "won", "closedwon": "won", "lost": "lost", "closedlost": "lost",
        "deleted": "deleted",
    },
)  # fmt: skip
