"""What fine does with the trials of coarse whose curves were flat when it ended."""

from collections import Counter
from collections.abc import Callable
from functools import cache

from simulation import LADDER, Simulation

from search.events import Asked, Proposals, Trial
from search.space import Float, Space
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import FinePhase, first_proposals
from search.strategy.ranking import name_of
from search.strategy.second_look import MAX_SHARE
from search.trials import History, Record

SPACE = Space([Float(name="x", low=0.0, high=1.0), Float(name="y", low=0.0, high=1.0)])
Loss = Callable[[Trial, int], float]


def is_flat(record: Record) -> bool:
    return float(record.trial.config["x"]) > 0.8


def world(final: float) -> Loss:
    """Return losses that fall at once, and where x > .8 only after half of the budget."""

    def loss(trial: Trial, point: int) -> float:
        x, y = float(trial.config["x"]), float(trial.config["y"])
        share = point / LADDER.full
        if x > 0.8:
            return 1.0 - (1.0 - final) * max(share - 0.5, 0.0) * 2 + 0.01 * y
        return 0.4 + 0.2 * y + 0.4 * (1 - share) ** 8

    return loss


@cache
def phases(final: float, *, num_trials: int = 150) -> tuple[History, FinePhase]:
    """Return what both phases have come to; nobody changes it."""
    loss = world(final)
    coarse = CoarsePhase(SPACE, [], LADDER, num_trials=60, seed=0)
    Simulation(coarse, faults=False, loss=loss).run(10_000)
    for record in coarse.history.paused:
        coarse.apply(record.not_called_again())
    first = first_proposals(coarse.history, LADDER)
    fine = FinePhase(SPACE, SPACE, first, coarse.history, LADDER, num_trials=num_trials, seed=0)
    Simulation(fine, faults=False, loss=loss).run(100_000)
    return coarse.history, fine


def looks(fine: FinePhase) -> list[Record]:
    return [record for record in fine.history if record.trial.source.startswith("look:")]


def test_those_that_hadn_t_begun_to_learn_are_trained_anew_and_in_full() -> None:
    coarse, fine = phases(final=0.1)
    assert looks(fine)
    for record in looks(fine):
        before = coarse[record.trial.source.removeprefix("look:")]
        assert is_flat(before)
        assert record.trial.config == before.trial.config
        assert record.evaluations[-1].point == LADDER.full
    names = [record.trial.source for record in looks(fine)]
    assert len(set(names)) == len(names)
    best = min(fine.history, key=lambda record: record.loss)
    assert is_flat(best)


def test_the_model_and_the_lot_don_t_train_the_same_one() -> None:
    coarse, before = phases(final=0.1)
    looked = [record.trial for record in looks(before)]
    fine = FinePhase(SPACE, SPACE, [], coarse, LADDER, num_trials=60, seed=0)
    fine.apply(Asked(0))
    fine.apply(Proposals(tuple(each.config for each in looked[::2]), "gp"))
    Simulation(fine, faults=False, loss=world(0.1)).run(100_000)
    names = Counter(name_of(record.trial.config) for record in fine.history)
    assert {name for name, times in names.items() if times > 1} == set()
    assert looks(fine), "some that weren't proposed"


def test_where_nothing_blooms_few_are_looked_at() -> None:
    _, in_vain = phases(final=0.95)
    _, found = phases(final=0.1)
    assert 1 <= len(looks(in_vain)) <= 5
    flat = [record for record in found.history if is_flat(record)]
    full = [record for record in flat if record.evaluations[-1].point == LADDER.full]
    assert len(full) >= 3 * len(looks(in_vain))
    spent = sum(record.samples_seen for record in found.history)
    assert sum(record.samples_seen for record in full) <= MAX_SHARE * spent + LADDER.full


def test_they_count_as_trials() -> None:
    _, fine = phases(final=0.1, num_trials=40)
    assert len(fine.history) == 40
    assert fine.exhausted


def test_the_survivors_come_before_them() -> None:
    _, fine = phases(final=0.1)
    sources = [record.trial.source.partition(":")[0] for record in fine.history]
    before = sources[: sources.index("look")]
    assert before[:2] == ["survivor"] * 2
    assert before.count("survivor") == sources.count("survivor") == 5


def test_the_log_alone_restores_what_was_looked_at() -> None:
    coarse, _ = phases(final=0.1, num_trials=60)
    first = first_proposals(coarse, LADDER)
    again = FinePhase(SPACE, SPACE, first, coarse, LADDER, num_trials=80, seed=0)
    fresh = FinePhase(SPACE, SPACE, first, coarse, LADDER, num_trials=80, seed=0)
    steps = Simulation(fresh, faults=False, loss=world(0.1)).run(150)
    again.restore(step.event for step in steps)
    assert again.ask() == fresh.ask()
    assert again.running == fresh.running
