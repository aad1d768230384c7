"""Grid search: which points a grid has, and that each is tried once, under ASHA."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulation import DEFAULTS, LADDER, SPACE, Simulation

from search.errors import StudyError
from search.events import Promotion
from search.space import Choice, Dimension, Fixed, Float, Integer, Space, apply_overrides
from search.strategy.coarse import default_proposals
from search.strategy.fine import NUM_SURVIVORS
from search.strategy.grid import GridPhase, check_grids, grid_configs, grid_values
from search.strategy.method import Method
from search.study import Study, resolve_study

SMALL = apply_overrides(
    SPACE,
    {"num_layers": {"value": 1}, "batch_size": {"value": 64}, "weight_decay": {"value": 1e-4}},
)
"""An optimizer, and a learning rate for each of the two; the first default lies in it."""


def keys(configs: list) -> list[str]:
    return [json.dumps(config, sort_keys=True) for config in configs]


def phase(space: Space = SMALL, *, seed: int = 0, num_trials: int | None = None) -> GridPhase:
    return GridPhase(
        "coarse",
        space,
        LADDER,
        LADDER.coarse,
        default_proposals(space, DEFAULTS),
        num_points=5,
        num_trials=num_trials,
        seed=seed,
    )


# ---------------------------------------------------------------------- the points


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Float(name="x", low=0.0, high=1.0), (0.0, 0.25, 0.5, 0.75, 1.0)),
        (Float(name="x", low=1e-4, high=1.0, log=True), (1e-4, 1e-3, 1e-2, 1e-1, 1.0)),
        (Integer(name="x", low=1, high=11), (1, 3, 6, 9, 11)),
        (Integer(name="x", low=2, high=6), (2, 3, 4, 5, 6)),
        (Integer(name="x", low=0, high=1), (0, 1)),
        (Integer(name="x", low=16, high=1024, log=True), (16, 44, 126, 359, 1024)),
        (Choice(name="x", values=("b", "a")), ("b", "a")),
        (Choice(name="x", values=tuple(range(9)), ordered=True), tuple(range(9))),
        (Fixed(name="x", value=3), (3,)),
    ],
)
def test_the_values_of_a_dimension_on_a_grid(dimension: Dimension, values: tuple) -> None:
    found = grid_values(dimension, 5)
    assert found == pytest.approx(values) if not isinstance(values[0], str) else found == values


def test_every_combination_is_there_once() -> None:
    space = Space([Choice(name="a", values=("x", "y")), Float(name="b", low=0.0, high=1.0)])
    expected = itertools.product(("x", "y"), (0.0, 0.5, 1.0))
    assert grid_configs(space, 3) == [{"a": a, "b": b} for a, b in expected]


def test_a_dimension_varies_only_where_it_is_active() -> None:
    configs = grid_configs(SMALL, 5)
    assert len(configs) == 2 * 5
    for optimizer in ("sgd", "adam"):
        mine = [config for config in configs if config["optimizer"] == optimizer]
        assert len({config[f"learning_rate_{optimizer}"] for config in mine}) == 5


DIMENSIONS = st.one_of(
    st.builds(
        lambda low, width, log: Float(name="?", low=low, high=low + width, log=log),
        *(st.floats(1e-6, 1e3), st.floats(1e-3, 1e3), st.booleans()),
    ),
    st.builds(
        lambda low, width, log: Integer(name="?", low=low, high=low + width, log=log),
        *(st.integers(1, 50), st.integers(1, 3000), st.booleans()),
    ),
    st.builds(
        lambda number, ordered: Choice(name="?", values=tuple(range(number)), ordered=ordered),
        *(st.integers(1, 6), st.booleans()),
    ),
)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Return a space of at most three searched dimensions, some of them conditional."""
    made: list[Dimension] = []
    for number in range(draw(st.integers(1, 3))):
        dimension = draw(DIMENSIONS)
        parents = [each for each in made if isinstance(each, Choice) and len(each.values) > 1]
        when = {}
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            count = draw(st.integers(1, len(parent.values) - 1))
            when = {parent.name: parent.values[:count]}
        changes = {"name": f"d{number}", "when": when}
        made.append(type(dimension)(**{**vars(dimension), **changes}))
    return Space(made)


@given(spaces(), st.integers(2, 7))
def test_a_grid_is_of_different_points_of_its_space(space: Space, num_points: int) -> None:
    configs = grid_configs(space, num_points)
    assert len(set(keys(configs))) == len(configs) >= 1
    assert len(configs) <= math.prod(len(grid_values(d, num_points)) for d in space)
    for config in configs:
        space.validate(config)
    for dimension in space:
        tried = {config[dimension.name] for config in configs if dimension.name in config}
        assert tried == set(grid_values(dimension, num_points))
        if isinstance(dimension, Float | Integer):
            assert {dimension.low, dimension.high} <= tried
            assert len(tried) <= num_points
            steps = [dimension.to_unit(value) for value in sorted(tried)]
            assert steps == sorted(steps)
        if isinstance(dimension, Float):
            assert len(tried) == num_points
            assert steps == pytest.approx(
                [n / (num_points - 1) for n in range(num_points)], abs=1e-6
            )


