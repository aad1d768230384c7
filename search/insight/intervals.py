"""Intervals of shares and means, many at a time, at any level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of_mean(cls, values: Array, level: float, *, is_share: bool) -> Interval:
        """Return the mean of rows' values: of shares by Wilson, else by Student."""
        n, mean = len(values), float(values.mean())
        if is_share:
            low, high = wilson(values.sum(keepdims=True), np.array([float(n)]), level)
            return cls(mean, float(low[0]), float(high[0]))
        half = float(-stdtrit(n - 1, level / 2) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
        return cls(mean, mean - half, mean + half)


@dataclass(frozen=True, eq=False)
class Sums:
    """What is known of a value in each of many groups of rows; arrays of one shape.

    Attributes:
        n: Number of rows.
        total: Sum of the value.
        squares: Sum of its squares.
    """

    n: Array
    total: Array
    squares: Array

    @classmethod
    def of(cls, values: Array) -> Sums:
        """Return those of a single group."""
        counted = (float(len(values)), values.sum(), (values**2).sum())
        return cls(*(np.array([each]) for each in counted))

    def __sub__(self, other: Sums) -> Sums:
        return Sums(self.n - other.n, self.total - other.total, self.squares - other.squares)

    def at(self, place: tuple[int, ...]) -> Sums:
        """Return those of one group."""
        return Sums(*(np.array(each[place]) for each in (self.n, self.total, self.squares)))

    def expanded(self, axis: int) -> Sums:
        """Return them with another axis of length 1."""
        return Sums(*(np.expand_dims(each, axis) for each in (self.n, self.total, self.squares)))

    @property
    def mean(self) -> Array:
        """The means; NaN for a group without rows."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.total / self.n

    @property
    def mean_variance(self) -> Array:
        """The variance of each mean, from the spread within its group."""
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.maximum(self.squares - self.total * self.mean, 0.0) / (self.n - 1)
            return spread / self.n


def wilson(total: Array, n: Array, level: float) -> tuple[Array, Array]:
    """Return the ends of shares' intervals (Wilson, 1927), each in [0, 1].

    Where a row's value is itself a share (of the runs that err there) the interval is wider than
    it needs to be: such values spread less than zeros and ones of the same mean.

    Args:
        total: Sum of the rows' values in [0, 1].
        n: Number of rows, above 0.
        level: Chance to miss the true share, both sides together.
    """
    z2 = float(ndtri(level / 2)) ** 2
    share = np.clip(total / n, 0.0, 1.0)
    centre = share + z2 / (2 * n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2)))
    scale = 1 + z2 / n
    return np.maximum((centre - half) / scale, 0.0), np.minimum((centre + half) / scale, 1.0)


def share_difference(first: Sums, second: Sums, level: float) -> tuple[Array, Array]:
    """Return the ends of the intervals of differences of shares (Newcombe, 1998, method 10)."""
    one, other = first.mean, second.mean
    low1, high1 = wilson(first.total, first.n, level)
    low2, high2 = wilson(second.total, second.n, level)
    below = np.hypot(one - low1, high2 - other)
    above = np.hypot(high1 - one, other - low2)
    return one - other - below, one - other + above


def mean_difference(first: Sums, second: Sums, level: float) -> tuple[Array, Array]:
    """Return the ends of the intervals of differences of means (Welch, 1947)."""
    one, other = first.mean_variance, second.mean_variance
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = (one + other) ** 2 / (one**2 / (first.n - 1) + other**2 / (second.n - 1))
        half = -stdtrit(freedom, level / 2) * np.sqrt(one + other)
    # Groups without any spread have no freedom, and need none.
    half = np.where(one + other > 0, half, 0.0)
    difference = first.mean - second.mean
    return difference - half, difference + half
