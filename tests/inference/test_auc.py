"""Differences of AUC: independent witnesses, and the traps that other tools fall into."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import forecasteval as fe
from forecasteval.compare.pair import pair_of
from forecasteval.compare.rows import Rows
from forecasteval.inference.jackknife import bell_mccaffrey_df
from forecasteval.matching.matched import Matched
from forecasteval.scores.probability import METRICS


def deals(n=400, seed=0, reps=10):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    return pd.DataFrame(
        {
            "deal_id": range(n),
            "rep": rng.integers(0, reps, n),
            "account": range(n),
            "won": (truth + rng.normal(0, 1.2, n) > 0.4).astype(int),
            "model": 1 / (1 + np.exp(-truth - rng.normal(0, 0.7, n))),
            "rep_forecast": (1 / (1 + np.exp(-truth - rng.normal(0, 1.5, n)))).round(1),
        }
    )


def auc(table, over, **options):
    options = {"metrics": ["auc"], "generalise_to": (over,)} | options
    return fe.compare(table, "model", "rep_forecast", **options).primary


def delong(table):
    """DeLong, DeLong & Clarke-Pearson (1988), straight from the definition."""
    won = table["won"].to_numpy() == 1
    of_won, of_lost = [], []
    for name in ("model", "rep_forecast"):
        f = table[name].to_numpy()
        above = (f[won][:, None] > f[~won]) + 0.5 * (f[won][:, None] == f[~won])
        of_won.append(above.mean(axis=1))
        of_lost.append(above.mean(axis=0))
    difference = of_won[0].mean() - of_won[1].mean()
    variance = (
        np.var(of_won[0] - of_won[1], ddof=1) / won.sum()
        + np.var(of_lost[0] - of_lost[1], ddof=1) / (~won).sum()
    )
    return difference, np.sqrt(variance)


def test_agrees_with_delong_where_every_deal_is_its_own_cluster():
    table = deals()
    difference, se = delong(table)
    row = auc(table, "account")
    assert row["difference"] == pytest.approx(difference, rel=1e-12)
    assert row["se"] == pytest.approx(se, rel=0.01)  # the two differ by terms of order 1/n


@pytest.mark.parametrize("over", ["rep", "account"])
def test_closed_form_is_leaving_out_by_hand(over):
    table = deals(n=150, seed=3)
    without = []
    for cluster in table[over].unique():
        rest = table[table[over] != cluster]
        without.append(
            roc_auc_score(rest["won"], rest["model"]) - roc_auc_score(rest["won"], rest["rep_forecast"])
        )
    row, g = auc(table, over), len(without)
    assert row["se"] == pytest.approx(
        np.sqrt((g - 1) / g * np.square(np.array(without) - row["difference"]).sum()), rel=1e-9
    )
    assert 1 < row["df"] <= g - 1 + 1e-9
    rows = Rows.of(Matched.of(table), "model", "rep_forecast", (over,))
    pair = pair_of(METRICS["auc"], rows.deals, rows.groups, (over,), units=False)
    share = table[over].value_counts(normalize=True)
    assert pair.difference.spread((over,)).df == pytest.approx(bell_mccaffrey_df(share))


def test_perfect_separation_gives_no_interval_of_width_zero():
    table = deals().assign(model=lambda t: t["won"] * 0.8 + 0.1)
    row = auc(table, "rep")
    assert row["candidate_value"] == 1.0
    assert np.isnan([row["candidate_low"], row["candidate_high"]]).all()
    assert row["high"] - row["low"] > 0  # the baseline varies, so the difference has an interval
    both = auc(table.assign(rep_forecast=lambda t: t["won"] * 0.6 + 0.2), "rep")
    assert np.isnan(both["low"])
    # both know the outcome, which is a reason not to believe either
    assert both["verdict"] == "not enough evidence"
    assert "hindsight" in {r["code"] for r in both["reasons"]}


def test_two_perfect_halves_do_not_become_a_sure_difference():
    """Against a coin toss the difference is .5 in every fold: no spread, so no interval and no verdict."""
    table = deals().assign(model=lambda t: t["won"] * 1.0, rep_forecast=0.5)
    row = auc(table, "rep")
    assert row["difference"] == 0.5
    assert np.isnan(row["low"])
    assert row["verdict"] == "not enough evidence"
    assert "no_spread" in [r["code"] for r in row["reasons"]]


def test_undefined_where_one_rep_holds_every_win():
    table = deals()
    table["rep"] = np.where(table["won"] == 1, 0, table["rep"])
    row = auc(table, "rep")
    assert np.isnan(row["low"])
    assert "one_cluster" in [r["code"] for r in row["reasons"]]
    assert row["verdict"] == "not enough evidence"


def test_direction_is_never_chosen_automatically():
    table = deals()
    upside_down = auc(table.assign(model=1 - table["model"]), "rep")
    assert upside_down["candidate_value"] == pytest.approx(
        1 - auc(table, "rep")["candidate_value"], abs=1e-12
    )
    assert upside_down["candidate_value"] < 0.5
    assert upside_down["verdict"] == "baseline better"


def test_single_precision_does_not_push_it_above_one():
    table = deals(n=4000).assign(model=lambda t: (t["won"] * 0.5 + 0.25).astype("float32"))
    assert auc(table, "rep")["candidate_value"] == 1.0


def test_coverage_over_reps_where_delong_is_too_narrow():
    """200 draws: reps differ in how well the model ranks their deals; by symmetry the true difference is 0."""
    rng = np.random.default_rng(0)
    hits = naive = 0
    for _ in range(200):
        g = np.repeat(np.arange(12), np.maximum((30 * rng.lognormal(0, 0.5, 12)).astype(int), 6))
        truth = rng.normal(size=g.size)
        better, worse = (np.exp(rng.normal(0, 0.9, 12))[g] for _ in range(2))
        table = pd.DataFrame(
            {
                "deal_id": range(g.size),
                "rep": g,
                "won": (truth + rng.normal(size=g.size) > 0.5).astype(int),
                "model": 1 / (1 + np.exp(-truth - better * rng.normal(size=g.size))),
                "rep_forecast": 1 / (1 + np.exp(-truth - worse * rng.normal(size=g.size))),
            }
        )
        row = auc(table, "rep")
        hits += row["low"] <= 0 <= row["high"]
        difference, se = delong(table)
        naive += abs(difference) <= 1.96 * se
    assert 0.91 <= hits / 200 <= 0.99
    assert naive / 200 < 0.9
