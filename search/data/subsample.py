"""Nested stratified subsamples: each smaller one is part of each larger one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from search.data.split import Rows, salted

FLOOR = 5
"""Rows of each stratum that every subsample of sufficient size has."""


def nested_order(
    strata: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    rows: Rows,
    *,
    floor: int = FLOOR,
    seed: int = 0,
) -> Rows:
    """Order rows so that the first n are a stratified subsample, for every n.

    A row's place is its rank in its stratum, relative to the stratum's size: each stratum is
    represented in proportion, within a row. The first ``floor`` rows of each stratum come
    before all others, since proportions alone lose rare classes. The order depends on the
    rows' content and the seed, not on how they are stored.

    Args:
        strata: Stratum of every row of the data.
        hashes: Hash of every row of the data.
        rows: Which rows to order, shape (n,).
        floor: Rows of each stratum that come first.
        seed: Another seed, another order.

    Returns:
        The rows in their order, shape (n,).
    """
    keys = salted(hashes[rows], "subsample", seed)
    within = np.lexsort((rows, keys, strata[rows]))
    sorted_strata = strata[rows][within]
    sizes = np.bincount(sorted_strata)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.arange(len(rows)) - starts[sorted_strata]
    place = (rank + 0.5) / sizes[sorted_strata]
    early = rank < floor
    place = np.where(early, rank - float(floor), place)
    order = np.lexsort((keys[within], place))
    ordered: Rows = rows[within][order]
    return ordered


def subsample(order: Rows, num_rows: int) -> Rows:
    """Return the first ``num_rows`` of a nested order, sorted by row number."""
    return np.sort(order[:num_rows])


def sampling_rates(strata: NDArray[np.int64], rows: Rows, sampled: Rows) -> dict[str, float]:
    """Return the share of each stratum's rows that a subsample has, by stratum."""
    total = np.bincount(strata[rows])
    taken = np.bincount(strata[sampled], minlength=len(total))
    return {str(s): float(taken[s] / total[s]) for s in np.flatnonzero(total)}
