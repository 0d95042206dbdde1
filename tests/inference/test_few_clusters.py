"""Intervals that expect clusters to differ: what differs, the skewness it may bring, and the arm that follows."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as iv


def test_components_of_variance_are_those_of_a_one_way_layout():
    """Balanced, they are the textbook's mean squares; the truth is found where there are many clusters."""
    rng = np.random.default_rng(0)
    for size, between in ((20, 0.5), (5, 2.0)):
        rows = rng.normal(0, between**0.5, (4000, 1)) + rng.normal(0, 1, (4000, size))
        r = rows - rows.mean()
        found = caution.components(r.sum(1), np.full(4000, size), float(np.square(r).sum()))
        inside = rows.var(axis=1, ddof=1).mean()
        assert found[0] == pytest.approx(inside, rel=1e-9)
        assert found[1] == pytest.approx(rows.mean(1).var(ddof=1) - inside / size, rel=1e-3)
        assert found[:2] == pytest.approx((1, between), rel=0.06)


def test_what_chance_alone_makes_of_clusters_without_effects():
    """What single rows add to the spread of clusters' means is taken away; nothing is left on average."""
    rng = np.random.default_rng(1)
    n = np.array([10, 20, 30, 40, 50, 60])
    rows = np.split(rng.normal(size=(6000, n.sum())), np.cumsum(n)[:-1], axis=1)
    e = np.stack([r.sum(axis=1) for r in rows], axis=1)
    square = sum(np.square(r).sum(axis=1) for r in rows)
    centred = e - n * (e.sum(axis=1) / n.sum())[:, None]
    square = square - n.sum() * np.square(e.sum(axis=1) / n.sum())
    within, between, by_chance = caution.components(centred, n, square)
    around = np.square(centred) @ (1 / n)
    uncut = (around - 5 * within) / (n.sum() - np.square(n).sum() / n.sum())
    assert between == pytest.approx(np.maximum(uncut, 0))
    assert within.mean() == pytest.approx(1, rel=0.01)
    assert uncut.mean() == pytest.approx(0, abs=0.001)
    spare = n.sum() - np.square(n).sum() / n.sum()
    assert by_chance == pytest.approx(around / spare - uncut)


variances = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(variances, variances)
def test_a_tail_points_to_the_forecaster_who_differs_more(mine, theirs):
    found = caution.tail_of_biases(mine, theirs)
    assert -1 <= found <= 1
    assert found == -caution.tail_of_biases(theirs, mine)
    assert found * (mine[0] - theirs[0]) >= 0


@given(st.floats(0, 1), st.floats(0, 1), variances)
def test_losses_that_differ_by_skill_lean_the_same_way(mine, theirs, difference):
    found = caution.tail_of_losses(mine, theirs, difference)
    assert -1 <= found <= 1
    assert found == -caution.tail_of_losses(theirs, mine, difference)
    assert found * (mine - theirs) >= 0


def test_skewness_is_that_of_a_sum_and_fades_with_clusters():
    """A mean of G independent effects with skewness k has skewness k / sqrt(G); unevenness slows that down."""
    rng = np.random.default_rng(3)
    share = np.array([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    sums = rng.exponential(size=(400_000, 6)) @ share
    seen = ((sums - sums.mean()) ** 3).mean() / sums.std() ** 3
    uneven = (share**3).sum() / np.square(share).sum() ** 1.5
    assert seen == pytest.approx(2 * uneven, rel=0.03)
    few = caution.TAIL * (3 / 5) ** 3 * uneven
    assert caution.skewness(share, 1.0) == pytest.approx(few)
    assert caution.skewness(share, 1.0, -1.0) == 0
    assert abs(caution.lean(caution.skewness(np.full(400, 1 / 400), 0.3, 0.0))) < 0.02
    even = [caution.skewness(np.full(g, 1 / g), 0.8) for g in (50, 100, 200, 400)]
    assert all(b == pytest.approx(a / np.sqrt(2), rel=0.15) for a, b in itertools.pairwise(even))


@given(st.floats(-3, 3), st.floats(0.01, 2), st.floats(2, 60), st.floats(-3, 3), st.floats(0.5, 0.999))
def test_skewness_lengthens_one_arm_and_mirrors(estimate, se, df, skew, level):
    plain = caution.interval(estimate, iv.Spread(se, df, ""), level)
    leant = caution.interval(estimate, iv.Spread(se, df, "", skew), level)
    mirror = caution.interval(-estimate, iv.Spread(se, df, "", -skew), level)
    half = estimate - plain.low
    longer = (1 + abs(float(caution.lean(skew)))) * half
    down, up = (half, longer) if skew > 0 else (longer, half)
    assert (leant.low, leant.high) == (pytest.approx(estimate - down), pytest.approx(estimate + up))
    assert max(down, up) <= caution.LONGEST_ARM * half + 1e-9
    assert (mirror.low, mirror.high) == (pytest.approx(-leant.high), pytest.approx(-leant.low))
    assert mirror.p_value == pytest.approx(leant.p_value)


@given(st.floats(-3, 3), st.floats(2, 60), st.floats(-3, 3), st.floats(0.5, 0.999))
def test_the_p_value_says_what_the_interval_says(estimate, df, skew, level):
    i = caution.interval(estimate, iv.Spread(1.0, df, "", skew), level)
    if min(abs(i.low), abs(i.high)) > 1e-9:
        assert (i.p_value < 1 - level) == (i.low > 0 or i.high < 0)


def test_fewer_degrees_widen_an_interval_and_no_spread_gives_none():
    plain = caution.interval(1.0, iv.Spread(1.0, 10, "rep"))
    fewer = caution.interval(1.0, iv.Spread(1.0, 4, "rep"))
    assert fewer.low < plain.low
    assert fewer.high > plain.high
    assert fewer.p_value > plain.p_value
    assert np.isnan(caution.interval(1.0, iv.Spread(0.0, 10, "rep")).low)
