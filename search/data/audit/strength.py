"""How well a column, or what is made of one, predicts the label by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.data.audit.view import View

MAX_BINS, ROWS_PER_BIN = 256, 20
PRIOR = 2.0
"""Rows that a bin's share of a class is worth before any is seen."""
MAX_SCORED = 10
"""Classes that a score is averaged over, the most frequent."""
MAX_COUNTED = 20
"""Classes that are counted, the most frequent; the rest are one. Bins of thousands of categories
times thousands of classes would fill the memory."""


@dataclass(frozen=True)
class _Label:
    """What is predicted.

    Attributes:
        target: Shape (rows,): the value; or the place of the row's class in ``classes``, and behind
            the last one for all others.
        classes: Codes in the view's target of the classes that are counted; none for regression.
        num_columns: Of a table of counts: the classes, and one for the others if there are any.
    """

    target: NDArray[np.float64]
    classes: NDArray[np.int64]
    num_columns: int

    @classmethod
    def of(cls, view: View) -> _Label:
        """Return a view's."""
        if not view.is_classification:
            return cls(view.target, np.empty(0, dtype=np.int64), 0)
        codes = view.target.astype(np.int64)
        counts = np.bincount(codes, minlength=len(view.classes))
        classes = np.sort(np.argsort(-counts, kind="stable")[:MAX_COUNTED])
        places = np.full(len(counts), float(len(classes)))
        places[classes] = np.arange(len(classes))
        return cls(places[codes], classes, min(len(counts), MAX_COUNTED + 1))


def strength(bins: NDArray[np.int64], view: View, rows: NDArray[np.int64] | None = None) -> float:
    """Return how well bins of rows predict the label, cross-validated over two folds.

    What a bin had on one half of the rows is predicted for the other half.

    Args:
        bins: Shape (rows,), from 0.
        view: What is audited.
        rows: The rows' numbers; None: all.

    Returns:
        The mean AUC of the classes against the rest; R² for regression.
    """
    label = view.once(_Label.of)
    target = label.target if rows is None else label.target[rows]
    return float(np.mean([_scored(bins, target, label, each) for each in _halves(view, bins)]))


def class_strengths(bins: NDArray[np.int64], view: View, *, at_least: float) -> dict[int, float]:
    """Return how well bins of all rows tell single classes, cross-validated over two folds.

    Args:
        bins: Shape (rows,), from 0.
        view: What is audited; its label is a class.
        at_least: Classes of fewer rows are left out, and so are all but the most frequent 20.

    Returns:
        Code of a class to its AUC against the rest.
    """
    label = view.once(_Label.of)
    counts = np.bincount(label.target.astype(np.int64), minlength=label.num_columns)
    places = np.flatnonzero(counts[: len(label.classes)] >= at_least)
    halves = [
        _aucs(*_counted(bins, label.target, label.num_columns, each), places)
        for each in _halves(view, bins)
    ]
    return {
        int(label.classes[place]): float(np.mean([half.get(place, 0.5) for half in halves]))
        for place in places.tolist()
    }


def _halves(view: View, bins: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    half = np.random.default_rng([view.seed, 2]).random(len(bins)) < 0.5
    return half, ~half


def column_bins(view: View, name: str) -> NDArray[np.int64]:
    """Return a bin for each row of a column, from 0; what is missing has its own."""
    if view.schema.kinds[name] != "numeric":
        return view.codes(name).codes.astype(np.int64) + 1
    return quantile_bins(view.numbers(name))


def quantile_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return a bin of numbers for each row, each with about as many rows, from 0 for NaN."""
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return np.zeros(len(values), dtype=np.int64)
    num = int(np.clip(len(present) // ROWS_PER_BIN, 2, MAX_BINS))
    edges = np.unique(np.quantile(present, np.linspace(0, 1, num + 1)))
    bins = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), 0, bins)


def _scored(
    bins: NDArray[np.int64], target: NDArray[np.float64], label: _Label, train: NDArray[np.bool_]
) -> float:
    num = len(label.classes)
    if num == 0:
        return _r_squared(bins, target, train)
    shares, held = _counted(bins, target, label.num_columns, train)
    most = np.argsort(-held[:, :num].sum(0), kind="stable")[: 1 if num == 2 else MAX_SCORED]
    scores = _aucs(shares, held, most)
    return float(np.mean(list(scores.values()))) if scores else 0.5


def _counted(
    bins: NDArray[np.int64],
    target: NDArray[np.float64],
    num_columns: int,
    train: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return classes' shares of the bins in train, and their rows in the rest: (bins, classes)."""
    num_bins = int(bins.max()) + 1
    counts, held = (
        _table(bins[part], target[part], num_bins, num_columns) for part in (train, ~train)
    )
    prior = counts.sum(0) / max(counts.sum(), 1.0)
    return (counts + PRIOR * prior) / (counts.sum(1, keepdims=True) + PRIOR), held


def _aucs(
    shares: NDArray[np.float64], held: NDArray[np.float64], classes: NDArray[np.int64]
) -> dict[int, float]:
    """Return classes' AUC against all others, of those that stand among the held rows."""
    total = held.sum(1)
    return {
        code: binned_auc(shares[:, code], held[:, code], total - held[:, code])
        for code in classes.tolist()
        if 0 < held[:, code].sum() < total.sum()
    }


def binned_auc(
    scores: NDArray[np.float64], positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> float:
    """Return the AUC of rows of which only each bin's score and counts are known.

    scikit-learn's takes milliseconds however few the bins, and pairs of columns ask thousands of
    times.

    Args:
        scores: Shape (bins,).
        positive: Rows of the class in each bin; not all 0.
        negative: Rows of the others; not all 0.
    """
    levels, level = np.unique(scores, return_inverse=True)
    ups, downs = (np.bincount(level, each, len(levels)) for each in (positive, negative))
    beaten = np.cumsum(downs) - downs / 2  # a tie counts half
    return float(ups @ beaten / (ups.sum() * downs.sum()))


def _table(
    bins: NDArray[np.int64], target: NDArray[np.float64], num_bins: int, num_classes: int
) -> NDArray[np.float64]:
    cells = np.bincount(bins * num_classes + target.astype(int), minlength=num_bins * num_classes)
    return cells.reshape(num_bins, num_classes).astype(np.float64)


def _r_squared(
    bins: NDArray[np.int64], target: NDArray[np.float64], train: NDArray[np.bool_]
) -> float:
    num_bins = int(bins.max()) + 1
    mean = target[train].mean()
    sums = np.bincount(bins[train], target[train], minlength=num_bins) + PRIOR * mean
    means = sums / (np.bincount(bins[train], minlength=num_bins) + PRIOR)
    truth = target[~train]
    errors = truth - means[bins[~train]]
    return 1.0 - float(errors @ errors) / float(np.square(truth - mean).sum() or 1.0)
