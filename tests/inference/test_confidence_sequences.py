"""Confidence sequences: against numerical integration, against fixed-time intervals, and by simulation."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from forecasteval.inference import confidence_sequences as sq
from forecasteval.inference import jackknife as intervals

cohorts = st.lists(st.tuples(st.floats(-3, 3), st.floats(0.5, 20)), min_size=5, max_size=30).map(
    lambda pairs: tuple(np.array(column) for column in zip(*pairs, strict=True))
)
SEQUENCES = {
    "fixed_time": sq.fixed_time,
    "asymptotic": lambda x, z, **o: sq.asymptotic(x, z, burn_in=2, **o),
    "over_blocks": lambda x, z, **o: sq.over_blocks(x, z, np.arange(x.size) // 4, **o),
    "strict": lambda x, z, **o: sq.empirical_bernstein(x / (10 * z), **o),
    "betting": lambda x, z, **o: sq.betting(x / (10 * z), **o),
}
few = settings(max_examples=30)
each = pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)


# --- known answers: what each multiplier solves, integrated numerically ---------------------------------


@pytest.mark.parametrize("n", [5, 13, 52, 200])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_asymptotic_multiplier_is_robbins_normal_mixture(n, level):
    """The boundary of n unit-variance steps is where the mixture of exp(l S - l^2 n/2) reaches 1/alpha."""
    rho = np.sqrt(sq._mixture_scale(52, level))
    s = float(sq._asymptotic_multiplier(n, level=level)) * np.sqrt(n)

    def integrand(slope):
        return np.exp(slope * s - slope**2 * n / 2) * stats.norm.pdf(slope, scale=rho)

    peak = s / (n + 1 / rho**2)
    value, _ = integrate.quad(integrand, peak - 3, peak + 3, points=[peak], limit=200)
    assert value == pytest.approx(1 / (1 - level), rel=1e-6)


@pytest.mark.parametrize("df", [3, 5, 7, 25])
def test_the_student_multiplier_is_the_mixture_of_noncentral_t(df):
    """An independent road to the same likelihood ratio: densities of the t statistic itself."""
    n, scale = df + 1, 0.28
    t = float(sq._student_multiplier(df, scale=scale))

    def integrand(effect):
        return stats.nct.pdf(t, df, effect * np.sqrt(n)) * stats.norm.pdf(effect, scale=scale**-0.5)

    value, _ = integrate.quad(integrand, -15, 15, points=[0, t / np.sqrt(n)], limit=400)
    assert value / stats.t.pdf(t, df) == pytest.approx(20, rel=1e-4)


@pytest.mark.parametrize(("s", "v"), [(3.0, 0.5), (10.0, 4.0), (0.5, 0.01), (-1.0, 2.0)])
def test_the_strict_mixture_is_its_integral(s, v):
    c, rho = 2.0, 0.8

    def kernel(slope, s, v):
        psi = (-np.log(1 - c * slope) - c * slope) / c**2
        weight = (rho / c**2 - 1) * np.log(1 - c * slope) - rho * (1 - c * slope) / c**2
        return np.exp(slope * s - v * psi + weight)

    top, _ = integrate.quad(kernel, 0, 1 / c, args=(s, v), limit=500)
    bottom, _ = integrate.quad(kernel, 0, 1 / c, args=(0.0, 0.0), limit=500)
    assert sq._log_mixture(s, v, c, rho) == pytest.approx(np.log(top / bottom), rel=1e-5)


def test_multipliers_and_scales_are_those_of_the_papers():
    assert sq._student_multiplier([2, 3, 5, 7], scale=0.25).round(2).tolist() == [np.inf, 7.21, 4.73, 4.2]
    assert round(sq._student_scale(6), 2) == 0.28
    assert round(52 * sq._mixture_scale(52), 3) == 7.936
    assert sq._asymptotic_multiplier([13, 26, 52, 104]).round(2).tolist() == [3.26, 3.08, 3.04, 3.06]


def test_width_at_the_tuning_point_is_that_of_the_method():
    """methods.md: 1.55 times the interval of one look."""
    ratio = sq._asymptotic_multiplier(52) / stats.norm.ppf(0.975)
    assert float(ratio) == pytest.approx(1.55, abs=0.005)


@few
@given(cohorts)
def test_the_fixed_time_interval_is_the_packages_own_at_every_look(xz):
    x, z = xz
    band = sq.fixed_time(x, z)
    for n in range(2, x.size + 1):
        ratio = x[:n].sum() / z[:n].sum()
        se = intervals.cr3j(ratio, intervals.leave_one_out(x[:n], z[:n]))
        df = intervals.bell_mccaffrey_df(z[:n] / z[:n].sum())
        half = intervals.t_quantile(0.975, df) * se
        assert band.estimate[n - 1] == pytest.approx(ratio, abs=1e-9)
        assert band.high[n - 1] - ratio == pytest.approx(half, rel=1e-5, abs=1e-7)


def test_over_blocks_sees_only_the_sums_of_blocks():
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=30), rng.uniform(1, 5, 30)
    block = np.repeat(["q3", "q1", "q2", "q5", "q4", "q6"], 5)
    band = sq.over_blocks(x, z, block)
    bx, bz = x.reshape(6, 5).sum(axis=1), z.reshape(6, 5).sum(axis=1)
    ratio = bx.sum() / bz.sum()
    se = intervals.cr3j(ratio, intervals.leave_one_out(bx, bz))
    reach = sq._student_multiplier(
        intervals.bell_mccaffrey_df(bz / bz.sum()), scale=sq._student_scale(sq.BLOCKS.tuned_for)
    )
    assert band.high[-1] - ratio == pytest.approx(float(reach) * se)
    assert np.isinf(band.high[:15]).all()  # three blocks tell nothing
    assert np.isinf(sq.over_blocks(x, z, block, level=0.6).high[:15]).all()  # at any level
    assert np.isfinite(band.high[18:]).all()


# --- invariants -----------------------------------------------------------------------------------------


@each
@few
@given(xz=cohorts)
def test_swapping_the_forecasters_flips_the_sign(sequence, xz):
    x, z = xz
    ours, theirs = sequence(x, z), sequence(-x, z)
    np.testing.assert_allclose(ours.low, -theirs.high, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(ours.estimate, -theirs.estimate, atol=1e-12)


@each
@few
@given(xz=cohorts, more=cohorts)
def test_what_was_said_at_a_look_does_not_change_later(sequence, xz, more):
    x, z = xz
    before, after = sequence(x, z), sequence(np.append(x, more[0]), np.append(z, more[1]))
    for end in ("estimate", "low", "high"):
        np.testing.assert_allclose(getattr(after, end)[: x.size], getattr(before, end), rtol=1e-7, atol=1e-9)


@each
@few
@given(xz=cohorts)
def test_a_higher_level_is_wider(sequence, xz):
    x, z = xz
    wide, narrow = sequence(x, z, level=0.99), sequence(x, z, level=0.8)
    assert (wide.high >= narrow.high - 1e-12).all()


@few
@given(cohorts, st.floats(0.01, 100))
def test_counting_in_another_unit_changes_nothing(xz, unit):
    x, z = xz
    a, b = sq.asymptotic(x, z, burn_in=2), sq.asymptotic(x * unit, z * unit, burn_in=2)
    np.testing.assert_allclose(a.high, b.high, rtol=1e-6, atol=1e-9)


@few
@given(cohorts)
def test_all_looks_together_cost_more_than_one(xz):
    x, z = xz
    one, all_ = sq.fixed_time(x, z), sq.asymptotic(x, z, burn_in=2)
    formed = np.isfinite(all_.high) & np.isfinite(one.high)
    assert (all_.high[formed] >= one.high[formed] - 1e-12).all()


def test_nothing_is_said_during_the_burn_in():
    band = sq.asymptotic(np.arange(20.0), np.ones(20), burn_in=13)
    assert np.isinf(band.high[:12]).all()
    assert np.isfinite(band.high[12:]).all()


def test_identical_forecasters_give_exactly_zero():
    band = sq.over_blocks(np.zeros(20), np.ones(20), np.arange(20) // 4)
    assert (band.low[-1], band.estimate[-1], band.high[-1]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sq.asymptotic([1.0], [1.0, 2.0]), "same length"),
        (lambda: sq.asymptotic([1.0, 2.0], [1.0, 0.0]), "weight above 0"),
        (lambda: sq.fixed_time([np.nan, 2.0], [1.0, 1.0]), "finite sum"),
        (lambda: sq.over_blocks([1.0, 2.0], [1.0, 1.0], [1, 2], level=95), "between 0.5 and 1"),
        (lambda: sq.empirical_bernstein([0.2, 1.5]), "outside the bound of 1"),
        (lambda: sq.betting([0.2, -0.6], bound=0.5), "outside the bound of 0.5"),
    ],
)
def test_what_cannot_be_used_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


# --- the guarantee, by simulation (tests/benchmarks/false_alarms_weekly.py prints the table) --------------


def test_normal_blocks_are_exact():
    """Five in a hundred at most, at any of 40 looks; and not so few that nothing is tested."""
    rng = np.random.default_rng(5)
    runs = 1500
    missed = 0
    for _ in range(runs):
        band = sq.over_blocks(rng.normal(0, 2, 40), np.ones(40), np.arange(40))
        missed += ((band.low > 0) | (band.high < 0)).any()
    assert 0.01 < missed / runs < 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_the_strict_sequence_holds_for_bounded_differences():
    rng = np.random.default_rng(6)
    missed = 0
    for _ in range(60):
        band = sq.empirical_bernstein(rng.choice([-1.0, 0.25], 60, p=[0.2, 0.8]))
        missed += ((band.low > 0) | (band.high < 0)).any()
    assert missed / 60 <= 0.05


@pytest.mark.parametrize("law", ["narrow", "skewed"])
def test_the_betting_sequence_holds_for_a_constant_mean(law):
    """Whatever happened before: the spread of each cohort follows the last one, the mean does not."""
    rng = np.random.default_rng(8)
    runs, missed = 60, 0
    for _ in range(runs):
        if law == "skewed":
            d = rng.choice([-1.0, 0.25], 60, p=[0.2, 0.8])
        else:
            d = np.zeros(60)
            for i in range(1, 60):
                d[i] = rng.choice([-1, 1]) * (0.05 if d[i - 1] <= 0 else 0.4)
        band = sq.betting(d)
        missed += ((band.low > 0) | (band.high < 0)).any()
    assert missed / runs <= 0.05


def test_where_the_mean_drifts_a_bet_is_won_by_some_weeks_and_lost_again():
    """For 60 weeks 0.3, for 60 weeks -0.3: the bet is told at half-time, and the average of all lies inside."""
    band = sq.betting(np.repeat([0.3, -0.3], 60))
    assert band.low[59] > 0 >= band.low[-1]


def test_betting_is_exact_for_one_certain_cohort():
    """One cohort at the bound: 1 + f (1 - m)/(1 + m) averaged over the shares reaches 40."""
    low = float(sq.betting([1.0]).low[0])
    assert np.mean(1 + sq._STAKES * ((1 - low) / (1 + low))) == pytest.approx(40)


@few
@given(cohorts)
def test_the_order_of_cohorts_does_not_matter_to_a_bet_and_the_average_lies_inside(xz):
    d = xz[0] / 3
    one, other = sq.betting(d), sq.betting(d[::-1])
    assert one.low[-1] == pytest.approx(other.low[-1], abs=1e-9)
    assert ((one.low <= one.estimate + 1e-9) & (one.estimate <= one.high + 1e-9)).all()


@few
@given(cohorts, st.floats(0.2, 50))
def test_the_bound_is_only_a_unit(xz, unit):
    d = xz[0] / 3
    a, b = sq.betting(d), sq.betting(d * unit, bound=unit)
    np.testing.assert_allclose(a.high * unit, b.high, rtol=1e-6, atol=1e-8 * unit)


def simulation(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    return importlib.import_module("false_alarms_weekly")


@pytest.mark.parametrize("shock", [0.0, 0.3])
def test_a_weekly_report_seldom_cries_wolf(shock, monkeypatch):
    """Early wins, late losses, drawn reps, 104 looks: naive looks fail badly, the sequences do not."""
    lab = simulation(monkeypatch)
    rng, runs = np.random.default_rng(7), 250
    false = {"naive": 0, "weeks": 0, "quarters": 0}
    for _ in range(runs):
        x, z, *_ = lab.history(rng, lab.World(shock))
        found = lab._quick(x, z)
        for name in false:
            false[name] += lab.told(found[name]).any()
    allowed = 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
    assert false["naive"] / runs > 0.18
    assert false["quarters"] / runs < allowed
    if not shock:
        assert false["weeks"] / runs < allowed
    else:  # the reason why the default counts quarters
        assert false["weeks"] / runs > 0.15
