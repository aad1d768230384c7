"""What a model with a training loop of its own is given: arrays, a budget, a way to score."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search.data.batches import Resident
from search.errors import ModelError
from search.task import Inputs, Predict, Spec
from search.training.job import Job, Rows
from search.training.scoring import score


@dataclass(frozen=True)
class Part:
    """Some rows as arrays.

    Attributes:
        inputs: The rows, as :data:`search.task.Inputs`.
        target: (rows,) class codes, or the standardised target.
    """

    inputs: Inputs
    target: NDArray[Any]

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class TrainingBudget:
    """How long to train.

    Attributes:
        samples: Training samples in all; for boosting, rounds times rows.
        points: Where to yield, rising; the last is ``samples``.
    """

    samples: int
    points: tuple[int, ...]


@dataclass
class TrainingData:
    """What a loop of one's own works on.

    Attributes:
        spec: Shapes and task.
        train: The training rows.
        validation: The validation rows.
        seconds: Spent in :meth:`evaluate`.
    """

    spec: Spec
    train: Part
    validation: Part
    seconds: float = field(default=0.0, kw_only=True)
    _probe: Part = field(repr=False)
    _test: Part | None = field(repr=False)
    _job: Job = field(repr=False)
    _best: float = field(default=math.inf, repr=False)
    _outputs: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    def evaluate(self, predict: Predict, *, samples_seen: int) -> dict[str, float]:
        """Return the metrics to yield.

        Args:
            predict: A :data:`search.task.Predict`.
            samples_seen: Training samples so far.

        Raises:
            ModelError: ``predict`` returns another shape.
        """
        started = time.perf_counter()
        metrics: dict[str, float] = {"samples_seen": samples_seen, "learning_rate": math.nan}
        parts = {"train": self._probe, "validation": self.validation}
        for name, part in parts.items():
            metrics[f"{name}_loss"], metrics[f"{name}_metric"] = self._score(predict, part, name)
        if self._test is not None and metrics["validation_loss"] < self._best:
            metrics["test_loss"], metrics["test_metric"] = self._score(predict, self._test, "test")
        self.seconds += time.perf_counter() - started
        return metrics

    def beaten_by(self, validation_loss: float) -> None:
        """Note the best validation loss that was yielded: only a better one is worth a test."""
        self._best = validation_loss

    @property
    def outputs(self) -> dict[str, NDArray[np.float32]]:
        """What was predicted last, by part: (rows, outputs)."""
        return dict(self._outputs)

    def _score(self, predict: Predict, part: Part, name: str) -> tuple[float, float]:
        job = self._job
        wanted = (len(part), job.spec.num_outputs)
        self._outputs[name] = outputs_by(predict, part.inputs, wanted).copy()
        return score(
            torch.from_numpy(self._outputs[name]),
            torch.as_tensor(part.target),
            task=job.spec.task,
            metric=job.metric,
            target_sd=job.target_sd,
        )


def outputs_by(predict: Predict, inputs: Inputs, wanted: tuple[int, int]) -> NDArray[np.float32]:
    """Return what a module's ``predict`` says, float32, of the wanted shape (rows, outputs).

    Raises:
        ModelError: It returns another shape.
    """
    outputs = np.asarray(predict(inputs), dtype=np.float32)
    # A single output may come without its axis, as scikit-learn's do.
    if outputs.shape not in ([wanted, wanted[:1]] if wanted[1] == 1 else [wanted]):
        raise ModelError(
            f"predict returns {outputs.shape} for {wanted[0]} rows; it must return {wanted}"
        )
    return outputs.reshape(wanted)


def inputs_of(data: Resident, rows: torch.Tensor, spec: Spec) -> Inputs:
    """Return some rows as arrays, in the memory of the CPU wherever ``data`` lives."""
    tensors = data.inputs(rows.to(data.device))
    arrays = [tensor.contiguous().cpu().numpy() for tensor in tensors]
    return dict(zip(spec.inputs, arrays, strict=True))


def training_data(job: Job, data: Resident, rows: Rows) -> TrainingData:
    """Return a job's rows as arrays, in the memory of the CPU wherever ``data`` lives."""

    def part(which: torch.Tensor) -> Part:
        target = data.target(which.to(data.device)).cpu().numpy()
        return Part(inputs_of(data, which, job.spec), target)

    return TrainingData(
        spec=job.spec,
        train=part(rows.train),
        validation=part(rows.validation),
        _probe=part(rows.probe),
        _test=None if rows.test is None else part(rows.test),
        _job=job,
    )
