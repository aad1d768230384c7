import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.events import Evaluation
from search.speed import SpeedLimit
from search.training.stopping import DIVERGED, PATIENCE, Pace, StoppingRules

BUDGET = 900


def evaluation(validation_loss: float, *, train_loss: float = 1.0, point: int = 100) -> Evaluation:
    return Evaluation("t", 1, point, point, train_loss, validation_loss, 0.5, 0.5, 0.1, 1.0)


def rules(*, early_stopping: bool = True, initial_loss: float = 1.0) -> StoppingRules:
    return StoppingRules(initial_loss, BUDGET, early_stopping)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["train_loss", "validation_loss"])
def test_a_loss_that_is_not_finite_has_diverged(name: str, loss: float) -> None:
    given = evaluation(**{"validation_loss": 1.0, name: loss})
    reason = rules().divergence(given)
    assert reason == f"diverged: {name.replace('_', ' ')} is {loss}"


@pytest.mark.parametrize("running", [math.nan, math.inf])
def test_a_batch_whose_loss_is_not_finite_has_diverged(running: float) -> None:
    reason = rules().divergence(evaluation(1.0), running)
    assert reason == f"diverged: the loss of a training batch is {running}"


@given(st.floats(1e-3, 1e3), st.floats(0.01, 100.0))
def test_a_training_loss_above_four_times_the_first_has_diverged(
    initial: float, times: float
) -> None:
    loss = initial * times
    reason = rules(initial_loss=initial).divergence(evaluation(initial, train_loss=loss))
    assert (reason is not None) == (loss > DIVERGED * initial)
    if reason is not None:
        assert reason == (f"diverged: train loss {loss:.4g} is above 4 x the initial {initial:.4g}")


def test_nothing_is_wrong_with_a_training_that_goes_on() -> None:
    assert rules().divergence(evaluation(0.9, train_loss=0.8), 12.0) is None


@given(st.lists(st.floats(0, 10) | st.integers(0, 3).map(float), min_size=1, max_size=20))
def test_the_best_is_the_first_of_the_lowest(losses: list[float]) -> None:
    watched = rules()
    improved = [
        watched.improved(evaluation(loss, point=10 * number))
        for number, loss in enumerate(losses, start=1)
    ]
    assert improved == [all(loss < o for o in losses[:n]) for n, loss in enumerate(losses)]
    assert watched.best_loss == min(losses)
    assert watched.best_point == 10 * (losses.index(min(losses)) + 1)


def test_nan_is_never_the_best() -> None:
    watched = rules()
    assert not watched.improved(evaluation(math.nan))
    assert watched.improved(evaluation(5.0))
    assert not watched.improved(evaluation(math.nan))


def test_patience_ends_after_a_third_of_the_budget() -> None:
    watched = rules()
    watched.improved(evaluation(0.5, point=200))
    patience = round(PATIENCE * BUDGET)
    assert watched.exhausted(evaluation(0.6, point=200 + patience - 1)) is None
    reason = watched.exhausted(evaluation(0.6, point=200 + patience))
    assert reason == "early stop: no better validation loss since 200 samples"


def test_without_early_stopping_patience_has_no_end() -> None:
    watched = rules(early_stopping=False)
    watched.improved(evaluation(0.5, point=1))
    assert watched.exhausted(evaluation(0.6, point=BUDGET)) is None


@given(st.lists(st.floats(0, 10), max_size=5))
def test_the_rules_go_on_from_what_they_wrote(losses: list[float]) -> None:
    watched = rules()
    for number, loss in enumerate(losses, start=1):
        watched.improved(evaluation(loss, point=number))
    assert StoppingRules(**json.loads(json.dumps(watched.to_json()))) == watched


def test_a_rising_validation_loss_alone_is_overfitting_and_no_divergence() -> None:
    rules = StoppingRules(1.0, 1000, True)
    assert rules.divergence(evaluation(50.0, train_loss=0.01)) is None


@pytest.mark.parametrize(("step_s", "is_too_slow"), [(0.05, False), (0.25, True)])
def test_a_training_s_pace_is_that_of_its_steps_whatever_comes_between_them(
    monkeypatch: pytest.MonkeyPatch, step_s: float, is_too_slow: bool
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    pace = Pace(SpeedLimit(full_samples=1_000, max_run_seconds=10.0), lambda: None)
    said = []
    for _ in range(10):
        for _ in range(4):
            now[0] += step_s
            said.append(pace.too_slow(10))
        pace.rest()
        now[0] += 60.0  # an evaluation
    reasons = [each for each in said if each]
    assert [each.startswith("too slow: a full run would take 25 s") for each in reasons] == (
        [True] if is_too_slow else []
    )
