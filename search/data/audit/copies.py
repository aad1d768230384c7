"""Which rows are copies of each other, and which of them stays.

All checks that name copies name those that give way. They go by the same order, so that whatever
they name between them, of each set of copies the first one is named by none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from search.data.audit.near import Pairs, scaled
from search.data.audit.view import View

Rows = NDArray[np.int64]


def places(view: View) -> Rows:
    """Return each row's place where copies give way to what comes first: a training row does."""
    if view.parts is None:
        return np.arange(view.num_rows)
    ranks = np.select([view.parts == "train", view.parts == "validation"], [0, 1], 2)
    found = np.empty(view.num_rows, dtype=np.int64)
    found[np.argsort(ranks, kind="stable")] = np.arange(view.num_rows)
    return found


def copies(hashes: NDArray[np.uint64], pairs: Pairs, order: Rows) -> tuple[Rows, Rows]:
    """Return the rows that give way to an equal one, and those that do to one that is nearly so.

    Rows that are linked by either, over however many others, are one set.

    Args:
        hashes: Shape (rows,): the same of equal rows.
        pairs: Of rows that are nearly the same.
        order: Shape (rows,), each row's place: the first of a set stays.

    Returns:
        Row numbers: the equal ones sorted; the near ones by distance, the nearest first.
    """
    _, group = np.unique(hashes, return_inverse=True)
    one, other = group[pairs.first], group[pairs.second]
    num = int(group.max()) + 1
    links = coo_array((np.ones(len(one)), (one, other)), shape=(num, num))
    sets = np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)
    is_equal = ~_is_first(group, order)
    closest = np.full(num, np.inf)
    for each in (one, other):
        np.minimum.at(closest, each, pairs.distance)
    near = np.flatnonzero(~_is_first(sets[group], order) & ~is_equal)
    return np.flatnonzero(is_equal), near[np.argsort(closest[group[near]], kind="stable")]


def same_label(view: View, pairs: Pairs) -> NDArray[np.bool_]:
    """Return of which pairs both rows have one class, or nearly the same number to predict."""
    if view.is_classification:
        return np.asarray(view.target[pairs.first] == view.target[pairs.second])
    label = scaled([view.target])[:, 0]
    return np.asarray(np.abs(label[pairs.first] - label[pairs.second]) <= 1.0)


def _is_first(group: Rows, order: Rows) -> NDArray[np.bool_]:
    """Return which rows come before all others of their group."""
    by_place = np.argsort(order)
    _, first = np.unique(group[by_place], return_index=True)
    is_first = np.zeros(len(group), dtype=bool)
    is_first[by_place[first]] = True
    return is_first
