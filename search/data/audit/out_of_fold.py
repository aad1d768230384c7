"""What a model says of rows that it wasn't trained on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import StratifiedKFold

from search.data.audit.view import View

NUM_FOLDS = 3
MAX_TRAINED = 20_000
"""Rows that a fold's model is trained on."""
MAX_TREES = 300
"""Of a model; a class needs one in each round."""
MIN_ROUNDS, MAX_ROUNDS = 20, 80
MIN_ROWS = 60


def class_probabilities(view: View) -> NDArray[np.float32] | None:
    """Return each row's probabilities of the classes, shape (rows, classes), out of fold.

    Gradient-boosted trees. None where there are too few rows: some class needs one in each fold.
    """
    target = view.target.astype(np.int64)
    counts = np.bincount(target, minlength=len(view.classes))
    if view.num_rows < MIN_ROWS or counts.min() < NUM_FOLDS:
        return None
    found = np.zeros((view.num_rows, len(counts)), dtype=np.float32)
    folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=view.seed)
    generator = np.random.default_rng([view.seed, 1])
    for train, rest in folds.split(target, target):
        rows = train
        if len(train) > MAX_TRAINED:
            rows = generator.choice(train, MAX_TRAINED, replace=False)
        model = trees(len(counts), view.seed).fit(view.features[rows], target[rows])
        found[np.ix_(rest, model.classes_)] = model.predict_proba(view.features[rest])
    return found


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
