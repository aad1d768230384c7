"""One dimension of a search space: its values, their scale, and when it is active.

Every dimension maps its values to the unit interval and back (``to_unit``, ``from_unit``), so
that samplers and models work on a cube and know nothing of scales.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from search.errors import SpaceError
from search.space.values import Value, is_among, is_number

Group = Literal[1, 2, 3]
"""1: learning rate and optimizer; 2: capacity and batch size; 3: regularisation."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What all dimensions share.

    Attributes:
        name: The key in a configuration.
        group: Order of importance (see :data:`Group`).
        when: Parent name to the values at which this dimension is active; all must hold.
            Empty: always active.
        reopen: Fine searches the whole range again whatever coarse saw. For regularisation
            and width, whose best values on a subsample don't transfer to all the data.
    """

    kind: ClassVar[str] = ""

    name: str
    group: Group = 2
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    reopen: bool = False

    def __post_init__(self) -> None:
        given: Mapping[str, Any] = self.when
        for parent, values in given.items():
            if isinstance(values, str) or not isinstance(values, Iterable):
                raise SpaceError(  # a text's letters would pass for values
                    f"dimension '{self.name}': when {parent} is {values!r}; write ({values!r},)"
                )
        when = {parent: tuple(values) for parent, values in self.when.items()}
        object.__setattr__(self, "when", when)

    def from_unit(self, unit: float) -> Value:
        """Return the value at ``unit`` in [0, 1]."""
        raise NotImplementedError

    def to_unit(self, value: Value) -> float:
        """Return where ``value`` lies in [0, 1]; for discrete values inside of its bin."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` may be taken."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return the allowed values in words, for messages."""
        raise NotImplementedError

    def is_active(self, config: Mapping[str, Value]) -> bool:
        """Say whether the parents in ``config`` switch this dimension on."""
        return all(
            parent in config and is_among(config[parent], values)
            for parent, values in self.when.items()
        )

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as JSON values."""
        when = {parent: list(values) for parent, values in self.when.items()}
        return {
            "name": self.name,
            "type": self.kind,
            "group": self.group,
            "when": when or None,
            "reopen": self.reopen,
        }


