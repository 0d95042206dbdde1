"""What `compare` promises: contract.md, line by line, and invariants that hold for any table."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

import forecasteval as fe
from forecasteval.matching.matched import META


def pilot(reps=12, periods=8, deals=25, seed=0, gap=0.1, wins=0.3):
    """A matched table in which `model` is closer to the truth than `rep_forecast`."""
    rng = np.random.default_rng(seed)
    n = reps * periods * deals
    rep = np.tile(np.repeat(np.arange(reps), deals), periods)
    truth = rng.beta(4 * wins, 4 * (1 - wins), n)
    bias = rng.normal(0, 0.05, reps)[rep]
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-02-28"),
            "period": np.repeat([f"P{p}" for p in range(periods)], reps * deals),
            "rep": [f"r{r}" for r in rep],
            "won": (rng.random(n) < truth).astype(int),
            "amount": rng.lognormal(9, 1, n).round(2),
            "model": np.clip(truth + rng.normal(0, 0.05, n), 0.01, 0.99),
            "rep_forecast": np.clip(truth + gap + bias + rng.normal(0, 0.2, n), 0.01, 0.99)
            .round(1)
            .clip(0.05, 0.95),
        }
    )


@pytest.fixture(scope="module")
def table():
    return pilot()


def test_five_rows_are_enough_for_a_call():
    five = pd.DataFrame(
        {
            "deal_id": ["D1", "D2", "D3", "D4", "D5"],
            "as_of": ["2026-02-28"] * 5,
            "period": ["2026Q1"] * 5,
            "rep": ["r1", "r1", "r2", "r2", "r3"],
            "won": [1, 0, 0, 1, 0],
            "model": [0.62, 0.2, 0.1, 0.7, 0.4],
            "rep_forecast": [0.75, 0.5, 0.25, 0.5, 0.75],
        }
    )
    c = fe.compare(five, candidate="model", baseline="rep_forecast")
    assert c.verdict == "not enough evidence"
    assert {r["code"] for r in c.primary["reasons"]} >= {"too_few_reps", "too_few_periods"}
    assert np.isnan(c.primary["low"])
    assert c.primary["difference"] == pytest.approx(-0.14862)  # by hand: .08888 - .2375
    by_amount = c.table.set_index("metric").loc["brier_by_amount"]
    assert by_amount["verdict"] == "cannot be compared"
    assert by_amount["reasons"][0]["code"] == "missing_column"


def test_a_clear_difference_is_called_by_name(table):
    c = fe.compare(table, "model", "rep_forecast")
    assert c.verdict == "candidate better"
    assert c.headline.startswith("model is better than rep_forecast: Brier score 0.0")
    assert "for new reps and new periods" in c.headline
    assert "2,400 deals, 12 reps, 8 periods" in c.headline
    assert list(c.table["metric"]) == ["brier", "log_score", "auc", "brier_by_amount", "bias"]
    assert c.table["primary"].tolist() == [True, False, False, False, False]
    assert c.table.set_index("metric")["verdict"]["auc"] == "candidate better"
    assert c.table.set_index("metric")["difference"]["auc"] > 0


def test_swapping_the_forecasters_flips_every_sign(table):
    there = fe.compare(table, "model", "rep_forecast").table
    back = fe.compare(table, "rep_forecast", "model").table
    np.testing.assert_allclose(there["difference"], -back["difference"], atol=1e-15)
    np.testing.assert_allclose(there["low"], -back["high"], atol=1e-14)
    np.testing.assert_allclose(there["p_value"], back["p_value"], rtol=1e-9)
    assert back["verdict"].iloc[0] == "baseline better"


@pytest.mark.parametrize(
    "generalise_to", [("deal",), ("rep",), ("period",), ("deal", "period"), ("rep", "period")]
)
def test_row_order_does_not_matter(table, generalise_to):
    shuffled = table.sample(frac=1, random_state=3)
    a, b = (
        fe.compare(t, "model", "rep_forecast", generalise_to=generalise_to).table for t in (table, shuffled)
    )
    for column in ("candidate_value", "baseline_value", "difference", "low", "high", "df"):
        np.testing.assert_allclose(a[column], b[column], rtol=1e-9)


def test_identical_forecasters_are_exactly_the_same(table):
    twins = table.assign(rep_forecast=table["model"])
    c = fe.compare(twins, "model", "rep_forecast")
    scored = c.table[c.table["better"] != "nearer_zero"]
    assert (scored["difference"] == 0).all()
    assert (scored["verdict"] == "practically the same").all()


def test_scaling_amounts_changes_nothing_that_is_a_share(table):
    richer = table.assign(amount=table["amount"] * 1000)
    a, b = (
        fe.compare(t, "model", "rep_forecast", metrics=["brier_by_amount", "bias_by_amount"]).table
        for t in (table, richer)
    )
    np.testing.assert_allclose(a["difference"], b["difference"], rtol=1e-12)
    np.testing.assert_allclose(a["se"], b["se"], rtol=1e-9)


@pytest.mark.parametrize("metric", ["brier", "log_score", "brier_by_amount", "brier_skill", "auc", "bias"])
def test_jackknife_is_the_estimate_without_each_cluster(table, metric):
    """Against the slow way: drop a rep, compute again."""
    c = fe.compare(table, "model", "rep_forecast", metrics=[metric], generalise_to=("rep",)).primary
    without = [
        fe.compare(
            table[table["rep"] != r], "model", "rep_forecast", metrics=[metric], generalise_to=("deal",)
        ).primary["difference"]
        for r in table["rep"].unique()
    ]
    g = len(without)
    se = np.sqrt((g - 1) / g * np.square(np.array(without) - c["difference"]).sum())
    assert c["se"] == pytest.approx(se, rel=1e-9)


def test_new_deals_of_the_same_reps_by_hand(table):
    """SE^2 = Z^-2 sum_g m_g/(m_g-1) sum_u (e_gu - mean_g)^2, written out with pandas."""
    c = fe.compare(table, "model", "rep_forecast", metrics=["brier"], generalise_to=("deal",)).primary
    d = (table["model"] - table["won"]) ** 2 - (table["rep_forecast"] - table["won"]) ** 2
    e = d - d.mean()
    g = e.groupby(table["rep"])
    m = g.size()
    v = m / (m - 1) * g.apply(lambda x: ((x - x.mean()) ** 2).sum())
    assert c["se"] == pytest.approx(np.sqrt(v.sum()) / len(table), rel=1e-9)
    assert c["df"] == pytest.approx(v.sum() ** 2 / (v**2 / (m - 1)).sum(), rel=1e-9)


def test_deal_level_auc_agrees_with_delong(table):
    """Without reps the deal-level interval is DeLong's, up to m/(m - 1)."""
    alone = table.drop(columns=["rep", "period"])
    c = fe.compare(alone, "model", "rep_forecast", metrics=["auc"], generalise_to=("deal",)).primary
    y = alone["won"].to_numpy() == 1

    def placements(p):
        won, lost = p[y], p[~y]
        above = (won[:, None] > lost[None, :]) + 0.5 * (won[:, None] == lost[None, :])
        return above.mean(axis=1), above.mean(axis=0)

    (w1, l1), (w2, l2) = (placements(alone[c].to_numpy()) for c in ("model", "rep_forecast"))
    delong = np.sqrt(np.var(w1 - w2, ddof=1) / y.sum() + np.var(l1 - l2, ddof=1) / (~y).sum())
    assert c["difference"] == pytest.approx(w1.mean() - w2.mean(), rel=1e-12)
    assert c["se"] == pytest.approx(delong, rel=2e-3)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=60))
