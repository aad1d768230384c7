"""The training loop: one network, one configuration, evaluated on the way, exactly resumable.

The whole state is explicit: weights, best weights, optimizer, schedule, generators and the
position in the data. A training that is interrupted and resumed gives the same numbers, on the
CPU bit for bit, as one that ran through.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from search.data.batches import EpochOrder, Position, Resident, batches
from search.events import Evaluation
from search.files import write_at_once
from search.task import ModelModule
from search.training.job import NOT_ENDED, Job, Outcome, Rows, Vitals
from search.training.network import build_network, outputs_of
from search.training.normalization import BatchStatistics
from search.training.optimizers import GradientRules, make_optimizer
from search.training.parallel import Parallel
from search.training.precision import Precision
from search.training.predictions import Predictions
from search.training.predictor import WEIGHTS
from search.training.probes import Probe
from search.training.pruning import Pruner, to_format
from search.training.schedules import Schedule
from search.training.scoring import loss_function, score
from search.training.stopping import Pace, StoppingRules

_CHECK_EVERY = 16  # steps between looks at the running loss: a look costs a wait for the GPU


class NetworkSession:
    """Trains the network that a model module builds.

    Args:
        job: What to train.
        model: The module with ``build``.
        data: Resident tensors.
        rows: Which of its rows play which part.
        state: What :meth:`state` returned in an earlier session.

    Attributes:
        evaluations: All so far, those of earlier sessions included.
    """

    def __init__(
        self, job: Job, model: ModelModule, data: Resident, rows: Rows, state: Any = None
    ) -> None:
        torch.manual_seed(job.seed)
        self.job = job
        self.evaluations: list[Evaluation] = []
        self._data, self._rows = data, rows.to(data.device)
        self.module = build_network(model, job.config, job.spec).to(data.device)
        to_format(self.module, torch.channels_last)
        self._precision = Precision(self.module, data.device)
        self._pruner = Pruner(self.module, float(job.config.get("pruning_rate", 0.0)))
        self._statistics = BatchStatistics(self.module, self._rows.train, job.seed)
        self._parallel = Parallel(self.module, data.device)
        self._optimizer = make_optimizer(self.module, job.config)
        self._gradient_rules = GradientRules(self.module, job.config)
        self._probe = Probe(self.module)
        self._batch_size = min(int(job.config.get("batch_size", 64)), len(rows.train))
        num_steps = math.ceil(job.budget_samples / self._batch_size)
        self._schedule = Schedule(self._optimizer, job.config, num_steps)
        self._order = EpochOrder(len(rows.train), job.seed, data.device)
        self._position = Position()
        self._loss = loss_function(job.spec.task)
        self._samples_seen = 0
        self._train_seconds = self._eval_seconds = 0.0
        self._best: dict[str, Tensor] = {}
        self._best_sparsity = 0.0
        self._ended: Outcome | None = None
        self._running_loss = 0.0
        self._pace = Pace(job.speed_limit if state is None else None, self._wait_for_device)
        if state is None:
            started = time.perf_counter()
            initial = self._evaluate_rows(self._rows.probe)[0]
            self._eval_seconds = time.perf_counter() - started
            self._rules = StoppingRules(initial, job.budget_samples, job.early_stopping)
        else:
            self._load(state)

    def run(self) -> Iterator[Evaluation]:
        """Train on to the next evaluation point, yield the evaluation, and so on to the end.

        Between two of them :meth:`state` may be taken. After the last, :meth:`outcome`. A training
        that is too slow ends before its first, or soon after.
        """
        while self._ended is None:
            point = self.job.points[len(self.evaluations)]
            self._train_to(point)
            if self.has_ended:
                return
            evaluation = self._evaluate(point)
            self._judge(evaluation)
            yield evaluation

    def _judge(self, evaluation: Evaluation) -> None:
        self.evaluations.append(evaluation)
        diverged = self._rules.divergence(evaluation, self._running_loss)
        if diverged is not None:
            self._ended = Outcome("failed", diverged)
            return
        if self._rules.improved(evaluation):
            self._best = copy.deepcopy(self.module.state_dict())
            self._best_sparsity = self._pruner.sparsity
        self._schedule.after_evaluation(evaluation.validation_loss)
        if evaluation.point >= self.job.budget_samples:
            self._ended = Outcome("completed", "trained for its whole budget")
        elif self._schedule.at_floor:
            self._ended = Outcome("completed", "the learning rate has come down to its floor")
        else:
            exhausted = self._rules.exhausted(evaluation)
            self._ended = Outcome("completed", exhausted) if exhausted else None

    def _train_to(self, point: int) -> None:
        started = time.perf_counter()
        self.module.train()
        running = torch.zeros((), device=self._data.device)
        stream = batches(self._order, self._position, self._batch_size)
        for step, (indices, position) in enumerate(stream):
            if self._samples_seen >= point:
                break
            rows = self._rows.train[indices]
            self._samples_seen += len(indices)
            running += self._step(rows, is_last=self._samples_seen >= point)
            self._position = position
            if step % _CHECK_EVERY == 0 and not math.isfinite(float(running)):
                break
            too_slow = self._pace.too_slow(len(indices))
            if too_slow is not None:
                self._ended = Outcome("stopped", too_slow)
                break
        self._pace.rest()
        self._running_loss = float(running)
        self._pruner.advance(self._samples_seen / self.job.budget_samples)
        self._train_seconds += time.perf_counter() - started

    def _step(self, rows: Tensor, *, is_last: bool) -> Tensor:
        rows, weight = self._parallel.share(rows)
        inputs, target = self._data.batch(rows)
        self._optimizer.zero_grad(set_to_none=True)
        with self._precision.region():
            loss = self._loss(self._parallel.module(*inputs), target)
        if weight != 1.0:
            loss = loss * weight
        loss.backward()  # type: ignore[no-untyped-call]
        if is_last:
            self._probe.before_step()
        self._gradient_rules.apply()
        self._optimizer.step()
        if is_last:
            self._probe.after_step()
        self._schedule.after_step()
        return self._parallel.total(loss.detach())

    def _evaluate(self, point: int) -> Evaluation:
        started = time.perf_counter()
        self._parallel.settle()
        self._statistics.refresh(self._precision, self._data)
        train_loss, train_metric = self._evaluate_rows(self._rows.probe)
        validation_loss, validation_metric = self._evaluate_rows(self._rows.validation)
        self._eval_seconds += time.perf_counter() - started
        return Evaluation(
            trial_id=self.job.trial_id,
            evaluation=len(self.evaluations) + 1,
            point=point,
            samples_seen=self._samples_seen,
            train_loss=train_loss,
            validation_loss=validation_loss,
            train_metric=train_metric,
            validation_metric=validation_metric,
            learning_rate=self._schedule.learning_rate,
            seconds=self._train_seconds + self._eval_seconds,
            eval_seconds=self._eval_seconds,
            probes=self._probe.probes(self._gradient_rules.take_clipped_share()),
            objective=self.job.objective(validation_metric),
        )

    def _evaluate_rows(self, rows: Tensor) -> tuple[float, float]:
        outputs, target = self.predict(rows)
        job = self.job
        return score(
            outputs, target, task=job.spec.task, metric=job.metric, target_sd=job.target_sd
        )

    def predict(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs (rows, outputs) float32 and targets (rows,), in evaluation mode."""
        outputs = outputs_of(self.module, self._precision, self._data, rows)
        return outputs, self._data.target(rows)

    def _wait_for_device(self) -> None:
        if self._data.device.type == "cuda":
            torch.cuda.synchronize(self._data.device)

    def outcome(self) -> Outcome:
        """Return how it came out; evaluates the best checkpoint on the test rows, if any.

        Afterwards the network holds the best checkpoint's weights.
        """
        outcome = self._ended or NOT_ENDED
        if outcome.status != "completed":
            return outcome
        self.module.load_state_dict(self._best)
        test = None if self._rows.test is None else self._evaluate_rows(self._rows.test)
        return dataclasses.replace(outcome, test=test)

    def predictions(self) -> dict[str, Predictions]:
        """Return what the network says now of the rows that it isn't trained on, by part."""
        parts = {"validation": self._rows.validation, "test": self._rows.test}
        return {
            name: Predictions.of(rows, self.predict(rows)[0])
            for name, rows in parts.items()
            if rows is not None
        }

    @property
    def has_ended(self) -> bool:
        """Whether :meth:`run` has nothing more to yield."""
        return self._ended is not None

    def vitals(self) -> Vitals:
        """Return what it has cost so far."""
        return Vitals(
            train_seconds=self._train_seconds,
            eval_seconds=self._eval_seconds,
            num_parameters=sum(p.numel() for p in self.module.parameters()),
            samples_seen=self._samples_seen,
            sparsity=self._best_sparsity,
        )

    def save_model(self, folder: Path) -> None:
        """Write :meth:`weights` into a folder."""
        write_at_once(folder / WEIGHTS, lambda path: save_file(self.weights(), path))

    def weights(self) -> dict[str, Tensor]:
        """Return the weights on the CPU, after :meth:`outcome` those of the best checkpoint.

        Pruning is made permanent, which ends the session.
        """
        self._pruner.make_permanent()
        return {
            name: tensor.detach().to("cpu", copy=True).contiguous()  # tied ones are two in a file
            for name, tensor in self.module.state_dict().items()
        }

    def state(self) -> dict[str, Any]:
        """Return all that a later session needs; the tensors are the live ones: save at once."""
        return {
            "module": self.module.state_dict(),
            "best": self._best,
            "best_sparsity": self._best_sparsity,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "generators": generator_states(self._data.device),
            "position": self._position.to_json(),
            "samples_seen": self._samples_seen,
            "seconds": (self._train_seconds, self._eval_seconds),
            "rules": self._rules.to_json(),
            "ended": self._ended,
            "evaluations": self.evaluations,
        }

    def _load(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self._best = state["best"]
        self._best_sparsity = state["best_sparsity"]
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self._position = Position.from_json(state["position"])
        self._samples_seen = state["samples_seen"]
        self._train_seconds, self._eval_seconds = state["seconds"]
        self._rules = StoppingRules(**state["rules"])
        self._ended = state["ended"]
        self.evaluations = list(state["evaluations"])
        restore_generators(state["generators"], self._data.device)


def generator_states(device: torch.device) -> dict[str, Tensor]:
    """Return the states of the generators that a training draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_generators(states: dict[str, Tensor], device: torch.device) -> None:
    """Put the generators back where they were."""
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
