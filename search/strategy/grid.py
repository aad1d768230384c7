"""Grid search: every combination of a few values of each dimension, once, under ASHA.

For at most three searched dimensions. With more a grid tries few different values of those that
matter, where random points try as many as there are trials (Bergstra & Bengio, 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from search.errors import StudyError
from search.events import Phase
from search.space import Choice, Config, Dimension, Fixed, Integer, Space, Value
from search.strategy.budget import Ladder
from search.strategy.search_phase import Proposal, SearchPhase
from search.strategy.watch import Watch
from search.study import Study

MAX_DIMENSIONS = 3
FEW = 50
"""A space of no more configurations is tried whole, whoever proposes otherwise."""


def check_grids(study: Study, space: Space) -> None:
    """Raise where a study wants a grid of a space that has too many dimensions for one.

    Raises:
        StudyError: More than three dimensions are searched.
    """
    searchers = {"coarse": study.coarse.searcher, "fine": study.fine.searcher}
    for phase, searcher in searchers.items():
        if searcher == "grid" and len(space.searched) > MAX_DIMENSIONS:
            names = ", ".join(dimension.name for dimension in space.searched)
            raise StudyError(
                f"study key '{phase}.searcher' = 'grid': a grid is for at most {MAX_DIMENSIONS} "
                f"searched dimensions, and here are {len(space.searched)} ({names}); fix the "
                "others with space.NAME: {value: …}, or take another searcher"
            )


def grid_values(dimension: Dimension, num_points: int) -> tuple[Value, ...]:
    """Return a dimension's values on the grid, rising or in the order of the choice.

    Args:
        dimension: A choice has all its values, a fixed one its own.
        num_points: Values of a number: equally spaced on its scale, both ends among them. A range
            of no more whole numbers has them all, a logarithmic one may have fewer.
    """
    if isinstance(dimension, Choice):
        return dimension.values
    if isinstance(dimension, Fixed):
        return (dimension.value,)
    if isinstance(dimension, Integer) and dimension.high - dimension.low < num_points:
        return tuple(range(dimension.low, dimension.high + 1))
    units = np.linspace(0.0, 1.0, num_points)
    return tuple(dict.fromkeys(dimension.from_unit(float(unit)) for unit in units))


def grid_configs(space: Space, num_points: int) -> list[Config]:
    """Return every configuration of the grid, each once.

    A dimension varies only where it is active: its parents' other values have one point for all
    of its values.

    Args:
        space: What to search.
        num_points: Values of a number.
    """
    configs: list[Config] = [{}]
    for dimension in space:
        values = grid_values(dimension, num_points)
        configs = [more for config in configs for more in _extended(config, dimension, values)]
    return configs


def _extended(config: Config, dimension: Dimension, values: tuple[Value, ...]) -> Iterator[Config]:
    if not dimension.is_active(config):
        yield config
        return
    for value in values:
        yield {**config, dimension.name: value}


def few_configs(space: Space) -> int | None:
    """Return how many configurations a space has, where they are few; None of any other."""
    most = 1
    for dimension in space.searched:
        if not isinstance(dimension, Choice | Integer):
            return None
        most *= len(grid_values(dimension, FEW + 1))
        if most > FEW**MAX_DIMENSIONS:
            return None
    number = len(grid_configs(space, FEW + 1))
    return number if number <= FEW else None


class GridPhase(SearchPhase):
    """Given configurations, then the grid's others, in an order drawn by the seed.

    The order matters where time ends the phase: a part of the grid is then a random one.

    Args:
        phase: ``coarse`` or ``fine``.
        space: What to search.
        ladder: The rungs of the whole run.
        rungs: The phase's own among them.
        given: Configurations to try first, with their sources.
        num_points: Values of a number.
        num_trials: Limit of the number of trials; None: the whole grid.
        seed: Seeds the order and the trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
        num_brackets: Of successive halving, side by side.
        watch: Ends trainings by their curves; None: ASHA alone decides.

    Attributes:
        size: How many trials the whole grid takes, the given ones included.
    """

    def __init__(
        self,
        phase: Phase,
        space: Space,
        ladder: Ladder,
        rungs: tuple[int, ...],
        given: Sequence[Proposal],
        *,
        num_points: int,
        num_trials: int | None,
        seed: int,
        max_run_seconds: float = math.inf,
        num_brackets: int = 1,
        watch: Watch | None = None,
    ) -> None:
        known = [config for config, _ in given]
        grid = [each for each in grid_configs(space, num_points) if each not in known]
        self._grid = [grid[i] for i in np.random.default_rng(seed).permutation(len(grid))]
        self.size = len(given) + len(grid)
        super().__init__(
            phase,
            space,
            ladder,
            rungs,
            given,
            num_trials=self.size if num_trials is None else min(num_trials, self.size),
            seed=seed,
            max_run_seconds=max_run_seconds,
            num_brackets=num_brackets,
            watch=watch,
        )

    def propose(self, number: int) -> Proposal:
        """Return the grid's point that follows."""
        return self._grid[number - len(self._given)], "grid"

    def describe_rest(self) -> str:
        """Return in words that a part of the grid wasn't tried; empty where none is left."""
        left = self.size - len(self.history)
        if not left:
            return ""
        return (
            f"{left} of the grid's {self.size} points weren't tried: give more time or trials, "
            "or fewer grid_points"
        )