def test_auc_with_ties_agrees_with_scikit_learn(pairs):
    p, y = np.array([x / 5 for x, _ in pairs]), np.array([w for _, w in pairs], dtype=int)
    if y.min() == y.max():
        return
    assert fe.scores.auc(p, y) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert 0 <= fe.scores.auc(p, y) <= 1


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.sampled_from([("rep",), ("period",), ("rep", "period"), ("deal",), ("deal", "period")]),
    st.floats(0.5, 0.999),
)
def test_interval_and_p_value_agree_at_every_level(seed, generalise_to, level):
    pairs = pilot(6, 5, 6, seed=seed, gap=0.02)
    c = fe.compare(pairs, "model", "rep_forecast", generalise_to=generalise_to, level=level)
    for row in c.table.to_dict("records"):
        if np.isfinite(row["low"]):
            assert (row["p_value"] < 1 - level) == (row["low"] > 0 or row["high"] < 0)
            assert row["low"] < row["difference"] < row["high"]
            at_least = 2 * stats.t.sf(abs(row["difference"]) / row["se"], row["df"])
            assert row["p_value"] >= at_least * (1 - 1e-9)


@settings(max_examples=25)
@given(st.integers(0, 1000))
def test_the_cautious_default_is_never_narrower_than_its_parts(seed):
    t = pilot(8, 6, 8, seed=seed)
    both, rep, period = (
        fe.compare(t, "model", "rep_forecast", metrics=["brier"], generalise_to=q).primary
        for q in (("rep", "period"), ("rep",), ("period",))
    )
    assert both["se"] >= max(rep["se"], period["se"]) - 1e-15


