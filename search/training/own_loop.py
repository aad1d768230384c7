"""Models that bring a training loop of their own: ``train(config, data, budget, seed, state)``.

The generator gets the prepared arrays, trains up to each of the budget's points in turn, and
yields ``(metrics, state)`` there. ``data.evaluate`` makes the metrics from its predictions, so
that losses of different models mean the same. What it is given: :mod:`search.training.own_data`.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.data.batches import Resident
from search.errors import ModelError
from search.events import Evaluation
from search.files import write_at_once
from search.task import ModelModule, Spec
from search.training.job import NOT_ENDED, Job, Outcome, Rows, Vitals
from search.training.own_data import TrainingBudget, training_data
from search.training.predictions import Predictions
from search.training.predictor import OWN, own_saved
from search.training.stopping import StoppingRules

_NEEDED = ("samples_seen", "train_loss", "validation_loss", "train_metric", "validation_metric")


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
        self._model, self._path = model, model.path
        self._ended: Outcome | None = None
        self._seconds = 0.0
        self._state: Any = None
        self._test: tuple[float, float] | None = None
        self._rows = rows
        self._best_outputs: dict[str, NDArray[np.float32]] = {}
        self._kept: bytes | None = None
        self._data = training_data(job, data, rows)
        self._rules = StoppingRules(_guessed(job.spec), job.budget_samples, job.early_stopping)
        if state is not None:
            self._load(state)
        budget = TrainingBudget(job.budget_samples, job.points)
        generator: Any = model.train(
            dict(job.config), self._data, budget, seed=job.seed, state=self._state
        )
        if not isinstance(generator, Iterator):
            raise ModelError(
                f"model {self._path}: train() returned {type(generator).__name__}; "
                "it must be a generator: yield (metrics, state)"
            )
        self._generator: Iterator[Any] = generator

    def run(self) -> Iterator[Evaluation]:
        """Yield an evaluation at each of the budget's points."""
        while self._ended is None:
            started = time.perf_counter()
            try:
                yielded = next(self._generator)
            except StopIteration:
                self._ended = self._ended_by_itself()
                return
            self._seconds += time.perf_counter() - started
            metrics, self._state = self._checked(yielded)
            evaluation = self._evaluation(metrics)
            self._judge(evaluation, metrics)
            yield evaluation

    def _ended_by_itself(self) -> Outcome:
        if not self.evaluations:
            raise ModelError(
                f"model {self._path}: train() ended without a yield; "
                "yield (metrics, state) at each of budget.points"
            )
        return Outcome("completed", "its own loop ended")

    def _checked(self, yielded: Any) -> tuple[dict[str, float], Any]:
        if not (isinstance(yielded, tuple) and len(yielded) == 2 and isinstance(yielded[0], dict)):
            raise ModelError(
                f"model {self._path}: train() yielded {type(yielded).__name__}; "
                "yield (metrics, state), metrics from data.evaluate(predict, samples_seen=…)"
            )
        for name in _NEEDED:
            value = yielded[0].get(name)
            if not isinstance(value, int | float | np.number):
                what = f"{name} = {value!r}" if name in yielded[0] else f"no '{name}'"
                raise ModelError(
                    f"model {self._path}: train() yielded {what}; "
                    "yield what data.evaluate(predict, samples_seen=…) returns"
                )
        metrics, state = yielded
        return metrics, state

    def _evaluation(self, metrics: dict[str, float]) -> Evaluation:
        number = len(self.evaluations)
        return Evaluation(
            trial_id=self.job.trial_id,
            evaluation=number + 1,
            point=self.job.points[number],
            samples_seen=int(metrics["samples_seen"]),
            train_loss=float(metrics["train_loss"]),
            validation_loss=float(metrics["validation_loss"]),
            train_metric=float(metrics["train_metric"]),
            validation_metric=float(metrics["validation_metric"]),
            learning_rate=float(metrics.get("learning_rate", math.nan)),
            seconds=self._seconds,
            eval_seconds=self._data.seconds,
            objective=self.job.objective(float(metrics["validation_metric"])),
        )

    def _judge(self, evaluation: Evaluation, metrics: dict[str, float]) -> None:
        self.evaluations.append(evaluation)
        diverged = self._rules.divergence(evaluation)
        if self._rules.improved(evaluation):
            self._data.beaten_by(self._rules.best_loss)
            self._best_outputs = self._data.outputs
            tested = "test_loss" in metrics
            self._test = (metrics["test_loss"], metrics["test_metric"]) if tested else None
            if self.job.keep_best:
                self._kept = own_saved(self._model, self._state)
        if diverged is not None:
            self._ended = Outcome("failed", diverged)
        elif evaluation.point >= self.job.budget_samples:
            self._ended = Outcome("completed", "trained for its whole budget")
        elif (exhausted := self._rules.exhausted(evaluation)) is not None:
            self._ended = Outcome("completed", exhausted)

    def outcome(self) -> Outcome:
        """Return how it came out, with the test of its best evaluation, if there are test rows."""
        outcome = self._ended or NOT_ENDED
        if outcome.status != "completed":
            return outcome
        return dataclasses.replace(outcome, test=self._test)

    def predictions(self) -> dict[str, Predictions]:
        """Return what the model said of the rows that it isn't trained on when it was best."""
        parts = {"validation": self._rows.validation, "test": self._rows.test}
        return {
            name: Predictions(rows.cpu().numpy(), self._best_outputs[name])
            for name, rows in parts.items()
            if rows is not None and name in self._best_outputs
        }

    def save_model(self, folder: Path) -> None:
        """Write what predicts as the best evaluation did, where the module keeps it."""
        kept = self._kept
        if kept is not None:
            write_at_once(folder / OWN, lambda path: path.write_bytes(kept))

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`run` has nothing more to yield."""
        return self._ended is not None

    def vitals(self) -> Vitals:
        """Return what it has cost so far."""
        spent = self._data.seconds
        return Vitals(train_seconds=self._seconds - spent, eval_seconds=spent)

    def state(self) -> dict[str, Any]:
        """Return all that a later session needs; the loop's own part must be picklable."""
        return {
            "own": self._state,
            "seconds": (self._seconds, self._data.seconds),
            "test": self._test,
            "outputs": self._best_outputs,
            "kept": self._kept,
            "rules": self._rules.to_json(),
            "ended": self._ended,
            "evaluations": self.evaluations,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self._state = state["own"]
        self._seconds, self._data.seconds = state["seconds"]
        self._test = state["test"]
        self._best_outputs = state["outputs"]
        self._kept = state["kept"]
        self._rules = StoppingRules(**state["rules"])
        self._ended = state["ended"]
        self._data.beaten_by(self._rules.best_loss)
        self.evaluations = list(state["evaluations"])


def _guessed(spec: Spec) -> float:
    """Return what a network's loss before its first step is about: a loop of one's own has none."""
    return math.log(spec.num_outputs) if spec.task == "classification" else 1.0
