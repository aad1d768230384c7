"""Intervals are those of the literature, as far as a library has them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp, ttest_ind

from search.insight.intervals import Interval, Sums, mean_difference, share_difference, wilson

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
VALUES = st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=3, max_size=30)


def ones(successes: int, n: int) -> Sums:
    return Sums.of(np.repeat([1.0, 0.0], [successes, n - successes]))


@given(COUNTS, st.sampled_from([0.05, 0.01, 1e-4]))
def test_a_share_s_interval_is_wilson_s(counted: tuple[int, int], level: float) -> None:
    wanted = binomtest(*counted).proportion_ci(1 - level, method="wilson")
    low, high = wilson(*(np.array([float(each)]) for each in counted), level)
    assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_the_difference_of_shares_is_newcombe_s_example() -> None:
    low, high = share_difference(ones(56, 70), ones(48, 80), 0.05)
    assert (low[0], high[0]) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(COUNTS, COUNTS)
def test_turning_the_sides_turns_the_interval(one: tuple[int, int], other: tuple[int, int]) -> None:
    low, high = share_difference(ones(*one), ones(*other), 0.05)
    turned = share_difference(ones(*other), ones(*one), 0.05)
    assert (low[0], high[0]) == pytest.approx((-turned[1][0], -turned[0][0]))
    assert low[0] <= one[0] / one[1] - other[0] / other[1] <= high[0]


@given(VALUES, VALUES, st.sampled_from([0.05, 1e-5]))
def test_the_difference_of_means_is_welch_s(
    one: list[float], other: list[float], level: float
) -> None:
    first, second = np.array(one), np.array(other)
    assume(np.ptp(first) > 0 and np.ptp(second) > 0)  # else SciPy warns
    low, high = mean_difference(Sums.of(first), Sums.of(second), level)
    wanted = ttest_ind(first, second, equal_var=False).confidence_interval(1 - level)
    assert (low[0], high[0]) == pytest.approx((wanted.low, wanted.high), rel=1e-4, abs=1e-4)


def test_means_without_any_spread_differ_by_just_what_they_do() -> None:
    low, high = mean_difference(Sums.of(np.full(5, 0.3)), Sums.of(np.full(9, 0.1)), 0.05)
    assert (low[0], high[0]) == pytest.approx((0.2, 0.2))


@given(VALUES)
def test_a_mean_s_interval_is_student_s(values: list[float]) -> None:
    given_values = np.array([*values, 101.0])
    found = Interval.of_mean(given_values, 0.05, is_share=False)
    wanted = ttest_1samp(given_values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))


def test_a_higher_level_of_certainty_is_a_wider_interval() -> None:
    ends = [
        share_difference(ones(40, 60), ones(100, 300), level) for level in (0.05, 0.01, 1e-3, 1e-6)
    ]
    widths = [float(high[0] - low[0]) for low, high in ends]
    assert widths == sorted(widths)
