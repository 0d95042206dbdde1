"""One change per unit, two groups: known answers, invariants, and how often nothing is called an effect."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasteval.inference.difference_in_differences import difference_in_differences, restricted_mean

CHANGES = st.lists(st.floats(-50, 50).map(lambda v: round(v, 3)), min_size=8, max_size=20)


def test_the_standard_error_is_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(1, 2, 7), rng.normal(0, 1, 15)
    found = difference_in_differences(np.append(a, b), np.ones(22), np.arange(22) < 7)
    t = stats.ttest_ind(a, b, equal_var=False)
    assert found.value / found.se == pytest.approx(t.statistic, rel=1e-12)


def test_degrees_of_freedom_of_imbens_and_kolesar():
    """Their table 1: 3 treated of 30 have 2.5; and equal groups have those of the pooled t test: where both vary alike."""
    rng = np.random.default_rng(2)
    alike = [stats.zscore(rng.normal(size=n), ddof=1) for n in (3, 27)]
    found = difference_in_differences(np.concatenate(alike), np.ones(30), np.arange(30) < 3)
    assert round(found.df, 1) == 2.5
    even = difference_in_differences([3.0, 5.0, 4.0, 1.0, 0.0, 2.0], np.ones(6), np.arange(6) < 3)
    assert even.df == pytest.approx(4)


def test_where_the_treated_vary_more_the_df_are_welchs():
    a, b = np.array([-30.0, 0.0, 40.0]), np.arange(17.0)
    found = difference_in_differences(np.append(a, b), np.ones(20), np.arange(20) < 3)
    assert found.df == pytest.approx(stats.ttest_ind(a, b, equal_var=False).df)
    assert found.p_value == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_weights_by_cases_give_the_coefficient_of_the_regression_case_by_case():
    import pandas as pd
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"unit": rng.integers(0, 9, 400), "after": rng.integers(0, 2, 400)})
    rows["treated"] = (rows["unit"] < 4).astype(int)
    rows["y"] = rows["unit"] * 0.3 + rows["after"] * (0.5 + 0.7 * rows["treated"]) + rng.normal(size=400)
    cells = rows.pivot_table(index="unit", columns="after", values="y", aggfunc=["mean", "size"])
    n0, n1 = cells["size"][0], cells["size"][1]
    found = difference_in_differences(
        cells["mean"][1] - cells["mean"][0], n0 * n1 / (n0 + n1), cells.index < 4
    )
    fit = smf.ols("y ~ C(unit) + after + after:treated", rows).fit()
    assert found.value == pytest.approx(fit.params["after:treated"], rel=1e-10)


@given(CHANGES, st.floats(-100, 100), st.floats(0.1, 10))
def test_what_happens_to_all_cancels_and_units_do_not_matter(changes, shift, scale):
    d, treated = np.array(changes), np.arange(len(changes)) < 4
    w = np.ones(len(d))
    one = difference_in_differences(d, w, treated)
    other = difference_in_differences(scale * (d + shift), w * 3, treated)
    assert other.value == pytest.approx(scale * one.value, abs=1e-9 * scale * (abs(shift) + 60))
    swapped = difference_in_differences(d, w, ~treated)
    assert swapped.value == pytest.approx(-one.value)
    if one.has_interval and one.se > 1e-6:
        assert swapped.low == pytest.approx(-one.high)


@pytest.mark.parametrize(("treated", "of"), [(1, 20), (2, 20), (19, 20), (20, 20)])
def test_few_units_on_a_side_give_no_interval(treated, of):
    found = difference_in_differences(np.arange(of) % 7.0, np.ones(of), np.arange(of) < treated)
    assert not found.has_interval
    assert found.reasons[0]["code"] in ("too_few_treated", "too_few_others")


@pytest.mark.parametrize("more", [1, 3])
@pytest.mark.parametrize(("units", "treated"), [(6, 3), (20, 10), (20, 4), (60, 30), (60, 6)])
def test_false_alarms_of_a_feature_that_did_nothing(units, treated, more):
    """Units resemble themselves from period to period (AR 0.8), something happens to all at once, and those that are treated may
    vary more: 1,500 runs."""
    rng, runs, periods = np.random.default_rng(units + treated), 1500, 12
    e = np.empty((runs, units, periods))
    e[..., 0] = rng.normal(size=(runs, units))
    for p in range(1, periods):
        e[..., p] = 0.8 * e[..., p - 1] + 0.6 * rng.normal(size=(runs, units))
    e[:, :treated] *= more
    y = e + rng.normal(size=(runs, 1, periods)) + 3.0 * (np.arange(periods) >= 6)
    change = y[..., 6:].mean(axis=2) - y[..., :6].mean(axis=2)
    w, t = np.ones(units), np.arange(units) < treated
    rate = np.mean([difference_in_differences(d, w, t).p_value < 0.05 for d in change])
    assert rate < 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    if 2 * treated == units:
        assert rate > 0.05 - 3 * np.sqrt(0.05 * 0.95 / runs)


def test_restricted_mean_is_the_mean_of_capped_times_without_censoring():
    rng = np.random.default_rng(5)
    t = rng.exponential(10, 500)
    assert restricted_mean(t, np.ones(500, bool), 12.0) == pytest.approx(np.minimum(t, 12).mean())


def test_restricted_mean_agrees_with_kaplan_and_meier_of_statsmodels():
    from statsmodels.duration.survfunc import SurvfuncRight

    rng = np.random.default_rng(6)
    t, c = rng.exponential(10, 300).round(1) + 0.1, rng.uniform(0, 40, 300).round(1) + 0.1
    seen, ended = np.minimum(t, c), t <= c
    km = SurvfuncRight(seen, ended)
    at, s = np.append(0.0, km.surv_times), np.append(1.0, km.surv_prob)
    inside = at < 15
    area = np.sum(s[inside] * np.diff(np.append(at[inside], 15.0)))
    assert restricted_mean(seen, ended, 15.0) == pytest.approx(area, rel=1e-10)
    assert np.mean(np.minimum(seen, 15)) < area  # leaving out the censored ones' rest would make it too short
