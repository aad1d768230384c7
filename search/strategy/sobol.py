"""Points that fill a unit cube evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

_BLOCK = 8  # log2 of the number of points drawn at a time


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
