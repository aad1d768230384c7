"""What a search may vary: every hyperparameter that matters, over the ranges that matter."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_specs import CNN, IMAGES, MLP, OF_MODELS, TABLES, specs

from search.errors import ModelError
from search.space import Choice, Dimension, Float, Integer, Space
from search.task import ModelModule, Spec

EVERY = pytest.mark.parametrize(("model", "spec"), OF_MODELS.values(), ids=OF_MODELS)
ADAPTIVE = ("adam", "adamw", "rmsprop")


def choices(space: Space, name: str) -> tuple:
    dimension = space[name]
    assert isinstance(dimension, Choice)
    return dimension.values


def log_range(dimension: Dimension) -> tuple[float, float]:
    assert isinstance(dimension, Float | Integer)
    assert dimension.log
    return dimension.low, dimension.high


@EVERY
def test_each_optimizer_has_a_learning_rate_of_its_own(model: ModelModule, spec: Spec) -> None:
    space = model.space(spec)
    assert set(choices(space, "optimizer")) == {"sgd", *ADAPTIVE}
    for name in choices(space, "optimizer"):
        dimension = space[f"learning_rate_{name}"]
        low, high = log_range(dimension)
        assert low <= 1e-5
        assert high >= (1.0 if name == "sgd" else 1e-1)
        assert dimension.when == {"optimizer": (name,)}
        assert dimension.group == 1


@EVERY
def test_momentum_goes_with_the_optimizers_that_have_it(model: ModelModule, spec: Spec) -> None:
    momentum = model.space(spec)["momentum"]
    assert isinstance(momentum, Float)
    assert momentum.low == 0
    assert 0.9 < momentum.high < 1
    assert set(momentum.when["optimizer"]) == {"sgd", "rmsprop"}


@EVERY
def test_the_schedule_and_its_decay_are_searched(model: ModelModule, spec: Spec) -> None:
    space = model.space(spec)
    known = {"constant", "step", "exponential", "cosine", "one_cycle", "plateau"}
    assert set(choices(space, "schedule")) == known
    assert set(space["schedule_decay"].when["schedule"]) == {"step", "exponential"}
    assert choices(space, "plateau_factor") == (2, 5)
    assert space["plateau_factor"].when == {"schedule": ("plateau",)}


@EVERY
def test_batch_sizes_are_rising_powers_of_two(model: ModelModule, spec: Spec) -> None:
    sizes = choices(model.space(spec), "batch_size")
    assert len(sizes) >= 4
    assert list(sizes) == sorted(sizes)
    assert all(size & (size - 1) == 0 for size in sizes)


@EVERY
def test_regularisation_can_be_had_and_be_left_out(model: ModelModule, spec: Spec) -> None:
    space = model.space(spec)
    assert choices(space, "dropout") == (0.0, 0.3, 0.5, 0.7)
    for name in ("l1", "gradient_clip", "pruning_rate"):
        assert choices(space, name)[0] == 0
        assert len(choices(space, name)) >= 3
    low, high = log_range(space["weight_decay"])
    assert low <= 1e-6
    assert high >= 1e-2
    names = ("dropout", "l1", "gradient_clip", "pruning_rate", "weight_decay")
    assert {space[name].group for name in names} == {3}
    assert set(choices(space, "normalization")) == {"none", "batch", "layer"}


@pytest.mark.parametrize("spec", specs(TABLES).values(), ids=specs(TABLES))
def test_an_mlps_depth_and_width_are_searched(spec: Spec) -> None:
    space = MLP.space(spec)
    assert (space["num_layers"].low, space["num_layers"].high) == (1, 5)
    low, high = log_range(space["num_units"])
    assert (low, high) == (16, 1024)
    assert {space[name].group for name in ("num_layers", "num_units")} == {2}


@pytest.mark.parametrize("spec", specs(IMAGES).values(), ids=specs(IMAGES))
def test_a_cnns_depth_and_width_are_searched(spec: Spec) -> None:
    space = CNN.space(spec)
    assert space["num_blocks"].high > space["num_blocks"].low
    assert log_range(space["num_channels"]) == (8, 64)
    assert choices(space, "dense_units")[0] == 0


@EVERY
def test_epochs_are_the_budget_and_never_a_dimension(model: ModelModule, spec: Spec) -> None:
    assert not [name for name in model.space(spec).names if "epoch" in name or "step" in name]


@EVERY
def test_a_space_comes_back_from_json(model: ModelModule, spec: Spec) -> None:
    space = model.space(spec)
    assert Space.from_json(json.loads(json.dumps(space.to_json()))) == space


@EVERY
def test_the_defaults_lie_in_the_space_and_say_where_they_are_from(
    model: ModelModule, spec: Spec
) -> None:
    space, defaults = model.space(spec), model.defaults(spec)
    assert len(defaults) >= 2
    for default in defaults:
        assert space.contains(default.config)
        assert len(default.source.split()) >= 3, "a source can be looked up"
    assert len({json.dumps(default.config, sort_keys=True) for default in defaults}) == len(
        defaults
    )


@EVERY
def test_the_defaults_leave_out_what_their_sources_do_not_have(
    model: ModelModule, spec: Spec
) -> None:
    for default in model.defaults(spec):
        for name in ("l1", "gradient_clip", "pruning_rate"):
            assert default.config[name] == 0


@pytest.mark.parametrize(
    ("model", "spec"), [OF_MODELS["mlp-mixed-five"], OF_MODELS["cnn-grey-two"]]
)
@given(data=st.data())
def test_any_point_of_the_cube_is_a_configuration(
    model: ModelModule, spec: Spec, data: st.DataObject
) -> None:
    space = model.space(spec)
    axes = len(space.searched)
    unit = data.draw(st.lists(st.floats(0, 1), min_size=axes, max_size=axes))
    space.validate(space.from_unit(unit))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": None, "num_numeric": 3}, "models.cnn needs an image column"),
        ({"num_numeric": 3}, "models.cnn takes the image alone"),
        ({"categories": (4,)}, "leave the other columns out (data.ignore)"),
    ],
)
def test_a_cnn_says_which_data_it_can_not_take(changes: dict, says: str) -> None:
    spec = replace(specs(IMAGES)["grey-two"], **changes)
    with pytest.raises(ModelError) as caught:
        CNN.space(spec)
    assert says in str(caught.value)
    assert "take models.mlp" in str(caught.value)
    assert "\n" not in str(caught.value)
