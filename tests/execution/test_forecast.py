"""Whole runs in simulated time."""

import math
from dataclasses import replace

from simulated_bowl import DEFAULTS, SPACE, Bowl

from search.events import Ending, Evaluation, Trial
from search.execution.forecast import foresee
from search.execution.worlds import Faulty, GuessedWorld
from search.speed import Speed
from search.strategy.budget import Plan, make_plan
from search.strategy.method import Method
from search.study import Study

SPEED = Speed(samples_per_second=1000.0, eval_seconds=0.01)


class Broken(Bowl):
    """Nothing can be trained."""

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        return 1.0, Ending(trial.trial_id, "failed", "it raised")


def plan(budget: float | None = 3600.0, slots: int = 2) -> tuple[Study, Plan]:
    study = Study(time_budget=budget)
    return study, make_plan(study, num_rows=5000, speed=SPEED, slots=slots, elapsed=0.0)


def coarsely(budget: float, slots: int) -> tuple[Study, Plan]:
    """Plan with the ladder of an hour and two slots: its trials are long, so there are few."""
    study, made = plan(budget, slots)
    return study, replace(made, ladder=plan()[1].ladder)


def method(study: Study, made: Plan) -> Method:
    return Method.of(study, SPACE, DEFAULTS, made)


def test_a_forecast_keeps_to_the_time_budget_and_uses_it() -> None:
    study, made = plan()
    foreseen = foresee(method(study, made), made, GuessedWorld(SPEED))
    assert [phase.phase for phase in foreseen.phases] == ["coarse", "fine", "confirm"]
    assert 0.7 * 3600 < foreseen.wall_seconds < 1.1 * 3600
    assert foreseen.busy_share > 0.8
    confirm = foreseen.phases[-1]
    runs = (study.confirm.num_finalists + 1) * study.confirm.num_seeds
    assert confirm.num_trials == confirm.num_completed == runs
    assert confirm.samples == runs * made.ladder.full


def test_more_slots_mean_more_trials() -> None:
    numbers = []
    for slots in (1, 4):
        study, made = coarsely(3000.0, slots)
        phases = foresee(method(study, made), made, GuessedWorld(SPEED), thinks=False).phases
        numbers.append(phases[0].num_trials)
    assert numbers[1] > 2 * numbers[0]


def test_without_a_time_budget_the_numbers_of_trials_decide() -> None:
    study, made = plan(None)
    phases = foresee(method(study, made), made, Bowl()).phases
    assert [phase.num_trials for phase in phases[:2]] == [54, 18]
    assert all(phase.best_loss is not None and phase.best_loss < 0.5 for phase in phases)


def test_where_everything_fails_only_coarse_is_foreseen() -> None:
    study, made = plan(None)
    foreseen = foresee(method(study, made), made, Broken())
    assert [phase.phase for phase in foreseen.phases] == ["coarse"]
    assert foreseen.phases[0].num_failed > 0


def test_failures_on_the_way_are_foreseen() -> None:
    study, made = plan(None)
    foreseen = foresee(method(study, made), made, Faulty(Bowl(), failure_rate=0.3))
    assert 5 <= foreseen.phases[0].num_failed <= 40
    assert len(foreseen.phases) == 3


def test_the_seed_and_the_world_give_the_forecast() -> None:
    study, made = coarsely(300.0, slots=3)

    def json() -> dict:
        return foresee(method(study, made), made, GuessedWorld(SPEED)).to_json()

    first = json()
    assert json() == first
    assert math.isfinite(first["wall_seconds"])
