"""What learns from a flat table sees only what was known by then."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasteval.matching.earlier import KNOWN_AFTER, in_time, learned, looks
from forecasteval.matching.forecasters import BurnIn
from forecasteval.matching.matched import Matched

FEW = BurnIn(40, 5, 5)


def leads(rows=600, seed=1, days=500):
    rng = np.random.default_rng(seed)
    as_of = pd.Series(
        pd.Timestamp("2025-01-01") + pd.to_timedelta(np.sort(rng.integers(0, days, rows)), unit="D")
    )
    points = rng.integers(0, 6, rows) * 10.0
    won = (rng.random(rows) < 1 / (1 + np.exp(2 - points / 15))).astype(int)
    table = pd.DataFrame(
        {
            "deal_id": range(rows),
            "as_of": as_of,
            "points": points,
            "kind": rng.choice(list("ab"), rows),
            "won": won,
        }
    )
    return Matched(
        table.assign(size=rng.normal(size=rows)), features=["size", "kind"], more={KNOWN_AFTER: 30}
    )


@settings(max_examples=4)
@given(st.integers(0, 599))
def test_what_became_of_a_lead_changes_nothing_that_was_said_before_that_was_known(at):
    matched = leads()
    table = matched.table.copy()
    table.loc[at:, "won"] = 1 - table.loc[at:, "won"]
    turned = Matched(table, features=matched.features, more=matched.more)
    one, other = (
        learned(m, ["points", "model"], burn_in=FEW).table.set_index("deal_id") for m in (matched, turned)
    )
    early = one.index[looks(matched)["as_of"][one.index] < table["as_of"][at] + pd.Timedelta(days=30)]
    pd.testing.assert_frame_equal(
        one.loc[early, ["points", "model"]], other.reindex(early)[["points", "model"]]
    )


def test_points_become_the_share_of_such_leads_that_converted():
    said = learned(leads(6000), ["points"], burn_in=FEW).table.tail(2000)
    raw = leads(6000).table.tail(2000)["points"].to_numpy()
    for points, p in said.groupby(raw)["points"].mean().items():
        assert p == pytest.approx(1 / (1 + np.exp(2 - points / 15)), abs=0.03)


def test_each_value_of_a_column_is_learned_by_itself_once_it_has_enough():
    matched = leads(3000)
    turned = matched.table.assign(
        won=matched.table["won"].where(matched.table["kind"] == "a", 1 - matched.table["won"])
    )
    said = learned(Matched(turned, more=matched.more), ["points"], by="kind", burn_in=FEW).table.tail(500)
    raw = matched.table.set_index("deal_id").loc[said["deal_id"], "points"].to_numpy()
    slopes = {
        k: np.corrcoef(raw[g.to_numpy()], said.loc[g, "points"])[0, 1]
        for k, g in {k: said["kind"] == k for k in "ab"}.items()
    }
    assert slopes["a"] > 0.9
    assert slopes["b"] < -0.9


def test_the_rows_before_the_burn_in_are_a_step_of_the_flow():
    found = learned(leads(), ["points"], burn_in=FEW)
    step = found.flow[-1]
    assert step["deals"] + step["dropped"] == 600
    assert 30 < step["dropped"] < 200
    assert found.table["points"].notna().all()


def test_a_silent_score_stays_silent_and_a_table_without_dates_is_fitted_out_of_fold():
    matched = leads()
    table = matched.table.assign(
        points=matched.table["points"].mask(matched.table.index % 5 == 0), as_of=pd.NaT
    )
    bare = Matched(table, features=matched.features)
    assert not in_time(bare)
    found = learned(bare, ["points", "model"], burn_in=FEW)
    assert len(found.table) == 600
    assert found.table["points"].isna().sum() == 120
    assert "never saw it" in found.forecasters["model"]["gloss"]
