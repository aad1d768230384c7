import math
import statistics
from collections import Counter
from collections.abc import Sequence

import pytest
from simulation import DEFAULTS, LADDER, SPACE, Simulation, curve

from search.events import Ending, Trial
from search.space import Fixed, Float, Space, apply_overrides
from search.strategy.coarse import CoarsePhase
from search.strategy.ranking import best_config
from search.strategy.search_phase import Proposal
from search.strategy.watch import Watch
from search.task import Default


def phase(
    space: Space = SPACE,
    *,
    seed: int = 0,
    num_trials: int | None = 40,
    defaults: Sequence[Default] = DEFAULTS,
) -> CoarsePhase:
    return CoarsePhase(space, defaults, LADDER, num_trials=num_trials, seed=seed)


def take(made: CoarsePhase) -> Trial:
    trial = made.ask()
    assert trial is not None
    made.apply(trial)
    return trial


def test_published_defaults_come_first_then_sobol_points_and_points_around_the_defaults() -> None:
    made = phase()
    Simulation(made).run(10_000)
    trials = [record.trial for record in made.history]
    assert [trial.config for trial in trials[:2]] == [default.config for default in DEFAULTS]
    assert [trial.source for trial in trials[:2]] == ["default:a paper", "default:another paper"]
    others = Counter(trial.source for trial in trials[2:])
    assert others.keys() == {"sobol", "around:a paper", "around:another paper"}
    assert abs(others["around:a paper"] - others["around:another paper"]) <= 1, "they take turns"
    sobol = [trial.config for trial in trials if trial.source == "sobol"]
    plain = phase(defaults=())
    assert sobol == [plain.propose(number)[0] for number in range(len(sobol))], "none is left out"
    assert [trial.trial_id for trial in trials] == [f"c{number:04d}" for number in range(40)]
    for trial in trials:
        SPACE.validate(trial.config)


def test_every_second_point_is_taken_from_where_to_look_first() -> None:
    name = "learning_rate_adam"
    rate = SPACE[name]
    assert isinstance(rate, Float)
    first = rate.with_range(1e-3, 1e-2)
    looking = CoarsePhase(SPACE, (), LADDER, num_trials=40, seed=0, first=first)
    made = (phase(defaults=()), looking)
    plain, looked = ([each.propose(n)[0] for n in range(32)] for each in made)
    assert [looked[n] for n in range(1, 32, 2)] == [plain[n] for n in range(1, 32, 2)]
    moved = [(plain[n], looked[n]) for n in range(0, 32, 2) if name in plain[n]]
    assert moved
    for before, after in moved:
        SPACE.validate(after)
        assert first.to_unit(after[name]) == pytest.approx(rate.to_unit(before[name]))
        assert {**after, name: before[name]} == before


def test_a_default_outside_of_the_study_s_space_is_left_out() -> None:
    narrowed = apply_overrides(SPACE, {"batch_size": {"values": [64, 128]}})
    made = phase(narrowed)
    first, second = take(made), take(made)
    assert (first.config, first.source) == (DEFAULTS[0].config, "default:a paper")
    assert second.source == "sobol"
    fixed = apply_overrides(SPACE, {"num_layers": {"value": 2}})
    first = take(phase(fixed))
    assert first.source == "sobol"
    assert fixed.contains(first.config)


def test_where_all_is_fixed_only_the_defaults_are_left() -> None:
    fixed = SPACE
    for name, value in DEFAULTS[0].config.items():
        fixed = fixed.fix(name, value)
    made = phase(Space([each for each in fixed if each.name in DEFAULTS[0].config]))
    assert made.num_trials == 1
    assert take(made).source == "default:a paper"
    assert made.ask() is None


def test_proposals_do_not_share_a_configuration_with_the_defaults() -> None:
    made = phase()
    take(made).config["num_layers"] = 99
    assert DEFAULTS[0].config["num_layers"] == 1


