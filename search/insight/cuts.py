"""How a feature divides rows into candidates for slices: ranges, categories, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.data.audit.view import Codes
from search.data.features import Features

NUM_BINS, NUM_COARSE = 10, 5
"""A number's rows are divided at its deciles; every range between two of them is a candidate. In
pairs those between two quintiles are."""
MAX_VALUES = 50
"""Of a feature's categories the most frequent are candidates."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Condition:
    """What a slice says of one feature: a range ``(low, high]``, a value, or that it is missing.

    Attributes:
        feature: Its name.
        low: Numbers above it; None: from the lowest.
        high: Numbers up to it; None: to the highest.
        value: This category; None where it is a range, or where the feature is missing.
    """

    feature: str
    low: float | None = None
    high: float | None = None
    value: str | None = None

    @property
    def is_range(self) -> bool:
        """Whether it is a range of numbers."""
        return self.low is not None or self.high is not None

    def __str__(self) -> str:
        if self.value is not None:
            return f"{self.feature} = {self.value}"
        if self.low is None and self.high is None:
            return f"{self.feature} is missing"
        if self.low is None:
            return f"{self.feature} ≤ {self.high:.6g}"
        if self.high is None:
            return f"{self.feature} > {self.low:.6g}"
        return f"{self.low:.6g} < {self.feature} ≤ {self.high:.6g}"

    def holds(self, features: Features) -> Mask:
        """Return which rows fulfil it, shape (rows,)."""
        if self.feature in features.categorical:
            codes = features.categorical[self.feature]
            known = {value: code for code, value in enumerate(codes.values)}
            wanted: Mask = codes.codes == (-1 if self.value is None else known.get(self.value, -2))
            return wanted
        values = features.numeric[self.feature]
        if not self.is_range:
            return np.isnan(values)
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return (values > low) & (values <= high)


def describe(conditions: Sequence[Condition]) -> str:
    """Return conditions in words."""
    return " and ".join(str(each) for each in conditions)


def which(conditions: Sequence[Condition], features: Features) -> Mask:
    """Return which rows fulfil all conditions, shape (rows,)."""
    mask: Mask = np.logical_and.reduce([each.holds(features) for each in conditions])
    return mask


@dataclass(frozen=True, eq=False)
class Cut:
    """How one feature divides the rows.

    Attributes:
        bins: The bin of each row, shape (rows,).
        groups: Which bins each candidate holds, 0 or 1, shape (candidates, bins).
        conditions: Each candidate in words.
        is_coarse: Which candidates are also tried in pairs, shape (candidates,).
    """

    bins: NDArray[np.int64]
    groups: NDArray[np.float64]
    conditions: tuple[Condition, ...]
    is_coarse: Mask


def cuts_of(features: Features, min_rows: int) -> list[Cut]:
    """Return how each feature divides the rows; features without a candidate are left out.

    Args:
        features: Of the rows.
        min_rows: Categories and gaps with fewer are no candidates.
    """
    cuts = [cut_number(name, values, min_rows) for name, values in features.numeric.items()]
    cuts += [cut_category(name, codes, min_rows) for name, codes in features.categorical.items()]
    return [cut for cut in cuts if cut.conditions]


def cut_number(name: str, values: NDArray[np.float64], min_rows: int) -> Cut:
    """Divide a number at its deciles, which are values that occur.

    A value that a tenth of the rows have is a range of its own; the others have their own deciles.
    """
    missing = np.isnan(values)
    present = values[~missing]
    edges = _edges(present)
    bins = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="left"))
    ends: list[float | None] = [None, *edges.tolist(), None]
    coarse = {None, *_quantiles(present, NUM_COARSE).tolist()}
    last = len(edges) + 1
    ranges = [(i, j) for i in range(last) for j in range(i + 1, last + 1) if (i, j) != (0, last)]
    groups = np.zeros((len(ranges), last + 1))
    for group, (i, j) in enumerate(ranges):
        groups[group, i:j] = 1.0
    conditions = [Condition(name, low=ends[i], high=ends[j]) for i, j in ranges]
    is_coarse = [ends[i] in coarse and ends[j] in coarse for i, j in ranges]
    if min_rows <= missing.sum() < len(values):
        groups = np.vstack([groups, np.eye(last + 1)[last]])
        conditions.append(Condition(name))
        is_coarse.append(True)
    return Cut(bins, groups, tuple(conditions), np.array(is_coarse, dtype=bool))


def _edges(present: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(present) == 0:
        return present
    found, counts = np.unique(present, return_counts=True)
    heavy = counts >= len(present) / NUM_BINS
    others = present[~np.isin(present, found[heavy])]
    own = [found[heavy], found[:-1][heavy[1:]]] if len(others) else []
    parts = [_quantiles(present, NUM_COARSE), _quantiles(present), _quantiles(others), *own]
    edges = np.unique(np.concatenate(parts))
    below: NDArray[np.float64] = edges[edges < found[-1]]
    return below


def _quantiles(values: NDArray[np.float64], num: int = NUM_BINS) -> NDArray[np.float64]:
    """Return where values are divided into parts of the same size; they occur."""
    if len(values) == 0:
        return values
    edges: NDArray[np.float64] = np.quantile(values, np.arange(1, num) / num, method="inverted_cdf")
    return edges


def cut_category(name: str, codes: Codes, min_rows: int) -> Cut:
    """Divide a category by its values; the rare ones are no candidates."""
    num_values = len(codes.values)
    counts = np.bincount(codes.codes + 1, minlength=num_values + 1)
    frequent = np.argsort(-counts, kind="stable")[: MAX_VALUES + 1]
    kept = [int(n) for n in sorted(frequent) if min_rows <= counts[n] < len(codes.codes)]
    bin_of = np.full(num_values + 1, len(kept))
    bin_of[kept] = np.arange(len(kept))
    groups = np.eye(len(kept), len(kept) + 1)
    conditions = tuple(Condition(name, value=None if n == 0 else codes.values[n - 1]) for n in kept)
    return Cut(bin_of[codes.codes + 1], groups, conditions, np.ones(len(kept), dtype=bool))
