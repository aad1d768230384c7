"""Which dimensions matter: permutation importance of a forest, with a bootstrap interval.

A forest predicts the rank of a trial's loss from its configuration; a dimension's importance is
the share of the variance that is explained no longer when its column is shuffled (Breiman, 2001),
on trials that the forest hasn't seen. Trials are resampled for the interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesRegressor

from search.space import Config, Space

MIN_TRIALS = 20
_BOOTSTRAPS, _TREES, _REPEATS = 20, 30, 2


@dataclass(frozen=True)
class Importance:
    """How much a dimension matters.

    Attributes:
        name: The dimension.
        value: Mean share of explained variance that is lost without it.
        low: 5th percentile over the bootstraps.
        high: 95th percentile.
    """

    name: str
    value: float
    low: float
    high: float


def measure_importance(
    space: Space, configs: Sequence[Config], losses: Sequence[float], *, seed: int
) -> list[Importance]:
    """Measure every searched dimension, most important first.

    Args:
        space: The space that the configurations come from.
        configs: The trials' configurations.
        losses: Their losses at one fidelity; infinite ones are the worst.
        seed: Seeds forests and bootstraps.

    Returns:
        One entry a dimension; none with fewer than ``MIN_TRIALS`` trials, or where all losses
        are the same.
    """
    if len(configs) < MIN_TRIALS or not space.searched or len(set(losses)) < 2:
        return []
    generator = np.random.default_rng(seed)
    inputs = np.stack([space.to_unit(c) for c in configs])
    # Any value where a dimension isn't active: that it isn't is for its parent alone to tell.
    inputs = np.where(np.isnan(inputs), generator.random(inputs.shape), inputs)
    targets = rankdata(losses) / len(losses)
    draws = np.stack([_one_bootstrap(inputs, targets, generator) for _ in range(_BOOTSTRAPS)])
    low, high = np.percentile(draws, [5, 95], axis=0)
    found = [
        Importance(d.name, float(m), float(lo), float(hi))
        for d, m, lo, hi in zip(space.searched, draws.mean(axis=0), low, high, strict=True)
    ]
    return sorted(found, key=lambda each: -each.value)


def _one_bootstrap(
    inputs: NDArray[np.float64], targets: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return the importances, shape (dimensions,), on the trials left out of a resample."""
    rows = generator.integers(len(inputs), size=len(inputs))
    out = np.setdiff1d(np.arange(len(inputs)), rows)
    seed = int(generator.integers(2**31))
    forest = ExtraTreesRegressor(_TREES, min_samples_leaf=2, random_state=seed, n_jobs=1)
    forest.fit(inputs[rows], targets[rows])
    tables = _shuffled(inputs[out], generator)
    # One call for all tables: a call costs as much as some thousand rows.
    predicted = forest.predict(tables.reshape(-1, inputs.shape[1])).reshape(tables.shape[:2])
    errors = ((predicted - targets[out]) ** 2).mean(axis=1)
    lost = errors[1:].reshape(_REPEATS, -1).mean(axis=0) - errors[0]
    # Divided by the variance of all targets, since that of a few left out is itself noisy.
    importances: NDArray[np.float64] = np.maximum(lost, 0.0) / np.var(targets)
    return importances


def _shuffled(inputs: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Return a table as it is, then with each column shuffled, and so on ``_REPEATS`` times.

    Shape (1 + repeats * dimensions, trials, dimensions).
    """
    number = inputs.shape[1]
    tables = np.repeat(inputs[None], 1 + _REPEATS * number, axis=0)
    for place in range(_REPEATS * number):
        tables[1 + place, :, place % number] = generator.permutation(inputs[:, place % number])
    return tables
