"""Each shape gets the verdict that a practitioner would give it, with its evidence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_curves import BEST, CHANCE, ended, learning, loss, record

from search.insight.curves import MIN_EVALUATIONS, Scale, judge
from search.trials import Record

SCALE = Scale(CHANCE, BEST)


def name_of(training: Record) -> str | None:
    verdict = judge(training, SCALE)
    return None if verdict is None else verdict.name


def test_a_course_that_comes_to_the_best_known_and_stays_is_healthy() -> None:
    assert name_of(record(learning(0.99, 6))) == "healthy"


def test_a_loss_that_is_not_finite_is_exploding_whatever_came_before() -> None:
    verdict = judge(record([0.2, 0.4, math.nan]), SCALE)
    assert verdict is not None
    assert (verdict.name, verdict.evaluation) == ("exploding", 3)


def test_a_huge_gradient_is_exploding_before_the_loss_shows_it() -> None:
    assert name_of(record([0.2], gradient_norm=1e6)) == "exploding"


def test_a_training_that_failed_above_its_start_has_diverged() -> None:
    reason = "diverged: train loss 9 is above 4 x the initial 2"
    assert name_of(ended(record([0.1, -4.0]), "failed", reason)) == "diverged"
    assert name_of(record([0.1, -4.0])) == "diverged"


def test_units_without_a_gradient_are_dead_where_nothing_is_learnt() -> None:
    assert name_of(record([0.01] * 8, dead_units=0.9)) == "dead"
    assert name_of(record(learning(0.99, 6), dead_units=0.9)) == "healthy"


def test_timid_steps_that_get_nowhere_have_too_low_a_learning_rate() -> None:
    course = [0.005 * i for i in range(1, 21)]
    assert name_of(record(course, update_ratio=1e-5)) == "lr-too-low"


def test_wild_steps_that_stay_at_a_bad_place_have_too_high_a_learning_rate() -> None:
    assert name_of(record([0.3, *[0.4] * 19], update_ratio=0.2)) == "lr-high"


def test_validation_that_falls_back_while_training_gains_is_overfitting() -> None:
    up, down = learning(0.9, 8, 10), [0.9 - 0.05 * i for i in range(1, 11)]
    verdict = judge(record([*up, *down], learning(1.5, 3)), SCALE)
    assert verdict is not None
    assert verdict.name == "overfitting"
    assert verdict.numbers["rise"] == pytest.approx(0.5, abs=0.01)


def test_a_loss_that_swings_is_noisy() -> None:
    course = [0.8 + 0.15 * (-1) ** i for i in range(20)]
    assert name_of(record(course, config={"batch_size": 4})) == "noisy"
    assert name_of(record(course, config={"batch_size": 64})) == "lr-high"


def test_nothing_gained_after_the_first_tenth_is_too_long() -> None:
    assert name_of(record([0.95, *[0.96] * 19])) == "too-long"


def test_a_budget_that_halves_a_small_loss_is_not_too_long() -> None:
    scale = Scale(CHANCE, 0.001)
    falling = [1 - 0.05 * 0.8**i for i in range(20)]
    verdict = judge(record([(CHANCE - 0.001) / (CHANCE - BEST) * p for p in falling]), scale)
    assert verdict is not None
    assert verdict.name == "healthy"


def test_a_course_that_still_gains_at_the_end_is_still_improving() -> None:
    assert name_of(record(learning(1.2, 1))) == "still-improving"


def test_a_course_that_settles_low_on_its_training_rows_too_is_underfitting() -> None:
    assert name_of(record(learning(0.5, 8))) == "underfitting"


def test_a_curve_without_a_shape_gets_no_verdict() -> None:
    assert name_of(record([0.5] * (MIN_EVALUATIONS - 1))) is None
    assert name_of(record([], budget_evaluations=9)) is None


finite = st.floats(-0.9, 1.2)


@given(st.lists(st.tuples(finite, finite), min_size=MIN_EVALUATIONS, max_size=40))
def test_every_curve_gets_a_verdict_that_another_scale_of_the_losses_does_not_change(
    pairs: list[tuple[float, float]],
) -> None:
    validation, train = zip(*pairs, strict=True)
    verdict = judge(record(validation, train), SCALE)
    assert verdict is not None
    assert 1 <= verdict.evaluation <= len(pairs) + 3
    assert all(math.isfinite(number) for number in verdict.numbers.values())
    assert loss(1.0) == BEST


def test_a_training_that_goes_on_is_judged_by_what_it_has_trained() -> None:
    course = [0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.92, 0.93]
    assert name_of(record(course, budget_evaluations=200)) == name_of(record(course))
    seldom = record([0.95, 0.96, 0.96, 0.96, 0.96, 0.96], budget_evaluations=18)
    assert name_of(seldom) == "healthy"  # how much came at once wasn't seen


def test_where_nothing_beats_chance_the_scale_is_no_magnifying_glass() -> None:
    nowhere = Scale(CHANCE, CHANCE)
    course = record([0.0, -0.01, 0.005, -0.005, 0.0, 0.002, -0.003, 0.001, 0.0, 0.004])
    verdict = judge(course, nowhere)
    assert verdict is not None
    assert all(abs(number) < 100 for number in verdict.numbers.values() if math.isfinite(number))


def test_a_training_that_a_fault_ended_has_no_shape() -> None:
    course = learning(0.99, 6)
    assert name_of(ended(record(course), "failed", "the process died")) is None
    assert name_of(ended(record(course), "completed", "trained")) == "healthy"
