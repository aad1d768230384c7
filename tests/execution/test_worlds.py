"""Worlds that are made from an earlier run."""

import math
from dataclasses import replace

import pytest

from search.events import Ending, Evaluation, Trial
from search.execution.simulator import Simulator
from search.execution.worlds import Faulty, RecordedWorld
from search.space import Float, Space
from search.strategy.budget import Ladder
from search.strategy.coarse import CoarsePhase
from search.trials import History

SPACE = Space([Float(name="rate", low=0.0, high=1.0)])
LADDER = Ladder((10, 30, 90, 270), 3, spacing=270)


class Bowl:
    """The loss falls with training towards the distance from .3; a sample takes two seconds."""

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        done, point = (0, *trial.points)[number - 1 : number + 1]
        rate = float(trial.config["rate"])
        if rate > 0.8 and number == 2:
            return 1.0, Ending(trial.trial_id, "failed", "it raised")
        loss = abs(rate - 0.3) + 1 / point
        values = (loss, loss, 0.0, 0.0, 0.0, 2.0 * point)
        return 2.0 * (point - done), Evaluation(trial.trial_id, number, point, point, *values)

    def resume_seconds(self, trial: Trial, number: int) -> float:
        return 0.0


def coarse(seed: int, num_trials: int = 60) -> CoarsePhase:
    return CoarsePhase(SPACE, [], LADDER, num_trials=num_trials, seed=seed)


@pytest.fixture(scope="module")
def recorded() -> History:
    phase = coarse(0)
    Simulator(Bowl(), 4).run(phase, 1e9)
    return phase.history


def trial_at(rate: float) -> Trial:
    points = LADDER.evaluation_points(LADDER.full)
    return Trial("x", "coarse", "sobol", {"rate": rate}, 0, LADDER.full, points)


def test_a_recorded_world_answers_like_the_one_that_was_recorded(recorded: History) -> None:
    world = RecordedWorld(SPACE, list(recorded))
    for rate in (0.1, 0.3, 0.55):
        seconds, event = world.evaluate(trial_at(rate), 2)
        expected = Bowl().evaluate(trial_at(rate), 2)
        assert isinstance(event, Evaluation)
        assert isinstance(expected[1], Evaluation)
        assert seconds == expected[0]
        assert event.validation_loss == pytest.approx(expected[1].validation_loss, abs=0.03)


def test_beyond_its_end_a_curve_falls_as_longer_ones_did(recorded: History) -> None:
    world = RecordedWorld(SPACE, list(recorded))
    poor = min(recorded, key=lambda r: -float(r.trial.config["rate"]) * (r.loss < math.inf))
    trial = trial_at(float(poor.trial.config["rate"]))
    losses = []
    for number in range(1, len(trial.points)):
        _, event = world.evaluate(trial, number)
        assert isinstance(event, Evaluation)
        losses.append(event.validation_loss)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[1]


@pytest.mark.parametrize(("status", "reason"), [("failed", "no memory"), ("stopped", "too slow")])
def test_where_trials_said_nothing_at_all_similar_ones_end_at_once(
    recorded: History, status: str, reason: str
) -> None:
    (silent := History()).apply(replace(trial_at(0.05), trial_id="s"))
    silent.apply(Ending("s", status, reason, train_seconds=6.0, samples_seen=2))  # type: ignore[arg-type]
    world = RecordedWorld(SPACE, [*recorded, *silent])
    seconds, event = world.evaluate(trial_at(0.05), 1)
    assert isinstance(event, Ending)
    assert (event.trial_id, event.status, seconds) == ("x", status, 3.0 * trial_at(0.05).points[0])


def test_where_trials_failed_similar_ones_fail(recorded: History) -> None:
    world = RecordedWorld(SPACE, list(recorded))
    _, event = world.evaluate(trial_at(0.95), 2)
    assert isinstance(event, Ending)
    assert event.status == "failed"


def test_a_search_in_a_recorded_world_finds_what_was_good_in_the_run(recorded: History) -> None:
    phase = coarse(7)
    Simulator(RecordedWorld(SPACE, list(recorded)), 8).run(phase, 1e9)
    best = min(phase.history, key=lambda record: record.loss)
    assert abs(float(best.trial.config["rate"]) - 0.3) < 0.06


def test_a_run_without_evaluations_has_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="nothing to simulate from"):
        RecordedWorld(SPACE, [])


def test_faults_come_at_their_rates_and_stay_where_they_are() -> None:
    def run() -> tuple[float, int]:
        phase = coarse(1, 300)
        simulator = Simulator(Faulty(Bowl(), failure_rate=0.2, straggler_rate=0.1), 10)
        simulator.run(phase, 1e9)
        failed = [r for r in phase.history if r.ending and r.ending.status == "failed"]
        return simulator.now, len(failed)

    first = run()
    assert first == run()
    plain = coarse(1, 300)
    simulator = Simulator(Bowl(), 10)
    simulator.run(plain, 1e9)
    own = sum(r.ending is not None and r.ending.status == "failed" for r in plain.history)
    assert first[1] > own
    assert first[0] > simulator.now
