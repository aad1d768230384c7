"""Models that bring a training loop of their own: ``train(config, data, budget, seed, state)``.

The generator gets the prepared arrays, trains up to each of the budget's points in turn, and
yields ``(metrics, state)`` there. ``data.evaluate`` makes the metrics from its predictions, so
that losses of different models mean the same.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from search.data.batches import Resident
from search.errors import ModelError
from search.task import ModelModule, Spec
from search.training.job import NOT_ENDED, Job, Outcome, Rows, Vitals
from search.training.scoring import score
from search.training.stopping import StoppingRules
from search.trials import Evaluation

Inputs = dict[str, NDArray[Any]]
_NEEDED = ("samples_seen", "train_loss", "validation_loss", "train_metric", "validation_metric")


@dataclass(frozen=True)
class Part:
    """Some rows as arrays.

    Attributes:
        inputs: Kind (``image``, ``numeric``, ``categorical``) to (rows, …).
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
    """

    spec: Spec
    train: Part
    validation: Part
    _probe: Part = field(repr=False)
    _test: Part | None = field(repr=False)
    _job: Job = field(repr=False)
    _best: float = field(default=math.inf, repr=False)

    def evaluate(
        self, predict: Callable[[Inputs], NDArray[Any]], *, samples_seen: int
    ) -> dict[str, float]:
        """Return the metrics to yield.

        Args:
            predict: Inputs to outputs (rows, outputs): logits or log-probabilities, or the
                standardised prediction.
            samples_seen: Training samples so far.
        """
        metrics: dict[str, float] = {"samples_seen": samples_seen, "learning_rate": math.nan}
        parts = {"train": self._probe, "validation": self.validation}
        for name, part in parts.items():
            metrics[f"{name}_loss"], metrics[f"{name}_metric"] = self._score(predict, part)
        if self._test is not None and metrics["validation_loss"] < self._best:
            metrics["test_loss"], metrics["test_metric"] = self._score(predict, self._test)
        self._best = min(self._best, metrics["validation_loss"])
        return metrics

    def _score(self, predict: Callable[[Inputs], NDArray[Any]], part: Part) -> tuple[float, float]:
        job = self._job
        outputs = torch.as_tensor(np.asarray(predict(part.inputs), dtype=np.float32))
        target = torch.as_tensor(part.target)
        return score(
            outputs.reshape(len(part), -1),
            target,
            task=job.spec.task,
            metric=job.metric,
            target_sd=job.target_sd,
        )


class OwnLoopSession:
    """Runs a module's own generator under the same rules as the bundled loop.

    Args:
        job: What to train.
        model: The module with ``train``.
        data: Resident tensors.
        rows: Which of its rows play which part.
        state: What :meth:`state` returned in an earlier session.

    Attributes:
        evaluations: All so far, those of earlier sessions included.
    """

    def __init__(
        self, job: Job, model: ModelModule, data: Resident, rows: Rows, state: Any = None
    ) -> None:
        assert model.train is not None
        self.job = job
        self.evaluations: list[Evaluation] = []
        self._path = model.path
        self._ended: Outcome | None = None
        self._seconds = 0.0
        self._state: Any = None
        self._test: tuple[float, float] | None = None
        self._data = _training_data(job, data, rows)
        self._rules = StoppingRules(math.inf, job.budget_samples, job.early_stopping)
        if state is not None:
            self._load(state)
        budget = TrainingBudget(job.budget_samples, job.points)
        self._generator = model.train(
            dict(job.config), self._data, budget, seed=job.seed, state=self._state
        )

    def run(self) -> Iterator[Evaluation]:
        """Yield an evaluation at each of the budget's points."""
        while self._ended is None:
            started = time.perf_counter()
            try:
                metrics, self._state = next(self._generator)
            except StopIteration:
                self._ended = Outcome("completed", "its own loop ended")
                return
            self._seconds += time.perf_counter() - started
            evaluation = self._evaluation(metrics)
            self._judge(evaluation, metrics)
            yield evaluation

    def _evaluation(self, metrics: dict[str, float]) -> Evaluation:
        missing = [name for name in _NEEDED if name not in metrics]
        if missing:
            raise ModelError(
                f"model {self._path}: train() yielded no '{missing[0]}'; "
                "yield what data.evaluate(predict, samples_seen=…) returns"
            )
        number = len(self.evaluations)
        return Evaluation(
            trial_id=self.job.trial_id,
            evaluation=number + 1,
            point=self.job.points[number],
            samples_seen=int(metrics["samples_seen"]),
            learning_rate=float(metrics.get("learning_rate", math.nan)),
            seconds=self._seconds,
            **{name: float(metrics[name]) for name in _NEEDED[1:]},
        )

    def _judge(self, evaluation: Evaluation, metrics: dict[str, float]) -> None:
        self.evaluations.append(evaluation)
        diverged = self._rules.divergence(evaluation)
        if self._rules.improved(evaluation) and "test_loss" in metrics:
            self._test = (metrics["test_loss"], metrics["test_metric"])
        if diverged is not None:
            self._ended = Outcome("failed", diverged)
        elif evaluation.point >= self.job.budget_samples:
            self._ended = Outcome("completed", "trained for its whole budget")
        elif (exhausted := self._rules.exhausted(evaluation)) is not None:
            self._ended = Outcome("completed", exhausted)

    def outcome(self) -> Outcome:
        """Return how it came out."""
        return dataclasses.replace(self._ended or NOT_ENDED, test=self._test)

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`run` has nothing more to yield."""
        return self._ended is not None

    def vitals(self) -> Vitals:
        """Return what it has cost so far; its evaluations count as training."""
        return Vitals(train_seconds=self._seconds)

    def state(self) -> dict[str, Any]:
        """Return all that a later session needs; the loop's own part must be picklable."""
        return {
            "own": self._state,
            "seconds": self._seconds,
            "test": self._test,
            "rules": self._rules.to_json(),
            "ended": self._ended,
            "best": self._data._best,
            "evaluations": self.evaluations,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self._state = state["own"]
        self._seconds = state["seconds"]
        self._test = state["test"]
        self._rules = StoppingRules(**state["rules"])
        self._ended = state["ended"]
        self._data._best = state["best"]
        self.evaluations = list(state["evaluations"])


def _training_data(job: Job, data: Resident, rows: Rows) -> TrainingData:
    def part(which: torch.Tensor) -> Part:
        inputs, target = data.batch(which)
        arrays = [tensor.contiguous().numpy() for tensor in inputs]
        return Part(dict(zip(job.spec.inputs, arrays, strict=True)), target.numpy())

    test = None if rows.test is None else part(rows.test)
    return TrainingData(
        spec=job.spec,
        train=part(rows.train),
        validation=part(rows.validation),
        _probe=part(rows.probe),
        _test=test,
        _job=job,
    )
