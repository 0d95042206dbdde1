"""HubSpot: deals by API name, by UI label, or as Fivetran, Airbyte, dlt and singer copy them; property history."""

from __future__ import annotations

from forecasteval.sources.dialect import Dialect

_FLAGS = {
    "is_closed": ("hs_is_closed", "Is Deal Closed?", "Is Closed", "isClosed", "metadata.isClosed"),
    "is_won": ("hs_is_closed_won", "Is Closed Won", "closed_won"),
}
HUBSPOT = Dialect(
    name="HubSpot",
    objects={
        "deals": ("deals", "deal", "hubspot-crm-exports-all-deals", "hubspot-crm-exports-deals"),
        "values": ("deal_values",),
        "changes": (
            "deal_property_history", "deals_property_history", "property_history", "deal_history", "deals_history",
        ),
        "stages": ("deal_pipeline_stage", "pipeline_stages", "pipelines_stages", "deal_pipelines__stages", "stages"),
        "users": ("owners", "owner"),
        "submissions": ("forecasts", "forecast_submissions"),
    },
    file_prefixes=("hubspot",),
    # Fivetran writes property_amount, Airbyte properties_amount, singer property_amount__value
    header_form=r"propert(?:y|ies)(.+?)(?:value)?",
    fields={
        "deal_id": ("hs_object_id", "Record ID", "deal_id", "dealId", "id"),
        "account": ("Associated Company IDs", "associated_company_id", "Associated Company", "company_id"),
        "stage": ("dealstage", "Deal Stage", "deal_pipeline_stage_id", "pipeline_stage_id", "pipeline_stage_label"),
        "amount": ("amount_in_home_currency", "Amount in company currency", "amount"),
        "probability": ("hs_deal_stage_probability", "Deal probability"),
        "close_on": ("closedate", "Close Date", "closed_date"),
        **_FLAGS,
        "is_lost": ("hs_is_closed_lost", "Is closed lost"),
        "rep": ("hubspot_owner_id", "owner_id", "Deal owner ID"),
        "rep_name": ("Deal owner", "owner_full_name", "owner_name"),
        "created_at": ("createdate", "Create Date", "hs_createdate", "created_date", "createdAt"),
        "category": ("hs_manual_forecast_category", "Forecast category"),
        "is_deleted": ("is_deleted", "is_deal_deleted", "archived", "_fivetran_deleted"),
    },
    change_fields={
        "deal_id": ("deal_id", "dealId", "object_id", "hs_object_id", "Record ID", "id"),
        "created_at": ("timestamp", "valid_from", "change_timestamp", "changed_at", "Change date"),
        "field": ("name", "property", "property_name", "field_name", "Property name"),
        "new": ("value", "new_value", "Property value"),
    },
    stage_fields={
        "label": ("label", "pipeline_stage_label", "Stage name"),
        "api_name": ("stage_id", "id", "stageId"),
        "default_probability": ("probability", "metadata.probability"),
        "is_active": ("active",),
        "pipeline": ("pipeline_label", "pipeline_id"),
        **_FLAGS,
    },
    user_fields={
        "user_id": ("owner_id", "id", "ownerId"), "name": ("name", "full_name"),
        "first_name": ("first_name", "firstName"), "last_name": ("last_name", "lastName"),
        "team": ("primary_team", "team", "hubspot_team_id"),
    },
    tracked={
        "hubspotownerid": "rep",
        "dealstage": "stage",
        "amount": "amount",
        "closedate": "close_on",
        "hsdealstageprobability": "rep_probability",
        "hsmanualforecastcategory": "rep_category",
    },
    categories={
        "omit": "Omitted", "omitted": "Omitted", "notforecasted": "Omitted", "pipeline": "Pipeline",
        "bestcase": "Best Case", "mostlikely": "Most Likely", "commit": "Commit", "closed": "Closed",
        "closedwon": "Closed",
    },
    report_headers=frozenset({"Record ID", "Deal Name", "Deal Stage", "Deal owner"}),
    segments=("dealtype", "pipeline", "dealpipelineid"),
    in_percent=False,
    close_has_time=True,
    status_words={"closedwon": "won", "closedlost": "lost"},
    kept_values=20,
    left_aside=dict.fromkeys(
        ("dealstage", "dealstages"),
        "it joins today's probability of a stage to the past, which is hindsight; deal_history or "
        "deal_property_history tells what was known.",
    ),
    cannot_know=(
        "HubSpot keeps the last 20 values of each property of a deal, and none of deals that were deleted or merged: "
        "what came before is unknown."
    ),
)  # fmt: skip
