"""The coarse phase: published defaults first, then scrambled Sobol points, under ASHA."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from search.space import Space
from search.strategy.budget import Ladder
from search.strategy.search_phase import Proposal, SearchPhase
from search.strategy.watch import Watch
from search.task import Default

_BLOCK = 8  # log2 of the number of points drawn at a time


def default_proposals(space: Space, defaults: Sequence[Default]) -> list[Proposal]:
    """Return the published configurations that lie in the space, which coarse tries first."""
    return [(d.config, f"default:{d.source}") for d in defaults if space.contains(d.config)]


class CoarsePhase(SearchPhase):
    """Wide and short.

    Args:
        space: The whole space.
        defaults: Published configurations, tried first.
        ladder: The rungs of the whole run; coarse uses all but the last.
        num_trials: Limit of the number of trials; None: no limit.
        seed: Seeds the Sobol scrambling and the trainings.
        max_run_seconds: Stop a trial whose full run would take longer.
        num_brackets: Of successive halving, side by side.
        watch: Ends trainings by their curves; None: ASHA alone decides.
    """

    def __init__(
        self,
        space: Space,
        defaults: Sequence[Default],
        ladder: Ladder,
        *,
        num_trials: int | None,
        seed: int,
        max_run_seconds: float = math.inf,
        num_brackets: int = 1,
        watch: Watch | None = None,
    ) -> None:
        super().__init__(
            "coarse",
            space,
            ladder,
            ladder.coarse,
            default_proposals(space, defaults),
            num_trials=num_trials,
            seed=seed,
            max_run_seconds=max_run_seconds,
            num_brackets=num_brackets,
            watch=watch,
        )
        self._sobol = SobolPoints(len(space.searched), seed)

    def propose(self, number: int) -> Proposal:
        """Return the Sobol point that follows."""
        return self.space.from_unit(self._sobol[number - len(self._given)]), "sobol"


class SobolPoints:
    """A scrambled Sobol sequence (Owen, 1998) by index.

    Args:
        num_dimensions: Of the unit cube.
        seed: Seeds the scrambling.
    """

    def __init__(self, num_dimensions: int, seed: int) -> None:
        self._engine = (
            qmc.Sobol(num_dimensions, scramble=True, seed=seed) if num_dimensions else None
        )
        self._points: NDArray[np.float64] = np.empty((0, num_dimensions))

    def __getitem__(self, index: int) -> NDArray[np.float64]:
        if self._engine is None:
            return np.empty(0)
        while index >= len(self._points):
            # Whole powers of two keep the sequence balanced.
            block = self._engine.random(max(len(self._points), 2**_BLOCK))
            self._points = np.vstack([self._points, block])
        point: NDArray[np.float64] = self._points[index]
        return point
