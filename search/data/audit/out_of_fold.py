"""What a model says of rows that it wasn't trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import StratifiedKFold

from search.data.audit.view import View

NUM_FOLDS = 3
MAX_TRAINED = 20_000
"""Rows that a fold's model is trained on."""
CHUNK = 20_000
"""Rows that a model judges at a time."""
MAX_TREES = 300
"""Of a model; a class needs one in each round."""
MIN_ROUNDS, MAX_ROUNDS = 20, 80
MAX_CLASSES = 50
"""With more, even the fewest rounds would take a thousand trees and more: minutes."""
MIN_ROWS, MIN_CLASS = 60, 10
"""Of the table, and of each class: hardly any rows would speak for those of a rarer one."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """How likely rows' own classes are, to a model that hasn't seen the rows.

    Attributes:
        rows: The rows' numbers, sorted.
        own: Shape (rows,): the probability of each row's own class.
        likeliest: Shape (rows,): that of the class with the largest.
    """

    rows: Rows
    own: NDArray[np.float32]
    likeliest: NDArray[np.float32]


def judge_rows(view: View) -> Judged | str:
    """Judge the rows of every class that isn't rare, by gradient-boosted trees.

    Args:
        view: What is audited; its label is a class.

    Returns:
        What was judged; or why nothing was.
    """
    target = view.target.astype(np.int64)
    is_frequent = np.bincount(target, minlength=len(view.classes)) >= MIN_CLASS
    rows, num_classes = np.flatnonzero(is_frequent[target]), int(is_frequent.sum())
    if num_classes < 2 or len(rows) < MIN_ROWS:
        return f"it takes {MIN_ROWS} rows of two classes with at least {MIN_CLASS} each"
    if num_classes > MAX_CLASSES:
        return f"{num_classes} classes would take minutes, so only up to {MAX_CLASSES} are judged"
    own, likeliest = (np.full(view.num_rows, np.nan, dtype=np.float32) for _ in range(2))
    for train, rest in _folds(rows, target, view.seed):
        model = trees(num_classes, view.seed).fit(view.features[train], target[train])
        known = rest[np.isin(target[rest], model.classes_)]
        for start in range(0, len(known), CHUNK):
            some = known[start : start + CHUNK]
            found = model.predict_proba(view.features[some])
            own[some] = found[np.arange(len(some)), np.searchsorted(model.classes_, target[some])]
            likeliest[some] = found.max(1)
    judged = np.flatnonzero(~np.isnan(own))
    return Judged(judged, own[judged], likeliest[judged])


def _folds(rows: Rows, target: Rows, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield rows to train on, at least two classes of them, and the rows to judge by that."""
    generator = np.random.default_rng([seed, 1])
    folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed)
    for train, rest in folds.split(rows, target[rows]):
        chosen = rows[train]
        if len(chosen) > MAX_TRAINED:
            chosen = generator.choice(chosen, MAX_TRAINED, replace=False)
        if len(np.unique(target[chosen])) > 1:
            yield chosen, rows[rest]


def trees(num_classes: int, seed: int) -> HistGradientBoostingClassifier:
    """Return a classifier that is quick on a few tens of thousands of rows."""
    per_round = 1 if num_classes == 2 else num_classes
    rounds = int(np.clip(MAX_TREES // per_round, MIN_ROUNDS, MAX_ROUNDS))
    return HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=min(0.5, 8.0 / rounds),
        max_leaf_nodes=31,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )


def regression_trees(seed: int) -> HistGradientBoostingRegressor:
    """Return a model of a number that is quick on some thousands of rows."""
    return HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=seed)
