"""Checks for columns that know the label, and for parts that aren't alike."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from search.data.audit.between import between_leaks
from search.data.audit.out_of_fold import trees
from search.data.audit.view import View
from search.findings import Finding, warn

MAX_BINS, ROWS_PER_BIN = 256, 20
PRIOR = 2.0
"""Rows that a bin's share of a class is worth before any is seen."""
NEAR_PERFECT, SUSPICIOUS = 0.99, 0.93
PAIR_SUSPICIOUS, PAIR_GAIN = 0.9, 0.05
"""Two columns' difference is suspicious from here on, where it says so much more than either."""
PAIR_ROWS, MAX_PAIRED = 20_000, 60
MAX_SCORED = 10
"""Classes that a score is averaged over, the most frequent."""
SHIFT = 0.6
"""AUC of telling two parts apart, from which on they aren't alike."""
SHIFT_ROWS = 10_000


def check_leaks(view: View) -> list[Finding]:
    """Find columns that know the label: alone, or by their difference from another one.

    A column that predicts the label nearly perfectly was made from it, or afterwards. So was one
    of two whose difference does: what happened, beside what was planned. The one that says more
    alone is named. So was one that tells what happened between two of these.
    """
    alone = {name: strength(_bins(view, name), view) for name in view.plain}
    measure = "AUC" if view.is_classification else "R²"
    found = [
        warn(
            "leaking_column",
            f"'{name}' alone predicts the label (cross-validated {measure} {score:.3f})",
            f"leave it out unless it is known before the label: data.ignore=[{name}]",
            columns=[name],
            value=score,
            fails=score >= NEAR_PERFECT,
        )
        for name, score in alone.items()
        if score >= SUSPICIOUS
    ]
    known = {column for each in found for column in each.columns}
    for name, (other, score) in _by_difference(view, alone, known).items():
        found.append(
            warn(
                "leaking_column",
                f"the difference of '{name}' and '{other}' predicts the label (cross-validated "
                f"{measure} {score:.3f}), and '{name}' knows more of it alone",
                f"leave '{name}' out unless it is known before the label: data.ignore=[{name}]",
                columns=[name],
                value=score,
            )
        )
    found.sort(key=lambda each: -(each.value or 0.0))
    leaks = [column for each in found for column in each.columns]
    return found + [
        warn(
            "leaking_column",
            f"'{name}' tells how '{first}' and '{second}' differ, which know the label (rank "
            f"correlation {score:.2f} of what no other column tells)",
            f"leave it out unless it is known before the label: data.ignore=[{name}]",
            columns=[name],
            value=score,
        )
        for name, (first, second, score) in between_leaks(view, leaks).items()
    ]


def _by_difference(
    view: View, alone: dict[str, float], known: set[str]
) -> dict[str, tuple[str, float]]:
    """Return columns whose difference from another one predicts the label: {name: (other, …)}."""
    names = [n for n in view.schema.of_kind("numeric") if n not in known][:MAX_PAIRED]
    rows = view.sample(PAIR_ROWS, purpose=4)
    found: dict[str, tuple[str, float]] = {}
    for first, second in combinations(names, 2):
        difference = view.numbers(first)[rows] - view.numbers(second)[rows]
        score = strength(_quantile_bins(difference), view, rows)
        if score < max(PAIR_SUSPICIOUS, alone[first] + PAIR_GAIN, alone[second] + PAIR_GAIN):
            continue
        name, other = sorted((first, second), key=lambda each: -alone[each])
        if name not in found or score > found[name][1]:
            found[name] = (other, score)
    return found


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
    target = view.target if rows is None else view.target[rows]
    half = np.random.default_rng([view.seed, 2]).random(len(bins)) < 0.5
    num_classes = len(view.classes)
    return float(np.mean([_scored(bins, target, num_classes, each) for each in (half, ~half)]))


def _bins(view: View, name: str) -> NDArray[np.int64]:
    """Return a bin for each row of a column, from 0; what is missing has its own."""
    if view.schema.kinds[name] != "numeric":
        return view.codes(name).codes.astype(np.int64) + 1
    return _quantile_bins(view.numbers(name))


def _quantile_bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return np.zeros(len(values), dtype=np.int64)
    num = int(np.clip(len(present) // ROWS_PER_BIN, 2, MAX_BINS))
    edges = np.unique(np.quantile(present, np.linspace(0, 1, num + 1)))
    bins = np.searchsorted(edges, values, side="right")
    return np.where(np.isnan(values), 0, bins)


def _scored(
    bins: NDArray[np.int64],
    target: NDArray[np.float64],
    num_classes: int,
    train: NDArray[np.bool_],
) -> float:
    num_bins = int(bins.max()) + 1
    if num_classes == 0:
        return _r_squared(bins, target, train, num_bins)
    counts, held = (
        _table(bins[part], target[part], num_bins, num_classes) for part in (train, ~train)
    )
    prior = counts.sum(0) / max(counts.sum(), 1.0)
    shares = (counts + PRIOR * prior) / (counts.sum(1, keepdims=True) + PRIOR)
    most = np.argsort(-held.sum(0), kind="stable")[: 1 if num_classes == 2 else MAX_SCORED]
    rest = held.sum(1, keepdims=True) - held
    scores = [
        binned_auc(shares[:, code], held[:, code], rest[:, code])
        for code in most.tolist()
        if held[:, code].any() and rest[:, code].any()
    ]
    return float(np.mean(scores)) if scores else 0.5


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
    bins: NDArray[np.int64],
    target: NDArray[np.float64],
    train: NDArray[np.bool_],
    num_bins: int,
) -> float:
    mean = target[train].mean()
    sums = np.bincount(bins[train], target[train], minlength=num_bins) + PRIOR * mean
    means = sums / (np.bincount(bins[train], minlength=num_bins) + PRIOR)
    truth = target[~train]
    errors = truth - means[bins[~train]]
    return 1.0 - float(errors @ errors) / float(np.square(truth - mean).sum() or 1.0)


def check_shift(view: View) -> list[Finding]:
    """Find parts that a classifier can tell apart: what is tested isn't what was trained on."""
    if view.parts is None:
        return []
    found: list[Finding] = []
    for part in ("validation", "test"):
        here, train = (np.flatnonzero(view.parts == each) for each in (part, "train"))
        if min(len(here), len(train)) < 100:
            continue
        score = _told_apart(view, train, here)
        if score >= SHIFT:
            found.append(
                warn(
                    "split_shift",
                    f"{part} and train can be told apart (cross-validated AUC {score:.2f})",
                    "find out how the parts were made; choose by rows like those of the test",
                    columns=[view.schema.split] if view.schema.split else [],
                    value=score,
                )
            )
    return found


def _told_apart(view: View, first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    generator = np.random.default_rng([view.seed, 3])
    size = min(len(first), len(second), SHIFT_ROWS // 2)
    rows = np.concatenate([generator.permutation(each)[:size] for each in (first, second)])
    truth = np.repeat([0, 1], size)
    fold = generator.permutation(2 * size) % 2 == 0
    scores = []
    for train in (fold, ~fold):
        model = trees(2, view.seed).fit(view.features[rows[train]], truth[train])
        guess = model.predict_proba(view.features[rows[~train]])[:, 1]
        scores.append(roc_auc_score(truth[~train], guess))
    return float(np.mean(scores))
