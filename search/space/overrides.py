"""A study's own ranges and values, laid over the space of a model module."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from search.errors import SpaceError, did_you_mean
from search.space.dimensions import Choice, Dimension, Fixed, Float, Integer
from search.space.space import Space
from search.space.values import Value, is_among, is_number

_KEYS = ("low", "high", "values", "value")


def apply_overrides(space: Space, overrides: Mapping[str, Mapping[str, Any]]) -> Space:
    """Return the space with the study's own ranges and values.

    ``{low}``, ``{high}`` or both replace a range, which evidence won't widen any more;
    ``{values}`` makes a choice of a dimension, ``{value}`` fixes it. A range, or a list of
    numbers, may go beyond the module's own.

    Args:
        space: The module's space.
        overrides: Dimension to its override.

    Raises:
        SpaceError: A dimension or a key is unknown, a value has the wrong type or is a
            string that the module doesn't know, a range is empty, or the dimension goes
            with a parent's value that another override leaves out.
    """
    for name in overrides:
        if name not in space:
            raise SpaceError(
                f"study key 'space.{name}': no dimension '{name}'" + did_you_mean(name, space.names)
            )
    changed = space
    for old in space:  # parents first, whatever the order in the study
        if old.name not in overrides:
            continue
        if old.name not in changed:
            condition = " and ".join(f"{p} in {list(v)}" for p, v in old.when.items())
            raise SpaceError(
                f"study key 'space.{old.name}': it only goes with {condition}, which another "
                "override leaves out; remove one of the two"
            )
        changed = changed.replace(_overridden(changed[old.name], overrides[old.name]))
    return changed


def _overridden(old: Dimension, given: Mapping[str, Any]) -> Dimension:
    for key in given:
        if key not in _KEYS:
            raise SpaceError(f"no study key 'space.{old.name}.{key}'" + did_you_mean(key, _KEYS))
    forms = {"range" if key in ("low", "high") else key for key in given}
    if len(forms) != 1:
        raise SpaceError(
            f"study key 'space.{old.name}' = {dict(given)}: give one of "
            "{low, high}, {values} and {value}"
        )
    if "value" in given:
        value = _value(old, "value", given["value"])
        return Fixed(name=old.name, group=old.group, when=old.when, value=value)
    return _choice(old, given["values"]) if "values" in given else _range(old, given)


def _choice(old: Dimension, given: Any) -> Dimension:
    if not isinstance(given, list | tuple) or not given:
        raise SpaceError(f"study key 'space.{old.name}.values' = {given!r}: give a list")
    values = [_value(old, "values", each) for each in given]
    ordered = not isinstance(old, Choice) or old.ordered
    if ordered and all(is_number(value) for value in values):
        values.sort()
    return Choice(
        name=old.name,
        group=old.group,
        when=old.when,
        reopen=old.reopen,
        values=tuple(values),
        ordered=ordered,
    )


def _range(old: Dimension, given: Mapping[str, Any]) -> Dimension:
    if not isinstance(old, Float | Integer):
        raise SpaceError(
            f"study key 'space.{old.name}' = {dict(given)}: it is {old.describe()} and has no "
            "range; give {values} or {value}"
        )
    ends: dict[str, Any] = {key: _value(old, key, each) for key, each in given.items()}
    if isinstance(old, Float):
        ends["limits"] = None
    return dataclasses.replace(old, **ends)


def _value(old: Dimension, key: str, given: Any) -> Value:
    """Return a value of the dimension's type, a number also from a string (YAML's 1e-3)."""
    own = _own_values(old)
    if is_among(given, own):
        return next(each for each in own if is_among(given, (each,)))
    numbers = [each for each in own if is_number(each)]
    number = _number(given) if numbers or isinstance(old, Float | Integer) else None
    whole = isinstance(old, Integer) or (numbers and all(isinstance(n, int) for n in numbers))
    if number is None or (whole and not number.is_integer()):
        raise SpaceError(f"study key 'space.{old.name}.{key}' = {given!r}: " + _rule(old, given))
    return int(number) if whole else number


def _own_values(old: Dimension) -> tuple[Value, ...]:
    if isinstance(old, Choice):
        return old.values
    return (old.value,) if isinstance(old, Fixed) else ()


def _number(given: Any) -> float | None:
    if isinstance(given, str):
        try:
            given = float(given)
        except ValueError:
            return None
    return float(given) if is_number(given) else None


def _rule(old: Dimension, given: Any) -> str:
    if isinstance(old, Integer):
        return "it must be a whole number"
    if isinstance(old, Float):
        return "it must be a number"
    names = [each for each in _own_values(old) if isinstance(each, str)]
    if isinstance(given, str) and names:
        return f"the model has no such {old.name}" + did_you_mean(given, names)
    return f"it must be like {', '.join(map(str, _own_values(old)))}"
