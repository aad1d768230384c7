import math

import numpy as np
import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, evaluation, final_loss

from search.space import Fixed, Space, apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import MIN_OBSERVATIONS, NUM_FIRST, FinePhase, first_proposals
from search.trials import Ending, History, Trial


@pytest.fixture(scope="module")
def coarse() -> History:
    phase = CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=60, seed=0)
    Simulation(phase).run(10_000)
    return phase.history


def fine(history: History, *, num_trials: int = 30, seed: int = 0) -> FinePhase:
    first = first_proposals(history, LADDER)
    return FinePhase(SPACE, first, history, LADDER, num_trials=num_trials, seed=seed)


def history(trials: list[tuple[str, int, str]], *, prefix: str = "c") -> History:
    """Return a history of (loss or 'nan', evaluations, status) on the coarse rungs."""
    made = History()
    for number, (loss, count, status) in enumerate(trials):
        config = SPACE.from_unit(np.full(len(SPACE.searched), (number + 0.5) / len(trials)))
        budget = LADDER.coarse[-1]
        points = LADDER.evaluation_points(budget)
        trial = Trial(f"{prefix}{number:04d}", "coarse", "sobol", config, number, budget, points)
        made.apply(trial)
        for each in range(count):
            made.apply(evaluation(trial, each + 1, float(loss)))
        made.apply(Ending(trial.trial_id, status, "x"))  # type: ignore[arg-type]
    return made


ALL = len(LADDER.evaluation_points(LADDER.coarse[-1]))
"""Evaluations of a coarse trial that reached its budget."""


def test_the_survivors_come_first_then_the_model_with_a_few_random_points(coarse: History) -> None:
    phase = fine(coarse, num_trials=60)
    Simulation(phase).run(10_000)
    sources = [record.trial.source for record in phase.history]
    best = min(coarse, key=lambda record: record.loss)
    assert sources[0] == f"survivor:{best.trial.trial_id}"
    assert phase.history["f0000"].trial.config == best.trial.config
    assert all(source.startswith("survivor:") for source in sources[:NUM_FIRST])
    assert set(sources[NUM_FIRST:]) == {"tpe", "random"}
    assert 1 <= sources.count("random") <= 0.3 * len(sources)
    for record in phase.history:
        SPACE.validate(record.trial.config)


def test_no_configuration_is_tried_twice(coarse: History) -> None:
    phase = fine(coarse, num_trials=40)
    Simulation(phase).run(10_000)
    configs = [repr(sorted(record.trial.config.items())) for record in phase.history]
    assert len(set(configs)) == len(configs)


def test_proposals_are_seeded(coarse: History) -> None:
    def proposals(seed: int) -> list[object]:
        phase = fine(coarse, seed=seed)
        return [phase.propose(number) for number in range(NUM_FIRST, 10)]

    assert proposals(1) == proposals(1) != proposals(2)


def test_observations_are_of_the_highest_rung_that_enough_have_reached() -> None:
    enough, few = MIN_OBSERVATIONS, MIN_OBSERVATIONS - 1
    found = history([("0.5", ALL, "completed")] * enough + [("0.7", 2, "stopped")] * 20)
    assert [o.loss for o in fine(found).observations()] == [0.5] * enough
    found = history([("0.5", ALL, "completed")] * few + [("0.7", 2, "stopped")] * 20)
    assert sorted(o.loss for o in fine(found).observations()) == [0.5] * few + [0.7] * 20
    # Failures say nothing of how far trials have come.
    found = history(
        [("0.5", ALL, "completed")] * few + [("0.7", 2, "stopped"), ("0.1", 1, "failed")]
    )
    losses = [o.loss for o in fine(found).observations()]
    assert sorted(losses) == [0.5] * few + [0.7, math.inf]


def test_a_coarse_trial_that_reached_its_budget_does_not_pass_for_a_full_run() -> None:
    """Its schedule ended there, but more training would have changed it."""
    phase = fine(history([("0.5", ALL, "completed")] * 25))
    for number in range(MIN_OBSERVATIONS):
        trial = phase.ask()
        assert trial is not None
        phase.apply(trial)
        for each in range(len(trial.points)):
            phase.apply(evaluation(trial, each + 1, 0.9 - 0.01 * number))
        phase.apply(Ending(trial.trial_id, "completed", "done"))
    losses = [o.loss for o in phase.observations()]
    assert losses == pytest.approx([0.9 - 0.01 * n for n in range(MIN_OBSERVATIONS)])


def test_failed_trials_are_observed_as_failures_whatever_they_had_reached() -> None:
    found = history(
        [("0.5", ALL, "completed")] * 25
        + [("0.1", ALL, "failed"), ("0.1", 0, "failed"), ("nan", 1, "failed")]
    )
    losses = [o.loss for o in fine(found).observations()]
    assert losses == [0.5] * 25 + [math.inf] * 3


def test_running_trials_are_observed_at_the_rungs_that_they_have_reached(coarse: History) -> None:
    phase = fine(history([("0.5", 2, "stopped")] * 10))
    trial = phase.ask()
    assert trial is not None
    phase.apply(trial)
    phase.apply(evaluation(trial, 1, 0.4))
    assert len(phase.observations()) == 10
    phase.apply(evaluation(trial, 2, 0.3))
    assert [o.loss for o in phase.observations()][-1] == 0.3


def test_an_empty_coarse_phase_leaves_random_proposals() -> None:
    phase = fine(History(), num_trials=8)
    Simulation(phase, faults=False).run(10_000)
    assert len(phase.history) == 8
    assert phase.observations()


def test_a_space_without_anything_to_search_has_one_proposal(coarse: History) -> None:
    fixed = Space(
        [
            Fixed(name=d.name, value=DEFAULTS[0].config[d.name])
            for d in SPACE
            if d.name in DEFAULTS[0].config
        ]
    )
    phase = FinePhase(fixed, [], coarse, LADDER, num_trials=3, seed=0)
    assert {repr(phase.propose(number)[0]) for number in range(3)} == {repr(DEFAULTS[0].config)}


def test_survivors_outside_of_the_fine_space_are_trained_all_the_same(coarse: History) -> None:
    narrowed = apply_overrides(SPACE, {"num_layers": {"value": 2}})
    phase = FinePhase(
        narrowed, first_proposals(coarse, LADDER), coarse, LADDER, num_trials=12, seed=0
    )
    Simulation(phase).run(10_000)
    for record in list(phase.history)[NUM_FIRST:]:
        narrowed.validate(record.trial.config)


def test_fine_beats_random_at_an_equal_number_of_trials() -> None:
    number, gains, medians = 30, [], []
    for seed in range(4):
        phase = CoarsePhase(SPACE, [], LADDER, num_trials=number, seed=seed)
        Simulation(phase, faults=False).run(10_000)
        found = fine(phase.history, num_trials=number, seed=seed)
        Simulation(found, faults=False).run(10_000)
        ours = [final_loss(record.trial.config) for record in found.history]
        points = np.random.default_rng(seed).random((2 * number, len(SPACE.searched)))
        drawn = [final_loss(SPACE.from_unit(point)) for point in points]
        gains.append(min(drawn) - min(ours))
        medians.append((np.median(ours), np.median(drawn)))
    assert all(our < random for our, random in medians)
    assert np.mean(gains) > 0.01
    assert sum(gain > 0 for gain in gains) >= 3
