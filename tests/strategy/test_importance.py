import math

import numpy as np
import pytest

from search.space import Choice, Config, Float, Integer, Space
from search.strategy.importance import MIN_TRIALS, measure_importance

NOISE = ("noise1", "noise2", "noise3")
SPACE = Space(
    [
        Float(name="planted", low=1e-5, high=1.0, log=True),
        Choice(name="kind", values=("a", "b", "c")),
        Float(name="noise1", low=0.0, high=1.0),
        Integer(name="noise2", low=1, high=9),
        Choice(name="noise3", values=(0.0, 0.3, 0.5), ordered=True),
        Float(name="child", low=0.0, high=1.0, when={"kind": ("b",)}),
    ]
)


def draws(number: int, seed: int) -> list[Config]:
    generator = np.random.default_rng(seed)
    return [SPACE.from_unit(generator.random(len(SPACE.searched))) for _ in range(number)]


def planted(config: Config) -> float:
    return (math.log10(float(config["planted"])) + 3) ** 2


def test_the_planted_dimension_is_found_and_its_interval_excludes_the_noise() -> None:
    configs = draws(60, 0)
    first, *others = measure_importance(SPACE, configs, [planted(c) for c in configs], seed=0)
    assert first.name == "planted"
    assert {each.name for each in others} == set(SPACE.names) - {"planted"}
    for other in others:
        assert first.low > other.high
        assert 0 <= other.low <= other.value <= other.high
    assert first.low <= first.value <= first.high


@pytest.mark.parametrize("worth", [{"a": 0.0, "b": 3.0, "c": 6.0}, {"a": 6.0, "b": 0.0, "c": 6.0}])
def test_a_choice_that_matters_is_found_and_not_the_dimension_that_only_one_value_has(
    worth: dict[str, float],
) -> None:
    configs = draws(120, 5)
    losses = [planted(c) + worth[str(c["kind"])] for c in configs]
    found = {each.name: each for each in measure_importance(SPACE, configs, losses, seed=0)}
    for name in ("planted", "kind"):
        assert found[name].low > max(found[noise].high for noise in (*NOISE, "child"))


def test_where_nothing_matters_no_dimension_is_said_to() -> None:
    configs = draws(60, 7)
    losses = np.random.default_rng(7).random(60).tolist()
    assert all(each.low < 0.05 for each in measure_importance(SPACE, configs, losses, seed=0))


def test_failures_are_the_worst_trials() -> None:
    configs = draws(60, 1)
    losses = [math.inf if float(c["planted"]) > 0.03 else 0.5 for c in configs]
    first = measure_importance(SPACE, configs, losses, seed=0)[0]
    assert first.name == "planted"
    assert first.low > 0.1


def test_the_measurement_is_seeded_and_only_the_order_of_the_losses_counts() -> None:
    configs = draws(MIN_TRIALS, 2)
    losses = [planted(config) for config in configs]
    stretched = [math.exp(3 * loss) for loss in losses]
    one, other = (measure_importance(SPACE, configs, losses, seed=seed) for seed in (0, 1))
    assert one != other
    assert measure_importance(SPACE, configs, stretched, seed=0) == one


@pytest.mark.parametrize("loss", [0.5, math.inf])
def test_too_little_to_tell(loss: float) -> None:
    few = draws(MIN_TRIALS - 1, 4)
    assert measure_importance(SPACE, few, [planted(c) for c in few], seed=0) == []
    many = draws(40, 4)
    assert measure_importance(SPACE, many, [loss] * 40, seed=0) == []
    assert measure_importance(Space([]), [{}] * 40, list(range(40)), seed=0) == []
