"""The demo organisation as other systems would export it: what each of them keeps of it, in its own words."""

import json
import uuid
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

DEMO = Path(__file__).parents[2] / "data" / "demo" / "export"
ZONE = "America/New_York"
FIELDS = ["StageName", "Amount", "CloseDate", "Probability", "ForecastCategory"]
CLOSED = {"Closed Won": "won", "Closed Lost": "lost"}


def _read(name):
    return pd.read_csv(DEMO / f"{name}.csv", dtype=str, keep_default_na=False)


@dataclass
class Demo:
    """Some of the demo's deals: today's record, every version, and every change of a field (old is None at first)."""

    deals: pd.DataFrame
    versions: pd.DataFrame
    changes: pd.DataFrame
    stages: pd.DataFrame
    users: pd.DataFrame

    @classmethod
    def of(cls, every):
        """One deal in so many of those that were not deleted, with those that have the most versions."""
        deals, versions, owners = map(_read, ("Opportunity", "OpportunityHistory", "OpportunityFieldHistory"))
        stages, users = _read("OpportunityStage"), _read("User")
        kept = deals[deals["IsDeleted"] == "false"].iloc[::every]
        busiest = versions["OpportunityId"].value_counts().index[:5]
        handed = owners.loc[owners["Field"] == "Owner", "OpportunityId"].unique()[::3]
        kept = deals[deals["Id"].isin({*kept["Id"], *busiest, *handed}) & (deals["IsDeleted"] == "false")]
        versions = versions[versions["OpportunityId"].isin(kept["Id"])].replace(
            "Technical Validation", "Evaluation"
        )
        owners = owners[owners["OpportunityId"].isin(kept["Id"]) & owners["NewValue"].isin(users["Id"])]
        return cls(kept, versions, _changes(kept, versions, owners), stages, users)

    @property
    def open_last(self):
        """The last values of each deal while it was open: what a CRM with a status of its own keeps showing."""
        still = self.versions[~self.versions["StageName"].isin(CLOSED)]
        return still.drop_duplicates("OpportunityId", keep="last").set_index("OpportunityId")


def _changes(deals, versions, owners):
    rows = []
    for deal, own in versions.groupby("OpportunityId", sort=False):
        before = dict.fromkeys(FIELDS)
        for row in own.to_dict("records"):
            rows += [
                (deal, row["CreatedDate"], name, before[name], row[name])
                for name in FIELDS
                if row[name] != before[name]
            ]
            before = row
    first = owners.drop_duplicates("OpportunityId").set_index("OpportunityId")["OldValue"]
    for deal in deals.itertuples():
        rows.append((deal.Id, deal.CreatedDate, "OwnerId", None, first.get(deal.Id, deal.OwnerId)))
    for row in owners.itertuples():
        rows.append((row.OpportunityId, row.CreatedDate, "OwnerId", row.OldValue, row.NewValue))
    return pd.DataFrame(rows, columns=["deal", "at", "field", "old", "new"]).sort_values("at", kind="stable")


def number(ids, start=9_000_000):
    """The same ids as whole numbers."""
    return ids.map({name: str(start + i) for i, name in enumerate(sorted(ids.unique()))})


def _numbers(*columns):
    names = sorted(set().union(*(set(column.dropna()) for column in columns)) - {""})
    return {name: str(9_000_000 + i) for i, name in enumerate(names)}


def _share(text):
    return "" if pd.isna(text) or text == "" else f"{float(text) / 100:g}"


def _evening(day):
    """A day as HubSpot keeps it: a moment, here late in the evening of New York, the next day in UTC."""
    stamp = pd.Timestamp(day + " 21:30").tz_localize(ZONE).tz_convert("UTC")
    return f"{stamp:%Y-%m-%dT%H:%M:%S.000Z}"


_HUBSPOT_CATEGORY = {
    "Pipeline": "PIPELINE", "BestCase": "BEST_CASE", "Forecast": "COMMIT", "Closed": "CLOSED", "Omitted": "OMIT",
}  # fmt: skip
_HUBSPOT_NAMES = {
    "StageName": "dealstage", "Amount": "amount", "CloseDate": "closedate", "Probability": "hs_deal_stage_probability",
    "ForecastCategory": "hs_manual_forecast_category", "OwnerId": "hubspot_owner_id",
}  # fmt: skip


