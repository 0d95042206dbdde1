"""The quarter as each way of calling it would have called it: by hand, and without hindsight."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.errors import CallError
from forecasteval.matching.rollups import rollups
from forecasteval.tables.calendar import fiscal_quarters, weeks_in
from forecasteval.tables.organisation import Org
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings

DAY = pd.Timestamp
QUARTERS = fiscal_quarters(1, "2024-01-01", "2024-12-31")


def versions(deal, rep, *steps, region="East"):
    """A deal's versions: (since, stage, amount, close_on, category, status)."""
    rows = [
        {"deal_id": deal, "rep": rep, "region": region, "valid_from": DAY(since), "stage": stage, "amount": amount,
         "close_on": DAY(close_on), "rep_category": category, "status": status}
        for since, stage, amount, close_on, category, status in steps
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    return table.assign(valid_to=table["valid_from"].shift(-1), values_state="known", rep_state="known")


def org_of(parts, calls=None, through="2024-12-31", **more):
    history = pd.concat(parts, ignore_index=True)
    last = history.drop_duplicates("deal_id", keep="last")
    first = history.drop_duplicates("deal_id")
    deals = pd.DataFrame({"deal_id": last["deal_id"].to_numpy(), "rep": last["rep"].to_numpy(),
                          "outcome": last["status"].to_numpy(), "amount": last["amount"].to_numpy(),
                          "closed_on": last["close_on"].to_numpy(), "created_on": first["valid_from"].dt.floor("D").to_numpy(),
                          "region": last["region"].to_numpy()})  # fmt: skip
    history = canonical("history", history.drop(columns="region"))
    calls = None if calls is None else canonical("calls", calls)
    return Org("small", None, Settings(), deals=canonical("deals", deals), history=history, periods=QUARTERS,
               calls=calls, **more)  # fmt: skip


def quarter(q, start, scale=1.0):
    """Four deals of a quarter: one in Commit is won, one in Pipeline is lost, one is new and won, one closes early."""
    at = DAY(start)

    def day(n):
        return at + pd.Timedelta(days=n)

    end = day(80)
    return [
        versions(f"{q}a", "r1", (day(1), "Late", 100 * scale, end, "Commit", "open"), (day(70), "Won", 110 * scale, day(70), "Closed", "won")),
        versions(f"{q}b", "r2", (day(1), "Early", 200 * scale, end, "Pipeline", "open"), (day(75), "Lost", 200 * scale, day(75), "Omitted", "lost")),
        versions(f"{q}c", "r2", (day(40), "Late", 50 * scale, end, "Commit", "open"), (day(60), "Won", 50 * scale, day(60), "Closed", "won"), region="West"),
        versions(f"{q}d", "r1", (day(1), "Late", 30 * scale, end, "Commit", "open"), (day(10), "Won", 30 * scale, day(10), "Closed", "won")),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def org():
    starts = ["2024-01-01", "2024-04-01", "2024-07-01"]
    parts = [v for q, s in enumerate(starts) for v in quarter(q, s, 1 + q)]
    calls = pd.DataFrame([
        {"unit": "rep", "unit_id": r, "period": f"FY2024-Q{q + 1}", "as_of": DAY(s) + pd.Timedelta(days=lag),
         "forecaster": "rep_forecast", "amount": amount * (1 + q)}
        for q, s in enumerate(starts) for r, amount, lag in (("r1", 200.0, 24), ("r2", 100.0, 17))
    ])  # fmt: skip
    return org_of(parts, calls)


@pytest.fixture(scope="module")
def found(org):
    return rollups(org, weeks=[4, 6, 9], models=(), team="region", through="2024-10-31")


def said(found, week, period, unit="company"):
    t = found.table
    rows = t[(t["week"] == week) & (t["period"] == period) & (t["unit"] == unit)]
    return rows.set_index("forecaster")["amount"].to_dict()


def test_each_rule_by_hand(found):
    third = said(found, 4, "FY2024-Q3")
    # closed 90; open: a 300 (Commit), b 600 (Pipeline); only the first quarter is frozen on 28 July, and on 28 July
    # the second is too: its freeze is 12 July
    assert third["commit"] == 90 + 300
    assert third["best_case"] == 390
    assert third["pipeline"] == 90 + 900
    won, opened = 110 + 220, 300 + 600
    new = (50 + 100) / 2
    assert third["closed_and_conversion"] == pytest.approx(90 + 900 * won / opened + new)
    assert third["last_quarter"] == 2 * 190
    assert third["rep_forecast"] == 3 * 300
    assert third["rep_forecast_corrected"] == pytest.approx(900 * (190 + 380) / (300 + 600))
    rows = found.at(4)
    assert rows.groupby("period", sort=False)["actual"].first().tolist()[:3] == [190, 380, 570]
    assert rows.groupby("period", sort=False)["closed_to_date"].first().tolist()[:3] == [30, 60, 90]


def test_conversion_of_a_category_leans_on_the_rate_of_all_where_little_was_seen(found):
    third = said(found, 4, "FY2024-Q3")
    overall, typical = 330 / 900, 900 / 4
    rate = {
        c: (w + overall * typical / 2) / (a + typical / 2)
        for c, w, a in (("Commit", 330, 300), ("Pipeline", 0, 600))
    }
    assert third["category_conversion"] == pytest.approx(90 + 300 * rate["Commit"] + 600 * rate["Pipeline"])


def test_units_add_up_and_teams_come_from_a_column(org, found):
    found = found.table
    for name in ("commit", "pipeline"):
        sums = found[found["forecaster"] == name].groupby(["level", "period", "week"])["amount"].sum()
        assert np.allclose(sums["company"], sums["rep"])
        assert np.allclose(sums["company"], sums["team"])
    assert set(found.loc[found["level"] == "team", "unit"]) == {"East", "West"}
    with pytest.raises(CallError, match="no column 'country'"):
        rollups(org, team="country")


def test_a_call_of_an_earlier_week_is_marked_and_an_old_one_is_silence(found):
    rows = found.table[(found.table["forecaster"] == "rep_forecast") & (found.table["period"] == "FY2024-Q1")]
    week = rows[rows["level"] == "rep"].set_index(["week", "unit"])["stale"]
    assert not week[4, "r1"]
    assert week[4, "r2"]
    assert (6, "r2") not in week.index
    assert any("count as silence" in n for n in found.notes)
    assert "carried on" in found.knew["rep_forecast"]


def test_an_open_quarter_has_forecasts_and_no_actual(org):
    found = rollups(org, weeks=[5, 6, 7], models=(), through="2024-08-15").table
    third = found[found["period"] == "FY2024-Q3"]
    assert third["actual"].isna().all()
    assert third["week"].max() == 6
    assert found.loc[found["period"] == "FY2024-Q2", "actual"].notna().all()


@pytest.mark.parametrize("cut", ["2024-07-28"])
def test_nothing_recorded_later_changes_what_was_said(org, cut):
    """Everything after a day is torn up and replaced; what was said by then stays the same."""
    day = DAY(cut)
    h = org.history
    late = h["valid_from"] > day + pd.Timedelta(days=1)
    other = h.assign(amount=h["amount"].mask(late, h["amount"] * 9), status=h["status"].mask(late, "lost"))
    other = pd.concat(
        [
            other,
            versions("x", "r1", (day + pd.Timedelta(days=3), "Late", 1e6, "2024-12-01", "Commit", "open")),
        ]
    )
    torn = replace(
        org,
        history=canonical("history", other.drop(columns="region", errors="ignore").reset_index(drop=True)),
    )
    columns = ["period", "week", "unit", "level", "forecaster", "amount", "closed_to_date"]
    before, after = (rollups(o, weeks=[2, 4, 8], models=(), through="2024-10-31").table for o in (org, torn))
    before, after = (t.loc[t["as_of"] <= day, columns].reset_index(drop=True) for t in (before, after))
    assert len(before) > 50
    pd.testing.assert_frame_equal(before, after)


def test_totals_alone_come_back_as_they_are():
    calls = canonical("calls", pd.DataFrame({"unit": "team", "unit_id": ["E", "E"], "period": ["Q1", "Q2"], "week": [4, 4],
                                             "forecaster": "reps", "amount": [10.0, 20.0]}))  # fmt: skip
    booked = canonical(
        "actuals", pd.DataFrame({"unit": "team", "unit_id": ["E"], "period": ["Q1"], "amount": [8.0]})
    )
    found = rollups(Org("plain", None, calls=calls, actuals=booked)).at(4, "team")
    assert found["actual"].tolist()[0] == 8.0
    assert found["actual"].isna().tolist() == [False, True]
    with pytest.raises(CallError, match="or the tables calls and actuals"):
        rollups(Org("empty", None))


def test_a_year_of_53_weeks_in_months_of_4_4_5_weeks_and_a_quarter_of_14():
    """The calendar is a table: weeks, the same period a year before and the last week of a shorter past one follow from it."""
    weeks = [13, 13, 13, 14, 13, 13, 13, 13]
    starts = DAY("2023-01-29") + pd.to_timedelta(np.cumsum([0, *weeks[:-1]]) * 7, unit="D")
    ends = starts + pd.to_timedelta(np.array(weeks) * 7 - 1, unit="D")
    names = [f"FY{2023 + i // 4}-Q{i % 4 + 1}" for i in range(8)]
    periods = pd.DataFrame(
        {"period": names, "starts_on": starts, "ends_on": ends, "freezes_on": ends + pd.Timedelta(days=14)}
    )
    parts = [versions(f"d{i}", "r1", (s + pd.Timedelta(days=2), "Late", 10.0 * (i + 1), s + pd.Timedelta(days=90), "Commit", "open"),
                      (s + pd.Timedelta(days=60), "Won", 10.0 * (i + 1), s + pd.Timedelta(days=60), "Closed", "won"))
             for i, s in enumerate(starts)]  # fmt: skip
    org = replace(org_of(parts), periods=periods)
    found = rollups(org, weeks=[13, 14], models=(), through="2025-03-01")
    assert found.table.groupby("period")["week"].max().to_dict() == dict(zip(names, weeks, strict=True))
    assert said(found, 13, "FY2024-Q2")["same_quarter_last_year"] == 20
    assert said(found, 13, "FY2024-Q1")["last_quarter"] == 40
    assert said(found, 14, "FY2023-Q4")["closed_and_conversion"] == 40
    months = pd.DataFrame({"period": ["P1", "P2", "P3"], "starts_on": pd.to_datetime(["2024-01-28", "2024-02-25", "2024-03-24"]),
                           "ends_on": pd.to_datetime(["2024-02-24", "2024-03-23", "2024-04-27"])})  # fmt: skip
    assert weeks_in(months).tolist() == [4, 4, 5]


def test_an_organisation_of_totals_is_compared_as_it_is():
    rng = np.random.default_rng(0)
    names = [f"{2022 + i // 4}-Q{i % 4 + 1}" for i in range(9)]
    booked = pd.DataFrame(
        {"unit": "company", "unit_id": None, "period": names, "amount": rng.lognormal(3, 0.2, 9)}
    )
    calls = pd.concat([booked.assign(forecaster=n, week=4, amount=booked["amount"] * (1 + rng.normal(0, s, 9)))
                       for n, s in (("reps", 0.3), ("vendor", 0.02))])  # fmt: skip
    org = Org("plain", None, calls=canonical("calls", calls), actuals=canonical("actuals", booked))
    found = fe.compare_totals(org, "vendor", "reps")
    assert (found.verdict, found.primary["rows"]) == ("candidate better", 9)
    with pytest.raises(CallError, match=r"fe\.rollups"):
        fe.compare_totals(org.calls, "vendor", "reps")


def test_what_learns_is_marked_and_its_first_quarters_are_no_gap(org):
    table = rollups(org, weeks=[4], models=()).at(4)
    learns = table.groupby("forecaster")["fitted"].first()
    assert learns[["rep_forecast", "commit", "pipeline"]].tolist() == [False] * 3
    assert learns[["closed_and_conversion", "stage_weighted"]].all()
    flow = fe.compare_totals(table, "closed_and_conversion", "rep_forecast").flow.set_index("step")["dropped"]
    assert flow["past to learn from"] > 0
    assert flow["both have spoken"] == 0


def test_a_team_may_be_who_reports_to_whom(org):
    users = pd.DataFrame({"rep": ["r1", "r2", "m"], "name": ["Ann", "Bo", "Mo"], "manager": ["m", "m", None]})
    by_manager = rollups(replace(org, users=canonical("users", users)), weeks=[4], models=(), team="manager")
    teams, company = by_manager.at(4, "team"), by_manager.at(4)
    assert set(teams["unit"]) == {"m"}
    assert said(by_manager, 4, "FY2024-Q3", "m")["commit"] == said(by_manager, 4, "FY2024-Q3")["commit"]
    assert teams["actual"].dropna().unique().tolist() == company["actual"].dropna().unique().tolist()
    assert any("as of today" in note for note in by_manager.notes)
    nobody = replace(org, users=canonical("users", users.assign(manager=None)))
    with pytest.raises(CallError, match="no column 'manager'"):
        rollups(nobody, weeks=[4], models=(), team="manager")


def test_teams_may_be_called_by_their_manager_and_what_nobody_knows_is_not_nothing(org):
    day = DAY("2024-07-25")
    said = pd.DataFrame([{"unit": "team", "unit_id": m, "period": "FY2024-Q3", "as_of": day, "forecaster": "manager_call", "amount": 500.0}
                         for m in ("m", "gone")])  # fmt: skip
    org = replace(org, calls=pd.concat([org.calls, canonical("calls", said)], ignore_index=True))
    users = pd.DataFrame({"rep": ["r1", "r2", "m"], "name": ["Ann", "Bo", "Mo"], "manager": ["m", "m", None]})
    managed = rollups(
        replace(org, users=canonical("users", users)), weeks=[4], models=(), through="2024-10-31"
    )
    teams = managed.at(4, "team").query("forecaster == 'manager_call'").set_index("unit")
    assert teams.loc["m", "actual"] == managed.at(4).query("period == 'FY2024-Q3'")["actual"].iloc[0]
    assert pd.isna(teams.loc["gone", "actual"])
    assert any(note.startswith("1 of 2 teams in the calls are no value of manager") for note in managed.notes)
    unmanaged = rollups(org, weeks=[4], models=(), through="2024-10-31")
    assert unmanaged.at(4, "team").query("forecaster == 'manager_call'")["actual"].isna().all()
    assert any(
        note.startswith("2 of 2 teams in the calls are no value of any column") for note in unmanaged.notes
    )
    company = unmanaged.at(4).query("forecaster == 'manager_call'")  # the company's is known all the same
    assert company[["amount", "actual"]].notna().all(axis=None)


def test_a_kind_of_business_is_a_level_of_its_own(org):
    found = rollups(org, weeks=[4, 6], models=(), kind="region")
    kinds = found.table[found.table["level"] == "kind"]
    assert set(kinds["unit"]) == {"East", "West"}
    key = ["period", "week", "forecaster"]
    whole = found.at().set_index(key)["closed_to_date"].groupby(level=key).first()
    parts = kinds.groupby(key)["closed_to_date"].sum()
    assert (parts - whole.reindex(parts.index)).abs().max() == 0
    with pytest.raises(CallError, match="kind: the deals have no column 'country'"):
        rollups(org, kind="country")
