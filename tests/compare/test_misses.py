"""Why a quarter was missed: every deal in its step, and the steps add up to the cent."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from forecasteval.compare.misses import STEPS, close_dates, conversion, misses, pushes
from forecasteval.errors import CallError
from forecasteval.tables.calendar import fiscal_quarters
from forecasteval.tables.organisation import Org
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings

DAY = pd.Timestamp
QUARTERS = fiscal_quarters(1, "2024-01-01", "2024-12-31")


def org_of(*deals):
    """Deals as lists of versions (since, status, amount, close_on[, category])."""
    rows = [
        {"deal_id": f"D{n}", "rep": "r1", "valid_from": DAY(since), "status": status, "amount": amount, "close_on": DAY(close_on),
         "rep_category": rest[0] if rest else "Pipeline", "stage": "s", "values_state": "known", "rep_state": "known"}
        for n, versions in enumerate(deals)
        for since, status, amount, close_on, *rest in versions
    ]  # fmt: skip
    history = pd.DataFrame(rows)
    history["valid_to"] = history.groupby("deal_id")["valid_from"].shift(-1)
    last = history.drop_duplicates("deal_id", keep="last")
    found = pd.DataFrame({"deal_id": last["deal_id"], "rep": "r1", "outcome": last["status"], "amount": last["amount"],
                          "closed_on": last["close_on"], "created_on": DAY("2024-01-01")}).reset_index(drop=True)  # fmt: skip
    return Org(
        "small",
        None,
        Settings(),
        deals=canonical("deals", found),
        history=canonical("history", history),
        periods=QUARTERS,
    )


# one deal for each way in which a quarter goes: week 4 of Q1 ends on 28 January, the quarter on 31 March
KINDS = {
    "won": [("2024-01-02", "open", 100.10, "2024-03-20", "Commit"), ("2024-03-01", "won", 100.10, "2024-03-01")],
    "lost": [("2024-01-02", "open", 50, "2024-03-20", "Commit"), ("2024-03-01", "lost", 50, "2024-03-01")],
    "slipped": [("2024-01-02", "open", 70, "2024-03-20"), ("2024-03-01", "open", 70, "2024-05-20"), ("2024-05-01", "won", 70, "2024-05-01")],
    "still open": [("2024-01-02", "open", 7, "2024-03-20")],
    "pulled_in": [("2024-01-02", "open", 40, "2024-05-20"), ("2024-03-01", "won", 44, "2024-03-01")],
    "amount": [("2024-01-02", "open", 30, "2024-03-20", "Commit"), ("2024-03-01", "won", 25.55, "2024-03-01")],
    "new": [("2024-02-10", "open", 20, "2024-03-20"), ("2024-03-01", "won", 21, "2024-03-01")],
    "undone": [("2024-01-02", "open", 11, "2024-01-20"), ("2024-01-20", "won", 11, "2024-01-20"), ("2024-02-20", "lost", 11, "2024-02-20")],
    "back": [("2024-01-02", "open", 13, "2024-01-20"), ("2024-01-20", "lost", 13, "2024-01-20"), ("2024-03-02", "won", 14, "2024-03-02")],
    "closed": [("2024-01-02", "open", 17, "2024-01-20"), ("2024-01-15", "won", 17, "2024-01-15")],
}  # fmt: skip


@pytest.fixture(scope="module")
def org():
    return org_of(*KINDS.values())


def steps(found, period="FY2024-Q1"):
    t = found.table[found.table["period"] == period]
    return t.set_index("step")["amount"].to_dict()


def test_each_kind_of_deal_by_hand(org):
    got = steps(misses(org, week=4, through="2024-05-30"))
    assert got == {
        "closed": 28.0, "open": 257.1, "won": 0.0, "lost": -50.0, "slipped": -77.0, "pulled_in": 40.0,
        "amount": -0.45, "new": 21.0, "re_opened": 3.0, "unknown": 0.0, "booked": 221.65,
    }  # fmt: skip


def test_the_commit_of_that_week_and_its_conversion(org):
    found = misses(org, week=4, deals="commit", through="2024-05-30")
    got = steps(found)
    assert got["open"] == 180.1
    assert (got["lost"], got["slipped"], got["booked"]) == (-50.0, 0.0, 221.65)
    row = conversion(found).iloc[0]
    assert (row["deals"], row["won"], row["amount"]) == (3, 2, 180.1)
    assert row["amount_share"] == pytest.approx(130.1 / 180.1)


def test_the_waterfall_goes_from_bar_to_bar(org):
    bars = misses(org, week=4, through="2024-05-30").of("FY2024-Q1")
    assert bars["end"].iloc[-2] == bars["end"].iloc[-1] == 221.65
    assert (bars["start"].iloc[1:-1].to_numpy() == bars["end"].iloc[:-2].to_numpy()).all()


version = st.tuples(
    st.dates(DAY("2024-01-01").date(), DAY("2024-06-20").date()), st.sampled_from(["open", "won", "lost"]),
    st.decimals(0, 9999, places=2).map(float), st.dates(DAY("2024-01-01").date(), DAY("2024-07-20").date()),
    st.sampled_from(["Commit", "Best Case", "Pipeline"]),
)  # fmt: skip


@given(st.lists(st.lists(version, min_size=1, max_size=4, unique_by=lambda v: v[0]), min_size=1, max_size=8),
       st.sampled_from(["all", "commit", "best_case"]), st.integers(1, 13))  # fmt: skip
@settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_it_adds_up_to_the_cent_whatever_happened(deals, listed, week):
    org = org_of(*[sorted(v) for v in deals])
    found = misses(org, week=week, deals=listed, through="2024-08-01")
    for period, rows in found.table.groupby("period"):
        cents = (rows.set_index("step")["amount"] * 100).round().astype(int)
        assert cents.drop("booked").sum() == cents["booked"]
        h = org.history
        start, end, frozen = QUARTERS.set_index("period").loc[period, ["starts_on", "ends_on", "freezes_on"]]
        last = h[h["valid_from"] < frozen + pd.Timedelta(days=1)].drop_duplicates("deal_id", keep="last")
        won = last[last["status"].eq("won") & last["close_on"].between(start, end)]
        assert cents["booked"] == (won["amount"] * 100).round().sum()
    assert set(found.table["step"]) == {"closed", "open", "booked", *STEPS}


def test_close_dates_are_judged_by_when_deals_closed(org):
    found = close_dates(org, through="2024-06-30").set_index("ahead")
    # in the week before 20 January two deals dated to that day closed on it or before, of those looked at then
    assert found.loc[1, "looks"] > 0
    assert (found["won"] <= found["closed"]).all()
    exact = org_of(*[[("2024-01-02", "open", 1, f"2024-{m:02d}-{d:02d}"), (f"2024-{m:02d}-{d:02d}", "won", 1, f"2024-{m:02d}-{d:02d}")]
                     for m in (2, 5, 8, 11) for d in (5, 12, 19)])  # fmt: skip
    kept = close_dates(exact, through="2024-12-31")
    assert kept["closed"].eq(1).all()
    never = org_of(*[[("2024-01-02", "open", 1, f"2024-{m:02d}-05")] for m in (2, 5, 8, 11)])
    assert close_dates(never, through="2024-12-31")["closed"].eq(0).all()


def test_a_deal_that_is_open_again_is_judged_by_how_it_ended_then():
    again = [("2024-01-02", "open", 1, "2024-01-20"), ("2024-01-16", "lost", 1, "2024-01-16"),
             ("2024-02-06", "open", 1, "2024-02-24"), ("2024-03-20", "won", 1, "2024-03-20")]  # fmt: skip
    found = close_dates(org_of(*[again] * 4), ahead=2, through="2024-12-31").set_index("ahead")
    # in January dated a week ahead, and closed by then; in February one and two weeks ahead, and still open in March
    assert found.loc[1, ["looks", "closed"]].tolist() == [8, 0.5]
    assert found.loc[2, ["looks", "closed"]].tolist() == [8, 0.5]


def test_copies_of_open_deals_take_their_end_from_todays_record():
    org = org_of(*[[("2024-01-02", "open", 1, "2024-02-10")]] * 4)
    ended = org.deals.assign(outcome=["won", "won", "lost", "open"], closed_on=DAY("2024-02-08"))
    found = close_dates(replace(org, deals=ended), ahead=1, through="2024-12-31").iloc[0]
    assert (found["looks"], found["closed"], found["won"]) == (4, 0.75, 0.5)


def test_intervals_of_close_dates_come_with_four_periods():
    rng = np.random.default_rng(0)
    deals = []
    for due in pd.date_range("2024-01-25", "2024-12-10", freq="3D"):
        late = int(rng.integers(-20, 30))
        closed = due + pd.Timedelta(days=late)
        deals.append(
            [
                (due - pd.Timedelta(days=40), "open", 1, due),
                (max(closed, due - pd.Timedelta(days=39)), "won", 1, closed),
            ]
        )
    found = close_dates(org_of(*deals), through="2024-12-31")
    assert found["low"].notna().all()
    assert ((found["low"] <= found["closed"]) & (found["closed"] <= found["high"])).all()


def test_pushes_are_counted_while_a_deal_is_open(org):
    found = pushes(org).set_index("pushes")
    assert found.loc[0, "deals"] == 8
    assert found.loc[1, "deals"] == 1


def test_what_cannot_be_told_is_refused(org):
    with pytest.raises(CallError, match="deals: 'upside'"):
        misses(org, week=4, deals="upside")
    with pytest.raises(CallError, match="is frozen yet"):
        misses(org, week=4, through="2024-02-01")
    with pytest.raises(CallError, match="history"):
        misses(Org("empty", None), week=4)
