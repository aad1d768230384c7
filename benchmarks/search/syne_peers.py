"""Syne Tune's multi-fidelity schedulers, as its release still has them."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, lograndint, loguniform, randint, uniform
from syne_tune.optimizer.baselines import ASHA, ASHABORE, ASHACQR, BOHB
from syne_tune.optimizer.scheduler import SchedulerDecision

from benchmarks.search.peer import Job, Peer
from benchmarks.search.tasks import FACTOR, Task
from search.space import Choice, Config, Dimension, Float, Integer


class SynePeer(Peer):
    """One of Syne Tune's schedulers.

    Args:
        task: What to search.
        seed: Of the scheduler.
        scheduler: Its class.
    """

    def __init__(self, task: Task, seed: int, scheduler: Any) -> None:
        super().__init__(task, seed)
        np.random.seed(seed)
        self._scheduler = scheduler(
            {d.name: syne_domain(d) for d in task.space.searched},
            metric="loss",
            time_attr="units",
            max_t=task.rungs[-1],
            do_minimize=True,
            random_seed=seed,
            grace_period=task.rungs[0],
            reduction_factor=FACTOR,
        )
        self._number = 0
        self._last: dict[int, tuple[float, Config]] = {}

    def ask(self) -> Job:
        """Return a new trial."""
        suggestion = self._scheduler.suggest()
        config = {d.name: suggestion.config[d.name] for d in self.task.space.searched}
        trial = Trial(self._number, config, datetime.now())
        self._number += 1
        self._scheduler.on_trial_add(trial)
        return Job(config, self.task.rungs[-1], handle=trial)

    def report(self, job: Job, fidelity: int, loss: float) -> bool:
        """Ask the scheduler."""
        self._last[job.handle.trial_id] = (loss, job.config)
        result = {"units": fidelity, "loss": loss}
        decision = self._scheduler.on_trial_result(job.handle, result)
        return bool(decision == SchedulerDecision.CONTINUE)

    def finish(self, job: Job, fidelity: int, loss: float) -> None:
        """Tell the scheduler."""
        self._last[job.handle.trial_id] = (loss, job.config)
        if fidelity == job.until:
            self._scheduler.on_trial_complete(job.handle, {"units": fidelity, "loss": loss})

    def reject(self, job: Job) -> None:
        """Tell the scheduler that the trial is gone."""
        self._scheduler.on_trial_remove(job.handle)

    def recommend(self) -> Config | None:
        """Return the trial with the lowest last loss."""
        return min(self._last.values(), key=lambda each: each[0], default=(0.0, None))[1]


syne_asha = partial(SynePeer, scheduler=ASHA)
syne_bohb = partial(SynePeer, scheduler=BOHB)
syne_asha_bore = partial(SynePeer, scheduler=ASHABORE)
syne_asha_cqr = partial(SynePeer, scheduler=ASHACQR)


def syne_domain(dimension: Dimension) -> Any:
    """Return a dimension as Syne Tune has it."""
    match dimension:
        case Float(log=True):
            return loguniform(dimension.low, dimension.high)
        case Float():
            return uniform(dimension.low, dimension.high)
        case Integer(log=True):
            return lograndint(dimension.low, dimension.high)
        case Integer():
            return randint(dimension.low, dimension.high)
        case Choice():
            return choice(list(dimension.values))
    raise AssertionError(f"no task has a dimension like {dimension}")