# --- verdicts ---------------------------------------------------------------------------------------


def test_a_margin_turns_a_small_difference_into_none(table):
    assert fe.compare(table, "model", "rep_forecast", margin=0.5).verdict == "practically the same"
    assert fe.compare(table, "model", "rep_forecast", margin={"brier": 0.001}).verdict == "candidate better"
    low = fe.compare(table, "model", "rep_forecast").primary["high"]
    inside = fe.compare(table, "model", "rep_forecast", margin=-low * 1.05, beyond_margin=True)
    assert inside.verdict == "not enough evidence"


def test_fewer_than_five_reps_give_no_interval_over_new_reps():
    c = fe.compare(pilot(reps=4), "model", "rep_forecast", generalise_to=("rep",))
    assert np.isnan(c.primary["low"])
    assert not c.primary["reliable"]
    assert c.verdict == "not enough evidence"
    assert c.primary["reasons"][-1] == {
        "code": "too_few_reps",
        "text": "4 reps: at least 5 are needed to speak about new reps.",
    }


@pytest.mark.parametrize(
    ("periods", "interval", "reliable"), [(3, False, False), (5, True, False), (6, True, True)]
)
def test_periods_below_four_and_below_six(periods, interval, reliable):
    c = fe.compare(pilot(periods=periods), "model", "rep_forecast", generalise_to=("period",)).primary
    assert np.isfinite(c["low"]) == interval
    assert c["reliable"] == reliable


def test_the_default_drops_to_what_the_table_has_and_says_so(table):
    c = fe.compare(table.drop(columns="rep"), "model", "rep_forecast")
    assert c.generalise_to == ("period",)
    assert "default_dropped" in {r["code"] for r in c.primary["reasons"]}
    assert c.verdict == "candidate better"


def test_a_dimension_that_was_asked_for_and_is_missing_is_an_error(table):
    with pytest.raises(ValueError, match="asks for rep, but the table has no such column; it has deal_id"):
        fe.compare(table.drop(columns="rep"), "model", "rep_forecast", generalise_to=("rep", "period"))


def test_a_cluster_that_holds_everything(table):
    only = table.assign(amount=np.where(table["rep"] == "r1", table["amount"], 0.0))
    c = fe.compare(only, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to=("rep",)).primary
    assert c["clusters"]["rep"]["count"] == 1  # the others carry nothing
    assert np.isnan(c["low"])
    almost = table.assign(amount=np.where(table["rep"] == "r1", table["amount"], 1e-9))
    c = fe.compare(
        almost, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to=("rep",)
    ).primary
    assert "one_cluster" in {r["code"] for r in c["reasons"]}
    assert np.isnan(c["low"])


def test_auc_is_undefined_where_one_rep_holds_every_win(table):
    lonely = table.assign(won=table["won"].where(table["rep"] == "r1", 0))
    c = fe.compare(lonely, "model", "rep_forecast", metrics=["auc"], generalise_to=("rep",)).primary
    assert np.isnan(c["low"])
    assert c["verdict"] == "not enough evidence"


def test_perfect_separation_gives_no_interval_of_zero_width(table):
    perfect = table.assign(model=0.2 + 0.6 * table["won"], rep_forecast=0.1 + 0.7 * table["won"])
    c = fe.compare(perfect, "model", "rep_forecast", metrics=["auc"], generalise_to=("rep",)).primary
    assert c["candidate_value"] == c["baseline_value"] == 1
    assert np.isnan(c["low"])


@pytest.mark.parametrize("won", [0, 1])
def test_one_class_cannot_be_compared(table, won):
    c = fe.compare(table.assign(won=won), "model", "rep_forecast")
    assert (c.table["verdict"] == "cannot be compared").all()
    assert c.primary["reasons"][-1]["code"] == "one_class"


def test_a_forecaster_that_is_not_there_is_not_invented(table):
    c = fe.compare(table.drop(columns="rep_forecast"), "model", "rep_forecast")
    assert c.verdict == "cannot be compared"
    assert "There is no forecast named rep_forecast" in c.headline


