"""What models should have said, and how far they are from it, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from search.task import TaskType
from search.training.predictions import decided
from search.training.scoring import METRICS, measure

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Score:
    """Loss and metric on some rows."""

    loss: float
    metric: float

    @classmethod
    def mean(cls, scores: Sequence[Score]) -> Score:
        """Return the means of both."""
        losses, values = [each.loss for each in scores], [each.metric for each in scores]
        return cls(float(np.mean(losses)), float(np.mean(values)))


@dataclass(frozen=True)
class Truth:
    """What is to be predicted, and how answers are judged.

    Answers are what :func:`search.training.predictions.answers_of` returns: probabilities, or the
    standardised prediction, shape (rows, outputs).

    Attributes:
        values: Class codes, or the standardised target, of every row of the data.
        task: The task.
        metric: The study's metric.
        target_sd: Turns errors back into a regression target's unit.
    """

    values: NDArray[Any]
    task: TaskType
    metric: str
    target_sd: float = 1.0

    @property
    def mode(self) -> Literal["max", "min"]:
        """``max`` where more of the metric is better."""
        return METRICS[self.metric].mode

    def loss(self, answers: NDArray[Any], rows: NDArray[np.int64]) -> float:
        """Return the mean loss of answers for some rows, as training has it."""
        truth = self.values[rows]
        if self.task == "regression":
            return float(np.mean((answers[:, 0] - truth) ** 2))
        likelihood = answers[np.arange(len(truth)), truth]
        return float(-np.log(np.maximum(likelihood, _TINY)).mean())

    def measure(
        self, truth: NDArray[Any], predictions: NDArray[Any], weights: NDArray[Any] | None = None
    ) -> float:
        """Return the metric; see :func:`search.training.scoring.measure`."""
        return measure(self.metric, truth, predictions, weights, target_sd=self.target_sd)

    def by_row(self, truth: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any] | None:
        """Return each row's part of the metric, shape (rows,); None where it is no mean of them."""
        chosen = METRICS[self.metric]
        if chosen.by_row is None:
            return None
        return chosen.by_row(truth, predictions) * (self.target_sd if chosen.scales else 1.0)

    def score(self, answers: NDArray[Any], rows: NDArray[np.int64]) -> Score:
        """Return loss and metric of answers for some rows."""
        predictions = decided(answers, self.task)
        return Score(self.loss(answers, rows), self.measure(self.values[rows], predictions))