def _check_range(name: str, low: float, high: float, log: bool) -> None:
    if not (is_number(low) and is_number(high)) or not low < high:
        raise SpaceError(f"dimension '{name}': [{low}, {high}] is no range; low must be below high")
    if log and low <= 0:
        raise SpaceError(f"dimension '{name}': low {low} on a log scale; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class Float(Dimension):
    """A real number in [low, high], uniform or log-uniform.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Uniform in the logarithm.
        limits: How far evidence may widen the range; the range itself when None.
    """

    kind: ClassVar[str] = "float"

    low: float
    high: float
    log: bool = False
    limits: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.name, self.low, self.high, self.log)
        if self.limits is not None:
            _check_limits(self.name, self.low, self.high, self.limits)

    def _scale(self, value: float) -> float:
        return _log(value) if self.log else value

    def from_unit(self, unit: float) -> float:
        """Return the value at ``unit`` in [0, 1]; the ends are exact."""
        if unit <= 0 or unit >= 1:
            return self.low if unit <= 0 else self.high
        low, high = self._scale(self.low), self._scale(self.high)
        scaled = low + unit * (high - low)
        value = math.exp(scaled) if self.log else scaled
        return min(max(value, self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return where ``value`` lies; outside of [0, 1] when it is outside of the range."""
        low, high = self._scale(self.low), self._scale(self.high)
        return (self._scale(float(value)) - low) / (high - low)

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` is a number in the range."""
        return is_number(value) and bool(self.low <= value <= self.high)

    def describe(self) -> str:
        """Return the range in words."""
        return f"a number in [{self.low:g}, {self.high:g}]"

    def with_range(self, low: float, high: float) -> Self:
        """Return the dimension with another range, cut to ``limits``."""
        bottom, top = self.limits or (self.low, self.high)
        return replace(self, low=max(low, bottom), high=min(high, top))

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as JSON values."""
        limits = list(self.limits) if self.limits else None
        own = {"low": self.low, "high": self.high, "log": self.log, "limits": limits}
        return super().to_json() | own


@dataclass(frozen=True, kw_only=True)
class Integer(Dimension):
    """A whole number in [low, high], both included, uniform or log-uniform.

    Attributes:
        low: Smallest value.
        high: Largest value.
        log: Uniform in the logarithm.
    """

    kind: ClassVar[str] = "integer"

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_range(self.name, self.low, self.high, self.log)
        for end in (self.low, self.high):
            if not isinstance(end, int):
                raise SpaceError(f"dimension '{self.name}': {end} is no whole number")

    def _edges(self) -> tuple[float, float]:
        # Half a step beyond both ends, so that the outermost values get a whole bin.
        low, high = self.low - 0.5, self.high + 0.5
        return (math.log(low), math.log(high)) if self.log else (low, high)

    def from_unit(self, unit: float) -> int:
        """Return the value at ``unit`` in [0, 1]."""
        low, high = self._edges()
        scaled = low + min(max(unit, 0.0), 1.0) * (high - low)
        value = math.exp(scaled) if self.log else scaled
        return min(max(math.floor(value + 0.5), self.low), self.high)

    def to_unit(self, value: Value) -> float:
        """Return where ``value`` lies; outside of [0, 1] when it is outside of the range."""
        low, high = self._edges()
        number = float(value)
        return ((_log(number) if self.log else number) - low) / (high - low)

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` is a whole number in the range."""
        whole = is_number(value) and float(value).is_integer()
        return whole and bool(self.low <= value <= self.high)

    def describe(self) -> str:
        """Return the range in words."""
        return f"a whole number in [{self.low}, {self.high}]"

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as JSON values."""
        return super().to_json() | {"low": self.low, "high": self.high, "log": self.log}


@dataclass(frozen=True, kw_only=True)
class Choice(Dimension):
    """One of several values.

    Attributes:
        values: Strings, finite numbers or booleans; all different, as text too.
        ordered: Neighbours are alike (batch sizes, dropout rates), so that a model may treat
            the position in ``values`` as a number.
    """

    kind: ClassVar[str] = "choice"

    values: tuple[Value, ...]
    ordered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "values", tuple(self.values))
        for value in self.values:
            if not (isinstance(value, str | bool) or is_number(value)):
                raise SpaceError(
                    f"dimension '{self.name}': {value!r} can't be a value; "
                    "it must be a string, a finite number or a boolean"
                )
        different = min(len(set(self.values)), len({str(value) for value in self.values}))
        if not self.values or different < len(self.values):
            raise SpaceError(f"dimension '{self.name}': {self.values} must be different values")

    def from_unit(self, unit: float) -> Value:
        """Return the value at ``unit`` in [0, 1]."""
        index = int(min(max(unit, 0.0), 1.0) * len(self.values))
        return self.values[min(index, len(self.values) - 1)]

    def to_unit(self, value: Value) -> float:
        """Return the middle of the value's bin."""
        return (self._places[isinstance(value, bool), value] + 0.5) / len(self.values)

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` is one of the values."""
        return isinstance(value, Hashable) and (isinstance(value, bool), value) in self._places

    @cached_property
    def _places(self) -> dict[tuple[bool, Value], int]:
        # Looked up a million times in a run's proposals; 1 and True are the same key otherwise.
        return {(isinstance(value, bool), value): n for n, value in enumerate(self.values)}

    def describe(self) -> str:
        """Return the values in words."""
        return f"one of {', '.join(str(value) for value in self.values)}"

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as JSON values."""
        return super().to_json() | {"values": list(self.values), "ordered": self.ordered}


@dataclass(frozen=True, kw_only=True)
class Fixed(Dimension):
    """A dimension that is no longer searched: it keeps its condition and has one value."""

    kind: ClassVar[str] = "fixed"

    value: Value

    def from_unit(self, unit: float) -> Value:  # noqa: ARG002 - it has no width
        """Return the value."""
        return self.value

    def to_unit(self, value: Value) -> float:  # noqa: ARG002 - it has no width
        """Return the middle."""
        return 0.5

    def contains(self, value: Any) -> bool:
        """Say whether ``value`` is the value."""
        return is_among(value, (self.value,))

    def describe(self) -> str:
        """Return the value in words."""
        return f"fixed at {self.value}"

    def to_json(self) -> dict[str, Any]:
        """Return the dimension as JSON values."""
        return super().to_json() | {"value": self.value}


def dimension_from_json(values: Mapping[str, Any]) -> Dimension:
    """Read what ``to_json`` wrote.

    Raises:
        SpaceError: The type is unknown.
    """
    fields = {key: value for key, value in values.items() if key != "type"}
    fields["when"] = {key: tuple(allowed) for key, allowed in (fields.get("when") or {}).items()}
    if isinstance(fields.get("limits"), list):
        fields["limits"] = tuple(fields["limits"])
    for kind in (Float, Integer, Choice, Fixed):
        if kind.kind == values.get("type"):
            return kind(**fields)
    raise SpaceError(f"dimension type '{values.get('type')}'; known: float, integer, choice, fixed")


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _check_limits(name: str, low: float, high: float, limits: tuple[float, float]) -> None:
    if not limits[0] <= low < high <= limits[1]:
        raise SpaceError(
            f"dimension '{name}': limits {list(limits)} must include its range [{low}, {high}]"
        )