# --- abstentions and kinds --------------------------------------------------------------------------


def test_the_candidates_gaps_are_filled_and_counted(table):
    gaps = table.assign(model=table["model"].mask(table.index < 240))
    c = fe.compare(gaps, "model", "rep_forecast").primary
    assert (c["filled"], c["rows"]) == (240, 2400)
    by_hand = gaps["model"].fillna(gaps["rep_forecast"])
    assert c["candidate_value"] == pytest.approx(((by_hand - gaps["won"]) ** 2).mean())
    assert c["verdict"] == "candidate better"


def test_too_many_filled_gaps_cap_the_verdict(table):
    gaps = table.assign(model=table["model"].mask(table.index < 600))
    c = fe.compare(gaps, "model", "rep_forecast")
    assert c.verdict == "not enough evidence"
    assert "filled_too_much" in {r["code"] for r in c.primary["reasons"]}


def test_the_baselines_gaps_drop_the_deal_for_both_and_enter_the_flow(table):
    gaps = table.assign(rep_forecast=table["rep_forecast"].mask(table.index % 10 == 0))
    c = fe.compare(gaps, "model", "rep_forecast")
    assert c.primary["rows"] == 2160
    assert c.flow["deals"].tolist() == [2400, 2160]
    assert c.flow["dropped"].tolist() == [0, 240]


def test_a_rank_score_takes_auc_only(table):
    ranks = table.assign(gong=(table["model"] * 98 + 1).round().mask(table.index < 24))
    kinds = {"gong": "rank_score"}
    c = fe.compare(ranks, "gong", "rep_forecast", kinds=kinds).table.set_index("metric")
    assert c.loc["brier", "verdict"] == "cannot be compared"
    assert c.loc["auc", "rows"] == 2376  # common deals only, nothing filled
    assert c.loc["auc", "verdict"] == "candidate better"
    alone = table["model"] * 98 + 1
    common = table.index >= 24
    assert c.loc["auc", "candidate_value"] == pytest.approx(
        roc_auc_score(table["won"][common], alone.round()[common])
    )


def test_percentages_declared_as_probabilities_are_refused(table):
    percent = table.assign(model=table["model"] * 100)
    with pytest.raises(ValueError, match="Divide percentages by 100"):
        fe.compare(percent, "model", "rep_forecast", kinds={"model": "probability"})


def test_a_sure_miss_is_infinite_and_counted_unless_epsilon_is_given(table):
    sure = table.assign(model=table["model"].mask(table.index == table.index[table["won"] == 1][0], 0.0))
    c = fe.compare(sure, "model", "rep_forecast", metrics=["log_score"])
    assert np.isinf(c.primary["candidate_value"])
    assert np.isnan(c.primary["low"])
    assert "certain and wrong 1 time" in c.primary["reasons"][-1]["text"]
    assert c.to_dict()["comparisons"][0]["candidate_value"] is None
    capped = fe.compare(sure, "model", "rep_forecast", metrics=["log_score"], epsilon=0.01)
    assert np.isfinite(capped.primary["low"])


# --- deals seen more than once ----------------------------------------------------------------------


def test_a_deal_seen_in_several_weeks_is_one_unit(table):
    later = table.assign(as_of=pd.Timestamp("2026-03-07"))
    once = fe.compare(table, "model", "rep_forecast", generalise_to=("deal",)).primary
    twice = fe.compare(pd.concat([table, later]), "model", "rep_forecast", generalise_to=("deal",)).primary
    assert (twice["rows"], twice["deals"]) == (4800, 2400)
    assert twice["se"] == pytest.approx(once["se"], rel=1e-9)


def test_a_deal_that_changes_hands_stays_with_its_first_rep(table):
    later = table.assign(as_of=pd.Timestamp("2026-03-07"))
    handed = later.assign(rep=later["rep"].mask(later.index == 0, "r11"))
    c = fe.compare(pd.concat([handed, table]), "model", "rep_forecast", generalise_to=("rep",))
    same = fe.compare(pd.concat([later, table]), "model", "rep_forecast", generalise_to=("rep",))
    assert c.primary["se"] == pytest.approx(same.primary["se"], rel=1e-12)
    assert "1 of 2,400 deals (0.0%) changed hands" in next(
        r["text"] for r in c.primary["reasons"] if r["code"] == "crossing_reps"
    )