# ---------------------------------------------------------------------- the phase


def test_the_defaults_come_first_then_each_point_once() -> None:
    made = phase()
    Simulation(made).run(10_000)
    configs = [record.trial.config for record in made.history]
    assert [r.trial.source for r in made.history] == ["default:a paper", *["grid"] * 10]
    assert configs[0] == DEFAULTS[0].config
    assert set(keys(configs[1:])) == set(keys(grid_configs(SMALL, 5)))
    assert made.exhausted
    assert made.num_trials == made.size == 11
    assert made.describe_rest() == ""


def test_a_default_on_the_grid_is_not_tried_twice() -> None:
    space = apply_overrides(SMALL, {"learning_rate_adam": {"values": [1e-4, 1e-3]}})
    made = phase(space)
    Simulation(made).run(10_000)
    assert len(made.history) == made.size == 1 + (5 + 2) - 1


def test_asha_is_on() -> None:
    space = apply_overrides(SMALL, {"optimizer": {"value": "adam"}})
    made = GridPhase(
        "coarse", space, LADDER, LADDER.coarse, [], num_points=30, num_trials=None, seed=0
    )
    steps = Simulation(made).run(10_000)
    assert len(made.history) == 30
    assert any(isinstance(step.event, Promotion) for step in steps)
    whole = [
        r for r in made.history if r.evaluations and r.evaluations[-1].point == LADDER.coarse[-1]
    ]
    assert 0 < len(whole) < 15


def test_the_order_is_drawn_by_the_seed() -> None:
    def order(seed: int) -> list[str]:
        made = phase(seed=seed)
        return keys([made.propose(number)[0] for number in range(1, 11)])

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))
    assert order(1) != keys(grid_configs(SMALL, 5))


def test_a_limit_leaves_a_rest_that_is_told() -> None:
    made = phase(num_trials=4)
    Simulation(made).run(10_000)
    assert len(made.history) == made.num_trials == 4
    assert made.describe_rest().startswith("7 of the grid's 11 points weren't tried: give more ")
    assert phase(num_trials=400).num_trials == 11


def test_where_all_is_fixed_there_is_one_point() -> None:
    space = Space([Fixed(name="x", value=1)])
    made = GridPhase("fine", space, LADDER, LADDER.fine, [], num_points=5, num_trials=None, seed=0)
    trial = made.ask()
    assert trial is not None
    made.apply(trial)
    assert trial.config == {"x": 1}
    assert made.ask() is None


# ---------------------------------------------------------------------- the study


def study(**keys: dict) -> Study:
    return resolve_study({"grid_points": 6, **keys})


def test_a_study_may_want_a_grid_in_either_phase() -> None:
    both = study(coarse={"searcher": "grid"}, fine={"searcher": "grid"})
    method = Method(both, SMALL, DEFAULTS, LADDER, slots=3)
    coarse = method.coarse()
    Simulation(coarse, faults=False).run(10_000)
    assert coarse.num_trials == 1 + 2 * 6
    narrowed = method.narrow(coarse.history)
    assert narrowed is not None
    fine = method.fine(narrowed.focus, coarse.history)
    Simulation(fine).run(10_000)
    sources = [record.trial.source.partition(":")[0] for record in fine.history]
    assert sources[:NUM_SURVIVORS] == ["survivor"] * NUM_SURVIVORS
    assert set(sources[NUM_SURVIVORS:]) == {"grid"}
    for record in list(fine.history)[NUM_SURVIVORS:]:
        narrowed.focus.validate(record.trial.config)
    configs = keys([record.trial.config for record in fine.history])
    assert len(set(configs)) == len(configs)
    assert set(keys(grid_configs(narrowed.focus, 6))) <= set(configs)


@pytest.mark.parametrize("name", ["coarse", "fine"])
def test_more_than_three_searched_dimensions_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(StudyError) as caught:
        check_grids(study(**{name: {"searcher": "grid"}}), SPACE)
    text = str(caught.value)
    assert text.startswith(f"study key '{name}.searcher' = 'grid': a grid is for at most 3 ")
    assert "here are 6 (optimizer, learning_rate_sgd, learning_rate_adam, num_layers" in text
    assert "fix the others with space.NAME: {value: …}" in text
    assert "\n" not in text
    check_grids(study(**{name: {"searcher": "grid"}}), SMALL)
    check_grids(study(), SPACE)


def test_a_grid_by_groups_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'fine\.order' = 'by-group': a grid varies all"):
        study(fine={"searcher": "grid", "order": "by-group"})
