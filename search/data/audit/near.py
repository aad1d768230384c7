"""Rows that are nearly copies of others: rounded, measured again, saved again with some loss.

Rows that fall into the same cell of a coarse grid are compared. There are several grids, shifted
at random, so that no border parts a pair in all of them (locality-sensitive hashing: Indyk and
Motwani, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

TOLERANCE = 0.01
"""Of a column's interquartile range: as far apart two numbers are nearly the same."""
WIDER = 3.0
"""Pairs up to so many times a radius apart tell how many would be within it by chance."""
RADII = (1.0, 1 / 3, 1 / 9, 1 / 27)
"""In tolerances."""
NUM_GRIDS, NUM_NEIGHBOURS = 4, 3
CHANCE, MIN_PAIRS, CLEARLY = 1e-3, 3, 1.25
CROWDED = 0.6
"""Pairs for each row: with more of them, some rows have more neighbours than are looked at. A table
that was saved twice has half a pair for each."""
FARTHEST = 1e9
_MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd number whose multiples spread over 64 bits


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows that are near each other, but not the same.

    Attributes:
        first: Shape (pairs,), the earlier row's number.
        second: The later one's.
        distance: The largest difference in any column, in tolerances.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.float32]

    @classmethod
    def none(cls) -> Pairs:
        """Return no pairs."""
        rows = np.empty(0, dtype=np.int64)
        return cls(rows, rows, np.empty(0, dtype=np.float32))

    def where(self, kept: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs; ``kept`` has shape (pairs,)."""
        return Pairs(self.first[kept], self.second[kept], self.distance[kept])

    def within(self, limit: float) -> Pairs:
        """Return the pairs that are at most so far apart."""
        return self.where(self.distance <= limit)

    def beyond_chance(self, num_rows: int) -> Pairs:
        """Return the pairs that are nearer than chance explains.

        In a smooth distribution of even a single free column twice as many lie between one and
        three radii apart as within one, and more where more columns are free. The largest radius
        speaks, from a tolerance downwards, where clearly more than that lie within. A radius that
        holds so many that not all were looked at says nothing.

        Args:
            num_rows: Of the table.
        """
        for radius in RADII:
            near, wider = self.within(radius), self.within(WIDER * radius)
            found = len(near.first)
            by_chance = max((len(wider.first) - found) / (WIDER - 1.0), 0.5)
            is_crowded = len(wider.first) > CROWDED * num_rows
            if is_crowded or found < MIN_PAIRS or found < CLEARLY * by_chance:
                continue
            if poisson.sf(found - 1, by_chance) < CHANCE:
                return near
        return Pairs.none()


def scaled(columns: list[NDArray[np.float64]]) -> NDArray[np.float32]:
    """Return columns in tolerances, shape (rows, columns); what isn't finite is 0."""
    found = []
    for column in columns:
        is_finite = np.isfinite(column)
        present = column[is_finite]
        low, high = np.quantile(present, [0.25, 0.75]) if len(present) else (0.0, 1.0)
        spread = float(high - low) or float(present.std()) or 1.0
        tolerances = np.where(is_finite, column, low) - low
        tolerances = np.clip(tolerances / (TOLERANCE * spread), -FARTHEST, FARTHEST)
        found.append(tolerances.astype(np.float32))
    return np.stack(found, axis=1)


def near_pairs(
    values: NDArray[np.float32], keys: NDArray[np.uint64], *, limit: float = WIDER, seed: int = 0
) -> Pairs:
    """Return pairs of rows with the same key whose values lie at most ``limit`` apart.

    Most of them, the nearest first: each row is compared with its next few neighbours in each of
    the grids.

    Args:
        values: Shape (rows, columns), in tolerances.
        keys: Shape (rows,): of what must be the same.
        limit: Largest difference in any column.
        seed: Of the grids' shifts.
    """
    generator = np.random.default_rng([seed, 5])
    width = 2.0 * limit * values.shape[1]
    sums = values.sum(axis=1)
    parts = [(np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32))]
    for _ in range(NUM_GRIDS):
        cells = _cells(values, keys, width, generator)
        order = np.lexsort((sums, cells))
        for step in range(1, NUM_NEIGHBOURS + 1):
            one, other = order[:-step], order[step:]
            same = cells[one] == cells[other]
            one, other = one[same], other[same]
            distance = np.abs(values[one] - values[other]).max(axis=1, initial=0.0)
            near = (distance > 0) & (distance <= limit)
            both = np.sort(np.stack([one[near], other[near]], axis=1), axis=1)
            parts.append((both, distance[near]))
    both, distances = (np.concatenate(part) for part in zip(*parts, strict=True))
    _, once = np.unique(both[:, 0] * len(values) + both[:, 1], return_index=True)
    once = once[np.argsort(distances[once], kind="stable")]
    return Pairs(both[once, 0], both[once, 1], distances[once])


def _cells(
    values: NDArray[np.float32],
    keys: NDArray[np.uint64],
    width: float,
    generator: np.random.Generator,
) -> NDArray[np.uint64]:
    """Return a number for each row's cell in a grid with a random shift, its key mixed in."""
    cells = keys.copy()
    for column in values.T:
        place = np.floor(column / width + generator.random()).astype(np.int64).view(np.uint64)
        cells = mixed(cells ^ place)
    return cells


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return numbers whose every bit depends on those of ``values``."""
    values = values * _MIX
    return values ^ (values >> np.uint64(29))
