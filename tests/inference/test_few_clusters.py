"""Intervals that expect clusters to differ: degrees of freedom, skewness, lean, and arms that follow from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasteval.inference import few_clusters as caution
from forecasteval.inference import jackknife as iv

sums = st.lists(
    st.tuples(st.floats(-5, 5, allow_nan=False), st.floats(0.1, 20)), min_size=3, max_size=30
).map(lambda pairs: tuple(np.array(column) for column in zip(*pairs, strict=True)))


@given(sums, st.lists(st.floats(0.01, 50), min_size=30, max_size=30))
def test_satterthwaite_agrees_with_the_matrices(xz, variances):
    w = xz[1] / xz[1].sum()
    v = np.array(variances[: w.size])
    residuals = np.eye(w.size) - np.outer(w, np.ones(w.size))
    k = np.diag(1 / (1 - w))
    c = k @ residuals @ np.diag(v) @ residuals.T @ k
    assert caution.satterthwaite_df(w, v) == pytest.approx(np.trace(c) ** 2 / np.trace(c @ c), rel=1e-8)


@given(sums)
def test_without_cluster_effects_satterthwaite_is_bell_mccaffrey(xz):
    w = xz[1] / xz[1].sum()
    assert caution.satterthwaite_df(w, 7 * w) == pytest.approx(iv.bell_mccaffrey_df(w), rel=1e-8)


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
    """The standard deviation, over many samples, of the estimate before it is cut off at zero."""
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
    assert by_chance.mean() == pytest.approx(uncut.std(), rel=0.1)


variances = st.tuples(st.floats(0, 1), st.floats(0, 1))


@given(variances, variances)
def test_lean_points_to_the_forecaster_whose_bias_varies_more(mine, theirs):
    found = caution.lean(mine, theirs)
    assert -1 <= found <= 1
    assert found == -caution.lean(theirs, mine)
    assert found * (mine[0] - theirs[0]) >= 0


@given(st.floats(-3, 3), st.floats(0.01, 2), st.floats(2, 60), st.floats(-1, 1), st.floats(0.5, 0.999))
def test_a_lean_lengthens_one_arm_and_leaves_the_other_to_student(estimate, se, df, lean, level):
    plain = iv.t_interval(estimate, iv.Spread(se, df, ""), level)
    leant = caution.interval(estimate, iv.Spread(se, df, "", lean=lean), level)
    half = estimate - plain.low
    longer = (1 + caution.LEAN_GAIN * abs(lean)) * half
    down, up = (half, longer) if lean > 0 else (longer, half)
    assert (leant.low, leant.high) == (pytest.approx(estimate - down), pytest.approx(estimate + up))


@given(st.floats(-3, 3), st.floats(2, 60), st.floats(-1, 1), st.floats(-1, 1), st.floats(0.5, 0.999))
def test_the_p_value_says_what_the_interval_says(estimate, df, skewness, lean, level):
    i = caution.interval(estimate, iv.Spread(1.0, df, "", skewness=skewness, lean=lean), level)
    if min(abs(i.low), abs(i.high)) > 1e-9:
        assert (i.p_value < 1 - level) == (i.low > 0 or i.high < 0)


@given(st.floats(-4, 4), st.floats(-0.6, 0.6))
def test_the_skewed_quantile_undoes_halls_transform(q, a):
    t = caution._skewed_quantile(q, a)
    assert t + a * t**2 / 3 + a**2 * t**3 / 27 + a / 6 == pytest.approx(q, abs=1e-7)


@given(st.floats(-3, 3), st.floats(0.01, 2), st.floats(2, 60), st.floats(-1, 1), st.floats(0.5, 0.999))
def test_skewness_lengthens_one_arm_and_mirrors(estimate, se, df, skewness, level):
    plain = caution.interval(estimate, iv.Spread(se, df, ""), level)
    skewed = caution.interval(estimate, iv.Spread(se, df, "", skewness=skewness), level=level)
    mirror = caution.interval(-estimate, iv.Spread(se, df, "", skewness=-skewness), level=level)
    half = estimate - plain.low
    assert skewed.low <= plain.low + 1e-12
    assert skewed.high >= plain.high - 1e-12
    assert skewed.high - estimate <= caution.LONGEST_ARM * half + 1e-9
    assert (mirror.low, mirror.high) == (pytest.approx(-skewed.high), pytest.approx(-skewed.low))
    assert mirror.p_value == pytest.approx(skewed.p_value)


def test_fewer_degrees_widen_an_interval_and_no_spread_gives_none():
    plain = caution.interval(1.0, iv.Spread(1.0, 10, "rep"))
    cautious = caution.interval(1.0, iv.Spread(1.0, 10, "rep", cautious_df=4))
    assert cautious.low < plain.low
    assert cautious.high > plain.high
    assert cautious.p_value > plain.p_value
    assert np.isnan(caution.interval(1.0, iv.Spread(0.0, 10, "rep")).low)
