"""The same deals at the same moment: population, target, hindsight, abstentions, flow (contract.md)."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.matching import forecasters as fc
from forecasteval.matching.matched import META
from forecasteval.tables.organisation import Org
from forecasteval.tables.schemas import canonical
from forecasteval.tables.settings import Settings

PERIODS = canonical(
    "periods",
    pd.DataFrame(
        {
            "period": ["Q1", "Q2", "Q3"],
            "starts_on": pd.to_datetime(["2026-01-01", "2026-04-01", "2026-07-01"]),
            "ends_on": pd.to_datetime(["2026-03-31", "2026-06-30", "2026-09-30"]),
            "freezes_on": pd.to_datetime(["2026-04-14", "2026-07-14", "2026-10-14"]),
        }
    ),
)
LOOK = "2026-04-28"  # the end of week 4 of Q2


def version(deal, at, status="open", close="2026-06-30", until=None, **more):
    return {
        "deal_id": deal,
        "valid_from": pd.Timestamp(at),
        "valid_to": pd.Timestamp(until) if until else pd.NaT,
        "rep": "r1",
        "stage": {"open": "Proposal", "won": "Closed Won", "lost": "Closed Lost"}[status],
        "amount": 100.0,
        "close_on": pd.Timestamp(close),
        "rep_probability": 0.6,
        "rep_category": "Commit",
        "status": status,
        "values_state": "known",
        "rep_state": "known",
    } | more


def org(versions, forecasts=None, **more):
    history = canonical("history", pd.DataFrame(versions))
    first = history.drop_duplicates("deal_id")
    last = history.drop_duplicates("deal_id", keep="last")
    deals = pd.DataFrame(
        {
            "deal_id": first["deal_id"].to_numpy(),
            "rep": "r1",
            "account": "a1",
            "region": "West",
            "created_on": first["valid_from"].dt.normalize().to_numpy(),
            "closed_on": last["close_on"].where(last["status"] != "open").to_numpy(),
            "outcome": last["status"].to_numpy(),
            "amount": 100.0,
        }
    )
    if forecasts is not None:
        forecasts = canonical("forecasts", pd.DataFrame(forecasts))
    return Org(
        name="Acme",
        folder=None,
        settings=Settings(),
        deals=canonical("deals", deals),
        history=history,
        periods=PERIODS,
        forecasts=forecasts,
        **more,
    )


def matched(versions, forecasters=("rep_forecast",), **options):
    # a record long after everything else, so that all periods are frozen
    late = version("later", "2027-01-05", close="2027-03-31")
    return fe.match(org([*versions, late]), forecasters=list(forecasters), **options)


def outcome(*versions, **options):
    found = matched(list(versions), **options)
    found = found[found["period"] == "Q2"]
    return None if found.empty else int(found["won"].iloc[0])


START = "2026-02-01"


@pytest.mark.parametrize(
    ("story", "versions", "won"),
    [
        ("won inside the period", [version("D", START, until="2026-06-20"), version("D", "2026-06-20", "won", "2026-06-20")], 1),
        ("won, recorded in the grace", [version("D", START, until="2026-07-08"), version("D", "2026-07-08", "won", "2026-06-30")], 1),
        ("recorded after the freeze", [version("D", START, until="2026-07-20"), version("D", "2026-07-20", "won", "2026-06-30")], 0),
        ("slipped and won later", [version("D", START, until="2026-06-29"), version("D", "2026-06-29", close="2026-09-30", until="2026-08-01"), version("D", "2026-08-01", "won", "2026-08-01")], 0),
        ("lost", [version("D", START, until="2026-05-20"), version("D", "2026-05-20", "lost", "2026-05-20")], 0),
        ("still open at the freeze", [version("D", START)], 0),
        ("won, then re-opened before the freeze", [version("D", START, until="2026-05-20"), version("D", "2026-05-20", "won", "2026-05-20", until="2026-06-01"), version("D", "2026-06-01", close="2026-06-30")], 0),
        ("re-opened only after the freeze", [version("D", START, until="2026-05-20"), version("D", "2026-05-20", "won", "2026-05-20", until="2026-08-01"), version("D", "2026-08-01", close="2026-09-30")], 1),
        ("deleted before the freeze", [version("D", START, until="2026-06-01")], 0),
        ("believed to close later", [version("D", START, close="2026-09-30", until="2026-06-20"), version("D", "2026-06-20", "won", "2026-06-20")], None),
        ("overdue at the look", [version("D", START, close="2026-03-15")], None),
        ("closed before the look", [version("D", START, until="2026-04-20"), version("D", "2026-04-20", "won", "2026-04-20")], None),
        ("created after the look", [version("D", "2026-05-02", until="2026-06-20"), version("D", "2026-06-20", "won", "2026-06-20")], None),
        ("state unknown", [version("D", START, values_state="unknown")], None),
    ],
)  # fmt: skip
def test_won_in_period(story, versions, won):
    assert outcome(*versions) == won, story


def test_all_open_deals_are_the_sensitivity_population():
    later = [
        version("D", START, close="2026-09-30", until="2026-06-20"),
        version("D", "2026-06-20", "won", "2026-06-20"),
    ]
    assert outcome(*later, population="all open") == 1


@pytest.mark.parametrize(("days", "won"), [(30, 0), (60, 1)])
def test_won_within_days(days, won):
    deal = [version("D", START, until="2026-06-20"), version("D", "2026-06-20", "won", "2026-06-20")]
    assert outcome(*deal, target=f"won within {days} days") == won


def test_won_at_all_waits_until_every_deal_of_a_cohort_is_known():
    slow = [
        version("D", START, close="2026-06-30", until="2026-09-01"),
        version("D", "2026-09-01", "won", "2026-09-01"),
    ]
    asleep = version("E", START)
    assert outcome(*slow, target="won at all") == 1
    assert outcome(*slow, asleep, target="won at all") is None  # E is open and not old enough
    assert outcome(*slow, asleep, target="won at all", resolve_after_days=200) == 1
    found = matched([*slow, asleep], target="won at all", resolve_after_days=200)
    assert "unresolved after 200 days" in found.attrs[META]["notes"][0]


def test_what_is_recorded_on_the_day_of_the_look_counts_and_the_next_day_does_not():
    deal = [
        version("D", START, until="2026-04-28 23:00"),
        version("D", "2026-04-28 23:00", rep_probability=0.9, until="2026-04-29 01:00"),
        version("D", "2026-04-29 01:00", rep_probability=0.1),
    ]
    found = matched(deal)
    assert found.loc[found["period"] == "Q2", "rep_forecast"].tolist() == [0.9]


def test_the_day_ends_in_the_organisations_zone():
    deal = [
        version("D", START, until="2026-04-29 03:00"),
        version("D", "2026-04-29 03:00", rep_probability=0.9),
    ]
    late = version("later", "2027-01-05", close="2027-03-31")
    there = replace(org([*deal, late]), settings=Settings(timezone="America/New_York"))
    found = fe.match(there, forecasters=["rep_forecast"])
    assert found.loc[found["period"] == "Q2", "rep_forecast"].tolist() == [0.9]  # 23:00 in New York


def test_the_owner_at_the_look_made_the_call():
    deal = [version("D", START, rep="old", until="2026-05-02"), version("D", "2026-05-02", rep="new")]
    found = matched(deal)
    assert found.loc[found["period"] == "Q2", "rep"].tolist() == ["old"]


def test_amount_belongs_to_the_forecast_and_amount_won_to_the_actual():
    deal = [
        version("D", START, amount=80.0, until="2026-06-20"),
        version("D", "2026-06-20", "won", "2026-06-20", amount=50.0),
    ]
    found = matched(deal)
    assert found.loc[found["period"] == "Q2", ["amount", "amount_won"]].to_numpy().tolist() == [[80.0, 50.0]]


def test_a_period_that_is_not_frozen_is_left_out_and_counted():
    open_now = [version("D", START), version("E", "2026-06-01", close="2026-06-30")]
    found = fe.match(org(open_now), forecasters=["rep_forecast"])
    assert found.attrs[META]["stop"][0]["code"] == "no_common_deals"
    why = found.attrs[META]["flow"][-1]["why"]
    assert re.fullmatch(
        r"by \d{4}-\d\d-\d\d, where the data end, the period is not frozen or the target not yet known", why
    )
    assert re.search(
        r"can be compared, this one from 2026-\d\d-\d\d on\.$", found.attrs[META]["stop"][0]["text"]
    )


def test_flow_ends_in_the_deals_that_are_compared():
    versions = [
        version("in", START),
        version("later", START, close="2026-12-31"),
        version("gone", START, "lost", "2026-02-01"),
        version("dark", START, values_state="unknown"),
        version("end", "2027-01-05", close="2027-03-31"),
    ]
    flow = fe.match(org(versions), forecasters=["rep_forecast"]).attrs[META]["flow"]
    assert [(s["step"], s["deals"], s["dropped"]) for s in flow] == [
        ("deals in the export", 5, 0),
        ("open at the end of week 4", 3, 2),
        ("values known", 2, 1),
        ("owner known", 2, 0),
        ("expected to close in the period", 1, 1),
        ("outcome known", 1, 0),
    ]


def test_one_date_is_a_look_too():
    deal = [version("D", START, until="2026-06-20"), version("D", "2026-06-20", "won", "2026-06-20")]
    found = matched(deal, as_of="2026-05-15")
    assert found[["period", "won"]].to_numpy().tolist() == [["Q2", 1]]


def test_several_weeks_are_pooled_only_when_asked():
    deal = [version("D", START)]
    with pytest.raises(ValueError, match="Say pool=True if that is meant"):
        matched(deal, as_of=["week 4", "week 5"])
    found = matched(deal, as_of=["week 4", "week 5"], pool=True)
    assert found["week"].tolist() == [4, 5]


# --- outside forecasts ------------------------------------------------------------------------------


def with_file(rows, **options):
    late = version("later", "2027-01-05", close="2027-03-31")
    base = {"deal_id": "D", "forecaster": "vendor_x", "kind": "probability", "value": 0.3}
    rows = [base | {"issued_at": "2026-04-27 12:00"} | r for r in rows]
    frame = pd.DataFrame(rows)
    for column in ("issued_at", "as_of", "trained_through"):
        if column in frame:
            frame[column] = pd.to_datetime(frame[column], format="ISO8601")
    there = org([version("D", START), late], frame)
    found = fe.match(there, forecasters=["vendor_x", "rep_forecast"], **options)
    return found


def test_the_latest_forecast_by_the_look_speaks():
    rows = [
        {"issued_at": "2026-04-20", "value": 0.1},
        {"value": 0.2},
        {"issued_at": "2026-04-29", "value": 0.9},
    ]
    assert with_file(rows)["vendor_x"].tolist() == [0.2]


def test_a_stale_forecast_is_an_abstention():
    found = with_file([{"issued_at": "2026-04-01"}], stale_after_days=14)
    assert found["vendor_x"].isna().tolist() == [True]
    assert found.attrs[META]["forecasters"]["vendor_x"]["stale"] == 1
    assert with_file([{"issued_at": "2026-04-01"}], stale_after_days=60)["vendor_x"].tolist() == [0.3]


def test_a_forecast_issued_after_the_moment_it_speaks_about_is_refused_by_name():
    with pytest.raises(
        ValueError, match="vendor_x is refused: 1 of its forecasts were issued after the moment"
    ):
        with_file([{"as_of": "2026-04-20", "issued_at": "2026-04-27"}])


def test_a_model_that_has_seen_the_outcomes_is_refused_by_name():
    with pytest.raises(
        ValueError, match="vendor_x is refused: 1 of its forecasts come from a model trained through"
    ):
        with_file([{"trained_through": "2026-04-28"}])
    assert len(with_file([{"trained_through": "2026-04-27"}]))


def test_periods_before_a_files_first_forecast_are_a_flow_step():
    versions = [version("D", START), version("E", "2026-07-02", close="2026-09-30")]
    rows = [{"deal_id": "E", "issued_at": "2026-07-20"}]
    late = version("later", "2027-01-05", close="2027-03-31")
    frame = pd.DataFrame(
        [{"forecaster": "vendor_x", "kind": "probability", "value": 0.3} | r for r in rows]
    ).assign(issued_at=lambda t: pd.to_datetime(t["issued_at"]))
    found = fe.match(org([*versions, late], frame), forecasters=["vendor_x", "rep_forecast"])
    assert found["deal_id"].tolist() == ["E"]
    assert found.attrs[META]["flow"][-1]["why"] == "before the first forecast of vendor_x"


def test_an_amount_cannot_be_matched_with_probabilities():
    found = with_file([{"kind": "amount", "value": 5000.0}])
    assert fe.compare(found, "vendor_x", "rep_forecast").verdict == "cannot be compared"


# --- fitted forecasters -----------------------------------------------------------------------------


def three_quarters(seed=0):
    """150 deals a quarter; a late stage is won more often."""
    rng = np.random.default_rng(seed)
    versions = []
    for q, (start, end) in enumerate(zip(PERIODS["starts_on"], PERIODS["ends_on"], strict=True)):
        for i in range(150):
            deal, late = f"{q}-{i:03d}", rng.random() < 0.4
            made = start - pd.Timedelta(days=int(rng.integers(1, 60)))
            closes = start + pd.Timedelta(days=int(rng.integers(40, 80)))
            won = rng.random() < (0.7 if late else 0.2)
            stage = {
                "stage": "Contract" if late else "Talk",
                "rep": f"r{i % 8}",
                "rep_probability": 0.8 if late else 0.4,
            }
            versions.append(
                version(deal, made, close=end, until=closes, amount=float(rng.lognormal(9, 1)), **stage)
            )
            versions.append(version(deal, closes, "won" if won else "lost", close=closes, rep=f"r{i % 8}"))
    versions.append(version("end", "2027-01-05", close="2027-03-31"))
    return versions


ALL = ["model", "rep_recalibrated", "rep_category", "stage_rate", "base_rate", "mix", "rep_forecast"]


def test_fitted_forecasters_are_silent_in_their_burn_in_and_say_what_they_learned_from():
    found = fe.match(org(three_quarters()), forecasters=ALL)
    assert sorted(found["period"].unique()) == ["Q2", "Q3"]
    learned = found.attrs[META]["forecasters"]["model"]["learned"]
    assert [(x["period"], x["deals"]) for x in learned] == [("Q2", 150), ("Q3", 300)]
    assert found[ALL].notna().all(axis=None)
    assert found[ALL].apply(lambda p: p.between(0, 1)).all(axis=None)
    assert found.attrs[META]["flow"][-1]["step"] == "enough past to learn from"


def test_past_rates_are_the_past_rates():
    found = fe.match(org(three_quarters()), forecasters=["stage_rate", "base_rate", "rep_forecast"])
    q2 = found[found["period"] == "Q2"]
    rows = [v for v in three_quarters() if v["deal_id"].startswith("0-")]
    first, last = rows[::2], rows[1::2]
    won = np.array([v["status"] == "won" for v in last])
    late = np.array([v["stage"] == "Contract" for v in first])
    assert q2["base_rate"].iloc[0] == pytest.approx((won.sum() + 0.5) / 151)
    expected = (won[late].sum() + won.mean()) / (late.sum() + 1)
    assert q2.loc[q2["stage"] == "Contract", "stage_rate"].iloc[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    "name", ["model", "rep_recalibrated", "rep_category", "stage_rate", "base_rate", "mix"]
)
def test_nothing_that_was_recorded_after_a_look_changes_what_was_said_then(name):
    """The negative control: turn every later outcome around; the forecasts of Q2 stay as they were."""
    before = three_quarters()
    after = [dict(v) for v in before]
    for v in after:
        if v["valid_from"] > pd.Timestamp(LOOK) + pd.Timedelta(days=1) and v["status"] != "open":
            flipped = "lost" if v["status"] == "won" else "won"
            v.update(status=flipped, stage="Closed", amount=1.0, close_on=pd.Timestamp("2026-12-24"))
    a, b = (
        fe.match(org(v), forecasters=[name, "rep_forecast"]).query("period == 'Q2'").set_index("deal_id")
        for v in (before, after)
    )
    pd.testing.assert_series_equal(a[name], b[name])
    assert not a["won"].equals(b["won"])


def test_the_model_is_a_logistic_regression_with_a_weak_prior():
    """Against scikit-learn on the same augmented data."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(4)
    x = rng.normal(size=(300, 3))
    won = (rng.random(300) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    design = np.vstack([np.column_stack([np.ones(300), z]), np.column_stack([np.zeros(3), np.eye(3)])])
    twice = np.vstack([design, design[-3:]])
    y = np.concatenate([won, np.ones(3), np.zeros(3)])
    weight = np.concatenate([np.ones(300), np.full(6, 0.5)])
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-12, max_iter=10_000)
    fit.fit(twice, y, sample_weight=weight)
    np.testing.assert_allclose(fc.logistic(x, won, x), fit.predict_proba(design[:300])[:, 1], atol=1e-6)


