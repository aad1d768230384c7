"""Where the trials lie in the space, one dimension at a time, as plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.report import text
from search.report.files import Run, TrialRecord
from search.report.spaces import by_name, is_log, values_of


@dataclass(frozen=True)
class Dot:
    """A trial on a strip.

    Attributes:
        trial: The trial.
        x: Its value; for a choice the value's position plus a spread within +-0.3.
        y: Its best validation loss; the strips' upper edge for a failed trial.
    """

    trial: TrialRecord
    x: float
    y: float


@dataclass(frozen=True)
class Strip:
    """All trials along one dimension.

    Attributes:
        name: The dimension.
        log: Whether ``x`` is drawn on a log scale.
        values: A choice's values as text by position; empty for numbers.
        span: The range of both spaces together; None for a choice.
        window: The range that fine searched; None for a choice or before the narrowing.
        losses: The lowest and the highest ``y`` of all strips, so that they share a scale.
        dots: The trials that have the dimension.
    """

    name: str
    log: bool
    values: tuple[str, ...]
    span: tuple[float, float] | None
    window: tuple[float, float] | None
    losses: tuple[float, float]
    dots: tuple[Dot, ...]


def strips(run: Run) -> list[Strip]:
    """Return, for each dimension that was searched, the trials' values and losses.

    Failed trials are put at the upper edge, which lies above all but the wildest 2 % of the
    other trials' losses.
    """
    before = by_name(run.space_before or {})
    after = by_name(run.space_after or {})
    trials = [trial for phase in ("coarse", "fine") for trial in run.of_phase(phase)]
    losses = [trial.loss for trial in trials if math.isfinite(trial.loss)]
    ends = (min(losses), float(np.quantile(losses, 0.98))) if losses else (1.0, 1.0)
    searched = [d for d in (after | before).values() if d["type"] != "fixed"]
    found = [_strip(d, after.get(d["name"]), trials, ends) for d in searched]
    return [strip for strip in found if strip.dots]


def _strip(
    first: dict[str, Any],
    after: dict[str, Any] | None,
    trials: list[TrialRecord],
    losses: tuple[float, float],
) -> Strip:
    name, values = first["name"], [*values_of(first)]
    if "low" not in first:
        values += [value for value in values_of(after) if value not in values]
    dots = []
    for index, trial in enumerate(trials):
        if name in trial.config:
            x = _position(trial.config[name], values, index)
            dots.append(Dot(trial, x, min(trial.loss, losses[1])))
    ranges = [each for each in (first, after) if each is not None and "low" in each]
    return Strip(
        name=name,
        log=bool(ranges) and is_log(ranges),
        values=tuple(text.number(value) for value in values),
        span=(min(r["low"] for r in ranges), max(r["high"] for r in ranges)) if ranges else None,
        window=(after["low"], after["high"]) if after is not None and "low" in after else None,
        losses=losses,
        dots=tuple(dots),
    )


def _position(value: Any, values: list[Any], index: int) -> float:
    if not values:
        return float(value)
    if value not in values:
        values.append(value)
    # The golden ratio spreads neighbours evenly and, unlike chance, the same way each time.
    return values.index(value) + 0.6 * (index * 0.618034 % 1.0) - 0.3