def hubspot(demo, folder, cap=20):
    """By API name; the history holds values without those before them, and the last 20 of each property."""
    ids, people = _numbers(demo.deals["Id"]), _numbers(demo.users["Id"])
    stage = {label: str(170000 + i) for i, label in enumerate(demo.stages["MasterLabel"])}
    how = {
        "StageName": stage.get, "Amount": str, "CloseDate": _evening, "Probability": _share,
        "ForecastCategory": _HUBSPOT_CATEGORY.get, "OwnerId": people.get,
    }  # fmt: skip
    deals = demo.deals
    table = pd.DataFrame({_HUBSPOT_NAMES[name]: deals[name].map(how[name]) for name in how})
    table = table.assign(
        hs_object_id=deals["Id"].map(ids), createdate=deals["CreatedDate"], hs_is_closed_won=deals["IsWon"],
        hs_is_closed_lost=(deals["IsClosed"].eq("true") & deals["IsWon"].eq("false")).map({True: "true", False: "false"}),
        region=deals["Region__c"], segment=deals["Segment__c"],
    )  # fmt: skip
    table.to_csv(folder / "deals.csv", index=False)
    kept = demo.changes.groupby(["deal", "field"]).tail(cap)
    pd.DataFrame({
        "deal_id": kept["deal"].map(ids), "name": kept["field"].map(_HUBSPOT_NAMES), "timestamp": kept["at"],
        "value": [how[name](value) for name, value in zip(kept["field"], kept["new"], strict=True)],
        "source": "CRM_UI",
    }).to_csv(folder / "deal_property_history.csv", index=False)  # fmt: skip
    pd.DataFrame({
        "stage_id": demo.stages["MasterLabel"].map(stage), "label": demo.stages["MasterLabel"], "pipeline_id": "default",
        "probability": demo.stages["DefaultProbability"].map(_share), "is_closed": demo.stages["IsClosed"],
        "closed_won": demo.stages["IsWon"],
    }).to_csv(folder / "deal_pipeline_stage.csv", index=False)  # fmt: skip
    name = demo.users["Name"].str.split(" ", n=1, expand=True)
    owners = pd.DataFrame({"id": demo.users["Id"].map(people), "firstName": name[0], "lastName": name[1]})
    owners.to_csv(folder / "owners.csv", index=False)
    return ids, people


def _guid(text):
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))


_DYNAMICS_CATEGORY = {
    "Pipeline": "100000001", "BestCase": "100000002", "Forecast": "100000003", "Omitted": "100000004",
    "Closed": "100000005",
}  # fmt: skip
_DYNAMICS_NAMES = {
    "StageName": "stepname", "Amount": "estimatedvalue", "CloseDate": "estimatedclosedate",
    "Probability": "closeprobability", "ForecastCategory": "msdyn_forecastcategory", "OwnerId": "ownerid",
}  # fmt: skip


def _by_status(demo, always=("OwnerId",)):
    """The changes of a CRM in which a close changes the status, and of the other fields only those of ``always``."""
    rows = []
    ordered = sorted(demo.changes.itertuples(), key=lambda row: row.deal)  # in time within each deal
    for deal, own in groupby(ordered, key=lambda row: row.deal):
        open_still, status = True, "open"
        shown = {}
        for at, some in groupby(own, key=lambda row: row.at):
            part = list(some)
            stages = [row.new for row in part if row.field == "StageName"]
            if stages:
                now = CLOSED.get(stages[-1], "open")
                if now != status:
                    rows.append((deal, at, "status", status, now))
                    status, open_still = now, now == "open"
            for row in part:
                if (open_still or row.field in always) and shown.get(row.field) != row.new:
                    rows.append((deal, at, row.field, shown.get(row.field), row.new))
                    shown[row.field] = row.new
    return pd.DataFrame(rows, columns=["deal", "at", "field", "old", "new"])


