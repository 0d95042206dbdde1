"""Intervals for a number of a lognormal population that is known by a few of its values."""

import numpy as np
import pytest
from scipy import stats

from forecasteval.inference.lognormal import lognormal_interval


@pytest.mark.parametrize("n", [4, 8, 40])
def test_of_the_median_it_is_students_interval_of_the_logs(n):
    logs = np.random.default_rng(n).normal(0.1, 0.3, n)
    found = np.log(lognormal_interval(np.exp(logs), lambda p: np.median(p, axis=-1), 0.9))
    student = stats.t.interval(0.9, n - 1, logs.mean(), stats.sem(logs))
    assert found == pytest.approx(student, abs=0.02 * (student[1] - student[0]))


def test_it_holds_the_mean_as_often_as_it_says():
    rng, truth, held = np.random.default_rng(0), np.exp(0.4**2 / 2), []
    for _ in range(400):
        low, high = lognormal_interval(np.exp(rng.normal(0, 0.4, 8)), lambda p: p.mean(axis=-1), 0.9)
        held.append(low < truth < high)
    assert np.mean(held) == pytest.approx(0.9, abs=3 * np.sqrt(0.09 / 400))


def test_in_another_unit_it_is_the_same():
    few = np.array([0.8, 0.9, 1.0, 1.1, 1.25])
    cents, units = (lognormal_interval(unit * few, lambda p: p.mean(axis=-1)) for unit in (100, 1))
    assert cents == pytest.approx([100 * v for v in units])
