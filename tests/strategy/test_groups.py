import numpy as np
import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, Step, through_json

from search.space import Config
from search.strategy.coarse import TRIALS_PER_GROUP, CoarsePhase
from search.strategy.fine import FinePhase, first_proposals
from search.strategy.groups import groups_by_importance, hold_config
from search.trials import History, Trial


@pytest.fixture(scope="module")
def coarse() -> History:
    phase = CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=60, seed=0)
    Simulation(phase).run(10_000)
    return phase.history


def test_every_searched_dimension_is_in_one_group(coarse: History) -> None:
    groups = groups_by_importance(SPACE, coarse, LADDER, seed=0)
    assert sorted(sum(groups, ())) == sorted(SPACE.names)
    assert groups[-1] == ("weight_decay",)  # which hardly matters here


def test_without_evidence_the_groups_come_in_their_own_order() -> None:
    groups = groups_by_importance(SPACE, History(), LADDER, seed=0)
    assert [group[0] for group in groups] == ["optimizer", "num_layers", "weight_decay"]


def test_what_is_held_stays_and_the_result_is_a_point_of_the_space() -> None:
    best = {**DEFAULTS[0].config}
    for seed in range(20):
        drawn = SPACE.from_unit(np.random.default_rng(seed).random(len(SPACE.searched)))
        held = hold_config(SPACE, drawn, best, ("num_layers", "batch_size"))
        SPACE.validate(held)
        free = {name: drawn[name] for name in ("num_layers", "batch_size")}
        assert held == pytest.approx({**best, **free})


@pytest.mark.parametrize("searcher", ["gp", "tpe"])
def test_a_phase_by_groups_changes_one_group_at_a_time(coarse: History, searcher: str) -> None:
    groups = groups_by_importance(SPACE, coarse, LADDER, seed=0)
    first = first_proposals(coarse, LADDER)
    phase = FinePhase(
        SPACE,
        SPACE,
        first,
        coarse,
        LADDER,
        num_trials=15,
        searcher=searcher,
        groups=groups,
        seed=0,
    )
    asked = phase.wants()
    assert asked is not None
    phase.apply(asked)
    assert phase.question is not None
    best = min(phase.seen.observations(), key=lambda each: (-each.samples, each.loss)).config
    for config in phase.question().configs:
        differing = {name for name in {*best, *config} if best.get(name) != config.get(name)}
        assert differing <= set(groups[0])
    Simulation(phase).run(10_000)
    assert len(phase.history) == 15


def by_group() -> CoarsePhase:
    return CoarsePhase(SPACE, DEFAULTS, LADDER, num_trials=46, seed=0, by_group=True)


def by_decay(trial: Trial, point: int) -> float:
    return 1.0 + abs(np.log10(float(trial.config["weight_decay"])) + 4.0) + 1.0 / point


def differing(one: Config, other: Config) -> set[str]:
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def test_a_round_of_coarse_begins_with_what_matters_most_once_enough_is_known() -> None:
    phase = by_group()
    Simulation(phase, faults=False, loss=by_decay).run(10_000)
    configs = [record.trial.config for record in phase.history]
    begins = len(DEFAULTS) + 2 * 3 * TRIALS_PER_GROUP
    for number in range(begins, begins + TRIALS_PER_GROUP):
        held = [differing(configs[number], before) for before in configs[:number]]
        assert any(names <= {"weight_decay"} for names in held), number


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """Return what happens in an undisturbed phase, with what is asked between."""
    return Simulation(by_group(), loss=by_decay).run(10_000, ask_ahead=True)


@pytest.mark.parametrize("share", [0.3, 0.75])
def test_coarse_by_groups_goes_on_after_a_crash_as_it_would_have(
    steps: list[Step], share: float
) -> None:
    place = int(share * len(steps))
    again = by_group()
    again.restore(through_json([step.event for step in steps[:place]]))
    for step in steps[place:]:
        again.apply(step.event)
        assert again.ask() == step.ask