def test_points_are_seeded() -> None:
    def points(seed: int) -> list[object]:
        return [phase(seed=seed).propose(number)[0] for number in range(2, 12)]

    assert points(1) == points(1) != points(2)


def test_all_values_of_a_choice_are_tried_equally_often() -> None:
    made = phase(num_trials=None, defaults=())
    sizes = [made.propose(number)[0]["batch_size"] for number in range(64)]
    assert [sizes.count(size) for size in (32, 64, 128, 256)] == [16] * 4


@pytest.mark.parametrize("space", [Space([]), Space([Fixed(name="x", value=1)])])
def test_an_empty_space_has_one_proposal(space: Space) -> None:
    made = CoarsePhase(space, [], LADDER, num_trials=2, seed=0)
    assert made.propose(0) == made.propose(1) == (space.from_unit([]), "sobol")


def test_trials_are_promoted_by_the_objective_where_there_is_one() -> None:
    made = phase(num_trials=27)
    Simulation(made, faults=False, objective=lambda loss: -loss).run(10_000)
    ended = [record for record in made.history if math.isfinite(record.loss)]
    far = [record for record in ended if record.evaluations[-1].point > LADDER.base]
    near = [record for record in ended if record not in far]
    assert far
    assert near
    early = {record.trial.trial_id: record.evaluations[1].validation_loss for record in ended}
    median = statistics.median(early.values())
    assert statistics.mean(early[r.trial.trial_id] for r in far) > median, "the worst loss goes on"


class Told(CoarsePhase):
    """Notes in which groups each proposal differs from the best that was known."""

    def propose(self, number: int) -> Proposal:
        config, source = super().propose(number)
        best = best_config(self.seen.observations()) or {}
        differ = [n for n in {*best, *config} if best.get(n) != config.get(n)]
        self.__dict__.setdefault("turns", {})[number] = {self.space[n].group for n in differ}
        return config, source


def test_by_group_the_learning_rate_comes_first_and_all_else_is_held_at_the_best() -> None:
    made = Told(SPACE, DEFAULTS, LADDER, num_trials=2 + 36, seed=0, by_group=True)
    Simulation(made, faults=False).run(10_000)
    turns = [made.__dict__["turns"][number] for number in range(4, 38)]
    assert all(len(groups) <= 1 for groups in turns), "one group at a time"
    by_turn = [set().union(*turns[max(at - 2, 0) : at + 4]) for at in range(0, 36, 6)]
    assert by_turn[:3] == [{1}, {2}, {3}]
    assert set().union(*by_turn[3:]) == {1, 2, 3}


def late(trial: Trial, point: int) -> float:
    """Return the loss of a training that learns nothing before the second rung."""
    return CHANCE if point <= LADDER.coarse[0] else curve(trial.config, point / LADDER.full)


CHANCE = 2.0


@pytest.mark.parametrize(("chance", "is_early"), [(CHANCE, True), (None, False)])
def test_where_nobody_has_learnt_anything_by_a_rung_it_decides_nothing(
    chance: float | None, is_early: bool
) -> None:
    made = CoarsePhase(SPACE, [], LADDER, num_trials=30, seed=0, watch=Watch(chance))
    Simulation(made, faults=False, loss=late).run(10_000)
    after = list(made.history)[8:]
    far = [record for record in after if record.evaluations[-1].point > LADDER.coarse[0]]
    assert (len(far) == len(after)) == is_early
    assert any(r.evaluations[-1].point == LADDER.coarse[1] for r in far), "the next rung decides"


def test_a_phase_whose_every_trial_is_too_slow_comes_to_its_end() -> None:
    phase = CoarsePhase(SPACE, [], LADDER, num_trials=None, seed=0, max_run_seconds=1.0)
    for _ in range(5):
        assert not phase.has_enough
        trial = phase.ask()
        assert isinstance(trial, Trial)
        phase.apply(trial)
        phase.apply(Ending(trial.trial_id, "stopped", "too slow: a full run would take 99 s"))
    assert phase.has_enough
