import math
from dataclasses import replace

import numpy as np
import pytest
from simulation import LADDER, SPACE, evaluation, final_loss

from search.events import Ending, Evaluation, Trial
from search.strategy.ranking import Observation, observations_of
from search.strategy.searchers import MIN_AT_RUNG, SEARCHERS, Question, comparable
from search.trials import History

RUNGS = LADDER.coarse
ALL = len(LADDER.evaluation_points(RUNGS[-1]))
"""Evaluations of a coarse trial that reached its budget."""


def history(trials: list[tuple[str, int, str]]) -> History:
    """Return a history of (loss or 'nan', evaluations, status) on the coarse rungs."""
    made = History()
    for number, (loss, count, status) in enumerate(trials):
        config = SPACE.from_unit(np.full(len(SPACE.searched), (number + 0.5) / len(trials)))
        points = LADDER.evaluation_points(RUNGS[-1])
        trial = Trial(f"c{number:04d}", "coarse", "sobol", config, number, RUNGS[-1], points)
        made.apply(trial)
        for each in range(count):
            made.apply(evaluation(trial, each + 1, float(loss)))
        if status != "running":
            made.apply(Ending(trial.trial_id, status, "x"))  # type: ignore[arg-type]
    return made


def seen(trials: list[tuple[str, int, str]]) -> list[tuple[int, float]]:
    return [(o.samples, o.loss) for o in observations_of(history(trials), RUNGS)]


def test_a_trial_is_observed_at_each_rung_that_it_reached_running_or_not() -> None:
    for status in ("stopped", "completed", "running"):
        assert seen([("0.5", ALL, status)]) == [(rung, 0.5) for rung in RUNGS]
    assert seen([("0.5", 2, "running")]) == [(RUNGS[0], 0.5)]
    assert seen([("0.5", 1, "running")]) == []


def test_a_failure_is_observed_at_the_rung_that_it_missed() -> None:
    assert seen([("nan", 1, "failed")]) == [(RUNGS[0], math.inf)]
    assert seen([("0.5", 0, "failed")]) == [(RUNGS[0], math.inf)]
    assert seen([("0.5", 2, "failed")]) == [(RUNGS[0], 0.5), (RUNGS[1], math.inf)]


def losses(trials: list[tuple[str, int, str]]) -> list[float]:
    found = comparable(tuple(observations_of(history(trials), RUNGS)), LADDER.rungs)
    return sorted(each.loss for each in found)


def test_tpe_learns_from_the_highest_rung_that_enough_have_reached() -> None:
    enough, few = MIN_AT_RUNG, MIN_AT_RUNG - 1
    low = [("0.7", 2, "stopped")] * 20
    assert losses([("0.5", ALL, "completed")] * enough + low) == [0.5] * enough
    assert losses([("0.5", ALL, "completed")] * few + low) == [0.5] * few + [0.7] * 20


def test_tpe_learns_of_every_failure() -> None:
    found = losses([("0.5", ALL, "completed")] * 25 + [("0.1", 0, "failed"), ("nan", 1, "failed")])
    assert found == [0.5] * 25 + [math.inf] * 2


def question(num: int = 6, seed: int = 0) -> Question:
    points = np.random.default_rng(seed).random((60, len(SPACE.searched)))
    configs = [SPACE.from_unit(point) for point in points]
    return Question(
        space=SPACE,
        focus=SPACE,
        observations=tuple(Observation(c, LADDER.full, final_loss(c)) for c in configs),
        rungs=LADDER.rungs,
        num=num,
        running=(),
        state=(),
        seed=(seed, 1),
    )


@pytest.mark.parametrize("name", SEARCHERS)
def test_an_answer_has_as_many_valid_proposals_as_were_asked_for(name: str) -> None:
    answer = SEARCHERS[name](question())
    assert answer.source == name
    assert len({repr(config) for config in answer.configs}) == 6
    for config in answer.configs:
        SPACE.validate(config)


@pytest.mark.parametrize("name", SEARCHERS)
def test_an_answer_follows_from_its_question(name: str) -> None:
    assert SEARCHERS[name](question()) == SEARCHERS[name](question())
    assert SEARCHERS[name](question()) != SEARCHERS[name](replace(question(), seed=(7,)))


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_question_can_be_asked_before_anything_is_known(name: str) -> None:
    one = replace(question(), observations=question().observations[:1])
    assert len(SEARCHERS[name](one).configs) == 6


def test_the_process_is_fitted_anew_when_enough_has_been_seen() -> None:
    asked = question()
    first = SEARCHERS["gp"](asked)
    few = replace(asked, observations=asked.observations + asked.observations[:3])
    many = replace(asked, observations=asked.observations + asked.observations[:9])
    assert SEARCHERS["gp"](replace(few, state=first.state)).state == first.state
    assert SEARCHERS["gp"](replace(many, state=first.state)).state != first.state


def test_what_was_too_slow_for_the_lowest_rung_tells_its_cost_and_tpe_a_failure() -> None:
    made = history([("0.5", 0, "running")] * 3)
    before = Evaluation("c0002", 1, 2, 2, 0.5, 0.5, 0.5, 0.5, 0.1, 7.0, eval_seconds=0.0)
    made.apply(before)
    for number, samples in enumerate((50, 0, 60)):
        vitals = {"train_seconds": 9.0, "samples_seen": samples}
        made.apply(Ending(f"c{number:04d}", "stopped", "too slow", **vitals))
    found = observations_of(made, RUNGS)
    assert all(math.isnan(each.loss) for each in found)
    assert [each.seconds_per_sample for each in found] == [9.0 / 50, 9.0 / 60]
    assert [each.loss for each in comparable(tuple(found), LADDER.rungs)] == [math.inf] * 2