def test_separation_does_not_blow_up():
    x = np.repeat([[0.0], [1.0]], 60, axis=0)
    p = fc.logistic(x, x[:, 0], np.array([[0.0], [1.0]]))
    assert 0 < p[0] < 0.05
    assert 0.95 < p[1] < 1


def test_share_of_probabilities_that_are_the_stages_default():
    stages = pd.DataFrame({"stage": ["Talk", "Contract"], "default_probability": [0.4, 0.7]})
    found = fe.match(org(three_quarters(), stages=stages), forecasters=["rep_forecast"])
    share = found.attrs[META]["forecasters"]["rep_forecast"]["stage_default_share"]
    assert share == pytest.approx((found["stage"] == "Talk").mean(), abs=1e-4)


# --- calls that cannot be understood ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"as_of": "week 99"}, "neither 'week 1' to 'week 14' nor a date"),
        ({"as_of": "2031-01-01"}, "lies in no period of the calendar"),
        ({"target": "won soon"}, "not one of 'won in period', 'won at all' or 'won within N days'"),
        ({"population": "all"}, "population 'all' is not one of 'closing in period', 'all open'"),
        ({"forecasters": ["modell", "rep_forecast"]}, "no forecaster modell.*Did you mean model?"),
    ],
)
def test_a_wrong_call_says_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        matched([version("D", START)], **options)


