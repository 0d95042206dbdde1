"""The size from which on a model is better: the answer and its error rate."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.compare.crossing import Crossing, crossing
from forecasteval.compare.verdicts import BASELINE, CANDIDATE, UNSURE
from forecasteval.scores.probability import METRICS


def verdicts(found):
    return {n: SimpleNamespace(verdict=v) for n, v in found.items()}


@pytest.mark.parametrize(
    ("found", "answer"),
    [
        ({50: UNSURE, 100: CANDIDATE, 200: CANDIDATE}, 100),
        ({50: CANDIDATE, 100: UNSURE, 200: CANDIDATE}, 200),  # 50 may be luck: 100 was not better
        ({50: CANDIDATE, 100: CANDIDATE, 200: UNSURE}, None),
        ({50: BASELINE, 100: BASELINE}, None),
        ({100: CANDIDATE, 50: CANDIDATE}, 50),
        ({}, None),
    ],
)
def test_the_answer_is_the_smallest_size_of_an_unbroken_run(found, answer):
    assert crossing(verdicts(found)) == answer


def test_a_lead_that_is_not_there_is_seldom_found_at_a_smaller_size():
    """The largest size is truly better, the smaller ones are exactly as good as the baseline."""
    rng = np.random.default_rng(11)
    runs, n, hits = 200, 600, 0
    rep = np.repeat(np.arange(20), n // 20)
    for _ in range(runs):
        truth = rng.uniform(0.1, 0.6, n)
        bias = rng.normal(0, 0.08, (3, 20))[:, rep]  # of reps' own, equally wide for all
        said = (truth + bias + rng.normal(0, 0.05, (3, n))).clip(0, 1)
        said[2] = truth
        table = pd.DataFrame({"deal_id": range(n), "rep": rep, "won": (rng.random(n) < truth).astype(int)})
        table = table.assign(**{f"c{i}": p for i, p in enumerate(said)})
        found = {i: fe.compare(table, f"c{i}", "c0", metrics=["brier"]) for i in (1, 2)}
        hits += crossing(found) == 1
    assert hits / runs < 0.025 + 3 * np.sqrt(0.025 * 0.975 / runs)


def worked_out(found, metric="brier"):
    """Sizes with difference and verdict."""
    return {
        n: SimpleNamespace(verdict=v, primary={"difference": d, "better": METRICS[metric].better})
        for n, (d, v) in found.items()
    }


@pytest.mark.parametrize(
    ("found", "value", "low", "high"),
    [
        (
            {50: (0.1, BASELINE), 100: (0.02, UNSURE), 200: (-0.02, UNSURE), 400: (-0.1, CANDIDATE)},
            141.4,
            50,
            400,
        ),
        ({50: (0.1, BASELINE), 100: (0.05, BASELINE), 200: (0.01, UNSURE)}, None, 100, None),  # open above
        ({50: (-0.1, CANDIDATE), 100: (-0.1, CANDIDATE)}, None, None, 50),  # open below
        ({50: (0.1, UNSURE), 200: (-0.1, UNSURE)}, 100, None, None),  # open at both ends
        ({50: (0.1, BASELINE), 100: (-0.1, UNSURE), 200: (0.1, BASELINE)}, None, 50, None),  # no unbroken run
        ({50: (np.nan, UNSURE)}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_the_crossing_has_an_interval_that_may_be_open(found, value, low, high):
    at = Crossing.of(worked_out(found))
    assert (at.low, at.high) == (low, high)
    assert at.value == (None if value is None else pytest.approx(value, rel=1e-3))


def test_a_score_of_which_more_is_better_crosses_from_below():
    up = {50: (-0.1, BASELINE), 200: (0.1, CANDIDATE)}
    assert Crossing.of(worked_out(up, "auc")) == Crossing(pytest.approx(100), 50, 200)
