"""The space before and after narrowing, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from search.report import text

GROUPS = {1: "learning rate and optimizer", 2: "capacity and batch size", 3: "regularisation"}


@dataclass(frozen=True)
class Bar:
    """A range on its row's scale.

    Attributes:
        left: Where it begins, in percent of the row's scale.
        width: Its length in percent.
        low: The lower end as text.
        high: The upper end as text.
    """

    left: float
    width: float
    low: str
    high: str


@dataclass(frozen=True)
class Chip:
    """A value of a choice; ``state`` is ``kept``, ``dropped`` or ``added``."""

    text: str
    state: str


@dataclass(frozen=True)
class SpaceRow:
    """A dimension in coarse and in fine.

    Attributes:
        name: Its name.
        group: Its group in words; empty when unknown.
        condition: When it is active, in words; empty: always.
        log: Whether its scale is logarithmic.
        before: Its range in coarse; None for a choice.
        after: Its range in fine; None for a choice, or where it is no longer searched.
        chips: A choice's values.
        fixed: The value that fine fixed it at, or the study; None where it is searched.
        change: ``narrowed``, ``widened``, ``reopened``, ``fixed``, ``kept``, ``changed``,
            ``dropped``, ``added``; empty before the narrowing.
        why: The evidence in words.
    """

    name: str
    group: str
    condition: str
    log: bool
    before: Bar | None
    after: Bar | None
    chips: tuple[Chip, ...]
    fixed: str | None
    change: str
    why: str


def space_rows(before: dict[str, Any], after: dict[str, Any] | None) -> list[SpaceRow]:
    """Return each dimension's state in coarse and in fine, by rising group.

    Args:
        before: ``space/N.json`` of coarse.
        after: The one of fine; None when it hasn't been reached.
    """
    old, new = by_name(before), by_name(after or {})
    fixed = {**_fixed(new), **((after or {}).get("fixed") or {})}
    told: dict[str, list[dict[str, Any]]] = {}
    for each in (after or {}).get("evidence") or []:
        told.setdefault(each["dimension"], []).append(each)
    return [
        _row(old.get(name), new.get(name), fixed.get(name), told.get(name, []), after is not None)
        for name in sorted(old | new, key=lambda name: (old | new)[name].get("group") or 9)
    ]


def by_name(space: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a space's dimensions by name."""
    return {each["name"]: each for each in space.get("dimensions") or []}


def _fixed(dimensions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: d["value"] for name, d in dimensions.items() if d["type"] == "fixed"}


def _row(
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    fixed: Any,
    told: list[dict[str, Any]],
    narrowed: bool,
) -> SpaceRow:
    first = old or new
    assert first is not None
    ranges = [each for each in (old, new) if each is not None and "low" in each]
    change, why = _derived(old, new, fixed, narrowed)
    row = SpaceRow(
        name=first["name"],
        group=GROUPS.get(first.get("group", 0), ""),
        condition=_condition(first.get("when")),
        log=is_log(ranges),
        before=_bar(old, ranges),
        after=_bar(new, ranges),
        chips=_chips(old, new, fixed, narrowed),
        fixed=None if fixed is None else text.number(fixed),
        change=told[-1]["change"] if told else change,
        why=" ".join(each["why"] for each in told) or why,
    )
    return replace(row, chips=()) if ranges else row


def _condition(when: dict[str, Sequence[Any]] | None) -> str:
    parts = [f"{parent} = {' or '.join(map(str, v))}" for parent, v in (when or {}).items()]
    return "only with " + " and ".join(parts) if parts else ""


def is_log(ranges: list[dict[str, Any]]) -> bool:
    """Say whether these ranges of one dimension can share a log scale, and should."""
    return any(each.get("log") for each in ranges) and all(each["low"] > 0 for each in ranges)


def _bar(dimension: dict[str, Any] | None, ranges: list[dict[str, Any]]) -> Bar | None:
    if dimension is None or "low" not in dimension:
        return None
    scale = math.log if is_log(ranges) else float
    bottom = scale(min(each["low"] for each in ranges))
    length = scale(max(each["high"] for each in ranges)) - bottom
    left = 100 * (scale(dimension["low"]) - bottom) / length
    right = 100 * (scale(dimension["high"]) - bottom) / length
    low, high = text.number(dimension["low"], 3), text.number(dimension["high"], 3)
    return Bar(round(left, 2), round(right - left, 2), low, high)


def values_of(dimension: dict[str, Any] | None) -> list[Any]:
    """Return a choice's values, or a fixed dimension's one; none for a range."""
    if dimension is None:
        return []
    return [dimension["value"]] if "value" in dimension else list(dimension.get("values") or [])


def _chips(
    old: dict[str, Any] | None, new: dict[str, Any] | None, fixed: Any, narrowed: bool
) -> tuple[Chip, ...]:
    before = values_of(old)
    after = [fixed] if fixed is not None else values_of(new)
    if not narrowed:
        return tuple(Chip(text.number(value), "kept") for value in before)
    known = [Chip(text.number(v), "kept" if v in after else "dropped") for v in before]
    return (*known, *(Chip(text.number(v), "added") for v in after if v not in before))


def _derived(
    old: dict[str, Any] | None, new: dict[str, Any] | None, fixed: Any, narrowed: bool
) -> tuple[str, str]:
    """Say what happened to a dimension that the evidence doesn't mention, and why."""
    if not narrowed:
        return "", ""
    if fixed is not None and (old is None or old["type"] != "fixed"):
        return "fixed", ""
    if old is None:
        return "added", ""
    if new is None:
        parents = _condition(old.get("when")).removeprefix("only with ")
        return "dropped", f"It went with {parents}." if parents else ""
    return _compared(old, new), ""


def _compared(old: dict[str, Any], new: dict[str, Any]) -> str:
    if "low" in old and "low" in new:
        inside = old["low"] <= new["low"] and new["high"] <= old["high"]
        around = new["low"] <= old["low"] and old["high"] <= new["high"]
    else:
        inside = all(value in values_of(old) for value in values_of(new))
        around = all(value in values_of(new) for value in values_of(old))
    if inside and around:
        return "kept"
    return "narrowed" if inside else "widened" if around else "changed"