def test_without_history_nothing_can_be_compared_and_the_answer_says_why():
    today = replace(org([version("D", START)]), history=None)
    found = fe.match(today, forecasters=["model", "rep_forecast"])
    c = fe.compare(found, "model", "rep_forecast")
    assert c.verdict == "cannot be compared"
    assert "only today's records" in c.headline


def test_twins_of_a_deal_are_never_learned_from():
    """Out of fold, a feature that only duplicates share cannot help."""
    rng = np.random.default_rng(0)
    n = 120
    noise = pd.DataFrame({"won": rng.integers(0, 2, n), "tag": [f"t{i}" for i in range(n)]})
    twins = pd.concat([noise] * 6, ignore_index=True)
    together = fc.out_of_fold(twins.assign(account=twins["tag"]), ["model"], ["tag"])["model"]
    apart = fc.out_of_fold(twins, ["model"], ["tag"])["model"]
    assert fe.scores.auc(apart, twins["won"]) > 0.9  # the leak
    assert fe.scores.auc(together, twins["won"]) < 0.6


def test_empty_cells_among_features_do_not_stop_the_model():
    rng = np.random.default_rng(1)
    t = pd.DataFrame({"won": rng.integers(0, 2, 80), "size": rng.normal(size=80), "kind": ["a", None] * 40})
    t.loc[::7, "size"] = np.nan
    assert fc.out_of_fold(t, ["model"], ["size", "kind"])["model"].between(0, 1).all()
