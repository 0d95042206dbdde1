"""The demo organisation: it can be made again, it is as messy as it says, and its planted truth is true."""

import csv
import importlib.util
import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import yaml

DEMO = Path(__file__).parents[2] / "data" / "demo"
NEW_YORK = ZoneInfo("America/New_York")
STAGES = ["Qualification", "Discovery", "Evaluation", "Proposal", "Negotiation", "Closed Won", "Closed Lost"]
WON, LOST = 5, 6


def rows(name):
    with open(DEMO / "export" / name, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def local(stamp):
    return datetime.fromisoformat(stamp).astimezone(NEW_YORK)


def quarter_of(day):
    """Fiscal quarters start in February, May, August and November."""
    months = day.year * 12 + day.month - 2
    return months // 3


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("demo_generator", DEMO / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(generator):
    return generator.generate()


@pytest.fixture(scope="module")
def truth():
    return json.loads((DEMO / "truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def export():
    """The files as plain rows; the versions of each deal with the stage's number."""
    opportunity = rows("Opportunity.csv")
    versions = defaultdict(list)
    for row in rows("OpportunityHistory.csv"):
        label = "Evaluation" if row["StageName"] == "Technical Validation" else row["StageName"]
        versions[row["OpportunityId"]].append(row | {"stage": STAGES.index(label)})
    return SimpleNamespace(
        opportunity=opportunity,
        present=[row for row in opportunity if row["IsDeleted"] == "false"],
        versions=versions,
        steps=[pair for deal in versions.values() for pair in pairwise(deal)],
        owners=[row for row in rows("OpportunityFieldHistory.csv") if row["Field"] == "Owner"],
        vendor=rows("forecasts/vendor_x.csv"),
        calendar=rows("calendar.csv"),
    )


# ------------------------------------------------------------------------------------- made again, and its shape


def test_making_it_again_gives_the_same_bytes(generator, made, tmp_path):
    generator.write(made, tmp_path)
    names = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    kept = [
        str(p.relative_to(DEMO))
        for part in ("export", "leads")
        for p in (DEMO / part).rglob("*")
        if p.is_file()
    ]
    assert names == sorted([*kept, "truth.json"])
    differ = [name for name in names if (tmp_path / name).read_bytes() != (DEMO / name).read_bytes()]
    assert differ == []


def test_another_seed_gives_another_organisation(generator):
    one, other = (
        generator.make_deals(np.random.default_rng(s), generator.make_reps(np.random.default_rng(s)))
        for s in (1, 2)
    )
    assert len(one) != len(other) or not one.equals(other)


def test_it_is_small():
    """All demo data together: with outcomes and activity beside the export it is more than the five megabytes of before."""
    built = ("tables", "ledger", "reviews")
    files = [p for p in DEMO.rglob("*") if p.is_file() and not set(built) & set(p.relative_to(DEMO).parts)]
    assert sum(p.stat().st_size for p in files) < 8_000_000


def test_numbers_of_deals_reps_regions_and_quarters(export):
    assert 3_800 <= len(export.opportunity) <= 4_300
    assert len({row["OwnerId"] for row in export.opportunity}) == 24
    assert {row["Region__c"] for row in export.opportunity} == {"East", "Central", "West"}
    assert {row["Segment__c"] for row in export.opportunity} == {"Enterprise", "Mid-Market"}
    quarters = [(row["period"], row["starts_on"], row["ends_on"]) for row in export.calendar]
    assert len(quarters) == 9
    assert quarters[0] == ("FY2025-Q1", "2024-02-01", "2024-04-30")
    assert quarters[-1] == ("FY2027-Q1", "2026-02-01", "2026-04-30")
    for (_, _, end), (_, start, _) in pairwise(quarters):
        assert date.fromisoformat(end) + timedelta(days=1) == date.fromisoformat(start)


def test_a_quarter_of_the_closed_deals_is_won(export):
    closed = [row["IsWon"] == "true" for row in export.present if row["IsClosed"] == "true"]
    assert 0.20 <= np.mean(closed) <= 0.30


def test_reps_are_of_very_unequal_size(export):
    share = pd.Series([row["OwnerId"] for row in export.present]).value_counts(normalize=True)
    assert 0.10 <= share.max() <= 0.16
    assert share.min() <= 0.015


def test_amounts_are_heavy_tailed(export):
    amount = np.sort([float(row["Amount"]) for row in export.present if row["Amount"]])
    assert amount.min() > 0
    assert amount.mean() > 1.5 * np.median(amount)
    assert amount[-1] > 20 * np.median(amount)
    assert 0.2 < np.mean(amount % 1000 == 0) < 0.6


def test_a_third_of_the_accounts_has_several_deals(export):
    deals = pd.Series([row["AccountId"] for row in export.present]).value_counts()
    assert 0.25 <= (deals > 1).mean() <= 0.40


def test_settings():
    settings = yaml.safe_load((DEMO / "export" / "organisation.yaml").read_text(encoding="utf-8"))
    del settings["name"]
    assert settings == {
        "timezone": "America/New_York",
        "currency": "USD",
        "fiscal_year_start_month": 2,
        "grace_business_days": 10,
        "max_age_days": 0,
        "segments": ["region", "segment"],
        "deal_type": "type",
    }


# --------------------------------------------------------------------------------------- as Salesforce writes it


def test_ids_are_valid_salesforce_ids(export):
    def suffix(body):
        bits = [[c.isupper() for c in body[i : i + 5]] for i in (0, 5, 10)]
        return "".join(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[sum(b << i for i, b in enumerate(five))] for five in bits
        )

    history, changes, users = (
        rows(f"{name}.csv") for name in ("OpportunityHistory", "OpportunityFieldHistory", "User")
    )
    own = {
        "006": [row["Id"] for row in export.opportunity],
        "008": [row["Id"] for row in history],
        "017": [row["Id"] for row in changes],
        "005": [row["Id"] for row in users],
    }
    for prefix, ids in own.items():
        assert len(set(ids)) == len(ids)
        assert len({i.lower() for i in ids}) == len(ids), "18 characters must do without the case"
        assert all(len(i) == 18 and i.startswith(prefix) and i[15:] == suffix(i[:15]) for i in ids)
    others = {row["AccountId"] for row in export.opportunity} | {row["UserRoleId"] for row in users}
    assert all(len(i) == 18 and i[:3] in ("001", "00E") and i[15:] == suffix(i[:15]) for i in others)
    assert suffix("001A0000006Vm9r") == "IAC"  # published examples
    assert suffix("0015000000Gv7qJ") == "AAR"


def test_formats(export):
    for row in export.opportunity[::50]:
        assert datetime.strptime(row["CreatedDate"], "%Y-%m-%dT%H:%M:%S.000Z")
        assert date.fromisoformat(row["CloseDate"])
        assert {row["IsDeleted"], row["IsClosed"], row["IsWon"]} <= {"true", "false"}
        assert 0 <= float(row["Probability"]) <= 100
    labels = {(row["ForecastCategory"], row["ForecastCategoryName"]) for row in export.opportunity}
    assert labels == {
        ("Pipeline", "Pipeline"),
        ("BestCase", "Best Case"),
        ("Forecast", "Commit"),
        ("Closed", "Closed"),
        ("Omitted", "Omitted"),
    }


def test_the_tables_refer_to_each_other(export):
    users = {row["Id"]: row for row in rows("User.csv")}
    deals = {row["Id"] for row in export.present}
    assert set(export.versions) == deals, "deals have versions unless they are deleted"
    assert {row["OpportunityId"] for row in export.owners} <= deals
    assert {row["OwnerId"] for row in export.opportunity} <= set(users)
    assert {row["ManagerId"] for row in users.values()} - {""} <= set(users)
    by_reps = [row for row in rows("calls.csv") if row["unit"] == "rep"]
    assert {row["unit_id"] for row in by_reps} == {row["OwnerId"] for row in export.opportunity}
    assert all(row["Email"].endswith("@example.com") for row in users.values())
    assert {row["IsActive"] for row in users.values()} == {"true", "false"}


def test_the_last_version_is_the_present_state(export):
    for row in export.present:
        first, last = export.versions[row["Id"]][0], export.versions[row["Id"]][-1]
        assert STAGES[last["stage"]] == row["StageName"]
        for column in ("Amount", "CloseDate", "Probability", "ForecastCategory"):
            assert last[column] == row[column]
        assert first["CreatedDate"] == row["CreatedDate"]


def test_people_work_on_working_days_and_nothing_comes_from_the_future(export):
    times = [local(row["CreatedDate"]) for deal in export.versions.values() for row in deal]
    assert np.mean([t.weekday() >= 5 for t in times]) < 0.03
    assert np.mean([8 <= t.hour < 18 for t in times]) > 0.9
    assert max(times).date() <= date(2026, 3, 20)
    assert sum(t.date() != t.astimezone(ZoneInfo("UTC")).date() for t in times) > 100


def test_close_dates_cluster_at_the_ends_of_months(export):
    close = [date.fromisoformat(row["CloseDate"]) for row in export.present if row["IsClosed"] == "false"]
    assert 0.4 < np.mean([(day + timedelta(days=1)).day == 1 for day in close]) < 0.9


def test_calls_and_scores_come_on_mondays(export):
    calls = [row for row in rows("calls.csv") if row["unit"] == "rep"]
    assert {date.fromisoformat(row["as_of"]).weekday() for row in calls} == {0}
    assert all(0 <= int(row["low"]) <= int(row["amount"]) <= int(row["high"]) for row in calls)
    assert {datetime.fromisoformat(row["issued_at"]).weekday() for row in export.vendor} == {0}
    assert all(0 < float(row["value"]) < 1 for row in export.vendor)
    assert all(row["trained_through"] < row["issued_at"][:10] for row in export.vendor)
    keys = {(row["deal_id"], row["issued_at"]) for row in export.vendor}
    assert len(keys) == len(export.vendor)


# ------------------------------------------------------------------------------------------------------ the mess


def mess(export):
    """Each kind of mess, counted in the files row by row."""
    still_open = [(a, b) for a, b in export.steps if a["stage"] < WON and b["stage"] < WON]
    reopened = [(a, b) for a, b in export.steps if a["stage"] >= WON and b["stage"] < WON]
    late = earlier_quarter = inside = 0
    for row in export.present:
        if row["IsWon"] == "true":
            close = date.fromisoformat(row["CloseDate"])
            booked = local(
                [v for v in export.versions[row["Id"]] if v["stage"] == WON][-1]["CreatedDate"]
            ).date()
            late += booked > close
            earlier_quarter += quarter_of(booked) > quarter_of(close)
            inside += quarter_of(date.fromisoformat(row["CreatedDate"][:10])) == quarter_of(close)
    known = {row["Id"] for row in export.opportunity}

    def deals(pairs):
        return len({b["OpportunityId"] for _, b in pairs})

    every = [row for deal in export.versions.values() for row in deal]
    return {
        "deals_reopened": deals(reopened),
        "deals_reopened_after_a_win": deals([(a, b) for a, b in reopened if a["stage"] == WON]),
        "deals_deleted_in_export": len(export.opportunity) - len(export.present),
        "deals_deleted_that_only_the_vendor_names": len({row["deal_id"] for row in export.vendor} - known),
        "wins_booked_after_their_close_date": late,
        "wins_booked_back_into_an_earlier_quarter": earlier_quarter,
        "deals_handed_over": len({row["OpportunityId"] for row in export.owners}),
        "history_rows_with_the_old_stage_label": sum(r["StageName"] == "Technical Validation" for r in every),
        "deals_with_a_skipped_stage": deals([(a, b) for a, b in still_open if b["stage"] - a["stage"] >= 2]),
        "deals_with_a_reversed_stage": deals([(a, b) for a, b in still_open if b["stage"] < a["stage"]]),
        "deals_pushed": deals([(a, b) for a, b in still_open if b["CloseDate"] > a["CloseDate"]]),
        "deals_created_and_won_inside_a_quarter": inside,
        "deals_without_an_amount": sum(row["Amount"] == "" for row in export.present),
        "history_rows_without_an_amount": sum(row["Amount"] == "" for row in every),
        "history_rows_in_the_second_of_the_one_before": sum(
            a["CreatedDate"] == b["CreatedDate"] for a, b in export.steps
        ),
    }


def test_every_kind_of_mess_is_there_and_counted_right(export, truth):
    counted = mess(export)
    assert counted == truth["mess"]
    assert min(counted.values()) > 0


def test_the_old_label_stands_before_the_renaming_only(export):
    (renaming,) = rows("stage_renames.csv")
    stamps = defaultdict(list)
    for deal in export.versions.values():
        for row in deal:
            stamps[row["StageName"]].append(local(row["CreatedDate"]).date().isoformat())
    assert max(stamps[renaming["old_label"]]) < renaming["changed_on"] <= min(stamps[renaming["new_label"]])
    assert renaming["old_label"] not in {row["MasterLabel"] for row in rows("OpportunityStage.csv")}


def test_owner_changes_write_a_row_with_names_and_one_with_ids(export):
    names = {row["Id"]: row["Name"] for row in rows("User.csv")}
    moments = defaultdict(list)
    for row in export.owners:
        moments[row["OpportunityId"], row["CreatedDate"]].append((row["OldValue"], row["NewValue"]))
    for pair in moments.values():
        (by_name,) = [p for p in pair if p[0] not in names]
        (by_id,) = [p for p in pair if p[0] in names]
        assert (names[by_id[0]], names[by_id[1]]) == by_name
    last = {row["OpportunityId"]: row["NewValue"] for row in export.owners if row["NewValue"] in names}
    owner = {row["Id"]: row["OwnerId"] for row in export.present}
    assert all(owner[deal] == rep for deal, rep in last.items())


def test_most_probabilities_are_the_default_of_their_stage(export, truth):
    default = {row["MasterLabel"]: float(row["DefaultProbability"]) for row in rows("OpportunityStage.csv")}
    every = [row for deal in export.versions.values() for row in deal if row["stage"] < WON]
    share = np.mean([float(row["Probability"]) == default[STAGES[row["stage"]]] for row in every])
    assert 0.75 <= share <= 0.80
    assert share == pytest.approx(truth["stage_default_share"]["open_history_rows"], abs=1e-4)


def test_the_vendor_is_silent_now_and_then_and_not_at_random(made, truth):
    scored = made.latent[made.latent.period != "FY2025-Q1"]
    silent = scored.vendor_x.isna()
    assert 0.03 < silent[scored.week == 4].mean() < 0.10
    assert truth["vendor_silent"]["mean_pi"]["silent"] < truth["vendor_silent"]["mean_pi"]["scored"]


# ----------------------------------------------------------------------------------------------------- the truth


def test_the_latent_table_is_what_the_export_shows(made, export):
    """Rebuild who was open, with what on record and which score, at the end of week 4 and week 11; and who won."""
    history = pd.DataFrame(row for deal in export.versions.values() for row in deal)
    history["at"] = pd.to_datetime(history.CreatedDate)
    history = history.sort_values("at", kind="stable")
    vendor = pd.DataFrame(export.vendor).assign(at=lambda t: pd.to_datetime(t.issued_at))
    for quarter in export.calendar[:-1]:
        end = pd.Timestamp(quarter["ends_on"], tz=NEW_YORK)
        frozen = end + pd.offsets.BusinessDay(10) + pd.Timedelta(days=1)
        state = history[history["at"] < frozen].groupby("OpportunityId").last()
        in_quarter = state.CloseDate.between(quarter["starts_on"], quarter["ends_on"])
        won = state.index[(state.stage == WON) & in_quarter]
        for week in (4, 11):
            moment = pd.Timestamp(quarter["starts_on"], tz=NEW_YORK) + pd.Timedelta(days=7 * week)
            state = history[history["at"] < moment].groupby("OpportunityId").last()
            in_quarter = state.CloseDate.between(quarter["starts_on"], quarter["ends_on"])
            state = state[(state.stage < WON) & in_quarter].sort_index()
            score = vendor[vendor["at"] < moment].groupby("deal_id").value.last().reindex(state.index)
            here = (made.latent.period == quarter["period"]) & (made.latent.week == week)
            latent = made.latent[here].set_index("deal_id").sort_index()
            assert list(latent.index) == list(state.index)
            np.testing.assert_allclose(latent.rep_probability, state.Probability.astype(float) / 100)
            np.testing.assert_allclose(latent.vendor_x, score.astype(float))
            np.testing.assert_allclose(latent.amount, pd.to_numeric(state.Amount))
            assert list(latent.won) == list(latent.index.isin(won).astype(int))


def test_pi_is_calibrated(made):
    """Wins are as many as pi says, overall and where pi is small or large, within four standard errors."""
    for week in (4, 8, 11):
        latent = made.latent[made.latent.week == week]
        for low, high in ((0, 1), (0, 0.1), (0.1, 0.5), (0.5, 1)):
            part = latent[latent.pi.between(low, high)]
            error = np.sqrt((part.pi * (1 - part.pi)).sum())
            assert abs(part.won.sum() - part.pi.sum()) < 4 * error


def test_the_written_truth_follows_from_the_latent_table(made, truth):
    latent = made.latent[made.latent.period.isin(truth["periods"])]
    assert len(truth["periods"]) == 7
    for entry in truth["weeks"]:
        deals = latent[latent.week == entry["week"]]
        pi, rep = deals.pi.to_numpy(), deals.rep_probability.to_numpy()
        vendor = np.where(deals.vendor_x.isna(), rep, deals.vendor_x)
        assert entry["deals"] == len(deals)
        # the expected Brier score, from its definition: right with chance pi, wrong with chance 1 - pi
        for name, p in (("rep_forecast", rep), ("vendor_x", vendor), ("pi", pi)):
            expected = np.mean(pi * (1 - p) ** 2 + (1 - pi) * p**2)
            assert entry["expected_brier"][name] == pytest.approx(expected, abs=1e-5)
        difference = np.mean((vendor - pi) ** 2 - (rep - pi) ** 2)
        assert entry["expected_difference"] == pytest.approx(difference, abs=1e-5)
        clear = abs(difference) >= truth["clear_difference"]
        better = ("vendor_x" if difference < 0 else "rep_forecast") if clear else "no clear difference"
        assert entry["truly_better"] == better


def test_the_vendor_is_better_early_and_the_reps_late(truth):
    weeks = {entry["week"]: entry for entry in truth["weeks"]}
    assert set(weeks) == set(range(1, 14))
    assert {weeks[week]["truly_better"] for week in range(1, 7)} == {"vendor_x"}
    assert -0.05 < weeks[4]["expected_difference"] < -0.03
    assert {weeks[week]["truly_better"] for week in (10, 11, 12)} == {"rep_forecast"}
    assert all(0 < weeks[week]["expected_difference"] < 0.03 for week in (10, 11, 12))
    assert 200 <= weeks[4]["deals"] / 7 <= 300
    assert 0.25 <= weeks[4]["mean_pi"] <= 0.30


def test_managers_call_on_tuesdays_and_the_head_of_sales_on_wednesdays():
    for unit, weekday, units in (("team", 1, {"East", "Central", "West"}), ("company", 2, {""})):
        calls = [row for row in rows("calls.csv") if row["unit"] == unit and row["forecaster"] != "quota"]
        assert {date.fromisoformat(row["as_of"]).weekday() for row in calls} == {weekday}
        assert {row["unit_id"] for row in calls} == units
        assert len({row["period"] for row in calls}) == 9


def test_quotas_are_set_on_the_first_day_and_grow_as_planted(truth):
    quota = pd.DataFrame(rows("calls.csv")).query("forecaster == 'quota'").astype({"amount": float})
    starts = {row["period"]: row["starts_on"] for row in rows("calendar.csv")}
    assert (quota["as_of"] == quota["period"].map(starts)).all()
    company = quota[quota["unit"] == "company"].set_index("period")["amount"]
    assert company.to_dict() == truth["quota"]
    assert company.diff().dropna().eq(100_000).all()
    regions = quota[quota["unit"] == "team"].groupby("period")["amount"].sum()
    np.testing.assert_allclose(regions, company.loc[regions.index], atol=1500)


def test_the_leaders_have_the_habits_that_were_planted(truth):
    """Seen from the calls alone: one moves the reps' sum with sense, one without, one not, and the head takes a fifth off."""
    calls = pd.DataFrame(rows("calls.csv")).astype({"amount": float}).query("forecaster != 'quota'")
    calls["monday"] = pd.to_datetime(calls.as_of).dt.to_period("W")
    region = {rep["rep"]: rep["region"] for rep in truth["reps"]}
    reps = calls[calls.unit == "rep"].assign(unit_id=lambda t: t.unit_id.map(region))
    reps = reps.groupby(["monday", "unit_id"]).amount.sum()
    managers = calls[calls.unit == "team"].set_index(["monday", "unit_id"]).amount
    moved = np.log(managers / reps)
    east, central, west = (moved.xs(name, level="unit_id") for name in ("East", "Central", "West"))
    assert west.abs().max() < 0.02
    assert east.mean() < -0.15
    assert abs(central.mean()) < 4 * 0.25 / np.sqrt(len(central))
    assert central.std() == pytest.approx(0.25, rel=0.2)
    head = calls[calls.unit == "company"].set_index("monday").amount
    np.testing.assert_allclose(head, 0.8 * managers.groupby(level="monday").sum(), atol=1000)
    change = {name: habit["change"] for name, habit in truth["chain"]["managers"].items()}
    assert change["East"] < -0.2
    assert change["Central"] > 0.02
    assert change["West"] == 0
    assert truth["chain"]["cro"]["change"] < -0.05


def test_reps_are_biased_as_planted(made, truth):
    assert len(truth["reps"]) == 24
    bias = np.array([rep["log_odds_bias"] for rep in truth["reps"]])
    assert bias.mean() > 0.3
    assert 2 <= (bias < 0).sum() <= 6
    latent = made.latent[(made.latent.week == 4) & made.latent.period.isin(truth["periods"])]
    excess = (latent.rep_probability - latent.pi).groupby(latent.rep).agg(["size", "mean"])
    for rep in truth["reps"]:
        assert rep["deals_week_4"] == excess["size"].get(rep["rep"], 0)
        assert rep["expected_bias_week_4"] == pytest.approx(excess["mean"][rep["rep"]], abs=1e-5)
    shown = np.array([rep["expected_bias_week_4"] for rep in truth["reps"]])
    assert np.corrcoef(bias, shown)[0, 1] > 0.3
