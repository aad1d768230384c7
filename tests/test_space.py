import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import SpaceError
from search.space import (
    Choice,
    Config,
    Dimension,
    Fixed,
    Float,
    Integer,
    Space,
    apply_overrides,
    training_dimensions,
)

units = st.floats(0.0, 1.0)


@st.composite
def floats(draw: st.DrawFn, name: str, **common: Any) -> Float:
    log = draw(st.booleans())
    low = draw(st.floats(1e-8, 1e3) if log else st.floats(-1e3, 1e3))
    width = draw(st.floats(1e-3, 1e3))
    high = low * (1 + width) if log else low + width
    return Float(name=name, low=low, high=high, log=log, **common)


@st.composite
def integers(draw: st.DrawFn, name: str, **common: Any) -> Integer:
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -1000, 1000))
    return Integer(name=name, low=low, high=low + draw(st.integers(1, 10**6)), log=log, **common)


@st.composite
def choices(draw: st.DrawFn, name: str, **common: Any) -> Choice:
    pools = [
        st.lists(st.text("abcdef", min_size=1), min_size=1, max_size=6, unique=True),
        st.lists(st.integers(-5, 600), min_size=1, max_size=6, unique=True),
        st.permutations([True, False]),
    ]
    values = draw(st.one_of(pools))
    return Choice(name=name, values=tuple(values), ordered=draw(st.booleans()), **common)