def dynamics(demo, folder):
    """By logical name, with the audit of the Web API: changes as JSON, from the creation on."""
    ids, people = {i: _guid(i) for i in demo.deals["Id"]}, {i: _guid(i) for i in demo.users["Id"]}
    state = {"open": "0", "won": "1", "lost": "2"}
    how = {
        "StageName": str, "Amount": str, "CloseDate": str, "Probability": lambda p: str(int(float(p))),
        "ForecastCategory": _DYNAMICS_CATEGORY.get, "OwnerId": people.get, "status": state.get,
    }  # fmt: skip
    deals, last = demo.deals, demo.open_last.reindex(demo.deals["Id"]).set_axis(demo.deals.index)
    status = deals["StageName"].map(CLOSED).fillna("open")
    closed = status != "open"
    pd.DataFrame({
        "opportunityid": deals["Id"].map(ids), "_ownerid_value": deals["OwnerId"].map(people),
        "stepname": last["StageName"], "estimatedvalue": last["Amount"], "estimatedclosedate": last["CloseDate"],
        "closeprobability": last["Probability"].map(how["Probability"]),
        "msdyn_forecastcategory": last["ForecastCategory"].map(_DYNAMICS_CATEGORY), "statecode": status.map(state),
        "actualvalue": deals["Amount"].where(closed), "actualclosedate": deals["CloseDate"].where(closed),
        "createdon": deals["CreatedDate"], "region": deals["Region__c"], "segment": deals["Segment__c"],
    }).to_csv(folder / "opportunities.csv", index=False)  # fmt: skip
    audits = []
    for (deal, at), part in _by_status(demo).groupby(["deal", "at"], sort=False):
        changed = [
            {"logicalName": _DYNAMICS_NAMES.get(r.field, "statecode"),
             "oldValue": None if pd.isna(r.old) or r.old == "" else how[r.field](r.old),
             "newValue": None if r.new == "" else how[r.field](r.new)}
            for r in part.itertuples()
        ]  # fmt: skip
        for one in changed:
            if one["logicalName"] == "ownerid":
                one |= {k: f"systemuser,{one[k].upper()}" for k in ("oldValue", "newValue") if one[k]}
        audits.append((_guid(deal + at), ids[deal], at, json.dumps({"changedAttributes": changed})))
    audit = pd.DataFrame(audits, columns=["auditid", "_objectid_value", "createdon", "changedata"])
    audit.to_csv(folder / "audits.csv", index=False)
    users = pd.DataFrame({"systemuserid": demo.users["Id"].map(people), "fullname": demo.users["Name"]})
    users.to_csv(folder / "systemusers.csv", index=False)
    return ids, people


def pipedrive(demo, folder):
    """By API name; the changelog holds changes alone, nothing is written when a deal is made; no categories."""
    ids, people = _numbers(demo.deals["Id"]), _numbers(demo.users["Id"])
    stage = {label: str(i) for i, label in enumerate(demo.stages["MasterLabel"], start=1)}
    names = {"StageName": "stage_id", "Amount": "value", "CloseDate": "expected_close_date", "Probability": "probability",
             "OwnerId": "user_id", "status": "status"}  # fmt: skip
    how = {"StageName": stage.get, "OwnerId": people.get}
    deals, last = demo.deals, demo.open_last.reindex(demo.deals["Id"]).set_axis(demo.deals.index)
    status = deals["StageName"].map(CLOSED).fillna("open")
    noon = [pd.Timestamp(day + " 12:00").tz_localize(ZONE).tz_convert("UTC") for day in deals["CloseDate"]]
    close = pd.Series(noon, deals.index).dt.strftime("%Y-%m-%d %H:%M:%S").where(status != "open")
    created = deals["CreatedDate"].str.replace("T", " ").str[:19]
    pd.DataFrame({
        "id": deals["Id"].map(ids), "title": deals["Name"], "user_id": deals["OwnerId"].map(people),
        "stage_id": last["StageName"].map(stage), "value": deals["Amount"].where(status != "open", last["Amount"]),
        "currency": "USD", "probability": last["Probability"], "expected_close_date": last["CloseDate"], "status": status,
        "add_time": created, "close_time": close, "region": deals["Region__c"], "segment": deals["Segment__c"],
    }).to_csv(folder / "deals.csv", index=False)  # fmt: skip
    changes = _by_status(demo, always=("OwnerId", "Amount"))
    changes = changes[changes["old"].notna() & changes["field"].isin(names)]
    pd.DataFrame({
        "deal_id": changes["deal"].map(ids), "field_key": changes["field"].map(names),
        "old_value": [how.get(f, str)(v) for f, v in zip(changes["field"], changes["old"], strict=True)],
        "new_value": [how.get(f, str)(v) for f, v in zip(changes["field"], changes["new"], strict=True)],
        "time": changes["at"].str.replace("T", " ").str[:19], "actor_user_id": "1", "change_source": "app",
    }).to_csv(folder / "deals_changelog.csv", index=False)  # fmt: skip
    open_ones = demo.stages[demo.stages["IsClosed"] == "false"]
    pd.DataFrame({
        "id": open_ones["MasterLabel"].map(stage), "name": open_ones["MasterLabel"], "pipeline_id": "1",
        "deal_probability": open_ones["DefaultProbability"],
    }).to_csv(folder / "stages.csv", index=False)  # fmt: skip
    pd.DataFrame({"id": demo.users["Id"].map(people), "name": demo.users["Name"]}).to_csv(
        folder / "users.csv", index=False
    )
    return ids, people


