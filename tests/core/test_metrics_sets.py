"""What is said of many images: intervals, uncertainty, alternatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recolor_core.metrics import (
    best_of_n,
    bootstrap_interval,
    difference_of_means,
    mean_of_differences,
    ratio_of_means,
    reliability,
    risk_coverage,
    sigma_ratio,
    wilson_interval,
)


def rng(seed=0):
    return np.random.default_rng(seed)


# Intervals


def test_bootstrap_interval_of_a_mean_is_that_of_theory():
    values = np.random.default_rng(1).normal(5, 2, 400)
    mean, low, high = bootstrap_interval(values)
    assert mean == pytest.approx(values.mean())
    error = values.std() / 20
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.04)
    assert bootstrap_interval(values) == (mean, low, high)  # repeatable


def test_bootstrap_interval_agrees_with_scipy():
    values = rng().exponential(size=60)  # skewed: the interval is not symmetric
    mean, low, high = bootstrap_interval(values, draws=20_000)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=rng(1)
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(expected), abs=0.01)
    assert high - mean > mean - low


def test_bootstrap_interval_of_a_ratio_leaves_out_what_has_no_value():
    pairs = np.array([[1.0, 2.0], [3.0, 6.0], [np.nan, 1.0]])
    assert bootstrap_interval(pairs, ratio_of_means) == pytest.approx((0.5, 0.5, 0.5))
    assert np.isnan(bootstrap_interval(np.array([np.nan]))).all()


def test_statistics_of_pairs_by_hand():
    pairs = np.array([[1.0, 3.0], [5.0, 3.0], [9.0, 3.0]])
    assert difference_of_means(pairs) == 2
    assert mean_of_differences(pairs) == pytest.approx(10 / 3)
    assert ratio_of_means(pairs) == pytest.approx(5 / 3)
    both = np.stack((pairs, pairs[:, ::-1]))
    assert ratio_of_means(both) == pytest.approx(np.array([5 / 3, 3 / 5]))
    assert difference_of_means(both).tolist() == [2, 2]


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_the_difference_of_means_is_at_most_the_mean_of_differences(seed, count):
    pairs = rng(seed).normal(size=(count, 2))
    assert difference_of_means(pairs) <= mean_of_differences(pairs) + 1e-12


@pytest.mark.slow
@given(st.integers(1, 300), st.data(), st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_interval_agrees_with_scipy(trials, data, level):
    successes = data.draw(st.integers(0, trials))
    share, low, high = wilson_interval(successes, trials, level)
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    assert share == successes / trials
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= share <= high <= 1


def test_wilson_interval_at_the_ends():
    assert wilson_interval(0, 10)[1] == 0
    assert wilson_interval(10, 10)[2] == 1
    assert wilson_interval(0, 0)[1:] == (0, 1)
    assert np.isnan(wilson_interval(0, 0)[0])
    with pytest.raises(ValueError, match="from 0 to 10 trials, got 11"):
        wilson_interval(11, 10)
    with pytest.raises(ValueError, match="got -1"):
        wilson_interval(-1, 10)


# Risk and coverage


def test_risk_coverage_by_hand():
    curve = risk_coverage(np.array([4.0, 1.0, 3.0, 2.0]), np.array([0.4, 0.2, 0.1, 0.3]), points=4)
    # kept in this order: 3, 1, 2, 4
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert curve.risk == pytest.approx(np.array([3, 2, 2, 2.5]))
    assert curve.ideal == pytest.approx(np.array([1, 1.5, 2, 2.5]))
    assert curve.area == pytest.approx(9.5 / 4)
    assert curve.ideal_area == pytest.approx(7 / 4)
    assert curve.skill == pytest.approx((2.5 - 9.5 / 4) / (2.5 - 7 / 4))


def test_risk_coverage_agrees_with_sorting_one_by_one():
    error, uncertainty = rng().exponential(size=(2, 237))
    curve = risk_coverage(error, uncertainty, points=50)
    risks = [error[uncertainty <= limit].mean() for limit in np.sort(uncertainty)]
    assert curve.area == pytest.approx(np.mean(risks))
    kept = np.rint(curve.coverage * 237).astype(int)
    assert curve.risk == pytest.approx(np.array(risks)[kept - 1])
    assert len(kept) == 50
    assert (np.diff(curve.ideal) >= 0).all()
    assert (curve.ideal <= curve.risk + 1e-12).all()


def test_skill_is_one_of_the_ideal_zero_of_none_and_negative_of_the_reverse():
    error = rng().exponential(size=(40, 50))
    assert risk_coverage(error, error**2).skill == pytest.approx(1)
    assert risk_coverage(error, rng(1).random(error.shape)).skill == pytest.approx(0, abs=0.05)
    assert risk_coverage(error, -error).skill < -1
    assert np.isnan(risk_coverage(np.ones(5), np.arange(5.0)).skill)


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_equal_uncertainties_gain_nothing_by_the_order_they_come_in(order):
    error = np.sort(rng().exponential(size=1000))[:: 1 if order == "ascending" else -1]
    curve = risk_coverage(error, np.full(1000, 7.0))
    assert curve.risk == pytest.approx(np.full(100, error.mean()))
    assert curve.skill == pytest.approx(0, abs=1e-12)


def test_what_has_no_value_is_left_out():
    error, sigma = np.array([1.0, np.nan, 2.0]), np.array([1.0, 0.0, np.nan])
    assert risk_coverage(error, sigma).risk.tolist() == [1]
    assert sigma_ratio(error, sigma) == 1
    with pytest.raises(ValueError, match="at least one error"):
        risk_coverage(error[1:], sigma[1:])
    with pytest.raises(ValueError, match=r"got \(2,\) for \(3,\)"):
        sigma_ratio(error, sigma[1:])


# How large the stated errors are


def test_a_calibrated_sigma_is_found_calibrated():
    sigma = rng().uniform(1, 20, 40_000)
    error = np.abs(rng(1).normal(0, sigma))
    assert sigma_ratio(error, sigma) == pytest.approx(1, abs=0.02)
    table = reliability(error, sigma)
    assert table.count.tolist() == [4000] * 10
    assert table.error == pytest.approx(table.sigma, rel=0.05)
    assert table.calibration_error < 0.03
    assert (np.diff(table.sigma) > 0).all()


def test_half_the_sigma_is_overconfident_by_two():
    error = np.full(100, 6.0)
    assert sigma_ratio(error, np.full(100, 3.0)) == 2
    assert reliability(error, np.full(100, 3.0)).calibration_error == pytest.approx(1)


def test_reliability_by_hand_and_with_equal_sigmas():
    table = reliability(np.array([3.0, 4.0, 12.0]), np.array([2.0, 2.0, 10.0]), bins=2)
    assert table.count.tolist() == [2, 1]
    assert table.sigma == pytest.approx(np.array([2, 10]))
    assert table.error == pytest.approx(np.array([np.sqrt(12.5), 12]))
    assert table.calibration_error == pytest.approx((np.sqrt(12.5) / 2 - 1 + 0.2) / 2)
    for sigma, count in (([2, 10, 10], [1, 2]), ([2, 2, 2, 10], [3, 1]), ([2, 10, 10, 10], [1, 3])):
        assert reliability(np.ones(len(sigma)), np.array(sigma), bins=2).count.tolist() == count
    one = reliability(np.array([3.0, 4.0]), np.array([2.0, 2.0]), bins=10)
    assert one.count.tolist() == [2]
    assert (one.sigma[0], one.error[0]) == (2, pytest.approx(np.sqrt(12.5)))


def test_certain_and_right_is_calibrated_and_certain_and_wrong_infinitely_not():
    table = reliability(np.array([1.0, 1.0]), np.array([0.0, 1.0]), bins=2)
    assert table.calibration_error == np.inf


# Alternatives


def test_best_of_n_by_hand():
    errors = np.array([[3.0, 1.0], [2.0, 5.0], [4.0, 0.5]])
    assert best_of_n(errors).tolist() == [[3, 1], [2, 1], [2, 0.5]]


@given(st.integers(0, 10_000))
def test_best_of_n_never_grows_and_ends_at_the_least(seed):
    errors = rng(seed).random((6, 4))
    best = best_of_n(errors)
    assert (np.diff(best, axis=0) <= 0).all()
    assert (best[-1] == errors.min(axis=0)).all()
