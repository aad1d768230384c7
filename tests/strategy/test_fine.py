import numpy as np
import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, final_loss

from search.space import Fixed, Float, Space, apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.fine import NUM_SURVIVORS, FinePhase, first_proposals
from search.strategy.narrow import widened
from search.strategy.ranking import name_of
from search.trials import History


@pytest.fixture(scope="module")
def coarse() -> History:
    phase = CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=60, seed=0)
    Simulation(phase).run(10_000)
    return phase.history


SEARCHERS = ("gp", "tpe")


def fine(
    history: History, *, num_trials: int = 30, seed: int = 0, searcher: str = "gp"
) -> FinePhase:
    first = first_proposals(history, LADDER)
    return FinePhase(
        SPACE, SPACE, first, history, LADDER, num_trials=num_trials, searcher=searcher, seed=seed
    )


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_two_survivors_come_first_then_the_model_with_few_random_points_and_the_others_between(
    coarse: History, searcher: str
) -> None:
    phase = fine(coarse, num_trials=60, searcher=searcher)
    Simulation(phase).run(10_000)
    sources = [record.trial.source for record in phase.history]
    best = min(coarse, key=lambda record: record.loss)
    assert sources[0] == f"survivor:{best.trial.trial_id}"
    assert phase.history["f0000"].trial.config == best.trial.config
    again = [number for number, source in enumerate(sources) if source.startswith("survivor:")]
    assert again == [0, 1, 5, 11, 17]
    assert len({sources[number] for number in again}) == NUM_SURVIVORS
    others = {sources[number].partition(":")[0] for number in range(60) if number not in again}
    assert others == {searcher, "random", "value"}
    assert 1 <= sources.count("random") <= 0.3 * len(sources)
    for record in phase.history:
        SPACE.validate(record.trial.config)


def test_where_there_are_few_trials_all_survivors_are_among_them(coarse: History) -> None:
    for number in (5, 9, 12):
        phase = fine(coarse, num_trials=number)
        Simulation(phase).run(10_000)
        sources = [record.trial.source for record in phase.history]
        assert sum(source.startswith("survivor:") for source in sources) == NUM_SURVIVORS


def test_no_configuration_is_tried_twice(coarse: History) -> None:
    phase = fine(coarse, num_trials=40)
    Simulation(phase).run(10_000)
    configs = [name_of(record.trial.config) for record in phase.history]
    assert len(set(configs)) == len(configs)


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_proposals_are_seeded(coarse: History, searcher: str) -> None:
    def proposals(seed: int) -> list[object]:
        phase = fine(coarse, num_trials=12, seed=seed, searcher=searcher)
        Simulation(phase).run(10_000)
        return [record.trial for record in phase.history]

    assert proposals(1) == proposals(1) != proposals(2)


def test_an_empty_coarse_phase_leaves_random_proposals() -> None:
    phase = fine(History(), num_trials=8)
    Simulation(phase, faults=False).run(10_000)
    assert len(phase.history) == 8
    assert phase.seen


def test_a_space_without_anything_to_search_has_one_proposal(coarse: History) -> None:
    fixed = Space(
        [
            Fixed(name=d.name, value=DEFAULTS[0].config[d.name])
            for d in SPACE
            if d.name in DEFAULTS[0].config
        ]
    )
    phase = FinePhase(fixed, fixed, [], coarse, LADDER, num_trials=3, seed=0)
    assert {repr(phase.propose(number)[0]) for number in range(3)} == {repr(DEFAULTS[0].config)}


def test_survivors_outside_of_the_fine_space_are_trained_all_the_same(coarse: History) -> None:
    narrowed = apply_overrides(SPACE, {"num_layers": {"value": 2}})
    phase = FinePhase(
        narrowed, narrowed, first_proposals(coarse, LADDER), coarse, LADDER, num_trials=12, seed=0
    )
    Simulation(phase).run(10_000)
    again = [r for r in phase.history if r.trial.source.startswith("survivor:")]
    assert any(record.trial.config["num_layers"] != 2 for record in again)
    for record in phase.history:
        if record not in again:
            narrowed.validate(record.trial.config)


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_fine_beats_random_at_an_equal_number_of_trials(searcher: str) -> None:
    number, gains, medians = 30, [], []
    for seed in range(4):
        phase = CoarsePhase(SPACE, [], LADDER, num_trials=number, seed=seed)
        Simulation(phase, faults=False).run(10_000)
        found = fine(phase.history, num_trials=number, seed=seed, searcher=searcher)
        Simulation(found, faults=False).run(10_000)
        ours = [final_loss(record.trial.config) for record in found.history]
        points = np.random.default_rng(seed).random((2 * number, len(SPACE.searched)))
        drawn = [final_loss(SPACE.from_unit(point)) for point in points]
        gains.append(min(drawn) - min(ours))
        medians.append((np.median(ours), np.median(drawn)))
    assert all(our < random for our, random in medians)
    assert np.mean(gains) > 0.01
    assert sum(gain > 0 for gain in gains) >= 3


def test_what_narrowing_cut_away_is_searched_less_but_not_lost(coarse: History) -> None:
    focus = apply_overrides(SPACE, {"num_layers": {"low": 1, "high": 2}})  # the best is 3
    phase = FinePhase(SPACE, focus, [], coarse, LADDER, num_trials=60, seed=0)
    Simulation(phase, faults=False).run(10_000)
    layers = [int(record.trial.config["num_layers"]) for record in phase.history]
    assert layers.count(3) > 0
    drawn = [
        FinePhase(SPACE, focus, [], History(), LADDER, num_trials=None, seed=s) for s in (1, 2)
    ]
    random = [int(each.propose(n)[0]["num_layers"]) for each in drawn for n in range(100)]
    assert 0.55 <= sum(each <= 2 for each in random) / 200 <= 0.85  # .4 of the whole space


def test_a_widened_range_is_searched_beyond_the_old_one(coarse: History) -> None:
    wide = apply_overrides(SPACE, {"learning_rate_sgd": {"low": 1e-5, "high": 10.0}})
    space = widened(SPACE, wide)
    assert isinstance(space["learning_rate_sgd"], Float)
    assert (space["learning_rate_sgd"].low, space["learning_rate_sgd"].high) == (1e-5, 10.0)
    assert widened(SPACE, SPACE) == SPACE