def dimensions(name: str, **common: Any) -> st.SearchStrategy[Dimension]:
    return st.one_of(
        floats(name, **common),
        integers(name, **common),
        choices(name, **common),
    )


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Draw up to six dimensions; some go with values of an earlier choice."""
    found: list[Dimension] = []
    for number in range(draw(st.integers(1, 6))):
        parents = [d for d in found if isinstance(d, Choice)]
        common: dict[str, Any] = {
            "group": draw(st.sampled_from([1, 2, 3])),
            "reopen": draw(st.booleans()),
        }
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            allowed = draw(st.lists(st.sampled_from(parent.values), min_size=1, unique=True))
            common["when"] = {parent.name: tuple(allowed)}
        found.append(draw(dimensions(f"d{number}", **common)))
    return Space(found)


def points(space: Space) -> st.SearchStrategy[list[float]]:
    number = len(space.searched)
    return st.lists(units, min_size=number, max_size=number)


@given(st.data())
def test_every_point_of_the_cube_is_a_valid_configuration(data: st.DataObject) -> None:
    space = data.draw(spaces())
    config = space.from_unit(data.draw(points(space)))
    space.validate(config)
    assert json.loads(json.dumps(config)) == config


@given(st.data())
def test_a_configuration_survives_the_way_to_the_cube_and_back(data: st.DataObject) -> None:
    space = data.draw(spaces())
    config = space.from_unit(data.draw(points(space)))
    unit = space.to_unit(config)
    for dimension, coordinate in zip(space.searched, unit, strict=True):
        assert math.isnan(coordinate) == (dimension.name not in config)
        assert math.isnan(coordinate) or -1e-9 <= coordinate <= 1 + 1e-9
    again = space.from_unit(np.nan_to_num(unit, nan=0.5))
    assert again.keys() == config.keys()
    for name, value in config.items():
        if isinstance(space[name], Float):
            assert again[name] == pytest.approx(value, rel=1e-6, abs=1e-6)
        else:
            assert again[name] == value
            assert type(again[name]) is type(value)


@given(st.data())
def test_a_space_survives_json(data: st.DataObject) -> None:
    space = data.draw(spaces())
    assert Space.from_json(json.loads(json.dumps(space.to_json(), allow_nan=False))) == space


@given(st.data())
def test_fixing_a_dimension_keeps_all_that_is_left_valid(data: st.DataObject) -> None:
    space = data.draw(spaces())
    config = space.from_unit(data.draw(points(space)))
    name = data.draw(st.sampled_from(sorted(config)))
    fixed = space.fix(name, config[name])
    assert fixed.fixed[name] == config[name]
    assert name not in [d.name for d in fixed.searched]
    assert fixed.contains(config)
    other = fixed.from_unit(data.draw(points(fixed)))
    assert space.contains(other)
    assert other.get(name, config[name]) == config[name]
    assert Space.from_json(fixed.to_json()) == fixed


@given(st.data())
def test_dropping_values_of_a_parent_leaves_children_that_can_still_be_active(
    data: st.DataObject,
) -> None:
    space = data.draw(spaces())
    parents = [d for d in space if isinstance(d, Choice)]
    if not parents:
        return
    parent = data.draw(st.sampled_from(parents))
    kept = data.draw(st.lists(st.sampled_from(parent.values), min_size=1, unique=True))
    narrowed = space.replace(
        Choice(name=parent.name, values=tuple(kept), group=parent.group, when=parent.when)
    )
    for child in space:
        allowed = child.when.get(parent.name)
        if allowed is not None and not set(allowed) & set(kept):
            assert child.name not in narrowed
        elif allowed is not None and child.name in narrowed:
            assert set(narrowed[child.name].when[parent.name]) == set(allowed) & set(kept)
    config = narrowed.from_unit(data.draw(points(narrowed)))
    assert space.contains(config)


@given(integers("n"))
def test_every_integer_of_a_small_range_is_reached(dimension: Integer) -> None:
    if dimension.high - dimension.low > 50 or (dimension.log and dimension.low > 100):
        dimension = Integer(name="n", low=1, high=20, log=dimension.log)
    grid = {dimension.from_unit(unit) for unit in np.linspace(0, 1, 5001)}
    assert grid == set(range(dimension.low, dimension.high + 1))


def test_uniform_integers_and_choices_have_bins_of_equal_width() -> None:
    grid = np.linspace(0, 1, 1200, endpoint=False) + 1 / 2400
    for dimension in (
        Integer(name="n", low=3, high=6),
        Choice(name="c", values=("a", "b", "c", "d")),
    ):
        drawn = [dimension.from_unit(unit) for unit in grid]
        assert {drawn.count(value) for value in drawn} == {300}


@given(floats("x"))
def test_both_ends_of_any_range_are_exact(dimension: Float) -> None:
    assert (dimension.from_unit(0.0), dimension.from_unit(1.0)) == (dimension.low, dimension.high)


def test_a_log_scale_has_its_middle_at_the_geometric_mean() -> None:
    dimension = Float(name="x", low=1e-5, high=0.3, log=True)
    assert (dimension.from_unit(-1.0), dimension.from_unit(2.0)) == (1e-5, 0.3)
    assert dimension.from_unit(0.5) == pytest.approx(math.sqrt(1e-5 * 0.3))


def test_values_outside_of_a_narrowed_range_lie_outside_of_the_cube() -> None:
    space = Space(
        [
            Float(name="x", low=0.1, high=1.0, log=True),
            Integer(name="n", low=4, high=8, log=True),
            Choice(name="c", values=("a", "b")),
        ]
    )
    low = space.to_unit({"x": 0.01, "n": 1, "c": "gone"})
    assert low[0] == pytest.approx(-1.0)
    assert low[1] < 0
    assert math.isnan(low[2])
    assert space.to_unit({"x": 0.0, "n": 0, "c": "a"})[:2] == pytest.approx([-math.inf] * 2)


def test_conditions_hold_through_generations() -> None:
    space = Space(
        [
            Choice(name="a", values=("x", "y")),
            Choice(name="b", values=(1, 2), when={"a": ("x",)}),
            Float(name="c", low=0.0, high=1.0, when={"b": (2,)}),
        ]
    )
    assert space.from_unit([0.1, 0.9, 0.5]) == {"a": "x", "b": 2, "c": 0.5}
    assert space.from_unit([0.1, 0.1, 0.5]) == {"a": "x", "b": 1}
    assert space.from_unit([0.9, 0.9, 0.5]) == {"a": "y"}
    assert space.fix("a", "y").names == ("a",)
    assert space.fix("b", 1).names == ("a", "b")
    assert space.fix("b", 2).from_unit([0.9, 0.5]) == {"a": "y"}


def test_true_and_one_are_different_values() -> None:
    space = Space(
        [
            Choice(name="flag", values=(True, False)),
            Float(name="x", low=0.0, high=1.0, when={"flag": (True,)}),
        ]
    )
    assert space.contains({"flag": True, "x": 0.5})
    assert not space.contains({"flag": 1, "x": 0.5})
    assert not Choice(name="n", values=(1, 2)).contains(True)
    assert not Float(name="x", low=0.0, high=1.0).contains(True)
    assert not Integer(name="n", low=0, high=1).contains(False)
    assert not Fixed(name="n", value=1).contains(True)
    assert Choice(name="n", values=(1, 2)).contains(1.0)
    with pytest.raises(SpaceError, match="can't hold"):
        Space([*space, Float(name="y", low=0.0, high=1.0, when={"flag": (1,)})])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Float(name="x", low=1.0, high=1.0), "no range"),
        (lambda: Float(name="x", low=2.0, high=1.0), "no range"),
        (lambda: Float(name="x", low=0.0, high=math.inf), "no range"),
        (lambda: Float(name="x", low=math.nan, high=1.0), "no range"),
        (lambda: Float(name="x", low="1e-5", high=1.0), "no range"),  # type: ignore[arg-type]
        (lambda: Float(name="x", low=0.0, high=1.0, log=True), "must be above 0"),
        (lambda: Float(name="x", low=0.1, high=1.0, limits=(0.2, 2.0)), "limits"),
        (lambda: Integer(name="n", low=0, high=5, log=True), "must be above 0"),
        (lambda: Integer(name="n", low=5, high=5), "no range"),
        (lambda: Integer(name="n", low=1.5, high=5), "whole"),  # type: ignore[arg-type]
        (lambda: Choice(name="c", values=()), "different values"),
        (lambda: Choice(name="c", values=(1, 2, 1)), "different values"),
        (lambda: Choice(name="c", values=(1, True)), "different values"),
        (lambda: Choice(name="c", values=(1, "1")), "different values"),
        (lambda: Choice(name="c", values=(0.0, math.nan)), "finite"),
        (lambda: Choice(name="c", values=((64, 64), (32,))), "a string"),  # type: ignore[arg-type]
        (lambda: Choice(name="c", values=(None,)), "a string"),  # type: ignore[arg-type]
        (
            lambda: Float(name="x", low=0.0, high=1.0, when={"c": "sgd"}),  # type: ignore[dict-item]
            r"write \('sgd',\)",
        ),
    ],
)
def test_a_wrong_dimension_is_refused_in_one_line(make: Any, words: str) -> None:
    with pytest.raises(SpaceError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


OPTIMIZER = Choice(name="optimizer", values=("sgd", "adam"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([OPTIMIZER, OPTIMIZER], "occurs twice"),
        (
            [OPTIMIZER, Float(name="x", low=0.0, high=1.0, when={"optimiser": ("sgd",)})],
            "did you mean 'optimizer'",
        ),
        ([Float(name="x", low=0.0, high=1.0, when={"optimizer": ("sgd",)}), OPTIMIZER], "before"),
        (
            [OPTIMIZER, Float(name="x", low=0.0, high=1.0, when={"optimizer": ("adamw",)})],
            "one of sgd, adam",
        ),
        (
            [OPTIMIZER, Float(name="x", low=0.0, high=1.0, when={"optimizer": ("sgd", "adm")})],
            "adm",
        ),
        ([OPTIMIZER, Float(name="x", low=0.0, high=1.0, when={"optimizer": ()})], "can't hold"),
        (
            [
                Fixed(name="optimizer", value="sgd"),
                Float(name="x", low=0.0, high=1.0, when={"optimizer": ("adam",)}),
            ],
            "fixed at sgd",
        ),
    ],
)
def test_a_wrong_space_is_refused_in_one_line(found: list[Dimension], words: str) -> None:
    with pytest.raises(SpaceError, match=words) as error:
        Space(found)
    assert "\n" not in str(error.value)


def test_a_module_may_fix_a_parent_of_the_shared_dimensions() -> None:
    space = Space(
        [
            Fixed(name="optimizer", value="sgd"),
            Float(name="momentum", low=0.0, high=0.9, when={"optimizer": ("sgd", "rmsprop")}),
        ]
    )
    assert space.from_unit([1.0]) == {"optimizer": "sgd", "momentum": 0.9}


SMALL = Space(
    [
        OPTIMIZER,
        Float(name="rate", low=1e-5, high=1.0, log=True, limits=(1e-7, 10.0)),
        Float(name="momentum", low=0.0, high=0.9, when={"optimizer": ("sgd",)}),
        Integer(name="layers", low=1, high=5),
        Choice(name="batch_size", values=(32, 64, 128), ordered=True),
        Choice(name="dropout", values=(0.0, 0.3, 0.5), ordered=True, reopen=True),
        Choice(name="bias", values=(True, False)),
    ]
)
VALID: Config = {
    "optimizer": "sgd",
    "rate": 0.1,
    "momentum": 0.5,
    "layers": 2,
    "batch_size": 64,
    "dropout": 0.3,
    "bias": True,
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rates": 0.1}, "no dimension 'rates'; did you mean 'rate'"),
        ({"rate": None}, r"rate = None; it must be a number in \[1e-05, 1\]"),
        ({"rate": 3.0}, "rate = 3.0; it must be"),
        ({"layers": 2.5}, r"a whole number in \[1, 5\]"),
        ({"batch_size": 48}, "one of 32, 64, 128"),
        ({"optimizer": "adam"}, "'momentum' only goes with"),
    ],
)
def test_a_wrong_configuration_is_named(change: Config, words: str) -> None:
    SMALL.validate(VALID)
    with pytest.raises(SpaceError, match=words) as error:
        SMALL.validate({**VALID, **change}, "default 'a paper'")
    assert str(error.value).startswith("default 'a paper': ")


def test_a_missing_value_is_named() -> None:
    with pytest.raises(SpaceError, match="'layers' is missing; a whole number"):
        SMALL.validate({name: value for name, value in VALID.items() if name != "layers"})


def test_an_empty_space_has_one_configuration() -> None:
    assert Space([]).from_unit([]) == {}
    assert Space([]).to_unit({}).shape == (0,)
    fixed = Space([Fixed(name="a", value=3)])
    assert fixed.from_unit([]) == fixed.fixed == {"a": 3}


def test_an_unknown_dimension_type_is_refused() -> None:
    with pytest.raises(SpaceError, match="'ordinal'; known: float"):
        Space.from_json([{"name": "x", "type": "ordinal"}])


def test_the_shared_dimensions_obey_the_guide() -> None:
    space = Space(training_dimensions())
    sgd, adam = space["learning_rate_sgd"], space["learning_rate_adam"]
    assert isinstance(sgd, Float)
    assert isinstance(adam, Float)
    assert (sgd.low, sgd.high, sgd.log) == (1e-5, 1.0, True)
    assert (adam.low, adam.high, adam.log) == (1e-5, 1e-1, True)
    dropout = space["dropout"]
    assert isinstance(dropout, Choice)
    assert dropout.values == (0.0, 0.3, 0.5, 0.7)
    assert dropout.reopen
    assert space["weight_decay"].reopen
    assert not {"epochs", "num_epochs"} & set(space.names)
    assert "dropout" not in Space(training_dimensions(dropout=False))


# ---------------------------------------------------------------------- a study's overrides


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"low": 1e-3}, (1e-3, 1.0)),
        ({"high": 30.0}, (1e-5, 30.0)),  # beyond the module's range
        ({"low": "1e-9", "high": "1e-4"}, (1e-9, 1e-4)),  # what YAML makes of 1e-9
    ],
)
def test_a_range_replaces_the_module_s_and_is_not_widened(
    given: dict[str, Any], expected: tuple[float, float]
) -> None:
    rate = apply_overrides(SMALL, {"rate": given})["rate"]
    assert isinstance(rate, Float)
    assert (rate.low, rate.high) == expected
    assert rate.log
    assert rate.limits is None
    assert rate.with_range(1e-12, 100.0) == rate


def test_values_make_a_choice_that_keeps_what_the_dimension_was() -> None:
    changed = apply_overrides(
        SMALL,
        {
            "dropout": {"values": [0.8, 0, 0.1]},
            "rate": {"values": ["1e-2", 1e-3]},
            "layers": {"values": [8, 2]},
            "batch_size": {"values": [1024, 64]},
            "bias": {"values": [False]},
        },
    )
    assert changed["dropout"] == Choice(
        name="dropout", values=(0.0, 0.1, 0.8), ordered=True, reopen=True
    )
    assert changed["rate"] == Choice(name="rate", values=(1e-3, 1e-2), ordered=True)
    assert changed["layers"] == Choice(name="layers", values=(2, 8), ordered=True)
    assert changed["batch_size"] == Choice(name="batch_size", values=(64, 1024), ordered=True)
    assert changed["bias"] == Choice(name="bias", values=(False,))
    assert changed.names == SMALL.names


def test_a_value_fixes_and_takes_what_no_longer_goes_with_it_along() -> None:
    changed = apply_overrides(
        SMALL, {"optimizer": {"value": "adam"}, "layers": {"value": 9}, "rate": {"value": "1e-3"}}
    )
    assert changed.fixed == {"optimizer": "adam", "layers": 9, "rate": 1e-3}
    assert type(changed.fixed["layers"]) is int
    assert "momentum" not in changed
    again = apply_overrides(changed, {"layers": {"value": 3}})
    assert again.fixed["layers"] == 3


def test_no_overrides_change_nothing() -> None:
    assert apply_overrides(SMALL, {}) == SMALL


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"ratte": {"low": 1e-3}}, "no dimension 'ratte'; did you mean 'rate'"),
        ({"rate": {"lo": 1e-3}}, "no study key 'space.rate.lo'; did you mean 'low'"),
        ({"rate": {}}, "give one of"),
        ({"rate": {"low": 1e-3, "value": 1e-2}}, "give one of"),
        ({"rate": {"values": [1e-3], "value": 1e-2}}, "give one of"),
        ({"rate": {"low": "fast"}}, "'space.rate.low' = 'fast': it must be a number"),
        ({"rate": {"low": True}}, "it must be a number"),
        ({"rate": {"low": math.inf}}, "it must be a number"),
        ({"rate": {"value": None}}, "it must be a number"),
        ({"rate": {"low": 0.0}}, "low 0.0 on a log scale"),
        ({"rate": {"low": 2.0}}, "low must be below high"),
        ({"layers": {"high": 2.5}}, "it must be a whole number"),
        ({"layers": {"values": [1, "two"]}}, "it must be a whole number"),
        ({"batch_size": {"low": 16}}, "has no range; give {values} or {value}"),
        ({"batch_size": {"value": 48.5}}, "it must be like 32, 64, 128"),
        ({"batch_size": {"value": "large"}}, "it must be like 32, 64, 128"),
        ({"batch_size": {"values": 64}}, "give a list"),
        ({"batch_size": {"values": []}}, "give a list"),
        ({"batch_size": {"values": [[64]]}}, "it must be like"),
        ({"batch_size": {"values": [64, 64]}}, "different values"),
        ({"optimizer": {"values": ["adm"]}}, "no such optimizer; did you mean 'adam'"),
        ({"optimizer": {"value": 3}}, "it must be like sgd, adam"),
        ({"bias": {"value": 1}}, "it must be like True, False"),
        (
            {"momentum": {"high": 0.5}, "optimizer": {"value": "adam"}},
            r"only goes with optimizer in \['sgd'\], which another override leaves out",
        ),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(overrides: Any, words: str) -> None:
    with pytest.raises(SpaceError, match=words) as error:
        apply_overrides(SMALL, overrides)
    assert "\n" not in str(error.value)


@given(st.data())
def test_an_overridden_space_still_maps_the_cube(data: st.DataObject) -> None:
    space = data.draw(spaces())
    config = space.from_unit(data.draw(points(space)))
    name = data.draw(st.sampled_from(sorted(config)))
    form = data.draw(st.sampled_from(["value", "values"]))
    value = config[name]
    changed = apply_overrides(space, {name: {form: value if form == "value" else [value]}})
    drawn = changed.from_unit(data.draw(points(changed)))
    assert drawn.get(name, value) == value
    assert changed.contains(config)
