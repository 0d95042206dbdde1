"""Falls beside the own past: what is found, and how many false alarms a review raises."""

import numpy as np
import pytest

from forecasteval.inference.unusual import falls, per_review


def normal_life(rng, units, weeks, *, overdispersed=False, trend=False, season=False, alike=False):
    """Counts in which nothing happens but what always happens."""
    t = np.arange(weeks)
    mu = np.exp(rng.normal(np.log(5), 0.6, units))[:, None] * np.ones((1, weeks))
    if trend:
        mu = mu * np.exp(-0.5 * (t - weeks) / 52)
    if season:
        mu = mu * (1 + 0.5 * np.sin(2 * np.pi * (t + rng.integers(52)) / 52))
    if alike:
        e = np.zeros((units, weeks))
        for k in range(1, weeks):
            e[:, k] = 0.8 * e[:, k - 1] + 0.6 * rng.normal(size=units)
        mu = mu * np.exp(0.3 * e)
    if overdispersed:
        mu = rng.gamma(2, mu / 2)
    return rng.poisson(mu)


@pytest.mark.parametrize("units", [6, 20, 60])
@pytest.mark.parametrize(
    ("weeks", "life"),
    [
        (64, {}),
        (64, {"season": True, "overdispersed": True}),
        (112, {"season": True, "trend": True, "alike": True}),
    ],
)
def test_a_review_raises_as_many_false_alarms_as_it_says(units, weeks, life):
    rng, wanted, runs = np.random.default_rng([units, weeks]), 0.5, 60
    listed = []
    for _ in range(runs):
        found = falls(normal_life(rng, units, weeks, **life)).score
        listed.append((per_review(found[:, -1], found[:, :-1]) <= wanted).sum())
    error = np.std(listed) / np.sqrt(runs)
    assert abs(np.mean(listed) - wanted) < 3.5 * max(error, np.sqrt(wanted / runs) / 2)


def test_a_fall_by_half_is_found_and_stands_first():
    rng = np.random.default_rng(1)
    counts = normal_life(rng, 12, 80, overdispersed=True)
    counts[3, -4:] = rng.poisson(0.2, 4)
    counts[3, :-4] = rng.poisson(9, 76)
    found = falls(counts).score
    rate = per_review(found[:, -1], found[:, :-1])
    assert np.nanargmin(rate) == 3
    assert rate[3] < 0.25


def test_what_happens_to_all_lists_none_and_is_told():
    counts = np.random.default_rng(2).poisson(20, (8, 60))
    counts[:, -4:] = np.random.default_rng(3).poisson(10, (8, 4))
    found = falls(counts)
    assert not found.seasonal
    assert found.together[-1] < 0.65
    assert (per_review(found.score[:, -1], found.score[:, :-1]) > 0.2).all()


def test_short_rare_and_new_units_are_not_judged():
    counts = np.full((3, 60), 5.0)
    counts[1, :50] = np.nan  # began ten weeks ago
    counts[2] = 0.1  # hardly anything ever
    found = falls(counts)
    assert np.isfinite(found.score[0, -1])
    assert np.isnan(found.score[1:, -1]).all()
    assert np.isnan(falls(np.ones((2, 3))).score).all()


def test_per_review_counts_ties_against_the_unit():
    assert per_review([1.0], [[1.0] * 9]).tolist() == [1.0]
    assert np.isnan(per_review([np.nan], [[1.0]])).all()
