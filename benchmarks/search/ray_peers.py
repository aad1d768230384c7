"""Ray Tune's own scheduler, with random search and with its Optuna searcher."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from benchmarks.search.peer import Job, Peer
from benchmarks.search.tasks import FACTOR, Task
from search.space import Choice, Config, Dimension, Float, Integer


class RayAsha(Peer):
    """``AsyncHyperBandScheduler`` as Ray ships it, on uniformly random configurations."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        random.seed(seed)
        np.random.seed(seed)
        self._generator = np.random.default_rng(seed)
        self._scheduler = AsyncHyperBandScheduler(
            time_attr="units",
            metric="loss",
            mode="min",
            max_t=task.rungs[-1],
            grace_period=task.rungs[0],
            reduction_factor=FACTOR,
        )
        self._best: tuple[float, Config] | None = None
        self._last: dict[str, tuple[float, Config]] = {}

    def ask(self) -> Job:
        """Return a new trial."""
        trial = Trial("sieve_benchmark", stub=True)
        self._scheduler.on_trial_add(None, trial)
        return Job(self._config(trial), self.task.rungs[-1], handle=trial)

    def _config(self, trial: Any) -> Config:  # noqa: ARG002
        return self.task.space.from_unit(self._generator.random(len(self.task.space.searched)))

    def report(self, job: Job, fidelity: int, loss: float) -> bool:
        """Ask the scheduler."""
        result = {"units": fidelity, "loss": loss}
        self._note(job, loss)
        decision = self._scheduler.on_trial_result(None, job.handle, result)
        return bool(decision == TrialScheduler.CONTINUE)

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell the scheduler, as Ray does when a trial ends by itself."""
        self._note(job, loss)
        if fidelity == job.until:
            result = {"units": fidelity, "loss": loss}
            self._scheduler.on_trial_complete(None, job.handle, result)

    def _note(self, job: Job, loss: float) -> None:
        self._last[job.handle.trial_id] = (loss, job.config)

    def reject(self, job: Job) -> None:
        """Forget a trial."""
        self._scheduler.on_trial_remove(None, job.handle)

    def recommend(self) -> Config | None:
        """Return the trial with the lowest last loss, as ``ResultGrid.get_best_result`` does."""
        return min(self._last.values(), key=lambda each: each[0], default=(0.0, None))[1]


class RayAshaOptuna(RayAsha):
    """The same scheduler with ``OptunaSearch`` (TPE), which learns from last results."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__(task, seed)
        space = {d.name: _domain(d) for d in task.space.searched}
        self._search = OptunaSearch(space=space, metric="loss", mode="min", seed=seed)

    def _config(self, trial: Any) -> Config:
        config = self._search.suggest(trial.trial_id)
        assert config is not None
        return dict(config)

    def report(self, job: Job, fidelity: int, loss: float) -> bool:
        """Ask the scheduler, and let the searcher see the result."""
        self._search.on_trial_result(
            job.handle.trial_id, {"training_iteration": fidelity, "loss": loss}
        )
        return super().report(job, fidelity, loss)

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell both."""
        super().finish(job, fidelity, loss)
        result = {"training_iteration": fidelity, "loss": loss}
        self._search.on_trial_complete(job.handle.trial_id, result)

    def reject(self, job: Job) -> None:
        """Tell the searcher that the trial failed, which it leaves out."""
        super().reject(job)
        self._search.on_trial_complete(job.handle.trial_id, None, error=True)


def _domain(dimension: Dimension) -> Any:
    match dimension:
        case Float(log=True):
            return tune.loguniform(dimension.low, dimension.high)
        case Float():
            return tune.uniform(dimension.low, dimension.high)
        case Integer(log=True):
            return tune.lograndint(dimension.low, dimension.high + 1)
        case Integer():
            return tune.randint(dimension.low, dimension.high + 1)
        case Choice():
            return tune.choice(dimension.values)
    raise AssertionError(f"no task has a dimension like {dimension}")
