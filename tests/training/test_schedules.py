import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD

from search.errors import ModelError
from search.space.training import SCHEDULES
from search.training.schedules import PLATEAU_FLOOR, PLATEAU_PATIENCE, Schedule

RATE, STEPS = 0.4, 12
ANY_DECAY = {"schedule_decay": 0.09, "plateau_factor": 2}


def make_schedule(num_steps: int = STEPS, rate: float = RATE, **config: Any) -> Schedule:
    weight = nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    optimizer = SGD([weight], lr=rate)
    schedule = Schedule(optimizer, config, num_steps)
    optimizer.step()  # torch warns when a schedule moves before its optimizer
    return schedule


def by_step(schedule: Schedule, num_steps: int = STEPS) -> list[float]:
    """Return the learning rate of each step, and the one after the last."""
    rates = [schedule.learning_rate]
    for _ in range(num_steps):
        schedule.after_step()
        rates.append(schedule.learning_rate)
    return rates


def by_loss(schedule: Schedule, losses: Sequence[float]) -> list[float]:
    rates = []
    for loss in losses:
        schedule.after_evaluation(loss)
        rates.append(schedule.learning_rate)
    return rates


@pytest.mark.parametrize("config", [{}, {"schedule": "constant"}])
def test_a_constant_schedule_never_moves(config: dict[str, Any]) -> None:
    assert by_step(make_schedule(**config)) == [RATE] * (STEPS + 1)


def test_step_drops_twice_to_the_decays_share() -> None:
    rates = by_step(make_schedule(schedule="step", schedule_decay=0.09))
    assert rates[:4] == [RATE] * 4
    assert rates[4:8] == pytest.approx([RATE * 0.3] * 4)
    assert rates[8:] == pytest.approx([RATE * 0.09] * 5)


def test_exponential_falls_evenly_to_the_decays_share() -> None:
    rates = by_step(make_schedule(schedule="exponential", schedule_decay=0.09))
    assert rates == pytest.approx([RATE * 0.09 ** (step / STEPS) for step in range(STEPS + 1)])


def test_cosine_falls_to_nothing_along_its_half_wave() -> None:
    rates = by_step(make_schedule(schedule="cosine"))
    expected = [RATE * (1 + math.cos(math.pi * step / STEPS)) / 2 for step in range(STEPS + 1)]
    assert rates == pytest.approx(expected, abs=1e-12)


def test_one_cycle_warms_up_to_the_rate_and_ends_near_nothing() -> None:
    rates = by_step(make_schedule(100, schedule="one_cycle"), 100)
    peak = rates.index(max(rates))
    assert rates[0] == pytest.approx(RATE / 25)
    assert max(rates) == pytest.approx(RATE, rel=1e-3)
    assert 8 <= peak <= 11
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < RATE / 1e4


@pytest.mark.parametrize("num_steps", range(1, 62))
def test_one_cycle_rises_and_falls_however_few_its_steps(num_steps: int) -> None:
    rates = by_step(make_schedule(num_steps, schedule="one_cycle"), num_steps)
    assert all(0.0 <= rate <= RATE * (1 + 1e-9) for rate in rates)
    assert max(rates) >= 0.9 * RATE
    assert rates[-1] < RATE / 1e4 or num_steps == 1


def test_one_cycle_has_risen_to_a_third_by_the_lowest_of_four_rungs() -> None:
    rates = by_step(make_schedule(2700, schedule="one_cycle"), 2700)
    assert rates[100] > 0.3 * RATE
    assert rates[300] > 0.95 * RATE


@pytest.mark.parametrize("factor", [2, 5])
def test_plateau_divides_by_its_factor_when_the_loss_no_longer_falls(factor: int) -> None:
    schedule = make_schedule(schedule="plateau", plateau_factor=factor)
    assert by_step(schedule) == [RATE] * (STEPS + 1)
    assert by_loss(schedule, [1.0, 0.9, 0.8, 0.9, 0.7]) == [RATE] * 5
    waiting = [0.7] * PLATEAU_PATIENCE
    assert by_loss(schedule, waiting) == [RATE] * PLATEAU_PATIENCE
    assert by_loss(schedule, [0.71]) == pytest.approx([RATE / factor])
    assert not schedule.at_floor


@pytest.mark.parametrize("factor", [2, 5])
@pytest.mark.parametrize("rate", [1e-7, 1e-5, 1e-3, 1.0])
def test_a_plateau_that_stays_comes_to_its_floor(factor: int, rate: float) -> None:
    schedule = make_schedule(rate=rate, schedule="plateau", plateau_factor=factor)
    divisions = math.ceil(math.log(1 / PLATEAU_FLOOR, factor))
    # The first evaluation is the best; each division waits for its patience and one more.
    evaluations = 1 + divisions * (PLATEAU_PATIENCE + 1)
    by_loss(schedule, [0.5] * (evaluations - 1))
    assert not schedule.at_floor
    by_loss(schedule, [0.5])
    assert schedule.at_floor
    assert schedule.learning_rate == pytest.approx(rate / factor**divisions)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "plateau"])
def test_no_other_schedule_has_a_floor_or_heeds_the_loss(name: str) -> None:
    schedule = make_schedule(schedule=name)
    by_step(schedule)
    before = schedule.learning_rate
    assert by_loss(schedule, [1.0] * 50) == [before] * 50
    assert not schedule.at_floor


@given(st.sampled_from(SCHEDULES), st.integers(1, 40))
def test_every_schedule_bears_exactly_its_budgets_steps(name: str, num_steps: int) -> None:
    rates = by_step(make_schedule(num_steps, schedule=name, **ANY_DECAY), num_steps)
    assert all(0 <= rate <= RATE * (1 + 1e-9) for rate in rates)
    assert all(rate > 0 for rate in rates[:-1])


@given(st.sampled_from(SCHEDULES), st.integers(0, STEPS), st.lists(st.floats(0, 2), max_size=9))
def test_a_state_goes_on_where_it_was_taken(name: str, at: int, losses: list[float]) -> None:
    config = {"schedule": name, **ANY_DECAY}
    first, second = make_schedule(**config), make_schedule(**config)
    by_step(first, at)
    by_loss(first, losses)
    second.load_state_dict(first.state_dict())
    # The rate itself is part of the optimizer's state.
    second._optimizer.load_state_dict(first._optimizer.state_dict())
    assert by_step(second, STEPS - at) == by_step(first, STEPS - at)
    assert by_loss(second, [1.5] * 9) == by_loss(first, [1.5] * 9)


def test_an_unknown_schedule_names_the_known_ones() -> None:
    with pytest.raises(ModelError, match="schedule 'linear'; the training loop has constant, "):
        make_schedule(schedule="linear")
