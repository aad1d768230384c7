"""Coarse's subsample grows, and fine takes a narrowing back, where the order doesn't hold."""

from collections.abc import Callable

import numpy as np
import pytest
from simulation import LADDER, SPACE, Simulation, Step, curve, through_json

from search.events import Growth, Promotion, Proposals, Trial
from search.space import apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import NUM_SURVIVORS, FinePhase, first_proposals
from search.strategy.trust import MIN_SPEAKING
from search.trials import History

SIZES = (1_000, 4_000, 6_000)
Loss = Callable[[Trial, int], float]


def sound(trial: Trial, point: int) -> float:
    return curve(trial.config, point / LADDER.full)


def muddled(trial: Trial, point: int) -> float:
    """Losses that have nothing to do with those of the rung before, on the first rows."""
    if trial.division > 0:
        return sound(trial, point)
    rung = next(rung for rung in LADDER.rungs if point <= rung)
    return 1.0 / rung + float(np.random.default_rng([trial.seed, rung]).random()) / 100


def coarse(sizes: tuple[int, ...] = SIZES, num_trials: int = 120) -> CoarsePhase:
    return CoarsePhase(SPACE, [], LADDER, num_trials=num_trials, seed=1, sizes=sizes)


def run(phase: CoarsePhase, loss: Loss) -> list[Step]:
    return Simulation(phase, faults=False, loss=loss).run(10_000, ask_ahead=True)


@pytest.fixture(scope="module")
def grown() -> list[Step]:
    return run(coarse(), muddled)


def growths(steps: list[Step]) -> list[Growth]:
    return [step.event for step in steps if isinstance(step.event, Growth)]


def test_a_subsample_whose_order_does_not_hold_grows_and_the_next_one_is_left_alone(
    grown: list[Step],
) -> None:
    (growth,) = growths(grown)
    assert growth.division == 1
    assert "rank correlation" in growth.reason
    assert "1,000 rows" in growth.reason
    assert growth.reason.endswith("trials that start from now on are trained on 4,000 rows")
    assert growth.numbers["correlation"]["num_pairs"] >= MIN_SPEAKING
    at = next(n for n, step in enumerate(grown) if step.event is growth)
    before, after = (
        {step.event.division for step in part if isinstance(step.event, Trial)}
        for part in (grown[:at], grown[at:])
    )
    assert (before, after) == ({0}, {1})


def test_what_waited_on_fewer_rows_is_not_called_any_more(grown: list[Step]) -> None:
    at = next(n for n, step in enumerate(grown) if isinstance(step.event, Growth))
    small = {s.event.trial_id for s in grown[:at] if isinstance(s.event, Trial)}
    called = {s.event.trial_id for s in grown[at:] if isinstance(s.event, Promotion)}
    assert called
    assert not called & small


def test_on_more_rows_trials_compete_among_themselves(grown: list[Step]) -> None:
    at = next(n for n, step in enumerate(grown) if isinstance(step.event, Growth))
    large = {s.event.trial_id for s in grown[at:] if isinstance(s.event, Trial)}
    judged = [s for s in grown[at:] if s.decision.numbers.get("rung") == 0]
    ranks = [s.decision.numbers for s in judged if s.event.trial_id in large]
    assert [each["of"] for each in ranks[:3]] == [1, 2, 3]


@pytest.mark.parametrize(("loss", "sizes"), [(sound, SIZES), (muddled, SIZES[:1]), (muddled, ())])
def test_it_stays_where_the_order_holds_or_there_are_no_more_rows(
    loss: Loss, sizes: tuple[int, ...]
) -> None:
    phase = coarse(sizes)
    assert growths(run(phase, loss)) == []
    assert {record.trial.division for record in phase.history} == {0}
    assert phase.exhausted


def test_it_grows_up_to_all_rows_and_no_further() -> None:
    def never(trial: Trial, point: int) -> float:
        rung = next(rung for rung in LADDER.rungs if point <= rung)
        return 1.0 / rung + float(np.random.default_rng([trial.seed, rung]).random()) / 100

    steps = run(coarse(num_trials=400), never)
    assert [growth.division for growth in growths(steps)] == [1, 2]


def test_a_run_that_grew_goes_on_after_a_crash_as_if_nothing_had_been(grown: list[Step]) -> None:
    events = through_json([step.event for step in grown])
    at = next(n for n, event in enumerate(events) if isinstance(event, Growth))
    for cut in (at - 1, at, at + 1, at + 40, len(events) - 1):
        phase = coarse()
        phase.restore(events[:cut])
        assert phase.ask() == grown[cut - 1].ask
        if cut == at:
            assert phase.wants() == events[at]
        if cut > at:
            assert phase.wants() is None
        assert [phase.apply(e) for e in events[cut:]] == [s.decision for s in grown[cut:]]


# ------------------------------------------------------------------ fine


@pytest.fixture(scope="module")
def before() -> History:
    phase = coarse(num_trials=60)
    Simulation(phase, faults=False).run(10_000)
    return phase.history


FOCUS = apply_overrides(SPACE, {"num_layers": {"low": 2, "high": 4}, "optimizer": {"value": "sgd"}})


def fine(history: History, sizes: tuple[int, ...] = SIZES) -> FinePhase:
    first = first_proposals(history, LADDER)
    return FinePhase(SPACE, FOCUS, first, history, LADDER, num_trials=40, seed=1, sizes=sizes)


def turned_for(history: History) -> Loss:
    """Losses that turn the order of coarse's survivors around, and are as they were else."""
    ranked = [source.partition(":")[2] for _, source in first_proposals(history, LADDER)]
    losses = {name: history[name].value_at(LADDER.fine[0]) for name in ranked}
    assert all(loss is not None for loss in losses.values())

    def loss(trial: Trial, point: int) -> float:
        name = trial.source.partition(":")[2]
        return -float(losses[name] or 0.0) if name in losses else sound(trial, point)

    return loss


def restored(phase: FinePhase, loss: Loss) -> list[dict]:
    steps = Simulation(phase, faults=False, loss=loss).run(10_000)
    changes = [c for s in steps if isinstance(s.event, Proposals) for c in s.event.changes]
    return [change for change in changes if "coarse's order" in change["why"]]


def test_where_more_rows_turn_the_order_around_fine_takes_the_narrowing_back(
    before: History,
) -> None:
    phase = fine(before)
    assert len(first_proposals(before, LADDER)) == NUM_SURVIVORS
    changes = restored(phase, turned_for(before))
    assert {each["change"] for each in changes} == {"restored"}
    assert len(changes) == len({each["dimension"] for each in changes}), "once is enough"
    assert "by 5 of" in changes[0]["why"]
    assert phase.living.focus == phase.living.whole


def test_where_the_order_holds_the_narrowing_stays(before: History) -> None:
    assert restored(fine(before), sound) == []
    assert restored(fine(before, ()), turned_for(before)) == []
