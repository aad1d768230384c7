"""Points among which a model looks for the next configurations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.space import Choice, Space

Array = NDArray[np.float64]

NUM_UNIFORM, NUM_NEAR = 600, 100
NEAR_SD = (0.03, 0.1, 0.25)
CHANGE_CHOICE = 0.15
"""Chance that a point near a centre takes another value of an unordered choice."""


def draw_candidates(
    space: Space, focus: Space, centres: Array, generator: np.random.Generator
) -> Array:
    """Return points of the unit cube: uniform ones, and some around each centre.

    Args:
        space: Where to search.
        focus: A narrower space; half of the uniform points lie in it.
        centres: Shape (number, searched); NaN where a dimension is inactive.
        generator: Draws them.
    """
    return np.vstack([_uniform(space, focus, generator), _near(space, centres, generator)])


def _uniform(space: Space, focus: Space, generator: np.random.Generator) -> Array:
    points = generator.random((NUM_UNIFORM, len(space.searched)))
    drawn = generator.random((NUM_UNIFORM // 2, len(focus.searched)))
    inside = np.array([space.to_unit(focus.from_unit(each)) for each in drawn])
    points[: len(inside)] = np.where(np.isnan(inside), points[: len(inside)], inside)
    return points


def _near(space: Space, centres: Array, generator: np.random.Generator) -> Array:
    # What is inactive at a centre may become active beside it.
    centres = np.where(np.isnan(centres), generator.random(centres.shape), centres)
    points = np.repeat(np.clip(centres, 0.0, 1.0), NUM_NEAR, axis=0)
    steps = generator.choice(NEAR_SD, size=(len(points), 1))
    moved = np.abs(points + steps * generator.standard_normal(points.shape))
    moved = np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)  # mirrored at the faces
    other = generator.random(points.shape)
    width = len(space.searched)
    changed = generator.random(points.shape) < max(0.3, min(1.0, 3.0 / width))
    for column, dimension in enumerate(space.searched):
        if isinstance(dimension, Choice) and not dimension.ordered:
            moved[:, column] = other[:, column]
            changed[:, column] = generator.random(len(points)) < CHANGE_CHOICE
    return np.where(changed, moved, points)
