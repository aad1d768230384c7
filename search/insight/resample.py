"""How sure a metric's difference is on these test rows: a paired bootstrap (Efron, 1979).

All models are measured on the same drawn rows, so that what makes a row hard for all of them
cancels out. The interval is that of the choice of rows, for the models as they are; it says
nothing of the noise of training them again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.insight.truth import Truth

NUM_DRAWS = 1_000
MAX_ROWS = 10_000
"""Of more rows, so many stand for all; the interval is made as narrow as all of them make it."""


@dataclass(frozen=True)
class Resampled:
    """Several models' metric on the rows, and on rows drawn from them with replacement.

    Attributes:
        values: Shape (models,), on all rows.
        draws: Shape (draws, models): what chance could have made of it.
    """

    values: NDArray[np.float64]
    draws: NDArray[np.float64]

    def difference(self, first: int, others: Sequence[int]) -> tuple[float, tuple[float, float]]:
        """Return a model's metric minus the others' mean, with its 95 % interval (percentiles)."""
        drawn = self.draws[:, first] - self.draws[:, list(others)].mean(axis=1)
        value = self.values[first] - self.values[list(others)].mean()
        found = np.array([value, *np.quantile(drawn, [0.025, 0.975])])
        # An end at 0 is a tie, which rounding must not undo.
        found[np.abs(found) < 1e-9 * np.abs(self.values).max()] = 0.0
        difference, low, high = map(float, found)
        return difference, (low, high)


def resample(
    judge: Truth, truth: NDArray[Any], predictions: Sequence[NDArray[Any]], *, seed: int = 0
) -> Resampled:
    """Measure models on rows, and again and again on as many drawn from them.

    Args:
        judge: Knows the metric.
        truth: Shape (rows,).
        predictions: Of each model, shape (rows,).
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    table = np.stack([truth, *predictions])
    values = _measured(judge, table)
    total = table.shape[1]
    if total > MAX_ROWS:
        table = table[:, generator.choice(total, MAX_ROWS, replace=False)]
    size = table.shape[1]
    # Rows that are alike to every model count together: classes make few different ones.
    cells, counts = np.unique(table, axis=1, return_counts=True)
    drawn = generator.multinomial(size, counts / size, size=NUM_DRAWS)
    deviations = _redrawn(judge, cells, drawn) - _measured(judge, cells, counts)
    return Resampled(values, values + deviations * math.sqrt(size / total))


def _measured(
    judge: Truth, table: NDArray[Any], weights: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    truth, *predictions = table
    return np.array([judge.measure(truth, each, weights) for each in predictions])


def _redrawn(judge: Truth, cells: NDArray[Any], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the metric of each model on each draw, shape (draws, models)."""
    truth, *predictions = cells
    parts = [part for each in predictions if (part := judge.by_row(truth, each)) is not None]
    if parts:
        means: NDArray[np.float64] = drawn @ np.column_stack(parts) / drawn[0].sum()
        return means
    return np.array([_measured(judge, cells[:, row > 0], row[row > 0]) for row in drawn])
