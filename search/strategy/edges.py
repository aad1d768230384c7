"""Where in its range the best values of a dimension lie, and how far a range may be stretched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from search.space import Float, Integer, Value

EDGE = 0.1
"""The outer tenth of a range, in its own scale."""
WIDEN = 0.25
"""Of the range's width, added where the best lie at an edge; on a log scale at least a decade."""

Side = Literal["low", "high"]


def at_edge(dimension: Float | Integer, values: Sequence[Value], side: Side) -> bool:
    """Say whether at least half of the values lie in the outer tenth on that side."""
    units = [dimension.to_unit(value) for value in values]
    at = [unit <= EDGE if side == "low" else unit >= 1 - EDGE for unit in units]
    return bool(at) and 2 * sum(at) >= len(at)


def stretch(dimension: Float, values: Sequence[Value]) -> Float:
    """Return the dimension widened where the values lie at an edge, as far as its limits go."""
    low, high = dimension.low, dimension.high
    if at_edge(dimension, values, "low"):
        low = _beyond(dimension, "low")
    if at_edge(dimension, values, "high"):
        high = _beyond(dimension, "high")
    return dimension.with_range(low, high)


def _beyond(dimension: Float, side: Side) -> float:
    if not dimension.log:
        step = WIDEN * (dimension.high - dimension.low)
        return dimension.low - step if side == "low" else dimension.high + step
    ratio = max(10.0, math.pow(dimension.high / dimension.low, WIDEN))
    return dimension.low / ratio if side == "low" else dimension.high * ratio