def test_a_repeated_row_is_refused_by_deal(table):
    with pytest.raises(
        ValueError, match="1 rows repeat a deal at the same as-of; the first is row 2401, deal 'D5'"
    ):
        fe.compare(pd.concat([table, table.iloc[[5]]]), "model", "rep_forecast")


def test_new_accounts_are_clusters_and_deals_without_one_stand_alone(table):
    accounts = table.assign(account=[f"A{i // 4}" for i in range(len(table))])
    single = table.assign(account=None)
    of_four = fe.compare(accounts, "model", "rep_forecast", generalise_to=("account",)).primary
    of_none = fe.compare(single, "model", "rep_forecast", generalise_to=("account",)).primary
    assert of_four["clusters"]["account"]["count"] == 600
    assert of_none["clusters"]["account"]["count"] == 2400


# --- what must not be believed ------------------------------------------------------------------------


def codes(row):
    return {r["code"] for r in row["reasons"]}


def test_a_silent_candidate_is_not_the_same_as_the_baseline(table):
    c = fe.compare(table.assign(model=np.nan), "model", "rep_forecast").primary
    assert c["verdict"] == "not enough evidence"
    assert not c["reliable"]
    assert "filled_too_much" in codes(c)


def test_rounding_noise_is_no_standard_error():
    replicated = pd.DataFrame(
        {
            "deal_id": range(200),
            "rep": np.arange(200) // 20,
            "won": np.arange(200) % 2,
            "model": 0.3,
            "rep_forecast": 0.6,
        }
    )
    c = fe.compare(replicated, "model", "rep_forecast", metrics=["brier", "bias"], generalise_to="rep").table
    assert c["low"].isna().all()
    assert "no_spread" in codes(c.iloc[0])


def test_wins_are_counted_by_deal_not_by_look():
    few = pilot(8, 1, 51, seed=1).drop(columns="period").assign(won=0)
    few.loc[few.index[:8], "won"] = 1
    looks = pd.concat(
        [few.assign(as_of=pd.Timestamp("2026-01-01") + pd.Timedelta(days=7 * i)) for i in range(10)]
    )
    for t in (few, looks):
        c = fe.compare(t, "model", "rep_forecast", generalise_to="deal").primary
        assert "Only 8 of 408 deals were won" in next(
            r["text"] for r in c["reasons"] if r["code"] == "few_events"
        )


def test_clusters_without_weight_do_not_count(table):
    four = table.assign(amount=np.where(table["rep"].isin(["r0", "r1", "r2", "r3"]), table["amount"], 0.0))
    c = fe.compare(four, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to="rep").primary
    assert c["clusters"]["rep"]["count"] == 4
    assert "too_few_reps" in codes(c)
    only = fe.compare(
        four[four["amount"] > 0], "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to="period"
    ).primary
    all_ = fe.compare(
        four, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to="period"
    ).primary
    assert all_["se"] == pytest.approx(only["se"], rel=1e-12)


def test_filled_rows_are_counted_among_those_that_a_metric_uses(table):
    first = table.index < 400
    t = table.assign(amount=table["amount"].mask(first), model=table["model"].mask(table.index < 400))
    c = fe.compare(t, "model", "rep_forecast", metrics=["brier_by_amount"], generalise_to="rep").primary
    assert (c["rows"], c["filled"]) == (2000, 0)
    assert c["verdict"] == "candidate better"


def test_rows_that_are_dropped_do_not_decide_whose_a_deal_is(table):
    before = table.assign(as_of=pd.Timestamp("2026-01-01"), rep_forecast=np.nan, rep="r0")[:1100]
    both, alone = (
        fe.compare(t, "model", "rep_forecast", generalise_to="rep").primary
        for t in (pd.concat([before, table]), table)
    )
    assert both["se"] == pytest.approx(alone["se"], rel=1e-12)
    assert "crossing_reps" not in codes(both)


@pytest.mark.parametrize("column", ["deal_id", "rep", "period"])
def test_an_empty_cell_in_a_column_that_counts_is_named(table, column):
    with pytest.raises(ValueError, match=f"{column} is empty in 1 rows, the first is row 6"):
        fe.compare(table.assign(**{column: table[column].mask(table.index == 5)}), "model", "rep_forecast")


def test_without_reps_the_words_do_not_speak_of_them(table):
    c = fe.compare(table.drop(columns="rep"), "model", "rep_forecast", generalise_to="deal")
    assert "reps" not in c.headline
    assert "no_reps" in codes(c.primary)


