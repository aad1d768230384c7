"""The simulator: phases in simulated time."""

import itertools

import pytest

from search.events import Ending, Evaluation, Pause, Promotion, Trial
from search.execution.simulator import Happening, Simulator
from search.space import Float, Space
from search.strategy.budget import Ladder
from search.strategy.coarse import CoarsePhase

SPACE = Space([Float(name="rate", low=0.0, high=1.0)])
LADDER = Ladder((10, 30, 90, 270), 3, spacing=270)


class Bowl:
    """The loss falls with training towards the distance from .3; a sample takes a second."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        self._failing = failing

    def evaluate(self, trial: Trial, number: int) -> tuple[float, Evaluation | Ending]:
        done, point = (0, *trial.points)[number - 1 : number + 1]
        seconds = float(point - done)
        if trial.trial_id in self._failing and number > 1:
            return seconds, Ending(trial.trial_id, "failed", "it raised")
        loss = abs(float(trial.config["rate"]) - 0.3) + 1 / point
        values = (loss, loss, 0.0, 0.0, 0.0, float(point))
        return seconds, Evaluation(trial.trial_id, number, point, point, *values)

    def resume_seconds(self, trial: Trial, number: int) -> float:
        return 5.0


def phase(num_trials: int | None = None) -> CoarsePhase:
    return CoarsePhase(SPACE, [], LADDER, num_trials=num_trials, seed=0)


def simulate(
    made: CoarsePhase, num_workers: int = 4, until: float = 1e9, world: Bowl | None = None
) -> list[Happening]:
    happened: list[Happening] = []
    Simulator(world or Bowl(), num_workers, happened.append).run(made, until)
    return happened


def test_no_more_trials_run_than_there_are_workers_and_none_is_idle_without_need() -> None:
    running, most = 0, 0
    for each in simulate(phase(), 4, 1000.0):
        running += isinstance(each.event, Trial | Promotion)
        running -= isinstance(each.event, Pause) or (
            isinstance(each.event, Ending) and each.at < 1000.0
        )
        most = max(most, running)
    assert most == 4


def test_time_never_runs_backwards_and_trials_take_theirs() -> None:
    happened = simulate(phase(), 3, 2000.0)
    assert all(a.at <= b.at for a, b in itertools.pairwise(happened))
    started = {each.event.trial_id: each.at for each in happened if isinstance(each.event, Trial)}
    first = [h for h in happened if isinstance(h.event, Evaluation) and h.event.evaluation == 1]
    assert all(h.at - started[h.event.trial_id] == h.event.point for h in first)


def test_what_was_paused_costs_its_resumption() -> None:
    happened = simulate(phase(30), 2)
    called = [h for h in happened if isinstance(h.event, Promotion)]
    assert called
    for each in called:
        later = next(
            h
            for h in happened
            if isinstance(h.event, Evaluation)
            and h.event.trial_id == each.event.trial_id
            and h.event.point > _last_point(happened, each)
        )
        assert later.at - each.at == later.event.point - _last_point(happened, each) + 5.0


def _last_point(happened: list[Happening], until: Happening) -> int:
    before = happened[: happened.index(until)]
    points = [
        h.event.point
        for h in before
        if isinstance(h.event, Evaluation) and h.event.trial_id == until.event.trial_id
    ]
    return max(points)


def test_a_limited_phase_ends_by_itself_with_everything_ended() -> None:
    made = phase(40)
    simulate(made)
    assert len(made.history) == 40
    assert all(record.ending is not None for record in made.history)
    reached = [sum(r.value_at(rung) is not None for r in made.history) for rung in LADDER.coarse]
    assert reached[0] == 40
    assert 13 <= reached[1] <= 20  # some went on early that later ones overtook
    assert reached[1] // 3 <= reached[2] < reached[1]


def test_failures_end_their_trials_and_count_as_the_worst() -> None:
    made = phase(30)
    simulate(made, world=Bowl(frozenset({"c0001", "c0004"})))
    failed = {r.trial.trial_id for r in made.history if r.ending and r.ending.status == "failed"}
    assert failed == {"c0001", "c0004"}


def test_the_same_seed_gives_the_same_run_and_more_workers_a_shorter_one() -> None:
    few = simulate(phase(60), 2)
    assert few == simulate(phase(60), 2)
    assert simulate(phase(60), 8)[-1].at < 0.5 * few[-1].at


def test_a_phase_that_is_restored_goes_on_as_if_nothing_had_happened() -> None:
    """What is applied from a log leaves the phase in the state that the simulator left it in."""
    whole = simulate(phase(30), 2)
    restored = phase(30)
    restored.restore(each.event for each in whole)
    assert restored.exhausted
    assert restored.ask() is None


@pytest.mark.parametrize("num_workers", [1, 3, 50])
def test_time_up_ends_what_runs_and_what_waits(num_workers: int) -> None:
    made = phase()
    happened = simulate(made, num_workers, 300.0)
    assert max(each.at for each in happened) <= 300.0
    assert all(record.ending is not None for record in made.history)
