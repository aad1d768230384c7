"""One group of dimensions at a time, the most important first, the others held at the best known.

The groups are the model's own (1: learning rate and optimizer, 2: capacity and batch size,
3: regularisation). A person tunes so, and on a small budget it is easier to follow; searching
everything at once finds what only goes well together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.space import Config, Space
from search.strategy.budget import Ladder
from search.strategy.importance import measure_importance
from search.trials import History

Group = tuple[str, ...]
"""Names of dimensions."""


def groups_by_importance(
    space: Space, coarse: History, ladder: Ladder, *, seed: int
) -> tuple[Group, ...]:
    """Return the searched dimensions by group, the most important group first.

    Args:
        space: The space.
        coarse: What importance is measured on; with too few trials the groups' own numbers decide.
        ladder: The rungs; values are compared at the lowest.
        seed: Seeds the measurement.
    """
    names: dict[int, list[str]] = {}
    for dimension in space.searched:
        names.setdefault(dimension.group, []).append(dimension.name)
    judged = [(r.trial.config, r.value_at(ladder.base)) for r in coarse]
    known = [(config, value) for config, value in judged if value is not None]
    measured = measure_importance(space, [c for c, _ in known], [x for _, x in known], seed=seed)
    values = {each.name: each.value for each in measured}

    def rank(number: int) -> tuple[float, int]:
        return (-sum(values.get(name, 0.0) for name in names[number]), number)

    return tuple(tuple(names[number]) for number in sorted(names, key=rank))


def hold(
    space: Space, units: NDArray[np.float64], best: Config, group: Group
) -> NDArray[np.float64]:
    """Return points of the unit cube with all dimensions but a group's as in ``best``.

    Args:
        space: The space.
        units: Shape (m, searched).
        best: The configuration to keep to; what is inactive in it stays as in ``units``.
        group: The names that vary.
    """
    known = np.clip(space.to_unit(best), 0.0, 1.0)
    held = np.array([d.name not in group for d in space.searched]) & ~np.isnan(known)
    return np.where(held, known, units)


def hold_config(space: Space, config: Config, best: Config | None, group: Group | None) -> Config:
    """Return a configuration with all dimensions but a group's as in ``best``.

    Args:
        space: The space.
        config: The configuration.
        best: The one to keep to; None: nothing to keep to.
        group: The names that vary; None: all.
    """
    if best is None or group is None:
        return config
    unit = np.nan_to_num(np.clip(space.to_unit(config), 0.0, 1.0), nan=0.5)
    return space.from_unit(hold(space, unit[None, :], best, group)[0])