def test_neither_strata_nor_draws_depend_on_the_order_of_reps():
    t = pd.concat([pilot(16, 1, 30, seed=2), pilot(1, 1, 1, seed=3).assign(deal_id="X", rep="alone")])
    found = [
        fe.compare(
            t.sample(frac=1, random_state=i), "model", "rep_forecast", metrics=["brier"], generalise_to=q
        ).primary
        for i in range(3)
        for q in ("deal", "rep")
    ]
    for same in (found[::2], found[1::2]):
        assert len({round(c["se"], 14) for c in same}) == 1
        assert len({c["p_wild"] for c in same if not np.isnan(c["p_wild"])}) <= 1


def test_a_level_is_written_as_it_is(table):
    assert "(99.9% interval" in fe.compare(table, "model", "rep_forecast", level=0.999).headline


def test_both_values_have_intervals_even_where_the_difference_has_none(table):
    c = fe.compare(table.assign(rep_forecast=table["model"]), "model", "rep_forecast", metrics=["bias"])
    assert c.primary["candidate_low"] < c.primary["candidate_value"] < c.primary["candidate_high"]
    assert c.verdict is None


def test_numbers_that_came_as_objects_are_numbers(table):
    objects = table.assign(model=table["model"].astype(object), amount=table["amount"].astype(str))
    a, b = (fe.compare(t, "model", "rep_forecast").table for t in (objects, table))
    np.testing.assert_allclose(a["difference"], b["difference"])


def test_text_among_amounts_is_named_only_where_amounts_are_asked_for(table):
    priced = table.assign(amount=table["amount"].astype(str).mask(table.index == 3, "11315 EUR"))
    assert fe.compare(priced, "model", "rep_forecast", metrics=["brier"]).verdict == "candidate better"
    with pytest.raises(
        ValueError, match="amount holds 1 cells that are not numbers; the first is row 4: '11315 EUR'"
    ):
        fe.compare(priced, "model", "rep_forecast")


def test_amounts_booked_on_deals_that_were_not_won_are_refused(table):
    with pytest.raises(ValueError, match="amount_won must be 0 where a deal was not won"):
        fe.compare(table.assign(amount_won=table["amount"]), "model", "rep_forecast")


# --- words and files --------------------------------------------------------------------------------


def test_results_are_plain_json_and_the_same_every_time(table):
    a, b = (json.dumps(fe.compare(table, "model", "rep_forecast").to_dict(), allow_nan=False) for _ in "ab")
    assert a == b
    first = json.loads(a)["comparisons"][0]
    assert first["generalise_to"] == ["rep", "period"]
    assert first["clusters"]["rep"]["count"] == 12
    assert json.loads(a)["comparisons"][-1]["verdict"] is None  # a bias is described, not won


def test_selection_after_matching_appears_in_the_flow(table):
    table = table.copy()
    table.attrs[META] = {"flow": [{"step": "deals in the export", "deals": 2400, "dropped": 0, "why": ""}]}
    c = fe.compare(table[table["period"] != "P0"], "model", "rep_forecast")
    assert c.flow.iloc[-1].to_dict() == {
        "step": "selected",
        "deals": 2100,
        "dropped": 300,
        "why": "outside the selection that was compared",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ["brie"]}, "Unknown metric 'brie'; choose from brier, log_score"),
        ({"level": 95}, "level must lie between 0 and 1"),
        ({"margin": -0.1}, "margin is the largest difference that does not matter"),
        ({"generalise_to": ("team",)}, "is not one of"),
        ({"epsilon": 0.7}, "epsilon must lie in"),
        ({"level": "0.95"}, "level must lie between 0 and 1"),
        ({"margin": "0.1"}, "margin is the largest difference"),
        (
            {"kinds": {"model": "percent"}},
            "name forecasters of the table, each with one of probability, rank_score",
        ),
        ({"kinds": {"modle": "probability"}}, "name forecasters of the table"),
    ],
)
def test_a_wrong_call_says_what_is_allowed(table, options, message):
    with pytest.raises(ValueError, match=message):
        fe.compare(table, "model", "rep_forecast", **options)


def test_a_wrong_outcome_names_its_row(table):
    with pytest.raises(ValueError, match=r"1 rows are not, the first is row 8: 'maybe'"):
        fe.compare(
            table.astype({"won": object})
            .replace({"won": {}})
            .assign(won=lambda t: t["won"].where(t.index != 7, "maybe")),
            "model",
            "rep_forecast",
        )
