"""A search space: dimensions in the order of their parents, and what one does with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.errors import SpaceError, did_you_mean
from search.space.dimensions import Choice, Dimension, Fixed, dimension_from_json
from search.space.values import Value

Config = dict[str, Value]
"""A point of a space: the active dimensions' names and values."""


class Space:
    """An immutable set of configurations.

    Args:
        dimensions: In any order in which parents come before their children.

    Raises:
        SpaceError: A name occurs twice, or a condition names a parent that doesn't come
            before, or a value that the parent can't take (for a fixed parent: all of them).
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions: dict[str, Dimension] = {}
        for dimension in dimensions:
            self._check(dimension)
            self._dimensions[dimension.name] = dimension
        self._searched = tuple(d for d in self if not isinstance(d, Fixed))

    def _check(self, dimension: Dimension) -> None:
        if dimension.name in self._dimensions:
            raise SpaceError(f"dimension '{dimension.name}' occurs twice; names must differ")
        for parent, values in dimension.when.items():
            if parent not in self._dimensions:
                raise SpaceError(
                    f"dimension '{dimension.name}': its parent '{parent}' must come before it"
                    + did_you_mean(parent, self._dimensions)
                )
            known = self._dimensions[parent]
            wrong = [value for value in values if not known.contains(value)]
            if not values or len(wrong) == len(values) or (wrong and not isinstance(known, Fixed)):
                raise SpaceError(
                    f"dimension '{dimension.name}': its condition {parent} in {list(values)} "
                    f"can't hold for {wrong}; '{parent}' is {known.describe()}"
                )

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self._dimensions.values())

    def __len__(self) -> int:
        return len(self._dimensions)

    def __contains__(self, name: object) -> bool:
        return name in self._dimensions

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def searched(self) -> tuple[Dimension, ...]:
        """The dimensions that are not fixed: the axes of the unit cube."""
        return self._searched

    @property
    def fixed(self) -> Config:
        """The fixed dimensions' values."""
        return {d.name: d.value for d in self if isinstance(d, Fixed)}

    def from_unit(self, unit: Sequence[float] | NDArray[np.float64]) -> Config:
        """Return the configuration at a point of the unit cube.

        Args:
            unit: One number in [0, 1] for each searched dimension, in their order; those of
                inactive dimensions have no effect.
        """
        axis = {d.name: float(u) for d, u in zip(self.searched, unit, strict=True)}
        config: Config = {}
        for dimension in self:
            if dimension.is_active(config):
                config[dimension.name] = dimension.from_unit(axis.get(dimension.name, 0.5))
        return config

    def to_unit(self, config: Mapping[str, Value]) -> NDArray[np.float64]:
        """Return a configuration's point, shape (searched,), NaN where it is inactive.

        Values outside of a narrowed range come out outside of [0, 1]; a choice that was
        dropped comes out as NaN.
        """
        return np.array([_coordinate(d, config) for d in self.searched], dtype=np.float64)

    def validate(self, config: Mapping[str, Value], what: str = "configuration") -> None:
        """Raise unless ``config`` has every active dimension, within its range, and no other.

        Args:
            config: The configuration.
            what: How the message calls it.

        Raises:
            SpaceError: A name is unknown, missing or inactive, or a value out of range.
        """
        for name in config:
            if name not in self:
                raise SpaceError(
                    f"{what}: no dimension '{name}'" + did_you_mean(name, list(self.names))
                )
        for dimension in self:
            active = dimension.is_active(config)
            if active and dimension.name not in config:
                raise SpaceError(f"{what}: '{dimension.name}' is missing; {dimension.describe()}")
            if not active and dimension.name in config:
                raise SpaceError(
                    f"{what}: '{dimension.name}' only goes with {dict(dimension.when)}"
                )
            if active and not dimension.contains(config[dimension.name]):
                given = config[dimension.name]
                raise SpaceError(
                    f"{what}: {dimension.name} = {given}; it must be {dimension.describe()}"
                )

    def contains(self, config: Mapping[str, Value]) -> bool:
        """Say whether ``config`` is a point of this space."""
        try:
            self.validate(config)
        except SpaceError:
            return False
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all dimensions, fixed ones included."""
        return tuple(self._dimensions)

    def replace(self, dimension: Dimension) -> Space:
        """Return the space with the dimension of that name replaced.

        Children whose condition can no longer hold are left out; from the other children's
        conditions the values that can no longer be taken are.
        """
        changed = {**self._dimensions, dimension.name: dimension}
        kept: dict[str, Dimension] = {}
        for each in changed.values():
            when = {
                parent: tuple(v for v in values if parent in kept and kept[parent].contains(v))
                for parent, values in each.when.items()
            }
            if all(when.values()):
                kept[each.name] = replace(each, when=when)
        return Space(list(kept.values()))

    def fix(self, name: str, value: Value) -> Space:
        """Return the space with dimension ``name`` fixed at ``value``."""
        old = self[name]
        return self.replace(Fixed(name=name, group=old.group, when=old.when, value=value))

    def to_json(self) -> list[dict[str, Any]]:
        """Return the dimensions as JSON values."""
        return [dimension.to_json() for dimension in self]

    @classmethod
    def from_json(cls, values: Sequence[Mapping[str, Any]]) -> Space:
        """Read what :meth:`to_json` wrote."""
        return cls([dimension_from_json(each) for each in values])


def _coordinate(dimension: Dimension, config: Mapping[str, Value]) -> float:
    if dimension.name not in config:
        return math.nan
    value = config[dimension.name]
    dropped = isinstance(dimension, Choice) and not dimension.contains(value)
    return math.nan if dropped else dimension.to_unit(value)
