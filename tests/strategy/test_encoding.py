import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from simulation import SPACE

from search.space import Choice, Fixed, Float, Integer, Space
from search.strategy.encoding import Encoding

NESTED = Space(
    [
        Choice(name="kind", values=("a", "b", "c")),
        Integer(name="depth", low=1, high=4, when={"kind": ("b", "c")}),
        Float(name="rate", low=1e-3, high=1.0, log=True, when={"depth": (1, 2)}),
        Choice(name="size", values=(16, 32, 64), ordered=True),
        Fixed(name="mode", value="x"),
        Float(name="width", low=0.0, high=1.0, when={"mode": ("x",)}),
    ]
)
units = st.lists(st.floats(0, 1), min_size=5, max_size=5).map(np.array)


@given(units)
def test_a_point_and_its_configuration_have_the_same_columns(unit: np.ndarray) -> None:
    encoding = Encoding(NESTED)
    of_point = encoding.encode_units(unit[None])
    assert np.allclose(of_point, encoding.encode([NESTED.from_unit(unit)]))
    assert of_point.shape == (1, len(encoding.groups))


@given(units)
def test_what_is_inactive_makes_no_difference(unit: np.ndarray) -> None:
    encoding = Encoding(NESTED)
    active = encoding.active(unit[None])[0]
    config = NESTED.from_unit(unit)
    assert [d.name in config for d in NESTED.searched] == active.tolist()
    other = np.where(active, unit, 1.0 - unit)
    assert np.array_equal(encoding.encode_units(unit[None]), encoding.encode_units(other[None]))


def test_two_values_of_an_unordered_choice_are_one_unit_apart() -> None:
    encoding = Encoding(Space([Choice(name="kind", values=("a", "b", "c"))]))
    columns = encoding.encode([{"kind": each} for each in "abc"])
    distances = np.linalg.norm(columns[:, None] - columns[None], axis=2)
    assert np.allclose(distances, 1.0 - np.eye(3))


def test_values_outside_of_a_narrowed_range_lie_at_its_edge() -> None:
    encoding = Encoding(Space([Float(name="x", low=0.0, high=1.0)]))
    assert encoding.encode([{"x": -3.0}, {"x": 9.0}]).tolist() == [[0.0], [1.0]]


def test_an_empty_space_has_no_columns() -> None:
    encoding = Encoding(Space([Fixed(name="x", value=1)]))
    assert encoding.encode([{"x": 1}, {"x": 1}]).shape == (2, 0)
    assert encoding.encode_units(np.empty((3, 0))).shape == (3, 0)


def test_columns_are_grouped_by_their_dimension() -> None:
    groups = Encoding(SPACE).groups
    assert groups.tolist() == [0, 0, 1, 2, 3, 4, 5]
