"""What one trial trains, on which rows, and how it came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.events import Status
from search.space import Config
from search.speed import SpeedLimit
from search.task import Spec
from search.training.scoring import lower_is_better


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        trial_id: Names the evaluations.
        config: The configuration.
        spec: Shapes and task.
        seed: Seeds initialisation, data order and dropout.
        budget_samples: Training samples after which it ends; schedules stretch to it.
        points: Planned samples of each evaluation, rising; the last is the budget.
        metric: A name of :data:`search.training.scoring.METRICS`.
        target_sd: Standard deviation of a regression target, for metrics in its own unit.
        early_stopping: End when the validation loss hasn't improved for a third of the budget.
        speed_limit: End soon when a full run would take longer; None: take your time.
        keep_best: Keep what is needed to predict as the best evaluation did, also where it costs.
        promote_by: What trials are ranked by: the validation ``loss`` or ``metric``.
    """

    trial_id: str
    config: Config
    spec: Spec
    seed: int
    budget_samples: int
    points: tuple[int, ...]
    metric: str
    target_sd: float = 1.0
    early_stopping: bool = True
    speed_limit: SpeedLimit | None = None
    keep_best: bool = False
    promote_by: Literal["loss", "metric"] = "loss"

    def objective(self, validation_metric: float) -> float | None:
        """Return what an evaluation is ranked by, lower is better; None: its validation loss."""
        if self.promote_by == "loss":
            return None
        return lower_is_better(self.metric, validation_metric)


@dataclass(frozen=True)
class Rows:
    """Row numbers of the resident data, int64, on its device.

    Attributes:
        train: To train on.
        validation: To judge by.
        probe: A fixed slice of the training rows, for the training loss.
        test: In the confirm phase only.
    """

    train: Tensor
    validation: Tensor
    probe: Tensor
    test: Tensor | None = None

    @classmethod
    def of(cls, parts: Mapping[str, NDArray[np.int64]]) -> Rows:
        """Make them from arrays by name."""
        return cls(**{name: torch.from_numpy(rows.copy()) for name, rows in parts.items()})

    def to(self, device: torch.device) -> Rows:
        """Return the rows on another device."""
        test = None if self.test is None else self.test.to(device)
        return Rows(self.train.to(device), self.validation.to(device), self.probe.to(device), test)


@dataclass(frozen=True)
class Vitals:
    """What a training has cost so far, and what it trains.

    Attributes:
        train_seconds: Spent in training steps.
        eval_seconds: Spent in evaluations.
        num_parameters: Of the network.
        samples_seen: Training samples.
        sparsity: Share of prunable weights that are zero in the best checkpoint.
    """

    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    num_parameters: int = 0
    samples_seen: int = 0
    sparsity: float = 0.0

    def after(self, earlier: Vitals) -> Vitals:
        """Return what both have cost, an earlier training of the same network included."""
        return replace(
            self,
            train_seconds=self.train_seconds + earlier.train_seconds,
            eval_seconds=self.eval_seconds + earlier.eval_seconds,
            num_parameters=self.num_parameters or earlier.num_parameters,
            samples_seen=self.samples_seen + earlier.samples_seen,
        )


@dataclass(frozen=True)
class Outcome:
    """How a training came out.

    Attributes:
        status: ``completed``, ``failed``, or ``stopped`` because it is too slow.
        reason: In words.
        test: (loss, metric) of the best checkpoint on the test rows, where there are any.
    """

    status: Status
    reason: str
    test: tuple[float, float] | None = None


NOT_ENDED = Outcome("failed", "not trained to its end")


def device_for(num_gpus: float) -> torch.device:
    """Return the device of a trial that was given this many GPUs.

    Of a GPU that it shares the process takes no more memory than its share.
    """
    if num_gpus <= 0 or not torch.cuda.is_available():
        return torch.device("cpu")
    if num_gpus < 1:
        torch.cuda.set_per_process_memory_fraction(num_gpus)
    return torch.device("cuda")
