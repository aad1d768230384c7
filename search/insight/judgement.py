"""What the runs of one configuration say of the rows that they weren't trained on, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from search.training.predictions import Predictions

WORST_SHARE = 0.1
"""Where there are no classes, a run errs on the tenth of its rows where it is furthest off."""
_FLOOR = -100.0

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Truth:
    """The labels of all rows.

    Attributes:
        target: Class codes, or the standardised target; by row number of the source.
        classes: The classes' names by their codes; none for regression.
        scale: (mean, standard deviation) of a regression target.
        name: The label's.
    """

    target: NDArray[np.int64] | NDArray[np.float32]
    classes: tuple[str, ...] = ()
    scale: tuple[float, float] = (0.0, 1.0)
    name: str = "label"

    @property
    def has_classes(self) -> bool:
        """Whether there are classes."""
        return bool(self.classes)

    def in_words(self, target: float) -> str | float:
        """Return a class's name, or a target in its own unit."""
        if self.has_classes:
            return self.classes[int(target)]
        return self.scale[0] + self.scale[1] * float(target)


@dataclass(frozen=True, eq=False)
class Judgement:
    """The word of all runs of one configuration, row by row; arrays of shape (rows,).

    Runs that were judged by different rows are put together; where several have judged a row, it
    counts once, with their mean.

    Attributes:
        truth: Of all rows of the data.
        rows: Row numbers of the source, sorted, each once.
        said: Mean probabilities, shape (rows, classes), or the mean standardised prediction,
            shape (rows, 1).
        error: The share of the runs that are wrong, or the mean size of the error in the
            target's unit.
        loss: Mean cross-entropy, or mean squared standardised error.
        always_errs: Whether every run errs; see :data:`WORST_SHARE`.
        confusions: (truth, said) to the number of rows, in runs' shares; classes only.
        num_runs: How many runs there are.
    """

    truth: Truth
    rows: Rows
    said: Array
    error: Array
    loss: Array
    always_errs: NDArray[np.bool_]
    confusions: dict[tuple[int, int], float]
    num_runs: int

    @classmethod
    def of(cls, runs: Sequence[Predictions], truth: Truth) -> Judgement | None:
        """Put runs together; those that said what isn't finite are left out. None without any."""
        runs = [run for run in runs if len(run.rows) and np.isfinite(run.outputs.max(axis=1)).all()]
        if not runs:
            return None
        rows, places = np.unique(np.concatenate([run.rows for run in runs]), return_inverse=True)
        words = [_word(run, truth) for run in runs]
        counts = np.bincount(places).astype(np.float64)

        def mean(values: Iterable[Array]) -> Array:
            return np.bincount(places, np.concatenate(list(values))) / counts

        said = np.zeros((len(rows), runs[0].outputs.shape[1]))
        np.add.at(said, places, np.concatenate([word.said for word in words]))
        return cls(
            truth=truth,
            rows=rows,
            said=said / counts[:, None],
            error=mean(word.error for word in words),
            loss=mean(word.loss for word in words),
            always_errs=mean(word.errs.astype(np.float64) for word in words) == 1.0,
            confusions=_confusions(runs, truth, 1.0 / counts[places]) if truth.has_classes else {},
            num_runs=len(runs),
        )

    @property
    def target(self) -> NDArray[np.int64] | NDArray[np.float32]:
        """The truth of its rows."""
        return self.truth.target[self.rows]

    def at(self, rows: Rows) -> Rows:
        """Return where rows stand, all of which are among its own."""
        return np.searchsorted(self.rows, rows)


@dataclass(frozen=True, eq=False)
class Panel:
    """Several configurations, and the rows that all of them were judged by.

    Attributes:
        models: Name to word; the one in question is the first.
        rows: Shape (rows,), sorted.
    """

    models: dict[str, Judgement]
    rows: Rows

    @classmethod
    def of(cls, models: dict[str, Judgement]) -> Panel:
        """Bring configurations together."""
        rows = [judged.rows for judged in models.values()]
        return cls(models, reduce(partial(np.intersect1d, assume_unique=True), rows))

    @property
    def first(self) -> Judgement:
        """The word of the one in question."""
        return next(iter(self.models.values()))

    @property
    def said(self) -> Array:
        """What each says of the rows, shape (models, rows, outputs)."""
        return np.stack([judged.said[judged.at(self.rows)] for judged in self.models.values()])

    @property
    def all_err(self) -> NDArray[np.bool_]:
        """Where every run of every configuration errs, shape (rows,)."""
        errs = [judged.always_errs[judged.at(self.rows)] for judged in self.models.values()]
        everyone: NDArray[np.bool_] = np.logical_and.reduce(errs)
        return everyone


@dataclass(frozen=True, eq=False)
class _Word:
    """One run's word, as in :class:`Judgement`."""

    said: Array
    error: Array
    loss: Array
    errs: NDArray[np.bool_]


def _word(run: Predictions, truth: Truth) -> _Word:
    target = truth.target[run.rows]
    if truth.has_classes:
        logs = np.maximum(log_softmax(run.outputs.astype(np.float64), axis=1), _FLOOR)
        wrong = logs.argmax(1) != target
        loss = -logs[np.arange(len(target)), target.astype(np.int64)]
        return _Word(np.exp(logs), wrong.astype(np.float64), loss, wrong)
    said = run.outputs.astype(np.float64).reshape(len(target), 1)
    off = np.abs(said[:, 0] - target)
    return _Word(said, off * truth.scale[1], off**2, off > np.quantile(off, 1 - WORST_SHARE))


def _confusions(
    runs: Sequence[Predictions], truth: Truth, weights: Array
) -> dict[tuple[int, int], float]:
    said = np.concatenate([run.outputs.argmax(1) for run in runs])
    target = np.concatenate([truth.target[run.rows] for run in runs]).astype(np.int64)
    wrong = said != target
    codes = target[wrong] * len(truth.classes) + said[wrong]
    pairs, places = np.unique(codes, return_inverse=True)
    counts = np.bincount(places, weights[wrong], minlength=len(pairs))
    split = np.stack(np.divmod(pairs, len(truth.classes)), axis=1).tolist()
    return {(a, b): float(count) for (a, b), count in zip(split, counts, strict=True)}