def zoho(demo, folder):
    """The labels of an export, prefixed ids; a stage history with full values, a timeline of owner changes."""
    ids, people = _numbers(demo.deals["Id"]), _numbers(demo.users["Id"])
    category = {
        "Pipeline": "Pipeline",
        "BestCase": "Best Case",
        "Forecast": "Committed",
        "Closed": "Closed",
        "Omitted": "Omitted",
    }
    deals, versions = demo.deals, demo.versions
    pd.DataFrame({
        "Record Id": "zcrm_" + deals["Id"].map(ids), "Deal Owner.id": "zcrm_" + deals["OwnerId"].map(people),
        "Stage": deals["StageName"], "Amount": deals["Amount"], "Closing Date": deals["CloseDate"],
        "Probability (%)": deals["Probability"], "Forecast Category": deals["ForecastCategory"].map(category),
        "Created Time": _zoned(deals["CreatedDate"]), "region": deals["Region__c"], "segment": deals["Segment__c"],
    }).to_csv(folder / "Deals.csv", index=False)  # fmt: skip
    pd.DataFrame({
        "Deal Id": "zcrm_" + versions["OpportunityId"].map(ids), "Stage": versions["StageName"], "Amount": versions["Amount"],
        "Probability (%)": versions["Probability"], "Closing Date": versions["CloseDate"],
        "Modified Time": _zoned(versions["CreatedDate"]), "Forecast Category": versions["ForecastCategory"].map(category),
    }).to_csv(folder / "Stage_History.csv", index=False)  # fmt: skip
    owner = demo.changes[(demo.changes["field"] == "OwnerId") & demo.changes["old"].notna()]
    pd.DataFrame({
        "record.id": owner["deal"].map(ids), "api_name": "Owner", "_value.old": owner["old"].map(people),
        "_value.new": owner["new"].map(people), "audited_time": _zoned(owner["at"]),
    }).to_csv(folder / "Timeline.csv", index=False)  # fmt: skip
    kinds = (
        demo.stages["MasterLabel"]
        .map({"Closed Won": "Closed Won", "Closed Lost": "Closed Lost"})
        .fillna("Open")
    )
    pd.DataFrame({
        "display_value": demo.stages["MasterLabel"], "probability": demo.stages["DefaultProbability"],
        "forecast_type": kinds, "forecast_category.name": demo.stages["ForecastCategory"].map(category),
    }).to_csv(folder / "Stages.csv", index=False)  # fmt: skip
    users = pd.DataFrame({"id": demo.users["Id"].map(people), "full_name": demo.users["Name"]})
    users.to_csv(folder / "Users.csv", index=False)
    return ids, people


def _zoned(stamps):
    local = pd.to_datetime(stamps).dt.tz_convert(ZONE)
    text = local.dt.strftime("%Y-%m-%dT%H:%M:%S%z")
    return text.str[:-2] + ":" + text.str[-2:]


def field_history(demo, folder):
    """A warehouse's own table of deals, and a history of fields with old and new values."""
    deals, changes = demo.deals, demo.changes
    names = {"StageName": "stage", "Amount": "amount", "CloseDate": "close_on", "Probability": "probability",
             "ForecastCategory": "forecast_category", "OwnerId": "owner_id"}  # fmt: skip
    status = deals["StageName"].map(CLOSED).fillna("open")
    table = deals[list(names)].rename(columns=names).assign(
        deal_id=deals["Id"], created_at=deals["CreatedDate"], status=status, region=deals["Region__c"],
        segment=deals["Segment__c"], probability=deals["Probability"].map(_share),
    )  # fmt: skip
    table.to_csv(folder / "crm_deals.csv", index=False)
    probability = changes["field"] == "Probability"
    pd.DataFrame({
        "deal_id": changes["deal"], "field": changes["field"].map(names),
        "old_value": changes["old"].mask(probability, changes["old"][probability].map(_share)),
        "new_value": changes["new"].mask(probability, changes["new"][probability].map(_share)), "changed_at": changes["at"],
    }).to_csv(folder / "field_history.csv", index=False)  # fmt: skip
    users = pd.DataFrame({"user_id": demo.users["Id"], "name": demo.users["Name"]})
    users.to_csv(folder / "users.csv", index=False)
    same = {i: i for i in demo.deals["Id"]}
    return same, {i: i for i in demo.users["Id"]}
