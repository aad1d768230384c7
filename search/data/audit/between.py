"""Columns that tell what happened between two others that know the label."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.model_selection import KFold, cross_val_predict

from search.data.audit.out_of_fold import regression_trees
from search.data.audit.view import View

NUM_ROWS, MIN_ROWS = 10_000, 200
MAX_LEAKS, MAX_CANDIDATES = 6, 30
KNOWS = 0.4
"""Rank correlation of what a column alone knows with the difference of two leaks, from here on."""
RATHER = 1.5
"""So many times its correlation with either of the two."""
Values = NDArray[np.float64]


def between_leaks(view: View, leaks: Sequence[str]) -> dict[str, tuple[str, str, float]]:
    """Return columns that know how two leaks differ: {name: (leak, other leak, correlation)}.

    What is measured late may say little of the label alone, as a flight's time in the air beside
    its delays at departure and at arrival. But what such a column has of its own, which no other
    one tells, goes with the difference of two leaks, and far more so than with either of them. What
    merely brings the label about goes with the leaks themselves.

    Args:
        view: What is audited.
        leaks: Columns that are known to leak, the strongest first.
    """
    numeric = view.schema.of_kind("numeric")
    pairs = list(combinations([name for name in leaks if name in numeric][:MAX_LEAKS], 2))
    honest = [name for name in view.plain if name not in leaks]
    candidates = [name for name in honest if name in numeric][:MAX_CANDIDATES]
    if not pairs or not candidates:
        return {}
    ground = _Ground(view)
    scored = {name: ground.closest(name, honest, pairs) for name in candidates}
    found: dict[str, tuple[str, str, float]] = {}
    for name in sorted(scored, key=lambda each: -scored[each][2]):
        if scored[name][2] < KNOWS:
            break
        if found:  # what a column has of its own only beside one that isn't honest, isn't its own
            left = [other for other in honest if other not in found]
            scored[name] = ground.closest(name, left, pairs)
        if scored[name][2] >= KNOWS:
            found[name] = scored[name]
    return found


class _Ground:
    """Rows of a table, and what a column says that others don't."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._rows = view.sample(NUM_ROWS, purpose=5)

    def closest(
        self, name: str, honest: Sequence[str], pairs: Sequence[tuple[str, str]]
    ) -> tuple[str, str, float]:
        """Return the two leaks between which a column stands, and how closely."""
        known = [self._view.plain.index(other) for other in honest if other != name]
        rows = self._rows[~np.isnan(self._view.numbers(name)[self._rows])]
        own = self._unexplained(self._view.numbers(name)[rows], known, rows)
        scored = [(*pair, self._between(own, pair, known, rows)) for pair in pairs]
        return max(scored, key=lambda each: each[2])

    def _between(
        self, own: Values, pair: tuple[str, str], known: list[int], rows: NDArray[np.int64]
    ) -> float:
        """Return how a column's own part goes with two leaks' difference; 0 where with a leak."""
        first, second = (self._view.numbers(name)[rows] for name in pair)
        present = ~np.isnan(first - second)
        own, first, second = own[present], first[present], second[present]
        rows = rows[present]
        if len(rows) < MIN_ROWS or _correlation(own, first - second) < KNOWS / 2:
            return 0.0
        together = _correlation(own, self._unexplained(first - second, known, rows))
        alone = [
            _correlation(own, self._unexplained(leak, known, rows)) for leak in (first, second)
        ]
        return together if together >= RATHER * max(alone) else 0.0

    def _unexplained(self, target: Values, known: list[int], rows: NDArray[np.int64]) -> Values:
        if len(rows) < MIN_ROWS or not known:
            return target
        folds = KFold(2, shuffle=True, random_state=self._view.seed)
        features = self._view.features[rows][:, known]
        explained: Values = cross_val_predict(
            regression_trees(self._view.seed), features, target, cv=folds
        )
        return target - explained


def _correlation(first: Values, second: Values) -> float:
    """Return the size of the rank correlation; 0 where one doesn't vary."""
    if min(np.ptp(first), np.ptp(second)) == 0.0:
        return 0.0
    return abs(float(spearmanr(first, second).statistic))
