import math

import numpy as np
import pytest
from simulation import SPACE, final_loss

from search.space import Choice, Config, Fixed, Float, Integer, Space
from search.strategy.tpe import Observation, finite_losses, suggest

PLANE = Space(
    [
        Float(name="x", low=-5.0, high=5.0),
        Float(name="y", low=-5.0, high=5.0),
        Choice(name="kind", values=("a", "b")),
        Float(name="z", low=-5.0, high=5.0, when={"kind": ("b",)}),
    ]
)


def bowl(config: Config) -> float:
    """Return a quadratic with its least value, 0, at x = 2, y = -1, kind = a."""
    x, y = float(config["x"]), float(config["y"])
    penalty = 2.0 + abs(float(config["z"])) if config["kind"] == "b" else 0.0
    return (x - 2) ** 2 + (y + 1) ** 2 + penalty


def draws(space: Space, number: int, seed: int) -> list[Config]:
    generator = np.random.default_rng(seed)
    return [space.from_unit(generator.random(len(space.searched))) for _ in range(number)]


def observed(configs: list[Config]) -> list[Observation]:
    return [Observation(config, bowl(config)) for config in configs]


def search(
    space: Space, first: list[Observation], number: int, seed: int, evaluate=bowl
) -> list[Config]:
    """Return TPE's suggestions, one after the other, each told its loss."""
    observations, found = list(first), []
    for each in range(number):
        config = suggest(space, observations, seed=1000 * seed + each)
        observations.append(Observation(config, evaluate(config)))
        found.append(config)
    return found


def test_suggestions_are_valid_and_both_branches_are_searched() -> None:
    found = search(SPACE, [], 40, 0, final_loss)
    for config in found:
        SPACE.validate(config)
    assert {config["optimizer"] for config in found[5:]} == {"sgd", "adam"}


def test_the_same_seed_and_observations_give_the_same_suggestion() -> None:
    observations = observed(draws(PLANE, 20, 0))
    assert suggest(PLANE, observations, seed=3) == suggest(PLANE, observations, seed=3)
    assert suggest(PLANE, observations, seed=3) != suggest(PLANE, observations, seed=4)
    assert suggest(PLANE, [], seed=3) == suggest(PLANE, [], seed=3)


def test_neither_numpy_s_generator_nor_the_observations_are_touched() -> None:
    observations = observed(draws(PLANE, 20, 0))
    before = [(dict(each.config), each.loss) for each in observations]
    np.random.seed(0)
    state = np.random.get_state()[1].tolist()  # type: ignore[index]
    suggest(PLANE, observations, seed=3)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]
    assert [(each.config, each.loss) for each in observations] == before


def test_an_empty_space_has_one_suggestion() -> None:
    assert suggest(Space([]), [Observation({"x": 1.0}, 0.5)], seed=0) == {}
    assert suggest(Space([Fixed(name="x", value=3)]), [], seed=0) == {"x": 3}


def test_a_choice_of_one_value_is_no_obstacle() -> None:
    space = Space([Choice(name="c", values=("only",)), Float(name="x", low=0.0, high=1.0)])
    observations = [Observation({"c": "only", "x": x / 10}, x) for x in range(10)]
    assert suggest(space, observations, seed=0)["c"] == "only"


def test_observations_outside_of_the_narrowed_space_still_help_where_they_lie_inside() -> None:
    narrowed = Space(
        [
            Float(name="x", low=-1.0, high=5.0),
            Float(name="y", low=-5.0, high=5.0),
            Fixed(name="kind", value="a"),
        ]
    )
    observations = observed(draws(PLANE, 40, 0))
    assert any(not narrowed.contains(each.config) for each in observations)
    found = [suggest(narrowed, observations, seed=seed) for seed in range(30)]
    for config in found:
        narrowed.validate(config)
    assert np.mean([abs(float(c["y"]) + 1) for c in found]) < 2.0  # at random 2.9
    nowhere = [Observation({"x": -4.0, "y": 99.0, "kind": "gone"}, 1.0)] * 12
    narrowed.validate(suggest(narrowed, nowhere, seed=0))


@pytest.mark.parametrize("failure", [math.inf, math.nan])
def test_failures_do_not_attract(failure: float) -> None:
    """Half of the space fails; hyperopt left to itself puts 76 % of its suggestions there."""

    def half_fails(config: Config) -> float:
        return failure if float(config["x"]) < 0 else bowl(config)

    bad = []
    for seed in range(3):
        found = search(PLANE, [], 40, seed, half_fails)
        bad += [float(config["x"]) < 0 for config in found[10:]]
    assert np.mean(bad) <= 0.35


def test_a_failing_choice_does_not_attract_either() -> None:
    def one_fails(config: Config) -> float:
        return math.inf if config["kind"] == "b" else bowl(config)

    found = [config for seed in range(3) for config in search(PLANE, [], 40, seed, one_fails)[10:]]
    assert np.mean([config["kind"] == "b" for config in found]) <= 0.35


def test_nothing_but_failures_is_no_obstacle() -> None:
    observations = [Observation(config, math.inf) for config in draws(PLANE, 15, 0)]
    PLANE.validate(suggest(PLANE, observations, seed=0))


def test_earlier_observations_take_the_first_suggestions_down() -> None:
    with_them, without = [], []
    for seed in range(4):
        known = observed(draws(PLANE, 30, 100 + seed))
        with_them += [bowl(config) for config in search(PLANE, known, 10, seed)]
        without += [bowl(config) for config in search(PLANE, [], 10, seed)]
    assert np.mean(with_them) < 0.6 * np.mean(without)


def test_it_beats_random_on_a_conditional_space() -> None:
    better = 0
    for seed in range(5):
        random = min(bowl(config) for config in draws(PLANE, 60, 50 + seed))
        better += min(bowl(config) for config in search(PLANE, [], 60, seed)) <= random
    assert better >= 4


def test_ordered_values_are_treated_as_numbers() -> None:
    sizes = (8, 16, 32, 64, 128, 256, 512, 1024)
    space = Space(
        [
            Choice(name="size", values=sizes, ordered=True),
            Integer(name="n", low=1, high=9),
        ]
    )
    observations = [
        Observation({"size": c["size"], "n": c["n"]}, abs(math.log2(float(c["size"])) - 8))
        for c in draws(space, 30, 0)
        if c["size"] != 256
    ]
    found = [suggest(space, observations, seed=seed)["size"] for seed in range(40)]
    # 256 was never tried; its neighbours did well.
    assert found.count(256) > 40 / len(sizes)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([1.0, 5.0, math.inf], [1.0, 5.0, 9.0]),
        ([1.0, 1.5, math.nan, -math.inf], [1.0, 1.5, 2.5, 2.5]),
        ([math.inf], [2.0]),
        ([], []),
    ],
)
def test_failures_become_a_finite_penalty(losses: list[float], expected: list[float]) -> None:
    assert finite_losses(losses) == expected
