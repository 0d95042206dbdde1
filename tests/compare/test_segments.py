"""Families of segments: who is counted, what is adjusted, and how often a family cries wolf."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

import forecasteval as fe
from forecasteval.compare import segments
from forecasteval.errors import CallError
from forecasteval.matching.matched import META


def pilot(sizes, *, seed=0, harm=()):
    """Reps by segment; in the segments of `harm` the model is far off, elsewhere the two are equally good."""
    rng = np.random.default_rng(seed)
    rows = []
    for name, reps in sizes.items():
        for r in range(reps):
            n = 40
            truth = rng.beta(2, 3, n)
            off = 0.5 if name in harm else 0.0
            noise = rng.normal(0, 0.12, (2, n)) + rng.normal(0, 0.05, (2, 1))
            rows.append(
                pd.DataFrame(
                    {
                        "region": name,
                        "rep": f"{name}{r}",
                        "won": (rng.random(n) < truth).astype(int),
                        "model": (truth + off + noise[0]).clip(0.01, 0.99),
                        "rep_forecast": (truth + noise[1]).clip(0.01, 0.99),
                    }
                )
            )
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "deal_id", np.arange(len(table)))
    return table


SIZES = {"A": 10, "B": 8, "C": 9, "D": 12, "tiny": 4}


def family(table, **options):
    return segments.family(table, "region", "model", "rep_forecast", **({"metrics": ["brier"]} | options))


def test_adjustments_against_r(known):
    listed = known("multiplicity")
    table = pd.DataFrame(
        {"in_family": True, "reliable": True, "p_worse": listed["p"], "p_value": listed["p"]}
    )
    found = segments._adjusted(table, 0.95)
    np.testing.assert_allclose(found["p_worse_holm"], listed["holm"], rtol=1e-9)
    np.testing.assert_allclose(found["q_value"], listed["BH"], rtol=1e-9)
    assert found["stands_out"].sum() == 4  # Benjamini and Hochberg's own example
    assert found["worse_here"].sum() == 3


def test_the_family_counts_those_with_enough_reps_whatever_came_out():
    found = family(pilot(SIZES, harm=["tiny"]))
    assert found.size == 4
    tiny = found.table.set_index("segment").loc["tiny"]
    assert not tiny["in_family"]
    assert tiny["difference"] > 0.05  # an estimate
    assert np.isnan(
        tiny[["low", "high", "p_value", "p_worse", "p_worse_holm", "q_value"]].astype(float)
    ).all()
    assert tiny["verdict"] == "not enough evidence"
    assert tiny["reasons"].startswith("4 reps, fewer than 5: an estimate only")
    assert "tiny" not in found.comparisons


def test_a_small_segment_has_no_interval_even_for_new_deals():
    found = family(pilot(SIZES), generalise_to=("deal",)).table.set_index("segment")
    assert np.isnan(found.loc["tiny", "low"])
    assert np.isfinite(found.loc["A", "low"])


def test_intervals_hold_together():
    """Each of the four is the interval at 1 - .05/4, and its verdict follows from it."""
    table = pilot(SIZES, harm=["C"])
    found = family(table)
    for row in found.table[found.table["in_family"]].to_dict("records"):
        alone = fe.compare(
            table[table["region"] == row["segment"]], "model", "rep_forecast", metrics=["brier"], level=0.9875
        ).primary
        assert row["low"] == pytest.approx(alone["low"], rel=1e-12)
        assert row["p_value"] == pytest.approx(alone["p_value"], rel=1e-12)
        assert row["verdict"] == alone["verdict"]
    verdicts = found.table.set_index("segment")["verdict"]
    assert verdicts["C"] == "baseline better"


def test_worse_here_is_holm_on_one_sided_p_values():
    found = family(pilot(SIZES, harm=["C"])).table
    inside = found[found["in_family"]]
    one_sided = np.where(inside["difference"] > 0, inside["p_value"] / 2, 1 - inside["p_value"] / 2)
    np.testing.assert_allclose(inside["p_worse"], one_sided, rtol=1e-9)
    np.testing.assert_allclose(inside["p_worse_holm"], multipletests(one_sided, method="holm")[1], rtol=1e-9)
    assert found.set_index("segment")["worse_here"].to_dict() == {
        "A": False, "B": False, "C": True, "D": False, "tiny": False,
    }  # fmt: skip


def test_worse_follows_the_metric():
    table = pilot(SIZES, harm=["C"])
    table.loc[table["region"] == "C", "model"] = 1 - table.loc[table["region"] == "C", "model"]
    assert family(table, metrics=["auc"]).table.set_index("segment")["worse_here"].to_dict()["C"]


def test_a_segment_that_cannot_be_tested_still_counts():
    table = pilot(SIZES)
    table.loc[table["region"] == "B", "won"] = 0
    found = family(table)
    assert found.size == 4
    row = found.table.set_index("segment").loc["B"]
    assert row["verdict"] == "cannot be compared"
    assert row["p_worse_holm"] == 1


def test_swapping_the_forecasters_flips_everything():
    table = pilot(SIZES, harm=["C"])
    a = family(table).table
    b = segments.family(table, "region", "rep_forecast", "model", metrics=["brier"]).table
    np.testing.assert_allclose(a["difference"], -b["difference"], rtol=1e-9)
    np.testing.assert_allclose(a["low"], -b["high"], rtol=1e-9)
    np.testing.assert_allclose(a["q_value"], b["q_value"], rtol=1e-9)


def test_what_is_no_family_is_refused():
    table = pilot({"A": 6, "B": 6})
    with pytest.raises(CallError, match="the deals can be divided by region, rep"):
        segments.family(table, "planet", "model", "rep_forecast")
    with pytest.raises(CallError, match="more than 30; a family is a handful"):
        segments.family(table, "deal_id", "model", "rep_forecast")
    with pytest.raises(CallError, match="empty in every row"):
        segments.family(table.assign(region=None), "region", "model", "rep_forecast")


def test_deals_without_a_segment_are_counted_and_periods_may_take_the_place_of_reps():
    table = pilot({"A": 6, "B": 6})
    table.loc[:9, "region"] = None
    assert family(table).without_value == 10
    by_period = table.rename(columns={"rep": "period"})
    assert family(by_period).size == 2
    few = by_period[by_period["period"].isin(["A0", "A1", "A2", "B0", "B1", "B2", "B3"])]
    found = family(few).table
    assert found["reasons"][0].startswith("3 periods, fewer than 4")


def test_names_of_forecasters_and_nouns_come_along():
    table = pilot({"A": 6, "B": 6})
    table.attrs[META] = {"forecasters": {"model": {}, "rep_forecast": {}}, "flow": []}
    before = list(table["region"])
    assert family(table).size == 2
    assert list(table["region"]) == before


def test_a_family_of_equals_cries_wolf_in_one_of_twenty():
    """80 pilots with six equal segments: at least one false verdict in few of them; unadjusted, in many."""
    wolf = alone = 0
    for seed in range(80):
        table = pilot(dict.fromkeys("ABCDEF", 6), seed=seed)
        found = family(table).table
        wolf += found["verdict"].isin(["candidate better", "baseline better"]).any()
        alone += (found["p_value"] <= 0.05).any()
    assert wolf / 80 <= 0.1
    assert alone / 80 > 0.12
