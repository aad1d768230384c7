"""Losses and metrics: torch's losses, and metrics as scikit-learn has them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from search.data import Dataset
from search.errors import StudyError, did_you_mean
from search.task import Spec, TaskType

ByRow = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]
"""(truth, predictions), each (rows,), to a number a row."""


@dataclass(frozen=True)
class Metric:
    """A metric of predictions against the truth.

    Attributes:
        task: The task that it is for.
        mode: ``max`` where more is better.
        score: (truth, predictions, sample_weight=None) to a number.
        scales: It is in the unit of a regression target.
        by_row: (truth, predictions) to each row's part, where the metric is their mean.
    """

    task: TaskType
    mode: Literal["max", "min"]
    score: Callable[..., float]
    scales: bool = False
    by_row: ByRow | None = None


def _distance(truth: NDArray[Any], predictions: NDArray[Any]) -> NDArray[Any]:
    distances: NDArray[Any] = np.abs(truth - predictions)
    return distances


def _mean(
    by_row: ByRow,
    truth: NDArray[Any],
    predictions: NDArray[Any],
    sample_weight: NDArray[Any] | None = None,
) -> float:
    return float(np.average(by_row(truth, predictions), weights=sample_weight))


def _root_mean_square(
    truth: NDArray[Any], predictions: NDArray[Any], sample_weight: NDArray[Any] | None = None
) -> float:
    return math.sqrt(np.average((truth - predictions) ** 2, weights=sample_weight))


def _by_sklearn(name: str, *given: Any, **options: Any) -> float:
    # Its import takes as long as torch's: a trial's process has no need of it by default.
    from sklearn import metrics

    return float(getattr(metrics, name)(*given, **options))


METRICS: dict[str, Metric] = {
    "accuracy": Metric("classification", "max", partial(_mean, np.equal), by_row=np.equal),
    "balanced_accuracy": Metric(
        "classification", "max", partial(_by_sklearn, "balanced_accuracy_score")
    ),
    "f1_macro": Metric("classification", "max", partial(_by_sklearn, "f1_score", average="macro")),
    "rmse": Metric("regression", "min", _root_mean_square, scales=True),
    "mae": Metric("regression", "min", partial(_mean, _distance), scales=True, by_row=_distance),
    "r2": Metric("regression", "max", partial(_by_sklearn, "r2_score")),
}


def resolve_metric(name: str | None, task: TaskType) -> str:
    """Return the metric's name, the task's usual one for None.

    Raises:
        StudyError: It is unknown, or for the other task.
    """
    fitting = [known for known, metric in METRICS.items() if metric.task == task]
    if name is None:
        return "accuracy" if task == "classification" else "rmse"
    if name not in fitting:
        raise StudyError(f"metric '{name}' isn't one for {task}" + did_you_mean(name, fitting))
    return name


def lower_is_better(name: str, value: float) -> float:
    """Return a metric's value turned so that lower is better: what is best at 1 as its distance.

    What isn't finite is the worst.
    """
    if not math.isfinite(value):
        return math.inf
    return value if METRICS[name].mode == "min" else 1.0 - value


def loss_function(task: TaskType) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the mean loss of outputs (batch, outputs) against targets (batch,)."""
    return functional.cross_entropy if task == "classification" else _squared_error


def _squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(outputs.squeeze(-1), target)


def baseline_losses(train: Tensor, target: Tensor, spec: Spec) -> Tensor:
    """Return the loss of each row for one who sees the training labels and no input.

    Args:
        train: Targets of the training rows.
        target: Those of the rows that are judged.
        spec: Shapes and task.
    """
    if spec.task == "regression":
        return (target - train.mean()) ** 2
    counts = torch.bincount(train, minlength=spec.num_outputs).double() + 0.5
    return -(counts / counts.sum()).log()[target].float()


def chance_loss(dataset: Dataset, train: NDArray[np.int64], validation: NDArray[np.int64]) -> float:
    """Return the mean loss of validation rows for one who sees the training labels and no input.

    Args:
        dataset: With its targets.
        train: Row numbers of the training rows.
        validation: Those of the rows that are judged.
    """
    target = torch.from_numpy(dataset.inputs["target"].to_numpy())
    return float(baseline_losses(target[train], target[validation], dataset.spec).mean())


def score(
    outputs: Tensor, target: Tensor, *, task: TaskType, metric: str, target_sd: float = 1.0
) -> tuple[float, float]:
    """Return (loss, metric) of a network's outputs.

    Args:
        outputs: (rows, outputs) logits, or the standardised prediction.
        target: (rows,) class codes, or the standardised target.
        task: The task.
        metric: A name of :data:`METRICS`.
        target_sd: Turns errors back into the target's unit.

    Returns:
        The metric is NaN where outputs aren't finite.
    """
    outputs = outputs.float().cpu()
    target = target.cpu()
    loss = float(loss_function(task)(outputs, target))
    if not bool(torch.isfinite(outputs).all()):
        return loss, math.nan
    if task == "classification":
        predictions = outputs.argmax(dim=1)
    else:
        # The squares of large float32 errors would be infinite.
        predictions, target = outputs.squeeze(-1).double(), target.double()
    return loss, measure(metric, target.numpy(), predictions.numpy(), target_sd=target_sd)


def measure(
    metric: str,
    truth: NDArray[Any],
    predictions: NDArray[Any],
    weights: NDArray[Any] | None = None,
    *,
    target_sd: float = 1.0,
) -> float:
    """Return a metric of predictions against the truth.

    Args:
        metric: A name of :data:`METRICS`.
        truth: (rows,) class codes, or the standardised target.
        predictions: (rows,) likewise.
        weights: (rows,) how often each row counts; None: once.
        target_sd: Turns errors back into the target's unit.
    """
    chosen = METRICS[metric]
    with warnings.catch_warnings():
        # A slice may lack classes, or have only one; scikit-learn then warns at each evaluation.
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        warnings.filterwarnings("ignore", message="A single label was found")
        value = float(chosen.score(truth, predictions, sample_weight=weights))
    return value * (target_sd if chosen.scales else 1.0)
