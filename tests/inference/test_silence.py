"""The test of silence: its size among clusters, its power, and what it cannot tell."""

import numpy as np

from forecasteval.inference.silence import SILENCE_LEVEL, silence


def test_it_seldom_accuses_where_clusters_differ_and_silence_is_by_chance():
    """Reps differ in what they win and in how often the candidate is silent, each by chance."""
    rng = np.random.default_rng(0)
    hits, runs = 0, 600
    for _ in range(runs):
        rep = rng.integers(0, 12, 500)
        share = rng.beta(2, 5, 12)[rep]
        silent = rng.random(500) < rng.beta(2, 8, 12)[rep]
        won = (rng.random(500) < share).astype(float)
        hits += silence(silent, won, [np.arange(500), rep]).p_value < SILENCE_LEVEL
    assert hits / runs <= 0.02


def test_it_finds_silence_that_goes_with_the_outcome():
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(100):
        rep = rng.integers(0, 12, 500)
        won = (rng.random(500) < rng.beta(2, 5, 12)[rep]).astype(float)
        silent = rng.random(500) < np.where(won == 1, 0.05, 0.25)
        found += silence(silent, won, [np.arange(500), rep]).p_value < SILENCE_LEVEL
    assert found / 100 > 0.9


def test_one_cluster_that_holds_all_silence_cannot_be_told_from_what_it_is():
    period = np.repeat(np.arange(4), 50)
    won = np.where(period == 0, 1.0, 0.0)
    assert np.isnan(silence(period == 0, won, [np.arange(200), period]).p_value)
    assert silence(period == 0, won, [np.arange(200)]).p_value == 0


def test_nothing_that_varies_is_no_difference():
    silent = np.arange(40) % 4 == 0
    assert silence(silent, np.ones(40), [np.arange(40)]).p_value == 1
