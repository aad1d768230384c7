import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from search.insight.compare import compare

ACCURACIES = st.lists(st.floats(0.5, 1.0), min_size=2, max_size=8)


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def test_a_clear_difference_is_better_with_its_interval() -> None:
    found = compare(
        by_seed([0.92, 0.93, 0.94]), by_seed([0.90, 0.912, 0.918]), metric="accuracy", mode="max"
    )
    assert found.verdict == "better"
    assert found.difference == pytest.approx(0.02)
    assert found.ci95 is not None
    assert 0 < found.ci95[0] < 0.02 < found.ci95[1]
    assert found.statement.startswith("Better than the published default: +0.02 accuracy")


def test_no_difference_is_said_to_be_no_evidence() -> None:
    found = compare(
        by_seed([0.92, 0.90, 0.91]), by_seed([0.90, 0.92, 0.91]), metric="accuracy", mode="max"
    )
    assert found.verdict == "tie"
    assert found.statement.startswith("No evidence of improvement over the published default")


def test_where_less_is_better_a_lower_value_wins() -> None:
    lower, higher = by_seed([1.0, 1.1, 1.2]), by_seed([2.0, 2.2, 2.1])
    assert compare(lower, higher, metric="rmse", mode="min").verdict == "better"
    worse = compare(higher, lower, metric="rmse", mode="min")
    assert worse.verdict == "worse"
    assert worse.statement.endswith("Keep the default.")


def test_only_seeds_that_both_have_are_compared() -> None:
    found = compare(
        {1: 0.9, 2: 0.8, 3: 0.1}, {1: 0.8, 2: 0.72, 4: 0.9}, metric="accuracy", mode="max"
    )
    assert found.difference == pytest.approx(0.09)
    assert "over 2 seeds" in found.statement


@pytest.mark.parametrize("winner", [{}, {1: 0.9}])
def test_fewer_than_two_pairs_are_no_evidence(winner: dict[int, float]) -> None:
    found = compare(winner, {1: 0.5, 2: 0.5}, metric="accuracy", mode="max")
    assert (found.verdict, found.ci95, found.p_value) == ("tie", None, None)
    assert math.isnan(found.difference) is not bool(winner)


def test_equal_differences_of_noisy_values_are_no_certainty() -> None:
    found = compare(by_seed([0.97, 1.0]), by_seed([0.92, 0.95]), metric="accuracy", mode="max")
    assert found.verdict == "tie"
    assert found.ci95 is not None
    assert found.ci95[1] - found.ci95[0] > 0.1


def test_a_training_without_noise_needs_no_interval() -> None:
    found = compare(by_seed([0.9, 0.9]), by_seed([0.8, 0.8]), metric="accuracy", mode="max")
    assert found.verdict == "better"
    assert found.ci95 == pytest.approx((0.1, 0.1))
    same = compare(by_seed([0.9, 0.9]), by_seed([0.9, 0.9]), metric="accuracy", mode="max")
    assert same.verdict == "tie"


@pytest.mark.parametrize(("n", "verdict"), [(2, "tie"), (3, "worse")])
def test_few_right_answers_more_in_every_seed_are_no_certainty(n: int, verdict: str) -> None:
    found = compare(
        by_seed([347 / 359] * n),
        by_seed([350 / 359] * n),
        metric="accuracy",
        mode="max",
        resolution=1 / 359,
    )
    assert found.verdict == verdict
    assert found.ci95 is not None
    assert found.ci95[0] < -3 / 359 < found.ci95[1]
    assert found.p_value is not None
    assert (found.p_value > 0.05) is (verdict == "tie")


@given(ACCURACIES, st.floats(-0.2, 0.2))
def test_turning_the_sides_turns_the_verdict(values: list[float], shift: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, len(values))
    first, second = by_seed(values), by_seed(list(np.array(values) + shift + noise))
    one = compare(first, second, metric="accuracy", mode="max")
    other = compare(second, first, metric="accuracy", mode="max")
    assert one.difference == pytest.approx(-other.difference)
    assert {"better": "worse", "worse": "better", "tie": "tie"}[one.verdict] == other.verdict


@given(ACCURACIES)
def test_the_interval_is_the_paired_t_test_s(values: list[float]) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, len(values))
    second = list(np.array(values) + noise)
    found = compare(by_seed(values), by_seed(second), metric="accuracy", mode="max")
    wanted = ttest_rel(values, second)
    assert found.p_value == pytest.approx(wanted.pvalue)
    assert found.ci95 == pytest.approx(tuple(wanted.confidence_interval(0.95)))


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_seed_whose_value_is_no_number_says_nothing(mode, broken: float) -> None:
    first, second = by_seed([1.0, broken, 1.1]), by_seed([1.0, 1.2, 1.1])
    found = compare(first, second, metric="rmse", mode=mode)
    assert found.verdict == "tie"
    assert "over 2 seeds" in found.statement
    nothing = compare(by_seed([broken] * 3), second, metric="rmse", mode=mode)
    assert (nothing.verdict, nothing.ci95) == ("tie", None)


def test_what_rounding_leaves_of_no_difference_isn_t_told() -> None:
    first, second = by_seed([0.9833, 0.9805, 0.9805]), by_seed([0.9833, 0.9861, 0.9749])
    found = compare(first, second, metric="accuracy", mode="max")
    assert found.difference == 0.0
    assert ": +0 accuracy (" in found.statement
    tiny = compare(by_seed([3e-20, 1e-20]), by_seed([1e-20, 2e-20]), metric="rmse", mode="min")
    assert tiny.difference == pytest.approx(5e-21), "small units are no noise"
