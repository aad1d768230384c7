"""A search space as the columns of a model's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from search.space import Choice, Config, Dimension, Float, Space
from search.space.values import Value, is_among

Array = NDArray[np.float64]


class Encoding:
    """Maps points of the unit cube, one column a searched dimension, to a model's columns.

    Numbers and ordered choices keep their coordinate, snapped to values that can be taken. An
    unordered choice has a column for each value; two different values are one unit apart.
    Inactive dimensions lie in the middle: the parent's columns tell them apart.

    Args:
        space: The space.

    Attributes:
        groups: Shape (columns,): the number of the dimension that a column belongs to.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self._columns = [
            len(d.values) if isinstance(d, Choice) and not d.ordered else 1 for d in space.searched
        ]
        self.groups: NDArray[np.intp] = np.repeat(np.arange(len(self._columns)), self._columns)

    def encode(self, configs: Sequence[Config]) -> Array:
        """Return shape (len(configs), columns); values outside of the space are moved inside."""
        units = np.array([self.space.to_unit(config) for config in configs])
        units = units.reshape(len(configs), len(self._columns))
        return self._spread(np.clip(units, 0.0, 1.0), ~np.isnan(units))

    def encode_units(self, units: Array) -> Array:
        """Return the columns of points of the unit cube, shape (m, searched)."""
        return self._spread(units, self.active(units))

    def _spread(self, units: Array, active: NDArray[np.bool_]) -> Array:
        parts: list[Array] = []
        for number, dimension in enumerate(self.space.searched):
            unit = np.where(active[:, number], units[:, number], 0.5)
            if self._columns[number] == 1:
                snapped = np.where(active[:, number], _snap(dimension, unit), 0.5)
                parts.append(snapped[:, None])
            else:
                assert isinstance(dimension, Choice)
                one_hot = np.eye(len(dimension.values))[_index(dimension, unit)]
                parts.append(np.sqrt(0.5) * one_hot * active[:, number, None])
        return np.concatenate(parts, axis=1) if parts else np.empty((len(units), 0))

    def active(self, units: Array) -> NDArray[np.bool_]:
        """Return which dimensions are active at points of the unit cube, shape (m, searched)."""
        column = {d.name: number for number, d in enumerate(self.space.searched)}
        active: dict[str, NDArray[np.bool_]] = {}
        for dimension in self.space:
            holds = np.ones(len(units), dtype=bool)
            for parent, values in dimension.when.items():
                taken = units[:, column[parent]] if parent in column else np.full(len(units), 0.5)
                holds &= active[parent] & _takes(self.space[parent], taken, values)
            active[dimension.name] = holds
        if not column:
            return np.empty((len(units), 0), dtype=bool)
        return np.stack([active[name] for name in column], axis=1)


def _index(choice: Choice, unit: Array) -> NDArray[np.intp]:
    number = len(choice.values)
    return np.minimum((unit * number).astype(np.intp), number - 1)


def _snap(dimension: Dimension, unit: Array) -> Array:
    if isinstance(dimension, Float):
        return unit
    if isinstance(dimension, Choice):
        result: Array = (_index(dimension, unit) + 0.5) / len(dimension.values)
        return result
    return np.array([dimension.to_unit(dimension.from_unit(each)) for each in unit.tolist()])


def _takes(dimension: Dimension, unit: Array, values: tuple[Value, ...]) -> NDArray[np.bool_]:
    if isinstance(dimension, Choice):
        wanted = np.array([is_among(value, values) for value in dimension.values])
        return np.asarray(wanted[_index(dimension, unit)])
    return np.array([is_among(dimension.from_unit(each), values) for each in unit.tolist()])
