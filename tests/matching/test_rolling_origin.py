"""Rolling origin: nothing is learned before it was known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import forecasteval as fe
from forecasteval.matching import rolling_origin
from forecasteval.matching.forecasters import Seen
from forecasteval.matching.match import Panel

ROOT = Path(__file__).parents[2]
AS_OF = "week 4"


@pytest.fixture(scope="module")
def org():
    return fe.read(ROOT / "data" / "demo")


def panel_of(org):
    return Panel(org, as_of=AS_OF).known


def test_nothing_is_learned_before_it_was_known(org):
    panel = panel_of(org)
    pasts = rolling_origin.pasts_of(panel, 0)
    assert len(pasts) == panel["as_of"].nunique()
    for day, train in pasts:
        rows = panel.iloc[train]
        assert (rows["known_on"] <= day).all()
        assert (rows["as_of"] < day).all()
        assert rows["known_on"].is_monotonic_increasing  # so that the last n are the latest known


def test_outcomes_of_the_future_change_nothing_that_was_said_before(org):
    panel = panel_of(org)
    days = sorted(panel["as_of"].unique())
    later = panel["as_of"] >= days[-2]
    lied = panel.assign(won=panel["won"].where(~later, 1 - panel["won"]))
    said = []
    for rows in (panel, lied):
        pasts = [p for p in rolling_origin.pasts_of(rows, 0) if len(p[1]) >= 200]
        table = rolling_origin.roll(rows, pasts, (30, 60, 200), "stage_rate").columns
        said.append(table.set_index(["deal_id", "as_of"])[["model_n30", "model_n200", "stage_rate_n60"]])
    same = said[0].index.get_level_values("as_of") <= days[-2]
    pd.testing.assert_frame_equal(said[0][same], said[1][same])
    assert not np.allclose(said[0][~same], said[1][~same])  # the lie is seen once it was known


def test_one_outcome_only_leaves_the_bare_rate():
    design = np.ones((30, 2)) * np.arange(30)[:, None]
    flat = np.zeros(30, dtype=int)
    past = Seen(design, flat, flat, np.full(30, np.nan), np.zeros(30))
    parameters, speak = rolling_origin.fit(past)
    assert parameters == 0
    assert speak(past, past.unaware()) == pytest.approx(0.5 / 31)
