"""A forecast that knew the outcome gets no verdict, whatever door it came in by."""

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.matching.matched import META


def pilot(n=400, seed=0):
    rng = np.random.default_rng(seed)
    chance = rng.beta(1.5, 2.5, n)
    won = (rng.random(n) < chance).astype(int)
    return pd.DataFrame(
        {
            "deal_id": [f"D{i}" for i in range(n)],
            "as_of": pd.Timestamp("2026-01-31"),
            "period": [f"P{i}" for i in rng.integers(0, 8, n)],
            "rep": [f"r{i}" for i in rng.integers(0, 10, n)],
            "won": won,
            "amount": 1000.0,
            "honest": np.clip(chance + rng.normal(0, 0.1, n), 0.02, 0.98),
            "rep_forecast": np.clip(chance + 0.1, 0.02, 0.98),
            "leak": np.clip(0.5 + (won - 0.5) * rng.uniform(0.1, 0.9, n), 0, 1),
            "score": won * 50 + rng.uniform(1, 45, n),
        }
    )


def codes(row):
    return [r["code"] for r in row["reasons"]]


def test_every_score_of_a_leak_is_without_verdict_and_the_first_sentence_says_why():
    c = fe.compare(pilot(), "leak", "rep_forecast")
    assert not c.table["reliable"].any()
    assert all("hindsight" in r for r in c.table.apply(codes, axis=1))
    assert set(c.table["verdict"].dropna()) == {"not enough evidence"}
    assert "leak looks like hindsight: it puts each of the" in c.headline
    assert "hindsight" in {r["code"] for r in c.to_dict()["comparisons"][0]["reasons"]}


def test_an_honest_one_beside_it_is_not_accused():
    assert not any(
        "hindsight" in r for r in fe.compare(pilot(), "honest", "rep_forecast").table.apply(codes, axis=1)
    )


def test_a_baseline_that_knew_takes_the_verdict_away_as_well():
    assert "hindsight" in codes(fe.compare(pilot(), "honest", "leak").primary)


def test_two_that_both_are_the_outcome_are_not_called_the_same():
    table = pilot().assign(twin=lambda t: t["leak"])
    c = fe.compare(table, "leak", "twin")
    assert c.verdict == "not enough evidence"
    assert not c.primary["reliable"]


def test_a_rank_score_is_looked_at_too():
    c = fe.compare(pilot(), "score", "rep_forecast", metrics=["auc"], kinds={"score": "rank_score"})
    assert "hindsight" in codes(c.primary)


def test_what_stands_in_for_a_silent_candidate_is_not_held_against_it():
    table = pilot()
    table.loc[table.index % 3 > 0, "honest"] = np.nan
    assert "hindsight" not in codes(fe.compare(table, "honest", "rep_forecast").primary)


@pytest.mark.parametrize("engine", ["polars", "pyarrow", "parquet"])
def test_it_is_found_in_any_frame_and_in_a_file(engine, tmp_path):
    table = pilot()
    if engine == "parquet":
        table.to_parquet(tmp_path / "matched.parquet")
        table = tmp_path / "matched.parquet"
    else:
        module = pytest.importorskip(engine)
        table = module.from_pandas(table) if engine == "polars" else module.Table.from_pandas(table)
    assert "hindsight" in codes(fe.compare(table, "leak", "rep_forecast").primary)


# --- several looks --------------------------------------------------------------------------------------


def looks(jump):
    """Each deal in three weeks; in the last one the score may be that of the closing day."""
    first = pilot()
    later = [first.assign(as_of=first["as_of"] + pd.Timedelta(days=7 * w)) for w in range(3)]
    if jump:
        later[2] = later[2].assign(honest=later[2]["won"].astype(float))
    return pd.concat(later, ignore_index=True).sample(frac=1, random_state=0)


def test_a_score_that_jumps_on_the_last_day_is_found():
    c = fe.compare(looks(jump=True), "honest", "rep_forecast")
    (text,) = [r["text"] for r in c.primary["reasons"] if r["code"] == "hindsight"]
    assert "equals the outcome on all 400 deals at their last look, and not at their first" in text
    assert "hindsight" not in codes(fe.compare(looks(jump=False), "honest", "rep_forecast").primary)


@pytest.mark.parametrize("way", ["frame", "parquet"])
def test_rows_dated_at_or_after_the_close_are_no_forecasts(way, tmp_path):
    table = pilot().assign(closed_on=pd.Timestamp("2026-02-10"))
    late = table.assign(closed_on=table["closed_on"].where(table.index > 24, table["as_of"]))
    found = []
    for each in (table, late):
        if way == "parquet":
            each.to_parquet(tmp_path / "matched.parquet")
            each = tmp_path / "matched.parquet"
        found.append(fe.compare(each, "honest", "rep_forecast").primary)
    assert "hindsight" not in codes(found[0])
    assert "25 of 400 rows are dated on the day" in found[1]["reasons"][0]["text"]


def test_how_far_ahead_a_table_speaks_decides_what_can_be_known():
    rng, table = np.random.default_rng(5), pilot(1500)
    table["sharp"] = 1 / (1 + np.exp(-(rng.normal(0, 1, 1500) + 2.66 * table["won"] - 2)))
    assert "hindsight" not in codes(fe.compare(table, "sharp", "rep_forecast").primary)
    table.attrs[META] = {"days_ahead": 63}
    assert "hindsight" in codes(fe.compare(table, "sharp", "rep_forecast").primary)
